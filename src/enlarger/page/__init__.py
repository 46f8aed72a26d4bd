"""The page of a report: one HTML file with everything in it, which opens from a disk without a network.

Drawn from the :class:`Report` (which it also contains, as JSON) and pictures. Nothing on it is fetched: its policy forbids it.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from importlib.resources import files
from string import Template

import numpy as np
from numpy.typing import NDArray

from enlarger.image import Image, Sight
from enlarger.page import sections, words
from enlarger.page.markup import escaped, joined, json_for_script
from enlarger.page.pictures import Reader, Shown, View, encoded, heat, preview
from enlarger.page.places import Place, automatic, doubted
from enlarger.report import Report

__all__ = ["draw"]

MOST = 5_000_000
"""Bytes of a page at most."""
FOR_PREVIEW, FOR_HEAT, FOR_CROPS, FOR_CROP = 600_000, 90_000, 2_200_000, 260_000
"""Bytes for each preview, the map, all crops together, and each crop, before they become text, a third longer."""


def draw(report: Report, source: Image, result: Reader, invention: NDArray[np.float32] | None = None, sights: Sequence[Sight] = ()) -> str:
    """The page, less than :data:`MOST` bytes as UTF-8.

    ``result`` is what was delivered, ``(h, w, bands)`` ``uint8`` or ``uint16``, perhaps mapped from a file, or a function that
    gives those of any :class:`Box` of it; it is read once in strips, and the crops. ``invention`` is verify's map, or ``None``;
    ``sights`` are what repairs did to the source.
    """
    # What is looked at is the picture; padding shows nothing.
    seen = report.unpadded()
    view = View(source, result, seen.output.width, seen.output.height)
    for share in (1.0, 0.5, 0.2):
        page = _drawn(report, view, invention, share, sights)
        if len(page) < MOST:
            break
    return page


def _drawn(report: Report, view: View, invention: NDArray[np.float32] | None, share: float, sights: Sequence[Sight]) -> str:
    """The page with pictures of ``share`` of their usual room."""
    seen = report.unpadded()
    faces = tuple(region for region in seen.fidelity.regions if region.measure == "faces") if seen.fidelity is not None else ()
    chosen, doubts = automatic(view.luma(), view.width, view.height, faces), doubted(seen.fidelity)
    room = int(share * min(FOR_CROP, FOR_CROPS / (2 * (len(chosen) + len(doubts)))))

    def crop(place: Place) -> sections.Crop:
        plain, result = view.crop(place.box)
        return place, encoded(plain, room), encoded(result, room)

    def repair(sight: Sight) -> tuple[Sight, Shown, Shown]:
        return sight, encoded(view.shown(sight.before), room), encoded(view.shown(sight.after), room)

    size = view.preview_size()
    before, after = (preview(picture, int(share * FOR_PREVIEW)) for picture in (view.before(*size), view.after(*size)))
    hot = heat(invention, int(share * FOR_HEAT)) if invention is not None else None
    body = joined(
        sections.compare(seen, before, after, hot, [*doubts, *chosen]),
        sections.crops(
            "Places in doubt",
            "The worst places that verify named, pixel for pixel: left the source plainly enlarged, right the result.",
            [crop(place) for place in doubts],
            1,
        ),
        sections.crops(
            "At 100 %",
            "Three places, chosen automatically, pixel for pixel: left the source plainly enlarged, right the result.",
            [crop(place) for place in chosen],
            1 + len(doubts),
        ),
        sections.repairs(report, [repair(sight) for sight in sights]),
        sections.measures(report.fidelity),
        sections.warnings(report),
        sections.ran(report),
        sections.reproduce(report),
    )
    css, script = _part("page.css"), _part("page.js")
    return Template(_part("template.html")).substitute(
        style_hash=_hash(css),
        script_hash=_hash(script),
        title=escaped(f"{words.VERDICTS[words.verdict_of(report.fidelity)]}: {words.name_of(report)}"),
        style=css,
        script=script,
        top=sections.verdict(report),
        body=body,
        version=escaped(report.reproduce.enlarger),
        json=json_for_script(report.model_dump(by_alias=True)),
    )


def _part(name: str) -> str:
    return files("enlarger.page").joinpath(name).read_text("utf-8")


def _hash(text: str) -> str:
    """As a content security policy wants it."""
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")
