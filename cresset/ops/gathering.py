"""Reading and writing by index tensors: gather, scatter, embedding, x[indices]."""

from __future__ import annotations

from cresset.core import dtype as types
from cresset.core.layout import Layout, broadcast_shapes
from cresset.core.tensor import Tensor
from cresset.kernels import compaction as kernels_compaction
from cresset.kernels import index as kernels
from cresset.ops.creation import tensor, zeros
from cresset.ops.kinds import overwrite, special
from cresset.ops.operation import called, method
from cresset.ops.shape import canonical_dim, expand, reshape
from cresset.runtime.program import Program

__all__ = ["argwhere", "embedding", "gather", "index_add", "index_copy", "index_fill",
           "index_select", "masked_scatter", "masked_select", "nonzero", "one_hot",
           "scatter", "scatter_add", "take_along_dim"]


def out_of_range(operation: str, sizes):
    """The function that raises the error of an index that its kernel found out of range."""

    def explain(position, value, which):
        size = sizes[which]
        raise IndexError(
            f"{operation}: index {value} is out of bounds for dimension with size {size}; it "
            f"stands at flat position {position} of the index tensor; need 0 <= index < {size}"
        )

    return explain


def _check_index(operation: str, index: Layout):
    if index.dtype not in (types.int64, types.int32):
        raise RuntimeError(
            f"{operation}: Expected dtype int64 for index; got {index.dtype}; convert with .long()"
        )


@method("index_select")
@special
def index_select(x: Tensor, dim, index: Tensor):
    """The entries of a dim that a vector of indices names, in its order.

    Raises IndexError where an index is outside of [0, size).

    >>> import cresset
    >>> cresset.index_select(cresset.tensor([5, 6, 7]), 0, cresset.tensor([2, 0]))
    tensor([7, 5])
    """
    _check_index("index_select", index)
    d = canonical_dim("index_select", dim, x.ndim)
    if index.ndim > 1:
        raise IndexError(
            f"index_select: Index is supposed to be a vector; got {tuple(index.shape)}"
        )
    shape = list(x.shape)
    if shape:
        shape[d] = index.numel
    out = Layout.packed(tuple(shape), x.dtype)
    launches, temporaries = kernels.index_select(x, d, index, out, (1, 2, 0), 3)
    size = x.shape[d] if x.ndim else 1
    return Program("tt", (out,), tuple(launches), tuple(temporaries),
                   out_of_range("index_select", (size,)))


@index_select.gradient
def _index_select_gradient(g, x_layout, dim, index):
    base = zeros(tuple(x_layout.shape), dtype=g.layout.dtype)
    return index_add(base, dim, index, g), None


@method("index_add")
@overwrite
def index_add(x: Tensor, dim, index: Tensor, source: Tensor):
    """x with source's entries along a dim added at the indices; repeated ones add up in order."""
    return _index_write("index_add", "add", x, dim, index, source)


@index_add.gradient
def _index_add_gradient(g, dim, index):
    return g, None, index_select(g, dim, index)


@method("index_copy")
@overwrite
def index_copy(x: Tensor, dim, index: Tensor, source: Tensor):
    """x with its entries at the indices along a dim replaced by source's."""
    return _index_write("index_copy", "put", x, dim, index, source)


@index_copy.gradient
def _index_copy_gradient(g, dim, index):
    shape = list(g.layout.shape)
    shape[canonical_dim("index_copy", dim, len(shape))] = index.layout.numel
    gone = zeros(tuple(shape), dtype=g.layout.dtype)
    return index_copy(g, dim, index, gone), None, index_select(g, dim, index)


def _index_write(name, mode, x, dim, index, source):
    _check_index(name, index)
    d = canonical_dim(name, dim, x.ndim)
    expected = list(x.shape)
    if expected:
        expected[d] = index.numel
    if tuple(source.shape) != tuple(expected):
        raise RuntimeError(
            f"{name}: source has shape {tuple(source.shape)}; need {tuple(expected)}: the tensor's "
            f"with {index.numel}, the number of indices, at dim {d}"
        )
    if source.dtype is not x.dtype:
        raise RuntimeError(f"{name}: self ({x.dtype}) and source ({source.dtype}) must have the "
                           "same scalar type")

    def writer(target, values, first_temporary):
        return kernels.index_add(target, d, index, source, values, first_temporary, mode)

    return writer, out_of_range(name, (x.shape[d] if x.ndim else 1,))


