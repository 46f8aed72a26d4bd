"""Grain: seeded noise for the octaves above the source's own, the same whichever rows are asked for."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from enlarger.pixels.scaling import Planes

BAND = 64
"""Rows that are drawn at once, each band from a generator of its own."""

TILT, TILT_FROM = 0.5, 3.0
"""Weight of either neighbour in the filter that tilts white noise, as natural spectra fall, and the factor from which it is used:
below that there is only one octave to fill."""


def grain(seed: int, width: int, start: int, stop: int, factor: float) -> Planes:
    """Rows ``[start, stop)`` of endless noise, ``(1, stop - start, width)``; variance 1 in the octaves that ``factor`` adds."""
    first = (start - 1) // BAND
    drawn = np.concatenate([_drawn(seed, band, width + 2) for band in range(first, stop // BAND + 1)])
    tilt = TILT if factor >= TILT_FROM else 0.0
    rows = _tilted(drawn[start - 1 - first * BAND : stop + 1 - first * BAND], tilt)
    columns = _tilted(rows.T, tilt).T / np.sqrt(1 - _visible(factor, tilt) ** 2)
    return np.ascontiguousarray(columns, np.float32)[None]


def _drawn(seed: int, band: int, width: int) -> NDArray[np.float32]:
    return np.random.Generator(np.random.Philox(key=np.array([seed, band % 2**64], np.uint64))).standard_normal((BAND, width), np.float32)


def _tilted(rows: NDArray[Any], tilt: float) -> NDArray[Any]:
    """Filtered down the rows, one row shorter at both ends, the variance kept."""
    kept: NDArray[Any] = (rows[1:-1] + np.float32(tilt) * (rows[:-2] + rows[2:])) / np.float32(np.sqrt(1 + 2 * tilt**2))
    return kept


def _visible(factor: float, tilt: float) -> float:
    """Share of the variance along one axis that lies in the frequencies of the source, which the lock takes away again."""
    frequencies = np.linspace(0, np.pi, 2001)
    power = (1 + 2 * tilt * np.cos(frequencies)) ** 2 / (1 + 2 * tilt**2)
    return float(power[frequencies <= np.pi / factor].sum() / len(frequencies))
