"""Special functions, under the names of `torch.special`.

>>> import cresset
>>> cresset.special.expit(cresset.tensor([0.0]))
tensor([0.5000])
>>> cresset.special.bessel_j0(cresset.tensor([1.0, 10.0]))
tensor([ 0.7652, -0.2459])

Floating functions of float32 are within 2 units in the last place of the exact value; how exact
they are in float64, and how they are computed, stands with the kernels in
`cresset/kernels/mathematics`.
"""

from cresset import ops
from cresset.ops import (
    digamma,
    erf,
    erfc,
    erfinv,
    exp2,
    expm1,
    i0,
    log1p,
    log_softmax,
    logit,
    logsumexp,
    polygamma,
    round,
    sinc,
    softmax,
    xlogy,
)
from cresset.ops.pointwise import special_functions

expit = ops.sigmoid
gammainc, gammaincc = ops.igamma, ops.igammac
gammaln, multigammaln = ops.lgamma, ops.mvlgamma
modified_bessel_i0, modified_bessel_i1 = ops.i0, special_functions.i1
psi = ops.digamma

_NAMES = (
    *special_functions.OF_ONE, *special_functions.POLYNOMIALS,
    "entr", "log_ndtr", "xlog1py", "zeta",
)
for _name in _NAMES:
    globals()[_name] = getattr(special_functions, _name)

__all__ = [
    "digamma", "erf", "erfc", "erfinv", "exp2", "expit", "expm1", "gammainc", "gammaincc",
    "gammaln", "i0", "log1p", "log_softmax", "logit", "logsumexp", "modified_bessel_i0",
    "modified_bessel_i1", "multigammaln", "polygamma", "psi", "round", "sinc", "softmax", "xlogy",
    *_NAMES,
]  # fmt: skip
