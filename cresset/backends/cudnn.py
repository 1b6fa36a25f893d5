"""cuDNN's switches: they can be set, and nothing reads them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

enabled = True
benchmark = False
deterministic = False
allow_tf32 = True


def is_available() -> bool:
    """Whether the library is used: no."""
    return False


def version() -> int | None:
    """The library's version, None."""
    return None


@contextmanager
def flags(**switches: bool) -> Iterator[None]:
    """Set switches within a `with` block."""
    before = {name: globals()[name] for name in switches}
    globals().update(switches)
    try:
        yield
    finally:
        globals().update(before)
