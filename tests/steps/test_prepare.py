"""Repairs before enlarging: what was asked for is done, in its order, and told; nothing else changes."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow
from PIL import ImageFilter
from skimage import data

import enlarger
from enlarger.steps import share
from enlarger.steps.damage import Damage, damage
from enlarger.steps.decode import decode
from enlarger.steps.prepare import without_damage, without_objects

PLAIN: dict[str, Any] = {"engine": "resample"}


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    return np.ascontiguousarray(data.astronaut()[40:168, 150:310])


def jpeg(array: np.ndarray, quality: int) -> bytes:
    buffer = io.BytesIO()
    Pillow.fromarray(array).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def distance(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.sqrt(np.mean((a.astype(float) - b) ** 2)))


def test_a_mark_goes_and_all_else_stays(picture: np.ndarray, tmp_path: Path) -> None:
    marked = picture.copy()
    marked[60:72, 40:80] = (255, 0, 255)
    done, told, doubts = without_objects(decode(marked), "40,60,40,12", 0)
    hole = np.zeros(picture.shape[:2], bool)
    hole[60:72, 40:80] = True
    assert np.array_equal(np.asarray(done.samples)[~hole], marked[~hole])
    assert distance(np.asarray(done.samples)[hole], picture[hole]) < 0.4 * distance(marked[hole], picture[hole])
    assert (told.name, told.said, doubts) == ("remove-object", "40,60,40,12", ())
    assert 0 < told.share <= hole.mean() + 1e-5
    drawn = tmp_path / "mask.png"
    Pillow.fromarray(np.where(hole, 255, 0).astype(np.uint8)).save(drawn)
    by_mask, _, _ = without_objects(decode(marked), str(drawn), 0)
    assert np.array_equal(np.asarray(by_mask.samples), np.asarray(done.samples))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("150,100,40,40", "outside the picture"),
        ("0,0,160,128", "covers the whole picture"),
        ("1,2,3", "a box is four whole numbers"),
        ("no-such.png", "no such mask"),
    ],
)
def test_what_is_no_mask_is_one_line_and_no_file(words: str, message: str, picture: np.ndarray, tmp_path: Path) -> None:
    with pytest.raises(enlarger.EnlargerError, match=message) as caught:
        enlarger.enlarge(picture, 2, output=tmp_path / "out.png", remove_object=words, **PLAIN)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_masks_of_another_size_or_without_anything(picture: np.ndarray, tmp_path: Path) -> None:
    for shape, message in (((10, 10), "the mask is 10 x 10 pixels, the picture 160 x 128"), ((128, 160), "marks nothing")):
        path = tmp_path / "mask.png"
        Pillow.fromarray(np.zeros(shape, np.uint8)).save(path)
        with pytest.raises(enlarger.InputError, match=message):
            enlarger.enlarge(picture, 2, remove_object=str(path), **PLAIN)


def test_noise_and_blocks_are_taken_off_as_strongly_as_the_source_needs(picture: np.ndarray) -> None:
    noisy = np.clip(picture + np.random.default_rng(0).normal(0, 10, picture.shape), 0, 255).round().astype(np.uint8)
    source = decode(noisy)
    done, told = without_damage(source, damage(source), {"denoise": "auto"})
    assert [t.name for t in told] == ["denoise"]
    assert 20 <= (told[0].strength or 0) <= 60
    assert distance(np.asarray(done.samples), picture) < 0.7 * distance(noisy, picture)
    blocky = decode(jpeg(picture, 25))
    better, told = without_damage(blocky, damage(blocky), {"deblock": "auto"})
    assert told[0].strength == 100
    assert distance(np.asarray(better.samples), picture) < distance(np.asarray(blocky.samples), picture)
    assert better.jpeg is None


def test_a_blur_is_found_and_taken_back(picture: np.ndarray) -> None:
    soft = np.asarray(Pillow.fromarray(picture).filter(ImageFilter.GaussianBlur(1.3)))
    source = decode(soft)
    done, told = without_damage(source, damage(source), {"deblur": "auto"})
    assert [t.name for t in told] == ["deblur"]
    assert distance(np.asarray(done.samples), picture) < 0.9 * distance(soft, picture)


def test_nothing_asked_nothing_done(picture: np.ndarray) -> None:
    source = decode(picture)
    assert without_damage(source, damage(source), {})[0] is source
    clean, told = without_damage(source, Damage((0.0, 0.0, 0.0)), {"denoise": "auto", "deblock": "auto"})
    assert told == []
    assert np.array_equal(np.asarray(clean.samples), picture)


def test_the_report_tells_what_was_repaired_and_the_plan_that_it_will_be(picture: np.ndarray, tmp_path: Path) -> None:
    source = tmp_path / "a.png"
    Pillow.fromarray(picture).save(source)
    options = {"denoise": 40, "remove_object": "10,10,20,8", **PLAIN}
    with enlarger.Enlarger(scale=2, **options) as tool:
        planned = tool.plan(source)
        result = tool.enlarge(source)
    assert planned.prepare == {"remove-object": "10,10,20,8", "denoise": "40"}
    report = result.report
    assert [(p.name, p.strength) for p in report.prepared] == [("remove-object", None), ("denoise", 40)]
    assert all(p.changed > 0 for p in report.prepared)
    assert report.timings["prepare"] >= sum(p.seconds for p in report.prepared) - 1e-6
    assert "--denoise 40" in report.reproduce.command
    assert report.fidelity is not None
    again = enlarger.enlarge(source, 2, **options)
    assert np.array_equal(np.asarray(again.image.samples), np.asarray(result.image.samples))


def test_a_net_that_repairs_is_left_to_it(picture: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(share, "native_dials", lambda spec, model: ("denoise", "deblock"))
    with enlarger.Enlarger(scale=4, model="enlarger-photo-x4", denoise=30) as tool:
        planned = tool.plan(picture)
    assert planned.prepare == {}
    assert planned.stages[0].native == {"denoise": 30, "deblock": 0}
    with enlarger.Enlarger(scale=4, model="enlarger-photo-x4", denoise=30, deblock="auto") as tool:
        planned = tool.plan(picture)
    assert planned.stages[0].native == {"denoise": 30, "deblock": "auto"}
    seen = share.with_strengths(planned, {"denoise": 99, "deblock": 0, "deblur": 5})
    assert seen.stages[0].native == {"denoise": 30, "deblock": 0}


def test_repairs_take_the_net_that_does_them_and_the_command_of_the_report_does_the_same(picture: np.ndarray, tmp_path: Path) -> None:
    import shlex

    from enlarger.interfaces.cli import main

    source = tmp_path / "a.jpg"
    source.write_bytes(jpeg(picture[:64, :80], 40))
    cases: list[tuple[dict[str, Any], dict[str, int]]] = [
        ({"deblock": "auto"}, {"denoise": 0, "deblock": 80}),
        ({"denoise": 20}, {"denoise": 20, "deblock": 0}),
        ({"model": "enlarger-restore-x4"}, {"denoise": 0, "deblock": 80}),
    ]
    for options, native in cases:
        report = enlarger.enlarge(source, 4, output=tmp_path / "out.png", overwrite=True, device="cpu", **options).report
        assert report.plan.stages[0].model == "enlarger-restore-x4"
        assert report.plan.stages[0].native == native
        first = (tmp_path / "out.png").read_bytes()
        assert main([*shlex.split(report.reproduce.command)[1:], "--overwrite", "--quiet"]) == 0
        assert (tmp_path / "out.png").read_bytes() == first
