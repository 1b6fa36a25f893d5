"""Samples of elementwise operations."""

from __future__ import annotations

import numpy as np
from operands import above_one, few_bits, nonzero, positive, probability, real, truth, unit
from sample import elementwise, sample


def arithmetic():
    for name, meaning in {"add": np.add, "sub": np.subtract, "mul": np.multiply}.items():
        yield from elementwise(name, real, real, meaning=meaning)
        yield from elementwise(name, real, 2, meaning=meaning)
        yield from elementwise(name, real, 0.7, ulps=1)
    for name in ("add", "sub", "rsub"):
        yield from elementwise(name, real, real, alpha=2, ulps=1, scale=9)
    yield from elementwise("Tensor.__rsub__", real, 3)
    yield from elementwise("div", real, nonzero, meaning=np.divide)
    yield from elementwise("div", nonzero, 4)
    yield from elementwise("div", real, nonzero, rounding_mode="floor")
    yield from elementwise("div", real, nonzero, rounding_mode="trunc")
    yield from elementwise("true_divide", real, nonzero, meaning=np.true_divide)
    yield from elementwise("Tensor.__rtruediv__", nonzero, 2, ulps=1)
    yield from elementwise("floor_divide", real, nonzero, meaning=np.floor_divide)
    yield from elementwise("floor_divide", real, 2)
    yield from elementwise("Tensor.__rfloordiv__", nonzero, 5)
    yield from elementwise("remainder", real, nonzero, meaning=np.remainder, ulps=1, scale=3)
    # A thousandth of a unit lets zeros differ in sign: ours have the divisor's, as Python's do and
    # PyTorch documents; PyTorch's have the dividend's. tests/test_array_api.py holds it.
    yield from elementwise("remainder", real, 2, ulps=0.001)
    yield from elementwise("Tensor.__rmod__", nonzero, 5, ulps=1, scale=5)
    yield from elementwise("fmod", real, nonzero, meaning=np.fmod)
    yield from elementwise("fmod", real, 2)
    yield from elementwise("neg", real, meaning=np.negative)
    yield from elementwise("positive", real, meaning=np.positive)
    yield from elementwise("abs", real, meaning=np.abs)
    yield from elementwise("sign", real, meaning=np.sign)
    yield from elementwise("square", real, meaning=np.square)
    yield from elementwise("reciprocal", nonzero)
    yield from elementwise("sqrt", positive, ulps=1, meaning=np.sqrt)
    yield from elementwise("rsqrt", positive, ulps=1)
    for name in ("floor", "ceil", "trunc"):
        yield from elementwise(name, real, meaning=getattr(np, name))
    yield from elementwise("frac", real)
    yield from elementwise("round", real, meaning=np.round)
    yield from elementwise("round", real, decimals=1)
    yield from elementwise("pow", positive, real, ulps=4)
    for exponent in (0, 1, 2, 3, 4, -1, -2, 0.5, -0.5, 2.5, 5):
        yield from elementwise("pow", positive, exponent, ulps=4)
    yield from elementwise("pow", 2, real, ulps=4)
    yield from elementwise("Tensor.__rpow__", real, 2, ulps=4)
    whole = {"differentiable": False}
    for name in ("bitwise_and", "bitwise_or", "bitwise_xor"):
        yield from elementwise(name, real, real, meaning=getattr(np, name), **whole)
        yield from elementwise(name, real, 5, **whole)
    yield from elementwise("bitwise_not", real, **whole)
    yield from elementwise("bitwise_left_shift", few_bits, few_bits, **whole)
    yield from elementwise("bitwise_right_shift", real, few_bits, **whole)
    yield from elementwise("addcmul", real, real, real, ulps=2, scale=9)
    yield from elementwise("addcmul", real, real, real, value=2, ulps=2, scale=9)
    yield from elementwise("addcdiv", real, real, nonzero, ulps=2, scale=9)
    yield from elementwise("addcdiv", real, real, nonzero, value=0.5, ulps=2, scale=9)
    yield from elementwise("lerp", real, real, unit, ulps=4, scale=6)
    yield from elementwise("lerp", real, real, 0.25, ulps=4, scale=6)


