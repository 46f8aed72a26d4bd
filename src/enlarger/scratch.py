"""Scratch: the folder for files without a name, which hold what is too large for memory.

Who knows where the result goes says so once (:func:`scratch`), and everything below asks :func:`scratch_folder`: the decoders,
which make such files, know nothing of results. Where nobody said anything it is the system's folder for temporary files, unless
that one lies in memory: a file there would take the very memory that it is meant to save.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from contextvars import ContextVar
from functools import cache
from pathlib import Path

SANDBOX = ".enlarger-sandbox-"
"""How folders begin in which a sandboxed decoder works; only a kill leaves one."""

OTHERS = (Path("/var/tmp"),)
"""Where to go when the system's folder lies in memory."""

_folder: ContextVar[Path | None] = ContextVar("scratch", default=None)


@contextlib.contextmanager
def scratch(folder: Path | None) -> Iterator[None]:
    """Inside, in this thread, nameless files go to ``folder``; ``None`` changes nothing."""
    token = _folder.set(folder or _folder.get())
    try:
        yield
    finally:
        _folder.reset(token)


def scratch_folder() -> Path:
    """Where nameless files go."""
    return _folder.get() or _default(tempfile.gettempdir())


@cache
def _default(system: str) -> Path:
    if in_memory(Path(system)):
        for other in OTHERS:
            if os.access(other, os.W_OK | os.X_OK) and not in_memory(other):
                return other
    return Path(system)


def in_memory(folder: Path) -> bool:
    """Whether what is written to ``folder`` stays in memory (tmpfs, ramfs); ``False`` where the system does not say."""
    try:
        device = folder.stat().st_dev
        mounts = Path("/proc/self/mountinfo").read_text(errors="replace").splitlines()
    except OSError:
        return False
    number = f"{os.major(device)}:{os.minor(device)}"
    kinds = {after.split()[0] for before, _, after in (line.partition(" - ") for line in mounts) if before.split()[2] == number}
    return bool(kinds & {"tmpfs", "ramfs"})
