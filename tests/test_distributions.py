"""Distributions: PyTorch's numbers, densities that add up to 1, and values that are refused."""

import math

import pytest

import cresset
from cresset import distributions

SIMPLEX = [[0.2, 0.3, 0.5], [0.6, 0.3, 0.1]]
POSITIVE = [0.7, 2.5, 1.0]
# Class: parameters, the values to evaluate at, all of whose density is asked for.
FAMILIES = {
    "Bernoulli": ({"probs": [0.2, 0.9, 0.5]}, [0.0, 1.0, 1.0]),
    "Beta": ({"concentration1": POSITIVE, "concentration0": [2.0, 0.6, 1.0]}, [0.1, 0.5, 0.9]),
    "Binomial": ({"total_count": 5, "logits": [0.2, -0.9, 0.0]}, [0.0, 2.0, 5.0]),
    "Categorical": ({"logits": SIMPLEX}, [0, 2]),
    "Cauchy": ({"loc": [0.0, 1.0, -2.0], "scale": POSITIVE}, [0.1, -3.0, 4.0]),
    "Chi2": ({"df": POSITIVE}, [0.1, 1.0, 4.0]),
    "Dirichlet": ({"concentration": [POSITIVE, [3.0, 1.0, 2.0]]}, SIMPLEX),
    "Exponential": ({"rate": POSITIVE}, [0.1, 1.0, 4.0]),
    "Gamma": ({"concentration": POSITIVE, "rate": [2.0, 0.5, 1.0]}, [0.1, 1.0, 4.0]),
    "Geometric": ({"probs": [0.2, 0.9, 0.5]}, [0.0, 1.0, 7.0]),
    "Gumbel": ({"loc": [0.0, 1.0, -2.0], "scale": POSITIVE}, [0.1, -3.0, 4.0]),
    "HalfCauchy": ({"scale": POSITIVE}, [0.1, 1.0, 4.0]),
    "HalfNormal": ({"scale": POSITIVE}, [0.1, 1.0, 4.0]),
    "Laplace": ({"loc": [0.0, 1.0, -2.0], "scale": POSITIVE}, [0.1, -3.0, 4.0]),
    "LogNormal": ({"loc": [0.0, 1.0, -2.0], "scale": POSITIVE}, [0.1, 1.0, 4.0]),
    "Multinomial": ({"total_count": 4, "probs": SIMPLEX}, [[1.0, 1.0, 2.0], [4.0, 0.0, 0.0]]),
    "MultivariateNormal": (
        {"loc": [1.0, -1.0], "covariance_matrix": [[2.0, 0.6], [0.6, 1.0]]},
        [[0.0, 0.0], [1.0, 2.0]],
    ),
    "NegativeBinomial": ({"total_count": 3.0, "probs": [0.2, 0.9, 0.5]}, [0.0, 1.0, 7.0]),
    "Normal": ({"loc": [0.0, 1.0, -2.0], "scale": POSITIVE}, [0.1, -3.0, 4.0]),
    "OneHotCategorical": ({"probs": SIMPLEX}, [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]),
    "Poisson": ({"rate": POSITIVE}, [0.0, 1.0, 7.0]),
    "RelaxedBernoulli": ({"temperature": [0.5], "probs": [0.2, 0.9, 0.5]}, [0.1, 0.5, 0.9]),
    "RelaxedOneHotCategorical": ({"temperature": [0.5], "probs": SIMPLEX}, SIMPLEX),
    "StudentT": ({"df": POSITIVE, "loc": [0.0, 1.0, -2.0], "scale": 2.0}, [0.1, -3.0, 4.0]),
    "Uniform": ({"low": [0.0, 1.0, -2.0], "high": [1.0, 3.0, 5.0]}, [0.1, 1.5, 4.0]),
}
# Gradients of their samples are others than PyTorch's: those of gamma numbers.
BY_GAMMA = ("Beta", "Dirichlet")
every_family = pytest.mark.parametrize("name", FAMILIES)


def made(package, name, **more):
    """(the distribution, its parameters as leaves, the values to evaluate at)."""
    given, values = FAMILIES[name]
    leaves = {
        key: package.tensor(value).requires_grad_() if isinstance(value, list) else value
        for key, value in given.items()
    }
    family = getattr(package.distributions, name)
    return family(**leaves, **more), leaves, package.tensor(values)


def attempted(function):
    try:
        return function()
    except NotImplementedError:
        return None


