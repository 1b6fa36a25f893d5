"""The first of each row, in order: topk.

Rows of a few elements, and those of which much is asked for, are sorted (`kernels.sort`). Of others
the threshold of the first part (`kernels.threshold`) is a limit: only what is within it, or in the
rest of the row beyond it, comes into question, which vectors find quickly, since little is. The
threshold of that leaves as many as are asked for, and only they are sorted. All of it is stable.

Schedules return (steps, bytes of each temporary); `values` are (x, out, indices) in the value
table. `indices` is int64.
"""

from __future__ import annotations

from math import isqrt, prod

from cresset.core.layout import Layout
from cresset.kernels.batch import Batch, batch_words, merge
from cresset.kernels.sort import (
    BUCKETS,
    FEW,
    Buckets,
    Items,
    Row,
    by_radix,
    by_rank,
    first_of_sorted,
    item_of,
    key_of,
    lined_up,
    pieces_of,
)
from cresset.kernels.threshold import PAD, Keys, each_lane, group, threshold
from cresset.kernels.words import Words
from cresset.runtime import ir
from cresset.runtime.ir import Function, Module
from cresset.runtime.program import Step
from cresset.runtime.target import host

DEARER = 8  # times what an element costs that sets the limit, one costs that is beyond it
PACE = 1  # nanoseconds that an element takes


