"""What makes a net crisp: texture, reduction, the critic; and both new kinds of training by the one command, in miniature."""

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

from training.adversary import SHIFT, Adversary, Critic  # noqa: E402
from training.config import Recipe  # noqa: E402
from training.train import Run, train  # noqa: E402

from training import __main__, drawings, losses, photos, resize, weights  # noqa: E402

TINY = Recipe(name="tiny", title="", scale=4, start="nothing", steps=6, decay=2, channels=8, blocks=1, crop=16, batch=2, warmup=1)
CRISP = replace(TINY, loss="l1+edges", decay_loss="l1+edges", loss_weight=0.5, reduced=1.0, texture=0.01, adversary=0.01)


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    """One thread, and the signals as they were."""
    torch.set_num_threads(1)
    handlers = [(number, signal.getsignal(number)) for number in (signal.SIGTERM, signal.SIGINT)]
    yield
    for number, handler in handlers:
        signal.signal(number, handler)


def grain(seed: int, side: int = 96, count: int = 1) -> torch.Tensor:
    """Grey noise around the middle, (count, 3, side, side) in [0, 1]."""
    noise = np.random.default_rng(seed).normal(0.5, 0.08, (count, 1, side, side)).repeat(3, axis=1)
    return torch.from_numpy(noise.astype(np.float32)).clamp(0, 1)


@pytest.fixture
def pictures(tmp_path: Path) -> photos.Pictures:
    """Two grainy pictures with soft shapes."""
    made = [
        resize.to_bytes(128 + 900 * gaussian_filter(np.random.default_rng(i).normal(0, 1, (128, 128, 3)), (6, 6, 0)) + 255 * (g - 0.5))
        for i in range(2)
        for g in [grain(i, 128)[0].permute(1, 2, 0).numpy()]
    ]
    return photos.Pictures(tmp_path, "made", "1", lambda: ((picture, 1.0) for picture in made))


def test_texture_asks_for_grain_and_not_for_its_place() -> None:
    truth, other = grain(0), grain(1)
    smooth = torch.from_numpy(gaussian_filter(truth.numpy(), (0, 0, 2, 2)))
    assert losses.texture(truth, truth) == 0
    assert losses.texture(other, truth) < 0.15 * losses.texture(smooth, truth)
    assert losses.l1(other, truth) > losses.l1(smooth, truth)  # which is why L1 alone smooths


def test_texture_is_the_ratio_of_energies() -> None:
    strong = 0.5 + 2 * (grain(0) - 0.5)
    assert float(losses.texture(strong, grain(0))) == pytest.approx(np.log(4), rel=0.03)


def test_reduced_sees_what_is_seen_and_nothing_above() -> None:
    y = torch.rand(2, 3, 64, 64)
    down = torch.from_numpy(resize.matrix(64, 16))
    x = down @ y @ down.T
    assert float(losses.reduced(y, x)) == pytest.approx(0, abs=1e-6)
    assert float(losses.reduced(y + 0.1, x)) == pytest.approx(0.1, rel=1e-4)
    checks = torch.from_numpy(np.indices((64, 64)).sum(axis=0) % 2).float() - 0.5
    assert float(losses.reduced(y + 0.2 * checks, x)) < 0.002


def test_the_critic_learns_to_tell_grain_from_none_and_only_when_told_to() -> None:
    torch.manual_seed(0)
    adversary = Adversary(4, 2e-3, torch.device("cpu"))
    source = torch.full((4, 3, 24, 24), 0.5)
    flat = torch.full((4, 3, 96, 96), 0.5, requires_grad=True)
    found = [adversary.learn(flat, grain(i, count=4), source, 2e-3) for i in range(60)]
    assert found[0] == pytest.approx(np.log(2), abs=0.1)
    assert np.mean(found[-10:]) < 0.55
    assert flat.grad is None
    adversary.loss(flat, grain(99, count=4), source).backward()
    assert flat.grad is not None
    assert flat.grad.abs().max() > 0
    assert all(parameter.grad is None and parameter.requires_grad for parameter in adversary.critic.parameters())
    assert adversary.loss(grain(7, count=4), grain(8, count=4), source) < adversary.loss(flat, grain(8, count=4), source)


def test_no_phase_of_the_pixel_shuffle_weighs_more_to_the_critic() -> None:
    torch.manual_seed(0)
    adversary = Adversary(4, 1e-3, torch.device("cpu"))
    y, total = grain(0), torch.zeros(96, 96)
    for top in range(SHIFT):
        for left in range(SHIFT):
            given = y.clone().requires_grad_()
            adversary.loss(given, grain(1), torch.full((1, 3, 24, 24), 0.5), (top, left)).backward()
            total += given.grad.abs().sum((0, 1))
    inner = total[24:72, 24:72].reshape(12, 4, 12, 4).mean((0, 2))
    assert inner.min() > 0.85 * inner.max()


def test_the_critic_cannot_grow_steep() -> None:
    critic = Critic()
    with torch.no_grad():
        for convolution in critic.convolutions:
            convolution.parametrizations.weight.original.mul_(100)
    y, x = grain(0, 32), grain(1, 32)
    for _ in range(20):  # each pass improves the norm's estimate
        before = critic(y, x)
    assert before.abs().max() < 50


def test_a_crisp_run_goes_on_with_its_critic(tmp_path: Path, pictures: photos.Pictures) -> None:
    whole = Run(CRISP, tmp_path / "whole")
    train(whole, pictures, measure=False)
    first = Run(CRISP, tmp_path / "parts")
    for _ in range(3):
        first.one_step(pictures)
    assert set(first.parts) == {"pixels", "reduced", "texture", "adversary", "critic"}
    first.save(first.state)
    second = Run(CRISP, tmp_path / "parts")
    second.load(second.state)
    train(second, pictures, measure=False)
    assert whole.adversary is not None
    assert second.adversary is not None
    for ours, theirs in ((second.net, whole.net), (second.adversary.critic, whole.adversary.critic)):
        for key, value in ours.state_dict().items():
            assert torch.equal(value, theirs.state_dict()[key]), key


def test_texture_makes_a_net_grainier(tmp_path: Path, pictures: photos.Pictures) -> None:
    energy = []
    for i, recipe in enumerate((TINY, replace(TINY, loss_weight=0.2, texture=0.05))):
        run = Run(replace(recipe, steps=10_000, rate=3e-3), tmp_path / str(i))
        for _ in range(120):
            run.one_step(pictures)
        x, _ = run.ahead(pictures, 500)
        with torch.no_grad():
            energy.append(float(losses.energies(run.net(x))[0].mean()))
    assert energy[1] > energy[0] + 0.3


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
