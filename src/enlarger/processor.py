"""The processor: which instructions it has. Plans, engines and reports ask here, and never a clock, which answers differently each time."""

from __future__ import annotations

import platform
from functools import cache
from pathlib import Path

FOR_INTEGERS = frozenset({"avx512_vnni", "avx_vnni", "asimddp"})
"""Instructions that multiply and add 8-bit integers four at a time, by their names on Linux."""


@cache
def flags() -> frozenset[str]:
    """Instruction sets of this CPU as Linux names them; elsewhere a cautious guess by architecture."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(errors="replace").splitlines():
            if line.startswith(("flags", "Features")):
                return frozenset(line.split(":", 1)[1].split())
    if platform.system() == "Darwin" and platform.machine() == "arm64":
        return frozenset({"asimd", "asimddp"})  # as every Mac of that kind has
    return frozenset({"avx2", "asimd"})


def likes_integers() -> bool:
    """Whether nets in 8-bit integers are faster than in floats."""
    return not FOR_INTEGERS.isdisjoint(flags())
