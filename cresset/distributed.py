"""Groups of processes, of one: Cresset does not compute on several machines or processes yet.

A program that is written for many, and started once, runs as it is: it joins a group of which it is
the only member, in which every collective operation is done when it is called. A larger group is
refused.

    >>> import cresset
    >>> cresset.distributed.init_process_group("gloo", rank=0, world_size=1)
    >>> x = cresset.ones(2)
    >>> cresset.distributed.all_reduce(x)
    >>> x, cresset.distributed.get_world_size()
    (tensor([1., 1.]), 1)
    >>> cresset.distributed.destroy_process_group()
"""

from __future__ import annotations

import os
from enum import Enum
from typing import Any

import cresset
from cresset import Tensor
from cresset.core.missing import found_late

__all__ = ["ProcessGroup", "ReduceOp", "Work", "all_gather", "all_gather_into_tensor",
           "all_gather_object", "all_reduce", "barrier", "broadcast", "broadcast_object_list",
           "destroy_process_group", "gather", "get_backend", "get_rank", "get_world_size", "group",
           "init_process_group", "is_available", "is_gloo_available", "is_initialized",
           "is_mpi_available", "is_nccl_available", "is_torchelastic_launched", "new_group",
           "reduce", "reduce_scatter", "reduce_scatter_tensor", "scatter"]


class ReduceOp(Enum):
    """What a reduction over processes does with their elements; of one process they stay."""

    SUM = "sum"
    AVG = "avg"
    PRODUCT = "product"
    MIN = "min"
    MAX = "max"
    BAND = "band"
    BOR = "bor"
    BXOR = "bxor"


class ProcessGroup:
    """Processes that compute together: this one."""

    def rank(self) -> int:
        """The number of this process, 0."""
        return 0

    def size(self) -> int:
        """How many processes there are, 1."""
        return 1


class group:
    """`group.WORLD` is the group of all processes, None before there is one."""

    WORLD: ProcessGroup | None = None


class Work:
    """An operation that was begun with `async_op=True`: it is done."""

    def wait(self, timeout: Any = None) -> bool:
        """True, at once."""
        return True

    def is_completed(self) -> bool:
        """True."""
        return True


def is_available() -> bool:
    """Whether there are groups of processes: yes, of one.

    >>> is_available() and not is_initialized()
    True
    """
    return True


def is_gloo_available() -> bool:
    """Whether the backend "gloo" may be asked for: yes."""
    return True


def is_nccl_available() -> bool:
    """Whether there is NVIDIA's library: no."""
    return False


def is_mpi_available() -> bool:
    """Whether there is MPI: no."""
    return False


def is_initialized() -> bool:
    """Whether this process is in a group."""
    return group.WORLD is not None


def is_torchelastic_launched() -> bool:
    """Whether `torchrun` has started this process."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def init_process_group(
    backend: str | None = None,
    init_method: str | None = None,
    timeout: Any = None,
    world_size: int = -1,
    rank: int = -1,
    store: Any = None,
    group_name: str = "",
    pg_options: Any = None,
    device_id: Any = None,
) -> None:
    """Joins the group of all processes.

    Its size and this process's number are `world_size` and `rank`, or of the environment variables
    `WORLD_SIZE` and `RANK`. Raises ValueError where they are not known or there is a group already,
    RuntimeError for a backend other than "gloo", NotImplementedError for more than one process.
    """
    if is_initialized():
        raise ValueError(
            "init_process_group: trying to initialize the default process group twice!; call "
            "destroy_process_group() first"
        )
    name = (backend or "gloo").lower()
    if "gloo" not in name:
        raise RuntimeError(
            f"init_process_group: Distributed package doesn't have {name.upper()} built in; need "
            "'gloo'"
        )
    size = world_size if world_size >= 0 else _variable("WORLD_SIZE")
    number = rank if rank >= 0 else _variable("RANK")
    if size != 1:
        raise NotImplementedError(
            f"init_process_group: Cresset computes in one process; got a world size of {size}; "
            "start the program once, with world_size=1"
        )
    if number != 0:
        raise ValueError(f"init_process_group: rank must be less than world_size; got {number}")
    group.WORLD = ProcessGroup()


def _variable(name: str) -> int:
    if name not in os.environ:
        raise ValueError(
            f"init_process_group: Error initializing torch.distributed using env:// rendezvous: "
            f"environment variable {name} expected, but not set; set it, or give {name.lower()}"
        )
    return int(os.environ[name])


def destroy_process_group(group: ProcessGroup | None = None) -> None:
    """Leaves the group; AssertionError where there is none."""
    assert is_initialized(), "destroy_process_group: there is no process group"
    globals()["group"].WORLD = None


def new_group(ranks: Any = None, *args: Any, **options: Any) -> ProcessGroup:
    """A group of some of the processes: of this one."""
    _joined()
    if ranks is not None and [*ranks] != [0]:
        raise ValueError(
            f"new_group: the new group's rank should be within the world_size set by "
            f"init_process_group; got {ranks}; need [0]"
        )
    return ProcessGroup()


def get_rank(group: ProcessGroup | None = None) -> int:
    """The number of this process in its group, 0; ValueError where there is none."""
    _joined()
    return 0


def get_world_size(group: ProcessGroup | None = None) -> int:
    """How many processes are in the group, 1; ValueError where there is none."""
    _joined()
    return 1


def get_backend(group: ProcessGroup | None = None) -> str:
    """What the group works by, "gloo"; ValueError where there is none."""
    _joined()
    return "gloo"


def barrier(group: Any = None, async_op: bool = False, device_ids: Any = None) -> Work | None:
    """Waits for the other processes: for none."""
    return _done(async_op)


def all_reduce(
    tensor: Tensor, op: ReduceOp = ReduceOp.SUM, group: Any = None, async_op: bool = False
) -> Work | None:
    """Has a tensor be what a reduction makes of all processes' tensors: it stays."""
    return _done(async_op, tensor)


