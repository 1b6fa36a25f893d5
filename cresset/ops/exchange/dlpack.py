"""Exchange by DLPack, both ways and without a copy, with every library that speaks it."""

from __future__ import annotations

from cresset.core import dtype as types
from cresset.core.layout import Layout, contiguous_strides
from cresset.core.tensor import Tensor
from cresset.ops.exchange.arrays import forbid_writes
from cresset.ops.memory.conversion import clone
from cresset.runtime import dlpack, native

__all__ = ["from_dlpack"]

# Families of types, as DLPack numbers them.
INTEGER, UNSIGNED, FLOAT, BFLOAT, COMPLEX, BOOL = 0, 1, 2, 4, 5, 6
FLOATS_OF_8_BITS = {
    10: "float8_e4m3fn", 11: "float8_e4m3fnuz", 12: "float8_e5m2", 13: "float8_e5m2fnuz",
}


def _code_of(d: types.dtype) -> tuple[int, int]:
    """(family, bits) of an element type."""
    bits = 8 * d.itemsize
    if d is types.bool:
        return BOOL, bits
    if d is types.bfloat16:
        return BFLOAT, bits
    for family, name in FLOATS_OF_8_BITS.items():
        if d.name == name:
            return family, bits
    if d.category == types.dtype.INTEGER:
        return (INTEGER if d.is_signed else UNSIGNED), bits
    return (COMPLEX if d.is_complex else FLOAT), bits


CODES = {d: _code_of(d) for d in types.ALL}
TYPES = {code: d for d, code in CODES.items()}


def _dlpack_device(x):
    """(kind, number) of the device in DLPack's numbers: (1, 0), the processor.

    Raises ValueError for a meta tensor.
    """
    if x.layout.absent:
        raise ValueError("__dlpack_device__: Unknown device type meta for Dlpack; it has no data")
    return dlpack.CPU, 0


def _dlpack(x, *, stream=None, max_version=None, dl_device=None, copy=None):
    """A capsule with the tensor, for the `from_dlpack` of any library: the memory is shared.

    `max_version` is the version that the taker knows; without one, or below (1, 0), the capsule is
    of the old kind. `copy` True gives a copy. The memory lives until the taker is done with it.

    Raises BufferError for tensors that require gradients, have no data, or are asked for on another
    device.
    """
    if x.requires_grad:
        raise BufferError(
            "__dlpack__: Can't export tensors that require gradient, use tensor.detach()"
        )
    if x.layout.absent:
        raise BufferError("__dlpack__: Cannot pack tensors on meta; they have no data")
    if stream is not None and stream != -1:
        raise AssertionError(f"__dlpack__: stream should be None on cpu; got {stream!r}")
    if dl_device is not None and tuple(dl_device) != (dlpack.CPU, 0):
        raise BufferError(
            f"__dlpack__: got dl_device={tuple(dl_device)}; need (1, 0), the processor, which is "
            "all there is"
        )
    flags = 0
    if copy:
        x, flags = clone(x), dlpack.COPIED
    if x.memory.version is None:
        flags |= dlpack.READ_ONLY
    layout = x.layout
    versioned = max_version is not None and tuple(max_version) >= dlpack.VERSION
    return dlpack.capsule(
        x.ptr, layout.shape, layout.strides, CODES[layout.dtype], x.memory.owner, versioned, flags
    )


def from_dlpack(ext_tensor, *, device=None, copy=None) -> Tensor:
    """A tensor over the memory of another library's, or over that in a DLPack capsule.

    What is taken is kept until no tensor uses it. `copy` True takes a copy; `device` may be the
    cpu alone.

    Raises BufferError for memory on another device, TypeError for what speaks no DLPack or has
    elements that tensors do not have, ValueError for negative strides and for capsules that were
    taken before.

    >>> import numpy, cresset
    >>> a = numpy.zeros(2)
    >>> cresset.from_dlpack(a)[0] = 1.0
    >>> a
    array([1., 0.])
    """
    if device is not None and str(device).partition(":")[0] != "cpu":
        raise BufferError(f"from_dlpack: there is no device {str(device)!r} here; need 'cpu'")
    thing = ext_tensor
    if hasattr(ext_tensor, "__dlpack__"):
        kind, number = ext_tensor.__dlpack_device__()
        if kind != dlpack.CPU:
            raise BufferError(
                f"from_dlpack: the memory is on device ({int(kind)}, {number}); need (1, 0), the "
                "processor; copy it there first"
            )
        try:
            thing = ext_tensor.__dlpack__(max_version=dlpack.VERSION)
        except TypeError:
            # Libraries from before the standard's version 2023.12 know no such argument.
            thing = ext_tensor.__dlpack__()
    elif type(ext_tensor).__name__ != "PyCapsule":
        raise RuntimeError(
            f"from_dlpack: received what is no capsule; got {type(ext_tensor).__name__}; need an "
            "array or tensor with __dlpack__, or a DLPack capsule"
        )
    x = _taken(thing)
    return clone(x) if copy else x


def _taken(capsule) -> Tensor:
    """The tensor of a capsule. A capsule that is refused stays as it was."""
    if not dlpack.is_capsule(capsule):
        raise ValueError(
            "from_dlpack: the capsule holds no tensor; one can be taken from a capsule only once"
        )
    managed, tensor, flags = dlpack.look(capsule)
    version = getattr(managed, "major", dlpack.VERSION[0])
    if version != dlpack.VERSION[0]:
        raise BufferError(
            f"from_dlpack: the capsule is of DLPack's version {version}; need version 1; ask for "
            "it with max_version=(1, 0)"
        )
    if tensor.device.kind != dlpack.CPU:
        raise BufferError(
            f"from_dlpack: the memory is on device ({tensor.device.kind}, {tensor.device.number}); "
            "need (1, 0), the processor"
        )
    code = tensor.dtype.code, tensor.dtype.bits
    if tensor.dtype.lanes != 1 or code not in TYPES:
        raise TypeError(
            f"from_dlpack: elements of DLPack's family {code[0]} with {code[1]} bits and "
            f"{tensor.dtype.lanes} lanes have no tensor type; convert them first"
        )
    shape = tuple(tensor.shape[: tensor.ndim]) if tensor.ndim else ()
    strides = contiguous_strides(shape)
    if tensor.strides and 0 not in shape:
        given = tensor.strides[: tensor.ndim]
        # The stride of a dim of size 1 is never used.
        strides = tuple(s if n == 1 else g for n, s, g in zip(shape, strides, given))
    if any(s < 0 for s in strides):
        raise ValueError(
            f"from_dlpack: negative strides are not supported; got {strides}; make a copy first"
        )
    layout = Layout.of(shape, strides, TYPES[code])
    address = (tensor.data or 0) + tensor.byte_offset
    owner = dlpack.take(capsule, managed)
    x = native.adopt(layout, address, layout.reach() * layout.dtype.itemsize, owner)
    if flags & dlpack.READ_ONLY:
        forbid_writes("DLPack tensor", x)
    return x


Tensor.__dlpack__ = _dlpack
Tensor.__dlpack_device__ = _dlpack_device
