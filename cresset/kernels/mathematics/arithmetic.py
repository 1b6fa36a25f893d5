"""The steps that the functions share: formats, polynomials, scaling, exact sums and products.

Nothing here knows a function. Every step works on scalars and on vectors of `float` and `double`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import NamedTuple

from cresset.runtime import ir
from cresset.runtime.target import host


class Format(NamedTuple):
    """One binary floating-point format of IEEE 754, by its sizes."""

    name: str  # LLVM's: "float", "double"
    integer: str  # the integer type of as many bits
    bits: int
    mantissa: int  # stored bits of the significand
    bias: int  # what is added to an exponent; also the greatest exponent

    @property
    def rounder(self) -> float:
        """Adding it rounds to an integer, which then stands in the low bits of the sum."""
        return 1.5 * 2.0**self.mantissa

    @property
    def smallest(self) -> float:
        """The least normal number."""
        return 2.0 ** (1 - self.bias)

    def power(self, exponent: int) -> int:
        """The bits of 2^exponent; of infinity, for the first exponent too great."""
        return (self.bias + exponent) << self.mantissa


FORMATS = {
    "float": Format("float", "i32", 32, 23, 127),
    "double": Format("double", "i64", 64, 52, 1023),
}

LONG = 10  # the coefficients from which on a polynomial is evaluated in two parts


def format_of(x: ir.Value) -> Format:
    """The format of a value's lanes.

    Raises TypeError unless it is float or double.
    """
    found = FORMATS.get(ir.element(x.type))
    if found is None:
        raise TypeError(
            f"mathematics: no function is written for {x.type}; need float or double lanes; "
            "convert the value first"
        )
    return found


def bits(f: ir.Function, x: ir.Value) -> ir.Value:
    """The same bits as integers."""
    return f.bitcast(x, ir.vector(format_of(x).integer, ir.lanes(x.type)))


def number(f: ir.Function, integer: ir.Value) -> ir.Value:
    """The same bits as floating-point numbers."""
    name = {"i32": "float", "i64": "double"}[ir.element(integer.type)]
    return f.bitcast(integer, ir.vector(name, ir.lanes(integer.type)))


def polynomial(f: ir.Function, x: ir.Value, coefficients: Sequence[float]) -> ir.Value:
    """c[0] + c[1] x + c[2] x^2 + ... by Horner's rule: one fma for each power."""
    if len(coefficients) < LONG:
        *first, last = coefficients
        total = f.value(x.type, last)
    else:
        # The tail in even and odd powers side by side: one more product, half the wait.
        first, tail = list(coefficients[:3]), coefficients[3:]
        square = x * x
        odd = polynomial(f, square, tail[1::2])
        total = f.fma(odd, x, polynomial(f, square, tail[0::2]))
    for coefficient in reversed(first):
        total = f.fma(total, x, coefficient)
    return total


def absolute(f: ir.Function, x: ir.Value) -> ir.Value:
    """|x|"""
    return f.intrinsic("fabs", x)


def with_sign(f: ir.Function, x: ir.Value, sign: ir.Value) -> ir.Value:
    """|x| with the sign of `sign`, zeros and NaN included."""
    return f.intrinsic("copysign", x, sign)


def at_most(f: ir.Function, x: ir.Value, bound: float) -> ir.Value:
    """min(x, bound); NaN stays NaN. One instruction, unlike LLVM's minimum."""
    bound = f.value(x.type, bound)
    return f.select(bound < x, bound, x)


def at_least(f: ir.Function, x: ir.Value, bound: float) -> ir.Value:
    """max(x, bound); NaN stays NaN."""
    bound = f.value(x.type, bound)
    return f.select(bound > x, bound, x)


def nearest(f: ir.Function, x: ir.Value, scale: float) -> tuple[ir.Value, ir.Value]:
    """The integer n nearest to `scale` x: as a number, and bits whose low part is n.

    |n| must stay below 2^22 (float) or 2^51 (double). The other bits are not n's: shift them out.
    """
    rounder = f.value(x.type, format_of(x).rounder)
    sum = f.fma(x, scale, rounder)
    return sum - rounder, bits(f, sum)


