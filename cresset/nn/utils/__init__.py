"""Tools over the parameters of a model: clipping gradients, flattening, padding sequences."""

from cresset.nn.utils import rnn
from cresset.nn.utils.clip_grad import clip_grad_norm_, clip_grad_value_, get_total_norm
from cresset.nn.utils.convert_parameters import parameters_to_vector, vector_to_parameters
from cresset.ops.arguments import guard

__all__ = [
    "clip_grad_norm_",
    "clip_grad_value_",
    "get_total_norm",
    "parameters_to_vector",
    "rnn",
    "vector_to_parameters",
]

globals().update(guard(globals(), __all__))
