"""The first of each row, in order: topk.

Rows of a few elements, and those of which much is asked for, are sorted (`kernels.sort`). Of others
the first part is made items; the threshold of those (`kernels.threshold`) is a limit, and of the
rest of the row only what is beyond it is looked at. The threshold of what was found leaves as many
as are asked for, and only they are sorted. All of it is stable.

Schedules return (steps, bytes of each temporary); `values` are (x, out, indices) in the value
table. `indices` is int64.
"""

from __future__ import annotations

from math import isqrt, prod

from cresset.core.layout import Layout
from cresset.kernels.batch import Batch, batch_words, merge
from cresset.kernels.sort import (
    FEW,
    PAD,
    Buckets,
    Items,
    Row,
    by_radix,
    by_rank,
    first_of_sorted,
    key_of,
    lined_up,
    pieces_of,
    room_of,
)
from cresset.kernels.threshold import Keys, each_lane, threshold
from cresset.kernels.words import Words
from cresset.runtime import ir
from cresset.runtime.ir import Function, Module
from cresset.runtime.program import Step
from cresset.runtime.target import host

LIMITED = 8  # times as many elements as are asked for, from which on a limit pays
SAMPLE = 40  # elements at least that set a limit
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
    rows, capacity = prod(sizes), count + PAD
    room = room_of(x.dtype, capacity)
    grain = -(-rows // pieces_of(rows, room))
    # For a random row one list of items then is as long as the other.
    first = max(k, SAMPLE, isqrt(k * count)) if LIMITED * k <= count else count
    words = (count, k, first, *steps, capacity, room, grain, *batch_words(sizes, strides))
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
    capacity of a list, bytes of room and rows of a piece; batch.
    """
    module = Module()
    f = module.kernel()
    _, begin, end = f.arguments
    words = Words(f)
    pointers = [words.pointer() for _ in range(3)]
    room = words.pointer()
    count, k, first = words.integers(3)
    steps = [f.constant("i64", 1), *words.integers(2)]
    capacity, bytes, grain = words.integers(3)
    batch = Batch(words, 3)
    items = Items(f, f.offset(room, begin.udiv(grain) * bytes), capacity, type.itemsize == 8)
    other = items.at(items.end)
    buckets = Buckets(f, other.end)
    with f.loop(begin, end) as number:
        row = Row(f, pointers, batch.offsets(f, number), steps, type, descending)
        with f.loop(0, first) as i:
            items.store(row.item(i), i)
        with f.repeat(first, first, items.keys, other.keys) as loop:
            at, many, *lists = loop.values
            source, target = map(items.at, lists)
            limit = _select(f, source, target, buckets, many, k, width)
            many = _beyond(f, row, at, count, target, k, limit, width)
            loop.again(at < count, count, many, target.keys, source.keys)
        chosen, spare = map(items.at, loop.results[2:])

        def long():
            row.write_first(by_radix(f, chosen, spare, buckets, k, type.itemsize), k)

        f.either(k <= FEW, lambda: by_rank(f, chosen, spare, k, k, row.write, width), long)
    f.ret()
    return module


def _select(f: Function, source: Items, target: Items, buckets, many, k, width):
    """Put the first k of so many items in another list, in the order in which they stand.

    Returns the key of the last.
    """
    keys = Keys(f, source.keys, "i64", width)
    limit, same = threshold(keys, Keys(f, target.keys, "i64", width), buckets, many, k - 1)
    with f.loop(0, many, carry=[f.constant("i64", 0), same + 1]) as loop:
        end, left = loop.values
        item = source.load(loop.index)
        equal = item[0].eq(limit)
        taken = item[0].ult(limit) | (equal & (left > 0))
        target.store(item, end)
        loop.next(end + f.convert(taken, "i64"), left - f.convert(equal, "i64"))
    return limit


def _beyond(f: Function, row: Row, first, count, chosen: Items, k, limit, width):
    """Add the elements first..count that come before the last of k `chosen` ones, whose key is the
    limit; returns how many are there then.

    They are compared by vectors, several at a time, since hardly any passes. Of equal ones the
    first come first, so none is beyond.
    """
    type, vectors = row.type, 4
    key, lanes = f"i{8 * type.itemsize}", width // type.itemsize

    limit = f.convert(limit if type.itemsize == 8 else limit.lshr(32), key)
    limits = f.splat(limit, lanes)

    def beyond(i, lanes, limit):
        value = f.load(ir.vector(type.llvm, lanes), f.offset(row.x, i, type.llvm))
        return key_of(f, value, type, row.descending).ult(limit)

    def add(i, end):
        chosen.store(row.item(i), end)
        return end + 1

    block = lanes * vectors
    whole = count - (count - first).urem(block)
    with f.loop(first, whole, block, carry=[k]) as loop:
        tests = [beyond(loop.index + v * lanes, lanes, limits) for v in range(vectors)]
        some = tests[0]
        for test in tests[1:]:
            some = some | test

        def gather():
            end = loop.values[0]
            for v, test in enumerate(tests):
                start = loop.index + v * lanes
                end = each_lane(f, test, end, lambda lane, at, start=start: add(start + lane, at))
            return end

        any = f.intrinsic("vector.reduce.or", some, returns="i1")
        loop.next(f.either(any, gather, lambda: loop.values[0]))
    with f.loop(whole, count, carry=[loop.results[0]]) as rest:
        (end,) = rest.values
        passed = beyond(rest.index, 1, limit)
        with f.when(passed):
            add(rest.index, end)
        rest.next(end + f.convert(passed, "i64"))
    return rest.results[0]
