"""Operations: what every kind shares.

An operation is declared once, as the body of one of the kinds in `ops.kinds`. The declaration
yields the function, the method, the in-place and `out=` forms, and the rules by which autograd,
capture and the compiler treat it.
"""

from __future__ import annotations

import inspect
from functools import wraps

from cresset.core.layout import Layout
from cresset.core.tensor import Tensor
from cresset.ops import dispatch, generated, meta
from cresset.runtime.program import Program

# Every declared operation by name; the tests walk through it.
registry: dict[str, Operation] = {}

# What PyTorch calls the operands that are x and y in the bodies of operations.
PUBLIC = {"x": "input", "y": "other"}

KINDS = {
    "Tensor": "tensor",
    "Tensor | None": "optional",
    "Tensor | Number": "operand",
    "Tensor | Number | None": "operand",
    "Number": "number",
    "Number | None": "number",
}


def parameters_of(body) -> tuple[inspect.Parameter, ...]:
    """A function's parameters, as `inspect.signature` has them but in a fraction of the time.

    One that collects what is left over, of positions or of names, comes last.
    """
    code, found = body.__code__, []
    positional = code.co_argcount
    names = code.co_varnames[: positional + code.co_kwonlyargcount]
    given = dict(zip(reversed(names[:positional]), reversed(body.__defaults__ or ())))
    given.update(body.__kwdefaults__ or {})
    kinds = inspect.Parameter
    for k, name in enumerate(names):
        kind = kinds.POSITIONAL_OR_KEYWORD if k < positional else kinds.KEYWORD_ONLY
        found.append(kinds(
            name, kind, default=given.get(name, kinds.empty),
            annotation=body.__annotations__.get(name, kinds.empty),
        ))
    rest = iter(code.co_varnames[len(names):])
    if code.co_flags & inspect.CO_VARARGS:
        found.append(kinds(next(rest), kinds.VAR_POSITIONAL))
    if code.co_flags & inspect.CO_VARKEYWORDS:
        found.append(kinds(next(rest), kinds.VAR_KEYWORD))
    return tuple(found)


