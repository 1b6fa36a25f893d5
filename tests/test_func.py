"""Transforms of functions: derivatives that nest, maps over a batch, modules without state."""

import pytest

import cresset
from cresset import nn
from cresset.func import (
    functional_call,
    grad,
    grad_and_value,
    hessian,
    jacfwd,
    jacrev,
    jvp,
    stack_module_state,
    vjp,
    vmap,
)
from cresset.testing import assert_close


def scores(package):
    """Results of every transform, in PyTorch or here, as one list of tensors."""
    f = package.func
    package.manual_seed(0)
    x, y = package.randn(3), package.randn(3)
    net = package.nn.Sequential(package.nn.Linear(3, 2), package.nn.Tanh())
    weights = dict(net.named_parameters())

    def loss(weights, x):
        return f.functional_call(net, weights, (x,)).square().sum()

    whole, by_x = f.grad(loss, argnums=(0, 1))(weights, x)
    several, pull = f.vjp(lambda x: {"a": x * y, "b": x.sum()}, x)
    each = f.vmap(f.grad(loss), in_dims=(None, 0))(
        {k: w.detach() for k, w in weights.items()}, package.stack([x, y])
    )
    wanted = x.clone().requires_grad_()
    f.grad(lambda x, w: (x * w).prod())(y, wanted).sum().backward()
    return [
        *whole.values(), by_x, several["b"], *pull({"a": y, "b": x.sum()}), *each.values(),
        wanted.grad, f.grad(f.grad(lambda a: a.sin()))(x[0]),
        *f.jvp(lambda a, b: a * b, (x, y), (y, x)), f.hessian(lambda x: (x**3 * y).sum())(x),
        f.jacrev(lambda x: package.outer(x, y))(x), f.jacfwd(lambda x: package.outer(x, y))(x),
        f.vmap(package.outer, in_dims=(1, None), out_dims=1)(package.outer(x, y), x),
    ]


def test_agrees_with_pytorch(torch):
    for k, (got, expected) in enumerate(zip(scores(cresset), scores(torch), strict=True)):
        assert_close(got.detach(), cresset.tensor(expected.detach().numpy()), msg=f"result {k}")
        assert got.requires_grad == expected.requires_grad, k


def test_gradients_nest_and_end():
    x = cresset.tensor(2.0)
    third = grad(grad(grad(lambda x: x**4)))(x)
    assert third == 48 and not third.requires_grad
    found, (value, aux) = grad_and_value(lambda x: (x * x, "aux"), has_aux=True)(x)
    assert (found, value, aux) == (4, 4, "aux") and not value.requires_grad
    assert grad(lambda x: cresset.tensor(1.0))(x) == 0
    with cresset.no_grad():
        assert grad(lambda x: x * x)(x) == 4
    w = cresset.tensor(3.0, requires_grad=True)
    grad(lambda x: w * x**2)(x).backward()
    assert w.grad == 4
    assert jvp(lambda x: x**3, (x,), (cresset.ones(()),)) == (8, 12)
    assert hessian(lambda x: x**3)(x) == 12 == jacfwd(jacrev(lambda x: x**3))(x)


def test_a_module_is_called_with_other_tensors():
    net = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    before = {name: x.clone() for name, x in net.state_dict().items()}
    zeros = {name: cresset.zeros_like(x) for name, x in net.named_parameters()}
    assert (functional_call(net.eval(), zeros, cresset.ones(3, 2)) == 0).all()
    for name, x in net.state_dict().items():
        assert cresset.equal(x, before[name])
    tied = nn.Sequential(nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False))
    tied[1].weight = tied[0].weight
    doubled = {"0.weight": cresset.eye(2) * 2}
    assert_close(functional_call(tied, doubled, cresset.ones(2)), cresset.tensor([4.0, 4.0]))
    with pytest.raises(RuntimeError, match="unexpected key.*: wrong; need those of named_param"):
        functional_call(net, {"wrong": cresset.ones(1)}, cresset.ones(3, 2))
    with pytest.raises(RuntimeError, match="missing key.*: 0.bias"):
        functional_call(net, {"0.weight": cresset.eye(2)}, cresset.ones(3, 2), strict=True)
    with pytest.raises(ValueError, match="appeared in multiple"):
        functional_call(net, [zeros, zeros], cresset.ones(3, 2))


def test_an_ensemble_is_one_map():
    models = [nn.Linear(2, 3) for _ in range(4)]
    parameters, buffers = stack_module_state(models)
    x = cresset.randn(5, 2)
    found = vmap(lambda p, b: functional_call(models[0], (p, b), (x,)))(parameters, buffers)
    assert_close(found, cresset.stack([model(x) for model in models]))


def test_wrong_calls_are_refused():
    x = cresset.ones(3)
    for wrong, kind, problem in (
        (lambda: grad(lambda x: x)(x), RuntimeError, "scalar tensor.*got shape \\(3,\\)"),
        (lambda: vmap(cresset.add)(x, cresset.ones(2)), ValueError, "got sizes \\[2, 3\\]"),
        (lambda: vmap(cresset.sum, in_dims=1)(x), ValueError, "Got in_dim=1 .*shape \\(3,\\)"),
        (lambda: vmap(cresset.add, in_dims=(0,))(x, x), ValueError, "for 2 arguments"),
        (lambda: vmap(lambda x: 1.0)(x), ValueError, "must only return Tensors, got type float"),
        (lambda: vmap(cresset.sin, randomness="some"), RuntimeError, "Got some"),
        (lambda: stack_module_state([]), RuntimeError, "got none"),
    ):
        with pytest.raises(kind, match=problem):
            wrong()


def test_maps_draw_the_same_or_different_numbers():
    draw = lambda x: x + cresset.randn(2)  # noqa: E731
    same = vmap(draw, randomness="same")(cresset.zeros(3, 2))
    different = vmap(draw, randomness="different")(cresset.zeros(3, 2))
    assert cresset.equal(same[0], same[1]) and not cresset.equal(different[0], different[1])


def test_vjp_beside_what_else_a_function_returns():
    value, pull, aux = vjp(lambda x: (x * 2, "aux"), cresset.ones(2), has_aux=True)
    assert aux == "aux" and not value.requires_grad
    assert_close(pull(cresset.ones(2))[0], cresset.full((2,), 2.0))
