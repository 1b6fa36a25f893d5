"""Complex numbers: their parts, conjugates and angles, and the views between pairs and numbers.

`conj()` computes: its result has memory of its own, and `is_conj()` is never true. Everything else
that shows a part of a complex tensor is a view of it.
"""

from __future__ import annotations

import math

from cresset.core import dtype as types
from cresset.core import scalar
from cresset.core.tensor import Tensor
from cresset.ops import dispatch
from cresset.ops.kinds import elementwise, view
from cresset.ops.operation import called, counted_as, method
from cresset.ops.shapes.broadcasting import broadcast_shapes
from cresset.ops.shapes.shape import expand, matrix_transpose, t

__all__ = ["adjoint", "angle", "complex", "conj", "conj_physical", "imag", "is_complex", "is_conj",
           "is_neg", "polar", "real", "resolve_conj", "resolve_neg", "sgn", "view_as_complex",
           "view_as_real"]


# --- views ----------------------------------------------------------------------------------------
def _part_strides(x):
    """The strides of a complex layout, counted in parts."""
    return [2 * s for s in x.strides]


@called("real")
@view
def real_part(x):
    """The real parts of a complex tensor, where they lie."""
    return x.shape, _part_strides(x), 0, x.dtype.to_real()


@real_part.gradient
def _real_gradient(g):
    return g.to(g.layout.dtype.to_complex())


@called("imag")
@view
def imaginary_part(x):
    """The imaginary parts of a complex tensor, where they lie."""
    return x.shape, _part_strides(x), 1, x.dtype.to_real()


@imaginary_part.gradient
def _imaginary_gradient(g):
    from cresset.ops.creation.tensors import zeros_like

    return complex(zeros_like(g), g)


def real(input):
    """The real parts as a view; a tensor that is not complex itself.

    >>> import cresset
    >>> cresset.real(cresset.tensor([1 + 2j, 3j]))
    tensor([1., 0.])
    """
    return real_part(input) if input.layout.dtype.is_complex else input


def imag(input):
    """The imaginary parts as a view.

    Raises RuntimeError unless the tensor is complex.

    >>> import cresset
    >>> cresset.imag(cresset.tensor([1 + 2j, 3j]))
    tensor([2., 3.])
    """
    if not input.layout.dtype.is_complex:
        raise RuntimeError(
            f"imag: imag is not implemented for tensors with non-complex dtypes; got "
            f"{input.layout.dtype}; need complex64 or complex128; a real number has no such part"
        )
    return imaginary_part(input)


def _set_real(x, value):
    real(x).copy_(value)


def _set_imag(x, value):
    imag(x).copy_(value)


Tensor.real = property(real, _set_real, doc=real.__doc__)
Tensor.imag = property(imag, _set_imag, doc=imag.__doc__)


@view
def view_as_real(x):
    """Complex numbers as pairs: a view with a last dim of size 2, real and imaginary part.

    >>> import cresset
    >>> cresset.view_as_real(cresset.tensor([1 + 2j, 3j]))
    tensor([[1., 2.],
            [0., 3.]])
    """
    if not x.dtype.is_complex:
        raise RuntimeError(
            f"view_as_real: view_as_real is only supported for complex tensors; got {x.dtype}"
        )
    return (*x.shape, 2), (*_part_strides(x), 1), 0, x.dtype.to_real()


