"""Groups: what a function did, as one node of the graph.

The gradients that several operations of a group have for one tensor are added up within the group,
and come out as one. So does whatever computes the group's gradients in one piece, and both give the
same bits.
"""

from __future__ import annotations

from collections.abc import Sequence

from cresset.autograd.engine import walk
from cresset.autograd.mode import mode
from cresset.autograd.node import Leaf, Node, Pick, alias, complete, leaf_numbers, numbers
from cresset.autograd.record import live
from cresset.autograd.saved import freed
from cresset.core.layout import Layout
from cresset.core.tensor import Tensor
from cresset.ops import dispatch


class Group:
    """Everything that is recorded since it was made, as a node of the graph; see `close`."""

    def __init__(self, label: str):
        self.label = label
        self._first = next(numbers)
        self._last_leaf = next(leaf_numbers)

    def close(self, results: Sequence[Tensor]) -> list[Tensor]:
        """The results of the group, which lead to one node where they require gradients.

        Each of these has to be made in the group and to be returned once: others are copied.
        """
        made = list(results)
        found = [live(x) if mode.enabled and x.requires_grad else None for x in made]
        for k, node in enumerate(found):
            if node is not None and (found.index(node) < k or not self._has(node)):
                made[k] = made[k].clone()
                found[k] = live(made[k])
        roots = [node for node in found if node is not None]
        edges, layouts = self._reached(roots)
        if not edges:
            return made
        node = GroupNode(self.label, edges, layouts)
        node.roots = roots
        leading = iter(lead(node, [x for x, root in zip(made, found) if root is not None]))
        return [x if root is None else next(leading) for x, root in zip(made, found)]

    def _has(self, node: Node) -> bool:
        """Whether a node was made in the group."""
        if type(node) is Leaf:
            return node.sequence < self._last_leaf
        if isinstance(node, Pick):
            return self._has(node.edges[0])
        return node.sequence > self._first

    def _reached(self, roots):
        """The nodes outside that the roots lead to, and the layouts of their tensors."""
        inside: set[Node] = set()
        edges: dict[Node, Layout] = {}
        stack = list(roots)
        while stack:
            node = stack.pop()
            if node in inside:
                continue
            inside.add(node)
            for edge, layout in zip(node.edges, node.layouts):
                if edge is None:
                    continue
                if self._has(edge):
                    stack.append(edge)
                else:
                    edges.setdefault(edge, layout)
        return tuple(edges), tuple(edges.values())


class WholeNode(Node):
    """A node of several results, all of whose gradients it is given: zeros where there are none.

    `outputs` are the layouts of the results that require gradients, `label` is the node's name.
    """

    __slots__ = ("label", "outputs")

    def __init__(self, label, edges, layouts):
        super().__init__(None, edges, layouts)
        self.label = label
        self.outputs = ()

    def name(self):
        return f"{self.label}Backward"

    def complete(self, gradients):
        return complete(gradients, self.outputs)


class GroupNode(WholeNode):
    """The node of a group: its gradients are found by walking from `roots` to its edges."""

    __slots__ = ("roots",)

    def apply(self, g):
        if self.roots is None:
            raise freed(self)
        if mode.enabled and dispatch.tape is not None:
            dispatch.tape.again = True
        given = [x.contiguous() for x in (g if type(g) in (tuple, list) else (g,))]
        ends = set(self.edges)
        roots = list(zip(self.roots, given))
        found = walk(roots, True, mode.enabled, accumulate=False, ends=ends)
        return [found.get(edge) for edge in self.edges]

    def release(self):
        # The nodes inside may be met by themselves, where gradients are differentiated.
        self.roots = None


def lead(node: WholeNode, outs: Sequence[Tensor]) -> list[Tensor]:
    """Tensors over the same elements that lead to a node, of which they are the results."""
    node.outputs = tuple(x.layout for x in outs)
    shown = []
    for k, x in enumerate(outs):
        x = alias(x)
        x.history = node if len(outs) == 1 else Pick(node, k, len(outs))
        shown.append(x)
    return shown
