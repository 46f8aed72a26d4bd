"""From large crops to pairs of (small, large): what the net sees and what it should answer."""

import numpy as np
import torch
from torch import Tensor

from training.damage import DAMAGES, UNTOUCHED, Levels, damaged
from training.photos import Pictures, crops
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


def dials(levels: Levels, random: np.random.Generator) -> Levels:
    """What a person or a measurement would say of `levels`: up to a tenth beside them, and now and then a little where nothing is."""
    if levels == UNTOUCHED:
        said = random.uniform(0, 0.2, 2) if random.random() < 0.4 else np.zeros(2)
    else:
        said = np.array(levels) + np.where(np.array(levels) > 0, random.uniform(-0.1, 0.1, 2), 0)
    denoise, deblock = np.clip(said, 0, 1)
    return float(denoise), float(deblock)


def with_planes(x: Tensor, levels: list[Levels], conditions: int) -> Tensor:
    """(n, 3, h, w) -> (n, 3 + conditions, h, w): each picture's levels as constant planes behind its colours."""
    planes = torch.tensor(levels)[:, :conditions, None, None]
    return torch.cat([x, planes.expand(-1, -1, *x.shape[2:])], dim=1)


def pairs(
    cache: Pictures, random: np.random.Generator, kind: str, scale: int, size: int, count: int, conditions: int = 0
) -> tuple[Tensor, Tensor]:
    """(count, 3 + conditions, size, size) and (count, 3, size * scale, size * scale) in [0, 1].

    `kind` is "clean" or a name in damage.DAMAGES.
    """
    margin = MARGIN if kind == "clean" else 8
    levels = [UNTOUCHED] * count
    large = crops(cache, random, count, (size + 2 * margin) * scale)
    if kind == "clean":
        small, top, left = clean(tensor(large), scale), margin, margin
    else:
        done = [damaged(one, random, scale, DAMAGES[kind]) for one in large]
        small = tensor(np.stack([picture for picture, _ in done]))
        levels = [dials(known, random) for _, known in done]
        top, left = (int(n) for n in random.integers(4, 12, 2))  # so that JPEG's blocks begin anywhere
    x = small[..., top : top + size, left : left + size].contiguous()
    truth = tensor(large[:, top * scale : (top + size) * scale, left * scale : (left + size) * scale])
    x = x / 255
    return with_planes(x, levels, conditions) if conditions else x, truth / 255
