"""Products without vectors of c: rows against rows.

They serve c = a b^T where a and b both run along k: few rows, a vector against a matrix, few
columns.
"""

from __future__ import annotations

from contextlib import contextmanager

from cresset.kernels.batch import Batch
from cresset.kernels.words import Words
from cresset.runtime import ir
from cresset.runtime.ir import Function, Module, Value, vector

ROWS, COLUMNS = 3, 4  # sums in flight; the columns are folded four at a time


def dots(type: str, lanes: int, biased: bool) -> Module:
    """c[i, j] = sum_k a[i, k] b[j, k] (+ bias[i, j]), unit strides along k, any others.

    Words: pointers a, b, c, bias; m, n, k, rows and columns of a unit, number of row and column
    blocks; strides of a row of a, of a column of b, of c (row, column), of bias (row, column); the
    batch of (a, b, c, bias).
    """
    wide_type = vector(type, lanes)
    module = Module()
    f = module.kernel()
    words = Words(f)
    a, b, c, bias = (words.pointer() for _ in range(4))
    m, n, k, tall, wide, row_blocks, column_blocks = words.integers(7)
    a_row, b_column, c_row, c_column, bias_row, bias_column = words.integers(6)
    batch = Batch(words, 4)
    whole = k.udiv(lanes) * lanes
    scratch = f.alloca(wide_type, ROWS * COLUMNS)
    with f.units() as unit:
        first_column = unit.urem(column_blocks) * wide
        end_column = f.minimum(first_column + wide, n)
        rest = unit.udiv(column_blocks)
        first_row = rest.urem(row_blocks) * tall
        end_row = f.minimum(first_row + tall, m)
        offsets = batch.offsets(f, rest.udiv(row_blocks))
        x, y, z, w = (f.offset(p, o, type) for p, o in zip((a, b, c, bias), offsets))
        with f.loop(first_column, end_column, COLUMNS) as column:
            columns = numbers(f, column, end_column, COLUMNS)
            ys = [f.offset(y, j * b_column, type) for j in columns]
            with f.loop(first_row, end_row, ROWS) as row:
                xs = [f.offset(x, i * a_row, type) for i in numbers(f, row, end_row, ROWS)]
                sums = [f.constant(wide_type, 0)] * (ROWS * COLUMNS)
                sums = _accumulate(f, wide_type, xs, ys, sums, 0, whole)
                sums = _accumulate(f, type, xs, ys, sums, whole, k)
                with folded_rows(f, sums, scratch, row, end_row) as (folded, i):
                    for lane, j in enumerate(columns):
                        total = f.extract(folded, lane)
                        if biased:
                            place = i * bias_row + j * bias_column
                            total = total + f.load(type, f.offset(w, place, type))
                        f.store(total, f.offset(z, i * c_row + j * c_column, type))
    f.ret()
    return module


def numbers(f: Function, first: Value, end: Value, count: int) -> list[Value]:
    """first, first + 1, ...; the last one below `end` again where they would reach it."""
    return [first] + [f.minimum(first + number, end - 1) for number in range(1, count)]


def _accumulate(f, type, xs, ys, sums, start, stop) -> list[Value]:
    """`sums` and the products of every x with every y, read as values of `type`.

    Scalars, which are what is left after the vectors, go to the first lane.
    """
    scalar = ir.element(type)

    def load(pointer, at):
        value = f.load(type, f.offset(pointer, at, scalar))
        if type == sums[0].type:
            return value
        return f.insert(f.constant(sums[0].type, 0), value, 0)

    with f.loop(start, stop, ir.lanes(type), carry=sums) as loop:
        following = list(loop.values)
        left = [load(x, loop.index) for x in xs]
        for column, y in enumerate(ys):
            right = load(y, loop.index)
            for row, value in enumerate(left):
                at = row * len(ys) + column
                following[at] = f.multiply_add(value, right, following[at])
        loop.next(*following)
    return loop.results


@contextmanager
def folded_rows(f: Function, sums: list[Value], scratch: Value, first: Value, end: Value):
    """A loop over a tile's rows: the folded sums of a row's four columns, and the row's number."""
    type = sums[0].type
    for number, total in enumerate(sums):
        f.store(total, f.offset(scratch, number, type))
    with f.loop(first, f.minimum(first + ROWS, end)) as row:
        these = f.offset(scratch, (row - first) * COLUMNS, type)
        columns = [f.load(type, f.offset(these, column, type)) for column in range(COLUMNS)]
        yield fold(f, columns), row


def fold(f: Function, vectors: list[Value]) -> Value:
    """The sums over the lanes of four vectors, as one vector of four."""
    count = ir.lanes(vectors[0].type)
    while count > COLUMNS:
        count //= 2
        low, high = range(count), range(count, 2 * count)
        vectors = [f.shuffle(v, None, low) + f.shuffle(v, None, high) for v in vectors]
    even, odd = range(0, 2 * count, 2), range(1, 2 * count, 2)
    while len(vectors) * count > COLUMNS:
        pairs = zip(vectors[::2], vectors[1::2])
        vectors = [f.shuffle(x, y, even) + f.shuffle(x, y, odd) for x, y in pairs]
    if len(vectors) == 1:
        return vectors[0]
    return f.shuffle(vectors[0], vectors[1], range(COLUMNS))
