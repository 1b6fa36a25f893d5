"""Tensors without elements: every way to reduce, read or write them, as PyTorch does it."""

import warnings

import pytest
from agreement import arrays

import cresset

SHAPES = [(0,), (0, 3), (3, 0), (2, 0, 3), (0, 0)]

REDUCED = (
    "sum", "prod", "mean", "std", "var", "amax", "amin", "max", "min", "argmax", "argmin", "any",
    "all", "median", "nanmedian", "nansum", "nanmean", "logsumexp", "mode", "aminmax",
    "count_nonzero", "var_mean", "std_mean", "cumsum", "cumprod", "cummax", "cummin",
    "logcumsumexp", "sort", "argsort", "softmax", "log_softmax", "diff", "unbind", "squeeze",
    "quantile", "kthvalue", "topk", "flip", "roll", "norm", "renorm", "unique", "nonzero",
    "bincount", "trace", "histc", "cov", "diagonal", "tril",
)
DIMS = [(), (0,), (-1,), (1,), (2,), ((),), ((0, 1),)]

POSITIONS = {
    "no positions": lambda p: p.zeros(0, dtype=p.int64),
    "rows without positions": lambda p: p.zeros((0, 3), dtype=p.int64),
    "columns without positions": lambda p: p.zeros((3, 0), dtype=p.int64),
    "one": lambda p: p.tensor([0]),
    "one in a row": lambda p: p.tensor([[0]]),
    "without dims": lambda p: p.tensor(0),
}

INDICES = {
    "[]": lambda p: [], "()": lambda p: (), "[[]]": lambda p: [[]], "0:0": lambda p: slice(0, 0),
    "0": lambda p: 0, "-1": lambda p: -1, "None": lambda p: None, "...": lambda p: ...,
    "[0]": lambda p: [0], "True": lambda p: True, "False": lambda p: False,
    "[], []": lambda p: ([], []), ":, []": lambda p: (slice(None), []),
    ":, 0": lambda p: (slice(None), 0), ":, [0]": lambda p: (slice(None), [0]),
    "..., 0": lambda p: (..., 0), "..., []": lambda p: (..., []),
    "0, 0, 0, 0": lambda p: (0, 0, 0, 0), "::-1": lambda p: slice(None, None, -1),
    "mask": lambda p: p.zeros(0, dtype=p.bool), "bytes": lambda p: p.zeros(0, dtype=p.uint8),
    "floats": lambda p: p.zeros(0), "[True]": lambda p: p.tensor([True]),
    **POSITIONS,
}

VALUES = {
    "number": lambda p: 1, "one": lambda p: p.ones(1), "no dims": lambda p: p.ones(()),
    "none": lambda p: p.zeros(0), "two": lambda p: p.ones(2), "three": lambda p: p.ones(3),
}

# What differs, by the name of the call or by name and type, and why.
DIFFERENT = {
    "cummax": "PyTorch does not look at the dim", "cummin": "PyTorch does not look at the dim",
    "index_fill": "a bad position is an IndexError; PyTorch speaks of the storage, or says nothing",
    "index_copy": "a bad position is an IndexError; PyTorch speaks of the storage",
    "softmax int64": "integers are refused; PyTorch refuses them once there are elements",
    "log_softmax int64": "integers are refused; PyTorch refuses them once there are elements",
    "logcumsumexp int64": "PyTorch looks at the dim before the type",
    "histc int64": "PyTorch looks at the bins before the type",
}


