"""Faults in the manner of SQLite: let the n-th call of every kind fail, for every n, and look at what is left.

After every fault there is either the right output or none and a typed error, and the same call again gives the bytes of an
undisturbed run.
"""

import errno
import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow

import enlarger
from enlarger.errors import EnlargerError, OutOfMemoryError

PLAIN: dict[str, Any] = {"engine": "resample"}
NET: dict[str, Any] = {"model": "enlarger-photo-x2", "device": "cpu", "threads": 1, "tile": 16}
STRIP = 1300
"""Pixels per strip: eight strips for the picture below."""
FAULTS = [
    ("pwrite", errno.EIO), ("pwrite", errno.ENOSPC), ("write", errno.EIO), ("write", errno.ENOSPC), ("pread", errno.EIO),
    ("fdatasync", errno.EIO), ("fsync", errno.EIO), ("posix_fallocate", errno.ENOSPC), ("ftruncate", errno.EIO), ("open", errno.EMFILE),
    ("link", errno.EIO), ("unlink", errno.EIO), ("mkdir", errno.EACCES),
]  # fmt: skip


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    path = tmp_path / "in" / "a.png"
    noise = np.random.default_rng(3).integers(0, 256, (6, 8, 3), np.uint8)
    Pillow.fromarray(noise).resize((40, 36), Pillow.Resampling.BICUBIC).save(path)
    return path


