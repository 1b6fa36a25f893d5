"""Muon: steps along nearly orthogonal matrices, as PyTorch's but for the rounding of bfloat16."""

import numpy
import pytest

import cresset
from cresset import optim

START = numpy.random.default_rng(1).standard_normal((6, 4)).astype(numpy.float32)
# A direction has elements of 1 at most; in five rounds of bfloat16 they come to differ this much.
ROUNDING = 0.04


def trained(library, start, steps, **settings):
    p = library.from_numpy(start.copy()).requires_grad_()
    optimizer = library.optim.Muon([p], **settings)
    for _ in range(steps):
        optimizer.zero_grad()
        (p * p.sin()).sum().backward()
        optimizer.step()
    return p.detach().numpy(), optimizer


@pytest.mark.parametrize("start", [START, START.T, START[:4]], ids=["tall", "wide", "square"])
@pytest.mark.parametrize("settings", [
    {}, {"nesterov": False, "momentum": 0.5}, {"adjust_lr_fn": "match_rms_adamw"},
    {"ns_steps": 3, "ns_coefficients": (3.0, -3.2, 1.2), "weight_decay": 0.0},
], ids=str)
def test_as_pytorch(start, settings, torch):
    start = numpy.ascontiguousarray(start)
    ours, optimizer = trained(cresset, start, 3, lr=0.1, **settings)
    theirs, other = trained(torch, start, 3, lr=0.1, **settings)
    assert repr(optimizer) == repr(other)
    assert numpy.abs(ours - theirs).max() < 3 * 0.1 * ROUNDING * 1.3
    mine, their = optimizer.state_dict(), other.state_dict()
    assert mine["param_groups"] == their["param_groups"] and [*mine["state"][0]] == [
        *their["state"][0]]


def test_a_step_is_nearly_orthogonal():
    after, _ = trained(cresset, START, 1, lr=1.0, weight_decay=0.0)
    lengths = numpy.linalg.svd((START - after) / numpy.sqrt(6 / 4), compute_uv=False)
    assert lengths.min() > 0.5 and lengths.max() < 1.3


@pytest.mark.parametrize(("shape", "settings", "text"), [
    ((3,), {}, "only supports 2D parameters"),
    ((2, 2), {"lr": -1.0}, "rate"),
    ((2, 2), {"adjust_lr_fn": "other"}, "is not supported"),
])
def test_wrong_settings(shape, settings, text):
    with pytest.raises(ValueError, match=text):
        optim.Muon([cresset.ones(shape, requires_grad=True)], **settings)


@pytest.mark.parametrize("settings", [{"ns_steps": 100}, {"ns_coefficients": (1, 2)}], ids=str)
def test_wrong_iterations(settings):
    with pytest.raises(ValueError):
        trained(cresset, START, 1, **settings)
