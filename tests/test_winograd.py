"""Winograd's algorithm: its error bound, on operands against forbidden pages, and its switch."""

import os
import subprocess
import sys

import numpy as np
import pytest
from steps import guarded, layout, run
from test_contractions import convolve

import cresset
from cresset.kernels import convolution, schedule, winograd

# images, channels in and out, height and width, padding: tiles and lanes that overlap, or do not
CASES = [
    (2, 32, 32, (16, 16), 1),
    (3, 33, 37, (17, 18), 1),
    (1, 40, 70, (23, 19), 0),
    (2, 32, 48, (14, 13), 2),
    (9, 64, 32, (4, 9), 1),
    (30, 35, 32, (2, 2), 2),
    (5, 40, 41, (13, 15), 1),
]
GEOMETRY = (1, 1), (1, 1), 1  # stride, dilation, groups


def operands(case, shift):
    """Images, filters, the result's gradient, the bias and the padding of a case."""
    images, inputs, outputs, extents, padding = case
    rng = np.random.default_rng(5)
    size = [n + 2 * padding - 2 for n in extents]
    shapes = (images, inputs, *extents), (outputs, inputs, 3, 3), (images, outputs, *size)
    made = [guarded((rng.standard_normal(shape) + shift).astype("f4"), shift == 0)
            for shape in (*shapes, (outputs,), (inputs,))]
    return *made, (padding, padding)


def worst(found, expected, magnitude):
    """The greatest error in units in the last place of the greatest sum of absolute values."""
    return abs(found - expected).max() / magnitude.max() / np.finfo("f4").eps


@pytest.mark.parametrize("shift", [0, 1])
@pytest.mark.parametrize("chunk", [1, 1 << 22])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_error_bound(case, chunk, shift, monkeypatch):
    monkeypatch.setattr(winograd, "CHUNK_BYTES", chunk)
    monkeypatch.setattr(winograd, "LEAST_TILES", 1)
    monkeypatch.setattr(winograd, "PACE", 1e3)  # so that it is taken, however small they are
    monkeypatch.setattr(convolution, "LEAST_SAVED", 0)
    x, w, g, bias, other, padding = operands(case, shift)
    stride, dilation, groups = GEOMETRY
    geometry = stride, padding, dilation, groups
    expected, by_x, by_w = convolve(x, w, g, *geometry)
    magnitude, by_x_magnitude, by_w_magnitude = convolve(abs(x), abs(w), abs(g), *geometry)
    of_x, of_w, of_g = layout(x), layout(w), layout(g)

    out = guarded(np.full(g.shape, 77, "f4"))
    made = convolution.convolution(
        of_x, of_w, of_g, *geometry, (1, 2, 3), 0, first_temporary=4)
    assert any("winograd" in step.key for step in made[0])
    run(made, [bias, x, w, out])
    added = bias.reshape(-1, 1, 1)
    assert worst(out, expected + added, magnitude + abs(added)) < winograd.BOUND

    out = guarded(np.full(x.shape, 77, "f4"))
    made = convolution.convolution_input_gradient(
        of_g, of_w, of_x, *geometry, (1, 2, 3), 0, first_temporary=4)
    run(made, [other, g, w, out])
    added = other.reshape(-1, 1, 1)
    assert worst(out, by_x + added, by_x_magnitude + abs(added)) < winograd.BOUND

    out = guarded(np.full(w.shape, 77, "f4"))
    made = convolution.convolution_weight_gradient(
        of_g, of_x, of_w, *geometry, (0, 1, 2), first_temporary=3)
    used = any("winograd" in step.key for step in made[0])
    assert used == (min(case[3]) >= winograd.TILE)
    run(made, [g, x, out])
    assert worst(out, by_w, by_w_magnitude) < winograd.BOUND


def test_any_order_gives_the_same_bits(monkeypatch):
    monkeypatch.setattr(schedule, "PIECE", 1)
    monkeypatch.setattr(convolution, "GAIN", 1)
    monkeypatch.setattr(convolution, "LEAST_SAVED", 0)
    x, w, g, bias, other, padding = operands((2, 33, 37, (17, 18), 1), 1)
    geometry = ((1, 1), padding, (1, 1), 1)
    of_x, of_w, of_g = layout(x), layout(w), layout(g)
    for steps, operands_of, shape in (
        (convolution.convolution(of_x, of_w, of_g, *geometry, (1, 2, 3), 0, first_temporary=4),
         (bias, x, w), g.shape),
        (convolution.convolution_input_gradient(
            of_g, of_w, of_x, *geometry, (1, 2, 3), 0, first_temporary=4), (other, g, w), x.shape),
        (convolution.convolution_weight_gradient(
            of_g, of_x, of_w, *geometry, (1, 2, 3), first_temporary=4), (bias, g, x), w.shape),
    ):
        assert any("winograd" in step.key for step in steps[0])
        seen = set()
        for _ in range(4):  # the pieces run in a random order
            out = guarded(np.full(shape, 77, "f4"))
            run(steps, [*operands_of, out])
            seen.add(out.tobytes())
        assert len(seen) == 1


@pytest.mark.parametrize("change", [
    {"dtype": cresset.float64}, {"stride": 2}, {"dilation": 2}, {"groups": 2}, {"taps": 5},
    {"channels": 15}, {"size": 6},
], ids=str)
def test_where_it_is_not_used(change):
    dtype, taps, channels = cresset.float32, 3, 32
    settings = {"dtype": dtype, "stride": 1, "dilation": 1, "groups": 1, "taps": taps,
                "channels": channels, "size": 32, **change}
    stride, dilation, groups, size, channels, taps = (
        settings[k] for k in ("stride", "dilation", "groups", "size", "channels", "taps"))
    x = cresset.empty(1, channels, size, size, dtype=settings["dtype"]).layout
    w = cresset.empty(channels, channels // groups, taps, taps, dtype=settings["dtype"]).layout
    extent = (size + 2 - dilation * (taps - 1) - 1) // stride + 1
    out = cresset.empty(1, channels, extent, extent, dtype=settings["dtype"]).layout
    geometry = (stride,) * 2, (1, 1), (dilation,) * 2, groups
    steps, _ = convolution.convolution(x, w, out, *geometry, (0, 1, 2), first_temporary=3)
    assert not any("winograd" in step.key for step in steps)
    steps, _ = convolution.convolution_weight_gradient(
        out, x, w, *geometry, (0, 1, 2), first_temporary=3)
    assert not any("winograd" in step.key for step in steps)


def test_switch():
    script = "from cresset.kernels.winograd import ENABLED; print(ENABLED)"
    for value, said in (("0", "False"), ("1", "True")):
        environment = os.environ | {"CRESSET_WINOGRAD": value}
        found = subprocess.run([sys.executable, "-c", script], env=environment, check=True,
                               capture_output=True, text=True).stdout
        assert found.strip() == said
