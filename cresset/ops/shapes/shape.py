"""Views: shapes, strides and offsets over the same storage."""

from __future__ import annotations

from functools import lru_cache
from math import prod

from cresset.core.dtype import dtype as DType
from cresset.core.layout import Layout
from cresset.core.memory_format import contiguous_format
from cresset.core.tensor import Tensor
from cresset.ops.arguments import whole
from cresset.ops.dispatch import plans
from cresset.ops.kinds import view
from cresset.ops.naming import renamed
from cresset.ops.operation import called, method

__all__ = ["as_strided", "broadcast_to", "diagonal", "flatten", "moveaxis", "movedim", "narrow",
           "permute", "ravel", "reshape", "select", "squeeze", "swapaxes", "swapdims", "t",
           "transpose", "unflatten", "unfold", "unsqueeze"]


def canonical_dim(operation: str, dim: int, rank: int) -> int:
    """The dim counted from 0; raises IndexError outside of [-rank, rank - 1]."""
    least = max(rank, 1)
    if not isinstance(dim, int):
        raise TypeError(f"{operation}: dim must be an integer; got {dim!r}")
    if not -least <= dim < least:
        raise IndexError(
            f"{operation}: Dimension out of range (expected to be in range of "
            f"[{-least}, {least - 1}], but got {dim}); the tensor has {rank} dims"
        )
    return dim % least


@view
def permute(x, dims):
    """x with its dims in the order `dims`.

    >>> import cresset
    >>> cresset.permute(cresset.zeros(2, 3), (1, 0)).shape
    torch.Size([3, 2])
    """
    order = [canonical_dim("permute", d, x.ndim) for d in dims] if len(dims) == x.ndim else dims
    if sorted(order) != list(range(x.ndim)):
        raise RuntimeError(
            f"permute: dims must name each dim once; got {tuple(dims)} for {x.ndim} dims"
        )
    return [x.shape[d] for d in order], [x.strides[d] for d in order], 0


@permute.gradient
def _permute_gradient(g, dims):
    rank = len(dims)
    inverse = sorted(range(rank), key=lambda k: dims[k] % rank)
    return permute(g, tuple(inverse))


def _permute_method(x, *order, dims=None):
    """x with its dims in the order given."""
    return permute(x, _shape_of(order) if dims is None else tuple(dims))


Tensor.permute = _permute_method


@method("transpose", "swapdims")
@view
def transpose(x, dim0, dim1):
    """x with two dims exchanged."""
    a, b = canonical_dim("transpose", dim0, x.ndim), canonical_dim("transpose", dim1, x.ndim)
    shape, strides = list(x.shape), list(x.strides)
    if shape:
        shape[a], shape[b] = shape[b], shape[a]
        strides[a], strides[b] = strides[b], strides[a]
    return shape, strides, 0


@transpose.gradient
def _transpose_gradient(g, dim0, dim1):
    return transpose(g, dim0, dim1)


swapdims = transpose


@method()
def swapaxes(input, axis0, axis1):
    """`transpose`, by NumPy's name."""
    return transpose(input, axis0, axis1)


@method("t")
@view
def t(x):
    """A matrix transposed; vectors and scalars as they are."""
    if x.ndim > 2:
        raise RuntimeError(f"t: expects a tensor with <= 2 dimensions; got {x.ndim}; use transpose")
    return x.shape[::-1], x.strides[::-1], 0


@t.gradient
def _t_gradient(g):
    return t(g)


@called("permute")
@view
def reverse_dims(x):
    """All dims in reverse order."""
    return x.shape[::-1], x.strides[::-1], 0


@called("transpose")
@view
def matrix_transpose(x):
    """The last two dims exchanged."""
    if x.ndim < 2:
        raise RuntimeError(f"mT: needs a tensor with at least 2 dims; got {x.ndim}")
    order = [*range(x.ndim - 2), x.ndim - 1, x.ndim - 2]
    return [x.shape[d] for d in order], [x.strides[d] for d in order], 0


