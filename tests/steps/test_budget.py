"""Files of at most so many bytes, and metadata that stays out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow
from skimage import data

from enlarger.errors import OutputError, UsageError
from enlarger.files import metadata as md
from enlarger.files.private import public
from enlarger.formats import FORMATS
from enlarger.steps import budget, encode
from enlarger.steps.decode import decode
from enlarger.steps.encode import Target


def sizes(each: Callable[[int], int]) -> tuple[Callable[[int], int], list[int]]:
    tried: list[int] = []

    def written(quality: int) -> int:
        tried.append(quality)
        return each(quality)

    return written, tried


@pytest.mark.parametrize("most", [501, 1234, 5000, 9650])
def test_the_highest_that_fits_is_found_and_written_last(most: int) -> None:
    written, tried = sizes(lambda quality: 100 * quality)
    found = budget.highest(written, most, FORMATS["jpeg"])
    assert 100 * found <= most < 100 * (found + 1)
    assert tried[-1] == found
    assert len(tried) <= 10


def test_room_for_everything_takes_one_try() -> None:
    written, tried = sizes(lambda quality: quality)
    assert budget.highest(written, 1000, FORMATS["webp"]) == budget.HIGHEST["webp"]
    assert len(tried) == 1


def test_what_cannot_be_is_said_with_what_could() -> None:
    written, _ = sizes(lambda quality: 1000 * quality)
    with pytest.raises(OutputError, match=r"smaller than 5 kB as jpeg of this size, 3 kB are allowed; allow more"):
        budget.highest(written, 3000, FORMATS["jpeg"])
    with pytest.raises(UsageError, match="png cannot be chosen"):
        budget.highest(written, 3000, FORMATS["png"])


@pytest.mark.parametrize("name", ["jpeg", "webp", "avif"])
def test_a_real_file_is_just_below(name: str, tmp_path: Path) -> None:
    picture = np.ascontiguousarray(data.astronaut()[:256, :256])
    path = tmp_path / f"a.{name}"
    written = encode.save(picture, Target(name, None, 256, 256, 8, max_bytes=9000), decode(picture), path)
    assert 6500 < path.stat().st_size == written.bytes <= 9000
    assert budget.LOWEST <= (written.quality or 0) <= budget.HIGHEST[name]
    with pytest.raises(OutputError, match="cannot be made smaller"):
        encode.save(picture, Target(name, None, 256, 256, 8, max_bytes=300), decode(picture), tmp_path / f"b.{name}")
    assert sorted(tmp_path.iterdir()) == [path], "nothing is left of what did not fit"


@pytest.fixture
def telling(tmp_path: Path) -> bytes:
    """A JPEG whose EXIF says where, by whom and with which camera, and how long it was exposed."""
    exif = Pillow.Exif()
    exif[0x10F], exif[0x8298], exif[0x13B] = "Maker", "(c) A. Person", "A. Person"
    exif[0x9C9D] = "Author".encode("utf-16-le")
    own = exif.get_ifd(md.EXIF_IFD)
    own[0x829A], own[0xA431], own[0x9286], own[md.MAKER_NOTE] = (1, 125), "SERIAL-12345", b"ASCII\0\0\0secret", b"note of the maker"
    gps = exif.get_ifd(md.GPS_IFD)
    gps[1], gps[2] = "N", (48.0, 12.0, 30.5)
    path = tmp_path / "telling.jpg"
    Pillow.fromarray(np.ascontiguousarray(data.astronaut()[:48, :64])).save(path, exif=exif, dpi=(300, 300))
    return path.read_bytes()


@pytest.mark.parametrize("name", ["jpeg", "png", "webp", "tiff"])
def test_private_metadata_stays_out(name: str, telling: bytes, tmp_path: Path) -> None:
    source = decode(telling)
    assert len(md.tags(source.metadata.exif)) > 6
    paths = {strip: tmp_path / f"{strip}.{name}" for strip in (None, "private", "all")}
    for strip, path in paths.items():
        encode.save(source.samples, Target(name, None, source.width, source.height, 8, strip=strip), source, path)  # type: ignore[arg-type]
    whole, private, bare = (path.read_bytes() for path in paths.values())
    for secret in (b"SERIAL-12345", b"secret", b"note of the maker"):
        assert secret in whole
        assert secret not in private
        assert secret not in bare
    with Pillow.open(paths["private"]) as opened:
        exif = opened.getexif()
        assert exif[0x8298] == "(c) A. Person"
        assert exif.get_ifd(md.EXIF_IFD)[0x829A] == (1, 125)
        assert not exif.get_ifd(md.GPS_IFD)
        assert 0x13B not in exif
        assert round(float(opened.info["dpi"][0])) == 300 if "dpi" in opened.info else name == "webp"
    assert b"A. Person" not in bare


def test_nothing_left_is_nothing() -> None:
    assert public(None) is None
    only = md.build({0x13B: md.Entry(2, 4, b"Me!\0")}, {}, {}, {}, "little")
    assert public(only) is None
