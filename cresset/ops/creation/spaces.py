"""Numbers evenly spaced between two, or between their logarithms: linspace, logspace."""

from __future__ import annotations

from cresset.core import dtype as types
from cresset.core import scalar
from cresset.core.tensor import Tensor
from cresset.ops.arguments import whole
from cresset.ops.creation.counted import _counted
from cresset.ops.creation.tensors import _finish, _one_number
from cresset.ops.kinds.promotion import computed

__all__ = ["linspace", "logspace"]


def linspace(start, end, steps, *, endpoint=True, out=None, dtype=None, layout=None, device=None,
             requires_grad=False, pin_memory=False):
    """`steps` numbers from start to end, evenly spaced, both included unless not `endpoint`."""
    if not endpoint:
        x = linspace(start, end, steps + 1, dtype=dtype, device=device)[:-1]
        return _finish("linspace", x, requires_grad, None, out, pin_memory)
    ends = [
        n.item() if isinstance(n, Tensor) else _one_number("linspace", n, name)
        for n, name in ((start, "start"), (end, "end"))
    ]
    steps = whole("linspace", "steps", steps)
    if steps < 0:
        raise RuntimeError(f"linspace: number of steps must be non-negative; got {steps}; need "
                           "how many numbers to make")
    d = computed("linspace", dtype or types.get_default_dtype())
    if any(isinstance(n, complex) for n in ends):
        x = _complex_linspace(ends, steps, d if dtype else d.to_complex(), device)
        return _finish("linspace", x, requires_grad, None, out, pin_memory)
    start, end = map(float, ends)
    step = (end - start) / (steps - 1) if steps > 1 else 0.0
    values = (start, end, step, float(steps - 1), float((steps + 1) // 2))
    x = _counted("linspace", (steps,), d, values, _even, device)
    return _finish("linspace", x, requires_grad, None, out, pin_memory)


def _complex_linspace(ends, steps, d, device) -> Tensor:
    """Numbers whose real and imaginary parts are evenly spaced."""
    from cresset.ops.pointwise.complex_numbers import complex

    if not d.is_complex:
        raise RuntimeError(
            f"linspace: numbers between complex ends can't be cast to {d}; got {ends[0]} and "
            f"{ends[1]}; need complex64 or complex128"
        )
    return complex(*(
        linspace(first, last, steps, dtype=d.to_real(), device=device)
        for first, last in zip(*[(n.real, n.imag) for n in ends])
    ))


def _even(index, start, end, step, last, half):
    """Counted from the nearer end, so that both ends are exact."""
    at = scalar.cast(index, types.float64)
    return scalar.where(at < half, start + step * at, end - step * (last - at))


def logspace(start, end, steps, base=10.0, *, out=None, dtype=None, layout=None, device=None,
             requires_grad=False, pin_memory=False):
    """base ** linspace(start, end, steps)."""
    from cresset.ops.pointwise.arithmetic import reverse_power

    d = dtype or types.get_default_dtype()
    wide = types.float64
    if any(isinstance(n, complex) for n in (start, end)):
        d, wide = dtype or d.to_complex(), types.complex128
    exponents = linspace(start, end, steps, dtype=wide, device=device)
    x = reverse_power(exponents, float(base)).to(d)
    return _finish("logspace", x, requires_grad, None, out, pin_memory)
