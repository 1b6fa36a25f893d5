"""Tools over the parameters of a model: clipping gradients, flattening, padding sequences."""

from importlib import import_module

from cresset.core.missing import missing
from cresset.nn.utils import rnn
from cresset.nn.utils.clip_grad import clip_grad_norm_, clip_grad_value_, get_total_norm
from cresset.nn.utils.convert_parameters import parameters_to_vector, vector_to_parameters
from cresset.ops.arguments import guard

__all__ = [
    "clip_grad_norm_",
    "clip_grad_value_",
    "get_total_norm",
    "parameters_to_vector",
    "parametrizations",
    "parametrize",
    "remove_weight_norm",
    "rnn",
    "vector_to_parameters",
    "weight_norm",
]

_LATE = {
    "parametrizations": "",
    "parametrize": "",
    "remove_weight_norm": "weight_norm_hook",
    "weight_norm": "weight_norm_hook",
}
globals().update(guard(globals(), [name for name in __all__ if name not in _LATE]))


def __getattr__(name):
    # They are made of modules, which need the other tools.
    if name not in _LATE:
        raise missing("nn.utils", name, globals())
    found = import_module(f"cresset.nn.utils.{_LATE[name] or name}")
    return getattr(found, name) if _LATE[name] else found
