"""Watched words: a recording is looked at again where an object changed, and only there."""

import sys

import pytest
from compiling import plays, training_step

import cresset
from cresset import nn
from cresset.runtime import native, watch


class Holder:
    """A factor, and what the class says."""

    scale = 2.0

    def __init__(self):
        self.factor = 1.0


def watched(*words):
    return native.make_watch({word: word.content() for word in words})


def test_words_of_objects():
    x, holder = cresset.ones(2), Holder()
    unchanged = watched(watch.in_slot(x, "layout"), watch.in_slot(x, "grad"))
    assert unchanged() is True
    x.grad = cresset.ones(2)
    assert unchanged() is False
    filled = watched(watch.in_slot(x, "grad", filled=True))
    x.grad = cresset.zeros(2)
    assert filled() is True
    x.grad = None
    assert filled() is False

    def of_cell():
        return holder

    (cell,) = of_cell.__closure__
    unchanged = watched(watch.in_cell(cell))
    assert unchanged()
    holder = None
    assert not unchanged()


def test_every_write_to_a_dict_shows():
    holder, plain = Holder(), {"a": 1}
    words = [watch.in_dict(vars(holder)), watch.in_dict(plain)]
    if sys.version_info >= (3, 13):
        assert words == [None, None]
        return

    def write(value):
        holder.factor = value

    for k in range(50):
        # Often enough for the interpreter to specialize the instruction.
        unchanged = watched(words[0])
        assert unchanged()
        write(float(k))
        assert not unchanged()
    for change in (lambda: plain.update(a=2), lambda: plain.pop("a"), lambda: plain.clear()):
        unchanged = watched(words[1])
        change()
        assert not unchanged()


@pytest.mark.parametrize("versions", [True, False])
def test_changes_are_noticed(monkeypatch, versions):
    if not versions:
        monkeypatch.setattr(watch, "in_dict", lambda owner: None)
    holder = Holder()
    compiled = cresset.compile(lambda x: x * holder.factor + holder.scale)
    x = cresset.ones(2)
    try:
        for k in range(60):
            if k % 5 == 0:
                holder.factor = float(k)
            if k % 7 == 0:
                Holder.scale = float(k % 2)
            if k == 50:
                holder.scale = 100.0
            assert compiled(x)[0].item() == holder.factor + holder.scale
    finally:
        Holder.scale = 2.0
    assert plays(compiled) > 10


def test_what_changes_beside_it_does_not_matter():
    """A dict that changes at every call, though not in what is read of it, is soon let be."""
    holder = Holder()
    compiled = cresset.compile(lambda x: x * holder.factor)
    for k in range(30):
        holder.calls = k
        assert compiled(cresset.ones(2))[0].item() == 1.0
    assert plays(compiled) == 28
    (variant,) = compiled._variants
    assert watch.in_dict(vars(holder)) not in variant.checks.watched
    holder.factor = 3.0
    assert compiled(cresset.ones(2))[0].item() == 3.0


def test_modes_of_a_model():
    model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Dropout(0.5))
    compiled = cresset.compile(lambda x: model(x))
    x = cresset.randn(8, 4)
    for k in range(24):
        model.train(k % 6 < 3)
        result = compiled(x)
        if not model.training:
            assert cresset.equal(result, model(x))
        else:
            assert (result == 0).any()
    assert plays(compiled) > 10


def test_written_memory_and_its_other_names():
    buffer = cresset.zeros(3)

    def function(x):
        buffer.add_(1)
        return x + buffer

    compiled = cresset.compile(function)
    for k in range(4):
        assert compiled(cresset.ones(3)).tolist() == [k + 2.0] * 3
    assert compiled(buffer).tolist() == [10.0] * 3
    assert compiled(buffer[:]).tolist() == [12.0] * 3
    assert compiled(cresset.ones(3)).tolist() == [8.0] * 3


# --- sizes ----------------------------------------------------------------------------------------
def test_sizes_come_and_go(monkeypatch):
    """The recordings that are kept are those played last; what is dropped is recorded again."""
    monkeypatch.setattr("cresset.compiler.compile.MOST_VARIANTS", 3)
    compiled = cresset.compile(lambda x: x * 2 + 1)
    for size in [1, 2, 3, 4, 5, 1, 2, 3, 4, 5] * 2:
        for _ in range(4):
            assert compiled(cresset.ones(size)).tolist() == [3.0] * size
        assert len(compiled._variants) <= 3
    assert plays(compiled) >= 3 * 2


def test_values_that_never_come_again_are_told_of():
    compiled = cresset.compile(lambda x, k: x * k)
    for k in range(20):
        assert compiled(cresset.ones(1), k).item() == k
    assert "20 calls with shapes, types or plain values that came only once" in compiled.explain()


def test_batches_of_all_sizes_share_their_kernels():
    """Sizes are numbers that kernels are given: past the first few none is compiled any more."""
    from cresset.runtime.build import _builder

    cresset.manual_seed(0)
    model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.LayerNorm(32), nn.Linear(32, 4))
    optimizer = cresset.optim.SGD(model.parameters(), lr=0.1)
    step = cresset.compile(training_step(model, optimizer))

    def train(sizes):
        before = set(_builder.built)
        for size in sizes:
            for _ in range(3):
                step(cresset.randn(size, 16), cresset.randint(0, 4, (size,)))
        return set(_builder.built) - before

    train((3, 8, 24, 40, 100))
    assert not train(range(33, 64))


def test_a_way_to_gradients_that_were_not_looked_at():
    first, second = (cresset.ones(2, requires_grad=True) for _ in range(2))

    @cresset.compile
    def step(x):
        loss = ((first if x.sum() > 0 else second) * x).sum()
        loss.backward()
        return loss.detach()

    for sign in (1, -1, -1, -1, 1, 1, 1, -1):
        first.grad = second.grad = None
        step(cresset.full((2,), float(sign)))
        used, other = (first, second) if sign > 0 else (second, first)
        assert used.grad.tolist() == [sign] * 2
        assert other.grad is None
    assert plays(step) >= 4
