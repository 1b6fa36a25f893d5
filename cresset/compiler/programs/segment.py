"""Segments: stretches of a tape, each as one program.

The launches between two calls of Python become the steps of one program. What is made and dropped
within it lies in one block of memory, whose plan is made from the lifetimes.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any, NamedTuple

from cresset.capture.tape import Launched, Memory, Place, raise_fault
from cresset.compiler.programs import arena
from cresset.compiler.programs.arena import Temporary
from cresset.compiler.programs.fast_math import loosened
from cresset.compiler.programs.loop_fusion import Launch as FusedLaunch
from cresset.compiler.programs.loop_fusion import fused
from cresset.compiler.programs.order import eased
from cresset.compiler.programs.recompute import recomputed
from cresset.ops import dispatch
from cresset.runtime.program import STATUS, Program, joined

# What numbers are added to: a value that is zero.
NOTHING = "nothing"


class Launch(NamedTuple):
    """Launches of a tape that are one in a program, and the number of steps that they became.

    What is made `again` has been made before, and lies elsewhere now.
    """

    entries: tuple[Launched, ...]
    steps: int
    again: bool


class Another(NamedTuple):
    """A value like another one, told apart by a number."""

    value: Any
    number: int


class Segment(NamedTuple):
    """A program over memories: `launch(None, *tensors over inputs)` makes those of `outputs`.

    The floats `given` are inputs behind these. `launches` are what its steps do, in order; `places`
    are where each memory lies: its place in the value table, and the bytes behind that. `peak` is
    the size of the block that temporaries lie in; `held` are those that live when most do, the
    largest first: bytes, and the line that made them.
    """

    program: Program
    inputs: tuple[Memory, ...]
    given: tuple[float, ...]
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
    offsets: dict[Memory, int], alone: bool = False, given: Sequence[float] = (),
    fast_math: bool = False,
) -> Segment:
    """The segment of some launches in order.

    Memories in `before` are there when it begins, those in `after` are used when it has ended;
    `offsets` are the bytes of a memory before the first element of the tensor that it comes as.
    One that is a program `alone` may have temporaries where an output will be, and two blocks.
    Floats that are one of those `given`, and not only equal to it, are inputs. With `fast_math`
    expressions are rewritten as for real numbers.
    """
    return _Builder(entries, before, after, offsets, alone, given).segment(fast_math)


class _Builder:
    """Builds a segment over values that are numbered as they are met: nothing first, memories,
    given numbers by their identity, rooms.
    """

    def __init__(self, entries, before, after, offsets, alone, given):
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
        taken = {id(a) for entry in entries for a in entry.arguments}
        self.given = tuple(x for x in given if id(x) in taken)
        self.letters = "n" + "".join(found[m] for m in self.inputs) + "d" * len(self.given)
        self.outputs = tuple(m for m in made if m in after)
        count = len(self.outputs)
        # Where values lie: places in the value table of the program, and bytes behind them.
        self.places: dict[Any, tuple[int, int]] = {NOTHING: (count, 0)}
        self.places.update({m: (k, 0) for k, m in enumerate(self.outputs)})
        for k, m in enumerate(self.inputs):
            self.places[m] = (count + 1 + k, -offsets.get(m, 0))
        for k, x in enumerate(self.given, start=count + 1 + len(self.inputs)):
            self.places[id(x)] = (k, 0)
        self.arena = count + len(self.letters)
        # The values by number, temporaries too: memories, and the rooms of programs, (k, j).
        self.values: list[Any] = list(self.places)
        self.numbers = {value: k for k, value in enumerate(self.values)}
        # Values that are no memory, which nothing reads or writes.
        self.words = {self.numbers[NOTHING], *(self.numbers[id(x)] for x in self.given)}
        self.wanted: list[Temporary] = []
        # The launches, by their number, that may find elements at fault.
        self.checked: set[int] = set()

    def segment(self, fast_math: bool) -> Segment:
        staying = set(range(len(self.values)))
        launches = [
            launch for k, entry in enumerate(self.entries) for launch in self._launches(k, entry)
        ]
        if fast_math:
            # Before for what becomes an epilogue, and after for what has come together.
            launches = loosened(fused(loosened(launches), staying))
        else:
            launches = fused(launches, staying)
        if self.alone:
            outputs = {self.numbers[m]: m.nbytes for m in self.outputs}
            launches = recomputed(launches, self._temporaries(), outputs, self._another)
        launches = eased(launches, self._temporaries())
        blocks = self._lay_out(launches)
        explained = []
        shown: list[tuple[tuple[int, ...], int, bool]] = []
        for place, launch in enumerate(launches):
            if shown and shown[-1][::2] == (launch.entries, launch.again):
                shown[-1] = launch.entries, shown[-1][1] + 1, launch.again
                continue
            shown.append((launch.entries, 1, launch.again))
            first = launch.entries[0]
            explain = self.entries[first].program.explain
            if first in self.checked and explain is not None:
                explained.append((place, explain))
        layouts = tuple(m.layout for m in self.outputs if m.layout is not None)
        table = [self.places.get(value, (STATUS, 0)) for value in self.values]
        steps = tuple(launch.step.over(table.__getitem__) for launch in launches)
        program = Program(self.letters, layouts, steps, blocks, joined(explained))
        places = {value: at for value, at in self.places.items() if isinstance(value, Memory)}
        return Segment(
            program, self.inputs, self.given, self.outputs,
            tuple(
                Launch(tuple(self.entries[k] for k in group), count, again)
                for group, count, again in shown
            ),
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
        steps = [step.over(table.__getitem__) for step in program.steps]
        # Numbers that are known fit their types at every play, as they did when it was recorded.
        known = {STATUS, self.numbers[NOTHING]}
        steps = [
            step for step in steps
            if STATUS not in step.operands or not known.issuperset(step.operands)
        ]
        checked = any(STATUS in step.operands for step in steps)
        if checked:
            self.checked.add(k)
        # What may find faults, or is done in turns, stays together; what is given an integer may
        # take it for an address, as that of a generator's state.
        pinned = checked or any(
            step.rounds or step.nest is None and "i" in program.inputs for step in steps
        )
        everything = frozenset(number for number, _ in table) - self.words
        if checked:
            # What lasts and is written after a fault might be found is not written before.
            everything |= {
                self.numbers[m] for m, letter in zip(self.inputs, self.letters[1:])
                if letter == "w"
            }
        for step in steps:
            met = everything if pinned else frozenset(step.operands) - {STATUS, *self.words}
            yield FusedLaunch(step, met, met & written, (k,), pinned)

    def _value(self, letter: str, a) -> tuple[int, int]:
        """The number of an input, and what is added to it. A number is added to nothing."""
        if isinstance(a, Place):
            return self._number(a.memory), a.offset
        if id(a) in self.numbers:
            return self.numbers[id(a)], 0
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
            self.wanted.append(Temporary(self._nbytes(value), first, last, value))
        made = [lives.get(self.numbers[m], (0,))[0] for m in self.outputs]
        outputs = [(m.nbytes, until) for m, until in zip(self.outputs, made)]
        plan = arena.plan(self.wanted, outputs, self.alone)
        count = len(outputs)
        # Behind the outputs the table of values has the inputs, then the blocks.
        for value, (room, at) in plan.places.items():
            self.places[value] = (room if room < count else self.arena + room - count, at)
        self.wanted = [w for w in self.wanted if plan.places[w.value][0] >= count]
        return plan.blocks

    def _temporaries(self) -> dict[int, int]:
        """The bytes of the temporaries by their numbers."""
        return {
            number: self._nbytes(value) for number, value in enumerate(self.values)
            if value not in self.places
        }

    def _another(self, number: int) -> int:
        """The number of another temporary of the same size."""
        return self._number(Another(self.values[number], len(self.values)))

    def _nbytes(self, value) -> int:
        if isinstance(value, Another):
            return self._nbytes(value.value)
        if isinstance(value, Memory):
            return value.nbytes
        k, j = value
        return self.entries[k].program.temporaries[j]

    def _held(self, launches) -> list[tuple[int, tuple[str, int] | None]]:
        """The temporaries that live at the launch at which they take most memory."""
        living = arena.in_use((w[:3] for w in self.wanted), len(launches))
        most = max(range(len(living)), key=living.__getitem__, default=0)
        held = [
            (nbytes, self.entries[launches[first].entries[-1]].line)
            for nbytes, first, last, _ in self.wanted if first <= most <= last
        ]
        return sorted(held, key=lambda one: -one[0])
