"""The kernel that multiplies matrices tile by tile.

A unit of work is a block of rows and a panel of columns of one matrix of the batch: the panel of b
stays in the first cache while the rows of a pass, from the second.
"""

from __future__ import annotations

from typing import Any

from cresset.kernels.batch import Batch
from cresset.kernels.pack import copy_along, copy_panel, starts_of
from cresset.kernels.tile import Tile, in_step, long_product
from cresset.kernels.words import Words
from cresset.runtime import ir
from cresset.runtime.ir import Module

DEEPEST = 1 << 12  # bytes of a column of b that a pass takes; copies of panels lie on the stack


def tiles(tile: Tile, reading: str, bias: str) -> Module:
    """c = a b (+ bias); c has unit column strides.

    `reading` is how b's panels are read: "packed" (the stride of a column is that of a panel),
    "along" (unit column strides) where they lie or copied, "across" (unit strides from k to k) and
    "strided" always copied. `bias` is "none", "row" (unit column stride) or "column" (column stride
    0).

    Words: pointers a, b, c, bias; m, n, k, rows of a unit, number of row blocks and of panels,
    whether to copy; strides in a of a panel's row (0: it is not packed), of a row and from k to k;
    in b of a column and from k to k; of a row of c and of bias; where a and b start; the batch of
    (a, b, c, bias).
    """
    module = Module()
    f = module.kernel()
    words = Words(f)
    pointers = [words.pointer() for _ in range(4)]
    m, n, k, tall, row_blocks, panels, copies = words.integers(7)
    a_panel, a_row, a_step, b_column, b_step, c_row, bias_row, a_start, b_start = words.integers(9)
    batch = Batch(words, 4)
    # What a tile of one row reads of a panel it reads once: there is nothing to gain by a copy.
    copied: Any = None
    if tile.rows > 1 and reading != "packed":
        copied = f.alloca(tile.type, DEEPEST // ir.size(tile.type) * tile.columns)
    _, begin, end = f.arguments
    with f.loop(begin, end) as unit:
        blocks = unit.udiv(panels)
        column = unit.urem(panels) * tile.columns
        first = blocks.urem(row_blocks) * tall
        offsets = batch.offsets(f, blocks.udiv(row_blocks))
        offsets[0], offsets[1] = offsets[0] + a_start, offsets[1] + b_start
        x, y, z, w = (f.offset(p, o, tile.type) for p, o in zip(pointers, offsets))
        starts = starts_of(f, tile, column, n)
        if reading == "packed":
            panel = f.offset(y, unit.urem(panels) * b_column, tile.type)
            panel = [f.offset(panel, v, tile.vector) for v in range(tile.vectors)]
            step = b_step
        elif reading == "along":
            panel = [f.offset(y, start, tile.type) for start in starts]
            panel, step = _along(f, tile, panel, b_step, k, copies, copied)
        else:
            copy_panel(f, tile, reading, y, column, n, b_column, b_step, copied, k)
            panel, step = _copied(f, tile, copied)
        with f.loop(first, f.minimum(first + tall, m), tile.rows) as turn:
            row = f.minimum(turn, m - tile.rows)
            plain = f.offset(x, row * a_row, tile.type)
            x_tile = f.select(a_panel.eq(0), plain, f.offset(x, turn * a_panel, tile.type))
            out = f.offset(z, row * c_row, tile.type)
            _fetch(f, tile, starts, out, c_row)
            if bias == "row":
                _fetch(f, tile, starts, f.offset(w, row * bias_row, tile.type), bias_row)
            sums = long_product(
                f, tile, k, x_tile, in_step(f, tile, a_row), a_step, panel, step)
            terms = (f.offset(w, row * bias_row, tile.type), bias_row)
            _store(f, tile, sums, starts, out, c_row, bias, terms)
    f.ret()
    return module


def _along(f, tile, panel, step, k, copies, copied):
    """The pointers to a panel's vectors and the step from k to k: of a copy if `copies`."""
    if copied is None:
        return panel, step
    copies = copies.ne(0)
    with f.when(copies):
        copy_along(f, tile, panel, copied, tile.columns, k, step)
    mine, pitch = _copied(f, tile, copied)
    return [f.select(copies, *pair) for pair in zip(mine, panel)], f.select(copies, pitch, step)


def _copied(f, tile, copied):
    vectors = [f.offset(copied, v, tile.vector) for v in range(tile.vectors)]
    return vectors, f.constant("i64", tile.columns)


def _fetch(f, tile, starts, place, step):
    """Have rows that the tile is stored to, or added to, come near while its sums are made."""
    for _ in range(tile.rows):
        f.prefetch(f.offset(place, starts[0], tile.type))
        place = f.offset(place, step, tile.type)


def _store(f, tile, sums, starts, out, c_row, bias, terms):
    """The tile's sums, and the bias added to them, stored row by row at the columns `starts`."""
    added, bias_row = terms
    for row in range(tile.rows):
        if bias == "column":
            term = f.splat(f.load(tile.type, added), tile.lanes)
        for v, start in enumerate(starts):
            total = sums[row * tile.vectors + v]
            if bias == "row":
                term = f.load(tile.vector, f.offset(added, start, tile.type))
            if bias != "none":
                total = total + term
            f.store(total, f.offset(out, start, tile.type))
        out = f.offset(out, c_row, tile.type)
        if bias != "none":
            added = f.offset(added, bias_row, tile.type)
