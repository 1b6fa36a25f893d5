"""What nodes of the graph are called: what tensors print as their `grad_fn`, as in PyTorch."""

from __future__ import annotations

import warnings

import pytest
from sample import built
from samples import SAMPLES

import cresset

# --- what is meant to differ, by the reason -------------------------------------------------------
DIFFER = {
    "made of operations of which the last is another one than in PyTorch": """
        atleast_3d einsum frobenius_norm kron nanquantile nn.functional.bilinear
        nn.functional.instance_norm nn.functional.local_response_norm
        nn.functional.scaled_dot_product_attention norm_except_dim pairwise_distance quantile
        repeat_interleave tensordot trapezoid trapz""",
    "made of operations; PyTorch has a node of its own for it": """
        index_fill nn.functional.affine_grid nn.functional.grid_sample nn.functional.interpolate
        nn.functional.max_unpool1d nn.functional.max_unpool2d nn.functional.max_unpool3d
        rrelu special.ndtr""",
    "one operation for all numbers of dims; PyTorch takes a signal as an image": """
        nn.functional.adaptive_avg_pool1d nn.functional.adaptive_max_pool1d
        nn.functional.avg_pool1d nn.functional.max_pool1d""",
    "pieces are made by one operation, whatever their sizes": """
        hsplit split_with_sizes tensor_split vsplit""",
    "PyTorch records a node that raises when gradients reach it; here they have a meaning": """
        Tensor.__rfloordiv__ Tensor.__rmod__ floor_divide""",
    "PyTorch records a node that raises, or gives zeros; here nothing is recorded": """
        bernoulli binomial histogram poisson""",
    "overwritten by what has no gradient, as by a fill": """
        Tensor.bernoulli_ Tensor.cauchy_ Tensor.exponential_ Tensor.fill_ Tensor.geometric_
        Tensor.log_normal_ Tensor.normal_ Tensor.random_ Tensor.uniform_ Tensor.zero_""",
    "a write into all of a tensor is one into a part of it": "Tensor.copy_",
    "conjugates are computed at once": "adjoint conj",
    "+x is a copy": "positive",
    "one rule serves numbers and tensors": "special.xlog1py special.zeta",
    "one node for each tensor of the list": [
        s.name for s in SAMPLES if s.name.startswith("_foreach_")],
    "a copy, of whatever view": [s.name for s in SAMPLES if s.name.endswith("_copy")],
    "a write into a view of a copy": [s.name for s in SAMPLES if s.name.endswith("_scatter")],
    "PyTorch has no gradient of it; here it has one": [
        s.name for s in SAMPLES if s.name.startswith("special.") and "bessel" in s.name],
}
MEANT = {
    name for names in DIFFER.values()
    for name in (names.split() if isinstance(names, str) else names)
}


def names_of(package, sample):
    """The name of each result's node, None where there is none; or the error."""
    leaves = [package.from_numpy(a) for a in built(sample, "float32")]
    for x in leaves:
        if x.is_floating_point() or x.is_complex():
            x.requires_grad_()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            result = sample.call(package, leaves)
    except Exception as error:
        return error
    parts = result if isinstance(result, (tuple, list)) else (result,)
    nodes = [part.grad_fn for part in parts if isinstance(part, package.Tensor)]
    return [node and node.name().rsplit("::")[-1] for node in nodes]


# Of other forms than the first, which shapes and further arguments choose.
OTHER_FORMS = {
    "of one image alone: what takes the batch's dim away": """
        nn.functional.avg_pool2d nn.functional.avg_pool3d nn.functional.max_pool2d
        nn.functional.max_pool3d nn.functional.unfold""",
    "made of operations of which the last is another one than in PyTorch": """
        cdist diag matmul meshgrid nn.functional.conv1d nn.functional.cross_entropy
        nn.functional.mse_loss Tensor.sum_to_size vander""",
    "made of operations; PyTorch has a node of its own for it": "nn.functional.pad normal",
    "PyTorch has the operation once more, for a number": "cumulative_trapezoid scatter",
    "pieces are made by one operation, whatever their sizes": "chunk split",
    "a write into all of a tensor is one into a part of it": "Tensor.__setitem__",
    "x[()] takes nothing away": "Tensor.__getitem__",
    "one mask alone is filled": "index_put",
    "PyTorch records a node that raises; here nothing is recorded, or has a gradient": """
        bincount conj_physical unique""",
}
ALSO_MEANT = {name for names in OTHER_FORMS.values() for name in names.split()}


BY_NAME: dict = {}
for _sample in SAMPLES:
    if _sample.operands:
        BY_NAME.setdefault(_sample.name, []).append(_sample)


@pytest.mark.parametrize("name", BY_NAME)
def test_name(name, torch):
    for sample in BY_NAME[name]:
        expected, got = names_of(torch, sample), names_of(cresset, sample)
        meant = name in MEANT or not sample.leads and name in ALSO_MEANT
        if not isinstance(expected, Exception) and not isinstance(got, Exception):
            assert got == expected or meant, f"{sample.id}: {got} instead of {expected}"
