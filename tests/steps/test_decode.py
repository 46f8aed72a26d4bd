"""Bytes to Image: every format, every orientation, every kind of colour, and every refusal with its whole sentence."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import socket
import struct
import subprocess
import sys
import threading
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import pyvips
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tests import pictures

from enlarger import canvas as canvas_module
from enlarger.errors import (
    DamagedImageError,
    EnlargerError,
    InputError,
    NotAnImageError,
    SourceMissingError,
    SourceTooLargeError,
    SourceUnreadableError,
)
from enlarger.image import Image, Transfer
from enlarger.pixels.bleed import bleed
from enlarger.pixels.transfer import float_table
from enlarger.steps.decode import decode, probe

READ = "Enlarger reads jpeg, png, webp, tiff, avif, gif, bmp and ppm"
COMPLETE = "get a complete copy, or take what decodes with --allow-truncated"


def codes(image: Image) -> set[str]:
    return {n.code for n in image.notices}


def saved(array: NDArray[Any], format: str, **options: Any) -> bytes:
    return pictures.file(format, array, meta=False, **options)


def tiff(array: NDArray[Any], interpretation: str | None = None, **options: Any) -> bytes:
    """A TIFF by libvips, for kinds of samples that Pillow does not write."""
    form = {"float32": "float", "uint16": "ushort", "uint8": "uchar", "uint32": "uint", "float64": "double", "complex64": "complex"}[
        array.dtype.name
    ]
    picture = pyvips.Image.new_from_memory(np.ascontiguousarray(array), array.shape[1], array.shape[0], array.shape[2], form)
    if interpretation:
        picture = picture.copy(interpretation=interpretation)
    data = picture.tiffsave_buffer(**options)
    assert isinstance(data, bytes)
    return data


def png(width: int, height: int, body: bytes = b"", *, extra: bytes = b"", depth: int = 8, colour: int = 2) -> bytes:
    """A PNG made by hand: any header, any image data."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + extra + chunk(b"IDAT", zlib.compress(body)) + chunk(b"IEND", b"")


# --- formats -----------------------------------------------------------------------------------------------------------

LOSSLESS = ("png", "tiff", "bmp", "ppm")


@pytest.mark.parametrize("format", [*pictures.FORMATS, "gif", "bmp", "ppm"])
def test_every_format_is_read_by_content_from_file_and_bytes(format: str, tmp_path: Path) -> None:
    want = pictures.pixels()
    data = saved(want, format)
    path = tmp_path / "name.without.meaning"
    path.write_bytes(data)
    image = decode(path)
    assert (image.header.format, image.width, image.height, image.samples.dtype) == (format, 64, 48, np.uint8)
    assert probe(path) == image.header
    assert (image.header.name, image.header.size) == (str(path), len(data))
    assert image.sha256 == hashlib.sha256(data).hexdigest()
    assert np.abs(image.samples.astype(int) - want).mean() < (0.001 if format in LOSSLESS else 6)
    assert np.array_equal(decode(data).samples, image.samples)
    assert decode(data).header.name == "<bytes>"
    assert not image.samples.flags.writeable


