"""Packing: rows or columns of a matrix copied side by side, k by k, for the tile kernel.

All of a matrix is packed beforehand, or a panel of b by the tile kernel, as it comes to it. A group
that would pass the last row or column starts earlier, as the kernel's tiles do.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from cresset.core.dtype import dtype
from cresset.core.layout import contiguous_strides
from cresset.kernels.batch import Batch, batch_words
from cresset.kernels.schedule import Schedule
from cresset.kernels.tile import Tile
from cresset.kernels.words import Words
from cresset.runtime import ir
from cresset.runtime.ir import Function, Module, Value

PACE = 1  # elements copied in a nanosecond
LINES = 8  # of k that are packed at a time where each is read along its columns


def pack_rows(schedule: Schedule, dtype: dtype, tile: Tile, source: int, rows: int, k: int,
              row: int, step: int, sizes: Sequence[int] = (), strides: Sequence[int] = (),
              inner: int = 0, stretches: int = 1) -> int:
    """Panels of `tile.rows` rows of a matrix, as a temporary.

    `source` is a value of the program; `row` and `step` are the strides of a row and along k,
    `strides` those of the batch `sizes`, of which the last `inner` lie within a panel. k is cut
    into even stretches, of `deep` terms but for the last: the temporary is
    (*sizes[:-inner], stretches, panels, *sizes[-inner:], deep, tile.rows).
    """
    panels = -(-rows // tile.rows)
    deep = -(-k // stretches)
    outer = len(sizes) - inner
    shape = (*sizes[:outer], stretches, panels, *sizes[outer:], deep * tile.rows)
    packed = list(contiguous_strides(shape)[:-1])
    stretch, panel = packed.pop(outer), packed.pop(outer)
    units = panels * prod(sizes)
    size = prod(shape)
    target = schedule.temporary(size * dtype.itemsize)
    reading = reading_of(row, step)
    schedule.launch(
        f"pack_{tile.type}_{tile.rows}x{tile.lanes}_{reading}", lambda: row_panels(tile, reading),
        (source, target),
        (rows, k, deep, row, step, panels, stretch, panel,
         *batch_words(sizes, (strides, packed))),
        units, size / PACE,
    )
    return target


def pack_columns(schedule: Schedule, dtype: dtype, tile: Tile, source: int, columns: int, k: int,
                 column: int, step: int, sizes: Sequence[int] = (), strides: Sequence[int] = ()):
    """Panels of `tile.columns` columns of a matrix, as a temporary: (*sizes, panels, k, columns).

    `source` is a value of the program; `column` and `step` are the strides of a column and along k,
    `strides` those of the batch `sizes`.
    """
    panels = -(-columns // tile.columns)
    shape = (*sizes, panels, k, tile.columns)
    target = schedule.temporary(prod(shape) * dtype.itemsize)
    reading = reading_of(column, step)
    along = reading == "along"
    schedule.launch(
        f"pack_{tile.type}_{reading}_{tile.vectors}x{tile.lanes}",
        lambda: line_panels(tile) if along else column_panels(tile, reading), (source, target),
        (columns, k, column, step, panels,
         *batch_words(sizes, (strides, contiguous_strides(shape)[: len(sizes)]))),
        (-(-k // LINES) if along else panels) * prod(sizes), prod(shape) / PACE,
    )
    return target


def line_panels(tile: Tile) -> Module:
    """The kernel of `pack_columns` for columns side by side; a unit is `LINES` of k in all panels.

    Words: as of `column_panels`.
    """
    module = Module()
    f = module.kernel()
    words = Words(f)
    source, target = words.pointer(), words.pointer()
    columns, k, column, step, panels = words.integers(5)
    batch = Batch(words, 2)
    parts = (k + (LINES - 1)).udiv(LINES)
    with f.units() as unit:
        read, write = batch.offsets(f, unit.udiv(parts))
        first = unit.urem(parts) * LINES
        lines = f.offset(source, read + first * step, tile.type)
        out = f.offset(target, write + first * tile.columns, tile.type)
        with f.each(0, panels, carry=[out]) as turns:
            out, = turns.values
            copy_panel(f, tile, "along", lines, turns.index * tile.columns, columns, column, step,
                       out, f.minimum(k - first, LINES))
            turns.next(f.offset(out, k * tile.columns, tile.type))
    f.ret()
    return module


def column_panels(tile: Tile, reading: str) -> Module:
    """The kernel of `pack_columns` for other columns; a unit is a panel.

    Words: pointers source, target; columns, k, strides of a column and along k, panels of a matrix;
    the batch of (source, target).
    """
    module = Module()
    f = module.kernel()
    words = Words(f)
    source, target = words.pointer(), words.pointer()
    columns, k, column, step, panels = words.integers(5)
    batch = Batch(words, 2)
    with f.units() as unit:
        read, write = batch.offsets(f, unit.udiv(panels))
        panel = unit.urem(panels)
        out = f.offset(target, write + panel * (k * tile.columns), tile.type)
        first = panel * tile.columns
        copy_panel(f, tile, reading, f.offset(source, read, tile.type), first, columns, column,
                   step, out, k)
    f.ret()
    return module


def reading_of(item: int, step: int) -> str:
    """How panels are read, by the strides of their rows or columns and along k."""
    return "along" if item == 1 else "across" if step == 1 else "strided"


def starts_of(f: Function, tile: Tile, first: Value, columns: Value) -> list[Value]:
    """Where the vectors of a panel start; those that would pass the last column start earlier."""
    return [f.minimum(first + v * tile.lanes, columns - tile.lanes) for v in range(tile.vectors)]


def copy_panel(f: Function, tile: Tile, reading: str, source: Value, first: Value, columns: Value,
               column: Value, step: Value, target: Value, k: Value):
    """target[k][c] = source[k][first + c] for the columns of a panel."""
    if reading == "along":
        vectors = [f.offset(source, s, tile.type) for s in starts_of(f, tile, first, columns)]
        copy_along(f, tile, vectors, target, tile.columns, k, step)
        return
    copy = copy_across if reading == "across" else copy_strided
    with f.loop(0, tile.vectors) as v:
        start = f.minimum(first + v * tile.lanes, columns - tile.lanes)
        group = f.offset(source, start * column, tile.type)
        copy(f, tile, tile.lanes, group, column, step, f.offset(target, v, tile.vector),
             tile.columns, k)


def row_panels(tile: Tile, reading: str) -> Module:
    """The kernel of `pack_rows`; a unit is a panel; `reading` is that of `reading_of`.

    Words: pointers source, target; rows, k, the length of a stretch, strides of a row and along k,
    panels of a matrix, strides of a stretch of them and of a panel; the batch of (source, target).
    """
    module = Module()
    f = module.kernel()
    words = Words(f)
    source, target = words.pointer(), words.pointer()
    rows, k, deep, row, step, panels, stretch, pitch = words.integers(8)
    batch = Batch(words, 2)
    with f.units() as unit:
        read, write = batch.offsets(f, unit.udiv(panels))
        panel = unit.urem(panels)
        read = read + f.minimum(panel * tile.rows, rows - tile.rows) * row
        ends = [f.offset(source, read, tile.type),
                f.offset(target, write + panel * pitch, tile.type)]
        with f.each(0, k, deep, carry=ends) as turns:
            group, out = turns.values
            depth = f.minimum(k - turns.index, deep)
            for start in range(0, tile.rows, tile.lanes):
                width = min(tile.lanes, tile.rows - start)
                part = f.offset(group, row * start, tile.type)
                into = f.offset(out, start, tile.type)
                if reading == "along":
                    copy_along(f, tile, [part], into, tile.rows, depth, step, [width])
                else:
                    copy = copy_across if reading == "across" else copy_strided
                    copy(f, tile, width, part, row, step, into, tile.rows, depth)
            turns.next(f.offset(group, deep * step, tile.type),
                       f.offset(out, stretch, tile.type))
    f.ret()
    return module


def copy_along(f: Function, tile: Tile, vectors: list[Value], target: Value, pitch: int, k: Value,
               step: Value, widths: Sequence[int] | None = None):
    """target[k][v] = vectors[v][k], `step` from k to k in the source; `widths` of the vectors."""
    with f.loop(0, k) as at:
        write = f.offset(target, at * pitch, tile.type)
        for vector, width in zip(vectors, widths or [tile.lanes] * len(vectors)):
            type = ir.vector(tile.type, width)
            f.store(f.load(type, f.offset(vector, at * step, tile.type)), write)
            write = f.offset(write, width, tile.type)


def copy_strided(f: Function, tile: Tile, width: int, group: Value, item: Value, step: Value,
                 target: Value, pitch: Value | int, k: Value, start: Value | int = 0):
    """target[at][i] = group[i][at] for `width` items; strides `item`, `step`; at from `start`."""
    with f.loop(start, k) as at:
        read = f.offset(group, at * step, tile.type)
        write = f.offset(target, at * pitch, tile.type)
        for number in range(width):
            f.store(f.load(tile.type, read), f.offset(write, number, tile.type))
            read = f.offset(read, item, tile.type)


def copy_across(f: Function, tile: Tile, width: int, group: Value, item: Value, step: Value,
                target: Value, pitch: Value | int, k: Value):
    """As `copy_strided` where `step` is 1: squares of lanes by lanes, transposed in registers.

    `width` is at most that of a vector.
    """
    lanes = tile.lanes
    whole = k.udiv(lanes) * lanes
    with f.loop(0, whole, lanes) as at:
        read = f.offset(group, at, tile.type)
        rows = []
        for _ in range(width):
            rows.append(f.load(tile.vector, read))
            read = f.offset(read, item, tile.type)
        rows += rows[:1] * (lanes - width)
        write = f.offset(target, at * pitch, tile.type)
        for number, column in enumerate(transpose(f, rows)):
            if width < lanes:
                column = f.shuffle(column, None, range(width))
            f.store(column, f.offset(write, number * pitch, tile.type))
    copy_strided(f, tile, width, group, item, step, target, pitch, k, whole)


def transpose(f: Function, rows: list[Value]) -> list[Value]:
    """The columns of a square of vectors: halves of ever narrower blocks change places."""
    count = len(rows)
    width = count // 2
    while width:
        low = [lane if not lane & width else lane - width + count for lane in range(count)]
        high = [lane + width if not lane & width else lane + count for lane in range(count)]
        mixed = list(rows)
        for row in range(count):
            if not row & width:
                pair = rows[row], rows[row + width]
                mixed[row] = f.shuffle(*pair, low)
                mixed[row + width] = f.shuffle(*pair, high)
        rows = mixed
        width //= 2
    return rows
