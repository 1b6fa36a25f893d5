"""In-place writes to views and their live aliases: small programs run here and by PyTorch."""

import pytest

import cresset


def program_of(table):
    """Decorator: enter a function (package, x, w) -> result into a table by its name."""

    def enter(function):
        table[function.__name__] = function
        return function

    return enter


PROGRAMS: dict = {}
program = program_of(PROGRAMS)
# What PyTorch refuses, or gets wrong, and we do.
ALLOWED: dict = {}
allowed = program_of(ALLOWED)
# What both refuse.
REFUSED: dict = {}
refused = program_of(REFUSED)


@program
def whole(package, x, w):
    y = x * 2
    y.mul_(w)
    return y


@program
def whole_after_reading(package, x, w):
    y = x.sin()
    z = y + 1
    y.add_(w)
    return y * z


@allowed
def by_itself(package, x, w):
    y = x * w
    y.mul_(y)
    return y


@allowed
def squared_twice(package, x, w):
    y = x * w
    y *= y
    y *= y
    return y


@refused
def chain_of_unary(package, x, w):
    return (x * w).sin_().exp_().neg_().tanh_()


@program
def row(package, x, w):
    y = x * 1
    y[0].mul_(w[1])
    return y * y


@program
def item(package, x, w):
    y = x * 1
    y[1, 2] = w[0, 0] * 3
    return y * y


@program
def slice_of_numbers(package, x, w):
    y = x * w
    y[:, 1:3] = 5.0
    return y * y


@program
def zeroed(package, x, w):
    y = x * w
    y.zero_()
    return y + x


@refused
def filled(package, x, w):
    y = x.exp()
    y[0].fill_(2.0)
    return y * w


@program
def copied_over(package, x, w):
    y = x * 2
    y.copy_(w)
    return y * y


@program
def copied_from_a_row(package, x, w):
    y = x * 2
    y.copy_(w[0])
    return y * x


@program
def view_made_before(package, x, w):
    y = x * 1
    view = y[0]
    y.mul_(w)
    return view * view


@program
def base_after_view(package, x, w):
    y = x * 1
    view = y.t()
    view.mul_(w.t())
    return y * view.t()


@program
def sibling_views(package, x, w):
    y = x * 1
    a, b = y[0], y.view(-1)
    a.mul_(w[0])
    b.add_(w.view(-1))
    return (y * y).sum() + (a * 2).sum() + (b * 3).sum()


@program
def view_of_a_view(package, x, w):
    y = x * 1
    a = y[:2]
    b = a[:, 1]
    b.mul_(w[:2, 0])
    a.add_(1)
    return (y * y).sum() + (a * b[0]).sum()


@program
def overlapping_views(package, x, w):
    y = (x * 1).view(-1)
    a, b = y[:8], y[4:]
    a.mul_(w.view(-1)[:8])
    b.mul_(w.view(-1)[4:])
    return (a * a).sum() + (b * 3).sum() + y.sum()


@allowed
def overlapping_source(package, x, w):
    y = (x * w).view(-1)
    y[1:] += y[:-1]
    return y * y


@allowed
def shifted(package, x, w):
    y = (x * w).view(-1)
    y[1:] = y[:-1]
    return y * y


@allowed
def transposed_source(package, x, w):
    y = (x * w)[:, :3]
    y.copy_(y.t())
    return y * y


@allowed
def base_without_history(package, x, w):
    y = package.zeros(3, 4, dtype=x.dtype)
    view = y[1]
    y[0] = x[0] * 2
    view.add_(w[1])
    return y * y + view


@program
def view_without_history(package, x, w):
    y = package.ones(3, 4, dtype=x.dtype)
    a, b = y.view(-1), y[2]
    b.mul_(x[2])
    return (a * a).sum() + (y * w).sum()


@program
def buffer_in_a_loop(package, x, w):
    y = package.zeros(3, 4, dtype=x.dtype)
    for k in range(3):
        y[k] = x[k] * w[2 - k] + y[k - 1]
    return y


@refused
def state_in_a_loop(package, x, w):
    y = x * 1
    for k in range(5):
        y[k % 3] += y[(k + 1) % 3].detach() * w[k % 3]
    return y


@program
def expanded_reader(package, x, w):
    y = x * 1
    wide = y[0].expand(3, 4)
    y.mul_(w)
    return wide * x


@program
def diagonal_written(package, x, w):
    y = x * w
    y.diagonal().mul_(2).add_(x.diagonal())
    return y * y


@program
def unfolded_reader(package, x, w):
    y = x * 1
    windows = y.unfold(1, 2, 1)
    y[:, 1].mul_(w[:, 1])
    return windows * windows


@program
def permuted_written(package, x, w):
    y = (x * 1).view(3, 2, 2)
    y.permute(2, 0, 1)[0].mul_(w[:, :2])
    return y * y


@program
def strided_written(package, x, w):
    y = x * 1
    y.as_strided((2, 2), (4, 2), 1).mul_(w[:2, :2])
    return y * y


@program
def detached_reader(package, x, w):
    y = x * 1
    seen = y.detach()
    y.mul_(w)
    return y * seen.clone()


@program
def masked(package, x, w):
    y = x * w
    y.masked_fill_(y > 0, 2.0)
    return y * w


