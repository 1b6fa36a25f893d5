"""`fft` and short-time transforms: values, gradients, arguments, errors."""

from __future__ import annotations

import numpy as np
import pytest

import cresset

SHAPES = ((5,), (2, 3, 4))
TOLERANCE = {"float32": 1e-5, "float64": 1e-12, "complex64": 1e-5, "complex128": 1e-12}
REAL_ONLY = ("rfft", "ihfft", "rfft2", "ihfft2", "rfftn", "ihfftn")
ALONG_ONE = ("fft", "ifft", "rfft", "irfft", "hfft", "ihfft")
OVER_TWO = ("fft2", "ifft2", "rfft2", "irfft2", "hfft2", "ihfft2")
OVER_MANY = ("fftn", "ifftn", "rfftn", "irfftn", "hfftn", "ihfftn")


def keywords_of(name, shape):
    """Arguments of calls on operands of such a shape."""
    yield {}
    for norm in ("ortho", "forward", "backward"):
        yield {"norm": norm}
    if name in ALONG_ONE:
        yield from ({"n": n, "dim": 0} for n in (1, 2, 3, 6))
        yield {"dim": -1, "norm": "ortho", "n": 4}
    elif len(shape) > 1:
        yield {"dim": (0, 1)}
        yield {"dim": (1, 0), "norm": "ortho"}
        yield {"s": (3, 3)}
        yield {"s": (-1, 2), "dim": (0, 1)}
    if name in OVER_MANY:
        yield {"s": (4,)}
        yield {"dim": (-1,)}


def operand(shape, dtype):
    source = np.random.default_rng(3)
    x = source.uniform(-1, 1, shape)
    if dtype.startswith("complex"):
        x = x + 1j * source.uniform(-1, 1, shape)
    return x.astype(dtype)


def evaluated(package, call, *arrays):
    """The result of a call and the gradients of its operands."""
    leaves = [package.from_numpy(a.copy()).requires_grad_() for a in arrays]
    result = call(package, *leaves)
    angle = np.arange(result.numel()).reshape(tuple(result.shape))
    weight = np.cos(angle) + (1j * np.sin(angle) if result.is_complex() else 0)
    weight = package.from_numpy(np.asarray(weight, array(result).dtype))
    found = package.autograd.grad(result, leaves, weight)
    return [array(x) for x in (result, *found)]


def array(x):
    return x.detach().resolve_conj().numpy()


def agree(torch, call, *arrays):
    got, expected = (evaluated(p, call, *arrays) for p in (cresset, torch))
    for g, e in zip(got, expected, strict=True):
        assert (g.dtype, g.shape) == (e.dtype, e.shape)
        bound = TOLERANCE[str(arrays[0].dtype)] * max(1, np.abs(e).max(initial=0))
        np.testing.assert_allclose(g, e, atol=bound, rtol=0)


@pytest.mark.parametrize("name", ALONG_ONE + OVER_TWO + OVER_MANY)
def test_transform_agrees_with_pytorch(name, torch):
    for shape in SHAPES:
        if len(shape) == 1 and name in OVER_TWO:
            continue
        for keywords in keywords_of(name, shape):
            # Types do not depend on arguments, nor the other way round.
            types = ("float32",) if keywords else ("float64", "complex64")
            for dtype in types[: 1 if name in REAL_ONLY else 2]:
                agree(torch, lambda p, x, k=keywords: getattr(p.fft, name)(x, **k),
                      operand(shape, dtype))


@pytest.mark.parametrize("name", ALONG_ONE + OVER_TWO)
def test_gradients(name):
    def call(x):
        return getattr(cresset.fft, name)(x * x, norm="ortho")

    dtype = "float64" if name in REAL_ONLY else "complex128"
    x = cresset.from_numpy(operand((2, 3), dtype)).requires_grad_()
    cresset.autograd.gradcheck(call, x)
    x = cresset.from_numpy(operand((1, 3), dtype)).requires_grad_()
    cresset.autograd.gradgradcheck(call, x)


def test_integers_are_transformed_as_the_default_float(torch):
    for package in (cresset, torch):
        found = package.fft.fft(package.tensor([1, 2, 3]))
        assert found.dtype is package.complex64
        assert found[0].item() == 6
        assert package.fft.irfft(package.tensor([True, False])).dtype is package.float32


def test_frequencies_and_shifts(torch):
    for n in (1, 2, 5, 6):
        for function in ("fftfreq", "rfftfreq"):
            got, expected = (getattr(p.fft, function)(n, 0.5) for p in (cresset, torch))
            assert got.tolist() == expected.tolist()
        for function in ("fftshift", "ifftshift"):
            for dim in (None, 0, (1,), (-1, 0)):
                got, expected = (getattr(p.fft, function)(p.arange(n * 3).reshape(n, 3), dim)
                                 for p in (cresset, torch))
                assert got.tolist() == expected.tolist()


