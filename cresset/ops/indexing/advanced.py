"""Advanced indexing: x[...] and x[...] = y with index tensors, lists and masks.

The basic parts of an index give a view. What is left is one *entry* for each dim of that view: None
where the dim is taken whole, an index tensor, or a mask, which stands for as many dims as it has. A
mask becomes the index tensors of its true elements, unless it is alone: then selecting and filling
do without.
"""

from __future__ import annotations

from functools import cache

from cresset.core import dtype as types
from cresset.core.caller import warn
from cresset.core.layout import Layout, broadcast_shapes, expand_strides
from cresset.core.tensor import Tensor
from cresset.kernels import index as kernels
from cresset.ops import dispatch
from cresset.ops.creation.counted import arange
from cresset.ops.creation.tensors import filled, tensor
from cresset.ops.indexing.basic import (
    basic_index,
    fewer_dims,
    left_over,
    number_for,
    part,
    too_many,
    write,
)
from cresset.ops.indexing.gathering import out_of_range
from cresset.ops.indexing.masks import counted, indexed_by_mask, nonzero
from cresset.ops.kinds import overwrite, special
from cresset.ops.pointwise.comparison import masked_fill_
from cresset.runtime.program import Program

__all__ = ["index_put", "index_put_"]

MASKS = (types.bool, types.uint8)
NUMBERS = {bool, int, float}
EVERYTHING = ("slice", None, None, None)
LONGEST_SEQUENCE = 32  # a list from this length on is one index, whatever it holds


# --- operations -----------------------------------------------------------------------------------
class Indexed:
    """Operations x[i0, i1, ...] and their write, for one pattern of index tensors.

    A pattern is a string: "t" where an index tensor stands, "." where a dim is taken whole. The
    index tensors broadcast, and the written value does to the shape that is read.
    """

    def __init__(self, pattern):
        self.pattern = pattern
        count = pattern.count("t")
        names = ", ".join(f"i{k}: Tensor" for k in range(count))
        bare = ", ".join(f"i{k}" for k in range(count))
        scope: dict = {"read": self._read, "write": self._write}
        exec(f"def index(x: Tensor, {names}):\n    return read(x, ({bare},))\n"
             f"def index_put(x: Tensor, {names}, value: Tensor, accumulate):\n"
             f"    return write(x, ({bare},), value, accumulate)\n"
             f"def index_gradient(g, x_layout, {bare}):\n"
             f"    return read_gradient(g, x_layout, ({bare},))\n"
             f"def put_gradient(g, {bare}, accumulate):\n"
             f"    return write_gradient(g, ({bare},), accumulate)\n", scope)
        scope["read_gradient"] = self._read_gradient
        scope["write_gradient"] = self._write_gradient
        self.read = special(scope["index"], moves=True)
        self.read.gradient(scope["index_gradient"])
        self.write = overwrite(scope["index_put"])
        self.write.gradient(scope["put_gradient"])
        for name in ("read", "write"):
            getattr(self, name).op.path = f"indexing.advanced.indexed({pattern!r}).{name}"

    def _entries(self, x, indices):
        """The index tensors' layouts by dim, expanded to one shape; that shape; the sizes."""
        shape = _common_shape(indices)
        expanded = iter([
            i.restride(shape, expand_strides(i.shape, i.strides, shape)) for i in indices
        ])
        entries = [next(expanded) if c == "t" else None for c in self.pattern]
        sizes = [n for n, c in zip(x.shape, self.pattern) if c == "t"]
        if 0 in sizes and 0 not in shape:
            raise IndexError(
                "index: index is out of bounds for dimension with size 0; got indices of shape "
                f"{list(shape)} into shape {list(x.shape)}; need no indices where there is nothing"
            )
        return entries, shape, sizes

    def _read(self, x, indices):
        entries, space, sizes = self._entries(x, indices)
        out = Layout.packed(kernels.indexed_shape(x.shape, entries, space), x.dtype)
        count = len(indices)
        values = (1, *range(2, 2 + count), 0)
        launches, temporaries = kernels.index(x, entries, out, values, 2 + count)
        return Program("t" * (1 + count), (out,), tuple(launches), tuple(temporaries),
                       out_of_range("index", sizes, negative=True))

    def _write(self, x, indices, value, accumulate):
        entries, space, sizes = self._entries(x, indices)
        shape = kernels.indexed_shape(x.shape, entries, space)
        if value.dtype is not x.dtype:
            raise RuntimeError(
                "index_put: Index put requires the source and destination dtypes match; got "
                f"{x.dtype.name} for the destination and {value.dtype.name} for the source; "
                f"convert the source with .to({x.dtype})"
            )
        if not _fits(value.shape, shape):
            raise RuntimeError(
                f"index_put: shape mismatch: value tensor of shape {list(value.shape)} cannot be "
                f"broadcast to indexing result of shape {list(shape)}"
            )
        value = value.restride(shape, expand_strides(value.shape, value.strides, shape))

        def writer(target, values, first_temporary):
            return kernels.index_put(target, entries, value, values, first_temporary, accumulate)

        return writer, out_of_range("index_put", sizes, negative=True)

    def _read_gradient(self, g, x_layout, indices):
        base = g.new_zeros(x_layout.shape)
        return (self.write(base, *indices, g, True), *(None for _ in indices))

    def _write_gradient(self, g, indices, accumulate):
        zero = filled((), g.layout.dtype, 0, g.layout.device)
        by_x = g if accumulate else self.write(g, *indices, zero, False)
        return (by_x, *(None for _ in indices), self.read(g, *indices))


