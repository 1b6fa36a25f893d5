"""Watching words of memory: whether hundreds of Python objects are as they were, in a microsecond.

What an object says by a pointer of its own, a slot of a tensor or what a cell holds, is one word in
memory, and so is the version of a dict, which CPython counts up at every write (PEP 509). The
emitted builtin `unchanged()` compares such words with what they were.
"""

from __future__ import annotations

import ctypes
import struct
import sys
import types
from collections.abc import Mapping
from functools import cache
from typing import Any

from cresset.core.tensor import Tensor
from cresset.runtime.ir import Module
from cresset.runtime.objects import HEAD, constant, item, offsets, words


def write(module: Module) -> None:
    """Add `ptr unchanged(self, nothing)`: True while all words are what they were. METH_NOARGS."""
    f = module.function("unchanged", [("ptr", "self"), ("ptr", "nothing")], "ptr")
    table = words(f, item(f, f.arguments[0], 0))
    with f.loop(0, f.load("i64", table)) as index:
        entry = f.offset(table, index * 3 + 1, "i64")
        address, content, same = (f.load("i64", f.offset(entry, k, "i64")) for k in range(3))
        word = f.load("i64", f.convert(address, "ptr"))
        with f.leave(word.eq(content).ne(same.ne(0))):
            f.ret(constant(f, "False"))
    f.ret(constant(f, "True"))


class Word:
    """A word in memory, `offset` bytes into an object, which is kept alive.

    It may be anything but `unlike`, or if that is None has to stay what it is.
    """

    __slots__ = ("address", "owner", "unlike")

    def __init__(self, owner: Any, offset: int, unlike: int | None = None):
        self.owner = owner
        self.address = id(owner) + offset
        self.unlike = unlike

    def __eq__(self, other):
        return type(other) is Word and (
            (self.address, self.unlike) == (other.address, other.unlike)
        )

    def __hash__(self):
        return hash(self.address)

    def content(self) -> int:
        """What stands there now, or must not."""
        if self.unlike is not None:
            return self.unlike
        return ctypes.c_uint64.from_address(self.address).value


def in_slot(owner: Tensor, name: str, filled: bool = False) -> Word:
    """The word that is a slot of a tensor, which stays what it is, or only not None."""
    return Word(owner, offsets()[f"Tensor.{name}"], id(None) if filled else None)


def in_cell(cell: types.CellType) -> Word:
    """The word that is what a cell holds."""
    return Word(cell, HEAD)


def in_dict(owner: Any) -> Word | None:
    """The word that changes whenever a dict does; None where this Python has none (3.13 on)."""
    offset = _version_offset()
    return None if offset is None else Word(owner, offset)


def pack(watched: Mapping[Word, int]) -> tuple:
    """The `self` of `unchanged`, for words and what they should be."""
    table = [len(watched)]
    for word, content in watched.items():
        table += [word.address, content, word.unlike is None]
    return struct.pack(f"<{len(table)}Q", *table), tuple(watched)


@cache
def _version_offset() -> int | None:
    """Where a dict has its version: the one word that another value of a key changes."""
    if sys.version_info >= (3, 13):
        # Not every write is counted any longer (PEP 699).
        return None
    instance = types.SimpleNamespace(key=0)
    found = {_changed(owner) for owner in ({"key": 0}, vars(instance), vars(_Plain()))}
    return found.pop() if len(found) == 1 else None


class _Plain:
    """An object whose dict shares its keys with others."""

    def __init__(self):
        self.key = 0


def _changed(owner: dict) -> int | None:
    def look():
        return struct.unpack(
            f"<{dict.__basicsize__ // 8}Q", ctypes.string_at(id(owner), dict.__basicsize__)
        )

    before = look()
    again = look()
    owner["key"] = 1
    after = look()
    places = [k for k, pair in enumerate(zip(before, after)) if pair[0] != pair[1]]
    return places[0] * 8 if before == again and len(places) == 1 else None

