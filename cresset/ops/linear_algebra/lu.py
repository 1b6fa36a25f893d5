"""LU with partial pivoting, and the systems that its factors stand for."""

from __future__ import annotations

from cresset.core import dtype as types
from cresset.core.dtype import dtype
from cresset.core.layout import Layout
from cresset.core.return_types import linalg_lu, linalg_lu_factor, linalg_lu_factor_ex
from cresset.core.return_types import lu_unpack as lu_unpack_result
from cresset.core.tensor import Tensor
from cresset.kernels import lu as kernels
from cresset.ops.creation.counted import arange
from cresset.ops.indexing.gathering import take_along_dim
from cresset.ops.kinds import special
from cresset.ops.linear_algebra.matrices import common_batch, eye_of, fail_at, matrix, packed
from cresset.ops.linear_algebra.triangular import triangular_solution
from cresset.ops.operation import called
from cresset.ops.out import with_out
from cresset.ops.pointwise.complex_numbers import adjoint as adjoint_of
from cresset.ops.shapes.joining import cat
from cresset.ops.shapes.shape import expand, matrix_transpose, narrow
from cresset.runtime.program import Program

__all__ = ["lu", "lu_factor", "lu_factor_ex", "lu_solve"]


def _lu_layouts(a: Layout, pivot, check) -> tuple[Layout, ...]:
    matrix("linalg.lu_factor", a)
    m, n = a.shape[-2:]
    pivots = packed(a, min(m, n), dtype=types.int32)
    return packed(a, m, n), pivots, packed(a, dtype=types.int32)


@called("linalg_lu_factor_ex")
@special(moves=True)  # The types are checked here.
def lu_packed(a: Tensor, pivot, check):
    """(L below and U on and above the diagonal, pivots, info)."""
    outs = _lu_layouts(a, pivot, check)
    steps, temporaries = kernels.factor(a, outs[0], pivot, (3, 0, 1, 2), 4)

    def explain(place, info, *_):
        fail_at("linalg.lu_factor", place if outs[2].ndim else None, info, "U[{0},{0}] is zero and "
                "using it on lu_solve would result in a division by zero; lu_factor_ex gives the "
                "factors none the less")

    if not check:
        return Program("t", outs, tuple(steps), tuple(temporaries))
    steps.append(kernels.check(outs[2].numel, 2))
    return Program("t", outs, tuple(steps), tuple(temporaries), explain)


@lu_packed.gradient
def _lu_gradient(gs, out0, out1):
    packed, pivots = out0, out1
    g = gs[0]
    m, n = packed.layout.shape[-2:]
    k = min(m, n)
    head = narrow(narrow(packed, -2, 0, k), -1, 0, k)
    lower = adjoint_of(head)
    by_head = narrow(narrow(g, -2, 0, k), -1, 0, k)
    # Of P A = L U, by its first k rows and columns, and what they send to the others.
    below = (adjoint_of(head.tril(-1)) + eye_of(k, head)) @ by_head.tril(-1)
    above = by_head.triu() @ adjoint_of(head.triu())
    rest = None
    if m > n:
        low, by_low = narrow(packed, -2, k, m - k), narrow(g, -2, k, m - k)
        above = above - adjoint_of(low) @ by_low
        rest = _right_solution(by_low, lower)
    elif n > m:
        wide, by_wide = narrow(packed, -1, k, n - k), narrow(g, -1, k, n - k)
        below = below - by_wide @ adjoint_of(wide)
        rest = triangular_solution(lower, by_wide, True, True)
    middle = triangular_solution(lower, below.tril(-1) + above.triu(), True, True)
    by_pa = _right_solution(middle, lower)
    if rest is not None:
        by_pa = cat((by_pa, rest), -2 if m > n else -1)
    return rows_in_order(by_pa, row_order(pivots, m).argsort(-1))


def _right_solution(x, lower):
    """x (the lower triangle)^-1."""
    return matrix_transpose(
        triangular_solution(matrix_transpose(lower), matrix_transpose(x), True, False)
    )


@called("lu_unpack")
@special(moves=True)
def row_order(pivots: Tensor, rows):
    """The order of rows that the exchanges of LU make."""
    if not pivots.ndim or pivots.dtype.category != dtype.INTEGER or pivots.shape[-1] > rows:
        raise RuntimeError(
            f"lu_unpack: pivots must be integers (..., k), with k at most {rows}, the number of "
            f"rows; got shape {tuple(pivots.shape)} of {pivots.dtype}; pass those of lu_factor"
        )
    out = Layout.packed((*pivots.shape[:-1], rows), types.int64)
    steps, temporaries = kernels.row_order(pivots, out, (1, 0), 2)

    def explain(place, value, *_):
        raise RuntimeError(
            f"lu_unpack: a pivot must be the number of a row, counted from 1; got {value} at flat "
            f"position {place}; need 1 .. {rows}; pass those of lu_factor"
        )

    return Program("t", (out,), tuple(steps), tuple(temporaries), explain)


