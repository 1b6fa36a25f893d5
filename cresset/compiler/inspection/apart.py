"""Plays taken apart: the launches of a recording made one by one, over memory that stays.

So what each of them does can be looked at, and how long it takes.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from cresset.capture.tape import Launched, Live, Place, raise_fault
from cresset.compiler.programs.segment import Launch, Segment
from cresset.compiler.replay import Replay
from cresset.core.dtype import uint8
from cresset.core.layout import Layout
from cresset.core.tensor import Tensor
from cresset.ops import dispatch, meta

# What is called around every launch: with what is launched, where, and what launches it.
Around = Callable[["Stepped", Launch, Callable[[], Any]], None]


def launch_by_launch(
    replay: Replay, around: Around, anew: Callable[[Live], Callable] | None = None
) -> Callable:
    """The `play` of a replay, which makes its launches one by one, the way back included.

    `anew` gives what is called instead of a call that is made anew.
    """
    scope = dict(replay.play.__globals__)
    calls = {id(part.call): part for part in replay.parts if isinstance(part, Live)}
    for name, value in scope.items():
        if anew is not None and id(value) in calls:
            scope[name] = anew(calls[id(value)])
    for number, part in enumerate(replay.segments, start=1):
        scope[f"program{number}"] = Stepped(part, around)
    if "back" in scope:
        scope["back"] = types.FunctionType(scope["back"].__code__, scope)
    return types.FunctionType(replay.play.__code__, scope)


class Stepped:
    """A program as its launcher is called, whose launches are made one by one."""

    def __init__(self, part: Segment, around: Around):
        self.part = part
        self.around = around
        program = part.program
        # Outputs and temporaries are given, in the places that they have in the table of values.
        letters = "t" * len(program.outputs) + program.inputs.replace("w", "t")
        letters += "t" * len(program.temporaries)
        self.launchers = []
        start = 0
        for launch in part.launches:
            steps = program.steps[start : start + launch.steps]
            single = program._replace(
                inputs=letters, outputs=(), steps=steps, temporaries=(),
                explain=program.explain and raise_fault,
            )
            self.launchers.append((launch, dispatch.make_launcher(single)))
            start += launch.steps
        self.table: list[Any] = []

    def __call__(self, *inputs):
        program = self.part.program
        made = [meta.new(layout) for layout in program.outputs]
        rooms = [meta.new(Layout.packed((n,), uint8)) for n in program.temporaries]
        self.table = [*made, *inputs, *rooms]
        for launch, run in self.launchers:
            self.around(self, launch, partial(run, *self.table))
        self.table = []
        return made[0] if len(made) == 1 else tuple(made) if made else inputs[0]

    def written(self, entry: Launched) -> Iterator[tuple[int, int, Layout]]:
        """(its number, address, layout) of what a launch writes, where it lies in this program."""
        for number, (memory, offset, layout) in enumerate(places_written(entry)):
            found = self.part.places.get(memory)
            if found is not None:
                place, start = found
                yield number, self.table[place].ptr + start + offset, layout


def places_written(entry: Launched) -> list[Place]:
    """Where the results of a launch lie, then the tensors that it writes over."""
    results = [Place(memory, 0, memory.layout) for memory in entry.results if memory.layout]
    return results + entry.overwritten()


def tensors_written(entry: Launched, out: Any, arguments: Sequence) -> list[Tensor]:
    """The tensors that `places_written` are of, when a launch has been made."""
    made = [] if not entry.results else list(out) if len(entry.results) > 1 else [out]
    return made + [x for letter, x in zip(entry.program.inputs, arguments) if letter == "w"]
