"""What a measure found: its figure with a verdict, and the places that stand out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from enlarger.fidelity import Measure, Region, Verdict
from enlarger.measures.grid import Grid, Table, patches

MOST = 12
"""Regions that one measure names; what is left over is counted in its details."""

MOST_BLOCKS = 200
"""Blocks that regions are made of, the worst ones: in the largest pictures thousands may stand out."""

LEVELS: tuple[Verdict, ...] = ("pass", "doubtful", "fail")


@dataclass(frozen=True)
class Finding:
    """``measure`` and its ``regions``, the worst first."""

    measure: Measure
    regions: tuple[Region, ...] = ()


def quantile(values: NDArray[Any], share: float) -> float:
    """What ``share`` of ``values`` lie below, linear between the nearest two; as ``numpy.quantile``, for which numpy loads its masked
    arrays: a hundredth of a second of every run.
    """
    place = share * (values.size - 1)
    low, high = int(place), min(int(place) + 1, values.size - 1)
    ordered = np.partition(values, (low, high), axis=None)
    below, above = float(ordered[low]), float(ordered[high])
    return below + (above - below) * (place - low)


def median(values: NDArray[Any]) -> float:
    """The middle of ``values``."""
    return quantile(values, 0.5)


def graded(values: Table, doubtful: Table | float, fail: Table | float) -> NDArray[np.int8]:
    """0, 1 or 2 per block: pass, doubtful, fail, by limits that a value must exceed."""
    return (values > doubtful).astype(np.int8) + (values > fail)


def regions(name: str, grid: Grid, levels: NDArray[np.int8], values: Table, say: Callable[[float], str], advice: str) -> tuple[Region, ...]:
    """Blocks above ``pass`` as regions: neighbours together, the worst first; ``say`` puts the worst value into words."""
    if (levels > 0).mean() > 0.5 and levels.size > 4:
        worst = int(levels.max())
        value = median(values[levels > 0])
        return (
            Region(
                box=grid.box(0, 0, grid.rows, grid.columns),
                verdict=LEVELS[worst],
                measure=name,
                value=value,
                reason=say(value),
                next_step=advice,
            ),
        )
    standing = levels > 0
    if standing.sum() > MOST_BLOCKS:
        standing &= values >= np.partition(values[standing], -MOST_BLOCKS)[-MOST_BLOCKS]
    found = []
    for mask, corners in patches(standing):
        value = float(values[mask].max())
        verdict = LEVELS[int(levels[mask].max())]
        found.append(Region(box=grid.box(*corners), verdict=verdict, measure=name, value=value, reason=say(value), next_step=advice))
    found.sort(key=lambda region: (-LEVELS.index(region.verdict), -region.value))
    return tuple(found[:MOST])
