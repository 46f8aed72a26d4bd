"""Jobs: which files are meant, and where the result of each goes, all settled before the first is opened.

A folder is walked with everything below it; hidden files and folders, links to folders, and what an earlier run made are
left out. Results keep the tree. No two sources share a result, also not on disks that take ``A.png`` and ``a.png``, or two
spellings of the same accent, for one name.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from enlarger.errors import EnlargerError, InputError, SourceMissingError, SourceUnreadableError, UsageError
from enlarger.formats import FORMATS, format_named, format_of_suffix
from enlarger.manifest import NAME, absolute, recorded
from enlarger.options import Options

PICTURES = {s for f in FORMATS.values() for s in f.suffixes} | {".gif", ".bmp", ".ppm", ".pgm", ".pbm", ".pnm"}
"""Suffixes, in lower case, of the files that are taken from folders."""

MAGIC = "*?["


@dataclass(frozen=True, slots=True)
class BatchJob:
    """One file to do: ``size`` is the source's length in bytes (0 if unknown), ``home`` the folder whose manifest records it."""

    source: Path
    output: Path
    options: Options
    home: Path
    size: int = 0


@dataclass(slots=True)
class Found:
    """A source before its result has a name. ``folder`` is where the result goes; ``output`` is set where the caller named it."""

    source: Path
    folder: Path
    options: Options
    output: Path | None = None
    where: str = ""
    size: int = 0
    plainness: int = 0


@dataclass(slots=True)
class Collection:
    """What :func:`collect` and :func:`read_jobs` bring: sources, folders and files that could not be looked at, remarks."""

    found: list[Found] = field(default_factory=list)
    failed: list[tuple[Path, EnlargerError]] = field(default_factory=list)
    links: int = 0
    ours: int = 0

    @property
    def notes(self) -> list[str]:
        told = []
        if self.links:
            told.append(f"{_count(self.links, 'link')} to folders not followed")
        if self.ours:
            told.append(f"{_count(self.ours, 'result')} of earlier runs left out")
        return told


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


@dataclass(frozen=True, slots=True)
class Filter:
    """Globs over paths relative to the folder that is walked, without regard to case; ``*`` matches slashes too.

    A pattern without a slash may also match the bare name. Without ``include`` everything is taken that is not excluded.
    """

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()

    def takes(self, path: str) -> bool:
        return (not self.include or _any(path, self.include)) and not _any(path, self.exclude)

    def enters(self, path: str) -> bool:
        return not _any(path, self.exclude)


def _any(path: str, patterns: Iterable[str]) -> bool:
    low, name = path.lower(), path.lower().rpartition("/")[2]
    return any(fnmatch(low, p.lower()) or ("/" not in p and fnmatch(name, p.lower())) for p in patterns)


# --- from paths -------------------------------------------------------------------------------------------------------


def collect(paths: Iterable[Path], out: Path | None, options: Options, chosen: Filter, *, literal: bool = False) -> Collection:
    """What ``paths`` mean: files, folders and (unless ``literal``) globs. Raises :class:`InputError` for a folder without ``out``.

    A path that is there is never taken for a glob.
    """
    walk = _Walk(out, options, chosen)
    paths = list(paths)
    folders = [p for p in paths if p.is_dir()]
    for path in paths:
        if path.is_dir():
            if out is None:
                raise InputError("this is a folder", hint="say where the results go: --output FOLDER", subject=str(path))
            # Several folders keep their names, as with cp.
            walk.tree(path, out / path.resolve().name if len(folders) > 1 else out)
        elif not literal and not os.path.lexists(path) and any(c in str(path) for c in MAGIC):
            walk.glob(path)
        else:
            walk.single(path)
    return walk.result


class _Walk:
    """One pass over everything that was named; each source once."""

    def __init__(self, out: Path | None, options: Options, chosen: Filter) -> None:
        self.result = Collection()
        self._out, self._options, self._chosen = out, options, chosen
        self._skip = os.path.realpath(out) if out is not None else None
        self._seen: set[Path] = set()
        self._read: set[Path] = set()
        self._ours: dict[Path, int | None] = {}
        if out is not None:
            self._read_manifest(out)

    def single(self, path: Path) -> None:
        """A file that was named: taken whatever it is called, unless we made it."""
        self._read_manifest(path.parent)
        self._take(path, self._out or path.parent)

    def tree(self, root: Path, place: Path) -> None:
        """Everything below the folder ``root``; results go to the same places below ``place``."""
        for path, relative in self._files(root, lambda parts: True):
            if self._chosen.takes(relative.as_posix()):
                self._take(path, place / relative.parent)

    def glob(self, pattern: Path) -> None:
        """What a pattern matches, folders with all that is below them; the tree is kept from the first wildcard on."""
        parts = pattern.parts
        at = next(i for i, part in enumerate(parts) if any(c in part for c in MAGIC))
        root, globs = Path(*parts[:at]), parts[at:]
        before = len(self.result.found)
        for path, relative in self._files(root, lambda folder: _may_match(folder, globs)):
            if _matches(relative.parts, globs) and self._chosen.takes(relative.as_posix()):
                self._take(path, self._out / relative.parent if self._out is not None else path.parent)
        if len(self.result.found) == before and not self.result.ours:
            error = SourceMissingError("no picture matches this", hint="check the pattern", subject=str(pattern))
            self.result.failed.append((pattern, error))

    def _take(self, path: Path, folder: Path) -> None:
        key = absolute(path)
        if key in self._seen:
            return
        self._seen.add(key)
        try:
            size = path.stat().st_size
        except (OSError, ValueError):
            size = 0  # whoever opens it will say what is wrong
        if self._ours.get(key, -1) == size:
            self.result.ours += 1
            return
        self.result.found.append(Found(path, folder, self._options, size=size))

    def _read_manifest(self, folder: Path) -> None:
        key = absolute(folder)
        if key not in self._read:
            self._read.add(key)
            self._ours.update({path: row.output_bytes for path, row in recorded(folder).items()})

    def _files(self, root: Path, enters: Callable[[tuple[str, ...]], bool]) -> Iterator[tuple[Path, Path]]:
        """Pictures below ``root`` by name, in order of their paths, each with its path relative to it."""
        todo = [Path()]
        while todo:
            folder = todo.pop()
            try:
                entries = sorted(os.scandir(root / folder), key=lambda e: e.name)
            except OSError as error:
                self._failed(root / folder, error)
                continue
            if any(entry.name == NAME for entry in entries):
                self._read_manifest(root / folder)
            below = []
            for entry in entries:
                relative = folder / entry.name
                if entry.name.startswith("."):
                    continue
                if _is_folder(entry):
                    if entry.is_symlink():
                        self.result.links += 1
                    elif enters(relative.parts) and self._chosen.enters(relative.as_posix()) and not self._is_out(root / relative):
                        below.append(relative)
                elif relative.suffix.lower() in PICTURES:
                    yield root / relative, relative
            todo += reversed(below)

    def _is_out(self, folder: Path) -> bool:
        return self._skip is not None and os.path.realpath(folder) == self._skip

    def _failed(self, folder: Path, error: OSError) -> None:
        kind = SourceMissingError if isinstance(error, FileNotFoundError) else SourceUnreadableError
        why = (error.strerror or str(error)).lower()
        told = kind(f"the folder cannot be read ({why})", hint="make it readable, or --exclude it", subject=str(folder))
        self.result.failed.append((folder, told))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself; whoever opens it will say so
        return False


