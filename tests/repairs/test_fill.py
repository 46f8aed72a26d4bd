"""Filling: what is outside the mask stays, what is inside follows from it, and the same seed gives the same picture."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage import data

from enlarger.errors import InputError
from enlarger.repairs import fill as filling
from enlarger.repairs.fill import fill, fill_in_place, membrane
from enlarger.repairs.holes import holes
from enlarger.repairs.patches import depths, reached

RNG = np.random.default_rng(5)


def bricks(height: int = 120, width: int = 160) -> np.ndarray:
    return np.ascontiguousarray(data.brick()[:height, :width, None])


def hole(shape: tuple[int, ...], x: int, y: int, width: int, height: int) -> np.ndarray:
    mask = np.zeros(shape[:2], bool)
    mask[y : y + height, x : x + width] = True
    return mask


def psnr(one: np.ndarray, two: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / max(1e-9, np.mean((one.astype(float) - two) ** 2))))


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_outside_the_mask_nothing_changes(draw: st.DataObject) -> None:
    height, width = draw.draw(st.integers(1, 60)), draw.draw(st.integers(1, 60))
    bands, dtype = draw.draw(st.integers(1, 4)), draw.draw(st.sampled_from([np.uint8, np.uint16]))
    rng = np.random.default_rng(draw.draw(st.integers(0, 99)))
    samples = rng.integers(0, np.iinfo(dtype).max, (height, width, bands), dtype, endpoint=True)
    mask = rng.random((height, width)) < draw.draw(st.sampled_from([0.0, 0.02, 0.5]))
    if draw.draw(st.booleans()):
        mask |= hole(mask.shape, width // 3, height // 3, max(1, width // 3), max(1, height // 3))
    mask[0, 0] = False
    before = samples.copy()
    made = fill(samples, mask, 1)
    assert (samples == before).all()
    assert (made.dtype, made.shape) == (samples.dtype, samples.shape)
    assert (made[~mask] == samples[~mask]).all()
    assert (made == fill(samples, mask, 1)).all()


@pytest.mark.parametrize("bands", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_what_was_in_the_hole_is_not_looked_at(bands: int, dtype: type) -> None:
    samples = np.repeat(bricks(), bands, 2).astype(dtype) * (np.iinfo(dtype).max // 255)
    if bands % 2 == 0:
        samples[..., -1] = np.iinfo(dtype).max
    mask = hole(samples.shape, 60, 40, 30, 20)
    other = samples.copy()
    other[mask] = 7
    made = fill(samples, mask)
    assert (made == fill(other, mask)).all()
    assert bands % 2 or (made[..., -1] == np.iinfo(dtype).max).all()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_pattern_goes_on(dtype: type) -> None:
    """Stripes and rings of 10 pixels: an exact continuation is there to be found, which no smooth filling comes near."""
    y, x = np.mgrid[:150, :170]
    tile = ((x // 5 + y // 5) % 2 * 180 + 40).astype(dtype)[..., None]
    mask = hole(tile.shape, 70, 60, 34, 27)
    made = fill(tile, mask)
    smooth = np.rint(membrane(tile.astype(np.float32), mask)).astype(np.uint8)
    assert psnr(made[mask], tile[mask]) > 35
    assert psnr(smooth[mask], tile[mask]) < 12


def test_16_bits_are_filled_with_16_bits() -> None:
    y, x = np.mgrid[:100, :100]
    ramp = (x * 400 + y * 150 + 9000).astype(np.uint16)[..., None]
    mask = hole(ramp.shape, 40, 40, 16, 16)
    made = fill(ramp, mask)
    assert np.abs(made[mask].astype(int) - ramp[mask]).max() < 257
    assert len(np.unique(made[mask] % 257)) > 50


def test_a_smooth_gradient_needs_no_equal_light_elsewhere() -> None:
    y, x = np.mgrid[:128, :128]
    sky = np.stack([60 + x * 0.6 + y * 0.3, 90 + x * 0.5, 200 - y * 0.5], -1).round().astype(np.uint8)
    mask = hole(sky.shape, 50, 50, 40, 30)
    assert np.abs(fill(sky, mask)[mask].astype(int) - sky[mask]).max() <= 3


def test_texture_stays_texture() -> None:
    """A hole in gravel must not turn into a smudge: of its gradients two fifths stay, of which a smooth filling has hardly any."""
    gravel = np.ascontiguousarray(data.gravel()[:200, :200, None])
    mask = hole(gravel.shape, 80, 80, 44, 36)
    made, smooth, truth = (
        float(np.abs(np.diff(picture[80:116, 80:124, 0].astype(float), axis=1)).mean())
        for picture in (fill(gravel, mask), membrane(gravel, mask), gravel)
    )
    assert made > 0.4 * truth
    assert smooth < 0.25 * truth


def test_invisible_colour_is_not_spread() -> None:
    """Behind a transparent ground lies pure red, which must not come into the filled part of an opaque grey thing."""
    samples = np.zeros((90, 90, 4), np.uint8)
    samples[..., 0] = 255
    samples[20:70, 10:80] = (90, 100, 110, 255)
    made = fill(samples, hole(samples.shape, 35, 30, 14, 14))
    assert (np.abs(made[30:44, 35:49].astype(int) - (90, 100, 110, 255)) <= 2).all()


def test_holes_far_apart_do_not_depend_on_each_other() -> None:
    samples = np.tile(bricks(200, 200), (1, 4, 1))
    one, two = hole(samples.shape, 30, 30, 20, 20), hole(samples.shape, 700, 120, 20, 20)
    both = fill(samples, one | two)
    assert (both[one] == fill(samples, one)[one]).all()
    assert (both[~one & ~two] == samples[~one & ~two]).all()


def test_only_the_surroundings_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    samples = np.tile(bricks(300, 300), (3, 4, 1))
    mask = hole(samples.shape, 600, 400, 40, 30)
    read = []
    solve = filling._filled
    monkeypatch.setattr(filling, "_filled", lambda piece, *rest: read.append(piece.shape) or solve(piece, *rest))
    fill(samples, mask)
    assert read == [(30 + 2 * filling.NEAR, 40 + 2 * filling.NEAR, 1)]


def test_long_thin_holes_are_filled_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filling, "STRIP", 128)
    samples = np.tile(bricks(200, 200), (1, 3, 1))
    wire = hole(samples.shape, 0, 90, 600, 4)
    pieces = list(holes(wire, 128))
    assert len(pieces) == 5
    assert sum(int(wire[box.slices()].sum()) for box in pieces) == wire.sum()
    made = fill(samples, wire)
    assert (made[~wire] == samples[~wire]).all()
    assert psnr(made[wire], samples[wire]) > 22
    thick = hole(samples.shape, 100, 20, 300, 150)
    assert len(list(holes(thick, 128))) == 1


def test_a_large_hole_is_only_adjusted_at_full_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """Past the limits (lowered here) pieces stay as they are stored and places are taken over from half the size."""
    monkeypatch.setattr(filling, "MANY", 800)
    monkeypatch.setattr(filling, "FLOAT_SAMPLES", 20_000)
    y, x = np.mgrid[:240, :260]
    pattern = ((x // 6 + y // 6) % 2 * 180 + 40).astype(np.uint8)[..., None].repeat(3, 2)
    mask = hole(pattern.shape, 90, 80, 70, 64)
    made = fill(pattern, mask)
    assert (made[~mask] == pattern[~mask]).all()
    assert psnr(made[mask], pattern[mask]) > 20


def test_in_place_fills_what_it_is_given() -> None:
    samples, mask = bricks(), hole((120, 160), 60, 40, 30, 20)
    expected = fill(samples, mask, 3)
    fill_in_place(samples, mask, 3)
    assert (samples == expected).all()


def test_seeds_differ() -> None:
    grass = np.ascontiguousarray(data.grass()[:160, :160, None])
    mask = hole(grass.shape, 60, 60, 30, 30)
    assert (fill(grass, mask, 0) != fill(grass, mask, 1)).any()


def test_nothing_marked_is_a_copy() -> None:
    samples = bricks()
    made = fill(samples, np.zeros(samples.shape[:2], bool))
    assert (made == samples).all()
    assert not np.shares_memory(made, samples)


def test_bad_masks_get_one_line() -> None:
    samples = bricks()
    for mask, words in (
        (np.ones((120, 160), bool), "covers the whole picture"),
        (np.ones((9, 9), bool), "9 x 9 pixels, the picture 160 x 120"),
    ):
        with pytest.raises(InputError, match=words) as caught:
            fill(samples, mask)
        assert "\n" not in str(caught.value)


def test_it_is_fast_enough() -> None:
    picture = data.astronaut()
    mask = hole(picture.shape, 150, 300, 60, 40)
    start = time.process_time()
    fill(picture, mask)
    assert time.process_time() - start < 5


@given(st.integers(0, 9))
@settings(max_examples=10, deadline=None)
def test_growing_and_depth_agree_with_their_definition(radius: int) -> None:
    mask = RNG.random((23, 31)) < 0.02
    ys, xs = np.nonzero(mask)
    y, x = np.mgrid[:23, :31]
    near = (np.maximum(np.abs(y[..., None] - ys), np.abs(x[..., None] - xs)) <= radius).any(-1)
    assert (reached(mask, radius) == near).all()
    assert (depths(near) > 0).sum() == near.sum()


def test_depth_counts_from_the_edge() -> None:
    assert depths(hole((20, 20), 4, 4, 9, 9)).max() == 5
    assert depths(hole((20, 20), 4, 4, 9, 9), 3).max() == 3


def test_a_rim_that_patches_do_not_meet_is_blended_and_one_that_they_meet_is_not() -> None:
    """Two halves of one brightness each: patches meet the known there. Noise nobody can foretell: they do not, and steps must not grow."""
    halves = np.where(np.arange(160)[None, :, None] < 80, 60, 190).astype(np.uint8).repeat(120, 0)
    mask = hole(halves.shape, 60, 40, 40, 36)
    assert (fill(halves, mask) == halves).all()
    noise = np.random.default_rng(3).integers(60, 190, (120, 160, 1)).astype(np.uint8)
    made = fill(noise, mask).astype(float)
    across = np.abs(np.diff(made[..., 0], axis=1))
    steps, inside = across[40:76, [59, 99]].mean(), across[46:70, 70:90].mean()
    assert inside > 5
    assert steps < 0.8 * np.abs(np.diff(noise[..., 0].astype(float), axis=1)).mean()
