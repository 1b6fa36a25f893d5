"""Random numbers: the stream of PyTorch's CPU generator."""

from __future__ import annotations

import math

from cresset.core import dtype as types
from cresset.core.device import placed
from cresset.core.generator import Generator, default_generator
from cresset.core.layout import Layout
from cresset.core.tensor import Number, Tensor
from cresset.kernels import random as kernels
from cresset.ops import dispatch, meta
from cresset.ops.complex_numbers import view_as_real
from cresset.ops.creation import _finish, _shape, empty, empty_like
from cresset.ops.kinds import elementwise
from cresset.ops.kinds.promotion import computed
from cresset.ops.operation import called
from cresset.runtime.program import Program

__all__ = ["bernoulli", "dropout", "get_rng_state", "initial_seed", "manual_seed", "multinomial",
           "normal", "rand", "rand_like", "randint", "randint_like", "randn", "randn_like",
           "randperm", "seed", "set_rng_state"]

# name: (the kernel schedule, the letters of its numbers)
FILLS = {
    "uniform": (kernels.fill_uniform, "dd"),
    "normal": (kernels.fill_normal, "dd"),
    "integers": (kernels.fill_integers, "ii"),
    "bernoulli": (kernels.fill_bernoulli, "d"),
    "permutation": (kernels.permutation, ""),
}


def _fill(name: str, x: Tensor, *numbers, generator: Generator | None = None, words=None) -> Tensor:
    """Overwrite a new tensor with random numbers, of a complex one both parts."""
    if x.layout.device == "meta":
        return x
    if x.layout.dtype.is_complex:
        if name == "normal":
            # The deviation of a complex number is that of both parts together.
            numbers = numbers[0], numbers[1] / math.sqrt(2)
        _fill(name, view_as_real(x), *numbers, generator=generator, words=words)
        return x
    key = ("random", name, x.layout, words)
    launch = dispatch.plans.get(key)
    if launch is None:
        schedule, letters = FILLS[name]
        # The value table: the tensor, the generator's state, the numbers.
        places = (1, *range(2, 2 + len(letters)), 0)
        extra = {} if words is None else {"words": words}
        launches, temporaries = schedule(x.layout, places, 2 + len(letters), **extra)
        program = Program("wi" + letters, (), tuple(launches), tuple(temporaries))
        launch = dispatch.remember(key, dispatch.make_launcher(program))
    return launch(x, (generator or default_generator).address, *numbers)


def _write(name, x, *numbers, generator=None, words=None):
    """A random fill in place; the graph sees x replaced by a constant."""
    if x.history is not None or x.base is not None:
        from cresset.ops.conversion import fill

        fill.in_place(x, 0)
    _fill(name, x, *numbers, generator=generator, words=words)
    return x


def _new(operation, size, dtype, device):
    d = computed(operation, dtype or types.get_default_dtype())
    if not d.is_differentiable:
        raise RuntimeError(f"{operation}: needs a floating or complex type; got {d}")
    return meta.new(Layout.packed(_shape(operation, size), d, placed(operation, device)))


def _floating_like(operation, x, dtype):
    """An uninitialised tensor in the shape and order of x, of a floating type."""
    d = dtype or x.layout.dtype
    if not d.is_differentiable:
        raise RuntimeError(f"{operation}: needs a floating or complex type; got {d}")
    return empty_like(x, dtype=d)


def manual_seed(seed) -> Generator:
    """Seed the default generator; the same seed gives the same numbers as in PyTorch.

    >>> import cresset
    >>> _ = cresset.manual_seed(0)
    >>> cresset.rand(2)
    tensor([0.4963, 0.7682])
    """
    return default_generator.manual_seed(int(seed))


def seed() -> int:
    """Seed the default generator from the system; returns the seed."""
    return default_generator.seed()


def initial_seed() -> int:
    """The seed that the default generator started from."""
    return default_generator.initial_seed()


def get_rng_state() -> Tensor:
    """The state of the default generator as bytes, in PyTorch's form."""
    from cresset.ops.creation import tensor

    return tensor(list(default_generator.get_state()), dtype=types.uint8)


