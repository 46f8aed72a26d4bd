"""The compact net: 3x3 convolutions and PReLU at source size, one pixel shuffle at the end, a plain enlargement as skip.

The shape is SRVGGNetCompact of Real-ESRGAN (X. Wang et al., BSD-3-Clause): `blocks` times conv + PReLU between a first and a last
convolution; 64 channels and 16 blocks have 0.62 million parameters. Tensors are (n, 3, h, w) in [0, 1] -> (n, 3, h * scale, w * scale).
A net that takes conditions reads one constant plane more per condition, behind the colours (as K. Zhang et al. 2018, FFDNet, do for noise).
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from training.eight_bit import convolved
from training.resize import matrix

CONDITIONS = ("denoise", "deblock")  # the planes in their order; strengths in [0, 1], what each means stands in damage.py


LEAK = 0.1  # of what is below zero, in nets with one slope that begin from nothing


@dataclass(frozen=True)
class Shape:
    """What a net looks like; everything that a weights file must agree on."""

    scale: Literal[2, 3, 4] = 4
    channels: int = 64
    blocks: int = 16
    skip: Literal["nearest", "bicubic"] = "nearest"
    conditions: int = 0  # how many of CONDITIONS the net reads
    slopes: Literal["each", "one"] = "each"  # below zero: PReLU, or one for all channels, which ncnn does within the convolution

    def __post_init__(self) -> None:
        if not 0 <= self.conditions <= len(CONDITIONS):
            raise ValueError(f"{self.conditions} conditions: there are {len(CONDITIONS)}, {', '.join(CONDITIONS)}")

    @property
    def inputs(self) -> int:
        """Channels that the net reads: the colours and one plane per condition."""
        return 3 + self.conditions

    def as_text(self) -> dict[str, str]:
        """For the metadata of a safetensors file, which holds strings only."""
        return {key: str(value) for key, value in asdict(self).items()}

    @classmethod
    def from_text(cls, text: dict[str, str]) -> "Shape":
        return cls(
            scale=int(text["scale"]),  # type: ignore[arg-type]
            channels=int(text["channels"]),
            blocks=int(text["blocks"]),
            skip=text["skip"],  # type: ignore[arg-type]
            conditions=int(text.get("conditions", "0")),  # files from before there were any
            slopes=text.get("slopes", "each"),  # type: ignore[arg-type]
        )


def bicubic_phases(scale: int) -> Tensor:
    """(3 * scale**2, 1, 5, 5) depthwise weights that, followed by a pixel shuffle, are bicubic enlargement (a = -0.5)."""
    rows = torch.from_numpy(matrix(9, 9 * scale).copy())[4 * scale : 5 * scale, 2:7]
    kernels = rows[:, None, :, None] * rows[None, :, None, :]
    return kernels.reshape(1, scale * scale, 1, 5, 5).repeat(3, 1, 1, 1, 1).reshape(3 * scale * scale, 1, 5, 5)


class Slope(torch.autograd.Function):
    """PReLU with a backward pass in four sweeps: a sixth less time per step on a CPU than PyTorch's own, in bf16."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, slope: Tensor) -> Tensor:
        ctx.save_for_backward(x, slope)
        return torch.prelu(x, slope.to(x.dtype))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
        x, slope = ctx.saved_tensors
        below = torch.ops.aten.threshold_backward(gradient, -x, 0)  # the gradient where x < 0, else 0
        for_slope = (below * x).flatten(2).sum(-1).float().sum(0)
        return torch.addcmul(gradient, below, (slope - 1).to(gradient.dtype)[:, None, None]), for_slope.to(slope.dtype)


