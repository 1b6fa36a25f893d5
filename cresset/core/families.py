"""Families of element types: which of them an operation is for."""

from __future__ import annotations

from collections.abc import Callable

from cresset.core import dtype as types
from cresset.core.dtype import dtype
from cresset.core.scalar import NotComplexError

# The families of types that operations are for, by the words in which errors ask for one.
FAMILIES: dict[str, Callable[[dtype], bool]] = {
    "numbers": lambda d: d is not types.bool,
    "a floating type": lambda d: d.is_differentiable,
    "a real type": lambda d: not d.is_complex,
    "a real floating type": lambda d: d.is_floating_point,
}


def required(operation: str, family: str, d: dtype) -> None:
    """Raise NotImplementedError for a type that is not of one of the `FAMILIES`.

    >>> required("gelu", "a real floating type", types.float16)
    """
    if FAMILIES[family](d):
        return
    if d.is_complex:
        raise NotComplexError(operation, d)
    raise NotImplementedError(
        f"{operation}: not implemented for {d}; need {family}; convert with .to(dtype)"
    )
