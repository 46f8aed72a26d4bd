"""D and U: reduction and enlargement by cubic convolution, in one definition for everything that builds on them.

The kernel is that of Keys (1981) with ``a = -0.5``, widened by the factor when reducing (antialiasing), on encoded values, with the
border repeated: the convention of the super-resolution literature. Output pixel ``X`` of ``N'`` covers source
``[X N / N', (X + 1) N / N')``, so nothing drifts whatever the factor.

Pixels are planes here, ``(channels, height, width) float32``: each axis is then one multiplication by a band matrix, which BLAS
does at memory speed.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from enlarger.image import Box

Planes = NDArray[np.float32]
"""``(channels, height, width) float32``."""

BLOCK = 128
"""Samples of the longer side that one multiplication makes or takes: wide enough for BLAS, narrow enough to skip zeros."""

KEPT = 256
"""Matrices that a :class:`Scaling` remembers; inner ones repeat, so few are needed."""


def cubic(t: NDArray[np.float64]) -> NDArray[np.float64]:
    """Keys' kernel with ``a = -0.5`` at distances ``t``."""
    t = np.abs(t)
    near = (1.5 * t - 2.5) * t * t + 1
    far = ((-0.5 * t + 2.5) * t - 4) * t + 2
    result: NDArray[np.float64] = np.where(t <= 1, near, np.where(t < 2, far, 0.0))
    return result


class Scaling:
    """The linear map of one axis from ``source`` samples to ``result`` samples."""

    def __init__(self, source: int, result: int) -> None:
        self.source, self.result = source, result
        self._stretch = max(1.0, source / result)
        self._period = result // np.gcd(source, result)
        self._known: OrderedDict[tuple[int, int, int, int], NDArray[np.float32]] = OrderedDict()

    @property
    def block(self) -> int:
        """Result samples that are best made at once."""
        return max(1, BLOCK * self.result // max(self.source, self.result))

    def needs(self, start: int, stop: int) -> tuple[int, int]:
        """The source samples ``[low, high)`` that result samples ``[start, stop)`` depend on."""
        reach = 2 * self._stretch
        low = (start + 0.5) * self.source / self.result - 0.5 - reach
        high = (stop - 0.5) * self.source / self.result - 0.5 + reach
        return max(0, int(np.floor(low))), min(self.source, int(np.ceil(high)) + 1)

    def matrix(self, start: int, stop: int) -> NDArray[np.float32]:
        """``(stop - start, high - low)``: result samples ``[start, stop)`` from the source samples that they need."""
        low, high = self.needs(start, stop)
        inner = low > 0 and high < self.source
        # Inner matrices repeat with the period of the ratio; those that see a border are their own.
        key = (start % self._period, stop - start, high - low, -1) if inner else (start, stop, low, high)
        known = self._known.get(key)
        if known is None:
            known = self._made(start, stop, low, high)
            self._known[key] = known
            if len(self._known) > KEPT:
                self._known.popitem(last=False)
        return known

    def _made(self, start: int, stop: int, low: int, high: int) -> NDArray[np.float32]:
        centres = (np.arange(start, stop) + 0.5) * (self.source / self.result) - 0.5
        taps = int(np.ceil(4 * self._stretch)) + 1
        at = np.floor(centres - 2 * self._stretch).astype(np.int64)[:, None] + np.arange(taps + 1)
        weights = cubic((at - centres[:, None]) / self._stretch)
        weights /= weights.sum(axis=1, keepdims=True)
        made = np.zeros((stop - start, high - low))
        rows = np.broadcast_to(np.arange(stop - start)[:, None], at.shape)
        np.add.at(made, (rows, np.clip(at, 0, self.source - 1).clip(low, high - 1) - low), weights)
        return made.astype(np.float32)


def along_rows(planes: Planes, origin: int, scaling: Scaling, start: int, stop: int) -> Planes:
    """Rows ``[start, stop)`` of the result of ``scaling`` down the rows of ``planes``, whose first row is number ``origin``."""
    out = np.empty((planes.shape[0], stop - start, planes.shape[2]), np.float32)
    for first, last, matrix, low, high in _blocks(scaling, start, stop):
        for plane, target in zip(planes, out, strict=True):
            np.matmul(matrix, plane[low - origin : high - origin], out=target[first - start : last - start])
    return out


def along_columns(planes: Planes, origin: int, scaling: Scaling, start: int, stop: int) -> Planes:
    """Columns ``[start, stop)`` of the result of ``scaling`` along the columns of ``planes``, whose first is number ``origin``."""
    out = np.empty((*planes.shape[:2], stop - start), np.float32)
    for first, last, matrix, low, high in _blocks(scaling, start, stop):
        for plane, target in zip(planes, out, strict=True):
            target[:, first - start : last - start] = plane[:, low - origin : high - origin] @ matrix.T
    return out


def _blocks(scaling: Scaling, start: int, stop: int) -> list[tuple[int, int, NDArray[np.float32], int, int]]:
    step = scaling.block
    spans = [(first, min(first + step, stop)) for first in range(start, stop, step)]
    return [(first, last, scaling.matrix(first, last), *scaling.needs(first, last)) for first, last in spans]


class Sizes:
    """Both axes between a source of ``width`` x ``height`` and a result of ``out_width`` x ``out_height``: U up, D down."""

    def __init__(self, width: int, height: int, out_width: int, out_height: int) -> None:
        self.width, self.height, self.out_width, self.out_height = width, height, out_width, out_height
        self.up = Scaling(width, out_width), Scaling(height, out_height)
        self.down = Scaling(out_width, width), Scaling(out_height, height)

    def below(self, box: Box) -> Box:
        """The source pixels that ``box`` of an enlargement depends on."""
        (x0, x1), (y0, y1) = self.up[0].needs(box.x, box.right), self.up[1].needs(box.y, box.bottom)
        return Box(x0, y0, x1 - x0, y1 - y0)

    def enlarged(self, planes: Planes, origin: tuple[int, int], box: Box) -> Planes:
        """``box`` of U of a source of which ``planes`` is the part that begins at ``origin`` (x, y) and holds ``below(box)``."""
        x, y = origin
        wide = along_columns(planes, x, self.up[0], box.x, box.right)
        return along_rows(wide, y, self.up[1], box.y, box.bottom)

    def reduced_rows(self, planes: Planes, origin: int, start: int, stop: int) -> Planes:
        """Source rows ``[start, stop)`` of D of a result of whose full-width rows ``planes`` holds the needed ones, from ``origin`` on."""
        low = along_rows(planes, origin, self.down[1], start, stop)
        return along_columns(low, 0, self.down[0], 0, self.width)


def planes_of(samples: NDArray[Any], channels: int) -> Planes:
    """The first ``channels`` of stored samples ``(h, w, bands)``, integers to [0, 1], as planes."""
    out = np.empty((channels, *samples.shape[:2]), np.float32)
    scale = np.float32(1.0 / np.iinfo(samples.dtype).max) if samples.dtype.kind == "u" else np.float32(1)
    for channel in range(channels):
        np.multiply(samples[..., channel], scale, out=out[channel], casting="unsafe")
    return out
