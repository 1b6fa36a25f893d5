"""Matrix products: which kernel does which product, and in what blocks.

    c[..., i, j] = sum_k a[..., i, k] b[..., k, j] + bias[..., i, j]

A product of floats runs tile by tile (`blocks`), each operand read where it lies or, if that would
be slow, from packed panels (`pack`); or row against row (`dot`) where the result has few rows or
columns. Products of integers take the plain loop. Only sizes and strides decide, so that the result
does not depend on the number of threads.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import NamedTuple

from cresset.compiler import blocks, dot
from cresset.compiler.batch import batch_words, merge
from cresset.compiler.pack import pack_rows
from cresset.compiler.tile import Tile
from cresset.core.dtype import dtype
from cresset.core.layout import contiguous_strides
from cresset.runtime.program import Step

DOT_ROWS = 12  # operands that both run along k meet row against row up to so many rows
UNPACKED_BYTES = 1 << 17  # a larger b is packed if it has rows enough to be worth it
PACKED_ROWS = 64
CACHED_BYTES = 1 << 17  # what a unit may keep of a in the second cache
PIECE = 20_000  # nanoseconds that a piece of shared work should last
PACE = {"tile": 40, "dot": 20, "plain": 1}  # products in a nanosecond


class Operand(NamedTuple):
    """A matrix of a program: its place in the value table and its strides, in elements.

    The strides are those of the batch dims (0 where it is broadcast), of a row and of a column.
    """

    index: int
    strides: tuple[int, ...]


class Problem(NamedTuple):
    """A product with all that decides its schedule; `bias` may be None."""

    batch: tuple[int, ...]
    m: int
    n: int
    k: int
    a: Operand
    b: Operand
    c: Operand
    bias: Operand | None

    def transposed(self) -> Problem:
        """The same product as c^T = b^T a^T."""
        flip = lambda x: x and Operand(x.index, (*x.strides[:-2], x.strides[-1], x.strides[-2]))
        return Problem(self.batch, self.n, self.m, self.k, flip(self.b), flip(self.a),
                       flip(self.c), flip(self.bias))

    def operands(self) -> list[Operand]:
        """a, b, c and the bias, or c again in its place."""
        return [self.a, self.b, self.c, self.bias or self.c]


def matmul(batch: Sequence[int], m: int, n: int, k: int, dtype: dtype, a: Operand, b: Operand,
           c: Operand, bias: Operand | None = None, *, first_temporary: int):
    """The steps of c = a b (+ bias), and the bytes of their temporaries.

    a is (*batch, m, k), b (*batch, k, n), c and bias (*batch, m, n); strides are any that are not
    negative. Temporaries are values `first_temporary`, `first_temporary + 1`, ... of the program.
    """
    if prod(batch) * m * n == 0:
        return [], []
    problem = simplified(Problem(tuple(batch), m, n, k, a, b, c, bias))
    schedule = Schedule(dtype, first_temporary)
    if not dtype.is_floating_point:
        schedule.plain(problem)
    elif _suits_dots(problem, Tile.of(dtype, 1)):
        schedule.dots(problem)
    else:
        schedule.tiles(problem)
    return schedule.steps, schedule.temporaries


def simplified(problem: Problem) -> Problem:
    """The problem with few batch dims, and c's rows running along its columns if they can."""
    problem = _fold(problem)
    row, column = problem.c.strides[-2:]
    if problem.n == 1 or (column != 1 and row == 1):
        problem = _fold(problem.transposed())
    return problem


def _fold(problem: Problem) -> Problem:
    """Batch dims merged; one along which b stands still becomes rows, if the others step on."""
    operands = problem.operands()
    batch, strides = merge(problem.batch, [x.strides[:-2] for x in operands])
    matrix = [x.strides[-2:] for x in operands]
    m = problem.m
    moving = (0, 2, 3)
    while batch and strides[1][-1] == 0 and (
        m == 1 or all(strides[x][-1] == m * matrix[x][0] for x in moving)
    ):
        if m == 1:
            matrix = [(outer[-1], step[1]) if x in moving else step
                      for x, (outer, step) in enumerate(zip(strides, matrix))]
        m *= batch[-1]
        batch, strides = batch[:-1], [outer[:-1] for outer in strides]
    a, b, c, bias = (Operand(x.index, (*outer, *step))
                     for x, outer, step in zip(operands, strides, matrix))
    return Problem(batch, m, problem.n, problem.k, a, b, c, bias if problem.bias else None)


