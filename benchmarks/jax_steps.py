"""Some of the workloads for JAX, written as its users write them: one jitted function a step.

`STEPS` maps the name of a workload to `make()`, which prepares it and returns the step to time.
Sizes, losses, optimizers and initial values are those of `workloads.py`, so the first step returns
what it returns elsewhere. Every step is compiled whole (forward, loss, gradients, update), and is
given its state to overwrite. Images lie with their channels last, as XLA has them.

JAX is compared with, never needed: `pip install jax`, here or for the Python of `--python`.
"""

import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.nn import dot_product_attention, gelu, log_softmax, relu
from jax.tree import map as tree_map

STEPS = {}


def step(make):
    """Register a function `make()` under its own name."""
    STEPS[make.__name__] = make
    return make


class Seeded:
    """What PyTorch's default generator draws after `manual_seed(0)`.

    It is mt19937, as NumPy's legacy generator is. 24 bits of a word make a uniform number, and 16
    uniform numbers as many normal ones, of pairs eight apart (Box and Muller 1958).
    """

    def __init__(self):
        self.generator = np.random.RandomState(0)

    def words(self, *shape):
        return self.generator.randint(0, 1 << 32, shape, np.uint32)

    def integers(self, end, *shape):
        return (self.words(*shape) % end).astype(np.int32)

    def uniform(self, *shape):
        return (self.words(*shape) & 0xFFFFFF) * np.float32(2**-24)

    def normal(self, *shape):
        first, second = self.uniform(math.prod(shape) // 16, 2, 8).swapaxes(0, 1).astype(float)
        radius, angle = np.sqrt(-2 * np.log1p(-first)), 2 * np.pi * second
        found = np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1)
        return found.reshape(shape).astype(np.float32)

    def layer(self, outputs, *inputs, bias=True):
        """Weights and biases of so many sums over inputs of a shape, as layers draw them."""
        bound = np.float32(1 / math.sqrt(math.prod(inputs)))
        weights = (self.uniform(outputs, *inputs) * 2 - 1) * bound
        return (weights, (self.uniform(outputs) * 2 - 1) * bound) if bias else weights

    def linear(self, inputs, outputs):
        """A linear layer, whose weights are multiplied from the right."""
        weights, biases = self.layer(outputs, inputs)
        return weights.T, biases

    def conv(self, inputs, outputs, size):
        """A convolution over images with their channels last."""
        weights, biases = self.layer(outputs, inputs, size, size)
        return weights.transpose(2, 3, 1, 0), biases


# --- optimizers: the state, and the function that makes new parameters and a new state ------------


def sgd(rate, momentum):
    """Stochastic gradient descent with momentum."""

    def update(parameters, gradients, velocity):
        velocity = tree_map(lambda v, g: momentum * v + g, velocity, gradients)
        return tree_map(lambda p, v: p - rate * v, parameters, velocity), velocity

    return lambda parameters: tree_map(jnp.zeros_like, parameters), update


def adam(rate, decay=0.0, beta1=0.9, beta2=0.999, epsilon=1e-8):
    """Adam, with decoupled weight decay (AdamW) where one is given."""

    def prepare(parameters):
        zeros = tree_map(jnp.zeros_like, parameters)
        return jnp.array(0), zeros, tree_map(jnp.copy, zeros)

    def update(parameters, gradients, state):
        count, first, second = state
        count = count + 1
        first = tree_map(lambda m, g: beta1 * m + (1 - beta1) * g, first, gradients)
        second = tree_map(lambda v, g: beta2 * v + (1 - beta2) * g * g, second, gradients)

        def updated(p, m, v):
            root = jnp.sqrt(v / (1 - beta2**count)) + epsilon
            return p * (1 - rate * decay) - rate / (1 - beta1**count) * m / root

        return tree_map(updated, parameters, first, second), (count, first, second)

    return prepare, update


def training(model, parameters, x, labels, optimizer):
    """A step: the loss, its gradients, the update; returns the loss."""
    prepare, update = optimizer

    def loss_of(parameters, x, labels):
        scores = log_softmax(model(parameters, x))
        return -jnp.take_along_axis(scores, labels[:, None], 1).mean()

    @partial(jax.jit, donate_argnums=0)
    def train(state, x, labels):
        parameters, own = state
        loss, gradients = jax.value_and_grad(loss_of)(parameters, x, labels)
        return loss, update(parameters, gradients, own)

    parameters, x, labels = tree_map(jnp.array, (parameters, x, labels))
    state = parameters, prepare(parameters)

    def step():
        nonlocal state
        loss, state = train(state, x, labels)
        return float(loss)

    return step


# --- the steps ------------------------------------------------------------------------------------


def perceptron(layers, x):
    """Linear layers with ReLU between them."""
    for weights, biases in layers[:-1]:
        x = relu(x @ weights + biases)
    weights, biases = layers[-1]
    return x @ weights + biases


