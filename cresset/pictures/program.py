"""Programs, drawn: the launches of a compiled function, and the memory that leads between them."""

from __future__ import annotations

from cresset.pictures.color import ramp
from cresset.pictures.layers import lay_out
from cresset.pictures.scene import Picture, Rectangle, Scene, Text, arrow, width_of

# The color of each kind of node, and what it is in words.
KINDS = {
    "given": (ramp(0.78), "a tensor that is given"),
    "loops": (ramp(0.12), "elementwise loops"),
    "fold": (ramp(0.3), "a reduction"),
    "kernel": (ramp(0.5), "a kernel of its own"),
    "anew": (ramp(1.0), "a call that is made anew"),
    "look": (None, "an element that decides"),
}
LETTERING, SMALL = 13, 10.5
# The height of a title and of a line below it; characters of a title.
TITLE, LINE, WIDEST = 18.0, 14.0, 44


def draw_program(outline) -> Picture:
    """A picture of a play of a compiled function, of which `outline` has the nodes and edges."""
    scene = Scene()
    drawn_kinds = dict.fromkeys(node.kind for node in outline.nodes.values())
    below = _legend(scene, [kind for kind in KINDS if kind in drawn_kinds])
    sizes = {key: _size(node) for key, node in outline.nodes.items()}
    drawn = lay_out(sizes, list(outline.edges))
    graph = Scene()
    for route in drawn.routes.values():
        graph.add(*arrow(route))
    for key, node in outline.nodes.items():
        _box(graph, node, drawn.places[key], sizes[key])
    scene.put(graph, 0.0, below)
    launches = sum(node.kind in ("loops", "fold", "kernel") for node in outline.nodes.values())
    return Picture(f"{outline.title}: {launches} launch{'es' if launches != 1 else ''}", scene)


def _legend(scene, kinds) -> float:
    """A line that says what the colors mean; returns where the graph may begin."""
    x = 0.0
    for kind in kinds:
        color, said = KINDS[kind]
        scene.add(Rectangle(x, 0, 14, 14, color, 0.0 if color else 0.4, _radius(kind, 14),
                            dashed=color is None))
        text = Text(x + 20, 11, said, SMALL, faint=True)
        scene.add(text)
        x = text.box().right + 22
    return 40.0


def _radius(kind, height) -> float:
    return height / 2 if kind in ("given", "look") else 5 if height > 20 else 3


def _shortened(title: str) -> str:
    return title if len(title) <= WIDEST else title[: WIDEST - 2] + " …"


def _size(node) -> tuple[float, float]:
    width = max(width_of(_shortened(node.title), LETTERING),
                *(width_of(line, SMALL) for line in node.lines), 32.0)
    return width + 22, TITLE + 10 + LINE * len(node.lines)


def _box(scene, node, place, size):
    (x, y), (width, height) = place, size
    color, _ = KINDS[node.kind]
    middle = x + width / 2
    scene.add(
        Rectangle(x, y, width, height, color, 0.0 if color else 0.4,
                  min(_radius(node.kind, height), 18), dashed=color is None),
        Text(middle, y + TITLE, _shortened(node.title), LETTERING, "middle", bold=True),
    )
    for k, line in enumerate(node.lines, start=1):
        scene.add(Text(middle, y + TITLE + LINE * k, line, SMALL, "middle"))
