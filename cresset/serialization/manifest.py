"""The manifest: a Python value as JSON and back.

None, bools, finite numbers and text stand for themselves, and a list is a list. Everything else is
an object with one key, the kind of value: {"tuple": [...]}, {"dict": [[key, value], ...]},
{"tensor": {...}} and so on, as `Encoder` lists them.
"""

from __future__ import annotations

import base64
import math
from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import Any

import numpy

import cresset
from cresset import Tensor
from cresset.nn.parameter import Parameter
from cresset.serialization.storage import StorageReader, StorageWriter, dtype_name, dtype_named

_ARRAY_KINDS = "biufc"


class NotPlainError(TypeError):
    """A value is neither a tensor nor a plain Python value, or contains itself."""


class Encoder:
    """Makes JSON of a value; the memory of its tensors gathers in `storages`."""

    def __init__(self) -> None:
        self.storages = StorageWriter()
        self._open: set[int] = set()

    def encode(self, value: Any, place: str = "obj") -> Any:
        """The value as JSON; `place` is where it stands, for errors."""
        kind = type(value)
        if value is None or kind in (bool, int, str):
            return value
        if kind is float:
            return value if math.isfinite(value) else {"float": str(value)}
        if isinstance(value, Tensor):
            return self._tensor(value, place)
        if kind in (list, tuple, set, frozenset, dict, OrderedDict, Counter):
            return self._container(value, kind, place)
        if kind is complex:
            return {"complex": [self.encode(value.real), self.encode(value.imag)]}
        if kind is bytes:
            return {"bytes": base64.b64encode(value).decode()}
        if kind is cresset.Size:
            return {"size": list(value)}
        if isinstance(value, cresset.dtype):
            return {"dtype": dtype_name(value)}
        if isinstance(value, cresset.device):
            return {"device": str(value)}
        if isinstance(value, (numpy.ndarray, numpy.generic)):
            return self._array(value, place)
        raise NotPlainError(f"{place} is a {kind.__module__}.{kind.__qualname__}")

    def _container(self, value: Any, kind: type, place: str) -> Any:
        if id(value) in self._open:
            raise NotPlainError(f"{place} contains itself")
        self._open.add(id(value))
        if isinstance(value, dict):
            pairs = [
                [self.encode(key, f"a key of {place}"), self.encode(entry, f"{place}[{key!r}]")]
                for key, entry in value.items()
            ]
            encoded: Any = {kind.__name__: pairs}
            metadata = getattr(value, "_metadata", None)
            if metadata is not None:
                encoded["metadata"] = self.encode(metadata, f"{place}._metadata")
        else:
            entries = [self.encode(entry, f"{place}[{k}]") for k, entry in enumerate(value)]
            encoded = entries if kind is list else {kind.__name__: entries}
        self._open.discard(id(value))
        return encoded

    def _tensor(self, tensor: Tensor, place: str) -> Any:
        if tensor.device.type == "meta":
            raise NotPlainError(f"{place} is a meta tensor")
        record = self.storages.add(tensor)
        record["requires_grad"] = bool(tensor.requires_grad)
        return {"parameter" if isinstance(tensor, Parameter) else "tensor": record}

    def _array(self, value: Any, place: str) -> Any:
        array = numpy.asarray(value)
        if array.dtype.kind not in _ARRAY_KINDS:
            raise NotPlainError(f"{place} is a NumPy array of {array.dtype}")
        array = array.astype(array.dtype.newbyteorder("<"), copy=False)
        record = {
            "storage": self.storages.add_array(array),
            "dtype": array.dtype.str,
            "shape": list(array.shape),
        }
        return {"array" if isinstance(value, numpy.ndarray) else "scalar": record}


