"""Indexing: x[...] and x[...] = y.

Integers, slices, `None` and `...` give views, planned once per index and layout. Tensors, lists and
masks give copies; `indexing.advanced` takes over where an index holds any.
"""

from __future__ import annotations

from numbers import Integral, Number

from cresset.core.tensor import Tensor
from cresset.ops import dispatch
from cresset.ops.kinds import view
from cresset.ops.operation import called


@called("slice")
@view
def basic_index(x, index):
    """x at integers, slices, `None` and `...`, as a view; slices are ("slice", start, stop, step).

    Of several `...` the first takes the dims that are left over.
    """
    consumed = sum(1 for i in index if i is not None and i is not Ellipsis)
    if consumed > x.ndim:
        raise too_many(x, consumed)
    if Ellipsis not in index:
        index = (*index, Ellipsis)
    shape, strides, offset, dim = [], [], 0, 0
    for place, i in enumerate(index):
        if i is None:
            shape.append(1)
            strides.append(x.shape[dim] * x.strides[dim] if dim < x.ndim else 1)
        elif i is Ellipsis:
            rest = left_over(x, index, place, consumed)
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
            if not -(1 << 63) <= i < 1 << 63:
                raise ValueError(
                    f"index: Overflow when unpacking long long; got index {i} for dimension {dim} "
                    f"with size {size}; need -{size} <= index < {size}"
                )
            if not -size <= i < size:
                raise IndexError(
                    f"index: index {i} is out of bounds for dimension {dim} with size {size}; need "
                    f"-{size} <= index < {size}"
                )
            offset += (i % size) * x.strides[dim]
            dim += 1
    return shape, strides, offset


def too_many(x, consumed):
    """The error of an index that names more dims than the layout x has."""
    hint = ": use x.item() for its number" if not x.ndim else ""
    return IndexError(
        f"index: too many indices for tensor of dimension {x.ndim}; got {consumed}; need {x.ndim} "
        f"at most{hint}"
    )


def left_over(x, items, place, consumed) -> int:
    """How many dims of the layout x the `...` at a place of an index stands for.

    The first one takes all that are left over. One after it must have nothing behind it: its dims
    would be behind the last.
    """
    rest = x.ndim - consumed
    if all(i is not Ellipsis for i in items[:place]):
        return rest
    if rest and any(i is not Ellipsis for i in items[place:]):
        raise IndexError(
            f"index: a second ellipsis stands for {rest} more dims of a tensor that has {x.ndim}; "
            "need one ellipsis ('...')"
        )
    return 0


def getitem(x, index):
    """x[index]."""
    frozen = _frozen(index)
    if frozen is not None:
        return basic_index(x, frozen)
    return dispatch.namespace["advanced_get"](x, index)


def _frozen(index) -> tuple | None:
    """A basic index in the form that the plan table takes; None if it is not basic."""
    kind = type(index)
    if kind is int:
        return (index,)
    if kind is slice:
        bounds = _bounds(index)
        return None if bounds is None else (bounds,)
    if kind is not tuple:
        return (index,) if index is None or index is Ellipsis else None
    frozen = []
    for i in index:
        kind = type(i)
        if kind is slice:
            i = _bounds(i)
            if i is None:
                return None
        elif not (kind is int or i is None or i is Ellipsis):
            return None
        frozen.append(i)
    return (*frozen,)


def _bounds(i) -> tuple | None:
    """A slice in the form that the plan table takes; None where a bound is no integer."""
    start, stop, step = i.start, i.stop, i.step
    if (
        (start is None or type(start) is int) and (stop is None or type(stop) is int)
        and (step is None or type(step) is int)
    ):
        return "slice", start, stop, step
    return None


def setitem(x, index, value):
    """x[index] = value.

    `value` is a number, or a tensor that broadcasts to the shape of x[index]; as in NumPy, its
    leading dims of size 1 may be too many.
    """
    frozen = _frozen(index)
    if frozen is None:
        dispatch.namespace["advanced_set"](x, index, value)
    else:
        write(part(x, frozen, value), value)


def part(x, frozen, value):
    """The view of x at a basic index, for a write of `value`."""
    target = basic_index(x, frozen)
    if x.history is None and getattr(value, "history", None) is None:
        # Nobody else has this view, and nothing here has a history: a plain write will do.
        target.history = target.base = None
    return target


def write(target, value):
    """Overwrite a tensor with a number, or with a tensor that broadcasts."""
    if isinstance(value, Tensor):
        target.copy_(fewer_dims(value, target.layout.ndim))
    else:
        target.fill_(number_for(target, value))


def fewer_dims(value, rank):
    """A tensor without its leading dims of size 1 beyond a rank."""
    shape = value.layout.shape
    extra = 0
    while len(shape) - extra > rank and shape[extra] == 1:
        extra += 1
    return value.view(shape[extra:]) if extra else value


def number_for(x, value):
    """The number that is written into x; TypeError if `value` is none."""
    if isinstance(value, float):
        return float(value)
    if isinstance(value, Number) and not hasattr(value, "dtype"):
        return value
    if isinstance(value, Integral):
        return int(value)
    raise TypeError(
        f"index: can't assign a {type(value).__name__} to a {x.layout.dtype.name} tensor; need a "
        "number or a tensor; make one with cresset.tensor(...)"
    )


Tensor.__getitem__ = getitem
Tensor.__setitem__ = setitem
