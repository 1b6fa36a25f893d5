"""Reading and writing at positions that index tensors name: gather, scatter and advanced indexing.

Every operation here walks one space of positions. At each it touches an element of the *indexed*
tensor (the one that the index tensors point into) and one of the *plain* tensor (what is read out
or written in):

    indexed[base + sum_k index_k[position] * stride_k]   <->   plain[position]

so one kernel serves all of them; which dims the positions have, and how each tensor steps along
them, are run-time words. Reading goes over all axes in parallel. Writing goes over the axes on
which two positions may meet one element serially and in order, so that the last of several writes
wins and sums come out the same every time.

A bounds check runs as a step of its own before anything is written. On failure it stores at the
status block: 1, the flat position in the index tensor, the value found, and which index tensor.
Where elements are only read into memory that nobody has seen, and each by an index of its own,
indices are compared on the way: what is outside is left out and noted in the last word of the
status block, and the check comes afterwards and looks for it only then.

Schedules return (steps, bytes of each temporary). `values` are the places of their tensors in the
value table, in the order of the layouts they take. `negative` says whether positions count from
the end when below zero, which PyTorch allows in x[index] alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from math import prod
from typing import NamedTuple

from cresset.core import dtype as dtypes
from cresset.core.dtype import dtype
from cresset.core.layout import Layout
from cresset.core.scalar import NotComplexError
from cresset.kernels.loops import load, to_memory
from cresset.kernels.walk import Axis, advance, collapse, positions, rows
from cresset.kernels.words import Words
from cresset.runtime import ir
from cresset.runtime.ir import Function, Module, Value
from cresset.runtime.program import STATUS, Step
from cresset.runtime.target import host

PIECE = 20_000  # nanoseconds that a piece of shared work should last
# Of an element, likewise.
PACE = {"run": 0.4, "steps": 1, "picks": 1.5, "lane": 1, "line": 1.5, "point": 3}
SHARED_FROM = 4  # positions by an index from which indices are checked ahead even of reading
OUTSIDE = 3  # the word of the status block that a read sets where an index is outside


class Target(NamedTuple):
    """What one index tensor points into: the size and byte stride of a dim, and its own type."""

    size: int
    stride: int
    type: str


# --- schedules ------------------------------------------------------------------------------------
def index_select(x: Layout, dim: int, index: Layout, out: Layout, values, first_temporary: int,
                 negative: bool = False):
    """out[..., i, ...] = x[..., index[i], ...]; values are (x, index, out).

    `index` has any rank: its dims take the place of `dim` in `out`; one of rank 0 drops `dim`, or
    leaves it with size 1 if `out` has the rank of `x`.
    """
    others, positions, target = _rows(x, dim, index, out)
    axes = sorted(others + positions, key=lambda axis: axis.strides[1], reverse=True)
    return _read(x, axes, [index], [target], (values[0], values[2], values[1]), negative)


def take_rows(weight: Layout, index: Layout, out: Layout, values, first_temporary: int):
    """out[i...] = weight[index[i...]], the embedding; values are (weight, index, out)."""
    return index_select(weight, 0, index, out, values, first_temporary)


def gather(x: Layout, dim: int, index: Layout, out: Layout, values, first_temporary: int,
           negative: bool = False):
    """out[i, j, k] = x[i, index[i, j, k], k] for dim = 1; values are (x, index, out)."""
    others, line, target = _lines(x, dim, index, out)
    axes = sorted(others + line, key=lambda axis: axis.strides[1], reverse=True)
    return _read(x, axes, [index], [target], (values[0], values[2], values[1]), negative)


def index_add(out: Layout, dim: int, index: Layout, source: Layout, values, first_temporary: int,
              reduce: str = "add", negative: bool = False):
    """out[..., index[i], ...] += source[..., i, ...] in order; values are (out, index, source).

    `reduce` is any name in COMBINE, or "put" to write without combining (index_copy). `index` has
    any rank, as in `index_select`; with dim 0 this is the gradient of the embedding.
    """
    others, positions, target = _rows(out, dim, index, source)
    return _checked(
        [_check(index, target.size, values[1], 0, negative)],
        _walk(reduce, out.dtype, others, positions, [target], (values[0], values[2], values[1]),
              negative),
    )


def scatter(out: Layout, dim: int, index: Layout, source: Layout, values, first_temporary: int,
            reduce: str = "put", negative: bool = False):
    """out[i, index[i, j, k], k] = source[i, j, k] for dim = 1; values are (out, index, source).

    `reduce` is "put" or any name in COMBINE: scatter_add is scatter with "add", the gradient of
    `gather`. A number is written by a source of one element expanded with strides 0.
    """
    others, line, target = _lines(out, dim, index, source)
    return _checked(
        [_check(index, target.size, values[1], 0, negative)],
        _walk(reduce, out.dtype, others, line, [target], (values[0], values[2], values[1]),
              negative),
    )


def scatter_add(out: Layout, dim: int, index: Layout, source: Layout, values,
                first_temporary: int):
    """out[i, index[i, j, k], k] += source[i, j, k] for dim = 1; values are (out, index, source)."""
    return scatter(out, dim, index, source, values, first_temporary, "add")


def index(x: Layout, indices: Sequence[Layout | None], out: Layout, values, first_temporary: int,
          negative: bool = True):
    """out = x[indices], advanced indexing; values are (x, *the index tensors, out).

    `indices` has one entry for each leading dim of `x`, None where the dim is taken whole. The
    index tensors are expanded to one shape. `out` has the dims of `indexed_shape`.
    """
    others, positions, targets = _points(x, indices, out)
    axes = sorted(others + positions, key=lambda axis: axis.strides[1], reverse=True)
    operands = (values[0], values[-1], *values[1:-1])
    return _read(x, axes, indices, targets, operands, negative)


def index_put(x: Layout, indices: Sequence[Layout | None], value: Layout, values,
              first_temporary: int, accumulate: bool = False, negative: bool = True):
    """x[indices] = value, or += value to `accumulate`; values are (x, *the index tensors, value).

    Arguments are those of `index`, with `value` expanded to the shape that x[indices] has.
    """
    others, positions, targets = _points(x, indices, value)
    mode = "add" if accumulate else "put"
    return _checked(
        _checks(indices, targets, values[1:-1], negative),
        _walk(mode, x.dtype, others, positions, targets, (values[0], values[-1], *values[1:-1]),
              negative),
    )


def indexed_shape(shape: Sequence[int], indices: Sequence, space: Sequence[int]) -> tuple[int, ...]:
    """The shape of x[indices], where the index tensors broadcast to the shape `space`.

    Dims of adjacent index tensors stand where those stood; otherwise they come first.

    >>> indexed_shape((2, 3, 4, 5), [None, "tensor", "tensor"], (7, 8))
    (2, 7, 8, 5)
    >>> indexed_shape((2, 3, 4, 5), ["tensor", None, "tensor"], (7, 8))
    (7, 8, 3, 5)
    """
    place, others = _place(len(shape), indices)
    kept = [shape[d] for d in others]
    return tuple(kept[:place]) + tuple(space) + tuple(kept[place:])


# --- axes -----------------------------------------------------------------------------------------
def _place(rank, indices):
    """Where the dims of the index space stand in the result, and the dims that are taken whole."""
    named = [d for d, index in enumerate(indices) if index is not None]
    others = [d for d in range(rank) if d not in named]
    adjacent = named == list(range(named[0], named[0] + len(named)))
    return (named[0] if adjacent else 0), others


def _points(x, indices, plain):
    """Axes and targets of advanced indexing."""
    place, others = _place(x.ndim, indices)
    tensors = [index for index in indices if index is not None]
    space = tensors[0].shape
    count, size = len(tensors), x.dtype.itemsize
    kept = []
    for k, d in enumerate(others):
        at = k if k < place else k + len(space)
        strides = (x.strides[d] * size, plain.strides[at] * size, *[0] * count)
        kept.append(Axis(x.shape[d], strides))
    positions = []
    for k, n in enumerate(space):
        steps = [index.strides[k] * index.dtype.itemsize for index in tensors]
        positions.append(Axis(n, (0, plain.strides[place + k] * size, *steps)))
    targets = [
        Target(x.shape[d], x.strides[d] * size, index.dtype.llvm)
        for d, index in enumerate(indices) if index is not None
    ]
    return kept, positions, targets


def _rows(x, dim, index, plain):
    """Axes and target of an index tensor whose dims take the place of `dim`."""
    if x.ndim == 0:
        x, index, plain = (layout.restride((1,), (0,)) for layout in (x, index, plain))
    elif index.ndim == 0 and plain.ndim == x.ndim:
        index = index.restride((1,), (0,))
    indices = [None] * dim + [index]
    others, positions, targets = _points(x, indices, plain)
    return others, positions, targets[0]


def _lines(x, dim, index, plain):
    """Axes and target of an index tensor that holds one position for each element."""
    x, index, plain = (
        layout if layout.ndim else layout.restride((1,), (1,)) for layout in (x, index, plain)
    )
    size = x.dtype.itemsize
    others: list[Axis] = []
    line: list[Axis] = []
    for d, n in enumerate(index.shape):
        step = 0 if d == dim else x.strides[d] * size
        axis = Axis(n, (step, plain.strides[d] * size, index.strides[d] * index.dtype.itemsize))
        (line if d == dim else others).append(axis)
    return others, line, Target(x.shape[dim], x.strides[dim] * size, index.dtype.llvm)


# --- the walk -------------------------------------------------------------------------------------
def _checked(checks, walk):
    return tuple(step for step in (*checks, walk) if step is not None), ()


def _read(x, axes, indices, targets, operands, negative):
    """The steps that read at every position; each index is compared once."""
    touched = prod(axis.size for axis in axes)
    if not touched:
        # There is nothing to read, and indices can be wrong all the same.
        return _checked(_checks(indices, targets, operands[2:], negative), None)
    named = sum(index.numel for index in indices if index is not None)
    notes = named * SHARED_FROM > touched
    walk = _walk("read", x.dtype, axes, [], targets, operands, negative, notes)
    checks = _checks(indices, targets, operands[2:], negative, late=notes)
    return ((walk, *checks) if notes else (*checks, walk)), ()


def _walk(mode, type: dtype, parallel, serial, targets, operands, negative, notes=False):
    """The step that reads, puts or combines at every position; None where there is none.

    If it `notes`, it leaves out what is outside and says so in the status block.

    Loops nest as parallel axes, serial axes, the innermost parallel axis (`inner`). How the
    innermost goes is part of the kernel: a "run" is contiguous on both sides, "steps" is not;
    "picks" loads an index for each element, "lane" too where the indices and the plain side are
    contiguous; "point" has no innermost loop, nor has "line", whose last serial axis is contiguous.
    """
    if 0 in [axis.size for axis in (*parallel, *serial)]:
        return None
    if mode in ("maximum", "minimum") and type.is_complex:
        raise NotComplexError(mode, type)
    if mode == "add" and type.is_complex:
        # Sums of complex numbers are sums of their parts, which lie side by side.
        type = type.to_real()
        parallel = [*parallel, Axis(2, (type.itemsize, type.itemsize, *[0] * len(targets)))]
    if mode != "read":
        parallel = sorted(parallel, key=lambda axis: axis.strides[0], reverse=True)
    parallel, serial = collapse(parallel), collapse(serial)
    still = Axis(1, (0,) * (2 + len(targets)))
    inner = parallel[-1] if parallel else still
    name, size = f"i{8 * type.itemsize}", type.itemsize
    if mode in COMBINE:
        name = type.name
    if not parallel:
        kind = "point"
    elif any(inner.strides[2:]):
        packed = all(step == ir.BITS[t.type] // 8 for step, t in zip(inner.strides[2:], targets))
        kind = "lane" if packed and inner.strides[1] == size else "picks"
    else:
        whole = inner.strides[:2] == (size, size) and not (mode in COMBINE and type.is_complex)
        kind = "run" if whole else "steps"
    if kind in ("picks", "steps", "lane") and serial and serial[-1].strides[1] < inner.strides[1]:
        kind = "point"
    if kind == "point":
        inner = still
        near = (size, *(ir.BITS[t.type] // 8 for t in targets))
        if targets and serial and serial[-1].strides[1:] == near:
            kind = "line"
    else:
        parallel = parallel[:-1]
    if kind == "run" and mode not in COMBINE:
        # Runs are copied by bytes, which both sides step along one by one.
        inner, name = Axis(inner.size * size, (1, 1, *inner.strides[2:])), "i8"

    turns = prod(axis.size for axis in serial)
    pace = turns * (0.1 if name == "i8" and kind == "run" else PACE[kind])
    units = inner.size * prod(axis.size for axis in parallel)
    constants = [inner.size, *inner.strides]
    for axis in (*parallel, *serial):
        constants += [axis.size, *axis.strides]
    for target in targets:
        constants += [target.size, target.stride]
    width, sign = host().vector_bytes, "signed" if negative else "plain"
    if notes:
        operands, sign = (*operands, STATUS), f"{sign}.notes"
    types = tuple(target.type for target in targets)
    dense = tuple(target.stride == type.itemsize for target in targets)
    found = ".".join(name + ".dense" * near for name, near in zip(types, dense))
    shape = (len(parallel), len(serial))
    return Step(
        f"index.{mode}.{name}.{kind}.{found}.{shape[0]}.{shape[1]}.{sign}.{width}",
        lambda: _write_walk(mode, name, type.itemsize, kind, types, dense, shape, negative, notes,
                            width),
        tuple(operands), tuple(constants), units,
        max(int(PIECE / pace), 512 if kind == "run" else 1), int(units * pace),
    )


def _write_walk(mode, name, size, kind, types, dense, shape, negative, notes, width):
    """The kernel of `_walk`: a unit is one element of the innermost axis.

    Elements take `size` bytes. An index that is `dense` points at neighbours.
    """
    module = Module()
    f = module.kernel()
    _, begin, end = f.arguments
    words = Words(f)
    pointers = [words.pointer() for _ in range(2 + len(types))]
    status = words.pointer() if notes else None
    length, *steps = words.integers(1 + len(pointers))
    outer, serial = (
        [(words.integer(), words.integers(len(pointers))) for _ in range(count)] for count in shape
    )
    targets = [(words.integer(), words.integer()) for _ in types]
    zero = f.constant("i64", 0)

    def locate(bases, indices, act):
        """act(address on the indexed side, on the plain side), once the positions are known."""
        address, plain = bases
        inside = None
        for type, index, near, (extent, stride) in zip(types, indices, dense, targets):
            position = f.convert(f.load(type, index), "i64")
            if negative:
                position = position + ((position >> 63) & extent)
            within = position.ult(extent)
            inside = within if inside is None else inside & within
            # Processors multiply by the size of an element as they address it.
            address = (f.offset(address, position, f"i{8 * size}") if near
                       else f.offset(address, position * stride))
        if status is None:
            act(address, plain)
        else:
            f.either(inside, lambda: act(address, plain), note)

    def note():
        f.store(f.constant("i64", 1), f.offset(status, OUTSIDE, "i64"))

    def touch(indexed, plain):
        _touch(f, mode, name, indexed, plain)

    def lanes(bases, low, high, count, step):
        """The points low..high, `count` at a time; `step` bytes apart on the indexed side."""
        with f.loop(low, high, count, carry=[f.offset(bases[0], low * step)]) as loop:
            (indexed,) = loop.values
            for j in (loop.index + k for k in range(count)):
                plain = f.offset(bases[1], j, f"i{8 * size}")
                indices = [f.offset(base, j, type) for base, type in zip(bases[2:], types)]
                locate((indexed, plain), indices, touch)
                indexed = f.offset(indexed, step)
            loop.next(indexed)

    def by_fours(bases, low, high, step):
        whole = high - ((high - low) & 3)
        lanes(bases, low, whole, 4, step)
        lanes(bases, whole, high, 1, step)

    def innermost(bases, low, high):
        if kind == "point":
            locate(bases[:2], bases[2:], touch)
        elif kind == "picks":
            in_turn(advance(f, bases, steps, low), [(high - low, steps)],
                    lambda at: locate(at[:2], at[2:], touch))
        elif kind == "lane":
            by_fours(bases, low, high, steps[0])
        else:
            locate(bases[:2], bases[2:], lambda *at: run(advance(f, at, steps, low), high - low))

    def run(at, count):
        indexed, plain = at
        if kind == "steps":
            in_turn(at, [(count, steps[:2])], lambda at: touch(*at))
        elif mode in COMBINE:
            _combine_run(f, mode, name, indexed, plain, count, width)
        else:
            source, target = (indexed, plain) if mode == "read" else (plain, indexed)
            copy_bytes(f, target, source, count, width)

    def unit(coordinates, low=None, high=None):
        bases = pointers
        for coordinate, (_, strides) in zip(coordinates, outer):
            bases = advance(f, bases, strides, coordinate)
        if kind == "line":
            *others, (count, strides) = serial
            in_turn(bases, others, lambda bases: by_fours(bases, zero, count, strides[0]))
        else:
            in_turn(bases, serial, lambda bases: innermost(bases, low, high))

    def in_turn(bases, axes, act):
        """act(addresses) at every position of the axes, in order."""
        if not axes:
            act(bases)
            return
        (count, strides), *rest = axes
        with f.loop(0, count, carry=bases) as loop:
            in_turn(loop.values, rest, act)
            loop.next(*map(f.offset, loop.values, strides))

    sizes = [count for count, _ in outer]
    if kind in ("point", "line"):
        with positions(f, begin, end, sizes) as (_, coordinates):
            unit(coordinates)
    else:
        with rows(f, begin, end, length, sizes) as (coordinates, low, high):
            unit(coordinates, low, high)
    f.ret()
    return module


def _touch(f: Function, mode, name, indexed, plain):
    """One element."""
    if mode in COMBINE:
        type = getattr(dtypes, name)
        if type.is_complex:
            _multiply_complex(f, type.to_real(), indexed, plain)
            return
        old, new = load(f, type, indexed, 1), load(f, type, plain, 1)
        f.store(to_memory(f, type, COMBINE[mode](f, type, old, new)), indexed)
    else:
        source, target = (indexed, plain) if mode == "read" else (plain, indexed)
        f.store(f.load(name, source), target)


def _multiply_complex(f: Function, part: dtype, indexed, plain):
    """One complex number multiplied by another; their parts have the type `part`."""
    (a, b), (c, d) = (
        [f.load(part.llvm, f.offset(place, k, part.llvm)) for k in range(2)]
        for place in (indexed, plain)
    )
    f.store(a * c - b * d, indexed)
    f.store(a * d + b * c, f.offset(indexed, 1, part.llvm))


def _combine_run(f: Function, mode, name, indexed, plain, count, width):
    """A contiguous run: whole vectors, then single elements."""
    type = getattr(dtypes, name)
    lanes = width // type.itemsize
    whole = count - (count & (lanes - 1))
    with f.loop(0, whole, lanes) as i:
        at = f.offset(indexed, i, type.llvm)
        old = load(f, type, at, lanes)
        new = load(f, type, f.offset(plain, i, type.llvm), lanes)
        f.store(to_memory(f, type, COMBINE[mode](f, type, old, new)), at, type.itemsize)
    with f.loop(whole, count) as i:
        _touch(f, mode, name, f.offset(indexed, i, type.llvm), f.offset(plain, i, type.llvm))


def copy_bytes(f: Function, target: Value, source: Value, count: Value, width: int):
    """Copy `count` bytes, a vector at a time; the last vector overlaps the one before it."""

    def at(size, place):
        f.store(f.load(f"<{size} x i8>", f.offset(source, place)), f.offset(target, place))

    def block(size):
        if size == 2:
            with f.loop(0, count) as i:
                f.store(f.load("i8", f.offset(source, i)), f.offset(target, i))
            return

        def whole():
            with f.loop(0, count - size, size) as i:
                at(size, i)
            at(size, count - size)

        f.either(count >= size, whole, lambda: block(size // 2))

    block(width)


# --- combining ------------------------------------------------------------------------------------
def _extreme(greater):
    """The greater or the lesser of two values; NaN where either is NaN."""

    def combine(f, type, old, new):
        if type.is_floating_point:
            first = (old > new) if greater else (old < new)
            first = first | old.unordered(old)
        elif type.is_signed:
            first = (old > new) if greater else (old < new)
        else:
            first = old.ugt(new) if greater else old.ult(new)
        return f.select(first, old, new)

    return combine


COMBINE = {
    "add": lambda f, type, old, new: old | new if type is dtypes.bool else old + new,
    "multiply": lambda f, type, old, new: old & new if type is dtypes.bool else old * new,
    "maximum": _extreme(greater=True),
    "minimum": _extreme(greater=False),
}


# --- bounds ---------------------------------------------------------------------------------------
def check(index: Layout, size: int, value: int) -> tuple:
    """The steps that find an element of `index` outside 0..size; there are none for no element."""
    return _checked([], _check(index, size, value, 0, False))[0]


def _checks(indices, targets, values, negative, late=False):
    tensors = [index for index in indices if index is not None]
    return [
        _check(index, target.size, value, which, negative, late)
        for which, (index, target, value) in enumerate(zip(tensors, targets, values))
    ]


def _check(index: Layout, size: int, value: int, which: int, negative: bool, late: bool = False):
    """The step that finds the first element of `index` outside 0..size (or -size..size).

    A `late` one only looks where something outside has been noted.
    """
    if index.numel == 0:
        return None
    weight = 1
    axes: list[Axis] = []
    for n, stride in reversed(list(zip(index.shape, index.strides))):
        if stride != 0:
            axes.insert(0, Axis(n, (stride * index.dtype.itemsize, weight)))
        weight *= n
    axes = collapse(axes)
    if not axes:
        axes = [Axis(1, (index.dtype.itemsize, 1))]
    run = axes[-1].strides[0] == index.dtype.itemsize
    low = -size if negative else 0
    constants = [low, size - low, which, int(late)]
    for axis in axes:
        constants += [axis.size, *axis.strides]
    width, type, rank = host().vector_bytes, index.dtype.llvm, len(axes)
    return Step(
        f"index.check.{type}.{rank}.{'run' if run else 'steps'}.{width}",
        lambda: _write_check(type, rank, run, width),
        (value, STATUS), tuple(constants),
        work=0 if late else prod(axis.size for axis in axes) // 2,
    )


def _write_check(type, rank, run, width):
    """The kernel of `_check`: one unit; rows are tested by vectors, and again singly if bad."""
    module = Module()
    f = module.kernel()
    words = Words(f)
    index, status = words.pointer(), words.pointer()
    low, span, which, late = words.integers(4)
    axes = [words.integers(3) for _ in range(rank)]
    length, step, weight = axes[-1]
    with f.leave(late.ne(0) & f.load("i64", f.offset(status, OUTSIDE, "i64")).eq(0)):
        f.ret()

    def outside(value):
        """Whether a 64-bit value is below `low` or not below `low + span`."""
        return (value - low).uge(span)

    def search(row, base):
        with f.loop(0, length) as i:
            value = f.convert(f.load(type, f.offset(row, i * step)), "i64")
            fresh = f.load("i64", status).eq(0)
            with f.when(outside(value) & fresh):
                for k, word in enumerate((f.constant("i64", 1), base + i * weight, value, which)):
                    f.store(word, f.offset(status, k, "i64"))

    with ExitStack() as loops:
        row, base = index, f.constant("i64", 0)
        for size, stride, part in axes[:-1]:
            i = loops.enter_context(f.loop(0, size))
            row, base = f.offset(row, i * stride), base + i * part
        if run:
            lanes = width // 4
            narrow, wide = ir.vector(type, lanes), ir.vector("i64", lanes)
            lows, highs = f.splat(low, lanes), f.splat(low + span - 1, lanes)
            whole = length - (length & (lanes - 1))
            clear = f.constant(wide, 0)
            with f.loop(0, whole, lanes, carry=[clear]) as loop:
                value = f.convert(f.load(narrow, f.offset(row, loop.index, type)), wide)
                # Below zero where it is below the least or above the greatest.
                loop.next(loop.values[0] | (value - lows) | (highs - value))
            clear = f.constant("i1", 0)
            with f.loop(whole, length, carry=[clear]) as rest:
                value = f.convert(f.load(type, f.offset(row, rest.index, type)), "i64")
                rest.next(rest.values[0] | outside(value))
            vectors = f.intrinsic("vector.reduce.or", loop.results[0] < 0, returns="i1")
            with f.when(vectors | rest.results[0]):
                search(row, base)
        else:
            search(row, base)
    f.ret()
    return module
