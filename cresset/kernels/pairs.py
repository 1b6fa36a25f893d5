"""Nests over complex memory as nests over real memory.

A complex operand is two real ones that lie in the same memory, with twice its strides, the second
one element further; where neighbours are complex numbers side by side, both are taken apart in
registers. A complex state is two components, a complex store two stores. So nothing that
writes code ever meets a complex number.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cresset.core import complex, scalar
from cresset.core.scalar import Expression

if TYPE_CHECKING:
    from cresset.kernels.nest import Nest


def is_complex(nest: Nest) -> bool:
    """Whether complex numbers are read, written or met on the way."""
    if any(o.dtype.is_complex for o in nest.operands):
        return True
    expressions = [e for s in nest.body for e in getattr(s, "lift", None) or (s.value,)]
    return any(e.dtype.is_complex for e in scalar.topological(*expressions))


class Pairing:
    """Makes a real nest of a complex one, statement by statement."""

    def __init__(self, nest: Nest):
        self.nest = nest
        self.operands: list = []
        # Of each operand of the complex nest, the number of its first in the real one.
        self.first: list[int] = []
        self.leaves: dict[Expression, tuple] = {}
        self.states = 0
        self.paired_states = 0
        for k, operand in enumerate(nest.operands):
            self.first.append(len(self.operands))
            self._operand(k, operand)

    def _operand(self, k, operand):
        d, first = operand.dtype, self.first[k]
        if not d.is_complex:
            self.operands.append(operand)
            self.leaves[scalar.argument(k, d)] = (scalar.argument(first, d),)
            return
        part = d.to_real()
        strides = tuple(2 * s for s in operand.strides)
        for shift, name in enumerate(("re", "im")):
            start = 2 * operand.offset + shift
            self.operands.append(
                operand._replace(dtype=part, strides=strides, offset=start, part=name)
            )
        self.leaves[scalar.argument(k, d)] = (
            scalar.argument(first, part), scalar.argument(first + 1, part)
        )

    def run(self) -> Nest:
        body: list = []
        for s in self.nest.body:
            if hasattr(s, "lift"):
                body.append(self._reduce(s))
            else:
                (values,) = complex.parts([s.value], self.leaves)
                for k, value in enumerate(values):
                    body.append(s._replace(operand=self.first[s.operand] + k, value=value))
        return self.nest._replace(operands=tuple(self.operands), body=tuple(body))

    def _reduce(self, s):
        lifted = complex.parts(s.lift, self.leaves)
        count = sum(map(len, lifted))
        sides: dict[Expression, tuple] = {}
        place = 0
        for k, (e, pair) in enumerate(zip(s.lift, lifted)):
            for side, shift in ((k, 0), (len(s.lift) + k, count)):
                sides[scalar.argument(side, e.dtype)] = tuple(
                    scalar.argument(shift + place + j, part.dtype) for j, part in enumerate(pair)
                )
            self.leaves[scalar.accumulator(self.states + k, e.dtype)] = tuple(
                scalar.accumulator(self.paired_states + place + j, part.dtype)
                for j, part in enumerate(pair)
            )
            place += len(pair)
        self.states += len(s.lift)
        self.paired_states += count
        start: list = []
        for number, e in zip(s.start, s.lift):
            start += [number.real, number.imag] if e.dtype.is_complex else [number]
        return s._replace(
            lift=tuple(part for pair in lifted for part in pair),
            merge=tuple(part for pair in complex.parts(s.merge, sides) for part in pair),
            start=tuple(start),
        )


def paired(nest: Nest) -> Nest:
    """The nest over real memory that does what a complex one says."""
    return Pairing(nest).run() if is_complex(nest) else nest
