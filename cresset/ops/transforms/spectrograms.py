"""Short-time Fourier transforms: of windows that move along a signal, and back."""

from __future__ import annotations

from cresset.core.layout import Layout
from cresset.core.tensor import Tensor
from cresset.ops.creation.tensors import ones
from cresset.ops.neural.padding import pad
from cresset.ops.operation import method
from cresset.ops.placement import placed
from cresset.ops.pointwise.complex_numbers import view_as_real
from cresset.ops.shapes.shape import matrix_transpose, narrow, unfold, unsqueeze
from cresset.ops.transforms.fourier import fft, ifft, irfft, rfft

__all__ = ["istft", "stft"]


def _window(name, window, win_length, n_fft, d, device):
    """The window with zeros on both sides up to `n_fft`."""
    if window is None:
        window = ones(win_length, dtype=d, device=device)
    elif tuple(window.layout.shape) != (win_length,):
        raise RuntimeError(
            f"{name}: expected a 1D window tensor of size equal to win_length={win_length}, but "
            f"got window with size {list(window.layout.shape)}"
        )
    left = (n_fft - win_length) // 2
    if win_length == n_fft:
        return window
    return pad(window, (left, n_fft - win_length - left))


def _lengths(name, n_fft, hop_length, win_length):
    hop = n_fft // 4 if hop_length is None else hop_length
    width = n_fft if win_length is None else win_length
    if hop <= 0:
        raise RuntimeError(f"{name}: expected hop_length > 0, but got hop_length={hop}")
    if not 0 < width <= n_fft:
        raise RuntimeError(f"{name}: expected 0 < win_length <= n_fft, but got "
                           f"win_length={width} and n_fft={n_fft}")
    return hop, width


