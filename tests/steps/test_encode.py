"""Samples to files: metadata in every pair of formats, exact reduction, and files that appear whole or not at all."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import pyvips
from numpy.typing import NDArray
from tests import pictures

from enlarger.errors import DiskFullError, FormatLimitError, OutputError, OutputExistsError
from enlarger.files import metadata as md
from enlarger.files import publish, splice
from enlarger.files.publish import check_output
from enlarger.formats import FORMATS, format_named
from enlarger.image import Header, Image, Metadata, Transfer
from enlarger.steps import encode as step
from enlarger.steps.decode import decode
from enlarger.steps.encode import Target, reduced, save, to_array, to_bytes, to_pil

SINGLE = [name for name in FORMATS if name != "dz"]
"""Formats of one file; DeepZoom has tests of its own."""


def target(format: str, array: NDArray[Any], **changes: Any) -> Target:
    """As large as ``array``, of its depth where the format has it."""
    bits = min(array.dtype.itemsize * 8, max(FORMATS[format].bits))
    return Target(**{"format": format, "quality": None, "width": array.shape[1], "height": array.shape[0], "bits": bits} | changes)


def codes(notices: tuple[Any, ...]) -> set[str]:
    return {n.code for n in notices}


def centroid(picture: NDArray[Any]) -> NDArray[np.float64]:
    """Where the mass of a grey picture lies: x, y."""
    weights = picture.astype(np.float64)
    y, x = np.mgrid[: picture.shape[0], : picture.shape[1]]
    return np.array([(weights * x).sum(), (weights * y).sum()]) / weights.sum()


# --- pixels ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bands", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("format", SINGLE)
def test_every_kind_of_picture_goes_into_every_format(format: str, dtype: Any, bands: int) -> None:
    array = pictures.pixels(bands=bands, dtype=dtype)
    source = decode(array)
    data, notices = to_bytes(source.samples, target(format, array), source)
    back = decode(data)
    assert back.header.format == format
    assert back.header.bits == (16 if dtype == np.uint16 and format in ("png", "tiff") else 8)
    assert back.alpha == (bands in (2, 4) and format != "jpeg")
    assert back.channels == (1 if bands < 3 and format not in ("webp", "avif") else 3)
    lost = {"depth-reduced"} if dtype == np.uint16 and format in ("jpeg", "webp", "avif") else set()
    assert codes(notices) == lost | ({"alpha-dropped"} if format == "jpeg" and bands in (2, 4) else set())
    if format in ("png", "tiff"):
        assert np.array_equal(back.samples, source.samples)
    elif format != "jpeg" or bands not in (2, 4):
        want = source.samples.astype(float) / np.iinfo(dtype).max * 255
        if back.channels == 3 and bands < 3:
            want = np.concatenate((np.repeat(want[..., :1], 3, 2), want[..., 1:]), 2)
        assert np.abs(back.samples - want).mean() < 4


def test_sixteen_bits_become_eight_with_correct_rounding() -> None:
    values = np.arange(65536, dtype=np.uint16).reshape(256, 256, 1)
    source = decode(values)
    back = decode(to_bytes(values, target("png", values, bits=8), source)[0])
    assert np.array_equal(back.samples, np.floor(values.astype(float) * 255 / 65535 + 0.5).astype(np.uint8))
    assert np.array_equal(reduced(values, target("png", values, bits=8), source), back.samples)


def test_eight_bits_become_sixteen_exactly() -> None:
    values = np.arange(256, dtype=np.uint8).reshape(16, 16, 1)
    source = decode(values)
    back = decode(to_bytes(values, target("png", values, bits=16), source)[0])
    assert np.array_equal(back.samples, values.astype(np.uint16) * 257)


@pytest.mark.parametrize("quality", [1, 50, 90, 100])
@pytest.mark.parametrize("format", ["jpeg", "webp", "avif"])
def test_quality_is_obeyed(format: str, quality: int) -> None:
    noise = np.random.default_rng(3).integers(0, 256, (64, 64, 3), np.uint8)
    source = decode(noise)
    size = {q: len(to_bytes(noise, target(format, noise, quality=q), source)[0]) for q in (quality, max(1, quality - 30))}
    assert quality == 1 or size[quality] > size[quality - 30 if quality > 30 else 1]
    if (format, quality) == ("webp", 100):
        assert np.array_equal(decode(to_bytes(noise, target(format, noise, quality=100), source)[0]).samples, noise)


@pytest.mark.parametrize(("quality", "layers"), [(95, [(1, 1)] * 3), (90, [(1, 1)] * 3), (80, [(2, 2), (1, 1), (1, 1)])])
def test_jpeg_is_baseline_with_full_colour_from_ninety(quality: int, layers: list[tuple[int, int]]) -> None:
    array = pictures.pixels()
    picture = PIL.Image.open(io.BytesIO(to_bytes(array, target("jpeg", array, quality=quality), decode(array))[0]))
    assert [layer[1:3] for layer in picture.layer] == layers  # type: ignore[attr-defined]
    assert "progressive" not in picture.info


def test_what_is_transparent_is_laid_on_white_in_jpeg() -> None:
    array = np.zeros((16, 16, 4), np.uint8)
    array[:8] = (200, 0, 0, 255)
    array[8:] = (200, 0, 0, 128)
    source = decode(array)
    back = decode(to_bytes(array, target("jpeg", array), source)[0]).samples.astype(int)
    assert np.abs(back[2, 8] - (200, 0, 0)).max() < 4
    assert np.abs(back[13, 8] - (227, 127, 127)).max() < 4


# --- reduction ---------------------------------------------------------------------------------------------------------

SIZES = [(123, 77), (299, 199), (150, 100), (200, 133), (75, 50), (241, 187), (300, 101), (77, 200)]


@pytest.mark.parametrize(("width", "height"), SIZES)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_reduction_does_not_drift(dtype: Any, width: int, height: int) -> None:
    y, x = np.mgrid[:200, :300]
    top = np.iinfo(dtype).max
    blob = np.round(np.exp(-((x - 101.3) ** 2 + (y - 77.7) ** 2) / (2 * 9**2)) * top * 0.9).astype(dtype)[..., None]
    out = reduced(blob, Target("png", None, width, height, 16), decode(blob))
    assert out.shape == (height, width, 1)
    factor = np.array([width / 300, height / 200])
    assert np.abs(centroid(out[..., 0]) - ((centroid(blob[..., 0]) + 0.5) * factor - 0.5)).max() < 0.02


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_reduction_of_a_ramp_is_a_ramp(width: int, height: int) -> None:
    ramp = np.broadcast_to(np.round(np.linspace(5000, 60000, 300)).astype(np.uint16)[None, :, None], (200, 300, 1))
    out = reduced(ramp, Target("png", None, width, height, 16), decode(np.ascontiguousarray(ramp)))[height // 2, :, 0]
    where = (np.arange(width) + 0.5) * 300 / width - 0.5
    want = 5000 + where * 55000 / 299
    inner = slice(width // 10, -width // 10)
    slope = 55000 / 299
    assert np.abs(out[inner] - want[inner]).max() < 0.02 * slope * 300 / width + 2


def test_reduction_mixes_no_hidden_colour_in() -> None:
    array = np.zeros((64, 64, 4), np.uint8)
    array[:, :33] = (0, 200, 0, 255)
    array[:, 33:] = (255, 0, 255, 0)
    out = reduced(array, Target("png", None, 32, 32, 8), decode(array))
    seen = out[..., 3] > 8
    assert np.abs(out[seen][:, :3].astype(int) - (0, 200, 0)).max() <= 2
    assert out[0, 0, 3] == 255
    assert out[0, 31, 3] == 0


def test_reduced_files_are_as_large_as_asked() -> None:
    array = pictures.pixels(200, 300)
    for format in SINGLE:
        back = decode(to_bytes(array, target(format, array, width=101, height=67), decode(array))[0])
        assert (back.width, back.height) == (101, 67)


def test_samples_are_never_enlarged_here() -> None:
    array = pictures.pixels()
    with pytest.raises(ValueError, match="samples of 64 x 48 are smaller than the target, 80 x 40"):
        to_bytes(array, target("png", array, width=80, height=40), decode(array))


# --- float -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bands", [1, 2, 3, 4])
def test_linear_light_comes_back_as_float(bands: int) -> None:
    samples = pictures.pixels(bands=bands, dtype=np.uint16)
    header = Header("x.tif", "tiff", 64, 48, 3 if bands > 2 else 1, bands in (2, 4), 32)
    source = Image(samples, header, transfer=Transfer("linear", 3.0))
    data, notices = to_bytes(samples, target("tiff", samples, bits=32), source)
    assert notices == ()
    values = np.asarray(pyvips.Image.new_from_buffer(data, "").numpy()).reshape(samples.shape)
    assert values.dtype == np.float32
    encoded = samples / 65535
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4) * 3
    if bands in (2, 4):
        linear[..., -1] = encoded[..., -1]
    assert np.allclose(values, linear, atol=1e-6)
    back = decode(data)
    assert back.header.bits == 32
    if bands in (1, 3):
        assert np.abs(back.samples.astype(int) - samples).max() <= 1


def test_range_that_does_not_fit_is_said() -> None:
    samples = pictures.pixels(dtype=np.uint16)
    source = Image(samples, Header("x.tif", "tiff", 64, 48, 3, False, 32), transfer=Transfer("linear", 3.0))
    notices = to_bytes(samples, target("png", samples, bits=16), source)[1]
    assert [n.message for n in notices] == [
        "float samples became 16-bit in PNG; tiff would keep them",
        "linear light up to 3 was scaled to white; tiff would keep it",
    ]


@pytest.mark.parametrize(
    ("format", "bits", "want"),
    [
        ("jpeg", 8, 8),
        ("jpeg", 16, 8),
        ("jpeg", 32, 8),
        ("png", 8, 8),
        ("png", 16, 16),
        ("png", 32, 16),
        ("tiff", 16, 16),
        ("tiff", 32, 32),
        ("avif", 32, 8),
    ],
)
def test_depth_of_the_output(format: str, bits: int, want: int) -> None:
    assert format_named(format).depth(bits) == want


# --- metadata ----------------------------------------------------------------------------------------------------------

HOLD_IPTC = ("jpeg", "png", "tiff")


@pytest.mark.parametrize("output", pictures.FORMATS)
@pytest.mark.parametrize("source", pictures.FORMATS)
def test_metadata_survives_in_every_pair(source: str, output: str) -> None:
    """Pillow wrote it, Pillow reads it: nothing but sizes, orientation and thumbnails may change."""
    image = decode(pictures.file(source, orientation=1))
    assert image.notices == ()
    large = np.repeat(np.repeat(image.samples, 2, 0), 2, 1)
    data, notices = to_bytes(large, target(output, large), image)
    assert notices == ()
    found = PIL.Image.open(io.BytesIO(data))
    found.load()
    tags = found.getexif()
    own, gps = tags.get_ifd(0x8769), tags.get_ifd(0x8825)
    texts = [tags.get(t) for t in (0x10E, 0x10F, 0x110, 0x13B, 0x8298)]
    assert texts == ["A description", "Maker", "Model", "An artist", "(c) somebody"]
    assert (own[0x927C], own[0x9286]) == (pictures.MAKER_NOTE, b"ASCII\0\0\0a comment")
    assert (own[0xA434], own[0xFDE8], float(own[0x829A])) == ("A lens", "an unknown tag", 1 / 125)
    assert (gps[1], gps[2], gps[3], gps[4]) == ("N", (47, 22, 33.12), "E", (8, 32, 0))
    assert (own[0xA002], own[0xA003]) == (128, 96)
    assert (float(tags[0x11A]), float(tags[0x11B]), tags[0x128]) == (300, 300, 2)
    assert tags.get(0x112, 1) == 1
    assert found.info["icc_profile"] == pictures.SRGB
    xmp = found.info["xmp"]
    for text in (b"kept", b'tiff:Orientation="1"', b'tiff:ImageWidth="128"', b"PixelXDimension>128<", b"PixelYDimension>96<"):
        assert text in xmp
    if output in ("jpeg", "png", "tiff"):
        assert found.info["dpi"] == pytest.approx((300, 300), abs=0.01)
    assert decode(data).metadata.dpi == (300, 300)


@pytest.mark.parametrize(("width", "rows"), [(100, 128), (8_000, 32), (40_000, 16)])
def test_strips_of_a_wide_tiff_are_few_rows_high(width: int, rows: int) -> None:
    """Whoever reads it has whole strips in memory."""
    samples = np.full((150, width, 3), 90, np.uint8)
    data, _ = to_bytes(samples, target("tiff", samples), decode(samples))
    assert PIL.Image.open(io.BytesIO(data)).tag_v2[278] == rows
    assert np.array_equal(decode(data).samples, samples)


@pytest.mark.parametrize("orientation", range(2, 9))
@pytest.mark.parametrize("output", pictures.FORMATS)
def test_nobody_turns_the_result_again(output: str, orientation: int) -> None:
    image = decode(pictures.file("jpeg", pictures.pixels(), orientation=orientation))
    data = to_bytes(image.samples, target(output, image.samples), image)[0]
    for again in (decode(data), decode(PIL.Image.open(io.BytesIO(data)))):
        assert (again.width, again.height) == (image.width, image.height)
        assert np.abs(again.samples.astype(int) - image.samples).mean() < 6


@pytest.mark.parametrize("output", pictures.FORMATS)
def test_no_resolution_and_no_exif_are_invented(output: str) -> None:
    array = pictures.pixels()
    data, notices = to_bytes(array, target(output, array), decode(array))
    found = PIL.Image.open(io.BytesIO(data))
    assert "dpi" not in found.info or (output == "tiff" and found.info["dpi"] == (1, 1))
    assert decode(data).metadata == Metadata()
    assert notices == ()
    assert not found.getexif().get_ifd(0x8769)


@pytest.mark.parametrize("dpi", [(72.0, 72.0), (300.0, 300.0), (300.0, 150.0), (96.5, 96.5)])
@pytest.mark.parametrize("output", pictures.FORMATS)
def test_resolution_alone_survives(output: str, dpi: tuple[float, float]) -> None:
    array = pictures.pixels()
    source = Image(array, decode(array).header, Metadata(dpi=dpi))
    data, notices = to_bytes(array, target(output, array), source)
    assert notices == ()
    found = decode(data).metadata.dpi
    assert found == pytest.approx(dpi, abs=0.51 if output == "jpeg" else 0.02)


@pytest.mark.parametrize("output", pictures.FORMATS)
def test_iptc_survives_where_it_can_and_is_named_where_not(output: str) -> None:
    array = pictures.pixels()
    source = Image(array, decode(array).header, Metadata(iptc=pictures.IPTC))
    data, notices = to_bytes(array, target(output, array), source)
    assert decode(data).metadata.iptc == (pictures.IPTC if output in HOLD_IPTC else None)
    assert [n.message for n in notices] == ([] if output in HOLD_IPTC else [f"{output.upper()} did not take the IPTC data"])


def test_iptc_is_where_others_look_for_it() -> None:
    from PIL import IptcImagePlugin

    array = pictures.pixels()
    source = Image(array, decode(array).header, Metadata(iptc=pictures.IPTC))
    for output in ("jpeg", "tiff"):
        found = IptcImagePlugin.getiptcinfo(PIL.Image.open(io.BytesIO(to_bytes(array, target(output, array), source)[0])))
        assert found
        assert found[2, 80] == b"Author"


def test_what_a_jpeg_segment_cannot_hold_is_named() -> None:
    array = pictures.pixels()
    exif = md.build({0x8298: md.Entry(2, 70_000, b"c" * 69_999 + b"\0")}, {}, {}, {}, "little")
    source = Image(array, decode(array).header, Metadata(exif=exif, xmp=b"<x>" + b" " * 70_000 + b"</x>"))
    assert [n.message for n in to_bytes(array, target("jpeg", array), source)[1]] == [
        "JPEG did not take these EXIF tags: Copyright",
        "JPEG did not take the XMP data",
    ]
    assert to_bytes(array, target("png", array), source)[1] == ()


@pytest.mark.parametrize("output", pictures.FORMATS)
def test_metadata_that_is_lost_is_always_named(output: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the splicing taken away, every kind of metadata is missed by the check."""
    image = decode(pictures.file("jpeg"))
    monkeypatch.setattr(splice, "front", lambda *_: b"")
    monkeypatch.setattr(splice, "finish", lambda *_: None)
    notices = to_bytes(image.samples, target(output, image.samples), image)[1]
    lost = codes(notices)
    assert "exif-lost" in lost
    assert any("Copyright" in n.message for n in notices) or output == "avif"
    assert ("xmp-lost" in lost) == (output != "avif")


