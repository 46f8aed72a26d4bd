"""Classic kernels: exact in place and value, however wide the picture and however it is cut."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow

from enlarger.engines import find
from enlarger.engines.engine import Device, NoSettings
from enlarger.engines.resample import KERNELS, Resampler
from enlarger.errors import DeviceError, EngineError, EngineMissingError
from enlarger.image import Box, Samples, Tile

ALL = (*KERNELS, "nearest")


def noise(height: int, width: int, bands: int, dtype: type[np.uint8] | type[np.uint16] = np.uint16) -> Samples:
    samples = np.random.default_rng(height * width + bands).integers(0, np.iinfo(dtype).max, (height, width, bands), dtype, endpoint=True)
    samples.flags.writeable = False
    return samples


def whole(kernel: str, samples: Samples, size: tuple[int, int]) -> Tile:
    return Resampler(kernel)(samples, size, Box(0, 0, *size))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_boxes_do_not_show(data: st.DataObject) -> None:
    """Any box of any enlargement is bit for bit the same place of the whole."""
    width, height, bands = (data.draw(st.integers(1, most)) for most in (300, 60, 4))
    out = (data.draw(st.integers(width, width * 4)), data.draw(st.integers(height, height * 4)))
    x, y = data.draw(st.integers(0, out[0] - 1)), data.draw(st.integers(0, out[1] - 1))
    box = Box(x, y, data.draw(st.integers(1, out[0] - x)), data.draw(st.integers(1, out[1] - y)))
    samples, kernel = noise(height, width, bands), data.draw(st.sampled_from(ALL))
    assert np.array_equal(Resampler(kernel)(samples, out, box), whole(kernel, samples, out)[box.slices()])


@pytest.mark.parametrize("kernel", list(KERNELS))
@pytest.mark.parametrize("size", [(700, 250), (1750, 601), (2801, 1000)])
def test_equals_pillow_on_the_whole_picture(kernel: str, size: tuple[int, int]) -> None:
    samples = noise(250, 700, 3)
    answer = whole(kernel, samples, size)
    for band in range(3):
        plane = Pillow.fromarray(np.ascontiguousarray(samples[..., band]).astype(np.float32) / np.float32(65535))
        expected = np.asarray(plane.resize(size, KERNELS[kernel][0]))
        assert np.abs(answer[..., band] - expected).max() < 2e-5


def linear(kernel: str, distance: np.ndarray) -> np.ndarray:
    """The kernels as their definitions have them, in float64."""
    x = np.abs(distance)
    if kernel == "lanczos3":
        return np.where(x < 3, np.sinc(x) * np.sinc(x / 3), 0)
    if kernel == "bicubic":
        return np.where(x < 1, 1.5 * x**3 - 2.5 * x**2 + 1, np.where(x < 2, -0.5 * (x**3 - 5 * x**2 + 8 * x - 4), 0))
    return np.clip(1 - x, 0, None)


@pytest.mark.parametrize("kernel", list(KERNELS))
@pytest.mark.parametrize("width", [65_000, 65_001, 97_501, 130_000])
def test_phase_is_exact_in_very_wide_pictures(kernel: str, width: int) -> None:
    """Near the right end of 65,000 pixels, against the kernel's definition at exact rational positions."""
    source = 65_000
    samples = np.broadcast_to(noise(1, source, 1), (3, source, 1))
    first, count = width - 600, 500
    answer = Resampler(kernel)(samples, (width, 3), Box(first, 1, count, 1))[0, :, 0]
    values = samples[1, :, 0] / 65535
    for i in range(0, count, 7):
        centre = Fraction(2 * (first + i) + 1, 2) * Fraction(source, width) - Fraction(1, 2)
        near = np.arange(int(centre) - 3, int(centre) + 5)
        weights = linear(kernel, np.array([float(n - centre) for n in near]))
        assert abs(answer[i] - (weights * values[near]).sum() / weights.sum()) < 1e-4


def test_nearest_decides_ties_alike_on_both_sides() -> None:
    samples = np.arange(12, dtype=np.uint8)[None, :, None].repeat(6, 0)
    answer = whole("nearest", samples, (30, 15))
    assert np.array_equal(whole("nearest", samples[:, ::-1].copy(), (30, 15)), answer[:, ::-1])
    counts = np.unique(answer[0], return_counts=True)[1]
    assert sorted(set(counts)) == [2, 3]
    assert counts.tolist() == counts[::-1].tolist()


