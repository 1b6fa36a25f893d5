"""Random numbers: PyTorch's stream, to the last number; generators, states, forks, refusals."""

from __future__ import annotations

import copy
import json
import pickle
import warnings
from pathlib import Path

import numpy as np
import pytest
from random_calls import SEEDS, calls, drawn

import cresset
from cresset.ops.random_numbers import random as ops_random

RECORDED = json.loads((Path(__file__).parent / "recorded" / "random.json").read_text())
EPSILON = {"float32": 2**-23, "float64": 2**-52, "float16": 2**-10, "bfloat16": 2**-7,
           "complex64": 2**-23, "complex128": 2**-52}
# An orthogonal matrix is the end of many operations, and so are weights over their sum.
LOOSE = {"orthogonal_": 100, "_sample_dirichlet": 16, "_standard_gamma": 16}


def agree(got, expected, ulps):
    """Whether two results of `drawn` are the same, values to some units in the last place of 1."""
    if got[:2] != expected[:2] or got[3] != expected[3]:
        return False
    room = ulps * EPSILON.get(got[0], 0.0)
    return all(a == b or abs(a - b) <= room * max(1.0, abs(b)) for a, b in zip(got[2], expected[2]))


def disagreements(expected):
    """The calls of which results are not what expected(call, seed) says."""
    wrong = []
    for call in calls():
        ulps = max([4, *(n for name, n in LOOSE.items() if name in call)])
        for k, seed in enumerate(SEEDS):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                got = drawn(cresset, call, seed)
            if not agree(got, expected(call, k), ulps):
                wrong.append(f"{call} seed {seed}: {got} instead of {expected(call, k)}")
    return wrong


def test_recorded_numbers_are_drawn():
    """What PyTorch drew when scripts/record_random.py ran, and how far its stream moved."""
    assert not disagreements(lambda call, k: RECORDED[call][k])


def test_no_vendor_library_takes_part(torch):
    """PyTorch with MKL draws exponential and Bernoulli numbers from its own generator.

    It has code that seeds MKL's MCG31 from it instead, which its releases leave out (PyTorch issue
    132395): were it there, these would not be functions of the words of mt19937.
    """
    words = np.random.RandomState(5).randint(0, 2**32, 2000, dtype=np.uint32).astype("u8")
    uniform = ((words[::2] << np.uint64(32) | words[1::2]) & np.uint64(2**53 - 1)) * 2.0**-53
    torch.manual_seed(5)
    np.testing.assert_allclose(torch.empty(1000, dtype=torch.float64).exponential_().numpy(),
                               -np.log1p(-uniform), rtol=1e-14)
    torch.manual_seed(5)
    assert (torch.empty(1000).bernoulli_(0.3).numpy() == (uniform < 0.3)).all()


# --- generators -----------------------------------------------------------------------------------
def test_states_are_exchanged_with_pytorch(torch):
    for library, other in ((cresset, torch), (torch, cresset)):
        library.manual_seed(11)
        library.randn(5)
        library.rand(1000)
        state = library.get_rng_state()
        assert state.shape == (5056,) and str(state.dtype) == "torch.uint8"
        other.set_rng_state(other.tensor(state.tolist(), dtype=other.uint8))
        assert other.randn(3).tolist() == pytest.approx(library.randn(3).tolist(), abs=1e-6)
        assert other.rand(700).tolist() == library.rand(700).tolist()
        assert other.get_rng_state().tolist() == library.get_rng_state().tolist()


def test_a_generator_has_a_stream_of_its_own():
    cresset.manual_seed(1)
    expected = cresset.rand(4)
    cresset.manual_seed(1)
    generator = cresset.Generator().manual_seed(2)
    own = cresset.rand(4, generator=generator)
    assert cresset.equal(cresset.rand(4), expected)
    assert cresset.equal(own, cresset.rand(4, generator=cresset.Generator().manual_seed(2)))
    assert generator.initial_seed() == 2 and str(generator.device) == "cpu"


@pytest.mark.parametrize("twin", [
    lambda g: g.clone_state(), copy.deepcopy, copy.copy, lambda g: pickle.loads(pickle.dumps(g)),
    lambda g: cresset.Generator().set_state(g.get_state()) or g.clone_state(),
])
def test_twins_draw_the_same(twin):
    generator = cresset.Generator().manual_seed(3)
    cresset.randn(3, generator=generator)
    other = twin(generator)
    assert cresset.equal(cresset.randn(5, generator=generator), cresset.randn(5, generator=other))


