"""Stand-ins: what a recorded call is given for arguments that have a graph.

A play leads back to the arguments it is given, and knows nothing of how they were made. So while a
call is recorded, an argument with a graph is stood in for by a tensor over the same memory that
begins a graph of its own, with a bridge into the argument's: the call that is recorded leads back
as any other, and the way back that is recorded ends at the bridge.
"""

from __future__ import annotations

from typing import Any

from cresset.autograd.mode import mode
from cresset.autograd.node import Leaf, Node
from cresset.autograd.record import live
from cresset.compiler.structure import put_together, taken_apart
from cresset.core.tensor import Tensor
from cresset.ops.kinds.view import Viewed

# The histories of tensors that are not differentiated.
UNTRACKED = frozenset({type(None), Viewed})


class Bridge(Node):
    """The way from a stand-in into the graph of an argument.

    While it is `raised` nothing goes across; `crossed` says whether something has.
    """

    __slots__ = ("beyond", "crossed", "raised")

    def __init__(self, x: Tensor):
        super().__init__(None, (), (x.layout,))
        self.beyond = live(x)
        self.crossed = self.raised = False

    @property
    def edges(self):
        """The node of the argument."""
        return () if self.raised else (self.beyond,)

    @edges.setter
    def edges(self, _):
        """Edges are made with every node; this one's are the argument's."""

    def name(self):
        return self.beyond.name()

    def apply(self, g):
        self.crossed |= not self.raised
        return () if self.raised else (g,)


class StandIns:
    """`args` and `options` of a call with stand-ins for the arguments that have a graph."""

    def __init__(self, args: tuple, options: dict):
        self.held, structure = taken_apart((args, options))
        self.shown = [_stood_in(x) for x in self.held]
        self.args, self.options = put_together(structure, iter(self.shown))

    def problems(self) -> list[str]:
        """What the call did to the arguments' graphs that no play would do.

        An argument that the call wrote to is given the history of its stand-in.
        """
        found = []
        for x, stand_in in zip(self.held, self.shown):
            if x is stand_in:
                continue
            if type(stand_in.history) is not Bridge:
                x.history = stand_in.history
                found.append("it writes to an argument that has a graph")
            elif stand_in.history.crossed:
                found.append("it goes backward into the graph of an argument")
        return found

    def given_back(self, result: Any) -> Any:
        """The result, with the arguments where it has their stand-ins."""
        own = {id(y): x for x, y in zip(self.held, self.shown) if x is not y}
        if not own:
            return result
        found, structure = taken_apart(result)
        return put_together(structure, iter([own.get(id(value), value) for value in found]))


def _stood_in(x):
    if not isinstance(x, Tensor) or not mode.enabled or type(x.history) in UNTRACKED | {Leaf}:
        return x
    stand_in = x.detach()
    stand_in.history = Bridge(x)
    return stand_in
