"""`testing.assert_close`, derivatives of functions, and small things that programs set."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import cresset
from cresset.autograd import functional
from cresset.testing import assert_close

NEAR = "Greatest absolute difference: 0.5 at index (1, 0) (up to 1e-05 allowed)"


def test_close():
    x = cresset.tensor([[1.0, 2.0], [3.0, 4.0]])
    assert_close(x, x + 1e-7)
    assert_close({"a": [1, 2.0]}, {"a": [1, 2.0 + 1e-9]})
    assert_close(x, x.double(), check_dtype=False)
    assert_close(cresset.tensor(float("nan")), cresset.tensor(float("nan")), equal_nan=True)


@pytest.mark.parametrize(("actual", "expected", "message"), [
    (cresset.ones(2), cresset.ones(3), "attribute 'shape' do not match"),
    (cresset.ones(2), cresset.ones(2).double(), "attribute 'dtype' do not match"),
    (cresset.tensor([1, 2]), cresset.tensor([1, 3]), "Mismatched elements: 1 / 2 (50.0%)"),
    (cresset.zeros(2, 2), cresset.tensor([[0.0, 0.0], [0.5, 0.0]]), NEAR),
    (1.0, 1.1, "Expected 1.1 but got 1.0."),
    ([1.0, 2.0], [1.0, 3.0], "Scalars are not close!"),
    ({"a": 1.0}, {"a": 2.0}, "The failure occurred for item ['a']"),
    ([1.0], [1.0, 2.0], "length of the sequences mismatch: 1 != 2"),
    ({"a": 1.0}, {"b": 1.0}, "Missing keys in the actual mapping: ['b']"),
    (cresset.tensor(float("nan")), cresset.tensor(float("nan")), "are not close!"),
])
def test_not_close(actual, expected, message):
    with pytest.raises(AssertionError) as caught:
        assert_close(actual, expected)
    assert message in str(caught.value)


def test_messages_and_tolerances():
    with pytest.raises(AssertionError, match="^mine$"):
        assert_close(1.0, 2.0, msg="mine")
    with pytest.raises(AssertionError, match="^so: Scalars"):
        assert_close(1.0, 2.0, msg=lambda text: f"so: {text}")
    with pytest.raises(ValueError, match="must be either specified or unspecified"):
        assert_close(1.0, 1.0, rtol=0.1)
    with pytest.raises(TypeError, match="no comparison is defined"):
        assert_close(object(), 1.0)


def test_jacobian():
    x, y = cresset.tensor([1.0, 2.0]), cresset.tensor([3.0, 4.0])
    by_x, by_y = functional.jacobian(lambda x, y: x * y, (x, y))
    assert by_x.tolist() == [[3.0, 0.0], [0.0, 4.0]]
    assert by_y.tolist() == [[1.0, 0.0], [0.0, 2.0]]
    several = functional.jacobian(lambda x: (x.sum(), 2 * x), x)
    assert several[0].tolist() == [1.0, 1.0]
    assert several[1].tolist() == [[2.0, 0.0], [0.0, 2.0]]
    assert functional.jacobian(lambda x: cresset.ones(2), x).tolist() == [[0.0, 0.0], [0.0, 0.0]]
    with pytest.raises(RuntimeError, match="strict=True"):
        functional.jacobian(lambda x: cresset.ones(2), x, strict=True)


@pytest.mark.parametrize("strategy", ["reverse-mode", "forward-mode"])
def test_strategies_of_derivatives(torch, strategy):
    def both(package):
        x = package.arange(6.0).reshape(2, 3)
        y = package.tensor([1.0, 2.0, 3.0])

        def several(x, y):
            return (x * y).sum(0), x[0] * 2, y.exp(), package.ones(2)

        derivatives = package.autograd.functional
        rows = derivatives.jacobian(several, (x, y), vectorize=True, strategy=strategy)
        square = derivatives.hessian(lambda x: (x**3).sum(), y, vectorize=True,
                                     outer_jacobian_strategy=strategy)
        parts = [square, *(part for row in rows for part in row)]
        return [part.detach().numpy() for part in parts]

    for ours, theirs in zip(both(cresset), both(torch)):
        np.testing.assert_allclose(ours, theirs, 1e-6)


@pytest.mark.parametrize("options", [
    {"strategy": "sideways"}, {"strategy": "forward-mode"}, {"vectorize": True, "strict": True},
    {"strategy": "forward-mode", "vectorize": True, "create_graph": True},
    {"strategy": "forward-mode", "vectorize": True, "strict": True},
], ids=str)
def test_strategies_that_are_refused(torch, options):
    with pytest.raises(Exception) as theirs:
        torch.autograd.functional.jacobian(lambda x: x * 2, torch.ones(2), **options)
    with pytest.raises(theirs.type, match="^jacobian: "):
        functional.jacobian(lambda x: x * 2, cresset.ones(2), **options)


def test_hessian_and_products():
    x, v = cresset.tensor([1.0, 2.0, 3.0]), cresset.tensor([1.0, -1.0, 2.0])

    def cubes(x):
        return (x**3).sum() * x[0]

    def sums(x):
        return (x * x).cumsum(0)

    hessian, jacobian = functional.hessian(cubes, x), functional.jacobian(sums, x)
    assert_close(hessian, hessian.t())
    assert_close(functional.vhp(cubes, x, v), (cubes(x), v @ hessian))
    assert_close(functional.hvp(cubes, x, v), (cubes(x), hessian @ v))
    assert_close(functional.jvp(sums, x, v), (sums(x), jacobian @ v))
    assert_close(functional.vjp(sums, x, v), (sums(x), v @ jacobian))
    with pytest.raises(RuntimeError, match="v has shapes"):
        functional.vjp(sums, x, v[:2])
    with pytest.raises(RuntimeError, match="vector v can only be None"):
        functional.vjp(sums, x)


def test_backward_takes_the_old_name_of_gradients():
    x = cresset.ones(2, requires_grad=True)
    with pytest.warns(FutureWarning, match="grad_variables"):
        cresset.autograd.backward(x * 2, grad_variables=cresset.tensor([1.0, 3.0]))
    assert x.grad.tolist() == [2.0, 6.0]
    with pytest.raises(RuntimeError, match="both given"):
        cresset.autograd.backward(x * 2, x, grad_variables=x)


def test_jacobians_are_differentiated():
    x = cresset.tensor([1.0, 2.0], requires_grad=True)
    functional.jacobian(lambda x: x**3, x, create_graph=True).sum().backward()
    assert x.grad.tolist() == [6.0, 12.0]


def test_once_differentiable():
    class Square(cresset.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        @cresset.autograd.function.once_differentiable
        def backward(ctx, g):
            return 2 * g * ctx.saved_tensors[0]

    x = cresset.tensor(3.0, requires_grad=True)
    (g,) = cresset.autograd.grad(Square.apply(x) * x, x, create_graph=True)
    assert g.item() == 27.0
    with pytest.raises(RuntimeError, match="once_differentiable"):
        g.backward()


def test_trace_of_a_matrix():
    x = cresset.arange(9.0).reshape(3, 3)
    assert cresset.trace(x).item() == x.trace().item() == 12.0
    with pytest.raises(RuntimeError, match="expected a matrix"):
        cresset.ones(2).trace()


def test_python_names_the_nearest_of_a_tensors():
    program = "import cresset; cresset.ones(2).backwards()"
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stderr
    assert "'Tensor' object has no attribute 'backwards'. Did you mean: 'backward'?" in told


def test_missing_names_name_the_nearest():
    with pytest.raises(NotImplementedError, match="has no 'zeroes'; the nearest there are: zeros"):
        cresset.zeroes(2)
    assert not hasattr(cresset.nn, "Liner")
    assert getattr(cresset.optim, "Sgd", None) is None


def test_the_older_comparison(torch):
    for library in (cresset, torch):
        check = library.testing.assert_allclose
        with pytest.warns(FutureWarning):
            check([1.0, float("nan")], [1.00005, float("nan")])
            check(library.ones(2), library.ones(2, dtype=library.float64))
            check(library.tensor([1, 2]), [1, 2])
            with pytest.raises(AssertionError, match="not (close|equal)"):
                check([1.0], [1.001])
            with pytest.raises(AssertionError, match="not (close|equal)"):
                check(library.tensor([1, 2]), [1, 3])
