"""The command line as people and scripts meet it: output, one-line errors, exit statuses."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow
from tests.pictures import pixels
from tests.terminal import shown

import enlarger
from enlarger.interfaces import cli

FAST = ["--engine", "resample"]


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    path = tmp_path / "photo.png"
    Pillow.fromarray(rng.integers(0, 256, (12, 16, 3), np.uint8)).save(path)
    return path


def run(*words: object) -> int:
    return cli.main([str(word) for word in words])


def size(path: Path) -> tuple[int, int]:
    with Pillow.open(path) as picture:
        return picture.size


@pytest.mark.parametrize("command", [[], ["enlarge"]])
def test_the_main_job_writes_beside_the_source_and_says_so_in_one_line(
    command: list[str], photo: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*command, photo, "--model", "enlarger-photo-x4", "--device", "cpu") == 0
    assert size(photo.with_name("photo-4x.png")) == (64, 48)
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    for part in ("16x12 -> 64x48", "ncnn", "enlarger-photo-x4 (cpu)", " s  ", "photo-4x.png"):
        assert part in out


def test_auto_takes_our_own_net(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "large.png"
    Pillow.new("RGB", (2000, 1500)).save(path)
    assert run(path, "--dry-run", "--device", "cpu") == 0
    out = capsys.readouterr().out
    assert "enlarger-photo-x4 on cpu" in out
    assert "or      --model enlarger-restore-x4: about" in out


@pytest.mark.parametrize("scale", ["1", "2.5", "3", "16"])
def test_any_scale(scale: str, photo: Path, tmp_path: Path) -> None:
    assert run(photo, *FAST, "--scale", scale, "--quiet") == 0
    expected = (int(16 * float(scale) + 0.5), int(12 * float(scale) + 0.5))
    assert size(tmp_path / f"photo-{float(scale):g}x.png") == expected


def test_output_may_be_a_file_or_a_folder(photo: Path, tmp_path: Path) -> None:
    assert run(photo, *FAST, "-o", tmp_path / "big.webp") == 0
    assert size(tmp_path / "big.webp") == (64, 48)
    (tmp_path / "out").mkdir()
    assert run(photo, *FAST, "-o", tmp_path / "out", "--format", "jpeg", "--quality", 80) == 0
    assert size(tmp_path / "out" / "photo-4x.jpg") == (64, 48)


def test_json_prints_the_report_and_nothing_else(photo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(photo, *FAST, "--json") == 0
    printed = capsys.readouterr()
    report = enlarger.Report.model_validate_json(printed.out)
    assert json.loads(printed.out)["schema"] == "enlarger.report/1"
    assert (report.output.width, report.output.height) == (64, 48)
    assert report.output.bytes == photo.with_name("photo-4x.png").stat().st_size
    assert report.fidelity is not None
    assert set(report.fidelity.measures) >= {"consistency", "colour"}
    assert all(line.startswith("enlarger: ") for line in printed.err.splitlines())


def test_the_command_of_the_report_gives_the_same_bytes(photo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import shlex

    assert run(photo, "--json", "--scale", "2.5", "--device", "cpu", "--model", "enlarger-photo-x4") == 0
    first = photo.with_name("photo-2.5x.png").read_bytes()
    report = json.loads(capsys.readouterr().out)
    words = shlex.split(report["reproduce"]["command"])
    assert words[0] == "enlarger"
    photo.with_name("photo-2.5x.png").unlink()
    assert run(*words[1:]) == 0
    assert photo.with_name("photo-2.5x.png").read_bytes() == first


def test_dry_run_writes_nothing_and_tells_time_memory_and_disk(photo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = sorted(photo.parent.iterdir())
    assert run(photo, "--dry-run") == 0
    out = capsys.readouterr().out
    assert "16x12 -> 64x48" in out
    for word in ("expects about", "of memory", "of temporary disk", "a file of about"):
        assert word in out
    assert run(photo, "--dry-run", "--json") == 0
    plan = enlarger.Plan.model_validate_json(capsys.readouterr().out)
    assert plan.output.width == 64
    assert sorted(photo.parent.iterdir()) == before


def test_quiet_says_nothing(photo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(photo, *FAST, "--quiet") == 0
    assert capsys.readouterr() == ("", "")


def test_existing_output_is_kept_unless_overwriting_is_asked_for(photo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = photo.with_name("photo-4x.png")
    output.write_bytes(b"mine")
    assert run(photo, *FAST) == 5
    assert "photo-4x.png" in capsys.readouterr().err
    assert output.read_bytes() == b"mine"
    assert run(photo, *FAST, "--overwrite") == 0
    assert size(output) == (64, 48)


def test_models_and_engines(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("models") == 0
    out = capsys.readouterr().out
    assert [line.split()[0] for line in out.splitlines()[1:]] == [m.id for m in enlarger.list_models()]
    assert run("models", "--json") == 0
    rows = {row["id"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["realesrgan-x4plus"]["scale"] == 4
    assert run("engines") == 0
    assert "ncnn" in capsys.readouterr().out
    assert run("engines", "--json") == 0
    assert {"ncnn", "resample"} <= {row["name"] for row in json.loads(capsys.readouterr().out)}


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["--scale", "0"], 2, "enlarger: --scale: scale must be a number from 1 to 16"),
        (["--scale", "nan"], 2, "enlarger: --scale: scale must be a number from 1 to 16"),
        (["--scale", "1000"], 2, "enlarger: --scale: scale must be a number from 1 to 16"),
        (["--scale", "abc"], 2, 'enlarger: Invalid value for --scale: unable to convert "abc" into float. Try enlarger --help.'),
        (["--nonsense"], 2, "enlarger: Unknown option: --nonsense. Did you mean --denoise? Try enlarger --help."),
        (["--memory", "2XB"], 2, "enlarger: --memory: '2XB' is not an amount of bytes; write 2GB, 500MB or 80kB"),
        (["--quality", "0"], 2, "enlarger: --quality: input should be greater than or equal to 1, not 0"),
        (["--quality", "90"], 2, "enlarger: --quality: png is lossless and has no quality; drop it or choose jpeg, webp or avif"),
        (["--device", "tpu"], 2, "enlarger: --device: device must be cpu, gpu, gpu:N or auto"),
        (["--format", "bmp"], 2, "enlarger: --format: unknown output format 'bmp'; choose one of jpeg, png, webp, tiff, avif, dz or auto"),
        (["--set", "fast"], 2, "enlarger: --set: 'fast' is not NAME=VALUE"),
        (
            ["--engine", "resample", "--set", "fast=1"],
            2,
            "enlarger: --set: fast: extra inputs are not permitted; settings of resample: none",
        ),
        (["--engine", "none"], 7, "enlarger: none: no such engine; installed engines are ncnn, pixelart, resample"),
    ],
)
def test_bad_options_are_one_line_and_leave_nothing(
    words: list[str], status: int, message: str, photo: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(photo, *words) == status
    printed = capsys.readouterr()
    assert printed.err == message + "\n"
    assert printed.out == ""
    assert list(photo.parent.iterdir()) == [photo]


def test_a_dial_that_no_engine_has_is_refused_not_ignored(photo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(photo, *FAST, "--creativity", "20") == 2
    assert capsys.readouterr().err.startswith("enlarger: --creativity: not supported by lanczos3")
    assert list(photo.parent.iterdir()) == [photo]


def test_words_are_dials(photo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(photo, *FAST, "--crisp", "--json", "--output", photo.parent / "word.png") == 0
    word = json.loads(capsys.readouterr().out)
    assert run(photo, *FAST, "--detail", "75", "--json", "--output", photo.parent / "dial.png") == 0
    assert word["output"]["sha256"] == json.loads(capsys.readouterr().out)["output"]["sha256"]
    assert run(photo, *FAST, "--crisp", "--faithful") == 2
    assert "choose one" in capsys.readouterr().err


def test_bad_sources_are_one_line_with_status_4(photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.jpg").write_text("hello")
    (tmp_path / "cut.png").write_bytes(photo.read_bytes()[:200])
    (tmp_path / "folder.png").mkdir()
    before = sorted(tmp_path.iterdir())
    for name in ("missing.png", "empty.png", "text.jpg", "cut.png", "folder.png"):
        assert run(tmp_path / name, *FAST) == 4, name
        error = capsys.readouterr().err
        assert error.count("\n") == 1
        assert error.startswith(f"enlarger: {tmp_path / name}: "), error
    assert sorted(tmp_path.iterdir()) == before


def test_output_that_cannot_be_is_status_5(photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for output in (tmp_path / "missing" / "x.png", photo):
        assert run(photo, *FAST, "-o", output, "--overwrite") == 5
        error = capsys.readouterr().err
        assert error.count("\n") == 1
        assert error.startswith(f"enlarger: {output}: ")
    assert list(tmp_path.iterdir()) == [photo]


def test_a_bug_is_one_line_and_its_own_status(photo: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def broken(*words: object, **more: object) -> None:
        raise RuntimeError("surprise")

    monkeypatch.delenv("ENLARGER_DEBUG", raising=False)
    monkeypatch.setattr("enlarger.pipeline.decode", broken)
    assert run(photo, *FAST) == 1
    assert capsys.readouterr().err == "enlarger: a bug, please report it: RuntimeError: surprise (ENLARGER_DEBUG=1 shows where)\n"


def test_interrupting_is_130_and_leaves_nothing(photo: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupt(*words: object, **more: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("enlarger.staging.enlarge_by_picture", interrupt)
    assert run(photo, *FAST) == 130
    assert capsys.readouterr().err == f"enlarger: {cli.KEPT}\n"
    assert list(photo.parent.iterdir()) == [photo]


def test_as_a_process(photo: Path) -> None:
    """Entry point, exit status and streams of the real program, where nobody watches."""
    Pillow.fromarray(pixels(12, 16)).save(photo)
    program = [sys.executable, "-m", "enlarger"]
    done = subprocess.run([*program, photo, *FAST], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    again = subprocess.run([*program, photo, *FAST], capture_output=True, text=True, check=False)
    assert again.returncode == 5
    assert again.stderr.count("\n") == 1
    version = subprocess.run([*program, "--version"], capture_output=True, text=True, check=True)
    assert version.stdout == f"enlarger {enlarger.__version__}\n"


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="needs a terminal to watch")
def test_progress_is_shown_to_a_terminal(photo: Path) -> None:
    """Tiles, speed and time left appear on stderr when it is a terminal."""
    words = [
        sys.executable,
        "-m",
        "enlarger",
        photo,
        "--model",
        "enlarger-photo-x4",
        "--device",
        "cpu",
        "--tile",
        "16",
        "--scale",
        "16",
    ]
    seen = shown(words)
    assert b"tile " in seen
    assert b"MP/s" in seen
    assert b" left" in seen


def test_the_command_ends_at_once_but_says_all_it_had_to_say(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It leaves without taking the interpreter apart: what was written must be out, statuses right, and temporary things gone."""
    program = [sys.executable, "-m", "enlarger"]
    told = subprocess.run([*program, "models", "--json"], capture_output=True, text=True, check=True)
    assert cli.main(["models", "--json"]) == 0
    assert told.stdout == capsys.readouterr().out
    missing = subprocess.run([*program, str(tmp_path / "none.png")], capture_output=True, text=True, check=False)
    assert (missing.returncode, missing.stdout) == (enlarger.SourceMissingError.exit_status, "")
    assert missing.stderr.startswith("enlarger: ")
    assert missing.stderr.endswith("\n")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a system without a device that is always full")
def test_a_full_disk_behind_the_output_is_one_line() -> None:
    with Path("/dev/full").open("wb") as full:
        program = [sys.executable, "-m", "enlarger", "models"]
        buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
        done = subprocess.run(program, stdout=full, stderr=subprocess.PIPE, text=True, check=False, env=buffered)
    assert done.returncode == 1
    assert done.stderr == "enlarger: what was to be said could not be written (No space left on device)\n"


def test_a_reader_that_goes_away_is_no_traceback() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as gone:
        done = subprocess.run(
            [sys.executable, "-m", "enlarger", "models", "--json"], stdout=gone, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 1
    assert done.stderr == ""
