"""Samples of discrete distributions and of the gamma family, each with parameters of its own.

Where candidates are rejected, how many numbers of the stream an element takes is known only once it
is drawn. So these samplers run element by element, in row order, over uniform numbers that are
drawn ahead from a twin of the generator; the generator itself then moves on by what they took.
"""

from __future__ import annotations

import math

from cresset.core import dtype as types
from cresset.core.generator import default_generator
from cresset.core.layout import broadcast_shapes
from cresset.ops.arrays import from_numpy
from cresset.ops.creation import empty, empty_like, tensor
from cresset.ops.operation import method
from cresset.ops.random import draw
from cresset.ops.shape import expand

__all__ = ["_sample_dirichlet", "_standard_gamma", "binomial", "multinomial", "poisson"]

AHEAD = 1024  # uniform numbers drawn at a time


class Stream:
    """The numbers of a generator one by one, in a `with` at whose end the generator moves on."""

    def __init__(self, generator):
        self.generator = generator or default_generator

    def __enter__(self):
        self.twin = self.generator.clone_state()
        self.spare = self.generator.spare_normal
        self.taken, self.left = 0, []
        return self

    def uniform(self) -> float:
        """A float64 in [0, 1)."""
        if not self.left:
            ahead = empty(AHEAD, dtype=types.float64)
            draw("uniform", ahead, 0.0, 1.0, generator=self.twin)
            self.left = ahead.tolist()[::-1]
        self.taken += 1
        return self.left.pop()

    def normal(self) -> float:
        """A standard normal float64; of each pair the second is kept for the next call."""
        if self.spare is not None:
            number, self.spare = self.spare, None
            return number
        angle = 2.0 * math.pi * self.uniform()
        radius = math.sqrt(-2.0 * math.log1p(-self.uniform()))
        self.spare = radius * math.sin(angle)
        return radius * math.cos(angle)

    def __exit__(self, kind, error, trace):
        if self.taken:
            taken = empty(self.taken, dtype=types.float64)
            draw("uniform", taken, 0.0, 1.0, generator=self.generator)
        self.generator.spare_normal = self.spare


def _sampled(sample, generator, *parameters):
    """sample(stream, *parameters) for every element of parameters of one shape, of their type."""
    x = parameters[0]
    if x.layout.device == "meta":
        return empty(x.layout.shape, dtype=x.layout.dtype, device="meta")
    with Stream(generator) as stream:
        flat = [p.detach().to(types.float64).reshape((-1,)).tolist() for p in parameters]
        made = [sample(stream, *numbers) for numbers in zip(*flat)]
    return tensor(made, dtype=types.float64).view(x.layout.shape).to(x.layout.dtype)


# --- with weights ---------------------------------------------------------------------------------
@method()
def multinomial(input, num_samples, replacement=False, *, generator=None, out=None):
    """Indices drawn with the weights of each row, int64.

    Without replacement, or for one sample, the greatest of weight / exponential number are taken;
    with it, uniform numbers are looked up in the running sums. Raises RuntimeError unless the
    weights are one row or a matrix of finite numbers >= 0, not all 0 in any row, of which there are
    enough.

    >>> import cresset
    >>> cresset.multinomial(cresset.tensor([0.0, 1.0, 0.0]), 1)
    tensor([1])
    """
    x = input.detach()
    _check_weights(x, num_samples, replacement)
    if x.layout.device == "meta":
        made = empty((*x.layout.shape[:-1], num_samples), dtype=types.int64, device="meta")
    elif replacement and num_samples > 1:
        made = _with_replacement(x, num_samples, generator)
    else:
        if not ((x >= 0) & (x < math.inf)).all():
            raise RuntimeError(
                "multinomial: probability tensor contains either `inf`, `nan` or element < 0"
            )
        if (x.sum(-1) == 0).any():
            raise RuntimeError(
                "multinomial: invalid multinomial distribution (sum of probabilities <= 0)"
            )
        races = x / draw("exponential", empty_like(x), 1.0, generator=generator)
        if num_samples == 1:
            made = races.argmax(-1, True)
        else:
            made = races.topk(num_samples).indices
    return made if out is None else out.resize_(made.layout.shape).copy_(made)