@program
def masked_item(package, x, w):
    y = x * w
    y[x > 0] = 0.5
    return y * y


@program
def indexed_item(package, x, w):
    y = x * 1
    y[[0, 2]] = w[:2] * 2
    return y * y


@program
def accumulated_rows(package, x, w):
    y = x * 1
    y.index_add_(0, package.tensor([0, 2]), w[:2])
    return y * y


@program
def added_products(package, x, w):
    y = x * 1
    y.addcmul_(x, w, value=2)
    return y * y


@program
def clamped(package, x, w):
    return (x * w).clamp_(-0.5, 0.5) * x


@program
def promoted_scalar(package, x, w):
    y = x * 1
    y.mul_(w[0, 0]).div_(2)
    return y


@program
def rectified(package, x, w):
    return package.nn.functional.relu(x * w, inplace=True) * w


@program
def without_recording(package, x, w):
    y = x * 1
    with package.no_grad():
        y.mul_(w)
    return y * 2


@program
def made_to_require(package, x, w):
    y = package.ones(3, 4, dtype=x.dtype)
    y += x
    y *= w
    return y * y


@program
def pieces_read(package, x, w):
    y = x * 1
    y.mul_(w)
    a, b, c = y.unbind(0)
    return a * b + c


@refused
def slice_written_twice(package, x, w):
    y = x * 1
    part = y[:, ::2]
    part *= w[:, ::2]
    part += part * part
    return y * part.sum()


@program
def squeezed_written(package, x, w):
    y = x[:, :1] * 1
    y.squeeze(1).mul_(w[:, 0])
    y.unsqueeze(0).add_(1)
    return y * y


@program
def flattened_written(package, x, w):
    y = x * 1
    y.flatten()[3:7] = w.flatten()[:4]
    return y * y


@program
def gradient_of_a_view_and_its_base(package, x, w):
    y = x * w
    view = y[1:]
    total = (view * 2).sum()
    y.add_(1)
    return total + (view * x[1:]).sum()


@refused
def leaf_written(package, x, w):
    x.add_(1)
    return x


@refused
def view_of_leaf_written(package, x, w):
    x[0].add_(1)
    return x


@allowed
def piece_written(package, x, w):
    y = x * 1
    a, _, _ = y.unbind(0)
    a.mul_(2)
    return y


@refused
def saved_overwritten(package, x, w):
    y = x.exp()
    z = y * w
    y.add_(1)
    return y + z


@refused
def view_saved_overwritten(package, x, w):
    y = x * 1
    z = y[0] * w[0]
    y.mul_(2)
    return z


@refused
def expanded_written(package, x, w):
    y = (x[:, :1] * 1).expand(3, 4)
    y.mul_(w)
    return y


def outcome(package, function, second=False):
    """The result and the gradients of a program, as lists."""
    x, w = (package.tensor([[0.1 * (5 * i + 3 * j * j) * sign - 0.7 + shift for j in range(4)]
                            for i in range(3)], dtype=package.float64, requires_grad=True)
            for sign, shift in ((1, 0.0), (-1, 1.5)))
    y = function(package, x, w)
    weight = (package.arange(y.numel(), dtype=package.float64) * 0.7 + 0.3).view(y.shape)
    loss = (y * weight).sum()
    found = package.autograd.grad(loss, (x, w), create_graph=second, allow_unused=True)
    if second:
        total = sum((g * g).sum() for g in found if g is not None)
        if not total.requires_grad:
            return [y.tolist(), None]
        found = package.autograd.grad(total, (x, w), allow_unused=True)
    return [y.tolist(), *(g if g is None else g.tolist() for g in found)]


def close(a, b):
    if a is None or b is None:
        return a is b
    if isinstance(a, list):
        return len(a) == len(b) and all(map(close, a, b))
    return a == pytest.approx(b, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("name", PROGRAMS)
def test_gradients_agree_with_pytorch(name, torch):
    got, expected = (outcome(package, PROGRAMS[name]) for package in (cresset, torch))
    for part, wanted in zip(got, expected):
        assert close(part, wanted), f"got {got}\nexpected {expected}"


@pytest.mark.parametrize("name", PROGRAMS)
def test_second_gradients_agree_with_pytorch(name, torch):
    got, expected = (outcome(package, PROGRAMS[name], True) for package in (cresset, torch))
    for part, wanted in zip(got, expected):
        assert close(part, wanted), f"got {got}\nexpected {expected}"


@pytest.mark.parametrize("name", REFUSED)
def test_refused_as_by_pytorch(name, torch):
    for package in (torch, cresset):
        with pytest.raises(RuntimeError):
            outcome(package, REFUSED[name])


# What is not recorded is not in the gradient.
UNRECORDED = {"without_recording", "detached_reader"}


@pytest.mark.parametrize("name", sorted((PROGRAMS | ALLOWED).keys() - UNRECORDED))
def test_gradients_are_limits_of_differences(name):
    program = PROGRAMS.get(name) or ALLOWED[name]
    x = (cresset.arange(12, dtype=cresset.float64) * 0.17 - 0.83).view(3, 4).requires_grad_()
    w = (cresset.arange(12, dtype=cresset.float64) * -0.13 + 1.21).view(3, 4).requires_grad_()
    assert cresset.autograd.gradcheck(lambda x, w: program(cresset, x, w), (x, w))
