"""Intel's devices, of a machine without them; see `cresset.cuda`."""

from __future__ import annotations


def is_available() -> bool:
    """Whether there is a device: no."""
    return False


def device_count() -> int:
    """The number of devices, 0."""
    return 0
