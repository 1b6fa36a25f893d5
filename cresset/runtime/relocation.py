"""Relocations: patching machine code with the addresses that are known once it has a place.

One table per machine. Each entry computes the number to store from S (the symbol's address), A (the
addend) and P (the place's own address), and says how it is stored. Sources: the System V ABI's
AMD64 supplement, section 4.4, and "ELF for the Arm 64-bit Architecture", section 5.7.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from cresset.runtime.elf import AARCH64, X86_64, LoadError

PAGE = ~0xFFF


def _plain(bits, signed):
    """Store the number in whole, little-endian."""
    low, high = (-(1 << bits - 1), 1 << bits - 1) if signed else (0, 1 << bits)
    form = {32: "<I", 64: "<Q"}[bits]
    mask = (1 << bits) - 1

    def store(memory, offset, number):
        if bits < 64 and not low <= number < high:
            raise LoadError(f"load: a {bits}-bit reference cannot reach {number:#x}")
        struct.pack_into(form, memory, offset, number & mask)

    return store


def _field(width, position, shift=0, signed=True, checked=True):
    """Store bits `shift` and up of the number in a field of a 4-byte instruction."""
    mask = (1 << width) - 1

    def store(memory, offset, number):
        if number & ((1 << shift) - 1):
            raise LoadError(f"load: the address {number:#x} is not aligned to {1 << shift}")
        low, high = (-(1 << width - 1), 1 << width - 1) if signed else (0, 1 << width)
        number >>= shift
        if checked and not low <= number < high:
            raise LoadError(f"load: a {width}-bit reference cannot reach {number:#x}")
        word = struct.unpack_from("<I", memory, offset)[0] & ~(mask << position)
        struct.pack_into("<I", memory, offset, word | (number & mask) << position)

    return store


def _low_bits(shift):
    """Store bits `shift`..11 of an address in the 12-bit immediate of an add or a load."""
    store = _field(12 - shift, 10, shift, checked=False)
    return lambda memory, offset, number: store(memory, offset, number & 0xFFF)


def _page(memory, offset, number):
    """Store an ADRP's distance in pages, 21 bits in two fields."""
    number >>= 12
    if not -(1 << 20) <= number < 1 << 20:
        raise LoadError(f"load: a page {number:#x} pages away is out of reach")
    word = struct.unpack_from("<I", memory, offset)[0] & ~0x60FFFFE0
    word |= (number & 3) << 29 | (number >> 2 & 0x7FFFF) << 5
    struct.pack_into("<I", memory, offset, word)


def _move(group):
    """Store 16 bits of an address in a MOVZ or MOVK."""
    store = _field(16, 5, signed=False)
    return lambda memory, offset, number: store(memory, offset, number >> 16 * group & 0xFFFF)


def absolute(S, A, P):
    return S + A


def relative(S, A, P):
    return S + A - P


def paged(S, A, P):
    return ((S + A) & PAGE) - (P & PAGE)


# What a relocation refers to: the symbol itself, a function that may be reached through a stub, or
# the table slot that holds the symbol's address.
SYMBOL, CALL, SLOT = range(3)

Rule = tuple[int, Callable, Callable]  # refers to, number, store

RULES: dict[int, dict[int, Rule]] = {
    X86_64: {
        1: (SYMBOL, absolute, _plain(64, False)),  # 64
        2: (SYMBOL, relative, _plain(32, True)),  # PC32
        4: (CALL, relative, _plain(32, True)),  # PLT32
        9: (SLOT, relative, _plain(32, True)),  # GOTPCREL
        10: (SYMBOL, absolute, _plain(32, False)),  # 32
        11: (SYMBOL, absolute, _plain(32, True)),  # 32S
        24: (SYMBOL, relative, _plain(64, True)),  # PC64
        41: (SLOT, relative, _plain(32, True)),  # GOTPCRELX
        42: (SLOT, relative, _plain(32, True)),  # REX_GOTPCRELX
    },
    AARCH64: {
        257: (SYMBOL, absolute, _plain(64, False)),  # ABS64
        258: (SYMBOL, absolute, _plain(32, False)),  # ABS32
        260: (SYMBOL, relative, _plain(64, True)),  # PREL64
        261: (SYMBOL, relative, _plain(32, True)),  # PREL32
        264: (SYMBOL, absolute, _move(0)),  # MOVW_UABS_G0_NC
        266: (SYMBOL, absolute, _move(1)),  # MOVW_UABS_G1_NC
        268: (SYMBOL, absolute, _move(2)),  # MOVW_UABS_G2_NC
        269: (SYMBOL, absolute, _move(3)),  # MOVW_UABS_G3
        273: (SYMBOL, relative, _field(19, 5, 2)),  # LD_PREL_LO19
        275: (SYMBOL, paged, _page),  # ADR_PREL_PG_HI21
        277: (SYMBOL, absolute, _low_bits(0)),  # ADD_ABS_LO12_NC
        278: (SYMBOL, absolute, _low_bits(0)),  # LDST8_ABS_LO12_NC
        279: (SYMBOL, relative, _field(14, 5, 2)),  # TSTBR14
        280: (SYMBOL, relative, _field(19, 5, 2)),  # CONDBR19
        282: (CALL, relative, _field(26, 0, 2)),  # JUMP26
        283: (CALL, relative, _field(26, 0, 2)),  # CALL26
        284: (SYMBOL, absolute, _low_bits(1)),  # LDST16_ABS_LO12_NC
        285: (SYMBOL, absolute, _low_bits(2)),  # LDST32_ABS_LO12_NC
        286: (SYMBOL, absolute, _low_bits(3)),  # LDST64_ABS_LO12_NC
        299: (SYMBOL, absolute, _low_bits(4)),  # LDST128_ABS_LO12_NC
        311: (SLOT, paged, _page),  # ADR_GOT_PAGE
        312: (SLOT, absolute, _low_bits(3)),  # LD64_GOT_LO12_NC
    },
}

# A jump to the 8-byte address that follows it.
STUBS = {
    X86_64: bytes.fromhex("ff2502000000 9090"),  # jmp [rip + 2]; padding
    AARCH64: bytes.fromhex("50000058 00021fd6"),  # ldr x16, #8; br x16
}
