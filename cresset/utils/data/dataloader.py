"""`DataLoader`: batches of a dataset, one pass after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

import cresset
from cresset.utils.data.collate import default_collate, default_convert
from cresset.utils.data.dataset import IterableDataset, Subset, TensorDataset
from cresset.utils.data.sampler import (
    BatchSampler,
    RandomSampler,
    SequentialSampler,
    _fresh_seed,
)
from cresset.utils.data.workers import loaded


class DataLoader:
    """Iterates over a dataset in batches, in this process or with workers.

    `shuffle` draws a new order for each pass; a `sampler` gives another order, a `batch_sampler`
    whole lists of numbers; `drop_last` leaves out a last batch that is too short;
    `batch_size=None` gives single samples. `collate_fn` makes a list of samples a batch, by default
    `default_collate`. Each pass draws one number from `generator` (default: the global one), and
    shuffling another, as PyTorch does, so one seed gives PyTorch's order.

    With `num_workers` as many processes load ahead, `prefetch_factor` batches each (2); batches
    come in the same order all the same, unless `in_order=False`. A worker is seeded by its number,
    which `get_worker_info()` tells it, and calls `worker_init_fn` with it first; an error in one is
    raised here. `persistent_workers` keeps them for the next pass; otherwise they end with the
    pass. `timeout` is how many seconds to wait for a batch, 0 for any (RuntimeError);
    `multiprocessing_context` a context of `multiprocessing` or its name. `pin_memory` concerns
    devices and has no effect. Raises ValueError for options that exclude each other.

    >>> from cresset.utils.data import TensorDataset
    >>> loader = DataLoader(TensorDataset(cresset.arange(5)), batch_size=2)
    >>> [x.tolist() for x, in loader]
    [[0, 1], [2, 3], [4]]
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int | None = 1,
        shuffle: bool | None = None,
        sampler: Iterable[Any] | None = None,
        batch_sampler: Iterable[list[Any]] | None = None,
        num_workers: int = 0,
        collate_fn: Callable[[list[Any]], Any] | None = None,
        pin_memory: bool = False,
        drop_last: bool = False,
        timeout: float = 0,
        worker_init_fn: Callable[[int], None] | None = None,
        multiprocessing_context: Any = None,
        generator: Any = None,
        *,
        prefetch_factor: int | None = None,
        persistent_workers: bool = False,
        pin_memory_device: str = "",
        in_order: bool = True,
    ) -> None:
        if timeout < 0:
            raise ValueError(
                f"DataLoader: timeout option should be non-negative; got {timeout}; 0 waits as "
                "long as it takes"
            )
        if num_workers < 0:
            raise ValueError(
                f"DataLoader: num_workers option should be non-negative; got {num_workers}; use "
                "num_workers=0 to disable multiprocessing"
            )
        if num_workers == 0 and prefetch_factor is not None:
            raise ValueError(
                "DataLoader: prefetch_factor option could only be specified in multiprocessing; "
                "let num_workers > 0, or leave it out"
            )
        if num_workers == 0 and persistent_workers:
            raise ValueError(
                "DataLoader: persistent_workers option needs num_workers > 0; got 0; leave it out"
            )
        self.dataset = dataset
        self.num_workers = num_workers
        self.pin_memory = pin_memory
        self.timeout = timeout
        self.worker_init_fn = worker_init_fn
        self.multiprocessing_context = multiprocessing_context
        self.prefetch_factor = prefetch_factor or 2
        self.persistent_workers = persistent_workers
        self.in_order = in_order
        self._workers: Any = None
        self.generator = generator
        self._streams = isinstance(dataset, IterableDataset)
        if self._streams:
            self._refuse_order(shuffle, sampler, batch_sampler)
        if sampler is not None and shuffle:
            raise ValueError(
                "DataLoader: sampler option is mutually exclusive with shuffle; leave one out; the "
                "sampler gives the order"
            )
        if batch_sampler is not None:
            if batch_size != 1 or shuffle or sampler is not None or drop_last:
                raise ValueError(
                    "DataLoader: batch_sampler option is mutually exclusive with batch_size, "
                    "shuffle, sampler, and drop_last; leave those out"
                )
            batch_size = None
        elif batch_size is None and drop_last:
            raise ValueError(
                "DataLoader: batch_size=None option disables auto-batching and is mutually "
                "exclusive with drop_last; leave that out"
            )
        if sampler is None and not self._streams:
            if shuffle:
                sampler = RandomSampler(dataset, generator=generator)
            else:
                sampler = SequentialSampler(dataset)
        if batch_size is not None and batch_sampler is None and not self._streams:
            batch_sampler = BatchSampler(sampler or (), batch_size, drop_last)
        self.sampler = sampler
        self.batch_sampler = batch_sampler
        self.batch_size = batch_size
        self.drop_last = drop_last
        self._batched = batch_size is not None or batch_sampler is not None
        if collate_fn is None:
            collate_fn = default_collate if self._batched else default_convert
        self.collate_fn = collate_fn

    @staticmethod
    def _refuse_order(shuffle: Any, sampler: Any, batch_sampler: Any) -> None:
        for name, option in (
            ("shuffle", shuffle or None),
            ("sampler", sampler),
            ("batch_sampler", batch_sampler),
        ):
            if option is not None:
                raise ValueError(
                    "DataLoader: with IterableDataset: expected unspecified "
                    f"{name} option, but got {name}={option}"
                )

    def __iter__(self) -> Iterator[Any]:
        if self.num_workers:
            return loaded(self)
        # Workers are seeded with this number; drawing it keeps the stream of numbers alike.
        _fresh_seed(self.generator)
        if self._streams:
            return self._stream()
        return map(self._fetch(), (self.batch_sampler if self._batched else self.sampler) or ())

    def _fetch(self) -> Callable[[Any], Any]:
        """The function that loads a batch, or a sample, by its numbers."""
        if self._batched:
            return self._fetch_of(self.dataset)
        return lambda index: self.collate_fn(self.dataset[index])

    def _stream(self) -> Iterator[Any]:
        samples = iter(self.dataset)
        if self.batch_size is None:
            yield from map(self.collate_fn, samples)
            return
        while batch := list(islice(samples, self.batch_size)):
            if len(batch) == self.batch_size or not self.drop_last:
                yield self.collate_fn(batch)

    def _fetch_of(self, dataset: Any) -> Callable[[list[Any]], Any]:
        """The function that makes a batch of a list of numbers."""
        collate = self.collate_fn
        if collate is default_collate:
            gather = _gather_of(dataset)
            if gather is not None:
                return gather
        if hasattr(dataset, "__getitems__"):
            return lambda indices: collate(dataset.__getitems__(indices))
        return lambda indices: collate([dataset[index] for index in indices])

    def __len__(self) -> int:
        if self._streams:
            total = len(self.dataset)
            if self.batch_size is None:
                return total
            return (total + (0 if self.drop_last else self.batch_size - 1)) // self.batch_size
        return len(self.batch_sampler if self._batched else self.sampler)  # type: ignore[arg-type]


def _gather_of(dataset: Any) -> Callable[[list[Any]], list[Any]] | None:
    """A function that takes a batch out of tensors with one operation for each tensor.

    None where samples may be more than rows of tensors, as in a subclass with its own
    `__getitem__`.
    """
    kind = type(dataset)
    if getattr(kind, "__getitem__", None) is TensorDataset.__getitem__:
        tensors = dataset.tensors

        def gather(indices: list[Any]) -> list[Any]:
            rows = cresset.tensor(indices, dtype=cresset.int64)
            return [tensor[rows] for tensor in tensors]

        return gather
    if kind is Subset:
        inner = _gather_of(dataset.dataset)
        numbers = dataset.indices
        if inner is not None:
            return lambda indices: inner([numbers[index] for index in indices])
    return None
