"""Optimizers and schedules: PyTorch's numbers, state dictionaries, texts and errors."""

import copy
import itertools
import pickle

import numpy
import pytest

import cresset
from cresset import nn, optim
from cresset.optim import lr_scheduler

START = [
    numpy.random.default_rng(1).standard_normal(shape).astype(numpy.float32)
    for shape in ((3, 4), (5,), (2,))
]

SETTINGS = [
    ("SGD", {"lr": 0.1}),
    ("SGD", {"lr": 0.1, "weight_decay": 0.1, "maximize": True}),
    ("SGD", {"lr": 0.1, "momentum": 0.9}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "dampening": 0.3, "weight_decay": 0.1}),
    *(
        (name, {"lr": 0.1, "weight_decay": decay, "amsgrad": amsgrad, "maximize": maximize})
        for name in ("Adam", "AdamW")
        for decay in (0, 0.1)
        for amsgrad, maximize in ((False, False), (True, False), (False, True))
    ),
    *(
        ("RMSprop", {"lr": 0.01, "momentum": momentum, "centered": centered, "weight_decay": 0.1})
        for momentum in (0, 0.5)
        for centered in (False, True)
    ),
    ("RMSprop", {}),
    ("Adagrad", {"lr": 0.1, "lr_decay": 0.1, "initial_accumulator_value": 0.2}),
    ("Adagrad", {"lr": 0.1, "weight_decay": 0.1}),
    ("Adadelta", {}),
    ("Adadelta", {"lr": 0.5, "rho": 0.8, "weight_decay": 0.1, "maximize": True}),
    ("Adamax", {}),
    ("Adamax", {"lr": 0.1, "betas": (0.8, 0.9), "weight_decay": 0.1, "maximize": True}),
    ("NAdam", {}),
    *(
        (name, {"lr": 0.1, "weight_decay": 0.1, "decoupled_weight_decay": decoupled, **others})
        for name, others in (("NAdam", {"momentum_decay": 0.1}), ("RAdam", {"betas": (0.8, 0.9)}))
        for decoupled in (False, True)
    ),
    ("NAdam", {"betas": (0.8, 0.9), "eps": 1e-3, "maximize": True}),
    ("RAdam", {}),
    ("RAdam", {"betas": (0.8, 0.9), "eps": 1e-3, "maximize": True}),
    ("Rprop", {}),
    ("Rprop", {"lr": 0.3, "etas": (0.4, 1.5), "step_sizes": (0.1, 0.4)}),
    ("Rprop", {"lr": 0.1, "maximize": True}),
    ("ASGD", {}),
    ("ASGD", {"lr": 0.1, "lambd": 0.1, "alpha": 0.5, "t0": 2, "weight_decay": 0.1}),
    ("ASGD", {"lr": 0.1, "t0": 0, "maximize": True}),
    ("Adafactor", {}),
    ("Adafactor", {"lr": 0.5, "beta2_decay": -0.5, "d": 2.0, "weight_decay": 0.1}),
    ("Adafactor", {"lr": 0.5, "eps": (0.3, 0.01), "maximize": True}),
]


def made(library, name, settings, groups):
    """Parameters and an optimizer over them, in one group or in two with their own rates."""
    params = [library.from_numpy(array.copy()).requires_grad_() for array in START]
    lots = [{"params": params[:1]}, {"params": params[1:], "lr": 0.05}] if groups else params
    return params, getattr(library.optim, name)(lots, **settings)


def train(library, params, optimizer, steps=9):
    """Some steps; the last parameter has no gradient in every third."""
    for number in range(steps):
        optimizer.zero_grad()
        loss = (params[0] * params[0].sin()).sum() + (params[1] * params[1] * params[1]).sum() * 0.1
        if number % 3 != 1:
            loss = loss + (params[2] * params[2]).sum()
        loss.backward()
        optimizer.step()


def values(tensor):
    return tensor.detach().numpy()


