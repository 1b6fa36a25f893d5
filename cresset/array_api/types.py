"""The standard's promotion: dims do not count.

PyTorch lets a zero-dim tensor count for less than one with dims.
"""

from __future__ import annotations

from functools import reduce, wraps

import cresset
from cresset import Tensor, dtype

__all__ = ["can_cast", "concat", "promoted", "result_type", "stack", "where"]


def result_type(*arrays_and_dtypes) -> dtype:
    """The type that arrays, types and Python numbers promote to; numbers count by their kind alone.

    Raises RuntimeError where there is none, TypeError for numbers alone.

    >>> from cresset import array_api
    >>> array_api.result_type(array_api.uint16, array_api.zeros((), dtype=array_api.int8), 2)
    torch.int32
    """
    found = [x if isinstance(x, dtype) else x.dtype
             for x in arrays_and_dtypes if isinstance(x, (dtype, Tensor))]
    if not found:
        raise TypeError(f"result_type: got {arrays_and_dtypes}; need an array or a type among them")
    common = reduce(cresset.promote_types, found)
    numbers = [x for x in arrays_and_dtypes if not isinstance(x, (dtype, Tensor))]
    return reduce(lambda d, x: cresset.result_type(cresset.empty(1, dtype=d), x), numbers, common)


def can_cast(from_, to: dtype, /) -> bool:
    """Whether an array or a type promotes to another type; PyTorch asks for the category alone.

    >>> from cresset import array_api
    >>> array_api.can_cast(array_api.int8, array_api.int16)
    True
    >>> array_api.can_cast(array_api.int16, array_api.int8)
    False
    """
    try:
        return result_type(from_, to) is to
    except RuntimeError:
        return False


def as_array(x, dtype, device) -> Tensor:
    """An array or a Python number as an array of a type; gradients go through."""
    return x.to(dtype) if isinstance(x, Tensor) else cresset.tensor(x, dtype=dtype, device=device)


def _converted(*arrays) -> list[Tensor]:
    """Arrays and Python numbers as arrays of their common type."""
    common = result_type(*arrays)
    device = next(x.device for x in arrays if isinstance(x, Tensor))
    return [as_array(x, common, device) for x in arrays]


def promoted(function):
    """A function whose first two operands are of any types, and one of them may be a number."""
    @wraps(function)
    def call(x1, x2, /, *arguments, **keywords):
        return function(*_converted(x1, x2), *arguments, **keywords)

    return call


def where(condition, x1, x2, /):
    """x1 where the condition holds and x2 elsewhere."""
    return cresset.where(condition, *_converted(x1, x2))


def concat(arrays, /, *, axis=0):
    """The arrays one after another along a dim; flattened first where `axis` is None."""
    return cresset.concat(_converted(*arrays), axis=axis)


def stack(arrays, /, *, axis=0):
    """The arrays as the entries of a new dim."""
    return cresset.stack(_converted(*arrays), axis=axis)
