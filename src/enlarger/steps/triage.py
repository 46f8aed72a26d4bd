"""Triage: what the source is, what ails it, and what to do about that. :func:`damage` is what later steps work with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from enlarger.image import Image, Quantisation
from enlarger.looks import compression, faces, lattice, lettering, light, resolution
from enlarger.looks.features import features
from enlarger.looks.kind import kind
from enlarger.looks.sample import Bytes, Sample, sample
from enlarger.looks.verdict import judge
from enlarger.seen import Alpha, Background, Jpeg, Kind, Light, PixelGrid, Text, Triage, TriageMeasures

NO_NOISE = 0.5 / 255
"""Deviation below which a source counts as clean: quantisation to 8 bits alone makes 0.29 / 255."""

BLOCK = 8
QUIET = 0.05
"""Share of all blocks that the noise is looked for in: those that change least."""

SMOOTH_RATIO = 1.5
"""Energy of mixed fourth differences over that of second differences in quiet parts of clean pictures (measured: 0.9 to 1.6).
White noise has 3."""

QUIET_BIAS = 1.2
"""The quietest blocks are those where the noise happens to be weak: what that costs, found on pure noise."""

ENOUGH = 2 * 10**6
"""Pixels that are looked at; of larger pictures evenly spaced bands."""


@dataclass(frozen=True, slots=True)
class Damage:
    """What in the source is no signal: ``noise`` per colour channel (standard deviation, white is 1), and JPEG's steps."""

    noise: tuple[float, ...]
    jpeg: Quantisation | None = None


def damage(picture: Image) -> Damage:
    """The noise and quantisation of ``picture``."""
    return Damage(tuple(noise(picture.samples[..., c]) for c in range(picture.channels)), picture.jpeg)


FACED: tuple[Kind, ...] = ("photo", "illustration", "unknown")
"""Kinds in which faces are looked for."""

LETTERS, LETTERS_ELSEWHERE = (2, 0.35, 0.0), (8, 0.6, 0.4)
"""Lines of letters, the share of them that is equally high, and the contrast that make text: in documents, and in other pictures, whose
texture has rows too. The second was found in none of 250 photographs and drawings, the first in all documents."""

BLOCKS_SURE = 2.5
"""How far block lines must stand off from the other seven phases, over their deviation, to be believed."""


def triage(picture: Image, known: Damage | None = None) -> Triage:
    """What ``picture`` is, what ails it and what to do. Looks at about a megapixel of it, whatever its size.

    ``known`` is what :func:`damage` said already.
    """
    seen, chances = measure(picture, known)
    if chances[0] in FACED:
        seen = seen.model_copy(update={"faces": faces.count(picture)})
    verdict, reasons, advice = judge(chances[0], seen)
    return Triage(
        path=picture.header.name,
        kind=chances[0],
        confidence=round(chances[1], 3),
        measures=seen,
        verdict=verdict,
        reasons=reasons,
        advice=advice,
    )


def measure(picture: Image, known: Damage | None = None) -> tuple[TriageMeasures, tuple[Kind, float]]:
    """All measures, and the kind with its probability."""
    looked = sample(picture)
    crops = looked.crops
    grain = _grain(picture, known)
    grid = lattice.lattice(crops)
    text = lettering.lettering(crops)
    chances = kind(features(looked, grain, grid, text)) if _shows(looked) else ("unknown", 0.0)
    # What is enlarged by whole blocks, or drawn pixel by pixel, has no optical blur to speak of.
    blocky = chances[0] == "pixel-art" or (grid is not None and grid.width > 1)
    transparency, clear = light.alpha(looked)
    seen = TriageMeasures(
        width=picture.width,
        height=picture.height,
        noise=round(grain, 5),
        blur=None if blocky else _rounded(resolution.blur(crops, grain)),
        jpeg=_jpeg(picture, looked, blocky),
        oversize=None if blocky else _rounded(resolution.oversize(crops, grain)),
        light=_light(looked),
        background=_background(looked),
        pixel_grid=PixelGrid(width=grid.width, height=grid.height, x=grid.x, y=grid.y) if grid is not None else None,
        text=_text(text, chances[0]),
        faces=None,
        alpha=Alpha(kind=transparency, clear=round(clear, 3)),
    )
    return seen, chances


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)


def _grain(picture: Image, known: Damage | None) -> float:
    """Noise of the channel that has most light."""
    if known is not None:
        return known.noise[0 if len(known.noise) == 1 else 1]
    return noise(picture.samples[..., 0 if picture.channels == 1 else 1])


def _shows(looked: Sample) -> bool:
    """Whether there is anything at all to see: some size, and more than one colour."""
    first: Bytes = looked.crops[0].pixels[0, 0]
    return min(looked.width, looked.height) >= 8 and any((crop.pixels != first).any() for crop in looked.crops)


