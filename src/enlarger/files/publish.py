"""The way of a result to its name: whether it can be had at all, a name to write under until then, and the name itself.

A file appears under its name whole and checked, or not at all.
"""

from __future__ import annotations

import contextlib
import errno
import glob
import os
import secrets
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from enlarger.errors import DiskFullError, OutputError, OutputExistsError

Announce = Callable[[int, str], None]
"""Told the length in bytes and the SHA-256 of a file."""


def check_output(path: Path, *, overwrite: bool, source: Path | None) -> None:
    """Whether ``path`` can be written, found out before any work. Raises :class:`OutputError` or a subclass.

    The folder is tried for real, by making and deleting a file: permissions alone do not tell.
    """
    name, folder = str(path), path.parent
    try:
        _check_path(path, overwrite, source)
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise OutputError("the name is too long for this disk", hint="choose a shorter name", subject=name) from error
        raise OutputError(f"cannot be written ({error.strerror})", hint="choose another place", subject=name) from error
    except ValueError as error:
        raise OutputError(f"this is no file name ({error})", hint="choose another name", subject=name) from error
    try:
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, "Permission denied")
        with tempfile.TemporaryFile(prefix=".enlarger-", dir=folder):
            pass
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFullError("the disk is full", hint="free some space or choose another folder", subject=name) from error
        message = f"the folder {str(folder)!r} cannot be written ({(error.strerror or str(error)).lower()})"
        raise OutputError(message, hint="choose another folder", subject=name) from error


def _check_path(path: Path, overwrite: bool, source: Path | None) -> None:
    name, folder = str(path), path.parent
    if not folder.is_dir():
        raise OutputError(f"the folder {str(folder)!r} does not exist", hint="create it first", subject=name)
    if len(os.fsencode(path.name)) > os.pathconf(folder, "PC_NAME_MAX") if hasattr(os, "pathconf") else False:
        raise OSError(errno.ENAMETOOLONG, "File name too long")
    if path.is_dir():
        raise OutputError("this is a folder", hint="name a file in it", subject=name)
    if source is not None and path.exists() and source.exists() and path.samefile(source):
        raise OutputError("this is the source itself", hint="choose another name for the result", subject=name)
    if path.exists() and not path.is_file():
        raise OutputError("this is not a regular file", hint="choose another name", subject=name)
    if os.path.lexists(path) and not overwrite:
        raise OutputExistsError("the file exists already", hint="replace it with --overwrite or choose another name", subject=name)


def part_name(path: Path) -> Path:
    """A hidden name beside ``path``, new each time, for what is not whole yet."""
    return path.with_name(f"{_part_prefix(path)}{secrets.token_hex(4)}.part{path.suffix[:16]}")


def _part_prefix(path: Path) -> str:
    return f".{path.name[:80]}."


def clean_parts(path: Path) -> None:
    """Remove what killed runs left while they wrote ``path``. Only for who has the lock on that output."""
    for part in path.parent.glob(f"{glob.escape(_part_prefix(path))}????????.part{glob.escape(path.suffix[:16])}"):
        with contextlib.suppress(OSError):
            shutil.rmtree(part) if part.is_dir() else part.unlink(missing_ok=True)


def publish(part: Path, path: Path, *, overwrite: bool) -> None:
    """Give the finished file its name: in one step, and never over a file that appeared meanwhile unless asked to."""
    if overwrite:
        part.replace(path)
        return
    try:
        path.hardlink_to(part)
    except FileExistsError as error:
        raise OutputExistsError("the file appeared meanwhile", hint="replace it with --overwrite", subject=str(path)) from error
    except OSError:
        # No hard links on this disk: claim the name first, then take its place.
        try:
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
        except FileExistsError as error:
            raise OutputExistsError("the file appeared meanwhile", hint="replace it with --overwrite", subject=str(path)) from error
        try:
            part.replace(path)
        except OSError:
            path.unlink()
            raise


def sync_folder(folder: Path) -> None:
    """Return when names given in ``folder`` are on the disk."""
    # Not everywhere can a folder be opened; then the rename is as durable as the system makes it.
    with contextlib.suppress(OSError):
        fd = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
