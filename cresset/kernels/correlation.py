"""Correlation of images with small filters, straight on padded images.

    out[n, g, o, y, x] = bias[g, o] + sum_{c, t} w[g, o, c, t] image[n, g, c, y step + shift(t) + x]

Volumes are correlated plane by plane of the output; a tap's shift may lead to another plane.

The pixels of an output row are the lanes: each tap reads a row of the image from where it stands,
without any copy. Rows that are no whole number of vectors end on a vector that starts earlier, so
they are at least one vector long.

A unit of work is a run of the plane's vectors and a share of the channels out. It goes through the
channels in block by block, so that the pixels and the filters of a block are met in the first
cache; sums that are not finished wait in a scratch, tile by tile. A block's terms are added up by
themselves, so rounding grows with the size of blocks and their number, not with all channels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from cresset.core.dtype import dtype
from cresset.kernels.batch import Batch, batch_words
from cresset.kernels.epilogue import NONE, Epilogue, Tiled
from cresset.kernels.schedule import Schedule
from cresset.kernels.tile import Lines, Tile, either, in_line, rank_one, spread, vectors
from cresset.kernels.words import Words
from cresset.runtime.ir import BITS, Module, vector

CACHED_BYTES = 1 << 14  # of the pixels of a block of channels in, which stay in the first cache
LEAST_CHANNELS = 8  # of a block
MOST_PANELS = 24  # of filters that a unit goes through
SCRATCH_BYTES = 1 << 16  # for the sums of a unit
LEAST_UNITS = 16  # runs of vectors that are fewer are shared out further
SHORTEST = 8  # tiles of a run
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


class Results(NamedTuple):
    """Where results go: a place in the value table, the first's offset from it, and strides."""

    place: int
    first: int
    image: int
    group: int
    channel: int
    plane: int
    row: int
    column: int


class Filters(NamedTuple):
    """Packed filters: panels of the tile's rows, for each channel tap by tap, and their strides."""

    place: int
    group: int
    panel: int
    shifts: Sequence[int]  # of each tap, in elements of the image


