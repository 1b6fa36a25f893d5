"""Exchange with NumPy and with buffers, without a copy: either side sees what the other writes.

Each side keeps the memory alive: an array made of a tensor holds what owns the tensor's memory, a
tensor made of an array holds the array.
"""

from __future__ import annotations

import ctypes
import importlib
import warnings
from functools import cache, lru_cache

from cresset.core import dtype as types
from cresset.core.dtype import dtype as DType
from cresset.core.layout import Layout
from cresset.core.storage import Loan
from cresset.core.tensor import Tensor
from cresset.runtime import native

__all__ = ["from_numpy", "frombuffer"]

# NumPy calls its own types and those of `ml_dtypes` by the names that PyTorch has for them.
NAMED = {d.name: d for d in types.ALL}
ARRAYS = "__array_interface__", "__array__"


@cache
def array_type(d: DType):
    """NumPy's type of the same elements, or that of `ml_dtypes`; None where there is neither."""
    if d.numpy is not None:
        return d.numpy
    try:
        extended = importlib.import_module("ml_dtypes")
    except ImportError:
        return None
    import numpy

    found = getattr(extended, d.name, None)
    return None if found is None else numpy.dtype(found)


@lru_cache(1024)
def _bytes(count: int):
    """ctypes' type of so many bytes, which takes longer to make than an array over them."""
    return ctypes.c_char * count


def exposed(x: Tensor):
    """The bytes from x's first element to its last, as a ctypes array that keeps the memory."""
    layout = x.layout
    nbytes = layout.nbytes if layout.contiguous else layout.reach() * layout.dtype.itemsize
    memory = _bytes(nbytes).from_address(x.ptr)
    memory.loan = Loan(x.memory.owner)
    return memory


# --- to NumPy -------------------------------------------------------------------------------------
def _type_of_array(x: Tensor):
    """The type of x as an array; raises where x cannot be one."""
    layout = x.layout
    if layout.absent:
        raise TypeError(
            "numpy: can't convert meta device type tensor to numpy; it has a shape and no data; "
            "make it on the cpu"
        )
    if x.history is not None and x.requires_grad:
        raise RuntimeError(
            "numpy: Can't call numpy() on Tensor that requires grad; an array has no gradient; use "
            "tensor.detach().numpy() instead"
        )
    found = array_type(layout.dtype)
    if found is None:
        raise TypeError(
            f"numpy: got unsupported ScalarType {layout.dtype.name}, which NumPy does not have; "
            "convert with .float(), or install ml_dtypes"
        )
    return found


def numpy(x, *, force=False):
    """The tensor as a NumPy array over the same memory.

    bfloat16 and the float8 types become those of `ml_dtypes`, where that is installed. With `force`
    a tensor that requires gradients is detached first.

    Raises RuntimeError where gradients are required, TypeError for meta tensors and for types that
    NumPy has no counterpart of.

    >>> import cresset
    >>> cresset.arange(3).numpy()
    array([0, 1, 2])
    """
    import numpy

    kind = _type_of_array(x.detach() if force else x)
    layout, strides = x.layout, None
    if not layout.contiguous:
        strides = [s * layout.dtype.itemsize for s in layout.strides]
    memory = exposed(x) if layout.numel else bytearray()
    array = numpy.ndarray(layout.shape, kind, memory, 0, strides)
    if x.memory.version is None:
        array.flags.writeable = False
    return array


def _array(x, dtype=None, copy=None):
    """What `numpy.asarray(x)` calls: the array over x, converted or copied where that is asked for.

    Raises ValueError where `copy` is False and a conversion takes a copy.
    """
    found = numpy(x)
    if dtype is not None and found.dtype != dtype:
        if copy is False:
            raise ValueError(
                f"__array__: Unable to avoid copy: got copy=False and a tensor of {x.layout.dtype} "
                f"to convert to {dtype}"
            )
        return found.astype(dtype)
    return found.copy() if copy else found


