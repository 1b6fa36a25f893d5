"""Verified calls: each played and run in immediate mode on the same state, and compared to the bit.

Between the two everything is put back that the first may have changed. Where they differ both are
made again, launch by launch, and the first launch that gives something else is named.
"""

from __future__ import annotations

import ctypes
from collections import Counter
from collections.abc import Callable
from itertools import zip_longest
from typing import Any

from cresset.capture.tape import Fault, Launched, Memory, Tape
from cresset.compiler.inspection.apart import (
    Stepped,
    launch_by_launch,
    places_written,
    tensors_written,
)
from cresset.compiler.inspection.way_back import WayBack
from cresset.compiler.programs.segment import Launch
from cresset.compiler.replay import Mispredicted, Replay
from cresset.compiler.state import Elements, State, elements, state_of
from cresset.core.layout import Layout
from cresset.core.tensor import Tensor
from cresset.ops import meta

SAYS = "compile: a verified call differs from immediate mode"
MEND = "call the function without compile, and report this"


class Verifier:
    """Makes the calls that a recording fits both ways."""

    def __init__(self, replay: Replay, tape: Tape):
        self.replay = replay
        # The launches in order, those of the way back last.
        self.recorded = [entry for entry in tape.entries if isinstance(entry, Launched)]
        self.rounds = tape.rounds

    def call(self, function: Callable[[], Any], leaves: list[Tensor]) -> Any:
        """The result of the function in immediate mode, which also leaves the state behind.

        `leaves` are the tensors among its arguments. Raises RuntimeError where the play differs,
        Mispredicted as the play does, with the state put back.
        """
        before = state_of(self.replay, leaves)
        way = WayBack()
        try:
            result = self.replay.play(leaves)
            played = self._outcome(leaves, result, way.found(result))
        except Mispredicted:
            before.put_back()
            raise
        except Fault:
            before.put_back()
            function()
            raise RuntimeError(f"{SAYS}: it finds a fault where there is none; {MEND}") from None
        before.put_back()
        result = function()
        immediate = self._outcome(leaves, result, way.gone(result))
        for place, own, expected in played.differences(immediate):
            try:
                self._locate(function, leaves, before, way)
            finally:
                immediate.put_back()
            raise RuntimeError(
                f"{SAYS} in {place}, though no launch does; {compared(own, expected)}; {MEND}"
            )
        return result

    def _outcome(self, leaves, result, gradients) -> State:
        """All that a call may have changed, and what it gave."""
        made = {"the result": result, "the gradients by the way back": gradients}
        return state_of(self.replay, leaves, made)

    def _locate(self, function, leaves, before: State, way: WayBack):
        """Raise where a launch gives something else than in immediate mode, at the first."""
        before.put_back()
        witness = Witness(self.rounds)
        with witness:
            result = function()
        way.gone(result, witness)
        for own, now in zip_longest(self.recorded, witness.launched):
            if own is None or now is None or _spelled(own) != _spelled(now):
                raise RuntimeError(
                    f"{SAYS} at {_at(now or own)}: there {_said(own)} was recorded, and "
                    f"{_said(now)} is launched; pass what has changed as an argument, or call the "
                    "function without compile"
                )
        before.put_back()
        trial = Trial(self.replay, self.recorded, witness)
        try:
            way.found(launch_by_launch(self.replay, trial.make)(leaves))
        except Different as different:
            raise RuntimeError(f"{SAYS} {different}; {MEND}") from None
        except (Fault, Mispredicted):
            at = _at(trial.latest.entries[-1])
            raise RuntimeError(f"{SAYS} behind {at}, where it finds a fault; {MEND}") from None


class Trial:
    """Compares what the launches of a play write, one after another, with what a witness saw."""

    def __init__(self, replay: Replay, recorded: list[Launched], witness: Witness):
        self.seen = witness.seen
        self.numbers = {id(entry): k for k, entry in enumerate(recorded)}
        # In how many launches each has a part that are still to be made, and who wrote last.
        self.left = Counter(
            id(entry) for part in replay.segments for launch in part.launches
            if not launch.again for entry in launch.entries
        )
        self.writer: dict[Memory, int] = {}

    def make(self, stepped: Stepped, launch: Launch, run: Callable):
        """Make a launch; raises Different where what it has written by then differs."""
        self.latest = launch
        run()
        if launch.again:
            return
        for entry in launch.entries:
            self.left[id(entry)] -= 1
            number = self.numbers[id(entry)]
            for memory, _, _ in places_written(entry):
                self.writer[memory] = max(number, self.writer.get(memory, 0))
        for entry in launch.entries:
            number = self.numbers[id(entry)]
            if self.left[id(entry)]:
                continue
            written = places_written(entry)
            for k, address, layout in stepped.written(entry):
                own, expected = elements(address, layout), self.seen[number][k]
                if self.writer[written[k].memory] == number and own != expected:
                    raise Different(launch, entry, own, expected)


