"""Convolutions of signals, images and volumes, and their gradients: kernels, and on what copies.

    out[n, o, y, x] = bias[o] + sum_{c, i, j} w[o, c, i, j] x[n, c, y s + i d - p, x s + j d - p]

with a stride s, a padding p and a dilation d for every dim, and channels in groups (o and c are of
one group). A signal is an image of one row, an image a volume of one plane: all that follows is
written for volumes. There are four ways:

- 1x1 filters that step by 1 are a matrix product as they stand.
- Rows of at least one vector are correlated straight on padded images (`correlation`, `filters`).
  A stride across is taken apart into phases: one padded image per phase, in which taps step by 1.
- The gradient of many filters reads padded images element by element (`filter_panels`).
- Else, and for integers, the image is laid out in columns, one row per channel and tap, and
  multiplied (`matmul`).

The gradient of the image, which is the transposed convolution, is a correlation of the padded
gradient with the filters turned around. With a stride, places of the image that leave the same rest
by it meet the same taps: each such phase is a correlation of its own, which writes into the image
in steps. Else it is the columns' gradient added back into the image.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from math import gcd, prod
from typing import NamedTuple

from cresset.core import scalar
from cresset.core.dtype import dtype
from cresset.core.layout import Layout, contiguous_strides
from cresset.kernels import filter_panels, nest, winograd
from cresset.kernels.correlation import Filters, Images, Results, correlate
from cresset.kernels.filters import PARTS_BYTES, filter_gradient, sum_parts
from cresset.kernels.matmul import Operand, matmul
from cresset.kernels.pack import pack_rows
from cresset.kernels.schedule import Schedule
from cresset.kernels.tile import Tile, lanes_of
from cresset.kernels.windows import Triple, add_windows, copy_windows, triple

FEW_PIXELS = 64  # images of fewer pixels are multiplied all at once, which takes a copy
VECTORS_OF_FEW = {1: 4, 2: 4, 3: 4}  # of a tile, by the channels of a group where these are few
MOST_PHASES = 8  # of an image's places by the stride, each of which is a correlation
GAIN = 1.5  # times less work that another algorithm must be, whose kernels take 0.1 s to compile
LEAST_SAVED = 300_000  # ns that it must save besides

Numbers = Sequence[int]  # one for each dim after the channels


class Shape(NamedTuple):
    """All sizes of a convolution; those of signals and images with leading ones."""

    dtype: dtype
    images: int
    groups: int
    inputs: int  # channels of a group
    outputs: int
    image: Triple  # depth, height and width
    out: Triple
    taps: Triple
    stride: Triple
    padding: Triple
    dilation: Triple

    @classmethod
    def of(cls, x: Layout, w: Layout, out: Layout, stride, padding, dilation, groups) -> Shape:
        image, size, taps = (triple(layout.shape[2:]) for layout in (x, out, w))
        return cls(x.dtype, x.shape[0], groups, w.shape[1], w.shape[0] // groups, image, size, taps,
                   triple(stride), triple(padding, 0), triple(dilation))

    def vectors(self, extents: Triple, step: int = 1) -> bool:
        """Whether rows of so many columns can be met in vectors, in such steps."""
        return self.dtype.is_floating_point and extents[-1] // step >= lanes_of(self.dtype)

    def allows_winograd(self, *volumes: Triple) -> bool:
        """Whether volumes of such extents can be had by Winograd's algorithm."""
        dense = self.stride == self.dilation == (1, 1, 1) and self.groups == 1
        return (dense and self.taps == (1, 3, 3) and self.image[0] == 1 and self.padding[0] == 0
                and max(self.padding) < 3 and not self.empty
                and winograd.allows(self.dtype, min(self.inputs, self.outputs),
                                    min(n for volume in volumes for n in volume[1:])))

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
        return self.taps == self.stride == (1, 1, 1) and self.padding == (0, 0, 0)


