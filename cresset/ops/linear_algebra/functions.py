"""Functions of matrices: powers, the exponential, products of several, outer forms of vectors."""

from __future__ import annotations

from cresset.core import dtype as types
from cresset.core.tensor import Tensor
from cresset.ops.creation.counted import arange
from cresset.ops.kinds import hosted
from cresset.ops.kinds.hosted import np
from cresset.ops.linear_algebra.matrices import check_floating, eye_of, square
from cresset.ops.linear_algebra.systems import inv
from cresset.ops.operation import called
from cresset.ops.out import with_out
from cresset.ops.pointwise.complex_numbers import adjoint, conj
from cresset.ops.products.matrix_products import matmul
from cresset.ops.shapes.joining import cat, stack
from cresset.ops.shapes.shape import canonical_dim, expand, narrow, unsqueeze
from cresset.ops.shapes.shape import diagonal as any_diagonal

__all__ = ["cross", "diagonal", "matmul", "matrix_exp", "matrix_power", "multi_dot", "vander",
           "vecdot"]


@with_out
def matrix_power(A, n):
    """A @ ... @ A, n times; the inverse's power for negative n, the identity for 0.

    Raises LinAlgError for negative n where A is singular.

    >>> import cresset
    >>> cresset.linalg.matrix_power(cresset.tensor([[1.0, 1.0], [0.0, 1.0]]), 5)
    tensor([[1., 5.],
            [0., 1.]])
    """
    shape = tuple(A.layout.shape)
    if len(shape) < 2 or shape[-1] != shape[-2]:
        raise RuntimeError(
            "linalg.matrix_power: A must be batches of square matrices; got shape "
            f"{shape}; need (..., n, n)"
        )
    if n < 0:
        return matrix_power(inv(A), -n)
    if n == 0:
        return expand(eye_of(shape[-1], A), shape).clone()
    made = None
    while n:
        if n & 1:
            made = A if made is None else made @ A
        n >>= 1
        if n:
            A = A @ A
    return made


# Higham, The scaling and squaring method for the matrix exponential revisited (2005), table 2.3:
# up to which 1-norm the rational approximation of each degree is exact in float64. float32 takes
# the same, as the cost is in the products and not in their number.
DEGREES = {3: 1.495585217958292e-2, 5: 2.539398330063230e-1, 7: 9.504178996162932e-1,
           9: 2.097847961257068}
SCALED, SCALED_DEGREE = 5.371920351148152, 13


@called("linalg_matrix_exp")
@hosted(lambda a: square("linalg.matrix_exp", a))
def matrix_exponential(a: Tensor):
    """exp(a)."""
    n = a.shape[-1]
    flat = a.reshape(int(np.prod(a.shape[:-2])), n, n)
    out = np.empty_like(flat)
    sizes = np.abs(flat).sum(-2).max(-1, initial=0)
    done = np.zeros(len(flat), bool)
    for degree, bound in DEGREES.items():
        chosen = ~done & (sizes <= bound)
        if chosen.any():
            out[chosen] = _rational(flat[chosen], degree)
        done |= chosen
    for k in np.flatnonzero(~done):
        if not np.isfinite(sizes[k]):
            out[k] = np.nan
            continue
        squarings = max(0, int(np.ceil(np.log2(sizes[k] / SCALED))))
        x = _rational(flat[k] / 2.0**squarings, SCALED_DEGREE)
        for _ in range(squarings):
            x = x @ x
        out[k] = x
    return out.reshape(a.shape)


def _rational(a, degree):
    """The diagonal Pade approximation of exp(a) of a degree: (v - u)^-1 (v + u), u odd, v even."""
    coefficients = [1.0]
    for j in range(degree):
        coefficients.append(coefficients[-1] * (degree - j) / ((2 * degree - j) * (j + 1)))
    squared = a @ a
    power = np.broadcast_to(np.eye(a.shape[-1], dtype=a.dtype), a.shape)
    odd, even = coefficients[1] * power, coefficients[0] * power
    for j in range(2, degree, 2):
        power = power @ squared
        even = even + coefficients[j] * power
        odd = odd + coefficients[j + 1] * power
    odd = a @ odd
    return np.linalg.solve(even - odd, even + odd)


@matrix_exponential.gradient
def _matrix_exponential_gradient(g, a):
    # exp [[A^H, G], [0, A^H]] holds the derivative at A^H in the direction G above its diagonal
    # (Mathias, A chain rule for matrix functions and applications, 1996).
    n = a.layout.shape[-1]
    turned = adjoint(a)
    above = cat((turned, g), -1)
    below = cat((turned * 0, turned), -1)
    return narrow(narrow(matrix_exponential(cat((above, below), -2)), -2, 0, n), -1, n, n)


@with_out
def matrix_exp(A):
    """exp(A) = 1 + A + A A / 2 + ... of square matrices, by scaling and squaring (Higham, 2005).

    >>> import cresset
    >>> cresset.linalg.matrix_exp(cresset.tensor([[0.0, 1.0], [0.0, 0.0]]))
    tensor([[1., 1.],
            [0., 1.]])
    """
    return matrix_exponential(A)


