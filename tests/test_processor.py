"""What the processor says of itself."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest

from enlarger import processor


@pytest.fixture
def asked_anew() -> object:
    processor.flags.cache_clear()
    yield
    processor.flags.cache_clear()


@pytest.mark.parametrize(
    ("text", "likes"),
    [
        ("processor\t: 0\nflags\t\t: fpu avx2 avx512f avx512_vnni\n", True),
        ("flags\t\t: fpu avx2 avx_vnni\n", True),
        ("flags\t\t: fpu avx2 avx512f\n", False),
        ("Features\t: fp asimd asimddp\n", True),
        ("Features\t: fp asimd\n", False),
    ],
)
def test_integers_where_there_are_instructions_for_them(
    text: str, likes: bool, asked_anew: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Path, "exists", lambda _: True)
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: text)
    assert processor.likes_integers() is likes


@pytest.mark.parametrize(
    ("system", "machine", "likes"), [("Darwin", "arm64", True), ("Darwin", "x86_64", False), ("Windows", "AMD64", False)]
)
def test_where_nobody_can_be_asked_it_is_guessed(
    system: str, machine: str, likes: bool, asked_anew: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Path, "exists", lambda _: False)
    monkeypatch.setattr(platform, "system", lambda: system)
    monkeypatch.setattr(platform, "machine", lambda: machine)
    assert processor.likes_integers() is likes
