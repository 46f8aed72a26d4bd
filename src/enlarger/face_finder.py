"""Where faces are: YuNet (Wu, Peng and Yu 2023) through onnxruntime (extra ``faces``), from a model file that comes in no package.

Triage counts faces with it, and verify compares those of source and result: a detector makes nothing, so both may ask the same.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from enlarger.errors import WeightsError
from enlarger.model_files import YUNET, locate, own_folder

DYNAMIC = "yunet_n_dynamic.onnx"
"""Its authors' own export, taken from ENLARGER_MODELS where it lies there: it looks at pictures of any size."""
STRIDES = (8, 16, 32)
SURE, MAYBE = 0.75, 0.4
"""Score from which a face is one, and below which there is none."""
SAME = 0.4
"""Overlap (intersection over union) of what is one face."""


@dataclass(frozen=True)
class Face:
    """``box`` is x, y, width, height; ``points`` ``(5, 2)`` are the eyes, the nose and the corners of the mouth; in pixels."""

    score: float
    box: tuple[float, float, float, float]
    points: NDArray[np.float32]


def missing() -> str:
    """Why faces cannot be looked for; empty if they can."""
    if importlib.util.find_spec("onnxruntime") is None:
        return "the extra faces is not installed: pip install 'enlarger[faces]'"
    try:
        model_path()
    except WeightsError as error:
        return str(error)
    return ""


def model_path() -> Path:
    """The detector: from ENLARGER_MODELS, else from the cache. Raises :class:`WeightsError`."""
    own = own_folder()
    if own is not None and (own / DYNAMIC).is_file():
        return own / DYNAMIC
    return locate(YUNET)


def detector(path: Path) -> Any:
    """An onnxruntime session. Raises :class:`WeightsError`."""
    import onnxruntime
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    try:
        return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    except (state.Fail, state.InvalidGraph, state.InvalidProtobuf, state.InvalidArgument, state.NoSuchFile) as error:
        raise WeightsError("the face detector cannot be loaded", hint="get a complete copy", subject=str(path)) from error


def detect(session: Any, picture: NDArray[np.uint8]) -> list[Face]:
    """Faces in ``(h, w, 3)`` RGB with a score of :data:`MAYBE` or more, the surest first, each once."""
    side = _side(session)
    if side is None:
        found = _faces(session, np.pad(picture, [(0, -picture.shape[0] % 32), (0, -picture.shape[1] % 32), (0, 0)]))
    else:
        found = [face for window in _windows(picture, side) for face in _seen_in(session, window, side, picture.shape)]
    found.sort(key=lambda face: -face.score)
    kept: list[Face] = []
    for face in found:
        if all(overlap(face, other) < SAME and _inside(face, other) < 0.8 for other in kept):
            kept.append(face)
    return kept


def _side(session: Any) -> int | None:
    """The side of the square that the detector was exported for; ``None`` if it takes any size."""
    shape = session.get_inputs()[0].shape
    return shape[2] if isinstance(shape[2], int) else None


def _windows(picture: NDArray[np.uint8], side: int) -> Iterator[tuple[float, int, int, NDArray[np.uint8]]]:
    """Squares of ``side`` that overlap by half, of the picture and of it reduced until one is enough: factor, place, pixels."""
    factor = 1.0
    while True:
        height, width = picture.shape[:2]
        for y in _starts(height, side):
            for x in _starts(width, side):
                part = picture[y : y + side, x : x + side]
                yield factor, x, y, np.pad(part, [(0, side - part.shape[0]), (0, side - part.shape[1]), (0, 0)])
        if max(height, width) <= side:
            return
        picture, factor = _halved(picture), factor * 2


def _halved(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Means over 2 x 2; the last row and column stand for what is missing."""
    height, width = picture.shape[:2]
    even = np.pad(picture, [(0, height % 2), (0, width % 2), (0, 0)], mode="edge").astype(np.float32)
    halved: NDArray[np.uint8] = np.rint((even[::2, ::2] + even[1::2, ::2] + even[::2, 1::2] + even[1::2, 1::2]) / 4).astype(np.uint8)
    return halved


def _seen_in(session: Any, window: tuple[float, int, int, NDArray[np.uint8]], side: int, shape: tuple[int, ...]) -> Iterator[Face]:
    """Faces in a window, where they are in the picture; without those that the window cuts through: the next has all of them."""
    factor, left, top, part = window
    for face in _faces(session, part):
        x, y, width, height = face.box
        cut_before = (left > 0 and x <= 0) or (top > 0 and y <= 0)
        cut_after = ((left + side) * factor < shape[1] and x + width >= side) or ((top + side) * factor < shape[0] and y + height >= side)
        if not (cut_before or cut_after):
            at = np.array([left, top], np.float32)
            box = ((x + left) * factor, (y + top) * factor, width * factor, height * factor)
            yield Face(face.score, box, (face.points + at) * np.float32(factor))


def _starts(size: int, side: int) -> list[int]:
    return [*range(0, max(1, size - side), side // 2), *([size - side] if size > side else [])]


def _faces(session: Any, picture: NDArray[np.uint8]) -> list[Face]:
    """What the detector says of one picture whose sides it can take, one face several times."""
    fed = np.ascontiguousarray(picture[..., ::-1].transpose(2, 0, 1)[None], np.float32)
    names = [f"{kind}_{stride}" for kind in ("cls", "obj", "bbox", "kps") for stride in STRIDES]
    answers = dict(zip(names, session.run(names, {"input": fed}), strict=True))
    found = []
    for stride in STRIDES:
        score = np.sqrt(np.clip(answers[f"cls_{stride}"][0, :, 0], 0, 1) * np.clip(answers[f"obj_{stride}"][0, :, 0], 0, 1))
        columns = picture.shape[1] // stride
        for i in np.flatnonzero(score >= MAYBE):
            corner = np.array([i % columns, i // columns], np.float32)
            at, size = answers[f"bbox_{stride}"][0, i, :2], np.exp(answers[f"bbox_{stride}"][0, i, 2:])
            (x, y), (w, h) = (corner + at - size / 2) * stride, size * stride
            points = (answers[f"kps_{stride}"][0, i].reshape(5, 2) + corner) * stride
            found.append(Face(float(score[i]), (float(x), float(y), float(w), float(h)), points))
    return found


def overlap(a: Face, b: Face) -> float:
    """Intersection over union."""
    common = _common(a, b)
    return common / max(1e-9, a.box[2] * a.box[3] + b.box[2] * b.box[3] - common)


def _inside(face: Face, other: Face) -> float:
    """How much of ``face`` lies on ``other``: there are no faces in faces."""
    return _common(face, other) / max(1e-9, face.box[2] * face.box[3])


def _common(a: Face, b: Face) -> float:
    (ax, ay, aw, ah), (bx, by, bw, bh) = a.box, b.box
    return max(0.0, min(ax + aw, bx + bw) - max(ax, bx)) * max(0.0, min(ay + ah, by + bh) - max(ay, by))
