"""What is cut off a source and what is added to a result, in pixels: exact, of the right colour, in every kind of picture."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image as Pillow
from skimage import data
from tests.pictures import pixels

import enlarger
from enlarger.image import Box
from enlarger.steps.crop import part, subject
from enlarger.steps.decode import decode

PLAIN = {"engine": "resample", "verify": "off", "resemblance": 0}


def enlarged(array: NDArray[np.generic], **options: object) -> NDArray[np.generic]:
    return enlarger.enlarge(array, **(PLAIN | options)).image


@pytest.mark.parametrize(("bands", "dtype"), [(1, np.uint8), (3, np.uint8), (3, np.uint16), (4, np.uint8), (2, np.uint16), (4, np.uint16)])
def test_padding_is_exactly_white_around_exactly_the_picture(bands: int, dtype: type) -> None:
    array = pixels(20, 30, bands, dtype)
    plain = enlarged(array, scale=2, background="white")
    padded = enlarged(array, scale=2, padding=5, background="white")
    assert padded.shape == (50, 70, plain.shape[2])
    assert padded.dtype == dtype
    np.testing.assert_array_equal(padded[5:45, 5:65], plain)
    padded[5:45, 5:65] = np.iinfo(dtype).max
    assert (padded == np.iinfo(dtype).max).all()


@pytest.mark.parametrize("bands", [1, 2, 3, 4])
def test_transparent_padding_hides_and_leaves_the_picture_as_it_is(bands: int) -> None:
    array = pixels(20, 30, bands)
    plain = enlarged(array, scale=2)
    padded = enlarged(array, scale=2, padding="10%", background="transparent")
    assert padded.shape == (50, 76, 2 if bands <= 2 else 4)
    inside = padded[5:45, 8:68]
    np.testing.assert_array_equal(inside[..., : plain.shape[2]], plain)
    if bands in (1, 3):
        assert (inside[..., -1] == 255).all()
    padded[5:45, 8:68] = 0
    assert not padded.any()


def test_transparent_sources_are_padded_transparently_unless_a_colour_is_asked_for() -> None:
    array = pixels(20, 30, 4)
    array[..., 3] = 0
    assert enlarged(array, scale=2, padding=4)[0, 0].tolist() == [0, 0, 0, 0]
    on_colour = enlarged(array, scale=2, background="#0a141e")
    assert on_colour.shape == (40, 60, 3)
    assert (on_colour == (10, 20, 30)).all()


def test_padding_in_files_with_what_verify_says_in_their_pixels(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Pillow.fromarray(data.astronaut()[:96, 150:278]).save(path)
    for name in ("b.png", "b.tif", "b.webp", "b.avif", "b.jpg"):
        result = enlarger.enlarge(path, output=tmp_path / name, engine="resample", width=600, height=600, fit="pad", background="#ff8000")
        with Pillow.open(tmp_path / name) as picture:
            assert picture.size == (600, 600)
            corner = np.asarray(picture.convert("RGB"))[:40, :40].astype(int)
        assert np.abs(corner - (255, 128, 0)).max() <= (0 if name in ("b.png", "b.tif") else 3)
        fidelity = result.report.fidelity
        assert fidelity is not None
        assert (fidelity.width, fidelity.height) == (600, 450)
        assert fidelity.measures["consistency"].verdict == "pass"
        assert all(region.box[1] >= 75 for region in fidelity.regions)


def test_a_page_of_a_padded_result_shows_the_picture(tmp_path: Path) -> None:
    result = enlarger.enlarge(data.astronaut()[:96, 150:278], engine="resample", padding=50, scale=2)
    _, page = result.save_report(tmp_path / "a.png")
    assert "256 × 192" in page.read_text("utf-8") or "356 × 292" in page.read_text("utf-8")


def test_what_is_cropped_is_the_same_as_cropping_the_source_first() -> None:
    array = data.astronaut()[:120, 100:300]
    whole = enlarged(array, aspect="1:1", fit="crop", scale=3)
    np.testing.assert_array_equal(whole, enlarged(np.ascontiguousarray(array[:, 40:160]), scale=3))


def test_a_crop_of_a_jpeg_still_knows_its_blocks() -> None:
    buffer = io.BytesIO()
    Pillow.fromarray(data.astronaut()[:128, :200]).save(buffer, "jpeg", quality=30)
    whole = decode(buffer.getvalue())
    assert whole.jpeg is not None
    cut = part(whole, Box(13, 22, 100, 90))
    assert cut.jpeg is not None
    across, down = cut.jpeg.subsampling
    assert ((cut.jpeg.offset[0] + 13) % (8 * across), (cut.jpeg.offset[1] + 22) % (8 * down)) == whole.jpeg.offset
    np.testing.assert_array_equal(cut.samples, whole.samples[22:112, 13:113])
    assert (cut.width, cut.height, cut.header.width, cut.header.height) == (100, 90, 100, 90)


@pytest.mark.parametrize("centre", [(40, 60), (200, 30), (60, 150)])
def test_a_crop_on_the_subject_holds_what_stands_out(centre: tuple[int, int]) -> None:
    array = np.full((180, 260, 3), 128, np.uint8)
    x, y = centre
    array[y - 12 : y + 12, x - 12 : x + 12] = (230, 40, 30)
    array[y - 6 : y + 6, x - 6 : x + 6] = (40, 220, 60)
    found = subject(decode(array))
    assert abs(found[0] * 260 - x) <= 25
    assert abs(found[1] * 180 - y) <= 25
    result = enlarger.enlarge(array, aspect="1:1", fit="crop", crop_on="subject", scale=1, **PLAIN)
    left, top, wide, high = result.plan.geometry.crop
    assert left <= x - 12
    assert left + wide >= x + 12
    assert (top, wide, high) == (0, 180, 180)


@pytest.mark.parametrize("shape", [(1, 900, 3), (900, 1, 1), (2, 2, 4), (700, 650, 2)])
def test_any_picture_has_some_subject(shape: tuple[int, int, int]) -> None:
    x, y = subject(decode(np.zeros(shape, np.uint8)))
    assert 0 <= x <= 1
    assert 0 <= y <= 1


def test_a_source_with_more_pixels_is_made_smaller_and_says_so(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Pillow.fromarray(data.astronaut()[:300, :400]).save(path)
    report = enlarger.enlarge(path, output=tmp_path / "b.png", long_edge=200, on_doubt="stop").report
    assert [w.code for w in report.warnings] == ["not-enlarged"]
    assert (report.plan.stages, report.fidelity) == ((), None)
    with Pillow.open(tmp_path / "b.png") as picture:
        assert picture.size == (200, 150)
        expected = np.asarray(Pillow.open(path).resize((200, 150), Pillow.Resampling.LANCZOS)).astype(int)
        assert np.abs(np.asarray(picture) - expected).mean() < 1


@pytest.mark.parametrize("kind", ["jpg", "png", "tif", "webp", "avif"])
def test_dpi_is_written_into_the_file(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Pillow.fromarray(pixels()).save(path, dpi=(72, 72))
    enlarger.enlarge(path, output=tmp_path / f"b.{kind}", print="2x1.5cm", dpi=240, **PLAIN)
    back = decode(tmp_path / f"b.{kind}")
    assert back.metadata.dpi == pytest.approx((240, 240), abs=0.5)
    assert (back.width, back.height) == (189, 142)


def test_a_hundredth_is_stretched_where_it_belongs() -> None:
    """A net of 4x asked for 4.03x: one pass, and everything stays where it is."""
    array = np.zeros((40, 100, 3), np.uint8)
    array[:, 50:] = 255
    result = enlarger.enlarge(array, width=403, model="enlarger-photo-x4", device="cpu", verify="off", resemblance=0)
    assert len(result.plan.stages) == 1
    image = result.image.astype(float).mean((0, 2)) / 255
    assert image.shape == (403,)
    assert abs(403 - image.sum() - 201.5) < 1.5
