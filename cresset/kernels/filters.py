"""The gradient of a convolution's filters: rows of the image against rows of the gradient.

    out[g, o, c, t] = sum_{n, y, x} gradient[n, g, o, y, x] image[n, g, c, y * step + shift(t) + x]

where volumes are summed over planes as well.

Lanes run along the pixels of a row, which both operands hold side by side; a tile of a few taps and
channels out, or more taps of a single channel, keeps its sums in registers while all pixels of some
images pass. Images are cut into chunks by size, and the chunks' sums are added in order.
"""

from __future__ import annotations

from collections.abc import Sequence

from cresset.core.dtype import dtype
from cresset.kernels.batch import Batch, batch_words
from cresset.kernels.correlation import Images
from cresset.kernels.dot import COLUMNS, ROWS, fold, folded_rows, numbers
from cresset.kernels.schedule import Schedule
from cresset.kernels.tile import lanes_of
from cresset.kernels.words import Words
from cresset.runtime.ir import BITS, Function, Module, Value, vector

CACHED_BYTES = 1 << 18  # of the images and gradients of a chunk, which stay in the second cache
BLOCK_BYTES = 1 << 16  # of the channels in that meet all channels out before others do
TAPS_OF_ONE = 9  # of a tile where a group has one channel out
LEAST_TURNS = 64  # of a tile's loop in a chunk, so that folding its sums does not weigh
PARTS_BYTES = 1 << 24  # for the sums of all chunks
LEAST_UNITS = 16  # chunks that are fewer have their channels shared out too
PACE = 30  # products in a nanosecond
SUMMED = 1024  # elements that a unit sums over the chunks


