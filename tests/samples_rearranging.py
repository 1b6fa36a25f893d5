"""Samples of joins, repetitions, diagonals, pieces, grids, padding, resampling and windows."""

from __future__ import annotations

from operands import index, real
from sample import Type, sample


def joining():
    yield sample("cat", (real(2, 3), real(1, 3), real(0, 3)))
    yield sample("cat", [real(2, 3), real(2, 1)], -1)
    yield sample("cat", (real(2, 3), index(1, 3, below=4)))
    yield sample("cat", (real(0), real(2, 3)), 1)
    yield sample("cat", (real(5),))
    yield sample("stack", (real(2, 3), real(2, 3)))
    yield sample("stack", (real(2), real(2), real(2)), -1)
    yield sample("stack", (real(), real()))
    yield sample("hstack", (real(2), real(3)))
    yield sample("hstack", (real(), real(3)))
    yield sample("hstack", (real(2, 1), real(2, 2)))
    yield sample("vstack", (real(3), real(2, 3)))
    yield sample("row_stack", (real(), real()))
    yield sample("dstack", (real(3), real(1, 3)))
    yield sample("dstack", (real(1, 3, 2), real(1, 3)))
    yield sample("column_stack", (real(3), real(3, 2)))
    yield sample("column_stack", (real(), real()))
    for shape in ((), (2,), (2, 3), (1, 2, 2)):
        for name in ("atleast_1d", "atleast_2d", "atleast_3d"):
            yield sample(name, real(*shape))
    yield sample("atleast_2d", (real(), real(2)))
    yield sample("block_diag", real(2, 3), real(2), real())
    yield sample("block_diag", index(2, 1, below=4), real(0, 2), real(1, 1)).constant()


def rearranging():
    yield sample("Tensor.repeat", real(2, 3), 2, 1, 2)
    yield sample("Tensor.repeat", real(3), 0).constant()
    yield sample("Tensor.repeat", real(), 2)
    yield sample("tile", real(2, 3), (2,))
    yield sample("Tensor.tile", real(3), 2, 2)
    yield sample("repeat_interleave", real(2, 3), 2)
    yield sample("repeat_interleave", real(2, 3), 2, 1)
    yield sample("repeat_interleave", real(3, 2), index(3, below=3), 0)
    yield sample("repeat_interleave", index(4, below=3))
    yield sample("roll", real(2, 3), 1)
    yield sample("roll", real(2, 3), (1, -2), (0, 1))
    yield sample("roll", real(5), (1, 3), (0, 0))
    yield sample("roll", real(0, 3), 1, 0).constant()
    yield sample("roll", real(), 1)
    yield sample("flip", real(2, 3), (0,))
    yield sample("flip", real(2, 3), (0, -1))
    yield sample("flip", real(3, 40), (1,)).constant()
    yield sample("flip", real(2), ())
    yield sample("flip", real(0, 3), (0,)).constant()
    yield sample("fliplr", real(2, 3))
    yield sample("flipud", real(3))
    for k in (0, 1, 2, 3, -1):
        yield sample("rot90", real(2, 3), k)
    yield sample("rot90", real(2, 3, 2), 1, (1, 2))


def diagonals():
    for name in ("tril", "triu"):
        yield sample(name, real(3, 4))
        yield sample(name, real(2, 3, 3), -1)
        yield sample(name, real(4, 3), 1)
        yield sample(name, real(20, 40), 3).constant()
        yield sample(name, real(0, 3)).constant()
        yield sample(f"{name}_indices", 3, 4)
        yield sample(f"{name}_indices", 4, 2, -1, dtype=Type("int32"))
        yield sample(f"{name}_indices", 0, 2)
    yield sample("diag", real(3), 1)
    yield sample("diag", real(3, 4), -1)
    yield sample("diagflat", real(2, 2), -1)
    yield sample("diag_embed", real(2, 3))
    yield sample("diag_embed", real(2, 2), -1, 0, 2)
    for arguments in ((2,), (2, True)):
        yield sample("Tensor.fill_diagonal_", real(3, 3), *arguments).writing()
        yield sample("Tensor.fill_diagonal_", real(7, 3), *arguments).writing()
        yield sample("Tensor.fill_diagonal_", real(2, 4), *arguments).writing()
    yield sample("Tensor.fill_diagonal_", real(2, 2, 2), 3).writing()


