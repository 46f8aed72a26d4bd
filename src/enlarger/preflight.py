"""Preflight: is there room for what a plan needs? Asked before any pixel is enlarged."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from enlarger.errors import DiskFullError, OutOfMemoryError
from enlarger.image import Header
from enlarger.report import Plan
from enlarger.scratch import scratch_folder

MARGIN = 16 * 10**6
"""Bytes of disk that are left alone."""


def check_room(plan: Plan, output: Path | None, work: Path | None) -> None:
    """Raise :class:`DiskFullError` or :class:`OutOfMemoryError` when the estimate of ``plan`` is more than what is free.

    ``work`` is the work folder: what an interrupted run left there needs no room again. A result in memory (``output`` is
    ``None``) keeps large canvases in the folder for temporary files.
    """
    memory = free_memory()
    if memory is not None and plan.estimate.memory > memory:
        raise OutOfMemoryError(
            f"about {size(plan.estimate.memory)} of memory would be needed, {size(memory)} are free", hint=_less_memory(plan)
        )
    temporary = plan.estimate.disk_temporary
    if output is None or work is None:
        needs = [(scratch_folder(), temporary)] if temporary else []
    else:
        place, final = work.parent, plan.estimate.disk_output
        temporary = max(0, temporary - taken(work))
        same = place.stat().st_dev == output.parent.stat().st_dev
        needs = [(output.parent, temporary + final)] if same else [(place, temporary), (output.parent, final)]
    for folder, needed in needs:
        free = shutil.disk_usage(folder).free
        if needed + MARGIN > free:
            raise DiskFullError(
                f"about {size(needed)} of disk would be needed ({size(temporary)} of it for the work in progress), {size(free)} are free",
                hint="free some space, or choose another place with --output or --temp",
                subject=str(folder),
            )


def check_decoding(header: Header, allowed: int) -> None:
    """Raise :class:`OutOfMemoryError` for a source that is decoded whole and takes more than ``allowed`` bytes, or than are free."""
    if not header.at_once:
        return
    free = free_memory()
    if header.at_once > allowed:
        limit, advice = f"--memory allows {size(allowed)}", "raise --memory, or "
    elif free is not None and header.at_once > free:
        limit, advice = f"{size(free)} are free", "close other programs, or "
    else:
        return
    raise OutOfMemoryError(
        f"decoding this {header.format.upper()} takes about {size(header.at_once)} at once, {limit}",
        hint=f"{advice}convert it first to what is decoded in rows: TIFF, PNG that is not interlaced, or baseline JPEG of one scan",
        subject=header.name,
    )


def _less_memory(plan: Plan) -> str:
    if plan.output.format in ("webp", "avif"):
        return f"{plan.output.format} is encoded whole: choose --format jpeg, png or tiff, or a smaller --scale"
    return "lower --memory, or close other programs"


def taken(folder: Path) -> int:
    """Bytes of disk under ``folder``; 0 when it is not there."""
    try:
        return sum(entry.stat().st_size for entry in os.scandir(folder) if entry.is_file())
    except FileNotFoundError:
        return 0


def free_memory() -> int | None:
    """Bytes of memory that this process may still take: what the system has, within the limit of its control group.

    ``None`` where the system does not say (not Linux).
    """
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    amounts = {line.split(":")[0]: int(line.split()[1]) * 1024 for line in lines if line.endswith("kB")}
    free = amounts["MemAvailable"] + amounts.get("SwapFree", 0)
    try:
        limit = Path("/sys/fs/cgroup/memory.max").read_text().strip()
        used = int(Path("/sys/fs/cgroup/memory.current").read_text())
    except (OSError, ValueError):
        return free
    return free if limit == "max" else min(free, int(limit) - used)


def size(amount: int) -> str:
    """Bytes as people say them (kB = 1000 bytes)."""
    return f"{amount / 1e9:.1f} GB" if amount >= 10**9 else f"{max(amount, 0) / 1e6:.0f} MB"