def convolution(x: Layout, w: Layout, out: Layout, stride: Numbers, padding: Numbers,
                dilation: Numbers, groups: int, values: tuple[int, int, int],
                bias: int | None = None, *, first_temporary: int):
    """The steps of out = convolution of x with w (+ bias), and the bytes of their temporaries.

    x is (images, channels, height, width), w (channels out, channels in / groups, down, across),
    or with one or three dims after the channels; all are packed. `values` are the places of (x, w,
    out), `bias` that of the packed (channels out).
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
                  _planes(shape, target, shape.outputs, pixels), _column(bias, shape.outputs))
    elif shape.vectors(shape.out) and prod(shape.taps) > 1:
        _correlate(schedule, shape, image, filters, target, bias)
    else:
        _by_columns(schedule, shape, image, filters, target, bias)
    if shape.allows_winograd(shape.out):
        schedule = _least(schedule, lambda other: _winograd(
            other, shape, image, shape.image, shape.padding,
            winograd.Filters(filters, 9, 9 * shape.inputs, turned=False), target, bias,
            (shape.images, shape.inputs, shape.outputs, *shape.out[1:])))
    return schedule.result()


def convolution_input_gradient(gradient: Layout, w: Layout, x: Layout, stride: Numbers,
                               padding: Numbers, dilation: Numbers, groups: int,
                               values: tuple[int, int, int], bias: int | None = None, *,
                               first_temporary: int):
    """The gradient of `convolution` for its image (+ bias); `values` are (gradient, w, x).

    The bias, one number for each channel of x, is for this as a transposed convolution.
    """
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
                  _planes(shape, target, shape.inputs, pixels), _column(bias, shape.inputs))
    elif (shape.vectors(shape.image, shape.stride[-1]) and prod(shape.stride) <= MOST_PHASES
          and not shape.empty):
        _correlate_back(schedule, shape, source, filters, target, bias)
    else:
        _columns_back(schedule, shape, source, filters, target, bias)
    if shape.allows_winograd(shape.image):
        margins = triple([2 - padding for padding in shape.padding[1:]], 0)
        schedule = _least(schedule, lambda other: _winograd(
            other, shape, source, shape.out, margins,
            winograd.Filters(filters, 9 * shape.inputs, 9, turned=True), target, bias,
            (shape.images, shape.outputs, shape.inputs, *shape.image[1:])))
    return schedule.result()


def convolution_weight_gradient(gradient: Layout, x: Layout, w: Layout, stride: Numbers,
                                padding: Numbers, dilation: Numbers, groups: int,
                                values: tuple[int, int, int], *, first_temporary: int):
    """The gradient of `convolution` for its filters; `values` are those of (gradient, x, w)."""
    shape = Shape.of(x, w, gradient, stride, padding, dilation, groups)
    schedule = Schedule(first_temporary)
    source, image, target = values
    if 0 in (shape.groups, shape.outputs, shape.inputs, *shape.taps):
        return schedule.result()
    if shape.pointwise and _parts_fit(shape):
        _product_per_image(schedule, shape, source, image, target)
    elif (shape.dtype.is_floating_point and not shape.empty
          and filter_panels.suits(shape.dtype, shape.outputs, shape.out[-1])):
        images, shifts = _padded(schedule, shape, image, 1)
        filter_panels.filter_gradient(
            schedule, shape.dtype, images, shape.stride[-1], shifts, source, target,
            (shape.images, shape.groups, shape.inputs, shape.outputs, *shape.out))
    elif shape.vectors(shape.out) and not shape.empty:
        images, shifts = _padded(schedule, shape, image, shape.stride[-1])
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
    # Tiles that look at padding more than at images would lose too much to rounding.
    if shape.allows_winograd(shape.out, shape.image):
        schedule = _least(schedule, lambda other: _winograd_by_weight(
            other, shape, source, image, target))
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


def _column(bias: int | None, channels: int) -> Operand | None:
    """A bias for each of a group's channels, the same for all pixels."""
    return None if bias is None else Operand(bias, (0, channels, 1, 0))


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
    """What each tap sees: a temporary (channels, taps along each dim, images, pixels)."""
    channels = shape.groups * shape.inputs
    volume = prod(shape.image)
    depth, *grid = shape.out
    sizes = (channels, *shape.taps, shape.images, depth)
    target = schedule.temporary(prod(sizes) * prod(grid) * shape.dtype.itemsize)
    (deep, down, across), step = shape.dilation, shape.stride[0]
    moves = ((volume, 0, 0, 0, channels * volume, 0), (0, deep, 0, 0, 0, step),
             (0, 0, down, 0, 0, 0), (0, 0, 0, across, 0, 0))
    copy_windows(schedule, shape.dtype, x, shape.image, grid, shape.stride[1:],
                 _corner(shape), sizes, moves, target)
    return target


