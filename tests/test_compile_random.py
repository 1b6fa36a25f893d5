"""Random programs, compiled and not: the same bits, call after call.

`python tests/test_compile_random.py --programs 10000` runs that many, with seeds from 0 on.
"""

import argparse
import random
import sys
import traceback
from unittest.mock import patch

import pytest

import cresset
from cresset.compiler.programs import loop_fusion

PROGRAMS = 30
CALLS = 5
# Shapes whose last dim is short, or longer than any vector.
SHAPES = {4: [(3, 4), (4,), (2, 3, 4), (1, 4)], 70: [(33, 70), (70,), (2, 9, 70), (1, 70)]}


class Program:
    """A program over tensors: views, writes, reductions, mixed types, draws, gradients, state."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.steps = [self.random.choice(STEPS) for _ in range(self.random.randint(2, 9))]
        self.seeds = [self.random.random() for _ in self.steps]
        self.backward = self.random.random() < 0.5
        self.length = self.random.choice(list(SHAPES))
        self.inputs = [self.random.choice(SHAPES[self.length]) for _ in range(2)]

    def state(self):
        """A fresh state: a parameter and a buffer."""
        generator = cresset.Generator().manual_seed(7)
        w = cresset.randn(self.length, generator=generator).requires_grad_()
        return w, cresset.zeros(self.length)

    def function(self, w, buffer):
        """The program as a function of two tensors."""
        steps, seeds, backward = self.steps, self.seeds, self.backward

        def run(x, y):
            values = [x, y, w * 1, buffer.clone()]
            for step, seed in zip(steps, seeds):
                values.append(step(values, random_of(seed), buffer))
            result = sum(v.to(cresset.float64).abs().clamp(max=10.0).mean() for v in values)
            if backward:
                w.grad = None
                result.backward()
                return result.detach(), values[-1].detach()
            return result.detach(), values[-1].detach()

        return run


class random_of:
    """Choices by a number, the same at every call."""

    def __init__(self, seed):
        self.seed = seed

    def choice(self, values):
        self.seed = (self.seed * 997.0) % 1.0
        return values[int(self.seed * len(values))]


def pick(values, choose):
    return choose.choice(values)


def unary(values, choose, buffer):
    x = pick(values, choose)
    name = choose.choice(["exp", "tanh", "sin", "abs", "neg", "square", "sigmoid", "relu"])
    return getattr(x.float().clamp(-3, 3), name)()


def binary(values, choose, buffer):
    x, y = pick(values, choose), pick(values, choose)
    operation = choose.choice([cresset.add, cresset.mul, cresset.sub, cresset.maximum])
    try:
        return operation(x, y)
    except RuntimeError:  # shapes that do not fit, or a difference of masks
        return cresset.add(x, x)


def view(values, choose, buffer):
    x = pick(values, choose)
    if not x.ndim:
        return x.unsqueeze(0)
    if x.ndim < 2:
        return choose.choice([lambda: x[1:], lambda: x.flip(0), lambda: x.unsqueeze(0)])()
    return choose.choice([
        lambda: x.transpose(0, 1), lambda: x[0], lambda: x[:, ::2], lambda: x.reshape(-1),
        lambda: x.expand(2, *x.shape), lambda: x.select(-1, 0),
    ])()


def reduction(values, choose, buffer):
    x = pick(values, choose).float()
    return choose.choice([
        lambda: x.sum(-1), lambda: x.mean(), lambda: x.amax(0), lambda: x.softmax(-1),
        lambda: x.cumsum(0), lambda: x.var(), lambda: x.argmax().float(),
    ])()


def normalized(values, choose, buffer):
    """Folds, and what is done with them and their elements."""
    x = pick(values, choose).detach().float().clamp(-9, 9)
    x = x.reshape(1, -1) if x.ndim < 2 else x
    dim = choose.choice([-1, 0])
    weight = choose.choice([0.5, x > 0, buffer.mean() + 1, x.sin()])
    return choose.choice([
        lambda: x.softmax(dim) * weight, lambda: x.log_softmax(dim) * weight,
        lambda: (x - x.mean(dim, keepdim=True)) / (x.var(dim, keepdim=True) + 1).sqrt() * weight,
        lambda: x / (x.norm(dim=dim, keepdim=True) + 1) * weight,
        lambda: (x.softmax(dim) * weight).sum(dim), lambda: x.logsumexp(dim, keepdim=True) - x,
        lambda: x.softmax(dim).triu(), lambda: x.sum(dim) + x.double().var(dim),
        lambda: x.exp().sum(dim, keepdim=True) * (x.amax(dim, keepdim=True) / 3 + 1) - x,
    ])()


def moved(values, choose, buffer):
    """Running statistics that follow a fold."""
    x = pick(values, choose).detach().float().clamp(-9, 9)
    x = x.reshape(-1, x.shape[-1] if x.ndim else 1)
    with cresset.no_grad():
        if x.shape[-1] == buffer.shape[0]:
            mean, variance = x.mean(0), x.var(0, unbiased=False)
            buffer.lerp_(choose.choice([mean, variance]), 0.25)
            return (x - mean) / (variance + 1).sqrt() + buffer
        buffer.mul_(0.5).add_(x.mean(), alpha=0.125)
    return x - x.mean()


def write(values, choose, buffer):
    x = pick(values, choose).clone()
    if x.dtype is cresset.bool:
        return x.logical_not_()
    if not x.ndim or not x.is_contiguous():
        return x.mul_(2)
    return choose.choice([
        lambda: x.mul_(2), lambda: x[..., :1].zero_(), lambda: x.clamp_(-1, 1),
        lambda: x.view(-1)[1:].copy_(x.reshape(-1)[:-1].clone()), lambda: x.fill_(0.5),
    ])()


def remember(values, choose, buffer):
    with cresset.no_grad():
        # A play has to write the buffer as the function does.
        buffer.mul_(0.5)
        buffer[:2].add_(pick(values, choose).detach().float().mean())
    return buffer * 2


def convert(values, choose, buffer):
    x = pick(values, choose)
    return x.detach().to(choose.choice([cresset.float64, cresset.int64, cresset.bfloat16,
                                        cresset.float16, cresset.bool]))


def draw(values, choose, buffer):
    x = pick(values, choose).float()
    return choose.choice([
        lambda: cresset.rand_like(x), lambda: cresset.nn.functional.dropout(x, 0.5),
        lambda: x + cresset.randn(x.shape),
    ])()


def join(values, choose, buffer):
    x = pick(values, choose)
    return cresset.cat([x, x]) if x.ndim else cresset.stack([x, x])


def product(values, choose, buffer):
    x = pick(values, choose).float()
    return x @ x.transpose(-1, -2) if x.ndim > 1 else cresset.outer(x, x) if x.ndim else x * x


def layer(values, choose, buffer):
    """A product of matrices, and what may follow as its epilogue."""
    x = pick(values, choose).float().clamp(-3, 3)
    x = x if x.ndim > 1 else x.expand(9, 3, *x.shape).reshape(9, -1)
    y = x @ x.transpose(-1, -2)
    for _ in range(3):
        y = choose.choice([
            lambda y=y: y.relu(), lambda y=y: y * 0.5 + x.narrow(-1, 0, 1),
            lambda y=y: y.tanh() + y, lambda y=y: y + x.select(-1, -1).unsqueeze(-2),
            lambda y=y: (y - 1).add_(y.transpose(-1, -2)),
            lambda y=y: (y + 1).mul_(0.25), lambda y=y: y.to(cresset.bfloat16).float(),
            lambda y=y: y.reshape(-1).sin().reshape(y.shape), lambda y=y: y.transpose(-1, -2) * 2,
        ])()
    return y


PLAIN = [unary, unary, binary, binary, view, view, reduction, write, remember, convert, draw, join,
         product, layer, normalized, moved]


def within(values, choose, buffer, steps=PLAIN):
    """A function of a tensor, of its shape, which does some step over other tensors as well."""
    step, seed = choose.choice(steps), choose.choice([0.3, 0.17, 0.71, 0.9])

    def function(x, *others):
        y = step([x, *others, *values], random_of(seed), buffer)
        return x * y.float().mean().clamp(-2, 2)

    return function


def chosen(values, choose, buffer):
    x = pick(values, choose).float()
    yes, no = within(values, choose, buffer), within(values, choose, buffer)
    return cresset.cond(x.mean() > 0.1, yes, no, (x,))


def looped(values, choose, buffer):
    x = pick(values, choose).detach().float()
    turn = within([v.detach() for v in values], choose, buffer)
    turns = (x.mean() * 3).nan_to_num().clamp(0, 4).long()
    return cresset.while_loop(
        lambda n, x: n > 0, lambda n, x: (n - 1, turn(x, n)), (turns, x)
    )[1]


def descended(values, choose, buffer):
    """A loop with gradients."""
    x = pick(values, choose).float()
    turn = within(values, choose, buffer)
    turns = (x.detach().mean() * 3).nan_to_num().clamp(0, 4).long()
    return cresset.while_loop(
        lambda n, x: n > 0, lambda n, x: (n - 1, turn(x, n).tanh()), (turns, x)
    )[1]


def scanned(values, choose, buffer):
    x = pick(values, choose).float()
    x = x if x.ndim else x.unsqueeze(0)
    turn = within(values, choose, buffer, [*PLAIN, chosen, looped])
    dim, reverse = choose.choice([0, -1]), choose.choice([False, True])

    def turned(carry, row):
        return turn(carry, row) + row.tanh(), carry * row

    carry, ys = cresset.scan(turned, x.select(dim, 0).sin(), x, dim=dim, reverse=reverse)
    return choose.choice([carry, ys])


STEPS = [*PLAIN, chosen, looped, descended, scanned]


@patch.object(loop_fusion, "LEAST_BYTES", 0)
def compare(seed):
    """Run one program both ways; returns how many calls were played."""
    program = Program(seed)
    outcomes = []
    for compiled in (False, True):
        w, buffer = program.state()
        function = program.function(w, buffer)
        call = cresset.compile(function) if compiled else function
        cresset.manual_seed(seed)
        found = []
        for k in range(CALLS):
            inputs = [cresset.randn(shape) for shape in program.inputs]
            if k == CALLS - 1:
                inputs = [inputs[0], inputs[0]]
            found += call(*inputs)
            found += [buffer.clone(), cresset.zeros(1) if w.grad is None else w.grad.clone()]
        outcomes.append(found)
    for number, (own, expected) in enumerate(zip(*reversed(outcomes), strict=True)):
        assert own.dtype is expected.dtype and own.shape == expected.shape, (seed, number)
        bits = [t.reshape(-1).contiguous().view(cresset.uint8) for t in (own, expected)]
        assert cresset.equal(*bits), (seed, number)
    return sum(variant.plays for variant in call._variants)


@pytest.mark.parametrize("start", range(0, PROGRAMS, 5))
def test_random_programs(start):
    assert sum(map(compare, range(start, start + 5))) >= 5


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--programs", type=int, default=10000)
    parser.add_argument("--first", type=int, default=0)
    options = parser.parse_args()
    played, failed = 0, []
    for seed in range(options.first, options.first + options.programs):
        try:
            played += compare(seed)
        except Exception:
            traceback.print_exc()
            failed.append(seed)
    print(f"{options.programs} programs, {played} plays")
    if failed:
        sys.exit(f"these seeds failed: {failed}")
