"""PNG with a palette: exact colours in their order, at every depth, and refused where a colour is not there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow
from PIL import ImageCms

import enlarger
from enlarger.codecs import indexed
from enlarger.codecs.vips import vips_of
from enlarger.image import Samples


def written(samples: Samples, colours: Samples, path: Path, start: int = 0, icc: bytes | None = None) -> Pillow.Image:
    with path.open("wb+") as file:
        indexed.write(vips_of(samples).copy(interpretation="srgb"), file.fileno(), start, colours, icc)
    path.write_bytes(path.read_bytes()[start:])
    picture = Pillow.open(path)
    picture.load()
    return picture


@pytest.mark.parametrize("count", [1, 2, 3, 5, 16, 17, 256])
@pytest.mark.parametrize("alpha", [False, True])
def test_every_depth_comes_back(count: int, alpha: bool, tmp_path: Path) -> None:
    random = np.random.default_rng(count)
    colours = random.integers(0, 255, (count, 4)).astype(np.uint8)
    colours[:, 0] = np.arange(count)  # no two alike
    colours[:, 3] = random.integers(1, 255, count) if alpha else 255
    numbers = random.integers(0, count, (21, 37))
    samples = colours[numbers][..., : 4 if alpha else 3]
    picture = written(samples, colours, tmp_path / "p.png", start=7)
    assert picture.mode == "P"
    assert np.array_equal(np.asarray(picture), numbers)
    assert np.array_equal(np.asarray(picture.convert("RGBA")), colours[numbers])
    assert picture.getpalette()[: 3 * count] == colours[:, :3].reshape(-1).tolist()


def test_clear_is_clear_whatever_lies_under_it(tmp_path: Path) -> None:
    colours = np.array([[9, 9, 9, 255], [1, 2, 3, 0], [9, 9, 9, 255]], np.uint8)
    samples = np.array([[[200, 100, 50, 0], [9, 9, 9, 255]]], np.uint8)
    picture = written(samples, colours, tmp_path / "p.png")
    assert np.asarray(picture).tolist() == [[1, 0]]
    assert np.asarray(picture.convert("RGBA")).tolist() == [[[1, 2, 3, 0], [9, 9, 9, 255]]]


@pytest.mark.parametrize("foreign", [(9, 9, 8, 255), (9, 9, 9, 254), (255, 255, 255, 255), (0, 0, 0, 0)])
def test_a_foreign_colour_is_refused(foreign: tuple[int, ...], tmp_path: Path) -> None:
    colours = np.array([[9, 9, 9, 255], [20, 20, 20, 255]], np.uint8)
    samples = np.full((300, 5, 4), 9, np.uint8)
    samples[..., 3] = 255
    samples[299, 4] = foreign
    with pytest.raises(indexed.ForeignColourError):
        written(samples, colours, tmp_path / "p.png")


def test_colours_that_are_not_opaque_do_not_stand_for_opaque_ones(tmp_path: Path) -> None:
    colours = np.array([[9, 9, 9, 100], [9, 9, 9, 255]], np.uint8)
    assert np.asarray(written(np.full((2, 2, 3), 9, np.uint8), colours, tmp_path / "p.png")).tolist() == [[1, 1], [1, 1]]


def test_palettes() -> None:
    opaque = bytes((0, 1, 2, 255, 4, 5, 6, 255))
    assert indexed.palette_of(b"", alpha=False) is None
    found = indexed.palette_of(opaque, alpha=True)
    assert found is not None
    assert found[-1].tolist() == [0, 0, 0, 0], "a place for what is clear"
    full = np.full((256, 4), 255, np.uint8).tobytes()
    assert indexed.palette_of(full, alpha=True) is None
    assert indexed.palette_of(full, alpha=False) is not None


@pytest.mark.parametrize("suffix", [".png", ".gif"])
@pytest.mark.parametrize("sandbox", [False, True])
@pytest.mark.parametrize("clear", [False, True])
def test_a_palette_file_stays_one(suffix: str, sandbox: bool, clear: bool, tmp_path: Path) -> None:
    random = np.random.default_rng(3)
    picture = Pillow.fromarray(random.integers(0, 7, (20, 30)).astype(np.uint8))
    picture.putpalette(random.integers(0, 255, 24).tolist())
    source, target = tmp_path / f"in{suffix}", tmp_path / "out.png"
    picture.save(source, **({"transparency": 5} if clear else {}))
    result = enlarger.enlarge(source, 3, output=target, model="blocks", sandbox=sandbox)
    was, again = Pillow.open(source), Pillow.open(target)
    assert again.mode == "P"
    assert again.getpalette()[:21] == was.getpalette()[:21]
    one, other = (np.asarray(p.convert("RGBA")) for p in (was, again))
    assert np.array_equal(np.where(one[..., 3:] > 0, one, 0).repeat(3, 0).repeat(3, 1), np.where(other[..., 3:] > 0, other, 0))
    told = [w.code for w in result.report.warnings]
    assert "palette-kept" in told
    assert "palette-expanded" not in told
    # A result with other colours cannot have it.
    smooth = enlarger.enlarge(source, 3, output=tmp_path / "smooth.png", model="edges")
    assert Pillow.open(tmp_path / "smooth.png").mode == ("RGBA" if clear else "RGB")
    assert [w.code for w in smooth.report.warnings if w.code.startswith("palette")] == ["palette-expanded"]


def test_profile_and_resolution_come_along(tmp_path: Path) -> None:
    picture = Pillow.fromarray(np.arange(12, dtype=np.uint8).reshape(3, 4))
    picture.putpalette(list(range(36)))
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    picture.save(tmp_path / "in.png", icc_profile=profile, dpi=(150, 150))
    enlarger.enlarge(tmp_path / "in.png", 2, output=tmp_path / "out.png", model="blocks")
    again = Pillow.open(tmp_path / "out.png")
    assert again.mode == "P"
    assert again.info["icc_profile"] == profile
    assert again.info["dpi"] == pytest.approx((150, 150), abs=0.1)
