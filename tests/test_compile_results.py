"""`compile`: results of all kinds: elements, containers, copies of what is compiled."""

import copy
import math
import pickle
from collections import OrderedDict
from types import SimpleNamespace

from compiling import plays

import cresset
from cresset import nn


# --- elements that are returned -------------------------------------------------------------------
def test_elements_that_are_only_returned():
    def function(x):
        total, largest, place, double = x.sum(), x.max(), x.argmax(), x * 2
        return total.item(), {"largest": float(largest), "x": double}, [int(place.detach())]

    compiled = cresset.compile(function)
    for k in range(2, 8):
        x = cresset.arange(4.0) * k
        total, rest, whole = compiled(x)
        assert (total, rest["largest"], whole) == (6 * k, 3 * k, [3])
        assert rest["x"].tolist() == (x * 2).tolist()
    assert plays(compiled)
    compiled = cresset.compile(lambda x: (x * 2).sum().item())
    assert [compiled(cresset.full((2,), float(k))) for k in range(5)] == [0, 4, 8, 12, 16]
    assert plays(compiled)


def test_elements_that_are_kept_until_the_return():
    w = cresset.ones(3, requires_grad=True)
    optimizer = cresset.optim.SGD([w], lr=0.1)

    def step(x, y):
        optimizer.zero_grad()
        loss = ((w * x).sum() - y).square().mean()
        value = loss.item()
        loss.backward()
        optimizer.step()
        accuracy = (x > 0).float().mean().item()
        pair = accuracy, (x * 2).sum()
        return value, pair

    compiled = cresset.compile(step)
    for run in (compiled, step):
        with cresset.no_grad():
            w.fill_(1.0)
        cresset.manual_seed(0)
        results = [run(cresset.randn(3), cresset.randn(1)) for _ in range(6)]
        if run is compiled:
            own = results
    assert str(own) == str(results)
    assert plays(compiled) == 4


def test_elements_that_change_after_they_were_seen():
    def overwritten(x):
        doubled = x * 2
        before = doubled.sum().item()
        value = doubled[0].item()
        doubled.zero_()
        return before, value, doubled

    def twice(x):
        value = x.sum().item()
        return value, value

    def in_a_loop(x):
        values = []
        for k in range(2):
            value = (x + k).sum().item()
            values = [values, value]
        return values

    for function in (overwritten, twice, in_a_loop):
        compiled = cresset.compile(function)
        for k in range(6):
            x = cresset.full((2,), float(k))
            assert str(compiled(x)) == str(function(x))


def test_elements_that_something_is_done_with():
    for function in (
        lambda x: x.sum().item() + 1,
        lambda x: math.sqrt(x.sum().item()),
        lambda x: (3.0, x.sum().item()) if x.shape[0] else None,
        lambda x: [x.sum().item()][0] * x,
    ):
        compiled = cresset.compile(function)
        for k in (3.0, 3.0, 3.0, 4.0, 5.0):
            x = cresset.full((1,), k)
            assert str(compiled(x)) == str(function(x))


# --- copies, and results of other kinds -----------------------------------------------------------
def test_copies_have_recordings_of_their_own():
    model = nn.Sequential(nn.Linear(3, 2), nn.ReLU())
    compiled = cresset.compile(model)
    x = cresset.randn(4, 3)
    for _ in range(4):
        compiled(x)
    for other in (copy.deepcopy(compiled), pickle.loads(pickle.dumps(compiled))):
        for _ in range(4):
            assert cresset.equal(other(x), compiled(x))
        assert plays(other) == 2
        with cresset.no_grad():
            other[0].weight.zero_()
            other[0].bias.zero_()
        assert other(x).abs().sum().item() == 0
        assert compiled(x).abs().sum().item() != 0


def test_results_that_are_new_at_every_call():
    def generated(x):
        yield x + 1
        yield x + 2

    compiled = cresset.compile(generated)
    for _ in range(5):
        assert [y.tolist() for y in compiled(cresset.zeros(1))] == [[1.0], [2.0]]
    assert "the result is a generator, another one at every call" in compiled.explain()
    compiled = cresset.compile(lambda x: (SimpleNamespace(size=x.shape), x * 2))
    assert len({id(compiled(cresset.ones(1))[0]) for _ in range(5)}) > 1 or not plays(compiled)
    compiled = cresset.compile(lambda x: OrderedDict(double=x * 2, size=x.shape, type=x.dtype))
    for k in range(5):
        result = compiled(cresset.full((2,), float(k)))
        assert type(result) is OrderedDict
        assert [*result] == ["double", "size", "type"]
        assert result["double"].tolist() == [2.0 * k] * 2
        assert (result["size"], result["type"]) == ((2,), cresset.float32)
    assert plays(compiled) == 3
