"""Systems of equations: solutions, inverses, determinants."""

from __future__ import annotations

from cresset.core import dtype as types
from cresset.core.return_types import linalg_inv_ex, linalg_slogdet, linalg_solve_ex
from cresset.core.tensor import Tensor
from cresset.ops.exchange.arrays import from_numpy
from cresset.ops.kinds import hosted
from cresset.ops.kinds.hosted import np
from cresset.ops.linear_algebra.lu import lu_packed
from cresset.ops.linear_algebra.matrices import fail, packed, square
from cresset.ops.linear_algebra.triangular import check_sides
from cresset.ops.operation import called
from cresset.ops.out import with_out
from cresset.ops.pointwise.complex_numbers import adjoint
from cresset.ops.shapes.shape import matrix_transpose, reshape, unsqueeze

__all__ = ["det", "inv", "inv_ex", "slogdet", "solve", "solve_ex", "tensorinv", "tensorsolve"]


def solved(compute, a, *sides):
    """(what NumPy computes, info); info tells the places of zero pivots, where NaN is computed."""
    try:
        return compute(a, *sides), np.zeros(a.shape[:-2], "i4")
    except np.linalg.LinAlgError:
        # NumPy does not say which matrices of a batch are singular.
        info = zero_pivots(a)
    singular = (info != 0)[..., None, None]
    x = compute(np.where(singular, np.eye(a.shape[-1], dtype=a.dtype), a), *sides)
    return np.where(singular, np.nan, x), info


def zero_pivots(a):
    """The place, counted from 1, of every matrix' first zero pivot, 0 where there is none."""
    info = np.zeros(a.shape[:-2], "i4")
    for k in np.ndindex(info.shape):
        try:
            np.linalg.inv(a[k])
        except np.linalg.LinAlgError:
            # Rounded otherwise, the zero may be none in our factors: then it was the last pivot.
            info[k] = _first_zero(a[k]) or a.shape[-1]
    return info


def _first_zero(matrix) -> int:
    return lu_packed(from_numpy(matrix.copy()), True, False)[2].item()


@called("linalg_inv_ex")
@hosted(lambda a, check: (square("linalg.inv", a), packed(a, dtype=types.int32)))
def inverse_ex(a: Tensor, check):
    """(inverses, info)."""
    made, info = solved(np.linalg.inv, a)
    if check:
        fail("linalg.inv", info, "The diagonal element {} is zero, the inversion could not be "
             "completed because the input matrix is singular; pinv gives its pseudo-inverse")
    return made, info


@inverse_ex.gradient
def _inverse_gradient(gs, out0):
    turned = adjoint(out0)
    return -(turned @ gs[0] @ turned)


@called("linalg_solve_ex")
@hosted(lambda a, b, check: (check_sides("linalg.solve", a, b), packed(a, dtype=types.int32)))
def solution_ex(a: Tensor, b: Tensor, check):
    """(x, info) with a x = b."""
    made, info = solved(np.linalg.solve, a, b)
    if check:
        fail("linalg.solve", info, "The solver failed because the input matrix is singular; its "
             "pivot {} is zero; lstsq gives the nearest solution")
    return made, info


@solution_ex.gradient
def _solution_gradient(gs, a, out0, needs):
    by_b = solution_ex(adjoint(a), gs[0], False)[0]
    return -(by_b @ adjoint(out0)) if needs[0] else None, by_b


@with_out
def inv(A):
    """The inverses of square matrices.

    Raises LinAlgError where a matrix is singular.

    >>> import cresset
    >>> cresset.linalg.inv(cresset.tensor([[2.0, 0.0], [0.0, 4.0]]))
    tensor([[0.5000, 0.0000],
            [0.0000, 0.2500]])
    """
    return inverse_ex(A, True)[0]


@with_out
def inv_ex(A, *, check_errors=False):
    """(inverses, info); info is 0, or the place, counted from 1, of a zero pivot: NaN there."""
    return linalg_inv_ex(inverse_ex(A, bool(check_errors)))


@with_out
def solve(A, B, *, left=True):
    """X with A X = B, or X A = B unless `left`; shapes (..., n, n) and (..., n, k) or (..., n).

    B is taken as vectors if it has one dim, or the shape of A without the last; batches broadcast.

    Raises LinAlgError where a matrix is singular.

    >>> import cresset
    >>> A = cresset.tensor([[2.0, 0.0], [0.0, 4.0]])
    >>> cresset.linalg.solve(A, cresset.tensor([2.0, 2.0]))
    tensor([1.0000, 0.5000])
    """
    return solve_ex(A, B, left=left, check_errors=True).result


@with_out
def solve_ex(A, B, *, left=True, check_errors=False):
    """(result, info) as `solve`; info is 0, or the place of a zero pivot: NaN there."""
    vectors = is_vectors(A, B)
    if vectors and not left:
        raise RuntimeError(
            "linalg.solve: Vector broadcasting of the left hand side is not supported for "
            "left=False; give B as (..., 1, n)"
        )
    b = unsqueeze(B, -1) if vectors else B
    if left:
        x, info = solution_ex(A, b, bool(check_errors))
    else:
        x, info = solution_ex(matrix_transpose(A), matrix_transpose(b), bool(check_errors))
        x = matrix_transpose(x)
    return linalg_solve_ex((x.squeeze(-1) if vectors else x, info))


