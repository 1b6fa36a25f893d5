"""The table of samples: the calls by which every operation is tested.

A sample is a call by the name that PyTorch has for it, on operands that `operands.py` describes. Its
tolerance is stated beside it, in units in the last place of the result's type: none means exactly
equal. What the tests make of a sample stands in `test_operations.py`.
"""

from __future__ import annotations

import operator
from dataclasses import dataclass, field, replace
from functools import reduce

import numpy as np
from operands import (
    Operand,
    above_one,
    few_bits,
    index,
    nonzero,
    positive,
    probability,
    real,
    truth,
    unit,
)

TYPES = ("float32", "float64", "int64", "int32", "int16", "int8", "uint8", "bool")


class Type(str):
    """The name of an element type among a sample's arguments."""


@dataclass(frozen=True)
class Sample:
    """A call, and what is to be expected of it.

    Results may differ by `ulps` units in the last place of the expected value or of `scale`,
    whichever is greater. `meaning` is the same function of NumPy's, where it has one.
    """

    name: str
    args: tuple
    keywords: dict = field(default_factory=dict)
    number: int = 0
    ulps: float = 0.0
    scale: float = 0.0
    meaning: object = None
    elementwise: bool = False
    differentiable: bool = True
    writes: bool = False
    seeded: bool = False
    judged: int = 0

    def within(self, ulps, scale=0.0):
        """The results may differ by so much."""
        return replace(self, ulps=ulps, scale=scale)

    def constant(self):
        """The gradient is not checked: differences say nothing about it."""
        return replace(self, differentiable=False)

    def writing(self):
        """The result is the first operand after the call."""
        return replace(self, writes=True)

    def by_values(self):
        """Only the first result counts: which of equal elements is named is left open."""
        return replace(self, judged=1)

    def drawn(self):
        """The results are random numbers: both generators are seeded before the call."""
        return replace(self, seeded=True, differentiable=False)

    @property
    def id(self):
        return f"{self.name}-{self.number}"

    @property
    def operands(self):
        return list(_operands((self.args, tuple(self.keywords.values()))))

    def function(self, package, name=None):
        """What the sample calls, in PyTorch or in a package that has its names."""
        return reduce(getattr, (name or self.name).split("."), package)

    def call(self, package, tensors, name=None, **more):
        """The result of the call on tensors of the package that stand for the operands."""
        if self.seeded:
            package.manual_seed(0)
        tensors = iter(tensors)
        args = _filled(self.args, tensors, package)
        keywords = {k: _filled(v, tensors, package) for k, v in self.keywords.items()}
        if self.writes:
            args = (args[0].clone(), *args[1:])
        result = self.function(package, name)(*args, **keywords, **more)
        return args[0] if self.writes else result


def _operands(thing):
    if isinstance(thing, Operand):
        yield thing
    elif isinstance(thing, (tuple, list)):
        for part in thing:
            yield from _operands(part)


def _filled(thing, tensors, package):
    if isinstance(thing, Operand):
        return next(tensors)
    if isinstance(thing, Type):
        return getattr(package, thing)
    if isinstance(thing, (tuple, list)):
        return type(thing)(_filled(part, tensors, package) for part in thing)
    return thing


def sample(name, *args, **keywords):
    return Sample(name, args, keywords)


BROADCAST = [(2, 1, 3), (2, 1), (3,)]


def elementwise(name, *args, ulps=0.0, scale=0.0, meaning=None, differentiable=True, **keywords):
    """Samples of an elementwise operation; where an operand stands, a function that makes it.

    All operands of one shape, without dims, without elements, and, where there are several, of
    shapes that broadcast.
    """
    tensors = [a for a in args if callable(a)]

    def of(shapes):
        shapes = iter(shapes)
        placed = tuple(a(*next(shapes)) if callable(a) else a for a in args)
        return Sample(name, placed, keywords, 0, ulps, scale, meaning, True, differentiable)

    yield of([(2, 5)] * len(tensors))
    if len(tensors) > 1:
        yield of(BROADCAST)
        yield of([(2, 3), *[()] * len(tensors)])
    yield of([()] * len(tensors))
    yield replace(of([(3, 37)] * len(tensors)), differentiable=False)
    yield replace(of([(0, 3)] * len(tensors)), differentiable=False)


