"""Probability distributions: samples, densities, entropies and divergences.

    >>> from cresset.distributions import Normal, kl_divergence
    >>> p = Normal(0.0, 1.0)
    >>> p.rsample((3,)).shape, kl_divergence(p, Normal(0.0, 2.0))
    (torch.Size([3]), tensor(0.3181))

Parameters are checked when a distribution is made, values when their probability is asked for;
`validate_args=False` leaves that out. Numbers are drawn as PyTorch draws them, so seeded programs
go on from its values. (Gradients of beta and Dirichlet samples are those of the gamma numbers that
they are shares of.)
"""

from cresset.core.missing import found_late
from cresset.distributions import constraints, kl, transforms, utils
from cresset.distributions.bernoulli import Bernoulli
from cresset.distributions.binomial import Binomial
from cresset.distributions.categorical import Categorical
from cresset.distributions.cauchy import Cauchy
from cresset.distributions.constraint_registry import biject_to, transform_to
from cresset.distributions.dirichlet import Beta, Dirichlet
from cresset.distributions.distribution import Distribution
from cresset.distributions.exponential import Exponential
from cresset.distributions.gamma import Chi2, Gamma
from cresset.distributions.geometric import Geometric
from cresset.distributions.gumbel import Gumbel
from cresset.distributions.half import HalfCauchy, HalfNormal
from cresset.distributions.independent import Independent
from cresset.distributions.kl import kl_divergence, register_kl
from cresset.distributions.laplace import Laplace
from cresset.distributions.log_normal import LogNormal
from cresset.distributions.mixture_same_family import MixtureSameFamily
from cresset.distributions.multinomial import Multinomial
from cresset.distributions.multivariate_normal import MultivariateNormal
from cresset.distributions.negative_binomial import NegativeBinomial
from cresset.distributions.normal import Normal
from cresset.distributions.one_hot_categorical import (
    OneHotCategorical,
    OneHotCategoricalStraightThrough,
)
from cresset.distributions.poisson import Poisson
from cresset.distributions.relaxed import RelaxedBernoulli, RelaxedOneHotCategorical
from cresset.distributions.student_t import StudentT
from cresset.distributions.transformed_distribution import TransformedDistribution
from cresset.distributions.transforms import *  # noqa: F403
from cresset.distributions.transforms import __all__ as _transforms
from cresset.distributions.uniform import Uniform

__all__ = ["Bernoulli", "Beta", "Binomial", "Categorical", "Cauchy", "Chi2", "Dirichlet",
           "Distribution", "Exponential", "Gamma", "Geometric", "Gumbel", "HalfCauchy",
           "HalfNormal", "Independent", "Laplace", "LogNormal", "MixtureSameFamily", "Multinomial",
           "MultivariateNormal", "NegativeBinomial", "Normal", "OneHotCategorical",
           "OneHotCategoricalStraightThrough", "Poisson", "RelaxedBernoulli",
           "RelaxedOneHotCategorical", "StudentT", "TransformedDistribution", "Uniform",
           "biject_to", "constraints", "kl", "kl_divergence", "register_kl", "transform_to",
           "transforms", "utils", *_transforms]

__getattr__, __dir__ = found_late(globals())
