"""What all tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "samples: needs the sample pictures that ENLARGER_SAMPLES points at (they are not ours to ship)")


@pytest.fixture(scope="session")
def samples() -> Path:
    """The folder of sample pictures; tests that want it are skipped where it is not."""
    folder = os.environ.get("ENLARGER_SAMPLES")
    if not folder:
        pytest.skip("ENLARGER_SAMPLES is not set")
    return Path(folder)
