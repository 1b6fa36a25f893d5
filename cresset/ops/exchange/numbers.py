"""Exchange with Python: numbers and lists."""

from __future__ import annotations

import ctypes
from struct import Struct

from cresset.core import dtype as types
from cresset.core.tensor import Tensor

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
    if layout.absent:
        raise RuntimeError(
            "item: Tensor.item() cannot be called on meta tensors, nor on values that are captured;"
            " there is a shape and no element; compute on the cpu what depends on elements"
        )
    d = layout.dtype
    if d.is_complex:
        part = d.to_real()
        return complex(READ[part](x.ptr).value, READ[part](x.ptr + part.itemsize).value)
    if d in types.SMALL:
        return item(x.detach().float())
    return READ[d](x.ptr).value


def tolist(x):
    """The elements as nested lists of Python numbers; a number for a tensor without dims."""
    layout = x.layout
    if layout.absent:
        raise NotImplementedError(
            f"tolist: Cannot copy out of meta tensor; no data! It has the shape "
            f"{tuple(layout.shape)} alone; make the tensor on the cpu"
        )
    if not layout.ndim:
        return item(x)
    packed = x if layout.contiguous else x.detach().contiguous()
    d, count = layout.dtype, layout.numel
    if d in types.SMALL:
        return tolist(packed.float())
    if not count:
        return _empty_lists(layout.shape)
    # ctypes' letter of a type is that of `struct`.
    *outer, length = layout.shape
    if d.is_complex:
        row = Struct(f"{2 * length}{READERS[d.to_real()]._type_}")
    else:
        row = Struct(f"{length}{READERS[d]._type_}")
    rows: list = [list(r) for r in row.iter_unpack(ctypes.string_at(packed.ptr, layout.nbytes))]
    if d.is_complex:
        rows = [list(map(complex, r[::2], r[1::2])) for r in rows]
    for n in reversed(outer[1:]):
        rows = [rows[k : k + n] for k in range(0, len(rows), n)]
    return rows if outer else rows[0]


def _empty_lists(shape):
    if shape[0] == 0 or len(shape) == 1:
        return []
    return [_empty_lists(shape[1:]) for _ in range(shape[0])]


Tensor.item = item
Tensor.tolist = tolist
Tensor.__float__ = lambda x: float(_real_item("float", x))
Tensor.__int__ = lambda x: int(_real_item("int", x))
Tensor.__complex__ = lambda x: complex(_only_item("complex", x))
Tensor.__index__ = lambda x: _index(x)


def _only_item(operation, x):
    """The one element; ValueError unless there is exactly one, as Python's conversions have it."""
    if x.layout.numel != 1:
        raise ValueError(
            f"{operation}: only one element tensors can be converted to Python scalars; got shape "
            f"{tuple(x.layout.shape)}; index or reduce it to one element, or call tolist()"
        )
    return item(x)


def _real_item(operation, x):
    """The one element, if it has no imaginary part."""
    value = _only_item(operation, x)
    if type(value) is complex:
        if value.imag:
            raise RuntimeError(
                f"{operation}: value cannot be converted to type double without overflow; got "
                f"{value}; need a number without an imaginary part; take its .real or abs()"
            )
        return value.real
    return value


def _bool(x):
    if x.layout.numel != 1:
        raise RuntimeError(
            f"bool: Boolean value of Tensor with {x.layout.numel} values is ambiguous; use any() "
            "or all()"
        )
    return bool(item(x))


def _index(x):
    if x.layout.numel != 1 or x.layout.dtype.is_differentiable:
        raise TypeError(
            "index: only integer tensors of a single element can be converted to an index; got "
            f"{x.layout.dtype} of shape {tuple(x.layout.shape)}; call int() on a floating one"
        )
    return int(item(x))


Tensor.__bool__ = Tensor.__nonzero__ = _bool
Tensor.__long__ = Tensor.__int__