def view_strides(x: Layout, shape) -> tuple | None:
    """Strides that show x in another shape, or None where that takes a copy."""
    if x.contiguous or x.numel == 0:
        return Layout.packed(shape, x.dtype).strides
    strides = []
    # Walk both shapes from the right, matching runs of old dims that are joined in memory.
    old = [(n, s) for n, s in zip(x.shape, x.strides) if n != 1]
    new = list(shape)
    k = len(new) - 1
    while old:
        run, step = old.pop()
        base = step
        while old and old[-1][1] == run * step:
            run *= old.pop()[0]
        while k >= 0 and (run > 1 or new[k] == 1):
            if run % new[k]:
                return None
            strides.append(base)
            base *= new[k]
            run //= new[k]
            k -= 1
        if run != 1:
            return None
    strides += [strides[-1] if strides else 1] * (k + 1)
    return tuple(reversed(strides))


def infer_shape(operation: str, shape, numel: int) -> tuple:
    """The shape with its one -1 filled in; raises RuntimeError when the counts do not match."""
    shape = tuple(whole(operation, "size", n) for n in shape)
    unknown = [k for k, n in enumerate(shape) if n == -1]
    if len(unknown) > 1:
        raise RuntimeError(f"{operation}: only one dimension can be inferred; got {shape}; need "
                           "one -1 at most")
    if any(n < -1 for n in shape):
        raise RuntimeError(
            f"{operation}: invalid shape dimension in {shape}; need sizes >= 0 or -1"
        )
    if unknown:
        rest = prod(n for n in shape if n != -1)
        if rest == 0:
            raise RuntimeError(
                f"{operation}: cannot reshape tensor of {numel} elements into shape {list(shape)} "
                "because the unspecified dimension size -1 can be any value"
            )
        given, shape = shape, tuple(numel // rest if n == -1 else n for n in shape)
    else:
        given = shape
    if prod(shape) != numel:
        raise RuntimeError(
            f"{operation}: shape '{list(given)}' is invalid for input of size {numel}; "
            "need the same number of elements"
        )
    return shape


@called("view")
@view
def view_as_shape(x, shape):
    """x's elements in another shape, without a copy."""
    shape = infer_shape("view", shape, x.numel)
    strides = view_strides(x, shape)
    if strides is None:
        raise RuntimeError(
            f"view: view size is not compatible with input tensor's size and stride; got shape "
            f"{tuple(x.shape)} with strides {x.strides} for {shape}; at least one dimension spans "
            "across two subspaces that are not joined in memory; use .reshape(...) instead"
        )
    return shape, strides, 0


@view_as_shape.gradient
def _view_gradient(g, x_layout):
    return reshape(g, x_layout.shape)


def _shape_of(shape) -> tuple:
    """The shape from `f(2, 3)` or `f((2, 3))`; TypeError for `f()` and what is neither."""
    if len(shape) == 1 and not isinstance(shape[0], int):
        try:
            return tuple(shape[0])
        except TypeError:
            pass
    elif shape:
        return shape
    raise renamed(TypeError(
        f"view(): needs integers, or a tuple of them; got {repr(shape[0]) if shape else 'none'}; "
        "give such as 2, 3 or (2, 3)"
    ))


@called("view")
@view
def view_as_type(x, dtype):
    """The same bytes as elements of another type; where its size differs the last dim changes."""
    old, new = x.dtype.itemsize, dtype.itemsize
    if old == new:
        return x.shape, x.strides, 0, dtype
    fits = x.ndim and x.strides[-1] == 1
    if new > old:
        times = new // old
        fits = fits and not x.shape[-1] % times and not any(s % times for s in x.strides[:-1])
    if not fits:
        raise RuntimeError(
            f"view: {x.dtype} cannot be seen as {dtype}, whose elements are of {new} bytes and not "
            f"{old}; got shape {tuple(x.shape)} with strides {x.strides}; need a last dim of "
            "stride 1 that holds whole elements, like all other strides; use .contiguous()"
        )
    if new > old:
        return (
            (*x.shape[:-1], x.shape[-1] // times), (*(s // times for s in x.strides[:-1]), 1), 0,
            dtype,
        )
    times = old // new
    return (*x.shape[:-1], x.shape[-1] * times), (*(s * times for s in x.strides[:-1]), 1), 0, dtype


def _view_method(x, *shape, dtype=None, size=None):
    """The same elements in another shape, or the same bytes as another type; never copied.

    Another type's elements have no gradient. Raises RuntimeError where a view cannot be.

    >>> import cresset
    >>> cresset.arange(6).view(2, -1)
    tensor([[0, 1, 2],
            [3, 4, 5]])
    >>> cresset.tensor([1.0]).view(cresset.int32)
    tensor([1065353216], dtype=torch.int32)
    """
    if len(shape) == 1 and isinstance(shape[0], DType):
        (dtype,) = shape
    if dtype is None:
        return view_as_shape(x, _shape_of(shape) if size is None else tuple(size))
    if dtype is x.layout.dtype:
        return view_as_shape(x, x.layout.shape)
    if (x.ptr - x.memory.ptr) % dtype.itemsize:
        raise RuntimeError(
            f"view: the first element does not lie on a multiple of {dtype.itemsize} bytes in its "
            f"storage, as {dtype} needs it; use .clone()"
        )
    return view_as_type(x.detach(), dtype)


def reshape(input, shape, *, copy=None):
    """The same elements in another shape: a view where possible, else a copy.

    `copy` True always copies, False never: ValueError where a copy would be needed.
    """
    if not copy and type(shape) is tuple and (view_as_shape.op, input.layout, shape) in plans:
        return view_as_shape(input, shape)
    given, shape = shape, infer_shape("reshape", shape, input.layout.numel)
    fits = view_strides(input.layout, shape) is not None
    if copy is False and not fits:
        raise ValueError(
            f"reshape: got copy=False; strides {input.layout.strides} have no view of shape "
            f"{shape}; leave copy out"
        )
    if copy or not fits:
        input = input.clone(memory_format=contiguous_format)
    elif type(given) is tuple and all(type(n) is int for n in given):
        # As it was given, -1 and all: so the next call finds the plan without counting.
        shape = given
    return view_as_shape(input, shape)


def _reshape_method(x, *sizes, shape=None):
    """The same elements in another shape: a view where possible, else a copy."""
    return reshape(x, _shape_of(sizes) if shape is None else shape)


Tensor.view = _view_method
Tensor.reshape = _reshape_method


@method()
def view_as(x, other):
    """x viewed in the shape of another tensor."""
    return view_as_shape(x, other.layout.shape)


@method()
def reshape_as(x, other):
    """x reshaped to the shape of another tensor."""
    return reshape(x, other.layout.shape)


@method("narrow")
@view
def narrow(x, dim, start, length):
    """The `length` entries of a dim from `start` on."""
    if x.ndim == 0:
        raise RuntimeError("narrow: cannot be applied to a 0-dim tensor")
    d = canonical_dim("narrow", dim, x.ndim)
    size = x.shape[d]
    if not -size <= start <= size:
        raise IndexError(f"narrow: start out of range (expected to be in range of [{-size}, {size}]"
                         f", but got {start}) of dim {d}")
    begin = start + size if start < 0 else start
    if length < 0 or begin > size - length:
        raise RuntimeError(f"narrow: start ({start}) + length ({length}) exceeds dimension size "
                           f"({size}) of dim {d}; need start + length <= {size}")
    return (*x.shape[:d], length, *x.shape[d + 1 :]), x.strides, begin * x.strides[d]


@method("select")
@view
def select(x, dim, index):
    """The entry `index` of a dim, which goes."""
    if x.ndim == 0:
        raise IndexError("select: cannot be applied to a 0-dim tensor")
    d = canonical_dim("select", dim, x.ndim)
    size = x.shape[d]
    if not -size <= index < size:
        raise IndexError(
            f"select: index {index} is out of range for dim {d} with size {size}; "
            f"need -{size} <= index < {size}"
        )
    shape, strides = list(x.shape), list(x.strides)
    del shape[d], strides[d]
    return shape, strides, (index % size) * x.strides[d]


@method("unsqueeze")
@view
def unsqueeze(x, dim):
    """x with a new dim of size 1 before `dim`."""
    d = canonical_dim("unsqueeze", dim, x.ndim + 1)
    shape, strides = list(x.shape), list(x.strides)
    step = shape[d] * strides[d] if d < x.ndim else 1
    shape.insert(d, 1)
    strides.insert(d, step)
    return shape, strides, 0


@unsqueeze.gradient
def _unsqueeze_gradient(g, dim):
    return squeeze(g, dim)


@method("squeeze")
@view
def squeeze(x, dim=None):
    """x without its dims of size 1: all of them, or those among `dim`."""
    if dim is None:
        dims = list(range(x.ndim))
    else:
        dims = [canonical_dim("squeeze", d, x.ndim)
                for d in ((dim,) if isinstance(dim, int) else dim)]
        if len(set(dims)) < len(dims):
            raise RuntimeError(f"squeeze: a dim appears multiple times in the list of dims {dim}")
    keep = [d for d in range(x.ndim) if x.shape[d] != 1 or d not in dims]
    return [x.shape[d] for d in keep], [x.strides[d] for d in keep], 0


@squeeze.gradient
def _squeeze_gradient(g, x_layout):
    return reshape(g, x_layout.shape)


@view
def expand(x, size):
    """x with dims of size 1 (and new ones in front) repeated without a copy; -1 keeps a size.

    >>> import cresset
    >>> cresset.tensor([[1], [2]]).expand(2, 3).stride()
    (1, 0)
    """
    size = tuple(whole("expand", "size", n) for n in size)
    pad = len(size) - x.ndim
    if pad < 0:
        raise RuntimeError(
            f"expand: the number of sizes provided ({len(size)}) must be greater or equal to the "
            f"number of dimensions in the tensor ({x.ndim}); got {size} for shape {tuple(x.shape)}"
        )
    sizes, strides = [], []
    for k, n in enumerate(size):
        own = x.shape[k - pad] if k >= pad else 1
        if n < -1 or n == -1 and k < pad:
            raise RuntimeError(f"expand: {n} is not allowed as the size of dim {k}; got {size}")
        if n not in (-1, own) and own != 1:
            raise RuntimeError(
                f"expand: the expanded size ({n}) must match the existing size ({own}) at "
                f"non-singleton dimension {k}; got {size} for shape {tuple(x.shape)}; only dims of "
                "size 1 can grow; use repeat() to copy others"
            )
        n = own if n == -1 else n
        sizes.append(n)
        strides.append(0 if k < pad or own == 1 and n != 1 else x.strides[k - pad])
    return sizes, strides, 0


def _expand_method(x, *shape, size=None):
    """x with dims of size 1 repeated without a copy."""
    return expand(x, _shape_of(shape) if size is None else tuple(size))


@method()
def expand_as(x, other):
    """x expanded to the shape of another tensor."""
    return expand(x, other.layout.shape)


Tensor.expand = _expand_method


def broadcast_to(input, size):
    """input expanded to a shape."""
    return expand(input, tuple(size))


Tensor.broadcast_to = broadcast_to


@called("as_strided")
@view
def as_strided_layout(x, size, stride, shift, reach):
    """The storage seen with any sizes and strides; `shift` is from x's first element."""
    if len(size) != len(stride):
        raise RuntimeError(
            f"as_strided: mismatch in length of strides and shape; got {size} and {stride}"
        )
    if any(s < 0 for s in stride):
        raise RuntimeError(f"as_strided: negative strides are not supported; got {stride}")
    low, high = reach
    end = shift + Layout.of(tuple(size), tuple(stride), x.dtype).reach()
    if shift < low or end > high and prod(size) > 0:
        raise RuntimeError(
            f"as_strided: sizes {size} and strides {stride} reach outside of the storage; they end "
            f"at element {end - low}, the storage has {high - low}; need sizes, strides and an "
            "offset that end within it"
        )
    return size, stride, shift


def as_strided(input, size, stride, storage_offset=None):
    """The storage of input seen with any sizes and strides, from `storage_offset` or its own.

    Raises RuntimeError where an element would lie outside of the storage.
    """
    item = input.layout.dtype.itemsize
    own = (input.ptr - input.memory.ptr) // item
    reach = (-own, input.memory.nbytes // item - own)
    shift = 0 if storage_offset is None else storage_offset - own
    return as_strided_layout(input, tuple(size), tuple(stride), shift, reach)


Tensor.as_strided = as_strided


def flatten(input, start_dim=0, end_dim=-1):
    """The dims start_dim..end_dim as one.

    >>> import cresset
    >>> cresset.zeros(2, 3, 4).flatten(1).shape
    torch.Size([2, 12])
    """
    shape = _flattened(tuple(input.layout.shape), start_dim, end_dim)
    return input if shape is None else reshape(input, shape)


@lru_cache(1 << 12)
def _flattened(shape, start_dim, end_dim):
    """The shape with the dims start_dim..end_dim as one; None where that is one dim already."""
    first = canonical_dim("flatten", start_dim, len(shape))
    last = canonical_dim("flatten", end_dim, len(shape))
    if not shape:
        return (1,)
    if first > last:
        raise RuntimeError(
            f"flatten: start_dim cannot come after end_dim; got {start_dim} and {end_dim}; swap "
            "them"
        )
    if first == last:
        return None
    return (*shape[:first], prod(shape[first : last + 1]), *shape[last + 1 :])


def unflatten(input, dim, sizes):
    """The dim split into several of the given sizes."""
    shape = input.layout.shape
    d = canonical_dim("unflatten", dim, len(shape))
    if not isinstance(sizes, (tuple, list)):
        raise TypeError(f"unflatten: sizes must be a tuple of integers; got {sizes!r}")
    if not sizes:
        raise RuntimeError("unflatten: sizes must be non-empty; got none; give one or more")
    sizes = infer_shape("unflatten", sizes, shape[d])
    return reshape(input, (*shape[:d], *sizes, *shape[d + 1 :]))


Tensor.flatten = flatten
Tensor.unflatten = unflatten


def ravel(input):
    """x as one dim."""
    return reshape(input, (-1,))


Tensor.ravel = ravel


@method("diagonal")
@view
def diagonal(x, offset=0, dim1=0, dim2=1):
    """The diagonal of two dims, as a last dim; `offset` above it, or below if negative."""
    a, b = canonical_dim("diagonal", dim1, x.ndim), canonical_dim("diagonal", dim2, x.ndim)
    if a == b:
        raise RuntimeError(f"diagonal: dimensions cannot be identical {dim1}, {dim2}")
    down, right = max(-offset, 0), max(offset, 0)
    length = max(0, min(x.shape[a] - down, x.shape[b] - right))
    shape = [n for d, n in enumerate(x.shape) if d not in (a, b)] + [length]
    strides = [s for d, s in enumerate(x.strides) if d not in (a, b)]
    strides.append(x.strides[a] + x.strides[b])
    return shape, strides, down * x.strides[a] + right * x.strides[b] if length else 0


@method("unfold")
@view
def unfold(x, dimension, size, step):
    """Windows of `size` entries along a dim, `step` apart; the window is a new last dim.

    >>> import cresset
    >>> cresset.arange(5).unfold(0, 3, 2)
    tensor([[0, 1, 2],
            [2, 3, 4]])
    """
    d = canonical_dim("unfold", dimension, x.ndim)
    length = x.shape[d] if x.ndim else 1
    if not 0 <= size <= length:
        raise RuntimeError(
            f"unfold: maximum size for tensor at dimension {d} is {length} but size is {size}; "
            f"need a window of {length} at most"
        )
    if step <= 0:
        raise RuntimeError(f"unfold: step is {step} but must be > 0")
    shape, strides = list(x.shape), list(x.strides)
    step_stride = strides[d] if x.ndim else 1
    if x.ndim:
        shape[d] = (length - size) // step + 1
        strides[d] = step_stride * step
    return [*shape, size], [*strides, step_stride], 0


def movedim(input, source, destination):
    """The dims `source` moved to the places `destination`, the others in order."""
    rank = input.layout.ndim
    if isinstance(source, int) is not isinstance(destination, int):
        raise TypeError(
            f"movedim(): got {source!r} and {destination!r}; need two dims, or two tuples of dims"
        )
    source = [source] if isinstance(source, int) else source
    destination = [destination] if isinstance(destination, int) else destination
    source = [canonical_dim("movedim", d, rank) for d in source]
    destination = [canonical_dim("movedim", d, rank) for d in destination]
    for name, dims in (("source", source), ("destination", destination)):
        if len(set(dims)) < len(dims) or len(dims) != len(source):
            raise RuntimeError(f"movedim: repeated dim, or not as many as there are in the other, "
                               f"in `{name}` ({dims})")
    order = [d for d in range(rank) if d not in source]
    for place, d in sorted(zip(destination, source)):
        order.insert(place, d)
    return permute(input, tuple(order))


moveaxis = Tensor.movedim = Tensor.moveaxis = movedim


def _size(x, dim=None):
    """The shape, or the size of one dim."""
    if dim is None:
        return x.layout.shape
    return x.layout.shape[canonical_dim("size", dim, x.layout.ndim)]


Tensor.size = _size
Tensor.T = property(lambda x: reverse_dims(x), doc="All dims in reverse order.")
Tensor.mT = property(lambda x: matrix_transpose(x), doc="The last two dims exchanged.")
