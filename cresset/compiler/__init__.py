"""The compiler: fusion, whole programs, and what it can show."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, wraps

from cresset.ops import dispatch


def is_compiling() -> bool:
    """Whether a call is being recorded, here or in another thread; see `cresset.compile`.

    >>> is_compiling()
    False
    """
    return dispatch.tape is not None


def disable(fn: Callable | None = None, recursive: bool = True, *, reason: str = ""):
    """The function, made so that whatever calls it runs in immediate mode.

    `recursive` is taken for PyTorch's sake; `reason` is told by `explain()`.

    >>> @disable(reason="it measures time")
    ... def measure(x):
    ...     return x + 1
    """
    if fn is None:
        return partial(disable, recursive=recursive, reason=reason)

    @wraps(fn)
    def call(*args, **options):
        if dispatch.tape is not None:
            told = f": {reason}" if reason else ""
            dispatch.tape.refuse(f"it calls {fn.__name__}(), which is not to be compiled{told}")
        return fn(*args, **options)

    return call
