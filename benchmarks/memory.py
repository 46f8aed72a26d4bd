"""Peak anonymous memory by size of the output: it must not grow with it.

Counts RssAnon + RssShmem over the process tree, sampled every 20 ms: what a run takes from others. Pages of mapped files do not
count, the system takes those back when it needs them.

    python benchmarks/memory.py                          # resample, up to 32768 x 32768 (16 GB of disk, minutes)
    python benchmarks/memory.py --model enlarger-photo-x4 --sizes 4K 8K --formats tiff

A size that was measured on the same day with the same model and format is replaced in the result file; the others stay.
"""

from __future__ import annotations

import argparse
import datetime
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from common import RESULTS, Benchmark, Machine, Row, machine, row, save
from PIL import Image
from skimage import data

SIZES = {
    "4K": (4096, 4096),
    "8K": (8192, 8192),
    "16K": (16384, 16384),
    "32K": (32768, 32768),
    "16K wide": (16384, 2048),
    "32K wide": (32768, 2048),
    "longest JPEG": (65500, 2048),
}
"""Width and height of the results. What memory could follow is the width: rows come and go. A JPEG has 65,500 pixels a side at most."""

KERNELS = ("lanczos3", "bicubic", "bilinear", "nearest")
NOTES = ("The picture is the astronaut tiled and dimmed; the source is an uncompressed TIFF. Colour lock and verify are on.",)


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


def photograph(width: int, height: int, path: Path) -> None:
    """A photograph of ``width`` x ``height``, uncompressed: the astronaut side by side, each copy a little darker."""
    tile = data.astronaut()
    rows, columns = -(-height // 512), -(-width // 512)
    dim = np.linspace(1, 0.6, rows * columns).reshape(rows, columns)
    strips = [np.concatenate([(tile * k).astype(np.uint8) for k in row], 1) for row in dim]
    Image.fromarray(np.concatenate(strips, 0)[:height, :width]).save(path)


def measure(model: str, format: str, name: str, folder: Path) -> Row:
    """One run of the command line in a process of its own."""
    width, height = SIZES[name]
    source, output = folder / "source.tif", folder / f"out.{format}"
    photograph(width // 4, height // 4, source)
    words = [sys.executable, "-m", "enlarger", str(source), "-o", str(output), "--format", format, "--overwrite", "--quiet"]
    most, seconds = peak([*words, "--model", model, "--device", "cpu"])
    output.unlink()
    target = None if name != "16K" else (300 if model in KERNELS else 1000)
    note = f"{width} x {height}, {seconds:.0f} s on a machine that had other work"
    return row(f"{model} {format} {name}", "MB", [most / 1e6], better="lower" if target else "", target=target, note=note)


def kept(suite: str, here: Machine, more: Row) -> Path:
    """Put a row into today's result file of ``suite``, in the order of sizes within formats."""
    today = datetime.datetime.now(datetime.UTC).date()
    path = RESULTS / f"{suite}-{today}.json"
    had = Benchmark.model_validate_json(path.read_text("utf-8")).rows if path.exists() else ()
    rows = [old for old in had if old.name != more.name] + [more]
    names = list(SIZES)
    rows.sort(key=lambda row: (row.name.split()[1], names.index(row.name.split(maxsplit=2)[2])))
    return save(suite, here, rows, NOTES)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="lanczos3")
    parser.add_argument("--formats", nargs="+", default=["jpeg", "png", "tiff"])
    parser.add_argument("--sizes", nargs="+", choices=tuple(SIZES), default=["4K", "8K", "16K", "32K"])
    parser.add_argument("--folder", type=Path, help="where pictures go; needs up to 16 GB, and must not be in memory")
    options = parser.parse_args()
    here = machine()
    for format in options.formats:
        for name in options.sizes:
            with tempfile.TemporaryDirectory(dir=options.folder) as folder:
                found = measure(options.model, format, name, Path(folder))
            print(f"{found.name:45} {found.value:7.0f} MB  {found.note}", flush=True)
            print(kept(f"memory-{options.model}", here, found))


if __name__ == "__main__":
    main()
