"""The gradients of attention, again without a matrix of scores (Dao and others 2022).

With p the weights, made anew of the scores and the logarithms of their sums, and g the gradient:

    dp = g v^T,   ds = p (dp - rows of sum(g out)),
    dv = p^T g,   dk = scale ds^T q,   dq = scale ds k

A unit takes a range of keys and all queries that see them. Keys are the lanes of vectors, so that
queries and gradients are what tiles read as scalars, where they lie; the gradients of a block of
keys grow in scratch memory. Those of queries grow in a temporary of each unit, and are summed up.
"""

from __future__ import annotations

from math import prod

from cresset.core import scalar
from cresset.core.dtype import dtype
from cresset.core.layout import contiguous_strides
from cresset.kernels.attention import (
    DEEPEST,
    Mask,
    Operand,
    Problem,
    masked,
    masking_of,
    scale_word,
    tile_of,
)
from cresset.kernels.batch import Batch, batch_words
from cresset.kernels.mathematics.exponential import exp_to_one
from cresset.kernels.nest import Nest, Reduce, Store, steps
from cresset.kernels.nest import Operand as NestOperand
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
from cresset.kernels.tile import Tile, in_step, product
from cresset.kernels.words import Words
from cresset.runtime import ir
from cresset.runtime.ir import Function, Module, Value

BYTES = 256  # of a row of weights: as many keys make a block
QUERIES = 48  # of a block, a multiple of the tile's rows
UNITS = 16  # matrices are taken apart by their keys until there are so many units
SHARE = 256  # keys that a unit has at least


