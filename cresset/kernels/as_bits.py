"""Nests that move what they read, or set its signs alone, over integers of its size."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from cresset.core import dtype as types
from cresset.core import scalar
from cresset.core.scalar import Expression
from cresset.kernels import small_floats

if TYPE_CHECKING:
    from cresset.kernels.nest import Nest

BITS = {d: types.uint8 if d.itemsize == 1 else types.uint16 for d in small_floats.FORMATS}
BITS[types.complex64] = types.int64
# What primitives do to bits that change no more of a number of 16 than its sign.
SIGNS: dict[str, Callable[..., Expression]] = {
    "neg": lambda x: x ^ 0x8000,
    "abs": lambda x: x & 0x7FFF,
    "copysign": lambda x, y: (x & 0x7FFF) | (y & 0x8000),
}


def as_bits(nest: Nest) -> Nest:
    """A nest that copies small floats or complex numbers, or sets signs, over integers."""
    found = {o.dtype for o in nest.operands}
    moves = not nest.folds and all(_moved(s.value) for s in nest.body)
    if not moves or not found <= BITS.keys():
        return nest
    return nest._replace(
        operands=tuple(o._replace(dtype=BITS[o.dtype]) for o in nest.operands),
        body=tuple(s._replace(value=_bits(s.value)) for s in nest.body),
    )


def _moved(e: Expression) -> bool:
    if e.name == "argument":
        return True
    signs = e.dtype in (types.float16, types.bfloat16) and e.name in SIGNS
    return signs and all(_moved(a) for a in e.args)


def _bits(e: Expression) -> Expression:
    if e.name == "argument":
        return scalar.argument(e.value, BITS[e.dtype])
    return SIGNS[e.name](*map(_bits, e.args))
