"""`nn.utils`: norms by hooks, orthogonal weights, fused normalisation, layers without values."""

import numpy
import pytest

import cresset
from cresset import nn
from cresset.nn.utils import parametrizations, parametrize
from cresset.testing import assert_close


def same(ours, theirs):
    """Gives a module the parameters and buffers of PyTorch's."""
    state = {name: x.detach().numpy().copy() for name, x in theirs.state_dict().items()}
    ours.load_state_dict({name: cresset.from_numpy(x) for name, x in state.items()})


@pytest.mark.parametrize("kind", ["Linear", "Conv2d", "ConvTranspose2d"])
def test_spectral_norm_by_a_hook_is_pytorchs(kind, torch):
    sizes = (4, 3) if kind == "Linear" else (4, 3, 2)
    x = torch.randn(2, 4) if kind == "Linear" else torch.randn(2, 4, 5, 5)
    theirs = torch.nn.utils.spectral_norm(getattr(torch.nn, kind)(*sizes), n_power_iterations=2)
    ours = nn.utils.spectral_norm(getattr(nn, kind)(*sizes), n_power_iterations=2)
    assert [*ours.state_dict()] == [*theirs.state_dict()]
    same(ours, theirs)
    for _ in range(3):
        found, expected = ours(cresset.from_numpy(x.numpy())), theirs(x)
        assert_close(found.detach(), cresset.from_numpy(expected.detach().numpy()))
        found.sum().backward()
        expected.sum().backward()
    assert_close(ours.weight_orig.grad, cresset.from_numpy(theirs.weight_orig.grad.numpy()))
    nn.utils.remove_spectral_norm(ours)
    torch.nn.utils.remove_spectral_norm(theirs)
    assert [*ours.state_dict()] == [*theirs.state_dict()]
    assert_close(ours.weight.detach(), cresset.from_numpy(theirs.weight.detach().numpy()))


def test_wrong_spectral_norms():
    layer = nn.utils.spectral_norm(nn.Linear(2, 2))
    with pytest.raises(RuntimeError, match="two spectral_norm hooks"):
        nn.utils.spectral_norm(layer)
    with pytest.raises(ValueError, match="n_power_iterations"):
        nn.utils.spectral_norm(nn.Linear(2, 2), n_power_iterations=0)
    with pytest.raises(ValueError, match="not found"):
        nn.utils.remove_spectral_norm(nn.Linear(2, 2))


@pytest.mark.parametrize("map", ["matrix_exp", "cayley", "householder"])
@pytest.mark.parametrize("sizes", [(3, 3), (2, 4), (4, 2)])
def test_orthogonal_weights(map, sizes):
    layer = parametrizations.orthogonal(nn.Linear(*sizes), orthogonal_map=map)
    optimizer = cresset.optim.SGD(layer.parameters(), lr=0.5)
    one = cresset.eye(min(sizes))

    def product():
        w = layer.weight.detach()
        return w @ w.mT if w.shape[0] < w.shape[1] else w.mT @ w

    assert_close(product(), one, rtol=0, atol=1e-5)
    before = layer.weight.detach().clone()
    for _ in range(3):
        optimizer.zero_grad()
        layer(cresset.ones(sizes[0])).sum().backward()
        optimizer.step()
        assert_close(product(), one, rtol=0, atol=1e-5)
    assert not cresset.equal(layer.weight, before)
    layer.weight = nn.init.orthogonal_(cresset.empty(sizes[::-1]))
    assert_close(product(), one, rtol=0, atol=1e-5)


@pytest.mark.parametrize("map", ["matrix_exp", "cayley", "householder"])
@pytest.mark.parametrize("shape", [(3, 3), (2, 4), (4, 2), (2, 4, 3)])
def test_orthogonal_maps_are_pytorchs(map, shape, torch):
    x = numpy.random.default_rng(0).standard_normal(shape).astype(numpy.float32)
    if map == "householder":
        x[..., range(min(shape[-2:])), range(min(shape[-2:]))] = 1
    outcomes = []
    for library in (cresset, torch):
        holder = library.nn.Module()
        holder.weight = library.nn.Parameter(library.ones(*shape))
        library.nn.utils.parametrizations.orthogonal(
            holder, orthogonal_map=map, use_trivialization=False
        )
        with library.no_grad():
            holder.parametrizations.weight.original.copy_(library.from_numpy(x))
        outcomes.append(holder.weight.detach().numpy())
        if map != "householder":
            with pytest.raises(NotImplementedError, match="not possible to assign"):
                holder.weight = library.ones(*shape)
    assert numpy.allclose(*outcomes, atol=1e-5)


