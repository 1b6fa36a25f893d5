"""Worker processes that load a `DataLoader`'s batches while the program computes."""

from __future__ import annotations

import multiprocessing
import os
import queue
import random
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import cycle, repeat
from typing import Any, NamedTuple

import numpy

import cresset
from cresset.utils.data.sampler import _fresh_seed

# Seconds between looks at whether the processes at the other end still live.
PATIENCE = 1.0
# What a worker answers when its part of an iterable dataset is at its end.
ENDED = "ended"


@dataclass(frozen=True)
class WorkerInfo:
    """Which worker a process is: number `id` of `num_workers`, its `seed`, its `dataset`."""

    id: int
    num_workers: int
    seed: int
    dataset: Any


_info: WorkerInfo | None = None


def get_worker_info() -> WorkerInfo | None:
    """What the process is in a `DataLoader` with workers; None outside of workers."""
    return _info


class Failure(NamedTuple):
    """An error in a worker: its class, and the text to raise it with in the main process."""

    kind: type
    text: str

    def reraise(self) -> None:
        try:
            error = self.kind(self.text)
        except Exception:
            # A class that takes something else than a text.
            error = RuntimeError(self.text)
        raise error


def _failure(number: int, error: Exception) -> Failure:
    text = "".join(traceback.format_exception(error))
    name = type(error).__name__
    return Failure(type(error), f"Caught {name} in DataLoader worker process {number}.\n"
                                f"Original {text}")


def _work(loader: Any, number: int, seed: int, tasks: Any, results: Any) -> None:
    """What a worker process does: answer tasks, each (its number, what to load), until None."""
    # One thread each: it is the processes that share the cores.
    cresset.set_num_threads(1)
    parent, problem = os.getppid(), None
    try:
        fetch = _begin(loader, number, seed)
    except Exception as error:
        problem = _failure(number, error)
    while True:
        try:
            task = tasks.get(timeout=PATIENCE)
        except queue.Empty:
            if os.getppid() != parent:
                return
            continue
        if task is None:
            return
        which, wanted = task
        if which is None:
            fetch = _fetch(loader)
            continue
        found = problem
        if problem is None:
            try:
                found = fetch(wanted)
            except Exception as error:
                found = _failure(number, error)
        results.put((which, found))


def _begin(loader: Any, number: int, seed: int) -> Any:
    """Set a worker up; returns what loads a batch."""
    global _info
    own = seed + number
    random.seed(own)
    cresset.manual_seed(own)
    numpy.random.seed(own % 2**32)
    _info = WorkerInfo(number, loader.num_workers, own, loader.dataset)
    if loader.worker_init_fn is not None:
        loader.worker_init_fn(number)
    return _fetch(loader)


def _fetch(loader: Any) -> Any:
    """What loads a batch in one pass."""
    if loader._streams:
        batches = loader._stream()
        return lambda _: next(batches, ENDED)
    return loader._fetch()


class Workers:
    """The worker processes of one loader."""

    def __init__(self, loader: Any, seed: Any) -> None:
        context = loader.multiprocessing_context
        if context is None or isinstance(context, str):
            context = multiprocessing.get_context(context)
        self.loader = loader
        self.results = context.Queue()
        self.tasks = [context.Queue() for _ in range(loader.num_workers)]
        self.processes = [
            context.Process(
                target=_work, args=(loader, number, seed, tasks, self.results), daemon=True
            )
            for number, tasks in enumerate(self.tasks)
        ]
        for process in self.processes:
            process.start()

    def begin(self) -> None:
        """Have workers that live on begin another pass."""
        for tasks in self.tasks:
            tasks.put((None, None))

    def batches(self, wanted: Iterator[Any]) -> Iterator[Any]:
        """What the workers load, in the order in which it is wanted.

        `wanted` gives what to load for each batch; of an iterable dataset every worker loads its
        own part, in turns. The workers are ahead by `prefetch_factor` batches each.
        """
        alive = dict.fromkeys(range(len(self.tasks)))
        turns, numbers = cycle(range(len(self.tasks))), iter(range(10**18))
        owners: dict[int, int] = {}
        ready: dict[int, Any] = {}
        ahead = self.loader.prefetch_factor * len(self.tasks)

        def send() -> None:
            task = next(wanted, ENDED) if alive else ENDED
            if task is not ENDED:
                owner = next(number for number in turns if number in alive)
                which = next(numbers)
                owners[which] = owner
                self.tasks[owner].put((which, task))

        for _ in range(ahead):
            send()
        try:
            while owners:
                which = next(iter(owners)) if self.loader.in_order or not ready else next(
                    iter(ready))
                while which not in ready:
                    arrived, found = self._receive()
                    ready[arrived] = found
                    if not self.loader.in_order:
                        which = arrived
                owner, found = owners.pop(which), ready.pop(which)
                if type(found) is str and found == ENDED:
                    alive.pop(owner, None)
                    send()
                    continue
                send()
                if isinstance(found, Failure):
                    found.reraise()
                yield found
        finally:
            # What is on its way belongs to this pass.
            for _ in range(len(owners) - len(ready)):
                self._receive()

    def _receive(self) -> tuple[int, Any]:
        """The next answer; RuntimeError where a worker has died or takes too long."""
        limit = self.loader.timeout
        started = time.monotonic()
        while True:
            try:
                return self.results.get(timeout=min(limit or PATIENCE, PATIENCE))
            except queue.Empty:
                dead = [p.pid for p in self.processes if not p.is_alive()]
                if dead:
                    raise RuntimeError(
                        f"DataLoader: worker (pid(s) {', '.join(map(str, dead))}) exited "
                        "unexpectedly; it may have run out of memory; num_workers=0 shows its error"
                    ) from None
                if limit and time.monotonic() - started >= limit:
                    raise RuntimeError(
                        f"DataLoader: timed out after {limit} seconds; give a longer timeout, or 0"
                    ) from None

    def end(self) -> None:
        """End the processes."""
        for tasks, process in zip(self.tasks, self.processes):
            if process.is_alive():
                tasks.put(None)
        for process in self.processes:
            process.join(PATIENCE)
            if process.is_alive():
                process.terminate()
                process.join()
        for each in (*self.tasks, self.results):
            each.cancel_join_thread()
            each.close()


def loaded(loader: Any) -> Iterator[Any]:
    """One pass over a loader with workers, which are seeded unless they live on from another."""
    return _passed(loader, None if loader._workers else _fresh_seed(loader.generator))


def _passed(loader: Any, seed: int | None) -> Iterator[Any]:
    if loader._streams:
        wanted: Iterator[Any] = repeat(None)
    else:
        wanted = iter(loader.batch_sampler if loader._batched else loader.sampler)
    workers = loader._workers
    if workers is None:
        workers = Workers(loader, seed)
    else:
        workers.begin()
    loader._workers = workers if loader.persistent_workers else None
    try:
        yield from workers.batches(wanted)
    except BaseException:
        loader._workers = None
        raise
    finally:
        if loader._workers is None:
            workers.end()
