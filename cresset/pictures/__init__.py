"""Pictures: tensors over their storages, and graphs of operations, as SVG."""

from cresset.pictures.graph import draw_graph
from cresset.pictures.scene import Picture
from cresset.pictures.tensor import draw, page

__all__ = ["Picture", "draw", "draw_graph", "page"]
