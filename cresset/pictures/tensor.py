"""Tensors over their storages: elements, shape, strides and offset, drawn.

Every tensor is a grid of its elements above the strip of its storage, where all elements lie in one
row. An element has one color in all grids and in the strip, the color of its place in the storage,
so the grids show in which order they read it. Below the strip every tensor marks the elements that
are its own, where it starts, and how far one step along each dim goes.
"""

from __future__ import annotations

from html import escape

from cresset.pictures.color import ramp
from cresset.pictures.memory import Memory, View
from cresset.pictures.scene import (
    INK,
    Blot,
    Curve,
    Dots,
    Picture,
    Rectangle,
    Scene,
    Text,
    tip,
    width_of,
)

HEIGHT, LETTERING, SMALL = 28, 12, 10
# Between the cells of a grid, between grids, between a grid and its facts, and between parts.
SEAM, APART, BESIDE, BELOW = 3, 18, 20, 30
# Room for the dots that stand for what is left out.
HOLE = 20
LINE = 17
# Where a row of tensors ends at the latest, and a row of the grids of one.
WIDEST, WIDEST_GRID = 920, 720


def draw(*tensors, **named) -> Picture:
    """A picture of tensors over their storages, which a notebook shows; `.save(path)` keeps it.

    Tensors given by keyword carry that name in the picture. Views of one storage are drawn over one
    strip. Of large tensors the ends of each dim are drawn, as they are printed.

    Raises TypeError where there is no tensor, or something that is none.

    >>> import cresset
    >>> points = cresset.tensor([[1, 2], [3, 4], [5, 6]])
    >>> draw(points=points, transposed=points.t())
    <picture of tensors points (3, 2) and transposed (2, 3), ... by ...>
    """
    views = [View("", x) for x in tensors] + [View(name, x) for name, x in named.items()]
    if not views:
        raise TypeError("draw: there is nothing to draw; give it tensors, draw(x) or draw(x=x)")
    scene = _in_rows(map(_section, Memory.under(views)), 2 * BELOW, 1.5 * BELOW)
    spelled = [f"{view.name} {view.shape}".strip() for view in views]
    start = "tensor " if len(views) == 1 else f"tensors {', '.join(spelled[:-1])} and "
    return Picture(start + spelled[-1], scene)


def page(tensor) -> str:
    """What a notebook shows of a tensor, as HTML: its text above its picture."""
    return f"<pre>{escape(repr(tensor), quote=False)}</pre>\n{draw(tensor).svg}"


class Cells:
    """How the elements of one storage are drawn: all of one width, each in its color."""

    def __init__(self, memory: Memory):
        self.memory = memory
        self.width = max(HEIGHT, width_of("0" * memory.letters, LETTERING) + 12)

    def columns(self, shown, left):
        """[(place or index, where it starts, where it ends)] of cells in a row; gaps are narrow."""
        out = []
        for k in shown:
            right = left + (HOLE if k is None else self.width)
            out.append((k, left, right))
            left = right + SEAM
        return out

    def add(self, scene, x, y, place):
        """Draw the element at a place of the storage."""
        middle, line = x + self.width / 2, y + HEIGHT / 2 + 0.36 * LETTERING
        rank = self.memory.rank.get(place)
        color = None if rank is None else ramp(rank / max(1, len(self.memory.rank) - 1))
        scene.add(Rectangle(x, y, self.width, HEIGHT, color, 0.35 if color is None else 0.0))
        spelled = self.memory.spelled(place)
        if spelled:
            scene.add(Text(middle, line, spelled, LETTERING, "middle", faint=color is None))


def _section(memory: Memory) -> Scene:
    """One storage with the tensors over it."""
    cells = Cells(memory)
    scene = _in_rows((_panel(view, cells) for view in memory.views), 2 * APART, BELOW)
    if memory.length:
        scene.put(_strip(memory, cells), 0, scene.box().bottom + BELOW)
    return scene


def _in_rows(parts, apart, below) -> Scene:
    """Scenes side by side, in a new row where they would become too wide."""
    scene = Scene()
    x = y = bottom = 0.0
    for part in parts:
        box = part.box()
        if x and x + box.right - box.left > WIDEST:
            x, y = 0.0, bottom + below
        placed = scene.put(part, x, y)
        x, bottom = placed.right + apart, max(bottom, placed.bottom)
    return scene


# --- a tensor -------------------------------------------------------------------------------------
def _panel(view: View, cells: Cells) -> Scene:
    """A tensor: its name, the grid of its elements, and what else defines it."""
    scene, top = Scene(), 0.0
    if view.name:
        name = Text(0, 0, view.name, 13, bold=True)
        scene.add(name)
        top = name.box().bottom + 8
    grid = scene.put(_grid(view, cells, ()), 0, top)
    x = grid.right + BESIDE
    keys = _facts(view)
    column = x + width_of("contiguous  ", 11)
    for k, (key, value) in enumerate(keys):
        y = grid.top + 11 + k * LINE
        scene.add(Text(x, y, key, 11, faint=True), Text(column, y, value, 11))
    return scene