@view
def view_as_complex(x):
    """Pairs as complex numbers: a view without the last dim, which has size 2 and stride 1.

    Raises RuntimeError where the tensor is not of float32 or float64, or lies so in memory that it
    holds no complex numbers.

    >>> import cresset
    >>> cresset.view_as_complex(cresset.tensor([[1.0, 2.0], [0.0, 3.0]]))
    tensor([1.+2.j, 0.+3.j])
    """
    if x.dtype not in (types.float32, types.float64):
        raise RuntimeError(
            "view_as_complex: view_as_complex is only supported for floating point tensors; got "
            f"{x.dtype}; need float32 or float64"
        )
    if not x.ndim or x.shape[-1] != 2:
        raise RuntimeError(
            "view_as_complex: Tensor must have a last dimension of size 2; got shape "
            f"{tuple(x.shape)}; need (..., 2): a real and an imaginary part"
        )
    if x.strides[-1] != 1 and x.numel:
        raise RuntimeError(
            "view_as_complex: Tensor must have a last dimension with stride 1; got strides "
            f"{tuple(x.strides)}; call contiguous() first"
        )
    if any(s % 2 for n, s in zip(x.shape[:-1], x.strides) if n > 1):
        raise RuntimeError(
            "view_as_complex: Tensor must have a stride divisible by 2 for all but last dimension; "
            f"got strides {tuple(x.strides)}; call contiguous() first"
        )
    return x.shape[:-1], [s // 2 for s in x.strides[:-1]], 0, x.dtype.to_complex()


@view_as_real.gradient
def _view_as_real_gradient(g):
    return view_as_complex(g.contiguous())


@view_as_complex.gradient
def _view_as_complex_gradient(g):
    return view_as_real(g)


Tensor.view_as_real = view_as_real
dispatch.namespace["view_as_real"] = view_as_real


# --- conjugates -----------------------------------------------------------------------------------
@method()
@elementwise
def conj_physical(x):
    """The complex conjugate; of real tensors a copy."""
    return scalar.conj(x)


def conj(input):
    """The complex conjugate; a tensor that is not complex itself.

    >>> import cresset
    >>> cresset.conj(cresset.tensor([1 + 2j]))
    tensor([1.-2.j])
    """
    return conj_physical(input) if input.layout.dtype.is_complex else input


def resolve_conj(input):
    """input itself: no tensor is a conjugate yet to be computed."""
    return input


def resolve_neg(input):
    """input itself: no tensor is a negative yet to be computed."""
    return input


def is_conj(input) -> bool:
    """Whether input is a conjugate yet to be computed: never."""
    return False


def is_neg(input) -> bool:
    """Whether input is a negative yet to be computed: never."""
    return False


def is_complex(input) -> bool:
    """Whether the element type is complex64 or complex128."""
    return input.layout.dtype.is_complex


for _function in (conj, resolve_conj, resolve_neg, is_conj, is_neg):
    setattr(Tensor, _function.__name__, _function)


def adjoint(input):
    """The conjugate of input with its last two dims exchanged.

    >>> import cresset
    >>> cresset.adjoint(cresset.tensor([[1j, 2.0]]))
    tensor([[0.-1.j],
            [2.-0.j]])
    """
    return conj(matrix_transpose(input))


def _hermitian(x):
    """The conjugate of a matrix, transposed."""
    if x.layout.ndim not in (0, 2):
        raise RuntimeError(
            "H: tensor.H is only supported on matrices (2-D tensors). Got "
            f"{x.layout.ndim}-D tensor; use mH for batches of matrices"
        )
    return conj(t(x))


Tensor.adjoint = adjoint
Tensor.mH = property(adjoint, doc=adjoint.__doc__)
Tensor.H = property(_hermitian, doc=_hermitian.__doc__)


# --- from parts, and from sizes and angles --------------------------------------------------------
def _check_parts(operation, x, y):
    if x.dtype not in (types.float32, types.float64) or y.dtype is not x.dtype:
        raise RuntimeError(
            f"{operation}: Expected both inputs to be Float or Double tensors of one type; "
            f"got {x.dtype} and {y.dtype}; convert one with .to(...)"
        )


@counted_as("complex")
def complex(real, imag, *, out=None):
    """The complex numbers real + imag * i; of float32 tensors complex64, of float64 complex128.

    Raises RuntimeError where the types differ or are not floating.

    >>> import cresset
    >>> cresset.complex(cresset.tensor([1.0, 2.0]), cresset.tensor([3.0, 4.0]))
    tensor([1.+3.j, 2.+4.j])
    """
    from cresset.ops.shapes.joining import stack

    _check_parts("complex", real.layout, imag.layout)
    shape = broadcast_shapes(real.layout.shape, imag.layout.shape)
    made = view_as_complex(stack((expand(real, shape), expand(imag, shape)), -1))
    return made if out is None else out.copy_(made)


@counted_as("polar")
def polar(abs, angle, *, out=None):
    """The complex numbers of given absolute values and angles in radians.

    Raises RuntimeError where the types differ or are not floating.

    >>> import cresset
    >>> cresset.polar(cresset.tensor([2.0]), cresset.tensor([0.0]))
    tensor([2.+0.j])
    """
    _check_parts("polar", abs.layout, angle.layout)
    return complex(abs * angle.cos(), abs * angle.sin(), out=out)


@called("angle")
@elementwise
def angle_of_complex(x):
    """The angle of complex numbers in radians, between -pi and pi."""
    return scalar.angle(x)


@called("angle")
@elementwise(promote="float")
def angle_of_real(x):
    """0 for a real number, pi for a negative one."""
    turned = scalar.where(x < 0.0, math.pi, scalar.constant(0.0, x.dtype))
    return scalar.where(scalar.isnan(x), x, turned)


@angle_of_real.gradient
def _angle_of_real_gradient(g):
    return scalar.constant(0.0, g.dtype)


@method()
@elementwise
def sgn(x):
    """x / abs(x), zero at zero: the direction of a complex number, the sign of a real one.

    >>> import cresset
    >>> cresset.sgn(cresset.tensor([3 + 4j, 0]))
    tensor([0.6000+0.8000j, 0.0000+0.0000j])
    """
    return scalar.sign(x)


def angle(input, *, out=None):
    """The angle in radians from the positive axis, between -pi and pi; of real tensors 0 or pi.

    >>> import cresset
    >>> cresset.angle(cresset.tensor([1j, -1.0]))
    tensor([1.5708, 3.1416])
    """
    kind = angle_of_complex if input.layout.dtype.is_complex else angle_of_real
    return kind(input, out=out)


Tensor.angle = angle
