"""Connectionist temporal classification: all alignments, summed one by one and by PyTorch."""

from itertools import groupby, product

import pytest

import cresset
from cresset import nn
from cresset.nn.functional import ctc_loss


def spelled(alignment):
    """The labels that an alignment says: repetitions once, blanks left out."""
    return [label for label, _ in groupby(alignment) if label]


@pytest.mark.parametrize("target", ([1], [1, 2], [2, 2], [1, 2, 1], [], [1, 1, 2]))
def test_losses_sum_over_all_alignments(target):
    steps, classes = 5, 3
    logits = cresset.randn(steps, classes, dtype=cresset.float64, requires_grad=True)
    logs = logits.log_softmax(1)
    ways = [w for w in product(range(classes), repeat=steps) if spelled(w) == target]
    each = [sum(logs[t, label] for t, label in enumerate(w)).exp() for w in ways]
    expected = -sum(each).log()
    labels = cresset.tensor([target], dtype=cresset.int64).reshape(1, -1)
    loss = ctc_loss(logs.unsqueeze(1), labels, [steps], [len(target)], reduction="sum")
    cresset.testing.assert_close(loss, expected)
    cresset.testing.assert_close(*(cresset.autograd.grad(x, logits, retain_graph=True)[0]
                                  for x in (loss, expected)))


@pytest.mark.parametrize("options", (
    {}, {"reduction": "sum"}, {"reduction": "none"}, {"zero_infinity": True}, {"joined": True},
    {"blank": 4},
))
def test_agrees_with_pytorch(torch, options):
    options = dict(options)
    joined, blank = options.pop("joined", False), options.get("blank", 0)
    if blank == 0 and not options and not joined:
        options = {"reduction": "mean"}

    def run(package):
        package.manual_seed(0)
        logits = package.randn(9, 3, 5, requires_grad=True)
        targets = package.tensor([[1, 2, 2, 3], [3, 1, 0, 0], [2, 2, 2, 0]])
        targets = targets if blank == 0 else (targets + 4) % 5
        lengths, inputs = (4, 2, 3), (9, 7, 4) if "zero_infinity" in options else (9, 7, 6)
        if joined:
            targets = package.cat([row[:n] for row, n in zip(targets, lengths)])
        loss = package.nn.CTCLoss(**options)(logits.log_softmax(2), targets, inputs, lengths)
        loss.sum().backward()
        return loss.detach(), logits.grad

    for got, expected in zip(run(cresset), run(torch)):
        cresset.testing.assert_close(got, cresset.tensor(expected.numpy()), rtol=1e-4, atol=1e-5)


def test_single_sequences_and_what_does_not_fit():
    logs = cresset.randn(4, 3).log_softmax(1)
    loss = ctc_loss(logs, cresset.tensor([1, 2]), cresset.tensor(4), cresset.tensor(2))
    assert loss.shape == () and loss.isfinite()
    assert ctc_loss(logs, cresset.tensor([1, 1, 1]), (4,), (3,)) == cresset.inf
    batch = logs.unsqueeze(1)
    for targets, inputs, lengths, options, problem in (
        ([[1, 2]], [5], [2], {}, "input_lengths to have value at most 4"),
        ([[1, 2]], [4], [3], {}, "target_lengths to have value at most 2"),
        ([[1, 3]], [4], [2], {}, "below the number of classes, 3"),
        ([[1, 2]], [4, 4], [2], {}, "must be of size batch_size; got 2 for 1"),
        ([[1, 2]], [4], [2], {"blank": 3}, "blank must be in label range; got 3 of 3"),
        ([1, 2], [4], [3], {}, "Expected targets of length 3"),
    ):
        with pytest.raises(RuntimeError, match=problem):
            ctc_loss(batch, cresset.tensor(targets), inputs, lengths, **options)
    assert repr(nn.CTCLoss()) == "CTCLoss()"
