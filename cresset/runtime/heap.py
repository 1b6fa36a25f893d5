"""The emitted allocator: freed blocks kept by size class, guarded by the GIL.

A block is a Python object (the `owner` of a storage) that stands for 64-byte-aligned memory. When
its last reference goes, the object and its memory are put on the list of their size class whole,
and the next request of that class brings them back to life: no system call, no fresh page, no
Python object made. Classes are eight to a doubling, so at most a ninth of a block is unused, and
nothing of one that holds nine times a power of two, as the filters of convolutions are.

Large blocks are pages of the system's own, which go back whole. Before there is more of them than
ever, as many bytes of cached blocks are given back, since a program that goes on to something else
asks for other sizes. One that comes back to them again and again would pay for it in fresh pages:
so what was given back like that is at most half of all that was ever taken.

`memory.py` holds what is said about this in Python.
"""

from __future__ import annotations

import mmap
import sys

from cresset.runtime.ir import SELDOM, Function, Module, Value
from cresset.runtime.objects import HEAD, constant, decref, fill, incref, named, null, slot

# A block's fields, after the head of every object.
NEXT, DATA, SIZE, CLASS, ADDRESS = (HEAD + 8 * k for k in range(5))
BLOCK_BYTES = HEAD + 40

# The words of the heap's state. Sizes in bytes, then counts.
FIELDS = ("reserved", "reserved_peak", "reserved_total", "allocated", "allocated_peak",
          "allocated_total", "count", "count_peak", "count_total", "system_allocations",
          "system_frees", "eased", "retries", "failures", "cache_limit", "limit", "block_type")
WORD = {name: index for index, name in enumerate(FIELDS)}
LISTS = len(FIELDS)  # the first blocks of the classes' lists follow
CLASSES = 8 * 40  # up to 2**46 bytes and beyond
WORDS = LISTS + CLASSES

ALIGNMENT = 64
MAPPED_FROM = 1 << 20  # pages of their own from here on
PAGES = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, mmap.PROT_READ | mmap.PROT_WRITE
HUGE = 2 << 20  # a page of the larger kind: cheaper to touch for the first time
HUGE_FROM = 4 << 20
MADV_HUGEPAGE = 14
MOST = 1 << 46  # a request beyond this is an error, whatever the machine


def block_bytes(nbytes: int) -> int:
    """The bytes of the block that a request for so many is given.

    >>> block_bytes(0), block_bytes(65), block_bytes(1025), block_bytes(2000)
    (64, 128, 1152, 2048)
    """
    last = max(nbytes - 1, 0)
    shift = 6 if last < 512 else last.bit_length() - 4
    return ((last >> shift) + 1) << shift


def write(module: Module) -> None:
    """Add the allocator to a module; `heap`, `free_block` and `trim` are seen from outside."""
    module.globals.append(f"@heap = global [{WORDS} x i64] zeroinitializer, align 64")
    _write_system_take(module)
    _write_system_give(module)
    _write_ease(module)
    _write_grow(module)
    _write_take(module)
    _write_trim(module)
    _write_free_block(module)
    _write_new_output(module)


def _word(f: Function, name: str) -> Value:
    return f.offset(f.address("heap"), WORD[name], "i64")


def _add(f, name, amount):
    """Add to a word of the state; its new value."""
    at = _word(f, name)
    value = f.load("i64", at) + amount
    f.store(value, at)
    return value


def _raise_peak(f, name, value):
    at = _word(f, name)
    peak = f.load("i64", at)
    f.store(f.select(value > peak, value, peak), at)


def _write_take(module):
    """ptr take(i64 nbytes): a block of at least so many bytes; null with an error set."""
    f = module.function("take", [("i64", "nbytes")], "ptr", internal=True)
    (nbytes,) = f.arguments
    with f.leave(nbytes.ugt(MOST)):
        _fail(f, nbytes)
    last = f.select(nbytes.eq(0), f.constant("i64", 0), nbytes - 1)

    def fine():
        index = last.lshr(6)
        return index, (index + 1) << 6

    def coarse():
        top = 63 - f.call("llvm.ctlz.i64", "i64", last, f.constant("i1", 1))
        shift = top - 3
        eighths = last.lshr(shift)
        return (top << 3) + eighths - 72, (eighths + 1) << shift

    index, size = f.either(last.ult(512), fine, coarse)
    list = f.offset(f.address("heap"), index + LISTS, "i64")
    first = f.load("ptr", list)

    def reuse():
        f.store(f.load("ptr", f.offset(first, NEXT)), list)
        incref(f, first)  # from none to one
        return first

    block = f.either(first.ne(0), reuse, lambda: f.call("grow", "ptr", index, size, nbytes))
    with f.leave(block.eq(0)):
        f.ret(block)
    _raise_peak(f, "allocated_peak", _add(f, "allocated", size))
    _raise_peak(f, "count_peak", _add(f, "count", 1))
    _add(f, "allocated_total", size)
    _add(f, "count_total", 1)
    f.ret(block)