indexed = cache(Indexed)


def _common_shape(indices):
    try:
        return broadcast_shapes(*(i.shape for i in indices))
    except ValueError as problem:
        raise IndexError(
            "index: shape mismatch: indexing tensors could not be broadcast together with shapes "
            f"{', '.join(str(list(i.shape)) for i in indices)}; {problem}; need "
            "equal sizes or 1 in every dim"
        ) from None


def _fits(shape, target) -> bool:
    """Whether a shape broadcasts to another one."""
    return len(shape) <= len(target) and all(
        n in (1, m) for n, m in zip(reversed(shape), reversed(target))
    )


# --- the parts of an index ------------------------------------------------------------------------
def _divided(x, index):
    """An index into x as (basic index, entries for the dims of the view that it gives)."""
    items = [_part(i) for i in (index if type(index) is tuple else _whole(index))]
    if any(isinstance(i, Tensor) and i.layout.dtype is types.uint8 for i in items):
        warn("indexing with dtype torch.uint8 is now deprecated, please use a dtype torch.bool "
             "instead")
    consumed = sum(_dims_of(i) for i in items)
    if consumed > x.layout.ndim:
        raise too_many(x.layout, consumed)
    basic: list = []
    entries: list = []
    for place, i in enumerate(items):
        if i is Ellipsis:
            rest = left_over(x.layout, items, place, consumed)
            basic += [EVERYTHING] * rest
            entries += [None] * rest
        elif isinstance(i, Tensor):
            # A mask without dims stands for a new dim, of size 1 or 0.
            basic += [EVERYTHING] * _dims_of(i) or [None]
            entries.append(i)
        else:
            basic.append(i)
            if type(i) is not int:
                entries.append(None)
    return tuple(basic), entries


def _dims_of(item) -> int:
    """How many dims of the tensor a part of an index takes up."""
    if item is None or item is Ellipsis:
        return 0
    return item.layout.ndim if isinstance(item, Tensor) and _is_mask(item) else 1


def _is_mask(i) -> bool:
    return i.layout.dtype in MASKS


def _whole(index):
    """An index that is no tuple as a tuple; a list that cannot be one index stands for one."""
    if isinstance(index, (list, range)) and len(index) < LONGEST_SEQUENCE and any(
        i is None or i is Ellipsis or isinstance(i, (Tensor, slice, list, tuple, range))
        or hasattr(i, "__array_interface__") and getattr(i, "shape", ())
        for i in index
    ):
        warn("Using a non-tuple sequence for multidimensional indexing is deprecated; use "
             "x[tuple(seq)] instead of x[seq]")
        return index
    return (index,)


