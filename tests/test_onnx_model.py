"""ONNX models: what cannot be run is one line, what a file may reach is the file, and no answer is taken unseen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.onnx_models import NEEDS_ONNX, Played, lama, matte

from enlarger import onnx_model
from enlarger.errors import EngineError, OutOfMemoryError, WeightsError
from enlarger.onnx_model import Model, let_go, open_model, outside_data

IMAGE = np.full((1, 3, 4, 4), 0.5, np.float32)


def test_without_onnxruntime_the_line_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(WeightsError, match=r"pip install 'enlarger\[onnx\]'") as caught:
        open_model(tmp_path / "any.onnx", "lama")
    assert caught.value.exit_status == 7
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_is_refused(value: float) -> None:
    model = Model(Played([(1, 3, 4, 4)], lambda image: np.where(image > 0.4, np.float32(value), image)), "net")
    with pytest.raises(EngineError, match="net: the model answered NaN or infinity"):
        model(IMAGE)


def test_inputs_are_told_and_half_precision_is_fed() -> None:
    session = Played([("batch", 3, "h", 4)], lambda image: image, "tensor(float16)")
    model = Model(session, "net")
    assert model.inputs[0].shape == (None, 3, None, 4)
    assert model(IMAGE).dtype == np.float32
    assert session.calls[0][0].dtype == np.float16
    with pytest.raises(WeightsError, match="wants tensor"):
        Model(Played([(1, 3, 4, 4)], lambda image: image, "tensor(int64)"), "net")


def message(field: int, body: bytes) -> bytes:
    """A protobuf field that has a length."""
    return bytes([field << 3 & 127 | 2 | (128 if field > 15 else 0), *([field >> 4] if field > 15 else [])]) + bytes([len(body)]) + body


@pytest.mark.parametrize("path", [(7, 5), (7, 1, 5, 5), (7, 1, 5, 6, 5), (25, 7, 5, 5), (7, 15, 1)])
def test_other_files_are_found_wherever_a_model_names_them(path: tuple[int, ...], tmp_path: Path) -> None:
    entry = message(1, b"location") + message(2, b"../../secret")
    body = message(13, entry)
    for field in reversed(path):
        body = message(field, body)
    file = tmp_path / "model.onnx"
    file.write_bytes(b"\x08\x09" + message(2, b"made by hand") + body)
    assert outside_data(file, "net") == "../../secret"
    if onnx_model.missing() == "":
        with pytest.raises(WeightsError, match=r"keeps its weights in another file \(../../secret\)"):
            open_model(file, "net")


@pytest.mark.parametrize("content", [b"", b"\xff" * 40, b"\x3a\x7fshort", b"<html>please log in</html>"])
def test_what_is_no_model_is_one_line(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "model.onnx"
    file.write_bytes(content)
    with pytest.raises(WeightsError, match=r"model\.onnx is no ONNX model"):
        outside_data(file, "net")


@NEEDS_ONNX
def test_a_file_is_run(tmp_path: Path) -> None:
    model = open_model(lama(tmp_path / "a.onnx", 8, 8), "lama", threads=1)
    assert [port.shape for port in model.inputs] == [(None, 3, 8, 8), (None, 1, 8, 8)]
    mask = np.zeros((1, 1, 8, 8), np.float32)
    mask[..., 2:4, 2:4] = 1
    answer = model(np.full((1, 3, 8, 8), 0.5, np.float32), mask)
    assert np.allclose(answer, 127.5)
    with pytest.raises(EngineError, match="the model failed"):
        model(np.zeros((1, 3, 9, 8), np.float32), mask)
    spoilt = open_model(lama(tmp_path / "b.onnx", 8, 8, spoilt=float("nan")), "lama")
    with pytest.raises(EngineError, match="NaN"):
        spoilt(np.full((1, 3, 8, 8), 0.5, np.float32), mask)


@NEEDS_ONNX
def test_a_model_stays_open_until_its_file_changes_or_it_is_let_go(tmp_path: Path) -> None:
    path = lama(tmp_path / "a.onnx", 8, 8)
    first = open_model(path, "lama")
    assert open_model(path, "lama") is first
    assert open_model(path, "lama", threads=1) is not first
    let_go()
    second = open_model(path, "lama")
    assert second is not first
    lama(path, 16, 16)
    assert open_model(path, "lama").inputs[0].shape == (None, 3, 16, 16)


@NEEDS_ONNX
def test_a_file_that_is_cut_short_or_names_others_is_refused(tmp_path: Path) -> None:
    import onnx

    whole = matte(tmp_path / "whole.onnx", 8)
    cut = tmp_path / "cut.onnx"
    cut.write_bytes(whole.read_bytes()[:-40])
    with pytest.raises(WeightsError, match=r"cut\.onnx (is no ONNX model|cannot be loaded)"):
        open_model(cut, "u2net")
    parted = tmp_path / "parted.onnx"
    onnx.save(onnx.load(whole), parted, save_as_external_data=True, size_threshold=0, location="weights.bin")
    with pytest.raises(WeightsError, match=r"another file \(weights\.bin\)"):
        open_model(parted, "u2net")


@NEEDS_ONNX
def test_too_little_memory_is_said() -> None:
    from onnxruntime.capi.onnxruntime_pybind11_state import RuntimeException

    def full(image: np.ndarray) -> np.ndarray:
        raise RuntimeException("Failed to allocate memory for requested buffer of size 99")

    with pytest.raises(OutOfMemoryError, match="more memory"):
        Model(Played([(1, 3, 4, 4)], full), "net")(IMAGE)
