"""Loops: the machine code of a loop nest.

A `Form` is a class of nests: all that the code depends on (ranks, element types, which dim the
vector lanes run along, which strides are 0 or 1), while sizes and strides stay run-time values.
`listing` prints it for people. A `Writer` turns it into LLVM IR: here is what all schedules share,
the words that a kernel reads, values, loads and stores; `lanes`, `columns` and `turned` hold the
loops.

Blocks of `width` lanes walk the lane dim. The last block is moved back to end where the dim ends,
so it overlaps the one before: there is no remainder loop, and nothing outside is touched. Where
doing a lane twice would show, that block goes a way of its own, which leaves alone what was seen.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from itertools import groupby
from typing import NamedTuple

from cresset.core import dtype as types
from cresset.core import scalar
from cresset.core.dtype import dtype
from cresset.core.scalar import Expression
from cresset.kernels import primitives, small_floats
from cresset.runtime import ir
from cresset.runtime.ir import Value
from cresset.runtime.target import host

# Where the parts of a complex number stand in it.
PARTS = {"re": 0, "im": 1}
# Schedules of which a unit is not a tile of the lane dim, but all of it.
UNCUT = ("reduced", "whole")
LEAST_PAST = 16  # bytes of a vector that is stored past the caches
# Primitives whose results need no rounding to the type of their arguments.
EXACT = ("neg", "abs", "copysign", "where", "maximum", "minimum", "floor", "ceil", "trunc", "round")


class Role(NamedTuple):
    """What the code knows of an operand.

    `kind` is "in", "out", "number", or "known" for a number among the constants; `along` the
    stride over the lane dim ("0", "1", "-1", "re" and "im" for the parts of complex numbers side by
    side, "turned" where neighbours lie along the kept dim before it, "s" for any other), or of a
    number its word ("d" or "i"); `still` that it does not move over reduced dims.
    """

    kind: str
    dtype: dtype
    along: str
    still: bool


class Form(NamedTuple):
    """A class of loop nests; equal forms share machine code.

    `lanes` names the schedule: "kept" or "reduced", after the innermost dim that the vector lanes
    run along, "columns" for lanes along a kept dim with states of many columns in memory, "turned"
    for copies through tiles, "whole" for rows that are not cut (`epilogue`). `rows` are taken at
    once: of columns, rows to be added up. `past` says that results go past the caches.
    """

    kept: int
    reduced: int
    lanes: str
    width: int
    rows: int
    roles: tuple[Role, ...]
    body: tuple
    in_place: bool
    past: bool = False

    def key(self) -> str:
        return listing(self)


@lru_cache(4096)
def listing(form: Form) -> str:
    """The form as text: one line per operand and per value; equal text means equal code."""
    names: dict[Expression, str] = {}
    lines = [
        f"nest kept={form.kept} reduced={form.reduced} width={form.width}"
        f"{f' rows={form.rows}' if form.rows > 1 else ''} lanes={form.lanes}"
        f"{' in place' if form.in_place else ''}{' past caches' if form.past else ''}"
    ]
    for k, role in enumerate(form.roles):
        still = " still" if role.still and form.reduced else ""
        lines.append(f"  a{k}: {role.kind} {role.dtype.name} stride {role.along}{still}")

    def spell(*expressions):
        for e in scalar.topological(*expressions):
            if e in names:
                continue
            if e.name == "constant":
                names[e] = f"{e.value!r}:{e.dtype.code}"
            elif e.name in ("argument", "accumulator"):
                names[e] = f"{e.name[:3]}{e.value}:{e.dtype.code}"
            else:
                names[e] = f"t{len(lines)}"
                args = ", ".join(names[a] for a in e.args)
                lines.append(f"  {names[e]} = {e.name}({args}) : {e.dtype.code}")
        return ", ".join(names[e] for e in expressions)

    for s in form.body:
        if hasattr(s, "lift"):
            first = f"{spell(*s.narrow)} first, " if s.narrow else ""
            blocks = f" in blocks of {s.block}" if any(s.block) else ""
            lines.append(
                f"  reduce {first}{spell(*s.lift)} from {s.start!r} by {spell(*s.merge)}{blocks}"
            )
            lines += [f"  keep a{operand} = {spell(e)}" for operand, e in s.keep]
        else:
            lines.append(f"  store a{s.operand}{' once' if s.kept else ''} = {spell(s.value)}")
    return "\n".join(lines)


@lru_cache(4096)
def register_type(d: dtype, lanes: int) -> str:
    """The type of a value in registers: bits for booleans, float32 for the types below it."""
    return ir.vector(d.register, lanes)


def load(f, d: dtype, pointer: Value, lanes: int) -> Value:
    """`lanes` neighbours from memory."""
    return from_memory(f, d, f.load(ir.vector(d.llvm, lanes), pointer, d.itemsize))


def from_memory(f, d: dtype, value: Value) -> Value:
    """A value in registers that was loaded as its type lies in memory."""
    if d.category == d.BOOL:
        return value.ne(0)
    return small_floats.widen(f, d, value) if d in small_floats.FORMATS else value


def to_memory(f, d: dtype, value: Value, exact: bool = False) -> Value:
    """A value in registers as its type lies in memory; `exact` says that it needs no rounding."""
    if d.category == d.BOOL:
        return f.convert(value, ir.vector("i8", ir.lanes(value.type)))
    return small_floats.narrow(f, d, value, exact) if d in small_floats.FORMATS else value


def reads(form: Form) -> list[Expression]:
    """All that the statements of a form compute."""
    return [
        e for s in form.body
        for e in ((*s.lift, *(kept for _, kept in s.keep)) if hasattr(s, "lift") else (s.value,))
    ]


def greatest_still(expressions, moving) -> list[Expression]:
    """The greatest parts of expressions with no leaf that moves, nor a position; no leaves."""
    fixed: dict[Expression, bool] = {}
    inside: set = set()
    for e in scalar.topological(*expressions):
        fixed[e] = e not in moving and e.name != "position" and all(fixed[a] for a in e.args)
        if not fixed[e]:
            inside.update(a for a in e.args if fixed[a])
    roots = inside | {e for e in expressions if fixed[e]}
    return [e for e in fixed if e in roots and e.args]


class Strides:
    """The strides of an operand along all dims: words, each of which is read if it is needed."""

    def __init__(self, f, first: int):
        self.f = f
        self.first = first
        self.known: dict[int, Value] = {}

    def __getitem__(self, number: int) -> Value:
        f = self.f
        if number not in self.known:
            self.known[number] = f.at_entry(
                lambda: f.load("i64", f.offset(f.arguments[0], self.first + number, "i64"))
            )
        return self.known[number]


class Writer:
    """Writes one kernel; holds the words of its argument block and the values known so far."""

    def __init__(self, f, form: Form):
        self.f = f
        self.form = form
        self.arrays = [k for k, r in enumerate(form.roles) if r.kind in ("in", "out")]
        self.lane_dim = form.kept + (form.reduced if form.lanes == "reduced" else 0) - 1
        # Values in scope, innermost last: expression -> value. An outer scope's value may have one
        # lane where the inner ones have many.
        self.scopes: list[dict[Expression, Value]] = [{}]
        self.width = form.width
        self._read_words()

    # --- the argument block -----------------------------------------------------------------------
    def _read_words(self):
        f, form = self.f, self.form
        args = f.arguments[0]
        # The operands come first, without the numbers that are known, which lead the constants.
        known = [k for k, role in enumerate(form.roles) if role.kind == "known"]
        order = [k for k, role in enumerate(form.roles) if role.kind != "known"] + known
        places = {k: place for place, k in enumerate(order)}
        self._next = len(form.roles)

        def word():
            self._next += 1
            return f.load("i64", f.offset(args, self._next - 1, "i64"))

        def strides():
            self._next += form.kept + form.reduced
            return Strides(f, self._next - form.kept - form.reduced)

        self.sizes = [word() for _ in range(form.kept + form.reduced)]
        # How the lane dim is cut, if it is, and the dim before it, if operands are turned.
        if form.lanes not in UNCUT:
            self.tile, self.tiles = word(), word()
        if form.lanes == "turned":
            self.turned_tile, self.turned_tiles = word(), word()
        self.pointers: dict[int, Value] = {}
        self.strides: dict[int, Strides] = {}
        for k in self.arrays:
            base = f.load("ptr", f.offset(args, places[k], "i64"))
            self.pointers[k] = f.offset(base, word())
            self.strides[k] = strides()
        self.position = None
        self.position_leaf = scalar.position()
        for e in scalar.topological(*reads(form)):
            if e.name == "position":
                self.position_leaf, self.position = e, word()
                self.position_strides = strides()
        for k, role in enumerate(form.roles):
            if role.kind in ("number", "known"):
                at = f.offset(args, places[k], "i64")
                value = f.load("double" if role.along == "d" else "i64", at)
                leaf = scalar.argument(k, role.dtype)
                target = register_type(role.dtype, 1)
                if target == "i1":
                    value = value.ne(0)
                else:
                    value = f.convert(value, target, role.dtype.is_signed)
                self.scopes[0][leaf] = value
        self.settle_numbers()

    # --- values -----------------------------------------------------------------------------------
    def value(self, e: Expression, lanes: int) -> Value:
        """The value of an expression in the current scope, with `lanes` lanes."""
        waiting = [e]
        while waiting:
            part = waiting[-1]
            missing = [] if self._known(part) else [a for a in part.args if not self._known(a)]
            if not missing:
                waiting.pop()
                if not self._known(part):
                    args = [self._spread(a, lanes) for a in part.args]
                    self.scopes[-1][part] = primitives.emit(self.f, part, args, lanes)
            waiting += reversed(missing)
        return self._spread(e, lanes)

    def _known(self, e: Expression) -> bool:
        return any(e in scope for scope in self.scopes)

    def _spread(self, e: Expression, lanes: int) -> Value:
        """The value of a known expression; one of a single lane is spread over all."""
        found = next(scope[e] for scope in reversed(self.scopes) if e in scope)
        if ir.lanes(found.type) != lanes:
            found = self.scopes[-1][e] = self.f.splat(found, lanes)
        return found

    def stored(self, e: Expression, lanes: int) -> Value:
        """What is stored of an expression, as it lies in memory, to which it is rounded once."""
        d = e.dtype
        exact = d is types.bfloat16 and self._unrounded(e)
        if e.name == "cast" and d in small_floats.FORMATS and not self._known(e):
            e = scalar.cast(e.args[0], types.float32)
        return to_memory(self.f, d, self.value(e, lanes), exact)

    def _unrounded(self, e: Expression) -> bool:
        """Whether an expression in bfloat16 is a number of it before any rounding."""
        fits: dict[Expression, bool] = {}
        for part in scalar.topological(e):
            if part.name == "argument":
                fits[part] = self.form.roles[part.value].kind == "in"
            elif part.name == "constant":
                fits[part] = part.value in range(-256, 257)
            else:
                same = (fits[a] for a in part.args if a.dtype is part.dtype)
                fits[part] = part.name in EXACT and all(same)
        return fits[e]

    def still(self, expressions) -> list[Expression]:
        """The greatest parts of expressions that do not change over reduced dims, no leaves."""
        return greatest_still(expressions, {
            scalar.argument(k, role.dtype) for k, role in enumerate(self.form.roles)
            if role.kind == "in" and not role.still
        })

    def settle_numbers(self):
        """Compute at once what numbers alone decide, in one lane."""
        expressions = reads(self.form)
        for e in greatest_still(expressions, {
            e for e in scalar.topological(*expressions)
            if e.name == "accumulator" or (e.name == "argument" and e not in self.scopes[0])
        }):
            self.value(e, 1)

    def merged(self, s, left, right):
        """The states of both sides joined."""
        count = len(s.lift)
        lanes = ir.lanes(left[0].type)
        scope = {}
        for k, (a, b, e) in enumerate(zip(left, right, s.lift)):
            scope[scalar.argument(k, e.dtype)] = a
            scope[scalar.argument(count + k, e.dtype)] = b
        # A merge reads nothing but its two states, so values of outer scopes must not be found.
        hidden, self.scopes = self.scopes, [scope]
        out = [self.value(e, lanes) for e in s.merge]
        self.scopes = hidden
        return out

    def start(self, s, lanes):
        """The states of nothing."""
        return [
            self.f.constant(register_type(e.dtype, lanes), number)
            for e, number in zip(s.lift, s.start)
        ]

    def bring_positions(self, start: Value | None, at: Value):
        """Bring into scope the positions of a block, `at` steps from one; None without any."""
        if start is None:
            return
        f, type = self.f, self.position_leaf.dtype.llvm
        step = self.position_strides[self.lane_dim]
        vector = f.splat(f.convert(start + at * step, type), self.width)
        if self.width > 1:
            steps = f.splat(f.convert(step, type), self.width)
            vector = vector + f.lane_numbers(vector.type) * steps
        self.scopes[-1][self.position_leaf] = vector

    # --- loads and stores -------------------------------------------------------------------------
    def load_operands(self, bases, at, lanes, expressions, still=None):
        """Bring what expressions read of operands into scope, all or only those that are still."""
        for leaf in scalar.arguments(*expressions):
            role = self.form.roles[leaf.value]
            if role.kind == "in" and still in (None, role.still) and not self._known(leaf):
                value = self.load_operand(leaf.value, bases[leaf.value], at, lanes)
                self.scopes[-1][leaf] = value

    def load_operand(self, k, pointer, at, lanes):
        """Operand k at lane position `at` of the lane dim."""
        f, role = self.f, self.form.roles[k]
        size = role.dtype.itemsize
        if role.along == "0":
            return f.splat(load(f, role.dtype, pointer, 1), lanes)
        if role.along in ("1", "turned"):
            return load(f, role.dtype, f.offset(pointer, at, role.dtype.llvm), lanes)
        if role.along == "-1":
            first = f.offset(pointer, (at + (lanes - 1)) * -size)
            value = load(f, role.dtype, first, lanes)
            return value if lanes == 1 else f.shuffle(value, None, range(lanes)[::-1])
        if role.along in PARTS and lanes > 1:
            pairs = load(f, role.dtype, self._pairs_at(k, pointer, at), 2 * lanes)
            return f.shuffle(pairs, None, range(PARTS[role.along], 2 * lanes, 2))
        stride = self.strides[k][self.lane_dim]
        start = f.offset(pointer, at * stride)
        type = ir.vector(role.dtype.llvm, lanes)
        value = f.constant(type, 0)
        for lane in range(lanes):
            one = f.load(role.dtype.llvm, start)
            value = one if lanes == 1 else f.insert(value, one, lane)
            if lane + 1 < lanes:
                start = f.offset(start, stride)
        return from_memory(f, role.dtype, value)

    def _pairs_at(self, k, pointer, at) -> Value:
        """Where the complex number at lane position `at` starts; operand k is one of its parts."""
        role = self.form.roles[k]
        size = role.dtype.itemsize
        return self.f.offset(pointer, at * (2 * size) - PARTS[role.along] * size)

    def store_block(self, k, pointer, at, value, seen=None):
        """Write operand k at lane position `at`.

        Where `seen` is given, so many lanes were written before and stay as they are.
        """
        f, role = self.f, self.form.roles[k]
        lanes = ir.lanes(value.type)
        if seen is None or lanes == 1:
            self._store(k, pointer, at, value)
            return

        if role.along == "1":
            target = f.offset(pointer, at, role.dtype.llvm)

            def kept():
                old = f.load(value.type, target, role.dtype.itemsize)
                return f.select(self.fresh(seen), value, old)

            f.store(f.either(seen.eq(0), lambda: value, kept), target, role.dtype.itemsize)
            return

        def fresh_lanes():
            fresh = self.fresh(seen)
            for lane in range(lanes):
                with f.when(f.extract(fresh, lane)):
                    self._store(k, pointer, at + lane, f.extract(value, lane))

        f.either(seen.eq(0), lambda: self._store(k, pointer, at, value), fresh_lanes)

    def _store(self, k, pointer, at, value):
        f, role = self.f, self.form.roles[k]
        lanes, size = ir.lanes(value.type), role.dtype.itemsize
        if role.along == "1":
            target = f.offset(pointer, at, role.dtype.llvm)
            aligned = min(lanes * size, host().vector_bytes)
            if self.form.past and aligned >= LEAST_PAST:
                f.either(
                    (f.convert(target, "i64") & (aligned - 1)).eq(0),
                    lambda: f.store(value, target, aligned, past=True),
                    lambda: f.store(value, target, size),
                )
            else:
                f.store(value, target, size)
            return
        stride = self.strides[k][self.lane_dim]
        target = f.offset(pointer, at * stride)
        for lane in range(lanes):
            f.store(f.extract(value, lane), target, size)
            if lane + 1 < lanes:
                target = f.offset(target, stride)

    def store_parts(self, k, pointer, at, real, imaginary, seen=None):
        """Write complex numbers at lane position `at`; operand k is their real part."""
        f, role, lanes = self.f, self.form.roles[k], ir.lanes(real.type)
        order = [part * lanes + lane for lane in range(lanes) for part in (0, 1)]
        target = self._pairs_at(k, pointer, at)
        value = f.shuffle(real, imaginary, order)
        if seen is not None:
            fresh = self.fresh(seen)
            old = f.load(value.type, target, role.dtype.itemsize)
            value = f.select(f.shuffle(fresh, fresh, order), value, old)
        f.store(value, target, role.dtype.itemsize)

    def only_fresh(self, s, seen: Value, values: list[Value]) -> list[Value]:
        """A block's values to be folded, with those of nothing where lanes were seen before."""
        f = self.f

        def replaced():
            fresh = self.fresh(seen)
            return [f.select(fresh, v, f.constant(v.type, n)) for v, n in zip(values, s.start)]

        return list(f.either(seen.eq(0), lambda: values, replaced))

    def fresh(self, seen: Value) -> Value:
        """The lanes of a block behind those that were seen before."""
        numbers = self.f.lane_numbers(ir.vector("i32", self.width))
        return numbers >= self.f.splat(self.f.convert(seen, "i32"), self.width)

    # --- loops ------------------------------------------------------------------------------------
    def passes(self) -> Iterator[list]:
        """The statements that one loop does: a fold, or stores, those at every point first.

        All that stores read they read before they write, so they may overwrite it.
        """
        for folding, statements in groupby(self.form.body, lambda s: hasattr(s, "lift")):
            if folding:
                yield from ([s] for s in statements)
                continue
            stores = list(statements)
            for kept in (False, True):
                if any(s.kept == kept for s in stores):
                    yield [s for s in stores if s.kept == kept]

    def write(self):
        """The kernel: a unit is a point of the outer kept dims, and a tile of the inner ones."""
        f, form = self.f, self.form
        outer = form.kept - {"reduced": 0, "turned": 2}.get(form.lanes, 1)
        with f.units() as unit:
            rest, tiles = unit, []
            if form.lanes == "turned":
                tiles.append(self._tile(rest.urem(self.turned_tiles), self.turned_tile,
                                        self.turned_tiles, self.sizes[form.kept - 2]))
                rest = rest.udiv(self.turned_tiles)
            if form.lanes not in UNCUT:
                whole = form.lanes != "turned" and outer == 0
                tiles.append(self._tile(rest if whole else rest.urem(self.tiles), self.tile,
                                        self.tiles, self.sizes[form.kept - 1]))
                rest = rest if whole else rest.udiv(self.tiles)
            bases, position = self.outward(self.pointers, self.position, outer - 1, rest)
            self.unit(bases, position, tiles)
        self.finish()

    def finish(self):
        """Return, once what was stored past the caches is in its place."""
        if self.form.past:
            self.f.fence()
        self.f.ret()

    def outward(self, bases, position, dim, number):
        """The pointers and the position at a point of the dims up to one, by its number."""
        for d in reversed(range(dim + 1)):
            at = number if d == 0 else number.urem(self.sizes[d])
            number = number if d == 0 else number.udiv(self.sizes[d])
            bases, position = self.moved(bases, position, d, at)
        return bases, position

    def _tile(self, number, tile, tiles, size):
        """(first, count) of a tile; the last one takes the rest."""
        first = number * tile
        rest = size - first
        return first, self.f.select(number.eq(tiles - 1), rest, tile)

    def moved(self, bases, position, dim, at):
        """The pointers and the position `at` steps further along a dim."""
        bases = {k: self.f.offset(p, at * self.strides[k][dim]) for k, p in bases.items()}
        if position is not None:
            position = position + at * self.position_strides[dim]
        return bases, position

    def needed(self, bases, expressions, written=()):
        """The bases of the operands that expressions read, and of those written."""
        wanted = {leaf.value for leaf in scalar.arguments(*expressions)}.union(written)
        return {k: base for k, base in bases.items() if k in wanted}

    def over(self, dims, bases, position, states, turn):
        """Run `turn(bases, position, states) -> states` in nested loops over `dims`.

        `bases` are moved: those that the turns need should be there alone.
        """
        if not dims:
            return turn(bases, position, states)
        with self.f.each(0, self.sizes[dims[0]], 1, states) as loop:
            index = loop.index if states else loop
            inner, place = self.moved(bases, position, dims[0], index)
            following = self.over(dims[1:], inner, place, loop.values if states else (), turn)
            if states:
                loop.next(*following)
        return loop.results if states else ()

    def unit(self, bases, position, tiles):
        """The work of one unit; `tiles` are (first place, length) along the tiled dims."""
        raise NotImplementedError
