"""Complex numbers: accuracy, branch cuts and special values, views, gradients, errors."""

from __future__ import annotations

import math

import numpy as np
import pytest

import cresset
from cresset.autograd import gradcheck
from cresset.core.tensor import Tensor
from cresset.ops import composite

# In 80 bits, and so right to every place of complex128.
EXACT = {
    "exp": np.exp, "log": np.log, "sqrt": np.sqrt, "sin": np.sin, "cos": np.cos, "tan": np.tan,
    "sinh": np.sinh, "cosh": np.cosh, "tanh": np.tanh, "asin": np.arcsin, "acos": np.arccos,
    "atan": np.arctan, "asinh": np.arcsinh, "acosh": np.arccosh, "atanh": np.arctanh,
    "abs": np.abs, "reciprocal": lambda z: 1 / z,
    "rsqrt": lambda z: 1 / np.sqrt(z), "sigmoid": lambda z: 1 / (1 + np.exp(-z)),
}
PERIODIC = ("exp", "sin", "cos", "tan", "sinh", "cosh", "tanh", "sigmoid")


def spread(dtype):
    """Numbers of every size, around the unit circle, and around 1, i, -1 and -i."""
    random = np.random.default_rng(0)

    def cloud(count):
        return random.normal(size=count) + 1j * random.normal(size=count)

    largest = 1e30 if dtype == "complex64" else 1e250
    sizes = [1, 10, 1e-3, 1e3, 1e-8, 1e8, 1e15, largest, 1 / largest]
    circle = np.exp(1j * random.uniform(-4, 4, 300)) * (1 + 1e-6 * random.normal(size=300))
    near = [point + 1e-5 * cloud(100) for point in (1, 1j, -1, -1j)]
    return np.concatenate([size * cloud(200) for size in sizes] + [circle, *near]).astype(dtype)


@pytest.mark.parametrize("name", EXACT)
def test_functions_are_exact_to_a_few_places(name):
    """complex64 is rounded once; of complex128 few bits are lost."""
    for dtype, most in (("complex64", 1.05), ("complex128", 6.0)):
        z = spread(dtype)
        if name in PERIODIC:
            z = z[np.maximum(np.abs(z.real), np.abs(z.imag)) < 1e6]
        with np.errstate(all="ignore"):
            expected = EXACT[name](z.astype("clongdouble"))
            got = getattr(cresset, name)(cresset.from_numpy(z)).numpy()
            limits = np.finfo(got.dtype)
            size = np.abs(expected)
            # Where the result is neither subnormal nor too large.
            told = (size > limits.tiny * 100) & (size < limits.max / 4)
            error = np.abs(got.astype("clongdouble") - expected) / size / (limits.eps / 2)
        assert error[told].max() < most, (name, dtype, z[told][error[told].argmax()])


def test_parts_of_a_logarithm_are_exact_near_the_unit_circle():
    z = spread("complex128")[1800:]
    exact = np.log(z.astype("clongdouble")).real
    got = cresset.log(cresset.from_numpy(z)).numpy().real
    assert (np.abs(got - exact) <= 64 * 2.0**-53 * np.abs(exact)).all()


SPECIAL = [0.0, -0.0, 1.0, -1.0, 0.5, -2.0, math.inf, -math.inf, math.nan]


def alike(got, expected):
    """Whether numbers are the same, the signs of their zeros included."""
    def parts(a, b):
        with np.errstate(all="ignore"):
            near = (np.abs(a - b) <= 1e-5 * np.abs(b)) | (a == b)
        return near & (np.signbit(a) == np.signbit(b)) | np.isnan(a) & np.isnan(b)

    return parts(got.real, expected.real) & parts(got.imag, expected.imag)


@pytest.mark.parametrize("name", list(EXACT)[:15])
@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
def test_special_values_are_those_of_the_c_standard(name, dtype):
    """Annex G: on infinities, on NaN, and on both sides of every branch cut."""
    z = np.array([complex(a, b) for a in SPECIAL for b in SPECIAL], dtype)
    with np.errstate(all="ignore"):
        expected = EXACT[name](z.astype("clongdouble")).astype(dtype)
    got = getattr(cresset, name)(cresset.from_numpy(z)).numpy()
    same = alike(got, expected)
    assert same.all(), [(z[k], got[k], expected[k]) for k in np.flatnonzero(~same)]


