"""Motion: that its line is found where there is one, and nowhere else, and what undoing it gives back."""

from __future__ import annotations

import re

import numpy as np
import pytest
from skimage import data
from skimage.transform import resize
from tests.repairs.degraded import Samples, blurred, jpeg, moved, noisy, psnr

from enlarger.repairs import deblur
from enlarger.repairs.clean import cleaned
from enlarger.repairs.deblur import auto, deblurred, inverse, measured, width
from enlarger.repairs.motion import Motion

LINES = [(5.0, 25.0), (9.0, 100.0), (14.0, 150.0)]


def picture(name: str, side: int = 256) -> Samples:
    whole = getattr(data, name)()
    return np.ascontiguousarray((whole if whole.ndim == 3 else whole[..., None])[:side, :side])


@pytest.mark.parametrize("name", ["astronaut", "camera", "coffee"])
@pytest.mark.parametrize(("length", "angle"), LINES)
def test_the_line_is_found_and_undone(name: str, length: float, angle: float) -> None:
    clean = picture(name)
    bad = moved(clean, length, angle)
    found = measured(bad, clean.shape[2])
    assert isinstance(found, Motion)
    assert found.length == pytest.approx(length, abs=0.6)
    assert abs((found.angle - angle + 90) % 180 - 90) <= 4
    assert auto(found) == 100
    assert width(found) is found
    inner = slice(16, -16)
    gains = [
        psnr(clean[inner, inner], deblurred(bad, clean.shape[2], strength, how)[inner, inner])
        - psnr(clean[inner, inner], bad[inner, inner])
        for strength, how in ((50, Motion(length, angle)), (100, Motion(length, angle)), (100, None))
    ]
    assert gains[0] > 0.7
    assert gains[1] > gains[0]
    assert gains[2] > 1


def test_it_is_told_what_was_found() -> None:
    bad = moved(picture("camera"), 9, 40)
    samples, done = cleaned(bad, 1, deblur=100)
    assert [repair.name for repair in done] == ["deblur"]
    assert re.fullmatch(r"motion of (8.75|9|9.25) px at (38|40|42) degrees", done[0].said)
    assert psnr(picture("camera"), samples) > psnr(picture("camera"), bad) + 1


@pytest.mark.parametrize(
    "name", ["astronaut", "brick", "camera", "chelsea", "coffee", "coins", "grass", "gravel", "moon", "rocket", "page", "text"]
)
def test_no_line_is_seen_where_nothing_moved(name: str) -> None:
    clean = picture(name, 384)
    for kind in (clean, blurred(clean, 1.5), jpeg(clean, 60)[0], noisy(clean, 4)):
        assert not isinstance(measured(kind, clean.shape[2]), Motion)


@pytest.mark.parametrize("order", [0, 1, 3])
def test_what_was_enlarged_did_not_move(order: int) -> None:
    for name in ("astronaut", "camera"):
        small = picture(name, 160)
        large = resize(small, (480, 480), order=order, preserve_range=True).round().astype(np.uint8)
        assert not isinstance(measured(large, small.shape[2]), Motion)


def test_small_and_empty_pictures_are_not_looked_at() -> None:
    assert not isinstance(measured(moved(picture("camera", 120), 9, 40), 1), Motion)
    assert measured(np.full((200, 200, 3), 90, np.uint8), 3) is None


def test_the_transfer_is_that_of_the_line() -> None:
    """Of many points along it, each a plane wave."""
    line = Motion(7.0, 30.0)
    frequency = np.fft.fftfreq(16)
    points = (np.arange(2000) + 0.5) / 2000 * 7 - 3.5
    x, y = points * np.cos(np.pi / 6), -points * np.sin(np.pi / 6)
    waves = np.exp(-2j * np.pi * (frequency[None, :, None] * x + frequency[:, None, None] * y)).mean(2)
    assert np.allclose(line.transfer(16), waves.real, atol=1e-5)
    assert np.abs(waves.imag).max() < 1e-9
    assert inverse(line, 1.0).shape == (2 * deblur.TAPS_OF_MOTION + 1,) * 2
    assert inverse(line, 1.0).sum() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("assumed", [7.0, 9.0, 12.0])
def test_edges_have_no_halo_and_no_echo(assumed: float) -> None:
    """Not even when the line is thought to be a third longer than it is."""
    step = np.full((96, 120, 3), 60, np.uint8)
    step[:, 60:] = 200
    done = deblurred(moved(step, 9, 0), 3, 100, Motion(assumed, 0.0)).astype(int)
    over = deblur.OVER * 140 + 1
    assert done.min() >= 60 - over
    assert done.max() <= 200 + over
    away = 60 - 9 // 2 - 9
    assert np.abs(done[:, :away] - 60).max() <= 3
    assert np.abs(done[:, 120 - away :] - 200).max() <= 3


def test_noise_is_never_amplified() -> None:
    grey = noisy(np.full((96, 96, 3), 128, np.uint8), 5)
    done = deblurred(grey, 3, 100, Motion(8.0, 20.0), (5 / 255,) * 3)
    assert done.std() < 1.02 * grey.std()
