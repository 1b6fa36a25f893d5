"""Tensors as sets: their distinct elements, and membership."""

from __future__ import annotations

from cresset.core import dtype as types
from cresset.core import scalar
from cresset.core.layout import Layout
from cresset.core.tensor import Tensor
from cresset.kernels.nest import Nest, Operand, Store, steps
from cresset.kernels.row_runs import row_runs as find_row_runs
from cresset.kernels.runs import byte_runs
from cresset.kernels.runs import runs as find_runs
from cresset.kernels.search import search
from cresset.kernels.sort import sort as sort_rows
from cresset.ops.creation.tensors import tensor
from cresset.ops.kinds import special
from cresset.ops.kinds.promotion import computed, result_type
from cresset.ops.kinds.widened import all_packed, packed_as
from cresset.ops.memory.resizing import show
from cresset.ops.operation import called, method
from cresset.ops.ordering.sorting import refuse
from cresset.ops.out import with_out
from cresset.ops.shapes.shape import canonical_dim, movedim, narrow, reshape
from cresset.runtime.program import Program

__all__ = ["isin", "unique", "unique_consecutive"]

IDLE = 1 << 16  # bytes that a result may leave unused


@called("unique")
@special(takes_complex=True)
def runs(x: Tensor, in_order, inverse, sized):
    """(their number, the first of each run of equal elements, the run of each element, lengths).

    What is not asked for is left out. There is room for as many runs as there are elements, which
    are sorted first if asked for `in_order`.
    """
    line, count = Layout.packed((x.numel,), x.dtype), Layout.packed((x.numel,), types.int64)
    outputs = [Layout.packed((), types.int64), line]
    groups = len(outputs) if inverse else None
    outputs += [Layout.packed(x.shape, types.int64)] * inverse
    sizes = len(outputs) if sized else None
    outputs += [count] * sized
    here = len(outputs)
    launches, temporaries, place = packed_as(x.dtype, here, x, here + 1)
    order = None
    if in_order and x.dtype.itemsize == 1:
        finding, _ = byte_runs(line, (place, 0, 1), groups, sizes)
        return Program("t", tuple(outputs), (*launches, *finding), tuple(temporaries))
    if in_order:
        refuse("unique", x, types.complex64, types.complex128)
        places = (place, here + 1 + len(temporaries), here + 2 + len(temporaries))
        sorting, room = sort_rows(line, 0, line, count, places, places[2] + 1)
        launches = [*launches, *sorting]
        temporaries = [*temporaries, line.nbytes, count.nbytes, *room]
        _, place, order = places
    finding, _ = find_runs(line, (place, 0, 1), order, groups, sizes)
    return Program("t", tuple(outputs), (*launches, *finding), tuple(temporaries))


@called("isin")
@special(keeps=("x", "tests"))
def member(x: Tensor, tests: Tensor):
    """Which elements are among the tests, both as of their common type."""
    if types.bool in (x.dtype, tests.dtype):
        raise RuntimeError("isin: Unsupported input type encountered for isin(): Bool; convert "
                           "with .to(cresset.uint8)")
    d = computed("isin", result_type([x, tests]))
    refuse("isin", x.cast(d), types.complex64, types.complex128)
    out = Layout.packed(x.shape, types.bool)
    if not tests.numel:
        operand = Operand(0, out.dtype, out.strides)
        nothing = Store(0, scalar.constant(False, types.bool), False)
        launches, _ = steps(Nest(tuple(out.shape), frozenset(), (operand,), (nothing,)))
        return Program("tt", (out,), tuple(launches))
    d, launches, temporaries, places = all_packed(d, 1, (x, tests), 3)
    line, ordered = Layout.packed((tests.numel,), d), 3 + len(temporaries)
    order = line.cast(types.int64)
    sorting, room = sort_rows(line, 0, line, order, (places[1], ordered, ordered + 1), ordered + 2)
    finding, _ = search(line, Layout.packed(x.shape, d), None, out, (ordered, places[0], 0), False)
    temporaries += [line.nbytes, order.nbytes, *room]
    return Program("tt", (out,), (*launches, *sorting, *finding), tuple(temporaries))


