"""Tools over the parameters of a model: clipping gradients, flattening, padding sequences."""

from cresset.core.missing import found_late
from cresset.nn.utils import rnn
from cresset.nn.utils.clip_grad import (
    clip_grad_norm,
    clip_grad_norm_,
    clip_grad_value_,
    get_total_norm,
)
from cresset.nn.utils.convert_parameters import parameters_to_vector, vector_to_parameters
from cresset.ops.arguments import guard

__all__ = [
    "clip_grad_norm",
    "clip_grad_norm_",
    "clip_grad_value_",
    "fuse_conv_bn_eval",
    "fuse_conv_bn_weights",
    "fuse_linear_bn_eval",
    "fuse_linear_bn_weights",
    "get_total_norm",
    "parameters_to_vector",
    "parametrizations",
    "parametrize",
    "remove_spectral_norm",
    "remove_weight_norm",
    "rnn",
    "skip_init",
    "spectral_norm",
    "vector_to_parameters",
    "weight_norm",
]

globals().update(guard(globals(), [name for name in __all__ if name in globals()]))
# These are made of modules, which need the other tools.
__getattr__, __dir__ = found_late(globals(), {
    "parametrizations": (),
    "parametrize": (),
    "fusion": ("fuse_conv_bn_eval", "fuse_conv_bn_weights", "fuse_linear_bn_eval",
               "fuse_linear_bn_weights"),
    "init": ("skip_init",),
    "spectral_norm_hook": ("remove_spectral_norm", "spectral_norm"),
    "weight_norm_hook": ("remove_weight_norm", "weight_norm"),
})
