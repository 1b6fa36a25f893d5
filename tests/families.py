"""A call of every family of kernels in many sizes, for processes in which all memory is guarded.

`FAMILIES` is a table of (name, sizes, operands(n), call). Operands are arrays, or tuples of an
array and the slices by which a view of it is taken, so that strides are arbitrary and addresses
aligned to an element alone.
"""

import numpy as np

import cresset
import cresset.nn.functional as F
from cresset.compiler.programs import loop_fusion
from cresset.nn.modules.recurrence import Scan

# Around the widths of vectors and tiles.
AROUND = (0, 1, 3, 8, 9, 15, 17, 33, 64, 65)
SHORT = (1, 3, 7, 8, 17, 33)
LONG = (257, 4097)
FAMILIES = []


def numbers(*shape, seed=0, dtype="float32", low=-9, high=9):
    """Numbers around zero, each at several places."""
    made = np.random.default_rng(seed).integers(low, high + 1, shape)
    return (made > 0 if dtype == "bool" else made).astype(dtype)


def family(name, sizes, *makers):
    """Register what is decorated as the call on the operands that the makers give for a size."""
    def register(call):
        FAMILIES.append((name, sizes, makers, call))
        return call

    return register


def positions(n, below):
    return numbers(n, dtype="int64", low=0, high=max(below - 1, 0))


# --- orders ---------------------------------------------------------------------------------------
for _type in ("float32", "int64", "int8", "bool"):
    @family(f"sort {_type}", AROUND + LONG, lambda n, d=_type: numbers(2, n, dtype=d))
    def _(x):
        return [*x.sort(1), *x.sort(0), *x[0].sort(stable=True, descending=True)]

