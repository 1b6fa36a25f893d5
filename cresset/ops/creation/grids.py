"""Grids, combinations and powers of vectors."""

from __future__ import annotations

from cresset.core import dtype as types
from cresset.core.tensor import Tensor
from cresset.ops.creation.counted import arange
from cresset.ops.creation.tensors import ones
from cresset.ops.indexing.masks import masked_select
from cresset.ops.operation import method
from cresset.ops.reductions.scans import cumprod
from cresset.ops.shapes.joining import cat, stack
from cresset.ops.shapes.rearranging import flip
from cresset.ops.shapes.shape import expand, permute, reshape

__all__ = ["cartesian_prod", "combinations", "meshgrid", "vander"]


def meshgrid(*tensors, indexing="ij"):
    """Vectors as coordinates over their grid; with "xy" the first two dims are exchanged.

    >>> import cresset
    >>> cresset.meshgrid(cresset.tensor([1, 2]), cresset.tensor([3, 4, 5]), indexing="ij")[0]
    tensor([[1, 1, 1],
            [2, 2, 2]])
    """
    if indexing not in ("ij", "xy"):
        raise RuntimeError(f"meshgrid: indexing must be one of 'xy' or 'ij', but received: "
                           f"{indexing!r}")
    if len(tensors) == 1 and not isinstance(tensors[0], Tensor):
        tensors = tensors[0]
    vectors = list(tensors)
    if not vectors:
        raise RuntimeError("meshgrid: expects a non-empty TensorList")
    for x in vectors:
        if x.layout.ndim > 1:
            raise RuntimeError("meshgrid: Expected 0D or 1D tensor in the tensor list but got: "
                               f"shape {tuple(x.layout.shape)}; need vectors; flatten() it")
        if x.layout.dtype is not vectors[0].layout.dtype:
            raise RuntimeError("meshgrid: expects all tensors to have the same dtype; got "
                               f"{vectors[0].layout.dtype} and {x.layout.dtype}")
    count, shape = len(vectors), [x.layout.numel for x in vectors]
    grids = [
        expand(reshape(x, (1,) * k + (-1,) + (1,) * (count - k - 1)), tuple(shape))
        for k, x in enumerate(vectors)
    ]
    if indexing == "xy" and count > 1:
        order = (1, 0, *range(2, count))
        grids = [permute(x, order) for x in grids]
    return tuple(grids)


def cartesian_prod(*tensors):
    """Every combination of an entry of each vector, as rows; of one vector the vector itself.

    >>> import cresset
    >>> cresset.cartesian_prod(cresset.tensor([1, 2]), cresset.tensor([3, 4]))
    tensor([[1, 3],
            [1, 4],
            [2, 3],
            [2, 4]])
    """
    for x in tensors:
        if x.layout.ndim != 1:
            raise RuntimeError(
                f"cartesian_prod: Expect a 1D vector, but got shape {tuple(x.layout.shape)}"
            )
    if len(tensors) == 1:
        return tensors[0]
    return stack([reshape(x, (-1,)) for x in meshgrid(*tensors)], 1)


@method()
def combinations(input, r=2, with_replacement=False):
    """The combinations of r entries of a vector, in order, as rows.

    >>> import cresset
    >>> cresset.combinations(cresset.tensor([1, 2, 3]))
    tensor([[1, 2],
            [1, 3],
            [2, 3]])
    """
    if input.layout.ndim != 1:
        raise RuntimeError(
            f"combinations: Expect a 1D vector, but got shape {tuple(input.layout.shape)}"
        )
    if r < 0:
        raise RuntimeError(f"combinations: Expect a non-negative number, but got {r}")
    if r == 0:
        return input.new_empty(0)
    if input.layout.numel < (1 if with_replacement else r):
        return stack([input[:0]] * r, 1)
    places = meshgrid(*[arange(input.layout.numel, device=input.layout.device)] * r)
    chosen = ones(*places[0].layout.shape, dtype=types.bool, device=input.layout.device)
    for a, b in zip(places, places[1:]):
        chosen = chosen & ((a <= b) if with_replacement else (a < b))
    return stack([input[masked_select(place, chosen)] for place in places], 1)


def vander(x, N=None, increasing=False):
    """The powers of a vector's elements as N columns, as many as elements by default.

    They go from N - 1 down to 0, or up if `increasing`: a Vandermonde matrix.

    >>> import cresset
    >>> cresset.vander(cresset.tensor([1, 2, 3]))
    tensor([[1, 1, 1],
            [4, 2, 1],
            [9, 3, 1]])
    """
    if x.layout.ndim != 1:
        raise RuntimeError(f"vander: x must be a one-dimensional tensor; got {x.layout.ndim} dims")
    count = x.layout.numel if N is None else N
    if count < 0:
        raise RuntimeError(f"vander: N must be non-negative; got {N}")
    first = ones(x.layout.numel, min(count, 1), dtype=x.layout.dtype, device=x.layout.device)
    more = expand(reshape(x, (-1, 1)), (x.layout.numel, max(count - 1, 0)))
    powers = cumprod(cat((first, more), 1), 1)
    return powers if increasing else flip(powers, 1)
