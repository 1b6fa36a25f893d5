"""`cond`, `while_loop` and `scan` as rounds of a compiled program: the bits of immediate mode."""

import threading

import pytest
from compiling import leaf, plays, same, with_gradients

import cresset
from cresset import nn

X = cresset.ones(2)


def agree(function, calls, recordings=1):
    """Check that a compiled function does what the function does, in so many recordings.

    Its programs decide by themselves: Python does not look.
    """
    compiled = cresset.compile(function)
    for args in calls:
        expected = function(*args)
        assert same(compiled(*args), expected)
    assert len(compiled._variants) == recordings, compiled.explain()
    assert plays(compiled) == len(calls) - 2 * recordings
    assert "is seen" not in compiled.explain()
    return compiled


both = pytest.mark.parametrize("wrap", [lambda f: f, cresset.compile], ids=["plain", "compiled"])


def scalars(*values):
    return [(cresset.tensor(value),) for value in values]


# --- loops and branches ---------------------------------------------------------------------------
def test_an_element_chooses_a_branch():
    def function(x):
        y = cresset.cond(x > 0, lambda x: (x * 2).exp(), lambda x: -x, (x,))
        return y + 1, {"y": y}

    agree(function, scalars(1.0, -1.0, -2.0, 3.0, -4.0))


def test_branches_write_in_place_on_what_they_made():
    def function(x):
        def grown():
            y = x.clone()
            y[0] = 7
            y[1:].mul_(2)
            return y.t()

        return cresset.cond(x.sum() > 0, grown, lambda: x.t())

    agree(function, [(cresset.full((2, 3), float(k)),) for k in (1, -1, 2, -2)])


