"""Arithmetic: sums, products, quotients, remainders, powers, bits."""

from __future__ import annotations

from cresset.core import dtype as types
from cresset.core import scalar
from cresset.core.scalar import NotComplexError
from cresset.core.tensor import Number, Tensor
from cresset.ops import dispatch
from cresset.ops.kinds import elementwise
from cresset.ops.operation import called, counts_as, method
from cresset.ops.pointwise.floating_point import floating

__all__ = ["abs", "absolute", "add", "addcdiv", "addcmul", "bitwise_and", "bitwise_left_shift",
           "bitwise_not", "bitwise_or", "bitwise_right_shift", "bitwise_xor", "div", "divide",
           "floor_divide", "fmod", "lerp", "mul", "multiply", "neg", "negative", "positive", "pow",
           "reciprocal", "remainder", "rsqrt", "rsub", "sign", "sqrt", "square", "sub", "subtract",
           "true_divide"]


@called("add")
@elementwise(fits=True)
def add_scaled(x: Tensor | Number, y, alpha: Number):
    """x + alpha * y."""
    _refuse_fractions("add", x, alpha)
    return x + alpha * y


@method("__add__", "__radd__", "add")
@elementwise(scaled=add_scaled)
def add(x: Tensor | Number, y):
    """input + alpha * other, shapes broadcast and types promoted.

    >>> import cresset
    >>> cresset.add(cresset.tensor([1, 2]), 0.5)
    tensor([1.5000, 2.5000])
    """
    return x + y


@called("sub")
@elementwise(fits=True)
def sub_scaled(x: Tensor | Number, y, alpha: Number):
    """x - alpha * y."""
    _refuse_booleans("sub: Subtraction, the `-` operator,", x, y)
    _refuse_fractions("sub", x, alpha)
    return x - alpha * y


@method("__sub__", "sub", "subtract")
@elementwise(scaled=sub_scaled)
def sub(x: Tensor | Number, y):
    """input - alpha * other, shapes broadcast and types promoted.

    >>> import cresset
    >>> cresset.sub(cresset.tensor([1, 2]), 1)
    tensor([0, 1])
    """
    _refuse_booleans("sub: Subtraction, the `-` operator,", x, y)
    return x - y


@method("__rsub__")
@called("rsub")
@elementwise
def reverse_sub(x, y):
    """y - x."""
    _refuse_booleans("rsub: Subtraction, the `-` operator,", x, y)
    return y - x


def rsub(input, other, *, alpha=1):
    """other - alpha * input."""
    if alpha == 1:
        return reverse_sub(input, other)
    return counts_as(sub(other, input, alpha=alpha), "rsub")


def _refuse_booleans(what, *operands):
    """Raise RuntimeError where an operand, before its conversion to the common type, is a truth."""
    if any(_given(operand) is types.bool for operand in operands):
        raise RuntimeError(
            f"{what} with a bool tensor is not supported; need numbers; use `^` or "
            "logical_xor() for the difference of masks, `~` or logical_not() to invert one"
        )


def _refuse_fractions(operation, x, alpha):
    """Raise RuntimeError where integers are to be multiplied by a fraction."""
    if not x.dtype.is_differentiable and _given(alpha).is_differentiable:
        raise RuntimeError(
            f"{operation}: For integral input tensors, argument alpha must not be a floating point "
            "number; need a whole number; convert one of the operands to a floating type"
        )


def _given(operand):
    """An operand's type before its conversion to the common one."""
    return operand.args[0].dtype if operand.name == "cast" else operand.dtype


@method("__mul__", "__rmul__", "mul", "multiply")
@elementwise(exact_numbers=True)
def mul(x: Tensor | Number, y):
    """x * y; of booleans the conjunction.

    >>> import cresset
    >>> cresset.mul(cresset.tensor([1, 2]), 3)
    tensor([3, 6])
    """
    return x * y


@called("div")
@elementwise(promote="float", exact_numbers=True)
def true_divide(x: Tensor | Number, y):
    """x / y; integers become floats.

    >>> import cresset
    >>> cresset.true_divide(cresset.tensor([1, 3]), 2)
    tensor([0.5000, 1.5000])
    """
    return x / y


@method("__floordiv__", "floor_divide")
@elementwise(promote="numbers", exact_numbers=True)
def floor_divide(x: Tensor | Number, y):
    """The largest whole number not above x / y. An integer divided by zero gives itself.

    >>> import cresset
    >>> cresset.floor_divide(cresset.tensor([-3, 3]), 2)
    tensor([-2,  1])
    """
    return scalar.floor_divide(x, y)


@method("__rfloordiv__")
@called("floor_divide")
@elementwise(promote="numbers")
def rfloor_divide(x, y):
    """floor_divide with the operands exchanged."""
    return scalar.floor_divide(y, x)


@called("div")
@elementwise(promote="numbers", exact_numbers=True)
def trunc_divide(x: Tensor | Number, y):
    """x / y rounded towards zero."""
    return scalar.trunc_divide(x, y)


@method("__rtruediv__")
@called("div")
@elementwise(promote="float", exact_numbers=True)
def reverse_divide(x, y):
    """y / x."""
    return y / x