def test_big_endian_exif_is_translated_for_tiff() -> None:
    blob = pictures.exif().tobytes()
    assert md.order_of(md.body_of(blob)) == "big"
    array = pictures.pixels()
    source = Image(array, decode(array).header, Metadata(exif=blob))
    data, notices = to_bytes(array, target("tiff", array), source)
    assert data[:2] == b"II"
    assert notices == ()


def test_big_tiff_takes_metadata_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(step, "BIG_TIFF", 10)
    image = decode(pictures.file("jpeg"))
    data, notices = to_bytes(image.samples, target("tiff", image.samples), image)
    assert data[:4] == b"II+\0"
    assert notices == ()
    found = decode(data)
    assert np.array_equal(found.samples, image.samples)
    assert md.tags(found.metadata.exif) == md.tags(image.metadata.exif)
    assert PIL.Image.open(io.BytesIO(data)).getexif()[0x8298] == "(c) somebody"


def test_grey_profile_is_not_put_on_colour() -> None:
    array = pictures.pixels(bands=1)
    grey = pictures.SRGB[:16] + b"GRAY" + pictures.SRGB[20:]
    source = Image(array, decode(array).header, Metadata(icc=grey))
    for output in ("webp", "avif"):
        data, notices = to_bytes(array, target(output, array), source)
        assert decode(data).metadata.icc is None
        assert [n.message for n in notices] == [f"{output.upper()} holds no grey, so the grey profile was left out"]