@every_family
def test_agrees_with_pytorch(torch, name):
    def facts(package):
        d, leaves, values = made(package, name)
        text = repr(d)
        found = {k: attempted(lambda k=k: getattr(d, k)) for k in ("mean", "mode", "variance")}
        found["stddev"] = attempted(lambda: d.stddev)
        found["log_prob"] = d.log_prob(values)
        found["entropy"] = attempted(d.entropy)
        found["cdf"] = attempted(lambda: d.cdf(values))
        shares = package.tensor([0.1, 0.5, 0.8])
        found["icdf"] = attempted(lambda: d.icdf(shares))
        package.manual_seed(3)
        found["sample"] = d.sample((2,))
        if d.has_rsample:
            found["rsample"] = d.rsample()
        wide = d.expand((2, *d.batch_shape))
        found["wide"] = wide.log_prob(values)
        judged = ("log_prob", "mean") if name in BY_GAMMA else ("log_prob", "mean", "rsample")
        total = sum(found[k].sum() for k in judged if found.get(k) is not None)
        total.backward()
        found |= {k: x.grad for k, x in leaves.items() if hasattr(x, "grad")}
        shape = package.tensor([*d.batch_shape, *d.event_shape, *wide.batch_shape])
        return found | {"shape": shape, "text": text}

    got, expected = facts(cresset), facts(torch)
    assert got.pop("text") == expected.pop("text")
    for key, reference in expected.items():
        if reference is not None and got[key] is not None:
            cresset.testing.assert_close(
                got[key].detach(), cresset.tensor(reference.detach().numpy()), rtol=2e-4, atol=2e-5,
                equal_nan=True, msg=lambda text, key=key: f"{key}: {text}",
            )


@every_family
def test_divergences_agree_with_pytorch(torch, name):
    def divergence(package):
        p, _, values = made(package, name)
        sizes = {"total_count", "temperature"}
        given = {
            k: v if k in sizes else package.tensor(v).flip(0) for k, v in FAMILIES[name][0].items()
        }
        if name == "MultivariateNormal":
            given["covariance_matrix"] = given["covariance_matrix"].flip(1)
        return attempted(lambda: package.distributions.kl_divergence(p, type(p)(**given)))

    got, expected = divergence(cresset), divergence(torch)
    assert (got is None) <= (expected is None or name in ("Cauchy", "Gumbel", "HalfCauchy"))
    if got is not None:
        reference = cresset.tensor(expected.detach().numpy())
        cresset.testing.assert_close(got.detach(), reference, rtol=1e-4, atol=1e-6)


# --- without PyTorch ------------------------------------------------------------------------------
LINES = {
    "Cauchy": (-3e4, 3e4), "Chi2": (1e-9, 80), "Exponential": (0, 60), "Gumbel": (-30, 80),
    "HalfCauchy": (0, 3e4), "HalfNormal": (0, 30), "Laplace": (-60, 60), "LogNormal": (1e-9, 3e4),
    "Normal": (-30, 30), "StudentT": (-3e5, 3e5),
}


@pytest.mark.parametrize("name", LINES)
def test_densities_add_up_to_the_distribution(name):
    d, _, _ = made(cresset, name)
    # Places close to each other around the middle, far apart in the tails.
    low, high = LINES[name]
    t = cresset.linspace(-30, 30, 200001, dtype=cresset.float64)
    places = (low + t.sigmoid() * (high - low)) if low >= 0 else t.sinh() / math.sinh(30) * high
    density = d.log_prob(places.unsqueeze(-1).float()).double().exp()
    total = cresset.trapezoid(density, places.unsqueeze(-1).expand_as(density), dim=0)
    assert (total - 1).abs().max() < 2e-3


@pytest.mark.parametrize("name", ("Bernoulli", "Binomial", "Geometric", "NegativeBinomial",
                                  "Poisson", "Categorical"))
def test_probabilities_add_up_to_one(name):
    d, _, _ = made(cresset, name, validate_args=False)
    last = {"Bernoulli": 2, "Binomial": 6, "Categorical": 3}.get(name, 400)
    total = d.log_prob(cresset.arange(float(last)).unsqueeze(-1)).exp().sum(0)
    assert (total - 1).abs().max() < 1e-4


@pytest.mark.parametrize("name", ("Beta", "Dirichlet", "Gamma"))
def test_gradients_of_samples_are_those_of_the_mean(name):
    d, leaves, _ = made(cresset, name)
    cresset.manual_seed(0)
    wanted = list(leaves.values())
    weights = cresset.arange(1.0, d.mean.numel() + 1).view(d.mean.shape)
    drawn = (d.rsample((20000,)).mean(0) * weights).sum()
    for got, expected in zip(
        cresset.autograd.grad(drawn, wanted),
        cresset.autograd.grad((d.mean * weights).sum(), wanted),
    ):
        cresset.testing.assert_close(got, expected, rtol=0.1, atol=0.05)


