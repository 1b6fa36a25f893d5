"""`compile`: elements at fault are told of as in immediate mode, on the user's line, once."""

import traceback
import warnings
from functools import partial

import pytest
from compiling import plays

import cresset
from cresset import nn

NUMBERS = cresset.arange(12.0).reshape(4, 3)


def indexes(i):
    rows = NUMBERS * 2
    return rows[i]


def looks_up(i):
    return nn.functional.embedding(i, NUMBERS)


def scores(i):
    loss = nn.functional.cross_entropy(NUMBERS[:2], i)
    return loss * 2


def gathers(i):
    return NUMBERS.gather(0, i.reshape(2, 1))


def raised(function, argument):
    """The message of an error, and the line of the function that it comes from."""
    with pytest.raises((IndexError, RuntimeError)) as error:
        function(argument)
    assert error.value.__context__ is None
    own = [frame.lineno for frame in traceback.extract_tb(error.value.__traceback__)
           if frame.filename == __file__]
    return str(error.value), own[-1]


@pytest.mark.parametrize("function", [indexes, looks_up, scores, gathers])
def test_the_error_is_that_of_the_function(function):
    good, bad = cresset.tensor([1, 2]), cresset.tensor([1, 9])
    compiled = cresset.compile(function)
    for _ in range(4):
        compiled(good)
    assert plays(compiled) == 2
    found = raised(compiled, bad)
    assert found == raised(function, bad)
    first = function.__code__.co_firstlineno
    assert first < found[1] <= first + 2
    assert cresset.equal(compiled(good), function(good))
    assert plays(compiled) == 3


def test_what_was_done_before_is_done_once():
    seen, drawn = cresset.zeros(1), cresset.Generator()

    def step(i):
        seen.add_(1)
        noise = cresset.rand(2, generator=drawn)
        return NUMBERS[i].sum() + noise

    compiled, states = cresset.compile(step), []
    for function in (step, compiled):
        seen.zero_()
        drawn.manual_seed(5)
        for _ in range(4):
            function(cresset.tensor([1, 2]))
        raised(function, cresset.tensor([1, 9]))
        states.append((seen.item(), seen._version, drawn.state_bytes()))
    assert plays(compiled) == 2
    assert states[0][0] == states[1][0] == 5
    assert states[0][2] == states[1][2]


def test_what_would_be_done_after_is_not_done():
    counts = cresset.ones(3)

    def step(i):
        more = counts * 2 + 1
        rows = NUMBERS[i]
        counts.add_(more)
        return rows

    compiled = cresset.compile(step)
    for _ in range(4):
        compiled(cresset.tensor([1, 2]))
    assert plays(compiled) == 2
    before = counts.tolist()
    raised(compiled, cresset.tensor([1, 9]))
    assert counts.tolist() == before


@pytest.mark.parametrize("cleared_first", [True, False])
def test_gradients_after_a_fault(cleared_first):
    """They are gone where the function lets go of them before, and there where it does so after."""
    w = cresset.ones(3, requires_grad=True)

    def step(i):
        if cleared_first:
            w.grad = None
        loss = nn.functional.cross_entropy(NUMBERS[:2] * w, i)
        w.grad = None
        loss.backward()

    compiled = cresset.compile(step)
    for _ in range(4):
        compiled(cresset.tensor([1, 2]))
    assert plays(compiled) == 2
    before = w.grad
    raised(compiled, cresset.tensor([1, 9]))
    assert w.grad is (None if cleared_first else before)


@pytest.mark.parametrize("cleared", [True, False])
def test_gradients_that_were_made_before_a_fault(cleared):
    w = cresset.ones(3, requires_grad=True)

    def step(x, i):
        if cleared:
            w.grad = None
        (w * x).sum().backward()
        return NUMBERS[i]

    compiled, found = cresset.compile(step), []
    for function in (step, compiled):
        w.grad = None
        for k in range(5):
            function(cresset.full((3,), float(k)), cresset.tensor([1, 2]))
        raised(partial(function, cresset.full((3,), 7.0)), cresset.tensor([1, 9]))
        found.append(w.grad.tolist())
    assert plays(compiled)
    assert found[0] == found[1]


def test_a_step_before_a_fault_is_made_once():
    w = cresset.ones(3, requires_grad=True)
    optimizer = cresset.optim.Adam([w], lr=0.1)

    def step(i):
        optimizer.zero_grad()
        (w * w).sum().backward()
        optimizer.step()
        return NUMBERS[i]

    compiled, found = cresset.compile(step), []
    for function in (step, compiled):
        with cresset.no_grad():
            w.fill_(1)
        optimizer.state.clear()
        for _ in range(4):
            function(cresset.tensor([1, 2]))
        raised(function, cresset.tensor([1, 9]))
        found.append((w.tolist(), w.grad.tolist(), str(optimizer.state_dict())))
    assert plays(compiled)
    assert found[0] == found[1]


def test_gradients_that_somebody_else_has_stay():
    w = cresset.ones(2, requires_grad=True)

    def step(x):
        w.grad = None
        (w * x).sum().backward()

    compiled, kept = cresset.compile(step), []
    for k in range(6):
        compiled(cresset.full((2,), float(k)))
        kept.append(w.grad)
    assert plays(compiled) == 4
    assert [g.tolist() for g in kept] == [[k, k] for k in range(6)]


def test_printing_warns_on_the_line_of_the_call():
    def function(x):
        print("running")
        return x + 1

    compiled = cresset.compile(function)
    compiled(cresset.ones(1))
    with pytest.warns(UserWarning) as warned:
        compiled(cresset.ones(1))
    (warning,) = warned
    line = function.__code__.co_firstlineno + 1
    assert f"print() at {__file__}:{line} was run while" in str(warning.message)
    assert (warning.filename, warning.lineno) == (__file__, line + 6)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert compiled(cresset.ones(1)).item() == 2
