"""Correlation of images with 3x3 filters by Winograd's minimal algorithm F(4x4, 3x3).

    out = A^T [(G w G^T) * (B^T x B)] A        for every 4x4 tile of the result, over all channels

A tile of the result depends on 6x6 pixels x, which are transformed, multiplied place by place with
transformed filters, and transformed back. The sums over channels are 36 products of matrices, with
a quarter of the multiplications of the sums they replace. S. Winograd, Arithmetic complexity of
computations (1980); A. Lavin and S. Gray, Fast algorithms for convolutional neural networks (2016).

The gradient by the filters runs the same backwards, with sums over the tiles y of its operand:

    out = G^T [sum (A y A^T) * (B^T x B)] G    for every filter

The transforms interpolate polynomials at POINTS, which decide how much is lost to rounding; with
the usual 1, -1, 2, -2 it is four times as much (B. Barabasz and others, Error analysis and
improving the accuracy of Winograd convolution, 2020). Results are within BOUND units in the last
place of the greatest sum of absolute values of products, which `tests/test_winograd.py` holds; that
is some two or three times the error of plain sums. So it is for float32 alone, and
CRESSET_WINOGRAD=0 leaves it out. An infinity or NaN makes all that its tile takes part in NaN.

Rows of tiles go through in chunks that the caches hold.
"""

from __future__ import annotations

import os
from math import prod
from typing import NamedTuple

from cresset.core.dtype import dtype
from cresset.kernels.matmul import Operand, matmul
from cresset.kernels.schedule import Schedule
from cresset.kernels.tile import Tile
from cresset.kernels.winograd_transforms import (
    LANES,
    PLACES,
    SEEN,
    TAPS,
    TILE,
    filter_gradients,
    filter_transform,
    result_transform,
    tile_transform,
)

ENABLED = os.environ.get("CRESSET_WINOGRAD", "1") not in ("", "0")
BOUND = 8  # units in the last place
LEAST_CHANNELS = 16  # in and out: fewer gain little
CHUNK_BYTES = 1 << 21  # of what is transformed at a time
LEAST_TILES = 96  # of a chunk, which all the filters meet
PACE = 2.5  # elements transformed in a nanosecond
FILTER_PACE = 3  # the same of filters and their gradients
LINE = 16  # elements of a cache line


class Filters(NamedTuple):
    """3x3 filters in the value table: strides of a channel in and out; whether they turn around."""

    place: int
    inputs: int
    outputs: int
    turned: bool


def allows(dtype: dtype, channels: int, extent: int) -> bool:
    """Whether it can be done for so many channels, rows and columns at the least."""
    return ENABLED and dtype.name == "float32" and channels >= LEAST_CHANNELS and extent >= TILE


def margins(height: int, width: int) -> tuple[int, int]:
    """Rows and columns that a padded image must have for results of a size."""
    return height + SEEN - TILE, width + LANES - TILE


