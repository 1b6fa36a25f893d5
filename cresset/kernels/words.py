"""The argument words of a kernel, read one after another."""

from __future__ import annotations

from cresset.runtime.ir import Function, Value


class Words:
    """A cursor over the 8-byte words that `args` points to: operands first, then constants.

    >>> from cresset.runtime.ir import Module
    >>> f = Module().kernel()
    >>> words = Words(f)
    >>> words.pointer(), words.integers(2)
    (ptr %v2, [i64 %v4, i64 %v6])
    """

    def __init__(self, function: Function):
        self.function = function
        self.position = 0

    def next(self, type: str) -> Value:
        """The next word as a value of an 8-byte type."""
        f = self.function
        value = f.load(type, f.offset(f.arguments[0], self.position, "i64"))
        self.position += 1
        return value

    def pointer(self) -> Value:
        return self.next("ptr")

    def integer(self) -> Value:
        return self.next("i64")

    def integers(self, count: int) -> list[Value]:
        return [self.next("i64") for _ in range(count)]
