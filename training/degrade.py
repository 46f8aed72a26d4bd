"""From large crops to pairs of (small, large): what the net sees and what it should answer."""

import numpy as np
import torch
from torch import Tensor

from training.damage import DAMAGES, damaged
from training.photos import Cache, crops
from training.resize import Bytes, matrix

MARGIN = 2  # source pixels on each side that are cut off again, so that no small pixel knows of the crop's own border


def rounded(x: Tensor) -> Tensor:
    """Float values on the 0-255 scale as 8 bits would hold them."""
    return x.add(0.5).floor_().clamp_(0, 255)


def tensor(pictures: Bytes) -> Tensor:
    """(n, h, w, 3) uint8 -> (n, 3, h, w) float32, still on the 0-255 scale."""
    return torch.from_numpy(np.ascontiguousarray(pictures.transpose(0, 3, 1, 2))).float()


def clean(large: Tensor, scale: int) -> Tensor:
    """D on a batch: (n, 3, h, w) -> (n, 3, h / scale, w / scale), 0-255, rounded to 8 bits; equals `resize.reduce`."""
    height, width = (side // scale for side in large.shape[-2:])
    rows = rounded(torch.from_numpy(matrix(large.shape[-2], height)) @ large)
    return rounded(rows @ torch.from_numpy(matrix(large.shape[-1], width)).T)


def pairs(cache: Cache, random: np.random.Generator, kind: str, scale: int, size: int, count: int) -> tuple[Tensor, Tensor]:
    """(count, 3, size, size) and (count, 3, size * scale, size * scale) in [0, 1]. `kind` is "clean" or a name in damage.DAMAGES."""
    margin = MARGIN if kind == "clean" else 8
    large = crops(cache, random, count, (size + 2 * margin) * scale)
    if kind == "clean":
        small, top, left = clean(tensor(large), scale), margin, margin
    else:
        small = tensor(np.stack([damaged(one, random, scale, DAMAGES[kind]) for one in large]))
        top, left = (int(n) for n in random.integers(4, 12, 2))  # so that JPEG's blocks begin anywhere
    x = small[..., top : top + size, left : left + size].contiguous()
    truth = tensor(large[:, top * scale : (top + size) * scale, left * scale : (left + size) * scale])
    return x / 255, truth / 255
