"""Reading PyTorch's checkpoints: the zip files of `torch.save`, without running what is in them.

Their values are pickled, and a pickle is a program. Here it runs with nothing to call but the
stand-ins below: they describe tensors, dtypes and containers, can be neither called to any effect
nor changed, and are made into real ones only after the pickle has ended. Objects of other classes,
where they are trusted, need real tensors at once.
"""

from __future__ import annotations

import io
import pickle
from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import Any, NoReturn

import cresset
from cresset import Tensor
from cresset.nn.parameter import Parameter
from cresset.serialization import objects
from cresset.serialization.archive import Archive
from cresset.serialization.storage import DTYPES, StorageReader, dtype_name, dtype_named

_STORAGE_DTYPES = {
    "BoolStorage": "bool",
    "ByteStorage": "uint8",
    "CharStorage": "int8",
    "ShortStorage": "int16",
    "IntStorage": "int32",
    "LongStorage": "int64",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "FloatStorage": "float32",
    "DoubleStorage": "float64",
    "ComplexFloatStorage": "complex64",
    "ComplexDoubleStorage": "complex128",
    "UntypedStorage": "uint8",
}


class _Fixed:
    """What a pickle may hold but not change."""

    __slots__ = ()

    def __setstate__(self, state: Any) -> NoReturn:
        raise pickle.UnpicklingError("the state of this object must not be set")


