"""A comparison as one self-contained HTML page: the table, and the same places of every result at 100 %."""

from __future__ import annotations

import base64
import html
from pathlib import Path

import numpy as np

from enlarger.codecs.vips import vips_of
from enlarger.errors import OutputError
from enlarger.fidelity import Comparison, Entry
from enlarger.image import Box, Image, Samples
from enlarger.measures.pairing import as_255, luma

PLACES = 3
SIDE = 96
"""Source pixels along a side of a crop."""
LARGEST = 480
"""Pixels along a side of a crop on the page; larger scales show less of the source."""

STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { margin: 2rem auto; max-width: 80rem; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; }
th, td { border-bottom: 1px solid #8886; padding: .4rem .6rem; text-align: left; vertical-align: top; }
.wide { overflow-x: auto; }
.crops { display: flex; flex-wrap: wrap; gap: 1rem; }
figure { margin: 0; }
img { display: block; max-width: 100%; }
.pass { color: #0a7d33; } .doubtful { color: #b26a00; } .fail { color: #c62828; }
@media (prefers-color-scheme: dark) { .pass { color: #5dd68a; } .doubtful { color: #ffb74d; } .fail { color: #ff8a80; } }
"""


def liveliest(source: Image) -> list[Box]:
    """Up to :data:`PLACES` boxes of the source with most contrast, which do not overlap."""
    width, height = min(SIDE, source.width), min(SIDE, source.height)
    found: list[tuple[float, Box]] = []
    for y in range(0, source.height - height + 1, max(1, height // 2)):
        strip = luma(as_255(source.samples[y : y + height, :, : source.channels]))
        for x in range(0, source.width - width + 1, max(1, width // 2)):
            found.append((float(np.abs(np.diff(strip[:, x : x + width], axis=1)).mean()), Box(x, y, width, height)))
    chosen: list[Box] = []
    for _, box in sorted(found, key=lambda item: -item[0]):
        if len(chosen) < PLACES and all(abs(box.x - o.x) >= width or abs(box.y - o.y) >= height for o in chosen):
            chosen.append(box)
    return chosen


def cut(source: Image, picture: Image, place: Box) -> bytes:
    """JPEG of what ``picture`` shows at ``place`` of the source, at 100 %; the source itself in blocks, to be seen at all."""
    sx, sy = picture.width / source.width, picture.height / source.height
    if picture is source:
        times = max(1, LARGEST // max(place.width, place.height))
        part = source.samples[place.slices()].repeat(times, axis=0).repeat(times, axis=1)
    else:
        x, y = round(place.x * sx), round(place.y * sy)
        part = picture.samples[y : y + min(LARGEST, round(place.height * sy)), x : x + min(LARGEST, round(place.width * sx))]
    return _jpeg(part[..., : picture.channels])


def _jpeg(samples: Samples) -> bytes:
    eight = samples if samples.dtype == np.uint8 else (samples // 257).astype(np.uint8)
    data: bytes = vips_of(eight).jpegsave_buffer(Q=92)
    return data


def comparison_page(comparison: Comparison, source: list[bytes], crops: dict[str, list[bytes]]) -> str:
    """The page; ``source`` and each of ``crops`` hold the same places."""
    rows = "".join(_row(rank, entry) for rank, entry in enumerate(comparison.entries, 1))
    places = []
    for i, own in enumerate(source):
        figures = [_figure("source", own), *(_figure(entry.name, crops[entry.name][i]) for entry in comparison.entries)]
        places.append(f"<h2>Place {i + 1}</h2><div class=crops>{''.join(figures)}</div>")
    title = f"Enlargements of {html.escape(comparison.source)}"
    head = "<tr><th>#<th>result<th>verdict<th>score<th>consistency<th>fine detail<th>what was found"
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'><title>{title}</title>"
        f"<style>{STYLE}</style><h1>{title}</h1><div class=wide><table>{head}{rows}</table></div>{''.join(places)}</html>"
    )


def _row(rank: int, entry: Entry) -> str:
    measures = entry.fidelity.measures
    texture = f"{measures['texture'].value:.0%} of what is foretold" if "texture" in measures else "not checked"
    wrong = [measure.reason for measure in measures.values() if measure.verdict != "pass"]
    reasons = "; ".join(html.escape(reason) for reason in wrong) or "nothing wrong"
    verdict = entry.fidelity.verdict
    return (
        f"<tr><td>{rank}<td>{html.escape(entry.name)}<td class={verdict}>{verdict}<td>{entry.score:.1f}"
        f"<td>{measures['consistency'].value:.1f} dB<td>{texture}<td>{reasons}"
    )


def _figure(name: str, jpeg: bytes) -> str:
    data = base64.b64encode(jpeg).decode("ascii")
    return f"<figure><img alt='' src='data:image/jpeg;base64,{data}'><figcaption>{html.escape(name)}</figcaption></figure>"


def write_page(path: Path, page: str) -> None:
    """Raises :class:`OutputError`."""
    try:
        path.write_text(page, "utf-8")
    except OSError as error:
        raise OutputError(f"cannot be written ({error.strerror})", hint="choose another file for --page", subject=str(path)) from error
