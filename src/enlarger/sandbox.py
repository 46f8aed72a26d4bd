"""Decoding in a process of its own, with limits on memory, time and files: ``--sandbox``, for pictures from strangers.

It stands between the pipeline and ``steps/decode.py``: the one need not know how it is done, the other not that it is. The
child (:mod:`enlarger.sandbox_child`) is a fresh interpreter that gets the source as an open file and nothing else, and answers
in a nameless file: samples, then JSON. Nothing of what it says is believed before it is checked, and nothing is unpickled.

What the limits are good for: a decoder that crashes, hangs or swallows memory becomes one line. What they are not: a jail. A
child that runs hostile code may still read what its user may read (where the kernel allows it, it has no network, and no
process of its may gain rights); put the server into a container for that. Windows has no such limits: there, only the time
is watched.
"""

from __future__ import annotations

import inspect
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from typing import IO, TYPE_CHECKING

import numpy as np
from pydantic import Base64Bytes, BaseModel, ConfigDict, ValidationError

from enlarger import errors
from enlarger.canvas import SOURCE_IN_MEMORY
from enlarger.errors import DamagedImageError, EnlargerError, OutputError, SourceTooLargeError
from enlarger.files.reader import Reader
from enlarger.image import Header, Image, Metadata, Notice, Quantisation, Samples, Transfer
from enlarger.sandbox_child import OUT_OF_MEMORY, TRAILER, TRAILER_MARK
from enlarger.scratch import SANDBOX, scratch_folder
from enlarger.steps import decode as in_process

if TYPE_CHECKING:
    from enlarger.steps.decode import Source

BOOT = "import json, sys; task = json.loads(sys.argv[1]); sys.path[:] = task['path']; import enlarger.sandbox_child as c; c.main(task)"
KEPT = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "DYLD_FALLBACK_LIBRARY_PATH", "SYSTEMROOT", "LANG", "LC_ALL", "LC_CTYPE")
"""Of the environment, all that a child gets to see: keys and passwords lie there too."""

DTYPES: dict[str, np.dtype[np.uint8 | np.uint16]] = {"uint8": np.dtype(np.uint8), "uint16": np.dtype(np.uint16)}
MAX_REPLY = 64 * 2**20
"""Bytes of JSON: the largest blobs that metadata may hold, in base64, and much room."""

TRUSTED = "reduce the picture first, or decode it without --sandbox if you trust it"


@dataclass(frozen=True, slots=True)
class Limits:
    """What a child may use: seconds by the clock, bytes of memory (data, as Linux counts it; not mapped files)."""

    seconds: float = 20.0
    memory: int = 10**9


def probe(source: Source, *, limits: Limits | None = None) -> Header:
    """:func:`enlarger.steps.decode.probe` in a child process. Arrays, Pillow pictures and Images need none.

    Raises what it raises, and :class:`SourceTooLargeError` and :class:`DamagedImageError` for a child that met its limits or died.
    """
    if not _is_file(source):
        return in_process.probe(source)
    with in_process.reader_of(source) as reader, _temporary() as out:
        return _ask("probe", reader, out, limits or Limits()).header


def decode(source: Source, *, allow_truncated: bool = False, limits: Limits | None = None) -> Image:
    """:func:`enlarger.steps.decode.decode` in a child process; see :func:`probe`."""
    if not _is_file(source):
        return in_process.decode(source, allow_truncated=allow_truncated)
    with in_process.reader_of(source) as reader, _temporary() as out:
        reply = _ask("decode", reader, out, limits or Limits(), allow_truncated=allow_truncated)
        kept = reply.metadata
        metadata = Metadata(kept.icc, kept.exif, kept.xmp, kept.iptc, kept.dpi, kept.palette)
        samples = _samples(out, reply, reader.name)
        return Image(samples, reply.header, metadata, reply.transfer, reply.notices, reply.sha256, reply.jpeg)


def _is_file(source: object) -> bool:
    return isinstance(source, (str, os.PathLike, bytes, bytearray, memoryview))


def _temporary() -> IO[bytes]:
    """A file without a name: whatever happens, nothing of it stays."""
    try:
        return tempfile.TemporaryFile(prefix=".enlarger-", dir=scratch_folder())
    except OSError as error:
        raise _no_room(error) from error


def _no_room(error: OSError) -> OutputError:
    return OutputError(f"cannot write temporary files: {error.strerror}", hint="free some space", subject=str(scratch_folder()))


# --- the answer ---------------------------------------------------------------------------------------------------------


class _Blobs(BaseModel):
    model_config = ConfigDict(extra="forbid")

    icc: Base64Bytes | None = None
    exif: Base64Bytes | None = None
    xmp: Base64Bytes | None = None
    iptc: Base64Bytes | None = None
    palette: Base64Bytes | None = None
    dpi: tuple[float, float] | None = None


class _Failure(BaseModel):
    model_config = ConfigDict(extra="forbid")

    kind: str
    message: str
    hint: str
    subject: str


class _Reply(BaseModel):
    """All that a child may say, if not what went wrong: ``header`` and, after decoding, the rest.

    The name of the source never makes the journey: as UTF-8 it may not exist.
    """

    model_config = ConfigDict(extra="forbid")

    header: Header
    metadata: _Blobs = _Blobs()
    transfer: Transfer = Transfer()
    notices: tuple[Notice, ...] = ()
    sha256: str = ""
    jpeg: Quantisation | None = None
    dtype: str = "uint8"
    shape: tuple[int, int, int] = (0, 0, 0)


