"""Promotion: the whole table of types, and what operations make of tensors and numbers."""

import itertools
import json
from pathlib import Path

import numpy
import pytest

import cresset
from cresset.core import dtype as types

RECORDED = json.loads((Path(__file__).parent / "recorded" / "promotion.json").read_text())
NAMES = RECORDED["types"]
# PyTorch itself does not add unsigned integers wider than 8 bits.
WIDE = ("uint16", "uint32", "uint64")
COMPUTED = [d.name for d in types.COMPUTED if d.name not in WIDE]
NUMBERS = {"bool": True, "int": 2, "float": 0.5}


def table(name):
    """((a, b), what was recorded of them) for every pair of types."""
    for (i, a), (j, b) in itertools.product(enumerate(NAMES), repeat=2):
        yield (a, b), RECORDED[name][i][j]


def promoted(a, b):
    """The name of the type that two promote to, None where there is none."""
    try:
        return cresset.promote_types(getattr(cresset, a), getattr(cresset, b)).name
    except (RuntimeError, TypeError):
        return None


def test_the_record_holds_every_type():
    assert {d.name for d in types.ALL if d not in types.STORED} == set(NAMES)
    assert len(RECORDED["promote_types"]) == len(NAMES)


def test_promote_types_is_as_recorded():
    for (a, b), place in table("promote_types"):
        if place is not None:
            assert promoted(a, b) == NAMES[place], (a, b)
        elif getattr(cresset, a).category == getattr(cresset, b).category:
            # Of wide unsigned integers with others the array API standard knows more than PyTorch.
            common = numpy.promote_types(a, b)
            assert promoted(a, b) == (None if common.kind == "f" else common.name), (a, b)


def test_can_cast_is_as_recorded():
    for (a, b), answer in table("can_cast"):
        assert cresset.can_cast(getattr(cresset, a), getattr(cresset, b)) == bool(answer), (a, b)


def test_the_record_is_pytorchs(torch):
    for (a, b), place in table("promote_types"):
        try:
            found = torch.promote_types(getattr(torch, a), getattr(torch, b))
        except RuntimeError:
            assert place is None, (a, b)
        else:
            assert found is getattr(torch, NAMES[place]), (a, b)
    for (a, b), answer in table("can_cast"):
        assert torch.can_cast(getattr(torch, a), getattr(torch, b)) == bool(answer), (a, b)


def test_promotion_is_a_join():
    """Symmetric, idempotent, and never below its operands."""
    for (a, b), place in table("promote_types"):
        assert promoted(a, b) == promoted(b, a)
        assert promoted(a, a) == a
        if place is not None:
            result = promoted(a, b)
            assert promoted(result, a) == promoted(result, b) == result


def outcome(function):
    """The name of the result's type, or that there was an error."""
    try:
        name = str(function().dtype).removeprefix("torch.")
        # There is no complex type with parts of 16 bits: the next wider one stands for it.
        return "complex64" if name == "complex32" else name
    except (RuntimeError, TypeError, NotImplementedError):
        return "error"


def operands(package, name):
    """A type's tensor with dims and its zero-dim tensor."""
    d = getattr(package, name)
    return package.ones(2, dtype=d), package.ones((), dtype=d)


OPERATIONS = {
    "add": lambda a, b: a + b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / b,
    "gt": lambda a, b: a > b,
}


