"""Factors of matrices: Cholesky, QR, and the reflections that QR is made of."""

from __future__ import annotations

from cresset.core import dtype as types
from cresset.core.layout import Layout
from cresset.core.return_types import geqrf as geqrf_result
from cresset.core.return_types import linalg_cholesky_ex, linalg_qr
from cresset.core.tensor import Tensor
from cresset.ops.kinds import hosted
from cresset.ops.kinds.hosted import np
from cresset.ops.linear_algebra.matrices import (
    eye_of,
    fail,
    matrix,
    packed,
    real_part,
    square,
)
from cresset.ops.linear_algebra.triangular import triangular_solution
from cresset.ops.operation import called
from cresset.ops.out import with_out
from cresset.ops.pointwise.complex_numbers import adjoint
from cresset.ops.shapes.joining import cat
from cresset.ops.shapes.shape import narrow

__all__ = ["cholesky", "cholesky_ex", "householder_product", "qr"]


@called("linalg_cholesky_ex")
@hosted(lambda a, check: (square("linalg.cholesky", a), packed(a, dtype=types.int32)))
def cholesky_lower(a: Tensor, check):
    """(L, info) with a = L L^H."""
    try:
        lower = np.linalg.cholesky(a)
        info = np.zeros(a.shape[:-2], "i4")
        failed = np.isnan(lower).any()
    except np.linalg.LinAlgError:
        failed = True
    if failed:
        lower, info = _by_columns(a)
    if check:
        fail("linalg.cholesky", info, "The factorization could not be completed because the input "
             "is not positive-definite (the leading minor of order {} is not positive-definite)")
    return lower, info


def _by_columns(a):
    """(L, info) with A = L L^H from the lower triangles of a, column by column.

    `info` is 0, or the order of the first leading minor that is not positive; from there on L holds
    NaN.
    """
    n = a.shape[-1]
    lower = np.zeros(a.shape, a.dtype)
    info = np.zeros(a.shape[:-2], "i4")
    with np.errstate(all="ignore"):
        for j in range(n):
            row = lower[..., j, :j]
            head = a[..., j, j].real - (np.abs(row) ** 2).sum(-1)
            info = np.where((info == 0) & ~(head > 0), j + 1, info)
            head = np.sqrt(np.where(info == 0, head, np.nan))
            lower[..., j, j] = head
            column = a[..., j + 1 :, j] - (lower[..., j + 1 :, :j] @ row.conj()[..., None])[..., 0]
            lower[..., j + 1 :, j] = column / head[..., None]
    return lower, info.astype("i4")


@cholesky_lower.gradient
def _cholesky_gradient(gs, out0):
    # Murray, Differentiation of the Cholesky decomposition (2016).
    lower = out0
    turned = adjoint(lower)
    product = (turned @ gs[0]).tril()
    held = (product + adjoint(product.tril(-1))) * 0.5
    left = triangular_solution(turned, held, True, False)
    return adjoint(triangular_solution(turned, adjoint(left), True, False))


@with_out
def cholesky(A, *, upper=False):
    """L, lower triangular with a positive diagonal, with A = L L^H; its adjoint with `upper`.

    A is Hermitian and positive definite; only its lower triangle is read.

    Raises LinAlgError, naming the leading minor at fault, where A is not positive definite.

    >>> import cresset
    >>> cresset.linalg.cholesky(cresset.tensor([[4.0, 2.0], [2.0, 5.0]]))
    tensor([[2., 0.],
            [1., 2.]])
    """
    return cholesky_ex(A, upper=upper, check_errors=True).L


@with_out
def cholesky_ex(A, *, upper=False, check_errors=False):
    """(L, info) as `cholesky`; info is 0, or the order of the first minor that is not positive."""
    # The upper triangle is read where the upper factor is asked for.
    lower, info = cholesky_lower(adjoint(A) if upper else A, bool(check_errors))
    return linalg_cholesky_ex((adjoint(lower) if upper else lower, info))


def _qr_layouts(a: Layout, mode) -> tuple[Layout, Layout]:
    matrix("linalg.qr", a)
    m, n = a.shape[-2:]
    if mode not in ("reduced", "complete", "r"):
        raise RuntimeError(
            f"linalg.qr: Unrecognized mode '{mode}'; need 'reduced', 'complete' or 'r'"
        )
    k = m if mode == "complete" else min(m, n)
    q = Layout.packed((0,), a.dtype) if mode == "r" else packed(a, m, k)
    return q, packed(a, k, n)


@called("linalg_qr")
@hosted(_qr_layouts)
def qr_factors(a: Tensor, mode):
    """(Q, R)."""
    if mode == "r":
        return np.zeros(0, a.dtype), np.linalg.qr(a, "r")
    return np.linalg.qr(a, mode)


