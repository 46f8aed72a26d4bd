"""The other side of :mod:`enlarger.sandbox`: probes or decodes what lies on standard input, in a process with little freedom.

The answer goes to standard output, a file: the samples, JSON, and a trailer with the length of the JSON. Blobs are in base64.
"""

from __future__ import annotations

import base64
import contextlib
import json
import math
import os
import signal
import struct
import sys
from typing import TYPE_CHECKING, Any

from enlarger.canvas import write_at
from enlarger.errors import EnlargerError, OutOfMemoryError
from enlarger.files.reader import Reader

if TYPE_CHECKING:
    from enlarger.image import Image

TRAILER = struct.Struct("<8sQ")
TRAILER_MARK = b"enlarger"
OUT_OF_MEMORY = 66
"""Exit status of a child that got no memory: saying more would need some."""

MAX_WRITTEN = 4 * 10**9
"""Bytes of a file: 300 MP of four 16-bit samples, and room."""

BLOCK = 4 * 2**20
CLONE_NEWUSER, CLONE_NEWNET, PR_SET_NO_NEW_PRIVS = 0x10000000, 0x40000000, 38


def main(task: dict[str, Any]) -> None:
    """Do ``task``, as :func:`enlarger.sandbox._ask` wrote it, and end the process."""
    out = os.dup(1)
    # Whatever a library prints must not get between the samples.
    os.dup2(2, 1)
    confine(task["seconds"], task["memory"])
    try:
        end, said = _answer(task, out)
    except MemoryError:
        os._exit(OUT_OF_MEMORY)
    text = json.dumps(said).encode("ascii")
    write_at(out, memoryview(text + TRAILER.pack(TRAILER_MARK, len(text))), end)
    # Not sys.exit: libraries that a hostile file has confused need not tidy up.
    os._exit(0)


def confine(seconds: float, memory: int) -> None:
    """Give up what decoding does not need, as far as the system lets us: each limit stands alone.

    Called before threads and libraries are there, which a new user namespace asks for.
    """
    if sys.platform == "linux":
        _without_network()
    if sys.platform == "win32":
        return
    import resource

    # Python's own clock is on the other side; these two end a child whose parent was killed.
    signal.alarm(math.ceil(seconds) + 2)
    processor = math.ceil(seconds) * (os.cpu_count() or 1)
    limits = {"CORE": 0, "DATA": memory, "CPU": processor, "FSIZE": MAX_WRITTEN, "NOFILE": 64}
    for name, value in limits.items():
        # A system that has no such limit, or a lower one already, refuses: what is there then stays.
        with contextlib.suppress(OSError, ValueError, AttributeError):
            resource.setrlimit(getattr(resource, "RLIMIT_" + name), (value, value))


def _without_network() -> None:
    """An empty network namespace, and no new rights by starting other programs. Not every kernel lets ordinary users do it."""
    import ctypes

    with contextlib.suppress(OSError, AttributeError):
        system = ctypes.CDLL(None)
        system.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        system.unshare(CLONE_NEWUSER | CLONE_NEWNET)


def _answer(task: dict[str, Any], out: int) -> tuple[int, dict[str, Any]]:
    """Where the samples end in ``out``, and what else there is to say."""
    from enlarger.steps.decode import decode_file, probe_file

    try:
        with Reader(task["name"], fd=0) as reader:
            if task["what"] == "probe":
                return 0, {"header": _fields(probe_file(reader)) | {"name": ""}}
            image = decode_file(reader, allow_truncated=task["allow_truncated"])
        return _write_samples(image, out), _described(image)
    except (MemoryError, OutOfMemoryError) as error:
        raise MemoryError from error
    except EnlargerError as error:
        return 0, _failed(type(error).__name__, error.message, error.hint, "" if error.subject == task["name"] else error.subject)
    except Exception as error:  # noqa: BLE001 (whatever a hostile file makes of us has to become one line on the other side)
        what = f"the decoder failed on this file ({type(error).__name__}: {error})"
        return 0, _failed("DamagedImageError", what, "save it anew with another program", "")


def _failed(kind: str, message: str, hint: str, subject: str) -> dict[str, Any]:
    return {"error": {"kind": kind, "message": message, "hint": hint, "subject": subject}}


def _write_samples(image: Image, out: int) -> int:
    rows = max(1, BLOCK // (image.samples.strides[0] or 1))
    end = 0
    for y in range(0, image.height, rows):
        block = image.samples[y : y + rows].tobytes()
        write_at(out, memoryview(block), end)
        end += len(block)
    return end


def _described(image: Image) -> dict[str, Any]:
    blobs = {name: None if blob is None else base64.b64encode(blob).decode("ascii") for name, blob in _blobs(image)}
    return {
        "header": _fields(image.header) | {"name": ""},
        "metadata": {**blobs, "dpi": image.metadata.dpi},
        "transfer": _fields(image.transfer),
        "notices": [_fields(notice) for notice in image.notices],
        "sha256": image.sha256,
        "jpeg": None if image.jpeg is None else _fields(image.jpeg),
        "dtype": image.samples.dtype.name,
        "shape": image.samples.shape,
    }


def _blobs(image: Image) -> list[tuple[str, bytes | None]]:
    kept = image.metadata
    return [("icc", kept.icc), ("exif", kept.exif), ("xmp", kept.xmp), ("iptc", kept.iptc), ("palette", kept.palette)]


def _fields(thing: Any) -> dict[str, Any]:
    return {name: getattr(thing, name) for name in thing.__dataclass_fields__}
