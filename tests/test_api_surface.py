"""The public words. A change of ``enlarger.__all__`` shows up as a change of api_surface.json: `python docs/generate.py` writes it."""

from __future__ import annotations

import inspect
import json
from pathlib import Path

import enlarger
from enlarger import errors

SURFACE = Path(__file__).with_name("api_surface.json")


def test_the_public_words_are_the_ones_written_down() -> None:
    assert list(enlarger.__all__) == json.loads(SURFACE.read_text())


def test_all_is_sorted_and_each_name_is_there() -> None:
    assert list(enlarger.__all__) == sorted(set(enlarger.__all__))
    assert [name for name in enlarger.__all__ if getattr(enlarger, name, None) is None] == []
    assert set(enlarger.__all__) <= set(dir(enlarger))


def test_every_error_is_public() -> None:
    tree = {name for name, value in vars(errors).items() if inspect.isclass(value) and issubclass(value, errors.EnlargerError)}
    assert len(tree) > 10
    assert sorted(tree - set(enlarger.__all__)) == []


def test_every_public_word_is_documented() -> None:
    words = [name for name in enlarger.__all__ if name != "__version__"]
    assert [name for name in words if not (inspect.getdoc(getattr(enlarger, name)) or "").strip()] == []


def test_an_unknown_word_is_an_attribute_error() -> None:
    assert not hasattr(enlarger, "no_such_word")
