"""Samples of views, of reading and writing by indices, and of joins."""

from __future__ import annotations

from operands import index, real, truth
from sample import Type, sample


def views():
    x = real(2, 3, 4)
    yield sample("permute", x, (2, 0, 1))
    yield sample("permute", x, (-1, 0, 1))
    yield sample("permute", real(), ())
    yield sample("Tensor.permute", x, 1, 0, 2)
    yield sample("transpose", x, 0, -1)
    yield sample("transpose", real(), 0, -1)
    yield sample("swapaxes", x, 0, 1)
    yield sample("movedim", x, 0, 2)
    yield sample("moveaxis", x, 0, 2)
    yield sample("movedim", x, (0, 1), (2, 0))
    for shape in ((2, 3), (3,), ()):
        yield sample("t", real(*shape))
    yield sample("Tensor.T.__get__", real(2, 3))
    yield sample("Tensor.mT.__get__", x)
    for shape in ((6, 4), (-1,), (2, 3, 2, 2), (2, -1, 1, 4), (1, 2, 12, 1)):
        yield sample("Tensor.view", x, *shape)
        yield sample("reshape", x, shape)
    yield sample("Tensor.view", real(0, 3), 3, 0)
    yield sample("Tensor.view", real(1), ())
    for name in ("int32", "int16", "float64"):
        yield sample("Tensor.view", real(3, 4), Type(name)).constant()
    yield sample("Tensor.view_as", x, real(4, 6))
    yield sample("Tensor.reshape_as", x, real(4, 6))
    yield sample("narrow", x, 1, 1, 2)
    yield sample("narrow", x, -1, -3, 2)
    yield sample("narrow", x, 0, 2, 0)
    yield sample("select", x, 1, 2)
    yield sample("select", x, -1, -4)
    for dim in (0, 3, -1, -4):
        yield sample("unsqueeze", x, dim)
    yield sample("unsqueeze", real(), 0)
    for dim in ((), (0,), (1,), (-1,), ((0, 2),)):
        yield sample("squeeze", real(1, 3, 1), *dim)
    yield sample("squeeze", real(), 0)
    yield sample("Tensor.expand", real(3, 1), 2, 3, 4)
    yield sample("Tensor.expand", real(3, 1), -1, 4)
    yield sample("Tensor.expand", real(), 2, 3)
    yield sample("Tensor.expand", real(1, 3), 0, 3).constant()
    yield sample("Tensor.expand_as", real(3, 1), real(2, 3, 4))
    yield sample("broadcast_to", real(3, 1), (2, 3, 2))
    yield sample("broadcast_tensors", real(3, 1), real(2))
    yield sample("as_strided", real(12), (2, 3), (4, 1))
    yield sample("as_strided", real(12), (2, 3), (2, 1), 3)
    yield sample("as_strided", real(12), (), (), 5)
    for dims in ((), (1,), (0, 1), (-2, -1), (1, 1)):
        yield sample("flatten", x, *dims)
    yield sample("flatten", real())
    yield sample("unflatten", real(2, 6), 1, (2, -1))
    yield sample("ravel", x)
    for arguments in ((), (1,), (-1,), (3,), (-5,), (0, -1, 0), (1, 2, 1)):
        yield sample("diagonal", x, *arguments)
    yield sample("Tensor.unfold", real(7), 0, 3, 2)
    yield sample("Tensor.unfold", real(2, 5), -1, 2, 2)
    yield sample("Tensor.unfold", real(5), 0, 3, 1)
    yield sample("Tensor.unfold", real(), 0, 1, 1)


