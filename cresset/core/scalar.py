"""Scalar expressions: what the body of an operation is made of.

A body is an ordinary Python function; called on expressions it yields the expression of its result,
which the compiler turns into vector code and which is differentiated here by its primitives'
rules. Expressions are interned: equal ones are the same object, so common subexpressions cost
nothing. Every expression knows its element type; Python numbers take the type of what they meet.

    >>> from cresset.core.dtype import float32
    >>> x, y = argument(0, float32), argument(1, float32)
    >>> x * exp(-y) + 1
    add(mul(a0, exp(neg(a1))), 1.0)
    >>> gradients(x * exp(-y), argument(2, float32))[x]
    mul(a2, exp(neg(a1)))
"""

from __future__ import annotations

import math
import weakref
from functools import lru_cache
from typing import Any

from cresset.core import dtype as types
from cresset.core.dtype import dtype, promote

# Walks over expressions that are remembered; fusion goes over the same ones again and again.
REMEMBERED = 4096
# Primitives whose operands may change places.
COMMUTATIVE = frozenset({"add", "mul"})


class Expression:
    """A node: primitive `name` of `args`; `value` is a constant's number or a leaf's index."""

    __slots__ = ("__weakref__", "args", "dtype", "name", "value")

    args: tuple[Expression, ...]
    dtype: dtype
    name: str

    def __repr__(self):
        if self.name == "constant":
            return repr(self.value)
        if self.name == "argument":
            return f"a{self.value}"
        if self.name == "cast":
            return f"{self.dtype.name}({self.args[0]!r})"
        if not self.args:
            return f"{self.name}{self.value}"
        return f"{self.name}({', '.join(map(repr, self.args))})"

    def __add__(self, other):
        return add(self, other)

    def __radd__(self, other):
        return add(other, self)

    def __sub__(self, other):
        return sub(self, other)

    def __rsub__(self, other):
        return sub(other, self)

    def __mul__(self, other):
        return mul(self, other)

    def __rmul__(self, other):
        return mul(other, self)

    def __truediv__(self, other):
        return div(self, other)

    def __rtruediv__(self, other):
        return div(other, self)

    def __neg__(self):
        return neg(self)

    def __lt__(self, other):
        return lt(self, other)

    def __le__(self, other):
        return le(self, other)

    def __gt__(self, other):
        return lt(other, self)

    def __ge__(self, other):
        return le(other, self)

    def __and__(self, other):
        return bit_and(self, other)

    def __or__(self, other):
        return bit_or(self, other)

    def __xor__(self, other):
        return bit_xor(self, other)

    def __invert__(self):
        return bit_not(self)

    # `==` stays identity: interning relies on it. `eq(x, y)` compares values.


_interned: weakref.WeakValueDictionary = weakref.WeakValueDictionary()


def node(name: str, dtype: dtype, args: tuple = (), value=None) -> Expression:
    """The one expression with these properties."""
    # The type of the value is in the key because 1, 1.0 and True are equal; -0.0 is not 0.0.
    spelled = repr(value) if type(value) in (float, complex) else value
    key = (name, dtype, args, type(value), spelled)
    expression = _interned.get(key)
    if expression is None:
        expression = object.__new__(Expression)
        expression.name = name
        expression.dtype = dtype
        expression.args = args
        expression.value = value
        _interned[key] = expression
    return expression


def argument(index: int, dtype: dtype) -> Expression:
    """The value of operand `index` at the current position."""
    return node("argument", dtype, (), index)


def accumulator(index: int, dtype: dtype) -> Expression:
    """Component `index` of the states that the reductions of a nest left behind."""
    return node("accumulator", dtype, (), index)


def position(dtype: dtype = types.int64) -> Expression:
    """The flat index within the reduced dims of the current element."""
    return node("position", dtype)


def constant(number, dtype: dtype) -> Expression:
    if dtype.category == dtype.BOOL:
        number = bool(number)
    elif dtype.category == dtype.INTEGER:
        number = int(number)
    elif dtype.category == dtype.FLOAT:
        number = float(number)
    else:
        number = complex(number)
    return node("constant", dtype, (), number)


