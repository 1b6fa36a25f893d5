"""Replays: a recorded call of a function, to be made again without running the function.

The tape is cut at the calls that have to be made anew (an optimizer's step); each stretch between
them is one program. What plays them is a Python function that is written out: it finds the tensors,
runs the programs, hands on the gradients, makes the calls and builds the result.
"""

from __future__ import annotations

import gc
from typing import Any, NamedTuple

from cresset.autograd.node import Leaf, OperationNode
from cresset.capture.tape import Live, Memory, Place, Tape
from cresset.compiler.segment import Segment, segment
from cresset.core.dtype import uint8
from cresset.core.layout import Layout
from cresset.core.tensor import Tensor
from cresset.ops import meta
from cresset.ops.generated import function_of


class NotReplayable(Exception):
    """Why a recorded call cannot be made again without running the function."""

    def __init__(self, reason: str, line: tuple[str, int] | None = None):
        super().__init__(reason)
        self.line = line


class Replay(NamedTuple):
    """`play(leaves)` makes the call again over the tensors among its arguments.

    `found` are the tensors that were there before beside them, `held` those of which the gradient
    has to be the very tensor that it was; `segments` the programs; `text` the source of `play`.
    """

    play: Any
    found: tuple[Tensor, ...]
    held: tuple[tuple[Tensor, Tensor], ...]
    segments: tuple[Segment, ...]
    text: str


def replay(tape: Tape, result: Any, leaves: list[Tensor], without: list[Tensor]) -> Replay:
    """The replay of what a tape has recorded; `leaves` are the tensors among the arguments.

    The tensors of `without` have no gradient when a call begins.

    Raises NotReplayable where playing again would not do what the function does.
    """
    return _Writer(tape, result, leaves, without).replay()


