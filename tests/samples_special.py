"""Samples of functions of floating-point numbers, of divisors, and of the special functions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from operands import few_bits, nonzero, positive, probability, real, unit
from sample import elementwise, sample


def floating_point():
    whole = {"differentiable": False}
    yield from elementwise("signbit", real, meaning=np.signbit, **whole)
    yield from elementwise("copysign", real, nonzero, meaning=np.copysign)
    yield from elementwise("copysign", real, -1.0)
    yield from elementwise("nextafter", real, real, **whole)
    yield from elementwise("frexp", real)
    yield from elementwise("ldexp", real, few_bits, ulps=1)
    for name in ("nan_to_num", "isposinf", "isneginf", "isreal"):
        yield from elementwise(name, real)
    yield from elementwise("nan_to_num", real, nan=1.0, posinf=2.0, neginf=-3.0)
    yield from elementwise("heaviside", real, real, meaning=np.heaviside, **whole)
    yield from elementwise("fmax", real, real, meaning=np.fmax)
    yield from elementwise("fmin", real, real, meaning=np.fmin)
    yield from elementwise("gcd", real, real, meaning=np.gcd, **whole)
    yield from elementwise("lcm", real, real, meaning=np.lcm, **whole)
    yield from elementwise("clip", real, -1, 1)
    yield from elementwise("clamp_min", real, unit)
    yield from elementwise("clamp_max", real, unit)
    yield from elementwise("hypot", real, nonzero, ulps=2, meaning=np.hypot)
    yield from limited("sinc", real, ulps=4, scale=1, meaning=np.sinc)
    yield from elementwise("deg2rad", real, ulps=1, meaning=np.deg2rad)
    yield from elementwise("rad2deg", real, ulps=1, meaning=np.rad2deg)
    yield from elementwise("logaddexp2", real, real, ulps=4, scale=1, meaning=np.logaddexp2)
    yield from elementwise("float_power", positive, real, ulps=4)
    yield from elementwise("float_power", nonzero, 3, ulps=4)
    for name in ("arcsin", "arccos", "arctanh"):
        yield from elementwise(name, unit, ulps=4, meaning=getattr(np, name))
    yield from elementwise("arctan2", real, nonzero, ulps=4)


def agreement():
    for equal_nan in (False, True):
        yield from elementwise("isclose", real, real, rtol=0.5, atol=0.1, equal_nan=equal_nan)
    yield from elementwise("isclose", real, real)
    yield sample("allclose", real(2, 3), real(3), atol=10.0)
    yield sample("allclose", real(2, 3), real(3))
    yield sample("equal", real(2, 3), real(2, 3))
    yield sample("equal", real(2, 3), real(3))
    yield sample("isin", real(2, 3), real(7))
    yield sample("isin", few_bits(40), few_bits(2, 2), invert=True)
    yield sample("isin", few_bits(4), 2)
    yield sample("isin", 2, few_bits(4))
    for p in (0, 1, 2, 3, float("inf")):
        yield sample("dist", real(2, 3), real(3), p).within(8)


def special():
    for name, domain in {"erfcx": unit, "i0e": real, "i1": real, "i1e": real,
                         "log_ndtr": real}.items():
        yield from limited(f"special.{name}", domain, ulps=8)
    yield from limited("i0", real, ulps=8)
    yield from limited("special.ndtr", real, ulps=4, scale=1)
    yield from elementwise("special.ndtri", probability, ulps=8, scale=0.1)
    yield from elementwise("special.entr", positive, ulps=4)
    yield from elementwise("special.xlog1py", real, positive, ulps=4)
    yield from elementwise("special.xlog1py", 2.0, positive, ulps=4)
    yield from limited("special.zeta", 3.0, positive, ulps=8)
    yield from limited("special.zeta", positive, positive, ulps=8, differentiable=False)
    yield from limited("mvlgamma", positive, 1, ulps=8, scale=1)
    yield from limited("mvlgamma", positive, 3, ulps=16, scale=1, differentiable=False)
    for name in ("igamma", "igammac"):
        yield from limited(name, positive, positive, ulps=32, differentiable=False)


def limited(*args, **keywords):
    """Samples that are not compared at infinities and NaN; see test_special_functions.py."""
    return (replace(each, finite=True) for each in elementwise(*args, **keywords))


def rough():
    """Functions of which PyTorch's results are exact to single precision alone.

    test_special_functions.py holds ours against exact values. PyTorch's have no gradients either,
    but for polygamma's.
    """
    for order in (1, 2, 5):
        for shape in ((2, 5), (3, 37), (0, 3)):
            yield single("polygamma", order, positive(*shape)).within(32, scale=2).constant()
        yield sample("polygamma", order, positive(5)).within(32, scale=2)
        yield single("Tensor.polygamma", positive(2, 5), order).within(32, scale=2).constant()
    for name in ("airy_ai", "bessel_j0", "bessel_j1", "spherical_bessel_j0"):
        for shape in ((2, 5), (3, 37)):
            yield single(f"special.{name}", real(*shape)).within(64, scale=1).constant()
    for name in ("bessel_y0", "bessel_y1", "modified_bessel_k0", "modified_bessel_k1",
                 "scaled_modified_bessel_k0", "scaled_modified_bessel_k1"):
        for shape in ((2, 5), (3, 37)):
            yield single(f"special.{name}", positive(*shape)).within(64, scale=1).constant()
    shifted = ("", "shifted_")
    for name in (*(f"{s}chebyshev_polynomial_{kind}" for s in shifted for kind in "tuvw"),
                 "hermite_polynomial_h", "hermite_polynomial_he", "laguerre_polynomial_l",
                 "legendre_polynomial_p"):
        for degree in (few_bits(5), 3):
            yield single(f"special.{name}", unit(2, 5), degree).within(16, scale=64).constant()


def single(name, *args):
    """A sample of float32, in few shapes."""
    args = [a._replace(dtype="float32") if hasattr(a, "_replace") else a for a in args]
    return sample(name, *args)


LISTS = ([real(2, 3), real(4)], [nonzero(2, 3), nonzero(4)], [positive(2, 3), positive(4)])


def foreach():
    first, second, third = LISTS
    for name in ("abs", "ceil", "cos", "exp", "neg", "reciprocal", "sigmoid", "tanh"):
        yield sample(f"_foreach_{name}", second).within(4)
    yield sample("_foreach_sqrt", third).within(1)
    for name in ("add", "sub", "mul", "div", "maximum", "minimum", "clamp_min", "clamp_max"):
        yield sample(f"_foreach_{name}", first, second).within(1)
        yield sample(f"_foreach_{name}", first, 2.0).within(1)
        yield sample(f"_foreach_{name}", first, [2.0, 3.0]).within(1)
    yield sample("_foreach_pow", third, [2.0, 0.5]).within(4)
    yield sample("_foreach_pow", 2.0, third).within(4)
    yield sample("_foreach_add", first, second, alpha=3).within(2, scale=9)
    for name in ("addcmul", "addcdiv"):
        yield sample(f"_foreach_{name}", first, second, third, value=0.5).within(2, scale=9)
        yield sample(f"_foreach_{name}", first, second, third, [0.5, 2.0]).within(2, scale=9)
    yield sample("_foreach_lerp", first, second, 0.3).within(4, scale=6)
    yield sample("_foreach_norm", first).within(4)
    yield sample("_foreach_norm", first, 1).within(4)