def cast(x: Expression, dtype: dtype) -> Expression:
    """x converted to another element type; of a complex x its real part, but to a bool."""
    if x.dtype is dtype:
        return x
    if x.name == "constant":
        whole = dtype.is_complex or dtype is types.bool or not x.dtype.is_complex
        return constant(x.value if whole else x.value.real, dtype)
    return node("cast", dtype, (x,))


def carried(x: Expression, dtype: dtype) -> Expression:
    """x as a value of a type to which it is rounded when it is stored, and no sooner."""
    if dtype not in types.SMALL or x.dtype is dtype:
        return cast(x, dtype)
    return node("carry", dtype, (cast(x, types.float32),))


def together(*args) -> tuple[Expression, ...]:
    """The arguments as expressions of one type; Python numbers adapt, as in PyTorch."""
    found = [a for a in args if type(a) is Expression]
    common = found[0].dtype
    for a in found[1:]:
        common = promote(common, a.dtype)
    for a in args:
        if type(a) is float and not common.is_differentiable:
            common = types.get_default_dtype()
        elif type(a) is complex and not common.is_complex:
            common = promote(common, types.get_default_dtype()).to_complex()
        elif type(a) is int and common is types.bool:
            common = types.int64
    return tuple(
        cast(a, common) if type(a) is Expression else constant(a, common) for a in args
    )


class Primitive:
    """A function of scalars: its name, its result's type, and the rule of its derivative.

    `result` is "same" for the type of the arguments, "float" if integers become floats first,
    "bool", or "part" for the type of a complex argument's parts.

    `derivative(g, out, *args)` returns the contribution to each argument's gradient, None where
    there is none. Of a complex function it is g times the complex derivative; `conjugates` says
    that the rule is already that of the gradient, as for functions that have no such derivative.
    `parts` is the function of complex arguments as one of their parts; see `core.complex`.
    """

    def __init__(self, name, arity, result="same", derivative=None, fold=None, conjugates=False):
        self.name = name
        self.arity = arity
        self.result = result
        self.derivative = derivative
        self.fold = fold
        self.conjugates = conjugates
        self.parts: Any = None

    def __call__(self, *args) -> Expression:
        operands = together(*args)
        if self.result == "float" and not operands[0].dtype.is_differentiable:
            operands = tuple(cast(a, types.get_default_dtype()) for a in operands)
        out = types.bool if self.result == "bool" else operands[0].dtype
        if operands[0].dtype.is_complex and self.parts is None:
            raise NotComplexError(self.name, operands[0].dtype)
        if self.result == "part":
            out = out.to_real()
        if self.fold is not None and all(a.name == "constant" for a in operands):
            return constant(self.fold(*(a.value for a in operands)), out)
        return node(self.name, out, operands)


class NotComplexError(NotImplementedError):
    """A function has no meaning for complex numbers, or none that is unique."""

    def __init__(self, name, dtype):
        super().__init__(
            f"{name}: not implemented for complex numbers; got {dtype}; need a real type; take "
            "abs(), .real or .imag of it"
        )
        self.dtype = dtype


PRIMITIVES: dict[str, Primitive] = {}


def primitive(
    name, arity=1, result="same", derivative=None, fold=None, conjugates=False
) -> Primitive:
    PRIMITIVES[name] = Primitive(name, arity, result, derivative, fold, conjugates)
    return PRIMITIVES[name]


def _is(x, number):
    return x.name == "constant" and x.value == number


_add = primitive("add", 2, derivative=lambda g, out, x, y: (g, g), fold=lambda x, y: x + y)
_sub = primitive("sub", 2, derivative=lambda g, out, x, y: (g, -g), fold=lambda x, y: x - y)
_mul = primitive("mul", 2, derivative=lambda g, out, x, y: (g * y, g * x), fold=lambda x, y: x * y)
div = primitive(
    "div", 2, "float", lambda g, out, x, y: (g / y, -(g / y) * out)
)


def add(x, y):
    return _add(x, y)


def sub(x, y):
    return _sub(x, y)


def mul(x, y):
    """x * y; by the constant one it is the other factor, which is exact."""
    x, y = together(x, y)
    if _is(x, 1) and x.dtype is not types.bool:
        return y
    if _is(y, 1) and y.dtype is not types.bool:
        return x
    return _mul(x, y)


