"""The command line over many files: what is printed, asked of standard input, and left as exit status."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow
from tests.terminal import shown

import enlarger
from enlarger.interfaces import cli

FAST = ["--engine", "resample", "--scale", "2"]
MANIFEST = "enlarger-manifest.jsonl"


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for name in ("a.png", "b.jpg", "sub/c.png"):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Pillow.fromarray(rng.integers(0, 256, (8, 12, 3), np.uint8)).save(path)
    return Path("photos")


def run(*words: object) -> int:
    return cli.main([str(word) for word in words])


def tree(folder: Path) -> set[str]:
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()} - {MANIFEST}


class Stdin:
    def __init__(self, data: bytes) -> None:
        self.buffer = io.BytesIO(data)


def test_a_folder_to_a_folder_in_one_line(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(photos, "-o", "out", *FAST) == 0
    printed = capsys.readouterr()
    assert re.fullmatch(rf"3 done, 0 skipped, 0 failed  .* s  out/{MANIFEST}\n", printed.out)
    assert printed.err == ""
    assert tree(Path("out")) == {"a-2x.png", "b-2x.jpg", "sub/c-2x.png"}
    assert run(photos, "-o", "out", *FAST, "--quiet") == 0
    assert capsys.readouterr() == ("", "")
    assert run("enlarge", photos, "-o", "out", *FAST) == 0
    assert capsys.readouterr().out.startswith("0 done, 3 skipped, 0 failed")


def test_a_bad_file_is_a_line_and_status_8_and_the_rest_is_done(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (photos / "b0.png").write_text("hello")
    assert run(photos, "-o", "out", *FAST) == 8
    printed = capsys.readouterr()
    assert printed.out.startswith("3 done, 0 skipped, 1 failed")
    lines = printed.err.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("enlarger: photos/b0.png: ")
    assert lines[1] == f"enlarger: 1 of 4 files failed; see out/{MANIFEST}"
    assert enlarger.BatchError.exit_status == 8


def test_a_bug_in_one_file_is_a_line_with_its_class(
    photos: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*words: object, **more: object) -> None:
        raise RuntimeError("surprise")

    monkeypatch.setattr("enlarger.pipeline.decode", broken)
    assert run(photos / "a.png", photos / "b.jpg", "-o", "out", *FAST) == 8
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].endswith("photos/a.png: RuntimeError: surprise")
    assert lines[2].startswith("enlarger: 2 of 2 files failed")


def test_json_prints_the_rows(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (photos / "bad.png").write_text("hello")
    assert run(photos, "-o", "out", *FAST, "--json") == 8
    rows = json.loads(capsys.readouterr().out)
    assert [(Path(row["source"]).name, row["status"]) for row in rows] == [
        ("a.png", "done"),
        ("b.jpg", "done"),
        ("bad.png", "error"),
        ("c.png", "done"),
    ]
    recorded = [json.loads(line) for line in Path("out", MANIFEST).read_text().splitlines()]
    assert sorted(recorded, key=lambda row: row["source"]) == rows


def test_dry_run_tells_each_file_and_the_whole_and_writes_nothing(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (photos / "bad.png").write_text("hello")
    assert run(photos, "-o", "out", *FAST, "--dry-run") == 0
    out = capsys.readouterr().out
    assert "enlarge  photos/a.png -> out/a-2x.png: 24x16 png, about " in out
    assert "error    photos/bad.png: " in out
    assert "\n3 to do, 0 done already, 1 that would fail: about " in out
    assert not Path("out").exists()
    run(photos / "a.png", photos / "b.jpg", "-o", "out", *FAST)
    capsys.readouterr()
    assert run(photos, "-o", "out", *FAST, "--dry-run", "--json") == 0
    plans = {Path(entry["source"]).name: entry for entry in json.loads(capsys.readouterr().out)}
    assert {name: entry["status"] for name, entry in plans.items()} == {
        "a.png": "skipped",
        "b.jpg": "skipped",
        "bad.png": "error",
        "c.png": "planned",
    }
    assert enlarger.Plan.model_validate(plans["c.png"]["plan"]).output.path == "out/sub/c-2x.png"


def test_quoted_globs_includes_and_excludes(photos: Path) -> None:
    assert run("photos/*.png", "-o", "one", *FAST, "--quiet") == 0
    assert tree(Path("one")) == {"a-2x.png"}
    assert run("photos/**/*.png", "-o", "two", *FAST, "--quiet") == 0
    assert tree(Path("two")) == {"a-2x.png", "sub/c-2x.png"}
    assert run(photos, "-o", "three", *FAST, "--quiet", "--include", "*.png", "--include", "*.jpg", "--exclude", "sub/*") == 0
    assert tree(Path("three")) == {"a-2x.png", "b-2x.jpg"}
    assert run(photos / "a.png", *FAST, "--include", "*.png") == 2


def test_several_files_go_beside_their_sources(photos: Path) -> None:
    assert run(photos / "a.png", photos / "sub" / "c.png", *FAST) == 0
    assert {"a-2x.png", "sub/c-2x.png"} <= tree(photos)


def test_one_file_is_no_batch(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(photos / "a.png", *FAST) == 0
    assert capsys.readouterr().out.startswith("12x8 -> 24x16")
    assert not (photos / MANIFEST).exists()


@pytest.mark.parametrize(("end", "words"), [(b"\n", ["-"]), (b"\r\n", ["-"]), (b"\0", ["-", "-0"]), (b"\0", ["-", "--null"])])
def test_paths_on_standard_input(
    end: bytes, words: list[str], photos: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    odd = photos / "odd [1]*.png"
    odd.write_bytes((photos / "a.png").read_bytes())
    monkeypatch.setattr(sys, "stdin", Stdin(end.join([os.fsencode(odd), b"photos/b.jpg", b""])))
    assert run(*words, "-o", "out", *FAST) == 0
    assert tree(Path("out")) == {"odd [1]*-2x.png", "b-2x.jpg"}
    monkeypatch.setattr(sys, "stdin", Stdin(b""))
    assert run("-", "-o", "out2") == 4
    assert "there is no picture to enlarge" in capsys.readouterr().err


def test_a_list_of_jobs_and_what_is_wrong_in_it(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("jobs.jsonl").write_text('{"source": "photos/a.png", "scale": 3}\n{"source": "photos/b.jpg", "output": "x.webp"}\n')
    assert run("--jobs", "jobs.jsonl", "-o", "out", *FAST) == 0
    assert tree(Path("out")) == {"a-3x.png", "x.webp"}
    capsys.readouterr()
    Path("jobs.csv").write_text("source,sclae\nphotos/a.png,3\n")
    assert run("--jobs", "jobs.csv") == 2
    assert capsys.readouterr().err.startswith("enlarger: jobs.csv, line 2: unknown key 'sclae'; known keys are source, output, scale")


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        ([], 2, "enlarger: name a picture, a folder or --jobs FILE; try enlarger --help"),
        (["photos"], 4, "enlarger: photos: this is a folder; say where the results go: --output FOLDER"),
        (["empty", "-o", "out"], 4, "enlarger: empty: there is no picture to enlarge; check the path and the patterns"),
        (["no*.png", "-o", "out"], 4, "enlarger: no*.png: no picture matches this; check the pattern"),
        (["photos", "-o", "file"], 5, "enlarger: file: many results need a folder, and this is a file; name a folder"),
        (["photos", "-o", "out", "--engine", "none"], 7, "enlarger: none: no such engine; installed engines are ncnn, pixelart, resample"),
        (["photos", "-o", "out", "--jobs", "no.csv"], 4, "enlarger: no.csv: no such file; check the path"),
    ],
)
def test_what_cannot_begin_is_one_line_and_leaves_nothing(
    words: list[str], status: int, message: str, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("empty").mkdir()
    Path("file").touch()
    assert run(*words) == status
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", message + "\n")
    assert not Path("out").exists()


PROGRAM = """
import sys, time
from enlarger import staging
real = staging.enlarge_by_picture
def slow(*words, **more):
    time.sleep(0.2)
    return real(*words, **more)
