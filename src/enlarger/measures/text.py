"""Text: do words that can be read in the source read the same in the result? (PP-OCR through RapidOCR; extra ``text``)

Both are read at the same size and at the same places: the source enlarged plainly, and the result. Only a few crops are read, where
:mod:`enlarger.measures.letters` sees strokes; of the result only their rows are kept. What other readings of the source, from
softer and from sharper pixels, do not confirm is not held against anybody.
"""

from __future__ import annotations

import importlib.util
import unicodedata
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from enlarger.errors import WeightsError
from enlarger.fidelity import Measure, Region, Verdict, worst
from enlarger.image import Image, Samples
from enlarger.measures import letters
from enlarger.measures.finding import MOST, Finding
from enlarger.measures.grid import Grid
from enlarger.measures.kernels import along_rows, down_columns
from enlarger.measures.letters import Crop

Picture = NDArray[np.uint8]
Line = tuple[int, int, int, int]
"""``x, y, end x, end y`` in pixels."""

SURE = 0.9
"""Mean probability of the letters from which a line counts as read."""
SHORTEST = 3
"""Letters and digits that a line has at least: less is read into texture too easily."""
SMALL = 14
"""Height of a line, in pixels of the source, below which one letter more or less is no proof: even kernels lose one."""
NEAR_EDGE = 2.0
"""Source pixels from a crop's upper or lower edge within which a line may be cut through; such a line is not read."""
MOST_LINES = 24
LARGEST_ZOOM = 4.0
FOUND_AT = 2.0
"""Enlargement at which lines are looked for; letters are read at the result's own, up to :data:`LARGEST_ZOOM`."""
ADVICE = "look at it at 100 %; raise resemblance, or choose a gentler engine"
NONE = "no words in the source that can be read with confidence"
QUOTED = 40


class Reader(Protocol):
    """Whoever can read. Pictures are ``(h, w) uint8``."""

    def find(self, picture: Picture, /) -> list[Line]:
        """The lines of text in ``picture``."""

    def read(self, line: Picture, /) -> tuple[str, float]:
        """What stands on a picture of one line, and how sure that is, 0 to 1."""


class RapidReader:
    """PP-OCR from the files that the wheel carries; never downloads."""

    def __init__(self) -> None:
        import rapidocr

        models = {f"{part.capitalize()}.model_path": str(_model(part)) for part in ("det", "rec")}
        limits = {"Det.limit_type": "max", "Det.limit_side_len": 4096, "Global.max_side_len": 4096, "Global.log_level": "critical"}
        threads = {"EngineConfig.onnxruntime.intra_op_num_threads": 2, "EngineConfig.onnxruntime.inter_op_num_threads": 1}
        self._ocr: Any = rapidocr.RapidOCR(params={**models, **limits, **threads})

    def find(self, picture: Picture, /) -> list[Line]:
        answer = self._ocr(_three(picture), use_det=True, use_cls=False, use_rec=False)
        if getattr(answer, "boxes", None) is None:
            return []
        height, width = picture.shape
        found = []
        for corners in np.asarray(answer.boxes):
            (x, y), (end_x, end_y) = np.floor(corners.min(axis=0)), np.ceil(corners.max(axis=0))
            found.append((max(0, int(x)), max(0, int(y)), min(width, int(end_x)), min(height, int(end_y))))
        return found

    def read(self, line: Picture, /) -> tuple[str, float]:
        answer = self._ocr(_three(line), use_det=False, use_cls=False, use_rec=True)
        texts = getattr(answer, "txts", None)
        return (str(texts[0]), float(answer.scores[0])) if texts else ("", 0.0)


def missing() -> str:
    """Why nothing can be read; empty if it can."""
    if importlib.util.find_spec("rapidocr") is None or importlib.util.find_spec("onnxruntime") is None:
        return "the extra text is not installed: pip install 'enlarger[text]'"
    try:
        _model("det"), _model("rec")
    except WeightsError as error:
        return str(error)
    return ""


def _model(part: str) -> Path:
    spec = importlib.util.find_spec("rapidocr")
    for folder in getattr(spec, "submodule_search_locations", None) or ():
        for path in sorted((Path(folder) / "models").glob(f"*_{part}_*.onnx")):
            return path
    raise WeightsError("the package rapidocr has no models in it", hint="reinstall it: pip install --force-reinstall --no-deps rapidocr")


def _three(picture: Picture) -> Picture:
    return np.ascontiguousarray(np.broadcast_to(picture[..., None], (*picture.shape, 3)))


@dataclass
class _Kept:
    """A crop and the rows of the result that show it, as wide as they are read."""

    crop: Crop
    zoom: float
    columns: tuple[int, int]
    rows: tuple[int, int]
    parts: list[Picture]

    @property
    def shape(self) -> tuple[int, int]:
        return max(1, round(self.crop.height * self.zoom)), max(1, round(self.crop.width * self.zoom))


