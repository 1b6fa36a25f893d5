"""Reading and writing single elements by index tensors: gather and scatter, take and put.

Of several writes to one place the last stays, or they are joined in their order: results are the
same every time.
"""

from __future__ import annotations

import math

from cresset.core import dtype as types
from cresset.core.families import required
from cresset.core.layout import Layout, broadcast_shapes
from cresset.core.tensor import Tensor
from cresset.kernels import index as kernels
from cresset.ops import dispatch
from cresset.ops.creation.tensors import filled
from cresset.ops.kinds import overwrite, special
from cresset.ops.operation import called, counted_as, method
from cresset.ops.out import with_out
from cresset.ops.pointwise.comparison import eq, where
from cresset.ops.pointwise.complex_numbers import conj, real
from cresset.ops.shapes.shape import canonical_dim, expand, reshape
from cresset.runtime.program import Program

__all__ = ["gather", "put", "scatter", "scatter_add", "scatter_reduce", "take", "take_along_dim",
           "unravel_index"]


# --- checks ---------------------------------------------------------------------------------------
def out_of_range(operation: str, sizes, negative=False, error=IndexError):
    """The function that raises the error of an index that its kernel found out of range.

    `negative` says whether indices count from the end below zero; PyTorch raises RuntimeError where
    an index stands for one element, and IndexError where it stands for more.
    """

    def explain(position, value, which, step):
        size = sizes[which]
        raise error(
            f"{operation}: index {value} is out of bounds for dimension with size {size}; it "
            f"stands at flat position {position} of the index tensor; need "
            f"{-size if negative else 0} <= index < {size}"
        )

    return explain


def check_index(operation: str, index: Layout, allowed=(types.int64, types.int32),
                error=RuntimeError):
    """Raise unless the layout is that of an index tensor."""
    if index.dtype not in allowed:
        raise error(
            f"{operation}: Expected dtype {' or '.join(d.name for d in allowed)} for index; got "
            f"{index.dtype}; convert with .long()"
        )


# --- gather ---------------------------------------------------------------------------------------
@method("gather")
@special(moves=True)
def gather(x: Tensor, dim, index: Tensor, *, sparse_grad=False):
    """out[i, j, k] = x[i, index[i, j, k], k] for dim 1, and so for any dim.

    `index` has as many dims as x, and is no larger than x except along `dim`.

    >>> import cresset
    >>> cresset.gather(cresset.tensor([[1, 2], [3, 4]]), 1, cresset.tensor([[0], [1]]))
    tensor([[1],
            [4]])
    """
    d = check_lines("gather", x, dim, index)
    out = Layout.packed(index.shape, x.dtype)
    launches, temporaries = (), ()
    if index.numel:
        launches, temporaries = kernels.gather(x, d, index, out, (1, 2, 0), 3)
    size = x.shape[d] if x.ndim else 1
    return Program("tt", (out,), tuple(launches), tuple(temporaries),
                   out_of_range("gather", (size,), error=RuntimeError))


def check_lines(name, x, dim, index):
    """The dim, checked with an index tensor that holds one position for each element."""
    d = canonical_dim(name, dim, x.ndim)
    if not index.numel:
        return d
    check_index(name, index)
    if max(index.ndim, 1) != max(x.ndim, 1):
        raise RuntimeError(
            f"{name}: Index tensor must have the same number of dimensions as input tensor; got "
            f"{index.ndim} and {x.ndim}; unsqueeze or reshape the index"
        )
    for k, (n, m) in enumerate(zip(index.shape or (1,), x.shape or (1,))):
        if k != d and n > m:
            raise RuntimeError(
                f"{name}: Size does not match at dimension {k} expected index {list(index.shape)} "
                f"to be no larger than self {list(x.shape)} apart from dimension {d}"
            )
    return d


@gather.gradient
def _gather_gradient(g, x_layout, dim, index):
    return scatter_add(g.new_zeros(x_layout.shape), dim, index, g), None


