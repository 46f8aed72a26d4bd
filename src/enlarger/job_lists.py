"""Lists of jobs: files with a row per picture, each with options of its own (``--jobs``)."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from enlarger.errors import SourceMissingError, SourceUnreadableError, UsageError
from enlarger.formats import AUTO, open_name
from enlarger.jobs import Collection, Found
from enlarger.manifest import absolute
from enlarger.options import Options


def read_jobs(path: Path, out: Path | None, options: Options) -> Collection:
    """The rows of a ``.csv`` (with a header) or ``.jsonl`` file: ``source``, and if wanted ``output`` and fields of Options.

    Sources are relative to the file's folder, outputs to ``out``, or to that folder too. Raises :class:`UsageError`, with the
    number of the line, for whatever cannot be meant.
    """
    readers = {".csv": _csv_rows, ".jsonl": _json_rows}
    if path.suffix.lower() not in readers:
        raise UsageError("a list of jobs is a .csv or .jsonl file", subject=str(path))
    try:
        text = path.read_bytes().decode("utf-8-sig", "surrogateescape")
    except FileNotFoundError as error:
        raise SourceMissingError("no such file", hint="check the path", subject=str(path)) from error
    except OSError as error:
        raise SourceUnreadableError(f"cannot be read ({(error.strerror or '').lower()})", subject=str(path)) from error
    result, seen = Collection(), set()
    home = out or path.parent
    for line, row in readers[path.suffix.lower()](path, text):
        where = f"{path}, line {line}"
        try:
            found = _found(row, path.parent, home, options, where)
        except UsageError as error:
            error.subject = f"{where}: {error.subject}" if error.subject else where
            raise
        same = (absolute(found.source), found.output, found.options.model_dump_json())
        if same not in seen:
            seen.add(same)
            result.found.append(found)
    return result


def _found(row: dict[str, Any], base: Path, home: Path, options: Options, where: str) -> Found:
    known = {"source", "output", *Options.model_fields}
    if unknown := [str(key) for key in row if key not in known]:
        raise UsageError(f"unknown key {unknown[0]!r}", hint=f"known keys are source, output, {', '.join(Options.model_fields)}")
    for key in ("source", "output"):
        if not isinstance(row.get(key, ""), str):
            raise UsageError(f"{key} must be text, not {row[key]!r}")
    if not row.get("source"):
        raise UsageError("there is no source")
    changes = {key: value for key, value in row.items() if key not in ("source", "output")}
    source = base / row["source"]
    output = home / row["output"] if row.get("output") else None
    try:
        size = source.stat().st_size
    except (OSError, ValueError):
        size = 0
    wanted = Options.of(options, **changes)
    if output is not None and wanted.format == AUTO.name:
        output = open_name(output)
    return Found(source, home, wanted, output, where, size)


def _json_rows(path: Path, text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise UsageError("this is no JSON", subject=f"{path}, line {number}") from error
        if not isinstance(row, dict):
            raise UsageError("this is no JSON object", subject=f"{path}, line {number}")
        yield number, row


def _csv_rows(path: Path, text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Rows by the header's names; an empty cell is no wish. ``settings`` is written ``NAME=VALUE;NAME=VALUE``."""
    reader = csv.reader(text.splitlines(keepends=True), strict=True)
    header: list[str] | None = None
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise UsageError(f"this is no CSV ({error})", subject=f"{path}, line {reader.line_num}") from error
        if not any(cell.strip() for cell in cells):
            continue
        if header is None:
            header = [cell.strip() for cell in cells]
            if "source" not in header or len(set(header)) != len(header):
                raise UsageError("the first line must name the columns, source among them", subject=f"{path}, line {reader.line_num}")
            continue
        if len(cells) > len(header):
            raise UsageError("more cells than the header names", subject=f"{path}, line {reader.line_num}")
        yield reader.line_num, {name: _cell(name, cell) for name, cell in zip(header, cells, strict=False) if cell.strip()}


def _cell(name: str, cell: str) -> Any:
    """Text of a cell as JSON would have it, where it is a number or a truth; everything else stays text."""
    if name == "settings":
        return dict(pair.strip().partition("=")[::2] for pair in cell.split(";") if pair.strip())
    if name not in ("source", "output", "model", "engine"):
        try:
            value = json.loads(cell.strip().lower())
        except ValueError:
            return cell.strip()
        return value if isinstance(value, bool | int | float) else cell.strip()
    return cell if name in ("source", "output") else cell.strip()
