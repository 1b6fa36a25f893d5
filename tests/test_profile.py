"""Profiles of compiled functions: every launch with its line and its times, and nothing changed."""

import os

import pytest
from compiling import training_step

import cresset
from cresset import nn
from cresset.compiler.inspection.profile import paces


def rows_of(profile):
    return {row.name: row for _, rows in profile.parts for row in rows}


def test_a_training_step():
    cresset.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, 64), nn.Dropout(0.1), nn.Linear(64, 3))
    optimizer = cresset.optim.Adam(model.parameters(), lr=0.01)
    step = cresset.compile(training_step(model, optimizer))
    x, y = cresset.randn(32, 64), cresset.randint(0, 3, (32,))
    for _ in range(3):
        step(x, y)
    before = [x.tolist() for x in (*model.parameters(), cresset.get_rng_state())]
    state = str(optimizer.state_dict())
    gradients = [p.grad for p in model.parameters()]
    profile = step.profile(x, y)
    after = [x.tolist() for x in (*model.parameters(), cresset.get_rng_state())]
    assert after == before
    assert str(optimizer.state_dict()) == state
    assert all(p.grad is g for p, g in zip(model.parameters(), gradients))

    (first, launched), (second, anew) = profile.parts
    assert second == "made anew"
    assert [row.name for row in anew] == ["Adam.step"]
    (part,) = step._variants[0].replay.segments
    count = len(part.program.steps)
    assert first == f"program 1: {count} launches"
    assert sum(row.launches for row in launched) == count
    first = step.function.__code__.co_firstlineno
    assert rows_of(profile)["linear"].line == f"compiling.py:{first + 2}"
    # Faults of a factor of ten would show the prediction to be of something else.
    total, predicted = (sum(getattr(row, name) for row in launched)
                        for name in ("measured", "predicted"))
    assert total / 10 < predicted < total * 10
    assert str(profile).startswith("step: a play\n  program 1: ")


def test_the_way_back_and_joined_lines():
    w = cresset.ones(1000, requires_grad=True)

    def function(x):
        y = x * w
        y = y.exp()
        return y.cumsum(0)

    compiled = cresset.compile(function)
    for _ in range(3):
        compiled(cresset.ones(1000)).sum().backward()
    w.grad = None
    profile = compiled.profile(cresset.ones(1000))
    assert w.grad is None
    assert [title.split(":")[0] for title, _ in profile.parts] == ["program 1", "program 2"]
    assert all(row.measured > 0 for row in rows_of(profile).values() if "cumsum" in row.name)
    first = test_the_way_back_and_joined_lines.__code__.co_firstlineno
    (joined,) = [row for row in rows_of(profile).values() if row.name == "mul + exp"]
    assert joined.line == f"{os.path.basename(__file__)}:{first + 4}-{first + 5}"


def test_elements_choose_the_recording():
    compiled = cresset.compile(lambda x: x.exp() if x.sum() > 0 else x.sin())
    for k in (1.0, 1.0, -1.0, -1.0):
        compiled(cresset.full((1,), k))
    assert "exp" in rows_of(compiled.profile(cresset.ones(1)))
    assert "sin" in rows_of(compiled.profile(-cresset.ones(1)))


def test_what_was_not_recorded_has_no_profile():
    compiled = cresset.compile(lambda x: x + 1)
    with pytest.raises(RuntimeError, match="no recording of <lambda> fits the arguments"):
        compiled.profile(cresset.ones(1))


def test_the_pace_of_the_machine():
    assert all(0.05 < pace < 5000 for _, pace in paces())
