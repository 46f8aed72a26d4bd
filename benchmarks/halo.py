"""How much context tiles need: halo and feather against the untiled answer. The table of ``docs/decisions/0003``.

    python benchmarks/halo.py [--model realesrgan-x4plus] [--halos 16 24 32 33 34 40] [--feathers 0 4 8]

Three photographs of scikit-image (crops of 256 x 256) are enlarged in one piece and in 2 x 2 tiles by the code that users run
(``steps/enlarge.py``), on 16-bit canvases. Differences are in units of 1/255 of the range:

``mean``, ``max``  of the whole crop. Every pixel of it is within 64 source pixels of a cut; real tiles are far larger.
``seam``           gradient energy across the two cut lines over the mean of the lines 4, 8 and 12 output pixels to either side
                   (the same phase of the net's lattice), over the same ratio in the untiled answer: 1 means that nothing shows.
``extra``          work added by halos on a picture of 4096 x 4096 with ``--memory 2GB``: what the planner would really do.
"""

from __future__ import annotations

import argparse
import itertools

import numpy as np
from common import machine, row, save
from numpy.typing import NDArray
from skimage import data

from enlarger.canvas import Canvas
from enlarger.engines import find
from enlarger.engines.engine import ModelSpec, TileEngine
from enlarger.image import Samples, Tile
from enlarger.steps import tiles
from enlarger.steps.enlarge import enlarge_by_tiles

SIDE, PARTS = 256, 2
CROPS = {"astronaut": (100, 150), "chelsea": (20, 60), "coffee": (50, 100)}
MEAN, SEAM, EXTRA = 0.3, 0.02, 0.40
"""What the trade must keep to: mean difference of 255, deviation of a seam from 1, share of extra work."""


class Remembering:
    """A tile engine that computes each tile once: feather changes what is kept of an answer, not the answer."""

    def __init__(self, engine: TileEngine) -> None:
        self.engine = engine
        self.seen: dict[bytes, Tile] = {}

    def __call__(self, tile: Tile) -> Tile:
        key = repr(tile.shape).encode() + tile.tobytes()
        if key not in self.seen:
            self.seen[key] = self.engine(tile)
        return self.seen[key]

    def close(self) -> None:
        self.engine.close()


def photograph(name: str) -> Samples:
    y, x = CROPS[name]
    return np.ascontiguousarray(getattr(data, name)()[y : y + SIDE, x : x + SIDE, :3])


def enlarged(samples: Samples, parts: int, halo: int, feather: int, model: ModelSpec, engine: TileEngine) -> NDArray[np.float32]:
    """``samples`` through the real loop, in ``parts`` x ``parts`` tiles; in units of 1/255."""
    height, width, bands = samples.shape
    with Canvas(width * model.scale, height * model.scale, bands, np.uint16) as canvas:
        enlarge_by_tiles(samples, False, tiles.Grid(width, height, parts, parts, halo, feather), model, engine, canvas, lambda *_: None)
        return canvas.samples().astype(np.float32) / 257


def energies(picture: NDArray[np.float32], line: int) -> tuple[float, float]:
    """Gradient energy across column ``line``, and its mean at the same phase of the lattice, 4 to 12 pixels to either side."""
    energy = ((picture[:, 1:] - picture[:, :-1]) ** 2).mean(axis=(0, 2))
    return float(energy[line - 1]), float(np.mean([energy[line - 1 + step] for step in (-12, -8, -4, 4, 8, 12)]))


def seam(picture: NDArray[np.float32], line: int) -> float:
    """Energy across the vertical and the horizontal cut of a picture, over that beside them."""
    at, beside = np.sum([energies(turned, line) for turned in (picture, picture.swapaxes(0, 1))], axis=0)
    return float(at / beside)


def extra_work(model: ModelSpec, halo: int, feather: int) -> float:
    """Share of work that halos add on a large picture with 2 GB."""
    most = (2 * 10**9 - model.memory_fixed) // model.memory_per_pixel
    return tiles.plan_grid(4096, 4096, halo=halo, feather=feather, max_read=most).work - 1


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", default="realesrgan-x4plus")
    parser.add_argument("--halos", type=int, nargs="+", default=[16, 24, 32, 33, 34, 40])
    parser.add_argument("--feathers", type=int, nargs="+", default=[0, 4, 8])
    arguments = parser.parse_args()

    about = machine()
    engine = find("ncnn")
    model = next(model for model in engine.models() if model.id == arguments.model)
    net = Remembering(engine.open(model, engine.device("cpu", None), engine.spec.settings()))
    line = SIDE // PARTS * model.scale
    pictures = {name: photograph(name) for name in CROPS}
    untiled = {name: enlarged(picture, 1, 0, 0, model, net) for name, picture in pictures.items()}
    rows = []
    for halo, feather in itertools.product(arguments.halos, arguments.feathers):
        if feather > halo:
            continue
        means, worst, ratios = [], [], []
        for name, picture in pictures.items():
            tiled = enlarged(picture, PARTS, halo, feather, model, net)
            difference = np.abs(tiled - untiled[name])
            means.append(float(difference.mean()))
            worst.append(float(difference.max()))
            ratios.append(seam(tiled, line) / seam(untiled[name], line))
        off = max(abs(ratio - 1) for ratio in ratios)
        extra = extra_work(model, halo, feather)
        label = f"{model.id}, halo {halo}, feather {feather}"
        rows += [
            row(f"{label}: mean difference", "of 255", means, better="lower", target=MEAN),
            row(f"{label}: largest difference", "of 255", worst),
            row(f"{label}: seam", "ratio to untiled", ratios),
            row(f"{label}: largest deviation of a seam", "share", [off], better="lower", target=SEAM),
            row(f"{label}: extra work with 2 GB", "share", [extra], better="lower", target=EXTRA),
        ]
        shown = [f"{halo} | {feather}", *("/".join(f"{value:.2f}" for value in values) for values in (means, worst))]
        print(f"| {' | '.join(shown)} | {' '.join(f'{ratio:.3f}' for ratio in ratios)} | {extra:.0%} |", flush=True)
    print(save(f"halo-{model.id}", about, rows, (f"Crops of {SIDE} x {SIDE} in {PARTS} x {PARTS} tiles: {', '.join(CROPS)}.",)))


if __name__ == "__main__":
    main()
