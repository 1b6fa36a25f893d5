"""`cond`, `while_loop` and `scan`, as Python runs them."""

import pytest
from compiling import leaf

import cresset


def test_results_and_gradients_are_those_of_pytorch(torch):
    """Whose while_loop and scan need its compiler, so they are written out here."""

    def while_loop(cond_fn, body_fn, carried):
        while cond_fn(*carried):
            carried = body_fn(*carried)
        return carried

    def scan(combine_fn, carry, xs, dim, reverse):
        slices = [{name: x.select(dim, k) for name, x in xs.items()}
                  for k in range(xs["x"].shape[dim])]
        made = []
        for part in reversed(slices) if reverse else slices:
            carry, y = combine_fn(carry, part)
            made.append(y)
        ys = [torch.stack(parts) for parts in zip(*(made[::-1] if reverse else made))]
        return carry, [y.movedim(0, dim) if dim < y.ndim else y for y in ys]

    def results(lib, while_loop, scan, flag):
        w = lib.tensor([0.5, -1.5], requires_grad=True)
        x = lib.tensor([1.0, 2.0])
        chosen = [
            lib.cond(flag(k), lambda x: {"a": (x * w).sin()}, lambda x: {"a": x - w}, (x,))
            for k in (True, False)
        ]
        counted = while_loop(lambda n, x: x.sum() < 40, lambda n, x: (n + 1, x * 3),
                             (lib.tensor(0), x))
        rows = lib.arange(6.0).reshape(2, 3)

        def turn(carry, x):
            carry = carry * w + x["x"]
            return carry, (carry.cos(), carry.sum() * x["y"])

        scanned = [
            scan(turn, w * 2, {"x": rows, "y": rows[1:]}, dim=1, reverse=reverse)
            for reverse in (False, True)
        ]
        parts = [part["a"] for part in chosen]
        for carry, (a, b) in scanned:
            parts += [carry, a, b]
        sum((part * part).sum() for part in parts).backward()
        return [w.grad, *counted, *parts]

    found = results(cresset, cresset.while_loop, cresset.scan, cresset.tensor)
    for x, y in zip(found, results(torch, while_loop, scan, bool)):
        assert tuple(x.shape) == tuple(y.shape)
        assert x.detach().numpy() == pytest.approx(y.detach().numpy(), rel=1e-5)


def test_a_python_condition_runs_one_function_alone():
    assert cresset.cond(True, lambda: 1, lambda: 1 / 0) == 1
    assert cresset.while_loop(lambda n: n < 5, lambda n: (n + 2,), (1,)) == (5,)


def test_results_of_cond_are_new_tensors():
    x = cresset.ones(3)
    for function in (lambda x: x, lambda x: x[:], lambda x: x.t()):
        y = cresset.cond(x[0] > 0, function, function, (x,))
        y.zero_()
        assert x.tolist() == [1, 1, 1]


def test_gradients_of_gradients():
    x = leaf(2.0)

    def turn(carry, x):
        return carry * x, carry.sin() * x

    y = cresset.cond(x.sum() > 0, lambda x: x ** 3, lambda x: x, (x,))
    carry, ys = cresset.scan(turn, x[0], cresset.stack([x[0]] * 2))
    total = y.sum() + carry + ys.sum()
    (first,) = cresset.autograd.grad(total, x, create_graph=True)
    (second,) = cresset.autograd.grad(first.sum(), x)
    z = leaf(2.0)
    total = z ** 3 + z ** 3 + z.sin() * z + (z * z).sin() * z
    (expected,) = cresset.autograd.grad(total.sum(), z, create_graph=True)
    assert first.item() == pytest.approx(expected.item())
    (expected,) = cresset.autograd.grad(expected.sum(), z)
    assert second.item() == pytest.approx(expected.item(), rel=1e-5)


def test_the_graph_is_freed_and_kept_as_that_of_operations():
    x = leaf(3.0)
    y = cresset.cond(x.sum() > 0, lambda: x * x, lambda: x)
    assert y.grad_fn.name() == "CondBackward"
    y.sum().backward(retain_graph=True)
    y.sum().backward()
    assert x.grad.item() == 12
    with pytest.raises(RuntimeError, match="second time"):
        y.sum().backward()


