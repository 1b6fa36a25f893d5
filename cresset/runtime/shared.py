"""Memory that processes share: a mapped file without a name, handed over by its descriptor.

A child made by `fork` has the mapping already. To a process that is spawned, or that reads a queue,
`multiprocessing` passes the descriptor, for which this file tells it how storages are pickled.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import weakref

from cresset.core.storage import Storage


class Shared:
    """An owner of shared memory: `ptr` is its address, `nbytes` its size."""

    __slots__ = ("__weakref__", "handle", "memory", "nbytes", "ptr")

    def __init__(self, nbytes: int, handle: int | None = None):
        self.handle = _nameless_file(nbytes) if handle is None else handle
        weakref.finalize(self, os.close, self.handle)
        self.nbytes = nbytes
        # A file of no bytes cannot be mapped. The array keeps the mapping.
        self.memory = (ctypes.c_char * nbytes).from_buffer(mmap.mmap(self.handle, max(nbytes, 1)))
        self.ptr = ctypes.addressof(self.memory)
        _teach_multiprocessing()


def _nameless_file(nbytes) -> int:
    """A descriptor of a new file in memory, or on disk where the system has no such thing."""
    if hasattr(os, "memfd_create"):
        handle = os.memfd_create("cresset")
    else:
        import tempfile

        with tempfile.TemporaryFile() as file:
            handle = os.dup(file.fileno())
    os.ftruncate(handle, max(nbytes, 1))
    return handle


def _teach_multiprocessing():
    from multiprocessing.reduction import ForkingPickler

    ForkingPickler.register(Storage, _reduced)


def _reduced(storage):
    """What is sent to another process: the descriptor of shared memory, else a copy."""
    owner = storage.owner
    if type(owner) is not Shared:
        return storage.__reduce_ex__(4)
    from multiprocessing.reduction import DupFd

    return _attached, (owner.nbytes, DupFd(owner.handle))


def _attached(nbytes, descriptor):
    owner = Shared(nbytes, descriptor.detach())
    return Storage(owner.ptr, nbytes, owner)
