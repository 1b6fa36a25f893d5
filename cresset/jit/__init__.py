"""`cresset.jit`: PyTorch's marks for TorchScript, which is always off here.

Functions and modules are returned as they are, as PyTorch does with `PYTORCH_JIT=0`; what compiles
is `cresset.compile`. Graphs are not traced into files, so there is neither `trace` nor `save`.
"""

from collections.abc import Callable
from typing import Any, Final

from cresset.core.missing import found_late

__all__ = ["Final", "annotate", "export", "ignore", "is_scripting", "is_tracing", "script",
           "script_if_tracing", "unused"]


def script(obj: Any, *args: Any, **options: Any) -> Any:
    """The function, class or module itself.

    >>> script(len)([1, 2])
    2
    """
    return obj


def export(fn: Callable) -> Callable:
    """The method itself."""
    return fn


def unused(fn: Callable) -> Callable:
    """The method itself."""
    return fn


def script_if_tracing(fn: Callable) -> Callable:
    """The function itself."""
    return fn


def ignore(drop: Any = False, **options: Any) -> Any:
    """The function itself, whether this decorates it or is called first: `@ignore(drop=True)`."""
    return drop if callable(drop) else lambda fn: fn


def annotate(the_type: Any, the_value: Any) -> Any:
    """The value; its type is for readers."""
    return the_value


def is_scripting() -> bool:
    """False: no code runs as TorchScript."""
    return False


def is_tracing() -> bool:
    """False: no code is being traced by `jit.trace`."""
    return False

__getattr__, __dir__ = found_late(globals(), {"annotations": ()})
