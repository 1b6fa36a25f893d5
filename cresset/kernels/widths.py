"""How many lanes the blocks of a nest have."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from cresset.core import scalar
from cresset.core.dtype import dtype
from cresset.kernels.costs import computed, long
from cresset.runtime import ir

if TYPE_CHECKING:
    from cresset.kernels.nest import Nest

LEAST = 4  # lanes of a block; fewer are done one by one


def block_width(nest: Nest, extent: int, vector_bytes: int, one_row: bool = False) -> int:
    """Lanes of a block: a few registers' worth of what is computed, fewer where dims are short.

    What is only read may take twice as many registers. One short row has few blocks whatever their
    width, so there every other width is left out, and the kernels that it would cost.
    """
    made: list[dtype] = []
    for s in nest.body:
        if hasattr(s, "lift"):
            made += [e.dtype for e in s.narrow or s.lift]
        elif not s.kept:
            made.append(s.value.dtype)
    used = [o.dtype for o in nest.operands if o.strides is not None]
    widest, read = (
        max((max(d.itemsize, ir.size(d.register)) for d in kinds), default=4)
        for kinds in (made, made + used)
    )
    few = long(computed(nest.body)) or any(o.part for o in nest.operands)
    registers = 2 if few else 4
    full = registers * vector_bytes // max(widest, read // 2)
    while full > max(extent, 1):
        full //= 4 if one_row and full > 8 else 2
    return full if full >= LEAST else 1


def half_will_do(nest: Nest, lanes: str, dims: Sequence[tuple[int, tuple[int, ...]]]) -> bool:
    """Whether half as many lanes take as long: then short rows share the kernel of long ones.

    So it is where folds read several arrays, row by row, and where copies go element by element.
    `dims` are those that lanes run along, the innermost last: (size, strides of each array).
    """
    if lanes == "reduced":
        leaves = scalar.arguments(*computed(s for s in nest.body if hasattr(s, "lift")))
        read = [nest.operands[e.value].strides or (0,) * len(nest.shape) for e in leaves]
        return len(dims) > 1 and sum(any(strides[d] for d in nest.reduced) for strides in read) > 1
    apart = any(stride not in (-1, 0, 1) for stride in dims[-1][1])
    return lanes == "kept" and apart and not any(e.args for e in computed(nest.body))
