"""How many lines of a wide picture libvips holds. In processes of their own: it is told once and for all."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

WIDTH, HEIGHT = 16_000, 800

READ = """
import ctypes, sys
import _libvips
from enlarger.codecs import narrow
if "wide" in sys.argv:
    narrow.narrowed = lambda: False
from enlarger.codecs.vips import each_rows, pyvips
seen = []
each_rows(pyvips.Image.new_from_file(sys.argv[1], access="sequential"), lambda y, rows: seen.append(int(rows.sum())))
library = ctypes.CDLL(_libvips.__file__)
library.vips_tracked_get_mem_highwater.restype = ctypes.c_size_t
print(library.vips_tracked_get_mem_highwater(), sum(seen))
"""


def read(path: Path, *words: str) -> tuple[int, int]:
    """The most that libvips had allocated, in lines of the picture, and the sum of all samples."""
    done = subprocess.run([sys.executable, "-c", READ, str(path), *words], capture_output=True, text=True, check=True)
    most, total = map(int, done.stdout.split())
    return most // (3 * WIDTH), total


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_a_stream_takes_few_lines(tmp_path: Path, suffix: str) -> None:
    row = np.random.default_rng(0).integers(0, 255, (1, WIDTH, 3), np.uint8)
    path = tmp_path / f"wide.{suffix}"
    Image.fromarray(np.repeat(row, HEIGHT, 0)).save(path)
    most, total = read(path)
    before, same = read(path, "wide")
    assert total == same
    assert before > 600  # else this test would say nothing
    assert most < 300
