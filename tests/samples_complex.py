"""Samples of complex operands: complex64 where others run with float32, complex128 with float64.

PyTorch's errors are those of the size of a number, not of each of its parts; so are tolerances.
"""

from __future__ import annotations

import numpy as np
from operands import Operand, index, off_axes, plane, positive, real, truth
from sample import Type, elementwise, reduction, sample


def once(name, *args, **keywords):
    """The call in one shape: an elementwise sample without those that differ in shapes alone."""
    return sample(name, *[a(2, 3) if callable(a) else a for a in args], **keywords)


def arithmetic():
    for name, meaning in {"add": np.add, "sub": np.subtract, "mul": np.multiply}.items():
        yield from elementwise(name, plane, plane, ulps=2, meaning=meaning)
        yield once(name, plane, real).within(2)
        yield once(name, plane, 2).within(2)
        yield once(name, plane, 0.5 - 2j).within(2)
        yield once(name, real, 0.5 - 2j).within(2)
    for name in ("add", "sub", "rsub"):
        yield once(name, plane, plane, alpha=2j).within(2, 9)
    yield once("Tensor.__rsub__", plane, 3j)
    yield from elementwise("div", plane, off_axes, ulps=4, meaning=np.divide)
    yield once("div", real, off_axes).within(4)
    yield once("div", plane, 4 + 3j).within(4)
    yield once("div", plane, 4).within(4)
    yield once("Tensor.__rtruediv__", off_axes, 2j).within(4)
    yield once("neg", plane)
    yield once("positive", plane)
    yield from elementwise("abs", plane, ulps=2, meaning=np.abs)
    yield once("square", plane).within(2)
    yield once("reciprocal", off_axes).within(4)
    for exponent in (0, 1, 2, 3, 4, -1, -2, 0.5, -0.5, 2.5, 1.5 - 0.5j):
        yield once("pow", off_axes, exponent).within(16)
    yield once("pow", off_axes, plane).within(64)
    yield once("pow", positive, plane).within(64)
    yield once("pow", 2, plane).within(16)
    yield once("Tensor.__rpow__", plane, 2).within(16)
    yield once("addcmul", plane, plane, plane, value=2j).within(4, 20)
    yield once("addcdiv", plane, plane, off_axes, value=2j).within(4, 20)
    yield once("lerp", plane, plane, 0.3).within(4, 5)


def functions():
    yield from elementwise("exp", plane, ulps=8, scale=0.1)
    yield from elementwise("sqrt", off_axes, ulps=8, scale=0.1)
    for name in ("expm1", "sin", "cos", "tan", "sinh", "cosh", "tanh", "sigmoid"):
        yield once(name, plane).within(8, 0.1)
    yield once("exp2", plane).within(16)
    yield once("sinc", off_axes).within(16, 1)
    yield once("logaddexp", plane, plane).within(8, 1)
    for name in ("log", "log2", "log10", "log1p", "rsqrt", "asin", "acos", "atan", "asinh",
                 "acosh", "atanh"):
        yield once(name, off_axes).within(8, 0.1)
    yield from elementwise("sgn", real)
    yield once("sgn", off_axes).within(2)
    yield once("angle", off_axes).within(4)
    yield from elementwise("angle", real)
    yield once("ldexp", plane, real).within(4, 4)
    for name in ("eq", "ne"):
        yield once(name, plane, plane).constant()
        yield once(name, plane, 1j).constant()
    for name in ("isnan", "isinf", "isfinite", "isreal", "logical_not"):
        yield once(name, plane).constant()
    yield from elementwise("where", truth, plane, plane)
    yield once("where", truth, real, plane)
    yield once("masked_fill", plane, truth, 1 - 2j)


def parts():
    for shape in ((2, 3), (), (0, 2)):
        for name in ("real", "imag", "view_as_real", "conj", "conj_physical", "resolve_conj",
                     "resolve_neg", "is_conj", "is_neg", "is_complex"):
            yield sample(name, plane(*shape))
        yield sample("complex", real(*shape), real(*shape))
        yield sample("polar", positive(*shape), real(*shape)).within(2, 3)
        yield sample("view_as_complex", real(*shape, 2))
    for name in ("real", "conj", "conj_physical", "is_complex"):
        yield sample(name, real(2, 3))
    yield sample("complex", real(2, 1), real(3))
    yield sample("adjoint", plane(2, 3))
    yield sample("adjoint", plane(2, 3, 2))
    yield sample("adjoint", real(2, 3))


def small(*shape):
    return Operand(shape, -0.9, 0.9, 0.2, "complex")


