"""What a shape of net is worth: decibels against milliseconds, each trained from nothing for the same few steps, timed as it will be run.

python -m training.shapes --photos DIR --run DIR --out FILE.json: a table of several shapes of about the same cost. Few steps tell which
learns faster, which need not be the one that ends higher; so a shape is worth a long run only where it leads clearly.
"""

import argparse
import json
import os
import tempfile
import time
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch

from training import evaluate, ncnn_files
from training.config import recipes
from training.nets import Compact, Shape
from training.photos import Cache
from training.train import Run, train

SHAPES = (
    Shape(4, 64, 16),
    Shape(4, 64, 16, "bicubic"),
    Shape(4, 48, 28),
    Shape(4, 80, 10),
    Shape(4, 96, 7),
    Shape(4, 96, 7, "bicubic"),
    Shape(4, 96, 7, "bicubic", slopes="one"),
    Shape(4, 128, 4, "bicubic", slopes="one"),
)
SIDE = 256  # pixels of the source that is timed
ROUNDS = 7


def milliseconds(nets: list[Compact], threads: int, rounds: int = ROUNDS) -> list[float]:
    """Median time of each net on one source of SIDE x SIDE through ncnn, taken in turns so that a busy machine is busy for all."""
    ncnn: Any = import_module("ncnn")
    x = np.random.default_rng(0).random((3, SIDE, SIDE), dtype=np.float32)
    opened, taken = [], [[0.0] * rounds for _ in nets]
    with tempfile.TemporaryDirectory() as folder:
        for net in nets:
            param, binary = Path(folder, "net.param"), Path(folder, "net.bin")
            ncnn_files.write(net, param, binary)
            loaded = ncnn.Net()
            loaded.opt.num_threads = threads
            if loaded.load_param(str(param)) or loaded.load_model(str(binary)):
                raise RuntimeError(f"ncnn cannot load a net of {net.shape}")
            opened.append(loaded)
    for turn in range(rounds):
        for loaded, times in zip(opened, taken, strict=True):
            extractor = loaded.create_extractor()
            begun = time.perf_counter()
            extractor.input("data", ncnn.Mat(x).clone())
            code, _ = extractor.extract("output")
            times[turn] = 1000 * (time.perf_counter() - begun)
            if code:
                raise RuntimeError(f"ncnn gave no answer ({code})")
    return [float(np.median(times)) for times in taken]


def table(
    photos: Path, folder: Path, steps: int, threads: int, shapes: tuple[Shape, ...] = SHAPES, crop: int = 24
) -> list[dict[str, object]]:
    """One row per shape: what it is, its parameters, Set14 after `steps` steps, and milliseconds. `folder` holds the runs and the cache.

    Crops are `crop` source pixels a side, smaller than those of the nets that are shipped: more steps in the same time.
    """
    cache = Cache(photos, folder / "cache")
    nets, rows = [], []
    for shape in shapes:
        name = f"{shape.channels}x{shape.blocks}-{shape.skip}{'-one' if shape.slopes == 'one' else ''}"
        asked = {"channels": shape.channels, "blocks": shape.blocks, "skip": shape.skip, "slopes": shape.slopes, "crop": crop}
        brief = {"start": "nothing", "rate": 1e-3, "muon": 0.01, "steps": steps, "decay": steps // 3, "decay_loss": "l1", "ema": 0.98}
        recipe = replace(recipes()["photo-prelu-x4"], name=name, **asked, **brief)  # type: ignore[arg-type]
        run = Run(recipe, folder / name)
        if run.state.exists():
            run.load(run.state)
        train(run, cache, measure=False)
        pictures = evaluate.published(evaluate.samples_folder() / "set14", 4)
        found = evaluate.measure(evaluate.with_net(run.average), pictures, 4)
        nets.append(run.average)
        rows.append({"net": name, "parameters": sum(p.numel() for p in run.average.parameters()), "steps": run.step, **found})
    for row, taken in zip(rows, milliseconds(nets, threads), strict=True):
        row["milliseconds"] = round(taken, 1)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m training.shapes", description=__doc__)
    parser.add_argument("--photos", type=Path, default=os.environ.get("ENLARGER_TRAINING"), help="folder of the photo sets")
    parser.add_argument("--run", type=Path, required=True, help="folder outside the repository for the runs")
    parser.add_argument("--steps", type=int, default=3000, help="of training, for each")
    parser.add_argument("--crop", type=int, default=24, help="source pixels per side of a crop")
    parser.add_argument("--threads", type=int, default=int(os.environ.get("OMP_NUM_THREADS", "2")))
    parser.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    rows = table(asked.photos, asked.run, asked.steps, asked.threads, crop=asked.crop)
    asked.out.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")
    for row in rows:
        print(row)


if __name__ == "__main__":
    main()