for _type in ("float32", "int64", "uint8"):
    @family(f"topk {_type}", AROUND[1:] + LONG,
            lambda n, d=_type: numbers(2, n, dtype=d, low=0))
    def _(x):
        n = x.shape[1]
        found = []
        for k in {0, 1, min(n, 5), n // 3, n - 1, n}:
            found += [*x.topk(k), *x.topk(k, largest=False), *x.t().topk(k, 0)]
        return [*found, *x.kthvalue(1 + n // 2, 1), x.median(), *x.median(1), *x.mode(1)]


for _type in ("float32", "float64", "int64", "uint8"):
    @family(f"runs {_type}", AROUND + LONG,
            lambda n, d=_type: numbers(n, dtype=d, low=0))
    def _(x):
        found = [*x.unique(return_inverse=True, return_counts=True), x.unique(),
                 *x.unique_consecutive(return_inverse=True, return_counts=True),
                 cresset.isin(x, x[::3])]
        counted = x.histc(7) if x.is_floating_point() else x.bincount()
        return [*found, counted, *(x.median(0) if len(x) else ())]


@family("search", AROUND, lambda n: np.sort(numbers(n)), lambda n: numbers(17))
def _(line, x):
    sorter = cresset.arange(line.numel())
    return [cresset.searchsorted(line, x), cresset.searchsorted(line, x, right=True),
            cresset.searchsorted(line, x, sorter=sorter), cresset.bucketize(x, line),
            cresset.bucketize(line, line, out_int32=True)]


@family("sets", AROUND[1:] + LONG[:2], lambda n: numbers(n, dtype="int64"), lambda n: numbers(n))
def _(x, y):
    return [*x.unique(return_inverse=True, return_counts=True), *y.unique_consecutive(True, True),
            cresset.isin(x, x[:3]), x.abs().bincount(), x.abs().bincount(y), y.histc(7)]


# --- masks and indices ----------------------------------------------------------------------------
for _type in ("float32", "int8", "float64"):
    @family(f"masks {_type}", AROUND + LONG, lambda n, d=_type: numbers(3, n, dtype=d),
            lambda n: numbers(3, n, dtype="bool", seed=1))
    def _(x, mask):
        chosen = x[mask]
        return [x.nonzero(), mask.nonzero(), mask.t().nonzero(), chosen, x.t()[mask.t()],
                x.masked_fill(mask, 2), x.masked_scatter(mask, x), mask.sum(),
                x.clone().index_put_((mask,), chosen), x.tril(), x.triu(1)]

for _type in ("float32", "int8", "float64"):
    @family(f"indices {_type}", SHORT + LONG[:2], lambda n, d=_type: numbers(n, 5, dtype=d),
            lambda n: positions(n, n), lambda n: positions(5, n))
    def _(x, index, five):
        wide = five.expand(x.shape)
        found = [x[index], x.index_select(0, five), x.t()[:, index], x.gather(0, wide),
                 x.take(index), x[five, cresset.arange(5)], x[index, index % 5],
                 x.t().index_select(1, index), F.embedding(index, x), x[-1 - index]]
        zeros = cresset.zeros_like(x)
        if x.dtype is not cresset.bool:
            found += [zeros.index_add(0, index, x), zeros.scatter_add(0, wide, x),
                      zeros.t().index_add(1, index, x.t()),
                      zeros.scatter_reduce(0, wide, x, "amax"),
                      zeros.index_put((index, index % 5), x[:, 0], accumulate=True),
                      zeros.put(index, x[:, 0], accumulate=True)]
        return [*found, zeros.scatter(0, wide, x), zeros.index_copy(0, index, x),
                zeros.index_fill(0, index, 1), zeros.index_put((index,), x)]


# --- random numbers -------------------------------------------------------------------------------
@family("random", AROUND + (623, 624, 625, 1249), lambda n: numbers(n, low=0) / 10)
def _(p):
    cresset.manual_seed(3)
    n, double = p.numel(), cresset.float64
    return [cresset.rand(n), cresset.rand(n, dtype=double), cresset.randn(n),
            cresset.randn(n, dtype=double), cresset.randn(n, dtype=cresset.bfloat16),
            cresset.randint(9, (n,)), cresset.randint(1 << 40, (n,)), cresset.randperm(n),
            cresset.bernoulli(p), p.clone().bernoulli_(0.3), p.clone().exponential_(),
            p.double().cauchy_(), p.clone().geometric_(0.5), p.clone().log_normal_(),
            cresset.poisson(p * 30), cresset.binomial(p * 30, p), F.dropout(p, 0.4),
            cresset.rand(2 * n)[::2].normal_(), cresset.empty(n, dtype=cresset.int8).random_()]


@family("multinomial", AROUND[1:], lambda n: numbers(3, n, low=1))
def _(weights):
    cresset.manual_seed(3)
    n = weights.shape[1]
    return [weights.multinomial(n), weights.multinomial(2 * n, True), weights[0].multinomial(1)]


# --- scans and sums -------------------------------------------------------------------------------
for _type in ("float32", "int64", "bfloat16"):
    @family(f"scans {_type}", AROUND + LONG, lambda n: numbers(3, n))
    def _(x, d=_type):
        x = x.to(getattr(cresset, d))
        found = []
        for dim in (0, 1):
            found += [x.cumsum(dim), x.cumprod(dim), *x.cummax(dim), *x.cummin(dim), x.flip(dim)]
            if x.is_floating_point():
                found.append(x.logcumsumexp(dim))
        return [*found, x.t().cumsum(0), x[:, ::2].cumsum(1), x.diff(dim=1)]

for _type in ("float32", "int8", "float16", "complex64"):
    @family(f"reductions {_type}", AROUND + LONG, lambda n, d=_type: numbers(3, n, dtype=d))
    def _(x):
        found = []
        for dim in (0, 1, (0, 1)):
            found += [x.sum(dim), x.count_nonzero(dim), x.any(dim)]
            if x.is_floating_point():
                found += [x.mean(dim), x.var(dim), x.norm(dim=dim), x.logsumexp(dim)]
        return [*found, x.t().sum(0), x[:, ::2].sum(1), x.prod(1), x.prod(0)]


# --- layers ---------------------------------------------------------------------------------------
def recorded(call):
    """The results of call(*tensors), and the gradients of those that have any."""
    def both(*tensors):
        leaves = [t.detach().requires_grad_() if t.is_floating_point() else t for t in tensors]
        results = call(*leaves)
        wanted = [r for r in results if r.requires_grad]
        inputs = [t for t in leaves if t.requires_grad]
        gradients = cresset.autograd.grad(wanted, inputs, [cresset.ones_like(r) for r in wanted],
                                          allow_unused=True, materialize_grads=True)
        return [*results, *gradients]

    return both


@family("normalisation", SHORT + LONG[:1], lambda n: numbers(3, n), lambda n: numbers(n),
        lambda n: np.abs(numbers(n)) + 1)
@recorded
def _(x, w, v):
    channels = x.t().reshape(1, -1, 3)
    return [F.softmax(x, 1), F.softmax(x, 0), F.log_softmax(x, 1), F.layer_norm(x, w.shape, w, v),
            F.rms_norm(x, w.shape, w), F.batch_norm(channels, None, None, w, v, True),
            F.batch_norm(channels, w.detach(), v.detach()), F.group_norm(channels, 1, w, v)]


@family("losses", SHORT, lambda n: numbers(5, n), lambda n: positions(5, n))
@recorded
def _(x, classes):
    smooth = F.cross_entropy(x, classes, label_smoothing=0.1)
    return [F.cross_entropy(x, classes), smooth, F.nll_loss(x, classes), F.mse_loss(x, x * 2),
            F.huber_loss(x, x * 3), F.binary_cross_entropy_with_logits(x, x.sigmoid())]


@family("windows", (3, 4, 8, 9, 17), lambda n: numbers(2, 3, n, n + 1))
@recorded
def _(x):
    return [F.max_pool2d(x, 2), F.max_pool2d(x, 3, 1, 1), F.avg_pool2d(x, 3, 2, 1),
            F.adaptive_avg_pool2d(x, 2), F.adaptive_max_pool2d(x, 3), F.unfold(x, 2),
            F.interpolate(x, scale_factor=1.5, mode="bilinear"), F.pad(x, (1, 2, 0, 1)),
            F.pad(x, (1, 2, 2, 1), mode="reflect"), F.max_pool1d(x[0], 2), F.lp_pool2d(x, 2, 2)]


for _shape in ((1, 1, 1), (3, 19, 1), (4, 4, 4), (17, 5, 1), (6, 4, 2)):
    @family(f"convolutions {_shape}", (3, 8, 9, 17),
            lambda n, s=_shape: numbers(2, s[0], n, n),
            lambda n, s=_shape: numbers(s[1], s[0] // s[2], 3, 3),
            lambda n, s=_shape: numbers(s[1]))
    def _(x, w, b, g=_shape[2]):
        def all_of_them(x, w, b):
            line, flat = w[:, :, 0], x[:, :, 0]
            y = F.conv2d(x, w, b, padding=1, groups=g)
            found = [y, F.conv2d(x, w, b, 2, 1, groups=g),
                     F.conv2d(x, w[:, :, :1, :1], b, groups=g),
                     F.conv1d(flat, line, b, padding=2, dilation=2, groups=g),
                     F.conv_transpose2d(y, w, None, 2, 1, groups=g),
                     F.conv3d(x[:, :, None], w[:, :, None], b, padding=1, groups=g)]
            if x.shape[2] > 4:
                found.append(F.conv2d(x, w, b, padding=0, dilation=2, groups=g))
            return found

        return recorded(all_of_them)(x, w, b)


# --- linear algebra -------------------------------------------------------------------------------
for _type in ("float32", "int64", "bfloat16", "complex64"):
    for _depth in (1, 33, 400):
        @family(f"products {_type} {_depth}", (1, 2, 8, 17, 65),
                lambda n, k=_depth: numbers(2, n, k), lambda n, k=_depth: numbers(2, k, n + 1))
        def _(x, y, d=_type):
            x, y = x.to(getattr(cresset, d)), y.to(getattr(cresset, d))
            a, b = x[0], y[0]
            turned = b.t().contiguous()
            return [a @ b, x @ y, a @ b[:, 0], a[0] @ b, a[0] @ a[0], a @ turned.t(),
                    a.t().contiguous().t() @ b, a[:, ::2] @ b[::2], cresset.addmm(b[0], a, b),
                    F.linear(a, turned), x @ b, cresset.outer(a[:, 0], b[0])]


for _type in ("float32", "float64"):
    @family(f"packed products {_type}", (301,),
            lambda n, d=_type: numbers(n, 700, dtype=d),
            lambda n, d=_type: numbers(700, 2 * n + 1, dtype=d))
    def _(x, y):
        columns, rows = x.t().contiguous().t(), y.t().contiguous().t()
        return [x @ y, columns @ y, x @ rows, columns @ rows, x[:, ::2] @ y[::2, ::2]]


for _type in ("float32", "int8", "complex64"):
    @family(f"empty products {_type}", (0, 3), lambda n: numbers(n, 0), lambda n: numbers(0, 4),
            lambda n: numbers(0, n))
    def _(x, y, z, d=_type):
        x, y, z = (operand.to(getattr(cresset, d)) for operand in (x, y, z))
        return [x @ y, y.t() @ z, z @ x]


@family("solving", (1, 4, 7, 8, 17, 65), lambda n: numbers(2, n, n),
        lambda n: numbers(2, n, 3))
def _(x, b):
    x = x + 40 * cresset.eye(x.shape[1])
    lower = x.tril()
    return [cresset.linalg.solve_triangular(lower, b, upper=False),
            cresset.linalg.solve_triangular(x.triu(), b, upper=True),
            *cresset.linalg.lu_factor(x), *cresset.linalg.lu(x.double()),
            cresset.linalg.solve_triangular(lower.mT.to(cresset.complex64),
                                            b.to(cresset.complex64), upper=True)]


@family("attention", (1, 3, 8, 17, 65), lambda n: numbers(2, 3, n, 8),
        lambda n: numbers(2, 3, n, 8))
@recorded
def _(q, k):
    return [F.scaled_dot_product_attention(q, k, k), F.scaled_dot_product_attention(
        q, k, q, is_causal=True)]


@family("recurrence", SHORT, lambda n: numbers(3, 2, n) / 9)
def _(x):
    n = x.shape[2]
    found = []
    for kind in (cresset.nn.LSTM, cresset.nn.GRU, cresset.nn.RNN):
        cresset.manual_seed(0)
        layer = kind(n, n + 1)
        y = layer(x)[0]
        y.sum().backward()
        found += [y, *[p.grad for p in layer.parameters()]]
    return found


# --- copies ---------------------------------------------------------------------------------------
for _type in ("float32", "int8", "int16", "complex128", "bfloat16"):
    @family(f"copies {_type}", SHORT + LONG[:2], lambda n: numbers(3, n, 2))
    def _(x, d=_type):
        x = x.to(getattr(cresset, d))
        return [x.permute(2, 1, 0).contiguous(), x[:, ::2].contiguous(), x.flip(0, 1), x.roll(3, 1),
                cresset.cat([x, x[:, 1:]], 1), cresset.stack([x, x], 3), x.repeat(2, 1, 3),
                x.permute(1, 0, 2).reshape(-1), x.repeat_interleave(2, 1), x.mT.clone(),
                x.to(cresset.float32), x.to(cresset.float16), x[..., 0].t() + x[..., 1].t(),
                x.expand(2, *x.shape).contiguous()]


@family("float8", SHORT, lambda n: numbers(3, n))
def _(x):
    small = [getattr(cresset, name) for name in ("float8_e4m3fn", "float8_e5m2")
             if hasattr(cresset, name)]
    return [x.to(d).to(cresset.float32) for d in small]


@family("special functions", SHORT, lambda n: np.abs(numbers(n)) + 0.5)
def _(x):
    names = ("gammaln", "digamma", "erfinv", "i0", "i1e", "bessel_j0", "bessel_y1", "ndtri",
             "expit", "xlog1py", "zeta", "sinc", "log_ndtr", "erfcx")
    special = cresset.special
    return [getattr(special, name)(*[x / 20] * (2 if name in ("xlog1py", "zeta") else 1))
            for name in names]


@family("optimizers", SHORT + LONG[:1], lambda n: numbers(n))
def _(x):
    found = []
    for kind in ("SGD", "Adam", "AdamW", "RMSprop", "Adagrad"):
        parameters = [x.clone().requires_grad_(), x[:1].clone().requires_grad_()]
        optimizer = getattr(cresset.optim, kind)(parameters, lr=0.1)
        for _ in range(2):
            for p in parameters:
                p.grad = cresset.ones_like(p)
            optimizer.step()
        found += parameters
    return found


# --- compiled programs ----------------------------------------------------------------------------
for _depth in (5, 300):
    @family(f"epilogues {_depth}", AROUND[1:], lambda n, k=_depth: numbers(n, k),
            lambda n, k=_depth: numbers(k, n + 8), lambda n: numbers(n, n + 8),
            lambda n: numbers(1, 3, n, n), lambda n: numbers(7, 3, 3, 3))
    def _(a, b, c, x, w):
        """Products and convolutions with loops over their results."""
        def function(a, b, c, x, w):
            c += a @ b
            return (a @ b).abs() * c, F.conv2d(x, w, padding=1).relu() + 1, c

        own, least = cresset.compile(function), loop_fusion.LEAST_BYTES
        loop_fusion.LEAST_BYTES = 0
        try:
            return [own(a, b, c.clone(), x, w) for _ in range(4)][-1]
        finally:
            loop_fusion.LEAST_BYTES = least


# --- recurrences ----------------------------------------------------------------------------------
for _kind, _gates in (("tanh", 1), ("lstm", 4), ("gru", 3)):
    @family(f"recurrent layer {_kind}", (1, 3, 4, 6, 16), lambda n: numbers(2, n, 16) / 8,
            lambda n, g=_gates: numbers(g * 16, 16) / 8)
    def _(state, weight, kind=_kind, gates=_gates):
        """Batches that read the weights in panels, and others; hidden sizes of one panel and none.
        """
        found = []
        for hidden, backwards in ((16, False), (5, True)):
            w = weight[: gates * hidden, :hidden].clone().requires_grad_()
            h, c = state[:, :, :hidden].clone().requires_grad_().unbind()
            first = (h, c) if kind == "lstm" else (h,)
            inputs = h.repeat(3, 1, gates) / 2
            out = Scan.apply(kind, backwards, inputs, w, None, None, *first)[: len(first)]
            found += [*out, *cresset.autograd.grad(sum(x.sum() for x in out), (w, *first))]
        return [x.detach() for x in found]
