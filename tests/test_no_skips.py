"""The plugin behind `.ci/run`'s second environment: a skipped test fails, hardware and absent samples are exempt."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

TESTS = """
import pytest

def test_passes(): pass

@pytest.mark.skip(reason="no driver")
def test_skipped(): pass

def test_skips_itself(): pytest.skip("no library")

@pytest.fixture
def absent(): pytest.skip("no file")

def test_skipped_by_its_fixture(absent): pass

@pytest.mark.xfail(reason="known", strict=True)
def test_expected_failure(): assert False

@pytest.mark.gpu
def test_hardware(): pytest.skip("no GPU")

@pytest.mark.samples
def test_samples(absent): pass
"""

MARKERS = "[pytest]\nmarkers =\n    gpu: hardware\n    samples: pictures\n"


def closing_line(folder: Path, *arguments: str, samples: str | None = None) -> tuple[int, str]:
    environment = {name: value for name, value in os.environ.items() if name not in ("ENLARGER_SAMPLES", "PYTEST_ADDOPTS")}
    environment |= {"PYTHONPATH": str(ROOT)} | ({"ENLARGER_SAMPLES": samples} if samples else {})
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout.strip().splitlines()[-1].strip("= ").partition(" in ")[0]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "pytest.ini").write_text(MARKERS)
    (tmp_path / "test_some.py").write_text(TESTS)
    return tmp_path


def test_without_it_skips_are_skips(folder: Path) -> None:
    assert closing_line(folder) == (0, "1 passed, 5 skipped, 1 xfailed")


def test_skips_fail(folder: Path) -> None:
    assert closing_line(folder, "-p", "tests.plugins.no_skips") == (1, "1 failed, 1 passed, 1 skipped, 1 deselected, 1 xfailed, 2 errors")


def test_samples_count_when_they_are_there(folder: Path) -> None:
    assert closing_line(folder, "-p", "tests.plugins.no_skips", samples="/")[1] == "1 failed, 1 passed, 1 skipped, 1 xfailed, 3 errors"


def test_a_module_that_skips_as_a_whole_fails(tmp_path: Path) -> None:
    (tmp_path / "test_whole.py").write_text("import pytest\npytest.importorskip('no_such_module')\ndef test_nothing(): pass\n")
    assert closing_line(tmp_path) == (5, "1 skipped")
    assert closing_line(tmp_path, "-p", "tests.plugins.no_skips")[0] not in (0, 5)