class Decoder:
    """Makes a value of JSON that `Encoder` made; RuntimeError for any other."""

    def __init__(self, storages: StorageReader) -> None:
        self._storages = storages
        self._kinds: dict[str, Callable[[Any], Any]] = {
            "float": self._float,
            "complex": self._complex,
            "bytes": self._bytes,
            "tuple": lambda entries: tuple(self._entries(entries)),
            "set": lambda entries: self._hashed(set, self._entries(entries)),
            "frozenset": lambda entries: self._hashed(frozenset, self._entries(entries)),
            "dict": lambda pairs: self._hashed(dict, self._pairs(pairs)),
            "OrderedDict": lambda pairs: self._hashed(OrderedDict, self._pairs(pairs)),
            "Counter": lambda pairs: Counter(self._hashed(dict, self._pairs(pairs))),
            "size": lambda entries: cresset.Size(self._entries(entries)),
            "dtype": dtype_named,
            "device": self._device,
            "tensor": self._tensor,
            "parameter": self._parameter,
            "array": self._array,
            "scalar": lambda record: self._array(record)[()],
        }

    def decode(self, node: Any) -> Any:
        """The value that a JSON node describes."""
        if isinstance(node, list):
            return [self.decode(entry) for entry in node]
        if not isinstance(node, dict):
            return node
        node = dict(node)
        metadata = node.pop("metadata", None)
        if len(node) == 1:
            ((kind, content),) = node.items()
            if kind in self._kinds:
                value = self._kinds[kind](content)
                if metadata is not None and isinstance(value, OrderedDict):
                    value._metadata = self.decode(metadata)
                return value
        raise self._damaged("a value", node)

    @staticmethod
    def _damaged(what: str, found: Any) -> RuntimeError:
        text = repr(found)
        text = text if len(text) < 80 else text[:77] + "..."
        return RuntimeError(f"load: the manifest is damaged: {what} is described as {text}")

    def _entries(self, nodes: Any) -> list[Any]:
        if not isinstance(nodes, list):
            raise self._damaged("a sequence", nodes)
        return [self.decode(node) for node in nodes]

    def _pairs(self, nodes: Any) -> list[tuple[Any, Any]]:
        if not isinstance(nodes, list) or not all(
            isinstance(node, list) and len(node) == 2 for node in nodes
        ):
            raise self._damaged("a dict", nodes)
        return [(self.decode(key), self.decode(value)) for key, value in nodes]

    def _hashed(self, make: Callable[[Any], Any], entries: list[Any]) -> Any:
        try:
            return make(entries)
        except TypeError:
            raise self._damaged("a key", entries) from None

    def _float(self, text: Any) -> float:
        if text not in ("nan", "inf", "-inf"):
            raise self._damaged("a number", text)
        return float(text)

    def _complex(self, nodes: Any) -> complex:
        parts = self._entries(nodes)
        if len(parts) != 2 or not all(isinstance(part, float) for part in parts):
            raise self._damaged("a complex number", nodes)
        return complex(*parts)

    def _bytes(self, text: Any) -> bytes:
        try:
            return base64.b64decode(text, validate=True)
        except (TypeError, ValueError):
            raise self._damaged("a bytes object", text) from None

    def _device(self, name: Any) -> Any:
        if not isinstance(name, str):
            raise self._damaged("a device", name)
        return cresset.device(name)

    def _tensor(self, record: Any) -> Tensor:
        tensor, requires_grad = self._leaf(record)
        return tensor.requires_grad_() if requires_grad else tensor

    def _parameter(self, record: Any) -> Parameter:
        tensor, requires_grad = self._leaf(record)
        return Parameter(tensor, requires_grad)

    def _leaf(self, record: Any) -> tuple[Tensor, bool]:
        fields = {"storage", "dtype", "shape", "strides", "offset", "requires_grad"}
        if not isinstance(record, dict) or set(record) != fields:
            raise self._damaged("a tensor", record)
        dtype = dtype_named(record["dtype"])
        tensor = self._storages.tensor(
            record["storage"], dtype, record["shape"], record["strides"], record["offset"]
        )
        return tensor, record["requires_grad"] is True

    def _array(self, record: Any) -> numpy.ndarray:
        if not isinstance(record, dict) or set(record) != {"storage", "dtype", "shape"}:
            raise self._damaged("an array", record)
        shape = record["shape"]
        if not isinstance(shape, list) or not all(type(n) is int and n >= 0 for n in shape):
            raise self._damaged("an array's shape", shape)
        try:
            dtype = numpy.dtype(str(record["dtype"]))
        except TypeError:
            raise self._damaged("an array's element type", record["dtype"]) from None
        if dtype.kind not in _ARRAY_KINDS:
            raise self._damaged("an array's element type", record["dtype"])
        self._storages.check_array(record["storage"], math.prod(shape) * dtype.itemsize)
        return self._storages.array(record["storage"], dtype, tuple(shape))
