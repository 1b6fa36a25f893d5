"""LDL: factors of symmetric and Hermitian matrices that need not be definite.

Bunch and Kaufman, Some stable methods for calculating inertia and solving symmetric linear systems
(1977). Factors and pivots lie as LAPACK's sytrf and hetrf leave them.
"""

from __future__ import annotations

from cresset.core import dtype as types
from cresset.core.errors import LinAlgError
from cresset.core.layout import Layout
from cresset.core.return_types import linalg_ldl_factor, linalg_ldl_factor_ex
from cresset.core.tensor import Tensor
from cresset.ops.kinds import hosted
from cresset.ops.kinds.hosted import np
from cresset.ops.linear_algebra.matrices import fail, packed, same_type, square
from cresset.ops.linear_algebra.triangular import check_sides
from cresset.ops.operation import called
from cresset.ops.out import with_out
from cresset.ops.pointwise.complex_numbers import conj

__all__ = ["ldl_factor", "ldl_factor_ex", "ldl_solve"]

# The bound on growth for which one pivot costs as much as a block of two.
ALPHA = (1 + 17**0.5) / 8


def _factor_layouts(a: Layout, hermitian, check) -> tuple[Layout, ...]:
    made = square("linalg.ldl_factor", a)
    return made, packed(a, a.shape[-1], dtype=types.int32), packed(a, dtype=types.int32)


@called("linalg_ldl_factor_ex")
@hosted(_factor_layouts)
def ldl_packed(a: Tensor, hermitian, check):
    """(L below the diagonal and the blocks of D on it, pivots, info)."""
    made = np.tril(a)
    pivots, info = np.zeros(a.shape[:-1], "i4"), np.zeros(a.shape[:-2], "i4")
    for k in np.ndindex(info.shape):
        info[k] = _factor(made[k], pivots[k], hermitian)
    if check:
        fail("linalg.ldl_factor", info, "the block of D at {0} is zero, and using it on ldl_solve "
             "would result in a division by zero; ldl_factor_ex gives the factors none the less")
    return made, pivots, info


def _size(x):
    """How LAPACK measures numbers: the sum of the parts' sizes."""
    return np.abs(x.real) + np.abs(x.imag)


def _adjoint(x, hermitian):
    return x.conj().T if hermitian else x.T


def _factor(a, pivots, hermitian) -> int:
    """Factor the lower triangle of a matrix in place; returns info."""
    n, k, info = len(a), 0, 0
    # What is yet to be factored is kept whole.
    a += _adjoint(np.tril(a, -1), hermitian)
    with np.errstate(all="ignore"):
        while k < n:
            if hermitian:
                # Rounding would make imaginary parts, which grow.
                np.fill_diagonal(a[k:, k:], a[k:, k:].diagonal().real.copy())
            place, width = _pivot(a, k)
            if width == 0:
                pivots[k], info, k = k + 1, info or k + 1, k + 1
                continue
            last = k + width - 1
            for rest in (a[k:, k:], a[k:, k:].T):
                rest[[last - k, place - k]] = rest[[place - k, last - k]]
            after = last + 1
            below = a[after:, k:after].copy()
            a[after:, k:after] = below @ _inverse(a[k:after, k:after])
            a[after:, after:] -= a[after:, k:after] @ _adjoint(below, hermitian)
            pivots[k:after] = place + 1 if width == 1 else -(place + 1)
            k = after
    a[np.triu_indices(n, 1)] = 0
    return info


def _pivot(a, k) -> tuple[int, int]:
    """(the row that is to come last in the next block, the block's rows); no rows if all is 0."""
    here = _size(a[k, k])
    column = _size(a[k + 1 :, k])
    greatest = column.max(initial=0)
    if not max(here, greatest) > 0:
        return k, 0
    if here >= ALPHA * greatest:
        return k, 1
    other = k + 1 + int(column.argmax())
    across = np.delete(_size(a[other, k:]), other - k).max()
    if here >= ALPHA * greatest * (greatest / across):
        return k, 1
    return other, 1 if _size(a[other, other]) >= ALPHA * across else 2


def _inverse(block):
    """The inverse of a block of D."""
    if len(block) == 1:
        return 1 / block
    # Both entries of the diagonal are small beside the others.
    other, beside = block[1, 0], block[0, 1]
    first, second = block[0, 0] / other, block[1, 1] / beside
    turned = np.array([[second / other, -1 / other], [-1 / beside, first / beside]], block.dtype)
    return turned / (first * second - 1)


