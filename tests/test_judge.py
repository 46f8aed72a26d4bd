"""Any tool's results: what the sizes do not say is found by content, and judged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import skimage.data
from numpy.typing import NDArray
from tests.steps.test_verify import enlarged

import enlarger


@pytest.fixture(scope="module")
def source() -> NDArray[np.uint8]:
    return skimage.data.astronaut()[:200, 60:300].copy()


@pytest.fixture(scope="module")
def result(source: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return enlarged(source)


def resized(picture: NDArray[Any], width: int, height: int) -> NDArray[np.uint8]:
    return np.asarray(PIL.Image.fromarray(picture).resize((width, height), PIL.Image.Resampling.BICUBIC))


def test_a_good_result_passes(source: NDArray[np.uint8], result: NDArray[np.uint8]) -> None:
    fidelity = enlarger.verify(source, result)
    assert fidelity.verdict == "pass"
    assert fidelity.scale == (4, 4)
    assert fidelity.measures["registration"].details["likeness"] > 0.99


@pytest.mark.parametrize(("left", "top"), [(80, 40), (83, 41), (0, 102)])
def test_a_crop_is_found_and_said(source: NDArray[np.uint8], result: NDArray[np.uint8], left: int, top: int) -> None:
    crop = result[top : top + 620, left : left + 700]
    found = enlarger.verify(source, crop)
    assert found.scale == pytest.approx((4, 4), rel=0.01)
    assert found.verdict == "doubtful"
    assert "of the source is shown" in found.measures["registration"].reason
    assert found.measures["registration"].details["shown_x"] == pytest.approx(left / 4, abs=1)
    assert found.measures["registration"].details["shown_y"] == pytest.approx(top / 4, abs=1)
    assert found.measures["consistency"].verdict == "pass", found.measures["consistency"]


def test_regions_of_a_crop_lie_on_the_crop(source: NDArray[np.uint8], result: NDArray[np.uint8]) -> None:
    crop = result[40:660, 80:780].copy()
    crop[200:300, 300:400] = crop[0:100, 0:100]
    boxes = [region.box for region in enlarger.verify(source, crop).regions]
    assert any(x <= 400 and x + w >= 300 and y <= 300 and y + h >= 200 for x, y, w, h in boxes), boxes


def test_borders_are_left_out(source: NDArray[np.uint8], result: NDArray[np.uint8]) -> None:
    padded = np.pad(result, ((90, 90), (0, 0), (0, 0)))
    found = enlarger.verify(source, padded)
    assert found.verdict == "pass"
    assert "borders" in found.measures["registration"].reason


@pytest.mark.parametrize(("moved", "pixels"), [(12, 3.0), (-60, -15.0)])
def test_a_shift_is_no_crop(source: NDArray[np.uint8], result: NDArray[np.uint8], moved: int, pixels: float) -> None:
    found = enlarger.verify(source, np.roll(result, moved, axis=1)).measures["registration"]
    assert found.verdict == "fail"
    assert found.value == pytest.approx(abs(pixels), abs=0.3)
    assert f"{pixels:+.1f} source pixels across" in found.reason


@pytest.mark.parametrize(("width", "verdict"), [(960, "pass"), (961, "pass"), (963, "doubtful"), (990, "fail")])
def test_a_stretch_is_judged(source: NDArray[np.uint8], result: NDArray[np.uint8], width: int, verdict: str) -> None:
    assert enlarger.verify(source, resized(result, width, 800)).measures["registration"].verdict == verdict


def test_another_picture_fails(source: NDArray[np.uint8]) -> None:
    found = enlarger.verify(source, resized(skimage.data.coffee(), 960, 800))
    assert found.verdict == "fail"
    assert "do not show the same" in found.measures["registration"].reason


def test_another_picture_of_another_shape_fails(source: NDArray[np.uint8]) -> None:
    assert enlarger.verify(source, resized(skimage.data.chelsea(), 1300, 700)).verdict == "fail"


def test_a_smaller_result_is_refused(source: NDArray[np.uint8], result: NDArray[np.uint8]) -> None:
    with pytest.raises(enlarger.InputError, match="smaller than the source"):
        enlarger.verify(result, source)


def test_compare_ranks_the_faithful_and_detailed_first(source: NDArray[np.uint8], result: NDArray[np.uint8], tmp_path: Path) -> None:
    tinted = (result.astype(int) + 12).clip(0, 255).astype(np.uint8)
    plain = resized(source, 960, 800)
    page = tmp_path / "page.html"
    names = ["tinted", "<plain>", "locked"]
    comparison = enlarger.compare(source, [tinted, plain, result], names=names, page=page)
    assert [entry.name for entry in comparison.entries] == ["locked", "<plain>", "tinted"]
    text = page.read_text("utf-8")
    assert "http" not in text.replace("http-equiv", "")
    assert "<plain>" not in text
    assert "&lt;plain&gt;" in text
    assert text.count("data:image/jpeg;base64,") >= 4
    assert len(text) < 5_000_000


def test_compare_wants_two(source: NDArray[np.uint8], result: NDArray[np.uint8]) -> None:
    with pytest.raises(enlarger.UsageError, match="two results"):
        enlarger.compare(source, [result])


def test_a_page_that_cannot_be_written(source: NDArray[np.uint8], result: NDArray[np.uint8], tmp_path: Path) -> None:
    with pytest.raises(enlarger.OutputError, match="cannot be written"):
        enlarger.compare(source, [result, result], page=tmp_path / "no" / "page.html")
