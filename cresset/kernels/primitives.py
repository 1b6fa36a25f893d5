"""The machine code of the scalar primitives, over vectors of any width.

`emit` is the one place where the name of a primitive of `core.scalar` becomes instructions. The
longer functions are in `mathematics`.
"""

from __future__ import annotations

from cresset.core import dtype as types
from cresset.core.dtype import dtype
from cresset.core.scalar import Expression
from cresset.kernels import mathematics, small_floats
from cresset.kernels.mathematics import division
from cresset.runtime import ir
from cresset.runtime.ir import Function, Value


def emit(f: Function, e: Expression, args: list[Value], lanes: int) -> Value:
    """The value of expression `e` given the values of its arguments."""
    if e.name == "constant":
        return f.constant(ir.vector(e.dtype.register, lanes), e.value)
    if e.name == "cast":
        return convert(f, args[0], e.args[0].dtype, e.dtype)
    if e.name == "carry":
        return args[0]
    kind = e.args[0].dtype
    if e.name == "where":
        return f.select(*args)
    simple = SIMPLE.get(e.name)
    if simple is not None:
        return simple(f, kind, *args)
    return mathematics.TABLE[e.name](f, *args)


def convert(f: Function, x: Value, source: dtype, target: dtype) -> Value:
    """x as another element type.

    Floats become integers towards zero, narrow integers through a wider one whose low bits are
    kept: uint32 through int64, the others that have less than 64 bits through int32. What the wider
    one does not hold becomes its least number (on x86, as in PyTorch). Anything is true unless it
    is zero. What becomes a floating type below 32 bits is rounded to float32, then to it.
    """
    count = ir.lanes(x.type)
    if target.category == dtype.BOOL:
        return x.ne(0)
    if target in small_floats.FORMATS:
        value = convert(f, x, source, types.float32)
        return small_floats.widen(f, target, small_floats.narrow(f, target, value))
    type = ir.vector(target.llvm, count)
    if source.category == dtype.FLOAT and target.category == dtype.INTEGER:
        if target is types.uint64:
            return _unsigned_whole(f, x, type)
        wide = "i64" if target.itemsize == 8 or target is types.uint32 else "i32"
        whole = f.convert(x, ir.vector(wide, count))
        return f.convert(whole, type)
    return f.convert(x, type, source.is_signed)


def _unsigned_whole(f, x, type):
    """A float as uint64: from 2**63 on what is above that, with the highest bit turned over."""
    half = f.convert(x - 2.0**63, type) ^ -(1 << 63)
    return f.select(x >= 2.0**63, half, f.convert(x, type))


def _less(f, kind, x, y):
    return x.ult(y) if kind.category <= dtype.INTEGER and not kind.is_signed else x < y


def _less_equal(f, kind, x, y):
    return x.ule(y) if kind.category <= dtype.INTEGER and not kind.is_signed else x <= y


def _extreme(take_first):
    def extreme(f, kind, x, y):
        if kind.category == dtype.BOOL:
            return x & y if take_first is _less else x | y
        chosen = f.select(take_first(f, kind, x, y), x, y)
        if kind.category != dtype.FLOAT:
            return chosen
        # A comparison with NaN is false and picks y; where x is the NaN, take x.
        return f.select(x.unordered(x), x, chosen)

    return extreme


def _greater(f, kind, x, y):
    return _less(f, kind, y, x)


def _equal(f, kind, x, y):
    return x.eq(y)


def _not_equal(f, kind, x, y):
    return x.ne(y)


def _add(f, kind, x, y):
    return x | y if kind.category == dtype.BOOL else x + y


def _multiply(f, kind, x, y):
    return x & y if kind.category == dtype.BOOL else x * y


def _negate(f, kind, x):
    return -x


def _absolute(f, kind, x):
    if kind.category == dtype.FLOAT:
        return f.intrinsic("fabs", x)
    if not kind.is_signed:
        return x
    return f.select(x < 0, 0 - x, x)


def _sign(f, kind, x):
    if kind.category == dtype.FLOAT:
        unit = f.intrinsic("copysign", f.constant(x.type, 1), x)
        return f.select(x.ne(0), f.select(x.unordered(x), f.constant(x.type, 0), unit),
                        f.constant(x.type, 0))
    if not kind.is_signed:
        return f.convert(x.ne(0), x.type)
    return f.select(x > 0, f.constant(x.type, 1), x >> (8 * kind.itemsize - 1))


def _safe_divisor(f, kind, x, y):
    """The divisor with what would trap replaced by one: zero, and -1 under the least integer."""
    bad = y.eq(0)
    if kind.is_signed:
        least = -(1 << (8 * kind.itemsize - 1))
        bad = bad | (y.eq(-1) & x.eq(least))
    return f.select(bad, f.constant(y.type, 1), y)


def _truncating_division(f, kind, x, y):
    if kind.category == dtype.FLOAT:
        return f.intrinsic("trunc", x / y)
    return division.quotient(f, x, _safe_divisor(f, kind, x, y), "trunc", kind.is_signed)


def _floor_division(f, kind, x, y):
    if kind.category == dtype.FLOAT:
        return _float_floor_division(f, x, y)
    return division.quotient(f, x, _safe_divisor(f, kind, x, y), "floor", kind.is_signed)


