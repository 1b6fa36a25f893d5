"""Calls that draw random numbers, as text: what `scripts/record_random.py` records, and tests run.

`torch` is the package. Sizes lie on both sides of every threshold: 16 from which normal numbers are
made in blocks, the 624 words of a block of the stream, spans from which two words are taken.
"""

from __future__ import annotations

SEEDS = (0, 7, 2**40 + 12345)
FLOATS = ("float32", "float64", "float16", "bfloat16")
INTEGERS = ("int64", "int32", "int16", "int8", "uint8")
FILLS = ("uniform_(-1, 2)", "normal_(1, 2)", "log_normal_(0.5, 0.25)", "cauchy_(1, 2)",
         "exponential_(1.5)", "geometric_(0.3)", "bernoulli_(0.4)", "random_()", "random_(20)")
LAYOUTS = ("empty(5, 7, dtype=torch.{}).t()", "zeros(66, dtype=torch.{})[::2]",
           "empty(3, 4, 5, dtype=torch.{}).permute(2, 0, 1)",
           "zeros(9, 20, dtype=torch.{})[::2, ::3].t()")
WEIGHTS = "torch.arange(1.0, 13).div(7).remainder(1).add(0.01).view(3, 4)"
INITIALISERS = ("uniform_({}, -1, 1)", "normal_({}, 0, 0.5)", "xavier_uniform_({}, 2)",
                "xavier_normal_({})", "kaiming_uniform_({}, 1)",
                "kaiming_normal_({}, 0, 'fan_out', 'relu')", "trunc_normal_({})",
                "trunc_normal_({}, 0, 1, 1, 2)", "orthogonal_({})", "orthogonal_({}, 2)",
                "sparse_({}, 0.3)", "eye_({})", "constant_({}, 3)", "ones_({})", "zeros_({})")


def calls():
    """Every call, once."""
    for fill in FILLS:
        for size in (1, 15, 16, 17, 32, 700):
            yield f"torch.empty({size}).{fill}"
        for dtype in FLOATS[1:]:
            for size in (5, 37):
                yield f"torch.empty({size}, dtype=torch.{dtype}).{fill}"
        for layout in LAYOUTS:
            yield f"torch.{layout.format('float32')}.{fill}"
        yield f"torch.{LAYOUTS[3].format('float16')}.{fill}"
    for dtype in INTEGERS:
        for fill in ("geometric_(0.3)", "bernoulli_(0.4)", "random_()", "random_(20)"):
            yield f"torch.empty(9, dtype=torch.{dtype}).{fill}"
    yield from (f"torch.rand({size})" for size in ("()", "3, 7", "625"))
    yield from (f"torch.randn({size})" for size in ("()", "3, 7", "625"))
    yield from (f"torch.randn(20, dtype=torch.{dtype})" for dtype in ("complex64", "complex128"))
    yield from (f"torch.randint({low}, {high}, (9,))"
                for low, high in ((0, 10), (-5, 5), (0, 2**28 - 1), (0, 2**28), (-(2**62), 2**62)))
    yield "torch.randint(9, (2, 3), dtype=torch.float32)"
    yield "torch.empty(9).random_(0, 2**40)"
    yield from (f"torch.randperm({n})" for n in (1, 2, 20, 700))
    yield "torch.randperm(20, dtype=torch.int16)"
    for like in ("rand_like({})", "randn_like({})", "randint_like({}, 9)"):
        yield f"torch.{like.format('torch.zeros(5, 7).t()')}"
    for weights in (WEIGHTS, f"{WEIGHTS}[0]", f"{WEIGHTS}.double()", f"{WEIGHTS}.t()"):
        for drawn in ("1", "3", "9, True"):
            yield f"torch.multinomial({weights}, {drawn})"
        yield f"torch.bernoulli({weights})"
        yield f"torch.poisson({weights} * 5)"
        yield f"torch.poisson({weights} * 90)"
        yield f"torch.normal({weights}, {weights})"
    yield f"torch.bernoulli({WEIGHTS}, 0.3)"
    yield f"torch.empty(2, 3, 4).bernoulli_({WEIGHTS})"
    yield f"torch.normal({WEIGHTS}, 2.0)"
    yield f"torch.normal(2.0, {WEIGHTS})"
    yield "torch.normal(1.0, 2.0, (3, 7))"
    yield f"torch.binomial(torch.full((3, 4), 7.0), {WEIGHTS})"
    yield f"torch.binomial(torch.full((3, 4), 900.0), {WEIGHTS})"
    yield f"torch._standard_gamma({WEIGHTS})"
    yield f"torch._standard_gamma({WEIGHTS} * 9)"
    yield f"torch._sample_dirichlet({WEIGHTS} * 3)"
    # The second number of a pair is kept, by whoever draws it, for whoever draws next.
    yield "torch.cat((torch.randn(3), torch._standard_gamma(torch.ones(2)), torch.randn(1)))"
    yield "torch.cat((torch.randn(1), torch.randn(20), torch.empty(2).log_normal_()))"
    for dropout in ("dropout({}, 0.3)", "alpha_dropout({}, 0.3, True)", "dropout2d({}, 0.5)",
                    "dropout3d({}, 0.5)", "feature_alpha_dropout({}, 0.3, True)",
                    "rrelu({} - 2, training=True)", "gumbel_softmax({}, hard=True)"):
        yield f"torch.nn.functional.{dropout.format('torch.ones(2, 3, 2, 2)')}"
    yield "torch.nn.functional.dropout(torch.ones(4, 6, 3).permute(2, 0, 1), 0.3)"
    yield "torch.nn.functional.dropout(torch.ones(20, dtype=torch.bfloat16), 0.3)"
    for initialiser in INITIALISERS:
        yield f"torch.nn.init.{initialiser.format('torch.empty(5, 7)')}"
        yield f"torch.nn.init.{initialiser.format('torch.empty(7, 5, dtype=torch.float64).t()')}"
    yield "torch.nn.init.dirac_(torch.empty(4, 2, 3), 2)"


def drawn(package, call, seed):
    """(type, shape, first and last values, a number drawn after it) of a call in a package."""
    package.manual_seed(seed)
    result = eval(call, {"torch": package})
    after = package.randint(10**6, (1,)).item()
    values = result.detach().reshape(-1)
    if values.is_complex():
        values = package.view_as_real(values).reshape(-1)
    values = values.to(package.float64).tolist()
    if len(values) > 6:
        values = values[:3] + values[-3:]
    dtype = str(result.dtype).removeprefix("torch.")
    if dtype not in ("float64", "complex128"):
        values = [float(f"{v:.9g}") for v in values]
    return [dtype, list(result.shape), values, after]
