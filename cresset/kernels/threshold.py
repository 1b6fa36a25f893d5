"""Thresholds: the key that stands at a rank, found without putting keys in order.

What lies between the least and the greatest key is divided into parts of equal width. The keys in
each part are counted, and those of the part in which the rank lies are kept, to be divided again,
until few are left, which are compared with one another. So it is the values that decide, and not
the width of their type. One pass counts, another keeps, and that by vectors, since few keys are.

Keys are unsigned integers. Their lists lie in memory with PAD bytes behind the last one, which may
be written: vectors end there with keys that change nothing.
"""

from __future__ import annotations

from cresset.kernels.sort import Buckets, in_order
from cresset.runtime import ir
from cresset.runtime.ir import Function, Value

PAD = 256  # bytes behind a list of keys: as many as the vectors of one turn take
FEW = 40  # keys that are compared with one another
PARTS = 8  # bits of the number of parts, at most
TOGETHER = 4  # vectors that a turn takes


class Keys:
    """A list of keys in memory, gone through by vectors."""

    def __init__(self, f: Function, start: Value, type: str, width: int):
        self.f = f
        self.start = start
        self.type = type
        self.width = width
        self.lanes = width // ir.size(type)

    def elsewhere(self, start: Value) -> Keys:
        return Keys(self.f, start, self.type, self.width)

    def at(self, index) -> Value:
        return self.f.offset(self.start, index, self.type)

    def load(self, index, lanes: int = 1) -> Value:
        return self.f.load(ir.vector(self.type, lanes), self.at(index))

    def splat(self, key: Value) -> Value:
        return self.f.splat(key, self.lanes)

    def end_with(self, count: Value, key: Value):
        """Put vectors of a key behind the last of `count` ones."""
        ends = self.splat(key)
        for k in range(TOGETHER):
            self.f.store(ends, self.at(count + k * self.lanes))

    def bounds(self, count: Value) -> tuple[Value, Value]:
        """The least and the greatest of at least one key."""
        f = self.f
        first = self.load(0)
        self.end_with(count, first)
        start = [self.splat(first)] * (2 * TOGETHER)
        with f.loop(0, count, TOGETHER * self.lanes, carry=start) as loop:
            following = []
            for k in range(TOGETHER):
                block = self.load(loop.index + k * self.lanes, self.lanes)
                for name, best in zip(("umin", "umax"), loop.values[2 * k :]):
                    following.append(f.intrinsic(name, best, block))
            loop.next(*following)
        found = []
        for k, name in enumerate(("umin", "umax")):
            best = loop.results[k]
            for other in loop.results[k + 2 :: 2]:
                best = f.intrinsic(name, best, other)
            found.append(f.intrinsic(f"vector.reduce.{name}", best, returns=self.type))
        return found[0], found[1]

    def number_of(self, key: Value, count: Value) -> Value:
        """How many of `count` keys are this one."""
        f = self.f
        wanted = self.splat(key)
        self.end_with(count, key ^ 1)
        with f.loop(0, count, self.lanes, carry=[f.constant("i64", 0)]) as loop:
            same = bits_of(f, self.load(loop.index, self.lanes).eq(wanted))
            loop.next(loop.values[0] + f.intrinsic("ctpop", same))
        return loop.results[0]

    def place(self, count: Value, key: Value, number: Value) -> Value:
        """Where the key stands that as many equal ones come before, of `count` ones."""
        f = self.f
        wanted = self.splat(key)
        self.end_with(count, key)
        with f.repeat(f.constant("i64", 0), number) as loop:
            at, missing = loop.values
            bits = bits_of(f, self.load(at, self.lanes).eq(wanted))
            here = f.intrinsic("ctpop", bits)
            loop.again(here <= missing, at + self.lanes, missing - here)
        with f.loop(0, missing, carry=[bits]) as each:
            (left,) = each.values
            each.next(left & (left - 1))
        return at + lowest(f, each.results[0])

    def keep(self, count: Value, into: Keys, base: Value, reach: Value) -> Value:
        """Copy the keys that are at most `reach` above a base; returns how many there are."""
        f = self.f
        self.end_with(count, base - 1)
        bases, reaches = self.splat(base), self.splat(reach)
        together = group(self.lanes)
        with f.loop(0, count, together * self.lanes, carry=[f.constant("i64", 0)]) as loop:
            tests = [
                (self.load(loop.index + k * self.lanes, self.lanes) - bases).ule(reaches)
                for k in range(together)
            ]

            def copy(lane, end):
                f.store(self.load(loop.index + lane), into.at(end))
                return end + 1

            loop.next(each_lane(f, tests, loop.values[0], copy))
        return loop.results[0]

    def few(self, count: Value, rank: Value) -> tuple[Value, Value]:
        """`threshold` of FEW keys at most: lanes are keys, compared with one after another."""
        f = self.f
        self.end_with(count, f.constant(self.type, -1))
        nothing = f.constant(ir.vector(self.type, self.lanes), 0)
        ranks = self.splat(f.convert(rank, self.type))
        start = [f.constant(self.type, 0), f.constant("i64", 0)]
        with f.loop(0, count, 2 * self.lanes, carry=start) as loop:
            blocks = [self.load(loop.index + k * self.lanes, self.lanes) for k in range(2)]
            with f.loop(0, count, carry=[nothing] * 4) as each:
                other = self.splat(self.load(each.index))
                tests = [test for block in blocks for test in (other.ult(block), other.eq(block))]
                each.next(*(number - f.emit(number.type, f"sext {test} to {number.type}")
                            for number, test in zip(each.values, tests)))
            found = loop.values
            for block, less, equal in zip(blocks, each.results[::2], each.results[1::2]):
                # The difference wraps around where more are less than the rank says.
                bits = bits_of(f, (ranks - less).ult(equal))

                def here(bits=bits, block=block, less=less):
                    lane = lowest(f, bits)
                    before = f.convert(f.extract(less, lane), "i64", signed=False)
                    return f.extract(block, lane), rank - before

                found = f.either(bits.ne(0), here, lambda found=found: tuple(found))
            loop.next(*found)
        return loop.results[0], loop.results[1]


