"""Going back from the results of a call to see what comes out, and nothing else."""

from __future__ import annotations

from cresset.autograd.engine import grad
from cresset.autograd.node import Leaf, Pick
from cresset.capture.tape import Tape
from cresset.compiler.backward import PlayedNode
from cresset.compiler.structure import tensors_of
from cresset.core.tensor import Tensor
from cresset.ops.creation.tensors import ones_like, zeros


class WayBack:
    """Going back from the results of a call, with ones for the gradients, and nothing spent."""

    def __init__(self):
        self.places: list[int] = []
        self.wanted: list[Tensor] = []

    def found(self, result) -> tuple:
        """The gradients where a play has given the result; what they lead to is noted."""
        self.places.clear()
        for k, x in enumerate(tensors_of(result)):
            node = x.history.edges[0] if isinstance(x.history, Pick) else x.history
            if isinstance(node, PlayedNode):
                self.places.append(k)
                self.wanted = [_at(edge) for edge in node.edges]
        return self.gone(result)

    def gone(self, result, tape: Tape | None = None) -> tuple:
        """The gradients of the same tensors by the same results."""
        found = list(tensors_of(result))
        outs = [found[k] for k in self.places if found[k].requires_grad]
        if not outs:
            return ()
        given = [ones_like(x.detach()) for x in outs]
        if tape is None:
            return grad(outs, self.wanted, given, retain_graph=True, allow_unused=True)
        with tape:
            return grad(outs, self.wanted, given, retain_graph=True, allow_unused=True)


def _at(node) -> Tensor:
    """The tensor whose gradient comes to a node: a leaf, or one that stands for an argument's."""
    if type(node) is Leaf:
        return node.variable
    x = zeros(0)
    x.history = node
    return x