def reduction(name, *, dims=(None, 0, -1, (0, 2)), operand=real, ulps=0.0, scale=0.0,
              meaning=None, differentiable=True, empty=True):
    """Samples of a reduction: of everything, over some dims, kept or not, of nothing."""
    def of(*args, **keywords):
        return Sample(name, args, keywords, 0, ulps, scale, meaning, False, differentiable)

    for dim in dims:
        if dim is None:
            yield of(operand(2, 3, 4))
            yield of(operand())
            yield of(operand(1))
        else:
            yield of(operand(2, 3, 4), dim)
            yield of(operand(2, 3, 4), dim, keepdim=True)
    yield of(operand(), 0)
    if empty:
        yield replace(of(operand(0, 3), 0), differentiable=False)
    yield replace(of(operand(3, 0), 0), differentiable=False)
    for n in (1, 7, 8, 17, 33, 100):
        yield replace(of(operand(n, 3), 0), differentiable=False)
        yield replace(of(operand(3, n), 1), differentiable=False)
    if None in dims:
        yield replace(of(operand(1001)), differentiable=False)


def _arithmetic():
    for name, meaning in {"add": np.add, "sub": np.subtract, "mul": np.multiply}.items():
        yield from elementwise(name, real, real, meaning=meaning)
        yield from elementwise(name, real, 2, meaning=meaning)
        yield from elementwise(name, real, 0.7, ulps=1)
    for name in ("add", "sub", "rsub"):
        yield from elementwise(name, real, real, alpha=2, ulps=1, scale=9)
    yield from elementwise("Tensor.__rsub__", real, 3)
    yield from elementwise("div", real, nonzero, meaning=np.divide)
    yield from elementwise("div", nonzero, 4)
    yield from elementwise("div", real, nonzero, rounding_mode="floor")
    yield from elementwise("div", real, nonzero, rounding_mode="trunc")
    yield from elementwise("true_divide", real, nonzero, meaning=np.true_divide)
    yield from elementwise("Tensor.__rtruediv__", nonzero, 2, ulps=1)
    yield from elementwise("floor_divide", real, nonzero, meaning=np.floor_divide)
    yield from elementwise("floor_divide", real, 2)
    yield from elementwise("Tensor.__rfloordiv__", nonzero, 5)
    yield from elementwise("remainder", real, nonzero, meaning=np.remainder, ulps=1, scale=3)
    yield from elementwise("remainder", real, 2)
    yield from elementwise("Tensor.__rmod__", nonzero, 5, ulps=1, scale=5)
    yield from elementwise("fmod", real, nonzero, meaning=np.fmod)
    yield from elementwise("fmod", real, 2)
    yield from elementwise("neg", real, meaning=np.negative)
    yield from elementwise("positive", real, meaning=np.positive)
    yield from elementwise("abs", real, meaning=np.abs)
    yield from elementwise("sign", real, meaning=np.sign)
    yield from elementwise("square", real, meaning=np.square)
    yield from elementwise("reciprocal", nonzero)
    yield from elementwise("sqrt", positive, ulps=1, meaning=np.sqrt)
    yield from elementwise("rsqrt", positive, ulps=1)
    for name in ("floor", "ceil", "trunc"):
        yield from elementwise(name, real, meaning=getattr(np, name))
    yield from elementwise("frac", real)
    yield from elementwise("round", real, meaning=np.round)
    yield from elementwise("round", real, decimals=1)
    yield from elementwise("pow", positive, real, ulps=4)
    for exponent in (0, 1, 2, 3, -1, 0.5, -0.5, 2.5, 5):
        yield from elementwise("pow", positive, exponent, ulps=4)
    yield from elementwise("pow", 2, real, ulps=4)
    yield from elementwise("Tensor.__rpow__", real, 2, ulps=4)
    whole = {"differentiable": False}
    for name in ("bitwise_and", "bitwise_or", "bitwise_xor"):
        yield from elementwise(name, real, real, meaning=getattr(np, name), **whole)
        yield from elementwise(name, real, 5, **whole)
    yield from elementwise("bitwise_not", real, **whole)
    yield from elementwise("bitwise_left_shift", few_bits, few_bits, **whole)
    yield from elementwise("bitwise_right_shift", real, few_bits, **whole)
    yield from elementwise("addcmul", real, real, real, ulps=2, scale=9)
    yield from elementwise("addcmul", real, real, real, value=2, ulps=2, scale=9)
    yield from elementwise("addcdiv", real, real, nonzero, ulps=2, scale=9)
    yield from elementwise("addcdiv", real, real, nonzero, value=0.5, ulps=2, scale=9)
    yield from elementwise("lerp", real, real, unit, ulps=4, scale=6)
    yield from elementwise("lerp", real, real, 0.25, ulps=4, scale=6)


