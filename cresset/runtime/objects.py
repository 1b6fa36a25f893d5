"""CPython objects from emitted code: reading and making tensors.

Where a slot lies inside an object is found by looking: a sentinel is stored in it and the object's
memory is searched. What has a function in CPython's API is done through it.
"""

from __future__ import annotations

import ctypes
import struct
import sys
from functools import cache

from cresset.core.layout import Layout
from cresset.core.storage import Storage
from cresset.core.tensor import Tensor
from cresset.runtime.ir import Function, Module, Value

HEAD = object.__basicsize__  # bytes of what every object begins with
# Objects that are never freed need no counting (PEP 683).
IMMORTAL = sys.version_info >= (3, 12)


@cache
def offsets() -> dict[str, int]:
    """Byte offsets inside objects: "type", "count", "Tensor.ptr" and the like, "tuple", "bytes"."""
    found = {}
    for kind in (Tensor, Storage, Layout):
        for name in kind.__slots__:
            if not name.startswith("__"):
                found[f"{kind.__name__}.{name}"] = _slot_offset(kind, name)
    sentinel = Storage(0, 0, None)
    found["type"] = _find(sentinel, id(Storage), Storage.__basicsize__)
    if not IMMORTAL:
        found["count"] = _count_offset(sentinel)
    found["tuple"] = _find((sentinel,), id(sentinel), tuple.__basicsize__ + 8)
    content = b"where the bytes of a bytes object begin"
    found["bytes"] = ctypes.string_at(id(content), sys.getsizeof(content)).index(content)
    return found


def _slot_offset(kind, name):
    instance = object.__new__(kind)
    sentinel = object()
    setattr(instance, name, sentinel)
    return _find(instance, id(sentinel), kind.__basicsize__)


def _count_offset(instance):
    before = _words_of(instance, HEAD)
    references = [instance] * 1000
    added = [after - word for word, after in zip(before, _words_of(instance, HEAD))]
    return added.index(len(references)) * 8


def _words_of(instance, size):
    return struct.unpack(f"<{size // 8}Q", ctypes.string_at(id(instance), size // 8 * 8))


def _find(instance, word, size):
    words = _words_of(instance, size)
    if words.count(word) != 1:
        raise RuntimeError(
            f"native: the layout of {type(instance).__name__} objects is not understood by this "
            f"version of Cresset; got Python {sys.version}; need CPython with its usual objects"
        )
    return words.index(word) * 8


# --- instructions ---------------------------------------------------------------------------------
def named(f: Function, name: str) -> Value:
    """A Python object that the loader binds: one of native.py's `objects`."""
    return f.address(f"object_{name}")


def slot(f: Function, instance: Value, name: str) -> Value:
    """The object in a slot, borrowed; null where the slot is unset."""
    return f.load("ptr", f.offset(instance, offsets()[name]))


def fill(f: Function, instance: Value, name: str, content: Value) -> None:
    """Store an object in a slot that was empty; the slot takes over the reference."""
    f.store(content, f.offset(instance, offsets()[name]))


def type_of(f: Function, instance: Value) -> Value:
    return f.load("ptr", f.offset(instance, offsets()["type"]))


def item(f: Function, pack: Value, index: int) -> Value:
    """An item of a tuple, borrowed."""
    return f.load("ptr", f.offset(pack, offsets()["tuple"] + 8 * index))


def words(f: Function, content: Value) -> Value:
    """The address of a bytes object's bytes."""
    return f.offset(content, offsets()["bytes"])


def incref(f: Function, instance: Value) -> None:
    """Add a reference; the object may not be null."""
    if IMMORTAL:
        f.call("Py_IncRef", "void", instance)
    else:
        count = f.offset(instance, offsets()["count"])
        f.store(f.load("i64", count) + 1, count)


def decref(f: Function, instance: Value) -> None:
    """Drop a reference; null is let be."""
    f.call("Py_DecRef", "void", instance)


def constant(f: Function, name: str) -> Value:
    """A new reference to None or a small integer."""
    value = named(f, name)
    if not IMMORTAL:
        incref(f, value)
    return value


def null(f: Function) -> Value:
    return f.constant("ptr", 0)


# --- functions ------------------------------------------------------------------------------------
def write(module: Module) -> None:
    """Add the functions of this file to a module."""
    _write_is_tensor(module)
    _write_pointer_of(module)
    _write_storage_of(module)
    _write_count_of(module)
    _write_raise_version(module)
    _write_new_tensor(module)


def _write_is_tensor(module):
    """i1 is_tensor(object)"""
    f = module.function("is_tensor", [("ptr", "x")], "i1", internal=True)
    type = type_of(f, f.arguments[0])
    tensor = named(f, "Tensor")
    with f.leave(type.eq(tensor)):
        f.ret(f.constant("i1", 1))
    f.ret(f.call("PyType_IsSubtype", "i32", type, tensor).ne(0))


def _write_count_of(module):
    """i64 count_of(object): the value of an int, -1 for whatever else (no Python code is run)."""
    f = module.function("count_of", [("ptr", "x")], "i64", internal=True)
    (x,) = f.arguments
    with f.leave(x.eq(0)):
        f.ret(f.constant("i64", -1))
    with f.leave(type_of(f, x).ne(named(f, "int"))):
        f.ret(f.constant("i64", -1))
    # The quickest of CPython's conversions, and one that cannot fail.
    f.ret(f.call("PyLong_AsUnsignedLongLongMask", "i64", x))


def _write_pointer_of(module):
    """i64 pointer_of(tensor): its address, -1 where the slot holds none."""
    f = module.function("pointer_of", [("ptr", "x")], "i64", internal=True)
    f.ret(f.call("count_of", "i64", slot(f, f.arguments[0], "Tensor.ptr")))


def _write_storage_of(module):
    """ptr storage_of(tensor): its storage, borrowed; null where the slot holds none."""
    f = module.function("storage_of", [("ptr", "x")], "ptr", internal=True)
    storage = slot(f, f.arguments[0], "Tensor.memory")
    with f.leave(storage.eq(0)):
        f.ret(storage)
    f.ret(f.select(type_of(f, storage).eq(named(f, "Storage")), storage, null(f)))


def _write_raise_version(module):
    """void raise_version(tensor): count a write to its storage; never fails."""
    f = module.function("raise_version", [("ptr", "x")], internal=True)
    storage = f.call("storage_of", "ptr", f.arguments[0])
    with f.leave(storage.eq(0)):
        f.ret()
    before = slot(f, storage, "Storage.version")
    version = f.call("count_of", "i64", before)
    after = f.call("PyLong_FromLongLong", "ptr", version + 1)
    with f.leave(after.eq(0)):
        f.call("PyErr_Clear", "void")
        f.ret()
    fill(f, storage, "Storage.version", after)
    decref(f, before)
    f.ret()


def _write_new_tensor(module):
    """ptr new_tensor(storage, layout, address, base, history): borrows all; null on failure."""
    names = ("storage", "layout", "address", "base", "history")
    f = module.function("new_tensor", [("ptr", name) for name in names], "ptr", internal=True)
    tensor = f.call("PyType_GenericAlloc", "ptr", named(f, "Tensor"), f.constant("i64", 0))
    with f.leave(tensor.eq(0)):
        f.ret(tensor)
    for name, value in zip(("memory", "layout", "ptr", "base", "history"), f.arguments):
        incref(f, value)
        fill(f, tensor, f"Tensor.{name}", value)
    fill(f, tensor, "Tensor.grad", constant(f, "None"))
    f.ret(tensor)
