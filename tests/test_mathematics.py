"""The mathematics that kernels are made of: within 2 units in the last place, everywhere.

Floats are compared with the same function in double, over bit patterns spread across all of them;
doubles with mpmath (or long double, where it is not installed) at random arguments.
"""

import ctypes
import math
from functools import cache

import numpy as np
import pytest

import cresset
from cresset.kernels.mathematics import TABLE
from cresset.ops.pointwise.arithmetic import SHORT_POWERS
from cresset.runtime import ir
from cresset.runtime.codegen import assemble
from cresset.runtime.loader import load
from cresset.runtime.target import host

try:
    import mpmath
except ImportError:
    mpmath = None

ARRAY = {"float": np.float32, "double": np.float64}
UNITS = 2.0
PATTERNS = 150_000
EXACT_POINTS = 700

SPECIAL = np.array(
    [0.0, 5e-324, 1e-310, 1e-45, 1e-40, 2.0**-126, 2.0**-1022, 1e-20, 0.25, 0.5, 1, 2, 3, 10, 100]
    + [88.7, 88.8, 103.9, 104, 709.7, 709.8, 745, 746, 1e4, 2.0**23 + 1, 2.0**52 + 1, 2.0**63, 1e30]
    + [3.4e38, 1e300, 1.7e308, math.pi / 2, math.pi, 1 - 2.0**-24, 1 + 2.0**-23, math.inf, math.nan]
)
SPECIAL = np.concatenate([SPECIAL, -SPECIAL])


@cache
def compiled(name, type, lanes, operands=1):
    """The function over arrays whose length the lanes divide."""
    module = ir.Module()
    pointers = [("ptr", f"x{k}") for k in range(operands)]
    f = module.function("kernel", [("ptr", "out"), *pointers, ("i64", "count")])
    out, *inputs, count = f.arguments
    vector = ir.vector(type, lanes)
    with f.loop(0, count, lanes) as i:
        values = [f.load(vector, f.offset(x, i, type)) for x in inputs]
        f.store(TABLE[name](f, *values), f.offset(out, i, type))
    f.ret()
    address = load(assemble(module.text(), host()))["kernel"]
    signature = [ctypes.c_void_p] * (operands + 1) + [ctypes.c_int64]
    return ctypes.CFUNCTYPE(None, *signature)(address)


def apply(name, *arrays, lanes=None):
    """The function of whole arrays, padded to full vectors."""
    dtype = arrays[0].dtype
    type = {4: "float", 8: "double"}[dtype.itemsize]
    lanes = lanes or host().vector_bytes // dtype.itemsize
    count = len(arrays[0])
    padded = [np.concatenate([a, np.ones(-count % lanes, dtype)]) for a in arrays]
    out = np.empty_like(padded[0])
    function = compiled(name, type, lanes, len(arrays))
    function(out.ctypes.data, *(a.ctypes.data for a in padded), len(out))
    return out[:count]


def assert_close(name, got, exact, *arguments):
    """Floats against doubles: NaN, infinities and zeros alike, all else within UNITS."""
    exact = np.asarray(exact, np.float64)
    exponent = np.frexp(np.where(np.isfinite(exact), exact, 1.0))[1] - 1
    unit = np.exp2(np.clip(exponent, -126, 127) - 23.0)
    overflows = np.abs(exact) >= 2.0**128 - 2.0**103
    exact = np.where(overflows, np.copysign(math.inf, exact), exact)
    with np.errstate(invalid="ignore"):
        error = np.abs(got.astype(np.float64) - exact) / unit
    same = (got == exact) & (np.signbit(got) == np.signbit(exact))
    same |= np.isnan(got) & np.isnan(exact)
    wrong = ~(same | ((error <= UNITS) & (np.signbit(got) == np.signbit(exact))))
    if wrong.any():
        at = np.flatnonzero(wrong)[0]
        given = [float(a[at]) for a in arguments]
        pytest.fail(f"{name}{given}: got {got[at]!r}, exactly {exact[at]!r}; {wrong.sum()} wrong")


