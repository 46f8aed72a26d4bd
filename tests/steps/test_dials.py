"""The dials: what each must never do, over their whole range."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.steps.locking import CLEAN, answer, consistency, enlarged, image, pair, psnr

from enlarger.image import Box
from enlarger.options import Dials
from enlarger.pixels.scaling import planes_of
from enlarger.pixels.spectrum import foretold, octaves, textured
from enlarger.steps.dials import deliver, repaired

NAMES = ("astronaut", "coffee", "chelsea")


@cache
def result(name: str, **dials: int) -> np.ndarray:
    source, truth = pair(name, side=192)
    return np.asarray(deliver(answer(truth), image(source), Dials(**dials), CLEAN, 16).samples())


def added(name: str, **dials: int) -> float:
    """Mean square of what the result has beside its base, which is that of detail 0."""
    return float(np.mean((result(name, **dials) / 257 - result(name, detail=0) / 257.0) ** 2))


percent = st.integers(0, 10).map(lambda n: 10 * n)


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(NAMES), percent, percent)
def test_more_resemblance_never_adds_more(name: str, one: int, other: int) -> None:
    low, high = sorted((one, other))
    assert added(name, resemblance=high) <= added(name, resemblance=low) * 1.01 + 0.01


@settings(max_examples=15, deadline=None)
@given(st.sampled_from(NAMES), percent, percent)
def test_more_resemblance_never_costs_consistency(name: str, one: int, other: int) -> None:
    source = pair(name, side=192)[0]
    low, high = sorted(max(50, value) for value in (one, other))
    least, most = (consistency(result(name, resemblance=value), source) for value in (low, high))
    # Past 60 dB both are within what 8 bits can hold.
    assert most >= min(least, 60) - 0.1
    assert least >= 50


@settings(max_examples=20, deadline=None)
@given(st.sampled_from(NAMES), percent, percent)
def test_more_detail_is_more_detail_and_keeps_the_source(name: str, one: int, other: int) -> None:
    source = pair(name, side=192)[0]
    low, high = sorted((one, other))
    assert added(name, detail=low) <= added(name, detail=high) * 1.01 + 0.01
    assert consistency(result(name, detail=high), source) >= 50


def test_fifty_changes_nothing() -> None:
    source, truth = pair("coffee", side=192)
    plain = deliver(answer(truth), image(source), Dials(), CLEAN, 16).samples()
    assert np.array_equal(plain, deliver(answer(truth), image(source), Dials(50, 50, 50, seed=9), CLEAN, 16).samples())
    assert np.array_equal(plain, deliver(answer(truth), image(source), Dials(texture=20), CLEAN, 16).samples())


@pytest.mark.parametrize("name", NAMES)
def test_texture_is_seeded_keeps_the_source_and_spares_flats(name: str) -> None:
    source = pair(name)[0].copy()
    y, x = np.mgrid[:32, :32]
    source[:32, :32] = (120 + x // 8 + y // 11)[..., None]
    smooth = np.clip(enlarged(source) * 257, 0, 65535).astype(np.uint16)

    def delivered(**dials: int) -> np.ndarray:
        return np.asarray(deliver(smooth, image(source), Dials(**dials), CLEAN, 16).samples()) / 257.0

    plain, grainy = delivered(), delivered(texture=100)
    assert np.array_equal(grainy, delivered(texture=100))
    assert not np.array_equal(grainy, delivered(texture=100, seed=1))
    assert consistency((grainy * 257).astype(np.uint16), source) >= 50
    planes = planes_of(source, 3)
    first, second = octaves(planes, (0.0,) * 3)
    gate = textured(planes, first)[0].repeat(4, 0).repeat(4, 1)
    energy = ((grainy - plain) ** 2).mean(2)
    due = (foretold(first, second)[0] * 255**2).repeat(4, 0).repeat(4, 1)
    assert 0.4 < energy[gate > 0.9].mean() / due[gate > 0.9].mean() < 1.3
    assert energy[16:112, 16:112].mean() <= 0.3**2  # beside the texture that begins at 128


def test_repair_brings_the_base_into_the_box_and_nowhere_else() -> None:
    source, truth = pair("astronaut")
    broken = np.asarray(deliver(answer(truth), image(source), Dials(), CLEAN, 16).samples()).copy()
    broken[100:140, 60:110] = 65535 - broken[100:140, 60:110]
    mended = np.asarray(repaired(broken, image(source), CLEAN, [Box(60, 100, 50, 40)], 16).samples())
    assert psnr(mended[104:136, 64:106] / 257, truth[104:136, 64:106]) > psnr(broken[104:136, 64:106] / 257, truth[104:136, 64:106]) + 10
    far = np.ones(truth.shape[:2], bool)
    far[80:160, 40:130] = False
    assert np.array_equal(mended[far], broken[far])
