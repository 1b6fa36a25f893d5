"""Names that are not there (yet): the error names the nearest thing that is."""

from __future__ import annotations

from collections.abc import Iterable


class MissingError(AttributeError, NotImplementedError):
    """A name that PyTorch may have and Cresset has not.

    It is an AttributeError, so that `hasattr` and `getattr` with a default answer as ever.
    """


def missing(owner: str, name: str, names: Iterable[str]) -> AttributeError:
    """The error for `owner.name`, where `owner` has `names`."""
    if name.startswith("__"):
        # Protocols ask for such names all the time, and catch the answer.
        return AttributeError(f"{owner!r} has no attribute {name!r}")
    import difflib

    near = difflib.get_close_matches(name, [n for n in names if not n.startswith("_")], 3, 0.6)
    hint = f"; the nearest there are: {', '.join(near)}" if near else ""
    return MissingError(f"{owner} has no {name!r}{hint}")
