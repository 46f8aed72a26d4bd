"""Finishing from end to end: sharpening, grain, files of a given size, metadata left out, sRGB."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow
from PIL import ImageCms
from skimage import data

import enlarger
from enlarger.steps.colour import to_srgb
from enlarger.steps.decode import decode

PLAIN: dict[str, Any] = {"engine": "resample"}


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    Pillow.fromarray(np.ascontiguousarray(data.astronaut()[40:140, 150:270])).save(path)
    return path


def test_a_file_of_at_most_so_many_bytes_says_what_it_chose(photo: Path, tmp_path: Path) -> None:
    path = tmp_path / "small.jpg"
    report = enlarger.enlarge(photo, 4, output=path, max_size="25kB", **PLAIN).report
    assert path.stat().st_size == report.output.bytes
    assert 15_000 < path.stat().st_size <= 25_000
    (said,) = [w for w in report.warnings if w.code == "quality-chosen"]
    assert f"quality {report.output.quality} " in said.message
    assert "25 kB" in said.message
    assert report.fidelity is not None, "what compression did is inside what verify measures"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_size": "25kB", "quality": 80}, "either a quality or a size"),
        ({"max_size": "25kB", "format": "png"}, "the size of png cannot be chosen"),
        ({"sharpen": 101}, "less than or equal to 100"),
    ],
)
def test_what_makes_no_sense_is_one_line(options: dict[str, Any], message: str, photo: Path, tmp_path: Path) -> None:
    with pytest.raises(enlarger.UsageError, match=message) as caught:
        enlarger.enlarge(photo, 2, output=tmp_path / "out", **PLAIN, **({"format": "jpeg"} | options))
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == [photo]


def test_an_impossible_size_leaves_nothing(photo: Path, tmp_path: Path) -> None:
    with pytest.raises(enlarger.OutputError, match=r"cannot be made smaller than \d+ kB as webp of this size, 0 kB are allowed"):
        enlarger.enlarge(photo, 4, output=tmp_path / "a.webp", max_size=200, **PLAIN)
    assert [p.name for p in tmp_path.iterdir() if not p.name.startswith(".")] == ["photo.png"]


def test_sharpening_and_grain_are_measured_and_reported(photo: Path) -> None:
    plain = enlarger.enlarge(photo, 4, **PLAIN)
    sharp = enlarger.enlarge(photo, 4, sharpen=80, **PLAIN)
    grainy = enlarger.enlarge(photo, 4, grain=100, seed=5, **PLAIN)
    pictures = [np.asarray(r.image.samples, float) for r in (plain, sharp, grainy)]
    assert np.abs(np.diff(pictures[1], axis=1)).mean() > 1.05 * np.abs(np.diff(pictures[0], axis=1)).mean()
    assert np.abs(pictures[2] - pictures[0]).mean() > 1
    assert sharp.report.timings["polish"] > 0
    assert "--sharpen 80" in sharp.report.reproduce.command
    again = enlarger.enlarge(photo, 4, grain=100, seed=5, **PLAIN)
    assert np.array_equal(np.asarray(again.image.samples), np.asarray(grainy.image.samples))


def wide_gamut(samples: np.ndarray, tmp_path: Path) -> Path:
    """A PNG with a profile whose red and green lie outside sRGB: sRGB's own matrix with red and blue exchanged."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    table = [bytes(profile[132 + 12 * i : 144 + 12 * i]) for i in range(int.from_bytes(profile[128:132], "big"))]
    swapped = {b"rXYZ": b"bXYZ", b"bXYZ": b"rXYZ"}
    for i, row in enumerate(table):
        profile[132 + 12 * i : 136 + 12 * i] = swapped.get(row[:4], row[:4])
    path = tmp_path / "wide.png"
    Pillow.fromarray(samples).save(path, icc_profile=bytes(profile))
    return path


