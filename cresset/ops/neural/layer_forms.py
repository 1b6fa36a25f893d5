"""Layers by the forms of PyTorch's top level, whose parameters are not those of nn.functional.

What is optional there has to be given here, in another order. `cudnn_enabled` chooses a library for
GPUs and says nothing here.
"""

from __future__ import annotations

from cresset.ops.neural import dropouts
from cresset.ops.neural.dropouts import rrelu, rrelu_
from cresset.ops.reductions import normalization

__all__ = ["alpha_dropout", "alpha_dropout_", "batch_norm", "dropout", "dropout_",
           "feature_alpha_dropout", "feature_alpha_dropout_", "feature_dropout",
           "feature_dropout_", "group_norm", "instance_norm", "layer_norm", "rrelu", "rrelu_"]


def batch_norm(input, weight, bias, running_mean, running_var, training, momentum, eps,
               cudnn_enabled):
    """`nn.functional.batch_norm`, with the weight and the bias before the running statistics.

    >>> import cresset
    >>> x, mean, var = cresset.tensor([[3.0]]), cresset.tensor([1.0]), cresset.tensor([4.0])
    >>> cresset.batch_norm(x, None, None, mean, var, False, 0.1, 0.0, False)
    tensor([[1.]])
    """
    return normalization.batch_norm(
        input, running_mean, running_var, weight, bias, training, momentum, eps
    )


def instance_norm(input, weight, bias, running_mean, running_var, use_input_stats, momentum, eps,
                  cudnn_enabled):
    """`nn.functional.instance_norm`, with the weight and the bias before the statistics."""
    return normalization.instance_norm(
        input, running_mean, running_var, weight, bias, use_input_stats, momentum, eps
    )


def group_norm(input, num_groups, weight=None, bias=None, eps=1e-5, cudnn_enabled=True):
    """`nn.functional.group_norm`."""
    return normalization.group_norm(input, num_groups, weight, bias, eps)


def layer_norm(input, normalized_shape, weight=None, bias=None, eps=1e-5, cudnn_enable=True):
    """`nn.functional.layer_norm`."""
    return normalization.layer_norm(input, normalized_shape, weight, bias, eps)


def _dropout(function, inplace):
    """A dropout that has to be told its probability and whether it trains.

    What is no probability is a RuntimeError here, as in PyTorch, and no ValueError.
    """
    def form(input, p, train):
        if not 0 <= p <= 1:
            raise RuntimeError(
                f"{function.__name__}: dropout probability has to be between 0 and 1, but got {p}"
            )
        return function(input, p, train, inplace)

    form.__name__ = form.__qualname__ = function.__name__ + "_" * inplace
    form.__doc__ = f"`{function.__name__}` with probability p if `train`" + (
        ", in place." if inplace else "."
    )
    return form


dropout = _dropout(dropouts.dropout, False)
dropout_ = _dropout(dropouts.dropout, True)
alpha_dropout = _dropout(dropouts.alpha_dropout, False)
alpha_dropout_ = _dropout(dropouts.alpha_dropout, True)
feature_dropout = _dropout(dropouts.feature_dropout, False)
feature_dropout_ = _dropout(dropouts.feature_dropout, True)
feature_alpha_dropout = _dropout(dropouts.feature_alpha_dropout, False)
feature_alpha_dropout_ = _dropout(dropouts.feature_alpha_dropout, True)