@method()
def stft(input, n_fft, hop_length=None, win_length=None, window=None, center=True,
         pad_mode="reflect", normalized=False, onesided=None, return_complex=None,
         align_to_window=None):
    """The `fft` of windows of a signal: (..., samples) gives (..., frequencies, windows).

    Windows of `n_fft` samples stand `hop_length` apart (n_fft // 4 by default) and are multiplied
    by `window`, which is filled with zeros on both sides from `win_length` (n_fft by default).
    With `center` the signal is padded by n_fft // 2 on both sides, so that window t has sample
    t * hop_length in its middle. `normalized` scales by 1 / sqrt(n_fft). With `onesided`, the
    default unless something is complex, there are n_fft // 2 + 1 frequencies.

    Raises RuntimeError unless `return_complex` is given for a real signal; without it the last of
    the dims are real and imaginary parts.

    >>> import cresset
    >>> cresset.stft(cresset.ones(8), 4, return_complex=True).shape
    torch.Size([3, 9])
    """
    d = input.layout.dtype
    if not (d.is_floating_point or d.is_complex) or input.layout.ndim not in (1, 2):
        raise RuntimeError(
            "stft: expected a 1D or 2D tensor of floating types or complex; got shape "
            f"{tuple(input.layout.shape)} and {d}"
        )
    hop, width = _lengths("stft", n_fft, hop_length, win_length)
    complex_input = d.is_complex or window is not None and window.layout.dtype.is_complex
    if return_complex is None:
        if not complex_input:
            raise RuntimeError(
                "stft: requires the return_complex parameter be given for real inputs, and will "
                "further require that return_complex=True; give return_complex=True"
            )
        return_complex = True
    onesided = not complex_input if onesided is None else onesided
    if onesided and complex_input:
        raise RuntimeError("stft: Cannot have onesided output if window or input is complex; "
                           "give onesided=False")
    x = unsqueeze(input, 0) if input.layout.ndim == 1 else input
    if center:
        x = pad(unsqueeze(x, 0), (n_fft // 2, n_fft // 2), pad_mode).squeeze(0)
    length = x.layout.shape[-1]
    if not 0 < n_fft <= length:
        raise RuntimeError(f"stft: expected 0 < n_fft <= {length}, but got n_fft={n_fft}")
    framed = unfold(x, -1, n_fft, hop)
    if window is not None or width != n_fft:
        framed = framed * _window("stft", window, width, n_fft, d, x.layout.device)
    norm = "ortho" if normalized else None
    made = rfft(framed, norm=norm) if onesided else fft(framed, norm=norm)
    made = matrix_transpose(made)
    made = made.squeeze(0) if input.layout.ndim == 1 else made
    return made if return_complex else view_as_real(made)


@method()
def istft(input, n_fft, hop_length=None, win_length=None, window=None, center=True,
          normalized=False, onesided=None, length=None, return_complex=False):
    """The signal whose `stft` is nearest to the input, in least squares, with the same arguments.

    Windows are transformed back, multiplied by `window` again, added where they overlap, and
    divided by the sum of the windows' squares there. The result has `length` samples, or as many as
    the windows reach over.

    Raises RuntimeError where the windows leave samples out.

    >>> import cresset
    >>> x = cresset.arange(8.0)
    >>> window = cresset.hann_window(4)
    >>> spectrum = cresset.stft(x, 4, window=window, return_complex=True)
    >>> cresset.istft(spectrum, 4, window=window).isclose(x).all()
    tensor(True)
    """
    if not input.layout.dtype.is_complex or input.layout.ndim not in (2, 3):
        raise RuntimeError(
            "istft: requires a complex-valued input tensor matching the output from stft with "
            f"return_complex=True, of 2 or 3 dims; got shape {tuple(input.layout.shape)} and "
            f"{input.layout.dtype}"
        )
    hop, width = _lengths("istft", n_fft, hop_length, win_length)
    frequencies, count = input.layout.shape[-2:]
    onesided = frequencies != n_fft if onesided is None else onesided
    expected = n_fft // 2 + 1 if onesided else n_fft
    if frequencies != expected or not count:
        raise RuntimeError(
            f"istft: expected the frequency dimension (3rd to the last) of the input tensor to "
            f"match n_fft / 2 + 1 when onesided=True or n_fft else, and at least one window; got "
            f"{frequencies} frequencies and {count} windows; need {expected}"
        )
    if return_complex and onesided:
        raise RuntimeError("istft: complex output is incompatible with onesided input; give "
                           "onesided=False")
    x = matrix_transpose(unsqueeze(input, 0) if input.layout.ndim == 2 else input)
    norm = "ortho" if normalized else None
    # Of what is real the first half tells the rest.
    framed = ifft(x, norm=norm) if return_complex else irfft(x, n_fft, norm=norm)
    real = input.layout.dtype.to_real()
    weights = _window("istft", window, width, n_fft, real, x.layout.device)
    signal = _overlapped(framed * weights, hop)
    weight = _overlapped((weights * weights).expand(1, count, n_fft), hop)
    reach = signal.layout.shape[-1]
    start = n_fft // 2 if center else 0
    end = start + length if length is not None else reach - start
    seen = min(end, reach) - start
    signal, weight = narrow(signal, -1, start, seen), narrow(weight, -1, start, seen)
    if weight.layout.device != "meta" and weight.abs().min().item() <= 1e-11:
        raise RuntimeError(
            "istft: window overlap add min: 0; the windows leave samples out; give a window "
            "without zeros there, or a smaller hop_length"
        )
    made = signal / weight
    if end > reach:
        made = pad(made, (0, end - reach))
    return made.squeeze(0) if input.layout.ndim == 2 else made


def _overlapped(framed: Tensor, hop: int) -> Tensor:
    """Windows added up where they overlap: the adjoint of `unfold`."""
    batch, count, size = framed.layout.shape
    whole = Layout.packed((batch, (count - 1) * hop + size), framed.layout.dtype)
    return placed(framed, unfold.op, (-1, size, hop), whole)