def _read_reply(out: IO[bytes], name: str) -> _Reply:
    """What stands at the end of ``out``. Raises the error that it carries."""
    size = out.seek(0, os.SEEK_END)
    out.seek(max(0, size - TRAILER.size))
    tail = out.read(TRAILER.size)
    mark, length = TRAILER.unpack(tail) if len(tail) == TRAILER.size else (b"", 0)
    if mark != TRAILER_MARK or length > min(MAX_REPLY, size - TRAILER.size):
        raise _nonsense(name)
    out.seek(size - TRAILER.size - length)
    try:
        said = json.loads(out.read(length))
        if isinstance(said, dict) and "error" in said:
            raise _error(_Failure.model_validate(said["error"]), name)
        reply = _Reply.model_validate(said)
    except (ValueError, RecursionError, ValidationError) as error:
        raise _nonsense(name) from error
    return reply.model_copy(update={"header": replace(reply.header, name=name)})


def _error(said: _Failure, name: str) -> EnlargerError:
    kind = getattr(errors, said.kind, None)
    if not (inspect.isclass(kind) and issubclass(kind, EnlargerError)):
        return _nonsense(name)
    return kind(said.message, hint=said.hint, subject=said.subject or name)


def _nonsense(name: str) -> DamagedImageError:
    return DamagedImageError("the decoder broke down on this file", hint="save it anew with another program", subject=name)


def _samples(out: IO[bytes], reply: _Reply, name: str) -> Samples:
    """The samples at the start of ``out``; large ones stay there."""
    header, (height, width, bands) = reply.header, reply.shape
    dtype = DTYPES.get(reply.dtype)
    if dtype is None or min(reply.shape) < 1 or reply.shape != (header.height, header.width, header.bands) or bands not in (1, 2, 3, 4):
        raise _nonsense(name)
    length = height * width * bands * dtype.itemsize
    if out.seek(0, os.SEEK_END) < length:
        raise _nonsense(name)
    out.seek(0)
    if length > SOURCE_IN_MEMORY:
        return np.memmap(out, dtype, "r", shape=reply.shape)
    return np.frombuffer(out.read(length), dtype).reshape(reply.shape)


# --- the child ----------------------------------------------------------------------------------------------------------


def _ask(what: str, reader: Reader, out: IO[bytes], limits: Limits, *, allow_truncated: bool = False) -> _Reply:
    """Run a child on ``reader``; what it answered. Raises what it raised, or what became of it."""
    task = {
        "what": what,
        "name": reader.name,
        "allow_truncated": allow_truncated,
        "path": [os.path.abspath(p) for p in sys.path],  # noqa: PTH100 (a Path would drop what is no folder, such as a zip)
        "seconds": limits.seconds,
        "memory": limits.memory,
    }
    try:
        place = tempfile.TemporaryDirectory(prefix=SANDBOX, dir=scratch_folder(), ignore_cleanup_errors=True)
        with place as folder, _input_of(reader) as source:
            status = _run([sys.executable, "-I", "-c", BOOT, json.dumps(task)], source, out, folder, limits.seconds)
    except OSError as error:
        raise _no_room(error) from error
    failure = _death(status, limits, reader.name)
    if failure:
        raise failure
    return _read_reply(out, reader.name)


def _input_of(reader: Reader) -> IO[bytes]:
    """The source as a file that a child can inherit."""
    if reader.data is None:
        return reader.stream()
    source = _temporary()
    source.write(reader.data)
    source.seek(0)
    return source


def _run(command: list[str], source: IO[bytes], out: IO[bytes], folder: str, seconds: float) -> int | None:
    """Exit status of a child (negative: a signal); ``None`` when it was out of time."""
    own = {name: os.environ[name] for name in KEPT if name in os.environ}
    # One thread of linear algebra, of which decoding has none, so that the memory it would reserve does not count.
    own |= {"TMPDIR": folder, "TEMP": folder, "TMP": folder, "OPENBLAS_NUM_THREADS": "1"}
    deadline = time.monotonic() + seconds
    process = subprocess.Popen(
        command, stdin=source, stdout=out, stderr=subprocess.DEVNULL, cwd=folder, env=own, start_new_session=True, close_fds=True
    )
    try:
        # Popen.wait with a time-out sleeps for up to 50 ms, a good part of what most pictures take.
        while process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.005)
        return process.poll()
    finally:
        _kill(process)


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End the child, and whatever it may have started, unless it has ended by itself."""
    if process.poll() is None:
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
        process.wait()


def _death(status: int | None, limits: Limits, name: str) -> EnlargerError | None:
    """What to say of a child that did not end well; ``None`` when it did."""
    if status == 0:
        return None
    died = signal.Signals(-status).name if status is not None and status < 0 and -status in {*signal.Signals} else ""
    if status is None or died in ("SIGXCPU", "SIGALRM"):
        return SourceTooLargeError(f"decoding takes more than the {limits.seconds:g} s that --sandbox allows", hint=TRUSTED, subject=name)
    memory = f"{limits.memory / 1e6:.0f} MB of memory"
    if status == OUT_OF_MEMORY or died == "SIGKILL":  # which is also how the system itself ends whoever takes too much
        return SourceTooLargeError(f"decoding takes more than the {memory} that --sandbox allows", hint=TRUSTED, subject=name)
    if died:
        # A library that gets no memory may crash as well; nobody can tell from outside.
        hint = f"it is damaged, made to do harm, or takes more than {memory}: save it anew with another program"
        return DamagedImageError(f"the decoder crashed on this file ({died})", hint=hint, subject=name)
    return _nonsense(name)
