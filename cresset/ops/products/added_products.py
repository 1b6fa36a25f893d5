"""Products of matrices and vectors added to a tensor: addmm, addmv, addr, addbmm, baddbmm.

All of them are beta * x + alpha * product, x broadcast to the product's shape. With beta = 0
nothing of x is read, so that NaN in it does no harm.
"""

from __future__ import annotations

from cresset.core import dtype as types
from cresset.core.dtype import dtype
from cresset.core.limits import fitted
from cresset.core.tensor import Number
from cresset.ops.casting import cast_like, casting
from cresset.ops.in_place import in_place
from cresset.ops.operation import counts_as, method
from cresset.ops.out import with_out
from cresset.ops.products.matrix_products import bmm, mm, mv, outer

__all__ = ["addbmm", "addmm", "addmv", "addmv_", "addr", "baddbmm"]


def added(name: str, x, made, beta: Number, alpha: Number):
    """beta * x + alpha * made."""
    if casting:
        x = cast_like(x, made)
    shape, product = tuple(x.layout.shape), made.layout
    if x.layout.dtype is not product.dtype and name != "addr":
        raise RuntimeError(
            f"{name}: self and the product must have the same dtype, but got {x.layout.dtype} and "
            f"{product.dtype}; convert one with .to(...)"
        )
    if len(shape) > product.ndim or any(
        n not in (1, m) for n, m in zip(reversed(shape), reversed(product.shape))
    ):
        raise RuntimeError(
            f"{name}: the input of shape {shape} cannot be expanded to the product's shape "
            f"{tuple(product.shape)}; need equal sizes or 1 in every dim"
        )
    held = types.float32 if product.dtype in types.HALVES else product.dtype
    beta, alpha = (fitted(name, number, held) for number in (beta, alpha))
    if product.dtype.category == dtype.INTEGER:
        if name == "addr" and isinstance(beta + alpha, float):
            raise RuntimeError(
                "addr: For integral input tensors, arguments beta and alpha must not be floating "
                f"point numbers; got {beta} and {alpha}"
            )
        beta, alpha = int(beta), int(alpha)
    if alpha != 1:
        made = made * alpha
    if beta == 0:
        return made
    if beta != 1:
        x = x * beta
    return counts_as(made + x, name)


@method()
@in_place
@with_out
def addmm(input, mat1, mat2, *, beta: Number = 1, alpha: Number = 1):
    """beta * input + alpha * (mat1 @ mat2), for matrices.

    >>> import cresset
    >>> cresset.addmm(cresset.ones(2), cresset.eye(2), cresset.eye(2), alpha=2)
    tensor([[3., 1.],
            [1., 3.]])
    """
    return added("addmm", input, mm(mat1, mat2), beta, alpha)


@method()
@in_place
@with_out
def addmv(input, mat, vec, *, beta: Number = 1, alpha: Number = 1):
    """beta * input + alpha * (mat @ vec), for a matrix and a vector."""
    return added("addmv", input, mv(mat, vec), beta, alpha)


addmv_ = addmv.in_place


@method()
@in_place
@with_out
def addr(input, vec1, vec2, *, beta: Number = 1, alpha: Number = 1):
    """beta * input + alpha * outer(vec1, vec2)."""
    return added("addr", input, outer(vec1, vec2), beta, alpha)


@method()
@in_place
@with_out
def addbmm(input, batch1, batch2, *, beta: Number = 1, alpha: Number = 1):
    """beta * input + alpha * the sum of batch1[i] @ batch2[i]."""
    product = bmm(batch1, batch2).sum(0, dtype=batch1.layout.dtype)
    return added("addbmm", input, product, beta, alpha)


@method()
@in_place
@with_out
def baddbmm(input, batch1, batch2, *, beta: Number = 1, alpha: Number = 1):
    """beta * input + alpha * (batch1 @ batch2) over a batch of matrices."""
    return added("baddbmm", input, bmm(batch1, batch2), beta, alpha)
