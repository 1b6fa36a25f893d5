"""Products of complex matrices as products of real ones.

A row of complex numbers is a row of twice as many real ones, and so is a row of the product:

    (x + y i) (u + v i)  =  [x y] [ u  v]
                                  [-v  u]

So the left matrix is read where it lies, as m rows of 2 k; under every row of the right one a
second stands, i times the first; and the real product of both is the complex one, where it belongs.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from cresset.core import scalar
from cresset.core.dtype import dtype
from cresset.core.layout import contiguous_strides
from cresset.kernels import matmul
from cresset.kernels.nest import Nest, Operand, Store, steps
from cresset.kernels.schedule import Schedule


def complex_matmul(batch: Sequence[int], m: int, n: int, k: int, dtype: dtype, a: matmul.Operand,
                   b: matmul.Operand, c: matmul.Operand, bias: matmul.Operand | None = None, *,
                   first_temporary: int):
    """The steps of c = a b (+ bias) over complex matrices; arguments are those of `matmul`.

    The rows of c are contiguous.
    """
    schedule = Schedule(first_temporary)
    left = _pairs(schedule, dtype, batch, (m, k), a)
    right = _doubled(schedule, dtype, batch, (k, n), b)
    added = None if bias is None else _pairs(schedule, dtype, batch, (m, n), bias)
    schedule.follow(matmul.matmul(
        batch, m, 2 * n, 2 * k, dtype.to_real(), left, right,
        matmul.Operand(c.place, _in_parts(c.strides)), added,
        first_temporary=schedule.next_temporary,
    ))
    return schedule.result()


def _in_parts(strides) -> tuple[int, ...]:
    """Strides counted in parts, over rows of pairs."""
    return (*(2 * s for s in strides[:-1]), 1)


def _pairs(schedule, dtype, batch, sizes, x: matmul.Operand) -> matmul.Operand:
    """A complex operand as a real one of twice as many columns, copied unless they lie so."""
    place, strides = x.place, x.strides
    if strides[-1] != 1 and sizes[1] > 1:
        # Every column is one of the copy, even of one that stands still.
        shape = (*batch, *sizes)
        place, strides = _expanded(schedule, dtype, shape, place, strides)
    return matmul.Operand(place, _in_parts(strides))


def _expanded(schedule, dtype, shape, place, strides):
    """A packed copy over the dims that move, and over the last one."""
    kept = [n if s or d == len(shape) - 1 else 1 for d, (n, s) in enumerate(zip(shape, strides))]
    packed = contiguous_strides(tuple(kept))
    temporary = schedule.temporary(prod(kept) * dtype.itemsize)
    operands = (Operand(place, dtype, tuple(strides)), Operand(temporary, dtype, packed))
    nest = Nest(tuple(kept), frozenset(), operands, (Store(1, scalar.argument(0, dtype), False),))
    schedule.steps += steps(nest)[0]
    return temporary, tuple(s if n == m else 0 for s, n, m in zip(packed, kept, shape))


def _doubled(schedule, dtype, batch, sizes, x: matmul.Operand) -> matmul.Operand:
    """The rows u + v i of a complex operand, each followed by i times it, as twice as many real."""
    k, n = sizes
    shape = (*batch, k, n)
    kept = [size if s or d >= len(batch) else 1
            for d, (size, s) in enumerate(zip(shape, x.strides))]
    rows = (*kept[:-1], 2, n)
    packed = contiguous_strides(rows)
    target = (*packed[:-3], packed[-3], 1)
    temporary = schedule.temporary(prod(rows) * dtype.itemsize)
    leaf = scalar.argument(0, dtype)
    turned = scalar.join(-scalar.imaginary(leaf), scalar.real(leaf))
    operands = (Operand(x.place, dtype, tuple(x.strides)), Operand(temporary, dtype, target),
                Operand(temporary, dtype, target, n))
    body = (Store(1, leaf, False), Store(2, turned, False))
    schedule.steps += steps(Nest(tuple(kept), frozenset(), operands, body))[0]
    outer = [2 * s if size == whole else 0
             for s, size, whole in zip(packed[: len(batch)], kept, shape)]
    return matmul.Operand(temporary, (*outer, 2 * n, 1))
