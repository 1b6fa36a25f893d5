"""Windows over volumes: strided looks at an image that may hang over its edges.

A volume is a stack of planes; an image is one plane, a signal a plane of one row. A window is a
grid of rows and columns laid on one plane of it, from a corner that may lie outside of the volume,
in steps of so many rows and columns. Copied out, with zeros where it hangs over, windows make
padded images (one window a plane; one per phase of the columns where the stride is not 1) and the
columns of a convolution (one per plane and tap). Added back in, they make its gradient.
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

Triple = tuple[int, int, int]  # along the depth, down and across


def triple(numbers: Sequence[int], missing: int = 1) -> Triple:
    """The numbers for one, two or three dims, after what stands for the dims before them."""
    deep, down, across = (*[missing] * (3 - len(numbers)), *numbers)
    return deep, down, across


def copy_windows(schedule: Schedule, dtype: dtype, source: int, volume: Triple,
                 grid: Sequence[int], steps: Sequence[int], corner: Triple,
                 sizes: Sequence[int], moves: Sequence[Sequence[int]], target: int):
    """target[*sizes, row, column] = the source where window (*sizes) has that row and column.

    `volume` is the depth, height and width of the source, `grid` the rows and columns of a window,
    `steps` how far apart they look and `corner` where the first looks. Along each dim of `sizes`
    the source moves by `moves[0]` elements, and the corner by `moves[1]` planes, `moves[2]` rows
    and `moves[3]` columns.
    """
    rows, columns = grid
    window = rows * columns
    kept = [at for at, size in enumerate(sizes) if size != 1] or [0]
    *outer, inner = (sizes[at] for at in kept)
    moves = [[move[at] for at in kept] for move in moves]
    target_strides = [window * inner * prod(outer[at + 1 :]) for at in range(len(outer))]
    units = prod(outer)
    schedule.launch(
        _name("windows", dtype, steps),
        lambda: windows(dtype, steps[1] == 1), (source, target),
        (*volume, rows, columns, *steps, *corner, inner, *(move[-1] for move in moves),
         *batch_words(outer, (*(move[:-1] for move in moves), target_strides))),
        units, units * inner * (window + 16) / PACE,
    )


def _name(kernel: str, dtype: dtype, steps: Sequence[int]) -> str:
    return f"{kernel}_{dtype.llvm}x{lanes_of(dtype)}_{'dense' if steps[-1] == 1 else 'spaced'}"


def windows(dtype: dtype, dense: bool) -> Module:
    """The kernel of `copy_windows`; `dense` where the columns step by 1.

    A unit is a row of windows, those along the last dim.

    Words: pointers source, target; depth, height, width, rows, columns, row and column step, first
    plane, row and column looked at; windows of a unit and what they move (source, plane, row,
    column); the batch of (source, plane, row, column, target).
    """
    module = Module()
    f = module.kernel()
    words = Words(f)
    source, target = words.pointer(), words.pointer()
    depth, height, width, rows, columns, row_step, column_step = words.integers(7)
    first_plane, first_row, first_column, count, *moves = words.integers(8)
    batch = Batch(words, 5)
    type = dtype.llvm
    with f.units() as unit:
        at, front, top, left, to = batch.offsets(f, unit)
        places = [at, front + first_plane, top + first_row, left + first_column, to]
        with f.loop(0, count, carry=places) as window:
            at, front, top, left, to = window.values
            low, high = inside(f, left, width, columns, column_step)
            corner = f.offset(source, at + front * (height * width) + left, type)
            planes = f.select(front.ult(depth), height, 0)
            with f.loop(0, rows) as row:
                y = top + row * row_step
                within = y.ult(planes)
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


def add_windows(schedule: Schedule, dtype: dtype, source: int, volume: Triple, grid: Triple,
                steps: Triple, corner: Triple, taps: Triple, dilation: Triple,
                sizes: Sequence[int], strides: Sequence[Sequence[int]], tap_stride: int,
                target: int, bias: int | None = None):
    """target[*sizes] = bias + the volume on which each tap's grid is added where it looks.

    The tap (k, i, j) of a volume looks from `corner` + (k, i, j) * `dilation`; its grid of the
    source lies `tap_stride` elements after the one before it. `strides` are those of the source, of
    the target and of the bias along `sizes`. Taps are added in order, whoever does the volume.
    """
    units = prod(sizes)
    schedule.launch(
        f"{_name('add_windows', dtype, steps)}_{bias is not None}",
        lambda: window_sums(dtype, steps[-1] == 1, bias is not None),
        (source, target, target if bias is None else bias),
        (*volume, *grid, *steps, *corner, *taps, *dilation, tap_stride,
         *batch_words(sizes, strides)),
        units, units * (prod(volume) + prod(taps) * prod(grid)) / PACE,
    )


def window_sums(dtype: dtype, dense: bool, biased: bool) -> Module:
    """The kernel of `add_windows`; a unit is a volume.

    Words: pointers source, target, bias; along the depth, down and across: the volume, the grid,
    steps, the corner, taps, dilations; stride of a tap; the batch of (source, target, bias).
    """
    module = Module()
    f = module.kernel()
    words = Words(f)
    source, target, terms = (words.pointer() for _ in range(3))
    depth, height, width = words.integers(3)
    planes, rows, columns = words.integers(3)
    plane_step, row_step, column_step = words.integers(3)
    first_plane, first_row, first_column = words.integers(3)
    deep, down, across = words.integers(3)
    plane_dilation, row_dilation, column_dilation, tap_stride = words.integers(4)
    batch = Batch(words, 3)
    type = dtype.llvm
    with f.units() as unit:
        at, to, term = batch.offsets(f, unit)
        volume = f.offset(target, to, type)
        start = f.load(type, f.offset(terms, term, type)) if biased else f.constant(type, 0)
        _fill(f, type, volume, f.constant("i64", 0), depth * height * width, start)
        grids = f.offset(source, at, type)
        with f.loop(0, deep * down * across) as tap:
            grid = f.offset(grids, tap * tap_stride, type)
            line_of_taps = tap.udiv(across)
            front = line_of_taps.udiv(down) * plane_dilation + first_plane
            top = line_of_taps.urem(down) * row_dilation + first_row
            left = tap.urem(across) * column_dilation + first_column
            low, high = inside(f, left, width, columns, column_step)
            with f.loop(0, planes) as plane:
                z = front + plane * plane_step
                lines = f.offset(volume, z * (height * width) + left, type)
                with f.loop(0, f.select(z.ult(depth), rows, 0)) as row:
                    y = top + row * row_step
                    with f.when(y.ult(height)):
                        added = f.offset(grid, (plane * rows + row) * columns, type)
                        line = f.offset(lines, y * width, type)
                        _add(f, dtype, added, line, low, high, column_step, dense)
    f.ret()
    return module


def inside(f: Function, first: Value, extent: Value, count: Value, step: Value):
    """The range of i in 0..count for which first + i * step lies in 0..extent."""

    def reach(distance):
        return f.select(distance > 0, distance, 0) + step - 1

    high = f.minimum(reach(extent - first).udiv(step), count)
    return f.minimum(reach(-first).udiv(step), high), high


def _fill(f, type, row, start, stop, value=None):
    with f.loop(start, stop) as column:
        f.store(f.constant(type, 0) if value is None else value, f.offset(row, column, type))


def _copy(f, dtype, line, out, start, stop, step, dense):
    type, lanes = dtype.llvm, lanes_of(dtype)
    whole = start + (stop - start).udiv(lanes) * lanes
    if not dense:
        whole = f.select(step.eq(2), whole, start)
    with f.loop(start, whole, lanes) as column:
        if dense:
            value = f.load(vector(type, lanes), f.offset(line, column, type))
        else:
            # Every second element: the last one needed is the last one read.
            at = f.offset(line, column * 2, type)
            low, high = (f.load(vector(type, lanes), f.offset(at, far, type))
                         for far in (0, lanes - 1))
            value = f.shuffle(low, high, [*range(0, lanes, 2), *range(lanes + 1, 2 * lanes, 2)])
        f.store(value, f.offset(out, column, type))
    with f.loop(whole, stop) as column:
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
