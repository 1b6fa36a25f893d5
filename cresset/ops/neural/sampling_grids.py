"""Images and volumes read at places that a grid names: affine_grid, grid_sample.

Jaderberg et al., Spatial transformer networks (2015).
"""

from __future__ import annotations

from itertools import product

from cresset.core.families import required
from cresset.ops.creation.grids import meshgrid
from cresset.ops.creation.spaces import linspace
from cresset.ops.creation.tensors import ones
from cresset.ops.indexing.gathering import gather
from cresset.ops.indexing.masks import where
from cresset.ops.shapes.joining import stack
from cresset.ops.shapes.shape import expand, reshape

__all__ = ["affine_grid", "grid_sample"]


def affine_grid(theta, size, align_corners=None):
    """The places that affine maps give the elements of images (N, C, H, W), or volumes.

    `theta` is (N, 2, 3), or (N, 3, 4) for volumes; the result (N, H, W, 2) or (N, D, H, W, 3), with
    the coordinate along the last dim first. -1 and 1 are the middles of the outermost elements with
    `align_corners`, else their outer edges.

    Raises ValueError for other shapes of theta, NotImplementedError for other sizes.

    >>> import cresset
    >>> theta = cresset.tensor([[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]])
    >>> cresset.nn.functional.affine_grid(theta, (1, 1, 1, 2), align_corners=True)[0, 0, :, 0]
    tensor([-1.,  1.])
    """
    n, _, *sizes = size
    dims = len(sizes)
    if dims not in (2, 3):
        raise NotImplementedError("affine_grid: only supports 4D and 5D sizes, for 2D and 3D "
                                  f"affine transforms, respectively. Got size {tuple(size)}")
    d = theta.layout.dtype
    if tuple(theta.layout.shape) != (n, dims, dims + 1):
        raise ValueError(
            f"affine_grid: Expected a batch of {dims}D affine matrices of shape Nx{dims}x{dims + 1}"
            f" for size {tuple(size)}. Got {tuple(theta.layout.shape)}"
        )
    if not d.is_floating_point:
        raise ValueError(f"affine_grid: Expected theta to have floating point type, but got {d}")
    axes = [_middles(count, align_corners, theta) for count in sizes]
    places = meshgrid(*axes, indexing="ij")
    base = stack((*reversed(places), ones(tuple(sizes), dtype=d, device=theta.device)), -1)
    made = reshape(base, (-1, dims + 1)) @ theta.transpose(1, 2)
    return reshape(made, (n, *sizes, dims))


def _middles(count, align_corners, like):
    """The coordinates of the middles of `count` elements."""
    if count == 1:
        edge = 0.0
    else:
        edge = 1.0 if align_corners else (count - 1) / count
    return linspace(-edge, edge, count, dtype=like.layout.dtype, device=like.device)


def grid_sample(input, grid, mode="bilinear", padding_mode="zeros", align_corners=None):
    """The elements of images (N, C, H, W), or volumes, around the places of a grid.

    `grid` is (N, ..., 2), or (N, ..., 3) for volumes, as `affine_grid` makes it. Between elements
    "bilinear" weighs the neighbours and "nearest" takes one; outside are "zeros", the nearest
    element of the "border", or what "reflection" at the border finds.

    Raises RuntimeError where shapes do not fit, ValueError for other modes, NotImplementedError for
    "bicubic".

    >>> import cresset
    >>> x = cresset.tensor([[[[0.0, 4.0]]]])
    >>> cresset.nn.functional.grid_sample(x, cresset.zeros(1, 1, 1, 2))
    tensor([[[[2.]]]])
    """
    required("grid_sample", "a real floating type", input.layout.dtype)
    n, channels, *sizes = input.layout.shape
    dims = len(sizes)
    if mode == "bicubic":
        raise NotImplementedError("grid_sample: there is no 'bicubic'; use mode='bilinear'")
    if mode not in ("bilinear", "nearest"):
        raise ValueError(f"grid_sample: expected mode to be 'bilinear', 'nearest' or 'bicubic', "
                         f"but got: '{mode}'")
    if padding_mode not in ("zeros", "border", "reflection"):
        raise ValueError("grid_sample: expected padding_mode to be 'zeros', 'border', or "
                         f"'reflection', but got: '{padding_mode}'")
    wanted = tuple(grid.layout.shape)
    if dims not in (2, 3) or len(wanted) != dims + 2 or wanted[0] != n or wanted[-1] != dims or (
        0 in sizes or grid.layout.dtype is not input.layout.dtype
    ):
        raise RuntimeError(
            "grid_sample: expected input (N, C, H, W) and grid (N, h, w, 2), or with a third dim, "
            f"of the same type and not empty; got {tuple(input.layout.shape)} of "
            f"{input.layout.dtype} and {wanted} of {grid.layout.dtype}"
        )
    flat = reshape(input, (n, channels, -1))
    places = reshape(grid, (n, -1, dims)).flip(-1).unbind(-1)
    taps = [
        _taps(place, size, mode, padding_mode, bool(align_corners))
        for place, size in zip(places, sizes)
    ]
    total = None
    for chosen in product(*taps):
        index, weight = 0, 1
        for (element, share), size in zip(chosen, sizes):
            index, weight = index * size + element, weight * share
        index = expand(index.unsqueeze(1), (n, channels, index.layout.shape[-1]))
        found = gather(flat, 2, index) * weight.unsqueeze(1)
        total = found if total is None else total + found
    return reshape(total, (n, channels, *wanted[1:-1]))


def _taps(place, size, mode, padding_mode, align):
    """(elements, weights) along one dim, for each of those that a place lies between."""
    x = (place + 1) * ((size - 1) / 2) if align else ((place + 1) * size - 1) / 2
    if padding_mode == "reflection":
        x = _reflected(x, 0.0, size - 1.0) if align else _reflected(x, -0.5, size - 0.5)
    if padding_mode != "zeros":
        x = x.clamp(0, size - 1)
    if mode == "nearest":
        pairs = [(x.round(), place * 0 + 1)]
    else:
        first = x.floor().detach()
        pairs = [(first, 1 - (x - first)), (first + 1, x - first)]
    made = []
    for element, weight in pairs:
        inside = (element >= 0) & (element <= size - 1)
        element = where(inside, element.detach(), 0.0).long()
        made.append((element, where(inside, weight, 0.0)))
    return made


def _reflected(x, low, high):
    """x turned back at both bounds, as often as needed."""
    span = high - low
    if not span:
        return x * 0
    distance = (x - low).abs()
    rest = distance.fmod(span)
    odd = (distance / span).floor().detach().fmod(2).ne(0)
    return where(odd, span - rest, rest) + low
