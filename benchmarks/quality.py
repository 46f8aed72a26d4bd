"""Quality on Set5 and Set14 at x4: every net raw, locked and faithful, beside plain kernels. Losses are printed like gains.

The protocol of the literature: the given low-resolution pictures, results rounded to 8 bits, 4 pixels cut off at the border, PSNR and SSIM
(scikit-image's, with its default window) of BT.601 luma against the high-resolution picture. "Consistency" is the PSNR of the source
against the result made small again; "texture" is what verify measures: fine detail there is over what the source foretells.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from common import Row, machine, save
from numpy.typing import NDArray
from PIL import Image
from skimage.metrics import structural_similarity

import enlarger

BORDER = 4
WAYS = {
    "raw": {"resemblance": 0},
    "locked": {},
    "faithful": {"style": "faithful"},
    "natural": {"style": "natural"},
    "crisp": {"style": "crisp"},
}
KERNELS = ("bicubic", "lanczos3")
NETS = ("realesr-animevideov3-x4", "realesrgan-x4plus", "realesrgan-x4plus-anime")


def pairs(folder: Path) -> Iterator[tuple[str, NDArray[np.uint8], NDArray[np.uint8]]]:
    for path in sorted(folder.glob("*_LR.png")):
        low = np.asarray(Image.open(path).convert("RGB"))
        high = np.asarray(Image.open(path.with_name(path.name.replace("LR", "HR"))).convert("RGB"))
        yield path.stem, low, high[: 4 * low.shape[0], : 4 * low.shape[1]]


def luma(picture: NDArray[np.uint8]) -> NDArray[np.float64]:
    inner = picture[BORDER:-BORDER, BORDER:-BORDER].astype(np.float64)
    result: NDArray[np.float64] = 16 + inner @ np.array([65.481, 128.553, 24.966]) / 255
    return result


def scores(result: NDArray[np.uint8], truth: NDArray[np.uint8], report: enlarger.Report) -> dict[str, float]:
    one, other = luma(result), luma(truth)
    measures = report.fidelity.measures if report.fidelity else {}
    texture = measures.get("texture")
    return {
        "psnr": float(10 * np.log10(255**2 / np.mean((one - other) ** 2))),
        "ssim": float(structural_similarity(one, other, data_range=255)),
        "consistency": measures["consistency"].value,
        "texture": texture.value if texture else np.nan,
        "passed": 100.0 * (report.fidelity is not None and report.fidelity.verdict == "pass"),
    }


UNITS = {"psnr": "dB", "ssim": "", "consistency": "dB", "texture": "of what is foretold", "passed": "% of pictures", "seconds": "s"}


def measured(model: str, way: str, folder: Path) -> list[Row]:
    figures: dict[str, list[float]] = {name: [] for name in UNITS}
    with enlarger.Enlarger(model=model, **WAYS[way]) as tool:
        for _, low, high in pairs(folder):
            start = time.perf_counter()
            result = tool.enlarge(low)
            figures["seconds"].append(time.perf_counter() - start)
            for name, value in scores(result.image, high, result.report).items():
                figures[name].append(value)
    rows = []
    for name, values in figures.items():
        known = [value for value in values if np.isfinite(value)]
        if known:
            row = Row(
                name=f"{folder.name} {model} {way} {name}",
                unit=UNITS[name],
                value=round(float(np.mean(known)), 4),
                low=round(min(known), 4),
                high=round(max(known), 4),
                runs=len(known),
                note="mean over the pictures",
            )
            rows.append(row)
    return rows


def table(rows: list[Row]) -> str:
    """Markdown, a line per set, model and way."""
    lines: dict[tuple[str, str, str], dict[str, float]] = {}
    for row in rows:
        group, model, way, name = row.name.split()
        lines.setdefault((group, model, way), {})[name] = row.value
    text = [
        "| set | model | way | PSNR-Y | SSIM-Y | consistency | texture | verify passes | seconds |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for (group, model, way), row in lines.items():
        texture = f"{row['texture']:.2f}" if "texture" in row else ""
        figures = (
            f"{row['psnr']:.2f} | {row['ssim']:.4f} | {row['consistency']:.1f} | {texture} | {row['passed']:.0f} % | {row['seconds']:.2f}"
        )
        text.append(f"| {group} | {model} | {way} | {figures} |")
    return "\n".join(text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=Path, default=os.environ.get("ENLARGER_SAMPLES"), help="folder with set5 and set14")
    parser.add_argument("--models", nargs="+", default=[*KERNELS, *NETS])
    parser.add_argument("--ways", nargs="+", choices=list(WAYS), default=["raw", "locked"])
    parser.add_argument("--sets", nargs="+", default=["set5", "set14"])
    parser.add_argument("--output", type=Path, help="result file")
    given = parser.parse_args()
    if given.samples is None:
        parser.error("say where the pictures are: --samples FOLDER")
    before = machine()
    rows: list[Row] = []
    for group in given.sets:
        for model in given.models:
            for way in given.ways:
                rows += measured(model, way, given.samples / group)
                print(table(rows[-len(UNITS) :]).splitlines()[-1], flush=True)
    print(table(rows))
    notes = ("Means over the pictures of a set; PSNR and SSIM of luma, 4 pixels of border cut; seconds include loading the net once.",)
    print(save("quality", before, rows, notes, given.output))


if __name__ == "__main__":
    main()
