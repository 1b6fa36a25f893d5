"""Meta tensors: every operation gives the shape, type and strides of the processor's result."""

import copy
import pickle

import pytest
from sample import built
from samples import SAMPLES

import cresset
from cresset import nn
from cresset.core.tensor import Tensor

BY_NAME: dict = {}
for _sample in SAMPLES:
    BY_NAME.setdefault(_sample.name, []).append(_sample)

# Results whose shape or existence depends on elements: they raise, as do indices without dims.
BY_VALUE = {
    "where", "allclose", "equal", "isin", "Tensor.__getitem__", "Tensor.__setitem__", "index_fill",
    "nn.functional.one_hot", "nonzero", "Tensor.nonzero", "masked_select", "argwhere",
    "masked_scatter", "index_put", "bincount", "histogram", "unique",
    "Tensor.unique", "unique_consecutive", "repeat_interleave", "combinations",
    "nn.functional.embedding_bag",
}


def described(result):
    """What can be said of a result without its elements."""
    if isinstance(result, Tensor):
        return tuple(result.shape), result.stride(), result.dtype
    if isinstance(result, (tuple, list)):
        return [described(part) for part in result]
    return result


def on_meta(x):
    """A tensor like x without elements, over a storage without memory."""
    like = cresset.empty(0, dtype=x.dtype, device="meta")
    return like.set_(like.storage(), x.storage_offset(), x.shape, x.stride())


def outcome(sample, tensors):
    try:
        return described(sample.call(cresset, tensors))
    except Exception as error:
        return type(error)


@pytest.mark.parametrize("name", BY_NAME)
def test_layouts_are_those_of_the_processor(name):
    wrong = []
    for k, sample in enumerate(BY_NAME[name]):
        arrangement = ("plain", "transposed", "stepped")[k % 3] if sample.elementwise else "plain"
        tensors = [cresset.from_numpy(a) for a in built(sample, "float32", arrangement)]
        expected = outcome(sample, tensors)
        got = outcome(sample, [on_meta(x) for x in tensors])
        unknown = name in BY_VALUE and got in (RuntimeError, NotImplementedError)
        if not isinstance(expected, type) and expected != got and not unknown:
            wrong.append(f"{sample.id} {arrangement}: {got}; expected {expected}")
    if wrong:
        pytest.fail("\n".join(wrong), pytrace=False)


# --- making them ----------------------------------------------------------------------------------
def test_factories():
    x = cresset.ones(2, 3)
    made = [
        cresset.empty(2, 3, device="meta"), cresset.zeros((2, 3), device="meta"),
        cresset.ones(2, 3, device=cresset.device("meta")), cresset.full((2, 3), 1.5, device="meta"),
        cresset.rand(2, 3, device="meta"), cresset.randn(2, 3, device="meta"),
        cresset.empty_like(x, device="meta"), cresset.zeros_like(x, device="meta"),
        cresset.ones_like(x, device="meta"), cresset.full_like(x, 2, device="meta"),
        cresset.empty_strided((2, 3), (3, 1), device="meta"), x.to("meta"),
        cresset.tensor([[1.0] * 3] * 2, device="meta"), cresset.as_tensor(x, device="meta"),
        x.new_zeros(2, 3, device="meta"), x.to("meta").new_ones(2, 3),
        cresset.empty_like(x.to("meta")), cresset.rand_like(x.to("meta")),
    ]
    for y in made:
        assert y.is_meta and not y.is_cpu and y.device == cresset.device("meta")
        assert described(y) == described(x) and y.data_ptr() == 0
        assert y.untyped_storage().nbytes() == 24
    counted = [
        cresset.arange(5, device="meta"), cresset.randperm(5, device="meta"),
        cresset.randint(3, (5,), device="meta"), cresset.eye(5, device="meta")[0].long(),
        cresset.linspace(0, 1, 5, device="meta").long(),
    ]
    assert all(y.is_meta and described(y) == ((5,), (1,), cresset.int64) for y in counted)
    assert cresset.empty_like(made[0], device="cpu").is_cpu


def test_nothing_is_allocated():
    before = cresset.memory_stats()["allocation.all.allocated"]
    x = cresset.zeros(10**6, 10**7, device="meta")
    assert (x @ x.t()).exp_().add(1).nbytes == 4 * 10**12
    assert cresset.memory_stats()["allocation.all.allocated"] == before


