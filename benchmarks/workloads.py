"""The programs that are timed, each written once against PyTorch's API.

`WORKLOADS` maps a name to a `Workload`: the group it belongs to, and `make(torch, wrap)`, which
prepares the program on one library and returns the step to time. `wrap` is the identity, or the
library's `compile`. A step that returns a float has it printed, so that one can see that two
libraries compute the same thing from the same seed.

Groups: `small` (what calling an operation costs), `big` (what one large operation costs), `matmul`
and `conv` (contractions), `models` (a whole training step, a whole inference). Large operations say
how many bytes they have to read and write, and how many floating operations to do, so that their
time can be held against what the machine can do.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

from networks import gpt, lenet, mlp, resnet18, tagger


class Workload(NamedTuple):
    group: str
    make: Callable
    bytes: float = 0  # that a step moves at least
    flops: float = 0  # that a step does: a multiplication and an addition are two


WORKLOADS: dict[str, Workload] = {}


def workload(group):
    """Register a function `make(torch, wrap)` under its own name."""

    def register(make):
        WORKLOADS[make.__name__] = Workload(group, make)
        return make

    return register


def operation(group, name, prepare, call, times=1, bytes=0, flops=0):
    """Register one operation: `call(torch, *prepare(torch))`, called so many times a step."""

    def make(torch, wrap):
        arguments = prepare(torch)
        call_once = wrap(lambda: call(torch, *arguments))

        def step():
            with torch.no_grad():
                for _ in range(times):
                    call_once()

        return step

    WORKLOADS[name] = Workload(group, make, bytes, flops)


# --- small: what calling an operation costs, a hundred calls a step ------------------------------


def two_small_matrices(t):
    return t.randn(10, 10), t.randn(10, 10)


SMALL = {
    "add": lambda t, x, y: x + y,
    "mul_scalar": lambda t, x, y: x * 2.0,
    "broadcast": lambda t, x, y: x + y[0],
    "relu": lambda t, x, y: t.relu(x),
    "add_": lambda t, x, y: x.add_(y),
    "compare": lambda t, x, y: x > y,
    "where": lambda t, x, y: t.where(x > 0, x, y),
    "slice": lambda t, x, y: x[1:3],
    "transpose": lambda t, x, y: x.t(),
    "view": lambda t, x, y: x.view(100),
    "permute": lambda t, x, y: x.permute(1, 0),
    "item": lambda t, x, y: x[0, 0].item(),
    "sum": lambda t, x, y: x.sum(),
    "mean_dim": lambda t, x, y: x.mean(-1),
    "softmax": lambda t, x, y: x.softmax(-1),
    "matmul": lambda t, x, y: x @ y,
    "cat": lambda t, x, y: t.cat([x, y]),
    "clone": lambda t, x, y: x.clone(),
    "zeros": lambda t, x, y: t.zeros(10, 10),
    "argmax": lambda t, x, y: x.argmax(-1),
    "index_row": lambda t, x, y: x[2],
    "set_item": lambda t, x, y: x.__setitem__((slice(0, 2),), 1.0),
    "to_float64": lambda t, x, y: x.double(),
    "linear": lambda t, x, y: t.nn.functional.linear(x, y, x[0]),
    "layer_norm": lambda t, x, y: t.nn.functional.layer_norm(x, (10,)),
}

for name, call in SMALL.items():
    operation("small", f"small_{name}", two_small_matrices, call, times=100)


@workload("small")
def small_add_recorded(torch, wrap):
    """An addition that autograd records."""
    x = torch.randn(10, 10, requires_grad=True)
    y = torch.randn(10, 10)

    def step():
        for _ in range(100):
            x + y  # noqa: B018 (the result is of no interest)

    return step


@workload("small")
def small_backward_chain(torch, wrap):
    """Twenty multiplications, forward and backward."""
    x = torch.randn(10, 10, requires_grad=True)
    y = torch.randn(10, 10)

    def step():
        z = x
        for _ in range(20):
            z = z * y
        z.sum().backward()

    return step


# --- big: what one large operation costs ---------------------------------------------------------


def two_big_matrices(t):
    return t.randn(1024, 1024), t.randn(1024, 1024)


# How many matrices of 1024 x 1024 times four bytes the operations of a call read and write, and the
# call.
BIG = {
    "add": (3, lambda t, x, y: x + y),
    "mul_add": (6, lambda t, x, y: x * y + x),
    "exp": (2, lambda t, x, y: t.exp(x)),
    "tanh": (2, lambda t, x, y: t.tanh(x)),
    "sigmoid": (2, lambda t, x, y: t.sigmoid(x)),
    "sin": (2, lambda t, x, y: t.sin(x)),
    "log": (4, lambda t, x, y: t.log(x.abs())),
    "erf": (2, lambda t, x, y: t.erf(x)),
    "pow": (4, lambda t, x, y: x.abs() ** 1.5),
    "sqrt": (4, lambda t, x, y: x.abs().sqrt()),
    "gelu": (2, lambda t, x, y: t.nn.functional.gelu(x)),
    "silu": (2, lambda t, x, y: t.nn.functional.silu(x)),
    "sum": (1, lambda t, x, y: x.sum()),
    "sum_rows": (1, lambda t, x, y: x.sum(0)),
    "sum_columns": (1, lambda t, x, y: x.sum(1)),
    "max_dim": (1, lambda t, x, y: x.max(1)),
    "std": (1, lambda t, x, y: x.std()),
    "norm": (1, lambda t, x, y: x.norm()),
    "argmax": (1, lambda t, x, y: x.argmax(1)),
    "softmax": (2, lambda t, x, y: x.softmax(-1)),
    "softmax_columns": (2, lambda t, x, y: x.softmax(0)),
    "log_softmax": (2, lambda t, x, y: x.log_softmax(-1)),
    "layer_norm": (2, lambda t, x, y: t.nn.functional.layer_norm(x, (1024,))),
    "transpose_copy": (2, lambda t, x, y: x.t().contiguous()),
    "add_transposed": (3, lambda t, x, y: x + y.t()),
    "cast_int": (2, lambda t, x, y: x.to(t.int32)),
    "compare": (2.25, lambda t, x, y: x > y),
    "where": (4.5, lambda t, x, y: t.where(x > 0, x, y)),
    "cumsum": (2, lambda t, x, y: x.cumsum(1)),
    "sort": (4, lambda t, x, y: x.sort(1)),
    "topk": (1, lambda t, x, y: x.topk(10, 1)),
    "cat": (4, lambda t, x, y: t.cat([x, y], 1)),
    "gather_rows": (2 / 3, lambda t, x, y: x[t.arange(0, 1024, 3)]),
    "masked_fill": (3.5, lambda t, x, y: x.masked_fill(x > 0, 0.0)),
    "rand": (1, lambda t, x, y: t.rand(1024, 1024)),
    "randn": (1, lambda t, x, y: t.randn(1024, 1024)),
    "dropout": (2, lambda t, x, y: t.nn.functional.dropout(x, 0.5)),
}

for name, (matrices, call) in BIG.items():
    operation("big", f"big_{name}", two_big_matrices, call, bytes=matrices * 4 * 1024 * 1024)


# --- matmul: matrix products ---------------------------------------------------------------------

PRODUCTS = [  # rows, depth, columns
    (1, 768, 768),
    (1, 768, 50257),
    (8, 64, 64),
    (32, 256, 256),
    (64, 768, 3072),
    (128, 128, 128),
    (256, 384, 1536),
    (512, 512, 512),
    (1000, 1000, 1000),
    (1024, 1024, 1024),
    (2048, 2048, 2048),
    (4096, 64, 64),
    (64, 4096, 64),
    (7, 1333, 517),
]


def product(name, batch, m, k, n, prepare, call):
    """Register products of (m, k) with (k, n) matrices, `batch` of them."""
    operation(
        "matmul", name, prepare, call, bytes=4 * batch * (m * k + k * n + m * n),
        flops=2 * batch * m * k * n,
    )


for m, k, n in PRODUCTS:
    product(
        f"matmul_{m}x{k}x{n}", 1, m, k, n,
        lambda t, m=m, k=k, n=n: (t.randn(m, k), t.randn(k, n)),
        lambda t, x, y: x @ y,
    )

product(
    "matmul_nt_256x768x768", 1, 256, 768, 768,
    lambda t: (t.randn(256, 768), t.randn(768, 768)),
    lambda t, x, y: x @ y.t(),
)
product(
    "matmul_tn_768x256x768", 1, 768, 256, 768,
    lambda t: (t.randn(256, 768), t.randn(256, 768)),
    lambda t, x, y: x.t() @ y,
)
product(
    "bmm_96x256x64x256", 96, 256, 64, 256,
    lambda t: (t.randn(96, 256, 64), t.randn(96, 64, 256)),
    lambda t, x, y: x @ y,
)
product(
    "linear_gelu_256x768x3072", 1, 256, 768, 3072,
    lambda t: (t.randn(256, 768), t.randn(3072, 768), t.randn(3072)),
    lambda t, x, w, b: t.nn.functional.gelu(t.nn.functional.linear(x, w, b)),
)
operation(
    "matmul",
    "matmul_f64_512",
    lambda t: (t.randn(512, 512).double(), t.randn(512, 512).double()),
    lambda t, x, y: x @ y,
    flops=2 * 2 * 512**3,  # vectors hold half as many numbers
)
operation(
    "matmul",
    "attention_8x6x256x64_causal",
    lambda t: tuple(t.randn(8, 6, 256, 64) for _ in range(3)),
    lambda t, q, k, v: t.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True),
    flops=8 * 6 * 2 * 2 * 256 * 256 * 64 / 2,  # two products, of which half is masked
)


# --- conv: convolutions and what stands beside them ----------------------------------------------

CONVOLUTIONS = [  # images, channels, height and width, output channels, kernel, stride, groups
    (32, 3, 32, 64, 3, 1, 1),
    (32, 64, 32, 64, 3, 1, 1),
    (16, 128, 16, 128, 3, 1, 1),
    (1, 64, 56, 64, 3, 1, 1),
    (1, 3, 224, 64, 7, 2, 1),
    (8, 256, 14, 256, 1, 1, 1),
    (8, 96, 28, 96, 3, 1, 96),
]


OTHERS = [  # name, function, shapes of the input and the weight, options
    ("1d_16x64x1024_64k9", "conv1d", (16, 64, 1024), (64, 64, 9), {"padding": 4}),
    ("1d_8x256x512_k5_depthwise", "conv1d", (8, 256, 512), (256, 1, 5),
     {"padding": 2, "groups": 256}),
    ("3d_2x32x16_32k3", "conv3d", (2, 32, 16, 16, 16), (32, 32, 3, 3, 3), {"padding": 1}),
    ("8x64x32_64k3_dilated", "conv2d", (8, 64, 32, 32), (64, 64, 3, 3),
     {"padding": 2, "dilation": 2}),
    ("8x64x32_128k3s2", "conv2d", (8, 64, 32, 32), (128, 64, 3, 3), {"padding": 1, "stride": 2}),
    ("8x256x8_256k3", "conv2d", (8, 256, 8, 8), (256, 256, 3, 3), {"padding": 1}),
    ("transposed_16x64x16_32k4s2", "conv_transpose2d", (16, 64, 16, 16), (64, 32, 4, 4),
     {"padding": 1, "stride": 2}),
    ("transposed_8x64x32_32k2s2", "conv_transpose2d", (8, 64, 32, 32), (64, 32, 2, 2),
     {"stride": 2}),
]


def convolution(name, function, x_shape, w_shape, options):
    """Register a convolution and both its gradients."""
    transposed = "transpose" in function
    strides = options.get("stride", 1) ** (len(x_shape) - 2)
    places = math.prod(x_shape[2:])
    # Each place of the smaller side meets all of the weight.
    met = x_shape[0] * (places if transposed else places // strides)
    points = met * (strides * w_shape[1] if transposed else w_shape[0])
    costs = {
        "bytes": 4 * (math.prod(x_shape) + math.prod(w_shape) + points),
        "flops": 2 * met * math.prod(w_shape),
    }

    def operands(t):
        return t.randn(*x_shape), t.randn(*w_shape)

    def convolve(t, x, w):
        return getattr(t.nn.functional, function)(x, w, **options)

    def recorded(t, wanted):
        given = operands(t)
        given[wanted].requires_grad_()
        y = convolve(t, *given)
        return y, given[wanted], t.randn(*y.shape)

    def gradient(t, y, x, g):
        return t.autograd.grad(y, x, g, retain_graph=True)

    operation("conv", f"conv_{name}", operands, convolve, **costs)
    for wanted, word in enumerate(("input", "weight")):
        operation(
            "conv", f"conv_by_{word}_{name}", lambda t, k=wanted: recorded(t, k), gradient, **costs
        )


for images, channels, size, outputs, kernel, stride, groups in CONVOLUTIONS:
    convolution(
        f"{images}x{channels}x{size}_{outputs}k{kernel}s{stride}g{groups}", "conv2d",
        (images, channels, size, size), (outputs, channels // groups, kernel, kernel),
        # The padding keeps the size of the image.
        {"stride": stride, "padding": kernel // 2, "groups": groups},
    )
for row in OTHERS:
    convolution(*row)

IMAGES = 4 * 32 * 64 * 32 * 32  # bytes

operation(
    "conv",
    "max_pool_32x64x32",
    lambda t: (t.randn(32, 64, 32, 32),),
    lambda t, x: t.nn.functional.max_pool2d(x, 2),
    bytes=IMAGES * 5 / 4,
)
operation(
    "conv",
    "batch_norm_32x64x32",
    lambda t: (t.randn(32, 64, 32, 32), t.ones(64), t.zeros(64)),
    lambda t, x, w, b: t.nn.functional.batch_norm(x, None, None, w, b, training=True),
    bytes=IMAGES * 3,  # read for the statistics, read and written to be normalised
)


# --- models: one training step, one inference ----------------------------------------------------


def training(torch, wrap, optimizer, scores_of, labels):
    """A step: clear the gradients, compute the loss, go backward, update; returns the loss."""

    def train():
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(scores_of(), labels)
        loss.backward()
        optimizer.step()
        return loss

    train = wrap(train)
    return lambda: float(train())


def inference(torch, wrap, model, x):
    """A step: the model's answer to `x`, without autograd."""
    model.eval()
    answer = wrap(model)

    def step():
        with torch.no_grad():
            answer(x)

    return step


