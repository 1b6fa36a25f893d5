"""Floating types of 8 and 16 bits: every pattern both ways, and what is computed with them."""

import copy
import ctypes
import io
import pickle

import numpy as np
import pytest

import cresset
from cresset.core import dtype as types
from cresset.kernels import small_floats
from cresset.ops.reductions.normalization import softmax_rows
from cresset.runtime import ir
from cresset.runtime.codegen import assemble
from cresset.runtime.loader import load
from cresset.runtime.target import Target, host, writing_for

SMALL = [d.name for d in types.SMALL]
every_type = pytest.mark.parametrize("name", SMALL)
# Machines without instructions for float16, and what the conversions are written with for them.
PLAIN = Target("x86_64-unknown-linux-gnu", "x86-64", "", vector_bytes=16)
ARM = Target("aarch64-unknown-linux-gnu", "generic", "+fullfp16", vector_bytes=16)


def patterns(name):
    """All patterns of a type, as unsigned integers."""
    bits = 8 * getattr(cresset, name).itemsize
    return np.arange(1 << bits, dtype=f"u{bits // 8}")


def values(name):
    """What the patterns mean, computed as the standards state it."""
    form = small_floats.FORMATS[getattr(cresset, name)]
    bits = patterns(name).astype("i8")
    size = bits & ((1 << (form.bits - 1)) - 1)
    exponent, fraction = size >> form.fraction, size & ((1 << form.fraction) - 1)
    normal = np.ldexp(1.0 + fraction / 2.0**form.fraction, exponent - form.bias)
    subnormal = np.ldexp(fraction / 2.0**form.fraction, 1 - form.bias)
    out = np.where(exponent == 0, subnormal, normal)
    if form.signed_zero:
        out = np.where(size > form.greatest, np.inf if form.infinite else np.nan, out)
        out = np.where(size > form.greatest + form.infinite, np.nan, out)
    out = np.where(bits >> (form.bits - 1), -out, out)
    return out if form.signed_zero else np.where(bits == form.nan, np.nan, out)


@np.errstate(invalid="ignore")  # of NaN that is not a quiet one
def nearest(name, x):
    """Each number rounded to a type: the nearest value, the one of even bits at a tie."""
    form = small_floats.FORMATS[getattr(cresset, name)]
    table = values(name)[: form.greatest + 1]
    ends = np.append(table, 2 * table[-1] - table[-2])  # where the next number would be
    size = np.minimum(np.abs(x.astype("f8")), ends[-1])
    above = np.clip(np.searchsorted(ends, size), 1, len(ends) - 1)
    low, high = size - ends[above - 1], ends[above] - size
    place = np.where((low < high) | (low == high) & (above % 2 == 1), above - 1, above)
    beyond = {form.greatest: table[-1], form.nan: np.nan}.get(form.beyond, np.inf)
    out = np.append(table, beyond)[place]
    if form.beyond == form.nan:
        out = np.where(np.isinf(x), np.nan, out)
    return np.copysign(np.where(np.isnan(x), np.nan, out), x)


@np.errstate(invalid="ignore")
def same(got, expected, signs=True):
    nan = np.isnan(got) & np.isnan(expected)
    equal = (got == expected) & (~np.bool_(signs) | (np.signbit(got) == np.signbit(expected)))
    return nan | equal


def seen_as(name, bits):
    return cresset.from_numpy(bits).view(getattr(cresset, name))


def numbers(name):
    """float32 numbers at and beside every value of a type and every tie, and many others."""
    exact = values(name)
    exact = exact[np.isfinite(exact)].astype("f4")
    ties = ((exact[:-1].astype("f8") + exact[1:]) / 2).astype("f4")
    spread = np.linspace(0, 2**32 - 1, 20_000).astype("u4").view("f4")
    near = np.concatenate([exact, ties])
    sides = [np.nextafter(near, np.float32(side)) for side in (-np.inf, np.inf)]
    return np.concatenate([near, *sides, spread, [np.inf, -np.inf, np.nan, 0.0, -0.0]], dtype="f4")