def _comparison():
    for name in ("eq", "ne", "lt", "le", "gt", "ge"):
        long = {"eq": "equal", "ne": "not_equal", "lt": "less", "le": "less_equal",
                "gt": "greater", "ge": "greater_equal"}[name]
        yield from elementwise(name, real, real, meaning=getattr(np, long))
        yield from elementwise(name, real, 1)
        yield from elementwise(name, real, 0.5)
    for name in ("isnan", "isinf", "isfinite", "logical_not"):
        yield from elementwise(name, real, meaning=getattr(np, name))
    for name in ("logical_and", "logical_or", "logical_xor", "maximum", "minimum"):
        yield from elementwise(name, real, real, meaning=getattr(np, name))
    yield from elementwise("where", truth, real, real, meaning=np.where)
    yield from elementwise("where", truth, real, 2)
    yield from elementwise("where", truth, 0.5, real)
    yield from elementwise("Tensor.where", real, truth, real)
    yield from elementwise("clamp", real, -1, 1)
    yield from elementwise("clamp", real, 0.5)
    yield from elementwise("clamp", real, max=0.5)
    yield from elementwise("clamp", real, unit, above_one)
    yield from elementwise("clamp_min", real, 1)
    yield from elementwise("clamp_max", real, 1)
    yield from elementwise("masked_fill", real, truth, 2)
    yield sample("masked_fill", real(2, 3), truth(3), real())
    yield from elementwise("max", real, real)
    yield from elementwise("min", real, real)


def _exponential():
    domains = {
        "exp": real, "exp2": real, "expm1": real, "log": positive, "log2": positive,
        "log10": positive, "log1p": positive, "sin": real, "cos": real, "tan": unit,
        "sinh": real, "cosh": real, "tanh": real, "erf": real, "erfc": real, "erfinv": unit,
        "lgamma": positive, "digamma": positive, "sigmoid": real,
    }
    for name, domain in domains.items():
        yield from elementwise(name, domain, ulps=4, scale=0.1 if name in NEAR_ZERO else 0.0,
                               meaning=getattr(np, name, None))
    for name, domain in {"asin": unit, "acos": unit, "atan": real, "asinh": real,
                         "acosh": above_one, "atanh": unit}.items():
        yield from elementwise(name, domain, ulps=4, meaning=getattr(np, "arc" + name[1:]))
    yield from elementwise("atan2", real, nonzero, ulps=4, meaning=np.arctan2)
    yield from elementwise("logaddexp", real, real, ulps=4, scale=1, meaning=np.logaddexp)
    yield from elementwise("logit", probability, ulps=4)
    yield from elementwise("logit", probability, eps=0.2, ulps=4)
    yield from elementwise("xlogy", real, positive, ulps=4)


# Functions with zeros that PyTorch itself computes with an absolute error.
NEAR_ZERO = ("lgamma", "digamma")


def _activation():
    for name in ("relu", "relu6", "hardtanh", "hardsigmoid", "hardswish", "hardshrink",
                 "softshrink", "softsign", "leaky_relu"):
        yield from elementwise(f"nn.functional.{name}", real, ulps=2)
    for name in ("elu", "celu", "selu", "gelu", "silu", "mish", "softplus", "logsigmoid",
                 "tanhshrink"):
        yield from elementwise(f"nn.functional.{name}", real, ulps=8, scale=0.1)
    yield from elementwise("relu", real)
    yield from elementwise("nn.functional.leaky_relu", real, 0.3, ulps=1)
    yield from elementwise("nn.functional.elu", real, 0.7, ulps=8)
    yield from elementwise("nn.functional.celu", real, 0.7, ulps=8)
    yield from elementwise("nn.functional.gelu", real, approximate="tanh", ulps=8, scale=1)
    yield from elementwise("nn.functional.softplus", real, 2.0, 3.0, ulps=8)
    yield from elementwise("nn.functional.hardtanh", real, -0.4, 1.3)
    yield from elementwise("nn.functional.threshold", real, 0.4, -2.0)
    yield from elementwise("nn.functional.hardshrink", real, 1.1)
    yield from elementwise("nn.functional.softshrink", real, 1.1, ulps=1)
    yield sample("nn.functional.prelu", real(2, 3, 2), real(3))
    yield sample("nn.functional.prelu", real(2, 3), real(1))