def correlate(schedule: Schedule, dtype: dtype, tile: Tile, images: Images, filters: Filters,
              out: Results, bias: int | None, sizes: tuple[int, int, int, int, int, int, int]):
    """Add the correlation; `sizes` are images, groups, channels in and out, planes, rows, columns.

    `bias` is the place of the packed (groups, channels out).
    """
    count, groups, inputs, outputs, depth, height, width = sizes
    taps = len(filters.shifts)
    segments = -(-width // tile.lanes)
    slots = height * segments
    panels = -(-outputs // tile.rows)
    run = tile.vectors * (_tiles_kept(tile) // min(panels, MOST_PANELS))
    runs = -(-slots // run)
    run = -(-slots // (runs * tile.vectors)) * tile.vectors
    runs = -(-slots // run)
    seen = (run * images.row // segments + max(filters.shifts, default=1)) * dtype.itemsize
    blocks = -(-inputs // max(LEAST_CHANNELS, CACHED_BYTES // seen))
    block = -(-inputs // blocks)
    # Where there are few units, channels out are shared, and runs that still are few are cut.
    least = -(-LEAST_UNITS // max(1, count * groups * depth * runs))
    shares = min(panels, max(least, -(-panels // MOST_PANELS)))
    share = -(-panels // shares) * tile.rows
    shares = -(-outputs // share)
    runs = max(runs, min(-(-LEAST_UNITS // max(1, count * groups * depth * shares)),
                         slots // (SHORTEST * tile.vectors)))
    run = -(-slots // (runs * tile.vectors)) * tile.vectors
    runs = -(-slots // run)
    looks = [channel * images.channel + shift for channel in range(block)
             for shift in filters.shifts]
    batch = batch_words((count, groups, depth), (
        (images.image, images.group, images.plane), (0, filters.group, 0),
        (out.image, out.group, out.plane), (0, outputs, 0),
    ))
    spaced = out.column != 1
    tiled = None
    if (out.first, out.row, out.column) == (0, width, 1):
        # Where a row is shared by units, vectors of both may meet some of its pixels.
        overlap = width % tile.lanes != 0 and run % segments != 0
        narrowest = tile.lanes if overlap else (slots % run or run) * width // segments
        tiled = Tiled(2, dtype, (count, groups, depth, outputs, height * width),
                      (out.image, out.group, out.plane, out.channel, 1),
                      narrowest, run * tile.lanes, overlap)
    schedule.launch(
        f"correlate_{tile.name}_{spaced}", lambda: correlation(tile, spaced),
        (images.place, filters.place, out.place, images.place if bias is None else bias),
        (inputs, block, outputs, taps, width, segments, slots, run, runs, share, shares,
         images.row, images.channel, filters.panel, out.first, out.channel, out.row, out.column,
         bias is not None, *batch, *looks, *NONE),
        count * groups * depth * runs * shares,
        count * groups * outputs * depth * height * width * (inputs * taps + 8) / PACE, tiled,
    )


def _tiles_kept(tile: Tile) -> int:
    """Of how many tiles the scratch holds the sums."""
    return SCRATCH_BYTES * 8 // (tile.rows * tile.columns * BITS[tile.type])


def correlation(tile: Tile, spaced: bool) -> Module:
    """The kernel of `correlate`; a unit is a run of vectors of a plane and a share of channels out.

    Words: pointers image, filters, out, bias; channels in, those of a block, channels out, taps,
    columns, vectors of a row, of a plane, of a run, runs, channels of a share, shares; strides of
    the image (row, channel), of the filters (panel); the first result, and strides of results
    (channel, row, column), of which the last is 1 unless they are `spaced`; whether there is a
    bias; the batch of (image, filters, out, bias); where the taps of a block of channels look, from
    the first of them; the epilogue.
    """
    module = Module()
    f = module.kernel()
    words = Words(f)
    pointers = [words.pointer() for _ in range(4)]
    inputs, block, outputs, taps, width, segments = words.integers(6)
    slots, run, runs, share, shares = words.integers(5)
    row_step, channel_step, panel_step = words.integers(3)
    out_first, out_channel, out_row, out_column, biased = words.integers(5)
    batch = Batch(words, 4)
    looks = batch.after(f)
    scratch = f.alloca(tile.vector, _tiles_kept(tile) * tile.rows * tile.vectors)
    room = f.alloca(tile.vector, tile.rows)
    epilogue = Epilogue(f, f.offset(looks, block * taps, "i64"))
    box = f.alloca(tile.type, SCRATCH_BYTES * 8 // BITS[tile.type])
    pitch = run * tile.lanes
    result_channel = f.select(epilogue.wanted, pitch, out_channel)
    nothing = f.alloca(tile.type, tile.rows)
    f.store(f.constant(vector(tile.type, tile.rows), 0), nothing)

    def pixel(slot):
        """The first pixel of one of a plane's vectors."""
        start = slot.urem(segments) * tile.lanes
        return slot.udiv(segments) * width + f.minimum(start, width - tile.lanes)

    _, begin, end = f.arguments
    with f.loop(begin, end) as unit:
        rest = unit.udiv(shares)
        first = unit.urem(shares) * share
        slot = rest.urem(runs) * run
        plane = rest.udiv(runs)
        offsets = batch.offsets(f, plane)
        x, w, z, terms = (f.offset(p, o, tile.type) for p, o in zip(pointers, offsets))
        row = slot.udiv(segments)
        place = [slot.urem(segments), row * row_step, out_first + row * out_row]
        last = f.minimum(slot + run, slots)
        stop = f.minimum(first + share, outputs)
        left, right = pixel(slot), pixel(last - 1) + tile.lanes

        def turn(channels, first, pixels, out, bias):
            """One tile's sums over the channels of a block, and of those before it."""
            begins, ends = channels
            *place, unfinished = pixels.values
            sources, columns = [], []
            for number in range(tile.vectors):
                segment, x_row, z_row = place
                start = f.minimum(segment * tile.lanes, width - tile.lanes)
                sources.append(f.offset(x, begins * channel_step + x_row + start, tile.type))
                columns.append(z_row + (start * out_column if spaced else start))
                following = _following(f, place, segments, row_step, out_row)
                if number + 1 < tile.vectors:
                    left = pixels.index + number + 1 < last
                    following = [f.select(left, new, old) for new, old in zip(following, place)]
                place = following
            pixels.next(*place, f.offset(unfinished, tile.rows * tile.vectors, tile.vector))
            result = Lines(out, result_channel, columns)
            waiting = Lines(unfinished, f.constant("i64", tile.columns), in_line(f, tile))
            filters = first.udiv(tile.rows) * panel_step + begins * taps * tile.rows
            sums = _sums(f, tile, sources, f.offset(w, filters, tile.type), looks,
                         (ends - begins) * taps)
            before = either(f, begins.eq(0), lambda: bias, lambda: waiting)
            sums = [f.load(tile.vector, pointer) + more
                    for pointer, more in zip(vectors(f, tile, before), sums)]

            def store(lines):
                for total, pointer in zip(sums, vectors(f, tile, lines)):
                    f.store(total, pointer)

            def store_spaced():
                for total, pointer in zip(sums, vectors(f, tile, result)):
                    for lane in range(tile.lanes):
                        f.store(f.extract(total, lane),
                                f.offset(pointer, out_column * lane, tile.type))

            finished = ends.eq(inputs)
            if spaced:
                f.either(finished, store_spaced, lambda: store(waiting))
            else:
                store(either(f, finished, lambda: result, lambda: waiting))

        with f.loop(0, inputs, block) as begins:
            channels = begins, f.minimum(begins + block, inputs)
            with f.loop(first, stop, tile.rows, carry=[scratch]) as turns:
                carry = [*place, turns.values[0]]
                channel = f.minimum(turns.index, outputs - tile.rows)
                out = f.select(epilogue.wanted, f.offset(box, 0 - left, tile.type),
                               f.offset(z, channel * out_channel, tile.type))
                own = f.select(biased.ne(0), f.offset(terms, channel, tile.type), nothing)
                bias = spread(f, tile, own, 1, room)
                with f.loop(slot, last, tile.vectors, carry=carry) as pixels:
                    turn(channels, turns.index, pixels, out, bias)
                with f.when(epilogue.wanted & channels[1].eq(inputs)):
                    end = f.minimum(turns.index + tile.rows, stop)
                    rows = plane * outputs + turns.index, plane * outputs + end
                    fresh = f.offset(box, (turns.index - channel) * pitch, tile.type)
                    epilogue.call(fresh, pitch, rows, (left, right))
                turns.next(pixels.results[-1])
    f.ret()
    return module


def _following(f, place, segments, row_step, out_row):
    """The place (segment, image row, output row) of the next vector."""
    segment, x_row, z_row = place
    more = segment + 1 < segments
    return [f.select(more, segment + 1, 0), f.select(more, x_row, x_row + row_step),
            f.select(more, z_row, z_row + out_row)]


def _sums(f, tile, sources, filters, looks, count):
    """The sums over so many looks at the images, each with the filters of its channel and tap."""
    zeros = [f.constant(tile.vector, 0)] * (tile.rows * tile.vectors)
    with f.loop(0, count, carry=[filters, *zeros]) as look:
        at, *sums = look.values
        shift = f.load("i64", f.offset(looks, look.index, "i64"))
        columns = [f.load(tile.vector, f.offset(source, shift, tile.type)) for source in sources]
        rows = [f.offset(at, row, tile.type) for row in range(tile.rows)]
        look.next(f.offset(at, tile.rows, tile.type), *rank_one(f, tile, rows, columns, sums))
    return look.results[1:]
