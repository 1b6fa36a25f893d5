"""What the tests of `compile` share."""

import cresset


def leaf(*values):
    return cresset.tensor(values, requires_grad=True)


def plays(compiled):
    """How many calls of a compiled function were played."""
    return sum(variant.plays for variant in compiled._variants)
