"""`cresset.testing`: comparisons for tests."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import cresset
from cresset import Tensor

__all__ = ["assert_allclose", "assert_close"]

# (relative, absolute) tolerances by type, those of PyTorch; other types must be equal.
TOLERANCES = {
    "float16": (1e-3, 1e-5),
    "bfloat16": (1.6e-2, 1e-5),
    "float32": (1.3e-6, 1e-5),
    "float64": (1e-7, 1e-7),
    "complex64": (1.3e-6, 1e-5),
    "complex128": (1e-7, 1e-7),
}

# Those of the older `assert_allclose`.
OLDER_TOLERANCES = {
    cresset.float16: (1e-3, 1e-3),
    cresset.float32: (1e-4, 1e-5),
    cresset.float64: (1e-5, 1e-8),
}


def assert_close(
    actual: Any,
    expected: Any,
    *,
    allow_subclasses: bool = True,
    rtol: float | None = None,
    atol: float | None = None,
    equal_nan: bool = False,
    check_device: bool = True,
    check_dtype: bool = True,
    check_layout: bool = True,
    check_stride: bool = False,
    msg: Any = None,
) -> None:
    """|actual - expected| <= atol + rtol * |expected| for every element, else AssertionError.

    Tensors, numbers, and sequences and mappings of them are compared. Tolerances are given both or
    neither; by default they follow the type, the looser one where types differ and `check_dtype` is
    off. NaN is unequal to itself unless `equal_nan`. The message tells how many elements differ,
    the greatest differences, and where they are; `msg` replaces it, or makes another of it.

    >>> import cresset
    >>> cresset.testing.assert_close(cresset.tensor([1.0, 2.0]), cresset.tensor([1.0, 2.1]))
    Traceback (most recent call last):
    AssertionError: Tensor-likes are not close!
    <BLANKLINE>
    Mismatched elements: 1 / 2 (50.0%)
    Greatest absolute difference: 0.09999990463256836 at index (1,) (up to 1e-05 allowed)
    Greatest relative difference: 0.047619004368509764 at index (1,) (up to 1.3e-06 allowed)
    """
    if (rtol is None) != (atol is None):
        raise ValueError(
            f"assert_close: Both 'rtol' and 'atol' must be either specified or unspecified; got "
            f"rtol={rtol} and atol={atol}"
        )
    options = {
        "rtol": rtol, "atol": atol, "equal_nan": equal_nan, "check_device": check_device,
        "check_dtype": check_dtype, "check_stride": check_stride,
    }
    problem = _difference(actual, expected, options, "")
    if problem is None:
        return
    if msg is not None:
        problem = msg(problem) if callable(msg) else msg
    raise AssertionError(problem)


def assert_allclose(
    actual: Any, expected: Any, rtol: float | None = None, atol: float | None = None,
    equal_nan: bool = True, msg: str = "",
) -> None:
    """`assert_close` by its older name, with wider tolerances: of numbers and lists as well, of
    any types, and NaN is equal to itself.

    >>> assert_allclose([1.0, float("nan")], [1.00005, float("nan")])
    """
    warnings.warn(
        "assert_allclose: deprecated since PyTorch 1.12; use assert_close", FutureWarning, 2
    )
    if not isinstance(actual, Tensor):
        actual = cresset.tensor(actual)
    if not isinstance(expected, Tensor):
        expected = cresset.tensor(expected, dtype=actual.dtype)
    if rtol is None and atol is None:
        given = [OLDER_TOLERANCES.get(x.dtype, (0.0, 0.0)) for x in (actual, expected)]
        rtol, atol = map(max, zip(*given))
    assert_close(
        actual, expected, rtol=rtol, atol=atol, equal_nan=equal_nan, check_dtype=False,
        msg=msg or None,
    )


def _difference(actual, expected, options, where) -> str | None:
    """What is different, None if nothing; `where` says in which item of the arguments."""
    if isinstance(actual, Mapping) and isinstance(expected, Mapping):
        if actual.keys() != expected.keys():
            missing = [k for k in expected if k not in actual]
            more = [k for k in actual if k not in expected]
            return (
                "The keys of the mappings do not match:\n"
                f"Missing keys in the actual mapping: {missing}\n"
                f"Missing keys in the expected mapping: {more}"
            )
        pairs = [(actual[k], expected[k], f"{where}[{k!r}]") for k in expected]
        return _first(pairs, options)
    if _is_sequence(actual) and _is_sequence(expected):
        if len(actual) != len(expected):
            return f"The length of the sequences mismatch: {len(actual)} != {len(expected)}"
        pairs = [(a, e, f"{where}[{k}]") for k, (a, e) in enumerate(zip(actual, expected))]
        return _first(pairs, options)
    if actual is None or expected is None:
        return None if actual is expected else f"None mismatch: {actual} is not {expected}"
    try:
        if isinstance(actual, Tensor) is not isinstance(expected, Tensor):
            raise TypeError
        a, e = _tensor(actual), _tensor(expected)
    except (TypeError, ValueError, RuntimeError):
        raise TypeError(
            f"assert_close: no comparison is defined for {type(actual).__name__} and "
            f"{type(expected).__name__}; need tensors, numbers, or sequences or mappings of them"
        ) from None
    scalars = not isinstance(actual, Tensor) and not isinstance(expected, Tensor)
    return _tensors(a, e, options, where, scalars)


def _first(pairs, options) -> str | None:
    for actual, expected, where in pairs:
        problem = _difference(actual, expected, options, where)
        if problem is not None:
            return problem
    return None


def _is_sequence(thing) -> bool:
    return isinstance(thing, Sequence) and not isinstance(thing, (str, bytes))


def _tensor(thing) -> Tensor:
    if isinstance(thing, float):
        return cresset.tensor(thing, dtype=cresset.float64)
    if isinstance(thing, complex):
        return cresset.tensor(thing, dtype=cresset.complex128)
    return cresset.as_tensor(thing)


def _tensors(actual, expected, options, where, scalars) -> str | None:
    item = f"\n\nThe failure occurred for item {where}" if where else ""
    if actual.shape != expected.shape:
        return (
            f"The values for attribute 'shape' do not match: {actual.shape} != {expected.shape}."
            f"{item}"
        )
    for name in ("device", "dtype", "stride"):
        values = (actual.stride(), expected.stride()) if name == "stride" else (
            getattr(actual, name), getattr(expected, name))
        if options[f"check_{name}"] and not scalars and values[0] != values[1]:
            return f"The values for attribute '{name}' do not match: {values[0]} != {values[1]}."\
                   f"{item}"
    rtol, atol = options["rtol"], options["atol"]
    if rtol is None:
        both = [TOLERANCES.get(t.dtype.name, (0.0, 0.0)) for t in (actual, expected)]
        rtol, atol = max(r for r, _ in both), max(a for _, a in both)
    common = cresset.promote_types(actual.dtype, expected.dtype)
    a, e = (t.detach().to(_wide(common)) for t in (actual, expected))
    close = cresset.isclose(a, e, rtol=rtol, atol=atol, equal_nan=options["equal_nan"])
    if close.all():
        return None
    return _report(a, e, close, rtol, atol, scalars) + item


def _wide(common):
    """The type to compare in."""
    if common.is_complex:
        return cresset.complex128
    return cresset.float64 if common.is_floating_point else cresset.int64


def _report(a, e, close, rtol, atol, scalars) -> str:
    away = (a - e).abs().double().masked_fill(close, 0.0)
    relative = (away / e.abs().double()).masked_fill(close, 0.0)
    kind = "equal" if rtol == atol == 0 else "close"
    if scalars:
        return (
            f"Scalars are not {kind}!\n\nExpected {e.item()} but got {a.item()}.\n"
            f"Absolute difference: {away.item()} (up to {atol} allowed)\n"
            f"Relative difference: {relative.item()} (up to {rtol} allowed)"
        )
    wrong = int((~close).sum())
    lines = [
        f"Tensor-likes are not {kind}!", "",
        f"Mismatched elements: {wrong} / {close.numel()} ({100 * wrong / close.numel():.1f}%)",
    ]
    for name, values, allowed in (("absolute", away, atol), ("relative", relative, rtol)):
        place = int(values.nan_to_num(float("inf")).argmax())
        index = tuple(int(k) for k in cresset.unravel_index(cresset.tensor(place), values.shape))
        limit = f" (up to {allowed} allowed)" if kind == "close" else ""
        lines.append(
            f"Greatest {name} difference: {values.reshape(-1)[place].item()} at index {index}"
            f"{limit}"
        )
    return "\n".join(lines)
