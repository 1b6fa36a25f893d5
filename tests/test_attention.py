"""Attention: what no sample shows. How results agree with PyTorch, samples do."""

from __future__ import annotations

import numpy
import pytest

import cresset
from cresset import Tensor
from cresset.nn.functional import scaled_dot_product_attention as attend


def composed(q: Tensor, k: Tensor, v: Tensor, mask=None, causal=False) -> Tensor:
    """The definition, over a matrix of scores."""
    scores = q @ k.mT / q.shape[-1] ** 0.5
    if causal:
        mask = cresset.ones(scores.shape[-2:], dtype=cresset.bool).tril()
    if mask is not None:
        scores = scores.masked_fill(~mask, float("-inf"))
    return scores.softmax(-1) @ v


def operands(*shapes, dtype=cresset.float64):
    cresset.manual_seed(0)
    return [cresset.randn(shape, dtype=dtype).requires_grad_() for shape in shapes]


def close(x, y, tolerance=1e-11):
    numpy.testing.assert_allclose(x.detach().numpy(), y.detach().numpy(), tolerance, tolerance)


# More queries and keys than a block holds, and neither a multiple of one.
MANY = ((2, 150, 9), (2, 170, 9), (2, 170, 20))


@pytest.mark.parametrize("causal", [False, True])
def test_blocks(causal):
    q, k, v = operands(*MANY)
    outs = attend(q, k, v, is_causal=causal), composed(q, k, v, causal=causal)
    close(*outs)
    g = cresset.randn_like(outs[0])
    for by_one, by_other in zip(*(cresset.autograd.grad(out, (q, k, v), g) for out in outs)):
        close(by_one, by_other)


def test_keys_shared_among_units():
    q, k, v = operands((5, 3), (1200, 3), (1200, 2))
    for by_one, by_other in zip(*(cresset.autograd.grad(f(q, k, v).sin().sum(), (q, k, v))
                                  for f in (attend, composed))):
        close(by_one, by_other)


@pytest.mark.parametrize("causal", [False, True])
def test_second_derivatives(causal):
    leaves = operands((2, 5, 3), (2, 4, 3), (2, 4, 2))
    assert cresset.autograd.gradgradcheck(
        lambda q, k, v: attend(q, k, v, is_causal=causal), leaves)


def test_the_gradient_of_a_mask():
    q, k, v, mask = operands((2, 5, 3), (2, 4, 3), (2, 4, 2), (5, 4))
    assert cresset.autograd.gradcheck(attend, (q, k, v, mask))


def test_queries_that_see_nothing():
    q, k, v = operands((5, 3), (4, 3), (4, 2))
    mask = cresset.ones(5, 4, dtype=cresset.bool)
    mask[2] = False
    out = attend(q, k, v, mask)
    assert out[2].tolist() == [0.0, 0.0]
    out.sum().backward()
    assert q.grad[2].tolist() == [0.0, 0.0, 0.0]
    assert bool(k.grad.isfinite().all())


def test_the_same_bits_for_any_number_of_threads():
    results = []
    for threads in (1, 2):
        before = cresset.get_num_threads()
        cresset.set_num_threads(threads)
        q, k, v = operands((2, 300, 16), (2, 600, 16), (2, 600, 16), dtype=cresset.float32)
        out = attend(q, k, v)
        out.sin().sum().backward()
        results.append([x.numpy().tobytes() for x in (out.detach(), q.grad, k.grad, v.grad)])
        cresset.set_num_threads(before)
    assert results[0] == results[1]


def test_no_scores_are_stored():
    q, k, v = operands((2000, 8), (2000, 8), (2000, 8), dtype=cresset.float32)
    before = cresset.memory_stats()["allocated_bytes.all.allocated"]
    attend(q, k, v, is_causal=True).sum().backward()
    assert cresset.memory_stats()["allocated_bytes.all.allocated"] - before < 2000 * 2000


def test_results_lie_as_the_operands():
    q, k, v = (x.transpose(1, 2) for x in operands((2, 6, 3, 4), (2, 7, 3, 4), (2, 7, 3, 5)))
    out = attend(q, k, v)
    assert out.transpose(1, 2).is_contiguous()
    for x, by_x in zip((q, k, v), cresset.autograd.grad(out.sum(), (q, k, v))):
        assert by_x.stride() == x.stride()


@pytest.mark.parametrize("shapes, words", [
    (((4, 3), (4, 2), (4, 2)), "do not fit together"),
    (((4, 3), (5, 3), (4, 2)), "do not fit together"),
    (((2, 4, 3), (3, 5, 3), (3, 5, 2)), "batch dims that broadcast"),
])
def test_shapes_that_do_not_fit(shapes, words):
    with pytest.raises(RuntimeError, match=words):
        attend(*operands(*shapes))


def test_masks_and_heads_that_do_not_fit():
    q, k, v = operands((2, 4, 3), (2, 5, 3), (2, 5, 3))
    with pytest.raises(RuntimeError, match="mask"):
        attend(q, k, v, cresset.ones(3, 2, 4, 5, dtype=cresset.bool))
    with pytest.raises(RuntimeError, match="cannot be grouped"):
        attend(*operands((3, 4, 3), (2, 5, 3), (2, 5, 3)), enable_gqa=True)
    with pytest.raises(RuntimeError, match="same dtype"):
        attend(q, k.float(), v)
