"""The vector mathematics of the compiler."""

from cresset.compiler.mathematics.error import erf, erfc
from cresset.compiler.mathematics.exponential import exp, exp2, expm1, sigmoid, tanh
from cresset.compiler.mathematics.hyperbolic import acosh, asinh, atanh, cosh, sinh
from cresset.compiler.mathematics.inverse import acos, asin, atan, atan2
from cresset.compiler.mathematics.logarithm import log, log1p, log2, log10
from cresset.compiler.mathematics.power import pow
from cresset.compiler.mathematics.rounding import ceil, floor, round, rsqrt, sqrt, trunc
from cresset.compiler.mathematics.trigonometric import cos, sin, tan

from cresset.compiler.mathematics.gamma import lgamma, digamma
TABLE = {n:v for n,v in globals().items() if callable(v)}
