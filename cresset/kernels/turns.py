"""Schedules in turns: steps that are repeated along one dim of their operands.

A step of the loop is planned as if it were alone, over *slots*: tensors of which one lies at every
place along the dim. What it writes in one turn another may read in the next, so recurrences over
time are loops of this kind, and one launch.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import contextmanager
from typing import NamedTuple

from cresset.core import scalar
from cresset.core.layout import Layout, contiguous_strides, expand_strides
from cresset.kernels import matmul, nest
from cresset.kernels.schedule import Schedule
from cresset.kernels.tile import FEW_ROWS, Tile
from cresset.runtime.program import Round, Step


class Slot(NamedTuple):
    """A tensor within a value of the program: `start` bytes behind it, `stride` more every turn."""

    place: int
    layout: Layout
    start: int = 0
    stride: int = 0

    def along(self, first: int, step: int) -> Slot:
        """What lies at index `first` of the first dim, and `step` further in every turn."""
        layout = self.layout
        pitch = layout.strides[0] * layout.dtype.itemsize
        inner = layout.restride(layout.shape[1:], layout.strides[1:])
        return Slot(self.place, inner, self.start + first * pitch, step * pitch)

    def columns(self, first: int, end: int) -> Slot:
        """A range of the last dim."""
        layout = self.layout
        pitch = layout.strides[-1] * layout.dtype.itemsize
        part = layout.restride((*layout.shape[:-1], end - first), layout.strides)
        return self._replace(layout=part, start=self.start + first * pitch)

    def parts(self, count: int) -> list[Slot]:
        """The last dim in `count` equal parts."""
        size = self.layout.shape[-1] // count
        return [self.columns(k * size, (k + 1) * size) for k in range(count)]

    def seen(self, shape: Sequence[int], strides: Sequence[int]) -> Slot:
        """The same memory as another shape."""
        return self._replace(layout=self.layout.restride(shape, strides))

    def transposed(self) -> Slot:
        """A matrix with its dims swapped."""
        return self.seen(self.layout.shape[::-1], self.layout.strides[::-1])

    def panels(self, columns: int) -> Slot:
        """A matrix as a batch of matrices of so many columns each."""
        (rows, n), (row, column) = self.layout.shape, self.layout.strides
        count = n // columns if columns else 1
        return self.seen((count, rows, columns), (columns * column, row, column))

    def rows(self, count: int) -> Slot:
        """A vector as each of `count` rows."""
        return self.seen((count, *self.layout.shape), (0, *self.layout.strides))


class Turns(Schedule):
    """A schedule whose steps are planned over slots."""

    @contextmanager
    def repeated(self, turns: int):
        """The steps that are added inside are run in so many turns."""
        begun = len(self.steps)
        yield
        if len(self.steps) > begun:
            # Nests of a loop are not joined to what comes before or after it.
            self.steps[begun:] = [step._replace(nest=None) for step in self.steps[begun:]]
            round = Round(len(self.steps) - begun, turns)
            self.steps[begun] = self.steps[begun]._replace(rounds=(round,))

    def scratch(self, layout: Layout) -> Slot:
        """A new temporary."""
        return Slot(self.temporary(layout.nbytes), layout)

    def add(self, steps: Sequence[Step], slots: Sequence[Slot]) -> None:
        """Add steps whose operands are numbered as the slots."""
        for step in steps:
            chosen = [slots[place] for place in step.operands]
            self.steps.append(step._replace(
                operands=tuple(slot.place for slot in chosen),
                moves=tuple((slot.start, slot.stride) for slot in chosen),
            ))

    def store(self, source: Slot | None, target: Slot) -> None:
        """target = source, or zeros."""
        layouts = (source or target).layout, target.layout
        if source is None:
            value = scalar.constant(0, target.layout.dtype)
        else:
            value = scalar.argument(0, source.layout.dtype)
        operands = tuple(nest.Operand(k, x.dtype, x.strides) for k, x in enumerate(layouts))
        work = nest.Nest(tuple(target.layout.shape), frozenset(), operands,
                         (nest.Store(1, value, False),))
        self.add(nest.steps(work)[0], (source or target, target))

    def product(self, a: Slot, b: Slot, c: Slot, bias: Slot | None = None) -> None:
        """c = a b (+ bias); leading dims are a batch, which a and the bias may lack."""
        *batch, m, n = c.layout.shape
        slots = [a, b, c, bias or c]
        x, y, z, w = (_operand(k, slot.layout, tuple(batch)) for k, slot in enumerate(slots))
        steps, temporaries = matmul.matmul(
            batch, m, n, a.layout.shape[-1], c.layout.dtype, x, y, z, w if bias else None,
            first_temporary=len(slots),
        )
        slots += [Slot(self.temporary(size), c.layout) for size in temporaries]
        self.add(steps, slots)

    def packed(self, b: Slot, rows: int) -> list[Slot]:
        """The matrix b in panels, as products with many matrices of so many rows read it best.

        They are batches of matrices, of one width each: the columns left over are the last.
        """
        n = b.layout.shape[-1]
        tile = Tile.of(b.layout.dtype, rows)
        whole = n // tile.columns * tile.columns
        if rows < FEW_ROWS or not whole or 0 < n - whole < tile.lanes:
            return [b.panels(n)]
        batches = [b.columns(0, whole).panels(tile.columns)]
        if whole < n:
            batches.append(b.columns(whole, n).panels(n - whole))
        packed = []
        for batch in batches:
            shape = batch.layout.shape
            packed.append(self.scratch(batch.layout.restride(shape, contiguous_strides(shape))))
            self.store(batch, packed[-1])
        return packed

    def product_of_panels(self, a: Slot, b: Sequence[Slot], c: Slot, bias: Slot | None = None):
        """c = a b (+ bias) where b is in panels."""
        first = 0
        for panels in b:
            count, _, columns = panels.layout.shape
            end = first + count * columns
            terms = bias and bias.columns(first, end).panels(columns)
            self.product(a, panels, c.columns(first, end).panels(columns), terms)
            first = end


def _operand(place: int, layout: Layout, batch: tuple) -> matmul.Operand:
    """A matrix, or a batch of them, as an operand of a product over such a batch."""
    outer = expand_strides(layout.shape[:-2], layout.strides[:-2], batch)
    return matmul.Operand(place, (*outer, *layout.strides[-2:]))
