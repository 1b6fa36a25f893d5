"""Recording a call of a compiled function: what it finds out, and how much it does for that."""

import gc

import pytest
from compiling import plays, training_step

import cresset
from cresset import nn
from cresset.capture.frames import function_in
from cresset.ops.operation import Operation
from cresset.runtime import ahead


def recordings(compiled):
    return len(compiled._variants)


def scaled_by(factor):
    def set_factor(value):
        nonlocal factor
        factor = value

    def scale(x):
        return x * factor

    return scale, set_factor


def test_variables_of_two_functions_of_one_code():
    first, second = scaled_by(2.0), scaled_by(2.0)
    compiled = [cresset.compile(scale) for scale, _ in (first, second)]
    x = cresset.ones(2)
    assert [f(x)[0].item() for f in compiled for _ in range(3)] == [2.0] * 6
    first[1](3.0)
    assert [f(x)[0].item() for f in compiled] == [3.0, 2.0]
    second[1](5.0)
    assert [f(x)[0].item() for f in compiled] == [3.0, 5.0]


def test_the_function_of_a_frame():
    import sys

    def generator():
        yield function_in(sys._getframe())

    class Holder:
        def method(self):
            return function_in(sys._getframe())

        @property
        def attribute(self):
            return function_in(sys._getframe())

    assert next(generator()) is generator
    assert Holder().method() is Holder.method
    assert Holder().attribute is Holder.attribute.fget


@pytest.mark.parametrize("outside", [False, True])
def test_a_recording_does_not_look_at_all_objects(monkeypatch, outside):
    model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))
    optimizer = cresset.optim.Adam(model.parameters(), lr=0.1)
    step = training_step(model, optimizer)
    if outside:
        optimizer.zero_grad()
        compiled = cresset.compile(model)
        step = training_step(compiled, optimizer)
    else:
        compiled = step = cresset.compile(step)
    looked = []
    referrers = gc.get_referrers
    monkeypatch.setattr(gc, "get_referrers", lambda *all: looked.append(1) or referrers(*all))
    x, y = cresset.randn(6, 4), cresset.tensor([0, 1, 2, 0, 1, 2])
    for _ in range(4):
        step(x, y)
    assert plays(compiled) == 2
    assert not looked


def test_a_recording_plans_nothing_anew(monkeypatch):
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
    compiled = cresset.compile(training_step(model, cresset.optim.SGD(model.parameters())))
    x, y = cresset.randn(6, 4), cresset.tensor([0, 1, 2, 0, 1, 2])
    compiled(x, y)
    compiled(x, y)
    planned = []
    plan = Operation.plan
    monkeypatch.setattr(Operation, "plan", lambda *given: planned.append(given) or plan(*given))
    for size in (6, 5):
        compiled._variants.clear()
        compiled(x[:size], y[:size])
        # What is planned ahead, in another thread.
        ahead.settle()
        first = len(planned)
        compiled(x[:size], y[:size])
        assert len(planned) == first and recordings(compiled) == 1


# --- numbers among the arguments ------------------------------------------------------------------
def test_numbers_that_tensors_are_computed_with_are_inputs():
    w = cresset.tensor([1.0, -2.0, 3.0], requires_grad=True)
    other = w.detach().clone().requires_grad_()

    def step_of(w):
        def step(x, rate, *, scale):
            loss = ((w * x).sum() * scale) ** 2
            loss.backward()
            with cresset.no_grad():
                w.sub_(rate * w.grad)
            w.grad = None
            return loss.detach() / scale, w > rate

        return step

    compiled, immediate = cresset.compile(step_of(w)), step_of(other)
    for k in range(8):
        x, rate, scale = cresset.arange(3.0) + k, 0.01 / (k + 1), 0.5 + k
        own, expected = compiled(x, rate, scale=scale), immediate(x, rate, scale=scale)
        assert all(map(cresset.equal, own, expected))
        assert cresset.equal(w, other)
    assert plays(compiled) == 6 and recordings(compiled) == 1


