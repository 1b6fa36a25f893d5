"""Gradients foreseen: what backward will launch is planned while the program still goes forward.

A call whose kernels had to be compiled has a gradient that needs others. Which ones depends on
layouts alone: so another thread computes the gradient of meta tensors, and all that it calls is
planned for the processor as well. When backward comes by, its plans and kernels are there.
"""

from __future__ import annotations

from functools import partial

from cresset.autograd.engine import undo_broadcast
from cresset.autograd.mode import no_grad
from cresset.autograd.node import OperationNode, Pick
from cresset.autograd.recipe import Recipe
from cresset.core.layout import Layout
from cresset.core.tensor import Tensor
from cresset.ops import meta
from cresset.runtime.ahead import ahead


def foresee(out, args) -> None:
    """Have the gradient of a call planned ahead; its results are in the graph."""
    first = out if isinstance(out, Tensor) else out[0]
    node = first.history
    if type(node) is Pick:
        node = node.edges[0]
    # A gradient that a user states is computed when it is asked for and not before.
    if not isinstance(node, OperationNode) or not _is_ours(node.op) or first.layout.absent:
        return
    # Layouts alone: nothing is kept alive.
    given = [a.layout if isinstance(a, Tensor) else a for a in args]
    made = out.layout if isinstance(out, Tensor) else [x.layout for x in out]
    wanted = [edge is not None for edge in node.edges]
    ahead(partial(_plan_gradient, node.recipe, wanted, node.layouts, given, made))


def _is_ours(op) -> bool:
    return (op.body.__module__ or "").startswith("cresset.")


@no_grad()
def _plan_gradient(recipe: Recipe, wanted, layouts, args, made):
    """Compute the gradient of a call with meta tensors: of such operands, with such results."""
    edges = tuple([True if one else None for one in wanted])
    layouts = [layout and layout.on("meta") for layout in layouts]
    args, out, g = map(_stand_ins, (args, made, made))
    node = OperationNode(recipe.op, edges, layouts, recipe)
    node.args, node.outputs = args, made
    node.saved = recipe.save(out, args)
    with meta.planned_for_processor():
        for layout, part in zip(layouts, node.apply(g)):
            if part is not None:
                undo_broadcast(part, layout)


def _stand_ins(x):
    """Meta tensors in the place of layouts."""
    if isinstance(x, (tuple, list)):
        return tuple(map(_stand_ins, x))
    return meta.new(x.on("meta")) if isinstance(x, Layout) else x
