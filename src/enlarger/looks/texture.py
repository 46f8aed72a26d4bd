"""How pictures look close up: what lies in small blocks, how steep edges are, which colours there are. More figures for ``features.py``."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from enlarger.looks.light import coded, packed
from enlarger.looks.sample import LUMA, Bytes, Crop, Floats, Sample

NAMES = (
    *("plain_blocks", "faint_blocks", "soft_blocks", "lively_blocks", "busy_blocks", "middling_block"),
    *("colours_of_blocks", "few_coloured_blocks", "many_coloured_blocks"),
    *("grain", "grain_of_quiet", "still_pixels", "colour_grain", "sparse_detail", "sparse_detail_at_2"),
    *("edges", "steepness", "steepness_varies", "upright_edges", "dark_lines", "bright_lines"),
    *("plain_at_2", "faint_at_2", "clear_at_2", "strong_at_2", "plain_at_4", "faint_at_4", "clear_at_4", "strong_at_4"),
    *(
        "palette",
        "main_colour",
        "main_colours",
        "clipped_channels",
        "vivid",
        "pale",
        "saturation_varies",
        "hues",
        "bright_half",
        "dark_tenth",
    ),
)
"""Shares unless said otherwise. Blocks have 8 x 8 pixels and are sorted by the deviation of their brightness, blocks of ground left out.
``grain``: differences from the mean of four neighbours, by logarithm; ``steepness``: how much of an edge is crossed in one step;
``_at_2``, ``_at_4``: of the picture reduced by as much.
Where things lie in the picture is left out on purpose: it told sources apart, not kinds."""

BLOCK = 8
MANY = 2500
"""Blocks in which colours are counted."""

EDGE, LINE = 32, 40
"""Steps of 255 that make an edge, and by which a line is darker or brighter than both its sides."""


def texture(sample: Sample, ground: Bytes | None) -> list[float]:
    """The figures of :data:`NAMES`, in their order."""
    blocks = [_blocks(crop, ground) for crop in sample.crops]
    return [
        *_deviations(np.concatenate([d for d, _ in blocks])),
        *_colours_of(np.concatenate([c for _, c in blocks])),
        *_grain(sample, ground),
        *_edges(sample),
        *(v for by in (2, 4) for v in _reduced(sample, by)),
        *_palette(sample, ground),
    ]


def _blocks(crop: Crop, ground: Bytes | None) -> tuple[Floats, NDArray[np.int64]]:
    """Deviation of brightness of each block that is not ground, and the packed colours of each, ``(n, 64)``."""
    height, width = (n // BLOCK * BLOCK for n in crop.luma.shape)
    if not height or not width:
        return np.empty(0, np.float32), np.empty((0, BLOCK * BLOCK), np.int64)
    rows, columns = height // BLOCK, width // BLOCK
    luma = crop.luma[:height, :width].reshape(rows, BLOCK, columns, BLOCK)
    mean = luma.mean((1, 3))
    deviation: Floats = np.sqrt(np.maximum((luma * luma).mean((1, 3)) - mean * mean, 0)).ravel()
    codes = packed(crop.pixels[:height, :width].reshape(-1, 3)).reshape(rows, BLOCK, columns, BLOCK)
    kept = np.ones(rows * columns, bool)
    if ground is not None:
        plain = codes == int(packed(ground[None])[0])
        kept = ~plain.all((1, 3)).ravel()
    chosen = np.flatnonzero(kept)
    counted = chosen[:: max(1, -(-len(chosen) // MANY))]
    return deviation[kept], codes[counted // columns, :, counted % columns, :].reshape(-1, BLOCK * BLOCK).astype(np.int64)


def _deviations(found: Floats) -> list[float]:
    if not found.size:
        return [1.0, 0.0, 0.0, 0.0, 0.0, 0.0]
    shares = np.histogram(found, (0, 0.3, 1.5, 4, 12, 1000))[0] / found.size
    return [*map(float, shares), float(np.log2(np.median(found) + 0.25))]


def _colours_of(codes: NDArray[np.int64]) -> list[float]:
    """Of blocks in several colours: how many they have, and how many blocks have few (up to 6) or many (48 or more)."""
    if not len(codes):
        return [0.0, 0.0, 0.0]
    counts = 1 + (np.diff(np.sort(codes, 1), axis=1) != 0).sum(1)
    several = counts[counts > 1]
    if not several.size:
        return [0.0, 0.0, 0.0]
    return [float(several.mean()) / 64, float((several <= 6).mean()), float((several >= 48).mean())]


def _grain(sample: Sample, ground: Bytes | None) -> list[float]:
    """What differs from the mean of its neighbours, everywhere, where it is quiet, and in colour; and how unevenly it is spread."""
    everywhere, quiet, still, colour, twice = [], [], [], [], []
    for crop in sample.crops:
        luma = crop.luma
        if min(luma.shape) < 8:
            continue
        odd = _laplace(luma)
        shown = _differs(crop, ground)[1:-1, 1:-1] if ground is not None else np.ones(odd.shape, bool)
        slope = np.maximum(np.abs(luma[1:-1, 2:] - luma[1:-1, :-2]), np.abs(luma[2:, 1:-1] - luma[:-2, 1:-1]))
        calm = shown & (slope < 10) & (slope > 0)
        everywhere.append(odd[shown])
        quiet.append(odd[calm])
        still.append(odd[calm] < 0.01)
        red_blue = crop.pixels[..., 0].astype(np.float32) - crop.pixels[..., 2]
        colour.append(_laplace(red_blue)[shown])
        twice.append(_laplace(_half(luma)).ravel())
    if not everywhere or not sum(part.size for part in everywhere):
        return [0.0] * 6
    odd, calm_odd, calm_still, odd_colour, odd_twice = (np.concatenate(part) for part in (everywhere, quiet, still, colour, twice))
    return [
        float(np.log2(odd.mean() + 0.1)),
        float(np.log2(calm_odd.mean() + 0.05)) if calm_odd.size else -4.0,
        float(calm_still.mean()) if calm_still.size else 1.0,
        float(np.log2((odd_colour.mean() + 0.1) / (odd.mean() + 0.1))),
        float((odd.mean() + 0.01) / (np.sqrt((odd * odd).mean()) + 0.01)),
        float((odd_twice.mean() + 0.01) / (np.sqrt((odd_twice * odd_twice).mean()) + 0.01)),
    ]


def _laplace(plane: Floats) -> Floats:
    result: Floats = np.abs(plane[1:-1, 1:-1] - 0.25 * (plane[1:-1, 2:] + plane[1:-1, :-2] + plane[2:, 1:-1] + plane[:-2, 1:-1]))
    return result


def _half(plane: Floats) -> Floats:
    height, width = (n // 2 * 2 for n in plane.shape)
    part = plane[:height, :width]
    result: Floats = 0.25 * (part[::2, ::2] + part[1::2, ::2] + part[::2, 1::2] + part[1::2, 1::2])
    return result


def _differs(crop: Crop, ground: Bytes) -> NDArray[np.bool_]:
    one, two, three = (crop.pixels[..., i] != ground[i] for i in range(3))
    result: NDArray[np.bool_] = one | two | three
    return result


def _edges(sample: Sample) -> list[float]:
    """How many edges there are, how steep, how much that varies, how many run straight up or across; and thin lines."""
    steep, upright, edges, dark, bright, seen = [], 0, 0, 0, 0, 0
    for crop in sample.crops:
        for luma in (crop.luma, crop.luma.T):
            if luma.shape[1] < 8 or luma.shape[0] < 4:
                continue
            step = np.abs(luma[:, 1:] - luma[:, :-1])[:, 2:-2]
            edge = step >= EDGE
            rows, columns = np.nonzero(edge[:-1])
            # The edge lies between columns c + 2 and c + 3; two pixels beyond it on either side tell how far it goes.
            whole = np.abs(luma[rows, columns + 5] - luma[rows, columns])
            steep.append(step[rows, columns] / np.maximum(whole, step[rows, columns]))
            along = np.abs(luma[rows + 1, columns + 2] - luma[rows, columns + 2])
            upright += int((along < 3).sum())
            edges += len(rows)
            middle, left, right = luma[:, 3:-3], luma[:, :-6], luma[:, 6:]
            dark += int(((left - middle > LINE) & (right - middle > LINE)).sum())
            bright += int(((middle - left > LINE) & (middle - right > LINE)).sum())
            seen += middle.size
    found = np.concatenate(steep) if steep else np.empty(0)
    if not found.size:
        return [0.0, 0.0, 0.0, 0.0, dark / max(1, seen), bright / max(1, seen)]
    return [edges / seen, float(found.mean()), float(found.std()), upright / edges, dark / seen, bright / seen]


def _reduced(sample: Sample, by: int) -> list[float]:
    """Shares of steps between neighbours of up to 0.5, to 4, to 16, and from 48 on, in the picture reduced by 2 or 4."""
    counts, total = np.zeros(4), 0
    for crop in sample.crops:
        small = _half(crop.luma) if by == 2 else _half(_half(crop.luma))
        for steps in (np.abs(np.diff(small, axis=0)), np.abs(np.diff(small, axis=1))):
            counts += [(steps < 0.5).sum(), ((steps >= 0.5) & (steps < 4)).sum(), ((steps >= 16) & (steps < 48)).sum(), (steps >= 48).sum()]
            total += steps.size
    return [float(v) for v in counts / max(1, total)]


def _palette(sample: Sample, ground: Bytes | None) -> list[float]:
    """Colours of the whole picture in steps of 16, and how strong they are."""
    pixels = sample.sparse.reshape(-1, 3)
    if ground is not None:
        pixels = pixels[(pixels != ground).any(1)]
    if not len(pixels):
        return [0.0] * 10
    many = np.bincount(coded(pixels, 4))
    counts = np.sort(many[many > 0])[::-1] / len(pixels)
    red, green, blue = pixels.T
    high: Floats = np.maximum(np.maximum(red, green), blue).astype(np.float32)  # reduction along an axis of three is slow
    low: Floats = np.minimum(np.minimum(red, green), blue).astype(np.float32)
    strength: Floats = ((high - low) / np.maximum(high, 1)).astype(np.float32)
    luma = pixels @ LUMA
    return [
        float(-(counts * np.log2(counts)).sum()) / 12,
        float(counts[0]),
        float(counts[:8].sum()),
        float(((high == 255) | (low == 0)).mean()),
        float((strength > 0.7).mean()),
        float((strength < 0.15).mean()),
        float(strength.std()),
        _hues(pixels, strength),
        float(np.median(luma)) / 255,
        float(np.percentile(luma, 10)) / 255,
    ]


def _hues(pixels: Bytes, strength: Floats) -> float:
    """Entropy of the hues (in twelfths of the circle) of what is coloured, of 1."""
    strong = pixels[strength > 0.2].astype(np.float32)
    if len(strong) < 10:
        return 0.0
    angle = np.arctan2(np.sqrt(3) * (strong[:, 1] - strong[:, 2]), 2 * strong[:, 0] - strong[:, 1] - strong[:, 2])
    share = np.bincount(((angle + np.pi) / (2 * np.pi) * 12).astype(np.int64) % 12, minlength=12) / len(strong)
    return float(-(share[share > 0] * np.log2(share[share > 0])).sum() / np.log2(12))
