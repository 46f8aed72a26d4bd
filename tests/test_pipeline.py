"""The Python API from end to end: kinds, scales, phase, progress, cancelling, warmth, reproducibility."""

import io
import json
import os
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow
from skimage import data
from tests.nets import NEEDS_CLASSIC, nets

import enlarger
from enlarger import pipeline, staging
from enlarger.engines import find
from enlarger.processor import likes_integers

LIGHT = {"model": "enlarger-photo-x4", "device": "cpu"}
PLAIN = {"engine": "resample"}


def astronaut(x: int, y: int, width: int, height: int) -> np.ndarray:
    return np.ascontiguousarray(data.astronaut()[y : y + height, x : x + width])


def png(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Pillow.fromarray(array).save(buffer, "png")
    return buffer.getvalue()


def test_the_same_kind_comes_out_as_went_in(tmp_path: Path) -> None:
    array = astronaut(100, 100, 20, 12)
    path = tmp_path / "a.png"
    path.write_bytes(png(array))
    expected = enlarger.enlarge(array, 2, **PLAIN).image
    assert isinstance(expected, np.ndarray)
    assert (expected.shape, expected.dtype) == ((24, 40, 3), np.uint8)
    encoded = enlarger.enlarge(png(array), 2, **PLAIN).image
    assert isinstance(encoded, bytes)
    np.testing.assert_array_equal(np.asarray(Pillow.open(io.BytesIO(encoded))), expected)
    pillow = enlarger.enlarge(Pillow.fromarray(array), 2, **PLAIN).image
    assert isinstance(pillow, Pillow.Image)
    np.testing.assert_array_equal(np.asarray(pillow), expected)
    image = enlarger.enlarge(path, 2, **PLAIN).image
    assert isinstance(image, enlarger.Image)
    np.testing.assert_array_equal(image.samples, expected)
    again = enlarger.enlarge(image, 2, **PLAIN).image
    assert isinstance(again, enlarger.Image)
    assert (again.width, again.height) == (80, 48)


@pytest.mark.parametrize(
    ("shape", "dtype"), [((9, 7), np.uint8), ((9, 7, 1), np.uint16), ((9, 7, 3), np.uint16), ((9, 7, 4), np.uint8), ((9, 7, 3), np.float32)]
)
def test_arrays_keep_their_dimensions_and_dtype(shape: tuple[int, ...], dtype: type) -> None:
    rng = np.random.default_rng(0)
    array = rng.random(shape).astype(dtype) if dtype is np.float32 else rng.integers(0, np.iinfo(dtype).max, shape, dtype)
    result = enlarger.enlarge(array, 3, **PLAIN).image
    assert result.shape == (27, 21, *shape[2:])
    assert result.dtype == dtype


def test_result_can_be_saved_to_any_format_and_says_what_was_written(tmp_path: Path) -> None:
    result = enlarger.enlarge(astronaut(0, 0, 30, 20), 2, **PLAIN)
    assert result.report.output.path is None
    for name in ("a.png", "a.jpg", "a.webp", "a.tif", "a.avif"):
        report = result.save(tmp_path / name)
        assert report.output.path == str(tmp_path / name)
        assert report.output.bytes == (tmp_path / name).stat().st_size
        assert Pillow.open(tmp_path / name).size == (60, 40)
    with pytest.raises(enlarger.OutputExistsError):
        result.save(tmp_path / "a.png")
    result.save(tmp_path / "a.png", overwrite=True)


def test_the_net_really_runs() -> None:
    """The result is the net's, not an interpolation: it equals ncnn called directly."""
    array = astronaut(180, 60, 64, 48)
    model = next(m for m in enlarger.list_models("ncnn") if m.id == LIGHT["model"])
    engine = find("ncnn")
    net = engine.open(model, engine.device("cpu", 2), engine.spec.settings())
    direct = np.clip(np.asarray(net(array.astype(np.float32) / 255)), 0, 1)
    net.close()
    result = enlarger.enlarge(array, 4, resemblance=0, skip_flat=False, **LIGHT).image
    assert np.abs(result - direct * 255).max() <= 0.51


@pytest.mark.parametrize("model", nets("enlarger-photo-x2", "realesr-animevideov3-x3", "enlarger-photo-x4"))
def test_tiled_equals_untiled_within_one_step_at_every_pixel(model: str) -> None:
    array = astronaut(100, 60, 150, 110)
    scale = int(model[-1])
    whole = enlarger.enlarge(array, scale, model=model, device="cpu")
    tiled = enlarger.enlarge(array, scale, model=model, device="cpu", tile=40)
    assert whole.report.tiles.total == 1
    assert tiled.report.tiles.total == 12
    # Sums of integers are exact, so where a tile begins changes nothing at all.
    exact = model == "enlarger-photo-x4" and likes_integers()
    assert np.abs(whole.image.astype(int) - tiled.image).max() <= (0 if exact else 1)


@pytest.mark.parametrize("options", [PLAIN, LIGHT])
@pytest.mark.parametrize(("width", "height"), [(1, 1), (2, 3), (1, 200), (7, 5)])
def test_tiny_and_narrow_pictures(options: dict[str, str], width: int, height: int) -> None:
    array = np.full((height, width, 3), (200, 120, 40), np.uint8)
    result = enlarger.enlarge(array, 4, **options).image
    assert result.shape == (height * 4, width * 4, 3)
    assert np.abs(result.reshape(-1, 3).mean(0) - (200, 120, 40)).max() < 12


def test_a_picture_of_one_by_five_thousand() -> None:
    result = enlarger.enlarge(np.zeros((5000, 1, 3), np.uint8), 4, **LIGHT)
    assert result.image.shape == (20000, 4, 3)


@pytest.mark.parametrize("scale", [1, 2, 2.5, 3, 4, 5.3])
@pytest.mark.parametrize("model", [m.id for m in enlarger.list_models("resample")])
def test_resampling_keeps_everything_where_it_is(model: str, scale: float) -> None:
    """A smooth blob off the centre stays where the pixel contract says: X + 0.5 = (x + 0.5) * W'/W."""
    width, height, x, y = 65, 61, 27.3, 34.6
    columns, rows = np.arange(width), np.arange(height)[:, None]
    blob = 30 + 200 * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * 6**2))
    array = np.repeat(blob[:, :, None], 3, 2).round().astype(np.uint8)
    result = enlarger.enlarge(array, scale, model=model).image.astype(float)
    for out, before, size, length in zip(
        centroid(result), centroid(array.astype(float)), result.shape[1::-1], (width, height), strict=False
    ):
        assert abs((out + 0.5) * length / size - (before + 0.5)) < 0.02


