"""Files that are fetched when asked for: only the right ones, whole, and nothing without being asked."""

from __future__ import annotations

import dataclasses
import hashlib
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

import enlarger
from enlarger import WeightsError, model_files
from enlarger.interfaces.cli import main, models
from enlarger.model_files import ModelFile, cache_folder, fetch, fetch_model, locate

CONTENT = b"a face detector" * 1000


class Handler(BaseHTTPRequestHandler):
    """What its server says: ``answer`` as path to (status, headers, body)."""

    def do_GET(self) -> None:
        self.server.asked += 1  # type: ignore[attr-defined]
        status, headers, body = {
            "/right": (200, {"Content-Length": str(len(CONTENT))}, CONTENT),
            "/moved": (302, {"Location": "/right"}, b""),
            "/short": (200, {"Content-Length": str(len(CONTENT))}, CONTENT[:99]),
            "/page": (200, {}, b"<html>please log in</html>"),
            "/endless": (200, {}, CONTENT + b"!"),
            "/other": (200, {}, b"b" + CONTENT[1:]),
        }.get(self.path, (404, {}, b""))
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[HTTPServer]:
    with HTTPServer(("127.0.0.1", 0), Handler) as made:
        made.asked = 0  # type: ignore[attr-defined]
        thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield made
        made.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def folders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.delenv("ENLARGER_MODELS", raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    return tmp_path


def at(server: HTTPServer, path: str) -> ModelFile:
    url = f"http://127.0.0.1:{server.server_port}/{path}"
    return ModelFile("net", "net.onnx", url, len(CONTENT), hashlib.sha256(CONTENT).hexdigest(), "", "MIT", "")


@pytest.mark.parametrize("path", ["right", "moved"])
def test_a_file_is_fetched_checked_and_found(server: HTTPServer, path: str) -> None:
    file = at(server, path)
    with pytest.raises(WeightsError, match="enlarger models --fetch net"):
        locate(file)
    got = fetch(file, cache_folder())
    assert got == cache_folder() / "net.onnx"
    assert got.read_bytes() == CONTENT
    assert locate(file) == got
    assert list(got.parent.iterdir()) == [got]


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("short", "99 instead of|cannot be fetched"),
        ("page", "26 instead of"),
        ("endless", "more than"),
        ("other", "SHA-256 differs"),
        ("missing", "cannot be fetched .*Not Found"),
    ],
)
def test_what_is_not_the_file_gets_no_name(server: HTTPServer, path: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=says) as caught:
        fetch(at(server, path), tmp_path / "models")
    assert "yourself" in caught.value.hint
    assert not (tmp_path / "models").exists()


