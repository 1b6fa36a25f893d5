"""Blocks of images as columns, and columns as blocks: unfold, fold."""

from __future__ import annotations

from math import prod

from cresset.core.layout import Layout
from cresset.core.tensor import Tensor
from cresset.kernels.schedule import Schedule
from cresset.kernels.windows import add_windows, copy_windows, triple
from cresset.ops.kinds import special
from cresset.ops.kinds.promotion import computed
from cresset.ops.neural.convolution import along_dims
from cresset.ops.operation import called
from cresset.ops.shapes.shape import squeeze, unsqueeze
from cresset.runtime.program import Program

__all__ = ["fold", "unfold"]


def _grid(operation, size, kernel, dilation, padding, stride) -> tuple[int, ...]:
    """Rows and columns of blocks; raises RuntimeError where numbers do not fit."""
    if min(*kernel, *dilation, *stride) < 1 or min(padding) < 0:
        raise RuntimeError(
            f"{operation}: kernel_size, dilation and stride should be greater than zero, and "
            f"padding not negative; got {kernel}, {dilation}, {stride} and {padding}"
        )
    grid = tuple((n + 2 * p - d * (k - 1) - 1) // s + 1
                 for n, k, d, p, s in zip(size, kernel, dilation, padding, stride))
    if min(grid) < 1:
        raise RuntimeError(
            f"{operation}: Given image of size {tuple(size)}, kernel_size {kernel}, dilation "
            f"{dilation}, padding {padding} and stride {stride}, calculated shape of the array of "
            f"sliding blocks as {grid}, but its components must be at least one"
        )
    return grid


@called("im2col")
@special
def columns_of_blocks(x: Tensor, kernel, dilation, padding, stride):
    """unfold of packed images."""
    if x.ndim != 4 or 0 in x.shape[1:]:
        raise RuntimeError(f"unfold: Expected 3D or 4D (batch mode) tensor with possibly 0 batch "
                           f"size and other non-zero dimensions for input; got {tuple(x.shape)}")
    computed("unfold", x.dtype)
    images, channels, *size = x.shape
    grid = _grid("unfold", size, kernel, dilation, padding, stride)
    out = Layout.packed((images, channels * prod(kernel), prod(grid)), x.dtype)
    schedule = Schedule(0)
    moves = ((prod(size), 0, 0), (0, 0, 0), (0, dilation[0], 0), (0, 0, dilation[1]))
    copy_windows(schedule, x.dtype, 1, triple(size), grid, stride, _corner(padding),
                 (images * channels, *kernel), moves, 0)
    return Program("t", (out,), tuple(schedule.steps))


@called("col2im")
@special
def blocks_of_columns(x: Tensor, size, kernel, dilation, padding, stride):
    """fold of packed columns."""
    grid = _grid("fold", size, kernel, dilation, padding, stride)
    computed("fold", x.dtype)
    if x.ndim != 3 or x.shape[1] % prod(kernel) or 0 in x.shape[1:]:
        raise RuntimeError(
            f"fold: Expected size of input's dimension 1 to be divisible by the product of "
            f"kernel_size; got {tuple(x.shape)} and kernel_size {kernel}; need (images, channels "
            f"* {prod(kernel)}, blocks), or one image of these"
        )
    images, rows, count = x.shape
    if count != prod(grid):
        raise RuntimeError(
            f"fold: Given output_size {tuple(size)}, kernel_size {kernel}, dilation {dilation}, "
            f"padding {padding} and stride {stride}, expected size of input's dimension 2 to match "
            f"the calculated number of sliding blocks {grid[0]} * {grid[1]} = {prod(grid)}; got "
            f"{count}"
        )
    channels = rows // prod(kernel)
    out = Layout.packed((images, channels, *size), x.dtype)
    schedule = Schedule(0)
    strides = (prod(kernel) * count,), (prod(size),), (0,)
    add_windows(schedule, x.dtype, 1, triple(size), triple(grid), triple(stride), _corner(padding),
                triple(kernel), triple(dilation), (images * channels,), strides, count, 0)
    return Program("t", (out,), tuple(schedule.steps))


def _corner(padding):
    return triple([-p for p in padding], 0)


@columns_of_blocks.gradient
def _columns_gradient(g, x_layout, kernel, dilation, padding, stride):
    size = tuple(x_layout.shape[2:])
    return blocks_of_columns(g.contiguous(), size, kernel, dilation, padding, stride)


@blocks_of_columns.gradient
def _blocks_gradient(g, kernel, dilation, padding, stride):
    return columns_of_blocks(g.contiguous(), kernel, dilation, padding, stride)


def unfold(input, kernel_size, dilation=1, padding=0, stride=1):
    """The blocks of images, which windows of a convolution see, as columns.

    input (N, C, H, W) or (C, H, W) gives (N, C kh kw, L): an element of each block for each of the
    C kh kw rows, blocks in the order of their rows and columns. Numbers are those of a convolution,
    one for both dims or a pair. Raises RuntimeError where no block fits.

    >>> import cresset
    >>> cresset.nn.functional.unfold(cresset.arange(6.0).view(1, 2, 3), 2)
    tensor([[0., 1.],
            [1., 2.],
            [3., 4.],
            [4., 5.]])
    """
    numbers = _pairs("unfold", kernel_size, dilation, padding, stride)
    if input.layout.ndim == 3:
        return squeeze(columns_of_blocks(unsqueeze(input, 0).contiguous(), *numbers), 0)
    return columns_of_blocks(input.contiguous(), *numbers)


def fold(input, output_size, kernel_size, dilation=1, padding=0, stride=1):
    """Images on which the columns of `unfold` are added where their blocks lie.

    input (N, C kh kw, L) or (C kh kw, L) gives (N, C, *output_size), or that of one image. Where
    blocks overlap their elements add up. Raises RuntimeError where L is not the number of blocks.

    >>> import cresset
    >>> F = cresset.nn.functional
    >>> F.fold(F.unfold(cresset.ones(1, 2, 3), 2), (2, 3), 2)
    tensor([[[1., 2., 1.],
             [1., 2., 1.]]])
    """
    size = along_dims("fold", "output_size", output_size, 2)
    numbers = _pairs("fold", kernel_size, dilation, padding, stride)
    if input.layout.ndim == 2:
        return squeeze(blocks_of_columns(unsqueeze(input, 0).contiguous(), size, *numbers), 0)
    return blocks_of_columns(input.contiguous(), size, *numbers)


def _pairs(operation, *values):
    names = "kernel_size", "dilation", "padding", "stride"
    return [along_dims(operation, name, value, 2) for name, value in zip(names, values)]