staging.enlarge_by_picture = slow
from enlarger.interfaces.cli import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_interrupted_it_keeps_what_is_done_and_the_same_command_goes_on(number: int, status: int, photos: Path) -> None:
    for n in range(6):
        (photos / f"x{n}.png").write_bytes((photos / "a.png").read_bytes())
    words = [sys.executable, "-c", PROGRAM, "photos", "-o", "out", *FAST, "--json"]
    # Tests that run in the background ignore Ctrl-C, and their children would too.
    heeding = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=heeding) as process:
        record, deadline = Path("out", MANIFEST), time.monotonic() + 30
        while not (record.exists() and record.read_bytes().count(b"\n") >= 2):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(number)
        _, told = process.communicate(timeout=20)
    assert process.returncode == status
    assert told == f"enlarger: {cli.KEPT}\n"
    done = record.read_text().count('"status":"done"')
    assert 2 <= done < 9
    assert len(tree(Path("out"))) == done
    again = subprocess.run(words, capture_output=True, text=True, check=True)
    rows: list[dict[str, Any]] = json.loads(again.stdout)
    assert [row["status"] for row in rows].count("skipped") == done
    assert len(rows) == 9


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="needs a terminal to watch")
def test_two_bars_are_shown_to_a_terminal(photos: Path) -> None:
    seen = shown([sys.executable, "-c", PROGRAM, "photos", "-o", "out", *FAST])
    for part in (b"all files", b"/3", b"a.png", b"tile ", b" left"):
        assert part in seen, part
