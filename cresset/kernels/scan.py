"""Scans along one dim: running sums and products, linear recurrences, running extremes.

Sums, products and recurrences are carried in float64 for floating types and in int64 for integers,
as PyTorch does, and stored in the type of `out`. Along an outer dim, neighbouring columns make the
lanes of vectors; along the innermost one, several rows go side by side to hide the latency of the
carry.

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


def _transposed(axes):
    """The sizes, and the strides of each operand."""
    sizes, *strides = zip(*axes) if axes else ((), ())
    return sizes, strides


# --- kernels --------------------------------------------------------------------------------------
class Fold:
    """A running sum, product or recurrence: how it is carried, and what one more item makes it."""

    def __init__(self, kind: str, types):
        self.kind = kind
        self.target = types[-1]
        self.carriers: tuple[str, ...] = ("double" if self.target.is_floating_point else "i64",)
        self.start: tuple[float, ...] = (1 if kind == "product" else 0,)

    def item(self, f: Function, value: Value, source: dtype) -> Value:
        """An item that was read, as it is folded."""
        carrier = ir.vector(self.carriers[0], ir.lanes(value.type))
        return _convert(f, _convert(f, value, source, self.target.llvm), self.target, carrier)

    def fold(self, f: Function, carried, items, index) -> tuple:
        """What is carried on after the items at an index."""
        (value,) = carried
        if self.kind == "recurrence":
            return (items[0] * value + items[1],)
        return (value + items[0] if self.kind == "sum" else value * items[0],)

    def result(self, f: Function, value: Value) -> Value:
        """A carried value as it is stored."""
        return _convert(f, value, self.target, self.target.llvm)


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

    def __init__(self, kind: str, types):
        self.kind = kind
        self.type = types[0]
        self.carriers = (self.type.llvm, "i64")
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

    def fold(self, f, carried, items, index):
        (value, place), (item,) = carried, items
        low, high = (value, item) if self.kind == "max" else (item, value)
        newer = low <= high if self.type.is_signed else low.ule(high)
        if self.type.is_floating_point:
            newer = item.unordered(item) | (newer & (value.unordered(value) ^ True))
        here = f.splat(index, ir.lanes(item.type))
        return f.select(newer, item, value), f.select(newer, here, place)

    def result(self, f, value):
        return value


def _write(kind, types, columns, abreast):
    """The kernel of a scan over `abreast` rows of `columns` neighbouring columns.

    Words: the operands; count; steps; starts; column blocks; the last block's first column; rows;
    batch. A block or row beyond the last repeats that.
    """
    kinds = Extreme if kind in ("max", "min") else ComplexFold if "complex" in kind else Fold
    fold = kinds(kind, types)
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
                carried += fold.fold(f, old, items, loop.index)
                places += at[sources:]
            for value, place in zip(carried, places):
                f.store(fold.result(f, value), place)
            loop.next(*carried)
    f.ret()
    return module


def _convert(f: Function, value: Value, type: dtype, element: str) -> Value:
    """The value in another element type; `type` tells whether its integers are signed."""
    element = ir.vector(ir.element(element), ir.lanes(value.type))
    return f.convert(value, element, signed=type.is_signed)
