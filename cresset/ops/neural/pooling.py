"""Pooling of images: the greatest or the average of windows."""

from __future__ import annotations

from cresset.core import dtype as types
from cresset.core.layout import Layout
from cresset.core.tensor import Tensor
from cresset.kernels import pooling as kernels
from cresset.ops.indexing.gathering import gather
from cresset.ops.kinds import special
from cresset.ops.kinds.promotion import computed
from cresset.ops.neural.convolution import pair
from cresset.ops.operation import called
from cresset.ops.shapes.shape import reshape, squeeze, unsqueeze
from cresset.runtime.program import Program

__all__ = ["adaptive_avg_pool2d", "avg_pool2d", "max_pool2d"]


def _program(letters, outputs, made) -> Program:
    launches, temporaries = made
    return Program(letters, outputs, tuple(launches), tuple(temporaries))


def _windows(operation, x: Layout, kernel, stride, padding, dilation, ceil_mode) -> tuple:
    """The shape of the result; raises RuntimeError where no window fits."""
    computed(operation, x.dtype)
    if x.ndim != 4:
        raise RuntimeError(
            f"{operation}: Expected 3D or 4D (batch mode) tensor with non-zero planes; got "
            f"{tuple(x.shape)}"
        )
    if min(*kernel, *stride, *dilation) < 1 or any(2 * p > k for p, k in zip(padding, kernel)) or (
        min(padding) < 0
    ):
        raise RuntimeError(
            f"{operation}: kernel_size, stride and dilation must be positive, and padding at most "
            f"half of kernel_size; got {kernel}, {stride}, {dilation} and padding {padding}"
        )
    size = []
    for n, k, s, p, d in zip(x.shape[2:], kernel, stride, padding, dilation):
        room = n + 2 * p - d * (k - 1) - 1
        count = (room + (s - 1 if ceil_mode else 0)) // s + 1
        # The last window must start inside of the image or its left padding.
        if ceil_mode and (count - 1) * s >= n + p:
            count -= 1
        size.append(count)
    if min(size) < 1:
        raise RuntimeError(
            f"{operation}: Given input size {tuple(x.shape[1:])}. Calculated output size: "
            f"{(x.shape[1], *size)}. Output size is too small; give a larger input or "
            "padding, or a smaller kernel_size"
        )
    return (*x.shape[:2], *size)


@called("max_pool2d")
@special
def greatest_of_windows(x: Tensor, kernel, stride, padding, dilation, ceil_mode):
    """(max_pool2d, the places of the values in their planes) of packed images."""
    shape = _windows("max_pool2d", x, kernel, stride, padding, dilation, ceil_mode)
    out, places = Layout.packed(shape, x.dtype), Layout.packed(shape, types.int64)
    made = kernels.max_pool2d(x, out, kernel, stride, padding, dilation, (2, 0, 1))
    return _program("t", (out, places), made)


@special
def greatest_of_windows_backward(output: Tensor, places: Tensor, shape):
    """The gradient of greatest_of_windows: each one added at the place it came from."""
    x = Layout.packed(shape, output.dtype)
    return _program("tt", (x,), kernels.max_pool2d_gradient(output, x, (1, 2, 0)))


@greatest_of_windows.gradient
def _greatest_gradient(gs, outs, x_layout):
    return greatest_of_windows_backward(gs[0].contiguous(), outs[1], tuple(x_layout.shape))


@greatest_of_windows_backward.gradient
def _greatest_gradient_gradient(g, places):
    flat = gather(g.flatten(2), 2, places.flatten(2))
    return reshape(flat, tuple(places.layout.shape)), None


def max_pool2d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False,
               return_indices=False):
    """The greatest element of every window of an image; NaN wins.

    input (N, C, H, W) or (C, H, W). `stride` is the kernel's size unless given; the padding counts
    as minus infinity. With `return_indices` also where each was found, row * W + column.

    >>> import cresset
    >>> x = cresset.arange(16.0).view(1, 1, 4, 4)
    >>> cresset.nn.functional.max_pool2d(x, 2).flatten()
    tensor([ 5.,  7., 13., 15.])
    """
    if input.layout.ndim == 3:
        found = max_pool2d(unsqueeze(input, 0), kernel_size, stride, padding, dilation, ceil_mode,
                           True)
        values, places = (squeeze(t, 0) for t in found)
    else:
        kernel = pair(kernel_size, "kernel_size")
        values, places = greatest_of_windows(
            input.contiguous(), kernel, kernel if stride in (None, []) else pair(stride, "stride"),
            pair(padding, "padding"), pair(dilation, "dilation"), bool(ceil_mode),
        )
    return (values, places) if return_indices else values


