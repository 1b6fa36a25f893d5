"""Loops whose vector lanes run along the innermost dim: a kept one, or a reduced one."""

from __future__ import annotations

from cresset.core import scalar
from cresset.kernels.loops import Writer, greatest_still, load
from cresset.runtime import ir

ADDED_NARROW = 4  # float32 numbers that are added up before their sum is widened


class KeptLanes(Writer):
    """Every lane is a kept point of its own; there are no reduced dims."""

    def write(self):
        f = self.f
        if self.form.kept > 1:
            super().write()
            return
        # Tiles of the only dim that follow one another are one row.
        _, begin, end = f.arguments
        last = f.select(end.eq(self.tiles), self.sizes[0], end * self.tile)
        self.row(self.pointers, self.position, begin * self.tile, last)
        self.finish()

    def unit(self, bases, position, tiles):
        ((first, count),) = tiles
        self.row(bases, position, first, first + count)

    def row(self, bases, position, first, last):
        """The points first..last along the lane dim, at least one."""
        f, form, width = self.f, self.form, self.width
        final = last - width
        self._settle_still(bases)
        with f.each(first, last, width) as i:
            place = f.minimum(i, final)
            seen = i - place if form.in_place else None
            self.scopes.append({})
            self.bring_positions(position, place)
            self.load_operands(bases, place, width, [s.value for s in form.body])
            real = None
            for s in form.body:
                value = self.stored(s.value, width)
                along = form.roles[s.operand].along if width > 1 else ""
                if along == "re":
                    # Written together with the imaginary part, which is the next statement's.
                    real = value
                elif along == "im":
                    k = s.operand - 1
                    self.store_parts(k, bases[k], place, real, value, seen)
                else:
                    self.store_block(s.operand, bases[s.operand], place, value, seen)
            self.scopes.pop()
        self.scopes.pop()

    def _settle_still(self, bases):
        """Compute once what is the same in all lanes of a row."""
        self.scopes.append({})
        roles = self.form.roles
        expressions = [s.value for s in self.form.body]
        leaves = scalar.arguments(*expressions)
        self.load_operands(
            bases, 0, 1, [leaf for leaf in leaves if roles[leaf.value].along == "0"]
        )
        for e in greatest_still(expressions, {
            leaf for leaf in leaves if roles[leaf.value].along not in ("0", "d", "i")
        }):
            self.value(e, 1)


class WholeRows(KeptLanes):
    """Rows that are not cut into tiles: a unit is one, of any length.

    Those that are asked for at once differ in their place along one dim alone, the last of rows.
    """

    def write(self):
        f, dim = self.f, self.lane_dim - 1
        _, begin, end = f.arguments
        bases, _ = self.outward(self.pointers, None, dim, begin)
        with f.loop(begin, end, carry=list(bases.values())) as row:
            bases = dict(zip(bases, row.values))
            self.row(bases, None, f.constant("i64", 0), self.sizes[-1])
            row.next(*self.moved(bases, None, dim, 1)[0].values())
        f.ret()


class ReducedLanes(Writer):
    """The lanes run along the innermost reduced dim; each unit is one kept point."""

    def unit(self, bases, position, tiles):
        f, form = self.f, self.form
        self.scopes.append({})
        for k in self.arrays:
            role = form.roles[k]
            if role.kind == "in" and role.still:
                self.scopes[-1][scalar.argument(k, role.dtype)] = load(f, role.dtype, bases[k], 1)
        done = 0
        for first, *others in self.passes():
            if hasattr(first, "lift"):
                for state, e in zip(self._folded(first, bases, position), first.lift):
                    self.scopes[-1][scalar.accumulator(done, e.dtype)] = state
                    done += 1
            elif first.kept:
                for s in (first, *others):
                    d = form.roles[s.operand].dtype
                    f.store(self.stored(s.value, 1), bases[s.operand], d.itemsize)
            else:
                self._store_all([first, *others], bases, position)
        self.scopes.pop()

    def _prepare(self, expressions):
        """Compute what does not move here, outside of the coming loops; the dims of the outer."""
        for e in self.still(expressions):
            self.value(e, 1)
        return list(range(self.form.kept, self.form.kept + self.form.reduced - 1))

    def _moving(self, bases, expressions, written):
        """The bases that a pass over the reduced dims moves; what is still was read before."""
        needed = self.needed(bases, expressions, written)
        roles = self.form.roles
        return {k: base for k, base in needed.items() if k in written or not roles[k].still}

    def _folded(self, s, bases, position):
        """The states of all elements."""
        f, width = self.f, s.block[0] or self.form.width
        self.width = width
        narrow = s.narrow if width >= ADDED_NARROW else ()
        lifts = narrow or s.lift
        held = width // ADDED_NARROW if narrow else width
        computed = [*lifts, *(e for _, e in s.keep)]
        dims = self._prepare(computed)
        count = self.sizes[self.lane_dim]
        last = count - width

        def joined(states, lifted):
            if narrow:
                lifted = [f.convert(v, ir.vector("double", held)) for v in halved(f, lifted, held)]
            return self.merged(s, states, lifted)

        def turn(inner, position, states):
            with f.each(0, count, width, states) as loop:
                at = f.minimum(loop.index, last)
                self.scopes.append({})
                self.load_operands(inner, at, width, computed, still=False)
                self.bring_positions(position, at)
                lifted = [self.value(e, width) for e in lifts]
                for operand, e in s.keep:
                    self.store_block(operand, inner[operand], at, self.stored(e, width))

                if width > 1:
                    lifted = self.only_fresh(s, loop.index - at, lifted)
                new = joined(loop.values, lifted)
                self.scopes.pop()
                loop.next(*new)
            return loop.results

        bases = self._moving(bases, computed, [k for k, _ in s.keep])
        states = self.over(dims, bases, position, self.start(s, held), turn)
        lanes = held
        while lanes > 1:
            lanes //= 2
            states = self.merged(s, *zip(*(halves(f, v) for v in states)))
        return states

    def _store_all(self, stores, bases, position):
        f, width = self.f, self.form.width
        self.width = width
        values = [s.value for s in stores]
        dims = self._prepare(values)
        count = self.sizes[self.lane_dim]
        last = count - width

        def turn(inner, position, states):
            with f.each(0, count, width) as i:
                at = f.minimum(i, last)
                self.scopes.append({})
                self.load_operands(inner, at, width, values, still=False)
                self.bring_positions(position, at)
                seen = i - at if self.form.in_place else None
                for s in stores:
                    value = self.stored(s.value, width)
                    self.store_block(s.operand, inner[s.operand], at, value, seen)
                self.scopes.pop()
            return ()

        written = [s.operand for s in stores]
        self.over(dims, self._moving(bases, values, written), position, (), turn)


def halves(f, value):
    """The first and the second half of the lanes."""
    lanes = ir.lanes(value.type) // 2
    if lanes == 1:
        return f.extract(value, 0), f.extract(value, 1)
    return (f.shuffle(value, None, range(lanes)),
            f.shuffle(value, None, range(lanes, 2 * lanes)))


def halved(f, values, lanes):
    """Values added up in halves until so many lanes are left."""
    while ir.lanes(values[0].type) > lanes:
        values = [low + high for low, high in (halves(f, v) for v in values)]
    return values
