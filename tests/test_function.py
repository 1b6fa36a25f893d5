"""Custom functions: what they save, gradients of several outputs, wrong ones."""

import pytest

import cresset
from cresset.autograd import Function, gradcheck, gradgradcheck


def leaf(*values, dtype=cresset.float32):
    return cresset.tensor(list(values), dtype=dtype, requires_grad=True)


class Product(Function):
    @staticmethod
    def forward(ctx, x, y, factor):
        ctx.save_for_backward(x, y)
        ctx.factor = factor
        return x * y * factor

    @staticmethod
    def backward(ctx, g):
        x, y = ctx.saved_tensors
        assert ctx.needs_input_grad == (True, y.requires_grad, False)
        return g * y * ctx.factor, g * x * ctx.factor if ctx.needs_input_grad[1] else None, None


def test_function_saves_tensors():
    x, y = leaf(2.0), leaf(3.0)
    out = Product.apply(x, y, 10)
    assert out.requires_grad
    assert "ProductBackward" in repr(out.grad_fn)
    out.backward()
    assert (x.grad.item(), y.grad.item()) == (30, 20)
    Product.apply(x, cresset.tensor([1.0]), 1).backward()
    assert x.grad.item() == 31


def test_function_gradients_of_gradients():
    x, y = leaf(0.5, 2.0, dtype=cresset.float64), leaf(3.0, 1.5, dtype=cresset.float64)
    assert gradcheck(lambda a, b: Product.apply(a, b, 2.0), (x, y))
    assert gradgradcheck(lambda a, b: Product.apply(a, b, 2.0), (x, y))


def test_function_is_freed_and_notices_overwriting():
    x, y = leaf(2.0), leaf(3.0)
    out = Product.apply(x, y, 1)
    out.backward()
    with pytest.raises(RuntimeError, match="second time"):
        out.backward()
    z = y * 1
    out = Product.apply(x, z, 1)
    z.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        out.backward()


class Parts(Function):
    @staticmethod
    def forward(x):
        return x * 2, x * 3, x > 0

    @staticmethod
    def setup_context(ctx, inputs, output):
        (ctx.seen,) = inputs
        ctx.mark_non_differentiable(output[2])

    @staticmethod
    def backward(ctx, double, triple, sign):
        return double * 2 + triple * 3


def test_function_with_several_outputs():
    x = leaf(1.0, -1.0)
    double, triple, sign = Parts.apply(x)
    assert (double.requires_grad, triple.requires_grad, sign.requires_grad) == (True, True, False)
    (double.sum() + triple.sum()).backward()
    assert x.grad.tolist() == [5, 5]
    x.grad = None
    Parts.apply(x)[1].sum().backward()
    assert x.grad.tolist() == [3, 3]


class Unmaterialized(Function):
    @staticmethod
    def forward(ctx, x):
        ctx.set_materialize_grads(False)
        return x * 2, x * 3

    @staticmethod
    def backward(ctx, first, second):
        assert first is None
        return second * 3


def test_function_reads_one_of_several_outputs_in_its_backward():
    """The saved output leads back to its own place among the outputs."""

    class SquareAndCube(Function):
        @staticmethod
        def forward(ctx, x):
            square, cube = x * x, x * x * x
            ctx.save_for_backward(x, square)
            return square, cube

        @staticmethod
        def backward(ctx, g_square, g_cube):
            x, square = ctx.saved_tensors
            return g_square * 2 * x + g_cube * 3 * square

    x = cresset.tensor([2.0, 3.0], requires_grad=True)
    square, cube = SquareAndCube.apply(x)
    (first,) = cresset.autograd.grad((square + cube).sum(), x, create_graph=True)
    assert first.tolist() == [16.0, 33.0]
    (second,) = cresset.autograd.grad(first.sum(), x)
    assert second.tolist() == [14.0, 20.0]


def test_function_without_materialized_gradients():
    x = leaf(1.0)
    Unmaterialized.apply(x)[1].backward()
    assert x.grad.item() == 3


class TooFew(Function):
    @staticmethod
    def forward(ctx, x, y):
        return x + y

    @staticmethod
    def backward(ctx, g):
        return g


def test_function_with_too_few_gradients():
    with pytest.raises(RuntimeError, match="incorrect number of gradients"):
        TooFew.apply(leaf(1.0), leaf(1.0)).backward()


class Exponential(Function):
    @staticmethod
    def forward(ctx, x):
        out = x.exp()
        ctx.save_for_backward(out)
        return out

    @staticmethod
    def backward(ctx, g):
        (out,) = ctx.saved_tensors
        return g * out


def test_function_saves_its_output():
    x = leaf(0.3, 1.0, dtype=cresset.float64)
    assert gradcheck(Exponential.apply, (x,))
    assert gradgradcheck(Exponential.apply, (x,))
    with cresset.no_grad():
        assert not Exponential.apply(x).requires_grad