# --- before any work ---------------------------------------------------------------------------------------------------


def refusal(path: Path, kind: type[OutputError] = OutputError, *, overwrite: bool = False, source: Path | None = None) -> str:
    with pytest.raises(kind) as caught:
        check_output(path, overwrite=overwrite, source=source)
    assert type(caught.value) is kind
    return str(caught.value)


def test_outputs_that_cannot_be(tmp_path: Path) -> None:
    there = tmp_path / "there.png"
    there.write_bytes(b"x")
    link, hard = tmp_path / "link.png", tmp_path / "hard.png"
    link.symlink_to(there)
    hard.hardlink_to(there)
    assert refusal(there, OutputExistsError) == f"{there}: the file exists already; replace it with --overwrite or choose another name"
    for path in (there, link, hard):
        assert refusal(path, overwrite=True, source=there) == f"{path}: this is the source itself; choose another name for the result"
    assert refusal(tmp_path, overwrite=True) == f"{tmp_path}: this is a folder; name a file in it"
    nowhere = tmp_path / "no" / "out.png"
    assert refusal(nowhere) == f"{nowhere}: the folder '{tmp_path}/no' does not exist; create it first"
    long = tmp_path / ("n" * 300 + ".png")
    assert refusal(long).endswith(": the name is too long for this disk; choose a shorter name")
    pipe = tmp_path / "pipe.png"
    os.mkfifo(pipe)
    assert refusal(pipe, overwrite=True) == f"{pipe}: this is not a regular file; choose another name"
    dangling = tmp_path / "dangling.png"
    dangling.symlink_to(tmp_path / "nothing")
    assert refusal(dangling, OutputExistsError).startswith(f"{dangling}: the file exists already")
    check_output(there, overwrite=True, source=tmp_path / "other.png")
    check_output(tmp_path / "new.png", overwrite=False, source=there)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["dangling.png", "hard.png", "link.png", "pipe.png", "there.png"], (
        "no trial file stays"
    )


