"""The kinds of operation: an operation contributes its mathematics, its kind everything else."""

from cresset.ops.kinds.composite import composite
from cresset.ops.kinds.elementwise import elementwise
from cresset.ops.kinds.hosted import hosted
from cresset.ops.kinds.overwrite import overwrite
from cresset.ops.kinds.reduce import reduce
from cresset.ops.kinds.special import special
from cresset.ops.kinds.update import update
from cresset.ops.kinds.view import view

__all__ = ["composite", "elementwise", "hosted", "overwrite", "reduce", "special", "update", "view"]