def translated(value, library):
    """A state dictionary with its tensors made another library's."""
    if isinstance(value, dict):
        return {key: translated(entry, library) for key, entry in value.items()}
    if isinstance(value, list):
        return [translated(entry, library) for entry in value]
    if hasattr(value, "numpy"):
        return library.from_numpy(numpy.array(values(value)))
    return value


def assert_same_state(ours, theirs):
    assert ours["param_groups"] == theirs["param_groups"]
    assert list(ours["state"]) == list(theirs["state"])
    for number, entry in ours["state"].items():
        assert list(entry) == list(theirs["state"][number])
        for name, value in entry.items():
            expected = values(theirs["state"][number][name])
            assert values(value).dtype == expected.dtype
            numpy.testing.assert_allclose(values(value), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("groups", [False, True], ids=["one group", "two groups"])
@pytest.mark.parametrize(("name", "settings"), SETTINGS)
def test_as_pytorch(torch, name, settings, groups):
    params, optimizer = made(cresset, name, settings, groups)
    their_params, theirs = made(torch, name, settings, groups)
    assert repr(optimizer) == repr(theirs)
    train(cresset, params, optimizer)
    train(torch, their_params, theirs)
    for ours, other in zip(params, their_params):
        numpy.testing.assert_allclose(values(ours), values(other), rtol=1e-5, atol=1e-5)
    state, their_state = optimizer.state_dict(), theirs.state_dict()
    assert_same_state(state, their_state)
    # PyTorch's state goes on here as it would there.
    optimizer.load_state_dict(translated(copy.deepcopy(their_state), cresset))
    train(cresset, params, optimizer, 2)
    train(torch, their_params, theirs, 2)
    assert_same_state(optimizer.state_dict(), theirs.state_dict())


COMPLEX = [
    ("Adagrad", {"lr": 0.1, "initial_accumulator_value": 0.2}),
    *((name, {"lr": 0.1}) for name in ("Adam", "Adamax", "NAdam", "RAdam", "Rprop", "ASGD")),
]


@pytest.mark.parametrize(("name", "settings"), COMPLEX)
def test_complex_parameters_as_pytorch(torch, name, settings):
    start = (START[0] + 1j * START[0][::-1]).astype(numpy.complex64)

    def trained(library):
        p = library.from_numpy(start.copy()).requires_grad_()
        optimizer = getattr(library.optim, name)([p], **settings)
        for _ in range(7):
            optimizer.zero_grad()
            (p - (1 - 2j)).abs().sum().backward()
            optimizer.step()
        return values(p), optimizer.state_dict()

    (ours, state), (theirs, their_state) = trained(cresset), trained(torch)
    numpy.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)
    assert_same_state(state, their_state)


def test_adafactor_refuses_complex_parameters():
    p = cresset.zeros(2, dtype=cresset.complex64).requires_grad_()
    p.grad = cresset.ones(2, dtype=cresset.complex64)
    with pytest.raises(RuntimeError, match="does not support complex parameters"):
        optim.Adafactor([p]).step()


@pytest.mark.parametrize("name", ["NAdam", "ASGD"])
def test_numbers_of_parameters_stay_their_own(torch, name):
    """They depend on the rates while a parameter had gradients, so equal counts are not enough."""

    def trained(library):
        params = [library.from_numpy(START[1].copy()).requires_grad_() for _ in range(3)]
        optimizer = getattr(library.optim, name)(params, lr=0.1)
        for number in range(8):
            group = optimizer.param_groups[0]
            group["lr"] = 0.1 / (1 + number)
            if name == "NAdam":
                group["betas"] = (0.9 - 0.1 * number, 0.99)
            for k, p in enumerate(params):
                p.grad = p.detach() * 2 if (number + k) % 3 else None
            optimizer.step()
        return [values(p) for p in params]

    for ours, theirs in zip(trained(cresset), trained(torch)):
        numpy.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


