"""Journal: what is done of a job, so that a killed run goes on where it stopped.

A job keeps its canvases and its journal in a work folder (``.NAME.enlarger`` beside the output, or in ``--temp``). The
journal is lines of JSON, each with a checksum of its own; the first names the job by a digest of everything that can change
a byte of the result, every other names a tile, the checksum of its samples on the canvas, and how it came about. A line
is written after the samples it vouches for are on the disk. A torn last line, or a line that is not whole, ends what counts.

The folder is locked with ``flock`` while a run works in it, so that a second run on the same output is refused and a kill
leaves no lock behind.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import sys
import time
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from io import FileIO
from pathlib import Path
from types import TracebackType

from enlarger.canvas import full_disk
from enlarger.errors import OutputError
from enlarger.image import Box
from enlarger.scratch import SANDBOX

SUFFIX = ".enlarger"
FORMAT = 1


@dataclass(frozen=True, slots=True)
class Done:
    """One finished tile: ``crc`` is the CRC-32 of its samples in row order.

    ``split`` names the boxes (source pixels) that did not fit into memory and were cut in four; ``fallback`` says that the
    tile was done again on the CPU because the device answered NaN or infinity. Both are taken over when it must be made again.
    """

    stage: int
    tile: int
    crc: int
    split: tuple[Box, ...] = ()
    fallback: bool = False


class Work:
    """The work folder of one job, locked. Close it to keep it for a later run, :meth:`discard` it when the job is done.

    ``key`` names the job; a folder of another job (changed source, options, model or version) is emptied and ``changed`` says so;
    ``found`` says that there was a folder, of this job or another.
    Raises :class:`OutputError` when another run has the lock or the folder cannot be written.
    """

    def __init__(self, folder: Path, key: str, *, fresh: bool = False) -> None:
        self.folder = folder
        self.done: dict[tuple[int, int], Done] = {}
        self.changed = False
        self._key = key
        self._lock: FileIO | None = None
        self._journal = -1
        try:
            with _translated(folder):
                self._lock, self.found = _locked(folder)
                self._journal = self._opened(key, fresh)
        except BaseException:
            # A signal may strike anywhere, also before the lock has found its way to us: the folder must not stay for that.
            self._release()
            _remove_idle(folder)
            raise

    def _opened(self, key: str, fresh: bool) -> int:
        """The journal, open for appending, behind all lines that count; -1 when nothing is done yet and there is none."""
        path = self.folder / "journal"
        header, entries, length = _read(path)
        if header is not None and (fresh or header != {"format": FORMAT, "key": key}):
            self.changed = not fresh
            header = None
        if header is None:
            for item in self.folder.iterdir():
                if item.name != "lock":
                    item.unlink()
            return -1
        handle = os.open(path, os.O_RDWR, 0o600)
        try:
            os.ftruncate(handle, length)
            os.lseek(handle, 0, os.SEEK_END)
            self.done = {(entry.stage, entry.tile): entry for entry in entries}
        except BaseException:
            os.close(handle)
            raise
        return handle

    def canvas(self, stage: int) -> Path:
        """Where the canvas of ``stage`` lies."""
        return self.folder / f"canvas-{stage}"

    def add(self, entry: Done) -> None:
        """Record a tile whose samples are on the disk already. Raises :class:`OutputError`."""
        with _translated(self.folder):
            if self._journal < 0:
                self._journal = os.open(self.folder / "journal", os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
                _append(self._journal, {"format": FORMAT, "key": self._key}, wait=False)
            _append(self._journal, asdict(entry))
        self.done[entry.stage, entry.tile] = entry

    def close(self) -> None:
        """Unlock and keep the folder; one in which no tile was finished is of no use and goes."""
        if self._lock is None:
            return
        try:
            if not self.done:
                shutil.rmtree(self.folder, ignore_errors=True)
            self._release()
        except BaseException:  # a signal, in the middle of it
            self._release()
            _remove_idle(self.folder)
            raise

    def discard(self) -> None:
        """Remove the folder: the job is done."""
        if self._lock is not None:
            shutil.rmtree(self.folder, ignore_errors=True)
            self._release()

    def _release(self) -> None:
        journal, self._journal = self._journal, -1
        if journal >= 0:
            os.close(journal)
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def __del__(self) -> None:
        # A signal may strike between making this and taking hold of it.
        if getattr(self, "_lock", None) is not None:
            self.close()

    def __enter__(self) -> Work:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


class Ledger:
    """The tiles of one stage of a job; of a job without a work folder (``work`` is ``None``) nothing is kept."""

    def __init__(self, work: Work | None, stage: int) -> None:
        self._work, self._stage = work, stage
        self._done = {} if work is None else {tile: entry for (of, tile), entry in work.done.items() if of == stage}

    @property
    def kept(self) -> bool:
        """Whether :meth:`add` keeps anything."""
        return self._work is not None

    def done(self) -> dict[int, Done]:
        """What earlier runs recorded, by tile; whether the samples are still sound is for the reader to check."""
        return self._done

    def add(self, tile: int, crc: int, split: tuple[Box, ...], fallback: bool) -> None:
        """Record a tile whose samples are on the disk already."""
        if self._work is not None:
            self._work.add(Done(self._stage, tile, crc, split, fallback))


def work_folder(output: Path, temp: Path | None) -> Path:
    """The work folder for ``output``: beside it, or in ``temp`` under a name that no other output has."""
    if temp is None:
        return output.with_name(f".{output.name}{SUFFIX}")
    place = zlib.crc32(os.fsencode(output.absolute()))
    return temp / f".{output.name}-{place:08x}{SUFFIX}"


def clean(folder: Path, older_than: float) -> list[Path]:
    """Remove what killed runs left in ``folder``: work folders that no run has locked and that are ``older_than`` seconds old."""
    removed = []
    for path in sorted(folder.glob(f".*{SUFFIX}")):
        if not (path / "lock").is_file() or time.time() - path.stat().st_mtime < older_than:
            continue
        with contextlib.suppress(OutputError):
            lock, _ = _locked(path)
            shutil.rmtree(path, ignore_errors=True)
            lock.close()
            removed.append(path)
    for path in sorted(folder.glob(f"{SANDBOX}*")):
        if path.is_dir() and time.time() - path.stat().st_mtime >= older_than:
            shutil.rmtree(path, ignore_errors=True)
            removed.append(path)
    return removed


# --- lines ------------------------------------------------------------------------------------------------------------


def _append(handle: int, record: dict[str, object], *, wait: bool = True) -> None:
    text = json.dumps(record, separators=(",", ":"))
    line = memoryview(f"{zlib.crc32(text.encode()):08x} {text}\n".encode())
    while line:
        line = line[os.write(handle, line) :]
    if wait:
        os.fdatasync(handle) if hasattr(os, "fdatasync") else os.fsync(handle)


def _read(path: Path) -> tuple[dict[str, object] | None, list[Done], int]:
    """Header, tiles and the length in bytes of all whole lines of the journal at ``path``."""
    header: dict[str, object] | None = None
    entries: list[Done] = []
    length = 0
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None, [], 0
    for line in data.splitlines(keepends=True):
        text = line[9:-1]
        if not line.endswith(b"\n") or line[:9] != b"%08x " % zlib.crc32(text):
            break
        record = json.loads(text)
        if header is None:
            header = record
        elif header.get("format") == FORMAT:
            record["split"] = tuple(Box(*box) for box in record["split"])
            entries.append(Done(**record))
        length += len(line)
    return header, entries, length


# --- lock -------------------------------------------------------------------------------------------------------------


def _locked(folder: Path) -> tuple[FileIO, bool]:
    """Make ``folder`` and take its lock; whether somebody had it before and was killed.

    A folder that its owner removed meanwhile is made anew. The lock is an object, not a number, so that it is given back
    when a signal strikes before anybody holds it.
    """
    path = folder / "lock"
    while True:
        handle: FileIO | None = None
        try:
            folder.mkdir(exist_ok=True)
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
            handle = FileIO(path, "r+")
            used = os.fstat(handle.fileno()).st_size > 0
            if _taken(handle.fileno(), path):
                return handle, used
        except FileNotFoundError:
            if handle is None and folder.parent.is_dir():
                continue  # its owner removed the folder just now
            raise
        except BlockingIOError:
            owner = handle.read(20).decode(errors="replace").strip() if handle else ""
            if handle:
                handle.close()
            raise OutputError(
                f"another run is at work on this output{f' (process {owner})' if owner else ''}",
                hint="wait for it, or choose another output",
                subject=str(folder),
            ) from None
        except BaseException:
            if handle:
                handle.close()
            raise
        handle.close()


def _remove_idle(folder: Path) -> None:
    """Remove a work folder that holds no journal and in which no run is at work."""
    with contextlib.suppress(OSError):
        folder.rmdir()
    if (folder / "journal").exists() or not folder.is_dir():
        return
    with contextlib.suppress(OSError), FileIO(folder / "lock", "r+") as lock:
        _flock(lock.fileno())
        shutil.rmtree(folder, ignore_errors=True)


def _taken(handle: int, path: Path) -> bool:
    """Lock ``handle`` and write our process id into it; ``False`` when ``path`` is another file by now."""
    _flock(handle)
    try:
        if not os.path.samestat(os.fstat(handle), path.stat()):
            return False
    except FileNotFoundError:
        return False
    os.ftruncate(handle, 0)
    os.write(handle, f"{os.getpid()}\n".encode())
    return True


def _flock(handle: int) -> None:
    """An exclusive lock that dies with the process; raises :class:`BlockingIOError` when another has it."""
    if sys.platform == "win32":
        import msvcrt

        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        except OSError as error:
            raise BlockingIOError from error
    else:
        import fcntl

        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


@contextlib.contextmanager
def _translated(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise full_disk(folder) from error
        raise OutputError(
            f"cannot keep the work in progress: {error.strerror}", hint="choose another place with --temp", subject=str(folder)
        ) from error
