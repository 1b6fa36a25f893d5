"""Attention without a matrix of scores, forward.

    out[i] = sum_j p[i, j] v[j],   p[i, j] = softmax over j of (scale q[i] . k[j] + mask[i, j])

Scores live a block at a time, in the first cache: the softmax is computed as keys pass by, relative
to the greatest score so far (Milakov and Gimelshein 2018; Dao and others 2022, arXiv:2205.14135).

Queries are the lanes of vectors. So maxima and sums over keys never leave their lane, and keys and
values are what a tile of a product reads as scalars, where they lie, whatever their strides.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from math import inf, prod
from typing import NamedTuple

from cresset.core.dtype import dtype
from cresset.kernels.batch import Batch, batch_words
from cresset.kernels.mathematics.exponential import exp_to_one
from cresset.kernels.mathematics.logarithm import log
from cresset.kernels.panel import (
    add_rows,
    clear,
    put,
    spread,
    take,
    turn,
    turn_back,
    up_to,
    vectors,
)
from cresset.kernels.schedule import Schedule
from cresset.kernels.tile import ROWS, VECTORS, Tile, lanes_of, product
from cresset.kernels.words import Words
from cresset.runtime import ir
from cresset.runtime.ir import Function, Module, Value
from cresset.runtime.target import host

DEEPEST = 256  # the most elements of a query, key or value
PANELS = 4  # of queries that a unit takes: they share the keys in the second cache
KEYS = 128  # of a block
PACE = 40  # products in a nanosecond
SCORE = 32  # products that cost as much as what a score costs besides


class Operand(NamedTuple):
    """A value of a program and its strides, in elements: of the batch dims, a row, a column."""

    place: int
    strides: tuple[int, ...]


class Problem(NamedTuple):
    """What is attended to what: batch dims, numbers of queries and keys, elements of a key, value.

    `mask` is laid out by the caller for the kernel that reads it; see `Mask`.
    """

    batch: tuple[int, ...]
    queries: int
    keys: int
    depth: int
    width: int
    scale: float
    causal: bool

    @property
    def matrices(self) -> int:
        return prod(self.batch)

    def work(self, products: int) -> float:
        """Nanoseconds of so many products for every score, on one thread."""
        scores = self.matrices * self.queries * self.keys
        return scores * (products + SCORE) / PACE / (2 if self.causal else 1)


class Mask(NamedTuple):
    """What is added to scores: its strides along the batch and from row to row.

    Along lanes its stride is 1, and there is room for whole panels; or it stands still, if `still`.
    """

    place: int
    outer: tuple[int, ...]
    row: int
    still: bool


def tile_of(dtype: dtype) -> Tile:
    """The register tile; rows past the last are the last one again, so there may be fewer."""
    return Tile(dtype.llvm, ROWS[host().vector_bytes], VECTORS, lanes_of(dtype))


def scale_word(problem: Problem) -> int:
    """The scale as an argument word."""
    return struct.unpack("<q", struct.pack("<d", problem.scale))[0]


def masking_of(problem: Problem, mask: Mask | None) -> str:
    """Which form of a kernel: "none", "causal", "lanes" or "still", by how the mask lies."""
    if mask is not None:
        return "still" if mask.still else "lanes"
    return "causal" if problem.causal else "none"


def attend(schedule: Schedule, dtype: dtype, problem: Problem, q: Operand, k: Operand, v: Operand,
           mask: Mask | None, out: Operand, log_sums: int):
    """Add the launch that computes out, and the logarithm of each query's sum of exponentials.

    Matrices are (*batch, queries, depth), (*batch, keys, depth), (*batch, keys, width) and (*batch,
    queries, width); strides are any that are not negative. `log_sums` is float64, packed.
    """
    tile = tile_of(dtype)
    masking = masking_of(problem, mask)
    blocks = -(-problem.queries // (PANELS * tile.columns))
    laid = mask or Mask(q.place, (0,) * len(problem.batch), 0, False)
    schedule.launch(
        f"attention_{tile.name}_{masking}", lambda: attention(tile, masking),
        (q.place, k.place, v.place, laid.place, out.place, log_sums),
        (problem.queries, problem.keys, problem.depth, problem.width, blocks,
         scale_word(problem),
         *(s for x in (q, k, v, out) for s in x.strides[-2:]), laid.row,
         *batch_words(problem.batch, [*(x.strides[:-2] for x in (q, k, v)), laid.outer,
                                      out.strides[:-2]])),
        problem.matrices * blocks, problem.work(problem.depth + problem.width),
    )


def attention(tile: Tile, masking: str) -> Module:
    """The kernel of `attend`; a unit is a block of queries.

    Words: pointers q, k, v, mask, out, log_sums; queries, keys, depth, width, blocks of queries;
    scale; strides of a row and a column of q, k, v and out, of a row of the mask; the batch of (q,
    k, v, mask, out).
    """
    module = Module()
    f = module.kernel()
    words = Words(f)
    pointers = [words.pointer() for _ in range(5)]
    log_sums = words.pointer()
    queries, keys, depth, width, blocks = words.integers(5)
    scale = spread(f, tile, f.convert(words.next("double"), tile.type))
    q_row, q_column, k_row, k_column, v_row, v_column, out_row, out_column = words.integers(8)
    mask_row = words.integer()
    batch = Batch(words, 5)
    panel_room = DEEPEST + tile.rows
    turned, totals = (f.alloca(tile.vector, PANELS * tile.vectors * panel_room) for _ in range(2))
    weights = f.alloca(tile.vector, (KEYS + tile.rows) * tile.vectors)
    tops, sums = (f.alloca(tile.vector, PANELS * tile.vectors) for _ in range(2))
    logs = f.alloca("double", tile.columns)

    with f.units() as unit:
        matrix = unit.udiv(blocks)
        offsets = batch.offsets(f, matrix)
        q, k, v, mask, out = (f.offset(p, o, tile.type) for p, o in zip(pointers, offsets))
        first = unit.urem(blocks) * (PANELS * tile.columns)
        last = f.minimum(first + PANELS * tile.columns, queries)

        def at(room, query, columns):
            """The panel of `query` in a room that holds so many vectors of columns of each."""
            return f.offset(room, (query - first) * columns, tile.type)

        with f.loop(first, last, tile.columns) as query:
            panel = at(turned, query, panel_room)
            turn(f, tile, q, q_row, q_column, query, queries, panel, depth)
            with f.loop(0, depth * tile.vectors) as number:
                place = f.offset(panel, number, tile.vector)
                f.store(f.load(tile.vector, place) * scale, place)
            clear(f, tile, at(totals, query, panel_room), width)
            for room, start in ((tops, -inf), (sums, 0.0)):
                put(f, tile, at(room, query, 1), [f.constant(tile.vector, start)] * tile.vectors)

        seen = f.minimum(last, keys) if masking == "causal" else keys
        with f.loop(0, seen, KEYS) as key, f.loop(first, last, tile.columns) as query:
            count = f.minimum(seen - key, KEYS)
            if masking == "causal":
                count = f.minimum(count, query + tile.columns - key)
            with f.when(count > 0):
                columns = vectors(f, tile, at(turned, query, panel_room))
                k_block = f.offset(k, key * k_row, tile.type)
                highest = [f.constant(tile.vector, -inf)] * tile.vectors
                with f.loop(0, count, tile.rows, carry=highest) as tiles:
                    rows = up_to(f, tile, tiles.index, count)
                    scores = product(f, tile, depth, k_block, [row * k_row for row in rows],
                                     k_column, columns, tile.columns)
                    highest = list(tiles.values)
                    for number, row in enumerate(rows):
                        line = scores[number * tile.vectors :][: tile.vectors]
                        line = masked(f, tile, masking, line, mask, mask_row, key + row, query,
                                      lambda key, query: key <= query)
                        place = f.offset(weights, (tiles.index + number) * tile.columns, tile.type)
                        put(f, tile, place, line)
                        highest = [f.select(s > top, s, top) for s, top in zip(line, highest)]
                    tiles.next(*highest)

                top_room, sum_room = at(tops, query, 1), at(sums, query, 1)
                old = take(f, tile, top_room)
                new = [f.select(a > b, a, b) for a, b in zip(tiles.results, old)]
                put(f, tile, top_room, new)
                base = [f.select(top > -inf, top, 0.0) for top in new]
                fading = [exp_to_one(f, a - b) for a, b in zip(old, base)]
                none = [f.constant(tile.vector, 0)] * tile.vectors
                with f.loop(0, count, carry=none) as loop:
                    place = f.offset(weights, loop.index * tile.columns, tile.type)
                    line = [exp_to_one(f, s - b) for s, b in zip(take(f, tile, place), base)]
                    put(f, tile, place, line)
                    loop.next(*(total + p for total, p in zip(loop.values, line)))
                put(f, tile, sum_room, [
                    f.fma(total, fade, more)
                    for total, fade, more in zip(take(f, tile, sum_room), fading, loop.results)
                ])
                add_rows(f, tile, count, width, f.offset(v, key * v_row, tile.type), v_column,
                         v_row, vectors(f, tile, weights), tile.columns,
                         at(totals, query, panel_room), fading)

        with f.loop(first, last, tile.columns) as query:
            total, top = take(f, tile, at(sums, query, 1)), take(f, tile, at(tops, query, 1))
            counted = [t > 0.0 for t in total]
            share = [f.select(c, 1.0 / t, 1.0) for c, t in zip(counted, total)]
            panel = at(totals, query, panel_room)
            with f.loop(0, width) as number:
                place = f.offset(panel, number * tile.columns, tile.type)
                put(f, tile, place, [x * s for x, s in zip(take(f, tile, place), share)])
            count = f.minimum(last - query, tile.columns)
            turn_back(f, tile, panel, f.offset(out, query * out_row, tile.type), out_row,
                      out_column, count, width)
            wide = ir.vector("double", tile.lanes)
            for number, (c, t, x) in enumerate(zip(counted, total, top)):
                whole = f.convert(x, wide) + f.convert(log(f, t), wide)
                f.store(f.select(c, whole, 0.0), f.offset(logs, number, wide))
            target = f.offset(log_sums, matrix * queries + query, "double")
            with f.loop(0, count) as lane:
                f.store(f.load("double", f.offset(logs, lane, "double")),
                        f.offset(target, lane, "double"))
    f.ret()
    return module


def masked(f: Function, tile: Tile, masking: str, scores: Sequence[Value], mask: Value,
           mask_row: Value, row: Value, first: Value, sees: Callable) -> list[Value]:
    """A row of scores with what the mask adds, `first` being the number of the first lane.

    Of "causal" scores those remain for which `sees(row, lane)`, a comparison of their numbers.
    """
    if masking == "none":
        return list(scores)
    if masking == "causal":
        whole = {"float": "i32", "double": "i64"}[tile.type]
        apart = f.minimum(row - first, tile.columns)
        apart = f.splat(f.convert(f.select(apart < 0, -1, apart), whole), tile.lanes)
        lanes = f.lane_numbers(ir.vector(whole, tile.lanes))
        return [f.select(sees(apart, lanes + number * tile.lanes), s, -inf)
                for number, s in enumerate(scores)]
    at = f.offset(mask, row * mask_row, tile.type)
    if masking == "still":
        term = spread(f, tile, f.load(tile.type, at))
        return [s + term for s in scores]
    return [s + m for s, m in zip(scores, take(f, tile, f.offset(at, first, tile.type)))]