def _reductions():
    dims = (None, 0, -1)
    yield from reduction("sum", ulps=4, scale=30, meaning=np.sum)
    yield from reduction("mean", ulps=4, scale=3, meaning=np.mean)
    yield from reduction("prod", dims=dims, operand=nonzero, ulps=200, meaning=np.prod)
    yield from reduction("amax", meaning=np.max, empty=False)
    yield from reduction("amin", meaning=np.min, empty=False)
    yield from reduction("all", meaning=np.all)
    yield from reduction("any", meaning=np.any)
    yield from reduction("count_nonzero", dims=(None, 0, (0, 2)), meaning=np.count_nonzero)
    for name in ("argmax", "argmin"):
        yield from reduction(name, dims=dims, meaning=getattr(np, name), empty=False)
    for name in ("max", "min"):
        yield from reduction(name, dims=dims, empty=False)
    yield from reduction("median", dims=dims, empty=False)
    for name in ("var", "std"):
        yield from reduction(name, ulps=8, scale=3, differentiable=True)
        yield sample(name, real(3, 4), 1, correction=0).within(8, 3)
        yield sample(name, real(3, 4), 1, unbiased=False).within(8, 3)
        yield sample(f"{name}_mean", real(3, 4), 0).within(8, 3)
    yield sample("logsumexp", real(3, 4), 1).within(4)
    yield sample("logsumexp", real(3, 4), (0, 1), keepdim=True).within(4)
    yield sample("aminmax", real(3, 4))
    yield sample("aminmax", real(3, 4), dim=1, keepdim=True)
    yield sample("norm", real(3, 4)).within(4)
    for p in (0, 1, 2, 3, float("inf"), -float("inf")):
        yield sample("norm", nonzero(3, 4), p, dim=1).within(8)
    yield sample("norm", real(3, 4), dim=0, keepdim=True).within(4)
    yield sample("sum", real(2, 3), dtype=Type("float64"))
    yield sample("sum", real(2, 3), 1, dtype=Type("int32"))
    yield sample("prod", real(2, 3), 1, dtype=Type("float64")).within(4)
    yield sample("mean", real(2, 3), dtype=Type("float64")).within(4)
    yield sample("prod", real(2, 0))


def _ordering():
    for name in ("cumsum", "cumprod"):
        yield sample(name, nonzero(7), 0).within(8, 30)
        yield sample(name, nonzero(2, 3, 2), 1).within(8, 30)
        yield sample(name, nonzero(2, 3), -1).within(8, 30)
        yield sample(name, nonzero(), 0)
        yield sample(name, nonzero(0, 3), 0).constant()
        yield sample(name, nonzero(2, 20), -1).within(64, 100).constant()
        yield sample(name, nonzero(20, 3), 0).within(64, 100).constant()
        yield sample(name, real(3), 0, dtype=Type("float64")).within(8, 30)
    yield sample("sort", real(7)).by_values()
    yield sample("sort", real(2, 4), 0, descending=True).by_values()
    yield sample("sort", real(3, 17), -1).by_values().constant()
    yield sample("sort", real(3, 40), 1, stable=True).constant()
    yield sample("sort", real())
    yield sample("sort", real(0, 3), 0).constant()
    yield sample("argsort", real(7))
    yield sample("argsort", real(2, 4), 0, True)
    yield sample("topk", unit(7), 3).by_values()
    yield sample("topk", unit(2, 5), 2, 1, False).by_values()
    yield sample("topk", unit(5, 2), 2, 0).by_values()
    yield sample("topk", unit(4), 0).constant()
    yield sample("kthvalue", unit(7), 3).by_values()
    yield sample("kthvalue", unit(2, 5), 2, 0, True).by_values()
    yield sample("median", real(2, 5), 1).by_values()


