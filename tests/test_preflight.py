"""What does not fit is found out before the work, in one line."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import enlarger
from enlarger import preflight
from enlarger.formats import FORMATS

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
    # 1600 x 1200 x 3 bytes of canvas and 2.2 bytes a pixel of PNG, and 16 MB that are left alone.
    assert str(caught.value) == (
        f"{tmp_path}: about 10 MB of disk would be needed (6 MB of it for the work in progress), 20 MB are free; "
        "free some space, or choose another place with --output or --temp"
    )
    assert list(tmp_path.iterdir()) == []


def test_what_an_interrupted_run_left_needs_no_room_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    work = tmp_path / ".a.png.enlarger"
    work.mkdir()
    (work / "canvas-0").write_bytes(bytes(5 * 10**6))
    disk(monkeypatch, 22 * 10**6)
    tool = enlarger.Enlarger(scale=4, **OPTIONS)
    assert tool.plan(PICTURE, tmp_path / "a.png").estimate.disk_temporary == 1600 * 1200 * 3
    with pytest.raises(enlarger.DiskFullError):
        tool.plan(PICTURE, tmp_path / "b.png")


def test_too_little_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "free_memory", lambda: 140 * 10**6)
    enlarger.Enlarger(scale=4, **OPTIONS).plan(PICTURE, tmp_path / "a.png")
    with pytest.raises(enlarger.OutOfMemoryError, match=r"would be needed, 140 MB are free; webp is encoded whole: choose --format"):
        enlarger.enlarge(PICTURE, 4, output=tmp_path / "a.webp", **OPTIONS)
    with pytest.raises(enlarger.OutOfMemoryError, match="lower --memory, or close other programs"):
        enlarger.enlarge(PICTURE, 4, output=tmp_path / "a.png", model="realesr-animevideov3-x4", device="cpu")
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
