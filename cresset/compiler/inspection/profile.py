"""Profiles: what the launches of a played call take, measured and predicted.

A call is played launch by launch with a clock; what it changes is put back. Predicted is the work
that its kernels state, shared among threads where it is, or what moving its memory takes at the
pace at which this machine copies as many bytes, whichever is more.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import cache, partial
from time import perf_counter_ns
from typing import Any, NamedTuple

from cresset.capture.tape import Live, Memory, Place
from cresset.compiler.inspection.apart import launch_by_launch, places_written
from cresset.compiler.inspection.way_back import WayBack
from cresset.compiler.programs.segment import Launch, Segment, counted
from cresset.compiler.replay import Replay
from cresset.compiler.state import state_of
from cresset.core.dtype import uint8
from cresset.core.layout import Layout
from cresset.core.tensor import Tensor
from cresset.ops import dispatch, meta
from cresset.ops.creation.tensors import filled
from cresset.ops.memory.conversion import clone
from cresset.runtime.plan import is_shared
from cresset.runtime.pool import get_num_threads
from cresset.runtime.program import Program, Step

# Bytes by which the machine's pace is measured, within its caches and beyond them.
MOVED = (1 << 18, 1 << 21, 1 << 24, 1 << 26)
# Plays of which the least time counts.
TIMES = 10
# Names of operations that a row lists.
NAMES = 6


class Row(NamedTuple):
    """What has one name and one line: kernels launched, nanoseconds measured and predicted in all.

    None is predicted of a call that is made anew.
    """

    name: str
    line: str
    launches: int
    measured: int
    predicted: float | None

    def __str__(self):
        predicted = "" if self.predicted is None else f"{self.predicted / 1e3:,.1f} us"
        times = f"{self.measured / 1e3:,.1f} us".rjust(13) + predicted.rjust(13)
        return f"{self.launches:10}{times}  {self.name}  {self.line}".rstrip()


class Profile:
    """What a call takes: for each program a title, and rows, those that take most first."""

    def __init__(self, title: str, parts: list[tuple[str, list[Row]]]):
        self.title = title
        self.parts = [(name, sorted(rows, key=lambda row: -row.measured)) for name, rows in parts]

    def __str__(self):
        lines = [self.title]
        for title, rows in self.parts:
            measured = sum(row.measured for row in rows)
            predicted = [row.predicted for row in rows if row.predicted is not None]
            whole = Row("", "", 0, measured, sum(predicted) if predicted else None)
            lines.append(f"  {title}")
            lines.append("  launches     measured    predicted")
            lines += map(str, rows)
            if len(rows) > 1:
                lines.append(f"     total{str(whole)[10:]}")
        return "\n".join(lines)

    __repr__ = __str__


def profile(title: str, replay: Replay, leaves: list[Tensor]) -> Profile:
    """The profile of a played call over the tensors among its arguments, the way back included.

    Raises Mispredicted and Fault as a play does, with the state put back.
    """
    state = state_of(replay, leaves)
    spent: dict[int, int] = {}

    def clocked(what: Any, run: Callable):
        started = perf_counter_ns()
        run()
        taken = perf_counter_ns() - started
        spent[id(what)] = min(taken, spent.get(id(what), taken))

    play = launch_by_launch(
        replay, lambda _, launch, run: clocked(launch, run),
        lambda part: lambda: clocked(part, part.call),
    )
    try:
        for _ in range(TIMES):
            WayBack().found(play(leaves))
            state.put_back()
    finally:
        state.put_back()
    parts, number = [], 0
    for part in replay.parts:
        if isinstance(part, Segment):
            number += 1
            rows = _rows(part, spent)
            parts.append((f"program {number}: {counted(len(part.program.steps), 'launch')}", rows))
        elif isinstance(part, Live):
            name = f"{type(part.owner).__name__}.{part.call.func.__name__}"
            parts.append(("made anew", [Row(name, "", 1, spent[id(part)], None)]))
    return Profile(title, parts)


def _rows(part: Segment, spent: dict[int, int]) -> list[Row]:
    """The launches of a program, those of one name and line together."""
    idle = _idle(part)
    rows: dict[tuple[str, str], list[tuple[int, int, float]]] = {}
    start = 0
    for launch in part.launches:
        steps = part.program.steps[start : start + launch.steps]
        start += launch.steps
        measured = max(0, spent.get(id(launch), 0) - idle)
        predicted = max(_work(steps), _moving(part, launch))
        rows.setdefault((named(launch), placed(launch)), []).append(
            (launch.steps, measured, predicted)
        )
    return [Row(*key, *map(sum, zip(*found))) for key, found in rows.items()]


def named(launch: Launch) -> str:
    """The names of the operations of a launch."""
    names = [entry.name for entry in launch.entries]
    more = f" and {len(names) - NAMES} more" if len(names) > NAMES else ""
    return " + ".join(names[:NAMES]) + more


def placed(launch: Launch) -> str:
    """The lines of a launch, those of one file together."""
    files: dict[str, list[int]] = {}
    for entry in launch.entries:
        if entry.line is not None:
            files.setdefault(os.path.basename(entry.line[0]), []).append(entry.line[1])
    spans = [(name, min(lines), max(lines)) for name, lines in files.items()]
    return ", ".join(f"{name}:{a}" if a == b else f"{name}:{a}-{b}" for name, a, b in spans)


# --- predictions ----------------------------------------------------------------------------------
def _work(steps: Sequence[Step]) -> float:
    """The nanoseconds that steps state, shared among threads where they are.

    Of a round that an element ends, one turn is counted.
    """
    total, turns = 0.0, [1] * len(steps)
    for k, step in enumerate(steps):
        for r in step.rounds:
            if r.flag is None:
                turns[k : k + r.steps] = [n * r.turns for n in turns[k : k + r.steps]]
        total += turns[k] * step.work / (get_num_threads() if is_shared(step) else 1)
    return total


def _moving(part: Segment, launch: Launch) -> float:
    """The nanoseconds that it takes to move what a launch reads and writes."""
    nbytes = sum(layout.nbytes for layout in touched(part, launch).values())
    pace = next((pace for size, pace in paces() if size >= nbytes), paces()[-1][1])
    return nbytes / pace


def touched(part: Segment, launch: Launch) -> dict[tuple[Memory, int], Layout]:
    """The layouts of what a launch reads and writes in memory, by memory and offset."""
    places = [a for entry in launch.entries for a in entry.arguments if isinstance(a, Place)]
    places += [place for entry in launch.entries for place in places_written(entry)]
    return {(p.memory, p.offset): p.layout for p in places if p.memory in part.places}


@cache
def paces() -> list[tuple[int, float]]:
    """(bytes, bytes a nanosecond): the pace at which so many are read and written, as measured."""
    idle = _least(partial(clone, filled((), uint8, 0)), 20)
    found = []
    for size in MOVED:
        taken = _least(partial(clone, filled((size // 2,), uint8, 0)), 5)
        found.append((size, size / max(1, taken - idle)))
    return found


def _least(call: Callable, times: int) -> int:
    """The nanoseconds of a call, the least of so many."""
    taken = []
    for _ in range(TIMES):
        started = perf_counter_ns()
        call()
        taken.append(perf_counter_ns() - started)
    return min(taken)


def _idle(part: Segment) -> int:
    """What a launch of nothing takes, with the arguments that those of a program have."""
    x = meta.new(Layout.packed((1,), uint8))
    count = len(part.program.outputs) + len(part.program.inputs) + len(part.program.temporaries)
    launch = dispatch.make_launcher(Program("t" * count, (), ()))
    return _least(partial(launch, *[x] * count), 20)
