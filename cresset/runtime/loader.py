"""The loader: machine code from object bytes into memory.

LLVM is needed to make objects, not to run them; a program whose kernels are all in the cache never
loads it. Memory is written first and made executable afterwards, never both at once. What is loaded
stays for the life of the process.
"""

from __future__ import annotations

import ctypes
import mmap
import struct
import sys
from collections.abc import Mapping
from functools import cache

from cresset.runtime import elf
from cresset.runtime.elf import AARCH64, X86_64, LoadError, Object, read
from cresset.runtime.relocation import CALL, RULES, SLOT, STUBS
from cresset.runtime.target import host

_FAILED = ctypes.c_void_p(-1).value
# Libraries beside the process itself in which compiled code may find what it calls.
_LIBRARIES = (None, "libm.so.6", "libgcc_s.so.1")


def load(data: bytes, symbols: Mapping[str, int] | None = None) -> dict[str, int]:
    """Place an object in memory; the addresses of its public functions and data by name.

    Undefined names are looked up in `symbols`, then in the process: CPython's API, the C library.

    Raises LoadError when the object is damaged, made for another machine, or needs a name that is
    not found.
    """
    code = read(data)
    machine = X86_64 if host().triple.startswith("x86") else AARCH64
    if code.machine != machine:
        raise LoadError(f"load: the object is for machine {code.machine}; this one is {machine}")
    return place(code, symbols or {})


def place(code: Object, symbols: Mapping[str, int]) -> dict[str, int]:
    """Lay the object out in fresh memory, patch it, and make its code executable."""
    plan = _Plan(code, symbols)
    base = _map(plan.size)
    try:
        image = plan.image(base)
        ctypes.memmove(base, bytes(image), len(image))
        _protect(base, plan.fixed)
    except BaseException:
        _libc().munmap(base, plan.size)
        raise
    return plan.public(base)


class _Plan:
    """Where everything of an object goes, relative to a base that is not known yet.

    Code, constants, the stubs and the table of far addresses come first and become read-only
    (`fixed` bytes); data that may be written follows on pages of its own.
    """

    def __init__(self, code, symbols):
        self.code = code
        self.far = self._find_far(symbols)
        self.places = {}
        end = 0
        for written in (False, True):
            if written:
                self.stubs = _align(end, 8)
                self.slots = self.stubs + len(self.stubbed) * self.stub_bytes
                self.fixed = end = _align(self.slots + 8 * len(self.slotted), mmap.PAGESIZE)
            for number, section in code.sections.items():
                if bool(section.flags & elf.WRITABLE) == written:
                    self.places[number] = end = _align(end, section.align)
                    end += section.size
        self.size = max(_align(end, mmap.PAGESIZE), mmap.PAGESIZE)

    @property
    def stub_bytes(self):
        return len(STUBS[self.code.machine]) + 8

    def _find_far(self, symbols):
        """Addresses of the names that other objects define; which need stubs and table slots."""
        code = self.code
        rules = RULES.get(code.machine)
        if rules is None:
            raise LoadError(f"load: objects for machine {code.machine} are not understood")
        self.stubbed: dict[int, int] = {}
        self.slotted: dict[int, int] = {}
        far: dict[int, int] = {}
        for section, _, kind, number, _ in code.relocations:
            if section not in code.sections:
                continue  # debugging and unwinding tables
            if kind not in rules or number >= len(code.symbols):
                raise LoadError(f"load: relocation {kind} of symbol {number} is not understood")
            symbol = code.symbols[number]
            refers = rules[kind][0]
            if refers == SLOT:
                self.slotted.setdefault(number, len(self.slotted))
            if symbol.section == elf.UNDEFINED and number not in far:
                far[number] = _find(symbol.name, symbols)
            if refers == CALL and number in far:
                self.stubbed.setdefault(number, len(self.stubbed))
        return far

    def _address(self, number, base):
        if number in self.far:
            return self.far[number]
        symbol = self.code.symbols[number]
        if symbol.section == elf.ABSOLUTE:
            return symbol.value
        return base + self._place(symbol)

    def _place(self, symbol):
        """Where a symbol of this object lies, relative to the base."""
        section = self.code.sections.get(symbol.section)
        if section is None or symbol.value > section.size:
            raise LoadError(f"load: symbol {symbol.name!r} lies in no section that is loaded")
        return self.places[symbol.section] + symbol.value

    def image(self, base):
        """The bytes to put at `base`, with every relocation applied."""
        code = self.code
        image = bytearray(self.size)
        for number, section in code.sections.items():
            if section.data is not None:
                at = self.places[number]
                image[at : at + section.size] = section.data
        stub = STUBS[code.machine]
        for number, index in self.stubbed.items():
            at = self.stubs + index * self.stub_bytes
            image[at : at + self.stub_bytes] = stub + struct.pack("<Q", self.far[number])
        for number, index in self.slotted.items():
            struct.pack_into("<Q", image, self.slots + 8 * index, self._address(number, base))
        whole, rules = memoryview(image), RULES[code.machine]
        for section, offset, kind, number, addend in code.relocations:
            if section not in code.sections:
                continue
            start = self.places[section]
            part = whole[start : start + code.sections[section].size]
            refers, compute, store = rules[kind]
            if refers == SLOT:
                target = base + self.slots + 8 * self.slotted[number]
            elif refers == CALL and number in self.stubbed:
                target = base + self.stubs + self.stubbed[number] * self.stub_bytes
            else:
                target = self._address(number, base)
            try:
                store(part, offset, compute(target, addend, base + start + offset))
            except (struct.error, OverflowError):
                raise LoadError(
                    f"load: a relocation lies outside its section, at {offset}"
                ) from None
        return image

    def public(self, base):
        return {
            symbol.name: base + self._place(symbol)
            for symbol in self.code.symbols
            if symbol.public and symbol.name and symbol.section in self.places
        }


