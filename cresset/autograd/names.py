"""What PyTorch calls the nodes of a graph: `<SumBackward1>` for a sum over given dims.

The name is that of the operation with its words capitalised, and the number of the overload that
the arguments choose. Tensors print it, so doctests and people compare it.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from cresset.core.layout import Layout

# A letter at the start of a word is a capital, behind an underscore or a digit.
_STARTS = re.compile(r"(?:^|_|(?<=\d))([a-z])")


def node_name(node) -> str:
    """The name of an operation's node.

    >>> import cresset
    >>> x = cresset.ones(2, 3, requires_grad=True)
    >>> x.sum().grad_fn, x.sum(0).grad_fn, x[0].grad_fn, (x @ x.t()).grad_fn
    (<SumBackward0>, <SumBackward1>, <SelectBackward0>, <MmBackward0>)
    """
    rule = RULES.get(node.op.name)
    if hasattr(node, "label"):
        said = node.label
    else:
        said = rule(node.recipe.parameters, node.layouts) if rule else node.op.label
    words, _, overload = said.partition("#")
    stem = _STARTS.sub(lambda start: start[1].upper(), words)
    return f"{stem}Backward{overload or 0}"


def _along(name: str) -> Callable:
    """Reductions: the second overload takes dims."""
    return lambda parameters, layouts: name if parameters[1] is None else f"{name}#1"


def _index(parameters, layouts) -> str:
    """PyTorch applies the parts of an index one by one; the last that does anything counts."""
    for part in reversed(parameters[1]):
        if part is None:
            return "unsqueeze"
        if isinstance(part, int):
            return "select"
        if part is not Ellipsis and part[1:] != (None, None, None):
            return "slice"
    return "alias" if len(parameters[1]) > 1 or parameters[1] == (Ellipsis,) else "slice"


def _squeeze(parameters, layouts) -> str:
    dim = parameters[1]
    return "squeeze" if dim is None else "squeeze#2" if isinstance(dim, tuple) else "squeeze#1"


def _product(parameters, layouts) -> str:
    """PyTorch has an operation for each pair of ranks, and joins dims for others."""
    ranks = tuple(layout.ndim for layout in layouts[:2])
    known = {(1, 1): "dot", (2, 1): "mv", (2, 2): "mm", (3, 3): "bmm", (1, 2): "squeeze#4"}
    return known.get(ranks, "unsafe_view")


def _linear(parameters, layouts) -> str:
    rank, biased = layouts[0].ndim, layouts[2] is not None
    if rank == 2:
        return "addmm" if biased else "mm"
    return "view" if biased else "squeeze#4" if rank == 1 else "unsafe_view"


def _copy(parameters, layouts) -> str:
    return "clone" if parameters[1] in (None, layouts[0].dtype) else "to_copy"


def _other(name: str, number: str, place: int = 1) -> Callable:
    """One name where an operand, the second, is a tensor, another where it is a number."""
    return lambda parameters, layouts: name if isinstance(layouts[place], Layout) else number


def _always(name: str) -> Callable:
    """PyTorch has the operation under another name, or makes it of that one."""
    return lambda parameters, layouts: name


def _pooled(name: str) -> Callable:
    """PyTorch's name has the number of dims, and pools signals as images."""
    return lambda parameters, layouts: name.format(max(2, layouts[0].ndim - 2))


# By operation: what stands for the name, an overload other than the first behind a "#".
RULES: dict[str, Callable] = {
    "absolute_error": _always("abs"),
    "average_of_shares": _pooled("adaptive_avg_pool{}d"),
    "average_of_windows": _pooled("avg_pool{}d"),
    "basic_index": _index,
    "clamp": lambda parameters, layouts: "clamp" if layouts[1] or layouts[2] else "clamp#1",
    "clamp_max": _other("clamp_max#1", "clamp_max"),
    "clamp_min": _other("clamp_min#1", "clamp_min"),
    "copy_as": _copy,
    "copysign": _other("copysign", "copysign#1"),
    "fill_where": _other("masked_fill#1", "masked_fill", 2),
    "floor_divide": _always("div#2"),
    "fmod": _other("fmod#1", "fmod"),
    "greatest_of_shares": _pooled("adaptive_max_pool{}d"),
    "greatest_of_windows": _pooled("max_pool{}d_with_indices"),
    "imaginary_part": _always("select"),
    "kl_terms": _always("sub"),
    "lerp": _other("lerp#1", "lerp", 2),
    "linear": _linear,
    "logsigmoid": _always("log_sigmoid"),
    "matmul": _product,
    "mean": _along("mean"),
    "narrow": _always("slice"),
    "outer": _always("mul"),
    "power": _other("pow#1", "pow"),
    "prod": _along("prod"),
    "real_part": _always("select"),
    "relu6": _always("hardtanh"),
    "remainder": _other("remainder#1", "remainder"),
    "reverse_divide": _always("mul"),
    "reverse_sub": _other("rsub", "rsub#1"),
    "reverse_power": _always("pow#2"),
    "rms_rows": _always("mul"),
    "round_places": _always("round#1"),
    "running_extreme": lambda parameters, layouts: "cummax" if parameters[2] else "cummin",
    "scale_kept": _always("mul"),
    "selu": _always("elu"),
    "significands": _always("frexp"),
    "softsign": _always("div"),
    "squeeze": _squeeze,
    "sum": _along("sum"),
    "triangle": lambda parameters, layouts: "tril" if parameters[2] else "triu",
    "tanhshrink": _always("sub"),
    "trunc_divide": _always("div#2"),
}
for _norm in ("euclidean_norm", "p_norm"):
    RULES[_norm] = _always("linalg_vector_norm")
