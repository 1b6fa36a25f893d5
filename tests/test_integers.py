"""Integers at their limits: division, shifts, overflow, and what other types become as integers."""

import numpy as np
import pytest

import cresset
from cresset.core import dtype as types
from cresset.core.limits import iinfo

INTEGERS = [d for d in types.COMPUTED if d.category == types.dtype.INTEGER]
every_integer = pytest.mark.parametrize("d", INTEGERS, ids=lambda d: d.name)
# Around the widths of vectors: a value must come out the same wherever it stands.
REPEATS = (1, 5, 40)


def wrapped(number, d):
    """An integer reduced to the bits of a type, as it is in memory."""
    low = number & ((1 << (8 * d.itemsize)) - 1)
    return low - (1 << (8 * d.itemsize)) if d.is_signed and low > iinfo(d).max else low


def extremes(d):
    info = iinfo(d)
    numbers = {info.min, info.min + 1, -7, -2, -1, 0, 1, 2, 3, 7, info.max // 2, info.max}
    return sorted(n for n in numbers if info.min <= n <= info.max)


def pairs(d):
    numbers = extremes(d)
    return [(a, b) for a in numbers for b in numbers]


def every_pair(function, d, chosen, expected):
    """What the function makes of pairs is what Python's integers give, in tensors of any length."""
    for times in REPEATS:
        x, y = (cresset.tensor([p[k] for p in chosen] * times, dtype=d) for k in range(2))
        got = function(x, y)
        assert got.dtype is d
        wanted = [wrapped(expected(a, b), d) for a, b in chosen] * times
        wrong = [(p, g, w) for p, g, w in zip(chosen * times, got.tolist(), wanted) if g != w]
        assert not wrong, wrong[:5]


def truncated(a, b):
    return abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)


@every_integer
def test_arithmetic_wraps(d):
    every_pair(lambda x, y: x + y, d, pairs(d), lambda a, b: a + b)
    every_pair(lambda x, y: x - y, d, pairs(d), lambda a, b: a - b)
    every_pair(lambda x, y: x * y, d, pairs(d), lambda a, b: a * b)
    every_pair(lambda x, y: -x + 0 * y, d, pairs(d), lambda a, b: -a)
    every_pair(lambda x, y: x.abs() + 0 * y, d, pairs(d), lambda a, b: abs(a))