@workload("models")
def mlp_train(torch, wrap):
    model, x, y = mlp(torch), torch.randn(32, 64), torch.randint(0, 10, (32,))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    return training(torch, wrap, optimizer, lambda: model(x), y)


@workload("models")
def mlp_infer(torch, wrap):
    return inference(torch, wrap, mlp(torch), torch.randn(1, 64))


@workload("models")
def lenet_train(torch, wrap):
    model, x, y = lenet(torch), torch.randn(64, 1, 28, 28), torch.randint(0, 10, (64,))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    return training(torch, wrap, optimizer, lambda: model(x), y)


@workload("models")
def lenet_infer(torch, wrap):
    return inference(torch, wrap, lenet(torch), torch.randn(1, 1, 28, 28))


@workload("models")
def resnet18_train(torch, wrap):
    model, x, y = resnet18(torch), torch.randn(8, 3, 32, 32), torch.randint(0, 10, (8,))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    return training(torch, wrap, optimizer, lambda: model(x), y)


@workload("models")
def resnet18_infer(torch, wrap):
    return inference(torch, wrap, resnet18(torch), torch.randn(1, 3, 32, 32))


@workload("models")
def lstm_train(torch, wrap):
    model = tagger(torch)
    x, y = torch.randint(0, 1000, (16, 35)), torch.randint(0, 20, (16 * 35,))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    return training(torch, wrap, optimizer, lambda: model(x).reshape(-1, 20), y)


