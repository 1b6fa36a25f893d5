"""Least squares, pseudo-inverses and ranks: what singular values say of matrices without inverse.

Singular values up to a tolerance count as zero, max(atol, rtol * the greatest of them).
"""

from __future__ import annotations

from cresset.core import dtype as types
from cresset.core.layout import Layout
from cresset.core.return_types import linalg_lstsq
from cresset.core.tensor import Number, Tensor
from cresset.ops.kinds import hosted
from cresset.ops.kinds.hosted import np
from cresset.ops.linear_algebra.matrices import (
    common_batch,
    matrix,
    packed,
    same_type,
    square,
)
from cresset.ops.linear_algebra.systems import is_vectors
from cresset.ops.operation import called
from cresset.ops.out import with_out
from cresset.ops.pointwise.complex_numbers import adjoint
from cresset.ops.shapes.shape import unsqueeze

__all__ = ["lstsq", "matrix_rank", "pinv"]

DRIVERS = ("gels", "gelsy", "gelsd", "gelss")


def _tolerance(atol, rtol, greatest, shape):
    """max(atol, rtol * greatest); rtol is eps * max(m, n) by default, 0 where atol is given."""
    atol = np.asarray(0.0 if atol is None else atol)
    if rtol is None:
        rtol = np.where(atol > 0, 0.0, np.finfo(greatest.dtype).eps * max(shape[-2:]))
    return np.maximum(atol, rtol * greatest)


def _inverted(values, bound):
    """1 / values where they are above the bound in size, else 0."""
    kept = np.abs(values) > bound
    return np.where(kept, 1 / np.where(kept, values, 1), 0).astype(values.dtype)


def _pinv_layout(a: Layout, atol, rtol, hermitian) -> Layout:
    if hermitian:
        square("linalg.pinv", a)
    m, n = matrix("linalg.pinv", a).shape[-2:]
    for tolerance in (atol, rtol):
        if isinstance(tolerance, Layout) and not _one_for_each(tolerance, a):
            raise RuntimeError(
                f"linalg.pinv: a tolerance must be one real number for each matrix; got shape "
                f"{tuple(tolerance.shape)} of {tolerance.dtype} for matrices of shape "
                f"{tuple(a.shape)}; need a shape that broadcasts to {tuple(a.shape[:-2])}"
            )
    return packed(a, n, m)


def _one_for_each(tolerance: Layout, a: Layout) -> bool:
    """Whether there is a real number for each of the matrices a."""
    batch = a.shape[:-2]
    fits = tolerance.ndim <= len(batch) and all(
        n in (1, m) for n, m in zip(reversed(tolerance.shape), reversed(batch))
    )
    return fits and not tolerance.dtype.is_complex


@called("linalg_pinv")
@hosted(_pinv_layout)
def pseudo_inverse(
    a: Tensor, atol: Tensor | Number | None = None,
    rtol: Tensor | Number | None = None, hermitian=False
):
    """The pseudo-inverses."""
    if hermitian:
        values, u = np.linalg.eigh(a)
        vh = adjoint_of(u)
    else:
        u, values, vh = np.linalg.svd(a, full_matrices=False)
    greatest = np.abs(values).max(-1, initial=0)
    bound = _tolerance(atol, rtol, greatest, a.shape)[..., None]
    return (adjoint_of(vh) * _inverted(values, bound)[..., None, :]) @ adjoint_of(u)


def adjoint_of(x):
    """The conjugate transposes of arrays of matrices."""
    return np.swapaxes(x, -1, -2).conj()


@pseudo_inverse.gradient
def _pseudo_inverse_gradient(g, a, out):
    return by_pseudo_inverse(g, a, out), None, None


def by_pseudo_inverse(g, a, inverse):
    """The gradient of a, given that of its pseudo-inverse.

    Golub and Pereyra, The differentiation of pseudo-inverses and nonlinear least squares problems
    whose variables separate (1973).
    """
    turned, by_turned = adjoint(inverse), adjoint(g)
    first = -(turned @ g @ turned)
    # What is missing of the identities A A^+ and A^+ A where A has no inverse.
    rows = turned @ inverse @ (by_turned - (by_turned @ inverse) @ a)
    columns = (by_turned - a @ (inverse @ by_turned)) @ inverse @ turned
    return first + rows + columns


@with_out
def pinv(A, rcond=None, hermitian=False, *, atol=None, rtol=None):
    """The pseudo-inverse of Moore and Penrose: (..., m, n) gives (..., n, m).

    `rtol` (also `rcond`) is eps * max(m, n) by default, or 0 where `atol` is given; both may be
    tensors, one number for each matrix. With `hermitian` only the lower triangle is read.

    >>> import cresset
    >>> cresset.linalg.pinv(cresset.tensor([[2.0, 0.0], [0.0, 0.0]]))
    tensor([[0.5000, 0.0000],
            [0.0000, 0.0000]])
    """
    return pseudo_inverse(A, atol, rcond if rtol is None else rtol, bool(hermitian))