MINIMISERS = [
    {},
    {"lr": 0.3, "max_iter": 4},
    {"lr": 0.5, "history_size": 2, "max_iter": 8},
    {"line_search_fn": "strong_wolfe"},
    {"line_search_fn": "strong_wolfe", "max_iter": 5, "history_size": 3},
    {"line_search_fn": "strong_wolfe", "lr": 0.01, "max_iter": 6, "max_eval": 9},
    {"line_search_fn": "strong_wolfe", "lr": 40.0, "max_iter": 3},
    {"line_search_fn": "strong_wolfe", "tolerance_grad": 0.1, "tolerance_change": 1e-3},
]


def banana(library, settings, reload_at=None, kind="float64"):
    """Some steps over Rosenbrock's valley; the last parameter has no gradient."""
    start = [numpy.array([[-1.2, 1.0]]), numpy.array([0.7, 0.3, -0.4]), numpy.array([1.0])]
    params = [library.from_numpy(array.astype(kind)).requires_grad_() for array in start]
    optimizer = library.optim.LBFGS(params, **settings)
    calls = [0]

    def closure():
        calls[0] += 1
        optimizer.zero_grad()
        x = library.cat([params[0].view(-1), params[1]])
        loss = (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()
        loss.backward()
        return loss

    losses = []
    for number in range(4):
        losses.append(optimizer.step(closure).item())
        if number == reload_at:
            saved = copy.deepcopy(optimizer.state_dict())
            optimizer = library.optim.LBFGS(params, **settings)
            optimizer.load_state_dict(saved)
    return losses, [values(p) for p in params], calls, optimizer.state_dict()


@pytest.mark.parametrize("settings", MINIMISERS)
def test_lbfgs_as_pytorch(torch, settings):
    expected, their_params, their_calls, theirs = banana(torch, settings)
    for reload_at in (None, 1):
        losses, params, calls, state = banana(cresset, settings, reload_at)
        numpy.testing.assert_allclose(losses, expected, rtol=1e-5)
        assert calls == their_calls
        for ours, other in zip(params, their_params):
            numpy.testing.assert_allclose(ours, other, rtol=1e-5, atol=1e-8)
        state, their_state = state["state"][0], theirs["state"][0]
        # "al" is what a step computes with.
        assert set(state) == set(their_state) - {"al"}
        assert state["func_evals"] == their_state["func_evals"]
        assert state["n_iter"] == their_state["n_iter"]
        for name in ("d", "prev_flat_grad", "H_diag", "t", "ro"):
            numpy.testing.assert_allclose(
                numpy.asarray(state[name]), numpy.asarray(their_state[name]), rtol=1e-2, atol=1e-9
            )


def test_lbfgs_goes_on_with_what_pytorch_saved(torch):
    settings = {"line_search_fn": "strong_wolfe", "max_iter": 4}
    _, params, _, state = banana(torch, settings)
    p = cresset.from_numpy(params[0]).requires_grad_()
    optimizer = optim.LBFGS([p, *(cresset.from_numpy(x).requires_grad_() for x in params[1:])])
    optimizer.load_state_dict(translated(state, cresset))
    before = optimizer.state[p]["n_iter"]

    def closure():
        optimizer.zero_grad()
        loss = (p * p).sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    assert optimizer.state[p]["n_iter"] > before


def test_lbfgs_finds_a_minimum_of_complex_parameters():
    z = cresset.tensor([3.0 - 2.0j, 1.0j]).requires_grad_()
    optimizer = optim.LBFGS([z], line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        loss = (z - (1 + 2j)).abs().square().sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    numpy.testing.assert_allclose(values(z), [1 + 2j, 1 + 2j], atol=1e-5)


@pytest.mark.parametrize("loss_of", [
    lambda p: p.sum(),
    lambda p: (p * 0).sum(),
    lambda p: p.log().sum(),
    lambda p: (p * cresset.inf).sum(),
    lambda p: (p * 1e30).square().sum(),
    lambda p: p.abs().sqrt().sum(),
])
@pytest.mark.parametrize("rate", [0.0, 1.0, 1e10])
def test_line_search_survives_any_loss(loss_of, rate):
    """It ends, whether or not there is a minimum to be found."""
    p = cresset.tensor([0.5, 0.0]).requires_grad_()
    optimizer = optim.LBFGS([p], lr=rate, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        loss = loss_of(p)
        loss.backward()
        return loss

    optimizer.step(closure)
    assert optimizer.state[p]["func_evals"] <= 26


def test_sgd_against_numpy():
    for momentum, nesterov, decay in itertools.product((0, 0.9), (False, True), (0, 0.1)):
        if nesterov and not momentum:
            continue
        p = cresset.from_numpy(START[0].copy()).requires_grad_()
        optimizer = optim.SGD([p], 0.1, momentum, weight_decay=decay, nesterov=nesterov)
        expected, velocity = START[0].copy(), 0
        for _ in range(4):
            optimizer.zero_grad()
            (p * p).sum().backward()
            optimizer.step()
            gradient = 2 * expected + decay * expected
            velocity = momentum * velocity + gradient
            expected = expected - 0.1 * (gradient + momentum * velocity if nesterov else velocity)
        numpy.testing.assert_allclose(values(p), expected, rtol=1e-5)


def test_adam_against_numpy():
    p = cresset.from_numpy(START[0].copy()).requires_grad_()
    optimizer = optim.Adam([p], 0.1)
    expected, m, v = START[0].astype(float), 0, 0
    for step in range(1, 6):
        optimizer.zero_grad()
        (p * p).sum().backward()
        optimizer.step()
        gradient = 2 * expected
        m = 0.9 * m + 0.1 * gradient
        v = 0.999 * v + 0.001 * gradient**2
        size = numpy.sqrt(v / (1 - 0.999**step)) + 1e-8
        expected = expected - 0.1 * m / (1 - 0.9**step) / size
    numpy.testing.assert_allclose(values(p), expected, rtol=1e-4)


def test_float64_and_mixed_groups():
    params = [cresset.ones(3, dtype=cresset.float64), cresset.ones(3, dtype=cresset.float64)]
    for p in params:
        p.requires_grad_()
        (p * p).sum().backward()
    optim.AdamW(params, lr=0.5).step()
    for p in params:
        assert p.dtype is cresset.float64
        numpy.testing.assert_allclose(values(p), 1 - 0.5 * 0.01 - 0.5, rtol=1e-7)


def test_transposed_parameters_and_gradients():
    p = cresset.from_numpy(START[0].copy()).t().requires_grad_()
    p.grad = cresset.from_numpy(numpy.ascontiguousarray(START[0].T))
    optimizer = optim.SGD([p], lr=1.0, momentum=0.5)
    optimizer.step()
    numpy.testing.assert_allclose(values(p), 0, atol=1e-7)
    optimizer.step()
    numpy.testing.assert_allclose(values(p), -1.5 * START[0].T, rtol=1e-6)


def test_a_step_writes_in_place_and_costs_no_history():
    layer = nn.Linear(2, 2)
    weight = layer.weight
    layer(cresset.ones(1, 2)).sum().backward()
    optim.Adam(layer.parameters()).step()
    assert layer.weight is weight
    assert weight.is_leaf
    assert weight.requires_grad


def test_zero_grad():
    p = cresset.ones(2).requires_grad_()
    optimizer = optim.SGD([p])
    p.grad = cresset.ones(2)
    optimizer.zero_grad(set_to_none=False)
    assert p.grad.tolist() == [0.0, 0.0]
    optimizer.zero_grad()
    assert p.grad is None
    optimizer.step()
    assert p.tolist() == [1.0, 1.0]


def test_closure():
    p = cresset.ones(1).requires_grad_()
    optimizer = optim.SGD([p], lr=0.25)

    def closure():
        optimizer.zero_grad()
        loss = (p * p).sum()
        loss.backward()
        return loss

    with cresset.no_grad():
        assert optimizer.step(closure).item() == 1.0
    assert p.item() == 0.5


def test_replaced_state_is_used():
    p = cresset.zeros(2).requires_grad_()
    p.grad = cresset.ones(2)
    optimizer = optim.SGD([p], lr=1.0, momentum=1.0)
    optimizer.step()
    optimizer.state[p]["momentum_buffer"] = cresset.full((2,), 9.0)
    optimizer.step()
    assert p.tolist() == [-11.0, -11.0]
    other = cresset.zeros(2).requires_grad_()
    other.grad = cresset.ones(2)
    optimizer.param_groups[0]["params"][0] = other
    optimizer.param_groups[0]["lr"] = 2.0
    optimizer.step()
    assert other.tolist() == [-2.0, -2.0]


P = [cresset.zeros(1).requires_grad_()]


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: optim.SGD([], 0.1), ValueError, "empty parameter list"),
        (lambda: optim.SGD(P[0], 0.1), TypeError, "iterable of Tensors"),
        (lambda: optim.SGD([3], 0.1), TypeError, "can only optimize Tensors"),
        (lambda: optim.SGD([P[0] * 1], 0.1), ValueError, "non-leaf"),
        (lambda: optim.SGD([{"params": P}, {"params": P}]), ValueError, "more than one"),
        (lambda: optim.SGD([{"params": set(P)}]), TypeError, "ordered collections"),
        (lambda: optim.SGD(P, -0.1), ValueError, "Invalid learning rate: -0.1"),
        (lambda: optim.SGD(P, 0.1, -1), ValueError, "Invalid momentum value"),
        (lambda: optim.SGD(P, 0.1, weight_decay=-1), ValueError, "Invalid weight decay value"),
        (lambda: optim.SGD(P, 0.1, nesterov=True), ValueError, "requires a momentum"),
        (lambda: optim.Adam(P, betas=(0.9, 1.0)), ValueError, "beta parameter at index 1"),
        (lambda: optim.Adam(P, eps=-1), ValueError, "Invalid epsilon value"),
        (lambda: optim.NAdam(P, betas=(-1, 0.9)), ValueError, "beta parameter at index 0"),
        (lambda: optim.NAdam(P, momentum_decay=-1), ValueError, "Invalid momentum decay value"),
        (lambda: optim.Rprop(P, etas=(1.1, 1.2)), ValueError, "Invalid eta values: 1.1, 1.2"),
        (lambda: optim.ASGD(P, weight_decay=-1), ValueError, "Invalid weight decay value"),
        (lambda: optim.Adafactor(P, beta2_decay=0.1), ValueError, "beta2_decay should be <= 0"),
        (lambda: optim.Adafactor(P, d=0.5), ValueError, "threshold d should be >= 1"),
        (lambda: optim.Adafactor(P, eps=(-1, 1e-3)), ValueError, "epsilon1"),
        (lambda: optim.LBFGS([{"params": P}, {"params": []}]), ValueError, "parameter groups"),
        (lambda: optim.LBFGS(P, line_search_fn="armijo").step(abs), RuntimeError, "strong_wolfe"),
        (lambda: optim.Adam(P, differentiable=True), NotImplementedError, "differentiable"),
        (lambda: optim.SGD(P).add_param_group(3), TypeError, "must be a dict"),
        (lambda: optim.Optimizer(P, {}).step(), NotImplementedError, "step"),
        (
            lambda: optim.SGD(P).load_state_dict({"state": {}, "param_groups": []}),
            ValueError,
            "different number of parameter groups",
        ),
        (
            lambda: optim.SGD(P).load_state_dict({"state": {}, "param_groups": [{"params": []}]}),
            ValueError,
            "doesn't match the size",
        ),
    ],
)
def test_errors(make, error, text):
    with pytest.raises(error, match=text):
        make()
    with pytest.warns(UserWarning, match="duplicate parameters"):
        optim.SGD([P[0], P[0]], 0.1)


