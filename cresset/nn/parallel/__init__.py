"""Models on several devices; on the processor there is one."""

from cresset.core.missing import missing
from cresset.nn.parallel.data_parallel import DataParallel, data_parallel

__all__ = ["DataParallel", "data_parallel"]


def __getattr__(name):
    raise missing("nn.parallel", name, globals())
