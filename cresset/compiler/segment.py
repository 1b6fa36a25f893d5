"""Segments: stretches of a tape, each as one program.

The launches between two calls of Python become the steps of one program. What is made and dropped
within it lies in one block of memory, whose plan is made from the lifetimes.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any, NamedTuple

from cresset.capture.tape import Launched, Memory, Place, raise_fault
from cresset.compiler.loop_fusion import Launch as FusedLaunch
from cresset.compiler.loop_fusion import fused
from cresset.ops import dispatch
from cresset.runtime.heap import block_bytes
from cresset.runtime.program import STATUS, Program, joined

# Temporaries begin at multiples of this: a line of the cache.
ALIGNMENT = 64
# The part of a block that cutting it in two has to save.
WORTH = 0.05
# What numbers are added to: a value that is zero.
NOTHING = "nothing"


class Launch(NamedTuple):
    """Launches of a tape that are one in a program, and the number of steps that they became."""

    entries: tuple[Launched, ...]
    steps: int


class Room(NamedTuple):
    """A value of so many bytes that is free until a launch, and what is laid there: (begin, end,
    first launch, last launch).
    """

    nbytes: int
    until: int
    value: int
    laid: list[tuple[int, int, int, int]]

    def place(self, size: int, first: int, last: int) -> int | None:
        """Lay something where those that live with it leave room, as low as can be, if it can."""
        if last >= self.until:
            return None
        at = 0
        for begin, end, born, dead in self.laid:
            if born <= last and first <= dead and at < end and begin < at + size:
                at = end
        if at + size > self.nbytes:
            return None
        self.laid.append((at, at + size, first, last))
        self.laid.sort()
        return at

    def cut(self, size: int) -> int:
        """Where to cut the first `size` bytes in two, through nothing that is laid there, so that
        the allocator takes least for both; 0 where that saves little.
        """
        cuts, clear = [0], 0
        for begin, end, _, _ in self.laid:
            if begin >= clear > 0:
                cuts.append(begin)
            clear = max(clear, end)
        best = min(cuts, key=lambda cut: block_bytes(cut) * (cut > 0) + block_bytes(size - cut))
        taken = block_bytes(best) + block_bytes(size - best)
        return best if taken <= (1 - WORTH) * block_bytes(size) else 0


class Segment(NamedTuple):
    """A program over memories: `launch(None, *tensors over inputs)` makes those of `outputs`.

    `launches` are what its steps do, in order; `places` are where each memory lies: its place in
    the value table, and the bytes behind that. `peak` is the size of the block that temporaries lie
    in; `held` are those that live when most do, the largest first: bytes, and the line that made
    them.
    """

    program: Program
    inputs: tuple[Memory, ...]
    outputs: tuple[Memory, ...]
    launches: tuple[Launch, ...]
    places: dict[Memory, tuple[int, int]]
    peak: int
    held: list[tuple[int, tuple[str, int] | None]]

    def launcher(self):
        """The builtin that runs the program; it raises Fault where elements are at fault."""
        program = self.program
        if program.explain is not None:
            program = program._replace(explain=raise_fault)
        return dispatch.make_launcher(program)

    def __str__(self):
        made = sum(m.nbytes for m in self.outputs)
        joined = sum(len(launch.entries) for launch in self.launches if len(launch.entries) > 1)
        fused = f" ({joined} operations fused)" if joined else ""
        return (f"{counted(len(self.program.steps), 'launch')}{fused}, makes "
                f"{counted(len(self.outputs), 'tensor')} of {made:,} bytes, {self.peak:,} bytes of "
                "temporaries at once")


def counted(n: int, what: str) -> str:
    """So many of something in words."""
    plural = what + ("es" if what.endswith("ch") else "s")
    return f"{n:,} {what if n == 1 else plural}"


def segment(
    entries: Sequence[Launched], before: set[Memory], after: set[Memory],
    offsets: dict[Memory, int], alone: bool = False,
) -> Segment:
    """The segment of some launches in order.

    Memories in `before` are there when it begins, those in `after` are used when it has ended;
    `offsets` are the bytes of a memory before the first element of the tensor that it comes as.
    One that is a program `alone` may have temporaries where an output will be, and two blocks.
    """
    return _Builder(entries, before, after, offsets, alone).segment()


class _Builder:
    """Builds a segment over values that are numbered as they are met: memories, rooms, nothing."""

    def __init__(self, entries, before, after, offsets, alone):
        self.entries = entries
        self.alone = alone
        made: list[Memory] = []
        new: set[Memory] = set()
        found: dict[Memory, str] = {}
        for entry in entries:
            made += entry.results
            new.update(entry.results)
            for letter, a in zip(entry.program.inputs, entry.arguments):
                if isinstance(a, Place):
                    if a.memory.made and not (a.memory in before or a.memory in new):
                        # A new tensor without elements.
                        made.append(a.memory)
                        new.add(a.memory)
                    if letter == "w" or a.memory not in found:
                        found[a.memory] = letter
        self.inputs = tuple(m for m in found if m not in new)
        self.letters = "n" + "".join(found[m] for m in self.inputs)
        self.outputs = tuple(m for m in made if m in after)
        count = len(self.outputs)
        # Where values lie: places in the value table of the program, and bytes behind them.
        self.places: dict[Any, tuple[int, int]] = {NOTHING: (count, 0)}
        self.places.update({m: (k, 0) for k, m in enumerate(self.outputs)})
        for k, m in enumerate(self.inputs):
            self.places[m] = (count + 1 + k, -offsets.get(m, 0))
        self.arena = count + len(self.letters)
        # The values by number, temporaries too: memories, and the rooms of programs, (k, j).
        self.values: list[Any] = list(self.places)
        self.numbers = {value: k for k, value in enumerate(self.values)}
        # The temporaries: bytes, the first and the last launch, and what each is.
        self.wanted: list[tuple[int, int, int, Any]] = []

    def segment(self) -> Segment:
        staying = set(range(len(self.values)))
        launches = fused(
            [launch for k, entry in enumerate(self.entries) for launch in self._launches(k, entry)],
            staying,
        )
        blocks = self._lay_out(launches)
        explained = []
        shown: list[tuple[tuple[int, ...], int]] = []
        for place, launch in enumerate(launches):
            if shown and shown[-1][0] == launch.entries:
                shown[-1] = launch.entries, shown[-1][1] + 1
                continue
            shown.append((launch.entries, 1))
            explain = self.entries[launch.entries[0]].program.explain
            if explain is not None:
                explained.append((place, explain))
        layouts = tuple(m.layout for m in self.outputs if m.layout is not None)
        table = [self.places.get(value, (STATUS, 0)) for value in self.values]
        steps = tuple(launch.step.over(table.__getitem__) for launch in launches)
        program = Program(self.letters, layouts, steps, blocks, joined(explained))
        places = {value: at for value, at in self.places.items() if isinstance(value, Memory)}
        return Segment(
            program, self.inputs, self.outputs,
            tuple(Launch(tuple(self.entries[k] for k in group), count) for group, count in shown),
            places, sum(blocks), self._held(launches),
        )

    # --- launches over numbered values ------------------------------------------------------------
    def _number(self, value) -> int:
        number = self.numbers.get(value)
        if number is None:
            number = self.numbers[value] = len(self.values)
            self.values.append(value)
        return number

    def _launches(self, k: int, entry: Launched):
        """The steps of a launch, over values by their numbers."""
        program = entry.program
        own = [*entry.results, *((k, j) for j in range(len(program.temporaries)))]
        written = {self._number(value) for value in own}
        table = [(self._number(m), 0) for m in entry.results]
        for letter, a in zip(program.inputs, entry.arguments):
            table.append(self._value(letter, a))
            if letter == "w":
                written.add(table[-1][0])
        table += [(self._number((k, j)), 0) for j in range(len(program.temporaries))]
        # What may find faults, or is done in turns, stays together.
        pinned = program.explain is not None or any(step.rounds for step in program.steps)
        nothing = self.numbers[NOTHING]
        everything = frozenset(number for number, _ in table) - {nothing}
        if program.explain is not None:
            # What lasts and is written after a fault might be found is not written before.
            everything |= {
                self.numbers[m] for m, letter in zip(self.inputs, self.letters[1:])
                if letter == "w"
            }
        for step in program.steps:
            step = step.over(table.__getitem__)
            met = everything if pinned else frozenset(step.operands) - {STATUS, nothing}
            yield FusedLaunch(step, met, met & written, (k,), pinned)

    def _value(self, letter: str, a) -> tuple[int, int]:
        """The number of an input, and what is added to it. A number is added to nothing."""
        if isinstance(a, Place):
            return self._number(a.memory), a.offset
        nothing = self.numbers[NOTHING]
        if letter == "d":
            return nothing, struct.unpack("q", struct.pack("d", a))[0]
        return nothing, 0 if letter == "n" else int(a)

    # --- places -----------------------------------------------------------------------------------
    def _lay_out(self, launches) -> tuple[int, ...]:
        """Give every temporary its place: where an output will be, if it dies before that is made,
        else in a block. Returns the bytes of the blocks.
        """
        lives: dict[int, list[int]] = {}
        for k, launch in enumerate(launches):
            for number in launch.reads | launch.writes:
                lives.setdefault(number, [k, k])[1] = k
        for number, (first, last) in lives.items():
            value = self.values[number]
            if value in self.places:
                continue
            if isinstance(value, Memory):
                nbytes = value.nbytes
            else:
                k, j = value
                nbytes = self.entries[k].program.temporaries[j]
            self.wanted.append((nbytes, first, last, value))
        rooms = [
            Room(_aligned(m.nbytes), lives[self.numbers[m]][0], k, [])
            for k, m in enumerate(self.outputs) if self.alone and self.numbers[m] in lives
        ]
        block = Room(1 << 62, len(launches), self.arena, [])
        # The largest first, each as low as those that live with it leave room.
        for nbytes, first, last, value in sorted(self.wanted, key=lambda w: -w[0]):
            for room in (*rooms, block):
                at = room.place(_aligned(nbytes), first, last)
                if at is not None:
                    self.places[value] = (room.value, at)
                    break
        self.wanted = [w for w in self.wanted if self.places[w[-1]][0] == self.arena]
        size = max((end for _, end, _, _ in block.laid), default=0)
        cut = block.cut(size) if self.alone else 0
        if not cut:
            return (size,) if size else ()
        for *_, value in self.wanted:
            _, at = self.places[value]
            if at >= cut:
                self.places[value] = (self.arena + 1, at - cut)
        return cut, size - cut

    def _held(self, launches) -> list[tuple[int, tuple[str, int] | None]]:
        """The temporaries that live at the launch at which they take most memory."""
        living: list[list] = [[] for _ in launches]
        for nbytes, first, last, _ in self.wanted:
            line = self.entries[launches[first].entries[-1]].line
            for k in range(first, last + 1):
                living[k].append((nbytes, line))
        most = max(living, key=lambda held: sum(nbytes for nbytes, _ in held), default=[])
        return sorted(most, key=lambda held: -held[0])


def _aligned(nbytes: int) -> int:
    return -(-nbytes // ALIGNMENT) * ALIGNMENT
