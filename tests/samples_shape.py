"""Samples of views, of reading and writing by indices, and of joins."""

from __future__ import annotations

from operands import index, real, truth
from sample import sample


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
    yield sample("unbind", x)
    yield sample("unbind", x, -1)
    yield sample("split", real(5, 2), 2)
    yield sample("split", real(2, 5), (1, 0, 4), 1)
    yield sample("split", real(0, 3), 2).constant()
    yield sample("chunk", real(7), 3)
    yield sample("chunk", real(2, 5), 4, -1)
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
        yield sample("index_fill", real(*shape), dim, distinct, 2)
    yield sample("index_select", real(3, 2), 0, index(0, below=1)).constant()
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
    yield sample("take_along_dim", real(3, 4), index(3, 2, below=4), 1)
    yield sample("take_along_dim", real(3, 4), index(1, 2, below=4), 1)
    yield sample("take_along_dim", real(3, 4), index(5, below=12))
    yield sample("nn.functional.embedding", index(2, 3, below=4), real(4, 2))
    yield sample("nn.functional.embedding", index(5, below=4), real(4, 2), padding_idx=1
                 ).constant()
    yield sample("nn.functional.one_hot", index(2, 3, below=4), 5)
    yield sample("nn.functional.one_hot", index(4, below=4))
    for shape in ((7,), (2, 3), ()):
        yield sample("nonzero", truth(*shape))
        yield sample("nonzero", real(*shape), as_tuple=True)
        yield sample("masked_select", real(*shape), truth(*shape))
    yield sample("masked_select", real(3, 1), truth(2))
    yield sample("argwhere", truth(2, 3))
    yield sample("masked_scatter", real(2, 3), truth(2, 3), real(6))
    yield sample("masked_scatter", real(2, 3), truth(3), real(2, 3))
    yield sample("index_put", real(3, 2), (index(4, below=3),), real(4, 2), True).within(2, 9)
    yield sample("index_put", real(3, 2), (index(1, below=3), index(1, below=2)), real(1))


def joining():
    yield sample("cat", (real(2, 3), real(1, 3), real(0, 3)))
    yield sample("cat", [real(2, 3), real(2, 1)], -1)
    yield sample("cat", (real(2, 3), index(1, 3, below=4)))
    yield sample("cat", (real(0), real(2, 3)), 1)
    yield sample("cat", (real(5),))
    yield sample("stack", (real(2, 3), real(2, 3)))
    yield sample("stack", (real(2), real(2), real(2)), -1)
    yield sample("stack", (real(), real()))
    yield sample("hstack", (real(2), real(3)))
    yield sample("hstack", (real(2, 1), real(2, 2)))
    yield sample("vstack", (real(3), real(2, 3)))
    yield sample("Tensor.repeat", real(2, 3), 2, 1, 2)
    yield sample("Tensor.repeat", real(3), 0).constant()
    yield sample("tile", real(2, 3), (2,))
    yield sample("repeat_interleave", real(2, 3), 2)
    yield sample("repeat_interleave", real(2, 3), 2, 1)
    yield sample("repeat_interleave", real(3, 2), index(3, below=3), 0)
    yield sample("roll", real(2, 3), 1)
    yield sample("roll", real(2, 3), (1, -2), (0, 1))
    yield sample("flip", real(2, 3), (0,))
    yield sample("flip", real(2, 3), (0, -1))
    for mode in ("constant", "reflect", "replicate", "circular"):
        yield sample("nn.functional.pad", real(1, 2, 4), (2, 1), mode)
        yield sample("nn.functional.pad", real(1, 1, 3, 4), (2, 1, 1, 0), mode)
    yield sample("nn.functional.pad", real(2, 4), (1, -2, 0, 1), "constant", 1.5)
    yield sample("meshgrid", real(2), real(3), indexing="ij")
    yield sample("meshgrid", real(2), real(3), real(2), indexing="xy")
