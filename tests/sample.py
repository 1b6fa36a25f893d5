"""Samples: calls by which operations are tested, and what is to be expected of them.

A sample is a call by the name that PyTorch has for it, on operands that `operands.py` describes.
Its tolerance is stated beside it, in units in the last place of the result's type: none means
exactly equal. The table of them stands in `samples.py`, what the tests make of a sample in
`test_operations.py`.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field, replace
from functools import reduce
from zlib import crc32

from agreement import arrays, tensor_of
from operands import ARRANGEMENTS, Operand, build, real

TYPES = ("float32", "float64", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8",
         "bool")
COMMON_TYPES = ("float32", "int64")


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
    every_type: bool = False
    apart: bool = False
    finite: bool = False

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

    def without_ties(self):
        """Gradients are not compared at ties and bounds, where PyTorch's are not the function's."""
        return replace(self, apart=True)

    def drawn(self):
        """The results are random numbers: both generators are seeded before the call."""
        return replace(self, seeded=True, differentiable=False)

    @property
    def id(self):
        return f"{self.name}-{self.number}"

    @property
    def key(self):
        """The sample's name in a file; another where the call is another."""
        call = repr((self.args, self.keywords))
        return f"{self.id} {crc32(call.encode()):08x}"

    @property
    def types(self):
        """The element types to call it with: all of them where it leads."""
        if any(o.dtype == "complex" for o in self.operands):
            return ("float32", "float64") if self.leads else COMMON_TYPES[:1]
        if all(o.dtype is not None for o in self.operands):
            return COMMON_TYPES[:1]
        return TYPES if self.leads else COMMON_TYPES if self.elementwise else COMMON_TYPES[:1]

    @property
    def leads(self):
        """Whether it is the first sample of its form; those after it differ in shapes alone."""
        return self.every_type or not self.number

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


def built(sample, dtype, arrangement="plain"):
    """The sample's operands as arrays."""
    made = [build(o, dtype, seed) for seed, o in enumerate(sample.operands)]
    return ARRANGEMENTS[arrangement](made)


def run(sample, package, operands, **how):
    """The arrays that a sample gives on arrays, or the error that it raises."""
    tensors = [tensor_of(package, a) for a in operands]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return arrays(sample.call(package, tensors, **how))
    except Exception as error:
        return error


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

    yield replace(of([(2, 5)] * len(tensors)), every_type=True)
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
            yield replace(of(operand(2, 3, 4), dim), every_type=dim == 0)
            yield of(operand(2, 3, 4), dim, keepdim=True)
            yield of(operand(3, 2, 1), dim)
    yield of(operand(), 0)
    if empty:
        yield replace(of(operand(0, 3), 0), differentiable=False)
    yield replace(of(operand(3, 0), 0), differentiable=False)
    for n in (1, 7, 8, 17, 33, 100):
        yield replace(of(operand(n, 3), 0), differentiable=False)
        yield replace(of(operand(3, n), 1), differentiable=False)
    if None in dims:
        yield replace(of(operand(1001)), differentiable=False)
