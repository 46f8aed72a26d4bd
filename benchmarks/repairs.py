"""How well repairs do: what fills a hole against what was there, and a cut-out's alpha against the true one.

    python benchmarks/repairs.py fill [--pictures FOLDER] [--sheets FOLDER] [--output FILE] [--note TEXT ...]
    python benchmarks/repairs.py cutout [--pictures FOLDER] [--sheets FOLDER] [--output FILE] [--note TEXT ...]

``fill``: marks are laid over scikit-image's pictures (and those of ``--pictures``), so what lies below is known: a line of text, a
date, two wires, a logo, a box, a blob. PSNR inside the mask; whether steps across its border are as large as they were (seams are larger,
blur is smaller); and the mean error of gradients around the border, point by point. The peers are OpenCV's Telea (2004) and Navier-Stokes
(Bertalmio et al. 2001) with a radius of 3.

``cutout``: objects with known alpha stand on plain, shaded and grainy grounds, with and without JPEG. SAD (in thousands of pixels) and MSE
of alpha against OpenCV's GrabCut (Rother et al. 2004), started from a rectangle 2 pixels inside the border, 5 rounds.

Needs opencv-python (for the peers; Enlarger has no use of it) and scikit-image. ``--sheets`` writes a PNG of each case to look at.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import repairs_cutouts
from common import Row, describe, machine, row, save
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from skimage import data

from enlarger.repairs.fill import fill

Samples = NDArray[np.uint8]
Mask = NDArray[np.bool_]

PICTURES = ("astronaut", "brick", "camera", "chelsea", "coffee", "coins", "grass", "gravel", "moon", "motorcycle", "retina", "rocket")
SIDE = 512
KINDS = ("text", "date", "wires", "logo", "box", "blob")
FILLERS = ("enlarger", "telea", "navier-stokes")


# --- filling ----------------------------------------------------------------------------------------------------------


def pictures(folder: Path | None) -> dict[str, Samples]:
    """Grey and RGB pictures, no side above 512."""
    found = {}
    for name in PICTURES:
        made = data.stereo_motorcycle()[0] if name == "motorcycle" else getattr(data, name)()
        found[name] = Image.fromarray(made)
    for path in sorted(folder.glob("*_HR.png")) if folder else ():
        found[path.stem] = Image.open(path)
    return {name: reduced(picture) for name, picture in found.items()}


def reduced(picture: Image.Image) -> Samples:
    picture = picture if picture.mode == "L" else picture.convert("RGB")
    picture.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    samples = np.asarray(picture)
    return np.ascontiguousarray(samples if samples.ndim == 3 else samples[..., None])


def mark(kind: str, height: int, width: int, number: int) -> Mask:
    """``(height, width)``; where each lies depends on ``number``."""
    drawn = Image.new("L", (width, height))
    pen = ImageDraw.Draw(drawn)
    rng = np.random.default_rng(number)
    x, y = (int(rng.integers(low, high)) for low, high in ((width // 6, width // 2), (height // 6, height * 2 // 3)))
    if kind == "text":
        pen.text((width // 12, y), "(c) SAMPLE PICTURE", fill=255, font=ImageFont.load_default(width // 14), stroke_width=1)
    elif kind == "date":
        pen.text((width * 2 // 3, height * 9 // 10), "12.03.98", fill=255, font=ImageFont.load_default(width // 18), stroke_width=1)
    elif kind == "wires":
        pen.line([(0, y), (width, y + height // 8)], fill=255, width=3)
        pen.line([(x, 0), (width - x, height)], fill=255, width=5)
    elif kind == "logo":
        pen.ellipse([x, y, x + 44, y + 44], outline=255, width=8)
        pen.rectangle([x + 56, y + 6, x + 110, y + 16], fill=255)
        pen.rectangle([x + 56, y + 26, x + 96, y + 34], fill=255)
    elif kind == "box":
        pen.rectangle([x, y, x + 59, y + 39], fill=255)
    else:
        pen.ellipse([x, y, x + 56, y + 72], fill=255)
    return np.asarray(drawn) > 0


def by_opencv(method: int) -> Callable[[Samples, Mask], Samples]:
    def run(samples: Samples, mask: Mask) -> Samples:
        made = cv2.inpaint(samples, mask.astype(np.uint8), 3, method)
        return made if made.ndim == 3 else made[..., None]

    return run


def psnr(result: Samples, truth: Samples, mask: Mask) -> float:
    return float(10 * np.log10(255**2 / max(1e-9, np.mean((result[mask].astype(float) - truth[mask]) ** 2))))


def edge_error(result: Samples, truth: Samples, mask: Mask) -> float:
    """Mean length of the difference of gradients (of 255 per pixel) within 2 pixels of the border of the mask."""
    kernel = np.ones((5, 5), np.uint8)
    ring = (cv2.dilate(mask.astype(np.uint8), kernel) > 0) & ~(cv2.erode(mask.astype(np.uint8), kernel) > 0)
    gap = result.astype(float) - truth
    dy, dx = np.zeros_like(gap), np.zeros_like(gap)
    dy[:-1], dx[:, :-1] = np.diff(gap, axis=0), np.diff(gap, axis=1)
    return float(np.sqrt((dy**2 + dx**2).mean(-1))[ring].mean())


def seam_error(result: Samples, truth: Samples, mask: Mask) -> float:
    """How far the mean step between neighbours across the border of the mask is from the truth's, of 255: seams are above, blur below."""
    steps = []
    for samples in (result, truth):
        found = []
        for axis in (0, 1):
            across = np.diff(mask.astype(np.int8), axis=axis) != 0
            found.append(np.abs(np.diff(samples.astype(float), axis=axis)).mean(-1)[across])
        steps.append(float(np.concatenate(found).mean()))
    return abs(steps[0] - steps[1])


