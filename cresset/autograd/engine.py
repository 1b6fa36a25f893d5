"""The walk backwards: from the outputs' nodes to the leaves, newest node first.

Nodes are numbered as they are made, so taking the highest number first visits every node after all
that use its output. There is no recursion: a graph may be as deep as memory allows.
"""

from __future__ import annotations

import sys
from heapq import heappop, heappush
from itertools import count

from cresset.autograd.mode import mode
from cresset.autograd.node import Leaf, Pick, Piece
from cresset.autograd.record import live
from cresset.core.caller import warn
from cresset.core.layout import Layout
from cresset.core.tensor import Tensor
from cresset.ops import dispatch, meta
from cresset.ops.creation.tensors import filled, zeros_like
from cresset.ops.reductions.reduction import sum_to

walks = count(1)


def backward(tensors, grad_tensors=None, retain_graph=None, create_graph=False,
             grad_variables=None, inputs=None):
    """Accumulate the gradients of `tensors` in the leaves' `.grad`.

    `grad_tensors` gives the gradient of each (1 for scalars). With `create_graph` the gradients are
    themselves recorded; `inputs` restricts the accumulation to those tensors. `grad_variables` is
    the old name of `grad_tensors`.

    Raises RuntimeError where a tensor does not require gradients, is no scalar and has no gradient
    given, or where the graph was freed.

    >>> import cresset
    >>> x = cresset.tensor([2.0, 3.0], requires_grad=True)
    >>> (x * x).sum().backward()
    >>> x.grad
    tensor([4., 6.])
    """
    tensors = (tensors,) if isinstance(tensors, Tensor) else tuple(tensors)
    if grad_variables is not None:
        if grad_tensors is not None:
            raise RuntimeError("backward: grad_tensors and grad_variables, its old name, were both "
                               "given; leave grad_variables out")
        warn("`grad_variables` is deprecated. Use `grad_tensors` instead.", FutureWarning)
        grad_tensors = grad_variables
    roots = _roots(tensors, grad_tensors)
    only = None
    if inputs is not None:
        inputs = (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)
        only = {_node_of(x, "backward") for x in inputs}
    keep = create_graph if retain_graph is None else retain_graph
    before = mode.enabled
    mode.enabled = create_graph
    try:
        walk(roots, keep, create_graph, accumulate=True, only=only)
    finally:
        mode.enabled = before


def grad(outputs, inputs, grad_outputs=None, retain_graph=None, create_graph=False,
         only_inputs=True, allow_unused=None, is_grads_batched=False, materialize_grads=False):
    """The gradients of the sum of `outputs` with respect to `inputs`, as a tuple.

    An input that the outputs do not depend on is an error, unless `allow_unused` (then None) or
    `materialize_grads` (then zeros).

    >>> import cresset
    >>> x = cresset.tensor(3.0, requires_grad=True)
    >>> (first,) = cresset.autograd.grad(x**3, x, create_graph=True)
    >>> cresset.autograd.grad(first, x)
    (tensor(18.),)
    """
    outputs = (outputs,) if isinstance(outputs, Tensor) else tuple(outputs)
    inputs = (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)
    if not inputs:
        raise RuntimeError(
            "grad: inputs cannot be empty; got none; need the tensors to differentiate by"
        )
    roots = _roots(outputs, grad_outputs)
    nodes = [_node_of(x, "grad") for x in inputs]
    keep = create_graph if retain_graph is None else retain_graph
    before = mode.enabled
    mode.enabled = create_graph
    try:
        found = walk(roots, keep, create_graph, accumulate=False, only=set(nodes))
    finally:
        mode.enabled = before
    out = []
    for k, (x, node) in enumerate(zip(inputs, nodes)):
        g = found.get(node)
        if g is None and materialize_grads:
            g = zeros_like(x)
        if g is None and not allow_unused:
            raise RuntimeError(
                f"grad: one of the differentiated Tensors appears to not have been used in the "
                f"graph: input {k} of shape {tuple(x.layout.shape)}; set allow_unused=True if this "
                "is the desired behavior"
            )
        out.append(g)
    return tuple(out)


def _node_of(x, operation):
    node = live(x)
    if node is None:
        raise RuntimeError(
            f"{operation}: one of the differentiated Tensors does not require grad: shape "
            f"{tuple(x.layout.shape)}; call requires_grad_() on it before it is used"
        )
    return node


def _roots(tensors, gradients):
    """[(node, gradient)] of the tensors to start from."""
    if gradients is None:
        gradients = (None,) * len(tensors)
    elif isinstance(gradients, Tensor):
        gradients = (gradients,)
    roots = []
    for x, g in zip(tensors, gradients, strict=True):
        node = live(x)
        if node is None:
            raise RuntimeError(
                "backward: element 0 of tensors does not require grad and does not have a grad_fn: "
                f"shape {tuple(x.layout.shape)}; nothing that it was made of requires gradients"
            )
        if g is not None and not isinstance(g, Tensor):
            raise TypeError(
                "backward: gradients can be either Tensors or None, but got "
                f"{type(g).__name__}; make one with cresset.tensor(...)"
            )
        if g is None:
            if x.layout.numel != 1:
                raise RuntimeError(
                    "backward: grad can be implicitly created only for scalar outputs; got shape "
                    f"{tuple(x.layout.shape)}; reduce it, e.g. with sum(), or give its gradient"
                )
            if x.layout.dtype.is_complex:
                raise RuntimeError(
                    "backward: grad can be implicitly created only for real scalar outputs but got "
                    f"{x.layout.dtype}; make a real loss of it, e.g. with abs(), or give its "
                    "gradient"
                )
            g = filled(x.layout.shape, x.layout.dtype, 1, x.layout.device)
        elif tuple(g.layout.shape) != tuple(x.layout.shape):
            raise RuntimeError(
                f"backward: Mismatch in shape: grad_output has a shape of {tuple(g.layout.shape)} "
                f"and output has a shape of {tuple(x.layout.shape)}; need a gradient of the "
                "output's shape"
            )
        roots.append((node, g))
    return roots


