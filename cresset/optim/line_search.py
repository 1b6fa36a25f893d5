"""The search along a line for a point that satisfies the strong Wolfe conditions."""

from __future__ import annotations

from collections.abc import Callable
from math import isnan, sqrt
from typing import NamedTuple

from cresset import Tensor

# The shares of the first slope by which the loss must have fallen, and to which the slope.
FALLEN, FLATTENED = 1e-4, 0.9


class Point(NamedTuple):
    """A place t on the line, with the loss there, its gradient, and its slope along the line."""

    t: float
    loss: float
    gradient: Tensor
    slope: float


def strong_wolfe(
    at: Callable[[float], Point], t: float, start: Point, length: float, tolerance: float, most: int
) -> tuple[Point, int]:
    """The point that was found, from a first guess t on, and how often `at` was called.

    It has loss <= start.loss + 1e-4 t slope and |its slope| <= 0.9 |slope|, where slope is that of
    the start, unless `most` + 1 calls are spent or places differ by less than `tolerance` times
    `length`, the greatest element of the direction: then it is the lowest so far. First t grows
    until a minimum must lie behind it, then the bracket closes in on that. Nocedal and Wright,
    Numerical Optimization, algorithms 3.5 and 3.6, with the safeguards of Schmidt's minFunc.
    """
    before, point, turns = start, at(t), 0
    while turns < most:
        if _too_high(start, point) or turns > 1 and point.loss >= before.loss:
            break
        if _flat(start, point):
            return point, turns + 1
        if point.slope >= 0:
            break
        t = cubic_minimum(before, point, point.t + 0.01 * (point.t - before.t), point.t * 10)
        before, point, turns = point, at(t), turns + 1
    else:
        before = start
    return _closed_in(at, start, [before, point], turns, length, tolerance, most)


def _closed_in(
    at: Callable[[float], Point], start: Point, bracket: list[Point], turns: int, length: float,
    tolerance: float, most: int,
) -> tuple[Point, int]:
    """The point between two that the search ends with, and how often `at` was called in all."""
    low = _lower(bracket)
    # Whether the last place was near an end of the bracket: twice in turn is too slow.
    slow = False
    while turns < most:
        left, right = sorted(point.t for point in bracket)
        if (right - left) * length < tolerance:
            break
        t = cubic_minimum(bracket[0], bracket[1], left, right)
        margin = 0.1 * (right - left)
        near = min(right - t, t - left) < margin
        if near and (slow or t >= right or t <= left):
            t = right - margin if abs(t - right) < abs(t - left) else left + margin
            near = False
        slow = near
        point, turns = at(t), turns + 1
        if _too_high(start, point) or point.loss >= bracket[low].loss:
            bracket[1 - low] = point
            low = _lower(bracket)
            continue
        if _flat(start, point):
            return point, turns + 1
        if point.slope * (bracket[1 - low].t - bracket[low].t) >= 0:
            bracket[1 - low] = bracket[low]
        bracket[low] = point
    return bracket[low], turns + 1


def _too_high(start: Point, point: Point) -> bool:
    return point.loss > start.loss + FALLEN * point.t * start.slope


def _flat(start: Point, point: Point) -> bool:
    return abs(point.slope) <= -FLATTENED * start.slope


def _lower(bracket: list[Point]) -> int:
    return 0 if bracket[0].loss <= bracket[1].loss else 1


def cubic_minimum(a: Point, b: Point, least: float, most: float) -> float:
    """Where the cubic through two points, with their slopes, has its minimum, within bounds.

    The middle of the bounds where it has none.

    >>> import cresset
    >>> a, b = (Point(t, (t - 2) ** 2, cresset.zeros(1), 2 * (t - 2)) for t in (0.0, 5.0))
    >>> cubic_minimum(a, b, 0.0, 5.0)
    2.0
    """
    left, right = (a, b) if a.t <= b.t else (b, a)
    width = right.t - left.t
    middle = (least + most) / 2
    if not width:
        return middle
    d1 = left.slope + right.slope - 3 * (right.loss - left.loss) / width
    square = d1 * d1 - left.slope * right.slope
    if not square >= 0:
        return middle
    d2 = sqrt(square)
    above, below = right.slope + d2 - d1, right.slope - left.slope + 2 * d2
    if not below:
        # A straight line falls for ever.
        return most if above < 0 else least
    t = right.t - width * (above / below)
    return middle if isnan(t) else min(max(t, least), most)
