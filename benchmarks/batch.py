"""What a file costs beyond engine, decoding and encoding when there are many; see README.md beside this file.

``python benchmarks/batch.py [--files N] [--runs N] [--output FILE]``
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import numpy as np
from common import RESULTS, Row, describe, machine, row, save
from PIL import Image

import enlarger
from enlarger import batch

SIDE = 64
TARGET_MS = 15

NOTES = (
    f"{SIDE}x{SIDE} PNG files of noise to 2x PNG by the resample engine, one folder, sources and results on the same disk.",
    "Overhead is the time of the whole run less what the rows name for engine, decode and encode, per file. It is measured with "
    "the three steps one after the other in one thread: overlapped, part of it hides behind other files' work.",
)


class Inline:
    """An executor that does it at once, so that times add up."""

    def __init__(self, *words: object) -> None:
        pass

    def submit(self, task: Callable[..., Any], *words: object) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(task(*words))
        return future

    def __enter__(self) -> Inline:
        return self

    def __exit__(self, *exc: object) -> None:
        pass


def fill(folder: Path, files: int) -> None:
    folder.mkdir()
    noise = np.random.default_rng(0)
    for number in range(files):
        Image.fromarray(noise.integers(0, 256, (SIDE, SIDE, 3), np.uint8)).save(folder / f"{number:05}.png")


def run(source: Path, output: Path) -> tuple[float, list[enlarger.BatchRow]]:
    """Milliseconds per file of a whole run, and its rows."""
    start = time.perf_counter()
    rows = enlarger.enlarge_many([source], output, 2, engine="resample")
    spent = time.perf_counter() - start
    if failed := [row.message for row in rows if row.status == "error"]:
        sys.exit(f"{len(failed)} files failed, the first with: {failed[0]}")
    return 1000 * spent / len(rows), rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--output", type=Path, help=f"result file; by default {RESULTS.name}/batch-DATE.json")
    asked = parser.parse_args()
    values: dict[str, list[float]] = {}
    here, executor = machine(), batch.ThreadPoolExecutor
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        fill(folder / "in", asked.files)
        run(folder / "in", folder / "warm")
        for number in range(asked.runs):
            for what in ("in one thread", "overlapped"):
                batch.ThreadPoolExecutor = executor if what == "overlapped" else Inline
                whole, rows = run(folder / "in", folder / f"{what}-{number}")
                parts = {step: 1000 * sum(r.timings[step] for r in rows) / len(rows) for step in ("engine", "decode", "encode", "plan")}
                values.setdefault(f"whole run, {what}", []).append(whole)
                if what == "in one thread":
                    for step, spent in parts.items():
                        values.setdefault(step, []).append(spent)
                    values.setdefault("overhead", []).append(whole - parts["engine"] - parts["decode"] - parts["encode"])
            again, rows = run(folder / "in", folder / f"overlapped-{number}")
            if {row.status for row in rows} != {"skipped"}:
                sys.exit("what was done already was not skipped")
            values.setdefault("skipping what is done", []).append(again)
    lines: list[Row] = []
    for what, found in values.items():
        target = {"better": "lower", "target": TARGET_MS} if what == "overhead" else {}
        lines.append(row(f"{asked.files} files: {what}, per file", "ms", found, **target))
        print(describe(lines[-1]))
    print(save("batch", here, lines, NOTES, asked.output))


if __name__ == "__main__":
    main()
