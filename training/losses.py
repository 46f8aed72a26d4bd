"""What the nets are trained to make small. Every loss takes (answer, truth), (n, 3, h, w) in [0, 1], and gives one number."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from training.resize import matrix

Loss = Callable[[Tensor, Tensor], Tensor]


def l1(y: Tensor, truth: Tensor) -> Tensor:
    return (y - truth).abs().mean()


def mse(y: Tensor, truth: Tensor) -> Tensor:
    """Times 15: about as large as L1 on photographs, so that the optimiser's moments stay valid when one replaces the other."""
    return 15 * (y - truth).square().mean()


def edges(y: Tensor, truth: Tensor) -> Tensor:
    """L1 of the differences between neighbours, both ways."""
    error = y - truth
    return error.diff(dim=-1).abs().mean() + error.diff(dim=-2).abs().mean()


def l1_edges(y: Tensor, truth: Tensor) -> Tensor:
    return l1(y, truth) + edges(y, truth)


def l1_mse(y: Tensor, truth: Tensor) -> Tensor:
    return 0.25 * l1(y, truth) + 0.75 * mse(y, truth)


LOSSES: dict[str, Loss] = {"l1": l1, "mse": mse, "l1+edges": l1_edges, "l1+mse": l1_mse}


def reduced(y: Tensor, x: Tensor) -> Tensor:
    """L1 between D of the answer, without rounding, and the source x: what is seen stays, whatever is added above it."""
    (h, w), (tall, wide) = x.shape[-2:], y.shape[-2:]
    down, left = (torch.from_numpy(matrix(*sides)).to(y.device) for sides in ((tall, h), (wide, w)))
    inside = (..., slice(2, -2), slice(2, -2))  # the crop's own border is not the picture's
    return ((down @ y @ left.T - x)[inside]).abs().mean()


LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601
GRAIN = 2 / 255  # texture below this is no texture


def energies(y: Tensor, levels: int = 2, window: int = 8) -> list[Tensor]:
    """Log energy of luma's sub-bands, (n, 3, ...) each: differences along rows, columns and both, in windows of `window` pixels, then the
    same of the picture at half the size. At x4 two levels are about the frequencies that the source does not have."""
    luma = (y * y.new_tensor(LUMA)[:, None, None]).sum(1, keepdim=True)
    found = []
    for _ in range(levels):
        rows, columns = luma[..., :-1, 1:] - luma[..., :-1, :-1], luma[..., 1:, :-1] - luma[..., :-1, :-1]
        both = luma[..., 1:, 1:] - luma[..., 1:, :-1] - rows
        energy = F.avg_pool2d(torch.cat([rows, columns, both], 1).square(), window, window // 2)
        found.append((energy + GRAIN**2).log())
        luma = F.avg_pool2d(luma, 2)
    return found


def texture(y: Tensor, truth: Tensor) -> Tensor:
    """L1 between the log energies of sub-bands: as much texture as the truth has there, wherever each grain of it lies."""
    differences = [(a - b).abs().mean() for a, b in zip(energies(y), energies(truth), strict=True)]
    return torch.stack(differences).mean()


def locked(y: Tensor, x: Tensor, rounds: int) -> Tensor:
    """The colour lock on a batch: `rounds` times y <- y + U(x - D(y)), differentiable, without rounding. (n, 3, h, w) and its source x."""
    (h, w), (tall, wide) = x.shape[-2:], y.shape[-2:]
    down, left, up, right = (torch.from_numpy(matrix(*sides)).to(y.device) for sides in ((tall, h), (wide, w), (h, tall), (w, wide)))
    for _ in range(rounds):
        y = y + up @ (x - down @ y @ left.T) @ right.T
    return y
