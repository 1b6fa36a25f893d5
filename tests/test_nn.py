"""Modules: registration, the tree, state dictionaries, hooks, conversion, printing, errors."""

import copy
import gc
import pickle
import weakref
from collections import OrderedDict

import numpy
import pytest

import cresset
from cresset import nn


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(3, 4)
        self.norm = nn.BatchNorm1d(4)
        self.scale = nn.Parameter(cresset.ones(4))
        self.register_buffer("seen", cresset.zeros(1), persistent=False)
        self.register_parameter("absent", None)

    def forward(self, x):
        return self.norm(self.first(x)) * self.scale


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList([Block(), Block()])
        self.head = nn.Sequential(nn.Linear(4, 2), nn.ReLU())

    def forward(self, x):
        for block in self.blocks:
            x = block(x)[:, :3]
        return x


def test_names_come_in_order_of_registration():
    block = Block()
    names = ["scale", "first.weight", "first.bias", "norm.weight", "norm.bias"]
    assert [name for name, _ in block.named_parameters()] == names
    assert [name for name, _ in block.named_buffers()] == [
        "seen",
        "norm.running_mean",
        "norm.running_var",
        "norm.num_batches_tracked",
    ]
    assert [name for name, _ in block.named_modules()] == ["", "first", "norm"]
    assert [name for name, _ in block.named_children()] == ["first", "norm"]
    assert "seen" not in block.state_dict()
    assert [name for name, _ in block.named_parameters("p", recurse=False)] == ["p.scale"]


def test_shared_parts_appear_once_unless_asked():
    shared = nn.Linear(2, 2)
    model = nn.Sequential(shared, shared)
    assert len(list(model.parameters())) == 2
    assert len(list(model.named_parameters(remove_duplicate=False))) == 4
    assert len(list(model.modules())) == 2
    assert len(list(model.named_modules(remove_duplicate=False))) == 3
    assert list(model.state_dict()) == ["0.weight", "0.bias", "1.weight", "1.bias"]


def test_attributes_and_registries_agree():
    layer = nn.Linear(2, 2)
    other = nn.Parameter(cresset.zeros(2, 2))
    layer._parameters["weight"] = other
    assert layer.weight is other
    layer.weight = nn.Parameter(cresset.ones(2, 2))
    assert layer._parameters["weight"] is layer.weight
    del layer.bias
    assert "bias" not in layer._parameters
    assert not hasattr(layer, "bias")
    model = nn.Sequential(nn.ReLU())
    model._modules["0"] = layer
    assert model[0] is layer
    model._modules.update({"1": nn.Tanh()})
    assert len(model) == 2
    assert isinstance(model._modules.pop("1"), nn.Tanh)
    assert not hasattr(model, "1")


def test_assignment_rules():
    module = nn.Module()
    module.value = 3
    module.value = nn.Parameter(cresset.zeros(1))
    assert list(module._parameters) == ["value"]
    with pytest.raises(TypeError, match="as parameter 'value'"):
        module.value = cresset.zeros(1)
    module.value = None
    assert module.value is None
    assert list(module._parameters) == ["value"]
    module.value = nn.ReLU()
    assert list(module._modules) == ["value"]
    assert list(module._parameters) == []
    with pytest.raises(TypeError, match="as child module 'value'"):
        module.value = 3
    module.register_buffer("mean", cresset.zeros(1))
    with pytest.raises(TypeError, match="as buffer 'mean'"):
        module.mean = 3
    module.mean = cresset.ones(1)
    assert module._buffers["mean"].item() == 1
    module.kept = nn.Buffer(cresset.ones(1), persistent=False)
    assert "kept" in module._buffers
    assert "kept" not in module.state_dict()


@pytest.mark.parametrize(
    ("name", "error", "text"),
    [
        (3, TypeError, "should be a string"),
        ("a.b", KeyError, "t contain"),
        ("", KeyError, "t be empty"),
        ("forward", KeyError, "already exists"),
    ],
)
def test_names_are_checked(name, error, text):
    module = nn.Module()
    for register in (module.register_parameter, module.register_buffer, module.add_module):
        with pytest.raises(error, match=text):
            register(name, None)


def test_registration_needs_init():
    class Forgetful(nn.Module):
        def __init__(self):
            self.weight = nn.Parameter(cresset.zeros(1))

    with pytest.raises(AttributeError, match="before Module.__init__"):
        Forgetful()
    with pytest.raises(TypeError, match="is not a Module subclass"):
        nn.Module().add_module("child", 3)
    with pytest.raises(TypeError, match="Parameter or None required"):
        nn.Module().register_parameter("weight", cresset.zeros(1))
    with pytest.raises(TypeError, match="Tensor or None required"):
        nn.Module().register_buffer("mean", 3)


