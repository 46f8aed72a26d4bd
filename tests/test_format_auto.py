"""The smallest format, from end to end: what it keeps of each kind of picture, what it is called, and that it is the same every time."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow
from skimage import data

import enlarger
from enlarger.steps import smallest
from enlarger.steps.decode import decode

AUTO: dict[str, Any] = {"format": "auto", "engine": "resample"}


def stored(path: Path, samples: np.ndarray[Any, Any], **how: Any) -> Path:
    Pillow.fromarray(np.ascontiguousarray(samples)).save(path, **how)
    return path


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    return stored(tmp_path / "photo.png", data.astronaut()[30:126, 150:246])


@pytest.fixture
def drawing(tmp_path: Path) -> Path:
    drawn = np.full((96, 120, 3), 255, np.uint8)
    drawn[20:70, 20:80] = (200, 30, 30)
    drawn[40:46, 10:110] = (20, 20, 90)
    drawn[10:80, 100:103] = 0
    return stored(tmp_path / "drawing.png", drawn)


def candidates(report: enlarger.Report) -> dict[tuple[str, bool], Any]:
    assert report.choice is not None
    return {(c.format, c.lossless): c for c in report.choice.candidates}


def chosen(report: enlarger.Report) -> Any:
    (one,) = [c for c in candidates(report).values() if c.chosen]
    assert one.bytes == report.output.bytes == Path(report.output.path or "").stat().st_size
    assert one.format == report.output.format
    return one


def test_a_photograph_becomes_the_smallest_lossy_file_as_near_as_the_jpeg(photo: Path, tmp_path: Path) -> None:
    report = enlarger.enlarge(photo, 2, output=tmp_path / "big", **AUTO).report
    best = chosen(report)
    assert not best.lossless
    written = Path(report.output.path or "")
    assert written == tmp_path / f"big{ {'jpeg': '.jpg', 'webp': '.webp', 'avif': '.avif'}[best.format] }"
    assert best.bytes == min(c.bytes for c in candidates(report).values() if c.bytes)
    assert [w.code for w in report.warnings] == ["format-chosen"]
    assert f"{best.format} {best.bytes / 1000:.4g} kB" in report.warnings[0].message
    exact = enlarger.enlarge(np.asarray(Pillow.open(photo)), 2, engine="resample").image
    enlarger.enlarge(photo, 2, output=tmp_path / "plain.jpg", engine="resample")
    error = {path: np.sqrt(np.mean((decode(path).samples.astype(float) - exact) ** 2)) for path in (written, tmp_path / "plain.jpg")}
    assert error[written] <= max(1.0, error[tmp_path / "plain.jpg"]) + 0.05
    assert report.fidelity is not None
    assert report.fidelity.verdict == "pass"


def test_hard_lines_are_kept_exactly(drawing: Path, tmp_path: Path) -> None:
    report = enlarger.enlarge(drawing, 3, output=tmp_path / "big", **AUTO).report
    assert chosen(report).lossless
    assert report.choice is not None
    assert report.choice.needs in (("hard lines",), ("few colours",))
    exact = enlarger.enlarge(np.asarray(Pillow.open(drawing)), 3, engine="resample").image
    assert np.array_equal(decode(Path(report.output.path or "")).samples, exact)
    assert "would suffer" in candidates(report)["jpeg", False].said


def test_few_colours_become_a_palette_where_that_is_smallest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of any order of colours, half-transparent ones too."""
    monkeypatch.setattr(smallest, "writable", lambda name: name == "png")
    rng = np.random.default_rng(0)
    colours = rng.integers(0, 256, (40, 4), np.uint8)
    colours[:20, 3], colours[20:22, 3] = 255, 0
    sprite = colours[rng.integers(0, 40, (48, 48))]
    report = enlarger.enlarge(stored(tmp_path / "sprite.png", sprite), 4, output=tmp_path / "big", format="auto", model="blocks").report
    assert report.output.path == str(tmp_path / "big.png")
    with Pillow.open(tmp_path / "big.png") as made:
        assert made.mode == "P"
        seen = np.asarray(made.convert("RGBA"))
    wanted = sprite.repeat(4, 0).repeat(4, 1)
    assert np.array_equal(seen[..., 3], wanted[..., 3])
    assert np.array_equal(seen[seen[..., 3] > 0], wanted[wanted[..., 3] > 0])
    assert "palette-kept" not in [w.code for w in report.warnings], "the source had none"
    assert candidates(report)["webp", True].said == "cannot be written by this installation"


