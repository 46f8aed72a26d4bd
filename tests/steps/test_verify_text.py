"""Full mode: words. What is made of a reader's answers is tested with answers of our own; one test reads with the extra ``text``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import skimage.data
from numpy.typing import NDArray
from tests import planted
from tests.steps.test_verify import enlarged, verified

from enlarger.measures import letters, text
from enlarger.measures.grid import Grid
from enlarger.steps.decode import decode

SCALE = 4


@pytest.fixture(scope="module")
def source() -> NDArray[np.uint8]:
    return planted.pictures()["text"]


@pytest.fixture(scope="module")
def result(source: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return enlarged(source)


class Told:
    """A reader that finds one line and says what it was told: of the source, the result, then of the source twice more and the result."""

    def __init__(self, *answers: tuple[str, float], high: int = 20) -> None:
        self.line = 20, 10, 120, 10 + 2 * high
        self.answers: Iterator[tuple[str, float]] = iter(answers)
        self.lines: list[NDArray[np.uint8]] = []

    def find(self, picture: NDArray[np.uint8], /) -> list[text.Line]:
        return [self.line] if not self.lines else []

    def read(self, line: NDArray[np.uint8], /) -> tuple[str, float]:
        self.lines.append(line)
        return next(self.answers)


def tally(source: NDArray[Any], result: NDArray[Any], strip: int = 37) -> text.Tally:
    made = text.Tally(Grid(source.shape[1], source.shape[0], result.shape[1], result.shape[0]), decode(source))
    for y in range(0, len(result), strip):
        made.add(y, result[y : y + strip])
    return made


GOOD = ("ACME Lager 250 g", 0.98)


@pytest.mark.parametrize(
    ("answers", "verdict", "reason"),
    [
        ([GOOD, GOOD], "pass", "reads the same"),
        ([GOOD, ("acme  lager, 25O g", 0.92)], "pass", "reads the same"),
        ([GOOD, ("ACNE Lager 250 g", 0.97), GOOD, GOOD, ("ACNE Lager 250 g", 0.95)], "fail", "'ACME' became 'ACNE'"),
        ([GOOD, ("ACME Loger 260 g", 0.97), GOOD, GOOD, ("ACME Loper 260 g", 0.95)], "fail", "'Lager 250' became 'Loger 260'"),
        ([GOOD, ("ACNE Lager 250 g", 0.97), GOOD, GOOD, ("AC4E Lager 250 g", 0.95)], "doubtful", "no longer reads clearly as 'ACME'"),
        ([GOOD, ("AC", 0.5), GOOD, GOOD, ("", 0.0)], "doubtful", "no longer reads clearly"),
        ([GOOD, ("ACNE Lager 250 g", 0.97), GOOD, GOOD, GOOD], "pass", "reads the same"),
        ([GOOD, ("ACNE Lager 250 g", 0.97), GOOD, ("ACHE Lager 250 g", 0.97)], "none", ""),
        ([GOOD, ("ACNE Lager 250 g", 0.97), ("ACHE Lager 250 g", 0.97)], "none", ""),
        ([("ACME", 0.8)], "none", ""),
        ([("A.", 0.99)], "none", ""),
    ],
)
def test_what_happened_to_a_word(
    source: NDArray[np.uint8], result: NDArray[np.uint8], answers: list[tuple[str, float]], verdict: str, reason: str
) -> None:
    reader = Told(*answers)
    found = text.judge(tally(source, result), reader)
    assert (found.measure.verdict if found else "none") == verdict
    assert next(reader.answers, None) is None
    if found is not None:
        assert reason in found.measure.reason
        assert [region.verdict for region in found.regions] == ([verdict] if verdict != "pass" else [])
        assert bool(found.measure.next_step) == (verdict != "pass")


def test_one_letter_of_the_smallest_print_is_no_proof(source: NDArray[np.uint8], result: NDArray[np.uint8]) -> None:
    for other, verdict in (("ACNE Lager 250 g", "doubtful"), ("ACNE Loger 250 g", "fail")):
        found = text.judge(tally(source, result), Told(GOOD, (other, 0.97), GOOD, GOOD, (other, 0.97), high=9))
        assert found is not None
        assert found.measure.verdict == verdict


def test_the_place_is_that_of_the_word(source: NDArray[np.uint8], result: NDArray[np.uint8]) -> None:
    made = tally(source, result)
    crop = made.views()[0][0]
    found = text.judge(made, Told(("first second", 0.99), ("first zecond", 0.99), *[("first second", 0.99)] * 2, ("first zecond", 0.99)))
    assert found is not None
    x, y, width, height = found.regions[0].box
    # Of the line, found at twice the source's size from 20 to 120, the second half.
    assert (x, x + width) == pytest.approx(((crop.x + 35) * SCALE, (crop.x + 60) * SCALE), abs=3)
    assert (y, y + height) == pytest.approx(((crop.y + 5) * SCALE, (crop.y + 25) * SCALE), abs=3)
    assert found.measure.value == 1


def registered(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> bool:
    """Whether a shift by one pixel, any way, makes ``a`` clearly less like ``b``, and about equally so."""
    still = np.abs(a.astype(int) - b).mean()
    moved = [np.abs(np.roll(a, step, axis).astype(int) - b).mean() for step in (-1, 1) for axis in (0, 1)]
    return bool(still < 0.8 * min(moved) and max(moved) < 1.3 * min(moved))


def test_source_and_result_are_seen_alike(source: NDArray[np.uint8], result: NDArray[np.uint8]) -> None:
    for strip in (1000, 37, 1):
        views = tally(source, result, strip).views()
        assert views
        for _, zoom, before, after in views:
            assert zoom == SCALE
            assert before.shape == after.shape
            assert registered(before, after)


@pytest.mark.parametrize("scale", [1.5, 2, 8])
def test_other_scales_are_seen_alike(source: NDArray[np.uint8], scale: float) -> None:
    for _, zoom, before, after in tally(source, enlarged(source, scale)).views():
        assert zoom == pytest.approx(min(4, max(2, scale)))
        assert registered(before, after)


def test_other_kinds_of_samples_are_seen_alike(source: NDArray[np.uint8], result: NDArray[np.uint8]) -> None:
    plain = tally(source, result).views()
    deep = tally(source.astype(np.uint16) * 257, result.astype(np.uint16) * 257).views()
    alpha = tally(*(np.concatenate([p, np.full_like(p[..., :1], 255)], -1) for p in (source, result))).views()
    grey = tally(source[..., :1], result[..., :1]).views()
    for other in (deep, alpha, grey):
        assert [item[0] for item in other] == [item[0] for item in plain]
        assert all(np.abs(a[i].astype(int) - b[i]).max() <= 1 for a, b in zip(plain, other, strict=True) for i in (2, 3))


def test_strokes_are_found_and_the_rest_is_not(source: NDArray[np.uint8]) -> None:
    crops = letters.find(decode(source))
    covered = np.zeros(source.shape[:2], bool)
    for crop in crops:
        covered[crop.y : crop.y + crop.height, crop.x : crop.x + crop.width] = True
    x, y, width, height = planted.WORD
    assert covered[y : y + height, x : x + width].all()
    ramp = np.tile(np.arange(256, dtype=np.uint8), (200, 1))
    assert letters.find(decode(np.stack([ramp] * 3, -1))) == []
    assert letters.find(decode(np.full((9, 9, 3), 7, np.uint8))) == []


def test_however_much_there_is_only_so_much_is_read() -> None:
    page = np.tile(skimage.data.page(), (6, 4))
    crops = letters.find(decode(np.stack([page] * 3, -1)))
    assert 1 <= len(crops) <= letters.MOST
    assert sum(c.width * c.height // c.size**2 for c in crops) <= letters.BUDGET


def test_nothing_to_read_is_said_without_a_reader() -> None:
    flat = np.full((64, 64, 3), 128, np.uint8)
    fidelity = verified(flat, enlarged(flat), mode="full", reader=Told())
    assert fidelity.not_checked["text"] == text.NONE


def test_the_verifier_asks_the_reader(source: NDArray[np.uint8], result: NDArray[np.uint8]) -> None:
    fidelity = verified(source, result, mode="full", reader=Told(GOOD, ("ACNE", 0.99), GOOD, GOOD, ("ACNE", 0.99)))
    assert fidelity.measures["text"].verdict == "fail"
    assert fidelity.regions[0].measure == "text"


def test_words_are_really_read(source: NDArray[np.uint8], result: NDArray[np.uint8]) -> None:
    pytest.importorskip("rapidocr", reason="the extra text is not installed")
    good = verified(source, result, mode="full")
    assert good.measures["text"].verdict == "pass", good.measures["text"]
    assert good.measures["text"].details["letters_read"] > 100
    (fault,) = (f for f in planted.FAULTS if "text" in f.measures)
    bad, place = fault.plant(result, SCALE)
    assert place is not None
    found = verified(source, bad, mode="full")
    assert found.measures["text"].verdict == "fail"
    regions = [region for region in found.regions if region.measure == "text"]
    assert "first determine" in regions[0].reason
    assert planted.overlaps(regions[0].box, place)
