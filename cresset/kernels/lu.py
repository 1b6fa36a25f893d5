"""LU with partial pivoting, and the order of rows that its exchanges make, for batches of matrices.

A matrix is factored in place of a copy, some neighbouring columns at a time, which are the lanes of
vectors (a left-looking elimination; Golub and Van Loan, Matrix Computations, 4th ed., 3.2.11): what
the columns before take away is subtracted as in `triangular`, then the columns are eliminated one
after another. A unit of the work is a matrix.
"""

from __future__ import annotations

from math import prod

from cresset.core import dtype as types
from cresset.core.dtype import dtype
from cresset.core.layout import Layout
from cresset.kernels.number_lanes import Numbers, numbers_of, reduced
from cresset.kernels.schedule import Schedule
from cresset.kernels.triangular import PACE, ROWS, block_columns, copy
from cresset.kernels.words import Words
from cresset.runtime.ir import Function, Module, Value
from cresset.runtime.program import STATUS, Step


def factor(a: Layout, out: Layout, pivot: bool, values, first_temporary: int):
    """out = L, without its ones, below the diagonal and U from it on, of P a = L U.

    Values are (a, out, pivots, info). The results are packed: out as a, pivots (..., min(m, n)) and
    info (...), int32. pivots[i], counted from 1, is the row that row i was exchanged with in the
    i-th step; all are in place without `pivot`. info is the place, counted from 1, of the first
    zero on U's diagonal, 0 where there is none.
    """
    schedule = Schedule(first_temporary)
    *batch, m, n = out.shape
    if not prod(batch):
        return schedule.result()
    columns = block_columns(out.dtype, max(n, 1))
    blocks = -(-n // columns)
    place, made = values[1], out
    if n % columns:
        # Every block has all of its columns in a wider copy.
        wide = Layout.packed((*batch, m, blocks * columns), out.dtype)
        place, made = schedule.temporary(wide.nbytes), wide.restride(out.shape, wide.strides)
    if out.numel:
        schedule.steps += copy(a, made, (values[0], place))
    steps, width = min(m, n), blocks * columns
    work = prod(batch) * (50 + m * width * (steps + 4 * columns) / 2 / PACE)
    schedule.launch(
        f"lu.{out.dtype.name}.{columns}.{pivot}", lambda: _write(out.dtype, columns, pivot),
        (place, *values[2:]), (m, steps, width, blocks), prod(batch), work,
    )
    if made is not out and out.numel:
        schedule.steps += copy(made, out, (place, values[1]))
    return schedule.result()


def check(count: int, info: int) -> Step:
    """The step that stops a program at the first of `count` infos that is not 0, a value.

    The status block then says: 1, the place of the info, and the info.
    """
    return Step("lu.check", _write_check, (info, STATUS), (count,), work=count)


def row_order(pivots: Layout, out: Layout, values, first_temporary: int):
    """out[i] = the row that becomes row i by such exchanges; values are (pivots, out).

    `pivots`, integers, is (..., k) and out, int64 and packed, (..., rows). One outside of 1 .. rows
    stops the program: the status block says 1, its place in row order, and its value.
    """
    schedule = Schedule(first_temporary)
    rows, steps = out.shape[-1], pivots.shape[-1]
    packed = Layout.packed(pivots.shape, types.int64)
    place = schedule.temporary(packed.nbytes)
    if packed.numel:
        schedule.steps += copy(pivots, packed, (values[0], place))
    matrices = prod(out.shape[:-1])
    schedule.launch("lu.row_order", _write_row_order, (place, values[1], STATUS), (steps, rows),
                    matrices, matrices * (rows + 4 * steps))
    return schedule.result()


# --- kernels --------------------------------------------------------------------------------------
def _write(type: dtype, columns: int, pivot: bool) -> Module:
    """The kernel of `factor`. Words: matrices, pivots, info; rows; steps; width; blocks."""
    module = Module()
    f = module.kernel()
    _, begin, end = f.arguments
    words = Words(f)
    everything, all_pivots, all_info = (words.pointer() for _ in range(3))
    rows, steps, width, blocks = words.integers(4)
    numbers = numbers_of(f, type, columns)
    with f.loop(begin, end) as number:
        matrix = numbers.at(everything, number * rows * width)
        pivots = f.offset(all_pivots, number * steps, "i32")
        info = f.offset(all_info, number, "i32")
        f.store(f.constant("i32", 0), info)
        with f.loop(0, blocks) as block:
            first = block * columns
            done = f.minimum(first, steps)
            _subtract(numbers, matrix, first, done, rows, width)
            with f.loop(done, f.minimum(first + columns, steps)) as column:
                if pivot:
                    found = _exchange(numbers, matrix, column, rows, width)
                else:
                    found = column
                f.store(f.convert(found + 1, "i32"), f.offset(pivots, column, "i32"))
                _eliminate(numbers, matrix, column, first, rows, width, info)
    f.ret()
    return module


def _subtract(numbers: Numbers, matrix, first, done, rows, width):
    """What the columns that are done take away from the block of columns from `first` on."""
    f = numbers.f
    one = f.constant("i64", 1)
    solved = numbers.at(matrix, first)

    def make(i, count, known):
        """Reduce `count` rows from row i on; of those that are done by each other, too."""
        at = [numbers.at(solved, (i + k) * width) for k in range(count)]
        factors = [numbers.at(matrix, (i + k) * width) for k in range(count)]
        before = i if known else done
        values = reduced(numbers, at, factors, solved, before, one, width)
        turned: list = []
        for value, factor, pointer in zip(values, factors, at):
            if known:
                for k, row in enumerate(turned):
                    entry = numbers.scalar(numbers.at(factor, i + k))
                    value = numbers.less(value, entry, row)
                turned.append(numbers.turned(value))
            f.store(value, pointer)

    for start, stop, known in ((f.constant("i64", 0), done, True), (done, rows, False)):
        whole = stop - (stop - start).urem(ROWS)
        with f.loop(start, whole, ROWS) as i:
            make(i, ROWS, known)
        with f.loop(whole, stop) as i:
            make(i, 1, known)


def _exchange(numbers: Numbers, matrix, column, rows, width) -> Value:
    """Bring the row with the greatest number in a column to its place; returns where it was."""
    f = numbers.f

    def size(row):
        return numbers.size(numbers.at(matrix, row * width + column))

    with f.loop(column + 1, rows, carry=(size(column), column)) as loop:
        greatest, place = loop.values
        here = size(loop.index)
        more = here > greatest
        loop.next(f.select(more, here, greatest), f.select(more, loop.index, place))
    found = loop.results[1]
    with f.when(found.ne(column)):
        with f.loop(0, width, numbers.columns) as k:
            one = numbers.at(matrix, column * width + k)
            other = numbers.at(matrix, found * width + k)
            held, new = numbers.load(one), numbers.load(other)
            f.store(new, one)
            f.store(held, other)
    return found


def _eliminate(numbers: Numbers, matrix, column, first, rows, width, info):
    """Subtract multiples of the pivot's row from those below it, within a block of columns."""
    f = numbers.f
    head = numbers.at(matrix, column * width + column)
    zero = numbers.size(head).eq(0)
    with f.when(zero & f.load("i32", info).eq(0)):
        f.store(f.convert(column + 1, "i32"), info)
    real, *imaginary = numbers.number(head)
    # Below a pivot that is zero all are zero, or there is no exchanging.
    pivot = (f.select(zero, f.constant(real.type, 1), real), *imaginary)
    turned = numbers.turned(numbers.load(numbers.at(matrix, column * width + first)))
    after = numbers.after(column - first)
    with f.loop(column + 1, rows) as i:
        here = numbers.at(matrix, i * width + column)
        entry = numbers.at(matrix, i * width + first)
        factor = numbers.divided(numbers.number(here), pivot)
        row = numbers.load(entry)
        f.store(f.select(after, numbers.less(row, numbers.spread(factor), turned), row), entry)
        numbers.put(factor, here)


def _write_check() -> Module:
    """The kernel of `check`. Words: info, status; count."""
    module = Module()
    f = module.kernel()
    words = Words(f)
    info, status, count = words.pointer(), words.pointer(), words.integer()
    with f.loop(0, count) as i:
        found = f.convert(f.load("i32", f.offset(info, i, "i32")), "i64")
        _fail_once(f, found.ne(0), status, i, found)
    f.ret()
    return module


def _fail_once(f: Function, failed: Value, status: Value, *detail: Value):
    with f.when(failed & f.load("i64", status).eq(0)):
        for k, word in enumerate((f.constant("i64", 1), *detail)):
            f.store(word, f.offset(status, k, "i64"))


def _write_row_order() -> Module:
    """The kernel of `row_order`. Words: pivots, out, status; steps; rows."""
    module = Module()
    f = module.kernel()
    _, begin, end = f.arguments
    words = Words(f)
    all_pivots, everything, status = (words.pointer() for _ in range(3))
    steps, rows = words.integers(2)
    with f.loop(begin, end) as number:
        order = f.offset(everything, number * rows, "i64")
        with f.loop(0, rows) as i:
            f.store(i, f.offset(order, i, "i64"))
        with f.loop(0, steps) as i:
            place = number * steps + i
            pivot = f.load("i64", f.offset(all_pivots, place, "i64"))
            outside = (pivot - 1).uge(rows)
            _fail_once(f, outside, status, place, pivot)
            here = f.offset(order, i, "i64")
            there = f.offset(order, f.select(outside, i, pivot - 1), "i64")
            held, new = f.load("i64", here), f.load("i64", there)
            f.store(new, here)
            f.store(held, there)
    f.ret()
    return module