def test_missing_attribute_and_forward():
    with pytest.raises(AttributeError, match="'Module' object has no attribute 'nothing'"):
        nn.Module().nothing  # noqa: B018
    with pytest.raises(NotImplementedError, match="forward"):
        nn.Module()(1)


def test_a_module_goes_with_its_last_reference():
    model = Model()
    watch = weakref.ref(model.blocks[0].first)
    gc.disable()
    try:
        del model
        assert watch() is None
    finally:
        gc.enable()


def test_copies_are_independent():
    model = Model()
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert repr(other) == repr(model)
        assert list(other.state_dict()) == list(model.state_dict())
        pairs = zip(model.parameters(), other.parameters())
        assert all(a is not b and (a == b).all() for a, b in pairs)
        assert other.blocks[0].scale is other.blocks[0]._parameters["scale"]
        assert other.blocks[0].absent is None
    shallow = copy.copy(model.head)
    shallow.extra = nn.ReLU()
    assert not hasattr(model.head, "extra")
    assert shallow[0] is model.head[0]


def test_train_eval_apply_requires_grad():
    model = Model()
    assert model.eval() is model
    assert not any(module.training for module in model.modules())
    with pytest.raises(ValueError, match="boolean"):
        model.train(1)
    order = []
    model.apply(lambda module: order.append(type(module).__name__))
    assert order[-1] == "Model"
    assert order.index("Linear") < order.index("Block")
    model.requires_grad_(False)
    assert not any(parameter.requires_grad for parameter in model.parameters())


def test_zero_grad():
    layer = nn.Linear(2, 1)
    layer(cresset.ones(1, 2)).sum().backward()
    layer.zero_grad(set_to_none=False)
    assert layer.weight.grad.abs().sum().item() == 0
    layer.zero_grad()
    assert layer.weight.grad is None


def test_conversion_keeps_parameters_and_integers():
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    weight = model[0].weight
    model(cresset.ones(4, 2)).sum().backward()
    assert model.double() is model
    assert model[0].weight is weight
    assert weight.dtype is cresset.float64
    assert weight.grad.dtype is cresset.float64
    assert model[1].running_mean.dtype is cresset.float64
    assert model[1].num_batches_tracked.dtype is cresset.int64
    assert model.to("cpu", cresset.float32)[0].bias.dtype is cresset.float32
    assert model.to(cresset.zeros(1).double())[0].bias.dtype is cresset.float64
    assert model.float().cpu()[0].bias.dtype is cresset.float32
    with pytest.raises(TypeError, match="floating point"):
        model.to(cresset.int32)


def test_paths():
    model = Model()
    assert model.get_submodule("blocks.0.norm") is model.blocks[0].norm
    assert model.get_submodule("") is model
    assert model.get_parameter("blocks.1.scale") is model.blocks[1].scale
    assert model.get_buffer("blocks.1.seen") is model.blocks[1].seen
    with pytest.raises(AttributeError, match="has no attribute `9`"):
        model.get_submodule("blocks.9")
    with pytest.raises(AttributeError, match="is not an nn.Module"):
        model.get_submodule("blocks.0.scale")
    with pytest.raises(AttributeError, match=r"is not an nn\.Parameter"):
        model.get_parameter("blocks.0.seen")
    model.set_submodule("head.1", nn.Tanh())
    assert isinstance(model.head[1], nn.Tanh)


def test_state_dict_arguments():
    layer = nn.Linear(2, 1)
    state = layer.state_dict()
    assert isinstance(state, OrderedDict)
    assert state._metadata == {"": {"version": 1}}
    assert not state["weight"].requires_grad
    with cresset.no_grad():
        layer.weight.fill_(5)
    assert state["weight"][0, 0].item() == 5
    assert layer.state_dict(keep_vars=True)["weight"] is layer.weight
    assert list(layer.state_dict(prefix="a.")) == ["a.weight", "a.bias"]
    destination = {}
    assert layer.state_dict(destination, "b.") is destination
    assert list(destination) == ["b.weight", "b.bias"]


