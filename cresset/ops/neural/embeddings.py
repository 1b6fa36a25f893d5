"""Rows of a table by their numbers, alone and in bags, and numbers as rows."""

from __future__ import annotations

from cresset.core import dtype as types
from cresset.core import scalar
from cresset.core.families import required
from cresset.core.layout import Layout
from cresset.core.tensor import Tensor
from cresset.kernels import index as kernels
from cresset.kernels.nest import Nest, Operand, Store, steps
from cresset.ops.arguments import whole
from cresset.ops.creation.counted import arange
from cresset.ops.creation.tensors import ones_like, zeros
from cresset.ops.indexing.gathering import check_index, out_of_range
from cresset.ops.indexing.masks import nonzero
from cresset.ops.indexing.selecting import add_rows, index_reduce
from cresset.ops.kinds import special
from cresset.ops.operation import called, counted_as
from cresset.ops.ordering.histograms import searchsorted
from cresset.ops.pointwise.comparison import where
from cresset.ops.shapes.shape import reshape
from cresset.runtime.program import Program

__all__ = ["embedding", "embedding_bag", "one_hot"]


# --- operations -----------------------------------------------------------------------------------
@called("embedding")
@special(moves=True)
def embedding_rows(weight: Tensor, index: Tensor):
    """weight[index]: rows of a table, index of any shape."""
    check_index("embedding", index)
    if weight.ndim != 2:
        raise RuntimeError(f"embedding: 'weight' must be 2-D; got shape {tuple(weight.shape)}")
    out = Layout.packed((*index.shape, weight.shape[1]), weight.dtype)
    launches, temporaries = kernels.take_rows(weight, index, out, (1, 2, 0), 3)
    return Program("tt", (out,), tuple(launches), tuple(temporaries),
                   out_of_range("embedding", (weight.shape[0],)))


@embedding_rows.gradient
def _embedding_gradient(g, weight_layout, index):
    rows = reshape(g, (-1, g.layout.shape[-1]))
    base = g.new_zeros(weight_layout.shape)
    return add_rows(base, 0, reshape(index, (-1,)), rows), None


@called("embedding")
@special(moves=True)
def embedding_rows_by_frequency(weight: Tensor, index: Tensor):
    """`embedding_rows` with gradients over how often a row is named."""
    return embedding_rows.op.body(weight, index)


@embedding_rows_by_frequency.gradient
def _embedding_by_frequency_gradient(g, weight_layout, index):
    flat = reshape(index, (-1,))
    counts = g.new_zeros(weight_layout.shape[0])
    counts = add_rows(counts, 0, flat, ones_like(flat, dtype=g.layout.dtype))
    return _embedding_gradient(g / counts[index].unsqueeze(-1), weight_layout, index)


@called("one_hot")
@special(moves=True)
def hot_rows(x: Tensor, num_classes):
    """A row for each integer, with a one at its place among zeros."""
    if num_classes < 0:
        raise RuntimeError(f"one_hot: num_classes must not be negative; got {num_classes}")
    out = Layout.packed((*x.shape, num_classes), types.int64)
    here = scalar.eq(scalar.argument(0, types.int64), scalar.position())
    nest = Nest(
        tuple(out.shape), frozenset(),
        (Operand(1, x.dtype, (*x.strides, 0)), Operand(0, out.dtype, out.strides)),
        (Store(1, scalar.cast(here, out.dtype), False),), (0,) * x.ndim + (1,),
    )
    launches, temporaries = steps(nest, 2)
    checks = kernels.check(x, num_classes, 1)
    return Program("t", (out,), (*checks, *launches), tuple(temporaries),
                   out_of_range("one_hot", (num_classes,), error=RuntimeError))


# --- functions ------------------------------------------------------------------------------------
@counted_as("embedding")
def embedding(input, weight, padding_idx=None, max_norm=None, norm_type=2.0,
              scale_grad_by_freq=False, sparse=False):
    """weight[input]: the rows of a table that integers of any shape name.

    The row `padding_idx` gets no gradient. With `max_norm` rows that are longer, by the norm
    `norm_type`, are shortened to it in the table first. With `scale_grad_by_freq` gradients are
    divided by how often a row is named. Raises IndexError where an index is no row.

    >>> import cresset
    >>> cresset.nn.functional.embedding(cresset.tensor([1]), cresset.eye(2))
    tensor([[0., 1.]])
    """
    if sparse:
        raise NotImplementedError(
            "embedding: there are no sparse gradients; leave sparse=True out"
        )
    if padding_idx is not None:
        padding_idx = _padding_row("embedding", padding_idx, weight)
    if max_norm is not None:
        _shorten(weight.detach(), input, max_norm, norm_type)
    look_up = embedding_rows_by_frequency if scale_grad_by_freq else embedding_rows
    rows = look_up(weight, input)
    if padding_idx is not None and weight.history is not None:
        return rows.where(input.ne(padding_idx).unsqueeze(-1), rows.detach())
    return rows


def _padding_row(operation, row, weight):
    count = weight.layout.shape[0]
    if not -count <= row < count:
        raise AssertionError(
            f"{operation}: padding_idx must be within num_embeddings; got {row} for {count} rows"
        )
    return row % count


