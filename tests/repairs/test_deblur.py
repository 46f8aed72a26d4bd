"""Deblur: by how much soft pictures gain, without rings and without noise, and that sharp ones are left alone."""

from __future__ import annotations

import numpy as np
import pytest
from skimage import data
from tests.repairs.degraded import blurred, jpeg, noisy, pictures, psnr

from enlarger.repairs import deblur, parts
from enlarger.repairs.deblur import auto, deblurred, gain, inverse, measured, width

PICTURES = pictures()
LEAST = {0.7: 1.0, 1.2: 0.7, 2.0: 0.5}
"""Gain in dB of every picture at full strength when the blur is known; fur, which may be noise, gains least."""


@pytest.mark.parametrize("sigma", LEAST)
@pytest.mark.parametrize("name", PICTURES)
def test_every_picture_gains(name: str, sigma: float) -> None:
    clean = PICTURES[name]
    bad = blurred(clean, sigma)
    gains = [psnr(clean, deblurred(bad, clean.shape[2], strength, sigma)) - psnr(clean, bad) for strength in (25, 50, 100)]
    assert gains == sorted(gains)
    assert gains[0] > 0.1
    assert gains[-1] > LEAST[sigma]


@pytest.mark.parametrize("sigma", [1.2, 2.0])
def test_the_blur_is_found(sigma: float) -> None:
    for clean in (data.astronaut()[:320, :320], data.coffee()[:320, :320], data.camera()[:320, :320, None]):
        bad = blurred(clean, sigma)
        channels = clean.shape[2]
        assert width(measured(bad, channels)) == pytest.approx(sigma, rel=0.3)
        assert auto(measured(bad, channels)) >= 80
        assert psnr(clean, deblurred(bad, channels, 100)) > psnr(clean, bad) + 0.5


def test_sharp_pictures_are_left_alone() -> None:
    for picture in (data.astronaut(), data.coffee(), data.chelsea(), data.rocket(), data.camera()[..., None], data.page()[..., None]):
        assert auto(measured(picture, picture.shape[2])) == 0


def test_what_has_no_edges_is_left_alone() -> None:
    flat = np.full((64, 64, 3), 90, np.uint8)
    assert measured(flat, 3) is None
    assert auto(None) == 0
    assert width(None) == 0
    assert deblurred(flat, 3, 100) is flat


@pytest.mark.parametrize("assumed", [1.0, 1.3, 2.0])
def test_edges_have_no_halo(assumed: float) -> None:
    """Not even when the blur is thought to be twice as wide as it is."""
    step = np.full((48, 80, 3), 60, np.uint8)
    step[:, 40:] = 200
    soft = blurred(step, 1.0)
    sharp = deblurred(soft, 3, 100, assumed)
    assert sharp.min() >= 60 - deblur.OVER * 140 - 1
    assert sharp.max() <= 200 + deblur.OVER * 140 + 1
    assert np.abs(sharp[:, :34].astype(int) - 60).max() <= 2
    assert np.abs(sharp[:, 46:].astype(int) - 200).max() <= 2
    assert np.abs(np.diff(sharp[24, :, 0].astype(int))).max() > 1.2 * np.abs(np.diff(soft[24, :, 0].astype(int))).max()


@pytest.mark.parametrize("level", [1.0, 3.0, 8.0])
@pytest.mark.parametrize("sigma", [0.7, 1.2, 2.5])
def test_noise_is_never_amplified(level: float, sigma: float) -> None:
    grey = noisy(np.full((96, 96, 3), 128, np.uint8), level)
    done = deblurred(grey, 3, 100, sigma, (level / 255,) * 3)
    assert done.std() < 1.02 * grey.std()


@pytest.mark.parametrize("name", PICTURES)
def test_soft_and_noisy_pictures_are_not_made_worse(name: str) -> None:
    clean = PICTURES[name]
    bad = noisy(blurred(clean, 1.2), 5)
    done = deblurred(bad, clean.shape[2], 100, 1.2, (5 / 255,) * clean.shape[2])
    assert psnr(clean, done) > psnr(clean, bad)


@pytest.mark.parametrize("name", PICTURES)
def test_rounding_by_jpeg_is_reckoned_with(name: str) -> None:
    """It is worst at edges, where quiet places say nothing."""
    clean = PICTURES[name]
    bad, table = jpeg(blurred(clean, 1.2), 50)
    told, untold = (deblurred(bad, clean.shape[2], 100, 1.2, None, known) for known in (table, None))
    assert psnr(clean, told) > psnr(clean, bad) + 0.1
    assert psnr(bad, told) > psnr(bad, untold), "less is changed"


@pytest.mark.parametrize("side", [48, 64])
def test_cuts_do_not_show(side: int, monkeypatch: pytest.MonkeyPatch) -> None:
    bad = blurred(PICTURES["astronaut"], 1.2)[:, :151]
    usual = deblurred(bad, 3, 100, 1.2)
    monkeypatch.setattr(parts, "SIDE", side)
    other = deblurred(bad, 3, 100, 1.2)
    assert np.abs(usual.astype(int) - other).max() <= 1
    assert np.mean(usual != other) < 2e-3


@pytest.mark.parametrize("shape", [(1, 1, 3), (2, 70, 1), (37, 5, 4), (61, 83, 2)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_any_shape_type_and_alpha(shape: tuple[int, int, int], dtype: type) -> None:
    channels = 1 if shape[2] < 3 else 3
    samples = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, shape, dtype=dtype, endpoint=True)
    done = deblurred(samples, channels, 60, 1.5)
    assert (done.shape, done.dtype) == (samples.shape, samples.dtype)
    assert np.array_equal(done[..., channels:], samples[..., channels:])
    assert deblurred(samples, channels, 0, 1.5) is samples


def test_the_filter_keeps_tone_and_knows_its_noise() -> None:
    taps = inverse(1.2, 2.0)
    assert taps.sum() == pytest.approx(1, abs=1e-5)
    assert np.allclose(taps, taps.T, atol=1e-7)
    assert gain(taps)[0, 0] < gain(taps)[2, 2]
    noise = np.random.default_rng(0).normal(0, 1, (1, 400, 400)).astype(np.float32)
    filtered = deblur._filtered(noise, taps)[0]
    height, width_ = (n // 8 * 8 for n in filtered.shape)
    blocks = filtered[:height, :width_].reshape(height // 8, 8, width_ // 8, 8).transpose(0, 2, 1, 3)
    found = np.sqrt(np.mean((deblur.DCT @ blocks @ deblur.DCT.T) ** 2, axis=(0, 1)))
    assert np.allclose(found, gain(taps), rtol=0.12)