def reduce(
    tensor: Tensor, dst: int = 0, op: ReduceOp = ReduceOp.SUM, group: Any = None,
    async_op: bool = False, group_dst: Any = None,
) -> Work | None:
    """`all_reduce`, of which process `dst` alone has the result."""
    return _done(async_op, tensor)


def broadcast(
    tensor: Tensor, src: int = 0, group: Any = None, async_op: bool = False, group_src: Any = None
) -> Work | None:
    """Has a tensor be that of process `src`: it stays."""
    return _done(async_op, tensor)


def broadcast_object_list(
    object_list: list[Any], src: int = 0, group: Any = None, device: Any = None,
    group_src: Any = None,
) -> None:
    """Has the objects in a list be those of process `src`: they stay."""
    _joined()


def all_gather(
    tensor_list: list[Tensor], tensor: Tensor, group: Any = None, async_op: bool = False
) -> Work | None:
    """Copies the tensors of all processes into those of a list, one for each."""
    _check(tensor, *tensor_list)
    _one("all_gather", tensor_list)
    _copy(tensor_list[0], tensor)
    return _done(async_op)


def gather(
    tensor: Tensor, gather_list: list[Tensor] | None = None, dst: int = 0, group: Any = None,
    async_op: bool = False, group_dst: Any = None,
) -> Work | None:
    """`all_gather`, of which process `dst` alone has the result."""
    return all_gather(gather_list or [], tensor, group, async_op)


def all_gather_into_tensor(
    output_tensor: Tensor, input_tensor: Tensor, group: Any = None, async_op: bool = False
) -> Work | None:
    """Copies the tensors of all processes, one after the other, into a tensor."""
    _check(output_tensor, input_tensor)
    _copy(output_tensor, input_tensor.view_as(output_tensor))
    return _done(async_op)


def all_gather_object(object_list: list[Any], obj: Any, group: Any = None) -> None:
    """Puts the objects of all processes into a list that has a place for each."""
    _joined()
    _one("all_gather_object", object_list)
    object_list[0] = obj


def scatter(
    tensor: Tensor, scatter_list: list[Tensor] | None = None, src: int = 0, group: Any = None,
    async_op: bool = False, group_src: Any = None,
) -> Work | None:
    """Copies into a tensor that one of a list of process `src` which is this process's."""
    return reduce_scatter(tensor, scatter_list or [], group=group, async_op=async_op)


def reduce_scatter(
    output: Tensor, input_list: list[Tensor], op: ReduceOp = ReduceOp.SUM, group: Any = None,
    async_op: bool = False,
) -> Work | None:
    """Copies into a tensor its part of the reduction of all processes' lists."""
    _check(output, *input_list)
    _one("reduce_scatter", input_list)
    _copy(output, input_list[0])
    return _done(async_op)


def reduce_scatter_tensor(
    output: Tensor, input: Tensor, op: ReduceOp = ReduceOp.SUM, group: Any = None,
    async_op: bool = False,
) -> Work | None:
    """Copies into a tensor its part of the reduction of all processes' tensors."""
    return all_gather_into_tensor(output, input, group, async_op)


def _joined() -> None:
    if not is_initialized():
        raise ValueError(
            "distributed: Default process group has not been initialized, please make sure to call "
            "init_process_group."
        )


def _check(*tensors: Any) -> None:
    _joined()
    for x in tensors:
        if not isinstance(x, Tensor):
            raise TypeError(
                f"distributed: Invalid function argument. Expected a torch.Tensor; got "
                f"{type(x).__name__}"
            )


def _one(operation: str, entries: list[Any]) -> None:
    if len(entries) != 1:
        raise ValueError(f"{operation}: need one entry for each process, 1; got {len(entries)}")


def _copy(target: Tensor, source: Tensor) -> None:
    with cresset.no_grad():
        target.copy_(source)


def _done(async_op: bool, *tensors: Any) -> Work | None:
    _check(*tensors)
    return Work() if async_op else None


__getattr__, __dir__ = found_late(globals())