INDICES = {
    "an integer": 1,
    "a negative integer": -1,
    "integers": (0, 2),
    "a slice": slice(1, None),
    "a slice with a step": (slice(None), slice(None, None, 2)),
    "a slice beyond the end": slice(1, 100),
    "an empty slice": slice(2, 1),
    "a negative bound": (Ellipsis, slice(-3, -1)),
    "None": (None, 1, None),
    "an ellipsis": (Ellipsis, 0),
    "an ellipsis that is nothing": (0, 1, Ellipsis, 2),
    "everything": Ellipsis,
    "nothing": (),
    "a vector": index(3, below=2),
    "a matrix": index(2, 2, below=2),
    "two vectors": (index(4, below=2), index(4, below=3)),
    "vectors that broadcast": (index(2, 1, below=2), index(3, below=3)),
    "a vector in the middle": (slice(None), index(2, below=3)),
    "a vector at the end": (Ellipsis, index(2, below=4)),
    "vectors around a slice": (index(2, below=2), slice(None), index(2, below=4)),
    "vectors around an integer": (index(2, below=2), 1, index(2, below=4)),
    "a vector and an integer": (index(2, below=2), 1),
    "a vector and None": (index(2, below=2), None),
    "a vector after a slice": (slice(0, 1), index(2, below=3)),
    "a list": [1, 0, 1],
    "a list beside a slice": (slice(None), [2, 0]),
    "a negative vector": [-1, 0],
    "a mask": truth(2, 3, 4),
    "a mask of the first dim": truth(2),
    "a mask in the middle": (slice(None), truth(3)),
    "a mask of two dims": truth(2, 3),
    "a zero-dim mask": truth(),
    "True": True,
    "an empty list": [],
    "nested lists": (slice(None), [[2, 0], [1, 1]]),
    "a range": range(2),
    "a range beside a slice": (slice(None), range(0, 3, 2)),
    "False": False,
    "True beside a vector": (True, index(3, below=2)),
    "False in the middle": (slice(None), False),
    "an integer tensor": index(below=2),
    "an integer tensor and a vector": (index(below=2), index(3, below=3)),
    "a vector of int32": index(3, below=2)._replace(dtype="int32"),
    "vectors at both ends": (index(3, below=2), Ellipsis, index(3, below=4)),
    "vectors around None": (index(2, below=2), None, index(2, below=3)),
    "an integer before a slice and a vector": (0, slice(None), index(2, below=4)),
    "a slice, an integer and a vector": (slice(None), 0, index(2, below=4)),
    "a mask and a slice": (truth(2, 3), slice(1, None)),
    "a mask and a vector": (truth(2, 3), [0]),
    "a mask and None": (truth(2), None),
    "a mask at the end": (Ellipsis, truth(4)),
    "a mask after an ellipsis": (0, Ellipsis, truth(4)),
    "a mask as a list": [True, False],
    "two ellipses": (Ellipsis, 0, Ellipsis),
    "a list that means a tuple": [slice(None), 1],
}


