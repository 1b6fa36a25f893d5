"""Samples of scans, orders, ranks, histograms, sets and statistics."""

from __future__ import annotations

from operands import Operand, index, nonzero, positive, probability, real, truth, unit
from sample import Type, sample

inf = float("inf")


def scans():
    for name in ("cumsum", "cumprod"):
        yield sample(name, nonzero(7), 0).within(8, 30)
        yield sample(name, nonzero(2, 3, 2), 1).within(8, 30)
        yield sample(name, nonzero(2, 3), -1).within(8, 30)
        yield sample(name, nonzero(), 0)
        yield sample(name, nonzero(0, 3), 0).constant()
        yield sample(name, nonzero(2, 20), -1).within(64, 100).constant()
        yield sample(name, nonzero(20, 3), 0).within(64, 100).constant()
        yield sample(name, real(3), 0, dtype=Type("float64")).within(8, 30)
        yield sample(name, real(3), 0, dtype=Type("int32")).within(8, 30)
    yield sample("logcumsumexp", real(7), 0).within(8, 1)
    yield sample("logcumsumexp", real(2, 3, 2), 1).within(8, 1)
    yield sample("logcumsumexp", Operand((3, 40), -90.0, 90.0), -1).within(8, 1).constant()
    yield sample("logcumsumexp", real(), 0)
    for name in ("cummax", "cummin"):
        yield sample(name, real(7), 0)
        yield sample(name, real(2, 3, 2), 1)
        yield sample(name, real(3, 20), -1).constant()
        yield sample(name, real(20, 40), 0).constant()
        yield sample(name, real(), 0)
        yield sample(name, real(0, 3), 1).constant()
    yield sample("diff", real(7))
    yield sample("diff", real(2, 4), 2, 1)
    yield sample("diff", real(2, 4), 1, 0, real(1, 4), real(2, 4))
    yield sample("diff", truth(7))
    yield sample("trapezoid", real(5)).within(4, 9)
    yield sample("trapezoid", real(2, 4), dx=0.5, dim=0).within(4, 9)
    yield sample("trapezoid", real(2, 4), real(4)).within(4, 9)
    yield sample("trapezoid", real(2, 4), real(2, 4), dim=0).within(4, 9)
    yield sample("trapz", real(5)).within(4, 9)
    yield sample("cumulative_trapezoid", real(5)).within(4, 9)
    yield sample("cumulative_trapezoid", real(2, 4), real(4)).within(4, 30)
    steps = Operand((4,), 0.5, 4.0)
    yield sample("gradient", real(5)).within(4, 9)
    yield sample("gradient", real(3, 4), spacing=(0.5, 2.0), edge_order=2).within(16, 9)
    yield sample("gradient", real(4), spacing=(steps,)).within(64, 30).without_ties()
    yield sample("gradient", real(2, 4), dim=1, spacing=(steps,), edge_order=2
                 ).within(64, 90).without_ties()


def ordering():
    yield sample("sort", real(7)).by_values()
    yield sample("sort", real(2, 4), 0, descending=True).by_values()
    yield sample("sort", real(3, 17), -1).by_values().constant()
    yield sample("sort", real(3, 40), 1, stable=True).constant()
    yield sample("sort", real())
    yield sample("sort", real(0, 3), 0).constant()
    yield sample("argsort", real(7), stable=True)
    yield sample("argsort", real(2, 4), 0, True, stable=True)
    yield sample("msort", real(4, 3))
    yield sample("topk", unit(7), 3).by_values()
    yield sample("topk", unit(2, 5), 2, 1, False).by_values()
    yield sample("topk", unit(5, 2), 2, 0).by_values()
    yield sample("topk", unit(4), 0).constant()


