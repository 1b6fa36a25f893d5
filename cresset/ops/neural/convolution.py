"""Convolutions, in one and two dims."""

from __future__ import annotations

from cresset.core.layout import Layout
from cresset.core.tensor import Tensor
from cresset.kernels import convolution as kernels
from cresset.ops.kinds import special
from cresset.ops.kinds.promotion import computed
from cresset.ops.operation import called, counts_as
from cresset.ops.pointwise.complex_numbers import (
    complex,
    conj,
    imag,
    real,
    view_as_complex,
    view_as_real,
)
from cresset.ops.shapes.joining import stack
from cresset.ops.shapes.shape import permute, reshape, squeeze, unsqueeze
from cresset.runtime.program import Program

__all__ = ["conv1d", "conv2d"]


def pair(value, name="value") -> tuple[int, int]:
    """A number for both dims, or a pair of them."""
    if isinstance(value, int):
        return value, value
    value = tuple(value)
    if len(value) == 1:
        value *= 2
    if len(value) != 2 or not all(isinstance(n, int) for n in value):
        raise TypeError(f"conv2d: {name} must be an integer or two of them; got {value!r}")
    return value


def _checked(x: Layout, weight: Layout, bias, stride, padding, dilation, groups) -> tuple[int, int]:
    """The output's height and width; raises RuntimeError where the operands do not fit."""
    computed("conv2d", x.dtype)
    if x.ndim != 4 or weight.ndim != 4:
        raise RuntimeError(
            f"conv2d: Expected 3D (unbatched) or 4D (batched) input and a 4D weight; got shapes "
            f"{tuple(x.shape)} and {tuple(weight.shape)}"
        )
    if x.dtype is not weight.dtype:
        raise RuntimeError(
            f"conv2d: Input type ({x.dtype}) and weight type ({weight.dtype}) should be the same"
        )
    channels, outputs = x.shape[1], weight.shape[0]
    if min(*stride, *dilation, groups) < 1 or min(padding) < 0:
        raise RuntimeError(f"conv2d: stride, dilation and groups must be positive and padding not "
                           f"negative; got {stride}, {dilation}, {groups} and {padding}")
    if channels != weight.shape[1] * groups or outputs % groups:
        raise RuntimeError(
            f"conv2d: Given groups={groups}, weight of size {list(weight.shape)}, expected input"
            f"{list(x.shape)} to have {weight.shape[1] * groups} channels, but got {channels} "
            "channels instead; channels are dim 1, and of an image alone dim 0"
        )
    if bias is not None and tuple(bias.shape) != (outputs,):
        raise RuntimeError(
            f"conv2d: expected bias to be 1-dimensional with {outputs} elements; got "
            f"{tuple(bias.shape)}"
        )
    size = tuple(
        (n + 2 * p - d * (k - 1) - 1) // s + 1
        for n, k, s, p, d in zip(x.shape[2:], weight.shape[2:], stride, padding, dilation)
    )
    if min(size) < 1 or 0 in weight.shape[2:]:
        padded = [n + 2 * p for n, p in zip(x.shape[2:], padding)]
        reach = [d * (k - 1) + 1 for k, d in zip(weight.shape[2:], dilation)]
        raise RuntimeError(f"conv2d: Calculated padded input size per channel: {padded}. Kernel "
                           f"size: {reach}. Kernel size can't be greater than actual input size; "
                           "give a larger input, padding, or a smaller kernel")
    return size


@called("convolution")
@special
def convolution2d(x: Tensor, weight: Tensor, bias: Tensor | None, stride, padding, dilation,
                  groups):
    """conv2d of packed operands; every parameter a pair."""
    size = _checked(x, weight, bias, stride, padding, dilation, groups)
    out = Layout.packed((x.shape[0], weight.shape[0], *size), x.dtype)
    launches, temporaries = kernels.convolution(
        x, weight, out, stride, padding, dilation, groups, (1, 2, 0),
        None if bias is None else 3, first_temporary=4,
    )
    letters = "tt" + ("n" if bias is None else "t")
    return Program(letters, (out,), tuple(launches), tuple(temporaries))


@called("convolution")
@special
def convolution2d_input(output: Tensor, weight: Tensor, shape, stride, padding, dilation, groups):
    """The gradient of convolution2d by x, which has `shape`: the transposed convolution."""
    out = Layout.packed(shape, output.dtype)
    launches, temporaries = kernels.convolution_input_gradient(
        output, weight, out, stride, padding, dilation, groups, (1, 2, 0), first_temporary=3)
    return Program("tt", (out,), tuple(launches), tuple(temporaries))


@called("convolution")
@special
def convolution2d_weight(output: Tensor, x: Tensor, shape, stride, padding, dilation, groups):
    """The gradient of convolution2d by the weight, which has `shape`."""
    out = Layout.packed(shape, output.dtype)
    launches, temporaries = kernels.convolution_weight_gradient(
        output, x, out, stride, padding, dilation, groups, (1, 2, 0), first_temporary=3)
    return Program("tt", (out,), tuple(launches), tuple(temporaries))


