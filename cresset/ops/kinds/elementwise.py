"""Elementwise operations: out[i] = body(x[i], y[i], ...).

Shapes broadcast, types promote. The body is a scalar function; its gradient is its symbolic
derivative, itself an elementwise operation, so gradients of every order exist and only what the
derivative reads is saved.
"""

from __future__ import annotations

from functools import lru_cache

from cresset.core import dtype as types
from cresset.core import scalar
from cresset.core.dtype import dtype
from cresset.core.families import required
from cresset.core.layout import Layout, broadcast_shapes
from cresset.core.scalar import NotComplexError
from cresset.kernels.nest import Nest, Operand, Store, steps
from cresset.ops import dispatch
from cresset.ops.kinds.guards import guarded, operand
from cresset.ops.kinds.promotion import can_cast, computed, kept, result_type
from cresset.ops.operation import Operation
from cresset.runtime.program import Program

# Which family of types the operands' common one has to be of, by `promote`.
NEEDS = {"numbers": "numbers", "floating": "a floating type"}
# What is done with types that are stored alone.
NOT_ARITHMETIC = {"argument", "constant", "cast", "where", "eq", "ne"}


class Elementwise(Operation):
    """out[i] = body(x[i], y[i], ...)."""

    default_kind = "operand"
    has_in_place = True

    def __init__(self, body, promote="common", masks=(), outputs=1, name=None,
                 exact_numbers=False, fits=False, scaled=None):
        super().__init__(body, name)
        self.scaled = scaled
        self.promote = promote
        self.exact_numbers = exact_numbers
        self.fits = fits
        self.masks = masks
        self.outputs = outputs
        self.derived: dict[tuple, Derived] = {}
        if outputs > 1:
            self.has_in_place = False

    def _kind(self, parameter) -> str:
        """As of every operation; but the first operand is a tensor where nothing else is said."""
        if parameter is self.parameters[0] and parameter.annotation is parameter.empty:
            return "tensor"
        return super()._kind(parameter)

    # --- rules ------------------------------------------------------------------------------------
    def shape(self, specs) -> tuple:
        shapes = [s.shape for s in specs if isinstance(s, Layout)]
        try:
            return broadcast_shapes(*shapes)
        except ValueError as problem:
            spelled = " with ".join(str(tuple(s)) for s in shapes)
            raise RuntimeError(
                f"{self.label}: cannot broadcast {spelled}; {problem}, counted from the left of "
                "the longer shape; need equal sizes or 1 in every dim; reshape or unsqueeze one"
            ) from None

    def expressions(self, specs):
        """The body's expressions, typed for such operands; operands that are None stay None."""
        return _typed(self, types.get_default_dtype(), *map(_alike, specs))[1]

    def common(self, specs) -> dtype:
        """The type that operands of such types are computed in."""
        return _typed(self, types.get_default_dtype(), *map(_alike, specs))[0]

    def computed_in(self, specs) -> dtype:
        """The type that the promotion asks for; an error where there is none."""
        promoted = [
            s for n, k, s in zip(self.parameter_names, self.parameter_kinds, specs)
            if k not in ("static", "number") and n not in self.masks
        ]
        if not promoted:
            return types.bool
        common = kept(self.label, result_type(promoted))
        if self.promote in NEEDS:
            required(self.label, NEEDS[self.promote], common)
        if self.promote == "float" and not common.is_differentiable:
            return types.get_default_dtype()
        if self.promote == "same":
            found = [s.dtype for s in promoted if isinstance(s, Layout)]
            if len(set(found)) > 1:
                raise RuntimeError(
                    f"{self.label}: needs tensors of one type; got "
                    f"{' and '.join(map(str, found))}; convert one with .to()"
                )
            return found[0]
        return common

    def typed_body(self, common: dtype, specs) -> tuple:
        """The results of the body on leaves of these types, converted to the common one."""
        leaves, index = [], 0
        for name, kind, spec in zip(self.parameter_names, self.parameter_kinds, specs):
            if kind == "static" or spec is None:
                leaves.append(spec)
                index += kind != "static"
                continue
            if isinstance(spec, Layout):
                leaf = scalar.argument(index, kept(self.label, spec.dtype))
            else:
                leaf = self._number(index, kind, self._number_type(spec, common))
            target = types.bool if name in self.masks else common
            # Where numbers are exact, so are tensors that stand for one.
            exact = self.exact_numbers and isinstance(spec, Layout) and not spec.ndim
            convert = scalar.carried if exact else scalar.cast
            leaves.append(leaf if target is None else convert(leaf, target))
            index += 1
        try:
            out = self.call_body(leaves)
        except NotComplexError as problem:
            raise NotComplexError(self.label, problem.dtype) from None
        out = out if isinstance(out, tuple) else (out,)
        if common in types.STORED:
            for e in scalar.topological(*out):
                if e.name not in NOT_ARITHMETIC:
                    computed(self.label, common)
        return out

    def _number(self, index, kind, d: dtype):
        """The leaf of a number; beside operands of less than 32 bits one is rounded as they are."""
        if kind == "operand" and d in types.SMALL and not self.exact_numbers:
            return scalar.cast(scalar.argument(index, types.float32), d)
        return scalar.argument(index, d)

    @staticmethod
    def _number_type(kind, common) -> dtype:
        """A number is read in the type of the computation, so that 0.1 is rounded once."""
        if kind is complex:
            return common if common is not None and common.is_complex else types.complex128
        common = common and common.to_real()
        if kind is float:
            return common if common is not None and common.is_floating_point else types.float64
        return common if common is not None else types.int64

    def infer(self, specs):
        shape = self.shape(specs)
        return tuple(
            _result_layout(shape, specs, e.dtype) for e in self.expressions(specs)
        )

    # --- plans ------------------------------------------------------------------------------------
    def program(self, specs) -> Program:
        outs = self.infer(specs)
        inputs = [s for s, k in zip(specs, self.parameter_kinds) if k != "static"]
        expressions = self.expressions(specs)
        launches = self.launches(expressions, outs, inputs, range(len(outs)), len(outs))
        letters = "".join(map(dispatch.letter, inputs))
        return self._guarded(Program(letters, outs, tuple(launches)), expressions, specs, outs[0])

    def program_into(self, out: Layout, specs, same: bool) -> Program:
        (expression,) = self.expressions(specs)
        shape = self.shape(specs)
        if tuple(shape) != tuple(out.shape):
            if same or broadcast_shapes_or_none(shape, out.shape) != tuple(out.shape):
                raise RuntimeError(
                    f"{self.label}: the result has shape {tuple(shape)}, which does not fit "
                    f"into the written tensor's {tuple(out.shape)}; need a tensor of the result's "
                    "shape; use the form that returns a new tensor"
                )
        if not can_cast(expression.dtype, out.dtype):
            raise RuntimeError(
                f"{self.label}: result type {expression.dtype.name} can't be cast to the desired "
                f"output type {out.dtype.name}; convert the written tensor first, or use the "
                "form that returns a new one"
            )
        refuse_overlapping(self.label, out)
        inputs = [s for s, k in zip(specs, self.parameter_kinds) if k != "static"]
        value = scalar.cast(expression, out.dtype)
        launches = self.launches((value,), (out,), inputs, (0,), 1, in_place=same)
        letters = "w" + "".join(map(dispatch.letter, inputs))
        return self._guarded(Program(letters, (), tuple(launches)), (value,), specs, out)

    def _guarded(self, program, expressions, specs, out: Layout) -> Program:
        """The program behind steps that find zero divisors, and numbers that do not fit."""
        inputs: list = []
        fitting = {}
        common = self.common(specs)
        for kind, spec in zip(self.parameter_kinds, specs):
            if kind != "static":
                if self.fits:
                    fitting[len(inputs)] = common
                elif kind == "number":
                    fitting[len(inputs)] = types.float32 if common in types.HALVES else common
                inputs.append(spec)
        return guarded(self.label, program, expressions, inputs, out, fitting)

    def launches(self, expressions, outs, inputs, out_indices, first_input, in_place=False):
        shape = outs[0].shape
        operands = []
        for k, spec in enumerate(inputs):
            operands.append(operand(spec, first_input + k, shape))
        expressions = _with_parts(expressions, inputs, operands, first_input + len(inputs))
        # An operand that is None has no leaf; its place is kept so that leaves keep their numbers.
        leaves = {a.value: a for a in scalar.arguments(*expressions)}
        used = sorted(leaves)
        renumber = {leaves[k]: scalar.argument(new, leaves[k].dtype) for new, k in enumerate(used)}
        chosen = [
            operands[k]._replace(dtype=leaves[k].dtype) if operands[k].strides is None
            else operands[k]
            for k in used
        ]
        body = []
        for e, layout, index in zip(expressions, outs, out_indices):
            chosen.append(Operand(index, layout.dtype, layout.strides))
            body.append(Store(len(chosen) - 1, scalar.substitute(e, renumber), False))
        nest = Nest(tuple(shape), frozenset(), tuple(chosen), tuple(body), in_place=in_place)
        return steps(nest)[0]

    # --- gradient ---------------------------------------------------------------------------------
    def backward_form(self, needs: tuple, present: tuple) -> Derived:
        """The derived operation that maps (g, saved...) to the wanted operands' gradients."""
        found = self.derived.get((needs, present))
        if found is None:
            found = self.derived[needs, present] = Derived(self, needs, present)
        return found