def _corner(shape: Shape) -> Triple:
    """Where the first tap looks first."""
    front, top, left = shape.padding
    return -front, -top, -left


def _regrouped(schedule: Schedule, shape: Shape, gradient: int) -> int:
    """Planes of channels out with all images' planes side by side: (channels, images, pixels)."""
    channels = shape.groups * shape.outputs
    target = schedule.temporary(
        channels * shape.images * prod(shape.out) * shape.dtype.itemsize)
    _swap(schedule, shape, gradient, (channels, shape.images), target)
    return target


def _swap(schedule: Schedule, shape: Shape, source: int, sizes: tuple[int, int], target: int):
    """Volumes of the output's size copied as (*sizes), which lie the other way round."""
    pixels = prod(shape.out)
    moves = (pixels, sizes[0] * pixels), (0, 0), (0, 0), (0, 0)
    copy_windows(schedule, shape.dtype, source, (1, 1, pixels), (1, pixels), (1, 1), (0, 0, 0),
                 sizes, moves, target)


def _by_columns(schedule: Schedule, shape: Shape, x: int, w: int, out: int, bias: int | None):
    pixels = prod(shape.out)
    row = shape.images * pixels
    columns = _columns(schedule, shape, x)
    if pixels >= FEW_PIXELS:
        source = Operand(columns, (pixels, shape.depth * row, row, 1))
        _multiply(schedule, shape, (shape.outputs, pixels, shape.depth), _weight(shape, w), source,
                  _planes(shape, out, shape.outputs, pixels), _column(bias, shape.outputs))
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


def _columns_back(schedule: Schedule, shape: Shape, gradient: int, w: int, x: int,
                  bias: int | None):
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
    volume = prod(shape.image)
    strides = (pixels, prod(shape.taps) * row), (channels * volume, volume), (0, 1)
    add_windows(schedule, shape.dtype, columns, shape.image, shape.out, shape.stride,
                _corner(shape), shape.taps, shape.dilation, (shape.images, channels), strides, row,
                x, bias)


# --- by Winograd's algorithm ----------------------------------------------------------------------
def _least(schedule: Schedule, way: Callable[[Schedule], None]) -> Schedule:
    """The schedule, or what another way makes of an empty one, if that is much less work."""
    other = Schedule(schedule.first_temporary)
    way(other)
    return other if GAIN * other.work + LEAST_SAVED < schedule.work else schedule


def _winograd(schedule: Schedule, shape: Shape, source: int, extents: Triple, margins: Triple,
              filters: winograd.Filters, out: int, bias: int | None,
              sizes: tuple[int, int, int, int, int]):
    """The correlation of images of such extents, with margins before them."""
    images, inputs, _, height, width = sizes
    index, (_, *padded) = _surrounded(schedule, shape.dtype, source, (images, inputs), extents,
                                      margins, (1, *winograd.margins(height, width)))
    winograd.winograd(schedule, shape.dtype, index, tuple(padded), filters, out, bias, sizes)


def _winograd_by_weight(schedule: Schedule, shape: Shape, gradient: int, x: int, w: int):
    _, height, width = shape.out
    index, (_, *padded) = _surrounded(
        schedule, shape.dtype, x, (shape.images, shape.inputs), shape.image, shape.padding,
        (1, *winograd.margins(height, width)))
    winograd.filter_gradient(schedule, shape.dtype, index, tuple(padded), gradient, w,
                             (shape.images, shape.inputs, shape.outputs, height, width))