# x y + z, rounded once.
fma = primitive("fma", 3, derivative=lambda g, out, x, y, z: (g * y, g * x, g))
neg = primitive("neg", derivative=lambda g, out, x: (-g,), fold=lambda x: -x)
absolute = primitive("abs", 1, "part", lambda g, out, x: (g * sign(x),), conjugates=True)


def _flat(g, out, x):
    """The derivative of a step function, which is zero wherever it exists."""
    return (constant(0.0, g.dtype),)


def _sign_gradient(g, out, x):
    """Flat for real x; the direction x / |x| of a complex one turns with its angle."""
    if not x.dtype.is_complex:
        return _flat(g, out, x)
    size = absolute(x)
    along = real(conj(out) * g)
    return (where(eq(size, 0.0), 0.0, (g - out * along) / size),)


sign: Primitive = primitive("sign", derivative=_sign_gradient, conjugates=True)
copysign: Primitive = primitive(
    "copysign", 2, "float",
    lambda g, out, x, y: (g * copysign(1.0, x) * copysign(1.0, y), None),
)
floor = primitive("floor", derivative=_flat)
ceil = primitive("ceil", derivative=_flat)
trunc = primitive("trunc", derivative=_flat)
round_half_even = primitive("round", derivative=_flat)
floor_divide = primitive("floor_divide", 2)
trunc_divide = primitive("trunc_divide", 2)
remainder = primitive(
    "remainder", 2, derivative=lambda g, out, x, y: (g, -g * floor(x / y))
)
fmod = primitive("fmod", 2, derivative=lambda g, out, x, y: (g, -g * trunc(x / y)))

gcd = primitive("gcd", 2)
signbit = primitive("signbit", 1, "bool")
nextafter = primitive("nextafter", 2)
# x = significand(x) 2^exponent(x), the first between 1/2 and 1; see `frexp`.
exponent = primitive("exponent", derivative=_flat)
significand = primitive(
    "significand",
    derivative=lambda g, out, x: (where(eq(x, out), g, g * (out / x)),),
)

lt = primitive("lt", 2, "bool")
le = primitive("le", 2, "bool")
eq: Primitive = primitive("eq", 2, "bool")
ne = primitive("ne", 2, "bool")


def gt(x, y):
    return lt(y, x)


def ge(x, y):
    return le(y, x)


bit_and = primitive("bit_and", 2)
bit_or = primitive("bit_or", 2)
bit_xor = primitive("bit_xor", 2)
bit_not = primitive("bit_not")
shift_left = primitive("shift_left", 2)
shift_right = primitive("shift_right", 2)


def _half_where(g, condition, tie):
    """g where the condition holds, half of it at a tie, else 0: the gradient of an extreme."""
    return where(tie, g / 2, where(condition, g, 0.0))


# An extreme with NaN on either side is NaN, as in PyTorch.
maximum = primitive(
    "maximum", 2,
    derivative=lambda g, out, x, y: (
        _half_where(g, y < x, eq(x, y)), _half_where(g, x < y, eq(x, y))
    ),
)
minimum = primitive(
    "minimum", 2,
    derivative=lambda g, out, x, y: (
        _half_where(g, x < y, eq(x, y)), _half_where(g, y < x, eq(x, y))
    ),
)

