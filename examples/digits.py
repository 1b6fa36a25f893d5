#!/usr/bin/env python3
"""Teach a small convolutional network to read handwritten digits.

This is an ordinary PyTorch program. Its import line is the only difference: with `import torch` in
the place of `import cresset as torch`, it runs under PyTorch.

    python examples/digits.py [folder] [--epochs 12] [--seed 0]

The folder (`digits-output` unless named) receives the checkpoint and two pictures. The data is
described in `data/README.md`.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy

import cresset as torch

nn = torch.nn
functional = torch.nn.functional
data = torch.utils.data

DIGITS = Path(__file__).parent / "data" / "digits.csv.gz"
LEARNING_RATE = 3e-3


def load_digits():
    """1,797 pairs: an image of shape (1, 8, 8) with values from 0 to 1, and the digit it shows."""
    table = torch.from_numpy(numpy.loadtxt(DIGITS, dtype=numpy.uint8, delimiter=","))
    images = table[:, :64].reshape(-1, 1, 8, 8).float() / 16
    labels = table[:, 64].long()
    return data.TensorDataset(images, labels)


def split(digits):
    """Hold out every fifth digit, always the same ones; train on the others."""
    training = [index for index in range(len(digits)) if index % 5]
    held_out = range(0, len(digits), 5)
    return data.Subset(digits, training), data.Subset(digits, held_out)


def build_network():
    """Two convolutions find strokes, one linear layer reads them: 8 x 8 pixels to 10 scores."""
    return nn.Sequential(
        nn.Conv2d(1, 16, kernel_size=3, padding=1),
        nn.ReLU(),
        nn.Conv2d(16, 32, kernel_size=3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.BatchNorm2d(32),
        nn.Dropout(0.5),
        nn.Flatten(),
        nn.Linear(32 * 4 * 4, 10),
    )


class Progress:
    """Sums up one epoch, and shows it as a bar that is redrawn in place.

    Where the output is no terminal (a log, a pipe), the finished line alone is written.
    """

    heading = f"epoch {'':26}  {'loss':>7}  accuracy  digits/s  held out"
    width = 24
    seconds_between_frames = 0.1

    def __init__(self, title, total):
        self.title = title
        self.total = total
        self.seen = self.correct = 0
        self.loss_sum = 0.0
        self.began = self.drawn = self.now = time.perf_counter()

    def add(self, count, loss, correct):
        """Count one batch: its size, its mean loss and how many of it were read correctly."""
        self.seen += count
        self.loss_sum += loss * count
        self.correct += correct
        self.now = time.perf_counter()
        if sys.stdout.isatty() and self.now - self.drawn > self.seconds_between_frames:
            self.drawn = self.now
            print(f"\r{self}", end="", flush=True)

    def finish(self, held_out_accuracy):
        """Leave the finished line standing, with the accuracy on the digits held out."""
        start = "\r" if sys.stdout.isatty() else ""
        print(f"{start}{self}  {held_out_accuracy:6.2f} %", flush=True)

    def __str__(self):
        filled = self.width * self.seen // self.total
        bar = "#" * filled + "." * (self.width - filled)
        loss = self.loss_sum / self.seen
        accuracy = 100 * self.correct / self.seen
        speed = self.seen / (self.now - self.began)
        return f"{self.title:>5} [{bar}]  {loss:7.4f}  {accuracy:6.2f} %  {speed:8.0f}"


def train_one_epoch(network, batches, optimizer, progress):
    """One pass over the training digits; returns the loss of every batch."""
    network.train()
    losses = []
    for images, labels in batches:
        optimizer.zero_grad()
        scores = network(images)
        loss = functional.cross_entropy(scores, labels)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        correct = (scores.argmax(1) == labels).sum().item()
        progress.add(len(labels), losses[-1], correct)
    return losses


def evaluate(network, batches):
    """Read the digits without learning from them; returns mean loss, labels and predictions."""
    network.eval()
    loss_sum = 0.0
    truths, guesses = [], []
    with torch.no_grad():
        for images, labels in batches:
            scores = network(images)
            loss_sum += functional.cross_entropy(scores, labels, reduction="sum").item()
            truths += labels.tolist()
            guesses += scores.argmax(1).tolist()
    return loss_sum / len(truths), truths, guesses


def accuracy_of(truths, guesses):
    """The share of digits read correctly, in per cent."""
    correct = sum(truth == guess for truth, guess in zip(truths, guesses))
    return 100 * correct / len(truths)


def train(network, training, held_out, epochs):
    """Train with AdamW while the learning rate falls linearly; returns the history of losses."""
    batches = data.DataLoader(training, batch_size=32, shuffle=True)
    held_out_batches = data.DataLoader(held_out, batch_size=128)
    optimizer = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE)
    training_losses, held_out_losses = [], []
    print(Progress.heading)
    for epoch in range(epochs):
        for group in optimizer.param_groups:
            group["lr"] = LEARNING_RATE * (1 - epoch / epochs)
        progress = Progress(f"{epoch + 1}/{epochs}", len(training))
        training_losses += train_one_epoch(network, batches, optimizer, progress)
        loss, truths, guesses = evaluate(network, held_out_batches)
        held_out_losses.append(loss)
        progress.finish(accuracy_of(truths, guesses))
    return training_losses, held_out_losses


def print_confusion(truths, guesses):
    """Print how often each digit (rows) was read as each other one (columns)."""
    confusion = torch.zeros(10, 10, dtype=torch.int64)
    for truth, guess in zip(truths, guesses):
        confusion[truth, guess] += 1
    print("\nread as " + "".join(f"{digit:4}" for digit in range(10)))
    for digit, counts in enumerate(confusion.tolist()):
        print(f"   is {digit} " + "".join(f"{count or '.':>4}" for count in counts))


def draw_losses(pyplot, training_losses, held_out_losses, path):
    """Draw the loss of every training batch, and the held-out loss after every epoch."""
    steps_per_epoch = len(training_losses) // len(held_out_losses)
    epoch_ends = [steps_per_epoch * (epoch + 1) for epoch in range(len(held_out_losses))]
    figure, axes = pyplot.subplots(figsize=(8, 4.5), layout="constrained")
    axes.plot(training_losses, linewidth=0.7, color="#e9a23b", label="training, every batch")
    axes.plot(epoch_ends, held_out_losses, "o-", color="#23527c", label="held out, every epoch")
    axes.set(yscale="log", xlabel="step", ylabel="cross entropy", title="Learning to read digits")
    axes.legend()
    figure.savefig(path, dpi=120)


def draw_digits(pyplot, held_out, truths, guesses, path):
    """Draw forty held-out digits, the misread ones first, each under what it was read as."""
    misread_first = sorted(range(len(truths)), key=lambda index: truths[index] == guesses[index])
    figure, axes = pyplot.subplots(figsize=(10, 5), layout="constrained")
    for place, index in enumerate(misread_first[:40]):
        truth, guess = truths[index], guesses[index]
        left, top = 10 * (place % 10), 12 * (place // 10)
        image, _ = held_out[index]
        axes.imshow(image[0].tolist(), cmap="gray_r", extent=(left, left + 8, top + 8, top))
        title, color = (guess, "black") if truth == guess else (f"{guess}, is {truth}", "crimson")
        axes.text(left + 4, top - 0.6, title, color=color, horizontalalignment="center")
    axes.set(xlim=(-1, 99), ylim=(45, -3))
    axes.axis("off")
    figure.savefig(path, dpi=120)


def draw(history, held_out, truths, guesses, folder):
    """Write both pictures, or say why there are none."""
    try:
        import matplotlib
    except ImportError as error:
        print(f"no pictures: {error} (pip install matplotlib mends it)")
        return
    matplotlib.use("Agg")
    from matplotlib import pyplot

    draw_losses(pyplot, *history, folder / "loss.png")
    draw_digits(pyplot, held_out, truths, guesses, folder / "digits.png")
    print(f"pictures: {folder / 'loss.png'}, {folder / 'digits.png'}")


def main():
    """Train, save, reload, and judge the reloaded network on the digits held out."""
    parser = argparse.ArgumentParser(description="learn to read handwritten digits")
    parser.add_argument("folder", nargs="?", type=Path, default=Path("digits-output"))
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)

    torch.manual_seed(arguments.seed)
    training, held_out = split(load_digits())
    network = build_network()
    count = sum(parameter.numel() for parameter in network.parameters())
    print(f"{len(training)} digits to learn from, {len(held_out)} held out, {count} parameters")
    history = train(network, training, held_out, arguments.epochs)

    checkpoint = arguments.folder / "digits.pt"
    torch.save(network.state_dict(), checkpoint)
    reloaded = build_network()
    reloaded.load_state_dict(torch.load(checkpoint))
    _, truths, guesses = evaluate(reloaded, data.DataLoader(held_out, batch_size=128))

    print_confusion(truths, guesses)
    print(f"\ncheckpoint: {checkpoint} (saved, and reloaded for this table)")
    draw(history, held_out, truths, guesses, arguments.folder)
    print(f"test accuracy: {accuracy_of(truths, guesses):.2f} %")


if __name__ == "__main__":
    main()
