"""Advanced indexing: x[...] and x[...] = y with index tensors, lists and masks."""

from __future__ import annotations

from cresset.core import dtype as types
from cresset.core.layout import Layout, broadcast_shapes
from cresset.core.tensor import Tensor
from cresset.kernels import index as kernels
from cresset.ops import dispatch
from cresset.ops.creation import tensor, zeros
from cresset.ops.gathering import nonzero, out_of_range
from cresset.ops.indexing import basic_index, freeze_index
from cresset.ops.kinds import overwrite, special
from cresset.ops.shape import expand
from cresset.runtime.program import Program

__all__ = ["index_put", "index_put_"]

class Indexed:
    """Operations x[i0, i1, ...] and their write, for one pattern of index tensors.

    A pattern is a string: "t" where an index tensor stands, "." where a dim is taken whole.
    """

    table: dict = {}

    @classmethod
    def of(cls, pattern):
        found = cls.table.get(pattern)
        if found is None:
            found = cls.table[pattern] = cls(pattern)
        return found

    def __init__(self, pattern):
        self.pattern = pattern
        count = pattern.count("t")
        names = ", ".join(f"i{k}: Tensor" for k in range(count))
        bare = ", ".join(f"i{k}" for k in range(count))
        scope: dict = {"read": self._read, "write": self._write}
        exec(f"def index(x: Tensor, {names}):\n    return read(x, {bare})\n"
             f"def index_put(x: Tensor, {names}, value: Tensor, accumulate):\n"
             f"    return write(x, ({bare},), value, accumulate)\n"
             f"def index_gradient(g, x_layout, {bare}):\n"
             f"    return read_gradient(g, x_layout, ({bare},))\n"
             f"def put_gradient(g, {bare}, accumulate, value_layout):\n"
             f"    return write_gradient(g, ({bare},), accumulate)\n", scope)
        scope["read_gradient"] = self._read_gradient
        scope["write_gradient"] = self._write_gradient
        self.read = special(scope["index"])
        self.read.gradient(scope["index_gradient"])
        self.write = overwrite(scope["index_put"])
        self.write.gradient(scope["put_gradient"])

    def _entries(self, indices):
        found = iter(indices)
        return [next(found) if c == "t" else None for c in self.pattern]

    def shape(self, x, indices):
        return kernels.indexed_shape(x.shape, self._entries(indices), indices[0].shape)

    def _sizes(self, x):
        return [n for n, c in zip(x.shape, self.pattern) if c == "t"]

    def _read(self, x, *indices):
        out = Layout.packed(tuple(self.shape(x, indices)), x.dtype)
        count = len(indices)
        values = (1, *range(2, 2 + count), 0)
        launches, temporaries = kernels.index(x, self._entries(indices), out, values, 2 + count)
        return Program("t" * (1 + count), (out,), tuple(launches), tuple(temporaries),
                       out_of_range("index", self._sizes(x)))

    def _write(self, x, indices, value, accumulate):
        def writer(target, values, first_temporary):
            return kernels.index_put(target, self._entries(indices), value, values,
                                     first_temporary, accumulate)

        return writer, out_of_range("index_put_", self._sizes(x))

    def _read_gradient(self, g, x_layout, indices):
        base = zeros(tuple(x_layout.shape), dtype=g.layout.dtype)
        return (self.write(base, *indices, g, True), *(None for _ in indices))

    def _write_gradient(self, g, indices, accumulate):
        by_value = self.read(g, *indices)
        if accumulate:
            by_x = g
        else:
            gone = zeros(tuple(by_value.layout.shape), dtype=g.layout.dtype)
            by_x = self.write(g, *indices, gone, False)
        return (by_x, *(None for _ in indices), by_value)