@with_out
def multi_dot(tensors):
    """The product of two or more matrices in the order of fewest multiplications.

    The first and the last may be vectors, a row and a column.

    >>> import cresset
    >>> a = cresset.ones(3)
    >>> cresset.linalg.multi_dot([a, cresset.ones(3, 2), cresset.ones(2)])
    tensor(6.)
    """
    if len(tensors) < 2:
        raise RuntimeError(f"linalg.multi_dot: expected at least 2 tensors but got {len(tensors)}")
    factors = list(tensors)
    row, column = factors[0].layout.ndim == 1, factors[-1].layout.ndim == 1
    if row:
        factors[0] = unsqueeze(factors[0], 0)
    if column:
        factors[-1] = unsqueeze(factors[-1], 1)
    for k, x in enumerate(factors):
        if x.layout.ndim != 2:
            ends = k in (0, len(factors) - 1)
            raise RuntimeError(
                f"linalg.multi_dot: tensor {k} must be {'1D or ' if ends else ''}2D but got "
                f"{tensors[k].layout.ndim}D; its shape is {tuple(tensors[k].layout.shape)}"
            )
        if k and x.layout.shape[0] != factors[k - 1].layout.shape[1]:
            raise RuntimeError(
                f"linalg.multi_dot: tensors {k - 1} and {k} with shapes "
                f"{tuple(tensors[k - 1].layout.shape)} and {tuple(tensors[k].layout.shape)} cannot "
                "be multiplied"
            )
    made = _chain(factors, _splits([factors[0].layout.shape[0],
                                    *[x.layout.shape[1] for x in factors]]), 0, len(factors) - 1)
    made = made.squeeze(-1) if column else made
    return made.squeeze(0) if row else made


def _splits(sizes) -> dict:
    """Where to split each stretch of a chain (Cormen et al., Introduction to Algorithms, 15.2)."""
    count = len(sizes) - 1
    cost = {(i, i): 0 for i in range(count)}
    best: dict = {}
    for length in range(1, count):
        for i in range(count - length):
            j = i + length
            cost[i, j], best[i, j] = min(
                (cost[i, k] + cost[k + 1, j] + sizes[i] * sizes[k + 1] * sizes[j + 1], k)
                for k in range(i, j)
            )
    return best


def _chain(factors, splits, i, j):
    if i == j:
        return factors[i]
    k = splits[i, j]
    return _chain(factors, splits, i, k) @ _chain(factors, splits, k + 1, j)


@with_out
def vecdot(x, y, *, dim=-1):
    """sum(conj(x) * y) along a dim.

    >>> import cresset
    >>> cresset.linalg.vecdot(cresset.tensor([1.0, 2.0]), cresset.tensor([3.0, 4.0]))
    tensor(11.)
    """
    check_floating("linalg.vecdot", x.layout)
    return (conj(x) * y).sum(dim)


@with_out
def cross(input, other, *, dim=-1):
    """The cross products of vectors of size 3 along a dim; the other dims broadcast.

    >>> import cresset
    >>> x, y = cresset.tensor([1.0, 0.0, 0.0]), cresset.tensor([0.0, 1.0, 0.0])
    >>> cresset.linalg.cross(x, y)
    tensor([0., 0., 1.])
    """
    a, b = input.layout, other.layout
    if a.ndim != b.ndim:
        raise RuntimeError(
            "linalg.cross: inputs must have the same number of dimensions; got shapes "
            f"{tuple(a.shape)} and {tuple(b.shape)}"
        )
    d = canonical_dim("linalg.cross", dim, a.ndim)
    if a.shape[d] != 3 or b.shape[d] != 3:
        raise RuntimeError(
            f"linalg.cross: inputs dimension {dim} must have length 3. Got {a.shape[d]} and "
            f"{b.shape[d]}"
        )
    (a1, a2, a3), (b1, b2, b3) = input.unbind(d), other.unbind(d)
    return stack((a2 * b3 - a3 * b2, a3 * b1 - a1 * b3, a1 * b2 - a2 * b1),
                 d - a.ndim)


def diagonal(A, *, offset=0, dim1=-2, dim2=-1):
    """A view of the diagonals of matrices; see `cresset.diagonal`."""
    return any_diagonal(A, offset, dim1, dim2)


@with_out
def vander(x, N=None):
    """The matrix of powers 1, x, ..., x ** (N - 1) of vectors; N is their size by default.

    >>> import cresset
    >>> cresset.linalg.vander(cresset.tensor([2, 3]), N=3)
    tensor([[1, 2, 4],
            [1, 3, 9]])
    """
    if not x.layout.ndim:
        raise RuntimeError("linalg.vander: expects x to have at least one dimension; got none")
    if x.layout.dtype is types.bool:
        raise RuntimeError("linalg.vander: supports floating point, complex, and integer tensors, "
                           "but got torch.bool; convert it with .int()")
    count = x.layout.shape[-1] if N is None else N
    if count <= 1 and N is not None:
        raise RuntimeError(f"linalg.vander: N must be greater than 1; got {N}")
    return unsqueeze(x, -1) ** arange(count, device=x.layout.device)
