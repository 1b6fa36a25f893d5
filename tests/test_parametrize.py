"""Parametrized tensors: computed from their originals, which are learnt and saved."""

import copy

import pytest

import cresset
from cresset import nn
from cresset.nn.utils import parametrizations, parametrize
from cresset.testing import assert_close


class Doubled(nn.Module):
    def forward(self, x):
        return x * 2

    def right_inverse(self, x):
        return x / 2


class Cut(nn.Module):
    def forward(self, x):
        return x[:1]


def test_a_tensor_is_computed_from_its_original():
    layer = nn.Linear(3, 2)
    weight = layer.weight.detach().clone()
    optimizer = cresset.optim.SGD(layer.parameters(), lr=1.0)
    parametrize.register_parametrization(layer, "weight", Doubled())
    assert type(layer).__name__ == "ParametrizedLinear" and isinstance(layer, nn.Linear)
    assert parametrize.type_before_parametrizations(layer) is nn.Linear
    assert_close(layer.weight, weight)
    original = layer.parametrizations.weight.original
    assert_close(original, weight / 2)
    assert [*layer.state_dict()] == ["bias", "parametrizations.weight.original"]
    layer(cresset.ones(3)).sum().backward()
    assert_close(original.grad, cresset.full((2, 3), 2.0))
    optimizer.step()
    layer.weight = cresset.ones(2, 3)
    assert_close(layer.weight, cresset.ones(2, 3))
    with parametrize.cached():
        assert layer.weight is layer.weight
    assert layer.weight is not layer.weight
    parametrize.register_parametrization(layer, "weight", Doubled())
    assert_close(layer.weight, cresset.full((2, 3), 2.0))
    parametrize.remove_parametrizations(layer, "weight")
    assert type(layer) is nn.Linear and isinstance(layer.weight, nn.Parameter)
    assert_close(layer.weight, cresset.full((2, 3), 2.0))
    assert not parametrize.is_parametrized(layer)


def test_copies_are_parametrized_on_their_own():
    layer = parametrize.register_parametrization(nn.Linear(2, 2), "weight", Doubled())
    twin = copy.deepcopy(layer)
    with cresset.no_grad():
        twin.parametrizations.weight.original.zero_()
    assert (twin.weight == 0).all() and not (layer.weight == 0).all()
    parametrize.remove_parametrizations(twin, "weight")
    assert parametrize.is_parametrized(layer, "weight")
    layer.load_state_dict(copy.deepcopy(layer).state_dict())


def normed(package):
    utils = package.nn.utils
    package.manual_seed(0)
    x = package.randn(4, 6)
    found, keys = [], []
    for make in (
        lambda: utils.parametrizations.weight_norm(package.nn.Linear(6, 4)),
        lambda: utils.parametrizations.weight_norm(package.nn.Linear(6, 4), dim=None),
        lambda: utils.weight_norm(package.nn.Linear(6, 4), dim=1),
        lambda: utils.parametrizations.spectral_norm(package.nn.Linear(6, 4)),
        lambda: utils.parametrizations.spectral_norm(package.nn.Linear(6, 4), dim=1),
    ):
        layer = make()
        layer(x)
        out = layer(x)
        out.square().sum().backward()
        keys += layer.state_dict()
        found += [out, *(p.grad for p in layer.parameters()), *layer.state_dict().values()]
    return [y.detach() for y in found], keys


def test_norms_agree_with_pytorch(torch):
    (got, keys), (expected, reference) = normed(cresset), normed(torch)
    assert keys == reference
    for x, y in zip(got, expected, strict=True):
        assert_close(x, cresset.tensor(y.numpy()), rtol=1e-4, atol=1e-5)


def test_weight_norm_by_both_interfaces_shares_state():
    old = nn.utils.weight_norm(nn.Conv1d(2, 3, 3))
    new = parametrizations.weight_norm(nn.Conv1d(2, 3, 3))
    new.load_state_dict(old.state_dict())
    x = cresset.randn(1, 2, 5)
    assert_close(new(x), old(x))
    weight = old.weight.detach().clone()
    nn.utils.remove_weight_norm(old)
    assert_close(old.weight, weight)
    assert [*old.state_dict()] == ["bias", "weight"]


def test_wrong_calls_are_refused():
    layer = nn.Linear(3, 2)
    for wrong, kind, problem in (
        (lambda: parametrize.register_parametrization(layer, "none", Doubled()), ValueError,
         "does not have a parameter.*it has weight, bias"),
        (lambda: parametrize.register_parametrization(layer, "weight", Cut()), ValueError,
         "may not change the shape"),
        (lambda: parametrize.remove_parametrizations(layer, "weight"), ValueError,
         "does not have a parametrization on weight"),
        (lambda: nn.utils.remove_weight_norm(layer), ValueError, "not found in Linear"),
        (lambda: nn.utils.weight_norm(nn.utils.weight_norm(nn.Linear(1, 1))), RuntimeError,
         "Cannot register two"),
        (lambda: parametrizations.spectral_norm(layer, n_power_iterations=0), ValueError,
         "n_power_iterations=0"),
    ):
        with pytest.raises(kind, match=problem):
            wrong()
