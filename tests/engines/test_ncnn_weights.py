"""Nets between two of a family, and nets that are told how much to repair."""

from __future__ import annotations

import hashlib
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from enlarger.engines import ncnn as engine_module
from enlarger.engines import ncnn_weights
from enlarger.engines.engine import Device, ModelSpec, WeightFile
from enlarger.engines.ncnn import Net, engine
from enlarger.engines.ncnn_weights import HALF, between, in_eight_bits
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


CHAIN = (3, 16, 16, 12)
"""Channels of a chain of 3 x 3 convolutions. ncnn has another way through for 8-bit convolutions from 8 channels on."""

LEAK = 0.1


def chain(channels: tuple[int, ...] = CHAIN) -> tuple[str, bytes, list[np.ndarray]]:
    """Graph, file and values of a chain, each convolution but the last with a leaky ReLU in it, and a shuffle by 2."""
    random = np.random.default_rng(7)
    lines, data, values, at = ["Input data 0 1 data"], b"", [], "data"
    for i, (deep, wide) in enumerate(pairwise(channels)):
        kernel = (random.normal(0, 1, (wide, deep, 3, 3)) / np.sqrt(9 * deep)).astype("<f2")
        bias = random.normal(0, 0.1, wide).astype("<f4")
        leaky = f" 9=2 -23310=1,{LEAK}" if i + 2 < len(channels) else ""
        lines.append(f"Convolution conv{i} 1 1 {at} conv{i} 0={wide} 1=3 4=1 5=1 6={kernel.size}{leaky}")
        data += HALF.to_bytes(4, "little") + kernel.tobytes() + bias.tobytes()
        values += [kernel.astype(np.float32), bias]
        at = f"conv{i}"
    lines.append(f"PixelShuffle shuffle 1 1 {at} output 0=2")
    return "\n".join(["7767517", f"{len(lines)} {len(lines)}", *lines, ""]), data, values


def by_hand(values: list[np.ndarray], tile: np.ndarray, ranges: tuple[float, ...]) -> np.ndarray:
    """What :func:`chain` answers for ``(h, w, 3)``, by numpy in double precision; in 8-bit integers where there are ranges."""
    x = tile.transpose(2, 0, 1).astype(float)
    for i in range(0, len(values), 2):
        kernel, bias = values[i].astype(float), values[i + 1]
        if ranges and i:
            step, steps = ranges[i // 2 - 1] / 127, np.abs(kernel).max((1, 2, 3), keepdims=True) / 127
            x, kernel = np.clip(np.rint(x / step), -127, 127) * step, np.rint(kernel / steps) * steps
        views = np.lib.stride_tricks.sliding_window_view(np.pad(x, ((0, 0), (1, 1), (1, 1))), (3, 3), (1, 2))
        x = np.einsum("chwyx,ocyx->ohw", views, kernel) + bias[:, None, None]
        if i + 2 < len(values):
            x = np.where(x < 0, LEAK * x, x)
    blocks = x.reshape(3, 2, 2, *x.shape[1:])
    return blocks.transpose(3, 1, 4, 2, 0).reshape(2 * tile.shape[0], 2 * tile.shape[1], 3)


def decibels(a: np.ndarray, b: np.ndarray) -> float:
    return float(10 * np.log10(1 / np.mean((a - b) ** 2)))


@pytest.fixture(autouse=True)
def _a_processor_for_integers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("enlarger.engines.ncnn.likes_integers", lambda: True)


def test_nets_trained_for_it_run_in_eight_bits(shelf: Any) -> None:
    param, data, values = chain()
    model = shelf(row("small", ranges=(2.0, 2.5)), param, data)
    tile = np.random.default_rng(1).random((12, 17, 3), np.float32)
    integers, floats = opened(model)(tile), opened(model, fp32=True)(tile)
    assert decibels(floats, by_hand(values, tile, ())) > 90
    # A sum that lies on the edge between two integers may go either way.
    assert decibels(integers, by_hand(values, tile, (2.0, 2.5))) > 60
    assert 25 < decibels(integers, floats) < 50


def test_integers_are_for_processors_that_multiply_them(shelf: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    model = shelf(row("small", ranges=(2.0, 2.5)), *chain()[:2])
    tile = np.random.default_rng(1).random((12, 17, 3), np.float32)
    integers, floats = opened(model)(tile), opened(model, fp32=True)(tile)
    assert not np.array_equal(integers, floats)
    monkeypatch.setattr("enlarger.engines.ncnn.likes_integers", lambda: False)
    assert np.array_equal(opened(model)(tile), floats)
    assert np.array_equal(opened(model, fp32=True)(tile), floats)


@pytest.mark.parametrize("place", [(4, 8), (5, 9), (7, 6)])
@pytest.mark.parametrize("size", [(24, 24), (23, 29)])
def test_in_integers_the_same_pixels_give_the_same_bits_anywhere(shelf: Any, place: tuple[int, int], size: tuple[int, int]) -> None:
    # So wide that ncnn would take Winograd's way through the first convolution.
    net = opened(shelf(row("small", ranges=(2.0, 2.5)), *chain((3, 64, 64, 12))[:2]))
    whole = np.random.default_rng(1).random((48, 52, 3), np.float32)
    (y, x), (height, width), reach = place, size, 3
    part = net(np.ascontiguousarray(whole[y : y + height, x : x + width]))
    inside = np.s_[2 * reach : 2 * (height - reach), 2 * reach : 2 * (width - reach)]
    assert np.array_equal(part[inside], net(whole)[2 * y : 2 * (y + height), 2 * x : 2 * (x + width)][inside])


def test_memory_of_integers_is_given_back_when_tiles_become_others(shelf: Any) -> None:
    net = opened(shelf(row("small", ranges=(2.0, 2.5)), *chain()[:2]))
    assert net._pools is not None
    for side, area in ((24, 576), (23, 576), (16, 256), (24, 576)):
        net(np.zeros((side, side, 3), np.float32))
        assert net._pools._area == area
    net.rest()
    assert net._pools._area == 0


def test_what_lies_between_two_nets_runs_in_eight_bits_too(shelf: Any) -> None:
    param, data, values = chain()
    # The other net's last bias is brighter by 0.5 in every channel.
    brighter = data[: -4 * CHAIN[-1]] + (values[-1] + np.float32(0.5)).tobytes()
    first = shelf(row("faithful", toward="crisp", ranges=(2.0, 2.5)), param, data)
    shelf(row("crisp", ranges=(2.0, 2.5)), param, brighter)
    tile = np.random.default_rng(1).random((12, 17, 3), np.float32)
    assert np.allclose(opened(first, detail=75)(tile) - opened(first)(tile), 0.25, atol=1e-5)


def test_graph_weights_and_ranges_must_belong_together() -> None:
    param, data, _ = chain()
    with pytest.raises(WeightsError, match="3 convolutions has 2 ranges, not 3"):
        in_eight_bits(param, data, (1.0, 1.0, 1.0))
    with pytest.raises(WeightsError, match="ends before"):
        in_eight_bits(param, data[:-4], (1.0, 1.0))
    with pytest.raises(WeightsError, match="longer"):
        in_eight_bits(param, data + bytes(4), (1.0, 1.0))
    with pytest.raises(WeightsError, match="slopes of its own"):
        in_eight_bits(graph(3), weights(matrix(3, 0.5)), ())