def test_out_and_shapes_without_elements():
    x = cresset.ones(4)
    out = cresset.empty(3, dtype=cresset.complex64)
    assert cresset.fft.rfft(x, out=out) is out and out[0].item() == 4
    assert cresset.fft.fft(cresset.ones(0, 4)).shape == (0, 4)
    there = cresset.ones(2, 6, device="meta")
    assert cresset.fft.rfft2(there).shape == (2, 4)
    assert cresset.fft.irfft(there, 5).device.type == "meta"


ERRORS = [
    (lambda: cresset.fft.fft(cresset.ones(3), norm="all"), RuntimeError,
     'fft: Invalid normalization mode: "all"'),
    (lambda: cresset.fft.rfft(cresset.ones(3, dtype=cresset.complex64)), RuntimeError,
     "rfft: expects a real input tensor, but got torch.complex64"),
    (lambda: cresset.fft.fft(cresset.ones(3), 0), RuntimeError,
     "fft: Invalid number of data points (0) specified"),
    (lambda: cresset.fft.irfft(cresset.ones(1)), RuntimeError,
     "irfft: Invalid number of data points (0) specified"),
    (lambda: cresset.fft.fftn(cresset.ones(3, 3), dim=(0, -2)), RuntimeError,
     "fftn: FFT dims must be unique"),
    (lambda: cresset.fft.fft2(cresset.ones(3, 3), s=(2,)), RuntimeError,
     "fft2: When given, dim and shape arguments must have the same length"),
    (lambda: cresset.fft.fft(cresset.ones(3), dim=1), IndexError, "Dimension out of range"),
    (lambda: cresset.stft(cresset.ones(8), 4), RuntimeError,
     "stft: requires the return_complex parameter be given for real inputs"),
    (lambda: cresset.stft(cresset.ones(8), 4, hop_length=0, return_complex=True), RuntimeError,
     "stft: expected hop_length > 0, but got hop_length=0"),
    (lambda: cresset.stft(cresset.ones(8), 4, window=cresset.ones(3), return_complex=True),
     RuntimeError, "stft: expected a 1D window tensor of size equal to win_length=4"),
    (lambda: cresset.istft(cresset.ones(3, 4), 4), RuntimeError,
     "istft: requires a complex-valued input tensor"),
    (lambda: cresset.istft(cresset.ones(3, 4).to(cresset.complex64), 8), RuntimeError,
     "istft: expected the frequency dimension"),
    (lambda: cresset.istft(cresset.ones(3, 4).to(cresset.complex64), 4, window=cresset.zeros(4)),
     RuntimeError, "istft: window overlap add min"),
]


@pytest.mark.parametrize("number", range(len(ERRORS)))
def test_errors(number):
    call, kind, message = ERRORS[number]
    with pytest.raises(kind) as caught:
        call()
    assert message in str(caught.value)


FRAMES = [
    {}, {"hop_length": 3}, {"win_length": 6}, {"win_length": 5, "hop_length": 2}, {"center": False},
    {"normalized": True}, {"onesided": False}, {"pad_mode": "constant"},
    {"pad_mode": "replicate"},
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("windowed", (False, True))
def test_short_time_transforms_agree_with_pytorch(windowed, torch):
    for keywords in FRAMES:
        width = keywords.get("win_length", 8)
        for shape, dtype in (((20,), "float32"), ((2, 21), "float64"))[windowed:]:
            window = [operand((width,), dtype) + 2] if windowed else []

            def call(p, x, *window, k=keywords):
                window = window[0] if window else None
                return p.stft(x, 8, window=window, return_complex=True, **k)

            agree(torch, call, operand(shape, dtype), *window)
            agree(torch, lambda p, x, *w, c=call: p.view_as_real(c(p, x, *w)),
                  operand(shape, dtype), *window)


@pytest.mark.filterwarnings("ignore")
def test_short_time_transforms_go_back(torch):
    x = operand((2, 24), "float64")
    window = operand((8,), "float64") + 2
    for keywords in FRAMES[:-2]:
        keywords = {"window": window[: keywords.get("win_length", 8)], **keywords}

        def placed(p, k=keywords):
            return {**k, "window": p.from_numpy(k["window"])}

        def back(p, z, k=keywords, length=None):
            return p.istft(z, 8, length=length, **placed(p, k))

        z = cresset.stft(cresset.from_numpy(x), 8, return_complex=True, **placed(cresset))
        # Short windows leave the end of a longer signal out.
        for length in (None, 17) if "win_length" in keywords else (None, 17, 40):
            agree(torch, lambda p, z, b=back, n=length: b(p, z, length=n), array(z))
        again = array(back(cresset, z))
        np.testing.assert_allclose(again, x[:, : again.shape[1]], atol=1e-10)
    z = operand((8, 3), "complex128")
    agree(torch, lambda p, z: p.istft(z, 8, center=False, onesided=False, return_complex=True), z)


def test_short_time_transforms_of_complex_signals(torch):
    x = operand((20,), "complex64")
    agree(torch, lambda p, x: p.stft(x, 8, onesided=False), x)


def test_every_name_of_pytorch(torch):
    missing = set(torch.fft.__all__) - {*cresset.fft.__all__, "Tensor"}
    assert not missing
