"""Floating types of 8 and 16 bits: between their bits in memory and float32 in registers.

Kernels compute on such values in float32, of which each of these types is a subset: `widen` is
exact, and `narrow` rounds to the nearest value, of two as near to the one whose last bit is 0. NaN
stays a quiet NaN; in 16 bits it keeps its sign and leading bits.

A processor's own instructions are used for float16 where it has them. Everything else is integer
arithmetic on the bits, lane by lane.

    >>> from cresset.core.dtype import bfloat16
    >>> from cresset.runtime import ir
    >>> module = ir.Module()
    >>> f = module.function("round", [("<8 x float>", "x")], returns="<8 x i16>")
    >>> f.ret(narrow(f, bfloat16, f.arguments[0]))
    >>> "ret <8 x i16>" in module.text()
    True
"""

from __future__ import annotations

from typing import NamedTuple

from cresset.core import dtype as types
from cresset.core.dtype import dtype
from cresset.runtime import ir
from cresset.runtime.ir import Function, Value
from cresset.runtime.target import host

# float32: its bias, the bits of its fraction, its infinity.
BIAS, FRACTION, INFINITY = 127, 23, 0x7F800000


class Format(NamedTuple):
    """A type's layout in bits, after its sign.

    `greatest` is the pattern of the largest finite number, `beyond` what greater ones round to: the
    infinity, NaN, or the greatest itself. `signed_zero` is whether there is a -0: where there is
    none, its pattern is the only NaN.
    """

    exponent: int
    fraction: int
    bias: int
    greatest: int
    beyond: int
    nan: int
    signed_zero: bool = True

    @property
    def bits(self) -> int:
        return 1 + self.exponent + self.fraction

    @property
    def infinite(self) -> bool:
        return self.beyond not in (self.greatest, self.nan)


# IEEE 754-2019 for float16; the OCP 8-bit Floating Point Specification (2023) for the fn and
# unmarked types; Noune et al. (2022), arXiv:2206.02915, for those without a negative zero.
FORMATS = {
    types.float16: Format(5, 10, 15, 0x7BFF, 0x7C00, 0x7E00),
    types.bfloat16: Format(8, 7, 127, 0x7F7F, 0x7F80, 0x7FC0),
    types.float8_e5m2: Format(5, 2, 15, 0x7B, 0x7C, 0x7F),
    types.float8_e4m3fn: Format(4, 3, 7, 0x7E, 0x7E, 0x7F),
    types.float8_e5m2fnuz: Format(5, 2, 16, 0x7F, 0x80, 0x80, signed_zero=False),
    types.float8_e4m3fnuz: Format(4, 3, 8, 0x7F, 0x80, 0x80, signed_zero=False),
}


def widen(f: Function, d: dtype, bits: Value) -> Value:
    """The float32 values of a type's bits."""
    if d is types.bfloat16:
        return _as_float(f, _word(f, bits) << 16)
    if d is types.float16 and host().converts_half:
        half = f.bitcast(bits, ir.vector("half", ir.lanes(bits.type)))
        return f.convert(half, ir.vector("float", ir.lanes(bits.type)))
    form = FORMATS[d]
    word = _word(f, bits)
    sign = (word & (1 << (form.bits - 1))) << (32 - form.bits)
    size = word & ((1 << (form.bits - 1)) - 1)
    # In float32's place the exponent counts from another bias, which a product mends: subnormal
    # numbers become normal by the way.
    moved = size << (FRACTION - form.fraction)
    scaled = _as_float(f, moved) * 2.0 ** (BIAS - form.bias)
    out = f.bitcast(scaled, word.type)
    if form.signed_zero:
        quiet = 1 << (FRACTION - 1)
        beyond = (moved | INFINITY) | f.select(
            size.ugt(form.greatest + form.infinite), f.constant(word.type, quiet), 0)
        out = f.select(size.ugt(form.greatest), beyond, out)
    else:
        out = f.select(word.eq(form.nan), f.constant(word.type, INFINITY | 1 << 22), out)
    return _as_float(f, out | sign)


def narrow(f: Function, d: dtype, x: Value, exact: bool = False) -> Value:
    """The bits of float32 values, rounded to a type; `exact` says that they are of it already."""
    form = FORMATS[d]
    count = ir.lanes(x.type)
    if d is types.float16 and host().converts_half:
        return f.bitcast(f.convert(x, ir.vector("half", count)), ir.vector("i16", count))
    word = f.bitcast(x, ir.vector("i32", count))
    if d is types.bfloat16:
        return f.convert(_upper_half(f, x, word, exact), ir.vector("i16", count))
    sign = (word & -(1 << 31)).lshr(32 - form.bits)
    size = word & 0x7FFFFFFF
    dropped = FRACTION - form.fraction
    # Half of the last bit that stays, less one unless that bit is set: ties go to even.
    odd = size.lshr(dropped) & 1
    rounded = (size + ((1 << (dropped - 1)) - 1) + odd).lshr(dropped)
    rounded = rounded - ((BIAS - form.bias) << form.fraction)
    # Below the normal numbers float32 rounds as the type does, when its last bit weighs as much as
    # the type's: that is what the added number sees to.
    anchor = BIAS + dropped - form.bias + 1 << FRACTION
    subnormal = _as_float(f, size) + _as_float(f, f.constant(word.type, anchor))
    subnormal = f.bitcast(subnormal, word.type) - anchor
    normal = BIAS - form.bias + 1 << FRACTION
    rounded = f.select(size.ult(normal), subnormal, rounded)
    overflow = rounded > form.greatest
    rounded = f.select(overflow, f.constant(word.type, form.beyond), rounded)
    payload = f.constant(word.type, form.nan)
    if form.bits == 16:
        payload = size.lshr(dropped) & ((1 << form.fraction) - 1) | payload
    rounded = f.select(size.ugt(INFINITY), payload, rounded)
    if form.signed_zero:
        rounded = rounded | sign
    else:
        rounded = rounded | f.select(rounded.eq(0), f.constant(word.type, 0), sign)
    return f.convert(rounded, ir.vector(f"i{form.bits}", count))


def _upper_half(f, x, word, exact):
    """The bits of bfloat16, in the low half of words: a rounding up carries as it should."""
    if exact:
        return word.lshr(16)
    odd = word.lshr(16) & 1
    return f.select(x.unordered(x), word | 1 << 22, word + odd + 0x7FFF).lshr(16)


def _word(f, bits):
    return f.convert(bits, ir.vector("i32", ir.lanes(bits.type)), signed=False)


def _as_float(f, word):
    return f.bitcast(word, ir.vector("float", ir.lanes(word.type)))