@pytest.fixture(autouse=True)
def _strips(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("enlarger.steps.tiles.STRIP_PIXELS", STRIP)
    monkeypatch.setattr("enlarger.pipeline.KEEP_FROM", 0)  # keep the tiles of small pictures too


@pytest.fixture
def expected(source: Path, tmp_path: Path) -> bytes:
    enlarger.enlarge(source, 3, output=tmp_path / "expected.png", **PLAIN)
    return (tmp_path / "expected.png").read_bytes()


@pytest.fixture
def out(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "out" / "a.png"


def test_a_disk_without_hard_links_whose_rename_fails_leaves_nothing(source: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failing(monkeypatch, "link", 1, errno.EPERM)
    failing(monkeypatch, "replace", 1, errno.EIO)
    assert isinstance(failure(source, out), enlarger.OutputError)
    assert not out.exists()
    assert failure(source, out) is None


def failing(monkeypatch: pytest.MonkeyPatch, name: str, n: int, code: int) -> list[int]:
    """From now on the ``n``-th call of ``os.name`` fails; the list counts the calls."""
    real: Callable[..., Any] = getattr(os, name)
    calls = [0]

    def call(*words: Any, **more: Any) -> Any:
        calls[0] += 1
        if calls[0] == n:
            raise OSError(code, os.strerror(code))
        return real(*words, **more)

    monkeypatch.setattr(os, name, call)
    return calls


def failure(source: Path, out: Path) -> EnlargerError | None:
    try:
        enlarger.enlarge(source, 3, output=out, **PLAIN)
    except EnlargerError as error:
        return error
    return None


@pytest.mark.parametrize(("name", "code"), FAULTS, ids=[f"{name}-{errno.errorcode[code]}" for name, code in FAULTS])
def test_every_call_may_fail(name: str, code: int, source: Path, expected: bytes, out: Path) -> None:
    before = source.read_bytes()
    for n in range(1, 200):
        with pytest.MonkeyPatch.context() as patch:
            calls = failing(patch, name, n, code)
            error = failure(source, out)
        if error is None:
            assert out.read_bytes() == expected, f"{name} {n}"
            out.unlink()
        else:
            assert "\n" not in str(error)
            assert not out.exists(), f"{name} {n}: {error}"
        if calls[0] < n:
            break
        report = enlarger.enlarge(source, 3, output=out, **PLAIN).report
        assert out.read_bytes() == expected, f"after {name} {n}"
        assert report.tiles.computed + report.tiles.done_before == report.tiles.total
        out.unlink()
        assert list(out.parent.iterdir()) == [], f"after {name} {n}"
    else:
        pytest.fail("the sweep did not come to its end")
    assert n > 1, f"os.{name} was never called, so nothing was tested"
    assert source.read_bytes() == before


def test_every_tile_may_fail(source: Path, tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from enlarger.engines import find

    monkeypatch.setattr("enlarger.steps.enlarge.SMALLEST_SPLIT", 8)
    enlarger.enlarge(source, 3, output=tmp_path / "expected.png", **NET)
    expected = (tmp_path / "expected.png").read_bytes()
    engine = find("ncnn")
    net = type(engine.open(enlarger.list_models("ncnn")[0], engine.device("cpu", 1), engine.spec.settings()))
    real = net.__call__
    calls = [0]
    for error in (OutOfMemoryError("no room"), enlarger.EngineError("broken"), MemoryError()):
        for n in range(1, 50):
            calls[0] = 0

            def call(self: Any, tile: Any, n: int = n, error: Exception = error) -> Any:
                calls[0] += 1
                if calls[0] == n:
                    raise error
                return real(self, tile)

            monkeypatch.setattr(net, "__call__", call)
            try:
                report = enlarger.enlarge(source, 3, output=out, **NET).report
            except EnlargerError:
                assert not isinstance(error, MemoryError | OutOfMemoryError)
                assert not out.exists()
                monkeypatch.setattr(net, "__call__", real)
                report = enlarger.enlarge(source, 3, output=out, **NET).report
                assert report.tiles.done_before == n - 1
                assert out.read_bytes() == expected
            else:
                assert np.abs(pixels(out).astype(int) - pixels_of(expected)).max() <= 1
                assert report.tiles.split == (calls[0] >= n and not isinstance(error, enlarger.EngineError) and n <= report.tiles.total)
            out.unlink()
            if calls[0] < n:
                break
        assert n > 5
    assert list(out.parent.iterdir()) == []


def pixels(path: Path) -> np.ndarray:
    with Pillow.open(path) as picture:
        return np.asarray(picture)


def pixels_of(data: bytes) -> np.ndarray:
    import io

    with Pillow.open(io.BytesIO(data)) as picture:
        return np.asarray(picture).astype(int)


# --- kills ------------------------------------------------------------------------------------------------------------

PROGRAM = """
import sys, time
from enlarger.steps import enlarge, tiles
tiles.STRIP_PIXELS = {strip}
from enlarger import pipeline
pipeline.KEEP_FROM = 0
quantise = enlarge.quantise
def slow(*words):
    time.sleep({pause})
    return quantise(*words)
enlarge.quantise = slow
from enlarger.interfaces.cli import main
sys.exit(main(sys.argv[1:]))
"""


def command(source: Path, out: Path, pause: float = 0.0) -> list[str]:
    words = [str(source), "--scale", "3", "--engine", "resample", "-o", str(out), "--json"]
    return [sys.executable, "-c", PROGRAM.format(strip=STRIP, pause=pause), *words]


def test_killed_at_random_moments_it_goes_on_and_gives_the_same_bytes(source: Path, expected: bytes, out: Path) -> None:
    chance = random.Random(5)
    kills = resumed = 0
    # How long a run takes depends on what else the machine does.
    start = time.monotonic()
    subprocess.run(command(source, out, 0.02), stdout=subprocess.DEVNULL, check=True)
    whole = time.monotonic() - start
    out.unlink()
    while kills < 20:
        with subprocess.Popen(command(source, out, 0.02), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            try:
                process.wait(chance.uniform(0.3, 1.1) * whole)
            except subprocess.TimeoutExpired:
                process.kill()
                kills += 1
        if process.returncode == 0:
            assert out.read_bytes() == expected
            out.unlink()
            assert list(out.parent.iterdir()) == []
        else:
            if out.exists():  # killed between giving the file its name and leaving
                assert out.read_bytes() == expected
                out.unlink()
            resumed += (out.parent / ".a.png.enlarger" / "journal").exists()
    done = subprocess.run(command(source, out), capture_output=True, text=True, check=True)
    report = enlarger.Report.model_validate_json(done.stdout)
    assert report.tiles.done_before + report.tiles.computed == report.tiles.total
    assert out.read_bytes() == expected
    assert resumed > 3, "the kills never met a run at work: nothing was tested"


def heeding() -> None:
    """In a child: tests that run in the background ignore Ctrl-C, and their children would too."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_stop_within_a_tile_and_keep_what_is_done(number: int, status: int, source: Path, expected: bytes, out: Path) -> None:
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command(source, out, 0.1), **pipes, text=True, preexec_fn=heeding) as process:
        journal = out.parent / ".a.png.enlarger" / "journal"
        deadline = time.monotonic() + 20
        while not (journal.exists() and journal.read_bytes().count(b"\n") > 3):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        start = time.monotonic()
        process.send_signal(number)
        _, told = process.communicate(timeout=10)
        assert time.monotonic() - start < 2
    assert process.returncode == status
    assert told == "enlarger: interrupted; what is done is kept, and the same command goes on from there (--fresh starts anew)\n"
    assert not out.exists()
    done = subprocess.run(command(source, out), capture_output=True, text=True, check=True)
    assert enlarger.Report.model_validate_json(done.stdout).tiles.done_before >= 3
    assert out.read_bytes() == expected


# --- a disk that fills up under libvips -------------------------------------------------------------------------------


def limits(size: int) -> Iterator[None]:
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    yield


def test_a_file_that_may_not_grow_is_a_typed_error_and_the_run_goes_on_later(source: Path, expected: bytes, out: Path) -> None:
    """Writes fail wherever the limit strikes: in the journal, the canvas, or inside libvips' encoder."""
    statuses = set()
    for size in [0, 50, 200, 1000, 5000, *range(8000, 120000, 10000)]:
        words = command(source, out)
        done = subprocess.run(words, capture_output=True, text=True, check=False, preexec_fn=lambda size=size: next(limits(size)))
        statuses.add(done.returncode)
        if done.returncode:
            assert done.returncode == 5, done.stderr
            assert done.stderr.count("\n") == 1
            assert not out.exists()
        else:
            assert out.read_bytes() == expected
            out.unlink()
    subprocess.run(command(source, out), capture_output=True, check=True)
    assert out.read_bytes() == expected
    assert statuses == {0, 5}


# --- changes ----------------------------------------------------------------------------------------------------------


def interrupted(source: Path, out: Path, after: int, **options: Any) -> None:
    """A run that is cancelled when ``after`` tiles are done."""
    seen = [0]

    def watch(progress: enlarger.Progress) -> None:
        seen[0] = progress.tiles_done

    with pytest.raises(enlarger.CancelledError):
        enlarger.enlarge(source, 3, output=out, progress=watch, cancel=lambda: seen[0] >= after, **{**PLAIN, **options})


def test_an_unchanged_job_goes_on(source: Path, expected: bytes, out: Path) -> None:
    interrupted(source, out, 4)
    report = enlarger.enlarge(source, 3, output=out, **PLAIN).report
    assert report.tiles.done_before == 4
    assert out.read_bytes() == expected


@pytest.mark.parametrize("change", ["source", "options", "model", "version"])
def test_a_changed_job_starts_anew_and_says_so(change: str, source: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    interrupted(source, out, 4)
    options = dict(PLAIN)
    if change == "source":
        Pillow.new("RGB", (40, 36), "red").save(source)
    elif change == "options":
        options["allow_truncated"] = True
    elif change == "model":
        options["model"] = "bicubic"
    else:
        monkeypatch.setattr("enlarger.provenance.__version__", "9.9")
    report = enlarger.enlarge(source, 3, output=out, **options).report
    assert report.tiles.done_before == 0
    assert [w.code for w in report.warnings] == ["started-anew"]


def test_fresh_starts_anew(source: Path, expected: bytes, out: Path) -> None:
    interrupted(source, out, 4)
    report = enlarger.enlarge(source, 3, output=out, fresh=True, **PLAIN).report
    assert (report.tiles.done_before, report.warnings) == (0, ())
    assert out.read_bytes() == expected


def test_damaged_canvas_tiles_are_found_and_made_again(source: Path, expected: bytes, out: Path) -> None:
    interrupted(source, out, 6)
    canvas = out.parent / ".a.png.enlarger" / "canvas-0"
    with canvas.open("r+b") as file:
        file.seek(100)
        file.write(b"\0\1\2\3")
    report = enlarger.enlarge(source, 3, output=out, **PLAIN).report
    assert report.tiles.done_before == 5
    assert out.read_bytes() == expected


def test_the_work_goes_where_it_is_told(source: Path, expected: bytes, out: Path, tmp_path: Path) -> None:
    temp = tmp_path / "temp"
    temp.mkdir()
    interrupted(source, out, 4, temp=temp)
    assert list(out.parent.iterdir()) == []
    assert len(list(temp.iterdir())) == 1
    report = enlarger.enlarge(source, 3, output=out, temp=temp, **PLAIN).report
    assert report.tiles.done_before == 4
    assert out.read_bytes() == expected
    assert list(temp.iterdir()) == []


def test_a_second_run_on_the_same_output_is_refused(source: Path, expected: bytes, out: Path) -> None:
    seen = []

    def second(progress: enlarger.Progress) -> None:
        if progress.tiles_done == 2 and not seen:
            with pytest.raises(enlarger.OutputError, match="another run is at work on this output") as caught:
                enlarger.enlarge(source, 3, output=out, **PLAIN)
            seen.append(str(caught.value))

    enlarger.enlarge(source, 3, output=out, progress=second, **PLAIN)
    assert len(seen) == 1
    assert out.read_bytes() == expected
