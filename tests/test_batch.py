"""Many files: which are meant, what their results are called, what is recorded, and that nothing is done twice or lost."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow

import enlarger
from enlarger import manifest
from enlarger.job_lists import read_jobs
from enlarger.job_names import named
from enlarger.jobs import Collection, Filter, collect
from enlarger.manifest import NAME, BatchRow, Manifest, read_rows, recorded

FAST: dict[str, Any] = {"engine": "resample", "scale": 2}
OPTIONS = enlarger.Options(**FAST)


def picture(path: Path, seed: int = 0, side: int = 8) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(0, 256, (side, side + 4, 3), np.uint8)
    Pillow.fromarray(noise).save(path, {".pnm": "ppm", ".jpe": "jpeg"}.get(path.suffix.lower()))
    return path


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder with a tree, files that are no pictures, hidden ones, and a picture that is damaged."""
    root = tmp_path / "photos"
    for number, name in enumerate(("a.png", "b.JPG", "sub/c.png", "sub/deep/d.png", ".hidden/e.png", ".f.png", "sub/.g.png")):
        picture(root / name, number)
    (root / "notes.txt").write_text("hello")
    (root / "sub" / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\nnot much more")
    return root


def tree(folder: Path) -> set[str]:
    # os.walk passes over a folder that vanishes meanwhile, as the work folders of a running batch do.
    return {Path(root, name).relative_to(folder).as_posix() for root, _, names in os.walk(folder) for name in names}


def digests(folder: Path) -> dict[str, str]:
    return {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in tree(folder) if not name.endswith(".jsonl")}


def statuses(rows: list[BatchRow]) -> dict[str, str]:
    return {Path(row.source).name: row.status for row in rows}


def found(paths: list[Path], out: Path | None, **more: Any) -> set[str]:
    return {one.source.as_posix() for one in collect(paths, out, OPTIONS, Filter(**more)).found}


# --- the whole --------------------------------------------------------------------------------------------------------


def test_a_folder_keeps_its_tree_and_a_bad_file_is_a_row(photos: Path, tmp_path: Path) -> None:
    before = {p: p.read_bytes() for p in photos.rglob("*") if p.is_file()}
    out = tmp_path / "new" / "out"
    rows = enlarger.enlarge_many([photos], out, **FAST)
    assert statuses(rows) == {"a.png": "done", "b.JPG": "done", "c.png": "done", "d.png": "done", "bad.png": "error"}
    assert tree(out) == {NAME, "a-2x.png", "b-2x.JPG", "sub/c-2x.png", "sub/deep/d-2x.png"}
    assert {p: p.read_bytes() for p in photos.rglob("*") if p.is_file()} == before
    with Pillow.open(out / "sub" / "deep" / "d-2x.png") as result:
        assert result.size == (24, 16)
    alone = enlarger.enlarge(photos / "a.png", output=tmp_path / "alone.png", **FAST)
    assert (out / "a-2x.png").read_bytes() == (tmp_path / "alone.png").read_bytes()
    row = next(row for row in rows if row.output == "a-2x.png")
    assert row.source == str(photos / "a.png")
    assert (row.source_sha256, row.output_sha256) == (alone.report.source.sha256, alone.report.output.sha256)
    assert (row.source_size, row.output_size) == ((12, 8), (24, 16))
    assert row.output_bytes == (out / "a-2x.png").stat().st_size
    assert row.options == {"engine": "resample", "scale": 2.0}
    assert row.models == ("resample lanczos3",)
    assert row.seconds > 0
    assert row.peak_mb is None or row.peak_mb > 10
    bad = next(row for row in rows if row.status == "error")
    assert (bad.error, bad.output) == ("DamagedImageError", "sub/bad-2x.png")
    assert "bad.png" in (bad.message or "")


def test_the_manifest_holds_the_rows(photos: Path, tmp_path: Path) -> None:
    rows = enlarger.enlarge_many([photos], tmp_path / "out", **FAST)
    lines = (tmp_path / "out" / NAME).read_text("ascii").splitlines()
    by_source = sorted(rows, key=lambda r: r.source)
    assert sorted((json.loads(line) for line in lines), key=lambda r: r["source"]) == [json.loads(row.as_json()) for row in by_source]
    assert sorted(read_rows(tmp_path / "out" / NAME), key=lambda r: r.source) == by_source


def test_a_second_run_skips_what_is_done_and_makes_nothing_of_its_own(photos: Path) -> None:
    """Also where the results lie among the sources."""
    for out in (photos, photos / "sub" / "big"):
        first = enlarger.enlarge_many([photos], out, **FAST)
        written = digests(photos)
        again = enlarger.enlarge_many([photos], out, **FAST)
        assert {row.status for row in again} == {"skipped", "error"}
        assert len(again) == len(first)
        assert digests(photos) == written
        assert [
            r
            for r in again
            if r.status == "skipped" and r.output_sha256 != written[(out / (r.output or "")).relative_to(photos).as_posix()]
        ] == []
    third = enlarger.enlarge_many([photos], photos.parent / "elsewhere", **FAST)
    assert len(third) == len(first), "what another run left in the folder was taken for a source"


def test_what_changed_is_done_again_and_only_that(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    enlarger.enlarge_many([photos], out, **FAST)
    stat = (photos / "a.png").stat()
    data = (photos / "a.png").read_bytes()
    picture(photos / "a.png", 77)
    assert len((photos / "a.png").read_bytes()) == len(data), "the test wants a change that neither size nor time shows"
    os.utime(photos / "a.png", ns=(stat.st_atime_ns, stat.st_mtime_ns))
    rows = statuses(enlarger.enlarge_many([photos], out, **FAST))
    assert rows == {"a.png": "done", "b.JPG": "skipped", "c.png": "skipped", "d.png": "skipped", "bad.png": "error"}
    rows = statuses(enlarger.enlarge_many([photos], out, model="nearest", **FAST))
    assert set(rows.values()) == {"done", "error"}
    (out / "a-2x.png").unlink()
    rows = statuses(enlarger.enlarge_many([photos], out, model="nearest", **FAST))
    assert [name for name, status in rows.items() if status == "done"] == ["a.png"]
    rows = statuses(enlarger.enlarge_many([photos], out, model="nearest", threads=1, **FAST))
    assert "done" not in rows.values(), "the number of threads changes nothing of the result"


def test_another_version_or_other_weights_are_done_again(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    enlarger.enlarge_many([photos / "a.png"], tmp_path / "out", **FAST)
    assert enlarger.enlarge_many([photos / "a.png"], tmp_path / "out", **FAST)[0].status == "skipped"
    monkeypatch.setattr("enlarger.batch_rows.__version__", "9.9")
    assert enlarger.enlarge_many([photos / "a.png"], tmp_path / "out", **FAST)[0].status == "done"
    monkeypatch.undo()
    plan = enlarger.Enlarger(OPTIONS).plan(photos / "a.png")
    other = plan.model_copy(update={"stages": tuple(s.model_copy(update={"weights_sha256": ("0",)}) for s in plan.stages)})
    from enlarger.batch_rows import digest

    assert digest(OPTIONS, plan) != digest(OPTIONS, other)


def test_a_result_that_somebody_changed_is_theirs(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    source = photos / "a.png"
    enlarger.enlarge_many([source], out, **FAST)
    made = (out / "a-2x.png").read_bytes()
    (out / "a-2x.png").write_bytes(made[:-1] + b"!")
    for change in ({}, {"model": "nearest"}):
        row = enlarger.enlarge_many([source], out, **{**FAST, **change})[0]
        assert (row.status, row.error) == ("error", "OutputExistsError")
        assert (out / "a-2x.png").read_bytes() == made[:-1] + b"!"
    assert enlarger.enlarge_many([source], out, overwrite=True, **FAST)[0].status == "done"
    assert (out / "a-2x.png").read_bytes() == made


def test_the_result_of_another_source_is_never_replaced(tmp_path: Path) -> None:
    one, two = picture(tmp_path / "one" / "a.png", 1), picture(tmp_path / "two" / "a.png", 2)
    out = tmp_path / "out"
    enlarger.enlarge_many([one.parent], out, **FAST)
    made = (out / "a-2x.png").read_bytes()
    row = enlarger.enlarge_many([two.parent], out, **FAST)[0]
    assert (row.status, row.error) == ("error", "OutputExistsError")
    assert (out / "a-2x.png").read_bytes() == made
    assert enlarger.enlarge_many([one.parent], out, **FAST)[0].status == "skipped", "an error row must not hide the row of the result"


def test_fresh_does_everything_again(photos: Path, tmp_path: Path) -> None:
    enlarger.enlarge_many([photos], tmp_path / "out", **FAST)
    assert "skipped" not in statuses(enlarger.Batch([photos], tmp_path / "out", fresh=True, **FAST).run()).values()


def test_without_an_output_results_and_records_lie_beside_the_sources(photos: Path) -> None:
    paths = [photos / "a.png", photos / "sub" / "c.png"]
    batch = enlarger.Batch(paths, **FAST)
    assert batch.manifests() == [photos / NAME, photos / "sub" / NAME]
    assert statuses(batch.run()) == {"a.png": "done", "c.png": "done"}
    assert (photos / "a-2x.png").exists()
    assert (photos / "sub" / "c-2x.png").exists()
    again = [*paths, photos / "a-2x.png", photos / "sub" / "c-2x.png"]  # what a shell makes of *.png the second time
    batch = enlarger.Batch(again, **FAST)
    assert batch.notes == ("2 results of earlier runs left out",)
    assert statuses(batch.run()) == {"a.png": "skipped", "c.png": "skipped"}
    with pytest.raises(enlarger.InputError, match="this is a folder"):
        enlarger.Batch([photos, *paths], **FAST)


def test_one_net_serves_all_files(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from enlarger.engines import find

    engine, opened = find("resample"), []
    real = type(engine).open
    monkeypatch.setattr(type(engine), "open", lambda self, *words: opened.append(1) or real(self, *words))
    assert len(enlarger.enlarge_many([photos], tmp_path / "out", **FAST)) == 5
    assert len(opened) == 1


# --- what goes wrong --------------------------------------------------------------------------------------------------


def test_what_is_wrong_with_every_file_is_said_before_the_first(photos: Path, tmp_path: Path) -> None:
    for change, error in (
        ({"engine": "none"}, enlarger.EngineMissingError),
        ({"model": "none", "engine": "resample"}, enlarger.EngineMissingError),
        ({"engine": "resample", "settings": {"x": "1"}}, enlarger.UsageError),
    ):
        with pytest.raises(error):
            enlarger.enlarge_many([photos], tmp_path / "out", **change)
        assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("where", ["decode", "enlarge_by_picture", "encode.save"])
@pytest.mark.parametrize(
    "error", [enlarger.EngineError("broken"), enlarger.OutOfMemoryError("no room"), RuntimeError("a bug"), MemoryError()]
)
def test_whatever_one_file_raises_is_its_row(
    where: str, error: Exception, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from enlarger import pipeline, result, staging

    home, name = {"encode.save": (result.encode, "save"), "enlarge_by_picture": (staging, where)}.get(where, (pipeline, where))
    real: Callable[..., Any] = getattr(home, name)
    calls = []

    def broken(*words: Any, **more: Any) -> Any:
        calls.append(1)
        if len(calls) == 2:
            raise error
        return real(*words, **more)

    monkeypatch.setattr(home, name, broken)
    (photos / "sub" / "bad.png").unlink()
    rows = statuses(enlarger.enlarge_many([photos], tmp_path / "out", **FAST))
    assert list(rows.values()).count("done") == 3
    monkeypatch.undo()
    row = next(row for row in read_rows(tmp_path / "out" / NAME) if row.status == "error")
    assert row.error == type(error).__name__
    assert row.message
    rows = statuses(enlarger.enlarge_many([photos], tmp_path / "out", **FAST))
    assert sorted(rows.values()) == ["done", "skipped", "skipped", "skipped"]
    assert [p for p in (tmp_path / "out").rglob(".*") if p.exists()] == []


def test_a_full_disk_stops_the_run(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from enlarger import result

    (photos / "sub" / "bad.png").unlink()
    real, calls = result.encode.save, []

    def full(*words: Any, **more: Any) -> Any:
        calls.append(1)
        if len(calls) >= 2:
            raise enlarger.DiskFullError("the disk is full")
        return real(*words, **more)

    monkeypatch.setattr(result.encode, "save", full)
    with pytest.raises(enlarger.DiskFullError):
        enlarger.enlarge_many([photos], tmp_path / "out", **FAST)
    rows = read_rows(tmp_path / "out" / NAME)
    assert [row.status for row in rows] == ["done", "error"]
    assert len(calls) <= 3
    monkeypatch.undo()
    rows = enlarger.enlarge_many([photos], tmp_path / "out", **FAST)
    assert sorted(row.status for row in rows) == ["done", "done", "done", "skipped"]


def test_a_file_that_vanishes_or_changes_while_it_is_read_is_a_row(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from enlarger import pipeline

    real = pipeline.decode
    batch = enlarger.Batch([photos], tmp_path / "out", **FAST)
    (photos / "a.png").unlink()

    def growing(source: Path, **more: Any) -> Any:
        image = real(source, **more)
        if source.name == "c.png":
            with source.open("ab") as file:
                file.write(b"more")
        return image

    monkeypatch.setattr(pipeline, "decode", growing)
    rows = {Path(row.source).name: row for row in batch.run()}
    assert rows["a.png"].error == "SourceMissingError"
    assert rows["c.png"].error == "InputError"
    assert "changed while it was read" in (rows["c.png"].message or "")
    assert rows["d.png"].status == rows["b.JPG"].status == "done"
    assert not (tmp_path / "out" / "sub" / "c-2x.png").exists()


def test_odd_things_named_like_pictures_are_rows_and_folders_of_that_name_are_walked(photos: Path, tmp_path: Path) -> None:
    os.mkfifo(photos / "pipe.png")
    (photos / "broken.png").symlink_to("nowhere")
    (photos / "self.png").symlink_to("self.png")
    picture(photos / "folder.png" / "in.png")
    rows = {Path(row.source).name: row.error for row in enlarger.enlarge_many([photos], tmp_path / "out", **FAST)}
    assert rows["pipe.png"] == rows["self.png"] == "SourceUnreadableError"
    assert rows["broken.png"] == "SourceMissingError"
    assert rows["in.png"] is None


def test_a_folder_that_cannot_be_read_is_a_row(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.scandir

    def refused(path: Any) -> Any:
        if not isinstance(path, int) and Path(path).name == "deep":
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", refused)
    rows = {Path(row.source).name: row for row in enlarger.enlarge_many([photos], tmp_path / "out", **FAST)}
    assert rows["deep"].error == "SourceUnreadableError"
    assert rows["c.png"].status == "done"


def test_cancelling_keeps_what_is_done(photos: Path, tmp_path: Path) -> None:
    event = threading.Event()

    def watch(progress: enlarger.BatchProgress) -> None:
        if progress.done == 1:
            event.set()

    with pytest.raises(enlarger.CancelledError):
        enlarger.enlarge_many([photos], tmp_path / "out", progress=watch, cancel=event, **FAST)
    done = [row.status for row in read_rows(tmp_path / "out" / NAME)].count("done")
    assert 1 <= done < 4
    rows = enlarger.enlarge_many([photos], tmp_path / "out", **FAST)
    assert [row.status for row in rows].count("skipped") == done


def test_two_runs_at_once_are_refused(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with Manifest(tmp_path / "out"), pytest.raises(enlarger.OutputError, match="another run is at work"):
        enlarger.enlarge_many([photos], tmp_path / "out", **FAST)
    assert enlarger.enlarge_many([photos], tmp_path / "out", **FAST)


# --- memory and progress ----------------------------------------------------------------------------------------------


def test_at_most_one_picture_is_decoded_ahead_and_one_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from enlarger import pipeline, result, staging

    for number in range(12):
        picture(tmp_path / "in" / f"{number:02}.png", number)
    held: list[int] = []
    count = {"decoded": 0, "begun": 0, "finished": 0}
    decode, strips, save = pipeline.decode, staging.enlarge_by_picture, result.encode.save

    def counted(name: str, real: Callable[..., Any], pause: float) -> Callable[..., Any]:
        def call(*words: Any, **more: Any) -> Any:
            if name == "begun":
                count["begun"] += 1
                held.append(count["decoded"] - count["finished"])
            time.sleep(pause)
            answer = real(*words, **more)
            if name != "begun":
                count[name] += 1
            return answer

        return call

    monkeypatch.setattr(pipeline, "decode", counted("decoded", decode, 0))
    monkeypatch.setattr(staging, "enlarge_by_picture", counted("begun", strips, 0.005))
    monkeypatch.setattr(result.encode, "save", counted("finished", save, 0.02))
    enlarger.enlarge_many([tmp_path / "in"], tmp_path / "out", **FAST)
    assert count["finished"] == 12
    assert max(held) <= 3, "one ahead, one at the engine, one being written"
    assert max(held) > 1, "nothing overlapped"


def test_progress_counts_files_and_guesses_the_rest(photos: Path, tmp_path: Path) -> None:
    seen: list[enlarger.BatchProgress] = []
    threads = set()

    def watch(event: enlarger.BatchProgress) -> None:
        seen.append(event)
        threads.add(threading.get_ident())

    enlarger.enlarge_many([photos], tmp_path / "out", progress=watch, **FAST)
    assert threads == {threading.get_ident()}
    assert {event.files for event in seen} == {5}
    behind = [event.done + event.skipped + event.failed for event in seen]
    assert behind == sorted(behind)
    assert behind[-1] == 5
    assert (seen[-1].done, seen[-1].failed) == (4, 1)
    assert seen[-1].seconds_left == pytest.approx(0, abs=0.05)
    assert any(event.file is not None and event.current.endswith("a.png") for event in seen)
    assert all(event.seconds_left >= 0 for event in seen if event.seconds_left is not None)
    assert any(event.seconds_left for event in seen)


# --- killed -----------------------------------------------------------------------------------------------------------

PROGRAM = """
import sys, time
from enlarger import result
real = result.encode.save
def slow(*words, **more):
    time.sleep(0.05)
    return real(*words, **more)
result.encode.save = slow
from enlarger.interfaces.cli import main
sys.exit(main(sys.argv[1:]))
"""


def command(source: Path, out: Path) -> list[str]:
    return [sys.executable, "-c", PROGRAM, str(source), "-o", str(out), "--engine", "resample", "--scale", "2", "--quiet"]


def test_killed_at_random_moments_it_goes_on_and_does_nothing_twice(tmp_path: Path) -> None:
    for number in range(12):
        picture(tmp_path / "in" / f"{number:02}.png", number)
    enlarger.enlarge_many([tmp_path / "in"], tmp_path / "expected", **FAST)
    chance, out, met = random.Random(3), tmp_path / "out", 0
    written: dict[str, int] = {}
    for _ in range(40):
        with subprocess.Popen(command(tmp_path / "in", out), stderr=subprocess.PIPE) as process:
            deadline = time.monotonic() + 20
            start = len(tree(out)) if out.exists() else 0
            while process.poll() is None and time.monotonic() < deadline:
                if out.exists() and len(tree(out)) > start + 1:
                    time.sleep(chance.uniform(0, 0.1))
                    process.kill()
                time.sleep(0.002)
            process.wait()
            told = process.stderr.read() if process.stderr else b""
        assert process.returncode in (0, -9), told
        times = {p.name: p.stat().st_ino for p in out.glob("[!.]*.png")}
        assert {name: times[name] for name in written} == written, "a finished file was done again"
        written = times
        if process.returncode == 0:
            break
        met += 1
    assert process.returncode == 0
    assert met >= 2, "the kills never met a run at work: nothing was tested"
    assert digests(out) == digests(tmp_path / "expected")
    rows = read_rows(out / NAME)
    assert {row.status for row in rows} == {"done", "skipped"}
    assert sorted(row.output or "" for row in rows if row.status == "done") == sorted(digests(out)), "each is recorded as done once"
    assert [p.name for p in out.iterdir() if p.name.startswith(".")] == []


def test_a_result_whose_row_was_lost_is_recognised(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed between giving a file its name and recording it."""
    out = tmp_path / "out"
    real = Manifest.add

    def killed(self: Manifest, row: BatchRow) -> None:
        if row.output == "b-2x.JPG" and row.status == "done":
            raise KeyboardInterrupt
        real(self, row)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Manifest, "add", killed)
        with pytest.raises(KeyboardInterrupt):
            enlarger.enlarge_many([photos], out, **FAST)
    assert (out / "b-2x.JPG").exists()
    assert out / "b-2x.JPG" not in recorded(out)
    assert statuses(enlarger.enlarge_many([photos], out, **FAST))["b.JPG"] == "skipped"
    assert [row.status for row in read_rows(out / NAME) if row.output == "b-2x.JPG"] == ["done", "skipped"]


# --- the manifest -----------------------------------------------------------------------------------------------------


def row(name: str, status: Any = "done", content: bytes = b"x") -> BatchRow:
    return BatchRow(
        source=f"/in/{name}", status=status, output=name, output_bytes=len(content), output_sha256=hashlib.sha256(content).hexdigest()
    )


def test_of_a_torn_manifest_the_whole_lines_count_at_every_byte(tmp_path: Path) -> None:
    rows = [row(name) for name in ("a.png", "ü\udcff\n.png", "c.png")]
    with Manifest(tmp_path) as record:
        for one in rows:
            record.add(one)
    whole = (tmp_path / NAME).read_bytes()
    ends = [i + 1 for i, byte in enumerate(whole) if byte == 10]
    assert len(ends) == 3
    for cut in range(len(whole) + 1):
        (tmp_path / NAME).write_bytes(whole[:cut])
        count = sum(end <= cut for end in ends)
        assert read_rows(tmp_path / NAME) == rows[:count]
        if cut % 7 == 0 or cut in ends or cut - 1 in ends:
            with Manifest(tmp_path) as record:
                record.add(row("next.png"))
            assert read_rows(tmp_path / NAME) == [*rows[:count], row("next.png")]


def test_lines_that_are_no_rows_are_passed_over(tmp_path: Path) -> None:
    good = row("a.png").as_json()
    bad = [
        "",
        "null",
        "[]",
        "{}",
        '{"source": 1, "status": "done"}',
        '{"source": "x", "status": "maybe"}',
        "{" * 5000,
        "\xff\x00",
        '{"source":"x","status":"done","output":3}',
    ]
    (tmp_path / NAME).write_bytes("\n".join([*bad, good, good.replace('"error"', '"unknown_key"'), ""]).encode("latin-1"))
    assert read_rows(tmp_path / NAME) == [row("a.png")] * 2


def test_a_row_that_failed_later_does_not_hide_the_one_that_vouches(tmp_path: Path) -> None:
    with Manifest(tmp_path) as record:
        record.add(row("a.png"))
        record.add(BatchRow(source="/in/a.png", status="error", output="a.png"))
    assert set(recorded(tmp_path)) == {tmp_path / "a.png"}


def test_a_manifest_that_cannot_be_written_is_an_output_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / NAME).mkdir()
    with pytest.raises(enlarger.OutputError):
        Manifest(tmp_path)
    (tmp_path / NAME).rmdir()
    with Manifest(tmp_path) as record:
        real = os.write

        def full(handle: int, data: Any) -> int:
            """Takes a part of the line before the disk is full."""
            if len(data) <= 20:
                raise OSError(28, "No space left on device")
            return real(handle, data[:20])

        monkeypatch.setattr(os, "write", full)
        with pytest.raises(enlarger.DiskFullError):
            record.add(row("a.png"))
        monkeypatch.setattr(os, "write", real)
        record.add(row("b.png"))
    assert read_rows(tmp_path / NAME) == [row("b.png")]


# --- what is meant ----------------------------------------------------------------------------------------------------


def test_globs_includes_and_excludes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a.jpg", "b.png", "raw/c.jpg", "raw/x/d.JPG", "Raw2/e.jpg", "f.txt", "x/raw/g.jpg"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    monkeypatch.chdir(tmp_path)
    out = tmp_path / "out"
    dot = Path()
    assert found([dot], out) == {"a.jpg", "b.png", "raw/c.jpg", "raw/x/d.JPG", "Raw2/e.jpg", "x/raw/g.jpg"}
    assert found([dot], out, include=("*.jpg",)) == {"a.jpg", "raw/c.jpg", "raw/x/d.JPG", "Raw2/e.jpg", "x/raw/g.jpg"}
    assert found([dot], out, exclude=("raw/*",)) == {"a.jpg", "b.png", "Raw2/e.jpg", "x/raw/g.jpg"}
    assert found([dot], out, exclude=("raw",)) == {"a.jpg", "b.png", "Raw2/e.jpg"}
    assert found([dot], out, include=("raw/*", "b.*"), exclude=("*/x/*",)) == {"b.png", "raw/c.jpg"}
    assert found([Path("*.jpg")], out) == {"a.jpg"}
    assert found([Path("**/*.jpg")], out) == {"a.jpg", "raw/c.jpg", "Raw2/e.jpg", "x/raw/g.jpg"}
    assert found([Path("*/*.jpg")], out) == {"raw/c.jpg", "Raw2/e.jpg"}
    assert found([Path("[rR]aw*")], out) == {"raw/c.jpg", "raw/x/d.JPG", "Raw2/e.jpg"}
    assert found([Path("raw/**")], out) == {"raw/c.jpg", "raw/x/d.JPG"}
    assert found([tmp_path / "x" / "*" / "?.jpg"], out) == {str(tmp_path / "x/raw/g.jpg")}
    assert found([Path("f.txt")], out) == {"f.txt"}, "a file that is named is taken whatever its suffix"
    assert found([Path("*.txt")], out) == set()
    assert found([Path("a.jpg"), dot / "." / "a.jpg", Path("*.jpg")], out) == {"a.jpg"}, "each once"
    assert len(collect([Path("nothing*")], out, OPTIONS, Filter()).failed) == 1
    (tmp_path / "we[i]rd*.png").write_bytes(b"x")
    assert found([Path("we[i]rd*.png")], out) == {"we[i]rd*.png"}, "what is there is no pattern"


def test_links_are_not_followed_out_of_the_folder_and_loops_end(photos: Path, tmp_path: Path) -> None:
    picture(tmp_path / "other" / "far.png")
    (photos / "loop").symlink_to(photos)
    (photos / "sub" / "up").symlink_to("..")
    (photos / "out").symlink_to(tmp_path / "other")
    (photos / "one.png").symlink_to(tmp_path / "other" / "far.png")
    seen = collect([photos], tmp_path / "o", OPTIONS, Filter())
    assert {p.source.name for p in seen.found} == {"a.png", "b.JPG", "c.png", "d.png", "bad.png", "one.png"}
    assert seen.notes == ["3 links to folders not followed"]
    (tmp_path / "link").symlink_to(photos)
    assert len(collect([tmp_path / "link"], tmp_path / "o", OPTIONS, Filter()).found) == 6, "a link that is named is followed"


def test_work_folders_parts_and_the_output_folder_are_no_sources(photos: Path) -> None:
    picture(photos / ".x.png.enlarger" / "canvas.png")
    picture(photos / ".a-2x.png.0a1b2c3d.part.png")
    picture(photos / "big" / "old.png")
    assert "old.png" in {p.source.name for p in collect([photos], photos.parent / "o", OPTIONS, Filter()).found}
    assert {p.source.name for p in collect([photos], photos / "big", OPTIONS, Filter()).found} == {
        "a.png",
        "b.JPG",
        "c.png",
        "d.png",
        "bad.png",
    }


def test_nothing_to_do_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(enlarger.InputError, match="there is no picture to enlarge"):
        enlarger.Batch([tmp_path / "empty"], tmp_path / "out")
    with pytest.raises(enlarger.SourceMissingError, match="no picture matches"):
        enlarger.Batch([tmp_path / "*.png"], tmp_path / "out")
    assert not (tmp_path / "out").exists()


# --- names ------------------------------------------------------------------------------------------------------------


def names_of(sources: list[str], folder: Path, **options: Any) -> list[str]:
    batch = collect([folder / name for name in sources], folder / "out", enlarger.Options(**{**FAST, **options}), Filter(), literal=True)
    return [job.output.relative_to(folder / "out").as_posix() for job in named(batch.found, folder / "out", lambda one: "jpeg")]


def test_names_keep_the_suffix_where_the_format_is_the_same(tmp_path: Path) -> None:
    assert names_of(["a.JPG", "b.jpe", "c.gif", "d.pnm", "e", "f.tif"], tmp_path) == [
        "a-2x.JPG",
        "b-2x.jpe",
        "c-2x.png",
        "d-2x.png",
        "e-2x.jpg",
        "f-2x.tif",
    ]
    assert names_of(["a.JPG", "b.png"], tmp_path, format="jpeg", scale=2.5) == ["a-2.5x.JPG", "b-2.5x.jpg"]


def test_names_never_collide(tmp_path: Path) -> None:
    assert names_of(["a.jpg", "a.png", "b.png"], tmp_path, format="webp") == ["a.jpg-2x.webp", "a.png-2x.webp", "b-2x.webp"]
    assert names_of(["a.jpg", "a.png"], tmp_path) == ["a-2x.jpg", "a-2x.png"]
    upper = names_of(["A.png", "a.png"], tmp_path)
    assert len({name.lower() for name in upper}) == 2
    accents = names_of(["é.png", "e\u0301.png"], tmp_path)
    assert accents[0] != accents[1]
    assert not any(name in ("é-2x.png", "e\u0301-2x.png") for name in accents)
    tricky = names_of(["a.jpg", "a.png", "a.jpg.png"], tmp_path, format="webp")
    assert len(set(tricky)) == 3
    shared = names_of(["x/a.png", "y/a.png"], tmp_path)
    assert len(set(shared)) == 2
    assert shared == names_of(["y/a.png", "x/a.png"], tmp_path)[::-1], "names do not depend on the order"


def test_a_result_is_never_called_like_a_source(tmp_path: Path) -> None:
    for name in ("a.png", "a-2x.png"):
        picture(tmp_path / name)
    before = {p: p.read_bytes() for p in tmp_path.glob("*.png")}
    rows = enlarger.enlarge_many([tmp_path], tmp_path, overwrite=True, **FAST)
    assert sorted(row.output or "" for row in rows) == ["a-2x-2x.png", "a.png-2x.png"]
    assert {p: p.read_bytes() for p in before} == before


# --- lists with options -----------------------------------------------------------------------------------------------


def jobs(tmp_path: Path, name: str, text: str) -> Collection:
    (tmp_path / name).write_text(text, "utf-8")
    return read_jobs(tmp_path / name, None, OPTIONS)


def test_a_csv_and_a_jsonl_file_say_the_same(tmp_path: Path) -> None:
    csv = '\ufeffsource, scale,output,allow_truncated,memory,settings,format\na.png,3,,true,1GB,a=1;b=2,\n\n"b,c.png",,out.jpg,,,,jpg\n'
    lines = [
        {"source": "a.png", "scale": 3, "allow_truncated": True, "memory": "1GB", "settings": {"a": "1", "b": "2"}},
        {"source": "b,c.png", "output": "out.jpg", "format": "jpg"},
    ]
    one = jobs(tmp_path, "j.csv", csv).found
    two = jobs(tmp_path, "j.jsonl", "\n".join(json.dumps(line) for line in lines)).found
    assert [(f.source, f.output, f.options) for f in one] == [(f.source, f.output, f.options) for f in two]
    assert one[0].options == enlarger.Options(engine="resample", scale=3, allow_truncated=True, memory=10**9, settings={"a": "1", "b": "2"})
    assert one[1].output == tmp_path / "out.jpg"


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("j.csv", "source,colour\na.png,red\n", "j.csv, line 2: unknown key 'colour'"),
        ("j.csv", "source,scale\na.png,2\nb.png,99\n", "j.csv, line 3: --scale: scale must be"),
        ("j.csv", "source\na.png,2\n", "j.csv, line 2: more cells"),
        ("j.csv", "scale\n2\n", "j.csv, line 1: the first line must name"),
        ("j.csv", 'source\n"a.png\n', "this is no CSV"),
        ("j.csv", "source,scale\n,2\n", "j.csv, line 2: there is no source"),
        ("j.jsonl", '{"source": "a.png"}\n{"source": 3}\n', "j.jsonl, line 2: source must be text"),
        ("j.jsonl", '{"source": "a.png"}\n\n{"source": "b.png", "x": 1}\n', "j.jsonl, line 3: unknown key 'x'"),
        ("j.jsonl", "[1]\n", "j.jsonl, line 1: this is no JSON object"),
        ("j.jsonl", "{\n", "j.jsonl, line 1: this is no JSON"),
        ("j.txt", "a.png\n", "a .csv or .jsonl file"),
    ],
)
def test_what_a_list_gets_wrong_is_told_with_its_line(name: str, text: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(enlarger.UsageError) as caught:
        jobs(tmp_path, name, text)
    assert told in str(caught.value)


def test_results_that_were_named_alike_are_refused_with_both_lines(tmp_path: Path) -> None:
    both = jobs(tmp_path, "j.csv", "source,output\na.png,x.png\nb.png,X.png\n")
    with pytest.raises(enlarger.UsageError, match=r"line 2 and .*line 3"):
        named(both.found, tmp_path, lambda one: "png")
    itself = jobs(tmp_path, "j.csv", "source,output\na.png,x.png\nb.png,a.png\n")
    with pytest.raises(enlarger.UsageError, match="is itself a source"):
        named(itself.found, tmp_path, lambda one: "png")


def test_a_list_runs_with_its_options(photos: Path) -> None:
    text = "source,scale,output,model\na.png,2,big/x.webp,\na.png,3,,\nsub/c.png,2,,nearest\nsub/c.png,2,,lanczos3\nmissing.png,,,\n"
    (photos / "jobs.csv").write_text(text)
    rows = enlarger.Batch(listed=photos / "jobs.csv", engine="resample").run()
    assert [row.status for row in rows].count("done") == 4
    assert statuses(rows)["missing.png"] == "error"
    with Pillow.open(photos / "big" / "x.webp") as result:
        assert result.size == (24, 16)
    with Pillow.open(photos / "a-3x.png") as result:
        assert result.size == (36, 24)
    twins = [row for row in rows if row.source.endswith("c.png")]
    assert twins[0].output != twins[1].output
    assert twins[0].output_sha256 != twins[1].output_sha256
    again = enlarger.Batch(listed=photos / "jobs.csv", engine="resample").run()
    assert [row.status for row in again].count("skipped") == 4


def test_the_plan_says_what_run_would_do_and_writes_nothing(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    batch = enlarger.Batch([photos], out, **FAST)
    plans = {job.source.name: plan for job, plan in batch.plan()}
    assert not out.exists()
    assert isinstance(plans["a.png"], enlarger.Plan)
    assert plans["a.png"].output.path == str(out / "a-2x.png")
    assert plans["b.JPG"].output.format == "jpeg"
    assert isinstance(plans["bad.png"], enlarger.DamagedImageError)
    batch.run()
    assert [plan for job, plan in enlarger.Batch([photos], out, **FAST).plan() if job.source.name != "bad.png"] == [None] * 4
    (out / "a-2x.png").write_bytes(b"mine")
    plans = {job.source.name: plan for job, plan in enlarger.Batch([photos], out, **FAST).plan()}
    assert isinstance(plans["a.png"], enlarger.OutputError)


def test_the_constant_for_small_jobs_is_a_rule_about_time_and_memory() -> None:
    from enlarger import pipeline

    small = enlarger.Enlarger(**FAST).plan(np.zeros((64, 64, 3), np.uint8))
    large = enlarger.Enlarger(**FAST).plan(np.zeros((2500, 2500, 3), np.uint8))
    slow = enlarger.Enlarger(model="realesrgan-x4plus", device="cpu").plan(np.zeros((250, 250, 3), np.uint8))
    assert [pipeline.worth_keeping(plan) for plan in (small, large, slow)] == [False, True, True]
    assert manifest.SYNC_SECONDS <= 2


# --- every call may fail ----------------------------------------------------------------------------------------------

CALLS = [
    ("write", errno.EIO), ("write", errno.ENOSPC), ("fsync", errno.EIO), ("open", errno.EMFILE), ("mkdir", errno.EACCES),
    ("ftruncate", errno.EIO), ("link", errno.EIO),
]  # fmt: skip


@pytest.mark.parametrize(("name", "code"), CALLS, ids=[f"{name}-{errno.errorcode[code]}" for name, code in CALLS])
def test_every_call_may_fail_and_the_same_again_mends_it(name: str, code: int, tmp_path: Path) -> None:
    """Small jobs, whose tiles are not kept: either a typed error or a row, never a wrong or half a file, nothing left behind."""
    for number in range(2):
        picture(tmp_path / "in" / f"{number}.png", number)
    enlarger.enlarge_many([tmp_path / "in"], tmp_path / "expected", **FAST)
    expected = digests(tmp_path / "expected")
    real: Callable[..., Any] = getattr(os, name)
    for n in range(1, 100):
        out, calls = tmp_path / f"out-{n}", [0]

        def call(*words: Any, calls: list[int] = calls, n: int = n, **more: Any) -> Any:
            calls[0] += 1
            if calls[0] == n:
                raise OSError(code, os.strerror(code))
            return real(*words, **more)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, name, call)
            try:
                rows = enlarger.enlarge_many([tmp_path / "in"], out, **FAST)
            except enlarger.EnlargerError:
                pass  # typed; any other escapes and fails the test
            else:
                assert {row.status for row in rows} <= {"done", "error"}
                assert all(row.message for row in rows if row.status == "error")
        made = {key: value for key, value in digests(out).items() if not key.startswith(".")} if out.exists() else {}
        assert made.items() <= expected.items(), f"{name} {n}"
        if calls[0] < n:
            break
        rows = enlarger.enlarge_many([tmp_path / "in"], out, **FAST)
        assert [row.message for row in rows if row.status == "error"] == [], f"after {name} {n}"
        assert digests(out) == expected, f"after {name} {n}"
    else:
        pytest.fail("the sweep did not come to its end")
    assert n > 1, f"os.{name} was never called, so nothing was tested"
