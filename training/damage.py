"""What happens to pictures on their way through the web: blur, then resizing, noise and JPEG in random order, on the small picture.

In the manner of Real-ESRGAN (X. Wang et al. 2021), much milder, so that the answer stays determined by what is seen.
"""

import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter

from training.resize import Bytes, resize, to_bytes

FILTERS = (Image.Resampling.BOX, Image.Resampling.BILINEAR, Image.Resampling.BICUBIC, Image.Resampling.LANCZOS)


@dataclass(frozen=True)
class Damage:
    """How much of what. Lengths in pixels of the small picture, noise on the 0-255 scale; each kind happens with its own chance."""

    untouched: float = 0.15
    blur_chance: float = 0.35
    blur: tuple[float, float] = (0.2, 1.2)
    noise_chance: float = 0.45
    noise: tuple[float, float] = (1.0, 18.0)
    jpeg_chance: float = 0.7
    jpeg: tuple[int, int] = (25, 95)
    resize_chance: float = 0.3
    resize: tuple[float, float] = (0.7, 1.6)


def blurred(picture: Bytes, random: np.random.Generator, sigma: float) -> Bytes:
    """Gaussian, up to twice as wide in one direction as in the other. (h, w, 3) uint8."""
    across = sigma * random.uniform(0.5, 1.0)
    sigmas = (sigma, across, 0) if random.random() < 0.5 else (across, sigma, 0)
    return to_bytes(gaussian_filter(picture.astype(np.float32), sigmas, mode="nearest"))


def noisy(picture: Bytes, random: np.random.Generator, sigma: float) -> Bytes:
    """Sensor noise: even or growing with brightness, coloured, or grey in four of ten cases."""
    shape = (*picture.shape[:2], 1 if random.random() < 0.4 else 3)
    noise: NDArray[np.float64] = random.normal(0, sigma, shape)
    if random.random() < 0.5:
        noise = noise * np.sqrt(picture / 128.0 + 0.1)
    return to_bytes(picture + noise)


def jpeg(picture: Bytes, quality: int, subsampling: int = 2) -> Bytes:
    """Through JPEG and back; subsampling 0 is 4:4:4, 2 is 4:2:0."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=quality, subsampling=subsampling)
    with Image.open(buffer) as image:
        return np.asarray(image.convert("RGB"))


def resized(picture: Bytes, random: np.random.Generator, height: int, width: int) -> Bytes:
    how = FILTERS[int(random.integers(len(FILTERS)))]
    return np.asarray(Image.fromarray(picture).resize((width, height), how))


def damaged(large: Bytes, random: np.random.Generator, scale: int, damage: Damage) -> Bytes:
    """(h * scale, w * scale, 3) -> (h, w, 3), uint8: reduced by D or by a random filter, and damaged."""
    height, width = (side // scale for side in large.shape[:2])
    if random.random() < damage.untouched:
        return resize(large, height, width)
    factor = random.uniform(*damage.resize) if random.random() < damage.resize_chance else 1.0
    at = [max(8, round(side * factor)) for side in (height, width)]
    small = resize(large, *at) if random.random() < 0.6 else resized(large, random, *at)
    if random.random() < damage.blur_chance:  # a lens blurs before the sensor reduces; this way round is nearly equal and much cheaper
        small = blurred(small, random, random.uniform(*damage.blur))

    def noise(x: Bytes) -> Bytes:
        return noisy(x, random, random.uniform(*damage.noise)) if random.random() < damage.noise_chance else x

    def compress(x: Bytes) -> Bytes:
        if random.random() >= damage.jpeg_chance:
            return x
        return jpeg(x, int(random.integers(damage.jpeg[0], damage.jpeg[1] + 1)), 0 if random.random() < 0.4 else 2)

    def back(x: Bytes) -> Bytes:
        return x if x.shape[:2] == (height, width) else resized(x, random, height, width)

    steps = [noise, compress, back]
    for i in random.permutation(len(steps)):
        small = steps[i](small)
    return small


DAMAGES = {"web": Damage()}
