"""Operations: their kinds, and every declared one by name.

    from cresset.ops import elementwise, reduce, view, composite, special, hosted, update

declare new ones; the names of the declared ones are found here as well.
"""

import importlib
from functools import cache

from cresset.core import scalar
from cresset.ops.arguments import guard
from cresset.ops.dispatch import made_anew
from cresset.ops.kinds import (
    composite,
    elementwise,
    hosted,
    overwrite,
    reduce,
    special,
    update,
    view,
)
from cresset.ops.operation import registry

__all__ = ["composite", "elementwise", "hosted", "made_anew", "overwrite", "reduce", "registry",
           "scalar", "special", "update", "view"]

# Modules of declarations by group, in an order in which each finds what it builds on. `fft` and
# `linalg` load those that only they show.
GROUPS = {
    "reductions": (
        "reduction", "extremes", "norms", "agreement", "statistics", "scans", "calculus",
        "normalization",
    ),
    "memory": ("conversion", "attributes", "resizing", "storages"),
    "creation": (
        "tensors", "counted", "spaces", "grids", "inclusive_range", "signal_windows", "legacy",
    ),
    "shapes": (
        "shape", "broadcasting", "splitting", "view_changes", "view_copies", "joining",
        "rearranging", "stacking", "diagonals", "shuffles",
    ),
    "exchange": (
        "numbers", "arrays", "dlpack", "sharing", "pickling", "array_api", "standard",
        "printing",
    ),
    "indexing": ("basic", "gathering", "masks", "advanced", "selecting"),
    "products": ("matrix_products", "added_products", "contractions", "distances"),
    "random_numbers": ("random", "sampling"),
    "ordering": ("sorting", "ranks", "histograms", "sets"),
    "linear_algebra": ("older_names", "low_rank"),
    "transforms": ("spectrograms",),
    "pointwise": (
        "arithmetic", "rounding", "comparison", "complex_numbers", "floating_point", "divisors",
        "exponential", "special_functions", "python_functions", "foreach",
    ),
    "neural": (
        "activation", "padding", "dropouts", "layer_forms", "embeddings", "similarity",
        "convolution", "pooling", "folding", "resampling", "sampling_grids", "attention", "loss",
        "recurrence",
    ),
}
MODULES = tuple(f"{group}.{module}" for group, modules in GROUPS.items() for module in modules)
# Namespaces of the functions that only `linalg` and `fft` show.
SPACES = {"linear_algebra": "linalg.", "transforms": "fft."}
# Those whose functions are public at the top level as well; the others are those of
# `nn.functional`.
TOP_LEVEL = tuple(module for module in MODULES if not module.startswith("neural."))


@cache
def functions(module: str) -> dict:
    """The public functions that a module of declarations defines, by name.

    With a function that needs one tensor alone comes its in-place form: `exp_`, `clamp_`.
    """
    found = importlib.import_module(f"cresset.ops.{module}")
    space = "" if module in MODULES else SPACES.get(module.partition(".")[0], "")
    public = guard(vars(found), getattr(found, "__all__", ()), space)
    for name, function in list(public.items()):
        op = getattr(function, "op", None)
        if op is not None and op.has_in_place and len(_required(op)) == 1:
            public[name + "_"] = function.in_place
    return public


def _required(op) -> list:
    """The parameters of an operation that have no default."""
    return [p.name for p in op.parameters if p.default is p.empty]


def __getattr__(name):
    for module in MODULES:
        found = functions(module).get(name)
        if found is not None:
            globals()[name] = found
            return found
    if name in registry:
        return registry[name].function
    raise AttributeError(f"module 'cresset.ops' has no attribute {name!r}")
