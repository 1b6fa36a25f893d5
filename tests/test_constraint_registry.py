"""`biject_to` and `transform_to`: from all numbers to a set, as PyTorch's, and back."""

import numpy
import pytest

import cresset
from cresset import distributions
from cresset.distributions import biject_to, constraints, transform_to

SETS = {
    "real": lambda c: c.real,
    "real_vector": lambda c: c.real_vector,
    "positive": lambda c: c.positive,
    "nonnegative": lambda c: c.nonnegative,
    "greater": lambda c: c.greater_than(-2.0),
    "less": lambda c: c.less_than(3.0),
    "unit": lambda c: c.unit_interval,
    "interval": lambda c: c.interval(-1.0, 2.5),
    "half": lambda c: c.half_open_interval(-1.0, 2.5),
    "simplex": lambda c: c.simplex,
    "lower_cholesky": lambda c: c.lower_cholesky,
    "positive_definite": lambda c: c.positive_definite,
    "independent": lambda c: c.independent(c.positive, 1),
    "cat": lambda c: c.cat([c.positive, c.unit_interval], -1, [3, 1]),
    "stack": lambda c: c.stack([c.positive, c.real, c.unit_interval, c.real], -2),
}


@pytest.mark.parametrize("registry", ["biject_to", "transform_to"])
@pytest.mark.parametrize("name", SETS)
def test_as_pytorch(name, registry, torch):
    if (name, registry) == ("lower_cholesky", "biject_to"):
        # PyTorch has it in the other registry only.
        assert biject_to(constraints.lower_cholesky).bijective
        return
    x = numpy.random.default_rng(0).standard_normal((2, 4, 4))
    found = []
    for library in (cresset, torch):
        members = library.distributions
        constraint = SETS[name](members.constraints)
        value = library.from_numpy(x)
        try:
            change = getattr(members, registry)(constraint)
        except NotImplementedError:
            found.append(None)
            continue
        y = change(value)
        facts = [y, change.inv(y)]
        if registry == "biject_to":
            facts.append(change.log_abs_det_jacobian(value, y))
        assert constraint.check(y).all()
        found.append([fact.numpy() for fact in facts])
    if None in found:
        assert found == [None, None]
        return
    for ours, theirs in zip(*found):
        numpy.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-9)


def test_unknown_and_new_constraints():
    for unknown in (constraints.boolean, constraints.dependent):
        with pytest.raises(NotImplementedError, match="Cannot transform"):
            transform_to(unknown)
    with pytest.raises(TypeError, match="Expected constraint"):
        transform_to.register(3, None or len)

    class Even(constraints.Constraint):
        """A set of our own."""

    @transform_to.register(Even)
    def doubled(constraint):
        return distributions.AffineTransform(0, 2)

    assert transform_to(Even())(cresset.ones(1)).item() == 2