def test_nearest_takes_the_pixel_under_the_centre() -> None:
    samples = noise(3, 7, 1)
    answer = whole("nearest", samples, (11, 3))
    under = [int(Fraction(2 * x + 1, 2) * Fraction(7, 11)) for x in range(11)]
    assert np.array_equal(answer[:, :, 0], (samples[:, under, 0] / np.float32(65535)).astype(np.float32))
    assert np.array_equal(whole("nearest", samples, (28, 12))[::4, ::4], whole("nearest", samples, (7, 3)))


@pytest.mark.parametrize("kernel", ALL)
@pytest.mark.parametrize("bands", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_flat_stays_flat(kernel: str, bands: int, dtype: type[np.uint8] | type[np.uint16]) -> None:
    samples = np.full((9, 11, bands), np.iinfo(dtype).max // 3, dtype)
    assert np.abs(whole(kernel, samples, (29, 31)) - 1 / 3).max() < 1e-6


def test_same_size_is_the_same_picture() -> None:
    samples = noise(40, 300, 3)
    for kernel in ALL:
        assert np.abs(whole(kernel, samples, (300, 40)) - samples / 65535).max() < 1e-6


@pytest.mark.parametrize("kernel", list(KERNELS))
def test_no_fringe_of_hidden_colour(kernel: str) -> None:
    """White on transparent green: no visible pixel turns green, and alpha is resampled as grey would be."""
    samples = np.zeros((16, 16, 4), np.uint8)
    samples[..., 1] = 255
    samples[4:12, 4:12] = 255
    answer = whole(kernel, samples, (64, 64))
    seen = answer[..., 3] > 1 / 255
    assert np.abs(answer[seen][:, :3] - 1).max() < 1e-3
    alone = np.clip(whole(kernel, np.ascontiguousarray(samples[..., 3:]), (64, 64)), 0, 1)
    assert np.abs(answer[..., 3:] - alone).max() < 1e-6
    assert answer[0, 0].tolist() == [0, 1, 0, 0], "colour that is hidden stays"


def test_opaque_alpha_changes_nothing() -> None:
    samples = noise(20, 30, 4).copy()
    samples[..., 3] = 65535
    answer = whole("lanczos3", samples, (75, 50))
    assert np.array_equal(answer[..., :3], whole("lanczos3", np.ascontiguousarray(samples[..., :3]), (75, 50)))
    assert np.abs(answer[..., 3] - 1).max() < 1e-6


def test_grey_with_alpha_is_weighted_too() -> None:
    samples = np.zeros((8, 8, 2), np.uint8)
    samples[2:6, 2:6] = 255
    answer = whole("bicubic", samples, (32, 32))
    assert np.abs(answer[answer[..., 1] > 1 / 255][:, 0] - 1).max() < 1e-3


@pytest.mark.parametrize("box", [Box(0, 0, 0, 1), Box(-1, 0, 2, 2), Box(0, 0, 13, 1), Box(11, 11, 2, 1), Box(0, 12, 1, 1)])
def test_boxes_outside_are_refused(box: Box) -> None:
    with pytest.raises(EngineError, match="inside"):
        Resampler("lanczos3")(noise(6, 6, 1), (12, 12), box)


def test_shrinking_is_refused() -> None:
    with pytest.raises(EngineError, match="smaller"):
        Resampler("lanczos3")(noise(6, 6, 1), (5, 12), Box(0, 0, 1, 1))


def test_devices_and_models() -> None:
    engine = find("resample")
    assert engine.device("auto", 8) == Device("cpu", threads=1)
    with pytest.raises(DeviceError, match="CPU only"):
        engine.device("gpu", None)
    first = engine.models()[0]
    with pytest.raises(DeviceError):
        engine.open(first, Device("gpu"), NoSettings())
    with pytest.raises(EngineMissingError, match="lanczos3, bicubic"):
        engine.open(first.model_copy(update={"id": "spline"}), Device(), NoSettings())
