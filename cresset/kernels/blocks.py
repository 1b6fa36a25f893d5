"""The kernel that multiplies matrices tile by tile.

A unit of work is a block of rows and a block of columns of one matrix of the batch. It takes k in
stretches, and in each goes through the panels of its columns: a stretch of a panel stays in the
first cache while the rows of a, from the second, pass by. Sums that are not finished wait in a
scratch, tile by tile. A stretch's terms are added up by themselves, so rounding grows with the
length of stretches and their number, not with k.
"""

from __future__ import annotations

from typing import Any

from cresset.kernels.batch import Batch
from cresset.kernels.epilogue import Epilogue
from cresset.kernels.pack import copy_panel, starts_of
from cresset.kernels.tile import (
    FEW_ROWS,
    LINE,
    Lines,
    Tile,
    either,
    in_line,
    in_step,
    product,
    spread,
    vectors,
)
from cresset.kernels.words import Words
from cresset.runtime import ir
from cresset.runtime.ir import Function, Module

DEEPEST = 1 << 8  # terms of a stretch, a panel of which stays in the first cache
SCRATCH_BYTES = 1 << 16  # for the sums of a unit
AHEAD = 6  # steps that few rows fetch b ahead: more may be more than a set of the first cache holds
COPIES = ("", "along", "across")  # how panels are read that are copied, after those that are not


