"""The special functions against exact values, at their limits, and their gradients."""

import math

import numpy as np
import pytest
from test_mathematics import apply

import cresset
from cresset.core.special import POLYNOMIALS
from cresset.kernels.mathematics import TABLE

mpmath = pytest.importorskip("mpmath", reason="exact values come from mpmath")
BITS = 250


def amplitude(x):
    """What errors of oscillating functions are measured by."""
    return math.sqrt(2 / math.pi / x) if x > 5 else 1.0


def with_powers(low, high, least=-60):
    """Arguments of all sizes up to `high`, and evenly between the bounds."""
    random = np.random.default_rng(5)
    sizes = np.exp2(random.uniform(least, math.log2(high), 40))
    return np.concatenate([random.uniform(low, high, 80), sizes])


BY_DEFINITION = {
    "bessel_j0": lambda x: mpmath.besselj(0, x),
    "bessel_j1": lambda x: mpmath.besselj(1, x),
    "bessel_y0": lambda x: mpmath.bessely(0, x),
    "bessel_y1": lambda x: mpmath.bessely(1, x),
    "spherical_bessel_j0": lambda x: mpmath.sinc(x),
    "i0": lambda x: mpmath.besseli(0, x),
    "i1": lambda x: mpmath.besseli(1, x),
    "i0e": lambda x: mpmath.besseli(0, x) * mpmath.exp(-abs(x)),
    "i1e": lambda x: mpmath.besseli(1, x) * mpmath.exp(-abs(x)),
    "k0": lambda x: mpmath.besselk(0, x),
    "k1": lambda x: mpmath.besselk(1, x),
    "k0e": lambda x: mpmath.besselk(0, x) * mpmath.exp(x),
    "k1e": lambda x: mpmath.besselk(1, x) * mpmath.exp(x),
    "airy_ai": mpmath.airyai,
    "erfcx": lambda x: mpmath.erfc(x) * mpmath.exp(x * x),
    "ndtr": lambda x: mpmath.erfc(-x / mpmath.sqrt(2)) / 2,
}
# Arguments, units in the last place, and what they are those of beside the value.
DOUBLES = {
    "bessel_j0": (with_powers(0, 60), 4, amplitude),
    "bessel_j1": (with_powers(0, 60), 4, lambda x: min(x, amplitude(x))),
    "bessel_y0": (with_powers(0, 60), 5, amplitude),
    "bessel_y1": (with_powers(0, 60), 5, amplitude),
    "spherical_bessel_j0": (with_powers(-40, 40), 4, None),
    "i0": (with_powers(-40, 700), 3, None),
    "i1": (with_powers(-40, 700), 3, None),
    "i0e": (with_powers(-40, 1000), 4, None),
    "i1e": (with_powers(-40, 1000), 4, None),
    "k0": (with_powers(0, 700), 4, None),
    "k1": (with_powers(0, 700), 4, None),
    "k0e": (with_powers(0, 1000), 4, None),
    "k1e": (with_powers(0, 1000), 4, None),
    "airy_ai": (with_powers(-40, 90), 7, lambda x: 0.5 if x < 1 else 0),
    "erfcx": (with_powers(-26, 100), 3, None),
    "ndtr": (with_powers(-38, 8), 3, None),
}


def error(value, exact, scale=0.0):
    """The distance in units in the last place of the exact value, or of the scale if greater."""
    size = max(abs(exact), mpmath.mpf(scale))
    exponent = max(mpmath.frexp(size)[1] - 1, -1022) if size else -1022
    return float(abs(mpmath.mpf(value) - exact) / mpmath.mpf(2) ** (exponent - 52))


@pytest.mark.parametrize("name", DOUBLES)
def test_doubles_against_many_digits(name):
    arguments, units, scale = DOUBLES[name]
    if name.startswith(("k", "bessel_y")):
        arguments = arguments[::6]  # mpmath is slow
    with mpmath.workprec(BITS):
        for x, value in zip(arguments.tolist(), apply(name, arguments).tolist()):
            exact = BY_DEFINITION[name](mpmath.mpf(x))
            found = error(value, exact, scale(x) if scale else 0.0)
            assert found <= units, f"{name}({x!r}): got {value!r}, {found:.3g} units off"


@pytest.mark.parametrize("name", DOUBLES)
def test_floats_are_the_doubles_rounded(name):
    x = DOUBLES[name][0].astype(np.float32)
    with np.errstate(over="ignore"):
        expected = apply(name, x.astype(np.float64)).astype(np.float32)
    np.testing.assert_array_equal(apply(name, x), expected)


def test_ndtri_inverts_ndtr():
    random = np.random.default_rng(3)
    p = np.concatenate([random.uniform(0, 1, 80), np.exp2(random.uniform(-1070, -1, 60)),
                        1 - np.exp2(random.uniform(-52, -1, 40))])
    with mpmath.workprec(BITS):
        for given, value in zip(p.tolist(), apply("ndtri", p).tolist()):
            x = mpmath.mpf(value)
            for _ in range(4):
                off = BY_DEFINITION["ndtr"](x) - mpmath.mpf(given)
                x -= off * mpmath.sqrt(2 * mpmath.pi) * mpmath.exp(x * x / 2)
            assert error(value, x) <= 3, f"ndtri({given!r}): got {value!r}"


