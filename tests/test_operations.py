"""Every operation by its samples: against PyTorch, NumPy, recorded results, and itself."""

from __future__ import annotations

import inspect
import json
from contextlib import contextmanager
from functools import partial
from math import prod
from pathlib import Path

import numpy as np
import pytest
from agreement import arrays, disagreement
from operands import ARRANGEMENTS, build, plain, stepped, transposed
from recording import as_array, recorded, restored
from sample import COMMON_TYPES, built, run
from samples import ELSEWHERE, INTERNAL, SAMPLES

import cresset
from cresset.core.tensor import Tensor
from cresset.ops import dispatch, generated, registry
from cresset.ops.kinds.composite import Composite

BY_NAME: dict = {}
for _sample in SAMPLES:
    BY_NAME.setdefault(_sample.name, []).append(_sample)
every_operation = pytest.mark.parametrize("name", BY_NAME)

# Around the widths of vectors: from none to more than a hundred bytes.
SIZES = (1, 3, 4, 7, 8, 15, 16, 17, 31, 33, 100)


def told(found):
    """Fail with all that is wrong, if anything is."""
    if found:
        pytest.fail("\n".join(found), pytrace=False)


def compared(sample, how, got, expected):
    """A list of one line that says what is wrong with a result, or of none."""
    if isinstance(got, Exception):
        problem = f"{type(got).__name__}: {got}"
    elif isinstance(expected, Exception):
        problem = f"no {type(expected).__name__}"
    else:
        count = sample.judged or len(expected)
        problem = disagreement(got[:count], expected[:count], sample.ulps, sample.scale)
    return [f"{sample.id} {how}: {problem}"] if problem else []


# --- against others -------------------------------------------------------------------------------
@every_operation
def test_agrees_with_pytorch(name, torch):
    wrong = []
    for sample in BY_NAME[name]:
        for dtype in sample.types:
            # In which order random numbers are put down depends on where the elements lie.
            for arrangement in ("plain", "transposed") if sample.seeded else ("plain",):
                expected = run(sample, torch, built(sample, dtype, arrangement))
                if not isinstance(expected, Exception):
                    got = run(sample, cresset, built(sample, dtype, arrangement))
                    wrong += compared(sample, f"{dtype} {arrangement}", got, expected)
    told(wrong)


SPECIAL = [np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 1.5, 2.5, -2.5, 1e-40, -1e-40,
           1e-20, 1e30, -1e30, 88.0, 100.0, -100.0, 3.0, 1e5]