def index_fill(x, dim, index, value):
    """x with its entries at the indices along a dim set to one number."""
    shape = list(x.layout.shape)
    shape[canonical_dim("index_fill", dim, len(shape))] = index.layout.numel
    filled = zeros(tuple(shape), dtype=x.layout.dtype)
    filled.fill_(value)
    return index_copy(x, dim, index, filled)


Tensor.index_fill = index_fill


# --- gather and scatter ---------------------------------------------------------------------------
@method("gather")
@special
def gather(x: Tensor, dim, index: Tensor, *, sparse_grad=False):
    """out[i, j, k] = x[i, index[i, j, k], k] for dim 1, and so for any dim.

    `index` has as many dims as x, and is no larger than x except along `dim`.

    >>> import cresset
    >>> cresset.gather(cresset.tensor([[1, 2], [3, 4]]), 1, cresset.tensor([[0], [1]]))
    tensor([[1],
            [4]])
    """
    d = _check_lines("gather", x, dim, index)
    out = Layout.packed(index.shape, x.dtype)
    launches, temporaries = kernels.gather(x, d, index, out, (1, 2, 0), 3)
    size = x.shape[d] if x.ndim else 1
    return Program("tt", (out,), tuple(launches), tuple(temporaries),
                   out_of_range("gather", (size,)))


def _check_lines(name, x, dim, index):
    _check_index(name, index)
    d = canonical_dim(name, dim, x.ndim)
    if max(index.ndim, 1) != max(x.ndim, 1):
        raise RuntimeError(
            f"{name}: Index tensor must have the same number of dimensions as input tensor; got "
            f"{index.ndim} and {x.ndim}"
        )
    for k, (n, m) in enumerate(zip(index.shape, x.shape)):
        if k != d and n > m:
            raise RuntimeError(
                f"{name}: Size does not match at dimension {k} expected index {list(index.shape)} "
                f"to be no larger than self {list(x.shape)} apart from dimension {d}"
            )
    return d


@gather.gradient
def _gather_gradient(g, x_layout, dim, index):
    return scatter_add(zeros(tuple(x_layout.shape), dtype=g.layout.dtype), dim, index, g), None


@method("scatter_add")
@overwrite
def scatter_add(x: Tensor, dim, index: Tensor, src: Tensor):
    """x with x[i, index[i, j, k], k] += src[i, j, k] for dim 1; repeated places add up in order."""
    return _line_write("scatter_add", "add", x, dim, index, src)


@scatter_add.gradient
def _scatter_add_gradient(g, dim, index, src_layout):
    return g, None, _gathered(g, dim, index, src_layout)


def _gathered(g, dim, index, src_layout):
    """What reached the entries of src that were written; zeros for those beyond the index."""
    from cresset.ops.joining import pad

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
    gone = zeros(tuple(index.layout.shape), dtype=g.layout.dtype)
    return scatter_put(g, dim, index, gone), None, _gathered(g, dim, index, src_layout)


def _line_write(name, mode, x, dim, index, src):
    d = _check_lines(name, x, dim, index)
    if src.dtype is not x.dtype:
        raise RuntimeError(f"{name}: Expected self.dtype to be equal to src.dtype; got {x.dtype} "
                           f"and {src.dtype}")
    if any(n > m for n, m in zip(index.shape, src.shape)):
        raise RuntimeError(
            f"{name}: index {list(index.shape)} must be no larger than src {list(src.shape)}"
        )
    part = src.restride(index.shape, src.strides)

    def writer(target, values, first_temporary):
        return kernels.scatter(target, d, index, part, values, first_temporary, mode)

    return writer, out_of_range(name, (x.shape[d] if x.ndim else 1,))


