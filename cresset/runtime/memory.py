"""Host memory: what the caching allocator holds, and giving it back.

The allocator itself is emitted (`heap.py`); this file reads its counts, sets its limits, and words
its error.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache

from cresset.core.errors import OutOfMemoryError
from cresset.runtime.heap import WORD

CACHED_PART = 8  # freed blocks may take one part in so many of the machine's memory
GIB = 1 << 30


class _Memory:
    """The allocator of this process, once the native part is there."""

    state = None  # the words of heap.py
    trim: Callable | None = None
    cache_limit: int | None = None  # as set


def attach(state, trim: int, block_type: type) -> None:
    """Take over the emitted allocator and state its limits."""
    _Memory.state = state
    _Memory.trim = ctypes.PYFUNCTYPE(None, ctypes.c_int64)(trim)
    state[WORD["block_type"]] = id(block_type)
    state[WORD["limit"]] = machine_memory()
    state[WORD["cache_limit"]] = get_cache_limit()


def memory_stats() -> dict[str, int]:
    """What the allocator holds and has done, under PyTorch's names.

    `allocated_bytes` are in use by tensors; `reserved_bytes` are those and the freed blocks that
    are kept for reuse; `allocation` counts blocks. Each has `.all.current`, `.peak`, `.allocated`
    (ever) and `.freed` (ever). `num_device_alloc` and `num_device_free` count requests to the
    system, `num_alloc_retries` those that succeeded or failed after the cache was emptied,
    `num_ooms` those that failed.
    """
    state = _Memory.state
    value = {name: 0 if state is None else state[index] for name, index in WORD.items()}
    stats = {}
    names = (("allocated_bytes", "allocated"), ("reserved_bytes", "reserved"),
             ("allocation", "count"))
    for name, field in names:
        current, total = value[field], value[f"{field}_total"]
        stats[f"{name}.all.current"] = current
        stats[f"{name}.all.peak"] = value[f"{field}_peak"]
        stats[f"{name}.all.allocated"] = total
        stats[f"{name}.all.freed"] = total - current
    stats["num_device_alloc"] = value["system_allocations"]
    stats["num_device_free"] = value["system_frees"]
    stats["num_alloc_retries"] = value["retries"]
    stats["num_ooms"] = value["failures"]
    return stats


def reset_peak_memory_stats() -> None:
    """Start the peaks anew from what is held now."""
    state = _Memory.state
    if state is not None:
        for field in ("allocated", "reserved", "count"):
            state[WORD[f"{field}_peak"]] = state[WORD[field]]


def empty_cache() -> None:
    """Give the freed blocks that were kept for reuse back to the system."""
    if _Memory.trim is None:
        return
    _Memory.trim(0)
    give_back = _malloc_trim()
    if give_back is not None:
        give_back(0)


def get_cache_limit() -> int:
    """Bytes of freed blocks that are kept for reuse at most, an eighth of the machine's memory."""
    if _Memory.cache_limit is None:
        return machine_memory() // CACHED_PART
    return _Memory.cache_limit


def set_cache_limit(nbytes: int) -> None:
    """Keep at most `nbytes` of freed blocks for reuse; 0 keeps none.

    Raises ValueError where it is negative.
    """
    if nbytes < 0:
        raise ValueError(f"set_cache_limit: got {nbytes}; need a number of bytes, 0 or more")
    _Memory.cache_limit = nbytes
    state = _Memory.state
    if state is not None:
        state[WORD["cache_limit"]] = nbytes
        _Memory.trim(nbytes)


def exhausted(nbytes: int) -> None:
    """Raise the error of a request that could not be met; emitted code calls this."""
    stats = memory_stats()
    allocated = stats["allocated_bytes.all.current"]
    cached = stats["reserved_bytes.all.current"] - allocated
    raise OutOfMemoryError(
        f"allocate: not enough memory; {_readable(nbytes)} were asked for, tensors hold "
        f"{_readable(allocated)} and {_readable(cached)} are cached, of "
        f"{_readable(machine_memory())} that the machine has; drop tensors that are no longer "
        "needed, use smaller batches, or run under no_grad() where no gradient is wanted"
    )


def _readable(nbytes):
    for unit, name in ((GIB, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")):
        if nbytes >= unit:
            return f"{nbytes / unit:.2f} {name}"
    return f"{nbytes} bytes"


@cache
def machine_memory() -> int:
    """Bytes that the process can have: memory and swap, or its control group's share of them."""
    total = 0
    try:
        with open("/proc/meminfo") as lines:
            for line in lines:
                if line.startswith(("MemTotal:", "SwapTotal:")):
                    total += int(line.split()[1]) << 10
    except OSError:
        import os

        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            with open(path) as file:
                total = min(total, int(file.read()))
        except (OSError, ValueError):
            continue
    return total


@cache
def _malloc_trim():
    """glibc's function that returns unused pages of small blocks; None elsewhere."""
    return getattr(ctypes.CDLL(None), "malloc_trim", None)
