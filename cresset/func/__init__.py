"""Transforms of functions: derivatives as functions, maps over a batch, modules without state.

    >>> import cresset
    >>> from cresset.func import grad, vmap
    >>> vmap(grad(lambda x: x.sin()))(cresset.tensor([0.0, 1.0]))
    tensor([1.0000, 0.5403])

They work on the recorded graph as `autograd` does, and nest. Functions given to them are called
with tensors of their own and must return what depends on these alone.
"""

from cresset.core.missing import found_late
from cresset.func.derivatives import (
    grad,
    grad_and_value,
    hessian,
    jacfwd,
    jacrev,
    jvp,
    vjp,
)
from cresset.func.functional_call import functional_call, stack_module_state
from cresset.func.vmap import vmap

__all__ = ["functional_call", "grad", "grad_and_value", "hessian", "jacfwd", "jacrev", "jvp",
           "stack_module_state", "vjp", "vmap"]

__getattr__, __dir__ = found_late(globals())
