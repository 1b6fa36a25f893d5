"""Activations: elementwise, each with the parameters of its module in `nn`."""

from __future__ import annotations

import math

from cresset.core import scalar
from cresset.core.scalar import exp, expm1, sigmoid, tanh, where
from cresset.core.special import normal_weight
from cresset.core.tensor import Number
from cresset.ops.kinds import elementwise
from cresset.ops.operation import method, real_only

__all__ = ["celu", "elu", "gelu", "hardshrink", "hardsigmoid", "hardswish", "hardtanh",
           "leaky_relu", "logsigmoid", "mish", "relu", "relu6", "selu", "silu", "softplus",
           "softshrink", "softsign", "tanhshrink", "threshold", "threshold_"]


@method()
@elementwise(promote="numbers")
def relu(x):
    """max(x, 0); NaN stays.

    >>> import cresset
    >>> cresset.relu(cresset.tensor([-1.0, 2.0]))
    tensor([0., 2.])
    """
    return where(x < 0, 0, x)


@relu.gradient
def _relu_gradient(g, out):
    return where(out > 0.0, g, 0.0)


@elementwise(promote="numbers")
def relu6(x):
    """min(max(x, 0), 6)."""
    return scalar.minimum(scalar.maximum(x, 0), 6)


@relu6.gradient
def _relu6_gradient(g, x):
    return where((x > 0.0) & (x < 6.0), g, 0.0)


@elementwise(promote="floating")
def leaky_relu(x, negative_slope: Number = 0.01):
    """x above zero, negative_slope * x below."""
    return where(x > 0, x, x * negative_slope)


@elementwise(promote="floating")
def elu(x, alpha: Number = 1.0):
    """x above zero, alpha * (exp(x) - 1) below."""
    return where(x > 0.0, x, alpha * expm1(x))


@elementwise(promote="floating")
def celu(x, alpha: Number = 1.0):
    """max(0, x) + min(0, alpha * (exp(x / alpha) - 1))."""
    return where(x > 0.0, x, alpha * expm1(x / alpha))


@elementwise(promote="floating")
def selu(x):
    """scale * elu(x, alpha), the self-normalising pair (Klambauer et al. 2017, section 2)."""
    alpha, scale = 1.6732632423543772848170429916717, 1.0507009873554804934193349852946
    return scale * where(x > 0.0, x, alpha * expm1(x))


@real_only
@elementwise(promote="floating")
def gelu(x, *, approximate: str = "none"):
    """x times the normal distribution's cumulative at x (Hendrycks & Gimpel 2016).

    With approximate="tanh" the cumulative is approximated by a hyperbolic tangent.
    """
    if approximate == "tanh":
        inner = math.sqrt(2.0 / math.pi) * (x + 0.044715 * (x * x * x))
        return 0.5 * x * (tanh(inner) + 1.0)
    if approximate != "none":
        raise RuntimeError(f"gelu: approximate must be 'none' or 'tanh'; got {approximate!r}")
    return x * normal_weight(x)


@elementwise(promote="floating")
def silu(x):
    """x * sigmoid(x)."""
    return x * sigmoid(x)


@elementwise(promote="floating")
def mish(x):
    """x * tanh(softplus(x)) (Misra 2019)."""
    # With e^x = u the tangent is n / (n + 2), n = (1 + u)^2 - 1; from 20 on it is one.
    u = exp(scalar.minimum(x, 20.0))
    n = u * (u + 2.0)
    return x * (n / (n + 2.0))


@elementwise(promote="floating")
def softplus(x, beta: Number = 1.0, threshold: Number = 20.0):
    """log(1 + exp(beta * x)) / beta; x itself where beta * x is above the threshold."""
    scaled = x * beta
    return where(scaled > threshold, x, scalar.softplus(scaled) / beta)


@softplus.gradient
def _softplus_gradient(g, x, beta, threshold):
    scaled = x * beta
    return where(scaled > threshold, g, g * sigmoid(scaled))


@elementwise(promote="numbers")
def softsign(x):
    """x / (1 + |x|)."""
    return x / (scalar.absolute(x) + 1)


@elementwise(promote="floating")
def logsigmoid(x):
    """log(sigmoid(x)) without overflow."""
    return -scalar.softplus(-x)


@logsigmoid.gradient
def _logsigmoid_gradient(g, x):
    return g * sigmoid(-x)


@elementwise(promote="numbers")
def hardtanh(x, min_val: Number = -1.0, max_val: Number = 1.0):
    """x held within [min_val, max_val]; the gradient is zero at and beyond the bounds."""
    return scalar.minimum(scalar.maximum(x, min_val), max_val)


@hardtanh.gradient
def _hardtanh_gradient(g, x, min_val, max_val):
    return where((x > min_val) & (x < max_val), g, 0.0)


@elementwise(promote="floating")
def hardsigmoid(x):
    """min(max(x + 3, 0), 6) / 6."""
    return scalar.minimum(scalar.maximum(x + 3.0, 0.0), 6.0) / 6.0


@hardsigmoid.gradient
def _hardsigmoid_gradient(g, x):
    return where((x > -3.0) & (x < 3.0), g / 6.0, 0.0)


@elementwise(promote="floating")
def hardswish(x):
    """x * hardsigmoid(x) (Howard et al. 2019)."""
    return x * (scalar.minimum(scalar.maximum(x + 3.0, 0.0), 6.0) / 6.0)


@hardswish.gradient
def _hardswish_gradient(g, x):
    inner = where(x >= 3.0, g, g * (x / 3.0 + 0.5))
    return where(x <= -3.0, 0.0, inner)


@elementwise(promote="numbers", fits=True)
def threshold(x, threshold: Number, value: Number):
    """x where it is above the threshold, else `value`."""
    return where(x <= threshold, value, x)


threshold_ = threshold.in_place


@elementwise(promote="floating", fits=True)
def hardshrink(x, lambd: Number = 0.5):
    """x where |x| > lambd, else 0."""
    return where(scalar.absolute(x) <= lambd, 0, x)


@elementwise(promote="floating")
def softshrink(x, lambd: Number = 0.5):
    """x moved towards zero by lambd, not negative; NaN and the sign of zero stay."""
    return where(x > lambd, x - lambd, where(x < -lambd, x + lambd, x * 0))


@elementwise(promote="numbers")
def tanhshrink(x):
    """x - tanh(x)."""
    return x - tanh(x)


@elementwise(promote="floating")
def prelu_kernel(x, weight):
    """x above zero, weight * x below; the weight broadcasts."""
    return where(x > 0.0, x, weight * x)
