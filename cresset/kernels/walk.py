"""Walks: the positions that several tensors step through together, and the loops over them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from cresset.runtime.ir import Function, Value


class Axis(NamedTuple):
    """One dim of a walk: its size, and the bytes that each tensor steps along it."""

    size: int
    strides: tuple[int, ...]


def collapse(axes: Iterable[Axis]) -> list[Axis]:
    """Merge neighbours that every tensor steps through as one; drop axes of a single position.

    >>> collapse([Axis(2, (12, 4)), Axis(1, (7, 7)), Axis(3, (4, 0))])
    [Axis(size=2, strides=(12, 4)), Axis(size=3, strides=(4, 0))]
    >>> collapse([Axis(2, (12,)), Axis(3, (4,))])
    [Axis(size=6, strides=(4,))]
    """
    merged: list[Axis] = []
    for axis in axes:
        if axis.size == 1:
            continue
        if merged and all(
            outer == inner * axis.size for outer, inner in zip(merged[-1].strides, axis.strides)
        ):
            merged[-1] = Axis(merged[-1].size * axis.size, axis.strides)
        else:
            merged.append(axis)
    return merged


@contextmanager
def positions(f: Function, begin: Value, end: Value, sizes: Sequence[Value]):
    """Loop over the positions begin..end of a space in row order; yields (number, coordinates).

    The coordinates are carried from turn to turn like the wheels of a counter, so that only the
    first position costs divisions.
    """
    wheels, rest = [], begin
    for size in reversed(sizes[1:]):
        wheels.append(rest.urem(size))
        rest = rest.udiv(size)
    wheels.append(rest)
    with f.loop(begin, end, carry=wheels) as loop:
        yield loop.index, loop.values[::-1][-len(sizes):] if sizes else []
        turned, following = f.constant("i1", 1), []
        for wheel, size in zip(loop.values, reversed(sizes)):
            step = wheel + f.convert(turned, "i64")
            turned = step.eq(size)
            following.append(f.select(turned, 0, step))
        loop.next(*(following or loop.values))


@contextmanager
def rows(f: Function, begin: Value, end: Value, length: Value, sizes: Sequence[Value]):
    """Loop over the rows that hold the elements begin..end of a space.

    `length` is the size of the innermost axis, `sizes` those of the others. Yields (coordinates of
    the row, low, high): the part low..high of the row is to be done.
    """
    first, last = begin.udiv(length), (end + length - 1).udiv(length)
    with positions(f, first, last, sizes) as (row, coordinates):
        start = row * length
        low = f.select(start < begin, begin - start, 0)
        yield coordinates, low, f.minimum(length, end - start)


def advance(f: Function, bases: Sequence[Value], strides: Sequence[Value], count: Value):
    """Each address moved by `count` times its stride in bytes."""
    return [f.offset(base, stride * count) for base, stride in zip(bases, strides)]
