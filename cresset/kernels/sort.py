"""Sorting: sort, with the places that the elements come from.

Every element becomes an unsigned key whose order is the one asked for: descending is the complement
of ascending, NaN counts as the greatest and -0 equals 0. Rows of a few elements are sorted by rank,
counting for each element those before it. Longer ones go through a radix sort by bytes of the key,
from the last to the first, and a byte that all share is skipped; of 64 bits the leading 32 in which
the row's keys differ are enough but for some neighbours. All of it is stable.

An item is a key and a place: packed in one word where the key has up to 32 bits, else two words.

Schedules return (steps, bytes of each temporary); `values` are (x, out, indices) in the value
table. `indices` is int64.
"""

from __future__ import annotations

from math import prod

from cresset.core import scalar
from cresset.core.dtype import dtype
from cresset.core.layout import Layout, contiguous_strides
from cresset.kernels.batch import Batch, batch_words, merge
from cresset.kernels.nest import Nest, Operand, Store
from cresset.kernels.nest import steps as nest_steps
from cresset.kernels.words import Words
from cresset.runtime import ir
from cresset.runtime.ir import Function, Module, Value
from cresset.runtime.program import Step
from cresset.runtime.target import host

FEW = 64  # elements up to which sorting by rank is quicker
PAD = 32  # items that may be read and written behind the last
BUCKETS = 256
TURN = 4  # items that a turn of a loop takes, a power of two
PACE = {"rank": 6, "first": 6, "radix": 12}  # nanoseconds an element takes
PIECES = 64  # of shared work at most; each has room of its own
ROOM = 64 << 20  # bytes that the pieces should take together, if there are more than FEWEST
FEWEST = 4


def sort(x: Layout, dim: int, out: Layout, indices: Layout, values, first_temporary: int,
         descending: bool = False):
    """out = x sorted along dim, indices = where its elements stood; equals keep their order."""
    count = x.shape[dim] if x.ndim else 1
    return first_of_sorted(x, count, dim, out, indices, values, first_temporary, descending)


