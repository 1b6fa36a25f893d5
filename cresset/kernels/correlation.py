"""Correlation of images with small filters, straight on padded images.

    out[n, g, o, y, x] = bias[g, o] + sum_{c, t} w[g, o, c, t] image[n, g, c, y step + shift(t) + x]

Volumes are correlated plane by plane of the output; a tap's shift may lead to another plane.

The pixels of an output row are the lanes: each tap reads a row of the image from where it stands,
without any copy. Rows that are no whole number of vectors end on a vector that starts earlier, so
they are at least one vector long.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from cresset.core.dtype import dtype
from cresset.kernels.batch import Batch, batch_words
from cresset.kernels.schedule import Schedule
from cresset.kernels.tile import Tile, rank_one
from cresset.kernels.words import Words
from cresset.runtime.ir import Function, Module, Value

CACHED_BYTES = 1 << 17  # what a unit may read of an image, which stays in the second cache
LEAST_UNITS = 16  # images and their blocks that are fewer have their channels shared out too
PACE = 35  # products in a nanosecond


class Images(NamedTuple):
    """Padded images: their place in the value table, and strides.

    A plane and a row are those of the output: a step of the convolution.
    """

    place: int
    image: int
    group: int
    channel: int
    plane: int
    row: int
    row_bytes: int  # that an output row takes of all channels of a group


class Filters(NamedTuple):
    """Packed filters: panels of the tile's rows, for each channel tap by tap, and their strides."""

    place: int
    group: int
    panel: int
    channel: int
    shifts: Sequence[int]  # of each tap, in elements of the image


