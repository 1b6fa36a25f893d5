"""Storages of a checkpoint: the memory under tensors, each stretch of it once."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

import numpy

import cresset
from cresset import Tensor
from cresset.serialization.archive import ALIGNMENT, Archive

# Bytes of the widest element.
WIDEST = 16
DTYPES = (
    "bool",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "int8",
    "int16",
    "int32",
    "int64",
    "float8_e4m3fn",
    "float8_e4m3fnuz",
    "float8_e5m2",
    "float8_e5m2fnuz",
    "float16",
    "bfloat16",
    "float32",
    "float64",
    "complex64",
    "complex128",
)


def dtype_name(dtype: Any) -> str:
    """A dtype's name without its module: "float32"."""
    return str(dtype).rpartition(".")[2]


def dtype_named(name: Any) -> Any:
    """The dtype of a name. Raises RuntimeError for names of no dtype."""
    if name not in DTYPES:
        raise RuntimeError(f"load: {name!r} is no element type; need one of {', '.join(DTYPES)}")
    return getattr(cresset, name)


def memory_of(address: int, size: int) -> memoryview:
    """`size` bytes of memory, to read and to write, while whoever owns them lives."""
    if size == 0:
        return memoryview(bytearray())
    return memoryview((ctypes.c_char * size).from_address(address)).cast("B")


def reach(shape: Sequence[int], strides: Sequence[int]) -> int:
    """Elements from the first to one past the last that a tensor touches.

    >>> reach((2, 3), (10, 1))
    13
    """
    if 0 in shape:
        return 0
    return 1 + sum((size - 1) * stride for size, stride in zip(shape, strides))


class StorageWriter:
    """Gathers the memory under tensors: tensors over one storage get one number.

    Only the stretch of a storage that its tensors reach is kept, so a small view of a large tensor
    makes a small file.
    """

    def __init__(self) -> None:
        # Address of a storage -> its number; the tensors are kept so that addresses stay theirs.
        self._numbers: dict[int, int] = {}
        self._stretches: list[tuple[int, int]] = []
        self._records: list[tuple[int, int, dict[str, Any]]] = []
        self._kept: list[Any] = []

    def add(self, tensor: Tensor) -> dict[str, Any]:
        """The record of a tensor; its "offset" is right once all tensors have been added."""
        tensor = tensor.detach()
        if tensor.device.type != "cpu":
            tensor = tensor.cpu()
        itemsize = tensor.element_size()
        strides = tuple(tensor.stride())
        size = reach(tensor.shape, strides) * itemsize
        start = tensor.data_ptr()
        base = start - tensor.storage_offset() * itemsize
        number = self._add_stretch(base, start, size) if size else self._add_empty()
        self._kept.append(tensor)
        record = {
            "storage": number,
            "dtype": dtype_name(tensor.dtype),
            "shape": list(tensor.shape),
            "strides": list(strides),
            "offset": 0,
        }
        self._records.append((start if size else 0, itemsize, record))
        return record

    def add_array(self, array: numpy.ndarray) -> int:
        """The number of a storage with the elements of an array, in row order."""
        array = numpy.ascontiguousarray(array)
        self._kept.append(array)
        self._stretches.append((array.ctypes.data, array.ctypes.data + array.nbytes))
        return len(self._stretches) - 1

    def add_bytes(self, content: bytes) -> int:
        """The number of a storage with these bytes."""
        return self.add_array(numpy.frombuffer(content, numpy.uint8))

    def add_storage(self, storage: Any) -> int:
        """The number of a storage that is kept as a whole."""
        self._kept.append(storage)
        self._stretches.append((storage.ptr, storage.ptr + storage.nbytes))
        return len(self._stretches) - 1

    def _add_stretch(self, base: int, start: int, size: int) -> int:
        # Stretches begin at a multiple of the widest element, so that all elements stay aligned.
        end = start + size
        start -= (start - base) % WIDEST
        number = self._numbers.setdefault(base, len(self._stretches))
        if number == len(self._stretches):
            self._stretches.append((start, end))
        first, last = self._stretches[number]
        self._stretches[number] = (min(first, start), max(last, end))
        return number

    def _add_empty(self) -> int:
        self._stretches.append((0, 0))
        return len(self._stretches) - 1

    def parts(self) -> list[memoryview]:
        """The bytes of each storage; records are complete from here on."""
        for start, itemsize, record in self._records:
            record["offset"] = (start - self._stretches[record["storage"]][0]) // itemsize
        return [memory_of(first, last - first) for first, last in self._stretches]


