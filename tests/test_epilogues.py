"""Epilogues: loops over the result of a product or a convolution that its kernel runs itself."""

import pytest
from test_compiler import ARM, assembled
from test_loop_fusion import compiled, peak

import cresset
from cresset import nn
from cresset.compiler.programs import loop_fusion
from cresset.runtime import elf
from cresset.runtime.target import writing_for

F = nn.functional


@pytest.fixture(autouse=True)
def small_results_too(monkeypatch):
    monkeypatch.setattr(loop_fusion, "LEAST_BYTES", 0)


def steps(own):
    """Those of its one recording."""
    (variant,) = own._variants
    return [step for part in variant.replay.segments for step in part.program.steps]


def epilogues(own):
    """How many of its launches have an epilogue."""
    return sum(step.epilogue is not None for step in steps(own))


def randn(*shape, seed=0, **options):
    return cresset.randn(*shape, generator=cresset.Generator().manual_seed(seed), **options)


def operands(m, k, n, dtype=cresset.float32):
    """a, b, a bias and a matrix like the result."""
    shapes = (m, k), (k, n), (n,), (m, n)
    return [randn(*shape, seed=seed).to(dtype) for seed, shape in enumerate(shapes)]


FOLLOWING = {
    "relu": lambda y, b, r: y.relu(),
    "gelu": lambda y, b, r: F.gelu(y + b),
    "columns": lambda y, b, r: (y * b).tanh() - b,
    "rows": lambda y, b, r: (y * r[:, :1]).sigmoid() + r[:, 1:2],
    "residual": lambda y, b, r: y + r,
    "cast": lambda y, b, r: (y * 2).to(cresset.bfloat16),
    "compared": lambda y, b, r: y > r,
    "two": lambda y, b, r: (y.relu(), y * 0.5 + b),
    "kept": lambda y, b, r: (y, F.silu(y) * r),
    "reshaped": lambda y, b, r: (y.reshape(-1) + 1).relu(),
    "chain": lambda y, b, r: (y + r).abs().sqrt() * r.exp() - b,
}


@pytest.mark.parametrize("name", FOLLOWING)
@pytest.mark.parametrize("m, k, n", [(64, 40, 64), (37, 300, 27)])
def test_products(name, m, k, n):
    follow = FOLLOWING[name]
    own = compiled(lambda a, b, c, r: follow(a @ b, c, r), *operands(m, k, n))
    assert epilogues(own) == 1


# Around the rows and columns of tiles and units, and stretches of k.
SIZES = [(1, 5, 64), (3, 7, 33), (4, 1, 8), (5, 8, 9), (6, 256, 16), (7, 257, 17), (11, 3, 31),
         (12, 600, 32), (13, 9, 250), (200, 513, 130), (1030, 2, 20), (260, 4, 70)]


@pytest.mark.parametrize("m, k, n", SIZES)
def test_sizes(m, k, n):
    own = compiled(lambda a, b, c, r: (a @ b + c).relu() - r, *operands(m, k, n))
    assert epilogues(own) == 1
    assert peak(own) <= 8 * (m + 64) * k + 8 * (n + 64) * k, "the product is not in memory"


@pytest.mark.parametrize("dtype", [cresset.float64, cresset.int32, cresset.bfloat16,
                                   cresset.complex64])
def test_types(dtype):
    own = compiled(lambda a, b, c, r: (a @ b) * c + r, *operands(30, 20, 40, dtype))
    assert epilogues(own) == (dtype is not cresset.complex64)


@pytest.mark.parametrize("function, inputs", [
    (lambda a, b: (a.t() @ b).relu(), ((20, 33), (20, 48))),
    (lambda a, b: (a @ b.t()).relu(), ((33, 20), (48, 20))),
    (lambda a, b: (a[::2] @ b[:, 3:]).relu(), ((66, 20), (20, 48))),
    (lambda a, b: (a @ b).relu(), ((5, 33, 20), (5, 20, 48))),
    (lambda a, b: (a @ b).relu(), ((5, 33, 20), (20, 48))),
    (lambda a, b: (a.transpose(0, 1) @ b).relu(), ((33, 5, 20), (5, 20, 48))),
    (lambda a, b: (a @ b).transpose(1, 2).relu(), ((5, 33, 20), (5, 20, 48))),
])
def test_arrangements(function, inputs):
    own = compiled(function, *(randn(*shape, seed=k) for k, shape in enumerate(inputs)))
    assert epilogues(own) == 1


def test_rows_that_are_split():
    """Batch and time are the rows of a linear layer, and may lie in another order elsewhere."""
    def function(x, w, r):
        return F.linear(x, w).relu() + r.transpose(0, 1)

    compiled(function, randn(4, 6, 20), randn(32, 20, seed=1), randn(6, 4, 32, seed=2))


def test_columns_that_are_split():
    def function(x, w):
        return F.linear(x, w).view(4, 6, 2, 16).transpose(1, 2).relu().contiguous()

    compiled(function, randn(4, 6, 20), randn(32, 20, seed=1))


def test_what_overlaps_itself_is_not_updated_in_place():
    def function(a, b, r):
        r += a @ b
        return r * 2

    for n, count in ((24, 1), (25, 0), (32, 1)):
        own = compiled(function, randn(13, 9), randn(9, n, seed=1), randn(13, n, seed=2))
        assert epilogues(own) == count


