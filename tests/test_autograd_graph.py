"""`autograd.graph`: hooks on what is saved for backward, and on several gradients at once."""

import gc
import threading
import weakref

import numpy
import pytest

import cresset
from cresset import nn
from cresset.autograd import graph
from cresset.testing import assert_close


def leaf(*shape):
    return cresset.randn(shape).requires_grad_()


def through_numpy(x):
    return x.detach().numpy().copy()


def counting():
    """Hooks that note what they see, and keep tensors as arrays."""
    seen = {"packed": 0, "unpacked": 0}

    def pack(x):
        assert not cresset.is_grad_enabled()
        seen["packed"] += 1
        return through_numpy(x)

    def unpack(kept):
        assert isinstance(kept, numpy.ndarray)
        seen["unpacked"] += 1
        return cresset.from_numpy(kept)

    return graph.saved_tensors_hooks(pack, unpack), seen


def network(x, w, v):
    """An operand, an output, one of several outputs, a composite, a view, and a write are saved."""
    y = (x @ w).exp() * v.sigmoid()
    top, _ = y.max(-1)
    y = cresset.nn.functional.layer_norm(y[:, 1:], (2,)) + top.unsqueeze(-1)
    y = y.clone().mul_(v[1:])
    return cresset.nn.functional.gelu(y).sum() + cresset.linalg.det(w)


def test_gradients_of_what_was_packed_are_the_same():
    cresset.manual_seed(0)
    leaves = leaf(4, 3), leaf(3, 3), leaf(3)
    expected = cresset.autograd.grad(network(*leaves), leaves)
    hooks, seen = counting()
    with hooks:
        out = network(*leaves)
    found = cresset.autograd.grad(out, leaves, retain_graph=True)
    again = cresset.autograd.grad(out, leaves)
    for x, y, z in zip(expected, found, again):
        assert cresset.equal(x, y)
        assert cresset.equal(x, z)
    assert seen["packed"] > 8
    assert seen["unpacked"] == 2 * seen["packed"]
    with pytest.raises(RuntimeError, match="second time"):
        out.backward()


def test_as_pytorch(torch):
    def trained(library):
        x = library.tensor([[0.5, -1.0], [2.0, 0.1]], requires_grad=True)
        w = library.tensor([[0.3, 0.2], [-0.4, 1.0]], requires_grad=True)
        hooks = library.autograd.graph.saved_tensors_hooks(lambda x: x * 2, lambda x: x * 0.5 + 1)
        with hooks:
            y = ((x @ w).exp() * w).sum()
        y.backward()
        return x.grad.tolist(), w.grad.tolist()

    for ours, theirs in zip(trained(cresset), trained(torch)):
        numpy.testing.assert_allclose(ours, theirs, rtol=1e-5)


def test_second_order():
    x = leaf(3)
    expected = cresset.autograd.functional.hessian(lambda x: (x.exp() * x).sum(), x.detach())
    with graph.saved_tensors_hooks(through_numpy, cresset.from_numpy):
        y = (x.exp() * x).sum()
        (g,) = cresset.autograd.grad(y, x, create_graph=True)
    (second,) = cresset.autograd.grad(g.sum(), x)
    assert_close(second, expected.sum(0))


def test_custom_functions():
    class Scaled(cresset.autograd.Function):
        @staticmethod
        def forward(ctx, x, y):
            out = x * y
            ctx.save_for_backward(x, y, out)
            return out

        @staticmethod
        def backward(ctx, g):
            x, y, out = ctx.saved_tensors
            return g * y, g * x + 0 * out

    x, y = leaf(3), leaf(3)
    hooks, seen = counting()
    with hooks:
        out = Scaled.apply(x, y)
    assert seen["packed"] == 3
    (first,) = cresset.autograd.grad(out.sum(), x, create_graph=True)
    assert seen["unpacked"] == 3
    assert cresset.equal(first, y)
    (mixed,) = cresset.autograd.grad(first.sum(), y)
    assert mixed.tolist() == [1, 1, 1]


def test_outputs_are_not_held_by_what_saved_them():
    x = leaf(3)
    with graph.saved_tensors_hooks(lambda x: x, lambda x: x):
        out = x.exp().tanh()
    gc.disable()
    try:
        node = weakref.ref(out.grad_fn)
        del out
        assert node() is None
    finally:
        gc.enable()


def test_what_is_kept_as_it_is_must_stay_so():
    x = leaf(3)
    y = x * 1
    with graph.saved_tensors_hooks(lambda x: x, lambda x: x):
        out = (y * y).sum()
    y.detach().zero_()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        out.backward()


def test_hooks_are_a_stack_of_each_thread():
    x = leaf(2)
    outer, outside = counting()
    inner, inside = counting()
    with outer:
        with inner:
            x.exp()
        x.exp()
        other = threading.Thread(target=lambda: x.exp())
        other.start()
        other.join()
    x.exp()
    assert (outside["packed"], inside["packed"]) == (1, 1)


