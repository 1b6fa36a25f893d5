"""Outlines: what a play does as nodes and edges, to be drawn.

Launches are nodes, and so are the tensors that a play is given, the looks and the calls that are
made anew, which cut it into programs. An edge leads from what writes a memory to what reads it.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import NamedTuple

from cresset.capture.tape import Live, Looked, Memory
from cresset.compiler.inspection.apart import places_written
from cresset.compiler.inspection.profile import named, placed, touched
from cresset.compiler.programs.segment import Segment
from cresset.compiler.replay import Replay
from cresset.core.layout import Layout


class Node(NamedTuple):
    """A node: its kind, what it is called, and what more is to say of it, line by line.

    Kinds are "given" of tensors; "loops" of launches of elementwise loops, "fold" where they
    reduce, "kernel" where they have a schedule of their own; "anew" of calls, "look" of elements.
    The lines of a launch are the user's, then what it makes; what is there after the program is
    kept.
    """

    kind: str
    title: str
    lines: tuple[str, ...]


class Outline:
    """The nodes of a play by what identifies them, sources first, and edges between these.

    `names` are those of tensors by the identity of their storage.
    """

    def __init__(self, title: str, replay: Replay, names: dict[int, str]):
        self.title = title
        self.nodes: dict[Hashable, Node] = {}
        self.edges: dict[tuple[Hashable, Hashable], None] = {}
        self._names = names
        # What wrote each memory last, and what ends the stretch before.
        self._writers: dict[Memory, Hashable] = {}
        self._cut: Hashable = None
        for part in replay.parts:
            if isinstance(part, Segment):
                self._add_program(part)
            else:
                self._add_cut(part)

    def _add_program(self, part: Segment):
        start = 0
        for launch in part.launches:
            steps = part.program.steps[start : start + launch.steps]
            start += launch.steps
            key = id(launch)
            written = {p.memory: p.layout for e in launch.entries for p in places_written(e)
                       if p.memory in part.places}
            sources = [self._source(memory, layout)
                       for (memory, _), layout in touched(part, launch).items()
                       if memory in self._writers or memory not in written or not memory.made]
            kind = "kernel"
            if all(step.nest is not None for step in steps):
                kind = "fold" if any(step.nest.reduced for step in steps) else "loops"
            lines = [placed(launch)]
            lines += [f"{'kept: ' * (memory in part.outputs)}{described(layout)}"
                      for memory, layout in written.items() if memory.made]
            self.nodes[key] = Node(kind, named(launch), tuple(filter(None, lines)))
            self._lead(sources, key)
            self._writers.update(dict.fromkeys(written, key))

    def _add_cut(self, part: Live | Looked):
        key = id(part)
        if isinstance(part, Live):
            title = f"{type(part.owner).__name__}.{part.call.func.__name__}"
            node = Node("anew", title, ("made anew",))
            places = [place for place in part.gradients.values() if place is not None]
            sources = [self._source(place.memory, place.layout) for place in places]
        else:
            line = "" if part.line is None else f"{part.line[0].rpartition('/')[2]}:{part.line[1]}"
            node = Node("look", f"is it {part.value}?", tuple(filter(None, [line])))
            sources = [self._writers[part.memory]] if part.memory in self._writers else []
        self.nodes[key] = node
        self._lead(sources, key)
        self._cut = key

    def _source(self, memory: Memory, layout: Layout) -> Hashable:
        """What wrote a memory, or the node that stands for it."""
        if memory not in self._writers:
            storage = memory.storage()
            title = self._names.get(id(storage), "tensor") if storage is not None else "tensor"
            self._writers[memory] = memory
            self.nodes[memory] = Node("given", title, (described(layout),))
        return self._writers[memory]

    def _lead(self, sources: list, key: Hashable):
        """Lead edges to a node; one without any stands behind what ended the stretch before."""
        if self._cut is not None and not any(self.nodes[s].kind != "given" for s in sources):
            sources = [self._cut, *sources]
        self.edges.update(dict.fromkeys((source, key) for source in sources))


def described(layout: Layout) -> str:
    """A layout in a few words."""
    return f"{tuple(layout.shape)} {layout.dtype.name}, {layout.nbytes:,} bytes"
