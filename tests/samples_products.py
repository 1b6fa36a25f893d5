"""Samples of products, losses and attention."""

from __future__ import annotations

from dataclasses import replace

from operands import index, positive, probability, real, truth
from sample import sample


def products():
    shapes = [
        ((2, 3), (3, 4)), ((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 2)), ((2, 2, 3), (2, 3, 2)),
        ((2, 1, 2, 3), (3, 3, 1)), ((2, 2, 3), (3,)), ((3,), (2, 3, 2)), ((1, 1), (1, 1)),
    ]
    for left, right in shapes:
        yield sample("matmul", real(*left), real(*right)).within(8, 10)
    for left, right in [((0, 3), (3, 2)), ((2, 0), (0, 3)), ((17, 33), (33, 9)),
                        ((7, 100), (100, 20)), ((3, 8, 5), (3, 5, 16))]:
        yield sample("matmul", real(*left), real(*right)).within(16, 100).constant()
    yield sample("mm", real(2, 3), real(3, 2)).within(8, 10)
    yield sample("bmm", real(2, 2, 3), real(2, 3, 2)).within(8, 10)
    yield sample("mv", real(2, 3), real(3)).within(8, 10)
    yield sample("dot", real(5), real(5)).within(8, 10)
    yield sample("outer", real(2), real(3))
    yield sample("ger", real(2), real(3))
    yield sample("vdot", real(5), real(5)).within(8, 10)
    for left, right in [((3,), (3,)), ((2, 3), (3,)), ((2, 3), (2, 2, 3)), ((), (2, 3))]:
        yield sample("inner", real(*left), real(*right)).within(8, 10)
    for left, right in [((2,), (3,)), ((2, 3), (2, 2)), ((2,), (2, 1, 2)), ((), (2,)),
                        ((0, 2), (2, 2))]:
        yield sample("kron", real(*left), real(*right))
    for left, right, dims in [
        ((2, 3), (3, 2), 1), ((2, 3), (2, 3), 2), ((2,), (3,), 0), ((2, 1, 3), (3, 2), ([2], [0])),
        ((2, 3, 2), (3, 2, 2), ([1, 0], [0, 2])), ((2, 1), (3, 2), ([1], [0])),
        ((2, 3), (2, 3), ([-1], [-1])), ((0, 2), (2, 3), 1), ((2, 0), (0, 3), 1),
    ]:
        yield sample("tensordot", real(*left), real(*right), dims=dims).within(8, 20)
    yield sample("cosine_similarity", real(2, 3), real(2, 3)).within(16, 2)
    yield sample("addmm", real(3), real(2, 3), real(3, 3)).within(8, 10)
    yield sample("addmm", real(2, 3), real(2, 2), real(2, 3), beta=2, alpha=3).within(8, 30)
    for shape in ((2, 2), (2, 1), ()):
        yield sample("addmm", real(*shape), real(2, 3), real(3, 2), beta=-1).within(8, 20)
    yield sample("baddbmm", real(2, 2, 2), real(2, 2, 3), real(2, 3, 2)).within(8, 10)
    yield sample("baddbmm", real(2, 1), real(2, 2, 3), real(2, 3, 2), beta=2, alpha=2).within(8, 30)
    yield sample("addbmm", real(2, 2), real(3, 2, 2), real(3, 2, 2)).within(8, 20)
    yield sample("addbmm", real(2), real(2, 2, 3), real(2, 3, 2), beta=2, alpha=-1).within(8, 30)
    yield sample("addmv", real(2), real(2, 3), real(3)).within(8, 10)
    yield sample("addmv", real(1), real(2, 3), real(3), beta=2, alpha=3).within(8, 30)
    yield sample("addr", real(2, 3), real(2), real(3)).within(2, 10)
    yield sample("addr", real(3), real(2), real(3), beta=2, alpha=3).within(2, 30)
    yield sample("nn.functional.linear", real(2, 3), real(4, 3)).within(8, 10)
    yield sample("nn.functional.linear", real(2, 2, 3), real(2, 3), real(2)).within(8, 10)
    yield sample("nn.functional.linear", real(3), real(2, 3), real(2)).within(8, 10)
    yield sample("nn.functional.linear", real(9, 33), real(17, 33), real(17)
                 ).within(16, 50).constant()
    yield sample("nn.functional.bilinear", real(2, 2), real(2, 3), real(2, 2, 3), real(2)
                 ).within(16, 30)
    for equation, *terms in (
        ("ij,jk->ik", (2, 3), (3, 2)), ("ij,kj", (2, 3), (2, 3)), ("bij,bjk->bik", (2, 2, 3),
        (2, 3, 2)), ("i,j->ij", (2,), (3,)), ("ii->i", (3, 3)), ("ii", (3, 3)), ("ij->ji", (2, 3)),
        ("ij->", (2, 3)), ("i,i,i->", (3,), (3,), (3,)), ("bhi,bhj->bij", (2, 2, 2), (2, 2, 3)),
        ("ab,b->a", (2, 3), (3,)), ("...ij,...jk->...ik", (2, 2, 3), (2, 3, 2)),
        ("i...,i...", (2, 3), (2, 3)), ("...i,i...->...", (2, 3), (3,)), ("ij,jk", (2, 3), (1, 2)),
        ("iji->j", (2, 3, 2)), ("iij,ijj->ij", (2, 2, 3), (2, 3, 3)), ("bA,Ba", (2, 1), (2, 2)),
        ("ij,k->i", (2, 3), (2,)), ("i,j,k->kij", (2,), (1,), (3,)), ("i , i -> ", (3,), (3,)),
        ("...->...", (2, 3)), ("...ij->...ji", (2, 2, 3)), ("ij...,j...", (2, 3, 2), (3, 1)),
        (",ij->ji", (), (2, 3)), ("ab,bc,cd->ad", (2, 3), (3, 2), (2, 2)), ("ij,ij->", (0, 2),
        (0, 2)), ("ij,jk->ik", (2, 0), (0, 3)), ("abc,bd,d->ac", (2, 2, 2), (2, 3), (3,)),
    ):
        yield sample("einsum", equation, *[real(*term) for term in terms]).within(8, 20)
    yield sample("einsum", real(2, 3), [0, 1], real(3, 2), [1, 2], [2, 0]).within(8, 20)
    yield sample("einsum", real(2, 3), [0, 1], real(3, 2), [1, 51]).within(8, 20)
    yield sample("einsum", real(2, 2, 3), [Ellipsis, 1], real(3), [1], [Ellipsis]).within(8, 20)
    yield sample("einsum", "ij,jk", [real(2, 3), real(3, 2)]).within(8, 20)


    yield sample("trace", real(3, 3)).within(8, 5)
    yield sample("trace", real(2, 3)).within(8, 5)
    yield sample("Tensor.trace", real(3, 2)).within(8, 5)
    yield sample("trace", real(0, 3)).constant()