class Operation:
    """A declared operation.

    `parameter_kinds` says of each parameter whether it is a "tensor", an "optional" tensor, an
    "operand" (a tensor or a number), a run-time "number", or "static": part of the plan's key.
    """

    default_kind = "static"
    has_out = True
    # Which family of types operands have to be of, by place; see `takes`.
    families: dict[int, str] = {}  # noqa: RUF012
    # How `cresset.ops` leads to it, where its name does not: one of several with the same name.
    path = ""
    # What the in-place form is called in errors, where it is not the label with an underscore.
    write_label = ""
    # The function that is called instead where a factor `alpha` of the last operand is given.
    scaled = None
    # Kinds whose result may be written over the first operand.
    has_in_place = False
    # Whether an element of the result may come from elsewhere in an operand: such an operand is
    # copied before an in-place form writes over it, even where it lies exactly as the target does.
    rearranges = False

    def __init__(self, body, name=None):
        self.body = body
        self.name = name or body.__name__
        # What errors and graph nodes call it, where that is not its name; see `called`.
        self.label = self.name
        self.doc = body.__doc__
        self.module = body.__module__
        self.parameters = parameters_of(body)
        self.parameter_names = tuple(p.name for p in self.parameters)
        self.public_names = tuple(PUBLIC.get(name, name) for name in self.parameter_names)
        self.parameter_kinds = tuple(map(self._kind, self.parameters))
        self.tensor_places = tuple(
            k for k, kind in enumerate(self.parameter_kinds)
            if kind in ("tensor", "optional", "operand")
        )
        self.static_places, self.number_places = (
            tuple(k for k, kind in enumerate(self.parameter_kinds) if kind == wanted)
            for wanted in ("static", "number")
        )
        # Whether every parameter is an operand: then what a call saves depends on nothing else.
        self.plain = not self.static_places and not self.number_places
        # Begins the plan table's keys of calls that overwrite their first operand.
        self.written = object()
        # What autograd saves of a call, by the pattern of operands that want gradients.
        self.recipes: dict = {}
        # How autograd reads the operands of a call, once one has been recorded.
        self.read_operands = None
        # Gradients, which nobody calls by name, may have a parameter of that name.
        self.has_out = self.has_out and "out" not in self.parameter_names
        self.gradient_rule = None
        self.saves: tuple[str, ...] = ()

    def _kind(self, parameter) -> str:
        annotation = parameter.annotation
        if annotation is inspect.Parameter.empty:
            return self.default_kind
        if annotation is Tensor:
            return "tensor"
        return KINDS.get(annotation, "static") if isinstance(annotation, str) else "static"

    def declare(self, register=True):
        """The function that users call; registers the operation and its methods."""
        if register:
            registry[self.name] = self
        self.function = generated.functional(self)
        self.function.gradient = self._state_gradient
        if self.has_in_place:
            self.function.in_place = generated.in_place(self)
        return self.function

    def _state_gradient(self, rule):
        """Decorator: state the gradient. The rule's parameter names say what is saved for it.

        `g` is the gradient of the output (`gs` the tuple of all, where there are several, with
        zeros for those that nothing used; `arrived` has None for them), `out` the output (`out0`,
        `out1`, ... where there are several), `needs` which of the tensor operands want a gradient,
        `x_layout` the layout of operand x without its values; every other name is a parameter of
        the operation. What a rule does not name may be overwritten before the gradient is asked
        for: so a batch normalization may be followed by an in-place ReLU.
        """
        self.gradient_rule = rule
        self.saves = tuple(p.name for p in parameters_of(rule))
        return rule

    def call_body(self, values):
        """The body on a value for each parameter."""
        count = self.body.__code__.co_argcount
        return self.body(*values[:count], **dict(zip(self.parameter_names[count:], values[count:])))

    # --- what the kinds fill in -------------------------------------------------------------------
    def infer(self, specs) -> tuple[Layout, ...]:
        """The layouts of the results, from the layouts of the operands; errors are raised here."""
        raise NotImplementedError

    def program(self, specs) -> Program:
        """What a call runs."""
        raise NotImplementedError

    def plan(self, specs):
        """The launcher of a call with such operands."""
        if meta.concerned(specs):
            specs = meta.processor(self, specs)
            key = dispatch.key_for(self, specs)
            if not meta.planned.for_processor or key in dispatch.plans:
                return meta.launcher(self.infer(specs))
            # Planned once for both, as that is what takes time.
            program = self.program(specs)
            dispatch.remember(key, dispatch.make_launcher(program, self.label))
            return meta.launcher(program.outputs)
        return dispatch.make_launcher(self.program(specs), self.label)

    def plan_into(self, out: Layout, specs, same: bool):
        """The launcher of a call that writes its result over `out`."""
        if meta.concerned((out, *specs)):
            specs = meta.processor(self, specs, out)
            self.program_into(out.on("cpu"), specs, same)
            return meta.writer()
        name = self.write_label or self.label + "_"
        return dispatch.make_launcher(self.program_into(out, specs, same), name)

    def program_into(self, out: Layout, specs, same: bool) -> Program:
        """What a call `launch(out, *operands)` runs that writes the result over `out`.

        `same` says that the first operand is the written tensor itself.
        """
        raise NotImplementedError(
            f"{self.label}: there is no form that writes into a given tensor; "
            f"call {self.label}(...) and copy_ its result"
        )

    def __repr__(self) -> str:
        return f"<{type(self).__name__.lower()} operation {self.name}>"


def called(label):
    """Decorator above a declared function: errors and graph nodes speak of it by this name."""

    def put(function):
        function.op.label = label
        return function

    return put


def takes(family, *names):
    """Decorator above a declared function: the types of its operands are of a family.

    The families are those of `core.families`; without names all operands are meant. What the body
    does may be defined for other types as well.
    """

    def put(function):
        op = function.op
        op.families = {
            k: family for k in op.tensor_places if not names or op.parameter_names[k] in names
        }
        return function

    return put


real_only = takes("a real type")


def counts_as(x, label):
    """x, whose graph node takes the name of what is one operation in PyTorch and several here."""
    node = x.history
    # Leaves, and views of what has no history, are no results.
    if node is not None and node.sequence > 0:
        # One output of several is named by the node of all.
        (node.edges[0] if hasattr(node, "slot") else node).label = label
    return x


def counted_as(label):
    """Decorator of a function of several operations that is one in PyTorch, and one node there."""

    def put(function):
        @wraps(function)
        def call(*args, **keywords):
            out = function(*args, **keywords)
            for part in out if isinstance(out, tuple) else (out,):
                # Where there was nothing to do the operand itself comes back.
                if not any(part is a for a in args):
                    counts_as(part, label)
            return out

        return call

    return put


def method(*names):
    """Decorator above a declared function: also a method of Tensor, by its own and other names.

    An in-place form comes along as `name_`.
    """

    def put(function):
        for name in names or (function.__name__,):
            setattr(Tensor, name, function)
            form = getattr(function, "in_place", None)
            if form is not None and not name.startswith("__"):
                setattr(Tensor, name + "_", form)
        return function

    return put