@method()
@with_out
def take_along_dim(input, indices, dim=None):
    """gather with x and indices that broadcast; without a dim, of the flattened tensor.

    Indices along a dim are taken modulo its size, as PyTorch takes them.

    >>> import cresset
    >>> x = cresset.tensor([[10, 30, 20]])
    >>> x.take_along_dim(x.argsort(dim=1), dim=1)
    tensor([[10, 20, 30]])
    """
    x = input
    if indices.layout.dtype is not types.int64:
        raise RuntimeError(
            f"take_along_dim: dtype of indices should be int64; got {indices.layout.dtype}; "
            "convert with .long()"
        )
    if dim is None:
        return gather(reshape(x, (-1,)), 0, reshape(indices, (-1,)))
    if x.layout.ndim != indices.layout.ndim:
        raise RuntimeError(
            "take_along_dim: input and indices should have the same number of dimensions; got "
            f"{x.layout.ndim} and {indices.layout.ndim}"
        )
    d = canonical_dim("take_along_dim", dim, x.layout.ndim)
    shape, places = list(x.layout.shape), list(indices.layout.shape)
    size, count = shape[d], places[d]
    shape[d] = places[d] = 1
    try:
        common = list(broadcast_shapes(shape, places))
    except ValueError as problem:
        raise RuntimeError(
            f"take_along_dim: input and indices do not broadcast beside dim {d}; {problem}; got "
            f"shapes {tuple(x.layout.shape)} and {tuple(indices.layout.shape)}"
        ) from None
    x = expand(x, (*common[:d], size, *common[d + 1 :]))
    if size:
        indices = indices.remainder(size)
    return gather(x, d, expand(indices, (*common[:d], count, *common[d + 1 :])))


# --- scatter --------------------------------------------------------------------------------------
@method("scatter_add")
@overwrite
def scatter_add(x: Tensor, dim, index: Tensor, src: Tensor):
    """x with x[i, index[i, j, k], k] += src[i, j, k] for dim 1; repeated places add up in order.

    >>> import cresset
    >>> cresset.zeros(3).scatter_add(0, cresset.tensor([0, 2, 2]), cresset.ones(3))
    tensor([1., 0., 2.])
    """
    return _line_write("scatter_add", "add", x, dim, index, src)


@scatter_add.gradient
def _scatter_add_gradient(g, dim, index, src_layout):
    return g, None, _gathered(g, dim, index, src_layout)


def _gathered(g, dim, index, src_layout):
    """What reached the entries of src that were written; zeros for those beyond the index."""
    from cresset.ops.neural.padding import pad

    if not index.layout.numel:
        return g.new_zeros(src_layout.shape)
    by_src = gather(g, dim, index)
    beyond = [n - m for n, m in zip(src_layout.shape, index.layout.shape)]
    if not any(beyond):
        return by_src
    return pad(by_src, [n for count in reversed(beyond) for n in (0, count)])


@called("scatter")
@overwrite
def scatter_put(x: Tensor, dim, index: Tensor, src: Tensor):
    """x with x[i, index[i, j, k], k] = src[i, j, k] for dim 1; of repeated places the last wins."""
    return _line_write("scatter", "put", x, dim, index, src)


@scatter_put.gradient
def _scatter_gradient(g, dim, index, src_layout):
    gone = expand(filled((), g.layout.dtype, 0, g.layout.device), index.layout.shape)
    return scatter_put(g, dim, index, gone), None, _gathered(g, dim, index, src_layout)


@called("scatter_reduce")
@overwrite
def scatter_combine(x: Tensor, dim, index: Tensor, src: Tensor, mode):
    """x with src multiplied into it, or the greater or lesser of both, at the indices."""
    return _line_write("scatter_reduce", mode, x, dim, index, src)


@scatter_combine.gradient
def _scatter_combine_gradient(g, x, dim, index, src, mode, out):
    by_x, by_src = combined_gradient(
        g, x, src, out, mode,
        lambda t: gather(t, dim, index),
        lambda base, t: scatter_add(base, dim, index, t),
        lambda base, t: scatter_combine(base, dim, index, t, mode),
    )
    return by_x, None, by_src