def measure_fill(folder: Path | None, sheets: Path | None, kinds: tuple[str, ...]) -> list[Row]:
    fillers = {"enlarger": fill, "telea": by_opencv(cv2.INPAINT_TELEA), "navier-stokes": by_opencv(cv2.INPAINT_NS)}
    seen: dict[tuple[str, str], list[tuple[float, ...]]] = {}
    for number, (name, truth) in enumerate(pictures(folder).items()):
        for kind in kinds:
            mask = mark(kind, *truth.shape[:2], number)
            marked = truth.copy()
            marked[mask] = 255
            results = []
            for who, run in fillers.items():
                start = time.perf_counter()
                results.append(run(marked, mask))
                spent = time.perf_counter() - start
                figures = [measure(results[-1], truth, mask) for measure in (psnr, seam_error, edge_error)]
                seen.setdefault((kind, who), []).append((*figures, spent))
            print(name, kind, *(f"{who} " + " ".join(f"{x:.2f}" for x in seen[kind, who][-1]) for who in fillers), flush=True)
            if sheets:
                write_sheet(sheets / f"fill-{name}-{kind}.png", [truth, marked, *results], mask)
    rows = []
    for who in fillers:
        for kind in (*kinds, "all"):
            figures = [figure for k in (kinds if kind == "all" else (kind,)) for figure in seen[k, who]]
            means = [float(np.mean(column)) for column in zip(*figures, strict=True)]
            rows.append(row(f"{who}: PSNR inside, {kind}", "dB", [means[0]], better="higher", note=f"mean of {len(figures)}"))
            rows.append(row(f"{who}: step across the border, off by, {kind}", "1/255", [means[1]], better="lower"))
            rows.append(row(f"{who}: gradient error at the border, {kind}", "1/255", [means[2]], better="lower"))
            if kind == "all":
                rows.append(row(f"{who}: time", "s", [figure[3] for figure in figures], better="lower"))
    return rows


def write_sheet(path: Path, shown: list[Any], mask: Mask) -> None:
    """Pictures side by side, cut to 24 pixels around the mask."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    y, x = max(0, rows[0] - 24), max(0, columns[0] - 24)
    parts = [np.broadcast_to(s, (*mask.shape, 3))[y : rows[-1] + 24, x : columns[-1] + 24] for s in shown]
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.concatenate(parts, 1 if parts[0].shape[0] > parts[0].shape[1] / 2 else 0)).save(path)


# --- both -------------------------------------------------------------------------------------------------------------


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("what", choices=("fill", "cutout"))
    parser.add_argument("--pictures", type=Path, help="fill: a folder of *_HR.png; cutout: of pictures with alpha")
    parser.add_argument("--sheets", type=Path)
    parser.add_argument("--kinds", nargs="*", default=KINDS, choices=KINDS)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--note", nargs="*", default=[])
    asked = parser.parse_args()
    about = machine()
    if asked.what == "fill":
        rows = measure_fill(asked.pictures, asked.sheets, tuple(asked.kinds))
    else:
        rows = repairs_cutouts.measure(asked.pictures, asked.sheets)
    for each in rows:
        print(describe(each))
    print(save(f"repairs-{asked.what}", about, rows, asked.note, asked.output))


if __name__ == "__main__":
    main()
