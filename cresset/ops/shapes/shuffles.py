"""Blocks of pixels from channels, and channels from blocks of pixels."""

from __future__ import annotations

from cresset.ops.operation import counts_as
from cresset.ops.shapes.shape import permute, reshape

__all__ = ["channel_shuffle", "pixel_shuffle", "pixel_unshuffle"]


def pixel_shuffle(input, upscale_factor):
    """(..., C r r, H, W) as (..., C, H r, W r): every pixel becomes a block of r by r pixels.

    Shi et al., Real-time single image and video super-resolution using an efficient sub-pixel
    convolutional neural network (2016).

    Raises RuntimeError unless r r divides the channels.

    >>> import cresset
    >>> cresset.pixel_shuffle(cresset.arange(4).reshape(4, 1, 1), 2)
    tensor([[[0, 1],
             [2, 3]]])
    """
    r = upscale_factor
    *batch, channels, rows, columns = _images("pixel_shuffle", input, r)
    if channels % (r * r):
        raise RuntimeError(
            "pixel_shuffle: expects its input's 'channel' dimension to be divisible by the square "
            f"of upscale_factor, but input.size(-3)={channels} is not divisible by {r * r}"
        )
    n = len(batch)
    parts = reshape(input, (*batch, channels // (r * r), r, r, rows, columns))
    turned = permute(parts, (*range(n), n, n + 3, n + 1, n + 4, n + 2))
    made = reshape(turned, (*batch, channels // (r * r), rows * r, columns * r))
    return counts_as(made, "pixel_shuffle")


def pixel_unshuffle(input, downscale_factor):
    """(..., C, H r, W r) as (..., C r r, H, W): `pixel_shuffle` backwards.

    Raises RuntimeError unless r divides the height and the width.

    >>> import cresset
    >>> cresset.pixel_unshuffle(cresset.arange(4).reshape(1, 2, 2), 2).shape
    torch.Size([4, 1, 1])
    """
    r = downscale_factor
    *batch, channels, height, width = _images("pixel_unshuffle", input, r)
    if height % r or width % r:
        raise RuntimeError(
            "pixel_unshuffle: expects height and width to be divisible by downscale_factor, but "
            f"they are {height} and {width}, and the factor is {r}"
        )
    n = len(batch)
    parts = reshape(input, (*batch, channels, height // r, r, width // r, r))
    turned = permute(parts, (*range(n), n, n + 2, n + 4, n + 1, n + 3))
    made = reshape(turned, (*batch, channels * r * r, height // r, width // r))
    return counts_as(made, "pixel_unshuffle")


def _images(name, x, factor):
    if x.layout.ndim < 3:
        raise RuntimeError(
            f"{name}: expects input to have at least 3 dimensions, but got input with "
            f"{x.layout.ndim} dimension(s); need (..., channels, rows, columns)"
        )
    if factor < 1:
        raise RuntimeError(f"{name}: expects a positive factor, but got {factor}")
    return x.layout.shape


def channel_shuffle(input, groups):
    """The channels of (N, C, ...) in turn of each of so many groups of neighbours.

    Raises RuntimeError unless `groups` divides the channels.

    >>> import cresset
    >>> cresset.channel_shuffle(cresset.arange(4).reshape(1, 4, 1), 2).flatten()
    tensor([0, 2, 1, 3])
    """
    shape = tuple(input.layout.shape)
    if len(shape) < 3:
        raise RuntimeError(
            "channel_shuffle: expects input with > 2 dims, but got input with sizes "
            f"{list(shape)}; need (N, channels, ...)"
        )
    if groups < 1 or shape[1] % groups:
        raise RuntimeError("channel_shuffle: Number of channels must be divisible by groups. Got "
                           f"{shape[1]} channels and {groups} groups")
    parts = reshape(input, (shape[0], groups, shape[1] // groups, *shape[2:]))
    return counts_as(reshape(parts.transpose(1, 2), shape), "channel_shuffle")