def rows_in_order(x, order):
    """Row order[i] of x as row i."""
    shape = x.layout.shape
    batch = tuple(shape[:-2])
    order = expand(order.unsqueeze(-1), (*batch, order.layout.shape[-1], shape[-1]))
    return take_along_dim(x, order, -2)


@with_out
def lu_factor(A, *, pivot=True):
    """(LU, pivots): P A = L U with L below LU's diagonal, whose ones are left out, and U on it.

    `pivots[i]`, counted from 1, is the row that was exchanged with row i in step i.

    Raises LinAlgError where U has a zero on its diagonal.

    >>> import cresset
    >>> LU, pivots = cresset.linalg.lu_factor(cresset.tensor([[1.0, 2.0], [2.0, 2.0]]))
    >>> LU, pivots
    (tensor([[2.0000, 2.0000],
            [0.5000, 1.0000]]), tensor([2, 2], dtype=torch.int32))
    """
    return linalg_lu_factor(lu_packed(A, bool(pivot), True)[:2])


@with_out
def lu_factor_ex(A, *, pivot=True, check_errors=False):
    """(LU, pivots, info) as `lu_factor`; info is 0, or the place, from 1, of U's first zero."""
    return linalg_lu_factor_ex(lu_packed(A, bool(pivot), bool(check_errors)))


@with_out
def lu(A, *, pivot=True):
    """(P, L, U) with A = P L U: a permutation, L with ones on its diagonal, U upper triangular.

    P is empty without `pivot`.

    >>> import cresset
    >>> P, L, U = cresset.linalg.lu(cresset.tensor([[1.0, 2.0], [2.0, 2.0]]))
    >>> (P @ L @ U)
    tensor([[1., 2.],
            [2., 2.]])
    """
    made, pivots, _ = lu_packed(A, bool(pivot), False)
    return linalg_lu(lu_unpack(made, pivots, unpack_pivots=bool(pivot)))


@with_out
def lu_unpack(LU_data, LU_pivots, unpack_data=True, unpack_pivots=True):
    """(P, L, U) of what `lu_factor` gives; those that are not asked for are empty."""
    m, n = LU_data.layout.shape[-2:]
    k = min(m, n)
    nothing = LU_data.new_empty(0)
    permuted, lower, upper = nothing, nothing, nothing
    if unpack_data:
        left = narrow(LU_data, -1, 0, k)
        lower = left.tril(-1) + narrow(eye_of(m, LU_data), -1, 0, k)
        upper = narrow(LU_data, -2, 0, k).triu()
    if unpack_pivots:
        order = row_order(LU_pivots, m)
        rows = order.unsqueeze(-1).eq(arange(m, device=order.layout.device))
        permuted = matrix_transpose(rows).to(LU_data.layout.dtype)
    return lu_unpack_result((permuted, lower, upper))


@with_out
def lu_solve(LU, pivots, B, *, left=True, adjoint=False):
    """X with A X = B, or X A = B unless `left`, from A's LU; with A^H for A where `adjoint`.

    >>> import cresset
    >>> A = cresset.tensor([[1.0, 2.0], [2.0, 2.0]])
    >>> cresset.linalg.lu_solve(*cresset.linalg.lu_factor(A), cresset.tensor([[3.0], [4.0]]))
    tensor([[1.],
            [1.]])
    """
    if not left:
        # X A = B is A^H X^H = B^H.
        return adjoint_of(lu_solve(LU, pivots, adjoint_of(B), adjoint=not adjoint))
    order = row_order(pivots, LU.layout.shape[-2])
    if adjoint:
        y = triangular_solution(adjoint_of(LU), B, False, False)
        x = triangular_solution(adjoint_of(LU), y, True, True)
        return rows_in_order(x, order.argsort(-1))
    batch = common_batch("linalg.lu_solve", LU.layout, B.layout)
    b = expand(B, (*batch, *B.layout.shape[-2:]))
    y = triangular_solution(LU, rows_in_order(b, order), False, True)
    return triangular_solution(LU, y, True, False)
