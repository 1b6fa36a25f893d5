"""Scans along one dim: running sums and products, linear recurrences, running extremes.

Sums, products and recurrences are carried in float64 for floating types and in int64 for integers,
as PyTorch does, and stored in the type of `out`. Along an outer dim, neighbouring columns make the
lanes of vectors. Along a dim whose neighbours lie side by side, blocks of them do: within a block
each lane takes in the one before it, then what is two before it, then four, and so on, and only one
step for each block waits for the block before. Where there is neither, several rows go side by side
to hide the latency of the carry.

Schedules return (steps, bytes of each temporary); `values` are the operands in the value table, in
the order in which they are given. Results share no memory with operands. With `reverse` the scan
starts from the end.
"""

from __future__ import annotations

from math import prod

from cresset.core.dtype import dtype
from cresset.core.layout import Layout
from cresset.kernels.batch import Batch, batch_words, merge
from cresset.kernels.words import Words
from cresset.runtime import ir
from cresset.runtime.ir import Function, Module, Value
from cresset.runtime.program import Step
from cresset.runtime.target import host

PIECE = 20_000  # elements that a piece of shared work should have
SIDE_BY_SIDE = 4  # rows
BLOCK = 8  # elements along a row


def cumsum(x: Layout, dim: int, out: Layout, values, first_temporary: int, reverse: bool = False):
    """out[..., i, ...] = sum over j <= i of x[..., j, ...] (over j >= i in reverse)."""
    return _scan("sum", (x,), dim, (out,), values, reverse)


def cumprod(x: Layout, dim: int, out: Layout, values, first_temporary: int, reverse: bool = False):
    """out[..., i, ...] = product over j <= i of x[..., j, ...] (over j >= i in reverse)."""
    return _scan("product", (x,), dim, (out,), values, reverse)


def recurrence(a: Layout, b: Layout, dim: int, out: Layout, values, reverse: bool = False):
    """out[i] = a[i] * out[i - 1] + b[i] along dim, from zero (out[i + 1] in reverse)."""
    return _scan("recurrence", (a, b), dim, (out,), values, reverse)


def extreme(x: Layout, dim: int, out: Layout, indices: Layout, values, greatest: bool):
    """out[i] = the greatest (or least) of x[:i + 1] along dim, indices[i] = where it last stood.

    NaN is as good as any extreme: once met it stays.
    """
    return _scan("max" if greatest else "min", (x,), dim, (out, indices), values, False)