def set_rng_state(state) -> None:
    """Give the default generator a state that `get_rng_state` gave, here or in PyTorch."""
    default_generator.set_state(bytes(state.tolist()))


def rand(*size, generator=None, out=None, dtype=None, layout=None, device=None,
         requires_grad=False, pin_memory=False):
    """Uniform numbers in [0, 1)."""
    x = _fill("uniform", _new("rand", size, dtype, device), 0.0, 1.0, generator=generator)
    return _finish("rand", x, requires_grad, None, out)


def randn(*size, generator=None, out=None, dtype=None, layout=None, device=None,
          requires_grad=False, pin_memory=False):
    """Normal numbers of mean 0 and standard deviation 1."""
    x = _fill("normal", _new("randn", size, dtype, device), 0.0, 1.0, generator=generator)
    return _finish("randn", x, requires_grad, None, out)


def randint(low, high=None, size=None, *, generator=None, out=None, dtype=None, layout=None,
            device=None, requires_grad=False):
    """Whole numbers, uniform in [low, high); `randint(high, size)` starts from 0."""
    if size is None:
        low, high, size = 0, low, high
    elif high is None:
        low, high = 0, low
    x = empty(size, dtype=dtype or types.int64, device=device)
    x = _fill("integers", x, low, _span("randint", low, high), generator=generator)
    return _finish("randint", x, requires_grad, None, out)


def _span(operation, low, high):
    """How many whole numbers there are in [low, high)."""
    if low >= high:
        raise RuntimeError(f"{operation}: expects from to be less than to, but got from={low} >= "
                           f"to={high}")
    return high - low


def randperm(n, *, generator=None, out=None, dtype=None, layout=None, device=None,
             requires_grad=False):
    """The numbers 0 .. n - 1 in random order."""
    if n < 0:
        raise RuntimeError(f"randperm: n must be non-negative; got {n}")
    x = empty(n, dtype=dtype or types.int64, device=device)
    x = _fill("permutation", x, generator=generator)
    return _finish("randperm", x, requires_grad, None, out)


def rand_like(x, *, dtype=None, requires_grad=False, device=None, generator=None):
    """rand in x's shape and type."""
    made = _fill("uniform", _floating_like("rand_like", x, dtype), 0.0, 1.0, generator=generator)
    return _finish("rand_like", made, requires_grad, device)


def randn_like(x, *, dtype=None, requires_grad=False, device=None, generator=None):
    """randn in x's shape and type."""
    made = _fill("normal", _floating_like("randn_like", x, dtype), 0.0, 1.0, generator=generator)
    return _finish("randn_like", made, requires_grad, device)


def randint_like(x, low, high=None, *, dtype=None, requires_grad=False, device=None):
    """randint in x's shape and type."""
    low, high = (0, low) if high is None else (low, high)
    made = _fill("integers", empty_like(x, dtype=dtype), low, _span("randint_like", low, high))
    return _finish("randint_like", made, requires_grad, device)


def normal(mean, std=1.0, size=None, *, generator=None, out=None):
    """Normal numbers of given means and standard deviations, numbers or tensors."""
    if isinstance(mean, Tensor) or isinstance(std, Tensor):
        shaped = mean + std * 0
        made = randn(tuple(shaped.layout.shape), generator=generator) * std + mean
    else:
        made = _fill("normal", empty(size), float(mean), float(std), generator=generator)
    return _finish("normal", made, False, out=out)


def _uniform_(x, a=0, b=1, *, generator=None):
    """Overwrite with uniform numbers in [a, b)."""
    if a > b:
        raise RuntimeError(f"uniform_: expects to return a [from, to) range, but found from={a} > "
                           f"to={b}")
    return _write("uniform", x, float(a), float(b), generator=generator)


def _normal_(x, mean=0, std=1, *, generator=None):
    """Overwrite with normal numbers."""
    if std < 0:
        raise RuntimeError(f"normal_: expects std >= 0.0, but found std {std}")
    return _write("normal", x, float(mean), float(std), generator=generator)


