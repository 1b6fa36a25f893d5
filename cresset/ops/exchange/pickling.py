"""Copies and pickles of tensors: the storage goes along, so that what shares memory stays so."""

from __future__ import annotations

import ctypes

from cresset.core.layout import Layout
from cresset.core.storage import Loan, MetaStorage, Storage
from cresset.core.tensor import Tensor
from cresset.runtime import native


def storage_over(content) -> Storage:
    """A storage over the bytes of a writable buffer."""
    nbytes = len(content)
    memory = (ctypes.c_char * nbytes).from_buffer(content)
    return Storage(ctypes.addressof(memory), nbytes, memory)


def _copied(storage: Storage, memo) -> Storage:
    """A copy of a storage; the same one for all tensors that one deepcopy meets."""
    owner = native.native().allocate(storage.nbytes)
    ctypes.memmove(owner.ptr, storage.ptr, storage.nbytes)
    copy = Storage(owner.ptr, storage.nbytes, owner)
    memo[id(storage)] = copy
    return copy


def _reduced(storage: Storage, protocol):
    """Pickled as its bytes; protocol 5 may hand them over out of band."""
    memory = (ctypes.c_char * storage.nbytes).from_address(storage.ptr)
    memory.loan = Loan(storage.owner)
    if protocol >= 5:
        from pickle import PickleBuffer

        return _storage_of, (PickleBuffer(memory),)
    return _storage_of, (bytearray(memory),)


def _storage_of(content) -> Storage:
    """The storage of pickled bytes, over their own memory where it may be written."""
    view = memoryview(content)
    return storage_over(bytearray(view) if view.readonly else view)


def _copied_size(storage: MetaStorage, memo) -> MetaStorage:
    copy = memo[id(storage)] = MetaStorage(storage.nbytes)
    return copy


MetaStorage.__deepcopy__ = _copied_size
MetaStorage.__reduce_ex__ = lambda x, protocol: (MetaStorage, (x.nbytes,))  # type: ignore
Storage.__deepcopy__ = _copied
Storage.__reduce_ex__ = _reduced  # type: ignore


def rebuilt(kind, storage, dtype, offset, shape, strides, requires_grad) -> Tensor:
    """A tensor of class `kind` over a storage, `offset` elements from its start."""
    x = object.__new__(Tensor)
    x.memory = storage
    x.layout = Layout.of(shape, strides, dtype, storage.device)
    x.ptr = storage.ptr + offset * dtype.itemsize
    x.base = x.history = x.grad = None
    if kind is Tensor:
        return x.requires_grad_(requires_grad)
    return Tensor._make_subclass(kind, x, requires_grad)


def _reduce(x, protocol):
    """Pickled as its storage and what it shows of it; neither history nor gradient come along."""
    layout = x.layout
    offset = (x.ptr - x.memory.ptr) // layout.dtype.itemsize
    what = x.memory, layout.dtype, offset, tuple(layout.shape), layout.strides, x.requires_grad
    return rebuilt, (type(x), *what), x.__dict__ or None


def _deepcopy(x, memo):
    """A copy with a copy of the storage; the gradient comes along, history does not.

    Raises RuntimeError unless x is a leaf.
    """
    found = memo.get(id(x))
    if found is not None:
        return found
    if x.grad_fn is not None:
        raise RuntimeError(
            "deepcopy: only Tensors created explicitly by the user (graph leaves) support the "
            "deepcopy protocol at the moment; detach() it first"
        )
    import copy

    _, arguments, attributes = _reduce(x, 4)
    kind, storage, *rest = arguments
    out = rebuilt(kind, copy.deepcopy(storage, memo), *rest)
    memo[id(x)] = out
    out.__dict__.update(copy.deepcopy(attributes or {}, memo))
    if x.grad is not None:
        out.grad = _deepcopy(x.grad, memo)
    return out


Tensor.__reduce_ex__ = _reduce  # type: ignore[method-assign]
Tensor.__deepcopy__ = _deepcopy
