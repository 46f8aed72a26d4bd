"""Memory and time of every net on this machine's CPU: what the numbers in ``models.toml`` come from.

    python benchmarks/cost.py [MODEL ...]

Each size runs in a process of its own: one engine, two or three tiles; ``peak`` is the highest RssAnon (sampled every 2 ms, the
interpreter included), ``seconds`` the median call on one thread. The line printed last bounds all peaks from above by
``fixed + pixels * per_pixel``, with a margin of a tenth.
"""

from __future__ import annotations

import itertools
import json
import re
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
from scipy.optimize import linprog
from skimage import data

from enlarger.engines import find
from enlarger.engines.engine import Device

SMALL = (64, 128, 256, 384, 512)
SIDES = {
    "realesrgan-x4plus": (64, 128, 256, 384),
    "realesrgan-x4plus-anime": (64, 128, 256, 384),
}
THREADS = (1, 2, 8)


def anonymous() -> int:
    """RssAnon of this process in bytes."""
    match = re.search(r"RssAnon:\s+(\d+) kB", Path("/proc/self/status").read_text(encoding="ascii"))
    assert match is not None
    return int(match[1]) * 1024


def measure(model_id: str, side: int, threads: int, repeats: int) -> dict[str, float]:
    """Peak bytes and median seconds of ``model_id`` on a ``side`` x ``side`` tile. To be called in a fresh process."""
    peak, stop = [0], threading.Event()

    def watch() -> None:
        while not stop.wait(0.002):
            peak[0] = max(peak[0], anonymous())

    picture = np.asarray(data.astronaut()[:side, :side], np.float32) / 255
    engine = find("ncnn")
    model = next(model for model in engine.models() if model.id == model_id)
    watcher = threading.Thread(target=watch)
    watcher.start()
    net = engine.open(model, Device("cpu", threads=threads), engine.spec.settings())
    seconds = []
    for _ in range(repeats):
        begin = time.perf_counter()
        net(picture)
        seconds.append(time.perf_counter() - begin)
    stop.set()
    watcher.join()
    return {"side": side, "threads": threads, "peak": peak[0], "seconds": statistics.median(seconds)}


def bound(rows: list[dict[str, float]]) -> tuple[int, int]:
    """The lowest line above all peaks (least total excess), with a tenth on top: (fixed, per pixel) in bytes."""
    pixels = np.array([row["side"] ** 2 for row in rows])
    peaks = np.array([row["peak"] for row in rows])
    answer = linprog([len(rows), pixels.sum()], A_ub=-np.stack([np.ones(len(rows)), pixels], axis=1), b_ub=-peaks, bounds=[(0, None)] * 2)
    return int(answer.x[0] * 1.1), int(answer.x[1] * 1.1)


def main(wanted: list[str]) -> None:
    from common import machine, row, save  # here, so that a measuring process loads the engine alone

    about, found = machine(), []
    for model in find("ncnn").models():
        if wanted and model.id not in wanted:
            continue
        rows = []
        for side, threads in itertools.product(SIDES.get(model.family, SMALL), THREADS):
            command = [sys.executable, __file__, "--one", model.id, str(side), str(threads), "3" if side < 256 else "2"]
            rows.append(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
            print(model.id, rows[-1], flush=True)
        fixed, per_pixel = bound(rows)
        single = [one for one in rows if one["threads"] == 1]
        for one in rows:
            found.append(row(f"{model.id}: peak, {one['side']:.0f} px square, {one['threads']:.0f} threads", "bytes", [one["peak"]]))
        found += [
            row(f"{model.id}: memory_fixed", "bytes", [fixed]),
            row(f"{model.id}: memory_per_pixel", "bytes", [per_pixel]),
            row(f"{model.id}: cost", "seconds per source pixel on one thread", [one["seconds"] / one["side"] ** 2 for one in single]),
        ]
        print("\n".join(f"{one.name}: {one.value:g}" for one in found[-3:]), flush=True)
    print(save("cost", about, found, ("Bounds and costs of src/enlarger/engines/models.toml.",)))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        name, side, threads, repeats = sys.argv[2:]
        print(json.dumps(measure(name, int(side), int(threads), int(repeats))))
    else:
        main(sys.argv[1:])
