"""Recording: how a call that ran enters the graph."""

from __future__ import annotations

from cresset.autograd.mode import mode
from cresset.autograd.node import Leaf, OperationNode, Pick, Piece, PiecesNode, ViewNode, alias
from cresset.autograd.recipe import ABSENT, GIVEN, NUMBER, ONE_WANTED, WANTED, recipe_of
from cresset.autograd.saved import pack, packers
from cresset.core.dtype import dtype
from cresset.core.tensor import Tensor, tensor_types
from cresset.ops.generated import function_of
from cresset.ops.kinds.view import Viewed

FLOAT = dtype.FLOAT


def record(op, out, args):
    """Enter a call into the graph; returns its result."""
    if not mode.enabled:
        if type(out) is Tensor and type(out.history) is Viewed:
            out.history = None
        return out
    read = op.read_operands or reader_of(op)
    edges, layouts, pattern, wanted = read(args)
    if not wanted:
        return out
    if type(out) is tuple:
        node = OperationNode(op, edges, layouts, recipe_of(op, args, pattern))
        node.outputs = tuple([o.layout for o in out])
        for k, o in enumerate(out):
            if o.layout.dtype.category >= FLOAT:
                o.history = Pick(node, k, len(out))
        node.saved = node.recipe.save(out, args)
        if packers:
            pack(node)
    elif out.history is not None:
        out.history = view_node(op, args, args[0], edges[0])
    elif out.layout.dtype.category >= FLOAT:
        # A pattern alone is a key where all parameters are operands.
        recipe = op.recipes.get(pattern) or recipe_of(op, args, pattern)
        out.history = node = OperationNode(op, edges, layouts, recipe)
        if recipe.items:
            node.saved = recipe.save(out, args)
            if packers:
                pack(node)
    return out


def reader_of(op):
    """The function that reads the operands of a call of `op` as autograd sees them.

    It takes the arguments and returns (edges, layouts, pattern, wanted). The pattern says of each
    operand, in base 4, whether it is a tensor, one with a history, a number, or absent; `wanted`
    whether any has a history.
    """
    if op.read_operands is None:
        scope = {"live": live, "tensor_types": tensor_types}
        op.read_operands = function_of(_reading(op), scope)
    return op.read_operands


def _reading(op) -> str:
    """The text of the function that reads the operands of an operation, written out for each."""
    # Digit by digit: `stack` may have more operands than Python nests parentheses.
    lines = ["def read(args):", "    pattern = 1"]
    for place in op.tensor_places:
        a, edge, layout = (f"{name}{place}" for name in ("a", "edge", "layout"))
        lines += [
            f"    {a} = args[{place}]",
            f"    if type({a}) in tensor_types:",
            f"        {layout} = {a}.layout",
            f"        {edge} = {a}.history if {a}.base is None else live({a})",
            f"        pattern = pattern * 4 + ({GIVEN} if {edge} is None else {WANTED})",
            "    else:",
            f"        {edge} = {layout} = None",
            f"        pattern = pattern * 4 + ({ABSENT} if {a} is None else {NUMBER})",
        ]
    edges, layouts = (
        ", ".join(f"{name}{place}" for place in op.tensor_places) for name in ("edge", "layout")
    )
    wanted = " or ".join(f"edge{place} is not None" for place in op.tensor_places)
    return "\n".join([*lines, f"    return ({edges},), ({layouts},), pattern, {wanted or False}"])


def record_pieces(x, op, calls, dim, stacked):
    """The views of x that `op` makes with each of `calls`, as one entry in the graph."""
    history = live(x) if mode.enabled else None
    if history is None:
        return tuple([op.function(x, *args) for args in calls])
    node = PiecesNode(op, (history,), (x.layout,))
    node.dim, node.stacked = dim, stacked
    plain = alias(x)
    made, view, total = [], op.function, len(calls)
    for k, args in enumerate(calls):
        piece = view(plain, *args)
        piece.base = x
        piece.history = Piece(node, k, total, op, (None, *args))
        made.append(piece)
    node.outputs = [piece.layout for piece in made]
    return tuple(made)


def live(x: Tensor):
    """The node that made x's current value, or None.

    A view whose base was overwritten with a history after the view was made is replayed from it.
    """
    history = x.history
    if x.base is None or history is None or type(history) is Leaf:
        return history
    chain = []
    root = x
    while root.base is not None and root.history is not None and type(root.history) is not Leaf:
        chain.append(root)
        root = viewed(root)
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


def viewed(view: Tensor) -> Tensor:
    """The tensor that a view was made of: its base, or what that was before it changed shape."""
    base = view.base
    while base.base is not None and not shows(view, base):
        base = base.base
    if base.history is not None:
        refuse_reshaped(view, base)
    return base


def shows(view: Tensor, base: Tensor) -> bool:
    """Whether a tensor has the layout of what a view was made of."""
    node = view.history
    made_as = node.edges[0].layouts[0] if type(node) is Piece else node.layouts[0]
    return base.layout is made_as


def refuse_reshaped(view: Tensor, base: Tensor) -> None:
    """Raise RuntimeError where a view cannot be replayed from its base, which has changed shape."""
    if not shows(view, base):
        raise RuntimeError(
            "backward: a view's base was changed in shape in place since the view was made, before "
            "it had a history, and then overwritten; make the view again"
        )


def view_node(op, args, parent: Tensor, edge) -> ViewNode:
    """The node of `op(parent, ...)` where `edge` is the parent's node."""
    made_by = (parent, *args[1:])
    node = ViewNode(op, (edge,), (parent.layout,), recipe_of(op, made_by, ONE_WANTED))
    node.args = (None, *args[1:])
    node.saved = node.recipe.save(None, made_by)
    return node
