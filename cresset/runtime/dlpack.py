"""DLPack: tensors handed from one library to another as a C structure in a capsule.

The structures are those of DLPack 1.x (https://dmlc.github.io/dlpack). A library that takes a
tensor calls its `deleter` when it is done, from whichever thread and however late, and a capsule
that nobody took has to do so itself. Both are therefore emitted code that runs no Python: it takes
the GIL, drops one reference, and does nothing once the interpreter is gone.
"""

from __future__ import annotations

import ctypes
import sys
from functools import cache

from cresset.core.storage import Loan
from cresset.runtime.build import load_module
from cresset.runtime.ir import Module
from cresset.runtime.objects import decref

VERSION = (1, 0)
CPU = 1
READ_ONLY, COPIED = 1, 2


class Device(ctypes.Structure):
    """Where the elements are: the kind of device and its number."""

    _fields_ = [("kind", ctypes.c_int32), ("number", ctypes.c_int32)]


class DataType(ctypes.Structure):
    """The type of an element: its family, its bits, and 1 for no vector of them."""

    _fields_ = [("code", ctypes.c_uint8), ("bits", ctypes.c_uint8), ("lanes", ctypes.c_uint16)]


class DLTensor(ctypes.Structure):
    """The elements: `data` plus `byte_offset`; no `strides` means row order."""

    _fields_ = [
        ("data", ctypes.c_void_p),
        ("device", Device),
        ("ndim", ctypes.c_int32),
        ("dtype", DataType),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    ]


class Managed(ctypes.Structure):
    """A tensor with what gives it back, as before DLPack 1.0."""

    _fields_ = [("tensor", DLTensor), ("context", ctypes.c_void_p), ("deleter", ctypes.c_void_p)]


class Versioned(ctypes.Structure):
    """The same with a version, which stays first, and flags."""

    _fields_ = [
        ("major", ctypes.c_uint32),
        ("minor", ctypes.c_uint32),
        ("context", ctypes.c_void_p),
        ("deleter", ctypes.c_void_p),
        ("flags", ctypes.c_uint64),
        ("tensor", DLTensor),
    ]


# What a capsule is called before and after it is taken. CPython keeps the pointers to the names,
# so they are emitted too, and live as long as the process.
NAMES = {Managed: "dltensor", Versioned: "dltensor_versioned"}
OWNED = {Managed: "owned_dltensor", Versioned: "owned_dltensor_versioned"}


@cache
def _code() -> dict[str, int]:
    return load_module(f"dlpack {sys.version} {sys.platform}", _write)


def _write():
    module = Module()
    for kind, name in NAMES.items():
        for text in (name, f"used_{name}", OWNED[kind]):
            module.globals.append(
                f'@name_{text} = constant [{len(text) + 1} x i8] c"{text}\\00", align 1'
            )
        _write_deleter(module, f"delete_{name}", kind.context.offset)
        for text in (name, OWNED[kind]):
            _write_destructor(module, text, kind.deleter.offset)
    return module


def _write_deleter(module, name, context):
    """void delete(managed): drop the reference to the Python object that `context` is."""
    f = module.function(name, [("ptr", "managed")])
    with f.leave(f.call("Py_IsInitialized", "i32").eq(0)):
        f.ret()
    state = f.call("PyGILState_Ensure", "i32")
    decref(f, f.load("ptr", f.offset(f.arguments[0], context)))
    f.call("PyGILState_Release", "void", state)
    f.ret()


def _write_destructor(module, name, deleter):
    """void destroy(capsule): delete what the capsule holds, unless it was taken and renamed."""
    f = module.function(f"destroy_{name}", [("ptr", "capsule")])
    (capsule,) = f.arguments
    called = f.address(f"name_{name}")
    with f.leave(f.call("PyCapsule_IsValid", "i32", capsule, called).eq(0)):
        f.ret()
    managed = f.call("PyCapsule_GetPointer", "ptr", capsule, called)
    delete = f.load("ptr", f.offset(managed, deleter))
    with f.when(delete.ne(0)):
        f.call(delete, "void", managed)
    f.ret()


_api = ctypes.pythonapi
_new_capsule = ctypes.PYFUNCTYPE(
    ctypes.py_object, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p
)(("PyCapsule_New", _api))
_is_valid = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.py_object, ctypes.c_void_p)(
    ("PyCapsule_IsValid", _api)
)
_pointer_in = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_void_p)(
    ("PyCapsule_GetPointer", _api)
)
_rename = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.py_object, ctypes.c_void_p)(
    ("PyCapsule_SetName", _api)
)


class _Lent(Loan):
    """What a lent tensor needs to live: the structure, its arrays, and the owner of the memory."""

    __slots__ = ("arrays", "managed")


def capsule(address, shape, strides, data_type, owner, versioned, flags=0):
    """A capsule over memory that `owner` keeps; `strides` count elements."""
    code, kind = _code(), Versioned if versioned else Managed
    lent = _Lent(owner)
    count = len(shape)
    lent.arrays = (ctypes.c_int64 * count)(*shape), (ctypes.c_int64 * count)(*strides)
    lent.managed = managed = kind()
    tensor = managed.tensor
    tensor.data, tensor.ndim = address, count
    tensor.device = Device(CPU, 0)
    tensor.dtype = DataType(*data_type, 1)
    tensor.shape, tensor.strides = lent.arrays
    managed.deleter = code[f"delete_{NAMES[kind]}"]
    if versioned:
        managed.major, managed.minor, managed.flags = *VERSION, flags
    # The structure lies inside of what its own deleter lets go of.
    managed.context = id(lent)
    name = NAMES[kind]
    made = _new_capsule(
        ctypes.addressof(managed), code[f"name_{name}"], code[f"destroy_{name}"]
    )
    _api.Py_IncRef(ctypes.py_object(lent))
    return made


def is_capsule(thing) -> bool:
    """Whether the thing is a capsule with a tensor that nobody took yet."""
    return any(_is_valid(thing, _code()[f"name_{name}"]) for name in NAMES.values())


def look(thing):
    """(the structure, its tensor, its flags) that a capsule holds, which stays as it is."""
    for kind, name in NAMES.items():
        called = _code()[f"name_{name}"]
        if _is_valid(thing, called):
            managed = kind.from_address(_pointer_in(thing, called))
            flags = managed.flags if kind is Versioned else 0
            return managed, managed.tensor, flags
    raise ValueError("from_dlpack: the capsule holds no tensor that could be taken")


def take(thing, managed):
    """Take the tensor out of a capsule; what is returned gives it back when it goes."""
    code, kind = _code(), type(managed)
    name = OWNED[kind]
    owner = _new_capsule(
        ctypes.addressof(managed), code[f"name_{name}"], code[f"destroy_{name}"]
    )
    _rename(thing, code[f"name_used_{NAMES[kind]}"])
    return owner
