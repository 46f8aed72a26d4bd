"""The colour lock: true to clean sources, not to their damage; exact where the source leaves no room; the same however it is cut."""

from __future__ import annotations

import numpy as np
import pytest
from skimage import filters
from tests.steps.locking import CLEAN, answer, consistency, enlarged, image, pair, psnr, reduced, through_jpeg

from enlarger.options import Dials
from enlarger.steps import lock
from enlarger.steps.damage import Damage, damage
from enlarger.steps.dials import deliver


def locked(raw: np.ndarray, source: np.ndarray, how: Damage = CLEAN, bits: int = 8, **more: object) -> np.ndarray:
    return np.asarray(deliver(raw, image(source, **more), Dials(), how, bits).samples())


@pytest.mark.parametrize("name", ["astronaut", "coffee", "chelsea"])
def test_clean_sources_are_met_and_the_truth_comes_nearer(name: str) -> None:
    source, truth = pair(name)
    raw = answer(truth)
    result = locked(raw, source)
    assert consistency(result, source) >= 55
    assert consistency(raw, source) < 40
    assert psnr(result, truth) > psnr(raw / 257, truth) + 1


@pytest.mark.parametrize("size", [(288, 288), (211, 173), (73, 80)])
def test_any_factor(size: tuple[int, int]) -> None:
    source, truth = pair("astronaut")
    raw = np.clip(reduced(truth, *size) * 257 + 900, 0, 65535).astype(np.uint16)
    assert consistency(locked(raw, source), source) >= 48


def test_cut_anyhow_it_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    source, truth = pair("astronaut")
    noisy = np.clip(source + np.random.default_rng(0).normal(0, 6, source.shape), 0, 255).astype(np.uint8)
    squeezed, jpeg = through_jpeg(source, 40)
    cases = [(source, CLEAN), (noisy, Damage((6 / 255,) * 3)), (squeezed, Damage((0.0,) * 3, jpeg))]
    whole = [locked(answer(truth), one, how, 16).astype(int) for one, how in cases]
    monkeypatch.setattr(lock, "CORE", 23)
    monkeypatch.setattr(lock, "STRIP", 4000)
    monkeypatch.setattr("enlarger.steps.dials.STRIP", 5000)
    for (one, how), expected in zip(cases, whole, strict=True):
        assert np.abs(locked(answer(truth), one, how, 16) - expected).max() <= 1


def test_noise_does_not_come_back_but_the_tint_goes() -> None:
    source, _ = pair("coffee")
    rng = np.random.default_rng(2)
    noisy = np.clip(np.rint(source + rng.normal(0, 8, source.shape)), 0, 255).astype(np.uint8)
    how = damage(image(noisy))
    assert np.mean(how.noise) * 255 == pytest.approx(8, rel=0.3)
    smooth = np.clip(enlarged(source) * 257 + np.array([1200, -900, 500]), 0, 65535).astype(np.uint16)
    # In 16 bits: rounding to 8 is noise too.
    result, careless = (locked(smooth, noisy, way, 16) / 257 for way in (how, CLEAN))

    def grain(picture: np.ndarray) -> float:
        """Deviation from smooth where the clean picture is smooth."""
        detail = picture - filters.gaussian(picture.astype(float), 2, channel_axis=2, preserve_range=True)
        quiet = filters.gaussian(np.abs(filters.laplace(enlarged(source)[..., 1])), 4)
        return float(detail[quiet < np.quantile(quiet, 0.3)].std())

    assert grain(result) <= 1.1 * grain(smooth / 257)
    assert grain(careless) > 2 * grain(smooth / 257)
    assert np.abs(result.mean((0, 1)) - source.mean((0, 1)) * 1.0).max() < 1
    assert np.abs((smooth / 257).mean((0, 1)) - source.mean((0, 1))).max() > 2


def blockiness(picture: np.ndarray, step: int) -> float:
    """Mean jump across block borders over that halfway between them."""
    jumps = np.abs(np.diff(picture.astype(float).mean(2), axis=1)).mean(0)
    places = np.arange(len(jumps)) % step
    return float(jumps[places == step - 1].mean() / jumps[(places == step // 2 - 1) | (places == step // 4 - 1)].mean())


@pytest.mark.parametrize("quality", [30, 45, 60])
def test_blocks_of_a_jpeg_do_not_come_back_but_the_tint_goes(quality: int) -> None:
    source, truth = pair("astronaut", side=384)
    squeezed, jpeg = through_jpeg(source, quality)
    # A net that removes blocks: the answer for the clean source, tinted.
    clean = locked(answer(truth), source, bits=16)
    tinted = np.clip(clean + np.array([900.0, -700, 600]), 0, 65535).astype(np.uint16)
    result = locked(tinted, squeezed, Damage((0.0,) * 3, jpeg))
    careless = locked(tinted, squeezed)
    assert blockiness(result, 32) <= 1.1 * blockiness(tinted, 32)
    assert blockiness(careless, 32) > blockiness(result, 32)
    assert np.abs(result.mean((0, 1)) - squeezed.mean((0, 1))).max() < 0.5
    assert np.abs(tinted.mean((0, 1)) / 257 - squeezed.mean((0, 1))).max() > 2


def test_exact_where_the_source_leaves_no_room() -> None:
    source, _ = pair("coffee")
    for value, rows in ((0, slice(0, 16)), (255, slice(20, 36)), (119, slice(40, 56))):
        source[rows, :40] = value
    large = answer(np.asarray(np.clip(enlarged(source), 0, 255), np.uint8))
    result = locked(large, source)
    for value, row in ((0, 8), (255, 28), (119, 48)):
        assert (result[4 * row - 20 : 4 * row + 20, : 4 * 36] == value).all()


def test_neutral_stays_neutral_and_grey_grey() -> None:
    source, truth = pair("astronaut")
    grey = np.repeat(source[..., 1:2], 3, 2)
    result = locked(answer(truth), grey)
    assert (np.ptp(result, axis=2) == 0).all()
    one = np.asarray(deliver(answer(truth)[..., :1], image(grey[..., :1]), Dials(), Damage((0.0,)), 8).samples())
    assert one.shape[2] == 1
    assert consistency(one, grey[..., :1]) > 50


def test_sixteen_bits_are_carried() -> None:
    y, x = np.mgrid[:60, :70]
    source = np.stack([20000 + 37 * x + 3 * y, 30000 + 5 * x, 41000 - 11 * y], 2).astype(np.uint16)
    raw = np.clip(enlarged((source // 257).astype(np.uint8)) * 257, 0, 65535).astype(np.uint16)
    result = np.asarray(deliver(raw, image(source), Dials(), CLEAN, 16).samples())
    assert result.dtype == np.uint16
    assert consistency(result, source) > 85
    assert consistency(raw, source) < 60


def test_alpha_passes_through() -> None:
    source, truth = pair("astronaut")
    raw = np.concatenate((answer(truth), np.full((*truth.shape[:2], 1), 12345, np.uint16)), 2)
    result = np.asarray(deliver(raw, image(np.concatenate((source, source[..., :1]), 2), alpha=True), Dials(), CLEAN, 16).samples())
    assert (result[..., 3] == 12345).all()


def test_resemblance_zero_is_raw() -> None:
    assert Dials(resemblance=0).raw
    assert not Dials().raw
    assert not Dials(resemblance=0, detail=60).raw
