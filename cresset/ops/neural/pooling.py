"""Pooling of signals, images and volumes: the greatest or the average of windows."""

from __future__ import annotations

from math import inf, prod

from cresset.core import dtype as types
from cresset.core.layout import Layout
from cresset.core.tensor import Tensor
from cresset.kernels import pooling as kernels
from cresset.kernels.pooling import Geometry
from cresset.ops.creation.tensors import zeros
from cresset.ops.indexing.gathering import gather, scatter
from cresset.ops.kinds import special
from cresset.ops.kinds.promotion import computed
from cresset.ops.neural.activation import relu
from cresset.ops.neural.convolution import along_dims
from cresset.ops.operation import called, takes
from cresset.ops.pointwise.arithmetic import abs, sign
from cresset.ops.shapes.shape import reshape, squeeze, unsqueeze
from cresset.runtime.program import Program

__all__ = [
    "adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d", "adaptive_max_pool1d",
    "adaptive_max_pool2d", "adaptive_max_pool3d", "avg_pool1d", "avg_pool2d", "avg_pool3d",
    "lp_pool1d", "lp_pool2d", "lp_pool3d", "max_pool1d", "max_pool2d", "max_pool3d",
    "max_unpool1d", "max_unpool2d", "max_unpool3d",
]


# --- the operations, on packed operands -----------------------------------------------------------
def _program(letters, outputs, made) -> Program:
    launches, temporaries = made
    return Program(letters, outputs, tuple(launches), tuple(temporaries))


def _windows(operation, x: Layout, kernel, stride, padding, dilation, ceil_mode) -> tuple:
    """The shape of the result; raises RuntimeError where no window fits."""
    computed(operation, x.dtype)
    _check_rank(operation, x, len(kernel))
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


def _shares(operation, x: Layout, size) -> tuple:
    """The shape of the result; raises RuntimeError where shares would have no elements."""
    computed(operation, x.dtype)
    _check_rank(operation, x, len(size))
    if min(size) < 0:
        raise RuntimeError(f"{operation}: elements of output_size must be greater than or equal to "
                           f"0; got {tuple(size)}")
    return (*x.shape[:2], *size)


def _check_rank(operation, x: Layout, rank):
    if x.ndim != rank + 2:
        raise RuntimeError(
            f"{operation}: Expected {rank + 1}D or {rank + 2}D (batch mode) tensor with non-zero "
            f"planes; got {tuple(x.shape)}"
        )


@takes("numbers")
@called("max_pool2d")
@special
def greatest_of_windows(x: Tensor, kernel, stride, padding, dilation, ceil_mode):
    """(max_pool, the places of the values in their volumes)."""
    shape = _windows(f"max_pool{len(kernel)}d", x, kernel, stride, padding, dilation, ceil_mode)
    out, places = Layout.packed(shape, x.dtype), Layout.packed(shape, types.int64)
    geometry = Geometry.of(kernel, stride, padding, dilation)
    return _program("t", (out, places), kernels.max_pool(x, out, geometry, (2, 0, 1)))


@takes("numbers")
@called("adaptive_max_pool2d")
@special
def greatest_of_shares(x: Tensor, size):
    """(adaptive_max_pool, the places of the values in their volumes)."""
    operation = f"adaptive_max_pool{len(size)}d"
    shape = _shares(operation, x, size)
    if 0 in x.shape[2:]:
        raise RuntimeError(f"{operation}: Expected input to have non-zero size for non-batch "
                           f"dimensions; got {tuple(x.shape)}")
    out, places = Layout.packed(shape, x.dtype), Layout.packed(shape, types.int64)
    return _program("t", (out, places), kernels.max_pool(x, out, None, (2, 0, 1)))


@special
def greatest_of_windows_backward(output: Tensor, places: Tensor, shape):
    """The gradient of the greatest: each one added at the place it came from."""
    x = Layout.packed(shape, output.dtype)
    return _program("tt", (x,), kernels.max_pool_gradient(output, x, (1, 2, 0)))


@greatest_of_windows.gradient
def _greatest_gradient(gs, out1, x_layout):
    return greatest_of_windows_backward(gs[0].contiguous(), out1, tuple(x_layout.shape))


greatest_of_shares.gradient(_greatest_gradient)


@greatest_of_windows_backward.gradient
def _greatest_gradient_gradient(g, places):
    flat = gather(g.flatten(2), 2, places.flatten(2))
    return reshape(flat, tuple(places.layout.shape)), None


