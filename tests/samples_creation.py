"""Samples of new tensors: made, converted, random."""

from __future__ import annotations

from operands import above_one, index, positive, probability, real
from sample import TYPES, Type, sample


def conversion():
    yield sample("clone", real(2, 3))
    yield sample("Tensor.contiguous", real(2, 3))
    for name in TYPES:
        yield sample("Tensor.to", real(2, 5), Type(name)).constant()
    for name in ("float", "double", "bool", "byte", "char", "short", "int", "long"):
        yield sample(f"Tensor.{name}", real(2, 5)).constant()
    yield sample("Tensor.to", real(2, 3), real(2).__class__((2,), dtype="float64"))
    yield sample("Tensor.to", real(2, 3), dtype=Type("float64"), copy=True)
    yield sample("Tensor.type", real(2, 3), Type("float64"))
    yield sample("Tensor.type_as", real(2, 3), index(1, below=2))
    yield sample("Tensor.copy_", real(2, 3), real(3)).writing()
    yield sample("Tensor.copy_", real(2, 3), index(2, 3, below=4)).writing()
    yield sample("Tensor.fill_", real(2, 3), 2).writing()
    yield sample("Tensor.fill_", real(2, 3), real()).writing()
    yield sample("fill", real(2, 3), 1.5)
    yield sample("Tensor.zero_", real(2, 3)).writing()


def creation():
    for arguments in ((5,), (1, 10, 3), (5, 0, -2), (0.0, 1.0, 0.3), (2, 2), (-3, 4, 2.5)):
        yield sample("arange", *arguments)
    yield sample("arange", 7, dtype=Type("float64"))
    yield sample("arange", 1000, dtype=Type("int32"))
    for arguments in ((0, 1, 5), (-3.0, 7.0, 101), (2, 3, 1), (0, 1, 0), (10, 0, 7)):
        yield sample("linspace", *arguments).within(1, 1)
    yield sample("logspace", 0, 3, 4).within(8)
    yield sample("eye", 3)
    yield sample("eye", 2, 4, dtype=Type("int64"))
    for name in ("zeros", "ones"):
        yield sample(name, 2, 3)
        yield sample(name, (2, 0), dtype=Type("bool"))
        yield sample(name, ())
        yield sample(f"{name}_like", real(2, 3))
        yield sample(f"{name}_like", real(2, 3), dtype=Type("int64"))
        yield sample(f"Tensor.new_{name}", real(2), (3, 1))
    for value in (2, 1.5, True):
        yield sample("full", (2, 3), value)
    yield sample("full", (), 2.5, dtype=Type("int64"))
    yield sample("full_like", real(2, 3), 7)
    yield sample("Tensor.new_full", real(2), (3,), 2)
    for data in (3, 2.5, True, [], [[1, 2], [3, 4]], [1, 2.5], [[True], [False]], [[], []],
                 [float("nan"), float("inf")]):
        yield sample("tensor", data)
        yield sample("tensor", data, dtype=Type("float64"))
    yield sample("scalar_tensor", 3)


def random():
    for size in ((5,), (3, 7), (100,), (0,), ()):
        yield sample("rand", size).drawn().within(0)
        yield sample("randn", size).drawn().within(4, 0.1)
        yield sample("randint", 3, 9, size).drawn()
    yield sample("rand", 4, dtype=Type("float64")).drawn()
    yield sample("randn", 20, dtype=Type("float64")).drawn().within(4, 0.1)
    yield sample("randperm", 20).drawn()
    yield sample("rand_like", real(2, 3)).drawn()
    yield sample("randn_like", real(2, 3)).drawn().within(4, 0.1)
    yield sample("randint_like", real(2, 3), 5).drawn()
    yield sample("bernoulli", probability(2, 8)).drawn()
    yield sample("normal", 1.0, 2.0, (3, 7)).drawn().within(4, 1)
    for means in (real(3, 7), real()):
        yield sample("normal", means, 2.0).drawn().within(4, 9)
        yield sample("normal", 1.0, probability(3, 7)).drawn().within(4, 2)
        yield sample("normal", means, probability(3, 7)).drawn().within(4, 9)
    yield sample("bernoulli", probability(2, 8), 0.3).drawn()
    yield sample("multinomial", probability(2, 5), 4, True).drawn()
    yield sample("multinomial", probability(2, 5), 4).drawn()
    yield sample("multinomial", probability(7), 1).drawn()
    yield sample("poisson", positive(3, 4)).drawn()
    yield sample("binomial", above_one(3, 4), probability(3, 4)).drawn()
    yield sample("Tensor.log_normal_", real(20), 0.5, 0.25).writing().drawn().within(4, 4)
    yield sample("Tensor.cauchy_", real(20), 1, 2).writing().drawn().within(4, 9)
    yield sample("Tensor.exponential_", real(20), 1.5).writing().drawn().within(4, 1)
    yield sample("Tensor.geometric_", real(20), 0.3).writing().drawn()
    for name in ("alpha_dropout", "feature_alpha_dropout", "feature_dropout"):
        yield sample(name, real(4, 8, 2), 0.3, True).drawn().within(4, 9)
    yield sample("rrelu", real(4, 8), training=True).drawn().within(4)
    yield sample("nn.functional.dropout", real(4, 8), 0.3).drawn().within(1)
    yield sample("Tensor.uniform_", real(10), -1, 2).writing().drawn().within(1, 1)
    yield sample("Tensor.normal_", real(20), 1, 2).writing().drawn().within(4, 1)
    yield sample("Tensor.random_", real(10), 20).writing().drawn()
    yield sample("Tensor.bernoulli_", real(10), 0.4).writing().drawn()
