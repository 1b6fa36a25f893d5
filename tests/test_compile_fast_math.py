"""`compile(f, fast_math=True)`: the rules, by the expressions they make and by their results."""

import numpy as np
import pytest

import cresset
from cresset.compiler.programs.fast_math import RULES, _Algebra
from cresset.core import scalar
from cresset.core.dtype import float16, float32, float64, int64
from cresset.kernels.nest import Nest, Operand, Reduce, Store

X, Y, Z = (scalar.argument(k, float32) for k in range(3))


def number(value):
    return scalar.constant(value, float32)


def rewritten(expression):
    """The expression as its rules make it, with the numbers in it as constants."""
    operands = [Operand(k, float32, (1,)) for k in range(3)]
    out = Operand(3, float32, (1,))
    nest = Nest((8,), frozenset(), (*operands, out), (Store(3, expression, False),))
    algebra = _Algebra(nest)
    made = algebra.of(expression)
    return scalar.substitute(made, {
        leaf: scalar.constant(value, leaf.dtype) for leaf, value in algebra.numbers.items()
    })


E = scalar
TABLE = [
    (X + 0.0, X),
    (0.0 + X, X),
    ((X + 1.0) + 2.0, X + 3.0),
    ((X - 1.0) + 3.0, X + 2.0),
    (X + E.neg(Y), X - Y),
    (E.neg(X) + Y, Y - X),
    (X * Y + X * Z, X * (Y + Z)),
    (Y * X + Z * X, X * (Y + Z)),
    (X * Y - Z * X, X * (Y - Z)),
    (X - X, number(0.0)),
    (X - E.neg(Y), X + Y),
    (X * 0.0, number(0.0)),
    (X * -1.0, E.neg(X)),
    ((X * 2.0) * 3.0, X * 6.0),
    ((X * 2.0) * Y, (X * Y) * 2.0),
    ((X * 2.0) * (Y * 3.0), (Y * X) * 6.0),
    (E.neg(X) * E.neg(Y), X * Y),
    (E.neg(X) * 2.0, X * -2.0),
    (E.exp(X) * E.exp(Y), E.exp(X + Y)),
    (E.sqrt(X) * E.sqrt(X), X),
    (E.rsqrt(X) * E.rsqrt(X), number(1.0) / X),
    (X * E.rsqrt(X), E.sqrt(X)),
    (E.neg(E.neg(X)), X),
    (E.neg(X - Y), Y - X),
    (E.neg(X * 2.0), X * -2.0),
    (X / X, number(1.0)),
    (X / 4.0, X * 0.25),
    (X / (Y / Z), (X * Z) / Y),
    (X / E.sqrt(Y), X * E.rsqrt(Y)),
    (X / E.rsqrt(Y), X * E.sqrt(Y)),
    (X / E.exp(Y), X * E.exp(E.neg(Y))),
    (X / E.accumulator(0, float32), X * (number(1.0) / E.accumulator(0, float32))),
    ((X / Y) * (Z / Y), (X * (number(1.0) / Y)) * (Z * (number(1.0) / Y))),
    (E.power(X, 1.0), X),
    (E.power(X, 2.0), X * X),
    (E.power(X, 3.0), (X * X) * X),
    (E.power(X, 4.0), (X * X) * (X * X)),
    (E.power(X, 0.5), E.sqrt(X)),
    (E.power(X, 1.5), X * E.sqrt(X)),
    (E.power(X, -2.0), number(1.0) / (X * X)),
    (E.power(X, -0.5), number(1.0) * E.rsqrt(X)),
    (E.sqrt(X * X), E.absolute(X)),
    (E.absolute(E.neg(X)), E.absolute(X)),
    (E.absolute(E.exp(X)), E.exp(X)),
    (E.exp(E.log(X)), X),
    (E.log(E.exp(X)), X),
    (E.log(E.sqrt(X)), E.log(X) * 0.5),
]


@pytest.mark.parametrize("before, after", TABLE, ids=[repr(row[0]) for row in TABLE])
def test_rule(before, after):
    assert rewritten(before) is after


def test_every_rule_is_in_the_table():
    used = {before.name for before, _ in TABLE}
    assert used >= set(RULES)


def test_what_has_no_rule_stays():
    for e in (X + Y, X / Y, X * Y, E.power(X, 2.5), E.maximum(X, Y), X / 0.0):
        assert rewritten(e) is e


def test_integers_stay():
    k = scalar.argument(0, int64)
    nest = Nest((8,), frozenset(), (Operand(0, int64, (1,)), Operand(1, int64, (1,))),
                (Store(1, k - k, False),))
    assert _Algebra(nest).nest() == nest


