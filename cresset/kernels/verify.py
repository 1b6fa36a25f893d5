"""Verification of loop nests: what must hold of each before machine code is written for it.

Under CRESSET_CHECK=1 every nest passes here on its way to a launch. An error quotes the line at
fault of the nest's text, which `describe` gives: its space, a line per operand, one per statement.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cresset.core import scalar
from cresset.core.scalar import Expression

if TYPE_CHECKING:
    from cresset.kernels.nest import Nest, Reduce, Store


class NestError(ValueError):
    """A nest that contradicts itself."""


def describe(nest: Nest) -> list[str]:
    """The lines of a nest's text."""
    lines = [f"nest over {tuple(nest.shape)}, reduced dims {sorted(nest.reduced)}"]
    for k, o in enumerate(nest.operands):
        lies = f"number {o.number}" if o.strides is None else f"strides {o.strides} from {o.offset}"
        lines.append(f"a{k}: value {o.place}, {o.dtype.name}, {lies}")
    for s in nest.body:
        if hasattr(s, "lift"):
            kept = "".join(f", a{k} = {e!r}" for k, e in s.keep)
            lines.append(f"reduce {s.lift} from {s.start} by {s.merge}{kept}")
        else:
            lines.append(f"store a{s.operand}{' once' if s.kept else ''} = {s.value!r}")
    return lines


def verify(nest: Nest) -> None:
    """Raise NestError unless the nest is one that kernels can be written for."""
    _Verifier(nest).verify()


class _Verifier:
    """Walks over one nest; `line` is where it stands, `states` the accumulators so far."""

    def __init__(self, nest: Nest):
        self.nest = nest
        self.line = 0
        self.states: list[Expression] = []
        self.written = {s.operand for s in nest.body if not hasattr(s, "lift")}
        self.written |= {k for s in nest.body if hasattr(s, "lift") for k, _ in s.keep}
        # Dims that a loop runs over; along the others no stride matters.
        self.long = [d for d, n in enumerate(nest.shape) if n != 1]

    def verify(self):
        self._space()
        for operand in self.nest.operands:
            self.line += 1
            self._operand(operand)
        for statement in self.nest.body:
            self.line += 1
            if hasattr(statement, "lift"):
                self._reduce(statement)
            else:
                self._store(statement)

    def _require(self, condition, problem: str):
        if not condition:
            from textwrap import shorten

            quoted = shorten(describe(self.nest)[self.line], 300, placeholder=" ...")
            raise NestError(f"verify nest: {problem}; at line {self.line + 1}: {quoted}")

    def _space(self):
        nest, rank = self.nest, len(self.nest.shape)
        self._require(all(type(n) is int and n >= 0 for n in nest.shape), "a size is no size")
        dims = set(range(rank))
        self._require(nest.reduced <= dims, f"a reduced dim is none of the {rank} dims")
        count = len(nest.position_strides)
        self._require(count in (0, rank), f"{count} position strides for {rank} dims")
        self._require(self.written, "nothing is stored")

    def _operand(self, operand):
        if operand.strides is None:
            self._require(operand.number in ("d", "i"), "a number is of type 'd' or 'i'")
            return
        count, rank = len(operand.strides), len(self.nest.shape)
        self._require(count == rank, f"{count} strides for {rank} dims")
        self._require(operand.offset >= 0, "the offset is negative")

    def _reduce(self, statement: Reduce):
        lift, merge, start = statement.lift, statement.merge, statement.start
        self._require(lift, "there is no state")
        self._require(
            len(lift) == len(merge) == len(start),
            f"{len(lift)} lifted, {len(merge)} merged and {len(start)} starting components",
        )
        self._reads(*lift)
        for wide, narrow in zip(lift, statement.narrow):
            self._require(wide.args == (narrow,), f"{narrow!r} is not what is widened")
        for _, e in statement.keep:
            self._require(set(scalar.topological(e)) <= set(scalar.topological(*lift)),
                          f"{e!r} is kept and not computed")
        sides = [scalar.argument(k, e.dtype) for k, e in enumerate((*lift, *lift))]
        for leaf in _leaves(*merge):
            self._require(leaf in sides, f"{leaf!r} is neither side of the merge")
        for k, (lifted, merged) in enumerate(zip(lift, merge)):
            self._require(
                lifted.dtype is merged.dtype,
                f"component {k} is {lifted.dtype.name}, merged {merged.dtype.name}",
            )
        first = len(self.states)
        self.states += [scalar.accumulator(first + k, e.dtype) for k, e in enumerate(lift)]

    def _store(self, statement: Store):
        nest, value = self.nest, statement.value
        self._require(0 <= statement.operand < len(nest.operands), "the target is no operand")
        target = nest.operands[statement.operand]
        self._require(target.strides is not None, "the target is a number")
        self._require(
            target.dtype is value.dtype,
            f"{value.dtype.name} is stored as {target.dtype.name}",
        )
        self._reads(value)
        strides = target.strides or ()
        for d in self.long:
            once = statement.kept and d in nest.reduced
            self._require(
                (strides[d] == 0) == once,
                f"the target moves along dim {d}, which is reduced" if once
                else f"all of dim {d} is written to one place",
            )
        if statement.kept:
            for leaf in _leaves(value):
                self._require(not self._moves(leaf), f"{leaf!r} changes over reduced dims")

    def _moves(self, leaf) -> bool:
        """Whether a leaf has several values for one point of the kept dims."""
        if leaf.name == "position":
            return True
        strides = self.nest.operands[leaf.value].strides if leaf.name == "argument" else None
        return strides is not None and any(strides[d] for d in self.long if d in self.nest.reduced)

    def _reads(self, *expressions):
        """Require that every leaf is defined by now, as what it is read as."""
        nest = self.nest
        for leaf in _leaves(*expressions):
            if leaf.name == "accumulator":
                self._require(leaf in self.states, f"{leaf!r} is read before it is reduced")
            elif leaf.name == "position":
                strides = len(nest.position_strides) == len(nest.shape)
                self._require(strides, "the position is read and has no strides")
            else:
                known = leaf.name == "argument" and 0 <= leaf.value < len(nest.operands)
                self._require(known, f"{leaf!r} is no operand")
                operand = nest.operands[leaf.value]
                self._require(leaf.value not in self.written, f"{leaf!r} is written, not read")
                self._require(
                    operand.dtype is leaf.dtype,
                    f"{leaf!r} is {operand.dtype.name}, read as {leaf.dtype.name}",
                )


def _leaves(*expressions) -> list[Expression]:
    return [
        e for e in scalar.topological(*expressions) if not e.args and e.name != "constant"
    ]
