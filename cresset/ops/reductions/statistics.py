"""Variance, standard deviation, covariance and correlation."""

from __future__ import annotations

from cresset.core import dtype as types
from cresset.core.tensor import Tensor
from cresset.ops.creation.tensors import tensor
from cresset.ops.kinds import composite
from cresset.ops.kinds.reduce import canonical_dims
from cresset.ops.operation import called, counted_as, counts_as, method
from cresset.ops.out import with_out
from cresset.ops.pointwise.arithmetic import sqrt
from cresset.ops.pointwise.comparison import eq
from cresset.ops.pointwise.complex_numbers import conj, view_as_real
from cresset.ops.products.matrix_products import matmul
from cresset.ops.reductions.reduction import mean, restore_dims, sum
from cresset.ops.shapes.shape import reshape, squeeze, transpose, unsqueeze

__all__ = ["corrcoef", "cov", "std", "std_mean", "var", "var_mean"]


@called("var")
@composite
def var_kernel(x: Tensor, dim, correction, keepdim):
    """The variance over dims: mean of squared distances from the mean, divisor n - correction."""
    count = 1
    for d in canonical_dims("var", dim, x.layout.ndim):
        count *= x.layout.shape[d]
    center = x - sum(x, dim, True) / float(count)
    squares = sum(center * center, dim, keepdim)
    freedom = count - correction
    return squares / freedom if freedom > 0 else squares * _inverse(freedom)


@var_kernel.gradient
def _var_gradient(g, x, x_layout, dim, correction, keepdim):
    g = restore_dims(g, x_layout, dim, keepdim)
    count = x_layout.numel // max(g.layout.numel, 1)
    return g * (x - mean(x, dim, True)) * (2.0 * _inverse(count - correction))


def _inverse(freedom):
    """1 / freedom, infinite where there is none left: then 0 * it is NaN, as 0 / 0 is."""
    return 1.0 / freedom if freedom > 0 else float("inf")


def _correction(unbiased, correction):
    if correction is not None:
        return float(correction)
    return 1.0 if unbiased is None or unbiased else 0.0


def _check_type(name, x):
    if not x.layout.dtype.is_differentiable:
        raise RuntimeError(
            f"{name}: std and var only support floating point and complex dtypes; got "
            f"{x.layout.dtype}; convert with .float()"
        )


@method()
@with_out
def var(input, dim=None, unbiased=None, keepdim=False, *, correction=None):
    """The variance over dims, divisor n - correction (1 by default).

    >>> import cresset
    >>> cresset.tensor([1.0, 2.0, 3.0]).var()
    tensor(1.)
    """
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    dim = tuple(dim) if isinstance(dim, list) else dim
    _check_type("var", input)
    freedom = _correction(unbiased, correction)
    if input.layout.dtype.is_complex:
        # That of complex numbers is the sum of those of their parts.
        pairs = view_as_real(input if input.layout.ndim else reshape(input, (1,)))
        dims = canonical_dims("var", dim, input.layout.ndim) or (0,)
        made = sum(var_kernel(pairs, dims, freedom, keepdim), -1)
        return counts_as(made if input.layout.ndim else reshape(made, ()), "var")
    return var_kernel(input, dim, freedom, keepdim)


@called("std")
@composite
def std_kernel(x: Tensor, dim, correction, keepdim):
    """The square root of the variance."""
    return sqrt(var_kernel(x, dim, correction, keepdim))


@std_kernel.gradient
def _std_gradient(g, x, out, x_layout, dim, correction, keepdim):
    scaled = restore_dims(g / (2.0 * out), x_layout, dim, keepdim).masked_fill(
        restore_dims(eq(out, 0), x_layout, dim, keepdim), 0)
    count = x_layout.numel // max(scaled.layout.numel, 1)
    return scaled * (x - mean(x, dim, True)) * (2.0 * _inverse(count - correction))


