"""The command line: `cresset info` tells what runs here, as a report of a fault should."""

from __future__ import annotations

import argparse
import os
import platform
import sys
import textwrap
from collections.abc import Sequence
from importlib import metadata

import cresset
from cresset.runtime import cache, memory, pool, target

GIB, MIB = 1 << 30, 1 << 20


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command, by default that of the command line; returns the exit status.

    Raises SystemExit, with status 2, where there is no such command.
    """
    parser = argparse.ArgumentParser(
        prog="cresset", description="PyTorch's programming model, rebuilt small in Python."
    )
    commands = parser.add_subparsers(dest="command", metavar="command")
    commands.add_parser("info", help="versions, processor, threads, the kernel cache, memory")
    if parser.parse_args(arguments).command == "info":
        print(info())
    else:
        parser.print_help()
    return 0


def info() -> str:
    """What `cresset info` prints: a title and a text to a line."""
    sections = (_versions(), _processor(), _kernel_cache(), _memory())
    rows = [row for section in sections for row in section]
    width = max(len(title) for title, _ in rows)
    return "\n".join(f"{title:<{width}}  {text}" for title, text in rows)


def _versions():
    yield "Cresset", cresset.__version__
    yield "Python", f"{platform.python_version()}, {platform.platform()}"
    for name, package in (("NumPy", "numpy"), ("llvmlite", "llvmlite")):
        yield name, metadata.version(package)
    yield "LLVM", _llvm_version()


def _llvm_version():
    """LLVM's version, or why it cannot be loaded: it says its version itself, and only itself."""
    try:
        from llvmlite import binding
    except (ImportError, OSError) as error:
        return f"cannot be loaded: {error}"
    return ".".join(map(str, binding.llvm_version_info))


def _processor():
    host = target.host()
    yield "processor", _processor_name()
    features = host.features.replace("+", "").replace(",", " ")
    yield "target", host.cpu
    for index, line in enumerate(textwrap.wrap(features, 64, break_on_hyphens=False)):
        yield "" if index else "features", line
    yield "vectors", f"{host.vector_bytes * 8} bits"
    yield "threads", f"{pool.get_num_threads()} of {os.cpu_count()} processors"


def _processor_name():
    try:
        with open("/proc/cpuinfo") as lines:
            for line in lines:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _kernel_cache():
    place = cache.directory()
    try:
        with os.scandir(place) as entries:
            # A point in a name: an entry that is being written.
            sizes = [e.stat().st_size for e in entries if e.is_file() and "." not in e.name]
    except FileNotFoundError:
        sizes = []
    except OSError as error:
        yield "kernel cache", f"{place} cannot be read: {error.strerror}"
        return
    size, most = sum(sizes) / MIB, cache.MOST_BYTES / MIB
    yield "kernel cache", place
    yield "", f"{len(sizes)} kernels, {size:.1f} MiB of {most:.0f} MiB at most"


def _memory():
    stats = memory.memory_stats()
    held = stats["allocated_bytes.all.current"] / MIB
    peak = stats["allocated_bytes.all.peak"] / MIB
    reserved = stats["reserved_bytes.all.current"] / MIB
    limit = memory.get_cache_limit() / GIB
    yield "memory", f"{memory.machine_memory() / GIB:.1f} GiB that this process can have"
    yield "", f"{held:.1f} MiB in tensors, {peak:.1f} MiB at the peak"
    yield "", f"{reserved - held:.1f} MiB kept for reuse, {limit:.1f} GiB at most"


if __name__ == "__main__":
    sys.exit(main())
