"""Arenas: where the temporaries of a program lie, planned from first and last uses.

They lie in a block, each as low as those that were laid before and live with it leave room: the
largest first, or those that are large for long, or those that are used last, whichever takes least.
What dies before an output is made may lie where that will be, which the program has from the start.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate
from typing import Any, NamedTuple

from cresset.runtime.heap import block_bytes

# Temporaries begin at multiples of this: a line of the cache.
ALIGNMENT = 64
# The part of a block that cutting it in two has to save.
WORTH = 0.01


class Temporary(NamedTuple):
    """Something of so many bytes that is used from the launch `first` to the launch `last`."""

    nbytes: int
    first: int
    last: int
    value: Any


# The orders in which temporaries are laid; for each there are programs for which it is the best.
ORDERS: tuple[Callable[[Temporary], tuple[int, ...]], ...] = (
    lambda t: (-t.nbytes, t.last),
    lambda t: (-t.nbytes, -t.last),
    lambda t: (-t.nbytes * (t.last - t.first + 1),),
    lambda t: (-t.last, -t.nbytes),
)


class Plan(NamedTuple):
    """Where temporaries lie: (the number of a room, bytes behind its start) of each value.

    Rooms are numbered from 0 on, first those given, then the `blocks`, of which there are the
    bytes.
    """

    places: dict[Any, tuple[int, int]]
    blocks: tuple[int, ...]

    def taken(self) -> int:
        """The bytes that the allocator takes for the blocks."""
        return sum(map(block_bytes, self.blocks))


class Room:
    """So many bytes that are free until a launch, and what is laid there:
    (begin, end, first launch, last launch).
    """

    def __init__(self, nbytes: int, until: int, number: int):
        self.nbytes = nbytes
        self.until = until
        self.number = number
        self.laid: list[tuple[int, int, int, int]] = []

    def place(self, size: int, first: int, last: int) -> int | None:
        """Lay something as low as can be, if it can."""
        at = 0
        for begin, end, born, dead in self.laid:
            if begin >= at + size:
                break
            if born <= last and first <= dead and at < end:
                at = end
        if at + size > self.nbytes:
            return None
        insort(self.laid, (at, at + size, first, last))
        return at

    def cut(self, size: int) -> int:
        """Where to cut the first `size` bytes in two, through nothing that is laid there, so that
        the allocator takes least for both; 0 where that saves little.
        """
        cuts, clear = [size], 0
        for begin, end, _, _ in self.laid:
            if begin >= clear > 0:
                cuts.append(begin)
            clear = max(clear, end)
        best = min(cuts, key=lambda cut: block_bytes(cut) + block_bytes(size - cut))
        taken = block_bytes(best) + block_bytes(size - best)
        return best if taken <= (1 - WORTH) * block_bytes(size) else 0


def plan(
    wanted: Sequence[Temporary], outputs: Sequence[tuple[int, int]], alone: bool
) -> Plan:
    """A place for every temporary.

    `outputs` are the bytes of the rooms that are given and the launches that make what is there at
    last; with `alone` temporaries may lie there before, and the block may be cut in two.
    """
    plans = [_plan(sorted(wanted, key=order), outputs, alone) for order in ORDERS]
    return min(plans, key=Plan.taken)


def _plan(wanted, outputs, alone) -> Plan:
    rooms = [Room(aligned(n), until, k) for k, (n, until) in enumerate(outputs) if alone]
    # What is free for longest is left to what needs it so long.
    rooms.sort(key=lambda room: room.until)
    block = Room(1 << 62, 1 << 62, len(outputs))
    places = {}
    for nbytes, first, last, value in wanted:
        size = aligned(nbytes)
        for room in (*rooms, block):
            if last < room.until and size <= room.nbytes:
                at = room.place(size, first, last)
                if at is not None:
                    places[value] = room.number, at
                    break
    size = max((end for _, end, _, _ in block.laid), default=0)
    cut = block.cut(size) if alone else 0
    if not cut:
        return Plan(places, (size,) if size else ())
    for value, (number, at) in places.items():
        if number == block.number and at >= cut:
            places[value] = number + 1, at - cut
    return Plan(places, (cut, size - cut))


def in_use(lives: Iterable[tuple[int, int, int]], count: int) -> list[int]:
    """The bytes in use at each of so many launches, of (bytes, first launch, last launch)."""
    change = [0] * (count + 1)
    for nbytes, first, last in lives:
        change[first] += nbytes
        change[last + 1] -= nbytes
    return list(accumulate(change[:count]))


def aligned(nbytes: int) -> int:
    return -(-nbytes // ALIGNMENT) * ALIGNMENT
