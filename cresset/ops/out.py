"""The `out=` of operations: results are written into tensors that the caller has.

Kinds whose kernels can write anywhere do so. What others compute is copied, and `out` takes the
result's shape first, as in PyTorch.
"""

from __future__ import annotations

import inspect
from functools import wraps

from cresset.core.caller import warn
from cresset.core.tensor import Tensor
from cresset.ops import dispatch
from cresset.ops.arguments import raise_told, standing_before
from cresset.ops.kinds.promotion import can_cast
from cresset.ops.operation import parameters_of


def call_out(op, args, out):
    """A call of an operation with `out=`."""
    key = None
    if _apart(args, out):
        try:
            key = ("out", out.layout, *dispatch.key_of(op, args))
            dispatch.plans[key](out, *dispatch.operands(op, args))
        except (KeyError, TypeError, OverflowError):
            pass
        else:
            dispatch.note_write(out, op)
            return out
    args = dispatch.clean(op, args)
    refuse_gradients(op.label, (*args, out))
    if isinstance(out, Tensor) and op.has_in_place and not dispatch.captured((*args, out)):
        if out.layout.shape == op.infer(dispatch.specs_of(op, args))[0].shape:
            dispatch.miss_into(op, args, out)
            found = dispatch.plans.get(("into", False, out.layout, *dispatch.key_of(op, args)))
            if key is not None and found is not None:
                dispatch.remember(key, found)
            return out
    return write_out(op.label, dispatch.miss(op, args), out)


def _apart(args, out) -> bool:
    """Whether no operand lies in the memory of `out`, and autograd wants to know of none."""
    return isinstance(out, Tensor) and out.history is None and out.base is None and all(
        a.history is None and a.memory is not out.memory for a in args if isinstance(a, Tensor)
    )


def refuse_gradients(operation: str, args):
    """Raise RuntimeError where autograd would have to follow a write into `out`."""
    if dispatch.namespace["is_grad_enabled"]() and any(x.requires_grad for x in _tensors(args)):
        raise RuntimeError(
            f"{operation}: functions with out=... arguments don't support automatic "
            "differentiation, but one of the arguments requires grad; leave out= away, or call "
            "it under no_grad()"
        )


def _tensors(thing):
    """The tensors among arguments, those in lists included."""
    if isinstance(thing, Tensor):
        yield thing
    elif isinstance(thing, (tuple, list)):
        for part in thing:
            yield from _tensors(part)


def write_out(operation: str, result, out):
    """Write a result, or a tuple of several, into `out`; returns `out`.

    Raises TypeError where `out` is not as many tensors, RuntimeError where the result's type cannot
    be written as that of `out`. Nothing is written unless everything can be.
    """
    results = result if isinstance(result, tuple) else (result,)
    outs = out if isinstance(out, (tuple, list)) else (out,)
    if len(outs) != len(results) or not all(isinstance(o, Tensor) for o in outs):
        raise TypeError(
            f"{operation}: out must be {len(results)} tensor{'s' * (len(results) > 1)}; got "
            f"{', '.join(type(o).__name__ for o in outs)}"
        )
    for made, target in zip(results, outs):
        if not can_cast(made.layout.dtype, target.layout.dtype):
            raise RuntimeError(
                f"{operation}: result type {made.layout.dtype.name} can't be cast to the desired "
                f"output type {target.layout.dtype.name}; give an out of {made.layout.dtype}"
            )
    for made, target in zip(results, outs):
        if target.layout.shape != made.layout.shape:
            if target.layout.numel:
                warn(
                    f"{operation}: An output with one or more elements was resized since it had "
                    f"shape {list(target.layout.shape)}, which does not match the required output "
                    f"shape {list(made.layout.shape)}; give an empty out, or one of that shape"
                )
            target.resize_(made.layout.shape)
        target.copy_(made)
    # Named results stay so, around the tensors that were given.
    return type(result)(outs) if isinstance(result, tuple) else out


def with_out(function):
    """Decorator: the function takes `out=` as well, and writes its result there.

    It takes NumPy's names of parameters, too: `axis` and `axes` for `dim` and `dims`, `keepdims`
    for `keepdim`; and `input` for a first operand that is called as in formulas, a matrix A.
    """
    name = function.__name__
    stated = getattr(function, "__signature__", None)
    own = stated.parameters.values() if stated else parameters_of(inspect.unwrap(function))
    names = [p.name for p in own]
    aliases = {
        alias: meant for alias, meant in _NUMPYS if meant in names and alias not in names
    }
    if names[0] in _FORMULAS and "input" not in names:
        aliases["input"] = names[0]

    @wraps(function)
    def call(*args, **keywords):
        try:
            if not keywords:
                return function(*args)
            out = keywords.pop("out", None)
            keywords = {aliases.get(k, k): v for k, v in keywords.items()}
            if out is None:
                return function(*args, **keywords)
        except Exception as problem:
            raise_told(problem)
        refuse_gradients(name, (*args, *keywords.values(), out))
        return write_out(name, function(*args, **keywords), out)

    parameters = [*own, *map(_keyword, aliases), _keyword("out")]
    # A parameter that collects all other keywords comes last.
    parameters.sort(key=lambda p: p.kind)
    result = function.__annotations__.get("return", inspect.Signature.empty)
    call.__signature__ = inspect.Signature(
        parameters, return_annotation=result, __validate_parameters__=False
    )
    return standing_before(function, call)


# NumPy's names of parameters, and what they mean.
_NUMPYS = (("axis", "dim"), ("axis", "dims"), ("axes", "dim"), ("axes", "dims"),
           ("keepdims", "keepdim"))
# First operands that PyTorch documents by these names and takes as `input`, if not as both.
_FORMULAS = ("A", "B", "L", "b", "x")


def _keyword(name) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None)
