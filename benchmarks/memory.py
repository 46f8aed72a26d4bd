"""Peak anonymous memory by size of the output: it must not grow with it.

Counts RssAnon + RssShmem over the process tree, sampled every 20 ms: what a run takes from others. Pages of mapped files do not
count, the system takes those back when it needs them.

    python -m benchmarks.memory                          # resample, up to 32768 x 32768 (4 GB of disk, minutes)
    python -m benchmarks.memory --model realesr-animevideov3-x4 --largest 16384
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from common import Row, machine, row, save
from PIL import Image
from skimage import data

SIDES = {"4K": 4096, "8K": 8192, "16K": 16384, "32K": 32768}


def anonymous(root: int) -> int:
    """Bytes of RssAnon + RssShmem of process ``root`` and all its descendants."""
    total, queue = 0, [root]
    while queue:
        pid = queue.pop()
        try:
            status = Path(f"/proc/{pid}/status").read_text()
            for task in Path(f"/proc/{pid}/task").iterdir():
                queue += [int(child) for child in (task / "children").read_text().split()]
        except (FileNotFoundError, ProcessLookupError):
            continue
        fields = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
        total += sum(int(fields[name].split()[0]) * 1024 for name in ("RssAnon", "RssShmem") if name in fields)
    return total


def peak(words: list[str]) -> tuple[int, float]:
    """Run a command; its peak of :func:`anonymous` in bytes, and seconds."""
    start, most = time.perf_counter(), 0
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        while process.poll() is None:
            most = max(most, anonymous(process.pid))
            time.sleep(0.02)
        error = process.stderr.read() if process.stderr else ""
    if process.returncode:
        raise SystemExit(f"{' '.join(words)} failed with {process.returncode}: {error}")
    return most, time.perf_counter() - start


def photograph(side: int, path: Path) -> None:
    """A photograph of ``side`` x ``side``, uncompressed: the astronaut side by side, each copy a little darker."""
    tile = data.astronaut()
    times = -(-side // 512)
    dim = np.linspace(1, 0.6, times * times).reshape(times, times)
    rows = [np.concatenate([(tile * k).astype(np.uint8) for k in row], 1) for row in dim]
    Image.fromarray(np.concatenate(rows, 0)[:side, :side]).save(path)


def measure(model: str, formats: list[str], sides: dict[str, int], folder: Path) -> list[Row]:
    rows: list[Row] = []
    for format in formats:
        first = 0
        for name, side in sides.items():
            if format == "jpeg" and side > 65500:
                continue
            source = folder / f"{side}.tif"
            if not source.exists():
                photograph(side // 4, source)
            output = folder / f"out.{format}"
            words = [sys.executable, "-m", "enlarger", str(source), "-o", str(output), "--format", format, "--overwrite", "--quiet"]
            most, seconds = peak([*words, "--model", model, "--device", "cpu"])
            output.unlink()
            first = first or most
            note = f"{seconds:.0f} s, {most / first:.2f} of {next(iter(sides))}"
            target = None if name != "16K" else (300 if model in ("lanczos3", "bicubic", "bilinear", "nearest") else 1000)
            rows.append(row(f"{model} {format} {name}", "MB", [most / 1e6], better="lower" if target else "", target=target, note=note))
            print(f"{rows[-1].name:45} {most / 1e6:7.0f} MB  {note}", flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="lanczos3")
    parser.add_argument("--formats", default="jpeg,png,tiff")
    parser.add_argument("--largest", type=int, default=32768)
    parser.add_argument("--folder", type=Path, help="where pictures go; needs up to 8 GB, and must not be in memory")
    options = parser.parse_args()
    sides = {name: side for name, side in SIDES.items() if side <= options.largest}
    here = machine()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        rows = measure(options.model, options.formats.split(","), sides, Path(folder))
    notes = ["The picture is the astronaut tiled and dimmed; the source is an uncompressed TIFF."]
    print(save(f"memory-{options.model}", here, rows, notes))


if __name__ == "__main__":
    main()