def test_transparency_is_kept_and_one_that_says_nothing_is_not(tmp_path: Path) -> None:
    rgb = data.astronaut()[20:116, 130:226]
    for opacity in (254, 255):
        alpha = np.full(rgb.shape[:2], 255, np.uint8)
        alpha[5, 5] = opacity
        source = stored(tmp_path / f"{opacity}.png", np.dstack([rgb, alpha]))
        report = enlarger.enlarge(source, 1, stages="0", output=tmp_path / f"out-{opacity}", **{**AUTO, "engine": "auto"}).report
        clear = opacity < 255
        assert report.output.alpha == clear
        assert decode(Path(report.output.path or "")).alpha == clear
        assert candidates(report)["jpeg", False].said == ("holds no transparency" if clear else "")
        assert ("alpha-opaque" in [w.code for w in report.warnings]) == (not clear)
        assert "alpha-dropped" not in [w.code for w in report.warnings]
        assert report.fidelity is None or report.fidelity.verdict == "pass"


def test_sixteen_bits_are_kept(tmp_path: Path) -> None:
    deep = np.linspace(9000, 41000, 120 * 90).reshape(90, 120).astype(np.uint16)
    report = enlarger.enlarge(stored(tmp_path / "deep.png", deep), 1, stages="0", output=tmp_path / "out", format="auto").report
    assert chosen(report).format in ("png", "tiff")
    assert report.output.bits == 16
    assert np.array_equal(decode(Path(report.output.path or "")).samples[..., 0], deep)
    assert {c.said for (name, _), c in candidates(report).items() if name in ("jpeg", "webp", "avif")} == {"holds 8 of 16 bits"}


def test_what_a_file_carried_goes_before_its_size(tmp_path: Path) -> None:
    """WebP and AVIF have no place for IPTC."""
    source = stored(tmp_path / "plain.jpg", data.astronaut()[20:116, 130:226], quality=95)
    was = source.read_bytes()
    note = b"Photoshop 3.0\0" + b"8BIM\x04\x04\0\0" + (8).to_bytes(4, "big") + b"\x1c\x02\x78\0\3abc"
    source.write_bytes(was[:2] + b"\xff\xed" + (len(note) + 2).to_bytes(2, "big") + note + was[2:])
    report = enlarger.enlarge(source, 2, output=tmp_path / "big", **AUTO).report
    assert chosen(report).format in ("jpeg", "png")
    assert candidates(report)["webp", True].said == "without iptc"
    assert "iptc-lost" not in [w.code for w in report.warnings]


def test_limits_of_sides_and_memory_are_kept(tmp_path: Path) -> None:
    wide = stored(tmp_path / "wide.png", np.random.default_rng(0).integers(0, 255, (4, 17000, 3), np.uint8))
    report = enlarger.enlarge(wide, 1, stages="0", output=tmp_path / "out", format="auto", verify="off").report
    assert "more than webp can hold" in candidates(report)["webp", True].said
    assert "more than avif can hold" in candidates(report)["avif", False].said
    square = stored(tmp_path / "square.png", np.zeros((2300, 2600, 3), np.uint8))
    report = enlarger.enlarge(square, 1, stages="0", output=tmp_path / "little", format="auto", memory="100MB", verify="off").report
    assert "--memory" in candidates(report)["webp", True].said
    assert chosen(report).format == "png"


def test_a_number_of_bytes_is_kept_by_the_nearest_format(photo: Path, tmp_path: Path) -> None:
    report = enlarger.enlarge(photo, 2, output=tmp_path / "big", max_size="4kB", **AUTO).report
    best = chosen(report)
    assert best.bytes <= 4000
    exact = enlarger.enlarge(np.asarray(Pillow.open(photo)), 2, engine="resample").image
    errors = {}
    for suffix in ("jpg", "webp", "avif"):
        enlarger.enlarge(photo, 2, output=tmp_path / f"named.{suffix}", max_size="4kB", engine="resample")
        errors[suffix] = float(np.mean((decode(tmp_path / f"named.{suffix}").samples.astype(float) - exact) ** 2))
    assert Path(report.output.path or "").suffix[1:] == min(errors, key=lambda name: errors[name])
    with pytest.raises(enlarger.OutputError, match=r"cannot be made as small as 0 kB \(the smallest that holds all has \d+ kB\)"):
        enlarger.enlarge(photo, 2, output=tmp_path / "none", max_size=150, **AUTO)
    assert not list(tmp_path.glob("none*"))
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("name", ["big.png", "big.dzi", "big.gif", "big.JPG"])
def test_a_name_with_an_ending_is_refused(name: str, photo: Path, tmp_path: Path) -> None:
    with pytest.raises(enlarger.UsageError, match=f"--format: auto chooses the ending, and {name} has one; leave out") as caught:
        enlarger.enlarge(photo, 2, output=tmp_path / name, **AUTO)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == [photo]