class Derived:
    """The gradient of an elementwise operation: another one, of what the derivative reads.

    `reads` names the operation's parameters (or "out") that have to be saved. `function` takes
    (g, *reads), with a g for each output, and returns the gradients of the operands at the places
    `computed`, as a tuple if several; operands at `through` have g itself as their gradient.
    """

    def __init__(self, forward: Elementwise, needs, present):
        self.forward = forward
        self.present = present
        self.out_place = len(forward.parameter_names)
        through, computed, places = self._read_as(types.float64, needs)
        try:
            # Of complex operands the derivative may read more; what either reads is saved.
            more = self._read_as(types.complex128, needs)
            through, computed, places = through & more[0], computed | more[1], places | more[2]
        except NotComplexError:
            pass
        self.through = tuple(sorted(through))
        self.computed = tuple(sorted(computed))
        self.places = tuple(sorted(places))
        self.reads = tuple((*forward.parameter_names, "out")[place] for place in self.places)
        self.function = self._declare() if self.computed else None

    def _read_as(self, d: dtype, needs) -> tuple[set, set, set]:
        """(through, computed, places) where a type stands in for whatever types come."""
        forward = self.forward
        gs = [scalar.node("gradient", d, (), k) for k in range(forward.outputs)]
        parts = self._parts(gs, {})
        wanted = [k for k, need in enumerate(needs) if need and parts.get(k) is not None]
        for k in wanted:
            if parts[k] is NotImplemented:
                raise NotImplementedError(
                    f"{forward.label}: the derivative by {forward.parameter_names[k]} is not "
                    "implemented; detach() that operand"
                )
        through = {k for k in wanted if len(gs) == 1 and parts[k] is gs[0]}
        computed = set(wanted) - through
        read = scalar.topological(*(parts[k] for k in computed))
        return through, computed, {e.value[1] for e in read if e.name == "place"}

    def _parts(self, gs, values) -> dict:
        """{place: derivative times g}; `values` gives known leaves by place, the rest stand in."""
        forward, leaves, g = self.forward, [], gs[0]
        for k, (name, kind) in enumerate(zip(forward.parameter_names, forward.parameter_kinds)):
            if kind == "static" or self.present[k] is None:
                leaves.append(self.present[k])
            else:
                d = types.bool if name in forward.masks else g.dtype
                leaves.append(values.get(k, self._place(k, d)))
        out = values.get(self.out_place, self._place(self.out_place, g.dtype))
        if forward.gradient_rule is not None:
            named = dict(zip(forward.parameter_names, leaves), g=g, out=out)
            stated = forward.gradient_rule(**{n: named[n] for n in forward.saves})
            return dict(zip(forward.tensor_places, stated if type(stated) is tuple else (stated,)))
        value = forward.call_body(leaves)
        values = value if isinstance(value, tuple) else (value,)
        parts: dict = {}
        for value, g in zip(values, gs):
            grads = scalar.gradients(value, g)
            for k, leaf in enumerate(leaves):
                grad = grads.get(leaf) if isinstance(leaf, scalar.Expression) else None
                if grad is None:
                    continue
                if value.args and len(values) == 1:
                    # What the derivative shares with the result is read from the result.
                    grad = scalar.substitute(grad, {value: out})
                parts[k] = grad if k not in parts else parts[k] + grad
        return parts

    def _place(self, k, d):
        """What stands in for an operand; derivatives of derivatives have places of their own."""
        return scalar.node("place", d, (), (self.forward.name, k))

    def _declare(self):
        count = self.forward.outputs

        def body(*values):
            parts = self._parts(values[:count], dict(zip(self.places, values[count:])))
            # What only complex operands contribute to is zero of real ones.
            zero = scalar.constant(0, values[0].dtype)
            wanted = tuple(parts.get(k) or zero for k in self.computed)
            return wanted if len(wanted) > 1 else wanted[0]

        name = f"{self.forward.name}_backward"
        spelled = ", ".join([*(f"g{k}" for k in range(count)), *(f"saved_{r}" for r in self.reads)])
        scope = {"body": body}
        # The kind reads the operands off the signature, so the body gets one of its own.
        exec(f"def {name}({spelled}):\n    return body({spelled})", scope)
        masks = tuple(f"saved_{r}" for r in self.reads if r in self.forward.masks)
        return Elementwise(
            scope[name], masks=masks, outputs=len(self.computed),
            exact_numbers=self.forward.exact_numbers,
        ).declare(False)


