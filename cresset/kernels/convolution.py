"""Convolutions of images and their gradients: which kernel does which, and on what copies.

    out[n, o, y, x] = bias[o] + sum_{c, i, j} w[o, c, i, j] x[n, c, y s + i d - p, x s + j d - p]

with a stride s, a padding p and a dilation d down and across, and channels in groups (o and c are
of one group). There are three ways:

- 1x1 filters that step by 1 are a matrix product as they stand.
- Rows of at least one vector are correlated straight on padded images (`correlation`, `filters`).
  A stride across is taken apart into phases: one padded image per phase, in which taps step by 1.
- Else the image is laid out in columns, one row per channel and tap, and multiplied (`matmul`).

The gradient of the image is a correlation of the padded gradient with the filters turned around,
or, with a stride, the columns' gradient added back into the image.
"""

from __future__ import annotations

from math import prod
from typing import NamedTuple

from cresset.core.dtype import dtype
from cresset.core.layout import Layout
from cresset.kernels.correlation import Filters, Images, correlate
from cresset.kernels.filters import PARTS_BYTES, filter_gradient, sum_parts
from cresset.kernels.matmul import Operand, matmul
from cresset.kernels.pack import pack_rows
from cresset.kernels.schedule import Schedule
from cresset.kernels.tile import Tile, lanes_of
from cresset.kernels.windows import add_windows, copy_windows

FEW_PIXELS = 64  # images of fewer pixels are multiplied all at once, which takes a copy
DEPTHWISE_VECTORS = 4

Pair = tuple[int, int]


class Shape(NamedTuple):
    """All sizes of a convolution."""

    dtype: dtype
    images: int
    groups: int
    inputs: int  # channels of a group
    outputs: int
    image: Pair  # height and width
    out: Pair
    taps: Pair
    stride: Pair
    padding: Pair
    dilation: Pair

    @classmethod
    def of(cls, x: Layout, w: Layout, out: Layout, stride, padding, dilation, groups) -> Shape:
        return cls(x.dtype, x.shape[0], groups, w.shape[1], w.shape[0] // groups, x.shape[2:],
                   out.shape[2:], w.shape[2:], tuple(stride), tuple(padding), tuple(dilation))

    @property
    def lanes(self) -> int:
        return lanes_of(self.dtype)

    @property
    def depth(self) -> int:
        """Products in a sum: channels and taps of a group."""
        return self.inputs * prod(self.taps)

    @property
    def empty(self) -> bool:
        return 0 in (self.images, self.groups, self.inputs, self.outputs, *self.image, *self.out,
                     *self.taps)

    @property
    def pointwise(self) -> bool:
        """Whether it is a matrix product as it stands."""
        return self.taps == self.stride == (1, 1) and self.padding == (0, 0)


def convolution(x: Layout, w: Layout, out: Layout, stride: Pair, padding: Pair, dilation: Pair,
                groups: int, values: tuple[int, int, int], bias: int | None = None, *,
                first_temporary: int):
    """The steps of out = convolution of x with w (+ bias), and the bytes of their temporaries.

    x is (images, channels, height, width), w (channels out, channels in / groups, down, across),
    all packed; `values` are the places of (x, w, out), `bias` that of the packed (channels out).
    """
    shape = Shape.of(x, w, out, stride, padding, dilation, groups)
    schedule = Schedule(first_temporary)
    image, filters, target = values
    pixels = prod(shape.out)
    if 0 in (shape.images, shape.groups, shape.outputs, pixels):
        return schedule.result()
    if shape.pointwise or shape.depth == 0:
        _multiply(schedule, shape, (shape.outputs, pixels, shape.inputs), _weight(shape, filters),
                  _planes(shape, image, shape.inputs, pixels),
                  _planes(shape, target, shape.outputs, pixels), _column(shape, bias))
    elif shape.out[1] >= shape.lanes and prod(shape.taps) > 1:
        _correlate(schedule, shape, image, filters, target, bias)
    else:
        _by_columns(schedule, shape, image, filters, target, bias)
    return schedule.result()