@pytest.mark.parametrize("bands", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("format", ["png", "tiff"])
def test_channels_and_depth_are_kept_exactly(format: str, dtype: Any, bands: int) -> None:
    want = pictures.pixels(bands=bands, dtype=dtype)
    kind = ("grey16" if bands < 3 else "rgb16") if dtype == np.uint16 else ("b-w" if bands < 3 else "srgb")
    picture = pyvips.Image.new_from_memory(np.ascontiguousarray(want), 64, 48, bands, "uchar" if dtype == np.uint8 else "ushort")
    data = picture.copy(interpretation=kind).write_to_buffer("." + format)
    image = decode(data)
    assert np.array_equal(image.samples, want)
    assert image.samples.dtype == dtype
    assert (image.channels, image.alpha, image.header.bits) == (1 if bands < 3 else 3, bands in (2, 4), np.dtype(dtype).itemsize * 8)
    assert probe(data) == image.header


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_few_bits_of_grey_become_eight(bits: int) -> None:
    levels = 2**bits
    row = bytes(sum((i * per + j) % levels << (8 - bits * (j + 1)) for j in range(per)) for per in [8 // bits] for i in range(2))
    image = decode(png(16 // bits, 1, b"\0" + row, depth=bits, colour=0))
    want = [round((i % levels) * 255 / (levels - 1)) for i in range(16 // bits)]
    assert image.samples[0, :, 0].tolist() == want
    assert (image.channels, image.header.bits) == (1, 8)


def test_ppm_of_any_depth_is_exact() -> None:
    deep = decode(b"P6 # comment\n2 1 65535\n" + np.array([65535, 0, 257, 0, 514, 65535], ">u2").tobytes())
    assert (deep.samples.tolist(), deep.samples.dtype, deep.header.bits) == ([[[65535, 0, 257], [0, 514, 65535]]], np.uint16, 16)
    assert decode(b"P5 3 1 1023 " + np.array([0, 512, 1023], ">u2").tobytes()).samples.ravel().tolist() == [0, 32800, 65535]
    assert decode(b"P5 4 1 3 \0\1\2\3").samples.ravel().tolist() == [0, 85, 170, 255]
    assert decode(b"P6 2 1 15 \0\1\2\x0d\x0e\x0f").samples.ravel().tolist() == [0, 17, 34, 221, 238, 255]
    assert decode(b"P5 2 1 3 \1\7").samples.ravel().tolist() == [85, 255], "more than the largest is the largest"
    assert not codes(deep)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA"])
@pytest.mark.parametrize("format", ["bmp", "ppm"])
def test_bmp_and_ppm_are_what_pillow_reads(format: str, mode: str) -> None:
    """With a width of 61, so that rows of BMP are padded."""
    out = io.BytesIO()
    PIL.Image.fromarray(pictures.pixels(48, 61)).convert(mode if (format, mode) != ("ppm", "P") else "L").save(out, format, dpi=(300, 300))
    image = decode(out.getvalue())
    want = np.asarray(PIL.Image.open(out).convert("L" if mode in "1L" or (format, mode) == ("ppm", "P") else "RGB"))
    assert np.array_equal(image.samples, want.reshape(image.samples.shape))
    assert probe(out.getvalue()) == image.header
    assert image.metadata.dpi == ((300, 300) if format == "bmp" else None)


def test_colour_key_becomes_alpha() -> None:
    out = io.BytesIO()
    PIL.Image.fromarray(np.array([[[255, 0, 0], [0, 255, 0]]], np.uint8)).save(out, "png", transparency=(255, 0, 0))
    image = decode(out.getvalue())
    assert image.samples[0, :, 3].tolist() == [0, 255]
    assert image.samples[0, 1].tolist() == [0, 255, 0, 255]


@pytest.mark.parametrize("clear", [False, True])
def test_palette_becomes_colour_with_a_notice(clear: bool) -> None:
    picture = PIL.Image.new("P", (2, 1))
    picture.putpalette([200, 10, 20, 30, 40, 250])
    picture.putdata([0, 1])
    out = io.BytesIO()
    picture.save(out, "png", **({"transparency": bytes([255, 128])} if clear else {}))
    for source in (out.getvalue(), PIL.Image.open(out)):
        image = decode(source)
        assert image.samples[0].tolist() == ([[200, 10, 20, 255], [30, 40, 250, 128]] if clear else [[200, 10, 20], [30, 40, 250]])
        assert "palette-expanded" in codes(image)


@pytest.mark.parametrize("bits", [8, 10, 12])
def test_avif_of_more_bits_is_sixteen_and_white_is_white(bits: int) -> None:
    flat = np.full((8, 8, 3), 65535, np.uint16)
    picture = pyvips.Image.new_from_memory(flat, 8, 8, 3, "ushort").copy(interpretation="rgb16")
    image = decode(picture.heifsave_buffer(compression="av1", bitdepth=bits, lossless=True))
    assert image.header.bits == (8 if bits == 8 else 16)
    assert (image.samples == np.iinfo(image.samples.dtype).max).all()


@pytest.mark.parametrize("interpretation", ["lab", "xyz"])
def test_other_colour_spaces_become_srgb(interpretation: str) -> None:
    want = pictures.pixels()
    picture = pyvips.Image.new_from_memory(want, 64, 48, 3, "uchar").copy(interpretation="srgb").colourspace(interpretation)
    image = decode(picture.tiffsave_buffer())
    if interpretation == "lab":
        assert "colour-converted" in codes(image)
        assert np.abs(image.samples / 257 - want).max() < 1.5
    assert image.channels == 3


def test_cmyk_becomes_srgb_the_right_way_round() -> None:
    cmyk = np.zeros((8, 8, 4), np.uint8)
    cmyk[:, 4:] = (0, 255, 255, 0)
    for data in (saved_cmyk(cmyk, "jpeg"), saved_cmyk(cmyk, "tiff")):
        image = decode(data)
        assert "cmyk-converted" in codes(image)
        assert image.metadata.icc is None
        white, red = image.samples[4, 1].astype(int), image.samples[4, 6].astype(int)
        assert (white > 240).all(), white
        assert red[0] > 180, red
        assert red[1:].max() < 80, red


def saved_cmyk(array: NDArray[np.uint8], format: str) -> bytes:
    out = io.BytesIO()
    PIL.Image.fromarray(array, "CMYK").save(out, format)
    return out.getvalue()


# --- orientation -------------------------------------------------------------------------------------------------------


def stored_as(upright: NDArray[Any], orientation: int) -> NDArray[Any]:
    """What a camera stores so that ``orientation`` makes it ``upright`` again (TIFF 6.0, page 36: where row 0 and column 0 are)."""
    t = upright.transpose(1, 0, 2)
    views = [upright, upright[:, ::-1], upright[::-1, ::-1], upright[::-1], t, t[::-1], t[::-1, ::-1], t[:, ::-1]]
    return np.ascontiguousarray(views[orientation - 1])


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["jpeg", "png", "webp", "tiff"])
def test_orientation_is_applied_once_and_reset(format: str, orientation: int) -> None:
    upright = pictures.pixels(48, 64)
    data = pictures.file(format, stored_as(upright, orientation), orientation=orientation)
    image = decode(data)
    assert (image.width, image.height) == (64, 48)
    assert probe(data) == image.header
    assert np.abs(image.samples.astype(int) - upright).mean() < 12
    exif = PIL.Image.Exif()
    exif.load(image.metadata.exif or b"")
    assert exif.get(0x112, 1) == 1
    assert image.metadata.xmp
    assert b'tiff:Orientation="1"' in image.metadata.xmp
    again = PIL.Image.fromarray(image.samples)
    again.info["exif"] = image.metadata.exif
    assert np.array_equal(decode(again).samples, image.samples)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_of_avif_is_that_of_its_boxes(orientation: int) -> None:
    """Pillow writes irot and imir, and leaves the tag out of the EXIF: rotating again would be wrong."""
    upright = pictures.pixels(48, 64)
    image = decode(pictures.file("avif", stored_as(upright, orientation), orientation=orientation))
    assert (image.width, image.height) == (64, 48)
    assert np.abs(image.samples.astype(int) - upright).mean() < 12


@pytest.mark.parametrize("orientation", [0, 9, 99])
def test_orientation_that_means_nothing_is_ignored_and_said(orientation: int) -> None:
    image = decode(pictures.file("jpeg", orientation=orientation))
    assert (image.width, image.height) == (64, 48)
    assert [n.message for n in image.notices] == [f"orientation {orientation} means nothing and was ignored"]


def test_pictures_too_large_for_memory_turn_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    data = pictures.file("png", stored_as(pictures.pixels(148, 164), 6), orientation=6)
    want = decode(data).samples
    monkeypatch.setattr(canvas_module, "IN_MEMORY", 1000)
    image = decode(data)
    assert isinstance(image.samples.base, np.memmap) or isinstance(image.samples, np.memmap)
    assert np.array_equal(image.samples, want)
    assert np.array_equal(image.samples, pictures.pixels(148, 164))


# --- metadata ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", pictures.FORMATS)
def test_metadata_is_found(format: str) -> None:
    found = decode(pictures.file(format)).metadata
    assert found.icc == pictures.SRGB
    assert found.dpi == (300, 300)
    assert found.xmp
    assert b"<dc:rights>kept</dc:rights>" in found.xmp
    exif = PIL.Image.Exif()
    exif.load(found.exif or b"")
    assert exif[0x8298] == "(c) somebody"
    assert exif.get_ifd(0x8825)[2] == (47, 22, 33.12)
    assert exif.get_ifd(0x8769)[0x927C] == pictures.MAKER_NOTE


@pytest.mark.parametrize("format", [*pictures.FORMATS, "gif", "ppm"])
def test_no_resolution_is_invented(format: str) -> None:
    assert decode(pictures.file(format, meta=False)).metadata.dpi is None


@pytest.mark.parametrize("dpi", [72, 96, 150, 299.5, 300])
@pytest.mark.parametrize("format", ["jpeg", "png", "tiff"])
def test_resolution_is_what_the_file_says(format: str, dpi: float) -> None:
    out = io.BytesIO()
    PIL.Image.fromarray(pictures.pixels()).save(out, format, dpi=(dpi, dpi))
    found = decode(out.getvalue()).metadata.dpi
    assert found
    assert found == pytest.approx((dpi, dpi), abs=0.51 if format == "jpeg" else 0.02)
    if dpi == round(dpi):
        assert found == (dpi, dpi)


def test_metadata_of_absurd_size_is_dropped_and_said() -> None:
    data = bytearray(pictures.file("jpeg", meta=False))
    segment = b"\xff\xe1" + struct.pack(">H", 65000) + b"http://ns.adobe.com/xap/1.0/\0" + b"x" * (65000 - 2 - 29)
    image = decode(bytes(data[:20] + segment * 20 + data[20:]))
    assert image.metadata.xmp is None
    assert [n.message for n in image.notices] == ["XMP of more than 1 MB was dropped"]


def test_profile_bombs_are_not_inflated() -> None:
    bomb = b"icc\0\0" + zlib.compress(bytes(200_000_000), 9)
    chunk = struct.pack(">I", len(bomb)) + b"iCCP" + bomb + struct.pack(">I", zlib.crc32(b"iCCP" + bomb))
    image = decode(png(1, 1, b"\0abc", extra=chunk))
    assert image.samples.tolist() == [[[97, 98, 99]]]
    assert codes(image) == {"metadata-too-large"}


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (pictures.pixels(bands=1), "the colour profile was dropped: it is for RGB colour, the picture is grey"),
        (pictures.pixels(bands=3), "the colour profile was dropped: it is no ICC profile"),
    ],
)
def test_profiles_that_do_not_fit_are_dropped_and_said(array: NDArray[Any], message: str) -> None:
    icc = pictures.SRGB if array.shape[2] == 1 else b"rubbish" * 100
    image = decode(saved(array, "jpeg", icc_profile=icc))
    assert image.metadata.icc is None
    assert [n.message for n in image.notices] == [message]


def test_grey_profile_stays_with_grey() -> None:
    icc = pictures.SRGB[:16] + b"GRAY" + pictures.SRGB[20:]
    image = decode(saved(pictures.pixels(bands=1), "jpeg", icc_profile=icc))
    assert image.metadata.icc == icc


# --- more than one picture ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("format", "what"), [("gif", "frames"), ("webp", "frames"), ("png", "frames"), ("tiff", "pages"), ("mpo", "pictures")]
)
def test_of_many_frames_the_first_is_taken_and_the_count_said(format: str, what: str) -> None:
    first = PIL.Image.fromarray(pictures.pixels())
    others = [PIL.Image.new("RGB", (64, 48), (i, 0, 0)) for i in (50, 100)]
    out = io.BytesIO()
    first.save(out, format, save_all=True, append_images=others, **({"duration": 100} if format in ("gif", "webp", "png") else {}))
    image = decode(out.getvalue())
    assert image.header.frames == 3
    assert np.abs(image.samples[..., :3].astype(int) - pictures.pixels()).mean() < 12
    assert f"the file holds 3 {what}; only the first is used" in [n.message for n in image.notices]


def test_of_a_gain_map_the_base_picture_is_taken() -> None:
    data = pictures.file("jpeg", meta=False, xmp=b'<d hdrgm:Version="1.0" keep="this"/>')
    image = decode(data + data)
    assert [n.message for n in image.notices] == ["the gain map (HDR) was dropped; the base picture is used"]
    assert image.metadata.xmp == b'<d keep="this"/>'


# --- float -------------------------------------------------------------------------------------------------------------


def test_linear_float_goes_through_the_curve_and_back() -> None:
    want = (pictures.pixels(bands=4, dtype=np.uint16) / 65535 * 4).astype(np.float32)
    want[..., 3] /= 4
    image = decode(tiff(want, "scrgb"))
    assert (image.header.bits, image.samples.dtype, image.transfer) == (32, np.uint16, Transfer("linear", 4.0))
    mid = image.samples[np.abs(want[..., 0] / 4 - 0.214).argmin() // 64, np.abs(want[..., 0] / 4 - 0.214).argmin() % 64, 0]
    assert abs(mid / 65535 - 0.5) < 0.01, "18 % grey is stored near the middle"
    seen = image.samples[..., 3] > 1000
    assert np.allclose(float_table(image.transfer)[image.samples[..., :3]][seen], want[..., :3][seen], atol=4e-4, rtol=1e-3)
    assert np.allclose(image.samples[..., 3] / 65535, want[..., 3], atol=1e-5)


def test_what_is_no_number_never_gets_in() -> None:
    bad = np.full((4, 4, 3), 0.5, np.float32)
    bad[0, 0], bad[1, 1], bad[2, 2] = np.nan, np.inf, -3
    image = decode(tiff(bad, "scrgb"))
    assert image.samples[0, 0].tolist() == [0, 0, 0]
    assert image.samples[1, 1].tolist() == [65535] * 3
    assert image.samples[2, 2].tolist() == [0, 0, 0]
    assert len(np.unique(image.samples[3])) == 1
    assert sorted(n.message for n in image.notices) == [
        "3 negative values became 0",
        "6 values are not finite numbers: NaN became 0, infinity the brightest value",
    ]


# --- transparency ------------------------------------------------------------------------------------------------------


def test_bleed_takes_the_nearest_visible_colour() -> None:
    colour = np.zeros((64, 64, 3), np.uint8)
    colour[:, :32], colour[:, 32:] = (200, 100, 50), (255, 0, 255)
    alpha = np.zeros((64, 64), np.uint8)
    alpha[:, :32] = 255
    out = bleed(colour, alpha)
    assert (out == (200, 100, 50)).all()
    assert np.array_equal(colour[0, 40], (255, 0, 255)), "the input is left alone"


def test_bleed_changes_only_what_is_hidden_and_follows_the_edge() -> None:
    random = np.random.default_rng(1)
    colour = random.integers(0, 256, (80, 90, 3), np.uint8)
    alpha = np.where(np.mgrid[:80, :90][1] < 45, 200, 0).astype(np.uint8)
    colour[:40, :45], colour[40:, :45] = (10, 20, 30), (200, 210, 220)
    out = bleed(colour, alpha)
    assert np.array_equal(out[:, :45], colour[:, :45])
    assert np.abs(out[10, 46].astype(int) - (10, 20, 30)).max() <= 4
    assert np.abs(out[70, 46].astype(int) - (200, 210, 220)).max() <= 4


def test_bleed_with_nothing_to_do_does_nothing() -> None:
    colour = pictures.pixels()
    assert bleed(colour, np.full((48, 64), 255, np.uint8)) is colour
    assert bleed(colour, np.zeros((48, 64), np.uint8)) is colour


def test_bleed_by_tiles_has_no_seams() -> None:
    random = np.random.default_rng(2)
    large = random.integers(0, 256, (700, 1200, 4), np.uint8)
    large[..., 3] = np.where(random.random((700, 1200)) < 0.0005, 255, 0)
    tiled = decode(large).samples
    alpha = large[..., 3]
    mean = large[..., :3][alpha == 255].mean(0).astype(np.float32)
    whole = bleed(large[..., :3], alpha, mean)
    assert np.abs(tiled[..., :3].astype(int) - whole).max() <= 1
    assert np.array_equal(tiled[..., 3], alpha)


def test_hidden_colour_is_replaced_on_the_way_in() -> None:
    picture = pictures.pixels(bands=4)
    picture[..., 3], picture[:, 32:] = 255, (255, 0, 255, 0)
    image = decode(saved(picture, "png"))
    assert np.array_equal(image.samples[:, :32], picture[:, :32])
    assert (image.samples[:, 32:, 1] > 0).any()
    assert not (image.samples[:, 32:, :3] == (255, 0, 255)).all(-1).any()


# --- damage ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.5, 0.9, 0.99])
@pytest.mark.parametrize("format", [*pictures.FORMATS, "gif", "bmp", "ppm"])
def test_truncated_files_are_refused(format: str, share: float) -> None:
    data = saved(np.random.default_rng(0).integers(0, 256, (200, 200, 3), np.uint8), format)
    with pytest.raises(DamagedImageError, match=f"^<bytes>: the {format.upper()} is cut off or damaged.*; get a complete copy"):
        decode(data[: int(len(data) * share)])


@pytest.mark.parametrize(
    ("format", "share", "rows"), [("jpeg", 0.5, 40), ("png", 0.5, 8), ("bmp", 0.5, 1), ("ppm", 0.5, 1), ("tiff", 0.5, 16)]
)
def test_what_decodes_is_taken_on_request_and_the_rest_is_counted(format: str, share: float, rows: int) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (200, 200, 3), np.uint8)
    data = saved(noise, format)
    image = decode(data[: int(len(data) * share)], allow_truncated=True)
    assert image.samples.shape == (200, 200, 3)
    (message,) = [n.message for n in image.notices if n.code == "truncated"]
    where, missing = message.partition(": the ")[2].split()[:2]
    assert where == ("first" if format == "bmp" else "last")
    assert abs(int(missing) - 100) <= rows, message
    good = slice(int(missing), None) if format == "bmp" else slice(0, 200 - int(missing))
    assert np.array_equal(image.samples[good], decode(data).samples[good])


def test_a_header_that_promises_far_more_rows_costs_and_shows_nothing() -> None:
    """A PNG of 48 rows that claims to have 400,000: what is real is kept, the rest is black, and it takes no minutes."""
    data = bytearray(saved(pictures.pixels() | 1, "png"))
    data[20:24] = struct.pack(">I", 400_000)
    data[29:33] = struct.pack(">I", zlib.crc32(bytes(data[12:29])))
    image = decode(bytes(data), allow_truncated=True)
    assert np.array_equal(image.samples[:48], pictures.pixels() | 1)
    assert not image.samples[48:].any()
    assert [n.message for n in image.notices] == [
        "the file is cut off or damaged: the last 399952 of 400000 rows (100 %) are missing or wrong"
    ]


def test_a_whole_file_is_not_called_truncated() -> None:
    for format in (*pictures.FORMATS, "gif", "bmp", "ppm"):
        data = saved(pictures.pixels(), format)
        lenient, strict = decode(data, allow_truncated=True), decode(data)
        assert np.array_equal(lenient.samples, strict.samples)
        assert codes(lenient) == codes(strict)


def test_the_sentence_says_how_far_it_got_and_what_to_do() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (200, 200, 3), np.uint8)
    data = saved(noise, "png")
    with pytest.raises(DamagedImageError) as caught:
        decode(data[: len(data) // 2])
    assert str(caught.value) == f"<bytes>: the PNG is cut off or damaged after row 80 of 200 (libpng read error); {COMPLETE}"


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_flipped_bits_give_a_picture_or_a_refusal(data: st.DataObject) -> None:
    format = data.draw(st.sampled_from([*pictures.FORMATS, "gif", "bmp", "ppm"]))
    blob = bytearray(FLIPPED.setdefault(format, pictures.file(format, meta=format in pictures.FORMATS)))
    for _ in range(data.draw(st.integers(1, 6))):
        blob[data.draw(st.integers(0, len(blob) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    for lenient in (False, True):
        try:
            image = decode(bytes(blob), allow_truncated=lenient)
        except InputError as refusal:
            said = str(refusal)
        else:
            said = ""
            assert image.samples.shape == (image.header.height, image.header.width, image.header.bands)
        assert "\n" not in said


FLIPPED: dict[str, bytes] = {}


# --- refusals, word for word -------------------------------------------------------------------------------------------

REFUSED: list[tuple[bytes, type[EnlargerError], str]] = [
    (b"", NotAnImageError, "the file is empty (0 bytes); check that it was copied completely"),
    (b"\xff", NotAnImageError, f"this is no picture that Enlarger knows (starts with ff); {READ}"),
    (b"hello, not an image\n", NotAnImageError, f"this is text, not a picture (starts with 'hello, not an im'); {READ}"),
    (b"<!DOCTYPE html><html>404", NotAnImageError, "this is a web page, not a picture; download the picture itself"),
    (
        b"<?xml version='1.0'?>\n<svg xmlns=''/>",
        NotAnImageError,
        "this is SVG, which is vector graphics and needs no enlarging; render it at the size you need",
    ),
    (b"%PDF-1.7\n", NotAnImageError, "this is a PDF document; export its page as PNG or TIFF first"),
    (
        b"%!PS-Adobe-3.0 EPSF-3.0\n",
        NotAnImageError,
        "this is PostScript (EPS), which is a program and not pixels; export it as PNG or TIFF first",
    ),
    (b"push graphic-context\n", NotAnImageError, "this is an MVG drawing, which is a program and not pixels; export it as PNG first"),
    (b"8BPS\0\1", NotAnImageError, "this is a Photoshop document (PSD); export it as TIFF or PNG first"),
    (
        b"\0\0\0\x18ftypheic\0\0\0\0mif1heic",
        NotAnImageError,
        "this is HEIC/HEIF, which this build cannot read; convert it to PNG, TIFF or JPEG first",
    ),
    (b"\xff\x0a\xfa\x1f", NotAnImageError, "this is JPEG XL, which this build cannot read; convert it to PNG, TIFF or JPEG first"),
    (
        b"\0\0\0\x0cjP  \r\n\x87\n",
        NotAnImageError,
        "this is JPEG 2000, which this build cannot read; convert it to PNG, TIFF or JPEG first",
    ),
    (b"v/1\x01\2\0\0\0", NotAnImageError, "this is OpenEXR, which this build cannot read; convert it to a float TIFF first"),
    (b"II*\0\x10\0\0\0CR\2\0", NotAnImageError, "this is camera raw; develop it to TIFF or JPEG first"),
    (b"PK\3\4\x14\0", NotAnImageError, "this is a ZIP archive; unpack it first"),
    (b"\0\0\0\x18ftypmp42\0\0\0\0", NotAnImageError, "this is a video; save the frame you need as PNG first"),
    (png(0, 10), DamagedImageError, "the header says the picture is 0 x 10 pixels; get a complete copy"),
    (
        png(100_000, 100_000),
        SourceTooLargeError,
        "the picture is 100000 x 100000 pixels (10000 MP), more than the limit of 300 MP; crop or reduce it first",
    ),
    (
        png(4000, 4000),
        DamagedImageError,
        f"the PNG is cut off or damaged before its first rows are complete (libpng read error); {COMPLETE}",
    ),
    (
        b"P5 65535 65535 255 ",
        SourceTooLargeError,
        "the picture is 65535 x 65535 pixels (4295 MP), more than the limit of 300 MP; crop or reduce it first",
    ),
]


@pytest.mark.parametrize(("data", "kind", "sentence"), REFUSED, ids=lambda v: None)
def test_refusals_are_one_clear_sentence(data: bytes, kind: type[EnlargerError], sentence: str, tmp_path: Path) -> None:
    path = tmp_path / "innocent.jpg"
    path.write_bytes(data)
    for source, name in ((path, str(path)), (data, "<bytes>")):
        with pytest.raises(kind) as caught:
            decode(source)
        assert str(caught.value) == f"{name}: {sentence}"
    if "cut off" not in sentence:
        with pytest.raises(kind):
            probe(data)


def test_unusual_samples_are_refused_with_a_sentence() -> None:
    five, wide = pictures.pixels(bands=3), np.zeros((4, 4, 1), np.uint32)
    five = np.concatenate((five, five[..., :2]), 2)
    for data, sentence in (
        (
            tiff(five),
            "the picture has 5 channels, of which Enlarger knows grey, RGB, CMYK and one of transparency;"
            " save the channels you need as RGB or grey first",
        ),
        (tiff(wide), "the picture holds 32-bit integers, whose white is not known; convert it to 16-bit first"),
        (
            tiff(np.zeros((4, 4, 1), np.complex64)),
            "the TIFF holds complex numbers, which are no picture; convert it to 16-bit RGB or grey first",
        ),
    ):
        with pytest.raises(InputError) as caught:
            decode(data)
        assert str(caught.value) == f"<bytes>: {sentence}"


def test_names_that_belie_the_content_are_read_and_noted(tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    path.write_bytes(saved(pictures.pixels(), "jpeg"))
    assert [n.message for n in decode(path).notices] == ["the file is named like another format but holds JPEG"]


def test_files_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def sentence(path: Path, kind: type[EnlargerError]) -> str:
        with pytest.raises(kind) as caught:
            decode(path)
        return str(caught.value).removeprefix(str(tmp_path))

    assert sentence(tmp_path / "none.png", SourceMissingError) == "/none.png: no such file; check the path"
    folder = tmp_path / "folder.png"
    folder.mkdir()
    assert sentence(folder, SourceUnreadableError) == "/folder.png: this is a folder, not a picture file; name the pictures in it"
    loop = tmp_path / "loop.png"
    loop.symlink_to(loop)
    assert sentence(loop, SourceUnreadableError) == "/loop.png: the link points at itself; name the picture it should lead to"
    with socket.socket(socket.AF_UNIX) as server:
        monkeypatch.chdir(tmp_path)
        server.bind("s.png")
        assert "this is a socket, not a picture file" in sentence(tmp_path / "s.png", SourceUnreadableError)
    assert sentence(tmp_path / ("x" * 5000), SourceUnreadableError).endswith(
        ": cannot be read (file name too long); check the path and the disk"
    )

    def denied(*_: object, **__: object) -> int:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("enlarger.files.reader.os.open", denied)
    assert (
        sentence(tmp_path / "secret.png", SourceUnreadableError) == "/secret.png: permission denied; make the file readable for this user"
    )


def test_a_pipe_does_not_hang(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.png"
    os.mkfifo(pipe)
    caught: list[BaseException] = []

    def attempt() -> None:
        try:
            decode(pipe)
        except SourceUnreadableError as error:
            caught.append(error)

    thread = threading.Thread(target=attempt, daemon=True)
    thread.start()
    thread.join(10)
    assert [str(e) for e in caught] == [f"{pipe}: this is a pipe, not a picture file; save the picture to a file first"]


def test_names_with_newlines_are_read_and_stay_one_line(tmp_path: Path) -> None:
    path = tmp_path / "two\nlines.png"
    path.write_bytes(saved(pictures.pixels(), "png"))
    assert decode(path).header.name == str(path)
    path.write_bytes(b"rubbish")
    with pytest.raises(NotAnImageError) as caught:
        decode(path)
    assert "two\\nlines.png: this is text" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_full_disk_is_an_error_not_a_crash(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(canvas_module, "IN_MEMORY", 10)
    monkeypatch.setattr(canvas_module.os, "posix_fallocate", full)
    with pytest.raises(EnlargerError, match="no room for 0 MB of temporary data"):
        decode(saved(pictures.pixels(), "png"))


QUIET = """
import sys
import enlarger.steps.encode
from enlarger.errors import EnlargerError
from enlarger.steps.decode import decode
for path in sys.argv[1:]:
    try:
        decode(path, allow_truncated=True)
    except EnlargerError:
        pass
"""


def test_libvips_says_nothing_by_itself(tmp_path: Path) -> None:
    whole = {format: pictures.file(format) for format in pictures.FORMATS}
    for format, data in whole.items():
        (tmp_path / f"half.{format}").write_bytes(data[: len(data) // 2])
        (tmp_path / f"bent.{format}").write_bytes(data[:400] + data[600:])
    command = [sys.executable, "-c", QUIET, *map(str, sorted(tmp_path.iterdir()))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


# --- arrays and Pillow -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bands", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_arrays_are_taken_as_they_are(dtype: Any, bands: int) -> None:
    array = pictures.pixels(bands=bands, dtype=dtype)
    if bands in (2, 4):
        array[..., -1] = np.iinfo(dtype).max
    image = decode(array)
    assert np.array_equal(image.samples, array)
    assert probe(array) == image.header
    assert (image.header.format, image.header.flat, image.channels) == ("array", False, 1 if bands < 3 else 3)
    assert image.sha256 == hashlib.sha256(array.tobytes()).hexdigest()
    assert array.flags.writeable
    assert not image.samples.flags.writeable


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_float_arrays_are_not_linear(dtype: Any) -> None:
    array = np.array([[0.0, 0.25], [0.5, 1.0]], dtype)
    image = decode(array)
    assert image.samples[..., 0].tolist() == [[0, 16384], [32768, 65535]]
    assert (image.transfer, image.header.bits, image.header.flat) == (Transfer(), 32, True)


@pytest.mark.parametrize(
    ("array", "what"),
    [
        (np.zeros((4, 4), np.int32), "an array of int32 is no picture"),
        (np.zeros((4, 4), bool), "an array of bool is no picture"),
        (np.zeros((4, 4, 5), np.uint8), "an array of shape (4, 4, 5) is no picture"),
        (np.zeros(4, np.uint8), "an array of shape (4,) is no picture"),
        (np.zeros((0, 4), np.uint8), "an array of shape (0, 4) is no picture"),
        (np.array([[0.5, np.nan]]), "the array holds NaN"),
        (np.array([[0.5, np.inf]]), "the array holds values from 0.5 to inf"),
        (np.array([[-0.5, 255.0]]), "the array holds values from -0.5 to 255"),
    ],
)
def test_arrays_that_are_no_pictures(array: NDArray[Any], what: str) -> None:
    hint = "floats must lie between 0 and 1" if "holds" in what else "give (h, w) or (h, w, 1 to 4) of uint8, uint16, or floats from 0 to 1"
    with pytest.raises(InputError) as caught:
        decode(array)
    assert str(caught.value) == f"<array>: {what}; {hint}"


@pytest.mark.parametrize(
    ("mode", "bands", "dtype"),
    [
        *((mode, 1, np.uint8) for mode in ("1", "L")),
        *((mode, 2, np.uint8) for mode in ("LA", "La")),
        *((mode, 3, np.uint8) for mode in ("RGB", "RGBX", "YCbCr", "HSV", "CMYK")),
        *((mode, 4, np.uint8) for mode in ("RGBA", "RGBa")),
        *((mode, 1, np.uint16) for mode in ("I;16", "I")),
    ],
)
def test_pillow_pictures_of_every_mode(mode: str, bands: int, dtype: Any) -> None:
    via = {"RGBa": "RGBA", "La": "LA", "I;16": "L", "I": "L"}.get(mode, "RGB")
    base = PIL.Image.new(via, (5, 3), {"RGBA": (200, 100, 50, 255), "LA": (200, 255), "L": 200}.get(via, (200, 100, 50)))
    image = decode(base.convert(mode))
    assert image.samples.shape == (3, 5, bands)
    assert image.samples.dtype == dtype
    if bands >= 3:
        assert np.abs(image.samples[0, 0, :3].astype(int) - (200, 100, 50)).max() <= (60 if mode == "CMYK" else 6)


def test_pillow_pictures_keep_what_they_carry() -> None:
    picture = PIL.Image.open(io.BytesIO(pictures.file("jpeg", orientation=6)))
    image = decode(picture)
    assert (image.width, image.height, image.header.format) == (48, 64, "pil")
    assert image.metadata.icc == pictures.SRGB
    assert image.metadata.dpi == (300, 300)
    assert b"(c) somebody" in (image.metadata.exif or b"")
    assert b'tiff:Orientation="1"' in (image.metadata.xmp or b"")
    assert probe(picture) == image.header


def test_things_that_are_no_source() -> None:
    with pytest.raises(InputError) as caught:
        decode(12)  # type: ignore[arg-type]
    assert str(caught.value) == "cannot read a picture from int; give a path, bytes, an array or a PIL image"


def test_an_image_is_itself() -> None:
    image = decode(pictures.pixels())
    assert decode(image) is image
    assert probe(image) is image.header


# --- the sample pictures -----------------------------------------------------------------------------------------------


def sweep(folder: Path) -> dict[str, Image | EnlargerError]:
    """Every file of a folder as an Image or as an error of ours; anything else fails the test."""
    found: dict[str, Image | EnlargerError] = {}
    for path in sorted(folder.iterdir()):
        for lenient in (True, False):
            try:
                found[path.name] = decode(path, allow_truncated=lenient)
            except EnlargerError as error:
                found[path.name] = error
            check(path, found[path.name])
    return found


def check(path: Path, got: Image | EnlargerError) -> None:
    if isinstance(got, Image):
        assert got.samples.shape == (got.header.height, got.header.width, got.header.bands)
    else:
        assert str(got).startswith(f"{path}: ")
        assert len(str(got).splitlines()) == 1


@pytest.mark.samples
@pytest.mark.parametrize("folder", ["pngsuite", "pillow", "orientation"])
def test_odd_pictures_decode_or_are_refused(samples: Path, folder: str) -> None:
    found = sweep(samples / "odd" / folder)
    pictures_found = [i for i in found.values() if isinstance(i, Image)]
    assert len(pictures_found) > {"pngsuite": 160, "pillow": 400, "orientation": 8}[folder]


@pytest.mark.samples
def test_pngsuite_decodes_like_pillow(samples: Path) -> None:
    compared = 0
    for path in sorted((samples / "odd" / "pngsuite").glob("*.png")):
        if path.name.startswith("x"):
            with pytest.raises(InputError):
                decode(path)
            continue
        ours = decode(path)
        # Pillow compares the transparent value of 4-bit grey before scaling it.
        if ours.header.bits == 8 and path.name != "tbbn0g04.png":
            theirs = np.asarray(PIL.Image.open(path).convert({1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}[ours.header.bands]))
            theirs = theirs.reshape(ours.samples.shape)
            seen = theirs[..., -1] > 1 if ours.alpha else np.ones(theirs.shape[:2], bool)
            assert np.array_equal(ours.samples[seen], theirs[seen]), path.name
            compared += 1
    assert compared > 100


@pytest.mark.samples
def test_orientation_examples_all_look_alike(samples: Path) -> None:
    files = sorted((samples / "odd" / "orientation").glob("Landscape_[1-8].jpg"))
    assert len(files) == 8
    small = [decode(f).samples[::40, ::40].astype(int) for f in files]
    assert all(np.abs(s - small[0]).mean() < 12 for s in small)


FINE = ("ok", "grey stays", "16-bit", "upright", "RGBA", "alpha out", "correct colour", "ignored", "treated", "no magenta")


@pytest.mark.samples
def test_made_pictures_do_what_their_manifest_says(samples: Path) -> None:
    folder = samples / "odd" / "made"
    found = sweep(folder)
    manifest = json.loads((folder / "MANIFEST.json").read_text())
    assert len(manifest) > 120
    for row in manifest:
        name, expect, got = row["file"], row["expect"], found.get(row["file"])
        if got is None:  # very large ones are not handed around with the rest
            continue
        if expect.startswith(("clear error", "error by default", "refused")) and not name.startswith("27"):
            assert isinstance(got, InputError), name
        elif expect.startswith(FINE) and " or error" not in expect:
            assert isinstance(got, Image), name


@pytest.mark.samples
@pytest.mark.parametrize(
    ("name", "notices"),
    [
        ("13_wrongext.png", {"name-belies-content"}),
        ("32_iccp_bomb.png", {"metadata-too-large"}),
        ("50_cmyk.jpg", {"cmyk-converted"}),
        ("57_orient99.jpg", {"orientation-invalid"}),
        ("58_exif_garbage.jpg", {"exif-invalid"}),
        ("61_icc_trunc.png", {"icc-invalid"}),
        ("62_icc_garbage.jpg", {"icc-invalid"}),
        ("63_icc_labspace.png", {"icc-invalid"}),
        ("64_icc_on_gray.png", {"icc-invalid"}),
        ("70_anim.gif", {"frames-dropped", "palette-expanded"}),
        ("71_anim.webp", {"frames-dropped"}),
        ("72_anim.png", {"frames-dropped"}),
        ("73_multipage.tif", {"frames-dropped"}),
        ("81_float_nan.tif", {"nan-replaced", "negative-clipped"}),
    ],
)
def test_made_pictures_are_noted(samples: Path, name: str, notices: set[str]) -> None:
    assert codes(decode(samples / "odd" / "made" / name)) == notices
