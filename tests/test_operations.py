"""Every operation by its samples: against PyTorch, NumPy, recorded results, and itself."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import warnings
from contextlib import contextmanager
from itertools import groupby

import numpy as np
import pytest
from agreement import arrays, disagreement
from operands import ARRANGEMENTS, build
from samples import SAMPLES, TYPES

import cresset

BY_NAME = {name: list(found) for name, found in groupby(SAMPLES, lambda s: s.name)}
every_operation = pytest.mark.parametrize("name", BY_NAME)

SIZES = (1, 3, 4, 7, 8, 15, 16, 17, 31, 33, 100)


def built(sample, dtype, arrangement="plain"):
    """The sample's operands as arrays."""
    made = [build(o, dtype, seed) for seed, o in enumerate(sample.operands)]
    return ARRANGEMENTS[arrangement](made)


def run(sample, package, operands):
    """The arrays that a sample gives on arrays, or the error that it raises."""
    tensors = [package.from_numpy(a) for a in operands]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return arrays(sample.call(package, tensors))
    except Exception as error:
        return error


def told(found):
    if found:
        pytest.fail("\n".join(found), pytrace=False)


def small(sample):
    return sum(int(np.prod(o.shape)) for o in sample.operands) <= 40


def arrangements(sample, dtype):
    """The ways in which operands of a type lie in memory: all of them for one type alone."""
    return ARRANGEMENTS if dtype == "float32" and sample.operands else ("plain",)


def types_of(sample):
    return TYPES if any(o.dtype is None for o in sample.operands) else ("float32",)


@every_operation
def test_agrees_with_pytorch(name, torch):
    wrong = []
    for sample in BY_NAME[name]:
        for dtype in types_of(sample):
            for arrangement in arrangements(sample, dtype):
                expected = run(sample, torch, built(sample, dtype, arrangement))
                if isinstance(expected, Exception):
                    continue
                got = run(sample, cresset, built(sample, dtype, arrangement))
                wrong += compared(sample, f"{dtype} {arrangement}", got, expected)
    told(wrong)


def compared(sample, how, got, expected):
    """A list of one line that says what is wrong, or of none."""
    if isinstance(got, Exception):
        problem = f"{type(got).__name__}: {got}"
    else:
        problem = disagreement(got, expected, sample.ulps, sample.scale)
    return [f"{sample.id} {how}: {problem}"] if problem else []
