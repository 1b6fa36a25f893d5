"""Building: from a kernel's key to the address of its machine code.

A kernel is looked for in this process, then in the disk cache; only when neither has it is its IR
written and assembled.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping
from functools import cache as once

from cresset.runtime.cache import Cache, directory
from cresset.runtime.ir import Module
from cresset.runtime.loader import load as load_object
from cresset.runtime.target import host, refuse_foreign


class _Builder:
    """What this process has built: the addresses by key, and what it cost."""

    def __init__(self):
        self.built: dict[str, dict[str, int]] = {}
        self.lock = threading.RLock()
        self.compiled = 0
        self.cached = 0
        self.write_ns = 0
        self.assemble_ns = 0
        self.load_ns = 0


_builder = _Builder()


def _unlock():
    """In a forked child: the thread that held the lock is not there to release it."""
    _builder.lock = threading.RLock()


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


def load_module(
    key: str, write: Callable[[], Module], symbols: Mapping[str, int] | None = None
) -> dict[str, int]:
    """The addresses of all public functions of a module; `symbols` defines what it refers to."""
    builder = _builder
    with builder.lock:
        built = builder.built.get(key)
        if built is not None:
            return built
        refuse_foreign()
        start = time.perf_counter_ns()
        cache, target = disk(), host()
        name = cache.name(key, target)
        code = cache.read(name)
        if code is None:
            builder.load_ns += time.perf_counter_ns() - start
            code = _compile(write, target)
            start = time.perf_counter_ns()
            cache.write(name, code)
        else:
            builder.cached += 1
        built = builder.built[key] = load_object(code, symbols)
        builder.load_ns += time.perf_counter_ns() - start
        return built


def _compile(write, target):
    from cresset.runtime.codegen import assemble

    start = time.perf_counter_ns()
    text = write().text()
    written = time.perf_counter_ns()
    code = assemble(text, target)
    _builder.compiled += 1
    _builder.write_ns += written - start
    _builder.assemble_ns += time.perf_counter_ns() - written
    return code


def statistics() -> dict[str, float]:
    """Kernels `compiled` here, taken from the disk cache (`cached`), and the milliseconds spent:
    writing IR (`write_ms`), in LLVM (`assemble_ms`), reading and loading (`load_ms`).
    """
    return {
        "compiled": _builder.compiled,
        "cached": _builder.cached,
        "write_ms": _builder.write_ns / 1e6,
        "assemble_ms": _builder.assemble_ns / 1e6,
        "load_ms": _builder.load_ns / 1e6,
    }
