"""Sharpening and grain: what they add, where they add nothing, and that strips do not show."""

from __future__ import annotations

import numpy as np
import pytest
from skimage import data

from enlarger.pixels.extremes import extremes
from enlarger.pixels.scaling import Planes
from enlarger.steps import polish
from enlarger.steps.polish import polished


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    return np.ascontiguousarray(data.astronaut()[60:260, 150:330])


def detail_of(samples: np.ndarray) -> float:
    return float(np.abs(np.diff(samples[..., 1].astype(float), axis=1)).mean())


def test_more_is_sharper_and_nothing_leaves_the_picture_alone(picture: np.ndarray) -> None:
    assert polished(picture, 3, 4.0) is picture
    found = [detail_of(polished(picture, 3, 4.0, sharpen=amount)) for amount in (0, 30, 60, 100)]
    assert found == sorted(found)
    assert found[-1] > 1.1 * found[0]


@pytest.mark.parametrize("scale", [1.0, 2.0, 4.0])
def test_edges_do_not_overshoot(scale: float) -> None:
    step = np.full((40, 60, 3), 60, np.uint8)
    ramp = np.linspace(60, 200, 9).round().astype(np.uint8)
    step[:, 26:35] = ramp[None, :, None]
    step[:, 35:] = 200
    sharp = polished(step, 3, scale, sharpen=100)
    assert sharp.min() >= 60 - polish.OVER * 140 - 1
    assert sharp.max() <= 200 + polish.OVER * 140 + 1
    assert np.abs(np.diff(sharp[20, :, 0].astype(int))).max() > np.abs(np.diff(step[20, :, 0].astype(int))).max()


def test_white_black_and_flat_stay_what_they_are() -> None:
    flat = np.zeros((64, 96, 3), np.uint8)
    flat[:, 32:64], flat[:, 64:] = 255, 128
    done = polished(flat, 3, 4.0, sharpen=100, grain=100)
    assert (done[:, :24] == 0).all()
    assert (done[:, 40:56] == 255).all()
    sharp = polished(flat, 3, 4.0, sharpen=100)
    assert (sharp[:, 76:] == 128).all()


def test_grain_is_seeded_and_grows(picture: np.ndarray) -> None:
    grey = np.full((256, 256, 3), 128, np.uint8)
    spread = [polished(grey, 3, 4.0, grain=amount).std() for amount in (0, 25, 50, 100)]
    assert spread == sorted(spread)
    assert 6 < spread[-1] < 12
    done = polished(grey, 3, 4.0, grain=50, seed=3)
    assert np.array_equal(done, polished(grey, 3, 4.0, grain=50, seed=3))
    assert not np.array_equal(done, polished(grey, 3, 4.0, grain=50, seed=4))
    assert (done[..., 0] == done[..., 1]).all(), "grain has no colour"
    assert abs(float(done.mean()) - 128) < 0.3


def test_strips_do_not_show(picture: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = polished(picture, 3, 3.0, sharpen=80, grain=20)
    monkeypatch.setattr(polish, "STRIP", 1)
    assert np.array_equal(polished(picture, 3, 3.0, sharpen=80, grain=20), whole)


def test_sixteen_bits_alpha_and_grey(picture: np.ndarray) -> None:
    deep = polished(picture.astype(np.uint16) * 257, 3, 4.0, sharpen=60)
    assert deep.dtype == np.uint16
    assert np.abs(deep / 257 - polished(picture, 3, 4.0, sharpen=60)).max() <= 1
    alpha = np.random.default_rng(0).integers(0, 256, (*picture.shape[:2], 1), np.uint8)
    both = np.concatenate([picture, alpha], axis=2)
    done = polished(both, 3, 4.0, sharpen=60)
    assert np.array_equal(done[..., 3:], alpha)
    assert np.array_equal(done[..., :3], polished(picture, 3, 4.0, sharpen=60))
    assert polished(picture[..., :1], 1, 4.0, sharpen=60).shape == (*picture.shape[:2], 1)


@pytest.mark.parametrize("radius", [1, 2, 3, 4, 7])
def test_extremes_are_those_of_the_window(radius: int) -> None:
    planes: Planes = np.random.default_rng(radius).random((1, 23, 19), np.float32)
    low, high = extremes(planes, radius)
    padded = np.pad(planes, ((0, 0), (radius, radius), (radius, radius)), mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (2 * radius + 1,) * 2, (1, 2))
    assert np.array_equal(low, windows.min((-1, -2)))
    assert np.array_equal(high, windows.max((-1, -2)))