def _line_write(name, mode, x, dim, index, src):
    check_written_lines(name, x, dim, index, src)
    if not index.numel:
        return (lambda target, values, first_temporary: ((), ())), None
    d = canonical_dim(name, dim, x.ndim)
    part = src.restride(index.shape or (1,), src.strides or (1,))

    def writer(target, values, first_temporary):
        return kernels.scatter(target, d, index, part, values, first_temporary, mode)

    size = x.shape[d] if x.ndim else 1
    return writer, out_of_range(name, (size,), error=RuntimeError)


def check_written_lines(name, x, dim, index, src):
    """Raise unless a tensor of src's layout can be scattered into one of x's."""
    check_lines(name, x, dim, index)
    if src.dtype is not x.dtype:
        raise RuntimeError(
            f"{name}: Expected self.dtype to be equal to src.dtype; got {x.dtype} and {src.dtype}; "
            f"convert the source with .to({x.dtype})"
        )
    if index.numel and max(index.ndim, 1) != max(src.ndim, 1):
        raise RuntimeError(
            f"{name}: Index tensor must have the same number of dimensions as src tensor; got "
            f"{index.ndim} and {src.ndim}"
        )
    if index.numel and any(n > m for n, m in zip(index.shape, src.shape or (1,))):
        raise RuntimeError(
            f"{name}: Expected index {list(index.shape)} to be no larger size than src "
            f"{list(src.shape)}"
        )


@method()
@with_out
def scatter(input, dim, index, src=None, *, value=None, reduce=None):
    """x with x[i, index[i, j, k], k] = src[i, j, k] for dim 1; `src` may be a number.

    Of repeated places the last write stays. `reduce` is "add" or "multiply", to join with what is
    there. Raises RuntimeError where an index is out of range or the types differ.

    >>> import cresset
    >>> cresset.zeros(2, 3).scatter(1, cresset.tensor([[0], [2]]), 1.0)
    tensor([[1., 0., 0.],
            [0., 0., 1.]])
    """
    return _scatter(input, dim, index, src, value, reduce, lambda form: form)


def scatter_(input, dim, index, src=None, *, value=None, reduce=None):
    """scatter in place."""
    return _scatter(input, dim, index, src, value, reduce, lambda form: form.in_place)


def _scatter(x, dim, index, src, value, reduce, chosen):
    src = src if value is None else value
    if not isinstance(src, Tensor):
        number = filled((), x.layout.dtype, dispatch.freeze(src), x.layout.device)
        src = expand(number, tuple(index.layout.shape))
    if reduce is None:
        return chosen(scatter_put)(x, dim, index, src)
    if reduce == "add":
        return chosen(scatter_add)(x, dim, index, src)
    if reduce == "multiply":
        return chosen(scatter_combine)(x, dim, index, src, "multiply")
    raise RuntimeError(f"scatter: reduce argument must be either add or multiply; got {reduce!r}")


@method()
@with_out
@counted_as("scatter_reduce")
def scatter_reduce(input, dim, index, src, reduce, *, include_self=True):
    """x with the elements of `src` joined into it at the indices, as in `scatter`.

    `reduce` is "sum", "prod", "mean", "amax" or "amin". Without `include_self` what was there does
    not count where something is written.

    >>> import cresset
    >>> x, index = cresset.tensor([5.0, 1.0]), cresset.tensor([0, 1, 1])
    >>> x.scatter_reduce(0, index, cresset.tensor([3.0, 4.0, 2.0]), "amax")
    tensor([5., 4.])
    """
    return _scatter_reduce(input, dim, index, src, reduce, include_self, lambda form: form)


def scatter_reduce_(input, dim, index, src, reduce, *, include_self=True):
    """scatter_reduce in place."""
    return _scatter_reduce(input, dim, index, src, reduce, include_self, lambda f: f.in_place)


