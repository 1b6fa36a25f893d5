"""Products of matrices of bytes, as products of two bytes each.

Nothing multiplies vectors of bytes. What is kept of a sum are its low bits, which are the same in a
wider type.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from cresset.core import dtype as types
from cresset.core import scalar
from cresset.core.dtype import dtype
from cresset.core.layout import contiguous_strides
from cresset.kernels import matmul
from cresset.kernels.nest import Nest, Operand, Store, steps
from cresset.kernels.schedule import Schedule


def byte_matmul(batch: Sequence[int], m: int, n: int, k: int, dtype: dtype, a: matmul.Operand,
                b: matmul.Operand, c: matmul.Operand, bias: matmul.Operand | None = None, *,
                first_temporary: int):
    """The steps of c = a b (+ bias) over int8 or uint8; arguments are those of `matmul`."""
    schedule = Schedule(first_temporary)
    left = _wide(schedule, dtype, (*batch, m, k), a)
    right = _wide(schedule, dtype, (*batch, k, n), b)
    added = None if bias is None else _wide(schedule, dtype, (*batch, m, n), bias)
    shape = (*batch, m, n)
    packed = contiguous_strides(shape)
    target = schedule.temporary(prod(shape) * types.int16.itemsize)
    schedule.follow(matmul.matmul(
        batch, m, n, k, types.int16, left, right, matmul.Operand(target, packed), added,
        first_temporary=schedule.next_temporary,
    ))
    operands = (Operand(target, types.int16, packed), Operand(c.place, dtype, c.strides))
    _copy(schedule, shape, operands)
    return schedule.result()


def _wide(schedule, dtype, shape, x: matmul.Operand) -> matmul.Operand:
    """An operand in two bytes, copied over the dims that move."""
    kept = tuple(n if step else min(n, 1) for n, step in zip(shape, x.strides))
    packed = contiguous_strides(kept)
    target = schedule.temporary(prod(kept) * types.int16.itemsize)
    _copy(schedule, kept, (Operand(x.place, dtype, x.strides),
                           Operand(target, types.int16, packed)))
    return matmul.Operand(target, tuple(s if n == m else 0 for s, n, m in zip(packed, kept, shape)))


def _copy(schedule, shape, operands):
    value = scalar.cast(scalar.argument(0, operands[0].dtype), operands[1].dtype)
    nest = Nest(tuple(shape), frozenset(), operands, (Store(1, value, False),))
    schedule.steps += steps(nest)[0]
