"""Vector mathematics: each function of a number as explicit SIMD instructions.

`TABLE[name](f, x, ...)` appends the instructions to the function `f` that is being written and
returns the result, for `float` and `double`, scalars and vectors of any width. Results are within
2 units in the last place of the exact value, for every argument: signed zeros, subnormal numbers,
infinities, NaN, overflow and gradual underflow included. What is less exact states its own bound:
`digamma` of doubles below -30, and the special functions, which `cresset.special` gathers. There
are no tables to read and no calls of a library. Lanes of the elementary functions never branch
apart; what a whole vector branches to is rare: huge angles, huge quotients, the tails of erfinv.
The long ones, written for a register of doubles, leave out what none of its lanes needs.

The polynomials are minimax, by Remez' exchange over the interval that stands beside them, with
coefficients rounded one after another and the others fitted again. Code is written for processors
with a fused multiply-add; LLVM calls the C library's fma where there is none.

    >>> from cresset.runtime import ir
    >>> module = ir.Module()
    >>> f = module.function("squash", [("<8 x float>", "x")], returns="<8 x float>")
    >>> f.ret(TABLE["tanh"](f, f.arguments[0]))
    >>> "fdiv <8 x float>" in module.text()
    True
"""

from collections.abc import Callable

from cresset.kernels.mathematics.airy import airy_ai
from cresset.kernels.mathematics.bessel import (
    bessel_j0,
    bessel_j1,
    bessel_y0,
    bessel_y1,
    spherical_bessel_j0,
)
from cresset.kernels.mathematics.error import erf, erfc, erfcx, erfinv
from cresset.kernels.mathematics.exponential import exp, exp2, expm1, sigmoid, tanh
from cresset.kernels.mathematics.gamma import digamma, lgamma
from cresset.kernels.mathematics.hyperbolic import acosh, asinh, atanh, cosh, sinh
from cresset.kernels.mathematics.incomplete_gamma import gammainc, gammaincc
from cresset.kernels.mathematics.inverse import acos, asin, atan, atan2
from cresset.kernels.mathematics.logarithm import log, log1p, log2, log10
from cresset.kernels.mathematics.modified_bessel import i0, i0e, i1, i1e, k0, k0e, k1, k1e
from cresset.kernels.mathematics.normal import ndtr, ndtri, normal_weight
from cresset.kernels.mathematics.orthogonal import (
    chebyshev_polynomials,
    hermite_polynomial_h,
    hermite_polynomial_he,
    laguerre_polynomial_l,
    legendre_polynomial_p,
)
from cresset.kernels.mathematics.power import pow
from cresset.kernels.mathematics.representation import exponent, nextafter, signbit, significand
from cresset.kernels.mathematics.rounding import ceil, floor, fmod, round, rsqrt, sqrt, trunc
from cresset.kernels.mathematics.softplus import softplus
from cresset.kernels.mathematics.trigonometric import cos, sin, tan
from cresset.kernels.mathematics.zeta import zeta
from cresset.runtime import ir

TABLE: dict[str, Callable[..., ir.Value]] = {
    function.__name__: function
    for function in (
        exp, exp2, expm1, sigmoid, tanh,
        log, log2, log10, log1p, pow, softplus,
        sin, cos, tan, asin, acos, atan, atan2,
        sinh, cosh, asinh, acosh, atanh,
        erf, erfc, erfinv, lgamma, digamma,
        sqrt, rsqrt, floor, ceil, trunc, round, fmod,
        signbit, significand, exponent, nextafter,
        bessel_j0, bessel_j1, bessel_y0, bessel_y1, spherical_bessel_j0,
        *chebyshev_polynomials, hermite_polynomial_h, hermite_polynomial_he,
        laguerre_polynomial_l, legendre_polynomial_p,
        airy_ai, erfcx, ndtr, ndtri, normal_weight, zeta, gammainc, gammaincc,
        i0, i0e, i1, i1e, k0, k0e, k1, k1e,
    )
}  # fmt: skip
