"""Datasets, samplers and the loader: contents, order, random numbers and errors."""

from collections import namedtuple

import numpy
import pytest

import cresset
from cresset.utils import data

FEATURES = numpy.random.default_rng(0).standard_normal((23, 3)).astype(numpy.float32)
LABELS = numpy.arange(23)
Pair = namedtuple("Pair", "left right")


class Records:
    """Samples of nested dicts, tuples and lists."""

    def __getitem__(self, index):
        return {
            "number": index,
            "pair": (float(index), str(index)),
            "array": numpy.ones(2) * index,
            "list": [index, index % 2 == 0],
        }

    def __len__(self):
        return 10


class Rows:
    """A dataset that gives several samples at once."""

    def __getitem__(self, index):
        return -1

    def __getitems__(self, indices):
        return [10 * index for index in indices]

    def __len__(self):
        return 6


def tables(library, count=23):
    utils = library.utils.data
    return utils.TensorDataset(
        library.from_numpy(FEATURES[:count]), library.from_numpy(LABELS[:count])
    )


DATASETS = {
    "tensors": tables,
    "subset": lambda lib: lib.utils.data.Subset(tables(lib), [3, 1, 4, 1, 5]),
    "concatenation": lambda lib: lib.utils.data.ConcatDataset([tables(lib), tables(lib, 4)]),
    "sum": lambda lib: tables(lib, 3) + tables(lib, 4),
    "records": lambda lib: Records(),
    "fractions": lambda lib: lib.utils.data.random_split(tables(lib), [0.7, 0.3])[1],
    "lengths": lambda lib: lib.utils.data.random_split(
        tables(lib), [20, 3], generator=lib.Generator().manual_seed(4)
    )[0],
    "list": lambda lib: [Pair(number, lib.tensor(number)) for number in range(7)],
    "stack": lambda lib: lib.utils.data.StackDataset(a=Records(), b=Records()),
    "rows": lambda lib: Rows(),
}

OPTIONS = {
    "plain": lambda lib, dataset: {},
    "batches": lambda lib, dataset: {"batch_size": 4},
    "shuffled": lambda lib, dataset: {"batch_size": 4, "shuffle": True},
    "dropping": lambda lib, dataset: {"batch_size": 5, "shuffle": True, "drop_last": True},
    "single": lambda lib, dataset: {"batch_size": None},
    "generator": lambda lib, dataset: {
        "shuffle": True,
        "generator": lib.Generator().manual_seed(7),
    },
    "replacement": lambda lib, dataset: {
        "batch_size": 3,
        "sampler": lib.utils.data.RandomSampler(dataset, replacement=True, num_samples=70),
    },
    "more than all": lambda lib, dataset: {
        "batch_size": 3,
        "sampler": lib.utils.data.RandomSampler(dataset, num_samples=31),
    },
    "subset": lambda lib, dataset: {"sampler": lib.utils.data.SubsetRandomSampler([0, 2, 3, 4])},
    "weights": lambda lib, dataset: {
        "sampler": lib.utils.data.WeightedRandomSampler([0.1, 0.2, 0.3, 0.4], 9)
    },
    "batch sampler": lambda lib, dataset: {
        "batch_sampler": lib.utils.data.BatchSampler(
            lib.utils.data.SequentialSampler(dataset), 3, False
        )
    },
    "collate": lambda lib, dataset: {"batch_size": 2, "collate_fn": len},
}


def plain(value):
    """A batch with its tensors as arrays."""
    if hasattr(value, "detach"):
        return value.detach().numpy()
    if isinstance(value, dict):
        return {key: plain(entry) for key, entry in value.items()}
    if hasattr(value, "_fields"):
        return type(value)(*map(plain, value))
    if isinstance(value, (list, tuple)):
        return type(value)(map(plain, value))
    return value


def assert_same(ours, theirs):
    assert type(ours) is type(theirs)
    if isinstance(ours, numpy.ndarray):
        assert ours.dtype == theirs.dtype
        assert numpy.array_equal(ours, theirs)
    elif isinstance(ours, dict):
        assert list(ours) == list(theirs)
        for key in ours:
            assert_same(ours[key], theirs[key])
    elif isinstance(ours, (list, tuple)):
        assert len(ours) == len(theirs)
        for entry, other in zip(ours, theirs):
            assert_same(entry, other)
    else:
        assert ours == theirs


def passes(library, dataset, options):
    """Two passes, the number of batches, and what the global generator gives afterwards."""
    library.manual_seed(9)
    made = DATASETS[dataset](library)
    loader = library.utils.data.DataLoader(made, **OPTIONS[options](library, made))
    batches = [plain(list(loader)), plain(list(loader))]
    return [*batches, len(loader), plain(library.rand(3))]


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("dataset", DATASETS)
def test_as_pytorch(torch, dataset, options):
    if options in ("weights",) and not hasattr(cresset, "multinomial"):
        pytest.skip("multinomial is not there yet")
    assert_same(passes(cresset, dataset, options), passes(torch, dataset, options))


def test_tensor_dataset():
    dataset = tables(cresset)
    features, label = dataset[2]
    assert label.item() == 2
    assert features.tolist() == pytest.approx(FEATURES[2].tolist())
    assert len(dataset) == 23
    with pytest.raises(AssertionError, match="Size mismatch"):
        data.TensorDataset(cresset.zeros(2), cresset.zeros(3))


def test_loading_rows_of_tensors():
    batches = list(data.DataLoader(tables(cresset), batch_size=10))
    assert [len(labels) for _, labels in batches] == [10, 10, 3]
    assert [label for _, labels in batches for label in labels.tolist()] == list(range(23))
    numpy.testing.assert_array_equal(batches[1][0].numpy(), FEATURES[10:20])


