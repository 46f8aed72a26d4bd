"""`enlarger inspect`: what pictures are, what ails them, and what to do about that."""

from __future__ import annotations

import json as jsonlib
import os
import sys
import textwrap
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

import enlarger

Flag = Parameter(negative="", show_default=False)
WIDTH = 78


def inspect(
    *paths: Path,
    json: Annotated[bool, Flag] = False,
    include: Annotated[list[str] | None, Parameter(name="--include", negative="")] = None,
    exclude: Annotated[list[str] | None, Parameter(name="--exclude", negative="")] = None,
) -> None:
    """Say what pictures are, what ails them and whether enlarging will do them good. Changes nothing.

    Parameters
    ----------
    paths
        Pictures, folders with all that is below them, and quoted globs.
    json
        Print a list of {path, kind, confidence, measures, verdict, reasons, advice} as JSON.
    include
        Of folders take only what matches this glob; may be repeated.
    exclude
        Of folders leave out what matches this glob; may be repeated.
    """
    if not paths:
        raise enlarger.UsageError("name a picture or a folder", hint="try enlarger inspect --help")
    found, failed = enlarger.find_pictures(paths, include=include or (), exclude=exclude or ())
    total = len(found) + len(failed)
    alone = total == 1
    rows: list[dict[str, object]] = []
    for error in failed:
        _tell(error, alone)
    for path in found:
        try:
            seen = enlarger.inspect(path)
        except enlarger.EnlargerError as error:
            failed.append(error)
            _tell(error, alone)
            continue
        if json:
            rows.append(seen.model_dump(mode="json") | {"path": _named(path)})
        else:
            sys.stdout.write(("" if alone else "\n" * bool(rows)) + described(seen, _named(path)) + "\n")
            rows.append({})
    if json:
        sys.stdout.write(jsonlib.dumps(rows, indent=2) + "\n")
    if failed and not alone:
        raise enlarger.BatchError(f"{len(failed)} of {total} could not be looked at")


def _tell(error: enlarger.EnlargerError, alone: bool) -> None:
    """One line for a file of many; a single one ends the command, with its own exit status."""
    if alone:
        raise error
    sys.stderr.write(f"enlarger: {error}\n")


def _named(path: Path) -> str:
    return os.fspath(path)


def described(seen: enlarger.Triage, name: str) -> str:
    """A few aligned lines for people."""
    advice, measures = seen.advice, seen.measures
    kind = seen.kind if seen.kind == "unknown" else f"{seen.kind} ({seen.confidence:.0%} sure)"
    lines = [f"{name}: {seen.verdict}", *_field("is", f"{kind}, {measures.width}x{measures.height}")]
    lines += _field("because", " ".join(seen.reasons))
    lines += _field("holds up", f"to about {advice.scale_limit:g}x" + (", one pass at 2x first" if advice.fragile else ""))
    if advice.shrink_to is not None:
        lines += _field("first", f"shrink it to {advice.shrink_to[0]}x{advice.shrink_to[1]}")
    lines += _field("with", f"recipe {advice.recipe} ({advice.engine} {advice.model})")
    lines += _field("measured", ", ".join(_figures(measures)))
    asked = advice.questions
    answers = (
        f"subject clear: {asked.subject_clear}; edges present: {asked.edges_present}; text intact: {asked.text_intact}; "
        f"composition worth keeping: {asked.composition_worth_keeping}"
    )
    return "\n".join([*lines, *_field("asked", answers)])


def _field(name: str, text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=f"  {name:<9} ", subsequent_indent=" " * 12)


def _figures(seen: enlarger.TriageMeasures) -> list[str]:
    """Measures in words; what could not be told is left out."""
    told = [f"noise {seen.noise * 255:.1f}/255"]
    if seen.blur is not None:
        told.append(f"blur {seen.blur:.1f} px")
    if seen.oversize is not None and seen.oversize >= 1.3:
        told.append(f"{seen.oversize:.1f}x more pixels than detail")
    if seen.jpeg.quality is not None:
        told.append(f"JPEG quality {seen.jpeg.quality}{' once' if seen.jpeg.found == 'content' else ''}")
    if seen.pixel_grid is not None and seen.pixel_grid.width > 1:
        told.append(f"blocks of {seen.pixel_grid.width}x{seen.pixel_grid.height}")
    if seen.text.present and seen.text.x_height is not None:
        told.append(f"text {seen.text.x_height:.0f} px high")
    if seen.background.colour is not None:
        told.append(f"{seen.background.share:.0%} plain {seen.background.colour}")
    if seen.alpha.kind != "none":
        told.append(f"{seen.alpha.kind} transparency")
    if seen.faces is not None:
        told.append(f"{seen.faces} face{'' if seen.faces == 1 else 's'}")
    return told