def pieces():
    yield sample("unbind", real(2, 3, 4))
    yield sample("unbind", real(2, 3, 4), -1)
    yield sample("split", real(5, 2), 2)
    yield sample("split", real(2, 5), (1, 0, 4), 1)
    yield sample("split", real(0, 3), 2).constant()
    yield sample("split_with_sizes", real(5), (2, 3))
    yield sample("chunk", real(7), 3)
    yield sample("chunk", real(2, 5), 4, -1)
    yield sample("chunk", real(0, 2), 3).constant()
    for cuts in (3, 1, (2, 5), (1, -1), (3, 2, 9), ()):
        yield sample("tensor_split", real(7), cuts)
    yield sample("tensor_split", real(2, 5), 2, 1)
    yield sample("hsplit", real(4), 2)
    yield sample("hsplit", real(2, 4), (1,))
    yield sample("vsplit", real(4, 2), 2)
    yield sample("dsplit", real(1, 2, 4), (1, 2))


def grids():
    yield sample("meshgrid", real(2), real(3), indexing="ij")
    yield sample("meshgrid", real(2), real(3), real(2), indexing="xy")
    yield sample("meshgrid", real(), real(3), indexing="xy")
    yield sample("cartesian_prod", real(2), real(3), real(2))
    yield sample("cartesian_prod", real(3))
    yield sample("combinations", real(4))
    yield sample("combinations", real(4), 3)
    yield sample("combinations", real(3), 2, True)
    yield sample("vander", real(3)).within(8, 9)
    yield sample("vander", real(3), 4, True).within(8, 30)
    yield sample("vander", index(3, below=5), 2)


def padding():
    for mode in ("constant", "reflect", "replicate", "circular"):
        yield sample("nn.functional.pad", real(1, 2, 4), (2, 1), mode)
        yield sample("nn.functional.pad", real(1, 1, 3, 4), (2, 1, 1, 0), mode)
        yield sample("nn.functional.pad", real(1, 2, 5), (-1, 2), mode)
    yield sample("nn.functional.pad", real(2, 4), (1, -2, 0, 1), "constant", 1.5)
    yield sample("nn.functional.pad", real(2, 4), (1, 1))
    yield sample("constant_pad_nd", real(2, 4), (1, -1), 2)
    yield sample("nn.functional.pad", real(0, 4), (1, 1, 2, 0)).constant()
    yield sample("nn.functional.pad", real(1, 1, 2, 3, 3), (1, 1, 1, 0, 0, 1), "replicate")


def resized(*args, **keywords):
    # Weights are rounded, in PyTorch as well; an element is a sum of up to 16 products with them.
    return sample("nn.functional.interpolate", *args, **keywords).within(16, 4)


def resampling():
    for mode in ("nearest", "nearest-exact", "bilinear", "bicubic", "area"):
        yield resized(real(1, 2, 3, 4), (5, 2), mode=mode)
        yield resized(real(1, 1, 2, 3), scale_factor=1.5, mode=mode)
    for mode in ("bilinear", "bicubic"):
        yield resized(real(1, 2, 2, 3), 4, mode=mode, align_corners=True)
    yield resized(real(1, 2, 4), 3, mode="linear")
    yield resized(real(1, 1, 2, 3, 2), scale_factor=2, mode="trilinear")
    for padding in ("zeros", "border", "reflection"):
        for align in (True, False):
            for mode in ("bilinear", "nearest"):
                yield sample(
                    "nn.functional.grid_sample", real(1, 2, 3, 2), real(1, 2, 3, 2), mode, padding,
                    align_corners=align,
                ).within(32, 4).without_ties()
    yield sample("nn.functional.grid_sample", real(1, 1, 2, 3, 2), real(1, 2, 1, 2, 3),
                 align_corners=True).within(32, 4)
    for align in (True, False):
        yield sample("nn.functional.affine_grid", real(2, 2, 3), (2, 1, 3, 4), align).within(8, 4)
    yield sample("nn.functional.affine_grid", real(1, 3, 4), (1, 1, 2, 2, 3), True).within(8, 4)
    yield sample("nn.functional.pixel_shuffle", real(1, 8, 2, 3), 2)
    yield sample("nn.functional.pixel_unshuffle", real(2, 4, 6), 2)
    yield sample("nn.functional.channel_shuffle", real(2, 6, 2), 3)


def windows():
    names = ("hann_window", "hamming_window", "blackman_window", "bartlett_window")
    for name in names:
        for arguments in ((7,), (8, False), (1,), (0,)):
            yield sample(name, *arguments).within(2, 1)
        yield sample(name, 9, dtype=Type("float64")).within(4, 1)
    yield sample("hamming_window", 6, True, 0.6, 0.4).within(2, 1)
    # PyTorch computes the Bessel function in float32.
    yield sample("kaiser_window", 7).within(16, 1)
    yield sample("kaiser_window", 7, False, beta=3.0).within(16, 1)
    for arguments in ((1, 4), (1, 2, 0.5), (4, 1, -1)):
        yield sample("range", *arguments)