@pytest.mark.parametrize("name", ["float16", "bfloat16"])
def test_signs_are_bits(name):
    """Of every pattern; and what only chooses among numbers rounds none."""
    bits = patterns(name)
    x = cresset.from_numpy(bits.astype("i4")).to(cresset.int16).view(getattr(cresset, name))
    other = x.flip(0)

    def pattern(result):
        return result.view(cresset.int16).numpy().view("u2")

    sign = bits[::-1] & 0x8000
    assert np.array_equal(pattern(-x), bits ^ 0x8000)
    assert np.array_equal(pattern(x.abs()), bits & 0x7FFF)
    assert np.array_equal(pattern(cresset.copysign(x, other)), bits & 0x7FFF | sign)
    assert np.array_equal(pattern(-x[::3].abs()), bits[::3] | 0x8000)
    whole = x.double().numpy()
    for choice, meaning in [
        (lambda x: x.clamp(-2, 3), lambda v: np.clip(v, -2, 3)),
        (lambda x: cresset.maximum(x, 0 - x), np.abs), (lambda x: x.relu(), lambda v: v * (v > 0)),
        (lambda x: x.floor(), np.floor), (lambda x: x.round(), np.rint),
        (lambda x: cresset.where(x > 0, x, 1.0), lambda v: np.where(v > 0, v, 1.0)),
    ]:
        finite = np.isfinite(whole)
        got = choice(x).double().numpy()
        assert np.array_equal(got[finite], meaning(whole[finite]))


@every_type
def test_every_pattern_widens_exactly(name):
    assert same(seen_as(name, patterns(name)).float().numpy(), values(name)).all()


@every_type
def test_rounding_is_to_the_nearest(name):
    x = numbers(name)
    form = small_floats.FORMATS[getattr(cresset, name)]
    got = cresset.from_numpy(x).to(getattr(cresset, name)).float().numpy()
    assert same(got, nearest(name, x), form.signed_zero).all()


@every_type
def test_rounding_is_pytorchs(name, torch):
    x = numbers(name)
    got = cresset.from_numpy(x).to(getattr(cresset, name)).float().numpy()
    expected = torch.from_numpy(x).to(getattr(torch, name)).float().numpy()
    assert same(got, expected).all()


@every_type
def test_every_pattern_comes_back(name):
    """A copy moves bits; a way through float32 and float64 gives them again, NaN a quiet one."""
    bits = patterns(name)
    x = seen_as(name, bits)
    assert np.array_equal(x.clone().view(cresset.uint8).numpy(), bits.view("u1"))
    third = bits[::3].copy()
    assert np.array_equal(x[::3].contiguous().view(cresset.uint8).numpy(), third.view("u1"))
    number = ~np.isnan(values(name))
    for way in (x.float(), x.double()):
        back = way.to(x.dtype).view(cresset.uint8).numpy().view(bits.dtype)
        assert np.array_equal(back[number], bits[number])
        assert way.to(x.dtype).float().isnan().numpy()[~number].all()


def test_float64_is_rounded_through_float32():
    """As PyTorch has it: what lies just above a tie of float16 may fall on it first."""
    x = cresset.tensor([1 + 2.0**-11 + 2.0**-40], dtype=cresset.float64)
    assert x.half().item() == 1.0
    assert x.bfloat16().item() == 1.0


def test_nan_keeps_its_sign_and_leading_bits():
    x = cresset.from_numpy(np.array([0x7F812345, 0xFFA00000], "u4").view("f4"))
    assert x.bfloat16().view(cresset.int16).tolist() == [0x7FC1, 0xFFE0 - 0x10000]
    assert x.half().view(cresset.int16).tolist() == [0x7E09, 0xFF00 - 0x10000]


def converter(function, name, source, target, machine):
    """A module with `kernel(out, x, count)`, 8 lanes at a time, written for a machine."""
    module = ir.Module()
    f = module.function("kernel", [("ptr", "out"), ("ptr", "x"), ("i64", "count")])
    out, x, count = f.arguments
    with writing_for(machine), f.loop(0, count, 8) as i:
        loaded = f.load(ir.vector(source, 8), f.offset(x, i, source))
        f.store(function(f, getattr(cresset, name), loaded), f.offset(out, i, target))
    f.ret()
    return module.text()


