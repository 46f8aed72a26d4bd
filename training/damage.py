"""What happens to pictures on their way through the web: blur, then resizing, noise and JPEG in random order, on the small picture.

In the manner of Real-ESRGAN (X. Wang et al. 2021), much milder, so that the answer stays determined by what is seen. What was done is known
as two levels in [0, 1], in the order of nets.CONDITIONS, which a net that takes conditions is told.
"""

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

from training.resize import Bytes, resize, to_bytes

FILTERS = (Image.Resampling.BOX, Image.Resampling.BILINEAR, Image.Resampling.BICUBIC, Image.Resampling.LANCZOS)


@dataclass(frozen=True)
class Damage:
    """How much of what. Lengths in pixels of the small picture, noise on the 0-255 scale; each kind happens with its own chance.

    Blur and resizing, of which the levels say nothing, come only together with noise or JPEG: at levels 0 a picture is untouched, and a
    net learns to answer it like one that knows of no damage.
    """

    untouched: float = 0.25
    blur_chance: float = 0.2
    blur: tuple[float, float] = (0.2, 0.8)
    noise_chance: float = 0.5
    noise: tuple[float, float] = (1.0, 25.0)
    jpeg_chance: float = 0.7
    jpeg: tuple[int, int] = (25, 95)
    resize_chance: float = 0.3
    resize: tuple[float, float] = (0.7, 1.6)


Levels = tuple[float, float]
UNTOUCHED: Levels = (0.0, 0.0)


def denoise_level(sigma: float) -> float:
    """Noise of `sigma` on the 0-255 scale -> strength in [0, 1], which is 1 from 25 on."""
    return min(max(sigma / 25, 0.0), 1.0)


def deblock_level(quality: int | None) -> float:
    """JPEG's quality (libjpeg's scale) -> strength in [0, 1]: 0 at 100 or without JPEG, 1 at 25 and below."""
    return 0.0 if quality is None else min(max((100 - quality) / 75, 0.0), 1.0)


def blurred(picture: Bytes, random: np.random.Generator, sigma: float) -> Bytes:
    """Gaussian, up to twice as wide in one direction as in the other. (h, w, 3) uint8."""
    across = sigma * random.uniform(0.5, 1.0)
    sigmas = (sigma, across, 0) if random.random() < 0.5 else (across, sigma, 0)
    return to_bytes(gaussian_filter(picture.astype(np.float32), sigmas, mode="nearest"))


def noisy(picture: Bytes, random: np.random.Generator, sigma: float) -> tuple[Bytes, float]:
    """Sensor noise: even or growing with brightness, coloured, or grey in four of ten cases. Also returns its standard deviation."""
    shape = (*picture.shape[:2], 1 if random.random() < 0.4 else 3)
    noise = random.standard_normal(shape, dtype=np.float32) * np.float32(sigma)
    if random.random() < 0.5:
        growth = np.sqrt(picture * np.float32(1 / 128) + np.float32(0.1))
        noise = noise * growth
        sigma *= float(np.sqrt(np.square(growth).mean()))
    return to_bytes(picture + noise), sigma


def jpeg(picture: Bytes, quality: int, subsampling: int = 2) -> Bytes:
    """Through JPEG and back; subsampling 0 is 4:4:4, 2 is 4:2:0."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=quality, subsampling=subsampling)
    with Image.open(buffer) as image:
        return np.asarray(image.convert("RGB"))


def resized(picture: Bytes, random: np.random.Generator, height: int, width: int) -> Bytes:
    how = FILTERS[int(random.integers(len(FILTERS)))]
    return np.asarray(Image.fromarray(picture).resize((width, height), how))


def damaged(large: Bytes, random: np.random.Generator, scale: int, damage: Damage) -> tuple[Bytes, Levels]:
    """(h * scale, w * scale, 3) -> (h, w, 3), uint8: reduced by D or by a random filter, and damaged; and the levels of what was done."""
    height, width = (side // scale for side in large.shape[:2])
    if random.random() < damage.untouched:
        return resize(large, height, width), UNTOUCHED
    factor = random.uniform(*damage.resize) if random.random() < damage.resize_chance else 1.0
    at = [max(8, round(side * factor)) for side in (height, width)]
    exact = random.random() < 0.6 and factor == 1  # at sizes that come once, making D's matrices would take the most time of all
    small = resize(large, *at) if exact else resized(large, random, *at)
    if random.random() < damage.blur_chance:  # a lens blurs before the sensor reduces; this way round is nearly equal and much cheaper
        small = blurred(small, random, random.uniform(*damage.blur))
    with_noise = random.random() < damage.noise_chance
    with_jpeg = not with_noise or random.random() < damage.jpeg_chance
    sigma, quality = 0.0, None
    for kind in random.permutation(["noise", "jpeg", "size"]):
        if kind == "noise" and with_noise:
            small, sigma = noisy(small, random, random.uniform(*damage.noise))
        elif kind == "jpeg" and with_jpeg:
            quality = int(random.integers(damage.jpeg[0], damage.jpeg[1] + 1))
            small = jpeg(small, quality, 0 if random.random() < 0.4 else 2)
        elif kind == "size" and small.shape[:2] != (height, width):
            small = resized(small, random, height, width)
    return small, (denoise_level(sigma), deblock_level(quality))


DAMAGES = {
    "web": Damage(),
    "art": Damage(untouched=0.5, blur_chance=0, noise_chance=0, jpeg=(60, 95), resize_chance=0.15, resize=(0.9, 1.3)),
}
