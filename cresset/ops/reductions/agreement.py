"""Whether tensors agree: equal, isclose, allclose; how far they are apart: dist."""

from __future__ import annotations

import builtins

from cresset.core import scalar
from cresset.core.tensor import Number, Tensor
from cresset.ops.kinds import elementwise
from cresset.ops.operation import called, counted_as
from cresset.ops.pointwise.comparison import eq
from cresset.ops.reductions.reduction import all, any

__all__ = ["allclose", "dist", "equal", "isclose"]


def _tensors(operation, **operands):
    for name, x in operands.items():
        if not isinstance(x, Tensor):
            raise TypeError(
                f"{operation}(): argument '{name}' must be Tensor, not {type(x).__name__}; "
                "make one with cresset.tensor(...)"
            )


def equal(input: Tensor, other: Tensor) -> bool:
    """Whether both have one shape and equal elements; NaN equals nothing.

    >>> import cresset
    >>> cresset.equal(cresset.tensor([1, 2]), cresset.tensor([1, 2]))
    True
    """
    _tensors("equal", input=input, other=other)
    return tuple(input.shape) == tuple(other.shape) and builtins.bool(all(eq(input, other)))


@called("isclose")
@elementwise
def close(x, y: Tensor, rtol: Number, atol: Number, equal_nan: bool):
    """Where x == y or |x - y| is finite and at most atol + |rtol * y|."""
    gap = scalar.absolute(x - y)
    allowed = scalar.real(atol) + scalar.absolute(rtol * y)
    found = scalar.eq(x, y) | scalar.le(gap, allowed) & scalar.lt(gap, float("inf"))
    return found | scalar.isnan(x) & scalar.isnan(y) if equal_nan else found


def isclose(input: Tensor, other: Tensor, rtol: float = 1e-05, atol: float = 1e-08,
            equal_nan: bool = False) -> Tensor:
    """Where |input - other| <= atol + rtol * |other|; shapes broadcast.

    Infinities are close to themselves alone, NaN to nothing, or with `equal_nan` to NaN. Integers
    are compared as float64. Raises RuntimeError for tensors of different types and for negative
    tolerances.

    >>> import cresset
    >>> cresset.isclose(cresset.tensor([1.0, 2.0]), cresset.tensor([1.0 + 1e-6, 2.1]))
    tensor([ True, False])
    """
    return _close("isclose", input, other, rtol, atol, equal_nan)


def _close(operation, x, other, rtol, atol, equal_nan):
    _tensors(operation, input=x, other=other)
    if x.dtype is not other.dtype:
        raise RuntimeError(
            f"{operation}: needs tensors of one type; got {x.dtype} and {other.dtype}; convert one "
            "with .to()"
        )
    for name, tolerance in (("rtol", rtol), ("atol", atol)):
        if not tolerance >= 0:
            raise RuntimeError(
                f"{operation}: {name} must be greater than or equal to zero, but got {tolerance}"
            )
    if not (x.dtype.is_floating_point or x.dtype.is_complex):
        if rtol == atol == 0:
            return eq(x, other)
        x, other = x.double(), other.double()
    return close(x, other, float(rtol), float(atol), builtins.bool(equal_nan))


def allclose(input: Tensor, other: Tensor, rtol: float = 1e-05, atol: float = 1e-08,
             equal_nan: bool = False) -> bool:
    """Whether `isclose` holds everywhere.

    >>> import cresset
    >>> cresset.allclose(cresset.tensor([1e-9]), cresset.tensor([0.0]))
    True
    """
    return builtins.bool(all(_close("allclose", input, other, rtol, atol, equal_nan)))


@counted_as("dist")
def dist(input: Tensor, other: Tensor, p: float = 2) -> Tensor:
    """The p-norm of input - other, shapes broadcast.

    >>> import cresset
    >>> cresset.dist(cresset.tensor([3.0, 4.0]), cresset.tensor(0.0))
    tensor(5.)
    """
    _tensors("dist", input=input, other=other)
    return (input - other).norm(p)


Tensor.allclose, Tensor.dist, Tensor.equal, Tensor.isclose = allclose, dist, equal, isclose


def _contains(x, element) -> bool:
    """Whether an element of x equals a number or a tensor that broadcasts to x."""
    if not isinstance(element, (Tensor, bool, int, float, complex)):
        raise RuntimeError(
            "Tensor.__contains__: only supports Tensor or scalar, but you passed in a "
            f"{type(element)}."
        )
    return builtins.bool(any(eq(x, element)))


Tensor.__contains__ = _contains
