"""Power may fail at any moment: what a line or a name vouches for is on the disk before the line or the name is."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import enlarger

pytestmark = pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="asks the system for the names of open files")


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Calls of the system in their order, each with the name of its file."""
    seen: list[tuple[str, str]] = []

    def noted(name: str, file: Callable[..., str]) -> None:
        real = getattr(os, name)

        def call(*words: Any, **more: Any) -> Any:
            seen.append((name, file(*words)))
            return real(*words, **more)

        monkeypatch.setattr(os, name, call)

    for name in ("pwrite", "write", "fsync", "fdatasync"):
        noted(name, lambda fd, *rest: Path(f"/proc/self/fd/{fd}").readlink().name)
    noted("link", lambda first, second, *rest: Path(second).name)
    noted("replace", lambda first, second, *rest: Path(second).name)
    return seen


@pytest.mark.parametrize("overwrite", [False, True])
def test_data_is_on_the_disk_before_what_vouches_for_it(
    overwrite: bool, calls: list[tuple[str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("enlarger.pipeline.KEEP_FROM", 0)
    monkeypatch.setattr("enlarger.steps.tiles.STRIP_PIXELS", 2000)
    picture = np.random.default_rng(1).integers(0, 255, (40, 50, 3), np.uint8)
    out = tmp_path / "out"
    out.mkdir()
    if overwrite:
        (out / "a.png").touch()
    enlarger.enlarge(picture, 3, output=out / "a.png", engine="resample", overwrite=overwrite)
    journal = [i for i, call in enumerate(calls) if call == ("write", "journal")][1:]  # the first line names the job
    assert len(journal) > 3
    for at in journal:
        before = [name for name, file in calls[:at] if file == "canvas-0"]
        assert before[-1] in ("fsync", "fdatasync"), "samples must be on the disk before the line that vouches for them"
        assert calls[at + 1][0] in ("fsync", "fdatasync"), "the line must be on the disk before the next tile is begun"
    named = next(i for i, (name, file) in enumerate(calls) if name in ("link", "replace") and file == "a.png")
    part = next(i for i, (name, file) in enumerate(calls) if name == "fsync" and ".part" in file)
    folder = [i for i, call in enumerate(calls) if call == ("fsync", "out")]
    assert part < named < folder[-1], "the file before its name, the name before the end"
