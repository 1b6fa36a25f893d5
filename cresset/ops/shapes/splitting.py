"""A tensor as a tuple of views along a dim: unbind, split, chunk, tensor_split and their like."""

from __future__ import annotations

from cresset.core.tensor import Tensor
from cresset.ops import dispatch
from cresset.ops.arguments import whole
from cresset.ops.operation import method
from cresset.ops.shapes.shape import canonical_dim, narrow, select

__all__ = ["chunk", "dsplit", "hsplit", "split", "split_with_sizes", "tensor_split", "unbind",
           "unsafe_chunk", "unsafe_split", "unsafe_split_with_sizes", "vsplit"]


# More pieces than this would take longer to make than anybody waits.
MOST_PIECES = 1 << 24


def _check_count(name, count):
    if count > MOST_PIECES:
        raise RuntimeError(f"{name}: too many pieces; got {count}; need {MOST_PIECES} at most")


@method()
def unbind(input, dim=0):
    """The entries along a dim, as a tuple of views."""
    d = canonical_dim("unbind", dim, input.layout.ndim)
    if not input.layout.ndim:
        raise IndexError("unbind: Dimension specified as 0 but tensor has no dimensions")
    count = input.layout.shape[d]
    if input.history is None:
        return tuple([select(input, d, k) for k in range(count)])
    calls = [(d, k) for k in range(count)]
    return dispatch.namespace["record_pieces"](input, select.op, calls, d, True)


def _pieces(x, dim, sizes):
    """Views of consecutive pieces of these sizes along a dim."""
    calls, start = [], 0
    for length in sizes:
        calls.append((dim, start, length))
        start += length
    if x.history is None:
        return tuple([narrow(x, *args) for args in calls])
    return dispatch.namespace["record_pieces"](x, narrow.op, calls, dim, False)


def _equal(size, step):
    """The sizes of pieces of `step`; the last may be less."""
    whole, rest = divmod(size, step)
    return [step] * whole + [rest] * (rest > 0 or not size)


def _sized_dim(name, x, dim):
    if not x.layout.ndim:
        raise RuntimeError(f"{name}: expects at least a 1-dimensional tensor; use reshape(1)")
    d = canonical_dim(name, dim, x.layout.ndim)
    return d, x.layout.shape[d]


def split(tensor, split_size_or_sections, dim=0):
    """Views of consecutive pieces along a dim: of one size (the last may be less), or of sizes.

    >>> import cresset
    >>> cresset.split(cresset.arange(5), 2)
    (tensor([0, 1]), tensor([2, 3]), tensor([4]))
    """
    d, size = _sized_dim("split", tensor, dim)
    sizes = split_size_or_sections
    if isinstance(sizes, int):
        if sizes < 0 or sizes == 0 and size:
            raise RuntimeError(
                f"split: expects split_size to be positive; got {sizes}; need 1 or more"
            )
        step = max(sizes, 1)
        sizes = _equal(size, step)
    elif sum(whole("split", "split_sizes", n) for n in sizes) != size or any(n < 0 for n in sizes):
        raise RuntimeError(
            f"split: split_sizes must sum to {size}, the size of dim {d}, and none be negative; "
            f"got {list(sizes)}"
        )
    return _pieces(tensor, d, sizes)


@method("split", "unsafe_split")
def unsafe_split(input, split_size, dim=0):
    """`split` as a method: PyTorch calls the sizes otherwise there."""
    return split(input, split_size, dim)


@method("split_with_sizes", "unsafe_split_with_sizes")
def split_with_sizes(input, split_sizes, dim=0):
    """Views of consecutive pieces of the given sizes along a dim."""
    return split(input, tuple(split_sizes), dim)


