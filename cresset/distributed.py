"""Many machines, on which Cresset does not compute yet: programs ask, and go on alone.

A program that does not ask finds no other name here, and is told so.
"""

from __future__ import annotations

from cresset.core.missing import found_late

__all__ = ["is_available", "is_initialized", "is_torchelastic_launched"]


def is_available() -> bool:
    """Whether processes can compute together: no.

    >>> import cresset
    >>> cresset.distributed.is_available() and cresset.distributed.is_initialized()
    False
    """
    return False


def is_initialized() -> bool:
    """Whether this process is one of a group: no."""
    return False


def is_torchelastic_launched() -> bool:
    """Whether a launcher of groups has started this process: no."""
    return False

__getattr__, __dir__ = found_late(globals())