DIVISIONS = {None: true_divide, "floor": floor_divide, "trunc": trunc_divide}


def div(input, other, *, rounding_mode=None, out=None):
    """input / other; with rounding_mode "floor" or "trunc" the quotient rounded so.

    >>> import cresset
    >>> cresset.div(cresset.tensor([-3.0]), 2, rounding_mode="floor")
    tensor([-2.])
    """
    return _division(rounding_mode)(input, other, out=out)


def div_(input, other, *, rounding_mode=None):
    """div in place."""
    return _division(rounding_mode).in_place(input, other)


def _division(rounding_mode):
    if rounding_mode is not None and not isinstance(rounding_mode, str):
        raise TypeError(
            f"div(): argument 'rounding_mode' must be str; got {rounding_mode!r}; need 'trunc', "
            "'floor' or None"
        )
    division = DIVISIONS.get(rounding_mode)
    if division is None:
        raise RuntimeError(
            f"div: expected rounding_mode to be one of None, 'trunc', or 'floor'; "
            f"got {rounding_mode!r}"
        )
    return division


Tensor.__truediv__ = Tensor.__div__ = true_divide
Tensor.__rdiv__ = reverse_divide
Tensor.__itruediv__ = Tensor.__idiv__ = true_divide.in_place
Tensor.div = Tensor.divide = div
Tensor.div_ = Tensor.divide_ = div_
Tensor.true_divide = true_divide
Tensor.true_divide_ = true_divide.in_place
divide = div
subtract = sub
multiply = mul


@method("__mod__", "remainder")
@elementwise(promote="numbers")
def remainder(x: Tensor | Number, y):
    """x modulo y with the sign of y, zeros included, as Python has it.

    >>> import cresset
    >>> cresset.remainder(cresset.tensor([-3, 3]), 2)
    tensor([1, 1])
    """
    return scalar.remainder(x, y)


@method("__rmod__")
@called("remainder")
@elementwise(promote="numbers")
def reverse_remainder(x, y):
    """y modulo x."""
    return scalar.remainder(y, x)


@method()
@elementwise(promote="numbers")
def fmod(x, y):
    """The rest of x / y rounded towards zero, with the sign of x, as C has it."""
    return scalar.fmod(x, y)


@method("negative", "neg", "__neg__")
@elementwise
def neg(x):
    """-x."""
    _refuse_booleans("neg: Negation, the `-` operator,", x)
    return -x


negative = neg


@method("positive", "__pos__")
@elementwise
def positive(x):
    """x itself."""
    _refuse_booleans("positive: The `+` operator", x)
    return x


@method("abs", "absolute", "__abs__")
@elementwise(promote="numbers")
def abs(x):
    """The absolute value; its gradient at zero is zero.

    >>> import cresset
    >>> cresset.abs(cresset.tensor([-1.5, 2.0]))
    tensor([1.5000, 2.0000])
    """
    return scalar.absolute(x)


absolute = abs


@method()
@elementwise
def sign(x):
    """-1, 0 or 1 by the sign of x; complex numbers have `sgn` instead."""
    if x.dtype.is_complex:
        raise NotComplexError("sign", x.dtype)
    return scalar.sign(x)


@method()
@called("pow")
@elementwise
def square(x):
    """x * x; of booleans int64."""
    if x.dtype is types.bool:
        x = scalar.cast(x, types.int64)
    return x * x


@method("reciprocal")
@elementwise(promote="float")
def reciprocal(x):
    """1 / x."""
    return 1.0 / x


@called("pow")
@elementwise
def cube(x):
    """x * x * x."""
    return x * x * x


@called("pow")
@elementwise
def fourth_power(x):
    """x ** 4."""
    return (x * x) * (x * x)


@called("pow")
@elementwise
def reciprocal_square(x):
    """x ** -2, from 1 / x: the square of a small x is not a normal number before that is."""
    inverse = 1.0 / x
    return inverse * inverse


@called("pow")
@elementwise(promote="numbers", fits=True)
def power(x, y):
    """x ** y for any exponent; `pow` takes shorter ways for the common ones."""
    return scalar.power(x, y)


@method("__rpow__")
@called("pow")
@elementwise(promote="numbers")
def reverse_power(x, y):
    """y ** x."""
    return scalar.power(y, x)


def pow(input, exponent, *, out=None):
    """input ** exponent.

    Exponents 2, 3, 4, 1/2, -1/2, -1 and -2 have kernels without logarithms. A negative integer
    exponent of integers is refused.

    >>> import cresset
    >>> cresset.pow(cresset.tensor([1.0, 2.0, 3.0]), 2)
    tensor([1., 4., 9.])
    """
    kind = type(exponent)
    if kind is int or kind is float:
        if not isinstance(input, Tensor):
            raise TypeError(f"pow: the base or the exponent must be a tensor; got {input!r}")
        short = _short_power(input.layout.dtype, exponent, kind)
        if short is not None:
            return counts_as(short(input, out=out), "pow")
    elif not isinstance(input, Tensor):
        return reverse_power(exponent, input, out=out)
    return power(input, exponent, out=out)


