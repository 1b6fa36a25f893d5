"""Structures: nested containers, taken apart into what they hold and put together.

Containers are lists, tuples, named tuples, dicts, ordered dicts and dataclasses, among these such
as are dicts as well.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from operator import is_
from typing import Any, NamedTuple

from cresset.core.layout import Size
from cresset.core.tensor import Tensor

# What stands in a structure for something held.
HELD = "held"
ORDERED = (list, tuple, Size)


class Form(NamedTuple):
    """What containers of one form have in common: the class, the keys, the names of attributes."""

    kind: type
    keys: tuple = ()
    names: tuple[str, ...] = ()

    def parts(self, value: Any) -> list:
        """What a container of the form holds, in order."""
        if not issubclass(self.kind, dict) and not self.names:
            return list(value)
        return [*(value[key] for key in self.keys), *(getattr(value, n) for n in self.names)]

    def filled(self, parts: Sequence) -> Any:
        """A container of the form that holds other parts."""
        if self.kind in ORDERED:
            return self.kind(parts)
        if hasattr(self.kind, "_fields"):
            return self.kind(*parts)
        # What a class of the user's does when an instance is made has been done.
        base = next(b for b in (OrderedDict, dict, object) if issubclass(self.kind, b))
        made: Any = base.__new__(self.kind)
        self.refill(made, parts)
        return made

    def refill(self, value: Any, parts: Sequence):
        """Have a container that can change hold other parts."""
        if self.kind is list:
            value[:] = parts
            return
        base = OrderedDict if issubclass(self.kind, OrderedDict) else dict
        if issubclass(self.kind, dict):
            base.clear(value)
        for key, part in zip(self.keys, parts):
            base.__setitem__(value, key, part)
        for name, part in zip(self.names, parts[len(self.keys) :]):
            object.__setattr__(value, name, part)


def form_of(value: Any) -> Form | None:
    """The form of a container; None of what is none."""
    kind = type(value)
    if kind in ORDERED or isinstance(value, tuple) and hasattr(value, "_fields"):
        return Form(kind)
    if kind in (dict, OrderedDict):
        return Form(kind, tuple(value))
    fields = getattr(kind, "__dataclass_fields__", None)
    if fields is None or isinstance(value, (type, list, tuple, set, Tensor)) or callable(value):
        return None
    names = dict.fromkeys((*fields, *getattr(value, "__dict__", ())))
    keys = tuple(value) if isinstance(value, dict) else ()
    return Form(kind, keys, tuple(name for name in names if hasattr(value, name)))


def taken_apart(value: Any) -> tuple[list, Any]:
    """(what containers hold, in order; the structure, equal for containers of one form).

    None is a container of nothing.

    >>> held, structure = taken_apart([1, {"a": (2, None)}])
    >>> held
    [1, 2]
    >>> structure == taken_apart([3, {"a": (4, None)}])[1]
    True
    """
    held: list = []

    def structure_of(value):
        if value is None:
            return None
        form = form_of(value)
        if form is not None:
            return form, *map(structure_of, form.parts(value))
        held.append(value)
        return HELD

    structure = structure_of(value)
    return held, structure


def put_together(structure: Any, held: Iterator) -> Any:
    """What `taken_apart` took apart, of other things that are held.

    >>> put_together(taken_apart([1, {"a": (2, None)}])[1], iter("xy"))
    ['x', {'a': ('y', None)}]
    """
    if structure is None:
        return None
    if structure == HELD:
        return next(held)
    form, *parts = structure
    return form.filled([put_together(part, held) for part in parts])


def swapped(value: Any, others: Mapping[int, Any], made: list[Swapped]) -> Any:
    """What holds others in place of some, which are found by identity; these are put in the
    containers that are `made` for it. A container in which nothing is other is itself.
    """
    if id(value) in others:
        return others[id(value)]
    form = form_of(value)
    if form is None:
        return value
    parts = form.parts(value)
    now = [swapped(part, others, made) for part in parts]
    if all(map(is_, parts, now)):
        return value
    made.append(Swapped(value, form.filled(now), form, now))
    return made[-1].copy


class Swapped(NamedTuple):
    """A container, and what holds other parts in its place."""

    value: Any
    copy: Any
    form: Form
    parts: list

    def hand_back(self, find: Callable[[Any], Any]) -> bool:
        """Have the container hold what `find` gives for what the copy holds, if that has changed;
        returns whether it has.
        """
        form = form_of(self.copy)
        assert form is not None
        now = form.parts(self.copy)
        if form == self.form and len(now) == len(self.parts) and all(map(is_, now, self.parts)):
            return False
        form.refill(self.value, list(map(find, now)))
        return True


def containers_of(value: Any) -> dict[int, tuple[Any, list[int]]]:
    """A container and those in it, by identity: (one, the identities of what it holds)."""
    found: dict[int, tuple[Any, list[int]]] = {}
    waiting = [value]
    while waiting:
        one = waiting.pop()
        form = None if id(one) in found else form_of(one)
        if form is not None:
            parts = form.parts(one)
            found[id(one)] = one, [id(part) for part in parts]
            waiting += parts
    return found


def leaves_of(value: Any) -> list:
    """What containers hold, in order."""
    return taken_apart(value)[0]


def tensors_of(value: Any) -> list[Tensor]:
    """The tensors that containers hold, in order."""
    return [leaf for leaf in leaves_of(value) if isinstance(leaf, Tensor)]