def _views():
    x = real(2, 3, 4)
    yield sample("permute", x, (2, 0, 1))
    yield sample("permute", x, (-1, 0, 1))
    yield sample("permute", real(), ())
    yield sample("Tensor.permute", x, 1, 0, 2)
    yield sample("transpose", x, 0, -1)
    yield sample("transpose", real(), 0, -1)
    yield sample("swapaxes", x, 0, 1)
    yield sample("movedim", x, 0, 2)
    yield sample("movedim", x, (0, 1), (2, 0))
    for shape in ((2, 3), (3,), ()):
        yield sample("t", real(*shape))
    yield sample("Tensor.T.__get__", real(2, 3))
    yield sample("Tensor.mT.__get__", x)
    for shape in ((6, 4), (-1,), (2, 3, 2, 2), (2, -1, 1, 4), (1, 2, 12, 1)):
        yield sample("Tensor.view", x, *shape)
        yield sample("reshape", x, shape)
    yield sample("Tensor.view", real(0, 3), 3, 0)
    yield sample("Tensor.view", real(1), ())
    yield sample("Tensor.view_as", x, real(4, 6))
    yield sample("Tensor.reshape_as", x, real(4, 6))
    yield sample("narrow", x, 1, 1, 2)
    yield sample("narrow", x, -1, -3, 2)
    yield sample("narrow", x, 0, 2, 0)
    yield sample("select", x, 1, 2)
    yield sample("select", x, -1, -4)
    for dim in (0, 3, -1, -4):
        yield sample("unsqueeze", x, dim)
    yield sample("unsqueeze", real(), 0)
    for dim in ((), (0,), (1,), (-1,), ((0, 2),)):
        yield sample("squeeze", real(1, 3, 1), *dim)
    yield sample("squeeze", real(), 0)
    yield sample("Tensor.expand", real(3, 1), 2, 3, 4)
    yield sample("Tensor.expand", real(3, 1), -1, 4)
    yield sample("Tensor.expand", real(), 2, 3)
    yield sample("Tensor.expand", real(1, 3), 0, 3).constant()
    yield sample("Tensor.expand_as", real(3, 1), real(2, 3, 4))
    yield sample("broadcast_to", real(3, 1), (2, 3, 2))
    yield sample("broadcast_tensors", real(3, 1), real(2))
    yield sample("as_strided", real(12), (2, 3), (4, 1))
    yield sample("as_strided", real(12), (2, 3), (2, 1), 3)
    yield sample("as_strided", real(12), (), (), 5)
    for dims in ((), (1,), (0, 1), (-2, -1), (1, 1)):
        yield sample("flatten", x, *dims)
    yield sample("flatten", real())
    yield sample("unflatten", real(2, 6), 1, (2, -1))
    yield sample("ravel", x)
    yield sample("unbind", x)
    yield sample("unbind", x, -1)
    yield sample("split", real(5, 2), 2)
    yield sample("split", real(2, 5), (1, 0, 4), 1)
    yield sample("split", real(0, 3), 2).constant()
    yield sample("chunk", real(7), 3)
    yield sample("chunk", real(2, 5), 4, -1)
    for arguments in ((), (1,), (-1,), (3,), (-5,), (0, -1, 0), (1, 2, 1)):
        yield sample("diagonal", x, *arguments)
    yield sample("Tensor.unfold", real(7), 0, 3, 2)
    yield sample("Tensor.unfold", real(2, 5), -1, 2, 2)
    yield sample("Tensor.unfold", real(5), 0, 3, 1)
    yield sample("Tensor.unfold", real(), 0, 1, 1)


INDICES = {
    "an integer": 1,
    "a negative integer": -1,
    "integers": (0, 2),
    "a slice": slice(1, None),
    "a slice with a step": (slice(None), slice(None, None, 2)),
    "a slice beyond the end": slice(1, 100),
    "an empty slice": slice(2, 1),
    "a negative bound": (Ellipsis, slice(-3, -1)),
    "None": (None, 1, None),
    "an ellipsis": (Ellipsis, 0),
    "an ellipsis that is nothing": (0, 1, Ellipsis, 2),
    "everything": Ellipsis,
    "nothing": (),
    "a vector": index(3, below=2),
    "a matrix": index(2, 2, below=2),
    "two vectors": (index(4, below=2), index(4, below=3)),
    "vectors that broadcast": (index(2, 1, below=2), index(3, below=3)),
    "a vector in the middle": (slice(None), index(2, below=3)),
    "a vector at the end": (Ellipsis, index(2, below=4)),
    "vectors around a slice": (index(2, below=2), slice(None), index(2, below=4)),
    "vectors around an integer": (index(2, below=2), 1, index(2, below=4)),
    "a vector and an integer": (index(2, below=2), 1),
    "a vector and None": (index(2, below=2), None),
    "a vector after a slice": (slice(0, 1), index(2, below=3)),
    "a list": [1, 0, 1],
    "a list beside a slice": (slice(None), [2, 0]),
    "a negative vector": [-1, 0],
    "a mask": truth(2, 3, 4),
    "a mask of the first dim": truth(2),
    "a mask in the middle": (slice(None), truth(3)),
    "a mask of two dims": truth(2, 3),
    "a zero-dim mask": truth(),
    "True": True,
    "an empty list": [],
}