@qr_factors.gradient
def _qr_gradient(gs, a, out0, out1, mode):
    m, n = a.layout.shape[-2:]
    if mode == "r":
        raise RuntimeError(
            "linalg.qr: the gradient of R needs Q, which is not computed with mode='r'; use "
            "mode='reduced'"
        )
    if mode == "complete" and m > n:
        raise RuntimeError(
            "linalg.qr: The QR decomposition is not differentiable when mode='complete' and "
            f"nrows > ncols; got {m} by {n} matrices; use mode='reduced'"
        )
    (q, r), (by_q, by_r) = (out0, out1), gs
    if m >= n:
        return _tall_qr_gradient(q, r, by_q, by_r)
    # With a = [X Y]: Q, R = qr(X), and the rest of the columns of R is Q^H Y.
    y, by_rest = narrow(a, -1, m, n - m), narrow(by_r, -1, m, n - m)
    by_q = by_q + y @ adjoint(by_rest)
    by_x = _tall_qr_gradient(q, narrow(r, -1, 0, m), by_q, narrow(by_r, -1, 0, m))
    return cat((by_x, q @ by_rest), -1)


def _tall_qr_gradient(q, r, by_q, by_r):
    # Walter and Lehmann, Algorithmic differentiation of linear algebra functions (2010).
    middle = by_r @ adjoint(r) - adjoint(q) @ by_q
    above = middle.triu(1)
    along = real_part(middle)
    hermitian = above + adjoint(above) + along * eye_of(r.layout.shape[-1], along)
    return adjoint(triangular_solution(r, adjoint(by_q + q @ hermitian), True, False))


@with_out
def qr(A, mode="reduced"):
    """(Q, R) with A = Q R, Q's columns orthonormal, R upper triangular; shapes by the mode.

    For (..., m, n) and k = min(m, n): "reduced" gives (..., m, k) and (..., k, n), "complete"
    (..., m, m) and (..., m, n), "r" an empty Q and (..., k, n). Columns' signs are LAPACK's.
    The gradient exists in mode "reduced", and in "complete" where m <= n.

    >>> import cresset
    >>> Q, R = cresset.linalg.qr(cresset.tensor([[3.0], [4.0]]))
    >>> R
    tensor([[-5.]])
    """
    return linalg_qr(qr_factors(A, mode))


@called("geqrf")
@hosted(lambda a: (
    packed(matrix("geqrf", a, "input"), *a.shape[-2:]), packed(a, min(a.shape[-2:]))
))
def qr_reflections(a: Tensor):
    """R on and above the diagonal, below it the reflections' vectors, and their factors."""
    turned, factors = np.linalg.qr(a, "raw")
    return np.swapaxes(turned, -1, -2), factors


@with_out
def geqrf(input):
    """(a, tau): R with, below its diagonal, the vectors of the reflections that Q is made of.

    `householder_product(a, tau)` is Q.
    """
    return geqrf_result(qr_reflections(input))


def reflected(x, A, tau, backwards):
    """H_1 H_2 ... H_k x with H_i = 1 - tau_i v_i v_i^H; with H^H in reverse order `backwards`."""
    m, k = A.layout.shape[-2], tau.layout.shape[-1]
    vectors = A.tril(-1) + eye_of(m, A).narrow(-1, 0, A.layout.shape[-1])
    for i in range(k) if backwards else reversed(range(k)):
        v = narrow(vectors, -1, i, 1)
        factor = tau[..., i, None, None]
        if backwards and tau.layout.dtype.is_complex:
            factor = factor.conj()
        x = x - factor * (v @ (adjoint(v) @ x))
    return x


@with_out
def householder_product(A, tau):
    """The first n columns of H_1 ... H_k, H_i = 1 - tau_i v_i v_i^H; v_i from below A's diagonal.

    A has shape (..., m, n), m >= n; tau (..., k), k <= n.

    >>> import cresset
    >>> A, tau = cresset.geqrf(cresset.tensor([[3.0], [4.0]]))
    >>> cresset.linalg.householder_product(A, tau)
    tensor([[-0.6000],
            [-0.8000]])
    """
    matrix("linalg.householder_product", A.layout, "input")
    m, n = A.layout.shape[-2:]
    if m < n or tau.layout.shape[-1] > n:
        raise RuntimeError(
            "linalg.householder_product: input.shape[-2] must be greater than or equal to "
            f"input.shape[-1], and that to tau.shape[-1]; got {tuple(A.layout.shape)} and "
            f"{tuple(tau.layout.shape)}"
        )
    return reflected(eye_of(m, A).narrow(-1, 0, n), A, tau, False)


@with_out
def ormqr(input, tau, other, left=True, transpose=False):
    """Q times `other`, or `other` times Q, for the whole Q of the reflections; see `geqrf`."""
    if left:
        return reflected(other, input, tau, transpose)
    return adjoint(reflected(adjoint(other), input, tau, not transpose))
