"""Loops: the machine code of a loop nest.

A `Form` is a class of nests: all that the code depends on (ranks, element types, which dim the
vector lanes run along, which strides are 0 or 1), while sizes and strides stay run-time values.
`listing` prints it for people; `write` turns it into LLVM IR.

Blocks of `width` lanes walk the lane dim. The last block is moved back to end where the dim ends,
so it overlaps the one before: there is no remainder loop, and nothing outside is touched.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from cresset.core import scalar
from cresset.core.dtype import dtype
from cresset.core.scalar import Expression
from cresset.kernels import primitives, small_floats
from cresset.runtime import ir
from cresset.runtime.ir import Module, Value

# Where the parts of a complex number stand in it.
PARTS = {"re": 0, "im": 1}


class Role(NamedTuple):
    """What the code knows of an operand.

    `kind` is "in", "out", "number", or "known" for a number among the constants; `along` the
    stride over the lane dim ("0", "1", "re" and "im" for the parts of complex numbers side by side,
    "s" for any other), or of a number its word ("d" or "i"); `still` that it does not move over
    reduced dims.
    """

    kind: str
    dtype: dtype
    along: str
    still: bool


class Form(NamedTuple):
    """A class of loop nests; equal forms share machine code."""

    kept: int
    reduced: int
    lanes_kept: bool
    width: int
    roles: tuple[Role, ...]
    body: tuple
    in_place: bool

    def key(self) -> str:
        return listing(self)


@lru_cache(4096)
def listing(form: Form) -> str:
    """The form as text: one line per operand and per value; equal text means equal code."""
    names: dict[Expression, str] = {}
    lines = [
        f"nest kept={form.kept} reduced={form.reduced} width={form.width} "
        f"lanes={'kept' if form.lanes_kept else 'reduced'}{' in place' if form.in_place else ''}"
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
            lines.append(f"  reduce {spell(*s.lift)} from {s.start!r} by {spell(*s.merge)}")
        else:
            lines.append(f"  store a{s.operand}{' once' if s.kept else ''} = {spell(s.value)}")
    return "\n".join(lines)


def write(form: Form) -> Module:
    """The kernel of a form."""
    module = Module()
    _Writer(module.kernel(), form).write()
    return module


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


def to_memory(f, d: dtype, value: Value) -> Value:
    """A value in registers as its type lies in memory."""
    if d.category == d.BOOL:
        return f.convert(value, ir.vector("i8", ir.lanes(value.type)))
    return small_floats.narrow(f, d, value) if d in small_floats.FORMATS else value


class _Writer:
    """Writes one kernel; holds the words of its argument block and the values known so far."""

    def __init__(self, f, form: Form):
        self.f = f
        self.form = form
        self.arrays = [k for k, r in enumerate(form.roles) if r.kind in ("in", "out")]
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

        self.sizes = [word() for _ in range(form.kept + form.reduced)]
        self.tile, self.tiles = word(), word()
        self.pointers: dict[int, Value] = {}
        self.strides: dict[int, list[Value]] = {}
        for k in self.arrays:
            base = f.load("ptr", f.offset(args, places[k], "i64"))
            self.pointers[k] = f.offset(base, word())
            self.strides[k] = [word() for _ in range(form.kept + form.reduced)]
        self.position = None
        expressions = [e for s in form.body for e in getattr(s, "lift", None) or (s.value,)]
        if any(e.name == "position" for e in scalar.topological(*expressions)):
            self.position = word()
            self.position_strides = [word() for _ in range(form.kept + form.reduced)]
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

    # --- values -----------------------------------------------------------------------------------
    def value(self, e: Expression, lanes: int) -> Value:
        """The value of an expression in the current scope, with `lanes` lanes."""
        for scope in reversed(self.scopes):
            found = scope.get(e)
            if found is not None:
                if ir.lanes(found.type) != lanes:
                    found = self.f.splat(found, lanes)
                    self.scopes[-1][e] = found
                return found
        for part in scalar.topological(e):
            if any(part in scope for scope in self.scopes):
                continue
            args = [self.value(a, lanes) for a in part.args]
            self.scopes[-1][part] = primitives.emit(self.f, part, args, lanes)
        return self.value(e, lanes)

    def stored(self, s, lanes: int) -> Value:
        """What a statement stores; a last conversion from float32 to less is left to the store."""
        e = s.value
        if e.name == "cast" and e.dtype in small_floats.FORMATS and (
            e.args[0].dtype.register == e.dtype.register
        ):
            e = e.args[0]
        return self.value(e, lanes)

    def hoist(self, expressions, moving: set, lanes: int):
        """Compute what does not depend on the `moving` leaves here, outside of the coming loop."""
        still: dict[Expression, bool] = {}
        for e in scalar.topological(*expressions):
            still[e] = e not in moving and all(still[a] for a in e.args)
            if still[e] and e.args:
                self.value(e, lanes)

    def moving(self, within_reduced: bool) -> set:
        """The leaves that change inside a loop: over reduced dims, or over the lane dim."""
        leaves = {
            scalar.argument(k, self.form.roles[k].dtype)
            for k in self.arrays
            if self.form.roles[k].kind == "in"
            and not (within_reduced and self.form.roles[k].still)
        }
        return leaves | {scalar.position()}

    def load_operand(self, k, pointer, at, lanes):
        """Operand k at lane position `at` of the lane dim."""
        f, role = self.f, self.form.roles[k]
        stride = self.strides[k][self.lane_dim]
        if role.along == "0":
            return f.splat(load(f, role.dtype, pointer, 1), lanes)
        if role.along == "1":
            return load(f, role.dtype, f.offset(pointer, at * role.dtype.itemsize), lanes)
        if role.along in PARTS and lanes > 1:
            pairs = load(f, role.dtype, self._pairs_at(k, pointer, at), 2 * lanes)
            return f.shuffle(pairs, None, range(PARTS[role.along], 2 * lanes, 2))
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

    def store_parts(self, k, pointer, at, real, imaginary, keep):
        """Write complex numbers at lane position `at`; operand k is their real part."""
        f, role, lanes = self.f, self.form.roles[k], ir.lanes(real.type)
        order = [part * lanes + lane for lane in range(lanes) for part in (0, 1)]
        target = self._pairs_at(k, pointer, at)
        value = f.shuffle(real, imaginary, order)
        if keep is not None:
            old = f.load(value.type, target, role.dtype.itemsize)
            value = f.select(f.shuffle(keep, keep, order), old, value)
        f.store(value, target, role.dtype.itemsize)

    def store_operand(self, k, pointer, at, value, keep=None):
        """Write operand k at lane position `at`; lanes where `keep` holds stay as they are."""
        f, role = self.f, self.form.roles[k]
        stride = self.strides[k][self.lane_dim]
        lanes, size = ir.lanes(value.type), role.dtype.itemsize
        value = to_memory(f, role.dtype, value)
        if role.along == "1" or lanes == 1:
            target = f.offset(pointer, at * (size if role.along == "1" else stride))
            if keep is not None and lanes > 1:
                value = f.select(keep, f.load(value.type, target, size), value)
            f.store(value, target, size)
            return
        target = f.offset(pointer, at * stride)
        for lane in range(lanes):
            one = f.extract(value, lane)
            if keep is not None:
                one = f.select(f.extract(keep, lane), f.load(one.type, target, size), one)
            f.store(one, target, size)
            if lane + 1 < lanes:
                target = f.offset(target, stride)

    # --- the loops --------------------------------------------------------------------------------
    def write(self):
        f, form = self.f, self.form
        _, begin, end = f.arguments
        self.lane_dim = form.kept - 1 if form.lanes_kept else form.kept + form.reduced - 1
        outer = form.kept - 1 if form.lanes_kept else form.kept
        with f.loop(begin, end) as unit:
            rest, first, count = unit, f.constant("i64", 0), None
            if form.lanes_kept:
                tile = unit if outer == 0 else unit.urem(self.tiles)
                rest = unit if outer == 0 else unit.udiv(self.tiles)
                first = tile * self.tile
                whole = self.sizes[self.lane_dim] - first
                count = f.select(tile.eq(self.tiles - 1), whole, self.tile)
            bases = dict(self.pointers)
            position = self.position
            for d in reversed(range(outer)):
                at = rest if d == 0 else rest.urem(self.sizes[d])
                rest = rest if d == 0 else rest.udiv(self.sizes[d])
                for k in self.arrays:
                    bases[k] = f.offset(bases[k], at * self.strides[k][d])
                if position is not None:
                    position = position + at * self.position_strides[d]
            if form.lanes_kept:
                self._lanes_over_kept(bases, position, first, count)
            else:
                self._lanes_over_reduced(bases, position)
        f.ret()

    def _lanes_over_kept(self, bases, position, first, count):
        """Every lane is a kept point of its own; reduced dims, if any, are loops inside."""
        f, form, width = self.f, self.form, self.width
        last = count - width
        with f.loop(0, count, width) as i:
            at = f.minimum(i, last)
            place = first + at
            keep = None
            if form.in_place and width > 1:
                numbers = f.lane_numbers(ir.vector("i64", width))
                keep = numbers < f.splat(i - at, width)
            if position is not None:
                lanes = self.position_strides[self.lane_dim]
                numbers = f.lane_numbers(ir.vector("i64", width)) if width > 1 else None
                start = position + place * lanes
                vector = f.splat(start, width)
                self.lane_position = vector if numbers is None else (
                    vector + numbers * f.splat(lanes, width)
                )
            self.scopes.append({})
            if position is not None and not form.reduced:
                self.scopes[-1][scalar.position()] = self.lane_position
            for k in self.arrays:
                role = form.roles[k]
                if role.kind == "in" and (role.still or not form.reduced):
                    leaf = scalar.argument(k, role.dtype)
                    self.scopes[-1][leaf] = self.load_operand(k, bases[k], place, width)
            done = 0
            real = None
            for s in form.body:
                if hasattr(s, "lift"):
                    states = self._fold_kept(s, bases, place)
                    for state, e in zip(states, s.lift):
                        self.scopes[-1][scalar.accumulator(done, e.dtype)] = state
                        done += 1
                elif s.kept or not form.reduced:
                    value = self.stored(s, width)
                    along = form.roles[s.operand].along if width > 1 else ""
                    if along == "re":
                        # Written together with the imaginary part, which is the next statement's.
                        real = value
                    elif along == "im":
                        k = s.operand - 1
                        self.store_parts(k, bases[k], place, real, value, keep)
                    else:
                        self.store_operand(s.operand, bases[s.operand], place, value, keep)
                else:
                    self._store_all_kept(s, bases, place)
            self.scopes.pop()

    def _spread(self, value, like):
        return self.f.splat(value, ir.lanes(like.type))

    def _fold(self, dims, bases, position, states, turn):
        """Run `turn(bases, position, states) -> states` in nested loops over `dims`."""
        if not dims:
            return turn(bases, position, states)
        f, d = self.f, dims[0]
        with f.loop(0, self.sizes[d], 1, states) as loop:
            index = loop.index if states else loop
            inner = {k: f.offset(p, index * self.strides[k][d]) for k, p in bases.items()}
            if position is not None:
                step = index * self.position_strides[d]
                position = position + self._spread(step, position)
            carried = loop.values if states else ()
            carried = self._fold(dims[1:], inner, position, carried, turn)
            if states:
                loop.next(*carried)
        return loop.results if states else ()

    def _start(self, s, lanes):
        return [
            self.f.constant(register_type(e.dtype, lanes), number)
            for e, number in zip(s.lift, s.start)
        ]

    def merged(self, s, left, right):
        """The states of both sides joined."""
        count = len(s.lift)
        self.scopes.append({})
        lanes = ir.lanes(left[0].type)
        for k, (a, b, e) in enumerate(zip(left, right, s.lift)):
            self.scopes[-1][scalar.argument(k, e.dtype)] = a
            self.scopes[-1][scalar.argument(count + k, e.dtype)] = b
        # A merge reads nothing but its two states, so values of outer scopes must not be found.
        hidden, self.scopes = self.scopes, self.scopes[-1:]
        out = [self.value(e, lanes) for e in s.merge]
        self.scopes = hidden
        self.scopes.pop()
        return out

    def _fold_kept(self, s, bases, place):
        form, width = self.form, self.width
        dims = list(range(form.kept, form.kept + form.reduced))
        self.hoist(s.lift, self.moving(True), width)

        def turn(inner, position, states):
            self.scopes.append({})
            self._load_moving(inner, place, width)
            if position is not None:
                self.scopes[-1][scalar.position()] = position
            lifted = [self.value(e, width) for e in s.lift]
            states = self.merged(s, states, lifted)
            self.scopes.pop()
            return states

        position = self.lane_position if self.position is not None else None
        return self._fold(dims, bases, position, self._start(s, width), turn)

    def _load_moving(self, inner, place, width):
        for k in self.arrays:
            role = self.form.roles[k]
            if role.kind == "in" and not role.still:
                leaf = scalar.argument(k, role.dtype)
                self.scopes[-1][leaf] = self.load_operand(k, inner[k], place, width)

    def _store_all_kept(self, s, bases, place):
        form, width = self.form, self.width
        self.hoist([s.value], self.moving(True), width)

        def turn(inner, position, states):
            self.scopes.append({})
            self._load_moving(inner, place, width)
            self.store_operand(s.operand, inner[s.operand], place, self.stored(s, width))
            self.scopes.pop()
            return ()

        self._fold(list(range(form.kept, form.kept + form.reduced)), bases, None, (), turn)

    def _lanes_over_reduced(self, bases, position):
        """The lanes run along the innermost reduced dim; each unit is one kept point."""
        f, form = self.f, self.form
        self.scopes.append({})
        for k in self.arrays:
            role = form.roles[k]
            if role.kind == "in" and role.still:
                leaf = scalar.argument(k, role.dtype)
                self.scopes[-1][leaf] = load(f, role.dtype, bases[k], 1)
        done = 0
        for s in form.body:
            if hasattr(s, "lift"):
                states = self._fold_reduced(s, bases, position)
                for state, e in zip(states, s.lift):
                    self.scopes[-1][scalar.accumulator(done, e.dtype)] = state
                    done += 1
            elif s.kept:
                d = form.roles[s.operand].dtype
                f.store(to_memory(f, d, self.stored(s, 1)), bases[s.operand], d.itemsize)
            else:
                self._store_all_reduced(s, bases)
        self.scopes.pop()

    def _blocks(self):
        count = self.sizes[self.lane_dim]
        return count, count - self.width

    def _fold_reduced(self, s, bases, position):
        f, form, width = self.f, self.form, self.width
        dims = list(range(form.kept, form.kept + form.reduced - 1))
        self.hoist(s.lift, self.moving(True), 1)
        count, last = self._blocks()
        numbers = f.lane_numbers(ir.vector("i32", width)) if width > 1 else None

        def turn(inner, position, states):
            with f.loop(0, count, width, states) as loop:
                at = f.minimum(loop.index, last)
                self.scopes.append({})
                self._load_moving(inner, at, width)
                if position is not None:
                    step = self.position_strides[self.lane_dim]
                    start = f.splat(position + at * step, width)
                    if width > 1:
                        ramp = f.lane_numbers(ir.vector("i64", width))
                        start = start + ramp * f.splat(step, width)
                    self.scopes[-1][scalar.position()] = start
                lifted = [self.value(e, width) for e in s.lift]
                new = self.merged(s, loop.values, lifted)
                if width > 1:
                    # The last block overlaps the one before: its first lanes were counted already.
                    seen = f.convert(loop.index - at, "i32")
                    fresh = numbers >= f.splat(seen, width)
                    new = [f.select(fresh, a, b) for a, b in zip(new, loop.values)]
                self.scopes.pop()
                loop.next(*new)
            return loop.results

        states = self._fold(dims, bases, position, self._start(s, width), turn)
        lanes = width
        while lanes > 1:
            lanes //= 2
            low, high = range(lanes), range(lanes, 2 * lanes)
            left = [f.shuffle(v, None, low) if lanes > 1 else f.extract(v, 0) for v in states]
            right = [f.shuffle(v, None, high) if lanes > 1 else f.extract(v, 1) for v in states]
            states = self.merged(s, left, right)
        return states

    def _store_all_reduced(self, s, bases):
        f, form, width = self.f, self.form, self.width
        self.hoist([s.value], self.moving(True), 1)
        count, last = self._blocks()

        def turn(inner, position, states):
            with f.loop(0, count, width) as i:
                at = f.minimum(i, last)
                self.scopes.append({})
                self._load_moving(inner, at, width)
                self.store_operand(s.operand, inner[s.operand], at, self.stored(s, width))
                self.scopes.pop()
            return ()

        self._fold(list(range(form.kept, form.kept + form.reduced - 1)), bases, None, (), turn)
