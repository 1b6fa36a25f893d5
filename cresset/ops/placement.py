"""The gradient of a view, where none is stated: zeros with the gradient where the view looks."""

from __future__ import annotations

from cresset.core import scalar
from cresset.core.layout import Layout
from cresset.core.tensor import Tensor
from cresset.kernels.nest import Nest, Operand, Store, steps
from cresset.ops.kinds import special
from cresset.runtime.program import Program


@special(moves=True)
def placed(g: Tensor, operation, statics, layout):
    """Zeros of a layout's shape, with g where the view `operation(x, *statics)` of it looks.

    A view that shows an element more than once (as `expand` and `unfold` may) adds up there.
    """
    out = Layout.packed(layout.shape, g.dtype)
    part, offset = operation.restride(out, *statics)
    zero = scalar.constant(0, g.dtype)
    launches, _ = steps(Nest(
        tuple(out.shape), frozenset(), (Operand(0, g.dtype, out.strides),),
        (Store(0, zero, False),),
    ))
    leaf, held = scalar.argument(0, g.dtype), scalar.argument(1, g.dtype)
    pieces = _pieces(part)
    for shape, shift in pieces:
        source = Operand(1, g.dtype, g.strides, _at(shift, g.strides))
        target = Operand(0, g.dtype, part.strides, offset + _at(shift, part.strides))
        if len(pieces) == 1:
            nest = Nest(shape, frozenset(), (source, target), (Store(1, leaf, False),))
        else:
            body = (Store(2, leaf + held, False),)
            nest = Nest(shape, frozenset(), (source, target, target), body, in_place=True)
        launches += steps(nest)[0]
    return Program("t", (out,), tuple(launches))


def _at(index, strides) -> int:
    return sum(i * s for i, s in zip(index, strides))


def _pieces(part: Layout):
    """[(shape, first index)]: the view cut into parts that show every element once at most."""
    shape = tuple(part.shape)
    if part.numel == 0:
        return []
    if _shows_once(part):
        return [(shape, (0,) * len(shape))]
    # The dim with the smallest stride among those that overlap is walked entry by entry.
    order = sorted((s, d) for d, (n, s) in enumerate(zip(shape, part.strides)) if n > 1)
    d = order[0][1]
    inner = part.restride(shape[:d] + (1,) + shape[d + 1 :], part.strides)
    return [
        (piece, first[:d] + (first[d] + k,) + first[d + 1 :])
        for k in range(shape[d]) for piece, first in _pieces(inner)
    ]


def _shows_once(part: Layout) -> bool:
    """Whether no two indices lead to the same element."""
    reach = 1
    for s, n in sorted((s, n) for s, n in zip(part.strides, part.shape) if n > 1):
        if s < reach:
            return False
        reach = s * (n - 1) + reach
    return True


@placed.gradient
def _placed_gradient(g, operation, statics):
    return operation.function(g, *statics)