class _Writer:
    def __init__(self, tape, result, leaves, without):
        self.tape = tape
        self.result = result
        self.leaves = leaves
        if tape.refused:
            raise NotReplayable(*tape.refused[0])
        # Results may lie in memory that no launch has touched.
        self.results = {id(x): (x, tape.place(x)) for x in _tensors(result)}
        self.last = tape.gradients()
        self._refuse_leaks()
        self.scope: dict[str, Any] = {"shown": shown, "new": meta.new}
        self.globals: dict[tuple[str, int], str] = {}
        self.lines: list[str] = []
        self.names: dict[Memory, str] = {}
        self.offsets: dict[Memory, int] = {}
        self.given: dict[Tensor, str] = {}
        self._name_tensors()
        # The gradient that each tensor has been given so far.
        self.handed: dict[Tensor, Place | None] = dict.fromkeys(without)
        self.held: list[tuple[Tensor, Tensor]] = []

    def _refuse_leaks(self):
        """Raise where something that was made lives on beside the results and the gradients."""
        kept = {place.memory for _, place in self.results.values()}
        places = [*self.last.values()]
        for entry in self.tape.entries:
            if isinstance(entry, Live):
                places += entry.gradients.values()
        kept |= {place.memory for place in places if place is not None}
        for again in range(2):
            living = [m for m in self.tape.memories
                      if m.made and m not in kept and m.storage() is not None]
            if not living:
                return
            if not again:
                gc.collect()
        wanting = [x for x, _ in self.results.values()
                   if isinstance(x.history, OperationNode) and x.history.saved is not None]
        if wanting:
            raise NotReplayable("a result still has a graph to go backward through")
        lines = [e.line for e in self.tape.entries
                 if getattr(e, "results", None) and set(e.results) & set(living)]
        raise NotReplayable(
            "a tensor that the function made is still held by something else than its result",
            lines[0] if lines else None,
        )

    def _name_tensors(self):
        """Give names to the tensors through which memories come that were there before."""
        for k, x in enumerate(self.leaves):
            self.given.setdefault(x, f"a[{k}]")
            memory = self.tape.place(x).memory
            if memory not in self.names:
                self._name(memory, x, f"a[{k}]")
        holders = self.tape.holders()
        for memory in self.tape.memories:
            if memory.made or memory in self.names:
                continue
            x = holders.get(memory)
            if x is None:
                # Nobody else has it: it is a constant of the recording.
                x = _over(memory)
            self._name(memory, x, self._global("s", x))

    def _name(self, memory, x, name):
        self.names[memory] = name
        self.offsets[memory] = x.ptr - x.memory.ptr

    def _global(self, letter, value) -> str:
        name = self.globals.get((letter, id(value)))
        if name is None:
            name = self.globals[letter, id(value)] = f"{letter}{len(self.scope)}"
            self.scope[name] = value
        return name

    # --- writing ----------------------------------------------------------------------------------
    def replay(self) -> Replay:
        segments = []
        stretches: list[list] = [[]]
        for entry in self.tape.entries:
            if isinstance(entry, Live):
                stretches += [[entry], []]
            elif hasattr(entry, "program"):
                stretches[-1].append(entry)
            else:
                raise NotReplayable("Python looks at an element, and may decide by it", entry.line)
        before: set[Memory] = set()
        for k, stretch in enumerate(stretches):
            if k % 2:
                self._live(stretch[0])
            elif stretch:
                after = self._needed(stretches[k + 1 :])
                part = segment(stretch, before, after, self.offsets)
                self._launch(part)
                segments.append(part)
                before.update(part.outputs)
        self._hand(self.last)
        self.lines.append(f"    return {self._built(self.result)}")
        text = "\n".join(["def play(a):", *self.lines])
        found = tuple(x for name, x in self.scope.items() if name[0] == "s" and name != "shown")
        play = function_of(text, self.scope)
        return Replay(play, found, tuple(self.held), tuple(segments), text)

    def _needed(self, stretches) -> set[Memory]:
        """The memories that are used after a stretch."""
        places = [place for _, place in self.results.values()]
        places += self.last.values()
        for stretch in stretches:
            for entry in stretch:
                places += entry.gradients.values() if isinstance(entry, Live) else entry.arguments
        return {place.memory for place in places if isinstance(place, Place)}

    def _launch(self, part: Segment):
        launch = self._global("launch", part.launcher())
        for memory in part.outputs:
            self.names[memory] = f"m{len(self.names)}"
            self.offsets[memory] = 0
        inputs = ", ".join(["None", *(self.names[m] for m in part.inputs)])
        made = ", ".join(self.names[m] for m in part.outputs)
        self.lines.append(f"    {made + ' = ' if made else ''}{launch}({inputs})")

    def _live(self, entry: Live):
        self._hand(entry.gradients)
        self.lines.append(f"    {self._global('call', entry.call)}()")

    def _hand(self, gradients):
        """Give the tensors the gradients that they have now."""
        for x, place in gradients.items():
            if x in self.handed and self.handed[x] == place:
                continue
            self.handed[x] = place
            target = self.given.get(x) or self._global("s", x)
            if place is None:
                self.lines.append(f"    {target}.grad = None")
            elif place.memory.made:
                self.lines.append(f"    {target}.grad = {self._shown(place)}")
            else:
                self._hold(x)

    def _hold(self, x):
        """A gradient that was there before is written in place: it has to be the same tensor."""
        self._global("s", x.grad)
        self.held.append((x, x.grad))

    def _shown(self, place: Place) -> str:
        memory = place.memory
        name = self.names.get(memory)
        if name is None:
            # A new tensor that nothing was written to.
            name = f"new({self._global('l', memory.layout)})"
        if memory.made and place.layout is memory.layout and not place.offset:
            return name
        layout = self._global("l", place.layout)
        return f"shown({name}, {layout}, {place.offset - self.offsets.get(memory, 0)})"

    def _built(self, value) -> str:
        """The expression that builds a result."""
        if isinstance(value, Tensor):
            return self._built_tensor(value)
        kind = type(value)
        if kind is tuple or kind is list:
            parts = ", ".join(map(self._built, value))
            return f"[{parts}]" if kind is list else f"({parts}{',' * (len(value) == 1)})"
        if kind is dict:
            pairs = (f"{self._global('k', k)}: {self._built(v)}" for k, v in value.items())
            return f"{{{', '.join(pairs)}}}"
        if isinstance(value, tuple) and hasattr(value, "_fields"):
            return f"{self._global('kind', kind)}({', '.join(map(self._built, value))})"
        if value is None or kind in (bool, int, str):
            return repr(value)
        if any(True for _ in _tensors(value)):
            raise NotReplayable(f"the result holds tensors in a {kind.__name__}")
        return self._global("k", value)

    def _built_tensor(self, x) -> str:
        place = self.results[id(x)][1]
        if not place.memory.made:
            if x in self.given:
                return self.given[x]
            if any(x is known for known in self.scope.values()):
                return self._global("s", x)
        if x.history is not None and type(x.history) is Leaf:
            raise NotReplayable("the result is a new tensor that requires gradients")
        built = self._shown(place)
        if isinstance(x.history, OperationNode):
            # Gone backward through: what is left of the graph says so.
            return f"with_history({built}, {self._history(x.history)})"
        return built

    def _history(self, node):
        self.scope["with_history"] = with_history
        return self._global("h", node)


def _tensors(value):
    """The tensors in a result, in order."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from _tensors(part)
    elif isinstance(value, (list, tuple, set)):
        for part in value:
            yield from _tensors(part)


def _over(memory: Memory) -> Tensor:
    """A tensor over a memory that none is over."""
    storage = memory.kept
    assert storage is not None
    return meta.over(storage, Layout.packed((storage.nbytes,), uint8), storage.ptr)


def shown(x: Tensor, layout, offset: int) -> Tensor:
    """A tensor of a layout over the memory of x, so many bytes behind its first element."""
    return meta.over(x.memory, layout, x.ptr + offset)


def with_history(x: Tensor, history) -> Tensor:
    x.history = history
    return x
