"""max, min and friends: along a dim with indices, or of two tensors elementwise."""

from __future__ import annotations

from cresset.core import return_types
from cresset.core.tensor import Tensor
from cresset.ops.operation import counts_as, method
from cresset.ops.out import with_out
from cresset.ops.pointwise.comparison import maximum, minimum
from cresset.ops.reductions.reduction import (
    amax,
    amin,
    extremes,
    max_with_index,
    min_with_index,
    restore_dims,
)

__all__ = ["aminmax", "max", "min"]


def _place_gradient(gs, out1, x_layout, dim, keepdim):
    """The gradient of the values goes to the elements that the indices name."""
    from cresset.ops.creation.counted import arange

    g = restore_dims(gs[0], x_layout, dim, keepdim)
    indices = restore_dims(out1, x_layout, dim, keepdim)
    if not x_layout.ndim:
        return g
    shape = [1] * x_layout.ndim
    shape[dim] = x_layout.shape[dim]
    here = arange(x_layout.shape[dim], device=indices.layout.device).view(shape).eq(indices)
    return g.expand(tuple(x_layout.shape)).masked_fill(~here, 0)


max_with_index.gradient(_place_gradient)
min_with_index.gradient(_place_gradient)


def _extreme(name, whole, with_index, pair):
    result = getattr(return_types, name)

    def extreme(input, dim=None, keepdim=False, *, other=None):
        if other is not None or isinstance(dim, Tensor):
            return pair(input, dim if other is None else other)
        if dim is None:
            return counts_as(whole(input), f"{name}#1")
        return result(with_index(input, dim, keepdim))

    extreme.__name__ = extreme.__qualname__ = name
    extreme.__doc__ = (
        f"The {name}imum of all elements; along `dim` the (values, indices); with a second tensor "
        "the elementwise one.\n\nRaises RuntimeError where there is no element to take."
    )
    return method()(with_out(extreme))


max = _extreme("max", amax, max_with_index, maximum)
min = _extreme("min", amin, min_with_index, minimum)


@method()
@with_out
def aminmax(input, *, dim=None, keepdim=False):
    """(least, greatest) of all elements or along a dim."""
    return return_types.aminmax(extremes(input, dim, keepdim))