def test_gradcheck_of_a_scan():
    def function(h, x, w):
        return cresset.scan(lambda h, x: ((h * w + x).tanh(), h * x), h, x, reverse=True)

    inputs = [cresset.randn(*shape, dtype=cresset.float64, requires_grad=True)
              for shape in ((3,), (4, 3), (3,))]
    assert cresset.autograd.gradcheck(function, inputs)


X = cresset.ones(2)
FLAG = cresset.tensor(True)
WRONG = {
    "two elements": (RuntimeError, "single-element", lambda: cresset.cond(X > 0, abs, abs, (X,))),
    "no flag": (RuntimeError, "of type bool", lambda: cresset.cond(X[0], abs, abs, (X,))),
    "text": (RuntimeError, "pred to be bool", lambda: cresset.cond("a", abs, abs, (X,))),
    "no function": (RuntimeError, "can be called", lambda: cresset.cond(FLAG, 3, abs, (X,))),
    "no tuple": (RuntimeError, "must be a tuple", lambda: cresset.cond(FLAG, abs, abs, X)),
    "a number": (RuntimeError, "got int", lambda: cresset.cond(FLAG, abs, abs, (3,))),
    "a result": (RuntimeError, "results must be", lambda: cresset.cond(FLAG, len, len, (X,))),
    "carried": (RuntimeError, "integers; got float",
                lambda: cresset.while_loop(lambda x: True, lambda x: (x,), (1.5,))),
    "carried alone": (RuntimeError, "write (x,)",
                      lambda: cresset.while_loop(lambda x: x.sum() > 0, lambda x: x, X)),
    "no answer": (RuntimeError, "cond_fn must return",
                  lambda: cresset.while_loop(lambda x: x, lambda x: (x,), (X,))),
    "another form": (RuntimeError, "in the same form",
                     lambda: cresset.while_loop(lambda x: x.sum() > 0, lambda x: x, (X,))),
    "another shape": (RuntimeError, r"got (2,) of torch.float32 and (1,)",
                      lambda: cresset.while_loop(lambda x: x.sum() > 0, lambda x: (x[:1],), (X,))),
    "another type": (RuntimeError, "torch.float64",
                     lambda: cresset.scan(lambda c, x: (c.double(), x), X, X)),
    "no pair": (RuntimeError, "must return (carry, y)",
                lambda: cresset.scan(lambda c, x: c, X, X)),
    "another y": (RuntimeError, "a y like that before",
                  lambda: cresset.scan(lambda c, x: (c, X[: int(x)]), X, cresset.arange(3))),
    "no turn": (RuntimeError, "not zero", lambda: cresset.scan(lambda c, x: (c, x), X, X[:0])),
    "two sizes": (RuntimeError, "one size along dim 0",
                  lambda: cresset.scan(lambda c, x: (c, x), X, (X, X[:1]))),
    "no dim": (IndexError, "Dimension out of range",
               lambda: cresset.scan(lambda c, x: (c, x), X, X, dim=1)),
    "no carry": (RuntimeError, "a tensor each", lambda: cresset.scan(lambda c, x: (c, x), (), X)),
}


@pytest.mark.parametrize("case", WRONG)
def test_errors(case):
    kind, message, call = WRONG[case]
    with pytest.raises(kind) as raised:
        call()
    assert message in str(raised.value)
    with pytest.raises(kind) as again:
        cresset.compile(lambda: call())()
    assert str(again.value) == str(raised.value)


def test_branches_that_differ_are_refused_where_both_are_seen():
    compiled = cresset.compile(
        lambda x: cresset.cond(x.sum() > 0, lambda x: x, lambda x: (x, x), (x,))
    )
    compiled(X)
    with pytest.raises(RuntimeError, match="true_fn and false_fn must return in the same form"):
        compiled(X)
    compiled = cresset.compile(
        lambda x: cresset.cond(x.sum() > 0, lambda x: x, lambda x: x.long(), (x,))
    )
    compiled(X)
    with pytest.raises(RuntimeError, match="same shapes and types"):
        compiled(X)
