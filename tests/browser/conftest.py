"""Tests in a real browser: Chromium without a window, where it is installed."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "browser: needs Chromium")


@pytest.fixture
def chromium(tmp_path: Path) -> Callable[..., tuple[str, str]]:
    """Runs Chromium on a file with further arguments; what it printed, and what it complained about."""
    program = next((found for name in NAMES if (found := shutil.which(name))), None)
    if program is None:
        pytest.skip("Chromium is not installed")

    def run(page: Path, *arguments: str) -> tuple[str, str]:
        given = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
            "--virtual-time-budget=3000",
            "--enable-logging=stderr",
        ]
        command = [program, *given, f"--user-data-dir={tmp_path / 'profile'}", *arguments, page.as_uri()]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
        return done.stdout, "\n".join(line for line in done.stderr.splitlines() if "CONSOLE" in line)

    return run
