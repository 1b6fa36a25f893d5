"""Convolutions and transposed convolutions of signals, images and volumes."""

from __future__ import annotations

from cresset.core.layout import Layout
from cresset.core.tensor import Tensor
from cresset.kernels import convolution as kernels
from cresset.ops.kinds import special
from cresset.ops.kinds.promotion import computed
from cresset.ops.operation import called, takes
from cresset.ops.pointwise.complex_numbers import conj, view_as_complex, view_as_real
from cresset.ops.shapes.joining import stack
from cresset.ops.shapes.shape import movedim, narrow, reshape, squeeze, unsqueeze
from cresset.runtime.program import Program

__all__ = ["conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d",
           "conv_transpose3d"]


# What a convolution of so many dims is of.
ONE = {1: "a signal", 2: "an image", 3: "a volume"}


def along_dims(operation: str, name: str, value, rank: int) -> tuple[int, ...]:
    """A number for each of so many dims: one for all of them, or one each."""
    numbers = (value,) * rank if isinstance(value, int) else tuple(value)
    if len(numbers) == 1:
        numbers *= rank
    if not all(isinstance(n, int) for n in numbers):
        raise TypeError(f"{operation}: {name} must be an integer or {rank} of them; got {value!r}")
    if len(numbers) != rank:
        raise RuntimeError(f"{operation}: expected {name} to be a single integer value or a list "
                           f"of {rank} values; got {value!r}")
    return numbers


# --- the operations, on packed operands -----------------------------------------------------------
@takes("numbers")
@called("convolution")
@special
def direct_convolution(x: Tensor, weight: Tensor, bias: Tensor | None, stride, padding, dilation,
                       groups):
    """The convolution, every parameter with a number for each dim."""
    name = f"conv{len(stride)}d"
    _check_operands(name, x, weight, bias, weight.shape[1:2], weight.shape[:1], groups)
    _check_numbers(name, stride, padding, dilation, groups)
    if weight.shape[0] % groups:
        raise RuntimeError(f"{name}: expected weight to be at least one filter for each group; got "
                           f"weight {list(weight.shape)} and groups {groups}; need a number of "
                           "filters, dim 0, that groups divide")
    reach = _reach(weight, dilation)
    size = tuple((n + 2 * p - r) // s + 1
                 for n, r, s, p in zip(x.shape[2:], reach, stride, padding))
    if min(size) < 1 or 0 in weight.shape[2:]:
        padded = [n + 2 * p for n, p in zip(x.shape[2:], padding)]
        raise RuntimeError(f"{name}: Calculated padded input size per channel: {padded}. Kernel "
                           f"size: {reach}. Kernel size can't be greater than actual input size; "
                           "give a larger input, padding, or a smaller kernel")
    out = Layout.packed((x.shape[0], weight.shape[0], *size), x.dtype)
    return _biased(out, bias, kernels.convolution(
        x, weight, out, stride, padding, dilation, groups, (1, 2, 0),
        None if bias is None else 3, first_temporary=4))


@takes("numbers")
@called("convolution")
@special
def transposed_convolution(x: Tensor, weight: Tensor, bias: Tensor | None, shape, stride, padding,
                           dilation, groups):
    """What `direct_convolution` has for the gradient of an input of `shape`, plus a bias."""
    out = Layout.packed(shape, x.dtype)
    return _biased(out, bias, kernels.convolution_input_gradient(
        x, weight, out, stride, padding, dilation, groups, (1, 2, 0),
        None if bias is None else 3, first_temporary=4))


@called("convolution")
@special
def convolution_by_weight(output: Tensor, x: Tensor, shape, stride, padding, dilation, groups):
    """The gradient of `direct_convolution` by the weight, which has `shape`."""
    out = Layout.packed(shape, output.dtype)
    launches, temporaries = kernels.convolution_weight_gradient(
        output, x, out, stride, padding, dilation, groups, (1, 2, 0), first_temporary=3)
    return Program("tt", (out,), tuple(launches), tuple(temporaries))


