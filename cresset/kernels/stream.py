"""mt19937 in IR: whole blocks of the stream made and tempered by vectors.

The state is that of `cresset.core.generator`. Draws are sequential, so a kernel that draws does all
its work as one unit.
"""

from __future__ import annotations

from contextlib import contextmanager

from cresset.core import generator
from cresset.core.generator import WORDS
from cresset.runtime import ir
from cresset.runtime.ir import Function, Module, Value

MIDDLE = 397  # a word depends on the one so far ahead, and on its neighbour
UNFINISHED = 4  # words kept of an element whose words lie in two blocks


# --- drawing -------------------------------------------------------------------------------------
@contextmanager
def draws(f: Function, state: Value, count: Value, words: int, width: int):
    """Draw `count` elements of `words` 32-bit words each, at most UNFINISHED.

    Loops over the blocks of the stream and yields (drawn, first, last): the elements first..last
    have their words at `drawn`, one after another, and a vector more may be read there. Afterwards
    the state stands behind the last word. `count` must not be 0.
    """
    advance = refill(f.module, width)
    block = f.offset(state, generator.BLOCK)
    unfinished = f.offset(state, generator.TEMPERED)
    fresh = f.offset(unfinished, UNFINISHED, "i32")
    position = f.offset(state, generator.POSITION)
    total = count * words
    with f.repeat(f.load("i64", position), f.constant("i64", 0)) as turns:
        used, before = turns.values
        exhausted = used.eq(0) | used.eq(WORDS)
        with f.when(exhausted):
            f.call(advance, "void", block)
        low = f.select(exhausted, 0, used)
        fetched = f.minimum(total - before, WORDS - low)
        _temper_all(f, f.offset(block, low, "i32"), fresh, fetched, width)
        after = before + fetched
        drawn = f.offset(fresh, 0 - before.urem(words), "i32")
        yield drawn, before.udiv(words), after.udiv(words)
        if words > 1:
            kept = f.load(f"<{UNFINISHED} x i32>", f.offset(unfinished, fetched, "i32"))
            f.store(kept, unfinished)
        turns.again(after < total, low + fetched, after)
    f.store(turns.results[0], position)


def refill(module: Module, width: int) -> str:
    """The function that turns a block of the stream into the next, in place.

    Its first words are stored behind it as well, where those that depend on words beyond its end
    look for them; so all are made in whole vectors, by one loop.
    """
    name = "refill"
    if name in module.functions:
        return name
    f = module.function(name, [("ptr", "block")], internal=True, attributes="noinline")
    (block,) = f.arguments
    lanes = width // 4
    type = ir.vector("i32", lanes)

    def at(index):
        return f.offset(block, index, "i32")

    def made(i, middle):
        joined = (f.load(type, at(i)) & 0x80000000) | (f.load(type, at(i + 1)) & 0x7FFFFFFF)
        odd = 0 - (joined & 1)
        return f.load(type, at(middle)) ^ joined.lshr(1) ^ (odd & 0x9908B0DF)

    f.store(made(0, MIDDLE), at(WORDS))
    split = -(-(WORDS - MIDDLE) // lanes) * lanes
    with f.each(0, split, lanes) as i:
        f.store(made(i, i + MIDDLE), at(i))
    with f.each(split, WORDS, lanes) as i:
        f.store(made(i, i + (MIDDLE - WORDS)), at(i))
    f.ret()
    return name


def _temper_all(f: Function, source: Value, target: Value, count: Value, width: int):
    """Temper `count` words, and up to a vector more."""
    lanes = width // 4
    type = ir.vector("i32", lanes)
    with f.each(0, count, lanes) as i:
        y = f.load(type, f.offset(source, i, "i32"))
        f.store(temper(y), f.offset(target, i, "i32"))


def temper(y: Value) -> Value:
    """Words of the stream, made of those of a block."""
    y = y ^ y.lshr(11)
    y = y ^ ((y << 7) & 0x9D2C5680)
    y = y ^ ((y << 15) & 0xEFC60000)
    return y ^ y.lshr(18)


# --- numbers from words --------------------------------------------------------------------------
def unit_float32(f: Function, words: Value, lanes: int) -> Value:
    """A float32 in [0, 1) from the low 24 bits of each word."""
    bits = f.load(ir.vector("i32", lanes), words) & 0xFFFFFF
    return f.convert(bits, ir.vector("float", lanes)) * 2.0**-24


def unit_float64(f: Function, words: Value, lanes: int) -> Value:
    """A float64 in [0, 1) from 53 bits of each two words."""
    bits = low_53_bits(f, words, lanes)
    return f.convert(bits, ir.vector("double", lanes), signed=False) * 2.0**-53


def long_word(f: Function, words: Value, lanes: int) -> Value:
    """An i64 of each two words, the first of which is the high one."""
    pair = f.load(ir.vector("i64", lanes), words, align=4)
    return (pair << 32) | pair.lshr(32)


def low_53_bits(f: Function, words: Value, lanes: int) -> Value:
    """An i64 below 2^53 of each two words."""
    return long_word(f, words, lanes) & ((1 << 53) - 1)
