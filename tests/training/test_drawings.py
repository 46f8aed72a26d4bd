"""Drawings: exact geometry of the pen, seeded subjects, and a cache that is drawn once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="the extra `train` is not installed")

from training.damage import DAMAGES, UNTOUCHED, damaged
from training.sheet import Sheet, ribbon, spline

from training import degrade, drawings, photos


@pytest.fixture
def sheet() -> Sheet:
    """White paper, 100 pixels a side, black ink."""
    sheet = Sheet(np.random.default_rng(0), 100)
    sheet.image.paste((255, 255, 255), (0, 0, *sheet.image.size))
    sheet.ink = (0, 0, 0)
    return sheet


def inked(sheet: Sheet) -> float:
    """The part of the paper that is black."""
    return float((np.asarray(sheet.image)[..., 0] < 128).mean())


def test_a_spline_goes_through_its_points_and_a_ribbon_has_its_width() -> None:
    points = np.array([[0.1, 0.1], [0.4, 0.8], [0.9, 0.5]])
    for closed in (False, True):
        curve = spline(points, closed, 16)
        np.testing.assert_allclose(curve[[0, 16]], points[:2])
    np.testing.assert_allclose(spline(points, False)[-1], points[-1])
    straight = np.stack([np.linspace(0, 1, 5), np.zeros(5)], 1)
    np.testing.assert_allclose(np.abs(ribbon(straight, np.full(5, 0.2))[:, 1]), 0.1)


def test_a_stroke_covers_its_length_times_its_width(sheet: Sheet) -> None:
    sheet.stroke(np.stack([np.linspace(0.1, 0.9, 20), np.full(20, 0.5)], 1), sheet.ink, 0.05, swell=0.0, taper=False)
    assert inked(sheet) == pytest.approx(0.8 * 0.05, rel=0.06)


def test_an_outline_is_closed(sheet: Sheet) -> None:
    shape = sheet.blob(np.array([0.5, 0.5]), 0.3, 0.1)
    sheet.outline(shape, 0.02)
    for x, y in shape:
        assert np.asarray(sheet.image)[round(y * sheet.side), round(x * sheet.side), 0] == 0


@pytest.mark.parametrize("wanted", [0.25, 0.5])
def test_paste_stays_inside_every_mask(sheet: Sheet, wanted: float) -> None:
    half, top = np.array([[0, 0], [0.5, 0], [0.5, 1], [0, 1]]), np.array([[0, 0], [1, 0], [1, 0.5], [0, 0.5]])
    sheet.paste((0, 0, 0), *(sheet.mask(shape) for shape in (half, top)[: 3 - round(wanted * 4)]))
    assert inked(sheet) == pytest.approx(wanted, rel=0.02)


def test_screentone_has_dots_at_its_pitch(sheet: Sheet) -> None:
    tone = np.asarray(sheet.screentone(0.1, 0.0))
    spectrum = np.abs(np.fft.rfft((tone - tone.mean()).sum(axis=0)))
    assert int(spectrum.argmax()) == 10


@pytest.mark.parametrize("seed", range(len(drawings.SUBJECTS)))
def test_every_subject_is_seeded_and_has_lines(seed: int) -> None:
    picture = drawings.drawing(seed, 128)
    assert picture.shape == (128, 128, 3)
    np.testing.assert_array_equal(picture, drawings.drawing(seed, 128))
    assert (picture != drawings.drawing(seed + len(drawings.SUBJECTS), 128)).any()
    steps = np.abs(np.diff(picture.astype(int).max(axis=2), axis=1))
    assert (steps > 60).mean() > 0.005  # hard edges
    assert (steps <= 2).mean() > 0.3  # and flat parts


def test_drawings_are_drawn_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawings, "SIDES", (96,))
    made = drawings.Drawings(tmp_path, 2)
    assert [(entry.height, entry.width, entry.chance) for entry in made.entries] == [(96, 96, 0.5)] * 2
    crop = photos.crops(made, np.random.default_rng(0), 3, 64)
    assert crop.shape == (3, 64, 64, 3)
    drawn = []
    monkeypatch.setattr(drawings, "drawing", lambda seed: drawn.append(seed) or np.zeros((96, 96, 3), np.uint8))
    np.testing.assert_array_equal(photos.crops(drawings.Drawings(tmp_path, 2), np.random.default_rng(0), 3, 64), crop)
    assert not drawn
    drawings.Drawings(tmp_path, 3)
    assert drawn == [0, 1, 2]


def test_damage_of_drawings_is_mild_jpeg_half_of_the_time() -> None:
    picture, random = drawings.drawing(0, 128), np.random.default_rng(0)
    levels = [damaged(picture, random, 4, DAMAGES["art"])[1] for _ in range(200)]
    assert 0.4 < np.mean([level == UNTOUCHED for level in levels]) < 0.6
    denoise, deblock = np.array(levels).T
    assert denoise.max() == 0
    assert deblock.max() <= (100 - 60) / 75 + 1e-9


def test_pairs_of_drawings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawings, "SIDES", (128,))
    x, truth = degrade.pairs(drawings.Drawings(tmp_path, 2), np.random.default_rng(1), "art", 4, 12, 3)
    assert x.shape == (3, 3, 12, 12)
    assert truth.shape == (3, 3, 48, 48)
