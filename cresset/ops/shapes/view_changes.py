"""Views in place: a tensor takes on the shape and strides of a view of itself."""

from __future__ import annotations

from functools import wraps

from cresset.core.tensor import Tensor
from cresset.ops import dispatch
from cresset.ops.shapes.shape import as_strided, squeeze, swapaxes, t, transpose, unsqueeze

__all__ = ["as_strided_"]


def become(x: Tensor, view, *args, **keywords) -> Tensor:
    """Let x show what `view(x, ...)` shows; returns it.

    What x was lives on as another tensor, of which x is then a view: so its history goes on, and
    views that were made of x before stay views of what it was.
    """
    name = view.__name__ + "_"
    recording = dispatch.namespace["is_grad_enabled"]()
    if recording and x.history is not None and x.is_leaf and x.requires_grad:
        raise RuntimeError(
            f"{name}: a leaf Variable that requires grad is being used in an in-place operation; "
            f"do it under no_grad(), or use {view.__name__}()"
        )
    before = x
    linked = x.base is not None or x.history is not None and recording
    if linked:
        before = object.__new__(type(x))
        before.memory, before.layout, before.ptr = x.memory, x.layout, x.ptr
        before.base, before.history, before.grad = x.base, x.history, None
    seen = view(before, *args, **keywords)
    x.memory, x.layout, x.ptr = seen.memory, seen.layout, seen.ptr
    if linked:
        x.base, x.history = seen.base, seen.history
    x.memory.version += 1
    return x


def _changing(view, name=None):
    """The in-place form of a view."""
    @wraps(view)
    def change(x, *args, **keywords):
        return become(x, view, *args, **keywords)

    change.__name__ = change.__qualname__ = (name or view.__name__) + "_"
    change.__doc__ = f"Let the tensor show what `{view.__name__}` shows of it; returns it."
    return change


as_strided_ = _changing(as_strided)
Tensor.as_strided_ = as_strided_
Tensor.squeeze_ = _changing(squeeze)
Tensor.t_ = _changing(t)
Tensor.transpose_ = _changing(transpose)
Tensor.swapaxes_ = _changing(swapaxes)
Tensor.swapdims_ = _changing(transpose, "swapdims")
Tensor.unsqueeze_ = _changing(unsqueeze)
