"""Names that are not there: found when first asked for, or an error that names the nearest."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from types import MappingProxyType
from typing import Any


class MissingError(AttributeError, NotImplementedError):
    """A name that PyTorch may have and Cresset has not.

    It is an AttributeError, so that `hasattr` and `getattr` with a default answer as ever. Those,
    and imports of submodules, ask for names often and read no message: the nearest are looked for
    when one is printed.
    """

    def __init__(self, owner: str, name: str, names: Iterable[str]):
        super().__init__(f"{owner} has no {name!r}")
        self.missing = name
        self.names = names

    def __str__(self) -> str:
        import difflib

        public = [n for n in self.names if not n.startswith("_")]
        near = difflib.get_close_matches(self.missing, public, 3, 0.6)
        return self.args[0] + (f"; the nearest there are: {', '.join(near)}" if near else "")


def missing(owner: str, name: str, names: Iterable[str]) -> AttributeError:
    """The error for `owner.name`, where `owner` has `names`."""
    if name.startswith("__"):
        # Protocols ask for such names all the time, and catch the answer.
        return AttributeError(f"{owner!r} has no attribute {name!r}")
    return MissingError(owner, name, names)


def found_late(
    namespace: dict[str, Any], files: Mapping[str, Iterable[str]] = MappingProxyType({})
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """The `__getattr__` and `__dir__` of a module whose names are found when first asked for.

    `namespace` is the module's `globals()`. `files` has the names by the files of its package that
    define them, so that a program which needs none of these does not wait for them; the files are
    names as well. Any other name is missing.
    """
    owner, package = namespace["__name__"].removeprefix("cresset."), namespace["__package__"]
    file_of = {name: file for file, names in files.items() for name in names}
    late = {*file_of, *(file for file in files if "." not in file)}

    def __getattr__(name: str) -> Any:
        if name in file_of:
            found = getattr(import_module(f"{package}.{file_of[name]}"), name)
        elif name in late:
            found = import_module(f"{package}.{name}")
        else:
            raise missing(owner, name, [*namespace, *late])
        namespace[name] = found
        return found

    def __dir__() -> list[str]:
        return sorted({*namespace, *late})

    return __getattr__, __dir__
