"""Pooling of images: the greatest and the average of windows, and their gradients.

Layouts are packed (..., height, width). A plane's gradient is made by one thread, position after
position, so that windows which overlap add up in one order. Schedules return (steps, bytes of
temporaries); `values` are the places of their tensors in the value table.
"""

from __future__ import annotations

from math import inf, prod
from typing import NamedTuple

from cresset.core.dtype import dtype
from cresset.core.layout import Layout
from cresset.kernels.schedule import Schedule
from cresset.kernels.tile import lanes_of
from cresset.kernels.windows import inside
from cresset.kernels.words import Words
from cresset.runtime.ir import Function, Module, Value, vector

PACE = 1.0  # elements of windows met in a nanosecond
MOST_INDEXED = 1 << 31  # elements of a plane whose places fit lanes of 32 bits

Pair = tuple[int, int]


# --- schedules ------------------------------------------------------------------------------------
def max_pool2d(x: Layout, out: Layout, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair,
               values: tuple[int, int, int]):
    """The greatest of each window and its place in the plane (row * width + column, int64).

    The first of equals is taken, and the last NaN if there is one. `values` are (x, out, places).
    """
    spacing = stride[1] if x.dtype.is_floating_point and prod(x.shape[-2:]) < MOST_INDEXED else 0
    spacing = spacing if spacing < 3 else 0
    schedule = Schedule(0)
    rows, columns = out.shape[-2:]
    units = rows * prod(out.shape[:-2]) if columns else 0
    schedule.launch(
        f"max_pool_{x.dtype.code}x{lanes_of(x.dtype)}_{spacing}",
        lambda: greatest(x.dtype, spacing), values,
        (*x.shape[-2:], rows, columns, *kernel, *stride, *padding, *dilation), units,
        out.numel * prod(kernel) / PACE,
    )
    return schedule.result()


def max_pool2d_gradient(gradient: Layout, x: Layout, values: tuple[int, int, int]):
    """Each gradient added at the place it came from; `values` are (gradient, places, result)."""
    schedule = Schedule(0)
    planes = prod(x.shape[:-2]) if prod(x.shape[-2:]) else 0
    schedule.launch(
        f"max_pool_gradient_{x.dtype.code}x{lanes_of(x.dtype)}", lambda: scattered(x.dtype), values,
        (prod(gradient.shape[-2:]), prod(x.shape[-2:])), planes,
        (gradient.numel + x.numel) / PACE,
    )
    return schedule.result()


def avg_pool2d(x: Layout, out: Layout, kernel: Pair, stride: Pair, padding: Pair,
               count_include_pad: bool, divisor_override: int | None, values: tuple[int, int]):
    """The average of each window: its sum over `divisor_override`, or its size.

    The size counts the padding if `count_include_pad`, nothing beyond it. `values` are (x, out).
    """
    words = (*kernel, *stride, *padding, count_include_pad, divisor_override or 0)
    return _average("avg_pool", x, out, values, words, stride[1], prod(kernel))


def avg_pool2d_gradient(gradient: Layout, x: Layout, kernel: Pair, stride: Pair, padding: Pair,
                        count_include_pad: bool, divisor_override: int | None,
                        values: tuple[int, int]):
    """The gradient of `avg_pool2d`; `values` are (gradient, result)."""
    words = (*kernel, *stride, *padding, count_include_pad, divisor_override or 0)
    return _spread("avg_pool", gradient, x, values, words, prod(kernel))


def adaptive_avg_pool2d(x: Layout, out: Layout, values: tuple[int, int]):
    """The averages of windows that divide the plane evenly, from floor to ceiling.

    `values` are (x, out).
    """
    return _average("adaptive_avg_pool", x, out, values, (), 0, _share(x, out))


def adaptive_avg_pool2d_gradient(gradient: Layout, x: Layout, values: tuple[int, int]):
    """The gradient of `adaptive_avg_pool2d`; `values` are (gradient, result)."""
    return _spread("adaptive_avg_pool", gradient, x, values, (), _share(x, gradient))


def _share(x: Layout, out: Layout) -> int:
    return 1 + prod(x.shape[-2:]) // max(1, prod(out.shape[-2:]))


def _average(name, x, out, values, words, spacing, size):
    spacing = spacing if spacing < 3 else 0
    schedule = Schedule(0)
    rows, columns = out.shape[-2:]
    units = rows * prod(out.shape[:-2]) if columns else 0
    schedule.launch(
        f"{name}_{x.dtype.code}x{lanes_of(x.dtype)}_{spacing}",
        lambda: averages(x.dtype, spacing, adaptive=not words), values,
        (*x.shape[-2:], rows, columns, *words), units, out.numel * size / PACE,
    )
    return schedule.result()


def _spread(name, gradient, x, values, words, size):
    schedule = Schedule(0)
    planes = prod(x.shape[:-2]) if prod(x.shape[-2:]) else 0
    schedule.launch(
        f"{name}_gradient_{x.dtype.code}x{lanes_of(x.dtype)}",
        lambda: spread(x.dtype, adaptive=not words), values,
        (*x.shape[-2:], *gradient.shape[-2:], *words), planes,
        (gradient.numel * size + x.numel) / PACE,
    )
    return schedule.result()


