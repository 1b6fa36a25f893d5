"""Nodes: what autograd remembers of an operation that ran.

A node holds the operation, what its gradient reads (and no more), and its edges: the nodes that
made its operands. `record` enters a call; what the gradient needs is released after backward.
"""

from __future__ import annotations

import weakref
from itertools import count

from cresset.autograd.mode import mode
from cresset.core.dtype import dtype
from cresset.core.tensor import Tensor, tensor_types
from cresset.ops.creation import zeros
from cresset.ops.joining import cat, stack
from cresset.ops.kinds.composite import Composite
from cresset.ops.kinds.elementwise import Elementwise
from cresset.ops.kinds.view import View, Viewed
from cresset.ops.placement import placed
from cresset.ops.shape import expand, sum_to

# Nodes are numbered as they are made: every node's number is greater than those of its operands.
numbers = count(1)
FLOAT = dtype.FLOAT


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
        """The operation's name as PyTorch would spell its node."""
        parts = self.op.label.split("_")
        return "".join(part[:1].upper() + part[1:] for part in parts) + "Backward0"

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


class Piece(Pick):
    """One of several views that together are the whole tensor; it knows how it was made."""

    __slots__ = ()

    def __init__(self, node, slot, total, op, args):
        super().__init__(node, slot, total)
        self.op = op
        self.args = (None, *args[1:])


class PiecesNode(Node):
    """The node of `unbind` and `split`: the gradients of all pieces are joined at once."""

    __slots__ = ("dim", "outputs", "stacked")

    @property
    def name(self):
        return "UnbindBackward0" if self.stacked else "SplitBackward0"

    def complete(self, gradients):
        return tuple(
            zeros_of(layout) if g is None else g for g, layout in zip(gradients, self.outputs)
        )

    def apply(self, gs):
        join = stack if self.stacked else cat
        return [join(gs, self.dim)]


def record_pieces(x, calls, dim, stacked):
    """The views of x that `calls` make, (operation, arguments) each, as one entry in the graph."""
    if not mode.enabled or live(x) is None:
        return tuple([op.function(*args) for op, args in calls])
    node = PiecesNode(None, (live(x),), (x.layout,))
    node.dim, node.stacked = dim, stacked
    plain = alias(x)
    made = []
    for k, (op, args) in enumerate(calls):
        piece = op.function(plain, *args[1:])
        piece.base = x
        piece.history = Piece(node, k, len(calls), op, args)
        made.append(piece)
    node.outputs = tuple([piece.layout for piece in made])
    return tuple(made)


# How a value that a gradient reads is saved: a tensor with its version, the output as (storage,
# layout, address, version) because the node must not hold what holds the node, all outputs, any
# other argument as it is, or the layout of an operand alone.
TENSOR, OUT, OUTS, PLAIN, LAYOUT = range(5)


class Recipe:
    """What calls of one operation with the same operands wanting gradients save.

    `items` are (how, place among the arguments), `names` the gradient rule's names for them; `form`
    is the derived gradient of an elementwise operation.
    """

    def __init__(self, op, args, edges):
        needs = [False] * len(args)
        for place, edge in zip(op.tensor_places, edges):
            needs[place] = edge is not None
        self.form = None
        if isinstance(op, Elementwise) and (op.gradient_rule is None or op.outputs == 1):
            present = tuple(
                a if kind == "static" else None if a is None else True
                for kind, a in zip(op.parameter_kinds, args)
            )
            self.form = op.backward_form(tuple(needs), present)
            names = self.form.reads
        else:
            redone = op.parameter_names if isinstance(op, Composite) else ()
            names = redone if op.gradient_rule is None else op.saves
        self.names, self.items = [], []
        for name in names:
            stated = op.gradient_rule is not None
            if stated and name in ("g", "gs", "needs"):
                continue
            self.names.append(name)
            self.items.append(self._item(op, args, name))

    @staticmethod
    def _item(op, args, name):
        # A composite that is done again reads its operands, whatever their names.
        redone = isinstance(op, Composite) and op.gradient_rule is None
        if name in ("out", "outs") and not redone:
            return (OUT if name == "out" else OUTS), -1
        if name in op.parameter_names:
            place = op.parameter_names.index(name)
            return (TENSOR if isinstance(args[place], Tensor) else PLAIN), place
        if name.endswith("_layout"):
            return LAYOUT, op.parameter_names.index(name[:-7])
        raise TypeError(f"{op.label}: its gradient names {name!r}, which is no parameter of it")


def recipe_of(op, args, edges) -> Recipe:
    """The recipe of a call; there is one for each pattern of operands."""
    pattern = 1
    for place, edge in zip(op.tensor_places, edges):
        a = args[place]
        code = 3 if a is None else 1 + (edge is not None) if isinstance(a, Tensor) else 0
        pattern = 4 * pattern + code
    key: object = pattern
    if not op.plain:
        key = (pattern, *(
            a if kind == "static" else a is None
            for kind, a in zip(op.parameter_kinds, args) if kind in ("static", "number")
        ))
    found = op.recipes.get(key)
    if found is None:
        found = op.recipes[key] = Recipe(op, args, edges)
    return found


def save(recipe, out, args) -> list:
    """The values that a recipe names."""
    saved = []
    for how, place in recipe.items:
        if how == TENSOR:
            x = args[place]
            storage = x.storage
            if storage.writer is None:
                storage.writer = ()
            saved.append((x, storage.version))
        elif how == OUT:
            saved.append(save_output(out))
        elif how == PLAIN:
            saved.append(args[place])
        elif how == LAYOUT:
            saved.append(args[place].layout)
        else:
            saved.append(tuple([save_output(o) for o in out]))
    return saved


def save_output(x):
    """An output as its node may hold it."""
    storage = x.storage
    if storage.writer is None:
        storage.writer = ()
    return storage, x.layout, x.ptr, storage.version


