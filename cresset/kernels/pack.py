"""Packing: rows or columns of a matrix copied side by side, k by k, for the tile kernel.

The tile kernel copies panels of b itself, as it comes to them; `pack_rows` copies all of a
beforehand. A group that would pass the last row or column starts earlier, as the kernel's tiles do.
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
from cresset.runtime.ir import Function, Module, Value

PACE = 1  # elements copied in a nanosecond


def pack_rows(schedule: Schedule, dtype: dtype, tile: Tile, source: int, rows: int, k: int,
              row: int, step: int, sizes: Sequence[int] = (), strides: Sequence[int] = (),
              inner: int = 0) -> int:
    """Panels of `tile.rows` rows of a matrix, as a temporary.

    `source` is a value of the program; `row` and `step` are the strides of a row and along k,
    `strides` those of the batch `sizes`, of which the last `inner` lie within a panel: the
    temporary is (*sizes[:-inner], panels, *sizes[-inner:], k, tile.rows).
    """
    panels = -(-rows // tile.rows)
    outer = len(sizes) - inner
    shape = (*sizes[:outer], panels, *sizes[outer:], k * tile.rows)
    packed = list(contiguous_strides(shape)[:-1])
    panel = packed.pop(outer)
    units = panels * prod(sizes)
    size = prod(shape)
    target = schedule.temporary(size * dtype.itemsize)
    schedule.launch(
        f"pack_{tile.type}_{tile.rows}", lambda: row_panels(tile), (source, target),
        (rows, k, row, step, panels, panel, *batch_words(sizes, (strides, packed))), units,
        size / PACE,
    )
    return target


def row_panels(tile: Tile) -> Module:
    """The kernel of `pack_rows`; a unit is a panel.

    Words: pointers source, target; rows, k, strides of a row and along k, panels of a matrix and
    their stride; the batch of (source, target).
    """
    module = Module()
    f = module.kernel()
    words = Words(f)
    source, target = words.pointer(), words.pointer()
    rows, k, row, step, panels, pitch = words.integers(6)
    batch = Batch(words, 2)
    _, begin, end = f.arguments
    with f.loop(begin, end) as unit:
        read, write = batch.offsets(f, unit.udiv(panels))
        panel = unit.urem(panels)
        read = read + f.minimum(panel * tile.rows, rows - tile.rows) * row
        group = f.offset(source, read, tile.type)
        out = f.offset(target, write + panel * pitch, tile.type)
        copy_strided(f, tile, tile.rows, group, row, step, out, tile.rows, k)
    f.ret()
    return module


def copy_along(f: Function, tile: Tile, vectors: list[Value], target: Value, k: Value, step: Value):
    """target[k][v] = vectors[v][k], whole vectors, `step` from k to k in the source."""
    with f.loop(0, k) as at:
        write = f.offset(target, at * tile.columns, tile.type)
        for number, vector in enumerate(vectors):
            value = f.load(tile.vector, f.offset(vector, at * step, tile.type))
            f.store(value, f.offset(write, number, tile.vector))


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
    """As `copy_strided` where `step` is 1: squares of lanes by lanes, transposed in registers."""
    whole = k.udiv(width) * width
    with f.loop(0, whole, width) as at:
        read = f.offset(group, at, tile.type)
        rows = []
        for _ in range(width):
            rows.append(f.load(tile.vector, read))
            read = f.offset(read, item, tile.type)
        write = f.offset(target, at * pitch, tile.type)
        for number, column in enumerate(transpose(f, rows)):
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
