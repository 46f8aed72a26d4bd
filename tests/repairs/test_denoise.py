"""Denoise: by how much pictures gain, and what it must not touch."""

from __future__ import annotations

import numpy as np
import pytest
from tests.repairs.degraded import noisy, pictures, psnr

from enlarger.repairs import parts
from enlarger.repairs.denoise import OPPONENT, denoised, mixed, shares

LEAST = {5: 1.2, 10: 2.5, 20: 4.5}
"""Gain in dB that every picture has at the right strength."""


@pytest.mark.parametrize("sigma", LEAST)
@pytest.mark.parametrize("name", pictures())
def test_every_picture_gains(name: str, sigma: int) -> None:
    clean = pictures()[name]
    bad = noisy(clean, sigma)
    gains = [psnr(clean, denoised(bad, clean.shape[2], strength)) - psnr(clean, bad) for strength in (2 * sigma, 4 * sigma)]
    assert gains[1] > LEAST[sigma]
    assert gains[1] > gains[0] > 0


def test_strength_zero_is_no_work_and_more_is_smoother() -> None:
    bad = noisy(pictures()["chelsea"], 10)
    assert denoised(bad, 3, 0) is bad
    rough = [float(np.abs(np.diff(denoised(bad, 3, strength).astype(float), axis=1)).mean()) for strength in (0, 20, 40, 100)]
    assert rough == sorted(rough, reverse=True)


@pytest.mark.parametrize("shape", [(1, 1, 3), (2, 70, 1), (37, 5, 4), (61, 83, 2)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_any_shape_type_and_alpha(shape: tuple[int, int, int], dtype: type) -> None:
    channels = 1 if shape[2] < 3 else 3
    samples = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, shape, dtype=dtype, endpoint=True)
    done = denoised(samples, channels, 30)
    assert (done.shape, done.dtype) == (samples.shape, samples.dtype)
    assert np.array_equal(done[..., channels:], samples[..., channels:])


def test_sixteen_bits_stay_sixteen_bits() -> None:
    wide = np.linspace(20000, 21000, 96 * 96).reshape(96, 96, 1).astype(np.uint16)
    done = denoised(wide, 1, 8)
    assert len(np.unique(done)) > 256
    assert np.abs(done.astype(int) - wide).max() < 40


@pytest.mark.parametrize("side", [48, 64, 1024])
def test_cuts_do_not_show(side: int, monkeypatch: pytest.MonkeyPatch) -> None:
    bad = noisy(pictures()["astronaut"], 10)[:, :151]
    usual = denoised(bad, 3, 40)
    monkeypatch.setattr(parts, "SIDE", side)
    other = denoised(bad, 3, 40)
    # Products of matrices round their last bit by shape.
    assert np.abs(usual.astype(int) - other).max() <= 1
    assert np.mean(usual != other) < 1e-3


def test_noise_in_one_channel_is_looked_for_there() -> None:
    clean = pictures()["coffee"]
    bad = clean.copy()
    bad[..., 2] = noisy(clean[..., 2:], 20)[..., 0]
    told, even = (denoised(bad, 3, 27, noise) for noise in ((0.0, 0.0, 20 / 255), None))
    assert psnr(clean, told) > psnr(clean, even) + 1
    assert psnr(clean, told) > psnr(clean, bad) + 3


def test_flat_colours_and_drawn_edges_stay_what_they_are() -> None:
    flat = np.zeros((64, 96, 3), np.uint8)
    flat[:, 32:64], flat[:, 64:] = (255, 0, 0), (255, 255, 255)
    assert np.abs(denoised(flat, 3, 20).astype(int) - flat).max() <= 2


def test_opponents_share_noise_as_they_should() -> None:
    assert np.allclose(OPPONENT @ OPPONENT.T, np.eye(3), atol=1e-6)
    assert np.allclose(np.abs(OPPONENT[0]), 1 / np.sqrt(3))
    assert np.allclose(mixed(np.full(3, 7.0)), 7)
    drawn = np.random.default_rng(0).normal(0, 1, (3, 200_000)) * np.array([[1], [2], [5]])
    assert np.allclose(mixed(np.array([1.0, 2.0, 5.0])), (OPPONENT @ drawn).std(1), rtol=0.02)
    assert shares(3, None).tolist() == shares(3, (0.0, 0.0, 0.0)).tolist() == [1, 1, 1]
    assert shares(3, (0.1, 0.2, 0.3)).mean() == pytest.approx(1)
