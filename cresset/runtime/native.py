"""The native part: everything emitted that touches CPython's objects, built at first use.

A *launcher* runs a program, a *viewer* makes a view, an *updater* runs one kernel over lists of
tensors; each is a builtin of its own, and calling it runs no Python code.
"""

from __future__ import annotations

import _thread
import ctypes
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial

from cresset.core.dtype import dtype as DType
from cresset.core.layout import Layout
from cresset.core.storage import Storage
from cresset.core.tensor import Tensor
from cresset.runtime import heap, launch, memory, objects, plan, pool, rejections, update, watch
from cresset.runtime.build import load_module
from cresset.runtime.ir import Module
from cresset.runtime.program import Program

METH_FASTCALL, METH_O, METH_NOARGS = 0x80, 0x8, 0x4
# From CPython's typeslots.h, structmember.h and object.h, which keep them forever (PEP 384).
TP_DEALLOC, TP_MEMBERS = 52, 72
T_SSIZE, READONLY = 19, 1
DISALLOW_INSTANTIATION, IMMUTABLE = 1 << 7, 1 << 8


def make_launcher(program: Program, addresses: Sequence[int], name: str = "program") -> Callable:
    """The builtin `launch(*arguments)` of a program whose kernels lie at `addresses`.

    It returns the output, a tuple of several, or its first argument where there are none. Tensors
    that are written have their storage's version raised.

    Raises when called: TypeError where an argument is not what the program's `inputs` say,
    OverflowError where an integer exceeds 64 bits, OutOfMemoryError, and what `explain` raises.
    """
    return native().builtin("launch", plan.pack(program, addresses, name))


def observe(observer: Callable | None) -> None:
    """Have `observer(bound, *arguments)` called in place of launchers, until it is None."""
    native().observe(observer)


def unobserved(bound: plan.Bound) -> Callable:
    """A launcher of the same program that is never observed."""
    return native().builtin("launch_unobserved", bound)


def make_viewer(layout: Layout, byte_offset: int = 0, history=None) -> Callable:
    """The builtin `view(x)`: a tensor `byte_offset` past x over its storage, with x as its base."""
    if type(layout) is not Layout:
        raise TypeError(f"make_viewer: got a {type(layout).__name__}; need a Layout")
    offset = byte_offset.to_bytes(8, sys.byteorder, signed=True)
    return native().builtin("view", (offset, layout, history))


def make_updater(
    address: int, tensors: int, numbers: int, writes: Sequence[int], dtype: DType | None = None
) -> Callable:
    """The builtin `update(list, ..., number, ...)` of the multi-tensor kernel at `address`.

    The kernel's block is the address of a table and that of the numbers, as float64. Unit k is row
    k of the table: the address of one tensor of each of the `tensors` lists, then the number of
    elements. Storages of the lists in `writes` have their versions raised.

    The call returns None, or NotImplemented with nothing done where the k-th tensors do not share
    one dense layout (of `dtype`, if given). Raises TypeError where the arguments are not `tensors`
    lists of as many tensors, then `numbers` real numbers.
    """
    return native().builtin("update", update.pack(address, tensors, numbers, writes, dtype))


def make_watch(watched: Mapping[watch.Word, int]) -> Callable[[], bool]:
    """The builtin `unchanged()`: whether words in memory are what they should be."""
    return native().builtin("unchanged", watch.pack(watched))


def new(layout: Layout) -> Tensor:
    """An uninitialised tensor. Hot code takes the builtin itself, `native().new`."""
    return native().new(layout)


def adopt(layout: Layout, ptr: int, nbytes: int, owner) -> Tensor:
    """A tensor over memory that `owner` keeps alive."""
    tensor = object.__new__(Tensor)
    tensor.memory = Storage(ptr, nbytes, owner)
    tensor.layout = layout
    tensor.ptr = ptr
    tensor.base = tensor.history = tensor.grad = None
    return tensor


_lock = threading.RLock()
_made: list[Native] = []  # none or one; once it is there nobody waits for the lock


def native() -> Native:
    """The native part of this process."""
    if not _made:
        with _lock:
            if not _made:
                _made.append(Native())
    return _made[0]


