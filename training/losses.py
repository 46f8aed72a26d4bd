"""What the nets are trained to make small. Every loss takes (answer, truth), (n, 3, h, w) in [0, 1], and gives one number."""

from collections.abc import Callable

import torch
from torch import Tensor

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


def locked(y: Tensor, x: Tensor, rounds: int) -> Tensor:
    """The colour lock on a batch: `rounds` times y <- y + U(x - D(y)), differentiable, without rounding. (n, 3, h, w) and its source x."""
    (h, w), (tall, wide) = x.shape[-2:], y.shape[-2:]
    down, left, up, right = (torch.from_numpy(matrix(*sides)).to(y.device) for sides in ((tall, h), (wide, w), (h, tall), (w, wide)))
    for _ in range(rounds):
        y = y + up @ (x - down @ y @ left.T) @ right.T
    return y
