"""Going backward through a played call.

Where a result of a recorded call is to be differentiated later, the way back is recorded as well: a
second tape over the same memories. What it reads of the first is kept with the results of every
play, in one node of the graph.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from cresset.autograd.engine import grad
from cresset.autograd.mode import mode
from cresset.autograd.node import Leaf, Node, Pick, complete
from cresset.autograd.record import live
from cresset.capture.tape import Place, Tape
from cresset.compiler.stand_ins import Bridge
from cresset.core.layout import Layout
from cresset.core.storage import Storage
from cresset.core.tensor import Tensor
from cresset.ops import meta
from cresset.ops.creation.tensors import ones_like


class Backward(NamedTuple):
    """The recorded way back: the tape's entries from `start` on.

    It leads from the gradients `given` of the results `outs` to those of the tensors `wanted`,
    which lie at the places `found`.
    """

    start: int
    outs: list[Tensor]
    given: list[Tensor]
    wanted: list[Tensor]
    found: list[Place]


def record_backward(tape: Tape, results, leaves) -> Backward | None:
    """Record the way back from the results to the leaves; None where there is none any more."""
    ends = Leaf, Bridge
    outs = [x for x in results if isinstance(x.history, Node) and type(x.history) not in ends]
    wanted = [x for x in leaves if type(x.history) in ends]
    bridges = [x.history for x in wanted if type(x.history) is Bridge]
    start = len(tape.entries)
    if not outs or not wanted:
        return None
    given = [ones_like(x.detach()) for x in outs]
    try:
        for bridge in bridges:
            bridge.raised = True
        with tape:
            gradients = grad(outs, wanted, given, retain_graph=True, allow_unused=True)
            pairs = [(x, tape.place(g)) for x, g in zip(wanted, gradients) if g is not None]
    except RuntimeError:
        # The function went backward itself, and the graph is gone.
        del tape.entries[start:]
        return None
    finally:
        for bridge in bridges:
            bridge.raised = False
    if not pairs:
        return None
    return Backward(start, outs, given, [x for x, _ in pairs], [place for _, place in pairs])


def storages_of(outs: Iterable[Tensor]) -> set[Storage]:
    """The storages that the graph of some tensors holds for its gradients."""
    found, seen = set(), set()
    waiting: list = [x.history for x in outs]
    while waiting:
        held = waiting.pop()
        if isinstance(held, Node) and held not in seen:
            seen.add(held)
            waiting += [*held.edges, held.saved, held.args]
        elif isinstance(held, (tuple, list)):
            waiting += held
        elif isinstance(held, Tensor):
            found.add(held.memory)
        elif isinstance(held, Storage):
            found.add(held)
    return found


class PlayedNode(Node):
    """The node of a played call: its edges are the tensors that the call was differentiated by.

    `run(gradients, saved)` gives their gradients. `outputs` are the layouts of the gradients that
    it takes.
    """

    __slots__ = ("outputs", "run", "versions")

    def __init__(self, run: Callable, outputs: tuple[Layout, ...], tensors, saved):
        super().__init__(
            None, tuple([live(x) for x in tensors]), tuple([x.layout for x in tensors])
        )
        self.run = run
        self.outputs = outputs
        self.saved = saved
        self.versions = [x.memory.version for x in saved]

    def name(self):
        return "CompiledBackward"

    def complete(self, gradients):
        return complete(gradients, self.outputs)

    def apply(self, g):
        if self.saved is None:
            raise RuntimeError(
                "backward: trying to backward through the graph of a compiled function a second "
                "time: the saved tensors have been freed; pass retain_graph=True to the first "
                "backward"
            )
        if mode.enabled:
            raise NotImplementedError(
                "backward: gradients of a compiled function cannot be differentiated again from "
                "outside of it; got create_graph=True; compile the function that asks for these "
                "gradients instead, or call this one without compile"
            )
        for x, version in zip(self.saved, self.versions):
            if x.memory.version != version:
                raise RuntimeError(
                    "backward: one of the variables needed for gradient computation has been "
                    f"modified by an inplace operation: shape {tuple(x.layout.shape)}, which a "
                    "compiled function read; write to a clone() of it, or go backward before"
                )
        given = g if isinstance(g, tuple) else (g,)
        return self.run([fitted(x, y) for x, y in zip(given, self.outputs)], self.saved)


def fitted(g: Tensor, layout: Layout) -> Tensor:
    """A gradient as it lay when the way back was recorded."""
    return g if g.layout is layout else meta.new(layout).copy_(g)


def with_graph(node: PlayedNode, outs: tuple[Tensor, ...]) -> None:
    """Make the results of a play lead back to its node."""
    for k, x in enumerate(outs):
        x.history = node if len(outs) == 1 else Pick(node, k, len(outs))
