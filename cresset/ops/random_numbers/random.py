"""Random numbers: the stream of PyTorch's CPU generator."""

from __future__ import annotations

import math
from functools import cache

from cresset.core import dtype as types
from cresset.core.caller import warn
from cresset.core.families import required
from cresset.core.generator import Generator, default_generator
from cresset.core.tensor import Tensor
from cresset.kernels import random as kernels
from cresset.ops import dispatch, meta
from cresset.ops.creation.tensors import _finish, empty, empty_like, laid_out, tensor
from cresset.ops.kinds.promotion import computed
from cresset.ops.memory.conversion import fill
from cresset.ops.naming import renamed
from cresset.ops.operation import method
from cresset.ops.pointwise.complex_numbers import view_as_real
from cresset.ops.shapes.broadcasting import broadcast_shapes
from cresset.runtime.program import Program

__all__ = ["bernoulli", "get_rng_state", "initial_seed", "manual_seed", "normal", "rand",
           "rand_like", "randint", "randint_like", "randn", "randn_like", "randperm", "seed",
           "set_rng_state"]

# name: (the kernel schedule, the letters of its numbers)
FILLS = {
    "uniform": (kernels.fill_uniform, "dd"),
    "normal": (kernels.fill_normal, "dd"),
    "log_normal": (kernels.fill_log_normal, "dd"),
    "cauchy": (kernels.fill_cauchy, "dd"),
    "exponential": (kernels.fill_exponential, "d"),
    "geometric": (kernels.fill_geometric, "d"),
    "bernoulli": (kernels.fill_bernoulli, "d"),
    "integers": (kernels.fill_integers, "ii"),
    "permutation": (kernels.permutation, ""),
}

def draw(name: str, x: Tensor, *numbers, generator: Generator | None = None, words=None) -> Tensor:
    """Overwrite a new tensor with random numbers, of a complex one both parts."""
    if x.layout.device == "meta":
        return x
    if x.layout.dtype.is_complex:
        if name == "normal":
            # The deviation of a complex number is that of both parts together.
            numbers = numbers[0], numbers[1] / math.sqrt(2)
        draw(name, view_as_real(x), *numbers, generator=generator, words=words)
        return x
    source = _source(generator)
    if dispatch.tape is not None:
        dispatch.tape.drew(source)
    key = ("random", name, x.layout, words)
    launch = dispatch.plans.get(key)
    if launch is None:
        schedule, letters = FILLS[name]
        # The value table: the tensor, the generator's state, the numbers.
        places = (1, *range(2, 2 + len(letters)), 0)
        extra = {} if words is None else {"words": words}
        launches, temporaries = schedule(x.layout, places, 2 + len(letters), **extra)
        program = Program("wi" + letters, (), tuple(launches), tuple(temporaries))
        launch = dispatch.remember(key, dispatch.make_launcher(program, name))
    return launch(x, source.address, *numbers)


def _source(generator) -> Generator:
    """Where numbers are drawn from, the default generator for None; TypeError for what is none."""
    if generator is None:
        return default_generator
    if not isinstance(generator, Generator):
        raise renamed(TypeError(
            f"draw(): argument 'generator' must be torch.Generator, not {type(generator).__name__}"
            "; make one with cresset.Generator(), or leave it out"
        ))
    return generator


def _overwrite(name, x, *numbers, generator=None, words=None):
    """A random fill in place; the graph sees x replaced by a constant."""
    generator = _source(generator)
    if x.history is not None or x.base is not None:
        fill.in_place(x, 0)
    draw(name, x, *numbers, generator=generator, words=words)
    return x


# --- the default generator ------------------------------------------------------------------------
def manual_seed(seed) -> Generator:
    """Seed the default generator; the same seed gives the same numbers as in PyTorch.

    >>> import cresset
    >>> _ = cresset.manual_seed(0)
    >>> cresset.rand(2)
    tensor([0.4963, 0.7682])
    """
    try:
        seed = int(seed)
    except ValueError:
        raise ValueError(f"manual_seed: the seed must be an integer; got {seed!r}") from None
    return default_generator.manual_seed(seed)


def seed() -> int:
    """Seed the default generator from the system; returns the seed."""
    return default_generator.seed()