def pow_(x, exponent):
    """pow in place."""
    return power.in_place(x, exponent)


def _short_power(d, exponent, kind):
    if d.is_differentiable:
        return SHORT_POWERS.get(exponent)
    if kind is int:
        if exponent < 0:
            raise RuntimeError(
                f"pow: integers to negative integer powers are not allowed; got exponent "
                f"{exponent}; convert the base to a floating type"
            )
        if exponent in (2, 3, 4) and d is not types.bool:
            return SHORT_POWERS[exponent]
    return None


def _pow(x, exponent):
    """The operator `**`."""
    kind = type(exponent)
    if kind is not int and kind is not float and dispatch.left_to(power.op, (exponent,)):
        return NotImplemented
    return pow(x, exponent)


Tensor.pow, Tensor.__pow__ = pow, _pow
Tensor.pow_ = Tensor.__ipow__ = pow_


@method()
@elementwise(promote="float")
def sqrt(x):
    """The square root; NaN below zero."""
    return scalar.sqrt(x)


@method()
@elementwise(promote="float")
def rsqrt(x):
    """1 / sqrt(x)."""
    return scalar.rsqrt(x)


SHORT_POWERS = {
    2: square, 3: cube, 4: fourth_power, 0.5: sqrt, -0.5: rsqrt, -1: reciprocal,
    -2: reciprocal_square, 1: positive,
}  # fmt: skip


def _bits(operation, *operands, booleans=True):
    """Refuse operands that are not read as bits."""
    for x in operands:
        if x.dtype.is_floating_point or x.dtype is types.bool and not booleans:
            raise NotImplementedError(
                f"{operation}: there are no bits to work on; got {x.dtype}; need integers"
                f"{' or booleans' if booleans else ''}; convert with .to(cresset.int64)"
            )


@method("__and__", "__rand__", "bitwise_and")
@elementwise
def bitwise_and(x: Tensor | Number, y):
    """The bits set in both; of booleans the conjunction."""
    _bits("bitwise_and", x, y)
    return x & y


@method("__or__", "__ror__", "bitwise_or")
@elementwise
def bitwise_or(x: Tensor | Number, y):
    """The bits set in either."""
    _bits("bitwise_or", x, y)
    return x | y


@method("__xor__", "__rxor__", "bitwise_xor")
@elementwise
def bitwise_xor(x: Tensor | Number, y):
    """The bits set in one alone."""
    _bits("bitwise_xor", x, y)
    return x ^ y


@method("__invert__", "bitwise_not")
@elementwise
def bitwise_not(x):
    """Every bit turned over; of booleans the negation."""
    _bits("bitwise_not", x)
    return ~x


@method("__lshift__", "bitwise_left_shift")
@elementwise
def bitwise_left_shift(x: Tensor | Number, y):
    """x shifted y bits up; a shift of the whole width or more gives 0."""
    _bits("bitwise_left_shift", x, y, booleans=False)
    return scalar.shift_left(x, y)


@method("__rlshift__")
@called("bitwise_left_shift")
@elementwise
def reverse_left_shift(x, y):
    """y shifted x bits up."""
    _bits("bitwise_left_shift", x, y, booleans=False)
    return scalar.shift_left(y, x)


@method("__rshift__", "bitwise_right_shift")
@elementwise
def bitwise_right_shift(x: Tensor | Number, y):
    """x shifted y bits down, keeping the sign."""
    _bits("bitwise_right_shift", x, y, booleans=False)
    return scalar.shift_right(x, y)


@method("__rrshift__")
@called("bitwise_right_shift")
@elementwise
def reverse_right_shift(x, y):
    """y shifted x bits down."""
    _bits("bitwise_right_shift", x, y, booleans=False)
    return scalar.shift_right(y, x)


@method()
@elementwise(promote="numbers")
def addcmul(x, tensor1: Tensor, tensor2: Tensor, *, value: Number | None = None):
    """input + value * tensor1 * tensor2."""
    return x + tensor1 * tensor2 if value is None else x + value * (tensor1 * tensor2)


@method()
@elementwise
def addcdiv(x, tensor1: Tensor, tensor2: Tensor, *, value: Number | None = None):
    """input + value * tensor1 / tensor2; tensor1 and tensor2 are not both integers."""
    if not tensor1.dtype.is_differentiable and not tensor2.dtype.is_differentiable:
        raise RuntimeError(
            "addcdiv: Integer division with addcdiv is no longer supported; got "
            f"{tensor1.dtype} and {tensor2.dtype}; need floating types; convert one with "
            ".to(cresset.float32)"
        )
    return x + tensor1 / tensor2 if value is None else x + value * (tensor1 / tensor2)


@method()
@elementwise(promote="same", exact_numbers=True)
def lerp(x, end: Tensor, weight):
    """x + weight * (end - x), of tensors of one floating type."""
    if not x.dtype.is_differentiable:
        floating("lerp", x)
    return x + weight * (end - x)


for _name in ("add", "sub", "mul", "floordiv", "mod", "and", "or", "xor", "lshift", "rshift"):
    setattr(Tensor, f"__i{_name}__", getattr(Tensor, f"__{_name}__").in_place)