def calls():
    """(name, how, function of the package, shape and dtype)."""
    for name in REDUCED:
        for dims in DIMS:
            yield name, str(dims), lambda p, s, d, name=name, dims=dims: getattr(p, name)(
                p.zeros(s, dtype=d), *dims)
    for how, index in INDICES.items():
        yield "get", how, lambda p, s, d, i=index: p.zeros(s, dtype=d)[i(p)]
        for what, value in VALUES.items():
            yield "set", f"{how} = {what}", lambda p, s, d, i=index, v=value: written(
                p.zeros(s, dtype=d), i(p), v(p))
    for how, index in POSITIONS.items():
        for dim in (0, 1, -1):
            for name in ("gather", "take_along_dim", "index_select", "index_fill"):
                yield name, f"{dim} {how}", lambda p, s, d, n=name, k=dim, i=index: getattr(
                    p, n)(*arguments(n, p.zeros(s, dtype=d), k, i(p)))
            for name in ("scatter", "scatter_add", "index_add", "index_copy"):
                yield name, f"{dim} {how}", lambda p, s, d, n=name, k=dim, i=index: getattr(
                    p, n)(p.zeros(s, dtype=d), k, i(p), p.ones(i(p).shape, dtype=d))
        yield "take", how, lambda p, s, d, i=index: p.take(p.zeros(s, dtype=d), i(p))
        for more in (False, True):
            yield "index_put", f"{how} {more}", lambda p, s, d, i=index, m=more: p.index_put(
                p.zeros(s, dtype=d), (i(p),), p.ones((), dtype=d), m)
    for how, shape in {"its own": None, "()": (), "(1,)": (1,), "(0,)": (0,), "(3,)": (3,)}.items():
        def mask(p, s, shape=shape):
            return p.zeros(s if shape is None else shape, dtype=p.bool)

        yield "masked_select", how, lambda p, s, d, m=mask: p.zeros(s, dtype=d).masked_select(
            m(p, s))
        yield "masked_fill", how, lambda p, s, d, m=mask: p.zeros(s, dtype=d).masked_fill(
            m(p, s), 1)
        yield "where", how, lambda p, s, d, m=mask: p.where(m(p, s), p.zeros(s, dtype=d), 1)
        for k in (0, 2):
            yield "masked_scatter", f"{how} {k}", lambda p, s, d, m=mask, k=k: p.zeros(
                s, dtype=d).masked_scatter(m(p, s), p.ones(k, dtype=d))


def arguments(name, x, dim, index):
    if name == "take_along_dim":
        return x, index, dim
    return (x, dim, index, 1) if name == "index_fill" else (x, dim, index)


def written(x, index, value):
    x[index] = value
    return x


def outcome(package, call, shape, dtype):
    """What a call gives, or the class of its error."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return [(a.shape, a.dtype.str, a.tolist()) for a in
                    arrays(call(package, shape, getattr(package, dtype)))]
    except Exception as error:
        return type(error)


@pytest.mark.parametrize("dtype", ["float32", "int64"])
def test_without_elements_as_in_pytorch(torch, dtype):
    wrong = []
    for name, how, call in calls():
        for shape in SHAPES:
            expected = outcome(torch, call, shape, dtype)
            if expected is TypeError:
                continue  # Of arguments of another kind; see test_errors.py.
            got = outcome(cresset, call, shape, dtype)
            if isinstance(got, type) and {name, f"{name} {dtype}"} & DIFFERENT.keys():
                continue
            if str(got) != str(expected):
                wrong.append(f"{name} {how} of {shape}: {got}; PyTorch gives {expected}")
    if wrong:
        pytest.fail("\n".join(wrong), pytrace=False)


def test_combinations_of_more_than_there_is():
    for count, r, again in ((0, 1000, False), (2, 1000, False), (0, 1000, True), (2, 3, False)):
        made = cresset.combinations(cresset.zeros(count), r, again)
        assert made.shape == (0, r) and made.dtype == cresset.float32


def test_softmax_of_nothing():
    for function in (cresset.softmax, cresset.log_softmax, cresset.nn.functional.softmin):
        x = cresset.zeros(3, 0, requires_grad=True)
        function(x, 1).sum().backward()
        assert x.grad.shape == (3, 0)
    nothing = cresset.zeros(1, 0, 4)
    attended = cresset.nn.functional.scaled_dot_product_attention(
        cresset.zeros(1, 2, 4), nothing, nothing)
    assert attended.tolist() == [[[0.0] * 4] * 2]