@method()
@with_out
def std(input, dim=None, unbiased=None, keepdim=False, *, correction=None):
    """The standard deviation over dims, divisor n - correction (1 by default)."""
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    dim = tuple(dim) if isinstance(dim, list) else dim
    _check_type("std", input)
    if input.layout.dtype.is_complex:
        return counts_as(sqrt(var(input, dim, unbiased, keepdim, correction=correction)), "std")
    return std_kernel(input, dim, _correction(unbiased, correction), keepdim)


@with_out
@counted_as("var_mean")
def var_mean(input, dim=None, unbiased=None, keepdim=False, *, correction=None):
    """(variance, mean) over dims."""
    return var(input, dim, unbiased, keepdim, correction=correction), mean(input, dim, keepdim)


@with_out
@counted_as("std_mean")
def std_mean(input, dim=None, unbiased=None, keepdim=False, *, correction=None):
    """(standard deviation, mean) over dims."""
    return std(input, dim, unbiased, keepdim, correction=correction), mean(input, dim, keepdim)


@method()
def cov(input, *, correction=1, fweights=None, aweights=None):
    """The covariance matrix of variables, the rows, over their observations, the columns.

    `fweights`, integers, say how often each observation was made, `aweights` how important it is;
    the divisor is the sum of weights - correction, as it stands in NumPy's `cov`.

    >>> import cresset
    >>> cresset.cov(cresset.tensor([[0.0, 2.0], [1.0, 5.0]]))
    tensor([[2., 4.],
            [4., 8.]])
    """
    if input.layout.ndim > 2:
        raise RuntimeError("cov: expected input to have two or fewer dimensions but got an input "
                           f"with {input.layout.ndim} dimensions")
    if input.layout.dtype is types.bool:
        raise RuntimeError("cov: bool dtype is not supported for input; convert with .int()")
    x = input if input.layout.ndim == 2 else reshape(input, (1, -1))
    count = x.layout.shape[1]
    weights = _observation_weights(count, fweights, aweights)
    total = tensor(count, device=x.layout.device) if weights is None else sum(weights)
    weighted = x if weights is None else x * weights
    centered = x - unsqueeze(sum(weighted, 1) / total, 1)
    # Weights of importance are known up to a factor, which has to cancel.
    shared = 1 if aweights is None else sum(weights * aweights) / total
    freedom = (total - correction * shared).clamp(min=0)
    scaled = centered if weights is None else centered * weights
    return squeeze(matmul(centered, conj(transpose(scaled, 0, 1))) / freedom)


def _observation_weights(count, fweights, aweights):
    """The product of what weights there are, None if there are none."""
    for name, w in (("fweights", fweights), ("aweights", aweights)):
        if w is None:
            continue
        if w.layout.ndim > 1 or w.layout.numel != count:
            raise RuntimeError(f"cov: expected {name} to have one or fewer dimensions and as many "
                               f"elements as there are observations, {count}; got shape "
                               f"{tuple(w.layout.shape)}")
        if w.layout.dtype.is_floating_point is (name == "fweights"):
            raise RuntimeError(f"cov: expected {name} to have "
                               f"{'integral' if name == 'fweights' else 'floating point'} dtype; "
                               f"got {w.layout.dtype}")
        if count and not w.layout.absent and (w < 0).any().item():
            raise RuntimeError(f"cov: {name} cannot be negative")
    if fweights is None or aweights is None:
        return aweights if fweights is None else fweights
    return fweights * aweights


@method()
def corrcoef(input):
    """The matrix of the correlation coefficients of variables, the rows, of observations.

    >>> import cresset
    >>> cresset.corrcoef(cresset.tensor([[0.0, 2.0], [1.0, -5.0]]))
    tensor([[ 1., -1.],
            [-1.,  1.]])
    """
    if input.layout.ndim > 2:
        raise RuntimeError("corrcoef: expected input to have two or fewer dimensions but got an "
                           f"input with {input.layout.ndim} dimensions")
    c = cov(input)
    if not c.layout.ndim:
        return c / c
    spread = sqrt(c.diagonal().real if c.layout.dtype.is_complex else c.diagonal())
    c = c / unsqueeze(spread, 1) / unsqueeze(spread, 0)
    return c if c.layout.dtype.is_complex else c.clamp(-1, 1)


