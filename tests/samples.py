"""The table of samples: the calls by which every operation is tested."""

from __future__ import annotations

from dataclasses import replace

import samples_complex
import samples_creation
import samples_elementwise
import samples_neural
import samples_ordering
import samples_products
import samples_rearranging
import samples_reductions
import samples_shape
import samples_special

FAMILIES = (
    samples_elementwise.arithmetic,
    samples_elementwise.comparison,
    samples_elementwise.exponential,
    samples_elementwise.activation,
    samples_special.floating_point,
    samples_special.special,
    samples_special.rough,
    samples_special.agreement,
    samples_special.foreach,
    samples_reductions.reductions,
    samples_reductions.normalization,
    samples_shape.views,
    samples_shape.indexing,
    samples_shape.replaced_views,
    samples_ordering.scans,
    samples_ordering.ordering,
    samples_ordering.ranks,
    samples_ordering.histograms,
    samples_ordering.sets,
    samples_ordering.statistics,
    samples_rearranging.joining,
    samples_rearranging.rearranging,
    samples_rearranging.diagonals,
    samples_rearranging.pieces,
    samples_rearranging.grids,
    samples_rearranging.padding,
    samples_rearranging.resampling,
    samples_rearranging.windows,
    samples_creation.conversion,
    samples_creation.creation,
    samples_creation.random,
    samples_products.products,
    samples_products.distances,
    samples_products.losses,
    samples_products.attention,
    samples_neural.convolutions,
    samples_neural.transposed_convolutions,
    samples_neural.pooling,
    samples_neural.columns,
    samples_complex.arithmetic,
    samples_complex.functions,
    samples_complex.parts,
    samples_complex.reductions,
    samples_complex.products,
    samples_complex.moving,
    samples_complex.creation,
)


def _numbered(found):
    counts: dict = {}
    for each in found:
        counts[each.name] = counts.get(each.name, -1) + 1
        yield replace(each, number=counts[each.name])


SAMPLES = list(_numbered(each for family in FAMILIES for each in family()))

# Operations under names that PyTorch does not have, by a sample that runs each, or its gradient.
INTERNAL = {
    "basic_index": "Tensor.__getitem__",
    "batch_norm_apply": "nn.functional.batch_norm",
    "batch_norm_backward": "nn.functional.batch_norm",
    "batch_norm_train": "nn.functional.batch_norm",
    "binary_cross_entropy_logit_terms": "nn.functional.binary_cross_entropy_with_logits",
    "binary_cross_entropy_terms": "nn.functional.binary_cross_entropy",
    "counts": "bincount",
    "cross_entropy_backward": "nn.functional.cross_entropy",
    "extremes": "aminmax",
    "hot_rows": "nn.functional.one_hot",
    "indexed_by_mask": "Tensor.__getitem__",
    "kl_log_terms": "nn.functional.kl_div",
    "kl_terms": "nn.functional.kl_div",
    "kth_least": "kthvalue",
    "binned": "histc",
    "bordered": "nn.functional.pad",
    "columns_of_blocks": "nn.functional.unfold",
    "blocks_of_columns": "nn.functional.fold",
    "layer_norm_backward": "nn.functional.layer_norm",
    "layer_norm_rows": "nn.functional.layer_norm",
    "linear_recurrence": "cumprod",
    "log_softmax_backward": "log_softmax",
    "log_softmax_rows": "log_softmax",
    "max_with_index": "max",
    "last_place": "bincount",
    "most_frequent": "mode",
    "member": "isin",
    "middle_of_all": "median",
    "min_with_index": "min",
    "nonzero_counts": "nonzero",
    "nonzero_rows": "nonzero",
    "normalized": "nn.functional.group_norm",
    "picked_backward": "nn.functional.nll_loss",
    "placed": "Tensor.__setitem__",
    "pulled": "cdist",
    "p_norm": "norm",
    "prelu_kernel": "nn.functional.prelu",
    "rms_rows": "rms_norm",
    "row_runs": "unique",
    "runs": "unique",
    "running_extreme": "cummax",
    "exponents": "frexp",
    "significands": "frexp",
    "scaled_softmax": "nn.functional.scaled_dot_product_attention",
    "attention": "nn.functional.scaled_dot_product_attention",
    "attention_backward": "nn.functional.scaled_dot_product_attention",
    "searched": "searchsorted",
    "shifted": "cumprod",
    "softmax_backward": "softmax",
    "triangle": "tril",
}

# Modules whose operations, and operations that, have files of tests of their own.
ELSEWHERE = {
    "cresset.ops.memory.conversion.as_meta": "test_device.py",
    "cresset.ops.neural.convolution": "test_contractions.py",
    "cresset.ops.transforms.fourier": "test_fourier.py",
    "cresset.ops.linear_algebra.factors": "test_linear_algebra.py",
    "cresset.ops.linear_algebra.functions": "test_linear_algebra.py",
    "cresset.ops.linear_algebra.ldl": "test_ldl.py",
    "cresset.ops.linear_algebra.least_squares": "test_linear_algebra.py",
    "cresset.ops.linear_algebra.lu": "test_linear_algebra.py",
    "cresset.ops.linear_algebra.spectra": "test_linear_algebra.py",
    "cresset.ops.linear_algebra.systems": "test_linear_algebra.py",
    "cresset.ops.linear_algebra.triangular": "test_linear_algebra.py",
    "cresset.ops.neural.pooling": "test_nn_layers.py",
    "cresset.ops.neural.recurrence": "test_nn_layers.py",
}
