"""Runs: stretches of equal neighbours, in a vector or in rows that are sorted.

Every element is compared with the one before it, as numbers: NaN equals nothing. All is written
without branches: an element goes where the next run's would be, and stays if it begins one.

Schedules return (steps, bytes of each temporary).
"""

from __future__ import annotations

from cresset.core import dtype as types
from cresset.core.dtype import dtype
from cresset.core.layout import Layout
from cresset.kernels.words import Words
from cresset.runtime.ir import Function, Module
from cresset.runtime.program import Step

PACE = 1  # nanoseconds that an element takes
TABLES = 4  # in which bytes that follow one another are counted
GRAIN = 1 << 14  # elements of rows that are a piece of shared work


def runs(x: Layout, values, order: int | None, groups: int | None, sizes: int | None):
    """The runs of a vector: how many, the first element of each, the run of each, their sizes.

    `values` are the places of (x, total, firsts); all are packed, with room for as many runs as
    there are elements. `order` is the place of what says where each element stood before the vector
    was sorted, if it was; there its run is written, of all in `groups`. Of `groups` and `sizes`
    each may be None.
    """
    given = [place for place in (order, groups, sizes) if place is not None]
    form = (groups is not None and order is not None, groups is not None, sizes is not None)
    if groups is None and order is not None:
        given.remove(order)
    name = "".join(letter for letter, here in zip("ogs", form) if here)
    step = Step(f"runs.{x.dtype.name}.{name}", lambda: _write_runs(x.dtype, *form),
                (*values, *given), (x.numel,), work=PACE * x.numel)
    return (step,), ()


def byte_runs(x: Layout, values, groups: int | None, sizes: int | None):
    """`runs` of a vector of bytes as if it had been sorted, which counting them spares."""
    given = [place for place in (groups, sizes) if place is not None]
    form = groups is not None, sizes is not None
    name = "".join(letter for letter, here in zip("gs", form) if here)
    step = Step(f"runs.bytes.{x.dtype.name}.{name}", lambda: _write_byte_runs(x.dtype, *form),
                (*values, *given), (x.numel,), work=PACE * x.numel)
    return (step,), ()