def _indexing():
    for place in INDICES.values():
        yield sample("Tensor.__getitem__", real(2, 3, 4), place)
        yield sample("Tensor.__setitem__", real(2, 3, 4), place, 1.5).writing()
        yield sample("Tensor.__setitem__", real(2, 3, 4), place, real()).writing()
    yield sample("Tensor.__setitem__", real(2, 3), 1, real(3)).writing()
    yield sample("Tensor.__setitem__", real(2, 3), slice(None), real(1, 2, 3)).writing()
    yield sample("Tensor.__setitem__", real(4, 3), [3, 0], real(2, 1)).writing()
    yield sample("Tensor.__setitem__", real(2, 3), truth(2, 3), 0).writing()
    yield sample("Tensor.__getitem__", real(0, 3), index(0, below=1)).constant()
    for dim, shape in ((0, (3, 2)), (1, (2, 3)), (-2, (2, 3, 2)), (0, (3,))):
        places = index(4, below=3)
        source = list(shape)
        source[dim] = 4
        yield sample("index_select", real(*shape), dim, places)
        yield sample("index_add", real(*shape), dim, places, real(*source)).within(2, 9)
        distinct = index(1, below=3)
        source[dim] = 1
        yield sample("index_copy", real(*shape), dim, distinct, real(*source))
        yield sample("index_fill", real(*shape), dim, distinct, 2)
    yield sample("index_select", real(3, 2), 0, index(0, below=1)).constant()
    yield sample("gather", real(3, 4), 1, index(3, 2, below=4))
    yield sample("gather", real(3, 4), 0, index(2, 4, below=3))
    yield sample("gather", real(3, 4), 0, index(2, 3, below=3))
    yield sample("gather", real(2, 3, 2), -2, index(2, 3, 1, below=3))
    yield sample("gather", real(), 0, index(below=1))
    yield sample("gather", real(3, 4), 0, index(0, 4, below=1)).constant()
    yield sample("scatter_add", real(3, 4), 1, index(3, 2, below=4), real(3, 3)).within(2, 9)
    yield sample("scatter_add", real(3, 4), 0, index(2, 3, below=3), real(2, 4)).within(2, 9)
    yield sample("scatter", real(3, 4), 1, index(3, 1, below=4), real(3, 1))
    yield sample("scatter", real(3, 4), 1, index(3, 1, below=4), 2)
    yield sample("scatter", real(3, 4), 1, index(3, 2, below=4), value=2)
    yield sample("scatter", real(4, 3), 0, index(3, 3, below=4), real(3, 3), reduce="add"
                 ).within(2, 9).constant()
    yield sample("take_along_dim", real(3, 4), index(3, 2, below=4), 1)
    yield sample("take_along_dim", real(3, 4), index(1, 2, below=4), 1)
    yield sample("take_along_dim", real(3, 4), index(5, below=12))
    yield sample("nn.functional.embedding", index(2, 3, below=4), real(4, 2))
    yield sample("nn.functional.embedding", index(5, below=4), real(4, 2), padding_idx=1
                 ).constant()
    yield sample("nn.functional.one_hot", index(2, 3, below=4), 5)
    yield sample("nn.functional.one_hot", index(4, below=4))
    for shape in ((7,), (2, 3), ()):
        yield sample("nonzero", truth(*shape))
        yield sample("nonzero", real(*shape), as_tuple=True)
        yield sample("masked_select", real(*shape), truth(*shape))
    yield sample("masked_select", real(3, 1), truth(2))
    yield sample("argwhere", truth(2, 3))
    yield sample("masked_scatter", real(2, 3), truth(2, 3), real(6))
    yield sample("masked_scatter", real(2, 3), truth(3), real(2, 3))
    yield sample("index_put", real(3, 2), (index(4, below=3),), real(4, 2), True).within(2, 9)
    yield sample("index_put", real(3, 2), (index(1, below=3), index(1, below=2)), real(1))


def _conversion():
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
    yield sample("tril", real(3, 4))
    yield sample("tril", real(2, 3, 3), -1)
    yield sample("triu", real(4, 3), 1)


def _creation():
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
        yield sample(name)
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


def _joining():
    yield sample("cat", (real(2, 3), real(1, 3), real(0, 3)))
    yield sample("cat", [real(2, 3), real(2, 1)], -1)
    yield sample("cat", (real(2, 3), index(1, 3, below=4)))
    yield sample("cat", (real(0), real(2, 3)), 1)
    yield sample("cat", (real(5),))
    yield sample("stack", (real(2, 3), real(2, 3)))
    yield sample("stack", (real(2), real(2), real(2)), -1)
    yield sample("stack", (real(), real()))
    yield sample("hstack", (real(2), real(3)))
    yield sample("hstack", (real(2, 1), real(2, 2)))
    yield sample("vstack", (real(3), real(2, 3)))
    yield sample("Tensor.repeat", real(2, 3), 2, 1, 2)
    yield sample("Tensor.repeat", real(3), 0).constant()
    yield sample("tile", real(2, 3), (2,))
    yield sample("repeat_interleave", real(2, 3), 2)
    yield sample("repeat_interleave", real(2, 3), 2, 1)
    yield sample("repeat_interleave", real(3, 2), index(3, below=3), 0)
    yield sample("roll", real(2, 3), 1)
    yield sample("roll", real(2, 3), (1, -2), (0, 1))
    yield sample("flip", real(2, 3), (0,))
    yield sample("flip", real(2, 3), (0, -1))
    for mode in ("constant", "reflect", "replicate", "circular"):
        yield sample("nn.functional.pad", real(1, 2, 4), (2, 1), mode)
        yield sample("nn.functional.pad", real(1, 1, 3, 4), (2, 1, 1, 0), mode)
    yield sample("nn.functional.pad", real(2, 4), (1, -2, 0, 1), "constant", 1.5)
    yield sample("meshgrid", real(2), real(3), indexing="ij")
    yield sample("meshgrid", real(2), real(3), real(2), indexing="xy")


