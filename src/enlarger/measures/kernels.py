"""The reference reduction D and the plain enlargement U along rows by libvips, down columns by weights of verify's own.

Strips arrive row by row and libvips' vertical reduction knows no phase, so columns get Keys' cubic (a = -0.5; Keys 1981,
formula 4) or a triangle, stretched by the scale so that nothing aliases, from here. tests/steps/test_verify_measures.py
holds both directions against libvips' own.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from enlarger.codecs.vips import pyvips, vips_of

Floats = NDArray[np.float32]

GROUP = 8
"""Rows made by one matrix product: few enough that the matrix is not mostly zeros."""

ONE_THREAD = 200_000
"""Products of at most this many multiplications OpenBLAS makes on one thread; on a busy machine its threads wait 100 times longer."""


def cubic(t: NDArray[np.float64]) -> NDArray[np.float64]:
    t = np.abs(t)
    return np.where(t < 1, (1.5 * t - 2.5) * t * t + 1, np.where(t < 2, ((-0.5 * t + 2.5) * t - 4) * t + 2, 0.0))


def triangle(t: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.maximum(0.0, 1 - np.abs(t)))


KERNELS = {"cubic": (cubic, 2.0), "linear": (triangle, 1.0)}


@lru_cache(256)
def _weights(scale: float, kernel: str, count: int, phase: float) -> tuple[int, Floats]:
    """Weights of ``count`` rows over input rows, the first of which is ``lead`` after the place where the group begins."""
    function, support = KERNELS[kernel]
    stretch = max(1.0, scale)
    centres = (np.arange(count) + 0.5) * scale - 0.5 + phase
    lead = int(np.floor(centres[0] - support * stretch))
    at = np.arange(lead, int(np.ceil(centres[-1] + support * stretch)) + 1)
    matrix = function((at - centres[:, None]) / stretch)
    return lead, (matrix / matrix.sum(axis=1, keepdims=True)).astype(np.float32)


def _inside(matrix: Floats, low: int, size: int) -> tuple[int, Floats]:
    """Past the border the last row is repeated: its weight goes to that row."""
    over = low + matrix.shape[1] - size
    if low < 0:
        matrix = np.concatenate([matrix[:, : 1 - low].sum(axis=1, keepdims=True), matrix[:, 1 - low :]], axis=1)
        low = 0
    if over > 0:
        matrix = np.concatenate([matrix[:, : -over - 1], matrix[:, -over - 1 :].sum(axis=1, keepdims=True)], axis=1)
    return low, matrix


class Falling:
    """Rows of a picture of ``size`` rows brought to ``out`` rows while they come: held is what is not let go of, not what came.

    Adds up what each strip gives to the rows that it reaches, :data:`GROUP` rows at a time; equals :func:`down_columns`.
    """

    def __init__(self, size: int, out: int, kernel: str) -> None:
        self.size, self.out, self.kernel = size, out, kernel
        self.seen = 0
        self.ready = 0
        """Rows that are complete."""
        self._groups: dict[int, Floats] = {}

    def add(self, rows: Floats) -> None:
        """The next rows, ``(n, ...)``."""
        first, end = self.seen, self.seen + len(rows)
        flat = rows.reshape(len(rows), -1)
        at = self.ready
        while at < self.out:
            low, matrix = self._matrix(at)
            if low >= end:
                break
            if at not in self._groups:
                self._groups[at] = np.zeros((matrix.shape[0], *rows.shape[1:]), np.float32)
            a, b = max(low, first), min(low + matrix.shape[1], end)
            if a < b:
                _product(matrix[:, a - low : b - low], flat[a - first : b - first], self._groups[at].reshape(matrix.shape[0], -1), add=True)
            at += GROUP
            if low + matrix.shape[1] <= end:
                self.ready = min(at, self.out)
        self.seen = end

    def _matrix(self, at: int) -> tuple[int, Floats]:
        base, over = divmod(at * self.size, self.out)
        lead, matrix = _weights(self.size / self.out, self.kernel, min(GROUP, self.out - at), over / self.out)
        return _inside(matrix, base + lead, self.size)

    def rows(self, low: int, high: int, columns: slice) -> Floats:
        """Rows ``low`` to ``high`` of the answer, at ``columns``; all of them complete and not let go of."""
        start = low // GROUP * GROUP
        parts = [self._groups[at][:, columns] for at in range(start, high, GROUP)]
        return np.concatenate(parts)[low - start : high - start]

    def forget(self, row: int) -> None:
        """Lets go of rows before ``row``."""
        for at in [at for at, group in self._groups.items() if at + len(group) <= row]:
            del self._groups[at]

    @property
    def held(self) -> int:
        """Rows in memory."""
        return sum(len(group) for group in self._groups.values())


def down_columns(rows: Floats, start: int, size: int, out: int, kernel: str, first: int, end: int) -> Floats:
    """Rows ``first`` to ``end`` of a picture of ``out`` rows made of one of ``size`` rows, of which ``rows`` begins at ``start``.

    ``rows`` is ``(n, ...)``; the answer ``(end - first, ...)``.
    """
    flat = rows.reshape(len(rows), -1)
    result = np.empty((end - first, flat.shape[1]), np.float32)
    for at in range(first, end, GROUP):
        stop = min(at + GROUP, end)
        base, over = divmod(at * size, out)
        lead, matrix = _weights(size / out, kernel, stop - at, over / out)
        low, matrix = _inside(matrix, base + lead, size)
        _product(matrix, flat[low - start : low - start + matrix.shape[1]], result[at - first : stop - first])
    return result.reshape(end - first, *rows.shape[1:])


def _product(matrix: Floats, rows: Floats, out: Floats, *, add: bool = False) -> None:
    wide = max(16, ONE_THREAD // matrix.size)
    for x in range(0, rows.shape[1], wide):
        if add:
            out[:, x : x + wide] += matrix @ rows[:, x : x + wide]
        else:
            np.matmul(matrix, rows[:, x : x + wide], out=out[:, x : x + wide])


def along_rows(rows: NDArray[Any], width: int, kernel: str) -> Floats:
    """``(n, w, bands)`` samples brought to ``width`` by libvips, ``float32`` in the samples' own units."""
    picture = vips_of(rows).cast("float")
    factor = rows.shape[1] / width
    if factor > 1:
        picture = picture.reduceh(factor, kernel=kernel)
    elif factor < 1:
        # Not resize(): enlarging along one axis only, it is a quarter of a source pixel off (libvips 8.18).
        name = pyvips.Interpolate.new("bicubic" if kernel == "cubic" else "bilinear")
        area = [0, 0, width, len(rows)]
        picture = picture.affine([1 / factor, 0, 0, 1], interpolate=name, idx=(1 - factor) / 2, oarea=area, extend="copy")
    return np.frombuffer(picture.write_to_memory(), np.float32).reshape(rows.shape[0], width, rows.shape[2])
