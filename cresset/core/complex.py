"""Complex scalars as pairs of real ones.

Kernels know no complex numbers. An expression of a complex type is two real ones, `parts`, which
the rules of this file make of the parts of what it is made of. Sums and products are computed in
the type of the parts; every other function in float64, of complex64 rounded once, so that its
intermediate values neither overflow nor cancel.

On zeros, infinities and branch cuts the functions keep to Annex G of the C standard: the sign of
a zero tells the side of a cut. Their formulas are those of W. Kahan, "Branch cuts for complex
elementary functions" (1987), and of Hull, Fairgrieve and Tang (ACM TOMS 20, 1994 and 23, 1997);
division is that of R. L. Smith (CACM 5, 1962) with the care of Baudin and Smith (2012).

    >>> from cresset.core.dtype import complex64, float32
    >>> z = scalar.argument(0, complex64)
    >>> x, y = scalar.argument(1, float32), scalar.argument(2, float32)
    >>> parts([z * z], {z: (x, y)})
    [(sub(mul(a1, a1), mul(a2, a2)), add(mul(a1, a2), mul(a2, a1)))]
"""

from __future__ import annotations

import math
from functools import wraps

from cresset.core import dtype as types
from cresset.core import scalar
from cresset.core.scalar import (
    Expression,
    absolute,
    atan2,
    cast,
    constant,
    copysign,
    eq,
    isnan,
    le,
    lt,
    maximum,
    minimum,
    ne,
    where,
)

Pair = tuple[Expression, Expression]

LN2 = math.log(2.0)
# Squares of numbers between SMALL and LARGE stay within float64; beyond, they are scaled first.
LARGE, SMALL, SCALE = 2.0**500, 2.0**-500, 2.0**600
# exp overflows a little above; an exponent beyond is split, as its cosine may bring it back.
MOST = 700.0


def parts(expressions, leaves: dict[Expression, Pair]) -> list[tuple[Expression, ...]]:
    """Every expression as real ones: two if it is complex, else itself without complex parts.

    `leaves` gives the parts of the complex leaves.
    """
    done: dict[Expression, tuple[Expression, ...]] = {}
    for e in scalar.topological(*expressions):
        done[e] = leaves[e] if e in leaves else _parts(e, [done[a] for a in e.args])
    return [done[e] for e in expressions]


def _parts(e: Expression, args: list[tuple]) -> tuple[Expression, ...]:
    if e.name == "constant" and e.dtype.is_complex:
        d = e.dtype.to_real()
        return constant(e.value.real, d), constant(e.value.imag, d)
    if not e.dtype.is_complex and all(len(a) == 1 for a in args):
        same = tuple(a for (a,) in args)
        return (e if same == e.args else scalar.node(e.name, e.dtype, same, e.value),)
    if e.name == "cast":
        return _cast(args[0], e.dtype)
    if e.name == "join":
        return args[0] + args[1]
    if e.name == "where":
        (condition,), x, y = args
        return where(condition, x[0], y[0]), where(condition, x[1], y[1])
    if e.name == "mul":
        for number, other in ((e.args[0], args[1]), (e.args[1], args[0])):
            # A factor that a body states, unlike an operand that was converted, is simply real.
            if number.name == "constant" and not number.value.imag:
                return other[0] * number.value.real, other[1] * number.value.real
    if e.name == "div" and e.args[1].name == "cast" and not e.args[1].args[0].dtype.is_complex:
        (a, b), (divisor, _) = args
        return a / divisor, b / divisor
    found = scalar.PRIMITIVES[e.name].parts(*args)
    return found if isinstance(found, tuple) else (found,)


def _cast(x, target):
    if target.is_complex:
        d = target.to_real()
        return cast(x[0], d), cast(x[1], d) if len(x) == 2 else constant(0.0, d)
    if target is types.bool:
        return (ne(x[0], 0.0) | ne(x[1], 0.0),)
    return (cast(x[0], target),)


def _rule(*names):
    """Decorator: the parts of primitives of that name, by those of their arguments."""

    def put(rule):
        for name in names:
            scalar.PRIMITIVES[name].parts = rule
        return rule

    return put


def _wide(name):
    """The same for a rule that computes in float64, and is rounded to the type it came in."""

    def put(rule):
        @wraps(rule)
        def rounded(*pairs):
            d = pairs[0][0].dtype
            wide = [tuple(cast(x, types.float64) for x in pair) for pair in pairs]
            found = rule(*wide)
            if isinstance(found, tuple):
                return tuple(cast(x, d) for x in found)
            return cast(found, d)

        scalar.PRIMITIVES[name].parts = rounded
        return rule

    return put


