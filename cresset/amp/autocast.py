"""`autocast`: products in a lower type, losses in float32, for a while."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from threading import get_ident
from typing import Any

import cresset
from cresset.ops.casting import casting, lower_type

LOWER_TYPES = (cresset.bfloat16, cresset.float16)


class autocast:
    """A context manager, and a decorator, in which operations choose their types.

    Products and convolutions take floating operands in `dtype` (bfloat16 by default, or float16),
    losses, `prod`, `cdist` and recurrent layers in float32; other operations take what comes, and
    float64 stays. Gradients have the types of the parameters. With `enabled=False` operations
    inside take what comes again. `device_type` "cuda", where there is none, and other types for
    `dtype` warn and do nothing. `cache_enabled` says nothing. It holds for the thread that enters
    it; a compiled function is recorded anew inside of it.

    The numbers are what the types can hold; on a processor it saves memory rather than time.
    """

    def __init__(
        self,
        device_type: str,
        dtype: Any = None,
        enabled: bool = True,
        cache_enabled: bool | None = None,
    ) -> None:
        if not isinstance(device_type, str):
            raise ValueError(
                f"autocast: Expected `device_type` of type `str`, got: `{type(device_type)}`; "
                'need "cpu"'
            )
        self.device = cresset.device(device_type).type
        self.fast_dtype = cresset.bfloat16 if dtype is None else dtype
        self._before: list[cresset.dtype | None] = []
        if enabled and self.device != "cpu":
            warnings.warn(
                f"autocast: User provided device_type of '{device_type}', which is not available; "
                "disabling autocast", stacklevel=2,
            )
            enabled = False
        if enabled and self.fast_dtype not in LOWER_TYPES:
            warnings.warn(
                f"autocast: In CPU autocast, the target dtype {self.fast_dtype} is not supported; "
                "disabling autocast; need torch.bfloat16 or torch.float16", stacklevel=2,
            )
            enabled = False
        self._enabled = enabled

    def __enter__(self) -> autocast:
        self._before.append(lower_type())
        _set(self.fast_dtype if self._enabled else None)
        return self

    def __exit__(self, *problem: Any) -> None:
        _set(self._before.pop())

    def __call__(self, func: Callable) -> Callable:
        @functools.wraps(func)
        def inside(*args: Any, **kwargs: Any) -> Any:
            with self:
                return func(*args, **kwargs)

        return inside


def _set(lower: cresset.dtype | None) -> None:
    if lower is None:
        casting.pop(get_ident(), None)
    else:
        casting[get_ident()] = lower


def is_autocast_enabled(device_type: str = "cuda") -> bool:
    """Whether this thread is inside an `autocast` for a kind of device."""
    return device_type == "cpu" and lower_type() is not None


def is_autocast_available(device_type: str) -> bool:
    """Whether `autocast` does anything for a kind of device: for "cpu"."""
    return device_type == "cpu"


def get_autocast_dtype(device_type: str) -> Any:
    """The lower type of the `autocast` this thread is in, or of one that named none.

    >>> get_autocast_dtype("cpu")
    torch.bfloat16
    """
    return lower_type() or cresset.bfloat16


def get_autocast_cpu_dtype() -> Any:
    """`get_autocast_dtype("cpu")` by its older name."""
    return get_autocast_dtype("cpu")


def is_autocast_cpu_enabled() -> bool:
    """`is_autocast_enabled("cpu")` by its older name."""
    return is_autocast_enabled("cpu")
