"""What a process holds after blocks were let go of. In processes of their own: limits of the heap are set once and for all."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

WORK = """
import sys
import numpy as np
from enlarger import heap

def resident():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) // 1000 for line in status if line.startswith("RssAnon"))

said = heap.steady() if "steady" in sys.argv else None
np.ones(31_000_000, np.uint8)
before, kept = resident(), []
for millions in range(18, 30):  # tiles that grow a little, each with something small that lives longer than it
    tile = np.ones(millions * 1_000_000, np.uint8)
    kept.append(np.ones(60_000, np.uint8))
    del tile
if "trim" in sys.argv:
    heap.trim()
print(said, resident() - before)
"""


def growth(*words: str, **variables: str) -> tuple[str, int]:
    """What :func:`heap.steady` said, and by how many MB the process grew."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_"))}
    done = subprocess.run([sys.executable, "-c", WORK, *words], env={**own, **variables}, capture_output=True, text=True, check=True)
    said, grown = done.stdout.split()
    return said, int(grown)


@pytest.mark.skipif(sys.platform != "linux", reason="it is about glibc")
def test_tiles_that_are_let_go_of_leave_the_process() -> None:
    assert growth()[1] > 30  # else this test would say nothing
    said, grown = growth("steady")
    assert said == "True"
    assert grown < 10


@pytest.mark.skipif(sys.platform != "linux", reason="it is about glibc")
def test_trimming_gives_back_what_is_free() -> None:
    assert growth("trim")[1] < 10


@pytest.mark.skipif(sys.platform != "linux", reason="it is about glibc")
def test_whoever_started_the_process_has_the_last_word() -> None:
    assert growth("steady", MALLOC_ARENA_MAX="4")[0] == "False"
