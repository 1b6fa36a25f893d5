"""Norms of vectors and matrices, and the condition numbers that they give."""

from __future__ import annotations

from cresset.core.tensor import Tensor
from cresset.ops.linear_algebra.matrices import check_floating, matrix, square
from cresset.ops.linear_algebra.spectra import singular_values
from cresset.ops.linear_algebra.systems import inverse_ex
from cresset.ops.out import with_out
from cresset.ops.reductions.norms import norm as elements_norm
from cresset.ops.shapes.shape import canonical_dim, movedim, unsqueeze

__all__ = ["cond", "matrix_norm", "norm", "vector_norm"]

INFINITY = float("inf")


def _typed(name: str, x: Tensor, dtype) -> Tensor:
    if dtype is not None:
        x = x.to(dtype)
    check_floating(name, x.layout)
    return x


@with_out
def vector_norm(x, ord=2, dim=None, keepdim=False, *, dtype=None):
    """The norm of the elements along dims (all by default): (sum |x| ** ord) ** (1 / ord).

    With inf and -inf it is the greatest and the least |x|, with 0 the number of elements that are
    not 0. The result is real; `dtype` converts x first.

    Raises RuntimeError for integers, and where nothing is reduced with ord < 0 or inf.

    >>> import cresset
    >>> cresset.linalg.vector_norm(cresset.tensor([3.0, 4.0]))
    tensor(5.)
    """
    x = _typed("linalg.vector_norm", x, dtype)
    if isinstance(ord, str):
        raise TypeError(
            f"linalg.vector_norm: ord must be a number; got {ord!r}; names such as 'fro' are norms "
            "of matrices"
        )
    shape = x.layout.shape
    dims = range(x.layout.ndim) if dim is None else (dim,) if isinstance(dim, int) else dim
    if (ord < 0 or ord == INFINITY) and any(shape[d] == 0 for d in dims):
        raise RuntimeError(
            f"linalg.vector_norm: cannot compute the {ord} norm on the dims {tuple(dims)} of shape "
            f"{tuple(shape)} because the operation does not have an identity on empty dims"
        )
    return elements_norm(x, ord, dim if dim is None else tuple(dims), keepdim)


@with_out
def matrix_norm(A, ord="fro", dim=(-2, -1), keepdim=False, *, dtype=None):
    """A norm of matrices, which lie in the two dims.

    "fro" is the root of the sum of squares, "nuc" the sum of singular values, 2 and -2 the greatest
    and the least of them, inf and -inf the greatest and the least sum of a row's |a|, 1 and -1 of a
    column's.

    >>> import cresset
    >>> cresset.linalg.matrix_norm(cresset.tensor([[3.0, 4.0], [0.0, 0.0]]), 1)
    tensor(4.)
    """
    name = "linalg.matrix_norm"
    A = _typed(name, A, dtype)
    if A.layout.ndim < 2:
        raise RuntimeError(
            f"{name}: The input tensor A must have at least 2 dimensions; got shape "
            f"{tuple(A.layout.shape)}"
        )
    if isinstance(dim, int) or len(dim) != 2:
        raise RuntimeError(f"{name}: dim must be a 2-tuple; got {dim}")
    rows, columns = (canonical_dim(name, d, A.layout.ndim) for d in dim)
    if rows == columns:
        raise RuntimeError(f"{name}: dims must be different; got {tuple(dim)}")
    if ord == "fro":
        return vector_norm(A, 2, (rows, columns), keepdim)
    if ord in ("nuc", 2, -2):
        values = singular_values(movedim(A, (rows, columns), (-2, -1)))
        if ord == "nuc":
            found = values.sum(-1)
        else:
            found = values.amax(-1) if ord == 2 else values.amin(-1)
        if keepdim:
            first, second = sorted((rows, columns))
            found = unsqueeze(unsqueeze(found, first), second)
        return found
    if ord not in (1, -1, INFINITY, -INFINITY):
        raise RuntimeError(
            f"{name}: Order {ord} not supported; need 'fro', 'nuc', inf, -inf, 1, -1, 2 or -2"
        )
    summed, kept = (rows, columns) if abs(ord) == 1 else (columns, rows)
    sums = vector_norm(A, 1, summed, True)
    found = sums.amax(kept, True) if ord > 0 else sums.amin(kept, True)
    return found if keepdim else found.squeeze((rows, columns))


@with_out
def norm(A, ord=None, dim=None, keepdim=False, *, dtype=None):
    """The norm of vectors, where `dim` is one dim, or of matrices, where it is two.

    Without `ord` the root of the sum of squares over the dims, all by default. With `ord` and
    without `dim` A has one or two dims. See `vector_norm` and `matrix_norm`.

    >>> import cresset
    >>> cresset.linalg.norm(cresset.tensor([[3.0], [4.0]]))
    tensor(5.)
    """
    if ord is None:
        return vector_norm(_typed("linalg.norm", A, dtype), 2, dim, keepdim)
    if dim is None:
        if A.layout.ndim not in (1, 2):
            raise RuntimeError(
                "linalg.norm: If dim is not specified but ord is, the input must be 1D or 2D. Got "
                f"{A.layout.ndim}D; its shape is {tuple(A.layout.shape)}"
            )
        dim = tuple(range(A.layout.ndim))
    dims = (dim,) if isinstance(dim, int) else tuple(dim)
    if len(dims) == 1:
        return vector_norm(A, ord, dims, keepdim, dtype=dtype)
    return matrix_norm(A, ord, dims, keepdim, dtype=dtype)


@with_out
def cond(A, p=None):
    """The condition number |A| |A^-1| in the norm `p`; by singular values for None, 2 and -2.

    It is infinite for singular matrices. Norms other than 2 and -2 need square ones.

    >>> import cresset
    >>> cresset.linalg.cond(cresset.tensor([[2.0, 0.0], [0.0, 1.0]]))
    tensor(2.)
    """
    matrix("linalg.cond", A.layout)
    if p in (None, 2, -2):
        values = singular_values(A)
        first, last = values[..., 0], values[..., -1]
        return last / first if p == -2 else first / last
    square("linalg.cond", A.layout)
    inverse, info = inverse_ex(A, False)
    found = matrix_norm(A, p) * matrix_norm(inverse, p)
    return found.masked_fill(info.ne(0), INFINITY)