def convolution_input_gradient(gradient: Layout, w: Layout, x: Layout, stride: Pair, padding: Pair,
                               dilation: Pair, groups: int, values: tuple[int, int, int], *,
                               first_temporary: int):
    """The gradient of `convolution` for its image; `values` are those of (gradient, w, x)."""
    shape = Shape.of(x, w, gradient, stride, padding, dilation, groups)
    schedule = Schedule(first_temporary)
    source, filters, target = values
    pixels = prod(shape.out)
    if 0 in (shape.images, shape.groups, shape.inputs, *shape.image):
        return schedule.result()
    if shape.pointwise:
        _multiply(schedule, shape, (shape.inputs, pixels, shape.outputs),
                  _weight(shape, filters).transposed(),
                  _planes(shape, source, shape.outputs, pixels),
                  _planes(shape, target, shape.inputs, pixels))
    elif shape.stride == (1, 1) and shape.image[1] >= shape.lanes and not shape.empty:
        _correlate_back(schedule, shape, source, filters, target)
    else:
        _columns_back(schedule, shape, source, filters, target)
    return schedule.result()


def convolution_weight_gradient(gradient: Layout, x: Layout, w: Layout, stride: Pair, padding: Pair,
                                dilation: Pair, groups: int, values: tuple[int, int, int], *,
                                first_temporary: int):
    """The gradient of `convolution` for its filters; `values` are those of (gradient, x, w)."""
    shape = Shape.of(x, w, gradient, stride, padding, dilation, groups)
    schedule = Schedule(first_temporary)
    source, image, target = values
    if 0 in (shape.groups, shape.outputs, shape.inputs, *shape.taps):
        return schedule.result()
    if shape.pointwise and _parts_fit(shape):
        _product_per_image(schedule, shape, source, image, target)
    elif shape.out[1] >= shape.lanes and not shape.empty:
        images, shifts = _padded(schedule, shape, image)
        filter_gradient(schedule, shape.dtype, images, shifts, source, target,
                        (shape.images, shape.groups, shape.inputs, shape.outputs, *shape.out))
    else:
        pixels = prod(shape.out) * shape.images
        columns = Operand(_columns(schedule, shape, image), (shape.depth * pixels, pixels, 1))
        rows = Operand(_regrouped(schedule, shape, source), (shape.outputs * pixels, pixels, 1))
        weight = Operand(target, (shape.outputs * shape.depth, shape.depth, 1))
        schedule.follow(matmul(
            (shape.groups,), shape.outputs, shape.depth, pixels, shape.dtype, rows,
            columns.transposed(), weight, first_temporary=schedule.next_temporary))
    return schedule.result()


# --- as matrix products ---------------------------------------------------------------------------
def _multiply(schedule, shape, sizes, a, b, c, bias=None):
    m, n, k = sizes
    schedule.follow(matmul((shape.images, shape.groups), m, n, k, shape.dtype, a, b, c, bias,
                           first_temporary=schedule.next_temporary))


def _weight(shape: Shape, w: int) -> Operand:
    """The filters as a matrix (channels out, channels in and taps) per group."""
    return Operand(w, (0, shape.outputs * shape.depth, shape.depth, 1))


def _planes(shape: Shape, value: int, channels: int, pixels: int) -> Operand:
    """Images as matrices (channels, pixels) per image and group."""
    group = channels * pixels
    return Operand(value, (shape.groups * group, group, pixels, 1))


def _column(shape: Shape, bias: int | None) -> Operand | None:
    """A bias per channel out, the same for all pixels."""
    return None if bias is None else Operand(bias, (0, shape.outputs, 1, 0))


def _parts_fit(shape: Shape) -> bool:
    """Whether a product of filters' size per image takes little memory for what it is."""
    volume = shape.groups * shape.outputs * shape.inputs * shape.dtype.itemsize
    return prod(shape.out) >= FEW_PIXELS and 0 < shape.images * volume <= PARTS_BYTES


