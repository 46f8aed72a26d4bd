"""Results that are an index and a folder of tiles (DeepZoom), as files: where the tiles lie, and what vouches for all of them."""

from __future__ import annotations

import hashlib
from pathlib import Path

SUFFIX = ".dzi"


def files_of(index: Path) -> Path:
    """The folder of tiles that belongs to the file ``index``."""
    return index.with_name(f"{index.stem}_files")


def measured(index: Path) -> tuple[int, str]:
    """Bytes of the index and all its tiles, and a SHA-256 over them in the order of their names. Raises :class:`OSError`."""
    total, digest = 0, hashlib.sha256()
    for file in (index, *sorted(p for p in files_of(index).rglob("*") if p.is_file())):
        data = file.read_bytes()
        total += len(data)
        digest.update(data)
    return total, digest.hexdigest()