def initial_seed() -> int:
    """The seed that the default generator started from."""
    return default_generator.initial_seed()


def _get_state(generator) -> Tensor:
    """The state as a tensor of bytes, in PyTorch's form: either library takes the other's."""
    return tensor(list(generator.state_bytes()), dtype=types.uint8)


def _set_state(generator, new_state) -> None:
    """Take over a state that `get_state` gave, here or in PyTorch.

    Raises TypeError unless it is a tensor of uint8, RuntimeError unless it holds a state.
    """
    if getattr(new_state, "dtype", None) is not types.uint8:
        raise TypeError(
            f"set_state: the state must be a tensor of uint8; got {type(new_state).__name__} of "
            f"{getattr(new_state, 'dtype', 'no dtype')}; pass what get_state() returned"
        )
    generator.restore(bytes(new_state.tolist()))


Generator.get_state, Generator.set_state = _get_state, _set_state


def get_rng_state() -> Tensor:
    """The state of the default generator as bytes, in PyTorch's form."""
    return default_generator.get_state()


def set_rng_state(new_state) -> None:
    """Give the default generator a state that `get_rng_state` gave, here or in PyTorch."""
    default_generator.set_state(new_state)


# --- new tensors ----------------------------------------------------------------------------------
def _type(dtype, out, default):
    """The type in which to draw: what is asked for, or that of `out`, or the default."""
    if dtype is not None:
        return dtype
    return default if out is None else out.dtype


def _new(operation, shape, size, dtype, device, out):
    """An uninitialised tensor of a shape given as `f(2, 3)`, `f((2, 3))` or `f(size=(2, 3))`."""
    d = _type(dtype, out, None)
    layout = laid_out(operation, shape if size is None else (size,), d, device)
    if d is not None:
        required(operation, "a floating type", computed(operation, layout.dtype))
    return meta.new(layout)


def _floating_like(operation, x, dtype, device):
    """An uninitialised tensor in the shape and order of x, of a floating type."""
    d = dtype or x.layout.dtype
    required(operation, "a floating type", d)
    return empty_like(x, dtype=d, device=device)


def rand(*shape, size=None, generator=None, out=None, dtype=None, layout=None, device=None,
         requires_grad=False, pin_memory=False):
    """Uniform numbers in [0, 1), of the default floating type unless given.

    >>> import cresset
    >>> cresset.rand(2, 3).shape
    torch.Size([2, 3])
    """
    x = _new("rand", shape, size, dtype, device, out)
    draw("uniform", x, 0.0, 1.0, generator=generator)
    return _finish("rand", x, requires_grad, None, out, pin_memory)


def randn(*shape, size=None, generator=None, out=None, dtype=None, layout=None, device=None,
          requires_grad=False, pin_memory=False):
    """Normal numbers of mean 0 and standard deviation 1."""
    x = _new("randn", shape, size, dtype, device, out)
    draw("normal", x, 0.0, 1.0, generator=generator)
    return _finish("randn", x, requires_grad, None, out, pin_memory)


def randint(low=0, high=None, size=None, *, generator=None, out=None, dtype=None, layout=None,
            device=None, requires_grad=False, pin_memory=False):
    """Whole numbers, uniform in [low, high); `randint(high, size)` starts from 0."""
    if size is None:
        low, high, size = 0, low, high
    elif high is None:
        low, high = 0, low
    if size is None or isinstance(size, int):
        raise TypeError(
            f"randint(): argument 'size' must be a tuple of ints; got {size!r}; need sizes such as "
            "(2, 3)"
        )
    x = meta.new(laid_out("randint", (size,), _type(dtype, out, types.int64), device))
    low, span = _range("randint", x, low, high)
    draw("integers", x, low, span, generator=generator)
    return _finish("randint", x, requires_grad, None, out, pin_memory)