def _source(x, index, src):
    if isinstance(src, Tensor):
        return src
    return expand(tensor(src, dtype=x.layout.dtype), tuple(index.layout.shape))


def scatter(x, dim, index, src=None, *, value=None, reduce=None):
    """x with x[i, index[i, j, k], k] = src[i, j, k] for dim 1; `src` may be a number."""
    src = _source(x, index, src if value is None else value)
    if reduce == "add":
        return scatter_add(x, dim, index, src)
    return scatter_put(x, dim, index, src)


def scatter_(x, dim, index, src=None, *, value=None, reduce=None):
    """scatter in place."""
    src = _source(x, index, src if value is None else value)
    form = scatter_add if reduce == "add" else scatter_put
    return form.in_place(x, dim, index, src)


Tensor.scatter = scatter
Tensor.scatter_ = scatter_


def take_along_dim(x, indices, dim=None):
    """gather with x and indices that broadcast; without a dim, of the flattened tensor."""
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
    common = list(broadcast_shapes(shape, places))
    x = expand(x, (*common[:d], size, *common[d + 1 :]))
    return gather(x, d, expand(indices, (*common[:d], count, *common[d + 1 :])))


Tensor.take_along_dim = take_along_dim


# --- embedding ------------------------------------------------------------------------------------
@called("embedding")
@special
def embedding_rows(weight: Tensor, index: Tensor):
    """weight[index]: rows of a table, index of any shape."""
    _check_index("embedding", index)
    if weight.ndim != 2:
        raise RuntimeError(f"embedding: 'weight' must be 2-D; got shape {tuple(weight.shape)}")
    out = Layout.packed((*index.shape, weight.shape[1]), weight.dtype)
    launches, temporaries = kernels.take_rows(weight, index, out, (1, 2, 0), 3)
    return Program("tt", (out,), tuple(launches), tuple(temporaries),
                   out_of_range("embedding", (weight.shape[0],)))


@embedding_rows.gradient
def _embedding_gradient(g, weight_layout, index):
    rows = reshape(g, (-1, g.layout.shape[-1]))
    base = zeros(tuple(weight_layout.shape), dtype=g.layout.dtype)
    return index_add(base, 0, reshape(index, (-1,)), rows), None


def embedding(input, weight, padding_idx=None, max_norm=None, norm_type=2.0,
              scale_grad_by_freq=False, sparse=False):
    """weight[input]: the rows of a table that integers of any shape name.

    The row `padding_idx` gets no gradient. Raises IndexError where an index is no row.

    >>> import cresset
    >>> cresset.nn.functional.embedding(cresset.tensor([1]), cresset.eye(2))
    tensor([[0., 1.]])
    """
    if max_norm is not None or scale_grad_by_freq or sparse:
        raise NotImplementedError(
            "embedding: max_norm, scale_grad_by_freq and sparse are not supported; leave them out"
        )
    if padding_idx is not None and weight.history is not None:
        row = padding_idx % weight.layout.shape[0]
        rows = embedding_rows(weight, input)
        return rows.where(input.ne(row).unsqueeze(-1), rows.detach())
    return embedding_rows(weight, input)


def one_hot(input, num_classes=-1):
    """Integers as rows with a one at their place.

    >>> import cresset
    >>> cresset.nn.functional.one_hot(cresset.tensor([0, 2]), 3)
    tensor([[1, 0, 0],
            [0, 0, 1]])
    """
    if num_classes == -1:
        num_classes = int(input.max().item()) + 1
    made = zeros(*input.layout.shape, num_classes, dtype=types.int64)
    return made.scatter_(-1, input.unsqueeze(-1), 1)


# --- masks ----------------------------------------------------------------------------------------
@special
def nonzero_counts(mask: Tensor):
    """How many non-zero elements come before each block, and last how many there are."""
    out = Layout.packed(kernels_compaction.counts_shape(mask), types.int64)
    launches, temporaries = kernels_compaction.count_nonzero(mask, out, (1, 0), 2)
    return Program("t", (out,), tuple(launches), tuple(temporaries))


