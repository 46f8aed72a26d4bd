"""Quiet: noise is found frequency by frequency, and detail is not taken for it where there is anything quiet."""

from __future__ import annotations

import numpy as np
import pytest
from skimage import data
from tests.repairs.degraded import jpeg, noisy

from enlarger.repairs.quiet import looked, spectra


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
