"""Quiet: noise is found frequency by frequency, and detail is not taken for it where there is anything quiet."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image as Pillow
from skimage import data
from tests.repairs.degraded import jpeg, noisy

from enlarger.repairs.quiet import dithered, looked, spectra, trust


@pytest.mark.parametrize("sigma", [2.0, 5.0, 10.0])
def test_white_noise_is_found_in_all_planes(sigma: float) -> None:
    for picture in (np.full((128, 128, 3), 120, np.uint8), data.rocket()[:256, :256]):
        for spectrum in spectra(looked(noisy(picture, sigma), 3)):
            assert spectrum.shape == (8, 8)
            assert float(np.median(spectrum)) == pytest.approx(sigma, rel=0.2)


def test_noise_that_went_through_jpeg_has_lost_its_fast_part() -> None:
    picture, _ = jpeg(noisy(data.astronaut()[:256, 100:356], 5), 85, 0)
    luma = spectra(looked(picture, 3))[0]
    assert luma[2, 2] > 3
    assert luma[7, 7] < 0.5 * luma[2, 2]


def test_clean_pictures_have_little() -> None:
    for picture in (data.rocket()[:256, :256], data.camera()[:256, :256, None]):
        assert all(np.median(spectrum) < 2 for spectrum in spectra(looked(picture, picture.shape[2])))


@pytest.mark.parametrize("shape", [(1, 1, 3), (7, 300, 1), (40, 40, 4)])
def test_too_little_to_see_is_no_noise(shape: tuple[int, int, int]) -> None:
    channels = 1 if shape[2] == 1 else 3
    white = np.full(shape, 255, np.uint8)
    assert all((spectrum == 0).all() for spectrum in spectra(looked(white, channels)))


@pytest.mark.parametrize("sigma", [3.0, 6.0, 12.0])
def test_noise_is_believed(sigma: float) -> None:
    for picture in (data.rocket()[:256, :256], data.coffee()[:256, :256], data.camera()[:256, :256, None]):
        assert trust(looked(noisy(picture, sigma), picture.shape[2]), sigma) == 1.0


def test_dither_is_no_noise() -> None:
    picture = np.ascontiguousarray(data.coffee()[:256, :256])
    few = np.asarray(Pillow.fromarray(picture).quantize(200, dither=Pillow.Dither.FLOYDSTEINBERG).convert("RGB"))
    seen = looked(few, 3)
    assert dithered(seen)
    assert trust(seen, 4.0) == 0.0
    assert not dithered(looked(picture, 3))
    assert not dithered(looked(noisy(few, 2), 3))


def test_a_grey_picture_is_not_dithered_for_having_no_more_than_256_levels() -> None:
    grey = noisy(data.camera()[:256, :256, None], 4)
    assert not dithered(looked(grey, 1))
    assert not dithered(looked(grey.repeat(3, 2), 3))


def test_a_mesh_is_no_noise() -> None:
    """Every other pixel a little lighter, as prints and scanners leave it."""
    picture = noisy(data.rocket()[:256, :256], 2)
    y, x = np.indices(picture.shape[:2])
    mesh = np.where((x + y) % 2, 4, -4) * np.random.default_rng(0).uniform(0.3, 1.7, picture.shape[:2])
    meshed = np.clip(picture + mesh.round()[..., None], 0, 255).astype(np.uint8)
    assert trust(looked(meshed, 3), 4.0) == 0.0


def test_noise_over_a_weave_is_noise() -> None:
    """Cloth whose threads are a pixel wide has as much at the finest frequencies as a mesh, but noise leaves its own at all the others."""
    picture = data.coffee()[100:260, 200:360].astype(np.int16)
    y, x = np.indices(picture.shape[:2])
    woven = np.clip(picture + np.where((x + y) % 2, 25, -25)[..., None], 0, 255).astype(np.uint8)
    assert trust(looked(noisy(woven, 10), 3), 10.0) > 0.9
    assert trust(looked(noisy(woven, 2), 3), 10.0) < 0.5, "what was measured is mostly the cloth"
