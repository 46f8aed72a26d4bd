"""The true pixels of pixel art: how large its blocks are, where they begin, and the picture brought back to one sample per block.

A sprite that was saved at four times its size has neighbours that differ on every fourth line only. Two ways of looking find that:

- exact: which columns differ at all from the one before. Not one may lie off the lattice. Finds any block in a file without loss.
- by energy: the mean squared step of luma per column, against what JPEG leaves between the lines of the lattice.

Either way chance must be ruled out: ``n`` lines that fall on every ``s``-th do so by accident once in ``s ** (n - 1)`` times.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from enlarger.canvas import Canvas
from enlarger.image import Box, Samples

LARGEST = 64
"""Side of a block that is looked for at most."""

STRIPS, STRIP = 8, 2**18
"""How many strips of a large picture are looked at along each axis, and pixels in each."""

OFF = 0.06
"""Energy between the lines of the lattice, as a share of that on them, up to which it is a lattice, and a fifth of the strongest line
between them. Sprites through JPEG have at most 0.016 at quality 90 and 0.055 at 75; the best lattice of thirteen photographs has 0.28 or
more on one of its axes, at quality 10, where blocks of JPEG show, 0.13."""

RIVAL = 5
"""Times :data:`OFF` that the strongest line between those of the lattice may have."""

TOO_ODD = math.log(1e5)
"""Odds against chance that it takes, as a logarithm."""

MERGED = 10
"""Difference in 1/255, in every band, up to which blocks of a picture that went through JPEG are one colour."""

MOST_COLOURS = 4096
"""Colours up to which they are merged: what has more is no pixel art, or has gradients."""

LUMA = np.array([0.299, 0.587, 0.114], np.float32)


@dataclass(frozen=True, slots=True)
class Axis:
    """Blocks along one axis of ``length`` source pixels: ``block`` long, lines at ``phase + k * block``, ``0 <= phase < block``."""

    length: int
    block: int = 1
    phase: int = 0

    @property
    def cells(self) -> int:
        """Blocks, the cut ones at the ends included."""
        return self.before + -(-(self.length - self.phase) // self.block)

    @property
    def before(self) -> int:
        """1 if the picture begins within a block."""
        return int(self.phase > 0)

    def under(self, begin: int, end: int, result: int, fine: int = 1) -> NDArray[np.int64]:
        """The block, each cut in ``fine``, under the centres of pixels ``[begin, end)`` of a result of ``result`` pixels; exact.

        Centres on a line, as every second one is at a scale of 2.5, go to either side by turns: else the picture would move.
        """
        x = np.arange(begin, end, dtype=np.int64)
        over, unit = ((2 * x + 1) * self.length - 2 * result * self.phase) * fine, 2 * result * self.block
        period = unit // math.gcd(2 * self.length * fine, unit)
        left = (over % unit == 0) & (x // period % 2 == 1)
        return np.asarray(over // unit - left + self.before * fine, np.int64)

    def covered(self, begin: int, end: int, result: int, fine: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Where pixels ``[begin, end)`` of the result begin and end, in blocks cut in ``fine``, within those that there are."""
        lines = np.arange(begin, end + 1, dtype=np.int64)
        places = (lines * self.length - result * self.phase) * fine / (result * self.block) + self.before * fine
        return places[:-1], places[1:]


def true_grid(samples: Samples) -> tuple[int, int, int, int] | None:
    """Blocks of ``samples`` ``(h, w, bands)``: width, height, and the x and y of the first line; ``None`` if pixels are true already."""
    found = _exact(samples)
    return found or _by_energy(samples)


def grid_of(samples: Samples, block: int) -> tuple[int, int, int, int]:
    """Blocks of a side that is known: only where they begin is found."""
    phases = []
    for axis in (1, 0):
        steps = _energy(samples, axis)
        phases.append(int(np.bincount(np.arange(steps.size) % block, steps, block).argmax()))
    return block, block, phases[0], phases[1]


def is_exact(samples: Samples, grid: tuple[int, int, int, int]) -> bool:
    """Whether every block, as far as was looked, is of one colour."""
    for axis, block, phase in ((1, grid[0], grid[2]), (0, grid[1], grid[3])):
        changed = _changes(samples, axis)
        changed[phase::block] = 0
        if changed.any():
            return False
    return True


def brought_back(samples: Samples, across: Axis, down: Axis, *, merge: bool) -> Samples:
    """One sample per block, ``(down.cells, across.cells, bands)`` of the same dtype: the median of its inner pixels, band by band.

    ``merge``: colours that differ by no more than JPEG makes them are one, the more frequent of them.
    """
    bands, dtype = samples.shape[2], samples.dtype.type
    with Canvas(across.cells, down.cells, bands, dtype) as canvas:
        for cell in range(down.cells):
            start = down.phase + (cell - down.before) * down.block
            rows = samples[max(0, start) : start + down.block]
            canvas.write(Box(0, cell, across.cells, 1), _medians(rows, across, down.block)[None])
        small = canvas.samples()
    return _merged(small) if merge else small


def keys(samples: Samples) -> NDArray[Any]:
    """``(h, w)`` whole numbers that are equal where pixels look the same: what lies under full transparency does not count."""
    kind: type[np.uint32] | type[np.uint64] = np.uint32 if samples.dtype == np.uint8 else np.uint64
    bits = 8 * samples.dtype.itemsize
    packed = np.zeros(samples.shape[:2], kind)
    for band in range(samples.shape[2]):
        packed = (packed << kind(bits)) | samples[..., band].astype(kind)
    if samples.shape[2] in (2, 4):
        packed[samples[..., -1] == 0] = 0
    return packed


# --- what is looked at --------------------------------------------------------------------------------------------------