def test_division_neither_overflows_nor_underflows():
    cases = [(1e300 + 1e300j, 1e300 + 1e300j, 1), (1e-300 + 1e-300j, 1e-300 - 1e-300j, 1j),
             (1.7e308 + 1.7e308j, 1e308 + 1e308j, 1.7), (1 + 1j, 1 + 1e308j, 1e-308 - 1e-308j)]
    for x, y, expected in cases:
        got = (cresset.tensor(x, dtype=cresset.complex128) / y).item()
        assert abs(got - expected) <= 4e-16 * abs(expected)


def test_division_by_zero_and_infinity():
    x = cresset.tensor([1 + 1j, 1j, 0j])
    by_zero = (x / 0j).numpy()
    assert np.isinf(by_zero[0].real) and np.isinf(by_zero[0].imag)
    assert np.isnan(by_zero[2].real) and np.isnan(by_zero[2].imag)
    by_infinity = (x / complex(math.inf, 0)).numpy()
    assert (by_infinity == 0).all()


def test_absolute_value_of_what_cannot_be_squared():
    z = cresset.tensor([3e200 + 4e200j, 3e-200 + 4e-200j], dtype=cresset.complex128)
    assert np.allclose(z.abs().numpy(), [5e200, 5e-200], rtol=1e-15)
    infinite = cresset.tensor([complex(math.inf, math.nan), complex(math.nan, -math.inf)])
    assert (infinite.abs().numpy() == math.inf).all()


# --- views ----------------------------------------------------------------------------------------
def test_parts_share_memory():
    z = cresset.tensor([1 + 2j, 3 + 4j])
    z.real.mul_(10)
    z.imag[0] = -1
    assert z.tolist() == [10 - 1j, 30 + 4j]
    assert z.imag.data_ptr() == z.data_ptr() + 4
    z.real = cresset.tensor([0.0, 1.0])
    assert z.tolist() == [-1j, 1 + 4j]
    pairs = cresset.view_as_real(z)
    assert pairs.stride() == (2, 1)
    pairs[1, 1] = 7
    assert cresset.view_as_complex(pairs)[1].item() == 1 + 7j


def test_parts_of_every_arrangement():
    values = np.arange(24).reshape(2, 3, 4) * (1 - 2j)
    z = cresset.from_numpy(values)[:, 1:, ::2].transpose(0, 2)
    expected = values[:, 1:, ::2].transpose(2, 1, 0)
    assert np.array_equal(z.real.numpy(), expected.real)
    assert np.array_equal(z.imag.numpy(), expected.imag)
    assert np.array_equal(cresset.view_as_real(z).numpy()[..., 1], expected.imag)
    assert np.array_equal(z.conj().numpy(), expected.conj())


def test_conjugates_are_computed():
    z = cresset.tensor([[1 + 2j, 3j]])
    assert z.conj().data_ptr() != z.data_ptr()
    assert not z.conj().is_conj() and not z.conj().imag.is_neg()
    assert z.resolve_conj() is z and z.resolve_neg() is z
    assert z.mH.tolist() == z.H.tolist() == z.adjoint().tolist() == [[1 - 2j], [-3j]]
    x = cresset.ones(2)
    assert x.conj() is x and x.real is x


def test_a_part_that_was_written_carries_its_gradient():
    z = cresset.tensor([1 + 2j, 3 + 4j], requires_grad=True)
    w = z * 1
    w.imag.mul_(3)
    (w * w.conj()).real.sum().backward()
    # |w|**2 = x**2 + 9 y**2.
    assert np.allclose(z.grad.numpy(), [2 + 36j, 6 + 72j])


# --- numbers and types ----------------------------------------------------------------------------
def test_complex_numbers_are_operands():
    x = cresset.tensor([1.0, 2.0])
    assert (x * 1j).tolist() == (1j * x).tolist() == [1j, 2j]
    assert (x + np.complex128(1j)).dtype is cresset.complex64
    assert (1j - x).tolist() == [-1 + 1j, -2 + 1j]
    assert ((2j / x) * x).tolist() == [2j, 2j]
    z = cresset.tensor([1 + 1j])
    z += 1j
    z *= 2j
    assert z.item() == -4 + 2j
    assert cresset.add(x, 1j, alpha=1j).tolist() == [0, 1]
    assert cresset.where(x > 1, x, 1j).tolist() == [1j, 2]