def _leading_to(roots, targets):
    """The nodes from which some target can be reached, targets included."""
    useful = set(targets)
    # Operands have lower numbers, leaves the lowest.
    for node in sorted(reached_from(roots), key=lambda n: n.sequence):
        if any(edge in useful for edge in node.edges):
            useful.add(node)
    return useful


def reached_from(roots):
    """The nodes that a walk from the roots can come to."""
    seen, stack = set(), [node for node, _ in roots]
    while stack:
        node = stack.pop()
        if node not in seen:
            seen.add(node)
            stack.extend(edge for edge in node.edges if edge is not None)
    return seen


def walk(roots, keep, create_graph, accumulate, only=None, ends=frozenset()):
    """Carry gradients from the roots to the leaves; returns those that reached `only`.

    With `ends` they are carried to these and no further, and those are returned.
    """
    useful = None if only is None else _leading_to(roots, only)
    before, mode.walk = mode.walk, (next(walks), roots, useful)
    try:
        return carry(roots, keep, create_graph, accumulate, only, ends, useful)
    finally:
        mode.walk = before


def carry(roots, keep, create_graph, accumulate, only, ends, useful):
    """The walk itself; `useful` are the nodes that count, None for all."""
    # The gradients that have come to each node so far, and the nodes by number, newest first.
    pending: dict = {}
    heap: list = []
    found: dict = {}
    # Where no gradient went on to, as no result depends on these to the first order.
    missed: list = []
    for node, g in roots:
        if node in pending:
            g = pending[node] + g
        else:
            heappush(heap, (-node.sequence, node))
        pending[node] = g
    while heap:
        node = heappop(heap)[1]
        # Taken out, so that a gradient which nobody else holds can be kept without a copy.
        g = pending.pop(node)
        if node in ends:
            found[node] = g
            continue
        if node.hooks or node.retain is not None and type(g) is not list:
            g = _observe(node, g)
        if only is not None and node in only:
            found[node] = g
        kind = type(node)
        if kind is Leaf:
            if accumulate and (only is None or node in only):
                _accumulate(node, g, create_graph)
                if node.told:
                    _tell(node)
            continue
        if kind is Pick or kind is Piece:
            parent = node.edges[0]
            if useful is None or parent in useful:
                slots = pending.get(parent)
                if slots is None:
                    slots = pending[parent] = [None] * node.total
                    heappush(heap, (-parent.sequence, parent))
                # An output that a gradient has read again is there twice.
                held = slots[node.slot]
                slots[node.slot] = g if held is None else held + g
                held = None
            continue
        if type(g) is list:
            g = node.complete(g)
        for edge, layout, part in zip(node.edges, node.layouts, node.apply(g)):
            if edge is None or (useful is not None and edge not in useful):
                continue
            if part is None:
                missed.append((edge, None))
                continue
            if part.layout is not layout:
                part = undo_broadcast(part, layout)
            held = pending.get(edge)
            if held is None:
                pending[edge] = part
                heappush(heap, (-edge.sequence, edge))
            else:
                pending[edge] = held + part
        if not keep:
            node.release()
        part = held = None
    if missed and not keep:
        for node in reached_from(missed):
            node.release()
    return found


def undo_broadcast(g, layout):
    """The gradient in the shape and type of what it belongs to."""
    if g.layout.shape != layout.shape:
        g = sum_to(g, layout.shape)
    if g.layout.dtype is not layout.dtype:
        g = g.to(layout.dtype)
    return g


def _observe(node, g):
    """Run the hooks of a node, and keep the gradient where that was asked for."""
    if node.hooks:
        for hook in tuple(node.hooks.values()):
            changed = hook(g)
            if changed is not None:
                g = changed
    if node.retain is not None:
        tensor = node.retain()
        if tensor is not None:
            tensor.grad = g if tensor.grad is None else tensor.grad + g
    return g


def _accumulate(leaf, g, create_graph):
    """Add a gradient to the leaf's `.grad`, in place where that cannot be seen."""
    tensor = leaf.tensor()
    if tensor is None:
        return
    if dispatch.tape is not None:
        dispatch.tape.accumulates(leaf)
    held = tensor.grad
    if held is not None:
        tensor.grad = held + g if create_graph else held.add_(g)
        return
    if create_graph:
        tensor.grad = g
        return
    # The gradient itself can be kept if nobody else holds it: this frame and its caller do.
    alone = (
        g.base is None
        and g.layout is tensor.layout
        and sys.getrefcount(g) <= 3
        and sys.getrefcount(g.memory) <= 2
    )
    tensor.grad = g if alone else _owned(g, tensor.layout)


def _tell(leaf):
    """Run the hooks of a leaf whose gradient was accumulated."""
    tensor = leaf.tensor()
    if tensor is not None:
        for hook in tuple(leaf.told.values()):
            hook(tensor)


def _owned(g, layout: Layout):
    """A copy of a gradient that lies in memory as what it belongs to."""
    if not layout.dense:
        return g.detach().clone()
    return meta.new(layout).copy_(g.detach())
