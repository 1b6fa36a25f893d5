"""Sorting: sort and topk, with the places that the elements come from.

Every element becomes an unsigned key whose order is the one asked for: descending is the complement
of ascending, NaN counts as the greatest and -0 equals 0. Rows of a few elements are sorted by rank,
counting for each element those before it. Longer ones go through a radix sort by bytes of the key,
from the last to the first, and a byte that all share is skipped; of 64 bits the leading 32 in which
the row's keys differ are enough but for some neighbours. Some of the greatest of a long row are
picked by bytes from the first to the last, and only they are sorted. Where few are asked for, those
of the row's first part set a limit, and of the rest only what is beyond it is looked at. All of it
is stable.

An item is a key and a place: packed in one word where the key has up to 32 bits, else two words.

Schedules return (steps, bytes of each temporary); `values` are (x, out, indices) in the value
table. `indices` is int64.
"""

from __future__ import annotations

from math import isqrt, prod

from cresset.core.dtype import dtype
from cresset.core.layout import Layout
from cresset.kernels.batch import Batch, batch_words, merge
from cresset.kernels.words import Words
from cresset.runtime import ir
from cresset.runtime.ir import Function, Module, Value
from cresset.runtime.program import Step
from cresset.runtime.target import host

FEW = 64  # elements up to which sorting by rank is quicker
FEW_KEPT = 160  # elements up to which it finds the first of them more quickly
SIEVED = 16  # times as many elements as are asked for, from which on a limit pays
PAD = 16  # items that may be read behind the last
BUCKETS = 256
TURN = 4  # items that a turn of a loop takes, a power of two
PACE = {"rank": 12, "radix": 12, "select": 4, "sieve": 1}  # nanoseconds an element takes
PIECES = 64  # of shared work at most; each has room of its own
ROOM = 64 << 20  # bytes that the pieces should take together, if there are more than FEWEST
FEWEST = 4


def sort(x: Layout, dim: int, out: Layout, indices: Layout, values, first_temporary: int,
         descending: bool = False):
    """out = x sorted along dim, indices = where its elements stood; equals keep their order."""
    count = x.shape[dim] if x.ndim else 1
    return _order(x, dim, count, out, indices, values, first_temporary, descending)


def topk(x: Layout, k: int, dim: int, out: Layout, indices: Layout, values, first_temporary: int,
         largest: bool = True):
    """out = the k greatest (or least) of x along dim in order; of equals the first come first."""
    return _order(x, dim, k, out, indices, values, first_temporary, largest)


