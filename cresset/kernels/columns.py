"""Loops over rows whose vector lanes run along a kept dim: every column has states of its own.

Rows are read as they lie in memory, one after another, and the states of a tile of columns stay in
the first cache. A loop down one column after another would meet a new page at every step, and rows
a power of two apart would push each other out of the caches.
"""

from __future__ import annotations

from contextlib import contextmanager

from cresset.core import scalar
from cresset.core.dtype import float64
from cresset.core.scalar import Expression
from cresset.kernels.loops import Writer
from cresset.runtime import ir
from cresset.runtime.ir import Value

COLUMNS = 1024  # whose states there is room for; a tile has fewer, or takes the rest


class Columns(Writer):
    """Folds and stores over the rows of one tile of columns."""

    def unit(self, bases, position, tiles):
        self.bases, self.place = bases, position
        ((self.first, self.count),) = tiles
        # What is known of every column: states, and what follows from them.
        self.scratch: dict[Expression, tuple[Value, str]] = {}
        done = 0
        for first, *others in self.passes():
            if hasattr(first, "lift"):
                states = [scalar.accumulator(done + k, e.dtype) for k, e in enumerate(first.lift)]
                self._fold(first, states)
                done += len(states)
            elif first.kept:
                with self._blocks() as (at, seen):
                    self._store_columns([first, *others], bases, at, seen)
            else:
                self._store_rows([first, *others])

    @contextmanager
    def _blocks(self):
        """Loop over the blocks of the tile: (first column, columns of it that were seen)."""
        with self.f.each(0, self.count, self.width) as i:
            at = self.f.minimum(i, self.count - self.width)
            self.scopes.append({})
            yield at, i - at
            self.scopes.pop()

    # --- what is known of the columns -------------------------------------------------------------
    def _remember(self, e: Expression, at: Value, value: Value):
        """Keep the value of an expression in a block of columns."""
        if e not in self.scratch:
            type = "i8" if e.dtype.register == "i1" else e.dtype.register
            self.scratch[e] = self.f.alloca(type, COLUMNS), type
        pointer, type = self.scratch[e]
        value = self.f.convert(value, ir.vector(type, self.width))
        self.f.store(value, self.f.offset(pointer, at, type))

    def _recall(self, e: Expression, at: Value) -> Value:
        pointer, type = self.scratch[e]
        value = self.f.load(ir.vector(type, self.width), self.f.offset(pointer, at, type))
        return value.ne(0) if e.dtype.register == "i1" else value

    def _bring(self, bases, at, expressions, position=None):
        """Bring into scope what expressions read: the columns' own, operands, the position."""
        leaves, seen, stack = [], set(), list(expressions)
        while stack:
            e = stack.pop()
            if e in seen:
                continue
            seen.add(e)
            if e in self.scratch:
                self.scopes[-1][e] = self._recall(e, at)
            elif e.name == "argument":
                leaves.append(e)
            else:
                stack.extend(e.args)
        self.load_operands(bases, self.first + at, self.width, leaves)
        self.bring_positions(position, self.first + at)

    def _settle(self, expressions):
        """Compute once for each column what does not change from row to row."""
        for e in self.still(expressions):
            if e not in self.scratch:
                with self._blocks() as (at, _):
                    self._bring(self.bases, at, [e])
                    self._remember(e, at, self.value(e, self.width))

    # --- passes over the rows ---------------------------------------------------------------------
    def _rows(self):
        """The reduced dims: the outer ones, and the innermost."""
        form = self.form
        last = form.kept + form.reduced - 1
        return list(range(form.kept, last)), last

    def _fold(self, s, states):
        f, width = self.f, self.width
        rows = s.block[1] or self.form.rows
        narrow = s.narrow if rows > 1 else ()
        lifts = narrow or s.lift
        computed = [*lifts, *(e for _, e in s.keep)]
        self._settle(computed)
        with self._blocks() as (at, _):
            for e, value in zip(states, self.start(s, width)):
                self._remember(e, at, value)

        def lifted_row(at, bases, position):
            self.scopes.append({})
            self._bring(bases, at, computed, position)
            values = [self.value(e, width) for e in lifts]
            for operand, e in s.keep:
                place = self.first + at
                self.store_block(operand, bases[operand], place, self.stored(e, width))
            self.scopes.pop()
            return values

        def joined(held, lifted):
            """The states and some rows joined: rows first, since the states wait in memory."""
            while len(lifted) > 1:
                pairs = zip(lifted[::2], lifted[1::2])
                lifted = [[a + b for a, b in zip(*pair)] if narrow else self.merged(s, *pair)
                          for pair in pairs]
            (values,) = lifted
            if narrow:
                values = [f.convert(v, ir.vector(float64.llvm, width)) for v in values]
            return self.merged(s, held, values)

        outer, inner = self._rows()

        def turn(bases, position, _):
            size = self.sizes[inner]
            with f.each(0, size, rows) as r:
                row = f.minimum(r, size - rows)
                again = r - row
                places = [self.moved(bases, position, inner, row + k) for k in range(rows)]
                with self._blocks() as (at, seen):
                    lifted = [lifted_row(at, *place) for place in places]
                    held = [self._recall(e, at) for e in states]

                    def fresh_ones():
                        values = []
                        for k, row in enumerate(lifted):
                            fresh = self.fresh(f.select(again > k, f.constant("i64", width), seen))
                            values.append([
                                f.select(fresh, v, f.constant(v.type, n))
                                for v, n in zip(row, s.start)
                            ])
                        return joined(held, values)

                    whole = (seen | again).eq(0)
                    new = joined(held, lifted) if width * rows == 1 else f.either(
                        whole, lambda: joined(held, lifted), fresh_ones
                    )
                    for e, value in zip(states, new):
                        self._remember(e, at, value)
            return ()

        bases = self.needed(self.bases, computed, [k for k, _ in s.keep])
        self.over(outer, bases, self.place, (), turn)

    def _store_columns(self, stores, bases, at, seen, position=None):
        """Store a block of columns, of which so many were seen."""
        self._bring(bases, at, [s.value for s in stores], position)
        for s in stores:
            value = self.stored(s.value, self.width)
            self.store_block(s.operand, bases[s.operand], self.first + at, value,
                             seen if self.form.in_place else None)

    def _store_rows(self, stores):
        f = self.f
        values = [s.value for s in stores]
        self._settle(values)
        outer, inner = self._rows()

        def turn(bases, position, _):
            with f.each(0, self.sizes[inner]) as row:
                bases, position = self.moved(bases, position, inner, row)
                with self._blocks() as (at, seen):
                    self._store_columns(stores, bases, at, seen, position)
            return ()

        bases = self.needed(self.bases, values, [s.operand for s in stores])
        self.over(outer, bases, self.place, (), turn)
