"""Schedules over half types: their operands are read as float32, their results rounded once.

Schedules are written for the types that the machine computes in. Those that only move elements take
any type as it is and say so (`moves`); for the others what is half becomes a temporary of float32,
and what comes out in float32 becomes half, all in one program.
"""

from __future__ import annotations

from cresset.core import dtype as types
from cresset.core import scalar
from cresset.core.dtype import dtype
from cresset.core.layout import Layout
from cresset.kernels.nest import Nest, Operand, Store, steps
from cresset.ops.kinds.promotion import computed
from cresset.runtime.program import STATUS, Program


def half_type(operation: str, specs) -> dtype | None:
    """The half type of the operands, None where there is none.

    Raises RuntimeError where there are others of another floating type, NotImplementedError where
    there is no arithmetic on one.
    """
    found = {s.dtype: None for s in specs if isinstance(s, Layout) and s.dtype.is_differentiable}
    for d in found:
        computed(operation, d)
    halves = [d for d in found if d in types.HALVES]
    if halves and len(found) > 1:
        raise RuntimeError(
            f"{operation}: the operands must have the same dtype; got "
            f"{' and '.join(map(str, found))}; convert one of them with .to(dtype)"
        )
    return halves[0] if halves else None


def wide(spec):
    """The layout in float32 of what is half; anything else as it is."""
    half = isinstance(spec, Layout) and spec.dtype in types.HALVES
    return spec.like(types.float32) if half else spec


def copied(source: tuple[int, Layout], target: tuple[int, Layout]) -> list:
    """The steps that convert one value, a place and its layout there, into another."""
    layouts = source[1], target[1]
    operands = tuple(Operand(place, x.dtype, x.strides) for place, x in (source, target))
    value = scalar.cast(scalar.argument(0, layouts[0].dtype), layouts[1].dtype)
    nest = Nest(tuple(layouts[0].shape), frozenset(), operands, (Store(1, value, False),))
    return steps(nest)[0]


def packed_as(kind: dtype, place: int, layout: Layout, temporary: int):
    """(steps, bytes of temporaries, place): the value packed and of a type, a copy if need be."""
    if layout.contiguous and layout.dtype is kind:
        return [], [], place
    target = Layout.packed(layout.shape, kind)
    return copied((place, layout), (temporary, target)), [target.nbytes], temporary


def all_packed(kind: dtype, first: int, layouts, temporary: int):
    """(type, steps, bytes of temporaries, places) of values from `first` on, as `packed_as`.

    The type is float32 where a half one is asked for.
    """
    kind = types.float32 if kind in types.HALVES else kind
    launches: list = []
    temporaries: list[int] = []
    places = []
    for number, layout in enumerate(layouts, first):
        copies, bytes, place = packed_as(kind, number, layout, temporary + len(temporaries))
        launches += copies
        temporaries += bytes
        places.append(place)
    return kind, launches, temporaries, places


def through_float32(half: dtype, plan, specs, kinds) -> Program:
    """The program that `plan` makes of float32 layouts, over values that are half."""
    inner = plan(tuple(map(wide, specs)))
    inputs = [s for s, kind in zip(specs, kinds) if kind != "static"]
    outs = tuple(o.cast(half) if o.dtype is types.float32 else o for o in inner.outputs)
    own = [*outs, *inputs]
    seen = [*inner.outputs, *map(wide, inputs)]
    temporaries = list(inner.temporaries)
    places = list(range(len(own) + len(temporaries)))
    before, after = [], []
    for k, (layout, stand_in) in enumerate(zip(own, seen)):
        if stand_in is not layout:
            places[k] = len(own) + len(temporaries)
            temporaries.append(stand_in.nbytes)
            if k < len(outs):
                after += copied((places[k], stand_in), (k, layout))
            else:
                before += copied((k, layout), (places[k], stand_in))
    launches = [
        step._replace(operands=tuple(k if k == STATUS else places[k] for k in step.operands))
        for step in inner.steps
    ]
    return inner._replace(
        outputs=outs, steps=(*before, *launches, *after), temporaries=tuple(temporaries)
    )
