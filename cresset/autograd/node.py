"""Nodes: what autograd remembers of an operation that ran.

A node holds the operation, what its gradient reads (and no more), and its edges: the nodes that
made its operands. `record` enters a call; what the gradient needs is released after backward.
"""

from __future__ import annotations

import weakref
from itertools import count

from cresset.autograd.mode import mode
from cresset.core.tensor import Tensor
from cresset.ops.creation import zeros
from cresset.ops.kinds.composite import Composite
from cresset.ops.kinds.elementwise import Elementwise
from cresset.ops.kinds.view import View, Viewed
from cresset.ops.shape import sum_to

# Nodes are numbered as they are made: every node's number is greater than those of its operands.
numbers = count(1)


class Node:
    """One recorded operation; `grad_fn` of its output.

    `edges` holds the node of every operand (None where no gradient is wanted), `layouts` those
    operands' layouts. `hooks` are called with the gradient of the output before it is used.
    """

    __slots__ = ("__weakref__", "args", "edges", "hooks", "layouts", "op", "retain", "saved",
                 "sequence")

    released = False

    def __init__(self, op, edges, layouts):
        self.op = op
        self.edges = edges
        self.layouts = layouts
        self.hooks = None
        self.retain = None
        self.saved = None
        self.args = None
        self.sequence = next(numbers)

    @property
    def name(self) -> str:
        return "".join(part.capitalize() for part in self.op.name.split("_")) + "Backward0"

    def __repr__(self) -> str:
        return f"<{self.name}>"

    def __call__(self, *gradients):
        """The gradients of the operands, given that of the output."""
        return tuple(self.apply(gradients[0] if len(gradients) == 1 else list(gradients)))

    @property
    def next_functions(self):
        """((node, 0), ...) for every operand, as PyTorch has it."""
        return tuple((edge, 0) for edge in self.edges)

    def apply(self, g) -> list:
        """The gradient for each edge, None where there is none."""
        raise NotImplementedError

    def release(self):
        """Let go of what was saved."""
        self.saved = None


class Leaf(Node):
    """The node of a tensor that the user made: gradients are accumulated in its `.grad`."""

    __slots__ = ("tensor",)

    def __init__(self, tensor):
        super().__init__(None, (), ())
        self.tensor = weakref.ref(tensor)
        # Leaves come after everything else in a walk backwards.
        self.sequence = 0

    @property
    def name(self):
        return "AccumulateGrad"

    def apply(self, g):
        return []


class Saved:
    """A tensor as it was when it was saved; reading it checks that it still is."""

    __slots__ = ("is_output", "tensor", "version")

    def __init__(self, tensor, is_output=False):
        storage = tensor.storage
        if storage.writer is None:
            storage.writer = ()
        self.version = storage.version
        self.is_output = is_output
        # The output's own node holds this: an alias without history makes no cycle.
        self.tensor = alias(tensor) if is_output else tensor

    def read(self, node):
        storage = self.tensor.storage
        if storage.version != self.version:
            raise RuntimeError(overwritten(node, self.tensor, self.version))
        if self.is_output and mode.enabled:
            x = alias(self.tensor)
            x.history = node
            return x
        return self.tensor


def overwritten(node, tensor, version) -> str:
    """The message for a saved value that is no longer there."""
    storage = tensor.storage
    by = "an in-place operation"
    if storage.writer:
        _, operation, place = storage.writer
        by = f"{operation}_ at {place}"
    return (
        f"backward: one of the variables needed for gradient computation has been modified by an "
        f"inplace operation: a tensor of shape {tuple(tensor.layout.shape)} that {node.name} saved "
        f"is at version {storage.version}; expected version {version} instead; it was overwritten "
        f"last by {by}; write to a clone() of it, or use the form that returns a new tensor"
    )


