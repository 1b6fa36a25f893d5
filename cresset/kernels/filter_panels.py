"""The gradient of a convolution's filters where channels out, being many, are the lanes of vectors.

    out[g, o, c, t] = sum_{n, y, x} gradient[n, g, o, y, x] image[n, g, c, at(y, x) + shift(t)]

The gradient is copied into panels: pixel by pixel, a few vectors of channels side by side. A
register tile meets them with single elements of the image, one for each of a few taps, read where
they stand: whatever the step from pixel to pixel, nothing of the image is copied but its padding.

A panel's pixels are met strip by strip, by all taps in turn, so that they stay in the first cache.
A strip's terms are added up by themselves, so rounding grows with the size of strips and their
number. Strips are cut into chunks by size, and the chunks' sums are added in order.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from math import prod

from cresset.core.dtype import dtype
from cresset.kernels.batch import Batch, batch_words
from cresset.kernels.correlation import Images
from cresset.kernels.dot import numbers
from cresset.kernels.pack import pack_columns, transpose
from cresset.kernels.panel import clear, put, take
from cresset.kernels.schedule import Schedule
from cresset.kernels.tile import Tile, rank_one
from cresset.kernels.words import Words
from cresset.runtime.ir import Function, Module, Value

STRIP = 256  # pixels, whose panel stays in the first cache
LEAST_COLUMNS = 5  # of a row of pixels, so that beginning it does not weigh
LEAST_UNITS = 16  # panels that are fewer have their strips cut into chunks
PARTS_BYTES = 1 << 24  # for the sums of all chunks
PACE = 45  # products in a nanosecond


def suits(dtype: dtype, outputs: int, width: int) -> bool:
    """Whether so many channels out fill the lanes of a panel, and rows are long enough."""
    return outputs >= Tile.whole(dtype).columns and width >= LEAST_COLUMNS


def filter_gradient(schedule: Schedule, dtype: dtype, images: Images, step: int,
                    shifts: Sequence[int], gradient: int, out: int,
                    sizes: tuple[int, int, int, int, int, int, int]):
    """Add the gradient; `sizes` are images, groups, channels in and out, planes, rows, columns.

    `step` leads from pixel to pixel of a row in the images. `gradient` is packed (images, groups,
    channels out, planes, rows, columns), `out` is packed (groups, channels out, channels in, taps).
    """
    count, groups, inputs, outputs, depth, height, width = sizes
    tile = Tile.whole(dtype)
    pixels = depth * height * width
    volume = inputs * len(shifts)
    panels = -(-outputs // tile.columns)
    panel = -(-volume // tile.rows) * tile.rows * tile.columns
    wide = min(width, STRIP)
    tall = min(height, max(1, STRIP // width))
    many = min(count, max(1, STRIP // (height * width)))
    cuts = (-(-count // many), depth, -(-height // tall), -(-width // wide))
    strips = prod(cuts)
    whole = groups * panels * panel * dtype.itemsize
    chunks = max(1, min(strips, -(-LEAST_UNITS // (groups * panels)), PARTS_BYTES // whole))
    chunk = -(-strips // chunks)
    chunks = -(-strips // chunk)
    packed = pack_columns(schedule, dtype, tile, gradient, outputs, pixels, pixels, 1,
                          (count, groups), (groups * outputs * pixels, outputs * pixels))
    parts = schedule.temporary(chunks * whole)
    strip_batch = batch_words((groups, panels, chunks), (
        (images.group, 0, 0), (panels * pixels * tile.columns, pixels * tile.columns, 0),
        (panels * panel, panel, groups * panels * panel)))
    schedule.launch(
        f"filter_panels_{tile.name}", lambda: strip_sums(tile), (images.place, packed, parts),
        (chunks, chunk, strips, *cuts[1:], many, tall, wide, count, height, width, volume,
         len(shifts), images.image, images.channel, images.plane, images.row, step,
         groups * panels * pixels * tile.columns, *strip_batch, *shifts),
        groups * panels * chunks, count * groups * outputs * volume * pixels / PACE,
    )
    lines = -(-outputs // tile.lanes)
    schedule.launch(
        f"filter_sums_{tile.name}", lambda: panel_sums(tile), (parts, out),
        (lines, outputs, volume, chunks, panel, groups * panels * panel,
         *batch_words((groups,), ((panels * panel,), (outputs * volume,)))),
        groups * lines, chunks * groups * outputs * volume,
    )


def strip_sums(tile: Tile) -> Module:
    """The kernel of `filter_gradient`; a unit is a chunk of strips and a panel of channels out.

    Words: pointers image, gradient, parts; chunks, strips of a chunk, all strips, planes, strips
    down and across a plane; images, rows and columns of a strip; images, rows, columns, taps of all
    channels in, taps of one; strides of the image (image, channel, plane, row, column) and of the
    gradient (image); the batch of (image, gradient, parts), the last dim of which is the chunks;
    the taps' shifts.
    """
    module = Module()
    f = module.kernel()
    words = Words(f)
    image, gradient, parts = (words.pointer() for _ in range(3))
    chunks, chunk, strips, depth, down, across = words.integers(6)
    many, tall, wide, count, height, width, volume, taps = words.integers(8)
    image_step, channel_step, plane_step, row_step, step, gradient_step = words.integers(6)
    batch = Batch(words, 3)
    shifts = batch.after(f)
    with f.units() as unit:
        x, g, z = batch.offsets(f, unit)
        x, z = f.offset(image, x, tile.type), f.offset(parts, z, tile.type)
        g = f.offset(gradient, g, tile.type)
        clear(f, tile, z, volume)
        first = unit.urem(chunks) * chunk
        with f.loop(first, f.minimum(first + chunk, strips)) as strip:
            column = strip.urem(across) * wide
            rest = strip.udiv(across)
            row = rest.urem(down) * tall
            rest = rest.udiv(down)
            plane = rest.urem(depth)
            start = rest.udiv(depth) * many
            seen = start * image_step + plane * plane_step + row * row_step + column * step
            corner = f.offset(x, seen, tile.type)
            met = start * gradient_step + ((plane * height + row) * width + column) * tile.columns
            panel = f.offset(g, met, tile.type)
            extents = (f.minimum(many, count - start), f.minimum(tall, height - row),
                       f.minimum(wide, width - column))
            strides = (image_step, gradient_step), (row_step, width * tile.columns)
            with f.loop(0, volume, tile.rows) as tap:
                places = []
                for place in numbers(f, tap, volume, tile.rows):
                    shift = f.load("i64", f.offset(shifts, place.urem(taps), "i64"))
                    places.append(place.udiv(taps) * channel_step + shift)
                sums = _sums(f, tile, corner, places, step, panel, extents, strides)
                for number in range(tile.rows):
                    target = f.offset(z, (tap + number) * tile.columns, tile.type)
                    more = sums[number * tile.vectors :]
                    put(f, tile, target, [a + b for a, b in zip(take(f, tile, target), more)])
    f.ret()
    return module


def _sums(f: Function, tile: Tile, corner: Value, places: Sequence[Value], step: Value,
          panel: Value, extents, strides) -> list[Value]:
    """The sums over a strip's images, rows and pixels, tap by tap."""
    (image_step, gradient_step), (row_step, width) = strides
    images, height, columns = extents
    zeros = [f.constant(tile.vector, 0)] * (tile.rows * tile.vectors)
    with f.loop(0, images, carry=[corner, panel, *zeros]) as by_image:
        with f.loop(0, height, carry=by_image.values) as by_row:
            with f.loop(0, columns, carry=by_row.values) as pixel:
                x, y, *sums = pixel.values
                outputs = take(f, tile, y)
                taps = [f.offset(x, place, tile.type) for place in places]
                pixel.next(f.offset(x, step, tile.type), f.offset(y, tile.columns, tile.type),
                           *rank_one(f, tile, taps, outputs, sums))
            x, y, *_ = by_row.values
            by_row.next(f.offset(x, row_step, tile.type), f.offset(y, width, tile.type),
                        *pixel.results[2:])
        x, y, *_ = by_image.values
        by_image.next(f.offset(x, image_step, tile.type), f.offset(y, gradient_step, tile.type),
                      *by_row.results[2:])
    return by_image.results[2:]