exp = primitive("exp", 1, "float", lambda g, out, x: (g * out,))
exp2 = primitive("exp2", 1, "float", lambda g, out, x: (g * out * math.log(2.0),))
expm1 = primitive("expm1", 1, "float", lambda g, out, x: (g * (out + 1.0),))
log = primitive("log", 1, "float", lambda g, out, x: (g / x,))
log2 = primitive("log2", 1, "float", lambda g, out, x: (g / (x * math.log(2.0)),))
log10 = primitive("log10", 1, "float", lambda g, out, x: (g / (x * math.log(10.0)),))
log1p = primitive("log1p", 1, "float", lambda g, out, x: (g / (x + 1.0),))
sqrt = primitive("sqrt", 1, "float", lambda g, out, x: (g / (2.0 * out),))
rsqrt = primitive("rsqrt", 1, "float", lambda g, out, x: (-0.5 * g * out * out * out,))
sin = primitive("sin", 1, "float", lambda g, out, x: (g * cos(x),))
cos: Primitive = primitive("cos", 1, "float", lambda g, out, x: (-(g * sin(x)),))
tan = primitive("tan", 1, "float", lambda g, out, x: (g * (out * out + 1.0),))
asin = primitive("asin", 1, "float", lambda g, out, x: (g * rsqrt(1.0 - x * x),))
acos = primitive("acos", 1, "float", lambda g, out, x: (-(g * rsqrt(1.0 - x * x)),))
atan = primitive("atan", 1, "float", lambda g, out, x: (g / (x * x + 1.0),))
atan2 = primitive(
    "atan2", 2, "float",
    lambda g, out, y, x: (g * x / (x * x + y * y), -(g * y / (x * x + y * y))),
)
sinh = primitive("sinh", 1, "float", lambda g, out, x: (g * cosh(x),))
cosh: Primitive = primitive("cosh", 1, "float", lambda g, out, x: (g * sinh(x),))
tanh = primitive("tanh", 1, "float", lambda g, out, x: (g * (1.0 - out * out),))
asinh = primitive("asinh", 1, "float", lambda g, out, x: (g * rsqrt(x * x + 1.0),))
acosh = primitive(
    "acosh", 1, "float",
    # The root of a product is that of its factors on one side of the complex plane alone.
    lambda g, out, x: (g * (rsqrt(x - 1.0) * rsqrt(x + 1.0) if x.dtype.is_complex
                            else rsqrt(x * x - 1.0)),),
)
atanh = primitive("atanh", 1, "float", lambda g, out, x: (g / (1.0 - x * x),))
softplus = primitive("softplus", 1, "float", lambda g, out, x: (g * sigmoid(x),))
sigmoid: Primitive = primitive("sigmoid", 1, "float", lambda g, out, x: (g * (1.0 - out) * out,))
erf = primitive(
    "erf", 1, "float", lambda g, out, x: (g * (2.0 / math.sqrt(math.pi)) * exp(-(x * x)),)
)
erfc = primitive(
    "erfc", 1, "float", lambda g, out, x: (g * (-2.0 / math.sqrt(math.pi)) * exp(-(x * x)),)
)
erfinv = primitive(
    "erfinv", 1, "float", lambda g, out, x: (g * (math.sqrt(math.pi) / 2.0) * exp(out * out),)
)
lgamma = primitive("lgamma", 1, "float", lambda g, out, x: (g * digamma(x),))
digamma: Primitive = primitive("digamma", 1, "float", lambda g, out, x: (g * trigamma(x),))


def trigamma(x):
    """The derivative of digamma: ten steps up, then its asymptotic series, below 1/2 reflected.

    Abramowitz and Stegun (1964), 6.4.6, 6.4.7 and 6.4.12. Made of other primitives, so it has
    derivatives of every order.
    """
    low = lt(x, 0.5)
    z = where(low, 1.0 - x, x)
    total = 1.0 / (z * z)
    for k in range(1, 10):
        total = total + 1.0 / ((z + float(k)) * (z + float(k)))
    r = 1.0 / (z + 10.0)
    square = r * r
    series = square * (5.0 / 66.0) - 1.0 / 30.0
    for number in (1.0 / 42.0, -1.0 / 30.0, 1.0 / 6.0):
        series = series * square + number
    total = total + r * (r * (r * series + 0.5) + 1.0)
    reflected = math.pi / sin(x * math.pi)
    return where(low, reflected * reflected - total, total)


def _pow_gradient(g, out, x, y):
    """d x**y: y x**(y-1), zero where y is 0; and x**y log x, zero where x is 0 and y >= 0."""
    by_x = where(eq(y, 0.0), 0.0, g * y * power(x, y - 1.0))
    by_y = where(eq(x, 0.0) & ge(real(y), 0.0), 0.0, g * out * log(x))
    return by_x, by_y


power = primitive("pow", 2, derivative=_pow_gradient)


# --- complex numbers and their parts --------------------------------------------------------------
# The gradient of a real loss by a complex z is that by its real part plus i times that by its
# imaginary part, as PyTorch has it: for z -> f(z) with a complex derivative it is g * conj(f'(z)).
_real = primitive(
    "real", 1, "part", lambda g, out, z: (cast(g, z.dtype),), conjugates=True
)
_imaginary = primitive(
    "imag", 1, "part",
    lambda g, out, z: (join(constant(0.0, g.dtype), g),), conjugates=True,
)
_conj = primitive("conj", derivative=lambda g, out, z: (conj(g),), conjugates=True)
_angle = primitive(
    "angle", 1, "part",
    lambda g, out, z: (
        where(eq(z, 0.0), 0.0, join(-imaginary(z), real(z)) / absolute(z) / absolute(z) * g),
    ),
    conjugates=True,
)


