"""What operations on matrices share: checks of shapes and types, layouts, adjoints, failures."""

from __future__ import annotations

from cresset.core import dtype as types
from cresset.core.dtype import dtype
from cresset.core.errors import LinAlgError
from cresset.core.layout import Layout, broadcast_shapes
from cresset.core.tensor import Tensor
from cresset.ops.creation.counted import eye
from cresset.ops.kinds.hosted import np

# What LAPACK computes in.
LAPACK_TYPES = (types.float32, types.float64, types.complex64, types.complex128)


def check_floating(name: str, x: Layout):
    """RuntimeError unless the elements are floating or complex numbers."""
    if x.dtype.category < dtype.FLOAT:
        raise RuntimeError(
            f"{name}: Expected a floating point or complex tensor as input. Got {x.dtype}; "
            "convert it with .to(cresset.float32)"
        )


def check_type(name: str, x: Layout):
    """RuntimeError unless the elements are of a type that LAPACK computes in."""
    check_floating(name, x)
    if x.dtype not in LAPACK_TYPES:
        raise NotImplementedError(
            f"{name}: Low precision dtypes not supported. Got {x.dtype}; "
            "convert it with .to(cresset.float32)"
        )


def matrix(name: str, a: Layout, letter: str = "A") -> Layout:
    """The layout itself, if it is one of matrices that can be computed with."""
    if a.ndim < 2:
        raise RuntimeError(
            f"{name}: The input tensor {letter} must have at least 2 dimensions; got shape "
            f"{tuple(a.shape)}; need (..., rows, columns)"
        )
    check_type(name, a)
    return a


def square(name: str, a: Layout, letter: str = "A") -> Layout:
    """The packed layout of square matrices of the same sizes."""
    matrix(name, a, letter)
    if a.shape[-2] != a.shape[-1]:
        raise RuntimeError(
            f"{name}: {letter} must be batches of square matrices, but they are {a.shape[-2]} by "
            f"{a.shape[-1]} matrices; got shape {tuple(a.shape)}; need (..., n, n)"
        )
    return packed(a, *a.shape[-2:])


def packed(a: Layout, *sizes: int, dtype: dtype | None = None) -> Layout:
    """The packed layout of results of these sizes, one for each of a's matrices."""
    return Layout.packed((*a.shape[:-2], *sizes), dtype or a.dtype)


def same_type(name: str, a: Layout, b: Layout, letters: tuple[str, str] = ("A", "B")):
    if a.dtype is not b.dtype:
        raise RuntimeError(
            f"{name}: Expected {letters[0]} and {letters[1]} to have the same dtype, but found "
            f"{letters[0]} of type {a.dtype} and {letters[1]} of type {b.dtype}; convert one with "
            ".to(...)"
        )


def common_batch(name: str, a: Layout, b: Layout) -> tuple:
    """The dims that the batches of two layouts of matrices broadcast to."""
    try:
        return broadcast_shapes(a.shape[:-2], b.shape[:-2])
    except ValueError as problem:
        raise RuntimeError(
            f"{name}: the batch dims {tuple(a.shape[:-2])} and {tuple(b.shape[:-2])} do not "
            f"broadcast; {problem}; need equal sizes or 1"
        ) from None


def real_part(x: Tensor) -> Tensor:
    return x.real if x.layout.dtype.is_complex else x


def eye_of(n: int, x: Tensor) -> Tensor:
    """The identity of n rows, of x's type."""
    return eye(n, dtype=x.layout.dtype, device=x.layout.device)


def fail(name: str, info, message: str):
    """LinAlgError with the first entry of a batch whose `info` is not zero, which `{}` stands for.

    Does nothing where all went well.
    """
    if not info.any():
        return
    flat = np.reshape(info, -1)
    first = int(np.flatnonzero(flat)[0])
    fail_at(name, first if np.ndim(info) else None, int(flat[first]), message)


def fail_at(name: str, place: int | None, info: int, message: str):
    """LinAlgError with the info of one matrix, that at a place in a batch."""
    batch = "" if place is None else f"(Batch element {place}): "
    raise LinAlgError(f"{name}: {batch}{message.format(info)}")
