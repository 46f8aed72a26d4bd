"""Manifest: the record of many files, one line of JSON per file and run, beside the results.

``enlarger-manifest.jsonl`` is only ever appended to; of several rows about one output the last counts. Nothing in it is
believed on sight: a result counts as ours while the file has the size and SHA-256 that its row names.

Rows of finished files do not wait for the disk, which would cost more than a small picture. So that a kill loses nothing,
the row of a file goes to a second, hidden file *before* the result gets its name. Who finds that file after a kill looks
whether the result is there, whole, and puts its row into the manifest. A power cut can cost the rows, not the results, of
the last :data:`SYNC_SECONDS` seconds: such a result is then a stranger's file, which is not overwritten unasked.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import hashlib
import json
import math
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from enlarger.canvas import full_disk
from enlarger.errors import OutputError
from enlarger.journal import Work, work_folder
from enlarger.pyramid import SUFFIX, measured

NAME = "enlarger-manifest.jsonl"
SYNC_SECONDS = 1.0
"""How long rows may wait for the disk."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchRow:
    """What became of one file.

    ``source`` is an absolute path, ``output`` is relative to the manifest's folder where it lies in it. ``error`` is the class
    of the error and ``message`` its one line. ``digest`` stands for options, version and weights. Sizes are in pixels and
    bytes, ``seconds`` is the work on this file (waiting for others not counted), ``timings`` the same by step, ``peak_mb`` the
    most memory (resident, 10^6 bytes) that the whole process had held until then, ``None`` where the system does not tell.
    """

    source: str
    status: Literal["done", "skipped", "error"]
    error: str | None = None
    message: str | None = None
    output: str | None = None
    options: dict[str, Any] = field(default_factory=dict)
    models: tuple[str, ...] = ()
    digest: str = ""
    source_bytes: int | None = None
    source_sha256: str = ""
    source_size: tuple[int, int] | None = None
    output_bytes: int | None = None
    output_sha256: str = ""
    output_size: tuple[int, int] | None = None
    seconds: float = 0.0
    timings: dict[str, float] = field(default_factory=dict)
    peak_mb: float | None = None
    warnings: tuple[str, ...] = ()
    enlarger: str = ""
    time: str = ""

    def as_json(self) -> str:
        """One line of ASCII; names that are no UTF-8 survive as lone surrogates."""
        return json.dumps({name: getattr(self, name) for name in self.__slots__}, separators=(",", ":"))


FIELDS = {f.name for f in dataclasses.fields(BatchRow)}


def read_rows(path: Path) -> list[BatchRow]:
    """All whole rows of the file at ``path``; of lines that are torn or not ours nothing is believed."""
    try:
        data = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise OutputError(f"cannot be read ({(error.strerror or '').lower()})", hint="make it readable", subject=str(path)) from error
    return [row for line in data.split(b"\n")[:-1] if (row := _parsed(line)) is not None]


def _parsed(line: bytes) -> BatchRow | None:
    try:
        record = json.loads(line)
        known: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in record.items() if name in FIELDS
        }
        row = BatchRow(**known)
        sound = row.status in ("done", "skipped", "error") and isinstance(row.source, str) and isinstance(row.output, str | None)
        return row if sound else None
    except (ValueError, TypeError, AttributeError, RecursionError):
        return None


def recorded(folder: Path) -> dict[Path, BatchRow]:
    """The results that the manifest in ``folder`` lists, by absolute path, with the last row that vouches for each."""
    return {
        absolute(folder / row.output): row
        for row in read_rows(folder / NAME)
        if row.output is not None and row.status != "error" and row.output_sha256
    }


def absolute(path: str | os.PathLike[str]) -> Path:
    """``path`` from the root, ``..`` taken out by its letters; links stay, as what they lead to may not be there yet."""
    return Path(os.path.abspath(path))  # noqa: PTH100 (Path.absolute keeps "..", Path.resolve follows links)


