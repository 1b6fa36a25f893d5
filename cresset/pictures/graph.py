"""Graphs of operations, drawn: what a result was computed from, from the top down."""

from __future__ import annotations

from typing import NamedTuple

import cresset
from cresset.pictures.color import ramp
from cresset.pictures.layers import lay_out
from cresset.pictures.program import draw_program
from cresset.pictures.scene import Picture, Rectangle, Scene, Text, arrow, width_of

LETTERING, SMALL = 13, 10.5
# Operations drawn of a history: those nearest to the result.
MOST_NODES = 40
# The colors of tensors that gradients go to, of constants, of operations, and of results.
LEAF, OPERATION, RESULT = ramp(0.78), ramp(0.12), ramp(0.45)


class Node(NamedTuple):
    """A box of a graph: what it is, and what more is to say of it; `color` None for constants."""

    title: str
    remark: str
    color: str | None


def draw_graph(result, **named) -> Picture:
    """A picture of the operations behind a result, which a notebook shows.

    `result` is a tensor with a history, a traced graph (see `cresset.trace`), or a compiled
    function, of which the launches of a play are drawn. Tensors given by keyword are drawn under
    these names. Of a long history the last operations are drawn.

    Raises TypeError where there is none of these, and RuntimeError where the tensor has no history
    or nothing has been recorded of the function.

    >>> import cresset
    >>> w, b = (cresset.tensor(x, requires_grad=True) for x in (0.5, -1.0))
    >>> draw_graph(cresset.tanh(3.0 * w + b), w=w, b=b)
    <picture of the graph of a result: 2 tensors and 3 operations, ... by ...>
    """
    if isinstance(result, cresset.Tensor):
        names = {id(tensor): name for name, tensor in named.items()}
        nodes, edges = _history(result, names)
    elif hasattr(result, "outline"):
        return draw_program(result.outline(named))
    elif hasattr(result, "calls"):
        nodes, edges = _program(result)
    else:
        raise TypeError(
            "draw_graph: can draw what a tensor was made of, a traced graph, or a compiled "
            f"function; got {type(result).__name__}; give it the tensor that the operations "
            "resulted in"
        )
    scene = Scene()
    sizes = {key: _size(node) for key, node in nodes.items()}
    drawn = lay_out(sizes, edges)
    for route in drawn.routes.values():
        scene.add(*arrow(route))
    for key, node in nodes.items():
        _box(scene, node, drawn.places[key], sizes[key])
    operations = sum(node.color in (OPERATION, RESULT) for node in nodes.values())
    tensors = len(nodes) - operations
    counted = f"{_several(tensors, 'tensor')} and {_several(operations, 'operation')}"
    return Picture(f"the graph of a result: {counted}", scene)


def _several(count, what):
    return f"{count} {what}{'' if count == 1 else 's'}"


# --- what autograd recorded -----------------------------------------------------------------------
def _history(result, names) -> tuple[dict, list]:
    """The nodes and edges behind a tensor, operands before what is made of them."""
    root = _maker(result.grad_fn)
    if root is None:
        raise RuntimeError(
            "draw_graph: the tensor has no history; got a leaf, or what was made of tensors none "
            "of which requires gradients; call requires_grad_() on one before it is used"
        )
    chosen, edges = _last_operations(root)
    shapes = {root: tuple(result.shape)}
    nodes, constants = {}, {}
    for node in chosen:
        for k, edge in enumerate(node.edges):
            layout = node.layouts[k]
            maker = _maker(edge)
            if maker is not None:
                shapes[maker] = tuple(layout.shape) if layout is not None else ()
            elif layout is not None:
                constants[node, k] = Node("tensor", str(tuple(layout.shape)), None)
                edges.append(((node, k), node))
    nodes.update(constants)
    for node in sorted(shapes, key=lambda n: n.sequence):
        shape = str(shapes[node])
        if node not in chosen and node.edges:
            nodes[node] = Node("…", "earlier operations", None)
        elif node.edges:
            nodes[node] = Node(node.name().partition("Backward")[0], shape,
                               RESULT if node is root else OPERATION)
        else:
            name = names.get(id(node.variable), "")
            nodes[node] = Node(name or "leaf", shape, LEAF)
    return nodes, edges


def _maker(node):
    """The node of the operation, where one stands for a single one of its results."""
    while node is not None and hasattr(node, "slot"):
        node = node.edges[0]
    return node


def _last_operations(root) -> tuple[set, list]:
    """The operations nearest to the result, and the edges to them."""
    chosen: set = set()
    edges, waiting = [], [root]
    while waiting and len(chosen) < MOST_NODES:
        node = max(waiting, key=lambda n: n.sequence)
        waiting.remove(node)
        chosen.add(node)
        for source in dict.fromkeys(map(_maker, node.edges)):
            if source is not None:
                edges.append((source, node))
                if source.edges and source not in chosen and source not in waiting:
                    waiting.append(source)
    return chosen, edges


# --- a traced graph -------------------------------------------------------------------------------
def _program(graph) -> tuple[dict, list]:
    """The nodes and edges of a traced graph."""
    nodes: dict = {}
    edges: list = []
    makers: dict = {}
    for value in graph.inputs:
        nodes[value], makers[value] = Node(value.name, str(tuple(value.shape)), LEAF), value
    for call in graph.calls:
        sources = [a for a in call.args if isinstance(a, cresset.Tensor)]
        for source in sources:
            if source not in makers:
                nodes[source] = Node(source.name, str(tuple(source.shape)), None)
                makers[source] = source
        key = call.outputs[0]
        edges += dict.fromkeys((makers[source], key) for source in sources)
        makers.update(dict.fromkeys(call.outputs, key))
        remark = ", ".join(f"{value.name} {tuple(value.shape)}" for value in call.outputs)
        result = any(value is out for value in call.outputs for out in graph.outputs)
        nodes[key] = Node(graph.spelled(call), remark, RESULT if result else OPERATION)
    return nodes, edges


# --- drawing --------------------------------------------------------------------------------------
def _size(node: Node) -> tuple[float, float]:
    width = max(width_of(node.title, LETTERING), width_of(node.remark, SMALL))
    return max(54.0, width + 22), 42.0


def _box(scene, node: Node, place, size):
    (x, y), (width, height) = place, size
    radius = 5 if node.color in (OPERATION, RESULT) else height / 2
    middle = x + width / 2
    scene.add(
        Rectangle(x, y, width, height, node.color, 0.0 if node.color else 0.4, radius,
                  dashed=node.color is None),
        Text(middle, y + 18, node.title, LETTERING, "middle", bold=node.color is not None),
        Text(middle, y + 33, node.remark, SMALL, "middle"),
    )
