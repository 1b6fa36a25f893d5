"""The random number generator: a state of mt19937 in memory that kernels draw from.

The stream, its seeding and the exchanged form of the state are those of PyTorch's CPU generator
(Matsumoto and Nishimura, "Mersenne Twister", ACM TOMACS 8(1), 1998). This file owns the layout of
the state; what is drawn from it is the business of `cresset.kernels.random`.
"""

from __future__ import annotations

import ctypes
import os
import struct

from cresset.core.device import device as Device

WORDS = 624  # of 32 bits, in a block of the stream
# Where the parts of a state lie, in bytes. POSITION is the number of words used of the present
# block, 0 where no block was made since the seeding. CACHED tells whether NORMAL holds the second
# value of a pair of which the first was used. MIRROR and TEMPERED are room for kernels.
SEED, POSITION, NORMAL, CACHED, BLOCK = 0, 8, 16, 24, 64
MIRROR = BLOCK + 4 * WORDS
TEMPERED = MIRROR + 4 * 256
BYTES = TEMPERED + 4 * (WORDS + 64)

DEFAULT_SEED = 67280421310721
# The exchanged form: seed, words left + 1, seeded, next word, the words in 8 bytes each; three
# doubles of which the second is the cached normal; whether there is one; a float32 never cached.
EXCHANGED = struct.Struct(f"<QiiQ{WORDS}QdddQQ")


class Generator:
    """A stream of random numbers with a state of its own; `address` is where the state lies.

    The same seed gives the same numbers as in PyTorch on the CPU. `device` must be the CPU.
    `get_state()` and `set_state(state)` exchange the state as a tensor of bytes, which PyTorch
    takes and gives as well.

    >>> generator = Generator().manual_seed(7)
    >>> generator.initial_seed()
    7
    """

    __slots__ = ("__weakref__", "_memory", "address", "device")

    def __init__(self, device: str | Device = "cpu"):
        if Device(device) != Device("cpu"):
            raise RuntimeError(
                f"Generator: there are generators for the CPU alone; got device {str(device)!r}; "
                "need 'cpu'; leave the argument out"
            )
        self._memory = (ctypes.c_uint8 * BYTES)()
        self.address = ctypes.addressof(self._memory)
        self.device = Device(device)
        self.manual_seed(DEFAULT_SEED)

    def manual_seed(self, seed: int) -> Generator:
        """Start the stream of `seed` anew; returns the generator itself.

        The seed is taken modulo 2**64, and the stream depends on its low 32 bits. Raises ValueError
        outside -2**63 .. 2**64 - 1, RuntimeError unless it is an integer.
        """
        try:
            number = seed.__index__()
        except (AttributeError, TypeError):
            raise RuntimeError(
                f"manual_seed: the seed must be an integer; got {type(seed).__name__}; "
                "convert it with int(seed)"
            ) from None
        if not -(1 << 63) <= number < 1 << 64:
            raise ValueError(
                f"manual_seed: the seed is out of range; got {number}; "
                "need one in -2**63 .. 2**64 - 1; take it modulo 2**64"
            )
        number &= (1 << 64) - 1
        word = number & 0xFFFFFFFF
        words = [word]
        for k in range(1, WORDS):
            word = (1812433253 * (word ^ (word >> 30)) + k) & 0xFFFFFFFF
            words.append(word)
        self._fill(number, 0, words, 0.0, False)
        return self

    def seed(self) -> int:
        """Seed from the system's source of randomness; returns the seed."""
        number = int.from_bytes(os.urandom(8), "little")
        self.manual_seed(number)
        return number

    def initial_seed(self) -> int:
        """The seed that the stream started from."""
        return struct.unpack_from("<Q", self._memory, SEED)[0]

    def state_bytes(self) -> bytes:
        """The state in PyTorch's form: 5056 bytes."""
        seed, position, normal, cached = struct.unpack_from("<QQdQ", self._memory, SEED)
        words = struct.unpack_from(f"<{WORDS}I", self._memory, BLOCK)
        left = WORDS + 1 - position if position else 1
        normal = normal if cached else 0.0
        return EXCHANGED.pack(seed, left, 1, position, *words, 0.0, normal, 0.0, cached, 0)

    def restore(self, state) -> None:
        """Take the state over from the bytes that `state_bytes` gave, or PyTorch.

        Raises RuntimeError unless they are 5056 bytes that hold a possible state.
        """
        state = bytes(state)
        if len(state) != EXCHANGED.size:
            raise RuntimeError(
                f"set_state: the state has the wrong size; got {len(state)} bytes; "
                f"need {EXCHANGED.size}; pass what get_state() returned"
            )
        seed, left, seeded, position, *rest = EXCHANGED.unpack(state)
        words, (_, normal, _, cached, _) = rest[:WORDS], rest[WORDS:]
        fresh = position == 0 and left == 1
        if not seeded or max(words) >> 32 or not (fresh or 0 < position == WORDS + 1 - left):
            raise RuntimeError(
                "set_state: these bytes are no state of mt19937; "
                f"got {left} words left at position {position}; pass what get_state() returned"
            )
        self._fill(seed, position, words, normal, cached & 0xFF != 0)

    def clone_state(self) -> Generator:
        """A new generator in the state of this one."""
        twin = Generator(self.device)
        twin.restore(self.state_bytes())
        return twin

    def _fill(self, seed, position, words, normal, cached):
        struct.pack_into("<QQdQ", self._memory, SEED, seed, position, normal, cached)
        struct.pack_into(f"<{WORDS}I", self._memory, BLOCK, *words)

    def __reduce__(self):
        return _restored, (self.state_bytes(),)

    def __repr__(self) -> str:
        return f"Generator(device={str(self.device)!r}, seed={self.initial_seed()})"


def _restored(state):
    generator = Generator()
    generator.restore(state)
    return generator


default_generator = Generator()
default_generator.seed()
