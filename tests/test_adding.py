"""One file adds an operation: its declaration gives every form, and nothing else is touched."""

import importlib.util
import itertools
import sys

import numpy as np
import pytest

import cresset
from cresset.autograd import gradcheck, gradgradcheck
from cresset.capture.graph import capture
from cresset.compiler.programs.fuse import fuse
from cresset.core.layout import Layout
from cresset.ops import dispatch, registry

SOURCE = '''
"""Four operations that the package does not have."""

from __future__ import annotations

from cresset.core import scalar
from cresset.core.tensor import Tensor
from cresset.ops.kinds import composite, elementwise, reduce, view
from cresset.ops.operation import method
from cresset.ops.reductions.reduction import mean


@method("swoosh")
@elementwise(promote="float")
def swoosh(x, y):
    """x tanh(y) + x**2."""
    return x * scalar.tanh(y) + x * x


@method("every_other")
@view
def every_other(x, dim):
    """Every other entry of a dim."""
    shape, strides = list(x.shape), list(x.strides)
    shape[dim] = -(-shape[dim] // 2)
    strides[dim] *= 2
    return shape, strides, 0


@method("sum_of_squares")
@reduce
class sum_of_squares:
    """The sum of squares over dims."""

    def __init__(self, dtype):
        self.dtype = dtype

    def lift(self, x, position):
        return x * x

    def start(self):
        return (0.0,)

    def merge(self, a, b):
        return a[0] + b[0]

    def finish(self, state):
        return state[0]


@sum_of_squares.gradient
def _sum_of_squares_gradient(g, x, dim, keepdim):
    if not keepdim and dim is not None:
        g = g.unsqueeze(dim)
    return g * x * 2


@method("standard_scores")
@composite
def standard_scores(x: Tensor, dim=-1):
    """(x - mean) / sqrt(variance + 1) along a dim."""
    centred = x - mean(x, dim, True)
    return centred / (mean(centred * centred, dim, True) + 1).sqrt()
'''


NAMES = ("swoosh", "every_other", "sum_of_squares", "standard_scores")
METHODS = (*NAMES, "swoosh_")


@pytest.fixture(scope="module")
def added(tmp_path_factory):
    """The module of the new operations; they are gone when the tests are over."""
    path = tmp_path_factory.mktemp("added") / "added_operations.py"
    path.write_text(SOURCE)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[path.stem]
    for name in NAMES:
        registry.pop(name)
    for name in METHODS:
        delattr(cresset.Tensor, name)