def topk(x: Layout, k: int, dim: int, out: Layout, indices: Layout, values, first_temporary: int,
         largest: bool = True):
    """out = the k greatest (or least) of x along dim in order; of equals the first come first."""
    count = x.shape[dim] if x.ndim else 1
    if count <= FEW or 4 * k > count or not out.numel:
        return first_of_sorted(x, k, dim, out, indices, values, first_temporary, largest)
    before, copy, x, place = lined_up(x, dim, values[0], first_temporary)
    axes = [*zip(x.shape, x.strides, out.strides, indices.strides)]
    _, _, *steps = axes.pop(dim)
    sizes, *strides = zip(*axes) if axes else ((), (), (), ())
    sizes, strides = merge(sizes, strides)
    rows, size = prod(sizes), x.dtype.itemsize
    # Bytes of a list of keys, and of their places; then come items.
    keys, places, items = (-(-n // 8) * 8 for n in (
        count * size + PAD, 8 * count + PAD, 8 * (k + PAD) * (2 if size == 8 else 1)))
    room = 2 * keys + places + 2 * items + 4 * BUCKETS * size
    grain = -(-rows // pieces_of(rows, room))
    # A random row has so many beyond its limit that both cost the same.
    first = min(count, max(k, isqrt(DEARER * k * count)))
    words = (count, k, first, *steps, keys, places, room, grain, *batch_words(sizes, strides))
    type, width = x.dtype, host().vector_bytes
    order = "descending" if largest else "ascending"
    step = Step(
        f"topk.{type.name}.{order}.{width}", lambda: _write(type, largest, width),
        (place, *values[1:], first_temporary + len(copy)), words, rows, grain, rows * count * PACE,
    )
    return (*before, step), (*copy, -(-rows // grain) * room)


def _write(type, descending, width):
    """The kernel; a unit is a row.

    Words: x, out, indices, room; count, k; elements that set the limit; steps of the results;
    bytes of a list of keys, of places, of room, rows of a piece; batch.
    """
    module = Module()
    f = module.kernel()
    _, begin, end = f.arguments
    words = Words(f)
    pointers = [words.pointer() for _ in range(3)]
    room = words.pointer()
    count, k, first = words.integers(3)
    steps = [f.constant("i64", 1), *words.integers(2)]
    list, length, bytes, grain = words.integers(4)
    batch = Batch(words, 3)
    keys = Keys(f, f.offset(room, begin.udiv(grain) * bytes), f"i{8 * type.itemsize}", width)
    spare = keys.elsewhere(f.offset(keys.start, list))
    places = f.offset(spare.start, list)
    items = Items(f, f.offset(places, length), k + PAD, type.itemsize == 8)
    other = items.at(items.end)
    buckets = Buckets(f, other.end)
    with f.loop(begin, end) as number:
        row = Row(f, pointers, batch.offsets(f, number), steps, type, descending)
        _make(f, row, keys, first)
        limit, _ = _threshold(keys, spare, buckets, first, k - 1)
        many = _add(f, row, keys, places, f.constant("i64", 0), first, limit, "ule")
        many = _add(f, row, keys, places, many, count, limit, "ult", first)
        _keep(f, keys, places, many, items, *_threshold(keys, spare, buckets, many, k - 1))

        def long():
            row.write_first(by_radix(f, items, other, buckets, k, type.itemsize), k)

        f.either(k <= FEW, lambda: by_rank(f, items, other, k, None, row.write, width), long)
    f.ret()
    return module


def _threshold(keys: Keys, spare: Keys, buckets: Buckets, count, rank):
    """`threshold` as a function of its own, since it is called twice."""
    f = keys.f
    found = f.alloca("i64", 2)

    def body(f, start, other, numbers, count, rank, found):
        here = Keys(f, start, keys.type, keys.width)
        key, same = threshold(here, here.elsewhere(other), Buckets(f, numbers), count, rank)
        f.store(f.convert(key, "i64", signed=False), found)
        f.store(same, f.offset(found, 1, "i64"))

    f.shared("threshold", body, keys.start, spare.start, buckets.numbers, count, rank, found)
    key = f.convert(f.load("i64", found), keys.type)
    return key, f.load("i64", f.offset(found, 1, "i64"))


def _by_blocks(f: Function, start, stop, lanes, carried, visit):
    """carried = visit(index, lanes, carried), by blocks of lanes and one by one where they end."""
    whole = stop - (stop - start).urem(lanes)
    with f.loop(start, whole, lanes, carry=[carried]) as loop:
        loop.next(visit(loop.index, lanes, loop.values[0]))
    with f.loop(whole, stop, carry=loop.results) as loop:
        loop.next(visit(loop.index, 1, loop.values[0]))
    return loop.results[0]


def _keys_at(f: Function, row: Row, place, lanes):
    elements = f.load(ir.vector(row.type.llvm, lanes), f.offset(row.x, place, row.type.llvm))
    return key_of(f, elements, row.type, row.descending)


def _make(f: Function, row: Row, keys: Keys, count):
    """List the keys of the first elements."""

    def visit(place, lanes, none):
        f.store(_keys_at(f, row, place, lanes), keys.at(place))
        return none

    zero = f.constant("i64", 0)
    _by_blocks(f, zero, count, keys.lanes, zero, visit)


def _add(f: Function, row: Row, keys: Keys, places, many, stop, limit, within, start=0):
    """List the elements start..stop within a limit behind so many others; how many there are then.
    """

    def add(key, place, end):
        f.store(key, keys.at(end))
        f.store(place, f.offset(places, end, "i64"))
        return end + 1

    def visit(place, lanes, end):
        if lanes == 1:
            key = _keys_at(f, row, place, 1)
            passed = getattr(key, within)(limit)
            with f.when(passed):
                add(key, place, end)
            return end + f.convert(passed, "i64")
        limits = keys.splat(limit)
        masks = [getattr(_keys_at(f, row, place + k * keys.lanes, keys.lanes), within)(limits)
                 for k in range(group(keys.lanes))]

        def found(lane, end):
            return add(_keys_at(f, row, place + lane, 1), place + lane, end)

        return each_lane(f, masks, end, found)

    start = f.value("i64", start)
    return _by_blocks(f, start, stop, keys.lanes * group(keys.lanes), many, visit)


def _keep(f: Function, keys: Keys, places, many, items: Items, limit, same):
    """Make items of the listed elements up to the limit, and of those at it the first."""
    with f.loop(0, many, carry=[f.constant("i64", 0), same + 1]) as loop:
        end, left = loop.values
        key = keys.load(loop.index)
        equal = key.eq(limit)
        taken = key.ult(limit) | (equal & (left > 0))
        items.store(item_of(f, key, f.load("i64", f.offset(places, loop.index, "i64"))), end)
        loop.next(end + f.convert(taken, "i64"), left - f.convert(equal, "i64"))
