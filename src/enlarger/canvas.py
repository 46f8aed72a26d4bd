"""Canvas: the result while it is being made, written box by box, never held whole in memory when it is large.

Samples lie in rows, channels interleaved, as ``uint8`` or ``uint16``. A canvas that may be needed again after a kill is a
named file in the work folder of its job (see :mod:`enlarger.journal`); any other is an array while it is small, and else a
file without a name, so that nothing is left behind whatever happens to the process. Space on disk is taken before the
first tile: a full disk is an error at the start, not after an hour.
"""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from enlarger.errors import DiskFullError, OutputError
from enlarger.image import Box, Samples
from enlarger.scratch import scratch_folder

IN_MEMORY = 8 * 10**6
"""Bytes up to which samples stay in memory: several canvases are there at a time, and files that are mapped cost little more time."""

SOURCE_IN_MEMORY = 4 * 10**6
"""The same for decoded sources: a mapped file costs them next to nothing, and so memory is the same for all but the smallest."""


class Canvas:
    """``height`` x ``width`` x ``bands`` samples of ``dtype`` (``uint8`` or ``uint16``).

    ``file`` is opened if it is there and made if not; without it, ``folder`` (by default the scratch folder) is where an unnamed
    file goes when one is needed: above ``in_memory`` bytes, at most :data:`IN_MEMORY`.
    Raises :class:`DiskFullError` when the disk cannot hold it and :class:`OutputError` when the folder cannot be written.
    """

    def __init__(
        self,
        width: int,
        height: int,
        bands: int,
        dtype: type[np.uint8] | type[np.uint16] | type[np.float32],
        folder: Path | None = None,
        *,
        file: Path | None = None,
        in_memory: int | None = None,
    ) -> None:
        self.width, self.height, self.bands = width, height, bands
        self.dtype = np.dtype(dtype)
        self.bytes = width * height * bands * self.dtype.itemsize
        self._covered = 0
        self._array: NDArray[Any] | None = None
        self._file = -1
        if file is not None:
            self._file = _opened(file, self.bytes)
        elif self.bytes <= (IN_MEMORY if in_memory is None else min(in_memory, IN_MEMORY)):
            self._array = np.zeros((height, width, bands), self.dtype)
        else:
            self._file = _opened(None, self.bytes, folder or scratch_folder())

    def write(self, box: Box, samples: Samples) -> None:
        """Put ``samples`` (``box.height`` x ``box.width`` x bands, of the canvas' dtype) at ``box``; each pixel once."""
        if samples.shape != (box.height, box.width, self.bands) or samples.dtype != self.dtype:
            raise ValueError(f"{samples.shape} {samples.dtype} does not fit {box} of a canvas of {self.bands} bands of {self.dtype}")
        if box.x < 0 or box.y < 0 or box.right > self.width or box.bottom > self.height:
            raise ValueError(f"{box} is not on the canvas")
        if self._array is not None:
            self._array[box.slices()] = samples
        else:
            self._write_rows(box, np.ascontiguousarray(samples))
        self._covered += box.area

    def fill(self, write: Callable[[int], None]) -> bool:
        """Have ``write``, which gets the descriptor of the file, write all samples in order; ``False`` if there is no file to write to."""
        if self._file < 0:
            return False
        os.lseek(self._file, 0, os.SEEK_SET)
        write(self._file)
        if os.lseek(self._file, 0, os.SEEK_CUR) != self.bytes:
            raise OutputError("writing temporary data failed: it came out too short", hint="start the same command again")
        self._covered = self.width * self.height
        return True

    def _write_rows(self, box: Box, samples: Samples) -> None:
        pixel = self.bands * self.dtype.itemsize
        if box.width == self.width:
            write_at(self._file, samples.data.cast("B"), box.y * self.width * pixel)
            return
        for y in range(box.height):
            write_at(self._file, samples[y].data.cast("B"), ((box.y + y) * self.width + box.x) * pixel)

    def read(self, box: Box) -> Samples:
        """The samples at ``box``, a copy."""
        if self._array is not None:
            return self._array[box.slices()].copy()
        pixel = self.bands * self.dtype.itemsize
        rows = [os.pread(self._file, box.width * pixel, ((box.y + y) * self.width + box.x) * pixel) for y in range(box.height)]
        return np.frombuffer(b"".join(rows), self.dtype).reshape(box.height, box.width, self.bands)

    def cover(self, box: Box) -> None:
        """Count ``box`` as written: it was, by an earlier run on the same file."""
        self._covered += box.area

    def sync(self) -> None:
        """Return when everything written so far is on the disk."""
        if self._file >= 0:
            try:
                (os.fdatasync if hasattr(os, "fdatasync") else os.fsync)(self._file)
            except OSError as error:
                raise _failure(error) from error

    @property
    def complete(self) -> bool:
        """True once as many pixels were written as there are; tiles never overlap, so then every pixel was."""
        return self._covered == self.width * self.height

    def samples(self) -> Samples:
        """All samples, read-only, ``(height, width, bands)``; mapped from the file when there is one."""
        if self._array is not None:
            view = self._array.view()
            view.flags.writeable = False
            return view
        shape = (self.height, self.width, self.bands)
        # Mapping for reading is safe: the file has its full length, and its blocks were allocated before.
        with os.fdopen(os.dup(self._file), "rb") as file:
            return np.memmap(file, self.dtype, "r", shape=shape)

    def mutable(self) -> Samples:
        """The same, to be changed in place."""
        if self._array is not None:
            return self._array
        with os.fdopen(os.dup(self._file), "rb+") as file:
            return np.memmap(file, self.dtype, "r+", shape=(self.height, self.width, self.bands))

    def close(self) -> None:
        """Give the memory or the file back; samples that were handed out stay valid until they are dropped."""
        self._array = None
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def __enter__(self) -> Canvas:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def __del__(self) -> None:
        if getattr(self, "_file", -1) >= 0:
            self.close()