@takes("numbers")
@called("avg_pool2d")
@special
def average_of_windows(x: Tensor, kernel, stride, padding, ceil_mode, count_include_pad, divisor):
    """avg_pool."""
    ones = (1,) * len(kernel)
    operation = f"avg_pool{len(kernel)}d"
    shape = _windows(operation, x, kernel, stride, padding, ones, ceil_mode)
    out = Layout.packed(shape, x.dtype)
    return _program("t", (out,), kernels.avg_pool(
        x, out, Geometry.of(kernel, stride, padding), count_include_pad, divisor, (1, 0)))


@special
def average_of_windows_backward(output: Tensor, shape, kernel, stride, padding, ceil_mode,
                                count_include_pad, divisor):
    """The gradient of average_of_windows: each one shared out over its window."""
    x = Layout.packed(shape, output.dtype)
    return _program("t", (x,), kernels.avg_pool_gradient(
        output, x, Geometry.of(kernel, stride, padding), count_include_pad, divisor, (1, 0)))


@average_of_windows.gradient
def _average_gradient(g, x_layout, kernel, stride, padding, ceil_mode, count_include_pad, divisor):
    return average_of_windows_backward(
        g.contiguous(), tuple(x_layout.shape), kernel, stride, padding, ceil_mode,
        count_include_pad, divisor)


@average_of_windows_backward.gradient
def _average_gradient_gradient(g, kernel, stride, padding, ceil_mode, count_include_pad, divisor):
    return average_of_windows(
        g.contiguous(), kernel, stride, padding, ceil_mode, count_include_pad, divisor)


@takes("numbers")
@called("adaptive_avg_pool2d")
@special
def average_of_shares(x: Tensor, size):
    """adaptive_avg_pool."""
    out = Layout.packed(_shares(f"adaptive_avg_pool{len(size)}d", x, size), x.dtype)
    return _program("t", (out,), kernels.avg_pool(x, out, None, False, None, (1, 0)))


@special
def average_of_shares_backward(output: Tensor, shape):
    """The gradient of average_of_shares."""
    x = Layout.packed(shape, output.dtype)
    return _program("t", (x,), kernels.avg_pool_gradient(output, x, None, False, None, (1, 0)))


@average_of_shares.gradient
def _shares_gradient(g, x_layout):
    return average_of_shares_backward(g.contiguous(), tuple(x_layout.shape))


@average_of_shares_backward.gradient
def _shares_gradient_gradient(g, output_layout):
    return average_of_shares(g.contiguous(), tuple(output_layout.shape[2:]))


