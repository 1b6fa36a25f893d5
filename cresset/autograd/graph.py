"""The graph from outside: hooks on what it saves, and on several gradients at once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from threading import get_ident
from typing import Any, NamedTuple

from cresset.autograd.engine import reached_from
from cresset.autograd.methods import RemovableHandle
from cresset.autograd.mode import mode as grad_mode
from cresset.autograd.mode import no_grad
from cresset.autograd.node import Node, OperationNode, alias
from cresset.autograd.recipe import ONE_OUT, OUT, TENSOR
from cresset.autograd.record import live
from cresset.autograd.saved import overwritten, packers, save_output
from cresset.core.tensor import Tensor
from cresset.ops.meta import over

__all__ = ["Node", "disable_saved_tensors_hooks", "increment_version", "register_multi_grad_hook",
           "save_on_cpu", "saved_tensors_hooks"]


class saved_tensors_hooks:
    """Inside, `pack_hook(tensor)` is what is kept of each tensor that is saved for backward.

    `unpack_hook` gives backward a tensor of the same elements for it. The innermost hooks count.
    Both run under `no_grad`. The first must not write to its tensor (RuntimeError); the second must
    give a tensor (TypeError). Writes to a tensor after it was saved go unnoticed, unless
    `pack_hook` returned that very tensor. `compile`d functions run in immediate mode inside.

    >>> import cresset
    >>> x = cresset.ones(2, requires_grad=True)
    >>> with saved_tensors_hooks(lambda x: x.tolist(), lambda x: cresset.tensor(x)):
    ...     y = x.exp().sum()
    >>> y.backward()
    >>> x.grad
    tensor([2.7183, 2.7183])
    """

    def __init__(
        self, pack_hook: Callable[[Tensor], Any], unpack_hook: Callable[[Any], Tensor]
    ) -> None:
        self.pack_hook = pack_hook
        self.unpack_hook = unpack_hook

    def __enter__(self) -> None:
        if _disabled.message is not None:
            raise RuntimeError(_disabled.message)
        packers.setdefault(get_ident(), []).append(self)

    def __exit__(self, *problem: object) -> None:
        stack = packers[get_ident()]
        stack.pop()
        if not stack:
            del packers[get_ident()]

    def packed(self, x: Tensor, history: Any) -> Packed:
        """What is kept of a tensor whose node is `history`."""
        version = x.memory.version
        with no_grad():
            kept = self.pack_hook(x)
        if x.memory.version != version:
            raise RuntimeError(
                "saved_tensors_hooks: A saved tensor pack hook is modifying its input in place. "
                "Tensors provided as input to pack hook cannot be modified by in-place operations; "
                "write to a clone() of it"
            )
        return Packed(kept, self.unpack_hook, history, version if kept is x else None)

    def pack(self, node: Any) -> None:
        """Has the node of an operation keep what the hooks make of the tensors that it saved."""
        kept = list(node.saved)
        for k, (how, place) in enumerate(node.recipe.items):
            if how == TENSOR:
                edge = node.edges[node.op.tensor_places.index(place)]
                kept[k] = self.packed(kept[k][0], edge)
            elif how in (OUT, ONE_OUT):
                kept[k] = self.packed(over(*kept[k][:3]), None)
        node.saved = kept
        node.__class__ = PackedNode


class Packed(NamedTuple):
    """What hooks keep of a tensor; `version` is that of the tensor where they keep itself."""

    kept: Any
    unpack: Callable[[Any], Tensor]
    history: Any
    version: int | None

    def tensor(self, node: Node) -> Tensor:
        """The tensor, with the history that it had; `node` is whose it is."""
        if self.version is not None and self.kept.memory.version != self.version:
            raise overwritten(node, self.kept.memory, self.kept.layout, self.version)
        with no_grad():
            x = self.unpack(self.kept)
        if not isinstance(x, Tensor):
            raise TypeError(
                "saved_tensors_hooks: Output of saved tensor unpack_hook expected to be a Tensor "
                f"but got result of type {type(x).__name__}; return one"
            )
        x = alias(x)
        x.history = self.history
        return x


class PackedNode(OperationNode):
    """The node of an operation whose saved tensors are packed."""

    __slots__ = ()

    def apply(self, g):
        packed = self.saved
        if packed is not None:
            self.saved = [
                self._unpacked(x, how) if isinstance(x, Packed) else x
                for x, (how, _) in zip(packed, self.recipe.items)
            ]
        try:
            return super().apply(g)
        finally:
            self.saved = packed

    def _unpacked(self, packed: Packed, how: int) -> tuple:
        """A tensor in the form in which the recipe reads it."""
        x = packed.tensor(self)
        return (x, x.memory.version) if how == TENSOR else save_output(x)


class save_on_cpu(saved_tensors_hooks):
    """Inside, tensors that are saved for backward are kept in the memory of the processor.

    There all tensors are already, so nothing is changed. `pin_memory` and `device_type` speak of
    accelerators, and are accepted.

    >>> import cresset
    >>> x = cresset.ones(2, requires_grad=True)
    >>> with save_on_cpu(pin_memory=True):
    ...     y = x.exp().sum()
    >>> y.backward()
    """

    def __init__(self, pin_memory: bool = False, device_type: str = "cuda") -> None:
        super().__init__(lambda x: x.cpu(), lambda x: x)


class _Disabled(threading.local):
    message: str | None = None


_disabled = _Disabled()


@contextmanager
def disable_saved_tensors_hooks(error_message: str) -> Iterator[None]:
    """Inside, `saved_tensors_hooks` raise RuntimeError with this message, also those that are on.

    >>> with disable_saved_tensors_hooks("not here"), saved_tensors_hooks(id, id):
    ...     pass
    Traceback (most recent call last):
    RuntimeError: not here
    """
    if get_ident() in packers:
        raise RuntimeError(error_message)
    before, _disabled.message = _disabled.message, error_message
    try:
        yield
    finally:
        _disabled.message = before


def register_multi_grad_hook(
    tensors: Sequence[Tensor], fn: Callable[..., None], *, mode: str = "all"
) -> MultiHandle:
    """Calls `fn(gradients)` once a backward has computed the gradients of all of the tensors.

    They come as a list, with None for a tensor on which what is differentiated does not depend.
    With mode="any" it is `fn(gradient)`, with the first of them that is computed. Returns a handle
    whose `remove()` ends it. Raises ValueError for another mode, RuntimeError for a tensor that
    does not require gradients.

    >>> import cresset
    >>> x, y = (cresset.tensor(k, requires_grad=True) for k in (2.0, 3.0))
    >>> handle = register_multi_grad_hook([x, y], print)
    >>> (x * y).backward()
    [tensor(3.), tensor(2.)]
    """
    if mode not in ("all", "any"):
        raise ValueError(
            f"register_multi_grad_hook: Expects mode to be one of ('all', 'any') but got {mode}"
        )
    nodes = [live(x) for x in tensors]
    # By walk, the gradients that it has brought so far, and the places that it will still bring.
    arrived: dict[int, tuple[list[Tensor | None], set[int]]] = {}

    def hook_of(place: int) -> Callable[[Tensor], None]:
        def hook(g: Tensor) -> None:
            assert grad_mode.walk is not None
            walk, roots, useful = grad_mode.walk
            first = walk not in arrived
            if first:
                reached = reached_from(roots) if useful is None else useful
                awaited = {k for k, node in enumerate(nodes) if node in reached}
                arrived[walk] = [None] * len(nodes), awaited
            found, awaited = arrived[walk]
            found[place] = g
            awaited.discard(place)
            if not awaited:
                del arrived[walk]
            if mode == "any" and first:
                fn(g)
            elif mode == "all" and not awaited:
                fn(found)

        return hook

    return MultiHandle([x.register_hook(hook_of(k)) for k, x in enumerate(tensors)])


class MultiHandle:
    """What registering a hook on several tensors returns; `remove()` takes the hook away."""

    def __init__(self, handles: list[RemovableHandle]) -> None:
        self.handles = handles

    def remove(self) -> None:
        for handle in self.handles:
            handle.remove()

    def __enter__(self) -> MultiHandle:
        return self

    def __exit__(self, *problem: object) -> None:
        self.remove()


def increment_version(tensor: Tensor | Sequence[Tensor]) -> None:
    """Has autograd take tensors as written to, so that gradients that read them raise."""
    for x in [tensor] if isinstance(tensor, Tensor) else tensor:
        if x.memory.version is not None:
            x.memory.version += 1
