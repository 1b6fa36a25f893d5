"""Normal numbers from uniform ones: Box and Muller's transform, as PyTorch does it.

From 16 elements on, PyTorch transforms blocks of 16 uniform numbers u: the first 8 of a block give
the radii sqrt(-2 log(1 - u)), the last 8 the angles 2 pi u. In float32 the logarithm, sine and
cosine are those of the Cephes library (S. Moshier): its polynomials and its order of operations are
kept here so that every bit matches. Fewer numbers, and those of tensors that are not contiguous,
come one after another from pairs in float64, of which the second is kept for the next call.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from cresset.core import generator
from cresset.core.dtype import dtype
from cresset.kernels.mathematics.arithmetic import bits, number, polynomial
from cresset.kernels.mathematics.logarithm import log, log1p
from cresset.kernels.mathematics.reduction import PI
from cresset.kernels.mathematics.trigonometric import SIN
from cresset.kernels.stream import draws, unit_float64
from cresset.kernels.words import Words
from cresset.runtime import ir
from cresset.runtime.ir import Function, Module, Value

BLOCK = 16
ROUNDER = 1.5 * 2.0**52  # numbers of which a unit is one

# log(1 + x) = x - x^2 / 2 + x^3 P(x) for sqrt(1/2) <= 1 + x < sqrt(2); ln 2 as a sum.
LOG = (3.3333331174e-1, -2.4999993993e-1, 2.0000714765e-1, -1.6668057665e-1, 1.4249322787e-1,
       -1.2420140846e-1, 1.1676998740e-1, -1.1514610310e-1, 7.0376836292e-2)  # fmt: skip
LN2 = (0.693359375, -2.12194440e-4)
# sin(x) = x + x^3 S(x^2) and cos(x) = 1 - x^2 / 2 + x^4 C(x^2) for |x| <= pi / 4, itself a sum.
SINE = (-1.6666654611e-1, 8.3321608736e-3, -1.9515295891e-4)
COSINE = (4.166664568298827e-2, -1.388731625493765e-3, 2.443315711809948e-5)
QUARTER_PI = (0.78515625, 2.4187564849853515625e-4, 3.77489497744594108e-8)


def write_blocks(type: dtype) -> Module:
    """The kernel that transforms blocks of 16 uniform numbers; a unit is a block.

    Words: source, target, mean, standard deviation (float64), offset of the target in bytes.
    """
    module = Module()
    f = module.kernel()
    _, begin, end = f.arguments
    words = Words(f)
    source, target = words.pointer(), words.pointer()
    mean, deviation = (_splat(f, words.next("double"), type) for _ in range(2))
    target = f.offset(target, words.integer())
    half = ir.vector(type.llvm, BLOCK // 2)
    with f.loop(begin, end) as block:
        first = f.offset(source, block * BLOCK, type.llvm)
        second = f.offset(first, BLOCK // 2, type.llvm)
        positive = 1.0 - f.load(half, first)
        angle = f.load(half, second) * (2 * math.pi)
        if type.llvm == "float":
            logarithm, (sine, cosine) = cephes_log(f, positive), cephes_sine_and_cosine(f, angle)
        else:
            logarithm, (sine, cosine) = log(f, positive), sine_and_cosine(f, angle)
        radius = f.intrinsic("sqrt", logarithm * -2.0)
        at = f.offset(target, block * BLOCK, type.llvm)
        f.store(f.fma(radius * cosine, deviation, mean), at)
        f.store(f.fma(radius * sine, deviation, mean), f.offset(at, BLOCK // 2, type.llvm))
    f.ret()
    return module


def _splat(f, value, type):
    return f.splat(f.convert(value, type.llvm), BLOCK // 2)


def write_pairs(type: dtype, width: int, finish: Callable) -> Module:
    """The kernel that draws pairs of normal numbers in float64 and stores finish(f, number).

    Words: state, out, mean, standard deviation (float64), count of elements.
    """
    module = Module()
    f = module.kernel()
    words = Words(f)
    state, out = words.pointer(), words.pointer()
    mean, deviation = words.next("double"), words.next("double")
    count = words.integer()
    cached, normal = f.offset(state, generator.CACHED), f.offset(state, generator.NORMAL)

    def store(value, place):
        value = f.convert(finish(f, f.fma(value, deviation, mean)), type.llvm)
        f.store(value, f.offset(out, place, type.llvm))

    with f.when(f.load("i64", cached).ne(0)):
        store(f.load("double", normal), f.constant("i64", 0))
    start = f.load("i64", cached)
    f.store((count - start) & 1, cached)
    pairs = (count - start + 1) >> 1
    with f.when(pairs > 0):
        with draws(f, state, pairs, 4, width) as (drawn, first, last):
            with f.loop(first, last) as pair:
                at = f.offset(drawn, (pair - first) * 4, "i32")
                angle = unit_float64(f, at, 1) * (2 * math.pi)
                uniform = unit_float64(f, f.offset(at, 2, "i32"), 1)
                radius = f.intrinsic("sqrt", log1p(f, -uniform) * -2.0)
                sine, cosine = sine_and_cosine(f, angle)
                place = start + pair * 2
                store(radius * cosine, place)
                other = radius * sine
                with f.when(place + 1 < count):
                    store(other, place + 1)
                f.store(other, normal)
    f.ret()
    return module


def sine_and_cosine(f: Function, x: Value) -> tuple[Value, Value]:
    """Sine and cosine of float64 numbers in 0 .. 2 pi."""

    def alternating(offset):
        """(-1)^n sin r, where x = (n - offset) pi + r."""
        # Adding ROUNDER leaves n in the low bits.
        rounded = f.fma(x, 1 / math.pi, offset) + ROUNDER
        n = rounded - ROUNDER - offset
        r = f.fma(n, -PI["double"][1], f.fma(n, -PI["double"][0], x))
        r = number(f, bits(f, r) ^ (bits(f, rounded) << 63))
        square = r * r
        return f.fma(polynomial(f, square, SIN["double"]), r * square, r)

    return alternating(0.0), alternating(0.5)


# --- Cephes's functions of float32 ----------------------------------------------------------------
def cephes_log(f: Function, x: Value) -> Value:
    """The logarithm of positive normal numbers."""
    word = bits(f, x)
    exponent = f.convert(word.lshr(23) - 126, x.type)
    mantissa = number(f, (word & 0x007FFFFF) | 0x3F000000)
    small = mantissa < math.sqrt(0.5)
    exponent = f.select(small, exponent - 1.0, exponent)
    x = f.select(small, mantissa + mantissa, mantissa) - 1.0
    square = x * x
    cubic = polynomial(f, x, LOG) * x
    tail = f.fma(cubic, square, exponent * LN2[1])
    return f.fma(exponent, LN2[0], x + f.fma(square, -0.5, tail))


def cephes_sine_and_cosine(f: Function, x: Value) -> tuple[Value, Value]:
    """Sine and cosine of numbers that are not negative."""
    integer = ir.vector("i32", ir.lanes(x.type))
    octant = (f.convert(x * (4 / math.pi), integer) + 1) & -2
    turns = f.convert(octant, x.type)
    for part in QUARTER_PI:
        x = f.fma(turns, -part, x)
    square = x * x
    cosine = polynomial(f, square, COSINE) * square
    cosine = f.fma(cosine, square, square * -0.5) + 1.0
    sine = f.fma(polynomial(f, square, SINE) * square, x, x)
    straight = (octant & 2).eq(0)

    def signed(value, sign):
        return number(f, bits(f, value) ^ ((sign & 4) << 29))

    return (
        signed(f.select(straight, sine, cosine), octant),
        signed(f.select(straight, cosine, sine), octant + 2),
    )