def test_what_is_still_read_is_not_overwritten():
    def function(a, b):
        a.copy_(a @ b)
        return a + 1

    assert epilogues(compiled(function, randn(32, 32), randn(32, 32, seed=1))) == 0


def test_what_another_fold_reads_is_kept():
    def function(a, b):
        y = a @ b
        return y.relu(), y.softmax(1), (y.t() * 2).sum(0)

    compiled(function, randn(33, 20), randn(20, 48, seed=1))


def test_a_product_that_is_overwritten_is_not_made():
    def function(a, b):
        return (a @ b).zero_() + 1

    own = compiled(function, randn(33, 20), randn(20, 48, seed=1))
    assert epilogues(own) == 0


def test_gradients():
    def function(x, w, b, target):
        w, b = w.detach().requires_grad_(), b.detach().requires_grad_()
        y = F.gelu(F.linear(x, w, b))
        loss = ((y * 2).relu() - target).square().mean()
        return cresset.autograd.grad(loss, (w, b))

    inputs = randn(30, 20), randn(32, 20, seed=1), randn(32, seed=2), randn(30, 32, seed=3)
    assert epilogues(compiled(function, *inputs)) >= 1


def test_control_flow():
    """A turn of a loop has its operands elsewhere each time, those of the epilogue as well."""
    def function(x, w, r):
        def turn(h, row):
            h = F.linear(h, w).tanh() + row
            return h, h * 2

        return cresset.scan(turn, x, r)

    compiled(function, randn(10, 16), randn(16, 16, seed=1), randn(5, 10, 16, seed=2))


def test_launches_are_shown_as_one():
    own = compiled(lambda a, b: (a @ b).relu(), randn(30, 20), randn(20, 32, seed=1))
    assert "(2 operations fused)" in own.explain()
    assert "matmul + relu" in str(own.profile(randn(30, 20), randn(20, 32)))


def test_verified_calls():
    own = cresset.compile(lambda a, b: (a @ b).relu() * 2, verify=True)
    for _ in range(4):
        own(randn(30, 20), randn(20, 32, seed=1))
    assert epilogues(own) == 1


def test_small_results_have_none(monkeypatch):
    monkeypatch.undo()
    assert not epilogues(compiled(lambda a, b: (a @ b).relu(), randn(30, 20), randn(20, 32)))


def test_kernels_assemble_for_arm():
    own = compiled(lambda a, b: (a @ b).relu(), randn(30, 20), randn(20, 32, seed=1))
    with writing_for(ARM):
        for part in steps(own)[-1].parts[1:]:
            assert assembled(part.write()) == elf.AARCH64


# --- convolutions ---------------------------------------------------------------------------------
CONVOLUTIONS = [  # images, channels, height, width, channels out, taps, stride, groups
    (2, 3, 20, 24, 8, 3, 1, 1),
    (3, 3, 17, 19, 7, 3, 2, 1),
    (2, 4, 9, 33, 10, 5, 1, 1),
    (2, 8, 16, 16, 8, 3, 1, 8),
    (1, 6, 30, 13, 30, 3, 1, 2),
    (2, 16, 12, 12, 40, 1, 1, 1),
    (2, 3, 40, 40, 150, 3, 1, 1),
    (1, 2, 8, 8, 1, 3, 1, 1),
]


@pytest.mark.parametrize("n, c, h, w, o, taps, stride, groups", CONVOLUTIONS)
def test_convolutions(n, c, h, w, o, taps, stride, groups):
    """Batch normalisation in evaluation, a residual and an activation are one with it."""
    weight = randn(o, c // groups, taps, taps)
    mean, scale, shift = (randn(o, seed=seed) for seed in range(1, 4))

    def convolved(x, weight):
        return F.conv2d(x, weight, stride=stride, padding=taps // 2, groups=groups)

    def function(x, weight, mean, scale, shift, r):
        y = F.batch_norm(convolved(x, weight), mean, scale.abs() + 1, scale, shift)
        return (y + r).relu()

    x = randn(n, c, h, w, seed=4)
    r = cresset.randn_like(convolved(x, weight))
    assert epilogues(compiled(function, x, weight, mean, scale, shift, r)) == 1


@pytest.mark.parametrize("height, width, count", [(70, 16, 1), (70, 19, 1), (3, 1003, 0)])
def test_convolutions_in_place(height, width, count):
    """Where units share rows that are no whole number of vectors they would meet."""
    def function(x, weight, r):
        r += F.conv2d(x, weight, padding=1)
        return r

    x, weight = randn(2, 3, height, width), randn(4, 3, 3, 3, seed=1)
    assert epilogues(compiled(function, x, weight, randn(2, 4, height, width, seed=2))) == count


def test_volumes_and_signals():
    def volumes(x, w):
        return F.conv3d(x, w, padding=1).relu() * 2

    def signals(x, w):
        return F.conv1d(x, w, padding=1).relu() * 2

    assert epilogues(compiled(volumes, randn(2, 3, 5, 9, 17), randn(4, 3, 3, 3, 3, seed=1))) == 1
    assert epilogues(compiled(signals, randn(2, 3, 50), randn(4, 3, 3, seed=1))) == 1
