"""Files that spare memory: they go where the caller says, else beside the result, and never into memory without need."""

import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest

import enlarger
from enlarger import scratch
from enlarger.canvas import Canvas
from enlarger.journal import clean


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("enlarger.canvas.IN_MEMORY", 0)
    monkeypatch.setattr("enlarger.sandbox.SOURCE_IN_MEMORY", 0)
    path = tmp_path / "a.png"
    picture = np.random.default_rng(1).integers(0, 255, (40, 50, 4), np.uint8)  # alpha: colour is bled from file to file
    exif = PIL.Image.Exif()
    exif[0x0112] = 6  # and turned from file to file
    PIL.Image.fromarray(picture).save(path, exif=exif)
    return path


@pytest.fixture
def places(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Folders in which temporary files and folders were made."""
    seen: set[str] = set()
    for name in ("mkstemp", "TemporaryFile", "TemporaryDirectory"):
        real = getattr(tempfile, name)

        def noted(*words: Any, real: Any = real, **more: Any) -> Any:
            seen.add(str(more.get("dir") or tempfile.gettempdir()))
            return real(*words, **more)

        monkeypatch.setattr(tempfile, name, noted)
    return seen


@pytest.mark.parametrize("sandbox", [False, True])
@pytest.mark.parametrize("temp", [None, "temp"])
def test_everything_goes_beside_the_result_or_where_the_caller_says(
    temp: str | None, sandbox: bool, source: Path, places: set[str], tmp_path: Path
) -> None:
    out, other = tmp_path / "out", tmp_path / "temp"
    out.mkdir()
    other.mkdir()
    place = tmp_path / temp if temp else None
    enlarger.enlarge(source, 2, output=out / "b.png", engine="resample", sandbox=sandbox, temp=place)
    # That the output folder takes files is tried there, whatever else is said. A header takes no room worth the name.
    header = {tempfile.gettempdir()} if sandbox and not temp else set()
    assert places == {str(out), str(place or out)} | header
    assert [p.name for p in out.iterdir()] == ["b.png"]
    assert list(other.iterdir()) == []


def test_results_without_a_file_go_where_the_caller_says(source: Path, places: set[str], tmp_path: Path) -> None:
    (tmp_path / "temp").mkdir()
    enlarger.enlarge(source, 2, engine="resample", temp=tmp_path / "temp")
    assert places == {str(tmp_path / "temp")}


def test_a_folder_in_memory_is_not_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "system"))
    monkeypatch.setattr(scratch, "OTHERS", (tmp_path / "missing", tmp_path))
    monkeypatch.setattr(scratch, "in_memory", lambda path: path == tmp_path / "system")
    scratch._default.cache_clear()
    assert scratch.scratch_folder() == tmp_path
    monkeypatch.setattr(scratch, "in_memory", lambda path: True)
    scratch._default.cache_clear()
    assert scratch.scratch_folder() == tmp_path / "system"  # there is no other
    scratch._default.cache_clear()


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="no folder in memory")
def test_folders_in_memory_are_known(tmp_path: Path) -> None:
    assert scratch.in_memory(Path("/dev/shm"))
    assert not scratch.in_memory(Path("/proc"))
    assert not scratch.in_memory(tmp_path / "missing")


def test_a_thread_of_its_own_has_a_scratch_folder_of_its_own(tmp_path: Path) -> None:
    with scratch.scratch(tmp_path):
        with scratch.scratch(None):
            assert scratch.scratch_folder() == tmp_path
        with Canvas(4000, 4000, 3, np.uint8) as canvas:
            assert canvas.bytes > 32 * 10**6
    assert list(tmp_path.iterdir()) == []
    assert scratch.scratch_folder() != tmp_path


def test_folders_of_killed_sandboxes_are_cleaned(tmp_path: Path) -> None:
    left = tmp_path / f"{scratch.SANDBOX}x"
    left.mkdir()
    os.utime(left, (0, 0))
    assert clean(tmp_path, 60) == [left]
    assert not left.exists()
