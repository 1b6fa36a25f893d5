"""Showing what a function compiles to, stage by stage, as text that a person can read."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from cresset.capture.graph import Open, capture
from cresset.compiler.programs.fuse import fuse
from cresset.ops.kinds.update import Update
from cresset.runtime.codegen import assembly
from cresset.runtime.target import Target, host, writing_for

STAGES = ("graph", "loops", "ir", "assembly")


class Stages:
    """The stages of one program, each None unless it was asked for; prints as all of them.

    `graph` is the captured program as Python (None for an update, which has none). The others have
    an entry for every kernel, in the order in which they run: `loops` the listing that names it (of
    a kernel that is no loop nest its name alone), `ir` its module for LLVM, `assembly` its machine
    code as LLVM spells it.
    """

    def __init__(self, graph=None, loops=None, ir=None, assembly=None):
        self.graph: str | None = graph
        self.loops: list[str] | None = loops
        self.ir: list[str] | None = ir
        self.assembly: list[str] | None = assembly

    def __repr__(self) -> str:
        parts = [] if self.graph is None else [f"--- graph\n{self.graph}"]
        for stage in STAGES[1:]:
            texts = getattr(self, stage) or ()
            for number, text in enumerate(texts, start=1):
                parts.append(f"--- {stage}, kernel {number} of {len(texts)}\n{text.rstrip()}")
        return "\n\n".join(parts)


def show(function: Callable, *arguments, stages: Sequence[str] = STAGES,
         target: Target | None = None) -> Stages:
    """What `function(*arguments)` compiles to as one program; nothing of it is run.

    `function` is an operation, any function of tensors that returns tensors, or an update (see
    `ops.update`), whose arguments are lists of tensors. Tensors give their layouts alone; whatever
    else is among the arguments becomes part of the program. Tensors that the function makes or
    finds beside them, such as a range, are further inputs of the graph. `target` is the machine to
    compile for, this one unless given.

    Raises ValueError for a stage that does not exist; TypeError where the function returns what is
    no tensor; NotImplementedError where it does what cannot be captured, such as to write in place.

    >>> import cresset
    >>> show(lambda x: (x * 2).sum(0), cresset.ones(3, 4), stages=("graph", "loops"))
    --- graph
    def captured(v0):
        v1 = mul(v0, 2)
        v2 = sum(v1, 0, False)
        return v2
    <BLANKLINE>
    --- loops, kernel 1 of 1
    nest kept=1 reduced=1 width=4 lanes=columns
      a0: in float32 stride 1
      a1: known float32 stride i still
      a2: out float32 stride 1 still
      t4 = mul(arg0:f32, arg1:f32) : f32
      t5 = cast(t4) : f64
      t6 = add(arg0:f64, arg1:f64) : f64
      reduce t4 first, t5 from (0,) by t6
      t8 = cast(acc0:f64) : f32
      store a2 once = t8
    """
    wanted = (stages,) if isinstance(stages, str) else tuple(stages)
    for stage in wanted:
        if stage not in STAGES:
            raise ValueError(f"show: there is no stage {stage!r}; need some of {', '.join(STAGES)}")
    target = target or host()
    # What the function computes beside its arguments runs now, so this is done for this machine.
    graph = None if isinstance(function, Update) else capture(function, *arguments, graph=Open())
    with writing_for(target):
        if graph is None:
            kernels = [function.kernel(arguments[0][0].layout.dtype)]
        else:
            kernels = [(step.key, step.write) for step in fuse(graph).steps]
        code = {"ir", "assembly"} & set(wanted)
        texts = [write().text() for _, write in kernels] if code else []
    return Stages(
        str(graph) if graph is not None and "graph" in wanted else None,
        [key for key, _ in kernels] if "loops" in wanted else None,
        texts if "ir" in wanted else None,
        [assembly(text, target) for text in texts] if "assembly" in wanted else None,
    )