def _product_per_image(schedule: Schedule, shape: Shape, gradient: int, x: int, w: int):
    """The gradient of 1x1 filters: one product per image, then their sum."""
    pixels = prod(shape.out)
    volume = shape.groups * shape.outputs * shape.inputs
    parts = w
    if shape.images > 1:
        parts = schedule.temporary(shape.images * volume * shape.dtype.itemsize)
    products = Operand(parts, (volume, shape.outputs * shape.inputs, shape.inputs, 1))
    _multiply(schedule, shape, (shape.outputs, shape.inputs, pixels),
              _planes(shape, gradient, shape.outputs, pixels),
              _planes(shape, x, shape.inputs, pixels).transposed(), products)
    if shape.images > 1:
        sum_parts(schedule, shape.dtype, parts, w, volume, shape.images)


# --- through columns ------------------------------------------------------------------------------
def _columns(schedule: Schedule, shape: Shape, x: int) -> int:
    """What each tap sees: a temporary (channels, taps down, taps across, images, pixels)."""
    channels = shape.groups * shape.inputs
    plane = prod(shape.image)
    sizes = (channels, *shape.taps, shape.images)
    target = schedule.temporary(prod(sizes) * prod(shape.out) * shape.dtype.itemsize)
    (down, across), (top, left) = shape.dilation, shape.padding
    moves = (plane, 0, 0, channels * plane), (0, down, 0, 0), (0, 0, across, 0)
    copy_windows(schedule, shape.dtype, x, shape.image, shape.out, shape.stride, (-top, -left),
                 sizes, moves, target)
    return target


def _regrouped(schedule: Schedule, shape: Shape, gradient: int) -> int:
    """Planes of channels out with all images' planes side by side: (channels, images, pixels)."""
    channels = shape.groups * shape.outputs
    target = schedule.temporary(
        channels * shape.images * prod(shape.out) * shape.dtype.itemsize)
    _swap(schedule, shape, gradient, (channels, shape.images), target)
    return target


def _swap(schedule: Schedule, shape: Shape, source: int, sizes: Pair, target: int):
    """Planes of the output's size copied as (*sizes), which lie the other way round."""
    pixels = prod(shape.out)
    moves = (pixels, sizes[0] * pixels), (0, 0), (0, 0)
    copy_windows(schedule, shape.dtype, source, (1, pixels), (1, pixels), (1, 1), (0, 0), sizes,
                 moves, target)


def _by_columns(schedule: Schedule, shape: Shape, x: int, w: int, out: int, bias: int | None):
    pixels = prod(shape.out)
    row = shape.images * pixels
    columns = _columns(schedule, shape, x)
    if pixels >= FEW_PIXELS:
        source = Operand(columns, (pixels, shape.depth * row, row, 1))
        _multiply(schedule, shape, (shape.outputs, pixels, shape.depth), _weight(shape, w), source,
                  _planes(shape, out, shape.outputs, pixels), _column(shape, bias))
        return
    channels = shape.groups * shape.outputs
    target = schedule.temporary(channels * row * shape.dtype.itemsize)
    source = Operand(columns, (shape.depth * row, row, 1))
    weight = Operand(w, (shape.outputs * shape.depth, shape.depth, 1))
    terms = None if bias is None else Operand(bias, (shape.outputs, 1, 0))
    schedule.follow(matmul((shape.groups,), shape.outputs, row, shape.depth, shape.dtype, weight,
                           source, Operand(target, (shape.outputs * row, row, 1)), terms,
                           first_temporary=schedule.next_temporary))
    _swap(schedule, shape, target, (shape.images, channels), out)


def _columns_back(schedule: Schedule, shape: Shape, gradient: int, w: int, x: int):
    """The columns' gradient, added back into the image."""
    pixels = prod(shape.out)
    row = shape.images * pixels
    channels = shape.groups * shape.inputs
    columns = schedule.temporary(shape.groups * shape.depth * row * shape.dtype.itemsize)
    if row:
        source = Operand(_regrouped(schedule, shape, gradient), (shape.outputs * row, row, 1))
        weight = Operand(w, (shape.outputs * shape.depth, shape.depth, 1)).transposed()
        target = Operand(columns, (shape.depth * row, row, 1))
        schedule.follow(matmul((shape.groups,), shape.depth, row, shape.outputs, shape.dtype,
                               weight, source, target, first_temporary=schedule.next_temporary))
    plane = prod(shape.image)
    top, left = shape.padding
    strides = (pixels, prod(shape.taps) * row), (channels * plane, plane)
    add_windows(schedule, shape.dtype, columns, shape.image, shape.out, shape.stride, (-top, -left),
                shape.taps, shape.dilation, (shape.images, channels), strides, row, x)


