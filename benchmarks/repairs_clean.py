"""How much denoise, deblock and deblur give back of what known harm took, at three strengths each, and how long they take.

    python benchmarks/repairs_clean.py [--pictures FOLDER] [--write] [--sheets FOLDER] [--output FILE] [--note TEXT ...]

Crops of 256 x 256 from the middle of scikit-image's pictures (and of ``*_HR.png`` in ``--pictures``) get white noise, go through JPEG
(4:2:0), or are blurred by a Gaussian or along a line. PSNR over all colours against the crop, before and after: at half the right
strength, at the right one, and at one and a half times that (blur: at 50, at 100, and at 100 with the blur found by itself). ``--write``
puts the table into docs/clean.md; ``--sheets`` writes crop, harm and repair side by side.
"""

from __future__ import annotations

import argparse
import io
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
from common import Row, describe, machine, row, save
from numpy.typing import NDArray
from scipy import ndimage
from skimage import data

from enlarger.image import Header, Image, Quantisation
from enlarger.repairs.clean import cleaned
from enlarger.repairs.clean import found as found_strengths
from enlarger.repairs.deblock import auto, deblocked
from enlarger.repairs.deblur import deblurred
from enlarger.repairs.deblur import measured as measured_blur
from enlarger.repairs.denoise import denoised
from enlarger.repairs.motion import Motion
from enlarger.steps.damage import damage

Samples = NDArray[Any]
Repair = Callable[[Samples], Samples]

PAGE = Path(__file__).parents[1] / "docs" / "clean.md"
PICTURES = ("astronaut", "brick", "camera", "chelsea", "coffee", "coins", "grass", "gravel", "moon", "rocket")
SIDE = 256
RIGHT = {"half": 0.5, "right": 1.0, "more": 1.5}
"""Of the strength that the harm calls for."""


def pictures(folder: Path | None) -> dict[str, Samples]:
    found = {name: np.asarray(getattr(data, name)()) for name in PICTURES}
    for path in sorted(folder.glob("*_HR.png")) if folder else ():
        with PIL.Image.open(path) as opened:
            found[path.stem] = np.asarray(opened if opened.mode == "L" else opened.convert("RGB"))
    return {name: middle(samples if samples.ndim == 3 else samples[..., None]) for name, samples in found.items()}


