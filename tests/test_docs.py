"""Documents that are derived from the code say what the code says."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_cli_page_is_what_the_cli_prints(generate: ModuleType) -> None:
    assert (ROOT / "docs" / "cli.md").read_text("utf-8") == generate.cli_page(), "stale: run `python docs/generate.py`"


def test_cli_page_names_every_option() -> None:
    from enlarger import Options

    page = (ROOT / "docs" / "cli.md").read_text("utf-8")
    flags = {"--set" if name == "settings" else "--" + name.replace("_", "-") for name in Options.model_fields}
    flags |= {"--output", "--overwrite", "--json", "--quiet", "--dry-run", "--version"}
    assert sorted(flag for flag in flags if not re.search(rf"{flag}\b", page)) == []


def test_help_does_not_depend_on_the_terminal(generate: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = generate.help_of("models")
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    assert generate.help_of("models") == usual
    assert "\x1b" not in usual
    assert max(map(len, usual.splitlines())) <= generate.WIDTH


def readme_blocks() -> list[str]:
    return re.findall(r"^```sh\n(.*?)^```$", (ROOT / "README.md").read_text("utf-8"), re.DOTALL | re.MULTILINE)


def test_readme_begins_with_the_two_commands_that_ci_runs() -> None:
    first, second = readme_blocks()[:2]
    assert "pip install -c constraints.txt" in first
    assert "enlarger examples/cat.jpg" in first
    assert "pip install -c constraints.txt" in second
    assert second.rstrip().endswith("-m pytest")


def test_readme_shows_no_option_that_is_not_there() -> None:
    """Every ``--flag`` that README shows exists."""
    page = (ROOT / "docs" / "cli.md").read_text("utf-8")
    shown = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", (ROOT / "README.md").read_text("utf-8")))
    assert shown
    assert sorted(flag for flag in shown if not re.search(rf"{flag}\b", page)) == []


def test_readme_python_example_names_only_public_words() -> None:
    import enlarger

    blocks = re.findall(r"^```python\n(.*?)^```$", (ROOT / "README.md").read_text("utf-8"), re.DOTALL | re.MULTILINE)
    words = {word for block in blocks for word in re.findall(r"\benlarger\.([A-Za-z_]+)", block)}
    assert words
    assert sorted(words - set(enlarger.__all__)) == []


def test_every_decision_is_numbered_once_and_dated() -> None:
    pages = sorted((ROOT / "docs" / "decisions").glob("*.md"))
    assert [page.name for page in pages if not re.fullmatch(r"\d{4}-[a-z0-9-]+\.md", page.name)] == []
    assert len({page.name[:4] for page in pages}) == len(pages) >= 1
    assert [page.name for page in pages if not page.read_text("utf-8").startswith(f"# {page.name[:4]}: ")] == []


def test_map_names_every_room() -> None:
    """docs/map.md is the house on one page: every module of the package stands in it."""
    text = (ROOT / "docs" / "map.md").read_text("utf-8")
    modules = [p for p in (ROOT / "src" / "enlarger").rglob("*.py") if p.name != "__init__.py"]
    assert [p.name for p in modules if p.name not in text] == []


def test_changelog_has_the_version() -> None:
    import enlarger

    assert f"[{enlarger.__version__}]" in (ROOT / "CHANGELOG.md").read_text("utf-8")


def test_every_test_that_the_page_on_bad_inputs_names_is_there() -> None:
    """docs/reliability.md names tests as `word::test`, and says which file each word stands for."""
    page = (ROOT / "docs" / "reliability.md").read_text("utf-8")
    files = {word: ROOT / "docs" / link for word, link in re.findall(r"`(\w+)`(?: stands)? for\s+\[[^]]+\]\(([^)]+)\)", page)}
    named = re.findall(r"`(\w+)::(test_\w+)`", page)
    assert len(named) > 60
    assert sorted(f"{word}::{test}" for word, test in named if f"def {test}(" not in files[word].read_text("utf-8")) == []
