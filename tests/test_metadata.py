"""EXIF, XMP and ICC blobs as bytes; Pillow is the second opinion on every EXIF that comes out."""

from __future__ import annotations

import time

import PIL.Image
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests import pictures

from enlarger.files import metadata as md


def read(blob: bytes | None) -> PIL.Image.Exif:
    assert blob is not None
    found = PIL.Image.Exif()
    found.load(blob)
    return found


def test_refresh_brings_orientation_sizes_and_resolution_up_to_date_in_place() -> None:
    before = pictures.exif(orientation=6).tobytes()
    after = md.refresh_exif(before, 400, 300, (72.5, 72.5))
    tags = read(after)
    assert (tags[0x112], float(tags[0x11A]), float(tags[0x11B]), tags[0x128]) == (1, 72.5, 72.5, 2)
    own = tags.get_ifd(0x8769)
    assert (own[0xA002], own[0xA003]) == (400, 300)
    assert after is not None
    assert after.index(pictures.MAKER_NOTE) == before.index(pictures.MAKER_NOTE), "a MakerNote that moves is broken"
    assert len(after) == len(before)


def test_everything_else_survives_unchanged() -> None:
    before = pictures.exif(orientation=6).tobytes()
    want = md.tags(before)
    assert {"Copyright", "MakerNote", "LensModel", "UserComment", "0xFDE8", "GPS 0x0002"} <= set(want)
    assert md.tags(md.refresh_exif(before, 400, 300, (600, 600))) == want


def test_resolution_is_added_where_none_was_without_moving_anything() -> None:
    before = pictures.exif(dpi=None).tobytes()
    after = md.refresh_exif(before, 64, 48, (300, 300))
    tags = read(after)
    assert (float(tags[0x11A]), float(tags[0x11B]), tags[0x128], tags[0x8298]) == (300, 300, 2, "(c) somebody")
    assert md.tags(after) == md.tags(before)
    assert after is not None
    assert after.index(pictures.MAKER_NOTE) == before.index(pictures.MAKER_NOTE)


def test_no_resolution_is_invented() -> None:
    after = read(md.refresh_exif(pictures.exif(dpi=None).tobytes(), 64, 48, None))
    assert 0x11A not in after
    assert md.refresh_exif(None, 64, 48, None) is None


def test_exif_is_made_for_a_resolution_alone() -> None:
    tags = read(md.refresh_exif(None, 64, 48, (150, 75)))
    assert (float(tags[0x11A]), float(tags[0x11B]), tags[0x128]) == (150, 75, 2)


def with_thumbnail(order: md.Order) -> tuple[bytes, bytes]:
    """EXIF whose second directory holds a thumbnail at the very end, and the thumbnail."""
    picture = b"\xff\xd8THUMBNAIL\xff\xd9!"
    main = {0x10F: md.Entry(2, 6, b"Maker\0")}
    mark = b"II*\0" if order == "little" else b"MM\0*"
    length = sum(map(len, md.directory(main, 8, order)))
    place = md.Entry(4, 1, (8 + length + 30).to_bytes(4, order))
    thumb = {0x201: place, 0x202: md.Entry(4, 1, len(picture).to_bytes(4, order))}
    head, data = md.directory(main, 8, order, after=8 + length)
    second = b"".join(md.directory(thumb, 8 + length, order))
    assert len(second) == 30
    return md.EXIF_PREFIX + mark + (8).to_bytes(4, order) + head + data + second + picture, picture


@pytest.mark.parametrize("order", ["little", "big"])
def test_thumbnail_is_gone_and_leaves_no_bytes(order: md.Order) -> None:
    before, picture = with_thumbnail(order)
    parsed = md.parse(before)
    assert parsed is not None
    assert parsed.thumbnail
    after = md.refresh_exif(before, 10, 10, None)
    assert after is not None
    assert picture not in after
    assert len(after) == len(before) - len(picture)
    again = md.parse(after)
    assert again is not None
    assert not again.thumbnail
    assert again.main[0x10F].value == b"Maker\0"


@pytest.mark.parametrize("value", [0, 9, 99, 65535])
def test_orientation_is_told_even_when_it_means_nothing(value: int) -> None:
    blob = pictures.exif(orientation=value, dpi=None).tobytes()
    assert md.orientation(blob) == value
    assert md.orientation(md.refresh_exif(blob, 1, 1, None)) == md.orientation(md.refresh_exif(blob, 1, 1, (300, 300))) == 1