def test_every_sampler_takes_a_generator():
    p = cresset.full((2, 3), 0.5)
    for sampler in (lambda g: cresset.rand(3, generator=g),
                    lambda g: cresset.randn(3, generator=g),
                    lambda g: cresset.rand_like(p, generator=g),
                    lambda g: cresset.randn_like(p, generator=g),
                    lambda g: cresset.randint(9, (3,), generator=g),
                    lambda g: cresset.randint_like(p, 9, generator=g),
                    lambda g: cresset.randperm(9, generator=g),
                    lambda g: cresset.normal(p, p, generator=g),
                    lambda g: cresset.bernoulli(p, generator=g),
                    lambda g: cresset.multinomial(p, 2, generator=g),
                    lambda g: cresset.poisson(p, generator=g),
                    lambda g: cresset.binomial(p * 8, p, generator=g),
                    *(lambda g, f=f: getattr(cresset.empty(4), f)(generator=g) for f in (
                        "uniform_", "normal_", "log_normal_", "cauchy_", "exponential_",
                        "bernoulli_", "random_")),
                    lambda g: cresset.empty(4).geometric_(0.5, generator=g)):
        before = cresset.get_rng_state()
        drawn = [sampler(cresset.Generator().manual_seed(4)) for _ in range(2)]
        assert cresset.equal(*drawn)
        assert cresset.equal(cresset.get_rng_state(), before)


def test_a_fork_leaves_the_stream_as_it_was():
    cresset.random.manual_seed(5)
    with cresset.random.fork_rng():
        inside = cresset.randn(3)
        with pytest.raises(ZeroDivisionError), cresset.random.fork_rng():
            cresset.rand(1)
            raise ZeroDivisionError
    assert cresset.equal(cresset.randn(3), inside)
    with cresset.random.fork_rng(enabled=False):
        moved = cresset.rand(1)
    assert cresset.rand(1) != moved
    assert cresset.random.initial_seed() == cresset.initial_seed() == 5


def test_seed_is_new_every_time():
    assert cresset.seed() != cresset.seed()
    assert cresset.initial_seed() == cresset.random.default_generator.initial_seed()


def test_rejection_draws_across_blocks():
    """Elements by thousands: blocks of the stream run out many times over."""
    rates = cresset.full((1000,), 3.0)
    generator = cresset.Generator().manual_seed(6)
    whole = cresset.poisson(rates, generator=generator)
    again = cresset.Generator().manual_seed(6)
    parts = [cresset.poisson(part, generator=again) for part in rates.split(100)]
    assert cresset.equal(whole, cresset.cat(parts))
    assert cresset.equal(generator.get_state(), again.get_state())
    assert abs(whole.mean().item() - 3) < 0.3


# --- what samples mean ----------------------------------------------------------------------------
def test_a_write_replaces_the_graph():
    leaf = cresset.ones(4, requires_grad=True)
    x = leaf * 2
    x[:2].exponential_()
    x.sum().backward()
    assert leaf.grad.tolist() == [0, 0, 2, 2]
    with pytest.raises(RuntimeError, match="leaf"):
        leaf.normal_()


def test_dropout_gradients_pass_where_it_kept():
    for form in (cresset.nn.functional.dropout, cresset.nn.functional.rrelu):
        x = cresset.full((50,), -1.0, requires_grad=True)
        y = form(x, training=True)
        y.sum().backward()
        np.testing.assert_allclose(x.grad.numpy(), -y.detach().numpy())


def test_uniform_never_gives_its_upper_bound():
    for dtype in ops_random.FLOATING:
        x = cresset.empty(4000, dtype=dtype).uniform_(1, 1 + 3 * cresset.finfo(dtype).eps)
        assert x.max() < 1 + 3 * cresset.finfo(dtype).eps


