"""Panels: matrices of as few columns as a register tile has, row after row, in scratch memory.

Kernels that keep blocks of a matrix to themselves keep them so: what a product's tiles make, and
what they read.
"""

from __future__ import annotations

from collections.abc import Sequence

from cresset.kernels.pack import copy_across, copy_strided
from cresset.kernels.tile import Tile, product
from cresset.runtime.ir import Function, Value


def vectors(f: Function, tile: Tile, place: Value) -> list[Value]:
    """The pointers to the vectors of a row."""
    return [f.offset(place, number, tile.vector) for number in range(tile.vectors)]


def take(f: Function, tile: Tile, place: Value) -> list[Value]:
    return [f.load(tile.vector, pointer) for pointer in vectors(f, tile, place)]


def put(f: Function, tile: Tile, place: Value, values: Sequence[Value]):
    for pointer, value in zip(vectors(f, tile, place), values):
        f.store(value, pointer)


def spread(f: Function, tile: Tile, scalar: Value) -> Value:
    return f.splat(scalar, tile.lanes)


def clear(f: Function, tile: Tile, target: Value, rows: Value):
    with f.loop(0, rows) as row:
        place = f.offset(target, row * tile.columns, tile.type)
        put(f, tile, place, [f.constant(tile.vector, 0)] * tile.vectors)


def up_to(f: Function, tile: Tile, first: Value, end: Value) -> list[Value]:
    """The numbers of a tile's rows from `first`, the last one below `end` again past it."""
    return [f.minimum(first + number, end - 1) for number in range(tile.rows)]


def add_rows(f: Function, tile: Tile, k: Value, rows: Value, a: Value, a_row: Value, a_step: Value,
             b: Sequence[Value], b_step: Value | int, target: Value,
             factors: Sequence[Value] | None = None):
    """target = target * factors + a b, a panel of `rows` rows; a tile more of them is overwritten.

    The factors are those of columns; `a_row` and `a_step` are the strides of a row of a and from k
    to k.
    """
    with f.loop(0, rows, tile.rows) as row:
        apart = [number * a_row for number in up_to(f, tile, row, rows)]
        more = product(f, tile, k, a, apart, a_step, b, b_step)
        for number in range(tile.rows):
            place = f.offset(target, (row + number) * tile.columns, tile.type)
            line = take(f, tile, place)
            if factors is not None:
                line = [x * factor for x, factor in zip(line, factors)]
            put(f, tile, place, [x + m for x, m in zip(line, more[number * tile.vectors :])])


def turn(f: Function, tile: Tile, source: Value, row: Value, column: Value, first: Value,
         end: Value, target: Value, depth: Value):
    """target[d][c] = source[first + c][d] for the columns of a panel; past the end the last row."""

    def squares():
        with f.each(0, tile.columns, tile.lanes) as c:
            _across(f, tile, f.offset(source, (first + c) * row, tile.type), row,
                    f.offset(target, c, tile.type), f.constant("i64", tile.columns), depth)

    def elements():
        with f.each(0, tile.columns) as c:
            group = f.offset(source, f.minimum(first + c, end - 1) * row, tile.type)
            copy_strided(f, tile, 1, group, row, column, f.offset(target, c, tile.type),
                         tile.columns, depth)

    f.either(column.eq(1) & (first + tile.columns <= end), squares, elements)


def turn_back(f: Function, tile: Tile, source: Value, target: Value, row: Value, column: Value,
              count: Value, width: Value):
    """target[c][d] = source[d][c] for so many columns of a panel and elements of each."""
    pitch, one = f.constant("i64", tile.columns), f.constant("i64", 1)
    whole = f.select(column.eq(1), width.udiv(tile.lanes) * tile.lanes, 0)
    with f.loop(0, whole, tile.lanes) as d:
        _across(f, tile, f.offset(source, d * pitch, tile.type), pitch,
                f.offset(target, d, tile.type), row, count)
    with f.loop(whole, width) as d:
        copy_strided(f, tile, 1, f.offset(source, d * pitch, tile.type), pitch, one,
                     f.offset(target, d * column, tile.type), row, count)


def _across(f: Function, tile: Tile, group: Value, item: Value, target: Value, pitch: Value,
            k: Value):
    """`copy_across` of a vector's items, in a function that all of a kernel's copies share."""

    def copy(f, group, item, target, pitch, k):
        copy_across(f, tile, tile.lanes, group, item, f.constant("i64", 1), target, pitch, k)

    f.shared("across", copy, group, item, target, pitch, k)