# --- straight on padded images --------------------------------------------------------------------
def _padded(schedule: Schedule, shape: Shape, x: int) -> tuple[Images, list[int]]:
    """The image with its padding, in one phase per column of a stride, and what each tap adds."""
    (height, width), (down, across) = shape.out, shape.stride
    channels = shape.groups * shape.inputs
    rows = (height - 1) * down + (shape.taps[0] - 1) * shape.dilation[0] + 1
    columns = width + (shape.taps[1] - 1) * shape.dilation[1] // across
    corner = -shape.padding[0], -shape.padding[1]
    if across == 1 and shape.padding == (0, 0):
        index, (rows, columns) = x, shape.image
    else:
        sizes = (shape.images, channels, across)
        plane = prod(shape.image)
        index = schedule.temporary(prod(sizes) * rows * columns * shape.dtype.itemsize)
        copy_windows(schedule, shape.dtype, x, shape.image, (rows, columns), (1, across), corner,
                     sizes, ((channels * plane, plane, 0), (0, 0, 0), (0, 0, 1)), index)
    shifts = []
    for i in range(shape.taps[0]):
        for j in range(shape.taps[1]):
            step, phase = divmod(j * shape.dilation[1], across)
            shifts.append((phase * rows + i * shape.dilation[0]) * columns + step)
    channel = across * rows * columns
    return Images(index, channels * channel, shape.inputs * channel, channel, down * columns,
                  shape.inputs * across * down * columns * shape.dtype.itemsize), shifts


def _tile(shape: Shape, channels: int) -> Tile:
    tile = Tile.of(shape.dtype, channels)
    return tile._replace(vectors=DEPTHWISE_VECTORS) if tile.rows == 1 else tile


def _correlate(schedule: Schedule, shape: Shape, x: int, w: int, out: int, bias: int | None):
    tile = _tile(shape, shape.outputs)
    images, shifts = _padded(schedule, shape, x)
    depth = shape.depth
    packed = pack_rows(schedule, shape.dtype, tile, w, shape.outputs, depth, depth, 1,
                       (shape.groups,), (shape.outputs * depth,))
    panels = -(-shape.outputs // tile.rows)
    filters = Filters(packed, panels * depth * tile.rows, depth * tile.rows,
                      len(shifts) * tile.rows, shifts)
    correlate(schedule, shape.dtype, tile, images, filters, out, bias,
              (shape.images, shape.groups, shape.inputs, shape.outputs, *shape.out))


def _correlate_back(schedule: Schedule, shape: Shape, gradient: int, w: int, x: int):
    """The gradient, padded so far that every tap of the filters turned around stays inside it."""
    tile = _tile(shape, shape.inputs)
    reach = [(count - 1) * step for count, step in zip(shape.taps, shape.dilation)]
    turned = shape._replace(
        inputs=shape.outputs, outputs=shape.inputs, image=shape.out, out=shape.image,
        padding=(reach[0] - shape.padding[0], reach[1] - shape.padding[1]),
    )
    images, shifts = _padded(schedule, turned, gradient)
    taps = prod(shape.taps)
    depth = shape.depth
    packed = pack_rows(schedule, shape.dtype, tile, w, shape.inputs, taps, taps, 1,
                       (shape.groups, shape.outputs), (shape.outputs * depth, depth), inner=1)
    channel = taps * tile.rows
    panel = shape.outputs * channel
    panels = -(-shape.inputs // tile.rows)
    filters = Filters(packed, panels * panel, panel, channel, shifts[::-1])
    correlate(schedule, shape.dtype, tile, images, filters, x, None,
              (shape.images, shape.groups, shape.outputs, shape.inputs, *shape.image))
