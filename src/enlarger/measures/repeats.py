"""Repeated pixels: is every pixel of the result the source's own at its place? Then nothing was added, whatever a filter makes of it.

The reduction of :mod:`enlarger.measures.consistency` is made for pictures without hard steps: it sees across the border of exact blocks
and gives small pixel art back blurred, 24 dB from what it was. Such a result is compared as it was made: pixel by pixel.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from enlarger.image import Image, Samples
from enlarger.measures.finding import Finding

FEW = 16
"""Rows that are compared at a time."""


class Tally:
    """``holds`` as long as every pixel seen is that of the source under its centre, or on a line either of the two beside it.

    What is fully transparent in both is not compared, nor are pictures of different depths.
    """

    def __init__(self, source: Image, width: int, height: int) -> None:
        self.source = source
        self.width, self.height = width, height
        self.holds = True
        self._columns = beside(0, width, source.width, width)

    def add(self, y: int, rows: Samples) -> None:
        """Rows ``y`` and following of the result, ``(n, width, bands)``."""
        samples = self.source.samples
        self.holds = self.holds and rows.dtype == samples.dtype and rows.shape[2] == samples.shape[2]
        # Nearly every picture tells in its first rows.
        for at in range(0, len(rows), FEW):
            if not self.holds:
                return
            self.holds = self._same(y + at, rows[at : at + FEW])

    def _same(self, y: int, rows: Samples) -> bool:
        samples = self.source.samples
        same = np.zeros(rows.shape[:2], bool)
        for down in beside(y, y + len(rows), self.source.height, self.height):
            for across in self._columns:
                if not same.all():
                    theirs = samples[down[:, None], across[None, :]]
                    equal = (rows == theirs).all(axis=2)
                    same |= equal | (rows[..., -1] == 0) & (theirs[..., -1] == 0) if self.source.alpha else equal
        return bool(same.all())


def beside(begin: int, end: int, source: int, result: int) -> list[NDArray[np.int64]]:
    """Source pixels under the centres of ``[begin, end)`` of ``result``; where centres lie on a line, those after and those before it."""
    over = (2 * np.arange(begin, end, dtype=np.int64) + 1) * source
    after, on_line = over // (2 * result), over % (2 * result) == 0
    return [after, after - on_line] if on_line.any() else [after]


def instead(consistency: Finding) -> Finding:
    """The finding on consistency for a result whose every pixel is the source's."""
    reason = "every pixel is the source's own, in its place: nothing was added"
    measure = consistency.measure.model_copy(update={"verdict": "pass", "reason": reason, "next_step": ""})
    return replace(consistency, measure=measure, regions=())
