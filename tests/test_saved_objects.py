"""Objects of any class in checkpoints: restored where they are trusted, and nowhere else."""

import io
import json
import pickle
import zipfile
from fractions import Fraction
from types import SimpleNamespace

import numpy
import pytest

import cresset
from cresset import nn, serialization
from cresset.serialization import load, save


class Network(nn.Module):
    """Shares a weight, and keeps a value that is no tensor."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(2, 2)
        self.second = nn.Sequential(nn.BatchNorm1d(2), nn.LSTM(2, 3))
        self.tied = self.first.weight
        self.rate = Fraction(1, 3)

    def forward(self, x):
        return self.second(self.first(x))[0]


def saved(value):
    file = io.BytesIO()
    save(value, file)
    file.seek(0)
    return file


def test_whole_modules_and_optimizers():
    model = Network()
    optimizer = cresset.optim.Adam(model.parameters(), lr=0.1)
    model(cresset.randn(4, 2)).sum().backward()
    optimizer.step()
    again = load(saved({"model": model, "optimizer": optimizer}), weights_only=False)
    other, steps = again["model"], again["optimizer"]
    assert other.tied is other.first.weight and other.rate == model.rate
    assert steps.param_groups[0]["params"][0] is other.first.weight
    x = cresset.randn(4, 2)
    assert cresset.equal(other.eval()(x), model.eval()(x))
    for m, o in ((model, optimizer), (other, steps)):
        o.zero_grad()
        m(x).sum().backward()
        o.step()
    assert cresset.equal(other.first.weight, model.first.weight)


@pytest.mark.parametrize("value", [
    {"m": [nn.ReLU()]}, {"f": print}, {nn.ReLU: 1}, numpy.array([object()]), Fraction(1, 3),
], ids=["modules", "functions", "classes", "objects", "fractions"])
def test_what_is_no_plain_value_is_restored_where_it_is_trusted(value):
    file = saved(value)
    for options in ({}, {"weights_only": True}):
        file.seek(0)
        with pytest.raises(pickle.UnpicklingError, match="only running code could restore"):
            load(file, **options)
    file.seek(0)
    assert type(load(file, weights_only=False)) is type(value)


def test_what_cannot_be_pickled():
    for value in (lambda: 1, {"x": (k for k in ())}):
        with pytest.raises((AttributeError, TypeError, pickle.PicklingError)):
            save(value, io.BytesIO())


def test_what_contains_itself():
    endless = [1]
    endless.append({"again": endless})
    again = load(saved(endless))
    assert again[1]["again"] is again
    shared = [1]
    assert load(saved([shared, shared])) == [[1], [1]]


def test_tensors_in_objects_share_memory():
    x = cresset.arange(6.0)
    thing = SimpleNamespace(x=x, view=x[2:4], empty=cresset.empty(0), meta=x.to("meta"))
    again = load(saved([thing, x]), weights_only=False)[0]
    again.x[2] = -1
    assert again.view.tolist() == [-1, 3] and again.empty.shape == (0,) and again.meta.is_meta
    assert load(saved(thing), "meta", weights_only=False).view.is_meta


def test_safe_globals():
    file = saved({"rate": Fraction(1, 3), "x": cresset.ones(2)})
    with serialization.safe_globals([Fraction]):
        assert serialization.get_safe_globals() == [Fraction]
        again = load(file)
    assert again["rate"] == Fraction(1, 3) and again["x"].tolist() == [1, 1]
    assert serialization.get_safe_globals() == []
    serialization.add_safe_globals([(SimpleNamespace, "fractions.Fraction")])
    try:
        file.seek(0)
        with pytest.raises(TypeError):
            load(file)
    finally:
        serialization.clear_safe_globals()
    file.seek(0)
    with pytest.raises(pickle.UnpicklingError, match="add_safe_globals"):
        load(file)


def with_pickle(content):
    """A checkpoint around a pickle of our choice."""
    file = io.BytesIO()
    manifest = {"format": "cresset checkpoint", "version": 1, "storages": [len(content), 8]}
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("manifest.json", json.dumps({**manifest, "value": {"pickle": 0}}))
        archive.writestr("storages/0", content)
        archive.writestr("storages/1", bytes(8))
    return file


@pytest.mark.parametrize("trusting", [False, True])
def test_tensors_reach_no_further_than_their_storages(trusting):
    whole = cresset.ones(2)
    kind, storage = whole.__reduce_ex__(2)[0], whole.memory

    class Pickler(pickle.Pickler):
        def persistent_id(self, value):
            return ("storage", 1) if value is storage else None

        def reducer_override(self, value):
            return changed if value is whole else NotImplemented

    for offset, shape, strides in ((0, (3,), (1,)), (1, (2,), (1,)), (0, (2,), (9,)),
                                   (-1, (2,), (1,)), (0, (2,), (-1,)), (0, (2, 1), (1,))):
        arguments = cresset.Tensor, storage, cresset.float32, offset, shape, strides, False
        changed = kind, arguments
        content = io.BytesIO()
        Pickler(content, 2).dump(whole)
        with pytest.raises(RuntimeError, match="damaged"):
            load(with_pickle(content.getvalue()), weights_only=not trusting)


def test_slots_are_not_set_by_files():
    """A tensor's address is a slot."""
    for named in (b"ccresset.core.dtype\nnamed\n(X\x07\x00\x00\x00float32tR",
                  b"ccresset.core.tensor\nTensor\n)R"):
        content = b"\x80\x02" + named + b"(N}X\x03\x00\x00\x00ptrK\x09stb."
        with pytest.raises(RuntimeError, match="damaged: the state"):
            load(with_pickle(content))


def test_objects_in_pytorchs_checkpoints(torch):
    value = {
        "settings": SimpleNamespace(rate=0.5, types=[torch.float16, torch.device("cpu")]),
        "weight": torch.nn.Parameter(torch.ones(2)),
        "size": torch.Size([1, 2]),
        "number": numpy.float64(3.0),
    }
    value["settings"].view = value["weight"].detach()[1:]
    file = io.BytesIO()
    torch.save(value, file)
    again = load(file, weights_only=False)
    with cresset.no_grad():
        again["weight"][1] = 5
    assert isinstance(again["weight"], nn.Parameter) and again["settings"].view.tolist() == [5]
    assert again["settings"].types == [cresset.float16, cresset.device("cpu")]
    assert again["size"] == (1, 2) and again["number"] == 3
    with serialization.safe_globals([SimpleNamespace]):
        file = io.BytesIO()
        torch.save({"s": value["settings"]}, file)
        assert load(file)["s"].rate == 0.5
