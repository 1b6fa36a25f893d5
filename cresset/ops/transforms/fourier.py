"""Discrete Fourier transforms, by NumPy: X[k] = sum over n of x[n] exp(-2 pi i k n / N).

Three operations make all of them: complex to complex, real to half of what is then Hermitian, and
that half back to real. Each is linear, and its gradient is its adjoint: the transform in the other
direction, of the same scale.
"""

from __future__ import annotations

from cresset.core import dtype as types
from cresset.core.dtype import dtype as DType
from cresset.core.layout import Layout
from cresset.core.tensor import Tensor
from cresset.ops.creation.counted import arange
from cresset.ops.creation.tensors import zeros
from cresset.ops.kinds import hosted
from cresset.ops.kinds.hosted import np
from cresset.ops.operation import called
from cresset.ops.out import with_out
from cresset.ops.pointwise.complex_numbers import conj
from cresset.ops.shapes.joining import cat
from cresset.ops.shapes.rearranging import roll
from cresset.ops.shapes.shape import canonical_dim, narrow

__all__ = ["fft", "fft2", "fftfreq", "fftn", "fftshift", "hfft", "hfft2", "hfftn", "ifft", "ifft2",
           "ifftn", "ifftshift", "ihfft", "ihfft2", "ihfftn", "irfft", "irfft2", "irfftn", "rfft",
           "rfft2", "rfftfreq", "rfftn"]

# How a transform over N points is scaled: not, by 1 / sqrt(N), by 1 / N.
NONE, ROOT, ALL = range(3)
FORWARD = {None: NONE, "backward": NONE, "ortho": ROOT, "forward": ALL}
INVERSE = {None: ALL, "backward": ALL, "ortho": ROOT, "forward": NONE}
# The same for NumPy, which names the direction that is scaled.
NUMPY_FORWARD = ("backward", "ortho", "forward")
NUMPY_INVERSE = ("forward", "ortho", "backward")


@called("fft_c2C")
@hosted(lambda x, dims, scale, forward: Layout.packed(x.shape, x.dtype))
def transformed(x: Tensor, dims, scale, forward):
    """The transform of complex numbers over dims, or the inverse one."""
    if not dims:
        return x.copy()
    if forward:
        return np.fft.fftn(x, axes=dims, norm=NUMPY_FORWARD[scale])
    return np.fft.ifftn(x, axes=dims, norm=NUMPY_INVERSE[scale])


@transformed.gradient
def _transformed_gradient(g, dims, scale, forward):
    return transformed(g, dims, scale, not forward)


def _half_layout(x: Layout, dims, scale) -> Layout:
    shape = list(x.shape)
    shape[dims[-1]] = shape[dims[-1]] // 2 + 1
    return Layout.packed(tuple(shape), x.dtype.to_complex())


@called("fft_r2C")
@hosted(_half_layout)
def half_transformed(x: Tensor, dims, scale):
    """The transform of real numbers over dims: of the last the first half, which tells the rest."""
    return np.fft.rfftn(x, axes=dims, norm=NUMPY_FORWARD[scale])


@half_transformed.gradient
def _half_transformed_gradient(g, x_layout, dims, scale):
    whole = resized(g, dims[-1], x_layout.shape[dims[-1]])
    return transformed(whole, dims, scale, False).real


def _real_layout(x: Layout, dims, scale, last) -> Layout:
    shape = list(x.shape)
    shape[dims[-1]] = last
    return Layout.packed(tuple(shape), x.dtype.to_real())


@called("fft_c2R")
@hosted(_real_layout)
def real_transformed(x: Tensor, dims, scale, last):
    """The inverse transform to real numbers from half of the last dim, which becomes of `last`."""
    sizes = [last if d == dims[-1] else x.shape[d] for d in dims]
    return np.fft.irfftn(x, sizes, dims, norm=NUMPY_INVERSE[scale])


