"""Gradients that are differentiated again within compiled functions: the bits of immediate mode."""

import pytest
from compiling import leaf, plays, same

import cresset
from cresset import nn
from cresset.autograd import grad


def agree(function, calls, played):
    """Check that a compiled function gives what the function gives, and how often it was played."""
    compiled = cresset.compile(function)
    for args in calls:
        assert same(compiled(*args), function(*args))
    assert plays(compiled) == played, compiled.explain()
    return compiled


def rows(count, *shape):
    return [(cresset.randn(shape),) for _ in range(count)]


@pytest.mark.parametrize("activation", [nn.Tanh, nn.LeakyReLU])
def test_a_step_with_a_gradient_penalty(activation):
    batches = [cresset.randn(9, 4) for _ in range(6)]

    def train(wrap):
        cresset.manual_seed(0)
        model = nn.Sequential(nn.Linear(4, 8), activation(), nn.LayerNorm(8), nn.Linear(8, 1))
        optimizer = cresset.optim.Adam(model.parameters(), lr=0.01)

        def step(x):
            optimizer.zero_grad()
            x = x.detach().requires_grad_()
            out = model(x)
            (g,) = grad(out.sum(), x, create_graph=True)
            loss = out.mean() + 10 * ((g.norm(dim=1) - 1) ** 2).mean()
            loss.backward()
            optimizer.step()
            return loss.detach()

        run = wrap(step)
        return [run(x) for x in batches], [p.detach() for p in model.parameters()], run

    *own, compiled = train(cresset.compile)
    *expected, _ = train(lambda step: step)
    assert same(own, expected)
    assert plays(compiled) == 4


def test_a_product_with_the_hessian():
    def product(x, v):
        x = x.detach().requires_grad_()
        y = (x.sin() * x.exp()).sum() + (x @ x) ** 2
        (g,) = grad(y, x, create_graph=True)
        (h,) = grad((g * v).sum(), x)
        return g.detach(), h

    agree(product, [(cresset.randn(6), cresset.randn(6)) for _ in range(4)], 2)


def test_hessians():
    agree(
        lambda x: cresset.autograd.functional.hessian(lambda x: (x**3).sum() * x.sum(), x),
        rows(4, 3), 2,
    )


def test_a_penalty_that_is_differentiated_outside():
    """The graph of the result holds a tensor that the function made and asked gradients of."""
    model = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.ELU())
    parameters = list(model.parameters())

    def penalty(x):
        x = x.detach().requires_grad_()
        (g,) = grad(model(x).sum(), x, create_graph=True)
        return (g**2).sum()

    def gradients(function):
        state = {name: x.clone() for name, x in model.state_dict().items()}
        found = grad(function(x), parameters, allow_unused=True)
        model.load_state_dict(state)
        return found

    compiled = cresset.compile(penalty)
    for _ in range(4):
        x = cresset.randn(2, 2, 6, 6)
        assert same(gradients(compiled), gradients(penalty))
    assert plays(compiled) == 2


def test_through_control_flow():
    """Which is then recorded as Python runs it."""
    w = leaf(1.0, 2.0, -0.5)

    def function(x):
        x = x.detach().requires_grad_()
        y = cresset.cond(x.sum() > 0, lambda: (x * w).sin(), lambda: (x * w * x).cos())
        y, _ = cresset.scan(lambda c, r: ((c * r * w).sin(), None), y, x * cresset.ones(2, 3))
        (g,) = grad(y.sum(), x, create_graph=True)
        return grad((g**2).sum(), w)[0]

    ones = cresset.ones(3)
    compiled = agree(function, [(k * ones,) for k in (1.0, 2.0, 3.0, -1.0, -2.0, 4.0)], 3)
    assert "is seen" in compiled.explain()


def test_from_outside_of_what_is_compiled():
    compiled = cresset.compile(cresset.tanh)
    for k in range(4):
        x = leaf(1.0, 2.0)
        y = compiled(x).sum()
        if k < 2:
            continue
        with pytest.raises(NotImplementedError, match="again from outside of it"):
            grad(y, x, create_graph=True)
