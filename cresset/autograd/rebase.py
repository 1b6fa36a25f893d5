"""In-place writes: one rule by which a write enters the graph.

A write into a tensor is the functional operation followed by an overwrite. Where the tensor is a
view, its base gets a `Scattered` node, which is the old base with the viewed part replaced, and
every other alias is replayed from the base when it is next asked for its node (`record.live`).
"""

from __future__ import annotations

from cresset.autograd.mode import mode
from cresset.autograd.node import Leaf, Node, OperationNode
from cresset.autograd.recipe import TENSOR, recipe_of
from cresset.autograd.record import live, reader_of, refuse_reshaped, view_node, viewed
from cresset.autograd.saved import pack, packers
from cresset.ops import dispatch


class Scattered(Node):
    """base with the part that a chain of views shows replaced: edges (old base, new part)."""

    __slots__ = ("chain",)

    def __init__(self, old, new, base_layout, part_layout, chain):
        super().__init__(None, (old, new), (base_layout, part_layout))
        self.chain = chain

    def name(self):
        return "CopySlices"

    def view(self, g):
        """The part of a gradient of the base that the views show."""
        for op, args in self.chain:
            g = op.function(g, *args[1:])
        return g

    def apply(self, g):
        kept = None
        if self.edges[0] is not None:
            kept = g.clone()
            self.view(kept).zero_()
        return [kept, self.view(g)]


def record_write(op, out, args, run):
    """Do a write by `run()` and enter it into the graph; returns `out`."""
    if not mode.enabled:
        run()
        dispatch.note_write(out, op)
        return out
    edges, layouts, pattern, tracked = reader_of(op)(args)
    root, chain = _root(out)
    old = live(root)
    if not tracked and old is None:
        run()
        dispatch.note_write(out, op)
        return out
    _check(op, out)
    if chain:
        refuse_reshaped(chain[0], root)
    node, spare = None, None
    if tracked:
        node = OperationNode(op, edges, layouts, recipe_of(op, args, pattern))
        spare = _spare(node.recipe, out, args)
        run()
        kept = args
        if spare is not None:
            kept = tuple(spare if a is out else a for a in args)
            spare.history = edges[0]
        node.saved = node.recipe.save(out, kept)
    else:
        run()
    dispatch.note_write(out, op)
    if not chain:
        out.history = node
        if old is not None and not any(a is out for a in args):
            # The old value is gone; its gradient is zero, not missing.
            out.history = Scattered(old, node, out.layout, out.layout, [])
    elif node is not None or old is not None:
        root.history = Scattered(
            old, node, root.layout, out.layout, [(v.history.op, v.history.args) for v in chain]
        )
        made, parent = root.history, root
        for view in chain:
            made = view_node(view.history.op, view.history.args, parent, made)
            view.history = made
            parent = view
    if packers and node is not None:
        pack(node)
    return out


def _check(op, out):
    """Raise RuntimeError where a write cannot be undone by backward."""
    name = op.write_label or op.label + "_"
    if type(out.history) is Leaf:
        raise RuntimeError(
            f"{name}: a leaf Variable that requires grad is being used in an in-place "
            "operation; do it under no_grad(), or write to a clone()"
        )
    root = out
    while root.base is not None and type(root.history) is not Leaf:
        if root.history is None:
            raise RuntimeError(
                f"{name}: a view was created in no_grad mode and is being modified inplace "
                "with grad mode enabled; make the view outside of no_grad, or write under no_grad"
            )
        root = root.base
    if root is not out and type(root.history) is Leaf:
        raise RuntimeError(
            f"{name}: a view of a leaf Variable that requires grad is being used in an "
            "in-place operation; do it under no_grad(), or write to a clone()"
        )


def _root(out):
    """(the tensor that out is a view of, the chain of views from there to out)."""
    chain = []
    root = out
    while root.base is not None and type(root.history) is not Leaf:
        chain.append(root)
        root = root.base if root.history is None else viewed(root)
    return root, chain[::-1]


def _spare(recipe, out, args):
    """A copy of the written tensor's old value, where the derivative reads that; else None."""
    if any(how == TENSOR and args[place] is out for how, place in recipe.items):
        return dispatch.namespace["detached_copy"](out)
    return None