def _array_interface(x):
    """NumPy's array interface, version 3; its data is a buffer that keeps the memory alive."""
    layout = x.layout
    return {
        "version": 3,
        "shape": tuple(layout.shape),
        "typestr": _type_of_array(x).str,
        "data": exposed(x) if layout.numel else bytearray(),
        "strides": tuple(s * layout.dtype.itemsize for s in layout.strides),
    }


# What a consumer of a buffer may ask for, by the bits of CPython's PyBUF_*.
_WRITABLE, _STRIDES, _C_ORDER, _FORTRAN_ORDER, _ANY_ORDER = 0x1, 0x10, 0x20, 0x40, 0x80


def _buffer(x, flags):
    """The elements as a memoryview over the same memory, PEP 688; from Python 3.12 on every
    consumer of buffers calls it.

    Raises BufferError where `flags` ask for what does not hold (memory that may be written to,
    elements that follow one another) and for types that buffers have no format of; else what
    `numpy` raises.

    >>> import cresset
    >>> cresset.arange(3, dtype=cresset.uint8).__buffer__(0).tobytes()
    b'\\x00\\x01\\x02'
    """
    try:
        view = memoryview(numpy(x))
    except ValueError:
        raise BufferError(
            f"__buffer__: buffers have no format for elements of {x.layout.dtype}; convert with "
            ".float(), or see the bits with .view(dtype)"
        ) from None
    for asked, holds, need in (
        (flags & _WRITABLE, not view.readonly, "memory that may be written to"),
        (flags & _C_ORDER or not flags & _STRIDES, view.c_contiguous, "contiguous elements"),
        (flags & _FORTRAN_ORDER, view.f_contiguous, "elements in Fortran's order"),
        (flags & _ANY_ORDER, view.contiguous, "elements without gaps"),
    ):
        if asked and not holds:
            raise BufferError(
                f"__buffer__: the consumer needs {need}; got shape {tuple(x.layout.shape)} and "
                f"strides {tuple(x.layout.strides)}{' to be read' * view.readonly}; hand it a "
                "clone(memory_format=cresset.contiguous_format)"
            )
    return view


def _array_wrap(x, array, context=None, return_scalar=False):
    """What NumPy's functions of tensors return: tensors, and uint8 for truth, as in PyTorch."""
    import numpy

    return from_numpy(numpy.asarray(array, numpy.uint8 if array.dtype == bool else None))


Tensor.numpy = numpy
Tensor.__array__ = _array
Tensor.__array_interface__ = property(_array_interface, doc=_array_interface.__doc__)
Tensor.__buffer__ = _buffer
Tensor.__array_wrap__ = _array_wrap
# Numbers on the left of an operator leave it to the tensor, NumPy's included.
Tensor.__array_priority__ = 1000


# --- from NumPy -----------------------------------------------------------------------------------
def from_array(array, copied=False) -> Tensor:
    """A tensor over the memory of a NumPy array; no warning is needed if it will be `copied`."""
    layout, nbytes = _layout_of(array.dtype, array.shape, array.strides)
    ptr = array.__array_interface__["data"][0]
    x = native.adopt(layout, ptr, nbytes, array)
    if not array.flags.writeable:
        forbid_writes("NumPy array", x, warned=not copied)
    return x


