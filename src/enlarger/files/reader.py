"""Reader: the bytes of a source, wherever they lie. Nothing here knows about pictures.

Files are opened once, without blocking (a FIFO must not hang), checked to be regular, and read through that descriptor
only, so that what was checked is what is decoded.
"""

from __future__ import annotations

import errno
import hashlib
import io
import os
import stat
from typing import BinaryIO, Self

from enlarger.errors import NotAnImageError, SourceMissingError, SourceUnreadableError

CHUNK = 1 << 20
KINDS = {stat.S_ISDIR: "a folder", stat.S_ISFIFO: "a pipe", stat.S_ISSOCK: "a socket", stat.S_ISCHR: "a device", stat.S_ISBLK: "a device"}


class Reader:
    """Random access to ``size`` bytes called ``name``. Exactly one of ``data`` and ``fd`` is set. Close it, or use ``with``."""

    def __init__(self, name: str, *, data: bytes | None = None, fd: int | None = None) -> None:
        self.name = name
        self.data = data
        self.fd = fd
        self.size = len(data) if data is not None else os.fstat(fd).st_size if fd is not None else 0

    @classmethod
    def of_bytes(cls, data: bytes) -> Reader:
        """A reader of bytes in memory, called ``<bytes>``; raises :class:`NotAnImageError` when there are none."""
        return _not_empty(cls("<bytes>", data=data))

    @classmethod
    def of_file(cls, path: str | os.PathLike[str]) -> Reader:
        """A reader of the regular file ``path``.

        Raises :class:`SourceMissingError`, :class:`SourceUnreadableError` (permission, folder, pipe, device) and
        :class:`NotAnImageError` (empty).
        """
        name = os.fsdecode(path)
        try:
            fd = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0))
        except (OSError, ValueError) as error:
            raise _refusal(name, error) from error
        mode = os.fstat(fd).st_mode
        if not stat.S_ISREG(mode):
            os.close(fd)
            raise _irregular(name, mode)
        return _not_empty(cls(name, fd=fd))

    def read(self, offset: int, length: int) -> bytes:
        """Up to ``length`` bytes from ``offset``; fewer at the end, none behind it. Raises :class:`SourceUnreadableError`."""
        if length <= 0 or not 0 <= offset < self.size:
            return b""
        if self.data is not None:
            return self.data[offset : offset + length]
        assert self.fd is not None
        try:
            if hasattr(os, "pread"):
                return os.pread(self.fd, length, offset)
            os.lseek(self.fd, offset, os.SEEK_SET)
            return os.read(self.fd, length)
        except OSError as error:
            raise _refusal(self.name, error) from error

    def sha256(self) -> str:
        """Digest of all bytes."""
        if self.data is not None:
            return hashlib.sha256(self.data).hexdigest()
        digest, offset = hashlib.sha256(), 0
        while block := self.read(offset, CHUNK):
            digest.update(block)
            offset += len(block)
        return digest.hexdigest()

    def stream(self) -> BinaryIO:
        """A seekable binary file over the same bytes; close it before the reader."""
        if self.data is not None:
            return io.BytesIO(self.data)
        assert self.fd is not None
        stream = os.fdopen(os.dup(self.fd), "rb")
        stream.seek(0)
        return stream

    def close(self) -> None:
        if self.fd is not None:
            os.close(self.fd)
            self.fd = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def _not_empty(reader: Reader) -> Reader:
    if reader.size == 0:
        reader.close()
        raise NotAnImageError("the file is empty (0 bytes)", hint="check that it was copied completely", subject=reader.name)
    return reader


def _irregular(name: str, mode: int) -> SourceUnreadableError:
    kind = next((text for test, text in KINDS.items() if test(mode)), "not a regular file")
    hint = "name the pictures in it" if stat.S_ISDIR(mode) else "save the picture to a file first"
    return SourceUnreadableError(f"this is {kind}, not a picture file", hint=hint, subject=name)


def _refusal(name: str, error: OSError | ValueError) -> SourceMissingError | SourceUnreadableError:
    code = error.errno if isinstance(error, OSError) else None
    if code in (errno.ENOENT, errno.ENOTDIR):
        return SourceMissingError("no such file", hint="check the path", subject=name)
    if code in (errno.EACCES, errno.EPERM):
        return SourceUnreadableError("permission denied", hint="make the file readable for this user", subject=name)
    if code == errno.ENXIO:
        return SourceUnreadableError("this is a socket, not a picture file", hint="save the picture to a file first", subject=name)
    if code == errno.ELOOP:
        return SourceUnreadableError("the link points at itself", hint="name the picture it should lead to", subject=name)
    reason = (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
    return SourceUnreadableError(f"cannot be read ({reason.lower()})", hint="check the path and the disk", subject=name)
