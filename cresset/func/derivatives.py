"""Derivatives as functions: `grad`, `vjp`, `jvp`, Jacobians and Hessians."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import wraps
from itertools import islice
from typing import Any

import cresset
from cresset import Tensor
from cresset.utils._pytree import tree_flatten, tree_unflatten


def grad(func: Callable, argnums: int | tuple[int, ...] = 0, has_aux: bool = False) -> Callable:
    """The function that gives the gradient of `func` by the arguments at `argnums`.

    `func` returns a single number, with `has_aux` a pair of one and anything else, which comes out
    beside the gradient. An argument may be a tensor or containers of such; so is its gradient. It
    may be differentiated again, by another `grad` or by `backward`. Raises RuntimeError unless the
    result is a tensor of one number.

    >>> grad(grad(lambda x: x**3))(cresset.tensor(2.0))
    tensor(12.)
    """

    @wraps(func)
    def gradient(*args: Any, **kwargs: Any) -> Any:
        found, value = grad_and_value(func, argnums, has_aux)(*args, **kwargs)
        return (found, value[1]) if has_aux else found

    return gradient


def grad_and_value(
    func: Callable, argnums: int | tuple[int, ...] = 0, has_aux: bool = False
) -> Callable:
    """As `grad`, and beside the gradient what `func` returned.

    >>> grad_and_value(lambda x: x * x)(cresset.tensor(3.0))
    (tensor(6.), tensor(9.))
    """

    @wraps(func)
    def both(*args: Any, **kwargs: Any) -> Any:
        places = (argnums,) if isinstance(argnums, int) else tuple(argnums)
        own, args, structures = _own(args, places)
        with cresset.enable_grad():
            result = func(*args, **kwargs)
            value = result[0] if has_aux else result
        _check_number(value)
        again = cresset.is_grad_enabled() and reaches_others(value, own)
        found = _arranged(_gradients((value,), own, None, again), structures)
        value = value if again else value.detach()
        result = (value, result[1]) if has_aux else value
        return found[0] if isinstance(argnums, int) else found, result

    return both


def _own(args: tuple, places: tuple[int, ...]) -> tuple[list[Tensor], tuple, list]:
    """(leaves or views of what arguments hold, the arguments of these, their structures)."""
    own, given, structures = [], list(args), []
    for place in places:
        held, structure = tree_flatten(args[place])
        with cresset.enable_grad():
            held = [
                x.view_as(x) if x.requires_grad else x.detach().requires_grad_() for x in held
            ]
        own += held
        given[place] = tree_unflatten(held, structure)
        structures.append(structure)
    return own, tuple(given), structures


def _check_number(value: Any) -> None:
    if not isinstance(value, Tensor) or value.dim():
        found = f"shape {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
        raise RuntimeError(
            "grad: Expected f(*args) to return a scalar tensor, that is one of no dims; got "
            f"{found}; sum() it, or ask for jacrev"
        )


def _gradients(outputs, own, vectors, again) -> list[Tensor]:
    """The gradients by the own tensors; zeros where nothing depends on them."""
    pairs = [(o, v) for o, v in zip(outputs, vectors or [None] * len(outputs)) if o.requires_grad]
    if not pairs or not own:
        return [cresset.zeros_like(x) for x in own]
    given = None if vectors is None else [v for _, v in pairs]
    found = cresset.autograd.grad(
        [o for o, _ in pairs], own, given, create_graph=again, retain_graph=True,
        materialize_grads=True,
    )
    return list(found)


def _arranged(gradients: list[Tensor], structures: list) -> tuple:
    """Gradients in the containers that the arguments were."""
    remaining = iter(gradients)
    return tuple(
        tree_unflatten(islice(remaining, structure.num_leaves), structure)
        for structure in structures
    )


def reaches_others(value: Any, own: Iterable[Tensor]) -> bool:
    """Whether a tensor depends on other tensors that require gradients than those that are own.

    If not, nobody could differentiate its gradients further, and no graph of them is made.
    """
    known = {id(x) for x in own}
    pending, seen = [value.grad_fn], set()
    while pending:
        node = pending.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        leaf = getattr(node, "variable", None)
        if leaf is not None and id(leaf) not in known:
            return True
        pending += [following for following, _ in node.next_functions]
    return False


def vjp(func: Callable, *primals: Any, has_aux: bool = False) -> tuple:
    """(func(*primals), the function that maps v to v^T J for each of the primals).

    v is shaped as the result, and a tuple of several where the result is. With `has_aux`, `func`
    returns a pair, whose second part comes out as the third result.

    >>> value, pull = vjp(lambda x: x * x, cresset.tensor([1.0, 3.0]))
    >>> pull(cresset.ones(2))
    (tensor([2., 6.]),)
    """
    own, given, structures = _own(primals, tuple(range(len(primals))))
    with cresset.enable_grad():
        result = func(*given)
    result, aux = result if has_aux else (result, None)
    outputs, form = tree_flatten(result)
    again = cresset.is_grad_enabled() and any(reaches_others(o, own) for o in outputs)

    def pull(cotangents: Any) -> tuple:
        vectors, _ = tree_flatten(cotangents)
        further = again or any(v.requires_grad for v in vectors)
        return _arranged(_gradients(outputs, own, vectors, further), structures)

    shown = outputs if again else [o.detach() for o in outputs]
    result = tree_unflatten(shown, form)
    return (result, pull, aux) if has_aux else (result, pull)


def jvp(func: Callable, primals: tuple, tangents: tuple) -> tuple:
    """(func(*primals), J v) for v the tangents, each shaped as a primal.

    >>> jvp(lambda x: x * x, (cresset.tensor(3.0),), (cresset.tensor(1.0),))
    (tensor(9.), tensor(6.))
    """
    further = any(x.requires_grad for x in (*primals, *tangents))
    return cresset.autograd.functional.jvp(
        func, tuple(primals), tuple(tangents), create_graph=further
    )


def jacrev(func: Callable, argnums: int | tuple[int, ...] = 0) -> Callable:
    """The function that gives the Jacobian of `func`, row by row; shapes as in `jacobian`.

    >>> jacrev(lambda x: x * x)(cresset.tensor([1.0, 3.0]))
    tensor([[2., 0.],
            [0., 6.]])
    """
    return _jacobian(func, argnums, "reverse-mode")


def jacfwd(func: Callable, argnums: int | tuple[int, ...] = 0) -> Callable:
    """The function that gives the Jacobian of `func`, column by column where it can."""
    return _jacobian(func, argnums, "forward-mode")


def _jacobian(func: Callable, argnums: int | tuple[int, ...], strategy: str) -> Callable:
    @wraps(func)
    def jacobian(*args: Any, **kwargs: Any) -> Any:
        places = (argnums,) if isinstance(argnums, int) else tuple(argnums)

        def of_chosen(*chosen: Tensor) -> Any:
            given = list(args)
            for place, x in zip(places, chosen):
                given[place] = x
            return func(*given, **kwargs)

        further = cresset.is_grad_enabled() and any(args[k].requires_grad for k in places)
        how = "reverse-mode" if further else strategy
        chosen = args[places[0]] if isinstance(argnums, int) else tuple(args[k] for k in places)
        return cresset.autograd.functional.jacobian(
            of_chosen, chosen, create_graph=further, vectorize=how == "forward-mode", strategy=how
        )

    return jacobian


def hessian(func: Callable, argnums: int | tuple[int, ...] = 0) -> Callable:
    """The function that gives the Hessian of `func`: the Jacobian of its Jacobian.

    >>> hessian(lambda x: (x**3).sum())(cresset.tensor([1.0, 2.0]))
    tensor([[ 6.,  0.],
            [ 0., 12.]])
    """
    return jacfwd(jacrev(func, argnums), argnums)