def attend_backward(schedule: Schedule, dtype: dtype, problem: Problem, g: Operand, out: Operand,
                    q: Operand, k: Operand, v: Operand, mask: Mask | None, log_sums: int,
                    by_q: Operand, by_k: Operand, by_v: Operand):
    """Add the launches that compute the gradients of `attend` by q, k and v; arguments as there."""
    tile = tile_of(dtype)
    masking = masking_of(problem, mask)
    batch, queries, keys = problem.batch, problem.queries, problem.keys
    products = _row_products(schedule, dtype, problem, g, out)

    block = BYTES // dtype.itemsize
    parts = max(1, min(UNITS // max(1, problem.matrices), keys // SHARE))
    share = -(-max(1, -(-keys // parts)) // block) * block
    parts = max(1, -(-keys // share))
    pitch = -(-problem.depth // tile.columns) * tile.columns
    room = (parts, *batch, queries + tile.rows, pitch)
    sums = schedule.temporary(prod(room) * dtype.itemsize)
    laid = mask or Mask(q.place, (0,) * len(batch), 0, False)
    schedule.launch(
        f"attention_backward_{tile.name}_{masking}", lambda: backward(tile, masking),
        (q.place, k.place, v.place, laid.place, g.place, by_k.place, by_v.place, log_sums,
         products, sums),
        (queries, keys, problem.depth, problem.width, problem.matrices, share, pitch,
         scale_word(problem),
         *(s for x in (q, k, v, g, by_k, by_v) for s in x.strides[-2:]), laid.row,
         *batch_words(batch, [*(x.strides[:-2] for x in (q, k, v)), laid.outer,
                              *(x.strides[:-2] for x in (g, by_k, by_v))])),
        problem.matrices * parts, problem.work(3 * problem.depth + 2 * problem.width),
    )

    strides = contiguous_strides(room)
    space = (parts, *batch, queries, problem.depth)
    operands = (NestOperand(sums, dtype, strides),
                NestOperand(by_q.place, dtype, (0, *by_q.strides)))
    _add(schedule, dtype, space, {0}, operands, scalar.argument(0, dtype))


def _row_products(schedule, dtype, problem, g, out) -> int:
    """sum(g * out) over the elements of every query, packed."""
    space = (*problem.batch, problem.queries, problem.width)
    target = schedule.temporary(prod(space[:-1]) * dtype.itemsize)
    operands = (NestOperand(g.place, dtype, g.strides), NestOperand(out.place, dtype, out.strides),
                NestOperand(target, dtype, (*contiguous_strides(space[:-1]), 0)))
    _add(schedule, dtype, space, {len(space) - 1}, operands,
         scalar.argument(0, dtype) * scalar.argument(1, dtype))
    return target


def _add(schedule, dtype, space, reduced, operands, value):
    """The sums of an expression of the first operands, stored in the last."""
    total = Reduce((value,), (scalar.argument(0, dtype) + scalar.argument(1, dtype),), (0.0,))
    store = Store(len(operands) - 1, scalar.accumulator(0, dtype), True)
    nest = Nest(space, frozenset(reduced), operands, (total, store))
    schedule.follow(steps(nest, schedule.next_temporary))


def backward(tile: Tile, masking: str) -> Module:
    """The kernel of `attend_backward`; a unit is a range of the keys of a matrix.

    Words: pointers q, k, v, mask, g, by_k, by_v, log_sums, the rows' sums of g out, the temporary
    of sums by q; queries, keys, depth, width, matrices, keys of a unit, depth rounded up to panels;
    scale; strides of a row and a column of q, k, v, g, by_k and by_v, of a row of the mask; the
    batch of (q, k, v, mask, g, by_k, by_v).
    """
    module = Module()
    f = module.kernel()
    words = Words(f)
    pointers = [words.pointer() for _ in range(7)]
    log_sums, products, by_q = (words.pointer() for _ in range(3))
    queries, keys, depth, width, matrices, share, pitch = words.integers(7)
    scale = spread(f, tile, f.convert(words.next("double"), tile.type))
    q_row, q_column, k_row, k_column, v_row, v_column = words.integers(6)
    g_row, g_column, by_k_row, by_k_column, by_v_row, by_v_column, mask_row = words.integers(7)
    batch = Batch(words, 7)
    block = BYTES // ir.size(tile.type)
    panel_room = DEEPEST + tile.rows
    # Of a block of keys: keys and values turned, and their gradients; of a block of queries: the
    # weights and the gradients of scores, in rows of keys.
    turned_k, turned_v, sums_k, sums_v = (
        f.alloca(tile.type, block * panel_room) for _ in range(4)
    )
    rows_k = f.alloca(tile.type, block * DEEPEST)
    weights, slopes = (f.alloca(tile.type, (QUERIES + tile.rows) * block) for _ in range(2))

    def add(f, k, rows, a, a_row, a_step, b, target):
        add_rows(f, tile, k, rows, a, a_row, a_step, vectors(f, tile, b), block, target)

    with f.units() as unit:
        matrix = unit.urem(matrices)
        offsets = batch.offsets(f, matrix)
        q, k, v, mask, g, by_k, by_v = (
            f.offset(p, o, tile.type) for p, o in zip(pointers, offsets)
        )
        logs = f.offset(log_sums, matrix * queries, "double")
        inner = f.offset(products, matrix * queries, tile.type)
        sums_q = f.offset(by_q, unit * ((queries + tile.rows) * pitch), tile.type)
        with f.loop(0, queries * pitch, tile.lanes) as place:
            f.store(f.constant(tile.vector, 0), f.offset(sums_q, place, tile.type))

        start = unit.udiv(matrices) * share
        stop = f.minimum(start + share, keys)
        with f.loop(start, stop, block) as key:
            last = f.minimum(key + block, stop)

            def panel(room, lane):
                return f.offset(room, lane * panel_room, tile.type)

            with f.loop(key, last, tile.columns) as at:
                lane = at - key
                turn(f, tile, k, k_row, k_column, at, keys, panel(turned_k, lane), depth)
                turn(f, tile, v, v_row, v_column, at, keys, panel(turned_v, lane), width)
                clear(f, tile, panel(sums_k, lane), depth)
                clear(f, tile, panel(sums_v, lane), width)
            _rows(f, tile, k, k_row, k_column, key, last, depth, pitch, rows_k)

            earliest = key if masking == "causal" else f.constant("i64", 0)
            with f.loop(earliest, queries, QUERIES) as query:
                count = f.minimum(queries - query, QUERIES)
                seen = last
                if masking == "causal":
                    seen = f.minimum(last, query + count)
                q_block = f.offset(q, query * q_row, tile.type)
                g_block = f.offset(g, query * g_row, tile.type)
                with f.loop(key, seen, tile.columns) as at:
                    lane = at - key
                    # Queries before a panel of keys do not see it.
                    first = f.constant("i64", 0)
                    if masking == "causal":
                        first = (at - query).udiv(tile.rows) * tile.rows
                        first = f.select(at < query, 0, first)
                    keys_here = vectors(f, tile, panel(turned_k, lane))
                    values_here = vectors(f, tile, panel(turned_v, lane))
                    with f.loop(first, count, tile.rows) as tiles:
                        rows = up_to(f, tile, tiles, count)
                        for source, row_step, step, size, columns, made in (
                            (q_block, q_row, q_column, depth, keys_here, weights),
                            (g_block, g_row, g_column, width, values_here, slopes),
                        ):
                            values = product(f, tile, size, source, [r * row_step for r in rows],
                                             step, columns, tile.columns)
                            for number in range(tile.rows):
                                place = f.offset(made, (tiles + number) * block + lane, tile.type)
                                put(f, tile, place, values[number * tile.vectors :])
                        with f.each(0, tile.rows) as number:
                            row = query + f.minimum(tiles + number, count - 1)
                            place = (tiles + number) * block + lane
                            weight, slope = (
                                f.offset(room, place, tile.type) for room in (weights, slopes)
                            )
                            line = [s * scale for s in take(f, tile, weight)]
                            line = masked(f, tile, masking, line, mask, mask_row, row, at,
                                          lambda query, key: key <= query)
                            log = f.load("double", f.offset(logs, row, "double"))
                            log = spread(f, tile, f.convert(log, tile.type))
                            term = f.load(tile.type, f.offset(inner, row, tile.type))
                            term = spread(f, tile, term)
                            shares = [exp_to_one(f, s - log) for s in line]
                            put(f, tile, weight, shares)
                            put(f, tile, slope, [
                                p * (x - term) for p, x in zip(shares, take(f, tile, slope))
                            ])

                    from_first = first * block + lane
                    for source, row, column, size, made, target in (
                        (g_block, g_row, g_column, width, weights, sums_v),
                        (q_block, q_row, q_column, depth, slopes, sums_k),
                    ):
                        f.shared("add", add, count - first, size,
                                 f.offset(source, first * row, tile.type), column, row,
                                 f.offset(made, from_first, tile.type), panel(target, lane))

                with f.loop(0, count, tile.rows) as tiles:
                    some = seen - key
                    if masking == "causal":
                        some = f.minimum(some, query + tiles + tile.rows - key)
                    line = f.offset(slopes, tiles * block, tile.type)
                    apart = in_step(f, tile, f.constant("i64", block))
                    with f.loop(0, pitch, tile.columns) as column:
                        more = product(f, tile, some, line, apart, f.constant("i64", 1),
                                       vectors(f, tile, f.offset(rows_k, column, tile.type)), pitch)
                        for number in range(tile.rows):
                            place = (query + tiles + number) * pitch + column
                            place = f.offset(sums_q, place, tile.type)
                            added = more[number * tile.vectors :]
                            put(f, tile, place, [
                                x + m * scale for x, m in zip(take(f, tile, place), added)
                            ])

            with f.loop(key, last, tile.columns) as at:
                lane = at - key
                count = f.minimum(last - at, tile.columns)
                grown = panel(sums_k, lane)
                with f.loop(0, depth) as number:
                    place = f.offset(grown, number * tile.columns, tile.type)
                    put(f, tile, place, [x * scale for x in take(f, tile, place)])
                turn_back(f, tile, grown, f.offset(by_k, at * by_k_row, tile.type), by_k_row,
                          by_k_column, count, depth)
                turn_back(f, tile, panel(sums_v, lane), f.offset(by_v, at * by_v_row, tile.type),
                          by_v_row, by_v_column, count, width)
    f.ret()
    return module


def _rows(f: Function, tile: Tile, source: Value, row: Value, column: Value, first: Value,
          last: Value, depth: Value, pitch: Value, target: Value):
    """target[r][d] = source[first + r][d], `pitch` from row to row, and 0 from `depth` on."""
    with f.loop(first, last) as number:
        read = f.offset(source, number * row, tile.type)
        write = f.offset(target, (number - first) * pitch, tile.type)
        with f.loop(0, depth) as d:
            value = f.load(tile.type, f.offset(read, d * column, tile.type))
            f.store(value, f.offset(write, d, tile.type))
        with f.loop(depth, pitch) as d:
            f.store(f.constant(tile.type, 0), f.offset(write, d, tile.type))