def _arranged(x, index):
    """(x with the basic parts of the index applied, index tensors by dim, pattern)."""
    items = list(index)
    out: list = []
    for i in items:
        if isinstance(i, (list, tuple, range)) or (
            not isinstance(i, Tensor) and hasattr(i, "__array_interface__")
        ):
            i = tensor(i)
            if not i.layout.numel and i.layout.dtype.is_floating_point:
                i = i.long()
        elif isinstance(i, bool):
            i = tensor(i)
        if isinstance(i, Tensor) and i.layout.dtype in (types.bool, types.uint8):
            out.append(("mask", i))
        elif isinstance(i, Tensor):
            if i.layout.dtype.category != 1:
                raise IndexError(
                    "index: tensors used as indices must be long, int, byte or bool tensors; got "
                    f"{i.layout.dtype}"
                )
            out.append(("index", i if i.layout.dtype is types.int64 else i.long()))
        else:
            out.append(("basic", i))
    consumed = sum(
        0 if i is None or i is Ellipsis else i.layout.ndim if kind == "mask" else 1
        for kind, i in out
    )
    if consumed > x.layout.ndim:
        raise IndexError(f"index: too many indices for tensor of dimension {x.layout.ndim}; got "
                         f"{consumed}")
    places = [k for k, (_, i) in enumerate(out) if i is Ellipsis]
    place = places[0] if places else len(out)
    rest = [("basic", slice(None))] * (x.layout.ndim - consumed)
    out[place : place + len(places)] = rest
    return _applied(x, out)


def _applied(x, items):
    basic: list = []
    tensors: list = []
    pattern: list = []
    dim = 0
    for kind, i in items:
        if kind == "mask":
            shape = x.layout.shape[dim : dim + i.layout.ndim]
            if tuple(shape) != tuple(i.layout.shape):
                raise IndexError(
                    f"index: The shape of the mask {list(i.layout.shape)} at index {dim} does not "
                    f"match the shape of the indexed tensor {list(x.layout.shape)}"
                )
            if not i.layout.ndim:
                basic.append(None)
                pattern.append("t")
                tensors.append(nonzero(i.unsqueeze(0), as_tuple=True)[0])
                continue
            tensors += nonzero(i, as_tuple=True)
            pattern += "t" * i.layout.ndim
            basic += [slice(None)] * i.layout.ndim
            dim += i.layout.ndim
        elif kind == "index":
            tensors.append(i)
            pattern.append("t")
            basic.append(slice(None))
            dim += 1
        else:
            basic.append(i)
            if i is None:
                pattern.append(".")
            else:
                dim += 1
                if not isinstance(i, int):
                    pattern.append(".")
    if any(i != slice(None) for i in basic):
        x = basic_index(x, freeze_index(tuple(basic)))
    try:
        shape = broadcast_shapes(*(t.layout.shape for t in tensors))
    except ValueError as problem:
        raise IndexError(
            "index: shape mismatch: indexing tensors could not be broadcast together with shapes "
            f"{', '.join(str(list(t.layout.shape)) for t in tensors)}; {problem}"
        ) from None
    tensors = [expand(t, shape) if tuple(t.layout.shape) != shape else t for t in tensors]
    return x, tensors, "".join(pattern).rstrip(".")


def advanced_get(x, index):
    """x at index tensors, lists and masks, mixed with basic indices; always a copy."""
    x, tensors, pattern = _arranged(x, index)
    return Indexed.of(pattern).read(x, *tensors)


def advanced_set(x, index, value):
    """Write at index tensors, lists and masks; nothing is written if any index is out of range."""
    target, tensors, pattern = _arranged(x, index)
    put(target, tensors, pattern, value, False)


def put(target, tensors, pattern, value, accumulate):
    """Write `value`, broadcast, at the places that the index tensors name."""
    form = Indexed.of(pattern)
    shape = tuple(form.shape(target.layout, [t.layout for t in tensors]))
    if not isinstance(value, Tensor):
        value = tensor(value, dtype=target.layout.dtype)
    if value.layout.dtype is not target.layout.dtype:
        value = value.to(target.layout.dtype)
    while value.layout.ndim > len(shape) and value.layout.shape[0] == 1:
        value = value.squeeze(0)
    if tuple(value.layout.shape) != shape:
        value = expand(value, shape)
    return form.write.in_place(target, *tensors, value, accumulate)


def index_put_(x, indices, values, accumulate=False):
    """x[indices] = values, or += with `accumulate`, in place."""
    target, tensors, pattern = _arranged(x, indices)
    put(target, tensors, pattern, values, accumulate)
    return x


def index_put(x, indices, values, accumulate=False):
    """A copy of x with `values` written, or added, at the indices."""
    return index_put_(x.clone(), indices, values, accumulate)


Tensor.index_put_ = index_put_
Tensor.index_put = index_put
dispatch.namespace["advanced_get"] = advanced_get
dispatch.namespace["advanced_set"] = advanced_set