def test_load_state_dict():
    source, target = Model(), Model()
    keys = target.load_state_dict(source.state_dict())
    assert repr(keys) == "<All keys matched successfully>"
    for a, b in zip(source.parameters(), target.parameters()):
        assert a is not b
        assert (a == b).all()
    assigned = Model()
    state = source.double().state_dict()
    old = assigned.head[0].weight
    old.requires_grad_(False)
    assigned.load_state_dict(state, assign=True)
    assert assigned.head[0].weight.dtype is cresset.float64
    assert isinstance(assigned.head[0].weight, nn.Parameter)
    assert not assigned.head[0].weight.requires_grad
    with pytest.raises(TypeError, match="dict-like"):
        target.load_state_dict([1])


def broken_state(state):
    state["extra.weight"] = state.pop("0.bias")
    state["1.weight"] = state["1.weight"][:2]
    state["1.bias"] = 3
    return state


def test_load_state_dict_reports_everything_at_once():
    model = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 3))
    with pytest.raises(RuntimeError) as caught:
        model.load_state_dict(broken_state(model.state_dict()))
    lines = str(caught.value).split("\n\t")
    assert lines[0] == "Error(s) in loading state_dict for Sequential:"
    assert lines[1] == 'Missing key(s) in state_dict: "0.bias". '
    assert lines[2] == 'Unexpected key(s) in state_dict: "extra.weight". '
    assert lines[3].startswith("size mismatch for 1.weight: copying a param with shape torch.Size")
    assert lines[4].startswith('While copying the parameter named "1.bias", expected torch.Tensor')
    state = model.state_dict()
    state["extra"] = state.pop("0.bias")
    keys = model.load_state_dict(state, strict=False)
    assert keys.missing_keys == ["0.bias"]
    assert keys.unexpected_keys == ["extra"]
    text = "_IncompatibleKeys(missing_keys=['0.bias'], unexpected_keys=['extra'])"
    assert repr(keys) == text


def test_load_state_dict_messages_are_pytorchs(torch):
    messages = []
    for library in (cresset, torch):
        linear = library.nn.Linear
        model = library.nn.Sequential(linear(2, 3), linear(3, 3))
        with pytest.raises(RuntimeError) as caught:
            model.load_state_dict(broken_state(model.state_dict()))
        messages.append(str(caught.value))
    assert messages[0] == messages[1]


def test_old_state_of_a_batch_norm():
    norm = nn.BatchNorm1d(2)
    state = norm.state_dict()
    del state["num_batches_tracked"]
    with pytest.raises(RuntimeError, match="num_batches_tracked"):
        norm.load_state_dict(state)
    norm.load_state_dict(dict(state))


def test_extra_state():
    class Counting(nn.Module):
        def __init__(self):
            super().__init__()
            self.count = 0

        def get_extra_state(self):
            return self.count

        def set_extra_state(self, state):
            self.count = state

    model = nn.Sequential(Counting())
    model[0].count = 7
    state = model.state_dict()
    assert state == {"0._extra_state": 7}
    model[0].count = 0
    model.load_state_dict(state)
    assert model[0].count == 7
    with pytest.raises(RuntimeError, match="Unexpected"):
        nn.Sequential(nn.ReLU()).load_state_dict(state)


def test_state_dict_hooks():
    layer = nn.Linear(1, 1)
    calls = []
    layer.register_state_dict_pre_hook(lambda module, prefix, keep: calls.append(prefix))
    layer.register_state_dict_post_hook(lambda module, state, prefix, meta: state.pop("bias"))
    assert list(layer.state_dict()) == ["weight"]
    assert calls == [""]

    def forgive(module, keys):
        keys.missing_keys.clear()

    layer.register_load_state_dict_post_hook(forgive)
    layer.load_state_dict({"weight": cresset.ones(1, 1)})

    def rename(module, state, prefix, *rest):
        state["weight"] = state.pop("old")

    layer.register_load_state_dict_pre_hook(rename)
    layer.load_state_dict({"old": cresset.zeros(1, 1)})
    assert layer.weight.item() == 0


def test_forward_hooks():
    layer = nn.Identity()
    seen = []
    first = layer.register_forward_pre_hook(lambda module, args: (args[0] + 1,))
    layer.register_forward_hook(lambda module, args, out: seen.append((args[0].item(), out.item())))
    layer.register_forward_hook(lambda module, args, out: out * 10)
    layer.register_forward_hook(lambda module, args, out: out + 1, prepend=True)
    x = cresset.tensor(1.0)
    assert layer(x).item() == 30
    assert seen == [(2.0, 3.0)]
    first.remove()
    first.remove()
    assert layer(x).item() == 20

    named = nn.Bilinear(1, 1, 1)
    named.register_forward_pre_hook(
        lambda module, args, kwargs: (args, {"input2": kwargs["input2"] * 2}), with_kwargs=True
    )
    named.register_forward_hook(
        lambda module, args, kwargs, out: kwargs["input2"], with_kwargs=True
    )
    assert named(x.view(1), input2=x.view(1)).item() == 2


