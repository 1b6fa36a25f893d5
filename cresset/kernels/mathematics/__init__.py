"""The vector mathematics of the compiler."""

from cresset.kernels.mathematics.error import erf, erfc, erfinv
from cresset.kernels.mathematics.exponential import exp, exp2, expm1, sigmoid, tanh
from cresset.kernels.mathematics.gamma import digamma, lgamma
from cresset.kernels.mathematics.hyperbolic import acosh, asinh, atanh, cosh, sinh
from cresset.kernels.mathematics.inverse import acos, asin, atan, atan2
from cresset.kernels.mathematics.logarithm import log, log1p, log2, log10
from cresset.kernels.mathematics.power import pow
from cresset.kernels.mathematics.rounding import ceil, floor, fmod, round, rsqrt, sqrt, trunc
from cresset.kernels.mathematics.trigonometric import cos, sin, tan

TABLE = {n:v for n,v in globals().items() if callable(v)}
