"""Pooling of signals, images and volumes: the greatest and the average of windows, and gradients.

Layouts are packed (..., depth, height, width); what has fewer dims is one plane, or one row. The
gradient of a volume is made by one thread, position after position, so that windows which overlap
add up in one order. Schedules return (steps, bytes of temporaries); `values` are the places of
their tensors in the value table.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import contextmanager
from math import inf, prod
from typing import NamedTuple

from cresset.core.dtype import dtype
from cresset.core.layout import Layout
from cresset.kernels.schedule import Schedule
from cresset.kernels.tile import lanes_of
from cresset.kernels.windows import Triple, inside, triple
from cresset.kernels.words import Words
from cresset.runtime.ir import Function, Module, Value, vector

PACE = 1.0  # elements of windows met in a nanosecond
MOST_INDEXED = 1 << 31  # elements of a volume whose places fit lanes of 32 bits


class Geometry(NamedTuple):
    """How windows lie along each dim. Without one they are shares, which divide a volume evenly."""

    kernel: Triple
    stride: Triple
    padding: Triple
    dilation: Triple

    @classmethod
    def of(cls, kernel: Sequence[int], stride: Sequence[int], padding: Sequence[int],
           dilation: Sequence[int] = ()) -> Geometry:
        """Windows of a volume from the numbers for its last dims."""
        return cls(triple(kernel), triple(stride), triple(padding, 0), triple(dilation))

    @property
    def words(self) -> tuple[int, ...]:
        return (*self.kernel, *self.stride, *self.padding, *self.dilation)

    @property
    def spacing(self) -> int:
        """The stride across where vectors can follow it, else 0."""
        return self.stride[-1] if self.stride[-1] < 3 else 0

    def lanes(self, dtype: dtype, extents: Triple, counts: Triple) -> int:
        """How many windows of a row are met at once: half a vector's lanes where rows are short."""
        reach = (self.kernel[-1] - 1) * self.dilation[-1]
        beyond = -(-(extents[-1] - reach + self.padding[-1]) // self.stride[-1])
        whole = min(beyond, counts[-1]) - -(-self.padding[-1] // self.stride[-1])
        lanes = lanes_of(dtype)
        return lanes if whole >= lanes else lanes // 2


# --- schedules ------------------------------------------------------------------------------------
def max_pool(x: Layout, out: Layout, geometry: Geometry | None, values: tuple[int, int, int]):
    """The greatest of each window, or share, and its place in the volume as laid out (int64).

    The first of equals is taken, and the last NaN if there is one. `values` are (x, out, places).
    """
    extents, counts = triple(x.shape[2:]), triple(out.shape[2:])
    small = x.dtype.is_floating_point and prod(extents) < MOST_INDEXED
    spacing = geometry.spacing if geometry and small else 0
    lanes = geometry.lanes(x.dtype, extents, counts) if geometry and spacing else 1
    schedule = Schedule(0)
    units = prod(out.shape[:2]) * prod(counts[:2]) if counts[2] else 0
    schedule.launch(
        f"max_pool_{x.dtype.code}x{lanes}_{spacing}_{geometry is None}",
        lambda: greatest(x.dtype, lanes, spacing, geometry is None), values,
        (*extents, *counts, *(geometry.words if geometry else ())), units,
        out.numel * _met(extents, counts, geometry) / PACE,
    )
    return schedule.result()


def max_pool_gradient(gradient: Layout, x: Layout, values: tuple[int, int, int]):
    """Each gradient added at the place it came from; `values` are (gradient, places, result)."""
    schedule = Schedule(0)
    volumes = prod(x.shape[:2]) if prod(x.shape[2:]) else 0
    schedule.launch(
        f"max_pool_gradient_{x.dtype.code}x{lanes_of(x.dtype)}", lambda: scattered(x.dtype), values,
        (prod(gradient.shape[2:]), prod(x.shape[2:])), volumes,
        (gradient.numel + x.numel) / PACE,
    )
    return schedule.result()


def avg_pool(x: Layout, out: Layout, geometry: Geometry | None, count_include_pad: bool,
             divisor_override: int | None, values: tuple[int, int]):
    """The average of each window, or share: its sum over `divisor_override`, or its size.

    The size counts the padding if `count_include_pad`, nothing beyond it. `values` are (x, out).
    """
    extents, counts = triple(x.shape[2:]), triple(out.shape[2:])
    spacing = geometry.spacing if geometry else 0
    lanes = geometry.lanes(x.dtype, extents, counts) if geometry and spacing else 1
    schedule = Schedule(0)
    units = prod(out.shape[:2]) * prod(counts[:2]) if counts[2] else 0
    schedule.launch(
        f"avg_pool_{x.dtype.code}x{lanes}_{spacing}_{geometry is None}",
        lambda: averages(x.dtype, lanes, spacing, geometry is None), values,
        (*extents, *counts, *_divided(geometry, count_include_pad, divisor_override)), units,
        out.numel * _met(extents, counts, geometry) / PACE,
    )
    return schedule.result()


def avg_pool_gradient(gradient: Layout, x: Layout, geometry: Geometry | None,
                      count_include_pad: bool, divisor_override: int | None,
                      values: tuple[int, int]):
    """The gradient of `avg_pool`; `values` are (gradient, result)."""
    extents, counts = triple(x.shape[2:]), triple(gradient.shape[2:])
    schedule = Schedule(0)
    volumes = prod(x.shape[:2]) if prod(extents) else 0
    schedule.launch(
        f"avg_pool_gradient_{x.dtype.code}x{lanes_of(x.dtype)}_{geometry is None}",
        lambda: spread(x.dtype, geometry is None), values,
        (*extents, *counts, *_divided(geometry, count_include_pad, divisor_override)), volumes,
        (gradient.numel * _met(extents, counts, geometry) + x.numel) / PACE,
    )
    return schedule.result()


def _divided(geometry, count_include_pad, divisor_override) -> tuple[int, ...]:
    """The words of windows of averages."""
    return (*geometry.words, count_include_pad, divisor_override or 0) if geometry else ()


def _met(extents: Triple, counts: Triple, geometry: Geometry | None) -> int:
    """Elements of a window."""
    return prod(geometry.kernel) if geometry else 1 + prod(extents) // max(1, prod(counts))


# --- windows in a kernel --------------------------------------------------------------------------
class Windows:
    """Where the windows of a volume lie, as a kernel reads it.

    Words: along the depth, down and across: the volume, the windows; unless they are shares:
    kernel, stride, padding, dilation.
    """

    def __init__(self, f: Function, words: Words, shares: bool):
        self.f = f
        self.extents, self.counts = words.integers(3), words.integers(3)
        self.shares = shares
        if not shares:
            self.kernel, self.stride, self.padding, self.dilation = (
                words.integers(3) for _ in range(4))

    def taps(self, axis: int, number: Value):
        """Where window `number` starts along an axis, and the range of its taps in the volume."""
        f, extent = self.f, self.extents[axis]
        if self.shares:
            start, end = self.share(axis, number)
            return start, f.constant("i64", 0), end - start
        start = number * self.stride[axis] - self.padding[axis]
        return start, *inside(f, start, extent, self.kernel[axis], self.dilation[axis])

    def spacing(self, axis: int):
        """How far apart taps are."""
        return self.f.constant("i64", 1) if self.shares else self.dilation[axis]

    def share(self, axis: int, number: Value):
        """Where share `number` starts and ends along an axis, edges rounded outwards."""
        extent, count = self.extents[axis], self.counts[axis]
        return ((number * extent).udiv(count),
                ((number + 1) * extent + count - 1).udiv(count))

    def place(self, plane, row, column) -> Value:
        """The place of an element in the volume."""
        return (plane * self.extents[1] + row) * self.extents[2] + column

    @contextmanager
    def rows(self, begin: Value, end: Value):
        """A loop over rows of windows: their number, volume, plane and row within it."""
        f, (planes, rows, _) = self.f, self.counts
        first = begin.udiv(rows)
        carry = [first.udiv(planes), first.urem(planes), begin.urem(rows)]
        with f.loop(begin, end, carry=carry) as unit:
            volume, plane, row = unit.values
            yield unit.index, volume, plane, row
            last = (row + 1).eq(rows)
            last_plane = last & (plane + 1).eq(planes)
            following = f.select(last_plane, 0, f.select(last, plane + 1, plane))
            unit.next(f.select(last_plane, volume + 1, volume), following,
                      f.select(last, 0, row + 1))

    @property
    def volume(self) -> Value:
        return self.extents[0] * self.extents[1] * self.extents[2]

    def whole(self, reach: Value):
        """The range of windows in a row, `reach` wide, whose taps all lie in the volume."""
        return inside(self.f, -self.padding[2], self.extents[2] - reach, self.counts[2],
                      self.stride[2])


class Averaging(Windows):
    """Windows of averages. Words: those of windows; unless they are shares: whether padding counts,
    the divisor or 0.
    """

    def __init__(self, f: Function, words: Words, shares: bool):
        super().__init__(f, words, shares)
        if not shares:
            self.with_padding, self.divisor = words.integers(2)

    def window(self, axis: int, number: Value):
        """Where window `number` starts and ends along an axis, and how many it counts as."""
        f, extent = self.f, self.extents[axis]
        if self.shares:
            start, end = self.share(axis, number)
            return start, end, end - start
        first = number * self.stride[axis] - self.padding[axis]
        last = f.minimum(first + self.kernel[axis], extent + self.padding[axis])
        start, end = f.select(first < 0, 0, first), f.minimum(last, extent)
        size = f.select(self.with_padding.ne(0), last - first, end - start)
        return start, end, f.select(size < 1, 1, size)

    def size(self, counted: Sequence[Value], type: str) -> Value:
        """What the sum of a window that counts so much along each axis is divided by."""
        deep, high, wide = counted
        size = deep * high * wide
        if not self.shares:
            size = self.f.select(self.divisor.eq(0), size, self.divisor)
        return self.f.convert(size, type)

    def runs(self, rows, columns):
        """Of a window within a plane: where its runs of elements begin, how many, and their length.

        They are a row apart. Whole rows are one run.
        """
        f, width = self.f, self.extents[2]
        (top, bottom), (left, right) = rows, columns
        high, wide = bottom - top, right - left
        wide = f.select(wide < 0, 0, wide)
        whole = wide.eq(width)
        return (top * width + left, f.select(whole, 1, high), f.select(whole, high * width, wide))


# --- the greatest ---------------------------------------------------------------------------------
def greatest(dtype: dtype, lanes: int, spacing: int, shares: bool) -> Module:
    """The kernel of `max_pool`; a unit is a row of windows.

    `spacing` is the stride across, 0 if elements are not met in vectors of so many `lanes`.

    Words: pointers x, out, places; `Windows`.
    """
    module = Module()
    f = module.kernel()
    words = Words(f)
    x, out, places = (words.pointer() for _ in range(3))
    windows = Windows(f, words, shares)
    columns = windows.counts[2]
    integer = f"i{8 * dtype.itemsize}"
    _, begin, end = f.arguments
    within = columns, columns
    if spacing:
        within = windows.whole((windows.kernel[2] - 1) * windows.dilation[2])
    with windows.rows(begin, end) as (unit, volume, plane, row):
        source = f.offset(x, volume * windows.volume, dtype.llvm)
        front, *planes = windows.taps(0, plane)
        top, *rows = windows.taps(1, row)
        out_row = f.offset(out, unit * columns, dtype.llvm)

        def pixels(column: Value, count: int):
            if count == 1:
                left, *taps = windows.taps(2, column)
                steps = None
            else:
                left = column * windows.stride[2] - windows.padding[2]
                taps = f.constant("i64", 0), windows.kernel[2]
                index_type = vector(integer, count)
                step = f.splat(f.convert(windows.stride[2], integer), count)
                steps = f.lane_numbers(index_type) * step

            def place_of(*numbers):
                starts = enumerate((front, top, left))
                return windows.place(*(start + number * windows.spacing(axis)
                                       for (axis, start), number in zip(starts, numbers)))

            def spelled(place):
                if steps is None:
                    return place
                return f.splat(f.convert(place, integer), count) + steps

            start = f.constant(vector(dtype.llvm, count), _lowest(dtype))
            carry = [start, spelled(place_of(planes[0], rows[0], taps[0]))]
            with f.loop(*planes, carry=carry) as tap_plane:
                with f.loop(*rows, carry=tap_plane.values) as tap_row:
                    with f.loop(*taps, carry=tap_row.values) as tap:
                        best, best_place = tap.values
                        place = place_of(tap_plane.index, tap_row.index, tap.index)
                        value = _spaced(f, dtype, source, place, spacing, count)
                        better = _exceeds(dtype, value, best)
                        tap.next(_pick(f, better, value, best),
                                 f.select(better, spelled(place), best_place))
                    tap_row.next(*tap.results)
                tap_plane.next(*tap_row.results)
            best, best_place = tap_plane.results
            f.store(best, f.offset(out_row, column, dtype.llvm))
            best_place = f.convert(best_place, vector("i64", count))
            f.store(best_place, f.offset(places, unit * columns + column, "i64"))

        _by_columns(f, pixels, lanes, within, columns)
    f.ret()
    return module


def _lowest(dtype: dtype) -> float:
    if dtype.is_floating_point:
        return -inf
    return -(1 << (8 * dtype.itemsize - 1)) if dtype.is_signed else 0


def _exceeds(dtype: dtype, value: Value, best: Value) -> Value:
    if dtype.is_floating_point:
        return (value > best) | value.unordered(value)
    return value > best if dtype.is_signed else value.ugt(best)


def _pick(f: Function, condition: Value, yes: Value, no: Value) -> Value:
    """A select that is no branch: processors have one for integers and vectors alone."""
    bits = {"float": "i32", "double": "i64"}.get(yes.type)
    if bits is None:
        return f.select(condition, yes, no)
    return f.bitcast(f.select(condition, f.bitcast(yes, bits), f.bitcast(no, bits)), yes.type)


def scattered(dtype: dtype) -> Module:
    """The kernel of `max_pool_gradient`; a unit is a volume.

    Words: pointers gradient, places, result; elements of a gradient's and of a result's volume.
    """
    module = Module()
    f = module.kernel()
    words = Words(f)
    gradient, places, result = (words.pointer() for _ in range(3))
    count, size = words.integers(2)
    with f.units() as unit:
        plane = f.offset(result, unit * size, dtype.llvm)
        _zero(f, dtype, plane, size)
        terms = f.offset(gradient, unit * count, dtype.llvm)
        at = f.offset(places, unit * count, "i64")
        with f.loop(0, count) as position:
            to = f.offset(plane, f.load("i64", f.offset(at, position, "i64")), dtype.llvm)
            term = f.load(dtype.llvm, f.offset(terms, position, dtype.llvm))
            f.store(f.load(dtype.llvm, to) + term, to)
    f.ret()
    return module


# --- the average ----------------------------------------------------------------------------------
def averages(dtype: dtype, lanes: int, spacing: int, shares: bool) -> Module:
    """The kernel of averages; a unit is a row of windows.

    `spacing` is the stride across, 0 if elements are not met in vectors of so many `lanes`.

    Words: pointers x, out; `Averaging`.
    """
    module = Module()
    f = module.kernel()
    words = Words(f)
    x, out = words.pointer(), words.pointer()
    windows = Averaging(f, words, shares)
    columns = windows.counts[2]
    _, begin, end = f.arguments
    within = columns, columns
    if spacing:
        within = windows.whole(windows.kernel[2] - 1)
    with windows.rows(begin, end) as (unit, volume, plane, row):
        source = f.offset(x, volume * windows.volume, dtype.llvm)
        *planes, deep = windows.window(0, plane)
        *rows, high = windows.window(1, row)
        out_row = f.offset(out, unit * columns, dtype.llvm)

        def pixels(column: Value, count: int):
            *taps, wide = windows.window(2, column)
            if shares:
                total = _total(f, dtype, source, windows, planes, windows.runs(rows, taps))
            else:
                zero = f.constant(vector(dtype.llvm, count), 0)
                with f.loop(*planes, carry=[zero]) as tap_plane:
                    with f.loop(*rows, carry=tap_plane.values) as tap_row:
                        with f.loop(*taps, carry=tap_row.values) as tap:
                            place = windows.place(tap_plane.index, tap_row.index, tap.index)
                            value = _spaced(f, dtype, source, place, spacing, count)
                            tap.next(tap.values[0] + value)
                        tap_row.next(*tap.results)
                    tap_plane.next(*tap_row.results)
                total = tap_plane.results[0]
            size = f.splat(windows.size((deep, high, wide), dtype.llvm), count)
            f.store(total / size, f.offset(out_row, column, dtype.llvm))

        _by_columns(f, pixels, lanes, within, columns)
    f.ret()
    return module


def spread(dtype: dtype, shares: bool) -> Module:
    """The kernel of the averages' gradients; a unit is a volume.

    Words: pointers gradient, result; `Averaging`.
    """
    module = Module()
    f = module.kernel()
    words = Words(f)
    gradient, result = words.pointer(), words.pointer()
    windows = Averaging(f, words, shares)
    deep_count, high_count, wide_count = windows.counts
    _, height, width = windows.extents
    with f.units() as unit:
        target = f.offset(result, unit * windows.volume, dtype.llvm)
        _zero(f, dtype, target, windows.volume)
        with f.loop(0, deep_count) as plane:
            *planes, deep = windows.window(0, plane)
            with f.loop(0, high_count) as row:
                *rows, high = windows.window(1, row)
                line = ((unit * deep_count + plane) * high_count + row) * wide_count
                terms = f.offset(gradient, line, dtype.llvm)
                with f.loop(0, wide_count) as column:
                    *taps, wide = windows.window(2, column)
                    term = f.load(dtype.llvm, f.offset(terms, column, dtype.llvm))
                    term = term / windows.size((deep, high, wide), dtype.llvm)
                    first, count, length = windows.runs(rows, taps)
                    with f.loop(*planes) as z:
                        begins = f.offset(target, z * (height * width) + first, dtype.llvm)
                        with f.loop(0, count) as y:
                            _add(f, dtype, f.offset(begins, y * width, dtype.llvm), length, term)
    f.ret()
    return module


# --- shared by them -------------------------------------------------------------------------------
def _by_columns(f: Function, pixels, lanes: int, within, columns: Value):
    """A row of `pixels(column, count)`: vectors within the range where windows lie in the plane.

    The last vector starts earlier where it would pass that range, and does some pixels again. A
    range shorter than a vector takes none.
    """
    low, high = within
    stop = low
    if lanes > 1:
        stop = f.select(high - low < lanes, low, high)
        with f.loop(low, stop, lanes) as column:
            pixels(f.minimum(column, stop - lanes), lanes)
    with f.loop(0, 2) as part:  # before the vectors, and after them
        before = part.eq(0)
        with f.loop(f.select(before, 0, stop), f.select(before, low, columns)) as column:
            pixels(column, 1)


def _spaced(f: Function, dtype: dtype, plane: Value, place: Value, spacing: int, count: int):
    """`count` elements from `place` on, `spacing` apart: none is read that is not one of them."""
    type = vector(dtype.llvm, count)
    first = f.load(type, f.offset(plane, place, dtype.llvm))
    if count == 1 or spacing == 1:
        return first
    second = f.load(type, f.offset(plane, place + (count - 1), dtype.llvm))
    return f.shuffle(first, second, [*range(0, count, 2), *range(count + 1, 2 * count, 2)])


def _zero(f: Function, dtype: dtype, plane: Value, count: Value):
    lanes = lanes_of(dtype)
    whole = count.udiv(lanes) * lanes
    with f.loop(0, whole, lanes) as at:
        f.store(f.constant(vector(dtype.llvm, lanes), 0), f.offset(plane, at, dtype.llvm))
    with f.loop(whole, count) as at:
        f.store(f.constant(dtype.llvm, 0), f.offset(plane, at, dtype.llvm))


def _total(f: Function, dtype: dtype, source: Value, windows: Averaging, planes, runs) -> Value:
    """The sum of a window's elements."""
    first, count, length = runs
    _, height, width = windows.extents
    lanes = lanes_of(dtype)
    type = vector(dtype.llvm, lanes)
    whole = length.udiv(lanes) * lanes
    low, high = planes
    with f.loop(low, high, carry=[f.constant(type, 0), f.constant(dtype.llvm, 0)]) as plane:
        begins = f.offset(source, plane.index * (height * width) + first, dtype.llvm)
        with f.loop(0, count, carry=plane.values) as row:
            run = f.offset(begins, row.index * width, dtype.llvm)
            with f.loop(0, whole, lanes, carry=row.values[:1]) as at:
                at.next(at.values[0] + f.load(type, f.offset(run, at.index, dtype.llvm)))
            with f.loop(whole, length, carry=row.values[1:]) as rest:
                value = f.load(dtype.llvm, f.offset(run, rest.index, dtype.llvm))
                rest.next(rest.values[0] + value)
            row.next(*at.results, *rest.results)
        plane.next(*row.results)
    wide, total = plane.results
    while lanes > 2:
        lanes //= 2
        halves = range(lanes), range(lanes, 2 * lanes)
        low, high = (f.shuffle(wide, None, half) for half in halves)
        wide = low + high
    return f.extract(wide, 0) + f.extract(wide, 1) + total


def _add(f: Function, dtype: dtype, run: Value, length: Value, term: Value):
    """`term` added to the elements of a run."""
    lanes = lanes_of(dtype)
    whole = length.udiv(lanes) * lanes
    wide = f.splat(term, lanes)
    with f.loop(0, whole, lanes) as at:
        place = f.offset(run, at, dtype.llvm)
        f.store(f.load(wide.type, place) + wide, place)
    with f.loop(whole, length) as at:
        place = f.offset(run, at, dtype.llvm)
        f.store(f.load(dtype.llvm, place) + term, place)