@workload("models")
def gpt_train(torch, wrap):
    model = gpt(torch)
    x, y = torch.randint(0, 65, (8, 128)), torch.randint(0, 65, (8 * 128,))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    return training(torch, wrap, optimizer, lambda: model(x).reshape(-1, 65), y)


@workload("models")
def gpt_infer(torch, wrap):
    return inference(torch, wrap, gpt(torch), torch.randint(0, 65, (1, 128)))


def readings(torch):
    """What a thermometer shows in degrees Celsius, and another in an unknown unit."""
    celsius = torch.tensor([0.5, 14.0, 15.0, 28.0, 11.0, 8.0, 3.0, -4.0, 6.0, 13.0, 21.0])
    unknown = torch.tensor([35.7, 55.9, 58.2, 81.9, 56.3, 48.9, 33.9, 21.8, 48.4, 60.4, 68.4])
    return celsius, unknown * 0.1


@workload("models")
def celsius_fit(torch, wrap):
    """A thermometer of unknown units: two scalars fitted by autograd, 100 updates."""
    t_c, t_u = readings(torch)

    def fit():
        params = torch.tensor([1.0, 0.0], requires_grad=True)
        optimizer = torch.optim.SGD([params], lr=1e-2)
        for _ in range(100):
            w, b = params
            loss = ((w * t_u + b - t_c) ** 2).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return float(loss)

    return fit


