"""Targets: the machine that kernels are made for.

`host()` reads the processor's features from the system, without loading LLVM. Only what code
generation uses is listed; a feature that is not found is simply not used.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import NamedTuple


class Target(NamedTuple):
    """What LLVM needs to know, and the width of the vectors that kernels should use.

    The triple always names an ELF system: objects are loaded by Cresset's own loader. `features` is
    spelled as LLVM does, "+avx2,+fma".
    """

    triple: str
    cpu: str
    features: str
    vector_bytes: int

    @property
    def converts_half(self) -> bool:
        """Whether there are instructions between float16 and float32.

        On x86 they came before AVX2, which vectors of 32 bytes stand for; AArch64 has them.
        """
        return self.vector_bytes >= 32 or self.triple.startswith("aarch64")


# The kernel's names of features in /proc/cpuinfo, with LLVM's.
X86 = {"pni": "sse3", "ssse3": "ssse3", "sse4_1": "sse4.1", "sse4_2": "sse4.2", "popcnt": "popcnt",
       "cx16": "cx16", "movbe": "movbe", "bmi1": "bmi", "bmi2": "bmi2", "abm": "lzcnt",
       "avx": "avx", "f16c": "f16c", "fma": "fma", "avx2": "avx2", "avx_vnni": "avxvnni",
       "avx512f": "avx512f", "avx512bw": "avx512bw", "avx512cd": "avx512cd",
       "avx512dq": "avx512dq", "avx512vl": "avx512vl", "avx512_vnni": "avx512vnni",
       "avx512_bf16": "avx512bf16", "avx512_fp16": "avx512fp16",
       "avx512_vpopcntdq": "avx512vpopcntdq"}
ARM = {"asimd": "neon", "atomics": "lse", "asimdrdm": "rdm", "asimddp": "dotprod",
       "asimdhp": "fullfp16", "bf16": "bf16", "i8mm": "i8mm"}
# Processors by what they can do; the name chooses the scheduling model alone.
HASWELL = {"avx2", "fma", "bmi2", "f16c", "lzcnt", "movbe"}
SKYLAKE = HASWELL | {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"}


class _Foreign(threading.local):
    """The machine that kernels are written for instead of this one, each thread by itself."""

    target: Target | None = None


_foreign = _Foreign()


def host() -> Target:
    """The machine that kernels are made for: the one that this process runs on."""
    return _foreign.target or _this_machine()


@contextmanager
def writing_for(target: Target) -> Iterator[None]:
    """Have kernels written for another machine inside, to read or to assemble them.

    Nothing is built to be run there, unless it is this machine after all.
    """
    before, _foreign.target = _foreign.target, target
    try:
        yield
    finally:
        _foreign.target = before


def refuse_foreign() -> None:
    """Raise RuntimeError inside `writing_for` another machine, whose code cannot run here."""
    if host() != _this_machine():
        raise RuntimeError(
            f"build: kernels for {host().cpu} cannot run on this machine, {_this_machine().cpu}; "
            "run operations outside of writing_for()"
        )


@cache
def _this_machine() -> Target:
    machine = os.uname().machine.lower()
    if machine in ("x86_64", "amd64"):
        return x86(_processor_flags("flags") or set())
    if machine in ("aarch64", "arm64"):
        return arm(_processor_flags("Features") or {"asimd"})
    raise RuntimeError(
        f"host: kernels cannot be made for this processor; got {machine!r}; need x86-64 or AArch64"
    )


def x86(flags: set[str]) -> Target:
    """The x86-64 target of a processor with these /proc/cpuinfo flags."""
    found = {X86[flag] for flag in flags & X86.keys()}
    if found >= SKYLAKE:
        cpu, width = "x86-64-v4", 64
    else:
        found = {name for name in found if not name.startswith("avx512")}
        cpu, width = ("x86-64-v3", 32) if found >= HASWELL else ("x86-64", 16)
    features = [f"+{name}" for name in sorted(found)]
    if width == 64:
        features.append("-prefer-256-bit")
    if "vaes" in flags:
        # From Ice Lake and Zen 3 on, which were the first to have that, 64 bits are divided in a
        # few cycles; to look whether 32 would do takes as long, and long to compile.
        features.append("-idivq-to-divl")
    return Target("x86_64-unknown-linux-gnu", cpu, ",".join(features), width)


def arm(flags: set[str]) -> Target:
    """The AArch64 target of a processor with these /proc/cpuinfo features."""
    features = [f"+{name}" for name in sorted(ARM[flag] for flag in flags & ARM.keys())]
    if sys.platform == "darwin":
        features.append("+reserve-x18")  # the system may overwrite that register at any time
    return Target("aarch64-unknown-linux-gnu", "generic", ",".join(features), 16)


def _processor_flags(field: str) -> set[str] | None:
    """What /proc/cpuinfo says of the first processor, None where there is no such file."""
    try:
        with open("/proc/cpuinfo") as lines:
            for line in lines:
                if line.startswith(field) and line[len(field)].isspace():
                    return set(line.partition(":")[2].split())
    except OSError:
        pass
    return None