def _order(x, dim, k, out, indices, values, first_temporary, descending):
    if out.numel == 0:
        return (), ()
    axes = [*zip(x.shape, x.strides, out.strides, indices.strides)] or [(1, 1, 1, 1)]
    count, *steps = axes.pop(dim)
    sizes, *strides = zip(*axes) if axes else ((), (), (), ())
    sizes, strides = merge(sizes, strides)
    rows = prod(sizes)
    method = "rank" if count <= FEW else "select" if 4 * k <= count else "radix"
    if method == "select" and SIEVED * k <= count and steps[0] == 1:
        method = "sieve"
    capacity = count + PAD
    room = room_of(x.dtype, capacity)
    grain = -(-rows // pieces_of(rows, room))
    # Limits are set anew while lists are short, else just once: for a random row one list of items
    # then is as long as the other.
    first, growth = (max(k, 32), 4) if 5 * k <= FEW_KEPT else (isqrt(k * count), count)
    words = (count, k, first, growth, *steps, capacity, room, grain, *batch_words(sizes, strides))
    type, width = x.dtype, host().vector_bytes
    order = "descending" if descending else "ascending"
    step = Step(
        f"sort.{method}.{type.name}.{order}.{width}",
        lambda: _write(method, type, descending, width),
        (*values, first_temporary), words, rows, grain, rows * count * PACE[method],
    )
    return (step,), (-(-rows // grain) * room,)


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


def make_item(f: Function, value: Value, place: Value, type: dtype, descending: bool):
    """The item of an element that stands at `place`."""
    key = f.convert(key_of(f, value, type, descending), "i64", signed=False)
    return [key, place] if type.itemsize == 8 else [(key << 32) | place]


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


# --- kernels --------------------------------------------------------------------------------------
def _write(method, type, descending, width):
    """The kernel of a method; a unit is a row.

    Words: x, out, indices, room; count, k; elements that set the first limit, and how many times as
    many have been looked at when the next is set; steps of the three; capacity of a list, bytes of
    room and rows of a piece; batch.
    """
    module = Module()
    f = module.kernel()
    _, begin, end = f.arguments
    words = Words(f)
    pointers = [words.pointer() for _ in range(3)]
    room = words.pointer()
    count, k, first, growth = words.integers(4)
    steps = words.integers(3)
    capacity, bytes, grain = words.integers(3)
    batch = Batch(words, 3)
    elements = (type.llvm, type.llvm, "i64")
    items = Items(f, f.offset(room, begin.udiv(grain) * bytes), capacity, type.itemsize == 8)
    other = items.at(items.end)
    buckets = Buckets(f, other.end)
    with f.loop(begin, end) as row:
        x, out, indices = (
            f.offset(pointer, offset, element)
            for pointer, offset, element in zip(pointers, batch.offsets(f, row), elements)
        )

        def make(i):
            value = f.load(type.llvm, f.offset(x, i * steps[0], type.llvm))
            item = make_item(f, value, i, type, descending)
            items.store(item, i)
            return item

        def write(item, rank, least=0):
            """Write an element: an integer as its key tells it, which is `least` more than it says.

            What the key does not tell whole, where `least` is None, is read where it stands.
            """
            place = place_of(item)
            if least is None or type.is_floating_point:
                value = f.load(type.llvm, f.offset(x, place * steps[0], type.llvm))
            else:
                key = item[0] if len(item) == 2 else item[0].lshr(32) + least
                value = element_of(f, key, type, descending)
            f.store(value, f.offset(out, rank * steps[1], type.llvm))
            f.store(place, f.offset(indices, rank * steps[2], "i64"))

        def write_first(sorted, least=0):
            in_order(f, k, lambda rank: write(sorted.load(rank), rank, least))

        def count_bytes(item):
            for byte in range(type.itemsize):
                buckets.of(byte).count(digit_of(item, byte))

        if method == "rank":
            with f.loop(0, count) as i:
                make(i)
            _by_rank(f, items, count, k, write, width)
        elif method == "radix":
            def by_all_bytes():
                buckets.clear(type.itemsize)
                in_order(f, count, lambda i: count_bytes(make(i)))
                write_first(_by_radix(f, items, other, buckets, count, type.itemsize))

            if type.itemsize < 8:
                by_all_bytes()
            else:
                def full_key(place):
                    value = f.load(type.llvm, f.offset(x, place * steps[0], type.llvm))
                    return key_of(f, value, type, descending)

                sorted, good, least, whole = _by_leading_bits(f, items, buckets, count, full_key)

                def write_leading():
                    f.either(whole, lambda: write_first(sorted, least),
                             lambda: write_first(sorted, None))

                f.either(good, write_leading, by_all_bytes)
        else:
            top = type.itemsize - 1
            highest = buckets.of(top)

            def select(source, target, many):
                """Leave the first k of so many items in another list; equal ones are in order."""
                def by_bytes():
                    highest.clear()
                    in_order(f, many, lambda i: highest.count(digit_of(source.load(i), top)))
                    _select(f, source, target, buckets, many, k, top)

                def by_rank():
                    _by_rank(f, source, many, k, target.store, width)

                f.either(many <= FEW_KEPT, by_rank, by_bytes)

            if method == "select":
                highest.clear()
                in_order(f, count, lambda i: highest.count(digit_of(make(i), top)))
                _select(f, items, other, buckets, count, k, top)
                chosen, spare = other, items
            else:
                with f.loop(0, first) as i:
                    make(i)
                with f.repeat(first, first, items.keys, other.keys) as loop:
                    at, many, *lists = loop.values
                    source, target = map(items.at, lists)
                    select(source, target, many)
                    stop = f.minimum(at * growth, count)
                    many = _beyond(f, x, at, stop, target, k, type, descending, width)
                    loop.again(at < count, stop, many, target.keys, source.keys)
                chosen, spare = map(items.at, loop.results[2:])

            def long():
                buckets.clear(type.itemsize)
                in_order(f, k, lambda i: count_bytes(chosen.load(i)))
                write_first(_by_radix(f, chosen, spare, buckets, k, type.itemsize))

            f.either(k <= FEW, lambda: _by_rank(f, chosen, k, k, write, width), long)
    f.ret()
    return module


def _by_rank(f: Function, items, count, k, write, width):
    """Write each item of rank below k: its rank is the number of items before it."""
    lanes = width // 8
    type = ir.vector("i64", lanes)
    items.store([f.constant(type, -1), f.constant(type, (1 << 63) - 1)], count)
    with f.loop(0, count) as i:
        item = items.load(i)
        wide = [f.splat(word, lanes) for word in item]
        with f.loop(0, count, lanes, carry=[f.constant(type, 0)]) as loop:
            before = _precedes(items.load(loop.index, lanes), wide)
            loop.next(loop.values[0] + f.convert(before, type))
        rank = f.intrinsic("vector.reduce.add", loop.results[0], returns="i64")
        with f.when(rank < k):
            write(item, rank)


def _by_radix(f: Function, items, other, buckets, count, bytes):
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
    sorted = _by_radix(f, items, other, buckets, count, 4)

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


def _select(f: Function, items, other, buckets, count, k, top):
    """Leave the first k items in `other`, equal ones in order; the top byte has been counted.

    By each byte, the items left fall into those that are in, those that are out, and those in the
    bucket where the k-th lies, which the next byte divides.
    """
    zero = f.constant("i64", 0)
    with f.loop(0, top + 1, carry=[count, k, zero]) as loop:
        left, missing, taken = loop.values
        byte = top - loop.index
        sizes = buckets.of(byte)

        def divide():
            with f.when(byte < top):
                sizes.clear()
                in_order(f, left, lambda i: sizes.count(digit_of(items.load(i), byte)))
            with f.loop(0, BUCKETS, carry=[zero, zero, zero]) as each:
                edge, below, passed = each.values
                short = passed < missing
                each.next(f.select(short, each.index, edge), f.select(short, passed, below),
                          passed + sizes.size(each.index))
            edge, below, _ = each.results
            with f.loop(0, left, carry=[taken, zero]) as each:
                item = items.load(each.index)
                digit = digit_of(item, byte)
                for target, end in zip((other, items), each.values):
                    target.store(item, end)
                each.next(each.values[0] + f.convert(digit < edge, "i64"),
                          each.values[1] + f.convert(digit.eq(edge), "i64"))
            return each.results[1], missing - below, each.results[0]

        loop.next(*f.either(left.eq(missing), lambda: (left, missing, taken), divide))
    _, missing, taken = loop.results
    with f.loop(0, missing) as i:
        other.store(items.load(i), taken + i)


def _beyond(f: Function, x, first, count, chosen, k, type, descending, width):
    """Add the elements first..count that come before all k `chosen` ones; returns how many are
    there then.

    They are compared by vectors, several at a time, since hardly any passes.
    """
    key, vectors = f"i{8 * type.itemsize}", 4
    lanes = width // type.itemsize

    def last_of(i, limit):
        """The greatest key of those chosen: of equals the first come first, so none is beyond."""
        word = chosen.load(i)[0]
        return f.select(word.ugt(limit), word, limit)

    with f.loop(0, k, carry=[f.constant("i64", 0)]) as loop:
        loop.next(last_of(loop.index, loop.values[0]))
    limit = loop.results[0] if type.itemsize == 8 else loop.results[0].lshr(32)
    limit = f.convert(limit, key)
    limits = f.splat(limit, lanes)

    def beyond(i, lanes, limit):
        value = f.load(ir.vector(type.llvm, lanes), f.offset(x, i, type.llvm))
        return key_of(f, value, type, descending).ult(limit)

    def add(i, end):
        value = f.load(type.llvm, f.offset(x, i, type.llvm))
        chosen.store(make_item(f, value, i, type, descending), end)

    block = lanes * vectors
    whole = count - (count - first).urem(block)
    with f.loop(first, whole, block, carry=[k]) as loop:
        tests = [beyond(loop.index + v * lanes, lanes, limits) for v in range(vectors)]
        some = tests[0]
        for test in tests[1:]:
            some = some | test

        def gather():
            end = loop.values[0]
            for v, test in enumerate(tests):
                bits = f.bitcast(test, f"i{lanes}")
                if lanes < 64:
                    bits = f.emit("i64", f"zext {bits} to i64")
                with f.loop(0, f.intrinsic("ctpop", bits), carry=[bits, end]) as each:
                    left, at = each.values
                    lane = f.intrinsic("cttz", left, f.constant("i1", 1), suffix=".i64")
                    add(loop.index + v * lanes + lane, at)
                    each.next(left & (left - 1), at + 1)
                end = each.results[1]
            return end

        any = f.intrinsic("vector.reduce.or", some, returns="i1")
        loop.next(f.either(any, gather, lambda: loop.values[0]))
    with f.loop(whole, count, carry=[loop.results[0]]) as rest:
        (end,) = rest.values
        passed = beyond(rest.index, 1, limit)
        with f.when(passed):
            add(rest.index, end)
        rest.next(end + f.convert(passed, "i64"))
    return rest.results[0]