def _strips(samples: Samples, axis: int) -> Iterator[Samples]:
    """Strips with the lines across ``axis`` as rows, ``(n, length, bands)``: all of a small picture, parts of a large one."""
    other = samples.shape[1 - axis]
    step = max(1, STRIP // samples.shape[axis])
    whole = other <= STRIPS * step
    starts = range(0, other, step) if whole else [int(at) for at in np.linspace(0, other - step, STRIPS)]
    for start in starts:
        yield samples[start : start + step] if axis == 1 else samples[:, start : start + step].transpose(1, 0, 2)


def _changes(samples: Samples, axis: int) -> NDArray[np.int64]:
    """How many pixels differ from the one before them, per column (``axis`` 1) or row (0)."""
    changed = np.zeros(samples.shape[axis], np.int64)
    for strip in _strips(samples, axis):
        packed = keys(strip)
        changed[1:] += (packed[:, 1:] != packed[:, :-1]).sum(0)
    return changed


def _energy(samples: Samples, axis: int) -> NDArray[np.float64]:
    """The mean squared step of luma (of 255) from the pixel before, per column or row; alpha counts as luma does."""
    total, count = np.zeros(samples.shape[axis]), 0
    colours = samples.shape[2] - (samples.shape[2] in (2, 4))
    scale = np.float32(255 / np.iinfo(samples.dtype).max)
    for strip in _strips(samples, axis):
        values = strip.astype(np.float32) * scale
        seen = values[..., :colours] @ LUMA if colours == 3 else values[..., 0]
        planes = [seen]
        if colours < values.shape[2]:
            alpha = values[..., -1]
            planes = [seen * alpha / 255, alpha]
        total[1:] += sum((np.diff(plane, axis=1) ** 2).sum(0, dtype=np.float64) for plane in planes)
        count += len(strip)
    return total / max(1, count)


# --- what is made of it -------------------------------------------------------------------------------------------------


def _exact(samples: Samples) -> tuple[int, int, int, int] | None:
    found = [_lattice((_changes(samples, axis) > 0).astype(float), 0.0) for axis in (1, 0)]
    return _together(found)


def _by_energy(samples: Samples) -> tuple[int, int, int, int] | None:
    found = [_lattice(_energy(samples, axis), OFF) for axis in (1, 0)]
    return _together(found)


@dataclass(frozen=True, slots=True)
class _Lattice:
    block: int
    phase: int
    odds: float


def _together(found: list[_Lattice | None]) -> tuple[int, int, int, int] | None:
    """Both axes as one answer, if their odds together are good enough; sides that hardly differ never come from enlarging by blocks."""
    across, down = found
    if across is None or down is None or across.odds + down.odds < TOO_ODD:
        return None
    return across.block, down.block, across.phase, down.phase


def _lattice(steps: NDArray[np.float64], most: float) -> _Lattice | None:
    """The largest block on whose lines all of ``steps`` lie but for a share ``most`` (between lines, against on them)."""
    size = steps.size - 1  # the first has none before it
    numbers = np.arange(steps.size)
    for block in range(min(LARGEST, size // 2), 1, -1):
        sums = np.bincount(numbers % block, steps, block)
        counts = np.maximum(1, np.bincount(numbers[1:] % block, minlength=block))
        phase = int((sums / counts).argmax())
        means = sums / counts
        on, off = means[phase], np.delete(sums, phase).sum() / max(1, size - counts[phase])
        # Of a lattice twice too coarse, all energy off it lies on lines too.
        if on <= 0 or off > most * on or np.delete(means, phase).max() > RIVAL * most * on:
            continue
        lines = steps[phase::block] if phase else steps[block::block]
        strong = int((lines > max(off * 4, on * 0.01)).sum())
        odds = (strong - 1) * math.log(block)
        # A few lines far apart fit lattices that are too coarse for them by chance, and all that divide these.
        if strong >= 3 and strong > lines.size / 2:
            return _Lattice(block, phase, odds)
    return None


def _medians(rows: Samples, across: Axis, height: int) -> Samples:
    """``(across.cells, bands)``: medians of the blocks of one row of them. Cut blocks are filled up with their border."""
    before = (across.block - across.phase) if across.phase else 0
    after = across.cells * across.block - before - across.length
    padded = np.pad(rows, ((0, height - len(rows)), (before, after), (0, 0)), mode="edge")
    blocks = padded.reshape(height, across.cells, across.block, -1)
    # What JPEG smears from one block into the next does not count where there is enough else.
    rim = [side // 4 for side in (height, across.block)]
    inner = blocks[rim[0] : height - rim[0], :, rim[1] : across.block - rim[1]]
    flat = inner.transpose(1, 3, 0, 2).reshape(across.cells, rows.shape[2], -1)
    middle = flat.shape[2] // 2
    return np.ascontiguousarray(np.partition(flat, middle, axis=2)[..., middle])


def _merged(samples: Samples) -> Samples:
    """``samples`` with each colour replaced by the most frequent one that is next to it within :data:`MERGED`."""
    _, first_seen, where, counts = np.unique(keys(samples), return_index=True, return_inverse=True, return_counts=True)
    if len(counts) > MOST_COLOURS:
        return samples
    colours = samples.reshape(-1, samples.shape[2])[first_seen]
    near = MERGED * np.iinfo(samples.dtype).max / 255
    wide = colours.astype(np.int32)
    stands_for = np.full(len(colours), -1)
    for first in np.argsort(-counts, kind="stable"):
        if stands_for[first] < 0:
            close = (np.abs(wide - wide[first]).max(1) <= near) & (stands_for < 0)
            stands_for[close] = first
    merged: Samples = colours[stands_for[where.reshape(-1)]].reshape(samples.shape)
    return merged
