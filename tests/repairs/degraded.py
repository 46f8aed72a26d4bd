"""Pictures with known harm done to them, by another hand than the one that repairs."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import PIL.Image
from numpy.typing import NDArray
from scipy import ndimage
from skimage import data

from enlarger.image import Quantisation

Samples = NDArray[Any]


def pictures() -> dict[str, Samples]:
    """Small crops, RGB and grey: a face, fur, fine print on a cup, a tower, a wall, a man with a camera."""
    return {
        "astronaut": np.ascontiguousarray(data.astronaut()[40:200, 140:300]),
        "chelsea": np.ascontiguousarray(data.chelsea()[60:220, 120:280]),
        "coffee": np.ascontiguousarray(data.coffee()[120:280, 200:360]),
        "rocket": np.ascontiguousarray(data.rocket()[150:310, 250:410]),
        "brick": np.ascontiguousarray(data.brick()[100:260, 100:260, None]),
        "camera": np.ascontiguousarray(data.camera()[80:240, 160:320, None]),
    }


def noisy(samples: Samples, sigma: float, seed: int = 0) -> Samples:
    """White noise of ``sigma``, of 255, in every channel."""
    drawn = np.random.default_rng(seed).normal(0, sigma, samples.shape)
    return np.clip(np.rint(samples + drawn), 0, 255).astype(np.uint8)


def blurred(samples: Samples, sigma: float) -> Samples:
    soft = ndimage.gaussian_filter(samples.astype(np.float64), (sigma, sigma, 0), mode="nearest")
    return np.clip(np.rint(soft), 0, 255).astype(np.uint8)


def moved(samples: Samples, length: float, angle: float) -> Samples:
    """Along a line of ``length`` pixels, ``angle`` degrees counter-clockwise, by many small shifts (bilinear between pixels)."""
    shifts = (np.arange(8 * round(length)) + 0.5) / (8 * round(length)) - 0.5
    total = np.zeros(samples.shape)
    for shift in shifts * length:
        way = (-shift * np.sin(np.deg2rad(angle)), shift * np.cos(np.deg2rad(angle)), 0)
        total += ndimage.shift(samples.astype(np.float64), way, order=1, mode="nearest")
    return np.clip(np.rint(total / len(shifts)), 0, 255).astype(np.uint8)


def jpeg(samples: Samples, quality: int, subsampling: int = 2) -> tuple[Samples, Quantisation]:
    """What Pillow reads back (``subsampling`` 0 is 4:4:4, 1 is 4:2:2, 2 is 4:2:0), and the tables of the file."""
    grey = samples.shape[2] == 1
    out = io.BytesIO()
    options = {} if grey else {"subsampling": subsampling}
    PIL.Image.fromarray(samples[..., 0] if grey else samples).save(out, "jpeg", quality=quality, **options)
    with PIL.Image.open(out) as opened:
        tables = [tuple(int(step) for step in opened.quantization[i]) for i in sorted(opened.quantization)]
        read = np.asarray(opened).reshape(samples.shape)
    factors = ((1, 1), (2, 1), (2, 2))[0 if grey else subsampling]
    return read, Quantisation(tables[0], tables[-1], factors)


def psnr(one: Samples, other: Samples) -> float:
    return float(10 * np.log10(255**2 / max(1e-9, np.mean((one.astype(np.float64) - other) ** 2))))
