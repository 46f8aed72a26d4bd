"""What may lie in the repository: nothing that ties it to one machine, one registry or one moment."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NOT_OURS = ("__pycache__", "build", "dist", "node_modules")  # what a tree without git may hold besides (dotted names too)
BINARY = {
    ".jpg",
    ".jpeg",
    ".png",
    ".webp",
    ".tif",
    ".tiff",
    ".avif",
    ".gif",
    ".bmp",
    ".ppm",
    ".npy",
    ".npz",
    ".bin",
    ".icc",
    ".zip",
    ".safetensors",
}
MAX_BYTES = 3_000_000

# Put together here so that this file does not trip over itself.
REGISTRY_HOSTS = re.compile("|".join((r"pypi\." + "org", r"python" + r"hosted\.org", r"npm" + r"js\.(org|com)", r"deb\." + r"debian\.org")))
WORKPLACE = re.compile(r"(?<![\w.~-])/(?:" + "|".join(("work", "home", "root", "Users", "mnt", "tmp", "opt")) + r")/[\w.-]")
LINK = re.compile(r"!?\[[^\]]*\]\(([^()\s]+)\)")
PIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*==[0-9][0-9A-Za-z.+!]*")


def our_files() -> list[Path]:
    """Tracked files and untracked ones that git would take; of a tree without git, whatever is not a build's or a tool's."""
    command = ["git", "-c", f"safe.directory={ROOT}", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    if (ROOT / ".git").exists():
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
        return sorted(ROOT / name for name in done.stdout.split("\0") if name and (ROOT / name).is_file())
    return sorted(p for p in ROOT.rglob("*") if p.is_file() and not any(map(foreign, p.relative_to(ROOT).parts)))


def foreign(part: str) -> bool:
    return part in NOT_OURS or (part.startswith(".") and part != ".ci")


def texts() -> dict[Path, str]:
    return {p: p.read_text("utf-8") for p in our_files() if p.suffix not in BINARY}


def lines_with(pattern: re.Pattern[str], files: dict[Path, str]) -> list[str]:
    numbered = [(p, n, line) for p, text in files.items() for n, line in enumerate(text.splitlines(), 1)]
    return [f"{p.name}:{n}: {line.strip()}" for p, n, line in numbered if pattern.search(line)]


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_the_files_are_found() -> None:
    names = {p.relative_to(ROOT).as_posix() for p in our_files()}
    assert {"README.md", "pyproject.toml", "src/enlarger/__init__.py", ".ci/run", "tests/test_repo_hygiene.py"} <= names


def test_no_registry_is_named() -> None:
    assert lines_with(REGISTRY_HOSTS, texts()) == []


def test_no_path_of_one_machine_is_named() -> None:
    assert lines_with(WORKPLACE, texts()) == []


@pytest.mark.parametrize(
    ("pattern", "bad", "good"),
    [
        (REGISTRY_HOSTS, "index-url = https://" + "pypi" + ".org/simple", "pip install -c constraints.txt ."),
        (WORKPLACE, 'open("' + "/wo" + 'rk/main/x.png")', "../shared/samples and src/wor" + "k/x and https://host/home/x"),
    ],
)
def test_the_patterns_find_what_they_are_for(pattern: re.Pattern[str], bad: str, good: str) -> None:
    assert lines_with(pattern, {ROOT / "planted": bad})
    assert not lines_with(pattern, {ROOT / "planted": good})


def test_relative_links_exist() -> None:
    pages = {p: text for p, text in texts().items() if p.suffix == ".md"}
    assert len(pages) > 5
    dead = []
    for page, text in pages.items():
        for target in LINK.findall(re.sub(r"```.*?```", "", text, flags=re.DOTALL)):
            if not re.match(r"[a-z]+:", target) and not (page.parent / target.partition("#")[0]).exists():
                dead.append(f"{page.relative_to(ROOT)}: {target}")
    assert dead == []


def test_constraints_are_plain_pins() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    assert [line for line in lines if not PIN.fullmatch(line)] == []
    names = [canonical(line.partition("==")[0]) for line in lines]
    assert len(names) == len(set(names))


def test_every_dependency_is_pinned() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *(line for extra in project["optional-dependencies"].values() for line in extra)]
    names = {canonical(re.match(r"[\w.-]+", line)[0]) for line in wanted} - {"enlarger"}  # type: ignore[index]
    pinned = {canonical(line.partition("==")[0]) for line in (ROOT / "constraints.txt").read_text().splitlines()}
    assert len(names) > 5
    assert sorted(names - pinned) == []


def test_licence_files_are_in_place() -> None:
    licence = (ROOT / "LICENSE").read_text()
    assert licence.split()[:4] == ["Apache", "License", "Version", "2.0,"]
    assert "END OF TERMS AND CONDITIONS" in licence
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["license"] == "Apache-2.0"
    assert all((ROOT / name).stat().st_size for name in project["license-files"])
    notice = (ROOT / "NOTICE").read_text("utf-8")
    missing = [line for line in project["dependencies"] if re.match(r"[\w-]+", line)[0] not in notice]  # type: ignore[index]
    assert missing == []


def test_every_example_has_its_source_and_licence() -> None:
    readme = (ROOT / "examples" / "README.md").read_text()
    pictures = [p.name for p in our_files() if p.parent == ROOT / "examples" and p.suffix in BINARY]
    assert pictures
    assert [name for name in pictures if f"| `{name}` |" not in readme] == []


def test_no_file_is_large() -> None:
    assert [f"{p.relative_to(ROOT)}: {p.stat().st_size}" for p in our_files() if p.stat().st_size > MAX_BYTES] == []