def test_a_loop_of_elements():
    def function(n, limit):
        return cresset.while_loop(
            lambda n, steps: (n != 1).logical_and(steps < limit),
            lambda n, steps: (cresset.where(n % 2 == 0, n // 2, n * 3 + 1), steps + 1),
            (n, cresset.tensor(0)),
        )

    limit = cresset.tensor(100)
    agree(function, [(cresset.tensor(n), limit) for n in (27, 7, 1, 97, 6)])


def test_a_loop_of_no_turns():
    def function(x):
        return cresset.while_loop(lambda x: x > 10, lambda x: (x - 1,), (x,))

    compiled = agree(function, scalars(0.0, 5.0, 20.0, 9.0, 30.5))
    x = cresset.tensor(3.0)
    compiled(x)[0].zero_()
    assert x.item() == 3


def test_what_is_carried_may_change_places():
    def function(a, b, n):
        return cresset.while_loop(
            lambda a, b, n: n > 0, lambda a, b, n: (b, a + b, n - 1), (a, b, n)
        )

    one = cresset.tensor(1)
    agree(function, [(one, one, cresset.tensor(n)) for n in (10, 3, 0, 20)])


def test_a_flag_is_carried():
    def function(x):
        return cresset.while_loop(
            lambda going, x: going, lambda going, x: (x < 50, x * 2), (x > 0, x)
        )

    agree(function, scalars(1.0, -1.0, 20.0, 100.0))


@pytest.mark.parametrize("dim", [0, 1, -1])
@pytest.mark.parametrize("reverse", [False, True])
def test_a_scan(dim, reverse):
    def function(h, x):
        def turn(h, x):
            h = {"h": (h["h"] + x["a"] * 2).sin()}
            return h, [h["h"], x["b"].sum(), None]

        return cresset.scan(turn, {"h": h}, x, dim=dim, reverse=reverse)

    calls = []
    for k in range(4):
        a = cresset.randn(3, 3, 3)
        calls.append((cresset.randn(3, 3), {"a": a.transpose(0, k % 1), "b": a[:, :, :] + k}))
    agree(function, calls)


def test_a_scan_over_views():
    def function(x):
        return cresset.scan(lambda c, x: (c + x, c), cresset.zeros(2), x[1:, ::2])

    agree(function, [(cresset.randn(5, 4),) for _ in range(4)])


def test_a_loop_reads_what_is_outside():
    w = cresset.randn(3)

    def function(x):
        outside = x[0].exp()
        made, _ = cresset.scan(lambda c, row: (c * w + outside + row, None), x[0], x)
        return made

    agree(function, [(cresset.randn(3, 3),) for _ in range(4)])


def test_control_flow_within_control_flow():
    def function(x, limit):
        def turn(c, row):
            def shrunk(c):
                return cresset.while_loop(
                    lambda c: c.abs().sum() > limit, lambda c: (c * 0.5,), (c,)
                )[0]

            c = cresset.cond((c + row).sum() > 0, shrunk, lambda c: c - 1, (c + row,))
            inner, ys = cresset.scan(lambda a, b: (a + b, a * b), c[0], c)
            return c, (inner, ys)

        return cresset.cond(
            x[0, 0] > 0, lambda: cresset.scan(turn, x[0], x),
            lambda: cresset.scan(turn, -x[0], x, reverse=True),
        )

    calls = [(cresset.randn(4, 3) * k, cresset.tensor(2.0)) for k in range(1, 8)]
    agree(function, calls)


def test_a_recurrent_layer_within_a_scan():
    """Rounds in rounds: the layer's loop over time is one, too."""
    layer = nn.GRU(3, 4)

    def function(x):
        with cresset.no_grad():
            return cresset.scan(lambda h, x: (layer(x, h)[1], h), cresset.zeros(1, 2, 4), x)

    agree(function, [(cresset.randn(3, 5, 2, 3),) for _ in range(4)])


def test_gradients_within_a_loop():
    """Each turn goes backward by itself, without a graph that outlives it."""
    x, y = cresset.randn(20), cresset.randn(20)

    def function(p, turns):
        def turn(p, n):
            q = p.detach().requires_grad_()
            loss = ((q[0] * x + q[1] - y) ** 2).mean()
            (gradient,) = cresset.autograd.grad(loss, q)
            r = p.detach().requires_grad_()
            (r * r).sum().backward()
            return p - 0.1 * gradient - 0.01 * r.grad, n - 1

        return cresset.while_loop(lambda p, n: n > 0, turn, (p, turns))

    agree(function, [(cresset.randn(2), cresset.tensor(n)) for n in (5, 0, 1, 9)])


def test_checks_of_data_within_a_loop():
    table = cresset.arange(4.0)

    @cresset.compile
    def function(i):
        return cresset.scan(lambda c, i: (c + table[i[None]], None), cresset.zeros(1), i)[0]

    for k in range(4):
        assert function(cresset.tensor([k, 1])).item() == k + 1
    for wrong in ([0, 9], [9, 0]):
        with pytest.raises(IndexError, match="index 9 is out of bounds"):
            function(cresset.tensor(wrong))
    assert plays(function) == 2


def test_random_numbers_are_drawn_in_the_order_of_python():
    w = cresset.randn(3, requires_grad=True)
    dropout = nn.Dropout(0.5)

    def function(x):
        def turn(h, x):
            h = cresset.cond(h.sum() > 0, lambda: dropout(h * w), lambda: h + w * cresset.rand(3))
            return h, cresset.scan(lambda c, x: (c + dropout(x), c), x, cresset.stack([h, x]))[1]

        h, ys = cresset.scan(turn, x[0], x)
        return h, ys, cresset.randn(3)

    compiled = cresset.compile(with_gradients(function, (w,)))
    expected = with_gradients(function, (w,))
    for seed in range(5):
        x = cresset.randn(6, 3)
        cresset.manual_seed(seed)
        own = compiled(x)
        cresset.manual_seed(seed)
        assert same(own, expected(x))
    assert plays(compiled) == 3
    assert "is seen" not in compiled.explain()


def test_programs_with_control_flow_are_verified():
    w = cresset.randn(3, requires_grad=True)

    def function(x):
        h, ys = cresset.scan(lambda h, x: ((h * w + x).sin(), h), x[0], x)
        y = cresset.cond(h.sum() > 0, lambda: h * w, lambda: h - w)
        n, _ = cresset.while_loop(
            lambda n, x: x.sum() < 9, lambda n, x: (n + 1, x + x + 1), (cresset.tensor(0), h * 0)
        )
        return n, cresset.autograd.grad((y * ys).sum(), w)[0]

    compiled = cresset.compile(function, verify=True)
    for _ in range(5):
        compiled(cresset.randn(4, 3))
    assert plays(compiled) == 3


def test_other_threads_are_not_recorded():
    found = []

    def other():
        found.append(cresset.cond(X[0] > 0, lambda: X + 1, lambda: X))

    def function(x):
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        return cresset.cond(x.sum() > 0, lambda: x + 1, lambda: x - 1)

    agree(function, [(X * k,) for k in (1.0, -1.0, 2.0, -2.0)])
    assert all(x.tolist() == [2, 2] for x in found)


# --- gradients ------------------------------------------------------------------------------------
def weights():
    return cresset.randn(3, 3, requires_grad=True), cresset.randn(3, requires_grad=True)


def test_gradients_of_cond():
    w, b = weights()
    function = with_gradients(lambda x: cresset.cond(
        x.sum() > 0,
        lambda x: ((x @ w).tanh() + b, (b * b * 2).sum() + x.sum()),
        lambda x: (w.t() * b * x.exp() + b, w.sum() * b.sum()),
        (x,),
    ), (w, b))
    compiled = agree(function, [(cresset.full((3, 3), v),) for v in (1.0, -1.0, -0.5, 2.0, 0.0)])
    assert "Cond" not in compiled.explain()


@pytest.mark.parametrize("reverse", [False, True])
def test_gradients_of_scan(reverse):
    w, b = weights()

    def function(h, x):
        def turn(h, x):
            h = (h @ w + x * b).tanh() + b
            return h, (h * x, x.sum())

        carry, (ys, sums) = cresset.scan(turn, h, x, dim=1, reverse=reverse)
        return carry * w.sum(), ys, sums

    agree(with_gradients(function, (w, b)), [
        (cresset.randn(2, 3), cresset.randn(2, 4, 3)) for _ in range(4)
    ])


def test_gradients_of_what_is_scanned():
    h, x = cresset.randn(3, requires_grad=True), cresset.randn(3, 5, requires_grad=True)
    w, b = weights()

    def function(k):
        start, rows = h * k, (x * 2).sin()
        carry, ys = cresset.scan(lambda c, r: ((c * r).cos() + c, c + b), start, rows, dim=1)
        return ys, start * carry, rows

    agree(with_gradients(function, (h, x, b)), scalars(1.0, 2.0, 3.0, 4.0))


def test_gradients_of_nested_control_flow():
    w, b = weights()

    def function(x):
        def turn(c, row):
            c = cresset.cond(c.sum() > 0, lambda c: c * b @ w, lambda c: (c + b) @ w * b, (c,))
            inner, ys = cresset.scan(lambda a, r: (a * r + b, a), c, w)
            return c + row, (inner.sin(), ys)

        carry, (a, c) = cresset.scan(turn, x[0], x)
        return carry, a, c

    agree(with_gradients(function, (w, b)), [(cresset.randn(4, 3),) for _ in range(5)])


def test_gradients_from_outside_of_what_is_compiled():
    w, b = weights()
    x = cresset.randn(4, 3, requires_grad=True)

    def function(x):
        carry, ys = cresset.scan(lambda c, r: ((c * r) @ w, c + b), b, x)
        return cresset.cond(carry.sum() > 0, lambda: carry + b, lambda: carry * b), ys

    compiled = cresset.compile(function)
    expected = with_gradients(function, (x, w, b))
    found = with_gradients(compiled, (x, w, b))
    for _ in range(5):
        with cresset.no_grad():
            x.copy_(cresset.randn(4, 3))
        assert same(found(x), expected(x))
    assert plays(compiled) == 3


def test_a_training_step():
    def run(wrap):
        cresset.manual_seed(3)
        cell, head = nn.GRUCell(4, 8), nn.Linear(8, 2)
        parameters = [*cell.parameters(), *head.parameters()]
        optimizer = cresset.optim.Adam(parameters, lr=0.05)

        def step(x, y):
            optimizer.zero_grad()
            h, _ = cresset.scan(lambda h, x: (cell(x, h), None), cresset.zeros(5, 8), x)
            loss = nn.functional.cross_entropy(head(h), y)
            loss = cresset.cond(loss > 0.5, lambda: loss * loss, lambda: loss + 0)
            loss.backward()
            optimizer.step()
            return loss.detach()

        wrapped = wrap(step)
        x, y = cresset.randn(6, 5, 4), cresset.tensor([0, 1, 1, 0, 1])
        losses = [wrapped(x, y) for _ in range(40)]
        return losses, [p.detach() for p in parameters], wrapped

    losses, parameters, compiled = run(cresset.compile)
    expected = run(lambda function: function)
    assert losses[0].item() > 0.25 > losses[-1].item()
    assert same(losses, expected[0])
    assert same(parameters, expected[1])
    assert plays(compiled) == 38


# --- what is recorded as it runs ------------------------------------------------------------------
def falls_back(function, calls):
    """Check that a compiled function is right where its control flow is not a program's."""
    compiled = cresset.compile(function)
    for args in calls:
        assert same(compiled(*args), function(*args))
    return compiled


def test_branches_with_gradients_for_different_tensors():
    """The one that is not taken must leave them without: an optimizer would see the difference."""
    a, b = leaf(1.0, 2.0), leaf(3.0, 4.0)
    function = with_gradients(
        lambda x: cresset.cond(x > 0, lambda: a * x, lambda: b * x), (a, b)
    )
    compiled = falls_back(function, scalars(1.0, 1.0, 1.0, -1.0, -1.0, -1.0, 1.0))
    assert plays(compiled) == 3
    assert "where False is seen" in compiled.explain()


@both
def test_functions_that_write_to_what_is_outside(wrap):
    count, x = cresset.zeros(()), cresset.ones(4)

    def turn(c, x):
        count.add_(1)
        return c + x, None

    function = wrap(lambda x: cresset.scan(turn, cresset.tensor(0.0), x)[0])
    assert [function(x).item() for _ in range(4)] == [4] * 4
    assert count.item() == 16


@both
def test_functions_that_write_to_what_they_are_given(wrap):
    function = wrap(lambda x: cresset.cond(x[0] > 0, lambda x: x.add_(1), abs, (x,)))
    x = cresset.ones(2)
    assert [function(x).tolist() for _ in range(4)] == [[k, k] for k in (2, 3, 4, 5)]
    assert x.tolist() == [5, 5]


@both
def test_functions_that_go_backward_to_tensors_outside(wrap):
    w = leaf(2.0)

    def turn(c, x):
        (w * x).sum().backward()
        return c + x, None

    function = wrap(lambda x: cresset.scan(turn, cresset.tensor(0.0), x)[0])
    for k in range(1, 5):
        assert function(cresset.ones(3)).item() == 3
        assert w.grad.item() == 3 * k


def test_functions_that_look():
    def function(x):
        def turn(c, x):
            return (c + x if x > 0 else c - x), None

        return cresset.scan(turn, cresset.tensor(0.0), x)[0]

    falls_back(function, [(cresset.tensor(v),) for v in ([1.0, -1.0], [1.0, 1.0])] * 4)


def test_a_branch_that_cannot_be_run():
    x = cresset.arange(3)

    def function(i):
        return cresset.cond(i < 3, lambda: x[i], lambda: x[0] - 1)

    falls_back(function, scalars(0, 5, 1, 7, 2, 9))


@pytest.mark.parametrize("wanting", [False, True])
def test_a_branch_that_would_not_end(wanting):
    """It is recorded all the same, when the other one is taken."""
    w = leaf(2.0)

    def shrunk(x):
        return cresset.while_loop(lambda x: x > 1, lambda x: (x / (w if wanting else 2),), (x,))[0]

    def function(x):
        return cresset.cond(x.isfinite(), shrunk, lambda x: x - 0 * w.detach()[0], (x,))

    falls_back(function, [(cresset.tensor(x).reshape(1),) for x in (float("inf"), 3.0, 9.0)] * 3)


def test_integers_that_are_carried():
    def function(x):
        return cresset.while_loop(lambda n, x: n < 3, lambda n, x: (n + 1, x * 2), (0, x))[1]

    falls_back(function, scalars(1.0, 2.0, 3.0))