def _part(i):
    """A part of an index: an int, a frozen slice, None, `...`, a mask, or an index tensor."""
    if i is None or i is Ellipsis or type(i) is int:
        return i
    if isinstance(i, slice):
        return "slice", *(_bound(b) for b in (i.start, i.stop, i.step))
    if isinstance(i, bool):
        return tensor(i, device="cpu")
    if isinstance(i, Tensor):
        d, rank = i.layout.dtype, i.layout.ndim
        if not rank and d.category == types.dtype.INTEGER and d is not types.uint8:
            return int(i.item())
        if d not in (types.int64, types.int32, *MASKS):
            raise IndexError(
                "index: tensors used as indices must be long, int, byte or bool tensors; got "
                f"{d}; convert with .long()"
            )
        return i
    if isinstance(i, (list, tuple, range)) or hasattr(i, "__array_interface__") and i.shape:
        return _from_sequence(i)
    if hasattr(i, "__array_interface__") and i.dtype.kind == "b":
        return tensor(bool(i), device="cpu")
    if hasattr(i, "__index__"):
        return i.__index__()
    if isinstance(i, (str, bytes)):
        raise TypeError(f"index: invalid data type {type(i).__name__!r}; got {i!r}; need "
                        "integers, slices, tensors or masks")
    raise IndexError(
        "index: only integers, slices (`:`), ellipsis (`...`), None and long or byte Variables are "
        f"valid indices (got {type(i).__name__})"
    )


def _bound(b):
    """A bound of a slice as a Python integer."""
    if b is None or type(b) is int:
        return b
    if not hasattr(b, "__index__"):
        raise TypeError(
            "index: slice indices must be integers or None or have an __index__ method; got "
            f"{type(b).__name__}"
        )
    return b.__index__()


def _from_sequence(i) -> Tensor:
    """A list, a range or an array as a mask or an index tensor."""
    if isinstance(i, range):
        return arange(i.start, i.stop, i.step, device="cpu")
    try:
        made = tensor(i, device="cpu")
    except ValueError as problem:
        if "'str'" not in str(problem):
            raise
        raise TypeError(f"index: {problem}") from None
    return made if _is_mask(made) or made.layout.dtype is types.int64 else made.long()


def _check_mask(mask, layout, dim):
    shape = layout.shape[dim : dim + mask.layout.ndim]
    if tuple(shape) != tuple(mask.layout.shape):
        raise IndexError(
            f"index: The shape of the mask {list(mask.layout.shape)} at index {dim} does not match "
            f"the shape of the indexed tensor {list(layout.shape)} at index {dim}; need a mask of "
            "the shape of the dims that it stands for"
        )


def _resolved(x, entries):
    """(index tensors, pattern): masks as the coordinates of what they select."""
    tensors: list = []
    pattern = ""
    for i in entries:
        if i is None:
            pattern += "."
        elif not _is_mask(i):
            pattern += "t"
            tensors.append(i)
        else:
            if not i.layout.ndim:
                i = i.unsqueeze(0)
            _check_mask(i, x.layout, len(pattern))
            pattern += "t" * i.layout.ndim
            tensors += nonzero(i, as_tuple=True)
    if x.layout.device == "meta":
        # The indices of a meta tensor may be on the cpu.
        tensors = [i.to(device="meta") for i in tensors]
    return tensors, pattern.rstrip(".")


def _lone_mask(entries):
    """(the dim where it starts, the mask) if a mask with dims is the only entry, else None."""
    found = [(k, i) for k, i in enumerate(entries) if i is not None]
    if len(found) == 1 and _is_mask(found[0][1]) and found[0][1].layout.ndim:
        return found[0]
    return None


# --- reading and writing --------------------------------------------------------------------------
def advanced_get(x, index):
    """x at index tensors, lists and masks, mixed with basic indices; a copy where there are any."""
    if isinstance(index, Tensor) and index.layout.ndim and index.layout.dtype is types.int64 and (
        x.layout.ndim and index.layout.device == x.layout.device
    ):
        return indexed("t").read(x, index)
    basic, entries = _divided(x, index)
    if all(i is None for i in entries):
        return basic_index(x, basic)
    x = _viewed(x, basic)
    lone = _lone_mask(entries)
    if lone is not None and lone[1].layout.ndim == x.layout.ndim:
        _check_mask(lone[1], x.layout, 0)
        mask = lone[1].bool()
        return indexed_by_mask(x, mask, *counted(mask))
    tensors, pattern = _resolved(x, entries)
    return indexed(pattern).read(x, *tensors)