def test_promotion_with_complex_numbers():
    double = cresset.ones(2, dtype=cresset.float64)
    assert (double * 1j).dtype is cresset.complex128
    assert (cresset.arange(2) * 1j).dtype is cresset.complex64
    assert (cresset.ones(2) * cresset.tensor(1j, dtype=cresset.complex128)).dtype is (
        cresset.complex64)
    # PyTorch makes complex32 of it, which there is not.
    assert (cresset.ones(2, dtype=cresset.float16) * 1j).dtype is cresset.complex64
    assert (double * (0.1 + 0.2j))[0].item() == 0.1 + 0.2j


def test_values_leave_and_enter():
    assert cresset.tensor(1 - 2j).item() == 1 - 2j
    assert cresset.tensor([[1j, 2], [True, 0.5]]).tolist() == [[1j, 2], [1, 0.5]]
    assert cresset.tensor([1, 2], dtype=cresset.complex128).tolist() == [1, 2]
    assert complex(cresset.tensor(2.5)) == 2.5 and complex(cresset.tensor([1j])) == 1j
    assert int(cresset.tensor(3 + 0j)) == 3
    assert cresset.full((2,), 1j).tolist() == [1j, 1j]
    z = cresset.tensor([0j, 1j, 1 + 0j])
    assert z.bool().tolist() == [False, True, True]
    assert z.to(cresset.int64).tolist() == [0, 0, 1]


def test_other_numbers_compile_nothing():
    from cresset.runtime import build

    x = cresset.tensor([1.5, 2.5])
    assert (x * (1 + 2j)).tolist() == [1.5 + 3j, 2.5 + 5j]
    before = dict(build.statistics())
    assert (x * (3 - 1j)).tolist() == [4.5 - 1.5j, 7.5 - 2.5j]
    assert build.statistics() == before


# --- gradients ------------------------------------------------------------------------------------
def test_gradients_point_uphill():
    """The gradient of a real loss is that by the real part plus i times that by the imaginary."""
    z = cresset.tensor(3 + 4j, dtype=cresset.complex128, requires_grad=True)
    (z * z.conj()).real.backward()
    assert z.grad.item() == 6 + 8j
    z.grad = None
    (z**2).real.backward()
    assert z.grad.item() == 6 - 8j
    z.grad = None
    z.abs().backward()
    assert abs(z.grad.item() - (0.6 + 0.8j)) < 1e-15


def test_a_real_operand_of_a_complex_result_has_a_real_gradient():
    x = cresset.tensor([1.0, 2.0], requires_grad=True)
    z = cresset.tensor([1 + 2j, 3 - 1j])
    (x * z).imag.sum().backward()
    assert x.grad.dtype is cresset.float32 and x.grad.tolist() == [2, -1]


def test_gradients_at_zero_and_on_a_cut():
    z = cresset.zeros(1, dtype=cresset.complex128, requires_grad=True)
    for function in (cresset.abs, cresset.sgn, cresset.angle):
        (g,) = cresset.autograd.grad(function(z).abs().sum(), z)
        assert g.item() == 0
    left = cresset.tensor([-2 + 0.5j, -0.5 - 0.5j, 2 + 0.5j], dtype=cresset.complex128)
    for name in ("acosh", "asinh", "atanh", "acos", "sqrt", "log"):
        assert gradcheck(getattr(cresset, name), (left.clone().requires_grad_(),))


def test_a_loss_must_be_real():
    z = cresset.tensor(1 + 1j, requires_grad=True)
    with pytest.raises(RuntimeError, match="only for real scalar outputs"):
        (z * 2).backward()
    with pytest.raises(RuntimeError, match="floating point and complex"):
        cresset.ones(2, dtype=cresset.int64).requires_grad_()


def test_optimizers_step_along_both_parts():
    z = cresset.nn.Parameter(cresset.tensor([[1 + 2j, 3j], [2, 1 - 1j]]))
    seen = cresset.nn.Parameter(cresset.view_as_real(z.detach()).clone())
    optimizers = [cresset.optim.Adam([p], lr=0.1, amsgrad=True) for p in (z, seen)]
    for _ in range(3):
        for p, optimizer in ((z, optimizers[0]), (cresset.view_as_complex(seen), optimizers[1])):
            optimizer.zero_grad()
            (p @ p.mH).abs().sum().backward()
            optimizer.step()
    assert np.allclose(cresset.view_as_real(z.detach()).numpy(), seen.detach().numpy(), rtol=1e-6)


