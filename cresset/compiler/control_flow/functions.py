"""Control flow over tensors: `cond`, `while_loop` and `scan`.

Called from Python they are what their docstrings say. While a call is recorded (`cresset.compile`)
they become rounds of a program, in which elements decide without Python; see `recorded`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from cresset.autograd.group import Group
from cresset.compiler.control_flow.flow import record_cond, record_while
from cresset.compiler.control_flow.recorded import decided, packed, recorded, tried
from cresset.compiler.control_flow.scan import record_scan
from cresset.compiler.structure import put_together, taken_apart
from cresset.core import dtype as types
from cresset.core.tensor import Tensor
from cresset.ops.shapes.joining import stack


# --- cond -----------------------------------------------------------------------------------------
def cond(pred, true_fn: Callable, false_fn: Callable, operands=()) -> Any:
    """true_fn(*operands) where pred is true, else false_fn(*operands).

    `pred` is a tensor of one element of type bool, or a Python number. Both functions return nested
    lists, tuples and dicts of tensors, in the same form, of the same shapes and types; they do
    nothing else that is seen later. The results are new tensors, with gradients.

    In a compiled function both are recorded, and the element decides in the program. Where they
    have gradients for different tensors, the function is recorded once for each way.

    Raises RuntimeError where pred is something else, an operand is no tensor, or results differ in
    form, shape or type, as far as both are seen.

    >>> import cresset
    >>> x = cresset.tensor([-1.0, 4.0])
    >>> cresset.cond(x.sum() > 0, lambda x: x * 2, lambda x: -x, (x,))
    tensor([-2.,  8.])
    """
    _callable("cond", true_fn, false_fn)
    if isinstance(pred, (bool, int, float)):
        return (true_fn if pred else false_fn)(*operands)
    if not _is_flag(pred):
        raise RuntimeError(
            f"cond: Expected pred to be bool or single-element tensor, but got {_shown(pred)}; "
            "need one element of type bool; compare, e.g. x.sum() > 0"
        )
    if not isinstance(operands, (tuple, list)):
        raise RuntimeError(
            f"cond: operands must be a tuple; got {type(operands).__name__}; write (x,) for one"
        )
    given, _ = taken_apart(operands)
    _tensors("cond: operands", given)
    structures: list = []
    made = recorded(record_cond, pred, [
        partial(_branch, tried(function), operands, given, structures)
        for function in (true_fn, false_fn)
    ])
    if made is None:
        structures.clear()
        made = _branch(true_fn if decided(pred) else false_fn, operands, given, structures)
    return put_together(structures[0][0], iter(made))


def _branch(function, operands, given, structures) -> list[Tensor]:
    """What a branch returns, as new tensors that lead to one node."""
    group = Group("Cond")
    results, structure = taken_apart(function(*operands))
    _tensors("cond: results", results)
    layouts = [packed(x.layout) for x in results]
    structures.append((structure, layouts))
    _same("cond", "true_fn and false_fn must return", structures[0], structures[-1])
    memories = {x.memory for x in given}
    return group.close([
        x.clone() if x.base is not None or x.memory in memories else x
        for x in map(Tensor.contiguous, results)
    ])


# --- while_loop -----------------------------------------------------------------------------------
def while_loop(cond_fn: Callable, body_fn: Callable, carried_inputs) -> Any:
    """carried = body_fn(*carried) while cond_fn(*carried); returns what is carried at last.

    `carried_inputs` is a tuple of nested lists, tuples and dicts of tensors, or Python integers.
    `cond_fn` returns one element of type bool, or a Python one; `body_fn` a tuple like that given,
    with the same shapes and types. Neither writes to what it is given.

    The results have gradients. In a compiled function the loop is one of the program, without
    Python, and so is its gradient, where all that is carried are tensors.

    Raises RuntimeError where that does not hold.

    >>> import cresset
    >>> n, x = cresset.while_loop(lambda n, x: x < 100, lambda n, x: (n + 1, x * 3),
    ...                           (cresset.tensor(0), cresset.tensor(1)))
    >>> n, x
    (tensor(5), tensor(243))
    """
    _callable("while_loop", cond_fn, body_fn)
    if not isinstance(carried_inputs, (tuple, list)):
        raise RuntimeError(
            "while_loop: carried_inputs must be a tuple; got "
            f"{type(carried_inputs).__name__}; write (x,) for one"
        )
    carried, structure = taken_apart(tuple(carried_inputs))
    for x in carried:
        if not isinstance(x, (Tensor, int)):
            raise RuntimeError(
                f"while_loop: carried_inputs must be tensors or integers; got {_shown(x)}"
            )
    wanted = structure, [_layout(x) for x in carried]
    carried = [x.contiguous() if isinstance(x, Tensor) else x for x in carried]

    def asked(cond_fn, carried):
        told = cond_fn(*put_together(structure, iter(carried)))
        if isinstance(told, bool) or _is_flag(told):
            return told
        raise RuntimeError(
            f"while_loop: cond_fn must return one element of type bool; got {_shown(told)}; "
            "compare, e.g. x.sum() > 0"
        )

    def turned(body_fn, carried):
        group = Group("WhileTurn")
        following = body_fn(*put_together(structure, iter(carried)))
        following = tuple(following) if isinstance(following, list) else following
        results, found = taken_apart(following)
        made = [_layout(x) for x in results]
        _same("while_loop", "body_fn must return what it is given", wanted, (found, made))
        return _closed(group, results)

    if all(isinstance(x, Tensor) for x in carried):
        made = recorded(
            record_while, partial(asked, tried(cond_fn)), partial(turned, tried(body_fn)), carried
        )
        if made is not None:
            return put_together(structure, iter(made))
    group = Group("WhileLoop")
    while decided(asked(cond_fn, carried)):
        carried = turned(body_fn, carried)
    return put_together(structure, iter(_closed(group, carried)))


def _closed(group: Group, values: list) -> list:
    """The tensors among some values as results of a group, and the others."""
    made = [x.contiguous() for x in values if isinstance(x, Tensor)]
    closed = iter(group.close(made))
    return [next(closed) if isinstance(x, Tensor) else x for x in values]


# --- scan -----------------------------------------------------------------------------------------
def scan(combine_fn: Callable, init, xs, *, dim: int = 0, reverse: bool = False) -> tuple[Any, Any]:
    """carry, y[k] = combine_fn(carry, x[k]) for each slice of xs along `dim`, from carry = init.

    Returns the last carry and the y, stacked along `dim` (along dim 0 where they have fewer dims),
    with gradients. `init` and `xs` are nested lists, tuples and dicts of tensors; those of xs have
    the same size along `dim`, at least one. `combine_fn` returns a carry like init, of its shapes
    and types, and a y, which may be None; it does nothing else that is seen later. With `reverse`
    the last slice comes first; y[k] still belongs to x[k].

    In a compiled function the scan is a loop of the program without Python, and so is its gradient.

    Raises RuntimeError where that does not hold, and IndexError where xs have no such dim.

    >>> import cresset
    >>> def add(total, x):
    ...     return total + x, total * x
    >>> cresset.scan(add, cresset.tensor(0.0), cresset.tensor([1.0, 2.0, 3.0]))
    (tensor(6.), tensor([0., 2., 9.]))
    """
    _callable("scan", combine_fn)
    started, structure = taken_apart(init)
    given, form = taken_apart(xs)
    _tensors("scan: init", started)
    _tensors("scan: xs", given)
    dim, turns = _turns(started, given, dim)
    wanted = structure, [packed(x.layout) for x in started]
    started = [x.contiguous() for x in started]
    shapes: list = []

    def turn(combine_fn, carry, slices):
        group = Group("ScanTurn")
        result = combine_fn(
            put_together(structure, iter(carry)), put_together(form, iter(slices))
        )
        if not isinstance(result, (tuple, list)) or len(result) != 2:
            raise RuntimeError(
                f"scan: combine_fn must return (carry, y); got {_shown(result)}; y may be None"
            )
        (following, found), (ys, shape) = map(taken_apart, result)
        _tensors("scan: the carry", following)
        _tensors("scan: the results", ys)
        made = [packed(x.layout) for x in following]
        _same("scan", "combine_fn must return a carry like init", wanted, (found, made))
        own = shape, [packed(y.layout) for y in ys]
        if not shapes:
            shapes.append(own)
        _same("scan", "combine_fn must return a y like that before", shapes[0], own)
        closed = group.close(list(map(Tensor.contiguous, (*following, *ys))))
        return closed[: len(following)], closed[len(following) :]

    made = recorded(
        record_scan, partial(turn, tried(combine_fn)), started, given, turns, dim, reverse
    )
    if made is None:
        shapes.clear()
        made = _scanned(partial(turn, combine_fn), started, given, turns, dim, reverse)
    carry, ys = made
    ys = [y.movedim(0, dim) if dim < y.layout.ndim else y for y in ys]
    return put_together(structure, iter(carry)), put_together(shapes[0][0], iter(ys))


def _turns(started, given, dim) -> tuple[int, int]:
    """The dim counted from the front, and how many slices there are along it."""
    if not started or not given:
        raise RuntimeError("scan: init and xs must hold a tensor each; got none")
    for x in given:
        ndim = x.layout.ndim
        if not -ndim <= dim < ndim:
            raise IndexError(
                f"scan: Dimension out of range (expected to be in range of [{-ndim}, {ndim - 1}], "
                f"but got {dim}); xs has shape {tuple(x.layout.shape)}"
            )
    dim %= given[0].layout.ndim
    sizes = {x.layout.shape[dim] for x in given if dim < x.layout.ndim}
    if len(sizes) != 1 or 0 in sizes:
        raise RuntimeError(
            f"scan: xs must have one size along dim {dim}, and not zero; got "
            f"{', '.join(str(tuple(x.layout.shape)) for x in given)}"
        )
    return dim, sizes.pop()


def _scanned(turn, carry, xs, turns, dim, reverse):
    """A scan of which Python makes every turn."""
    group = Group("Scan")
    slices = list(zip(*(x.unbind(dim) for x in xs)))
    made: list = []
    for parts in reversed(slices) if reverse else slices:
        carry, ys = turn(carry, list(parts))
        made.append(ys)
    stacks = [stack(ys) for ys in zip(*(made[::-1] if reverse else made))]
    closed = group.close([*carry, *stacks])
    return closed[: len(carry)], closed[len(carry) :]


# --- checks ---------------------------------------------------------------------------------------
def _callable(name, *functions):
    for function in functions:
        if not callable(function):
            raise RuntimeError(
                f"{name}: needs functions that can be called; got {type(function).__name__}"
            )


def _is_flag(x) -> bool:
    return isinstance(x, Tensor) and x.layout.numel == 1 and x.layout.dtype is types.bool


def _tensors(what, values):
    for x in values:
        if not isinstance(x, Tensor):
            raise RuntimeError(
                f"{what} must be tensors in lists, tuples and dicts; got {_shown(x)}; make one of "
                "it with cresset.tensor(...)"
            )


def _layout(x):
    """What has to stay as it is of something carried."""
    return packed(x.layout) if isinstance(x, Tensor) else type(x)


def _same(name, rule, first, second):
    """RuntimeError unless two results, (structure, layouts), have one form, shapes and types."""
    if first[0] != second[0]:
        raise RuntimeError(f"{name}: {rule} in the same form; got {first[0]} and {second[0]}")
    for k, (a, b) in enumerate(zip(first[1], second[1])):
        if a is not b:
            raise RuntimeError(
                f"{name}: {rule} in the same shapes and types; got {_described(a)} and "
                f"{_described(b)} for tensor {k}; make them alike, e.g. with expand() or to()"
            )


def _described(layout) -> str:
    if isinstance(layout, type):
        return layout.__name__
    return f"{tuple(layout.shape)} of {layout.dtype}"


def _shown(x) -> str:
    if isinstance(x, Tensor):
        return f"a tensor of shape {tuple(x.layout.shape)} and type {x.layout.dtype}"
    return f"{type(x).__name__}"