def test_srgb_converts_by_the_profile_and_leaves_it_out(tmp_path: Path) -> None:
    samples = np.zeros((24, 32, 3), np.uint8)
    samples[:, :16], samples[:, 16:] = (200, 60, 20), (128, 128, 128)
    path = wide_gamut(samples, tmp_path)
    done = to_srgb(decode(path))
    assert done.metadata.icc is None
    assert [n.code for n in done.notices] == ["converted-to-srgb"]
    left, right = np.asarray(done.samples)[12, 4], np.asarray(done.samples)[12, 28]
    assert np.abs(left.astype(int) - (20, 60, 200)).max() <= 3, "red and blue of that profile are exchanged"
    assert np.abs(right.astype(int) - 128).max() <= 2
    result = enlarger.enlarge(path, 2, output=tmp_path / "out.png", srgb=True, **PLAIN)
    with Pillow.open(tmp_path / "out.png") as opened:
        assert "icc_profile" not in opened.info
        assert np.abs(np.asarray(opened)[24, 8].astype(int) - (20, 60, 200)).max() <= 3
    assert any(w.code == "converted-to-srgb" for w in result.report.warnings)
    kept = enlarger.enlarge(path, 2, output=tmp_path / "kept.png", **PLAIN)
    with Pillow.open(io.BytesIO((tmp_path / "kept.png").read_bytes())) as opened:
        assert opened.info["icc_profile"]
    assert kept.report.fidelity is not None


def test_srgb_keeps_alpha_depth_and_grey(tmp_path: Path) -> None:
    samples = np.random.default_rng(0).integers(0, 256, (20, 30, 4), np.uint8)
    done = to_srgb(decode(wide_gamut(samples, tmp_path)))
    assert np.array_equal(np.asarray(done.samples)[..., 3], samples[..., 3])
    plain = decode(samples)
    assert to_srgb(plain) is plain


def test_metadata_is_left_out_on_request(tmp_path: Path) -> None:
    exif = Pillow.Exif()
    exif[0x13B] = "A. Person"
    path = tmp_path / "named.jpg"
    Pillow.fromarray(np.full((32, 32, 3), 90, np.uint8)).save(path, exif=exif)
    for strip, there in ((None, True), ("private", False), ("all", False)):
        out = tmp_path / f"{strip}.jpg"
        enlarger.enlarge(path, 2, output=out, strip=strip, **PLAIN)
        assert (b"A. Person" in out.read_bytes()) is there


def test_finishing_enlarges_nothing_and_says_what_it_did(photo: Path, tmp_path: Path) -> None:
    from enlarger.interfaces.cli import main

    assert main(["finish", str(photo), "--sharpen", "40", "--quiet"]) == 0
    done = tmp_path / "photo-finished.png"
    with Pillow.open(done) as opened, Pillow.open(photo) as before:
        assert opened.size == before.size
        assert np.abs(np.asarray(opened, float) - np.asarray(before)).mean() > 0.5
    assert main(["finish", str(photo), "-o", str(tmp_path / "same.png"), "--quiet"]) == 0
    with Pillow.open(tmp_path / "same.png") as opened, Pillow.open(photo) as before:
        assert np.array_equal(np.asarray(opened), np.asarray(before))


