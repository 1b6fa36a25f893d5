"""The transforms of Winograd's algorithm (`winograd`), between pixels and PLACES of a tile.

Two go out to the places, from tiles of images and of gradients and from filters, and two come back
from sums over them, to tiles of results and to gradients of filters. Since the gradient runs the
algorithm backwards, its matrices are those of the correlation, transposed.

Lanes are channels; blocks that would pass the last channel start earlier. So do tiles that would
pass the last row or column.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from cresset.kernels.pack import transpose
from cresset.kernels.words import Words
from cresset.runtime.ir import Function, Module, Value, vector

TILE, TAPS, SEEN = 4, 3, 6  # of the result, of the filters and of the image, along each dim
PLACES = SEEN * SEEN
LANES = 2 * TILE  # channels at a time, on any machine: two rows of a tile, turned around
KIND = vector("float", LANES)
BITS = vector("i32", LANES)

Matrix = Sequence[Sequence[float]]

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
TILES: dict[str, Matrix] = {"image": IMAGE, "gradient": list(zip(*RESULT))}
GATHERED = list(zip(*FILTER))


def filter_transform() -> Module:
    """The transformed filters, (places, channels in, channels out); a unit is a channel in.

    Words: pointers filters, out; the first element, channels in and out, strides of the filters
    along them, elements from place to place, whether (1 or 0) they are turned around.
    """
    module = Module()
    f = module.kernel()
    words = Words(f)
    filters, out = words.pointer(), words.pointer()
    first, inputs, outputs, input_step, output_step, place_step, turned = words.integers(7)
    last = TAPS * TAPS - 1
    alone = (1 - turned) * last
    with f.units() as unit:
        start = first + unit * input_step
        with f.loop(0, outputs, LANES) as turn:
            channel = f.minimum(turn, outputs - LANES)
            at = f.offset(filters, start + channel * output_step, "float")
            rows, ninth = [], f.constant(KIND, 0)
            for lane in range(LANES):
                rows.append(f.load(KIND, f.offset(at, turned, "float")))
                ninth = f.insert(ninth, f.load("float", f.offset(at, alone, "float")), lane)
                at = f.offset(at, output_step, "float")
            eight = transpose(f, rows)
            taps = [f.select(turned.eq(1), *two) for two in zip(reversed(eight), eight)]
            taps.append(ninth)
            lines = [_combined(f, FILTER, taps[row : row + TAPS])
                     for row in range(0, TAPS * TAPS, TAPS)]
            to = f.offset(out, unit * outputs + channel, "float")
            for column in zip(*lines):
                _store_column(f, FILTER, column, to, place_step)
                to = f.offset(to, place_step, "float")
    f.ret()
    return module


def tile_transform(source: str) -> Module:
    """The transformed tiles of an "image" or a "gradient", (places, images, tiles, channels).

    A unit is a row of tiles. Those of a gradient are to be summed, so pixels that a tile shares
    with the one before it are zeros in it.

    Words: pointers image, out; the first row of tiles, the first element, elements of an image,
    channels, height and width, rows and columns that the tiles lie on, tiles down and across,
    elements from place to place.
    """
    matrix = TILES[source]
    size = len(matrix[0])
    together = LANES // size  # rows that a vector holds
    module = Module()
    f = module.kernel()
    words = Words(f)
    image, out = words.pointer(), words.pointer()
    first_row, first, image_step, channels, height, width, rows, columns = words.integers(8)
    down, across, place_step = words.integers(3)
    plane = height * width
    # A tile has more lines than there are registers; written out it would take thrice the time to
    # compile.
    lines = f.alloca(KIND, size * SEEN)
    with f.units() as unit:
        number = (first_row + unit).urem(down)
        top = f.minimum(number * TILE, rows - TILE)
        start = first + (first_row + unit).udiv(down) * image_step
        line = f.offset(image, start + top * width, "float")
        fresh_rows = _fresh_rows(f, number * TILE - top) if source == "gradient" else []
        with f.loop(0, channels, LANES) as turn:
            channel = f.minimum(turn, channels - LANES)
            corner = f.offset(line, channel * plane, "float")
            with f.loop(0, across) as tile:
                left = f.minimum(tile * TILE, columns - TILE)
                fresh_columns = _fresh_columns(f, tile * TILE - left)
                at = f.offset(corner, left, "float")

                def transform_rows(row, mask=None):
                    first = f.offset(at, row * width, "float")
                    pixels = _pixels(f, first, together, width, plane, mask)
                    for k in range(together):
                        line = pixels[k * size : (k + 1) * size]
                        _keep_line(f, matrix, line, lines, row + k)

                if source == "gradient":
                    for k, fresh in enumerate(fresh_rows):
                        transform_rows(f.constant("i64", k * together), fresh & fresh_columns)
                else:
                    with f.each(0, size) as row:
                        transform_rows(row)
                to = f.offset(out, (unit * across + tile) * channels + channel, "float")
                with f.each(0, SEEN) as column:
                    place = f.offset(to, column * place_step, "float")
                    _store_column(f, matrix, _kept_column(f, lines, column, size), place,
                                  place_step)
    f.ret()
    return module


def _pixels(f: Function, at: Value, together: int, width: Value, plane: Value,
            mask: Value | None) -> list[Value]:
    """The pixels of so many rows of a tile; `mask` is for what is read of a channel."""
    part = vector("float", LANES // together)
    seen = []
    for _ in range(LANES):
        value = f.load(part, at)
        if together == 2:
            value = f.shuffle(value, f.load(part, f.offset(at, width, "float")), range(LANES))
        if mask is not None:
            value = f.bitcast(f.bitcast(value, BITS) & mask, KIND)
        seen.append(value)
        at = f.offset(at, plane, "float")
    return transpose(f, seen)


def _fresh_rows(f: Function, first: Value) -> list[Value]:
    """Masks for a tile's vectors of two rows: the rows from the first on."""
    rows = f.lane_numbers(BITS).lshr(2)
    return [_mask(f, rows + f.constant(BITS, row), first) for row in range(0, TILE, 2)]