def test_groups_and_names():
    a, b = (cresset.zeros(1).requires_grad_() for _ in range(2))
    optimizer = optim.Adam([("a", a)], lr=0.1)
    with pytest.raises(ValueError, match="names are missing"):
        optimizer.add_param_group({"params": b})
    optimizer.add_param_group({"params": [("b", b)], "lr": 0.2})
    assert [group["lr"] for group in optimizer.param_groups] == [0.1, 0.2]
    assert optimizer.param_groups[1]["betas"] == (0.9, 0.999)
    assert optimizer.state_dict()["param_groups"][1]["params"] == [1]
    assert optimizer.state_dict()["param_groups"][1]["param_names"] == ["b"]


def test_loading_copies():
    first, second = (cresset.ones(2).requires_grad_() for _ in range(2))
    optimizer, other = optim.SGD([first], 0.1, 0.9), optim.SGD([second], 0.1, 0.9)
    first.grad = second.grad = cresset.ones(2)
    optimizer.step()
    state = optimizer.state_dict()
    other.load_state_dict(state)
    other.step()
    assert optimizer.state[first]["momentum_buffer"].tolist() == [1.0, 1.0]
    assert other.state[second]["momentum_buffer"].tolist() == pytest.approx([1.9, 1.9])
    assert state["param_groups"][0]["params"] == [0]