def filter_gradient(schedule: Schedule, dtype: dtype, images: Images, shifts: Sequence[int],
                    gradient: int, out: int, sizes: tuple[int, int, int, int, int, int, int]):
    """Add the gradient; `sizes` are images, groups, channels in and out, planes, rows, columns.

    `gradient` is packed (images, groups, channels out, planes, rows, columns), `out` is packed
    (groups, channels out, channels in, taps). A row has at least as many columns as a vector has
    lanes.
    """
    count, groups, inputs, outputs, depth, height, width = sizes
    lanes = lanes_of(dtype)
    taps = len(shifts)
    plane = depth * height * width
    volume = groups * outputs * inputs * taps
    segments = -(-width // lanes)
    image_bytes = (inputs * images.channel + outputs * plane) * dtype.itemsize
    chunk = max(CACHED_BYTES // max(1, image_bytes), -(-LEAST_TURNS // (depth * height * segments)),
                -(-count * volume * dtype.itemsize // PARTS_BYTES), 1)
    chunks = -(-count // chunk)
    block = max(1, BLOCK_BYTES // (chunk * images.channel * dtype.itemsize))
    tile = (TAPS_OF_ONE, 1) if outputs == 1 else (ROWS, COLUMNS)
    tiles = -(-outputs // tile[1])
    shares = min(tiles, max(1, LEAST_UNITS // (chunks * groups)))
    share = -(-tiles // shares) * tile[1]
    shares = -(-outputs // share)
    parts = out if chunks == 1 else schedule.temporary(chunks * volume * dtype.itemsize)
    batch = batch_words((groups,), ((images.group,), (outputs * plane,), (volume // groups,)))
    work = count * volume * plane / PACE
    schedule.launch(
        f"filter_gradient_{dtype.llvm}x{lanes}_{tile[0]}x{tile[1]}",
        lambda: taps_by_channels(dtype.llvm, lanes, *tile),
        (images.place, gradient, parts),
        (count, chunk, chunks, inputs * taps, block * taps, outputs, taps, share, shares, depth,
         height, width, images.image, images.channel, images.plane, images.row,
         groups * outputs * plane, volume, *batch, *shifts),
        groups * chunks * shares, work,
    )
    if chunks > 1:
        sum_parts(schedule, dtype, parts, out, volume, chunks)


def sum_parts(schedule: Schedule, dtype: dtype, parts: int, out: int, volume: int, count: int):
    """out = the sum of `count` parts of `volume` elements, in order."""
    lanes = lanes_of(dtype)
    schedule.launch(
        f"sum_parts_{dtype.llvm}x{lanes}", lambda: part_sums(dtype.llvm, lanes), (parts, out),
        (volume, count), -(-volume // SUMMED), count * volume / 8,
    )


def taps_by_channels(type: str, lanes: int, rows: int, columns: int) -> Module:
    """The kernel of `filter_gradient`; a unit is a chunk and a share of a group's channels out.

    A tile has `rows` taps, `columns` channels out.

    Words: pointers image, gradient, parts; images, those of a chunk, chunks, taps of all channels
    in, those of a block, channels out, taps of one channel, channels of a share, shares, planes,
    rows, columns; strides of the image (image, channel, plane, row), the gradient (image) and the
    parts (chunk); the batch of (image, gradient, parts); the taps' shifts.
    """
    module = Module()
    f = module.kernel()
    words = Words(f)
    image, gradient, parts = (words.pointer() for _ in range(3))
    count, chunk, chunks, volume, block, outputs, taps, share, shares = words.integers(9)
    depth, height, width, image_step, channel_step, plane_step, row_step = words.integers(7)
    gradient_step, part_step = words.integers(2)
    batch = Batch(words, 3)
    shifts = batch.after(f)
    plane = depth * height * width
    scratch = f.alloca(vector(type, lanes), rows * columns)
    masks = _masks(f, type, lanes, width)
    with f.units() as unit:
        first_output = unit.urem(shares) * share
        rest = unit.udiv(shares)
        first_image = rest.urem(chunks) * chunk
        images = f.minimum(count - first_image, chunk)
        x, g, z = batch.offsets(f, rest.udiv(chunks))
        x = f.offset(image, x + first_image * image_step, type)
        g = f.offset(gradient, g + first_image * gradient_step, type)
        z = f.offset(parts, z + rest.urem(chunks) * part_step, type)
        last_output = f.minimum(first_output + share, outputs)
        strides = (image_step, plane_step, row_step, gradient_step)
        extents = (images, depth, height, width)
        with f.loop(0, volume, block) as first_tap:
            last_tap = f.minimum(first_tap + block, volume)
            with f.loop(first_output, last_output, columns) as output:
                channels = numbers(f, output, last_output, columns)
                ys = [f.offset(g, channel * plane, type) for channel in channels]
                with f.loop(first_tap, last_tap, rows) as tap:
                    places = numbers(f, tap, last_tap, rows)
                    xs = []
                    for place in places:
                        shift = f.load("i64", f.offset(shifts, place.urem(taps), "i64"))
                        xs.append(f.offset(x, place.udiv(taps) * channel_step + shift, type))
                    sums = _sums(f, type, lanes, xs, ys, strides, extents, masks)
                    if columns == 1:
                        for first in range(0, rows, COLUMNS):
                            folded = fold(f, (sums[first : first + COLUMNS] * COLUMNS)[:COLUMNS])
                            for lane, place in enumerate(places[first : first + COLUMNS]):
                                to = f.offset(z, output * volume + place, type)
                                f.store(f.extract(folded, lane), to)
                    else:
                        with folded_rows(f, sums, scratch, tap, last_tap) as (folded, place):
                            for lane, channel in enumerate(channels):
                                to = f.offset(z, channel * volume + place, type)
                                f.store(f.extract(folded, lane), to)
    f.ret()
    return module


def _sums(f, type, lanes, xs, ys, strides, extents, masks) -> list[Value]:
    """The sums of products of every x with every y over images, planes, rows and vectors."""
    image_step, plane_step, row_step, gradient_step = strides
    images, depth, height, width = extents
    bits = vector(f"i{BITS[type]}", lanes)
    zero = f.constant("i64", 0)
    zeros = [f.constant(vector(type, lanes), 0)] * (len(xs) * len(ys))
    with f.loop(0, images, carry=[zero, zero, *zeros]) as by_image:
        x_image, y_image, *sums = by_image.values
        with f.loop(0, depth, carry=[x_image, y_image, *sums]) as by_plane:
            x_plane, y_plane, *sums = by_plane.values
            with f.loop(0, height, carry=[x_plane, y_plane, *sums]) as by_row:
                x_row, y_row, *sums = by_row.values
                with f.loop(0, width, lanes, carry=sums) as at:
                    over = at.index > width - lanes
                    start = f.select(over, width - lanes, at.index)
                    mask = f.load(bits, f.offset(masks, f.convert(over, "i64"), bits))
                    left = (_vector(f, type, lanes, x, x_row + start) for x in xs)
                    right = (_vector(f, type, lanes, y, y_row + start) for y in ys)
                    at.next(*_products(f, left, right, at.values, mask, len(ys)))
                by_row.next(x_row + row_step, y_row + width, *at.results)
            by_plane.next(x_plane + plane_step, *by_row.results[1:])
        by_image.next(x_image + image_step, y_image + gradient_step, *by_plane.results[2:])
    return by_image.results[2:]


def _products(f, left, right, sums, mask, columns) -> list[Value]:
    """The sums, row by row of the left, and the products of every left with every right.

    The side of fewer values is held, masked. Of the other, one at a time is loaded, for the sums
    fill the registers.
    """
    sums = list(sums)
    wide = len(sums) <= columns * columns
    held, passing = (left, right) if wide else (right, left)
    held = [_masked(f, value, mask) for value in held]
    for number, value in enumerate(passing):
        for other, kept in enumerate(held):
            row, column = (other, number) if wide else (number, other)
            place = row * columns + column
            sums[place] = f.intrinsic("fmuladd", kept, value, sums[place])
    return sums


def _masks(f: Function, type: str, lanes: int, width: Value) -> Value:
    """Which lanes of a row's vectors count, as bits: all; and of one that starts earlier, the last.

    They stay in memory, for the sums fill the registers.
    """
    integer = f"i{BITS[type]}"
    numbers = f.lane_numbers(vector(integer, lanes))
    fresh = numbers >= f.splat(f.convert(lanes - width.urem(lanes), integer), lanes)
    masks = f.alloca(numbers.type, 2)
    f.store(f.constant(numbers.type, -1), masks)
    f.store(f.constant(numbers.type, 0) - f.convert(fresh, numbers.type),
            f.offset(masks, 1, numbers.type))
    return masks


def _masked(f: Function, value: Value, mask: Value) -> Value:
    return f.bitcast(f.bitcast(value, mask.type) & mask, value.type)


def _vector(f, type, lanes, pointer, at):
    return f.load(vector(type, lanes), f.offset(pointer, at, type))


def part_sums(type: str, lanes: int) -> Module:
    """out[i] = sum over parts of parts[part][i], in order; a unit is SUMMED elements.

    Words: pointers parts, out; elements of a part, parts.
    """
    module = Module()
    f = module.kernel()
    words = Words(f)
    parts, out = words.pointer(), words.pointer()
    volume, count = words.integers(2)
    _, begin, end = f.arguments

    def add(kind, start, stop, step):
        with f.loop(start, stop, step) as at:
            column = f.offset(parts, at, type)
            with f.loop(1, count, carry=[f.load(kind, column)]) as part:
                term = f.load(kind, f.offset(column, part.index * volume, type))
                part.next(part.values[0] + term)
            f.store(part.results[0], f.offset(out, at, type))

    with f.loop(begin, end) as unit:
        first = unit * SUMMED
        last = f.minimum(first + SUMMED, volume)
        whole = first + (last - first).udiv(lanes) * lanes
        add(vector(type, lanes), first, whole, lanes)
        add(type, whole, last, 1)
    f.ret()
    return module