def centroid(picture: np.ndarray) -> tuple[float, float]:
    """Of what stands out by more than a third of the range."""
    grey = picture.mean(2)
    weight = np.clip(grey - (grey.min() + (grey.max() - grey.min()) / 3), 0, None)
    return (weight.sum(0) * np.arange(grey.shape[1])).sum() / weight.sum(), (weight.sum(1) * np.arange(grey.shape[0])).sum() / weight.sum()


NET_SCALES: list[Any] = [(f"enlarger-photo-x{n}", s) for n in (2, 4) for s in (1, 2, 2.5, 3, 4)] + [("enlarger-photo-x4", 5.3)]
NET_SCALES += [
    pytest.param(model, s, marks=NEEDS_CLASSIC)
    for model in ("realesr-animevideov3-x3", "realesrgan-x4plus", "realesrgan-x4plus-anime")
    for s in (2.5, 4)
]


@pytest.mark.parametrize(("model", "scale"), NET_SCALES)
def test_nets_do_not_drift_by_a_part_of_a_pixel(model: str, scale: float) -> None:
    """A photograph made small again lies on its source to 0.08 source pixels; half an output pixel at 4x would be 0.125.

    Measured on the picture and on it turned by half a turn: what a net does to its content then cancels, drift adds up.
    (x4plus itself draws everything about 0.04 source pixels up and left, x4plus-anime 0.06.)
    """
    drifts = []
    for turn in (1, -1):
        array = np.ascontiguousarray(astronaut(184, 74, 48, 44)[::turn, ::turn])
        result = enlarger.enlarge(array, scale, model=model, device="cpu").image
        small = np.asarray(Pillow.fromarray(result).resize((48, 44), Pillow.Resampling.BICUBIC), float).mean(2)
        drifts.append(shift(array.astype(float).mean(2), small))
    assert np.abs(np.mean(drifts, 0)).max() < 0.08


