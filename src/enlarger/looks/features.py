"""What tells kinds of pictures apart: figures of about 0 to 1 that can each be said in words, and what a small net makes of it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from enlarger.looks import glance, texture
from enlarger.looks.lattice import Lattice
from enlarger.looks.lettering import Lettering
from enlarger.looks.light import packed
from enlarger.looks.sample import LUMA, Bytes, Crop, Floats, Sample

WORDED = (
    "same",
    "faint",
    "slight",
    "clear",
    "strong",
    "strong_of_changes",
    "faint_of_changes",
    "hard_edges",
    "smoothed_edges",
    "colours",
    "colours_per_pixel",
    "commonest",
    "next_seven",
    "saturation",
    "coloured",
    "light",
    "dark",
    "middle",
    "noise",
    "blocks",
    "small",
    "lines",
    "even_lines",
    "lined_share",
    "letter_height",
    "entropy",
    "plain_ground",
    "roughness",
    "coarseness",
    "runs_of_two",
    "dull_ink",
    *texture.NAMES,
)
"""Shares unless said otherwise. ``same`` to ``strong``: how neighbouring pixels differ, by 0, 3, 15, 63 or more of 255; ``hard_edges``
and ``smoothed_edges``: edges of one step between plain areas, and of two; ``colours``: how many, by logarithm."""

NAMES = (*WORDED, *glance.NAMES)

FEW = 12
"""Steps of 255 between channels up to which a pixel is grey."""

DRAWN = 20_000
"""Pixels of which colours are counted."""


def features(sample: Sample, noise: float, grid: Lattice | None, text: Lettering) -> NDArray[np.float64]:
    """The figures of :data:`NAMES`, in their order."""
    return np.array([*worded(sample, noise, grid, text), *glance.glance(sample)], np.float64)


def worded(sample: Sample, noise: float, grid: Lattice | None, text: Lettering) -> list[float]:
    """The figures of :data:`WORDED`, in their order. A plain ground does not count, but for its share: only what lies on it does."""
    ground = _ground(sample)
    differences = np.concatenate([part for crop in sample.crops for part in _steps(crop, ground)])
    if not differences.size:
        differences = np.zeros(1, np.uint8)
    shares = [float((differences == 0).mean())]
    for low, high in ((1, 3), (4, 15), (16, 63), (64, 255)):
        shares.append(float(((differences >= low) & (differences <= high)).mean()))
    changed = max(1e-6, 1 - shares[0])
    hard, soft = _edges(sample)
    pixels = np.concatenate([_visible(crop.pixels, crop.alpha) for crop in sample.crops])
    drawn = pixels[:: max(1, len(pixels) // DRAWN)][:DRAWN]
    plain = float((drawn == ground).all(1).mean()) if ground is not None and len(drawn) else 0.0
    if ground is not None and plain < 1:
        drawn = drawn[(drawn != ground).any(1)]
    counts = np.sort(np.unique(packed(drawn), return_counts=True)[1])[::-1] if len(drawn) else np.ones(1)
    spread = np.ptp(drawn, axis=1) if len(drawn) else np.zeros(1)
    luma = drawn @ LUMA if len(drawn) else np.zeros(1)
    histogram = np.bincount(luma.astype(np.int64) >> 3, minlength=32) / max(1, len(luma))
    entropy = float(-(histogram[histogram > 0] * np.log2(histogram[histogram > 0])).sum())
    rough, coarse = _scales(sample)
    near_ends = (luma < 60) | (luma > 200)
    return [
        *shares,
        shares[4] / changed,
        shares[1] / changed,
        hard,
        soft,
        np.log2(counts.size) / 14,
        counts.size / max(1, len(drawn)),
        counts[0] / max(1, counts.sum()),
        counts[1:8].sum() / max(1, counts.sum()),
        float(spread.mean()) / 128,
        float((spread > FEW).mean()),
        float((luma > 230).mean()),
        float((luma < 60).mean()),
        float(((luma >= 60) & (luma <= 200)).mean()),
        min(1.0, noise * 255 / 8),
        float(grid is not None and grid.width > 1),
        min(1.0, 64 / max(1, min(sample.width, sample.height))),
        min(1.0, text.lines / 20),
        text.even * min(1.0, text.lines / 6),
        text.share,
        min(1.0, (text.height or 0) / 24),
        entropy / 5,
        plain,
        rough,
        coarse,
        _pairs(sample),
        float(((spread <= FEW) & near_ends).mean()),
        *texture.texture(sample, ground),
    ]


def _ground(sample: Sample) -> Bytes | None:
    """The one colour ``(3,)`` that at least an eighth of the picture has exactly."""
    pixels = np.concatenate([crop.pixels.reshape(-1, 3)[::7] for crop in sample.crops])
    codes, counts = np.unique(packed(pixels), return_counts=True)
    best = int(counts.argmax())
    if counts[best] * 8 < counts.sum():
        return None
    return np.array([codes[best] >> 16, codes[best] >> 8 & 255, codes[best] & 255], np.uint8)


def _steps(crop: Crop, ground: Bytes | None) -> list[Bytes]:
    """Differences between neighbours, both ways, flat; not of two that both are ground."""
    if ground is None:
        return [crop.down.ravel(), crop.across.ravel()]
    thing = (crop.pixels != ground).any(2)
    return [crop.down[thing[1:] | thing[:-1]], crop.across[thing[:, 1:] | thing[:, :-1]]]


def _edges(sample: Sample) -> tuple[float, float]:
    """Of clear edges, those with nothing on either side (one step), and those with a single shade between plain sides."""
    edges = hard = soft = 0
    for crop in sample.crops:
        for step in (crop.across, crop.down.T):
            if step.shape[1] < 7:
                continue
            middle = step[:, 2:-2]
            edge = (middle >= 48) & (middle >= step[:, 1:-3]) & (middle > step[:, 3:-1])
            plain = (step[:, 1:-3] <= 2) & (step[:, 3:-1] <= 2)
            beyond = (step[:, :-4] <= 2) & (step[:, 4:] <= 2)
            one_shade = ((step[:, 1:-3] > 2) ^ (step[:, 3:-1] > 2)) & beyond
            edges += int(edge.sum())
            hard += int((edge & plain).sum())
            soft += int((edge & one_shade).sum())
    return (hard / edges, soft / edges) if edges else (0.0, 0.0)


def _visible(pixels: Bytes, alpha: Bytes | None) -> Bytes:
    flat = pixels.reshape(-1, 3)
    if alpha is None or not alpha.any():
        return flat
    seen: Bytes = flat[alpha.ravel() > 0]
    return seen


def _scales(sample: Sample) -> tuple[float, float]:
    """Logarithms of how differences grow from 1 pixel apart to 2, and from 2 to 4: 0 for noise and hard blocks, more for what is smooth."""
    sums = np.zeros(3)
    for crop in sample.crops:
        luma: Floats = crop.luma
        if min(luma.shape) > 4:
            for i, apart in enumerate((1, 2, 4)):
                sums[i] += float(np.abs(luma[:, apart:] - luma[:, :-apart]).mean()) + float(np.abs(luma[apart:] - luma[:-apart]).mean())
    growth = np.log2((sums[1:] + 0.01) / (sums[:-1] + 0.01)).clip(-1, 2)
    return float(growth[0]), float(growth[1])


def _pairs(sample: Sample) -> float:
    """Of pixels that differ from one neighbour, the share that equals the other exactly: high in what was drawn, low in what was seen."""
    differ = equal = 0
    for crop in sample.crops:
        same = crop.across == 0
        if same.shape[1] > 1:
            differ += int((~same[:, :-1]).sum())
            equal += int((~same[:, :-1] & same[:, 1:]).sum())
    return equal / differ if differ else 0.0
