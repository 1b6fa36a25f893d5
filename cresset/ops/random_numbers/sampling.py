"""Samples of discrete distributions and of the gamma family, each with parameters of its own.

Elements are drawn in row order, one after another; `kernels.rejection` says why and how.
"""

from __future__ import annotations

import math

from cresset.core import dtype as types
from cresset.core.families import required
from cresset.core.generator import default_generator
from cresset.kernels import rejection
from cresset.ops import dispatch
from cresset.ops.creation.tensors import empty, empty_like
from cresset.ops.exchange.arrays import from_numpy
from cresset.ops.indexing.masks import where
from cresset.ops.kinds.guards import found
from cresset.ops.operation import method
from cresset.ops.ordering.histograms import searchsorted
from cresset.ops.random_numbers.random import draw
from cresset.ops.shapes.broadcasting import broadcast_shapes
from cresset.ops.shapes.shape import expand
from cresset.runtime.program import Program

__all__ = ["_sample_dirichlet", "_standard_gamma", "binomial", "multinomial", "poisson"]


def _sampled(kind, generator, *parameters):
    """Samples of a kind in `rejection.KINDS` for parameters of one shape, in the first's type."""
    x = parameters[0]
    if x.layout.device == "meta":
        return empty(x.layout.shape, dtype=x.layout.dtype, device="meta")
    source = generator or default_generator
    if dispatch.tape is not None:
        dispatch.tape.drew(source)
    packed = [p.detach().to(types.float64).contiguous() for p in parameters]
    out = empty(x.layout.shape, dtype=types.float64, device="cpu")
    key = ("rejection", kind, out.layout)
    launch = dispatch.plans.get(key)
    if launch is None:
        # The value table: what is written, the generator's state, the parameters.
        places = (1, 0, *range(2, 2 + len(packed)))
        steps = rejection.samples(kind, out.layout.numel, places)
        program = Program("wi" + "t" * len(packed), (), steps)
        launch = dispatch.remember(key, dispatch.make_launcher(program, kind))
    launch(out, source.address, *packed)
    return out.to(x.layout.dtype)


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
        if found((~((x >= 0) & (x < math.inf))).any()):
            raise RuntimeError(
                "multinomial: probability tensor contains either `inf`, `nan` or element < 0; "
                "need weights that are finite and 0 or more; softmax() makes such of any numbers"
            )
        if found((x.sum(-1) == 0).any()):
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
            f"replacement; got {num_samples} and {shape[-1]}; pass replacement=True to draw "
            "an index more than once"
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
    places = empty((len(rows), num_samples), dtype=types.float64, device="cpu")
    draw("uniform", places, 0.0, 1.0, generator=generator)
    found = searchsorted(from_numpy(sums).double(), places)
    return found.view((*x.layout.shape[:-1], num_samples))


# --- counts ---------------------------------------------------------------------------------------
def poisson(input, generator=None):
    """Numbers of events, given the rates at which they come, of the rates' type.

    Rates from 10 on: Hörmann, "The transformed rejection method for generating Poisson random
    variables" (1993). Raises RuntimeError where a rate is negative.

    >>> import cresset
    >>> cresset.poisson(cresset.zeros(2))
    tensor([0., 0.])
    """
    required("poisson", "a real floating type", input.layout.dtype)
    if input.layout.device != "meta" and (input.detach() < 0).any():
        raise RuntimeError("poisson: invalid Poisson rate, expected rate to be non-negative")
    return _sampled("poisson", generator, input)


def binomial(count, prob, generator=None):
    """Numbers of successes in `count` trials of probability `prob` each; tensors that broadcast.

    Hörmann, "The generation of binomial random variates" (1993), where more than 10 are to be
    expected. The result has count's type.

    >>> import cresset
    >>> cresset.binomial(cresset.tensor([3.0, 3.0]), cresset.tensor([0.0, 1.0]))
    tensor([0., 3.])
    """
    for x in (count, prob):
        if not x.layout.dtype.is_floating_point:
            raise ValueError(
                f"binomial: only supports floating-point dtypes; got {x.layout.dtype}; convert "
                "with .float()"
            )
    shape = broadcast_shapes(count.layout.shape, prob.layout.shape)
    return _sampled("binomial", generator, expand(count, shape), expand(prob, shape))


# --- the gamma family -----------------------------------------------------------------------------
def _standard_gamma(input, generator=None):
    """Numbers of density x^(a - 1) exp(-x) / Gamma(a), of the type of the shapes a.

    Marsaglia and Tsang, "A simple method for generating gamma variables" (2000). The gradient by a
    is not implemented.
    """
    x = input.detach()
    # PyTorch computes these in the shapes' own type, halves rounded once in between.
    raised = where(x < 1, x + 1, x)
    if x.layout.dtype in types.HALVES:
        raised = raised.float()
    power = 1 / x.to(raised.layout.dtype)
    made = _sampled("gamma", generator, x, power, raised - rejection.THIRD)
    return made.clamp(min=TINY[input.layout.dtype])


# The least normal numbers: what is drawn is never 0.
TINY = {types.float16: 2.0**-14, types.bfloat16: 2.0**-126, types.float32: 2.0**-126,
        types.float64: 2.0**-1022}


def _sample_dirichlet(input, generator=None):
    """Numbers of the Dirichlet distribution: gamma numbers of each row over their sum."""
    drawn = _standard_gamma(input, generator)
    return drawn / drawn.sum(-1, keepdim=True)