def correlate(schedule: Schedule, dtype: dtype, tile: Tile, images: Images, filters: Filters,
              out: int, bias: int | None, sizes: tuple[int, int, int, int, int, int, int]):
    """Add the correlation; `sizes` are images, groups, channels in and out, planes, rows, columns.

    `out` is packed (images, groups, channels out, planes, rows, columns), `bias` (groups, channels
    out).
    """
    count, groups, inputs, outputs, depth, height, width = sizes
    taps = len(filters.shifts)
    tall = max(1, min(height, CACHED_BYTES // max(1, images.row_bytes)))
    row_blocks = -(-height // tall)
    tall = -(-height // row_blocks)
    panels = -(-outputs // tile.rows)
    shares = max(1, min(panels, LEAST_UNITS // max(1, count * groups * depth * row_blocks)))
    share = -(-panels // shares) * tile.rows
    shares = -(-outputs // share)
    plane = height * width
    volume = depth * plane
    segments = -(-width // tile.lanes)
    batch = batch_words((count, groups, depth), (
        (images.image, images.group, images.plane), (0, filters.group, 0),
        (groups * outputs * volume, outputs * volume, plane), (0, outputs, 0),
    ))
    schedule.launch(
        f"correlate_{tile.name}_{bias is not None}", lambda: correlation(tile, bias is not None),
        (images.place, filters.place, out, out if bias is None else bias),
        (inputs, outputs, taps, height, width, segments, tall, row_blocks, share, shares,
         images.row, images.channel, filters.panel, filters.channel, volume, *batch,
         *filters.shifts),
        count * groups * depth * row_blocks * shares,
        count * groups * outputs * volume * (inputs * taps + 8) / PACE,
    )


def correlation(tile: Tile, biased: bool) -> Module:
    """The kernel of `correlate`; a unit is a block of rows of a plane and a share of channels.

    Words: pointers image, filters, out, bias; channels in and out, taps, rows, columns, vectors of
    a row, rows of a block, blocks, channels of a share, shares; strides of the image (row, channel)
    of the filters (panel, channel), of the result (channel); the batch of (image, filters, out,
    bias); the taps' shifts.
    """
    module = Module()
    f = module.kernel()
    words = Words(f)
    pointers = [words.pointer() for _ in range(4)]
    inputs, outputs, taps, height, width, segments = words.integers(6)
    tall, row_blocks, share, shares, row_step, channel_step = words.integers(6)
    panel_step, filter_step, out_step = words.integers(3)
    batch = Batch(words, 4)
    shifts = batch.after(f)
    _, begin, end = f.arguments
    with f.loop(begin, end) as unit:
        rest = unit.udiv(shares)
        first = unit.urem(shares) * share
        top = rest.urem(row_blocks) * tall
        offsets = batch.offsets(f, rest.udiv(row_blocks))
        x, w, z, terms = (f.offset(p, o, tile.type) for p, o in zip(pointers, offsets))
        x = f.offset(x, top * row_step, tile.type)
        z = f.offset(z, top * width, tile.type)
        slots = f.minimum(height - top, tall) * segments
        with f.loop(first, f.minimum(first + share, outputs), tile.rows) as turn:
            channel = f.minimum(turn, outputs - tile.rows)
            filters = f.offset(w, turn.udiv(tile.rows) * panel_step, tile.type)
            out = f.offset(z, channel * out_step, tile.type)
            zero = f.constant("i64", 0)
            with f.loop(0, slots, tile.vectors, carry=[zero, zero, zero]) as pixels:
                place = pixels.values
                sources, targets = [], []
                for number in range(tile.vectors):
                    segment, x_row, z_row = place
                    start = f.minimum(segment * tile.lanes, width - tile.lanes)
                    sources.append(f.offset(x, x_row + start, tile.type))
                    targets.append(f.offset(out, z_row + start, tile.type))
                    following = _following(f, place, segments, row_step, width)
                    if number + 1 < tile.vectors:
                        left = pixels.index + number + 1 < slots
                        following = [f.select(left, new, old)
                                     for new, old in zip(following, place)]
                    place = following
                pixels.next(*place)
                sums = [f.constant(tile.vector, 0)] * (tile.rows * tile.vectors)
                if biased:
                    sums = _biases(f, tile, f.offset(terms, channel, tile.type))
                sums = _sums(f, tile, sources, filters, sums, inputs, taps, shifts, channel_step,
                             filter_step)
                for number, total in enumerate(sums):
                    row, v = divmod(number, tile.vectors)
                    f.store(total, f.offset(targets[v], out_step * row, tile.type))
    f.ret()
    return module


def _following(f, place, segments, row_step, width):
    """The place (segment, image row, output row) of the next vector."""
    segment, x_row, z_row = place
    more = segment + 1 < segments
    return [f.select(more, segment + 1, 0), f.select(more, x_row, x_row + row_step),
            f.select(more, z_row, z_row + width)]


def _biases(f: Function, tile: Tile, terms: Value) -> list[Value]:
    sums = []
    for row in range(tile.rows):
        value = f.splat(f.load(tile.type, f.offset(terms, row, tile.type)), tile.lanes)
        sums += [value] * tile.vectors
    return sums


def _sums(f, tile, sources, filters, sums, inputs, taps, shifts, channel_step, filter_step):
    """The sums over channels and taps, tap by tap."""
    with f.loop(0, inputs, carry=[f.constant("i64", 0), filters, *sums]) as channels:
        offset, panel, *sums = channels.values
        images = [f.offset(source, offset, tile.type) for source in sources]
        with f.loop(0, taps, carry=[panel, *sums]) as tap:
            at, *sums = tap.values
            shift = f.load("i64", f.offset(shifts, tap.index, "i64"))
            columns = [f.load(tile.vector, f.offset(image, shift, tile.type)) for image in images]
            rows = [f.offset(at, row, tile.type) for row in range(tile.rows)]
            tap.next(f.offset(at, tile.rows, tile.type), *rank_one(f, tile, rows, columns, sums))
        channels.next(offset + channel_step, f.offset(panel, filter_step, tile.type),
                      *tap.results[1:])
    return channels.results[2:]