# --- the greatest ---------------------------------------------------------------------------------
def max_pool1d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False,
               return_indices=False):
    """The greatest element of every window of a signal, (N, C, L) or (C, L); see `max_pool2d`."""
    return _greatest(1, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def max_pool2d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False,
               return_indices=False):
    """The greatest element of every window of an image; NaN wins.

    input (N, C, H, W) or (C, H, W). `stride` is the kernel's size unless given; the padding counts
    as minus infinity; `ceil_mode` keeps windows that reach over the end. With `return_indices` also
    where each was found, row * W + column. Raises RuntimeError where no window fits.

    >>> import cresset
    >>> x = cresset.arange(16.0).view(1, 1, 4, 4)
    >>> cresset.nn.functional.max_pool2d(x, 2).flatten()
    tensor([ 5.,  7., 13., 15.])
    """
    return _greatest(2, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def max_pool3d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False,
               return_indices=False):
    """The greatest element of every window of a volume, (N, C, D, H, W) or (C, D, H, W); see
    `max_pool2d`.
    """
    return _greatest(3, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def _greatest(rank, x, kernel_size, stride, padding, dilation, ceil_mode, return_indices):
    kernel, stride, padding, dilation = _numbers(
        f"max_pool{rank}d", rank, kernel_size, stride, padding, dilation)

    def pool(x):
        return greatest_of_windows(x.contiguous(), kernel, stride, padding, dilation,
                                   bool(ceil_mode))

    values, places = _batched(rank, x, pool)
    return (values, places) if return_indices else values


def _numbers(operation, rank, kernel_size, stride, *others):
    """Kernel, stride, padding and dilation with a number for each dim."""
    kernel = along_dims(operation, "kernel_size", kernel_size, rank)
    step = kernel if stride in (None, [], ()) else along_dims(operation, "stride", stride, rank)
    return kernel, step, *(along_dims(operation, name, value, rank)
                           for name, value in zip(("padding", "dilation"), others))


def _batched(rank, x, pool):
    """What `pool` gives for x, or for a batch of x alone."""
    if x.layout.ndim != rank + 1:
        return pool(x)
    made = pool(unsqueeze(x, 0))
    if isinstance(made, tuple):
        return tuple(squeeze(part, 0) for part in made)
    return squeeze(made, 0)


def adaptive_max_pool1d(input, output_size, return_indices=False):
    """The greatest of windows that divide a signal evenly; see `adaptive_max_pool2d`."""
    return _greatest_share(1, input, output_size, return_indices)


def adaptive_max_pool2d(input, output_size, return_indices=False):
    """The greatest of windows that divide an image evenly into `output_size`, (rows, columns).

    input (N, C, H, W) or (C, H, W). None keeps the image's own size in that dim. With
    `return_indices` also where each was found, row * W + column.

    >>> import cresset
    >>> x = cresset.arange(15.0).view(1, 3, 5)
    >>> cresset.nn.functional.adaptive_max_pool2d(x, (1, 2))
    tensor([[[12., 14.]]])
    """
    return _greatest_share(2, input, output_size, return_indices)


def adaptive_max_pool3d(input, output_size, return_indices=False):
    """The greatest of windows that divide a volume evenly; see `adaptive_max_pool2d`."""
    return _greatest_share(3, input, output_size, return_indices)


def _greatest_share(rank, x, output_size, return_indices):
    operation = f"adaptive_max_pool{rank}d"
    size = _size(operation, rank, x, output_size)
    values, places = _batched(rank, x, lambda x: greatest_of_shares(x.contiguous(), size))
    return (values, places) if return_indices else values


def _size(operation, rank, x, output_size):
    """An output size with a number for each dim."""
    size = output_size if isinstance(output_size, (tuple, list)) else (output_size,) * rank
    if len(size) != rank:
        raise RuntimeError(f"{operation}: output_size must be a number or {rank} of them; got "
                           f"{tuple(size)}")
    shape = x.layout.shape[-rank:]
    return tuple(n if k is None else k for n, k in zip(shape, size))


# --- what is put back where it was ----------------------------------------------------------------
def max_unpool1d(input, indices, kernel_size, stride=None, padding=0, output_size=None):
    """`max_pool1d` undone as far as that goes; see `max_unpool2d`."""
    return _unpooled(1, input, indices, kernel_size, stride, padding, output_size)


def max_unpool2d(input, indices, kernel_size, stride=None, padding=0, output_size=None):
    """Zeros with the elements of the input at the places where `max_pool2d` found them.

    input and indices (N, C, H, W) or (C, H, W), those that `max_pool2d` with `return_indices` gave.
    The result has `output_size`, or that of an image which windows of this size cover: (H - 1)
    stride - 2 padding + kernel_size. Where several elements go to one place the last stays. Raises
    ValueError for an `output_size` that the windows do not give and RuntimeError for places outside
    of it.

    >>> import cresset
    >>> F = cresset.nn.functional
    >>> F.max_unpool2d(*F.max_pool2d(cresset.tensor([[[1.0, 3], [2, 0]]]), 2, return_indices=True),
    ...                2)
    tensor([[[0., 3.],
             [0., 0.]]])
    """
    return _unpooled(2, input, indices, kernel_size, stride, padding, output_size)


def max_unpool3d(input, indices, kernel_size, stride=None, padding=0, output_size=None):
    """`max_pool3d` undone as far as that goes; see `max_unpool2d`."""
    return _unpooled(3, input, indices, kernel_size, stride, padding, output_size)


def _unpooled(rank, x, indices, kernel_size, stride, padding, output_size):
    name = f"max_unpool{rank}d"
    kernel, stride, padding = _numbers(name, rank, kernel_size, stride, padding)
    outer, size = tuple(x.layout.shape[:-rank]), x.layout.shape[-rank:]
    if x.layout.ndim not in (rank + 1, rank + 2) or indices.layout.shape != x.layout.shape:
        raise RuntimeError(
            f"{name}: Expected input to be a {rank + 1}d or {rank + 2}d tensor and shape of "
            f"indices to match it; got {tuple(x.layout.shape)} and {tuple(indices.layout.shape)}"
        )
    shape = tuple((n - 1) * s - 2 * p + k for n, s, p, k in zip(size, stride, padding, kernel))
    if output_size is not None:
        given = tuple(output_size)[-rank:]
        if len(output_size) not in (rank, rank + 2) or any(
            not least - s < n < least + s for n, least, s in zip(given, shape, stride)
        ):
            raise ValueError(
                f"{name}: invalid output_size; got {tuple(output_size)}; need a number for each of "
                f"the last {rank} dims, within a stride {stride} of {shape}"
            )
        shape = given
    flat = zeros((*outer, prod(shape)), dtype=x.layout.dtype, device=x.device)
    put = scatter(flat, -1, indices.flatten(-rank), x.flatten(-rank))
    return reshape(put, (*outer, *shape))


# --- averages -------------------------------------------------------------------------------------
def avg_pool1d(input, kernel_size, stride=None, padding=0, ceil_mode=False,
               count_include_pad=True):
    """The average of every window of a signal, (N, C, L) or (C, L); see `avg_pool2d`."""
    return _average(1, input, kernel_size, stride, padding, ceil_mode, count_include_pad, None)


def avg_pool2d(input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True,
               divisor_override=None):
    """The average of every window of an image.

    input (N, C, H, W) or (C, H, W). `stride` is the kernel's size unless given. The padding counts
    as zeros, unless `count_include_pad` is False; `divisor_override` replaces the number of
    elements; `ceil_mode` keeps windows that reach over the end. Raises RuntimeError where no window
    fits.

    >>> import cresset
    >>> cresset.nn.functional.avg_pool2d(cresset.arange(4.0).view(1, 2, 2), 2)
    tensor([[[1.5000]]])
    """
    return _average(2, input, kernel_size, stride, padding, ceil_mode, count_include_pad,
                    divisor_override)


def avg_pool3d(input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True,
               divisor_override=None):
    """The average of every window of a volume, (N, C, D, H, W) or (C, D, H, W); see `avg_pool2d`.
    """
    return _average(3, input, kernel_size, stride, padding, ceil_mode, count_include_pad,
                    divisor_override)


def _average(rank, x, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override):
    operation = f"avg_pool{rank}d"
    if divisor_override == 0:
        raise RuntimeError(f"{operation}: divisor must be not zero; got divisor_override=0")
    kernel, stride, padding = _numbers(operation, rank, kernel_size, stride, padding)

    def pool(x):
        return average_of_windows(x.contiguous(), kernel, stride, padding, bool(ceil_mode),
                                  bool(count_include_pad), divisor_override)

    return _batched(rank, x, pool)


def adaptive_avg_pool1d(input, output_size):
    """The averages of windows that divide a signal evenly; see `adaptive_avg_pool2d`."""
    return _average_share(1, input, output_size)


def adaptive_avg_pool2d(input, output_size):
    """The averages of windows that divide an image evenly into `output_size`, (rows, columns).

    input (N, C, H, W) or (C, H, W). None keeps the image's own size in that dim. Windows may share
    elements: number i of n goes from floor(i H / n) to ceil((i + 1) H / n).

    >>> import cresset
    >>> cresset.nn.functional.adaptive_avg_pool2d(cresset.arange(6.0).view(1, 2, 3), (1, None))
    tensor([[[1.5000, 2.5000, 3.5000]]])
    """
    return _average_share(2, input, output_size)


def adaptive_avg_pool3d(input, output_size):
    """The averages of windows that divide a volume evenly; see `adaptive_avg_pool2d`."""
    return _average_share(3, input, output_size)


def _average_share(rank, x, output_size):
    operation = f"adaptive_avg_pool{rank}d"
    size = _size(operation, rank, x, output_size)
    return _batched(rank, x, lambda x: average_of_shares(x.contiguous(), size))


def lp_pool1d(input, norm_type, kernel_size, stride=None, ceil_mode=False):
    """The p-norm of every window of a signal; see `lp_pool2d`."""
    return _norm(1, input, norm_type, kernel_size, stride, ceil_mode)


def lp_pool2d(input, norm_type, kernel_size, stride=None, ceil_mode=False):
    """The p-norm of every window of an image: (sum of x^p)^(1/p), with p = `norm_type`.

    An infinite p gives the greatest absolute value, or with a minus the least. The root of a
    negative sum, as an odd p may have it, is NaN, and the gradient of a sum of 0 is 0. Otherwise as
    `avg_pool2d`.

    >>> import cresset
    >>> cresset.nn.functional.lp_pool2d(cresset.tensor([[[3.0, 4.0]]]), 2, (1, 2))
    tensor([[[5.]]])
    """
    return _norm(2, input, norm_type, kernel_size, stride, ceil_mode)


def lp_pool3d(input, norm_type, kernel_size, stride=None, ceil_mode=False):
    """The p-norm of every window of a volume; see `lp_pool2d`."""
    return _norm(3, input, norm_type, kernel_size, stride, ceil_mode)


def _norm(rank, x, norm_type, kernel_size, stride, ceil_mode):
    if norm_type == inf:
        return _greatest(rank, abs(x), kernel_size, stride, 0, 1, ceil_mode, False)
    if norm_type == -inf:
        return -_greatest(rank, -abs(x), kernel_size, stride, 0, 1, ceil_mode, False)
    kernel = along_dims(f"lp_pool{rank}d", "kernel_size", kernel_size, rank)
    means = _average(rank, x ** norm_type, kernel, stride, 0, ceil_mode, True, None)
    # The means, with a gradient that is 0 at 0, where that of the root is infinite.
    means = sign(means) * relu(abs(means))
    return (means * prod(kernel)) ** (1 / norm_type)