def alias(x: Tensor) -> Tensor:
    """Another tensor over the same elements, without history."""
    out = object.__new__(Tensor)
    out.storage, out.layout, out.ptr = x.storage, x.layout, x.ptr
    out.base = out.history = out.grad = None
    return out


class OperationNode(Node):
    """A node whose gradient is the operation's stated or derived one."""

    __slots__ = ("form", "outputs")

    def keep(self, out, args, spare=None):
        """Save what the gradient reads; `spare` stands in for an argument about to be overwritten."""
        op = self.op
        if isinstance(op, Elementwise):
            needs = [False] * len(args)
            for place, edge in zip(op.tensor_places, self.edges):
                needs[place] = edge is not None
            present = tuple(
                a if kind == "static" else None if a is None else True
                for kind, a in zip(op.parameter_kinds, args)
            )
            self.form = op.backward_form(tuple(needs), present)
            names = self.form.reads
        else:
            self.form = None
            names = op.saves if op.gradient_rule is not None else op.parameter_names
        named = dict(zip(op.parameter_names, args))
        saved = {}
        for name in names:
            if name == "out":
                saved[name] = Saved(out, is_output=True)
            elif name == "outs":
                saved[name] = tuple(Saved(o, is_output=True) for o in out)
            elif name in named:
                value = named[name]
                if isinstance(value, Tensor):
                    value = Saved(value if spare is None or value is not spare[0] else spare[1])
                saved[name] = value
            elif name.endswith("_layout"):
                saved[name] = named[name[:-7]].layout
        self.saved = saved

    def unpacked(self) -> dict:
        if self.saved is None:
            raise RuntimeError(
                f"backward: trying to backward through the graph a second time: what {self.name} "
                "saved has been freed; pass retain_graph=True to the first backward"
            )
        out = {}
        for name, value in self.saved.items():
            if type(value) is Saved:
                value = value.read(self)
            elif type(value) is tuple and value and type(value[0]) is Saved:
                value = tuple(v.read(self) for v in value)
            out[name] = value
        return out

    def apply(self, g):
        values = self.unpacked()
        if self.form is not None:
            return self._apply_form(g, values)
        op = self.op
        if op.gradient_rule is None:
            return default_gradient(self, g, values)
        if "g" in op.saves:
            values["g"] = g
        if "gs" in op.saves:
            values["gs"] = g
        if "needs" in op.saves:
            values["needs"] = tuple(edge is not None for edge in self.edges)
        found = op.gradient_rule(**values)
        return list(found) if type(found) is tuple else [found]

    def _apply_form(self, g, values):
        form = self.form
        grads = [None] * len(self.op.parameter_names)
        for k in form.through:
            grads[k] = g
        if form.function is not None:
            gs = g if type(g) is tuple else (g,)
            found = form.function(*gs, *[values[name] for name in form.reads])
            if len(form.computed) == 1:
                grads[form.computed[0]] = found
            else:
                for k, part in zip(form.computed, found):
                    grads[k] = part
        return [grads[k] for k in self.op.tensor_places]

    def complete(self, gradients):
        """The gradients of several outputs; zeros for those that nothing used."""
        return tuple(
            zeros_of(layout) if g is None else g for g, layout in zip(gradients, self.outputs)
        )


class ViewNode(OperationNode):
    """The node of a view: it keeps how the view was made, so that it can be replayed."""

    __slots__ = ()

    def release(self):
        """Views save no values, so there is nothing to let go of."""


class Pick(Node):
    """One output of an operation with several; its edge is the operation's node."""

    __slots__ = ("slot", "total")

    def __init__(self, node, slot, total):
        super().__init__(node.op, (node,), (None,))
        self.slot = slot
        self.total = total

    @property
    def name(self):
        return self.edges[0].name