class StorageReader:
    """Makes tensors over the storages of an archive, each read when the first tensor needs it."""

    def __init__(self, archive: Archive, names: Sequence[str], map_location: Any) -> None:
        self._archive = archive
        self._names = names
        self._map_location = map_location
        self._bases: dict[int, Tensor] = {}
        self._storages: dict[int, Any] = {}

    def tensor(
        self,
        number: Any,
        dtype: Any,
        shape: Any,
        strides: Any,
        offset: Any,
        location: str = "cpu",
    ) -> Tensor:
        """A view over storage `number`; RuntimeError unless it lies within the storage."""
        for what, values in (("shape", shape), ("strides", strides), ("offset", [offset])):
            if not isinstance(values, (list, tuple)) or not all(
                type(value) is int and 0 <= value < 2**63 for value in values
            ):
                raise RuntimeError(f"load: a tensor's {what} is {values!r}; need integers >= 0")
        if len(shape) != len(strides):
            raise RuntimeError(f"load: a tensor has shape {shape} and strides {strides}")
        name = self._name(number)
        itemsize = dtype.itemsize
        end = (offset + reach(shape, strides)) * itemsize
        size = self._archive.size(name)
        if end > size and 0 not in shape:
            raise RuntimeError(
                f"load: the checkpoint is damaged: a tensor reaches to byte {end} of {name!r}, "
                f"which has {size}"
            )
        if 0 in shape:
            return self._placed(cresset.empty(tuple(shape), dtype=dtype), location)
        base = self._base(number, name, dtype, location)
        with cresset.no_grad():
            if base.dtype is not dtype:
                base = base.view(dtype)
            return base.as_strided(tuple(shape), tuple(strides), offset)

    def storage(self, number: Any) -> Any:
        """Storage `number` as a whole, with exactly the bytes that it has."""
        if number not in self._storages:
            name = self._name(number)
            base = cresset.empty(self._archive.size(name), dtype=cresset.uint8)
            self._archive.read_into(name, memory_of(base.data_ptr(), base.numel()))
            self._storages[number] = self._placed(base, "cpu").memory
        return self._storages[number]

    def array(self, number: Any, dtype: numpy.dtype, shape: tuple[int, ...]) -> numpy.ndarray:
        """A NumPy array of the bytes of storage `number`, which must be of exactly its size."""
        array = numpy.empty(shape, dtype)
        target = memory_of(array.ctypes.data, array.nbytes)
        self._archive.read_into(self._name(number), target)
        return array

    def content(self, number: Any) -> bytes:
        """The bytes of storage `number`."""
        return self._archive.read(self._name(number))

    def check_array(self, number: Any, size: int) -> None:
        """Raises RuntimeError unless storage `number` has exactly `size` bytes."""
        self._archive.check_size(self._name(number), size)

    def _name(self, number: Any) -> str:
        if type(number) is not int or not 0 <= number < len(self._names):
            raise RuntimeError(
                f"load: the checkpoint is damaged: storage {number!r} is named; there are "
                f"{len(self._names)}"
            )
        return self._names[number]

    def _base(self, number: int, name: str, dtype: Any, location: str) -> Tensor:
        """All elements of a storage as a tensor of one dim."""
        base = self._bases.get(number)
        if base is None:
            size = self._archive.size(name)
            # Rounded up, so that it can be viewed with elements of any width.
            count = -(-size // ALIGNMENT) * ALIGNMENT // dtype.itemsize
            base = cresset.empty(count, dtype=dtype)
            self._archive.read_into(name, memory_of(base.data_ptr(), size))
            base = self._bases[number] = self._placed(base, location)
        return base

    def _placed(self, tensor: Tensor, location: str) -> Tensor:
        """The tensor on the device that `map_location` asks for."""
        target = self._map_location
        if target is None:
            return tensor
        if isinstance(target, dict):
            target = target.get(location)
            return tensor if target is None else tensor.to(target)
        if callable(target):
            moved = target(tensor, location)
            return moved if isinstance(moved, Tensor) else tensor
        return tensor.to(target)
