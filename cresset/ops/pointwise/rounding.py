"""Roundings to whole numbers and to decimal places."""

from __future__ import annotations

import builtins

from cresset.core import dtype as types
from cresset.core import scalar
from cresset.core.tensor import Number, Tensor
from cresset.ops.kinds import elementwise
from cresset.ops.operation import called, method
from cresset.ops.pointwise.floating_point import floating

__all__ = ["ceil", "fix", "floor", "frac", "round", "round_", "trunc"]


def _numbers(operation, x):
    """x, unless it is a boolean."""
    if x.dtype is types.bool:
        raise NotImplementedError(
            f"{operation}: booleans are not rounded; got {x.dtype}; convert with .to(cresset.int64)"
        )
    return x


@method()
@elementwise
def floor(x):
    """The largest whole number not above x."""
    return scalar.floor(_numbers("floor", x))


@method()
@elementwise
def ceil(x):
    """The least whole number not below x."""
    return scalar.ceil(_numbers("ceil", x))


@method("trunc", "fix")
@elementwise
def trunc(x):
    """x without its fraction."""
    return scalar.trunc(_numbers("trunc", x))


fix = trunc


@method()
@elementwise
def frac(x):
    """x - trunc(x), of floating types."""
    floating("frac", x)
    return x - scalar.trunc(x)


@called("round")
@elementwise
def round_half_even(x):
    """The nearest whole number, halves to the even one."""
    return scalar.round_half_even(_numbers("round", x))


def round(input, *, decimals=0, out=None):
    """input rounded to `decimals` places, halves to even."""
    if decimals == 0:
        return round_half_even(input, out=out)
    if not input.layout.dtype.is_floating_point:
        raise NotImplementedError(
            f"round: decimals are of floating tensors; got {input.layout.dtype} and "
            f"decimals={decimals}; convert with .to(cresset.float32)"
        )
    return round_places(input, 10.0 ** builtins.abs(decimals), decimals < 0, out=out)


def round_(input, *, decimals=0):
    """round in place."""
    return round(input, decimals=decimals, out=input)


@called("round")
@elementwise
def round_places(x, scale: Number, whole: bool):
    """x rounded to a multiple of 1 / scale, or of the scale itself where `whole`."""
    if whole:
        return scalar.round_half_even(x / scale) * scale
    return scalar.round_half_even(x * scale) / scale


Tensor.round = round
Tensor.round_ = round_
