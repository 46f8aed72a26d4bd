"""The small net that triage glances with: what it is shown, what it answers, and what a damaged file says."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from skimage import data

from enlarger.errors import WeightsError
from enlarger.looks import glance
from enlarger.looks.features import NAMES, WORDED
from enlarger.looks.sample import Crop, Sample, sample
from enlarger.steps.decode import decode


def looked(pixels: np.ndarray) -> Sample:
    return sample(decode(pixels))


def test_answers_are_figures_around_zero_and_the_same_again() -> None:
    seen = looked(data.coffee())
    said = glance.glance(seen)
    assert len(said) == len(glance.NAMES) == 10
    assert NAMES[len(WORDED) :] == glance.NAMES
    for view in np.reshape(said, (2, 5)):
        assert abs(view.sum()) < 1e-5
    assert glance.glance(looked(data.coffee())) == said


def test_a_photograph_and_a_page_are_told_apart() -> None:
    photo, page = (glance.glance(looked(picture)) for picture in (data.astronaut(), data.page()))
    first = glance.NAMES.index("whole_photo")
    assert photo[first] > page[first] + 1


@pytest.mark.parametrize("shape", [(1, 1), (1, 900), (700, 3), (40, 30), (192, 192), (193, 400), (3000, 2000)])
def test_every_size_is_seen_in_the_same_square(shape: tuple[int, int]) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (*shape, 3), np.uint8)
    seen = looked(pixels)
    assert glance.whole(seen).shape == glance.part(seen).shape == (glance.SIDE, glance.SIDE, 3)
    assert np.isfinite(glance.glance(seen)).all()


def test_the_whole_keeps_its_shape_and_the_part_its_pixels() -> None:
    pixels = np.zeros((300, 600, 3), np.uint8)
    pixels[:, 300:] = 255
    seen = looked(pixels)
    whole = glance.whole(seen)
    assert (whole[:, :90] < 8).all()
    assert (whole[:, -90:] > 247).all()
    np.testing.assert_array_equal(glance.part(seen), pixels[54:246, 204:396])


def test_of_a_large_picture_the_liveliest_crop_is_the_part() -> None:
    crops = tuple(Crop(0, 0, np.full((320, 320, 3), 10 * i, np.uint8), None) for i in range(8))
    seen = Sample(5000, 4000, False, crops, np.zeros((400, 320, 3), np.uint8), None, 12)
    assert (glance.part(seen) == 30).all()


@pytest.mark.parametrize("kept", [0, 500_000])
def test_damaged_weights_are_said(kept: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = Path(glance.__file__).parent
    shutil.copy(own / "glance.param", tmp_path)
    (tmp_path / "glance.bin").write_bytes((own / "glance.bin").read_bytes()[:kept])
    monkeypatch.setattr(glance, "files", lambda package: tmp_path)
    with pytest.raises(WeightsError, match="cannot load"):
        glance.Glancing()


def test_several_threads_get_the_same_answers() -> None:
    seen = [looked(getattr(data, name)()) for name in ("coffee", "rocket", "page")]
    alone = [glance.glance(one) for one in seen]
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(glance.glance, seen * 8)) == alone * 8
