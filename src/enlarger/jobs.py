"""Jobs: which files are meant, and the folder where the result of each goes, all settled before the first is opened.

A folder is walked with everything below it; hidden files and folders, links to folders, and what an earlier run made are
left out. Results keep the tree.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path

from enlarger.errors import EnlargerError, InputError, SourceMissingError, SourceUnreadableError
from enlarger.formats import FORMATS, OTHERS
from enlarger.manifest import NAME, absolute, recorded
from enlarger.options import Options
from enlarger.pyramid import SUFFIX, files_of

PICTURES = {s for f in FORMATS.values() for s in f.suffixes} - {SUFFIX} | OTHERS
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
    """What :func:`collect` and :func:`enlarger.job_lists.read_jobs` bring: sources, what could not be looked at, remarks."""

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
            # The tiles of a pyramid are pictures too, thousands of them, and nobody means them.
            tiles = {files_of(Path(entry.name)).name for entry in entries if entry.name.lower().endswith(SUFFIX)}
            below = []
            for entry in entries:
                relative = folder / entry.name
                if entry.name.startswith(".") or entry.name in tiles:
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