def _viewed(x, basic):
    return basic_index(x, basic) if any(i != EVERYTHING for i in basic) else x


def advanced_set(x, index, value):
    """Write at index tensors, lists and masks; nothing is written if any index is out of range.

    A number is converted to x's type, and so is a tensor of one element where a mask is alone.
    """
    if index is False:
        return
    alone = isinstance(index, Tensor) and index.layout.device == x.layout.device
    if alone and type(value) in NUMBERS and index.layout.dtype is types.bool and (
        index.layout.ndim and index.layout.shape == x.layout.shape
    ):
        masked_fill_(x, index, value)
        return
    if alone and index.layout.dtype is types.int64 and index.layout.ndim and x.layout.ndim:
        entries = [index]
    else:
        basic, entries = _divided(x, None if index is True else index)
        if all(i is None for i in entries):
            write(part(x, basic, value), value)
            return
        if any(i != EVERYTHING for i in basic):
            x = part(x, basic, value)
    if not isinstance(value, Tensor):
        value = filled((), x.layout.dtype, dispatch.freeze(number_for(x, value)), x.layout.device)
    put(x, entries, fewer_dims(value, 0), False)


def put(x, entries, value, accumulate):
    """Write the tensor `value`, broadcast, at the places of x that the entries name."""
    lone = None if accumulate or value.layout.numel != 1 else _lone_mask(entries)
    if lone is not None:
        masked_fill_(x, _widened(lone, x), value.view(()))
    else:
        tensors, pattern = _resolved(x, entries)
        indexed(pattern).write.in_place(x, *tensors, value, accumulate)


def _widened(lone, x):
    """A mask of the dims of x from a dim on, in a shape that broadcasts to x's."""
    dim, mask = lone
    _check_mask(mask, x.layout, dim)
    if x.layout.device == "meta":
        mask = mask.to(device="meta")
    behind = x.layout.ndim - dim - mask.layout.ndim
    return mask.view((*mask.layout.shape, *[1] * behind)) if behind else mask


def index_put_(input, indices, values, accumulate=False):
    """input[indices] = values, or += with `accumulate`, in place.

    `indices` is a tuple of index tensors and masks for the first dims. Where indices repeat, the
    last of the values stays, or they add up in their order. Raises IndexError where an index is out
    of range; nothing is written then.

    >>> import cresset
    >>> x = cresset.zeros(3)
    >>> x.index_put_((cresset.tensor([0, 0, 2]),), cresset.ones(3), accumulate=True)
    tensor([2., 0., 1.])
    """
    basic, entries = _checked(input, indices, values)
    put(_viewed(input, basic), entries, values, accumulate)
    return input


def index_put(input, indices, values, accumulate=False):
    """A copy of input with `values` written, or added, at the indices; see `index_put_`."""
    basic, entries = _checked(input, indices, values)
    made = input.clone()
    put(_viewed(made, basic), entries, values, accumulate)
    return made


def _checked(x, indices, values):
    """The index tensors of `index_put` as a basic index and entries."""
    if not isinstance(indices, (tuple, list)) or not indices:
        raise TypeError(
            f"index_put: argument 'indices' must be a tuple of tensors; got {indices!r}"
        )
    for k, i in enumerate(indices):
        if not isinstance(i, Tensor):
            raise TypeError(
                f"index_put: expected Tensor as element {k} of 'indices'; got {type(i).__name__}"
            )
    if not isinstance(values, Tensor):
        raise TypeError(
            f"index_put: argument 'values' must be Tensor; got {type(values).__name__}; "
            "make one with cresset.tensor(...)"
        )
    return _divided(x, tuple(
        i.view(1) if not i.layout.ndim and not _is_mask(i) else i for i in indices
    ))


Tensor.index_put_ = index_put_
Tensor.index_put = index_put
dispatch.namespace["advanced_get"] = advanced_get
dispatch.namespace["advanced_set"] = advanced_set
