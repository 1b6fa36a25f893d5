"""Products of matrices and vectors."""

from __future__ import annotations

from math import prod

from cresset.core import dtype as types
from cresset.core import scalar
from cresset.core.layout import Layout, broadcast_shapes, expand_strides
from cresset.core.tensor import Tensor
from cresset.kernels.matmul import Operand
from cresset.kernels.matmul import matmul as product
from cresset.kernels.nest import Nest, Store, steps
from cresset.kernels.nest import Operand as NestOperand
from cresset.ops import dispatch
from cresset.ops.kinds import composite, special
from cresset.ops.kinds.promotion import computed
from cresset.ops.operation import counted_as, method
from cresset.ops.out import with_out
from cresset.ops.pointwise.complex_numbers import adjoint, conj
from cresset.ops.shapes.shape import matrix_transpose, reshape, squeeze, unsqueeze, view_strides
from cresset.runtime.program import Program

__all__ = ["bilinear", "bmm", "dot", "ger", "linear", "matmul", "mm", "mv", "outer", "vdot"]


def _check_types(operation: str, x: Layout, y: Layout):
    if computed(operation, x.dtype) is types.bool:
        raise NotImplementedError(
            f"{operation}: not implemented for torch.bool, whose products have no sum; convert "
            "with .int() or .float()"
        )
    if x.dtype is not y.dtype:
        raise RuntimeError(
            f"{operation}: expected both operands to have the same dtype, but got {x.dtype} and "
            f"{y.dtype}; convert one with .to(...)"
        )


@method("matmul", "__matmul__")
@special(takes_complex=True)
def matmul(x: Tensor, y: Tensor):
    """The product of matrices; leading dims broadcast as batches, vectors count as rows or columns.

    Shapes (..., m, k) and (..., k, n) give (..., m, n); (k) on the left stands for (1, k), on the
    right for (k, 1), and that dim is dropped again. Both operands have one type.

    >>> import cresset
    >>> cresset.matmul(cresset.eye(2), cresset.tensor([3.0, 4.0]))
    tensor([3., 4.])
    """
    _check_types("matmul", x, y)
    if not x.ndim or not y.ndim:
        raise RuntimeError(
            "matmul: both arguments need to be at least 1D, but they are "
            f"{x.ndim}D and {y.ndim}D; use * to multiply by a number"
        )
    a = x.restride((1, *x.shape), (0, *x.strides)) if x.ndim == 1 else x
    b = y.restride((*y.shape, 1), (*y.strides, 0)) if y.ndim == 1 else y
    m, k = a.shape[-2:]
    inner, n = b.shape[-2:]
    if k != inner:
        raise RuntimeError(
            f"matmul: mat1 and mat2 shapes cannot be multiplied ({m}x{k} and {inner}x{n}); got "
            f"shapes {tuple(x.shape)} and {tuple(y.shape)}; need the last dim of the first, {k}, "
            f"to equal the {'only' if y.ndim == 1 else 'second to last'} dim of the second, {inner}"
        )
    try:
        batch = broadcast_shapes(a.shape[:-2], b.shape[:-2])
    except ValueError as problem:
        raise RuntimeError(
            f"matmul: the batch dims {tuple(a.shape[:-2])} and {tuple(b.shape[:-2])} do not "
            f"broadcast; {problem}"
        ) from None
    shape = batch + ((m,) if x.ndim > 1 else ()) + ((n,) if y.ndim > 1 else ())
    out = Layout.packed(shape, x.dtype)
    wide = Layout.packed((*batch, m, n), x.dtype)
    launches, temporaries = product(
        batch, m, n, k, x.dtype,
        Operand(1, expand_strides(a.shape[:-2], a.strides[:-2], batch) + a.strides[-2:]),
        Operand(2, expand_strides(b.shape[:-2], b.strides[:-2], batch) + b.strides[-2:]),
        Operand(0, wide.strides), first_temporary=3,
    )
    return Program("tt", (out,), tuple(launches), tuple(temporaries))


@matmul.gradient
def _matmul_gradient(g, x, y, needs):
    columns = y.layout.ndim == 1
    rows = x.layout.ndim == 1
    if columns:
        g, y = unsqueeze(g, -1), unsqueeze(y, -1)
    if rows:
        g, x = unsqueeze(g, -2), unsqueeze(x, -2)
    by_x = by_y = None
    if needs[0]:
        by_x = matmul(g, adjoint(y))
        if rows:
            by_x = squeeze(by_x, -2)
    if needs[1]:
        by_y = matmul(adjoint(x), g)
        if columns:
            by_y = squeeze(by_y, -1)
    return by_x, by_y


def _of_rank(name, *ranks):
    def check(*tensors):
        shapes = [tuple(x.layout.shape) for x in tensors]
        for shape, rank, place in zip(shapes, ranks, ("first", "second", "third")):
            if len(shape) != rank:
                raise RuntimeError(
                    f"{name}: the {place} operand must be {rank}-D; got shape {shape}; matmul() "
                    "takes operands of any rank"
                )

    return check


_check_mm = _of_rank("mm", 2, 2)
_check_bmm = _of_rank("bmm", 3, 3)
_check_mv = _of_rank("mv", 2, 1)
_check_dot = _of_rank("dot", 1, 1)
_check_vdot = _of_rank("vdot", 1, 1)
_check_outer = _of_rank("outer", 1, 1)


@method()
@with_out
def mm(input, mat2):
    """The product of two matrices."""
    _check_mm(input, mat2)
    (m, k), (inner, n) = input.layout.shape, mat2.layout.shape
    if k != inner:
        raise RuntimeError(
            f"mm: mat1 and mat2 shapes cannot be multiplied ({m}x{k} and {inner}x{n}); need as "
            "many rows in the second as columns in the first"
        )
    return matmul(input, mat2)


