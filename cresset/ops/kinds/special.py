"""Special operations: those whose kernels have schedules of their own.

The body plans: from the operands' layouts and the other parameters it returns the `Program` to run
(a matrix product, a sort, a gather). Everything else, autograd and capture included, treats it as
any other operation.
"""

from __future__ import annotations

from cresset.core.layout import Layout
from cresset.core.scalar import NotComplexError
from cresset.ops.kinds.widened import half_type, through_float32
from cresset.ops.operation import Operation
from cresset.runtime.program import Program


class Special(Operation):
    """out = what the planned program computes.

    One that `moves` elements and computes nothing of them takes any type; for the others half types
    are widened, and complex ones refused unless `takes_complex`. Operands named in `keeps` have a
    type of their own, whatever that of the others.
    """

    def __init__(self, body, moves=False, takes_complex=False, keeps=()):
        super().__init__(body)
        self.typed = [k for k, name in enumerate(self.parameter_names) if name not in keeps]
        self.moves = moves
        self.takes_complex = moves or takes_complex

    def program(self, specs) -> Program:
        if not self.takes_complex:
            for s in specs:
                if isinstance(s, Layout) and s.dtype.is_complex:
                    raise NotComplexError(self.label, s.dtype)
        half = None if self.moves else half_type(self.label, [specs[k] for k in self.typed])
        if half is None:
            return self.call_body(specs)
        return through_float32(half, self.call_body, specs, self.parameter_kinds)

    def infer(self, specs):
        return self.program(specs).outputs


def special(body=None, *, moves=False, takes_complex=False, keeps=()):
    """Declare an operation by its planner: body(layouts and parameters) -> Program.

    `moves` says that elements of any type come out as they went in, `takes_complex` that the
    planner knows what to do with complex ones, `keeps` names operands of a type of their own.
    """
    if body is None:
        return lambda b: special(b, moves=moves, takes_complex=takes_complex, keeps=keeps)
    return Special(body, moves, takes_complex, keeps).declare()