def floats():
    """Bit patterns spread over all floats, more of common sizes, and the special values."""
    random = np.random.default_rng(7)
    step = 2**32 // PATTERNS | 1
    bits = np.arange(random.integers(step), 2**32, step, dtype=np.uint64)
    sizes = np.exp2(random.uniform(-30, 8, PATTERNS // 2)) * random.choice([-1, 1], PATTERNS // 2)
    with np.errstate(over="ignore"):
        special = SPECIAL.astype(np.float32)
    return np.concatenate([special, bits.astype(np.uint32).view(np.float32), np.float32(sizes)])


def by_element(function):
    """A function of one double over an array; NaN where Python refuses, infinity at poles."""

    def of(x):
        try:
            return function(x)
        except (ValueError, OverflowError):
            return math.inf

    return lambda array: np.array([of(x) for x in array.tolist()])


def digamma(x):
    """By recurrence upward, the asymptotic series, and reflection below zero."""
    x = x.astype(np.longdouble)
    size = np.where(x < 0, 1 - x, x)
    total = np.zeros_like(size)
    for _ in range(20):
        low = size < 20
        total -= np.where(low, 1 / size, 0)
        size = np.where(low, size + 1, size)
    inverse = 1 / (size * size)
    series = inverse * (1 / 12 - inverse * (1 / 120 - inverse * (1 / 252 - inverse / 240)))
    total += np.log(size) - 0.5 / size - series
    pi = np.longdouble("3.14159265358979323846264338328")
    reflected = total - pi / np.tan(pi * (x - np.rint(x)))
    result = np.where(x < 0, np.where(x == np.rint(x), math.nan, reflected), total)
    return np.where(x == 0, np.copysign(math.inf, -x), result)


def erfinv(x):
    """Newton's method from Giles' first estimate, on erfc where x is near 1."""
    size = np.abs(x)
    w = -np.log1p(-size * size)
    y = np.sqrt(np.maximum(w, 1e-300)) * 0.9
    y = np.where(size < 0.5, size * 0.9, y)
    erf, erfc = by_element(math.erf), by_element(math.erfc)
    for _ in range(8):
        off = np.where(size < 0.5, erf(y) - size, (1 - size) - erfc(y))
        step = off * (math.sqrt(math.pi) / 2) * np.exp(y * y)
        y = y - step / (1 + y * step)
    y = np.where(size == 0, 0.0, np.where(size == 1, math.inf, y))
    return np.where(size <= 1, np.copysign(y, x), math.nan)


# The others are held by test_special_functions.py, those by bits below.
MODULES = ("exponential", "logarithm", "softplus", "power", "trigonometric", "inverse",
           "hyperbolic", "error", "gamma", "rounding")
ELEMENTARY = sorted(
    {name for name, function in TABLE.items() if function.__module__.rpartition(".")[2] in MODULES}
    - {"erfcx"}
)

IN_DOUBLE = {
    **{name: getattr(np, name) for name in ELEMENTARY if hasattr(np, name)},
    "sigmoid": lambda x: np.exp(np.minimum(x, 0)) / (1 + np.exp(-np.abs(x))),
    "softplus": lambda x: np.logaddexp(0, x),
    "rsqrt": lambda x: 1 / np.sqrt(x),
    "round": np.rint,
    "asin": np.arcsin,
    "acos": np.arccos,
    "atan": np.arctan,
    "asinh": np.arcsinh,
    "acosh": np.arccosh,
    "atanh": np.arctanh,
    "erf": by_element(math.erf),
    "erfc": by_element(math.erfc),
    "erfinv": erfinv,
    "lgamma": by_element(math.lgamma),
    "digamma": digamma,
}
SINGLE = sorted(set(ELEMENTARY) - {"pow", "atan2", "fmod"})


@pytest.mark.parametrize("name", SINGLE)
def test_floats_over_the_whole_range(name):
    x = floats()
    if name in ("erf", "erfc", "erfinv", "lgamma"):
        x = x[::4]  # the reference is slow
    with np.errstate(all="ignore"):
        exact = IN_DOUBLE[name](x.astype(np.float64))
    assert_close(name, apply(name, x), exact, x)


@pytest.mark.parametrize("dtype", [cresset.float16, cresset.bfloat16], ids=str)
@pytest.mark.parametrize("name", SINGLE)
def test_every_number_of_16_bits(name, dtype):
    """All of them: computed in float32 and rounded once, so within one unit."""
    x = cresset.arange(-(2**15), 2**15, dtype=cresset.int16).view(dtype)
    function = getattr(cresset, name, None) or getattr(cresset.nn.functional, name)
    given, got = x.double().numpy(), function(x).double().numpy()
    with np.errstate(all="ignore"):
        exact = np.asarray(IN_DOUBLE[name](given), np.float64)
    digits, least, bound = {
        cresset.float16: (10, -14, 65520.0), cresset.bfloat16: (7, -126, 2.0**128 - 2.0**119),
    }[dtype]
    size = np.where(np.isfinite(exact), np.abs(exact), 1.0)
    unit = np.exp2(np.maximum(np.frexp(size)[1] - 1, least) - digits)
    exact = np.where(np.abs(exact) >= bound, np.copysign(np.inf, exact), exact)
    with np.errstate(invalid="ignore"):
        close = (np.abs(got - exact) <= unit) & (np.signbit(got) == np.signbit(exact))
    right = close | (got == exact) | np.isnan(got) & np.isnan(exact)
    assert right.all(), [(given[k], got[k], exact[k]) for k in np.flatnonzero(~right)[:5]]


@pytest.mark.parametrize("exponent", [power for power in SHORT_POWERS if power % 1 == 0])
def test_short_powers_over_the_whole_range(exponent):
    """The whole powers that do without logarithms: within 2 units, as the long way is."""
    x = floats()
    with np.errstate(all="ignore"):
        exact = x.astype(np.float64) ** exponent
    assert_close(f"power {exponent} of", cresset.pow(cresset.tensor(x), exponent).numpy(), exact, x)


def test_the_cosine_of_zero_is_one():
    for dtype in (cresset.float32, cresset.float64):
        assert cresset.zeros(3, dtype=dtype).cos().tolist() == [1, 1, 1]


def test_the_sine_is_never_more_than_one():
    near = np.float32(math.pi / 2) + np.arange(-20_000, 20_000, dtype=np.float32) * 2.0**-23
    assert np.abs(apply("sin", near)).max() <= 1
    near = np.pi / 2 + np.arange(-20_000, 20_000) * 2.0**-40
    assert np.abs(apply("sin", near)).max() <= 1


def pairs(random, dtype):
    """Two arguments: special ones all with all, sizes of every kind, like sizes, whole numbers."""
    bound = 120 if dtype == np.float32 else 1000
    sizes = np.exp2(random.uniform(-bound, bound, (2, 50_000)))
    near = 1 + random.uniform(-1, 1, (2, 50_000)) * np.exp2(random.uniform(-20, -1, 50_000))
    near[1] *= np.exp2(random.uniform(-10, 30, 50_000))
    whole = np.rint(random.uniform(-40, 40, (2, 50_000)))
    signs = random.choice([-1, 1], (2, 150_000))
    x, y = np.concatenate([sizes, near, whole], axis=1) * signs
    special = np.array([(a, b) for a in SPECIAL for b in SPECIAL]).T
    with np.errstate(over="ignore"):
        return [np.concatenate(part).astype(dtype) for part in zip(special, (x, y))]


TWO = {
    "pow": (np.power, lambda x, y: mpmath.power(x, y)),
    "atan2": (np.arctan2, lambda x, y: mpmath.atan2(x, y)),
}


@pytest.mark.parametrize("name", TWO)
def test_floats_of_two_arguments(name):
    x, y = pairs(np.random.default_rng(11), np.float32)
    with np.errstate(all="ignore"):
        exact = TWO[name][0](x.astype(np.float64), y.astype(np.float64))
    assert_close(name, apply(name, x, y), exact, x, y)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_fmod_is_exact(dtype):
    x, y = pairs(np.random.default_rng(13), dtype)
    x, y = x[::4], y[::4]
    with np.errstate(all="ignore"):
        exact = np.fmod(x, y)
    got = apply("fmod", x, y)
    assert np.array_equal(got, exact, equal_nan=True)
    numbers = ~np.isnan(exact)
    assert np.array_equal(np.signbit(got[numbers]), np.signbit(exact[numbers]))


DOMAIN = {
    "log": (0, 20), "log2": (0, 20), "log10": (0, 20), "log1p": (-1, 20), "sqrt": (0, 20),
    "rsqrt": (0, 20), "asin": (-1, 1), "acos": (-1, 1), "atanh": (-1, 1), "erfinv": (-1, 1),
    "acosh": (1, 20), "lgamma": (-30, 30), "digamma": (-30, 30), "exp": (-740, 709),
    "exp2": (-1070, 1023), "erfc": (-6, 27), "sigmoid": (-740, 30), "softplus": (-740, 40),
    "sinh": (-710, 710), "cosh": (-710, 710), "expm1": (-40, 709),
}  # fmt: skip


def doubles(name):
    """Random doubles of the function's domain: evenly over it, around one, and of all sizes."""
    random = np.random.default_rng(5)
    low, high = DOMAIN.get(name, (-30, 30))
    bound = 1000 if high == 20 or name in ("sin", "cos", "tan", "atan", "asinh") else 30
    sizes = np.exp2(random.uniform(-bound, min(bound, math.log2(high)), EXACT_POINTS))
    around = 1 + random.uniform(-1, 1, EXACT_POINTS) * np.exp2(random.uniform(-20, 0, EXACT_POINTS))
    if low < 0:
        sizes *= random.choice([-1, 1], EXACT_POINTS)
    x = np.concatenate([random.uniform(low, high, EXACT_POINTS), around, sizes])
    return x[(x > low) & (x < high)] if high < 20 or low == 1 else x[x > low]


def exactly(name):
    """The function in many digits, of one number."""
    special = {
        "sigmoid": lambda x: 1 / (1 + mpmath.exp(-x)),
        "softplus": lambda x: mpmath.log1p(mpmath.exp(x)),
        "exp2": lambda x: mpmath.power(2, x),
        "log2": lambda x: mpmath.log(x, 2),
        "rsqrt": lambda x: 1 / mpmath.sqrt(x),
        "lgamma": lambda x: mpmath.re(mpmath.loggamma(x)),
        "trunc": lambda x: mpmath.sign(x) * mpmath.floor(abs(x)),
        "round": mpmath.nint,
    }
    return special.get(name) or getattr(mpmath, name)


def assert_close_in_digits(name, got, exact, *arguments):
    """Doubles against mpmath's numbers."""
    for at, (value, number) in enumerate(zip(got.tolist(), exact)):
        given = [float(a[at]) for a in arguments]
        size = abs(number)
        if size >= mpmath.mpf(2) ** 1024 - mpmath.mpf(2) ** 970:
            assert value == math.copysign(math.inf, number), f"{name}{given}"
            continue
        exponent = mpmath.frexp(size)[1] - 1 if size else -1022
        error = abs(value - number) / mpmath.mpf(2) ** (max(exponent, -1022) - 52)
        assert error <= UNITS, f"{name}{given}: got {value!r}, {mpmath.nstr(error, 3)} units off"


@pytest.mark.parametrize("name", SINGLE)
def test_doubles_against_many_digits(name):
    x = doubles(name)
    got = apply(name, x)
    if mpmath is None:
        if np.finfo(np.longdouble).nmant < 60 or not isinstance(IN_DOUBLE[name], np.ufunc):
            pytest.skip("neither mpmath nor NumPy has the function in more than double")
        exact = IN_DOUBLE[name](x.astype(np.longdouble))
        assert (np.abs(got - exact) <= UNITS * np.abs(np.spacing(exact.astype(float)))).all()
        return
    if name in ("erfinv", "lgamma", "digamma", "erfc"):
        x, got = x[::8], got[::8]  # mpmath is slow
    with mpmath.workprec(1200 if name in ("sin", "cos", "tan") else 160):
        function = exactly(name)
        assert_close_in_digits(name, got, (function(mpmath.mpf(v)) for v in x.tolist()), x)


@pytest.mark.skipif(mpmath is None, reason="needs mpmath")
@pytest.mark.parametrize("name", TWO)
def test_doubles_of_two_arguments_against_many_digits(name):
    random = np.random.default_rng(3)
    x = np.concatenate([np.exp2(random.uniform(-900, 900, 1000)), random.uniform(0.5, 2, 1000)])
    # Exponents that bring the power anywhere into the range, and beyond it.
    y = random.uniform(-1080, 1028, 2000) / np.log2(x)
    with mpmath.workprec(200):
        numbers = zip(map(mpmath.mpf, x.tolist()), map(mpmath.mpf, y.tolist()))
        assert_close_in_digits(name, apply(name, x, y), (TWO[name][1](*p) for p in numbers), x, y)


@pytest.mark.parametrize("name", ELEMENTARY)
def test_special_doubles(name):
    """As NumPy has them: which are NaN, infinite or zero, and the signs."""
    if name in ("pow", "atan2", "fmod"):
        x = tuple(np.array([(a, b) for a in SPECIAL for b in SPECIAL]).T)
        function = {"pow": np.power, "atan2": np.arctan2, "fmod": np.fmod}[name]
    else:
        x, function = (SPECIAL,), IN_DOUBLE[name]
    if name in ("lgamma", "digamma"):
        x = (SPECIAL[(SPECIAL >= 0) | (SPECIAL == np.rint(SPECIAL)) | np.isnan(SPECIAL)],)
    with np.errstate(all="ignore"):
        exact = np.asarray(function(*x), np.float64)
    got = apply(name, *(np.ascontiguousarray(part) for part in x))
    for at, (value, number) in enumerate(zip(got.tolist(), exact.tolist())):
        given = [float(part[at]) for part in x]
        if math.isnan(number):
            assert math.isnan(value), f"{name}{given}: got {value!r}, exactly NaN"
        else:
            close = math.isclose(value, number, rel_tol=1e-7, abs_tol=1e-323)
            alike = math.copysign(1, value) == math.copysign(1, number)
            assert close and alike, f"{name}{given}: got {value!r}, exactly {number!r}"


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_parts_of_numbers(dtype):
    """As C has them, to the last bit: the significand, the exponent, the next number."""
    random = np.random.default_rng(9)
    bits = random.integers(0, 2**64, 20_000, np.uint64).view(dtype)
    with np.errstate(all="ignore"):
        x = np.concatenate([SPECIAL.astype(dtype), bits])
        significand, exponent = np.frexp(x)
        finite = np.isfinite(x)
    np.testing.assert_array_equal(apply("significand", x), significand)
    np.testing.assert_array_equal(apply("exponent", x)[finite], exponent[finite])
    y = np.roll(x, 1)
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(apply("nextafter", x, y), np.nextafter(x, y))


@pytest.mark.parametrize("lanes", [1, 2, 3, 16])
@pytest.mark.parametrize("name", ["exp", "sin", "log", "lgamma"])
def test_any_number_of_lanes_gives_the_same(name, lanes):
    x = np.concatenate([SPECIAL, np.linspace(-4, 4, 99), np.geomspace(1, 1e20, 99)])
    for dtype in ARRAY.values():
        with np.errstate(over="ignore"):
            values = x.astype(dtype)
        assert np.array_equal(apply(name, values, lanes=lanes), apply(name, values), equal_nan=True)


def test_other_types_are_refused():
    f = ir.Module().function("f", [("<8 x half>", "x")])
    with pytest.raises(TypeError, match="float or double"):
        TABLE["exp"](f, f.arguments[0])
