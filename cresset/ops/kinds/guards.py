"""Guards of elementwise programs: steps that look at operands before anything is written.

Integers have no quotient by zero, and some numbers must fit the type that they are used in. Either
is told by a nest that stores what it found at the status block, where the program then stops.
"""

from __future__ import annotations

import math
import struct

from cresset.core import dtype as types
from cresset.core import scalar
from cresset.core.dtype import dtype
from cresset.core.layout import Layout, broadcast_shapes, contiguous_strides, expand_strides
from cresset.core.limits import FLOATS, RANGES, fitted
from cresset.kernels.nest import Nest, Operand, Reduce, Store, steps
from cresset.ops import dispatch
from cresset.runtime.program import STATUS, Program

DIVISIONS = {"floor_divide", "trunc_divide", "remainder", "fmod"}
NUMBER_WORDS = {float: "d", int: "i", bool: "i", complex: "d"}


def operand(spec, index: int, shape) -> Operand:
    """A nest's operand for an argument that broadcasts to `shape`."""
    if isinstance(spec, Layout):
        return Operand(index, spec.dtype, expand_strides(spec.shape, spec.strides, shape))
    return Operand(index, types.float64, None, 0, NUMBER_WORDS.get(spec, "i"))


def guarded(operation: str, program: Program, expressions, inputs, out: Layout, fitting) -> Program:
    """The program with steps before it that find zero divisors of integers and unfit numbers.

    `inputs` are the operands' layouts and the types of numbers, `out` is what is written, `fitting`
    maps the places of numbers among the inputs to the types that have to hold them.
    """
    first = 1 if program.inputs.startswith("w") else len(program.outputs)
    checks: list = []
    temporaries: list = []
    read = {a.value for a in scalar.arguments(*expressions)}
    nests = [
        _unfit(k, inputs[k], d, first)
        for k, d in fitting.items() if k in read and _may_not_fit(inputs[k], d)
    ]
    for divisor in divisors(expressions) if out.numel else ():
        read = {a.value for a in scalar.arguments(divisor)}
        shapes = [s.shape for k, s in enumerate(inputs) if k in read and isinstance(s, Layout)]
        nests.append(_zero(divisor, inputs, first, broadcast_shapes((1,), *shapes)))
    for nest in nests:
        check, more = steps(nest, first + len(inputs) + len(temporaries))
        checks += check
        temporaries += more
    if not checks:
        return program

    def explain(detail, unfit, *_):
        if unfit:
            k = unfit - 1
            whole = inputs[k] is not float
            number = detail if whole else struct.unpack("d", struct.pack("q", detail))[0]
            fitted(operation, number, fitting[k])
        raise RuntimeError(
            f"{operation}: ZeroDivisionError: integers have no quotient or remainder by zero; "
            f"got a divisor of 0, the first at flat position {detail}; need another; divide "
            "as floating numbers, or choose with where()"
        )

    return program._replace(
        steps=(*checks, *program.steps), temporaries=tuple(temporaries), explain=explain
    )


def divisors(expressions) -> list:
    """The divisors of integers in some expressions, those that are constants aside."""
    return [
        e.args[1] for e in scalar.topological(*expressions)
        if e.name in DIVISIONS and e.dtype.category == dtype.INTEGER
        and e.args[1].name != "constant"
    ]


def _zero(divisor, inputs, first, shape) -> Nest:
    """The nest that stores whether a divisor is zero, and where first, at the status block."""
    leaves = scalar.arguments(divisor)
    operands = [
        operand(inputs[a.value], first + a.value, shape)._replace(dtype=a.dtype) for a in leaves
    ]
    renumber = {a: scalar.argument(k, a.dtype) for k, a in enumerate(leaves)}
    nowhere = scalar.constant((1 << 62) - 1, types.int64)
    zero = scalar.eq(scalar.substitute(divisor, renumber), 0)
    place = scalar.where(zero, scalar.position(), nowhere)
    a, b = (scalar.argument(k, types.int64) for k in range(2))
    found = scalar.accumulator(0, types.int64)
    still = (0,) * len(shape)
    # The place first: once the first word says that there is a fault the program stops.
    operands += [Operand(STATUS, types.int64, still, word) for word in (1, 0)]
    body = (
        Reduce((place,), (scalar.minimum(a, b),), (nowhere.value,)),
        Store(len(leaves), found, True),
        Store(len(leaves) + 1, scalar.cast(scalar.ne(found, nowhere), types.int64), True),
    )
    every = frozenset(range(len(shape)))
    return Nest(shape, every, tuple(operands), body, contiguous_strides(shape))


def _may_not_fit(spec, d: dtype) -> bool:
    """Whether a type does not hold all numbers of a Python type."""
    if spec is float:
        return d not in (types.bool, types.float64, types.complex128)
    return spec is int and (d is types.float16 or d.category == dtype.INTEGER and d.itemsize < 8)


def _unfit(place, spec, d: dtype, first) -> Nest:
    """The nest that stores a number, and its place from 1 on, where `fitted` would refuse it."""
    word = types.float64 if spec is float else types.int64
    n = scalar.argument(0, word)
    if spec is float and d.is_differentiable:
        fits = (scalar.absolute(n) <= FLOATS[d.to_real()][1]) | (scalar.absolute(n) >= math.inf)
        fits = fits | scalar.ne(n, n)
    else:
        low, high = RANGES[d]
        if spec is int and not d.is_signed and not d.is_differentiable:
            low = -high
        low, high = (math.floor(v) if spec is int else float(v) for v in (low, high))
        fits = (n >= low) & (n <= high)
    bad = scalar.logical_not(fits)
    operands = (
        Operand(first + place, word, None, 0, NUMBER_WORDS[spec]),
        *(Operand(STATUS, d, (), at) for at, d in ((1, word), (2, types.int64), (0, types.int64))),
    )
    body = (
        Store(1, n, False),
        Store(2, scalar.where(bad, scalar.constant(place + 1, types.int64), 0), False),
        Store(3, scalar.cast(bad, types.int64), False),
    )
    return Nest((), frozenset(), operands, body)


# --- checks of functions --------------------------------------------------------------------------
def found(x) -> bool:
    """Whether the one element of a tensor is not zero, as where it counts what is at fault.

    Nothing is found without elements. A call that is recorded checks again whenever it is played.
    """
    if x.layout.absent:
        return False
    return bool(x.item()) if dispatch.tape is None else dispatch.tape.checked(x, _check(x.layout))


def _check(x: Layout) -> Program:
    """The program that finds a fault where the one element of its input is not zero."""
    operands = (Operand(0, x.dtype, ()), Operand(STATUS, types.int64, ()))
    fault = scalar.cast(scalar.ne(scalar.argument(0, x.dtype), 0), types.int64)
    nest = Nest((), frozenset(), operands, (Store(1, fault, False),))
    return Program("t", (), tuple(steps(nest)[0]))
