"""A vector times a large matrix: the matrix's rows, weighted, are summed as they stream by.

The tile kernel would read a little of every row before the rest of it, which memory is slow at.
Here a unit reads long pieces of a few rows at once, and keeps its sums in its part of the result,
which the first cache holds.
"""

from __future__ import annotations

from cresset.kernels.batch import Batch
from cresset.kernels.words import Words
from cresset.runtime.ir import Module, Value, vector

ROWS = 4  # read at once
COLUMNS = 2048, 8192  # of a unit, the least and the most: memory is quick where pieces are long


def row_sums(type: str, lanes: int, biased: bool) -> Module:
    """c[j] = sum_k a[k] b[k, j] (+ bias[j]), unit column strides of b and c.

    Words: pointers a, b, c, bias; n, k, columns of a unit, blocks of columns; strides of a and b
    along k, of a column of bias; the batch of (a, b, c, bias).
    """
    module = Module()
    f = module.kernel()
    words = Words(f)
    pointers = [words.pointer() for _ in range(4)]
    n, k, wide, blocks, a_step, b_step, bias_column = words.integers(7)
    batch = Batch(words, 4)
    with f.units() as unit:
        offsets = batch.offsets(f, unit.udiv(blocks))
        x, y, z, w = (f.offset(p, o, type) for p, o in zip(pointers, offsets))
        first = unit.urem(blocks) * wide
        last = f.minimum(first + wide, n)
        whole = first + (last - first).udiv(lanes) * lanes
        with f.loop(first, last) as column:
            start = f.constant(type, 0)
            if biased:
                start = f.load(type, f.offset(w, column * bias_column, type))
            f.store(start, f.offset(z, column, type))

        def add(row: Value, count: int):
            weights = [f.load(type, f.offset(x, (row + r) * a_step, type)) for r in range(count)]
            rows = [f.offset(y, (row + r) * b_step, type) for r in range(count)]
            for width, start, stop in ((lanes, first, whole), (1, whole, last)):
                block = vector(type, width)
                spread = [f.splat(weight, width) for weight in weights]
                with f.loop(start, stop, width) as column:
                    total = f.load(block, f.offset(z, column, type))
                    for weight, source in zip(spread, rows):
                        value = f.load(block, f.offset(source, column, type))
                        total = f.multiply_add(weight, value, total)
                    f.store(total, f.offset(z, column, type))

        several = k.udiv(ROWS) * ROWS
        with f.loop(0, several, ROWS) as row:
            add(row, ROWS)
        with f.loop(several, k) as row:
            add(row, 1)
    f.ret()
    return module