class _Named(_Fixed):
    """A dtype or the type of a storage, by name."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name


class _Constructor(_Fixed):
    """A function that a pickle may call; what it makes is a description or a plain container."""

    __slots__ = ("_make",)

    def __init__(self, make: Callable[..., Any]) -> None:
        self._make = make

    def __call__(self, *args: Any) -> Any:
        return self._make(*args)


class _Storage(_Fixed):
    """A storage: the name of its file, its dtype, where it was, and its number of elements."""

    __slots__ = ("count", "dtype", "key", "location")

    def __init__(self, identity: Any) -> None:
        _, kind, self.key, self.location, self.count = identity
        if not isinstance(kind, _Named) or kind.name not in _STORAGE_DTYPES:
            raise pickle.UnpicklingError(f"unknown type of storage {kind!r}")
        self.dtype = _STORAGE_DTYPES[kind.name]


class _Described(_Fixed):
    """A tensor that is still to be made."""

    __slots__ = ("dtype", "offset", "parameter", "requires_grad", "shape", "storage", "strides")

    def __init__(
        self, storage: Any, offset: Any, shape: Any, strides: Any, requires_grad: Any, dtype: Any
    ) -> None:
        if not isinstance(storage, _Storage):
            raise pickle.UnpicklingError("a tensor without a storage")
        self.storage = storage
        self.dtype = dtype or storage.dtype
        self.shape = tuple(shape)
        self.strides = tuple(strides)
        self.offset = offset
        self.requires_grad = requires_grad is True
        self.parameter = False


class _Device(_Fixed):
    """A device, by name."""

    __slots__ = ("name",)

    def __init__(self, kind: Any, index: Any = None) -> None:
        self.name = str(kind) if index is None else f"{kind}:{index}"


def _described_v2(storage: Any, offset: Any, shape: Any, strides: Any, *rest: Any) -> _Described:
    return _Described(storage, offset, shape, strides, rest[0] if rest else False, None)


def _described_v3(
    storage: Any, offset: Any, shape: Any, strides: Any, requires_grad: Any, hooks: Any, dtype: Any,
    *rest: Any,
) -> _Described:
    if not isinstance(dtype, _Named):
        raise pickle.UnpicklingError("a tensor without a dtype")
    return _Described(storage, offset, shape, strides, requires_grad, dtype.name)


def _described_parameter(tensor: Any, requires_grad: Any, hooks: Any = None) -> _Described:
    if not isinstance(tensor, _Described):
        raise pickle.UnpicklingError("a parameter without a tensor")
    parameter = _Described(
        tensor.storage, tensor.offset, tensor.shape, tensor.strides, requires_grad, tensor.dtype
    )
    parameter.parameter = True
    return parameter


def _encoded(text: Any, encoding: Any) -> bytes:
    if not isinstance(text, str) or encoding != "latin1":
        raise pickle.UnpicklingError(f"bytes in the encoding {encoding!r}")
    return text.encode("latin1")


class _Multiset(dict):
    """A Counter that is still to be made."""


_ALLOWED: dict[tuple[str, str], _Constructor] = {
    ("torch._utils", "_rebuild_tensor"): _Constructor(_described_v2),
    ("torch._utils", "_rebuild_tensor_v2"): _Constructor(_described_v2),
    ("torch._utils", "_rebuild_tensor_v3"): _Constructor(_described_v3),
    ("torch._utils", "_rebuild_parameter"): _Constructor(_described_parameter),
    ("torch", "Size"): _Constructor(tuple),
    ("torch", "device"): _Constructor(_Device),
    ("collections", "OrderedDict"): _Constructor(OrderedDict),
    ("collections", "Counter"): _Constructor(_Multiset),
    ("collections", "defaultdict"): _Constructor(lambda *args: dict(*args[1:])),
    ("_codecs", "encode"): _Constructor(_encoded),
    ("builtins", "set"): _Constructor(set),
    ("builtins", "frozenset"): _Constructor(frozenset),
    ("builtins", "complex"): _Constructor(complex),
    ("__builtin__", "set"): _Constructor(set),
    ("__builtin__", "frozenset"): _Constructor(frozenset),
    ("__builtin__", "complex"): _Constructor(complex),
}


class _Unpickler(pickle.Unpickler):
    """Runs a pickle that may call the stand-ins alone."""

    def find_class(self, module: str, name: str) -> Any:
        if module in ("torch", "torch.storage") and name in _STORAGE_DTYPES:
            return _Named(name)
        if module == "torch" and name in DTYPES:
            return _Named(name)
        if (module, name) in _ALLOWED:
            return _ALLOWED[module, name]
        raise objects.refusal(f"{module}.{name}")

    def persistent_load(self, identity: Any) -> _Storage:
        return _storage(identity)


def _storage(identity: Any) -> _Storage:
    if not isinstance(identity, tuple) or len(identity) != 5 or identity[0] != "storage":
        raise pickle.UnpicklingError(f"unknown reference {identity!r}")
    return _Storage(identity)


def _restored(content: bytes, builder: _Builder, trusting: bool) -> Any:
    """The value of a pickle with objects of classes that are trusted, or all if `trusting`."""
    def made(describe: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *args: builder.build(describe(*map(named, args)))

    def named(value: Any) -> Any:
        return _Named(dtype_name(value)) if isinstance(value, cresset.dtype) else value

    ours = {
        "torch._utils._rebuild_tensor": made(_described_v2),
        "torch._utils._rebuild_tensor_v2": made(_described_v2),
        "torch._utils._rebuild_tensor_v3": made(_described_v3),
        "torch._utils._rebuild_parameter": lambda x, wanted, hooks: Parameter(x, wanted),
        "torch.Size": cresset.Size,
        "torch.device": cresset.device,
    }

    class Unpickler(pickle.Unpickler if trusting else objects.Guarded):  # type: ignore[misc]
        def find_class(self, module: str, name: str) -> Any:
            full = objects.full_name(module, name)
            if module in ("torch", "torch.storage") and name in _STORAGE_DTYPES:
                return _Named(name)
            if module == "torch" and name in DTYPES:
                return dtype_named(name)
            if full in ours:
                return ours[full]
            if module.partition(".")[0] == "torch":
                raise objects.RefusedError(
                    f"load: the checkpoint holds a {full} of PyTorch's own, which only PyTorch can "
                    "restore; there, save its state_dict() instead"
                )
            if not objects.trusted(full, trusting):
                raise objects.refusal(full)
            return super().find_class(module, name)

        def persistent_load(self, identity: Any) -> _Storage:
            return _storage(identity)

    return Unpickler(io.BytesIO(content)).load()


def load(archive: Archive, map_location: Any, trusting: bool) -> Any:
    """The value in an archive of PyTorch's."""
    pickles = [name for name in archive.names() if name.endswith("/data.pkl")]
    if len(pickles) != 1:
        raise RuntimeError(
            "load: the file is no checkpoint: a zip file without a manifest; need one that `save` "
            "or `torch.save` wrote"
        )
    folder = pickles[0].removesuffix("data.pkl")
    if folder + "byteorder" in archive and archive.read(folder + "byteorder") != b"little":
        raise RuntimeError("load: the checkpoint is big-endian; need a little-endian one")
    try:
        content, builder = archive.read(pickles[0]), _Builder(archive, folder, map_location)
        if trusting or objects.get_safe_globals():
            return _restored(content, builder, trusting)
        return builder.build(_Unpickler(io.BytesIO(content)).load())
    except (objects.RefusedError, RuntimeError):
        raise
    except RecursionError:
        raise RuntimeError("load: the checkpoint is damaged: values lie too deep in it") from None
    except Exception as error:
        raise RuntimeError(
            f"load: the checkpoint is damaged: {type(error).__name__}: {error}"
        ) from error