class Witness(Tape):
    """A tape that keeps what each launch has written, in `seen`."""

    def __init__(self, rounds: bool):
        super().__init__(rounds=rounds)
        self.seen: list[list[Elements]] = []

    @property
    def launched(self) -> list[Launched]:
        return [entry for entry in self.entries if isinstance(entry, Launched)]

    def _launch(self, bound, arguments):
        out = super()._launch(bound, arguments)
        if not self.foreign():
            entry = self.entries[-1]
            assert isinstance(entry, Launched)
            written = tensors_written(entry, out, arguments)
            self.seen.append([elements(x.ptr, x.layout) for x in written])
        return out

    def aside(self, function, *arguments, written=(), fixed=()):
        start = len(self.seen)
        try:
            return super().aside(function, *arguments, written=written, fixed=fixed)
        finally:
            del self.seen[start:]

    def checked(self, x, program):
        value = super().checked(x, program)
        if not self.foreign():
            self.seen.append([])
        return value


class Different(Exception):
    """A launch gives something else where it is played."""

    def __init__(self, launch: Launch, entry: Launched, own: Elements, expected: Elements):
        others = [other.name for other in launch.entries if other is not entry]
        joined = f", in one launch with {', '.join(others)}" if others else ""
        super().__init__(f"first at {_at(entry)}{joined}: {compared(own, expected)}")


def _at(entry: Launched) -> str:
    place = "" if entry.line is None else f" ({entry.line[0]}:{entry.line[1]})"
    return f"{entry.name}{place}"


def _spelled(entry: Launched) -> tuple:
    """What has to be the same at every call: the kernels, the numbers, the layouts."""
    given = [a if not hasattr(a, "layout") else a.layout for a in entry.arguments]
    numbers = [x for step in entry.program.steps for x in (step.key, step.constants, step.units)]
    return entry.name, numbers, given, [memory.layout for memory in entry.results]


def _said(entry: Launched | None) -> str:
    if entry is None:
        return "nothing"
    given = [tuple(a.layout.shape) if hasattr(a, "layout") else a for a in entry.arguments]
    return f"{entry.name}({', '.join(map(str, given))})"


def compared(own: Any, expected: Any) -> str:
    """In what two contents of one place differ."""
    if not isinstance(own, Elements) or not isinstance(expected, Elements):
        told = ["other bytes" if isinstance(x, bytes) else x for x in (own, expected)]
        return f"{told[0]} where played, {told[1]} in immediate mode"
    if own._replace(bits=b"") != expected._replace(bits=b""):
        return f"{_described(own)} where played, {_described(expected)} in immediate mode"
    size = own.dtype.itemsize
    place = next(k for k in range(0, len(own.bits), size)
                 if own.bits[k : k + size] != expected.bits[k : k + size])
    values = [_number(x.bits[place : place + size], x.dtype) for x in (own, expected)]
    index = _index(place // size, own.shape)
    where = f"element {index} of shape {tuple(own.shape)}" if index else "the element"
    return f"{where} is {values[0]} where played, {values[1]} in immediate mode"


def _described(x: Elements) -> str:
    wanting = ", requires_grad" if x.requires_grad else ""
    return f"shape {tuple(x.shape)}, strides {tuple(x.strides)}, {x.dtype.name}{wanting}"


def _number(bits: bytes, dtype):
    """The number that some bytes are."""
    x = meta.new(Layout.packed((), dtype))
    ctypes.memmove(x.ptr, bits, len(bits))
    return x.item()


def _index(place: int, shape: tuple) -> tuple:
    """The indices of the element at a place in row order."""
    index: list[int] = []
    for n in reversed(shape):
        place, k = divmod(place, n)
        index.insert(0, k)
    return tuple(index)
