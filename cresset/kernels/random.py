"""Random numbers: PyTorch's values, in PyTorch's order, from the generator's stream.

Each kind of number takes a fixed count of 32-bit words of the stream per element, in the order in
which the elements lie in memory. Drawing is sequential; what can be done after it is parallel.
Numbers of half types are those of float32, rounded.

Schedules return (steps, bytes of each temporary); `values` are places in the value table. The
`state` is an input "i", the generator's address; numbers are inputs "d", integers "i".
"""

from __future__ import annotations

import math
from collections.abc import Callable

from cresset.core import dtype as dtypes
from cresset.core import scalar
from cresset.core.dtype import dtype
from cresset.core.layout import Layout
from cresset.kernels.mathematics.exponential import exp
from cresset.kernels.mathematics.logarithm import log, log1p
from cresset.kernels.mathematics.trigonometric import tan
from cresset.kernels.nest import Nest, Operand, Store
from cresset.kernels.nest import steps as nest_steps
from cresset.kernels.normal import BLOCK, write_blocks, write_pairs
from cresset.kernels.stream import draws, long_word, low_53_bits, unit_float32, unit_float64
from cresset.kernels.words import Words
from cresset.runtime import ir
from cresset.runtime.ir import Function, Module
from cresset.runtime.program import Step
from cresset.runtime.target import host

SHORT_SPAN = 1 << 28  # integers of fewer values than this take one word, others two
LONGEST_PERMUTATION = (2**32 - 1) // 20  # PyTorch shuffles in another way from here on