class Tally:
    """Of ``source`` the places with strokes, of the result what it has there."""

    def __init__(self, grid: Grid, source: Image) -> None:
        self.grid = grid
        self._source = source
        sx, sy = grid.scale
        self._kept = []
        for crop in letters.find(source):
            zoom = max(1.0, max(FOUND_AT, min(LARGEST_ZOOM, sx, sy)) / crop.size)
            columns = round(crop.x * sx), round((crop.x + crop.width) * sx)
            rows = round(crop.y * sy), round((crop.y + crop.height) * sy)
            self._kept.append(_Kept(crop, zoom, columns, rows, []))

    @property
    def empty(self) -> bool:
        """Whether the source has no place to read at all."""
        return not self._kept

    def add(self, y: int, rows: Samples) -> None:
        """The next rows of the result, of which the first is row ``y``."""
        for kept in self._kept:
            low, high = max(kept.rows[0], y), min(kept.rows[1], y + len(rows))
            if low < high:
                seen = letters.grey(rows[low - y : high - y, kept.columns[0] : kept.columns[1]])
                wide = along_rows(seen[..., None], kept.shape[1], "cubic")[..., 0] if seen.shape[1] > kept.shape[1] else seen
                kept.parts.append(_whole(wide))

    def views(self) -> list[tuple[Crop, float, Picture, Picture]]:
        """Per crop: its enlargement, the source plainly enlarged, and the result, both of the same size."""
        found = []
        for kept in self._kept:
            result = _resized(np.concatenate(kept.parts), kept.shape)
            found.append((kept.crop, kept.zoom, _resized(self._of_source(kept.crop), kept.shape), result))
        return found

    def _of_source(self, crop: Crop) -> Picture:
        part = self._source.samples[crop.y : crop.y + crop.height, crop.x : crop.x + crop.width]
        return _whole(letters.grey(part))


def _whole(values: NDArray[np.float32]) -> Picture:
    return np.rint(values).clip(0, 255).astype(np.uint8)


def _resized(picture: Picture, shape: tuple[int, int], kernel: str = "cubic") -> Picture:
    """``picture`` at another size, by the kernels that all measures rest on."""
    height, width = shape
    values = picture.astype(np.float32)[..., None]
    if width != picture.shape[1]:
        values = along_rows(values, width, kernel)
    if height != picture.shape[0]:
        values = down_columns(values, 0, picture.shape[0], height, kernel, 0, height)
    return _whole(values[..., 0])


@dataclass(frozen=True)
class _Word:
    """A word that reads otherwise: ``box`` in pixels of the result."""

    box: tuple[int, int, int, int]
    verdict: Verdict
    reason: str
    changed: int


def judge(tally: Tally, reader: Reader) -> Finding | None:
    """``None`` where the source has no words that can be read with confidence."""
    read, changed = 0, 0
    places: list[_Word] = []
    seen: list[tuple[int, int, int, int]] = []
    left = MOST_LINES
    for crop, zoom, before, after in tally.views():
        ratio = max(1.0, zoom * crop.size / FOUND_AT)
        small = _resized(before, (round(before.shape[0] / ratio), round(before.shape[1] / ratio)))
        for line in reader.find(small)[: max(0, left)]:
            x, y, end_x, end_y = (round(v * ratio) for v in line)
            left -= 1
            box = _box(crop, zoom, tally.grid, x, y, end_x, end_y)
            cut = min(y, before.shape[0] - end_y) < NEAR_EDGE * zoom
            if cut or end_x - x < end_y - y or end_y - y < 6 or any(_covered(box, other) for other in seen):
                continue
            seen.append(box)
            answer = _compared(before[y:end_y, x:end_x], after[y:end_y, x:end_x], reader, x <= 1, end_x >= before.shape[1] - 1)
            if answer is None:
                continue
            if answer.changed == 1 and end_y - y < SMALL * zoom:
                answer = replace(answer, verdict="doubtful")
            read += answer.letters
            if answer.verdict != "pass":
                changed += answer.changed
                width = end_x - x
                span = x + round(answer.span[0] * width), x + round(answer.span[1] * width)
                word = _box(crop, zoom, tally.grid, span[0], y, span[1], end_y)
                places.append(_Word(word, answer.verdict, answer.reason, answer.changed))
    if not read:
        return None
    places.sort(key=lambda word: (word.verdict != "fail", -word.changed))
    named = places[:MOST]
    regions = tuple(
        Region(box=w.box, verdict=w.verdict, measure="text", value=float(w.changed), reason=w.reason, next_step=ADVICE) for w in named
    )
    reason = regions[0].reason if regions else "what can be read in the source reads the same"
    if len(places) > 1:
        reason += f", and {len(places) - 1} more such line{'s' * (len(places) > 2)}"
    measure = Measure(
        verdict=worst([w.verdict for w in places]),
        value=float(changed),
        unit="letters",
        limit=0.0,
        reason=reason,
        next_step=ADVICE if regions else "",
        details={"letters_read": float(read), "lines_changed": float(len(places))},
    )
    return Finding(measure, regions)