def test_nobody_answers(server: HTTPServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = ModelFile("net", "net.onnx", "http://127.0.0.1:1/net", 1, "", "", "", "")
    with pytest.raises(WeightsError, match="cannot be fetched"):
        fetch(file, tmp_path)
    monkeypatch.setattr(model_files, "PATIENCE", -1.0)
    with pytest.raises(WeightsError, match="too long"):
        fetch(at(server, "right"), tmp_path)


def test_a_folder_that_cannot_be_written_to(server: HTTPServer, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(WeightsError, match="cannot be written"):
        fetch(at(server, "right"), tmp_path / "file")


def test_the_named_folder_comes_before_the_cache(server: HTTPServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = at(server, "right")
    monkeypatch.setitem(model_files.FILES, "net", file)
    cached = fetch_model("net")
    assert cached.parent == tmp_path / "cache" / "enlarger" / "models"
    assert (server.asked, fetch_model("net")) == (1, cached)  # type: ignore[attr-defined]
    monkeypatch.setenv("ENLARGER_MODELS", str(tmp_path / "own"))
    assert fetch_model("net") == cached
    cached.unlink()
    own = fetch_model("net")
    assert own == tmp_path / "own" / "net.onnx"
    own.write_bytes(CONTENT[:-1] + b"?")
    with pytest.raises(WeightsError, match="SHA-256 differs"):
        locate(file)
    assert fetch_model("net").read_bytes() == CONTENT


@pytest.mark.parametrize("relative", ["", "cache"])
def test_a_cache_that_is_not_absolute_is_not_taken(relative: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", relative)
    assert cache_folder() == Path("~/.cache/enlarger/models").expanduser()


def test_other_platforms_have_their_own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("sys.platform", "darwin")
    assert cache_folder() == Path("~/Library/Caches/enlarger/models").expanduser()
    monkeypatch.setattr("sys.platform", "win32")
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path))
    assert cache_folder() == tmp_path / "enlarger" / "models"


def test_the_command_line_fetches(server: HTTPServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(model_files.FILES, "net", at(server, "right"))
    assert main(["models", "--fetch", "net"]) == 0
    assert capsys.readouterr().out.strip() == str(cache_folder() / "net.onnx")
    assert main(["models", "--fetch", "nobody"]) == WeightsError.exit_status
    assert "known: yunet" in capsys.readouterr().err
    assert main(["models"]) == 0
    assert server.asked == 1  # type: ignore[attr-defined]


def test_what_is_known_is_complete() -> None:
    assert enlarger.fetch_model is fetch_model
    for name, file in model_files.FILES.items():
        assert name == file.id
        assert file.url.startswith("https://")
        assert file.url.endswith(file.name)
        assert re.fullmatch("[0-9a-f]{64}", file.sha256)
        assert file.licence in ("MIT", "Apache-2.0"), "nothing whose use is restricted"
        assert all((file.title, file.authors))
        assert name in (models.__doc__ or "")


def test_large_files_are_told_to_be(server: HTTPServer, folders: Path) -> None:
    with pytest.raises(WeightsError, match=r"lama_fp32\.onnx is not here; fetch it \(208 MB\): enlarger models --fetch lama"):
        locate(model_files.LAMA)


def test_a_file_of_the_users_own_is_taken_as_it_is_from_the_named_folder_only(folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache_folder().mkdir(parents=True)
    (cache_folder() / "lama.onnx").write_bytes(b"somebody's")
    with pytest.raises(WeightsError, match="not here"):
        locate(model_files.LAMA)
    own = folders / "own"
    own.mkdir()
    (own / "lama.onnx").write_bytes(b"mine")
    monkeypatch.setenv("ENLARGER_MODELS", str(own))
    assert locate(model_files.LAMA) == own / "lama.onnx"
    (own / "lama.onnx").unlink()
    (own / "lama_fp32.onnx").write_bytes(b"not whole")
    with pytest.raises(WeightsError, match="9 bytes instead of"):
        locate(model_files.LAMA)


@pytest.mark.parametrize(
    ("variable", "where"),
    [
        ("U2NET_HOME", "u2netp.onnx"),
        ("U2NET_HOME", "models/u2netp/u2netp.onnx"),
        ("REMBG_HOME", "models/u2netp/u2netp.onnx"),
        ("XDG_DATA_HOME", "rembg/models/u2netp/u2netp.onnx"),
        ("XDG_DATA_HOME", ".u2net/u2netp.onnx"),
    ],
)
def test_what_rembg_fetched_is_found(variable: str, where: str, folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("U2NET_HOME", "REMBG_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(folders / "home"))
    file = dataclasses.replace(model_files.FILES["u2netp"], bytes=len(CONTENT), sha256=hashlib.sha256(CONTENT).hexdigest())
    with pytest.raises(WeightsError, match="not here"):
        locate(file)
    monkeypatch.setenv(variable, str(folders / "data"))
    place = folders / "data" / where
    place.parent.mkdir(parents=True)
    place.write_bytes(CONTENT)
    assert locate(file) == place
    place.write_bytes(CONTENT[:-1] + b"?")
    with pytest.raises(WeightsError, match="SHA-256 differs"):
        locate(file)
