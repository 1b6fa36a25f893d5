"""Correlation of images with 3x3 filters by Winograd's minimal algorithm F(4x4, 3x3).

    out = A^T [(G w G^T) * (B^T x B)] A        for every 4x4 tile of the result, over all channels

A tile of the result depends on 6x6 pixels x, which are transformed, multiplied place by place with
transformed filters, and transformed back. The sums over channels are 36 products of matrices, with
a quarter of the multiplications of the sums they replace. S. Winograd, Arithmetic complexity of
computations (1980); A. Lavin and S. Gray, Fast algorithms for convolutional neural networks (2016).

The transforms interpolate polynomials at POINTS, which decide how much is lost to rounding; with
the usual 1, -1, 2, -2 it is four times as much (B. Barabasz and others, Error analysis and
improving the accuracy of Winograd convolution, 2020). Results are within BOUND units in the last
place of the greatest sum of absolute values of products, which `tests/test_winograd.py` holds; that
is some two or three times the error of plain sums. So it is for float32 alone, and
CRESSET_WINOGRAD=0 leaves it out.

Tiles that would pass the last row or column start earlier. Lanes are channels; blocks that would
pass the last channel start earlier, too. Images go through in chunks that the caches hold.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from math import prod
from typing import NamedTuple

from cresset.core.dtype import dtype
from cresset.kernels.matmul import Operand, matmul
from cresset.kernels.pack import transpose
from cresset.kernels.schedule import Schedule
from cresset.kernels.words import Words
from cresset.runtime.ir import Function, Module, Value, vector

ENABLED = os.environ.get("CRESSET_WINOGRAD", "1") not in ("", "0")
BOUND = 8  # units in the last place
LEAST_CHANNELS = 32  # in and out, from which on it pays
LEAST_TILES = 24
CHUNK_BYTES = 1 << 22  # of transformed images and results
LEAST_ROWS = 96  # tiles of a chunk, which all the filters meet
PACE = 1.5  # elements transformed in a nanosecond
TILE, TAPS, SEEN = 4, 3, 6  # of the result, of the filters and of the image, along each dim
LANES = 2 * TILE  # channels at a time, on any machine: two rows of a tile, turned around
KIND = vector("float", LANES)

POINTS = (0, 5 / 8, -5 / 8, 3 / 2, -3 / 2)  # and infinity


def _polynomial(roots: Sequence[float]) -> list[float]:
    """The coefficients, lowest first, of the product of x - root."""
    made = [1.0]
    for root in roots:
        made = [low - root * high for low, high in zip([0.0, *made], [*made, 0.0])]
    return made


def _transforms() -> tuple[list[list[float]], list[list[float]], list[list[float]]]:
    """The matrices B^T of images, G of filters and A^T of results."""
    image, filters = [], []
    for point in POINTS:
        others = [other for other in POINTS if other != point]
        image.append([*_polynomial(others), 0.0])
        scale = prod(point - other for other in others)
        filters.append([point**power / scale for power in range(TAPS)])
    image.append(_polynomial(POINTS))
    filters.append([0.0] * (TAPS - 1) + [1.0])
    result = [[*(point**power for point in POINTS), float(power == TILE - 1)]
              for power in range(TILE)]
    return image, filters, result


IMAGE, FILTER, RESULT = _transforms()
PLACES = SEEN * SEEN


class Filters(NamedTuple):
    """3x3 filters in the value table: strides of a channel in and out; whether they turn around."""

    place: int
    inputs: int
    outputs: int
    turned: bool


def suits(dtype: dtype, images: int, inputs: int, outputs: int, height: int, width: int) -> bool:
    """Whether it pays for so many images and channels, and results of that size."""
    tiles = images * _count(height) * _count(width)
    return (ENABLED and dtype.name == "float32" and min(inputs, outputs) >= LEAST_CHANNELS
            and min(height, width) >= TILE and tiles >= LEAST_TILES)


def margins(height: int, width: int) -> tuple[int, int]:
    """Rows and columns that a padded image must have for results of a size."""
    return height + SEEN - TILE, width + LANES - TILE


def _count(extent: int) -> int:
    """Tiles along a dim."""
    return -(-extent // TILE)


def winograd(schedule: Schedule, dtype: dtype, image: int, extents: tuple[int, int],
             filters: Filters, out: int, bias: int | None,
             sizes: tuple[int, int, int, int, int]):
    """Add the correlation; `sizes` are images, channels in and out, rows, columns of the result.

    `image` is packed (images, channels in, *extents), `out` (images, channels out, rows, columns),
    `bias` (channels out).
    """
    count, inputs, outputs, height, width = sizes
    down, across = _count(height), _count(width)
    tiles = down * across
    size = dtype.itemsize
    chunk = CHUNK_BYTES // (PLACES * tiles * (inputs + outputs) * size)
    chunk = min(max(chunk, -(-LEAST_ROWS // tiles)), count)
    spread = schedule.temporary(PLACES * inputs * outputs * size)
    schedule.launch(
        f"winograd_filters_{filters.turned}", lambda: filter_transform(filters.turned),
        (filters.place, spread), (inputs, outputs, filters.inputs, filters.outputs), inputs,
        inputs * outputs * PLACES / PACE)
    images = schedule.temporary(PLACES * chunk * tiles * inputs * size)
    results = schedule.temporary(PLACES * chunk * tiles * outputs * size)
    for first in range(0, count, chunk):
        these = min(chunk, count - first)
        rows = these * tiles
        schedule.launch(
            "winograd_image", image_transform, (image, images),
            (first, inputs, *extents, height, width, down, across, rows * inputs),
            these * down, rows * PLACES * inputs / PACE)
        schedule.follow(matmul(
            (PLACES,), rows, outputs, inputs, dtype,
            Operand(images, (rows * inputs, inputs, 1)),
            Operand(spread, (inputs * outputs, outputs, 1)),
            Operand(results, (rows * outputs, outputs, 1)),
            first_temporary=schedule.next_temporary))
        schedule.launch(
            f"winograd_result_{bias is not None}", lambda: result_transform(bias is not None),
            (results, out, out if bias is None else bias),
            (first, outputs, height, width, down, across, rows * outputs),
            these * down, rows * PLACES * outputs / PACE)


def filter_transform(turned: bool) -> Module:
    """The transformed filters, (places, channels in, channels out); a unit is a channel in.

    Words: pointers filters, out; channels in and out, strides of the filters along them.
    """
    module = Module()
    f = module.kernel()
    words = Words(f)
    filters, out = words.pointer(), words.pointer()
    inputs, outputs, input_step, output_step = words.integers(4)
    last = TAPS * TAPS - 1
    _, begin, end = f.arguments
    with f.loop(begin, end) as unit:
        with f.loop(0, outputs, LANES) as turn:
            channel = f.minimum(turn, outputs - LANES)
            at = f.offset(filters, unit * input_step + channel * output_step, "float")
            rows, ninth = [], f.constant(KIND, 0)
            for lane in range(LANES):
                rows.append(f.load(KIND, at))
                ninth = f.insert(ninth, f.load("float", f.offset(at, last, "float")), lane)
                at = f.offset(at, output_step, "float")
            taps = [*transpose(f, rows), ninth]
            if turned:
                taps.reverse()
            lines = [_combined(f, FILTER, taps[row : row + TAPS])
                     for row in range(0, TAPS * TAPS, TAPS)]
            to = f.offset(out, unit * outputs + channel, "float")
            _store_places(f, FILTER, zip(*lines), to, inputs * outputs)
    f.ret()
    return module


def image_transform() -> Module:
    """The transformed images, (places, images, tiles, channels); a unit is a row of tiles.

    Words: pointers image, out; the first image, channels, height and width of an image, rows and
    columns of the result, tiles down and across, elements of a place.
    """
    module = Module()
    f = module.kernel()
    words = Words(f)
    image, out = words.pointer(), words.pointer()
    first, channels, height, width, rows, columns = words.integers(6)
    down, across, place_step = words.integers(3)
    plane = height * width
    _, begin, end = f.arguments
    with f.loop(begin, end) as unit:
        top = f.minimum(unit.urem(down) * TILE, rows - TILE)
        number = first + unit.udiv(down)
        source = f.offset(image, number * channels * plane + top * width, "float")
        with f.loop(0, channels, LANES) as turn:
            channel = f.minimum(turn, channels - LANES)
            corner = f.offset(source, channel * plane, "float")
            with f.loop(0, across) as tile:
                left = f.minimum(tile * TILE, columns - TILE)
                pixels = []
                for row in range(SEEN):
                    at = f.offset(corner, left + width * row, "float")
                    seen = []
                    for _ in range(LANES):
                        seen.append(f.load(KIND, at))
                        at = f.offset(at, plane, "float")
                    pixels.append(_combined(f, IMAGE, transpose(f, seen)[:SEEN]))
                to = f.offset(out, (unit * across + tile) * channels + channel, "float")
                _store_places(f, IMAGE, zip(*pixels), to, place_step)
    f.ret()
    return module


def result_transform(biased: bool) -> Module:
    """The results of transformed ones; a unit is a row of tiles.

    Words: pointers results, out, bias; the first image, channels, rows and columns of a result,
    tiles down and across, elements of a place.
    """
    module = Module()
    f = module.kernel()
    words = Words(f)
    results, out, bias = (words.pointer() for _ in range(3))
    first, channels, rows, columns, down, across, place_step = words.integers(7)
    plane = rows * columns
    _, begin, end = f.arguments
    with f.loop(begin, end) as unit:
        top = f.minimum(unit.urem(down) * TILE, rows - TILE)
        number = first + unit.udiv(down)
        target = f.offset(out, number * channels * plane + top * columns, "float")
        with f.loop(0, channels, LANES) as turn:
            channel = f.minimum(turn, channels - LANES)
            corner = f.offset(target, channel * plane, "float")
            with f.loop(0, across) as tile:
                left = f.minimum(tile * TILE, columns - TILE)
                at = f.offset(results, (unit * across + tile) * channels + channel, "float")
                lines = []
                for _ in range(SEEN):
                    line = []
                    for _ in range(SEEN):
                        line.append(f.load(KIND, at))
                        at = f.offset(at, place_step, "float")
                    lines.append(_combined(f, RESULT, line))
                columns_of_tile = [_combined(f, RESULT, column) for column in zip(*lines)]
                if biased:
                    term = f.load(KIND, f.offset(bias, channel, "float"))
                    columns_of_tile = [[value + term for value in column]
                                       for column in columns_of_tile]
                for row in range(0, TILE, 2):
                    two = [column[row + k] for k in range(2) for column in columns_of_tile]
                    at = f.offset(corner, left + columns * row, "float")
                    for pixels in transpose(f, two):
                        f.store(f.shuffle(pixels, None, range(TILE)), at)
                        f.store(f.shuffle(pixels, None, range(TILE, 2 * TILE)),
                                f.offset(at, columns, "float"))
                        at = f.offset(at, plane, "float")
    f.ret()
    return module


def _store_places(f: Function, matrix: Sequence[Sequence[float]], columns, to: Value, step: Value):
    """The places of a transform from its columns, half done: row by row, a step apart."""
    for column in columns:
        at = to
        for value in _combined(f, matrix, column):
            f.store(value, at)
            at = f.offset(at, step * SEEN, "float")
        to = f.offset(to, step, "float")


def _combined(f: Function, matrix: Sequence[Sequence[float]],
              values: Sequence[Value]) -> list[Value]:
    """matrix @ values; factors of one come first, since they cost nothing."""
    made = []
    for row in matrix:
        terms = sorted(((factor, value) for factor, value in zip(row, values) if factor),
                       key=lambda term: term[0] != 1)
        factor, total = terms[0]
        if factor != 1:
            total = total * f.constant(KIND, factor)
        for factor, value in terms[1:]:
            if factor == 1:
                total = total + value
            else:
                total = f.intrinsic("fmuladd", f.constant(KIND, factor), value, total)
        made.append(total)
    return made
