"""Wrong calls of the names that programs use most: their exceptions have PyTorch's classes.

`wrong_classes.txt` has a call on each line and the class of its exception before it; two classes,
`ours/PyTorch's`, where there is a reason to differ, which is the heading. `-` means that nothing is
raised. What the messages say is pinned for fewer calls, in `wrong_calls.py`.
"""

import importlib
import io
import warnings
from pathlib import Path

import pytest

import cresset


def read() -> dict:
    """The rows (ours, PyTorch's, call) of every section of the table."""
    sections: dict = {}
    for line in (Path(__file__).parent / "wrong_classes.txt").read_text().splitlines():
        if line.startswith("# "):
            rows = sections.setdefault(line[2:], [])
        elif line:
            classes, _, call = line.partition(" ")
            ours, _, theirs = classes.partition("/")
            rows.append((ours, theirs or ours, call))
    return sections


SECTIONS = read()


def operands(torch) -> dict:
    """What the calls name."""
    data = importlib.import_module(f"{torch.__name__}.utils.data")

    class Stream(data.IterableDataset):
        def __iter__(self):
            return iter([1])

    def put(x, index, value):
        x[index] = value

    def saved(value):
        file = io.BytesIO()
        torch.save(value, file)
        file.seek(0)
        return file

    def twice():
        loss = (leaf * leaf).sum()
        loss.backward()
        loss.backward()

    def overwritten():
        y = leaf.exp()
        y.add_(1)
        y.sum().backward()

    def view_of_leaf():
        leaf[0].add_(1)

    def unused():
        torch.autograd.grad(leaf.sum(), leaf2)

    leaf, leaf2 = (torch.ones(3, requires_grad=True) for _ in range(2))
    x = torch.ones(2, 3)
    return {
        "torch": torch, "nn": torch.nn, "F": torch.nn.functional, "optim": torch.optim,
        "data": data, "buffer": io.BytesIO, "saved": saved, "stream": Stream, "put": put,
        "x": x, "m": x > 0, "v": torch.ones(3), "n": torch.tensor([0, 1, 2]),
        "c": torch.ones(3) * 1j, "ix": torch.zeros(2, 3, dtype=torch.int64),
        "img": torch.ones(1, 3, 8, 8), "leaf": leaf, "leaf2": leaf2, "twice": twice,
        "overwritten": overwritten, "view_of_leaf": view_of_leaf, "unused": unused,
    }


def error_of(call, torch):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            eval(call, operands(torch))
        except Exception as error:
            return error
    return None


def names_of(error) -> list:
    """The names of an exception's class and of those that it is one of."""
    if error is None:
        return ["-"]
    # PyTorch's class of failed factorizations has a name of its own.
    return [kind.__name__.removeprefix("_") for kind in type(error).__mro__]


@pytest.mark.parametrize("section", SECTIONS)
def test_classes(section):
    wrong = []
    for kind, _, call in SECTIONS[section]:
        error = error_of(call, cresset)
        if kind not in names_of(error):
            wrong.append(f"{call}: {error!r} is no {kind}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("section", SECTIONS)
def test_classes_of_pytorch(section, torch):
    wrong = []
    for _, kind, call in SECTIONS[section]:
        error = error_of(call, torch)
        if names_of(error)[0] != kind:
            wrong.append(f"{call}: {error!r} is no {kind}")
    assert not wrong, "\n".join(wrong)