def middle(samples: Samples) -> Samples:
    y, x = (max(0, (n - SIDE) // 2) for n in samples.shape[:2])
    return np.ascontiguousarray(samples[y : y + SIDE, x : x + SIDE])


def stored(samples: NDArray[Any]) -> Samples:
    return np.clip(np.rint(samples), 0, 255).astype(np.uint8)


def noise(clean: Samples, sigma: float) -> tuple[Samples, dict[str, Repair]]:
    bad = stored(clean + np.random.default_rng(0).normal(0, sigma, clean.shape))
    return bad, {name: partial(_denoised, strength=min(100, round(4 * sigma * share))) for name, share in RIGHT.items()}


def _denoised(samples: Samples, strength: int) -> Samples:
    return denoised(samples, samples.shape[2], strength)


def stored_as_jpeg(samples: Samples, quality: float) -> tuple[Samples, Quantisation]:
    out = io.BytesIO()
    grey = samples.shape[2] == 1
    PIL.Image.fromarray(samples[..., 0] if grey else samples).save(
        out, "jpeg", quality=int(quality), **({} if grey else {"subsampling": 2})
    )
    with PIL.Image.open(out) as opened:
        steps = [tuple(int(step) for step in opened.quantization[i]) for i in sorted(opened.quantization)]
        return np.asarray(opened).reshape(samples.shape), Quantisation(steps[0], steps[-1], (1, 1) if grey else (2, 2))


def jpeg(clean: Samples, quality: float) -> tuple[Samples, dict[str, Repair]]:
    bad, known = stored_as_jpeg(clean, quality)
    right = auto(known)
    repairs = {name: partial(_deblocked, strength=round(right * share), known=known) for name, share in RIGHT.items()}
    return bad, {**repairs, "without tables": partial(_deblocked, strength=right, known=None)}


def _deblocked(samples: Samples, strength: int, known: Quantisation | None) -> Samples:
    return deblocked(samples, samples.shape[2], strength, known)


def blur(clean: Samples, sigma: float) -> tuple[Samples, dict[str, Repair]]:
    bad = stored(ndimage.gaussian_filter(clean.astype(np.float64), (sigma, sigma, 0), mode="nearest"))
    return bad, {
        "half": lambda s: deblurred(s, s.shape[2], 50, sigma),
        "right": lambda s: deblurred(s, s.shape[2], 100, sigma),
        "blind": lambda s: deblurred(s, s.shape[2], 100),
    }


ANGLE = 30


def motion(clean: Samples, length: float) -> tuple[Samples, dict[str, Repair]]:
    """Along a line, as the mean of many small shifts."""
    steps = 8 * round(length)
    total = np.zeros(clean.shape)
    for shift in length * ((np.arange(steps) + 0.5) / steps - 0.5):
        way = (-shift * np.sin(np.deg2rad(ANGLE)), shift * np.cos(np.deg2rad(ANGLE)), 0)
        total += ndimage.shift(clean.astype(np.float64), way, order=1, mode="nearest")
    line = Motion(length, ANGLE)
    return stored(total / steps), {
        "half": lambda s: deblurred(s, s.shape[2], 50, line),
        "right": lambda s: deblurred(s, s.shape[2], 100, line),
        "blind": lambda s: deblurred(s, s.shape[2], 100),
    }


HARMS = {"noise": (noise, (5, 10, 20)), "JPEG": (jpeg, (20, 40, 70)), "blur": (blur, (0.7, 1.2, 2.0)), "motion": (motion, (4, 8, 14))}


COMBINED = (
    *((0, 2, 0), (0, 5, 0), (0, 10, 0), (1.2, 0, 0), (1.2, 3, 0), (2, 0, 0)),
    *((0, 0, 40), (0, 0, 70), (0, 0, 90), (0, 3, 85), (1.2, 0, 80), (0.7, 2, 95), (1.2, 5, 60)),
)


def psnr(one: Samples, other: Samples) -> float:
    return float(10 * np.log10(255**2 / np.mean((one.astype(np.float64) - other) ** 2)))


def measured(found: dict[str, Samples], sheets: Path | None) -> Iterator[Row]:
    for harm, (do, levels) in HARMS.items():
        for level in levels:
            before: list[float] = []
            gains: dict[str, list[float]] = {}
            for name, clean in found.items():
                bad, repairs = do(clean, level)
                done = {how: repair(bad) for how, repair in repairs.items()}
                before.append(psnr(clean, bad))
                for how, samples in done.items():
                    gains.setdefault(how, []).append(psnr(clean, samples) - before[-1])
                if sheets:
                    sheets.mkdir(parents=True, exist_ok=True)
                    sheet = np.concatenate([clean, bad, done["right"]], 1)
                    PIL.Image.fromarray(sheet.squeeze()).save(sheets / f"{harm}-{level}-{name}.png")
            note = f"{len(before)} pictures; value is the mean"
            yield mean_row(f"{harm} {level}: before", before, note)
            for how, values in gains.items():
                yield mean_row(f"{harm} {level}: gain, {how}", values, note)


def mean_row(name: str, values: list[float], note: str) -> Row:
    """A row whose value is the mean, between least and greatest."""
    made = row(name, "dB", values, better="higher", note=note)
    return made.model_copy(update={"value": round(float(np.mean(values)), 2)})


def left_to_itself(found: dict[str, Samples]) -> Iterator[Row]:
    """What all three do at the strengths that they choose, on 160 x 160 pixels that were blurred, then noisy, then JPEGs."""
    for softness, sigma, quality in COMBINED:
        values = {}
        for name, picture in found.items():
            clean = np.ascontiguousarray(picture[48:208, 48:208])
            bad, known = (blur(clean, softness)[0] if softness else clean), None
            bad = noise(bad, sigma)[0] if sigma else bad
            if quality:
                bad, known = stored_as_jpeg(bad, quality)
            header = Header("", "array", bad.shape[1], bad.shape[0], bad.shape[2], False, 8)
            seen = damage(Image(bad, header, jpeg=known)).noise
            wide = measured_blur(bad, bad.shape[2], float(np.mean(seen)))
            strengths = found_strengths(bad, bad.shape[2], noise=seen, quantisation=known, blur=wide)
            done, _ = cleaned(bad, bad.shape[2], **strengths, noise=seen, quantisation=known, blur=wide)
            values[name] = psnr(clean, done) - psnr(clean, bad)
        worst = sorted(values, key=lambda name: values[name])[:3]
        note = "worst: " + ", ".join(f"{name} {values[name]:+.2f}" for name in worst)
        yield mean_row(f"auto, blur {softness}, noise {sigma}, JPEG {quality or 'none'}: gain", list(values.values()), note)


def timed() -> Iterator[Row]:
    """Seconds of processor time per megapixel, RGB."""
    whole = np.tile(np.asarray(data.astronaut()), (2, 2, 1))[:1000, :1000]
    _, repairs = jpeg(whole[:64, :64], 40)
    tasks: dict[str, Repair] = {
        "denoise": lambda s: denoised(s, 3, 40),
        "deblock": repairs["right"],
        "deblur": lambda s: deblurred(s, 3, 100, 1.2),
    }
    for name, repair in tasks.items():
        spent = []
        for _ in range(3):
            start = time.process_time()
            repair(whole)
            spent.append(time.process_time() - start)
        yield row(f"{name}: processor time per megapixel", "s", spent, better="lower", target=1.5)


def table(rows: list[Row]) -> str:
    """Markdown: a line per harm and level."""
    by_name = {each.name: each for each in rows}
    lines = ["| harm | before | half | right | 1.5 times | without tables, blind | worst at right |", "|---|---|---|---|---|---|---|"]
    for harm, (_, levels) in HARMS.items():
        for level in levels:
            cells = [f"{harm} {level}", f"{by_name[f'{harm} {level}: before'].value:.2f}"]
            for hows in (("half",), ("right",), ("more",), ("without tables", "blind")):
                each = next((by_name[n] for n in (f"{harm} {level}: gain, {how}" for how in hows) if n in by_name), None)
                cells.append("" if each is None else f"{each.value:+.2f}")
            cells.append(f"{by_name[f'{harm} {level}: gain, right'].low:+.2f}")
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=Path)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--sheets", type=Path)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--note", nargs="*", default=[])
    asked = parser.parse_args()
    about = machine()
    found = pictures(asked.pictures)
    rows = [*measured(found, asked.sheets), *left_to_itself(found), *timed()]
    for each in rows:
        print(describe(each))
    print(table(rows))
    if asked.write:
        text = PAGE.read_text("utf-8")
        begin, end = "<!-- gains -->\n", "<!-- /gains -->"
        PAGE.write_text(text[: text.index(begin) + len(begin)] + table(rows) + "\n" + text[text.index(end) :], "utf-8")
    print(save("repairs-clean", about, rows, asked.note, asked.output))


if __name__ == "__main__":
    main()
