"""Rows of the manifest, made: what became of one file, and whether it must be done at all."""

from __future__ import annotations

import datetime
import hashlib
import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, TypeAlias

from enlarger import __version__
from enlarger.errors import InputError
from enlarger.formats import possible_names
from enlarger.job import Job
from enlarger.jobs import BatchJob
from enlarger.manifest import BatchRow, absolute, is_unchanged, sha256_of
from enlarger.options import Options
from enlarger.report import Plan

Standing: TypeAlias = Literal["same", "own", "foreign"]


def standing_of(job: BatchJob, last: BatchRow | None, plan: Plan, *, fresh: bool) -> Standing:
    """What the manifest's last row about the result means for this job.

    ``same``: the result is there, of the same source and options. ``own``: what is there we made of this source, and may make
    anew. ``foreign``: anything else, a missing result too. Hashes decide, of both files.
    """
    if last is None or not is_unchanged(job.output, last):
        return "foreign"
    if not fresh and last.digest == digest(job.options, plan) and last.source_sha256 == _source_sha256(job.source):
        return "same"
    return "own" if last.source == str(absolute(job.source)) else "foreign"


def standing_among(job: BatchJob, known: Mapping[Path, BatchRow], plan: Plan, *, fresh: bool) -> tuple[Standing, BatchRow | None]:
    """:func:`standing_of` over all names that the result may have; with the row that vouches for it, if one is the ``same``.

    All that is there must be our own, or it is ``foreign``.
    """
    there = [(path, known.get(absolute(path))) for path in possible_names(job.output)]
    found = [(standing_of(replace(job, output=path), row, plan, fresh=fresh), path, row) for path, row in there]
    if same := next((row for standing, _, row in found if standing == "same"), None):
        return "same", same
    theirs = any(standing == "foreign" and path.exists() for standing, path, _ in found)
    return ("own" if not theirs and any(standing == "own" for standing, _, _ in found) else "foreign"), None


def left_behind(job: BatchJob, known: Mapping[Path, BatchRow], made: Path) -> list[Path]:
    """Results of the same source and name, but of another format than was chosen for ``made`` now: as good as overwritten."""
    rows = ((path, known.get(absolute(path))) for path in possible_names(job.output) if path != made)
    return [
        path
        for path, row in rows
        if row is not None and row.options.get("format") == "auto" and row.source == str(absolute(job.source)) and is_unchanged(path, row)
    ]


def digest(options: Options, plan: Plan) -> str:
    """SHA-256 of what decides how a source is enlarged: options, version, models and their weights."""
    facts = {
        "enlarger": __version__,
        "options": options.model_dump(exclude={"threads", "sandbox"}),
        "stages": [(stage.engine, stage.model, stage.weights_sha256) for stage in plan.stages],
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _source_sha256(path: Path) -> str:
    try:
        return sha256_of(path)
    except OSError as error:
        raise InputError(f"cannot be read ({(error.strerror or '').lower()})", hint="check the path", subject=str(path)) from error


def _peak_mb() -> float | None:
    """Most memory, in 10^6 bytes, that this process has held so far."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6


def _row(job: BatchJob, **more: Any) -> BatchRow:
    return BatchRow(
        source=str(absolute(job.source)),
        output=str(job.output),
        options=job.options.model_dump(exclude_defaults=True),
        peak_mb=_peak_mb(),
        enlarger=__version__,
        time=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        **more,
    )


def done_row(job: BatchJob, picture: Job, size: int, sha256: str) -> BatchRow:
    planned, header = picture.planned, picture.picture.header
    report = picture.result.report if picture.result else None
    timings = {name: round(value, 6) for name, value in picture.watch.timings.items() if name != "total"}
    if report is not None and "encode" in report.timings:
        timings["encode"] = round(report.timings["encode"] - timings.get("record", 0.0), 6)
    if report is not None and report.output.path:
        # Of a format that was chosen at the end, only now is the name known.
        job = replace(job, output=Path(report.output.path))
    return _row(
        job,
        status="done",
        models=tuple(dict.fromkeys(f"{stage.engine} {stage.model}" for stage in planned.stages)),
        digest=digest(job.options, planned),
        source_bytes=header.size,
        source_sha256=picture.picture.sha256,
        source_size=(planned.source.width, planned.source.height),
        output_bytes=size,
        output_sha256=sha256,
        output_size=(planned.output.width, planned.output.height),
        seconds=round(sum(timings.get(step, 0.0) for step in ("plan", "decode", "enlarge", "encode")), 6),
        timings=timings,
        warnings=tuple(warning.code for warning in report.warnings) if report else (),
    )


def skipped_row(job: BatchJob, last: BatchRow) -> BatchRow:
    fresh = _row(replace(job, output=job.home / (last.output or job.output)), status="skipped")
    kept = ("models", "digest", "source_bytes", "source_sha256", "source_size", "output_bytes", "output_sha256", "output_size", "warnings")
    return replace(fresh, **{name: getattr(last, name) for name in kept})


def error_row(source: Path, error: Exception, job: BatchJob | None = None, picture: Job | None = None) -> BatchRow:
    said = str(error) or type(error).__name__
    told = {"status": "error", "error": type(error).__name__, "message": "".join(c if c.isprintable() else repr(c)[1:-1] for c in said)}
    if job is None:
        return BatchRow(source=str(absolute(source)), enlarger=__version__, **told)  # type: ignore[arg-type]
    if picture is None:
        return _row(job, source_bytes=job.size or None, **told)
    header = picture.picture.header
    timings = {name: round(value, 6) for name, value in picture.watch.timings.items() if name != "total"}
    return _row(job, source_bytes=header.size, source_sha256=picture.picture.sha256, timings=timings, **told)
