"""`while_loop` with gradients as a program of rounds, and the way back through it as another one.

How many turns there will be is not known, so the way forward keeps what is carried into every turn
while there is room, and then into every second, fourth, eighth one (Griewank and Walther 2000 call
such states checkpoints). The way back begins each turn at the state before it that is kept, does
what leads from there to the turn again, and the turn itself, and goes back through that.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from cresset.autograd.mode import mode
from cresset.autograd.node import Leaf, alias
from cresset.autograd.record import live
from cresset.capture.tape import Aside, Memory, Tape
from cresset.compiler.control_flow.gradients import Arriving, Backward, Way, led, node_of, way_back
from cresset.compiler.control_flow.recorded import (
    Unrecorded,
    added,
    copies,
    decided,
    emptied,
    read,
    room,
    run_over,
    stacked,
    stretch,
    whole,
    written,
)
from cresset.compiler.control_flow.rounds import ENDLESS, Rounds
from cresset.core import dtype as types
from cresset.core.layout import Layout
from cresset.core.tensor import Tensor

# States that are kept, the least and the most, and the bytes that they may take.
KEPT = (4, 1024)
KEPT_BYTES = 1 << 22
# Bytes of what turns read that may be copied for the way back.
COPIED_BYTES = 1 << 24
NUMBER = Layout.packed((), types.int64)


def record_led_loop(
    tape: Tape, condition: Callable, body: Callable, carried: Sequence[Tensor]
) -> list[Tensor]:
    """What is carried at last, with gradients; see `flow.record_while`."""
    if tape.is_aside:
        # Whether there is a turn at all is looked at.
        raise Unrecorded
    return _Recorder(tape, condition, body, carried).loop()


class _Recorder:
    def __init__(self, tape, condition, body, carried):
        self.tape = tape
        self.condition, self.carried = condition, carried
        # What is carried lies here in every turn.
        self.rooms = [room(x.layout) for x in carried]
        self.asked = tape.aside(condition, list(map(alias, self.rooms)), fixed=self.rooms)
        if not isinstance(self.asked.result, Tensor):
            raise Unrecorded
        self.carry, self.turn = self._recorded(body)
        results = self.turn.result
        node = node_of(results)
        if node is None or self.turn.drew or self.turn.wrote or self.asked.wrote:
            # A turn that is done again would draw other numbers, and write again.
            raise Unrecorded
        self.arriving = [room(x.layout) for x in results if x.requires_grad]
        self.way: Way = way_back(tape, node, self.arriving)
        self.end = copies(tape, zip(self.rooms, results))
        # How many turns there were, of which every so many the state is kept, and these.
        self.turns, self.every = room(NUMBER), room(NUMBER)
        size = max(1, sum(x.layout.nbytes for x in carried))
        self.count = max(KEPT[0], min(KEPT[1], KEPT_BYTES // size // 2 * 2))
        self.kept = [room(stacked(x.layout, self.count)) for x in carried]
        self.begin = written(tape, _begun, [self.turns, self.every])

    def _memory(self, x: Tensor) -> Memory:
        return self.tape.place(x).memory

    def _recorded(self, body) -> tuple[list[Tensor], Aside]:
        """One turn, recorded as those after the first are, and what stands for what is carried."""
        tracked = [mode.enabled and x.requires_grad for x in self.carried]
        while True:
            carry = list(map(alias, self.rooms))
            for x, wanted in zip(carry, tracked):
                x.history = Leaf(x) if wanted else None
            turn = self.tape.aside(body, carry, fixed=carry)
            following = [
                wanted or x.requires_grad for x, wanted in zip(turn.result, tracked)
            ]
            if following == tracked:
                return carry, turn
            # What requires no gradients at first does from the second turn on.
            tracked = following

    # --- forward ----------------------------------------------------------------------------------
    def loop(self) -> list[Tensor]:
        tape, results = self.tape, self.turn.result
        wanted = [x.requires_grad for x in results]
        copied = self._copied()
        backward = self._backward(copied)
        led_to = {live(x) for x in self.carried if x.requires_grad}
        alike = all(a.requires_grad == b.requires_grad for a, b in zip(self.carried, self.carry))
        # Without a turn there are gradients for what is carried, and for nothing else.
        if set(backward.edges) != led_to or not alike:
            if not decided(self.condition(list(self.carried))):
                raise Unrecorded
        pairs = [*zip(self.rooms, self.carried)]
        pairs += [(copy, whole(memory)) for memory, copy in copied.items()]
        begin = copies(tape, pairs)
        full = tape.aside(lambda: self.turns == self.every * self.count)
        halve = written(tape, _halved, [self.every, *self.kept])
        due = tape.aside(lambda: self.turns % self.every == 0)
        keep = written(tape, self._keep, self.kept)
        more = written(tape, lambda targets: targets[0].add_(1), [self.turns])
        flags = [tape.place(aside.result) for aside in (self.asked, full, due)]
        told = {flag.memory for flag in flags}
        rounds = Rounds(told & (self.asked.made | full.made | due.made), {})

        def asking(aside):
            rounds.add(stretch([aside], told & aside.made))

        rounds.add(stretch([begin, self.begin]))
        asking(self.asked)
        with rounds.turns(ENDLESS, flags[0]):
            asking(full)
            with rounds.turns(1, flags[1]):
                rounds.add(stretch([halve]))
            asking(due)
            with rounds.turns(1, flags[2]):
                rounds.add(stretch([keep]))
            rounds.add(stretch([self.turn, self.end, more]))
            asking(self.asked)
        made = [*self.rooms, self.turns, self.every, *self.kept, *copied.values()]
        outputs = {self._memory(x): x.layout for x in made}
        program, given = rounds.program(outputs)
        found = run_over(program, "while_loop", given)
        leading = backward.node("WhileLoop", dict(zip(outputs, found)))
        return led(leading, list(found[: len(wanted)]), wanted)

    def _keep(self, kept: Sequence[Tensor]):
        at = (self.turns // self.every).reshape(1)
        for x, states in zip(self.rooms, kept):
            states.index_copy_(0, at, x.unsqueeze(0))

    def _copied(self) -> dict[Memory, Tensor]:
        """Copies of what turns read and the way back through operations would not.

        That may be overwritten before the way back.
        """
        own = {self._memory(x) for x in self.rooms} | self.turn.made
        memories = read(self.turn.entries) - own - read(self.way.entries)
        found = {m: whole(m).layout for m in memories}
        if sum(layout.nbytes for layout in found.values()) > COPIED_BYTES:
            raise Unrecorded
        return {memory: room(layout) for memory, layout in found.items()}

    # --- backward ---------------------------------------------------------------------------------
    def _backward(self, copied: dict[Memory, Tensor]) -> Backward:
        tape, way = self.tape, self.way
        found = way.gradients
        coming = enumerate(self.arriving)
        starts: list[tuple[Tensor, Tensor]] = []
        handed: list[Tensor | None] = []
        stands: dict[Memory, tuple] = {m: (self._memory(x), 0) for m, x in copied.items()}
        for x, stand in zip(self.turn.result, self.carry):
            g = room(stand.layout) if stand.requires_grad else None
            if x.requires_grad:
                number, g = next(coming)
                starts.append((g, room(g.layout)))
                stands[self._memory(starts[-1][1])] = Arriving(number), 0
            handed.append(g)
        standing = {x.history for x in self.carry}
        sums = {edge: room(way.layouts[edge]) for edge in found if edge not in standing}
        back, at = room(NUMBER), room(NUMBER)
        begin = [
            copies(tape, starts), written(tape, emptied, list(sums.values())),
            written(tape, lambda targets: targets[0].copy_(self.turns - 1), [back]),
        ]
        left = tape.aside(lambda: back >= 0)
        # While it is recorded a state is read as well.
        written(tape, _begun, [back, self.every])
        restore = written(tape, self._restored, [at, *self.rooms], back)
        behind = tape.aside(lambda: at < back)
        more = written(tape, lambda targets: targets[0].add_(1), [at])
        less = written(tape, lambda targets: targets[0].sub_(1), [back])
        ends = [
            written(tape, added, list(sums.values()), [found[edge] for edge in sums]),
            copies(tape, [
                (g, found.get(x.history)) for x, g in zip(self.carry, handed) if g is not None
            ]),
        ]
        gradients = [g for g in handed if g is not None]
        inside = [*self.rooms, back, at, left.result, behind.result, *gradients]
        rounds = Rounds({self._memory(x) for x in inside}, stands)
        flags = [tape.place(aside.result) for aside in (left, behind)]

        def asking(aside):
            rounds.add(stretch([aside], {self._memory(aside.result)}))

        rounds.add(stretch(begin))
        asking(left)
        with rounds.turns(ENDLESS, flags[0]):
            rounds.add(stretch([restore]))
            asking(behind)
            with rounds.turns(ENDLESS, flags[1]):
                rounds.add(stretch([self.turn, self.end, more]))
                asking(behind)
            rounds.add(stretch([self.turn, Aside(None, way.entries, way.made), *ends, less]))
            asking(left)

        edges, outputs = [], {}
        for x, stand, g in zip(self.carried, self.carry, handed):
            if g is not None and x.requires_grad and stand.history in found:
                edges.append(live(x))
                outputs[self._memory(g)] = g.layout
        for edge, total in sums.items():
            edges.append(edge)
            outputs[self._memory(total)] = total.layout
        if len(set(edges)) < len(edges):
            # Gradients of one tensor that come in several ways are added up in another order.
            raise Unrecorded
        program, given = rounds.program(outputs)
        return Backward(tuple(edges), tuple(outputs.values()), program, given)

    def _restored(self, targets: Sequence[Tensor], back: Tensor):
        """Go to the last state that is kept before a turn."""
        at, *rooms = targets
        number = back // self.every
        at.copy_(number * self.every)
        for x, states in zip(rooms, self.kept):
            x.copy_(states.index_select(0, number.reshape(1)).squeeze(0))


def _begun(targets: Sequence[Tensor]):
    turns, every = targets
    turns.zero_()
    every.fill_(1)


def _halved(targets: Sequence[Tensor]):
    """Make room for more states: every second one goes."""
    every, *kept = targets
    every.mul_(2)
    for states in kept:
        half = states.layout.shape[0] // 2
        states[:half].copy_(states[::2].clone())
