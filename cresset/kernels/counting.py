"""Counting: how often each of the first integers occurs, or how many reals lie in parts of a range.

An addition to an element waits for the one before it, if that was to the same element. So places
that follow one another are counted in tables of their own, and so are pieces of the work; the
tables are added up at the end. Counts are whole, so their order is of no consequence.

The schedule returns (steps, bytes of each temporary).
"""

from __future__ import annotations

from cresset.core import dtype as types
from cresset.core import scalar
from cresset.core.dtype import dtype
from cresset.core.layout import Layout
from cresset.kernels.nest import Nest, Operand, Reduce, Store, steps
from cresset.kernels.words import Words
from cresset.runtime.ir import Module
from cresset.runtime.program import STATUS, Step

TABLES = 4  # for places that follow one another
SMALL = 512  # entries, up to which so many tables stay in the first cache
PIECES = 8  # of the work, at most
PIECE = 1 << 15  # places that a piece has at least


def count_places(places: Layout, out: Layout, values, first_temporary: int):
    """out[k] = how often the integer k stands in a vector; values are (places, out).

    What is not below the size of `out` is left out. Of reals those are counted that lie in part k
    of as many equal ones as `out` has; values are (reals, out, range), two reals: the least and the
    greatest that are in, and NaN is not.
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
        (values[0], first_temporary, *values[2:]),
        (places.numel, places.strides[0], -(-places.numel // pieces), row),
        pieces, 1, places.numel,
    )
    value = scalar.argument(0, types.int64)
    added = scalar.argument(0, types.int64) + scalar.argument(1, types.int64)
    number = scalar.cast(scalar.accumulator(0, types.int64), out.dtype)
    adding, more = steps(Nest(
        (size, pieces * tables), frozenset({1}),
        (Operand(first_temporary, types.int64, (1, row)), Operand(values[1], out.dtype, (1, 0))),
        (Reduce((value,), (added,), (0,)), Store(1, number, True)),
    ), first_temporary + 1)
    return (counting, *adding), (8 * pieces * tables * row, *more)


def _write(kind, tables: int, packed: bool) -> Module:
    """The kernel; a unit is a piece of the places, with tables of its own.

    Words: places, tables, the range of reals; the number of places, their stride, those of a piece;
    entries of a table.
    """
    module = Module()
    f = module.kernel()
    _, begin, end = f.arguments
    words = Words(f)
    places, memory = words.pointer(), words.pointer()
    ends = words.pointer() if kind.is_floating_point else None
    count, stride, piece, row = words.integers(4)
    if ends is not None:
        low, high = (f.load(kind.llvm, f.offset(ends, k, kind.llvm)) for k in (0, 1))
        parts, reach = f.convert(row - 1, kind.llvm), high - low

    def place_of(value):
        """The entry of what was loaded."""
        if ends is None:
            place = f.convert(value, "i64", kind.is_signed)
            return f.select(place.ult(row), place, row - 1)
        inside = (value >= low) & (value <= high)
        part = (f.select(inside, value, low) - low) * parts / reach
        return f.select(inside, f.minimum(f.convert(part, "i64"), row - 2), row - 1)

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
            place = place_of(f.load(kind.llvm, f.offset(places, at, kind.llvm)))
            entry = f.offset(table, place, "i64")
            f.store(f.load("i64", entry) + 1, entry)

        with f.loop(first, whole, tables) as i:
            for k, table in enumerate(rows):
                counted(i + k, table)
        with f.loop(whole, last) as i:
            counted(i, rows[0])
    f.ret()
    return module


def check_least(kind: dtype, place: int) -> Step:
    """The step that stops a program where an integer, a value, is negative; the status names it."""
    return Step(f"count.least.{kind.name}", lambda: _write_check(kind), (place, STATUS))


def _write_check(kind: dtype) -> Module:
    module = Module()
    f = module.kernel()
    words = Words(f)
    least, status = f.load(kind.llvm, words.pointer()), words.pointer()
    with f.when(f.convert(least, "i64", kind.is_signed) < 0):
        f.store(f.constant("i64", 1), status)
        f.store(f.convert(least, "i64"), f.offset(status, 1, "i64"))
    f.ret()
    return module


def make_range(kind: dtype, place: int, given: tuple[int, ...], found: bool) -> Step:
    """The step that makes the range of reals that parts divide: two of a type, a value.

    Its ends are given as numbers, or were `found` as elements. Those must be finite, or the program
    stops, and the status holds both as float64; they are put apart if they are equal.
    """
    operands = (place, *given, STATUS) if found else (place, *given)
    return Step(f"count.range.{kind.name}.{found}", lambda: _write_range(kind, found), operands)


def _write_range(kind: dtype, found: bool) -> Module:
    module = Module()
    f = module.kernel()
    words = Words(f)
    ends = words.pointer()
    if found:
        low, high = (f.load(kind.llvm, words.pointer()) for _ in (0, 1))
        status = words.pointer()
        reach = high - low
        with f.when((reach - reach).unordered(0.0)):
            f.store(f.constant("i64", 1), status)
            for k, end in enumerate((low, high), 1):
                f.store(f.convert(end, "double"), f.offset(status, k, "i64"))
        alone = low.eq(high)
        low, high = f.select(alone, low - 1.0, low), f.select(alone, high + 1.0, high)
    else:
        low, high = (f.convert(words.next("double"), kind.llvm) for _ in (0, 1))
    for k, end in enumerate((low, high)):
        f.store(end, f.offset(ends, k, kind.llvm))
    f.ret()
    return module
