"""Rows of a table by their numbers, and numbers as rows."""

from __future__ import annotations

from cresset.core import dtype as types
from cresset.core.layout import Layout
from cresset.core.tensor import Tensor
from cresset.kernels import index as kernels
from cresset.ops.creation import zeros
from cresset.ops.gathering import check_index, out_of_range
from cresset.ops.kinds import special
from cresset.ops.operation import called
from cresset.ops.selecting import add_rows
from cresset.ops.shape import reshape
from cresset.runtime.program import Program

__all__ = ["embedding", "one_hot"]


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
    if num_classes == -1:
        if not input.layout.numel:
            raise RuntimeError("one_hot: Can not infer total number of classes from empty tensor")
        num_classes = int(input.max().item()) + 1
    made = zeros(*input.layout.shape, num_classes, dtype=types.int64, device=input.layout.device)
    return made.scatter_(-1, input.unsqueeze(-1), 1)
