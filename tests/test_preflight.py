"""What does not fit is found out before the work, in one line."""

import io
import shutil
import zlib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import PIL.Image
import pytest

import enlarger
from enlarger import preflight
from enlarger.formats import FORMATS
from enlarger.steps import decode

PICTURE = np.zeros((300, 400, 3), np.uint8)
OPTIONS = {"engine": "resample"}


@pytest.fixture(autouse=True)
def _no_pixel_is_touched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("enlarger.pipeline.decode", lambda *words, **more: pytest.fail("work began although there is no room"))


def disk(monkeypatch: pytest.MonkeyPatch, free: int) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=free))


def test_too_little_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk(monkeypatch, 20 * 10**6)
    with pytest.raises(enlarger.DiskFullError) as caught:
        enlarger.enlarge(PICTURE, 4, output=tmp_path / "a.png", **OPTIONS)
    # 1600 x 1200 x 3 samples of 16 bits and 2.2 bytes a pixel of PNG, and 16 MB that are left alone.
    assert str(caught.value) == (
        f"{tmp_path}: about 16 MB of disk would be needed (12 MB of it for the work in progress), 20 MB are free; "
        "free some space, or choose another place with --output or --temp"
    )
    assert list(tmp_path.iterdir()) == []


def test_what_an_interrupted_run_left_needs_no_room_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    work = tmp_path / ".a.png.enlarger"
    work.mkdir()
    (work / "canvas-0").write_bytes(bytes(5 * 10**6))
    disk(monkeypatch, 29 * 10**6)
    tool = enlarger.Enlarger(scale=4, **OPTIONS)
    assert tool.plan(PICTURE, tmp_path / "a.png").estimate.disk_temporary == 1600 * 1200 * 3 * 2
    with pytest.raises(enlarger.DiskFullError):
        tool.plan(PICTURE, tmp_path / "b.png")


def test_too_little_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "free_memory", lambda: 140 * 10**6)
    enlarger.Enlarger(scale=4, **OPTIONS).plan(PICTURE, tmp_path / "a.png")
    with pytest.raises(enlarger.OutOfMemoryError, match=r"would be needed, 140 MB are free; webp is encoded whole: choose --format"):
        enlarger.enlarge(PICTURE, 4, output=tmp_path / "a.webp", **OPTIONS)
    with pytest.raises(enlarger.OutOfMemoryError, match="lower --memory, or close other programs"):
        enlarger.enlarge(PICTURE, 4, output=tmp_path / "a.png", model="enlarger-photo-x4", device="cpu")
    assert list(tmp_path.iterdir()) == []


def test_free_memory_is_what_the_system_says() -> None:
    free = preflight.free_memory()
    assert free is None or 10**7 < free < 10**14


@pytest.mark.parametrize(
    ("width", "quality", "fits"),
    [(8192, 95, True), (8300, 95, False), (12288, 80, True), (12300, 80, False), (12288, 81, False), (16383, 100, True)],
)
def test_lossy_webp_fails_below_its_nominal_limit(width: int, quality: int, fits: bool) -> None:
    if fits:
        FORMATS["webp"].check_fits(width, width, quality=quality)
    else:
        with pytest.raises(enlarger.FormatLimitError, match=r"lossy webp does not hold .* MP at quality .*; choose --quality 80"):
            FORMATS["webp"].check_fits(width, width, quality=quality)


# --- sources that are decoded whole ---------------------------------------------------------------------------------------


def progressive(width: int, height: int, sampling: int) -> bytes:
    """A progressive JPEG up to its first scan, of which the header says ``width`` x ``height``."""
    parts = b"\1" + bytes([sampling]) + b"\0\2\x11\0\3\x11\0"
    frame = b"\x08" + height.to_bytes(2, "big") + width.to_bytes(2, "big") + b"\3" + parts
    small = io.BytesIO()
    PIL.Image.fromarray(PICTURE[:16, :16]).save(small, "JPEG", progressive=True)
    data = small.getvalue()
    at = data.index(b"\xff\xc2")
    return (
        data[:at]
        + b"\xff\xc2"
        + (len(frame) + 2).to_bytes(2, "big")
        + frame
        + data[at + 2 + int.from_bytes(data[at + 2 : at + 4], "big") :]
    )


