"""Reductions: fold the elements along some dims into a state, then finish the state.

The declaration is a class body of four scalar functions: `lift` makes an element a state, `start`
is the state of nothing, `merge` joins two states (it is associative; states of neighbours are
merged in a fixed order that sizes alone decide), `finish` turns a state into the results.
"""

from __future__ import annotations

from functools import lru_cache

from cresset.core import dtype as types
from cresset.core import scalar
from cresset.core.dtype import dtype
from cresset.core.layout import Layout, contiguous_strides
from cresset.core.scalar import NotComplexError
from cresset.kernels.nest import Nest, Operand, Reduce, Store, steps
from cresset.ops import dispatch
from cresset.ops.kinds.promotion import computed
from cresset.ops.operation import Operation
from cresset.runtime.program import Program


def canonical_dims(name: str, dim, rank: int) -> tuple[int, ...]:
    """The dims as a sorted tuple of numbers from 0; None and () mean all."""
    if dim is None or dim == ():
        return tuple(range(rank))
    dims = (dim,) if isinstance(dim, int) else dim
    out = []
    for d in dims:
        least = max(rank, 1)
        if not isinstance(d, int):
            raise TypeError(f"{name}: dim must be an integer or a tuple of them; got {d!r}")
        if not -least <= d < least:
            raise IndexError(
                f"{name}: Dimension out of range (expected to be in range of "
                f"[{-least}, {least - 1}], but got {d}); the tensor has {rank} dims"
            )
        d %= least
        if d in out:
            raise RuntimeError(f"{name}: dim {d} appears multiple times in the list of dims; "
                               "name each dim once")
        out.append(d)
    return tuple(sorted(out)) if rank else ()


class Reduction(Operation):
    """A fold over dims. Parameters: x: Tensor, dim, keepdim, and whatever else the rule names."""

    def __init__(self, body, rule):
        super().__init__(body)
        self.rule = rule

    def infer(self, specs):
        return self._shapes(specs)[0]

    def options(self, specs) -> dict:
        return dict(zip(self.parameter_names, specs))

    def fold(self, d: dtype, extra: dict):
        """(lift, merge, start, finish, the rule), typed for an operand of type `d`."""
        leaf = scalar.argument(0, computed(self.label, d))
        try:
            rule = self.rule(leaf.dtype, **extra)
            lift = _several(rule.lift(leaf, scalar.position()))
            a = tuple(scalar.argument(k, e.dtype) for k, e in enumerate(lift))
            b = tuple(scalar.argument(len(lift) + k, e.dtype) for k, e in enumerate(lift))
            merge = tuple(
                scalar.cast(m, e.dtype) for m, e in zip(_several(rule.merge(a, b)), lift)
            )
            states = tuple(scalar.accumulator(k, e.dtype) for k, e in enumerate(lift))
            # What is computed from a result in the same kernel reads it unrounded.
            finish = tuple(
                scalar.carried(e.args[0], e.dtype) if e.name == "cast" else e
                for e in _several(rule.finish(states))
            )
        except NotComplexError as problem:
            raise NotComplexError(self.label, problem.dtype) from None
        return lift, merge, tuple(rule.start()), finish, rule

    def _shapes(self, specs):
        options = self.options(specs)
        x = specs[0]
        dims = canonical_dims(self.label, options["dim"], x.ndim)
        if options["dim"] == () and getattr(self.rule, "none_is_none", False):
            dims = ()
        if getattr(self.rule, "one_dim", False) and isinstance(options["dim"], tuple):
            raise TypeError(f"{self.label}: dim must be one integer; got {options['dim']}")
        extra = {k: v for k, v in options.items() if k not in ("x", "dim", "keepdim")}
        lift, merge, start, finish, rule = _fold(self, types.get_default_dtype(), x.dtype, **extra)
        empty = 0 in (x.shape[d] for d in dims)
        if empty and getattr(rule, "needs_elements", False):
            whole = options["dim"] in (None, ()) and not getattr(self.rule, "one_dim", False)
            raise (RuntimeError if whole else IndexError)(
                f"{self.label}: Expected reduction dim to have non-zero size, as there is no "
                f"identity; got shape {tuple(x.shape)} and dim {options['dim']}; reduce another "
                "dim, or look whether numel() is 0 before"
            )
        kept = tuple(1 if d in dims else n for d, n in enumerate(x.shape))
        keep = options.get("keepdim", False)
        shape = kept if keep else tuple(n for d, n in enumerate(x.shape) if d not in dims)
        outs = tuple(Layout.packed(shape, e.dtype) for e in finish)
        return outs, dims, kept, (lift, merge, start, finish)

    def body_over(self, specs):
        """(dims, Reduce, finish expressions): what the compiler fuses."""
        _, dims, _, (lift, merge, start, finish) = self._shapes(specs)
        return dims, Reduce(lift, merge, start), finish

    def program(self, specs) -> Program:
        outs, dims, kept, (lift, merge, start, finish) = self._shapes(specs)
        x = specs[0]
        strides = tuple(
            0 if d in dims else s for d, s in enumerate(contiguous_strides(kept))
        )
        operands = [Operand(len(outs), x.dtype, x.strides)]
        body: list = [Reduce(lift, merge, start)]
        for k, (layout, e) in enumerate(zip(outs, finish)):
            operands.append(Operand(k, layout.dtype, strides))
            body.append(Store(len(operands) - 1, e, True))
        position = _position_strides(x.shape, dims)
        nest = Nest(tuple(x.shape), frozenset(dims), tuple(operands), tuple(body), position)
        # The value table holds outputs, then the input, then temporaries.
        launches, temporaries = steps(nest, len(outs) + 1)
        return Program("t", outs, tuple(launches), tuple(temporaries))


# Sizes decide nothing here, and many calls differ in these alone.
@lru_cache(scalar.REMEMBERED, typed=True)
def _fold(op: Reduction, default: dtype, d: dtype, **extra):
    return op.fold(d, extra)


def _several(thing) -> tuple:
    return thing if isinstance(thing, tuple) else (thing,)


def _position_strides(shape, dims) -> tuple[int, ...]:
    """Strides whose sum is the flat index within the reduced dims, in row order."""
    out, step = [0] * len(shape), 1
    for d in reversed(dims):
        out[d] = step
        step *= shape[d]
    return tuple(out)


def reduce(rule):
    """Declare a reduction: a class whose instances are made with the operand's dtype.

    The class is instantiated as rule(dtype, **options) and gives `lift(x, position)`, `start()`,
    `merge(a, b)` over tuples of state components, and `finish(state)`. Its `options` string holds
    further parameters as they stand in the signature, its docstring documents the operation.
    """
    name = rule.__name__
    spelled = getattr(rule, "signature", "x: Tensor, dim=None, keepdim=False")
    scope: dict = {"types": types}
    exec(f"def {name}({spelled}):\n    pass", scope)
    body = scope[name]
    body.__doc__ = rule.__doc__
    body.__module__ = rule.__module__
    return Reduction(body, rule).declare()


dispatch.namespace["canonical_dims"] = canonical_dims