@pytest.mark.parametrize("decides", [
    lambda x, n: x * n if n > 1.5 else x,
    lambda x, n: x * (n * 2),
    lambda x, n: x * -n,
    lambda x, n: x * max(n, 1.5),
    lambda x, n: x * [n, 1.0][0],
    lambda x, n: x + len(f"{n:.4f}"),
    lambda x, n: (lambda: x * n)() + (n or 1),
    lambda x, *rest: x * rest[0],
    lambda x, n: x * (vars()["n"] + 1),
    lambda x, n: sum(x * n for _ in range(2)),
    lambda x, n: (x, n),
    lambda x, n: x * cresset.cond(x.sum() > 0, lambda y: y * n, lambda y: y, (x,)),
    lambda x, n: x + {n: 1.0}.get(2.0, 0.0),
    lambda x, n: cresset.clamp(x, n, 3.0),
])
def test_numbers_that_python_looks_at(decides):
    compiled = cresset.compile(decides)
    x = cresset.ones(3)
    for n in (1.0, 2.0, 3.0, 1.0, 2.0, 2.0, 3.0, -1.0, 2.0, float("nan"), -0.0, 0.0):
        own, expected = compiled(x, n), decides(x, n)
        if isinstance(own, tuple):
            assert repr(own[1]) == repr(expected[1])
            own, expected = own[0], expected[0]
        assert own.numpy().tobytes() == expected.numpy().tobytes(), n


def test_numbers_given_to_what_is_not_followed():
    scope = {}
    exec("def function(x, n):\n    return x * n if n > 1.5 else x", scope)
    del scope["__builtins__"]
    decorated = cresset.no_grad()(lambda x, n: x * n if n > 1.5 else x)
    for function in (scope["function"], decorated):
        compiled = cresset.compile(function)
        for n in (1.0, 1.0, 2.0, 3.0, 1.0):
            assert compiled(cresset.ones(2), n)[0].item() == (n if n > 1.5 else 1)


def test_a_number_is_not_taken_for_an_equal_one():
    rate = 0.5
    compiled = cresset.compile(lambda x, n: x * n + rate * x)
    x = cresset.ones(2)
    for n in (rate, rate, rate, 0.25, 2.0):
        assert compiled(x, n)[0].item() == n + rate
    assert recordings(compiled) == 1
    compiled = cresset.compile(lambda x, n, m: x * n + m * x)
    for n, m in ((1.0, 1.0), (1.0, 1.0), (2.0, 3.0), (4.0, 4.0)):
        assert compiled(x, n, m)[0].item() == n + m
    assert plays(compiled) == 2


def test_gradients_by_way_of_a_number_are_those_of_the_call():
    compiled = cresset.compile(lambda x, n: (x * n) * x)
    for n in (1.0, 2.0, 3.0, 4.0, 4.0, 4.0):
        x = cresset.tensor([1.0, 2.0], requires_grad=True)
        compiled(x, n).sum().backward()
        assert x.grad.tolist() == [2 * n, 4 * n]


def test_verified_and_profiled_calls_with_numbers():
    compiled = cresset.compile(lambda x, n: (x / n).exp(), verify=True)
    x = cresset.ones(4)
    for n in (1.0, 2.0, 3.0, 4.0):
        assert cresset.equal(compiled(x, n), (x / n).exp())
    assert plays(compiled) == 2
    assert "div" in str(compiled.profile(x, 5.0))


# --- many recordings ------------------------------------------------------------------------------
@pytest.fixture
def few(monkeypatch):
    monkeypatch.setattr("cresset.compiler.compile.MOST_VARIANTS", 4)
    monkeypatch.setattr("cresset.compiler.compile.WORTH", 16)


def test_recordings_do_not_drive_each_other_out(few):
    compiled = cresset.compile(lambda x: (x * 2).sum())
    before = {}
    for turn in range(12):
        for n in range(1, 9):
            assert compiled(cresset.ones(n)).item() == 2 * n
        if turn == 1:
            before = set(compiled._variants)
    assert recordings(compiled) == 4
    # What plays have paid for is made anew, and no more.
    assert 0 < len(before.symmetric_difference(compiled._variants)) <= 8
    assert plays(compiled) > 20
    assert "beyond the first 4 recordings; one more is made for each 16 plays" in compiled.explain()


def test_what_changes_at_every_call_is_not_recorded_for_ever(few):
    settings = {"scale": 0}

    def scaled(x):
        return x * settings["scale"]

    compiled = cresset.compile(scaled)
    for scale in range(40):
        settings["scale"] = scale
        assert compiled(cresset.ones(2)).tolist() == [scale, scale]
    assert recordings(compiled) == 4
    assert "35 calls beyond the first 4 recordings" in compiled.explain()


def test_many_recordings_are_found():
    compiled = cresset.compile(lambda x, y: x.sum() + y)
    for _ in range(4):
        for n in range(1, 30):
            assert compiled(cresset.ones(n), y=cresset.ones(())).item() == n + 1
    assert recordings(compiled) == 29
    assert plays(compiled) == 29 * 2