def saved(picture: np.ndarray, format: str, **more: object) -> bytes:
    file = io.BytesIO()
    PIL.Image.fromarray(picture).save(file, format, **more)
    return file.getvalue()


def in_scans(planes: list[np.ndarray]) -> bytes:
    """A baseline JPEG of three components of one size, each in a scan of its own.

    Such a scan holds what the scan of a grey JPEG holds, so it is put together from three of them.
    """
    grey = [saved(plane, "JPEG", quality=90) for plane in planes]
    frame, scans = grey[0].index(b"\xff\xc0"), [data.index(b"\xff\xda") for data in grey]
    sizes = grey[0][frame + 4 : frame + 9]
    three = b"\xff\xc0\0\x11" + sizes + b"\3" + b"".join(bytes([number, 0x11, 0]) for number in (1, 2, 3))
    head = grey[0][:frame] + three + grey[0][frame + 13 : scans[0]]
    parts = [b"\xff\xda\0\x08\1" + bytes([i + 1]) + data[at + 6 : -2] for i, (data, at) in enumerate(zip(grey, scans, strict=True))]
    return head + b"".join(parts) + b"\xff\xd9"


YCC = np.asarray(PIL.Image.fromarray(PICTURE).convert("YCbCr"))


@pytest.mark.parametrize(
    ("source", "per_pixel"),
    [
        (saved(PICTURE, "JPEG"), 0),
        (saved(PICTURE[..., 0], "JPEG"), 0),
        (in_scans([YCC[..., band] for band in range(3)]), 1.15 * 6),
        (saved(PICTURE, "JPEG", progressive=True, subsampling=2), 1.15 * 3),
        (saved(PICTURE, "JPEG", progressive=True, subsampling=0), 1.15 * 6),
        (saved(PICTURE[..., 0], "JPEG", progressive=True), 1.15 * 2),
        (saved(PICTURE, "PNG"), 0),
        (saved(PICTURE, "WEBP"), 8),
        (saved(PICTURE, "AVIF"), 15),
        (saved(PICTURE, "TIFF"), 0),
    ],
)
def test_what_decoding_takes_at_once_is_in_the_header(source: bytes, per_pixel: float) -> None:
    header = decode.probe(source)
    assert header.at_once == pytest.approx(per_pixel * header.width * header.height, abs=1)


def test_a_jpeg_in_scans_is_read_like_any_other() -> None:
    """Else the figure above would be that of no picture at all."""
    y, x = np.mgrid[:90, :130]
    colours = np.stack((2 * y, x, 255 - x - y), -1).clip(0, 255).astype(np.uint8)
    planes = np.asarray(PIL.Image.fromarray(colours).convert("YCbCr"))
    read = decode.decode(in_scans([planes[..., band] for band in range(3)])).samples
    assert np.abs(read.astype(int) - colours).mean() < 2


def test_an_interlaced_png_is_held_whole(tmp_path: Path) -> None:
    data = bytearray(saved(PICTURE, "PNG"))
    data[28] = 1
    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
    assert decode.probe(bytes(data)).at_once == int(1.15 * PICTURE.size)


def test_a_source_that_takes_more_memory_than_allowed_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(progressive(16000, 16000, 0x22))
    with pytest.raises(enlarger.OutOfMemoryError) as caught:
        enlarger.enlarge(path, 2, output=tmp_path / "b.tif", memory=5 * 10**8, **OPTIONS)
    assert str(caught.value) == (
        f"{path}: decoding this JPEG takes about 883 MB at once, --memory allows 500 MB; raise --memory, or convert it first to "
        "what is decoded in rows: TIFF, PNG that is not interlaced, or baseline JPEG of one scan"
    )
    assert caught.value.exit_status == 6
    assert enlarger.Enlarger(scale=2, **OPTIONS).plan(path, tmp_path / "b.tif").estimate.memory > 883 * 10**6


def test_a_source_that_takes_more_memory_than_is_free_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "free_memory", lambda: 7 * 10**8)
    with pytest.raises(enlarger.OutOfMemoryError, match="takes about 883 MB at once, 700 MB are free; close other programs, or convert"):
        enlarger.Enlarger(scale=2, **OPTIONS).plan(progressive(16000, 16000, 0x22))