@every_integer
def test_division(d):
    """The least number divided by -1 wraps to itself, where PyTorch's process ends."""
    chosen = [(a, b) for a, b in pairs(d) if b]
    every_pair(lambda x, y: x // y, d, chosen, lambda a, b: a // b)
    every_pair(lambda x, y: x % y, d, chosen, lambda a, b: a % b)
    every_pair(cresset.fmod, d, chosen, lambda a, b: a - truncated(a, b) * b)
    every_pair(
        lambda x, y: cresset.div(x, y, rounding_mode="trunc"), d, chosen, truncated)


@every_integer
def test_division_of_all_sizes(d):
    """Blocks go through floats where these hold every lane: at the edge of that, and around it."""
    random = np.random.default_rng(4)
    bits = 8 * d.itemsize - d.is_signed
    edge = [n for k in range(bits) for n in (2**k - 1, 2**k, 2**k + 1) if n < 2**bits]
    any_size = (random.integers(0, 2**63, 600, np.uint64) >> random.integers(0, 63, 600, np.uint64))
    for numbers in (edge, [int(n) % 2**min(bits, 50) for n in any_size], [*map(int, any_size)]):
        x, y = (random.permutation(np.array(numbers, object) % 2**bits) for _ in range(2))
        near = y * (x // np.maximum(y, 1)) - 1  # just below a multiple
        x, y = np.concatenate([x, np.maximum(near, 0)]), np.concatenate([y, y])
        sign = 2 * random.integers(0, 2, (2, len(x))) - 1 if d.is_signed else [1, 1]
        chosen = [(int(a), int(b)) for a, b in zip(x * sign[0], y * sign[1]) if b]
        every_pair(lambda x, y: x // y, d, chosen, lambda a, b: a // b)
        every_pair(lambda x, y: x % y, d, chosen, lambda a, b: a % b)
        every_pair(cresset.fmod, d, chosen, lambda a, b: a - truncated(a, b) * b)
        every_pair(DIVISIONS["div"], d, chosen, truncated)


DIVISIONS = {
    "floor_divide": lambda x, y: x // y,
    "remainder": lambda x, y: x % y,
    "fmod": cresset.fmod,
    "div": lambda x, y: cresset.div(x, y, rounding_mode="trunc"),
}


@pytest.mark.parametrize("name", DIVISIONS)
@every_integer
def test_division_by_zero_raises(name, d):
    divide = DIVISIONS[name]
    x = cresset.ones(3, 400, dtype=d)
    holed = x.clone()
    holed[1, 5] = 0
    for divisor in (0, cresset.zeros((), dtype=d), holed, holed[1], holed[:, 5:6]):
        with pytest.raises(RuntimeError, match=f"{name}: ZeroDivisionError"):
            divide(x, divisor)
    with pytest.raises(RuntimeError, match="the first at flat position 405"):
        divide(x, holed)
    assert divide(x[:0], holed[:0]).shape == (0, 400)
    assert divide(x[:0], 0).shape == (0, 400)


def test_division_by_zero_writes_nothing():
    x, y = cresset.arange(1, 7), cresset.tensor([1, 2, 0, 1, 2, 3])
    out = cresset.full((6,), 9)
    for write in (lambda: x.floor_divide_(y), lambda: x.remainder_(0),
                  lambda: cresset.fmod(x, y, out=out)):
        with pytest.raises(RuntimeError, match="ZeroDivisionError"):
            write()
    assert x.tolist() == [1, 2, 3, 4, 5, 6]
    assert out.tolist() == [9] * 6


def test_division_by_zero_in_a_long_tensor():
    """One long row is searched in chunks."""
    y = cresset.ones(1 << 18, dtype=cresset.int32)
    assert (y // y).sum().item() == 1 << 18
    y[200_000] = 0
    with pytest.raises(RuntimeError, match="flat position 200000"):
        y // y


@every_integer
def test_shifts_of_any_count(d):
    """Counts outside the width, negative ones too, shift everything out."""
    bits = 8 * d.itemsize
    counts = [c for c in (0, 1, bits - 1, bits, bits + 1, 100, -1, -bits) if d.is_signed or c >= 0]
    chosen = [(a, c) for a in extremes(d) for c in counts]

    def left(a, c):
        return a << c if 0 <= c < bits else 0

    def right(a, c):
        return a >> c if 0 <= c < bits else -1 if a < 0 else 0

    every_pair(lambda x, y: x << y, d, chosen, left)
    every_pair(lambda x, y: x >> y, d, chosen, right)


@every_integer
def test_powers_wrap(d):
    chosen = [(a, b) for a in extremes(d) for b in (0, 1, 2, 3, 7, 62)]
    chosen += [(a, b) for a in (3, 7, 127) for b in (64, 65, 100, 127)]
    every_pair(lambda x, y: x**y, d, chosen, lambda a, b: a**b)
    if d.is_signed:
        chosen = [(a, b) for a in (-3, -1, 1, 2) for b in (-1, -2)]
        every_pair(lambda x, y: x**y, d, chosen, lambda a, b: int(float(a) ** b))


# --- conversions ----------------------------------------------------------------------------------
FLOATS = [0.0, -0.0, 0.5, -0.5, 1.5, -1.5, 127.0, 128.0, -128.0, -129.0, 255.0, 256.0, 300.0,
          32767.0, 32768.0, -32769.0, 65535.0, 65536.0, 1e5, -1e5, 2147483520.0, 2147483648.0,
          -2147483648.0, -2147483904.0, 4294967040.0, 4294967296.0, 5e9, -5e9, 9.2e18,
          9.223372036854775807e18, -9.223372036854775808e18, 1.8e19, 2e19, -2e19, 1e30, -1e30,
          float("nan"), float("inf"), float("-inf"), 1e-40]


def as_integers(package, source, target, x):
    made = package.tensor(x, dtype=package.float64).to(getattr(package, source))
    return made.to(getattr(package, target)).to(package.int64).tolist()


@pytest.mark.parametrize("source", ["float16", "bfloat16", "float32", "float64"])
@every_integer
def test_floats_become_integers_as_on_x86(d, source, torch):
    """Compared where PyTorch's vectors and single elements agree; ours are one all along."""
    whole = as_integers(torch, source, d.name, FLOATS * 8)[: len(FLOATS)]
    for times in REPEATS:
        got = as_integers(cresset, source, d.name, FLOATS * times)
        for k, x in enumerate(FLOATS):
            assert len({got[n] for n in range(k, len(got), len(FLOATS))}) == 1
            single = as_integers(torch, source, d.name, [x])[0]
            if single == whole[k]:
                assert got[k] == single, x


@every_integer
def test_integers_become_integers_by_their_bits(d):
    for source in INTEGERS:
        numbers = extremes(source)
        x = cresset.tensor(numbers, dtype=source)
        assert x.to(d).tolist() == [wrapped(n, d) for n in numbers]
        assert x.bool().tolist() == [bool(n) for n in numbers]


@every_integer
def test_integers_become_floats(d):
    numbers = extremes(d)
    x = cresset.tensor(numbers, dtype=d)
    assert x.double().tolist() == [float(n) for n in numbers]
    assert x.float().numpy().tolist() == np.array(numbers, d.numpy).astype("f4").tolist()
    with np.errstate(over="ignore"):
        halves = np.array(numbers, d.numpy).astype("f4").astype("f2").astype("f4")
    assert x.half().tolist() == halves.tolist()


# --- numbers that a type does not hold ------------------------------------------------------------
NUMBERS = [0, 127, 128, -128, -129, 255, 256, -255, -256, 1 << 31, 1 << 32, (1 << 63) - 1, 1 << 63,
           (1 << 64) - 1, -(1 << 63), 1.5, -1.5, 255.5, 1e10, -1e10, 1e20, 7e4, 1e39, -1e39,
           float("nan"), float("inf"), float("-inf"), True]
MAKERS = {
    "full": lambda p, d, v: p.full((3,), v, dtype=d),
    "fill_": lambda p, d, v: p.zeros(3, dtype=d).fill_(v),
    "tensor": lambda p, d, v: p.tensor([v], dtype=d),
    "masked_fill": lambda p, d, v: p.zeros(3, dtype=d).masked_fill(p.tensor([True] * 3), v),
}


@pytest.mark.parametrize("name", MAKERS)
def test_numbers_that_do_not_fit(name, torch):
    """Elements are made, or refused, as PyTorch does it."""
    def outcome(package, d, number):
        try:
            return MAKERS[name](package, getattr(package, d), number).double().tolist()
        except (RuntimeError, OverflowError, ValueError) as error:
            return type(error).__name__

    for d in types.COMPUTED:
        if d.is_complex:
            continue
        wide = d in (types.uint16, types.uint32, types.uint64)
        if wide and name in ("tensor", "masked_fill"):
            continue  # PyTorch lacks them there, or has rules for uint64 alone
        for number in NUMBERS:
            got, expected = outcome(cresset, d.name, number), outcome(torch, d.name, number)
            if isinstance(expected, list):
                assert repr(got) == repr(expected), (d, number)
            else:
                assert isinstance(got, str), (d, number, got)


# --- numbers that take all bits of a word ---------------------------------------------------------
LONG = (1 << 63, (1 << 63) + 5, (1 << 64) - 1)


@pytest.mark.parametrize("number", LONG)
def test_uint64_beside_long_numbers(number):
    values = [5, 7, (1 << 64) - 3]
    x = cresset.tensor(values, dtype=types.uint64)
    assert (x + number).tolist() == [(v + number) % (1 << 64) for v in values]
    assert (number - x).tolist() == [(number - v) % (1 << 64) for v in values]
    assert (x * number).tolist() == [v * number % (1 << 64) for v in values]
    assert (x // number).tolist() == [v // number for v in values]
    assert (x % number).tolist() == [v % number for v in values]
    assert (x < number).tolist() == [v < number for v in values]
    assert (x ^ number).tolist() == [v ^ number for v in values]
    assert x.clamp(max=number).tolist() == [min(v, number) for v in values]
    assert cresset.where(x > 6, x, number).tolist() == [number, *values[1:]]
    assert x.clone().add_(number).tolist() == (x + number).tolist()
    np.testing.assert_allclose((x / number).tolist(), [v / number for v in values], 1e-6)


OPERATIONS = {
    "add": lambda x, n: x + n, "sub": lambda x, n: x - n, "rsub": lambda x, n: n - x,
    "mul": lambda x, n: n * x, "div": lambda x, n: x / n, "eq": lambda x, n: x == n,
    "ne": lambda x, n: x != n, "and": lambda x, n: x & n, "or": lambda x, n: x | n,
    "xor": lambda x, n: x ^ n, "add_": lambda x, n: x.add_(n), "clamp": lambda x, n: x.clamp(max=n),
    "pow": lambda x, n: x**n,
}


@pytest.mark.parametrize("number", LONG)
@pytest.mark.parametrize("d", ["int64", "int32", "uint8", "float32", "float64"])
@pytest.mark.parametrize("name", OPERATIONS)
def test_long_numbers_as_in_pytorch(name, d, number, torch):
    outcomes = []
    for package in (torch, cresset):
        x = package.tensor([5, 3, 0]).to(getattr(package, d))
        try:
            result = OPERATIONS[name](x, number)
            outcomes.append((str(result.dtype), result.tolist()))
        except Exception as error:
            outcomes.append(type(error))
    if name == "pow" and d.startswith("float"):
        np.testing.assert_allclose(outcomes[1][1], outcomes[0][1])
    else:
        assert outcomes[1] == outcomes[0]


def test_numbers_longer_than_a_word_are_refused():
    for number in (1 << 64, -(1 << 63) - 1):
        with pytest.raises(OverflowError, match="^add: "):
            cresset.ones(2, dtype=types.int64) + number
