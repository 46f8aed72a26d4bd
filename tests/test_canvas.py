"""The canvas: in memory or on disk, the same samples come back, and nothing is left behind."""

import errno
import os
from pathlib import Path

import numpy as np
import pytest

from enlarger import canvas as canvas_module
from enlarger.canvas import Canvas
from enlarger.errors import DiskFullError, OutputError
from enlarger.image import Box
from enlarger.steps.tiles import Grid


@pytest.fixture(params=["memory", "disk"])
def place(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(canvas_module, "IN_MEMORY", 10**9 if request.param == "memory" else 0)
    return str(request.param)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("bands", [1, 2, 3, 4])
def test_tiles_come_back_where_they_were_put(place: str, dtype: type, bands: int, tmp_path: Path) -> None:
    grid = Grid(53, 37, 4, 3, halo=8, feather=2)
    picture = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, (37, 53, bands), dtype)
    with Canvas(53, 37, bands, dtype, tmp_path) as canvas:
        for tile in grid:
            assert not canvas.complete
            canvas.write(tile.owned, picture[tile.owned.slices()])
        assert canvas.complete
        samples = canvas.samples()
        assert not samples.flags.writeable
    np.testing.assert_array_equal(samples, picture)
    assert list(tmp_path.iterdir()) == []


def test_a_hole_is_noticed(place: str, tmp_path: Path) -> None:
    with Canvas(4, 4, 3, np.uint8, tmp_path) as canvas:
        canvas.write(Box(0, 0, 4, 3), np.ones((3, 4, 3), np.uint8))
        assert not canvas.complete


@pytest.mark.parametrize(
    ("box", "samples"),
    [
        (Box(0, 0, 2, 2), np.zeros((2, 2, 1), np.uint8)),
        (Box(0, 0, 2, 2), np.zeros((2, 2, 3), np.uint16)),
        (Box(3, 0, 2, 2), np.zeros((2, 2, 3), np.uint8)),
    ],
)
def test_samples_that_do_not_fit_are_refused(place: str, box: Box, samples: np.ndarray, tmp_path: Path) -> None:
    with Canvas(4, 4, 3, np.uint8, tmp_path) as canvas, pytest.raises(ValueError, match=r"does not fit|not on the canvas"):
        canvas.write(box, samples)


def test_a_full_disk_is_found_before_the_first_tile(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def full(handle: int, offset: int, size: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(canvas_module, "IN_MEMORY", 0)
    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(DiskFullError, match="no room for 3 MB of temporary data"):
        Canvas(1000, 1000, 3, np.uint8, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_short_writes_go_on_and_a_full_disk_is_typed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(canvas_module, "IN_MEMORY", 0)
    real = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda handle, data, offset: real(handle, data[:5], offset))
    picture = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    with Canvas(4, 4, 3, np.uint8, tmp_path) as canvas:
        canvas.write(Box(0, 0, 4, 4), picture)
        np.testing.assert_array_equal(canvas.samples(), picture)

        def fail(handle: int, data: memoryview, offset: int) -> int:
            raise OSError(errno.ENOSPC, "full")

        monkeypatch.setattr(os, "pwrite", fail)
        with pytest.raises(DiskFullError, match="the disk is full"):
            canvas.write(Box(0, 0, 4, 4), picture)


def test_without_fallocate_zeros_are_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(canvas_module, "IN_MEMORY", 0)
    monkeypatch.delattr(os, "posix_fallocate")
    monkeypatch.delattr(os, "pwrite")
    with Canvas(900, 700, 3, np.uint8, tmp_path) as canvas:
        assert not canvas.samples().any()
        assert canvas.samples().shape == (700, 900, 3)


def test_a_folder_that_is_not_there_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(canvas_module, "IN_MEMORY", 0)
    with pytest.raises(OutputError, match="cannot write temporary files: No such file or directory; choose another place with --temp"):
        Canvas(10, 10, 3, np.uint8, tmp_path / "missing")
