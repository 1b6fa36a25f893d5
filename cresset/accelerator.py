"""Devices beside the processor, whatever their kind: there are none."""

from __future__ import annotations

from cresset import device


def is_available() -> bool:
    """Whether there is any: no."""
    return False


def device_count() -> int:
    """How many there are, 0."""
    return 0


def current_accelerator(check_available: bool = False) -> device | None:
    """The kind of device in use, None."""
    return None


def set_device_index(index: int) -> None:
    """Choose a device: RuntimeError, there is none."""
    raise RuntimeError(
        "accelerator: Cannot access accelerator device when none is available; let "
        "accelerator.is_available() choose, and use 'cpu'"
    )