def _scatter_reduce(x, dim, index, src, reduce, include_self, chosen):
    check_written_lines("scatter_reduce", x.layout, dim, index.layout, src.layout)
    check_reduction("scatter_reduce", reduce, ("sum", *MODES), x.layout.dtype)
    if index.layout.numel and src.layout.ndim and src.layout.shape != index.layout.shape:
        src = src[tuple(slice(n) for n in index.layout.shape)]
    forms = [chosen(form) for form in (scatter_put, scatter_add, scatter_combine)]
    return reduce_into(x, dim, index, src, reduce, include_self, forms, scatter_add)


Tensor.scatter_ = scatter_
Tensor.scatter_reduce_ = scatter_reduce_


# --- reductions into a tensor ---------------------------------------------------------------------
# By the name of a reduction, the mode of the kernels that joins two values.
MODES = {"prod": "multiply", "mean": "add", "amax": "maximum", "amin": "minimum"}


def check_reduction(operation, reduce, allowed, d):
    """Raise unless `reduce` is one of those allowed, and possible for an element type."""
    if reduce not in allowed:
        raise RuntimeError(
            f"{operation}: reduce argument must be either {', '.join(allowed)}; got {reduce!r}"
        )
    if reduce == "mean":
        required(operation, "numbers", d)
    elif reduce in ("amax", "amin"):
        required(operation, "a real type", d)


def reduce_into(x, dim, index, src, reduce, include_self, forms, add):
    """x with src joined into it by forms (put, add, combine) of one kind of indexed write."""
    put, added, combined = forms
    d = src.layout.dtype
    if not include_self:
        start = filled((), d, _identity(reduce, d), x.layout.device)
        x = put(x, dim, index, expand(start, tuple(src.layout.shape)))
    if reduce in ("sum", "mean"):
        total = added(x, dim, index, src)
        if reduce == "sum":
            return total
        real = d.to_real()
        count = filled(tuple(x.layout.shape), real, int(include_self), x.layout.device)
        one = expand(filled((), real, 1, x.layout.device), tuple(src.layout.shape))
        count = add(count, dim, index, one).clamp(min=1)
        rounding = None if d.is_differentiable else "floor"
        form = total.div if added is add else total.div_
        return form(count, rounding_mode=rounding)
    return combined(x, dim, index, src, MODES[reduce])


def _identity(reduce, d):
    """The number that changes nothing in a reduction, as far as the type goes."""
    if reduce in ("sum", "mean", "prod"):
        return int(reduce == "prod")
    if d.is_floating_point:
        return -math.inf if reduce == "amax" else math.inf
    bits = 8 * d.itemsize - d.is_signed
    greatest = 1 if d is types.bool else (1 << bits) - 1
    least = -(1 << bits) if d.is_signed else 0
    return least if reduce == "amax" else greatest


def combined_gradient(g, x, src, out, mode, read, add, combine):
    """(gradient of x, of src) where src was joined into x at indices, with `out` as the result.

    `read` reads at the indices, `add` and `combine` write there.
    """
    if mode != "multiply":
        # All that are equal to the result share its gradient.
        hits, src_hits = eq(x, out).to(g.layout.dtype), eq(src, read(out)).to(g.layout.dtype)
        share = g / add(hits, src_hits)
        return share * hits, read(share) * src_hits
    ones = filled(tuple(x.layout.shape), x.layout.dtype, 1, x.layout.device)
    zero = eq(src, 0)
    # A factor of zero leaves the others' product, unless there is another zero.
    nonzero = src.masked_fill(zero, 1)
    zeros_there = read(add(x.new_zeros(x.layout.shape), zero.to(x.dtype)))
    others = read(g * conj(combine(x, nonzero))).masked_fill(real(zeros_there).gt(1), 0)
    by_src = where(zero, others, read(g * conj(out)) / conj(nonzero))
    return g * conj(combine(ones, src)), by_src


# --- elements by their flat positions -------------------------------------------------------------
@called("take")
@special(moves=True)
def flat_take(x: Tensor, index: Tensor):
    """x[index] for a vector x."""
    out = Layout.packed(index.shape, x.dtype)
    launches, temporaries = kernels.index(x, (index,), out, (1, 2, 0), 3)
    return Program("tt", (out,), tuple(launches), tuple(temporaries),
                   out_of_range("take", (x.numel,), negative=True))


