"""Loops over operands some of which are turned: their neighbours lie along another dim.

A tile of a turned operand is first turned over into a buffer that the first cache holds, square by
square in registers; then its rows are read from there as if the operand had lain like the others.
"""

from __future__ import annotations

from collections.abc import Sequence

from cresset.core.dtype import dtype
from cresset.kernels.lanes import KeptLanes
from cresset.runtime import ir
from cresset.runtime.ir import Function, Value

SIDE = 64  # of a tile
GROUP = 16  # bytes of a register within which neighbours change places at once


def square(d: dtype) -> int:
    """The side of the squares that are turned over in registers."""
    return {1: 16, 2: 8, 4: 8, 8: 4}[d.itemsize]


class Turned(KeptLanes):
    """The last two kept dims are walked tile by tile; turned operands lie along the one before."""

    def unit(self, bases, position, tiles):
        f, form = self.f, self.form
        (top, height), (left, length) = tiles
        buffers = {
            k: f.alloca(role.dtype.llvm, SIDE * SIDE)
            for k, role in enumerate(form.roles) if role.along == "turned"
        }
        tall, wide = f.minimum(height, SIDE), f.minimum(length, SIDE)
        with f.loop(0, length, SIDE) as i:
            # What is turned over starts earlier where it would pass the end.
            x = left + f.minimum(i, length - wide)
            with f.loop(0, height, SIDE) as j:
                y = top + f.minimum(j, height - tall)
                for k, buffer in buffers.items():
                    self._turn_over(k, bases[k], buffer, (y, tall), (x, wide))
                with f.loop(j, f.minimum(j + SIDE, height)) as row:
                    inner, place = self.moved(bases, position, form.kept - 2, top + row)
                    for k, buffer in buffers.items():
                        start = (top + row - y) * SIDE - x
                        inner[k] = f.offset(buffer, start, form.roles[k].dtype.llvm)
                    self.row(inner, place, left + i, left + f.minimum(i + SIDE, length))

    def _turn_over(self, k, base, buffer, rows, columns):
        """Fill the buffer with a tile of operand k, rows of which are columns in memory."""
        f, d = self.f, self.form.roles[k].dtype
        step = self.strides[k][self.form.kept - 1]
        (y, tall), (x, wide) = rows, columns
        side = square(d)
        type = ir.vector(d.llvm, side)
        with f.loop(0, tall, side) as i:
            row = f.minimum(i, tall - side)
            with f.loop(0, wide, side) as j:
                column = f.minimum(j, wide - side)
                source = f.offset(f.offset(base, (x + column) * step), y + row, d.llvm)
                loaded = []
                for _ in range(side):
                    loaded.append(f.load(type, source))
                    source = f.offset(source, step)
                target = f.offset(buffer, row * SIDE + column, d.llvm)
                for line, value in enumerate(transposed(f, loaded)):
                    f.store(value, f.offset(target, line * SIDE, d.llvm))


def transposed(f: Function, rows: Sequence[Value]) -> list[Value]:
    """A square of vectors turned over.

    Rows are interleaved within groups of 16 bytes, which processors do in one step, and then whole
    groups change places.
    """
    rows, side = list(rows), len(rows)
    group = min(side, GROUP // ir.size(rows[0].type))
    step = 1
    while step < side:
        for r in range(side):
            if not r & step:
                orders = _interleaved(side, group, step) if step < group else _swapped(side, step)
                pair = rows[r], rows[r + step]
                rows[r], rows[r + step] = (f.shuffle(*pair, order) for order in orders)
        step *= 2
        if step == group:
            bits = group.bit_length() - 1
            rows = [rows[r - r % group + _reversed_bits(r % group, bits)] for r in range(side)]
    return rows


def _interleaved(side, group, step):
    """Orders that join the first and the second halves of two rows' groups, `step` lanes each."""
    return [
        [lane + k + row for first in range(start, side, group)
         for lane in range(first, first + group // 2, step)
         for row in (0, side) for k in range(step)]
        for start in (0, group // 2)
    ]


def _swapped(side, step):
    """Orders that change the second groups of a row for the first ones of the other."""
    lanes = range(side)
    return ([lane + side - step if lane & step else lane for lane in lanes],
            [lane + side if lane & step else lane + step for lane in lanes])


def _reversed_bits(number, bits):
    return sum(1 << (bits - 1 - k) for k in range(bits) if number >> k & 1)