def _matches(parts: tuple[str, ...], globs: tuple[str, ...]) -> bool:
    """Whether the path, or a folder it lies in, matches; ``**`` stands for any number of folders."""
    if not globs:
        return True
    if globs[0] == "**":
        return any(_matches(parts[i:], globs[1:]) for i in range(len(parts) + 1))
    return bool(parts) and fnmatch(parts[0], globs[0]) and _matches(parts[1:], globs[1:])


def _may_match(parts: tuple[str, ...], globs: tuple[str, ...]) -> bool:
    """Whether anything below this folder can match."""
    if not parts or not globs or globs[0] == "**":
        return True
    return fnmatch(parts[0], globs[0]) and _may_match(parts[1:], globs[1:])


# --- from a list with options -----------------------------------------------------------------------------------------


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
    return Found(source, home, Options.of(options, **changes), output, where, size)


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


# --- names ------------------------------------------------------------------------------------------------------------


def named(found: list[Found], home: Path | None, kind: Callable[[Found], str]) -> list[BatchJob]:
    """The jobs with the names of their results. ``kind`` says a format for sources whose suffix tells none.

    ``NAME-4x.EXT``; all that would share one become ``NAME.OLDEXT-4x.EXT``, and if that is not enough get eight digits of
    their path and options. A source is never the name of a result. Raises :class:`UsageError` where results that the caller
    named clash with each other or with a source.
    """
    suffixes = [_suffix(one, kind) if one.output is None else "" for one in found]
    places: dict[Path, Path] = {}
    sources = {_key(one.source, places): one for one in found}
    while True:
        taken: dict[str, list[Found]] = {}
        outputs = [one.output or _output(one, suffix) for one, suffix in zip(found, suffixes, strict=True)]
        for one, output in zip(found, outputs, strict=True):
            taken.setdefault(_key(output, places), []).append(one)
        again = False
        for key, group in taken.items():
            if len(group) == 1 and key not in sources:
                continue
            free = [one for one in group if one.output is None and one.plainness < 2]
            for one in free:
                one.plainness += 1
            again = again or bool(free)
            if not free:
                _clash(group, key in sources)
        if not again:
            return [
                BatchJob(one.source, output, one.options, home or output.parent, one.size)
                for one, output in zip(found, outputs, strict=True)
            ]


def _clash(group: list[Found], with_source: bool) -> None:
    first, last = group[0], group[-1]
    name = str(last.output or last.source)
    if with_source:
        raise UsageError(f"the result {name} is itself a source", hint="choose another output", subject=last.where)
    others = f"{first.where} and {last.where}" if first.where else name
    raise UsageError(f"two results would have the name {name}", hint="choose another output for one of them", subject=others)


def _suffix(one: Found, kind: Callable[[Found], str]) -> str:
    """The result's suffix: the source's own where the format is the same."""
    own = one.source.suffix.lower()
    if one.options.format is not None:
        chosen = format_named(one.options.format)
    else:
        known = format_of_suffix(own)
        chosen = known or FORMATS["png"] if own in PICTURES else format_named(kind(one))
    return one.source.suffix if own in chosen.suffixes else chosen.suffixes[0]


def _output(one: Found, suffix: str) -> Path:
    mark = ""
    if one.plainness == 2:
        what = f"{absolute(one.source)}\n{one.options.model_dump_json()}"
        mark = "-" + hashlib.sha256(os.fsencode(what)).hexdigest()[:8]
    stem = one.source.name if one.plainness else one.source.stem
    return one.folder / f"{stem}{mark}-{one.options.scale:g}x{suffix}"


def _key(path: Path, places: dict[Path, Path]) -> str:
    """What the most forgiving disk compares: links in the folders resolved, case and spelling of accents ignored."""
    parent = path.parent
    if parent not in places:
        places[parent] = Path(os.path.realpath(parent))
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", str(places[parent] / path.name)).casefold())
