"""ELF objects: reading what LLVM wrote.

`read(data)` checks every offset against the data before it is used, so that a damaged object is an
error and nothing worse. Sources: the System V ABI, chapters 4 and 5 (object files), and LLVM's
conventions for 64-bit little-endian machines.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

X86_64 = 62
AARCH64 = 183

_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_SECTION = struct.Struct("<IIQQQQIIQQ")
_SYMBOL = struct.Struct("<IBBHQQ")
_RELOCATION = struct.Struct("<QQq")
_MAGIC = b"\x7fELF\x02\x01"  # 64 bits, little-endian
_MOST_BYTES = 1 << 24  # of a section; no kernel comes near

RELOCATABLE = 1  # the object file type
PROGRAM, SYMBOLS, STRINGS, ADDENDED, ZEROS, PLAIN = 1, 2, 3, 4, 8, 9  # section types
WRITABLE, ALLOCATED, EXECUTABLE, THREAD_LOCAL = 1, 2, 4, 0x400  # section flags
UNDEFINED, ABSOLUTE, COMMON = 0, 0xFFF1, 0xFFF2  # section numbers of symbols


class LoadError(ValueError):
    """An object that cannot be loaded: damaged, for another machine, or with unknown symbols."""


class Section(NamedTuple):
    """A section that takes part in the loaded program."""

    flags: int
    align: int
    size: int
    data: bytes | None  # None for zeros


class Symbol(NamedTuple):
    """A name; `section` is UNDEFINED for what has to be found elsewhere."""

    name: str
    section: int
    value: int
    public: bool


class Relocation(NamedTuple):
    """A place in a section to be patched with the address of a symbol."""

    section: int
    offset: int
    kind: int
    symbol: int
    addend: int


class Object(NamedTuple):
    """The parts of an object that loading needs; sections by their number in the file."""

    machine: int
    sections: dict[int, Section]
    symbols: list[Symbol]
    relocations: list[Relocation]


def read(data: bytes) -> Object:
    """Read a relocatable object.

    Raises LoadError when the data is not one, is cut short, or contradicts itself.
    """
    try:
        return _read(data)
    except (struct.error, IndexError, UnicodeDecodeError) as error:
        raise LoadError(f"load: the object is damaged: {error}; make it anew") from None


def _read(data):
    magic, type, machine, _, _, _, start, _, _, _, _, width, count, _ = _HEADER.unpack_from(data)
    if magic[:6] != _MAGIC or type != RELOCATABLE or width != _SECTION.size:
        raise LoadError("load: not a relocatable 64-bit little-endian ELF object")
    _within(data, start, width * count)
    headers = [_SECTION.unpack_from(data, start + width * k) for k in range(count)]
    sections: dict[int, Section] = {}
    symbols: list[Symbol] = []
    relocations: list[Relocation] = []
    for number, (_, type, flags, _, offset, size, link, target, align, _) in enumerate(headers):
        if type != ZEROS:
            _within(data, offset, size)
        if flags & ALLOCATED and type in (PROGRAM, ZEROS):
            if flags & THREAD_LOCAL:
                raise LoadError("load: thread-local data is not supported; pass it by address")
            if align > 4096 or align & (align - 1) or size > _MOST_BYTES:
                raise LoadError(f"load: section {number} has alignment {align} and size {size}")
            content = None if type == ZEROS else data[offset : offset + size]
            sections[number] = Section(flags, max(align, 1), size, content)
        elif type == SYMBOLS:
            names = headers[link]
            symbols = _symbols(data[offset : offset + size], data[names[4] : names[4] + names[5]])
        elif type == ADDENDED:
            for place, info, addend in _RELOCATION.iter_unpack(data[offset : offset + size]):
                kind, symbol = info & 0xFFFFFFFF, info >> 32
                relocations.append(Relocation(target, place, kind, symbol, addend))
        elif type == PLAIN:
            raise LoadError("load: relocations without addends are not used on this machine")
    return Object(machine, sections, symbols, relocations)


def _symbols(table, names):
    symbols = []
    for name, info, _, section, value, _ in _SYMBOL.iter_unpack(table):
        end = names.find(b"\0", name)
        if end < 0:
            raise LoadError("load: a symbol's name does not end")
        symbols.append(Symbol(names[name:end].decode(), section, value, info >> 4 != 0))
    return symbols


def _within(data, offset, size):
    if offset + size > len(data):
        raise LoadError(f"load: the object is cut short at {len(data)} of {offset + size} bytes")