def _solution_layout(factors: Layout, pivots: Layout, b: Layout, hermitian) -> Layout:
    name = "linalg.ldl_solve"
    made = check_sides(name, factors, b)
    same_type(name, factors, b, ("LD", "B"))
    if pivots.dtype.is_floating_point or pivots.dtype.is_complex:
        raise RuntimeError(f"{name}: Expected pivots to be integers. Got {pivots.dtype}; pass "
                           "those that ldl_factor gave")
    if pivots.shape != factors.shape[:-1]:
        raise RuntimeError(
            f"{name}: Expected LD.shape[:-1] and pivots.shape to be the same, but got pivots with "
            f"shape {tuple(pivots.shape)} instead; LD has shape {tuple(factors.shape)}"
        )
    return made


@called("linalg_ldl_solve")
@hosted(_solution_layout)
def ldl_solution(factors: Tensor, pivots: Tensor, b: Tensor, hermitian):
    """x with A x = b for the A that was factored."""
    n = factors.shape[-1]
    if pivots.size and (np.abs(pivots).min() < 1 or np.abs(pivots).max() > n):
        raise LinAlgError(
            f"linalg.ldl_solve: pivots must be places of rows, counted from 1; got one outside of "
            f"1 .. {n}; pass those that ldl_factor gave"
        )
    batch = np.broadcast_shapes(factors.shape[:-2], b.shape[:-2])
    x = np.broadcast_to(b, (*batch, *b.shape[-2:])).copy()
    factors = np.broadcast_to(factors, (*batch, n, n))
    pivots = np.broadcast_to(pivots, (*batch, n))
    for k in np.ndindex(batch):
        _solve(factors[k], pivots[k], x[k], hermitian)
    return x


@ldl_solution.gradient
def _ldl_solution_gradient(g, factors, pivots, hermitian):
    if hermitian or not g.layout.dtype.is_complex:
        return None, None, ldl_solution(factors, pivots, g, hermitian)
    return None, None, conj(ldl_solution(factors, pivots, conj(g), hermitian))


def _solve(factors, pivots, x, hermitian):
    """Overwrite x by the solution, through the factors and back."""
    blocks, k = [], 0
    while k < len(x):
        after = min(k + (1 if pivots[k] > 0 else 2), len(x))
        blocks.append((k, after, abs(int(pivots[k])) - 1))
        k = after
    with np.errstate(all="ignore"):
        for k, after, place in blocks:
            x[[after - 1, place]] = x[[place, after - 1]]
            x[after:] -= factors[after:, k:after] @ x[k:after]
            block = factors[k:after, k:after]
            block = np.tril(block) + _adjoint(np.tril(block, -1), hermitian)
            x[k:after] = _inverse(block) @ x[k:after]
        for k, after, place in reversed(blocks):
            x[k:after] -= _adjoint(factors[after:, k:after], hermitian) @ x[after:]
            x[[after - 1, place]] = x[[place, after - 1]]


@with_out
def ldl_factor(A, *, hermitian=False):
    """(LD, pivots) of a symmetric matrix, or of a Hermitian one: A = P L D L^T P^T.

    Only the lower triangle is read. D has blocks of one and two rows on its diagonal, and LD holds
    them and L below. A positive pivot counts, from 1, the row that was exchanged with its own; two
    equal negative ones stand for a block of two, whose second row was exchanged. The factors have
    no gradient.

    Raises LinAlgError where a block of D is zero.

    >>> import cresset
    >>> cresset.linalg.ldl_factor(cresset.tensor([[0.0, 1.0], [1.0, 0.0]])).pivots
    tensor([-2, -2], dtype=torch.int32)
    """
    return linalg_ldl_factor(ldl_packed(A, bool(hermitian), True)[:2])


@with_out
def ldl_factor_ex(A, *, hermitian=False, check_errors=False):
    """(LD, pivots, info) as `ldl_factor`; info is 0, or the place, from 1, of a zero block."""
    return linalg_ldl_factor_ex(ldl_packed(A, bool(hermitian), bool(check_errors)))


@with_out
def ldl_solve(LD, pivots, B, *, hermitian=False):
    """X with A X = B from what `ldl_factor` gave of A; shapes (..., n, n), (..., n), (..., n, k).

    >>> import cresset
    >>> A = cresset.tensor([[0.0, 2.0], [2.0, 0.0]])
    >>> cresset.linalg.ldl_solve(*cresset.linalg.ldl_factor(A), cresset.tensor([[2.0], [4.0]]))
    tensor([[2.],
            [1.]])
    """
    return ldl_solution(LD, pivots, B, bool(hermitian))
