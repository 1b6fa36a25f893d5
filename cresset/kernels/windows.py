"""Windows over planes: strided looks at an image that may hang over its edges.

A window is a grid of rows and columns laid on a plane of the source, from a corner that may lie
outside, in steps of so many rows and columns. Copied out, with zeros where it hangs over, windows
make padded images (one window a plane; one per phase of the columns where the stride is not 1) and
the columns of a convolution (one per plane and tap). Added back in, they make its gradient.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from cresset.core.dtype import dtype
from cresset.kernels.batch import Batch, batch_words
from cresset.kernels.schedule import Schedule
from cresset.kernels.tile import lanes_of
from cresset.kernels.words import Words
from cresset.runtime.ir import Function, Module, Value, vector

PACE = 1.5  # elements copied in a nanosecond


def copy_windows(schedule: Schedule, dtype: dtype, source: int, plane: tuple[int, int],
                 grid: tuple[int, int], steps: tuple[int, int], corner: tuple[int, int],
                 sizes: Sequence[int], moves: Sequence[Sequence[int]], target: int):
    """target[*sizes, row, column] = the source where window (*sizes) has that row and column.

    `plane` is the height and width of a source plane, `grid` the rows and columns of a window,
    `steps` how far apart they look and `corner` where the first looks. Along each dim of `sizes`
    the source moves by `moves[0]` elements, the corner by `moves[1]` rows and `moves[2]` columns.
    """
    height, width = plane
    rows, columns = grid
    window = rows * columns
    *outer, inner = sizes
    target_strides = [window * prod(sizes[at + 1 :]) for at in range(len(outer))]
    units = prod(outer)
    schedule.launch(
        _name("windows", dtype, steps),
        lambda: windows(dtype, steps[1] == 1), (source, target),
        (height, width, rows, columns, *steps, *corner, inner, *(move[-1] for move in moves),
         *batch_words(outer, (*(move[:-1] for move in moves), target_strides))),
        units, units * inner * (window + 16) / PACE,
    )


def _name(kernel: str, dtype: dtype, steps: tuple[int, int]) -> str:
    return f"{kernel}_{dtype.llvm}x{lanes_of(dtype)}_{'dense' if steps[1] == 1 else 'spaced'}"


def windows(dtype: dtype, dense: bool) -> Module:
    """The kernel of `copy_windows`; `dense` where the columns step by 1.

    A unit is a row of windows, those along the last dim.

    Words: pointers source, target; height, width, rows, columns, row and column step, first row and
    column looked at; windows of a unit and what they move (source, row, column); the batch of
    (source, row, column, target).
    """
    module = Module()
    f = module.kernel()
    words = Words(f)
    source, target = words.pointer(), words.pointer()
    height, width, rows, columns, row_step, column_step, first_row, first_column = words.integers(8)
    count, *moves = words.integers(4)
    batch = Batch(words, 4)
    type = dtype.llvm
    _, begin, end = f.arguments
    with f.loop(begin, end) as unit:
        at, top, left, to = batch.offsets(f, unit)
        places = [at, top + first_row, left + first_column, to]
        with f.loop(0, count, carry=places) as window:
            at, top, left, to = window.values
            low, high = inside(f, left, width, columns, column_step)
            corner = f.offset(source, at + left, type)
            with f.loop(0, rows) as row:
                y = top + row * row_step
                within = y.ult(height)
                start = f.select(within, low, columns)
                stop = f.select(within, high, columns)
                out = f.offset(target, to + row * columns, type)
                _fill(f, type, out, f.constant("i64", 0), start)
                line = f.offset(corner, y * width, type)
                _copy(f, dtype, line, out, start, stop, column_step, dense)
                _fill(f, type, out, stop, columns)
            moved = [place + move for place, move in zip(window.values, moves)]
            window.next(*moved, to + rows * columns)
    f.ret()
    return module


def add_windows(schedule: Schedule, dtype: dtype, source: int, plane: tuple[int, int],
                grid: tuple[int, int], steps: tuple[int, int], corner: tuple[int, int],
                taps: tuple[int, int], dilation: tuple[int, int], sizes: Sequence[int],
                strides: Sequence[Sequence[int]], tap_stride: int, target: int):
    """target[*sizes] = the plane on which each tap's window of the source is added where it looks.

    The tap (i, j) of a plane is the window from `corner` + (i, j) * `dilation`; its grid of the
    source lies `tap_stride` elements after the one before it. `strides` are those of the source and
    of the target along `sizes`. Taps are added in order, whoever does the plane.
    """
    units = prod(sizes)
    schedule.launch(
        _name("add_windows", dtype, steps),
        lambda: window_sums(dtype, steps[1] == 1), (source, target),
        (*plane, *grid, *steps, *corner, *taps, *dilation, tap_stride,
         *batch_words(sizes, strides)),
        units, units * (prod(plane) + prod(taps) * prod(grid)) / PACE,
    )


def window_sums(dtype: dtype, dense: bool) -> Module:
    """The kernel of `add_windows`; a unit is a plane.

    Words: pointers source, target; height, width, rows, columns, row and column step, first row and
    column, taps down and across, their dilations, stride of a tap; the batch of (source, target).
    """
    module = Module()
    f = module.kernel()
    words = Words(f)
    source, target = words.pointer(), words.pointer()
    height, width, rows, columns, row_step, column_step, first_row, first_column = words.integers(8)
    down, across, row_dilation, column_dilation, tap_stride = words.integers(5)
    batch = Batch(words, 2)
    type = dtype.llvm
    _, begin, end = f.arguments
    with f.loop(begin, end) as unit:
        at, to = batch.offsets(f, unit)
        plane = f.offset(target, to, type)
        _fill(f, type, plane, f.constant("i64", 0), height * width)
        grids = f.offset(source, at, type)
        with f.loop(0, down * across) as tap:
            grid = f.offset(grids, tap * tap_stride, type)
            top = tap.udiv(across) * row_dilation + first_row
            left = tap.urem(across) * column_dilation + first_column
            low, high = inside(f, left, width, columns, column_step)
            with f.loop(0, rows) as row:
                y = top + row * row_step
                with f.when(y.ult(height)):
                    line = f.offset(plane, y * width + left, type)
                    terms = f.offset(grid, row * columns, type)
                    _add(f, dtype, terms, line, low, high, column_step, dense)
    f.ret()
    return module


def inside(f: Function, first: Value, extent: Value, count: Value, step: Value):
    """The range of i in 0..count for which first + i * step lies in 0..extent."""

    def reach(distance):
        return f.select(distance > 0, distance, 0) + step - 1

    high = f.minimum(reach(extent - first).udiv(step), count)
    return f.minimum(reach(-first).udiv(step), high), high


def _fill(f, type, row, start, stop):
    with f.loop(start, stop) as column:
        f.store(f.constant(type, 0), f.offset(row, column, type))


def _copy(f, dtype, line, out, start, stop, step, dense):
    type = dtype.llvm
    if dense:
        lanes = lanes_of(dtype)
        whole = start + (stop - start).udiv(lanes) * lanes
        with f.loop(start, whole, lanes) as column:
            value = f.load(vector(type, lanes), f.offset(line, column, type))
            f.store(value, f.offset(out, column, type))
        start = whole
    with f.loop(start, stop) as column:
        f.store(f.load(type, f.offset(line, column * step, type)), f.offset(out, column, type))


def _add(f, dtype, terms, line, start, stop, step, dense):
    type = dtype.llvm
    if dense:
        lanes = lanes_of(dtype)
        whole = start + (stop - start).udiv(lanes) * lanes
        with f.loop(start, whole, lanes) as column:
            place = f.offset(line, column, type)
            term = f.load(vector(type, lanes), f.offset(terms, column, type))
            f.store(f.load(term.type, place) + term, place)
        start = whole
    with f.loop(start, stop) as column:
        place = f.offset(line, column * step, type)
        f.store(f.load(type, place) + f.load(type, f.offset(terms, column, type)), place)
