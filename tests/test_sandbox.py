"""Decoding in a child process: the same picture, the same errors, and one line for whatever becomes of the child."""

from __future__ import annotations

import ctypes
import dataclasses
import io
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import pyvips
from numpy.typing import NDArray
from tests import pictures

import enlarger
from enlarger import sandbox
from enlarger.errors import DamagedImageError, EnlargerError, InputError, NotAnImageError, SourceMissingError, SourceTooLargeError
from enlarger.image import Image
from enlarger.sandbox import Limits
from enlarger.sandbox_child import TRAILER, TRAILER_MARK
from enlarger.steps.decode import decode, probe

TRUSTED = "reduce the picture first, or decode it without --sandbox if you trust it"


def same(one: Image, other: Image) -> bool:
    rest = [dataclasses.replace(image, samples=np.zeros(0)) for image in (one, other)]
    return np.array_equal(one.samples, other.samples) and one.samples.dtype == other.samples.dtype and repr(rest[0]) == repr(rest[1])


def float_tiff() -> bytes:
    values = np.ascontiguousarray(pictures.pixels(bands=4) / np.float32(100), np.float32)
    picture = pyvips.Image.new_from_memory(values, 64, 48, 4, "float").copy(interpretation="scrgb")
    data = picture.tiffsave_buffer()
    assert isinstance(data, bytes)
    return data


def deep_png() -> bytes:
    samples: NDArray[Any] = pictures.pixels(bands=2, dtype=np.uint16)
    data = pyvips.Image.new_from_memory(samples, 64, 48, 2, "ushort").copy(interpretation="grey16").pngsave_buffer()
    assert isinstance(data, bytes)
    return data


SOURCES = {
    **{format: (lambda format=format: pictures.file(format, orientation=6)) for format in pictures.FORMATS},
    "alpha": lambda: pictures.file("png", pictures.pixels(bands=4), meta=False),
    "gif": lambda: pictures.file("gif", meta=False),
    "bmp": lambda: pictures.file("bmp", meta=False),
    "deep": deep_png,
    "float": float_tiff,
}


@pytest.mark.parametrize("kind", SOURCES)
def test_the_picture_is_the_one_that_decoding_here_gives(kind: str, tmp_path: Path) -> None:
    data = SOURCES[kind]()
    path = tmp_path / "a picture"
    path.write_bytes(data)
    image = sandbox.decode(path)
    assert same(image, decode(path))
    assert not image.samples.flags.writeable
    assert sandbox.probe(path) == probe(path) == image.header


def test_bytes_and_truncated_files_too() -> None:
    noise = np.random.default_rng(0).integers(1, 256, (200, 200, 3), np.uint8)
    data = pictures.file("png", noise)
    assert same(sandbox.decode(data), decode(data))
    half = data[: len(data) * 2 // 3]
    assert same(sandbox.decode(half, allow_truncated=True), decode(half, allow_truncated=True))
    assert "truncated" in {n.code for n in sandbox.decode(half, allow_truncated=True).notices}


def test_large_pictures_stay_in_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "SOURCE_IN_MEMORY", 1000)
    data = pictures.file("png")
    image = sandbox.decode(data)
    assert isinstance(image.samples, np.memmap)
    assert same(image, decode(data))
    assert not image.samples.flags.writeable


