"""Prove that Cresset needs no C compiler: import it and train where none can be found."""

import shutil
import sys

import cresset as torch

COMPILERS = ("cc", "gcc", "clang")


def train(steps):
    """Fit a small convolutional network to random digits; returns its first and its last loss."""
    torch.manual_seed(0)
    network = torch.nn.Sequential(
        torch.nn.Conv2d(1, 4, 3),
        torch.nn.ReLU(),
        torch.nn.Flatten(),
        torch.nn.Linear(4 * 6 * 6, 10),
    )
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    images, labels = torch.randn(32, 1, 8, 8), torch.randint(0, 10, (32,))
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(network(images), labels)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses[0], losses[-1]


def main():
    """Find no compiler, train, and see that the kernels were compiled here."""
    found = [name for name in COMPILERS if shutil.which(name)]
    assert not found, f"PATH still holds {', '.join(found)}"
    first, last = train(steps=50)
    assert last < first / 2, f"training does not learn: the loss went from {first} to {last}"
    assert "llvmlite" in sys.modules, "no kernel was compiled: the cache was not empty"
    print(f"{', '.join(COMPILERS)}: not found; training: loss {first:.3f} -> {last:.3f}")


if __name__ == "__main__":
    main()