class _Builder:
    """Makes the real values of what a pickle described."""

    def __init__(self, archive: Archive, folder: str, map_location: Any) -> None:
        self._archive = archive
        names = [name for name in archive.names() if name.startswith(folder + "data/")]
        self._numbers = {name.removeprefix(folder + "data/"): k for k, name in enumerate(names)}
        self._names = names
        self._storages = StorageReader(archive, names, map_location)
        # By identity, so that what was shared stays shared and is made once.
        self._made: dict[int, tuple[Any, Any]] = {}

    def build(self, value: Any) -> Any:
        if id(value) in self._made:
            return self._made[id(value)][1]
        made = self._make(value)
        self._made[id(value)] = (value, made)
        return made

    def _make(self, value: Any) -> Any:
        kind = type(value)
        if value is None or kind in (bool, int, float, complex, str, bytes):
            return value
        if kind is _Described:
            return self._tensor(value)
        if kind is _Named:
            return dtype_named(value.name)
        if kind is _Device:
            return cresset.device(value.name)
        if kind is tuple:
            return tuple(map(self.build, value))
        if kind in (set, frozenset):
            return kind(map(self.build, value))
        if kind is list:
            return self._fill([], value)
        if kind is _Multiset:
            return Counter({self.build(k): self.build(v) for k, v in dict.items(value)})
        if kind in (dict, OrderedDict):
            return self._fill(kind(), value)
        raise RuntimeError(f"load: the checkpoint is damaged: it holds a {kind.__name__}")

    def _fill(self, made: Any, value: Any) -> Any:
        """Fills a container that may hold itself, and is therefore known before it is full."""
        self._made[id(value)] = (value, made)
        if isinstance(made, list):
            made += map(self.build, value)
            return made
        for key, entry in type(made).items(value):
            made[self.build(key)] = self.build(entry)
        metadata = getattr(value, "__dict__", {}).get("_metadata")
        if metadata is not None:
            made._metadata = self.build(metadata)
        return made

    def _tensor(self, described: _Described) -> Tensor:
        storage = described.storage
        number = self._numbers.get(storage.key)
        if number is None:
            raise RuntimeError(
                f"load: the checkpoint is damaged: there is no storage {storage.key!r} in it"
            )
        size = dtype_named(storage.dtype).itemsize
        if type(storage.count) is not int or storage.count < 0:
            raise RuntimeError(f"load: a storage has {storage.count!r} elements")
        self._archive.check_size(self._names[number], storage.count * size)
        tensor = self._storages.tensor(
            number,
            dtype_named(described.dtype),
            described.shape,
            described.strides,
            described.offset,
            str(storage.location),
        )
        if described.parameter:
            return Parameter(tensor, described.requires_grad)
        return tensor.requires_grad_() if described.requires_grad else tensor
