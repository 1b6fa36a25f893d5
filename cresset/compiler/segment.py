"""Segments: stretches of a tape, each as one program.

The launches between two calls of Python become the steps of one program. What is made and dropped
within it lies in one block of memory, whose plan is made from the lifetimes.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import NamedTuple

from cresset.capture.tape import Launched, Memory, Place
from cresset.ops import dispatch
from cresset.runtime.program import STATUS, Program, Step, joined

# Temporaries begin at multiples of this: a line of the cache.
ALIGNMENT = 64


class Launch(NamedTuple):
    """Launches of a tape that are one in a program, and the number of steps that they became."""

    entries: tuple[Launched, ...]
    steps: int


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
        """The builtin that runs the program."""
        return dispatch.make_launcher(self.program)

    def __str__(self):
        made = sum(m.nbytes for m in self.outputs)
        return (f"{counted(len(self.program.steps), 'launch')}, makes "
                f"{counted(len(self.outputs), 'tensor')} of {made:,} bytes, {self.peak:,} bytes of "
                "temporaries at once")


def counted(n: int, what: str) -> str:
    """So many of something in words."""
    plural = what + ("es" if what.endswith("ch") else "s")
    return f"{n:,} {what if n == 1 else plural}"


def segment(
    entries: Sequence[Launched], before: set[Memory], after: set[Memory], offsets: dict[Memory, int]
) -> Segment:
    """The segment of some launches in order.

    Memories in `before` are there when it begins, those in `after` are used when it has ended;
    `offsets` are the bytes of a memory before the first element of the tensor that it comes as.
    """
    return _Builder(entries, before, after, offsets).segment()


class _Builder:
    def __init__(self, entries, before, after, offsets):
        self.entries = entries
        made: list[Memory] = []
        found: dict[Memory, str] = {}
        # The first and the last launch that each memory is used by.
        self.lives: dict[Memory, list[int]] = {}
        for k, entry in enumerate(entries):
            for memory in entry.results:
                made.append(memory)
                self.lives[memory] = [k, k]
            for letter, a in zip(entry.program.inputs, entry.arguments):
                if not isinstance(a, Place):
                    continue
                if a.memory not in self.lives:
                    self.lives[a.memory] = [k, k]
                    if a.memory.made and a.memory not in before:
                        # A new tensor without elements.
                        made.append(a.memory)
                self.lives[a.memory][1] = k
                if letter == "w" or a.memory not in found:
                    found[a.memory] = letter
        new = set(made)
        self.inputs = tuple(m for m in found if m not in new)
        self.letters = "n" + "".join(found[m] for m in self.inputs)
        self.outputs = tuple(m for m in made if m in after)
        self.temporaries = [m for m in made if m not in after]
        count = len(self.outputs)
        self.nothing = count
        self.places = {m: (k, 0) for k, m in enumerate(self.outputs)}
        for k, m in enumerate(self.inputs):
            self.places[m] = (count + 1 + k, -offsets.get(m, 0))
        self.arena = count + len(self.letters)
        # The temporaries: bytes, the first and the last launch, and what each is.
        self.wanted: list[tuple[int, int, int, object]] = []

    def segment(self) -> Segment:
        peak = self._lay_out()
        steps: list[Step] = []
        launches: list[Launch] = []
        explained = []
        for k, entry in enumerate(self.entries):
            if entry.program.explain is not None:
                explained.append((len(steps), entry.program.explain))
            placed = self._placed(k, entry)
            launches.append(Launch((entry,), len(placed)))
            steps += placed
        layouts = tuple(m.layout for m in self.outputs if m.layout is not None)
        room = (peak,) if peak else ()
        program = Program(self.letters, layouts, tuple(steps), room, joined(explained))
        return Segment(
            program, self.inputs, self.outputs, tuple(launches), self.places, peak, self._held()
        )

    def _held(self) -> list[tuple[int, tuple[str, int] | None]]:
        """The temporaries that live at the launch at which they take most memory."""
        living: list[list] = [[] for _ in self.entries]
        for nbytes, first, last, _ in self.wanted:
            for k in range(first, last + 1):
                living[k].append((nbytes, self.entries[first].line))
        most = max(living, key=lambda held: sum(nbytes for nbytes, _ in held), default=[])
        return sorted(most, key=lambda held: -held[0])

    def _lay_out(self) -> int:
        """Give every temporary its place in the block; returns the block's size."""
        wanted = self.wanted
        for m in self.temporaries:
            first, last = self.lives[m]
            wanted.append((m.nbytes, first, last, m))
        for k, entry in enumerate(self.entries):
            for j, nbytes in enumerate(entry.program.temporaries):
                wanted.append((nbytes, k, k, (k, j)))
        peak = 0
        laid: list[tuple[int, int, int, int]] = []
        self.rooms: dict = {}
        # The largest first, each as low as those that live with it leave room.
        for nbytes, first, last, what in sorted(wanted, key=lambda w: -w[0]):
            size = -(-nbytes // ALIGNMENT) * ALIGNMENT
            at = 0
            for begin, end, born, dead in laid:
                if born <= last and first <= dead and at < end and begin < at + size:
                    at = end
            laid.append((at, at + size, first, last))
            laid.sort()
            peak = max(peak, at + size)
            if isinstance(what, Memory):
                self.places[what] = (self.arena, at)
            else:
                self.rooms[what] = (self.arena, at)
        return peak

    def _placed(self, k: int, entry: Launched) -> list[Step]:
        """The steps of a launch over the values of this program."""
        table = [self.places[m] for m in entry.results]
        for letter, a in zip(entry.program.inputs, entry.arguments):
            table.append(self._value(letter, a))
        table += [self.rooms[k, j] for j in range(len(entry.program.temporaries))]
        placed = []
        for step in entry.program.steps:
            moves = step.moves or ((0, 0),) * len(step.operands)
            operands, moved = [], []
            for p, (begin, stride) in zip(step.operands, moves):
                place, offset = (STATUS, 0) if p == STATUS else table[p]
                operands.append(place)
                moved.append((begin + offset, stride))
            placed.append(step._replace(operands=tuple(operands), moves=tuple(moved)))
        return placed

    def _value(self, letter: str, a) -> tuple[int, int]:
        """The place of an input, and what is added to it. A number is added to nothing."""
        if isinstance(a, Place):
            place, offset = self.places[a.memory]
            return place, offset + a.offset
        if letter == "d":
            return self.nothing, struct.unpack("q", struct.pack("d", a))[0]
        return self.nothing, 0 if letter == "n" else int(a)
