"""What skipping flat areas gains, and what it changes: product shots with 60 % and 85 % of plain ground.

    python benchmarks/flat.py [--runs 3] [--side 1024] [--pictures FOLDER] [--output FILE] [--note TEXT ...]

An ellipse cut out of one of scikit-image's pictures (edges antialiased) stands on plain ground: white, grey, gently shaded, or with grain.
Each picture is enlarged by the loop that users run (``steps/enlarge.py``), in full and with flat areas resampled, in turn. Times are
of that stage: the map of flat areas, the net, resampling, rounding and the canvas. Decoding, the lock and encoding come on top and are
the same for both.

Agreement is PSNR between the two results on 16-bit canvases: as the net answers, and after plain back-projection (5 rounds), which is
what the colour lock does to a clean source.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from common import Row, alternately, describe, machine, ratios, row, save
from numpy.typing import NDArray
from PIL import Image
from skimage import data

from enlarger.canvas import Canvas
from enlarger.engines import find
from enlarger.engines.engine import ModelSpec, TileEngine
from enlarger.image import Box, Samples
from enlarger.pixels.scaling import Planes, Sizes, planes_of
from enlarger.steps.enlarge import Tally, enlarge_by_tiles
from enlarger.steps.flat import flat_map
from enlarger.steps.tiles import Grid, plan_grid

MODEL = "realesr-animevideov3-x4"
TARGETS = {60: 1.6, 85: 3.0}
AGREEMENT = 50.0
GROUNDS = ("white", "grey", "shaded", "grainy")
PRODUCTS = {"white": "coffee", "grey": "astronaut", "shaded": "chelsea", "grainy": "coffee"}


def ground(kind: str, side: int) -> NDArray[np.float64]:
    """``(side, side, 3)`` from 0 to 255; "shaded" falls by 20 levels from top to bottom, "grainy" has noise of 0.8 levels."""
    levels = {"white": 255.0, "grey": 236.0, "shaded": 240.0, "grainy": 228.0}
    plain = np.full((side, side, 3), levels[kind])
    if kind == "shaded":
        plain -= np.linspace(0, 20, side)[:, None, None]
    return plain


def product_shot(kind: str, background: int, side: int) -> Samples:
    """An ellipse of ``100 - background`` per cent of the area, a little off the middle, so that it straddles tiles."""
    picture = Image.fromarray(getattr(data, PRODUCTS[kind])()[..., :3])
    tall, wide = (side * np.sqrt((1 - background / 100) / np.pi * ratio) for ratio in (1.25, 0.8))
    if max(tall, wide) > 0.49 * side:
        tall = wide = side * np.sqrt((1 - background / 100) / np.pi)
    shown = picture.resize((side, side), Image.Resampling.LANCZOS)
    y, x = np.mgrid[:side, :side] + 0.5
    off = 0.02 * side
    distance = (np.hypot((y - side / 2 + off) / tall, (x - side / 2 - off) / wide) - 1) * min(tall, wide)
    inside = np.clip(0.5 - distance, 0, 1)[..., None]
    mixed = inside * np.asarray(shown, np.float64) + (1 - inside) * ground(kind, side)
    if kind == "grainy":
        mixed += np.random.default_rng(1).normal(0, 0.8, mixed.shape)
    return np.ascontiguousarray(np.clip(np.floor(mixed + 0.5), 0, 255).astype(np.uint8))


def enlarged(samples: Samples, model: ModelSpec, engine: TileEngine, grid: Grid, skip: bool, noise: float) -> tuple[float, Samples, Tally]:
    """Seconds of the stage, its result and its tally."""
    height, width, bands = samples.shape
    with Canvas(width * model.scale, height * model.scale, bands, np.uint16) as canvas:
        start = time.perf_counter()
        flat = flat_map(samples, False, model.halo, (noise,) * bands) if skip else None
        tally = enlarge_by_tiles(samples, False, grid, model, engine, canvas, lambda *_: None, flat=flat)
        spent = time.perf_counter() - start
        return spent, canvas.samples().copy(), tally


def locked(result: Samples, samples: Samples) -> Planes:
    """``result`` after 5 rounds of ``y <- y + U(x - D(y))``."""
    (height, width), (high, wide) = samples.shape[:2], result.shape[:2]
    sizes = Sizes(width, height, wide, high)
    source, y = planes_of(samples, 3), planes_of(result, 3)
    for _ in range(5):
        y += sizes.enlarged(source - sizes.reduced_rows(y, 0, 0, height), (0, 0), Box(0, 0, wide, high))
    return np.clip(y, 0, 1)


def psnr(a: NDArray[np.floating], b: NDArray[np.floating]) -> float:
    return float(-10 * np.log10(max(1e-12, np.mean((a.astype(np.float64) - b) ** 2))))


def rows_of(kind: str, background: int, asked: argparse.Namespace, model: ModelSpec, engine: TileEngine) -> list[Row]:
    samples = product_shot(kind, background, asked.side)
    grid = plan_grid(asked.side, asked.side, halo=model.halo, feather=model.feather, max_read=asked.most, min_side=model.min_side)
    noise = 0.8 / 255 if kind == "grainy" else 0.0
    kept: dict[bool, tuple[Samples, Tally]] = {}

    def task(skip: bool) -> Callable[[], float]:
        def go() -> float:
            seconds, result, tally = enlarged(samples, model, engine, grid, skip, noise)
            kept[skip] = result, tally
            return seconds

        return go

    full, skipping = alternately(asked.runs, task(False), task(True))
    (whole, _), (quick, tally) = kept[False], kept[True]
    label = f"{background} % {kind} ground"
    share = f"{tally.flat} of {len(grid)} tiles without the net, {tally.flat_pixels / samples[..., 0].size:.0%} of the source resampled"
    a, b = locked(whole, samples), locked(quick, samples)
    if asked.pictures:
        asked.pictures.mkdir(parents=True, exist_ok=True)
        for name, planes in (("full", a), ("skip", b)):
            Image.fromarray((planes.transpose(1, 2, 0) * 255 + 0.5).astype(np.uint8)).save(
                asked.pictures / f"{kind}-{background}-{name}.png"
            )
        for name, raw in (("full", whole), ("skip", quick)):
            Image.fromarray((raw / 257 + 0.5).astype(np.uint8)).save(asked.pictures / f"{kind}-{background}-{name}-raw.png")
    return [
        row(f"{label}: full", "s", full),
        row(f"{label}: skipping", "s", skipping, note=share),
        row(f"{label}: times faster", "x", ratios(full, skipping), better="higher", target=TARGETS[background]),
        row(f"{label}: agreement, raw", "dB", [psnr(whole / 65535, quick / 65535)]),
        row(f"{label}: agreement, locked", "dB", [psnr(a, b)], better="higher", target=AGREEMENT),
        row(f"{label}: largest difference, locked", "of 255", [float(np.abs(a - b).max() * 255)]),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default=MODEL)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--side", type=int, default=1024)
    parser.add_argument("--most", type=int, default=800_000, help="pixels of the largest tile with its halo")
    parser.add_argument("--grounds", nargs="+", choices=GROUNDS, default=GROUNDS)
    parser.add_argument("--pictures", type=Path, help="folder for the results as PNG")
    parser.add_argument("--output", type=Path, help="result file; by default results/flat-DATE.json")
    parser.add_argument("--note", nargs="+", default=[], help="what a reader should know of this run")
    asked = parser.parse_args()
    about, rows = machine(), []
    spec = find("ncnn")
    model = next(m for m in spec.models() if m.id == asked.model)
    engine = spec.open(model, spec.device("cpu", None), spec.spec.settings())
    engine(np.zeros((256, 256, 3), np.float32))  # the first call sets up pools
    for background in TARGETS:
        for kind in asked.grounds:
            for line in rows_of(kind, background, asked, model, engine):
                print(describe(line), line.note, flush=True)
                rows.append(line)
    notes = (
        f"{model.id}, sources of {asked.side} x {asked.side}, times of the stage, full and skipping in turn.",
        "Ellipses cut out of scikit-image's coffee, astronaut and chelsea on plain ground.",
    )
    print(save("flat", about, rows, (*notes, *asked.note), asked.output))


if __name__ == "__main__":
    main()
