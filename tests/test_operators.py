"""Operators beside operands of other classes, which may answer them, as Python has it."""

import operator
from decimal import Decimal
from enum import IntEnum

import numpy
import pytest

import cresset

REFLECTED = {
    operator.add: "__radd__", operator.sub: "__rsub__", operator.mul: "__rmul__",
    operator.truediv: "__rtruediv__", operator.floordiv: "__rfloordiv__", operator.mod: "__rmod__",
    operator.pow: "__rpow__", operator.matmul: "__rmatmul__", operator.and_: "__rand__",
    operator.or_: "__ror__", operator.xor: "__rxor__", operator.lshift: "__rlshift__",
    operator.rshift: "__rrshift__", operator.eq: "__eq__", operator.ne: "__ne__",
    operator.lt: "__gt__", operator.le: "__ge__", operator.gt: "__lt__", operator.ge: "__le__",
    operator.iadd: "__radd__", operator.isub: "__rsub__", operator.imul: "__rmul__",
    operator.itruediv: "__rtruediv__", operator.ior: "__ror__",
}


@pytest.mark.parametrize("apply", REFLECTED, ids=lambda f: f.__name__)
def test_another_class_may_answer(apply):
    x = cresset.ones(2)
    answering = type("Answering", (), {REFLECTED[apply]: lambda self, other: other is x})()
    assert apply(x, answering) is True


@pytest.mark.parametrize("apply", REFLECTED, ids=lambda f: f.__name__)
def test_a_class_without_an_answer(apply):
    x, other = cresset.ones(2), object.__new__(type("Other", (), {}))
    if apply in (operator.eq, operator.ne):
        assert apply(x, other) is (apply is operator.ne)
    else:
        with pytest.raises(TypeError):
            apply(x, other)
        with pytest.raises(TypeError):
            apply(other, x)


@pytest.mark.parametrize("other", [None, "x", [1.0, 1.0], (1,), {}], ids=repr)
def test_pythons_own_are_unequal_and_nothing_else(other):
    x = cresset.ones(2)
    assert (x == other) is False and (x != other) is True and (other == x) is False
    for apply in (operator.add, operator.lt, operator.matmul, operator.iadd):
        with pytest.raises(TypeError, match="make a tensor of it|unsupported"):
            apply(x, other)


@pytest.mark.parametrize("apply", [
    operator.add, operator.sub, operator.mul, operator.truediv, operator.pow, operator.matmul,
    operator.mod, operator.floordiv, operator.iadd, operator.imul, operator.eq,
], ids=lambda f: f.__name__)
def test_arrays_on_the_right(apply, torch):
    for kind in (numpy.float32, numpy.float64, numpy.int64):
        array = numpy.array([3, 2], dtype=kind)
        x, y = cresset.tensor([1.0, 2.0]), torch.tensor([1.0, 2.0])
        found, expected = apply(x, array), apply(y, array)
        assert type(found) is cresset.Tensor and str(found.dtype) == str(expected.dtype)
        assert found.tolist() == expected.tolist()


@pytest.mark.parametrize("number", [
    numpy.float64(2), numpy.float32(2), numpy.float16(2), numpy.int64(2), numpy.uint8(2),
    numpy.complex128(2j), IntEnum("Two", {"two": 2}).two,
], ids=repr)
@pytest.mark.parametrize("kind", ["float32", "int64", "bool"])
def test_numbers_of_numpy_are_numbers(number, kind, torch):
    ones, theirs = (m.ones(2, dtype=getattr(m, kind)) for m in (cresset, torch))
    for apply in (operator.mul, operator.add, operator.truediv, operator.eq,
                  lambda x, y: y * x, lambda x, y: y + x, lambda x, y: x.clone().float().mul_(y)):
        try:
            expected = apply(theirs, number)
        except (RuntimeError, TypeError):
            continue
        found = apply(ones, number)
        assert str(found.dtype) == str(expected.dtype) and found.tolist() == expected.tolist()
    if not numpy.iscomplexobj(number):
        found, expected = (
            [m.full((2,), number), m.clamp(x, max=number), m.pow(x, number)]
            for m, x in ((cresset, ones.float()), (torch, theirs.float()))
        )
        assert [x.tolist() for x in found] == [x.tolist() for x in expected]


def test_numpys_truths_are_pythons():
    x = cresset.arange(2)
    assert (x * numpy.True_).tolist() == [0, 1] and (x == numpy.True_).tolist() == [False, True]


def test_arrays_have_no_gradients():
    x = cresset.ones(2, requires_grad=True)
    with pytest.raises(RuntimeError, match="requires grad"):
        x * numpy.ones(2)
    assert ((x == numpy.ones(2)) & ~(x != numpy.ones(2))).all()


def test_functions_and_methods_take_tensors_and_numbers():
    x = cresset.ones(2)
    for call in (lambda: x.mul(numpy.ones(2)), lambda: cresset.eq(x, None), lambda: x * Decimal(2),
                 lambda: cresset.pow(x, "2"), lambda: x.add_(object())):
        with pytest.raises(TypeError):
            call()