@convolution2d.gradient
def _convolution_gradient(g, x, weight, stride, padding, dilation, groups, needs):
    geometry = (stride, padding, dilation, groups)
    g = g.contiguous()
    by_x = by_weight = by_bias = None
    if needs[0]:
        by_x = convolution2d_input(g, weight.contiguous(), tuple(x.layout.shape), *geometry)
    if needs[1]:
        by_weight = convolution2d_weight(g, x.contiguous(), tuple(weight.layout.shape), *geometry)
    if needs[2]:
        by_bias = g.sum((0, 2, 3))
    return by_x, by_weight, by_bias


@convolution2d_input.gradient
def _input_gradient_gradient(g, output, weight, stride, padding, dilation, groups, needs):
    geometry = (stride, padding, dilation, groups)
    g, output = g.contiguous(), output.contiguous()
    by_g = convolution2d(g, weight.contiguous(), None, *geometry) if needs[0] else None
    by_weight = None
    if needs[1]:
        by_weight = convolution2d_weight(
            output, g, tuple(weight.layout.shape), *geometry)
    return by_g, by_weight


@convolution2d_weight.gradient
def _weight_gradient_gradient(g, output, x, stride, padding, dilation, groups, needs):
    geometry = (stride, padding, dilation, groups)
    g, output = g.contiguous(), output.contiguous()
    by_g = convolution2d(x.contiguous(), g, None, *geometry) if needs[0] else None
    by_x = None
    if needs[1]:
        by_x = convolution2d_input(output, g, tuple(x.layout.shape), *geometry)
    return by_g, by_x


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """The cross-correlation of images with filters.

    input (N, C, H, W) or (C, H, W), weight (O, C / groups, kh, kw), bias (O) give (N, O, H', W'),
    H' = floor((H + 2 padding - dilation (kh - 1) - 1) / stride) + 1. `padding` may be "same" (then
    stride 1) or "valid".

    >>> import cresset
    >>> x = cresset.ones(1, 1, 3, 3)
    >>> cresset.nn.functional.conv2d(x, cresset.ones(1, 1, 2, 2)).shape
    torch.Size([1, 1, 2, 2])
    """
    if input.layout.ndim == 3:
        return squeeze(conv2d(unsqueeze(input, 0), weight, bias, stride, padding, dilation, groups),
                       0)
    stride, dilation = pair(stride, "stride"), pair(dilation, "dilation")
    if isinstance(padding, str):
        input, padding = _named_padding(input, weight, padding, stride, dilation)
    args = (stride, pair(padding, "padding"), dilation, groups)
    if input.layout.dtype.is_complex and weight.layout.dtype.is_complex:
        return _complex_conv2d(input, weight, bias, args)
    return convolution2d(input.contiguous(), weight.contiguous(), bias, *args)


def _complex_conv2d(x, weight, bias, args):
    """A real convolution over twice as many channels, those of the parts one after the other.

    (x + y i) (u + v i) has the parts [x y] [u -v] and [x y] [v u]: those of the filter's conjugate
    and of i times that.
    """
    turned = complex(imag(weight), real(weight))
    filters = stack((conj(weight), turned), 1)
    count = weight.layout.shape[0]
    wide = reshape(permute(view_as_real(x), (0, 1, 4, 2, 3)), _doubled(x, 1))
    filters = reshape(permute(view_as_real(filters), (0, 1, 2, 5, 3, 4)),
                      (2 * count, *_doubled(weight, 1)[1:]))
    added = None if bias is None else reshape(view_as_real(bias), (-1,))
    made = convolution2d(wide.contiguous(), filters.contiguous(), added, *args)
    images, _, height, width = made.layout.shape
    pairs = permute(reshape(made, (images, count, 2, height, width)), (0, 1, 3, 4, 2))
    return view_as_complex(pairs.contiguous())


def _doubled(x, dim) -> tuple[int, ...]:
    """The shape of x with twice the size along a dim."""
    return tuple(2 * n if d == dim else n for d, n in enumerate(x.layout.shape))


def _named_padding(x, weight, name, stride, dilation):
    """(the input, the padding) that "same" or "valid" means."""
    if name == "valid":
        return x, (0, 0)
    if name != "same" or stride != (1, 1):
        raise RuntimeError(
            f"conv2d: padding must be 'valid', or 'same' with stride 1; got {name!r} and stride "
            f"{stride}"
        )
    total = [d * (k - 1) for k, d in zip(weight.layout.shape[2:], dilation)]
    if all(n % 2 == 0 for n in total):
        return x, (total[0] // 2, total[1] // 2)
    from cresset.ops.neural.padding import pad

    edges = [(n // 2, n - n // 2) for n in reversed(total)]
    return pad(x, [n for edge in edges for n in edge]), (0, 0)


def conv1d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """The cross-correlation of signals with filters: (N, C, L) and (O, C / groups, k)."""
    def one(value):
        return value if isinstance(value, int) else value[0]

    if not isinstance(padding, str):
        padding = (0, one(padding))
    made = conv2d(unsqueeze(input, -2), unsqueeze(weight, -2), bias, (1, one(stride)), padding,
                  (1, one(dilation)), groups)
    return counts_as(squeeze(made, -2), "convolution")