def real(z):
    """The real part of z."""
    return _real(z) if z.dtype.is_complex else z


def imaginary(z):
    """The imaginary part of z."""
    return _imaginary(z) if z.dtype.is_complex else constant(0, z.dtype)


def conj(z):
    """z with its imaginary part negated."""
    if z.name == "conj":
        return z.args[0]
    if z.name == "constant":
        return constant(z.value.conjugate(), z.dtype)
    return _conj(z) if z.dtype.is_complex else z


def angle(z):
    """The angle of a complex z from the positive axis, between -pi and pi."""
    return _angle(z)


def join(x, y):
    """The complex number x + y i."""
    x, y = together(x, y)
    return node("join", x.dtype.to_complex(), (x, y))


def _join_gradient(g, out, x, y):
    return real(g), imaginary(g)


def where(condition, x, y):
    """x where the condition holds, else y."""
    x, y = together(x, y)
    if x is y:
        return x
    condition = cast(condition, types.bool)
    return node("where", x.dtype, (condition, x, y))


def isnan(x):
    return ne(x, x)


def logical_not(x):
    return bit_not(cast(x, types.bool))


def _where_gradient(g, out, condition, x, y):
    return None, where(condition, g, 0.0), where(condition, 0.0, g)


@lru_cache(REMEMBERED)
def arguments(*expressions) -> tuple[Expression, ...]:
    """The distinct arguments that the expressions read, in the order of their indices."""
    found = {e for e in topological(*expressions) if e.name == "argument"}
    return tuple(sorted(found, key=lambda e: e.value))


@lru_cache(REMEMBERED)
def topological(*expressions) -> tuple[Expression, ...]:
    """Every node under the expressions, operands before what uses them."""
    order: dict[Expression, None] = {}
    stack = list(reversed(expressions))
    while stack:
        e = stack[-1]
        for a in e.args:
            if a not in order:
                stack.append(a)
                break
        else:
            order[e] = None
            stack.pop()
    return tuple(order)


def substitute(expression: Expression, values: dict, ordered: bool = False) -> Expression:
    """The expression with leaves replaced: {leaf: expression}.

    Where that is to be `ordered`, what is put into a sum or a product of another leaf comes first.
    """
    done = {}
    for e in topological(expression):
        if e in values:
            done[e] = values[e]
        elif not e.args:
            done[e] = e
        else:
            args = tuple(done[a] for a in e.args)
            if ordered and e.name in COMMUTATIVE and args[0].name == "argument" != args[1].name:
                args = args[::-1]
            done[e] = e if args == e.args else node(e.name, e.dtype, args, e.value)
    return done[expression]


def gradients(expression: Expression, g: Expression) -> dict[Expression, Expression]:
    """d expression / d e, times `g`, for every floating or complex e that it is made of.

    Reverse accumulation over the expression; the results are expressions again, so gradients of
    every order exist.
    """
    total = {expression: g}
    for e in reversed(topological(expression)):
        grad = total.get(e)
        if grad is None or not e.args:
            continue
        if e.name == "cast":
            source = e.args[0].dtype
            parts: tuple = (cast(grad, source) if source.is_differentiable else None,)
        elif e.name == "where":
            parts = _where_gradient(grad, e, *e.args)
        elif e.name == "join":
            parts = _join_gradient(grad, e, *e.args)
        else:
            parts = _differentiated(PRIMITIVES[e.name], grad, e)
        for a, part in zip(e.args, parts):
            if part is not None and a.dtype.is_differentiable and a.name != "constant":
                total[a] = part if a not in total else total[a] + part
    return total


def _differentiated(function, g, e):
    """The gradients of the arguments of e, the value of a primitive."""
    rule = function.derivative
    if rule is None:
        return (None,) * len(e.args)
    if function.conjugates or not e.dtype.is_complex:
        return rule(g, e, *e.args)
    return tuple(None if part is None else conj(part) for part in rule(conj(g), e, *e.args))