def tiles_along(extent: int) -> int:
    """Tiles along a dim."""
    return -(-extent // TILE)


def apart(elements: int) -> int:
    """Elements from place to place: an odd number of cache lines, lest all fall on the same few."""
    return (-(-elements // LINE) | 1) * LINE


def cuts(dtype: dtype, sizes: tuple[int, int, int, int, int]) -> tuple[int, list[tuple[int, int]]]:
    """Rows of tiles of a chunk, and ranges of channels out, which are blocks.

    What is transformed of a chunk is as much as of all filters, for each of it meets the other.
    Where one chunk is all, the filters are cut into blocks.
    """
    count, inputs, outputs, height, width = sizes
    rows, across = count * tiles_along(height), tiles_along(width)
    volume = PLACES * inputs * outputs * dtype.itemsize
    chunk = max(CHUNK_BYTES, volume) // (PLACES * across * (inputs + outputs) * dtype.itemsize)
    chunk = min(max(chunk, -(-LEAST_TILES // across)), rows)
    chunk = -(-rows // -(-rows // chunk))
    if chunk < rows:
        return chunk, [(0, outputs)]
    # Whole panels of the products, whose rows are tiles.
    columns = Tile.of(dtype, rows * across).columns
    block = max(1, round(CHUNK_BYTES * outputs / (volume * columns))) * columns
    starts = range(0, outputs - LANES + 1, block)
    return chunk, list(zip(starts, [*starts[1:], outputs]))


def winograd(schedule: Schedule, dtype: dtype, image: int, extents: tuple[int, int],
             filters: Filters, out: int, bias: int | None,
             sizes: tuple[int, int, int, int, int]):
    """Add the correlation; `sizes` are images, channels in and out, rows, columns of the result.

    `image` is packed (images, channels in, *extents), `out` (images, channels out, rows, columns),
    `bias` (channels out).
    """
    count, inputs, outputs, height, width = sizes
    down, across = tiles_along(height), tiles_along(width)
    chunk, blocks = cuts(dtype, sizes)
    widest = max(end - start for start, end in blocks)
    image_step, result_step = apart(chunk * across * inputs), apart(chunk * across * widest)
    filter_step = apart(inputs * widest)
    images, spread, results = (schedule.temporary(PLACES * step * dtype.itemsize)
                               for step in (image_step, filter_step, result_step))
    plane = height * width
    for first in range(0, count * down, chunk):
        rows = min(chunk, count * down - first)
        tiles = rows * across
        _transform(schedule, "image", (image, images), (first, 0), (rows, inputs),
                   (inputs, *extents), (height, width), image_step)
        for start, end in blocks:
            channels = end - start
            if first == 0:
                schedule.launch(
                    "winograd_filters", filter_transform, (filters.place, spread),
                    (start * filters.outputs, inputs, channels, filters.inputs, filters.outputs,
                     filter_step, int(filters.turned)),
                    inputs, inputs * channels * PLACES / FILTER_PACE)
            schedule.follow(matmul(
                (PLACES,), tiles, channels, inputs, dtype,
                Operand(images, (image_step, inputs, 1)),
                Operand(spread, (filter_step, channels, 1)),
                Operand(results, (result_step, channels, 1)),
                first_temporary=schedule.next_temporary))
            schedule.launch(
                f"winograd_result_{bias is not None}", lambda: result_transform(bias is not None),
                (results, out, out if bias is None else bias),
                (first, start * plane, outputs * plane, start, channels, height, width, down,
                 across, result_step),
                rows, tiles * PLACES * channels / PACE)


def filter_gradient(schedule: Schedule, dtype: dtype, image: int, extents: tuple[int, int],
                    gradient: int, out: int, sizes: tuple[int, int, int, int, int]):
    """Add the gradient by the filters; `sizes` as for `winograd`.

    `image` is packed (images, channels in, *extents), `gradient` (images, channels out, rows,
    columns), `out` (channels out, channels in, 3, 3). Chunks are added in order.
    """
    count, inputs, outputs, height, width = sizes
    down, across = tiles_along(height), tiles_along(width)
    chunk, blocks = cuts(dtype, sizes)
    widest = max(end - start for start, end in blocks)
    image_step, gradient_step = apart(chunk * across * inputs), apart(chunk * across * widest)
    sum_step = apart(widest * inputs)
    images, gradients, sums, more = (
        schedule.temporary(PLACES * step * dtype.itemsize)
        for step in (image_step, gradient_step, sum_step, sum_step * (chunk < count * down)))
    for first in range(0, count * down, chunk):
        rows = min(chunk, count * down - first)
        tiles = rows * across
        _transform(schedule, "image", (image, images), (first, 0), (rows, inputs),
                   (inputs, *extents), (height, width), image_step)
        for start, end in blocks:
            channels = end - start
            _transform(schedule, "gradient", (gradient, gradients), (first, start),
                       (rows, channels), (outputs, height, width), (height, width), gradient_step)
            # Products store some sums twice, so they must not add to what they write.
            before = Operand(more, (sum_step, inputs, 1)) if first else None
            schedule.follow(matmul(
                (PLACES,), channels, inputs, tiles, dtype,
                Operand(gradients, (gradient_step, 1, channels)),
                Operand(images, (image_step, inputs, 1)),
                Operand(sums, (sum_step, inputs, 1)), before,
                first_temporary=schedule.next_temporary))
            if first + chunk >= count * down:
                schedule.launch(
                    "winograd_filter_gradients", filter_gradients, (sums, out),
                    (inputs, start * inputs * TAPS * TAPS, sum_step), channels,
                    channels * inputs * PLACES / FILTER_PACE)
        sums, more = more, sums


def _transform(schedule: Schedule, source: str, operands: tuple[int, int],
               first: tuple[int, int], sizes: tuple[int, int], image: tuple[int, int, int],
               results: tuple[int, int], step: int):
    """Add the transform of `sizes` rows of tiles and channels, from the `first` of both.

    An image has so many channels, rows and columns; places are a step apart.
    """
    rows, channels = sizes
    down, across = map(tiles_along, results)
    schedule.launch(
        f"winograd_{source}", lambda: tile_transform(source), operands,
        (first[0], first[1] * prod(image[1:]), prod(image), channels, *image[1:], *results, down,
         across, step),
        rows, rows * across * PLACES * channels / PACE)
