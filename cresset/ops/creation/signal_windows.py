"""Windows for signals: Hann, Hamming, Blackman, Bartlett and Kaiser.

A periodic window is one of length n + 1 without its last element: repeated, it has no seam.
Harris, On the use of windows for harmonic analysis with the discrete Fourier transform (1978).
"""

from __future__ import annotations

from math import pi

from cresset.core import dtype as types
from cresset.ops.creation.counted import arange
from cresset.ops.creation.tensors import ones, ones_like

__all__ = ["bartlett_window", "blackman_window", "hamming_window", "hann_window", "kaiser_window"]


def _window(name, length, periodic, dtype, requires_grad, shape_of):
    """shape_of(k, n - 1) for k = 0, 1, ..., n - 1, computed in float64 and rounded once."""
    d = dtype or types.get_default_dtype()
    if not d.is_floating_point:
        raise RuntimeError(f"{name}: expected floating point dtypes but got {d}")
    if length < 0:
        raise RuntimeError(f"{name}: requires non-negative window_length, got {length}")
    if length < 2:
        made = ones(length, dtype=d)
    else:
        last = length if periodic else length - 1
        made = shape_of(arange(length, dtype=types.float64), last).to(d)
    return made.requires_grad_() if requires_grad else made


def _cosines(*amplitudes):
    """The sum of amplitudes[j] * cos(2 pi j k / last), signs in turn."""
    def shape_of(k, last):
        angle = k * (2.0 * pi / last)
        made = amplitudes[0] - amplitudes[1] * angle.cos()
        return made + amplitudes[2] * (2.0 * angle).cos() if len(amplitudes) > 2 else made

    return shape_of


def hann_window(window_length, periodic=True, *, dtype=None, layout=None, device=None,
                pin_memory=False, requires_grad=False):
    """0.5 - 0.5 cos(2 pi k / (n - 1)).

    >>> import cresset
    >>> cresset.hann_window(4)
    tensor([0.0000, 0.5000, 1.0000, 0.5000])
    """
    return _window("hann_window", window_length, periodic, dtype, requires_grad,
                   _cosines(0.5, 0.5))


def hamming_window(window_length, periodic=True, alpha=0.54, beta=0.46, *, dtype=None, layout=None,
                   device=None, pin_memory=False, requires_grad=False):
    """alpha - beta cos(2 pi k / (n - 1))."""
    return _window("hamming_window", window_length, periodic, dtype, requires_grad,
                   _cosines(alpha, beta))


def blackman_window(window_length, periodic=True, *, dtype=None, layout=None, device=None,
                    pin_memory=False, requires_grad=False):
    """0.42 - 0.5 cos(2 pi k / (n - 1)) + 0.08 cos(4 pi k / (n - 1))."""
    return _window("blackman_window", window_length, periodic, dtype, requires_grad,
                   _cosines(0.42, 0.5, 0.08))


def bartlett_window(window_length, periodic=True, *, dtype=None, layout=None, device=None,
                    pin_memory=False, requires_grad=False):
    """A triangle: 1 - |2 k / (n - 1) - 1|."""
    return _window("bartlett_window", window_length, periodic, dtype, requires_grad,
                   lambda k, last: 1.0 - (k * (2.0 / last) - 1.0).abs())


def kaiser_window(window_length, periodic=True, beta=12.0, *, dtype=None, layout=None, device=None,
                  pin_memory=False, requires_grad=False):
    """i0(beta sqrt(1 - (2 k / (n - 1) - 1) ** 2)) / i0(beta), i0 the modified Bessel function."""
    def shape_of(k, last):
        off = k * (2.0 / last) - 1.0
        return (beta * (1.0 - off * off).clamp(0.0).sqrt()).i0() / (ones_like(off) * beta).i0()

    return _window("kaiser_window", window_length, periodic, dtype, requires_grad, shape_of)