def _products():
    shapes = [
        ((2, 3), (3, 4)), ((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 2)), ((2, 2, 3), (2, 3, 2)),
        ((2, 1, 2, 3), (3, 3, 1)), ((2, 2, 3), (3,)), ((3,), (2, 3, 2)), ((1, 1), (1, 1)),
    ]
    for left, right in shapes:
        yield sample("matmul", real(*left), real(*right)).within(8, 10)
    for left, right in [((0, 3), (3, 2)), ((2, 0), (0, 3)), ((17, 33), (33, 9)),
                        ((7, 100), (100, 20)), ((3, 8, 5), (3, 5, 16))]:
        yield sample("matmul", real(*left), real(*right)).within(16, 100).constant()
    yield sample("mm", real(2, 3), real(3, 2)).within(8, 10)
    yield sample("bmm", real(2, 2, 3), real(2, 3, 2)).within(8, 10)
    yield sample("mv", real(2, 3), real(3)).within(8, 10)
    yield sample("dot", real(5), real(5)).within(8, 10)
    yield sample("outer", real(2), real(3))
    yield sample("addmm", real(3), real(2, 3), real(3, 3)).within(8, 10)
    yield sample("addmm", real(2, 3), real(2, 2), real(2, 3), beta=2, alpha=3).within(8, 30)
    yield sample("baddbmm", real(2, 2, 2), real(2, 2, 3), real(2, 3, 2)).within(8, 10)
    yield sample("nn.functional.linear", real(2, 3), real(4, 3)).within(8, 10)
    yield sample("nn.functional.linear", real(2, 2, 3), real(2, 3), real(2)).within(8, 10)
    yield sample("nn.functional.linear", real(3), real(2, 3), real(2)).within(8, 10)
    yield sample("nn.functional.linear", real(9, 33), real(17, 33), real(17)
                 ).within(16, 50).constant()
    yield sample("nn.functional.bilinear", real(2, 2), real(2, 3), real(2, 2, 3), real(2)
                 ).within(16, 30)
    for equation, *terms in (
        ("ij,jk->ik", (2, 3), (3, 2)), ("ij,kj", (2, 3), (2, 3)), ("bij,bjk->bik", (2, 2, 3),
        (2, 3, 2)), ("i,j->ij", (2,), (3,)), ("ii->i", (3, 3)), ("ii", (3, 3)), ("ij->ji", (2, 3)),
        ("ij->", (2, 3)), ("i,i,i->", (3,), (3,), (3,)), ("bhi,bhj->bij", (2, 2, 2), (2, 2, 3)),
        ("ab,b->a", (2, 3), (3,)), ("...ij,...jk->...ik", (2, 2, 3), (2, 3, 2)),
    ):
        yield sample("einsum", equation, *[real(*term) for term in terms]).within(8, 20)


def _normalization():
    for name in ("softmax", "log_softmax"):
        for shape, dim in (((2, 5), -1), ((3, 4), 0), ((2, 3, 2), 1), ((), 0), ((1, 1), 1)):
            yield sample(name, real(*shape), dim).within(8)
        for n in (3, 7, 16, 33, 100):
            yield sample(name, real(3, n), 1).within(8).constant()
            yield sample(name, real(n, 3), 0).within(8).constant()
        yield sample(name, real(2, 3), 1, Type("float64")).within(8)
    functional = "nn.functional."
    x = real(2, 3, 4)
    yield sample(functional + "layer_norm", x, (4,)).within(16, 1)
    yield sample(functional + "layer_norm", x, (4,), real(4), real(4)).within(16, 3)
    yield sample(functional + "layer_norm", real(3, 2, 2), (2, 2), real(2, 2), None).within(16, 3)
    yield sample(functional + "layer_norm", real(5, 33), (33,), real(33), real(33), 0.1
                 ).within(16, 3).constant()
    yield sample(functional + "rms_norm", x, (4,)).within(16, 1)
    yield sample(functional + "rms_norm", x, (4,), real(4), 0.1).within(16, 3)
    running = Operand((3,), 0.5, 1.5)
    yield sample(functional + "batch_norm", x, running, running).within(16, 3).constant()
    yield sample(functional + "batch_norm", x, running, running, real(3), real(3)
                 ).within(16, 3).constant()
    yield sample(functional + "batch_norm", x, None, None, real(3), real(3), True).within(32, 3)
    yield sample(functional + "batch_norm", real(5, 3), None, None, training=True).within(32, 3)
    yield sample(functional + "group_norm", real(2, 4, 3), 2).within(32, 1)
    yield sample(functional + "group_norm", real(2, 4, 3), 2, real(4), real(4)).within(32, 3)
    yield sample(functional + "instance_norm", x).within(32, 1)


