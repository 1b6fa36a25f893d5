"""Derivatives of functions: Jacobians, Hessians, and their products with vectors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cresset.autograd.engine import grad
from cresset.autograd.mode import enable_grad
from cresset.core.tensor import Tensor
from cresset.ops.arguments import guard
from cresset.ops.creation.tensors import zeros_like
from cresset.ops.shapes.joining import stack

__all__ = ["hessian", "hvp", "jacobian", "jvp", "vhp", "vjp"]


def jacobian(
    func: Callable, inputs: Any, create_graph: bool = False, strict: bool = False,
    vectorize: bool = False, strategy: str = "reverse-mode",
) -> Any:
    """J[i, j] = d func(inputs)[i] / d inputs[j], of shape (*output, *input).

    A tuple for several inputs or outputs, of tuples for several of both. `create_graph` lets it be
    differentiated; `strict` raises RuntimeError where an output depends on no input.

    By `strategy` it is computed row by row ("reverse-mode"), or column by column ("forward-mode"),
    which is less work where there are more outputs than inputs; PyTorch asks for `vectorize` then,
    which says nothing else here. Raises AssertionError for another strategy, NotImplementedError
    for "forward-mode" without `vectorize` or with `create_graph`, RuntimeError for `strict` beside
    either.

    >>> import cresset
    >>> cresset.autograd.functional.jacobian(lambda x: x * x, cresset.tensor([1.0, 3.0]))
    tensor([[2., 0.],
            [0., 6.]])
    """
    _check_strategy(strategy, create_graph, strict, vectorize)
    forward = strategy == "forward-mode"
    primals, outputs, several_in, several_out = _run(func, inputs, create_graph or forward)
    if forward:
        table = _by_columns(primals, outputs)
    else:
        table = [_by_rows(primals, output, create_graph, strict) for output in outputs]
    return _shaped([row if several_in else row[0] for row in table], several_out)


def _check_strategy(strategy, create_graph, strict, vectorize):
    forward = strategy == "forward-mode"
    if not forward and strategy != "reverse-mode":
        raise AssertionError(
            'jacobian: Expected strategy to be either "forward-mode" or "reverse-mode"; got '
            f"{strategy!r}"
        )
    if strict and (forward or vectorize):
        raise RuntimeError(
            "jacobian: strict=True is not supported together with vectorize=True, nor with "
            'strategy="forward-mode"; got '
            f"vectorize={vectorize}, strategy={strategy!r}; leave one of them out"
        )
    if forward and (create_graph or not vectorize):
        raise NotImplementedError(
            'jacobian: strategy="forward-mode" needs vectorize=True and no create_graph; got '
            f'vectorize={vectorize}, create_graph={create_graph}; use strategy="reverse-mode"'
        )


def _by_rows(primals, output, create_graph, strict):
    """For each input the derivatives of one output by it, one gradient for each element."""
    flat = output.reshape(-1)
    rows = [
        _grad("jacobian", (flat[k],), primals, None, create_graph, strict)
        for k in range(flat.layout.numel)
    ]
    return tuple(
        _stacked(column, output, x) for column, x in zip(_columns(rows, primals), primals)
    )


def _by_columns(primals, outputs):
    """For each output and input the derivatives, one product J v for each element of an input."""
    dual, pulled = _pulled("jacobian", outputs, primals, False)
    table: list[list] = [[] for _ in outputs]
    for x, g in zip(primals, pulled):
        columns = []
        for k in range(x.layout.numel):
            unit = zeros_like(x)
            unit.reshape(-1)[k] = 1
            found = _grad("jacobian", () if g is None else (g,), dual, (unit,), False, False)
            columns.append([zeros_like(o) if c is None else c for c, o in zip(found, dual)])
        for row, output, column in zip(table, outputs, _columns(columns, outputs)):
            shape = (*output.layout.shape, *x.layout.shape)
            row.append(stack(column, -1).reshape(shape) if column else output.new_zeros(shape))
    return [tuple(row) for row in table]


def hessian(
    func: Callable, inputs: Any, create_graph: bool = False, strict: bool = False,
    vectorize: bool = False, outer_jacobian_strategy: str = "reverse-mode",
) -> Any:
    """H[i, j] = d^2 func(inputs) / d inputs[i] d inputs[j] of a function with a scalar result.

    It is the Jacobian of the gradient, computed by `outer_jacobian_strategy`; see `jacobian`.

    >>> import cresset
    >>> cresset.autograd.functional.hessian(lambda x: (x**3).sum(), cresset.tensor([1.0, 2.0]))
    tensor([[ 6.,  0.],
            [ 0., 12.]])
    """
    several = isinstance(inputs, (tuple, list))

    def gradient(*primals):
        out = func(*primals)
        if not isinstance(out, Tensor) or out.layout.numel != 1:
            raise RuntimeError(
                "hessian: the function must return a single element; got "
                f"{list(out.shape) if isinstance(out, Tensor) else type(out).__name__}"
            )
        found = _grad("hessian", (out.reshape(()),), primals, None, True, strict)
        found = tuple(zeros_like(x) if g is None else g for g, x in zip(found, primals))
        return found if several else found[0]

    return jacobian(gradient, inputs, create_graph, strict, vectorize, outer_jacobian_strategy)


def vjp(
    func: Callable, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """(func(inputs), v^T J): the product of a vector, shaped as the output, with the Jacobian.

    `v` may be left out where the output is a single element.
    """
    primals, outputs, several_in, several_out = _run(func, inputs, create_graph)
    found = _grad("vjp", outputs, primals, _vectors("vjp", v, outputs), create_graph, strict)
    found = tuple(zeros_like(x) if g is None else g for g, x in zip(found, primals))
    return _shaped(_kept(outputs, create_graph), several_out), _shaped(found, several_in)


def jvp(
    func: Callable, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """(func(inputs), J v): the product of the Jacobian with a vector shaped as the inputs.

    By two walks backwards: u^T J is linear in u, so its derivative by u along v is J v.
    """
    primals, outputs, _, several_out = _run(func, inputs, True)
    vectors = _vectors("jvp", v, primals)
    dual, pulled = _pulled("jvp", outputs, primals, strict)
    pairs = [(g, w) for g, w in zip(pulled, vectors) if g is not None and g.requires_grad]
    if pairs:
        found = _grad("jvp", [g for g, _ in pairs], dual, [w for _, w in pairs], create_graph,
                      strict)
    else:
        found = (None,) * len(dual)
    found = tuple(zeros_like(o) if g is None else g for g, o in zip(found, outputs))
    return _shaped(_kept(outputs, create_graph), several_out), _shaped(found, several_out)


def vhp(
    func: Callable, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """(func(inputs), v^T H) of a function with a scalar result; `v` is shaped as the inputs."""
    primals, outputs, several_in, _ = _run(func, inputs, True)
    first = _grad("vhp", (outputs[0].reshape(()),), primals, None, True, strict)
    pairs = [
        (g, w) for g, w in zip(first, _vectors("vhp", v, primals))
        if g is not None and g.requires_grad
    ]
    found: tuple = (None,) * len(primals)
    if pairs:
        found = _grad("vhp", [g for g, _ in pairs], primals, [w for _, w in pairs], create_graph,
                      strict)
    found = tuple(zeros_like(x) if g is None else g for g, x in zip(found, primals))
    return _kept(outputs, create_graph)[0], _shaped(found, several_in)


def hvp(
    func: Callable, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """(func(inputs), H v); the Hessian is symmetric, so it is `vhp`."""
    return vhp(func, inputs, v, create_graph, strict)


def _run(func, inputs, create_graph):
    """(primals, outputs, whether there are several of each) of the function on fresh views."""
    several_in = isinstance(inputs, (tuple, list))
    given = tuple(inputs) if several_in else (inputs,)
    with enable_grad():
        # Views, so that the graph of a caller goes on; or leaves of their own.
        primals = tuple(
            x.view_as(x) if create_graph and x.requires_grad else x.detach().requires_grad_()
            for x in given
        )
        result = func(*primals)
    several_out = isinstance(result, (tuple, list))
    outputs = tuple(result) if several_out else (result,)
    for o in outputs:
        if not isinstance(o, Tensor):
            raise TypeError(
                f"{func}: the function must return a tensor or a tuple of tensors; got "
                f"{type(o).__name__}"
            )
    return primals, outputs, several_in, several_out


def _pulled(operation, outputs, primals, strict):
    """(u, u^T J): a product that is linear in u, so that its derivative by u along v is J v."""
    with enable_grad():
        dual = tuple(zeros_like(o).requires_grad_() for o in outputs)
        return dual, _grad(operation, outputs, primals, dual, True, strict)


def _grad(operation, outputs, inputs, vectors, create_graph, strict):
    """The gradients of the outputs that have any; None for inputs that they do not depend on."""
    vectors = (None,) * len(outputs) if vectors is None else vectors
    tracked = [(o, v) for o, v in zip(outputs, vectors) if o.requires_grad]
    if strict and len(tracked) < len(outputs):
        raise RuntimeError(f"{operation}: an output does not depend on the inputs; strict=True "
                           "asks that it does")
    if not tracked:
        return (None,) * len(inputs)
    given = None if vectors[0] is None else [v for _, v in tracked]
    found = grad([o for o, _ in tracked], inputs, given, retain_graph=True,
                 create_graph=create_graph, allow_unused=True)
    if strict and any(g is None for g in found):
        raise RuntimeError(f"{operation}: an output does not depend on an input; strict=True asks "
                           "that it does")
    return found


def _vectors(operation, v, like):
    """The vectors of a product, one for each of the tensors that they are shaped as."""
    if v is None:
        if len(like) != 1 or like[0].layout.numel != 1:
            raise RuntimeError(
                f"{operation}: the vector v can only be None where it stands for a single element; "
                f"got shapes {[list(x.shape) for x in like]}; give v"
            )
        return (zeros_like(like[0]) + 1,)
    vectors = tuple(v) if isinstance(v, (tuple, list)) else (v,)
    if [tuple(w.shape) for w in vectors] != [tuple(x.shape) for x in like]:
        raise RuntimeError(
            f"{operation}: v has shapes {[list(w.shape) for w in vectors]}; need "
            f"{[list(x.shape) for x in like]}"
        )
    return vectors


def _columns(rows, primals):
    """The rows of a table turned: for each input the gradients of all elements of the output."""
    return zip(*rows) if rows else ((),) * len(primals)


def _stacked(column, output, x):
    """The gradients of an output's elements by one input, as one tensor."""
    shape = (*output.layout.shape, *x.layout.shape)
    if not column:
        return x.new_zeros(shape)
    return stack([zeros_like(x) if g is None else g for g in column]).reshape(shape)


def _kept(outputs, create_graph):
    return outputs if create_graph else tuple(o.detach() for o in outputs)


def _shaped(found, several):
    return tuple(found) if several else found[0]


globals().update(guard(globals(), __all__))