def _align(offset, to):
    return (offset + to - 1) & -to


def _find(name, symbols):
    address = symbols.get(name)
    if address is None:
        address = _exported(name)
    if address is None:
        raise LoadError(f"load: nothing defines {name!r}; pass its address among the symbols")
    return address


@cache
def _exported(name: str) -> int | None:
    """The address of a function or datum of this process's libraries, None where there is none."""
    for library in _LIBRARIES:
        try:
            found = ctypes.c_char.in_dll(_library(library), name)
        except (ValueError, OSError):
            continue
        return ctypes.addressof(found)
    return None


@cache
def _library(name):
    return ctypes.CDLL(name)


@cache
def _libc():
    libc = ctypes.CDLL(None, use_errno=True)
    size, number, pointer = ctypes.c_size_t, ctypes.c_int, ctypes.c_void_p
    libc.mmap.restype = pointer
    libc.mmap.argtypes = [pointer, size, number, number, number, ctypes.c_int64]
    libc.mprotect.argtypes = [pointer, size, number]
    libc.munmap.argtypes = [pointer, size]
    return libc


def _map(size):
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
    access = mmap.PROT_READ | mmap.PROT_WRITE
    base = _libc().mmap(None, size, access, flags, -1, 0)
    if base is None or base == _FAILED:
        raise MemoryError(f"load: no memory for {size} bytes of machine code")
    return base


def _protect(base, size):
    """Make code executable and no longer writable."""
    if size == 0:
        return
    if _libc().mprotect(base, size, mmap.PROT_READ | mmap.PROT_EXEC):
        raise OSError(
            ctypes.get_errno(),
            "load: the system refuses to make memory executable; "
            "allow it for this process (SELinux execmem, PaX mprotect)",
        )
    if sys.platform == "darwin":
        # Linux does this itself when it changes the protection.
        ctypes.CDLL(None).sys_icache_invalidate(ctypes.c_void_p(base), ctypes.c_size_t(size))
