"""Faces: as many, at the same places, with the same eyes and mouths as the source has? (YuNet: Wu, Peng and Yu 2023; extra ``faces``)

Both are looked at at the source's size, so what is compared is structure that the source has, not detail that was added.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from enlarger.codecs.vips import vips_of
from enlarger.errors import WeightsError
from enlarger.fidelity import Measure, Region, Verdict, worst
from enlarger.measures.finding import Finding
from enlarger.measures.grid import Grid, cells, put
from enlarger.measures.pairing import Band
from enlarger.model_files import YUNET, locate, own_folder

DYNAMIC = "yunet_n_dynamic.onnx"
"""Its authors' own export, taken from ENLARGER_MODELS where it lies there: it looks at pictures of any size."""
STRIDES = (8, 16, 32)
LARGEST = 1_500_000
"""Pixels at which faces are looked for at most; smaller sources are enlarged twice first."""
SURE, MAYBE = 0.75, 0.4
"""Score from which a face is one, and below which there is none; between the two the other picture decides."""
SAME = 0.4
"""Overlap (intersection over union) of what is one face in both."""
MOVED_DOUBTFUL, MOVED_FAIL = 0.05, 0.12
"""Distance by which an eye, the nose or a corner of the mouth moved, of the face's width."""
ALIKE_DOUBTFUL, ALIKE_FAIL = 0.96, 0.6
"""Correlation of what lies around an eye: 0.99 in clean results, raw ones too; 0.90 with the eye mirrored, 0.95 with the face blurred."""
ADVICE = "look at this face at 100 %; raise resemblance, or choose a gentler engine"


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
        picture, factor = np.rint(cells(picture.astype(np.float32), 2)).astype(np.uint8), factor * 2


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


class Tally:
    """Source and reduced result, small enough to be held whole."""

    def __init__(self, grid: Grid) -> None:
        self.grid = grid
        self.side = 1
        while grid.xs[-1] * grid.ys[-1] > LARGEST * self.side**2:
            self.side *= 2
        height, width = -(-grid.ys[-1] // self.side), -(-grid.xs[-1] // self.side)
        self._x, self._d = (np.empty((height, width, 3), np.uint8) for _ in range(2))

    def add(self, band: Band) -> None:
        place = band.area.top // self.side, band.area.left // self.side
        for whole, part in ((self._x, band.x), (self._d, band.d)):
            put(whole, self._small(part[band.own]), *place)

    def _small(self, values: NDArray[np.float32]) -> NDArray[np.uint8]:
        small = cells(values, self.side) if self.side > 1 else values
        return np.broadcast_to(np.rint(small).clip(0, 255).astype(np.uint8), (*small.shape[:2], 3))

    def pictures(self) -> tuple[NDArray[np.uint8], NDArray[np.uint8], float]:
        """Both, ``(h, w, 3)``, and how many of their pixels make one of the source's."""
        x, d = self._x, self._d
        if x[..., 0].size * 4 > LARGEST:
            return x, d, 1 / self.side
        doubled = [vips_of(np.ascontiguousarray(p)).resize(2, kernel="cubic") for p in (x, d)]
        x, d = (np.frombuffer(p.write_to_memory(), np.uint8).reshape(p.height, p.width, 3) for p in doubled)
        return x, d, 2 / self.side


def judge(tally: Tally, session: Any) -> Finding | None:
    """``None`` where neither has a face."""
    x, d, factor = tally.pictures()
    before, after = detect(session, x), detect(session, d)
    places: list[tuple[Face, Verdict, str, float]] = []
    for face in before:
        other = max(after, key=lambda f: overlap(face, f), default=None)
        if other is not None and overlap(face, other) >= SAME:
            if max(face.score, other.score) >= SURE:
                verdict, words, value = _compared(face, other, x, d)
                places.append((face, verdict, words, value))
        elif face.score >= SURE:
            places.append((face, "fail", "a face of the source is not one any more", 1.0))
    for face in after:
        if face.score >= SURE and all(overlap(face, other) < SAME for other in before):
            places.append((face, "fail", "a face that the source does not have", 1.0))
    if not places:
        return None
    sx, sy = (scale / factor for scale in tally.grid.scale)
    regions = tuple(_region(face, verdict, words, value, sx, sy) for face, verdict, words, value in places if verdict != "pass")
    level: Verdict = worst([verdict for _, verdict, _, _ in places])
    reason = regions[0].reason if regions else f"{'the face is' if len(places) == 1 else f'all {len(places)} faces are'} as in the source"
    value = max(value for *_, value in places)
    details = {"source": float(sum(f.score >= SURE for f in before)), "result": float(sum(f.score >= SURE for f in after))}
    measure = Measure(
        verdict=level,
        value=value,
        unit="of the face's width",
        limit=MOVED_DOUBTFUL,
        reason=reason,
        next_step=ADVICE if regions else "",
        details=details,
    )
    return Finding(measure, regions)


def _compared(face: Face, other: Face, x: NDArray[np.uint8], d: NDArray[np.uint8]) -> tuple[Verdict, str, float]:
    moved = float(np.linalg.norm(face.points - other.points, axis=1).max()) / face.box[2]
    alike = min(_likeness(x, d, face.points[i], face.box[2]) for i in (0, 1))
    if moved > MOVED_FAIL or alike < ALIKE_FAIL:
        return "fail", "this face is not the same: eyes, nose or mouth were redrawn", moved
    if moved > MOVED_DOUBTFUL or alike < ALIKE_DOUBTFUL:
        return "doubtful", "this face has changed around the eyes or the mouth", moved
    return "pass", "", moved


def _likeness(x: NDArray[np.uint8], d: NDArray[np.uint8], eye: NDArray[np.float32], width: float) -> float:
    reach = max(3, round(width * 0.14))
    column, row = (round(float(v)) for v in eye)
    part = slice(max(0, row - reach), row + reach + 1), slice(max(0, column - reach), column + reach + 1)
    a, b = (p[part].astype(np.float64).mean(axis=2) for p in (x, d))
    if a.size == 0 or a.std() < 2:
        return 1.0
    return float(((a - a.mean()) * (b - b.mean())).mean() / max(1e-9, a.std() * b.std()))


def _region(face: Face, verdict: Verdict, words: str, value: float, sx: float, sy: float) -> Region:
    x, y, width, height = face.box
    box = (max(0, round(x * sx)), max(0, round(y * sy)), round(width * sx), round(height * sy))
    return Region(box=box, verdict=verdict, measure="faces", value=value, reason=words, next_step=ADVICE)
