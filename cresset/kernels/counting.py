"""Counting: how often each of the first integers occurs.

An addition to an element waits for the one before it, if that was to the same element. So places
that follow one another are counted in tables of their own, and so are pieces of the work; the
tables are added up at the end. Counts are whole, so their order is of no consequence.

The schedule returns (steps, bytes of each temporary).
"""

from __future__ import annotations

from cresset.core import dtype as types
from cresset.core import scalar
from cresset.core.layout import Layout
from cresset.kernels.nest import Nest, Operand, Reduce, Store, steps
from cresset.kernels.words import Words
from cresset.runtime.ir import Module
from cresset.runtime.program import Step

TABLES = 4  # for places that follow one another
SMALL = 512  # entries, up to which so many tables stay in the first cache
PIECES = 8  # of the work, at most
PIECE = 1 << 15  # places that a piece has at least


def count_places(places: Layout, out: Layout, values, first_temporary: int):
    """out[k] = how often the integer k stands in a vector; values are (places, out).

    What is not below the size of `out` is left out.
    """
    size = out.numel
    tables = TABLES if size <= SMALL else 1
    pieces = max(1, min(PIECES, places.numel // max(PIECE, tables * size)))
    # The entry behind the others takes what is no place.
    row = size + 1
    kind, packed = places.dtype, places.strides[0] == 1
    counting = Step(
        f"count.{kind.name}.{tables}{'.packed' * packed}",
        lambda: _write(kind, tables, packed),
        (values[0], first_temporary),
        (places.numel, places.strides[0], -(-places.numel // pieces), row),
        pieces, 1, places.numel,
    )
    value = scalar.argument(0, types.int64)
    added = scalar.argument(0, types.int64) + scalar.argument(1, types.int64)
    adding, more = steps(Nest(
        (size, pieces * tables), frozenset({1}),
        (Operand(first_temporary, types.int64, (1, row)), Operand(values[1], types.int64, (1, 0))),
        (Reduce((value,), (added,), (0,)), Store(1, scalar.accumulator(0, types.int64), True)),
    ), first_temporary + 1)
    return (counting, *adding), (8 * pieces * tables * row, *more)


def _write(kind, tables: int, packed: bool) -> Module:
    """The kernel; a unit is a piece of the places, with tables of its own.

    Words: places, tables; the number of places, their stride, those of a piece; entries of a table.
    """
    module = Module()
    f = module.kernel()
    _, begin, end = f.arguments
    words = Words(f)
    places, memory = words.pointer(), words.pointer()
    count, stride, piece, row = words.integers(4)
    with f.loop(begin, end) as unit:
        base = f.offset(memory, unit * row * tables, "i64")
        rows = [f.offset(base, row * k, "i64") for k in range(tables)]
        with f.loop(0, row * tables) as entry:
            f.store(f.constant("i64", 0), f.offset(base, entry, "i64"))
        first = unit * piece
        last = f.minimum(first + piece, count)
        whole = first + tables * (last - first).udiv(tables)

        def counted(at, table):
            at = at if packed else at * stride
            place = f.load(kind.llvm, f.offset(places, at, kind.llvm))
            place = f.convert(place, "i64", kind.is_signed)
            entry = f.offset(table, f.select(place.ult(row), place, row - 1), "i64")
            f.store(f.load("i64", entry) + 1, entry)

        with f.loop(first, whole, tables) as i:
            for k, table in enumerate(rows):
                counted(i + k, table)
        with f.loop(whole, last) as i:
            counted(i, rows[0])
    f.ret()
    return module
