"""Binary search: where values belong among boundaries in order.

All values take the same number of steps, and a step is a load, a comparison and a select.

The schedule returns (steps, bytes of each temporary).
"""

from __future__ import annotations

from cresset.core.dtype import dtype
from cresset.core.layout import Layout
from cresset.kernels.words import Words
from cresset.runtime.ir import Module
from cresset.runtime.program import Step

PIECE = 1024  # values that a piece of shared work should have


def search(boundaries: Layout, values: Layout, sorter: Layout | None, out: Layout, places,
           right: bool):
    """out = the number of boundaries in a row that are less than the value (or equal, by `right`).

    All are packed. Boundaries are one row, or as many as values have rows, of one type with them;
    a sorter names their order. NaN is greater than all. `places` are (boundaries, values, sorter,
    out) in the value table, without the sorter if there is none.
    """
    if out.numel == 0:
        return (), ()
    length = boundaries.shape[-1]
    across = values.shape[-1] if boundaries.ndim > 1 else values.numel
    words = (length, across, 1 << length.bit_length() >> 1)
    kind = values.dtype
    step = Step(
        f"search.{kind.name}.{out.dtype.name}.{right}.{sorter is not None}",
        lambda: _write(kind, out.dtype, right, sorter is not None),
        tuple(places), words, values.numel, PIECE, values.numel * 4 * (1 + length.bit_length()),
    )
    return (step,), ()


def _write(kind: dtype, result: dtype, right: bool, sorted_by: bool):
    """The kernel; a unit is a value.

    Words: boundaries, values, sorter if any, out; boundaries in a row; values that share a row; the
    first step, the greatest power of two that is not more than the boundaries.
    """
    module = Module()
    f = module.kernel()
    _, begin, end = f.arguments
    words = Words(f)
    boundaries, values = words.pointer(), words.pointer()
    sorter = words.pointer() if sorted_by else None
    out = words.pointer()
    length, across, widest = words.integers(3)
    with f.loop(begin, end) as index:
        value = f.load(kind.llvm, f.offset(values, index, kind.llvm))
        row = index.udiv(across) * length
        bits = f.intrinsic("cttz", widest | (1 << 62), f.constant("i1", 0))
        turns = f.select(widest.eq(0), 0, bits + 1)
        zero = f.constant("i64", 0)
        with f.loop(0, turns, carry=[zero, widest]) as loop:
            place, step = loop.values
            further = place + step
            last = row + f.minimum(further, length) - 1
            if sorter is not None:
                last = row + f.load("i64", f.offset(sorter, last, "i64"))
            boundary = f.load(kind.llvm, f.offset(boundaries, last, kind.llvm))
            if kind.is_signed:
                beyond = boundary > value if right else boundary >= value
            else:
                beyond = boundary.ugt(value) if right else boundary.uge(value)
            moves = (further <= length) & (beyond ^ True)
            loop.next(f.select(moves, further, place), step.lshr(1))
        found = f.convert(loop.results[0], result.llvm)
        f.store(found, f.offset(out, index, result.llvm))
    f.ret()
    return module