@every_operation
def test_agrees_with_pytorch_on_special_values(name, torch):
    """Every pair of them, where the operation takes two operands."""
    wrong = []
    for sample in BY_NAME[name]:
        if not sample.elementwise or sample.operands[0].shape != (2, 5) or any(
            # Special complex values have a file of their own.
            o.dtype == "complex" for o in sample.operands
        ):
            continue
        values = np.array(SPECIAL[: 1000 // 10 ** len(sample.operands)], "float32")
        if name == "Tensor.__rmod__":
            # PyTorch's x - floor(x / y) * y overflows for a subnormal y; the exact rest does not.
            values = values[(values == 0) | ~(np.abs(values) < 1e-38)]
        if sample.finite:
            # PyTorch gives NaN at infinities where the function has a limit, and numbers for NaN.
            values = values[np.isfinite(values)]
        grid = np.meshgrid(*[values] * len(sample.operands))
        operands = [plain(a > 0 if o.dtype == "bool" else a)
                    for a, o in zip(grid, sample.operands)]
        expected = run(sample, torch, operands)
        if not isinstance(expected, Exception):
            got = run(sample, cresset, operands)
            wrong += compared(sample, "special", got, expected)
    told(wrong)


@every_operation
def test_gradients_agree_with_pytorch(name, torch):
    """On whole numbers, so that there are ties, zeros and operands at the bounds."""
    wrong = []
    for sample in BY_NAME[name]:
        if not sample.differentiable or size(sample) > (40 if sample.leads else 20):
            continue
        operands = [np.round(a) if a.dtype.kind in "fc" and a.ndim else a
                    for a in built(sample, "float64")]
        for how, values in (("", built(sample, "float64")), ("ties", operands)):
            if how == "ties" and sample.apart:
                continue
            expected = gradients(sample, torch, values)
            if not isinstance(expected, Exception):
                got = gradients(sample, cresset, values)
                # Where gradients are the limit of differences is shown below, to more places.
                loose = sample.within(2e-6 / np.finfo("f8").eps, sample.scale + 1)
                wrong += compared(loose, f"gradient {how}", got, expected)
    told(wrong)


def gradients(sample, package, operands):
    """Which results want gradients, and the gradients of the sample's operands; or the error."""
    leaves = [package.from_numpy(a.copy()) for a in operands]
    for x in leaves:
        if x.is_floating_point() or x.is_complex():
            x.requires_grad_()
    try:
        result = sample.call(package, leaves)
        results = [r for r in (result if isinstance(result, (tuple, list)) else (result,))
                   if hasattr(r, "requires_grad")]
        wanted = [r for r in results if r.requires_grad]
        flags = [r.requires_grad for r in results]
        if not wanted:
            return flags
        weights = [package.from_numpy(np.cos(np.arange(r.numel(), dtype=arrays(r)[0].dtype)
                                             ).reshape(tuple(r.shape))) for r in wanted]
        inputs = [x for x in leaves if x.requires_grad]
        # No gradient is a gradient of zeros.
        found = package.autograd.grad(wanted, inputs, weights, allow_unused=True,
                                      materialize_grads=True)
        return flags + arrays(found)
    except Exception as error:
        return error


@every_operation
def test_agrees_with_numpy(name):
    wrong = []
    for sample in BY_NAME[name]:
        if sample.meaning is None or not sample.elementwise:
            continue
        for dtype in ("float32", "float64", "int64"):
            got = run(sample, cresset, built(sample, dtype))
            if isinstance(got, Exception):
                continue
            wide = {"f": "f8", "c": "c16"}
            operands = [a.astype(wide.get(a.dtype.kind, a.dtype)) for a in built(sample, dtype)]
            numbers = [a for a in sample.args if isinstance(a, (int, float, complex))]
            with np.errstate(all="ignore"):
                expected = np.asarray(sample.meaning(*operands, *numbers))
            wrong += compared(sample, dtype, got, [expected.astype(got[0].dtype)])
    told(wrong)


RECORDED = json.loads((Path(__file__).parent / "recorded" / "operations.json").read_text())


@every_operation
def test_agrees_with_recorded_results(name):
    """What PyTorch gave when `scripts/record.py` ran: the first elements of every result."""
    wrong = []
    for sample in BY_NAME[name]:
        if not recorded(sample):
            continue
        found = RECORDED["results"].get(sample.key)
        if found is None:
            if sample.key not in RECORDED["results"]:
                wrong.append(f"{sample.key}: not recorded; run scripts/record.py with PyTorch")
            continue
        got = run(sample, cresset, built(sample, "float32"))
        if not isinstance(got, Exception):
            got = [as_array(part) for part in got]
            shapes = [list(part.shape) for part in got]
            if shapes != [shape for _, shape, _ in found]:
                wrong.append(f"{sample.id}: shapes {shapes}")
            got = [part.reshape(-1)[: len(restored(e))] for part, e in zip(got, found)]
        expected = [restored(e) for e in found]
        wrong += compared(sample, "recorded", got, expected)
    told(wrong)


# --- against itself -------------------------------------------------------------------------------
@every_operation
def test_arrangement_does_not_matter(name):
    wrong = []
    for sample in BY_NAME[name]:
        deep = any(len(o.shape) > 1 and prod(o.shape) for o in sample.operands)
        if sample.seeded or not deep or size(sample) > 60:
            continue
        straight = run(sample, cresset, built(sample, "float32"))
        if isinstance(straight, Exception):
            continue
        for arrangement in ARRANGEMENTS:
            if arrangement.startswith("mixed") and len(sample.operands) == 1:
                continue
            operands = built(sample, "float32", arrangement)
            expected = straight
            if arrangement == "repeated":
                expected = run(sample, cresset, [plain(a) for a in operands])
            got = run(sample, cresset, operands)
            if not isinstance(expected, Exception) and not refused(name, got):
                wrong += compared(sample, arrangement, got, expected)
    told(wrong)


def refused(name, got):
    """Whether a view was not possible, or is of the storage rather than of the elements."""
    views = ("Tensor.view", "view_as_complex")
    return name == "as_strided" or name.startswith(views) and isinstance(got, RuntimeError)


@every_operation
def test_size_does_not_matter(name):
    """The k-th element is the same however many there are, to the last bit."""
    wrong = []
    for sample in BY_NAME[name]:
        if not sample.elementwise or sample.operands[0].shape != (2, 5):
            continue
        for dtype in COMMON_TYPES:
            long = [build(o._replace(shape=(3, SIZES[-1])), dtype, seed)
                    for seed, o in enumerate(sample.operands)]
            whole = run(sample, cresset, long)
            if isinstance(whole, Exception):
                continue
            exact = sample.within(0)
            for k, n in enumerate(SIZES):
                how = (plain, transposed, stepped)[k % 3]
                got = run(sample, cresset, [how(a[:, :n]) for a in long])
                expected = [w[:, :n] for w in whole]
                wrong += compared(exact, f"{dtype} {how.__name__} {n}", got, expected)
    told(wrong)


def size(sample):
    return sum(prod(o.shape) for o in sample.operands)


def differentiable(name, most):
    """(function, float64 leaves) of the samples with gradients, of at most so many elements."""
    for sample in BY_NAME[name]:
        if sample.differentiable and size(sample) <= most:
            leaves = [cresset.from_numpy(a) for a in built(sample, "float64")]
            for x in leaves:
                if x.is_floating_point() or x.is_complex():
                    x.requires_grad_()
            function = partial(called_on, sample)
            result = function(*leaves)
            parts = result if isinstance(result, (tuple, list)) else (result,)
            wanted = [r for r in parts if isinstance(r, Tensor) and r.requires_grad]
            # Differences of NaN say nothing.
            if wanted and not any(r.detach().isnan().any().item() for r in wanted):
                yield function, leaves


def called_on(sample, *leaves):
    return sample.call(cresset, leaves)


@every_operation
def test_gradient(name):
    for function, leaves in differentiable(name, 24):
        cresset.autograd.gradcheck(function, leaves)


@every_operation
def test_double_gradient(name):
    for function, leaves in differentiable(name, 12):
        cresset.autograd.gradgradcheck(function, leaves)


@contextmanager
def observed():
    """A list that fills with (operation, arguments, result) of every call."""
    calls = []

    def miss(op, args):
        result = dispatch.miss(op, args)
        if not dispatch.captured(args):
            calls.append((op, dispatch.clean(op, args), result))
        return result

    generated.fill(plans={}, miss=miss)
    try:
        yield calls
    finally:
        generated.fill(plans=dispatch.plans, miss=dispatch.miss)


def calls_of(sample, dtype="float32", arrangement="plain"):
    """The calls of operations that a sample makes."""
    with observed() as calls:
        result = run(sample, cresset, built(sample, dtype, arrangement))
    return [] if isinstance(result, Exception) else calls


@every_operation
def test_shape_rule(name):
    """What is inferred from layouts is what comes out."""
    wrong = []
    for sample in BY_NAME[name]:
        for arrangement in ("plain", "transposed"):
            for op, args, result in calls_of(sample, arrangement=arrangement):
                got = result if isinstance(result, tuple) else (result,)
                inferred = op.infer(dispatch.specs_of(op, args))
                if [x.layout for x in got] != list(inferred):
                    wrong.append(f"{sample.id}: {op.name} gives {[x.layout for x in got]}; "
                                 f"inferred is {list(inferred)}")
    told(wrong)


@every_operation
def test_fused_is_what_the_body_says(name):
    """A composite operation in one program and its body, one operation at a time."""
    wrong = []
    for sample in BY_NAME[name]:
        for op, args, result in calls_of(sample):
            if isinstance(op, Composite):
                expected = op.call_body(args)
                loose = sample.within(sample.ulps + 4, sample.scale)
                wrong += compared(loose, op.name, arrays(result), arrays(expected))
    told(wrong)


# --- written forms --------------------------------------------------------------------------------
# These write nothing: the tensor then shows something else (test_view_changes.py).
VIEW_CHANGES = {"as_strided_", "squeeze_", "swapaxes_", "swapdims_", "t_", "transpose_",
                "unsqueeze_"}


@every_operation
def test_in_place_form(name):
    """x.name_(...) writes what name(x, ...) returns, and nothing beside x."""
    form = name.removeprefix("Tensor.") + "_"
    if name.count(".") > name.startswith("Tensor.") or not hasattr(Tensor, form):
        return
    if form in VIEW_CHANGES:
        return
    wrong = []
    for sample in BY_NAME[name]:
        if not sample.operands or sample.seeded or not sample.leads and size(sample) > 12:
            continue
        for dtype, arrangement in (("float32", "plain"), ("float32", "transposed"),
                                   ("float32", "stepped"), ("int64", "plain"), ("bool", "plain")):
            operands = built(sample, dtype, arrangement)
            expected = run(sample, cresset, operands)
            if not isinstance(expected, Exception):
                wrong += in_place(sample, form, operands, expected, f"{dtype} {arrangement}")
    told(wrong)


def in_place(sample, form, operands, expected, how):
    """What is wrong with the in-place form of a call."""
    if len(expected) != 1 or not isinstance(sample.args[0], type(sample.operands[0])):
        return []
    x, expected = operands[0], expected[0]
    around = x if x.base is None else x.base
    before = around.copy()
    got = run(sample, cresset, operands, name=f"Tensor.{form}")
    # float_power_ alone wants the very type of the result.
    fits = form != "float_power_" and x.shape == expected.shape and cresset.can_cast(
        cresset.from_numpy(expected).dtype, cresset.from_numpy(x).dtype)
    if not fits:
        if not isinstance(got, RuntimeError):
            return [f"{sample.id} {how}: {form} wrote what does not fit"]
        return [] if np.array_equal(around, before) else [f"{sample.id} {how}: {form} wrote"]
    if x.base is not None and not isinstance(got, Exception):
        x_again = x.copy()
        x[...] = 0
        before_without = before.copy()
        view_of(before_without, around, x)[...] = 0
        if not np.array_equal(around, before_without):
            return [f"{sample.id} {how}: {form} wrote beside its operand"]
        got = [x_again]
    return compared(sample, f"{how} {form}", got, [expected.astype(x.dtype)])


def view_of(copy, base, x):
    """The part of a copy of `base` at which x lies in `base`."""
    offset = x.__array_interface__["data"][0] - base.__array_interface__["data"][0]
    return np.ndarray(x.shape, x.dtype, copy, offset, x.strides)


@every_operation
def test_out_form(name):
    """name(..., out=y) writes what name(...) returns."""
    function = BY_NAME[name][0].function(cresset)
    if "out" not in inspect.signature(function).parameters:
        return
    wrong = []
    for sample in BY_NAME[name]:
        operands = built(sample, "float32")
        expected = run(sample, cresset, operands) if sample.leads or size(sample) < 12 else []
        if isinstance(expected, Exception) or len(expected) != 1:
            continue
        for how in (plain, transposed, stepped):
            out = how(np.zeros_like(expected[0]))
            target = cresset.from_numpy(out)
            tensors = [cresset.from_numpy(a) for a in operands]
            returned = sample.call(cresset, tensors, out=target)
            if returned is not target:
                wrong.append(f"{sample.id}: returned something else than out")
            wrong += compared(sample, f"out {how.__name__}", [out], expected)
    told(wrong)


# --- completeness ---------------------------------------------------------------------------------
def sampled(op):
    """Whether there are samples of an operation's own name."""
    names = {op.name, op.label}
    return any(name.split(".")[-1].strip("_") in names for name in BY_NAME)


def test_every_operation_has_samples():
    for samples in BY_NAME.values():
        samples[0].function(cresset)  # Modules are imported when they are first asked for.
    missing = [
        name for name, op in registry.items()
        if (op.module or "").startswith("cresset.ops.")
        and not {op.module, f"{op.module}.{name}"} & ELSEWHERE.keys()
        and name not in INTERNAL and not sampled(op)
    ]
    assert not missing, f"{missing}: give them samples, or say in INTERNAL which samples run them"


@pytest.mark.parametrize("name", INTERNAL)
def test_internal_operation_is_run(name):
    """The samples that INTERNAL names run the operation, or their gradients do."""
    seen = set()
    with observed() as calls:
        for sample in BY_NAME[INTERNAL[name]]:
            for dtype in ("float64", "int64"):
                gradients(sample, cresset, built(sample, dtype))
        seen.update(op.name for op, _, _ in calls)
    assert name in seen


def test_tests_elsewhere_exist():
    for file in ELSEWHERE.values():
        assert (Path(__file__).parent / file).is_file()
