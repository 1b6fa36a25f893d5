"""`compile`: a compiled function does what the function does, call after call, to the bit."""

import math
from types import SimpleNamespace

import pytest
from compiling import leaf, plays, training_step

import cresset
from cresset import nn

FACTOR = 2.0
CONFIG = {"scale": 3.0}


# --- results --------------------------------------------------------------------------------------
def test_a_function_is_played_from_the_third_call_on():
    compiled = cresset.compile(lambda x: (x * 2).exp().sum(0))
    for k in range(5):
        x = cresset.full((3, 4), float(k))
        assert cresset.equal(compiled(x), (x * 2).exp().sum(0))
    assert plays(compiled) == 3


def test_results_do_not_share_memory():
    compiled = cresset.compile(lambda x: x + 1)
    results = [compiled(cresset.full((3,), float(k))) for k in range(5)]
    assert [r[0].item() for r in results] == [1, 2, 3, 4, 5]


def test_nested_containers():
    def function(pair, options):
        a, (b, c) = pair
        return {"sum": a + b, "rest": [c * options["k"], None, "text", (a,)]}

    compiled = cresset.compile(function)
    for k in range(4):
        a, b, c = (cresset.full((2,), float(k + j)) for j in range(3))
        result = compiled((a, [b, c]), {"k": 3})
        assert result["sum"].tolist() == [2 * k + 1] * 2
        assert result["rest"][0].tolist() == [3 * (k + 2)] * 2
        assert result["rest"][1:3] == [None, "text"]
        assert result["rest"][3][0] is a
    assert plays(compiled)


def test_views_are_returned_as_views():
    compiled = cresset.compile(lambda x: ((x * 2).t(), x[1:]))
    for k in range(4):
        x = cresset.arange(6.0).reshape(2, 3) + k
        transposed, rest = compiled(x)
        assert transposed.stride() == (1, 3)
        assert transposed.tolist() == (x * 2).t().tolist()
        rest.zero_()
        assert x[1].tolist() == [0, 0, 0]
    assert plays(compiled)


def test_arguments_with_other_layouts_are_recorded_anew():
    compiled = cresset.compile(lambda x: x.sum(-1))
    for shape in [(2, 3)] * 3 + [(4, 3)] * 3 + [(2, 3)] * 2:
        x = cresset.ones(shape)
        assert compiled(x).tolist() == [3] * shape[0]
        assert compiled(x.t().contiguous().t()).tolist() == [3] * shape[0]
        assert compiled(x.double()).dtype is cresset.float64
    assert len(compiled._variants) == 6


def test_constants_of_the_recording():
    compiled = cresset.compile(lambda x: x * cresset.tensor([1.0, 2.0]) + cresset.arange(2))
    for k in range(4):
        assert compiled(cresset.full((2,), float(k))).tolist() == [k, 2 * k + 1]
    assert plays(compiled)


# --- state ----------------------------------------------------------------------------------------
def training(compiled, optimizer_of, steps=8, **options):
    """The losses of some steps of training, compiled or not, and the parameters afterwards."""
    cresset.manual_seed(0)
    model = nn.Sequential(
        nn.Linear(6, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.3), nn.Linear(16, 3)
    )
    optimizer = optimizer_of(model.parameters())
    scheduler = cresset.optim.lr_scheduler.StepLR(optimizer, 2, 0.5)
    step = training_step(model, optimizer)
    run = cresset.compile(step) if compiled else step
    losses = []
    for _ in range(steps):
        losses.append(run(cresset.randn(5, 6), cresset.randint(0, 3, (5,))).item())
        scheduler.step()
    if compiled:
        assert plays(run) >= steps - 3
    return losses, model.state_dict(), [p.grad for p in model.parameters()]


