"""Autograd's interface: graphs kept and freed, hooks, modes, errors, depth."""

import subprocess
import sys
import threading

import pytest

import cresset
from cresset.autograd import Function, gradcheck, gradgradcheck


def leaf(*values, dtype=cresset.float32):
    return cresset.tensor(list(values), dtype=dtype, requires_grad=True)


# --- grad and backward ----------------------------------------------------------------------------
def test_backward_accumulates_in_the_same_tensor():
    x = leaf(1.0, 2.0)
    (x * x).sum().backward()
    held = x.grad
    assert held.tolist() == [2, 4]
    (x * 3).sum().backward()
    assert x.grad is held
    assert held.tolist() == [5, 7]
    assert not held.requires_grad
    assert x.is_leaf
    assert x.grad_fn is None


def test_the_gradient_of_a_leaf_is_its_own():
    x, g = leaf(1.0, 2.0), cresset.tensor([5.0, 6.0])
    x.view(2).backward(g)
    g.zero_()
    assert x.grad.tolist() == [5, 6]
    y = leaf(1.0, 1.0)
    (x.detach() + y).backward(cresset.ones(2))
    y.grad.mul_(7)
    assert y.grad.tolist() == [7, 7]
    a, b = leaf(1.0), leaf(2.0)
    (a + b).backward()
    a.grad.add_(1)
    assert (a.grad.item(), b.grad.item()) == (2, 1)


def test_grad_returns_and_does_not_accumulate():
    x, y = leaf(2.0), leaf(3.0)
    found = cresset.autograd.grad(x * y * y, (x, y))
    assert [g.item() for g in found] == [9, 12]
    assert x.grad is None
    assert y.grad is None


def test_grad_of_several_outputs_with_weights():
    x = leaf(1.0, 2.0)
    (g,) = cresset.autograd.grad((x * 2, x**2), x, (cresset.ones(2), cresset.tensor([10.0, 1.0])))
    assert g.tolist() == [22, 6]


def test_grad_of_inner_values():
    x = leaf(3.0)
    y = x * x
    z = y * 2
    (g,) = cresset.autograd.grad(z, y, retain_graph=True)
    assert g.item() == 2
    gx, gy = cresset.autograd.grad(z, (x, y))
    assert (gx.item(), gy.item()) == (12, 2)


def test_create_graph():
    x = leaf(2.0)
    orders, y = [], x**4
    for _ in range(4):
        (y,) = cresset.autograd.grad(y, x, create_graph=True)
        orders.append(y.item())
    assert orders == [32, 48, 48, 24]
    (x**3).sum().backward(create_graph=True)
    assert x.grad.requires_grad
    x.grad.sum().backward()


def test_retain_graph():
    x = leaf(1.0, 2.0)
    y = x.exp().sum()
    y.backward(retain_graph=True)
    once = x.grad.tolist()
    y.backward()
    assert x.grad.tolist() == [2 * g for g in once]
    with pytest.raises(RuntimeError, match="second time"):
        y.backward()


def test_what_no_gradient_reaches_is_released_as_well():
    # The second derivative of leaky_relu is nothing, so nothing goes on to what it was made of.
    x = cresset.ones(3, requires_grad=True)
    inner = x.exp()
    out = cresset.nn.functional.leaky_relu(inner) * 2
    (g,) = cresset.autograd.grad(out.sum(), x, create_graph=True)
    (g * 3).sum().backward()
    assert inner.grad_fn.saved is None
    with pytest.raises(RuntimeError, match="second time"):
        out.sum().backward()


def test_allow_unused_and_materialize_grads():
    x, y = leaf(1.0), leaf(2.0, 3.0)
    with pytest.raises(RuntimeError, match="allow_unused"):
        cresset.autograd.grad(x * 2, (x, y))
    found = cresset.autograd.grad(x * 2, (x, y), allow_unused=True)
    assert found[1] is None
    found = cresset.autograd.grad(x * 2, (x, y), materialize_grads=True)
    assert found[1].tolist() == [0, 0]


def test_backward_to_some_inputs():
    x, y = leaf(1.0), leaf(2.0)
    (x * y).backward(inputs=[x])
    assert x.grad.item() == 2
    assert y.grad is None