def _opened(path: Path | None, size: int, folder: Path | None = None) -> int:
    """The file ``path``, or one without a name in ``folder``, with ``size`` allocated bytes."""
    place = path.parent if path else folder
    try:
        if path is not None:
            handle = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o600)
        else:
            handle, name = tempfile.mkstemp(prefix=".enlarger-", suffix=".canvas", dir=folder)
            Path(name).unlink()
    except OSError as error:
        raise OutputError(
            f"cannot write temporary files: {error.strerror}", hint="choose another place with --temp", subject=str(place)
        ) from error
    try:
        if os.fstat(handle).st_size != size:
            os.ftruncate(handle, 0)
            allocate(handle, size)
    except OSError as error:
        os.close(handle)
        if error.errno == errno.ENOSPC:
            raise DiskFullError(
                f"no room for {size / 1e6:.0f} MB of temporary data",
                hint="free some space or choose another place with --temp",
                subject=str(place),
            ) from error
        raise OutputError(f"cannot write temporary files: {error.strerror}", subject=str(place)) from error
    return handle


def full_disk(place: Path | None = None) -> DiskFullError:
    """What is said when the disk fills up during the work."""
    return DiskFullError(
        "the disk is full", hint="free some space and start the same command again: it goes on from here", subject=str(place or "")
    )


def _failure(error: OSError) -> OutputError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return full_disk()
    return OutputError(f"writing temporary data failed: {error.strerror}", hint="mend it and start the same command again")


def allocate(handle: int, size: int) -> None:
    """Reserve ``size`` bytes of disk; where the platform cannot (macOS, Windows), by writing zeros."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(handle, 0, size)
        return
    block = memoryview(bytes(1 << 20))
    for offset in range(0, size, len(block)):
        write_at(handle, block[: size - offset], offset)


def write_at(handle: int, data: memoryview, offset: int) -> None:
    """All of ``data`` at ``offset``: a short write is continued. Raises :class:`DiskFullError` or :class:`OutputError`."""
    while data:
        try:
            if hasattr(os, "pwrite"):
                done = os.pwrite(handle, data, offset)
            else:
                os.lseek(handle, offset, os.SEEK_SET)
                done = os.write(handle, data)
        except OSError as error:
            raise _failure(error) from error
        data, offset = data[done:], offset + done