def _with_parts(expressions, inputs, operands, place):
    """The expressions over the parts of complex numbers, the second of which lie from `place`."""
    joined = {}
    leaves = scalar.arguments(*expressions)
    for k, spec in enumerate(inputs):
        if spec is complex:
            for e in leaves:
                if e.value == k:
                    part = e.dtype.to_real()
                    joined[e] = scalar.join(
                        scalar.argument(k, part), scalar.argument(len(operands), part)
                    )
            operands.append(operands[k]._replace(place=place))
            place += 1
    return tuple(scalar.substitute(e, joined) for e in expressions) if joined else expressions


def _alike(spec):
    """What of an operand its types depend on: a layout of its type, with dims or without."""
    return Layout.packed((1,) if spec.ndim else (), spec.dtype) if type(spec) is Layout else spec


# Sizes decide nothing here, and many calls differ in these alone.
@lru_cache(scalar.REMEMBERED, typed=True)
def _typed(op: Elementwise, default: dtype, *specs) -> tuple[dtype, tuple]:
    """The type that a call is computed in, and the body's expressions."""
    common = op.computed_in(specs)
    return common, op.typed_body(common, specs)


def broadcast_shapes_or_none(*shapes):
    try:
        return broadcast_shapes(*shapes)
    except ValueError:
        return None


