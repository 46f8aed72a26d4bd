"""Repairs by nets that people fetch: asked for by a word, told in plan and report, and refused in one line where they are not here."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow
from skimage import data
from tests.onnx_models import NEEDS_ONNX, lama, matte

import enlarger
from enlarger import model_files
from enlarger.interfaces.cli import main

PLAIN: dict[str, Any] = {"engine": "resample", "verify": "off"}
SUBJECT = {"remove_background": True, "matte": "u2netp"}
HOLE = {"remove_object": "60,50,40,30", "fill": "lama"}


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that ENLARGER_MODELS names, and no other."""
    folder = tmp_path / "models"
    folder.mkdir()
    monkeypatch.setenv("ENLARGER_MODELS", str(folder))
    for name in ("XDG_CACHE_HOME", "XDG_DATA_HOME", "U2NET_HOME", "REMBG_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "empty"))
    return folder


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    Pillow.fromarray(data.astronaut()[:200, :240]).save(path)
    return path


@pytest.fixture
def red_thing(tmp_path: Path) -> tuple[Path, np.ndarray]:
    """A red disc before a photograph, which the plain way cannot cut out."""
    y, x = np.mgrid[:200, :240]
    inside = np.hypot(y - 100, x - 120) < 60
    picture = np.where(inside[..., None], (200, 50, 60), data.coffee()[:200, 60:300] * [0.4, 0.9, 0.9])
    path = tmp_path / "red.png"
    Pillow.fromarray(picture.astype(np.uint8)).save(path)
    return path, inside


@pytest.mark.parametrize("options", [HOLE, SUBJECT])
def test_without_the_file_or_the_extra_there_is_one_line_and_nothing_else(
    options: dict[str, Any], photo: Path, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = {"lama": "lama", "u2netp": "u2netp"}[options.get("fill", options.get("matte"))]
    before = sorted(tmp_path.rglob("*"))
    monkeypatch.setattr("enlarger.onnx_model.missing", lambda: "")
    with pytest.raises(enlarger.WeightsError, match=rf"{net}: .* is not here; fetch it.*: enlarger models --fetch {net}$") as caught:
        enlarger.enlarge(photo, 2, output=tmp_path / "out.png", **options, **PLAIN)
    assert caught.value.exit_status == 7
    monkeypatch.setattr("enlarger.onnx_model.missing", lambda: "pip install 'enlarger[onnx]'")
    with pytest.raises(enlarger.WeightsError, match=rf"{net}: needs onnxruntime, .*pip install 'enlarger\[onnx\]'$"):
        enlarger.enlarge(photo, 2, output=tmp_path / "out.png", **options, **PLAIN)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"fill": "lama"}, "--fill: nothing is to be filled"),
        ({"matte": "u2net"}, "--matte: nothing is to be cut out"),
        ({**SUBJECT, "keep_shadow": True}, "--keep-shadow: u2netp tells no shadow"),
        ({"remove_object": "1,1,2,2", "fill": "big-lama"}, "--fill: "),
        ({"remove_background": True, "matte": "rembg"}, "--matte: "),
    ],
)
def test_words_that_would_do_nothing_are_refused(options: dict[str, Any], says: str) -> None:
    with pytest.raises(enlarger.UsageError, match=f"^{says}"):
        enlarger.Options(**options)


@NEEDS_ONNX
def test_a_hole_is_filled_by_lama_and_told(photo: Path, models: Path, tmp_path: Path) -> None:
    path = lama(models / "lama.onnx", 128, 128)
    result = enlarger.enlarge(photo, 1, output=tmp_path / "out.png", stages="0", **HOLE, **PLAIN)
    source, made = (np.asarray(Pillow.open(name)) for name in (photo, tmp_path / "out.png"))
    inside = np.zeros(source.shape[:2], bool)
    inside[50:80, 60:100] = True
    assert (made[~inside] == source[~inside]).all()
    assert np.abs(made[inside].astype(int) - source[inside]).mean() > 5
    (done,) = result.report.prepared
    assert done.said == "60,50,40,30, by lama"
    assert result.report.plan.prepare == {"remove-object": f"60,50,40,30, by lama ({hashlib.sha256(path.read_bytes()).hexdigest()[:12]})"}
    assert "--fill lama" in result.report.reproduce.command
    assert "onnxruntime" in result.report.reproduce.libraries
    assert not result.report.warnings


@NEEDS_ONNX
def test_a_hole_that_was_filled_in_parts_is_a_warning(photo: Path, models: Path, tmp_path: Path) -> None:
    lama(models / "lama.onnx", 128, 128)
    report = enlarger.enlarge(photo, 1, stages="0", remove_object="40,40,120,100", fill="lama", **PLAIN).report
    (warning,) = report.warnings
    assert warning.code == "filled"
    assert "120 x 100 pixels is larger than what the net sees at once" in warning.message


@NEEDS_ONNX
def test_a_subject_is_cut_out_by_a_net_and_told(
    red_thing: tuple[Path, np.ndarray], models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = matte(models / "u2netp.onnx", 320, gain=6, shift=-9)
    known = {"bytes": path.stat().st_size, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    monkeypatch.setitem(model_files.FILES, "u2netp", dataclasses.replace(model_files.FILES["u2netp"], **known))
    source, inside = red_thing
    with pytest.raises(enlarger.InputError, match="the ground is not plain"):
        enlarger.enlarge(source, 1, stages="0", remove_background=True, **PLAIN)
    report = enlarger.enlarge(source, 1, output=tmp_path / "out.png", stages="0", **SUBJECT, **PLAIN).report
    with Pillow.open(tmp_path / "out.png") as opened:
        assert opened.mode == "RGBA"
        alpha = np.asarray(opened)[..., 3] / 255
    assert np.abs(alpha - inside).mean() < 0.01
    assert report.prepared[0].said.endswith("sure, by u2netp")
    assert report.plan.prepare["remove-background"] == f"by u2netp ({known['sha256'][:12]})"


@NEEDS_ONNX
def test_a_net_that_answers_nan_stops_the_job(photo: Path, models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lama(models / "lama.onnx", 128, 128, spoilt=float("inf"))
    out = tmp_path / "out.png"
    assert main([str(photo), "-o", str(out), "--engine", "resample", "--remove-object", "60,50,40,30", "--fill", "lama"]) == 7
    assert capsys.readouterr().err.splitlines()[-1] == ("enlarger: lama: the model answered NaN or infinity; take another export of it")
    assert not out.exists()
