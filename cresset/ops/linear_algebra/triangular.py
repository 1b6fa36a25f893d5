"""Triangular systems, and those that a Cholesky factor stands for."""

from __future__ import annotations

from cresset.core.layout import Layout
from cresset.core.tensor import Tensor
from cresset.kernels import triangular as kernels
from cresset.ops.kinds import special
from cresset.ops.linear_algebra.matrices import (
    common_batch,
    eye_of,
    matrix,
    same_type,
    square,
)
from cresset.ops.operation import called
from cresset.ops.out import with_out
from cresset.ops.pointwise.complex_numbers import adjoint
from cresset.ops.shapes.shape import matrix_transpose
from cresset.runtime.program import Program

__all__ = ["solve_triangular"]


def check_sides(name: str, a: Layout, b: Layout) -> Layout:
    """The layout of x in a x = b."""
    square(name, a)
    matrix(name, b, "B")
    same_type(name, a, b)
    if a.shape[-1] != b.shape[-2]:
        raise RuntimeError(
            f"{name}: Incompatible shapes of A and B for the equation AX = B "
            f"({a.shape[-2]}x{a.shape[-1]} and {b.shape[-2]}x{b.shape[-1]}); need as many rows in "
            "B as A has"
        )
    batch = common_batch(name, a, b)
    return Layout.packed((*batch, *b.shape[-2:]), b.dtype)


@called("linalg_solve_triangular")
@special(moves=True)  # The types are checked here.
def triangular_solution(a: Tensor, b: Tensor, upper, unit):
    """x with triu(a) x = b, or tril(a) x = b."""
    out = check_sides("linalg.solve_triangular", a, b)
    steps, temporaries = kernels.solve(a, b, out, upper, unit, (1, 2, 0), 3)
    return Program("tt", (out,), tuple(steps), tuple(temporaries))


@triangular_solution.gradient
def _triangular_solution_gradient(g, a, out, upper, unit, needs):
    by_b = triangular_solution(adjoint(a), g, not upper, unit)
    by_a = None
    if needs[0]:
        by_a = -(by_b @ adjoint(out))
        by_a = by_a.triu(int(unit)) if upper else by_a.tril(-int(unit))
    return by_a, by_b if needs[1] else None


@with_out
def solve_triangular(A, B, *, upper, left=True, unitriangular=False):
    """X with A X = B, or X A = B unless `left`, for triangular A; shapes (..., n, n), (..., n, k).

    Only the triangle that `upper` names is read; with `unitriangular` its diagonal counts as ones.
    Batches broadcast. A zero on the diagonal gives infinite or NaN results and no error.

    Raises RuntimeError where shapes or types do not fit.

    >>> import cresset
    >>> A = cresset.tensor([[2.0, 1.0], [0.0, 4.0]])
    >>> cresset.linalg.solve_triangular(A, cresset.tensor([[4.0], [8.0]]), upper=True)
    tensor([[1.],
            [2.]])
    """
    if left:
        return triangular_solution(A, B, bool(upper), bool(unitriangular))
    turned = matrix_transpose(A), matrix_transpose(B)
    return matrix_transpose(triangular_solution(*turned, not upper, bool(unitriangular)))


@with_out
def cholesky_solve(B, L, upper=False):
    """X with A X = B, given the Cholesky factor L of A (or its adjoint, with `upper`).

    >>> import cresset
    >>> cresset.cholesky_solve(cresset.tensor([[8.0]]), cresset.tensor([[2.0]]))
    tensor([[2.]])
    """
    for x, letter in ((B, "B"), (L, "A")):
        if x.layout.ndim < 2:
            raise RuntimeError(
                f"cholesky_solve: {letter} should have at least 2 dimensions, but has "
                f"{x.layout.ndim} dimensions instead; got shape {tuple(x.layout.shape)}"
            )
    upper = bool(upper)
    first, second = (adjoint(L), L) if upper else (L, adjoint(L))
    return triangular_solution(second, triangular_solution(first, B, False, False), True, False)


@with_out
def cholesky_inverse(L, upper=False):
    """The inverse of A, given its Cholesky factor L (or its adjoint, with `upper`).

    >>> import cresset
    >>> cresset.cholesky_inverse(cresset.tensor([[2.0]]))
    tensor([[0.2500]])
    """
    square("cholesky_inverse", L.layout)
    return cholesky_solve(eye_of(L.layout.shape[-1], L), L, upper)