def randperm(n, *, generator=None, out=None, dtype=None, layout=None, device=None,
             requires_grad=False, pin_memory=False):
    """The numbers 0 .. n - 1 in random order.

    Raises RuntimeError where n is negative or greater than the type can hold.
    """
    if n < 0:
        raise RuntimeError(f"randperm: n must be non-negative; got {n}")
    layout = laid_out("randperm", (n,), _type(dtype, out, types.int64), device)
    d = layout.dtype
    # PyTorch lets bfloat16 repeat numbers.
    if n > _greatest_whole(d) + 1 and d is not types.bfloat16:
        raise RuntimeError(f"randperm: n is too large for result tensor type {d}; got {n}")
    x = draw("permutation", meta.new(layout), generator=generator)
    return _finish("randperm", x, requires_grad, None, out, pin_memory)


def rand_like(input, *, dtype=None, layout=None, requires_grad=False, device=None, generator=None,
              pin_memory=False, memory_format=None):
    """rand in the shape and type of a tensor."""
    made = _floating_like("rand_like", input, dtype, device)
    draw("uniform", made, 0.0, 1.0, generator=generator)
    return _finish("rand_like", made, requires_grad, pin_memory=pin_memory)


def randn_like(input, *, dtype=None, layout=None, requires_grad=False, device=None, generator=None,
               pin_memory=False, memory_format=None):
    """randn in the shape and type of a tensor."""
    made = _floating_like("randn_like", input, dtype, device)
    draw("normal", made, 0.0, 1.0, generator=generator)
    return _finish("randn_like", made, requires_grad, pin_memory=pin_memory)


def randint_like(input, low=None, high=None, *, dtype=None, layout=None, requires_grad=False,
                 device=None, generator=None, pin_memory=False, memory_format=None):
    """randint in the shape and type of a tensor."""
    low, high = (0, low) if high is None else (low or 0, high)
    if high is None:
        raise TypeError("randint_like() missing 1 required positional argument: 'high'")
    made = empty_like(input, dtype=dtype, device=device)
    low, span = _range("randint_like", made, low, high)
    draw("integers", made, low, span, generator=generator)
    return _finish("randint_like", made, requires_grad, pin_memory=pin_memory)


def normal(mean=0.0, std=1.0, size=None, *, generator=None, out=None, dtype=None, layout=None,
           device=None, requires_grad=False, pin_memory=False):
    """Normal numbers of given means and standard deviations, numbers or tensors.

    The result has the shape that tensors among them broadcast to, otherwise `size`, and the type of
    `mean`, or else of `std`, if that is a tensor. Raises RuntimeError for a negative deviation.
    """
    if not isinstance(mean, Tensor) and not isinstance(std, Tensor):
        if size is None:
            raise TypeError("normal: of two numbers, 'size' says how many are drawn; got none")
        made = empty(size, dtype=_type(dtype, out, None), device=device)
        return _finish("normal", _normal_(made, mean, std, generator=generator), requires_grad,
                       None, out, pin_memory)
    if not isinstance(std, Tensor):
        made = empty(mean.layout.shape, dtype=mean.dtype, device=mean.device)
        made = _normal_(made, 0.0, std, generator=generator)
        return _finish("normal", made.add_(mean.detach()), False, None, out)
    if not std.layout.absent and (std.detach() < 0).any():
        raise RuntimeError("normal: expects all elements of std >= 0.0")
    shape, d = std.layout.shape, std.dtype
    if isinstance(mean, Tensor):
        shape, d = broadcast_shapes(mean.layout.shape, shape), mean.dtype
        mean = mean.detach()
    made = _normal_(empty(shape, dtype=d, device=std.device), generator=generator)
    return _finish("normal", made.mul_(std.detach()).add_(mean), False, None, out)


@method()
def bernoulli(input, p=None, *, generator=None, out=None):
    """Ones where a uniform number falls below x, else zeros; with `p`, below that instead.

    Raises RuntimeError where a probability is outside of [0, 1].

    >>> import cresset
    >>> cresset.bernoulli(cresset.tensor([0.0, 1.0]))
    tensor([0., 1.])
    """
    if p is None:
        required("bernoulli", "a real floating type", input.layout.dtype)
    made = empty(input.layout.shape, dtype=input.layout.dtype, device=input.layout.device)
    _bernoulli_(made, input.detach() if p is None else p, generator=generator)
    return _finish("bernoulli", made, False, None, out)


