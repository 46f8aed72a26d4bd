"""Holes filled by a net: only what is marked, from what is around it, at the picture's own size."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from skimage import data
from tests.onnx_models import NEEDS_ONNX, Played, lama, mean_of_known

from enlarger.errors import EngineError, InputError, WeightsError
from enlarger.onnx_model import Model, open_model
from enlarger.repairs.lama import fill_by_lama

FIXED = [(1, 3, 128, 128), (1, 1, 128, 128)]
FREE = [("b", 3, "h", "w"), ("b", 1, "h", "w")]


def net(shapes: list[tuple[int | str, ...]], answer: Callable[..., np.ndarray] = mean_of_known) -> tuple[Model, Played]:
    session = Played(shapes, answer)
    return Model(session, "lama"), session


def hole(shape: tuple[int, ...], x: int, y: int, width: int, height: int) -> np.ndarray:
    mask = np.zeros(shape[:2], bool)
    mask[y : y + height, x : x + width] = True
    return mask


def flat(height: int = 200, width: int = 240, colour: tuple[int, ...] = (200, 60, 90)) -> np.ndarray:
    return np.broadcast_to(np.array(colour, np.uint8), (height, width, len(colour))).copy()


@pytest.mark.parametrize("shapes", [FIXED, FREE, FIXED[::-1]])
@pytest.mark.parametrize("at", [(100, 90), (0, 0), (220, 180)])
def test_what_is_marked_is_filled_and_nothing_else_touched(shapes: list[tuple[int | str, ...]], at: tuple[int, int]) -> None:
    picture = data.astronaut()[:200, :240].copy()
    mask = hole(picture.shape, *at, 20, 20)
    marked = picture.copy()
    marked[mask] = (255, 0, 255)
    answer = mean_of_known if shapes != FIXED[::-1] else lambda mask, image: mean_of_known(image, mask)
    model, session = net(shapes, answer)
    assert fill_by_lama(marked, mask, model) == ()
    assert (marked[~mask] == picture[~mask]).all()
    assert (marked[mask] != (255, 0, 255)).any(1).all()
    assert len(session.calls) == 1


def test_what_is_below_the_mark_is_not_shown_to_the_net() -> None:
    picture = data.astronaut()[:200, :240].copy()
    mask = hole(picture.shape, 100, 90, 30, 20)
    other = picture.copy()
    other[mask] = 255 - other[mask]
    model, _ = net(FIXED)
    fill_by_lama(picture, mask, model)
    fill_by_lama(other, mask, model)
    assert (picture == other).all()


def test_the_net_sees_the_picture_at_its_own_size_and_a_ring_more_of_the_hole() -> None:
    picture = data.astronaut()[:200, :240].copy()
    mask = hole(picture.shape, 100, 90, 30, 20)
    model, session = net(FIXED)
    source = picture.copy()
    fill_by_lama(picture, mask, model)
    image, asked = session.calls[0]
    top, left = 100 - 64, 115 - 64
    seen = source[top : top + 128, left : left + 128].astype(np.float32) / 255
    known = asked[0, 0] == 0
    assert np.allclose(image[0].transpose(1, 2, 0)[known], seen[known], atol=1e-6)
    assert asked.sum() == 38 * 28


@pytest.mark.parametrize("scale", [1.0, 255.0])
@pytest.mark.parametrize("level", [0, 1, 130, 255])
def test_both_ranges_of_answers_are_understood_also_in_the_dark(scale: float, level: int) -> None:
    picture = flat(colour=(level, level, level))
    mask = hole(picture.shape, 100, 90, 30, 20)
    picture[mask] = 77
    model, _ = net(FIXED, lambda image, mask: mean_of_known(image, mask) * np.float32(scale / 255))
    fill_by_lama(picture, mask, model)
    assert (np.abs(picture.astype(int) - level) <= 1).all()


@pytest.mark.parametrize(("bands", "dtype"), [(1, np.uint8), (2, np.uint8), (3, np.uint16), (4, np.uint8), (4, np.uint16)])
def test_every_kind_of_samples(bands: int, dtype: type) -> None:
    top = np.iinfo(dtype).max
    colour = np.array([0.7, 0.2, 0.4, 1.0][:bands] if bands > 2 else [0.6, 1.0][:bands]) * top
    picture = np.broadcast_to(np.rint(colour).astype(dtype), (140, 150, bands)).copy()
    mask = hole(picture.shape, 60, 60, 25, 20)
    whole = picture.copy()
    picture[mask] = 3
    model, _ = net(FREE)
    fill_by_lama(picture, mask, model)
    assert picture.dtype == dtype
    assert np.abs(picture.astype(float) - whole).max() <= top * 1e-5 + 1


def test_invisible_colour_is_not_spread() -> None:
    """Behind a transparent ground lies pure red, which must not come into the filled part."""
    picture = np.zeros((128, 128, 4), np.uint8)
    picture[..., 0] = 255
    picture[20:110, 20:110] = (90, 100, 110, 255)
    mask = hole(picture.shape, 50, 50, 20, 20)

    def near(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """The mean of what is known close to the hole."""
        y, x = np.nonzero(mask[0, 0])
        close = np.zeros_like(mask)
        close[..., y.min() - 6 : y.max() + 7, x.min() - 6 : x.max() + 7] = 1
        close *= 1 - mask
        mean = (image * close).sum((2, 3), keepdims=True) / close.sum()
        return ((image * (1 - mask) + mean * mask) * 255).astype(np.float32)

    model, session = net(FIXED, near)
    fill_by_lama(picture, mask, model)
    assert (np.abs(picture[50:70, 50:70].astype(int) - (90, 100, 110, 255)) <= 1).all()
    assert len(session.calls) == 2, "colour, and alpha for itself"


def test_what_the_net_is_off_by_leaves_no_seam() -> None:
    picture = flat()
    mask = hole(picture.shape, 80, 70, 60, 60)
    model, _ = net(FIXED, lambda image, mask: mean_of_known(image, mask) + 30 * mask)
    fill_by_lama(picture, mask, model)
    off = picture[..., 1].astype(int) - 60
    assert np.abs(off[70, 80:140]).max() <= 2, "next to what is known"
    assert off[100, 110] > 20, "deep inside, where there is nothing to hold it to"


def test_a_hole_larger_than_the_window_is_filled_in_parts_and_that_is_said() -> None:
    y, x = np.mgrid[:300, :320]
    picture = np.rint(np.stack([60 + 0.4 * x, 80 + 0.3 * y, 200 - 0.3 * x], -1)).astype(np.uint8)
    mask = hole(picture.shape, 40, 30, 230, 220)
    source = picture.copy()
    picture[mask] = (255, 0, 255)
    model, session = net(FIXED)
    (doubt,) = fill_by_lama(picture, mask, model)
    assert f"230 x 220 pixels is larger than what the net sees at once (128 x 128): it was filled in {len(session.calls)} parts" in doubt
    assert (picture[~mask] == source[~mask]).all()
    assert (picture[mask] != (255, 0, 255)).any(1).all()
    assert np.abs(picture.astype(int) - source)[mask].mean() < 30
    first = session.calls[0][1]
    assert first.mean() < 0.9, "begun where something is known"


def test_free_sides_need_no_more_than_the_hole_asks_for() -> None:
    picture = np.tile(data.astronaut(), (1, 3, 1)).copy()
    model, session = net(FREE)
    fill_by_lama(picture, hole(picture.shape, 700, 200, 20, 30) | hole(picture.shape, 100, 60, 300, 280), model)
    assert sorted({call[0].shape for call in session.calls}) == [(1, 3, 256, 256), (1, 3, 512, 608)]


def test_holes_far_apart_are_filled_each_for_itself() -> None:
    picture = np.tile(data.astronaut()[:150, :200], (1, 4, 1)).copy()
    one, two = hole(picture.shape, 30, 30, 20, 20), hole(picture.shape, 700, 90, 20, 20)
    alone, both = picture.copy(), picture.copy()
    model, _ = net(FIXED)
    fill_by_lama(both, one | two, model)
    fill_by_lama(alone, one, model)
    assert (both[one] == alone[one]).all()


def test_pictures_smaller_than_the_window_are_reflected() -> None:
    picture = flat(40, 50)
    mask = hole(picture.shape, 10, 10, 12, 12)
    picture[mask] = 0
    model, session = net(FIXED)
    fill_by_lama(picture, mask, model)
    assert (np.abs(picture.astype(int) - (200, 60, 90)) <= 1).all()
    known = session.calls[0][1][0, 0] == 0
    assert np.allclose(session.calls[0][0][0].transpose(1, 2, 0)[known], np.array([200, 60, 90]) / 255, atol=1e-6)


def test_one_input_of_four_channels() -> None:
    picture = flat()
    mask = hole(picture.shape, 80, 70, 30, 30)
    picture[mask] = 0
    model, _ = net([(1, 4, 128, 128)], lambda both: mean_of_known(both[:, :3], both[:, 3:]) / 255)
    fill_by_lama(picture, mask, model)
    assert (np.abs(picture.astype(int) - (200, 60, 90)) <= 1).all()


def test_models_of_another_kind_are_refused() -> None:
    picture = flat()
    mask = hole(picture.shape, 80, 70, 30, 30)
    with pytest.raises(WeightsError, match="none that fills holes: it wants 1x3x64x64"):
        fill_by_lama(picture, mask, Model(Played([(1, 3, 64, 64)], lambda image: image), "lama"))
    with pytest.raises(EngineError, match="answered 1x3x64x128"):
        fill_by_lama(picture, mask, net(FIXED, lambda image, mask: image[:, :, ::2])[0])
    with pytest.raises(EngineError, match="does not give back what is known"):
        fill_by_lama(picture, mask, net(FIXED, lambda image, mask: image * 17)[0])
    with pytest.raises(InputError, match="covers the whole picture"):
        fill_by_lama(picture, np.ones(picture.shape[:2], bool), net(FIXED)[0])
    assert (picture == flat()).all()


@NEEDS_ONNX
@pytest.mark.parametrize("size", [(512, 512), ("height", "width")])
def test_a_file_fills_as_its_double_does(size: tuple[int | str, int | str], tmp_path: Path) -> None:
    picture = data.astronaut()[:300].copy()
    mask = hole(picture.shape, 150, 90, 60, 40)
    by_double = picture.copy()
    fill_by_lama(picture, mask, open_model(lama(tmp_path / "lama.onnx", *size), "lama"))
    fill_by_lama(by_double, mask, net([(1, 3, *size), (1, 1, *size)])[0])
    assert np.abs(picture.astype(int) - by_double).max() <= 1
    assert (picture[mask] != data.astronaut()[:300][mask]).any()


@NEEDS_ONNX
def test_a_file_that_answers_nan_leaves_the_picture_alone(tmp_path: Path) -> None:
    picture = flat()
    model = open_model(lama(tmp_path / "lama.onnx", 128, 128, spoilt=float("nan")), "lama")
    with pytest.raises(EngineError, match="NaN"):
        fill_by_lama(picture, hole(picture.shape, 80, 70, 30, 30), model)
    assert (picture == flat()).all()