OPTIMIZERS = {
    "sgd": lambda p: cresset.optim.SGD(p, lr=0.1),
    "momentum": lambda p: cresset.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.01),
    "adam": lambda p: cresset.optim.Adam(p, lr=0.01),
    "adamw": lambda p: cresset.optim.AdamW(p, lr=0.01, amsgrad=True),
    "rmsprop": lambda p: cresset.optim.RMSprop(p, lr=0.01),
    "adamax": lambda p: cresset.optim.Adamax(p, lr=0.01),
    "nadam": lambda p: cresset.optim.NAdam(p, lr=0.01),
    "radam": lambda p: cresset.optim.RAdam(p, lr=0.01),
    "rprop": lambda p: cresset.optim.Rprop(p, lr=0.01),
    "asgd": lambda p: cresset.optim.ASGD(p, lr=0.01, t0=3),
    "adafactor": lambda p: cresset.optim.Adafactor(p, lr=0.1),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_training_steps(name):
    """Batch statistics, random masks, counts of steps and a schedule go on as they would."""
    losses, state, gradients = training(False, OPTIMIZERS[name])
    own_losses, own_state, own_gradients = training(True, OPTIMIZERS[name])
    assert own_losses == losses
    for key, value in state.items():
        assert cresset.equal(own_state[key], value), key
    assert all(map(cresset.equal, own_gradients, gradients))


def test_closures_of_a_step():
    """A minimiser calls what was compiled as often as it likes."""

    def train(wrap):
        cresset.manual_seed(0)
        model, x, y = nn.Linear(4, 1), cresset.randn(16, 4), cresset.randn(16, 1)
        optimizer = cresset.optim.LBFGS(model.parameters(), line_search_fn="strong_wolfe")

        @wrap
        def closure():
            optimizer.zero_grad()
            loss = (model(x).tanh() - y).square().mean()
            loss.backward()
            return loss

        return [optimizer.step(closure).item() for _ in range(3)], model.weight.tolist(), closure

    *expected, _ = train(lambda function: function)
    *found, compiled = train(cresset.compile)
    assert found == expected
    assert plays(compiled)


def test_gradients_accumulate_without_zero_grad():
    w, compiled = leaf(1.0, 2.0), cresset.compile(lambda x: (w * x).sum().backward())
    for k in range(1, 7):
        compiled(cresset.ones(2))
        assert w.grad.tolist() == [k, k]
    assert plays(compiled)
    w.grad = None
    compiled(cresset.ones(2))
    assert w.grad.tolist() == [1, 1]


def test_arguments_and_state_are_written():
    counts = cresset.zeros(3)

    def function(x):
        counts.add_(x)
        x.mul_(2)
        return counts.clone()

    compiled = cresset.compile(function)
    for k in range(1, 6):
        x = cresset.ones(3)
        assert compiled(x).tolist() == [k] * 3
        assert x.tolist() == [2] * 3
        assert x._version == 1
    assert plays(compiled)


def test_the_random_stream_goes_on():
    compiled = cresset.compile(lambda x: nn.functional.dropout(x, 0.5) + cresset.rand(3))
    results = []
    for function in (compiled.function, compiled):
        cresset.manual_seed(1)
        results.append([function(cresset.ones(3)).tolist() for _ in range(5)])
    assert results[0] == results[1]
    assert plays(compiled)


def test_random_numbers_that_nobody_reads_are_drawn():
    def function(x):
        cresset.rand(3)
        return x + cresset.rand(3)

    compiled, results = cresset.compile(function), []
    for call in (function, compiled):
        cresset.manual_seed(1)
        results.append([call(cresset.zeros(3)).tolist() for _ in range(5)])
    assert results[0] == results[1]
    assert plays(compiled)


def test_replaced_memory_of_a_parameter_is_seen():
    w = leaf(1.0, 2.0)
    compiled = cresset.compile(lambda x: (w.detach() * x).sum())
    for k in range(5):
        w.data = cresset.full((2,), float(k))
        assert compiled(cresset.ones(2)).item() == 2 * k
    assert plays(compiled)


