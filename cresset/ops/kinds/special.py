"""Special operations: those whose kernels have schedules of their own.

The body plans: from the operands' layouts and the other parameters it returns the `Program` to run
(a matrix product, a sort, a gather). Everything else, autograd and capture included, treats it as
any other operation.
"""

from __future__ import annotations

from cresset.ops.operation import Operation
from cresset.runtime.program import Program


class Special(Operation):
    """out = what the planned program computes."""

    def program(self, specs) -> Program:
        positional, keywords = [], {}
        for value, p in zip(specs, self.signature.parameters.values()):
            if p.kind is p.KEYWORD_ONLY:
                keywords[p.name] = value
            else:
                positional.append(value)
        return self.body(*positional, **keywords)

    def infer(self, specs):
        return self.program(specs).outputs


def special(body):
    """Declare an operation by its planner: body(layouts and parameters) -> Program."""
    return Special(body).declare()