@step
def mlp_train():
    seeded = Seeded()
    layers = [seeded.linear(64, outputs) for outputs in (64, 64, 10)]
    x, y = seeded.normal(32, 64), seeded.integers(10, 32)
    return training(perceptron, layers, x, y, adam(1e-3))


@step
def lenet_train():
    seeded = Seeded()
    convolutions = [seeded.conv(1, 32, 3), seeded.conv(32, 64, 3)]
    layers = [seeded.linear(64 * 49, 128), seeded.linear(128, 10)]
    # PyTorch flattens channel by channel.
    weights, biases = layers[0]
    layers[0] = weights.reshape(64, 49, 128).swapaxes(0, 1).reshape(49 * 64, 128), biases
    x, y = seeded.normal(64, 1, 28, 28).reshape(64, 28, 28, 1), seeded.integers(10, 64)

    def lenet(parameters, x):
        convolutions, layers = parameters
        for weights, biases in convolutions:
            x = relu(lax.conv_general_dilated(
                x, weights, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
            ) + biases)
            images, rows, columns, channels = x.shape
            # By reduce_window a step takes twice as long, by its gradient.
            x = x.reshape(images, rows // 2, 2, columns // 2, 2, channels).max((2, 4))
        return perceptron(layers, x.reshape(len(x), -1))

    return training(lenet, (convolutions, layers), x, y, sgd(0.01, 0.9))


@step
def gpt_train(vocabulary=65, width=128, heads=4, depth=4, context=128):
    seeded = Seeded()

    def norm():
        return np.ones(width, np.float32), np.zeros(width, np.float32)

    def block():
        return {
            "ln1": norm(),
            "ln2": norm(),
            "qkv": seeded.linear(width, 3 * width),
            "out": seeded.linear(width, width),
            "up": seeded.linear(width, 4 * width),
            "down": seeded.linear(4 * width, width),
        }

    parameters = {
        "token": seeded.normal(vocabulary, width),
        "place": seeded.normal(context, width),
        "blocks": [block() for _ in range(depth)],
        "norm": norm(),
        "head": seeded.layer(vocabulary, width, bias=False).T,
    }
    ids, y = seeded.integers(vocabulary, 8, context), seeded.integers(vocabulary, 8 * context)

    def normed(layer, x):
        centered = x - x.mean(-1, keepdims=True)
        return centered * lax.rsqrt(x.var(-1, keepdims=True) + 1e-5) * layer[0] + layer[1]

    def linear(layer, x):
        return x @ layer[0] + layer[1]

    def attend(block, x):
        b, t, c = x.shape
        q, k, v = (part.reshape(b, t, heads, c // heads)
                   for part in jnp.split(linear(block["qkv"], x), 3, axis=-1))
        return linear(block["out"], dot_product_attention(q, k, v, is_causal=True).reshape(b, t, c))

    def gpt(parameters, ids):
        x = parameters["token"][ids] + parameters["place"][: ids.shape[1]]
        for block in parameters["blocks"]:
            x = x + attend(block, normed(block["ln1"], x))
            hidden = gelu(linear(block["up"], normed(block["ln2"], x)), approximate=False)
            x = x + linear(block["down"], hidden)
        return (normed(parameters["norm"], x) @ parameters["head"]).reshape(-1, vocabulary)

    return training(gpt, parameters, ids, y, adam(1e-3, decay=0.01))


CELSIUS = np.array([0.5, 14.0, 15.0, 28.0, 11.0, 8.0, 3.0, -4.0, 6.0, 13.0, 21.0], np.float32)
UNKNOWN = np.array([35.7, 55.9, 58.2, 81.9, 56.3, 48.9, 33.9, 21.8, 48.4, 60.4, 68.4], np.float32)


def celsius_update(parameters, t_u, t_c):
    """One update of a thermometer's two scalars, and the loss before it."""

    def loss_of(parameters):
        w, b = parameters
        return ((w * t_u + b - t_c) ** 2).mean()

    loss, gradients = jax.value_and_grad(loss_of)(parameters)
    return parameters - 1e-2 * gradients, loss


@step
def celsius_loop():
    """A hundred updates, as a loop within the compiled function."""
    t_u, t_c = jnp.array(UNKNOWN * np.float32(0.1)), jnp.array(CELSIUS)

    @jax.jit
    def fit(t_u, t_c):
        start = jnp.array([1.0, 0.0]), jnp.array(0.0)
        return lax.fori_loop(0, 100, lambda _, state: celsius_update(state[0], t_u, t_c), start)[1]

    return lambda: float(fit(t_u, t_c))


# Whose loop could be no other.
STEPS["celsius_fit"] = celsius_loop


@step
def celsius_step():
    """One update."""
    t_u, t_c = jnp.array(UNKNOWN * np.float32(0.1)), jnp.array(CELSIUS)
    parameters = jnp.array([1.0, 0.0])
    update = jax.jit(celsius_update, donate_argnums=0)

    def step():
        nonlocal parameters
        parameters, loss = update(parameters, t_u, t_c)
        return float(loss)

    return step