# --- in place -------------------------------------------------------------------------------------
def _uniform_(x, *bounds, generator=None, **named):
    """Overwrite with uniform numbers in [from, to), 0 and 1 unless given."""
    required("uniform_", "a floating type", x.layout.dtype)
    low, high = _bounds_given("uniform_", bounds, named, (0, 1))
    if low > high:
        raise RuntimeError(f"uniform_: expects to return a [from, to) range, but found from={low} "
                           f"> to={high}")
    return _overwrite("uniform", x, float(low), float(high), generator=generator)


def _bounds_given(operation, bounds, named, default):
    """The bounds of `f(from, to)`; `from` is a word of Python, so names come as a dictionary."""
    names = ("from", "to")
    given = dict(zip(names, bounds))
    if len(bounds) > 2 or set(named) - set(names) or set(named) & set(given):
        raise TypeError(
            f"{operation}(): got {[*bounds]} and {named}; need the bounds 'from' and 'to', each "
            "once at most"
        )
    given |= named
    return [given.get(name, number) for name, number in zip(names, default)]


def _normal_(x, mean=0, std=1, *, generator=None):
    """Overwrite with normal numbers."""
    required("normal_", "a floating type", x.layout.dtype)
    if std < 0:
        raise RuntimeError(f"normal_: expects std >= 0.0, but found std {std}; need 0 or more")
    return _overwrite("normal", x, float(mean), float(std), generator=generator)


def _log_normal_(x, mean=1, std=2, *, generator=None):
    """Overwrite with numbers whose logarithms are normal, of that mean and deviation."""
    required("log_normal_", "a real floating type", x.layout.dtype)
    if std <= 0:
        raise RuntimeError(f"log_normal_: expects std > 0.0, but found std={std}")
    return _overwrite("log_normal", x, float(mean), float(std), generator=generator)


def _cauchy_(x, median=0, sigma=1, *, generator=None):
    """Overwrite with numbers of density sigma / (pi ((x - median)^2 + sigma^2))."""
    required("cauchy_", "a real floating type", x.layout.dtype)
    if sigma <= 0:
        raise RuntimeError(f"cauchy_: expects sigma > 0.0, but found sigma={sigma}")
    return _overwrite("cauchy", x, float(median), float(sigma), generator=generator)


def _exponential_(x, lambd=1, *, generator=None):
    """Overwrite with numbers of density lambd exp(-lambd x), x >= 0."""
    required("exponential_", "a real floating type", x.layout.dtype)
    if lambd <= 0:
        raise RuntimeError(f"exponential_: expects lambda > 0.0, but found lambda={lambd}")
    return _overwrite("exponential", x, float(lambd), generator=generator)


def _geometric_(x, p, *, generator=None):
    """Overwrite with the numbers of trials, of probability p each, to the first success."""
    if x.layout.dtype is types.bool or x.layout.dtype.is_complex:
        raise NotImplementedError(f"geometric_: needs a real type; got {x.layout.dtype}")
    if not 0 < p < 1:
        raise RuntimeError(f"geometric_: expects p to be in (0, 1), but got p={p}")
    return _overwrite("geometric", x, float(p), generator=generator)


def _bernoulli_(x, p=0.5, *, generator=None):
    """Overwrite with ones of probability p, a number or a tensor that broadcasts, else zeros."""
    if isinstance(p, Tensor):
        p = p.detach().expand(tuple(x.layout.shape))
        # In the order in which x lies in memory; for each p its own type's uniform number.
        d = types.float64 if p.dtype is types.float64 else types.float32
        if not p.layout.absent and ((p < 0) | (p > 1)).any():
            flat = p.reshape((-1,)).tolist()
            place = next(k for k, v in enumerate(flat) if v < 0 or v > 1)
            raise renamed(RuntimeError(
                f"bernoulli_: expects every p to be in [0, 1]; got {flat[place]} at flat position "
                f"{place}; need probabilities; apply sigmoid() or clamp(0, 1) first"
            ))
        drawn = draw("uniform", empty_like(x, dtype=d), 0.0, 1.0, generator=generator)
        return x.copy_(drawn < p)
    required("bernoulli_", "a real type", x.layout.dtype)
    if not 0 <= p <= 1:
        raise RuntimeError(f"bernoulli_: expects p to be in [0, 1], but got p={p}")
    return _overwrite("bernoulli", x, float(p), generator=generator)


