"""Devices: where tensors live."""

from __future__ import annotations


class device:
    """A device by its type and index, such as device("cpu").

    >>> device("cpu") == "cpu"
    True
    """

    __slots__ = ("index", "type")

    type: str
    index: int | None

    def __init__(self, type, index: int | None = None):
        if isinstance(type, device):
            type, index = type.type, type.index
        name, colon, number = str(type).partition(":")
        if name not in ("cpu", "meta"):
            raise RuntimeError(
                f"device: there is no device {str(type)!r} here; need 'cpu'"
            )
        self.type = name
        self.index = int(number) if colon else index

    def __eq__(self, other):
        if isinstance(other, str):
            other = device(other)
        return isinstance(other, device) and (self.type, self.index) == (other.type, other.index)

    def __hash__(self):
        return hash((self.type, self.index))

    def __str__(self):
        return self.type if self.index is None else f"{self.type}:{self.index}"

    def __repr__(self):
        index = "" if self.index is None else f", index={self.index}"
        return f"device(type={self.type!r}{index})"
