"""Full mode: faces and instability. The detector itself is not ours; what is made of its answers is."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import skimage.data
from numpy.typing import NDArray
from tests.planted import EYE, _mirrored
from tests.steps.test_verify import enlarged, verified

from enlarger.measures import faces, instability
from enlarger.measures.faces import Face, Tally, detect, judge
from enlarger.measures.grid import Grid
from enlarger.measures.pairing import Pairing
from enlarger.steps.decode import decode
from enlarger.steps.verify import Verifier

SCALE = 4


@pytest.fixture(scope="module")
def source() -> NDArray[np.uint8]:
    return skimage.data.astronaut()[:224, 96:320].copy()


@pytest.fixture(scope="module")
def result(source: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return enlarged(source)


def face(dx: float = 0, score: float = 0.9) -> Face:
    """The astronaut's, at twice the source's size, or ``dx`` pixels beside it."""
    points = np.array([(210, 200), (252, 204), (236, 226), (214, 246), (250, 248)], np.float32)
    points[:, 0] += dx
    return Face(score, (170 + dx, 120, 100, 150), points)


def judged(source: NDArray[np.uint8], result: NDArray[np.uint8], before: list[Face], after: list[Face], monkeypatch: Any) -> Any:
    answers = iter([before, after])
    monkeypatch.setattr(faces, "detect", lambda session, picture: next(answers))
    grid = Grid(source.shape[1], source.shape[0], result.shape[1], result.shape[0])
    tally = Tally(grid)
    for band in Pairing(decode(source), result.shape[1], result.shape[0], grid).add(result):
        tally.add(band)
    return judge(tally, None)


def test_the_same_face_passes(source: NDArray[np.uint8], result: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch) -> None:
    found = judged(source, result, [face()], [face(1)], monkeypatch)
    assert found.measure.verdict == "pass"
    assert found.measure.details == {"source": 1, "result": 1}
    assert judged(source, result, [], [], monkeypatch) is None


@pytest.mark.parametrize(
    ("before", "after", "verdict", "words"),
    [
        ([face()], [face(7)], "doubtful", "changed"),
        ([face()], [face(20)], "fail", "redrawn"),
        ([face()], [], "fail", "not one any more"),
        ([face()], [face(), face(200)], "fail", "does not have"),
        ([face(score=0.6)], [], "none", ""),
        ([face(score=0.6)], [face()], "pass", ""),
    ],
)
def test_what_happened_to_a_face(
    source: NDArray[np.uint8],
    result: NDArray[np.uint8],
    before: list[Face],
    after: list[Face],
    verdict: str,
    words: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = judged(source, result, before, after, monkeypatch)
    assert (found.measure.verdict if found else "none") == verdict
    if words:
        assert words in found.regions[0].reason
        x, _, width, height = found.regions[0].box
        assert 300 < x + width / 2 < 900
        assert height == 300


def test_an_eye_that_was_mirrored(source: NDArray[np.uint8], result: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch) -> None:
    bad, _ = _mirrored(EYE)(result, SCALE)
    assert judged(source, bad, [face()], [face()], monkeypatch).measure.verdict != "pass"


def test_the_detector_s_answers_are_read(source: NDArray[np.uint8]) -> None:
    """One face at stride 16, cell (3, 5), twice: it is told once, in pixels."""

    class Session:
        def get_inputs(self) -> list[Any]:
            return [SimpleNamespace(shape=["batch", 3, "height", "width"])]

        def run(self, names: list[str], fed: dict[str, NDArray[np.float32]]) -> list[NDArray[np.float32]]:
            height, width = fed["input"].shape[2:]
            assert (height % 32, width % 32) == (0, 0)
            answers = []
            for name in names:
                kind, stride = name.split("_")
                cells = (height // int(stride)) * (width // int(stride))
                answer = np.zeros((1, cells, {"cls": 1, "obj": 1, "bbox": 4, "kps": 10}[kind]), np.float32)
                if stride == "16":
                    for at in (5 * (width // 16) + 3, 5 * (width // 16) + 4):
                        answer[0, at] = {"cls": 0.81, "obj": 1.0, "bbox": 0.0, "kps": 0.5}[kind]
                    if kind == "bbox":
                        answer[0, at - 1] = 0.5, 0.25, np.log(4), np.log(5)
                        answer[0, at] = -0.5, 0.25, np.log(4), np.log(5)
                answers.append(answer)
            return answers

    (found,) = detect(Session(), source)
    assert found.score == pytest.approx(0.9)
    assert found.box == pytest.approx((16 * 1.5, 16 * 2.75, 64, 80))
    assert found.points[0] == pytest.approx((16 * 3.5, 16 * 5.5))


class Square:
    """A detector for 64 x 64 only: it sees one face where a white square of 16 is whole, and its upper part where it is cut."""

    seen = 0

    def get_inputs(self) -> list[Any]:
        return [SimpleNamespace(shape=[1, 3, 64, 64])]

    def run(self, names: list[str], fed: dict[str, NDArray[np.float32]]) -> list[NDArray[np.float32]]:
        assert fed["input"].shape == (1, 3, 64, 64)
        self.seen += 1
        ys, xs = np.nonzero(fed["input"][0, 0] > 250)
        answers = []
        for name in names:
            kind, stride = name.split("_")
            answer = np.zeros((1, (64 // int(stride)) ** 2, {"cls": 1, "obj": 1, "bbox": 4, "kps": 10}[kind]), np.float32)
            if stride == "16" and len(ys) >= 64:
                width, height = np.ptp(xs) + 1, np.ptp(ys) + 1
                middle = (xs.min() + width / 2) / 16, (ys.min() + height / 2) / 16
                answer[0, 0] = {"cls": 1.0, "obj": 0.8, "bbox": 0, "kps": 0}[kind]
                if kind == "bbox":
                    answer[0, 0] = *middle, np.log(width / 16), np.log(height / 16)
                if kind == "kps":
                    answer[0, 0] = middle * 5
            answers.append(answer)
        return answers


@pytest.mark.parametrize(("x", "y"), [(8, 8), (56, 40), (100, 20), (130, 78)])
def test_a_detector_of_one_size_looks_through_windows(x: int, y: int) -> None:
    picture = np.zeros((100, 150, 3), np.uint8)
    picture[y : y + 16, x : x + 16] = 255
    session = Square()
    (found,) = detect(session, picture)
    assert found.box == pytest.approx((x, y, 16, 16), abs=2)
    assert found.points[2] == pytest.approx((x + 8, y + 8), abs=1)
    assert session.seen > 8


def test_what_is_not_installed_is_said(
    source: NDArray[np.uint8], result: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    fidelity = verified(source, result, mode="full")
    assert "enlarger[faces]" in fidelity.not_checked["faces"]
    assert "enlarger[text]" in fidelity.not_checked["text"]
    assert fidelity.verdict == "pass"
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    monkeypatch.setenv("ENLARGER_MODELS", str(tmp_path))
    monkeypatch.setattr("enlarger.model_files.cache_folder", lambda: tmp_path / "cache")
    assert "enlarger models --fetch yunet" in Verifier(decode(source), 896, 896, mode="full")._seen()["faces"]
    assert verified(source, result).not_checked["faces"] == "only in full mode"


def plainly(tile: NDArray[np.float32]) -> NDArray[np.float32]:
    return tile.repeat(2, axis=0).repeat(2, axis=1)


def one_sided(tile: NDArray[np.float32]) -> NDArray[np.float32]:
    """Draws a shadow to the right of what is bright: another one when mirrored."""
    big = plainly(tile).copy()
    big[:, 3:] = np.where(big[:, :-3] > 0.8, 0.5 * big[:, 3:], big[:, 3:])
    return big


def test_instability_of_what_depends_on_the_view(source: NDArray[np.uint8]) -> None:
    tile = source[:, :200].astype(np.float32) / 255
    steady, shaky = (instability.disagreements(engine, tile) for engine in (plainly, one_sided))
    assert steady.shape == tile.shape[:2]
    assert steady.max() < 1e-3
    grid = Grid(200, 224, 400, 448)
    assert instability.judge(steady, grid).measure.verdict == "pass"
    found = instability.judge(shaky, grid)
    assert found.measure.verdict != "pass"
    assert found.regions
