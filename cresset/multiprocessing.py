"""Processes: those of Python's `multiprocessing`, and `spawn`.

Tensors are sent to other processes by their bytes; those in shared memory, by `share_memory_()`,
are shared with them.
"""

from __future__ import annotations

import multiprocessing
import signal
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import *  # noqa: F403
from multiprocessing.connection import wait
from typing import Any

from cresset.core.missing import found_late

__all__ = [*multiprocessing.__all__, "ProcessContext", "ProcessExitedException",
           "ProcessRaisedException", "get_all_sharing_strategies", "get_sharing_strategy",
           "set_sharing_strategy", "spawn", "start_processes"]


def get_all_sharing_strategies() -> set[str]:
    """The ways in which tensors can be shared: files without a name."""
    return {"file_descriptor"}


def get_sharing_strategy() -> str:
    """The way in which tensors are shared.

    >>> get_sharing_strategy()
    'file_descriptor'
    """
    return "file_descriptor"


def set_sharing_strategy(new_strategy: str) -> None:
    """Chooses among the ways of sharing; AssertionError for one that there is not."""
    assert new_strategy in get_all_sharing_strategies(), (
        f"set_sharing_strategy: there is no {new_strategy!r}; need 'file_descriptor'"
    )


class ProcessRaisedException(Exception):
    """A process was ended by an error, which the message has with its traceback."""

    def __init__(self, msg: str, error_index: int, error_pid: int | None) -> None:
        super().__init__(msg)
        self.msg, self.error_index, self.pid = msg, error_index, error_pid


class ProcessExitedException(Exception):
    """A process was ended by a signal, or by leaving Python."""

    def __init__(
        self, msg: str, error_index: int, error_pid: int | None, exit_code: int,
        signal_name: str | None = None,
    ) -> None:
        super().__init__(msg)
        self.msg, self.error_index, self.pid = msg, error_index, error_pid
        self.exit_code, self.signal_name = exit_code, signal_name


class ProcessContext:
    """Processes that `spawn` started."""

    def __init__(self, processes: list[Any], errors: list[Any]) -> None:
        self.processes = processes
        self._errors = errors
        self._running = {process.sentinel: k for k, process in enumerate(processes)}

    def pids(self) -> list[int]:
        """Their numbers in the system."""
        return [process.pid for process in self.processes]

    def join(self, timeout: float | None = None) -> bool:
        """Waits until one fails or all are done; whether they are.

        Where one fails the others are ended, and ProcessRaisedException or ProcessExitedException
        tells of it.
        """
        for sentinel in wait([*self._running], timeout) if self._running else ():
            number = self._running.pop(sentinel)
            process = self.processes[number]
            process.join()
            if process.exitcode:
                for other in self.processes:
                    other.terminate()
                    other.join()
                self._raise(number, process)
        return not self._running

    def _raise(self, number: int, process: Any) -> None:
        code, what = process.exitcode, f"process {number} terminated with "
        with suppress(EOFError):
            error = self._errors[number].recv()
            raise ProcessRaisedException(
                f"\n\n-- Process {number} terminated with the following error:\n{error}",
                number, process.pid,
            )
        if code < 0:
            name = signal.Signals(-code).name
            raise ProcessExitedException(f"{what}signal {name}", number, process.pid, code, name)
        raise ProcessExitedException(f"{what}exit code {code}", number, process.pid, code)


def start_processes(
    fn: Callable[..., Any], args: tuple = (), nprocs: int = 1, join: bool = True,
    daemon: bool = False, start_method: str = "spawn",
) -> ProcessContext | None:
    """Starts `nprocs` processes, each of which calls `fn(number, *args)`.

    With `join` it waits for all, and ends them where one fails, with ProcessRaisedException or
    ProcessExitedException; otherwise it returns their ProcessContext.
    """
    context: Any = multiprocessing.get_context(start_method)
    processes, errors = [], []
    for number in range(nprocs):
        receiver, sender = context.Pipe(duplex=False)
        process = context.Process(target=_call, args=(fn, number, args, sender), daemon=daemon)
        process.start()
        sender.close()
        processes.append(process)
        errors.append(receiver)
    started = ProcessContext(processes, errors)
    if not join:
        return started
    while not started.join():
        pass
    return None


def spawn(
    fn: Callable[..., Any], args: tuple = (), nprocs: int = 1, join: bool = True,
    daemon: bool = False, start_method: str = "spawn",
) -> ProcessContext | None:
    """`start_processes`, in processes that begin anew: `fn` and `args` are pickled."""
    return start_processes(fn, args, nprocs, join, daemon, start_method)


def _call(fn: Callable[..., Any], number: int, args: tuple, errors: Any) -> None:
    try:
        fn(number, *args)
    except KeyboardInterrupt:
        # The process that started this one has it too, and tells of it.
        pass
    except Exception:
        errors.send(traceback.format_exc())
        sys.exit(1)


__getattr__, __dir__ = found_late(globals())
