"""Selection: the k-th least element of a row, and where it stands, without sorting the row.

The row's keys, of the elements' own size, are put in a list, whose `kernels.threshold` tells which
of them it is. Of equal ones the place decides, as in `sort`.

The schedule returns (steps, bytes of each temporary).
"""

from __future__ import annotations

from math import prod

from cresset.core.dtype import dtype
from cresset.core.layout import Layout
from cresset.kernels.batch import Batch, batch_words, merge
from cresset.kernels.sort import BUCKETS, Buckets, key_of, pieces_of
from cresset.kernels.threshold import PAD, Keys, threshold
from cresset.kernels.words import Words
from cresset.runtime import ir
from cresset.runtime.ir import Module
from cresset.runtime.program import Step
from cresset.runtime.target import host

PACE = 2  # nanoseconds that an element takes
RULES = ("kth", "median", "nanmedian")


def kth(x: Layout, k: int, dim: int, out: Layout, indices: Layout, values, first_temporary: int,
        rule: str = "kth"):
    """out = the k-th least (from 0) of x along dim in the order of `sort`, indices = its place.

    By the rule "median" it is the first NaN, if there is any; by "nanmedian" the lower middle one
    of those that are not NaN, whatever k. The results have `dim` with size 1; values are (x, out,
    indices).
    """
    if indices.numel == 0:
        return (), ()
    axes = [*zip(x.shape, x.strides, out.strides, indices.strides)] or [(1, 1, 1, 1)]
    count, step, *_ = axes.pop(dim)
    sizes, *strides = zip(*axes) if axes else ((), (), (), ())
    sizes, strides = merge(sizes, strides)
    rows, type, width = prod(sizes), x.dtype, host().vector_bytes
    rule = rule if type.is_floating_point else "kth"
    list = -(-(count * type.itemsize + PAD) // 8) * 8
    room = 2 * list + 4 * BUCKETS
    grain = -(-rows // pieces_of(rows, room))
    words = (count, k, step, list, room, grain, *batch_words(sizes, strides))
    launch = Step(f"selection.{rule}.{type.name}.{width}", lambda: _write(type, rule, width),
                  (*values, first_temporary), words, rows, grain, rows * count * PACE)
    return (launch,), (-(-rows // grain) * room,)


def _write(type: dtype, rule: str, width: int) -> Module:
    """The kernel; a unit is a row.

    Words: x, out, indices, room; count, k, step of x; bytes of a list, of room, rows of a piece;
    batch.
    """
    module = Module()
    f = module.kernel()
    _, begin, end = f.arguments
    words = Words(f)
    x, out, indices, room = (words.pointer() for _ in range(4))
    count, k, step, list, bytes, grain = words.integers(6)
    batch = Batch(words, 3)
    start = f.offset(room, begin.udiv(grain) * bytes)
    keys = Keys(f, start, f"i{8 * type.itemsize}", width)
    spare = keys.elsewhere(f.offset(start, list))
    buckets = Buckets(f, f.offset(start, list * 2))
    with f.loop(begin, end) as row:
        line, value, place = (
            f.offset(pointer, offset, element) for pointer, offset, element
            in zip((x, out, indices), batch.offsets(f, row), (type.llvm, type.llvm, "i64"))
        )

        def key(at, lanes=1):
            """Store the keys of elements."""
            elements = f.load(ir.vector(type.llvm, lanes), f.offset(line, at * step, type.llvm))
            f.store(key_of(f, elements, type, False), keys.at(at))

        whole = f.select(step.eq(1), count - (count & (keys.lanes - 1)), 0)
        with f.loop(0, whole, keys.lanes) as at:
            key(at, keys.lanes)
        with f.loop(whole, count) as at:
            key(at)
        rank = _ranked(f, keys, count, k, rule)
        found = keys.place(count, *threshold(keys, spare, buckets, count, rank))
        f.store(f.load(type.llvm, f.offset(line, found * step, type.llvm)), value)
        f.store(found, place)
    f.ret()
    return module


def _ranked(f, keys, count, k, rule):
    """The rank of what is looked for: by some rules that depends on how many are NaN."""
    if rule == "kth":
        return k
    nan = f.constant(keys.type, -1)  # the greatest key, which nothing else has
    present = count - keys.number_of(nan, count)
    if rule == "median":
        return f.select(present < count, present, k)
    middle = (present - 1) >> 1
    return f.select(middle < 0, 0, middle)