def test_views_and_writes():
    x = cresset.zeros(4, 6, device="meta")
    view = x[1:, ::2]
    assert view.storage_offset() == 6 and view._is_view() and view.data_ptr() == 0
    assert view.storage()._cdata == x.storage()._cdata
    version = x._version
    assert view.add_(1) is view and x._version == version + 1
    x[0] = 3.0
    x.copy_(cresset.ones(6))
    cresset.exp(x, out=x)
    assert x.resize_(7, 8).shape == (7, 8) and x.untyped_storage().nbytes() == 224


def test_devices_are_not_mixed():
    x, y = cresset.ones(3, device="meta"), cresset.ones(3)
    for call in (lambda: x + y, lambda: y + x, lambda: y.add_(x), lambda: x.add_(y),
                 lambda: cresset.cat([x, y])):
        with pytest.raises(RuntimeError, match="Expected all tensors to be on the same device"):
            call()
    with pytest.raises(NotImplementedError, match="Cannot copy out of meta tensor; no data!"):
        y.copy_(x)
    assert (x + cresset.tensor(2.0)).is_meta
    assert y.tolist() == [1, 1, 1]


def test_elements_are_refused():
    x = cresset.ones((), device="meta")
    for read in (x.item, x.__bool__, x.__float__, x.__int__):
        with pytest.raises(RuntimeError, match="cannot be called on meta tensors"):
            read()
    for read in (x.tolist, x.cpu, lambda: x.to("cpu")):
        with pytest.raises(NotImplementedError, match="Cannot copy out of meta tensor; no data!"):
            read()
    for read in (x.numpy, x.__array__):
        with pytest.raises(TypeError, match="can't convert meta device type tensor to numpy"):
            read()
    with pytest.raises(BufferError):
        x.__dlpack__()


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy,
                                   lambda x: pickle.loads(pickle.dumps(x))])
def test_copies(again):
    x = cresset.empty(3, 4, device="meta").t()
    assert again(x).is_meta and described(again(x)) == described(x)


# --- training -------------------------------------------------------------------------------------
def test_modules_train_without_data():
    with cresset.device("meta"):
        model = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2),
            nn.Flatten(), nn.Linear(8 * 16, 10), nn.Dropout(),
        )
        x, target = cresset.rand(5, 3, 8, 8), cresset.randint(10, (5,))
    loss = nn.functional.cross_entropy(model(x), target)
    loss.backward()
    assert loss.is_meta and loss.shape == ()
    optimizer = cresset.optim.Adam(model.parameters())
    for p in model.parameters():
        assert p.is_meta and p.grad.is_meta and p.grad.shape == p.shape
    optimizer.step()
    assert model.to("meta") is model and model[0].weight.is_meta
    assert nn.Linear(2, 3, device="meta").weight.is_meta


def test_writes_into_views_enter_the_graph():
    w = cresset.ones(4, device="meta", requires_grad=True)
    y = w * 2
    y[1:3].mul_(y[0])
    y.sum().backward()
    assert w.grad.is_meta and w.grad.shape == (4,)


def gradients(sample, leaves):
    """What can be said of the gradients of a sample's operands."""
    for x in leaves:
        if x.is_floating_point() or x.is_complex():
            x.requires_grad_()
    result = sample.call(cresset, leaves)
    parts = result if isinstance(result, (tuple, list)) else (result,)
    wanted = [r for r in parts if isinstance(r, Tensor) and r.requires_grad]
    cresset.autograd.backward(wanted, [cresset.ones_like(r) for r in wanted])
    return [x.grad if x.grad is None else (x.grad.is_meta, described(x.grad)) for x in leaves]


@pytest.mark.parametrize("default", [None, "meta"])
@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_gradients_have_the_layouts_of_the_processors(device, default):
    """On either device, and whatever the device is that new tensors are made on."""
    wrong = []
    for sample in SAMPLES:
        if not sample.leads or (device, default) == ("cpu", None):
            continue
        tensors = [cresset.from_numpy(a) for a in built(sample, "float32")]
        again = [on_meta(x) if device == "meta" else x.clone() for x in tensors]
        try:
            expected = gradients(sample, tensors)
        except (RuntimeError, NotImplementedError):
            continue
        expected = [e if e is None else (device == "meta", e[1]) for e in expected]
        try:
            with cresset.device(default or "cpu"):
                got = gradients(sample, again)
        except (RuntimeError, NotImplementedError) as error:
            if device == "meta" and sample.name in BY_VALUE and "item" in str(error):
                continue
            got = error
        if got != expected:
            wrong.append(f"{sample.id}: {got}; expected {expected}")
    if wrong:
        pytest.fail("\n".join(wrong), pytrace=False)
