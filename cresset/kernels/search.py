"""Binary search: where values belong among boundaries in order.

All values take the same number of steps, and a step is a load, a comparison and an addition,
without a branch that could be guessed wrong. Several values go through theirs side by side, since
each step waits for the one before it.

The schedule returns (steps, bytes of each temporary).
"""

from __future__ import annotations

from cresset.core import dtype as types
from cresset.core.dtype import dtype
from cresset.core.layout import Layout
from cresset.kernels.words import Words
from cresset.runtime.ir import Module
from cresset.runtime.program import Step

PIECE = 1024  # values that a piece of shared work should have
TOGETHER = 8  # values that are looked up side by side


def search(boundaries: Layout, values: Layout, sorter: Layout | None, out: Layout, places,
           right: bool):
    """out = the number of boundaries in a row that are less than the value (or equal, by `right`).

    All are packed. Boundaries are one row, or as many as values have rows, of one type with them;
    a sorter names their order. NaN is greater than all. `places` are (boundaries, values, sorter,
    out) in the value table, without the sorter if there is none. A boolean `out` tells instead
    whether the value is a boundary; there is at least one then.
    """
    if out.numel == 0:
        return (), ()
    length = boundaries.shape[-1]
    across = values.shape[-1] if boundaries.ndim > 1 else values.numel
    words = (length, across, length.bit_length())
    kind = values.dtype
    form = (right, sorter is not None, boundaries.ndim > 1)
    step = Step(
        f"search.{kind.name}.{out.dtype.name}.{'.'.join(map(str, form))}",
        lambda: _write(kind, out.dtype, *form),
        tuple(places), words, values.numel, PIECE, values.numel * (1 + length.bit_length()),
    )
    return (step,), ()


def _write(kind: dtype, result: dtype, right: bool, sorted_by: bool, by_rows: bool):
    """The kernel; a unit is a value.

    Words: boundaries, values, sorter if any, out; boundaries in a row; values that share a row;
    steps of a search.
    """
    module = Module()
    f = module.kernel()
    _, begin, end = f.arguments
    words = Words(f)
    boundaries, values = words.pointer(), words.pointer()
    sorter = words.pointer() if sorted_by else None
    out = words.pointer()
    length, across, turns = words.integers(3)
    zero = f.constant("i64", 0)

    def find(first, count):
        """Look up `count` values side by side."""
        indices = [first + k for k in range(count)]
        wanted = [f.load(kind.llvm, f.offset(values, index, kind.llvm)) for index in indices]
        rows = [index.udiv(across) * length if by_rows else zero for index in indices]
        with f.loop(0, turns, carry=[length, *[zero] * count]) as loop:
            # What is looked for lies among so many boundaries from `places` on, or behind them.
            left, *places = loop.values
            rest = left.lshr(1)
            loop.next(rest, *[
                place + further(row, place, left - rest, value)
                for place, row, value in zip(places, rows, wanted)
            ])
        for index, row, place, value in zip(indices, rows, loop.results[1:], wanted):
            if result is types.bool:
                last = row + f.minimum(place, length - 1)
                place = f.load(kind.llvm, f.offset(boundaries, last, kind.llvm)).eq(value)
                place = f.convert(place, "i64")
            f.store(f.convert(place, result.llvm), f.offset(out, index, result.llvm))

    def further(row, place, half, value):
        """`half` if the last of so many boundaries comes before the value, else 0."""
        last = row + place + half - 1
        if sorter is not None:
            last = row + f.load("i64", f.offset(sorter, last, "i64"))
        boundary = f.load(kind.llvm, f.offset(boundaries, last, kind.llvm))
        if kind.is_signed:
            stops = boundary > value if right else boundary >= value
        else:
            stops = boundary.ugt(value) if right else boundary.uge(value)
        # A select would become a branch.
        return half & (f.convert(stops, "i64") - 1)

    whole = end - (end - begin).urem(TOGETHER)
    with f.loop(begin, whole, TOGETHER) as index:
        find(index, TOGETHER)
    with f.loop(whole, end) as index:
        find(index, 1)
    f.ret()
    return module
