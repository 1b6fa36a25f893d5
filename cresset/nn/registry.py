"""`Registry`: a module's parameters, buffers or submodules by name, mirrored as its attributes."""

from __future__ import annotations

import weakref
from collections.abc import MutableMapping
from typing import Any, Self


class Registry(dict[str, Any]):
    """A dictionary whose entries are attributes of its module too.

    A module could look its parameters up in `__getattr__`, but Python calls that only after an
    ordinary look-up has failed, which costs ten times an attribute. So every entry is kept in the
    module's `__dict__` as well, and `self.weight` is a plain attribute. All ways to write here keep
    the two alike, so programs that write `module._modules[name] = ...` work.
    """

    def __init__(self, module: Any, entries: dict[str, Any] | None = None) -> None:
        super().__init__()
        # Weak, so that a module and its parameters go as soon as the last reference goes.
        self._module = weakref.ref(module)
        if entries:
            self.update(entries)

    def __setitem__(self, name: str, value: Any) -> None:
        super().__setitem__(name, value)
        module = self._module()
        if module is not None:
            module.__dict__[name] = value

    def __delitem__(self, name: str) -> None:
        super().__delitem__(name)
        module = self._module()
        if module is not None:
            module.__dict__.pop(name, None)

    def pop(self, name: str, *default: Any) -> Any:
        if default and name not in self:
            return default[0]
        value = self[name]
        del self[name]
        return value

    # dict's own versions of these would write without passing through the methods above.
    popitem = MutableMapping.popitem
    clear = MutableMapping.clear
    update = MutableMapping.update
    setdefault = MutableMapping.setdefault

    def __ior__(self, entries: Any) -> Self:  # type: ignore[override, misc]
        self.update(entries)
        return self

    def belongs_to(self, module: Any) -> bool:
        return self._module() is module

    def __reduce__(self) -> tuple[Any, ...]:
        return Registry, (self._module(),), None, None, iter(self.items())
