"""Operations: their kinds, and every declared one by name.

    from cresset.ops import elementwise, reduce, view, composite, special, update

declare new ones; the names of the declared ones are found here as well.
"""

import importlib

from cresset.core import scalar
from cresset.ops.kinds import (
    composite,
    elementwise,
    overwrite,
    reduce,
    special,
    update,
    view,
)
from cresset.ops.operation import registry

__all__ = ["composite", "elementwise", "overwrite", "reduce", "registry", "scalar", "special",
           "update", "view"]

# Modules of declarations, in an order in which each finds what it builds on.
MODULES = (
    "arithmetic", "comparison", "exponential", "reduction", "extremes", "conversion", "creation",
    "shape", "attributes", "exchange", "indexing", "gathering", "advanced_indexing",
    "joining", "products", "random",
    "ordering", "normalization", "printing", "activation", "similarity", "convolution", "pooling",
    "attention", "loss",
)
# Those whose functions are public at the top level as well; the others are those of
# `nn.functional`.
TOP_LEVEL = MODULES[: MODULES.index("activation")]


def functions(module: str) -> dict:
    """The public functions that a module of declarations defines, by name."""
    found = importlib.import_module(f"cresset.ops.{module}")
    return {name: getattr(found, name) for name in getattr(found, "__all__", ())}


def __getattr__(name):
    for module in MODULES:
        found = functions(module).get(name)
        if found is not None:
            globals()[name] = found
            return found
    raise AttributeError(f"module 'cresset.ops' has no attribute {name!r}")
