"""Tensors that take on a view of themselves: their layouts, histories and older views."""

import pytest

import cresset
from cresset import tensor

CHANGES = [
    ("unsqueeze_", (1,)), ("squeeze_", ()), ("squeeze_", (0,)), ("squeeze_", ((0, 2),)),
    ("transpose_", (0, 1)), ("swapaxes_", (0, -1)), ("swapdims_", (1, 2)),
    ("as_strided_", ((2, 2), (1, 2), 1)),
]


@pytest.mark.parametrize(("name", "arguments"), CHANGES)
def test_it_shows_what_the_view_shows(name, arguments):
    x = cresset.arange(6).view(1, 3, 2)
    view = getattr(x, name[:-1])(*arguments)
    assert getattr(x, name)(*arguments) is x
    assert x.shape == view.shape
    assert x.stride() == view.stride()
    assert x.data_ptr() == view.data_ptr()
    assert x.tolist() == view.tolist()


def test_matrices_transpose():
    x = cresset.arange(6).view(2, 3)
    assert x.t_().stride() == (1, 3)
    with pytest.raises(RuntimeError, match="t: expects a tensor with <= 2 dimensions; got 3"):
        x.unsqueeze_(0).t_()
    assert x.shape == (1, 3, 2)


def weights():
    return cresset.arange(6.0).view(2, 3).requires_grad_()


def test_the_history_goes_on():
    w = weights()
    x = w * 2
    x.unsqueeze_(0)
    x.mul_(3)
    (x * x).sum().backward()
    assert w.grad.tolist() == [[0, 72, 144], [216, 288, 360]]


def test_older_views_see_later_writes():
    w = weights()
    x = w * 1
    row = x[0]
    x.t_()
    x.mul_(2)
    (grad,) = cresset.autograd.grad((row * row).sum() + x.sum(), w)
    assert grad.tolist() == [[2, 10, 18], [2, 2, 2]]


def test_writes_through_older_views_are_seen():
    w = weights()
    x = w * 1
    row = x[0]
    x.t_()
    row.mul_(2)
    assert x.tolist() == [[0, 3], [2, 4], [4, 5]]
    (grad,) = cresset.autograd.grad((x * x).sum(), w)
    assert grad.tolist() == [[0, 8, 16], [6, 8, 10]]


def test_pieces_are_views_of_what_was():
    w = cresset.arange(6.0).requires_grad_()
    x = w * 1
    first, second = x.split(3)
    x.unsqueeze_(0)
    x.mul_(2)
    (grad,) = cresset.autograd.grad((second * second).sum() + first.sum(), w)
    assert grad.tolist() == [2, 2, 2, 24, 32, 40]


def test_a_changed_view_stays_a_view_of_its_base():
    w = cresset.arange(3.0).requires_grad_()
    base = cresset.zeros(2, 3)
    row = base[0]
    row.unsqueeze_(0)
    row.add_(w)
    assert base.tolist() == [[0, 1, 2], [0, 0, 0]]
    (grad,) = cresset.autograd.grad((base * base).sum(), w)
    assert grad.tolist() == [0, 2, 4]


def test_leaves_refuse_it():
    w = cresset.ones(3, requires_grad=True)
    with pytest.raises(RuntimeError, match="unsqueeze_: a leaf Variable that requires grad"):
        w.unsqueeze_(0)
    assert w.shape == (3,)
    with cresset.no_grad():
        w.unsqueeze_(0)
    assert w.shape == (1, 3)
    assert w.is_leaf
    assert w.requires_grad


def test_what_was_saved_is_no_longer_there():
    w = cresset.ones(3, requires_grad=True)
    x = w * 2
    y = x * x
    x.unsqueeze_(0)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


def test_a_view_that_cannot_be_found_again_is_an_error():
    x = tensor([[1.0, 2.0], [3.0, 4.0]])
    row = x[0]
    x.t_()
    x.mul_(cresset.ones(2, requires_grad=True))
    with pytest.raises(RuntimeError, match="changed in shape in place"):
        row.sum()


def test_views_of_leaves_that_are_views_refuse_writes():
    part = cresset.zeros(4)[:2].requires_grad_()
    with pytest.raises(RuntimeError, match="a view of a leaf Variable"):
        part[0].mul_(2)
