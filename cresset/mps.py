"""Apple's devices, which Cresset does not compute on; see `cresset.cuda`."""

from __future__ import annotations


def is_available() -> bool:
    """Whether there is a device: no."""
    return False


def device_count() -> int:
    """The number of devices, 0."""
    return 0


def manual_seed(seed: int) -> None:
    """Seed the generator of the device: there is none."""


def empty_cache() -> None:
    """Give back memory that is kept on devices: none is."""
