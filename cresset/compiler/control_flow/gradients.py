"""The way back through a program of rounds: a second one, and the node that runs it.

The way back through a function that is recorded aside is recorded too. What it reads of the way
forward is made by the program of that as well, and kept with its results.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Sequence
from typing import Any, NamedTuple

from cresset.autograd.group import GroupNode, WholeNode, lead
from cresset.autograd.mode import mode, no_grad
from cresset.autograd.node import Node, Pick
from cresset.autograd.saved import freed
from cresset.capture.tape import Memory, Tape
from cresset.compiler.control_flow.recorded import Unrecorded, read, run, whole
from cresset.core.layout import Layout
from cresset.core.tensor import Tensor
from cresset.runtime.program import Program


def node_of(results: Iterable[Tensor]) -> GroupNode | None:
    """The node of the group that tensors are results of; None where none requires gradients.

    Raises Unrecorded where they lead elsewhere.
    """
    found: GroupNode | None = None
    for x in results:
        if x.requires_grad:
            node = x.history.edges[0] if isinstance(x.history, Pick) else x.history
            if type(node) is not GroupNode or found not in (None, node):
                raise Unrecorded
            found = node
    return found


class Way(NamedTuple):
    """The way back through a group, recorded aside: its launches, what they make, the gradients.

    Of `gradients`, by the nodes that they go to, there are those that are not None.
    """

    entries: list
    made: set[Memory]
    gradients: dict[Node, Tensor]
    layouts: dict[Node, Layout]


def way_back(
    tape: Tape, node: GroupNode, given: Sequence[Tensor], wrote: Container[Memory] = ()
) -> Way:
    """Record the way back through a group, from the gradients of its results.

    It may not read what the group `wrote` to, which is another thing then.
    """
    with no_grad():
        try:
            back = tape.aside(node.apply, tuple(given))
        except (NotImplementedError, RuntimeError) as problem:
            raise Unrecorded from problem
    if back.wrote or any(memory in wrote for memory in read(back.entries)):
        raise Unrecorded
    gradients = {edge: g for edge, g in zip(node.edges, back.result) if g is not None}
    return Way(back.entries, back.made, gradients, dict(zip(node.edges, node.layouts)))


class Arriving(NamedTuple):
    """Stands among what a program is given for the gradient of a result, by number."""

    number: int


class Backward(NamedTuple):
    """A program that makes the gradients that go to `edges`, shaped by `finish`.

    `given` are memories, Arriving, and names of what the forward program makes.
    """

    edges: tuple[Node, ...]
    layouts: tuple[Layout, ...]
    program: Program
    given: Sequence[Any]
    finish: Callable[[Sequence[Tensor]], list[Tensor]] = list

    def node(self, label: str, made: dict[Any, Tensor]) -> RecordedNode:
        """The node of a run of the forward program, which made some things."""
        given = [
            a if isinstance(a, Arriving) else made[a] if a in made else whole(a)
            for a in self.given
        ]
        return RecordedNode(label, self, given)


class RecordedNode(WholeNode):
    """The node of a program of rounds. `given` is what the program of its gradients reads."""

    __slots__ = ("backward", "given", "versions")

    def __init__(self, label: str, backward: Backward, given: list):
        super().__init__(label, backward.edges, backward.layouts)
        self.backward = backward
        self.given: list | None = given
        self.versions = [x.memory.version for x in given if isinstance(x, Tensor)]

    def apply(self, g):
        arrived = [x.contiguous() for x in (g if type(g) in (tuple, list) else (g,))]
        if mode.enabled:
            raise NotImplementedError(
                f"backward: gradients of {self.label} are differentiated again in a call of a "
                "compiled function, but were not in its first call; got create_graph=True; make a "
                "call with it first, or call the function without compile"
            )
        if self.given is None:
            raise freed(self)
        if self.versions != [x.memory.version for x in self.given if isinstance(x, Tensor)]:
            raise RuntimeError(
                "backward: one of the variables needed for gradient computation has been modified "
                f"by an inplace operation: {self.label} read it; write to a clone() of it, or go "
                "backward before"
            )
        given = [arrived[x.number] if isinstance(x, Arriving) else x for x in self.given]
        backward = self.backward
        return backward.finish(run(backward.program, f"{self.label.lower()}_backward", given))

    def release(self):
        self.given = None


def led(node: RecordedNode, results: Sequence[Tensor], wanted: Sequence[bool]) -> list[Tensor]:
    """The results, of which those that are wanted lead to the node."""
    leading = iter(lead(node, [x for x, tracked in zip(results, wanted) if tracked]))
    return [next(leading) if tracked else x for x, tracked in zip(results, wanted)]