def modes(kind: dtype, rows: int, count: int, values):
    """The longest run of every sorted row, the first of several: its last entry, where that stood.

    All are packed; `values` are the places of (x, order, out, indices).
    """
    if not rows:
        return (), ()
    step = Step(f"runs.longest.{kind.name}", lambda: _write_modes(kind), tuple(values), (count,),
                rows, max(1, GRAIN // count), PACE * rows * count)
    return (step,), ()


class _Line:
    """Elements one after another, which are one number or two."""

    def __init__(self, f: Function, start, kind: dtype):
        self.f = f
        self.start = start
        self.type = kind.to_real().llvm
        self.parts = 2 if kind.is_complex else 1

    def at(self, index, part=0):
        return self.f.offset(self.start, index * self.parts + part, self.type)

    def load(self, index):
        return [self.f.load(self.type, self.at(index, part)) for part in range(self.parts)]

    def store(self, element, index):
        for part, number in enumerate(element):
            self.f.store(number, self.at(index, part))

    def begins(self, element, before):
        """Whether an element differs from the one before it, as 0 or 1."""
        tests = [a.ne(b) for a, b in zip(element, before)]
        differs = tests[0] if len(tests) == 1 else tests[0] | tests[1]
        return self.f.convert(differs, "i64")


def _write_runs(kind: dtype, ordered: bool, grouped: bool, sized: bool) -> Module:
    """The kernel; there is one unit.

    Words: x, total, firsts, then order, groups and sizes, if any; the number of elements.
    """
    module = Module()
    f = module.kernel()
    words = Words(f)
    x, total, firsts = (words.pointer() for _ in range(3))
    order, groups, sizes = (words.pointer() if here else None
                            for here in (ordered, grouped, sized))
    count = words.integer()
    line, first = _Line(f, x, kind), _Line(f, firsts, kind)
    found = f.alloca("i64")

    def enter(i, begins, element, before):
        """Enter an element, behind so many runs; the number of runs with its own."""
        first.store(element, before)
        if sized:
            f.store(i, f.offset(sizes, before, "i64"))
        until = before + begins
        if grouped:
            place = f.load("i64", f.offset(order, i, "i64")) if ordered else i
            f.store(until - 1, f.offset(groups, place, "i64"))
        return until

    f.store(f.constant("i64", 0), found)
    with f.when(count > 0):
        enter(f.constant("i64", 0), f.constant("i64", 1), line.load(0), f.constant("i64", 0))
        rest = (count - 1) & 3
        # The element before is carried, not loaded again: a load from where in its page something
        # has just been stored in another waits for that.
        carry = [f.constant("i64", 1), *line.load(0)]
        for start, stop, turn in ((1, count - rest, 4), (count - rest, count, 1)):
            with f.loop(start, stop, turn, carry=carry) as loop:
                number, *before = loop.values
                for k in range(turn):
                    element = line.load(loop.index + k)
                    number = enter(loop.index + k, line.begins(element, before), element, number)
                    before = element
                loop.next(number, *before)
            carry = loop.results
        f.store(carry[0], found)
    number = f.load("i64", found)
    f.store(number, total)
    if sized:
        # Where runs begin becomes how long they are.
        with f.loop(0, number) as run:
            at = f.offset(sizes, run, "i64")
            last = (run + 1).eq(number)
            following = f.load("i64", f.offset(sizes, f.select(last, run, run + 1), "i64"))
            f.store(f.select(last, count, following) - f.load("i64", at), at)
    f.ret()
    return module


def _write_byte_runs(kind: dtype, grouped: bool, sized: bool) -> Module:
    """The kernel; there is one unit.

    Words: x, total, firsts, then groups and sizes, if any; the number of elements.
    """
    module = Module()
    f = module.kernel()
    words = Words(f)
    x, total, firsts = (words.pointer() for _ in range(3))
    groups, sizes = (words.pointer() if here else None for here in (grouped, sized))
    count = words.integer()
    different = 2 if kind is types.bool else 256
    counts = f.alloca("i64", TABLES * different)
    sign = 128 if kind.is_signed and kind is not types.bool else 0

    def entry(i, table):
        key = f.convert(f.load("i8", f.offset(x, i)) ^ sign, "i64", signed=False)
        return f.offset(counts, key + table * different, "i64")

    def enter(i, table):
        at = entry(i, table)
        f.store(f.load("i64", at) + 1, at)

    with f.loop(0, TABLES * different) as i:
        f.store(f.constant("i64", 0), f.offset(counts, i, "i64"))
    rest = count.urem(TABLES)
    with f.loop(0, count - rest, TABLES) as i:
        for table in range(TABLES):
            enter(i + table, table)
    with f.loop(count - rest, count) as i:
        enter(i, 0)
    with f.loop(0, different, carry=[f.constant("i64", 0)]) as loop:
        key, (number,) = loop.index, loop.values
        first = f.offset(counts, key, "i64")
        size = f.load("i64", first)
        for table in range(1, TABLES):
            size = size + f.load("i64", f.offset(first, table * different, "i64"))
        f.store(number, first)
        here = size > 0
        with f.when(here):
            f.store(f.convert(key, "i8") ^ sign, f.offset(firsts, number))
            if sized:
                f.store(size, f.offset(sizes, number, "i64"))
        loop.next(number + f.convert(here, "i64"))
    f.store(loop.results[0], total)
    if grouped:
        with f.loop(0, count) as i:
            f.store(f.load("i64", entry(i, 0)), f.offset(groups, i, "i64"))
    f.ret()
    return module


def _write_modes(kind: dtype) -> Module:
    """The kernel; a unit is a row.

    Words: x, order, out, indices; entries of a row.
    """
    module = Module()
    f = module.kernel()
    words = Words(f)
    x, order, out, indices = (words.pointer() for _ in range(4))
    count = words.integer()
    zero = f.constant("i64", 0)
    with f.units() as row:
        line = _Line(f, f.offset(x, row * count, kind.llvm), kind)
        with f.loop(1, count, carry=[zero, zero, zero, *line.load(0)]) as loop:
            length, longest, place, *before = loop.values
            element = line.load(loop.index)
            length = (length + 1) & (line.begins(element, before) - 1)
            longer = length > longest
            loop.next(length, f.select(longer, length, longest),
                      f.select(longer, loop.index, place), *element)
        place = loop.results[2]
        f.store(line.load(place)[0], f.offset(out, row, kind.llvm))
        stood = f.load("i64", f.offset(order, row * count + place, "i64"))
        f.store(stood, f.offset(indices, row, "i64"))
    f.ret()
    return module
