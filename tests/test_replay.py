"""Plans carried out later, and pauses between stages: the same bytes, or one clear line why not."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow
from skimage import data

import enlarger
from enlarger.errors import InputError, OutputExistsError, SourceMissingError, UsageError
from enlarger.report import Plan
from enlarger.steps.decode import decode
from enlarger.steps.edits import corrected
from enlarger.steps.encode import Target, save

TWO = {"engine": "resample", "scale": 4, "stages": 2}


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    Pillow.fromarray(data.astronaut()[40:104, 180:276]).save(path)
    return path


def written(plan: Plan, path: Path) -> Path:
    path.write_text(plan.to_json(), "utf-8")
    return path


def planned(photo: Path, **options: object) -> Plan:
    with enlarger.Enlarger(**{"engine": "resample", **options}) as tool:
        return tool.plan(photo, photo.with_name("out.png"))


@pytest.mark.parametrize(
    "options",
    [
        {},
        TWO,
        {"long_edge": 700, "padding": "5%"},
        {"aspect": "1:1", "fit": "crop", "crop_on": "subject"},
        {"long_edge": 40},
        {"model": "enlarger-photo-x2", "engine": "auto", "device": "cpu", "scale": 3},
    ],
)
def test_a_plan_gives_the_bytes_that_the_options_give(options: dict[str, object], photo: Path) -> None:
    wished = {"engine": "resample", **options}
    plan = written(planned(photo, **options), photo.with_name("plan.json"))
    done = enlarger.run_plan(plan)
    assert isinstance(done, enlarger.Result)
    enlarger.enlarge(photo, output=photo.with_name("again.png"), **wished)
    assert photo.with_name("out.png").read_bytes() == photo.with_name("again.png").read_bytes()


def test_a_changed_source_or_plan_is_refused(photo: Path) -> None:
    plan = planned(photo)
    data_ = json.loads(plan.to_json())
    changed = photo.with_name("changed.json")
    data_["stages"][0]["out_width"] += 1
    changed.write_text(json.dumps(data_))
    with pytest.raises(UsageError, match=r"made by another version, for other models, or changed \(stage 1\); make it anew with --dry-run"):
        enlarger.run_plan(changed)
    unsaid = plan.model_copy(update={"source": plan.source.model_copy(update={"sha256": ""})})
    with pytest.raises(UsageError, match="does not say of which bytes it was made"):
        enlarger.run_plan(unsaid)
    Pillow.fromarray(data.astronaut()[0:64, 0:96]).save(photo)
    with pytest.raises(InputError, match=r"photo\.png: the source has changed since the plan was made"):
        enlarger.run_plan(plan)
    photo.unlink()
    with pytest.raises(SourceMissingError):
        enlarger.run_plan(plan)


@pytest.mark.parametrize("text", ["", "{}", "[1]", "no json", '{"schema": "enlarger.plan/1"}'])
def test_what_is_no_plan_is_one_line(text: str, tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    path.write_text(text)
    with pytest.raises(UsageError, match=r"plan\.json: this is no plan") as caught:
        enlarger.run_plan(path)
    assert "\n" not in str(caught.value)
    with pytest.raises(SourceMissingError, match=r"none\.json: no such file"):
        enlarger.run_plan(tmp_path / "none.json")


def paused(photo: Path, **options: object) -> tuple[Plan, Path]:
    plan = enlarger.begin(photo, photo.with_name("out.png"), **{**TWO, **options})
    assert plan.paused is not None
    return plan, Path(plan.paused.picture)


def test_going_on_with_nothing_corrected_gives_the_same_bytes(photo: Path) -> None:
    enlarger.enlarge(photo, output=photo.with_name("straight.png"), **TWO)
    plan, picture = paused(photo)
    assert not photo.with_name("out.png").exists()
    assert picture == photo.with_name("out-stage1.png")
    assert (decode(picture).width, decode(picture).samples.dtype) == (192, np.uint16)
    assert plan.paused is not None
    done = enlarger.run_plan(plan.paused.plan, continue_with=picture)
    assert isinstance(done, enlarger.Result)
    assert done.report.warnings == ()
    assert photo.with_name("out.png").read_bytes() == photo.with_name("straight.png").read_bytes()


def edited(picture: Path) -> Path:
    """A copy with a green square over 40 to 80, saved with 8 bits as most editors do."""
    samples = (np.asarray(decode(picture).samples) / 257 + 0.5).astype(np.uint8)
    samples[40:80, 40:80] = (20, 200, 40)
    path = picture.with_name("edited.png")
    Pillow.fromarray(samples).save(path)
    return path


def test_what_was_corrected_stays_and_the_rest_is_as_without(photo: Path) -> None:
    enlarger.enlarge(photo, output=photo.with_name("straight.png"), **TWO)
    plan, picture = paused(photo)
    done = enlarger.run_plan(plan, continue_with=edited(picture))
    assert isinstance(done, enlarger.Result)
    result, straight = (np.asarray(Pillow.open(photo.with_name(name))).astype(int) for name in ("out.png", "straight.png"))
    inside = result[96:144, 96:144]
    assert np.abs(inside - (20, 200, 40)).max() <= 3
    away = np.ones(result.shape[:2], bool)
    away[40:200, 40:200] = False
    assert np.abs(result - straight)[away].max() <= 1
    assert [w.code for w in done.report.warnings] == ["corrected"]
    assert done.report.warnings[0].message.startswith("6.51% of the picture was corrected by hand after stage 1")
    assert done.report.fidelity is not None
    assert done.report.fidelity.measures["consistency"].verdict == "pass"


def test_pauses_can_follow_each_other(photo: Path) -> None:
    plan, picture = paused(photo, scale=8, stages=3)
    following = enlarger.run_plan(plan, continue_with=picture, pause=True)
    assert isinstance(following, Plan)
    assert following.paused is not None
    assert following.paused.stage == 2
    done = enlarger.run_plan(following.paused.plan, continue_with=following.paused.picture)
    assert isinstance(done, enlarger.Result)
    enlarger.enlarge(photo, output=photo.with_name("straight.png"), engine="resample", scale=8, stages=3)
    assert photo.with_name("out.png").read_bytes() == photo.with_name("straight.png").read_bytes()


def test_a_pause_overwrites_nothing_unasked(photo: Path) -> None:
    photo.with_name("out.plan.json").write_text("mine")
    with pytest.raises(OutputExistsError):
        paused(photo)
    assert photo.with_name("out.plan.json").read_text() == "mine"
    assert not photo.with_name("out-stage1.png").exists()
    plan = enlarger.begin(photo, photo.with_name("out.png"), overwrite=True, **TWO)
    assert enlarger.Plan.model_validate_json(photo.with_name("out.plan.json").read_bytes()) == plan


def test_what_cannot_go_on_is_one_line(photo: Path) -> None:
    with pytest.raises(UsageError, match="--pause-between-stages: there is one stage only, and nothing between; say --stages 2"):
        enlarger.begin(photo, photo.with_name("out.png"), engine="resample")
    with pytest.raises(UsageError, match="this plan was not paused"):
        enlarger.run_plan(planned(photo), continue_with=photo)
    plan, picture = paused(photo)
    with pytest.raises(UsageError, match=r"paused after stage 1, at .*; go on with --continue-with"):
        enlarger.run_plan(plan)
    with pytest.raises(InputError, match=r"photo\.png: 96x64 instead of 192x128; correct it without scaling or cropping"):
        enlarger.run_plan(plan, continue_with=photo)
    with pytest.raises(SourceMissingError):
        enlarger.run_plan(plan, continue_with=photo.with_name("none.png"))
    grey = photo.with_name("grey.png")
    Pillow.new("L", (192, 128)).save(grey)
    with pytest.raises(InputError, match=r"grey\.png: grey instead of RGB; save it with the channels that it had"):
        enlarger.run_plan(plan, continue_with=grey)
    copy = edited(picture)
    picture.write_bytes(copy.read_bytes())
    with pytest.raises(InputError, match="the picture that was written at the pause has changed; correct a copy"):
        enlarger.run_plan(plan, continue_with=copy)
    picture.unlink()
    with pytest.raises(SourceMissingError, match="the picture that was written at the pause is gone"):
        enlarger.run_plan(plan, continue_with=copy)


@pytest.mark.parametrize("bands", [1, 2, 3, 4])
def test_only_corrected_pixels_count_and_alpha_stays_the_sources(bands: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    source = decode(rng.integers(0, 256, (30, 40, bands), np.uint8))
    large = np.asarray(rng.integers(0, 65536, (60, 80, bands), np.uint16))
    if bands in (2, 4):
        large[..., -1] = np.maximum(large[..., -1], 3000)
    save(large, Target("png", None, 80, 60, 16), source, tmp_path / "begun.png")
    touched = (large / 257 + 0.5).astype(np.uint8)
    touched[20:30, 20:40, 0] ^= 128
    Pillow.fromarray(touched[..., 0] if bands == 1 else touched).save(tmp_path / "edited.png")
    found = corrected(source, decode(tmp_path / "begun.png"), decode(tmp_path / "edited.png"))
    assert found.share == pytest.approx(200 / 4800)
    expected = large.copy()
    expected[20:30, 20:40] = touched[20:30, 20:40].astype(np.uint16) * 257
    np.testing.assert_array_equal(found.samples, expected)
    if bands in (2, 4):
        np.testing.assert_array_equal(found.source.samples[..., -1], source.samples[..., -1])
    np.testing.assert_array_equal(found.source.samples[:, 28:], source.samples[:, 28:])
    assert (found.source.samples[12:14, 12:18, 0] != source.samples[12:14, 12:18, 0]).any()