class Native:
    """The emitted functions, the builtins over them, and the state that they share.

    `new(layout)` is an uninitialised tensor; `allocate(nbytes)` a block, whose `ptr` is its address
    and which gives the memory back when it goes. `heap` and `pool` hold the allocator's and the
    thread pool's words.
    """

    def __init__(self):
        if not getattr(sys, "_is_gil_enabled", lambda: True)():
            raise RuntimeError("native: this Python runs without a GIL; run it with -X gil=1")
        bound = {f"object_{name}": id(thing) for name, thing in _objects().items()}
        for thing in _objects().values():
            # Emitted code holds them for good.
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(thing))
        self.addresses = load_module(_key(), _write, bound)
        self.heap = (ctypes.c_int64 * heap.WORDS).from_address(self.addresses["heap"])
        self._kept: list = []  # what C structures point to
        self._methods = {
            "launch": self._method("launch", METH_FASTCALL),
            "launch_unobserved": self._method("launch_unobserved", METH_FASTCALL),
            "update": self._method("update", METH_FASTCALL),
            "view": self._method("view", METH_O),
            "new": self._method("new", METH_O),
            "allocate": self._method("allocate", METH_O),
            "unchanged": self._method("unchanged", METH_NOARGS),
        }
        self.block_type = self._make_block_type()
        memory.attach(self.heap, self.addresses["trim"], self.block_type)
        self.pool = (ctypes.c_int64 * pool.WORDS).from_address(self.addresses["pool"])
        pool.pool.attach(self.pool, self.addresses["worker"], self.addresses["halt"])
        self._observer: Callable | None = None
        self._observer_word = ctypes.c_int64.from_address(self.addresses["observer"])
        self.new = self.builtin("new", ())
        self.allocate = self.builtin("allocate", ())

    def builtin(self, name: str, bound: tuple) -> Callable:
        """The emitted function `name` as a builtin with `bound` as its `self`."""
        return _new_builtin(ctypes.addressof(self._methods[name]), bound, None)

    def observe(self, observer: Callable | None):
        """Have this called in place of launchers."""
        self._observer_word.value = 0 if observer is None else id(observer)
        self._observer = observer

    def _method(self, name, flags):
        return _MethodDef(name.encode(), self.addresses[name], flags, None)

    def _make_block_type(self):
        members = (_MemberDef * 3)(
            _MemberDef(b"ptr", T_SSIZE, heap.DATA, READONLY, b"address of the memory"),
            _MemberDef(b"nbytes", T_SSIZE, heap.SIZE, READONLY, b"bytes of the memory"),
        )
        slots = (_TypeSlot * 3)(
            _TypeSlot(TP_DEALLOC, self.addresses["free_block"]),
            _TypeSlot(TP_MEMBERS, ctypes.addressof(members)),
        )
        flags = DISALLOW_INSTANTIATION | IMMUTABLE
        spec = _TypeSpec(b"cresset.Block", heap.BLOCK_BYTES, 0, flags, ctypes.addressof(slots))
        self._kept += [members, slots, spec]
        make = ctypes.pythonapi.PyType_FromSpec
        make.restype = ctypes.py_object
        make.argtypes = [ctypes.c_void_p]
        block_type = make(ctypes.addressof(spec))
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(block_type))
        return block_type


def _write():
    module = Module()
    for part in (objects, heap, pool, launch, update, watch):
        part.write(module)
    return module


def _key():
    places = ",".join(f"{name}={place}" for name, place in objects.offsets().items())
    return f"native {sys.version} {sys.platform} {places}"


@cache
def _objects():
    """What emitted code refers to by name, `object_` put before it."""
    return {
        "None": None,
        "True": True,
        "False": False,
        "NotImplemented": NotImplemented,
        "zero": 0,
        "int": int,
        "list": list,
        "Tensor": Tensor,
        "Storage": Storage,
        "Layout": Layout,
        "exhausted": memory.exhausted,
        "start_worker": partial(_thread.start_new_thread, pool.pool.work, ()),
        "rejected_view": rejections.rejected_view,
        "rejected_layout": rejections.rejected_layout,
        "unexplained": launch.unexplained,
    }


_new_builtin = ctypes.PYFUNCTYPE(
    ctypes.py_object, ctypes.c_void_p, ctypes.py_object, ctypes.c_void_p
)(("PyCFunction_NewEx", ctypes.pythonapi))


class _MethodDef(ctypes.Structure):
    _fields_ = [("name", ctypes.c_char_p), ("function", ctypes.c_void_p), ("flags", ctypes.c_int),
                ("doc", ctypes.c_char_p)]


class _MemberDef(ctypes.Structure):
    _fields_ = [("name", ctypes.c_char_p), ("type", ctypes.c_int), ("offset", ctypes.c_ssize_t),
                ("flags", ctypes.c_int), ("doc", ctypes.c_char_p)]


class _TypeSlot(ctypes.Structure):
    _fields_ = [("slot", ctypes.c_int), ("content", ctypes.c_void_p)]


class _TypeSpec(ctypes.Structure):
    _fields_ = [("name", ctypes.c_char_p), ("size", ctypes.c_int), ("item_size", ctypes.c_int),
                ("flags", ctypes.c_uint), ("slots", ctypes.c_void_p)]