def _random_(x, low=None, high=None, *, generator=None):
    """Overwrite with whole numbers of [low, high); without bounds, of all the type holds."""
    d = x.layout.dtype
    if low is None:
        span, words = _unbounded(d)
        return _write("integers", x, 0, span, generator=generator, words=words)
    if high is None:
        low, high = 0, low
    return _write("integers", x, int(low), int(high) - int(low), generator=generator)


def _unbounded(d):
    """(span, words a draw takes) of `random_()` for a type."""
    if d is types.bool:
        return 2, 1
    if d is types.float32:
        return (1 << 24) + 1, 1
    if d is types.float64:
        return (1 << 53) + 1, 2
    bits = 8 * d.itemsize - d.is_signed
    # The span is read as unsigned, so 2 ** 63 goes in as the integer with those bits.
    return -(1 << 63) if bits == 63 else (1 << bits) % (1 << 64), 1 if d.itemsize <= 4 else 2


def _bernoulli_(x, p=0.5, *, generator=None):
    """Overwrite with ones of probability p, else zeros."""
    if isinstance(p, Tensor):
        return x.copy_(bernoulli(p.expand(tuple(x.layout.shape)), generator=generator))
    if not 0 <= p <= 1:
        raise RuntimeError(f"bernoulli_: expects p to be in [0, 1], but got p={p}")
    return _write("bernoulli", x, float(p), generator=generator)


def bernoulli(x, p=None, *, generator=None):
    """Ones where a uniform number falls below x, else zeros."""
    if p is not None:
        return _bernoulli_(x.detach().clone(), p, generator=generator)
    drawn = rand(tuple(x.layout.shape), dtype=x.layout.dtype, generator=generator)
    return drawn.lt(x.detach()).to(x.layout.dtype)


for _function in (_uniform_, _normal_, _random_, _bernoulli_):
    setattr(Tensor, _function.__name__[1:], _function)
Tensor.bernoulli = bernoulli


@called("dropout")
@elementwise
def scale_kept(x, mask, keep: Number):
    """x * (mask / keep)."""
    return x * (mask / keep)


def dropout(input, p=0.5, training=True, inplace=False):
    """x with each element zeroed with probability p and the others divided by 1 - p.

    Returns x itself when not training (Srivastava et al. 2014).
    """
    if not 0.0 <= p <= 1.0:
        raise ValueError(f"dropout: probability has to be between 0 and 1, but got {p}")
    if not training or p == 0.0:
        return input
    if p == 1.0:
        return input.mul_(0.0) if inplace else input * 0.0
    mask = _fill("bernoulli", meta.new(input.layout.like()), 1.0 - p)
    if inplace:
        return scale_kept.in_place(input, mask, 1.0 - p)
    return scale_kept(input, mask, 1.0 - p)


def multinomial(x, num_samples, replacement=False, *, generator=None):
    """Indices drawn with the weights of each row.

    Without replacement the greatest of weight / exponential are taken, as PyTorch does.
    """
    if not x.layout.dtype.is_floating_point or x.layout.ndim not in (1, 2):
        raise RuntimeError("multinomial: expects a 1-D or 2-D tensor of floating weights; got "
                           f"{tuple(x.layout.shape)} of {x.layout.dtype}")
    x = x.detach()
    if not replacement or num_samples == 1:
        if num_samples > x.layout.shape[-1]:
            raise RuntimeError(
                "multinomial: cannot sample n_sample > prob_dist.size(-1) samples without "
                f"replacement; got {num_samples} and {x.layout.shape[-1]}"
            )
        drawn = rand(tuple(x.layout.shape), dtype=x.layout.dtype, generator=generator)
        races = x / -(1.0 - drawn).log()
        if num_samples == 1:
            return races.argmax(-1, True)
        return races.topk(num_samples).indices
    totals = x.cumsum(-1)
    totals = totals / totals[..., -1:]
    shape = (*x.layout.shape[:-1], num_samples)
    drawn = rand(shape, dtype=types.float64, generator=generator)
    below = totals.unsqueeze(-2) < drawn.unsqueeze(-1)
    return below.sum(-1).clamp(max=x.layout.shape[-1] - 1)


Tensor.multinomial = multinomial
