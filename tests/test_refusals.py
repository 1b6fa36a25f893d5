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
NO_KERNEL = ("float16", "int64", "uint8"), "PyTorch lacks a kernel; numbers are pooled of any type"
MOVED = ("int64", "uint8", "bool", "complex64"), "elements of any type are moved to where they were"
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
    **{f"nn.functional.{name}{rank}d": NO_KERNEL for rank in (1, 2, 3) for name in (
        "adaptive_avg_pool", "adaptive_max_pool", "avg_pool", "conv_transpose", "lp_pool",
        "max_pool",
    )},
    **{f"nn.functional.max_unpool{rank}d": MOVED for rank in (1, 2, 3)},
    "nn.functional.fold": NO_KERNEL,
    "nn.functional.unfold": NO_KERNEL,
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
    "nn.functional.fold": (("complex64",), "complex numbers are not folded"),
    "nn.functional.unfold": (("complex64",), "complex numbers are not unfolded"),
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


# --- places and dims ------------------------------------------------------------------------------
# With i in and out of range, of a matrix and of a tensor without dims.
PLACES = """
    x[i]
    x[[i]]
    x[torch.tensor([0, i])]
    x[torch.tensor(i)]
    x[:, torch.tensor([i])]
    x[0, 0, i]
    x.select(0, i)
    x.narrow(0, i, 1)
    x.narrow(0, 0, i)
    x.narrow(i, 0, 1)
    x.index_select(0, torch.tensor([i]))
    x.index_select(i, torch.tensor([0]))
    x.gather(0, torch.tensor([[i]]))
    x.gather(i, torch.tensor([[0]]))
    x.scatter(0, torch.tensor([[i]]), 1.0)
    x.scatter_(0, torch.tensor([[i]]), 1.0)
    x.scatter_add(0, torch.tensor([[i]]), x)
    x.scatter_reduce(0, torch.tensor([[i]]), x, "amax")
    x.index_add(0, torch.tensor([i]), x[:1])
    x.index_copy(0, torch.tensor([i]), x[:1])
    x.index_fill(0, torch.tensor([i]), 1.0)
    x.index_reduce(0, torch.tensor([i]), x[:1], "amax")
    x.index_put((torch.tensor([i]),), torch.tensor(1.0))
    x.index_put((torch.tensor([i]),), torch.tensor(1.0), True)
    x.take(torch.tensor([i * 10]))
    x.put_(torch.tensor([i * 10]), torch.tensor([1.0]))
    torch.take_along_dim(x, torch.tensor([[i, 0, 0, 0]]), 0)
    x.sum(i)
    x.transpose(0, i)
    x.permute(0, i)
    x.squeeze(i)
    x.unsqueeze(i)
    torch.cat([x, x], i)
    torch.stack([x, x], i)
    x.flip(i)
    x.roll(1, i)
    x.split(1, i)
    x.chunk(2, i)
    x.unbind(i)
    x.cumsum(i)
    x.sort(i)
    x.topk(1, i)
    x.topk(abs(i) + 3)
    x.kthvalue(i)
    x.softmax(i)
    x.max(i)
    x.size(i)
    x.stride(i)
    x.diagonal(0, 0, i)
    x.movedim(0, i)
    x.flatten(0, i)
    x.unflatten(i, (1,))
    x.unfold(i, 1, 1)
    x.repeat_interleave(2, i)
    x.tensor_split(2, i)
    x.swapaxes(0, i)
    x.rot90(1, (0, i))
    x.unique(dim=i)
    x.median(i)
    x.mode(i)
    x.var(i)
    x.logsumexp(i)
    x.quantile(0.5, i)
    x.norm(dim=i)
    x.renorm(2, i, 1.0)
    torch.nn.functional.glu(x, i)
    torch.linalg.cross(x[:, :3], x[:, :3], dim=i)
    x.diff(dim=i)
    x.argmax(i)
    x.any(i)
    x.prod(i)
    x.cummax(i)
    x.logcumsumexp(i)
    x.select_scatter(x[0], 0, i)
    x.index_add(i, torch.tensor([0]), x[:1])
    x.scatter(i, torch.tensor([[0]]), 1.0)
    torch.count_nonzero(x, i)
    torch.tensordot(x, x, ([i], [0]))
    torch.nn.functional.embedding(torch.tensor([i]), x)
    torch.nn.functional.one_hot(torch.tensor([i]), 2)
    torch.nn.functional.nll_loss(x, torch.tensor([i, 0, 0]))
    torch.nn.functional.nll_loss(x, torch.tensor([i, 0, 0]), weight=x[0])
    torch.bincount(torch.tensor([i]))
    x.as_strided((2,), (1,), i * 100)
    x.as_strided((abs(i) * 100,), (1,))
    x.expand(i, 2)
    x.view(i, 7)
    x.reshape(i, i)
    x.repeat(i, i)
    x.tile((i,))
    torch.eye(-abs(i))
    torch.arange(0, 5, -abs(i))
    torch.randperm(-abs(i))
    torch.linspace(0, 1, -abs(i))
    torch.multinomial(x.abs(), abs(i) + 5)
"""


@pytest.mark.parametrize("call", [line.strip() for line in PLACES.strip().splitlines()])
def test_places(call, torch):
    code = compile(call, call, "eval")
    wrong = []
    for i in (3, -4, 9, -9):
        for shape in ((3, 4), ()):
            got, expected = (placed(package, code, i, shape) for package in (cresset, torch))
            problem, _ = difference(got, expected)
            if problem:
                wrong.append(f"i = {i} of {shape}: {problem}")
    if wrong:
        pytest.fail("\n".join(wrong), pytrace=False)


def placed(package, code, i, shape):
    try:
        return eval(code, {"torch": package, "x": package.ones(shape), "i": i})
    except Exception as error:
        return error