def test_normal_weight_is_ndtr_within_two_units_of_one():
    x = np.concatenate([np.linspace(-9, 9, 2_000_001), [-1e-40, 0, -math.inf, math.inf, math.nan]])
    for kind in (np.float32, np.float64):
        given = x.astype(kind)
        got = apply("normal_weight", given).astype(np.float64)
        exact = apply("ndtr", given.astype(np.float64))
        np.testing.assert_allclose(got, exact, rtol=0, atol=np.finfo(kind).epsneg * 2)
        far = np.abs(given) > 8.6
        np.testing.assert_array_equal(got[far], given[far] > 0)


def incomplete(lower):
    def function(a, x):
        bounds = (0, x) if lower else (x, mpmath.inf)
        return mpmath.gammainc(a, *bounds, regularized=True)

    return function


def test_incomplete_gamma_functions():
    """In every region: small a, both series, the fraction, and near a > 20."""
    random = np.random.default_rng(1)
    a = np.concatenate([np.exp2(random.uniform(-20, 1, 20)), random.uniform(0, 30, 30),
                        random.uniform(20, 300, 20)])
    x = np.concatenate([random.uniform(0, 2, 20), random.uniform(0, 40, 30),
                        a[50:] * random.uniform(0.6, 1.5, 20)])
    with mpmath.workprec(200):
        for name, lower in (("gammainc", True), ("gammaincc", False)):
            for at, value in enumerate(apply(name, a, x).tolist()):
                exact = incomplete(lower)(mpmath.mpf(float(a[at])), mpmath.mpf(float(x[at])))
                exponent = abs(x[at] - a[at] + a[at] * math.log(a[at] / x[at]))
                allowed = 32 * (1 + exponent)
                found = error(value, exact)
                assert found <= allowed, f"{name}({a[at]!r}, {x[at]!r}): {found:.3g} units off"


def test_zeta():
    random = np.random.default_rng(2)
    x = np.concatenate([random.uniform(1, 3, 20), random.uniform(1, 30, 20)])
    q = np.concatenate([random.uniform(0, 3, 20), np.exp2(random.uniform(-5, 20, 20))])
    with mpmath.workprec(400):  # mpmath loses many of them
        for at, value in enumerate(apply("zeta", x, q).tolist()):
            exact = mpmath.zeta(mpmath.mpf(float(x[at])), mpmath.mpf(float(q[at])))
            assert error(value, exact) <= 5, f"zeta({x[at]!r}, {q[at]!r})"


def test_zeta_below_zero_adds_the_terms_of_either_sign():
    x, q = np.array([2.0, 3.0, 4.0, 3.0]), np.array([-0.25, -1.5, -20.75, -3e5 + 0.25])
    for exponent, start, value in zip(x, q, apply("zeta", x, q)):
        below = start + np.arange(math.ceil(-start))
        exact = math.fsum(below**-exponent) + apply(
            "zeta", np.array([exponent]), np.array([below[-1] + 1]))[0]
        assert math.isclose(value, exact, rel_tol=1e-12)


def polynomial(name):
    """The polynomial by mpmath."""
    kind = name[-1]
    chebyshev = {
        "t": lambda n, t: mpmath.cos(n * t),
        "u": lambda n, t: mpmath.sin((n + 1) * t) / mpmath.sin(t),
        "v": lambda n, t: mpmath.cos((n + 0.5) * t) / mpmath.cos(t / 2),
        "w": lambda n, t: mpmath.sin((n + 0.5) * t) / mpmath.sin(t / 2),
    }
    others = {
        "hermite_polynomial_h": mpmath.hermite,
        "hermite_polynomial_he": lambda n, x: (
            mpmath.hermite(n, x / mpmath.sqrt(2)) * mpmath.mpf(2) ** (-mpmath.mpf(n) / 2)
        ),
        "laguerre_polynomial_l": lambda n, x: mpmath.laguerre(n, 0, x),
        "legendre_polynomial_p": mpmath.legendre,
    }
    if name in others:
        return others[name]
    if name.startswith("shifted"):
        return lambda n, x: chebyshev[kind](n, mpmath.acos(2 * x - 1))
    return lambda n, x: chebyshev[kind](n, mpmath.acos(x))


@pytest.mark.parametrize("name", POLYNOMIALS)
def test_orthogonal_polynomials(name):
    """Errors grow with the degree, and with the polynomials of lower degree."""
    random = np.random.default_rng(4)
    n = np.array([0, 1, 2, 3, 5, 8, 21, 60, 65, 100] * 2, np.float64)
    x = random.uniform(0.05, 0.95, 20)
    with mpmath.workprec(200):
        function = polynomial(name)
        for at, value in enumerate(apply(name, x, n).tolist()):
            given = mpmath.mpf(float(x[at]))
            exact = function(int(n[at]), given)
            scale = max(abs(function(k, given)) for k in range(int(n[at]) + 1))
            assert error(value, exact, scale) <= 8 * (n[at] + 1), f"{name}({x[at]!r}, {n[at]})"


