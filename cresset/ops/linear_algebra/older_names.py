"""Linear algebra at the top level and as methods: PyTorch's names from before `torch.linalg`.

Where a name means the same as in `linalg` it is that function; the others return what programs
written for them expect.
"""

from __future__ import annotations

from cresset.core import return_types
from cresset.core.tensor import Tensor
from cresset.ops.linear_algebra import lu as factors_lu
from cresset.ops.linear_algebra.factors import cholesky as _cholesky
from cresset.ops.linear_algebra.factors import (
    geqrf,
    householder_product,
    ormqr,
    qr_factors,
)
from cresset.ops.linear_algebra.functions import cross as _cross
from cresset.ops.linear_algebra.functions import matrix_exp, matrix_power, multi_dot
from cresset.ops.linear_algebra.least_squares import pinv
from cresset.ops.linear_algebra.lu import lu_unpack
from cresset.ops.linear_algebra.matrices import square
from cresset.ops.linear_algebra.spectra import singular_spectrum
from cresset.ops.linear_algebra.systems import det, inv, slogdet
from cresset.ops.linear_algebra.triangular import (
    cholesky_inverse,
    cholesky_solve,
    solve_triangular,
)
from cresset.ops.out import with_out
from cresset.ops.pointwise.complex_numbers import adjoint

__all__ = ["chain_matmul", "cholesky", "cholesky_inverse", "cholesky_solve", "cross", "det", "eig",
           "geqrf", "inverse", "logdet", "lstsq", "lu", "lu_solve", "lu_unpack", "matrix_exp",
           "matrix_power", "matrix_rank", "orgqr", "ormqr", "pinverse", "qr", "slogdet", "solve",
           "svd", "symeig", "triangular_solve"]

inverse, orgqr = inv, householder_product


@with_out
def pinverse(input, rcond=1e-15):
    """The pseudo-inverse, by `linalg.pinv` with a smaller tolerance."""
    return pinv(input, rcond)


@with_out
def logdet(input):
    """log(det(input)): NaN where the determinant is negative, -inf where it is 0.

    >>> import cresset
    >>> cresset.logdet(cresset.eye(2))
    tensor(0.)
    """
    square("logdet", input.layout)
    sign, size = slogdet(input)
    return sign.log() + size


@with_out
def cholesky(input, upper=False):
    """L with input = L L^H; with `upper` its adjoint, from the upper triangle."""
    return _cholesky(input, upper=upper)


@with_out
def qr(input, some=True):
    """(Q, R); `linalg.qr` in mode "reduced", or "complete" unless `some`."""
    return return_types.qr(qr_factors(input, "reduced" if some else "complete"))


@with_out
def svd(input, some=True, compute_uv=True):
    """(U, S, V) with input = U diag(S) V^H: V, where `linalg.svd` gives its adjoint.

    Without `compute_uv` U and V are zeros.

    >>> import cresset
    >>> U, S, V = cresset.svd(cresset.tensor([[3.0, 0.0], [0.0, 4.0]]))
    >>> (U * S) @ V.T
    tensor([[3., 0.],
            [0., 4.]])
    """
    u, s, vh = singular_spectrum(input, not some)
    v = adjoint(vh)
    if not compute_uv:
        m, n = input.layout.shape[-2:]
        u, v = u.new_zeros((*u.layout.shape[:-2], m, m)), v.new_zeros((*v.layout.shape[:-2], n, n))
    return return_types.svd((u, s, v))


@with_out
def triangular_solve(input, A, upper=True, transpose=False, unitriangular=False):
    """(X with A X = input, A); with A^T for A where `transpose`."""
    matrices, above = (A.mT, not upper) if transpose else (A, upper)
    found = solve_triangular(matrices, input, upper=above, unitriangular=unitriangular)
    return return_types.triangular_solve((found, A.clone()))


@with_out
def lu(A, pivot=True, get_infos=False):
    """(LU, pivots), as `linalg.lu_factor`; with `get_infos` the info as well, and no error."""
    if get_infos:
        return tuple(factors_lu.lu_factor_ex(A, pivot=pivot))
    return tuple(factors_lu.lu_factor(A, pivot=pivot))


@with_out
def lu_solve(b, LU_data, LU_pivots):
    """X with A X = b, from what `lu` gives of A."""
    return factors_lu.lu_solve(LU_data, LU_pivots, b)


@with_out
def chain_matmul(*matrices):
    """The product of matrices in the order of fewest multiplications; see `linalg.multi_dot`."""
    return matrices[0] if len(matrices) == 1 else multi_dot(matrices)


@with_out
def cross(input, other, dim=None):
    """The cross products of vectors of size 3 along a dim: by default the first of that size.

    >>> import cresset
    >>> cresset.cross(cresset.tensor([1, 0, 0]), cresset.tensor([0, 1, 0]))
    tensor([0, 0, 1])
    """
    if dim is None:
        shapes = zip(input.layout.shape, other.layout.shape)
        dim = next((d for d, sizes in enumerate(shapes) if sizes == (3, 3)), None)
        if dim is None:
            raise RuntimeError(
                "cross: no dimension of size 3 in input; got shapes "
                f"{tuple(input.layout.shape)} and {tuple(other.layout.shape)}"
            )
    return _cross(input, other, dim=dim)


def _removed(name, instead):
    """A function that PyTorch has removed: it says what to call."""

    def function(*args, **keywords):
        raise RuntimeError(
            f"{name}: This function was deprecated since version 1.9 and is now removed; "
            f"call {instead}"
        )

    function.__name__ = name
    function.__doc__ = f"Raises RuntimeError: call {instead}."
    return function


symeig = _removed("symeig", "linalg.eigh(A, UPLO='U'), or linalg.eigvalsh without vectors")
eig = _removed("eig", "linalg.eig(A), whose results are complex")
solve = _removed("solve", "linalg.solve(A, B), whose arguments are in this order")
lstsq = _removed("lstsq", "linalg.lstsq(A, B), whose arguments are in this order")
matrix_rank = _removed("matrix_rank", "linalg.matrix_rank(A, hermitian=...)")

for _function in (cholesky, cholesky_inverse, cholesky_solve, cross, det, geqrf, logdet, lu_solve,
                  matrix_exp, matrix_power, ormqr, pinverse, qr, slogdet, svd, triangular_solve,
                  symeig, eig, solve, lstsq):
    setattr(Tensor, _function.__name__, _function)
Tensor.inverse = inverse
Tensor.orgqr = orgqr


def _lu(x, pivot=True, get_infos=False):
    """(LU, pivots) and, with `get_infos`, info; see `cresset.lu`."""
    return lu(x, pivot, get_infos)


Tensor.lu = _lu
