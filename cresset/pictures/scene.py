"""Scenes: rectangles, text and curves on a plane, written as SVG.

All text is set in one width a character, so that what a text covers is known without a font: that
is what layouts, and the tests that nothing overlaps, go by.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import NamedTuple

from cresset.pictures.color import DARK_INK, DARK_PAPER, FAINT, LIGHT_INK, LIGHT_PAPER, TINT

FONT = "ui-monospace, 'SF Mono', Menlo, Consolas, 'DejaVu Sans Mono', monospace"
# Of the size of a font: a character's width, and what rises above the line and hangs below it.
ADVANCE, ASCENT, DESCENT = 0.602, 0.76, 0.24
MARGIN = 16
INK = "currentColor"

# A picture that is a document of its own brings paper and ink; one within a page takes the page's.
STYLE = (
    f"svg:root{{background:{LIGHT_PAPER};color:{LIGHT_INK}}}"
    "@media(prefers-color-scheme:dark){"
    f"svg:root{{background:{DARK_PAPER};color:{DARK_INK}}}}}"
)


class Box(NamedTuple):
    """What a shape covers."""

    left: float
    top: float
    right: float
    bottom: float

    def joined(self, other: Box) -> Box:
        return Box(min(self.left, other.left), min(self.top, other.top),
                   max(self.right, other.right), max(self.bottom, other.bottom))


class Rectangle(NamedTuple):
    """A box with round corners; `color` None leaves it empty, `ink` is its outline's opacity."""

    x: float
    y: float
    width: float
    height: float
    color: str | None = None
    ink: float = 0.0
    radius: float = 3
    dashed: bool = False

    def box(self) -> Box:
        return Box(self.x, self.y, self.x + self.width, self.y + self.height)

    def moved(self, dx, dy):
        return self._replace(x=self.x + dx, y=self.y + dy)

    def svg(self) -> str:
        fill = f'fill="{self.color}" fill-opacity="{TINT}"' if self.color else 'fill="none"'
        line = f' stroke="{INK}" stroke-opacity="{self.ink}"' if self.ink else ""
        dash = ' stroke-dasharray="3 3"' if self.dashed else ""
        return (
            f'<rect x="{_short(self.x)}" y="{_short(self.y)}" width="{_short(self.width)}" '
            f'height="{_short(self.height)}" rx="{_short(self.radius)}" {fill}{line}{dash}/>'
        )


class Text(NamedTuple):
    """One line of text; y is its base line, x its start, middle or end as `anchor` says."""

    x: float
    y: float
    content: str
    size: float = 12
    anchor: str = "start"
    bold: bool = False
    faint: bool = False

    def box(self) -> Box:
        width = width_of(self.content, self.size)
        left = self.x - {"start": 0.0, "middle": 0.5, "end": 1.0}[self.anchor] * width
        return Box(left, self.y - ASCENT * self.size, left + width, self.y + DESCENT * self.size)

    def moved(self, dx, dy):
        return self._replace(x=self.x + dx, y=self.y + dy)

    def svg(self) -> str:
        parts = [f'x="{_short(self.x)}" y="{_short(self.y)}" font-size="{_short(self.size)}"']
        if self.anchor != "start":
            parts.append(f'text-anchor="{self.anchor}"')
        if self.bold:
            parts.append('font-weight="600"')
        if self.faint:
            parts.append(f'fill-opacity="{FAINT}"')
        return f"<text {' '.join(parts)}>{escape(self.content, quote=False)}</text>"


class Curve(NamedTuple):
    """A line through points, straight, or by cubic Bezier curves of three points each."""

    points: tuple
    bent: bool = False
    opacity: float = 0.6
    width: float = 1.2

    def box(self) -> Box:
        xs, ys = zip(*self.points)
        return Box(min(xs), min(ys), max(xs), max(ys))

    def moved(self, dx, dy):
        return self._replace(points=tuple((x + dx, y + dy) for x, y in self.points))

    def svg(self) -> str:
        first, *rest = (f"{_short(x)} {_short(y)}" for x, y in self.points)
        return (
            f'<path d="M{first}{"C" if self.bent else "L"}{" ".join(rest)}" fill="none" '
            f'stroke="{INK}" stroke-opacity="{self.opacity}" stroke-width="{self.width}"/>'
        )


