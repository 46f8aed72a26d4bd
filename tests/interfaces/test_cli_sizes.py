"""Sizes and plans on the command line: files of exactly those pixels, names that tell, one line for what cannot be."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow
from skimage import data

import enlarger
from enlarger.interfaces import cli

FAST = ["--engine", "resample"]


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    Pillow.fromarray(data.astronaut()[40:104, 180:276]).save(path)
    return path


def run(*words: object) -> int:
    return cli.main([str(word) for word in words])


def size(path: Path) -> tuple[int, int]:
    with Pillow.open(path) as picture:
        return picture.size


@pytest.mark.parametrize(
    ("words", "name", "pixels"),
    [
        ("--width 300", "photo-w300.png", (300, 200)),
        ("--height 300", "photo-h300.png", (450, 300)),
        ("--long-edge 300", "photo-long300.png", (300, 200)),
        ("--short-edge 300", "photo-short300.png", (450, 300)),
        ("--megapixels 0.06", "photo-0.06mp.png", (300, 200)),
        ("--width 300 --height 300", "photo-300x300.png", (300, 200)),
        ("--width 300 --height 300 --fit cover", "photo-300x300.png", (450, 300)),
        ("--width 300 --height 300 --fit crop --crop-on subject", "photo-300x300.png", (300, 300)),
        ("--width 300 --height 300 --fit pad --background #204060", "photo-300x300.png", (300, 300)),
        ("--print 5x5cm --dpi 127", "photo-5x5cm.png", (250, 167)),
        ("--aspect 1:1 --fit crop", "photo-4x-1to1.png", (256, 256)),
        ("--padding 10", "photo-4x.png", (404, 276)),
        ("--scale 2 --padding 10% --background transparent", "photo-2x.png", (240, 160)),
    ],
)
def test_sizes_are_exact_and_named(words: str, name: str, pixels: tuple[int, int], photo: Path) -> None:
    assert run(photo, *FAST, *shlex.split(words, comments=False), "--quiet") == 0
    assert size(photo.with_name(name)) == pixels


def test_the_command_of_a_report_does_it_all_again(photo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = "--width 300 --height 300 --fit crop --crop-on subject --padding 7 --background #204060 --dpi 200 --stages 2"
    assert run(photo, *FAST, *words.split(), "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert len(report["between"]) == 1
    output = photo.with_name("photo-300x300.png")
    first = output.read_bytes()
    output.unlink()
    assert run(*shlex.split(report["reproduce"]["command"])[1:]) == 0
    assert output.read_bytes() == first


def test_a_dry_run_tells_crop_padding_and_paper(photo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = "--print 10x10cm --dpi 100 --fit crop --crop-on subject --padding 10%"
    assert run(photo, *FAST, *words.split(), "--dry-run") == 0
    out = capsys.readouterr().out
    assert "crop    64x64 of the source around the subject" in out
    assert "padding left 39, top 39, right 39, bottom 39, #ffffff; the picture 316x316" in out
    assert "print   10.0 x 10.0 cm at 100 dpi" in out
    assert run(photo, "--long-edge", "50", "--dry-run") == 0
    assert "it is made smaller, nothing is enlarged" in capsys.readouterr().out


def test_a_larger_source_is_made_smaller_with_a_note(photo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(photo, "--long-edge", "48") == 0
    printed = capsys.readouterr()
    assert "96x64 -> 48x32  reduced, not enlarged" in printed.out
    assert printed.err == (
        "enlarger: note: the source has more pixels than asked for: 96x64 became 48x32, by Lanczos and without any net\n"
    )
    assert size(photo.with_name("photo-long48.png")) == (48, 32)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ("--scale 2 --width 300", "enlarger: --width: contradicts --scale; keep one of them: each says how large the result is"),
        ("--to 9k", 'enlarger: Invalid value "9k" for --to. Choose from: "2k", "4k", "8k", "16k".'),
        ("--to 16k", "enlarger: --to: 15360x10240 is 160 times the source's 96x64; 16 times is the most;"),
        ("--aspect 1:1", "enlarger: --aspect: 96x64 is not 1:1; say --fit crop to cut off what is too much, or --fit pad to add to it"),
        ("--print 60x40", "enlarger: --print: '60x40' is no size of paper; write 60x40cm, 24x16in or 600x400mm"),
        ("--pause-between-stages", "enlarger: --pause-between-stages: there is one stage only, and nothing between; say --stages 2"),
        (
            "--model enlarger-photo-x4 --stages 1 --scale 8",
            "enlarger: --stages: 1 of 4x make 4x at most, and 8x are needed; allow more stages, or say auto",
        ),
    ],
)
def test_what_cannot_be_is_one_line_and_leaves_nothing(words: str, line: str, photo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(photo, *([] if "--model" in words else FAST), *words.split()) == 2
    err = capsys.readouterr().err
    assert err.startswith(line)
    assert err.count("\n") == 1
    assert list(photo.parent.iterdir()) == [photo]


def test_many_files_take_sizes_and_recipes_too(tmp_path: Path, photo: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for i, shape in enumerate(((40, 60), (60, 40), (300, 200))):
        Pillow.fromarray(np.full((*shape, 3), 40 * i, np.uint8)).save(folder / f"{i}.png")
    jobs = tmp_path / "jobs.csv"
    jobs.write_text(f"source,to,scale,padding,aspect,fit\n{folder / '0.png'},,2,5%,,\n{folder / '1.png'},,,,1:1,pad\n")
    assert run(folder, "-o", tmp_path / "out", *FAST, "--long-edge", "120", "--quiet") == 0
    assert [size(tmp_path / "out" / f"{i}-long120.png") for i in range(3)] == [(120, 80), (80, 120), (80, 120)]
    assert run("--jobs", jobs, "-o", tmp_path / "listed", *FAST, "--scale", "3", "--quiet") == 0
    assert size(tmp_path / "listed" / "0-2x.png") == (134, 88)
    assert size(tmp_path / "listed" / "1-3x-1to1.png") == (180, 180)


# --- plans ------------------------------------------------------------------------------------------------------------


def test_a_printed_plan_runs(photo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(photo, *FAST, "--width", "300", "--dry-run", "--json") == 0
    plan = photo.with_name("plan.json")
    plan.write_text(capsys.readouterr().out)
    assert run("run", plan) == 0
    assert "96x64 -> 300x200  resample lanczos3 (cpu)" in capsys.readouterr().out
    assert size(photo.with_name("photo-w300.png")) == (300, 200)
    assert run("run", plan) == 5
    assert run("run", plan, "--overwrite", "--json") == 0
    printed = capsys.readouterr()
    assert enlarger.Report.model_validate_json(printed.out).output.width == 300
    Pillow.new("RGB", (96, 64)).save(photo)
    assert run("run", plan, "--overwrite") == 4
    assert (
        capsys.readouterr().err
        == f"enlarger: {photo}: the source has changed since the plan was made; make it anew with --dry-run --json\n"
    )


def test_a_pause_says_how_to_go_on(photo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(photo, *FAST, "--stages", "2", "--pause-between-stages") == 0
    line = capsys.readouterr().out
    assert line.count("\n") == 1
    assert line.startswith(f"stage 1 of 2: 192x128  {photo.with_name('photo-4x-stage1.png')}  correct a copy of it, then: ")
    words = shlex.split(line.partition("then: ")[2])
    copy = photo.with_name("COPY.png")
    copy.write_bytes(photo.with_name("photo-4x-stage1.png").read_bytes())
    assert run(*words[1:-1], copy) == 0
    assert size(photo.with_name("photo-4x.png")) == (384, 256)
    assert sorted(p.name for p in photo.parent.iterdir()) == [
        "COPY.png",
        "photo-4x-stage1.png",
        "photo-4x.plan.json",
        "photo-4x.png",
        "photo.png",
    ]
    assert run(photo, photo, *FAST, "-o", photo.parent, "--pause-between-stages") == 2
    assert "one picture at a time" in capsys.readouterr().err
