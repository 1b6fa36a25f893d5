"""Matrix products: which kernel does which product, and in what blocks.

    c[..., i, j] = sum_k a[..., i, k] b[..., k, j] + bias[..., i, j]

A product runs tile by tile (`blocks`), each operand read where it lies or, if that would be slow,
from packed panels (`pack`); or row against row (`dot`) where the result has few rows or columns; or
a large matrix streams past a vector (`row_sums`). Only sizes and strides decide, so that the result
does not depend on the number of threads.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from math import prod
from typing import NamedTuple

from cresset.core.dtype import dtype
from cresset.core.layout import contiguous_strides
from cresset.kernels import blocks, dot, row_sums
from cresset.kernels.batch import batch_words, merge
from cresset.kernels.epilogue import NONE, Tiled
from cresset.kernels.pack import pack_columns, pack_rows
from cresset.kernels.schedule import PIECE, Schedule
from cresset.kernels.tile import FEW_ROWS, Tile, lanes_of

COPIED_ROWS = 16  # a panel of b is read from a copy if so many rows need it
SPAN_BYTES = 1 << 14  # and its rows lie so far apart that they do not stay in the first cache
PACKED_COLUMNS = 256  # a is packed if so many columns need it
PACKED_DEPTH = 256  # and so much of it is read at a time
PACKED_BYTES = 1 << 18  # and it is larger than this
STRIDED_COLUMNS = 64  # the same where k by k a is read across its rows
STRIDED_BYTES = 1 << 16
CACHED_BYTES = 3 << 17  # what a unit may read of a, which stays in the second cache
TALL = 192  # rows of a unit if less than so many stay there
LEAST_UNITS = 64  # into which a product is cut, lest threads wait for one another at the end
FETCHED_BYTES = 1 << 19  # panels of b are fetched ahead if it is larger
AHEAD_ROWS = 24  # up to which every tile fetches b as it goes instead
AHEAD_DEPTH = 256  # if there is so much of it to go through
AHEAD_BYTES = 1 << 22  # and it is no larger
LEAST_PANELS = 3  # of columns that a unit has room for
STREAMED_BYTES = 1 << 23  # a matrix larger than this is streamed past a vector
FEW_UNITS = 4  # into which its columns are cut, if they are many
PACE = {"tiles": 40, "dots": 20, "row_sums": 4}  # products in a nanosecond


class Operand(NamedTuple):
    """A matrix of a program: its place in the value table and its strides, in elements.

    The strides are those of the batch dims (0 where it is broadcast), of a row and of a column.
    """

    place: int
    strides: tuple[int, ...]

    @property
    def outer(self) -> tuple[int, ...]:
        return self.strides[:-2]

    @property
    def matrix(self) -> tuple[int, int]:
        return self.strides[-2], self.strides[-1]

    def transposed(self) -> Operand:
        return Operand(self.place, (*self.outer, *self.matrix[::-1]))


class Problem(NamedTuple):
    """A product with all that decides its schedule."""

    batch: tuple[int, ...]
    m: int
    n: int
    k: int
    a: Operand
    b: Operand
    c: Operand
    bias: Operand | None

    @property
    def matrices(self) -> int:
        """How many products it is."""
        return prod(self.batch)

    @property
    def operands(self) -> list[Operand]:
        """a, b, c and the bias, or a again in its place."""
        return [self.a, self.b, self.c, self.bias or self.a]

    def transposed(self) -> Problem:
        """The same product as c^T = b^T a^T."""
        bias = self.bias and self.bias.transposed()
        return Problem(self.batch, self.n, self.m, self.k, self.b.transposed(),
                       self.a.transposed(), self.c.transposed(), bias)


def matmul(batch: Sequence[int], m: int, n: int, k: int, dtype: dtype, a: Operand, b: Operand,
           c: Operand, bias: Operand | None = None, *, first_temporary: int):
    """The steps of c = a b (+ bias), and the bytes of their temporaries.

    a is (*batch, m, k), b (*batch, k, n), c and bias (*batch, m, n); strides are any that are not
    negative. c is memory apart from the others. Temporaries are the values `first_temporary`,
    `first_temporary + 1`, ... of the program.
    """
    if not prod(batch) * m * n:
        return [], []
    if dtype.is_complex:
        from cresset.kernels.complex_matmul import complex_matmul

        return complex_matmul(
            batch, m, n, k, dtype, a, b, c, bias, first_temporary=first_temporary)
    if dtype.itemsize == 1:
        from cresset.kernels.byte_matmul import byte_matmul

        return byte_matmul(
            batch, m, n, k, dtype, a, b, c, bias, first_temporary=first_temporary)
    schedule = Schedule(first_temporary)
    problem = _simplified(Problem(tuple(batch), m, n, k, a, b, c, bias))
    if _suits_dots(dtype, problem):
        _dots(schedule, dtype, problem)
    elif problem.m == 1 and problem.n * problem.k * dtype.itemsize > STREAMED_BYTES:
        _row_sums(schedule, dtype, problem)
    else:
        _tiles(schedule, dtype, problem)
    return schedule.result()


# --- the same product, put more simply ------------------------------------------------------------
def _simplified(problem: Problem) -> Problem:
    """The problem with few batch dims, and c's rows running along its columns if they can."""
    problem = _folded(problem)
    row, column = problem.c.matrix
    if problem.n == 1 or (column != 1 and row == 1):
        problem = _folded(problem.transposed())
    return problem