def test_a_folder_that_takes_no_files_is_found_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> tuple[int, str]:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(publish.tempfile, "TemporaryFile", refused)
    path = tmp_path / "a.png"
    assert refusal(path) == f"{path}: the folder '{tmp_path}' cannot be written (read-only file system); choose another folder"


@pytest.mark.parametrize(
    ("format", "width", "alpha", "bits", "hint"),
    [
        ("jpeg", 65501, False, 8, "png or tiff or dz"), ("webp", 16384, False, 8, "jpeg or png or tiff or avif or dz"),
        ("avif", 16385, True, 8, "png or tiff or dz"), ("webp", 20000, False, 8, "jpeg or png or tiff or dz"),
    ],
)  # fmt: skip
def test_what_a_format_cannot_hold(format: str, width: int, alpha: bool, bits: int, hint: str) -> None:
    with pytest.raises(FormatLimitError) as caught:
        format_named(format).check_fits(width, 10, alpha=alpha)
    most = FORMATS[format].max_side
    assert str(caught.value) == f"{width} x 10 is more than {format} can hold ({most} pixels a side); choose --format {hint}"
    format_named(format).check_fits(most, most, quality=100)


def test_alpha_in_jpeg_is_said() -> None:
    image = decode(np.full((4, 4, 4), 128, np.uint8))
    _, notices = to_bytes(image.samples, Target("jpeg", 95, 4, 4, 8), image)
    assert ("alpha-dropped", "JPEG holds no transparency: it was laid on white; png, webp, tiff, avif, dz would keep it") in [
        (n.code, n.message) for n in notices
    ]