def _box(crop: Crop, zoom: float, grid: Grid, x: int, y: int, end_x: int, end_y: int) -> tuple[int, int, int, int]:
    sx, sy = grid.scale
    left, top = round((crop.x + x / zoom) * sx), round((crop.y + y / zoom) * sy)
    return left, top, max(1, round((end_x - x) / zoom * sx)), max(1, round((end_y - y) / zoom * sy))


def _covered(box: tuple[int, int, int, int], other: tuple[int, int, int, int]) -> bool:
    """Whether half of ``box`` lies on ``other``: crops may overlap, and a line is read once."""
    across = min(box[0] + box[2], other[0] + other[2]) - max(box[0], other[0])
    down = min(box[1] + box[3], other[1] + other[3]) - max(box[1], other[1])
    return max(0, across) * max(0, down) * 2 > box[2] * box[3]


@dataclass(frozen=True)
class _Answer:
    """``span`` is where on the line the change lies, 0 to 1."""

    verdict: Verdict
    letters: int
    changed: int = 0
    reason: str = ""
    span: tuple[float, float] = (0.0, 1.0)


def _compared(before: Picture, after: Picture, reader: Reader, cut_left: bool, cut_right: bool) -> _Answer | None:
    """``None`` where the source itself cannot be read. ``cut_*``: the line begins or ends outside of the crop."""
    said, sure = reader.read(before)
    count = len(plain(said))
    if sure < SURE or count < SHORTEST:
        return None
    became, surely = reader.read(after)
    if not _changes(said, became, cut_left, cut_right):
        return _Answer("pass", count)
    # Before anybody is blamed, all is read again from other pixels.
    if any(plain(reader.read(other(before))[0]) != plain(said) for other in (_softer, _sharper)):
        return None
    softer, softly = reader.read(_softer(after))
    changes = _changes(said, became, cut_left, cut_right)
    if not _changes(said, softer, cut_left, cut_right):
        return _Answer("pass", count)
    changed = sum(max(end - start, other_end - other) for start, end, other, other_end in changes)
    old, new, span = _quoted(said, became, changes)
    if min(surely, softly) >= SURE and (changed > 1 or plain(softer) == plain(became)):
        return _Answer("fail", count, changed, f"this text was redrawn: '{old}' became '{new}'", span)
    return _Answer("doubtful", count, changed, f"this text no longer reads clearly as '{old}'", span)


def _softer(picture: Picture) -> Picture:
    height, width = picture.shape
    return _resized(_resized(picture, (max(4, round(height * 0.6)), max(4, round(width * 0.6)))), picture.shape, "linear")


def _sharper(picture: Picture) -> Picture:
    return _whole(picture * np.float32(2) - _softer(picture))


ALIKE = str.maketrans({"0": "o", "1": "l", "i": "l", "|": "l"})
"""What even people tell apart by the words around only."""


def plain(text: str) -> str:
    """Letters and digits only, without case, accents of width, or what nobody can tell apart."""
    return "".join(character for character, _ in _letters(text))


def _letters(text: str) -> list[tuple[str, int]]:
    """Letters and digits of ``text`` as they are compared, each with its place in ``text``."""
    found = []
    for at, character in enumerate(text):
        folded = unicodedata.normalize("NFKC", character).casefold().translate(ALIKE)
        found += [(c, at) for c in folded if c.isalnum()]
    return found


def _changes(said: str, became: str, cut_left: bool, cut_right: bool) -> list[tuple[int, int, int, int]]:
    """Runs of compared letters that differ: from, to in one, from, to in the other. Half letters at a cut do not count."""
    a, b = plain(said), plain(became)
    found = []
    for kind, start, end, other, other_end in SequenceMatcher(None, a, b, autojunk=False).get_opcodes():
        at_cut = (cut_left and end <= 2 and other_end <= 2) or (cut_right and start >= len(a) - 2 and other >= len(b) - 2)
        if kind != "equal" and not at_cut:
            found.append((start, end, other, other_end))
    return found


def _quoted(said: str, became: str, changes: list[tuple[int, int, int, int]]) -> tuple[str, str, tuple[float, float]]:
    """The words that changed, as they were and as they are, and where they stand on the line."""
    first, last = changes[0], changes[-1]
    old = _words(said, first[0], last[1])
    new = _words(became, first[2], last[3])
    return _short(said[slice(*old)]), _short(became[slice(*new)]), (old[0] / max(1, len(said)), old[1] / max(1, len(said)))


def _words(text: str, start: int, end: int) -> tuple[int, int]:
    """The part of ``text`` from the word with compared letter ``start`` to the one with letter ``end`` - 1."""
    places = [at for _, at in _letters(text)]
    if not places:
        return 0, len(text)
    low, high = places[min(start, len(places) - 1)], places[min(max(start, end - 1), len(places) - 1)]
    while low > 0 and not text[low - 1].isspace():
        low -= 1
    while high < len(text) and not text[high].isspace():
        high += 1
    return low, high


def _short(text: str) -> str:
    return text if len(text) <= QUOTED else text[: QUOTED - 1] + "…"