def test_names(photo: Path, tmp_path: Path) -> None:
    planned = enlarger.Enlarger(**AUTO).plan(photo, tmp_path / "v1.2")
    assert (planned.output.format, planned.output.path) == ("auto", str(tmp_path / "v1.2.auto"))
    first = enlarger.enlarge(photo, 2, output=tmp_path / "v1.2", **AUTO).report
    path = Path(first.output.path or "")
    assert path.stem == "v1.2"
    digest = path.read_bytes()
    with pytest.raises(enlarger.OutputError, match="exists already"):
        enlarger.enlarge(photo, 2, output=tmp_path / "v1.2", **AUTO)
    enlarger.enlarge(photo, 2, output=tmp_path / "v1.2", overwrite=True, **AUTO)
    assert path.read_bytes() == digest
    report = enlarger.enlarge(photo, 2, output=tmp_path, report=True, **AUTO).report
    assert Path(report.output.path or "").stem == "photo-2x"
    assert (tmp_path / f"{Path(report.output.path or '').name}.report.html").exists()
    (tmp_path / "other.webp").write_bytes(b"somebody's")
    with pytest.raises(enlarger.OutputError, match=r"other.webp: the file exists already"):
        enlarger.enlarge(photo, 2, output=tmp_path / "other", **AUTO)
    with pytest.raises(enlarger.OutputError, match=r"photo.png: this is the source itself"):
        enlarger.enlarge(photo, 2, output=tmp_path / "photo", overwrite=True, **AUTO)


def test_without_a_file_and_saved_later(photo: Path, tmp_path: Path) -> None:
    result = enlarger.enlarge(photo.read_bytes(), 2, **AUTO)
    report = result.save(tmp_path / "later")
    assert Path(report.output.path or "").read_bytes() == result.image
    assert report.choice is not None
    assert result.save(tmp_path / "named.png").output.format == "png"


def test_a_plan_that_was_written_down_is_carried_out(photo: Path, tmp_path: Path) -> None:
    planned = enlarger.Enlarger(scale=2, **AUTO).plan(photo, tmp_path / "big")
    result = enlarger.run_plan(planned)
    assert isinstance(result, enlarger.Result)
    assert Path(result.report.output.path or "").stem == "big"


def test_many_files_are_done_once(photo: Path, drawing: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    sources = [photo, drawing]
    rows = enlarger.enlarge_many(sources, out, 2, **AUTO)
    names = {row.output for row in rows}
    assert [row.status for row in rows] == ["done", "done"]
    assert names == {p.name for p in out.iterdir() if p.name != "enlarger-manifest.jsonl"}
    again = enlarger.Batch(sources, out, scale=2, **AUTO)
    assert [plan for _, plan in again.plan()] == [None, None]
    rows = again.run()
    assert [row.status for row in rows] == ["skipped", "skipped"]
    assert {row.output for row in rows} == names


def test_a_result_of_another_format_does_not_stay_behind(photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"
    (row,) = enlarger.enlarge_many([photo], out, 2, **AUTO)
    first = out / (row.output or "")
    monkeypatch.setattr(smallest, "writable", lambda name: name == "png")
    (row,) = enlarger.enlarge_many([photo], out, 2, **AUTO, quality=80)
    assert row.status == "done"
    assert row.output == "photo-2x.png"
    assert not first.exists()
    (out / "photo-2x.jpg").write_bytes(b"somebody's")
    (row,) = enlarger.enlarge_many([photo], out, 2, **AUTO, quality=70)
    assert row.status == "error"
    assert (out / "photo-2x.jpg").read_bytes() == b"somebody's"


def test_names_in_many_files_never_meet(tmp_path: Path) -> None:
    """A source that is called what a result may be called, and two of one name."""
    stored(tmp_path / "a.png", np.zeros((20, 20, 3), np.uint8))
    stored(tmp_path / "a.bmp", np.full((20, 20, 3), 90, np.uint8))
    stored(tmp_path / "a-2x.webp", np.full((20, 20, 3), 200, np.uint8), lossless=True)
    batch = enlarger.Batch(sorted(tmp_path.iterdir()), tmp_path, scale=2, **AUTO)
    assert [job.output.name for job in batch.jobs] == ["a-2x-2x.auto", "a.bmp-2x.auto", "a.png-2x.auto"]
    assert [row.status for row in batch.run()] == ["done"] * 3
    listed = tmp_path / "list.csv"
    listed.write_text("source,output\na.png,x.png\n")
    with pytest.raises(enlarger.UsageError, match="auto chooses the ending"):
        enlarger.Batch(listed=listed, **AUTO)


def test_what_was_stopped_goes_on_to_the_same_bytes(photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("enlarger.pipeline.KEEP_FROM", 0.0)
    net = {"format": "auto", "scale": 2, "tile": 64}
    whole = enlarger.enlarge(photo, output=tmp_path / "whole", **net).report
    stop = threading.Event()

    def seen(event: enlarger.Progress) -> None:
        if event.tiles_done >= 3:
            stop.set()

    with pytest.raises(enlarger.CancelledError):
        enlarger.enlarge(photo, output=tmp_path / "parts", progress=seen, cancel=stop, **net)
    assert (tmp_path / ".parts.auto.enlarger").is_dir()
    report = enlarger.enlarge(photo, output=tmp_path / "parts", **net).report
    assert report.tiles.done_before >= 3
    assert report.output.sha256 == whole.output.sha256
    assert not list(tmp_path.glob(".*"))