def test_hooks_always_called():
    class Failing(nn.Module):
        def forward(self, x):
            raise ZeroDivisionError

    calls = []
    module = Failing()
    module.register_forward_hook(lambda *args: calls.append("skipped"))
    module.register_forward_hook(lambda *args: calls.append("called"), always_call=True)
    with pytest.raises(ZeroDivisionError):
        module(1)
    assert calls == ["called"]


def test_backward_hooks():
    layer = nn.Linear(2, 1, bias=False)
    with cresset.no_grad():
        layer.weight.copy_(cresset.tensor([[2.0, 3.0]]))
    seen = []
    layer.register_full_backward_pre_hook(lambda module, grads: (grads[0] * 10,))

    def double(module, grad_input, grad_output):
        seen.append((grad_input[0].tolist(), grad_output[0].tolist()))
        return (grad_input[0] * 2,)

    handle = layer.register_full_backward_hook(double)
    x = cresset.ones(1, 2, requires_grad=True)
    layer(x).sum().backward()
    assert seen == [([[20.0, 30.0]], [[10.0]])]
    assert x.grad.tolist() == [[40.0, 60.0]]
    assert layer.weight.grad.tolist() == [[10.0, 10.0]]
    handle.remove()
    plain = cresset.ones(1, 2)
    layer.register_full_backward_hook(lambda module, i, o: seen.append(i))
    layer(plain).sum().backward()
    assert seen[-1] == (None,)


def test_errors_name_the_place():
    model = Model()
    with pytest.raises(Exception) as caught:  # noqa: PT011
        model(cresset.ones(2, 7))
    assert caught.value.__notes__ == ["in module blocks.0.first (Linear)"]
    with pytest.raises(Exception) as caught:  # noqa: PT011
        model.blocks[0].first(cresset.ones(2, 7))
    assert caught.value.__notes__ == ["in module Linear"]


def test_repr():
    assert repr(nn.Linear(2, 3, bias=False)) == "Linear(in_features=2, out_features=3, bias=False)"
    assert repr(nn.Sequential()) == "Sequential()"
    layers = [nn.ReLU(), nn.ReLU(), nn.Sequential(nn.Tanh())]
    assert repr(nn.ModuleList(layers)) == (
        "ModuleList(\n  (0-1): 2 x ReLU()\n  (2): Sequential(\n    (0): Tanh()\n  )\n)"
    )


def test_sequential():
    a, b, c = nn.ReLU(), nn.Tanh(), nn.Sigmoid()
    model = nn.Sequential(OrderedDict(first=a, second=b))
    assert list(model._modules) == ["first", "second"]
    assert model.first is model[0] is model[-2]
    assert list(model[1:]._modules) == ["second"]
    model.append(c)
    assert model[2] is c
    model.insert(0, c)
    assert list(model) == [c, a, b, c]
    assert model.pop(-1) is c
    del model[0]
    assert list(model) == [a, b]
    assert len(model * 2) == len(2 * model) == 4
    assert list(model + nn.Sequential(c)) == [a, b, c]
    model += [c]
    model[0] = c
    assert list(model) == [c, b, c]
    with pytest.raises(IndexError):
        model[3]
    with pytest.raises(TypeError):
        nn.Sequential(3)


def test_module_list_and_dict():
    a, b, c = nn.ReLU(), nn.Tanh(), nn.Sigmoid()
    modules = nn.ModuleList([a])
    modules.extend([b]).append(c)
    modules.insert(1, c)
    assert list(modules) == [a, c, b, c]
    assert list(modules[::2]) == [a, b]
    del modules[1:3]
    modules[-1] = b
    assert list(modules + [c]) == [a, b, c]
    assert modules.pop(0) is a
    assert list(modules._modules) == ["0"]
    with pytest.raises(TypeError, match="iterable"):
        modules.extend(3)
    named = nn.ModuleDict({"x": a, "y": b})
    named["z"] = c
    assert list(named.items()) == [("x", a), ("y", b), ("z", c)]
    assert "x" in named
    assert named.pop("x") is a
    assert list(named.keys()) == ["y", "z"]
    named.update([("y", a)])
    assert list(named.values()) == [a, c]
    named.clear()
    assert len(named) == 0
    with pytest.raises(KeyError):
        nn.ModuleDict({"keys": a})


