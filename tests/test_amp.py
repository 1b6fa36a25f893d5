"""Automatic mixed precision: which types operations choose, and how losses are scaled."""

import threading

import pytest

import cresset
from cresset import nn
from cresset.amp import GradScaler, autocast
from cresset.nn import functional as F


def types_inside(package):
    """The types of results inside of an autocast, by what was called."""
    package.manual_seed(0)
    x, image = package.randn(4, 4), package.randn(1, 2, 5, 5)
    functional = package.nn.functional
    with package.autocast("cpu", dtype=package.bfloat16):
        low = x @ x
        found = {
            "matmul": low, "linear": functional.linear(x, x), "mm": package.mm(x, x),
            "conv2d": functional.conv2d(image, image), "bmm": package.bmm(image[0], image[0]),
            "conv_transpose2d": functional.conv_transpose2d(image, image.transpose(0, 1)),
            "addmm": package.addmm(x, x, x), "double": x.double() @ x.double(),
            "relu": low.relu(), "softmax": low.softmax(-1), "sum": low.sum(), "add": low + x,
            "layer_norm": functional.layer_norm(low, (4,), x[0], x[0]),
            "cross_entropy": functional.cross_entropy(low, package.arange(4)),
            "mse_loss": functional.mse_loss(low, x), "prod": low.prod(),
            "l1_loss": functional.l1_loss(low, x), "cat": package.cat([low, x]),
        }
        with package.autocast("cpu", enabled=False):
            found["disabled"] = x @ x
        found["after"] = x @ x
    found["outside"] = x @ x
    return {name: str(y.dtype).split(".")[-1] for name, y in found.items()}


def test_types_agree_with_pytorch(torch):
    assert types_inside(cresset) == types_inside(torch)


def test_training_keeps_the_parameters_types():
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(),
                          nn.Linear(36, 3))
    x, target = cresset.randn(6, 1, 5, 5), cresset.arange(6) % 3
    optimizer = cresset.optim.SGD(model.parameters(), lr=0.1)
    losses = []
    for _ in range(10):
        with autocast("cpu"):
            out = model(x)
            loss = F.cross_entropy(out, target)
        assert out.dtype is cresset.bfloat16 and loss.dtype is cresset.float32
        optimizer.zero_grad()
        loss.backward()
        assert all(p.grad.dtype is cresset.float32 for p in model.parameters())
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    assert nn.LSTM(3, 4)(cresset.ones(2, 1, 3))[0].dtype is cresset.float32


def test_it_holds_for_its_thread_and_ends():
    found = []
    x = cresset.ones(2, 2)
    with pytest.raises(KeyError), autocast("cpu"):
        thread = threading.Thread(target=lambda: found.append((x @ x).dtype))
        thread.start()
        thread.join()
        assert cresset.is_autocast_enabled("cpu")
        raise KeyError
    assert found == [cresset.float32] and not cresset.is_autocast_enabled("cpu")
    decorated = autocast("cpu", dtype=cresset.float16)(lambda: x @ x)
    assert decorated().dtype is cresset.float16 and (x @ x).dtype is cresset.float32


def test_compiled_functions_take_the_types_of_each_call():
    x = cresset.randn(4, 4)

    @cresset.compile
    def inside(x):
        with autocast("cpu"):
            return x @ x

    outside = cresset.compile(lambda x: x @ x)
    for _ in range(4):
        assert inside(x).dtype is cresset.bfloat16
        for lower in (cresset.bfloat16, cresset.float16):
            with autocast("cpu", dtype=lower):
                assert outside(x).dtype is lower
        assert outside(x).dtype is cresset.float32
    assert cresset.equal(inside(x), x.bfloat16() @ x.bfloat16())
    assert all(variant.plays for variant in outside._variants) and len(outside._variants) == 3


def test_what_is_not_there_warns_and_does_nothing():
    with pytest.warns(UserWarning, match="'cuda', which is not available"), autocast("cuda"):
        assert (cresset.ones(2, 2) @ cresset.ones(2, 2)).dtype is cresset.float32
    with pytest.warns(UserWarning, match="float64 is not supported"):
        autocast("cpu", dtype=cresset.float64)
    with pytest.warns(UserWarning, match="GradScaler: is enabled for cuda"):
        scaler = cresset.cuda.amp.GradScaler()
    assert scaler.scale(3) == 3 and scaler.state_dict() == {} and scaler.get_scale() == 1.0
    with cresset.cuda.amp.autocast(enabled=False):
        pass
    with pytest.raises(ValueError, match="device_type"):
        autocast(None)


def scaled_steps(package):
    package.manual_seed(0)
    w = package.ones(3, requires_grad=True)
    optimizer = package.optim.Adam([w], lr=0.1)
    scaler = package.amp.GradScaler("cpu", init_scale=64.0, growth_interval=2)
    found = []
    for factor in (1.0, 2.0, float("inf"), 1.0, float("nan"), 3.0, 1.0):
        optimizer.zero_grad()
        scaler.scale((w * factor).square().sum()).backward()
        scaler.unscale_(optimizer)
        package.nn.utils.clip_grad_norm_([w], 1.0)
        scaler.step(optimizer)
        scaler.update()
        found += [scaler.get_scale(), *w.tolist()]
    return found, scaler.state_dict()


def test_scaled_steps_agree_with_pytorch(torch):
    (got, state), (expected, reference) = scaled_steps(cresset), scaled_steps(torch)
    assert got == pytest.approx(expected, rel=1e-5) and state == reference


def test_a_scaler_refuses_steps_in_the_wrong_order():
    w = cresset.ones(2, requires_grad=True)
    optimizer, scaler = cresset.optim.SGD([w], lr=0.1), GradScaler("cpu")
    with pytest.raises(AssertionError, match="No inf checks"):
        scaler.update()
    scaler.scale(w.sum()).backward()
    scaler.step(optimizer)
    for again in (scaler.step, scaler.unscale_):
        with pytest.raises(RuntimeError, match="update|after step"):
            again(optimizer)
    scaler.update()
    state = scaler.state_dict()
    other = GradScaler("cpu", init_scale=2.0)
    other.load_state_dict(state)
    assert other.get_scale() == scaler.get_scale()
    with pytest.raises(RuntimeError, match="state dict is empty"):
        other.load_state_dict({})
