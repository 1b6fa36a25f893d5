"""In-place forms of functions of several operations: the result is written over the tensor."""

from __future__ import annotations

from functools import wraps

from cresset.ops.kinds.promotion import can_cast


def in_place(function):
    """Decorator below `@method()`: give a function f(x, ...) the form f_(x, ...).

    The result must have x's shape, and a type that may be written as x's.
    """
    name = function.__name__ + "_"

    @wraps(function)
    def form(x, *args, **keywords):
        # A gradient may read what x was; where there is one, that goes on as a copy.
        result = function(x if x.history is None else x.clone(), *args, **keywords)
        if result.layout.shape != x.layout.shape:
            raise RuntimeError(
                f"{name}: the result has shape {tuple(result.layout.shape)}, the written tensor "
                f"{tuple(x.layout.shape)}; use the form that returns a new tensor"
            )
        if not can_cast(result.layout.dtype, x.layout.dtype):
            raise RuntimeError(
                f"{name}: result type {result.layout.dtype.name} can't be cast to the desired "
                f"output type {x.layout.dtype.name}; convert the written tensor first"
            )
        return x.copy_(result)

    form.__name__ = form.__qualname__ = name
    form.__doc__ = f"{function.__name__}, written over the tensor, which is returned."
    function.in_place = form
    return function
