"""Cleaning: the order, what is told of it, and that it does no harm when it chooses its own strengths."""

from __future__ import annotations

import numpy as np
import pytest
from skimage import data
from tests.repairs.degraded import Samples, blurred, jpeg, noisy, pictures, psnr

from enlarger.image import Header, Image, Quantisation
from enlarger.repairs import deblur
from enlarger.repairs.clean import cleaned, found
from enlarger.repairs.deblock import deblocked
from enlarger.repairs.denoise import denoised
from enlarger.steps.damage import damage

PICTURES = pictures()


def automatic(samples: Samples, table: Quantisation | None = None) -> Samples:
    """Cleaned at the strengths that triage asks for."""
    height, width, channels = samples.shape
    noise = damage(Image(samples, Header("", "array", width, height, channels, False, 8), jpeg=table))
    blur = deblur.measured(samples, channels, float(np.mean(noise.noise)))
    strengths = found(samples, channels, noise=noise.noise, quantisation=table, blur=blur)
    return cleaned(samples, channels, **strengths, noise=noise.noise, quantisation=table, blur=blur)[0]


def test_what_was_done_is_told_in_order() -> None:
    bad, table = jpeg(noisy(PICTURES["astronaut"], 5), 60)
    samples, done = cleaned(bad, 3, denoise=20, deblock=50, deblur=40, noise=(5 / 255,) * 3, quantisation=table, blur=1.2)
    assert [(repair.name, repair.strength) for repair in done] == [("deblock", 50), ("denoise", 20), ("deblur", 40)]
    assert all(repair.seconds > 0 and 0 < repair.changed_rms < 0.1 for repair in done)
    first = deblocked(bad, 3, 50, table)
    difference = first.astype(float) - bad
    assert done[0].changed_rms == pytest.approx(float(np.sqrt(np.mean(difference**2))) / 255, abs=1e-6)
    only, told = cleaned(bad, 3, denoise=20, deblock=50, noise=(5 / 255,) * 3, quantisation=table)
    assert [repair.name for repair in told] == ["deblock", "denoise"]
    assert np.array_equal(only, denoised(first, 3, 20, (5 / 255,) * 3))
    assert not np.array_equal(only, samples)


def test_nothing_asked_nothing_done() -> None:
    picture = PICTURES["coffee"]
    samples, done = cleaned(picture, 3)
    assert samples is picture
    assert done == []
    samples, done = cleaned(picture, 3, deblur=100, blur=0.45)
    assert samples is picture
    assert [(repair.name, repair.changed_rms) for repair in done] == [("deblur", 0.0)]


def test_clean_pictures_stay_as_they_are() -> None:
    """What triage takes for noise of a clean photograph is its grain; without that, nothing is seen to change."""
    for name in ("astronaut", "coffee", "chelsea", "rocket", "camera", "coins", "moon"):
        whole = getattr(data, name)()
        picture = np.ascontiguousarray((whole if whole.ndim == 3 else whole[..., None])[:320, :320])
        assert psnr(picture, automatic(picture)) > 45, name


def test_strengths_are_found() -> None:
    bad, table = jpeg(PICTURES["coffee"], 55)
    assert found(bad, 3, noise=(0.0, 0.0, 0.0), quantisation=table) == {"deblock": 60, "denoise": 0, "deblur": 0}
    grainy = noisy(PICTURES["camera"], 10)
    assert found(grainy, 1, noise=(10 / 255,), blur=1.5) == {"deblock": 0, "denoise": 40, "deblur": 100}


def test_texture_is_no_noise() -> None:
    """Grass is as rough as noise: triage finds 3/255 in it. What is really there is believed all the same."""
    picture = data.grass()[:256, :256, None]
    assert found(picture, 1, noise=(3 / 255,))["denoise"] <= 5
    assert found(noisy(picture, 15), 1, noise=(15 / 255,))["denoise"] > 40


@pytest.mark.parametrize("quality", [90, 95])
@pytest.mark.parametrize("sigma", [0, 2, 5])
@pytest.mark.parametrize("softness", [0, 0.7, 1.2])
def test_left_to_itself_it_does_no_harm(quality: int, sigma: float, softness: float) -> None:
    for name, clean in PICTURES.items():
        bad, table = jpeg(noisy(blurred(clean, softness), sigma), quality)
        assert psnr(clean, automatic(bad, table)) > psnr(clean, bad) - 0.1, name


def test_all_at_once_is_better_than_nothing() -> None:
    """Soft, then noisy, then a JPEG: as cameras and networks do it."""
    gains = []
    for clean in PICTURES.values():
        bad, table = jpeg(noisy(blurred(clean, 1.2), 3), 75)
        gains.append(psnr(clean, automatic(bad, table)) - psnr(clean, bad))
    assert min(gains) > 0
    assert np.mean(gains) > 0.4
