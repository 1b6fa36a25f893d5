"""`autocast`: products in a lower type, losses in float32, for a while."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from threading import get_ident
from typing import Any

import cresset
from cresset.ops import dispatch
from cresset.ops.casting import Cast, casting

LOWER_TYPES = (cresset.bfloat16, cresset.float16)


class autocast:
    """A context manager, and a decorator, in which operations choose their types.

    Products and convolutions take floating operands in `dtype` (bfloat16 by default, or float16),
    losses, `prod`, `cdist` and recurrent layers in float32; other operations take what comes, and
    float64 stays. Gradients have the types of the parameters. With `enabled=False` operations
    inside take what comes again. `device_type` "cuda", where there is none, and other types for
    `dtype` warn and do nothing. `cache_enabled` says nothing. It holds for the thread that enters
    it; a compiled function enters it inside.

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
        self._before: list[Cast | None] = []
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
        thread = get_ident()
        self._before.append(casting.get(thread))
        _set(thread, Cast(self.fast_dtype, dispatch.tape) if self._enabled else None)
        return self

    def __exit__(self, *problem: Any) -> None:
        _set(get_ident(), self._before.pop())

    def __call__(self, func: Callable) -> Callable:
        @functools.wraps(func)
        def inside(*args: Any, **kwargs: Any) -> Any:
            with self:
                return func(*args, **kwargs)

        return inside


def _set(thread: int, cast: Cast | None) -> None:
    if cast is None:
        casting.pop(thread, None)
    else:
        casting[thread] = cast


def is_autocast_enabled(device_type: str = "cuda") -> bool:
    """Whether this thread is inside an `autocast` for a kind of device."""
    return device_type == "cpu" and get_ident() in casting


def is_autocast_available(device_type: str) -> bool:
    """Whether `autocast` does anything for a kind of device: for "cpu"."""
    return device_type == "cpu"


def get_autocast_dtype(device_type: str) -> Any:
    """The lower type of the `autocast` this thread is in, or of one that named none.

    >>> get_autocast_dtype("cpu")
    torch.bfloat16
    """
    cast = casting.get(get_ident())
    return cresset.bfloat16 if cast is None else cast.dtype