def test_long_reductions_are_cut_and_joined():
    random = np.random.default_rng(0)
    z = random.normal(size=(3, 200_001)) + 1j * random.normal(size=(3, 200_001))
    x = cresset.from_numpy(z)
    assert np.allclose(x.sum().item(), z.sum(), rtol=1e-12)
    assert np.allclose(x.sum(1).numpy(), z.sum(1), rtol=1e-12)
    assert np.allclose(x.mean(0).numpy(), z.mean(0), rtol=1e-12)
    assert np.allclose((x / x.abs()).prod().item(), np.prod(z / np.abs(z)), rtol=1e-9)
    assert np.allclose(x.var(1).numpy(), z.var(1, ddof=1), rtol=1e-12)


# --- what is compiled -----------------------------------------------------------------------------
@composite
def turned_and_scaled(z: Tensor, angle, size):
    """Rows of unit size, turned by an angle and scaled by a complex number."""
    unit = z / (z * z.conj()).sum(-1, True).real.sqrt()
    return unit * cresset.exp(unit.imag * (angle * 1j)) * size


def test_composites_of_complex_numbers_are_fused():
    random = np.random.default_rng(0)
    z = cresset.from_numpy(random.normal(size=(3, 5)) + 1j * random.normal(size=(3, 5)))
    for angle, size in ((0.5, 2 - 1j), (1.5, 3.0)):
        fused = turned_and_scaled(z, angle, size).numpy()
        plain = turned_and_scaled.op.call_body((z, angle, size)).numpy()
        assert np.allclose(fused, plain, rtol=1e-13)
    assert gradcheck(turned_and_scaled, (z[:1, :3].clone().requires_grad_(), 0.5, 1j))


def test_no_kernel_meets_a_complex_number():
    z = cresset.ones(8, dtype=cresset.complex64)
    for text in cresset.show(lambda z: (z * z).exp().sum(), z, stages="loops").loops:
        assert "complex" not in text


# --- errors ---------------------------------------------------------------------------------------
def test_what_needs_an_order_is_refused():
    z = cresset.tensor([1 + 2j, 3j])
    refused = {
        "lt": lambda: z < 1, "ge": lambda: z >= z, "max": lambda: z.max(),
        "argmin": lambda: z.argmin(), "sort": lambda: z.sort(), "topk": lambda: z.topk(1),
        "maximum": lambda: cresset.maximum(z, z), "clamp": lambda: z.clamp(0, 1),
        "sign": lambda: z.sign(), "floor": lambda: z.floor(), "relu": lambda: z.relu(),
        "remainder": lambda: z % 2, "floor_divide": lambda: z // 2, "erf": lambda: z.erf(),
        "atan2": lambda: cresset.atan2(z, z), "bitwise_and": lambda: z & 1,
    }
    for name, call in refused.items():
        with pytest.raises(RuntimeError, match=name):
            call()


def test_views_that_cannot_be():
    for call in (
        lambda: cresset.ones(2).imag,
        lambda: cresset.view_as_real(cresset.ones(2)),
        lambda: cresset.view_as_complex(cresset.ones(3)),
        lambda: cresset.view_as_complex(cresset.ones(2, 2).t()),
        lambda: cresset.view_as_complex(cresset.ones(3, 3)[:, :2]),
        lambda: cresset.view_as_complex(cresset.ones(2, 2, dtype=cresset.int64)),
        lambda: cresset.ones(3, dtype=cresset.complex64).H,
        lambda: cresset.complex(cresset.ones(2), cresset.ones(2, dtype=cresset.float64)),
        lambda: cresset.polar(cresset.arange(2), cresset.arange(2)),
    ):
        with pytest.raises(RuntimeError):
            call()


def test_complex_values_do_not_become_real_by_accident():
    for call in (
        lambda: cresset.ones(2).add_(1j),
        lambda: cresset.ones(2).fill_(1j),
        lambda: cresset.full((2,), 1j, dtype=cresset.float32),
        lambda: float(cresset.tensor(1j)),
    ):
        with pytest.raises(RuntimeError):
            call()
    with pytest.raises(TypeError):
        cresset.tensor([1j], dtype=cresset.float32)


@pytest.mark.parametrize("name", ["exp", "expm1", "tanh"])
@pytest.mark.parametrize("size", [20.5, 25.0, 710.0, 1000.0])
def test_unknown_angle_is_nan_at_any_finite_size(name, size):
    """What underflows or saturates is no more known than the rest."""
    for real in (size, -size):
        for angle in (math.nan, math.inf):
            found = getattr(cresset, name)(cresset.tensor(complex(real, angle))).item()
            assert math.isnan(found.real) and math.isnan(found.imag), (real, angle, found)
