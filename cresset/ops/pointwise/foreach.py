"""Functions of lists of tensors, one call for all: `_foreach_add`, `_foreach_sqrt_`, ...

Each is the function of single tensors, called for every one of a list; in-place forms end in an
underscore. Operands beside the first are a list as long, or one number or tensor for all. Programs
that PyTorch's optimizers inspired call them. An optimizer of ours runs as one launch instead; see
`ops.kinds.update`.

    >>> import cresset
    >>> cresset._foreach_add([cresset.tensor([1.0]), cresset.tensor([2.0])], [10, 20])
    (tensor([11.]), tensor([22.]))
"""

from __future__ import annotations

from cresset.core.tensor import Tensor

# Functions of one tensor and of several operands, each with its in-place form.
OF_ONE = ("abs", "acos", "asin", "atan", "ceil", "cos", "cosh", "erf", "erfc", "exp", "expm1",
          "floor", "frac", "lgamma", "log", "log10", "log1p", "log2", "neg", "reciprocal", "round",
          "rsqrt", "sigmoid", "sign", "sin", "sinh", "sqrt", "tan", "tanh", "trunc")
OF_SEVERAL = ("add", "addcdiv", "addcmul", "clamp_max", "clamp_min", "div", "lerp", "maximum",
              "minimum", "mul", "pow", "sub")
METHODS = (*(name + end for name in OF_ONE + OF_SEVERAL for end in ("", "_")),
           "clone", "copy_", "max", "mm", "norm", "zero_")
__all__ = ["_foreach_powsum", *(f"_foreach_{name}" for name in METHODS)]


def _column(operation, count, operand):
    """What each of `count` tensors meets: an entry of a list, or the same thing."""
    if not isinstance(operand, (list, tuple)):
        return [operand] * count
    if len(operand) != count:
        kind = "tensor" if operand and isinstance(operand[0], Tensor) else "scalar"
        raise RuntimeError(
            f"{operation}: Tensor list must have same number of elements as {kind} list; got "
            f"{count} tensors and {len(operand)} others; give one for each"
        )
    return operand


def _of_lists(operation, function):
    """The function of lists that calls `function` for every tensor of the first."""

    def foreach(tensors, *operands, **keywords):
        if not tensors:
            raise RuntimeError(
                f"{operation}: Tensor list must have at least one tensor; got an empty list"
            )
        columns = [_column(operation, len(tensors), operand) for operand in operands]
        results = [function(*row, **keywords) for row in zip(tensors, *columns)]
        return results if operation.endswith("_") else tuple(results)

    foreach.__name__ = foreach.__qualname__ = operation
    foreach.__doc__ = "The function of this name of every tensor of a list, by one call."
    return foreach


def _scaled(operation, foreach):
    """addcmul and addcdiv, whose last operand may be a list of factors, or a tensor of them."""

    def scaled(tensors, first, second, scalars=1, *, value=None):
        factors = scalars if value is None else value
        if isinstance(factors, Tensor) and factors.ndim:
            factors = factors.tolist()
        return foreach(tensors, first, second, factors)

    scaled.__name__ = scaled.__qualname__ = operation
    scaled.__doc__ = foreach.__doc__
    return scaled


def _extreme(name):
    """The extreme of a tensor and another, or a number, which the method does not take."""
    method = getattr(Tensor, name)

    def extreme(x, other):
        return method(x, other if isinstance(other, Tensor) else x.new_full((), other))

    return extreme


def _declare(name):
    operation = f"_foreach_{name}"
    function = _extreme(name) if "imum" in name else getattr(Tensor, name)
    if not name.startswith("addc"):
        return _of_lists(operation, function)

    def with_factor(x, first, second, factor):
        return function(x, first, second, value=factor)

    return _scaled(operation, _of_lists(operation, with_factor))


for _name in METHODS:
    globals()[f"_foreach_{_name}"] = _declare(_name)

_powers = globals()["_foreach_pow"]
_foreach_powsum = _of_lists("_foreach_powsum", lambda x, p: (x.abs() ** p).sum())


def _foreach_pow(tensors, exponent):
    """Powers of every tensor of a list; the base may be one number and the exponents the list."""
    if isinstance(tensors, (list, tuple)):
        return _powers(tensors, exponent)
    return tuple(tensors**t for t in exponent)