def default_gradient(node, g, values):
    """The gradient where none is stated: views scatter into zeros, composites redo their body."""
    if isinstance(node.op, View):
        base = zeros_of(node.layouts[0].cast(g.layout.dtype))
        node.op.function(base, *node.args[1:]).copy_(g)
        return [base]
    if isinstance(node.op, Composite):
        return redo(node, g, values)
    raise NotImplementedError(
        f"backward: the derivative of {node.op.name} is not implemented; detach() its operands, or "
        "state a gradient with @operation.gradient"
    )


def zeros_of(layout) -> Tensor:
    """Zeros in the shape and type of a layout."""
    return zeros(tuple(layout.shape), dtype=layout.dtype)


def redo(node, g, values):
    """A composite's gradient by its body: run it again, recorded, and differentiate that."""
    from cresset.autograd.engine import grad

    op, again = node.op, mode.enabled
    args = [values[name] for name in op.parameter_names]
    wanted = []
    for place, edge in zip(op.tensor_places, node.edges):
        if edge is not None:
            if not again:
                args[place] = alias(args[place])
                args[place].history = Leaf(args[place])
            wanted.append(place)
    mode.enabled = True
    try:
        out = op.call_body(args)
        found = grad((out,), tuple(args[k] for k in wanted), (g,), create_graph=again,
                     allow_unused=True)
    finally:
        mode.enabled = again
    grads = dict(zip(wanted, found))
    return [grads.get(place) for place in op.tensor_places]


def undo_broadcast(g, layout):
    """The gradient in the shape and type of what it belongs to."""
    if g.layout.shape != layout.shape:
        g = sum_to(g, tuple(layout.shape))
    if g.layout.dtype is not layout.dtype:
        g = g.to(layout.dtype)
    return g


def live(x: Tensor):
    """The node that made x's current value, or None.

    A view whose base was overwritten with a history after the view was made is replayed from it.
    """
    history = x.history
    if x.base is None or history is None:
        return history
    chain = []
    root = x
    while root.base is not None and root.history is not None:
        chain.append(root)
        root = root.base
    newest = root.history
    if newest is None or type(newest) is Leaf or newest.sequence <= history.sequence:
        return None if type(history) is Viewed else history
    node = newest
    parent = root
    for view in reversed(chain):
        node = view_node(view.history.op, view.history.args, parent, node)
        view.history = node
        parent = view
    return node


def view_node(op, args, parent: Tensor, edge) -> ViewNode:
    """The node of `op(parent, ...)` where `edge` is the parent's node."""
    node = ViewNode(op, (edge,), (parent.layout,))
    node.args = (None, *args[1:])
    node.form = None
    named = dict(zip(op.parameter_names, args))
    named["x_layout"] = parent.layout
    node.saved = {n: named[n] for n in op.saves if n in named}
    return node


def record(op, out, args):
    """Enter a call into the graph; returns its result."""
    if isinstance(op, View):
        return _record_view(op, out, args)
    if not mode.enabled:
        return out
    edges, layouts, wanted = [], [], False
    for place in op.tensor_places:
        a = args[place]
        edge = None
        if isinstance(a, Tensor):
            edge = live(a)
            layouts.append(a.layout)
        else:
            layouts.append(None)
        wanted = wanted or edge is not None
        edges.append(edge)
    if not wanted:
        return out
    if type(out) is tuple:
        return _record_several(op, out, args, edges, layouts)
    if not out.layout.dtype.is_floating_point:
        return out
    node = OperationNode(op, tuple(edges), tuple(layouts))
    out.history = node
    node.keep(out, args)
    return out


def _record_view(op, out, args):
    x = args[0]
    if not mode.enabled:
        out.history = None
        return out
    edge = live(x)
    if edge is not None:
        out.history = view_node(op, args, x, edge)
    return out


def _record_several(op, out, args, edges, layouts):
    node = OperationNode(op, tuple(edges), tuple(layouts))
    node.outputs = tuple(o.layout for o in out)
    for k, o in enumerate(out):
        if o.layout.dtype.is_floating_point:
            o.history = Pick(node, k, len(out))
    node.keep(out, args)
    return out
