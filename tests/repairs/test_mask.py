"""Masks from pictures and boxes; what cannot be a mask is refused in one line."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from enlarger.errors import EnlargerError, InputError, UsageError
from enlarger.image import Box
from enlarger.repairs.mask import boxes_of, mask_of_boxes, mask_of_picture, union

FULL = {np.uint8: 255, np.uint16: 65535}


def test_boxes_are_read() -> None:
    assert boxes_of("1,2,3,4") == (Box(1, 2, 3, 4),)
    assert boxes_of("1,2,3,4; 5,6,7,8 0,0,1,1") == (Box(1, 2, 3, 4), Box(5, 6, 7, 8), Box(0, 0, 1, 1))
    assert boxes_of("1,2,3,4;5 6 7 8") == (Box(1, 2, 3, 4), Box(5, 6, 7, 8))
    assert boxes_of(["1,2,3,4", " 5, 6,7,8"]) == (Box(1, 2, 3, 4), Box(5, 6, 7, 8))


@pytest.mark.parametrize("words", ["", "1,2,3", "1,2,3,4,5", "a,b,c,d", "1.5,2,3,4", "-1,0,5,5", "0,0,0,5", "0,0,5,-5", "1,2,3,4 5", []])
def test_what_is_no_box_is_refused(words: str | list[str]) -> None:
    with pytest.raises(UsageError) as caught:
        boxes_of(words)
    assert "\n" not in str(caught.value)


@given(st.integers(1, 40), st.integers(1, 40), st.data())
def test_boxes_mark_what_they_hold(width: int, height: int, data: st.DataObject) -> None:
    x, y = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
    box = Box(x, y, data.draw(st.integers(1, width - x)), data.draw(st.integers(1, height - y)))
    if box.area == width * height:
        with pytest.raises(InputError, match="whole picture"):
            mask_of_boxes([box], width, height)
    else:
        mask = mask_of_boxes([box], width, height)
        assert mask.sum() == box.area
        assert mask[box.slices()].all()


@pytest.mark.parametrize("box", [Box(0, 0, 21, 5), Box(19, 0, 2, 1), Box(0, 9, 1, 2), Box(-1, 0, 3, 3), Box(30, 30, 1, 1), Box(1, 1, 0, 3)])
def test_boxes_outside_are_refused(box: Box) -> None:
    with pytest.raises(InputError, match="20 x 10") as caught:
        mask_of_boxes([Box(2, 2, 3, 3), box], 20, 10)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_white_or_opaque_shall_go(dtype: type) -> None:
    full = FULL[dtype]
    expected = np.zeros((8, 9), bool)
    expected[2:4, 3:6] = True
    grey = np.where(expected, full, 0).astype(dtype)[..., None]
    red = np.concatenate((grey, 0 * grey, 0 * grey), 2)
    painted = np.concatenate((0 * red, grey), 2)
    opaque = np.concatenate((red, np.full_like(grey, full)), 2)
    for samples, alpha in ((grey, False), (red, False), (painted, True), (opaque, True), (np.concatenate((0 * grey, grey), 2), True)):
        assert (mask_of_picture(samples, alpha, 9, 8) == expected).all()


def test_grey_is_cut_in_the_middle() -> None:
    samples = np.array([[0, 127, 128, 255]], np.uint8)[..., None]
    assert mask_of_picture(samples, False, 4, 1).tolist() == [[False, False, True, True]]


def bad() -> dict[str, tuple[np.ndarray, bool]]:
    return {
        "5 x 4 pixels, the picture 9 x 8": (np.zeros((4, 5, 1), np.uint8), False),
        "marks nothing": (np.zeros((8, 9, 3), np.uint8), False),
        "covers the whole picture": (np.full((8, 9, 1), 255, np.uint8), False),
    }


@pytest.mark.parametrize("words", bad())
def test_useless_masks_are_refused_by_name(words: str) -> None:
    with pytest.raises(EnlargerError, match=words) as caught:
        mask_of_picture(*bad()[words], 9, 8, name="mask.png")
    assert isinstance(caught.value, InputError)
    assert str(caught.value).startswith("mask.png: ")
    assert "\n" not in str(caught.value)


def test_union_is_refused_where_masks_together_leave_nothing() -> None:
    left = np.zeros((4, 4), bool)
    left[:, :2] = True
    assert union([left, left]).sum() == 8
    with pytest.raises(InputError, match="whole picture"):
        union([left, ~left])
