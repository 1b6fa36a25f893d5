"""Floating-point numbers by their bits: signbit, significand, exponent, nextafter."""

from __future__ import annotations

import math
from collections.abc import Callable

from cresset.kernels.mathematics.arithmetic import (
    absolute,
    bits,
    choice,
    format_of,
    number,
    with_sign,
)
from cresset.runtime import ir

Codec = Callable[[ir.Function, ir.Value], ir.Value]


def signbit(f: ir.Function, x: ir.Value) -> ir.Value:
    """Whether the sign is set, that of zeros and NaN too."""
    return bits(f, x) < 0


def significand(f: ir.Function, x: ir.Value) -> ir.Value:
    """m with x = m 2^e and 1/2 <= |m| < 1; zeros, infinities and NaN themselves."""
    form = format_of(x)
    scaled, _ = _normal(f, x)
    fraction = bits(f, scaled) & ((1 << form.mantissa) - 1)
    half = with_sign(f, number(f, fraction | form.power(-1)), x)
    return f.select(_has_exponent(f, x), half, x)


def exponent(f: ir.Function, x: ir.Value) -> ir.Value:
    """e with x = m 2^e and 1/2 <= |m| < 1, as a number; 0 for zeros, infinities and NaN."""
    form = format_of(x)
    scaled, shift = _normal(f, x)
    field = bits(f, absolute(f, scaled)).lshr(form.mantissa)
    found = f.convert(field, x.type) - shift
    return f.select(_has_exponent(f, x), found, 0.0)


def _has_exponent(f, x):
    size = absolute(f, x)
    return (size > 0) & (size < math.inf)


def _normal(f, x):
    """x with subnormal numbers made normal, and what to take off the exponent's field for it."""
    form = format_of(x)
    small = absolute(f, x) < form.smallest
    raised = f.select(small, x * 2.0 ** (form.mantissa + 1), x)
    bias = form.bias - 1
    return raised, choice(f, small, x.type, bias + form.mantissa + 1, bias)


def nextafter(
    f: ir.Function, x: ir.Value, y: ir.Value, encode: Codec = bits, decode: Codec = number
) -> ir.Value:
    """The number next to x in the direction of y; y itself where they are equal.

    `encode` and `decode` lead to the bits and back, where these are not those of the lanes.
    """
    word = encode(f, x)
    # The bits of positive and of negative numbers both grow with their size.
    away = (x < y) ^ (x < 0)
    step = f.select(away, f.constant(word.type, 1), f.constant(word.type, -1))
    least = with_sign(f, decode(f, f.constant(word.type, 1)), y)
    found = f.select(x.eq(0), least, decode(f, word + step))
    return f.select(x.unordered(y), x + y, f.select(x.eq(y), y, found))