def _facts(view: View) -> list[tuple[str, str]]:
    x = view.tensor
    facts = [("shape", str(view.shape)), ("stride", str(view.strides))]
    if view.absent:
        facts.append(("device", "meta: no elements"))
    else:
        facts.append(("offset", str(view.offset)))
    facts.append(("type", str(x.dtype).removeprefix("torch.")))
    facts.append(("contiguous", "yes" if x.is_contiguous() else "no"))
    if x.grad_fn is not None:
        facts.append(("grad_fn", x.grad_fn.name()))
    elif x.requires_grad:
        facts.append(("gradient", "required"))
    return facts


def _grid(view: View, cells: Cells, fixed) -> Scene:
    """The elements whose first indices are `fixed`: rows and columns, or grids side by side."""
    scene = Scene()
    rest = len(view.shape) - len(fixed)
    if 0 in view.shape:
        text = Text(8, HEIGHT / 2 + 4, "no elements", 11, faint=True)
        scene.add(Rectangle(0, 0, text.box().right + 8, HEIGHT, ink=0.35, dashed=True), text)
        return scene
    if rest <= 2:
        _rows(scene, view, cells, fixed)
        return scene
    x = y = bottom = 0.0
    for k in view.axes[len(fixed)]:
        across = rest % 2
        if k is None:
            part = Scene()
            part.add(Dots(0, 0, down=not across))
        else:
            part = _grid(view, cells, (*fixed, k))
        box = part.box()
        if not across or x and x + box.right - box.left > WIDEST_GRID:
            x, y = 0.0, bottom
        middle = (bottom - APART - y) / 2 if k is None and across else 0.0
        placed = scene.put(part, x, y + middle)
        x, bottom = placed.right + APART, max(bottom, placed.bottom + APART)
    return scene


def _rows(scene, view: View, cells: Cells, fixed):
    """A matrix, row or element, with its indices along the edges."""
    axes = view.axes[len(fixed):]
    columns = axes[-1] if axes else [0]
    rows = axes[0] if len(axes) == 2 else [0]
    left, top = 0.0, 0.0
    if fixed:
        scene.add(Text(0, top + 9, f"[{', '.join(map(str, fixed))}]", SMALL, faint=True))
        top += 15
    if len(axes) == 2:
        left = width_of(str(view.shape[-2] - 1), SMALL) + 6
    if axes:
        top += 14
    across = cells.columns(columns, left)
    for k, start, end in across if axes else ():
        if k is not None:
            scene.add(Text((start + end) / 2, top - 5, str(k), SMALL, "middle", faint=True))
    y = top
    for j in rows:
        height = HOLE if j is None else HEIGHT
        if len(axes) == 2 and j is not None:
            line = y + height / 2 + 0.36 * SMALL
            scene.add(Text(left - 6, line, str(j), SMALL, "end", faint=True))
        for k, start, end in across:
            if j is None or k is None:
                if j is not k:
                    scene.add(Dots((start + end) / 2, y + height / 2, down=j is None))
                continue
            index = (*fixed, j, k) if len(axes) == 2 else (*fixed, k) if axes else fixed
            cells.add(scene, start, y, view.place(index))
        y += height + SEAM


# --- a storage ------------------------------------------------------------------------------------
def _strip(memory: Memory, cells: Cells) -> Scene:
    """The elements of a storage in a row, and below them what each tensor sees of them."""
    scene = Scene()
    name = str(memory.dtype).removeprefix("torch.")
    title = Text(0, 0, "storage", 13, bold=True)
    count = f"{memory.length:,} × {name} = {memory.nbytes:,} bytes"
    scene.add(title, Text(title.box().right + 12, 0, count, 11, faint=True))
    top = 28.0
    centers = {}
    for place, start, end in cells.columns(memory.places, 0.0):
        middle = (start + end) / 2
        if place is None:
            scene.add(Dots(middle, top + HEIGHT / 2))
            continue
        cells.add(scene, start, top, place)
        scene.add(Text(middle, top - 5, str(place), SMALL, "middle", faint=True))
        centers[place] = middle
    y = top + HEIGHT + 8
    for view in memory.views:
        if 0 not in view.shape:
            y = _lane(scene, view, cells, centers, y) + 14
    return scene


def _lane(scene, view: View, cells: Cells, centers, y) -> float:
    """What one tensor sees of the storage, from `y` down; returns where that ends."""
    for place, x in centers.items():
        if view.owns(place):
            scene.add(Rectangle(x - cells.width / 2, y, cells.width, 4, INK, radius=2))
    start = centers[view.offset]
    y += 10
    scene.add(Blot(((start, y), (start - 5, y + 8), (start + 5, y + 8))))
    said = f"offset {view.offset}"
    scene.add(Text(start + 10, y + 8.5, said, SMALL + 1))
    if view.name:
        scene.add(Text(start + 10 + width_of(said + "  ", SMALL + 1), y + 8.5, view.name,
                       SMALL + 1, bold=True))
    dims = sorted((s, d) for d, (n, s) in enumerate(zip(view.shape, view.strides)) if n > 1)
    first = low = y + 8
    for stride, d in dims:
        y += LINE
        low = y + 4
        end = centers[view.offset + stride]
        if stride:
            scene.add(Curve(((start, y + 4), (end, y + 4))), tip(end, y + 4, 1, 0))
        said = f"stride {stride} along dim {d}" if stride else f"stride 0 along dim {d}: stays"
        scene.add(Text(end + 8, y + 8, said, SMALL + 1, faint=True))
    if dims:
        scene.add(Curve(((start, first), (start, low))))
    return low + 8