def _float_floor_division(f, x, y):
    """floor(x / y) from the exact remainder, as Python's `//` does it."""
    rest = mathematics.TABLE["fmod"](f, x, y)
    quotient = (x - rest) / y
    wrong = rest.ne(0) & ((rest < 0) ^ (y < 0))
    quotient = f.select(wrong, quotient - 1.0, quotient)
    whole = f.intrinsic("floor", quotient)
    whole = f.select((quotient - whole) > 0.5, whole + 1.0, whole)
    zero = f.intrinsic("copysign", f.constant(x.type, 0), x / y)
    whole = f.select(quotient.eq(0), zero, whole)
    return f.select(y.eq(0), x / y, whole)


def _remainder(f, kind, x, y):
    """x modulo y with the sign of y, which a zero has, too, as in Python."""
    if kind.category == dtype.FLOAT:
        rest = mathematics.TABLE["fmod"](f, x, y)
        wrong = rest.ne(0) & ((rest < 0) ^ (y < 0))
        return f.select(wrong, rest + y, f.intrinsic("copysign", rest, y))
    return division.rest(f, x, _safe_divisor(f, kind, x, y), "floor", kind.is_signed)


def _fmod(f, kind, x, y):
    if kind.category == dtype.FLOAT:
        return mathematics.TABLE["fmod"](f, x, y)
    return division.rest(f, x, _safe_divisor(f, kind, x, y), "trunc", kind.is_signed)


def _rounding(name):
    def rounding(f, kind, x):
        return f.intrinsic(name, x) if kind.category == dtype.FLOAT else x

    return rounding


def _power(f, kind, x, y):
    """x ** y; for integers by squaring, a negative exponent giving what is left of 1 / x**-y."""
    if kind.category == dtype.FLOAT:
        return mathematics.TABLE["pow"](f, x, y)
    if kind.category == dtype.BOOL:
        return x | (y ^ True)
    one, none = f.constant(x.type, 1), f.constant(x.type, 0)
    left = f.select(y < 0, none, y) if kind.is_signed else y
    with f.repeat(one, x, left) as loop:
        result, base, left = loop.values
        result = f.select((left & 1).ne(0), result * base, result)
        left = left.lshr(1)
        more = mathematics.arithmetic.any_lane(f, left.ne(0))
        loop.again(more, result, base * base, left)
    result = loop.results[0]
    if not kind.is_signed:
        return result
    parity = f.select((y & 1).ne(0), f.constant(x.type, -1), one)
    small = f.select(x.eq(-1), parity, none)
    return f.select(y < 0, f.select(x.eq(1), one, small), result)


def _shift(name):
    def shift(f, kind, x, y):
        bits = 8 * kind.itemsize
        inside = y.ult(bits)
        amount = f.select(inside, y, f.constant(y.type, 0))
        if name == "left":
            return f.select(inside, x << amount, f.constant(x.type, 0))
        if kind.is_signed:
            return f.select(inside, x >> amount, x >> (bits - 1))
        return f.select(inside, x.lshr(amount), f.constant(x.type, 0))

    return shift


def _greatest_common_divisor(f, kind, x, y):
    """By Euclid's algorithm; of 0 and x it is |x|."""
    with f.repeat(_absolute(f, kind, x), _absolute(f, kind, y)) as loop:
        a, b = loop.values
        more = b.ne(0)
        rest = a.urem(f.select(more, b, 1))
        a, b = f.select(more, b, a), f.select(more, rest, 0)
        loop.again(mathematics.arithmetic.any_lane(f, b.ne(0)), a, b)
    return loop.results[0]


def _next_after(f, kind, x, y):
    function = mathematics.TABLE["nextafter"]
    if kind not in small_floats.FORMATS:
        return function(f, x, y)
    return function(f, x, y, lambda f, x: small_floats.narrow(f, kind, x),
                    lambda f, word: small_floats.widen(f, kind, word))


# name: (function, element type of the arguments, *values) -> value
SIMPLE = {
    "add": _add,
    "sub": lambda f, kind, x, y: x - y,
    "mul": _multiply,
    "div": lambda f, kind, x, y: x / y,
    "fma": lambda f, kind, x, y, z: f.fma(x, y, z),
    "neg": _negate,
    "abs": _absolute,
    "copysign": lambda f, kind, x, y: f.intrinsic("copysign", x, y),
    "sign": _sign,
    "floor": _rounding("floor"),
    "ceil": _rounding("ceil"),
    "trunc": _rounding("trunc"),
    "round": _rounding("roundeven"),
    "sqrt": lambda f, kind, x: f.intrinsic("sqrt", x),
    "rsqrt": lambda f, kind, x: 1.0 / f.intrinsic("sqrt", x),
    "floor_divide": _floor_division,
    "trunc_divide": _truncating_division,
    "remainder": _remainder,
    "fmod": _fmod,
    "pow": _power,
    "gcd": _greatest_common_divisor,
    "nextafter": _next_after,
    "lt": _less,
    "le": _less_equal,
    "eq": _equal,
    "ne": _not_equal,
    "bit_and": lambda f, kind, x, y: x & y,
    "bit_or": lambda f, kind, x, y: x | y,
    "bit_xor": lambda f, kind, x, y: x ^ y,
    "bit_not": lambda f, kind, x: x ^ (1 if kind.category == dtype.BOOL else -1),
    "shift_left": _shift("left"),
    "shift_right": _shift("right"),
    "maximum": _extreme(_greater),
    "minimum": _extreme(_less),
}