def _write_grow(module):
    """ptr grow(i64 index, i64 size, i64 nbytes): a new block from the system."""
    parameters = [("i64", "index"), ("i64", "size"), ("i64", "nbytes")]
    f = module.function("grow", parameters, "ptr", internal=True, attributes=SELDOM)
    index, size, nbytes = f.arguments
    with f.when(size >= MAPPED_FROM):
        f.call("ease", "void", size)
    first = f.call("system_take", "ptr", size)

    def retry():
        _add(f, "retries", 1)
        f.call("trim", "void", f.constant("i64", 0))
        return f.call("system_take", "ptr", size)

    data = f.either(first.ne(0), lambda: first, retry)
    with f.leave(data.eq(0)):
        _fail(f, nbytes)
    block = f.call("PyObject_Malloc", "ptr", f.constant("i64", BLOCK_BYTES))
    with f.leave(block.eq(0)):
        f.call("system_give", "void", data, size)
        f.ret(f.call("PyErr_NoMemory", "ptr"))
    address = f.call("PyLong_FromVoidPtr", "ptr", data)
    with f.leave(address.eq(0)):
        f.call("system_give", "void", data, size)
        f.call("PyObject_Free", "void", block)
        f.ret(address)
    f.call("PyObject_Init", "ptr", block, f.load("ptr", _word(f, "block_type")))
    f.store(data, f.offset(block, DATA))
    f.store(size, f.offset(block, SIZE))
    f.store(index, f.offset(block, CLASS))
    f.store(address, f.offset(block, ADDRESS))
    _raise_peak(f, "reserved_peak", _add(f, "reserved", size))
    _add(f, "reserved_total", size)
    _add(f, "system_allocations", 1)
    f.ret(block)


def _write_system_take(module):
    """ptr system_take(i64 size): memory from the system, null where there is none."""
    f = module.function("system_take", [("i64", "size")], "ptr", internal=True, attributes=SELDOM)
    (size,) = f.arguments
    # What the machine does not have is refused at once: touching it would end the process.
    with f.leave(f.load("i64", _word(f, "reserved")) + size > f.load("i64", _word(f, "limit"))):
        f.ret(null(f))
    with f.leave(size < MAPPED_FROM):
        f.ret(f.call("aligned_alloc", "ptr", f.constant("i64", ALIGNMENT), size))

    def mapped(nbytes):
        flags, access = (f.constant("i32", word) for word in PAGES)
        nowhere = f.constant("i32", -1), f.constant("i64", 0)
        data = f.call("mmap", "ptr", null(f), nbytes, access, flags, *nowhere)
        with f.leave(f.convert(data, "i64").eq(-1)):
            f.ret(null(f))
        return data

    if sys.platform == "linux":
        with f.leave(size >= HUGE_FROM):
            # From the first page of the larger kind on; what lies around that goes back.
            whole = mapped(size + HUGE)
            before = -f.convert(whole, "i64") & (HUGE - 1)
            data = f.offset(whole, before)
            with f.when(before.ne(0)):
                f.call("munmap", "i32", whole, before)
            f.call("munmap", "i32", f.offset(data, size), HUGE - before)
            f.call("madvise", "i32", data, size, f.constant("i32", MADV_HUGEPAGE))
            f.ret(data)
    f.ret(mapped(size))


def _write_system_give(module):
    """void system_give(ptr data, i64 size): give back what the system gave."""
    parameters = [("ptr", "data"), ("i64", "size")]
    f = module.function("system_give", parameters, internal=True, attributes=SELDOM)
    data, size = f.arguments
    with f.leave(size < MAPPED_FROM):
        f.call("free", "void", data)
        f.ret()
    f.call("munmap", "i32", data, size)
    f.ret()