# --- the greatest ---------------------------------------------------------------------------------
def greatest(dtype: dtype, spacing: int) -> Module:
    """The kernel of `max_pool2d`; a unit is a row. `spacing`: the stride across, 0 if over 2.

    Words: pointers x, out, places; height, width, rows, columns of the result; down and across:
    kernel, stride, padding, dilation.
    """
    module = Module()
    f = module.kernel()
    words = Words(f)
    x, out, places = (words.pointer() for _ in range(3))
    height, width, rows, columns = words.integers(4)
    down, across, row_stride, column_stride, top_padding, left_padding = words.integers(6)
    row_dilation, column_dilation = words.integers(2)
    lanes = lanes_of(dtype)
    _, begin, end = f.arguments
    with f.loop(begin, end) as unit:
        plane = f.offset(x, unit.udiv(rows) * (height * width), dtype.llvm)
        top = unit.urem(rows) * row_stride - top_padding
        first_row, last_row = inside(f, top, height, down, row_dilation)
        out_row = f.offset(out, unit * columns, dtype.llvm)
        place_row = f.offset(places, unit * columns, "i64")

        def pixels(column: Value, count: int):
            left = column * column_stride - left_padding
            taps = f.constant("i64", 0), across
            if count == 1:
                taps = inside(f, left, width, across, column_dilation)
            index_type = vector("i64" if count == 1 else f"i{8 * dtype.itemsize}", count)
            steps = f.lane_numbers(index_type) * f.splat(
                f.convert(column_stride, f"i{8 * dtype.itemsize}"), count) if count > 1 else 0

            def place_of(row, tap):
                return (top + row * row_dilation) * width + left + tap * column_dilation

            def spelled(place):
                if count == 1:
                    return place
                return f.splat(f.convert(place, f"i{8 * dtype.itemsize}"), count) + steps

            start = f.constant(vector(dtype.llvm, count), _lowest(dtype))
            carry = [start, spelled(place_of(first_row, taps[0]))]
            with f.loop(first_row, last_row, carry=carry) as row:
                with f.loop(*taps, carry=row.values) as tap:
                    best, best_place = tap.values
                    place = place_of(row.index, tap.index)
                    value = _spaced(f, dtype, plane, place, spacing, count)
                    better = _exceeds(dtype, value, best)
                    tap.next(_pick(f, better, value, best),
                             f.select(better, spelled(place), best_place))
                row.next(*tap.results)
            best, best_place = row.results
            f.store(best, f.offset(out_row, column, dtype.llvm))
            best_place = f.convert(best_place, vector("i64", count))
            f.store(best_place, f.offset(place_row, column, "i64"))

        reach = width - (across - 1) * column_dilation
        _by_columns(f, pixels, lanes if spacing else 1,
                    inside(f, -left_padding, reach, columns, column_stride), columns)
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
    """The kernel of `max_pool2d_gradient`; a unit is a plane.

    Words: pointers gradient, places, result; elements of a gradient's and of a result's plane.
    """
    module = Module()
    f = module.kernel()
    words = Words(f)
    gradient, places, result = (words.pointer() for _ in range(3))
    count, size = words.integers(2)
    _, begin, end = f.arguments
    with f.loop(begin, end) as unit:
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
class Averaging(NamedTuple):
    """How a kernel finds the windows of averages."""

    extents: list[Value]  # height, width of the plane
    counts: list[Value]  # rows, columns of the result
    kernel: list[Value]  # this and what follows is void where windows divide the plane evenly
    stride: list[Value]
    padding: list[Value]
    with_padding: Value | None
    divisor: Value | None

    @classmethod
    def read(cls, words: Words, adaptive: bool) -> Averaging:
        extents, counts = words.integers(2), words.integers(2)
        if adaptive:
            return cls(extents, counts, [], [], [], None, None)
        kernel, stride, padding = (words.integers(2) for _ in range(3))
        return cls(extents, counts, kernel, stride, padding, *words.integers(2))

    def window(self, f: Function, axis: int, number: Value):
        """Where window `number` starts and ends along an axis, and how many it counts as."""
        extent, count = self.extents[axis], self.counts[axis]
        if self.with_padding is None:
            start = (number * extent).udiv(count)
            end = ((number + 1) * extent + count - 1).udiv(count)
            return start, end, end - start
        first = number * self.stride[axis] - self.padding[axis]
        last = f.minimum(first + self.kernel[axis], extent + self.padding[axis])
        start, end = f.select(first < 0, 0, first), f.minimum(last, extent)
        size = f.select(self.with_padding.ne(0), last - first, end - start)
        return start, end, f.select(size < 1, 1, size)

    def size(self, f: Function, high: Value, wide: Value, type: str) -> Value:
        """What the sum of a window that counts `high` by `wide` is divided by."""
        size = high * wide
        if self.divisor is not None:
            size = f.select(self.divisor.eq(0), size, self.divisor)
        return f.convert(size, type)


