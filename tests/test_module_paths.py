"""Layers are found in the files in which PyTorch has them: programs import them from there."""

from importlib import import_module

import pytest

from cresset import nn
from cresset.nn.modules.utils import (
    _list_with_default,
    _pair,
    _quadruple,
    _reverse_repeat_tuple,
    _single,
    _triple,
    consume_prefix_in_state_dict_if_present,
)

PATHS = {
    "activation": ("GELU", "MultiheadAttention", "ReLU"),
    "batchnorm": ("BatchNorm2d", "_BatchNorm", "_NormBase"),
    "channelshuffle": ("ChannelShuffle",),
    "container": ("ModuleList", "Sequential"),
    "conv": ("Conv1d", "Conv2d", "ConvTranspose2d", "_ConvNd", "_ConvTransposeNd"),
    "distance": ("CosineSimilarity",),
    "dropout": ("Dropout",),
    "instancenorm": ("InstanceNorm2d", "_InstanceNorm"),
    "linear": ("Identity", "Linear"),
    "loss": ("CrossEntropyLoss",),
    "module": ("Module",),
    "normalization": ("LayerNorm",),
    "padding": ("ZeroPad2d",),
    "pixelshuffle": ("PixelShuffle",),
    "pooling": ("MaxPool2d",),
    "rnn": ("LSTM", "LSTMCell", "RNNBase"),
    "sparse": ("Embedding",),
    "transformer": ("TransformerEncoderLayer",),
    "upsampling": ("Upsample",),
}


@pytest.mark.parametrize("file", PATHS)
def test_layers_are_where_pytorch_has_them(file):
    module = import_module(f"cresset.nn.modules.{file}")
    for name in PATHS[file]:
        found = getattr(module, name)
        assert found.__name__ == name and getattr(nn, name, found) is found


@pytest.mark.parametrize("file", PATHS)
def test_the_paths_are_those_of_pytorch(file, torch):
    module = import_module(f"torch.nn.modules.{file}")
    assert all(getattr(module, name).__module__ == module.__name__ for name in PATHS[file])


def test_transposed_convolutions_are_convolutions():
    from cresset.nn.modules.conv import _ConvNd

    assert isinstance(nn.ConvTranspose2d(1, 1, 1), _ConvNd)


def test_tuples():
    assert _single(2) == (2,) and _pair(2) == (2, 2) and _pair([1, 2]) == (1, 2)
    assert _triple("abc") == ("a", "b", "c") and _quadruple(None) == (None,) * 4
    assert _reverse_repeat_tuple((1, 2, 3), 2) == (3, 3, 2, 2, 1, 1)
    assert _list_with_default(5, [1]) == 5 and _list_with_default([None, 3], [1, 7, 8]) == [7, 3]
    with pytest.raises(ValueError, match="at least 3"):
        _list_with_default([1, None], [1, 2])


def test_a_prefix_is_taken_off_names_and_metadata():
    state = nn.DataParallel(nn.Sequential(nn.Linear(2, 1))).state_dict()
    assert [*state._metadata] == ["", "module", "module.0"]
    consume_prefix_in_state_dict_if_present(state, "module.")
    assert [*state] == ["0.weight", "0.bias"] and [*state._metadata] == ["", "0"]