def numbers(shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def leaf(shape, seed=0):
    return cresset.from_numpy(numbers(shape, seed)).requires_grad_()


X, Y = numbers((3, 4)), numbers((3, 4), 1)


def scores(x):
    centred = x - x.mean(-1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1)


CALLS = {
    "swoosh": (lambda m, x, y: m.swoosh(x, y), X * np.tanh(Y) + X**2),
    "every_other": (lambda m, x, y: m.every_other(x, 1), X[:, ::2]),
    "sum_of_squares": (lambda m, x, y: m.sum_of_squares(x, 1), (X**2).sum(1)),
    "standard_scores": (lambda m, x, y: m.standard_scores(x), scores(X)),
}
each = pytest.mark.parametrize("name", CALLS)


@each
def test_immediate(added, name):
    call, expected = CALLS[name]
    x, y = cresset.from_numpy(X), cresset.from_numpy(Y)
    np.testing.assert_allclose(call(added, x, y).numpy(), expected, 1e-12)
    assert name in registry
    operands = {"swoosh": (y,), "every_other": (1,), "sum_of_squares": (1,)}.get(name, ())
    np.testing.assert_allclose(getattr(x, name)(*operands).numpy(), expected, 1e-12)


def test_elementwise_broadcasts_and_promotes(added):
    x = cresset.from_numpy(np.arange(3, dtype="i4"))
    out = added.swoosh(x[:, None], cresset.from_numpy(Y[0].astype("f4")))
    assert tuple(out.shape) == (3, 4)
    assert out.dtype is cresset.float32
    assert added.swoosh(x, 2).dtype is cresset.float32
    assert added.swoosh(x, 1.0).shape == x.shape
    with pytest.raises(RuntimeError, match="swoosh"):
        added.swoosh(x, cresset.ones(4))


def test_in_place_and_out(added):
    expected = X * np.tanh(Y) + X**2
    x, y = cresset.from_numpy(X.copy()), cresset.from_numpy(Y)
    address = x.data_ptr()
    assert x.swoosh_(y) is x
    assert x.data_ptr() == address
    np.testing.assert_allclose(x.numpy(), expected, 1e-12)
    out = cresset.zeros(4, 3, dtype=cresset.float64).t()
    assert added.swoosh(cresset.from_numpy(X), y, out=out) is out
    np.testing.assert_allclose(out.numpy(), expected, 1e-12)
    square = cresset.from_numpy(numbers((4, 4)))
    wanted = added.swoosh(square, square.t().clone())
    np.testing.assert_allclose(square.swoosh_(square.t()).numpy(), wanted.numpy(), 1e-12)


def test_a_view_shares_memory_and_is_written_through(added):
    x = cresset.zeros(3, 4)
    part = x.every_other(1)
    part.add_(1)
    assert part._base is x
    assert x.tolist() == [[1, 0, 1, 0]] * 3


@each
def test_gradients_of_both_orders(added, name):
    call, _ = CALLS[name]
    inputs = (leaf((3, 4)), leaf((3, 4), 1))
    inputs = inputs if name == "swoosh" else inputs[:1]

    def program(x, y=None):
        return call(added, x, y)

    assert gradcheck(program, inputs)
    assert gradgradcheck(program, inputs)


def test_gradients_through_in_place_forms(added):
    def program(x, y):
        z = x * 1
        z.every_other(1).swoosh_(y.every_other(1))
        return z

    assert gradcheck(program, (leaf((3, 4)), leaf((3, 4), 1)))


@each
def test_captured_and_compiled(added, name):
    call, expected = CALLS[name]
    x, y = cresset.from_numpy(X), cresset.from_numpy(Y)
    examples = (x, y) if name == "swoosh" else (x,)

    def program(x, y=None):
        return call(added, x, y)

    graph = capture(program, *examples)
    if name != "standard_scores":
        # A composite enters as the operations of its body.
        assert f"v{len(examples)} = {name}(v0" in str(graph)
    launch = dispatch.make_launcher(fuse(graph))
    np.testing.assert_allclose(launch(*examples).numpy(), expected, 1e-12)


def test_all_fuse_into_one_program(added):
    x, y = cresset.from_numpy(X), cresset.from_numpy(Y)

    def program(x, y):
        return added.sum_of_squares(added.swoosh(x, y), 1)

    graph = capture(program, x, y)
    assert str(graph) == (
        "def captured(v0, v1):\n"
        "    v2 = swoosh(v0, v1)\n"
        "    v3 = sum_of_squares(v2, 1, False)\n"
        "    return v3"
    )
    fused = fuse(graph)
    assert len(fused.steps) == 1
    got = dispatch.make_launcher(fused)(x, y)
    np.testing.assert_allclose(got.numpy(), program(x, y).numpy(), 1e-12)


@each
def test_inferred_layouts_are_those_of_the_results(added, name):
    call, _ = CALLS[name]
    for transposed, dtype in itertools.product((False, True), (cresset.float32, cresset.float64)):
        shape = (4, 3) if transposed else (3, 4)
        x = cresset.ones(shape, dtype=dtype)
        x = x.t() if transposed else x
        (value,) = capture(lambda x: call(added, x, x), x).outputs
        result = call(added, x, x)
        assert isinstance(value.actual, Layout)
        assert value.actual.shape == result.shape
        assert value.actual.dtype is result.dtype
