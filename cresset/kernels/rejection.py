"""Samplers that reject candidates: how many numbers of the stream an element takes is not known.

So they run element by element, in order, each asking a function for one uniform number at a time.
The distributions are Poisson's, the binomial and the gamma one, by the algorithms that PyTorch
uses: Hörmann, The transformed rejection method for generating Poisson random variables (1993), and
The generation of binomial random variates (1993); Marsaglia and Tsang, A simple method for
generating gamma variables (2000). All is computed in float64.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from cresset.core import generator
from cresset.core.generator import WORDS
from cresset.kernels.mathematics.exponential import exp
from cresset.kernels.mathematics.gamma import lgamma
from cresset.kernels.mathematics.logarithm import log, log1p
from cresset.kernels.mathematics.power import pow
from cresset.kernels.normal import sine_and_cosine
from cresset.kernels.stream import refill, temper
from cresset.kernels.words import Words
from cresset.runtime.ir import Function, Module, Value
from cresset.runtime.program import Step
from cresset.runtime.target import host

NAN = float("nan")
# From so many expected events on candidates are drawn and rejected; below, events are counted.
MANY = 10
# PyTorch's constants for the gamma distribution, rounded to float32.
THIRD, SQUEEZE = 0.3333333432674408, 0.03310000151395798


def samples(kind: str, count: int, values) -> tuple[Step, ...]:
    """out = a sample for each of `count` elements; values are (state, out, the parameters ...).

    The state is an input "i", the generator's address; all else are packed tensors of float64.
    """
    width = host().vector_bytes
    step = Step(f"random.rejection.{kind}.{width}", lambda: _write(kind, width), tuple(values),
                (count,), work=50 * count)
    return (step,) if count else ()


def _write(kind: str, width: int) -> Module:
    """The kernel. Words: state, out, the parameters, count."""
    module = Module()
    sample, given = KINDS[kind]
    f = module.kernel()
    words = Words(f)
    state, out = words.pointer(), words.pointer()
    parameters = [words.pointer() for _ in range(given)]
    with f.loop(0, words.integer()) as i:
        numbers = [f.load("double", f.offset(p, i, "double")) for p in parameters]
        drawn = f.call(kind, "double", state, *numbers)
        f.store(drawn, f.offset(out, i, "double"))
    f.ret()
    names = [("double", name) for name in "abc"[:given]]
    g = module.function(kind, [("ptr", "state"), *names], "double", internal=True)
    sample(Draws(g, width), *g.arguments[1:])
    return module


class Draws:
    """The numbers of the stream, one by one, as a function of IR asks for them."""

    def __init__(self, f: Function, width: int):
        self.f = f
        self.state = f.arguments[0]
        self.width = width

    def uniform(self) -> Value:
        """A float64 in [0, 1) of two words."""
        name = "uniform"
        if name not in self.f.module.functions:
            _write_uniform(self.f.module, name, self.width)
        return self.f.call(name, "double", self.state)

    def normal(self) -> Value:
        """A standard normal float64; of each pair the second is kept for the next call."""
        f = self.f
        cached = f.offset(self.state, generator.CACHED)
        kept = f.offset(self.state, generator.NORMAL)

        def first():
            angle = self.uniform() * (2 * math.pi)
            radius = f.intrinsic("sqrt", log1p(f, -self.uniform()) * -2.0)
            sine, cosine = sine_and_cosine(f, angle)
            f.store(radius * sine, kept)
            f.store(f.constant("i64", 1), cached)
            return radius * cosine

        def second():
            f.store(f.constant("i64", 0), cached)
            return f.load("double", kept)

        return f.either(f.load("i64", cached).ne(0), second, first)

    def leave(self, condition: Value, result):
        """Return a result where a condition holds."""
        with self.f.leave(condition):
            self.f.ret(self.f.value("double", result))


def _write_uniform(module: Module, name: str, width: int):
    f = module.function(name, [("ptr", "state")], "double", internal=True, attributes="noinline")
    (state,) = f.arguments
    block, position = f.offset(state, generator.BLOCK), f.offset(state, generator.POSITION)

    def word():
        used = f.load("i64", position)
        exhausted = used.eq(0) | used.eq(WORDS)
        with f.when(exhausted):
            f.call(refill(module, width), "void", block)
        place = f.select(exhausted, 0, used)
        f.store(place + 1, position)
        return f.convert(temper(f.load("i32", f.offset(block, place, "i32"))), "i64", signed=False)

    high = word()
    bits = ((high << 32) | word()) & ((1 << 53) - 1)
    f.ret(f.convert(bits, "double") * 2.0**-53)


# --- distributions --------------------------------------------------------------------------------
def _until(f: Function, candidate: Callable) -> Value:
    """The first number that candidate() returns with True."""
    with f.repeat() as loop:
        value, accepted = candidate()
        loop.again(accepted ^ True)
    return value


def _poisson(draws: Draws, rate):
    """The number of events that come at a rate; 0 for one that is NaN."""
    f = draws.f
    draws.leave(rate.eq(0), 0)
    with f.leave((rate >= MANY) ^ True):
        bound = exp(f, -rate)
        with f.repeat(f.constant("double", 1), f.constant("double", -1)) as loop:
            product, count = loop.values
            product = product * draws.uniform()
            loop.again(product > bound, product, count + 1.0)
        f.ret(loop.results[1])
    log_rate = log(f, rate)
    b = f.intrinsic("sqrt", rate) * 2.53 + 0.931
    a = b * 0.02483 - 0.059
    inverse_alpha = 1.1328 / (b - 3.4) + 1.1239
    accepted = 0.9277 - 3.6224 / (b - 2.0)

    def candidate():
        k, v, distance, taken = _hat(draws, a, b, rate + 0.43, accepted)

        def examined():
            limit = k * log_rate - rate - lgamma(f, k + 1.0)
            height = log(f, v) + log(f, inverse_alpha) - log(f, a / (distance * distance) + b)
            return height <= limit

        outside = (k < 0) | ((distance < 0.013) & (v > distance))
        return k, _first_of(f, taken, outside, examined)

    f.ret(_until(f, candidate))


def _hat(draws: Draws, a, b, centre, accepted):
    """(k, v, distance, whether k is taken as it is): a candidate of Hörmann's hat functions."""
    f = draws.f
    u = draws.uniform() - 0.5
    v = draws.uniform()
    distance = 0.5 - f.intrinsic("fabs", u)
    k = f.intrinsic("floor", (a * 2.0 / distance + b) * u + centre)
    return k, v, distance, (distance >= 0.07) & (v <= accepted)


