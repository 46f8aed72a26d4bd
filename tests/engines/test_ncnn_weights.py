"""Nets between two of a family, and nets that are told how much to repair."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from enlarger.engines import ncnn as engine_module
from enlarger.engines import ncnn_weights
from enlarger.engines.engine import Device, ModelSpec, WeightFile
from enlarger.engines.ncnn import Net, engine
from enlarger.engines.ncnn_weights import HALF, between
from enlarger.errors import WeightsError

CPU = Device("cpu", threads=1)


def graph(channels: int) -> str:
    """One 1 x 1 convolution of ``channels`` to 12, slopes, and a shuffle by 2."""
    return "\n".join(
        (
            "7767517",
            "4 4",
            "Input data 0 1 data",
            f"Convolution conv 1 1 data conv 0=12 1=1 5=1 6={12 * channels}",
            "PReLU slope 1 1 conv slope 0=12",
            "PixelShuffle shuffle 1 1 slope output 0=2",
            "",
        )
    )


def weights(matrix: Any, bias: float = 0.0, *, half: bool = True) -> bytes:
    """``matrix`` is ``(12, channels)``."""
    flat = np.asarray(matrix, "<f2" if half else "<f4").tobytes()
    flag = (HALF if half else 0).to_bytes(4, "little")
    return flag + flat + bytes(-len(flat) % 4) + np.full(12, bias, "<f4").tobytes() + np.full(12, 0.25, "<f4").tobytes()


def matrix(channels: int, colour: float, plane: float = 0.0) -> np.ndarray:
    """Each colour times ``colour``, plus ``plane`` times the fourth channel and twice that of the fifth."""
    answer = np.zeros((12, channels))
    for out in range(12):
        answer[out, out // 4] = colour
        answer[out, 3:] = [plane, 2 * plane][: channels - 3]
    return answer


def row(id_: str, toward: str = "", **settings: object) -> ModelSpec:
    settings = {"widest": 16, **settings}
    return ModelSpec(id=id_, engine="ncnn", title="", purpose="", scale=2, dials=(), toward=toward, settings=settings)


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Puts files of a model where the engine finds them."""
    places: dict[str, dict[str, Path]] = {}
    rows: list[ModelSpec] = []
    monkeypatch.setattr(ncnn_weights, "locate", lambda model: places[model.id])
    monkeypatch.setattr(engine_module, "catalogue", lambda _: tuple(rows))

    def put(model: ModelSpec, param: str, binary: bytes) -> ModelSpec:
        files = {f"{model.id}.param": param.encode(), f"{model.id}.bin": binary}
        places[model.id] = {name: tmp_path / name for name in files}
        for name, data in files.items():
            (tmp_path / name).write_bytes(data)
        listed = tuple(WeightFile(name=n, bytes=len(d), sha256=hashlib.sha256(d).hexdigest()) for n, d in files.items())
        rows.append(model.model_copy(update={"files": listed}))
        return rows[-1]

    return put


def opened(model: ModelSpec, **settings: object) -> Net:
    return engine.open(model, CPU, engine.spec.settings(**settings))


@pytest.mark.parametrize("half", [True, False])
def test_between_is_a_straight_line(half: bool) -> None:
    first, second = weights(matrix(3, 0.5), 0.25, half=half), weights(matrix(3, 1.0), 0.75, half=half)
    assert between(graph(3), first, second, 0.0) == first
    assert between(graph(3), first, second, 1.0) == second
    assert between(graph(3), first, second, 0.5) == weights(matrix(3, 0.75), 0.5, half=half)


def test_what_is_not_of_one_family_is_refused() -> None:
    good = weights(matrix(3, 0.5))
    with pytest.raises(WeightsError, match="differ in size"):
        between(graph(3), good, good + bytes(4), 0.5)
    full = weights(matrix(3, 0.5), half=False)
    padded = good + bytes(len(full) - len(good))
    with pytest.raises(WeightsError, match="stored differently"):
        between(graph(3), padded, full, 0.5)
    with pytest.raises(WeightsError, match="ends before"):
        between(graph(5), good, good, 0.5)
    with pytest.raises(WeightsError, match="longer"):
        between(graph(3), good + bytes(4), good + bytes(4), 0.5)


def test_detail_goes_from_one_net_to_the_other(shelf: Any) -> None:
    faithful = shelf(row("faithful", toward="crisp"), graph(3), weights(matrix(3, 0.5)))
    shelf(row("crisp"), graph(3), weights(matrix(3, 1.0)))
    tile = np.full((4, 5, 3), 0.5, np.float32)
    found = {detail: float(opened(faithful, detail=detail)(tile).mean()) for detail in (0, 50, 75, 100)}
    assert found == pytest.approx({0: 0.25, 50: 0.25, 75: 0.375, 100: 0.5}, abs=1e-3)


def test_repairs_reach_the_net_as_planes(shelf: Any) -> None:
    model = shelf(row("restore", conditions=("denoise", "deblock")), graph(5), weights(matrix(5, 0.5, 0.125)))
    tile = np.full((6, 4, 3), 0.5, np.float32)
    assert opened(model)(tile).mean() == pytest.approx(0.25, abs=1e-3)
    assert opened(model, denoise=80)(tile).mean() == pytest.approx(0.25 + 0.1, abs=1e-3)
    assert opened(model, denoise=80, deblock=40)(tile).mean() == pytest.approx(0.25 + 0.1 + 0.1, abs=1e-3)


def test_memory_is_given_back_at_rest(shelf: Any) -> None:
    net = opened(shelf(row("net"), graph(3), weights(matrix(3, 0.5))))
    tile = np.random.default_rng(0).random((8, 9, 3), np.float32)
    before = net(tile).copy()
    net.rest()
    assert np.array_equal(net(tile), before)