def distances():
    for p in (2.0, 1.0, 3.0, 0.5, 0.0):
        yield sample("cdist", real(2, 3), real(3, 3), p).within(64, 6)
        yield sample("nn.functional.pdist", real(3, 2), p).within(64, 6)
    # Several differences may be the greatest, where there is no gradient.
    yield sample("cdist", real(2, 3), real(3, 3), float("inf")).within(64, 6).constant()
    yield sample("cdist", positive(2, 1), positive(3, 1), float("inf")).within(64, 6)
    yield sample("nn.functional.pdist", positive(3, 1), float("inf")).within(64, 6)
    yield sample("cdist", real(2, 2, 2), real(1, 2)).within(16, 6)
    yield sample("cdist", real(2, 3), real(2, 3),
                 compute_mode="use_mm_for_euclid_dist").within(64, 6)
    yield sample("cdist", real(40, 3), real(2, 3)).within(1000, 6).constant()
    yield sample("cdist", real(40, 3), real(2, 3),
                 compute_mode="donot_use_mm_for_euclid_dist").within(16, 6).constant()
    for shapes in (((0, 2), (3, 2)), ((2, 0), (3, 0)), ((2, 0, 1), (2, 1, 1))):
        yield sample("cdist", *[real(*shape) for shape in shapes]).constant()
    yield sample("pairwise_distance", real(2, 3), real(2, 3)).within(16, 6)
    yield sample("pairwise_distance", real(2, 3), real(3), 1.0, keepdim=True).within(16, 6)