def sha256_of(path: Path) -> str:
    """Digest of the file's bytes; raises :class:`OSError`."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def is_unchanged(path: Path, row: BatchRow) -> bool:
    """Whether the result at ``path`` is, byte for byte, the one that ``row`` tells of."""
    try:
        if path.suffix.lower() == SUFFIX:
            return path.is_file() and measured(path) == (row.output_bytes, row.output_sha256)
        return path.is_file() and path.stat().st_size == row.output_bytes and sha256_of(path) == row.output_sha256
    except OSError:
        return False


class Manifest:
    """The manifest in ``folder``, locked for one run at a time. Close it, or use ``with``.

    ``known`` holds, by absolute path of the result, the last row that vouches for it. Raises :class:`OutputError` when another
    run has the lock, and as anything else does that writes.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / NAME
        self._pending = folder / f".{NAME}.writing"
        self._work = Work(work_folder(self.path, None), "enlarger.manifest/1")
        self._rows = self._writing = -1
        self._lock = threading.Lock()  # rows are announced by the thread that writes results
        self._open: set[str | None] = set()
        self._synced, self._announced = time.monotonic(), -math.inf
        try:
            with self._translated():
                self._writing = os.open(self._pending, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
                self._rows = self._opened()
            self.known = recorded(folder)
            self._recover()
        except BaseException:
            self.close()
            raise

    def _opened(self) -> int:
        """Open for appending, behind a whole line: a torn last one goes."""
        handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
        whole = self.path.read_bytes().rfind(b"\n") + 1
        if whole != os.fstat(handle).st_size:
            os.ftruncate(handle, whole)
        return handle

    def _recover(self) -> None:
        """Take in what a killed run had finished but not recorded."""
        for row in read_rows(self._pending):
            path = self.absolute(row.output or "")
            last = self.known.get(path)
            if (last is None or last.output_sha256 != row.output_sha256) and is_unchanged(path, row):
                self.add(row)
        self.sync()

    def relative(self, output: Path) -> str:
        """``output`` as rows name it."""
        path, home = absolute(output), absolute(self.folder)
        return path.relative_to(home).as_posix() if path.is_relative_to(home) else str(path)

    def absolute(self, output: str) -> Path:
        return absolute(self.folder / output)

    def announce(self, row: BatchRow) -> None:
        """Remember that ``row`` will be true as soon as its output is there."""
        with self._lock, self._translated():
            self._open.add(row.output)
            _append(self._writing, row)
            if time.monotonic() - self._announced > SYNC_SECONDS:
                os.fsync(self._writing)
                self._announced = time.monotonic()

    def add(self, row: BatchRow) -> None:
        """Append ``row``."""
        with self._lock, self._translated():
            _append(self._rows, row)
            self._open.discard(row.output)
        if row.output is not None and row.output_sha256 and row.status != "error":
            self.known[self.absolute(row.output)] = row
        if time.monotonic() - self._synced > SYNC_SECONDS:
            self.sync()

    def sync(self) -> None:
        """Return when all rows are on the disk; what was announced is forgotten unless its row is still to come."""
        with self._lock, self._translated():
            os.fsync(self._rows)
            if not self._open:
                os.ftruncate(self._writing, 0)
        self._synced = time.monotonic()

    def close(self) -> None:
        """Bring everything to the disk and let the next run in."""
        try:
            if self._rows >= 0:
                self.sync()
                if not self._open:
                    self._pending.unlink(missing_ok=True)
        finally:
            for handle in (self._rows, self._writing):
                if handle >= 0:
                    os.close(handle)
            self._rows = self._writing = -1
            self._work.close()

    def __enter__(self) -> Manifest:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise full_disk(self.folder) from error
            why = (error.strerror or str(error)).lower()
            raise OutputError(f"the record cannot be written ({why})", hint="choose another folder", subject=str(self.path)) from error


def _append(handle: int, row: BatchRow) -> None:
    """All of the line or, when that fails, nothing: what follows must not be glued to a torn one."""
    line = memoryview(f"{row.as_json()}\n".encode("ascii"))
    end = os.fstat(handle).st_size
    try:
        while line:
            line = line[os.write(handle, line) :]
    except BaseException:
        with contextlib.suppress(OSError):
            os.ftruncate(handle, end)
        raise
