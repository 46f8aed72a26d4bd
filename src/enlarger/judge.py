"""Judging results that exist already, whoever made them: verify() one, compare() several."""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from enlarger.comparison import comparison_page, cut, liveliest, write_page
from enlarger.errors import InputError, UsageError
from enlarger.fidelity import RANK, Comparison, Entry, Fidelity, Measure, Verdict, worst
from enlarger.image import Box, Image
from enlarger.measures.place import UNRELATED, Place, locate
from enlarger.steps.decode import decode
from enlarger.steps.verify import Verifier

if TYPE_CHECKING:
    from enlarger.steps.decode import Source

STRIP = 256
"""Rows of a result that are handed over at a time."""

STRETCH_DOUBTFUL, STRETCH_FAIL = 0.001, 0.004


def verify(source: Source, result: Source, *, full: bool = False) -> Fidelity:
    """Judge ``result``, an enlargement of ``source`` by any tool. Both: a path, bytes, an array, a PIL picture or an Image.

    Scale, offset and crop are found by content, undone before measuring, and judged themselves. Boxes are in the result's
    pixels. ``full`` also reads text and looks for faces where the extras for that are installed. Raises :class:`InputError`
    where either cannot be read or the result is smaller than the source.
    """
    return _judged(decode(source), decode(result), _name(result), full=full)


def compare(
    source: Source, results: Sequence[Source], *, names: Sequence[str] | None = None, page: str | os.PathLike[str] | None = None
) -> Comparison:
    """Judge several results of one source and rank them; ``names`` are for people, by default file names.

    Rank: verdict first; then a score of faithfulness and detail together, ``min(consistency, 60) / 10 - |log2 texture|``,
    texture being the fine detail there is against what the source foretells. ``page`` is a file for one self-contained HTML
    page with the table and the same places of all at 100 %. Raises :class:`UsageError` for fewer than two.
    """
    if len(results) < 2:
        raise UsageError("comparing needs two results at least", hint="verify judges one")
    picture = decode(source)
    labels = list(names) if names is not None else [_name(result) or f"result {i}" for i, result in enumerate(results, 1)]
    sketches: dict[str, list[bytes]] = {}
    rows = []
    places = liveliest(picture) if page is not None else []
    for label, result in zip(labels, results, strict=True):
        candidate = decode(result)
        fidelity = _judged(picture, candidate, label)
        rows.append(Entry(name=label, score=score(fidelity), fidelity=fidelity))
        sketches[label] = [cut(picture, candidate, place) for place in places]
    order = sorted(rows, key=lambda row: (RANK[row.fidelity.verdict], -row.score))
    comparison = Comparison(source=picture.header.name, entries=tuple(order))
    if page is not None:
        write_page(Path(page), comparison_page(comparison, [cut(picture, picture, place) for place in places], sketches))
    return comparison


def score(fidelity: Fidelity) -> float:
    """Faithfulness and detail together, for ranking; see :func:`compare`."""
    texture = fidelity.measures.get("texture")
    distance = abs(math.log2(min(max(texture.value, 0.02), 50))) if texture else 0.0
    return min(fidelity.measures["consistency"].value, 60.0) / 10 - distance


def _name(source: Any) -> str:
    return os.fspath(source) if isinstance(source, (str, os.PathLike)) else ""


def _judged(source: Image, result: Image, name: str, *, full: bool = False) -> Fidelity:
    if result.width < source.width and result.height < source.height:
        message = f"the result ({result.width}x{result.height}) is smaller than the source ({source.width}x{source.height})"
        raise InputError(message, hint="name the source first and the enlarged picture second", subject=name)
    place = locate(source, result)
    if place.result.width < place.source.width or place.result.height < place.source.height:
        place = Place(Box(0, 0, source.width, source.height), Box(0, 0, result.width, result.height), place.likeness)
    part = _part(source, place.source)
    fidelity = _measured(part, result, place.result, full=full)
    if part is not source or place.result.area < result.width * result.height:
        # A crop or a border begins anywhere between the source's pixels; that is no fault of its geometry.
        finer = _aligned(fidelity, place, source, result)
        if finer != place:
            place, part = finer, _part(source, finer.source)
            fidelity = _measured(part, result, place.result, full=full)
    return _placed(fidelity, source, result, place)


def _measured(source: Image, result: Image, box: Box, *, full: bool) -> Fidelity:
    verifier = Verifier(source, box.width, box.height, mode="full" if full else "quick")
    for y in range(0, box.height, STRIP):
        top = box.y + y
        verifier.add(y, result.samples[top : min(top + STRIP, box.bottom), box.x : box.right])
    return verifier.finish()


