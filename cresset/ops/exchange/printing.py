"""Printing: a tensor as text, character for character as PyTorch prints it.

All elements of a tensor are spelled in one notation and one width. Of a large tensor only the
elements at the ends of each dim are read, so printing it costs no more than printing a small one.
"""

from __future__ import annotations

import math
from itertools import chain

from cresset.core.dtype import bool as boolean
from cresset.core.dtype import complex64, complex128, float64, get_default_dtype, int64
from cresset.core.tensor import Tensor

__all__ = ["set_printoptions"]

PROFILES: dict[str, dict[str, float]] = {
    "default": {"precision": 4, "threshold": 1000, "edgeitems": 3, "linewidth": 80},
    "short": {"precision": 2, "threshold": 1000, "edgeitems": 2, "linewidth": 80},
    "full": {"precision": 4, "threshold": math.inf, "edgeitems": 3, "linewidth": 80},
}


class _Options:
    """How tensors are printed; `set_printoptions` says what each option means."""

    precision = 4
    threshold: float = 1000
    edgeitems = 3
    linewidth = 80
    sci_mode: bool | None = None


def set_printoptions(
    precision: int | None = None,
    threshold: float | None = None,
    edgeitems: int | None = None,
    linewidth: int | None = None,
    profile: str | None = None,
    sci_mode: bool | None = None,
) -> None:
    """Set how tensors are printed; what is None stays as it is, but for `sci_mode`.

    `precision` is the number of digits after the point (4 at the start). A tensor of more than
    `threshold` elements (1000) is shortened to `edgeitems` (3) at both ends of each dim.
    `linewidth` is the number of columns (80). `sci_mode` asks for scientific notation or forbids
    it; with None, the default of every call, the values decide: it is used where the greatest is
    above 1e8 or 1000 times the smallest, or the smallest below 1e-4, zeros left out.

    `profile` is one of "default", "short" (2 digits, 2 items at the ends) and "full" (nothing is
    left out); options given beside it win.

    Raises ValueError on another profile and on a negative number.

    >>> import cresset
    >>> set_printoptions(precision=2, threshold=5)
    >>> cresset.arange(8) / 7
    tensor([0.00, 0.14, 0.29,  ..., 0.71, 0.86, 1.00])
    >>> set_printoptions(profile="default")
    >>> cresset.tensor([1e-5, 0.25])
    tensor([1.0000e-05, 2.5000e-01])
    """
    if profile is not None and profile not in PROFILES:
        raise ValueError(
            f"set_printoptions: there is no profile {profile!r}; need one of {', '.join(PROFILES)}"
        )
    chosen = {} if profile is None else dict(PROFILES[profile])
    given = {
        "precision": precision, "threshold": threshold, "edgeitems": edgeitems,
        "linewidth": linewidth,
    }
    for name, value in given.items():
        if value is None:
            continue
        if value < 0:
            raise ValueError(f"set_printoptions: {name} is {value}; need a number, 0 or more")
        chosen[name] = value
    for name, value in chosen.items():
        setattr(_Options, name, value)
    _Options.sci_mode = sci_mode


class _Spelling:
    """The notation and the width that real elements share; called with an element."""

    def __init__(self, values: list, floating: bool):
        self.form, self.point = "", ""
        if floating:
            # Zeros and what is not finite take the notation of the others, and do not widen it.
            values = [value for value in values if value and math.isfinite(value)]
            self.form, self.point = _notation(values)
        self.width = max((len(self._spell(value)) for value in values), default=1)

    def __call__(self, value) -> str:
        return self._spell(value).rjust(self.width)

    def _spell(self, value):
        spelled = format(value, self.form)
        return spelled + self.point if math.isfinite(value) else spelled


class _ComplexSpelling:
    """The same for complex elements, whose parts have a notation and a width each."""

    def __init__(self, values: list):
        self.real = _Spelling([value.real for value in values], True)
        self.imaginary = _Spelling([value.imag for value in values], True)
        self.width = self.real.width + self.imaginary.width + 1

    def __call__(self, value) -> str:
        imaginary = self.imaginary(value.imag).lstrip()
        sign = "" if imaginary.startswith("-") else "+"
        return f"{self.real(value.real)}{sign}{imaginary}j"


def _notation(values) -> tuple[str, str]:
    """The format of floats, and what is put behind it: the point of those that are whole."""
    if values and _is_scientific(values):
        return f".{_Options.precision}e", ""
    if all(value.is_integer() for value in values):
        return ".0f", "."
    return f".{_Options.precision}f", ""


def _is_scientific(values):
    if _Options.sci_mode is not None:
        return _Options.sci_mode
    least, most = min(map(abs, values)), max(map(abs, values))
    return most / least > 1000 or most > 1e8 or least < 1e-4