def test_hooks():
    p = cresset.zeros(1).requires_grad_()
    p.grad = cresset.ones(1)
    optimizer = optim.SGD([p], lr=1.0)
    calls = []
    first = optimizer.register_step_pre_hook(lambda opt, args, kwargs: calls.append(p.item()))
    second = optimizer.register_step_post_hook(lambda opt, args, kwargs: calls.append(p.item()))
    optimizer.step()
    assert calls == [0.0, -1.0]
    first.remove()
    second.remove()
    optimizer.step()
    assert calls == [0.0, -1.0]
    assert "step" not in vars(optimizer)
    optimizer.register_state_dict_post_hook(lambda opt, state: {"changed": state})
    assert list(optimizer.state_dict()) == ["changed"]
    optimizer.register_load_state_dict_pre_hook(lambda opt, state: state["changed"])
    optimizer.load_state_dict(optimizer.state_dict())


def test_copies():
    p = cresset.zeros(2).requires_grad_()
    p.grad = cresset.ones(2)
    optimizer = optim.Adam([p])
    optimizer.step()
    for other in (copy.deepcopy(optimizer), pickle.loads(pickle.dumps(optimizer))):
        param = other.param_groups[0]["params"][0]
        assert param is not p
        assert other.state[param]["step"] == 1.0
        other.step()


