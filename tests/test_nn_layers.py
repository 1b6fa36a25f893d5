"""Layers and losses: same parameters, results, gradients and texts as PyTorch's, from one seed."""

import numpy
import pytest

import cresset
from cresset import nn
from cresset.ops.neural.recurrence import recurrence

random = numpy.random.default_rng(0)


def normal(*shape):
    return random.standard_normal(shape).astype(numpy.float32)


def even(*shape):
    return random.random(shape, dtype=numpy.float32)


def whole(high, *shape):
    return random.integers(0, high, shape)


IMAGE = normal(2, 4, 8, 8)
SIGNAL = normal(2, 4, 9)
VOLUME = normal(2, 4, 5, 6, 9)
SERIES = normal(5, 3, 4)
# Batches from which recurrences read their weights in panels.
MANY_SERIES = numpy.random.default_rng(1).standard_normal((3, 6, 4)).astype(numpy.float32)
SIGNS = numpy.array([1, -1, 1, -1], dtype=numpy.float32)

# name, positional arguments, keyword arguments, inputs
LAYERS = [
    ("Identity", (), {}, [SIGNAL]),
    ("Linear", (4, 3), {}, [SERIES]),
    ("Linear", (4, 3), {"bias": False}, [SERIES[0, 0]]),
    ("Bilinear", (3, 4, 5), {}, [normal(6, 2, 3), normal(6, 2, 4)]),
    ("Conv1d", (4, 6, 3), {"padding": "same", "groups": 2}, [SIGNAL]),
    ("Conv1d", (4, 6, 3, 2, 1), {"padding_mode": "reflect"}, [SIGNAL]),
    ("Conv2d", (4, 6, 3), {"padding": 1, "bias": False}, [IMAGE]),
    ("Conv2d", (4, 6, (3, 2)), {"padding": (1, 2), "stride": (2, 1)}, [IMAGE]),
    ("Conv2d", (4, 8, 3), {"dilation": (1, 2), "groups": 4}, [IMAGE]),
    ("Conv2d", (4, 6, 4), {"padding": "same", "padding_mode": "circular"}, [IMAGE]),
    ("Conv2d", (4, 6, 3), {"padding": "valid", "padding_mode": "replicate"}, [IMAGE]),
    ("Conv3d", (4, 6, 3), {"padding": 1, "groups": 2}, [VOLUME]),
    ("Conv3d", (4, 6, (1, 3, 2)), {"stride": (1, 2, 1), "padding_mode": "replicate"}, [VOLUME]),
    ("ConvTranspose1d", (4, 6, 4, 2, 1), {"groups": 2}, [SIGNAL]),
    ("ConvTranspose1d", (4, 6, 3), {"dilation": 2}, [SIGNAL[0]]),
    ("ConvTranspose2d", (4, 6, 3, 2, 1, 1), {"bias": False}, [IMAGE]),
    ("ConvTranspose2d", (4, 6, (2, 3)), {"padding": (0, 1), "groups": 2}, [IMAGE]),
    ("ConvTranspose3d", (4, 6, 3, 2), {"output_padding": (1, 0, 1)}, [VOLUME]),
    ("Unfold", (2,), {"padding": 1}, [IMAGE]),
    ("Fold", ((4, 5), (2, 3)), {}, [normal(2, 12, 9)]),
    ("MaxPool1d", (2,), {}, [SIGNAL]),
    ("MaxPool1d", (3, 2, 1), {"ceil_mode": True, "return_indices": True}, [SIGNAL]),
    ("MaxPool2d", (2,), {}, [IMAGE]),
    ("MaxPool2d", (3, 2, 1), {"return_indices": True}, [IMAGE]),
    ("MaxPool3d", (2,), {"return_indices": True}, [VOLUME]),
    ("MaxUnpool1d", (2,), {}, [SIGNAL, 9 * whole(2, 2, 4, 1) + numpy.arange(9)[::-1]]),
    ("MaxUnpool2d", (2, 3), {}, [IMAGE, numpy.tile(numpy.arange(64).reshape(8, 8), (2, 4, 1, 1))]),
    ("MaxUnpool3d", ((1, 2, 2),), {}, [VOLUME[0], numpy.arange(1080).reshape(4, 5, 6, 9)]),
    ("AvgPool1d", (3,), {"stride": 2, "padding": 1}, [SIGNAL]),
    ("AvgPool2d", (3, 2, 1), {"count_include_pad": False}, [IMAGE]),
    ("AvgPool3d", ((2, 3, 2),), {"divisor_override": 5}, [VOLUME]),
    ("LPPool1d", (3, 2), {}, [abs(SIGNAL)]),
    ("LPPool2d", (2, 3, 2), {"ceil_mode": True}, [IMAGE]),
    ("LPPool3d", (1.5, (1, 2, 3)), {}, [abs(VOLUME)]),
    ("AdaptiveAvgPool1d", (4,), {}, [SIGNAL]),
    ("AdaptiveAvgPool3d", ((2, None, 4),), {}, [VOLUME]),
    ("AdaptiveMaxPool1d", (4,), {"return_indices": True}, [SIGNAL]),
    ("AdaptiveMaxPool2d", ((None, 3),), {}, [IMAGE]),
    ("AdaptiveMaxPool3d", (2, True), {}, [VOLUME]),
    ("AdaptiveAvgPool2d", ((None, 3),), {}, [IMAGE]),
    ("AdaptiveAvgPool2d", (1,), {}, [IMAGE]),
    ("BatchNorm1d", (4,), {}, [normal(6, 4)]),
    ("BatchNorm1d", (4,), {"momentum": None}, [SIGNAL]),
    ("BatchNorm2d", (4,), {}, [IMAGE]),
    ("BatchNorm2d", (4,), {"affine": False}, [IMAGE]),
    ("BatchNorm2d", (4,), {"track_running_stats": False}, [IMAGE]),
    ("InstanceNorm1d", (4,), {"affine": True, "track_running_stats": True}, [SIGNAL]),
    ("BatchNorm3d", (4,), {}, [VOLUME]),
    ("InstanceNorm3d", (4,), {"affine": True}, [VOLUME]),
    ("LocalResponseNorm", (3,), {"alpha": 0.1, "k": 2.0}, [IMAGE]),
    ("LocalResponseNorm", (2,), {}, [SIGNAL]),
    ("InstanceNorm2d", (4,), {}, [IMAGE]),
    ("InstanceNorm2d", (4,), {"affine": True}, [IMAGE[0]]),
    ("LayerNorm", (4,), {}, [SERIES]),
    ("LayerNorm", ((3, 4),), {"bias": False}, [SERIES]),
    ("LayerNorm", (4,), {"elementwise_affine": False}, [SERIES]),
    ("RMSNorm", (4,), {}, [SERIES]),
    ("RMSNorm", ((3, 4), 1e-3), {}, [SERIES]),
    ("GroupNorm", (2, 4), {}, [IMAGE]),
    ("GroupNorm", (2, 4), {"affine": False}, [IMAGE]),
    ("Embedding", (7, 3), {"padding_idx": -1}, [whole(7, 4, 2)]),
    ("RNN", (4, 6), {}, [SERIES]),
    ("RNN", (4, 32), {"nonlinearity": "relu"}, [MANY_SERIES]),
    ("LSTM", (4, 32), {"bidirectional": True}, [MANY_SERIES]),
    ("LSTM", (4, 48), {"proj_size": 32}, [MANY_SERIES]),
    ("GRU", (4, 40), {"bidirectional": True}, [MANY_SERIES]),
    ("RNN", (4, 6, 2, "relu"), {"bidirectional": True, "bias": False}, [SERIES]),
    ("LSTM", (4, 6), {}, [SERIES]),
    ("LSTM", (4, 6, 2), {"bidirectional": True, "batch_first": True}, [SERIES]),
    ("LSTM", (4, 6, 2), {"proj_size": 3, "bidirectional": True}, [SERIES]),
    ("LSTM", (4, 6), {}, [SERIES[:, 0]]),
    ("LSTM", (4, 6), {}, [SERIES, (normal(1, 3, 6), normal(1, 3, 6))]),
    ("GRU", (4, 6), {}, [SERIES]),
    ("GRU", (4, 6, 2), {"bidirectional": True, "batch_first": True}, [SERIES, normal(4, 5, 6)]),
    ("GRU", (4, 6, 2), {"bias": False}, [SERIES[:, 0], normal(2, 6)]),
    ("RNNCell", (4, 6), {"nonlinearity": "relu", "bias": False}, [SERIES[0]]),
    ("LSTMCell", (4, 6), {}, [SERIES[0], (normal(3, 6), normal(3, 6))]),
    ("GRUCell", (4, 6), {}, [SERIES[0, 0], normal(6)]),
    ("MultiheadAttention", (4, 2), {}, [SERIES, SERIES * 2, SERIES * 3]),
    ("MultiheadAttention", (4, 2), {"add_bias_kv": True, "add_zero_attn": True}, [SERIES] * 3),
    (
        "MultiheadAttention",
        (8, 2),
        {"batch_first": True, "kdim": 4, "vdim": 6, "bias": False},
        [normal(3, 5, 8), normal(3, 7, 4), normal(3, 7, 6)],
    ),
    ("CosineSimilarity", (), {}, [normal(3, 4), normal(3, 4)]),
    ("PairwiseDistance", (), {"keepdim": True}, [normal(3, 4), normal(3, 4)]),
    ("Flatten", (), {}, [IMAGE]),
    ("Flatten", (0, 2), {}, [IMAGE]),
    ("Unflatten", (1, (2, -1)), {}, [IMAGE]),
    ("Upsample", (), {"scale_factor": 2}, [IMAGE]),
    ("Upsample", ((6, 9),), {"mode": "bilinear", "align_corners": True}, [IMAGE]),
    ("Upsample", (), {"scale_factor": (2, 1, 1.5), "mode": "trilinear"}, [VOLUME]),
    ("UpsamplingNearest2d", (11,), {}, [IMAGE]),
    ("UpsamplingBilinear2d", (None, 2), {}, [IMAGE]),
    ("PixelShuffle", (2,), {}, [IMAGE]),
    ("PixelUnshuffle", (2,), {}, [IMAGE]),
    ("ChannelShuffle", (2,), {}, [IMAGE]),
]

