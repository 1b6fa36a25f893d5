"""The vector mathematics of the compiler."""

from cresset.compiler.mathematics.error import erf
from cresset.compiler.mathematics.exponential import exp, sigmoid, tanh
from cresset.compiler.mathematics.logarithm import log,log2,log10,log1p
from cresset.compiler.mathematics.power import pow
from cresset.compiler.mathematics.rounding import ceil, floor, round, rsqrt, sqrt, trunc
from cresset.compiler.mathematics.trigonometric import sin,cos,tan

TABLE = {"erf":erf, "exp": exp, "sigmoid": sigmoid, "tanh": tanh,"log":log,"log2":log2,"log10":log10,"log1p":log1p, "sin":sin,"cos":cos,"tan":tan,"pow":pow,"sqrt":sqrt,"rsqrt":rsqrt,"floor":floor,"ceil":ceil,"trunc":trunc,"round":round}
