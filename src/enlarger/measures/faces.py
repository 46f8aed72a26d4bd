"""Faces: as many, at the same places, with the same eyes and mouths as the source has? (YuNet: Wu, Peng and Yu 2023; extra ``faces``)

Both are looked at at the source's size, so what is compared is structure that the source has, not detail that was added.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from enlarger.codecs.vips import vips_of
from enlarger.face_finder import SAME, SURE, Face, detect, detector, missing, model_path, overlap
from enlarger.fidelity import Measure, Region, Verdict, worst
from enlarger.measures.finding import Finding
from enlarger.measures.grid import Grid, cells, put
from enlarger.measures.pairing import Band

__all__ = ["Face", "Tally", "detect", "detector", "judge", "missing", "model_path"]

LARGEST = 1_500_000
"""Pixels at which faces are looked for at most; smaller sources are enlarged twice first."""
MOVED_DOUBTFUL, MOVED_FAIL = 0.05, 0.12
"""Distance by which an eye, the nose or a corner of the mouth moved, of the face's width."""
ALIKE_DOUBTFUL, ALIKE_FAIL = 0.96, 0.6
"""Correlation of what lies around an eye: 0.99 in clean results, raw ones too; 0.90 with the eye mirrored, 0.95 with the face blurred."""
ADVICE = "look at this face at 100 %; raise resemblance, or choose a gentler engine"


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