@method()
@with_out
def bmm(input, mat2):
    """The products of two batches of matrices, which have the same size."""
    _check_bmm(input, mat2)
    expected, got = [input.layout.shape[0], input.layout.shape[2]], list(mat2.layout.shape[:2])
    if expected != got:
        raise RuntimeError(
            f"bmm: Expected size for first two dimensions of batch2 tensor to be: {expected} but "
            f"got: {got}; need as many matrices, and as many rows as the first has columns"
        )
    return matmul(input, mat2)


@method()
@with_out
def mv(input, vec):
    """A matrix times a vector."""
    _check_mv(input, vec)
    (m, n), (size,) = input.layout.shape, vec.layout.shape
    if n != size:
        raise RuntimeError(
            f"mv: size mismatch, got input ({m}), mat ({m}x{n}), vec ({size}); need a vector of {n}"
        )
    return matmul(input, vec)


def _check_sizes(name, x, y):
    n, m = x.layout.numel, y.layout.numel
    if n != m:
        raise RuntimeError(
            f"{name}: inconsistent tensor size, expected tensor [{n}] and src [{m}] to have the "
            f"same number of elements, but got {n} and {m} elements respectively"
        )


@method()
@with_out
def dot(input, tensor):
    """The sum of the products of two vectors.

    >>> import cresset
    >>> cresset.dot(cresset.tensor([1, 2]), cresset.tensor([3, 4]))
    tensor(11)
    """
    _check_dot(input, tensor)
    _check_sizes("dot", input, tensor)
    return matmul(input, tensor)


@method()
@with_out
@counted_as("vdot")
def vdot(input, other):
    """The sum of the products of two vectors, the first of them conjugated.

    >>> import cresset
    >>> cresset.vdot(cresset.tensor([1j, 2.0]), cresset.tensor([1j, 1.0]))
    tensor(3.+0.j)
    """
    _check_vdot(input, other)
    _check_sizes("vdot", input, other)
    return matmul(conj(input), other)


@method("outer", "ger")
@composite
def outer(x: Tensor, vec2: Tensor):
    """input[i] * vec2[j], for vectors."""
    _check_outer(x, vec2)
    return unsqueeze(x, 1) * unsqueeze(vec2, 0)


ger = outer


def _rmatmul(x, other):
    if not hasattr(other, "__array_interface__"):
        return NotImplemented
    return matmul(dispatch.namespace["tensor"](other), x)


Tensor.__rmatmul__ = _rmatmul


@special(takes_complex=True)
def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None):
    """x @ weight.T + bias: shapes (..., in), (out, in) and (out) give (..., out).

    >>> import cresset
    >>> cresset.nn.functional.linear(cresset.ones(2), cresset.ones(3, 2), cresset.ones(3))
    tensor([3., 3., 3.])
    """
    _check_types("linear", x, weight)
    if weight.ndim != 2 or not x.ndim or x.shape[-1] != weight.shape[1]:
        raise RuntimeError(
            f"linear: mat1 and mat2 shapes cannot be multiplied: the input has shape "
            f"{tuple(x.shape)} and the weight {tuple(weight.shape)}; need the input's last dim to "
            f"be the weight's last, in_features"
        )
    if bias is not None and tuple(bias.shape) not in ((weight.shape[0],), (1,)):
        raise RuntimeError(
            f"linear: bias has shape {tuple(bias.shape)}; need ({weight.shape[0]},), out_features"
        )
    n, k = weight.shape
    m = prod(x.shape[:-1])
    out = Layout.packed((*x.shape[:-1], n), x.dtype)
    launches, temporaries, place = [], [], 1
    strides = view_strides(x, (m, k))
    if strides is None:
        # Rows that no two strides reach are copied together first.
        packed = Layout.packed(x.shape, x.dtype)
        leaf = scalar.argument(0, x.dtype)
        operands = (NestOperand(1, x.dtype, x.strides), NestOperand(4, x.dtype, packed.strides))
        launches += steps(Nest(tuple(x.shape), frozenset(), operands, (Store(1, leaf, False),)))[0]
        temporaries, place, strides = [packed.nbytes], 4, (k, 1)
    added = None
    if bias is not None:
        added = Operand(3, (0, bias.strides[0] if bias.shape[0] == n else 0))
    more, rooms = product(
        (), m, n, k, x.dtype, Operand(place, tuple(strides)), Operand(2, weight.strides[::-1]),
        Operand(0, (n, 1)), added, first_temporary=4 + len(temporaries),
    )
    letters = "tt" + ("n" if bias is None else "t")
    return Program(letters, (out,), tuple(launches + more), tuple(temporaries + rooms))


@linear.gradient
def _linear_gradient(g, x, weight, needs):
    rows = reshape(g, (-1, g.layout.shape[-1])) if g.layout.ndim != 2 else g
    by_x = matmul(g, conj(weight)) if needs[0] else None
    by_weight = None
    if needs[1]:
        flat = reshape(x, (-1, x.layout.shape[-1])) if x.layout.ndim != 2 else x
        by_weight = matmul(matrix_transpose(rows), conj(flat))
    return by_x, by_weight, rows.sum(0) if needs[2] else None


def bilinear(input1, input2, weight, bias=None):
    """input1[i] weight[o, i, j] input2[j] + bias[o], where weight has the shape (out, in1, in2)."""
    middle = matmul(unsqueeze(unsqueeze(input1, -2), -2), weight)
    made = (squeeze(middle, -2) * unsqueeze(input2, -2)).sum(-1)
    return made if bias is None else made + bias