def _first_of(f: Function, taken, refused, examined: Callable) -> Value:
    """Whether a candidate stays, which is computed only where it is neither taken nor refused."""
    def otherwise():
        return f.either(refused, lambda: f.constant("i1", 0), examined)

    return f.either(taken, lambda: f.constant("i1", 1), otherwise)


def _binomial(draws: Draws, count, p):
    """The number of successes in `count` trials of probability p; NaN where either is NaN."""
    f = draws.f
    draws.leave((count <= 0) | (p <= 0), 0)
    draws.leave(p >= 1, count)
    draws.leave(p.unordered(count), NAN)
    rarer = p <= 0.5
    q = f.select(rarer, p, 1.0 - p)
    found = f.either(count * q >= MANY, lambda: _binomial_by_rejection(draws, count, q),
                     lambda: _binomial_by_counting(draws, count, q))
    f.ret(f.select(rarer, found, count - found))


def _binomial_by_counting(draws: Draws, count, p):
    """The trials up to each success are added up."""
    f = draws.f
    scale = log1p(f, -p)
    with f.repeat(f.constant("double", 0), f.constant("double", -1)) as loop:
        trials, found = loop.values
        trials = trials + f.intrinsic("ceil", log(f, draws.uniform()) / scale)
        loop.again(trials <= count, trials, found + 1.0)
    return loop.results[1]


def _binomial_by_rejection(draws: Draws, count, p):
    f = draws.f
    deviation = f.intrinsic("sqrt", count * p * (1.0 - p))
    b = deviation * 2.53 + 1.15
    a = b * 0.0248 + p * 0.01 - 0.0873
    accepted = 0.92 - 4.2 / b
    odds = p / (1.0 - p)
    alpha = (5.1 / b + 2.83) * deviation
    mode = f.intrinsic("floor", (count + 1.0) * p)

    def candidate():
        k, v, distance, taken = _hat(draws, a, b, count * p + 0.5, accepted)

        def examined():
            height = log(f, v * alpha / (a / (distance * distance) + b))
            rest, most = count - k + 1.0, count - mode + 1.0
            limit = (
                (mode + 0.5) * log(f, (mode + 1.0) / (odds * most))
                + (count + 1.0) * log(f, most / rest)
                + (k + 0.5) * log(f, odds * rest / (k + 1.0))
                + _stirling_tail(f, mode) + _stirling_tail(f, count - mode)
                - _stirling_tail(f, k) - _stirling_tail(f, count - k)
            )
            return height <= limit

        return k, _first_of(f, taken, ((k >= 0) & (k <= count)) ^ True, examined)

    return _until(f, candidate)


def _stirling_tail(f: Function, k) -> Value:
    """log(k!) less Stirling's approximation of it."""
    name = "stirling_tail"
    if name not in f.module.functions:
        g = f.module.function(name, [("double", "k")], "double", internal=True,
                              attributes="noinline")
        (k_here,) = g.arguments
        more = k_here + 1.0
        with g.leave(k_here <= 9):
            stirling = (k_here + 0.5) * log(g, more) - more + 0.5 * math.log(2 * math.pi)
            g.ret(lgamma(g, more) - stirling)
        square = more * more
        g.ret((1 / 12 - (1 / 360 - (1 / 1260) / square) / square) / more)
    return f.call(name, "double", k)


def _gamma(draws: Draws, shape, power, d):
    """A number of density x^(shape - 1) exp(-x) / Gamma(shape); NaN where the shape is below 0.

    `power` is 1 / shape and d = shape - THIRD, or 1 more where the shape is below 1.
    """
    f = draws.f
    draws.leave(shape.eq(0), 0)
    draws.leave((shape > 0) ^ True, NAN)
    one = f.constant("double", 1)
    scale = f.either(shape < 1, lambda: pow(f, 1.0 - draws.uniform(), power), lambda: one)
    c = 1.0 / f.intrinsic("sqrt", d * 9.0)

    def candidate():
        x = draws.normal()
        y = c * x + 1.0
        v = y * y * y

        def tried():
            u = 1.0 - draws.uniform()
            square = x * x
            taken = u < 1.0 - square * square * SQUEEZE
            return f.either(taken, lambda: f.constant("i1", 1),
                            lambda: log(f, u) < square * 0.5 + d * (1.0 - v + log(f, v)))

        return scale * d * v, f.either(y <= 0, lambda: f.constant("i1", 0), tried)

    f.ret(_until(f, candidate))


# The function that writes a distribution, and how many parameters it has.
KINDS: dict[str, tuple[Callable, int]] = {
    "poisson": (_poisson, 1),
    "binomial": (_binomial, 2),
    "gamma": (_gamma, 3),
}