def _cut(x, count):
    """A vector of so many elements that were put at the beginning of a longer one.

    It takes over the memory, but where that would be much, and most of it lie idle.
    """
    if x.layout.nbytes > IDLE and 2 * count < x.layout.numel:
        return narrow(x, 0, 0, count).clone()
    part = x.detach()
    return show(part, part.memory, Layout.packed((count,), x.layout.dtype), 0)


@called("unique")
@special(takes_complex=True)
def row_runs(x: Tensor, in_order, inverse, sized):
    """`runs` of the rows of a matrix, with the numbers of the first rows instead of them."""
    if in_order:
        refuse("unique", x, types.complex64, types.complex128)
    count = Layout.packed((x.shape[0],), types.int64)
    outputs = (Layout.packed((), types.int64), *[count] * (1 + inverse + sized))
    here = len(outputs)
    launches, temporaries, place = packed_as(x.dtype, here, x, here + 1)
    groups, sizes = 2 if inverse else None, 2 + inverse if sized else None
    finding, room = find_row_runs(x, in_order, (place, 0, 1), groups, sizes,
                                  here + 1 + len(temporaries))
    return Program("t", outputs, (*launches, *finding), (*temporaries, *room))


def _rows(name, x, dim):
    """x as a matrix of the entries along a dim."""
    d = canonical_dim(name, dim, x.layout.ndim)
    shape = x.layout.shape
    if not x.layout.numel and (shape[d] or shape.count(0) > 1):
        raise RuntimeError(f"{name}: There are 0 sized dimensions, and they aren't selected, so "
                           f"unique cannot be applied; got shape {tuple(shape)} and dim {dim}")
    return d, reshape(movedim(x, d, 0), (shape[d] if shape else 1, -1 if x.layout.numel else 0))


def _distinct(name, x, dim, in_order, inverse, sized):
    """The distinct elements or entries; with them, if asked for, the group of each element and the
    size of each group.
    """
    if x.history is not None:
        x = x.detach()
    if dim is None:
        total, values, *more = runs(x, in_order, bool(inverse), bool(sized))
        count = total.item()
        if sized:
            more[-1] = _cut(more[-1], count)
        values = _cut(values, count)
        return (values, *more) if more else values
    d, rows = _rows(name, x, dim)
    total, firsts, *more = row_runs(rows, in_order, bool(inverse), bool(sized))
    count = total.item()
    if sized:
        more[-1] = _cut(more[-1], count)
    values = x.index_select(d, _cut(firsts, count)) if x.layout.ndim else x
    return (values, *more) if more else values


@method()
def unique(input, sorted=True, return_inverse=False, return_counts=False, dim=None):
    """The distinct elements in order, or the distinct entries along a dim, in lexicographic order.

    With `return_inverse` also which of them each element is, with `return_counts` how often each
    occurs. They are in order whatever `sorted` says. NaN equals nothing.

    >>> import cresset
    >>> cresset.unique(cresset.tensor([3, 1, 3]), return_counts=True)
    (tensor([1, 3]), tensor([1, 2]))
    """
    return _distinct("unique", input, dim, True, return_inverse, return_counts)


@method()
def unique_consecutive(input, return_inverse=False, return_counts=False, dim=None):
    """The first of every run of equal neighbours, of all elements or of entries along a dim.

    >>> import cresset
    >>> cresset.unique_consecutive(cresset.tensor([1, 1, 2, 1]))
    tensor([1, 2, 1])
    """
    return _distinct("unique_consecutive", input, dim, False, return_inverse, return_counts)


@with_out
def isin(elements, test_elements, *, assume_unique=False, invert=False):
    """Which elements are among the test elements, as booleans; either may be a number.

    With `invert` which are not. NaN is never among them.

    >>> import cresset
    >>> cresset.isin(cresset.tensor([1, 2, 3]), cresset.tensor([3, 1]))
    tensor([ True, False,  True])
    """
    if not isinstance(elements, Tensor):
        if not isinstance(test_elements, Tensor):
            raise TypeError("isin(): elements or test_elements must be a Tensor; got two numbers")
        elements = _beside(test_elements, elements)
    elif not isinstance(test_elements, Tensor):
        test_elements = _beside(elements, test_elements)
    found = member(elements, test_elements)
    return ~found if invert else found


def _beside(x, number):
    """A number as a tensor of the type that it has beside x."""
    return tensor(number, dtype=result_type([x.layout, type(number)]), device=x.layout.device)
