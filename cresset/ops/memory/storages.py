"""The storage of a tensor as programs see it: `x.storage()`, `x.untyped_storage()` and `set_`.

What is returned is a view of the tensor's memory without its shape: it reads what the tensor
writes, and the other way round. The work is done by tensors of one dim over all of it.
"""

from __future__ import annotations

from weakref import WeakValueDictionary

from cresset.core import dtype as types
from cresset.core.device import device
from cresset.core.dtype import dtype as DType
from cresset.core.layout import Layout, contiguous_strides
from cresset.core.storage import Storage
from cresset.core.tensor import Tensor
from cresset.ops.creation.legacy import NAMES
from cresset.ops.creation.tensors import empty, tensor
from cresset.ops.memory.resizing import resize, share, show
from cresset.runtime.shared import Shared

__all__ = ["TypedStorage", "UntypedStorage", "is_storage"]


def _over(memory: Storage, d: DType) -> Tensor:
    """All of a storage as a tensor of one dim."""
    x = object.__new__(Tensor)
    x.base = x.history = x.grad = None
    return show(x, memory, Layout.packed((memory.nbytes // d.itemsize,), d, memory.device), 0)


class UntypedStorage:
    """The bytes of a storage: `UntypedStorage(size)` of its own, or those under a tensor.

    >>> import cresset
    >>> cresset.tensor([1, 256], dtype=cresset.int16).untyped_storage().tolist()
    [1, 0, 0, 1]
    """

    dtype: DType = types.uint8

    def __init__(self, content=0, *, device=None):
        sized = isinstance(content, int)
        x = empty(content, dtype=self.dtype) if sized else tensor(content, dtype=self.dtype)
        self._memory = x.to(device=device).memory

    def _of(self, memory: Storage):
        """A face of the same kind for other memory."""
        return _untyped(memory)

    def _elements(self) -> Tensor:
        return _over(self._memory, self.dtype)

    # --- what it is -------------------------------------------------------------------------------
    device = property(lambda self: device(self._memory.device), doc="Where the memory is.")
    is_cuda = False
    # Two faces of one storage are equal; this is what programs compare.
    _cdata = property(lambda self: id(self._memory))

    def nbytes(self) -> int:
        """Bytes in all."""
        return self._memory.nbytes

    def element_size(self) -> int:
        """Bytes of one element."""
        return self.dtype.itemsize

    def size(self) -> int:
        """The number of elements."""
        return self.nbytes() // self.dtype.itemsize

    __len__ = size

    def data_ptr(self) -> int:
        """The address of the first byte."""
        return self._memory.ptr

    def untyped(self) -> UntypedStorage:
        """The same memory as bytes."""
        return _untyped(self._memory)

    def __eq__(self, other):
        return isinstance(other, UntypedStorage) and self._memory is other._memory

    def __hash__(self):
        return hash(id(self._memory))

    # --- elements ---------------------------------------------------------------------------------
    def _place(self, index):
        if not -len(self) <= index < len(self):
            raise IndexError(f"storage: index {index} out of range for storage of size {len(self)}")
        return index

    def __getitem__(self, index):
        if isinstance(index, slice):
            start, stop, step = index.indices(len(self))
            if step != 1:
                raise RuntimeError(f"storage: slices have a step of 1; got {step}")
            part = Storage(self.data_ptr() + start, max(stop - start, 0), self._memory.owner)
            return self._of(part)
        return self._elements()[self._place(index)].item()

    def __setitem__(self, index, value):
        self._elements()[index if isinstance(index, slice) else self._place(index)] = value

    def __iter__(self):
        return iter(self.tolist())

    def tolist(self) -> list:
        """The elements as Python numbers."""
        return self._elements().tolist()

    def fill_(self, value):
        """Overwrite every element with a number."""
        self._elements().fill_(value)
        return self

    def copy_(self, source, non_blocking=None):
        """Overwrite with the elements of another storage of as many, converted."""
        self._elements().copy_(source._elements())
        return self

    def clone(self):
        """A storage of its own with the same elements."""
        return self._of(self._elements().clone().memory)

    def cpu(self):
        """The storage itself: it is on the cpu."""
        return self._of(self._elements().cpu().memory)

    # --- size and place ---------------------------------------------------------------------------
    def resize_(self, size: int) -> None:
        """Change the number of elements; tensors over it stay valid, see `Tensor.resize_`."""
        resize(self._memory, size * self.dtype.itemsize)

    def is_shared(self) -> bool:
        """Whether other processes can map the memory."""
        return type(self._memory.owner) is Shared

    def share_memory_(self):
        """Move to memory that other processes can map; tensors over it come along."""
        share(self._memory)
        return self

    def __deepcopy__(self, memo):
        import copy

        return self._of(copy.deepcopy(self._memory, memo))

    def __repr__(self):
        listed = "\n".join(f" {value}" for value in self) if self.device.type == "cpu" else "..."
        return f"{listed}\n[torch.storage.{self._described()} of size {len(self)}]"

    def _described(self):
        return f"UntypedStorage(device={self.device})"


# A storage has one face of each kind for as long as somebody holds it: `is` compares storages.
_faces: WeakValueDictionary = WeakValueDictionary()


def _untyped(memory: Storage) -> UntypedStorage:
    storage = _faces.get(memory)
    if storage is None:
        storage = _faces[memory] = object.__new__(UntypedStorage)
        storage._memory = memory
    return storage


class TypedStorage(UntypedStorage):
    """The elements of a storage in the type of a tensor over it.

    >>> import cresset
    >>> x = cresset.zeros(2, 2)
    >>> x.storage()[2] = 5
    >>> x
    tensor([[0., 0.],
            [5., 0.]])
    """

    def __init__(self, content=0, *, dtype=None, device=None):
        self.dtype = dtype or types.get_default_dtype()
        super().__init__(content, device=device)

    def _of(self, memory: Storage):
        return _typed(memory, self.dtype)

    def __getitem__(self, index):
        if isinstance(index, slice):
            raise RuntimeError(
                "storage: slices are only supported in UntypedStorage.__getitem__; slice a tensor "
                "over it, or tolist()"
            )
        return super().__getitem__(index)

    def type(self) -> str:
        """The name of the type: "torch.FloatStorage"."""
        return f"torch.{_name_of(self.dtype)}"

    def to(self, d: DType) -> TypedStorage:
        """The elements converted, in a storage of their own; itself where nothing changes."""
        return self if d is self.dtype else _typed(self._elements().to(d).memory, d)

    def _described(self):
        return f"TypedStorage(dtype={self.dtype}, device={self.device})"


def _typed(memory: Storage, d: DType) -> TypedStorage:
    storage = _faces.get((memory, d))
    if storage is None:
        storage = _faces[memory, d] = object.__new__(TypedStorage)
        storage._memory, storage.dtype = memory, d
    return storage


def _name_of(d: DType) -> str:
    return NAMES[d].replace("Tensor", "Storage")


def _constructor(d: DType):
    def make(content=0, *, device=None):
        return TypedStorage(content, dtype=d, device=device)

    make.__name__ = _name_of(d)
    make.__doc__ = f"A storage of {d.name} elements: so many, or those of a sequence."
    return make


for _d in NAMES:
    globals()[_name_of(_d)] = _constructor(_d)
    __all__.append(_name_of(_d))
for _name, _d in {**types.ALIASES, "bfloat16": types.bfloat16, "bool": types.bool,
                  "byte": types.uint8, "char": types.int8}.items():
    setattr(TypedStorage, _name, lambda self, _d=_d: self.to(_d))


def is_storage(obj) -> bool:
    """Whether obj is a storage."""
    return isinstance(obj, UntypedStorage)


# --- of a tensor ----------------------------------------------------------------------------------
def _storage(x):
    """The memory under x as elements of its type, shared."""
    return _typed(x.memory, x.layout.dtype)


def _untyped_storage(x):
    """The memory under x as bytes, shared."""
    return _untyped(x.memory)


def _set_(x, source=None, storage_offset=0, size=None, stride=None):
    """Let x show the memory of a tensor or storage: all of it, or as the other arguments say.

    Raises RuntimeError where the types differ, a stride is negative, or elements would lie outside
    of memory that cannot grow.
    """
    if x.grad_fn is not None:
        raise RuntimeError("set_: the tensor has a history that would be lost; detach() it first")
    d = x.layout.dtype
    if source is None:
        source = empty(0, dtype=d).to(device=x.layout.device)
    if isinstance(source, (Tensor, TypedStorage)) and source.dtype is not d:
        raise RuntimeError(
            f"set_: Could not set tensor of type {source.dtype} to a tensor of type {d}; need one "
            "type, or an untyped_storage()"
        )
    if isinstance(source, Tensor):
        if size is None:
            return show(x, source.memory, source.layout, source.storage_offset())
        memory = source.memory
    elif is_storage(source):
        memory = source._memory
    else:
        raise TypeError(f"set_: need a tensor or a storage; got {type(source).__name__}")
    if size is None:
        size = (memory.nbytes // d.itemsize - storage_offset,)
    size = tuple(size)
    strides = contiguous_strides(size) if stride is None else tuple(stride)
    if len(strides) != len(size) or min((storage_offset, *size, *strides)) < 0:
        raise RuntimeError(
            f"set_: got storage_offset {storage_offset}, sizes {size} and strides {strides}; need "
            "as many strides as sizes, and nothing negative"
        )
    layout = Layout.of(size, strides, d, memory.device)
    needed = (storage_offset + layout.reach()) * d.itemsize
    if layout.numel and needed > memory.nbytes:
        resize(memory, needed)
    return show(x, memory, layout, storage_offset)


def _is_set_to(x, tensor) -> bool:
    """Whether both tensors show the same memory in the same way."""
    mine, its = x.layout, tensor.layout
    return (x.memory is tensor.memory and x.ptr == tensor.ptr
            and mine.shape == its.shape and mine.strides == its.strides)


def _share_memory_(x):
    """Move x's storage to memory that other processes can map; views of it come along."""
    share(x.memory)
    return x


Tensor.storage = Tensor._typed_storage = _storage
Tensor.untyped_storage = _untyped_storage
Tensor.set_ = _set_
Tensor.is_set_to = _is_set_to
Tensor.share_memory_ = _share_memory_
Tensor.is_shared = lambda x: type(x.memory.owner) is Shared