@method()
def chunk(input, chunks, dim=0):
    """At most `chunks` views of equal pieces along a dim; the last may be less."""
    d, size = _sized_dim("chunk", input, dim)
    if chunks <= 0:
        raise RuntimeError(f"chunk: expects chunks to be greater than 0; got {chunks}")
    if not size:
        _check_count("chunk", chunks)
        return _pieces(input, d, [0] * chunks)
    return _pieces(input, d, _equal(size, -(-size // chunks)))


@method()
def tensor_split(input, indices_or_sections=None, dim=0, **named):
    """Views of pieces along a dim: so many, of sizes that differ by one at most, or cut at indices.

    >>> import cresset
    >>> cresset.tensor_split(cresset.arange(5), 2)
    (tensor([0, 1, 2]), tensor([3, 4]))
    >>> cresset.tensor_split(cresset.arange(5), (1, 4))
    (tensor([0]), tensor([1, 2, 3]), tensor([4]))
    """
    d, size = _sized_dim("tensor_split", input, dim)
    cuts = _one_of("tensor_split", indices_or_sections, named)
    if isinstance(cuts, Tensor):
        if cuts.layout.ndim > 1 or cuts.layout.dtype.name != "int64":
            raise RuntimeError(
                "tensor_split: expected tensor_indices_or_sections to be a zero-dimensional or "
                f"one-dimensional int64 tensor; got {cuts.layout.dtype} of shape "
                f"{tuple(cuts.layout.shape)}"
            )
        cuts = cuts.tolist()
    if isinstance(cuts, int):
        if cuts <= 0:
            raise RuntimeError("tensor_split: number of sections must be larger than 0; got "
                               f"{cuts}")
        _check_count("tensor_split", cuts)
        least, longer = divmod(size, cuts)
        return _pieces(input, d, [least + (k < longer) for k in range(cuts)])
    made, start = [], 0
    for cut in (*cuts, None):
        begin, end, _ = slice(start, cut).indices(size)
        made.append(narrow(input, d, begin, max(end - begin, 0)))
        start = 0 if cut is None else cut
    return tuple(made)


def _one_of(name, cuts, named):
    """What to cut by, given in place or under the name of what it is: `sections`, `indices`."""
    given = [*named.values(), *[cuts] * (cuts is not None)]
    if len(given) != 1 or not {*named} <= {"sections", "indices", "tensor_indices_or_sections"}:
        raise TypeError(f"{name}(): got {cuts} and {named}; need the number of sections or the "
                        "indices to cut at: 'indices_or_sections', or 'sections', or 'indices'")
    return given[0]


def _split_along(name, least, dim_of):
    """A form of tensor_split along a dim of its own, whose sections are equal."""
    def cut(input, indices_or_sections=None, **named):
        cuts = _one_of(name, indices_or_sections, named)
        if input.layout.ndim < least:
            raise RuntimeError(f"{name}: requires a tensor with at least {least} dimension, but "
                               f"got a tensor with {input.layout.ndim} dimensions!")
        d = dim_of(input.layout.ndim)
        if isinstance(cuts, int):
            size, sections = input.layout.shape[d], cuts
            if sections <= 0 or size % sections:
                raise RuntimeError(
                    f"{name}: attempted to split along dimension {d}, but the size of the "
                    f"dimension {size} is not divisible by the split_size {sections}!"
                )
        return tensor_split(input, cuts, d)

    cut.__name__ = cut.__qualname__ = name
    return cut


hsplit = method()(_split_along("hsplit", 1, lambda rank: min(rank - 1, 1)))
vsplit = method()(_split_along("vsplit", 2, lambda rank: 0))
dsplit = method()(_split_along("dsplit", 3, lambda rank: 2))
hsplit.__doc__ = "tensor_split along the second dim, of a vector along its only one."
vsplit.__doc__ = "tensor_split along the first dim."
dsplit.__doc__ = "tensor_split along the third dim."

# Here a view knows its base whatever its name.
Tensor.unsafe_chunk = unsafe_chunk = chunk
unsafe_split_with_sizes = split_with_sizes


def _iterate(x):
    """The entries along the first dim."""
    if not x.layout.ndim:
        raise TypeError("iter: iteration over a 0-d tensor; it has no dim to go along; use item()")
    return iter(unbind(x, 0))


Tensor.__iter__ = _iterate
