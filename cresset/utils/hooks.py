"""Hooks: `HookTable` keeps them in order, `RemovableHandle` takes one back."""

from __future__ import annotations

import itertools
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterable, MutableMapping
from typing import Any

_numbers = itertools.count()


class RemovableHandle:
    """A hook's entry in a table of hooks; `remove()` takes it out, and may be called twice.

    The handle holds the table weakly, so keeping a handle keeps no module alive. Used in a `with`
    statement it removes the hook at the end. `extra_dict` are tables that forget the hook as well.

    >>> table = HookTable()
    >>> handle = table.add(print)
    >>> handle.remove()
    >>> len(table)
    0
    """

    def __init__(
        self,
        hooks_dict: MutableMapping[int, Any],
        *,
        extra_dict: Iterable[MutableMapping[int, Any]] = (),
    ) -> None:
        self.id = next(_numbers)
        self._tables = tuple(weakref.ref(table) for table in (hooks_dict, *extra_dict))

    def remove(self) -> None:
        for reference in self._tables:
            table = reference()
            if table is not None:
                table.pop(self.id, None)

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, *exception: object) -> None:
        self.remove()


class HookTable(OrderedDict[int, Callable[..., Any]]):
    """Hooks by the number of their handle, in the order in which they run."""

    def add(
        self,
        hook: Callable[..., Any],
        prepend: bool = False,
        marks: Iterable[MutableMapping[int, Any]] = (),
    ) -> RemovableHandle:
        """Enters `hook` last, or first with `prepend`, and marks it in each table of `marks`."""
        marks = tuple(marks)
        handle = RemovableHandle(self, extra_dict=marks)
        self[handle.id] = hook
        if prepend:
            self.move_to_end(handle.id, last=False)
        for mark in marks:
            mark[handle.id] = True
        return handle