# --- arithmetic -----------------------------------------------------------------------------------
@_rule("add")
def _add(x, y):
    return x[0] + y[0], x[1] + y[1]


@_rule("sub")
def _sub(x, y):
    return x[0] - y[0], x[1] - y[1]


@_rule("mul")
def _mul(x, y):
    return x[0] * y[0] - x[1] * y[1], x[0] * y[1] + x[1] * y[0]


@_rule("neg")
def _neg(z):
    return -z[0], -z[1]


@_rule("conj")
def _conj(z):
    return z[0], -z[1]


@_rule("real")
def _real(z):
    return z[0]


@_rule("imag")
def _imaginary(z):
    return z[1]


@_rule("eq")
def _eq(x, y):
    return eq(x[0], y[0]) & eq(x[1], y[1])


@_rule("ne")
def _ne(x, y):
    return ne(x[0], y[0]) | ne(x[1], y[1])


@_wide("div")
def _div(x, y):
    """Smith's division; by zero the parts are divided by zero."""
    (a, b), (c, d) = x, y
    level = le(absolute(d), absolute(c))
    long, short = where(level, c, d), where(level, d, c)
    first, second = where(level, a, b), where(level, b, a)
    # By powers of two, so that no sum below overflows.
    shrunk = where(2.0**1021 < absolute(long), 0.25, constant(1.0, types.float64))
    lowered = where(2.0**1021 < maximum(absolute(a), absolute(b)), 0.25, shrunk * 0 + 1.0)
    first, second, long, short = first * lowered, second * lowered, long * shrunk, short * shrunk
    ratio = short / long

    def times_ratio(v):
        return where(eq(ratio, 0.0), short * (v / long), v * ratio)

    size = long + short * ratio
    scale = shrunk / lowered
    real = (first + times_ratio(second)) / size * scale
    imaginary = (second - times_ratio(first)) / size * scale
    imaginary = where(level, imaginary, -imaginary)
    zero = eq(long, 0.0)
    return where(zero, a / absolute(c), real), where(zero, b / absolute(d), imaginary)


def _scaled(a, b):
    """(a, b) times a power of two that lets their squares be added, and that power's inverse."""
    size = maximum(absolute(a), absolute(b))
    one = constant(1.0, types.float64)
    up = where(LARGE < size, 1.0 / SCALE, where(size < SMALL, SCALE, one))
    down = where(LARGE < size, SCALE, where(size < SMALL, 1.0 / SCALE, one))
    return a * up, b * up, down


def _endless(v):
    """Whether v is plus or minus infinity."""
    return eq(absolute(v), math.inf)


def _wild(v):
    """Whether v is infinite or NaN."""
    return isnan(v - v)


def _infinite(a, b):
    """Whether either part is infinite: then so is the number, whatever the other part."""
    return _endless(a) | _endless(b)


def _size(a, b):
    """sqrt(a**2 + b**2) of float64 without overflow; infinite where a or b is."""
    x, y, down = _scaled(a, b)
    return where(_infinite(a, b), math.inf, scalar.sqrt(x * x + y * y) * down)


@_rule("abs")
def _abs(z):
    a, b = z
    if a.dtype is types.float64:
        return _size(a, b)
    # Squares of float32 stay well within float64.
    x, y = cast(a, types.float64), cast(b, types.float64)
    size = where(_infinite(x, y), math.inf, scalar.sqrt(x * x + y * y))
    return cast(size, a.dtype)


@_rule("angle")
def _angle(z):
    return atan2(z[1], z[0])


@_wide("sign")
def _sign(z):
    size = _size(*z)
    zero = eq(size, 0.0)
    return where(zero, 0.0, z[0] / size), where(zero, 0.0, z[1] / size)


# --- exponentials and logarithms ------------------------------------------------------------------
@_wide("exp")
def _exp(z):
    a, b = z
    high = MOST < a
    power = scalar.exp(where(high, a - MOST, a))
    rest = where(high, math.exp(MOST), constant(1.0, types.float64))
    real, imaginary = power * scalar.cos(b) * rest, power * scalar.sin(b) * rest
    # The size is known without the angle at both ends, and on the real axis the angle is.
    real = where(_wild(b) & _endless(a), power, real)
    imaginary = where(_wild(b) & _endless(a) & eq(power, 0.0), copysign(0.0, b), imaginary)
    return real, where(eq(b, 0.0), b, imaginary)


@_wide("exp2")
def _exp2(z):
    return _exp((z[0] * LN2, z[1] * LN2))