class Compact(nn.Module):
    """`convolutions[i]` and `slopes[i]` in the order of the walk; the last convolution has none, with one slope for all there are none."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.leaks = (LEAK,) * (shape.blocks + 1)  # the slopes of a shape with one for all channels
        self.uneven: list[Tensor] = []  # the slopes for each channel that such a net began with, until they are even
        self.evened = 0.0  # how far they are on their way
        self.ranges: tuple[float, ...] = ()  # of what each convolution but the first reads, once the net runs in eight bits (eight_bit.py)
        widths = [shape.inputs, *[shape.channels] * (shape.blocks + 1), 3 * shape.scale**2]
        self.convolutions = nn.ModuleList(nn.Conv2d(a, b, 3, padding=1) for a, b in pairwise(widths))
        self.slopes = nn.ModuleList(nn.PReLU(shape.channels, init=0.1) for _ in range(shape.blocks + 1 if shape.slopes == "each" else 0))
        if shape.skip == "bicubic":
            self.register_buffer("phases", bicubic_phases(shape.scale), persistent=False)
        for convolution in self.convolutions:
            nn.init.kaiming_normal_(convolution.weight, a=0.1)  # type: ignore[arg-type]
            nn.init.zeros_(convolution.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        y = x
        for i in range(self.shape.blocks + 1):
            y = self._convolved(i, y)
            if self.uneven:
                y = torch.prelu(y, self.uneven[i].to(y).lerp(y.new_tensor(self.leaks[i]), self.evened))
            elif not self.slopes:
                y = F.leaky_relu(y, self.leaks[i])
            elif self.training:
                y = Slope.apply(y, self.slopes[i].weight)  # type: ignore[no-untyped-call]
            else:
                y = self.slopes[i](y)
        y = self._convolved(self.shape.blocks + 1, y)
        scale = self.shape.scale
        x = x[:, :3] if self.shape.conditions else x
        if self.shape.skip == "bicubic":
            y = y + F.conv2d(F.pad(x, (2, 2, 2, 2), mode="replicate"), self.phases, groups=3)  # type: ignore[arg-type]
        else:
            y = y + x.repeat_interleave(scale * scale, dim=1)
        return F.pixel_shuffle(y, scale)

    def even_out(self, share: float) -> None:
        """Brings slopes that differ from channel to channel `share` of the way to one for all; at 1 they are."""
        self.evened = share
        if share >= 1:
            self.uneven = []

    def _convolved(self, i: int, y: Tensor) -> Tensor:
        if i and self.ranges:
            return convolved(self.convolutions[i], y, self.ranges[i - 1])
        answer: Tensor = self.convolutions[i](y)
        return answer


def near_the_skip(net: Compact) -> None:
    """First weights of a net that begins from nothing: its answer is the plain skip, and every block hands on what it is given.

    A third of the usual random weights, and the identity (what a residual block would add, without its cost). Learns far faster than random
    weights alone: 27.63 dB on Set14 after 600 steps where those gave 27.53.
    """
    middle, last = net.convolutions[1:-1], net.convolutions[-1]
    with torch.no_grad():
        for convolution in middle:
            convolution.weight.mul_(0.3)  # type: ignore[operator]
            convolution.weight[:, :, 1, 1] += torch.eye(net.shape.channels)  # type: ignore[index]
        for parameter in last.parameters():
            parameter.zero_()


def enlarge_bytes(net: Compact, picture: Tensor, levels: Sequence[float] = ()) -> Tensor:
    """One picture as delivered: (h, w, 3) uint8 -> (h * scale, w * scale, 3) uint8, in fp32, rounded and clipped.

    `levels` holds the conditions in [0, 1]; those that are not given are 0, those that the net does not read are left out.
    """
    with torch.inference_mode():
        x = picture.permute(2, 0, 1)[None].float() / 255
        if net.shape.conditions:
            known = [*levels, *[0.0] * len(CONDITIONS)][: net.shape.conditions]
            x = torch.cat([x, x.new_tensor(known)[None, :, None, None].expand(-1, -1, *x.shape[2:])], dim=1)
        y = net(x)[0].permute(1, 2, 0) * 255
        return torch.clamp(torch.floor(y + 0.5), 0, 255).to(torch.uint8)
