"""CONTRIBUTING's walk through adding an engine, taken: its own text is installed as a package and used."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parents[1]


def block(language: str, title: str) -> str:
    """The first code block in ``language`` after the words ``title``."""
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    found = re.search(rf"```{language}\n(.*?)^```$", text[text.index(title) :], re.DOTALL | re.MULTILINE)
    assert found
    return found[1]


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds the example as ``pip install`` would leave it: a module, its metadata and its entry point."""
    folder = tmp_path_factory.mktemp("site")
    project = tomllib.loads(block("toml", "**1. A package.**"))["project"]
    info = folder / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    lines = [f"[{group}]\n" + "".join(f"{k} = {v}\n" for k, v in names.items()) for group, names in project["entry-points"].items()]
    (info / "entry_points.txt").write_text("\n".join(lines))
    (folder / "enlarger_blocks.py").write_text(block("python", "**2. The engine.**"))
    (folder / "test_blocks.py").write_text(block("python", "**3. Does it keep the contract?**"))
    return folder


def run(package: Path, *words: str) -> str:
    environment = os.environ | {"PYTHONPATH": str(package)}
    done = subprocess.run([sys.executable, *words], cwd=package, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_its_test_suite_passes(package: Path) -> None:
    assert "3 passed" in run(package, "-m", "pytest", "-p", "no:cacheprovider", "--rootdir", ".", "test_blocks.py")


def test_it_keeps_the_contract_by_name(package: Path) -> None:
    run(package, "-m", "enlarger.engines.contract", "blocks")


def test_it_is_listed(package: Path) -> None:
    rows = json.loads(run(package, "-m", "enlarger", "engines", "--json"))
    assert [row["models"] for row in rows if row["name"] == "blocks"] == [["blocks-x2", "blocks-x3", "blocks-x4"]]


def test_it_enlarges(package: Path) -> None:
    sprite = np.random.default_rng(1).integers(0, 256, (9, 7, 4), np.uint8)
    sprite[:, :, 3] = 255
    Image.fromarray(sprite).save(package / "sprite.png")
    run(package, "-m", "enlarger", "sprite.png", "--model", "blocks-x3", "--scale", "3", "--resemblance", "0")
    with Image.open(package / "sprite-3x.png") as result:
        assert np.array_equal(np.asarray(result), sprite.repeat(3, 0).repeat(3, 1))