def _random_(x, *bounds, generator=None, **named):
    """Overwrite with whole numbers of [from, to); without bounds, of all the type holds.

    `random_(to)` starts from 0. Raises RuntimeError where the type cannot hold a bound.
    """
    d = x.layout.dtype
    if not bounds and not named:
        required("random_", "a real type", d)
        span, words = _unbounded(d)
        return _overwrite("integers", x, 0, span, generator=generator, words=words)
    if len(bounds) == 1 and not named:
        bounds = (0, *bounds)
    low, high = _bounds_given("random_", bounds, named, (0, None))
    if high is None:
        raise TypeError(f"random_(): got from={low} alone; need the bound 'to' as well")
    return _overwrite("integers", x, *_range("random_", x, int(low), int(high)),
                      generator=generator)


for _function in (_uniform_, _normal_, _log_normal_, _cauchy_, _exponential_, _geometric_,
                  _bernoulli_, _random_):
    setattr(Tensor, _function.__name__[1:], _function)


# --- whole numbers --------------------------------------------------------------------------------
# By type the bits of whole numbers that a floating one holds, and a bound of its numbers.
FLOATING = {types.float16: (11, 65504), types.bfloat16: (8, 2**128), types.float32: (24, 2**128),
            types.float64: (53, 2**1024)}


def _range(operation, x, low, high):
    """(low, how many whole numbers there are in [low, high)), checked against x's type."""
    d = x.layout.dtype
    required(operation, "a real type", d)
    if low >= high:
        raise RuntimeError(f"{operation}: expects 'from' to be less than 'to', but got from={low} "
                           f">= to={high}")
    least, greatest = _bounds(d)
    for name, bound in (("from", low), ("to - 1", high - 1)):
        if not least <= bound <= greatest:
            raise RuntimeError(
                f"{operation}: {name} is out of bounds for {d}; got {bound}; need {least} to "
                f"{greatest}"
            )
        if d.is_floating_point and abs(bound) > _greatest_whole(d):
            warn(f"{operation}: {name} is out of bounds [-{_greatest_whole(d)}, "
                 f"{_greatest_whole(d)}] of the whole numbers that {d} tells apart; got {bound}")
    if d.is_floating_point:
        low, high = _rounded_up(low, d), _rounded_down(high, d)
    span = high - low
    # The span is read as unsigned.
    return low, span - (1 << 64) if span >= 1 << 63 else span


@cache
def _bounds(d):
    """The least and the greatest whole number of a type."""
    if d.is_floating_point:
        return -FLOATING[d][1], FLOATING[d][1]
    greatest = _greatest_whole(d)
    return -greatest - 1 if d.is_signed else 0, greatest


def _greatest_whole(d) -> int:
    """The greatest whole number up to which a type holds all of them."""
    if d.is_floating_point:
        return 1 << FLOATING[d][0]
    return 1 if d is types.bool else (1 << 8 * d.itemsize - d.is_signed) - 1


def _as_held(number, d) -> int:
    """A whole number as a floating type holds it."""
    return int(tensor(float(number), dtype=types.float64, device="cpu").to(d).item())


def _rounded_up(low, d):
    """The lower bound, or the next number that the type holds where it holds a lesser one."""
    held = _as_held(low + 1, d)
    return held + _unit(low + 1, d) if held < low else low


def _rounded_down(high, d):
    """The upper bound, or the number before it that the type holds where it holds a greater one."""
    held = _as_held(high - 1, d)
    return held - _unit(high - 1, d) if held >= high else high


def _unit(number, d) -> int:
    """The distance between the numbers that a floating type holds near a great whole number."""
    return 1 << abs(number).bit_length() - FLOATING[d][0]


def _unbounded(d):
    """(span, words a draw takes) of `random_()` for a type."""
    span = _greatest_whole(d) + 1
    # The span is read as unsigned, and 0 stands for 2 ** 64.
    return span - (1 << 64) if span >= 1 << 63 else span, 1 if d.itemsize <= 4 else 2