# --- straight on padded images --------------------------------------------------------------------
def _padded(schedule: Schedule, shape: Shape, x: int, phases: int) -> tuple[Images, list[int]]:
    """The image with its padding, and what each tap adds.

    Its columns lie in phases, as many as the stride has steps, or as they are in a single one.
    """
    (depth, height, width), (deep, down, across) = shape.out, shape.stride
    channels = shape.groups * shape.inputs
    planes, rows = (
        (count - 1) * step + (taps - 1) * spacing + 1
        for count, step, taps, spacing in zip((depth, height), (deep, down), shape.taps,
                                              shape.dilation)
    )
    seen = (width - 1) * (across // phases)
    columns = seen + (shape.taps[-1] - 1) * shape.dilation[-1] // phases + 1
    index, (planes, rows, columns) = _surrounded(
        schedule, shape.dtype, x, (shape.images, channels), shape.image, shape.padding,
        (planes, rows, columns), phases)
    shifts = []
    for k, i, j in product(*map(range, shape.taps)):
        step, phase = divmod(j * shape.dilation[-1], phases)
        plane = phase * planes + k * shape.dilation[0]
        shifts.append((plane * rows + i * shape.dilation[1]) * columns + step)
    channel = phases * planes * rows * columns
    return Images(index, channels * channel, shape.inputs * channel, channel,
                  deep * rows * columns, down * columns), shifts


def _surrounded(schedule: Schedule, dtype: dtype, source: int, sizes: tuple[int, int],
                extents: Triple, margins: Triple, needed: Triple, across: int = 1):
    """Images with margins before them, so large as is needed, and their extents.

    They are (*sizes, phases of the columns, *needed): a copy, unless they serve as they are.
    """
    if across == 1 and not any(margins) and all(n >= k for n, k in zip(extents, needed)):
        return source, extents
    (images, channels), (planes, *grid) = sizes, needed
    volume = prod(extents)
    front, top, left = margins
    index = schedule.temporary(images * channels * across * prod(needed) * dtype.itemsize)
    moves = (channels * volume, volume, 0, 0), (0, 0, 0, 1), (0, 0, 0, 0), (0, 0, 1, 0)
    copy_windows(schedule, dtype, source, extents, grid, (1, across), (-front, -top, -left),
                 (images, channels, across, planes), moves, index)
    return index, needed


def _tile(shape: Shape, channels: int) -> Tile:
    tile = Tile.of(shape.dtype, channels)
    vectors = VECTORS_OF_FEW.get(channels)
    return tile._replace(rows=channels, vectors=vectors) if vectors else tile


def _correlate(schedule: Schedule, shape: Shape, x: int, w: int, out: int, bias: int | None):
    tile = _tile(shape, shape.outputs)
    images, shifts = _padded(schedule, shape, x, shape.stride[-1])
    depth = shape.depth
    packed = pack_rows(schedule, shape.dtype, tile, w, shape.outputs, depth, depth, 1,
                       (shape.groups,), (shape.outputs * depth,))
    panels = -(-shape.outputs // tile.rows)
    _, height, width = shape.out
    volume = prod(shape.out)
    group = shape.outputs * volume
    results = Results(out, 0, shape.groups * group, group, volume, height * width, width, 1)
    filters = Filters(packed, panels * depth * tile.rows, depth * tile.rows, shifts)
    correlate(schedule, shape.dtype, tile, images, filters, results, bias,
              (shape.images, shape.groups, shape.inputs, shape.outputs, *shape.out))


def _correlate_back(schedule: Schedule, shape: Shape, gradient: int, w: int, x: int,
                    bias: int | None):
    """The gradient, padded so far that every tap of the filters turned around stays inside it."""
    tile = _tile(shape, shape.inputs)
    phases = [_phases(*sizes) for sizes in zip(shape.image, shape.taps, shape.stride,
                                               shape.padding, shape.dilation)]
    margins = triple([max(0, -min(min(phase.looks, default=0) for phase in along))
                      for along in phases])
    needed = triple([margin + max(phase.places + max(phase.looks, default=0) for phase in along)
                     for margin, along in zip(margins, phases)])
    channels = shape.groups * shape.outputs
    index, (planes, rows, columns) = _surrounded(
        schedule, shape.dtype, gradient, (shape.images, channels), shape.out, margins, needed)
    volume = planes * rows * columns
    images = Images(index, channels * volume, shape.outputs * volume, volume, rows * columns,
                    columns)
    _, height, width = shape.image
    whole = prod(shape.image)
    group = shape.inputs * whole
    deep, down, across = shape.stride
    for k, i, j in product(*phases):
        first = (k.rest * height + i.rest) * width + j.rest
        results = Results(x, first, shape.groups * group, group, whole, deep * height * width,
                          down * width, across)
        shifts = [((z + margins[0]) * rows + y + margins[1]) * columns + v + margins[2]
                  for z, y, v in product(k.looks, i.looks, j.looks)]
        filters = _filters_of_phase(schedule, shape, tile, w, (k, i, j), shifts)
        # Where no tap looks one channel in is enough to write zeros, or the bias.
        inputs = shape.outputs if shifts else 1
        correlate(schedule, shape.dtype, tile, images, filters, results, bias,
                  (shape.images, shape.groups, inputs, shape.inputs, k.places, i.places, j.places))


class Phase(NamedTuple):
    """Places along a dim of the image that leave the same rest by the stride."""

    rest: int
    places: int
    taps: range  # those that meet them
    looks: list[int]  # where, in the gradient, each looks from the first of them


def _phases(extent: int, taps: int, stride: int, padding: int, dilation: int) -> list[Phase]:
    """The phases of a dim."""
    found = []
    for rest in range(min(stride, extent)):
        seen = [tap for tap in range(taps) if (rest + padding - tap * dilation) % stride == 0]
        every = range(seen[0], taps, stride // gcd(stride, dilation)) if seen else range(0)
        looks = [(rest + padding - tap * dilation) // stride for tap in every]
        found.append(Phase(rest, -(-(extent - rest) // stride), every, looks))
    return found


def _filters_of_phase(schedule: Schedule, shape: Shape, tile: Tile, w: int,
                      phases: tuple[Phase, Phase, Phase], shifts: list[int]) -> Filters:
    """Panels of channels in: those taps of the filters, channel out by channel out."""
    taps = len(shifts)
    if 0 < taps < prod(shape.taps):
        w = _chosen_taps(schedule, shape, w, phases)
    depth = shape.inputs * taps
    packed = w
    if taps:
        packed = pack_rows(schedule, shape.dtype, tile, w, shape.inputs, taps, taps, 1,
                           (shape.groups, shape.outputs), (shape.outputs * depth, depth), inner=1)
    panel = shape.outputs * taps * tile.rows
    return Filters(packed, -(-shape.inputs // tile.rows) * panel, panel, shifts)


def _chosen_taps(schedule: Schedule, shape: Shape, w: int,
                 phases: tuple[Phase, Phase, Phase]) -> int:
    """A copy of the filters with those taps alone."""
    counts = tuple(len(phase.taps) for phase in phases)
    channels = shape.groups * shape.outputs * shape.inputs
    index = schedule.temporary(channels * prod(counts) * shape.dtype.itemsize)
    strides = contiguous_strides((channels, *shape.taps))
    first = sum(phase.taps[0] * stride for phase, stride in zip(phases, strides[1:]))
    steps = (strides[0], *(phase.taps.step * stride for phase, stride in zip(phases, strides[1:])))
    sizes = (channels, *counts)
    operands = (nest.Operand(w, shape.dtype, steps, first),
                nest.Operand(index, shape.dtype, contiguous_strides(sizes)))
    body = (nest.Store(1, scalar.argument(0, shape.dtype), False),)
    schedule.follow(nest.steps(nest.Nest(sizes, frozenset(), operands, body)))
    return index