def averages(dtype: dtype, spacing: int, adaptive: bool) -> Module:
    """The kernel of averages; a unit is a row. `spacing`: the stride across, 0 if over 2 or none.

    Words: pointers x, out; height, width, rows, columns of the result; unless adaptive, down and
    across: kernel, stride, padding; whether padding counts, the divisor or 0.
    """
    module = Module()
    f = module.kernel()
    words = Words(f)
    x, out = words.pointer(), words.pointer()
    windows = Averaging.read(words, adaptive)
    (height, width), (rows, columns) = windows.extents, windows.counts
    lanes = lanes_of(dtype)
    _, begin, end = f.arguments
    with f.loop(begin, end) as unit:
        plane = f.offset(x, unit.udiv(rows) * (height * width), dtype.llvm)
        top, bottom, high = windows.window(f, 0, unit.urem(rows))
        out_row = f.offset(out, unit * columns, dtype.llvm)

        def pixels(column: Value, count: int):
            left, right, wide = windows.window(f, 1, column)
            zero = f.constant(vector(dtype.llvm, count), 0)
            if adaptive:
                total = _total(f, dtype, plane, width, _runs(f, top, bottom, left, right, width))
            else:
                with f.loop(top, bottom, carry=[zero]) as row:
                    with f.loop(left, right, carry=row.values) as tap:
                        place = row.index * width + tap.index
                        value = _spaced(f, dtype, plane, place, spacing, count)
                        tap.next(tap.values[0] + value)
                    row.next(*tap.results)
                total = row.results[0]
            size = f.splat(windows.size(f, high, wide, dtype.llvm), count)
            f.store(total / size, f.offset(out_row, column, dtype.llvm))

        within = columns, columns
        if spacing:
            reach = width - windows.kernel[1] + 1
            within = inside(f, -windows.padding[1], reach, columns, windows.stride[1])
        _by_columns(f, pixels, lanes if spacing else 1, within, columns)
    f.ret()
    return module


def spread(dtype: dtype, adaptive: bool) -> Module:
    """The kernel of the averages' gradients; a unit is a plane.

    Words: pointers gradient, result; then as `averages`.
    """
    module = Module()
    f = module.kernel()
    words = Words(f)
    gradient, result = words.pointer(), words.pointer()
    windows = Averaging.read(words, adaptive)
    (height, width), (rows, columns) = windows.extents, windows.counts
    _, begin, end = f.arguments
    with f.loop(begin, end) as unit:
        plane = f.offset(result, unit * (height * width), dtype.llvm)
        _zero(f, dtype, plane, height * width)
        terms = f.offset(gradient, unit * (rows * columns), dtype.llvm)
        with f.loop(0, rows) as row:
            top, bottom, high = windows.window(f, 0, row)
            with f.loop(0, columns) as column:
                left, right, wide = windows.window(f, 1, column)
                term = f.load(dtype.llvm, f.offset(terms, row * columns + column, dtype.llvm))
                term = term / windows.size(f, high, wide, dtype.llvm)
                first, rows_of_window, length = _runs(f, top, bottom, left, right, width)
                with f.loop(0, rows_of_window) as y:
                    _add(f, dtype, f.offset(plane, first + y * width, dtype.llvm), length, term)
    f.ret()
    return module


# --- shared by them -------------------------------------------------------------------------------
def _by_columns(f: Function, pixels, lanes: int, within, columns: Value):
    """A row of `pixels(column, count)`: vectors within the range where windows lie in the plane.

    The last vector starts earlier where it would pass that range, and does some pixels again.
    """
    low, high = within
    stop = f.select(high - low < lanes, low, high) if lanes > 1 else low
    if lanes > 1:
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


def _runs(f: Function, top: Value, bottom: Value, left: Value, right: Value, width: Value):
    """A window as runs of elements: the first's place, how many, `width` apart, and their length.

    Whole rows are one run.
    """
    high, wide = bottom - top, right - left
    wide = f.select(wide < 0, 0, wide)
    whole = wide.eq(width)
    return (top * width + left, f.select(whole, 1, high), f.select(whole, high * width, wide))


def _total(f: Function, dtype: dtype, plane: Value, width: Value, runs) -> Value:
    """The sum of a window's elements."""
    first, count, length = runs
    lanes = lanes_of(dtype)
    type = vector(dtype.llvm, lanes)
    whole = length.udiv(lanes) * lanes
    with f.loop(0, count, carry=[f.constant(type, 0), f.constant(dtype.llvm, 0)]) as row:
        start = f.offset(plane, first + row.index * width, dtype.llvm)
        with f.loop(0, whole, lanes, carry=row.values[:1]) as at:
            at.next(at.values[0] + f.load(type, f.offset(start, at.index, dtype.llvm)))
        with f.loop(whole, length, carry=row.values[1:]) as rest:
            rest.next(rest.values[0] + f.load(dtype.llvm, f.offset(start, rest.index, dtype.llvm)))
        row.next(*at.results, *rest.results)
    wide, total = row.results
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
