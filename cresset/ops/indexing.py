"""Indexing: x[...] and x[...] = y.

Integers, slices, `None` and `...` give views, planned once per index and layout. Tensors, lists and
masks give copies gathered by `advanced`.
"""

from __future__ import annotations

from cresset.core.tensor import Tensor
from cresset.ops import dispatch
from cresset.ops.kinds import view
from cresset.ops.operation import called

BOUNDS = frozenset((int, type(None)))


def freeze_index(index) -> tuple:
    """A basic index as a hashable tuple: slices become (start, stop, step) marked as such."""
    items = index if type(index) is tuple else (index,)
    return tuple(
        ("slice", i.start, i.stop, i.step) if type(i) is slice else i for i in items
    )


@called("slice")
@view
def basic_index(x, index):
    """x at integers, slices, `None` and `...`, as a view."""
    consumed = sum(1 for i in index if i is not None and i is not Ellipsis)
    if sum(1 for i in index if i is Ellipsis) > 1:
        raise IndexError("index: an index can only have a single ellipsis ('...')")
    if consumed > x.ndim:
        raise IndexError(
            f"index: too many indices for tensor of dimension {x.ndim}; got {consumed}"
        )
    if Ellipsis not in index:
        index = (*index, Ellipsis)
    shape, strides, offset, dim = [], [], 0, 0
    for i in index:
        if i is None:
            shape.append(1)
            strides.append(x.shape[dim] * x.strides[dim] if dim < x.ndim else 1)
        elif i is Ellipsis:
            rest = x.ndim - consumed
            shape += x.shape[dim : dim + rest]
            strides += x.strides[dim : dim + rest]
            dim += rest
        elif isinstance(i, tuple):
            start, stop, step = i[1:]
            if step is not None and step <= 0:
                raise ValueError(
                    f"index: step must be greater than zero; got {step} at dim {dim}; use flip"
                )
            begin, end, by = slice(start, stop, step).indices(x.shape[dim])
            length = max(0, -(-(end - begin) // by))
            shape.append(length)
            strides.append(x.strides[dim] * by)
            offset += begin * x.strides[dim] if length else 0
            dim += 1
        else:
            size = x.shape[dim]
            if not -size <= i < size:
                raise IndexError(
                    f"index: index {i} is out of bounds for dimension {dim} with size {size}; need "
                    f"-{size} <= index < {size}"
                )
            offset += (i % size) * x.strides[dim]
            dim += 1
    return shape, strides, offset


def getitem(x, index):
    """x[index]."""
    frozen = _frozen(index)
    if frozen is not None:
        return basic_index(x, frozen)
    index = _plain(index)
    frozen = _frozen(index)
    if frozen is not None:
        return basic_index(x, frozen)
    return dispatch.namespace["advanced_get"](x, index)


def _frozen(index) -> tuple | None:
    """A basic index in the form that the plan table takes; None if it is not basic."""
    kind = type(index)
    if kind is int:
        return (index,)
    if kind is not tuple:
        index = (index,)
    frozen = []
    for i in index:
        kind = type(i)
        if kind is int or i is None or i is Ellipsis:
            frozen.append(i)
        elif kind is slice:
            start, stop, step = i.start, i.stop, i.step
            if not (type(start) in BOUNDS and type(stop) in BOUNDS and type(step) in BOUNDS):
                return None
            frozen.append(("slice", start, stop, step))
        else:
            return None
    return tuple(frozen)


def _plain(index):
    """The index with integers of other kinds (zero-dim tensors, NumPy's) as Python's."""
    items = index if type(index) is tuple else (index,)
    out: list = []
    for i in items:
        if isinstance(i, slice):
            bounds = [None if b is None else b.__index__() for b in (i.start, i.stop, i.step)]
            out.append(slice(*bounds))
        elif isinstance(i, Tensor) and not i.layout.ndim and i.layout.dtype.category == 1:
            out.append(int(i.item()))
        elif not isinstance(i, (Tensor, bool, list, tuple, range)) and hasattr(i, "__index__") and (
            not hasattr(i, "shape") or i.shape == ()
        ):
            out.append(i.__index__())
        else:
            out.append(i)
    return tuple(out)


def setitem(x, index, value):
    """x[index] = value."""
    frozen = _frozen(index)
    if frozen is None:
        index = _plain(index)
        frozen = _frozen(index)
        if frozen is None:
            dispatch.namespace["advanced_set"](x, index, value)
            return
    target = basic_index(x, frozen)
    if x.history is None and getattr(value, "history", None) is None:
        # Nobody else has this view, and nothing here has a history: a plain write will do.
        target.history = target.base = None
    if not isinstance(value, Tensor):
        if isinstance(value, (bool, int, float)):
            target.fill_(value)
            return
        value = dispatch.namespace["tensor"](value, dtype=x.layout.dtype)
    shape = value.layout.shape
    # As in NumPy, leading dims of size 1 of the value may be too many.
    while len(shape) > target.layout.ndim and shape[0] == 1:
        value = value.squeeze(0)
        shape = value.layout.shape
    target.copy_(value)


Tensor.__getitem__ = getitem
Tensor.__setitem__ = setitem
