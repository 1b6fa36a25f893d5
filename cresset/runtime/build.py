"""Building: from a kernel's key to the address of its machine code.

A kernel is looked for in this process, then in the disk cache; only when neither has it is its IR
written and assembled. Kernels that are needed together are assembled on several cores at once.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import cache as once

from cresset.runtime.ahead import ahead
from cresset.runtime.cache import Cache, directory
from cresset.runtime.ir import Module
from cresset.runtime.loader import load as load_object
from cresset.runtime.pool import get_num_threads
from cresset.runtime.program import Step
from cresset.runtime.target import host, refuse_foreign


class _Builder:
    """What this process has built: the addresses by key, and what it cost."""

    def __init__(self):
        self.built: dict[str, dict[str, int]] = {}
        self.lock = threading.RLock()  # for all but assembling
        self.being_built: dict[str, threading.Lock] = {}
        self.compiled = 0
        self.asked = 0  # how many there were when somebody asked last
        self.cached = 0
        self.write_ns = 0
        self.assemble_ns = 0
        self.load_ns = 0


_builder = _Builder()


def _unlock():
    """In a forked child: the threads that held locks are not there to release them."""
    _builder.lock = threading.RLock()
    _builder.being_built.clear()


os.register_at_fork(after_in_child=_unlock)


@once
def disk() -> Cache:
    """The disk cache of this process."""
    return Cache(directory())


def load(key: str, write: Callable[[], Module]) -> int:
    """The address of @kernel of the module named `key`, which `write` writes when no cache has it.

    Raises AssemblyError when the IR is wrong, LoadError when it calls what does not exist.
    """
    built = _builder.built.get(key)
    return (built or load_module(key, write))["kernel"]


def load_all(steps: Iterable[Step]) -> list[int]:
    """The addresses of the kernels of all steps, each followed by that of its epilogue."""
    parts = [part for step in steps for part in step.parts]
    built = _builder.built
    missing = {part.key: part.write for part in parts if part.key not in built}
    if len(missing) > 1:
        refuse_foreign()
        # Threads wait longer for one another than it takes to load what the disk has.
        new = [(key, write) for key, write in missing.items() if not _is_stored(key)]
        threads = min(len(new), get_num_threads())
        if threads > 1:
            _load_at_once(new, threads)
    return [load(part.key, part.write) for part in parts]


def _is_stored(key: str) -> bool:
    return disk().has(disk().name(key, host()))


def _load_at_once(left, threads):
    """Load kernels in so many threads. What fails will fail again, where it is asked for."""

    def load_some():
        while left:
            with suppress(Exception):
                load(*left.pop(0))

    for _ in range(threads - 1):
        ahead(load_some)
    load_some()


def load_module(
    key: str, write: Callable[[], Module], symbols: Mapping[str, int] | None = None
) -> dict[str, int]:
    """The addresses of all public functions of a module; `symbols` defines what it refers to."""
    builder = _builder
    with builder.being_built.setdefault(key, threading.Lock()):
        built = builder.built.get(key)
        if built is None:
            built = builder.built[key] = _build(key, write, symbols)
    builder.being_built.pop(key, None)
    return built


def _build(key, write, symbols):
    builder, clock = _builder, time.perf_counter_ns
    refuse_foreign()
    with builder.lock:
        start = clock()
        cache, target = disk(), host()
        name = cache.name(key, target)
        code = cache.read(name)
        builder.cached += code is not None
        builder.load_ns += clock() - start
    if code is None:
        code = _compile(write, target)
        with builder.lock:
            start = clock()
            cache.write(name, code)
            builder.load_ns += clock() - start
    with builder.lock:
        start = clock()
        built = load_object(code, symbols)
        builder.load_ns += clock() - start
    return built


def _compile(write, target):
    from cresset.runtime.codegen import assemble

    builder, clock = _builder, time.perf_counter_ns
    with builder.lock:
        start = clock()
        text = write().text()
        builder.write_ns += clock() - start
    start = clock()
    code = assemble(text, target)
    with builder.lock:
        builder.compiled += 1
        builder.assemble_ns += clock() - start
    return code


def is_compiling() -> bool:
    """Whether anything was compiled since this was last asked."""
    before, _builder.asked = _builder.asked, _builder.compiled
    return before != _builder.compiled


def statistics() -> dict[str, float]:
    """Kernels `compiled` here, taken from the disk cache (`cached`), and the milliseconds spent:
    writing IR (`write_ms`), in LLVM (`assemble_ms`, of all threads together), reading and loading
    (`load_ms`).
    """
    return {
        "compiled": _builder.compiled,
        "cached": _builder.cached,
        "write_ms": _builder.write_ns / 1e6,
        "assemble_ms": _builder.assemble_ns / 1e6,
        "load_ms": _builder.load_ns / 1e6,
    }