def test_wrong_orthogonal_weights():
    with pytest.raises(ValueError, match="Expected a matrix"):
        parametrizations.orthogonal(nn.LayerNorm(3))
    with pytest.raises(ValueError, match="has to be one of"):
        parametrizations.orthogonal(nn.Linear(2, 2), orthogonal_map="qr")
    layer = parametrizations.orthogonal(nn.Linear(2, 2))
    with pytest.raises(ValueError, match="of shape"):
        layer.weight = cresset.eye(3)
    parametrize.remove_parametrizations(layer, "weight")
    assert [*layer.state_dict()] == ["bias", "weight"]


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("kind", ["Linear", "Conv2d", "ConvTranspose2d"])
def test_fused_normalisation(kind, bias):
    layer = (nn.Linear(3, 4, bias=bias) if kind == "Linear"
             else getattr(nn, kind)(3, 4, 2, bias=bias))
    norm = nn.BatchNorm1d(4) if kind == "Linear" else nn.BatchNorm2d(4)
    x = cresset.randn(6, 3) if kind == "Linear" else cresset.randn(6, 3, 4, 4)
    norm(layer(x))
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    layer.eval(), norm.eval()
    fuse = nn.utils.fuse_linear_bn_eval if kind == "Linear" else nn.utils.fuse_conv_bn_eval
    assert_close(fuse(layer, norm)(x), norm(layer(x)), rtol=1e-4, atol=1e-5)
    with pytest.raises(AssertionError, match="only for evaluation"):
        fuse(layer.train(), norm)


def test_layers_without_values():
    layer = nn.utils.skip_init(nn.Conv2d, 1, 2, 3, dtype=cresset.float64)
    assert layer.weight.shape == (2, 1, 3, 3) and layer.weight.dtype is cresset.float64
    assert layer.weight.device.type == "cpu" and isinstance(layer.weight, nn.Parameter)
    assert nn.utils.skip_init(nn.Linear, 1, 1, device="meta").weight.is_meta
    model = nn.Sequential(nn.Linear(2, 2, device="meta"), nn.BatchNorm1d(2)).to_empty(device="cpu")
    assert not model[0].weight.is_meta and model[0].weight.requires_grad
    for wrong in (len, nn.ReLU):
        with pytest.raises(RuntimeError, match="skip_init"):
            nn.utils.skip_init(wrong)


def test_synchronized_normalisation(torch):
    x = torch.randn(4, 3, 5)
    ours, theirs = nn.SyncBatchNorm(3), torch.nn.SyncBatchNorm(3)
    for _ in range(2):
        found, expected = ours(cresset.from_numpy(x.numpy())), theirs(x)
    assert_close(found.detach(), cresset.from_numpy(expected.detach().numpy()))
    assert [*ours.state_dict()] == [*theirs.state_dict()]
    model = nn.Sequential(nn.Conv2d(1, 2, 1), nn.Sequential(nn.BatchNorm2d(2, eps=0.1))).eval()
    weight = model[1][0].weight
    made = nn.SyncBatchNorm.convert_sync_batchnorm(model)
    assert type(made[1][0]) is nn.SyncBatchNorm and made[1][0].weight is weight
    assert made[1][0].eps == 0.1 and not made[1][0].training
    with pytest.raises(ValueError, match="at least 2D"):
        ours(cresset.ones(3))


def test_clipping_by_the_older_name():
    x = cresset.ones(4, requires_grad=True)
    x.sum().backward()
    with pytest.warns(FutureWarning):
        assert nn.utils.clip_grad_norm([x], 1.0).item() == 2
    assert_close(x.grad, cresset.full((4,), 0.5))


def test_modules_in_shared_memory():
    model = nn.Sequential(nn.Linear(2, 1), nn.BatchNorm1d(1))
    weight = model[0].weight
    assert model.share_memory() is model and model[0].weight is weight
    assert all(x.is_shared() for x in (*model.parameters(), *model.buffers()))


def test_modules_compiled_in_place():
    model, x = nn.Sequential(nn.Linear(3, 4), nn.Tanh()), cresset.randn(2, 3)
    keys, expected, calls = [*model.state_dict()], model(x), []
    model.register_forward_hook(lambda *given: calls.append(1))
    model.compile()
    for _ in range(4):
        assert cresset.equal(model(x), expected)
    assert len(calls) == 4 and [*model.state_dict()] == keys
    assert "plays" in model.forward.explain()
    model(x).sum().backward()
    assert model[0].weight.grad is not None
