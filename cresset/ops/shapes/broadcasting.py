"""The shape that several shapes have in common."""

from __future__ import annotations

from cresset.core.layout import Size
from cresset.core.layout import broadcast_shapes as common_shape
from cresset.ops.arguments import whole
from cresset.ops.naming import renamed
from cresset.ops.shapes.shape import expand

__all__ = ["broadcast_shapes", "broadcast_tensors"]


def broadcast_shapes(*shapes):
    """The shape that all shapes expand to, a torch.Size; a number stands for a shape of one dim.

    Raises RuntimeError where sizes differ and none of them is 1.

    >>> import cresset
    >>> cresset.broadcast_shapes((3, 1), 4)
    torch.Size([3, 4])
    """
    shapes = tuple(
        (s,) if isinstance(s, int) else tuple(whole("broadcast_shapes", "shapes", n) for n in s)
        for s in shapes
    )
    try:
        return Size(common_shape(*shapes))
    except ValueError as problem:
        raise renamed(RuntimeError(
            f"broadcast_shapes: cannot broadcast {' with '.join(map(str, shapes))}; {problem}, "
            "counted from the left of the longer shape; need equal sizes or 1 in every dim; "
            "reshape or unsqueeze one"
        )) from None


def broadcast_tensors(*tensors):
    """All tensors expanded to their common shape."""
    shape = broadcast_shapes(*[x.layout.shape for x in tensors])
    return tuple([expand(x, shape) for x in tensors])
