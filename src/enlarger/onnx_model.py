"""One ONNX model in one file, run by onnxruntime on the CPU (extra ``onnx``): opened carefully, its answers checked.

A model file may name further files to read its weights from, with any path (CVE-2026-27489, CVE-2026-34447): such files are refused
before onnxruntime sees them.
"""

from __future__ import annotations

import importlib.util
import mmap
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from enlarger.errors import EngineError, OutOfMemoryError, WeightsError
from enlarger.model_files import FILES, digest, locate

Floats = NDArray[np.float32]

TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16}


@dataclass(frozen=True, slots=True)
class Port:
    """An input: ``shape`` as the file says it, ``None`` for what is free."""

    name: str
    shape: tuple[int | None, ...]
    type: str


class Model:
    """``inputs`` in their order; calling it gives the first output as float32, every value of it finite."""

    def __init__(self, session: Any, subject: str) -> None:
        self._session, self.subject = session, subject
        self.inputs = tuple(
            Port(port.name, tuple(n if isinstance(n, int) else None for n in port.shape), port.type) for port in session.get_inputs()
        )
        for port in self.inputs:
            if port.type not in TYPES:
                raise WeightsError(f"the model wants {port.type} for {port.name}", hint="take another export of it", subject=subject)
        self._output = session.get_outputs()[0].name

    def __call__(self, *fed: Floats) -> Floats:
        """Raises :class:`EngineError` for what cannot be run and for NaN or infinity, :class:`OutOfMemoryError` for too little memory."""
        named = {port.name: np.ascontiguousarray(array, TYPES[port.type]) for port, array in zip(self.inputs, fed, strict=True)}
        try:
            answer = self._session.run([self._output], named)[0]
        except failures() as error:
            if "alloc" in str(error).lower():
                raise OutOfMemoryError(
                    "the model needs more memory than there is", hint="close other programs", subject=self.subject
                ) from error
            raise EngineError("the model failed", hint="is it the right one?", subject=self.subject) from error
        out = np.asarray(answer, np.float32)
        if not np.isfinite(out).all():
            raise EngineError("the model answered NaN or infinity", hint="take another export of it", subject=self.subject)
        return out


def missing() -> str:
    """What to do where onnxruntime is not installed; empty if it is."""
    return "" if importlib.util.find_spec("onnxruntime") else "pip install 'enlarger[onnx]'"


def open_model(path: Path, subject: str, *, threads: int | None = None) -> Model:
    """The model in ``path``, to be run by ``threads`` threads (by default as many as there are cores). Raises :class:`WeightsError`.

    The last two stay open for the next picture, until :func:`let_go`: loading one takes longer than many pictures do.
    """
    if hint := missing():
        raise WeightsError("needs onnxruntime, which is not installed", hint=hint, subject=subject)
    try:
        stat = path.stat()
    except OSError as error:
        raise WeightsError(f"{path.name} cannot be read ({error.strerror})", hint=f"look at {path}", subject=subject) from error
    return _opened(path, stat.st_size, stat.st_mtime_ns, subject, threads)


def let_go() -> None:
    """Close what :func:`open_model` keeps."""
    _opened.cache_clear()


@lru_cache(maxsize=2)
def _opened(path: Path, size: int, modified: int, subject: str, threads: int | None) -> Model:
    """``size`` and ``modified`` make a changed file another one."""
    if named := outside_data(path, subject):
        message = f"{path.name} keeps its weights in another file ({named}), which is not read"
        raise WeightsError(message, hint="save it as one file", subject=subject)
    import onnxruntime

    wanted = onnxruntime.SessionOptions()
    wanted.log_severity_level = 3
    wanted.intra_op_num_threads = threads or 0
    # They keep what was needed once: BiRefNet takes 12 GB with them and 8 without.
    wanted.enable_cpu_mem_arena = wanted.enable_mem_pattern = False
    try:
        session = onnxruntime.InferenceSession(str(path), wanted, providers=["CPUExecutionProvider"])
    except failures() as error:
        raise WeightsError(f"{path.name} cannot be loaded", hint="get a complete copy", subject=subject) from error
    return Model(session, subject)


def told_net(word: str) -> str:
    """How plans tell that a repair is done by the net in the model file ``word``; ``""`` for a word that names none.

    The start of its SHA-256 is part of that, so that a run that was stopped does not go on with another. Raises :class:`WeightsError`
    where the net could not be run.
    """
    if word not in FILES:
        return ""
    if hint := missing():
        raise WeightsError("needs onnxruntime, which is not installed", hint=hint, subject=word)
    return f"by {word} ({digest(locate(FILES[word]))[:12]})"


def failures() -> tuple[type[Exception], ...]:
    """What onnxruntime raises: they have no base but Exception."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    names = (
        "Fail",
        "InvalidArgument",
        "InvalidGraph",
        "InvalidProtobuf",
        "NoModel",
        "NoSuchFile",
        "NotFound",
        "NotImplemented",
        "RuntimeException",
    )
    return tuple(getattr(state, name) for name in names)


# --- what a file refers to --------------------------------------------------------------------------------------------

INSIDE: dict[str, dict[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {13: "entry"},
}
"""Messages inside messages of onnx.proto by number of their field, as far as they lead to a tensor's external_data (field 13)."""


def outside_data(path: Path, subject: str) -> str:
    """The first other file that the model in ``path`` would read, ``""`` if it is whole. Raises :class:`WeightsError`."""
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            stack = [("model", 0, len(data))]
            while stack:
                kind, start, end = stack.pop()
                for field, first, last in _fields(data, start, end):
                    inner = INSIDE[kind].get(field)
                    if inner == "entry":
                        values = [data[a:b].decode("utf-8", "replace") for number, a, b in _fields(data, first, last) if number == 2]
                        return values[0] if values else "unnamed"
                    if inner is not None:
                        stack.append((inner, first, last))
    except (OSError, ValueError) as error:
        raise WeightsError(f"{path.name} is no ONNX model", hint="get a complete copy", subject=subject) from error
    return ""


def _fields(data: mmap.mmap, at: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Number, start and end of each field of a protobuf message that has a length. Raises ``ValueError`` for what is none."""
    while at < end:
        key, at = _varint(data, at, end)
        wire, length = key & 7, 0
        if wire == 2:
            length, at = _varint(data, at, end)
            yield key >> 3, at, at + length
        elif wire == 0:
            _, at = _varint(data, at, end)
        elif wire in (1, 5):
            length = 8 if wire == 1 else 4
        else:
            raise ValueError(f"wire type {wire}")
        at += length
        if at > end:
            raise ValueError("a field reaches beyond its message")


def _varint(data: mmap.mmap, at: int, end: int) -> tuple[int, int]:
    value = shift = 0
    while at < end and shift < 64:
        byte = data[at]
        value, shift, at = value | (byte & 127) << shift, shift + 7, at + 1
        if byte < 128:
            return value, at
    raise ValueError("a number has no end")