def test_errors_of_hooks():
    x = leaf(2)
    with (
        pytest.raises(RuntimeError, match="pack hook is modifying its input"),
        graph.saved_tensors_hooks(lambda x: x.add_(1), lambda x: x),
    ):
        (x * 1).exp()
    with graph.saved_tensors_hooks(lambda x: x, lambda x: 3):
        out = x.exp().sum()
    with pytest.raises(TypeError, match="expected to be a Tensor but got result of type int"):
        out.backward()
    with graph.disable_saved_tensors_hooks("none of that"):
        with pytest.raises(RuntimeError, match="none of that"), graph.save_on_cpu():
            pass
    with graph.save_on_cpu(), pytest.raises(RuntimeError, match="none of that"):
        with graph.disable_saved_tensors_hooks("none of that"):
            pass
    with graph.save_on_cpu(pin_memory=True):
        out = x.exp().sum()
    out.backward()
    assert cresset.equal(x.grad, x.detach().exp())


def test_a_failing_hook_leaves_the_graph_right():
    """The write was done, and its gradient is known."""
    x = leaf(2)
    y = x * 1
    failing = graph.saved_tensors_hooks(lambda x: 1 / 0, lambda x: x)
    with failing, pytest.raises(ZeroDivisionError):
        y.mul_(y)
    y.sum().backward()
    assert cresset.equal(x.grad, 2 * x.detach())


def test_hooks_around_and_within_compiled_functions():
    x, w = cresset.randn(4, 3), leaf(3)
    expected = cresset.autograd.grad((x * w).exp().sum(), w)[0]
    compiled = cresset.compile(lambda x: (x * w).exp().sum())
    for _ in range(4):
        compiled(x).backward()
    w.grad = None
    hooks, seen = counting()
    with hooks:
        out = compiled(x)
    out.backward()
    assert seen["packed"] == seen["unpacked"] == 2
    assert cresset.equal(w.grad, expected)

    @cresset.compile
    def step(x):
        with graph.saved_tensors_hooks(lambda x: x.double(), lambda x: x.float()):
            return (x * w).exp().sum()

    for _ in range(4):
        x = cresset.randn(4, 3)
        w.grad = None
        step(x).backward()
        assert_close(w.grad, cresset.autograd.grad((x * w).exp().sum(), w)[0])


def test_modules_with_packed_activations():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.MaxPool2d(2),
                          nn.Flatten(), nn.Linear(8, 3))
    x, y = cresset.randn(2, 1, 6, 6), cresset.tensor([0, 2])
    found = []
    for hooks in (graph.save_on_cpu(), counting()[0]):
        model.zero_grad()
        with hooks:
            loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        found.append([p.grad for p in model.parameters()])
    for a, b in zip(*found):
        assert cresset.equal(a, b)


def test_several_gradients():
    x, y, z = leaf(2), leaf(2), leaf(2)
    seen = []
    handle = graph.register_multi_grad_hook([x, y, z], seen.append)
    first = []
    either = graph.register_multi_grad_hook([x, y, z], first.append, mode="any")
    (x * y).sum().backward()
    assert [None if g is None else g.tolist() for g in seen.pop()] == [
        y.tolist(), x.tolist(), None
    ]
    (x * y * z).sum().backward()
    assert all(g is not None for g in seen.pop())
    cresset.autograd.backward((x * y).sum(), inputs=[y])
    assert [g is None for g in seen.pop()] == [True, False, True]
    assert len(first) == 3
    handle.remove()
    either.remove()
    (x * y).sum().backward()
    assert not seen
    assert len(first) == 3
    with pytest.raises(ValueError, match="one of"):
        graph.register_multi_grad_hook([x], print, mode="most")
    with pytest.raises(RuntimeError, match="doesn't require gradient"):
        graph.register_multi_grad_hook([cresset.ones(1)], print)


def test_versions_can_be_raised():
    x = leaf(2)
    y = x * 1
    out = y.exp().sum() + (y * y).sum()
    graph.increment_version([y])
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        out.backward()


def test_leaves_tell_that_their_gradient_is_there():
    """An optimizer's step, one parameter at a time, while backward goes on."""
    model = nn.Linear(3, 1)
    optimizers = {p: cresset.optim.SGD([p], lr=0.1) for p in model.parameters()}

    def step(p):
        optimizers[p].step()
        p.grad = None

    handles = [p.register_post_accumulate_grad_hook(step) for p in model.parameters()]
    expected = model.weight.detach() - 0.1
    model(cresset.ones(1, 3)).sum().backward()
    assert_close(model.weight, expected)
    assert model.weight.grad is None
    for handle in handles:
        handle.remove()
    model(cresset.ones(1, 3)).sum().backward()
    assert model.weight.grad.tolist() == [[1, 1, 1]]
    for x in (model.weight * 1, cresset.ones(2)):
        with pytest.raises(RuntimeError, match="cannot be registered on"):
            x.register_post_accumulate_grad_hook(print)