def power_of_two(f: ir.Function, low: ir.Value) -> ir.Value:
    """2^n, where `low` holds n in its low bits (see `nearest`); n within the normal exponents."""
    form = FORMATS["float" if ir.element(low.type) == "i32" else "double"]
    return number(f, (low << form.mantissa) + form.power(0))


def choice(f: ir.Function, condition: ir.Value, type: str, yes: float, no: float) -> ir.Value:
    """One of two numbers by lane."""
    return f.select(condition, f.value(type, yes), f.value(type, no))


def any_lane(f: ir.Function, condition: ir.Value) -> ir.Value:
    """Whether the condition holds in any lane, as one i1."""
    if ir.lanes(condition.type) == 1:
        return condition
    return f.intrinsic("vector.reduce.or", condition, returns="i1")


def by_side(
    f: ir.Function,
    condition: ir.Value,
    type: str,
    yes: Callable[[], ir.Value],
    no: Callable[[], ir.Value],
) -> ir.Value:
    """`yes()` in the lanes where the condition holds, `no()` in the others; both of `type`.

    A side that no lane is on is left out, by a branch: for what takes long, and few lanes.
    """
    found = f.either(any_lane(f, condition), yes, lambda: f.constant(type, 0))
    return f.either(
        any_lane(f, condition ^ True), lambda: f.select(condition, found, no()), lambda: found
    )


def exact_sum(f: ir.Function, a: ir.Value, b: ir.Value) -> tuple[ir.Value, ir.Value]:
    """The rounded sum and what rounding left off; needs |a| >= |b| or a = 0 (Dekker 1971)."""
    high = a + b
    return high, b - (high - a)


def exact_sum_of_any(f: ir.Function, a: ir.Value, b: ir.Value) -> tuple[ir.Value, ir.Value]:
    """The same whichever of a and b is the greater (Knuth 1969)."""
    high = a + b
    part = high - a
    return high, (a - (high - part)) + (b - part)


def exact_product(f: ir.Function, a: ir.Value, b: ir.Value) -> tuple[ir.Value, ir.Value]:
    """The rounded product and what rounding left off."""
    high = a * b
    return high, f.fma(a, b, -high)


def in_double(f: ir.Function, function: Callable[..., ir.Value], *values: ir.Value) -> ir.Value:
    """A function of floats by way of double, which costs less than other exact steps would."""
    type = values[0].type
    wide = ir.vector("double", ir.lanes(type))
    return f.convert(function(f, *(f.convert(value, wide) for value in values)), type)


def in_registers(function: Callable[..., ir.Value]) -> Callable[..., ir.Value]:
    """Decorator of a long function: it is written once into a module, for a register of doubles.

    Longer vectors call it for every register of them. Written out for all of their lanes it would
    be as many times as long, and take as many times as long to compile.
    """

    @wraps(function)
    def by_register(f: ir.Function, *values: ir.Value) -> ir.Value:
        count = ir.lanes(values[0].type)
        width = host().vector_bytes // 8
        if count <= width or count % width or count & (count - 1):
            return _called(f, function, values)
        parts = []
        for start in range(0, count, width):
            order = range(start, start + width)
            parts.append(_called(f, function, [f.shuffle(v, None, order) for v in values]))
        while len(parts) > 1:
            together = range(2 * ir.lanes(parts[0].type))
            parts = [f.shuffle(a, b, together) for a, b in zip(parts[::2], parts[1::2])]
        return parts[0]

    return by_register


def _called(f, function, values):
    """The function by a call; it is written when first needed."""
    type = values[0].type
    name = f"{function.__name__}_of_{ir.element(type)}_{ir.lanes(type)}"
    if name not in f.module.functions:
        parameters = [(type, f"x{k}") for k in range(len(values))]
        written = f.module.function(name, parameters, type, internal=True)
        written.ret(function(written, *written.arguments))
    return f.call(name, type, *values)
