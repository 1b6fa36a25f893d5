"""Work beside the program: tasks that other threads do ahead, for as long as there are any.

What is done is what will be asked for soon, such as kernels. Nothing depends on it: what fails will
fail again where it is asked for, and what is not begun when the program ends is left.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import suppress

from cresset.runtime.pool import get_num_threads

# Seconds that a fork waits for tasks that are under way: LLVM's locks would stay locked in a child.
PATIENCE = 1.0


class _Ahead:
    """What waits to be done, and the threads that are there for it."""

    def __init__(self):
        self.begin()

    def begin(self):
        """Nothing is waiting, no thread is there: so it is in a forked child, too."""
        self.waiting: list[Callable[[], object]] = []  # what came last is done first
        self.changed = threading.Condition()
        self.threads = 0
        self.busy = 0  # threads with a task
        self.held = False  # whether no task is to be begun, while the process forks

    def next(self) -> Callable[[], object] | None:
        """A task for a thread; None where it is to end."""
        with self.changed:
            self.changed.wait_for(lambda: not self.held)
            if self.waiting and not ended():
                self.busy += 1
                return self.waiting.pop()
            self.threads -= 1
            return None

    def done(self):
        with self.changed:
            self.busy -= 1
            self.changed.notify_all()

    def hold(self):
        with self.changed:
            self.held = True
            self.changed.wait_for(lambda: not self.busy, PATIENCE)

    def go_on(self):
        with self.changed:
            self.held = False
            self.changed.notify_all()


_ahead = _Ahead()


def ahead(task: Callable[[], object]) -> None:
    """Have a task done by another thread, if the program may use more than one."""
    with _ahead.changed:
        # The thread that asks is one of them, and those that have nothing to do have ended.
        if _ahead.threads + 1 < get_num_threads():
            with suppress(RuntimeError):  # no thread can be had, as when the interpreter exits
                threading.Thread(target=_work, name="cresset-ahead").start()
                _ahead.threads += 1
        if _ahead.threads:
            _ahead.waiting.append(task)


def settle() -> None:
    """Drop what waits to be done, and wait for what is under way."""
    with _ahead.changed:
        _ahead.waiting.clear()
        _ahead.changed.wait_for(lambda: not _ahead.busy)


def ended() -> bool:
    """Whether the program has come to its end, and waits for other threads."""
    return not threading.main_thread().is_alive()


def _work():
    while (task := _ahead.next()) is not None:
        try:
            with suppress(Exception):
                task()
        finally:
            _ahead.done()


os.register_at_fork(
    before=_ahead.hold, after_in_parent=_ahead.go_on, after_in_child=_ahead.begin
)
