"""Storages that grow or move: every tensor over one goes along, so no address is left dangling."""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Sequence

from cresset.core.layout import Layout
from cresset.core.storage import MetaStorage, Storage
from cresset.core.tensor import Tensor
from cresset.ops.arguments import whole
from cresset.runtime import native
from cresset.runtime.shared import Shared

# What was hidden from the collector before there were tensors: Python 3.12 begins with some.
FROZEN = gc.get_freeze_count()


def resize(memory: Storage, nbytes: int) -> None:
    """Make the storage `nbytes` long; what fits keeps its content, what is added has none.

    Memory that a storage gives up by shrinking is kept for tensors that still reach into it.

    Raises RuntimeError where more is needed and the memory is not Cresset's own, or an array or
    another library is using it.
    """
    owner = memory.owner
    if type(memory) is not MetaStorage:
        room = owner.nbytes if type(owner) is native.native().block_type else memory.nbytes
        if nbytes > room:
            _refuse_unless_own("resize_", memory)
            _move(memory, native.native().allocate(nbytes))
    memory.nbytes = nbytes


def share(memory: Storage) -> None:
    """Move the storage to memory that other processes can map; RuntimeError as with `resize`."""
    if type(memory) is MetaStorage:
        raise NotImplementedError("share_memory_: a meta tensor has no data to share")
    if type(memory.owner) is not Shared:
        _refuse_unless_own("share_memory_", memory)
        _move(memory, Shared(memory.nbytes))


def _refuse_unless_own(operation, memory):
    owner = memory.owner
    if type(owner) is not native.native().block_type:
        raise RuntimeError(
            f"{operation}: Trying to resize storage that is not resizable: its memory belongs to a "
            f"{type(owner).__name__}; clone() the tensor first"
        )
    if any(type(user) is not Storage for user in gc.get_referrers(owner)):
        raise RuntimeError(
            f"{operation}: Trying to resize storage that is not resizable: an array or another "
            "library is using its memory; clone() the tensor first"
        )
    if gc.get_freeze_count() > FROZEN:
        raise RuntimeError(
            f"{operation}: cannot find all tensors over the storage, since gc.freeze() hides "
            "them; clone() the tensor, or call gc.unfreeze() first"
        )


def _move(memory, owner) -> None:
    """Move the storage, and others over the same memory, into that of a new owner."""
    old = memory.owner
    ctypes.memmove(owner.ptr, memory.ptr, min(memory.nbytes, owner.nbytes))
    # Tensors do not know of each other: the collector knows who refers to a storage.
    for storage in gc.get_referrers(old):
        if type(storage) is Storage:
            shift = owner.ptr - storage.ptr
            for x in gc.get_referrers(storage):
                if isinstance(x, Tensor) and x.memory is storage:
                    x.ptr += shift
            storage.ptr, storage.owner = owner.ptr, owner
            # A value that autograd saved by its address is no longer there.
            storage.version += 1


def show(x: Tensor, memory: Storage, layout: Layout, offset: int) -> Tensor:
    """Let x show other memory, `offset` elements from its start; it is no view any more."""
    x.memory, x.layout = memory, layout
    x.ptr = memory.ptr + offset * layout.dtype.itemsize
    if x.base is not None:
        x.base = x.history = None
    return x


def refuse_gradient(operation: str, x: Tensor) -> None:
    if x.requires_grad:
        raise RuntimeError(
            f"{operation}: cannot resize variables that require grad; detach() it first"
        )


def sizes_of(operation: str, sizes: Sequence) -> tuple:
    """Sizes as given one by one or as one sequence; RuntimeError where one is negative."""
    if len(sizes) == 1 and not isinstance(sizes[0], int):
        sizes = sizes[0]
    shape = tuple(whole(operation, "size", n) for n in sizes)
    if any(n < 0 for n in shape):
        raise RuntimeError(f"{operation}: sizes must not be negative; got {shape}")
    return shape


def _resize_(x, *sizes, size=None, memory_format=None):
    """Give x another shape, in row order from where it starts; its storage grows if it has to.

    Elements that there were keep their values, new ones have none yet. Other views of the storage
    stay what they are.

    >>> import cresset
    >>> x = cresset.arange(3)
    >>> x.resize_(2)
    tensor([0, 1])
    """
    refuse_gradient("resize_", x)
    shape = sizes_of("resize_", sizes if size is None else (size,))
    layout = x.layout
    if shape == tuple(layout.shape):
        return x
    itemsize = layout.dtype.itemsize
    offset = (x.ptr - x.memory.ptr) // itemsize
    layout = Layout.packed(shape, layout.dtype, layout.device)
    needed = offset * itemsize + layout.nbytes
    if layout.numel and needed > x.memory.nbytes:
        resize(x.memory, needed)
    return show(x, x.memory, layout, offset)


def _resize_as_(x, the_template, *, memory_format=None):
    """Give x the shape of another tensor; see `resize_`."""
    return _resize_(x, the_template.layout.shape)


Tensor.resize_ = _resize_
Tensor.resize_as_ = _resize_as_