def shift(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """How far ``after`` lies right and down of ``before``, by least squares on the gradient (Lucas and Kanade, 1981)."""
    inner = slice(5, -5)
    gradients = [-np.gradient(before, axis=axis)[inner, inner].ravel() for axis in (1, 0)]
    return np.linalg.lstsq(np.stack(gradients, 1), (after - before)[inner, inner].ravel(), rcond=None)[0]


def test_the_shift_meter_sees_half_an_output_pixel() -> None:
    array = astronaut(184, 74, 48, 44).astype(float).mean(2)
    large = np.repeat(np.repeat(array, 8, 0), 8, 1)
    moved = np.roll(large, 1, 1).reshape(44, 8, 48, 8).mean((1, 3))
    assert shift(array, moved) == pytest.approx([0.125, 0], abs=0.02)


def test_grey_stays_grey_and_alpha_comes_along() -> None:
    grey = astronaut(100, 100, 24, 20)[:, :, 0]
    assert enlarger.enlarge(grey, 4, **LIGHT).image.shape == (80, 96)
    rgba = np.dstack([astronaut(100, 100, 24, 20), np.full((20, 24), 255, np.uint8)])
    rgba[:, :10, 3] = 0
    result = enlarger.enlarge(rgba, 4, **LIGHT).image
    assert result.shape == (80, 96, 4)
    assert (result[:, :32, 3] == 0).all()
    assert (result[:, 48:, 3] == 255).all()


def test_sixteen_bits_are_more_than_eight() -> None:
    ramp = np.repeat(np.linspace(20000, 21000, 64).astype(np.uint16)[None, :, None], 40, 0)
    result = enlarger.enlarge(ramp, 4, **LIGHT).image
    assert result.dtype == np.uint16
    assert len(np.unique(result)) > 100


def test_progress_climbs_and_counts_tiles() -> None:
    seen: list[enlarger.Progress] = []
    enlarger.enlarge(astronaut(0, 0, 40, 30), 8, tile=40, progress=seen.append, **LIGHT)
    counts = [event.tiles_done for event in seen]
    assert counts == sorted(counts)
    assert seen[-1].tiles_done == seen[-1].tiles == 13
    done = [event.done for event in seen]
    assert done == sorted(done)
    assert done[-1] == pytest.approx(1)
    assert all(event.seconds_left is not None for event in seen if event.step == "enlarge" and 0 < event.done < 1)


@pytest.mark.parametrize("kind", ["event", "function"])
def test_cancelling_stops_after_the_tile_and_keeps_what_is_done(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("enlarger.pipeline.KEEP_FROM", 0)
    event = threading.Event()
    seen = []

    def watch(progress: enlarger.Progress) -> None:
        seen.append(progress.tiles_done)
        if progress.tiles_done == 2:
            event.set()

    with pytest.raises(enlarger.CancelledError):
        enlarger.enlarge(
            astronaut(0, 0, 90, 60),
            4,
            tile=30,
            output=tmp_path / "a.png",
            progress=watch,
            cancel=event if kind == "event" else event.is_set,
            **LIGHT,
        )
    assert max(seen) == 2
    assert [path.name for path in tmp_path.iterdir()] == [".a.png.enlarger"]


def test_an_enlarger_opens_an_engine_once(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = find("ncnn")
    opened = []
    real = type(engine).open
    monkeypatch.setattr(type(engine), "open", lambda self, *words: opened.append(words[0].id) or real(self, *words))
    with enlarger.Enlarger(**LIGHT) as tool:
        for x in range(3):
            tool.enlarge(astronaut(x, 0, 20, 20))
        tool.enlarge(astronaut(0, 0, 20, 20), model="enlarger-photo-x2")
    assert opened == ["enlarger-photo-x4", "enlarger-photo-x2"]


def test_the_same_again_gives_the_same_bytes(tmp_path: Path) -> None:
    array = astronaut(50, 50, 50, 34)
    for name in ("a.jpg", "b.jpg"):
        enlarger.enlarge(array, 4, output=tmp_path / name, tile=32, **LIGHT)
    assert (tmp_path / "a.jpg").read_bytes() == (tmp_path / "b.jpg").read_bytes()


def test_the_canvas_on_disk_gives_the_same_bytes_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    array = astronaut(50, 50, 36, 24)
    enlarger.enlarge(array, 6, output=tmp_path / "a.png", tile=32, **LIGHT)
    monkeypatch.setattr("enlarger.canvas.IN_MEMORY", 0)
    enlarger.enlarge(array, 6, output=tmp_path / "b.png", tile=32, **LIGHT)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.png", "b.png"]


def test_the_report_holds_what_ran(tmp_path: Path) -> None:
    source = tmp_path / "a.png"
    source.write_bytes(png(astronaut(0, 0, 40, 30)))
    report = enlarger.enlarge(source, 4, output=tmp_path / "b.png", tile=20, **LIGHT).report
    import hashlib

    assert report.source.sha256 == hashlib.sha256(source.read_bytes()).hexdigest()
    assert report.output.sha256 == hashlib.sha256((tmp_path / "b.png").read_bytes()).hexdigest()
    assert report.tiles.total == report.tiles.computed == 2
    assert set(report.timings) == {"plan", "decode", "triage", "enlarge", "engine", "lock", "encode", "verify", "total"}
    assert report.timings["total"] >= report.timings["engine"] > 0
    assert {"ncnn", "numpy", "pyvips-binary", "python"} <= set(report.reproduce.libraries)
    assert bool(report.reproduce.machine["integers"]) is likes_integers()
    model = next(m for m in enlarger.list_models("ncnn") if m.id == LIGHT["model"])
    assert report.plan.stages[0].weights_sha256 == tuple(f.sha256 for f in model.files)
    assert enlarger.Report.model_validate_json(report.model_dump_json(by_alias=True)) == report


def test_the_report_says_what_the_source_is_unless_nobody_asks(tmp_path: Path) -> None:
    array = astronaut(0, 0, 40, 30)
    said = enlarger.enlarge(array, 2, **PLAIN).report.triage
    assert said is not None
    assert said["verdict"]
    assert enlarger.enlarge(array, 2, triage=False, **PLAIN).report.triage is None
    written = enlarger.enlarge(array, 2, output=tmp_path / "a.png", report=True, triage=False, **PLAIN)
    assert written.report.triage == said
    assert json.loads((tmp_path / "a.png.report.json").read_text("utf-8"))["triage"] == said
    # What a format is chosen by is looked for as well.
    assert enlarger.enlarge(array, 2, output=tmp_path / "b", format="auto", triage=False, **PLAIN).report.triage == said
    silent = enlarger.enlarge(array, 2, triage=False, **PLAIN)
    silent.save(tmp_path / "c.png")
    page = silent.save_report(tmp_path / "c.png")[1].read_text("utf-8")
    assert "c.png" in page


def test_a_plan_touches_nothing_and_is_what_runs(tmp_path: Path) -> None:
    source = tmp_path / "a.png"
    source.write_bytes(png(astronaut(0, 0, 40, 30)))
    tool = enlarger.Enlarger(scale=3, **PLAIN)
    plan = tool.plan(source, tmp_path)
    assert plan.output.path == str(tmp_path / "a-3x.png")
    assert list(tmp_path.iterdir()) == [source]
    ran = tool.enlarge(source, tmp_path).report.plan
    assert ran.stages == plan.stages
    assert ran.output == plan.output


def test_what_can_be_refused_is_refused_before_the_first_tile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "decode", lambda *words, **more: pytest.fail("decoded although the plan must fail"))
    source = tmp_path / "a.png"
    source.write_bytes(png(astronaut(0, 0, 40, 30)))
    for output, options, error in (
        (source, {}, enlarger.OutputError),
        (tmp_path / "no" / "a.png", {}, enlarger.OutputError),
        (tmp_path / "a.gif", {}, enlarger.UsageError),
        (tmp_path / "b.png", {"model": "none"}, enlarger.EngineMissingError),
        (tmp_path / "b.png", {"settings": {"no": "1"}}, enlarger.UsageError),
    ):
        with pytest.raises(error):
            enlarger.enlarge(source, output=output, **options)
    assert list(tmp_path.iterdir()) == [source]


def test_a_part_never_written_is_an_error_not_a_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(staging, "enlarge_by_picture", lambda *words, **more: staging.Tally())
    with pytest.raises(enlarger.EngineError, match="a part of the result was never written"):
        enlarger.enlarge(astronaut(0, 0, 10, 10), 2, **PLAIN)


def test_a_name_that_is_no_utf8_is_reported_too(tmp_path: Path) -> None:
    source = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.png"))
    try:
        source.write_bytes(png(astronaut(0, 0, 20, 16)))
    except OSError:
        return  # a disk whose names are UTF-8 (macOS)
    result = enlarger.enlarge(source, 2, output=tmp_path / "a.png", report=True, **PLAIN)
    data = (tmp_path / "a.png.report.json").read_text("ascii")
    assert enlarger.Report.model_validate(json.loads(data)) == result.report
    assert (tmp_path / "a.png.report.html").stat().st_size < 5_000_000


def test_reports_are_not_overwritten_unasked(tmp_path: Path) -> None:
    (tmp_path / "a.png.report.html").write_text("mine")
    with pytest.raises(enlarger.OutputExistsError):
        enlarger.enlarge(astronaut(0, 0, 20, 16), 2, output=tmp_path / "a.png", report=True, **PLAIN)
    assert not (tmp_path / "a.png").exists()
    with pytest.raises(enlarger.UsageError):
        enlarger.enlarge(astronaut(0, 0, 20, 16), 2, report=True, **PLAIN)


def test_doubt_stops_repairs_or_warns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine that shades one corner, and no lock to mend it."""
    from enlarger.engines.resample import Resampler

    plain = Resampler.__call__

    def shaded(self: Resampler, samples: Any, size: tuple[int, int], box: Any) -> Any:
        tile = plain(self, samples, size, box)
        rows = slice(max(0, 64 - box.y), max(0, 160 - box.y))
        tile[rows, 64:160] *= 0.5
        return tile

    monkeypatch.setattr(Resampler, "__call__", shaded)
    source = astronaut(150, 20, 96, 96)
    wish = {**PLAIN, "resemblance": 0}
    with pytest.raises(enlarger.DoubtError) as caught:
        enlarger.enlarge(source, 4, output=tmp_path / "a.png", on_doubt="stop", **wish)
    assert caught.value.exit_status == 3
    assert list(tmp_path.iterdir()) == []
    warned = enlarger.enlarge(source, 4, **wish)
    assert warned.report.fidelity is not None
    assert warned.report.fidelity.verdict == "fail"
    mended = enlarger.enlarge(source, 4, output=tmp_path / "a.png", on_doubt="repair", **wish)
    assert mended.report.fidelity is not None
    assert mended.report.fidelity.measures["consistency"].value > warned.report.fidelity.measures["consistency"].value + 5
    with pytest.raises(enlarger.UsageError, match="verify"):
        enlarger.Options(on_doubt="stop", verify="off")
    assert enlarger.enlarge(source, 2, verify="off", **PLAIN).report.fidelity is None


@pytest.mark.parametrize(
    "wish", [{"skip_flat": False}, {"style": "crisp"}, {"self_ensemble": True, "seed": 7, "texture": 80}, {"verify": "off"}]
)
def test_the_command_of_the_report_says_all_that_was_asked(
    wish: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import shlex

    from enlarger.interfaces import cli

    source, output = tmp_path / "a.png", tmp_path / "b.png"
    source.write_bytes(png(astronaut(0, 0, 40, 32)))
    report = enlarger.enlarge(source, 4, output=output, **LIGHT, **wish).report
    first = output.read_bytes()
    output.unlink()
    assert cli.main(shlex.split(report.reproduce.command)[1:]) == 0
    capsys.readouterr()
    assert output.read_bytes() == first


def test_full_verify_shakes_pictures_smaller_than_the_net_asks() -> None:
    report = enlarger.enlarge(astronaut(200, 80, 21, 17), 4, verify="full", **LIGHT).report
    assert report.fidelity is not None
    assert "instability" in report.fidelity.measures
    kernel = enlarger.enlarge(astronaut(200, 80, 21, 17), 4, verify="full", **PLAIN).report
    assert kernel.fidelity is not None
    assert "kernel" in kernel.fidelity.not_checked["instability"]


def test_native_dials_reach_the_engine_and_are_not_applied_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    from pydantic import BaseModel, ConfigDict

    from enlarger.engines import ncnn

    class Own(BaseModel):
        model_config = ConfigDict(frozen=True, extra="forbid")
        detail: int = 50
        creativity: int = 0

    seen: list[Own] = []
    engine = find("ncnn")
    usual, spec = engine.open, engine.spec
    plain = spec.settings()

    def opened(model: Any, device: Any, settings: Own) -> Any:
        seen.append(settings)
        return usual(model, device, plain)

    rows = tuple(model.model_copy(update={"dials": None}) for model in engine.models())
    monkeypatch.setattr(ncnn.Ncnn, "spec", replace(spec, dials=("detail", "creativity"), settings=Own))
    monkeypatch.setattr(ncnn.Ncnn, "models", lambda _: rows)
    monkeypatch.setattr(engine, "open", opened)
    source = astronaut(180, 60, 40, 32)
    result = enlarger.enlarge(source, 4, detail=80, creativity=30, **LIGHT)
    assert seen == [Own(detail=80, creativity=30)]
    monkeypatch.undo()
    assert np.array_equal(result.image, enlarger.enlarge(source, 4, **LIGHT).image)


def test_detail_is_between_two_nets_and_is_not_applied_again() -> None:
    """At 100 the default net answers as its crisp sister, byte for byte; at 75 neither as one nor the other."""
    results, weights = {}, {}
    for name, wishes in {
        "faithful": {},
        "between": {"detail": 75},
        "crisp": {"detail": 100},
        "sister": {"model": "enlarger-crisp-x4"},
    }.items():
        result = enlarger.enlarge(astronaut(60, 60, 48, 40), 4, device="cpu", **wishes)
        results[name] = np.asarray(result.image)
        weights[name] = set(result.report.plan.stages[0].weights_sha256)
    assert weights["between"] == weights["crisp"] == weights["faithful"] | weights["sister"]
    assert np.array_equal(results["crisp"], results["sister"])
    # How far along the way to the crisp one; beside it integers leave a grain of their own.
    way, went = (results[name].astype(float) - results["faithful"] for name in ("crisp", "between"))
    assert 0.3 < (way * went).sum() / (way**2).sum() < 0.7


def test_one_thread_means_one_thread_for_all_that_is_ours(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import concurrent.futures.thread

    begun: list[str] = []
    start = concurrent.futures.thread.threading.Thread.start

    def seen(thread: Any) -> None:
        begun.append(thread.name)
        start(thread)

    monkeypatch.setattr(concurrent.futures.thread.threading.Thread, "start", seen)
    for threads, own in ((1, False), (2, True)):
        begun.clear()
        enlarger.enlarge(astronaut(0, 0, 64, 64), output=tmp_path / f"{threads}.png", engine="resample", threads=threads, denoise=40)
        assert any(name.startswith("enlarger-") for name in begun) is own
    assert (tmp_path / "1.png").read_bytes() == (tmp_path / "2.png").read_bytes()
