"""Calls that PyTorch refuses are refused, with an error of its class, and no others.

Every operation is called with every family of types, and with numbers that types do not hold.
"""

from __future__ import annotations

import pytest
from operands import build
from sample import run
from samples import SAMPLES

import cresset

TYPES = ("float16", "int64", "uint8", "bool", "complex64")

# --- what is meant to differ: {name: (types, why)} ------------------------------------------------
HALVES = ("float16",), "PyTorch lacks a kernel; here half types are computed in float32 everywhere"
NO_COMPLEX_HALF = ("float16",), "there is no complex type of half parts: complex64 stands for it"
OTHER_SIGNATURE = TYPES, "the arguments, too, are those of NumPy or of the array API standard"
# What is done of more types than in PyTorch.
MORE = {
    "add": NO_COMPLEX_HALF,
    "argsort": OTHER_SIGNATURE,
    "binomial": HALVES,
    "cdist": HALVES,
    "count_nonzero": OTHER_SIGNATURE,
    "histogram": HALVES,
    "mul": NO_COMPLEX_HALF,
    "nn.functional.pad": (("bool",), "padding moves elements of any type"),
    "nn.functional.pdist": HALVES,
    "rrelu": HALVES,
    "sort": OTHER_SIGNATURE,
    "special.erfcx": HALVES,
    "special.log_ndtr": HALVES,
    "special.ndtri": HALVES,
    "special.zeta": HALVES,
    "sub": NO_COMPLEX_HALF,
    "tensordot": (("bool",), "outer products of booleans have no sum"),
}
NOTHING = "PyTorch refuses the type, but where it has nothing to do"
# What is done of fewer types than in PyTorch.
FEWER = {
    "amax": (("complex64",), NOTHING),
    "amin": (("complex64",), NOTHING),
    "cummax": (("complex64",), NOTHING),
    "cummin": (("complex64",), NOTHING),
    "einsum": (("bool",), NOTHING),
    "matmul": (("bool",), NOTHING),
    "tensordot": (("bool",), NOTHING),
}
# Where PyTorch's error tells of a step that is not taken here.
OTHER_CLASS = {
    "argsort": OTHER_SIGNATURE,
    "complex": NO_COMPLEX_HALF,
    "polar": NO_COMPLEX_HALF,
    "sort": OTHER_SIGNATURE,
    "view_as_complex": NO_COMPLEX_HALF,
}

BY_NAME: dict = {}
for _sample in SAMPLES:
    if _sample.leads and any(o.dtype is None for o in _sample.operands):
        BY_NAME.setdefault(_sample.name, []).append(_sample)


def operands_of(sample, dtype):
    made = []
    for seed, o in enumerate(sample.operands):
        if dtype == "complex64" and o.dtype is None:
            o = o._replace(dtype="complex")
        made.append(build(o, "float32" if dtype == "complex64" else dtype, seed))
    return made


@pytest.mark.parametrize("name", BY_NAME)
def test_types(name, torch):
    wrong = []
    for sample in BY_NAME[name]:
        for dtype in TYPES:
            expected = run(sample, torch, operands_of(sample, dtype))
            got = run(sample, cresset, operands_of(sample, dtype))
            problem, table = difference(got, expected)
            if problem and dtype not in table.get(name, ((), ""))[0]:
                wrong.append(f"{sample.id} {dtype}: {problem}")
    if wrong:
        pytest.fail("\n".join(wrong), pytrace=False)


def difference(got, expected):
    """(what is wrong, the table of those for which it is meant), or (None, None)."""
    refused, refuses = isinstance(expected, Exception), isinstance(got, Exception)
    if refused and not refuses:
        return f"is done, where PyTorch raises {expected!r}", MORE
    if refuses and not refused:
        return f"{got!r}", FEWER
    if refused and not isinstance(got, type(expected)):
        return f"{got!r} instead of {expected!r}", OTHER_CLASS
    return None, None


# --- numbers --------------------------------------------------------------------------------------
NUMBERS = (3, 300, -1, -129, 2**15, 2**31, 2**40, 2**63 - 1, 1.5, 1e5, 1e40, float("inf"),
           float("nan"))
CALLS = {
    "add": lambda p, x, n: x + n,
    "add alpha": lambda p, x, n: p.add(x, x, alpha=n),
    "addcmul value": lambda p, x, n: p.addcmul(x, x, x, value=n),
    "addmm alpha": lambda p, x, n: p.addmm(x, x[:, None], x[None], alpha=n),
    "addmm beta": lambda p, x, n: p.addmm(x, x[:, None], x[None], beta=n),
    "clamp": lambda p, x, n: p.clamp(x, 0, n),
    "clamp_": lambda p, x, n: x.clamp_(min=n),
    "eq": lambda p, x, n: x == n,
    "fill_": lambda p, x, n: x.fill_(n),
    "full_like": lambda p, x, n: p.full_like(x, n),
    "hardshrink": lambda p, x, n: p.nn.functional.hardshrink(x, n),
    "index_add alpha": lambda p, x, n: x.index_add(0, p.tensor([0, 1, 2]), x, alpha=n),
    "index_fill": lambda p, x, n: x.index_fill(0, p.tensor([1]), n),
    "masked_fill": lambda p, x, n: x.masked_fill(x > 1, n),
    "mul": lambda p, x, n: x * n,
    "scatter": lambda p, x, n: x.scatter(0, p.tensor([1]), n),
    "sub alpha": lambda p, x, n: p.sub(x, x, alpha=n),
    "threshold": lambda p, x, n: p.nn.functional.threshold(x, 1, n),
    "where": lambda p, x, n: p.where(x > 1, x, n),
}
# Half tensors take what becomes infinite only where it has one element in PyTorch; here nowhere.
FINITE = {"where"}
# A sign is taken over to the factor before it has to fit.
NEGATED = {("sub alpha", 2**15), ("sub alpha", 2**31)}


@pytest.mark.parametrize("name", CALLS)
def test_numbers(name, torch):
    wrong = []
    for dtype in ("uint8", "int16", "int32", "int64", "float16", "float32"):
        for n in NUMBERS:
            expected, got = (called(package, CALLS[name], dtype, n) for package in (torch, cresset))
            problem, _ = difference(got, expected)
            if name in FINITE and dtype == "float16" or (name, n) in NEGATED:
                continue
            if problem is None and not isinstance(got, Exception) and str(got) != str(expected):
                problem = f"{got} instead of {expected}"
            if problem:
                wrong.append(f"{dtype} {n}: {problem}")
    if wrong:
        pytest.fail("\n".join(wrong), pytrace=False)


def called(package, function, dtype, n):
    try:
        result = function(package, package.tensor([1, 2, 3], dtype=getattr(package, dtype)), n)
    except Exception as error:
        return error
    return str(result.dtype), result.tolist()