def _check_weights(x, num_samples, replacement):
    shape = tuple(x.layout.shape)
    if not x.layout.dtype.is_floating_point or len(shape) not in (1, 2):
        raise RuntimeError(
            "multinomial: expects a 1-D or 2-D tensor of floating weights; got "
            f"{shape} of {x.layout.dtype}"
        )
    if num_samples <= 0:
        raise RuntimeError(f"multinomial: cannot sample n_sample <= 0 samples; got {num_samples}")
    if not replacement and num_samples > shape[-1]:
        raise RuntimeError(
            "multinomial: cannot sample n_sample > prob_dist.size(-1) samples without "
            f"replacement; got {num_samples} and {shape[-1]}"
        )


def _with_replacement(x, num_samples, generator):
    """Where uniform numbers lie among the running sums of weights, for each row."""
    import numpy

    weights = x.float() if x.layout.dtype in types.HALVES else x
    rows = weights.numpy().reshape(-1, x.layout.shape[-1])
    if not (numpy.isfinite(rows) & (rows >= 0)).all():
        raise RuntimeError(
            "multinomial: invalid multinomial distribution (encountering probability entry < 0, "
            "or one that is infinity or NaN)"
        )
    # Added up one after another in the weights' own type, as PyTorch does: the last bit matters.
    sums = numpy.add.accumulate(rows, axis=1)
    if not (sums[:, -1] > 0).all():
        raise RuntimeError(
            "multinomial: invalid multinomial distribution (sum of probabilities <= 0)"
        )
    sums = sums / sums[:, -1:]
    sums[:, -1] = 1
    places = empty((len(rows), num_samples), dtype=types.float64)
    places = draw("uniform", places, 0.0, 1.0, generator=generator).numpy()
    found = numpy.stack([numpy.searchsorted(*pair) for pair in zip(sums, places)])
    return from_numpy(found).view((*x.layout.shape[:-1], num_samples))


# --- counts ---------------------------------------------------------------------------------------
def poisson(input, generator=None):
    """Numbers of events, given the rates at which they come, of the rates' type.

    Rates from 10 on: Hörmann, "The transformed rejection method for generating Poisson random
    variables" (1993). Raises RuntimeError where a rate is negative.

    >>> import cresset
    >>> cresset.poisson(cresset.zeros(2))
    tensor([0., 0.])
    """
    if input.layout.device != "meta" and (input.detach() < 0).any():
        raise RuntimeError("poisson: invalid Poisson rate, expected rate to be non-negative")
    return _sampled(_poisson, generator, input)


def _poisson(stream, rate):
    if rate >= 10:
        return _poisson_by_rejection(stream, rate)
    if rate == 0:
        return 0
    bound, product, count = math.exp(-rate), 1.0, 0
    while True:
        product *= stream.uniform()
        if product <= bound:
            return count
        count += 1


def _poisson_by_rejection(stream, rate):
    """Hörmann's algorithm PTRS."""
    log_rate = math.log(rate)
    b = 0.931 + 2.53 * math.sqrt(rate)
    a = -0.059 + 0.02483 * b
    inverse_alpha = 1.1239 + 1.1328 / (b - 3.4)
    accepted = 0.9277 - 3.6224 / (b - 2)
    while True:
        u = stream.uniform() - 0.5
        v = stream.uniform()
        distance = 0.5 - abs(u)
        k = math.floor((2 * a / distance + b) * u + rate + 0.43)
        if distance >= 0.07 and v <= accepted:
            return k
        if k < 0 or distance < 0.013 and v > distance:
            continue
        limit = -rate + k * log_rate - math.lgamma(k + 1)
        bent = math.log(v) if v else -math.inf
        if bent + math.log(inverse_alpha) - math.log(a / distance**2 + b) <= limit:
            return k


def binomial(count, prob, generator=None):
    """Numbers of successes in `count` trials of probability `prob` each; tensors that broadcast.

    Hörmann, "The generation of binomial random variates" (1993), where more than 10 are to be
    expected. The result has count's type.

    >>> import cresset
    >>> cresset.binomial(cresset.tensor([3.0, 3.0]), cresset.tensor([0.0, 1.0]))
    tensor([0., 3.])
    """
    shape = broadcast_shapes(count.layout.shape, prob.layout.shape)
    return _sampled(_binomial, generator, expand(count, shape), expand(prob, shape))