def _suits_dots(problem: Problem, tile: Tile) -> bool:
    along_k = problem.a.strides[-1] == 1 and problem.b.strides[-2] == 1
    return (problem.n < tile.lanes or problem.c.strides[-1] != 1
            or (along_k and problem.m <= DOT_ROWS))


class Schedule:
    """The steps and temporaries of a product, as they are decided."""

    def __init__(self, dtype: dtype, first_temporary: int):
        self.dtype = dtype
        self.first_temporary = first_temporary
        self.steps: list[Step] = []
        self.temporaries: list[int] = []

    def temporary(self, elements: int) -> int:
        """The place of a new temporary in the value table."""
        self.temporaries.append(elements * self.dtype.itemsize)
        return self.first_temporary + len(self.temporaries) - 1

    def launch(self, key, write, problem, constants, units, work):
        operands = problem.operands()
        words = batch_words(problem.batch, [x.strides[:-2] for x in operands])
        grain = max(1, PIECE * units // max(work, 1))
        self.steps.append(Step(
            f"{key}_{self.dtype.llvm}", write, tuple(x.index for x in operands),
            (*constants, *words), units, grain, work,
        ))

    # --- one element after another ----------------------------------------------------------------
    def plain(self, problem: Problem):
        m, n, k = problem.m, problem.n, problem.k
        biased = problem.bias is not None
        units = prod(problem.batch) * m
        matrices = [stride for x in problem.operands() for stride in x.strides[-2:]]
        self.launch(
            f"matmul_plain_{biased}", lambda: dot.plain(self.dtype.llvm, biased), problem,
            (m, n, k, *matrices), units, units * n * (k + 1) // PACE["plain"],
        )

    # --- rows against rows ------------------------------------------------------------------------
    def dots(self, problem: Problem):
        problem = self.along_k(self.along_k(problem).transposed()).transposed()
        tile = Tile.of(self.dtype, 1)
        biased = problem.bias is not None
        m, n, k = problem.m, problem.n, problem.k
        count = prod(problem.batch)
        work = count * m * n * (k + tile.columns) // PACE["dot"]
        tall, wide, row_blocks, column_blocks = _blocks(
            m, n, dot.ROWS, dot.COLUMNS, count, work, k * self.dtype.itemsize)
        (a_row, _), (_, b_column) = problem.a.strides[-2:], problem.b.strides[-2:]
        self.launch(
            f"matmul_dots_{biased}", lambda: dot.dots(tile.type, tile.lanes, biased), problem,
            (m, n, k, tall, wide, row_blocks, column_blocks, a_row, b_column,
             *problem.c.strides[-2:], *(problem.bias or problem.c).strides[-2:]),
            count * row_blocks * column_blocks, work,
        )

    def along_k(self, problem: Problem) -> Problem:
        """The problem with unit strides along k in a, copied if need be."""
        a = problem.a
        if a.strides[-1] == 1 or problem.k <= 1:
            return problem
        return problem._replace(a=self.packed_rows(problem, Tile.of(self.dtype, 1)))

    # --- tiles ------------------------------------------------------------------------------------
    def tiles(self, problem: Problem):
        tile = Tile.of(self.dtype, problem.m)
        m, n, k = problem.m, problem.n, problem.k
        a_panel = 0
        copies = tile.rows > 1 and self.copies_columns(problem)
        if self.packs_rows(problem):
            a_panel = k
            problem = problem._replace(a=self.packed_rows(problem, tile))
        problem = self.readable_bias(problem)
        passes = max(1, -(-k // blocks.DEEPEST)) if copies else 1
        deep = -(-k // passes)
        # Each pass adds to what the one before it stored. Tiles that store some sums twice must not
        # read what they write, so such passes go to and fro between c and a temporary.
        targets = [problem.c]
        if passes > 1 and (m % tile.rows or n % tile.columns):
            targets.append(self.like_result(problem))
        for number in range(passes):
            start = number * deep
            target = targets[(passes - 1 - number) % len(targets)]
            problem = problem._replace(c=target)
            self.tile_pass(problem, tile, start, min(deep, k - start), copies, a_panel)
            problem = problem._replace(bias=target)

    def tile_pass(self, problem, tile, start, depth, copies, a_panel):
        """One launch over k from `start`."""
        m, n = problem.m, problem.n
        (a_row, a_step), (b_step, b_column) = problem.a.strides[-2:], problem.b.strides[-2:]
        reading = "along" if b_column == 1 else "across" if b_step == 1 else "strided"
        row, column = (problem.bias or problem.c).strides[-2:]
        bias = "none" if problem.bias is None else "row" if column == 1 else "column"
        panels = -(-n // tile.columns)
        row_bytes = max(1, depth * self.dtype.itemsize)
        tall = max(1, min(-(-m // tile.rows), CACHED_BYTES // (row_bytes * tile.rows))) * tile.rows
        row_blocks = -(-m // tall)
        count = prod(problem.batch)
        self.launch(
            f"matmul_{tile.name}_{reading}_{bias}", lambda: blocks.tiles(tile, reading, bias),
            problem,
            (m, n, depth, tall, row_blocks, panels, copies, a_panel, a_row, a_step, b_column,
             b_step, problem.c.strides[-2], row, start * a_step, start * b_step),
            count * row_blocks * panels, count * m * n * (depth + 4) // PACE["tile"],
        )

    def readable_bias(self, problem: Problem) -> Problem:
        """The problem with a bias whose column stride is 0 or 1, copied if need be."""
        bias = problem.bias
        if bias is None or bias.strides[-1] < 2:
            return problem
        copied = problem._replace(a=bias, k=problem.n)
        return problem._replace(bias=self.packed_rows(copied, Tile.of(self.dtype, 1)))

    def like_result(self, problem: Problem) -> Operand:
        """A temporary as large as c."""
        shape = (*problem.batch, problem.m, problem.n)
        return Operand(self.temporary(prod(shape)), contiguous_strides(shape))

    def copies_columns(self, problem) -> bool:
        return problem.b.strides[-1] != 1

    def packs_rows(self, problem) -> bool:
        return False

    def packed_rows(self, problem: Problem, tile: Tile) -> Operand:
        """a in panels of the tile's rows; what is broadcast is packed once."""
        batch, outer = _distinct(problem.batch, problem.a)
        target = self.temporary(0)
        step, size = pack_rows(tile, problem.a.index, target, problem.m, problem.k,
                               *problem.a.strides[-2:], batch, outer)
        inner = (problem.k, 1) if tile.rows == 1 else (1, tile.rows)
        return self.added(step, size, target, problem, problem.a, inner)

    def added(self, step, size, target, problem, operand, matrix):
        self.steps.append(step)
        self.temporaries[target - self.first_temporary] = size * self.dtype.itemsize
        strides = []
        inner = size
        for extent, stride in zip(problem.batch, operand.strides):
            inner //= extent if stride else 1
            strides.append(inner if stride else 0)
        return Operand(target, (*strides, *matrix))


def _distinct(batch, operand):
    """The batch dims along which an operand moves, and its strides there."""
    moving = [(size, stride) for size, stride in zip(batch, operand.strides) if stride]
    return [size for size, _ in moving], [stride for _, stride in moving]


def _blocks(m, n, rows, columns, count, work, row_bytes):
    """Rows and columns of a unit and their numbers: units of a few pieces' work."""
    tall = max(1, min(-(-m // rows), CACHED_BYTES // max(1, row_bytes * rows))) * rows
    row_blocks = -(-m // tall)
    pieces = max(1, work // PIECE // 2)
    column_blocks = max(1, min(-(-n // columns), pieces // max(1, count * row_blocks)))
    wide = -(-n // (column_blocks * columns)) * columns
    return tall, wide, row_blocks, -(-n // wide)