def test_a_subclass_of_tensors_is_asked_for_its_samples():
    class Doubled(data.TensorDataset):
        def __getitem__(self, index):
            return [tensor * 2 for tensor in super().__getitem__(index)]

    dataset = Doubled(cresset.arange(4))
    assert [batch[0].tolist() for batch in data.DataLoader(dataset, 2)] == [[0, 2], [4, 6]]
    subset = data.Subset(dataset, [3, 0])
    assert next(iter(data.DataLoader(subset, 2)))[0].tolist() == [6, 0]


def test_shuffling_takes_every_sample_once():
    cresset.manual_seed(0)
    loader = data.DataLoader(tables(cresset), batch_size=4, shuffle=True)
    first, second = ([n for _, labels in loader for n in labels.tolist()] for _ in range(2))
    assert sorted(first) == sorted(second) == list(range(23))
    assert first != second != list(range(23))
    cresset.manual_seed(0)
    assert [n for _, labels in loader for n in labels.tolist()] == first


def test_random_split():
    parts = data.random_split(range(10), [0.55, 0.25, 0.2], cresset.Generator().manual_seed(1))
    assert [len(part) for part in parts] == [6, 2, 2]
    assert sorted(index for part in parts for index in part.indices) == list(range(10))
    assert [parts[0][i] for i in range(6)] == parts[0].indices
    with pytest.raises(ValueError, match="does not equal the length"):
        data.random_split(range(10), [3, 3])
    with pytest.raises(ValueError, match="not between 0 and 1"):
        data.random_split(range(10), [1.5, -0.5])
    with pytest.warns(UserWarning, match="index 1 is 0"):
        data.random_split(range(1), [0.9, 0.1])


def test_concatenation():
    joined = data.ConcatDataset([[0, 1], [2], [3, 4, 5]])
    assert [joined[i] for i in range(6)] == list(range(6))
    assert joined[-1] == 5
    assert joined.cumulative_sizes == [2, 3, 6]
    with pytest.raises(IndexError, match="should not exceed dataset length"):
        joined[6]
    with pytest.raises(ValueError, match="should not exceed dataset length"):
        joined[-7]
    with pytest.raises(AssertionError, match="empty iterable"):
        data.ConcatDataset([])


class Counting(data.IterableDataset):
    def __init__(self, count):
        self.count = count

    def __iter__(self):
        return iter(range(self.count))

    def __len__(self):
        return self.count


def test_streams():
    loader = data.DataLoader(Counting(7), batch_size=3)
    assert [batch.tolist() for batch in loader] == [[0, 1, 2], [3, 4, 5], [6]]
    assert len(loader) == 3
    dropping = data.DataLoader(Counting(7), batch_size=3, drop_last=True)
    assert [batch.tolist() for batch in dropping] == [[0, 1, 2], [3, 4, 5]]
    assert list(data.DataLoader(Counting(2), batch_size=None)) == [0, 1]
    assert len(data.DataLoader(Counting(2), batch_size=None)) == 2
    chained = Counting(2) + Counting(3)
    assert list(chained) == [0, 1, 0, 1, 2]
    assert len(chained) == 5
    for option in ({"shuffle": True}, {"sampler": [1]}, {"batch_sampler": [[1]]}):
        with pytest.raises(ValueError, match="IterableDataset"):
            data.DataLoader(Counting(2), **option)


def test_collation():
    batch = data.default_collate([{"a": (1, "x")}, {"a": (2, "y")}])
    assert batch["a"][0].tolist() == [1, 2]
    assert batch["a"][1] == ("x", "y")
    pairs = data.default_collate([Pair(1.5, True), Pair(2.5, False)])
    assert isinstance(pairs, Pair)
    assert pairs.left.dtype is cresset.float64
    assert pairs.right.dtype is cresset.bool
    numbers = data.default_collate([numpy.float32(1), numpy.float32(2)])
    assert numbers.dtype is cresset.float32
    converted = data.default_convert({"a": numpy.zeros(2), "b": ("x", 1)})
    assert converted["a"].shape == (2,)
    assert converted["b"] == ["x", 1]
    with pytest.raises(TypeError, match="must contain tensors"):
        data.default_collate([object()])
    with pytest.raises(RuntimeError, match="equal size"):
        data.default_collate([[1, 2], [3]])


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"batch_size": 0}, ValueError, "batch_size should be a positive integer"),
        ({"num_workers": -1}, ValueError, "non-negative"),
        ({"prefetch_factor": 2}, ValueError, "num_workers > 0"),
        ({"persistent_workers": True}, ValueError, "needs num_workers > 0"),
        ({"shuffle": True, "sampler": [1]}, ValueError, "mutually exclusive with shuffle"),
        ({"batch_sampler": [[1]], "batch_size": 3}, ValueError, "batch_sampler option"),
        ({"batch_size": None, "drop_last": True}, ValueError, "disables auto-batching"),
    ],
)
def test_options_of_the_loader_are_checked(options, error, text):
    with pytest.raises(error, match=text):
        data.DataLoader(tables(cresset), **options)


def test_samplers_are_checked():
    with pytest.raises(TypeError, match="boolean"):
        data.RandomSampler([1], replacement=3)
    with pytest.raises(ValueError, match="positive integer"):
        data.RandomSampler([1], num_samples=-1)
    with pytest.raises(ValueError, match="positive integer"):
        data.WeightedRandomSampler([1.0], 0)
    with pytest.raises(ValueError, match="1d sequence"):
        data.WeightedRandomSampler(cresset.ones(2, 2), 1)
    with pytest.raises(ValueError, match="drop_last"):
        data.BatchSampler([1], 1, 3)
    with pytest.raises(ValueError, match="is the dataset empty"):
        data.RandomSampler([])
    assert data.get_worker_info() is None
