"""Model files that come in no package: where they lie, and how one is fetched when somebody asks for it by name.

Nothing is fetched by itself. A file is used only when its length and SHA-256 are those that stand here; the one exception is a file
that its user made or chose (``own``), which only the folder that ENLARGER_MODELS names is searched for.
"""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from enlarger.errors import WeightsError

TIMEOUT, PATIENCE, SLOWEST = 30.0, 900.0, 200_000
"""Seconds that a server may be silent; seconds that a download may take, and the bytes a second that it may take besides."""
PIECE = 2**18
LARGE = 10**7
"""Bytes from which on a file's size is told before it is fetched."""


@dataclass(frozen=True)
class ModelFile:
    """``id`` is what people call it; ``name`` is how the file is called, here and in the cache.

    ``rembg`` is its name where rembg keeps it, whose folders are searched too; ``own`` the name of a file of the same kind that the
    user made or chose: it is taken before all others, and not compared with anything.
    """

    id: str
    name: str
    url: str
    bytes: int
    sha256: str
    title: str
    licence: str
    authors: str
    rembg: str = ""
    own: str = ""


def _catalogue() -> dict[str, ModelFile]:
    rows = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))["file"]
    return {row["id"]: ModelFile(**row) for row in rows}


FILES = _catalogue()
YUNET, LAMA = FILES["yunet"], FILES["lama"]


def own_folder() -> Path | None:
    """The folder that ENLARGER_MODELS names, if it names one."""
    named = os.environ.get("ENLARGER_MODELS", "")
    return Path(named) if named else None


def cache_folder() -> Path:
    """Where fetched files lie unless ENLARGER_MODELS says otherwise: the platform's folder for caches."""
    home = Path("~").expanduser()
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = home / "Library" / "Caches"
    else:
        # The specification of these folders has relative paths ignored.
        said = Path(os.environ.get("XDG_CACHE_HOME", ""))
        base = said if said.is_absolute() else home / ".cache"
    return base / "enlarger" / "models"


def rembg_folders(name: str) -> tuple[Path, ...]:
    """Where rembg keeps the model that it calls ``name``: today's folder first, then the one of earlier versions."""
    old, data = os.environ.get("U2NET_HOME", ""), os.environ.get("XDG_DATA_HOME", "")
    flat = Path(old or Path(data or "~") / ".u2net").expanduser()
    root = flat if old else Path(os.environ.get("REMBG_HOME", "") or (Path(data) / "rembg" if data else "~/.rembg")).expanduser()
    return root / "models" / name, flat


def found(file: ModelFile) -> Path | None:
    """The first place where ``file`` lies, unchecked: the user's own, ENLARGER_MODELS, the cache, rembg's folders."""
    folder = own_folder()
    places = [folder / file.own] if folder and file.own else []
    places += [place / file.name for place in (folder, cache_folder()) if place]
    if file.rembg:
        places += [place / name for place in rembg_folders(file.id) for name in (file.rembg, file.name)]
    return next((place for place in places if place.is_file()), None)


def locate(file: ModelFile) -> Path:
    """The checked file, or the user's own. Raises :class:`WeightsError`."""
    path = found(file)
    if path is None:
        size = "" if file.bytes < LARGE else f" ({file.bytes / 10**6:.0f} MB)"
        raise WeightsError(f"{file.name} is not here", hint=f"fetch it{size}: enlarger models --fetch {file.id}", subject=file.id)
    if not file.own or path.name != file.own:
        return _checked(path, file)
    try:
        digest(path)
    except OSError as error:
        raise WeightsError(f"{path.name} cannot be read ({error.strerror})", hint=f"look at {path}", subject=file.id) from error
    return path


def fetch_model(name: str) -> Path:
    """Download the model file that is called ``name`` (``"yunet"``), unless it is here; the path of the checked file.

    It goes into the folder that ENLARGER_MODELS names, else into the platform's cache. Raises :class:`WeightsError`.
    """
    file = FILES.get(name)
    if file is None:
        raise WeightsError("there is no such file to fetch", hint=f"known: {', '.join(FILES)}", subject=name)
    try:
        return locate(file)
    except WeightsError:
        return fetch(file, own_folder() or cache_folder())


def fetch(file: ModelFile, folder: Path) -> Path:
    """Download ``file`` into ``folder``; it gets its name once it is whole and the right one. Raises :class:`WeightsError`."""
    part, was_there = None, folder.is_dir()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=".enlarger-fetch-", dir=folder)
        part = Path(name)
        with os.fdopen(descriptor, "wb") as out:
            for piece in _downloaded(file, folder):
                out.write(piece)
            out.flush()
            os.fsync(out.fileno())
        part.chmod(0o644)
        part.replace(folder / file.name)
    except OSError as error:
        hint = f"is {folder} a folder that can be written to, with room for {max(1, file.bytes // 10**6)} MB?"
        raise WeightsError(f"{file.name} cannot be written ({error.strerror or error})", hint=hint, subject=file.id) from error
    finally:
        if part is not None:
            part.unlink(missing_ok=True)
        if not was_there and folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
    return _checked(folder / file.name, file)


def _downloaded(file: ModelFile, folder: Path) -> Iterator[bytes]:
    """The bytes in pieces; after the last it is sure that they were of the right number and with the right sum."""
    # Only who fetches needs them: they would double the time of loading what verify needs.
    import urllib.request
    from http.client import HTTPException

    hint = f"try again, or put it into {folder} yourself; it is at {file.url}"
    end = time.monotonic() + PATIENCE + file.bytes / SLOWEST
    size, sum_ = 0, hashlib.sha256()
    request = urllib.request.Request(file.url, headers={"User-Agent": "enlarger"})
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
            while size <= file.bytes and (piece := answer.read1(PIECE)):
                size += len(piece)
                sum_.update(piece)
                if time.monotonic() > end:
                    raise WeightsError(f"fetching {file.name} takes too long", hint=hint, subject=file.id)
                yield piece
    except (OSError, HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        raise WeightsError(f"{file.name} cannot be fetched ({reason})", hint=hint, subject=file.id) from error
    if size != file.bytes:
        told = f"more than {file.bytes}" if size > file.bytes else f"{size} instead of {file.bytes}"
        raise WeightsError(f"what was fetched has {told} bytes", hint=hint, subject=file.id)
    if sum_.hexdigest() != file.sha256:
        raise WeightsError("what was fetched is another file (SHA-256 differs)", hint=hint, subject=file.id)


def digest(path: Path) -> str:
    """SHA-256 of a file, hashed once per process as long as it does not change."""
    stat = path.stat()
    return _digest(path, stat.st_size, stat.st_mtime_ns)


@cache
def _digest(path: Path, size: int, modified: int) -> str:
    """``size`` and ``modified`` make a changed file a new question."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _checked(path: Path, file: ModelFile) -> Path:
    hint = f"fetch it again: enlarger models --fetch {file.id}"
    try:
        size, found = path.stat().st_size, digest(path)
    except OSError as error:
        raise WeightsError(f"{file.name} cannot be read ({error.strerror})", hint=hint, subject=file.id) from error
    if size != file.bytes:
        raise WeightsError(f"{file.name} has {size} bytes instead of {file.bytes}", hint=hint, subject=file.id)
    if found != file.sha256:
        raise WeightsError(f"{file.name} is not the file that is known here (SHA-256 differs)", hint=hint, subject=file.id)
    return path