def _biased(out: Layout, bias, made) -> Program:
    launches, temporaries = made
    letters = "ttn" if bias is None else "ttt"
    return Program(letters, (out,), tuple(launches), tuple(temporaries))


@direct_convolution.gradient
def _direct_gradient(g, x, weight, stride, padding, dilation, groups, needs):
    geometry = (stride, padding, dilation, groups)
    g = g.contiguous()
    by_x = by_weight = None
    if needs[0]:
        by_x = transposed_convolution(g, weight.contiguous(), None, tuple(x.layout.shape),
                                      *geometry)
    if needs[1]:
        by_weight = convolution_by_weight(g, x.contiguous(), tuple(weight.layout.shape), *geometry)
    return by_x, by_weight, _by_bias(g) if needs[2] else None


@transposed_convolution.gradient
def _transposed_gradient(g, x, weight, stride, padding, dilation, groups, needs):
    geometry = (stride, padding, dilation, groups)
    g = g.contiguous()
    by_x = by_weight = None
    if needs[0]:
        by_x = _cut(direct_convolution(g, weight.contiguous(), None, *geometry), x.layout)
    if needs[1]:
        by_weight = convolution_by_weight(x.contiguous(), g, tuple(weight.layout.shape), *geometry)
    return by_x, by_weight, _by_bias(g) if needs[2] else None


@convolution_by_weight.gradient
def _weight_gradient_gradient(g, output, x, stride, padding, dilation, groups, needs):
    geometry = (stride, padding, dilation, groups)
    g = g.contiguous()
    by_output = by_x = None
    if needs[0]:
        by_output = _cut(direct_convolution(x.contiguous(), g, None, *geometry), output.layout)
    if needs[1]:
        by_x = transposed_convolution(output.contiguous(), g, None, tuple(x.layout.shape),
                                      *geometry)
    return by_output, by_x


def _cut(x, layout):
    """x without the ends that an output padding of a whole stride adds."""
    for dim in range(2, layout.ndim):
        if x.layout.shape[dim] > layout.shape[dim]:
            x = narrow(x, dim, 0, layout.shape[dim])
    return x


def _by_bias(g):
    return g.sum((0, *range(2, g.layout.ndim)))


# --- what is refused ------------------------------------------------------------------------------
def _check_operands(name, x: Layout, weight: Layout, bias, inputs, outputs, groups):
    """Raises RuntimeError unless types, ranks and channels fit.

    `inputs` are the input's channels that the weight has for a group, `outputs` those of the bias.
    """
    computed(name, x.dtype)
    rank = int(name[-2])
    if x.ndim != rank + 2 or weight.ndim != rank + 2:
        raise RuntimeError(
            f"{name}: Expected {rank + 1}D (unbatched) or {rank + 2}D (batched) input and a "
            f"{rank + 2}D weight; got shapes {tuple(x.shape)} and {tuple(weight.shape)}"
        )
    if x.dtype is not weight.dtype or (bias is not None and bias.dtype is not x.dtype):
        types = f"({x.dtype}) and weight type ({weight.dtype})"
        if x.dtype is weight.dtype:
            types = f"({x.dtype}) and bias type ({bias.dtype})"
        raise RuntimeError(f"{name}: Input type {types} should be the same; convert one with "
                           ".to(...)")
    needed = inputs[0] * groups
    if x.shape[1] != needed:
        raise RuntimeError(
            f"{name}: Given groups={groups}, weight of size {list(weight.shape)}, expected input"
            f"{list(x.shape)} to have {needed} channels, but got {x.shape[1]} channels instead; "
            f"channels are dim 1, and of {ONE[rank]} alone dim 0"
        )
    if bias is not None and tuple(bias.shape) != tuple(outputs):
        raise RuntimeError(
            f"{name}: Given weight of size {list(weight.shape)}, expected bias to be 1-dimensional "
            f"with {outputs[0]} elements; got bias of size {list(bias.shape)}"
        )


def _check_numbers(name, stride, padding, dilation, groups):
    if min(*stride, *dilation, groups) < 1 or min(padding) < 0:
        raise RuntimeError(f"{name}: stride, dilation and groups must be positive and padding not "
                           f"negative; got {stride}, {dilation}, {groups} and {padding}")