def _shorten(weight, input, max_norm, norm_type):
    """Scale the rows of a table that are named and longer than `max_norm` to it, in place."""
    named = zeros(weight.layout.shape[0], dtype=types.bool, device=weight.layout.device)
    named[reshape(input, (-1,))] = True
    places = nonzero(named)[:, 0]
    rows = weight[places]
    norms = rows.norm(norm_type, 1, True)
    weight[places] = where(norms > max_norm, rows * (max_norm / (norms + 1e-7)), rows)


@counted_as("embedding_bag")
def embedding_bag(input, weight, offsets=None, max_norm=None, norm_type=2, scale_grad_by_freq=False,
                  mode="mean", sparse=False, per_sample_weights=None, include_last_offset=False,
                  padding_idx=None):
    """The sum, mean or greatest, by `mode`, of the rows of a table that each bag names.

    The bags are the rows of a matrix `input`, or parts of a vector that begin at `offsets`, of
    which the last is the end of the last bag with `include_last_offset`. `per_sample_weights`
    weighs the rows of a sum. The row `padding_idx` does not count. Empty bags give zeros.

    >>> import cresset
    >>> bags = cresset.tensor([[0, 1], [1, 1]])
    >>> cresset.nn.functional.embedding_bag(bags, cresset.eye(2), mode="sum")
    tensor([[1., 1.],
            [0., 2.]])
    """
    if mode not in ("sum", "mean", "max"):
        raise ValueError(f"embedding_bag: mode has to be one of sum, mean or max; got {mode!r}")
    if per_sample_weights is not None:
        if mode != "sum":
            raise NotImplementedError(
                f"embedding_bag: per_sample_weights is only supported for mode='sum'; got {mode!r}"
            )
        if per_sample_weights.shape != input.shape:
            raise ValueError(
                f"embedding_bag: If per_sample_weights ({tuple(per_sample_weights.shape)}) is not "
                f"None, then it must have the same shape as the input ({tuple(input.shape)})"
            )
        per_sample_weights = reshape(per_sample_weights, (-1,))
    required("embedding_bag", "a real floating type", weight.layout.dtype)
    flat, bags, count = _bags(input, offsets, include_last_offset)
    if padding_idx is not None:
        kept = nonzero(flat.ne(_padding_row("embedding_bag", padding_idx, weight)))[:, 0]
        flat, bags = flat[kept], bags[kept]
        if per_sample_weights is not None:
            per_sample_weights = per_sample_weights[kept]
    rows = embedding(flat, weight, None, max_norm, norm_type, scale_grad_by_freq, sparse)
    base = weight.new_zeros(count, weight.layout.shape[1])
    if mode == "max":
        return index_reduce(base, 0, bags, rows, "amax", include_self=False)
    if per_sample_weights is not None:
        rows = rows * per_sample_weights.unsqueeze(-1)
    total = add_rows(base, 0, bags, rows)
    if mode == "sum":
        return total
    sizes = weight.new_zeros(count)
    sizes = add_rows(sizes, 0, bags, ones_like(bags, dtype=weight.layout.dtype))
    return total / sizes.clamp(min=1).unsqueeze(-1)


def _bags(input, offsets, include_last_offset):
    """(the indices as a vector, the bag of each, how many bags there are)."""
    if input.layout.ndim == 2:
        if offsets is not None:
            raise ValueError(
                "embedding_bag: if input is 2D, then offsets has to be None, as input is treated "
                "is a mini-batch of fixed length sequences; leave offsets out"
            )
        count, size = input.layout.shape
        bags = arange(count, device=input.layout.device).unsqueeze(-1).expand((count, size))
        return reshape(input, (-1,)), reshape(bags, (-1,)), count
    if input.layout.ndim != 1 or offsets is None or offsets.layout.ndim != 1:
        raise ValueError(
            "embedding_bag: input has to be 2D, or 1D with a 1D Tensor of offsets; got "
            f"{input.layout.ndim} dims and "
            f"{'no offsets' if offsets is None else f'offsets of {offsets.layout.ndim} dims'}"
        )
    if offsets.layout.numel and not offsets.layout.absent and offsets[0].item() != 0:
        raise ValueError(
            f"embedding_bag: offsets[0] has to be 0; got {offsets[0].item()}: the first sequence "
            "in the mini-batch has to start from position 0"
        )
    if include_last_offset:
        offsets = offsets[:-1]
    places = arange(input.layout.numel, device=input.layout.device)
    bags = searchsorted(offsets.long(), places, right=True) - 1
    return input, bags, offsets.layout.numel


def one_hot(input, num_classes=-1):
    """Integers as rows with a one at their place; as many classes as are needed unless given.

    Raises RuntimeError unless they are int64, and where one is negative or no class.

    >>> import cresset
    >>> cresset.nn.functional.one_hot(cresset.tensor([0, 2]), 3)
    tensor([[1, 0, 0],
            [0, 0, 1]])
    """
    if input.layout.dtype is not types.int64:
        raise RuntimeError(
            f"one_hot: is only applicable to index tensors of type int64; got {input.layout.dtype}"
        )
    if type(num_classes) is not int:
        num_classes = whole("one_hot", "num_classes", num_classes)
    if num_classes <= 0 and not input.layout.numel:
        raise RuntimeError("one_hot: Can not infer total number of classes from empty tensor")
    if num_classes == -1:
        num_classes = int(input.max().item()) + 1
    return hot_rows(input, num_classes)