def ranks():
    yield sample("kthvalue", unit(7), 3).by_values()
    yield sample("kthvalue", unit(2, 5), 2, 0, True).by_values()
    yield sample("median", real(2, 5), 1).by_values()
    yield sample("nanmedian", real(7))
    yield sample("nanmedian", real(2, 4), 1).by_values()
    yield sample("nanmedian", real(4, 2), 0, True).by_values()
    yield sample("mode", index(9, below=3))
    yield sample("mode", index(4, 6, below=3), 0, True)
    yield sample("mode", unit(5)).by_values()
    for name in ("quantile", "nanquantile"):
        yield sample(name, real(7), 0.3).within(8, 3)
        yield sample(name, real(3, 4), 0.6, 1).within(8, 3)
        yield sample(name, real(3, 4), probability(2), 0, True).within(8, 3)
        yield sample(name, real(2, 3, 2), probability(3)).within(8, 3)
        for interpolation in ("lower", "higher", "midpoint", "nearest"):
            yield sample(name, real(2, 5), 0.3, 1, interpolation=interpolation).within(8, 3)


def histograms():
    boundaries = Operand((6,), dtype="int64", low=0.0, high=0.0)
    yield sample("searchsorted", boundaries, index(2, 3, below=3))
    yield sample("searchsorted", boundaries, index(5, below=2), right=True, out_int32=True)
    yield sample("searchsorted", boundaries, index(5, below=2), side="right")
    yield sample("searchsorted", boundaries, 1)
    yield sample("searchsorted", index(4, below=1), real(3), sorter=index(4, below=4))
    yield sample("bucketize", real(3, 4), Operand((1,), 0.0, 0.0))
    yield sample("bincount", index(9, below=4))
    yield sample("bincount", index(9, below=4), real(9), 6).within(4, 9).constant()
    yield sample("bincount", index(0, below=1))
    yield sample("histc", real(40), 5).constant()
    yield sample("histc", real(40), 4, -2, 2).constant()
    yield sample("histogram", real(40), 5).within(4).constant()
    yield sample("histogram", real(40), 4, range=(-2.0, 2.0), density=True).within(4).constant()
    yield sample("histogram", real(9), 4, weight=positive(9)).within(8, 9).constant()


def sets():
    yield sample("unique", index(9, below=4))
    yield sample("unique", index(3, 5, below=4), return_inverse=True, return_counts=True)
    yield sample("unique", index(6, 2, below=2), dim=0, return_inverse=True, return_counts=True)
    yield sample("unique", index(2, 6, below=2), dim=1, return_counts=True)
    yield sample("unique", real(4, 3), dim=0, return_inverse=True).constant()
    yield sample("unique", real(0)).constant()
    yield sample("Tensor.unique", truth(7))
    yield sample("unique_consecutive", index(9, below=2), return_inverse=True, return_counts=True)
    yield sample("unique_consecutive", index(6, 2, below=2), dim=0, return_counts=True)
    yield sample("isin", index(3, 4, below=9), index(4, below=9))
    yield sample("isin", index(3, 4, below=9), index(40, below=30), invert=True)
    yield sample("isin", real(5), 2)
    yield sample("isin", 2, index(5, below=3))


def statistics():
    yield sample("cov", real(3, 5)).within(32, 9)
    yield sample("cov", real(5)).within(32, 9)
    yield sample("cov", real(2, 4), correction=0, fweights=index(4, below=3)).within(32, 9)
    yield sample("cov", real(2, 4), aweights=probability(4)).within(32, 9)
    yield sample("corrcoef", real(3, 5)).within(64, 1)
    yield sample("corrcoef", real(5)).within(8)
    for p in (1, 2, 3, inf):
        yield sample("renorm", real(2, 3, 2), p, 1, 2.0).within(16)
    yield sample("frobenius_norm", real(2, 3), (0, 1)).within(8)
    yield sample("nuclear_norm", real(2, 3)).within(32)
    for dim in (0, 1, -1):
        yield sample("norm_except_dim", real(2, 3), 2, dim).within(8)
    yield sample("nansum", real(2, 3)).within(4, 9)
    yield sample("nansum", real(2, 3), 1, True).within(4, 9)
    yield sample("nanmean", real(2, 3)).within(4, 3)
    yield sample("nanmean", real(2, 3), (0, 1), True).within(4, 3)