def _result_layout(shape, specs, d: dtype) -> Layout:
    """A new tensor follows the order of dims of the first operand that has the whole shape."""
    for spec in specs:
        if isinstance(spec, Layout) and tuple(spec.shape) == tuple(shape) and spec.dense:
            return Layout.of(tuple(shape), spec.strides, d, spec.device)
    return Layout.packed(shape, d)


def refuse_overlapping(operation: str, out: Layout):
    """A write through a layout in which elements share memory has no meaning."""
    if out.numel > 1 and not out.dense:
        pairs = sorted((abs(s), n) for s, n in zip(out.strides, out.shape) if n > 1)
        reach = 1
        for s, n in pairs:
            if s < reach:
                raise RuntimeError(
                    f"{operation}: unsupported operation: more than one element of the written-to "
                    f"tensor refers to a single memory location; got shape {tuple(out.shape)} with "
                    f"strides {out.strides}; clone() the tensor before writing"
                )
            reach = s * (n - 1) + reach


def elementwise(body=None, *, promote="common", masks=(), outputs=1, exact_numbers=False,
                fits=False, scaled=None):
    """Declare out[i] = body(x[i], y[i], ...).

    `promote` is "common" (the operands' common type), "numbers" (the same, and not booleans),
    "floating" (the same, and neither booleans nor integers), "float" (integers become the default
    float) or "same" (all must have one type); operands named in `masks` are read as booleans and
    take no part in promotion. With `exact_numbers` a number beside half operands is not rounded to
    their type. Numbers wrap as elements do; those of parameters annotated `Number` have to fit what
    is computed in, and with `fits` all numbers the common type. Where a factor `alpha` of the last
    operand is given, the function `scaled` is called, which takes it as one more parameter.

    >>> @elementwise
    ... def doctest_hypot2(x, y):
    ...     return x * x + y * y
    """
    if body is None:
        return lambda b: elementwise(
            b, promote=promote, masks=masks, outputs=outputs, exact_numbers=exact_numbers,
            fits=fits, scaled=scaled,
        )
    return Elementwise(body, promote, masks, outputs, None, exact_numbers, fits,
                       scaled).declare()