def _fresh_columns(f: Function, first: Value) -> Value:
    """The mask of the columns from the first on."""
    return _mask(f, f.lane_numbers(BITS) & f.constant(BITS, TILE - 1), first)


def _mask(f: Function, numbers: Value, first: Value) -> Value:
    fresh = numbers >= f.splat(f.convert(first, "i32"), LANES)
    return f.constant(BITS, 0) - f.convert(fresh, BITS)


def result_transform(biased: bool) -> Module:
    """The results of transformed ones; a unit is a row of tiles.

    Words: pointers results, out, bias; the first row of tiles, the first element, elements of an
    image, the first of the bias, channels, rows and columns, tiles down and across, elements from
    place to place.
    """
    module = Module()
    f = module.kernel()
    words = Words(f)
    results, out, bias = (words.pointer() for _ in range(3))
    first_row, first, image_step, first_term, channels, rows, columns = words.integers(7)
    down, across, place_step = words.integers(3)
    plane = rows * columns
    kept = f.alloca(KIND, SEEN * SEEN)
    with f.units() as unit:
        number = (first_row + unit).urem(down)
        top = f.minimum(number * TILE, rows - TILE)
        start = first + (first_row + unit).udiv(down) * image_step
        target = f.offset(out, start + top * columns, "float")
        # Rows that the unit before this one writes are put where the first of its own will be.
        stale = number * TILE - top
        lines = [f.select(stale > row, stale, row) * columns for row in range(TILE)]
        with f.loop(0, channels, LANES) as turn:
            channel = f.minimum(turn, channels - LANES)
            corner = f.offset(target, channel * plane, "float")
            with f.loop(0, across) as tile:
                left = f.minimum(tile * TILE, columns - TILE)
                at = f.offset(results, (unit * across + tile) * channels + channel, "float")
                with f.each(0, SEEN) as row:
                    line = _places(f, f.offset(at, row * place_step * SEEN, "float"), place_step)
                    _keep_line(f, RESULT, line, kept, row)
                columns_of_tile = [_combined(f, RESULT, _kept_column(f, kept, column, SEEN))
                                   for column in range(TILE)]
                if biased:
                    term = f.load(KIND, f.offset(bias, first_term + channel, "float"))
                    columns_of_tile = [[value + term for value in column]
                                       for column in columns_of_tile]
                for row in range(0, TILE, 2):
                    two = [column[row + k] for k in range(2) for column in columns_of_tile]
                    targets = [f.offset(corner, left + line, "float")
                               for line in lines[row : row + 2]]
                    for pixels in transpose(f, two):
                        for k, at in enumerate(targets):
                            half = range(k * TILE, (k + 1) * TILE)
                            f.store(f.shuffle(pixels, None, half), at)
                        targets = [f.offset(at, plane, "float") for at in targets]
    f.ret()
    return module


def filter_gradients() -> Module:
    """The gradients of filters, (channels out, channels in, 3, 3), from sums; a unit is one out.

    Words: pointers sums, out; channels in, the first element of the result, elements from place to
    place.
    """
    module = Module()
    f = module.kernel()
    words = Words(f)
    sums, out = words.pointer(), words.pointer()
    inputs, first, place_step = words.integers(3)
    count = TAPS * TAPS
    last = count - 1
    with f.units() as unit:
        with f.loop(0, inputs, LANES) as turn:
            number = unit * inputs + f.minimum(turn, inputs - LANES)
            starts = [f.offset(sums, number + place_step * place, "float")
                      for place in range(0, PLACES, SEEN)]
            lines = [_combined(f, GATHERED, _places(f, start, place_step)) for start in starts]
            columns = [_combined(f, GATHERED, column) for column in zip(*lines)]
            taps = [column[row] for row in range(TAPS) for column in columns]
            at = f.offset(out, first + number * count, "float")
            for lane, eight in enumerate(transpose(f, taps[:last])):
                f.store(eight, at)
                f.store(f.extract(taps[last], lane), f.offset(at, last, "float"))
                at = f.offset(at, count, "float")
    f.ret()
    return module


def _places(f: Function, at: Value, step: Value) -> list[Value]:
    """A row of places; they are a step apart."""
    line = []
    for _ in range(SEEN):
        line.append(f.load(KIND, at))
        at = f.offset(at, step, "float")
    return line


def _keep_line(f: Function, matrix: Matrix, line: Sequence[Value], lines: Value, row: Value):
    """Put what a row comes to among the lines on the stack, SEEN vectors apart."""
    for k, value in enumerate(_combined(f, matrix, line)):
        f.store(value, f.offset(lines, row * SEEN + k, KIND))


def _kept_column(f: Function, lines: Value, column, count: int) -> list[Value]:
    """A column of so many lines on the stack."""
    first = f.offset(lines, column, KIND)
    return [f.load(KIND, f.offset(first, row * SEEN, KIND)) for row in range(count)]


def _store_column(f: Function, matrix: Matrix, column: Sequence[Value], to: Value, step: Value):
    """The places that a column comes to, SEEN steps apart."""
    for value in _combined(f, matrix, column):
        f.store(value, to)
        to = f.offset(to, step * SEEN, "float")


def _combined(f: Function, matrix: Matrix, values: Sequence[Value]) -> list[Value]:
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
