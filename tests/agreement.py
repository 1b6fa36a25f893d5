"""Agreement: whether two results are the same, to a stated number of units in the last place."""

from __future__ import annotations

import numpy as np


def arrays(result):
    """The parts of a result, in order, as NumPy arrays; what is no tensor as it is."""
    parts = result if isinstance(result, (tuple, list)) else (result,)
    return [_array(p.detach()) if hasattr(p, "detach") else p for p in parts]


# NumPy has no bfloat16. Arrays of it are float32 under a name, which says which type is meant.
BFLOAT16 = np.dtype([("bfloat16", "f4")])


def _array(tensor):
    if str(tensor.dtype) != "torch.bfloat16":
        return tensor.resolve_conj().resolve_neg().numpy()
    return tensor.float().numpy().view(BFLOAT16).reshape(tuple(tensor.shape))


def tensor_of(package, array):
    """A package's tensor of an array, over its memory where the package has the array's type."""
    if array.dtype == BFLOAT16:
        return package.from_numpy(array["bfloat16"]).to(package.bfloat16)
    return package.from_numpy(array)


def disagreement(got, expected, ulps=0.0, scale=0.0):
    """What is wrong with a list of results, or None.

    Types and shapes are equal; integers too. Floating numbers may differ by `ulps` units in the
    last place of the expected one or of `scale`, whichever is greater; where they may not, zeros
    have the same sign. A complex number differs by the size of the difference.
    """
    if len(got) != len(expected):
        return f"{len(got)} results instead of {len(expected)}"
    for g, e in zip(got, expected):
        wrong = _difference(g, e, ulps, scale)
        if wrong:
            return wrong
    return None


def _difference(got, expected, ulps, scale):
    if not isinstance(expected, np.ndarray):
        return None if type(got) is type(expected) and got == expected else f"{got} for {expected}"
    if not isinstance(got, np.ndarray):
        return f"a {type(got).__name__}, {got}, instead of an array"
    if got.dtype != expected.dtype:
        return f"{got.dtype} instead of {expected.dtype}"
    if got.shape != expected.shape:
        return f"shape {got.shape} instead of {expected.shape}"
    wrong = ~_close(got, expected, ulps, scale)
    if not wrong.any():
        return None
    place = tuple(int(k) for k in np.argwhere(wrong)[0])
    return (f"{got[place]!s} instead of {expected[place]!s} at {place}, as at {wrong.sum()} of "
            f"{wrong.size} places")


def _close(got, expected, ulps, scale):
    if expected.dtype.kind == "c":
        return _close_complex(got, expected, ulps, scale)
    if expected.dtype == BFLOAT16:
        # Its last bit weighs as much as the 16th from the last of float32.
        return _close(got["bfloat16"], expected["bfloat16"], ulps * 2.0**16, scale)
    if expected.dtype.kind != "f":
        return np.asarray(got == expected)
    both_nan = np.isnan(got) & np.isnan(expected)
    if not ulps:
        same = (got == expected) & (np.signbit(got) == np.signbit(expected))
        return np.asarray(same | both_nan)
    limits = np.finfo(expected.dtype)
    with np.errstate(all="ignore"):
        allowed = ulps * (limits.eps * np.maximum(np.abs(expected), scale) + limits.tiny)
        near = np.abs(got.astype("f8") - expected.astype("f8")) <= allowed
    return np.asarray(near & np.isfinite(expected) | (got == expected) | both_nan)


def _close_complex(got, expected, ulps, scale):
    both = [(got.real, expected.real), (got.imag, expected.imag)]
    same = np.logical_and(*[(g == e) | np.isnan(g) & np.isnan(e) for g, e in both])
    limits = np.finfo(expected.dtype)
    with np.errstate(all="ignore"):
        allowed = ulps * (limits.eps * np.maximum(np.abs(expected), scale) + limits.tiny)
        near = np.abs(got.astype("c16") - expected.astype("c16")) <= allowed
    return np.asarray(near & np.isfinite(expected) | same)
