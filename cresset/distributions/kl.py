"""Kullback-Leibler divergences between distributions of the same or related families."""

from __future__ import annotations

from collections.abc import Callable
from math import inf, pi

import cresset
from cresset import Tensor
from cresset.distributions.bernoulli import Bernoulli
from cresset.distributions.binomial import Binomial
from cresset.distributions.categorical import Categorical
from cresset.distributions.dirichlet import Beta, Dirichlet
from cresset.distributions.distribution import Distribution
from cresset.distributions.exponential import Exponential
from cresset.distributions.gamma import Gamma
from cresset.distributions.geometric import Geometric
from cresset.distributions.half import HalfNormal
from cresset.distributions.independent import Independent
from cresset.distributions.laplace import Laplace
from cresset.distributions.multivariate_normal import MultivariateNormal, squared_distance
from cresset.distributions.normal import Normal
from cresset.distributions.one_hot_categorical import OneHotCategorical
from cresset.distributions.poisson import Poisson
from cresset.distributions.transformed_distribution import TransformedDistribution
from cresset.distributions.uniform import Uniform
from cresset.distributions.utils import sum_rightmost
from cresset.nn import functional as F

__all__ = ["kl_divergence", "register_kl"]

_rules: dict[tuple[type, type], Callable] = {}


def register_kl(type_p: type, type_q: type) -> Callable:
    """Decorator: the divergence of distributions of `type_p` from those of `type_q`.

    The function takes p and q. Of several that fit, `kl_divergence` calls the one for the nearest
    classes, p's first.
    """
    for each in (type_p, type_q):
        if not (isinstance(each, type) and issubclass(each, Distribution)):
            raise TypeError(
                f"register_kl: Expected type to be a Distribution subclass but got {each}"
            )

    def register(rule: Callable) -> Callable:
        _rules[type_p, type_q] = rule
        return rule

    return register


def kl_divergence(p: Distribution, q: Distribution) -> Tensor:
    """E_p[log p(x) - log q(x)], one number for each of a batch.

    NotImplementedError where no rule is known for the two families.

    >>> kl_divergence(Normal(0.0, 1.0), Normal(1.0, 1.0))
    tensor(0.5000)
    """
    for of_p in type(p).__mro__:
        for of_q in type(q).__mro__:
            rule = _rules.get((of_p, of_q))
            if rule is not None:
                return rule(p, q)
    raise NotImplementedError(
        f"kl_divergence: No KL(p || q) is implemented for p type {type(p).__name__} and q type "
        f"{type(q).__name__}; state one with register_kl, or average p.log_prob(x) - q.log_prob(x) "
        "over samples x of p"
    )


@register_kl(Normal, Normal)
def _normal(p, q):
    ratio = (p.scale / q.scale).square()
    return 0.5 * (ratio + ((p.loc - q.loc) / q.scale).square() - 1 - ratio.log())


@register_kl(HalfNormal, HalfNormal)
def _half_normal(p, q):
    return _normal(p.base_dist, q.base_dist)


@register_kl(MultivariateNormal, MultivariateNormal)
def _multivariate_normal(p, q):
    if p.event_shape != q.event_shape:
        raise ValueError(
            "kl_divergence: KL-divergence between two Multivariate Normals with different event "
            f"shapes cannot be computed; got {tuple(p.event_shape)} and {tuple(q.event_shape)}"
        )
    solved = cresset.linalg.solve_triangular(q.scale_tril, p.scale_tril, upper=False)
    distance = squared_distance(q.scale_tril, q.loc - p.loc)
    halves = q.log_half_determinant() - p.log_half_determinant()
    return halves + 0.5 * (solved.square().sum((-2, -1)) + distance - p.event_shape[0])


@register_kl(Categorical, Categorical)
def _categorical(p, q):
    terms = p.probs * (p.logits - q.logits)
    terms = terms.masked_fill((q.probs == 0).expand_as(terms), inf)
    return terms.masked_fill((p.probs == 0).expand_as(terms), 0).sum(-1)


