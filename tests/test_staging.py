"""Stages are judged in between, against the source itself: told, stopped at, or repaired."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from skimage import data

import enlarger
from enlarger import staging
from enlarger.errors import DoubtError
from enlarger.image import Samples

TWO = {"engine": "resample", "scale": 4, "stages": 2}
SIDE = 96


def source() -> np.ndarray:
    return np.ascontiguousarray(data.astronaut()[20 : 20 + SIDE, 180 : 180 + SIDE])


def spoilt_first_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    """After the lock of the first stage a dark square stands where the source has none."""
    real: Callable[..., Any] = staging.deliver
    calls = 0

    def deliver(*words: Any) -> Any:
        nonlocal calls
        calls += 1
        canvas = real(*words)
        if calls > 1:
            return canvas
        samples = np.array(canvas.samples())
        samples[60:100, 60:100] = samples[60:100, 60:100] // 3

        class Spoilt:
            def samples(self) -> Samples:
                return samples

        return Spoilt()

    monkeypatch.setattr(staging, "deliver", deliver)


def test_every_stage_but_the_last_is_judged_against_the_source() -> None:
    report = enlarger.enlarge(source(), **{**TWO, "scale": 8, "stages": 3}).report
    assert [(f.width, f.verdict, f.mode) for f in report.between] == [(192, "pass", "quick"), (384, "pass", "quick")]
    assert report.fidelity is not None
    assert report.fidelity.width == 768
    assert report.warnings == ()
    assert enlarger.enlarge(source(), 4, engine="resample").report.between == ()
    assert enlarger.enlarge(source(), verify="off", **TWO).report.between == ()


def test_doubt_between_stages_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    spoilt_first_stage(monkeypatch)
    report = enlarger.enlarge(source(), **TWO).report
    assert report.between[0].verdict != "pass"
    assert [w.code for w in report.warnings] == ["stage-in-doubt"]
    assert report.warnings[0].message.startswith("after stage 1 (192x192): ")


def test_doubt_between_stages_stops_before_the_next(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    spoilt_first_stage(monkeypatch)
    begun: list[int] = []
    real = staging.enlarge_by_picture
    monkeypatch.setattr(staging, "enlarge_by_picture", lambda *words, **more: (begun.append(1), real(*words, **more))[1])
    with pytest.raises(DoubtError, match="stage 1 of 2: "):
        enlarger.enlarge(source(), output=tmp_path / "a.png", on_doubt="stop", **TWO)
    assert len(begun) == 1
    assert not (tmp_path / "a.png").exists()


def test_doubt_between_stages_is_repaired(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = enlarger.enlarge(source(), **TWO).image.astype(int)
    spoilt_first_stage(monkeypatch)
    result = enlarger.enlarge(source(), on_doubt="repair", **TWO)
    assert result.report.between[0].verdict == "pass"
    assert result.report.warnings == ()
    assert np.abs(result.image - plain)[140:180, 140:180].mean() < 6


def test_a_second_stage_starts_from_sixteen_bits_whatever_the_dials() -> None:
    """Raw answers of another size than the plan's are brought to it before the next stage sees them."""
    result = enlarger.enlarge(source(), 3, stages=2, model="enlarger-photo-x2", device="cpu", resemblance=0, verify="off")
    assert [(s.out_width, s.scale) for s in result.plan.stages] == [(166, 2), (288, 2)]
    assert result.image.shape == (288, 288, 3)
    assert np.abs(result.image.astype(float).mean((0, 1)) - source().mean((0, 1))).max() < 6


def test_no_drift_through_stages_and_a_stretch() -> None:
    """A spot stays where the pixel contract puts it, through uneven steps."""
    array = np.zeros((50, 60, 3), np.uint8)
    y, x = np.mgrid[:50, :60]
    array[:] = (255 * np.exp(-((x - 21.3) ** 2 + (y - 30.6) ** 2) / 18))[..., None].round()
    for options in ({"scale": 3, "stages": 2}, {"width": 403}, {"scale": 5.7, "stages": 3}):
        image = enlarger.enlarge(array, engine="resample", verify="off", resemblance=0, **options).image.astype(float)[..., 0]
        rows, columns = np.arange(image.shape[0]) + 0.5, np.arange(image.shape[1]) + 0.5
        centre = (image.sum(0) * columns).sum() / image.sum(), (image.sum(1) * rows).sum() / image.sum()
        factors = image.shape[1] / 60, image.shape[0] / 50
        assert abs(centre[0] / factors[0] - 21.8) < 0.05
        assert abs(centre[1] / factors[1] - 31.1) < 0.05