ACTIVATIONS = [
    *(
        (name, (), {}, [IMAGE])
        for name in (
            "CELU ELU GELU GLU Hardshrink Hardsigmoid Hardswish Hardtanh LeakyReLU LogSigmoid Mish "
            "PReLU ReLU ReLU6 SELU SiLU Sigmoid Softmax2d Softplus Softshrink Softsign Tanh "
            "Tanhshrink"
        ).split()
    ),
    ("GELU", ("tanh",), {}, [IMAGE]),
    ("PReLU", (4,), {}, [IMAGE]),
    ("Threshold", (0.1, 2.0), {}, [IMAGE]),
    *((name, (1,), {}, [IMAGE]) for name in ("Softmax", "LogSoftmax", "Softmin", "GLU")),
    *(
        (name, (), {"inplace": True}, [IMAGE])
        for name in "CELU ELU Hardswish Hardtanh LeakyReLU Mish ReLU ReLU6 SELU SiLU".split()
    ),
]

PADDINGS = [
    ("ConstantPad1d", (2, 3.0), {}, [SIGNAL]),
    ("ConstantPad2d", ((1, 2, -1, 3), 0.5), {}, [IMAGE]),
    ("ZeroPad1d", (1,), {}, [SIGNAL]),
    ("ZeroPad2d", (1,), {}, [IMAGE]),
    ("ReflectionPad1d", (1,), {}, [SIGNAL]),
    ("ReflectionPad2d", ((1, 2, 1, 0),), {}, [IMAGE]),
    ("ReplicationPad1d", (1,), {}, [SIGNAL]),
    ("ReplicationPad2d", (2,), {}, [IMAGE]),
    ("CircularPad1d", (1,), {}, [SIGNAL]),
    ("CircularPad2d", (1,), {}, [IMAGE]),
    ("ConstantPad3d", (1, 2.0), {}, [VOLUME]),
    ("ZeroPad3d", ((1, 2, 0, 1, -1, 1),), {}, [VOLUME]),
    ("ReflectionPad3d", (2,), {}, [VOLUME]),
    ("ReplicationPad3d", (1,), {}, [VOLUME]),
    ("CircularPad3d", (1,), {}, [VOLUME]),
]