def test_parameter_list_and_dict():
    values = nn.ParameterList([cresset.zeros(2, 3), 5])
    assert isinstance(values[0], nn.Parameter)
    assert values[1] == 5
    values.append(cresset.ones(1))
    values += [cresset.ones(4)]
    values[1] = cresset.ones(2)
    assert [len(value) for value in values] == [2, 2, 1, 4]
    assert list(values.state_dict()) == ["0", "2", "3", "1"]
    assert len(values[1:3]) == 2
    with pytest.raises(IndexError):
        values[4]
    named = nn.ParameterDict({"a": cresset.zeros(1), "b": 5})
    named["c"] = cresset.ones(1)
    assert list(named.state_dict()) == ["a", "c"]
    assert named.get("missing") is None
    assert named.setdefault("d", cresset.ones(1)) is named["d"]
    assert isinstance(named.pop("a"), nn.Parameter)
    assert list(named.keys()) == ["b", "c", "d"]
    assert list((named | {"e": 1}).keys()) == ["b", "c", "d", "e"]
    with pytest.raises(KeyError):
        named["a"]


def test_parameter():
    data = cresset.zeros(2)
    parameter = nn.Parameter(data)
    assert isinstance(parameter, cresset.Tensor)
    assert parameter.requires_grad
    assert parameter.is_leaf
    data[0] = 3
    assert parameter.tolist() == [3.0, 0.0]
    assert repr(parameter).startswith("Parameter containing:\n")
    assert not isinstance(parameter + 1, nn.Parameter)
    with cresset.no_grad():
        assert nn.Parameter(data).requires_grad
    assert nn.Parameter().numel() == 0
    copied = copy.deepcopy(parameter)
    assert isinstance(copied, nn.Parameter)
    assert copied.tolist() == parameter.tolist()
    assert nn.Parameter(cresset.zeros(1, dtype=cresset.int64), requires_grad=False).sum() == 0


def test_clipping_and_flattening():
    a = nn.Parameter(cresset.tensor([3.0]))
    b = nn.Parameter(cresset.tensor([4.0]))
    (a * 3 + b * 4).sum().backward()
    assert nn.utils.clip_grad_norm_([a, b], 1.0).item() == pytest.approx(5)
    numpy.testing.assert_allclose([a.grad.item(), b.grad.item()], [0.6, 0.8], rtol=1e-5)
    nn.utils.clip_grad_value_([a, b], 0.7)
    numpy.testing.assert_allclose([a.grad.item(), b.grad.item()], [0.6, 0.7], rtol=1e-5)
    vector = nn.utils.parameters_to_vector([a, b])
    assert vector.tolist() == [3.0, 4.0]
    nn.utils.vector_to_parameters(cresset.tensor([5.0, 6.0]), [a, b])
    assert (a.item(), b.item()) == (5.0, 6.0)
    a.grad.fill_(float("inf"))
    with pytest.raises(RuntimeError, match="inf"):
        nn.utils.clip_grad_norm_([a], 1.0, error_if_nonfinite=True)


def test_pad_sequence():
    sequences = [cresset.ones(2, 1), cresset.ones(3, 1)]
    assert nn.utils.rnn.pad_sequence(sequences).shape == (3, 2, 1)
    left = nn.utils.rnn.pad_sequence(sequences, True, 9.0, "left")
    assert left[0, :, 0].tolist() == [9.0, 1.0, 1.0]


@pytest.mark.parametrize("value", [-0.0, 0.0, -0.0, 3, True, 2.5])
def test_padding_keeps_the_sign_of_zero(value):
    padded = nn.functional.pad(cresset.ones(1, dtype=cresset.float64), (1, 1), value=value)
    assert [str(x) for x in padded.tolist()] == [str(float(value)), "1.0", str(float(value))]


def test_complex_numbers_are_padded():
    padded = nn.functional.pad(cresset.ones(1, dtype=cresset.complex64), (0, 1), value=2 - 1j)
    assert padded.tolist() == [1, 2 - 1j]
    x = cresset.ones(2, dtype=cresset.complex128, requires_grad=True)
    nn.functional.pad(x, (1, -1), value=1j).abs().sum().backward()
    assert x.grad.tolist() == [1, 0]
    with pytest.raises(RuntimeError, match="pad"):
        nn.functional.pad(cresset.ones(1), (0, 1), value=1j)
