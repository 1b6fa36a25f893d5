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
from cresset.compiler.structure import Swapped, swapped, tensors_of
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
        found = {id(x): x for x in tensors_of((args, options)) if _has_graph(x)}
        self.pairs = [(x, _stand_in(x)) for x in found.values()]
        # The containers that were made to hold stand-ins.
        self.made: list[Swapped] = []
        shown = {id(x): stand_in for x, stand_in in self.pairs}
        self.args, self.options = swapped((args, options), shown, self.made)

    def problems(self) -> list[str]:
        """What the call did to the arguments and their graphs that no play would do.

        An argument that the call wrote to is given the history of its stand-in, a container that it
        changed what that holds now.
        """
        found = []
        changed = [made.hand_back(self.given_back) for made in self.made]
        if any(changed):
            found.append("it changes a container among its arguments")
        for x, stand_in in self.pairs:
            if type(stand_in.history) is not Bridge:
                x.history = stand_in.history
                found.append("it writes to an argument that has a graph")
            elif stand_in.history.crossed:
                found.append("it goes backward into the graph of an argument")
        return found

    def given_back(self, result: Any) -> Any:
        """The result, with the arguments where it has their stand-ins."""
        own = {id(stand_in): x for x, stand_in in self.pairs}
        own.update((id(made.copy), made.value) for made in self.made)
        return swapped(result, own, []) if own else result


def _has_graph(x: Tensor) -> bool:
    return mode.enabled and type(x.history) not in UNTRACKED | {Leaf}


def _stand_in(x: Tensor) -> Tensor:
    stand_in = x.detach()
    stand_in.history = Bridge(x)
    return stand_in
