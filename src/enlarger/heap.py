"""Heap: what is let go of goes back to the system, and does not stay as gaps that the next blocks do not fit into.

glibc takes blocks from 128 kB upward straight from the system at first, but every such block that is given back raises that limit, up
to 32 MB. From then on the blobs of a net and the arrays of a tile lie in its heap, between small things that live long: each tile
whose size differs a little finds gaps that are a little too small, and memory grows from tile to tile (399 to 569 MB over a dozen tiles of
enlarger-photo-x4, where 420 are in use). Limits that were set once stay where they are. And every thread gets a heap of its own, with
gaps of its own, unless their number is limited.

All of this holds for the whole process, also for what else runs in it.
"""

from __future__ import annotations

import ctypes
import os
import sys
from functools import cache
from typing import Any

LARGE = 16 * 2**20
"""Bytes from which a block comes from the system and goes back there at once. Strips of pictures are smaller: they are asked for again
in a moment, and fresh pages cost time."""

KEPT = 32 * 2**20
"""Bytes at the end of a heap that are kept for such a moment."""

HEAPS = 2

TRIM_THRESHOLD, MMAP_THRESHOLD, ARENA_MAX = -1, -3, -8
"""Parameters of ``mallopt`` (mallopt(3))."""

OWN_WORDS = ("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "MALLOC_ARENA_MAX", "GLIBC_TUNABLES")
"""Variables by which whoever started the process settles this."""


@cache
def _glibc() -> Any:
    """The C library, if it is the one that all of this is about; else ``None``."""
    if sys.platform != "linux":
        return None
    library = ctypes.CDLL(None)
    return library if hasattr(library, "gnu_get_libc_version") else None


@cache
def steady() -> bool:
    """Set the limits of this process, once; ``False`` where there is no glibc, or somebody else settled them."""
    library = _glibc()
    if library is None or any(name in os.environ for name in OWN_WORDS):
        return False
    return all(library.mallopt(name, value) for name, value in ((MMAP_THRESHOLD, LARGE), (TRIM_THRESHOLD, KEPT), (ARENA_MAX, HEAPS)))


def trim() -> None:
    """Give back what is free by now: at the end of one part of the work, before the next takes other sizes. Milliseconds."""
    library = _glibc()
    if library is not None:
        library.malloc_trim(ctypes.c_size_t(0))