def indexing():
    for place in INDICES.values():
        yield sample("Tensor.__getitem__", real(2, 3, 4), place)
        yield sample("Tensor.__setitem__", real(2, 3, 4), place, 1.5).writing()
        yield sample("Tensor.__setitem__", real(2, 3, 4), place, real()).writing()
    yield sample("Tensor.__setitem__", real(2, 3), 1, real(3)).writing()
    yield sample("Tensor.__setitem__", real(2, 3), slice(None), real(1, 2, 3)).writing()
    yield sample("Tensor.__setitem__", real(4, 3), [3, 0], real(2, 1)).writing()
    yield sample("Tensor.__setitem__", real(2, 3), truth(2, 3), 0).writing()
    yield sample("Tensor.__getitem__", real(0, 3), index(0, below=1)).constant()
    for dim, shape in ((0, (3, 2)), (1, (2, 3)), (-2, (2, 3, 2)), (0, (3,))):
        places = index(4, below=3)
        source = list(shape)
        source[dim] = 4
        yield sample("index_select", real(*shape), dim, places)
        yield sample("index_add", real(*shape), dim, places, real(*source)).within(2, 9)
        distinct = index(1, below=3)
        source[dim] = 1
        yield sample("index_copy", real(*shape), dim, distinct, real(*source))
        yield sample("index_fill", real(*shape), dim, places, 2)
        yield sample("index_fill", real(*shape), dim, places, real())
        source[dim] = 4
        for reduce in ("prod", "mean", "amax", "amin"):
            yield from joined("index_reduce", real(*shape), dim, places, real(*source), reduce)
    yield sample("index_add", real(2, 3), 1, index(2, below=3), real(2, 2), alpha=3).within(2, 9)
    yield sample("index_add", real(), 0, index(below=1), real()).within(2, 9)
    yield sample("index_fill", real(2, 3), 1, index(below=3), 7)
    yield sample("index_select", real(3, 2), 0, index(0, below=1)).constant()
    yield sample("index_select", real(), 0, index(below=1))
    yield sample("gather", real(3, 4), 1, index(3, 2, below=4))
    yield sample("gather", real(3, 4), 0, index(2, 4, below=3))
    yield sample("gather", real(3, 4), 0, index(2, 3, below=3))
    yield sample("gather", real(2, 3, 2), -2, index(2, 3, 1, below=3))
    yield sample("gather", real(), 0, index(below=1))
    yield sample("gather", real(3, 4), 0, index(0, 4, below=1)).constant()
    yield sample("scatter_add", real(3, 4), 1, index(3, 2, below=4), real(3, 3)).within(2, 9)
    yield sample("scatter_add", real(3, 4), 0, index(2, 3, below=3), real(2, 4)).within(2, 9)
    yield sample("scatter", real(3, 4), 1, index(3, 1, below=4), real(3, 1))
    yield sample("scatter", real(3, 4), 1, index(3, 1, below=4), 2)
    yield sample("scatter", real(3, 4), 1, index(3, 2, below=4), value=2)
    yield sample("scatter", real(4, 3), 0, index(3, 3, below=4), real(3, 3), reduce="add"
                 ).within(2, 9).constant()
    yield sample("scatter", real(4, 3), 0, index(3, 3, below=4), real(3, 3), reduce="multiply"
                 ).within(2, 9).constant()
    yield sample("scatter", real(3, 4), 1, index(3, 2, below=4), real(3, 3)).constant()
    for reduce in ("sum", "prod", "mean", "amax", "amin"):
        yield from joined("scatter_reduce", real(3, 4), 1, index(3, 5, below=4), real(3, 5), reduce)
        yield from joined("scatter_reduce", real(4), 0, index(2, below=4), real(2), reduce)
    yield sample("take", real(2, 3), index(2, 2, below=6))
    yield sample("take", real(), index(2, below=1))
    yield sample("put", real(2, 3), index(1, below=6), real(1))
    yield sample("put", real(2, 3), index(2, 2, below=6), real(4), True).within(2, 9)
    yield sample("unravel_index", index(2, 3, below=24), (2, 3, 4))
    yield sample("unravel_index", index(below=7), 7)
    yield sample("take_along_dim", real(3, 4), index(3, 2, below=4), 1)
    yield sample("take_along_dim", real(3, 4), index(1, 2, below=4), 1)
    yield sample("take_along_dim", real(3, 4), index(5, below=12))
    yield sample("nn.functional.embedding", index(2, 3, below=4), real(4, 2))
    yield sample("nn.functional.embedding", index(5, below=4), real(4, 2), padding_idx=1
                 ).constant()
    # The gradient is not the function's.
    yield sample("nn.functional.embedding", index(5, below=4), real(4, 2), scale_grad_by_freq=True
                 ).constant()
    for mode in ("sum", "mean", "max"):
        yield sample("nn.functional.embedding_bag", index(3, 4, below=5), real(5, 2), mode=mode
                     ).within(4, 9)
        yield sample("nn.functional.embedding_bag", index(6, below=5), real(5, 2),
                     index(3, below=1), mode=mode).within(4, 9)
        yield sample("nn.functional.embedding_bag", index(3, 4, below=5), real(5, 2), mode=mode,
                     padding_idx=1).within(4, 9)
    yield sample("nn.functional.embedding_bag", index(3, 4, below=5), real(5, 2), mode="sum",
                 per_sample_weights=real(3, 4)).within(4, 9)
    yield sample("nn.functional.one_hot", index(2, 3, below=4), 5)
    yield sample("nn.functional.one_hot", index(4, below=4))
    for shape in ((7,), (2, 3), ()):
        yield sample("nonzero", truth(*shape))
        yield sample("Tensor.nonzero", real(*shape), as_tuple=True)
        yield sample("masked_select", real(*shape), truth(*shape))
    yield sample("masked_select", real(3, 1), truth(2))
    yield sample("argwhere", truth(2, 3))
    yield sample("where", truth(2, 3))
    yield sample("nonzero_static", real(2, 3), size=4)
    yield sample("nonzero_static", truth(7), size=9, fill_value=5)
    yield sample("masked_scatter", real(2, 3), truth(2, 3), real(6))
    yield sample("masked_scatter", real(3), truth(2, 3), real(6))
    yield sample("masked_scatter", real(2, 3), truth(3), real(2, 3))
    yield sample("index_put", real(3, 2), (index(4, below=3),), real(4, 2), True).within(2, 9)
    yield sample("index_put", real(3, 2), (index(1, below=3), index(1, below=2)), real(1))
    yield sample("index_put", real(3, 2), (index(1, below=3),), real(2))
    yield sample("index_put", real(3, 2), (truth(3, 2),), real())
    yield sample("index_put", real(3, 2), (truth(3, 2),), real(), True)


