"""Gradient checks: analytic gradients against central differences."""

from __future__ import annotations

from cresset.autograd.engine import grad
from cresset.autograd.mode import enable_grad, no_grad
from cresset.core.tensor import Tensor
from cresset.ops.pointwise.complex_numbers import complex, view_as_real


class GradcheckError(RuntimeError):
    """An analytic gradient differs from the numerical one."""


def _tensors(result):
    found = result if isinstance(result, (tuple, list)) else (result,)
    return [o for o in found if isinstance(o, Tensor) and o.dtype.is_differentiable]


def _coordinates(x):
    """The elements as a vector of real numbers, two for a complex one, over the same memory."""
    return (view_as_real(x) if x.dtype.is_complex else x).view(-1)


def gradcheck(func, inputs, *, eps=1e-6, atol=1e-5, rtol=1e-3, raise_exception=True,
              nondet_tol=0.0, check_undefined_grad=True, check_batched_grad=False, fast_mode=False):
    """Whether func's gradients agree with central differences of step `eps`.

    `inputs` are float64 or complex128 tensors, of which those that require gradients are checked,
    each output element against each input element. A complex element counts as its two parts.

    Raises GradcheckError naming input, output and both values, or returns False without
    `raise_exception`.

    >>> import cresset
    >>> x = cresset.tensor([0.3, 1.2], dtype=cresset.float64, requires_grad=True)
    >>> cresset.autograd.gradcheck(cresset.sin, (x,))
    True
    """
    inputs = (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)
    checked = [k for k, x in enumerate(inputs) if isinstance(x, Tensor) and x.requires_grad]
    if not checked:
        raise ValueError("gradcheck: expects at least one input tensor to require gradient")
    outputs = _tensors(func(*inputs))
    for number, output in enumerate(outputs):
        if not output.requires_grad:
            continue
        analytic = _analytic(output, [inputs[k] for k in checked])
        for k, table in zip(checked, analytic):
            numeric = _numeric(func, inputs, k, number, eps)
            for i, (row, expected) in enumerate(zip(table, numeric)):
                for j, (a, n) in enumerate(zip(row, expected)):
                    if not abs(a - n) <= atol + rtol * abs(n):
                        if not raise_exception:
                            return False
                        raise GradcheckError(
                            f"gradcheck: Jacobian mismatch for output {number} with respect to "
                            f"input {k}: d output[{j}] / d input[{i}] is {n} numerically, "
                            f"{a} analytically"
                        )
    return True


def _analytic(output, inputs):
    """For every input the table [input coordinate][output coordinate]."""
    tables: list = [[[] for _ in range(x.numel() * (1 + x.dtype.is_complex))] for x in inputs]
    flat = output.detach().clone().contiguous().zero_()
    for j in range(_coordinates(flat).numel()):
        flat.zero_()
        _coordinates(flat)[j] = 1.0
        found = grad(output, inputs, flat.clone(), retain_graph=True, allow_unused=True)
        for table, g in zip(tables, found):
            values = [0.0] * len(table) if g is None else _coordinates(g.contiguous()).tolist()
            for row, value in zip(table, values):
                row.append(value)
    return tables


def _numeric(func, inputs, k, number, eps):
    rows = []
    with no_grad():
        x = inputs[k].detach().clone().contiguous()
        flat = _coordinates(x)
        held = flat.tolist()
        for i, value in enumerate(held):
            sides = []
            for step in (eps, -eps):
                flat[i] = value + step
                moved = [x if j == k else y for j, y in enumerate(inputs)]
                sides.append(_coordinates(_tensors(func(*moved))[number].contiguous()).tolist())
            flat[i] = value
            rows.append([(a - b) / (2 * eps) for a, b in zip(*sides)])
    return rows


def gradgradcheck(func, inputs, grad_outputs=None, *, eps=1e-6, atol=1e-5, rtol=1e-3,
                  gen_non_contig_grad_outputs=False, raise_exception=True, nondet_tol=0.0,
                  check_undefined_grad=True, check_grad_dtypes=False):
    """gradcheck of the gradient of `func`, as a function of its inputs and output gradients."""
    inputs = (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)
    outputs = [o for o in _tensors(func(*inputs)) if o.requires_grad]
    if grad_outputs is None:
        grad_outputs = [_varied(o).requires_grad_() for o in outputs]
    grad_outputs = list(grad_outputs)
    wanted = [k for k, x in enumerate(inputs) if isinstance(x, Tensor) and x.requires_grad]

    def first(*args):
        given, gradients = list(args[: len(inputs)]), args[len(inputs):]
        for k in wanted:
            if not given[k].requires_grad:
                given[k] = given[k].detach().requires_grad_()
        with enable_grad():
            made = [o for o in _tensors(func(*given)) if o.requires_grad]
            found = grad(made, [given[k] for k in wanted], gradients, create_graph=True,
                         allow_unused=True, materialize_grads=True)
        return tuple(found)

    return gradcheck(first, (*inputs, *grad_outputs), eps=eps, atol=atol, rtol=rtol,
                     raise_exception=raise_exception)


def _varied(o):
    """A fixed gradient with different elements, so that mistakes do not cancel."""
    from cresset.ops.creation.counted import arange

    places = arange(o.numel(), dtype=o.dtype.to_real()) * 0.37
    varied = places.sin().add(1.1)
    if o.dtype.is_complex:
        varied = complex(varied, places.cos())
    return varied.view(o.shape).detach()
