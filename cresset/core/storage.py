"""Storages: the memory under tensors.

A `Storage` is one block of bytes, an owner that keeps it alive, and a version that every in-place
write raises, so that autograd can tell that a value it saved was overwritten.
"""

from __future__ import annotations


class Storage:
    """A block of memory shared by all tensors that view it.

    `ptr` is its address, `nbytes` its size; `owner` is whatever frees the memory when it goes (a
    block of the caching allocator, a NumPy array). `version` counts in-place writes, and is None
    for memory that must not be written: emitted code refuses to. `writer` is None until autograd
    saves a tensor over this storage; from then on it notes the last in-place write as (version,
    operation, place), for the error message.
    """

    __slots__ = ("__weakref__", "nbytes", "owner", "ptr", "version", "writer")

    device = "cpu"

    def __init__(self, ptr: int, nbytes: int, owner):
        self.ptr = ptr
        self.nbytes = nbytes
        self.owner = owner
        self.version = 0
        self.writer = None

    def alias(self) -> Storage:
        """The same memory with writes of its own count."""
        other = Storage(self.ptr, self.nbytes, self.owner)
        if self.version is None:
            other.version = None
        return other

    def __repr__(self) -> str:
        return f"{type(self).__name__}(nbytes={self.nbytes}, version={self.version})"


class MetaStorage(Storage):
    """A size without memory, under tensors on the device "meta".

    Emitted code takes tensors over a `Storage` and nothing else, so none can follow the address.
    """

    __slots__ = ()

    device = "meta"

    def __init__(self, nbytes: int):
        super().__init__(0, nbytes, None)

    def alias(self) -> Storage:
        return MetaStorage(self.nbytes)


class Loan:
    """An owner that somebody outside holds, who knows the address: the memory must not move.

    The garbage collector sees it, as it does not see every dict or tuple that holds an owner.
    """

    __slots__ = ("owner",)

    def __init__(self, owner):
        self.owner = owner
