"""`scan` as a program of rounds, and the way back through it as another one.

The way forward keeps what the way back reads, one turn behind the other. The way back takes the
turns in the other order; what the gradients of one tensor in all turns come to grows in place.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

from cresset.autograd.mode import mode
from cresset.autograd.node import Leaf, alias
from cresset.autograd.record import live
from cresset.capture.tape import Aside, Memory, Tape
from cresset.compiler.control_flow.gradients import (
    Arriving,
    Backward,
    Way,
    led,
    node_of,
    way_back,
)
from cresset.compiler.control_flow.recorded import (
    Unrecorded,
    added,
    copies,
    emptied,
    read,
    room,
    run_over,
    stacked,
    stand_in,
    stretch,
    written,
)
from cresset.compiler.control_flow.rounds import Rounds
from cresset.compiler.programs.arena import aligned
from cresset.core.dtype import uint8
from cresset.core.layout import Layout
from cresset.core.tensor import Tensor


class Turn(NamedTuple):
    """One turn, recorded aside, over tensors that stand for what is carried and for the slices."""

    carry: list[Tensor]
    slices: list[Tensor]
    aside: Aside

    @property
    def results(self) -> list[Tensor]:
        carry, ys = self.aside.result
        return [*carry, *ys]


class Stack(NamedTuple):
    """A result of the program in which that of every turn has its place."""

    name: str
    number: int


class Path(NamedTuple):
    """Where something lies in the first turn, in what, and how many bytes further in every other.
    """

    memory: Memory
    origin: Any
    begin: int
    stride: int

    def back(self, turns: int) -> Path:
        """The same in the other order."""
        return self._replace(begin=self.begin + (turns - 1) * self.stride, stride=-self.stride)


class Saved(NamedTuple):
    """Something of every turn that is kept for the way back, and where.

    It is what is carried into the turn, in a `room`, of which there is a `copy`; or is made in it.
    """

    path: Path
    copy: Tensor | None
    room: Tensor | None


def record_scan(
    tape: Tape, turn: Callable, init: Sequence[Tensor], xs: Sequence[Tensor], turns: int, dim: int,
    reverse: bool,
) -> tuple[list[Tensor], list[Tensor]]:
    """What is carried after so many turns along `dim`, and the stacked results.

    `turn(carry, slices)` does one of them, and returns what is carried on and the results.
    """
    return _Recorder(tape, init, xs, turns, dim, reverse).scan(turn)


class _Recorder:
    def __init__(self, tape, init, xs, turns, dim, reverse):
        self.tape = tape
        self.init, self.xs = init, xs
        self.turns, self.dim, self.reverse = turns, dim, reverse
        # What is carried lies here in every turn.
        self.rooms = [room(x.layout) for x in init]

    def _memory(self, x: Tensor) -> Memory:
        return self.tape.place(x).memory

    def _along(self, x: Tensor, origin) -> Path:
        """The path of something of which there is one at every index of a stack."""
        path = Path(self._memory(x), origin, 0, x.layout.nbytes)
        return path.back(self.turns) if self.reverse else path

    # --- forward ----------------------------------------------------------------------------------
    def scan(self, function) -> tuple[list[Tensor], list[Tensor]]:
        begin = copies(self.tape, zip(self.rooms, self.init))
        turn = self._recorded(function)
        carry, ys = turn.aside.result
        wanted = [x.requires_grad for x in turn.results]
        way = arriving = None
        saved: list[Saved] = []
        node = node_of(turn.results)
        if node is not None:
            arriving = [room(x.layout) for x in turn.results if x.requires_grad]
            way = way_back(self.tape, node, arriving, turn.aside.wrote)
            saved = self._saved(turn, way)
        places = [room(y.layout) for y in ys]
        ends = [
            copies(self.tape, ((one.copy, one.room) for one in saved if one.copy is not None)),
            copies(self.tape, zip(places, ys)),
            copies(self.tape, zip(self.rooms, carry)),
        ]
        paths = [*self._slices(turn), *(one.path for one in saved)]
        paths += [self._along(x, Stack("result", k)) for k, x in enumerate(places)]
        rounds = _rounds(paths)
        rounds.add(stretch([begin]))
        with rounds.turns(self.turns, moving=_moving(paths)):
            rounds.add(stretch([turn.aside, *ends], {one.path.memory for one in saved}))
        backward = None if way is None else self._backward(turn, way, arriving, saved)
        outputs: dict[Any, Layout] = {self._memory(x): x.layout for x in self.rooms}
        for k, x in enumerate(places):
            outputs[Stack("result", k)] = stacked(x.layout, self.turns)
        for one in saved:
            size = one.path.stride * self.turns
            outputs[one.path.origin] = Layout.packed((size,), uint8)
        program, given = rounds.program(outputs)
        made = run_over(program, "scan", given)
        results = list(made[: len(wanted)])
        if backward is not None:
            leading = backward.node("Scan", dict(zip(outputs, made)))
            results = led(leading, results, wanted)
        return results[: len(carry)], results[len(carry) :]

    def _recorded(self, function) -> Turn:
        """One turn, recorded as those after the first are."""
        first = self.turns - 1 if self.reverse else 0
        slices = [stand_in(self.tape, alias(x).select(self.dim, first)) for x in self.xs]
        for x, given in zip(slices, self.xs):
            if mode.enabled and given.requires_grad:
                x.history = Leaf(x)
        tracked = [mode.enabled and x.requires_grad for x in self.init]
        while True:
            carry = list(map(alias, self.rooms))
            for x, wanted in zip(carry, tracked):
                x.history = Leaf(x) if wanted else None
            aside = self.tape.aside(function, carry, slices, fixed=[*carry, *slices, *self.xs])
            turn = Turn(carry, slices, aside)
            following = [
                wanted or x.requires_grad for x, wanted in zip(turn.aside.result[0], tracked)
            ]
            if following == tracked:
                return turn
            # What requires no gradients at first does from the second turn on.
            tracked = following

    def _slices(self, turn: Turn) -> list[Path]:
        """The paths of the slices."""
        paths = []
        for x, part in zip(self.xs, turn.slices):
            stride = x.layout.strides[self.dim] * x.layout.dtype.itemsize
            path = Path(self._memory(part), self._memory(x), 0, stride)
            paths.append(path._replace(stride=-stride) if self.reverse else path)
        return paths

    def _saved(self, turn: Turn, way: Way) -> list[Saved]:
        """What is kept of every turn for the way back."""
        met = read(way.entries)
        found: list[Saved] = []

        def keep(memory, copy=None, carried=None):
            size = aligned(max(memory.nbytes, 1))
            path = Path(memory, Stack("saved", len(found)), 0, size)
            found.append(Saved(path, copy, carried))

        for memory in self.tape.memories:
            if memory in met and memory in turn.aside.made:
                keep(memory)
        for x in self.rooms:
            if self._memory(x) in met:
                copy = room(x.layout)
                keep(self._memory(copy), copy, x)
        return found

    # --- backward ---------------------------------------------------------------------------------
    def _backward(self, turn: Turn, way: Way, arriving, saved: Sequence[Saved]) -> Backward:
        tape, turns = self.tape, self.turns
        carry, ys = turn.aside.result
        paths = [path.back(turns) for path in self._slices(turn)]
        for one in saved:
            memory = one.path.memory if one.room is None else self._memory(one.room)
            paths.append(one.path.back(turns)._replace(memory=memory))
        # The gradients of what is carried are handed from turn to turn.
        coming = enumerate(arriving)
        starts: list[tuple[Tensor, Tensor]] = []
        handed: list[Tensor | None] = []
        for x, given in zip(carry, turn.carry):
            g = room(given.layout) if given.requires_grad else None
            if x.requires_grad:
                number, g = next(coming)
                starts.append((g, room(g.layout)))
                paths.append(Path(self._memory(starts[-1][1]), Arriving(number), 0, 0))
            handed.append(g)
        for y in ys:
            if y.requires_grad:
                number, g = next(coming)
                paths.append(self._along(g, Arriving(number)).back(turns))
        found = way.gradients
        parts = {x: room(x.layout) for x in turn.slices if x.history in found}
        for k, x in enumerate(parts.values()):
            paths.append(self._along(x, Stack("gradient", k)).back(turns))
        standing = {x.history for x in (*turn.carry, *turn.slices)}
        sums = {edge: room(way.layouts[edge]) for edge in found if edge not in standing}

        ends = [
            copies(tape, ((part, found[x.history]) for x, part in parts.items())),
            written(tape, added, list(sums.values()), [found[edge] for edge in sums]),
            copies(tape, [
                (g, found.get(x.history)) for x, g in zip(turn.carry, handed) if g is not None
            ]),
        ]
        rounds = _rounds(paths, (self._memory(g) for g in handed if g is not None))
        rounds.add(stretch([copies(tape, starts), written(tape, emptied, list(sums.values()))]))
        with rounds.turns(turns, moving=_moving(paths)):
            rounds.add(stretch([Aside(None, way.entries, way.made), *ends]))

        edges, layouts = [], []
        outputs: dict[Any, Layout] = {}
        for x, stand, g in zip(self.init, turn.carry, handed):
            if g is not None and x.requires_grad and stand.history in found:
                edges.append(live(x))
                layouts.append(x.layout)
                outputs[self._memory(g)] = g.layout
        first = len(outputs)
        for x, stand in zip(self.xs, turn.slices):
            if stand in parts:
                edges.append(live(x))
                layouts.append(x.layout)
                outputs[Stack("gradient", len(outputs) - first)] = stacked(stand.layout, turns)
        last = len(outputs)
        for edge, total in sums.items():
            edges.append(edge)
            layouts.append(way.layouts[edge])
            outputs[self._memory(total)] = total.layout
        if len(set(edges)) < len(edges):
            # Gradients of one tensor that come in several ways are added up in another order.
            raise Unrecorded
        program, sources = rounds.program(outputs)
        finish = partial(_unstacked, dim=self.dim, first=first, last=last)
        return Backward(tuple(edges), tuple(layouts), program, sources, finish)


def _unstacked(made: Sequence[Tensor], dim: int, first: int, last: int) -> list[Tensor]:
    """The gradients, those of xs with the dim of the turns where it belongs."""
    return [*made[:first], *(g.movedim(0, dim) for g in made[first:last]), *made[last:]]


def _rounds(paths: Sequence[Path], own=()) -> Rounds:
    return Rounds(own, {path.memory: (path.origin, path.begin) for path in paths})


def _moving(paths: Sequence[Path]) -> dict[Memory, int]:
    return {path.memory: path.stride for path in paths}
