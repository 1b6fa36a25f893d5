"""Recording a call of a compiled function: what it finds out, and how much it does for that."""

import gc

import pytest
from compiling import plays, training_step

import cresset
from cresset import nn
from cresset.capture.frames import function_in


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
