"""States: what tensors, generators and other objects hold, so that it can be compared and put back.

A call that is made twice has to find the same things twice.
"""

from __future__ import annotations

import ctypes
import types
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from cresset.capture.reads import PLAIN
from cresset.capture.tape import Live
from cresset.compiler.replay import Replay
from cresset.core.dtype import dtype
from cresset.core.generator import Generator
from cresset.core.layout import Layout
from cresset.core.storage import Storage
from cresset.core.tensor import Tensor

SLOTS = ("memory", "ptr", "layout", "base", "history", "grad")
# What is not looked into: the program itself.
CODE = (type, types.ModuleType, types.FunctionType, types.MethodType, types.BuiltinFunctionType)


class Elements(NamedTuple):
    """What a tensor holds, as bytes, and whether it requires gradients."""

    shape: tuple
    strides: tuple
    dtype: dtype
    bits: bytes
    requires_grad: bool = False


class State:
    """What objects hold now, by name, and all that these lead to: gradients, entries, attributes.

    `contents` maps the place of each tensor, generator and plain value to what is there.
    """

    def __init__(self, roots: dict[str, Any]):
        self.contents: dict[str, Any] = {}
        self._tensors: list[tuple[Tensor, list]] = []
        self._storages: dict[int, tuple[Storage, int | None, bytes]] = {}
        self._others: list[tuple[Any, Any]] = []
        self._seen: set[int] = set()
        for name, value in roots.items():
            self._keep(name, value)

    def put_back(self):
        """Make everything hold again what it held."""
        for owner, held in self._others:
            if isinstance(owner, Generator):
                ctypes.memmove(owner.address, held, len(held))
            elif isinstance(owner, list):
                owner[:] = held
            else:
                owner.clear()
                owner.update(held)
        for x, slots in self._tensors:
            for name, value in zip(SLOTS, slots):
                setattr(x, name, value)
        for storage, version, held in self._storages.values():
            if version is not None:
                ctypes.memmove(storage.ptr, held, len(held))
                storage.version = version

    def differences(self, other: State) -> Iterator[tuple[str, Any, Any]]:
        """(the place, what is here, what is in the other state), in order."""
        for name in {**self.contents, **other.contents}:
            own, others = self.contents.get(name), other.contents.get(name)
            if own != others:
                yield name, own, others

    def _keep(self, name: str, value: Any):
        if isinstance(value, PLAIN):
            # By its spelling, since not every number is equal to itself.
            self.contents[name] = repr(value)
            return
        if id(value) in self._seen:
            return
        self._seen.add(id(value))
        if isinstance(value, Tensor):
            self._keep_tensor(name, value)
        elif isinstance(value, Generator):
            held = bytes(value._memory)
            self.contents[name] = held
            self._others.append((value, held))
        elif isinstance(value, (list, tuple)):
            if isinstance(value, list):
                self._others.append((value, list(value)))
            for k, part in enumerate(value):
                self._keep(f"{name}[{k}]", part)
        elif isinstance(value, dict):
            self._others.append((value, dict(value)))
            for k, (key, part) in enumerate(value.items()):
                self._keep(f"{name}[{repr(key) if isinstance(key, PLAIN) else k}]", part)
                self._keep(f"the key {k} of {name}", key)
        elif not isinstance(value, CODE) and hasattr(value, "__dict__"):
            self._keep(name, vars(value))

    def _keep_tensor(self, name: str, x: Tensor):
        storage = x.memory
        if id(storage) not in self._storages:
            held = b"" if x.layout.absent else ctypes.string_at(storage.ptr, storage.nbytes)
            self._storages[id(storage)] = storage, storage.version, held
        self._tensors.append((x, [getattr(x, s) for s in SLOTS]))
        self.contents[name] = elements(x.ptr, x.layout, x.requires_grad)
        if x.grad is not None:
            self._keep(f"the gradient of {name}", x.grad)


def state_of(replay: Replay, leaves: list[Tensor], more: dict[str, Any] | None = None) -> State:
    """All that a play may change; `leaves` are the tensors among the arguments."""
    roots: dict[str, Any] = {f"tensor {k} of the arguments": x for k, x in enumerate(leaves)}
    for k, x in enumerate(replay.found):
        roots[f"tensor {k} that is found, of shape {tuple(x.layout.shape)}"] = x
    roots["the generators"] = replay.generators
    for part in replay.parts:
        if isinstance(part, Live):
            for given in (*part.call.args, *part.call.keywords.values()):
                roots[f"the {type(given).__name__}"] = given
    return State({**roots, **(more or {})})


def told(call: Callable, replay: Replay, leaves: list[Tensor]) -> Any:
    """Have a call tell in immediate mode what fault a play of it has met.

    What it does before that has been done by the play, and is not done twice. Gradients alone are
    those of the call, since a play hands them on at its end, or before a call that is made anew.
    """
    state = state_of(replay, leaves)
    try:
        return call()
    except Exception:
        gradients = {x: x.grad for x in replay.gradients}
        state.put_back()
        if not any(isinstance(part, Live) for part in replay.parts):
            for x, gradient in gradients.items():
                x.grad = gradient
        raise


def elements(address: int, layout: Layout, requires_grad: bool = False) -> Elements:
    """What lies at an address."""
    import numpy

    held = b""
    size = layout.dtype.itemsize
    if layout.numel and not layout.absent:
        memory = (ctypes.c_char * (layout.reach() * size)).from_address(address)
        strides = (*[size * s for s in layout.strides], 1)
        array = numpy.ndarray((*layout.shape, size), numpy.uint8, memory, strides=strides)
        held = array.tobytes()
    return Elements(layout.shape, layout.strides, layout.dtype, held, requires_grad)
