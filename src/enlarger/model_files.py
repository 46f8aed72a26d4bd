"""Model files that come in no package: where they lie, and how one is fetched when somebody asks for it by name.

Nothing is fetched by itself. A file is used only when its length and SHA-256 are those that stand here.
"""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from enlarger.errors import WeightsError

TIMEOUT, PATIENCE = 30.0, 900.0
"""Seconds that a server may be silent, and that a download may take as a whole."""
PIECE = 2**18


@dataclass(frozen=True)
class ModelFile:
    """``id`` is what people call it; ``name`` is how the file is called, here and in the cache."""

    id: str
    name: str
    url: str
    bytes: int
    sha256: str
    title: str
    licence: str
    authors: str


YUNET = ModelFile(
    id="yunet",
    name="face_detection_yunet_2023mar.onnx",
    url="https://github.com/opencv/opencv_zoo/raw/main/models/face_detection_yunet/face_detection_yunet_2023mar.onnx",
    bytes=232_589,
    sha256="8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4",
    title="YuNet: finds faces, for verify in full mode",
    licence="MIT",
    authors="Wei Wu, Hanyang Peng, Shiqi Yu",
)
FILES = {file.id: file for file in (YUNET,)}


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


def locate(file: ModelFile) -> Path:
    """The checked file, from ENLARGER_MODELS or else the cache. Raises :class:`WeightsError`."""
    for folder in filter(None, (own_folder(), cache_folder())):
        if (folder / file.name).is_file():
            return _checked(folder / file.name, file)
    raise WeightsError(f"{file.name} is not here", hint=f"fetch it: enlarger models --fetch {file.id}", subject=file.id)


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
    data = _downloaded(file, folder)
    part = None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=".enlarger-fetch-", dir=folder)
        part = Path(name)
        with os.fdopen(descriptor, "wb") as out:
            out.write(data)
            out.flush()
            os.fsync(out.fileno())
        part.chmod(0o644)
        part.replace(folder / file.name)
    except OSError as error:
        hint = f"is {folder} a folder that can be written to?"
        raise WeightsError(f"{file.name} cannot be written ({error.strerror or error})", hint=hint, subject=file.id) from error
    finally:
        if part is not None:
            part.unlink(missing_ok=True)
    return _checked(folder / file.name, file)


def _downloaded(file: ModelFile, folder: Path) -> bytes:
    """The bytes, of the right number and with the right sum: these files are small enough for memory."""
    # Only who fetches needs them: they would double the time of loading what verify needs.
    import urllib.request
    from http.client import HTTPException

    hint = f"try again, or put it into {folder} yourself; it is at {file.url}"
    end = time.monotonic() + PATIENCE
    data = bytearray()
    try:
        request = urllib.request.Request(file.url, headers={"User-Agent": "enlarger"})
        with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
            while len(data) <= file.bytes and (piece := answer.read1(PIECE)):
                data += piece
                if time.monotonic() > end:
                    raise WeightsError(f"fetching {file.name} takes too long", hint=hint, subject=file.id)
    except (OSError, HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        raise WeightsError(f"{file.name} cannot be fetched ({reason})", hint=hint, subject=file.id) from error
    if len(data) != file.bytes:
        size = f"more than {file.bytes}" if len(data) > file.bytes else f"{len(data)} instead of {file.bytes}"
        raise WeightsError(f"what was fetched has {size} bytes", hint=hint, subject=file.id)
    if hashlib.sha256(data).hexdigest() != file.sha256:
        raise WeightsError("what was fetched is another file (SHA-256 differs)", hint=hint, subject=file.id)
    return bytes(data)


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
