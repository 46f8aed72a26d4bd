"""Exact blocks are the source's own pixels, whatever a filter that looks past their borders makes of them."""

from __future__ import annotations

import numpy as np
import pytest

from enlarger.image import Samples
from enlarger.measures.repeats import Tally, beside
from enlarger.pixels.arrays import image_of
from enlarger.steps.verify import Verifier


def harsh(seed: int, bands: int = 3) -> Samples:
    """Pixels without any relation to their neighbours: the worst that pixel art can be."""
    samples = np.random.default_rng(seed).choice(np.array([0, 100, 255], np.uint8), (40, 48, bands))
    if bands in (2, 4):
        samples[..., -1] = np.where(samples[..., -1] > 0, 255, 0)
    return samples


def verdict(source: Samples, result: Samples) -> tuple[str, str]:
    judge = Verifier(image_of(source), result.shape[1], result.shape[0])
    for y in range(0, result.shape[0], 17):
        judge.add(y, result[y : y + 17])
    measure = judge.finish().measures["consistency"]
    return measure.verdict, measure.reason


@pytest.mark.parametrize("scale", [2, 3, 4, 8])
def test_exact_blocks_are_not_doubted(scale: int) -> None:
    source = harsh(scale)
    found, reason = verdict(source, source.repeat(scale, 0).repeat(scale, 1))
    assert found == "pass"
    assert "the source's own" in reason


def test_one_foreign_pixel_and_the_filter_decides_again() -> None:
    source = harsh(1)
    result = source.repeat(4, 0).repeat(4, 1)
    result[77, 101, 1] ^= 1
    found, reason = verdict(source, result)
    assert found != "pass"
    assert "the source's own" not in reason
    assert verdict(source, np.roll(source.repeat(4, 0).repeat(4, 1), 4, 1))[0] != "pass", "a pixel too far to the right"


def test_lines_through_centres_go_to_either_side() -> None:
    after, before = beside(0, 10, 4, 10)
    assert after.tolist() == [0, 0, 1, 1, 1, 2, 2, 3, 3, 3]
    assert before.tolist() == [0, 0, 0, 1, 1, 2, 2, 2, 3, 3]
    assert len(beside(0, 12, 4, 12)) == 1


def test_what_is_clear_may_hide_any_colour() -> None:
    source = harsh(5, 4)
    result = source.repeat(2, 0).repeat(2, 1)
    result[result[..., 3] == 0, :3] = 9
    tally = Tally(image_of(source), 96, 80)
    tally.add(0, result)
    assert tally.holds
    result[..., 3] = 255
    tally.add(0, result)
    assert not tally.holds


def test_other_depths_are_not_compared() -> None:
    tally = Tally(image_of(harsh(2)), 96, 80)
    tally.add(0, np.zeros((4, 96, 3), np.uint16))
    assert not tally.holds
