"""Objects of any class in a checkpoint, such as whole modules: pickled, their memory beside.

A pickle is a program. One is run where the caller trusts the file, by `weights_only=False`, or the
classes in it, by `add_safe_globals`; nothing else that it names is found then.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Iterable
from typing import Any, ClassVar, NoReturn

import cresset
from cresset import Tensor
from cresset.ops.exchange.pickling import rebuilt
from cresset.serialization.storage import StorageReader, StorageWriter, reach

_STORAGE = type(cresset.empty(0).memory)

# What our own pickles of tensors and containers name, and may in any file.
_PLAIN = {
    "_codecs.encode",
    "builtins.complex",
    "builtins.frozenset",
    "builtins.set",
    "collections.Counter",
    "collections.OrderedDict",
    "collections.defaultdict",
    "cresset.core.device.device",
    "cresset.core.dtype.named",
    "cresset.core.layout.Size",
    "cresset.core.storage.MetaStorage",
    "cresset.core.tensor.Tensor",
    "cresset.nn.parameter.Parameter",
    "cresset.nn.registry.Registry",
}
_REBUILT = f"{rebuilt.__module__}.{rebuilt.__name__}"

# The classes and functions that the user trusts, by full name.
_trusted: dict[str, Any] = {}


def add_safe_globals(safe_globals: Iterable[Any]) -> None:
    """Lets `load` restore objects of these classes, and call these functions, from any file.

    An entry is a class or function, or a pair of one and the full name that files have for it.
    """
    for entry in safe_globals:
        found, name = entry if isinstance(entry, tuple) else (entry, None)
        _trusted[name or f"{found.__module__}.{found.__qualname__}"] = found


def get_safe_globals() -> list[Any]:
    """The classes and functions that `add_safe_globals` was given."""
    return list(_trusted.values())


def clear_safe_globals() -> None:
    """Forgets what `add_safe_globals` was given."""
    _trusted.clear()


class safe_globals:
    """A block in which `add_safe_globals` holds for some classes and functions.

    >>> from fractions import Fraction
    >>> file = io.BytesIO()
    >>> cresset.save({"rate": Fraction(1, 3)}, file)
    >>> with safe_globals([Fraction]):
    ...     cresset.load(file)
    {'rate': Fraction(1, 3)}
    """

    def __init__(self, safe_globals: list[Any]) -> None:
        self.safe_globals = safe_globals

    def __enter__(self) -> None:
        self._before = dict(_trusted)
        add_safe_globals(self.safe_globals)

    def __exit__(self, *problem: Any) -> None:
        clear_safe_globals()
        _trusted.update(self._before)


def trusted(full_name: str, trusting: bool) -> bool:
    """Whether a pickle may name a class or function."""
    return trusting or full_name in _PLAIN or full_name in _trusted


def full_name(module: str, name: str) -> str:
    """What a pickle names; those before protocol 3 have Python 2's names."""
    return f"{module.replace('__builtin__', 'builtins')}.{name}"


class RefusedError(pickle.UnpicklingError):
    """A pickle names what is not trusted, or cannot be restored."""


def refusal(full_name: str) -> RefusedError:
    """The error for what a pickle names and nobody trusts."""
    return RefusedError(
        f"load: the checkpoint asks for {full_name}, which only running code could restore; need "
        "tensors and plain Python values, such as a state_dict(); for a file that you trust pass "
        "weights_only=False, or name its classes with serialization.add_safe_globals([...])"
    )


def pickled(value: Any, storages: StorageWriter, pickle_module: Any, protocol: int) -> bytes:
    """A value as a pickle that names the storages of its tensors by number."""
    numbers: dict[int, int] = {}

    class Pickler(pickle_module.Pickler):
        def persistent_id(self, value: Any) -> Any:
            if type(value) is not _STORAGE:
                return None
            if id(value) not in numbers:
                numbers[id(value)] = storages.add_storage(value)
            return "storage", numbers[id(value)]

    file = io.BytesIO()
    Pickler(file, protocol).dump(value)
    return file.getvalue()


class Guarded(pickle._Unpickler):
    """An unpickler that sets the state of objects of trusted classes alone.

    Elsewhere a state is attributes by name; no slots, in which tensors have their addresses.
    """

    dispatch: ClassVar[Any] = dict(pickle._Unpickler.dispatch)

    def load_build(self: Any) -> None:
        state, kind = self.stack[-1], type(self.stack[-2])
        if not isinstance(state, dict) and kind not in _trusted.values():
            _damaged(f"the state of a {kind.__name__} is a {type(state).__name__}")
        pickle._Unpickler.dispatch[pickle.BUILD[0]](self)

    dispatch[pickle.BUILD[0]] = load_build


def unpickled(
    content: bytes, storages: StorageReader, trusting: bool, pickle_module: Any, options: Any
) -> Any:
    """The value of a pickle that `pickled` made."""
    class Unpickler(pickle_module.Unpickler if trusting else Guarded):  # type: ignore[misc]
        def find_class(self, module: str, name: str) -> Any:
            full = full_name(module, name)
            if full == _REBUILT:
                return _rebuilt
            if not trusted(full, trusting):
                raise refusal(full)
            return _trusted.get(full) or super().find_class(module, name)

        def persistent_load(self, identity: Any) -> Any:
            if not isinstance(identity, tuple) or len(identity) != 2 or identity[0] != "storage":
                _damaged(f"it refers to {identity!r}")
            return storages.storage(identity[1])

    return Unpickler(io.BytesIO(content), **options).load()


def _rebuilt(
    kind: Any, storage: Any, dtype: Any, offset: Any, shape: Any, strides: Any, *rest: Any
) -> Tensor:
    """`rebuilt`, where the tensor lies within its storage."""
    numbers = [offset, *shape, *strides]
    if (
        not isinstance(storage, _STORAGE)
        or not all(type(x) is int and 0 <= x < 2**63 for x in numbers)
        or len(shape) != len(strides)
        or (0 not in shape and (offset + reach(shape, strides)) * dtype.itemsize > storage.nbytes)
    ):
        _damaged(f"a tensor has shape {tuple(shape)}, strides {tuple(strides)}, offset {offset}")
    return rebuilt(kind, storage, dtype, offset, shape, strides, *rest)


def _damaged(what: str) -> NoReturn:
    raise RuntimeError(f"load: the checkpoint is damaged: {what}")