def joined(name, x, dim, places, source, reduce):
    """Samples of a reduction into a tensor, which counts itself or not."""
    for include_self in (True, False):
        made = sample(name, x, dim, places, source, reduce, include_self=include_self)
        # PyTorch lets what does not count share in the gradient of what it equals.
        made = made if include_self else made.without_ties()
        yield made.within(4, 27) if reduce in ("sum", "prod", "mean") else made


def replaced_views():
    yield sample("select_scatter", real(2, 3, 4), real(2, 4), 1, -1)
    yield sample("slice_scatter", real(5, 2), real(2, 2), 0, 1, 5, 2)
    yield sample("slice_scatter", real(2, 3), real(2, 3), 1)
    yield sample("diagonal_scatter", real(3, 4), real(3))
    yield sample("diagonal_scatter", real(2, 3, 4), real(2, 2), 1, 1, 2)
    # The gradient that PyTorch gives for what is not replaced is of other elements.
    yield sample("as_strided_scatter", real(6), real(2, 2), (2, 2), (3, 1)).constant()
    yield sample("as_strided_copy", real(6), (2, 2), (3, 1), 1)
    yield sample("diagonal_copy", real(3, 4))
    yield sample("expand_copy", real(3, 1), (2, 3, 4))
    yield sample("narrow_copy", real(2, 3, 4), 1, 1, 2)
    yield sample("permute_copy", real(2, 3, 4), (2, 0, 1))
    yield sample("select_copy", real(2, 3, 4), 1, 2)
    yield sample("slice_copy", real(5, 2), 0, 1, 5, 2)
    yield sample("split_copy", real(5, 2), 2)
    yield sample("squeeze_copy", real(1, 3))
    yield sample("t_copy", real(2, 3))
    yield sample("transpose_copy", real(2, 3), 0, 1)
    yield sample("unbind_copy", real(2, 3))
    yield sample("unfold_copy", real(7), 0, 3, 2)
    yield sample("unsqueeze_copy", real(2, 3), 1)
    yield sample("view_copy", real(2, 3), (3, 2))
    yield sample("view_copy", real(2, 3), dtype=Type("int32")).constant()