SCHEDULES = [
    lambda m, o: m.StepLR(o, 3, 0.5),
    lambda m, o: m.MultiStepLR(o, [2, 5, 5]),
    lambda m, o: m.ExponentialLR(o, 0.9),
    lambda m, o: m.CosineAnnealingLR(o, 4, 0.01),
    lambda m, o: m.CosineAnnealingWarmRestarts(o, 2, 2),
    lambda m, o: m.LinearLR(o),
    lambda m, o: m.ConstantLR(o),
    lambda m, o: m.PolynomialLR(o, 7, 2.0),
    lambda m, o: m.LambdaLR(o, lambda epoch: 1 / (1 + epoch)),
    lambda m, o: m.MultiplicativeLR(o, [lambda epoch: 0.9, lambda epoch: 0.8]),
    lambda m, o: m.OneCycleLR(o, 0.3, total_steps=12),
    lambda m, o: m.OneCycleLR(
        o, [0.3, 0.2], epochs=3, steps_per_epoch=4, three_phase=True, anneal_strategy="linear"
    ),
    lambda m, o: m.ReduceLROnPlateau(o, patience=1, cooldown=1),
    lambda m, o: m.ReduceLROnPlateau(o, mode="max", patience=0, threshold_mode="abs"),
    lambda m, o: m.SequentialLR(
        o, [m.LinearLR(o, 0.1, total_iters=3), m.CosineAnnealingLR(o, 8)], [3]
    ),
    lambda m, o: m.SequentialLR(
        o,
        [m.ConstantLR(o, 0.1, total_iters=3), m.ExponentialLR(o, 0.5), m.StepLR(o, 2)],
        [3, 6],
    ),
    lambda m, o: m.ChainedScheduler(
        [m.ConstantLR(o, 0.1, total_iters=3), m.ExponentialLR(o, 0.9)]
    ),
]
METRICS = [5, 4, 4, 4, 3, 3, 6, 6, 6, 6, 2, 2]


