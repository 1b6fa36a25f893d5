"""The vector mathematics of the compiler: functions that emit code for vectors of any width."""

from collections.abc import Callable

from cresset.kernels.mathematics.error import erf, erfc, erfinv
from cresset.kernels.mathematics.exponential import exp, exp2, expm1, sigmoid, tanh
from cresset.kernels.mathematics.gamma import digamma, lgamma
from cresset.kernels.mathematics.hyperbolic import acosh, asinh, atanh, cosh, sinh
from cresset.kernels.mathematics.inverse import acos, asin, atan, atan2
from cresset.kernels.mathematics.logarithm import log, log1p, log2, log10
from cresset.kernels.mathematics.power import pow
from cresset.kernels.mathematics.rounding import ceil, floor, fmod, round, rsqrt, sqrt, trunc
from cresset.kernels.mathematics.trigonometric import cos, sin, tan

# The emitter of each primitive, by the primitive's name.
TABLE: dict[str, Callable] = {
    function.__name__: function
    for function in (
        acos, acosh, asin, asinh, atan, atan2, atanh, ceil, cos, cosh, digamma, erf, erfc, erfinv,
        exp, exp2, expm1, floor, fmod, lgamma, log, log1p, log2, log10, pow, round, rsqrt, sigmoid,
        sin, sinh, sqrt, tan, tanh, trunc,
    )
}