def panel_sums(tile: Tile) -> Module:
    """out[o, place] = the sum over chunks, in order; a unit is a line: a vector of channels out.

    Words: pointers parts, out; lines of a group, channels out, taps of all channels in, chunks;
    strides of the parts (panel, chunk); the batch of (parts, out).
    """
    module = Module()
    f = module.kernel()
    words = Words(f)
    parts, out = words.pointer(), words.pointer()
    lines, outputs, volume, chunks, panel_step, chunk_step = words.integers(6)
    batch = Batch(words, 2)
    with f.units() as unit:
        read, write = batch.offsets(f, unit.udiv(lines))
        line = unit.urem(lines)
        first = f.minimum(line * tile.lanes, outputs - tile.lanes)
        source = f.offset(parts, read + line.udiv(tile.vectors) * panel_step, tile.type)
        source = f.offset(source, line.urem(tile.vectors), tile.vector)
        target = f.offset(out, write + first * volume, tile.type)

        def totals(place, count):
            """The sums of taps from `place` on, each a vector of channels out."""
            taps = [f.offset(source, (place + tap) * tile.columns, tile.type)
                    for tap in range(count)]
            with f.loop(1, chunks, carry=[f.load(tile.vector, tap) for tap in taps]) as part:
                far = part.index * chunk_step
                more = (f.load(tile.vector, f.offset(tap, far, tile.type)) for tap in taps)
                part.next(*map(operator.add, part.values, more))
            return part.results

        whole = volume.udiv(tile.lanes) * tile.lanes
        with f.loop(0, whole, tile.lanes) as place:
            for lane, column in enumerate(transpose(f, totals(place, tile.lanes))):
                f.store(column, f.offset(target, place + lane * volume, tile.type))
        with f.loop(whole, volume) as place:
            (row,) = totals(place, 1)
            for lane in range(tile.lanes):
                f.store(f.extract(row, lane), f.offset(target, place + lane * volume, tile.type))
    f.ret()
    return module