@real_transformed.gradient
def _real_transformed_gradient(g, dims, scale, last):
    half = half_transformed(g, dims, scale)
    # What stands for itself and for its conjugate, which is left out, counts twice.
    places = arange(last // 2 + 1)
    twice = 2 - (places.eq(0) | (places * 2).eq(last)).to(g.layout.dtype)
    return half * twice.reshape((-1, *[1] * (g.layout.ndim - 1 - dims[-1])))


def resized(x, dim, size):
    """x cut, or filled with zeros at its end, to a size along a dim."""
    shape = list(x.layout.shape)
    missing = size - shape[dim]
    if missing <= 0:
        return narrow(x, dim, 0, size) if missing else x
    shape[dim] = missing
    return cat((x, zeros(tuple(shape), dtype=x.layout.dtype, device=x.layout.device)), dim)


# --- arguments ------------------------------------------------------------------------------------
def _scale(name, norm, table):
    if norm not in table:
        raise RuntimeError(f'{name}: Invalid normalization mode: "{norm}"; need "backward", '
                           '"ortho" or "forward"')
    return table[norm]


def _floating(name, x, real: bool):
    """x of a type that is transformed: integers as the default float."""
    d = x.layout.dtype
    if real and d.is_complex:
        raise RuntimeError(f"{name}: expects a real input tensor, but got {d}; give its .real")
    if d.category <= DType.INTEGER:
        return x.to(types.get_default_dtype())
    if d not in (types.float32, types.float64, types.complex64, types.complex128):
        raise RuntimeError(f"{name}: Unsupported dtype {d}; convert it with .float()")
    return x


def _complex(name, x):
    x = _floating(name, x, False)
    return x if x.layout.dtype.is_complex else x.to(x.layout.dtype.to_complex())


def _axes(name, x, s, dim) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """(dims, sizes) of a transform over several dims: the last ones if there are sizes alone."""
    rank, shape = x.layout.ndim, x.layout.shape
    s = (s,) if isinstance(s, int) else s
    dim = (dim,) if isinstance(dim, int) else dim
    if dim is None:
        dims = tuple(range(rank)) if s is None else tuple(range(rank - len(s), rank))
        if s is not None and len(s) > rank:
            raise RuntimeError(f"{name}: Got shape with {len(s)} values but input tensor only has "
                               f"{rank} dimensions")
    else:
        dims = tuple(canonical_dim(name, d, rank) for d in dim)
    if len(set(dims)) < len(dims):
        raise RuntimeError(f"{name}: FFT dims must be unique; got {tuple(dim)}")
    if s is not None and len(s) != len(dims):
        raise RuntimeError(f"{name}: When given, dim and shape arguments must have the same length;"
                           f" got {len(dims)} dims and {len(s)} sizes")
    sizes = tuple(shape[d] if s is None or n == -1 else n for d, n in zip(dims, s or shape))
    if s is None:
        sizes = tuple(shape[d] for d in dims)
    return dims, sizes


def _check_sizes(name, sizes):
    for n in sizes:
        if n < 1:
            raise RuntimeError(f"{name}: Invalid number of data points ({n}) specified; need 1 or "
                               "more in every transformed dim")


def _shaped(name, x, dims, sizes):
    _check_sizes(name, sizes)
    for d, n in zip(dims, sizes):
        x = resized(x, d, n)
    return x


def _c2c(name, x, s, dim, norm, forward):
    x = _complex(name, x)
    dims, sizes = _axes(name, x, s, dim)
    scale = _scale(name, norm, FORWARD if forward else INVERSE)
    return transformed(_shaped(name, x, dims, sizes), dims, scale, forward)


def _r2c(name, x, s, dim, norm, forward):
    """The half of the transform of real numbers, conjugated where the transform is an inverse."""
    x = _floating(name, x, True)
    dims, sizes = _axes(name, x, s, dim)
    if not dims:
        raise RuntimeError(f"{name}: must transform at least one axis; got shape "
                           f"{tuple(x.layout.shape)}")
    scale = _scale(name, norm, FORWARD if forward else INVERSE)
    made = half_transformed(_shaped(name, x, dims, sizes), dims, scale)
    return made if forward else conj(made)


def _c2r(name, x, s, dim, norm, forward):
    """Real numbers from the half of their inverse transform, or of their transform, conjugated."""
    x = _complex(name, x)
    dims, sizes = _axes(name, x, s, dim)
    if not dims:
        raise RuntimeError(f"{name}: must transform at least one axis; got shape "
                           f"{tuple(x.layout.shape)}")
    last = sizes[-1]
    if s is None or (s if isinstance(s, int) else s[-1]) == -1:
        last = 2 * (sizes[-1] - 1)
    _check_sizes(name, (last,))
    scale = _scale(name, norm, FORWARD if forward else INVERSE)
    x = _shaped(name, x, dims, (*sizes[:-1], last // 2 + 1))
    return real_transformed(conj(x) if forward else x, dims, scale, last)


# --- the public transforms ------------------------------------------------------------------------
@with_out
def fft(input, n=None, dim=-1, norm=None):
    """X[k] = sum over j of x[j] exp(-2 pi i j k / n) along a dim, cut or filled with zeros to `n`.

    `norm` "backward" (the default) scales the inverse by 1 / n, "forward" this transform, "ortho"
    both by 1 / sqrt(n). float32 gives complex64, float64 complex128, integers the default.

    >>> import cresset
    >>> cresset.fft.fft(cresset.tensor([1.0, 0.0, 0.0, 0.0]))
    tensor([1.+0.j, 1.+0.j, 1.+0.j, 1.+0.j])
    """
    return _c2c("fft", input, n, dim, norm, True)


@with_out
def ifft(input, n=None, dim=-1, norm=None):
    """The inverse of `fft`.

    >>> import cresset
    >>> cresset.fft.ifft(cresset.tensor([4.0, 0.0, 0.0, 0.0]))
    tensor([1.+0.j, 1.+0.j, 1.+0.j, 1.+0.j])
    """
    return _c2c("ifft", input, n, dim, norm, False)


@with_out
def rfft(input, n=None, dim=-1, norm=None):
    """The first n // 2 + 1 elements of the `fft` of real numbers, which tell the others.

    >>> import cresset
    >>> cresset.fft.rfft(cresset.tensor([1.0, 2.0, 3.0]))
    tensor([ 6.0000+0.0000j, -1.5000+0.8660j])
    """
    return _r2c("rfft", input, n, dim, norm, True)


@with_out
def irfft(input, n=None, dim=-1, norm=None):
    """The n real numbers whose `rfft` is the input; by default n is 2 (m - 1) for m elements.

    >>> import cresset
    >>> cresset.fft.irfft(cresset.tensor([6.0, 0.0]), 3)
    tensor([2., 2., 2.])
    """
    return _c2r("irfft", input, n, dim, norm, False)


@with_out
def hfft(input, n=None, dim=-1, norm=None):
    """The real `fft` of n numbers whose second half is the first, mirrored and conjugated."""
    return _c2r("hfft", input, n, dim, norm, True)


@with_out
def ihfft(input, n=None, dim=-1, norm=None):
    """The inverse of `hfft`: the first n // 2 + 1 elements of the `ifft` of real numbers."""
    return _r2c("ihfft", input, n, dim, norm, False)


@with_out
def fftn(input, s=None, dim=None, norm=None):
    """`fft` over several dims, cut or filled to sizes `s`: all dims, or as many last ones as sizes.

    >>> import cresset
    >>> cresset.fft.fftn(cresset.ones(2, 2))
    tensor([[4.+0.j, 0.+0.j],
            [0.+0.j, 0.+0.j]])
    """
    return _c2c("fftn", input, s, dim, norm, True)


@with_out
def ifftn(input, s=None, dim=None, norm=None):
    """The inverse of `fftn`."""
    return _c2c("ifftn", input, s, dim, norm, False)


@with_out
def rfftn(input, s=None, dim=None, norm=None):
    """`rfft` over the last of several dims and `fft` over the others."""
    return _r2c("rfftn", input, s, dim, norm, True)


@with_out
def irfftn(input, s=None, dim=None, norm=None):
    """The inverse of `rfftn`; the last size is 2 (m - 1) by default."""
    return _c2r("irfftn", input, s, dim, norm, False)


@with_out
def hfftn(input, s=None, dim=None, norm=None):
    """`hfft` over the last of several dims and `fft` over the others."""
    return _c2r("hfftn", input, s, dim, norm, True)


@with_out
def ihfftn(input, s=None, dim=None, norm=None):
    """The inverse of `hfftn`."""
    return _r2c("ihfftn", input, s, dim, norm, False)


def _over_two(function, name, doc):
    """A transform of several dims as one of two."""

    def over_two(input, s=None, dim=(-2, -1), norm=None, *, out=None):
        return function(input, s, dim, norm, out=out)

    over_two.__name__ = over_two.__qualname__ = name
    over_two.__doc__ = doc
    return over_two


fft2 = _over_two(fftn, "fft2", "`fftn` over two dims, the last ones by default.")
ifft2 = _over_two(ifftn, "ifft2", "`ifftn` over two dims, the last ones by default.")
rfft2 = _over_two(rfftn, "rfft2", "`rfftn` over two dims, the last ones by default.")
irfft2 = _over_two(irfftn, "irfft2", "`irfftn` over two dims, the last ones by default.")
hfft2 = _over_two(hfftn, "hfft2", "`hfftn` over two dims, the last ones by default.")
ihfft2 = _over_two(ihfftn, "ihfft2", "`ihfftn` over two dims, the last ones by default.")


# --- frequencies ----------------------------------------------------------------------------------
def _frequencies(count, divisor, out, dtype, device, requires_grad):
    made = (count.to(dtype or types.get_default_dtype()) / divisor).to(device=device)
    if out is not None:
        return out.copy_(made)
    return made.requires_grad_(requires_grad)


def fftfreq(n, d=1.0, *, out=None, dtype=None, layout=None, device=None, requires_grad=False,
            pin_memory=False):
    """The frequencies of `fft`'s elements for samples `d` apart: 0, 1, ..., -2, -1 over d n.

    >>> import cresset
    >>> cresset.fft.fftfreq(4)
    tensor([ 0.0000,  0.2500, -0.5000, -0.2500])
    """
    half = (n - 1) // 2 + 1
    places = arange(n)
    return _frequencies(places - places.ge(half) * n, n * d, out, dtype, device, requires_grad)


def rfftfreq(n, d=1.0, *, out=None, dtype=None, layout=None, device=None, requires_grad=False,
             pin_memory=False):
    """The frequencies of `rfft`'s elements for n samples `d` apart: 0, 1, ..., n // 2 over d n.

    >>> import cresset
    >>> cresset.fft.rfftfreq(4)
    tensor([0.0000, 0.2500, 0.5000])
    """
    return _frequencies(arange(n // 2 + 1), n * d, out, dtype, device, requires_grad)


def _rolled(name, x, dim, inverse):
    dims = range(x.layout.ndim) if dim is None else (dim,) if isinstance(dim, int) else dim
    dims = tuple(canonical_dim(name, d, x.layout.ndim) for d in dims)
    sizes = [x.layout.shape[d] for d in dims]
    return roll(x, tuple((n + 1) // 2 if inverse else n // 2 for n in sizes), dims)


def fftshift(input, dim=None, *, axes=None):
    """The elements with frequency 0 moved to the middle of dims (`axes`), all by default.

    >>> import cresset
    >>> cresset.fft.fftshift(cresset.fft.fftfreq(4))
    tensor([-0.5000, -0.2500,  0.0000,  0.2500])
    """
    return _rolled("fftshift", input, axes if dim is None else dim, False)


def ifftshift(input, dim=None, *, axes=None):
    """The inverse of `fftshift`."""
    return _rolled("ifftshift", input, axes if dim is None else dim, True)
