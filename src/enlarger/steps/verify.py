"""Source and what will be delivered, to Fidelity: computed without the steps that made the result.

The result comes in strips, in order; memory depends on the source's width and the scale, not on the result's size.
What is measured and by which limits it is judged stands in :mod:`enlarger.measures`, one file per measure.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from enlarger.errors import InputError
from enlarger.fidelity import Fidelity, worst
from enlarger.image import Image, Samples
from enlarger.measures import colour, consistency, detail, invention, registration, ringing, seams
from enlarger.measures.finding import Finding
from enlarger.measures.grid import Grid
from enlarger.measures.noise import noise_of
from enlarger.measures.pairing import Pairing

Mode = Literal["quick", "full"]

NO_TEXTURE = "the source has no fine texture, or the scale is below 2"
WHY_NOT = {
    "registration": "nothing in the source is sharp enough in both directions to be located",
    "white": "the source has no area of pure white or black",
    "ringing": "the source has no strong edges",
    "texture": NO_TEXTURE,
    "noise": "the source has no flat areas",
    "seams": "where tiles meet is not known, and the picture is too small for a line to stand out",
}
LATER = {
    "instability": "only in full mode, and only with the engine at hand",
    "text": "only in full mode",
    "faces": "only in full mode",
}


class Verifier:
    """Judges a result of ``width`` x ``height`` pixels against ``source``; both without padding, crop undone.

    ``tile_lines`` are the x and y at which tiles meet (line i lies between pixels i - 1 and i); ``None`` where nobody knows.
    ``noise`` is the source's sigma in 1/255, by default estimated. ``quantisation`` is the luma table of a JPEG source,
    ``(8, 8)`` with the zero frequency first, for a source whose first pixel is the corner of a JPEG block.
    Raises :class:`InputError` when the result is smaller than the source.
    """

    def __init__(
        self,
        source: Image,
        width: int,
        height: int,
        *,
        mode: Mode = "quick",
        tile_lines: tuple[Sequence[int], Sequence[int]] | None = None,
        noise: float | None = None,
        quantisation: NDArray[Any] | None = None,
    ) -> None:
        if width < source.width or height < source.height:
            message = f"the result ({width}x{height}) is smaller than the source ({source.width}x{source.height})"
            raise InputError(message, hint="name the source first and the enlarged picture second", subject=source.header.name)
        self.mode = mode
        self.width, self.height = width, height
        self.grid = Grid(source.width, source.height, width, height)
        self.noise = noise_of(source) if noise is None else noise
        self._pairing = Pairing(source, width, height, self.grid)
        self._consistency = consistency.Tally(self.grid, self.noise, quantisation)
        self._registration = registration.Tally(self.grid)
        self._colour = colour.Tally(self.grid)
        self._ringing = ringing.Tally(self.grid)
        self._detail = detail.Tally(self.grid)
        self._invention = invention.Tally(source.width, source.height)
        self._seams = seams.Tally(self.grid, source, width, height, tile_lines)

    def add(self, y: int, rows: Samples) -> None:
        """The next rows of the result, ``(n, width, bands) uint8`` or ``uint16``, the first of which is row ``y``."""
        if y != self._pairing.rows_seen:
            raise ValueError(f"row {y} came, row {self._pairing.rows_seen} was expected")
        self._seams.add(rows)
        for band in self._pairing.add(rows):
            for tally in (self._consistency, self._registration, self._colour, self._ringing, self._detail, self._invention):
                tally.add(band)

    def finish(self, extra: dict[str, Finding | str] | None = None) -> Fidelity:
        """The verdict, once all rows have come. ``extra``: findings of others by name, or why there are none."""
        if self._pairing.rows_seen != self.height:
            raise ValueError(f"{self._pairing.rows_seen} of {self.height} rows came")
        found: dict[str, Finding | str | None] = {
            "registration": registration.judge(self._registration),
            "consistency": consistency.judge(self._consistency),
            "colour": colour.judge(self._colour),
            "white": colour.judge_flat(self._colour),
            "seams": seams.judge(self._seams),
            "texture": detail.judge_texture(self._detail, self.noise, min(self.grid.scale)),
            "noise": detail.judge_grain(self._detail),
            "ringing": ringing.judge(self._ringing),
            **LATER,
            **(extra or {}),
        }
        good = {name: item for name, item in found.items() if isinstance(item, Finding)}
        regions = [region for item in good.values() for region in item.regions]
        verdicts = [item.measure.verdict for item in good.values()]
        return Fidelity(
            verdict=worst(verdicts),
            mode=self.mode,
            width=self.width,
            height=self.height,
            scale=self.grid.scale,
            measures={name: item.measure for name, item in good.items()},
            regions=tuple(sorted(regions, key=lambda region: region.verdict != "fail")),
            not_checked={name: item or WHY_NOT[name] for name, item in found.items() if not isinstance(item, Finding)},
        )

    def invention_map(self) -> NDArray[np.float32]:
        """``(h, w)``, after the last row: expected error of what was added in 1/255, per source pixel or square of them."""
        return self._invention.map()
