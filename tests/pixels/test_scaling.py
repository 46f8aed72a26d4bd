"""D and U against other hands: Pillow's bicubic, which has the same kernel, away from the border."""

from __future__ import annotations

import numpy as np
import PIL.Image
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from enlarger.image import Box
from enlarger.pixels.bands import NOISE_GAIN, bands, window_mean
from enlarger.pixels.grain import grain
from enlarger.pixels.scaling import Scaling, Sizes, planes_of

RNG = np.random.default_rng(3)


def by_pillow(plane: np.ndarray, width: int, height: int) -> np.ndarray:
    return np.asarray(PIL.Image.fromarray(plane).resize((width, height), PIL.Image.Resampling.BICUBIC))


@pytest.mark.parametrize(("width", "height"), [(160, 120), (133, 121), (61, 47), (40, 30)])
def test_up_and_down_equal_pillow_inside(width: int, height: int) -> None:
    plane = RNG.random((30, 40), np.float32)
    sizes = Sizes(40, 30, width, height)
    large = sizes.enlarged(plane[None], (0, 0), Box(0, 0, width, height))[0]
    edge = 3 * width // 40 + 1
    inner = slice(edge, -edge), slice(edge, -edge)
    assert np.abs(large - by_pillow(plane, width, height))[inner].max() < 2e-5
    small = sizes.reduced_rows(large[None], 0, 0, 30)[0]
    assert np.abs(small - by_pillow(large, 40, 30))[3:-3, 3:-3].max() < 2e-5


def test_a_constant_stays_constant_to_the_border() -> None:
    sizes = Sizes(17, 9, 71, 40)
    ones = np.ones((1, 9, 17), np.float32)
    assert sizes.enlarged(ones, (0, 0), Box(0, 0, 71, 40)) == pytest.approx(1, abs=1e-6)
    assert sizes.reduced_rows(np.ones((1, 40, 71), np.float32), 0, 0, 9) == pytest.approx(1, abs=1e-6)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 90), st.integers(1, 400), st.data())
def test_a_part_equals_the_part_of_the_whole(source: int, result: int, data: st.DataObject) -> None:
    scaling = Scaling(source, result)
    start = data.draw(st.integers(0, result - 1))
    stop = data.draw(st.integers(start + 1, result))
    low, high = scaling.needs(start, stop)
    whole = Scaling(source, result).matrix(0, result)
    assert np.abs(whole[start:stop, low:high] - scaling.matrix(start, stop)).max() < 1e-5
    outside = np.delete(whole[start:stop], np.s_[low:high], axis=1)
    assert outside.size == 0 or np.abs(outside).max() == 0


def test_nothing_drifts() -> None:
    """The centre of mass of a blob stays where it is, for whole and broken factors."""
    y, x = np.mgrid[:40, :50].astype(np.float32)
    blob = np.exp(-((x - 21.3) ** 2 + (y - 17.8) ** 2) / 8)[None]
    for width, height in ((200, 160), (123, 97), (50, 40)):
        large = Sizes(50, 40, width, height).enlarged(blob, (0, 0), Box(0, 0, width, height))[0]
        across = (large.sum(0) * (np.arange(width) + 0.5)).sum() / large.sum() * 50 / width - 0.5
        down = (large.sum(1) * (np.arange(height) + 0.5)).sum() / large.sum() * 40 / height - 0.5
        assert (across, down) == (pytest.approx(21.3, abs=2e-3), pytest.approx(17.8, abs=2e-3))


def test_bands_sum_to_the_whole_and_their_noise_is_as_stated() -> None:
    noise = RNG.standard_normal((1, 400, 400), np.float32)
    details, rest = bands(noise, 4)
    assert np.abs(sum(details, rest) - noise).max() < 1e-5
    for detail, gain in zip(details, NOISE_GAIN, strict=True):
        assert detail.std() == pytest.approx(gain, rel=0.05)


def test_window_means() -> None:
    plane = RNG.random((1, 20, 30), np.float32)
    assert window_mean(plane, 2)[0, 7, 9] == pytest.approx(plane[0, 5:10, 7:12].mean(), abs=1e-6)
    assert window_mean(np.ones((1, 5, 5), np.float32), 3) == pytest.approx(1)


def test_grain_is_the_same_in_parts_and_has_the_promised_strength() -> None:
    whole = grain(7, 256, 0, 256, 4.0)
    assert np.array_equal(whole[:, 100:171], grain(7, 256, 100, 171, 4.0))
    assert not np.array_equal(whole, grain(8, 256, 0, 256, 4.0))
    for factor in (2, 4):
        own = grain(1, 512, 0, 512, float(factor))
        sizes = Sizes(512 // factor, 512 // factor, 512, 512)
        seen = sizes.enlarged(sizes.reduced_rows(own, 0, 0, 512 // factor), (0, 0), Box(0, 0, 512, 512))
        assert (own - seen).std() == pytest.approx(1, abs=0.12)


def test_planes_are_floats_of_what_is_stored() -> None:
    assert planes_of(np.array([[[255, 0]]], np.uint8), 1)[0, 0, 0] == 1
    assert planes_of(np.array([[[65535, 0]]], np.uint16), 2)[:, 0, 0].tolist() == [1, 0]