def compared(torch, make):
    """Fail with every case in which the packages make different types."""
    wrong = []
    for case, program in make:
        got, expected = outcome(lambda p=program: p(cresset)), outcome(lambda p=program: p(torch))
        if got != expected:
            wrong.append(f"{case}: {got}, PyTorch makes {expected}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_results_of_tensors(operation, torch):
    """Tensors with dims and zero-dim tensors of all types, in both orders."""
    apply = OPERATIONS[operation]

    def cases():
        some = ["bool", "uint8", "int64", "float32", "float64"]
        chosen = COMPUTED if operation == "add" else some
        for a, b in itertools.product(chosen, repeat=2):
            for i, j in itertools.product((0, 1), repeat=2):
                yield (a, "with dims" if i == 0 else "zero-dim", b, j), (
                    lambda p, a=a, b=b, i=i, j=j: apply(operands(p, a)[i], operands(p, b)[j])
                )

    compared(torch, cases())


@pytest.mark.parametrize("operation", OPERATIONS)
def test_results_with_numbers(operation, torch):
    apply = OPERATIONS[operation]

    def cases():
        chosen = COMPUTED if operation in ("add", "div") else COMPUTED[::3]
        for name, (kind, number), zero_dim in itertools.product(
            chosen, NUMBERS.items(), (False, True)
        ):
            yield (name, kind, zero_dim), (
                lambda p, n=name, v=number, z=zero_dim: apply(operands(p, n)[z], v)
            )
            yield (kind, name, zero_dim), (
                lambda p, n=name, v=number, z=zero_dim: apply(v, operands(p, n)[z])
            )

    compared(torch, cases())


def test_results_in_place(torch):
    """An in-place form keeps its type, or refuses."""

    def cases():
        for a, b in itertools.product(COMPUTED, repeat=2):
            yield (a, b), lambda p, a=a, b=b: operands(p, a)[0].add_(operands(p, b)[0])
        for a, (kind, number) in itertools.product(COMPUTED, NUMBERS.items()):
            yield (a, kind), lambda p, a=a, v=number: operands(p, a)[0].mul_(v)

    compared(torch, cases())


def test_float8_promotes_with_itself_alone(torch):
    for d in types.STORED:
        assert cresset.promote_types(d, d) is d
        x = cresset.ones(2).to(d)
        assert cresset.result_type(x, 0.5) is d
        assert torch.result_type(torch.ones(2).to(getattr(torch, d.name)), 0.5)
        for other in types.ALL:
            assert cresset.can_cast(d, other) == torch.can_cast(
                getattr(torch, d.name), getattr(torch, other.name))
            if other is not d:
                with pytest.raises(RuntimeError, match="Promotion for Float8 Types"):
                    cresset.promote_types(d, other)


@pytest.mark.parametrize("default", ["float16", "bfloat16", "float64"])
def test_the_default_type_may_be_any_computed_float(default, torch):
    """What numbers, integers and their quotients become under another default."""
    def cases():
        for name in ("bool", "uint8", "int64", "float16", "bfloat16", "float32"):
            for operation, apply in OPERATIONS.items():
                yield (name, operation), lambda p, n=name, f=apply: f(operands(p, n)[0], 0.5)
                yield (name, operation), lambda p, n=name, f=apply: f(operands(p, n)[1], 2)
            yield name, lambda p, n=name: operands(p, n)[0].exp()
            yield name, lambda p, n=name: p.finfo()
        yield "number", lambda p: p.tensor(0.5)
        yield "rows", lambda p: p.zeros(2)
        yield "range", lambda p: p.arange(0, 1, 0.5)

    for package in (cresset, torch):
        package.set_default_dtype(getattr(package, default))
    try:
        compared(torch, cases())
    finally:
        for package in (cresset, torch):
            package.set_default_dtype(package.float32)


def test_results_without_pytorch():
    """The rule in a few lines, also where nothing is there to compare with."""
    vector, scalar = cresset.ones(2, dtype=cresset.int32), cresset.ones((), dtype=cresset.float64)
    assert (vector + scalar).dtype is cresset.float64
    assert (cresset.ones(2) + scalar).dtype is cresset.float32
    assert (cresset.ones(2, dtype=cresset.uint8) + 2).dtype is cresset.uint8
    assert (cresset.ones(2, dtype=cresset.uint8) + 0.5).dtype is cresset.float32
    assert (cresset.ones(2, dtype=cresset.bool) + 1).dtype is cresset.int64
    assert (cresset.ones(2, dtype=cresset.bool) + True).dtype is cresset.bool
    assert (vector / 2).dtype is cresset.float32
    with pytest.raises(RuntimeError, match="can't be cast"):
        vector.add_(0.5)


def test_the_default_type_decides_what_numbers_become():
    before = cresset.get_default_dtype()
    try:
        cresset.set_default_dtype(cresset.float64)
        assert cresset.tensor(0.5).dtype is cresset.float64
        assert (cresset.ones(2, dtype=cresset.int64) + 0.5).dtype is cresset.float64
        assert (cresset.ones(2, dtype=cresset.int64) / 2).dtype is cresset.float64
    finally:
        cresset.set_default_dtype(before)
    with pytest.raises(TypeError):
        cresset.set_default_dtype(cresset.int64)
