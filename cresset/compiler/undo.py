"""Undo: what a play changes before Python decides, put back where that goes another way."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

from cresset.capture.tape import Held
from cresset.core.generator import BYTES, Generator
from cresset.core.tensor import Tensor


class Undo:
    """What the storages of some tensors hold, and the states of generators; a call puts it back."""

    def __init__(self, tensors: Sequence[Tensor], generators: Sequence[Generator]):
        self.held = [Held(x.memory) for x in tensors]
        self.states = [(g.address, ctypes.string_at(g.address, BYTES)) for g in generators]

    def __call__(self):
        for one in self.held:
            one.put_back()
        for address, state in self.states:
            ctypes.memmove(address, state, BYTES)