def test_transforms_invert_and_know_how_they_stretch():
    transforms = distributions.transforms
    x = cresset.tensor([-1.2, 0.3, 0.9], dtype=cresset.float64)
    for transform in (
        transforms.AffineTransform(1.0, -2.0), transforms.ExpTransform(),
        transforms.SigmoidTransform(), transforms.TanhTransform(), transforms.SoftplusTransform(),
        transforms.PowerTransform(cresset.tensor(3.0, dtype=cresset.float64)),
        transforms.ComposeTransform([transforms.ExpTransform(), transforms.PowerTransform(0.5)]),
        transforms.ExpTransform().inv,
    ):
        given = x.exp() if transform.domain is distributions.constraints.positive else x
        given = given.detach().requires_grad_()
        out = transform(given)
        cresset.testing.assert_close(transform.inv(out), given)
        (slope,) = cresset.autograd.grad(out.sum(), given)
        cresset.testing.assert_close(
            transform.log_abs_det_jacobian(given, out), slope.abs().log()
        )
    breaking = transforms.StickBreakingTransform()
    out = breaking(x)
    cresset.testing.assert_close(out.sum(), cresset.ones((), dtype=x.dtype))
    cresset.testing.assert_close(breaking.inv(out), x)
    jacobian = cresset.autograd.functional.jacobian(lambda x: breaking(x)[:-1], x)
    cresset.testing.assert_close(breaking.log_abs_det_jacobian(x, out),
                                 cresset.linalg.slogdet(jacobian).logabsdet)


def test_parameters_and_values_outside_are_refused():
    normal = distributions.Normal(cresset.zeros(2), 1.0)
    for wrong, problem in (
        (lambda: distributions.Normal(0.0, -1.0), "parameter scale .* of distribution Normal"),
        (lambda: distributions.Bernoulli(probs=2.0), "to satisfy the constraint interval"),
        (lambda: distributions.Bernoulli(), "but not both; got neither"),
        (lambda: distributions.Categorical(probs=cresset.ones(2), logits=cresset.ones(2)), "both"),
        (lambda: distributions.Uniform(1.0, 1.0), "low >= high"),
        (lambda: normal.log_prob(cresset.ones(3)), "not broadcastable"),
        (lambda: normal.log_prob(1.0), "must be a Tensor; got float"),
        (lambda: normal.log_prob(cresset.tensor(math.nan)), "within the support"),
        (lambda: distributions.Exponential(1.0).log_prob(cresset.tensor(-1.0)), "support"),
    ):
        with pytest.raises(ValueError, match=problem):
            wrong()
    assert distributions.Normal(0.0, -1.0, validate_args=False).scale == -1
    with pytest.raises(NotImplementedError, match="No KL.* Normal and q type Cauchy"):
        distributions.kl_divergence(normal, distributions.Cauchy(0.0, 1.0))
    with pytest.raises(NotImplementedError, match="samples have no gradients"):
        distributions.Poisson(1.0).rsample()


def test_independent_and_mixtures():
    rows = distributions.Independent(distributions.Normal(cresset.zeros(4, 3), 1.0), 1)
    assert rows.batch_shape == (4,) and rows.event_shape == (3,)
    assert rows.log_prob(cresset.zeros(3)).shape == (4,)
    weights = distributions.Categorical(probs=cresset.tensor([0.25, 0.75]))
    parts = distributions.Normal(cresset.tensor([-2.0, 2.0]), cresset.tensor([0.5, 1.0]))
    mixture = distributions.MixtureSameFamily(weights, parts)
    cresset.manual_seed(0)
    drawn = mixture.sample((20000,))
    assert abs(drawn.mean() - mixture.mean) < 0.05
    assert abs(drawn.var() - mixture.variance) < 0.1
    assert distributions.Independent(rows.base_dist, 1).expand((2, 4)).batch_shape == (2, 4)


def test_checks_are_part_of_compiled_functions():
    """A recorded call looks for values outside whenever it is played."""

    def entropy(scale, logits):
        drawn = distributions.Categorical(logits=logits).sample()
        normal = distributions.Normal(cresset.zeros(()), scale)
        return normal.entropy() + normal.log_prob(scale), drawn

    step = cresset.compile(entropy)
    logits = cresset.tensor([[0.0, 1.0], [1.0, 0.0]])
    for factor in (1.0, 2.0, 3.0, 4.0):
        scale = cresset.tensor([1.0, 2.0]) * factor
        results = []
        for run in (step, entropy):
            cresset.manual_seed(0)
            results.append(run(scale, logits))
        assert all(cresset.equal(x, y) for x, y in zip(*results))
    assert "plays" in step.explain()
    with pytest.raises(ValueError, match="Expected parameter scale"):
        step(cresset.tensor([1.0, -2.0]), logits)
