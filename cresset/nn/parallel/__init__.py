"""Models on several devices; on the processor there is one."""

from cresset.core.missing import found_late
from cresset.nn.parallel.data_parallel import DataParallel, data_parallel

__all__ = ["DataParallel", "DistributedDataParallel", "data_parallel"]

__getattr__, __dir__ = found_late(globals(), {"distributed": ("DistributedDataParallel",)})