X, Y, SHARES = normal(4, 5), normal(4, 5), even(4, 5)
LOGS = numpy.log(SHARES / SHARES.sum(1, keepdims=True))
CLASSES = whole(5, 4)


def losses(reduction):
    kept = {"reduction": reduction}
    return [
        ("L1Loss", (), kept, [X, Y]),
        ("MSELoss", (), kept, [X, Y]),
        ("SmoothL1Loss", (), {**kept, "beta": 0.5}, [X, Y]),
        ("HuberLoss", (), {**kept, "delta": 0.5}, [X, Y]),
        ("NLLLoss", (), {**kept, "ignore_index": 2}, [LOGS, CLASSES]),
        ("CrossEntropyLoss", (), kept, [X, CLASSES]),
        ("CrossEntropyLoss", (), {**kept, "label_smoothing": 0.1}, [X, CLASSES]),
        ("CrossEntropyLoss", (), kept, [X, SHARES]),
        ("BCELoss", (), kept, [SHARES, SHARES[::-1].copy()]),
        ("BCEWithLogitsLoss", (), kept, [X, SHARES]),
        ("KLDivLoss", (), kept, [LOGS, SHARES]),
        ("KLDivLoss", (), {**kept, "log_target": True}, [LOGS, LOGS[::-1].copy()]),
        ("PoissonNLLLoss", (), {**kept, "full": True}, [X, SHARES * 9]),
        ("PoissonNLLLoss", (False,), kept, [SHARES, SHARES]),
        ("GaussianNLLLoss", (), {"full": True, **kept}, [X, Y, SHARES * 1e-5]),
        ("GaussianNLLLoss", (), kept, [X, Y, SHARES[:, 0] + 0.5]),
        ("HingeEmbeddingLoss", (), kept, [X, numpy.sign(Y)]),
        ("MarginRankingLoss", (0.1,), kept, [X[:, 0].copy(), Y[:, 0].copy(), SIGNS]),
        ("CosineEmbeddingLoss", (0.1,), kept, [X, Y, SIGNS]),
        ("TripletMarginLoss", (), {**kept, "swap": True}, [X, Y, SHARES]),
    ]