def reductions():
    dims = (None, 0, -1)
    yield from reduction("sum", dims=dims, operand=plane, ulps=4, scale=60, meaning=np.sum)
    yield from reduction("mean", dims=dims, operand=plane, ulps=4, scale=6, meaning=np.mean)
    yield from reduction("prod", dims=dims, operand=small, ulps=300, meaning=np.prod)
    yield from reduction("all", dims=dims, operand=plane, meaning=np.all)
    yield from reduction("any", dims=dims, operand=plane, meaning=np.any)
    for name in ("var", "std"):
        yield sample(name, plane(3, 4)).within(8, 3)
        yield sample(name, plane(3, 4), -1, keepdim=True).within(8, 3)
        yield sample(name, plane(3, 4), (0, 1), correction=0).within(8, 3)
    yield sample("count_nonzero", plane(3, 4), 0)
    yield sample("logsumexp", plane(3, 4), 1).within(8, 1)
    yield sample("logcumsumexp", plane(7), 0).within(16, 2)
    yield sample("logcumsumexp", plane(2, 3, 2), 1).within(16, 2)
    yield sample("norm", plane(3, 4)).within(4)
    for p in (1, 2, 3, float("inf")):
        yield sample("norm", off_axes(3, 4), p, dim=1).within(8)
    yield sample("sum", plane(2, 3), 1, dtype=Type("complex128"))
    for name in ("cumsum", "cumprod"):
        yield sample(name, off_axes(7), 0).within(16, 60)
        yield sample(name, off_axes(2, 3, 2), 1).within(16, 60)
        yield sample(name, off_axes(2, 3), -1).within(16, 60)
        yield sample(name, off_axes(), 0)
        yield sample(name, off_axes(0, 3), 0).constant()


def products():
    for x, y in (((2, 3), (3, 2)), ((3,), (3,)), ((2, 2, 3), (3,)), ((3,), (2, 3, 2)),
                 ((2, 1, 2, 3), (2, 3, 2)), ((0, 3), (3, 2)), ((2, 0), (0, 3))):
        yield sample("matmul", plane(*x), plane(*y)).within(8, 30)
    yield sample("matmul", plane(33, 70), plane(70, 65)).within(64, 300).constant()
    yield sample("mm", plane(2, 3), plane(3, 2)).within(8, 30)
    yield sample("bmm", plane(2, 1, 3), plane(2, 3, 2)).within(8, 30)
    yield sample("mv", plane(2, 3), plane(3)).within(8, 30)
    yield sample("dot", plane(3), plane(3)).within(8, 30)
    yield sample("vdot", plane(3), plane(3)).within(8, 30)
    yield sample("outer", plane(2), plane(3)).within(2)
    yield sample("addmm", plane(2, 2), plane(2, 3), plane(3, 2), alpha=2, beta=1j).within(8, 90)
    yield sample("einsum", "ij,kj->ik", plane(2, 3), plane(2, 3)).within(8, 30)
    yield sample("nn.functional.linear", plane(2, 3), plane(2, 3), plane(2)).within(8, 30)
    yield sample("nn.functional.conv1d", plane(1, 2, 4), plane(2, 1, 2), groups=2).within(16, 60)
    yield sample("nn.functional.conv2d", plane(2, 3, 3), plane(2, 2, 2, 2), plane(2), padding=1
                 ).within(16, 60).constant()


def moving():
    x = plane(3, 4)
    yield sample("cat", [x, real(2, 4)])
    yield sample("stack", [x, x], 1)
    yield sample("Tensor.__getitem__", x, (slice(None), index(3, below=4)))
    yield sample("Tensor.__getitem__", x, truth(3, 4))
    yield sample("index_select", x, 1, index(3, below=4))
    yield sample("index_add", x, 0, index(4, below=3), plane(4, 4)).within(4, 15)
    yield sample("index_copy", x, 0, index(1, below=3), plane(1, 4))
    yield sample("index_put", x, (index(4, below=3),), plane(4, 4), True).within(4, 15)
    yield sample("gather", x, 1, index(3, 2, below=4))
    yield sample("scatter_add", x, 1, index(3, 2, below=4), plane(3, 2)).within(4, 15)
    yield sample("masked_select", x, truth(3, 4))
    yield sample("take_along_dim", x, index(3, 2, below=4), 1)
    yield sample("flip", x, (0,))
    yield sample("roll", x, 1, 0)
    yield sample("tril", x)
    yield sample("nonzero", x).constant()
    yield sample("clone", x)
    yield sample("Tensor.contiguous", x)
    for target in ("complex128", "complex64"):
        yield sample("Tensor.to", x, Type(target)).constant()
        yield sample("Tensor.to", real(2, 3), Type(target)).constant()
    yield sample("Tensor.to", x, Type("bool")).constant()
    yield sample("Tensor.fill_", x, 1 - 2j).writing().constant()
    yield sample("Tensor.copy_", x, plane(4)).writing()
    yield sample("Tensor.copy_", x, real(4)).writing()


def creation():
    for name in ("zeros", "ones", "randn", "rand"):
        for size in (3, 16, 17):
            for target in ("complex64", "complex128"):
                made = sample(name, size, dtype=Type(target)).within(2, 1).constant()
                yield made.drawn() if name.startswith("rand") else made
    yield sample("full", (2,), 1 - 2j)
    yield sample("full", (2,), 2, dtype=Type("complex64"))
    for ends in ((0, 2j), (1 - 1j, 3)):
        yield sample("linspace", *ends, 5).within(2, 3)
        yield sample("logspace", *ends, 5).within(8)
    yield sample("tensor", [1j, 2, 0.5])
    yield sample("tensor", [[1, 2.5]], dtype=Type("complex128"))
    yield sample("zeros_like", plane(2, 3)).constant()
    yield sample("randn_like", plane(2, 9)).within(2, 1).drawn()
    yield sample("eye", 2, dtype=Type("complex64"))