def _write_ease(module):
    """void ease(i64 size): give cached blocks back before a request that would be the most ever."""
    f = module.function("ease", [("i64", "size")], internal=True, attributes=SELDOM)
    (size,) = f.arguments
    reserved = f.load("i64", _word(f, "reserved"))
    cached = reserved - f.load("i64", _word(f, "allocated"))
    most = reserved + size > f.load("i64", _word(f, "reserved_peak"))
    paid = f.load("i64", _word(f, "eased")) << 1 < f.load("i64", _word(f, "reserved_total"))
    with f.when(most & paid & (cached >= size)):
        f.call("trim", "void", cached - size)
        _add(f, "eased", reserved - f.load("i64", _word(f, "reserved")))
    f.ret()


def _write_free_block(module):
    """void free_block(block): the block's destructor; keeps it for the next request."""
    f = module.function("free_block", [("ptr", "block")])
    (block,) = f.arguments
    size = f.load("i64", f.offset(block, SIZE))
    index = f.load("i64", f.offset(block, CLASS))
    list = f.offset(f.address("heap"), index + LISTS, "i64")
    f.store(f.load("ptr", list), f.offset(block, NEXT))
    f.store(block, list)
    allocated = _add(f, "allocated", -size)
    _add(f, "count", -1)
    cached = f.load("i64", _word(f, "reserved")) - allocated
    limit = f.load("i64", _word(f, "cache_limit"))
    with f.when(cached > limit):
        # Down to half at once, so that the next blocks do not each come here.
        f.call("trim", "void", limit.lshr(1))
    f.ret()


def _write_trim(module):
    """void trim(i64 keep): give cached blocks back, large ones first, until `keep` bytes stay."""
    f = module.function("trim", [("i64", "keep")], attributes=SELDOM)
    (keep,) = f.arguments
    with f.loop(0, CLASSES) as turn:
        list = f.offset(f.address("heap"), (CLASSES - 1 + LISTS) - turn, "i64")
        again, release, done = (f.label(stem) for stem in ("again", "release", "done"))
        f.branch(again)
        f.place(again)
        block = f.load("ptr", list)
        reserved = f.load("i64", _word(f, "reserved"))
        cached = reserved - f.load("i64", _word(f, "allocated"))
        f.branch(release, block.ne(0) & (cached > keep), done)
        f.place(release)
        f.store(f.load("ptr", f.offset(block, NEXT)), list)
        f.store(reserved - f.load("i64", f.offset(block, SIZE)), _word(f, "reserved"))
        _add(f, "system_frees", 1)
        data = f.load("ptr", f.offset(block, DATA))
        f.call("system_give", "void", data, f.load("i64", f.offset(block, SIZE)))
        decref(f, f.load("ptr", f.offset(block, ADDRESS)))
        f.call("PyObject_Free", "void", block)
        decref(f, f.load("ptr", _word(f, "block_type")))
        f.branch(again)
        f.place(done)
    f.ret()


def _write_new_output(module):
    """ptr new_output(block, layout): a tensor over a block, which it owns; null on failure."""
    f = module.function("new_output", [("ptr", "block"), ("ptr", "layout")], "ptr", internal=True)
    block, layout = f.arguments
    storage = f.call("PyType_GenericAlloc", "ptr", named(f, "Storage"), f.constant("i64", 0))
    with f.leave(storage.eq(0)):
        decref(f, block)
        f.ret(storage)
    address = f.load("ptr", f.offset(block, ADDRESS))
    nbytes = slot(f, layout, "Layout.nbytes")
    incref(f, address)
    incref(f, nbytes)
    fill(f, storage, "Storage.ptr", address)
    fill(f, storage, "Storage.nbytes", nbytes)
    fill(f, storage, "Storage.owner", block)
    fill(f, storage, "Storage.version", constant(f, "zero"))
    fill(f, storage, "Storage.writer", constant(f, "None"))
    none = named(f, "None")
    tensor = f.call("new_tensor", "ptr", storage, layout, address, none, none)
    decref(f, storage)
    f.ret(tensor)


def _fail(f, nbytes):
    """Return null with the error that memory.py words."""
    _add(f, "failures", 1)
    number = f.call("PyLong_FromUnsignedLongLong", "ptr", nbytes)
    decref(f, f.call("PyObject_CallOneArg", "ptr", named(f, "exhausted"), number))
    decref(f, number)
    f.ret(f.constant("ptr", 0))
