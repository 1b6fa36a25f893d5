"""Overwriting operations: a copy of the first operand with some of it replaced.

The body plans the replacement; the kind adds the copy before it, or leaves that out in the in-place
form.
"""

from __future__ import annotations

from cresset.core import scalar
from cresset.core.layout import Layout
from cresset.kernels.nest import Nest, Operand, Store, steps
from cresset.ops import dispatch
from cresset.ops.kinds.elementwise import refuse_overlapping
from cresset.ops.operation import Operation
from cresset.runtime.program import STATUS, Program


class Overwrite(Operation):
    """out = x, then what the body's plan writes over it.

    The body returns (writer, explain): `writer(target, values, first_temporary)` gives the steps
    and temporaries that write over `target`, a layout; `values` are the places of the target and of
    the other operands.
    """

    has_in_place = True
    rearranges = True

    def infer(self, specs):
        self.call_body(specs)
        return (Layout.packed(specs[0].shape, specs[0].dtype),)

    def program(self, specs) -> Program:
        (out,) = self.infer(specs)
        return self._written_over(out, specs, copied=True)

    def program_into(self, out: Layout, specs, same: bool) -> Program:
        if out.dtype is not specs[0].dtype:
            raise RuntimeError(
                f"{self.label}: Expected out tensor to have dtype {specs[0].dtype}; got {out.dtype}"
            )
        refuse_overlapping(self.label, out)
        program = self._written_over(out, specs, copied=not same)
        return program._replace(inputs="w" + program.inputs, outputs=())

    def _written_over(self, out: Layout, specs, copied: bool) -> Program:
        """The program of a result laid out as `out`, which holds x already unless it is copied."""
        writer, explain = self.call_body(specs)
        inputs = [s for s, k in zip(specs, self.parameter_kinds) if k != "static"]
        places = (0, *range(2, 1 + len(inputs)))
        written, temporaries = writer(out, places, 1 + len(inputs))
        if copied:
            # What may find a fault goes first: nothing is written then.
            checks = [step for step in written if STATUS in step.operands]
            others = [step for step in written if STATUS not in step.operands]
            written = (*checks, *_copied(specs[0], out), *others)
        letters = "".join(map(dispatch.letter, inputs))
        return Program(letters, (out,), tuple(written), tuple(temporaries), explain)


def _copied(x: Layout, out: Layout):
    """The steps that copy value 1 to value 0."""
    operands = (Operand(1, x.dtype, x.strides), Operand(0, out.dtype, out.strides))
    body = (Store(1, scalar.argument(0, x.dtype), False),)
    return steps(Nest(tuple(x.shape), frozenset(), operands, body))[0]


def overwrite(body):
    """Declare an operation that replaces part of its first operand."""
    return Overwrite(body).declare()
