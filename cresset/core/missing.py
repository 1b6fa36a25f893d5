"""Names that are not there (yet): the error names the nearest thing that is."""

from __future__ import annotations

from collections.abc import Iterable


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
