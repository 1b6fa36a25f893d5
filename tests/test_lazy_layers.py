"""Lazy layers become what their first input, or a state dict, makes of them."""

import copy

import pytest

import cresset
from cresset import nn

LAYERS = {
    "Linear": ((2,), (5, 3)),
    "Conv1d": ((4, 3), (2, 6, 9)),
    "Conv2d": ((4, 3), (6, 9, 9)),
    "Conv3d": ((4, 2), (2, 6, 3, 3, 3)),
    "ConvTranspose1d": ((4, 3), (2, 6, 9)),
    "ConvTranspose2d": ((4, 3), (2, 6, 5, 5)),
    "ConvTranspose3d": ((4, 2), (2, 6, 3, 3, 3)),
    "BatchNorm1d": ((), (5, 3)),
    "BatchNorm2d": ((), (2, 3, 4, 4)),
    "BatchNorm3d": ((), (2, 3, 2, 2, 2)),
    "InstanceNorm1d": ((), (2, 3, 9)),
    "InstanceNorm2d": ((), (3, 4, 4)),
    "InstanceNorm3d": ((), (2, 3, 2, 2, 2)),
}
every_layer = pytest.mark.parametrize("name", LAYERS)


def options(name):
    if name.startswith("Inst"):
        return {"affine": True, "track_running_stats": True}
    return {"groups": 2} if name.startswith("Conv") else {}


@every_layer
def test_a_layer_is_as_if_its_features_had_been_given(name):
    args, shape = LAYERS[name]
    x = cresset.randn(shape)
    lazy = getattr(nn, f"Lazy{name}")(*args, **options(name))
    before = list(lazy.parameters())
    assert isinstance(lazy, getattr(nn, name)) and repr(lazy).startswith(f"Lazy{name}(")
    cresset.manual_seed(0)
    got = lazy(x)
    cresset.manual_seed(0)
    features = 6 if name.startswith("Conv") else 3
    eager = getattr(nn, name)(features, *args, **options(name))
    assert cresset.equal(got, eager(x))
    assert type(lazy) is type(eager) and repr(lazy) == repr(eager)
    assert all(a is b for a, b in zip(before, lazy.parameters(), strict=True))
    assert all(type(p) is nn.Parameter for p in before)
    assert vars(lazy).keys() == vars(eager).keys()


@every_layer
def test_a_state_dict_tells_the_features(name):
    args, shape = LAYERS[name]
    made, loaded = (getattr(nn, f"Lazy{name}")(*args, **options(name)) for _ in range(2))
    x = cresset.randn(shape)
    made(x)
    loaded.load_state_dict(made.state_dict())
    assert cresset.equal(loaded.eval()(x), made.eval()(x)) and type(loaded) is type(made)


def test_an_optimizer_may_be_made_before():
    model = nn.Sequential(nn.LazyConv2d(4, 3), nn.ReLU(), nn.Flatten(), nn.LazyLinear(2))
    optimizer = cresset.optim.Adam(model.parameters(), lr=0.1)
    model(cresset.randn(2, 3, 5, 5)).sum().backward()
    start = model[3].weight.detach().clone()
    optimizer.step()
    assert not cresset.equal(model[3].weight, start)
    assert model[3].in_features == 36


def test_types_copies_and_what_is_not_known_yet():
    layer = nn.LazyLinear(2).double()
    twin = copy.deepcopy(layer)
    with pytest.raises(RuntimeError, match="can't access the shape of an uninitialized parameter"):
        len(layer.weight.shape)
    assert layer.in_features == 0 and repr(layer.weight) == "<UninitializedParameter>"
    assert layer(cresset.ones(3, dtype=cresset.float64)).dtype is cresset.float64
    assert isinstance(twin, nn.LazyLinear)
    assert nn.LazyLinear(2, bias=False)(cresset.ones(3)).shape == (2,)


def test_agrees_with_pytorch(torch):
    def run(package):
        package.manual_seed(0)
        layers = package.nn
        model = layers.Sequential(
            layers.LazyConv2d(4, 3), layers.LazyBatchNorm2d(), layers.Flatten(),
            layers.LazyLinear(2),
        )
        package.manual_seed(0)
        return [repr(model), repr(model(package.ones(2, 3, 5, 5))), repr(model)]

    assert run(cresset) == run(torch)
