"""How far verify can be trusted: clean results that pass, planted faults that are found, the invention map against the truth, speed.

    ENLARGER_SAMPLES=FOLDER python benchmarks/verify.py [--parts clean faults map fit speed]

FOLDER holds set5 and set14 (NNN_HR.png, NNN_LR.png); without it only the pictures of scikit-image are used, and ``map`` and
``fit`` are left out. ``fit`` prints what the constants in enlarger.measures come from; every second picture is left out of
FORETOLD, and all of Set14 out of WEIGHTS. Locked results are made by plain back-projection with Pillow (tests/planted.py), not
by the code that verify judges.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import PIL.Image
import skimage.data
from common import Row, machine, row, save
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests import planted

import enlarger
from enlarger.fidelity import Fidelity
from enlarger.measures import detail, invention
from enlarger.measures.grid import Grid
from enlarger.measures.pairing import Pairing, luma
from enlarger.steps.decode import decode
from enlarger.steps.verify import Verifier

Picture = NDArray[np.uint8]
FAST = {"realesr-animevideov3-x4": 4, "realesr-animevideov3-x3": 3, "realesr-animevideov3-x2": 2, "lanczos3": 4, "bicubic": 4}
SLOW = "realesrgan-x4plus"
SLOW_SIDE = 128
NAMES = ("astronaut", "coffee", "chelsea", "rocket", "text", "page", "camera", "coins", "moon", "brick", "grass", "gravel")


def open_rgb(path: Path) -> Picture:
    return np.asarray(PIL.Image.open(path).convert("RGB"))


@cache
def sources() -> dict[str, Picture]:
    """Pictures by name, 8-bit RGB, at most 320 pixels a side."""
    found = {}
    for name in NAMES:
        picture = getattr(skimage.data, name)()
        found[name] = np.ascontiguousarray(np.stack([picture] * 3, -1) if picture.ndim == 2 else picture[..., :3])[:320, :320]
    if folder := os.environ.get("ENLARGER_SAMPLES"):
        for kind in ("set5", "set14"):
            found |= {f"{kind}-{path.stem[:3]}": open_rgb(path) for path in sorted((Path(folder) / kind).glob("*_LR.png"))}
    return found


@cache
def results(model: str) -> dict[str, tuple[Picture, Picture]]:
    """Source and raw result by name."""
    scale, side = FAST.get(model, 4), SLOW_SIDE if model == SLOW else 10**6
    engine = "resample" if model in ("lanczos3", "bicubic") else "ncnn"
    made = {}
    with enlarger.Enlarger(enlarger.Options(model=model, engine=engine, scale=scale, resemblance=0, verify="off")) as tool:
        for name, source in sources().items():
            part = np.ascontiguousarray(source[:side, :side])
            made[name] = part, np.asarray(tool.enlarge(part).image)
    return made


def verified(source: Picture, result: Picture, tile: int = 64) -> Fidelity:
    height, width = result.shape[:2]
    step = tile * width // source.shape[1]
    verifier = Verifier(decode(source), width, height, tile_lines=(range(step, width, step), range(step, height, step)))
    for y in range(0, height, 128):
        verifier.add(y, result[y : y + 128])
    return verifier.finish()


def clean() -> Iterator[Row]:
    """Share of clean results that pass: locked ones, and raw ones, of which many do drift."""
    for model in (*FAST, SLOW):
        for how in ("locked", "raw"):
            verdicts, doubts = [], []
            for name, (source, raw) in results(model).items():
                found = verified(source, planted.lock(source, raw) if how == "locked" else raw)
                verdicts.append(100.0 * (found.verdict == "pass"))
                doubts += [f"{name}: {key}" for key, measure in found.measures.items() if measure.verdict != "pass"]
            target = 95.0 if how == "locked" else None
            note = "; ".join(doubts[:8]) + (f" and {len(doubts) - 8} more" if len(doubts) > 8 else "")
            share = float(np.mean(verdicts))
            yield row(f"clean {how} {model}", "% pass", [share], better="higher", target=target, note=note)


def faults() -> Iterator[Row]:
    pictures = planted.pictures()
    for model in ("realesr-animevideov3-x4", SLOW, "lanczos3"):
        engine = "resample" if model == "lanczos3" else "ncnn"
        with enlarger.Enlarger(enlarger.Options(model=model, engine=engine, scale=4, resemblance=0, verify="off")) as tool:
            good = {kind: planted.lock(source, np.asarray(tool.enlarge(source).image)) for kind, source in pictures.items()}
        missed = []
        for fault in planted.FAULTS:
            bad, place = fault.plant(good[fault.on], 4)
            found = verified(pictures[fault.on], bad)
            named = {name for name, measure in found.measures.items() if measure.verdict != "pass"} & fault.measures
            there = place is None or any(r.measure in fault.measures and planted.overlaps(r.box, place) for r in found.regions)
            if not (named and there):
                missed.append(fault.name)
        caught = len(planted.FAULTS) - len(missed)
        yield row(f"faults {model}", f"of {len(planted.FAULTS)} found", [caught], better="higher", target=12, note=", ".join(missed))


def ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    order = np.empty(values.size)
    order[np.argsort(values, axis=None, kind="stable")] = np.arange(values.size)
    return order


def correlation(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    return float(np.corrcoef(ranks(a), ranks(b))[0, 1])


def truth_of(name: str, shape: tuple[int, ...]) -> Picture:
    kind, number = name.split("-")
    return open_rgb(Path(os.environ["ENLARGER_SAMPLES"]) / kind / f"{number}_HR.png")[: shape[0], : shape[1]]


def error_of(truth: Picture, result: Picture, scale: int) -> NDArray[np.float64]:
    gap = np.abs(luma(truth) - luma(result))
    height, width = gap.shape[0] // scale, gap.shape[1] // scale
    return gap[: height * scale, : width * scale].reshape(height, scale, width, scale).mean((1, 3)).astype(np.float64)


def with_truth(kind: str, model: str, how: str) -> Iterator[tuple[Picture, Picture, NDArray[np.float64]]]:
    for name, (source, raw) in results(model).items():
        if name.startswith(f"{kind}-"):
            result = planted.lock(source, raw) if how == "locked" else raw
            yield source, result, error_of(truth_of(name, result.shape), result, 4)


def contrast_of(source: Picture) -> NDArray[np.float64]:
    """Deviation within 5 x 5."""
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(luma(source), 2, mode="edge"), (5, 5))
    return np.asarray(windows.std(axis=(2, 3)), np.float64)


def finest_of(source: Picture) -> NDArray[np.float64]:
    """The best that contrast alone does: RMS near by of what a 3 x 3 mean takes away."""
    plane = luma(source)
    return np.asarray(np.sqrt(invention.near((plane - invention.near(plane)) ** 2)), np.float64)


def map_() -> Iterator[Row]:
    gains = []
    for model in ("realesr-animevideov3-x4", SLOW):
        for how in ("locked", "raw"):
            found, contrast, finest = [], [], []
            for source, result, error in with_truth("set14", model, how):
                verifier = Verifier(decode(source), result.shape[1], result.shape[0])
                verifier.add(0, result)
                h, w = error.shape
                found.append(correlation(verifier.invention_map()[:h, :w], error))
                contrast.append(correlation(contrast_of(source)[:h, :w], error))
                finest.append(correlation(finest_of(source)[:h, :w], error))
            gains.append(np.mean(found) - np.mean(contrast))
            note = f"deviation within 5 x 5: {np.mean(contrast):.3f}; finest contrast: {np.mean(finest):.3f}"
            note += f"; picture by picture {min(found):.2f} to {max(found):.2f}"
            yield row(f"map {how} {model}", "rank correlation", [float(np.mean(found))], better="higher", note=note)
    yield row("map over plain contrast", "rank correlation", [float(np.mean(gains))], better="higher", target=0.05)


def band_of(source: Picture, result: Picture) -> invention.Band:
    image = decode(source)
    grid = Grid(image.width, image.height, result.shape[1], result.shape[0])
    pairing = Pairing(image, result.shape[1], result.shape[0], grid)
    return next(pairing.add(result))


def fit() -> Iterator[Row]:
    """Prints WEIGHTS of the map (fitted on Set5) and FORETOLD (on every second picture of both), checks them on the others."""
    rows, errors = [], []
    for model in ("realesr-animevideov3-x4", SLOW):
        for how in ("locked", "raw"):
            for source, result, error in with_truth("set5", model, how):
                h, w = error.shape
                values = [f[:h, :w].ravel() for f in invention.features(band_of(source, result))]
                rows.append(np.stack([np.log(v + invention.FLOOR) for v in values] + [np.ones(h * w)], -1))
                errors.append(np.log(error.ravel() + 0.5))
    print("WEIGHTS =", np.linalg.lstsq(np.concatenate(rows), np.concatenate(errors), rcond=None)[0].round(3).tolist())
    samples = []
    for name, source in sources().items():
        if name.startswith(("set5-", "set14-")):
            truth = truth_of(name, (source.shape[0] * 4, source.shape[1] * 4))
            if truth.shape[0] == source.shape[0] * 4 and truth.shape[1] == source.shape[1] * 4:
                image = decode(source)
                tally = detail.Tally(Grid(image.width, image.height, truth.shape[1], truth.shape[0]))
                tally.add(band_of(source, truth))
                keep = tally.fine > detail.TEXTURED
                samples.append(
                    (
                        np.stack([np.log(tally.fine[keep]), np.log(tally.coarse[keep] + 1), np.ones(keep.sum())], -1),
                        np.log(tally.added[keep]),
                    )
                )
    design, target = (np.concatenate(part) for part in zip(*samples[::2], strict=True))
    weights = np.linalg.lstsq(design, target, rcond=None)[0]
    print("FORETOLD =", weights.round(3).tolist())
    for word, part in (("fitted", samples[::2]), ("others", samples[1::2])):
        ratios = np.exp(np.concatenate([y for _, y in part]) - np.concatenate([x for x, _ in part]) @ np.asarray(detail.FORETOLD))
        low, middle, high = np.percentile(ratios, [5, 50, 95])
        yield row(
            f"texture of the truth, {word}",
            "of what is foretold",
            [float(middle)],
            note=f"5 % of blocks below {low:.2f}, 5 % above {high:.2f}",
        )


def speed() -> Iterator[Row]:
    picture = np.tile(skimage.data.astronaut(), (1, 2, 1))
    for scale in (2, 3, 4):
        size = picture.shape[1] * scale, picture.shape[0] * scale
        result = np.asarray(PIL.Image.fromarray(picture).resize(size, PIL.Image.Resampling.BICUBIC))
        image = decode(picture)
        walls, works = [], []
        for _ in range(7):
            wall, work = time.perf_counter(), time.process_time()
            verifier = Verifier(image, *size)
            for y in range(0, size[1], 128):
                verifier.add(y, result[y : y + 128])
            verifier.finish()
            walls.append((time.perf_counter() - wall) * 1e9 / result[..., 0].size)
            works.append((time.process_time() - work) * 1e9 / result[..., 0].size)
        yield row(f"quick x{scale}, wall", "ms/MP", walls, better="lower", target=60.0, note=f"processor time {np.median(works):.0f} ms/MP")


PARTS = {"clean": clean, "faults": faults, "map": map_, "fit": fit, "speed": speed}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--output", type=Path)
    given = parser.parse_args()
    here = machine()
    parts = [part for part in given.parts if os.environ.get("ENLARGER_SAMPLES") or part not in ("map", "fit")]
    rows = [line for part in parts for line in PARTS[part]()]
    notes = ["Pictures: scikit-image's own" + (", Set5 and Set14" if os.environ.get("ENLARGER_SAMPLES") else "")]
    notes.append(f"{SLOW} on the upper left {SLOW_SIDE} x {SLOW_SIDE} pixels of each.")
    print(save("verify", here, rows, notes, given.output))


if __name__ == "__main__":
    main()
