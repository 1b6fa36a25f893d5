"""Composite operations: a Python function over other operations, run as one fused kernel.

The body is captured once per combination of layouts and compiled; where it cannot be fused into
one loop nest, the compiler makes a program of several. Its gradient is stated, or else the body's
own, recomputed when it is asked for.
"""

from __future__ import annotations

from cresset.ops import dispatch
from cresset.ops.operation import Operation
from cresset.runtime.program import Program


class Composite(Operation):
    """out = body(...)."""

    default_kind = "static"

    def infer(self, specs):
        return self.program(specs).outputs

    def program(self, specs) -> Program:
        # Filled by the compiler: compose(op, specs) captures the body and compiles its graph.
        return dispatch.namespace["compose"](self, specs)


def composite(body):
    """Declare an operation by a Python function over others; tensors are annotated `Tensor`.

    >>> @composite
    ... def doctest_center(x: "Tensor", dim=-1):
    ...     return x - x
    """
    return Composite(body).declare()
