"""`cresset.random`: the default generator by the names of PyTorch's module, and forks of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from cresset import (
    default_generator,
    get_rng_state,
    initial_seed,
    manual_seed,
    seed,
    set_rng_state,
)

__all__ = ["default_generator", "fork_rng", "get_rng_state", "initial_seed", "manual_seed", "seed",
           "set_rng_state"]


@contextmanager
def fork_rng(
    devices: Any = None, enabled: bool = True, device_type: str = "cpu"
) -> Iterator[None]:
    """A block that leaves the default generator as it was; nothing else if not `enabled`.

    `devices` and `device_type` name other devices, of which there are none.

    >>> import cresset
    >>> _ = cresset.manual_seed(0)
    >>> with cresset.random.fork_rng():
    ...     inside = cresset.rand(1)
    >>> bool(cresset.rand(1) == inside)
    True
    """
    if not enabled:
        yield
        return
    before = get_rng_state()
    try:
        yield
    finally:
        set_rng_state(before)
