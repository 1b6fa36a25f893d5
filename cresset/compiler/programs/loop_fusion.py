"""Loop fusion: loop nests that follow one another in a program, done as one.

A nest joins an earlier one where both run over the same points, in whichever dims, and at every
point need of each other what the other does at that point alone. What the first writes is then at
hand in registers, and need not be written where nobody else reads it. A fold takes in the
elementwise nests before it; elementwise nests over what it keeps follow in the same launch, and so
do folds over the same rows, in the same pass where they need nothing of the first.

Joining changes no bit: numbers are rounded to their types as they were in memory, and where the
order would change in which a fold meets its elements, nothing is joined.
"""

from __future__ import annotations

import struct
from collections.abc import Container, Mapping, Sequence
from typing import NamedTuple

from cresset.compiler.programs.joining import (
    as_run,
    as_stated,
    in_memory_order,
    joined,
    keeps_order,
    repeats,
    without_unread,
)
from cresset.kernels.epilogue import BOX, is_plain, reads_box, with_epilogue
from cresset.kernels.nest import Nest, launch, outputs, settled
from cresset.runtime.plan import is_shared
from cresset.runtime.program import STATUS, Step

# The value that numbers are added to which are known.
NOTHING = 0
# Steps back that a nest looks for one to join.
LOOK_BACK = 8
# Bytes of a kernel's result from which loops become its epilogue: what that saves of moving less
# has to be worth that the loops are compiled for it.
LEAST_BYTES = 1 << 20


class Launch(NamedTuple):
    """A step over the values of one table, and which of these it reads and writes.

    `entries` are the places of what it does in the recording. What is `pinned` stays as it is; what
    is made `again` has been made before.
    """

    step: Step
    reads: frozenset[int]
    writes: frozenset[int]
    entries: tuple[int, ...]
    pinned: bool = False
    again: bool = False

    def over(self, value: int, other: int) -> Launch:
        """The launch with another value in place of one."""
        names = {value: other}
        return self._replace(
            step=self.step.over(lambda v: (names.get(v, v), 0)),
            reads=frozenset(names.get(v, v) for v in self.reads),
            writes=frozenset(names.get(v, v) for v in self.writes),
        )

    def meets(self, other: Launch) -> bool:
        """Whether one of them writes what the other reads or writes."""
        return not (
            self.writes.isdisjoint(other.reads) and self.writes.isdisjoint(other.writes)
            and self.reads.isdisjoint(other.writes)
        )


def fused(launches: Sequence[Launch], staying: set[int]) -> list[Launch]:
    """The launches with nests joined; values in `staying` are read after the last of them."""
    fusion = _Fusion(launches, staying)
    for number, entry in enumerate(launches):
        fusion.take(number, entry)
    read = set(staying)
    finished: list[Launch] = []
    for candidate in reversed(fusion.done):
        made = candidate.launch(read)
        if made is not None:
            read |= made.reads
            finished.append(made)
    return finished[::-1]


class _Fusion:
    """Launches that are taken in order and joined to those before, where they can be."""

    def __init__(self, launches: Sequence[Launch], staying: set[int]):
        # The last launch that uses each value.
        self.last = {value: k for k, entry in enumerate(launches) for value in entry.reads}
        self.last.update(dict.fromkeys(staying, len(launches)))
        self.done: list[_Candidate] = []

    def take(self, number: int, entry: Launch):
        """Take the launch of this number, which follows those taken."""
        self.done.append(_Candidate(entry))
        at: int | None = len(self.done) - 1
        while at is not None:
            at = self._join(at, number)

    def _join(self, at: int, number: int) -> int | None:
        """Join a launch to the latest before it that it can join; returns where both are then.

        Either it comes earlier, or the other later, past all that are between them.
        """
        candidate = self.done[at]
        if candidate.nest is None or candidate.tiled:
            return None
        between: list[Launch] = []
        for k in range(at - 1, max(at - LOOK_BACK, 0) - 1, -1):
            earlier = self.done[k]
            if earlier.nest is not None and _shares(earlier.entry, candidate.entry):
                comes = not any(entry.meets(candidate.entry) for entry in between)
                goes = not any(entry.meets(earlier.entry) for entry in between)
                behind = [*between, *(other.entry for other in self.done[at + 1 :])]
                read = _Read(self.last, number, behind)
                if (comes or goes) and earlier.join(candidate, read):
                    del self.done[at]
                    if not comes:
                        self.done.insert(at - 1, self.done.pop(k))
                    return k if comes else at - 1
            between.append(earlier.entry)
        return None


class _Read(Container[int]):
    """The values that are read `behind` two launches, the later of which is that `number`."""

    def __init__(self, last: Mapping[int, int], number: int, behind: Sequence[Launch]):
        self.last, self.number, self.behind = last, number, behind

    def __contains__(self, value) -> bool:
        return self.last[value] > self.number or any(value in e.reads for e in self.behind)


