"""Padding: entries added at the ends of dims, or taken away."""

from __future__ import annotations

from cresset.core import scalar
from cresset.core.layout import Layout
from cresset.core.limits import fitted
from cresset.core.tensor import Number, Tensor
from cresset.kernels.nest import Nest, Operand, Store, steps
from cresset.ops import dispatch
from cresset.ops.arguments import whole
from cresset.ops.creation.counted import arange
from cresset.ops.indexing.selecting import index_select
from cresset.ops.kinds import special
from cresset.ops.memory.conversion import fill
from cresset.ops.operation import called
from cresset.ops.shapes.shape import narrow
from cresset.runtime.program import Program

__all__ = ["constant_pad_nd", "pad"]


@called("constant_pad_nd")
@special(moves=True)
def bordered(x: Tensor, counts, value: Number):
    """x with (before, after) entries of one value added at the ends of every dim; negative cut."""
    shape = tuple(n + before + after for n, (before, after) in zip(x.shape, counts))
    if any(n < 0 for n in shape):
        raise RuntimeError(
            f"pad: the padding {counts} gives a negative size; got shape {tuple(x.shape)}; the "
            f"result would have {shape}"
        )
    out = Layout.packed(shape, x.dtype)
    launches: list = []
    if any(n > 0 for pair in counts for n in pair):
        launches += fill.op.program_into(out, (out, value), same=False).steps
    kept, first, place = [], 0, 0
    for n, s, t, (before, after) in zip(x.shape, x.strides, out.strides, counts):
        kept.append(max(0, n + min(before, 0) + min(after, 0)))
        first += max(-before, 0) * s
        place += max(before, 0) * t
    operands = (Operand(1, x.dtype, x.strides, first), Operand(0, x.dtype, out.strides, place))
    body = (Store(1, scalar.argument(0, x.dtype), False),)
    launches += steps(Nest(tuple(kept), frozenset(), operands, body))[0]
    return Program("t" + dispatch.letter(value), (out,), tuple(launches))


@bordered.gradient
def _bordered_gradient(g, counts):
    return bordered(g, tuple((-before, -after) for before, after in counts), 0)


def _pairs(x, pad):
    """(before, after) for each padded dim, from the last on."""
    pad = tuple(whole("pad", "pad", n) for n in pad)
    if len(pad) % 2 or len(pad) // 2 > x.layout.ndim:
        raise RuntimeError(f"pad: Padding length must be divisible by 2 and at most twice the "
                           f"number of dims; got {list(pad)} for {x.layout.ndim} dims; need a pair "
                           "(before, after) for each padded dim, the last dim first")
    return [(pad[k], pad[k + 1]) for k in range(0, len(pad), 2)]


def constant_pad_nd(input, pad, value=0):
    """x with entries of one value added at both ends of its last dims; negative counts cut."""
    pairs = _pairs(input, pad)
    counts = ((0, 0),) * (input.layout.ndim - len(pairs)) + tuple(reversed(pairs))
    return bordered(input, counts, fitted("pad", value, input.layout.dtype))


def pad(input, pad, mode="constant", value=None):
    """x with entries added at both ends of its last dims: (left, right, top, bottom, ...).

    Modes "constant" (a number, 0 by default), "reflect" (without the edge), "replicate" (the edge)
    and "circular" (the other end). Negative counts cut. All modes but the first pad one, two or
    three dims, before which stand one or two more.

    Raises RuntimeError where counts do not fit the shape, NotImplementedError for other modes.

    >>> import cresset
    >>> cresset.nn.functional.pad(cresset.tensor([1, 2]), (1, 1))
    tensor([0, 1, 2, 0])
    """
    if mode == "constant":
        return constant_pad_nd(input, pad, 0 if value is None else value)
    rank, pairs = input.layout.ndim, _pairs(input, pad)
    if value is not None and value != 0:
        raise RuntimeError(f"pad: Padding mode {mode!r} doesn't take in value argument; got "
                           f"{value}")
    if mode not in PLACES:
        raise NotImplementedError(f"pad: Unrecognised padding mode {mode!r}; need 'constant', "
                                  "'reflect', 'replicate' or 'circular'")
    if not 1 <= rank - len(pairs) <= 2 or not 1 <= len(pairs) <= 3:
        raise NotImplementedError(
            f"pad: Only 2D, 3D, 4D, 5D padding with non-constant padding are supported for now; "
            f"got {len(pairs)} padded dims of {rank}"
        )
    x = input
    for k, (before, after) in enumerate(pairs):
        dim = rank - 1 - k
        if mode == "circular" and min(before, after) < 0:
            # What is left after cutting goes round.
            cut = -min(before, 0)
            x = narrow(x, dim, cut, x.layout.shape[dim] - cut + min(after, 0))
            before, after = max(before, 0), max(after, 0)
        if before or after:
            size = x.layout.shape[dim]
            places = arange(-before, size + after, device=x.layout.device)
            x = index_select(x, dim, PLACES[mode](places, size, before, after))
    return x if x is not input else x.clone()


def _replicated(places, size, before, after):
    if not size:
        raise RuntimeError("pad: replicate: expected a non-empty dim; got size 0")
    return places.clamp(0, size - 1)


def _circular(places, size, before, after):
    if max(before, after) > size:
        raise RuntimeError(
            f"pad: circular: Padding value causes wrapping around more than once; got ({before}, "
            f"{after}) for size {size}"
        )
    return places.remainder(size)


def _reflected(places, size, before, after):
    if max(before, after) >= size:
        raise RuntimeError(
            f"pad: reflect: Padding size should be less than the corresponding input dimension; "
            f"got ({before}, {after}) for size {size}"
        )
    return (size - 1) - ((size - 1) - places.abs()).abs()


# Which entry of a dim stands at every place of the padded one, by mode.
PLACES = {"replicate": _replicated, "circular": _circular, "reflect": _reflected}
