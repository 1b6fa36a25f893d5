"""Signals, images and volumes at other sizes: interpolate, upsample."""

from __future__ import annotations

import math

from cresset.core import dtype as types
from cresset.core.caller import warn
from cresset.core.families import required
from cresset.ops.creation.counted import arange
from cresset.ops.indexing.selecting import index_select
from cresset.ops.shapes.shape import reshape

__all__ = ["interpolate", "upsample"]

# The dims of the signals that a mode is for.
DIMS = {"nearest": (1, 2, 3), "nearest-exact": (1, 2, 3), "area": (1, 2, 3), "linear": (1,),
        "bilinear": (2,), "bicubic": (2,), "trilinear": (3,)}
CUBIC = -0.75  # the coefficient of Keys's convolution


def interpolate(input, size=None, scale_factor=None, mode="nearest", align_corners=None,
                recompute_scale_factor=None, antialias=False):
    """(N, C, ...) with one to three dims of other sizes, by the elements around each new one.

    `size` are the new sizes, or `scale_factor` what the old ones are multiplied by: numbers, or one
    for each dim. Modes are "nearest" (the one whose area begins before), "nearest-exact" (the one
    whose middle is nearest), "linear", "bilinear", "trilinear", "bicubic" (Keys, Cubic convolution
    interpolation, 1981) and "area", which takes means. With `align_corners` the first and last
    elements stay where they are; else elements are areas, whose edges do. With
    `recompute_scale_factor` the factors are those of the rounded sizes.

    Raises ValueError for arguments that do not fit, NotImplementedError for a mode of other dims,
    and for `antialias`.

    >>> import cresset
    >>> x = cresset.tensor([[[0.0, 4.0]]])
    >>> cresset.nn.functional.interpolate(x, scale_factor=2, mode="linear")
    tensor([[[0., 1., 3., 4.]]])
    """
    if input.layout.dtype is not types.uint8:
        required("interpolate", "a real floating type", input.layout.dtype)
    dims = input.layout.ndim - 2
    if mode not in DIMS:
        raise NotImplementedError(f"interpolate: there is no mode {mode!r}; need one of "
                                  f"{', '.join(DIMS)}")
    if dims not in DIMS[mode]:
        needed = " or ".join(str(d + 2) for d in DIMS[mode])
        raise NotImplementedError(
            f"interpolate: mode {mode!r} is for inputs of {needed} dims; got {dims + 2}"
        )
    if antialias:
        raise NotImplementedError("interpolate: antialias is not there; use mode='area'")
    if align_corners is not None and mode in ("nearest", "nearest-exact", "area"):
        raise ValueError("interpolate: align_corners option can only be set with the interpolating "
                         "modes: linear | bilinear | bicubic | trilinear")
    old = input.layout.shape[2:]
    new, factors = _sizes(old, size, scale_factor, recompute_scale_factor)
    kind = input.layout.dtype
    moves = mode in ("nearest", "nearest-exact")
    if not (moves or kind.is_floating_point):
        raise NotImplementedError(f"interpolate: mode {mode!r} needs a floating type; got {kind}; "
                                  "convert with .float()")
    # Halves are rounded once.
    x = input.float() if kind in types.HALVES and not moves else input
    for d in reversed(range(dims)):
        x = _along(x, d + 2, new[d], factors[d], mode, bool(align_corners))
    return x.to(kind)


def _sizes(old, size, scale_factor, recompute):
    """(the new sizes, the given factor of each or None)."""
    if (size is None) == (scale_factor is None):
        raise ValueError("interpolate: only one of size or scale_factor should be defined; got "
                         f"{size} and {scale_factor}")
    given = size if scale_factor is None else scale_factor
    given = tuple(given) if isinstance(given, (list, tuple)) else (given,) * len(old)
    if len(given) != len(old):
        raise ValueError(
            f"interpolate: input and size or scale_factor must have the same number of spatial "
            f"dimensions; got {len(old)} and {given}"
        )
    if scale_factor is None:
        if recompute:
            raise ValueError("interpolate: recompute_scale_factor is not meaningful with an "
                             "explicit size")
        new, factors = tuple(int(n) for n in given), (None,) * len(old)
    else:
        new = tuple(math.floor(n * factor) for n, factor in zip(old, given))
        factors = (None,) * len(old) if recompute else given
    if min(*new, *old) < 1:
        raise RuntimeError(f"interpolate: Input and output sizes should be greater than 0, but got "
                           f"{tuple(old)} and {new}")
    return new, factors


def _along(x, dim, size, factor, mode, align):
    """x with another size along a dim."""
    old = x.layout.shape[dim]
    if mode == "area":
        return _means(x, dim, size)
    d = x.layout.dtype
    d = types.float64 if d is types.float64 else types.float32
    if align and "nearest" not in mode:
        scale = (old - 1) / (size - 1) if size > 1 else 0.0
    else:
        scale = 1 / factor if factor else old / size
    places = arange(size, dtype=types.float32 if "nearest" in mode else d, device=x.device)
    if mode == "nearest":
        return index_select(x, dim, (places * scale).long().clamp(max=old - 1))
    if mode == "nearest-exact":
        return index_select(x, dim, ((places + 0.5) * scale).long().clamp(max=old - 1))
    source = places * scale if align else (places + 0.5) * scale - 0.5
    if mode != "bicubic":
        source = source.clamp(min=0)
    first = source.floor()
    weights = (_cubic if mode == "bicubic" else _linear)(source - first)
    first = first.long() - (1 if mode == "bicubic" else 0)
    total = None
    for k, weight in enumerate(weights):
        taken = index_select(x, dim, (first + k).clamp(0, old - 1))
        weight = reshape(weight, (-1, *[1] * (x.layout.ndim - 1 - dim))).to(x.layout.dtype)
        total = taken * weight if total is None else total + taken * weight
    return total


def _linear(t):
    return 1 - t, t


def _cubic(t):
    """The weights of the elements at -1, 0, 1 and 2, for a place t after 0."""
    def near(s):
        return ((CUBIC + 2) * s - (CUBIC + 3)) * s * s + 1

    def far(s):
        return ((CUBIC * s - 5 * CUBIC) * s + 8 * CUBIC) * s - 4 * CUBIC

    return far(t + 1), near(t), near(1 - t), far(2 - t)


def _means(x, dim, size):
    """The means of the shares of a dim, whose edges are rounded outwards."""
    old = x.layout.shape[dim]
    places, shares = arange(old, device=x.device), arange(size, device=x.device)
    low = (shares * old) // size
    high = -((-(shares + 1) * old) // size)
    inside = (places.unsqueeze(-1) >= low) & (places.unsqueeze(-1) < high)
    weights = inside.to(x.layout.dtype) / (high - low).to(x.layout.dtype)
    return (x.movedim(dim, -1) @ weights).movedim(-1, dim)


def upsample(input, size=None, scale_factor=None, mode="nearest", align_corners=None):
    """`interpolate`, by its older name."""
    warn("upsample: nn.functional.upsample is deprecated; use nn.functional.interpolate")
    return interpolate(input, size, scale_factor, mode, align_corners)
