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


LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601


def l1_luma(y: Tensor, truth: Tensor) -> Tensor:
    """L1 of the colours, and of their luma once more: eyes see detail there, and the published figures are of it."""
    tones = y.new_tensor(LUMA)[:, None, None]
    return l1(y, truth) + l1((y * tones).sum(1), (truth * tones).sum(1))


LOSSES: dict[str, Loss] = {"l1": l1, "mse": mse, "l1+edges": l1_edges, "l1+mse": l1_mse, "l1+luma": l1_luma}


BANDS = (1.2, 2.4)  # standard deviations, in pixels of the answer at x4, of the bands that are made stronger
AROUND = 13  # pixels per side of the windows in which strengths are compared


def heightened(faithful: Tensor, truth: Tensor, most: float) -> Tensor:
    """What a crisp net shall answer: a faithful one's answer, its fine bands as strong as the truth's, up to `most` times what they were.

    Where L1 has smoothed what it could not foresee, the truth has more energy in a band; there what was foreseen is made stronger. Where
    both have the same (flat areas, what is out of focus) nothing changes. No value leaves the range that the truth, or the answer itself,
    has within two pixels: no ringing, and nothing is invented, neither grain nor strokes. (n, 3, h, w) each, in [0, 1].
    """
    tones = faithful.new_tensor(LUMA)[:, None, None]
    wanted, before = faithful, (faithful, truth)
    for deviation in BANDS:
        after = (_blurred(faithful, deviation), _blurred(truth, deviation))
        band, goal = (fine - coarse for fine, coarse in zip(before, after, strict=True))
        ours, theirs = (_mean((one * tones).sum(1, keepdim=True).square(), AROUND) + (1 / 255) ** 2 for one in (band, goal))
        wanted = wanted + (_mean((theirs / ours).sqrt().clamp(1, most), 5) - 1) * band
        before = after
    around = F.pad(truth, (2, 2, 2, 2), mode="reflect")
    low, high = -F.max_pool2d(-around, 5, 1), F.max_pool2d(around, 5, 1)
    return torch.minimum(torch.maximum(wanted, torch.minimum(low, faithful)), torch.maximum(high, faithful))


def _blurred(y: Tensor, deviation: float) -> Tensor:
    """A Gaussian of `deviation` pixels, cut off at three of them."""
    reach = int(3 * deviation + 0.5)
    weights = torch.exp(-torch.arange(-reach, reach + 1, device=y.device).square() / (2 * deviation**2))
    weights = (weights / weights.sum()).expand(3, 1, 1, -1)
    y = F.conv2d(F.pad(y, (reach,) * 4, mode="reflect"), weights, groups=3)
    return F.conv2d(y, weights.mT, groups=3)


def _mean(planes: Tensor, window: int) -> Tensor:
    """The mean over `window` x `window` pixels around each; odd."""
    return F.avg_pool2d(F.pad(planes, (window // 2,) * 4, mode="reflect"), window, 1)


def locked(y: Tensor, x: Tensor, rounds: int) -> Tensor:
    """The colour lock on a batch: `rounds` times y <- y + U(x - D(y)), differentiable, without rounding. (n, 3, h, w) and its source x."""
    (h, w), (tall, wide) = x.shape[-2:], y.shape[-2:]
    down, left, up, right = (torch.from_numpy(matrix(*sides)).to(y.device) for sides in ((tall, h), (wide, w), (h, tall), (w, wide)))
    for _ in range(rounds):
        y = y + up @ (x - down @ y @ left.T) @ right.T
    return y