@_wide("expm1")
def _expm1(z):
    a, b = z
    real, imaginary = _exp(z)
    half = scalar.sin(b * 0.5)
    near = scalar.expm1(a) * scalar.cos(b) - 2.0 * half * half
    return where(1.0 < absolute(a), real - 1.0, near), imaginary


def _exact_square(v):
    """v**2 as a sum of two float64 (Dekker 1971), for v that is neither large nor tiny."""
    split = v * (2.0**27 + 1.0)
    high = split - (split - v)
    low = v - high
    square = v * v
    return square, ((high * high - square) + 2.0 * high * low) + low * low


def _log_size(a, b):
    """log(sqrt(a**2 + b**2)), from the distance to 1 where that is what counts."""
    x, y, down = _scaled(a, b)
    square = x * x + y * y
    far = 0.5 * scalar.log(square) + scalar.log(down)
    long, short = maximum(absolute(a), absolute(b)), minimum(absolute(a), absolute(b))
    (first, rest), (second, more) = _exact_square(long), _exact_square(short)
    # long**2 - 1 is exact, and what the sum with short**2 loses is found from its parts.
    distance = (first - 1.0) + second
    lost = ((first - 1.0) - distance) + second
    near = 0.5 * scalar.log1p(distance + (lost + (rest + more)))
    size = where(lt(0.5, square) & lt(square, 2.0), near, far)
    return where(_infinite(a, b), math.inf, size)


@_wide("log")
def _log(z):
    return _log_size(*z), atan2(z[1], z[0])


@_wide("log2")
def _log2(z):
    size, angle = _log(z)
    return size / LN2, angle / LN2


@_wide("log10")
def _log10(z):
    size, angle = _log(z)
    return size / math.log(10.0), angle / math.log(10.0)


@_wide("log1p")
def _log1p(z):
    a, b = z
    near = 0.5 * scalar.log1p(a * (a + 2.0) + b * b)
    small = lt(absolute(a), 0.5) & lt(absolute(b), 0.5)
    return where(small, near, _log_size(a + 1.0, b)), atan2(b, a + 1.0)


@_wide("pow")
def _pow(z, w):
    """exp(w log z); of zero, one where w is zero, and zero where its real part is positive."""
    (size, angle), (c, d) = _log(z), w
    real, imaginary = _exp((c * size - d * angle, c * angle + d * size))
    zero = eq(z[0], 0.0) & eq(z[1], 0.0)
    at_zero = where(lt(0.0, c), 0.0, where(eq(c, 0.0) & eq(d, 0.0), 1.0, c * math.nan))
    none = eq(c, 0.0) & eq(d, 0.0)
    real = where(none, 1.0, where(zero, at_zero, real))
    return real, where(none, 0.0, where(zero, at_zero * 0.0, imaginary))


@_wide("sqrt")
def _sqrt(z):
    a, b = z
    x, y, down = _scaled(a, b)
    size = scalar.sqrt(0.5 * (absolute(x) + scalar.sqrt(x * x + y * y)))
    other = y / (2.0 * size)
    # The scale is an even power of two, and its root is exact.
    root = scalar.sqrt(down)
    size, other = size * root, where(eq(size, 0.0), b, other * root)
    right = le(0.0, a)
    real, imaginary = where(right, size, absolute(other)), where(right, other, copysign(size, b))
    real = where(_endless(b) | eq(a, math.inf), math.inf, real)
    return real, where(_endless(b), b, where(eq(a, -math.inf), copysign(math.inf, b), imaginary))


@_wide("rsqrt")
def _rsqrt(z):
    return _div(_one(), _sqrt(z))


@_wide("sigmoid")
def _sigmoid(z):
    real, imaginary = _exp(_neg(z))
    return _div(_one(), (real + 1.0, imaginary))


def _one():
    return constant(1.0, types.float64), constant(0.0, types.float64)


# --- trigonometry ---------------------------------------------------------------------------------
def _turned(z):
    """i z."""
    return -z[1], z[0]


def _turned_back(z):
    """-i z."""
    return z[1], -z[0]


def _grown(b):
    """(cosh b, sinh b) over a factor, and the factor, which keeps them from overflowing."""
    high = MOST < absolute(b)
    half = 0.5 * scalar.exp(absolute(b) - MOST)
    rest = where(high, math.exp(MOST), constant(1.0, types.float64))
    return (where(high, half, scalar.cosh(b)), where(high, copysign(half, b), scalar.sinh(b)),
            rest)