LOSSES = [*losses("mean"), *losses("sum"), *losses("none")]
LOSSES.append(("KLDivLoss", (), {"reduction": "batchmean"}, [LOGS, SHARES]))


def tensors_in(result):
    """The tensors of a result, whatever it is nested in."""
    if result is None:
        return []
    if isinstance(result, (tuple, list)):
        return [tensor for entry in result for tensor in tensors_in(entry)]
    return [result]


def inputs_of(library, arrays, grad):
    """Arrays as tensors of one of the libraries, those of numbers learning."""
    if isinstance(arrays, numpy.ndarray):
        tensor = library.from_numpy(arrays.copy())
        return tensor.requires_grad_() if grad and tensor.is_floating_point() else tensor
    return type(arrays)(inputs_of(library, array, grad) for array in arrays)


def values(tensor):
    return tensor.detach().numpy()


def assert_close(ours, theirs, what):
    assert ours.dtype == theirs.dtype, what
    numpy.testing.assert_allclose(ours, theirs, rtol=2e-5, atol=5e-6, err_msg=what)


def run(library, name, args, kwargs, arrays, training):
    """A layer made from seed 3, its inputs, and the tensors of the second call's result."""
    library.manual_seed(3)
    layer = getattr(library.nn, name)(*args, **kwargs).train(training)
    inputs = inputs_of(library, arrays, grad=not kwargs.get("inplace"))
    for _ in range(2):
        library.manual_seed(4)
        outputs = tensors_in(layer(*inputs))
    learning = [output for output in outputs if output.requires_grad]
    if learning:
        # Weights of their own: what depends on an output magnifies its last bit.
        weights = [library.arange(o.numel()).reshape(o.shape).cos() for o in learning]
        sum((o * w).sum() for o, w in zip(learning, weights)).backward()
    return layer, tensors_in(inputs), outputs


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize(
    ("name", "args", "kwargs", "arrays"),
    [*LAYERS, *ACTIVATIONS, *PADDINGS, *LOSSES],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_as_pytorch(torch, name, args, kwargs, arrays, training):
    layer, inputs, outputs = run(cresset, name, args, kwargs, arrays, training)
    theirs, their_inputs, their_outputs = run(torch, name, args, kwargs, arrays, training)
    if name != "MultiheadAttention":
        assert repr(layer) == repr(theirs)
    state, their_state = layer.state_dict(), theirs.state_dict()
    assert list(state) == list(their_state)
    assert state._metadata == their_state._metadata
    for key in state:
        assert_close(values(state[key]), values(their_state[key]), key)
    assert len(outputs) == len(their_outputs)
    for output, their_output in zip(outputs, their_outputs):
        assert_close(values(output), values(their_output), "output")
    for (key, ours), (_, other) in zip(layer.named_parameters(), theirs.named_parameters()):
        assert (ours.grad is None) == (other.grad is None), key
        if ours.grad is not None:
            assert_close(values(ours.grad), values(other.grad), f"gradient of {key}")
    for ours, other in zip(inputs, their_inputs):
        assert_close(values(ours), values(other), "input afterwards")
        if other.grad is not None:
            assert_close(values(ours.grad), values(other.grad), "gradient of an input")


DROPOUTS = [
    ("Dropout", IMAGE),
    ("Dropout1d", SIGNAL),
    ("Dropout2d", IMAGE),
    ("AlphaDropout", IMAGE),
]


@pytest.mark.parametrize(("name", "array"), DROPOUTS)
def test_dropouts_draw_as_pytorch(torch, name, array):
    results = [
        values(run(library, name, (0.3,), {}, [array], True)[2][0]) for library in (cresset, torch)
    ]
    assert_close(*results, name)


def test_dropout():
    x = cresset.ones(100, 100)
    layer = nn.Dropout(0.25)
    kept = layer(x)
    assert sorted(set(kept.flatten().tolist())) == pytest.approx([0, 4 / 3])
    assert (kept == 0).sum().item() == pytest.approx(2500, abs=250)
    assert (layer.eval()(x) == x).all()
    channels = nn.Dropout2d(0.5)(cresset.ones(4, 8, 3, 3)).flatten(2)
    assert (channels.amin(2) == channels.amax(2)).all()
    with pytest.raises(ValueError, match="between 0 and 1"):
        nn.Dropout(1.5)


def test_linear_against_numpy():
    layer = nn.Linear(4, 3)
    expected = SERIES @ values(layer.weight).T + values(layer.bias)
    assert_close(values(layer(cresset.from_numpy(SERIES))), expected, "linear")
    bound = 1 / numpy.sqrt(4)
    assert abs(values(layer.weight)).max() <= bound
    assert abs(values(layer.bias)).max() <= bound


@pytest.mark.parametrize(
    "kind, options",
    [
        ("RNN", {"bidirectional": True}),
        ("LSTM", {}),
        ("LSTM", {"proj_size": 1}),
        ("GRU", {"bias": False}),
    ],
)
def test_gradients_of_recurrences_have_gradients(kind, options):
    """The scan over time is one entry in the graph, differentiable as often as one likes."""
    cresset.manual_seed(0)
    layer = getattr(nn, kind)(1, 2 + ("proj_size" in options), dtype=cresset.float64, **options)
    names, parameters = zip(*layer.named_parameters())
    x = cresset.randn(2, 1, 1, dtype=cresset.float64, requires_grad=True)

    def run(x, *values):
        layer._parameters.update(zip(names, values))
        output, state = layer(x)
        return output, *(state if isinstance(state, tuple) else (state,))

    values = [p.detach().requires_grad_() for p in parameters]
    assert cresset.autograd.gradcheck(run, (x, *values))
    assert cresset.autograd.gradgradcheck(run, (x, *values))


@pytest.mark.parametrize("changed, message", [
    ({"kind": "mgu"}, "there is no kind 'mgu'; need one of tanh, relu, lstm, gru"),
    ({"inputs": (0, 2, 8)}, r"got torch.float32 of shape \(0, 2, 8\)"),
    ({"inputs": (3, 2, 9)}, r"need floating numbers of \(time, batch, 4 \* hidden\)"),
    ({"weight": (8, 3)}, r"weight is .*\(8, 3\).*; need .*\(8, 2\)"),
    ({"bias": (8,)}, "bias is .*; need None"),
    ({"projection": (1, 2)}, r"weight is .*; need .*\(8, 1\)", ),
    ({"hidden": ()}, "hidden is "),
    ({"cell": None}, r"cell is None; need .*\(2, 2\)"),
    ({"kind": "gru", "inputs": (3, 2, 6), "weight": (6, 2)}, "cell is .*; need None"),
])
def test_recurrence_refuses_what_does_not_fit(changed, message):
    given = {"inputs": (3, 2, 8), "weight": (8, 2), "bias": None, "projection": None,
             "hidden": (2, 2), "cell": (2, 2), "kind": "lstm"} | changed
    if "projection" in changed:
        given["hidden"] = (2, 1)
    *shapes, kind = given.values()
    operands = [None if shape is None else cresset.zeros(shape) for shape in shapes]
    with pytest.raises(RuntimeError, match=message):
        recurrence(*operands, kind, False)


def test_lstm_against_numpy():
    layer = nn.LSTM(4, 6)
    w, u, b, c = (values(parameter) for parameter in layer.parameters())

    def sigmoid(x):
        return 1 / (1 + numpy.exp(-x))

    hidden = cell = numpy.zeros((3, 6), numpy.float32)
    outputs = []
    for x in SERIES:
        i, f, g, o = numpy.split(x @ w.T + b + hidden @ u.T + c, 4, 1)
        cell = sigmoid(f) * cell + sigmoid(i) * numpy.tanh(g)
        hidden = sigmoid(o) * numpy.tanh(cell)
        outputs.append(hidden)
    result, (last, memory) = layer(cresset.from_numpy(SERIES))
    assert_close(values(result), numpy.stack(outputs), "outputs")
    assert_close(values(last)[0], hidden, "hidden")
    assert_close(values(memory)[0], cell, "cell")


def test_batch_norm_against_numpy():
    layer = nn.BatchNorm2d(4)
    result = layer(cresset.from_numpy(IMAGE))
    mean = IMAGE.mean((0, 2, 3))
    variance = IMAGE.var((0, 2, 3))
    centred = IMAGE - mean[:, None, None]
    expected = centred / numpy.sqrt(variance + 1e-5)[:, None, None]
    assert_close(values(result), expected, "normalised")
    count = IMAGE.size // 4
    assert_close(values(layer.running_mean), 0.1 * mean, "mean")
    unbiased = variance * count / (count - 1)
    assert_close(values(layer.running_var), 0.9 + 0.1 * unbiased, "variance")
    assert layer.num_batches_tracked.item() == 1
    layer.eval()
    layer.reset_running_stats()
    fixed = IMAGE / numpy.sqrt(numpy.float32(1 + 1e-5))
    assert_close(values(layer(cresset.from_numpy(IMAGE))), fixed, "reset")


def test_attention_masks(torch):
    causal = numpy.triu(numpy.ones((5, 5), bool), 1)
    padding = numpy.array([[False] * 4 + [True], [False] * 5, [False] * 3 + [True] * 2])
    x = normal(3, 5, 4)
    for need_weights in (True, False):
        results = []
        for library in (cresset, torch):
            library.manual_seed(0)
            layer = library.nn.MultiheadAttention(4, 2, batch_first=True)
            inputs = [library.from_numpy(x)] * 3
            output, weights = layer(
                *inputs,
                key_padding_mask=library.from_numpy(padding),
                attn_mask=library.from_numpy(causal),
                need_weights=need_weights,
            )
            assert (weights is not None) == need_weights
            results.append(values(output))
        assert_close(*results, "attention")


@pytest.mark.parametrize("norm_first", [False, True])
def test_transformer(torch, norm_first):
    source, target = normal(3, 6, 8), normal(3, 5, 8)
    padding = numpy.array([[False] * 6, [False] * 4 + [True] * 2, [False] * 5 + [True]])
    results = []
    for library in (cresset, torch):
        library.manual_seed(0)
        model = library.nn.Transformer(
            8, 2, 2, 1, 16, 0.0, "gelu", batch_first=True, norm_first=norm_first
        )
        mask = model.generate_square_subsequent_mask(5)
        output = model(
            library.from_numpy(source),
            library.from_numpy(target),
            tgt_mask=mask,
            src_key_padding_mask=library.from_numpy(padding),
            tgt_is_causal=True,
        )
        output.sin().sum().backward()
        results.append((model, output))
    (ours, output), (theirs, expected) = results
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert_close(values(output), values(expected), "output")
    for (key, a), (_, b) in zip(ours.named_parameters(), theirs.named_parameters()):
        numpy.testing.assert_allclose(values(a.grad), values(b.grad), atol=1e-4, err_msg=key)


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: nn.Conv2d(3, 4, 3, groups=2), ValueError, "divisible by groups"),
        (lambda: nn.Conv2d(4, 4, 3, groups=0), ValueError, "positive"),
        (lambda: nn.Conv2d(4, 4, 3, padding="half"), ValueError, "Invalid padding"),
        (lambda: nn.Conv2d(4, 4, 3, 2, padding="same"), ValueError, "strided"),
        (lambda: nn.Conv2d(4, 4, 3, padding_mode="x"), ValueError, "padding_mode"),
        (lambda: nn.GroupNorm(3, 4), ValueError, "divisible by num_groups"),
        (lambda: nn.BatchNorm2d(4)(cresset.zeros(2, 4)), ValueError, "expected 4D input"),
        (lambda: nn.LSTM(4, 0), ValueError, "hidden_size must be greater than zero"),
        (lambda: nn.LSTM(4.0, 1), TypeError, "input_size should be of type int"),
        (lambda: nn.LSTM(4, 4, dropout=2), ValueError, "dropout should be a number"),
        (lambda: nn.LSTM(4, 4, proj_size=4), ValueError, "proj_size has to be smaller"),
        (lambda: nn.GRU(4, 4, proj_size=2), ValueError, "only supported for LSTM"),
        (lambda: nn.RNN(4, 4, 1, "sine"), ValueError, "Unknown nonlinearity"),
        (lambda: nn.LSTM(4, 6)(cresset.zeros(2, 3, 5)), RuntimeError, "Expected 4, got 5"),
        (lambda: nn.LSTM(4, 6)(cresset.zeros(4)), ValueError, "2D or 3D, got 1D"),
        (
            lambda: nn.GRU(4, 6)(cresset.zeros(2, 3, 4), cresset.zeros(1, 2, 6)),
            RuntimeError,
            r"Expected hidden size \(1, 3, 6\), got \[1, 2, 6\]",
        ),
        (lambda: nn.Embedding(3, 2, padding_idx=3), AssertionError, "padding_idx"),
        (lambda: nn.Unflatten(1, 4), TypeError, "tuple or list of ints"),
        (lambda: nn.MultiheadAttention(5, 2), AssertionError, "divisible by num_heads"),
        (lambda: nn.Bilinear(0, 1, 1), ValueError, "in1_features must be > 0"),
        (lambda: nn.Hardtanh(1, 0), AssertionError, "max_val"),
        (lambda: nn.functional.glu(cresset.zeros(3)), RuntimeError, "even"),
        (
            lambda: nn.SoftMarginLoss(reduction="x")(cresset.zeros(1), cresset.ones(1)),
            ValueError,
            "not a valid value for reduction",
        ),
    ],
)
def test_errors(make, error, text):
    with pytest.raises(error, match=text):
        make()


