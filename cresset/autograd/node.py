"""Nodes: what autograd remembers of an operation that ran.

A node holds the operation, what its gradient reads (and no more), and its edges: the nodes that
made its operands. What the gradient needs is released after backward.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from itertools import count

from cresset.autograd.names import node_name
from cresset.core.tensor import Tensor
from cresset.ops.creation.tensors import filled
from cresset.ops.shapes.joining import cat, stack

# Nodes are numbered as they are made: every node's number is greater than those of its operands.
# Leaves come after everything else in a walk backwards, so theirs are negative.
numbers: Iterator[int] = count(1)
leaf_numbers = count(-2, -1)


class Node:
    """One recorded operation; `grad_fn` of its output.

    `edges` holds the node of every operand (None where no gradient is wanted), `layouts` those
    operands' layouts. `hooks` are called with the gradient of the output before it is used.
    """

    __slots__ = ("__weakref__", "args", "edges", "hooks", "layouts", "op", "retain", "saved",
                 "sequence")

    def __init__(self, op, edges, layouts):
        self.op = op
        self.edges = edges
        self.layouts = layouts
        self.hooks = None
        self.retain = None
        self.saved = None
        self.args = None
        self.sequence = next(numbers)

    def name(self) -> str:
        """What PyTorch calls such a node."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"<{self.name()}>"

    def __call__(self, *gradients):
        """The gradients of the operands, given that of the output."""
        return tuple(self.apply(gradients[0] if len(gradients) == 1 else list(gradients)))

    @property
    def next_functions(self):
        """((node, 0), ...) for every operand, as PyTorch has it."""
        return tuple((edge, 0) for edge in self.edges)

    def apply(self, g):
        """The gradient for each edge, None where there is none."""
        raise NotImplementedError

    def release(self):
        """Let go of what was saved."""
        self.saved = None


class Leaf(Node):
    """The node of a tensor that the user made: gradients are accumulated in its `.grad`."""

    __slots__ = ("told", "tensor")

    def __init__(self, tensor):
        super().__init__(None, (), ())
        # Hooks that are called with the tensor once its gradient has been accumulated.
        self.told = None
        self.tensor = weakref.ref(tensor)
        self.sequence = next(leaf_numbers)

    def name(self):
        return "AccumulateGrad"

    @property
    def variable(self):
        """The tensor whose gradient this is; None once nothing else holds it."""
        return self.tensor()


class Pick(Node):
    """One output of an operation with several; its edge is the operation's node."""

    __slots__ = ("slot", "total")

    def __init__(self, node, slot, total, op=None, args=None):
        # Written out, as a recorded call makes several of them.
        self.op = op or node.op
        self.edges = (node,)
        self.layouts = (None,)
        self.hooks = self.retain = self.saved = None
        self.args = args
        self.sequence = next(numbers)
        self.slot = slot
        self.total = total

    def name(self):
        return self.edges[0].name()


class Piece(Pick):
    """One of several views that together are the whole tensor; it knows how it was made."""

    __slots__ = ()


class PiecesNode(Node):
    """The node of `unbind` and `split`: the gradients of all pieces are joined at once."""

    __slots__ = ("dim", "outputs", "stacked")

    def name(self):
        return "UnbindBackward0" if self.stacked else "SplitBackward0"

    def complete(self, gradients):
        return complete(gradients, self.outputs)

    def apply(self, gs):
        join = stack if self.stacked else cat
        return (join(gs, self.dim),)


class OperationNode(Node):
    """A node whose gradient is the operation's stated or derived one."""

    __slots__ = ("label", "outputs", "recipe")

    def __init__(self, op, edges, layouts, recipe):
        # Written out, as every recorded call makes one.
        self.op = op
        self.edges = edges
        self.layouts = layouts
        self.hooks = self.retain = self.args = self.saved = None
        self.sequence = next(numbers)
        self.recipe = recipe

    def name(self) -> str:
        return node_name(self)

    def apply(self, g):
        return self.recipe.gradients(self, g)

    def complete(self, gradients):
        if "arrived" in self.op.saves:
            return tuple(gradients)
        return complete(gradients, self.outputs)

    def release(self):
        if self.recipe.holds:
            self.saved = None


class ViewNode(OperationNode):
    """The node of a view: it keeps how the view was made, so that it can be replayed."""

    __slots__ = ()


def complete(gradients, layouts) -> tuple:
    """The gradients of several outputs; zeros for those that nothing used."""
    return tuple([
        zeros_of(layout) if g is None else g for g, layout in zip(gradients, layouts)
    ])


def zeros_of(layout) -> Tensor:
    """Zeros in the shape and type of a layout."""
    return filled(layout.shape, layout.dtype, 0, layout.device)


def alias(x: Tensor) -> Tensor:
    """Another tensor over the same elements, without history."""
    out = object.__new__(Tensor)
    out.memory, out.layout, out.ptr = x.memory, x.layout, x.ptr
    out.base = out.history = out.grad = None
    return out
