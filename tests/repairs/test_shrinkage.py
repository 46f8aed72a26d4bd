"""Shrinkage and parts: what is noise goes, what is not stays, and nobody sees where parts meet."""

from __future__ import annotations

import numpy as np
import pytest

from enlarger.repairs import parts
from enlarger.repairs.parts import by_parts
from enlarger.repairs.shrinkage import BASIS, REACH, shrunk


def test_the_basis_is_orthonormal() -> None:
    assert np.allclose(BASIS @ BASIS.T, np.eye(64), atol=1e-5)


def test_noise_alone_nearly_vanishes() -> None:
    noise = np.random.default_rng(0).normal(0, 10, (1, 128, 128)).astype(np.float32)
    left = shrunk(noise, [np.full((8, 8), 10.0)])
    assert left.shape == (1, 128 - 2 * REACH, 128 - 2 * REACH)
    assert left.std() < 1.5


def test_noise_of_one_frequency_is_told_from_the_same_frequency_as_signal() -> None:
    """Only where the spectrum says so is a coefficient taken for noise."""
    x = np.broadcast_to(np.arange(96), (96, 96))
    wave = 6 * np.cos(np.pi * (2 * x + 1) * 6 / 16)[None].astype(np.float32)
    low, high = np.full((8, 8), 0.01), np.full((8, 8), 0.01)
    low[:2, :2] = high[:, 4:] = 20
    kept, gone = (shrunk(wave, [spectrum]).std() for spectrum in (low, high))
    assert kept > 0.9 * wave.std()
    assert gone < 0.25 * wave.std()


def test_without_noise_nothing_changes() -> None:
    planes = np.random.default_rng(1).uniform(0, 255, (2, 64, 64)).astype(np.float32)
    done = shrunk(planes, [np.zeros((8, 8)), np.full((8, 8), 5.0)])
    inner = planes[:, REACH:-REACH, REACH:-REACH]
    assert np.array_equal(done[0], inner[0])
    assert not np.array_equal(done[1], inner[1])


@pytest.mark.parametrize("size", [(1, 1), (3, 50), (33, 7), (64, 65)])
@pytest.mark.parametrize("origin", [(0, 0), (-5, -11)])
def test_parts_make_the_whole_and_see_the_mirror_image(
    size: tuple[int, int], origin: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "SIDE", 16)
    samples = np.random.default_rng(2).integers(0, 256, (*size, 4), dtype=np.uint8)
    around = np.pad(samples, ((24, 24), (24, 24), (0, 0)), mode="symmetric")
    boxes = []

    def repair(planes: np.ndarray, box: parts.Box) -> np.ndarray:
        boxes.append(box)
        top, left = box.y + 24 - 4, box.x + 24 - 4
        if top + box.height + 8 <= around.shape[0] and left + box.width + 8 <= around.shape[1]:
            expected = around[top : top + box.height + 8, left : left + box.width + 8, :3].transpose(2, 0, 1)
            assert np.allclose(planes, expected, atol=1e-3)
        return 255 - planes[:, 4:-4, 4:-4]

    done = by_parts(samples, 3, repair, 4, origin)
    assert np.array_equal(done[..., :3], 255 - samples[..., :3])
    assert np.array_equal(done[..., 3], samples[..., 3])
    assert all(box.width % 2 == 0 and box.height % 2 == 0 for box in boxes)