class Blot(NamedTuple):
    """A polygon filled with ink: the tip of an arrow, a mark."""

    points: tuple
    opacity: float = 0.75

    def box(self) -> Box:
        return Curve(self.points).box()

    def moved(self, dx, dy):
        return self._replace(points=tuple((x + dx, y + dy) for x, y in self.points))

    def svg(self) -> str:
        spelled = " ".join(f"{_short(x)},{_short(y)}" for x, y in self.points)
        return f'<polygon points="{spelled}" fill="{INK}" fill-opacity="{self.opacity}"/>'


class Dots(NamedTuple):
    """Three dots around a point, for what is left out between its neighbours."""

    x: float
    y: float
    down: bool = False

    def box(self) -> Box:
        across, along = (1.2, 5.2) if self.down else (5.2, 1.2)
        return Box(self.x - across, self.y - along, self.x + across, self.y + along)

    def moved(self, dx, dy):
        return self._replace(x=self.x + dx, y=self.y + dy)

    def svg(self) -> str:
        return "".join(
            f'<circle cx="{_short(self.x + (not self.down) * d)}" '
            f'cy="{_short(self.y + self.down * d)}" r="1.2" fill-opacity="{FAINT}"/>'
            for d in (-4, 0, 4)
        )


class Scene:
    """Shapes in the order in which they are drawn."""

    def __init__(self):
        self.shapes: list = []

    def add(self, *shapes) -> None:
        self.shapes.extend(shapes)

    def put(self, scene: Scene, x: float, y: float) -> Box:
        """Add another scene with its upper left corner at (x, y); returns what it covers there."""
        box = scene.box()
        self.add(*(shape.moved(x - box.left, y - box.top) for shape in scene.shapes))
        return Box(x, y, x + box.right - box.left, y + box.bottom - box.top)

    def box(self) -> Box:
        if not self.shapes:
            return Box(0, 0, 0, 0)
        total = self.shapes[0].box()
        for shape in self.shapes[1:]:
            total = total.joined(shape.box())
        return total


class Picture:
    """A finished picture, which notebooks show and `save` writes to a file."""

    def __init__(self, title: str, scene: Scene):
        self.title = title
        self.scene = Scene()
        box = self.scene.put(scene, MARGIN, MARGIN)
        self.width, self.height = box.right + MARGIN, box.bottom + MARGIN

    @property
    def svg(self) -> str:
        """The picture as the text of an SVG document."""
        width, height = _short(self.width), _short(self.height)
        return "\n".join([
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
            f'viewBox="0 0 {width} {height}" font-family="{FONT}" fill="{INK}" '
            'style="max-width:100%;height:auto">',
            f"<title>{escape(self.title, quote=False)}</title>",
            f"<style>{STYLE}</style>",
            *(shape.svg() for shape in self.scene.shapes),
            "</svg>",
        ])

    def save(self, path) -> None:
        """Write the picture to a file, whose name should end in .svg."""
        Path(path).write_text(self.svg + "\n", encoding="utf-8")

    def _repr_svg_(self) -> str:
        return self.svg

    def __repr__(self) -> str:
        return f"<picture of {self.title}, {self.width:.0f} by {self.height:.0f}>"


def width_of(text: str, size: float) -> float:
    """What a text takes of a line."""
    return len(text) * ADVANCE * size


def tip(x: float, y: float, dx: float, dy: float, size: float = 6) -> Blot:
    """The tip of an arrow that ends at (x, y) and points along the unit vector (dx, dy)."""
    back = x - size * dx, y - size * dy
    side = 0.45 * size
    return Blot(((x, y), (back[0] - side * dy, back[1] + side * dx),
                 (back[0] + side * dy, back[1] - side * dx)))


def arrow(route: Sequence) -> tuple[Curve, Blot]:
    """A smooth line downward through the points of a route, with a tip at its end."""
    points = [route[0]]
    x, y = route[-1]
    end = (x, y - 5)
    for (x0, y0), (x1, y1) in zip(route, [*route[1:-1], end]):
        bend = (y1 - y0) / 2
        points += [(x0, y0 + bend), (x1, y1 - bend), (x1, y1)]
    return Curve(tuple(points), bent=True), tip(x, y, 0, 1)


def _short(number: float) -> str:
    """A coordinate to a tenth, without what need not be said."""
    return f"{number:.1f}".rstrip("0").rstrip(".")
