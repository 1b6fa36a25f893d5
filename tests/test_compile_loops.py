"""`while_loop` with gradients as rounds of a compiled program: the bits of immediate mode."""

import pytest
from compiling import leaf, plays, same, with_gradients
from test_compile_control_flow import agree

import cresset
from cresset import nn
from cresset.compiler.control_flow import loop


def counted(*counts, shape=(2, 3)):
    """Calls with some elements and the number of turns."""
    return [(cresset.randn(shape), cresset.tensor(n)) for n in counts]


def looped(body, carried, limit):
    """What is carried after so many turns."""
    return cresset.while_loop(
        lambda n, *carried: n < limit, lambda n, *carried: (n + 1, *body(*carried)),
        (cresset.tensor(0), *carried),
    )


def weights():
    return cresset.randn(3, 3, requires_grad=True), cresset.randn(3, requires_grad=True)


def decided(function, calls, ways=1):
    """Check that a compiled function has the bits of immediate mode; its programs are loops.

    Whether there is a turn is looked at.
    """
    compiled = cresset.compile(function)
    for args in calls:
        assert same(compiled(*args), function(*args))
    assert len(compiled._variants) == ways, compiled.explain()
    assert plays(compiled) >= len(calls) - 2 * ways
    return compiled


def test_gradients_of_a_loop():
    w, b = weights()

    def function(x, limit):
        _, y = looped(lambda y: ((y @ w * 0.5).tanh() + b,), (x,), limit)
        return y * w.sum()

    compiled = decided(with_gradients(function, (w, b)), counted(3, 3, 5, 1, 20))
    assert compiled.explain().count("is seen") == 1


def test_gradients_of_what_is_carried_alone():
    """Then nothing is looked at: without a turn the gradients are what they are."""
    b = weights()[1]

    def function(x, limit):
        return looped(lambda y, z: (y.sin() * 2 + z, z.detach() * 0.5), (x * b, x), limit)[1:]

    agree(with_gradients(function, (b,)), counted(3, 3, 0, 5, 1, 0, 20))


def test_without_a_turn():
    """What turns would read has no gradients then: an optimizer would see the difference."""
    w, b = weights()

    def function(x, limit):
        return looped(lambda y: (y @ w,), (x * b,), limit)[1]

    compiled = decided(
        with_gradients(function, (w, b)), counted(2, 2, 2, 0, 0, 0, 3, 0, 1), ways=2
    )
    assert "where False is seen" in compiled.explain()


@pytest.mark.parametrize("most", [4, 6, 10])
def test_more_turns_than_states_are_kept(most, monkeypatch):
    monkeypatch.setattr(loop, "KEPT", (4, most))
    w, b = weights()

    def function(x, limit):
        _, y, z = looped(lambda y, z: ((y @ w).tanh() + b, z * 0.9 + y), (x, x * b), limit)
        return y, z.sin()

    decided(with_gradients(function, (w, b)), counted(3, 3, 4, 5, 9, 10, 11, 17, 64, 65, 100))


def test_what_needs_gradients_from_the_second_turn_on():
    w, b = weights()

    def function(x, limit):
        return looped(lambda y, z, k: (z * b, (y + 1) @ w, k + 1), (x, x, x[0]), limit)

    decided(with_gradients(function, (w, b)), counted(2, 3, 4, 5, 1))


def test_a_loop_that_ends_by_what_it_computes():
    w = leaf(0.7, 0.4)

    def function(x):
        (y,) = cresset.while_loop(lambda y: y.norm() > 0.1, lambda y: (y * w,), (x * w,))
        return y.sum()

    decided(with_gradients(function, (w,)), [(cresset.full((2,), 3.0 * k),) for k in (1, 2, 9, 5)])


def test_views_writes_and_control_flow_within():
    w, b = weights()

    def body(y):
        z = y.clone()
        z[0] = (y[1] * b).sin()
        z = cresset.cond(z.sum() > 0, lambda: z * b @ w, lambda: (z - b) @ w)
        total, _ = cresset.scan(lambda c, row: ((c + row) * b, None), z[0], z)
        return (z.t().contiguous().t() + total,)

    def function(x, limit):
        return looped(lambda y: tuple(part.tanh() for part in body(y)), (x,), limit)[1]

    decided(with_gradients(function, (w, b)), counted(2, 3, 4, 5, 1))


def test_what_turns_read_may_be_overwritten_before_the_way_back():
    w, shift = leaf(1.0, 2.0, 3.0), cresset.zeros(3)

    def function(x, limit):
        shift.copy_(x[0])
        y = looped(lambda y: ((y * w + shift).sin(),), (x * w,), limit)[1]
        shift.zero_()
        return y

    def step(x, limit):
        y = function(x, limit).sum()
        shift.add_(1)
        return [y.detach(), *cresset.autograd.grad(y, w)]

    found = []
    for wrap in (cresset.compile, lambda f: f):
        run = wrap(step)
        cresset.manual_seed(0)
        found.append([run(x, n) for x, n in counted(2, 2, 3, 4, 1)])
    assert same(*found)


def test_a_training_step_with_a_loop():
    """A layer that is applied until its result changes little."""

    def train(wrap):
        cresset.manual_seed(3)
        layer, head = nn.Linear(6, 6), nn.Linear(6, 2)
        parameters = [*layer.parameters(), *head.parameters()]
        optimizer = cresset.optim.Adam(parameters, lr=0.01)

        def step(x, y):
            optimizer.zero_grad()
            _, h, _ = cresset.while_loop(
                lambda n, h, far: (n < 12).logical_and(far > 0.01),
                lambda n, h, far: (n + 1, new := (layer(h) * 0.5 + x).tanh(),
                                   (new - h).detach().abs().max()),
                (cresset.tensor(0), x * 0, cresset.tensor(1.0)),
            )
            loss = nn.functional.cross_entropy(head(h), y)
            loss.backward()
            optimizer.step()
            return loss.detach()

        run = wrap(step)
        x, y = cresset.randn(5, 6), cresset.tensor([0, 1, 1, 0, 1])
        return [run(x, y) for _ in range(12)], [p.detach() for p in parameters], run

    *own, compiled = train(cresset.compile)
    *expected, _ = train(lambda step: step)
    assert same(own, expected)
    assert plays(compiled) == 10


def test_gradients_from_outside_and_verified():
    w, b = weights()

    def function(x, limit):
        return looped(lambda y: ((y @ w).sin() + b,), (x,), limit)[1]

    compiled = cresset.compile(function, verify=True)
    calls = counted(3, 2, 4, 5, 3)
    for args in calls:
        found = [cresset.autograd.grad(run(*args).sum(), (w, b)) for run in (compiled, function)]
        assert same(*found)
    assert plays(compiled) == 3


def test_random_numbers_are_drawn_once():
    """Turns that draw cannot be done again: they are recorded as Python runs them."""
    w = leaf(1.0, 2.0)
    dropout = nn.Dropout(0.5)
    step = with_gradients(lambda x: looped(lambda y: (dropout(y * w),), (x,), 3)[1], (w,))
    compiled = cresset.compile(step)
    for seed in range(5):
        x = cresset.randn(2)
        found = []
        for run in (compiled, step):
            cresset.manual_seed(seed)
            found.append(run(x))
        assert same(*found)