def losses():
    functional = "nn.functional."
    for reduction_name in ("mean", "sum", "none"):
        how = {"reduction": reduction_name}
        for name in ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss"):
            yield sample(functional + name, real(2, 3), real(2, 3), **how).within(8, 10)
        logits = functional + "binary_cross_entropy_with_logits"
        yield sample(logits, real(2, 3), probability(2, 3), **how).within(8, 4)
        # PyTorch holds the logarithms above -100, but not in the gradient by the target.
        yield sample(functional + "binary_cross_entropy", probability(2, 3), probability(2, 3),
                     **how).within(16, 10).without_ties()
        yield sample(functional + "kl_div", real(2, 3), probability(2, 3), **how).within(8, 10)
        yield sample(functional + "cross_entropy", real(4, 3), index(4, below=3), **how
                     ).within(8, 10)
        yield sample(functional + "cross_entropy", real(2, 3, 2), index(2, 2, below=3), **how
                     ).within(8, 10)
        yield sample(functional + "cross_entropy", real(4, 3), index(4, below=3), positive(3),
                     ignore_index=1, label_smoothing=0.1, **how).within(16, 10)
        yield sample(functional + "cross_entropy", real(4, 3), probability(4, 3), **how
                     ).within(16, 10)
        yield sample(functional + "nll_loss", real(4, 3), index(4, below=3), **how).within(8, 10)
        yield sample(functional + "nll_loss", real(4, 3), index(4, below=3), positive(3),
                     ignore_index=2, **how).within(8, 10)
    for reduction in ("none", "sum", "mean"):
        for name in ("l1_loss", "mse_loss"):
            yield sample(functional + name, real(2, 3), real(2, 3), weight=positive(2, 3),
                         reduction=reduction).within(8, 10)
    yield sample(functional + "smooth_l1_loss", real(2, 3), real(2, 3), beta=0.5).within(8, 10)
    yield sample(functional + "huber_loss", real(2, 3), real(2, 3), delta=0.5).within(8, 10)
    yield sample(logits, real(2, 3), probability(2, 3), pos_weight=positive(3)).within(8, 10)
    yield sample(functional + "kl_div", real(2, 3), real(2, 3), log_target=True,
                 reduction="batchmean").within(8, 10)
    yield sample(functional + "cross_entropy", real(3), index(below=3)).within(8, 10)
    yield sample(functional + "cross_entropy", real(4, 3), index(4, below=3), ignore_index=1
                 ).within(8, 10)


def attention():
    name = "nn.functional.scaled_dot_product_attention"
    q, k, v = real(2, 3, 2), real(2, 4, 2), real(2, 4, 2)
    yield sample(name, q, k, v).within(16, 3)
    yield sample(name, q, k, v, scale=0.3).within(16, 3)
    yield sample(name, q, k, v, truth(3, 4)).within(16, 3)
    yield sample(name, q, k, v, real(3, 4)).within(16, 3)
    yield sample(name, real(1, 2, 3, 2), real(1, 2, 3, 2), real(1, 2, 3, 2), is_causal=True
                 ).within(16, 3)
    yield sample(name, real(1, 2, 2, 2), real(1, 1, 2, 2), real(1, 1, 2, 2), enable_gqa=True
                 ).within(16, 3)
    # From four queries on no scores are stored.
    q, k, v = real(1, 2, 5, 2), real(1, 2, 4, 2), real(1, 2, 4, 3)
    yield replace(sample(name, q, k, v), every_type=True).within(16, 3)
    yield sample(name, q, k, v, is_causal=True, scale=0.4).within(16, 3)
    yield sample(name, q, k, v, truth(5, 4)).within(16, 3)
    yield sample(name, q, k, v, real(2, 1, 4)).within(16, 3)
    yield sample(name, q, real(1, 4, 2), real(1, 1, 4, 2), real(5, 1)).within(16, 3)
    yield sample(name, real(4, 5, 2), real(2, 3, 2), real(2, 3, 2), truth(4, 1, 3), enable_gqa=True
                 ).within(16, 3)
    yield sample(name, real(2, 4, 0), real(2, 3, 0), real(2, 3, 2)).within(16, 3)
    yield sample(name, real(0, 4, 2), real(0, 3, 2), real(0, 3, 2)).within(16, 3)
    for queries, keys, depth, width in [(40, 131, 17, 9), (150, 70, 8, 33)]:
        q, k, v = real(2, queries, depth), real(2, keys, depth), real(2, keys, width)
        yield sample(name, q, k, v).within(32, 3).constant()
        yield sample(name, q, k, v, is_causal=True).within(32, 3).constant()
        yield sample(name, q, k, v, truth(queries, keys)).within(32, 3).constant()
