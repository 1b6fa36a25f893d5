"""Scans: cumsum and cumprod along one dim.

Sums and products are carried in float64 for floating types and in int64 for integers, as PyTorch
does, and stored in the type of `out`. Along an outer dim, neighbouring columns make the lanes of
vectors; along the innermost one, several rows go side by side to hide the latency of the carry.

Schedules return (steps, bytes of each temporary); `values` are (x, out) in the value table. `out`
shares no memory with `x`. With `reverse` the scan starts from the end.
"""

from __future__ import annotations

from math import prod

from cresset.core.dtype import dtype
from cresset.core.layout import Layout
from cresset.kernels.batch import Batch, batch_words, merge
from cresset.kernels.words import Words
from cresset.runtime import ir
from cresset.runtime.ir import Function, Module, Value
from cresset.runtime.program import Step
from cresset.runtime.target import host

PIECE = 20_000  # elements that a piece of shared work should have
SIDE_BY_SIDE = 4  # rows


def cumsum(x: Layout, dim: int, out: Layout, values, first_temporary: int, reverse: bool = False):
    """out[..., i, ...] = sum over j <= i of x[..., j, ...] (over j >= i in reverse)."""
    return _scan("sum", x, dim, out, values, reverse)


def cumprod(x: Layout, dim: int, out: Layout, values, first_temporary: int, reverse: bool = False):
    """out[..., i, ...] = product over j <= i of x[..., j, ...] (over j >= i in reverse)."""
    return _scan("product", x, dim, out, values, reverse)


def _scan(kind, x, dim, out, values, reverse):
    if out.numel == 0:
        return (), ()
    axes = [*zip(x.shape, x.strides, out.strides)] or [(1, 1, 1)]
    count, *steps = axes.pop(dim)
    starts = [0, 0]
    if reverse:
        starts = [(count - 1) * step for step in steps]
        steps = [-step for step in steps]
    columns = host().vector_bytes // 2
    lane = next((axis for axis in axes if axis[1:] == (1, 1) and axis[0] >= columns), None)
    if lane:
        axes.remove(lane)
        blocks, across, last = -(-lane[0] // columns), columns, lane[0] - columns
    else:
        blocks, across, last = 1, 1, 0
    sizes, strides = merge(*_transposed(axes))
    rows = prod(sizes)
    abreast = 1 if lane or rows < SIDE_BY_SIDE else SIDE_BY_SIDE
    units = blocks * -(-rows // abreast)
    words = (count, *steps, *starts, blocks, last, rows, *batch_words(sizes, strides))
    types = (x.dtype, out.dtype)
    step = Step(
        f"scan.{kind}.{types[0].name}.{types[1].name}.{across}.{abreast}",
        lambda: _write(kind, types, across, abreast),
        tuple(values), words, units, max(1, PIECE // (count * across * abreast)), out.numel,
    )
    return (step,), ()


def _transposed(axes):
    """The sizes, and the strides of each operand."""
    sizes, *strides = zip(*axes) if axes else ((), (), ())
    return sizes, strides


def _write(kind, types, columns, abreast):
    """The kernel of a scan over `abreast` rows of `columns` neighbouring columns.

    Words: x, out; count; steps; starts; column blocks; the last block's first column; rows; batch.
    A block or row beyond the last repeats that.
    """
    module = Module()
    f = module.kernel()
    _, begin, end = f.arguments
    words = Words(f)
    pointers = [words.pointer() for _ in types]
    count, *steps = words.integers(3)
    starts = words.integers(2)
    blocks, last, rows = words.integers(3)
    batch = Batch(words, 2)
    source, target = types
    carrier = ir.vector("double" if target.is_floating_point else "i64", columns)
    with f.loop(begin, end) as unit:
        block, group = unit.urem(blocks), unit.udiv(blocks)
        column = f.minimum(block * columns, last)
        bases = []
        for k in range(abreast):
            row = f.minimum(group * abreast + k, rows - 1)
            bases.append([
                f.offset(pointer, offset + start + column, type.llvm)
                for pointer, offset, start, type in zip(
                    pointers, batch.offsets(f, row), starts, types)
            ])
        first = f.constant(carrier, 0 if kind == "sum" else 1)
        with f.loop(0, count, carry=[first] * abreast) as loop:
            carried, places = [], []
            for value, (base, place) in zip(loop.values, bases):
                at = f.offset(base, loop.index * steps[0], source.llvm)
                item = f.load(ir.vector(source.llvm, columns), at)
                item = _convert(f, _convert(f, item, source, target.llvm), target, carrier)
                carried.append(value + item if kind == "sum" else value * item)
                places.append(f.offset(place, loop.index * steps[1], target.llvm))
            for value, place in zip(carried, places):
                f.store(_convert(f, value, target, target.llvm), place)
            loop.next(*carried)
    f.ret()
    return module


def _convert(f: Function, value: Value, type: dtype, element: str) -> Value:
    """The value in another element type; `type` tells whether its integers are signed."""
    element = ir.vector(ir.element(element), ir.lanes(value.type))
    return f.convert(value, element, signed=type.is_signed)
