"""Activation checkpointing: the gradients of the plain call, with less kept."""

import pytest

import cresset
from cresset import nn
from cresset.utils.checkpoint import checkpoint, checkpoint_sequential


def gradients(model, run, x):
    cresset.manual_seed(0)
    x = x.clone().requires_grad_()
    loss = run(x).square().sum()
    loss.backward()
    found = [x.grad, *(p.grad.clone() for p in model.parameters()), cresset.rand(1)]
    model.zero_grad()
    return [loss.detach(), *found]


@pytest.mark.parametrize("reentrant", (True, False))
def test_gradients_are_those_of_the_plain_call(reentrant):
    model = nn.Sequential(nn.Linear(3, 8), nn.ReLU(inplace=True), nn.Dropout(0.5), nn.Linear(8, 2))
    x = cresset.randn(5, 3)
    plain = gradients(model, model, x)
    for run in (
        lambda x: checkpoint(model, x, use_reentrant=reentrant),
        lambda x: checkpoint_sequential(model, 2, x, use_reentrant=reentrant),
    ):
        for got, expected in zip(gradients(model, run, x), plain, strict=True):
            cresset.testing.assert_close(got, expected)


def test_arguments_of_every_kind():
    x, w = (cresset.ones(2, requires_grad=True) for _ in range(2))

    def part(x, factor, *, w):
        return x * factor * w, x.sum()

    first, second = checkpoint(part, x, 3.0, w=w)
    (first.sum() + second).backward()
    assert x.grad.tolist() == [4, 4] and w.grad.tolist() == [3, 3]
    with cresset.no_grad():
        assert not checkpoint(lambda x: x * 2, x).requires_grad


def test_memory_is_saved():
    layers = nn.Sequential(*(nn.Sequential(nn.Linear(64, 64), nn.Tanh()) for _ in range(8)))
    x = cresset.randn(512, 64)

    def held(run):
        before = cresset.memory_stats()["allocated_bytes.all.current"]
        loss = run(x).sum()
        kept = cresset.memory_stats()["allocated_bytes.all.current"] - before
        loss.backward()
        return kept

    assert held(lambda x: checkpoint(layers, x)) < held(layers) / 4
    assert held(lambda x: checkpoint_sequential(layers, 4, x)) < held(layers)
