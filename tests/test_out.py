"""`out=`: results written into tensors that the caller has."""

from __future__ import annotations

import inspect

import pytest

import cresset


def test_takes_the_results_shape():
    x = cresset.arange(6.0).reshape(2, 3)
    out = cresset.empty(0)
    assert cresset.sum(x, 1, out=out) is out
    assert out.tolist() == [3.0, 12.0]
    with pytest.warns(UserWarning, match="was resized") as seen:
        cresset.matmul(x, x.t(), out=out)
    assert seen[0].filename == __file__
    assert out.tolist() == [[5.0, 14.0], [14.0, 50.0]]


def test_may_be_an_operand():
    x = cresset.arange(4.0).reshape(2, 2)
    cresset.matmul(x, x, out=x)
    assert x.tolist() == [[2.0, 3.0], [6.0, 11.0]]
    flipped = cresset.arange(4.0)
    cresset.cumsum(flipped, 0, out=flipped)
    assert flipped.tolist() == [0.0, 1.0, 3.0, 6.0]


def test_what_holds_for_the_first_call_holds_for_others():
    x, y, out = cresset.arange(4.0), cresset.ones(4), cresset.empty(4)
    for scale in (1.0, 2.0):
        assert cresset.mul(x, scale, out=out) is out
        assert out.tolist() == [0.0, scale, 2 * scale, 3 * scale]
        version = out._version
        cresset.add(x, y, out=out)
        assert out.tolist() == [1.0, 2.0, 3.0, 4.0] and out._version > version
    # With the same layouts: operands in the memory of `out`, gradients, an `out` that is a view.
    cresset.add(out, out, out=out)
    assert out.tolist() == [2.0, 4.0, 6.0, 8.0]
    around = cresset.zeros(2, 4)
    cresset.add(around[0], y, out=around[1])
    assert around.tolist() == [[0.0] * 4, [1.0] * 4]
    with pytest.raises(RuntimeError, match="out=... arguments don't support automatic"):
        cresset.add(x.requires_grad_(), y, out=out)
    wide = cresset.empty(4, dtype=cresset.int64)
    for _ in range(2):
        with pytest.raises(RuntimeError, match="can't be cast"):
            cresset.add(y, y, out=wide)


def test_may_be_a_view():
    whole = cresset.zeros(2, 4)
    cresset.sum(cresset.ones(3, 2), 0, out=whole[:, 1])
    assert whole.tolist() == [[0.0, 3.0, 0.0, 0.0]] * 2


def test_several_results():
    values, indices = cresset.empty(0), cresset.empty(0, dtype=cresset.int64)
    found = cresset.max(cresset.tensor([[1.0, 5.0], [7.0, 2.0]]), 1, out=(values, indices))
    assert found[0] is values
    assert values.tolist() == [5.0, 7.0]
    assert indices.tolist() == [1, 0]


def test_types_that_do_not_fit():
    kept = cresset.zeros(2, dtype=cresset.int64)
    with pytest.raises(RuntimeError, match="result type float32 can't be cast"):
        cresset.sum(cresset.ones(2, 2), 0, out=kept)
    assert kept.tolist() == [0, 0]
    with pytest.raises(TypeError, match="out must be 1 tensor; got float"):
        cresset.exp(cresset.ones(2), out=[1.0])
    with pytest.raises(TypeError, match="out must be 2 tensors"):
        cresset.max(cresset.ones(2, 2), 1, out=kept)


def test_gradients_are_refused():
    x = cresset.ones(2, requires_grad=True)
    for function in (cresset.exp, cresset.sum, cresset.mm):
        operands = (x,) if function is not cresset.mm else (x.view(1, 2), cresset.ones(2, 1))
        with pytest.raises(RuntimeError, match="don't support automatic differentiation"):
            function(*operands, out=cresset.empty(0))
        with cresset.no_grad():
            function(*operands, out=cresset.empty(0))


# Public functions of PyTorch that take `out=`, by their documentation.
WITH_OUT = """
abs acos acosh add addbmm addcdiv addcmul addmm addmv addr all amax amin aminmax angle any arange
argmax argmin argsort asin asinh atan atan2 atanh baddbmm bernoulli bitwise_and bitwise_left_shift
bitwise_not bitwise_or bitwise_right_shift bitwise_xor bmm bucketize cat ceil cholesky
cholesky_inverse cholesky_solve clamp complex conj_physical copysign cos cosh cross cummax cummin
cumprod cumsum deg2rad diag diff digamma div dot empty eq erf erfc erfinv exp exp2 expm1 eye fix
float_power floor floor_divide fmax fmin fmod frac full gather gcd ge geqrf ger gt heaviside histc
hypot i0 igamma igammac index_select inner inverse isin isneginf isposinf kron kthvalue lcm ldexp
le lerp lgamma linspace log log10 log1p log2 logaddexp logaddexp2 logcumsumexp logical_and
logical_not logical_or logical_xor logit logspace logsumexp lt masked_select matmul max maximum
mean median min minimum mm mode msort mul multinomial mv mvlgamma nan_to_num nanmedian nanquantile
ne neg nextafter nonzero norm normal ones orgqr outer polar polygamma pow prod qr quantile rad2deg
rand randint randn randperm range reciprocal remainder renorm round rsqrt searchsorted sgn sigmoid
sign signbit sin sinc sinh slogdet softmax sort sqrt square stack std sub sum svd take
take_along_dim tan tanh tensordot topk triangular_solve tril triu trunc var vdot vstack where xlogy
zeros
""".split()


@pytest.mark.parametrize("name", WITH_OUT)
def test_takes_out(name):
    """Functions that take `out=` in PyTorch take it here."""
    assert "out" in inspect.signature(getattr(cresset, name)).parameters
