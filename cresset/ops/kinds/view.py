"""View operations: the same storage seen through another shape, strides and offset.

A body maps a layout to (shape, strides, offset in elements); there is no kernel and no copy. Run on
the layout of a gradient it is its own transposed scatter, which is the gradient where none is
stated.
"""

from __future__ import annotations

from operator import index

from cresset.core.layout import Layout
from cresset.ops import meta
from cresset.ops.operation import Operation
from cresset.runtime import native
from cresset.runtime.program import Program


class View(Operation):
    """out is x's storage, seen as `body(x layout, ...)` says."""

    default_kind = "static"
    has_out = False

    def _kind(self, parameter) -> str:
        return "tensor" if parameter is self.parameters[0] else "static"

    def restride(self, x: Layout, *statics) -> tuple[Layout, int]:
        """The layout of the view and its offset in elements."""
        shape, strides, offset, *seen_as = self.call_body((x, *statics))
        d = seen_as[0] if seen_as else x.dtype
        try:
            shape, strides = tuple(map(index, shape)), tuple(map(index, strides))
            return Layout.of(shape, strides, d, x.device), index(offset)
        except TypeError:
            raise TypeError(
                f"{self.label}(): arguments must be integers; got {', '.join(map(repr, statics))}"
            ) from None

    def infer(self, specs):
        return (self.restride(*specs)[0],)

    def program(self, specs) -> Program:
        raise NotImplementedError(f"{self.label}: a view runs no program")

    def plan(self, specs):
        layout, offset = self.restride(*specs)
        make = meta.viewer if layout.device == "meta" else native.make_viewer
        return make(layout, offset * layout.dtype.itemsize, Viewed(self, specs))

    def declare(self, register=True):
        function = super().declare(register)
        function.restride = self.restride
        return function


class Viewed:
    """The history of a view of a tensor that has none: how it was made.

    Should its base get a history later, by an in-place write, autograd replays the view from there.
    """

    __slots__ = ("args", "layouts", "op")

    # Older than every node of the graph.
    sequence = -1

    def __init__(self, op, specs):
        self.op = op
        self.args = (None, *specs[1:])
        self.layouts = specs[:1]


def view(body):
    """Declare a view: body(x, ...) -> (shape, strides, offset), x a layout, linear in its strides.

    A view of another element type gives that as well; offset and strides are counted in it.

    >>> @view
    ... def doctest_mirror_halves(x):
    ...     return x.shape[::-1], x.strides[::-1], 0
    """
    return View(body).declare()