def test_names_that_are_no_unicode_survive(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + b"/\xff\n.png"
    Path(os.fsdecode(path)).write_bytes(pictures.file("jpeg"))
    image = sandbox.decode(os.fsdecode(path))
    assert image.header.name == os.fsdecode(path)
    assert {n.code for n in image.notices} >= {"name-belies-content"}
    Path(os.fsdecode(path)).write_bytes(b"rubbish!")
    with pytest.raises(NotAnImageError) as caught:
        sandbox.decode(os.fsdecode(path))
    assert caught.value.subject == os.fsdecode(path)


REFUSED = [b"%PDF-1.7\n", b"hello, not an image\n", b"P5 65535 65535 255 ", pictures.file("png", meta=False)[:200]]


@pytest.mark.parametrize("data", REFUSED, ids=range(len(REFUSED)))
def test_refusals_come_back_as_themselves(data: bytes) -> None:
    with pytest.raises(InputError) as here:
        decode(data)
    with pytest.raises(InputError) as there:
        sandbox.decode(data)
    assert (type(there.value), str(there.value)) == (type(here.value), str(here.value))


def test_what_is_no_file_never_gets_as_far_as_a_child(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sandbox, "_run", None)
    array = pictures.pixels()
    assert sandbox.decode(array).samples is decode(array).samples or same(sandbox.decode(array), decode(array))
    assert same(sandbox.decode(PIL.Image.fromarray(array)), decode(PIL.Image.fromarray(array)))
    assert sandbox.probe(decode(array)) == probe(array)
    with pytest.raises(SourceMissingError):
        sandbox.decode(tmp_path / "none.png")
    with pytest.raises(NotAnImageError, match="empty"):
        sandbox.decode(b"")
    with pytest.raises(InputError, match="cannot read a picture from int"):
        sandbox.decode(12)  # type: ignore[arg-type]


# --- what may become of a child -----------------------------------------------------------------------------------------


def with_child(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    """Let children run ``code`` before their task; ``d`` is the decoder they will use, ``c`` their own module."""
    before, main = sandbox.BOOT.rsplit("; ", 1)
    lines = [before, "import os, signal, time, enlarger.steps.decode as d", code, main]
    monkeypatch.setattr(sandbox, "BOOT", "\n".join(lines))


def refusal(kind: type[EnlargerError], limits: Limits | None = None) -> str:
    with pytest.raises(kind) as caught:
        sandbox.decode(pictures.file("png", meta=False), limits=limits)
    assert type(caught.value) is kind
    return str(caught.value)


@pytest.mark.parametrize("name", ["SIGSEGV", "SIGABRT", "SIGBUS", "SIGILL"])
def test_a_crash_is_one_line(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    with_child(monkeypatch, f"d.decode_file = lambda *a, **k: os.kill(os.getpid(), signal.{name})")
    hint = "it is damaged, made to do harm, or takes more than 1000 MB of memory: save it anew with another program"
    assert refusal(DamagedImageError) == f"<bytes>: the decoder crashed on this file ({name}); {hint}"


def test_a_child_that_hangs_is_ended_with_all_that_it_started(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    alive = tmp_path / "alive"
    loop = f"while True: open({str(alive)!r}, 'a').write('.'); time.sleep(0.02)"
    with_child(monkeypatch, f"os.fork()\n{loop}")
    start = time.monotonic()
    assert (
        refusal(SourceTooLargeError, Limits(seconds=0.7)) == f"<bytes>: decoding takes more than the 0.7 s that --sandbox allows; {TRUSTED}"
    )
    assert time.monotonic() - start < 5
    assert alive.exists()
    size = alive.stat().st_size
    time.sleep(0.2)
    assert alive.stat().st_size == size


def test_a_child_outlives_its_parent_by_seconds_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed with ``kill -9``, a parent ends nobody: the child's own alarm has to."""
    with_child(
        monkeypatch, "from enlarger.errors import InputError\ndef f(*a, **k): raise InputError(str(signal.alarm(0)))\nd.decode_file = f"
    )
    assert refusal(InputError, Limits(seconds=9.5)) in ("<bytes>: 12", "<bytes>: 11")


def test_an_alarm_means_out_of_time(monkeypatch: pytest.MonkeyPatch) -> None:
    with_child(monkeypatch, "d.decode_file = lambda *a, **k: os.kill(os.getpid(), signal.SIGALRM)")
    assert refusal(SourceTooLargeError) == f"<bytes>: decoding takes more than the 20 s that --sandbox allows; {TRUSTED}"


def test_memory_has_a_limit() -> None:
    """24 MB of pixels in a WebP, which decodes as a whole, and 80 MB for all of a process."""
    out = io.BytesIO()
    PIL.Image.new("RGB", (4000, 2000), (1, 2, 3)).save(out, "webp", lossless=True, method=0)
    said = "<bytes>: decoding takes more than the 80 MB of memory that --sandbox allows; " + TRUSTED
    with pytest.raises(SourceTooLargeError) as caught:
        sandbox.decode(out.getvalue(), limits=Limits(memory=80 * 10**6))
    assert str(caught.value) == said
    assert sandbox.decode(out.getvalue()).width == 4000


def test_memory_that_python_asks_for_is_limited_too(monkeypatch: pytest.MonkeyPatch) -> None:
    with_child(monkeypatch, "d.decode_file = lambda *a, **k: bytearray(2 * 10**9)")
    assert "more than the 1000 MB of memory" in refusal(SourceTooLargeError)


def test_files_processor_and_descriptors_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    ask = "def f(*a, **k):\n import resource as r\n raise InputError(repr([r.getrlimit(getattr(r, 'RLIMIT_' + n))[0] for n in NAMES]))"
    names = ("CORE", "DATA", "CPU", "FSIZE", "NOFILE")
    with_child(monkeypatch, f"from enlarger.errors import InputError\nNAMES = {names}\n{ask}\nd.decode_file = f")
    wanted = [0, 10**9, 20 * (os.cpu_count() or 1), 4 * 10**9, 64]
    assert refusal(InputError) == f"<bytes>: {wanted}"


def test_a_bug_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    with_child(monkeypatch, "d.decode_file = lambda *a, **k: 1 / 0")
    said = "<bytes>: the decoder failed on this file (ZeroDivisionError: division by zero); save it anew with another program"
    assert refusal(DamagedImageError) == said


def test_what_libraries_print_does_not_get_between(monkeypatch: pytest.MonkeyPatch) -> None:
    with_child(monkeypatch, "own = d.decode_file\nd.decode_file = lambda *a, **k: (os.write(1, b'warning!'), own(*a, **k))[1]")
    data = pictures.file("png")
    assert same(sandbox.decode(data), decode(data))


def test_keys_and_passwords_are_not_handed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENLARGER_API_KEY", "secret")
    with_child(
        monkeypatch, "from enlarger.errors import InputError\ndef f(*a, **k): raise InputError(' '.join(os.environ))\nd.decode_file = f"
    )
    said = refusal(InputError)
    assert "TMPDIR" in said
    assert "ENLARGER" not in said


def test_a_module_in_the_current_folder_is_not_taken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Whoever works in a folder of downloads must not run what lies there."""
    (tmp_path / "base64.py").write_text("raise SystemExit(3)")
    monkeypatch.chdir(tmp_path)
    data = pictures.file("png")
    assert same(sandbox.decode(data), decode(data))


def test_there_is_no_network_where_the_kernel_allows_that(monkeypatch: pytest.MonkeyPatch) -> None:
    where = "open('/proc/self/ns/net') and os.readlink('/proc/self/ns/net')" if sys.platform == "linux" else "''"
    with_child(monkeypatch, f"from enlarger.errors import InputError\ndef f(*a, **k): raise InputError({where})\nd.decode_file = f")
    said = refusal(InputError).removeprefix("<bytes>: ")
    if sys.platform == "linux":
        attempt = "import ctypes, sys; sys.exit(ctypes.CDLL(None).unshare(0x50000000) != 0)"
        allowed = subprocess.run([sys.executable, "-c", attempt], check=False).returncode == 0
        assert hasattr(ctypes.CDLL(None), "unshare")
        assert (said != os.readlink("/proc/self/ns/net")) == allowed  # noqa: PTH115 (it is no path)


def test_nothing_is_left_behind(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    sandbox.decode(pictures.file("png"))
    assert list(tmp_path.iterdir()) == []
    with_child(monkeypatch, "open(os.environ['TMPDIR'] + '/left', 'w').write('x')\nos.kill(os.getpid(), signal.SIGKILL)")
    assert "of memory that --sandbox allows" in refusal(SourceTooLargeError), "the system's own killer comes without a word"
    assert list(tmp_path.iterdir()) == []


def test_no_room_for_temporary_files_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    said = refusal(enlarger.OutputError)
    assert said == f"{tmp_path / 'none'}: cannot write temporary files: No such file or directory; free some space"


HEADER = {"name": "", "format": "png", "width": 2, "height": 1, "channels": 1, "alpha": False, "bits": 8}


def reply(said: object, samples: bytes = b"ab", length: int | None = None) -> bytes:
    text = said if isinstance(said, bytes) else json.dumps(said).encode()
    return samples + text + TRAILER.pack(TRAILER_MARK, len(text) if length is None else length)


LIES = {
    "nothing": b"",
    "rubbish": b"rubbish" * 100,
    "no JSON": reply(b"{"),
    "deep JSON": reply(b"[" * 100_000),
    "no object": reply([1, 2]),
    "a length past the start": reply({"header": HEADER}, length=10**6),
    "an absurd length": reply({"header": HEADER}, length=2**63),
    "no header": reply({"shape": [1, 2, 1]}),
    "a shape that is not the header's": reply({"header": HEADER, "shape": [2, 1, 1]}),
    "fewer samples than the shape": reply({"header": {**HEADER, "width": 10**6}, "shape": [1, 10**6, 1]}),
    "objects for samples": reply({"header": HEADER, "shape": [1, 2, 1], "dtype": "object"}),
    "no pixels": reply({"header": {**HEADER, "width": 0}, "shape": [1, 0, 1]}),
    "an error that is none": reply({"error": {"kind": "SystemExit", "message": "", "hint": "", "subject": ""}}),
    "an error of another module": reply({"error": {"kind": "annotations", "message": "", "hint": "", "subject": ""}}),
    "more than was asked for": reply({"header": HEADER, "shape": [1, 2, 1], "pickle": "gASVAAAA"}),
}


@pytest.mark.parametrize("lie", LIES)
def test_what_a_child_says_is_checked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, lie: str) -> None:
    (tmp_path / "lie").write_bytes(LIES[lie])
    monkeypatch.setattr(sandbox, "BOOT", f"import os; os.write(1, open({str(tmp_path / 'lie')!r}, 'rb').read())")
    assert refusal(DamagedImageError) == "<bytes>: the decoder broke down on this file; save it anew with another program"


def test_the_lies_are_near_the_truth(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same answer without the lie is taken: the test above does not pass for some other reason."""
    honest = reply({"header": HEADER, "shape": [1, 2, 1]})
    monkeypatch.setattr(sandbox, "BOOT", f"import os; os.write(1, bytes.fromhex('{honest.hex()}'))")
    assert sandbox.decode(b"anything").samples.tolist() == [[[97], [98]]]


# --- in the whole --------------------------------------------------------------------------------------------------------


def test_the_option_decodes_in_children_and_changes_no_byte(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    ran: list[str] = []
    own = sandbox._run

    def counted(command: list[str], *rest: Any) -> Any:
        ran.append(json.loads(command[-1])["what"])
        return own(command, *rest)

    monkeypatch.setattr(sandbox, "_run", counted)
    source = tmp_path / "a.png"
    source.write_bytes(pictures.file("png", pictures.pixels(bands=4)))
    plain = enlarger.enlarge(source, 2, engine="resample", output=tmp_path / "plain.png").report
    assert ran == []
    boxed = enlarger.enlarge(source, 2, engine="resample", output=tmp_path / "boxed.png", sandbox=True).report
    assert ran == ["probe", "decode"]
    assert plain.output.sha256 == boxed.output.sha256
    assert "--sandbox" in boxed.reproduce.command


@pytest.mark.samples
def test_odd_pictures_are_the_same_in_a_child(samples: Path) -> None:
    def outcome(read: Any, path: Path) -> Image | tuple[str, str]:
        try:
            return read(path)  # type: ignore[no-any-return]
        except EnlargerError as error:
            return type(error).__name__, str(error)

    files = sorted((samples / "odd" / "made").iterdir())[::5]
    assert len(files) > 20
    for path in files:
        here, there = outcome(decode, path), outcome(sandbox.decode, path)
        assert same(here, there) if isinstance(here, Image) and isinstance(there, Image) else here == there, path.name
