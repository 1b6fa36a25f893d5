"""Vectors of real or complex numbers as they lie in memory, for eliminations."""

from __future__ import annotations

from collections.abc import Sequence

from cresset.core.dtype import dtype
from cresset.runtime import ir
from cresset.runtime.ir import Function, Value


def numbers_of(f: Function, type: dtype, columns: int) -> Numbers:
    """What a function of IR does with vectors of so many numbers of a type."""
    return (Pairs if type.is_complex else Numbers)(f, type, columns)


def reduced(numbers: Numbers, rows: Sequence[Value], factors: Sequence[Value], solved: Value,
            count: Value, column: Value, step: Value) -> list[Value]:
    """The rows less the sum of factor[j] * solved[j] over j < count, for each row's own factors.

    All are addresses; factors are `column` numbers apart, and the solved rows `step`.
    """
    f = numbers.f
    with f.loop(0, count, carry=[numbers.load(row) for row in rows]) as loop:
        turned = numbers.turned(numbers.load(numbers.at(solved, loop.index * step)))
        loop.next(*[
            numbers.less(value, numbers.scalar(numbers.at(factor, loop.index * column)), turned)
            for value, factor in zip(loop.values, factors)
        ])
    return loop.results


class Numbers:
    """Vectors of real numbers as they lie in memory."""

    parts = 1

    def __init__(self, f: Function, type: dtype, columns: int):
        self.f = f
        self.columns = columns
        self.part = type.to_real().llvm
        self.vector = ir.vector(self.part, self.parts * columns)

    def at(self, pointer: Value, index: Value) -> Value:
        return self.f.offset(pointer, index * self.parts, self.part)

    def load(self, pointer: Value) -> Value:
        return self.f.load(self.vector, pointer)

    def after(self, column: Value) -> Value:
        """Which lanes belong to columns after one."""
        lanes = ir.lanes(self.vector)
        numbers = self.f.lane_numbers(ir.vector("i64", lanes))
        return numbers > self.f.splat(column * self.parts + (self.parts - 1), lanes)

    def number(self, pointer: Value) -> tuple[Value, ...]:
        """The parts of one number."""
        f = self.f
        return tuple(f.load(self.part, f.offset(pointer, k, self.part)) for k in range(self.parts))

    def put(self, number, pointer: Value):
        """Store one number."""
        for k, part in enumerate(number):
            self.f.store(part, self.f.offset(pointer, k, self.part))

    def spread(self, number) -> tuple[Value, ...]:
        """The parts of one number, each in all lanes."""
        return tuple(self.f.splat(part, ir.lanes(self.vector)) for part in number)

    def scalar(self, pointer: Value) -> tuple[Value, ...]:
        """The parts of the number at an address, each in all lanes."""
        return self.spread(self.number(pointer))

    def size(self, pointer: Value) -> Value:
        """How LAPACK measures the number at an address: the sum of its parts' sizes."""
        first, *others = (self.f.intrinsic("fabs", part) for part in self.number(pointer))
        return first + others[0] if others else first

    def turned(self, x: Value) -> tuple[Value, ...]:
        """x times 1, and of complex numbers times i: what the parts of a factor stand before."""
        return (x,)

    def less(self, x: Value, factor, turned) -> Value:
        """x - factor * y, where y is `turned`."""
        for part, y in zip(factor, turned):
            x = self.f.fma(-part, y, x)
        return x

    def quotient(self, x: Value, divisor) -> Value:
        return x / divisor[0]

    def divided(self, number, divisor) -> tuple[Value, ...]:
        """The quotient of two numbers."""
        return (number[0] / divisor[0],)


class Pairs(Numbers):
    """Vectors of complex numbers, real and imaginary parts in turn."""

    parts = 2

    def turned(self, x):
        f, lanes = self.f, ir.lanes(x.type)
        exchanged = f.shuffle(x, None, [lane ^ 1 for lane in range(lanes)])
        negative = f.shuffle(-exchanged, exchanged, [
            lane if lane % 2 == 0 else lane + lanes for lane in range(lanes)
        ])
        return x, negative

    def quotient(self, x, divisor):
        whole, turned = self.turned(x)
        real, imaginary, below, greatest = self._scaled(divisor)
        return self.f.fma(real, whole, -(imaginary * turned)) / below / greatest

    def divided(self, number, divisor):
        (x, y), f = number, self.f
        real, imaginary, below, greatest = self._scaled(divisor)
        return (f.fma(x, real, y * imaginary) / below / greatest,
                f.fma(y, real, -(x * imaginary)) / below / greatest)

    def _scaled(self, divisor):
        """(the parts over the greater of them, the sum of their squares, the greater)."""
        # So that squares do not overflow.
        f = self.f
        sizes = [f.intrinsic("fabs", part) for part in divisor]
        greatest = f.select(sizes[0] > sizes[1], sizes[0], sizes[1])
        real, imaginary = (part / greatest for part in divisor)
        return real, imaginary, f.fma(real, real, imaginary * imaginary), greatest
