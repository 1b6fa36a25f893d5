#!/usr/bin/env python3
"""What this machine can do: fused multiply-adds a second, and bytes a second to and from memory.

The kernels are written with Cresset's own IR builder and run as its programs. FMA peak is that of
independent chains that never leave the registers. Bandwidth is that of `y = x` (copy, two streams)
and of `z = x + 2 y` (triad, three) over arrays as large as asked, every byte counted once: by plain
stores, which read a line before they overwrite it, and by stores past the caches.
"""

import argparse
import json
import os
import time
from typing import NamedTuple

import cresset
from cresset.core.layout import Layout
from cresset.runtime import build, native
from cresset.runtime.ir import Module, vector
from cresset.runtime.program import Program, Step
from cresset.runtime.target import host

CHAINS = 12  # independent sums, enough to hide the latency of an FMA on two pipes
TURNS = 200_000  # of the loop over all chains, a unit of work
PIECE = 1 << 14  # floats to a unit of the bandwidth kernels
SIZES = {"cache": 4 << 20, "memory": 256 << 20}  # bytes of an array: in the last cache, and beyond


class Limits(NamedTuple):
    """GFLOP/s of float32, and GB/s for arrays of the sizes of the workloads and beyond caches."""

    gflops: float
    copy: float
    triad: float
    memory_copy: float
    memory_triad: float

    @property
    def bandwidth(self) -> float:
        """The most GB/s that arrays of the size of the workloads saw."""
        return max(self.copy, self.triad)

    def summary(self, threads: int) -> str:
        """All of it in a line."""
        near, far = (size >> 20 for size in SIZES.values())
        return (
            f"{threads} thread{'s' * (threads > 1)}: FMA {self.gflops:.0f} GFLOP/s; arrays of "
            f"{near} MiB: copy {self.copy:.1f} GB/s, triad {self.triad:.1f} GB/s; of {far} MiB: "
            f"copy {self.memory_copy:.1f} GB/s, triad {self.memory_triad:.1f} GB/s"
        )


def write_fma():
    """Unit after unit: CHAINS vectors, each multiplied and added to TURNS times."""
    module = Module()
    f = module.kernel()
    lanes = host().vector_bytes // 4
    type = vector("float", lanes)
    arguments, begin, end = f.arguments
    out = f.load("ptr", arguments)
    factor, term = (f.constant(type, number) for number in (0.999, 0.001))
    with f.loop(begin, end) as unit:
        with f.loop(0, TURNS, carry=[f.constant(type, k) for k in range(CHAINS)]) as loop:
            loop.next(*(f.intrinsic("fmuladd", x, factor, term) for x in loop.values))
        total = loop.results[0]
        for x in loop.results[1:]:
            total = total + x
        f.store(total, f.offset(out, unit, type))
    f.ret()
    return module


def write_stream(sources, past_caches):
    """target = the sum of the sources, the second of them doubled, PIECE floats to a unit."""
    module = Module()
    f = module.kernel()
    lanes = host().vector_bytes // 4
    type = vector("float", lanes)
    arguments, begin, end = f.arguments
    target, *read = (f.load("ptr", f.offset(arguments, k, "ptr")) for k in range(1 + sources))
    if past_caches:
        module.globals.append("!0 = !{i32 1}")
    with f.loop(begin * PIECE, end * PIECE, 4 * lanes) as first:
        for k in range(4):
            at = first + k * lanes
            x = f.load(type, f.offset(read[0], at, "float"))
            for y in read[1:]:
                x = x + f.load(type, f.offset(y, at, "float")) * 2.0
            place = f.offset(target, at, "float")
            if past_caches:
                f.emit(None, f"store {x}, {place}, align {4 * lanes}, !nontemporal !0")
            else:
                f.store(x, place)
    f.ret()
    return module


def best(call, seconds=0.3):
    """The least seconds of a call, of as many as the time allows."""
    call()
    found, deadline = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < deadline:
        began = time.perf_counter()
        call()
        found = min(found, time.perf_counter() - began)
    return found


def launcher(key, write, inputs, output, units):
    """A program of one kernel whose units are shared among threads one by one."""
    operands = tuple(range(1 + len(inputs)))
    step = Step(f"benchmarks.{key}", write, operands, units=units, grain=1, work=1 << 30)
    return native.make_launcher(
        Program(inputs, (output,), (step,)), [build.load(step.key, step.write)]
    )


def fma_peak(threads):
    """GFLOP/s of so many threads."""
    lanes, units = host().vector_bytes // 4, 4 * threads
    out = Layout.packed((units * lanes,), cresset.float32)
    seconds = best(launcher("fma", write_fma, "", out, units))
    return 2 * lanes * CHAINS * TURNS * units / seconds / 1e9


def bandwidth(sources, size):
    """GB/s of all threads, reading so many arrays of `size` bytes and writing one."""
    count = size // 4
    arrays = [cresset.ones(count) for _ in range(sources)]
    output = Layout.packed((count,), cresset.float32)
    seconds = min(
        best(lambda call=call: call(*arrays))
        for past_caches in (False, True)
        for call in [launcher(
            f"stream.{sources}.{past_caches}",
            lambda past_caches=past_caches: write_stream(sources, past_caches),
            "t" * sources, output, count // PIECE,
        )]
    )
    return (sources + 1) * size / seconds / 1e9


def measure(threads) -> Limits:
    """The limits of the machine for so many threads."""
    cresset.set_num_threads(threads)
    sizes = SIZES.values()
    return Limits(fma_peak(threads), *(bandwidth(n, size) for size in sizes for n in (1, 2)))


def main():
    """Print the limits, for one thread and for all unless told how many."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="print what side_by_side.py reads")
    options = parser.parse_args()
    for threads in [options.threads] if options.threads else sorted({1, os.cpu_count() or 1}):
        found = measure(threads)
        summary = found.summary(threads)
        if options.json:
            summary = json.dumps({
                "gflops": found.gflops, "bandwidth": found.bandwidth, "summary": summary
            })
        print(summary)


if __name__ == "__main__":
    main()