REFUSED = {
    "uniform_ of integers": (NotImplementedError, "t.empty(2, dtype=t.int64).uniform_()"),
    "uniform_ bounds": (RuntimeError, "t.empty(2).uniform_(2, 1)"),
    "normal_ deviation": (RuntimeError, "t.empty(2).normal_(0, -1)"),
    "normal deviations": (RuntimeError, "t.normal(t.zeros(2), -t.ones(2))"),
    "log_normal_ deviation": (RuntimeError, "t.empty(2).log_normal_(0, 0)"),
    "cauchy_ width": (RuntimeError, "t.empty(2).cauchy_(0, -1)"),
    "cauchy_ of integers": (RuntimeError, "t.empty(2, dtype=t.int64).cauchy_()"),
    "exponential_ rate": (RuntimeError, "t.empty(2).exponential_(0)"),
    "geometric_ chance": (RuntimeError, "t.empty(2).geometric_(1)"),
    "bernoulli_ chance": (RuntimeError, "t.empty(2).bernoulli_(1.5)"),
    "bernoulli chances": (RuntimeError, "t.bernoulli(t.tensor([0.5, 1.5]))"),
    "bernoulli of integers": (RuntimeError, "t.bernoulli(t.tensor([0, 1]))"),
    "random_ order": (RuntimeError, "t.empty(2).random_(5, 5)"),
    "random_ bound": (RuntimeError, "t.empty(2, dtype=t.uint8).random_(0, 300)"),
    "randint bound": (RuntimeError, "t.randint(0, 70000, (2,), dtype=t.float16)"),
    "randint order": (RuntimeError, "t.randint(3, 3, (2,))"),
    "randperm count": (RuntimeError, "t.randperm(-1)"),
    "randperm type": (RuntimeError, "t.randperm(300, dtype=t.uint8)"),
    "rand of integers": (RuntimeError, "t.rand(2, dtype=t.int64)"),
    "multinomial dims": (RuntimeError, "t.multinomial(t.ones(2, 2, 2), 1)"),
    "multinomial of integers": (RuntimeError, "t.multinomial(t.ones(2, dtype=t.int64), 1)"),
    "multinomial count": (RuntimeError, "t.multinomial(t.ones(2), 3)"),
    "multinomial no count": (RuntimeError, "t.multinomial(t.ones(2), 0)"),
    "multinomial weight": (RuntimeError, "t.multinomial(t.tensor([1.0, -1.0]), 1)"),
    "multinomial no weight": (RuntimeError, "t.multinomial(t.zeros(2), 2, True)"),
    "multinomial NaN": (RuntimeError, "t.multinomial(t.tensor([1.0, float('nan')]), 2, True)"),
    "poisson rate": (RuntimeError, "t.poisson(-t.ones(2))"),
    "dropout chance": (ValueError, "t.nn.functional.dropout(t.ones(2), 1.5)"),
    "dropout2d dims": (RuntimeError, "t.nn.functional.dropout2d(t.ones(2))"),
    "rrelu bounds": (RuntimeError, "t.nn.functional.rrelu(t.ones(2), 2, 1)"),
    "state type": (TypeError, "t.set_rng_state(t.zeros(5056))"),
    "state length": (RuntimeError, "t.set_rng_state(t.zeros(9, dtype=t.uint8))"),
    "generator device": (RuntimeError, "t.Generator('cuda')"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name):
    error, call = REFUSED[name]
    before = cresset.get_rng_state()
    with pytest.raises(error):
        eval(call, {"t": cresset})
    assert cresset.equal(cresset.get_rng_state(), before)


@pytest.mark.parametrize("name", REFUSED)
def test_refused_by_pytorch_as_well(name, torch):
    error, call = REFUSED[name]
    with pytest.raises(error):
        eval(call, {"t": torch})


def test_nothing_is_drawn_for_nothing():
    before = cresset.get_rng_state()
    for call in (lambda: cresset.rand(0), lambda: cresset.randn(0, 3),
                 lambda: cresset.randperm(0), lambda: cresset.empty(0).exponential_(),
                 lambda: cresset.poisson(cresset.empty(0)), lambda: cresset.randperm(1)):
        call()
    assert cresset.equal(cresset.get_rng_state(), before)
    assert not cresset.bernoulli(cresset.empty(0)).numel()


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
def test_rows_of_weights_draw_as_in_pytorch(torch, dtype):
    weights = np.random.default_rng(0).random((300, 9)).astype("f4")
    weights[::3, ::4] = 0
    for shape, count in (((300, 9), 40), ((9, 300), 3), ((2700,), 50)):
        drawn = []
        for package in (torch, cresset):
            package.manual_seed(5)
            rows = package.from_numpy(weights.reshape(shape)).to(getattr(package, dtype))
            drawn.append((package.multinomial(rows, count, True).tolist(), package.rand(1).item()))
        assert drawn[0] == drawn[1]
