"""`cond` and `while_loop` as programs of rounds."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from cresset.autograd.mode import mode
from cresset.capture.tape import Launched, Memory, Place, Tape
from cresset.compiler.control_flow.gradients import Arriving, Backward, Way, led, node_of, way_back
from cresset.compiler.control_flow.loop import record_led_loop
from cresset.compiler.control_flow.recorded import Unrecorded, copies, read, room, run_over
from cresset.compiler.control_flow.rounds import ENDLESS, Rounds, planned
from cresset.core.dtype import uint8
from cresset.core.layout import Layout
from cresset.core.tensor import Tensor
from cresset.runtime.program import Program


def record_cond(
    tape: Tape, pred: Tensor, branches: Sequence[Callable[[], list[Tensor]]]
) -> list[Tensor]:
    """The results of the branch that `pred` chooses, of which both are recorded.

    Each branch returns its results, all of the same layouts.
    """
    sides = [tape.aside(branch) for branch in branches]
    wrote = frozenset().union(*(side.wrote for side in sides))
    results = [room(x.layout) for x in sides[0].result]
    tracked = [[x.requires_grad for x in side.result] for side in sides]
    flag = tape.place(pred)
    if flag.memory in wrote:
        # The branch that is taken would choose the other one as well.
        raise Unrecorded
    ways: list[Way] = []
    if any(map(any, tracked)):
        if tracked[0] != tracked[1]:
            raise Unrecorded
        arriving = [room(x.layout) for x, wanted in zip(results, tracked[0]) if wanted]
        for side in sides:
            node = node_of(side.result)
            assert node is not None
            ways.append(way_back(tape, node, arriving, wrote))
        if ways[0].gradients.keys() != ways[1].gradients.keys():
            # Else tensors would have gradients of zero that have none.
            raise Unrecorded
    saved = set().union(*(read(way.entries) & side.made for way, side in zip(ways, sides)))
    rounds = Rounds((), {})
    if ways:
        # Read again on the way back.
        kept = room(pred.layout)
        begin = copies(tape, [(kept, pred)])
        rounds.add(planned(begin.entries, begin.made, set()))
    for side, wanted in zip(sides, (True, False)):
        end = copies(tape, zip(results, side.result))
        with rounds.turns(1, flag, wanted):
            rounds.add(planned(side.entries + end.entries, side.made | end.made, saved))
    outputs = {tape.place(x).memory: x.layout for x in results}
    outputs.update((m, Layout.packed((m.nbytes,), uint8)) for m in saved)
    if ways:
        outputs[tape.place(kept).memory] = kept.layout
        backward = _cond_backward(tape, tape.place(kept), ways, arriving)
    program, given = rounds.program(outputs)
    tensors = run_over(program, "cond", given)
    made = list(tensors[: len(results)])
    if not ways:
        return made
    return led(backward.node("Cond", dict(zip(outputs, tensors))), made, tracked[0])


def _cond_backward(tape: Tape, flag: Place, ways: Sequence[Way], arriving) -> Backward:
    edges = tuple(ways[0].gradients)
    layouts = tuple(ways[0].layouts[edge] for edge in edges)
    results = [room(layout) for layout in layouts]
    stands = {tape.place(x).memory: (Arriving(k), 0) for k, x in enumerate(arriving)}
    rounds = Rounds((), stands)
    for way, wanted in zip(ways, (True, False)):
        end = copies(tape, ((x, way.gradients[edge]) for x, edge in zip(results, edges)))
        with rounds.turns(1, flag, wanted):
            rounds.add(planned(way.entries + end.entries, way.made | end.made, set()))
    program, given = rounds.program({tape.place(x).memory: x.layout for x in results})
    return Backward(edges, layouts, program, given)


def record_while(
    tape: Tape, condition: Callable[[list[Tensor]], Tensor],
    body: Callable[[list[Tensor]], list[Tensor]], carried: Sequence[Tensor],
) -> list[Tensor]:
    """What is carried when `condition` says that there is no other turn of `body`."""
    if mode.enabled and any(x.requires_grad for x in carried):
        return record_led_loop(tape, condition, body, carried)
    rooms = [room(x.layout) for x in carried]
    begin = copies(tape, zip(rooms, carried))
    asked = tape.aside(condition, rooms, fixed=rooms)
    if not isinstance(asked.result, Tensor):
        raise Unrecorded
    turn = tape.aside(body, rooms, fixed=rooms)
    if any(x.requires_grad for x in turn.result):
        return record_led_loop(tape, condition, body, carried)
    end = copies(tape, zip(rooms, turn.result))
    flag = tape.place(asked.result)
    told: set[Memory] = {flag.memory} & asked.made
    rounds = Rounds(told, {})
    rounds.add(planned(begin.entries, begin.made, set()))
    question = planned(asked.entries, asked.made, told)
    rounds.add(question)
    with rounds.turns(ENDLESS, flag):
        rounds.add(planned(turn.entries + end.entries, turn.made | end.made, set()))
        rounds.add(question)
    program, given = rounds.program({tape.place(x).memory: x.layout for x in rooms})
    if not tape.is_aside:
        return list(run_over(program, "while_loop", given))
    # In a branch that is not taken the loop might never end. What it makes is of no matter.
    made = run_over(_ended(program), "while_loop", given)
    noted = tape.entries[-1]
    assert isinstance(noted, Launched)
    tape.entries[-1] = noted._replace(program=program)
    return list(made)


def _ended(program: Program) -> Program:
    """The program with rounds of one turn alone."""
    return program._replace(steps=tuple(
        step._replace(rounds=tuple(round._replace(turns=1) for round in step.rounds))
        for step in program.steps
    ))