def test_aliased_arguments():
    def function(x, y):
        x.add_(1)
        return y * 2

    compiled = cresset.compile(function)
    for _ in range(4):
        assert compiled(cresset.zeros(2), cresset.zeros(2)).tolist() == [0, 0]
    for _ in range(4):
        x = cresset.zeros(2)
        assert compiled(x, x).tolist() == [2, 2]
        whole = cresset.zeros(3)
        assert compiled(whole[:2], whole[1:]).tolist() == [2, 0]
    assert plays(compiled) >= 4


# --- what Python holds ----------------------------------------------------------------------------
def test_a_global_that_changes(monkeypatch):
    compiled = cresset.compile(lambda x: x * FACTOR)
    for factor in (2.0, 2.0, 2.0, 5.0, 5.0, 5.0, 2.0):
        monkeypatch.setitem(globals(), "FACTOR", factor)
        assert compiled(cresset.ones(1)).item() == factor
    assert plays(compiled)


def test_an_entry_of_a_container_that_changes(monkeypatch):
    compiled = cresset.compile(lambda x: x * CONFIG["scale"])
    for scale in (3.0, 3.0, 3.0, 4.0, 4.0):
        monkeypatch.setitem(CONFIG, "scale", scale)
        assert compiled(cresset.ones(1)).item() == scale
    assert plays(compiled)


def test_a_variable_of_an_enclosing_function_that_changes():
    factor = 2.0
    compiled = cresset.compile(lambda x: x * factor)
    for factor in (2.0, 2.0, 2.0, 5.0, 5.0, 2.0):  # noqa: B007
        assert compiled(cresset.ones(1)).item() == factor
    assert plays(compiled)


def test_attributes_that_change():
    options = SimpleNamespace(scale=1.0, inner=SimpleNamespace(shift=0.0), parts=[1.0, 2.0])

    def function(x):
        for part in options.parts:
            x = x + part
        return x * options.scale + options.inner.shift

    compiled = cresset.compile(function)

    def check():
        for _ in range(3):
            assert cresset.equal(compiled(cresset.ones(2)), function(cresset.ones(2)))

    check()
    assert plays(compiled) == 1
    for change in (
        lambda: setattr(options, "scale", 2.0),
        lambda: setattr(options.inner, "shift", 1.0),
        lambda: setattr(options, "inner", SimpleNamespace(shift=5.0)),
        lambda: options.parts.append(3.0),
        lambda: options.parts.__setitem__(0, 7.0),
    ):
        change()
        check()


@pytest.mark.parametrize("first, then", [
    (2, 3), (2, 2.0), (1, True), ("relu", "exp"), (True, False), (None, 1), (2.5, math.inf),
])
def test_plain_arguments_that_change(first, then):
    def function(x, how):
        if isinstance(how, str):
            return getattr(x, how)()
        return x * (type(how).__name__ == "int") + (0 if how is None else how)

    compiled = cresset.compile(function)
    for how in (first,) * 3 + (then,) * 3 + (first,):
        assert cresset.equal(compiled(cresset.ones(2), how), function(cresset.ones(2), how))
    assert plays(compiled)


def test_modules_that_change():
    model = nn.Sequential(nn.Linear(3, 3), nn.Dropout(0.5))
    compiled = cresset.compile(model)
    x = cresset.ones(2, 3)

    def check():
        for _ in range(3):
            cresset.manual_seed(3)
            expected = model(x)
            cresset.manual_seed(3)
            assert cresset.equal(compiled(x), expected)

    with cresset.no_grad():
        check()
        assert plays(compiled) == 1
        for change in (
            model.eval,
            model.train,
            lambda: setattr(model[1], "p", 0.25),
            lambda: setattr(model, "0", nn.Linear(3, 3)),
            lambda: setattr(model[0], "weight", nn.Parameter(cresset.ones(3, 3))),
            lambda: setattr(model[0], "bias", None),
            lambda: model.append(nn.ReLU()),
            lambda: model[0].register_forward_hook(lambda module, args, out: out + 1),
        ):
            change()
            check()
    assert isinstance(compiled, nn.Sequential)
    assert len(compiled) == 3 and compiled[1] is model[1]
    compiled.training = False
    assert not model.training
    whole = nn.Sequential(compiled, nn.ReLU())
    assert whole.state_dict().keys() == {f"0.{key}" for key in model.state_dict()}


