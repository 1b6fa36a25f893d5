"""Tensors of more than 2**31 elements: places in them are counted by 64 bits.

They take a minute and gigabytes, so they run where CRESSET_TEST_LARGE=1 asks for them.
"""

import os

import pytest

import cresset

N = (1 << 31) + 77  # as int8, 2 GiB and a bit
NEEDED = 8 << 30


def available():
    """Bytes of memory that can be had."""
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


pytestmark = pytest.mark.skipif(
    os.environ.get("CRESSET_TEST_LARGE") != "1",
    reason="takes a minute and 6 GiB; set CRESSET_TEST_LARGE=1 to run it",
)


@pytest.fixture(scope="module")
def line():
    """Zeros, but for a 5 at the last place and a 3 at place 2**31."""
    if available() < NEEDED:
        pytest.skip(f"needs {NEEDED >> 30} GiB of free memory")
    x = cresset.zeros(N, dtype=cresset.int8)
    x[-1], x[1 << 31] = 5, 3
    yield x
    del x
    cresset.empty_cache()


def test_elements(line):
    assert line.numel() == N
    assert line[-1].item() == line[N - 1].item() == 5
    assert line[(1 << 31) - 1 :][:3].tolist() == [0, 3, 0]


def test_elementwise_work_and_copies(line):
    y = line + 1
    assert y[-2:].tolist() == [1, 6]
    y[1:].copy_(line[:-1])
    assert y[(1 << 31) + 1].item() == 3
    assert y.flip(0)[:3].tolist() == [0, 0, 0]


def test_reductions(line):
    assert line.sum().item() == 8
    assert line.argmax().item() == N - 1
    assert line.view(-1, 5)[: N // 5].sum(0).tolist()[(N - 1) % 5] >= 5


def test_rows_and_columns(line):
    x = line[: (1 << 31) + 64].view(-1, 64)
    assert x.t()[0, 1 << 25].item() == x[1 << 25, 0].item() == 3
    assert x[:, 0].sum().item() == 3


def test_indices(line):
    far = cresset.tensor([N - 1, 1 << 31, 0])
    assert line[far].tolist() == line.take(far).tolist() == [5, 3, 0]
    assert line.nonzero().tolist() == [[1 << 31], [N - 1]]
    assert line[line > 3].tolist() == [5]
    line.index_add_(0, far[1:], cresset.ones(2, dtype=cresset.int8))
    assert line[1 << 31].item() == 4
    line.index_add_(0, far[1:], -cresset.ones(2, dtype=cresset.int8))