@special
def nonzero_rows(mask: Tensor, counts: Tensor, total):
    """The coordinates of the `total` non-zero elements."""
    out = Layout.packed((total, mask.ndim), types.int64)
    launches, temporaries = kernels_compaction.nonzero(mask, counts, out, (1, 2, 0), 3)
    return Program("tt", (out,), tuple(launches), tuple(temporaries))


@called("masked_select")
@special
def selected(x: Tensor, mask: Tensor, counts: Tensor, total):
    """The `total` elements of x where the mask, of x's shape, holds."""
    out = Layout.packed((total,), x.dtype)
    places = (1, 2, 3, 0)
    launches, temporaries = kernels_compaction.masked_select(x, mask, counts, out, places, 4)
    return Program("ttt", (out,), tuple(launches), tuple(temporaries))


@selected.gradient
def _selected_gradient(g, x_layout, mask):
    base = zeros(tuple(x_layout.shape), dtype=g.layout.dtype)
    return masked_scatter(base, mask, g), None, None


@called("masked_scatter")
@overwrite
def scattered(x: Tensor, mask: Tensor, counts: Tensor, source: Tensor):
    """x with the elements where the mask holds replaced by those of a vector, in order."""

    def writer(target, values, first_temporary):
        return kernels_compaction.masked_scatter(
            target, mask, counts, source, values, first_temporary)

    return writer, None


@scattered.gradient
def _scattered_gradient(g, mask, source_layout):
    by_x = g.masked_fill(mask, 0.0)
    taken = masked_select(g, mask)
    rest = source_layout.numel - taken.layout.numel
    if rest:
        from cresset.ops.joining import cat

        taken = cat((taken, zeros(rest, dtype=g.layout.dtype)))
    return by_x, None, None, taken


def _counted(mask):
    counts = nonzero_counts(mask)
    return counts, counts[-1].item()


def nonzero(x, *, as_tuple=False):
    """The coordinates of the elements that are not zero, one row each, int64.

    With `as_tuple` one vector for each dim.

    >>> import cresset
    >>> cresset.nonzero(cresset.tensor([0, 5, 7]))
    tensor([[1],
            [2]])
    """
    mask = x.detach()
    if mask.layout.dtype is not types.bool:
        mask = mask.ne(0)
    if as_tuple and not mask.layout.ndim:
        mask = mask.unsqueeze(0)
    counts, total = _counted(mask)
    rows = nonzero_rows(mask, counts, total)
    if as_tuple:
        return tuple(rows.select(1, d) for d in range(mask.layout.ndim))
    return rows


Tensor.nonzero = nonzero
argwhere = nonzero


def masked_select(x, mask):
    """The elements where the mask holds, as a vector; x and mask broadcast."""
    if mask.layout.dtype is not types.bool:
        raise RuntimeError(f"masked_select: expected BoolTensor for mask; got {mask.layout.dtype}")
    shape = broadcast_shapes(x.layout.shape, mask.layout.shape)
    x, mask = expand(x, shape), expand(mask, shape)
    counts, total = _counted(mask)
    return selected(x, mask, counts, total)


def masked_scatter(x, mask, source):
    """x with the elements where the mask holds replaced by those of `source`, in order."""
    mask = expand(mask, tuple(x.layout.shape))
    counts, total = _counted(mask)
    _check_source(total, source)
    return scattered(x, mask, counts, reshape(source, (-1,)))


def masked_scatter_(x, mask, source):
    """masked_scatter in place."""
    mask = expand(mask, tuple(x.layout.shape))
    counts, total = _counted(mask)
    _check_source(total, source)
    return scattered.in_place(x, mask, counts, reshape(source, (-1,)))


def _check_source(total, source):
    if source.layout.numel < total:
        raise RuntimeError(
            f"masked_scatter: expected self and source to have same number of elements; the mask "
            f"holds {total} times, the source has {source.layout.numel} elements"
        )


Tensor.masked_select = masked_select
Tensor.masked_scatter = masked_scatter
Tensor.masked_scatter_ = masked_scatter_
