"""Compaction: nonzero, masked_select and masked_scatter.

The elements of the mask are taken in row order, in blocks of BLOCK. One program counts the non-zero
elements of each block and leaves, for each, how many come before it, and last how many there are:
the caller reads that to make the output. A second program goes over the blocks in parallel, each
knowing where its first element belongs.

Schedules return (steps, bytes of each temporary); `values` are the places of their tensors in the
value table, in the order of the layouts they take.
"""

from __future__ import annotations

from cresset.core.layout import Layout
from cresset.kernels.walk import Axis, advance, collapse, rows
from cresset.kernels.words import Words
from cresset.runtime import ir
from cresset.runtime.ir import Function, Module, Value
from cresset.runtime.program import Step
from cresset.runtime.target import host

BLOCK = 4096
PIECE = 4  # blocks to a piece of shared work


def counts_shape(mask: Layout) -> tuple[int]:
    """The shape of the int64 tensor that `count_nonzero` fills for a mask.

    >>> from cresset.core.dtype import bool
    >>> counts_shape(Layout.packed((100, 100), bool))
    (4,)
    """
    return (-(-mask.numel // BLOCK) + 1,)


def count_nonzero(x: Layout, counts: Layout, values, first_temporary: int):
    """counts[b] = non-zero elements before block b, and last all of them; values are (x, counts).

    `counts` is contiguous, int64, of the shape `counts_shape(x)`.
    """
    blocks = counts.numel - 1
    steps = []
    if blocks:
        axes = _axes([x], collapse)
        steps.append(_step("count", x, axes, (values[0], values[1])))
    steps.append(Step("compaction.sums", _write_sums, (values[1],), (blocks,), work=blocks))
    return tuple(steps), ()


def nonzero(x: Layout, counts: Layout, out: Layout, values, first_temporary: int):
    """out[n, d] = coordinate d of the n-th non-zero element of x; values are (x, counts, out)."""
    if out.numel == 0:
        return (), ()
    axes = _axes([x])
    size = out.dtype.itemsize
    constants = tuple(stride * size for stride in out.strides)
    return (_step("coordinates", x, axes, values, constants),), ()


def masked_select(x: Layout, mask: Layout, counts: Layout, out: Layout, values,
                  first_temporary: int):
    """out = the elements of x where mask is true; values are (x, mask, counts, out).

    `x` and `mask` are expanded to one shape; `out` has one dim.
    """
    return _masked("select", x, mask, out, values)


def masked_scatter(x: Layout, mask: Layout, counts: Layout, source: Layout, values,
                   first_temporary: int):
    """x where mask is true = source, element after element; values are (x, mask, counts, source).

    `mask` is expanded to the shape of `x`; `source` has one dim, of as many elements as the mask
    has true ones, or more.
    """
    return _masked("scatter", x, mask, source, values)


def _masked(kind, x, mask, line, values):
    if mask.numel == 0 or line.numel == 0:
        return (), ()
    axes = _axes([mask, x], collapse)
    size = x.dtype.itemsize
    constants = (line.strides[0] * size,)
    operands = (values[1], values[2], values[3], values[0])
    return (_step(f"{kind}.i{8 * size}", mask, axes, operands, constants),), ()


def _axes(layouts, merge=list):
    """The axes of a walk over layouts of one shape; never none."""
    axes = [
        Axis(n, tuple(layout.strides[d] * layout.dtype.itemsize for layout in layouts))
        for d, n in enumerate(layouts[0].shape)
    ]
    return merge(axes) or [Axis(1, tuple(layout.dtype.itemsize for layout in layouts))]


def _step(kind, mask, axes, operands, constants=()):
    """The step that goes over the blocks of a mask."""
    type, rank, width = mask.dtype.llvm, len(axes), host().vector_bytes
    run = axes[-1].strides[0] == mask.dtype.itemsize
    words = [mask.numel, *constants]
    for axis in axes:
        words += [axis.size, *axis.strides]
    return Step(
        f"compaction.{kind}.{type}.{rank}.{'run' if run else 'steps'}.{width}",
        lambda: _write(kind, type, rank, run, width),
        tuple(operands), tuple(words), -(-mask.numel // BLOCK), PIECE,
        mask.numel // (16 if run and kind == "count" else 1),
    )


def _write_sums():
    """The kernel that turns the counts of the blocks into those of all blocks before each."""
    module = Module()
    f = module.kernel()
    words = Words(f)
    counts, blocks = words.pointer(), words.integer()
    with f.loop(0, blocks, carry=[f.constant("i64", 0)]) as loop:
        at = f.offset(counts, loop.index, "i64")
        count = f.load("i64", at)
        f.store(loop.values[0], at)
        loop.next(loop.values[0] + count)
    f.store(loop.results[0], f.offset(counts, blocks, "i64"))
    f.ret()
    return module


def _write(kind, type, rank, run, width):
    """The kernel that does something for each non-zero element; a unit is a block.

    A contiguous row is looked through by vectors, whose tests become the bits of a word.
    """
    module = Module()
    f = module.kernel()
    _, begin, end = f.arguments
    kind, _, moved = kind.partition(".")
    words = Words(f)
    mask, counts = words.pointer(), words.pointer()
    others = [words.pointer() for _ in range({"count": 0, "coordinates": 1}.get(kind, 2))]
    walked = [mask, *others[1:]]
    numel = words.integer()
    steps = words.integers({"count": 0, "coordinates": 2}.get(kind, 1))
    axes = [(words.integer(), words.integers(len(walked))) for _ in range(rank)]
    length, strides = axes[-1]

    slot = f.alloca("i64")
    with f.loop(begin, end) as block:
        number = f.offset(counts, block, "i64")
        f.store(f.constant("i64", 0) if kind == "count" else f.load("i64", number), slot)
        start = block * BLOCK
        stop = f.minimum(start + BLOCK, numel)
        sizes = [size for size, _ in axes[:-1]]
        with rows(f, start, stop, length, sizes) as (coordinates, low, high):
            bases = walked
            for coordinate, (_, outer) in zip(coordinates, axes):
                bases = advance(f, bases, outer, coordinate)

            def found(place, at):
                """The element `at` of the row is the `place`-th that is not zero."""
                if kind == "coordinates":
                    target = f.offset(others[0], place * steps[0])
                    for d, coordinate in enumerate([*coordinates, at]):
                        f.store(coordinate, f.offset(target, steps[1] * d))
                elif kind != "count":
                    packed = f.offset(others[0], place * steps[0])
                    spread = f.offset(bases[1], at * strides[1])
                    target, source = (packed, spread) if kind == "select" else (spread, packed)
                    f.store(f.load(moved, source), target)

            place = f.load("i64", slot)
            if run:
                place, low = _by_vectors(f, type, bases[0], low, high, place, found, kind, width)
            with f.loop(low, high, carry=[place]) as loop:
                here = f.load(type, f.offset(bases[0], loop.index * strides[0])).ne(0)
                with f.when(here):
                    found(loop.values[0], loop.index)
                loop.next(loop.values[0] + f.convert(here, "i64"))
            f.store(loop.results[0], slot)
        if kind == "count":
            f.store(f.load("i64", slot), number)
    f.ret()
    return module


def _by_vectors(f: Function, type, row: Value, low, high, place, found, kind, width):
    """The whole vectors of low..high of a row; returns the place reached and where they end."""
    lanes = width // ir.size(type)
    whole = high - ((high - low) & (lanes - 1))
    with f.loop(low, whole, lanes, carry=[place]) as loop:
        value = f.load(ir.vector(type, lanes), f.offset(row, loop.index, type))
        bits = f.bitcast(value.ne(0), f"i{lanes}")
        if lanes < 64:
            bits = f.emit("i64", f"zext {bits} to i64")
        count = f.intrinsic("ctpop", bits)
        if kind != "count":
            with f.loop(0, count, carry=[bits]) as each:
                (left,) = each.values
                lane = f.intrinsic("cttz", left, f.constant("i1", 1), suffix=".i64")
                found(loop.values[0] + each.index, loop.index + lane)
                each.next(left & (left - 1))
        loop.next(loop.values[0] + count)
    return loop.results[0], whole
