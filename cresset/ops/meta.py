"""Meta tensors: shapes without memory, on the device "meta".

Every operation runs on them by its own rules: its plan is made for the layouts that the operands
would have on the processor, so all checks are made and the result is laid out as it would be, and
what it launches makes results over storages without memory.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager

from cresset.core.layout import Layout
from cresset.core.storage import MetaStorage
from cresset.core.tensor import Tensor
from cresset.ops import dispatch
from cresset.runtime import native


def new(layout: Layout) -> Tensor:
    """An uninitialised tensor, on the layout's device."""
    if layout.device != "meta":
        x = native.new(layout)
        if dispatch.tape is not None:
            dispatch.tape.made(x)
        return x
    return over(MetaStorage(layout.reach() * layout.dtype.itemsize), layout, 0)


def over(memory, layout: Layout, ptr: int, base=None, history=None) -> Tensor:
    x = object.__new__(Tensor)
    x.memory, x.layout, x.ptr = memory, layout, ptr
    x.base, x.history, x.grad = base, history, None
    return x


def concerned(specs) -> bool:
    """Whether any operand is on meta."""
    return any(isinstance(s, Layout) and s.device == "meta" for s in specs)


def processor(op, specs, out: Layout | None = None) -> tuple:
    """The operands as they would be on the processor.

    Raises RuntimeError where one of them is there already, or what is written, `out`. Operands
    without dims are numbers, wherever they are.
    """
    there = [s for s, kind in zip(specs, op.parameter_kinds)
             if kind != "static" and isinstance(s, Layout) and s.device == "cpu" and s.ndim]
    if out is not None and out.device == "cpu":
        there.append(out)
    if there:
        raise RuntimeError(
            f"{op.label}: Expected all tensors to be on the same device, but found at least two "
            f"devices, cpu and meta; got one of shape {tuple(there[0].shape)} on the cpu; move it "
            "with .to('meta')"
        )
    return tuple(s.on("cpu") if isinstance(s, Layout) else s for s in specs)


class _Planned(threading.local):
    for_processor = False


planned = _Planned()


@contextmanager
def planned_for_processor():
    """What this thread plans on meta it plans for the processor, too."""
    planned.for_processor = True
    try:
        yield
    finally:
        planned.for_processor = False


def launcher(outs):
    """What a plan launches that has these layouts for its results on the processor."""
    layouts = [layout.on("meta") for layout in outs]

    def launch(*operands):
        made = tuple(map(new, layouts))
        return made[0] if len(made) == 1 else made

    return launch


dispatch.namespace["launch_meta"] = launcher


def writer():
    """What a plan launches that writes over a tensor."""

    def launch(target, *operands):
        target.memory.version += 1
        return target

    return launch


def viewer(layout: Layout, offset: int, history):
    """What the plan of a view launches; `offset` counts bytes."""

    def view(x):
        return over(x.memory, layout, x.ptr + offset, x, history)

    return view