def rates(library, make, optimizer, settings, reload_at=None):
    """The rates and momenta of each of 12 epochs; at one of them all is saved and loaded."""
    _, opt = made(library, optimizer, settings, groups=True)
    schedule = make(library.optim.lr_scheduler, opt)
    history = []
    for epoch, metric in enumerate(METRICS):
        opt.step()
        if isinstance(schedule, library.optim.lr_scheduler.ReduceLROnPlateau):
            schedule.step(metric)
        else:
            schedule.step()
        if epoch == reload_at:
            saved = copy.deepcopy((opt.state_dict(), schedule.state_dict()))
            _, opt = made(library, optimizer, settings, groups=True)
            schedule = make(library.optim.lr_scheduler, opt)
            opt.load_state_dict(saved[0])
            schedule.load_state_dict(saved[1])
        assert schedule.get_last_lr() == [group["lr"] for group in opt.param_groups]
        history += [
            (group["lr"], group.get("momentum"), group.get("betas")) for group in opt.param_groups
        ]
    return history


@pytest.mark.parametrize("make", SCHEDULES)
def test_schedules_as_pytorch(torch, make):
    for optimizer, settings in (("SGD", {"lr": 0.1, "momentum": 0.9}), ("Adam", {"lr": 0.1})):
        expected = rates(torch, make, optimizer, settings)
        assert rates(cresset, make, optimizer, settings) == expected
        assert rates(cresset, make, optimizer, settings, reload_at=5) == expected


def test_schedule_without_pytorch():
    optimizer = optim.SGD([cresset.zeros(1).requires_grad_()], lr=1.0)
    schedule = lr_scheduler.StepLR(optimizer, 2)
    seen = []
    for _ in range(5):
        optimizer.step()
        schedule.step()
        seen.append(schedule.get_last_lr()[0])
    assert seen == pytest.approx([1, 0.1, 0.1, 0.01, 0.01])
    assert "step" not in vars(optimizer)


def test_schedule_errors():
    optimizer = optim.Adam([cresset.zeros(1).requires_grad_()], lr=1.0)
    with pytest.raises(TypeError, match="is not an Optimizer"):
        lr_scheduler.StepLR(3, 2)
    with pytest.raises(KeyError, match="initial_lr"):
        lr_scheduler.StepLR(optimizer, 2, last_epoch=3)
    with pytest.raises(ValueError, match="Expected 1 lr_lambdas"):
        lr_scheduler.LambdaLR(optimizer, [abs, abs])
    with pytest.raises(ValueError, match="total_steps OR"):
        lr_scheduler.OneCycleLR(optimizer, 0.1)
    with pytest.raises(ValueError, match="Factor should be < 1.0"):
        lr_scheduler.ReduceLROnPlateau(optimizer, factor=1.0)
    with pytest.raises(ValueError, match="same optimizer"):
        other = optim.Adam([cresset.zeros(1).requires_grad_()])
        lr_scheduler.ChainedScheduler([lr_scheduler.StepLR(other, 1)], optimizer)
    schedule = lr_scheduler.StepLR(optimizer, 2)
    with pytest.warns(UserWarning, match=r"before `optimizer\.step\(\)`"):
        schedule.step()
