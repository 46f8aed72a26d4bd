"""Flat graphics inside a photograph: they are found, photographs are left alone, and what is redrawn is truer and still locked."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont
from skimage import data

import enlarger
from enlarger.image import Box
from enlarger.looks import graphics
from enlarger.looks.islands import grown, labelled
from enlarger.steps.decode import decode
from enlarger.steps.redraw import graphic, mixed, redrawn

PLACE = (60, 40, 110, 80)
"""Of the graphic in the source: x, y, width, height."""
COLOURS = ((250, 244, 230), (30, 60, 140), (220, 60, 40))


@pytest.fixture(scope="module")
def truth() -> np.ndarray:
    """A photograph, four times enlarged, with a chart that was drawn at this size."""
    photo = Pillow.fromarray(np.ascontiguousarray(data.astronaut()[:160, :240])).resize((960, 640), Pillow.Resampling.BICUBIC)
    x, y, width, height = (4 * n for n in PLACE)
    sheet = Pillow.new("RGB", (4 * width, 4 * height), COLOURS[0])
    draw = ImageDraw.Draw(sheet)
    draw.rectangle((0, 0, 4 * width, 4 * 40), fill=COLOURS[1])
    draw.text((60, 4), "Profit 2024", fill=COLOURS[0], font=ImageFont.load_default(130))
    for k in range(5):
        draw.rectangle((150 + 320 * k, 1150 - 170 * k, 350 + 320 * k, 1200), fill=COLOURS[1 + k % 2])
    draw.ellipse((100, 250, 600, 750), fill=COLOURS[2])
    photo.paste(sheet.resize((width, height), Pillow.Resampling.BOX), (x, y))
    return np.asarray(photo)


@pytest.fixture(scope="module")
def source(truth: np.ndarray) -> np.ndarray:
    return np.asarray(Pillow.fromarray(truth).resize((240, 160), Pillow.Resampling.BOX)).copy()


def inside(picture: np.ndarray) -> np.ndarray:
    x, y, width, height = (4 * n for n in PLACE)
    return picture[y : y + height, x : x + width].astype(float)


def test_a_graphic_is_found_and_photographs_have_none(source: np.ndarray) -> None:
    (box,) = graphics.boxes(decode(source))
    x, y, width, height = PLACE
    across = max(0, min(box.right, x + width) - max(box.x, x))
    down = max(0, min(box.bottom, y + height) - max(box.y, y))
    assert across * down > 0.8 * width * height
    assert box.width * box.height < 2.5 * width * height
    for plain in (data.astronaut(), data.coffee(), data.chelsea(), data.rocket(), data.camera()):
        assert graphics.boxes(decode(np.ascontiguousarray(plain))) == []


def test_what_is_flat_without_edges_is_no_graphic() -> None:
    rows, columns = np.mgrid[0:300, 0:400]
    sky = np.stack([100 + rows // 4, 140 + rows // 5, 230 - columns // 40], 2).astype(np.uint8)
    white = np.full((300, 400, 3), 255, np.uint8)
    white[80:220, 120:300] = data.coffee()[100:240, 200:380]
    ball = (255 / (1 + np.exp((np.hypot(rows - 150, columns - 200) - 80) / 12))).astype(np.uint8)
    for plain in (sky, white, np.dstack([ball, ball, 255 - ball])):
        assert graphics.boxes(decode(plain)) == []


def test_sixteen_bits_and_grey_are_looked_at_alike(source: np.ndarray) -> None:
    found = graphics.boxes(decode(source))
    assert graphics.boxes(decode(source.astype(np.uint16) * 257)) == found
    assert graphics.boxes(decode(np.ascontiguousarray(source[..., 0]))) != []
    for shape in ((3, 5, 3), (1, 400, 3), (400, 1, 3)):
        assert graphics.boxes(decode(np.zeros(shape, np.uint8))) == []


def test_colours_are_those_that_lie_flat(source: np.ndarray) -> None:
    found = graphic(decode(source), Box(*PLACE))
    assert found is not None
    nearest = [np.abs(found.colours * 255 - np.array(colour)).max(1).min() for colour in COLOURS]
    assert max(nearest) < 2
    assert len(found.colours) <= 4
    assert graphic(decode(np.ascontiguousarray(data.chelsea())), Box(100, 80, 200, 150)) is None


def test_mixtures_are_moved_apart_and_nothing_else() -> None:
    black, white = np.zeros(3, np.float32), np.ones(3, np.float32)
    pixels = np.array([[0.02] * 3, [0.3] * 3, [0.5] * 3, [0.7] * 3, [0.9, 0.2, 0.1]], np.float32)
    moved = mixed(pixels, np.stack([black, white]))
    assert moved[0] == pytest.approx(0)
    assert moved[1].max() < 0.3
    assert moved[2] == pytest.approx(0.5)
    assert moved[3].min() > 0.7
    assert moved[4] == pytest.approx(pixels[4])


def test_the_result_is_truer_there_still_locked_and_the_same_elsewhere(source: np.ndarray, truth: np.ndarray) -> None:
    options = {"model": "enlarger-photo-x4", "device": "cpu"}
    free = enlarger.enlarge(source, 4, **options)
    kept = enlarger.enlarge(source, 4, protect="graphics,text", **options)
    places = [place for place in kept.report.protected if place.kind == "graphic"]
    assert len(places) == 1
    assert not [place for place in kept.report.protected if place.kind == "text"]
    before, after = (float(np.sqrt(((inside(made.image) - inside(truth)) ** 2).mean())) for made in (free, kept))
    assert after < 0.97 * before
    x, y, width, height = places[0].box
    apart = np.abs(free.image.astype(int) - kept.image)
    apart[max(0, y - 32) : y + height + 32, max(0, x - 32) : x + width + 32] = 0
    assert apart.max() <= 1
    assert kept.report.fidelity is not None
    assert kept.report.fidelity.measures["consistency"].verdict == "pass"
    assert "--protect graphics,text" in kept.report.reproduce.command


def test_exact_pixels_stay_exact(source: np.ndarray) -> None:
    kept = enlarger.enlarge(source, 2, model="blocks", protect="graphics")
    assert kept.report.protected == ()
    assert np.array_equal(kept.image, source.repeat(2, 0).repeat(2, 1))


def test_strips_do_not_show(source: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    picture = decode(source)
    enlarged = np.asarray(Pillow.fromarray(source).resize((960, 640), Pillow.Resampling.BICUBIC)).copy()
    box = Box(*(4 * n for n in PLACE))
    whole = redrawn(enlarged, picture, [box], 8)
    monkeypatch.setattr("enlarger.steps.redraw.STRIP", 960 * 17)
    assert np.abs(redrawn(enlarged, picture, [box], 8).astype(int) - whole).max() <= 1
    deep = redrawn(enlarged.astype(np.uint16) * 257, picture, [box], 16)
    assert np.abs(deep / 257 - whole).max() <= 1


def test_islands_hang_together_by_corners() -> None:
    mask = np.array([[1, 0, 0, 1, 1], [0, 1, 0, 0, 0], [0, 0, 0, 0, 1], [1, 0, 1, 1, 0]], bool)
    labels, places = labelled(mask)
    assert len(places) == 4
    assert labels[0, 0] == labels[1, 1] != labels[0, 3]
    assert labels[2, 4] == labels[3, 3] == labels[3, 2]
    assert sorted((y.start, y.stop, x.start, x.stop) for y, x in places) == [(0, 1, 3, 5), (0, 2, 0, 2), (2, 4, 2, 5), (3, 4, 0, 1)]
    spread = np.zeros((5, 6), bool)
    spread[0, 0] = True
    assert grown(spread, 2).sum() == 9
    joined = np.ones((40, 40), bool)
    joined[::2, :-1] = False
    assert len(labelled(joined)[1]) == 1