@lru_cache(4096)
def _layout_of(kind, shape, strides) -> tuple[Layout, int]:
    """The layout of an array and the bytes that it reaches over; raises where it can have none."""
    d = NAMED.get(kind.name)
    if d is None:
        raise TypeError(
            f"from_numpy: can't convert np.ndarray of type {kind}; need one of "
            f"{', '.join(t.name for t in types.ALL)}; convert it with astype()"
        )
    if not kind.isnative:
        raise ValueError(
            "from_numpy: the array has byte order different from the native byte order; convert it "
            "with astype(array.dtype.newbyteorder('='))"
        )
    size = kind.itemsize
    if any(s < 0 for s in strides):
        raise ValueError(
            f"from_numpy: At least one stride in the given numpy array is negative; got strides "
            f"{strides}; tensors count forward; make a copy of it with array.copy()"
        )
    if any(s % size for s in strides):
        raise ValueError(
            f"from_numpy: the array's strides are not a multiple of the element byte size; got "
            f"{strides} for elements of {size} bytes; make a copy of it with array.copy()"
        )
    layout = Layout.of(shape, tuple(s // size for s in strides), d)
    return layout, layout.reach() * size


def forbid_writes(what: str, x: Tensor, warned: bool = True) -> None:
    """Have writes to the tensor raise: its memory may be protected, and is not its own."""
    x.memory.version = None
    if warned:
        warnings.warn(
            f"The given {what} is not writable: it can be read as a tensor, and writing to the "
            "tensor raises an error; copy it first if it is to be written",
            UserWarning,
            stacklevel=4,
        )


def from_numpy(array) -> Tensor:
    """A tensor over the memory of a NumPy array: a write to either is seen by both.

    An array that must not be written to is taken with a warning; where PyTorch's tensor would write
    to it nevertheless, ours raises RuntimeError. Raises TypeError for what is no
    array or has elements that tensors do not have, ValueError for strides that are negative or
    lead between elements, and for a foreign byte order.

    >>> import numpy, cresset
    >>> a = numpy.zeros(2)
    >>> cresset.from_numpy(a)[0] = 1.0
    >>> a
    array([1., 0.])
    """
    import numpy

    if not isinstance(array, numpy.ndarray):
        raise TypeError(
            f"from_numpy: expected np.ndarray (got {type(array).__name__}); use as_tensor() for "
            "numbers and lists"
        )
    return from_array(array)


def is_array(data) -> bool:
    """Whether the data is an array or number of NumPy's, or stands for one."""
    # Asked of the type first: an array makes its interface anew for each who asks for it.
    return any(hasattr(thing, name) for thing in (type(data), data) for name in ARRAYS)


def array_of(data, copied=False) -> Tensor:
    """A tensor over the memory of what `is_array`; of a number, over that of a copy."""
    import numpy

    if isinstance(data, numpy.generic):
        data = numpy.array(data)
    return from_array(numpy.asarray(data), copied)


# --- from buffers ---------------------------------------------------------------------------------
def frombuffer(buffer, *, dtype, count=-1, offset=0, requires_grad=False) -> Tensor:
    """A tensor of one dim over the memory of an object with the buffer protocol.

    `offset` counts bytes, `count` elements; a negative count takes all that follow. The buffer is
    kept, and locked where it could otherwise change its size.

    Raises ValueError where the object has no buffer, or elements would lie outside of it.

    >>> import cresset
    >>> cresset.frombuffer(bytearray(b"abc"), dtype=cresset.uint8)
    tensor([97, 98, 99], dtype=torch.uint8)
    """
    try:
        view = memoryview(buffer)
    except TypeError:
        raise ValueError(
            f"frombuffer: object does not implement Python buffer protocol; got "
            f"{type(buffer).__name__}; need bytes, a bytearray, an array or a memoryview"
        ) from None
    if not view.c_contiguous:
        raise ValueError("frombuffer: the buffer's bytes do not follow one another; copy it first")
    size, length = dtype.itemsize, view.nbytes
    if not length or not count:
        raise ValueError(
            f"frombuffer: both buffer length ({length}) and count ({count}) must not be 0"
        )
    if not 0 <= offset < length:
        raise ValueError(
            f"frombuffer: offset ({offset} bytes) must be non-negative and no greater than buffer "
            f"length ({length} bytes) minus 1"
        )
    if count < 0:
        if (length - offset) % size:
            raise ValueError(
                f"frombuffer: buffer length ({length} bytes) after offset ({offset} bytes) must be "
                f"a multiple of element size ({size}); state a count"
            )
        count = (length - offset) // size
    if offset + count * size > length:
        raise ValueError(
            f"frombuffer: requested buffer length ({count} * {size} bytes) after offset ({offset} "
            f"bytes) must not be greater than actual buffer length ({length} bytes)"
        )
    import numpy

    # NumPy takes the buffer's address and keeps it locked.
    memory = numpy.frombuffer(view, numpy.uint8)
    x = native.adopt(
        Layout.packed((count,), dtype), memory.ctypes.data + offset, count * size, memory
    )
    if view.readonly:
        forbid_writes("buffer", x)
    return x.requires_grad_(requires_grad)