def test_float16_without_instructions_for_it():
    """The arithmetic on bits that stands in for them, run here, gives the same."""
    bits = patterns("float16")
    x = numbers("float16")
    x = np.resize(x, -(-len(x) // 8) * 8)
    ways = ((small_floats.widen, "i16", "float", bits, "f4"),
            (small_floats.narrow, "float", "i16", x, "u2"))
    for function, source, target, given, made in ways:
        text = converter(function, "float16", source, target, PLAIN)
        assert "half" not in text
        kernel = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)(
            load(assemble(text, host()))["kernel"])
        out = np.empty(len(given), made)
        kernel(out.ctypes.data, given.ctypes.data, len(given))
        if made == "f4":
            assert same(out, values("float16")).all()
        else:
            assert same(out.view("f2").astype("f8"), nearest("float16", given)).all()


@pytest.mark.parametrize("machine", [host(), PLAIN, ARM], ids=["host", "x86-64", "AArch64"])
@every_type
def test_conversions_call_no_library(name, machine):
    element = f"i{8 * getattr(cresset, name).itemsize}"
    for function, source, target in (
        (small_floats.widen, element, "float"), (small_floats.narrow, "float", element)
    ):
        content = assemble(converter(function, name, source, target, machine), machine)
        assert b"kernel" in content
        for routine in (b"__extend", b"__trunc", b"__gnu_"):
            assert routine not in content


# --- what is computed -----------------------------------------------------------------------------
HALVES = [d.name for d in types.HALVES]


@pytest.mark.parametrize("name", HALVES)
def test_halves_are_computed_in_float32_and_rounded_once(name):
    d = getattr(cresset, name)
    x = (cresset.arange(600).remainder(37) / 7 - 2.5).reshape(20, 30).to(d)
    w = (cresset.arange(30).remainder(11) / 3).to(d)
    functions = {
        "softmax": lambda x, w: softmax_rows(x, 1),
        "layer_norm": lambda x, w: cresset.nn.functional.layer_norm(x, (30,), w, w),
        "logsumexp": lambda x, w: cresset.logsumexp(x, 1),
        "mean": lambda x, w: x.mean(),
        "product": lambda x, w: x @ w,
        "matrices": lambda x, w: x @ x.t(),
        "gelu": lambda x, w: cresset.nn.functional.gelu(x),
    }
    for label, function in functions.items():
        got, expected = function(x, w), function(x.float(), w.float()).to(d)
        assert got.dtype is d
        # float32's own rounding may decide a tie.
        apart = (got.view(cresset.int16).int() - expected.view(cresset.int16).int()).abs()
        assert apart.max().item() <= 1 and apart.ne(0).sum().item() <= 2, label


@pytest.mark.parametrize("name", HALVES)
def test_sums_of_halves_grow_in_float32(name):
    d = getattr(cresset, name)
    ones = cresset.ones(40_000, dtype=d)
    assert ones.sum().item() == float(cresset.tensor(40_000.0).to(d))
    assert ones.mean().item() == 1.0
    assert ones.cumsum(0)[-1].item() == float(cresset.tensor(40_000.0).to(d))
    assert ones.view(200, 200).sum(1, dtype=cresset.float32).sum().item() == 40_000.0


@pytest.mark.parametrize("name", HALVES)
def test_numbers_beside_halves(name, torch):
    """A number is rounded as the elements are, but where PyTorch multiplies and divides with it."""
    def results(package):
        x = (package.arange(1, 200) / 7).to(getattr(package, name))
        made = [x + 0.1, x - 0.1, 0.1 - x, x * 0.1, x / 0.1, x % 0.1, x == 0.1, x < 1 / 7,
                x.clamp(0.1, 1.1), x.lerp(x * 2, 0.1), package.where(x > 1, x, 0.1), x // 0.1,
                x * package.tensor(0.1), x / package.tensor(0.1), x + package.tensor(0.1)]
        return [r.float().numpy() for r in made]

    for k, (got, expected) in enumerate(zip(results(cresset), results(torch), strict=True)):
        assert np.array_equal(got, expected), k


def test_gradients_have_the_operands_types():
    x = cresset.ones(3, 4, dtype=cresset.bfloat16, requires_grad=True)
    w = cresset.ones(4, dtype=cresset.float32, requires_grad=True)
    (x.float() @ w).sum().backward()
    assert (x.grad.dtype, w.grad.dtype) == (cresset.bfloat16, cresset.float32)
    (x * w).sum().backward()
    assert x.grad.tolist() == [[2.0] * 4] * 3


@pytest.mark.parametrize("name", HALVES)
def test_halves_do_not_mix_in_products(name):
    x = cresset.ones(2, 2, dtype=getattr(cresset, name))
    with pytest.raises(RuntimeError, match="dtype"):
        x @ cresset.ones(2, 2)
    with pytest.raises(RuntimeError, match="dtype"):
        cresset.nn.functional.linear(x, cresset.ones(2, 2))


@pytest.mark.parametrize("name", HALVES)
@pytest.mark.parametrize("optimizer", ["SGD", "Adam", "RMSprop"])
def test_an_optimizer_steps_halves(name, optimizer):
    """A step is computed in float32 from what the parameters are, and rounded once."""
    half = getattr(cresset, name)
    start = cresset.linspace(-1, 1, 37).to(half)

    def stepped(d):
        p = start.to(d, copy=True).requires_grad_()
        p.grad = (start * 2).to(d)
        getattr(cresset.optim, optimizer)([p], lr=0.125).step()
        return p.detach()

    got = stepped(half)
    assert got.dtype is half
    assert got.tolist() == stepped(cresset.float32).to(half).tolist()


# --- float8 ---------------------------------------------------------------------------------------
FLOAT8 = [d.name for d in types.STORED]


@pytest.mark.parametrize("name", FLOAT8)
def test_float8_is_stored(name, torch):
    """Everything that moves, converts or compares elements for equality, as PyTorch has it."""
    def made(package):
        d = getattr(package, name)
        x = package.tensor([[0.3, -1.7, 100.0], [0.0, 2.5, -0.001]], dtype=d)
        yield from (x, x.t(), x[:, 1:], x[1], x.clone(), x.contiguous(), x.view(package.uint8))
        yield from (x == x, x != 0, x == 2.5, x.isnan(), x.to(package.half), x.int(), x.bool())
        yield x[package.tensor([1, 0, 1])]
        yield x[x.float() > 0]
        yield x.index_select(1, package.tensor([2, 0]))
        yield package.cat([x, x])
        yield package.stack([x, x], 1)
        yield package.where(x.float() > 0, x, x.flip(0) if package is cresset else x.float().flip(
            0).to(d))
        yield from (package.zeros(2, dtype=d), package.full((2,), 3.3, dtype=d))
        yield from (package.zeros_like(x).fill_(1.1), package.empty_like(x).copy_(x.float()))
        y = x.clone()
        y[0] = 7.7
        yield y

    for k, (got, expected) in enumerate(zip(made(cresset), made(torch), strict=True)):
        assert str(got.dtype) == str(expected.dtype), k
        assert got.tolist() == expected.tolist(), k
        assert repr(got) == repr(expected), k


@pytest.mark.parametrize("name", FLOAT8)
def test_float8_is_not_computed_on(name):
    x = cresset.ones(2, 2).to(getattr(cresset, name))
    calls = {
        "add": lambda: x + 1, "mul": lambda: x * x, "lt": lambda: x < x, "exp": lambda: x.exp(),
        "sum": lambda: x.sum(), "amax": lambda: x.amax(), "matmul": lambda: x @ x,
        "cumsum": lambda: x.cumsum(0), "sort": lambda: x.sort(), "add_": lambda: x.add_(1),
    }
    for label, call in calls.items():
        with pytest.raises(NotImplementedError, match=f"{label.strip('_')}: not implemented for"):
            call()
    assert x.tolist() == [[1.0, 1.0], [1.0, 1.0]]


@pytest.mark.parametrize("name", SMALL)
def test_small_types_are_saved_and_loaded(name, torch):
    d = getattr(cresset, name)
    x = cresset.tensor([[0.3, -1.7, 100.0], [0.0, 2.5, -0.001]], dtype=d)
    own, foreign = io.BytesIO(), io.BytesIO()
    cresset.save({"x": x}, own)
    torch.save(torch.tensor(x.tolist(), dtype=getattr(torch, name)), foreign)
    for loaded in (cresset.load(own)["x"], cresset.load(foreign), copy.deepcopy(x),
                   pickle.loads(pickle.dumps(x))):
        assert loaded.dtype is d
        assert loaded.tolist() == x.tolist()