def test_retain_grad():
    x = leaf(1.0, 2.0)
    y = x * 2
    assert y.grad is None
    assert not y.retains_grad
    y.retain_grad()
    assert y.retains_grad
    (y * y).sum().backward()
    assert y.grad.tolist() == [4, 8]
    assert x.grad.tolist() == [8, 16]
    with pytest.raises(RuntimeError, match="requires_grad=False"):
        cresset.ones(2).retain_grad()


def test_detach_and_requires_grad():
    x = leaf(1.0, 2.0)
    y = (x * 2).detach()
    assert not y.requires_grad
    assert y.is_leaf
    z = (x * y).sum()
    z.backward()
    assert x.grad.tolist() == [2, 4]
    assert x.detach().data_ptr() == x.data_ptr()
    with pytest.raises(RuntimeError, match="leaf"):
        (x * 2).requires_grad = False
    with pytest.raises(RuntimeError, match="floating point"):
        cresset.ones(2, dtype=cresset.int64).requires_grad_()
    assert (x > 1).requires_grad is False
    assert x.argmax().requires_grad is False


def test_nodes_have_pytorchs_names():
    x = leaf(1.0, 2.0)
    names = {"MulBackward0": x * 2, "SumBackward0": x.sum(), "ExpBackward0": x.exp(),
             "ViewBackward0": x.view(2, 1), "SelectBackward0": x.select(0, 1)}
    for name, y in names.items():
        assert name in repr(y.grad_fn)
        assert "grad_fn" in repr(y)
        assert len(y.grad_fn.next_functions) >= 1


# --- hooks ----------------------------------------------------------------------------------------
def test_hooks_see_change_and_go():
    x = leaf(1.0, 2.0)
    seen = []
    y = x * 3
    handle = y.register_hook(lambda g: seen.append(g.tolist()))
    y.register_hook(lambda g: g * 10)
    kept = x.register_hook(lambda g: g + 1)
    y.sum().backward(retain_graph=True)
    assert seen == [[1, 1]]
    assert x.grad.tolist() == [31, 31]
    handle.remove()
    kept.remove()
    x.grad = None
    y.sum().backward()
    assert seen == [[1, 1]]
    assert x.grad.tolist() == [30, 30]


def test_a_hook_on_a_leaf_sees_the_whole_gradient_once():
    x, seen = leaf(1.0), []
    x.register_hook(lambda g: seen.append(g.item()))
    (x * 2 + x * 3).backward()
    assert seen == [5]


def test_hooks_need_a_gradient():
    with pytest.raises(RuntimeError, match="require"):
        cresset.ones(2).register_hook(print)


# --- modes ----------------------------------------------------------------------------------------
def records():
    """Whether operations are recorded here."""
    return (cresset.ones(1, requires_grad=True) * 2).requires_grad


def test_modes_as_managers():
    with cresset.no_grad():
        assert not records()
        with cresset.enable_grad():
            assert records()
            with cresset.set_grad_enabled(False):
                assert not records()
            assert records()
        assert not records()
        assert not cresset.is_grad_enabled()
    assert records()
    with cresset.inference_mode():
        assert not records()
        assert cresset.is_inference_mode_enabled()
    assert not cresset.is_inference_mode_enabled()
    with cresset.inference_mode(False):
        assert records()
    with pytest.raises(ZeroDivisionError), cresset.no_grad():
        _ = 1 / 0
    assert records()


def test_set_grad_enabled_as_a_call():
    cresset.set_grad_enabled(False)
    assert not records()
    cresset.set_grad_enabled(True)
    assert records()


DECORATORS = {
    "no_grad()": (lambda: cresset.no_grad(), False),
    "no_grad": (lambda: cresset.no_grad, False),
    "enable_grad()": (lambda: cresset.enable_grad(), True),
    "inference_mode()": (lambda: cresset.inference_mode(), False),
    "inference_mode(True)": (lambda: cresset.inference_mode(True), False),
    "set_grad_enabled(False)": (lambda: cresset.set_grad_enabled(False), False),
    "set_grad_enabled(True)": (lambda: cresset.set_grad_enabled(True), True),
}