def test_old_flags_of_a_loss():
    x, y = cresset.from_numpy(X), cresset.from_numpy(Y)
    with pytest.warns(UserWarning, match="reduction"):
        loss = nn.MSELoss(size_average=False)
    assert loss(x, y).item() == pytest.approx(((X - Y) ** 2).sum(), rel=1e-5)


def test_softmax_without_dim():
    x = cresset.from_numpy(X)
    with pytest.warns(UserWarning, match="dim=X"):
        result = nn.functional.softmax(x)
    numpy.testing.assert_allclose(values(result).sum(1), 1, rtol=1e-5)


def test_gumbel_softmax():
    cresset.manual_seed(0)
    logits = cresset.zeros(6, 3, requires_grad=True)
    hard = nn.functional.gumbel_softmax(logits, hard=True)
    assert set(hard.flatten().tolist()) == {0.0, 1.0}
    assert hard.sum(1).tolist() == [1.0] * 6
    (hard * cresset.arange(3.0)).sum().backward()
    assert logits.grad.abs().sum().item() > 0


def test_embedding_from_pretrained():
    table = cresset.arange(6.0).view(3, 2)
    layer = nn.Embedding.from_pretrained(table)
    assert not layer.weight.requires_grad
    assert layer(cresset.tensor([2, 0])).tolist() == [[4.0, 5.0], [0.0, 1.0]]