def _jpeg(picture: Image, looked: Sample, blocky: bool) -> Jpeg:
    found = compression.blocks(looked.crops)
    shown = found is not None and found.sure >= BLOCKS_SURE and not blocky
    grid = (found.x, found.y) if found is not None and shown else None
    damage = round(found.damage, 2) if found is not None and shown else None
    if picture.jpeg is not None:
        return Jpeg(quality=compression.quality_of(picture.jpeg.luma), found="tables", damage=damage, grid=grid)
    quality = compression.quality_by_content(looked.crops, *(grid or (0, 0))) if not blocky else None
    return Jpeg(quality=quality, found="content" if quality is not None else None, damage=damage, grid=grid)


def _light(looked: Sample) -> Light:
    found = light.light(looked)
    black, white = (tuple(round(v, 4) for v in shares) for shares in light.clipped(looked))
    return Light(mean=round(found.mean, 3), median=round(found.median, 3), low=found.low, black=black, white=white)


def _background(looked: Sample) -> Background:
    share, colour = light.background(looked)
    return Background(share=round(share, 3), colour=None if colour is None else "#" + "".join(f"{v:02x}" for v in colour))


def _text(found: lettering.Lettering, what: str) -> Text:
    """There is text where several lines are equally high; in photographs and drawings, whose texture has rows too, more is asked for."""
    if what == "pixel-art":
        return Text(present=None)
    lines, even, contrast = LETTERS if what == "document" else LETTERS_ELSEWHERE
    if found.lines == 0:
        return Text(present=False)
    if found.lines < lines or found.even < even or found.contrast < contrast or found.height is None:
        return Text(present=None if found.lines >= 2 else False)
    return Text(present=True, x_height=round(found.height, 1), legible=found.height >= lettering.LEGIBLE)


def noise(plane: NDArray[Any]) -> float:
    """Standard deviation of the white noise in stored samples ``(h, w)``, white being 1; 0 when below :data:`NO_NOISE`.

    Second differences ``g`` along both axes and mixed fourth differences ``l`` (Immerkaer 1996) of the quietest blocks:
    noise gives ``l = 36 s^2`` and ``g = 12 s^2``, smooth texture about ``l = 1.5 g``; hence ``s^2 = (l - 1.5 g) / 18``, which
    fine texture does not pass for noise. Clipped blocks say nothing and are left out.
    """
    top = float(np.iinfo(plane.dtype).max)
    energies = [_block_energies(band, top) for band in _bands(plane)]
    mixed, second = (np.concatenate([pair[i] for pair in energies]) for i in (0, 1)) if energies else (np.empty(0), np.empty(0))
    if mixed.size < 4:
        return 0.0
    count = max(4, int(QUIET * second.size))
    quiet = np.argpartition(second, count - 1)[:count]
    variance = (mixed[quiet].mean() - SMOOTH_RATIO * second[quiet].mean()) / (36 - 12 * SMOOTH_RATIO)
    sigma = QUIET_BIAS * float(np.sqrt(max(variance, 0.0))) / top
    return sigma if sigma >= NO_NOISE else 0.0


def _bands(plane: NDArray[Any]) -> list[NDArray[Any]]:
    """The plane, or evenly spaced bands of rows of a large one."""
    height, width = plane.shape
    if height * width <= ENOUGH:
        return [plane]
    rows = max(4 * BLOCK + 2, ENOUGH // width // 16)
    starts = np.linspace(0, max(0, height - rows), 16).astype(int)
    return [plane[y : y + rows] for y in starts]


def _block_energies(plane: NDArray[Any], top: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean squares of mixed fourth and of second differences per block that is not clipped."""
    height, width = ((n - 2) // BLOCK * BLOCK for n in plane.shape)
    if height <= 0 or width <= 0:
        return np.empty(0), np.empty(0)
    p = plane[: height + 2, : width + 2].astype(np.float32)
    across = p[:, :-2] - 2 * p[:, 1:-1] + p[:, 2:]
    down = p[:-2] - 2 * p[1:-1] + p[2:]
    mixed = across[:-2] - 2 * across[1:-1] + across[2:]
    inner = p[1:-1, 1:-1]
    kept = _block_mean((inner <= 0) | (inner >= top)) < 0.05
    second = _block_mean(across[1:-1] ** 2 + down[:, 1:-1] ** 2)
    return _block_mean(mixed**2)[kept], second[kept]


def _block_mean(plane: NDArray[Any]) -> NDArray[np.float64]:
    height, width = plane.shape
    result: NDArray[np.float64] = plane.reshape(height // BLOCK, BLOCK, width // BLOCK, BLOCK).mean((1, 3), dtype=np.float64)
    return result
