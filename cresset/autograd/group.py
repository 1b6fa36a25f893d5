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
        if not mode.enabled or not any(x.requires_grad for x in results):
            return list(results)
        made, seen = [], set()
        for x in results:
            node = live(x) if x.requires_grad else None
            if node is not None and (node in seen or not self._has(node)):
                x = x.clone()
                node = live(x)
            seen.add(node)
            made.append(x)
        roots = [live(x) if x.requires_grad else None for x in made]
        edges, layouts = self._reached([node for node in roots if node is not None])
        if not edges:
            return made
        outs = [x for x, node in zip(made, roots) if node is not None]
        node = GroupNode(self.label, edges, layouts)
        node.roots = [root for root in roots if root is not None]
        leading = iter(lead(node, outs))
        return [x if root is None else next(leading) for x, root in zip(made, roots)]

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
        given = [x.contiguous() for x in (g if type(g) in (tuple, list) else (g,))]
        ends = set(self.edges)
        roots = list(zip(self.roots, given))
        found = walk(roots, True, mode.enabled, accumulate=False, only=ends, ends=ends)
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
