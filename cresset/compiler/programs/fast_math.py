"""Fast mathematics: algebra that holds for real numbers, and not to the last bit for rounded ones.

What a launch computes at each point is an expression, and an expression is rewritten from its
leaves up: each rule below looks at one primitive and what it is of. No rule makes it longer.
Infinities and NaN may become numbers, and the sign of a zero may be another.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence

from cresset.compiler.programs.joining import as_run
from cresset.compiler.programs.loop_fusion import Launch, located
from cresset.core import dtype as types
from cresset.core import scalar
from cresset.core.dtype import dtype
from cresset.core.scalar import Expression
from cresset.kernels.nest import Nest, Operand, Reduce, compact, launch

# A rule: the expression that stands for a primitive of these arguments; None for the primitive.
Rule = Callable[..., Expression | None]
RULES: dict[str, Rule] = {}


def loosened(launches: Sequence[Launch]) -> list[Launch]:
    """The launches with the expressions of their nests rewritten."""
    return [_loosened(entry) for entry in launches]


def _loosened(entry: Launch) -> Launch:
    nest = None if entry.pinned else located(entry.step)
    if nest is None:
        return entry
    made = _Algebra(nest).nest()
    return entry if made.body == nest.body else entry._replace(step=launch(as_run(made)))


def rule(name: str):
    """Decorator of the rule of a primitive."""

    def register(function):
        RULES[name] = function
        return function

    return register


class _Algebra:
    """Rewrites the expressions of one nest; to rules it makes what they need."""

    def __init__(self, source: Nest):
        self.source = source
        self.operands = list(source.operands)
        # The numbers among the operands; new ones are added behind.
        self.numbers: dict[Expression, float] = {
            scalar.argument(k, o.dtype): float(o.value) for k, o in enumerate(source.operands)
            if o.value is not None and o.dtype.category == dtype.FLOAT
        }
        whole = scalar.topological(*_computed(source.body))
        # How often something is divided by: once and for all it is better to multiply.
        self.divisors = Counter(e.args[1] for e in whole if e.name == "div")
        self.done: dict[Expression, Expression] = {}

    def nest(self) -> Nest:
        body = [self._contracted(self._rewritten(s)) for s in self.source.body]
        operands, kept = compact(tuple(self.operands), body)
        return self.source._replace(operands=operands, body=kept)

    def _rewritten(self, statement):
        return _mapped(statement, self.of)

    def of(self, expression: Expression) -> Expression:
        """An expression rewritten."""
        for e in scalar.topological(expression):
            if e not in self.done:
                args = tuple([self.done[a] for a in e.args])
                self.done[e] = self._made(e.name, e.dtype, args, e.value)
        return self.done[expression]

    def _made(self, name, d, args, value=None) -> Expression:
        found = None
        if name in RULES and d in (types.float32, types.float64):
            found = RULES[name](self, *args)
        return scalar.node(name, d, args, value) if found is None else found

    def make(self, name: str, *args: Expression) -> Expression:
        """A primitive of some expressions, rewritten."""
        return self._made(name, args[0].dtype, args)

    def known(self, e: Expression) -> float | None:
        """The number that an expression is, if it is one."""
        return float(e.value) if e.name == "constant" else self.numbers.get(e)

    def number(self, value: float, like: Expression) -> Expression:
        """The expression of a number: a word of the plan, so that another needs no new kernel."""
        for leaf, known in self.numbers.items():
            if leaf.dtype is like.dtype and known == value:
                return leaf
        leaf = scalar.argument(len(self.operands), like.dtype)
        self.operands.append(Operand(-1, like.dtype, None, 0, "d", value))
        self.numbers[leaf] = value
        return leaf

    def _contracted(self, statement):
        """The statement with x y + z as one instruction, where the product is for nothing else."""
        whole = scalar.topological(*_computed([statement]))
        uses = Counter(a for e in whole for a in e.args)
        done: dict[Expression, Expression] = {}
        for e in whole:
            args = tuple([done[a] for a in e.args])
            done[e] = scalar.node(e.name, e.dtype, args, e.value) if args != e.args else e
            if e.name == "add" and e.dtype in (types.float32, types.float64):
                for product, rest in (e.args, e.args[::-1]):
                    if product.name == "mul" and uses[product] == 1:
                        factors = (done[a] for a in product.args)
                        done[e] = scalar.node("fma", e.dtype, (*factors, done[rest]))
                        break
        return _mapped(statement, done.__getitem__)


def _computed(body) -> list[Expression]:
    """All expressions of a body but those by which states are merged."""
    found: list[Expression] = []
    for s in body:
        if isinstance(s, Reduce):
            found += [*s.lift, *(e for _, e in s.keep), *s.narrow]
        else:
            found.append(s.value)
    return found


def _mapped(statement, function):
    """The statement with its expressions mapped; what is added up narrowly has to stay part of
    what is lifted.
    """
    if not isinstance(statement, Reduce):
        return statement._replace(value=function(statement.value))
    lift = tuple(map(function, statement.lift))
    narrow = tuple(map(function, statement.narrow))
    if not set(narrow).issubset(scalar.topological(*lift)):
        return statement
    keep = tuple((k, function(e)) for k, e in statement.keep)
    return statement._replace(lift=lift, keep=keep, narrow=narrow)


# --- sums and products ----------------------------------------------------------------------------
@rule("add")
def _add(a, x, y):
    if a.known(x) is not None:
        x, y = y, x
    number = a.known(y)
    if number == 0:
        return x
    if number is not None and x.name == "add" and (other := a.known(x.args[1])) is not None:
        return a.make("add", x.args[0], a.number(number + other, x))
    if y.name == "neg":
        return a.make("sub", x, y.args[0])
    if x.name == "neg":
        return a.make("sub", y, x.args[0])
    return _factored(a, "add", x, y) or scalar.node("add", x.dtype, (x, y))


@rule("sub")
def _sub(a, x, y):
    if x is y:
        return scalar.constant(0, x.dtype)
    number = a.known(y)
    if number is not None:
        return a.make("add", x, a.number(-number, x))
    if y.name == "neg":
        return a.make("add", x, y.args[0])
    return _factored(a, "sub", x, y)


def _factored(a, name, x, y):
    """p q + p r = p (q + r), and the same of a difference."""
    if x.name == y.name == "mul":
        for p, q in (x.args, x.args[::-1]):
            if p in y.args:
                r = y.args[y.args[0] is p]
                return a.make("mul", p, a.make(name, q, r))
    return None


@rule("mul")
def _mul(a, x, y):
    if a.known(x) is not None:
        x, y = y, x
    number = a.known(y)
    if number is not None:
        return _scaled(a, x, number, y)
    for p, q in ((x, y), (y, x)):
        if p.name == "mul" and (factor := a.known(p.args[1])) is not None:
            # The number comes last, where it meets others.
            return a.make("mul", a.make("mul", p.args[0], q), a.number(factor, x))
        if p.name == "rsqrt" and p.args[0] is q:
            return a.make("sqrt", q)
    if x.name == y.name == "neg":
        return a.make("mul", x.args[0], y.args[0])
    if x.name == y.name == "exp":
        return a.make("exp", a.make("add", x.args[0], y.args[0]))
    if x is y and x.name == "sqrt":
        return x.args[0]
    if x is y and x.name == "rsqrt":
        return a.make("div", scalar.constant(1, x.dtype), x.args[0])
    return None


def _scaled(a, x, number, y):
    """x times a number, that of y."""
    if number == 0:
        return scalar.constant(0, x.dtype)
    if number == 1:
        return x
    if number == -1:
        return a.make("neg", x)
    if x.name == "mul" and (factor := a.known(x.args[1])) is not None:
        return a.make("mul", x.args[0], a.number(factor * number, x))
    if x.name == "neg":
        return a.make("mul", x.args[0], a.number(-number, x))
    return scalar.node("mul", x.dtype, (x, y))


@rule("neg")
def _neg(a, x):
    if x.name == "neg":
        return x.args[0]
    if x.name == "sub":
        return a.make("sub", *x.args[::-1])
    if x.name == "mul" and (factor := a.known(x.args[1])) is not None:
        return a.make("mul", x.args[0], a.number(-factor, x))
    return None


# --- quotients, powers, roots ---------------------------------------------------------------------
@rule("div")
def _div(a, x, y):
    if x is y:
        return scalar.constant(1, x.dtype)
    number = a.known(y)
    if number is not None and number != 0 and math.isfinite(1 / number):
        return a.make("mul", x, a.number(1 / number, x))
    if y.name == "div":
        return a.make("div", a.make("mul", x, y.args[1]), y.args[0])
    if y.name == "sqrt":
        return a.make("mul", x, a.make("rsqrt", y.args[0]))
    if y.name == "rsqrt":
        return a.make("mul", x, a.make("sqrt", y.args[0]))
    if y.name == "exp":
        return a.make("mul", x, a.make("exp", a.make("neg", y.args[0])))
    if a.known(x) is None and (a.divisors[y] > 1 or _stands(y)):
        return a.make("mul", x, scalar.node("div", x.dtype, (scalar.constant(1, x.dtype), y)))
    if a.known(x) == 1 and x.name != "constant":
        # One reciprocal, however the one was written.
        return scalar.node("div", x.dtype, (scalar.constant(1, x.dtype), y))
    return None


def _stands(e) -> bool:
    """Whether a value is the same along a row: it is made of what folds left behind."""
    leaves = {x.name for x in scalar.topological(e) if not x.args}
    return "accumulator" in leaves and leaves <= {"accumulator", "constant"}


@rule("pow")
def _pow(a, x, y):
    number = a.known(y)
    if number is None:
        return None
    if number < 0 and -number in _POWERS:
        return a.make("div", scalar.constant(1, x.dtype), _POWERS[-number](a, x))
    return _POWERS[number](a, x) if number in _POWERS else None


def _square(a, x):
    return a.make("mul", x, x)


_POWERS: dict[float, Rule] = {
    0.5: lambda a, x: a.make("sqrt", x),
    1.0: lambda a, x: x,
    1.5: lambda a, x: a.make("mul", x, a.make("sqrt", x)),
    2.0: _square,
    3.0: lambda a, x: a.make("mul", _square(a, x), x),
    4.0: lambda a, x: _square(a, _square(a, x)),
}


@rule("sqrt")
def _sqrt(a, x):
    if x.name == "mul" and x.args[0] is x.args[1]:
        return a.make("abs", x.args[0])
    return None


@rule("abs")
def _abs(a, x):
    if x.name in ("abs", "exp", "sqrt"):
        return x
    return a.make("abs", x.args[0]) if x.name == "neg" else None


@rule("exp")
def _exp(a, x):
    return x.args[0] if x.name == "log" else None


@rule("log")
def _log(a, x):
    if x.name == "exp":
        return x.args[0]
    if x.name in ("sqrt", "rsqrt"):
        half = 0.5 if x.name == "sqrt" else -0.5
        return a.make("mul", a.make("log", x.args[0]), a.number(half, x))
    return None