def comparison():
    for name in ("eq", "ne", "lt", "le", "gt", "ge"):
        long = {"eq": "equal", "ne": "not_equal", "lt": "less", "le": "less_equal",
                "gt": "greater", "ge": "greater_equal"}[name]
        yield from elementwise(name, real, real, meaning=getattr(np, long))
        yield from elementwise(name, real, 1)
        yield from elementwise(name, real, 0.5)
    for name in ("isnan", "isinf", "isfinite", "logical_not"):
        yield from elementwise(name, real, meaning=getattr(np, name))
    for name in ("logical_and", "logical_or", "logical_xor", "maximum", "minimum"):
        yield from elementwise(name, real, real, meaning=getattr(np, name))
    yield from elementwise("where", truth, real, real, meaning=np.where)
    yield from elementwise("where", truth, real, 2)
    yield from elementwise("where", truth, 0.5, real)
    yield from elementwise("Tensor.where", real, truth, real)
    yield from elementwise("clamp", real, -1, 1)
    yield from elementwise("clamp", real, 0.5)
    yield from elementwise("clamp", real, max=0.5)
    yield from elementwise("clamp", real, unit, above_one)
    yield from elementwise("clamp_min", real, 1)
    yield from elementwise("clamp_max", real, 1)
    yield from elementwise("masked_fill", real, truth, 2)
    yield sample("masked_fill", real(2, 3), truth(3), real())
    yield from elementwise("max", real, real)
    yield from elementwise("min", real, real)


def exponential():
    domains = {
        "exp": real, "exp2": real, "expm1": real, "log": positive, "log2": positive,
        "log10": positive, "log1p": positive, "sin": real, "cos": real, "tan": unit,
        "sinh": real, "cosh": real, "tanh": real, "erf": real, "erfc": real, "erfinv": unit,
        "lgamma": positive, "digamma": positive, "sigmoid": real,
    }
    for name, domain in domains.items():
        yield from elementwise(name, domain, ulps=4, scale=NEAR_ZERO.get(name, 0.0),
                               meaning=getattr(np, name, None))
    for name, domain in {"asin": unit, "acos": unit, "atan": real, "asinh": real,
                         "acosh": above_one, "atanh": unit}.items():
        yield from elementwise(name, domain, ulps=4, meaning=getattr(np, "arc" + name[1:]))
    yield from elementwise("atan2", real, nonzero, ulps=4, meaning=np.arctan2)
    yield from elementwise("logaddexp", real, real, ulps=4, scale=1, meaning=np.logaddexp)
    yield from elementwise("logit", probability, ulps=4)
    yield from elementwise("logit", probability, eps=0.2, ulps=4)
    yield from elementwise("xlogy", real, positive, ulps=4)


# Functions with zeros, near which PyTorch itself has an absolute error (test_mathematics.py holds
# ours against exact values): the scale that errors are measured by.
NEAR_ZERO = {"lgamma": 0.1, "digamma": 2.0}


def activation():
    for name in ("relu", "relu6", "hardtanh", "hardsigmoid", "hardswish", "hardshrink",
                 "softshrink", "softsign", "leaky_relu"):
        yield from elementwise(f"nn.functional.{name}", real, ulps=2)
    for name in ("elu", "celu", "selu", "silu", "mish", "softplus", "logsigmoid",
                 "tanhshrink"):
        yield from elementwise(f"nn.functional.{name}", real, ulps=8, scale=0.1)
    yield from elementwise("relu", real)
    yield from elementwise("nn.functional.leaky_relu", real, 0.3, ulps=1)
    yield from elementwise("nn.functional.elu", real, 0.7, ulps=8)
    yield from elementwise("nn.functional.celu", real, 0.7, ulps=8)
    # PyTorch too adds 1 to erf, so far below zero it is only as exact as 1 is.
    yield from elementwise("nn.functional.gelu", real, ulps=4, scale=1)
    yield from elementwise("nn.functional.gelu", real, approximate="tanh", ulps=8, scale=1)
    yield from elementwise("nn.functional.softplus", real, 2.0, 3.0, ulps=8)
    yield from elementwise("nn.functional.hardtanh", real, -0.4, 1.3)
    yield from elementwise("nn.functional.threshold", real, 0.4, -2.0)
    yield from elementwise("nn.functional.hardshrink", real, 1.1)
    yield from elementwise("nn.functional.softshrink", real, 1.1, ulps=1)
    yield sample("nn.functional.prelu", real(2, 3, 2), real(3))
    yield sample("nn.functional.prelu", real(2, 3), real(1))
