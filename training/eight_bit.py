"""Nets whose convolutions run in 8-bit integers: a quarter less time on CPUs. Here they are trained to bear it.

In use (`engines/ncnn_weights.py`, by ncnn) the weights of a convolution are whole numbers from -127 to 127 times a step per output channel,
the largest weight being 127; what it reads are such numbers times one step per convolution. Training rounds both in the same way, and
lets the gradient pass as if nothing had been rounded (Y. Bengio et al. 2013, the straight-through estimator; R. Krishnamoorthi 2018).

The first convolution, which reads the picture itself, is never rounded.
"""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

TOP = 127
SAMPLE = 400_000  # values by which a range is chosen


class Rounded(torch.autograd.Function):
    """Whole numbers from -127 to 127: x / step, rounded and clipped. What was clipped passes no gradient."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, step: Tensor) -> Tensor:
        whole = x / step
        ctx.save_for_backward(whole.abs() <= TOP + 0.5, step)
        return whole.round_().clamp_(-TOP, TOP)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        inside, step = ctx.saved_tensors
        return gradient * inside / step, None


def convolved(convolution: nn.Module, x: Tensor, largest: float) -> Tensor:
    """What `convolution` gives in eight bits when `largest` is the greatest number that it can read."""
    weight: Tensor = convolution.weight  # type: ignore[assignment]
    steps = weight.detach().abs().amax((1, 2, 3), keepdim=True) / TOP
    step = weight.new_tensor(largest / TOP)
    whole = F.conv2d(Rounded.apply(x.float(), step), Rounded.apply(weight, steps), padding=1)  # type: ignore[no-untyped-call]
    return whole.float() * (steps * step).view(-1, 1, 1) + convolution.bias.view(-1, 1, 1)  # type: ignore[operator,union-attr]


def ranges(net: nn.Module, pictures: Iterable[Tensor]) -> tuple[float, ...]:
    """For each convolution but the first, the largest number that it shall read: the one that loses least to rounding and clipping
    together, by the mean square over what it reads in `pictures`, each (n, channels, h, w).
    """
    convolutions = list(net.convolutions)[1:]  # type: ignore[arg-type]
    read: list[list[Tensor]] = [[] for _ in convolutions]
    hooks = [
        convolution.register_forward_pre_hook(lambda _, given, kept=kept: kept.append(given[0].abs().flatten()))
        for convolution, kept in zip(convolutions, read, strict=True)
    ]
    try:
        with torch.inference_mode():
            for picture in pictures:
                net(picture)
    finally:
        for hook in hooks:
            hook.remove()
    return tuple(_range(torch.cat(values)) for values in read)


def _range(values: Tensor) -> float:
    seeded = torch.Generator().manual_seed(1)
    some = values[torch.randint(len(values), (min(SAMPLE, len(values)),), generator=seeded)]
    highest = float(values.max())

    def lost(largest: float) -> float:
        step = largest / TOP
        return float(((some / step).round().clamp(max=TOP) * step - some).square().mean())

    return min((highest * share / 40 for share in range(8, 41)), key=lost)