def _binomial(stream, count, p):
    if count <= 0 or p <= 0:
        return 0
    if p >= 1:
        return count
    if math.isnan(p) or math.isnan(count):
        return math.nan
    if p > 0.5:
        return count - _binomial(stream, count, 1.0 - p)
    if count * p >= 10:
        return _binomial_by_rejection(stream, count, p)
    # By the numbers of trials up to each success.
    scale, trials, found = math.log1p(-p), 0.0, 0
    while True:
        u = stream.uniform()
        trials += math.ceil(math.log(u) / scale) if u else math.inf
        if trials > count:
            return found
        found += 1


def _binomial_by_rejection(stream, count, p):
    """Hörmann's algorithm BTRS."""
    deviation = math.sqrt(count * p * (1 - p))
    b = 1.15 + 2.53 * deviation
    a = -0.0873 + 0.0248 * b + 0.01 * p
    accepted = 0.92 - 4.2 / b
    odds = p / (1 - p)
    alpha = (2.83 + 5.1 / b) * deviation
    mode = math.floor((count + 1) * p)
    while True:
        u = stream.uniform() - 0.5
        v = stream.uniform()
        distance = 0.5 - abs(u)
        k = math.floor((2 * a / distance + b) * u + count * p + 0.5)
        if distance >= 0.07 and v <= accepted:
            return k
        if not 0 <= k <= count:
            continue
        bent = math.log(v * alpha / (a / distance**2 + b)) if v else -math.inf
        limit = (
            (mode + 0.5) * math.log((mode + 1) / (odds * (count - mode + 1)))
            + (count + 1) * math.log((count - mode + 1) / (count - k + 1))
            + (k + 0.5) * math.log(odds * (count - k + 1) / (k + 1))
            + _stirling_tail(mode) + _stirling_tail(count - mode)
            - _stirling_tail(k) - _stirling_tail(count - k)
        )
        if bent <= limit:
            return k


def _stirling_tail(k):
    """log(k!) less Stirling's approximation of it."""
    if k <= 9:
        stirling = (k + 0.5) * math.log(k + 1) - (k + 1) + 0.5 * math.log(2 * math.pi)
        return math.lgamma(k + 1) - stirling
    square = (k + 1) ** 2
    return (1 / 12 - (1 / 360 - 1 / 1260 / square) / square) / (k + 1)


# --- the gamma family -----------------------------------------------------------------------------
def _standard_gamma(input, generator=None):
    """Numbers of density x^(a - 1) exp(-x) / Gamma(a), of the type of the shapes a.

    Marsaglia and Tsang, "A simple method for generating gamma variables" (2000). The gradient by a
    is not implemented.
    """
    made = _sampled(_gamma, generator, input)
    return made.clamp(min=TINY[input.layout.dtype])


# The least normal numbers: what is drawn is never 0.
TINY = {types.float16: 2.0**-14, types.bfloat16: 2.0**-126, types.float32: 2.0**-126,
        types.float64: 2.0**-1022}


# PyTorch's constants, rounded to float32.
THIRD, SQUEEZE = 0.3333333432674408, 0.03310000151395798


def _gamma(stream, shape):
    scale = 1.0
    if shape < 1:
        if shape == 0:
            return 0.0
        scale = (1 - stream.uniform()) ** (1 / shape)
        shape += 1
    d = shape - THIRD
    c = 1 / math.sqrt(9 * d)
    while True:
        x = stream.normal()
        y = 1 + c * x
        if y <= 0:
            continue
        v = y * y * y
        u = 1 - stream.uniform()
        if u < 1 - SQUEEZE * x**4 or math.log(u) < 0.5 * x * x + d * (1 - v + math.log(v)):
            return scale * d * v


def _sample_dirichlet(input, generator=None):
    """Numbers of the Dirichlet distribution: gamma numbers of each row over their sum."""
    drawn = _standard_gamma(input, generator)
    return drawn / drawn.sum(-1, keepdim=True)