def threshold(keys: Keys, spare: Keys, buckets: Buckets, count: Value, rank: Value):
    """(the key at a rank, the number of equal keys before that rank), both from 0.

    The keys stay; those that are kept go to the spare list, which has room for as many.
    """
    f = keys.f

    def divided():
        with f.repeat(keys.start, count, rank) as loop:
            start, many, place = loop.values
            source = keys.elsewhere(start)
            least, greatest = source.bounds(many)
            spread = f.convert(greatest - least, "i64", signed=False)
            bits = 64 - f.intrinsic("ctlz", spread, f.constant("i1", 0), suffix=".i64")
            # Few keys are divided into fewer parts, which are sooner counted up.
            parts = f.minimum(65 - f.intrinsic("ctlz", many, f.constant("i1", 1)), PARTS)
            shift = f.select(bits > parts, bits - parts, 0)
            narrow = f.convert(shift, keys.type)
            buckets.clear()

            def count_part(i):
                part = (source.load(i) - least).lshr(narrow)
                buckets.count(f.convert(part, "i64", signed=False))

            in_order(f, many, count_part)
            part, below = buckets.find(place)
            base = least + (f.convert(part, keys.type) << narrow)

            def keep():
                reach = (f.constant(keys.type, 1) << narrow) - 1
                return source.keep(many, spare, base, reach)

            left = f.either(shift > 0, keep, lambda: buckets.size(part))
            loop.again((shift > 0) & (left > FEW), spare.start, left, place - below)
        _, left, place = loop.results
        return f.either(shift > 0, lambda: spare.few(left, place), lambda: (base, place))

    return f.either(count <= FEW, lambda: keys.few(count, rank), divided)


# --- masks ----------------------------------------------------------------------------------------
def bits_of(f: Function, mask: Value) -> Value:
    """The lanes of a mask as the bits of a word, the first as the lowest."""
    lanes = ir.lanes(mask.type)
    bits = f.bitcast(mask, f"i{lanes}")
    return bits if lanes == 64 else f.emit("i64", f"zext {bits} to i64")


def lowest(f: Function, bits: Value) -> Value:
    """The lowest bit that is set in a word."""
    return f.intrinsic("cttz", bits, f.constant("i1", 1), suffix=".i64")


def group(lanes: int) -> int:
    """How many vectors' masks `each_lane` takes."""
    return min(TOGETHER, 64 // lanes)


def each_lane(f: Function, masks, carried: Value, visit):
    """carried = visit(lane, carried) for every lane that holds of masks, one after another.

    Hardly any does.
    """
    some = masks[0]
    for mask in masks[1:]:
        some = some | mask

    def visited():
        bits = bits_of(f, masks[0])
        for k, mask in enumerate(masks[1:], 1):
            bits = bits | (bits_of(f, mask) << (k * ir.lanes(mask.type)))
        with f.repeat(bits, carried) as loop:
            left, value = loop.values
            following = visit(lowest(f, left), value)
            left = left & (left - 1)
            loop.again(left.ne(0), left, following)
        return loop.results[1]

    any = f.intrinsic("vector.reduce.or", some, returns="i1")
    return f.either(any, visited, lambda: carried)