def read_tensor(node, saved):
    """A saved operand, if it is still what it was."""
    x, version = saved
    if x.storage.version != version:
        raise RuntimeError(overwritten(node, x.storage, x.layout, version))
    return x


def read_output(node, saved, history):
    """A saved output, as a new tensor with a history if gradients are recorded."""
    storage, layout, ptr, version = saved
    if storage.version != version:
        raise RuntimeError(overwritten(node, storage, layout, version))
    x = object.__new__(Tensor)
    x.storage, x.layout, x.ptr = storage, layout, ptr
    x.base = x.grad = None
    x.history = history if mode.enabled and layout.dtype.is_floating_point else None
    return x


def overwritten(node, storage, layout, version) -> str:
    """The message for a saved value that is no longer there."""
    by = "an in-place operation"
    if storage.writer:
        _, operation, place = storage.writer
        by = f"{operation} at {place}"
    return (
        f"backward: one of the variables needed for gradient computation has been modified by an "
        f"inplace operation: a tensor of shape {tuple(layout.shape)} that {node.name} saved "
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

    __slots__ = ("outputs", "recipe")

    def values(self) -> list:
        """What was saved, in the recipe's order."""
        saved = self.saved
        if saved is None:
            raise RuntimeError(
                f"backward: trying to backward through the graph a second time: what {self.name} "
                "saved has been freed; pass retain_graph=True to the first backward"
            )
        out = []
        for (how, _), value in zip(self.recipe.items, saved):
            if how == TENSOR:
                value = read_tensor(self, value)
            elif how == OUT:
                value = read_output(self, value, self)
            elif how == OUTS:
                value = tuple(
                    read_output(self, v, Pick(self, k, len(value))) for k, v in enumerate(value)
                )
            out.append(value)
        return out

    def apply(self, g):
        form = self.recipe.form
        values = self.values()
        if form is not None:
            return self._apply_form(form, g, values)
        op = self.op
        named = dict(zip(self.recipe.names, values))
        if op.gradient_rule is None:
            return default_gradient(self, g, named)
        if "g" in op.saves:
            named["g"] = g
        if "gs" in op.saves:
            named["gs"] = g
        if "needs" in op.saves:
            named["needs"] = tuple(edge is not None for edge in self.edges)
        found = op.gradient_rule(**named)
        return found if type(found) is tuple else (found,)

    def _apply_form(self, form, g, values):
        grads = [None] * len(self.op.parameter_names)
        for k in form.through:
            grads[k] = g
        if form.function is not None:
            gs = g if type(g) is tuple else (g,)
            found = form.function(*gs, *values)
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


def default_gradient(node, g, values):
    """The gradient where none is stated: views scatter into zeros, composites redo their body."""
    if isinstance(node.op, View):
        return [placed(g, node.op, node.args[1:], node.layouts[0])]
    if isinstance(node.op, Composite):
        return redo(node, g, values)
    raise NotImplementedError(
        f"backward: the derivative of {node.op.label} is not implemented; detach() its operands, "
        "or state a gradient with @operation.gradient"
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
    mode.enabled = True
    try:
        for place, edge in zip(op.tensor_places, node.edges):
            if edge is None:
                continue
            wanted.append(place)
            x = args[place]
            if again:
                # A view of its own: what comes to x by way of another operand is not its gradient.
                args[place] = expand(x, tuple(x.layout.shape))
            else:
                args[place] = alias(x)
                args[place].history = Leaf(args[place])
        out = op.call_body(args)
        pairs = zip(out, g) if type(out) is tuple else ((out, g),)
        outs, gs = zip(*[(o, h) for o, h in pairs if o.history is not None])
        found = grad(outs, tuple(args[k] for k in wanted), gs, create_graph=again,
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
    node.recipe = recipe_of(op, (parent, *args[1:]), (edge,))
    node.saved = save(node.recipe, None, (parent, *args[1:]))
    return node


def record(op, out, args):
    """Enter a call into the graph; returns its result."""
    if not mode.enabled:
        if type(out) is Tensor and type(out.history) is Viewed:
            out.history = None
        return out
    edges, layouts = [], []
    # The pattern of operands in base 4: 0 a number, 1 a tensor, 2 one with a history, 3 None.
    pattern, wanted = 1, False
    for place in op.tensor_places:
        a = args[place]
        pattern *= 4
        edge = layout = None
        if type(a) in tensor_types or isinstance(a, Tensor):
            layout = a.layout
            edge = a.history
            pattern += 1
            if edge is not None:
                if a.base is not None:
                    edge = live(a)
                if edge is not None:
                    wanted = True
                    pattern += 1
        elif a is None:
            pattern += 3
        edges.append(edge)
        layouts.append(layout)
    if not wanted:
        return out
    if type(out) is tuple:
        return record_several(op, out, args, edges, layouts)
    if out.history is not None:
        out.history = view_node(op, args, args[0], edges[0])
        return out
    if not out.layout.dtype.category >= FLOAT:
        return out
    recipe = op.recipes.get(pattern) if op.plain else None
    if recipe is None:
        recipe = recipe_of(op, args, edges)
    node = OperationNode(op, edges, layouts)
    node.recipe = recipe
    out.history = node
    node.saved = save(recipe, out, args) if recipe.items else ()
    return out


def record_several(op, out, args, edges, layouts):
    """Enter a call with several results."""
    node = OperationNode(op, edges, layouts)
    node.recipe = recipe_of(op, args, edges)
    node.outputs = tuple(o.layout for o in out)
    for k, o in enumerate(out):
        if o.layout.dtype.is_floating_point:
            o.history = Pick(node, k, len(out))
    node.saved = save(node.recipe, out, args)
    return out