def _reach(weight: Layout, dilation) -> list[int]:
    """The extent of the filters along each dim."""
    return [d * (k - 1) + 1 for k, d in zip(weight.shape[2:], dilation)]


# --- convolutions ---------------------------------------------------------------------------------
def conv1d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """The cross-correlation of signals with filters.

    input (N, C, L) or (C, L), weight (O, C / groups, k), bias (O) give (N, O, L'); see `conv2d`.
    """
    return _convolution(1, input, weight, bias, stride, padding, dilation, groups)


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """The cross-correlation of images with filters.

    input (N, C, H, W) or (C, H, W), weight (O, C / groups, kh, kw), bias (O) give (N, O, H', W'),
    H' = floor((H + 2 padding - dilation (kh - 1) - 1) / stride) + 1. `padding` may be "same" (then
    stride 1) or "valid". Raises RuntimeError for operands that do not fit.

    >>> import cresset
    >>> x = cresset.ones(1, 1, 3, 3)
    >>> cresset.nn.functional.conv2d(x, cresset.ones(1, 1, 2, 2)).shape
    torch.Size([1, 1, 2, 2])
    """
    return _convolution(2, input, weight, bias, stride, padding, dilation, groups)


def conv3d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """The cross-correlation of volumes with filters.

    input (N, C, D, H, W) or (C, D, H, W), weight (O, C / groups, kd, kh, kw), bias (O) give
    (N, O, D', H', W'); see `conv2d`.
    """
    return _convolution(3, input, weight, bias, stride, padding, dilation, groups)


def _convolution(rank, x, weight, bias, stride, padding, dilation, groups):
    if x.layout.ndim == rank + 1:
        alone = unsqueeze(x, 0)
        made = _convolution(rank, alone, weight, bias, stride, padding, dilation, groups)
        return squeeze(made, 0)
    name = f"conv{rank}d"
    stride = along_dims(name, "stride", stride, rank)
    dilation = along_dims(name, "dilation", dilation, rank)
    if isinstance(padding, str):
        x, padding = _named_padding(name, x, weight, padding, stride, dilation)
    geometry = (stride, along_dims(name, "padding", padding, rank), dilation, groups)
    if not (x.layout.dtype.is_complex and weight.layout.dtype.is_complex):
        return direct_convolution(x.contiguous(), weight.contiguous(), _packed(bias), *geometry)
    # (x + y i) (u + v i) has the parts [x y] [u -v] and [x y] [v u]: those of the filter's
    # conjugate and of i times that.
    turned = conj(weight)
    filters = _paired(stack((turned, turned * 1j), 1).flatten(0, 1), 1)
    return _from_pairs(direct_convolution(_paired(x, 1), filters, _parts(bias), *geometry))


def _packed(bias):
    return None if bias is None else bias.contiguous()


def _paired(x, dim):
    """Complex channels as twice as many real ones, each one's parts after the other."""
    parts = movedim(view_as_real(x), -1, dim + 1)
    return parts.flatten(dim, dim + 1).contiguous()


def _parts(bias):
    return None if bias is None else reshape(view_as_real(bias), (-1,))


def _from_pairs(x):
    """The complex channels of `_paired`."""
    return view_as_complex(movedim(x.unflatten(1, (-1, 2)), 2, -1).contiguous())