def _aligned(fidelity: Fidelity, place: Place, source: Image, result: Image) -> Place:
    """``place`` begun at the first whole source pixel that the result shows, as far as its content tells."""
    found = fidelity.measures.get("registration")
    if found is None:
        return place
    spans = []
    for axis, scale, own, other, most, width in (
        ("x", fidelity.scale[0], place.source.x, place.result.x, source.width, result.width),
        ("y", fidelity.scale[1], place.source.y, place.result.y, source.height, result.height),
    ):
        begins = own - other / scale - found.details[f"offset_{axis}"]
        first = max(0, math.ceil(begins - 0.5 / scale))
        start = max(0, round((first - begins) * scale))
        count = max(1, min(most - first, math.floor((width - start) / scale + 0.01)))
        spans.append((first, count, start, min(round(count * scale), width - start)))
    (x, w, left, wide), (y, h, top, high) = spans
    return dataclasses.replace(place, source=Box(x, y, w, h), result=Box(left, top, wide, high))


def _part(source: Image, box: Box) -> Image:
    if (box.width, box.height) == (source.width, source.height):
        return source
    header = dataclasses.replace(source.header, width=box.width, height=box.height)
    # Cut anywhere, its corner is no corner of a JPEG block any more.
    return dataclasses.replace(source, samples=source.samples[box.slices()], header=header, jpeg=None)


def _placed(fidelity: Fidelity, source: Image, result: Image, place: Place) -> Fidelity:
    """``fidelity`` with boxes on the whole result, and with what finding the place said about registration."""
    moved = tuple(
        region.model_copy(update={"box": (region.box[0] + place.result.x, region.box[1] + place.result.y, *region.box[2:])})
        for region in fidelity.regions
    )
    registration = _registration(fidelity, source, result, place)
    measures = fidelity.measures | ({"registration": registration} if registration else {})
    return fidelity.model_copy(
        update={
            "measures": measures,
            "regions": moved,
            "width": result.width,
            "height": result.height,
            "verdict": worst([measure.verdict for measure in measures.values()]),
            "not_checked": {key: why for key, why in fidelity.not_checked.items() if key not in measures},
        }
    )


def _registration(fidelity: Fidelity, source: Image, result: Image, place: Place) -> Measure | None:
    """The measure with what the sizes and the place say put in; ``None`` where nothing could be measured and nothing is wrong."""
    verdict, value, reason = _placement(fidelity, source, result, place)
    shown = place.source.area / (source.width * source.height)
    details = {"likeness": place.likeness, "shown": shown, "shown_x": float(place.source.x), "shown_y": float(place.source.y)}
    measured = fidelity.measures.get("registration")
    if measured is None:
        return Measure(verdict=verdict, value=value, unit="source px", reason=reason, details=details) if reason else None
    update: dict[str, object] = {"details": measured.details | details, "verdict": worst([measured.verdict, verdict])}
    if reason and RANK[measured.verdict] <= RANK[verdict]:
        update |= {"reason": reason, "value": max(value, measured.value)}
    return measured.model_copy(update=update)


def _placement(fidelity: Fidelity, source: Image, result: Image, place: Place) -> tuple[Verdict, float, str]:
    """Verdict, offset in source pixels, and words, empty where there is nothing to say."""
    across, down = fidelity.scale
    shown = place.source
    if place.likeness < UNRELATED:
        return "fail", 0.0, f"the two pictures do not show the same (their correlation is {place.likeness:.2f})"
    # Sizes are whole pixels: half of one either way is no stretch.
    if abs(across - down) > 0.5 / shown.width + 0.5 / shown.height and abs(across / down - 1) > STRETCH_DOUBTFUL:
        stretch = across / down - 1
        words = f"the result is {abs(stretch):.1%} {'wider' if stretch > 0 else 'narrower'} in proportion than its source"
        return "fail" if abs(stretch) > STRETCH_FAIL else "doubtful", 0.0, words
    left, top = (start / scale - own for start, own, scale in ((place.result.x, shown.x, across), (place.result.y, shown.y, down)))
    same = (round(source.width * across), round(source.height * down)) == (result.width, result.height)
    if same and math.hypot(left, top) > 0.5:
        return "fail", math.hypot(left, top), f"everything lies {left:+.1f} source pixels across and {top:+.1f} down from where it should"
    if shown.area < source.width * source.height:
        share = shown.area / (source.width * source.height)
        return "doubtful", 0.0, f"only {share:.1%} of the source is shown: {shown.width}x{shown.height} pixels from {shown.x}, {shown.y}"
    if place.result.area < result.width * result.height:
        return "pass", 0.0, f"the picture lies at {place.result.x}, {place.result.y} of the result; the borders around it were not judged"
    return "pass", 0.0, ""
