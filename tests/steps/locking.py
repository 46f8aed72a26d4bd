"""Sources and engine's answers for tests of the lock and the dials: real pictures, and answers that err in known ways."""

from __future__ import annotations

import io

import numpy as np
import PIL.Image
from skimage import data, filters

from enlarger.image import Box, Header, Image, Quantisation
from enlarger.pixels.scaling import Sizes, planes_of
from enlarger.steps.damage import Damage

CLEAN = Damage((0.0, 0.0, 0.0))


def image(samples: np.ndarray, jpeg: Quantisation | None = None, *, alpha: bool = False) -> Image:
    height, width, bands = samples.shape
    bits = 8 * samples.dtype.itemsize
    return Image(samples, Header("", "png", width, height, bands - alpha, alpha, bits), jpeg=jpeg)


def reduced(large: np.ndarray, width: int, height: int) -> np.ndarray:
    """D of ``(h, w, c)`` of ``uint8`` or ``uint16`` as floats from 0 to 255."""
    sizes = Sizes(width, height, large.shape[1], large.shape[0])
    return sizes.reduced_rows(planes_of(large, large.shape[2]), 0, 0, height).transpose(1, 2, 0) * 255


def pair(name: str, scale: int = 4, side: int = 288) -> tuple[np.ndarray, np.ndarray]:
    """A source and the truth that it was reduced from, both ``uint8``."""
    truth = getattr(data, name)()[:side, :side, :3]
    small = reduced(truth, truth.shape[1] // scale, truth.shape[0] // scale)
    return np.clip(np.rint(small), 0, 255).astype(np.uint8), truth


def answer(truth: np.ndarray, *, tint: tuple[float, ...] = (3, -2, 4), seed: int = 1) -> np.ndarray:
    """What a net might answer, ``uint16``: smoother in places, tinted, with texture of its own and a slow drift of brightness."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: truth.shape[0], : truth.shape[1]]
    own = filters.gaussian(truth.astype(float), 1.5, channel_axis=2, preserve_range=True)
    own += filters.gaussian(rng.normal(0, 25, truth.shape[:2]), 1)[..., None] + np.array(tint[: truth.shape[2]])
    own += 4 * np.sin(x / 37 + y / 23)[..., None]
    return np.clip(own * 257 + 0.5, 0, 65535).astype(np.uint16)


def psnr(one: np.ndarray, other: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / np.mean((np.asarray(one, float) - other) ** 2)))


def consistency(result: np.ndarray, source: np.ndarray) -> float:
    return psnr(reduced(result, source.shape[1], source.shape[0]), source / (np.iinfo(source.dtype).max / 255))


def enlarged(source: np.ndarray, scale: int = 4) -> np.ndarray:
    """U of ``uint8`` samples, floats from 0 to 255."""
    height, width, bands = source.shape
    sizes = Sizes(width, height, width * scale, height * scale)
    return sizes.enlarged(planes_of(source, bands), (0, 0), Box(0, 0, width * scale, height * scale)).transpose(1, 2, 0) * 255


def through_jpeg(samples: np.ndarray, quality: int) -> tuple[np.ndarray, Quantisation]:
    file = io.BytesIO()
    PIL.Image.fromarray(samples).save(file, "JPEG", quality=quality, subsampling=2)
    with PIL.Image.open(file) as picture:
        tables = picture.quantization
        return np.asarray(picture), Quantisation(tuple(tables[0]), tuple(tables[1]), (2, 2))