def test_gradient_mode_is_part_of_a_call():
    w = leaf(1.0)
    compiled = cresset.compile(lambda x: (w * x).detach())
    for _ in range(3):
        compiled(cresset.ones(1))
        with cresset.no_grad():
            assert not compiled(cresset.ones(1)).requires_grad


def test_methods():
    class Scale:
        def __init__(self, factor):
            self.factor = factor

        @cresset.compile
        def __call__(self, x):
            return x * self.factor

    two, three = Scale(2.0), Scale(3.0)
    for _ in range(4):
        assert Scale.__call__(two, cresset.ones(1)).item() == 2
        assert Scale.__call__(three, cresset.ones(1)).item() == 3


# --- going backward from outside ------------------------------------------------------------------
def trained(compiled, steps=6):
    """Losses and parameters of a model that is compiled alone, in a loop that is not."""
    cresset.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Dropout(0.2), nn.Linear(8, 2))
    call = cresset.compile(model) if compiled else model
    optimizer = cresset.optim.Adam(model.parameters(), lr=0.05)
    losses = []
    for _ in range(steps):
        loss = nn.functional.mse_loss(call(cresset.randn(3, 4)), cresset.ones(3, 2))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    if compiled:
        assert plays(call) == steps - 2, call.explain()
    return losses, [p.detach().clone() for p in model.parameters()]


def test_a_compiled_model_is_trained():
    losses, parameters = trained(False)
    own_losses, own_parameters = trained(True)
    assert own_losses == losses
    assert all(map(cresset.equal, own_parameters, parameters))


def test_several_results_and_leaves_among_the_arguments():
    w = leaf(1.0, 2.0)

    def function(x, y):
        return x * w, (y * x).sum(), y.detach()

    compiled = cresset.compile(function)
    for call in (function, compiled, compiled, compiled, compiled):
        x, y = leaf(3.0, 4.0), cresset.tensor([5.0, 6.0])
        w.grad = None
        first, second, third = call(x, y)
        assert not third.requires_grad
        (first.sum() * 2 + second).backward()
        assert x.grad.tolist() == [7, 10]
        assert w.grad.tolist() == [6, 8]
        (only,) = cresset.autograd.grad(call(x, y)[0].sum(), w)
        assert only.tolist() == [3, 4]
    assert plays(compiled)


def test_going_backward_twice_or_too_late():
    w = leaf(2.0)
    compiled = cresset.compile(lambda x: (w * w * x).sum())
    for _ in range(3):
        out = compiled(cresset.ones(1))
    out.backward(retain_graph=True)
    out.backward()
    assert w.grad.tolist() == [8]
    with pytest.raises(RuntimeError, match="a second time"):
        out.backward()
    out = compiled(cresset.ones(1))
    with cresset.no_grad():
        w.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        out.backward()
    with pytest.raises(NotImplementedError, match="create_graph"):
        cresset.autograd.grad(compiled(cresset.ones(1)), w, create_graph=True)


def test_freezing_a_parameter_is_seen():
    v, w = leaf(2.0), leaf(3.0)
    compiled = cresset.compile(lambda x: v * w * x)
    for _ in range(3):
        compiled(cresset.ones(1)).backward()
    v.grad = w.grad = None
    v.requires_grad_(False)
    for k in range(1, 4):
        compiled(cresset.ones(1)).backward()
        assert v.grad is None
        assert w.grad.tolist() == [2 * k]


def test_arguments_that_are_results():
    w = leaf(2.0)
    compiled = cresset.compile(lambda x: x * 3)
    for _ in range(4):
        w.grad = None
        compiled(w * 2).backward()
        assert w.grad.tolist() == [6]