@_wide("sin")
def _sin(z):
    a, b = z
    even, odd, rest = _grown(b)
    real = where(eq(a, 0.0), a, scalar.sin(a) * even * rest)
    imaginary = scalar.cos(a) * odd * rest
    # Without an angle the size is still known where it is zero or infinite.
    known = where(_endless(b), absolute(b), b)
    return real, where(_wild(a) & (eq(b, 0.0) | _endless(b)), known, imaginary)


@_wide("cos")
def _cos(z):
    a, b = z
    even, odd, rest = _grown(b)
    real = where(_wild(a) & _endless(b), math.inf, scalar.cos(a) * even * rest)
    imaginary = where(_wild(a) & eq(b, 0.0), 0.0, -(scalar.sin(a) * odd * rest))
    return real, where(eq(a, 0.0), where(isnan(b), a, a * copysign(1.0, -b)), imaginary)


@_wide("tan")
def _tan(z):
    return _turned_back(_tanh(_turned(z)))


@_wide("sinh")
def _sinh(z):
    return _turned_back(_sin(_turned(z)))


@_wide("cosh")
def _cosh(z):
    return _cos(_turned_back(z))


@_wide("tanh")
def _tanh(z):
    a, b = z
    slope = scalar.tan(b)
    steep = slope * slope + 1.0
    far = 20.0 < absolute(a)
    odd = scalar.sinh(where(far, 0.0, a))
    below = steep * odd * odd + 1.0
    real = steep * scalar.sqrt(odd * odd + 1.0) * odd / below
    flat = 4.0 * scalar.sin(b) * scalar.cos(b) * scalar.exp(-2.0 * absolute(a))
    flat = where(_endless(a) & _wild(b), copysign(0.0, b), flat)
    # Only at infinity is the real part known without the angle.
    limit = where(_endless(a), copysign(1.0, a), copysign(1.0, a) + 0.0 * flat)
    real = where(far, limit, where(eq(a, 0.0), a, real))
    return real, where(far, flat, where(eq(b, 0.0), b, slope / below))


@_wide("asin")
def _asin(z):
    a, b = z
    left, right = _sqrt((1.0 - a, -b)), _sqrt((a + 1.0, b))
    real = where(eq(a, 0.0), a, atan2(a, left[0] * right[0] - left[1] * right[1]))
    imaginary = scalar.asinh(left[0] * right[1] - left[1] * right[0])
    endless = _infinite(a, b)
    return (where(endless, atan2(a, absolute(b)), real),
            where(endless, copysign(math.inf, b), imaginary))


@_wide("acos")
def _acos(z):
    a, b = z
    left, right = _sqrt((1.0 - a, -b)), _sqrt((a + 1.0, b))
    real = where(eq(a, 0.0), math.pi / 2, 2.0 * atan2(left[0], right[0]))
    imaginary = scalar.asinh(right[0] * left[1] - right[1] * left[0])
    endless = _infinite(a, b)
    return (where(endless, atan2(absolute(b), a), real),
            where(endless, copysign(math.inf, -b), imaginary))


@_wide("acosh")
def _acosh(z):
    a, b = z
    left, right = _sqrt((a - 1.0, b)), _sqrt((a + 1.0, b))
    real = scalar.asinh(left[0] * right[0] + left[1] * right[1])
    imaginary = where(eq(a, 0.0), copysign(math.pi / 2, b), 2.0 * atan2(left[1], right[0]))
    endless = _infinite(a, b)
    return where(endless, math.inf, real), where(endless, atan2(b, a), imaginary)


@_wide("asinh")
def _asinh(z):
    return _turned_back(_asin(_turned(z)))


@_wide("atanh")
def _atanh(z):
    a, b = z
    x, y = absolute(a), absolute(b)
    rest = 1.0 - x
    near = 0.25 * scalar.log1p(4.0 * x / (rest * rest + y * y))
    # At 1 itself what is left of the distance may be too small to be squared.
    close = eq(x, 1.0) & lt(y, SMALL)
    near = where(close, 0.5 * (LN2 - scalar.log(y)), near)
    long, short = maximum(x, y), minimum(x, y)
    ratio = short / long
    far = where(_infinite(a, b), 0.0, x / long / (long * (ratio * ratio + 1.0)))
    beyond = (LARGE < long) | _infinite(a, b)
    angle = 0.5 * atan2(2.0 * b, rest * (x + 1.0) - b * b)
    real = where(eq(a, 0.0), a, copysign(where(beyond, far, near), a))
    return real, where(isnan(b), b, where(beyond, copysign(math.pi / 2, b), angle))


@_wide("atan")
def _atan(z):
    return _turned_back(_atanh(_turned(z)))