def is_vectors(A, B) -> bool:
    """Whether B holds vectors, one for each matrix of A, rather than matrices."""
    shape = B.layout.shape
    return len(shape) == 1 or len(shape) == A.layout.ndim - 1 and shape == A.layout.shape[:-1]


@called("linalg_det")
@hosted(lambda a: packed(square("linalg.det", a)))
def determinant(a: Tensor):
    """The determinants."""
    return np.linalg.det(a)


@determinant.gradient
def _determinant_gradient(g, a):
    return g[..., None, None] * cofactors(a)


@called("linalg_cofactors")
@hosted(lambda a: square("linalg.det", a))
def cofactors(a: Tensor):
    """conj(det(a)) a^-H, the gradient of the determinant, which exists for singular matrices too.

    With a = U S V^H it is conj(det(U) det(V^H)) U M V^H, where M has the products of all other
    singular values.
    """
    u, s, vh = np.linalg.svd(a)
    n = s.shape[-1]
    others = np.where(np.eye(n, dtype=bool), 1, s[..., None, :]).prod(-1)
    phase = (np.linalg.det(u) * np.linalg.det(vh)).conj()
    return phase[..., None, None] * ((u * others[..., None, :]) @ vh)


@cofactors.gradient
def _cofactors_gradient(g, a):
    turned = adjoint(inverse_ex(a, False)[0])
    held = determinant(a)
    if g.layout.dtype.is_complex:
        held = held.conj()
        trace = (turned * g.conj()).sum((-2, -1), keepdim=True)
    else:
        trace = (turned * g).sum((-2, -1), keepdim=True)
    return held[..., None, None] * (trace * turned - turned @ adjoint(g) @ turned)


@with_out
def det(A):
    """The determinants of square matrices; the gradient exists for singular ones too.

    >>> import cresset
    >>> cresset.linalg.det(cresset.tensor([[2.0, 1.0], [0.0, 4.0]]))
    tensor(8.)
    """
    return determinant(A)


@called("linalg_slogdet")
@hosted(lambda a: (
    packed(square("linalg.slogdet", a)), packed(a, dtype=a.dtype.to_real())
))
def log_determinant(a: Tensor):
    """(sign or phase, log |det|)."""
    return np.linalg.slogdet(a)


@log_determinant.gradient
def _log_determinant_gradient(gs, a, out0):
    g = gs[1]
    if a.layout.dtype.is_complex:
        g = g - (gs[0].conj() * out0).imag * 1j
    return g[..., None, None] * adjoint(inverse_ex(a, False)[0])


@with_out
def slogdet(A):
    """(sign, logabsdet): det(A) = sign * exp(logabsdet), without overflow; (0, -inf) if singular.

    >>> import cresset
    >>> sign, logabsdet = cresset.linalg.slogdet(cresset.tensor([[-1.0]]))
    >>> sign, logabsdet
    (tensor(-1.), tensor(0.))
    """
    return linalg_slogdet(log_determinant(A))


@with_out
def tensorinv(A, ind=2):
    """The inverse of A as a map from its last dims to its first `ind`, whose products are equal.

    >>> import cresset
    >>> cresset.linalg.tensorinv(cresset.eye(6).reshape(6, 2, 3), ind=1).shape
    torch.Size([2, 3, 6])
    """
    shape = tuple(A.layout.shape)
    if ind <= 0:
        raise RuntimeError(f"linalg.tensorinv: Expected a strictly positive integer for 'ind'; "
                           f"got {ind}")
    front, back = shape[:ind], shape[ind:]
    rows, columns = _product(front), _product(back)
    if rows != columns:
        raise RuntimeError(
            "linalg.tensorinv: Expected self to satisfy the requirement prod(self.shape[ind:]) == "
            f"prod(self.shape[:ind]), but got {columns} != {rows}; the shape is {shape}"
        )
    return reshape(inv(reshape(A, (rows, columns))), back + front)


@with_out
def tensorsolve(A, B, dims=None):
    """X with tensordot(A, X, X.ndim) = B; `dims` of A are moved to its end first.

    >>> import cresset
    >>> A = cresset.eye(6).reshape(2, 3, 6)
    >>> cresset.linalg.tensorsolve(A, cresset.ones(2, 3)).shape
    torch.Size([6])
    """
    if dims is not None:
        last = A.layout.ndim
        A = A.movedim(tuple(dims), tuple(range(last - len(dims), last)))
    rest = tuple(A.layout.shape[B.layout.ndim :])
    rows, columns = B.layout.numel, _product(rest)
    if rows != columns:
        raise RuntimeError(
            "linalg.tensorsolve: Expected self to satisfy the requirement "
            f"prod(self.shape[other.ndim:]) == prod(self.shape[:other.ndim]), but got {columns} "
            f"!= {rows}; the shapes are {tuple(A.layout.shape)} and {tuple(B.layout.shape)}"
        )
    return reshape(solve(reshape(A, (rows, columns)), reshape(B, (rows,))), rest)


def _product(sizes) -> int:
    out = 1
    for n in sizes:
        out *= n
    return out