@register_kl(OneHotCategorical, OneHotCategorical)
def _one_hot(p, q):
    return _categorical(p._categorical, q._categorical)


@register_kl(Bernoulli, Bernoulli)
def _bernoulli(p, q):
    one = p.probs * (F.softplus(-q.logits) - F.softplus(-p.logits))
    one = one.masked_fill(q.probs == 0, inf).masked_fill(p.probs == 0, 0)
    zero = (1 - p.probs) * (F.softplus(q.logits) - F.softplus(p.logits))
    zero = zero.masked_fill(q.probs == 1, inf).masked_fill(p.probs == 1, 0)
    return one + zero


@register_kl(Binomial, Binomial)
def _binomial(p, q):
    found = p.total_count * (p.probs * (p.logits - q.logits)
                             + (-p.probs).log1p() - (-q.probs).log1p())
    return found.masked_fill(p.total_count > q.total_count, inf)


@register_kl(Geometric, Geometric)
def _geometric(p, q):
    return -p.entropy() - (-q.probs).log1p() / p.probs - q.logits


@register_kl(Poisson, Poisson)
def _poisson(p, q):
    return p.rate * (p.rate.log() - q.rate.log()) - (p.rate - q.rate)


@register_kl(Exponential, Exponential)
def _exponential(p, q):
    ratio = q.rate / p.rate
    return -ratio.log() + ratio - 1


@register_kl(Gamma, Gamma)
def _gamma(p, q):
    return (
        q.concentration * (p.rate / q.rate).log()
        + q.concentration.lgamma() - p.concentration.lgamma()
        + (p.concentration - q.concentration) * p.concentration.digamma()
        + (q.rate - p.rate) * (p.concentration / p.rate)
    )


@register_kl(Beta, Beta)
def _beta(p, q):
    return _dirichlet(p._dirichlet, q._dirichlet)


@register_kl(Dirichlet, Dirichlet)
def _dirichlet(p, q):
    total_p, total_q = p.concentration.sum(-1), q.concentration.sum(-1)
    norms = total_p.lgamma() - total_q.lgamma()
    parts = (q.concentration.lgamma() - p.concentration.lgamma()).sum(-1)
    slopes = p.concentration.digamma() - total_p.digamma().unsqueeze(-1)
    return norms + parts + ((p.concentration - q.concentration) * slopes).sum(-1)


@register_kl(Laplace, Laplace)
def _laplace(p, q):
    ratio, apart = p.scale / q.scale, (p.loc - q.loc).abs()
    return -ratio.log() + apart / q.scale + ratio * (-apart / p.scale).exp() - 1


@register_kl(Uniform, Uniform)
def _uniform(p, q):
    found = ((q.high - q.low) / (p.high - p.low)).log()
    return found.masked_fill((q.low > p.low) | (q.high < p.high), inf)


@register_kl(Uniform, Normal)
def _uniform_normal(p, q):
    width = p.high - p.low
    spread = (width.square() / 12 + ((p.high + p.low) / 2 - q.loc).square()) / 2
    return (q.scale * (2 * pi) ** 0.5 / width).log() + spread / q.scale.square()


@register_kl(Independent, Independent)
def _independent(p, q):
    if p.reinterpreted_batch_ndims != q.reinterpreted_batch_ndims:
        raise NotImplementedError(
            "kl_divergence: the two Independent have events of different dims; got "
            f"{p.reinterpreted_batch_ndims} and {q.reinterpreted_batch_ndims}"
        )
    return sum_rightmost(kl_divergence(p.base_dist, q.base_dist), p.reinterpreted_batch_ndims)


@register_kl(TransformedDistribution, TransformedDistribution)
def _transformed(p, q):
    if [type(t) for t in p.transforms] != [type(t) for t in q.transforms]:
        raise NotImplementedError(
            "kl_divergence: the two have different transforms; got "
            f"{p.transforms} and {q.transforms}"
        )
    return kl_divergence(p.base_dist, q.base_dist)