def _named_padding(operation, x, weight, name, stride, dilation):
    """(the input, the padding) that "same" or "valid" means."""
    if name == "valid":
        return x, 0
    if name != "same" or max(stride) != 1:
        raise RuntimeError(f"{operation}: padding must be 'valid', or 'same' with stride 1; got "
                           f"{name!r} and stride {stride}")
    total = [reach - 1 for reach in _reach(weight.layout, dilation)]
    if all(n % 2 == 0 for n in total):
        return x, tuple(n // 2 for n in total)
    from cresset.ops.neural.padding import pad

    edges = [(n // 2, n - n // 2) for n in reversed(total)]
    return pad(x, [n for edge in edges for n in edge]), 0


# --- transposed convolutions ----------------------------------------------------------------------
def conv_transpose1d(input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1,
                     dilation=1):
    """The transposed convolution of signals: the gradient of `conv1d` by its input.

    input (N, C, L) or (C, L), weight (C, O / groups, k), bias (O) give (N, O, L'); see
    `conv_transpose2d`.
    """
    return _transposed(1, input, weight, bias, stride, padding, output_padding, groups, dilation)


def conv_transpose2d(input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1,
                     dilation=1):
    """The transposed convolution of images: the gradient of `conv2d` by its input.

    input (N, C, H, W) or (C, H, W), weight (C, O / groups, kh, kw), bias (O) give (N, O, H', W'),
    H' = (H - 1) stride - 2 padding + dilation (kh - 1) + output_padding + 1. With a stride several
    sizes of an image give the same size of a convolution; `output_padding` chooses among them.
    Raises RuntimeError for operands that do not fit.

    >>> import cresset
    >>> x = cresset.ones(1, 1, 2, 2)
    >>> cresset.nn.functional.conv_transpose2d(x, cresset.ones(1, 1, 2, 2), stride=2).shape
    torch.Size([1, 1, 4, 4])
    """
    return _transposed(2, input, weight, bias, stride, padding, output_padding, groups, dilation)


def conv_transpose3d(input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1,
                     dilation=1):
    """The transposed convolution of volumes: the gradient of `conv3d` by its input.

    input (N, C, D, H, W) or (C, D, H, W), weight (C, O / groups, kd, kh, kw), bias (O) give
    (N, O, D', H', W'); see `conv_transpose2d`.
    """
    return _transposed(3, input, weight, bias, stride, padding, output_padding, groups, dilation)


def _transposed(rank, x, weight, bias, stride, padding, output_padding, groups, dilation):
    if x.layout.ndim == rank + 1:
        alone = unsqueeze(x, 0)
        made = _transposed(rank, alone, weight, bias, stride, padding, output_padding, groups,
                           dilation)
        return squeeze(made, 0)
    name = f"conv_transpose{rank}d"
    stride, padding, extra, dilation = (
        along_dims(name, said, value, rank)
        for said, value in (("stride", stride), ("padding", padding),
                            ("output_padding", output_padding), ("dilation", dilation))
    )
    _check_numbers(name, stride, padding, dilation, groups)
    source, filters = x.layout, weight.layout
    # The weight of a transposed convolution has all input channels first.
    inputs = (filters.shape[0] // groups,) if filters.ndim else ()
    outputs = tuple(n * groups for n in filters.shape[1:2])
    _check_operands(name, source, filters, None if bias is None else bias.layout, inputs, outputs,
                    groups)
    if min(extra) < 0 or any(e >= max(s, d) for e, s, d in zip(extra, stride, dilation)):
        raise RuntimeError(
            f"{name}: output padding must be smaller than either stride or dilation; got "
            f"output_padding {extra}, stride {stride} and dilation {dilation}"
        )
    size = tuple((n - 1) * s - 2 * p + r + e for n, s, p, r, e in zip(
        source.shape[2:], stride, padding, _reach(filters, dilation), extra))
    if min(size) < 0 or 0 in source.shape[2:] or 0 in filters.shape[2:]:
        raise RuntimeError(
            f"{name}: Given input size per channel: {list(source.shape[2:])}. Calculated output "
            f"size per channel: {list(size)}. Output size is too small; give a larger input or "
            "kernel, or less padding"
        )
    geometry = (stride, padding, dilation, groups)
    if not source.dtype.is_complex:
        return transposed_convolution(x.contiguous(), weight.contiguous(), _packed(bias),
                                      (source.shape[0], *outputs, *size), *geometry)
    # Each part of an input channel has filters of its own: (x + y i) w is x w + y (i w).
    filters = _paired(stack((weight, weight * 1j), 1).flatten(0, 1), 1)
    shape = (source.shape[0], 2 * outputs[0], *size)
    return _from_pairs(
        transposed_convolution(_paired(x, 1), filters, _parts(bias), shape, *geometry))