def _complex_scan(kind, sources, dim, targets, values, reverse):
    """A scan over complex numbers: a sum is one of each part, other folds carry both at once."""
    if kind == "sum":
        sources, targets = ([_as_pairs(x) for x in layouts] for layouts in (sources, targets))
        return _scan(kind, sources, dim, targets, values, reverse)
    sources, targets = ([_as_parts(x) for x in layouts for _ in range(2)]
                        for layouts in (sources, targets))
    twice = [value for value in values for _ in range(2)]
    return _scan(f"complex {kind}", sources, dim, targets, twice, reverse,
                 [0, 1] * (len(twice) // 2))


def _as_parts(x: Layout) -> Layout:
    """Where the real parts of a complex layout lie; the imaginary ones are one further."""
    return x.cast(x.dtype.to_real()).restride(x.shape, [2 * s for s in x.strides])


def _as_pairs(x: Layout) -> Layout:
    """A complex layout as one of pairs, in a last dim."""
    parts = _as_parts(x if x.ndim else x.restride((1,), (1,)))
    return parts.restride((*parts.shape, 2), (*parts.strides, 1))


def _scan(kind, sources, dim, targets, values, reverse, offsets=None):
    """`offsets` are those of the first elements, if not zero."""
    if targets[0].numel == 0:
        return (), ()
    if targets[0].dtype.is_complex:
        return _complex_scan(kind, sources, dim, targets, values, reverse)
    layouts = (*sources, *targets)
    axes = [*zip(targets[0].shape, *(layout.strides for layout in layouts))]
    axes = axes or [(1,) * (1 + len(layouts))]
    count, *steps = axes.pop(dim)
    starts = list(offsets or [0] * len(layouts))
    neighbours = set(steps) == {1} and BLOCK <= count < 1 << 31
    if neighbours and _joins(kind, targets[0].dtype):
        return (_scan_blocks(kind, layouts, axes, count, values, reverse),), ()
    if reverse:
        starts = [start + (count - 1) * step for start, step in zip(starts, steps)]
        steps = [-step for step in steps]
    columns = host().vector_bytes // 2
    lane = next((axis for axis in axes if set(axis[1:]) == {1} and axis[0] >= columns), None)
    if lane:
        axes.remove(lane)
        blocks, across, last = -(-lane[0] // columns), columns, lane[0] - columns
    else:
        blocks, across, last = 1, 1, 0
    sizes, strides = merge(*_transposed(axes))
    rows = prod(sizes)
    abreast = 1 if lane or rows < SIDE_BY_SIDE else SIDE_BY_SIDE
    units = blocks * -(-rows // abreast)
    words = (count, *steps, *starts, blocks, last, rows, *batch_words(sizes, strides))
    types = tuple(layout.dtype for layout in layouts)
    names = ".".join(type.name for type in types)
    step = Step(
        f"scan.{kind}.{names}.{across}.{abreast}",
        lambda: _write(kind, types, across, abreast),
        tuple(values), words, units, max(1, PIECE // (count * across * abreast)),
        targets[0].numel,
    )
    return (step,), ()


def _joins(kind, target):
    """Whether what neighbours are by themselves is joined by vectors; few multiply 64-bit integers.
    """
    return kind in ("sum", "max", "min") or kind == "product" and target.is_floating_point


def _scan_blocks(kind, layouts, axes, count, values, reverse):
    """The step that scans rows by blocks of neighbours."""
    sizes, strides = merge(*_transposed(axes))
    rows = prod(sizes)
    types = tuple(layout.dtype for layout in layouts)
    names = ".".join(type.name for type in types)
    return Step(
        f"scan.{kind}.{names}.{'backward' if reverse else 'forward'}.{BLOCK}",
        lambda: _write_blocks(kind, types, reverse, BLOCK),
        tuple(values), (count, *batch_words(sizes, strides)), rows, max(1, PIECE // count),
        rows * count,
    )


def _transposed(axes):
    """The sizes, and the strides of each operand."""
    sizes, *strides = zip(*axes) if axes else ((), ())
    return sizes, strides


# --- kernels --------------------------------------------------------------------------------------
class Fold:
    """A running sum or product: how it is carried, and what one more item makes it.

    What is carried is a tuple of states, each a value of one of the `carriers`.
    """

    place = "i64"  # the type of indices

    def __init__(self, kind: str, types):
        self.kind = kind
        self.target = types[-1]
        self.carriers: tuple[str, ...] = ("double" if self.target.is_floating_point else "i64",)
        self.start: tuple[float, ...] = (1 if kind == "product" else 0,)

    def item(self, f: Function, value: Value, source: dtype) -> Value:
        """An item that was read, as it is folded."""
        carrier = ir.vector(self.carriers[0], ir.lanes(value.type))
        return _convert(f, _convert(f, value, source, self.target.llvm), self.target, carrier)

    def state(self, f: Function, items, indices: Value) -> tuple:
        """What the items at some indices, one for each lane, are by themselves."""
        return tuple(items)

    def merge(self, f: Function, before, after) -> tuple:
        """What is carried on after neighbours, each of which was folded by itself."""
        (x,), (y,) = before, after
        return (x + y if self.kind == "sum" else x * y,)

    def fold(self, f: Function, carried, items, index: Value) -> tuple:
        """What is carried on after the items at an index."""
        indices = f.splat(f.convert(index, self.place), ir.lanes(items[0].type))
        return self.merge(f, carried, self.state(f, items, indices))

    def unchanged(self, f: Function, carried, items) -> Value | None:
        """Whether all of a block's items leave what is carried as it is, if that is soon seen."""
        return None

    def results(self, f: Function, carried) -> tuple:
        """What is carried, as it is stored."""
        return tuple(_convert(f, value, self.target, self.target.llvm) for value in carried)


class Recurrence(Fold):
    """A linear recurrence."""

    def fold(self, f, carried, items, index):
        return (items[0] * carried[0] + items[1],)


class ComplexFold(Fold):
    """A running product or recurrence of complex numbers, whose parts are carried in float64."""

    def __init__(self, kind, types):
        super().__init__(kind.removeprefix("complex "), types)
        self.carriers *= 2
        self.start = (*self.start, 0)

    def fold(self, f, carried, items, index):
        (x, y), (a, b, *added) = carried, items
        real, imaginary = a * x - b * y, a * y + b * x
        return (real + added[0], imaginary + added[1]) if added else (real, imaginary)


class Extreme(Fold):
    """The greatest or least item so far, and where it last stood."""

    def __init__(self, kind: str, types, place="i64"):
        self.kind = kind
        self.type = types[0]
        self.place = place
        self.carriers = (self.type.llvm, place)
        greatest, bits = kind == "max", 8 * self.type.itemsize
        if self.type.is_floating_point:
            first = float("-inf") if greatest else float("inf")
        elif self.type.is_signed:
            first = -(1 << (bits - 1)) if greatest else (1 << (bits - 1)) - 1
        else:
            first = 0 if greatest else (1 << bits) - 1
        self.start = (first, 0)

    def item(self, f, value, source):
        return value

    def state(self, f, items, indices):
        return items[0], indices

    def unchanged(self, f, carried, items):
        (value, _), (item,) = carried, items
        low, high = (item, value) if self.kind == "max" else (value, item)
        less = low < high if self.type.is_signed else low.ult(high)
        return f.bitcast(less, f"i{ir.lanes(less.type)}").eq(-1)

    def merge(self, f, before, after):
        (value, place), (item, here) = before, after
        low, high = (value, item) if self.kind == "max" else (item, value)
        newer = low <= high if self.type.is_signed else low.ule(high)
        if self.type.is_floating_point:
            newer = item.unordered(item) | newer
        return f.select(newer, item, value), f.select(newer, here, place)

    def results(self, f, carried):
        value, place = carried
        return value, f.convert(place, ir.vector("i64", ir.lanes(place.type)))


FOLDS = {"sum": Fold, "product": Fold, "recurrence": Recurrence, "complex product": ComplexFold,
         "complex recurrence": ComplexFold, "max": Extreme, "min": Extreme}


def _write_blocks(kind, types, backward, lanes):
    """The kernel of a scan over rows of neighbours, `lanes` of which are a block; a unit is a row.

    Words: the operands; count, at least a block; batch. The last block lies over the one before it.
    """
    # Masks of values are masks of places where both have one size.
    place = {"place": "i32"} if "m" == kind[0] and types[0].itemsize <= 4 else {}
    fold = FOLDS[kind](kind, types, **place)
    sources = len(types) - len(fold.carriers)
    module = Module()
    f = module.kernel()
    words = Words(f)
    pointers = [words.pointer() for _ in types]
    count = words.integer()
    batch = Batch(words, len(types))
    first = [f.constant(ir.vector(carrier, lanes), number)
             for carrier, number in zip(fold.carriers, fold.start)]
    # The lane of each item of a block, in the order of the scan, and the other way round.
    order = list(range(lanes))[:: -1 if backward else 1]

    def numbers(type):
        """The place of each lane's item in its block."""
        lane = f.lane_numbers(ir.vector(type, lanes))
        return lanes - 1 - lane if backward else lane

    def earlier(value, start, distance):
        """Of each lane the value that is so far before it, of none the start."""
        return f.shuffle(value, start, [
            order[k - distance] if k >= distance else lanes for k in order
        ])

    with f.units() as row:
        bases = [f.offset(pointer, offset, type.llvm)
                 for pointer, offset, type in zip(pointers, batch.offsets(f, row), types)]
        with f.each(0, count, lanes, carry=first) as loop:
            at = f.minimum(loop.index, count - lanes)
            seen = loop.index - at
            whole = seen.eq(0)
            low = count - lanes - at if backward else at
            places = [f.offset(base, low, type.llvm) for base, type in zip(bases, types)]
            items = [fold.item(f, f.load(ir.vector(type.llvm, lanes), place), type)
                     for place, type in zip(places[:sources], types)]

            def fresh():
                return numbers("i32") >= f.splat(f.convert(seen, "i32"), lanes)

            here = f.splat(f.convert(at, fold.place), lanes) + numbers(fold.place)
            alone = fold.state(f, items, here)

            def only_fresh():
                mask = fresh()
                return tuple(f.select(mask, v, start) for v, start in zip(alone, first))

            def scanned():
                """What is carried on by each lane, and by the last one."""
                states = f.either(whole, lambda: alone, only_fresh)
                distance = 1
                while distance < lanes:
                    before = [earlier(v, start, distance) for v, start in zip(states, first)]
                    states = fold.merge(f, before, states)
                    distance *= 2
                total = [f.shuffle(v, None, [order[-1]] * lanes) for v in states]
                return *fold.merge(f, loop.values, states), *fold.merge(f, loop.values, total)

            same = fold.unchanged(f, loop.values, items)
            carried = scanned() if same is None else f.either(
                same, lambda: (*loop.values, *loop.values), scanned
            )
            here, following = carried[: len(first)], carried[len(first) :]
            results, targets = fold.results(f, here), places[sources:]

            def kept():
                mask = fresh()
                return tuple(f.select(mask, value, f.load(value.type, target))
                             for value, target in zip(results, targets))

            for value, target in zip(f.either(whole, lambda: results, kept), targets):
                f.store(value, target)
            loop.next(*following)
    f.ret()
    return module


def _write(kind, types, columns, abreast):
    """The kernel of a scan over `abreast` rows of `columns` neighbouring columns.

    Words: the operands; count; steps; starts; column blocks; the last block's first column; rows;
    batch. A block or row beyond the last repeats that.
    """
    fold = FOLDS[kind](kind, types)
    sources = len(types) - len(fold.carriers)
    module = Module()
    f = module.kernel()
    _, begin, end = f.arguments
    words = Words(f)
    pointers = [words.pointer() for _ in types]
    count = words.integer()
    steps = words.integers(len(types))
    starts = words.integers(len(types))
    blocks, last, rows = words.integers(3)
    batch = Batch(words, len(types))
    first = [
        f.constant(ir.vector(carrier, columns), number)
        for carrier, number in zip(fold.carriers, fold.start)
    ]
    with f.loop(begin, end) as unit:
        block, group = unit.urem(blocks), unit.udiv(blocks)
        column = f.minimum(block * columns, last)
        bases = []
        for k in range(abreast):
            row = f.minimum(group * abreast + k, rows - 1)
            bases.append([
                f.offset(pointer, offset + start + column, type.llvm)
                for pointer, offset, start, type in zip(
                    pointers, batch.offsets(f, row), starts, types)
            ])
        with f.loop(0, count, carry=first * abreast) as loop:
            carried: list[Value] = []
            stored: list[Value] = []
            places: list[Value] = []
            for k, base in enumerate(bases):
                at = [
                    f.offset(pointer, loop.index * step, type.llvm)
                    for pointer, step, type in zip(base, steps, types)
                ]
                items = [
                    fold.item(f, f.load(ir.vector(type.llvm, columns), place), type)
                    for place, type in zip(at[:sources], types)
                ]
                each = len(fold.carriers)
                old = loop.values[k * each : (k + 1) * each]
                new = fold.fold(f, old, items, loop.index)
                carried += new
                stored += fold.results(f, new)
                places += at[sources:]
            for value, place in zip(stored, places):
                f.store(value, place)
            loop.next(*carried)
    f.ret()
    return module


def _convert(f: Function, value: Value, type: dtype, element: str) -> Value:
    """The value in another element type; `type` tells whether its integers are signed."""
    element = ir.vector(ir.element(element), ir.lanes(value.type))
    return f.convert(value, element, signed=type.is_signed)