INITIALISERS = [
    ("uniform_", (3, 4), {"a": -1, "b": 2}),
    ("normal_", (30, 4), {"mean": 1, "std": 2}),
    ("constant_", (3,), {"val": 2}),
    ("eye_", (3, 5), {}),
    ("dirac_", (6, 2, 3, 5), {"groups": 2}),
    ("xavier_uniform_", (4, 5), {"gain": 2.0}),
    ("xavier_normal_", (4, 5, 3), {}),
    ("kaiming_uniform_", (4, 5, 3, 3), {"a": 0.1}),
    ("kaiming_normal_", (4, 5), {"mode": "fan_out", "nonlinearity": "relu"}),
    ("sparse_", (8, 5), {"sparsity": 0.3}),
    ("orthogonal_", (4, 6), {"gain": 2}),
    ("orthogonal_", (6, 2, 2), {}),
    ("trunc_normal_", (50, 4), {}),
    ("trunc_normal_", (50, 4), {"a": 0.1, "b": 2.0}),
    ("trunc_normal_", (50, 4), {"a": 2.0, "b": 5.0}),
    ("trunc_normal_", (50, 4), {"std": 0.02}),
]


@pytest.mark.parametrize(("name", "shape", "kwargs"), INITIALISERS)
def test_initialisers_as_pytorch(torch, name, shape, kwargs):
    results = []
    for library in (cresset, torch):
        library.manual_seed(1)
        tensor = library.empty(shape, requires_grad=True)
        assert getattr(library.nn.init, name)(tensor, **kwargs) is tensor
        results.append(values(tensor))
    assert_close(*results, name)


def test_orthogonal():
    for shape in ((3, 5), (5, 3), (4, 2, 2)):
        matrix = values(nn.init.orthogonal_(cresset.empty(shape))).reshape(shape[0], -1)
        product = matrix @ matrix.T if matrix.shape[0] <= matrix.shape[1] else matrix.T @ matrix
        numpy.testing.assert_allclose(product, numpy.eye(len(product)), atol=1e-5)


def test_gains(torch):
    for name in ("linear", "conv2d", "sigmoid", "tanh", "relu", "leaky_relu", "selu"):
        assert nn.init.calculate_gain(name) == torch.nn.init.calculate_gain(name)
    assert nn.init.calculate_gain("leaky_relu", 2) == torch.nn.init.calculate_gain("leaky_relu", 2)
    with pytest.raises(ValueError, match="Unsupported nonlinearity"):
        nn.init.calculate_gain("cube")
    with pytest.raises(ValueError, match="fewer than 2 dimensions"):
        nn.init.xavier_uniform_(cresset.empty(3))
    with pytest.warns(FutureWarning, match="deprecated"):
        nn.init.uniform(cresset.empty(3))
