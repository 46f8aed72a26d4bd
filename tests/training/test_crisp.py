"""What makes a net crisp: answers as strong as the truth; and two kinds of training by the one command, in miniature."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

torch = pytest.importorskip("torch", reason="the extra `train` is not installed")
pytest.importorskip("safetensors", reason="the extra `train` is not installed")

from training.config import Recipe  # noqa: E402
from training.train import Run, train  # noqa: E402

from training import __main__, drawings, losses, photos, resize, weights  # noqa: E402

TINY = Recipe(name="tiny", title="", scale=4, start="nothing", steps=6, decay=2, channels=8, blocks=1, crop=16, batch=2, warmup=1)
CRISP = replace(TINY, loss="l1+edges", decay_loss="l1+edges", heighten=2.2)


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    """One thread, and the signals as they were."""
    torch.set_num_threads(1)
    handlers = [(number, signal.getsignal(number)) for number in (signal.SIGTERM, signal.SIGINT)]
    yield
    for number, handler in handlers:
        signal.signal(number, handler)


def grain(seed: int, side: int = 96, strength: float = 0.08) -> torch.Tensor:
    """Grey noise around the middle, (1, 3, side, side) in [0, 1]."""
    noise = np.random.default_rng(seed).normal(0.5, strength, (1, 1, side, side)).repeat(3, axis=1)
    return torch.from_numpy(noise.astype(np.float32)).clamp(0, 1)


def softened(y: torch.Tensor, deviation: float = 1.0) -> torch.Tensor:
    return torch.from_numpy(gaussian_filter(y.numpy(), (0, 0, deviation, deviation)))


@pytest.fixture
def pictures(tmp_path: Path) -> photos.Pictures:
    """Two grainy pictures with soft shapes."""
    made = [
        resize.to_bytes(128 + 900 * gaussian_filter(np.random.default_rng(i).normal(0, 1, (128, 128, 3)), (6, 6, 0)) + 255 * (g - 0.5))
        for i in range(2)
        for g in [grain(i, 128)[0].permute(1, 2, 0).numpy()]
    ]
    return photos.Pictures(tmp_path, "made", "1", lambda: ((picture, 1.0) for picture in made))


def test_what_is_as_strong_as_the_truth_stays() -> None:
    assert torch.allclose(losses.heightened(grain(0), grain(0), 2.2), grain(0), atol=1e-6)
    assert torch.allclose(losses.heightened(grain(0), softened(grain(0)), 2.2), grain(0), atol=1e-6)  # never weaker


def test_what_was_smoothed_gets_its_strength_back_and_no_more() -> None:
    truth, faithful = grain(0), softened(grain(0), 0.7)
    strength = [float((y - y.mean()).std()) for y in (faithful, losses.heightened(faithful, truth, 2.2), truth)]
    assert strength[0] < 0.75 * strength[2]
    assert 1.15 * strength[0] < strength[1] < strength[2]
    slight = losses.heightened(faithful, truth, 1.1)
    assert float((slight - faithful).abs().max()) < 0.25 * float((losses.heightened(faithful, truth, 2.2) - faithful).abs().max())


def test_nothing_is_invented_and_tones_stay() -> None:
    flat = torch.full((1, 3, 96, 96), 0.4)
    assert torch.allclose(losses.heightened(flat, grain(0), 2.2), flat, atol=1e-5)
    faithful = softened(grain(0), 0.7)
    assert float((losses.heightened(faithful, grain(0), 2.2) - faithful).mean()) == pytest.approx(0, abs=2e-3)


def test_an_edge_gets_steeper_without_ringing() -> None:
    truth = torch.zeros(1, 3, 64, 64)
    truth[..., 32:] = 0.8
    faithful = softened(truth, 1.5)
    crisp = losses.heightened(faithful, truth, 2.2)
    assert float(crisp.diff(dim=-1).abs().max()) > 1.25 * float(faithful.diff(dim=-1).abs().max())
    assert float(crisp.min()) >= 0
    assert float(crisp.max()) <= 0.8 + 1e-6


def test_a_crisp_run_goes_on_toward_what_it_began_with(tmp_path: Path, pictures: photos.Pictures) -> None:
    whole = Run(CRISP, tmp_path / "whole")
    train(whole, pictures, measure=False)
    first = Run(CRISP, tmp_path / "parts")
    for _ in range(3):
        first.one_step(pictures)
    first.save(first.state)
    second = Run(CRISP, tmp_path / "parts")
    second.load(second.state)
    train(second, pictures, measure=False)
    assert whole.faithful is not None
    assert second.faithful is not None
    for ours, theirs in ((second.net, whole.net), (second.faithful, whole.faithful)):
        for key, value in ours.state_dict().items():
            assert torch.equal(value, theirs.state_dict()[key]), key
    assert not torch.equal(whole.net.convolutions[0].weight, whole.faithful.convolutions[0].weight)


def test_heightened_answers_make_a_crisper_net(tmp_path: Path, pictures: photos.Pictures) -> None:
    """The first one learns the truth, the second from the first's answers."""
    faithful = Run(replace(TINY, steps=10_000, rate=3e-3), tmp_path / "0")
    for _ in range(80):
        faithful.one_step(pictures)
    start = tmp_path / "start.safetensors"
    weights.save(faithful.net, start)
    crisp = Run(replace(TINY, steps=10_000, rate=3e-3, heighten=3.0, start=str(start)), tmp_path / "1")
    for _ in range(80):
        crisp.one_step(pictures)
    x, _ = crisp.ahead(pictures, 500)
    with torch.no_grad():
        soft, hard = (float(run.net(x).diff(dim=-1).square().mean()) for run in (faithful, crisp))
    assert hard > 1.2 * soft


@pytest.mark.parametrize("kind", ["crisp", "art"])
def test_one_command_trains_it(kind: str, tmp_path: Path, pictures: photos.Pictures, monkeypatch: pytest.MonkeyPatch) -> None:
    art = replace(TINY, name="art", pictures="drawings", degradation="art")
    monkeypatch.setattr(__main__, "recipes", lambda: {"crisp": replace(CRISP, name="crisp"), "art": art})
    monkeypatch.setattr(__main__, "Cache", lambda _photos, _folder: pictures)
    monkeypatch.setattr(drawings, "SIDES", (160,))
    monkeypatch.setattr(drawings.Drawings.__init__, "__defaults__", (2,))
    monkeypatch.delenv("ENLARGER_SAMPLES", raising=False)
    monkeypatch.delenv("ENLARGER_TRAINING", raising=False)
    photographs = ["--photos", str(tmp_path)] if kind == "crisp" else []  # drawings need none
    run = tmp_path / "runs" / kind
    monkeypatch.setattr(sys, "argv", ["training", kind, "--run", str(run), "--threads", "1", *photographs])
    __main__.main()
    rows = [json.loads(row) for row in (run / "log.jsonl").read_text("utf-8").splitlines()]
    assert rows[0]["until"] == 6
    assert weights.load(run / f"{kind}.safetensors").shape == TINY.shape
    assert torch.load(run / "state.pt", weights_only=True)["step"] == 6