def test_chebyshev_polynomials_at_the_ends():
    x = np.array([1.0, -1.0, 1.0, -1.0])
    n = np.array([100.0, 100.0, 101.0, 101.0])
    for kind, expected in {"t": [1, 1, 1, -1], "u": [101, 101, 102, -102],
                           "v": [1, 201, 1, -203], "w": [201, 1, 203, -1]}.items():
        assert apply(f"chebyshev_polynomial_{kind}", x, n).tolist() == expected


def test_polynomials_of_degrees_beyond_bounds():
    """A degree below zero gives zero; one that would take forever NaN."""
    x = np.array([0.5, 2.0, 2.0, 0.5])
    for name in POLYNOMIALS:
        low, high, *_ = apply(name, x, np.array([-1.0, 1e18, 1e300, 0.0]))
        assert low == 0
        assert math.isnan(high)


@pytest.mark.parametrize("name", [*DOUBLES, "ndtri"])
def test_nan_stays_nan(name):
    for dtype in (np.float32, np.float64):
        assert np.isnan(apply(name, np.full(3, np.nan, dtype))).all()


@pytest.mark.parametrize("name", ["gammainc", "gammaincc", "zeta", *POLYNOMIALS])
def test_nan_of_either_operand_stays_nan(name):
    nan, one = np.full(3, np.nan), np.full(3, 2.0)
    assert np.isnan(apply(name, nan, one)).all()
    assert np.isnan(apply(name, one, nan)).all()


LIMITS = {
    "bessel_j0": (0, 0), "bessel_j1": (-0.0, 0), "bessel_y0": (math.nan, 0),
    "bessel_y1": (math.nan, 0), "spherical_bessel_j0": (0, 0), "i0": (math.inf, math.inf),
    "i1": (-math.inf, math.inf), "i0e": (0, 0), "i1e": (-0.0, 0), "k0": (math.nan, 0),
    "k1": (math.nan, 0), "k0e": (math.nan, 0), "k1e": (math.nan, 0), "erfcx": (math.inf, 0),
    "ndtr": (0, 1),
}  # fmt: skip


@pytest.mark.parametrize("name", LIMITS)
def test_limits_at_infinity(name):
    np.testing.assert_array_equal(apply(name, np.array([-np.inf, np.inf])), LIMITS[name])


def test_incomplete_gamma_functions_at_their_bounds():
    """As PyTorch has them."""
    inf, nan = math.inf, math.nan
    a = np.array([0.0, 0.0, 1.0, 1.0, inf, inf, -1.0, 1.0])
    x = np.array([0.0, 1.0, 0.0, inf, 1.0, inf, 1.0, -1.0])
    lower = [nan, 1, 0, 1, 0, nan, nan, nan]
    np.testing.assert_array_equal(apply("gammainc", a, x), lower)
    np.testing.assert_array_equal(apply("gammaincc", a, x), 1 - np.array(lower))


def test_every_kernel_of_a_special_function_is_held_here():
    known = {*DOUBLES, *POLYNOMIALS, "ndtri", "normal_weight", "gammainc", "gammaincc",
             "zeta"}
    modules = ("airy", "bessel", "incomplete_gamma", "modified_bessel", "normal", "orthogonal",
               "zeta")
    found = {name for name, function in TABLE.items()
             if function.__module__.rpartition(".")[2] in modules}
    assert found <= known


UNARY = ("bessel_j0", "bessel_j1", "bessel_y0", "bessel_y1", "modified_bessel_i0",
         "modified_bessel_i1", "modified_bessel_k0", "modified_bessel_k1",
         "scaled_modified_bessel_k0", "scaled_modified_bessel_k1")


@pytest.mark.parametrize("name", UNARY)
def test_gradients_beyond_pytorchs(name):
    x = cresset.tensor([0.4, 1.7, 6.5], dtype=cresset.float64, requires_grad=True)
    function = getattr(cresset.special, name)
    cresset.autograd.gradcheck(function, (x,))
    cresset.autograd.gradgradcheck(function, (x,))


def test_gradients_of_the_incomplete_gamma_functions():
    a = cresset.tensor([0.4, 1.7, 6.5], dtype=cresset.float64)
    x = cresset.tensor([0.3, 2.5, 6.0], dtype=cresset.float64, requires_grad=True)
    for name in ("gammainc", "gammaincc"):
        cresset.autograd.gradcheck(lambda x, f=name: getattr(cresset.special, f)(a, x), (x,))


@pytest.mark.parametrize("call", [
    lambda s, x, y: s.zeta(x, y.detach()), lambda s, x, y: s.gammainc(x, y.detach()),
    lambda s, x, y: s.airy_ai(x), lambda s, x, y: s.legendre_polynomial_p(x, 3),
])  # fmt: skip
def test_missing_derivatives_are_refused(call):
    x = cresset.tensor([1.5], requires_grad=True)
    y = cresset.tensor([2.5], requires_grad=True)
    with pytest.raises(NotImplementedError, match="the derivative by"):
        call(cresset.special, x, y).sum().backward()