def test_products_and_sums_are_contracted():
    nest = Nest(
        (8,), frozenset(), tuple(Operand(k, float32, (1,)) for k in range(4)),
        (Store(3, X * Y + Z, False),),
    )
    (store,) = _Algebra(nest).nest().body
    assert store.value.name == "fma"


def test_a_product_that_is_used_twice_stays():
    nest = Nest(
        (8,), frozenset(), tuple(Operand(k, float32, (1,)) for k in range(4)),
        (Store(3, E.maximum(X * Y, X * Y + Z), False),),
    )
    (store,) = _Algebra(nest).nest().body
    assert "fma" not in {e.name for e in scalar.topological(store.value)}


def test_what_is_lifted_keeps_what_is_added_up_narrowly():
    wide = scalar.cast(X / 3.0, float64)
    fold = Reduce((wide,), (scalar.argument(0, float64) + scalar.argument(1, float64),), (0.0,),
                  narrow=(X / 3.0,))
    nest = Nest((8,), frozenset([0]), (Operand(0, float32, (1,)),), (fold,))
    (made,) = _Algebra(nest).nest().body
    assert made.narrow[0] in scalar.topological(*made.lift)
    assert made.narrow[0].name == "mul"


# --- whole functions ------------------------------------------------------------------------------
def standardized(x):
    centred = x - x.mean(-1, keepdim=True)
    return centred / centred.square().mean(-1, keepdim=True).sqrt() / 3.7


def mixed(x):
    return (x.abs() + 1.0).pow(3) / 7.0 + x.softmax(-1) * x / (x.exp() + 1.0)


@pytest.mark.parametrize("function", [standardized, mixed])
@pytest.mark.parametrize("dtype", [float16, float32, float64])
def test_results_are_near(function, dtype):
    cresset.manual_seed(0)
    x = cresset.randn(37, 53).to(dtype)
    compiled = cresset.compile(function, fast_math=True)
    for _ in range(3):
        found = compiled(x)
    expected = function(x.double()).numpy()
    bound = {float16: 1e-2, float32: 1e-5, float64: 1e-13}[dtype]
    assert np.abs(found.double().numpy() - expected).max() < bound * np.abs(expected).max()
    assert "launch" in compiled.explain()


def test_gradients_and_updates_are_near():
    def trained(**options):
        cresset.manual_seed(0)
        model = cresset.nn.Sequential(cresset.nn.Linear(5, 8), cresset.nn.Tanh(),
                                      cresset.nn.LayerNorm(8), cresset.nn.Linear(8, 1))
        optimizer = cresset.optim.SGD(model.parameters(), lr=0.1)
        x, y = cresset.randn(16, 5), cresset.randn(16, 1)

        def step():
            optimizer.zero_grad()
            loss = ((model(x) - y) / 1.7).pow(2).mean()
            loss.backward()
            optimizer.step()
            return loss

        compiled = cresset.compile(step, **options)
        return [compiled().item() for _ in range(20)]

    exact, fast = trained(), trained(fast_math=True)
    assert exact[-1] < exact[0]
    np.testing.assert_allclose(fast, exact, rtol=1e-4)


def test_a_number_that_changes_is_followed():
    compiled = cresset.compile(lambda x, scale: x / scale + 1.0, fast_math=True)
    x = cresset.tensor([1.0, 2.0])
    found = [compiled(x, scale).tolist() for scale in (0.5, 0.25, 0.125, 2.0, 4.0)]
    assert found == [[3, 5], [5, 9], [9, 17], [1.5, 2], [1.25, 1.5]]


def test_in_a_loop_of_the_program():
    def halved(x):
        return cresset.while_loop(lambda x: x.sum() > 1.0, lambda x: (x / 2.0,), (x,))

    compiled = cresset.compile(halved, fast_math=True)
    for _ in range(3):
        (found,) = compiled(cresset.tensor([8.0, 4.0]))
    assert found.tolist() == [0.5, 0.25]


def test_no_option_for_both_is_offered():
    with pytest.raises(ValueError, match="^compile: verify=True compares to the bit; got"):
        cresset.compile(mixed, verify=True, fast_math=True)


def test_without_it_every_bit_is_kept():
    x = cresset.randn(1000)
    compiled = cresset.compile(lambda x: x / 3.0 + x * 0.1)
    for _ in range(3):
        found = compiled(x)
    assert found.tolist() == (x / 3.0 + x * 0.1).tolist()