@called("avg_pool2d")
@special
def average_of_windows(x: Tensor, kernel, stride, padding, ceil_mode, count_include_pad, divisor):
    """avg_pool2d of packed images."""
    out = Layout.packed(
        _windows("avg_pool2d", x, kernel, stride, padding, (1, 1), ceil_mode), x.dtype)
    return _program("t", (out,), kernels.avg_pool2d(
        x, out, kernel, stride, padding, count_include_pad, divisor, (1, 0)))


@special
def average_of_windows_backward(output: Tensor, shape, kernel, stride, padding, ceil_mode,
                                count_include_pad, divisor):
    """The gradient of average_of_windows: each one shared out over its window."""
    x = Layout.packed(shape, output.dtype)
    return _program("t", (x,), kernels.avg_pool2d_gradient(
        output, x, kernel, stride, padding, count_include_pad, divisor, (1, 0)))


@average_of_windows.gradient
def _average_gradient(g, x_layout, kernel, stride, padding, ceil_mode, count_include_pad, divisor):
    return average_of_windows_backward(
        g.contiguous(), tuple(x_layout.shape), kernel, stride, padding, ceil_mode,
        count_include_pad, divisor)


@average_of_windows_backward.gradient
def _average_gradient_gradient(g, kernel, stride, padding, ceil_mode, count_include_pad, divisor):
    return average_of_windows(
        g.contiguous(), kernel, stride, padding, ceil_mode, count_include_pad, divisor)


def avg_pool2d(input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True,
               divisor_override=None):
    """The average of every window of an image.

    input (N, C, H, W) or (C, H, W). The padding counts as zeros, unless `count_include_pad` is
    False; `divisor_override` replaces the number of elements.
    """
    if input.layout.ndim == 3:
        return squeeze(avg_pool2d(unsqueeze(input, 0), kernel_size, stride, padding, ceil_mode,
                                  count_include_pad, divisor_override), 0)
    if divisor_override == 0:
        raise RuntimeError("avg_pool2d: divisor must be not zero")
    kernel = pair(kernel_size, "kernel_size")
    step = kernel if stride in (None, []) else pair(stride, "stride")
    return average_of_windows(input.contiguous(), kernel, step, pair(padding, "padding"),
                              bool(ceil_mode), bool(count_include_pad), divisor_override)


@called("adaptive_avg_pool2d")
@special
def average_of_shares(x: Tensor, size):
    """adaptive_avg_pool2d of packed images."""
    if x.ndim != 4 or min(size) < 0:
        raise RuntimeError(
            f"adaptive_avg_pool2d: Expected 3D or 4D tensor and sizes that are not negative; got "
            f"{tuple(x.shape)} and {size}"
        )
    out = Layout.packed((*x.shape[:2], *size), computed("adaptive_avg_pool2d", x.dtype))
    return _program("t", (out,), kernels.adaptive_avg_pool2d(x, out, (1, 0)))


@special
def average_of_shares_backward(output: Tensor, shape):
    """The gradient of average_of_shares."""
    x = Layout.packed(shape, output.dtype)
    return _program("t", (x,), kernels.adaptive_avg_pool2d_gradient(output, x, (1, 0)))


@average_of_shares.gradient
def _shares_gradient(g, x_layout):
    return average_of_shares_backward(g.contiguous(), tuple(x_layout.shape))


@average_of_shares_backward.gradient
def _shares_gradient_gradient(g, output_layout):
    return average_of_shares(g.contiguous(), tuple(output_layout.shape[2:]))


def adaptive_avg_pool2d(input, output_size):
    """The averages of windows that divide an image evenly into `output_size`, (rows, columns).

    None keeps the image's own size in that dim.
    """
    if input.layout.ndim == 3:
        return squeeze(adaptive_avg_pool2d(unsqueeze(input, 0), output_size), 0)
    size = output_size if isinstance(output_size, (tuple, list)) else (output_size,) * 2
    size = tuple(n if k is None else k for n, k in zip(input.layout.shape[2:], size))
    return average_of_shares(input.contiguous(), size)
