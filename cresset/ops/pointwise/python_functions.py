"""A Python function on every element: apply_, map_, map2_. Slow; for what no operation says."""

from __future__ import annotations

from cresset.core.tensor import Tensor
from cresset.ops.creation.tensors import tensor
from cresset.ops.shapes.shape import broadcast_to

__all__: list[str] = []


def _written(operation, function, x, *others):
    """x overwritten by what `function` gives for its elements and those of the others."""
    if not callable(function):
        raise TypeError(f"{operation}(): argument 'callable' must be callable; got {function!r}")
    for other in others:
        if not isinstance(other, Tensor):
            raise TypeError(
                f"{operation}(): argument 'other' must be a Tensor; got {type(other).__name__}; "
                "make one with cresset.tensor(...)"
            )
        if other.dtype is not x.dtype:
            raise TypeError(
                f"{operation}: the tensors must have one type; got {x.dtype} and {other.dtype}; "
                "convert the other with .to()"
            )
    for t in (x, *others):
        if t.requires_grad:
            raise RuntimeError(
                f"{operation}: Can't call {operation}() on Variable that requires grad. "
                f"Use var.detach().{operation}() instead."
            )
    shape = tuple(x.shape)
    columns = [x.reshape(-1).tolist()]
    columns += [broadcast_to(other, shape).reshape(-1).tolist() for other in others]
    values = [function(*elements) for elements in zip(*columns)]
    for value in values:
        if not isinstance(value, (bool, int, float, complex)):
            raise TypeError(
                f"{operation}: must be real number, not {type(value).__name__}; the function must "
                "return numbers"
            )
    kind = x.dtype
    converted = [int(v) if kind.category == kind.INTEGER else v for v in values]
    x.copy_(tensor(converted, dtype=kind).reshape(shape))
    return x


def apply_(x, callable):
    """x with every element replaced by callable(element).

    >>> import cresset
    >>> cresset.tensor([1.0, 2.0]).apply_(lambda v: v * 10)
    tensor([10., 20.])
    """
    return _written("apply_", callable, x)


def map_(x, other, callable):
    """x with every element replaced by callable(element, the other's); the other broadcasts to x.

    >>> import cresset
    >>> cresset.tensor([1.0, 2.0]).map_(cresset.tensor([3.0, 4.0]), lambda a, b: a * b)
    tensor([3., 8.])
    """
    return _written("map_", callable, x, other)


def map2_(x, other, another, callable):
    """x with every element replaced by callable(element, the other's, the third's)."""
    return _written("map2_", callable, x, other, another)


Tensor.apply_, Tensor.map_, Tensor.map2_ = apply_, map_, map2_