def _elements(x, ends):
    """The elements as nested lists; with `ends`, at most so many from each end of a dim."""
    if ends is None:
        return x.tolist()
    if not x.layout.ndim:
        return x.item()
    size = len(x)
    shown = range(size) if size <= 2 * ends else (*range(ends), *range(size - ends, size))
    return [_elements(x[k], ends) for k in shown]


def _flat(values, ndim):
    """The numbers in lists that are nested `ndim` deep."""
    if not ndim:
        return [values]
    for _ in range(ndim - 1):
        values = list(chain.from_iterable(values))
    return values


def _bracketed(values, shape, ends, indent, spelling):
    """Nested lists as text that starts at column `indent`."""
    if not shape:
        return spelling(values)
    is_row = len(shape) == 1
    if is_row:
        items = [spelling(value) for value in values]
    else:
        items = [_bracketed(row, shape[1:], ends, indent + 1, spelling) for row in values]
    if ends is not None and shape[0] > 2 * ends:
        items.insert(ends, " ..." if is_row and ends else "...")
    if is_row:
        per_line = max(1, (_Options.linewidth - indent) // (spelling.width + 2))
        items = [", ".join(items[k : k + per_line]) for k in range(0, len(items), per_line)]
    line_ends = "\n" * max(1, len(shape) - 1)
    return "[" + f",{line_ends}{' ' * (indent + 1)}".join(items) + "]"


def _contents(x, indent):
    """The elements as text that starts at column `indent`."""
    layout = x.layout
    if layout.device == "meta":
        return "..."
    if not layout.numel:
        return "[]"
    ends = _Options.edgeitems if layout.numel > _Options.threshold else None
    values = _elements(x.detach(), ends)
    flat = _flat(values, layout.ndim)
    if layout.dtype.is_complex:
        spelling: _Spelling | _ComplexSpelling = _ComplexSpelling(flat)
    else:
        spelling = _Spelling(flat, layout.dtype.is_floating_point)
    return _bracketed(values, layout.shape, ends, indent, spelling)


def _remarks(x):
    """What is said after the elements: only what they do not show."""
    d, shape = x.layout.dtype, tuple(x.layout.shape)
    absent, empty = x.layout.device == "meta", not x.layout.numel
    remarks = []
    if x.layout.device != "cpu":
        remarks.append(f"device='{x.device}'")
    if absent or (len(shape) != 1 if empty else not _Options.edgeitems):
        remarks.append(f"size={shape}")
    # Elements show that they are integers, booleans or complex; where there are none, nothing does.
    default = get_default_dtype()
    evident = (int64, boolean, complex128 if default is float64 else complex64)
    if d is not default and (absent or empty or d not in evident):
        remarks.append(f"dtype={d}")
    node = x.grad_fn
    if node is not None:
        remarks.append(f"grad_fn=<{node.name()}>")
    elif x.requires_grad:
        remarks.append("requires_grad=True")
    return remarks


def _repr(x) -> str:
    """The tensor as PyTorch prints it.

    >>> import cresset
    >>> cresset.tensor([[1.0, 2.5], [-3.0, 0.0]])
    tensor([[ 1.0000,  2.5000],
            [-3.0000,  0.0000]])
    """
    kind = type(x)
    # The classes of this package, such as nn.Parameter, name themselves where they want to.
    name = "tensor" if kind.__module__.startswith("cresset.") else kind.__name__
    indent = len(name) + 1
    text = f"{name}({_contents(x, indent)}"
    # PyTorch's count of the last line: two more than it has, or one more after a line break.
    column = len(text) - text.rfind("\n") + 1
    for remark in _remarks(x):
        if column + len(remark) + 2 > _Options.linewidth:
            text += ",\n" + " " * indent + remark
            column = indent + len(remark)
        else:
            text += ", " + remark
            column += len(remark) + 2
    return text + ")"


def _format(x, spec: str) -> str:
    """A tensor without dims as its number would be formatted; others without a format alone.

    >>> import cresset
    >>> f"{cresset.tensor(0.98765):.1%}"
    '98.8%'
    """
    if type(x) is Tensor and not x.layout.ndim:
        return format(x.detach().item(), spec)
    if spec:
        raise TypeError(
            f"format: unsupported format string passed to {type(x).__name__}.__format__; got "
            f"{spec!r} for shape {tuple(x.layout.shape)}; only a plain tensor without dims takes "
            "one; index it or take its .item()"
        )
    return str(x)


Tensor.__repr__ = _repr  # type: ignore[method-assign]
Tensor.__format__ = _format  # type: ignore[method-assign]
