"""Exchange with Python and NumPy: numbers, lists, arrays."""

from __future__ import annotations

import ctypes
import struct

from cresset.core import dtype as types
from cresset.core.dtype import FROM_NUMPY
from cresset.core.layout import Layout
from cresset.core.tensor import Tensor
from cresset.runtime import native

__all__ = ["from_numpy"]

FORMATS = {
    types.bool: "?", types.uint8: "B", types.uint16: "H", types.uint32: "I", types.uint64: "Q",
    types.int8: "b", types.int16: "h", types.int32: "i", types.int64: "q", types.float32: "f",
    types.float64: "d", types.float16: "e",
}
READERS = {
    types.float32: ctypes.c_float, types.float64: ctypes.c_double, types.int64: ctypes.c_int64,
    types.int32: ctypes.c_int32, types.int16: ctypes.c_int16, types.int8: ctypes.c_int8,
    types.uint8: ctypes.c_uint8, types.uint16: ctypes.c_uint16, types.uint32: ctypes.c_uint32,
    types.uint64: ctypes.c_uint64, types.bool: ctypes.c_bool,
}
# One function per type that reads an element at an address.
READ = {d: kind.from_address for d, kind in READERS.items()}


def item(x):
    """The tensor's one element as a Python number.

    Raises RuntimeError unless there is exactly one.

    >>> import cresset
    >>> cresset.tensor([2.5]).item()
    2.5
    """
    layout = x.layout
    if layout.numel != 1:
        raise RuntimeError(
            f"item: a Tensor with {layout.numel} elements cannot be converted to Scalar; got shape "
            f"{tuple(layout.shape)}; index or reduce it to one element"
        )
    return READ[layout.dtype](x.ptr).value


def tolist(x):
    """The elements as nested lists of Python numbers; a number for a tensor without dims."""
    layout = x.layout
    if not layout.ndim:
        return item(x)
    packed = x.detach().contiguous()
    count = layout.numel
    memory = ctypes.string_at(packed.ptr, layout.nbytes) if count else b""
    flat = list(struct.unpack(f"<{count}{FORMATS[layout.dtype]}", memory))
    for n in reversed(layout.shape[1:]):
        flat = [flat[k : k + n] for k in range(0, len(flat), n)] if n else [[]] * len(flat)
    if 0 in layout.shape:
        return _empty_lists(layout.shape)
    return flat


def _empty_lists(shape):
    if shape[0] == 0 or len(shape) == 1:
        return []
    return [_empty_lists(shape[1:]) for _ in range(shape[0])]


def numpy(x, *, force=False):
    """The tensor as a NumPy array over the same memory.

    Raises RuntimeError where gradients are required, unless `force`.

    >>> import cresset
    >>> cresset.arange(3).numpy()
    array([0, 1, 2])
    """
    import numpy

    if x.requires_grad and not force:
        raise RuntimeError(
            "numpy: can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() "
            "instead."
        )
    layout = x.layout
    if layout.dtype.numpy_name is None:
        raise TypeError(f"numpy: NumPy has no type for {layout.dtype}; convert with .float()")
    if not layout.numel:
        return numpy.empty(layout.shape, layout.dtype.numpy)
    reach = layout.reach() * layout.dtype.itemsize
    memory = (ctypes.c_char * reach).from_address(x.ptr)
    # The array holds the ctypes object, which holds the storage and so the memory.
    memory.storage = x.storage
    flat = numpy.frombuffer(memory, layout.dtype.numpy)
    strides = [s * layout.dtype.itemsize for s in layout.strides]
    return numpy.lib.stride_tricks.as_strided(flat, layout.shape, strides)


def from_array(array) -> Tensor:
    """A tensor over the memory of anything with NumPy's array interface."""
    import numpy

    array = numpy.asarray(array)
    d = FROM_NUMPY.get(array.dtype.name)
    if d is None or d not in types.COMPUTED:
        raise TypeError(
            f"from_numpy: can't convert np.ndarray of type {array.dtype}; the supported types are "
            f"{', '.join(t.name for t in types.COMPUTED)}"
        )
    size = array.dtype.itemsize
    if not array.dtype.isnative or any(s < 0 or s % size for s in array.strides) or (
        not array.flags.writeable
    ):
        array = numpy.array(array, d.numpy, order="C")
    layout = Layout.of(array.shape, tuple(s // size for s in array.strides), d)
    nbytes = layout.reach() * size
    return native.adopt(layout, array.__array_interface__["data"][0], nbytes, array)


def from_numpy(array) -> Tensor:
    """A tensor over the memory of a NumPy array: a write to either is seen by both.

    >>> import numpy, cresset
    >>> a = numpy.zeros(2)
    >>> cresset.from_numpy(a)[0] = 1.0
    >>> a
    array([1., 0.])
    """
    if not hasattr(array, "__array_interface__"):
        raise TypeError(f"from_numpy: expected np.ndarray (got {type(array).__name__})")
    return from_array(array)


def _array(x, dtype=None, copy=None):
    found = numpy(x)
    if dtype is not None and found.dtype != dtype:
        return found.astype(dtype)
    return found.copy() if copy else found



Tensor.item = item
Tensor.tolist = tolist
Tensor.numpy = numpy
Tensor.__array__ = _array
# Numbers on the left of an operator leave it to the tensor, NumPy's included.
Tensor.__array_priority__ = 1000
Tensor.__float__ = lambda x: float(item(x))
Tensor.__int__ = lambda x: int(item(x))
Tensor.__index__ = lambda x: _index(x)


def _bool(x):
    if x.layout.numel != 1:
        raise RuntimeError(
            f"bool: Boolean value of Tensor with {x.layout.numel} values is ambiguous; use any() "
            "or all()"
        )
    return bool(item(x))


def _index(x):
    if x.layout.numel != 1 or x.layout.dtype.is_floating_point:
        raise TypeError("only integer tensors of a single element can be converted to an index")
    return int(item(x))


Tensor.__bool__ = _bool


def _deepcopy(x, memo):
    """A copy of the elements; gradients and requires_grad come along, history does not."""
    found = memo.get(id(x))
    if found is not None:
        return found
    if x.grad_fn is not None:
        raise RuntimeError(
            "deepcopy: only Tensors created explicitly by the user (graph leaves) support the "
            "deepcopy protocol at the moment; detach() it first"
        )
    out = type(x)._make_subclass(type(x), x.detach().clone(), x.requires_grad)
    memo[id(x)] = out
    if x.grad is not None:
        out.grad = _deepcopy(x.grad, memo)
    return out


def _reduce(x, protocol):
    """Pickled as its elements: bytes, type and shape."""
    packed = x.detach().contiguous()
    content = ctypes.string_at(packed.ptr, packed.layout.nbytes) if packed.layout.numel else b""
    return _rebuilt, (content, x.layout.dtype, tuple(x.layout.shape), x.requires_grad)


def _rebuilt(content, d, shape, requires_grad):
    memory = ctypes.create_string_buffer(content, max(len(content), 1))
    x = native.adopt(Layout.packed(shape, d), ctypes.addressof(memory), len(content), memory)
    return x.clone().requires_grad_(requires_grad)


Tensor.__deepcopy__ = _deepcopy
Tensor.__reduce_ex__ = _reduce  # type: ignore[method-assign]
