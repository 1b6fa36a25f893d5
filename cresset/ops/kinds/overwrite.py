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
from cresset.runtime.program import Program


class Overwrite(Operation):
    """out = x, then what the body's plan writes over it.

    The body returns (writer, explain): `writer(target, values, first_temporary)` gives the steps
    and temporaries that write over `target`, a layout; `values` are the places of the target and of
    the other operands.
    """

    has_in_place = True

    def _plan(self, specs):
        positional, keywords = [], {}
        for value, p in zip(specs, self.signature.parameters.values()):
            if p.kind is p.KEYWORD_ONLY:
                keywords[p.name] = value
            else:
                positional.append(value)
        return self.body(*positional, **keywords)

    def infer(self, specs):
        self._plan(specs)
        return (Layout.packed(specs[0].shape, specs[0].dtype),)

    def program(self, specs) -> Program:
        writer, explain = self._plan(specs)
        x = specs[0]
        (out,) = self.infer(specs)
        inputs = [s for s, k in zip(specs, self.parameter_kinds) if k != "static"]
        operands = (Operand(1, x.dtype, x.strides), Operand(0, out.dtype, out.strides))
        body = (Store(1, scalar.argument(0, x.dtype), False),)
        copied, _ = steps(Nest(tuple(x.shape), frozenset(), operands, body))
        places = (0, *range(2, 1 + len(inputs)))
        written, temporaries = writer(out, places, 1 + len(inputs))
        letters = "".join(map(dispatch.letter, inputs))
        launches = (*_checks_first(written, copied),)
        return Program(letters, (out,), launches, tuple(temporaries), explain)

    def plan_into(self, out: Layout, specs, same: bool):
        if not same:
            raise NotImplementedError(
                f"{self.label}: out= is not supported; call the form that returns a new tensor"
            )
        refuse_overlapping(self.label, out)
        writer, explain = self._plan(specs)
        inputs = [s for s, k in zip(specs, self.parameter_kinds) if k != "static"]
        places = (0, *range(2, 1 + len(inputs)))
        written, temporaries = writer(out, places, 1 + len(inputs))
        letters = "w" + "".join(map(dispatch.letter, inputs))
        program = Program(letters, (), tuple(written), tuple(temporaries), explain)
        return dispatch.make_launcher(program)


def _checks_first(written, copied):
    """The steps that may find a fault stand before the copy: they need not wait for it."""
    checks = [step for step in written if -1 in step.operands]
    return [*checks, *copied, *(step for step in written if -1 not in step.operands)]


def overwrite(body):
    """Declare an operation that replaces part of its first operand."""
    return Overwrite(body).declare()