@workload("models")
def celsius_step(torch, wrap):
    """One update of such a fit, which can be compiled whole."""
    t_c, t_u = readings(torch)
    params = torch.tensor([1.0, 0.0], requires_grad=True)
    optimizer = torch.optim.SGD([params], lr=1e-2)

    def update():
        w, b = params
        loss = ((w * t_u + b - t_c) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    update = wrap(update)
    return lambda: float(update())


@workload("models")
def celsius_loop(torch, wrap):
    """The fit as a loop within one compiled function; in PyTorch the loop is Python's."""
    t_c, t_u = readings(torch)
    start = torch.tensor([1.0, 0.0])

    def update(params):
        params = params.detach().requires_grad_()
        w, b = params
        loss = ((w * t_u + b - t_c) ** 2).mean()
        (gradient,) = torch.autograd.grad(loss, params)
        return params.detach() - 1e-2 * gradient, loss.detach()

    if torch.__name__ == "torch":
        # Whose while_loop refuses functions that go backward.
        update = wrap(update)

        def loop():
            params = start
            for _ in range(100):
                params, loss = update(params)
            return float(loss)

        return loop

    @wrap
    def fit():
        return torch.while_loop(
            lambda n, params, loss: n < 100,
            lambda n, params, loss: (n + 1, *update(params)),
            (torch.tensor(0), start, torch.tensor(0.0)),
        )[2]

    return lambda: float(fit())
