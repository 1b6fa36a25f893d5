"""Rounds: recorded stretches put together as one program, in which some are run in turns.

Each stretch is planned by itself, as a segment; stretches share the block that their temporaries
lie in. What one hands to another lies in a block of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from cresset.capture.tape import Launched, Memory, Place
from cresset.compiler.programs.segment import Segment, segment
from cresset.core.layout import Layout
from cresset.ops import dispatch
from cresset.runtime.program import Program, Round, Step, joined

# Turns of a round that only its flag ends.
ENDLESS = 1 << 62
# The block of the temporaries of all stretches.
BLOCK = "block"
NOTHING = "nothing"


class Rounds:
    """A program of stretches; `own` are the memories that are made in it.

    `stands` says of a memory as part of what other one it comes, how many bytes further.
    """

    def __init__(self, own: Iterable[Memory], stands: Mapping[Memory, tuple[Any, int]]):
        self.own = set(own)
        self.stands = stands
        self.steps: list[Step] = []
        self.depths: list[int] = []
        self.explained: list[tuple[int, Callable]] = []
        # The values of the program, numbered as they are met.
        self.values: dict[Any, int] = {}
        self.overwritten: set[Memory] = set()
        self.block = 0

    def _number(self, value) -> int:
        return self.values.setdefault(value, len(self.values))

    def add(self, part: Segment):
        """Run a stretch at this point."""
        program = part.program
        table = [self._number(m) for m in (*part.outputs, NOTHING, *part.inputs)]
        if program.temporaries:
            (peak,) = program.temporaries
            self.block = max(self.block, peak)
            table.append(self._number(BLOCK))
        self.overwritten.update(
            m for m, letter in zip(part.inputs, program.inputs[1:]) if letter == "w"
        )
        if program.explain is not None:
            self.explained.append((len(self.steps), program.explain))
        for step in program.steps:
            self.steps.append(step.over(lambda value: (table[value], 0))._replace(nest=None))
        self.depths += depths(program.steps)

    @contextmanager
    def turns(
        self, count: int, flag: Place | None = None, wanted: bool = True,
        moving: Mapping[Memory, int] | None = None,
    ):
        """Run what is added inside in turns: so many, or while a flag is as it is wanted.

        `moving` says of memories how many bytes further they lie in every turn.
        """
        begun = len(self.steps)
        yield
        count_of_steps = len(self.steps) - begun
        if not count_of_steps:
            return
        strides = {self._number(m): stride for m, stride in (moving or {}).items()}
        for k in range(begun, len(self.steps)):
            step, depth = self.steps[k], self.depths[k]
            step = _moving(step, depth, strides)
            # Rounds that begin here, the innermost of which is around the step alone.
            rounds = []
            for level, round in enumerate(step.rounds, start=depth - len(step.rounds)):
                if round.flag is not None:
                    value, behind, *inner = round.flag
                    inner = [*inner, *(0,) * level][:level]
                    round = round._replace(flag=(value, behind, *inner, strides.get(value, 0)))
                rounds.append(round)
            self.steps[k] = step._replace(rounds=tuple(rounds))
            self.depths[k] += 1
        told = None if flag is None else (self._number(flag.memory), flag.offset)
        round = Round(count_of_steps, count, told, wanted)
        self.steps[begun] = self.steps[begun]._replace(
            rounds=(round, *self.steps[begun].rounds)
        )

    def program(self, outputs: Mapping[Any, Layout]) -> tuple[Program, list[Memory]]:
        """The program that makes what `outputs` says, as tensors of layouts; what it is given."""
        values = list(self.values)
        found = dict.fromkeys(self._origin(value)[0] for value in values)
        others = [x for x in found if x not in outputs and x not in (NOTHING, BLOCK)]
        inside = [x for x in others if x in self.own]
        given = [x for x in others if x not in self.own]
        blocks = [BLOCK] * bool(self.block)
        order = [*outputs, NOTHING, *given, *inside, *blocks]
        places = {value: k for k, value in enumerate(order)}

        def find(number):
            origin, behind = self._origin(values[number])
            return places[origin], behind

        program = Program(
            "n" + "".join("w" if m in self.overwritten else "t" for m in given),
            tuple(outputs.values()),
            tuple(step.over(find) for step in self.steps),
            (*(m.nbytes for m in inside), *[self.block] * len(blocks)),
            joined(self.explained),
        )
        return program, given

    def _origin(self, value) -> tuple[Any, int]:
        return self.stands.get(value, (value, 0))


def _moving(step: Step, depth: int, strides: Mapping[int, int]) -> Step:
    """A step that is in so many rounds in another one, in which values move by `strides`."""
    moves = tuple(
        (begin, *[*inner, *(0,) * depth][:depth], strides.get(value, 0))
        for value, (begin, *inner) in zip(step.operands, step.moves or ())
    )
    return step._replace(
        moves=moves, epilogue=step.epilogue and _moving(step.epilogue, depth, strides))


def planned(entries: Sequence[Launched], made: set[Memory], staying: set[Memory]) -> Segment:
    """The segment of a stretch that makes some memories, of which some are used after it."""
    met = {a.memory for e in entries for a in e.arguments if isinstance(a, Place)}
    tape = dispatch.tape
    loose = tape is not None and tape.fast_math
    return segment(entries, met - made, staying, {}, fast_math=loose)


def depths(steps: Sequence[Step]) -> list[int]:
    """How many rounds each step is in."""
    found = [0] * len(steps)
    for k, step in enumerate(steps):
        for round in step.rounds:
            for inside in range(k, k + round.steps):
                found[inside] += 1
    return found