# --- schedules ------------------------------------------------------------------------------------
def fill_uniform(out: Layout, values, first_temporary: int):
    """out = low + (high - low) u, u in [0, 1); values are (state, low, high, out).

    float32 takes 24 bits of one word, float64 53 bits of two. What is rounded to `high` becomes
    `low`.
    """
    state, low, high, target = values

    def steps(type, place):
        return (_draw("uniform", type, out.numel, type.itemsize // 4, (state, place, low, high)),)

    return _in_order(out, target, first_temporary, steps, (low, high))


def fill_normal(out: Layout, values, first_temporary: int):
    """out = mean + std z, z normal; values are (state, mean, std, out).

    From BLOCK contiguous elements on they are made in blocks of uniform numbers of their own type,
    else one after another from pairs in float64.
    """
    state, mean, std, target = values
    type, count = _drawn_type(out.dtype), out.numel
    if count < BLOCK or not out.contiguous:
        return _fill_pairs("normal", out, values, first_temporary)
    if type is out.dtype:
        return _fill_blocks(type, count, count, values, first_temporary)
    # Of half types no more uniform numbers are drawn than fill whole blocks.
    places = (state, mean, std, first_temporary)
    whole = count - count % BLOCK
    made, temporaries = _fill_blocks(type, count, whole, places, first_temporary + 1)
    wide = Layout.packed(out.shape, type)
    return (*made, *_converted(wide, out, (first_temporary, target))), (wide.nbytes, *temporaries)


def _fill_blocks(type: dtype, count: int, ahead: int, values, first_temporary: int):
    """`count` normal numbers from `ahead` uniform ones; the last block is drawn anew after them."""
    state, mean, std, target = values
    words = type.itemsize // 4

    def uniform(place, count):
        zero_to_one = (0, 0x3FF0000000000000)  # as the bits of float64
        return _draw("uniform", type, count, words, (state, place), zero_to_one)

    def transform(place, offset, blocks):
        return Step(f"random.normal.blocks.{type.name}", lambda: write_blocks(type),
                    (place, target, mean, std), (offset,), blocks, 512, 25 * blocks)

    drawn, made = [uniform(target, ahead)], [transform(target, 0, count // BLOCK)]
    if count % BLOCK == 0:
        return (*drawn, *made), ()
    drawn.append(uniform(first_temporary, BLOCK))
    made.append(transform(first_temporary, (count - BLOCK) * type.itemsize, 1))
    return (*drawn, *made), (BLOCK * type.itemsize,)


def fill_log_normal(out: Layout, values, first_temporary: int):
    """out = exp(mean + std z), z normal, always by pairs; values are (state, mean, std, out)."""
    return _fill_pairs("log_normal", out, values, first_temporary)


def _fill_pairs(kind, out: Layout, values, first_temporary: int):
    """Normal numbers, or functions of them, one after another from pairs in float64."""
    state, mean, std, target = values
    count, width = out.numel, host().vector_bytes

    def steps(type, place):
        return (Step(f"random.{kind}.pairs.{type.name}.{width}",
                     lambda: write_pairs(type, width, PAIRS[kind]), (state, place, mean, std),
                     (count,), work=40 * count),)

    return _in_order(out, target, first_temporary, steps)


def fill_integers(out: Layout, values, first_temporary: int, words: int | None = None):
    """out = low + draw modulo span; values are (state, low, span, out), all but the last integers.

    `span` is unsigned; 0 stands for 2**64, and with low 0 gives every int64. A draw takes one word
    where the span is below SHORT_SPAN and else two, unless `words` says how many: `random_()`
    without bounds takes one for integers of up to 4 bytes, with a span one beyond their greatest
    value, and for float32, with 2**24 + 1.
    """
    state, low, span, target = values

    def steps(type, place):
        operands = (state, place, low, span)
        if words is not None:
            return (_draw("integers", type, out.numel, words, operands),)
        width = host().vector_bytes
        return (Step(f"random.integers.{type.name}.{width}", lambda: _write_integers(type, width),
                     operands, (out.numel,), work=2 * out.numel),)

    return _in_order(out, target, first_temporary, steps)


def fill_exponential(out: Layout, values, first_temporary: int):
    """out = -log(1 - u) / rate, u in [0, 1) of 53 bits; values are (state, rate, out)."""
    return _fill_by_longs("exponential", out, values, first_temporary)


def fill_geometric(out: Layout, values, first_temporary: int):
    """out = ceil(log(u) / log(1 - p)), u of 53 bits; values are (state, p, out)."""
    return _fill_by_longs("geometric", out, values, first_temporary)


def fill_cauchy(out: Layout, values, first_temporary: int):
    """out = median + sigma tan(pi (u - 1/2)), u of 53 bits; values are (state, median, sigma, out).
    """
    return _fill_by_longs("cauchy", out, values, first_temporary)


def _fill_by_longs(kind, out: Layout, values, first_temporary: int):
    """Numbers of a kind that takes two words for each, whatever the type of `out`."""
    state, *numbers, target = values

    def steps(type, place):
        return (_draw(kind, type, out.numel, 2, (state, place, *numbers)),)

    return _in_order(out, target, first_temporary, steps)


def fill_bernoulli(out: Layout, values, first_temporary: int):
    """out = 1 with probability p, else 0; values are (state, p, out).

    Dropout draws its mask so. Where each element has a p of its own, PyTorch draws uniform numbers
    of the type of p and tests u < p.
    """
    return _fill_by_longs("bernoulli", out, values, first_temporary)


def permutation(out: Layout, values, first_temporary: int):
    """out = the numbers 0 .. n - 1 in random order (randperm); values are (state, out).

    Fisher and Yates's shuffle, one word to an element. PyTorch gives the same up to
    LONGEST_PERMUTATION numbers and shuffles another way beyond.
    """
    state, target = values
    width = host().vector_bytes

    def steps(type, place):
        return (Step(f"random.permutation.{type.name}.{width}",
                     lambda: _write_permutation(type, width), (state, place), (out.numel,),
                     work=8 * out.numel),)

    return _in_order(out, target, first_temporary, steps)


# --- order in memory ------------------------------------------------------------------------------
def in_memory_order(out: Layout) -> Layout:
    """The layout that has the dims in the same order in memory as `out`, without gaps."""
    if out.dense:
        return out
    strides, step = [0] * out.ndim, 1
    for d in sorted(range(out.ndim), key=lambda d: (out.strides[d], -d)):
        strides[d] = step
        step *= out.shape[d]
    return out.restride(out.shape, strides)


def _in_order(out: Layout, target: int, first_temporary: int,
              steps: Callable[[dtype, int], tuple], bounds: tuple[int, ...] = ()):
    """Fill `out` by steps(type, place), which fill a block of memory at a place of the values.

    Where numbers lie between `bounds`, places of the values too, those rounded to the upper one
    become the lower.
    """
    if out.numel == 0:
        return (), ()
    type = _drawn_type(out.dtype)
    if out.dense and type is out.dtype:
        return steps(type, target), ()
    block = in_memory_order(out).cast(type)
    copied = _converted(block, out, (first_temporary, target), bounds)
    return (*steps(type, first_temporary), *copied), (block.nbytes,)


def _drawn_type(type: dtype) -> dtype:
    """The type in which numbers of a type are drawn."""
    return dtypes.float32 if type in dtypes.HALVES else type


def _converted(x: Layout, out: Layout, places, bounds: tuple[int, ...] = ()):
    """The steps that copy one value into another, of another type perhaps; see `_in_order`."""
    operands = [Operand(place, y.dtype, y.strides) for place, y in zip(places, (x, out))]
    value = scalar.cast(scalar.argument(0, x.dtype), out.dtype)
    if bounds and x.dtype is not out.dtype:
        low, high = (
            scalar.cast(scalar.argument(k, dtypes.float64), out.dtype) for k in (2, 3)
        )
        operands += [Operand(place, dtypes.float64, None, 0, "d") for place in bounds]
        value = scalar.where(scalar.eq(value, high), low, value)
    body = (Store(1, value, False),)
    return nest_steps(Nest(tuple(out.shape), frozenset(), tuple(operands), body))[0]


# --- kernels --------------------------------------------------------------------------------------
def _draw(kind, type: dtype, count, words, operands, constants=()):
    """The step that draws `count` elements of a kind in KINDS, each from `words` words.

    Its argument words are state, out, the kind's own, and `count`.
    """
    width = host().vector_bytes
    return Step(
        f"random.{kind}.{type.name}.{words}.{width}",
        lambda: _write_draw(kind, type, words, width),
        tuple(operands), (*constants, count), work=count,
    )


def _write_draw(kind, type, words, width):
    """The kernel of `_draw`."""
    module = Module()
    f = module.kernel()
    arguments = Words(f)
    state, out = arguments.pointer(), arguments.pointer()
    prepare, given = KINDS[kind]
    make = prepare(f, type, words, *arguments.integers(given))
    _draw_elements(f, state, out, arguments.integer(), type, words, width, make)
    f.ret()
    return module


def _write_integers(type, width):
    """The kernel of `fill_integers` that finds out from the span how many words to draw."""
    module = Module()
    f = module.kernel()
    arguments = Words(f)
    state, out = arguments.pointer(), arguments.pointer()
    low, span, count = arguments.integers(3)
    small = (span - 1).ult(SHORT_SPAN - 1)

    def drawn(words):
        make = _integers(f, type, words, low, span)
        _draw_elements(f, state, out, count, type, words, width, make)

    f.either(small, lambda: drawn(1), lambda: drawn(2))
    f.ret()
    return module


def _draw_elements(f: Function, state, out, count, type, words, width, make):
    """Draw and store the elements that make(address of the words, lanes) returns."""
    element = type.llvm
    lanes = width // max(4 * words, type.itemsize)
    spill = f.alloca(element, lanes)
    with draws(f, state, count, words, width) as (drawn, first, last):
        with f.loop(first, last, lanes) as i:
            value = make(f.offset(drawn, (i - first) * words, "i32"), lanes)
            rest = last - i

            def vector():
                f.store(value, f.offset(out, i, element))

            def part():
                f.store(value, spill)
                with f.each(0, rest) as k:
                    one = f.load(element, f.offset(spill, k, element))
                    f.store(one, f.offset(out, i + k, element))

            f.either(rest >= lanes, vector, part)


def _write_permutation(type, width):
    """The kernel of `permutation`."""
    module = Module()
    f = module.kernel()
    arguments = Words(f)
    state, out, count = arguments.pointer(), arguments.pointer(), arguments.integer()
    with f.loop(0, count) as i:
        f.store(f.convert(i, type.llvm), f.offset(out, i, type.llvm))
    with f.when(count > 1):
        with draws(f, state, count - 1, 1, width) as (drawn, first, last):
            with f.loop(first, last) as i:
                word = f.load("i32", f.offset(drawn, i - first, "i32"))
                span = f.convert(f.minimum(count - i, (1 << 32) - 1), "i32")
                far = i + f.convert(word.urem(span), "i64", signed=False)
                here, there = f.offset(out, i, type.llvm), f.offset(out, far, type.llvm)
                one, other = f.load(type.llvm, here), f.load(type.llvm, there)
                f.store(other, here)
                f.store(one, there)
    f.ret()
    return module


# --- kinds of numbers -----------------------------------------------------------------------------
def _uniform(f, type, words, low, high):
    unit = unit_float32 if words == 1 else unit_float64
    low, high = (f.convert(f.bitcast(bound, "double"), type.llvm) for bound in (low, high))
    span = high - low

    def make(source, lanes):
        lows = f.splat(low, lanes)
        value = f.fma(unit(f, source, lanes), f.splat(span, lanes), lows)
        return f.select(value.eq(f.splat(high, lanes)), lows, value)

    return make


def _exponential(f, type, words, rate):
    scale = -1.0 / f.bitcast(rate, "double")

    def make(source, lanes):
        value = log1p(f, -unit_float64(f, source, lanes)) * f.splat(scale, lanes)
        return f.convert(value, ir.vector(type.llvm, lanes))

    return make


def _geometric(f, type, words, p):
    scale = 1.0 / log1p(f, -f.bitcast(p, "double"))

    def make(source, lanes):
        value = log(f, unit_float64(f, source, lanes)) * f.splat(scale, lanes)
        return f.convert(f.intrinsic("ceil", value), ir.vector(type.llvm, lanes))

    return make


def _cauchy(f, type, words, median, sigma):
    median, sigma = (f.bitcast(number, "double") for number in (median, sigma))

    def make(source, lanes):
        angle = (unit_float64(f, source, lanes) - 0.5) * math.pi
        value = f.splat(median, lanes) + f.splat(sigma, lanes) * tan(f, angle)
        return f.convert(value, ir.vector(type.llvm, lanes))

    return make


def _bernoulli(f, type, words, p):
    # u < p where u = bits / 2^53: compared as integers, which is exact.
    bound = f.intrinsic("ceil", f.bitcast(p, "double") * 2.0**53)
    bound = f.convert(bound, "i64")

    def make(source, lanes):
        return _zero_or_one(f, low_53_bits(f, source, lanes) < f.splat(bound, lanes), type)

    return make


def _integers(f, type, words, low, span):
    divisor = f.convert(span, "double", signed=False)
    inverse = 1.0 / divisor
    divisor_or_one = f.select(span.eq(0), 1, span)

    def short(source, lanes):
        """word modulo span in float64, where the product and the remainder are exact."""
        real = ir.vector("double", lanes)
        word = f.convert(f.load(ir.vector("i32", lanes), source), real, signed=False)
        d = f.splat(divisor, lanes)
        quotient = f.intrinsic("floor", word * f.splat(inverse, lanes))
        rest = f.fma(-quotient, d, word)
        rest = f.select(rest < 0, rest + d, rest)
        rest = f.select(rest >= d, rest - d, rest)
        return f.convert(rest, ir.vector("i32", lanes))

    def long(source, lanes):
        word = long_word(f, source, lanes)
        whole = f.splat(span.eq(0), lanes)
        return f.select(whole, word, word.urem(f.splat(divisor_or_one, lanes)))

    def make(source, lanes):
        rest = short(source, lanes) if words == 1 else long(source, lanes)
        value = f.convert(rest, ir.vector("i64", lanes)) + f.splat(low, lanes)
        return f.convert(value, ir.vector(type.llvm, lanes))

    return make


def _zero_or_one(f, condition, type):
    return f.convert(condition, ir.vector(type.llvm, ir.lanes(condition.type)))


# How a kind of number is made, and how many argument words it takes.
KINDS: dict[str, tuple[Callable, int]] = {
    "uniform": (_uniform, 2),
    "integers": (_integers, 2),
    "exponential": (_exponential, 1),
    "bernoulli": (_bernoulli, 1),
    "geometric": (_geometric, 1),
    "cauchy": (_cauchy, 2),
}
# What is made of normal numbers that come by pairs.
PAIRS = {"normal": lambda f, z: z, "log_normal": exp}
