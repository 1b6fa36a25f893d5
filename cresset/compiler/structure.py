"""Structures: nested lists, tuples and dicts, taken apart into what they hold and put together."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

# What stands in a structure for something held.
HELD = "held"


def taken_apart(value: Any) -> tuple[list, Any]:
    """(what containers hold, in order; the structure, equal for containers of one form).

    None is a container of nothing.

    >>> taken_apart([1, {"a": (2, None)}])
    ([1, 2], (<class 'list'>, 'held', (<class 'dict'>, ('a',), (<class 'tuple'>, 'held', None))))
    """
    held: list = []

    def structure_of(value):
        kind = type(value)
        if value is None:
            return None
        if kind is dict:
            return dict, tuple(value), *map(structure_of, value.values())
        if kind in (list, tuple) or isinstance(value, tuple) and hasattr(value, "_fields"):
            return kind, *map(structure_of, value)
        held.append(value)
        return HELD

    return held, structure_of(value)


def put_together(structure: Any, held: Iterator) -> Any:
    """What `taken_apart` took apart, of other things that are held.

    >>> put_together(taken_apart([1, {"a": (2, None)}])[1], iter("xy"))
    ['x', {'a': ('y', None)}]
    """
    if structure is None:
        return None
    if structure == HELD:
        return next(held)
    kind, *parts = structure
    if kind is dict:
        keys, *parts = parts
        return dict(zip(keys, [put_together(part, held) for part in parts]))
    made = [put_together(part, held) for part in parts]
    return kind(*made) if hasattr(kind, "_fields") else kind(made)
