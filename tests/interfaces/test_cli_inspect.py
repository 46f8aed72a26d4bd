"""`enlarger inspect` as people and programs call it."""

from __future__ import annotations

import json
from pathlib import Path

import PIL.Image
import pytest
import skimage.data

from enlarger.interfaces.cli import main


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two pictures, one of them further below, and a file that is none."""
    (tmp_path / "below").mkdir()
    PIL.Image.fromarray(skimage.data.coffee()[:200, :300]).save(tmp_path / "coffee.png")
    PIL.Image.fromarray(skimage.data.page()).save(tmp_path / "below" / "page.png")
    (tmp_path / "notes.txt").write_text("not a picture")
    return tmp_path


def test_a_few_lines_for_people(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(folder / "coffee.png")]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"{folder / 'coffee.png'}: ")
    assert "  is        photo (" in out
    assert "holds up  to about " in out
    assert "composition worth keeping: only you can say" in " ".join(out.split())
    assert max(len(line) for line in out.splitlines()[1:]) <= 78


def test_json_is_a_list(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(folder), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["path"] for row in rows] == [str(folder / "coffee.png"), str(folder / "below" / "page.png")]
    assert set(rows[0]) == {"path", "kind", "confidence", "measures", "verdict", "reasons", "advice"}
    assert [row["kind"] for row in rows] == ["photo", "document"]


def test_globs_and_filters(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(folder / "c*.png"), "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)) == 1
    assert main(["inspect", str(folder), "--exclude", "coffee*", "--json"]) == 0
    assert [row["kind"] for row in json.loads(capsys.readouterr().out)] == ["document"]


def test_bad_files_are_a_line_each_and_the_others_go_on(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = folder / "bad.png"
    bad.write_bytes(b"no picture at all")
    assert main(["inspect", str(folder), str(folder / "gone.png"), "--json"]) == 8
    said = capsys.readouterr()
    assert len(json.loads(said.out)) == 2
    lines = said.err.splitlines()
    assert len(lines) == 3
    assert str(bad) in lines[0]
    assert "gone.png" in lines[1]
    assert "2 of 4 could not be looked at" in lines[2]


def test_a_single_bad_file_has_its_own_status(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(folder / "notes.txt")]) == 4
    assert main(["inspect", str(folder / "none*.png")]) == 4
    assert main(["inspect"]) == 2
    assert all(line.startswith("enlarger: ") for line in capsys.readouterr().err.splitlines())


def test_nothing_is_written(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = sorted(folder.rglob("*"))
    assert main(["inspect", str(folder)]) == 0
    assert sorted(folder.rglob("*")) == before
    assert capsys.readouterr().err == ""