@pytest.mark.parametrize("name", DECORATORS)
def test_modes_as_decorators(name):
    make, inside = DECORATORS[name]

    @make()
    def function(a, *, b):
        """Documented."""
        assert records() is inside
        return a + b

    @make()
    def generator(count):
        for k in range(count):
            assert records() is inside
            yield k
            assert records() is inside
        return "end"

    assert function.__name__ == "function"
    assert function.__doc__ == "Documented."
    for outside in (cresset.enable_grad, cresset.no_grad):
        with outside():
            before = records()
            assert function(1, b=2) == 3
            assert records() is before
            found = []
            for k in generator(3):
                assert records() is before
                found.append(k)
            assert found == [0, 1, 2]
            assert records() is before
    assert records()


def test_a_decorated_generator_is_sent_to_thrown_into_and_closed():
    log = []

    @cresset.no_grad()
    def generator():
        try:
            got = yield records()
            log.append(got)
            yield records()
        except KeyError:
            log.append("thrown")
            yield "recovered"
        finally:
            log.append(records())

    running = generator()
    assert next(running) is False
    assert running.send("sent") is False
    assert running.throw(KeyError) == "recovered"
    running.close()
    assert log == ["sent", "thrown", False]
    assert records()


def test_each_thread_has_its_own_mode():
    found = []
    with cresset.no_grad():
        thread = threading.Thread(target=lambda: found.append(records()))
        thread.start()
        thread.join()
    assert found == [True]


# --- errors ---------------------------------------------------------------------------------------
def test_an_overwritten_value_names_the_operation_and_the_line():
    x = leaf(1.0, 2.0)
    y = x.exp()
    z = y.sum()
    y.mul_(3)
    line = sys._getframe().f_lineno - 1
    with pytest.raises(RuntimeError) as caught:
        z.backward()
        y.sum().backward()
    message = str(caught.value)
    assert "modified by an inplace operation" in message
    assert "ExpBackward0" in message
    assert f"mul_ at {__file__}:{line}" in message


OVERWRITES = {
    "add_": lambda y: y.add_(1),
    "a view": lambda y: y[0].fill_(5),
    "copy_": lambda y: y.copy_(cresset.zeros(2)),
    "an item": lambda y: y.__setitem__(0, 1.0),
    "under no_grad": lambda y: cresset.no_grad()(y.add_)(1),
    "out=": lambda y: cresset.no_grad()(cresset.add)(cresset.ones(2), 1, out=y),
    "a detached alias": lambda y: y.detach().zero_(),
}


UNREAD = {
    "batch_norm": lambda x: cresset.nn.functional.batch_norm(x, None, None, training=True),
    "max_pool2d": lambda x: cresset.nn.functional.max_pool2d(x, 2),
    "max": lambda x: x.max(1).values,
    "sort": lambda x: x.sort(1).values,
    "cummax": lambda x: x.cummax(1).values,
    "topk": lambda x: x.topk(2, 1).values,
}


@pytest.mark.parametrize("name", UNREAD)
def test_of_several_results_those_that_no_gradient_reads_may_be_overwritten(name):
    start = cresset.arange(-32.0, 32.0).reshape(2, 2, 4, 4)
    x, y = start.clone().requires_grad_(), start.clone().requires_grad_()
    UNREAD[name](x).relu_().square().sum().backward()
    UNREAD[name](y).relu().square().sum().backward()
    assert cresset.equal(x.grad, y.grad)


@pytest.mark.parametrize("name", OVERWRITES)
def test_every_way_of_overwriting_is_noticed(name):
    x = leaf(1.0, 2.0)
    y = x * 2
    z = (y * y).sum()
    OVERWRITES[name](y)
    with pytest.raises(RuntimeError, match="test_autograd.py"):
        z.backward()


def test_writes_that_nothing_needs_are_allowed():
    x = leaf(1.0, 2.0)
    y = x + 1
    z = y * 2
    y.add_(5)
    z.sum().backward()
    assert x.grad.tolist() == [2, 2]