def first_of_sorted(x, k, dim, out, indices, values, first_temporary, descending):
    """`sort`, of which only the first k are written."""
    if out.numel == 0:
        return (), ()
    axes = [*zip(x.shape, x.strides, out.strides, indices.strides)] or [(1, 1, 1, 1)]
    count, *steps = axes.pop(dim)
    sizes, *strides = zip(*axes) if axes else ((), (), (), ())
    sizes, strides = merge(sizes, strides)
    rows = prod(sizes)
    method = "radix" if count > FEW else "rank" if k == count else "first"
    capacity = count + PAD
    room = room_of(x.dtype, capacity)
    grain = -(-rows // pieces_of(rows, room))
    words = (count, k, *steps, capacity, room, grain, *batch_words(sizes, strides))
    type, width = x.dtype, host().vector_bytes
    order = "descending" if descending else "ascending"
    step = Step(
        f"sort.{method}.{type.name}.{order}.{width}",
        lambda: _write(method, type, descending, width),
        (*values, first_temporary), words, rows, grain, rows * count * PACE[method],
    )
    return (step,), (-(-rows // grain) * room,)


def lined_up(x: Layout, dim: int, place: int, temporary: int):
    """(steps, bytes of temporaries, layout, place) of x with rows along dim that are packed.

    What is not is copied.
    """
    if x.strides[dim] == 1:
        return [], [], x, place
    rows = [n for d, n in enumerate(x.shape) if d != dim]
    strides = list(contiguous_strides((*rows, x.shape[dim])))
    strides.insert(dim, strides.pop())
    line = x.restride(x.shape, strides)
    operands = Operand(place, x.dtype, x.strides), Operand(temporary, x.dtype, line.strides)
    copy = Store(1, scalar.argument(0, x.dtype), False)
    launches, _ = nest_steps(Nest(tuple(x.shape), frozenset(), operands, (copy,)))
    return launches, [x.nbytes], line, temporary


def pieces_of(rows, room):
    """How many pieces of work there are, each with so many bytes of room."""
    return min(rows, PIECES, max(FEWEST, ROOM // room))


def room_of(type, capacity):
    """Bytes that sorting a row takes: two lists of items, and the sizes of buckets by byte."""
    return 2 * 8 * capacity * (2 if type.itemsize == 8 else 1) + 4 * BUCKETS * type.itemsize


# --- items ----------------------------------------------------------------------------------------
class Items:
    """A list of items in memory: their keys, then their places unless packed with the keys."""

    def __init__(self, f: Function, keys: Value, capacity: Value, wide: bool):
        self.f = f
        self.keys = keys
        self.capacity = capacity
        self.wide = wide
        self.lists = [keys, f.offset(keys, capacity, "i64")] if wide else [keys]
        self.end = f.offset(self.lists[-1], capacity, "i64")

    def at(self, keys: Value) -> Items:
        """The list of as many items that lies at another address."""
        return Items(self.f, keys, self.capacity, self.wide)

    def load(self, index, lanes=1):
        type = ir.vector("i64", lanes)
        return [self.f.load(type, self.f.offset(each, index, "i64")) for each in self.lists]

    def store(self, item, index):
        for word, each in zip(item, self.lists):
            self.f.store(word, self.f.offset(each, index, "i64"))


def key_of(f: Function, value: Value, type: dtype, descending: bool) -> Value:
    """The keys of elements, in the order asked for as unsigned integers of the elements' size."""
    bits = 8 * type.itemsize
    sign = 1 << (bits - 1)
    if type.is_floating_point:
        # Adding 0 makes 0 of -0. The bits of negative numbers are complemented.
        key = f.bitcast(value + 0.0, ir.vector(f"i{bits}", ir.lanes(value.type)))
        key = key ^ ((key >> (bits - 1)) | sign)
        key = f.select(value.unordered(value), -1, key)
    else:
        key = value ^ sign if type.is_signed else value
    return key ^ -1 if descending else key


def element_of(f: Function, key: Value, type: dtype, descending: bool) -> Value:
    """The integer whose key this is, as an i64."""
    value = f.convert(key, type.llvm)
    value = value ^ -1 if descending else value
    return value ^ (1 << (8 * type.itemsize - 1)) if type.is_signed else value


def item_of(f: Function, key: Value, place: Value):
    """The item of a key and the place where its element stands."""
    wide = key.type == "i64"
    return [key, place] if wide else [(f.convert(key, "i64", signed=False) << 32) | place]


def place_of(item):
    return item[1] if len(item) == 2 else item[0] & 0xFFFFFFFF


def digit_of(item, byte):
    """The bucket of an item by a byte of its key, counted from the lowest."""
    return item[0].lshr(byte * 8 if len(item) == 2 else byte * 8 + 32) & (BUCKETS - 1)


def _precedes(item, other):
    """Whether an item comes before another; among equal keys the places decide."""
    if len(item) == 1:
        return item[0].ult(other[0])
    return item[0].ult(other[0]) | (item[0].eq(other[0]) & (item[1] < other[1]))


# --- buckets --------------------------------------------------------------------------------------
class Buckets:
    """For each byte of the key, the sizes of its buckets, and later where these begin."""

    def __init__(self, f: Function, numbers: Value):
        self.f = f
        self.numbers = numbers

    def of(self, byte) -> Buckets:
        """Those of one byte, on which the methods below work."""
        return Buckets(self.f, self.f.offset(self.numbers, byte * BUCKETS, "i32"))

    def clear(self, bytes: int = 1):
        zeros = self.f.constant("<8 x i32>", 0)
        with self.f.loop(0, BUCKETS * bytes, 8) as i:
            self.f.store(zeros, self.f.offset(self.numbers, i, "i32"))

    def count(self, bucket: Value):
        """Count an item."""
        self.take(bucket)

    def size(self, bucket) -> Value:
        """The number of items in a bucket."""
        number = self.f.load("i32", self.f.offset(self.numbers, bucket, "i32"))
        return self.f.convert(number, "i64", signed=False)

    def arrange(self):
        """Turn the sizes into the places where each bucket begins."""
        f = self.f
        with f.loop(0, BUCKETS, carry=[f.constant("i64", 0)]) as loop:
            (begin,) = loop.values
            end = begin + self.size(loop.index)
            f.store(f.convert(begin, "i32"), self.f.offset(self.numbers, loop.index, "i32"))
            loop.next(end)

    def find(self, rank: Value) -> tuple[Value, Value]:
        """(the bucket in which a rank lies, the number of items in those before it)."""
        f = self.f
        with f.repeat(*[f.constant("i64", 0)] * 2) as loop:
            bucket, before = loop.values
            until = before + self.size(bucket)
            loop.again(until <= rank, bucket + 1, until)
        return bucket, before

    def take(self, bucket) -> Value:
        """The place in its bucket of an item, which is met after those before it."""
        at = self.f.offset(self.numbers, bucket, "i32")
        place = self.f.load("i32", at)
        self.f.store(place + 1, at)
        return self.f.convert(place, "i64", signed=False)


def in_order(f: Function, count: Value, visit):
    """visit(index) for all indices, some in a turn, so that one is begun while others wait."""
    rest = count & (TURN - 1)
    with f.loop(0, count - rest, TURN) as i:
        for number in range(TURN):
            visit(i + number)
    with f.loop(count - rest, count) as i:
        visit(i)


# --- rows -----------------------------------------------------------------------------------------
class Row:
    """A row to be sorted, at offsets from x, out and indices, with steps along them."""

    def __init__(self, f: Function, pointers, offsets, steps, type: dtype, descending: bool):
        self.f = f
        elements = (type.llvm, type.llvm, "i64")
        self.x, self.out, self.indices = (
            f.offset(pointer, offset, element)
            for pointer, offset, element in zip(pointers, offsets, elements)
        )
        self.steps = steps
        self.type = type
        self.descending = descending

    def element(self, place: Value) -> Value:
        f, type = self.f, self.type.llvm
        return f.load(type, f.offset(self.x, place * self.steps[0], type))

    def key(self, place: Value) -> Value:
        return key_of(self.f, self.element(place), self.type, self.descending)

    def item(self, place: Value):
        return item_of(self.f, self.key(place), place)

    def write(self, item, rank, least: Value | int | None = 0):
        """Write an element: an integer as its key tells it, which is `least` more than it says.

        What the key does not tell whole, where `least` is None, is read where it stands.
        """
        f, type, place = self.f, self.type, place_of(item)
        if least is None or type.is_floating_point:
            value = self.element(place)
        else:
            key = item[0] if len(item) == 2 else item[0].lshr(32) + least
            value = element_of(f, key, type, self.descending)
        f.store(value, f.offset(self.out, rank * self.steps[1], type.llvm))
        f.store(place, f.offset(self.indices, rank * self.steps[2], "i64"))

    def write_first(self, sorted: Items, k: Value, least: Value | int | None = 0):
        in_order(self.f, k, lambda rank: self.write(sorted.load(rank), rank, least))


# --- kernels --------------------------------------------------------------------------------------
def _write(method, type, descending, width):
    """The kernel of a method; a unit is a row.

    Words: x, out, indices, room; count, k; steps of the three; capacity of a list, bytes of room
    and rows of a piece; batch.
    """
    module = Module()
    f = module.kernel()
    _, begin, end = f.arguments
    words = Words(f)
    pointers = [words.pointer() for _ in range(3)]
    room = words.pointer()
    count, k = words.integers(2)
    steps = words.integers(3)
    capacity, bytes, grain = words.integers(3)
    batch = Batch(words, 3)
    items = Items(f, f.offset(room, begin.udiv(grain) * bytes), capacity, type.itemsize == 8)
    other = items.at(items.end)
    buckets = Buckets(f, other.end)
    with f.loop(begin, end) as number:
        row = Row(f, pointers, batch.offsets(f, number), steps, type, descending)

        def by_all_bytes():
            buckets.clear(type.itemsize)

            def enter(i):
                item = row.item(i)
                items.store(item, i)
                for byte in range(type.itemsize):
                    buckets.of(byte).count(digit_of(item, byte))

            in_order(f, count, enter)
            row.write_first(_through_bytes(f, items, other, buckets, count, type.itemsize), k)

        if method != "radix":
            with f.loop(0, count) as i:
                items.store(row.item(i), i)
            by_rank(f, items, other, count, k if method == "first" else None, row.write, width)
        elif type.itemsize < 8:
            by_all_bytes()
        else:
            sorted, good, least, whole = _by_leading_bits(f, items, buckets, count, row.key)

            def write_leading():
                f.either(whole, lambda: row.write_first(sorted, k, least),
                         lambda: row.write_first(sorted, k, None))

            f.either(good, write_leading, by_all_bytes)
    f.ret()
    return module


def by_rank(f: Function, items: Items, spare: Items, count, k, write, width):
    """Write each item of rank below k, or all: its rank is the number of items before it.

    Lanes are items to be ranked, which are compared with one item after another.
    """
    lanes = width // 8
    type = ir.vector("i64", lanes)
    with f.loop(0, count, 2 * lanes) as block:
        halves = [items.load(block + half * lanes, lanes) for half in range(2)]
        with f.loop(0, count, carry=[f.constant(type, 0)] * 2) as loop:
            other = [f.splat(word, lanes) for word in items.load(loop.index)]
            before = [_precedes(other, half) for half in halves]
            loop.next(*(ranks - f.emit(type, f"sext {test} to {type}")
                        for ranks, test in zip(loop.values, before)))
        for half, ranks in enumerate(loop.results):
            f.store(ranks, f.offset(spare.keys, block + half * lanes, "i64"))

    def put(i):
        write(items.load(i), spare.load(i)[0])

    def put_first(i):
        with f.when(spare.load(i)[0] < k):
            put(i)

    if k is None:
        with f.loop(0, count) as i:
            put(i)
    else:
        in_order(f, count, put_first)


def by_radix(f: Function, items: Items, other: Items, buckets: Buckets, count, bytes: int):
    """Sort items by all bytes of their keys; returns the list they end up in."""
    buckets.clear(bytes)

    def enter(i):
        item = items.load(i)
        for byte in range(bytes):
            buckets.of(byte).count(digit_of(item, byte))

    in_order(f, count, enter)
    return _through_bytes(f, items, other, buckets, count, bytes)


def _through_bytes(f: Function, items, other, buckets, count, bytes):
    """Sort items that the buckets have counted by every byte; returns the list they end up in."""
    with f.loop(0, bytes, carry=[items.keys, other.keys]) as loop:
        source, target = (items.at(keys) for keys in loop.values)
        byte = loop.index
        places = buckets.of(byte)

        def move():
            places.arrange()

            def put(i):
                item = source.load(i)
                target.store(item, places.take(digit_of(item, byte)))

            in_order(f, count, put)
            return target.keys, source.keys

        uneven = places.size(digit_of(source.load(0), byte)).ne(count)
        loop.next(*f.either(uneven, move, lambda: (source.keys, target.keys)))
    return items.at(loop.results[0])


def _by_leading_bits(f: Function, room, buckets, count, full_key):
    """Sort by the 32 leading bits in which the row's keys of 64 differ, then equals by all bits.

    Returns the list of packed items; whether it is in order: not where so many share their leading
    bits that putting them in order one by one would take too long; the least key, which the bits
    are counted from; and whether they are all that differ. `full_key(place)` is the key of an
    element; the items lie in the room of a wide list.
    """
    items = Items(f, room.keys, room.capacity, wide=False)
    other = items.at(items.end)
    with f.loop(0, count, carry=[f.constant("i64", -1), f.constant("i64", 0)]) as loop:
        least, greatest = loop.values
        key = full_key(loop.index)
        loop.next(f.select(key.ult(least), key, least),
                  f.select(key.ugt(greatest), key, greatest))
    least, greatest = loop.results
    unused = f.intrinsic("ctlz", (greatest - least) | 1, f.constant("i1", 1))
    shift = 32 - f.minimum(unused, 32)
    buckets.clear(4)

    def make(i):
        item = [((full_key(i) - least).lshr(shift) << 32) | i]
        items.store(item, i)
        for byte in range(4):
            buckets.of(byte).count(digit_of(item, byte))

    in_order(f, count, make)
    sorted = _through_bytes(f, items, other, buckets, count, 4)

    def leading(word):
        return word.lshr(32)

    def insert(i):
        """Move an item back to its place among those of the same leading bits; how far."""
        (word,) = sorted.load(i)
        key = full_key(place_of([word]))
        with f.repeat(i) as loop:
            (at,) = loop.values
            (before,) = sorted.load(at - 1)
            passes = leading(before).eq(leading(word)) & full_key(place_of([before])).ugt(key)
            with f.when(passes):
                sorted.store([before], at)
            at = at - f.convert(passes, "i64")
            loop.again(passes & (at > 0), at)
        (at,) = loop.results
        sorted.store([word], at)
        return i - at

    whole = shift.eq(0)
    start = f.select(whole, count, 1)
    with f.loop(start, count, carry=[f.constant("i64", 0)]) as loop:
        (moved,) = loop.values
        same = leading(sorted.load(loop.index)[0]).eq(leading(sorted.load(loop.index - 1)[0]))
        more = f.either(same & (moved <= count), lambda: insert(loop.index),
                        lambda: f.constant("i64", 0))
        loop.next(moved + more)
    return sorted, loop.results[0] <= count, least, whole
