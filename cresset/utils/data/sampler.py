"""Samplers: the order in which samples are taken."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence, Sized
from itertools import islice
from typing import Any, Generic, TypeVar

import cresset

Index = TypeVar("Index", covariant=True)


class Sampler(Generic[Index]):
    """The numbers of samples, or lists of them: a subclass defines `__iter__`."""

    def __iter__(self) -> Iterator[Index]:
        raise NotImplementedError(f"{type(self).__name__}.__iter__: define the order of samples")


class SequentialSampler(Sampler[int]):
    """0, 1, 2, ... to the end."""

    def __init__(self, data_source: Sized) -> None:
        self.data_source = data_source

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self.data_source)))

    def __len__(self) -> int:
        return len(self.data_source)


class RandomSampler(Sampler[int]):
    """All numbers in random order, or with `replacement` each drawn from all.

    `num_samples` (default: all) may be more than there are: then the order is drawn again. Without
    a `generator` each pass draws one seed from the global one and uses a generator of its own.
    Raises TypeError unless replacement is a bool, ValueError unless num_samples is positive.
    """

    def __init__(
        self,
        data_source: Sized,
        replacement: bool = False,
        num_samples: int | None = None,
        generator: Any = None,
    ) -> None:
        self.data_source = data_source
        self.replacement = replacement
        self._num_samples = num_samples
        self.generator = generator
        if not isinstance(replacement, bool):
            raise TypeError(
                f"RandomSampler: replacement should be a boolean value, but got {replacement=}"
            )
        if not isinstance(self.num_samples, int) or self.num_samples <= 0:
            raise ValueError(
                "RandomSampler: num_samples should be a positive integer value, but got "
                f"num_samples={self.num_samples}; by default it is the dataset's length: is the "
                "dataset empty?"
            )

    @property
    def num_samples(self) -> int:
        """How many numbers a pass gives."""
        return len(self.data_source) if self._num_samples is None else self._num_samples

    def __iter__(self) -> Iterator[int]:
        count = len(self.data_source)
        generator = self.generator
        if generator is None:
            generator = cresset.Generator()
            generator.manual_seed(_fresh_seed())
        if self.replacement:
            yield from self._draw(count, generator)
        elif count:
            for _ in range(self.num_samples // count):
                yield from cresset.randperm(count, generator=generator).tolist()
            rest = cresset.randperm(count, generator=generator).tolist()
            yield from rest[: self.num_samples % count]

    def _draw(self, count: int, generator: Any) -> Iterator[int]:
        # In lots of 32, as PyTorch draws them.
        for start in range(0, self.num_samples + 1, 32):
            size = (min(32, self.num_samples - start),)
            yield from cresset.randint(0, count, size, generator=generator).tolist()

    def __len__(self) -> int:
        return self.num_samples


def _fresh_seed(generator: Any = None) -> int:
    """A seed drawn from a generator, by default the global one."""
    return int(cresset.empty((), dtype=cresset.int64).random_(generator=generator).item())


class SubsetRandomSampler(Sampler[int]):
    """The given numbers in random order."""

    def __init__(self, indices: Sequence[int], generator: Any = None) -> None:
        self.indices = indices
        self.generator = generator

    def __iter__(self) -> Iterator[int]:
        for place in cresset.randperm(len(self.indices), generator=self.generator).tolist():
            yield self.indices[place]

    def __len__(self) -> int:
        return len(self.indices)


class WeightedRandomSampler(Sampler[int]):
    """Numbers drawn with probabilities in proportion to `weights`, kept as float64.

    Raises ValueError for weights of more than one dim, counts that are not positive, and a
    replacement that is no bool.
    """

    def __init__(
        self,
        weights: Sequence[float],
        num_samples: int,
        replacement: bool = True,
        generator: Any = None,
    ) -> None:
        if not isinstance(num_samples, int) or isinstance(num_samples, bool) or num_samples <= 0:
            raise ValueError(
                "WeightedRandomSampler: num_samples should be a positive integer value, but got "
                f"num_samples={num_samples}"
            )
        if not isinstance(replacement, bool):
            raise ValueError(
                "WeightedRandomSampler: replacement should be a boolean value, but got "
                f"replacement={replacement}"
            )
        self.weights = cresset.as_tensor(weights, dtype=cresset.float64)
        if self.weights.dim() != 1:
            raise ValueError(
                "WeightedRandomSampler: weights should be a 1d sequence but given weights have "
                f"shape {tuple(self.weights.shape)}"
            )
        self.num_samples = num_samples
        self.replacement = replacement
        self.generator = generator

    def __iter__(self) -> Iterator[int]:
        numbers = cresset.multinomial(
            self.weights, self.num_samples, self.replacement, generator=self.generator
        )
        yield from numbers.tolist()

    def __len__(self) -> int:
        return self.num_samples


class BatchSampler(Sampler[list[int]]):
    """Lists of `batch_size` numbers from another sampler; the last may be shorter.

    With `drop_last` a shorter one is left out. Raises ValueError unless batch_size is a positive
    integer and drop_last a bool.

    >>> list(BatchSampler(range(5), 2, drop_last=False))
    [[0, 1], [2, 3], [4]]
    """

    def __init__(self, sampler: Iterable[int], batch_size: int, drop_last: bool) -> None:
        if not isinstance(batch_size, int) or isinstance(batch_size, bool) or batch_size <= 0:
            raise ValueError(
                "DataLoader: batch_size should be a positive integer value, but got "
                f"batch_size={batch_size}"
            )
        if not isinstance(drop_last, bool):
            raise ValueError(
                f"DataLoader: drop_last should be a boolean value, but got drop_last={drop_last}"
            )
        self.sampler = sampler
        self.batch_size = batch_size
        self.drop_last = drop_last

    def __iter__(self) -> Iterator[list[int]]:
        numbers = iter(self.sampler)
        while batch := list(islice(numbers, self.batch_size)):
            if len(batch) == self.batch_size or not self.drop_last:
                yield batch

    def __len__(self) -> int:
        total = len(self.sampler)  # type: ignore[arg-type]
        if self.drop_last:
            return total // self.batch_size
        return (total + self.batch_size - 1) // self.batch_size
