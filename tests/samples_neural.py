"""Samples of what networks are made of: convolutions, pooling, blocks and columns."""

from __future__ import annotations

from operands import index, real
from sample import sample


def convolutions():
    def conv(rank, x, w, *more, **keywords):
        terms = w.shape[1]
        for n in w.shape[2:]:
            terms *= n
        yield sample(f"nn.functional.conv{rank}d", x, w, *more, **keywords).within(4 * terms, 9)

    yield from conv(1, real(1, 2, 9), real(3, 2, 3))
    yield from conv(1, real(2, 5), real(4, 1, 2), real(4), groups=2, stride=2)
    yield from conv(1, real(2, 2, 40), real(3, 2, 4), padding="same", dilation=3)
    yield from conv(2, real(1, 2, 4, 5), real(3, 2, 2, 3), real(3))
    yield from conv(2, real(2, 6, 5), real(2, 1, 3, 3), padding=(0, 1), groups=2, stride=(2, 1))
    yield from conv(2, real(1, 2, 4, 17), real(2, 2, 2, 2), padding="valid", dilation=(1, 2))
    yield from conv(3, real(1, 2, 3, 4, 5), real(2, 2, 2, 2, 2), real(2))
    yield from conv(3, real(2, 3, 4, 9), real(2, 1, 3, 1, 2), padding=(1, 0, 1), groups=2)


def transposed_convolutions():
    def conv(rank, x, w, *more, **keywords):
        return sample(f"nn.functional.conv_transpose{rank}d", x, w, *more, **keywords).within(99, 9)

    yield conv(1, real(1, 2, 6), real(2, 3, 3))
    yield conv(1, real(4, 6), real(4, 1, 4), real(2), 2, 1, 1, 2)
    yield conv(1, real(1, 2, 20), real(2, 3, 3), padding=2, dilation=2, output_padding=1)
    yield conv(2, real(1, 2, 3, 4), real(2, 3, 2, 3), real(3))
    yield conv(2, real(1, 2, 3, 4), real(2, 1, 3, 2), stride=(2, 3), output_padding=(1, 0))
    yield conv(3, real(1, 2, 2, 3, 4), real(2, 2, 2, 1, 2), real(2), stride=(1, 2, 2))


def pooling():
    for rank, size in ((1, (2, 9)), (2, (2, 5, 6)), (3, (2, 3, 4, 5))):
        name = f"nn.functional.{{}}_pool{rank}d"
        yield sample(name.format("max"), real(1, *size), 2).without_ties()
        yield sample(name.format("max"), real(*size), 3, 2, 1, 1, True).without_ties()
        yield sample(name.format("avg"), real(1, *size), 2).within(4)
        yield sample(name.format("avg"), real(*size), 3, 2, 1, True, False).within(4)
        yield sample(name.format("adaptive_avg"), real(1, *size), 2).within(8, 1)
        yield sample(name.format("adaptive_max"), real(1, *size), 2).without_ties()
        yield sample(name.format("lp"), real(1, *size), 2, 2).within(16, 4)
        few = (1, 2, *[2] * rank)
        yield sample(f"nn.functional.max_unpool{rank}d", real(*few), index(*few, below=6), 3)
    yield sample("nn.functional.max_pool2d", real(1, 4, 20), (1, 3), 1, 0, (1, 2)).without_ties()
    yield sample("nn.functional.avg_pool2d", real(1, 4, 20), (2, 3), 1, (1, 0), divisor_override=5
                 ).within(4)


def columns():
    yield sample("nn.functional.unfold", real(2, 3, 4, 5), 2)
    yield sample("nn.functional.unfold", real(3, 4, 9), (1, 3), (1, 2), 1, (2, 1))
    yield sample("nn.functional.fold", real(2, 12, 12), (4, 5), 2).within(4)
    yield sample("nn.functional.fold", real(6, 35), (4, 9), (1, 3), (1, 2), (0, 1), 1).within(4)
