"""Parts of spectra: the greatest few singular values of a matrix, and the extreme eigenvalues."""

from __future__ import annotations

from cresset.core import dtype as types
from cresset.ops.linear_algebra.factors import qr
from cresset.ops.linear_algebra.matrices import square
from cresset.ops.linear_algebra.spectra import eigh, svd
from cresset.ops.pointwise.complex_numbers import adjoint
from cresset.ops.random_numbers.random import randn
from cresset.ops.shapes.joining import cat, stack

__all__ = ["lobpcg", "pca_lowrank", "svd_lowrank"]


def svd_lowrank(A, q=6, niter=2, M=None):
    """(U, S, V) with A near U diag(S) V^H, of q columns each; of A - M where M is given.

    Random: A is applied to q normal vectors, whose span `niter` rounds of A and its adjoint turn
    towards the greatest singular values (Halko, Martinsson and Tropp, Finding structure with
    randomness, 2009, algorithms 4.4 and 5.1). q should be a few more than the rank looked for.

    >>> import cresset
    >>> cresset.svd_lowrank(cresset.outer(cresset.arange(3.0), cresset.ones(4)), q=1)[1]
    tensor([4.4721])
    """
    x = A if M is None else A - M
    rows, columns = x.layout.shape[-2:]
    if rows < columns:
        u, s, v = _tall_svd(adjoint(x), 6 if q is None else q, niter)
        return v, s, u
    return _tall_svd(x, 6 if q is None else q, niter)


def _tall_svd(x, q, rounds):
    start = randn(x.layout.shape[-1], q, dtype=x.layout.dtype, device=x.layout.device)
    basis = qr(x @ start)[0]
    for _ in range(2 if rounds is None else rounds):
        basis = qr(adjoint(x) @ basis)[0]
        basis = qr(x @ basis)[0]
    u, s, vh = svd(adjoint(basis) @ x, full_matrices=False)
    return basis @ u, s, adjoint(vh)


def pca_lowrank(A, q=None, center=True, niter=2):
    """(U, S, V) of the rows of A less their mean, by `svd_lowrank`: V has the principal directions.

    `q` is min(6, m, n) by default; without `center` the rows are taken as they are.

    Raises ValueError where q is not in 0 .. min(m, n), or niter is negative.

    >>> import cresset
    >>> x = cresset.tensor([[1.0, 2.0], [2.0, 4.0], [3.0, 6.0]])
    >>> cresset.pca_lowrank(x, q=1)[1]
    tensor([3.1623])
    """
    rows, columns = A.layout.shape[-2:]
    most = min(rows, columns)
    if q is None:
        q = min(6, most)
    elif not 0 <= q <= most:
        raise ValueError(f"pca_lowrank: q(={q}) must be non-negative integer and not greater than "
                         f"min(m, n)={most}")
    if niter < 0:
        raise ValueError(f"pca_lowrank: niter(={niter}) must be non-negative integer")
    return svd_lowrank(A - A.mean(-2, keepdim=True) if center else A, q, niter)


def lobpcg(A, k=None, B=None, X=None, n=None, iK=None, niter=None, tol=None, largest=None,
           method=None, tracker=None, ortho_iparams=None, ortho_fparams=None, ortho_bparams=None):
    """(eigenvalues, eigenvectors): the k greatest of A x = e B x, or the least without `largest`.

    A is Hermitian and B, the identity by default, positive definite. The method is that of Knyazev,
    Toward the optimal preconditioned eigensolver (2001): the best vectors are looked for in the
    span of the present n ones (`n` is k by default), their residuals, which `iK` preconditions, and
    the last steps. It starts at X, by default random, and ends after `niter` rounds (1000 by
    default), or when k residuals are below `tol` (the root of eps) times the sizes of A and x.
    Values have a gradient, vectors none.

    Raises ValueError unless 3 n rows are there, RuntimeError for other types than LAPACK's.

    >>> import cresset
    >>> A = cresset.diag(cresset.arange(1.0, 10.0))
    >>> values, vectors = cresset.lobpcg(A, k=2)
    >>> values.round(decimals=3)
    tensor([9., 8.])
    """
    square("lobpcg", A.layout)
    rows = A.layout.shape[-1]
    k = (1 if X is None else X.layout.shape[-1]) if k is None else k
    n = (k if X is None else X.layout.shape[-1]) if n is None else n
    if rows < 3 * n:
        raise ValueError(
            f"lobpcg: LPBPCG algorithm is not applicable when the number of A rows (={rows}) is "
            f"smaller than 3 x the number of requested eigenpairs (={n}); use linalg.eigh"
        )
    if tracker is not None:
        raise NotImplementedError("lobpcg: no tracker is called; leave it out")
    batch = tuple(A.layout.shape[:-2])
    if X is None:
        X = randn(*batch, rows, n, dtype=A.layout.dtype, device=A.layout.device)
    rounds = 1000 if niter is None or niter < 0 else niter
    tol = EPS[A.layout.dtype.to_real()] ** 0.5 if tol is None else tol
    chosen = rounds, tol, largest is None or bool(largest), k
    if not batch:
        return _extreme_pairs(A, B, X, iK, *chosen)
    # Every matrix of a batch ends in its own time.
    found = [
        lobpcg(A[j], k, B if B is None or B.layout.ndim == 2 else B[j], X[j], n,
               iK if iK is None or iK.layout.ndim == 2 else iK[j], rounds, tol, chosen[2])
        for j in range(batch[0])
    ]
    return tuple(stack(parts) for parts in zip(*found))


EPS = {types.float32: 2.0**-23, types.float64: 2.0**-52}


def _extreme_pairs(A, B, X, iK, rounds, tol, largest, k):
    a, x = A.detach(), X.detach()
    b = None if B is None else B.detach()
    last = None
    n = x.layout.shape[-1]
    scale = a.norm().item()
    for turn in range(rounds + 1):
        basis = _orthonormal(x if last is None else cat((x, *last), -1), b)
        values, inner = eigh(adjoint(basis) @ (a @ basis))
        if largest:
            values, inner = values.flip(-1), inner.flip(-1)
        values, old = values[:n], x
        x = basis @ inner[:, :n]
        residuals = a @ x - _times(b, x) * values
        left = residuals.norm(dim=0)[:k] > tol * scale * x.norm(dim=0)[:k]
        if turn == rounds or not left.any():
            break
        if last is None:
            last = (residuals,)
        step = x - old @ (adjoint(old) @ _times(b, x))
        last = (residuals if iK is None else iK @ residuals, step)[: 1 + (turn > 0)]
    x = x[:, :k]
    # Rayleigh's quotients, whose derivatives by the vectors are zero.
    x_bar = x.conj()
    above = (x_bar * (A @ x)).sum(0)
    below = (x_bar * _times(B, x)).sum(0)
    quotients = above / below
    return (quotients.real if quotients.layout.dtype.is_complex else quotients), x


def _times(b, x):
    return x if b is None else b @ x


def _orthonormal(x, b):
    """A basis of the span of x's columns, orthonormal by b; columns that depend on others go.

    Stathopoulos and Wu, A block orthogonalization procedure with constant synchronization
    requirements (2002), twice, since once leaves an error as large as x is ill-conditioned.
    """
    for _ in range(2):
        x = x / x.norm(dim=0).clamp(min=1e-30)
        values, vectors = eigh(adjoint(x) @ _times(b, x))
        eps = EPS[values.layout.dtype]
        kept = values > 10 * len(values) * eps * values[-1]
        x = x @ (vectors[:, kept] / values[kept].sqrt())
    return x