def _folded(problem: Problem) -> Problem:
    """Batch dims merged; one along which b stands still becomes rows, if the others step on."""
    operands = problem.operands
    batch, outer = merge(problem.batch, [x.outer for x in operands])
    matrices = [x.matrix for x in operands]
    m = problem.m
    moving = (0, 2, 3)
    while batch and outer[1][-1] == 0 and (
        m == 1 or all(outer[x][-1] == m * matrices[x][0] for x in moving)
    ):
        if m == 1:
            for x in moving:
                matrices[x] = outer[x][-1], matrices[x][1]
        m *= batch[-1]
        batch, outer = batch[:-1], [strides[:-1] for strides in outer]
    a, b, c, bias = (
        Operand(x.place, (*strides, *matrix))
        for x, strides, matrix in zip(operands, outer, matrices)
    )
    return Problem(batch, m, problem.n, problem.k, a, b, c, bias if problem.bias else None)


# --- rows against rows ----------------------------------------------------------------------------
def _suits_dots(dtype: dtype, problem: Problem) -> bool:
    return (problem.n < lanes_of(dtype) or problem.c.matrix[1] != 1
            or (problem.m < FEW_ROWS and problem.b.matrix[1] != 1))


def _dots(schedule: Schedule, dtype: dtype, problem: Problem):
    problem = _along_k(schedule, dtype, problem)
    problem = _along_k(schedule, dtype, problem.transposed()).transposed()
    tile = Tile.of(dtype, 1)
    biased = problem.bias is not None
    m, n, k = problem.m, problem.n, problem.k
    work = problem.matrices * m * n * (k + tile.lanes) / PACE["dots"]
    # Rows of a that the second cache holds meet as many columns as make a piece of work.
    tall = _rounded(min(m, CACHED_BYTES // max(1, k * dtype.itemsize)), dot.ROWS)
    row_blocks = -(-m // tall)
    pieces = max(1, int(work / PIECE / problem.matrices / row_blocks))
    wide = _rounded(-(-n // pieces), dot.COLUMNS)
    column_blocks = -(-n // wide)
    _launch(schedule, f"dots_{tile.type}x{tile.lanes}_{biased}",
            lambda: dot.dots(tile.type, tile.lanes, biased), problem,
            (m, n, k, tall, wide, row_blocks, column_blocks, problem.a.matrix[0],
             problem.b.matrix[1], *problem.c.matrix, *problem.operands[3].matrix),
            problem.matrices * row_blocks * column_blocks, work)


def _along_k(schedule: Schedule, dtype: dtype, problem: Problem) -> Problem:
    """The problem with unit strides along k in a, copied if need be."""
    if problem.a.matrix[1] == 1 or problem.k <= 1:
        return problem
    return problem._replace(a=_packed_rows(schedule, dtype, Tile.of(dtype, 1), problem))


# --- rows as they stream by -----------------------------------------------------------------------
def _row_sums(schedule: Schedule, dtype: dtype, problem: Problem):
    biased = problem.bias is not None
    lanes = lanes_of(dtype)
    n, k = problem.n, problem.k
    least, most = row_sums.COLUMNS
    pairs = -(-n // (2 * min(max(n // FEW_UNITS, least), most)))
    # Cut evenly into an even number, for two threads to share.
    wide = n if n <= least else _rounded(-(-n // (2 * pairs)), lanes)
    column_blocks = -(-n // wide)
    _launch(schedule, f"row_sums_{dtype.llvm}x{lanes}_{biased}",
            lambda: row_sums.row_sums(dtype.llvm, lanes, biased), problem,
            (n, k, wide, column_blocks, problem.a.matrix[1], problem.b.matrix[0],
             problem.operands[3].matrix[1]),
            problem.matrices * column_blocks, problem.matrices * n * k / PACE["row_sums"])


# --- tiles ----------------------------------------------------------------------------------------
def _tiles(schedule: Schedule, dtype: dtype, problem: Problem):
    m, n, k = problem.m, problem.n, problem.k
    tile = Tile.of(dtype, m)
    stretches = max(1, -(-k // blocks.DEEPEST))
    deep = -(-k // stretches)
    tall, wide = _unit(dtype, tile, problem, stretches)
    copying = _copying(dtype, tile, problem)
    a_panel = b_panel = 0
    if (copying and m > tall) or 1 not in problem.b.matrix:
        # Copied once, not by every block of rows.
        copying = ""
        problem = problem._replace(b=_packed_columns(schedule, dtype, tile, problem))
        b_panel = k * tile.columns
    if _packs_rows(dtype, problem):
        a_panel = deep
        problem = problem._replace(a=_packed_rows(schedule, dtype, tile, problem, stretches))
    a_onward = _rounded(m, tile.rows) if a_panel else problem.a.matrix[1]
    if problem.bias and problem.bias.matrix[1] > 1:
        rows = problem._replace(a=problem.bias, k=n)
        problem = problem._replace(bias=_packed_rows(schedule, dtype, Tile.of(dtype, 1), rows))
    b_step, b_column = problem.b.matrix
    row_blocks, column_blocks = -(-m // tall), -(-n // wide)
    lines, *ahead = blocks.lines_ahead(tile, deep, b_column, b_step)
    few = _few(dtype, tile, problem)
    share = 0
    if tile.rows > 1 and not few and n * k * dtype.itemsize > FETCHED_BYTES:
        share = -(-lines // -(-min(m, tall) // tile.rows))
    rest = n % wide or min(n, wide)
    tiled = Tiled(2, dtype, (*problem.batch, m, n), problem.c.strides, max(rest, tile.lanes),
                  wide, overlap=rest < tile.lanes)
    _launch(schedule, f"tiles_{tile.name}_few" if few else f"tiles_{tile.name}",
            lambda: blocks.tiles(tile, few), problem,
            (m, n, k, max(1, deep), tall, wide, row_blocks, column_blocks,
             blocks.COPIES.index(copying), share, *ahead, a_onward, a_panel, *problem.a.matrix,
             b_panel, b_column, b_step, problem.c.matrix[0], *problem.operands[3].matrix,
             problem.bias is not None),
            problem.matrices * row_blocks * column_blocks,
            problem.matrices * m * n * (k + tile.lanes) / PACE["tiles"], tiled)


def _unit(dtype: dtype, tile: Tile, problem: Problem, stretches: int) -> tuple[int, int]:
    """Rows and columns of a unit of work."""
    m, k = problem.m, problem.k
    row = tile.columns * dtype.itemsize  # bytes of it in the scratch
    most = blocks.SCRATCH_BYTES // row // tile.rows * tile.rows
    tall = CACHED_BYTES // max(1, k * dtype.itemsize)
    if stretches == 1 or tall >= min(m, TALL):
        # The second cache holds the rows of a for units to come, which are of the same rows.
        few = max(1, most // LEAST_PANELS // tile.rows) * tile.rows
        tall = min(_rounded(min(m, tall), tile.rows), few)
    else:
        # It holds a stretch of them, which then meets several panels.
        tall = min(_rounded(min(m, TALL), tile.rows), most)
    tall = _rounded(-(-m // -(-m // tall)), tile.rows)
    panels = -(-problem.n // tile.columns)
    units = problem.matrices * -(-m // tall) * panels
    return tall, max(1, min(most // tall, units // LEAST_UNITS)) * tile.columns


def _copying(dtype: dtype, tile: Tile, problem: Problem) -> str:
    """How panels of b are read to be copied, which those that lie in one piece are not."""
    step, column = problem.b.matrix
    if tile.rows < FEW_ROWS:
        return ""
    if column != 1:
        return "across"
    apart = step > tile.columns and problem.k * step * dtype.itemsize > SPAN_BYTES
    return "along" if problem.m >= COPIED_ROWS and apart else ""


def _few(dtype: dtype, tile: Tile, problem: Problem) -> bool:
    """Whether rows are so few that each tile fetches b as it goes."""
    size = problem.n * problem.k * dtype.itemsize
    return (tile.rows > 1 and problem.m <= AHEAD_ROWS and problem.k >= AHEAD_DEPTH
            and size <= AHEAD_BYTES)


def _packs_rows(dtype: dtype, problem: Problem) -> bool:
    """Whether a is packed beforehand."""
    size = problem.m * problem.k * dtype.itemsize
    if problem.a.matrix[1] != 1:
        return problem.n >= STRIDED_COLUMNS and size > STRIDED_BYTES
    return problem.n >= PACKED_COLUMNS and size > PACKED_BYTES and problem.k >= PACKED_DEPTH


def _packed_rows(schedule: Schedule, dtype: dtype, tile: Tile, problem: Problem,
                 stretches: int = 1) -> Operand:
    """a in panels of the tile's rows, k in stretches."""
    m, k, (row, step) = problem.m, problem.k, problem.a.matrix
    deep = -(-k // stretches)
    pack = partial(pack_rows, schedule, dtype, tile, problem.a.place, m, k, row, step,
                   stretches=stretches)
    matrix = (deep, 1) if tile.rows == 1 else (1, tile.rows)
    return _packed(problem, problem.a, pack, _rounded(m, tile.rows) * stretches * deep, matrix)


def _packed_columns(schedule: Schedule, dtype: dtype, tile: Tile, problem: Problem) -> Operand:
    """b in panels of the tile's columns."""
    n, k, (step, column) = problem.n, problem.k, problem.b.matrix
    pack = partial(pack_columns, schedule, dtype, tile, problem.b.place, n, k, column, step)
    matrix = (tile.columns, 1)
    return _packed(problem, problem.b, pack, _rounded(n, tile.columns) * k, matrix)


def _packed(problem: Problem, operand: Operand, pack: Callable[..., int], volume: int,
            matrix: tuple[int, int]) -> Operand:
    """What `pack(sizes, strides)` makes of an operand, `volume` elements of each of its matrices.

    What is broadcast is packed once.
    """
    moving = [(size, stride) for size, stride in zip(problem.batch, operand.outer) if stride]
    sizes = [size for size, _ in moving]
    place = pack(sizes, [stride for _, stride in moving])
    steps = iter(contiguous_strides((*sizes, volume))[:-1])
    outer = [next(steps) if stride else 0 for stride in operand.outer]
    return Operand(place, (*outer, *matrix))


# --- all ------------------------------------------------------------------------------------------
def _launch(schedule, key, write, problem, constants, units, work, tiled=None):
    operands = problem.operands
    words = batch_words(problem.batch, [x.outer for x in operands])
    schedule.launch(f"matmul_{key}", write, tuple(x.place for x in operands),
                    (*constants, *words, *NONE), units, work, tiled)


def _rounded(count: int, step: int) -> int:
    """`count`, or 1 if it is less, rounded up to a multiple of `step`."""
    return -(-max(1, count) // step) * step