class _Candidate:
    """A launch that others may join; `nest` is None where none can.

    Where it begins with a kernel that makes boxes, `tiled` is the launch of that alone, and the
    nest is what is done with them.
    """

    def __init__(self, entry: Launch):
        self.entry = entry
        self.nest = None if entry.pinned else located(entry.step)
        self.tiled = None
        tiled = None if entry.pinned else entry.step.tiled
        if tiled is not None and tiled.nbytes >= LEAST_BYTES:
            self.tiled, self.nest = entry, _stored(entry.step)

    def join(self, other: _Candidate, read: Container[int]) -> bool:
        """Take in a launch that follows, where that can be; returns whether it could.

        `read` are the values that are read when both have been.
        """
        assert self.nest is not None and other.nest is not None
        nest = joined(self.nest, other.nest, read)
        if nest is None:
            return False
        if self.tiled is not None:
            if not self._takes(nest, other):
                return False
        elif any(map(is_shared, (self.entry.step, other.entry.step))):
            if not is_shared(launch(nest)):
                return False
        a, b = self.entry, other.entry
        self.entry = Launch(
            a.step, a.reads | b.reads, a.writes | b.writes, (*a.entries, *b.entries)
        )
        self.nest = nest
        return True

    def _takes(self, nest: Nest, other: _Candidate) -> bool:
        """Whether a nest, in which another launch is, can be the epilogue of the kernel."""
        assert self.tiled is not None
        step = self.tiled.step
        if nest.folds or (is_shared(other.entry.step) and not is_shared(step)):
            return False
        # What is written must not be what boxes that are still to come are made of.
        if not self._made_of.isdisjoint(nest.operands[k].place for k in outputs(nest.body)):
            return False
        return with_epilogue(step, nest) is not None

    @property
    def _made_of(self) -> set[int]:
        """What the kernel that makes boxes reads."""
        assert self.tiled is not None
        step = self.tiled.step
        return {place for k, place in enumerate(step.operands) if k != step.tiled.operand}

    def launch(self, read: set[int]) -> Launch | None:
        """The launch, without the stores of what nobody reads; `read` is what later ones read."""
        if not self.entry.pinned and self.entry.writes.isdisjoint(read):
            return None
        if len(self.entry.entries) == 1 or self.nest is None:
            return self.entry
        nest = without_unread(self.nest, read)
        if nest is None:
            return None
        if not keeps_order(self.nest, nest) or repeats(nest) > repeats(self.nest):
            nest = self.nest
        made_of: set[int] = set()
        if self.tiled is None or not reads_box(nest):
            step = launch(as_run(nest))
        elif is_plain(nest):
            return self.tiled
        else:
            made_of = self._made_of
            made = with_epilogue(self.tiled.step, nest)
            assert made is not None
            step = made
        written = set(outputs(nest.body))
        arrays = [(k, o.place) for k, o in enumerate(nest.operands)
                  if o.strides is not None and o.place != BOX]
        return self.entry._replace(
            step=step,
            reads=frozenset(made_of.union(place for k, place in arrays if k not in written)),
            writes=frozenset(place for k, place in arrays if k in written),
        )


def _shares(first: Launch, second: Launch) -> bool:
    return not (first.reads | first.writes).isdisjoint(second.reads | second.writes)


def located(step: Step) -> Nest | None:
    """The nest of a step over the values that it is run over; None where it cannot be joined."""
    nest = step.nest
    if nest is None or step.rounds or STATUS in step.operands or 0 in nest.shape:
        return None
    if nest.folds:
        nest = settled(nest)
    moves = iter(step.moves or ((0, 0),) * len(step.operands))
    places = iter(step.operands)
    found = []
    for o in nest.operands:
        if o.part:
            return None
        if o.value is None:
            place, (begin, *_) = next(places), next(moves)
            if o.strides is None and place != NOTHING:
                o = o._replace(place=place)
            elif o.strides is None:
                o = o._replace(place=-1, value=_number(begin, o.number))
            else:
                start, rest = divmod(begin, o.dtype.itemsize)
                if rest:
                    return None
                o = o._replace(place=place, offset=o.offset + start)
        found.append(o)
    return in_memory_order(as_stated(nest._replace(operands=tuple(found))))


def _stored(step: Step) -> Nest | None:
    """The store of a kernel that makes boxes, as a nest."""
    tiled = step.tiled
    begin = step.moves[tiled.operand][0] if step.moves else 0
    start, rest = divmod(begin, tiled.dtype.itemsize)
    if rest or step.rounds:
        return None
    return in_memory_order(tiled.stored(step.operands[tiled.operand], start))


def _number(word: int, kind: str) -> float | int:
    return struct.unpack("d", struct.pack("q", word))[0] if kind == "d" else word
