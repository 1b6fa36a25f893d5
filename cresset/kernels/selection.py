"""Selection: where the k-th least element of a row stands, without sorting the row.

Elements become items as in `kernels.sort`. By each byte of the key, from the first to the last,
only those items are kept that share a bucket with the one that is looked for.

The schedule returns (steps, bytes of each temporary).
"""

from __future__ import annotations

from math import prod

from cresset.core.dtype import dtype
from cresset.core.layout import Layout
from cresset.kernels.batch import Batch, batch_words, merge
from cresset.kernels.sort import (
    BUCKETS,
    PAD,
    Buckets,
    Items,
    digit_of,
    in_order,
    make_item,
    pieces_of,
    place_of,
    room_of,
)
from cresset.kernels.words import Words
from cresset.runtime.ir import Module
from cresset.runtime.program import Step

PACE = 4  # nanoseconds that an element takes


def kth(x: Layout, k: int, dim: int, indices: Layout, values, first_temporary: int):
    """indices = where the k-th least (from 0) of x along dim stands, in the order of `sort`.

    `indices` has `dim` with size 1; values are (x, indices).
    """
    if indices.numel == 0:
        return (), ()
    axes = [*zip(x.shape, x.strides, indices.strides)] or [(1, 1, 1)]
    count, step, _ = axes.pop(dim)
    sizes, *strides = zip(*axes) if axes else ((), (), ())
    sizes, strides = merge(sizes, strides)
    rows, capacity = prod(sizes), count + PAD
    room = room_of(x.dtype, capacity)
    grain = -(-rows // pieces_of(rows, room))
    words = (count, k, step, capacity, room, grain, *batch_words(sizes, strides))
    type = x.dtype
    launch = Step(f"selection.{type.name}", lambda: _write(type), (*values, first_temporary),
                  words, rows, grain, rows * count * PACE)
    return (launch,), (-(-rows // grain) * room,)


def _write(type: dtype) -> Module:
    """The kernel; a unit is a row.

    Words: x, indices, room; count, k, step of x; capacity of a list, bytes of room and rows of a
    piece; batch.
    """
    module = Module()
    f = module.kernel()
    _, begin, end = f.arguments
    words = Words(f)
    x, indices, room = (words.pointer() for _ in range(3))
    count, k, step, capacity, bytes, grain = words.integers(6)
    batch = Batch(words, 2)
    items = Items(f, f.offset(room, begin.udiv(grain) * bytes), capacity, type.itemsize == 8)
    buckets = Buckets(f, items.end)
    top, zero = type.itemsize - 1, f.constant("i64", 0)
    with f.loop(begin, end) as row:
        starts = batch.offsets(f, row)
        line = f.offset(x, starts[0], type.llvm)

        def make(i):
            value = f.load(type.llvm, f.offset(line, i * step, type.llvm))
            item = make_item(f, value, i, type, False)
            items.store(item, i)
            buckets.count(digit_of(item, top))

        buckets.clear()
        in_order(f, count, make)
        with f.loop(0, top + 1, carry=[count, k]) as loop:
            left, rank = loop.values
            byte = top - loop.index

            def divide():
                def count_again(i):
                    buckets.count(digit_of(items.load(i), byte))

                with f.when(byte < top):
                    buckets.clear()
                    in_order(f, left, count_again)
                with f.loop(0, BUCKETS, carry=[zero, zero, zero]) as each:
                    bucket, below, passed = each.values
                    reached = passed <= rank
                    each.next(f.select(reached, each.index, bucket),
                              f.select(reached, passed, below),
                              passed + buckets.size(each.index))
                bucket, below, _ = each.results
                with f.loop(0, left, carry=[zero]) as each:
                    item = items.load(each.index)
                    items.store(item, each.values[0])
                    same = f.convert(digit_of(item, byte).eq(bucket), "i64")
                    each.next(each.values[0] + same)
                return each.results[0], rank - below

            loop.next(*f.either(left.eq(1), lambda: (left, rank), divide))
        place = place_of(items.load(loop.results[1]))
        f.store(place, f.offset(indices, starts[1], "i64"))
    f.ret()
    return module
