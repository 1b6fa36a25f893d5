"""The register tile: the few rows and vectors of a result that stay in registers while k passes.

Each turn of its loop takes one row of vectors of b and one scalar of a per row of the tile, and
adds their products to the sums. There are enough sums to hide the latency of a fused multiply-add,
and few enough to leave registers for what comes in.

A tile that would pass the last row or column of its matrix starts earlier instead, and makes and
stores some sums twice: no masks, no remainders. So a tile never has more rows, nor its vectors more
lanes, than its matrix has rows and columns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from cresset.core.dtype import dtype
from cresset.runtime.ir import Function, Value, size, vector
from cresset.runtime.target import host

ROWS = {16: 6, 32: 6, 64: 12}  # by the bytes of a vector: 16 registers, or 32 where they are wide
FEW_ROWS = 4  # at most where a result has fewer rows, or divides so much better by this
SAVING = 1.06
LEAST_ROWS = 3  # where it has still fewer, each is a tile
VECTORS = 2
VECTORS_OF_ONE_ROW = 8
LINE = 64  # bytes that a cache fetches at a time


def lanes_of(dtype: dtype) -> int:
    """How many elements of a type this machine's vectors hold."""
    return host().vector_bytes // dtype.itemsize


class Tile(NamedTuple):
    """The shape of a register tile: `rows` by `columns`, which are `vectors` of `lanes`."""

    type: str  # of one element, as LLVM spells it
    rows: int
    vectors: int
    lanes: int

    @property
    def columns(self) -> int:
        return self.lanes * self.vectors

    @property
    def vector(self) -> str:
        return vector(self.type, self.lanes)

    @property
    def name(self) -> str:
        return f"{self.type}_{self.rows}x{self.vectors}x{self.lanes}"

    @classmethod
    def whole(cls, dtype: dtype) -> Tile:
        """The tile of as many rows as there are registers for."""
        return cls(dtype.llvm, ROWS[host().vector_bytes], VECTORS, lanes_of(dtype))

    @classmethod
    def of(cls, dtype: dtype, rows: int) -> Tile:
        """The tile for a result of so many rows, on this machine: the one that wastes the least."""
        width, lanes = host().vector_bytes, lanes_of(dtype)
        if rows < LEAST_ROWS:
            return cls(dtype.llvm, 1, VECTORS_OF_ONE_ROW, lanes)
        many, few = (-(-rows // tall) * tall for tall in (ROWS[width], FEW_ROWS))
        suits = rows < ROWS[width] or few * SAVING <= many
        tall = min(rows, FEW_ROWS) if suits else ROWS[width]
        # As many sums whatever the rows: they hide the latency of the additions.
        return cls(dtype.llvm, tall, VECTORS * ROWS[width] // tall, lanes)


def rank_one(f: Function, tile: Tile, rows: Sequence[Value], columns: Sequence[Value],
             sums: Sequence[Value]) -> list[Value]:
    """The sums after one k: sums + a b, a the scalars at the pointers `rows`, b the `columns`."""
    following = []
    for row, pointer in enumerate(rows):
        scalar = f.splat(f.load(tile.type, pointer), tile.lanes)
        for number, column in enumerate(columns):
            total = sums[row * tile.vectors + number]
            following.append(f.multiply_add(scalar, column, total))
    return following


def product(f: Function, tile: Tile, k: Value, a: Value, rows: Sequence[Value], a_step: Value,
            b: Sequence[Value], b_step: Value | int, ahead: int = 0) -> list[Value]:
    """The tile of a b, row by row.

    `rows` say how far from `a` its rows lie, `b` are pointers, one per vector; the steps go from k
    to k. What is read of b is fetched `ahead` steps before.
    """
    lines = b[:: max(1, LINE // size(tile.type) // tile.lanes)] if ahead else []
    far = [f.offset(line, b_step * ahead, tile.type) for line in lines]
    zeros = [f.constant(tile.vector, 0)] * (tile.rows * tile.vectors)
    with f.loop(0, k, carry=[a, f.constant("i64", 0), *zeros]) as loop:
        at, place, *sums = loop.values
        for line in far:
            f.prefetch(f.offset(line, place, tile.type), write=False)
        loaded = [f.load(tile.vector, f.offset(column, place, tile.type)) for column in b]
        pointers = [f.offset(at, row, tile.type) for row in rows]
        sums = rank_one(f, tile, pointers, loaded, sums)
        loop.next(f.offset(at, a_step, tile.type), place + b_step, *sums)
    return loop.results[2:]


def in_step(f: Function, tile: Tile, step: Value) -> list[Value]:
    """How far from the first each row of a tile lies, `step` from row to row."""
    rows = [f.constant("i64", 0)]
    while len(rows) < tile.rows:
        rows.append(rows[-1] + step)
    return rows


# --- tiles in memory ------------------------------------------------------------------------------
class Lines(NamedTuple):
    """A tile in memory: its first row, the stride to the next, where in a row its vectors start."""

    first: Value
    stride: Value
    starts: Sequence[Value]


def vectors(f: Function, tile: Tile, lines: Lines) -> Iterator[Value]:
    """The pointers to a tile's vectors, row by row."""
    row = lines.first
    for _ in range(tile.rows):
        yield from [f.offset(row, start, tile.type) for start in lines.starts]
        row = f.offset(row, lines.stride, tile.type)


def either(f: Function, condition: Value, yes: Callable[[], Lines],
           no: Callable[[], Lines]) -> Lines:
    """The one or the other lines: a choice of pointers, where one of vectors would spill them."""

    def flat(lines):
        return lines.first, lines.stride, *lines.starts

    first, stride, *starts = f.either(condition, lambda: flat(yes()), lambda: flat(no()))
    return Lines(first, stride, starts)


def in_line(f: Function, tile: Tile) -> list[Value]:
    """Where the vectors of a row start that follow one another."""
    return [f.constant("i64", number * tile.lanes) for number in range(tile.vectors)]


def spread(f: Function, tile: Tile, column: Value, stride: Value | int, target: Value) -> Lines:
    """A column as a tile in which it stands for every column, written to `target`."""
    with f.loop(0, tile.rows) as row:
        value = f.load(tile.type, f.offset(column, row * stride, tile.type))
        f.store(f.splat(value, tile.lanes), f.offset(target, row, tile.vector))
    return Lines(target, f.constant("i64", tile.lanes), [f.constant("i64", 0)] * tile.vectors)