def _losses():
    functional = "nn.functional."
    for reduction_name in ("mean", "sum", "none"):
        how = {"reduction": reduction_name}
        for name in ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss"):
            yield sample(functional + name, real(2, 3), real(2, 3), **how).within(8, 10)
        logits = functional + "binary_cross_entropy_with_logits"
        yield sample(logits, real(2, 3), probability(2, 3), **how).within(8, 4)
        yield sample(functional + "binary_cross_entropy", probability(2, 3), probability(2, 3),
                     **how).within(16, 10)
        yield sample(functional + "kl_div", real(2, 3), probability(2, 3), **how).within(8, 10)
        yield sample(functional + "cross_entropy", real(4, 3), index(4, below=3), **how
                     ).within(8, 10)
        yield sample(functional + "cross_entropy", real(2, 3, 2), index(2, 2, below=3), **how
                     ).within(8, 10)
        yield sample(functional + "cross_entropy", real(4, 3), index(4, below=3), positive(3),
                     ignore_index=1, label_smoothing=0.1, **how).within(16, 10)
        yield sample(functional + "cross_entropy", real(4, 3), probability(4, 3), **how
                     ).within(16, 10)
        yield sample(functional + "nll_loss", real(4, 3), index(4, below=3), **how).within(8, 10)
        yield sample(functional + "nll_loss", real(4, 3), index(4, below=3), positive(3),
                     ignore_index=2, **how).within(8, 10)
    yield sample(functional + "smooth_l1_loss", real(2, 3), real(2, 3), beta=0.5).within(8, 10)
    yield sample(functional + "huber_loss", real(2, 3), real(2, 3), delta=0.5).within(8, 10)
    yield sample(logits, real(2, 3), probability(2, 3), pos_weight=positive(3)).within(8, 10)
    yield sample(functional + "kl_div", real(2, 3), real(2, 3), log_target=True,
                 reduction="batchmean").within(8, 10)
    yield sample(functional + "cross_entropy", real(3), index(below=3)).within(8, 10)
    yield sample(functional + "cross_entropy", real(4, 3), index(4, below=3), ignore_index=1
                 ).within(8, 10)


def _attention():
    name = "nn.functional.scaled_dot_product_attention"
    q, k, v = real(2, 3, 2), real(2, 4, 2), real(2, 4, 2)
    yield sample(name, q, k, v).within(16, 3)
    yield sample(name, q, k, v, scale=0.3).within(16, 3)
    yield sample(name, q, k, v, truth(3, 4)).within(16, 3)
    yield sample(name, q, k, v, real(3, 4)).within(16, 3)
    yield sample(name, real(1, 2, 3, 2), real(1, 2, 3, 2), real(1, 2, 3, 2), is_causal=True
                 ).within(16, 3)
    yield sample(name, real(1, 2, 2, 2), real(1, 1, 2, 2), real(1, 1, 2, 2), enable_gqa=True
                 ).within(16, 3)


def _random():
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
    yield sample("multinomial", probability(2, 5), 4, True).drawn()
    yield sample("nn.functional.dropout", real(4, 8), 0.3).drawn().within(1)
    yield sample("Tensor.uniform_", real(10), -1, 2).writing().drawn().within(1, 1)
    yield sample("Tensor.normal_", real(20), 1, 2).writing().drawn().within(4, 1)
    yield sample("Tensor.random_", real(10), 20).writing().drawn()
    yield sample("Tensor.bernoulli_", real(10), 0.4).writing().drawn()


FAMILIES = (_arithmetic, _comparison, _exponential, _activation, _reductions, _ordering, _views,
            _indexing, _conversion, _creation, _joining, _products, _normalization, _losses,
            _attention, _random)


def _numbered(found):
    counts: dict = {}
    for each in found:
        counts[each.name] = counts.get(each.name, -1) + 1
        yield replace(each, number=counts[each.name])


SAMPLES = list(_numbered(each for family in FAMILIES for each in family()))

# Operations that no public name calls by its own: {the operation: the sample that runs it}.
INTERNAL = {
    "cube": "pow", "power": "pow", "reverse_power": "Tensor.__rpow__", "trunc_divide": "div",
}

# Modules of operations that have their own tests.
ELSEWHERE = {"cresset.ops.convolution": "test_convolution", "cresset.ops.pooling": "test_pooling"}
