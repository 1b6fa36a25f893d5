"""Compiled functions in the middle of a graph: gradients go through them into their arguments'."""

import pytest
from compiling import leaf, plays

import cresset
from cresset import nn


def gradients(middle, calls=5):
    """The gradients of leaves before and within a function, call after call."""
    w = leaf(1.0, 2.0, 3.0)
    found = []
    for k in range(calls):
        w.grad = None
        x = cresset.full((3,), k + 1.0)
        y = middle(w * x)
        y.square().sum().backward()
        found.append((y.tolist(), w.grad.tolist()))
    return found


def test_a_function_of_what_has_a_graph():
    def middle(h):
        return h.sin() * 2

    compiled = cresset.compile(middle)
    assert gradients(compiled) == gradients(middle)
    assert plays(compiled) == 3


def test_verified_and_profiled_in_the_middle_of_a_graph():
    def middle(h):
        return h.sin() * 2

    verified = cresset.compile(middle, verify=True)
    assert gradients(verified) == gradients(middle)
    assert plays(verified) == 3
    w = leaf(1.0, 2.0, 3.0)
    names = [row.name for _, rows in verified.profile(w * 2).parts for row in rows]
    assert any("sin" in name for name in names)
    assert w.grad is None


def test_gradients_have_the_line_of_what_they_belong_to():
    w = leaf(*map(float, range(8)))

    def step(x):
        y = x.sin() @ w
        z = w[1:].exp()
        (y + z.sum()).backward()

    compiled = cresset.compile(step)
    for _ in range(4):
        w.grad = None
        compiled(cresset.ones(8))
    start = step.__code__.co_firstlineno
    lines = {entry.name: entry.line[1] - start for part in compiled._variants[0].replay.segments
             for launch in part.launches for entry in launch.entries}
    assert (lines["sin"], lines["exp"], lines["sum"]) == (1, 2, 3)
    assert (lines["exp_backward"], lines["placed"], lines["full"]) == (2, 2, 3), lines


def test_blocks_of_a_model():
    def train(wrap):
        cresset.manual_seed(0)
        blocks = [nn.Sequential(nn.Linear(8, 8), nn.Tanh(), nn.LayerNorm(8)) for _ in range(3)]
        wrapped = [wrap(block) for block in blocks]
        parameters = [p for block in blocks for p in block.parameters()]
        optimizer = cresset.optim.Adam(parameters, lr=0.01)
        losses = []
        for _ in range(6):
            h = cresset.randn(5, 8)
            for block in wrapped:
                h = h + block(h)
            optimizer.zero_grad()
            h.square().mean().backward()
            optimizer.step()
            losses.append(h.square().mean().item())
        return losses, [p.tolist() for p in parameters], wrapped

    *own, wrapped = train(cresset.compile)
    *expected, _ = train(lambda block: block)
    assert own == expected
    assert all(plays(block) == 4 for block in wrapped)


def test_a_parameter_that_is_used_before_and_within():
    w = leaf(1.0, 2.0)

    def middle(h):
        return h * w

    for wrap in (cresset.compile, lambda f: f):
        run = wrap(middle)
        found = []
        for k in range(5):
            w.grad = None
            run(w * (k + 1.0)).sum().backward()
            found.append(w.grad.tolist())
        if wrap is cresset.compile:
            own = found
            assert plays(run)
    assert own == found == [[2.0 * k, 4.0 * k] for k in range(1, 6)]


def test_results_that_are_the_argument():
    compiled = cresset.compile(lambda h: (h, h * 2, h.view(-1)))
    w = leaf(1.0)
    for _ in range(5):
        h = w * 3
        same, double, view = compiled(h)
        assert same is h
        (grad,) = cresset.autograd.grad((same + double + view).sum(), w)
        assert grad.tolist() == [12.0]
    assert plays(compiled)


def test_some_arguments_have_graphs_and_some_not():
    compiled = cresset.compile(lambda x, y: x * y)
    w = leaf(2.0)
    for k in range(12):
        x = w * 3 if k % 2 else cresset.tensor([6.0])
        y = w * 5 if k % 3 else w
        (grad,) = cresset.autograd.grad(compiled(x, y), w)
        inner = w.detach().requires_grad_()
        x = inner * 3 if k % 2 else cresset.tensor([6.0])
        y = inner * 5 if k % 3 else inner
        assert grad.tolist() == cresset.autograd.grad(x * y, inner)[0].tolist()
    assert plays(compiled)


@pytest.mark.parametrize("function, reason", [
    (lambda h: h.mul_(2) * 1, "writes to an argument that has a graph"),
    (lambda h: h.square().sum().backward() or h.detach() * 1, "goes backward into the graph"),
])
def test_what_reaches_into_the_graph_is_not_played(function, reason):
    compiled = cresset.compile(function)
    for k in range(5):
        found = []
        for run in (compiled, function):
            w = leaf(2.0, k)
            result = run(w * 3)
            if result.requires_grad:
                result.sum().backward()
            found.append((result.tolist(), w.grad.tolist()))
        assert found[0] == found[1]
    assert reason in compiled.explain()


def test_without_gradients_a_graph_does_not_matter():
    compiled = cresset.compile(lambda h: h * 2)
    w = leaf(2.0)
    for _ in range(5):
        h = w * 3
        with cresset.no_grad():
            assert compiled(h).tolist() == [12.0]
    assert plays(compiled) == 3
