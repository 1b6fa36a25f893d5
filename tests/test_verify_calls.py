"""`compile(f, verify=True)`: every call made both ways, and what is told where they differ."""

import re
from types import SimpleNamespace

import pytest
from compiling import leaf, plays, training_step
from test_compile_random import CALLS, Program

import cresset
from cresset import nn
from cresset.compiler import replay
from cresset.compiler.programs import segment


def spoil(monkeypatch, which, number, other):
    """Have the program of the given number play with another number than was recorded."""

    class Spoiled(segment._Builder):
        built = 0

        def __init__(self, *arguments):
            super().__init__(*arguments)
            Spoiled.built += 1
            self.spoilt = Spoiled.built == which

        def _value(self, letter, a):
            given = other if self.spoilt and letter == "d" and a == number else a
            return super()._value(letter, given)

    monkeypatch.setattr(segment, "_Builder", Spoiled)


def line_of(function, text):
    """The line of this file on which a function says something."""
    with open(__file__) as lines:
        first = function.__code__.co_firstlineno
        return next(k for k, line in enumerate(lines, 1) if k >= first and text in line)


# --- where nothing is wrong -----------------------------------------------------------------------
def training(wrap):
    """Losses, parameters and all else after some steps with masks, statistics and a schedule."""
    cresset.manual_seed(0)
    model = nn.Sequential(
        nn.Linear(6, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.3), nn.Linear(16, 3)
    )
    optimizer = cresset.optim.Adam(model.parameters(), lr=0.01)
    scheduler = cresset.optim.lr_scheduler.StepLR(optimizer, 2, 0.5)
    step = wrap(training_step(model, optimizer))
    losses = []
    for _ in range(6):
        losses.append(step(cresset.randn(5, 6), cresset.randint(0, 3, (5,))).item())
        scheduler.step()
    assert wrap is not verified or plays(step) == 4
    gradients = [p.grad.tolist() for p in model.parameters()]
    return losses, str(model.state_dict()), gradients, str(optimizer.state_dict())


def verified(function):
    return cresset.compile(function, verify=True)


def test_training_goes_on_as_in_immediate_mode():
    assert training(verified) == training(lambda function: function)


def test_state_that_is_written_and_read():
    counts, own = cresset.zeros(3), cresset.Generator().manual_seed(3)
    twin = own.clone_state()

    def function(x):
        counts.add_(x)
        x.mul_(2)
        return counts.clone() + cresset.rand(3, generator=own)

    compiled = verified(function)
    for k in range(1, 6):
        x = cresset.ones(3)
        expected = cresset.full((3,), float(k)) + cresset.rand(3, generator=twin)
        assert cresset.equal(compiled(x), expected)
        assert x.tolist() == [2, 2, 2]
        assert x._version == 1
        assert counts._version == k
    assert plays(compiled) == 3


def test_the_way_back_is_compared_too():
    w = leaf(1.0, 2.0)
    compiled = verified(lambda x: (w * x).sin())
    for _ in range(5):
        w.grad = None
        compiled(cresset.ones(2)).sum().backward()
        assert cresset.equal(w.grad, w.detach().cos())
    assert plays(compiled) == 3


def test_elements_that_decide_and_faults():
    compiled = verified(lambda x: x * 2 if x.sum() > 0 else x - 1)
    for k in (1.0, 1.0, 1.0, -1.0, -1.0, 1.0, -1.0, 1.0):
        assert compiled(cresset.full((1,), k)).item() == (2 if k > 0 else -2)
    assert plays(compiled) == 5

    seen = cresset.zeros(1)

    def look_up(i):
        seen.add_(1)
        return cresset.arange(4.0).index_select(0, i)

    compiled = verified(look_up)
    for _ in range(4):
        compiled(cresset.tensor([1, 3]))
    with pytest.raises(IndexError, match="index 9"):
        compiled(cresset.tensor([1, 9]))
    assert seen.item() == 5


@pytest.mark.parametrize("seed", range(4))
def test_random_programs(seed):
    program = Program(seed)
    w, buffer = program.state()
    compiled = verified(program.function(w, buffer))
    cresset.manual_seed(seed)
    for _ in range(CALLS):
        compiled(*[cresset.randn(shape) for shape in program.inputs])


# --- where something is ---------------------------------------------------------------------------
def differing(compiled, *arguments):
    """What is told at the first call that is played."""
    for _ in range(2):
        compiled(*arguments)
    with pytest.raises(RuntimeError) as raised:
        compiled(*arguments)
    return str(raised.value)


def test_the_first_operation_that_differs_is_named(monkeypatch):
    spoil(monkeypatch, 1, 3.0, 4.0)
    total = cresset.zeros(2)

    def function(x):
        a = x.cumsum(0)
        b = a * 3.0
        total.add_(b)
        return b.cumsum(0)

    message = differing(verified(function), cresset.ones(2))
    place = f"{__file__}:{line_of(function, 'a * 3.0')}"
    assert message.startswith(
        f"compile: a verified call differs from immediate mode first at mul ({place})"
    ), message
    assert "element (0,) of shape (2,) is 4.0 where played, 3.0 in immediate mode" in message
    # The state is that of immediate mode.
    assert total.tolist() == [9, 18]


def test_an_operation_of_the_way_back_is_named(monkeypatch):
    spoil(monkeypatch, 2, 3.0, 4.0)
    w = leaf(1.0, 2.0)
    message = differing(verified(lambda x: (w * 3.0 * x).cumsum(0)), cresset.ones(2))
    told = r"immediate mode first at mul_backward\b.*is 8.0 where played, 6.0 in"
    assert re.search(told, message), message
    assert w.grad is None


def test_a_change_that_no_check_notices_is_found():
    settings = SimpleNamespace(rate=2.0)

    def rate():
        return vars(settings).copy().popitem()[1]

    def function(x):
        return x * rate()

    compiled = verified(function)
    for _ in range(3):
        assert compiled(cresset.ones(2)).tolist() == [2, 2]
    settings.rate = 5.0
    with pytest.raises(RuntimeError) as raised:
        compiled(cresset.ones(2))
    place = f"{__file__}:{line_of(function, 'x * rate()')}"
    message = str(raised.value)
    assert f"immediate mode at mul ({place}): there mul((2,), 2.0) was recorded" in message
    assert "mul((2,), 5.0) is launched" in message


def test_what_no_launch_does_is_compared(monkeypatch):
    plain = replay._Writer._built

    def built(self, value):
        return "4" if isinstance(value, int) else plain(self, value)

    monkeypatch.setattr(replay._Writer, "_built", built)
    message = differing(verified(lambda x: (x + 1, 3)), cresset.ones(2))
    assert "in the result[1], though no launch does; 4 where played, 3 in immediate mode" in message
