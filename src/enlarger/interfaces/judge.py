"""`enlarger verify` and `enlarger compare`: what was done to a picture, whoever did it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

import enlarger
from enlarger.interfaces.text import columns

Flag = Parameter(negative="", show_default=False)
DOUBT = 3


def verify(
    source: Path,
    result: Path,
    /,
    *,
    json: Annotated[bool, Flag] = False,
    strict: Annotated[bool, Flag] = False,
    full: Annotated[bool, Flag] = False,
) -> int:
    """Judge an enlargement, made by any tool, against its source.

    Parameters
    ----------
    source
        The picture as it was.
    result
        The same picture, enlarged; a crop will do.
    json
        Print {schema, verdict, measures, regions} as JSON.
    strict
        Exit with status 3 unless the verdict is pass.
    full
        Also read text and look for faces, where the extras for that are installed.
    """
    fidelity = enlarger.verify(source, result, full=full)
    sys.stdout.write((fidelity.model_dump_json(indent=2, by_alias=True) if json else described(fidelity)) + "\n")
    return DOUBT if strict and fidelity.verdict != "pass" else 0


def compare(
    source: Path,
    *results: Path,
    page: Annotated[Path | None, Parameter(name="--page")] = None,
    json: Annotated[bool, Flag] = False,
) -> None:
    """Rank several enlargements of one picture.

    Parameters
    ----------
    source
        The picture as it was.
    results
        Two or more enlargements of it.
    page
        Write one self-contained HTML page, with the same places of all, to this file.
    json
        Print all figures as JSON.
    """
    comparison = enlarger.compare(source, results, page=page)
    if json:
        sys.stdout.write(comparison.model_dump_json(indent=2, by_alias=True) + "\n")
        return
    rows: list[tuple[str, ...]] = [("#", "VERDICT", "SCORE", "CONSISTENCY", "FINE DETAIL", "RESULT")]
    for rank, entry in enumerate(comparison.entries, 1):
        measures = entry.fidelity.measures
        texture = f"{measures['texture'].value:.0%}" if "texture" in measures else "-"
        rows.append(
            (str(rank), entry.fidelity.verdict, f"{entry.score:.1f}", f"{measures['consistency'].value:.1f} dB", texture, entry.name)
        )
    sys.stdout.write(columns(rows) + "\n")


def described(fidelity: enlarger.Fidelity) -> str:
    """A verdict for people: the measures with their reasons, the places, what to do, what was not looked at."""
    wide, high = fidelity.scale
    scale = f"{wide:.4g}x" if abs(wide - high) < 1e-3 * wide else f"{wide:.4g}x across, {high:.4g}x down"
    lines = [f"{fidelity.verdict}: {fidelity.width}x{fidelity.height}, {scale} its source"]
    rows: list[tuple[str, ...]] = []
    for name, measure in fidelity.measures.items():
        rows.append((f"  {name}", measure.verdict, f"{measure.value:.3g} {measure.unit}", measure.reason))
    lines.append(columns(rows))
    for region in fidelity.regions:
        x, y, width, height = region.box
        lines.append(f"  at {x},{y} {width}x{height}: {region.reason} ({region.measure}, {region.verdict})")
    advice = dict.fromkeys(measure.next_step for measure in fidelity.measures.values() if measure.verdict != "pass" and measure.next_step)
    lines += [f"  try: {step}" for step in advice]
    lines += [f"  not checked: {name} ({why})" for name, why in fidelity.not_checked.items()]
    return "\n".join(lines)
