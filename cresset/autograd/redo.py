"""The gradient of a composite that states none: run its body again, and differentiate that."""

from __future__ import annotations

from cresset.autograd.mode import mode
from cresset.autograd.node import Leaf, alias
from cresset.ops.shapes.shape import expand


def redo(node, g, values):
    """The gradients of the operands of a composite's node; `values` are its arguments by name."""
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
