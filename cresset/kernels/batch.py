"""Batch dims of a kernel: any number of outer dims, described by argument words.

The words are the number of dims, then for each dim, innermost first, its size and the stride of
every operand along it, in elements. A new rank is other words, never another kernel.
"""

from __future__ import annotations

from collections.abc import Sequence

from cresset.kernels.words import Words
from cresset.runtime.ir import Function, Value


def batch_words(sizes: Sequence[int], strides: Sequence[Sequence[int]]) -> tuple[int, ...]:
    """The words of batch dims of these sizes; `strides` holds each operand's, outermost first.

    >>> batch_words((2, 3), [(6, 2), (0, 0)])
    (2, 3, 2, 0, 2, 6, 0)
    """
    words = [len(sizes)]
    for size, *steps in reversed(list(zip(sizes, *strides))):
        words += [size, *steps]
    return tuple(words)


class Batch:
    """The batch dims as a kernel reads them: the last of its words, but for those `after`."""

    def __init__(self, words: Words, operands: int):
        self.rank = words.integer()
        self.position = words.position
        self.operands = operands

    def after(self, f: Function) -> Value:
        """The address of the words that follow the batch."""
        return f.offset(f.arguments[0], self.rank * (1 + self.operands) + self.position, "i64")

    def offsets(self, f: Function, index: Value) -> list[Value]:
        """How far into each operand the matrices of batch number `index` lie, in elements."""
        zero = f.constant("i64", 0)
        table = f.offset(f.arguments[0], self.position, "i64")
        carried = [table, index] + [zero] * self.operands
        with f.loop(0, self.rank, carry=carried) as loop:
            row, rest, *offsets = loop.values
            size = f.load("i64", row)
            place = rest.urem(size)
            moved = [
                offset + place * f.load("i64", f.offset(row, 1 + number, "i64"))
                for number, offset in enumerate(offsets)
            ]
            loop.next(f.offset(row, 1 + self.operands, "i64"), rest.udiv(size), *moved)
        return loop.results[2:]


def merge(sizes: Sequence[int], strides: Sequence[Sequence[int]]):
    """The same batch with as few dims as say it: size-1 dims dropped, neighbours in step joined.

    >>> merge((4, 1, 3), [(6, 9, 2), (0, 0, 0)])
    ((12,), [(2,), (0,)])
    """
    kept: list[list[int]] = []
    for size, *steps in zip(sizes, *strides):
        if size == 1:
            continue
        if kept and all(outer == size * inner for outer, inner in zip(kept[-1][1:], steps)):
            kept[-1] = [kept[-1][0] * size, *steps]
        else:
            kept.append([size, *steps])
    columns = list(zip(*kept)) if kept else [()] * (1 + len(strides))
    return tuple(columns[0]), [tuple(column) for column in columns[1:]]
