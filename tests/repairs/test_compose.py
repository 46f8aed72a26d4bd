"""Cut-outs on new ground: colours, pictures, transparency, shadows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from enlarger.errors import InputError
from enlarger.repairs.compose import compose, covering


def subject(bands: int = 3, dtype: type = np.uint8) -> tuple[np.ndarray, np.ndarray]:
    """A square of one colour whose left half is opaque, with an antialiased column, on white."""
    top = np.iinfo(dtype).max
    alpha = np.zeros((20, 30), np.float32)
    alpha[4:16, 5:20] = 1
    alpha[4:16, 20] = 0.5
    colour = np.array([0.6, 0.2, 0.4][:bands]) * top
    samples = np.rint(colour * alpha[..., None] + top * (1 - alpha[..., None])).astype(dtype)
    return samples, alpha


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("bands", [1, 3])
def test_transparent_keeps_what_is_opaque(bands: int, dtype: type) -> None:
    samples, alpha = subject(bands, dtype)
    made = compose(samples, alpha)
    assert (made.shape, made.dtype) == ((20, 30, bands + 1), samples.dtype)
    assert (made[alpha == 1][:, :-1] == samples[alpha == 1]).all()
    assert (made[..., -1] == np.rint(alpha * np.iinfo(dtype).max)).all()
    # No white is left in the edge.
    assert np.abs(made[4:16, 20, :-1].astype(float) - made[4:16, 19, :-1]).max() <= 2 * np.iinfo(dtype).max / 255


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_colour_is_exact_where_nothing_stands(dtype: type) -> None:
    samples, alpha = subject(3, dtype)
    made = compose(samples, alpha, (32, 64, 96))
    scale = np.iinfo(dtype).max // 255
    assert (made[alpha == 0] == np.array([0x20, 0x40, 0x60]) * scale).all()
    assert (made[alpha == 1] == samples[alpha == 1]).all()
    assert (compose(samples, alpha, (255, 255, 255))[alpha == 0] == np.iinfo(dtype).max).all()


def test_grey_stays_grey_where_it_can() -> None:
    samples, alpha = subject(1)
    assert compose(samples, alpha, (255, 255, 255)).shape == (20, 30, 1)
    assert compose(samples, alpha, (255, 0, 0)).shape == (20, 30, 3)


def test_a_shadow_darkens_the_new_ground_only() -> None:
    samples, alpha = subject()
    shadow = np.full(alpha.shape, 0.25, np.float32)
    made = compose(samples, alpha, (200, 100, 40), shadow=shadow)
    assert (made[alpha == 0] == (150, 75, 30)).all()
    assert (made[alpha == 1] == samples[alpha == 1]).all()
    clear = compose(samples, alpha, None, shadow=shadow)
    assert (clear[alpha == 0] == (0, 0, 0, 64)).all()
    assert (clear[alpha == 1][:, :3] == samples[alpha == 1]).all()


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 60), st.integers(1, 60), st.integers(1, 4), st.sampled_from([np.uint8, np.uint16]))
def test_any_picture_covers(width: int, height: int, bands: int, dtype: type) -> None:
    picture = np.full((height, width, bands), np.iinfo(dtype).max // 3, dtype)
    if bands % 2 == 0:
        picture[..., -1] = np.iinfo(dtype).max
    made = covering(picture, 30, 20)
    assert (made.shape, made.dtype) == ((20, 30, 3), dtype)
    assert np.abs(made.astype(int) - np.iinfo(dtype).max // 3).max() <= np.iinfo(dtype).max // 255


def test_covering_cuts_to_the_middle() -> None:
    wide = np.zeros((20, 90, 3), np.uint8)
    wide[:, 30:60] = (10, 20, 30)
    assert (covering(wide, 30, 20)[:, 2:-2] == (10, 20, 30)).all()
    clear = np.zeros((20, 30, 4), np.uint8)
    assert (covering(clear, 30, 20) == 255).all()


def test_a_picture_of_another_depth_may_lie_behind() -> None:
    samples, alpha = subject()
    behind = np.full((40, 60, 3), 32896, np.uint16)
    assert (compose(samples, alpha, behind)[alpha == 0] == 128).all()


def test_wrong_shapes_are_refused() -> None:
    samples, alpha = subject()
    for bad in (
        lambda: compose(samples, alpha[1:]),
        lambda: compose(samples, alpha, shadow=alpha[1:]),
        lambda: compose(samples[..., :2], alpha),
    ):
        with pytest.raises(InputError) as caught:
            bad()
        assert "\n" not in str(caught.value)