def test_finishing_refuses_to_enlarge(photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from enlarger.interfaces.cli import main

    assert main(["finish", str(photo), "--width", "400"]) == 2
    assert (
        capsys.readouterr().err
        == "enlarger: --stages 0: without stages nothing is enlarged; ask for a smaller size, or for enlarger enlarge\n"
    )
    with pytest.raises(enlarger.UsageError, match="--detail: without stages nothing is enlarged"):
        enlarger.Options(stages="0", detail=80)
    assert enlarger.Options(stages="0", recipe="photo").texture == 50, "what a recipe says of enlarging is not for finishing"
    assert main([str(photo), "--stages", "0", "--protect", "text"]) == 2
    assert "--protect: without stages" in capsys.readouterr().err
    assert main(["finish", str(photo), "--scale", "2"]) == 2
    assert "Unknown option" in capsys.readouterr().err
    assert main(["finish", str(photo), "--long-edge", "60", "-o", str(tmp_path / "less.webp"), "--quiet"]) == 0
    with Pillow.open(tmp_path / "less.webp") as opened:
        assert max(opened.size) == 60


@pytest.fixture
def product(tmp_path: Path) -> tuple[Path, np.ndarray]:
    """An ellipse of a photograph on a plain ground, and where it is."""
    y, x = np.mgrid[:160, :220]
    inside = ((x - 110) / 60) ** 2 + ((y - 80) / 50) ** 2 < 1
    ground = np.stack([225 + 0.05 * x, 226 + 0.03 * y, np.full(x.shape, 230.0)], -1)
    picture = np.where(inside[..., None], data.coffee()[100:260, 150:370], ground).round().astype(np.uint8)
    path = tmp_path / "product.png"
    Pillow.fromarray(picture).save(path)
    return path, inside


def test_the_subject_alone(product: tuple[Path, np.ndarray], tmp_path: Path) -> None:
    path, inside = product
    report = enlarger.enlarge(path, 2, output=tmp_path / "cut.png", remove_background=True, **PLAIN).report
    with Pillow.open(tmp_path / "cut.png") as opened:
        assert opened.mode == "RGBA"
        alpha = np.asarray(opened)[..., 3]
    far = np.pad(inside, 6, mode="edge")
    shrunk = np.lib.stride_tricks.sliding_window_view(far, (13, 13))
    deep, outside = (np.repeat(np.repeat(part, 2, 0), 2, 1) for part in (shrunk.all((-1, -2)), ~shrunk.any((-1, -2))))
    assert (alpha[deep] == 255).mean() > 0.99
    assert (alpha[outside] == 0).mean() > 0.99
    (done,) = report.prepared
    assert done.name == "remove-background"
    assert "sure" in done.said
    assert report.plan.prepare == {"remove-background": ""}
    assert report.output.alpha


@pytest.mark.parametrize(("background", "corner"), [("white", (255, 255, 255)), ("#203080", (32, 48, 128))])
def test_a_colour_behind_the_subject(background: str, corner: tuple[int, ...], product: tuple[Path, np.ndarray], tmp_path: Path) -> None:
    enlarger.enlarge(product[0], 2, output=tmp_path / "on.png", remove_background=True, background=background, **PLAIN)
    with Pillow.open(tmp_path / "on.png") as opened:
        assert opened.mode == "RGB"
        assert opened.getpixel((3, 3)) == corner


def test_a_picture_behind_the_subject(product: tuple[Path, np.ndarray], tmp_path: Path) -> None:
    Pillow.new("RGB", (50, 80), (10, 120, 60)).save(tmp_path / "behind.png")
    enlarger.enlarge(product[0], 2, output=tmp_path / "on.png", remove_background=True, background=str(tmp_path / "behind.png"), **PLAIN)
    with Pillow.open(tmp_path / "on.png") as opened:
        assert opened.mode == "RGB"
        assert np.abs(np.array(opened.getpixel((6, 6))) - (10, 120, 60)).max() <= 1


def test_what_cannot_be_cut_out_is_said_and_not_cut_badly(tmp_path: Path) -> None:
    busy = tmp_path / "busy.png"
    Pillow.fromarray(np.ascontiguousarray(data.astronaut()[:160, :160])).save(busy)
    with pytest.raises(enlarger.InputError, match=r"busy\.png: the ground is not plain"):
        enlarger.enlarge(busy, 2, output=tmp_path / "out.png", remove_background=True, **PLAIN)
    empty = tmp_path / "empty.png"
    Pillow.new("RGB", (160, 160), (230, 230, 230)).save(empty)
    with pytest.raises(enlarger.InputError, match=r"empty\.png: nothing stands out"):
        enlarger.enlarge(empty, 2, output=tmp_path / "out.png", remove_background=True, **PLAIN)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["busy.png", "empty.png"]
    for options, message in (({"keep_shadow": True}, "shadows are kept"), ({"background": str(busy)}, "goes behind a subject")):
        with pytest.raises(enlarger.UsageError, match=message):
            enlarger.Options(**options)


def test_many_files_are_finished_too(photo: Path, tmp_path: Path) -> None:
    from enlarger.interfaces.cli import main

    many = tmp_path / "many"
    many.mkdir()
    for name in ("a.jpg", "b.jpg"):
        Pillow.fromarray(np.ascontiguousarray(data.astronaut()[:90, :120])).save(many / name, quality=95)
    words = ["finish", str(many), "-o", str(tmp_path / "out"), "--max-size", "4kB", "--sharpen", "20", "--quiet"]
    assert main(words) == 0
    for name in ("a-finished.jpg", "b-finished.jpg"):
        path = tmp_path / "out" / name
        assert path.stat().st_size <= 4000
        with Pillow.open(path) as opened:
            assert opened.size == (120, 90)
    assert main(["finish", str(photo), "--max-size", "4kB", "-o", str(tmp_path / "x.png")]) == 2