ERRORS = {
    "backward twice": ("second time", lambda x: (y := x.exp().sum(), y.backward(), y.backward())),
    "a leaf": ("leaf Variable", lambda x: x.add_(1)),
    "a leaf's item": ("leaf", lambda x: x.__setitem__(0, 1.0)),
    "a view of a leaf": ("view of a leaf", lambda x: x[0].mul_(2)),
    "a view of a view of a leaf": ("view of a leaf", lambda x: x.view(2, 1)[0].zero_()),
    "no scalar": ("scalar outputs", lambda x: (x * 2).backward()),
    "no gradient": ("does not require grad", lambda x: x.detach().sum().backward()),
    "shape of a gradient": ("shape", lambda x: (x * 2).backward(cresset.ones(3))),
    "an input without": ("require", lambda x: cresset.autograd.grad(x.sum(), cresset.ones(1))),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors(name):
    message, program = ERRORS[name]
    with pytest.raises(RuntimeError, match=message):
        program(leaf(1.0, 2.0))


def test_a_view_made_without_gradients_is_not_written_with_them():
    x = leaf(1.0, 2.0)
    y = x * 1
    with cresset.no_grad():
        view = y[0]
    with pytest.raises(RuntimeError, match="no_grad"):
        view.mul_(x[1])
    with cresset.no_grad():
        view.mul_(2)
    assert y.tolist() == [2, 2]


def test_views_made_under_no_grad_are_not_written_to_while_recording():
    """Whether the base should know of the write is not said, so it is refused, as in PyTorch."""
    x = leaf(1.0, 2.0, 3.0)
    y, plain = x * 2, cresset.ones(3)
    with cresset.no_grad():
        views = [x[:2], y[:2], plain[:2]]
    for view in views[:2]:
        with pytest.raises(RuntimeError, match="view was created in no_grad mode"):
            view.mul_(2)
    views[2].mul_(2)
    assert plain.tolist() == [2.0, 2.0, 1.0] and y.tolist() == [2.0, 4.0, 6.0]
    with cresset.no_grad():
        views[1].mul_(2)
    assert y.tolist() == [4.0, 8.0, 6.0]


def test_leaves_are_written_without_gradients():
    x = leaf(1.0, 2.0)
    with cresset.no_grad():
        x.add_(1)
        x[0] = 7
    x.data.mul_(2)
    assert x.tolist() == [14, 6]
    assert x.requires_grad
    (x * x).sum().backward()
    assert x.grad.tolist() == [28, 12]


# --- depth ----------------------------------------------------------------------------------------
DEEP = """
import cresset
x = cresset.ones(3, requires_grad=True)
y = x
for k in range(100_000):
    y = y * 1.0 if k % 2 else y.view(3)
y.sum().backward()
assert x.grad.tolist() == [1, 1, 1], x.grad
del y
z = x * 1
for _ in range(100_000):
    z.add_(1)
z.sum().backward(retain_graph=True)
(g,) = cresset.autograd.grad(z.sum() + x.sum(), x)
assert g.tolist() == [2, 2, 2]
z = x
for _ in range(100_000):
    z = cresset.sin(z)
del z
print("done")
"""


def test_graphs_may_be_deep():
    """A hundred thousand operations in forward, backward and deallocation."""
    run = subprocess.run([sys.executable, "-c", DEEP], capture_output=True, text=True, timeout=120)
    assert run.stdout == "done\n", (run.returncode, run.stderr[-2000:])


# --- checks ---------------------------------------------------------------------------------------
class WrongFirst(Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return g * x * 2.01


class WrongSecond(WrongFirst):
    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return g * x.detach() * 2


def test_gradcheck_finds_a_wrong_gradient():
    x = leaf(0.5, 1.5, dtype=cresset.float64)
    assert gradcheck(lambda x: x * x, (x,))
    with pytest.raises(RuntimeError, match="Jacobian mismatch"):
        gradcheck(WrongFirst.apply, (x,))
    assert gradcheck(WrongFirst.apply, (x,), raise_exception=False) is False
    with pytest.raises(ValueError, match="require"):
        gradcheck(lambda x: x * x, (x.detach(),))


def test_gradgradcheck_finds_a_wrong_second_gradient():
    x = leaf(0.5, 1.5, dtype=cresset.float64)
    assert gradgradcheck(lambda x: x * x * x, (x,))
    assert gradcheck(WrongSecond.apply, (x,))
    assert gradgradcheck(WrongSecond.apply, (x,), raise_exception=False) is False
    with pytest.raises(RuntimeError, match="Jacobian mismatch"):
        gradgradcheck(WrongSecond.apply, (x,))


def test_many_operands():
    """An outer loop may join more results than Python nests parentheses."""
    xs = [cresset.ones(2, requires_grad=True) for _ in range(700)]
    (cresset.stack(xs) * cresset.arange(700.0)[:, None]).sum().backward()
    cresset.cat(xs).sum().backward()
    assert [x.grad.tolist() for x in xs] == [[k + 1.0] * 2 for k in range(700)]