@with_out
def matrix_rank(A, tol=None, hermitian=False, *, atol=None, rtol=None):
    """How many singular values are above max(atol, rtol * the greatest); `tol` is an `atol`.

    >>> import cresset
    >>> cresset.linalg.matrix_rank(cresset.eye(3))
    tensor(3)
    """
    return ranks(A.detach(), atol if tol is None else tol, 0.0 if tol is not None else rtol,
                 bool(hermitian))


@called("linalg_matrix_rank")
@hosted(lambda a, atol, rtol, hermitian: packed(
    (square if hermitian else matrix)("linalg.matrix_rank", a), dtype=types.int64
))
def ranks(
    a: Tensor, atol: Tensor | Number | None = None,
    rtol: Tensor | Number | None = None, hermitian=False
):
    """How many singular values are above the tolerance."""
    values = np.abs(np.linalg.eigvalsh(a)) if hermitian else np.linalg.svd(a, compute_uv=False)
    greatest = values.max(-1, initial=0)
    return (values > _tolerance(atol, rtol, greatest, a.shape)[..., None]).sum(-1)


def _least_squares_layouts(a: Layout, b: Layout, rcond) -> tuple[Layout, ...]:
    name = "linalg.lstsq"
    matrix(name, a, "input")
    matrix(name, b, "other")
    same_type(name, a, b, ("input", "other"))
    if a.shape[-2] != b.shape[-2]:
        raise RuntimeError(
            f"{name}: input.size(-2) should match other.size(-2); got shapes {tuple(a.shape)} and "
            f"{tuple(b.shape)}"
        )
    batch = common_batch(name, a, b)
    solution = Layout.packed((*batch, a.shape[-1], b.shape[-1]), a.dtype)
    values = packed(a, min(a.shape[-2:]), dtype=a.dtype.to_real())
    return solution, packed(a, dtype=types.int64), values


@called("linalg_lstsq")
@hosted(_least_squares_layouts)
def least_squares(a: Tensor, b: Tensor, rcond):
    """(x of least norm among those with least |a x - b|, ranks, singular values)."""
    u, values, vh = np.linalg.svd(a, full_matrices=False)
    bound = _tolerance(None, rcond, values.max(-1, initial=0), a.shape)[..., None]
    inside = _inverted(values, bound)[..., None] * (adjoint_of(u) @ b)
    return adjoint_of(vh) @ inside, (values > bound).sum(-1), values


@least_squares.gradient
def _least_squares_gradient(gs, a, b, rcond, needs):
    g = gs[0]
    inverse = pseudo_inverse(a, None, rcond, False)
    by_b = adjoint(inverse) @ g if needs[1] else None
    return by_pseudo_inverse(g @ adjoint(b), a, inverse) if needs[0] else None, by_b


@with_out
def lstsq(A, B, rcond=None, *, driver=None):
    """(solution, residuals, rank, singular_values) of min |A X - B|, columns apart.

    Shapes (..., m, n) and (..., m, k), or (..., m) for vectors. Of several minima the solution is
    that of least norm, by singular values: `rcond` times the greatest counts as zero, by default
    eps * max(m, n). As in PyTorch `driver` ("gelsy" by default) decides what else is filled: the
    rank unless it is "gels", singular values for "gelsd" and "gelss", and unless it is "gelsy", for
    m > n and a full rank, `residuals`, the sum of squares for each column.

    >>> import cresset
    >>> A = cresset.tensor([[1.0, 0.0], [1.0, 1.0], [1.0, 2.0]])
    >>> cresset.linalg.lstsq(A, cresset.tensor([[1.0], [3.0], [5.0]])).solution
    tensor([[1.0000],
            [2.0000]])
    """
    if driver not in (None, *DRIVERS):
        raise RuntimeError(
            f"linalg.lstsq: parameter `driver` should be one of {', '.join(DRIVERS)}; got "
            f"{driver!r}"
        )
    matrix("linalg.lstsq", A.layout, "input")
    vectors = is_vectors(A, B)
    b = unsqueeze(B, -1) if vectors else B
    x, rank, values = least_squares(A, b, rcond)
    m, n = A.layout.shape[-2:]
    full = not rank.layout.absent and bool(rank.eq(min(m, n)).all())
    residuals = values.new_empty(0)
    if m > n and full and driver not in (None, "gelsy"):
        residuals = (A @ x - b).abs().square().sum(-2)
    return linalg_lstsq((
        x.squeeze(-1) if vectors else x,
        residuals,
        rank.new_empty(0) if driver == "gels" else rank,
        values.detach() if driver in ("gelsd", "gelss") else values.new_empty(0),
    ))