@flat_take.gradient
def _flat_take_gradient(g, x_layout, index):
    base = g.new_zeros(x_layout.shape)
    return flat_put(base, index, g, True), None


@called("put")
@overwrite
def flat_put(x: Tensor, index: Tensor, source: Tensor, accumulate):
    """x with its elements at flat positions, a vector, replaced by those of a vector, or added to.

    In place x is to be contiguous.
    """

    def writer(target, values, first_temporary):
        line = target.restride((target.numel,), (1,))
        return kernels.index_put(line, (index,), source, values, first_temporary, accumulate)

    return writer, out_of_range("put", (x.numel,), negative=True)


@flat_put.gradient
def _flat_put_gradient(g, index, accumulate):
    by_x = g
    if not accumulate:
        by_x = flat_put(g, index, g.new_zeros(index.layout.shape), False)
    return by_x, None, flat_take(reshape(g, (-1,)), index)


@method()
@with_out
def take(input, index, *, axis=None):
    """The elements of x at flat positions, in the shape of `index`; negative ones from the end.

    With an `axis`, as the array API standard has it, the entries along that dim.

    Raises IndexError where a position is out of range, RuntimeError unless they are int64.

    >>> import cresset
    >>> cresset.take(cresset.tensor([[4, 3], [5, 1]]), cresset.tensor([0, -1]))
    tensor([4, 1])
    """
    if axis is not None:
        from cresset.ops.indexing.selecting import index_select

        return index_select(input, axis, index)
    check_index("take", index.layout, (types.int64,))
    return flat_take(reshape(input, (-1,)), index)


@method()
def put(input, index, source, accumulate=False):
    """A copy of x with the elements at flat positions replaced, or added to, by those of `source`.

    `index` and `source` have equally many elements; of repeated positions the last one stays.

    >>> import cresset
    >>> cresset.zeros(2, 2).put(cresset.tensor([0, 3]), cresset.tensor([1.0, 2.0]))
    tensor([[1., 0.],
            [0., 2.]])
    """
    return flat_put(input, *_putting(input, index, source), accumulate)


def put_(input, index, source, accumulate=False):
    """put in place."""
    x = input
    if x.layout.contiguous:
        return flat_put.in_place(x, *_putting(x, index, source), accumulate)
    return x.copy_(put(x, index, source, accumulate))


def _putting(x, index, source):
    """(index, source) of `put`, checked and flat."""
    check_index("put", index.layout, (types.int64,))
    if source.layout.dtype is not x.layout.dtype:
        raise RuntimeError(
            "put: self and source expected to have the same dtype; got "
            f"{x.layout.dtype} and {source.layout.dtype}"
        )
    if index.layout.numel != source.layout.numel:
        raise IndexError(
            "put: Expected source and index to have the same number of elements; got "
            f"{source.layout.numel} and {index.layout.numel}"
        )
    return reshape(index, (-1,)), reshape(source, (-1,))


def unravel_index(indices, shape):
    """The coordinates of flat positions in a tensor of a shape: one tensor for each dim.

    Positions are taken modulo the number of elements. Raises TypeError unless they are integers,
    ValueError where a size is negative.

    >>> import cresset
    >>> cresset.unravel_index(cresset.tensor([1, 5]), (2, 3))
    (tensor([0, 1]), tensor([1, 2]))
    """
    if not isinstance(indices, Tensor) or indices.layout.dtype.category != types.dtype.INTEGER:
        given = indices.layout.dtype if isinstance(indices, Tensor) else type(indices).__name__
        raise TypeError(f"unravel_index: expected 'indices' to be integer dtype; got {given}")
    sizes = (shape,) if isinstance(shape, int) else tuple(shape)
    if any(n < 0 for n in sizes):
        raise ValueError(f"unravel_index: 'shape' cannot have negative values; got {sizes}")
    positions, coordinates, step = indices.long(), [], 1
    for n in reversed(sizes):
        coordinates.append(positions.div(step, rounding_mode="floor").remainder(n))
        step *= n
    return tuple(reversed(coordinates))


Tensor.put_ = put_