# --- elements that decide -------------------------------------------------------------------------
def test_elements_decide():
    compiled = cresset.compile(lambda x: x * 2 if x.sum() > 0 else x - 1)
    for k in (1.0, 1.0, 1.0, -1.0, -1.0, 1.0, -1.0, 1.0):
        assert compiled(cresset.full((1,), k)).item() == (2 if k > 0 else -2)
    assert len(compiled._variants) == 2
    assert plays(compiled) == 5
    assert "where False is seen (" in compiled.explain()
    assert "since an element by which it decides changed" in compiled.explain()


def test_elements_decide_after_random_numbers_were_drawn():
    def function(x):
        noise = cresset.rand(4)
        if (x + noise).sum() > 2:
            return x + noise + cresset.randn(2, 4)
        return x - noise

    compiled = cresset.compile(function)
    calls = [cresset.full((4,), k / 20) for k in range(-3, 4)] * 6
    cresset.manual_seed(0)
    expected = [function(x) for x in calls]
    cresset.manual_seed(0)
    assert all(map(cresset.equal, map(compiled, calls), expected))
    assert plays(compiled) > 30


def test_elements_decide_after_something_was_written():
    def made():
        norm, seen = nn.BatchNorm1d(3), cresset.zeros(3)

        def function(x):
            out = norm(x)
            seen[1:].add_(out.detach().sum(0)[1:])
            if norm.running_mean.sum() > x.mean():
                seen.mul_(0.5)
                out = out * 2
            return out, seen.clone(), norm.running_mean.clone(), norm.num_batches_tracked.clone()

        return function

    compiled, immediate = cresset.compile(made()), made()
    played = 0
    for k in range(40):
        x = cresset.randn(5, 3) + k % 3
        assert all(map(cresset.equal, compiled(x), immediate(x)))
        played = plays(compiled)
    assert played > 20


def test_loops_whose_length_elements_decide():
    def function(x):
        count = 0
        while (x > 1).any():
            x = x / 2
            count += 1
        return x, count

    compiled = cresset.compile(function)
    for start in (3.0, 3.0, 3.0, 9.0, 9.0, 0.5, 0.5, 3.0, 9.0):
        x = cresset.full((2,), start)
        own, expected = compiled(x), function(x)
        assert cresset.equal(own[0], expected[0])
        assert own[1] == expected[1]
    assert len(compiled._variants) == 3
    assert plays(compiled) == 5


def test_a_step_is_left_out_where_the_loss_is_not_finite():
    w = leaf(1.0)
    optimizer = cresset.optim.SGD([w], lr=0.5)

    def step(x):
        optimizer.zero_grad()
        loss = (w * x).sum()
        loss.backward()
        if cresset.isfinite(loss):
            optimizer.step()
        return loss

    compiled = cresset.compile(step)
    expected = 1.0
    for value in (1.0, 1.0, 1.0, math.inf, math.inf, 1.0, math.inf, 1.0):
        compiled(cresset.tensor([value]))
        expected -= 0.5 * (value == 1.0)
        assert w.item() == expected
        assert w.grad.item() == value
    assert plays(compiled) >= 4


# --- memory ---------------------------------------------------------------------------------------
def test_memory_plan():
    def function(x):
        for _ in range(10):
            x = (x * 2).cumsum(0)
        return x.sum()

    compiled = cresset.compile(function)
    for _ in range(3):
        compiled(cresset.ones(1000))
    (part,) = compiled._variants[0].replay.segments
    # Of twenty results two live at once, and what the operations need for themselves.
    assert 8000 <= part.peak <= 5 * 4096
    assert sum(nbytes for nbytes, _ in part.held) <= part.peak
    plan = compiled.memory_plan()
    assert "   program 1: makes 4 bytes; a block of " in plan
    assert "4,000  test_compile.py:" in plan
