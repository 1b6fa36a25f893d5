"""Runs of equal rows of a matrix, which may be put in order first.

Rows are ordered by their first elements that differ, by merging (Knuth, The Art of Computer
Programming 5.2.4): their numbers move, they themselves stay, and of most no more is read than how
they begin. NaN comes last and -0 equals 0, as in `kernels.sort`; but NaN equals nothing where runs
are told apart.

The schedule returns (steps, bytes of each temporary).
"""

from __future__ import annotations

from cresset.core.dtype import dtype
from cresset.core.layout import Layout
from cresset.kernels.sort import key_of
from cresset.kernels.words import Words
from cresset.runtime.ir import Function, Module, Value
from cresset.runtime.program import Step

PACE = 30  # nanoseconds that comparing two rows takes


def row_runs(x: Layout, in_order: bool, values, groups: int | None, sizes: int | None,
             first_temporary: int):
    """The runs of rows: how many, the number of the first row of each, the run of each row, sizes.

    `values` are the places of (x, total, firsts); all are packed, with room for as many runs as
    there are rows. Of `groups` and `sizes` each may be None.
    """
    count, across = x.shape
    across *= 2 if x.dtype.is_complex else 1
    kind = x.dtype.to_real()
    given = [place for place in (groups, sizes) if place is not None]
    form = in_order, groups is not None, sizes is not None
    name = "".join(letter for letter, here in zip("ogs", form) if here)
    step = Step(
        f"row_runs.{kind.name}.{name}", lambda: _write(kind, *form),
        (*values, first_temporary, *given), (count, across),
        work=PACE * count * (1 + count.bit_length() * in_order),
    )
    return (step,), (16 * count,)


def _write(kind: dtype, in_order: bool, grouped: bool, sized: bool) -> Module:
    """The kernel; there is one unit.

    Words: x, total, firsts, room for the rows' numbers twice, then groups and sizes, if any; the
    number of rows and their length.
    """
    module = Module()
    f = module.kernel()
    words = Words(f)
    x, total, firsts, room = (words.pointer() for _ in range(4))
    groups, sizes = (words.pointer() if here else None for here in (grouped, sized))
    count, across = words.integers(2)

    def elements(row, other, column):
        return [f.load(kind.llvm, f.offset(x, each * across + column, kind.llvm))
                for each in (row, other)]

    def precedes(row, other):
        with f.repeat(f.constant("i64", 0)) as loop:
            (column,) = loop.values
            keys = [key_of(f, each, kind, False) for each in elements(row, other, column)]
            loop.again(keys[0].eq(keys[1]) & (column + 1 < across), column + 1)
        return keys[0].ult(keys[1])

    def differs(row, other):
        with f.repeat(f.constant("i64", 0)) as loop:
            (column,) = loop.values
            a, b = elements(row, other, column)
            different = a.ne(b)
            loop.again((different ^ 1) & (column + 1 < across), column + 1)
        return different

    with f.loop(0, count) as i:
        f.store(i, f.offset(room, i, "i64"))
    order = _merged(f, room, count, precedes) if in_order else room
    with f.loop(0, count, carry=[f.constant("i64", 0)]) as loop:
        i, (number,) = loop.index, loop.values
        row = f.load("i64", f.offset(order, i, "i64"))

        def compared():
            return differs(f.load("i64", f.offset(order, i - 1, "i64")), row)

        begins = f.either(i > 0, compared, lambda: f.constant("i1", 1))
        with f.when(begins):
            f.store(row, f.offset(firsts, number, "i64"))
            if sized:
                f.store(f.constant("i64", 0), f.offset(sizes, number, "i64"))
        until = number + f.convert(begins, "i64")
        if sized:
            size = f.offset(sizes, until - 1, "i64")
            f.store(f.load("i64", size) + 1, size)
        if grouped:
            f.store(until - 1, f.offset(groups, row, "i64"))
        loop.next(until)
    f.store(loop.results[0], total)
    f.ret()
    return module


def _merged(f: Function, room: Value, count: Value, precedes) -> Value:
    """The list of numbers in order: stretches of it are merged, two and two, until there is one."""

    def at(list, index):
        return f.offset(list, index, "i64")

    with f.repeat(f.constant("i64", 1), room, at(room, count)) as loop:
        width, source, target = loop.values
        with f.loop(0, count, width * 2) as start:
            middle = f.minimum(start + width, count)
            stop = f.minimum(middle + width, count)
            with f.loop(start, stop, carry=[start, middle]) as merge:
                left, right = merge.values
                both = (left < middle) & (right < stop)

                def compared(left=left, right=right):
                    return precedes(f.load("i64", at(source, right)),
                                    f.load("i64", at(source, left)))

                later = f.either(both, compared, lambda left=left, middle=middle: left >= middle)
                taken = f.select(later, right, left)
                f.store(f.load("i64", at(source, taken)), at(target, merge.index))
                later = f.convert(later, "i64")
                merge.next(left + 1 - later, right + later)
        loop.again(width * 2 < count, width * 2, target, source)
    return loop.results[1]
