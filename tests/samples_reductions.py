"""Samples of reductions, scans, orders and normalisations."""

from __future__ import annotations

import numpy as np
from operands import Operand, nonzero, real
from sample import Type, reduction, sample


def reductions():
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
    yield sample("logsumexp", real(), 0).within(4)
    yield sample("logsumexp", real(0, 3), 0).constant()
    yield sample("logsumexp", real(3, 4), (0, 1), keepdim=True).within(4)
    yield sample("aminmax", real(3, 4))
    yield sample("aminmax", real(3, 4), dim=1, keepdim=True)
    yield sample("norm", real(3, 4)).within(4)
    for p in (0, 1, 2, 3, 0.5, -1, float("inf"), -float("inf")):
        yield sample("norm", nonzero(3, 4), p, dim=1).within(32)
        yield sample("norm", nonzero(2, 3), p).within(32)
    yield sample("norm", real(3, 4), dim=0, keepdim=True).within(4)
    yield sample("sum", real(2, 3), dtype=Type("float64"))
    yield sample("sum", real(2, 3), 1, dtype=Type("int32"))
    yield sample("prod", real(2, 3), 1, dtype=Type("float64")).within(4)
    yield sample("mean", real(2, 3), dtype=Type("float64")).within(4)
    yield sample("prod", real(2, 0))
    yield sample("Tensor.sum_to_size", real(2, 3), 1, 3).within(4, 9)
    yield sample("Tensor.sum_to_size", real(2, 3), (3,)).within(4, 9)


def normalization():
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
    yield sample("rms_norm", x, (4,)).within(16, 1)
    yield sample("rms_norm", real(2, 4), (4,), real(4), 0.1).within(16, 3)
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