# --- files -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", SINGLE)
def test_saved_files_are_what_was_reported(format: str, tmp_path: Path) -> None:
    image = decode(pictures.file("jpeg"))
    path = tmp_path / f"out.{format}"
    written = save(image.samples, target(format, image.samples), image, path)
    data = path.read_bytes()
    assert (written.bytes, written.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    assert decode(path).header.format == format
    assert to_bytes(image.samples, target(format, image.samples), image)[0] == data


def test_file_mode_follows_the_umask(tmp_path: Path) -> None:
    array = pictures.pixels()
    for mask, mode in ((0o022, 0o644), (0o077, 0o600), (0o002, 0o664)):
        before = os.umask(mask)
        try:
            save(array, target("png", array), decode(array), tmp_path / f"{mask}.png")
        finally:
            os.umask(before)
        assert stat.S_IMODE((tmp_path / f"{mask}.png").stat().st_mode) == mode


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_file_that_appears_meanwhile_is_never_lost_unless_asked(tmp_path: Path, overwrite: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    array, path = pictures.pixels(), tmp_path / "out.png"
    write = step._write

    def racing(*arguments: Any) -> Any:
        path.write_bytes(b"somebody else's")
        return write(*arguments)

    monkeypatch.setattr(step, "_write", racing)
    if overwrite:
        save(array, target("png", array), decode(array), path, overwrite=True)
        assert np.array_equal(decode(path).samples, array)
    else:
        with pytest.raises(OutputExistsError):
            save(array, target("png", array), decode(array), path)
        assert path.read_bytes() == b"somebody else's"
    assert [p.name for p in tmp_path.iterdir()] == ["out.png"]


def test_disks_without_hard_links_work_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    array, path = pictures.pixels(), tmp_path / "out.png"
    monkeypatch.setattr(Path, "hardlink_to", refused)
    save(array, target("png", array), decode(array), path)
    assert np.array_equal(decode(path).samples, array)
    with pytest.raises(OutputExistsError):
        save(array, target("png", array), decode(array), path)
    assert [p.name for p in tmp_path.iterdir()] == ["out.png"]


FILL = """
import resource, signal, sys
from pathlib import Path
import numpy as np
from enlarger.errors import EnlargerError
from enlarger.steps.decode import decode
from enlarger.steps.encode import Target, save
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
array = np.random.default_rng(0).integers(0, 256, (400, 400, 3), np.uint8)
source = decode(array)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
try:
    save(array, Target(sys.argv[1], None, 400, 400, 8), source, Path(sys.argv[3]), overwrite=True)
except EnlargerError as error:
    print(type(error).__name__)
else:
    print("written")
"""


@pytest.mark.parametrize("format", SINGLE)
def test_a_disk_that_ends_in_mid_write_leaves_the_old_file(format: str, tmp_path: Path) -> None:
    """A limit on the size of files fails writes as a full disk does, at any byte one likes."""
    path = tmp_path / f"out.{format}"
    for limit in (100, 5000, 40_000):
        path.write_bytes(b"the good old file")
        done = subprocess.run(
            [sys.executable, "-c", FILL, format, str(limit), str(path)], capture_output=True, text=True, timeout=60, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.strip() in ("OutputError", "DiskFullError"), done.stdout
        assert path.read_bytes() == b"the good old file"
        assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_a_full_disk_is_called_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    array = pictures.pixels()
    monkeypatch.setattr(step.os, "fsync", full)
    with pytest.raises(DiskFullError) as caught:
        save(array, target("png", array), decode(array), tmp_path / "out.png")
    assert str(caught.value) == f"{tmp_path / 'out.png'}: the disk is full; free some space and start again"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("format", SINGLE)
def test_a_damaged_result_is_never_published(format: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes lost between writing and checking (an encoder's bug, a bad disk) are found when the file is reopened."""
    array = np.random.default_rng(0).integers(0, 256, (300, 300, 3), np.uint8)
    finish = splice.finish

    def damaging(fd: int, *arguments: Any) -> None:
        finish(fd, *arguments)
        os.ftruncate(fd, os.fstat(fd).st_size * 9 // 10)

    monkeypatch.setattr(splice, "finish", damaging)
    with pytest.raises(OutputError, match=r"could not be written|was not kept"):
        save(array, target(format, array), decode(array), tmp_path / f"out.{format}")
    assert list(tmp_path.iterdir()) == []


def test_a_result_of_the_wrong_size_is_never_published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    array = pictures.pixels()
    other = pyvips.Image.black(10, 10, bands=3).copy(interpretation="srgb")
    monkeypatch.setattr(step, "_tagged", lambda *_: other)
    with pytest.raises(OutputError) as caught:
        save(array, target("png", array), decode(array), tmp_path / "out.png")
    assert "the written file is 10 x 10, 8-bit with 3 bands instead of 64 x 48, 8-bit with 3 bands: it was not kept" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_names_of_any_kind(tmp_path: Path) -> None:
    array = pictures.pixels()
    for name in ("two\nlines.png", "ü.png", "-rf.png", "x" * 251 + ".png", "noend"):
        save(array, target("png", array), decode(array), tmp_path / name)
        assert np.array_equal(decode(tmp_path / name).samples, array)


# --- objects -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("shape", [(48, 64), (48, 64, 1), (48, 64, 2), (48, 64, 3), (48, 64, 4)])
def test_arrays_come_back_as_they_went_in(shape: tuple[int, ...], dtype: Any) -> None:
    whole = pictures.pixels(bands=shape[2] if len(shape) > 2 else 1, dtype=np.uint16).reshape(shape)
    array = whole if dtype == np.uint16 else (whole // 257).astype(np.uint8) if dtype == np.uint8 else (whole / 65535).astype(np.float32)
    source = decode(array)
    bits = {np.uint8: 8, np.uint16: 16, np.float32: 32}[dtype]
    out = to_array(source.samples, Target("array", None, 64, 48, bits), source)
    assert out.dtype == dtype
    assert out.shape == shape
    assert np.allclose(out, array, atol=1e-5 if dtype == np.float32 else 0)
    half = to_array(source.samples, Target("array", None, 32, 24, bits), source)
    assert half.shape == (24, 32, *shape[2:])


@pytest.mark.parametrize(("bands", "mode"), [(1, "L"), (2, "LA"), (3, "RGB"), (4, "RGBA")])
def test_pillow_pictures_come_back_with_what_they_carried(bands: int, mode: str) -> None:
    array = pictures.pixels(bands=bands)
    source = decode(PIL.Image.fromarray(array[..., 0] if bands == 1 else array))
    meta = Metadata(icc=pictures.SRGB if bands > 2 else None, exif=pictures.exif().tobytes(), xmp=pictures.XMP, dpi=(300, 300))
    source = Image(source.samples, source.header, meta)
    out = to_pil(source.samples, Target("pil", None, 64, 48, 8), source)
    assert (out.mode, out.size) == (mode, (64, 48))
    assert np.array_equal(np.asarray(out).reshape(48, 64, bands), source.samples)
    assert out.info["dpi"] == (300, 300)
    assert out.getexif()[0x8298] == "(c) somebody"
    assert ("icc_profile" in out.info) == (bands > 2)
    saved = io.BytesIO()
    out.save(saved, "png", exif=out.info["exif"])
    assert PIL.Image.open(saved).getexif().get_ifd(0x8769)[0xA434] == "A lens"


def test_pillow_holds_sixteen_bits_of_grey_only() -> None:
    grey, colour = pictures.pixels(bands=1, dtype=np.uint16), pictures.pixels(dtype=np.uint16)
    out = to_pil(grey, Target("pil", None, 64, 48, 16), decode(grey))
    assert out.mode == "I;16"
    assert np.array_equal(np.asarray(out), grey[..., 0])
    out = to_pil(colour, Target("pil", None, 64, 48, 16), decode(colour))
    assert out.mode == "RGB"
    assert [n.code for n in out.info["enlarger"]] == ["depth-reduced"]