def test_a_directory_that_points_at_itself_ends() -> None:
    loop = md.EXIF_PREFIX + b"II*\0\x08\0\0\0" + b"\x01\0" + b"\x0f\x01\x02\0\x04\0\0\0abc\0" + b"\x08\0\0\0"
    parsed = md.parse(loop)
    assert parsed is not None
    assert parsed.main[0x10F].value == b"abc\0"
    assert not parsed.thumbnail


@given(st.data())
def test_damaged_exif_never_raises(data: st.DataObject) -> None:
    blob = bytearray(pictures.exif(orientation=6).tobytes())
    for _ in range(data.draw(st.integers(1, 8))):
        blob[data.draw(st.integers(6, len(blob) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(blob[: data.draw(st.integers(6, len(blob)))])
    after = md.refresh_exif(cut, 400, 300, (300, 300))
    assert after is not None
    assert md.orientation(after) in (None, 1)
    md.tags(after)


def test_byte_order_can_be_changed() -> None:
    big = {
        0x112: md.Entry(3, 1, b"\0\6"),
        0x11A: md.Entry(5, 1, b"\0\0\1\x2c\0\0\0\1"),
        0x927C: md.Entry(7, 3, b"abc"),
        2: md.Entry(2, 3, b"xy\0"),
    }
    little = md.swapped(big, "big", "little")
    assert [e.value for e in little.values()] == [b"\6\0", b"\x2c\1\0\0\1\0\0\0", b"abc", b"xy\0"]
    assert md.swapped(little, "little", "big") == big


@pytest.mark.parametrize(("dpi", "value"), [(300, (300, 1)), (72.5, (7250, 100)), (95.9866, (959866, 10_000))])
def test_fractions_are_small_and_exact(dpi: float, value: tuple[int, int]) -> None:
    raw = md.fraction(dpi, "big")
    assert (int.from_bytes(raw[:4], "big"), int.from_bytes(raw[4:], "big")) == value


def test_xmp_is_brought_up_to_date_in_both_spellings() -> None:
    after = md.refresh_xmp(pictures.XMP, 256, 192)
    assert after is not None
    for text in (
        b'tiff:Orientation="1"',
        b'tiff:ImageWidth="256"',
        b'tiff:ImageLength="192"',
        b"PixelXDimension>256<",
        b"PixelYDimension>192<",
    ):
        assert text in after
    assert b"<dc:rights>kept</dc:rights>" in after


def test_xmp_loses_thumbnails_and_gain_map() -> None:
    packet = (
        b'<d hdrgm:Version="1.0" a="b"><xmp:Thumbnails><x>data</x></xmp:Thumbnails>'
        b"<Container:Directory><i/></Container:Directory><k>kept</k></d>"
    )
    assert md.refresh_xmp(packet, 1, 1) == b'<d a="b"><k>kept</k></d>'


@pytest.mark.parametrize(
    "unit", [b" ", b"<xmp:Thumbnails>", b"<tiff:Orientation", b' tiff:Orientation="', b"<Container:Directory ", b" hdrgm:a=", b"<"]
)
def test_hostile_packets_cost_no_more_than_their_length(unit: bytes) -> None:
    packet = unit * (md.MAX_XMP // len(unit))
    started = time.perf_counter()
    md.refresh_xmp(packet, 10, 10)
    assert time.perf_counter() - started < 2


def changed(at: int, value: bytes) -> bytes:
    return pictures.SRGB[:at] + value + pictures.SRGB[at + len(value) :]


@pytest.mark.parametrize(
    ("icc", "channels", "fault"),
    [
        (pictures.SRGB, 3, None),
        (pictures.SRGB, 1, "it is for RGB colour, the picture is grey"),
        (pictures.SRGB, 4, "it is for RGB colour, the picture is CMYK"),
        (changed(16, b"Lab "), 3, "it is for Lab colour, the picture is RGB"),
        (pictures.SRGB[:200], 3, "it is cut off"),
        (b"x" * 3000, 3, "it is no ICC profile"),
        (b"", 3, "it is no ICC profile"),
        (changed(12, b"link"), 3, "it is of the class 'link'"),
        (changed(128, b"\0\0\xff\xff"), 3, "its tag table is damaged"),
    ],
)
def test_profiles_that_do_not_fit_are_named(icc: bytes, channels: int, fault: str | None) -> None:
    assert md.icc_fault(icc, channels) == fault
