"""Triangular systems: x with tril(a) x = b, or triu(a) x = b, for batches of matrices.

The solution is made in place of a copy of b. A unit of the work is a block of neighbouring columns
of one matrix, which are the lanes of vectors. Rows are made some at a time: what the rows before
them take away is a product like that of a tile of a matrix product; then they are solved for among
each other. An upper system is a lower one with rows and columns in reverse order.
"""

from __future__ import annotations

from math import prod

from cresset.core import scalar
from cresset.core.dtype import dtype
from cresset.core.layout import Layout
from cresset.kernels.batch import Batch, batch_words, merge
from cresset.kernels.nest import Nest, Operand, Store
from cresset.kernels.nest import steps as nest_steps
from cresset.kernels.number_lanes import numbers_of, reduced
from cresset.kernels.schedule import Schedule
from cresset.kernels.words import Words
from cresset.runtime.ir import Module
from cresset.runtime.program import Step
from cresset.runtime.target import host

ROWS = 4  # that are made together
VECTORS = 2  # of columns in a block
PACE = 8  # products in a nanosecond


def solve(a: Layout, b: Layout, out: Layout, upper: bool, unit: bool, values, first_temporary: int):
    """out = x with triu(a) x = b, or tril(a) x = b; with `unit` the diagonal counts as ones.

    a is (..., n, n), b (..., n, k) and out, which is packed, (..., n, k), of one type; batches
    broadcast to that of out. Values are (a, b, out). A zero on the diagonal gives infinities and
    NaN.
    """
    schedule = Schedule(first_temporary)
    if not out.numel:
        return schedule.result()
    *batch, n, k = out.shape
    columns = block_columns(out.dtype, k)
    blocks = -(-k // columns)
    place, solved = values[2], out
    if k % columns:
        # Every block has all of its columns in a wider copy.
        wide = Layout.packed((*batch, n, blocks * columns), out.dtype)
        place, solved = schedule.temporary(wide.nbytes), wide.restride(out.shape, wide.strides)
    schedule.steps += copy(b, solved, (values[1], place))
    sizes, strides = merge(batch, (_broadcast(a, batch), solved.strides[:-2]))
    row, column = a.strides[-2:]
    step, first, start = solved.strides[-2], 0, 0
    if upper:
        first, start = (n - 1) * (row + column), (n - 1) * step
        row, column, step = -row, -column, -step
    work = prod(batch) * blocks * n * n * columns / 2 / PACE
    schedule.launch(
        f"triangular.{out.dtype.name}.{columns}.{unit}",
        lambda: _write(out.dtype, columns, unit), (values[0], place),
        (n, first, row, column, start, step, blocks, *batch_words(sizes, strides)),
        prod(batch) * blocks, work,
    )
    if solved is not out:
        schedule.steps += copy(solved, out, (place, values[2]))
    return schedule.result()


def block_columns(type: dtype, k: int) -> int:
    """The columns of a block: a power of two, no more than are needed."""
    most = VECTORS * host().vector_bytes // type.itemsize
    return min(most, 1 << (k - 1).bit_length())


def _broadcast(x: Layout, batch) -> tuple[int, ...]:
    """The strides of x's matrices over batch dims that it broadcasts to."""
    shape, strides = x.shape[:-2], x.strides[:-2]
    own = tuple(0 if size == 1 else stride for size, stride in zip(shape, strides))
    return (0,) * (len(batch) - len(own)) + own


def copy(source: Layout, target: Layout, places) -> list[Step]:
    """The steps that copy one value into another, whose batch and type it is brought to."""
    spread = (*_broadcast(source, target.shape[:-2]), *source.strides[-2:])
    operands = (Operand(places[0], source.dtype, spread),
                Operand(places[1], target.dtype, target.strides))
    value = scalar.cast(scalar.argument(0, source.dtype), target.dtype)
    body = (Store(1, value, False),)
    return nest_steps(Nest(tuple(target.shape), frozenset(), operands, body))[0]


# --- the kernel -----------------------------------------------------------------------------------
def _write(type: dtype, columns: int, unit: bool) -> Module:
    """The kernel. Words: a, x; rows; a's first element, steps by row and by column; x's first row
    and step by row; blocks of columns; batch.
    """
    module = Module()
    f = module.kernel()
    _, begin, end = f.arguments
    words = Words(f)
    a, x = words.pointer(), words.pointer()
    rows, first, row, column, start, step, blocks = words.integers(7)
    batch = Batch(words, 2)
    numbers = numbers_of(f, type, columns)

    def make(i, count, matrix, solved):
        """Solve for `count` rows from row i on."""
        at = [numbers.at(solved, (i + k) * step) for k in range(count)]
        factors = [numbers.at(matrix, (i + k) * row) for k in range(count)]
        values = reduced(numbers, at, factors, solved, i, column, step)
        made: list = []
        for value, factor, pointer in zip(values, factors, at):
            for k, turned in enumerate(made):
                entry = numbers.scalar(numbers.at(factor, (i + k) * column))
                value = numbers.less(value, entry, turned)
            if not unit:
                entry = numbers.scalar(numbers.at(factor, (i + len(made)) * column))
                value = numbers.quotient(value, entry)
            f.store(value, pointer)
            made.append(numbers.turned(value))

    with f.loop(begin, end) as number:
        offsets = batch.offsets(f, number.udiv(blocks))
        matrix = numbers.at(a, offsets[0] + first)
        solved = numbers.at(x, offsets[1] + start + number.urem(blocks) * columns)
        whole = rows - rows.urem(ROWS)
        with f.loop(0, whole, ROWS) as i:
            make(i, ROWS, matrix, solved)
        with f.loop(whole, rows) as i:
            make(i, 1, matrix, solved)
    f.ret()
    return module
