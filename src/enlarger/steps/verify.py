"""Source and what will be delivered, to Fidelity: computed without the steps that made the result.

The result comes in strips, in order; memory depends on the source's width and the scale, not on the result's size.
What is measured and by which limits it is judged stands in :mod:`enlarger.measures`, one file per measure.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from enlarger.errors import InputError
from enlarger.fidelity import Fidelity, worst
from enlarger.image import Image, Samples
from enlarger.measures import colour, consistency, detail, faces, invention, registration, repeats, ringing, seams, text
from enlarger.measures.finding import Finding
from enlarger.measures.grid import Grid
from enlarger.measures.noise import noise_of
from enlarger.measures.pairing import Band, Pairing
from enlarger.threads import Lane

Mode = Literal["quick", "full"]

AHEAD = 3
"""Pieces that wait to be measured, 4 MB each: what brings rows to the source's size and what measures take turns in having more to do."""


class Tally(Protocol):
    """What a measure counts, band by band."""

    def add(self, band: Band, /) -> object: ...


NO_TEXTURE = "the source has no fine texture, or the scale is below 2"
WHY_NOT = {
    "registration": "nothing in the source is sharp enough in both directions to be located",
    "white": "the source has no area of pure white or black",
    "ringing": "the source has no strong edges",
    "texture": NO_TEXTURE,
    "noise": "the source has no flat areas",
    "seams": "where tiles meet is not known, and the picture is too small for a line to stand out",
}
NOT_QUICK = dict.fromkeys(("instability", "text", "faces"), "only in full mode")
NOT_FULL = {"instability": "the engine is not at hand", "text": text.NONE, "faces": "neither picture has a face"}


class Verifier:
    """Judges a result of ``width`` x ``height`` pixels against ``source``; both without padding, crop undone.

    ``tile_lines`` are the x and y at which tiles meet (line i lies between pixels i - 1 and i); ``None`` where nobody knows.
    ``noise`` is the source's sigma in 1/255, by default estimated; what a JPEG source was rounded by it says itself. ``taken`` is the
    sigma of noise that the caller asked to be taken off, which need not come back either.
    ``reader`` reads words in full mode, by default that of the extra ``text``.
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
        taken: float = 0.0,
        reader: text.Reader | None = None,
    ) -> None:
        if width < source.width or height < source.height:
            message = f"the result ({width}x{height}) is smaller than the source ({source.width}x{source.height})"
            raise InputError(message, hint="name the source first and the enlarged picture second", subject=source.header.name)
        self.mode = mode
        self.width, self.height = width, height
        self.grid = Grid(source.width, source.height, width, height)
        self.noise = max(taken, noise_of(source) if noise is None else noise)
        self._pairing = Pairing(source, width, height, self.grid)
        self._consistency = consistency.Tally(self.grid, self.noise, source.jpeg)
        self._registration = registration.Tally(self.grid)
        self._colour = colour.Tally(self.grid)
        self._ringing = ringing.Tally(self.grid)
        self._detail = detail.Tally(self.grid)
        self._invention = invention.Tally(source.width, source.height)
        self._seams = seams.Tally(self.grid, source, width, height, tile_lines)
        self._repeats = repeats.Tally(source, width, height)
        self._faces = faces.Tally(self.grid) if mode == "full" and not faces.missing() else None
        self._lane = Lane(AHEAD)
        self._reader = reader
        self._text = text.Tally(self.grid, source) if mode == "full" and (reader is not None or not text.missing()) else None

    def add(self, y: int, rows: Samples) -> None:
        """The next rows of the result, ``(n, width, bands) uint8`` or ``uint16``, the first of which is row ``y``.

        They are measured while the next ones come, so they must stay as they are.
        """
        if y != self._pairing.rows_seen:
            raise ValueError(f"row {y} came, row {self._pairing.rows_seen} was expected")
        # What measures goes on beside what brings the next rows to the source's size.
        self._lane.do(self._seams.add, rows)
        self._lane.do(self._repeats.add, y, rows)
        if self._text is not None:
            self._text.add(y, rows)
        for band in self._pairing.add(rows):
            self._lane.do(self._measure, band)

    def _measure(self, band: Band) -> None:
        tallies: tuple[Tally, ...] = self._detail, self._invention, self._consistency, self._colour, self._ringing, self._registration
        for tally in tallies:
            tally.add(band)
        if self._faces is not None:
            self._faces.add(band)

    def finish(self, extra: dict[str, Finding | str] | None = None) -> Fidelity:
        """The verdict, once all rows have come. ``extra``: findings of others by name, or why there are none.

        Whoever has the engine at hand gives :func:`enlarger.measures.instability.judge` of its disagreements as ``"instability"``.
        """
        if self._pairing.rows_seen != self.height:
            raise ValueError(f"{self._pairing.rows_seen} of {self.height} rows came")
        self._lane.wait()
        found: dict[str, Finding | str | None] = {
            "registration": registration.judge(self._registration),
            "consistency": consistency.judge(self._consistency),
            "colour": colour.judge(self._colour),
            "white": colour.judge_flat(self._colour),
            "seams": seams.judge(self._seams),
            "texture": detail.judge_texture(self._detail, self.noise, min(self.grid.scale)),
            "noise": detail.judge_grain(self._detail),
            "ringing": ringing.judge(self._ringing),
            **(NOT_QUICK if self.mode == "quick" else {**NOT_FULL, **self._seen()}),
            **(extra or {}),
        }
        if self._repeats.holds and isinstance(finding := found["consistency"], Finding):
            found["consistency"] = repeats.instead(finding)
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

    def _seen(self) -> dict[str, Finding | str]:
        """What full mode found beyond quick, and why it found nothing."""
        found: dict[str, Finding | str | None] = {"text": text.missing(), "faces": faces.missing()}
        if self._text is not None:
            found["text"] = None if self._text.empty else text.judge(self._text, self._reader or text.RapidReader())
        if self._faces is not None:
            found["faces"] = faces.judge(self._faces, faces.detector(faces.model_path()))
        return {name: item for name, item in found.items() if item is not None}

    def invention_map(self) -> NDArray[np.float32]:
        """``(h, w)``, after the last row: expected error of what was added in 1/255, per source pixel or square of them."""
        self._lane.wait()
        return self._invention.map()
