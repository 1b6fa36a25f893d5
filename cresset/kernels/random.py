"""Random numbers: PyTorch's values, in PyTorch's order, from the generator's stream.

Each kind of number takes a fixed count of 32-bit words of the stream per element, in the order in
which the elements lie in memory. Drawing is sequential; what can be done after it is parallel.

Schedules return (steps, bytes of each temporary); `values` are places in the value table. The
`state` is an input "i", the generator's address; numbers are inputs "d", integers "i".
"""

from __future__ import annotations

from collections.abc import Callable

from cresset.core.dtype import dtype
from cresset.core.layout import Layout
from cresset.kernels.index import copy
from cresset.kernels.mathematics.logarithm import log1p
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

    float32 takes 24 bits of one word, float64 53 bits of two.
    """
    state, low, high, target = values

    def steps(place):
        words = out.dtype.itemsize // 4
        return (_draw("uniform", out.dtype, out.numel, words, (state, place, low, high)),)

    return _in_order(out, target, first_temporary, steps)


def fill_normal(out: Layout, values, first_temporary: int):
    """out = mean + std z, z normal; values are (state, mean, std, out)."""
    state, mean, std, target = values
    type, count, width = out.dtype, out.numel, host().vector_bytes
    if count < BLOCK or not out.contiguous:

        def steps(place):
            return (Step(f"random.normal.pairs.{type.name}.{width}",
                         lambda: write_pairs(type, width), (state, place, mean, std), (count,),
                         work=40 * count),)

        return _in_order(out, target, first_temporary, steps)

    def uniform(place, count):
        zero_to_one = (0, 0x3FF0000000000000)  # as the bits of float64
        return _draw("uniform", type, count, words, (state, place), zero_to_one)

    def transform(place, offset, blocks):
        return Step(f"random.normal.blocks.{type.name}", lambda: write_blocks(type),
                    (place, target, mean, std), (offset,), blocks, 512, 25 * blocks)

    words = type.itemsize // 4
    drawn, made = [uniform(target, count)], [transform(target, 0, count // BLOCK)]
    if count % BLOCK == 0:
        return (*drawn, *made), ()
    # The last 16 elements are drawn anew, after all others.
    drawn.append(uniform(first_temporary, BLOCK))
    made.append(transform(first_temporary, (count - BLOCK) * type.itemsize, 1))
    return (*drawn, *made), (BLOCK * type.itemsize,)


def fill_integers(out: Layout, values, first_temporary: int, words: int | None = None):
    """out = low + draw modulo span; values are (state, low, span, out), all but the last integers.

    `span` is unsigned; 0 stands for 2**64, and with low 0 gives every int64. A draw takes one word
    where the span is below SHORT_SPAN and else two, unless `words` says how many: `random_()`
    without bounds takes one for integers of up to 4 bytes, with a span one beyond their greatest
    value, and for float32, with 2**24 + 1.
    """
    state, low, span, target = values

    def steps(place):
        operands = (state, place, low, span)
        if words is not None:
            return (_draw("integers", out.dtype, out.numel, words, operands),)
        type, width = out.dtype, host().vector_bytes
        return (Step(f"random.integers.{type.name}.{width}", lambda: _write_integers(type, width),
                     operands, (out.numel,), work=2 * out.numel),)

    return _in_order(out, target, first_temporary, steps)


def fill_exponential(out: Layout, values, first_temporary: int):
    """out = -log(1 - u) / rate, u in [0, 1) of 53 bits; values are (state, rate, out)."""
    state, rate, target = values

    def steps(place):
        return (_draw("exponential", out.dtype, out.numel, 2, (state, place, rate)),)

    return _in_order(out, target, first_temporary, steps)


def fill_bernoulli(out: Layout, values, first_temporary: int):
    """out = 1 with probability p, else 0; values are (state, p, out).

    Takes two words, whatever the type of `out`, as PyTorch does; except on Intel's processors,
    where it draws from a stream of MKL's. Dropout draws its mask so. Where each element has a p
    of its own, PyTorch draws uniform numbers of the type of p and tests u < p.
    """
    state, p, target = values

    def steps(place):
        return (_draw("bernoulli", out.dtype, out.numel, 2, (state, place, p)),)

    return _in_order(out, target, first_temporary, steps)


def permutation(out: Layout, values, first_temporary: int):
    """out = the numbers 0 .. n - 1 in random order (randperm); values are (state, out).

    Fisher and Yates's shuffle, one word to an element. PyTorch gives the same up to
    LONGEST_PERMUTATION numbers and shuffles another way beyond.
    """
    state, target = values
    type, width = out.dtype, host().vector_bytes

    def steps(place):
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


def _in_order(out: Layout, target: int, first_temporary: int, steps: Callable[[int], tuple]):
    """Fill `out` by steps(place), which fill a block of memory at a place of the value table."""
    if out.numel == 0:
        return (), ()
    if out.dense:
        return steps(target), ()
    copied, _ = copy(in_memory_order(out), out, (first_temporary, target), first_temporary)
    return steps(first_temporary) + copied, (out.numel * out.dtype.itemsize,)


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
                with f.loop(0, rest) as k:
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
                far = i + f.convert(word, "i64", signed=False).urem(count - i)
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
        return f.fma(unit(f, source, lanes), f.splat(span, lanes), f.splat(low, lanes))

    return make


def _exponential(f, type, words, rate):
    scale = -1.0 / f.bitcast(rate, "double")

    def make(source, lanes):
        value = log1p(f, -unit_float64(f, source, lanes)) * f.splat(scale, lanes)
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
}
