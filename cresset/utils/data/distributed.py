"""`DistributedSampler`: each of several processes takes its share of the samples."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sized
from typing import Any

import cresset
from cresset.utils.data.sampler import Sampler

__all__ = ["DistributedSampler"]


class DistributedSampler(Sampler[int]):
    """Every `num_replicas`-th number of a dataset, from the `rank`-th on, in an order for all.

    The order is random, drawn from `seed` and the epoch (`set_epoch` tells it, so that each has an
    order of its own), or that of the dataset. Where shares would differ, numbers from the start are
    taken once more, or left away at the end with `drop_last`. Without `num_replicas` and `rank`
    those of the process group are taken. Raises ValueError for a rank that none of the replicas
    has.

    >>> sampler = DistributedSampler(range(5), num_replicas=2, rank=1, shuffle=False)
    >>> list(sampler)
    [1, 3, 0]
    """

    def __init__(
        self,
        dataset: Sized,
        num_replicas: int | None = None,
        rank: int | None = None,
        shuffle: bool = True,
        seed: int = 0,
        drop_last: bool = False,
    ) -> None:
        if num_replicas is None:
            num_replicas = cresset.distributed.get_world_size()
        if rank is None:
            rank = cresset.distributed.get_rank()
        if not 0 <= rank < num_replicas:
            raise ValueError(
                f"DistributedSampler: Invalid rank {rank}, rank should be in the interval "
                f"[0, {num_replicas - 1}]"
            )
        self.dataset = dataset
        self.num_replicas = num_replicas
        self.rank = rank
        self.epoch = 0
        self.drop_last = drop_last
        share = len(dataset) / num_replicas
        self.num_samples = int(share) if drop_last else math.ceil(share)
        self.total_size = self.num_samples * num_replicas
        self.shuffle = shuffle
        self.seed = seed

    def __iter__(self) -> Iterator[int]:
        order: Any = range(len(self.dataset))
        if self.shuffle:
            generator = cresset.Generator().manual_seed(self.seed + self.epoch)
            order = cresset.randperm(len(self.dataset), generator=generator).tolist()
        order = [*order]
        if order:
            order *= math.ceil(self.total_size / len(order))
        return iter(order[self.rank : self.total_size : self.num_replicas])

    def __len__(self) -> int:
        return self.num_samples

    def set_epoch(self, epoch: int) -> None:
        """Has the next pass be in the order of an epoch."""
        self.epoch = epoch
