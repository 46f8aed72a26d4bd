"""`enlarger verify` and `enlarger compare` as people and programs call them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import skimage.data
from tests.steps.test_verify import enlarged

from enlarger.interfaces.cli import main


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str, str]:
    """Paths of a source, of a good result, and of one with a piece in the wrong place."""
    folder = tmp_path_factory.mktemp("judge")
    source = skimage.data.coffee()[:128, 200:360].copy()
    good = enlarged(source)
    bad = good.copy()
    bad[128:256, 128:256] = good[256:384, 256:384]
    for name, picture in (("source", source), ("good", good), ("bad", bad)):
        PIL.Image.fromarray(picture).save(folder / f"{name}.png")
    return str(folder / "source.png"), str(folder / "good.png"), str(folder / "bad.png")


def test_verdict_for_people(files: tuple[str, str, str], capsys: pytest.CaptureFixture[str]) -> None:
    source, good, bad = files
    assert main(["verify", source, good]) == 0
    assert capsys.readouterr().out.startswith("pass: 640x512, 4x its source\n")
    assert main(["verify", source, bad]) == 0
    out = capsys.readouterr().out
    assert out.startswith("fail: ")
    assert "at 128,128 128x128: made small again" in out
    assert "not checked: text" in out


def test_verdict_for_programs(files: tuple[str, str, str], capsys: pytest.CaptureFixture[str]) -> None:
    source, _, bad = files
    assert main(["verify", source, bad, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["schema"] == "enlarger.fidelity/1"
    assert found["verdict"] == "fail"
    assert {"box", "verdict", "measure", "value", "reason"} <= set(found["regions"][0])
    assert found["measures"]["consistency"]["unit"] == "dB"


def test_strict_stops_a_script(files: tuple[str, str, str]) -> None:
    source, good, bad = files
    assert main(["verify", source, good, "--strict"]) == 0
    assert main(["verify", source, bad, "--strict"]) == 3


def test_bad_input_is_one_line(files: tuple[str, str, str], capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    source, good, _ = files
    (tmp_path / "no.png").write_bytes(b"no picture at all")
    for arguments, status, words in (
        (["verify", source, str(tmp_path / "missing.png")], 4, "missing.png"),
        (["verify", source, str(tmp_path / "no.png")], 4, "no.png"),
        (["verify", good, source], 4, "smaller than the source"),
        (["compare", source, good], 2, "two results"),
        (["compare", source, good, good, "--page", str(tmp_path / "no" / "p.html")], 5, "cannot be written"),
    ):
        assert main(arguments) == status, arguments
        line = capsys.readouterr().err
        assert words in line
        assert line.count("\n") == 1


def test_compare_prints_a_ranked_table(files: tuple[str, str, str], capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    source, good, bad = files
    assert main(["compare", source, bad, good, "--page", str(tmp_path / "p.html")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].startswith("1  pass")
    assert lines[1].endswith("good.png")
    assert lines[2].startswith("2  fail")
    assert (tmp_path / "p.html").stat().st_size > 10_000
    assert main(["compare", source, bad, good, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["entries"][0]["fidelity"]["verdict"] == "pass"


def test_the_picture_is_left_alone(files: tuple[str, str, str]) -> None:
    before = [Path(path).read_bytes() for path in files]
    main(["verify", *files[:2]])
    assert [Path(path).read_bytes() for path in files] == before
    assert np.asarray(PIL.Image.open(files[0])).shape == (128, 160, 3)