def tiles(tile: Tile, few: bool = False) -> Module:
    """c = a b (+ bias); c has unit column strides.

    Panels of b have unit column strides, and are read where they lie, packed or not, or copied; or
    they have unit strides from k to k and are copied ("across"). Where rows are `few`, each tile
    fetches b as it goes; more of them have the next panel fetched while they meet one.

    Words: pointers a, b, c, bias; m, n, k, the length of a stretch, rows and columns of a unit,
    number of row and of column blocks, how panels are copied; the share of every tile in fetching
    the next panel, and its lines as of `lines_ahead`; strides in a from k to k between stretches,
    of a panel's row (0: it is not packed), of a row and from k to k; in b of a panel (0: it is not
    packed), of a column and from k to k; of a row of c; of a row and a column (1 or 0) of bias, and
    whether there is one; the batch of (a, b, c, bias); the epilogue.
    """
    module = Module()
    f = module.kernel()
    words = Words(f)
    pointers = [words.pointer() for _ in range(4)]
    m, n, k, deep, tall, wide, row_blocks, column_blocks, copying, share = words.integers(10)
    run, beside, onward = words.integers(3)
    a_onward, a_panel, a_row, a_step = words.integers(4)
    b_panel, b_column, b_step, c_row = words.integers(4)
    bias_row, bias_column, biased = words.integers(3)
    batch = Batch(words, 4)
    scratch = f.alloca(tile.type, SCRATCH_BYTES // ir.size(tile.type))
    room = f.alloca(tile.vector, tile.rows)
    epilogue = Epilogue(f, batch.after(f))
    box = f.alloca(tile.type, SCRATCH_BYTES // ir.size(tile.type))
    pitch = f.select(epilogue.wanted, wide, c_row)
    # What still fewer rows read of a panel they read once: there is nothing to gain by a copy.
    copied: Any = None
    if tile.rows >= FEW_ROWS:
        copied = f.alloca(tile.type, DEEPEST * tile.columns)
    _, begin, end = f.arguments
    with f.loop(begin, end) as unit:
        rest = unit.udiv(column_blocks)
        first_column = unit.urem(column_blocks) * wide
        end_column = f.minimum(first_column + wide, n)
        first_row = rest.urem(row_blocks) * tall
        end_row = f.minimum(first_row + tall, m)
        matrix = rest.udiv(row_blocks)
        offsets = batch.offsets(f, matrix)
        x, y, z, w = (f.offset(p, o, tile.type) for p, o in zip(pointers, offsets))

        top = f.minimum(first_row, m - tile.rows)
        left = f.minimum(first_column, n - tile.lanes)
        corner = f.select(epilogue.wanted, f.offset(box, 0 - left, tile.type),
                          f.offset(z, top * c_row, tile.type))

        def turn(start, panel, step, starts, turns):
            """The sums of one tile over a stretch, and of those before it."""
            begins, ends = start.eq(0), start + deep >= k
            row = f.minimum(turns.index, m - tile.rows)
            result = Lines(f.offset(corner, (row - top) * pitch, tile.type), pitch, starts)
            place, ahead, met = turns.values
            waiting = Lines(place, f.constant("i64", tile.columns), in_line(f, tile))
            with f.when(ends):
                _fetch(f, tile, result)
            with f.loop(0, share, carry=[ahead, met]) as fetching:
                at, number = fetching.values
                f.prefetch(at, write=False)
                last = (number + 1).eq(run)
                fetching.next(f.offset(at, f.select(last, onward, beside), tile.type),
                              f.select(last, 0, number + 1))
            apart = f.select(a_panel.eq(0), row * a_row, turns.index * a_panel)
            sums = product(f, tile, f.minimum(deep, k - start),
                           f.offset(x, start * a_onward + apart, tile.type),
                           in_step(f, tile, a_row), a_step, panel, step, AHEAD if few else 0)

            def bias():
                first = f.offset(w, row * bias_row, tile.type)
                return either(f, bias_column.ne(0), lambda: Lines(first, bias_row, starts),
                               lambda: spread(f, tile, first, bias_row, room))

            def more():
                terms = either(f, begins, bias, lambda: waiting)
                return tuple(total + f.load(tile.vector, term)
                             for total, term in zip(sums, vectors(f, tile, terms)))

            totals = f.either(begins & biased.eq(0), lambda: tuple(sums), more)
            target = either(f, ends, lambda: result, lambda: waiting)
            for total, pointer in zip(totals, vectors(f, tile, target)):
                f.store(total, pointer)
            turns.next(f.offset(place, tile.rows * tile.columns, tile.type), *fetching.results)

        with f.loop(0, f.select(k > 0, k, 1), deep) as start:
            source = f.offset(y, start * b_step, tile.type)
            depth = f.minimum(deep, k - start)
            with f.loop(first_column, end_column, tile.columns, carry=[scratch]) as passes:
                column = passes.index
                starts = starts_of(f, tile, column, n)
                packed = column.udiv(tile.columns) * b_panel
                places = [f.select(b_panel.eq(0), lies, packed + within)
                          for lies, within in zip(starts, in_line(f, tile))]
                panel, step = [f.offset(source, place, tile.type) for place in places], b_step
                if copied is not None:
                    given = source, column, n, b_column, b_step, copied, depth
                    for reading in COPIES[1:]:
                        with f.when(copying.eq(COPIES.index(reading))):
                            f.shared(reading, _copy(tile, reading), *given)
                    lies = copying.eq(0)
                    panel = [f.select(lies, there, f.offset(copied, within, tile.type))
                             for there, within in zip(panel, in_line(f, tile))]
                    step = f.select(lies, b_step, tile.columns)
                # The panel met next: of the next columns, the next stretch or the next unit.
                coming = column + tile.columns
                more, last = coming < end_column, start + deep >= k
                coming = f.select(more | last, coming, first_column)
                there = f.select(b_panel.eq(0), coming * b_column,
                                 coming.udiv(tile.columns) * b_panel)
                onset = f.select(more, start, f.select(last, 0, start + deep))
                there = there + onset * b_step
                following = [f.offset(y, there, tile.type), f.constant("i64", 0)]
                with f.loop(first_row, end_row, tile.rows,
                            carry=[*passes.values, *following]) as turns:
                    turn(start, panel, step, starts, turns)
                passes.next(turns.results[0])
        with f.when(epilogue.wanted):
            rows = matrix * m + first_row, matrix * m + end_row
            epilogue.call(f.offset(box, (first_row - top) * wide, tile.type), wide, rows,
                          (left, end_column))
    f.ret()
    return module


def _copy(tile: Tile, reading: str):
    """What copies a panel, in a function of its own: quicker to compile than in the midst."""
    return lambda f, *given: copy_panel(f, tile, reading, *given)


def _fetch(f: Function, tile: Tile, lines: Lines):
    """Have rows that a tile is stored to come near while its sums are made."""
    row = lines.first
    for _ in range(tile.rows):
        f.prefetch(f.offset(row, lines.starts[0], tile.type))
        row = f.offset(row, lines.stride, tile.type)


def lines_ahead(tile: Tile, deep: int, column: int, step: int) -> tuple[int, int, int, int]:
    """How many lines of the cache a stretch of a panel has, in all and in a run; how far it is from
    one to the next in a run, and from the last of a run: those of a row or, across, of a column.
    """
    line = LINE // ir.size(tile.type)
    if column == 1:
        runs, run, apart = deep, -(-tile.columns // line), step
    else:
        runs, run, apart = tile.columns, -(-deep // line), column
    return runs * run, run, line, apart - (run - 1) * line
