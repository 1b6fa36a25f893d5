"""`compile`: results of all kinds: elements, containers, copies of what is compiled."""

import copy
import math
import pickle
from collections import OrderedDict
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from compiling import leaf, plays, same

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


# --- containers -----------------------------------------------------------------------------------
@dataclass
class Output:
    loss: Any
    hidden: Any = None
    more: dict = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Batch:
    x: Any
    factor: int = 2


class Entries(OrderedDict):
    """A dict whose entries are those attributes that are not None."""

    def __post_init__(self):
        for name in self.__dataclass_fields__:
            if getattr(self, name) is not None:
                self[name] = getattr(self, name)


@dataclass
class Pair(Entries):
    first: Any = None
    second: Any = None


def test_dataclasses():
    w = leaf(1.0, 2.0)

    def function(batch):
        y = (batch.x * w).sin() * batch.factor
        return Output(y.sum(), y.detach(), {"pair": Pair(first=y * 2)})

    compiled = cresset.compile(function)
    for k in range(7):
        # With a graph from the fourth call on.
        batch = Batch(cresset.full((2,), k + 1.0) if k < 4 else w * k)
        own, expected = compiled(batch), function(batch)
        pair = own.more["pair"]
        assert (type(own), type(pair)) == (Output, Pair)
        assert [*pair] == ["first"] and pair["first"] is pair.first and pair.second is None
        assert same([own.loss, own.hidden], [expected.loss, expected.hidden])
        assert same([pair.first], [expected.more["pair"].first])
        assert same(*[cresset.autograd.grad(out.loss, w)[0] for out in (own, expected)])
    assert plays(compiled) == 4
    x = cresset.ones(2)
    assert same(compiled(Batch(x, 4)).hidden, compiled(Batch(x)).hidden * 2)


def test_containers_that_a_call_makes_and_fills():
    def function(xs):
        outputs, named = [], {}
        for k, x in enumerate(xs):
            outputs.append((x * k, named))
            named[k] = Output(x + k)
            named[k].hidden = x - k
        return outputs, named

    compiled = cresset.compile(function)
    for k in range(5):
        outputs, named = compiled([cresset.ones(2) * k, cresset.zeros(3)])
        assert outputs[1][0].tolist() == [0, 0, 0] and [*named] == [0, 1]
        assert (named[0].hidden.tolist(), named[1].loss.tolist()) == ([k, k], [1, 1, 1])
        outputs.clear()
        named.clear()
    assert plays(compiled) == 3


def test_containers_that_were_there_before_are_changed():
    kept = []

    def appended(x):
        kept.append(1)
        return [kept, x * 2]

    def given(xs):
        xs.append(xs[0] * 2)
        return xs[0] + 1

    def assigned(out):
        out.hidden = out.loss * 2
        return out

    w = leaf(1.0)
    for x in (cresset.ones(1), w * 3):
        for function in (appended, given, assigned):
            kept.clear()
            compiled = cresset.compile(function)
            for k in range(1, 6):
                argument = {appended: x, given: [x], assigned: Output(x)}[function]
                result = compiled(argument)
                if function is appended:
                    assert result[0] is kept and len(kept) == k
                if function is given:
                    assert len(argument) == 2 and same(argument[1], x * 2)
                if function is assigned:
                    assert result is argument and same(argument.hidden, x * 2)
            assert not plays(compiled)


def test_the_order_of_a_dict_matters():
    def function(entries, **options):
        result = cresset.zeros(1)
        for x in (*entries.values(), *options.values()):
            result = result * 2 + x
        return result

    compiled = cresset.compile(function)
    one, zero = cresset.ones(1), cresset.zeros(1)
    for _ in range(4):
        assert compiled({"a": one, "b": zero}, c=one, d=zero).item() == 10
        assert compiled({"b": zero, "a": one}, c=one, d=zero).item() == 6
        assert compiled({"a": one, "b": zero}, d=zero, c=one).item() == 9
    assert plays(compiled) == 6


def test_sets_and_arguments_without_elements():
    def function(x, names, other):
        return (x * len(names), other, None)

    compiled = cresset.compile(function)
    names = {"a", "b"}
    for other in (None, None, None, None, (), (), *[cresset.Size([k]) for k in (1, 1, 1, 2)]):
        result = compiled(cresset.ones(1), names, other)
        assert (result[0].item(), result[1], result[2]) == (2, other, None)
        assert type(result[1]) is type(other)
    assert plays(compiled) == 3
    unplayed = cresset.compile(lambda x: {x * 2})
    assert [next(iter(unplayed(cresset.ones(1)))).item() for _ in range(4)] == [2] * 4
    assert not plays(unplayed)
