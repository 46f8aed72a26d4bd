"""Compact nets as ncnn files, read and written directly.

`.param` is text: a magic number, the counts of layers and blobs, then one layer per line with `key=value` settings. `.bin` holds, layer
by layer: for a convolution a flag word (0x01306B47: fp16 weights, padded to 4 bytes; 0: fp32 weights), the weights, the fp32 bias; for a
PReLU its fp32 slopes without a flag. Source: ncnn's wiki, "param and model file structure", and src/modelbin.cpp.
"""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from training.nets import Compact, Shape

HALF = 0x01306B47
MAGIC = "7767517"


def read(param: Path, weights: Path) -> Compact:
    """The net in an ncnn file, if it has the shape of a compact net; ValueError otherwise."""
    if "ConvolutionDepthWise" in param.read_text(encoding="ascii"):
        raise ValueError(f"{param}: nets with a bicubic skip are read from their safetensors file")
    layers = [line.split() for line in param.read_text(encoding="ascii").splitlines()[2:] if line.strip()]
    settings = [{key: value for key, _, value in (word.partition("=") for word in line) if value} for line in layers]
    kinds = [line[0] for line in layers]
    outputs = [int(row["0"]) for kind, row in zip(kinds, settings, strict=True) if kind == "Convolution"]
    if kinds.count("PReLU") != len(outputs) - 1 or "PixelShuffle" not in kinds or set(outputs[:-1]) != {outputs[0]}:
        raise ValueError(f"{param} does not hold a compact net")
    shuffle = int(settings[kinds.index("PixelShuffle")]["0"])
    if outputs[-1] != 3 * shuffle**2 or kinds[-1] != "BinaryOp":
        raise ValueError(f"{param}: pixel shuffle by {shuffle} behind {outputs[-1]} channels is another shape")
    inputs = int(settings[kinds.index("Convolution")]["6"]) // (9 * outputs[0])
    shape = Shape(scale=shuffle, channels=outputs[0], blocks=len(outputs) - 2, conditions=inputs - 3)  # type: ignore[arg-type]
    net = Compact(shape)
    data = weights.read_bytes()
    at = 0

    def floats(count: int, kind: str = "<f4") -> torch.Tensor:
        nonlocal at
        values: NDArray[np.float32] = np.frombuffer(data, dtype=kind, count=count, offset=at).astype(np.float32)
        at += (count * np.dtype(kind).itemsize + 3) // 4 * 4
        return torch.from_numpy(values)

    with torch.no_grad():
        for i, convolution in enumerate(net.convolutions):
            (flag,) = np.frombuffer(data, dtype="<u4", count=1, offset=at)
            at += 4
            if flag not in (0, HALF):
                raise ValueError(f"{weights}: unknown weight storage {flag:#x}")
            convolution.weight.copy_(floats(convolution.weight.numel(), "<f2" if flag else "<f4").view_as(convolution.weight))  # type: ignore[operator,arg-type]
            convolution.bias.copy_(floats(convolution.bias.numel()))  # type: ignore[operator]
            if i < len(net.slopes):
                net.slopes[i].weight.copy_(floats(net.shape.channels))  # type: ignore[operator]
    if at != len(data):
        raise ValueError(f"{weights}: {len(data) - at} bytes left over")
    return net


def _graph(net: Compact) -> list[str]:
    """The lines of a .param file. Blobs `data` and `output` as in the realesr-animevideov3 files, so the same engine runs both.

    With conditions `data` has a channel more for each, behind the colours, and the skip takes the first three channels of it.
    """
    shape = net.shape
    scale, channels, last = shape.scale, shape.channels, shape.blocks + 1
    lines = [("Input", "data", 0, 1, "data", ""), ("Split", "twice", 1, 2, "data source skip", "")]
    at, skip = "source", "skip"
    if shape.conditions:
        skip = "colours"  # starts, ends and axes of ncnn's Crop; axis 0 is the channel
        lines.append(("Crop", "colours", 1, 1, "skip colours", "-23309=1,0 -23310=1,3 -23311=1,0"))
    for i in range(last + 1):
        wide, deep = (3 * scale**2 if i == last else channels), (shape.inputs if i == 0 else channels)
        settings = f"0={wide} 1=3 4=1 5=1 6={wide * deep * 9}"
        if shape.slopes == "one" and i < last:
            settings += f" 9=2 -23310=1,{net.leaks[i]}"  # a leaky ReLU as part of the convolution
        lines.append(("Convolution", f"conv{i}", 1, 1, f"{at} conv{i}", settings))
        at = f"conv{i}"
        if shape.slopes == "each" and i < last:
            lines.append(("PReLU", f"slope{i}", 1, 1, f"{at} slope{i}", f"0={channels}"))
            at = f"slope{i}"
    if shape.skip == "bicubic":
        count = 3 * scale**2
        lines.append(("Padding", "edges", 1, 1, f"{skip} edges", "0=2 1=2 2=2 3=2 4=1"))
        lines.append(("ConvolutionDepthWise", "phases", 1, 1, "edges phases", f"0={count} 1=5 6={count * 25} 7=3"))
        lines.append(("BinaryOp", "sum", 2, 1, f"{at} phases sum", "0=0"))
        lines.append(("PixelShuffle", "shuffle", 1, 1, "sum output", f"0={scale}"))
    else:
        lines.append(("PixelShuffle", "shuffle", 1, 1, f"{at} shuffle", f"0={scale}"))
        lines.append(("Interp", "nearest", 1, 1, f"{skip} nearest", f"0=1 1={scale:e} 2={scale:e}"))
        lines.append(("BinaryOp", "sum", 2, 1, "shuffle nearest output", "0=0"))
    blobs = sum(outputs for _, _, _, outputs, _, _ in lines)
    text = [f"{kind:<24} {name:<10} {ins} {outs} {ends} {settings}".rstrip() for kind, name, ins, outs, ends, settings in lines]
    return [MAGIC, f"{len(lines)} {blobs}", *text]


def write(net: Compact, param: Path, weights: Path) -> None:
    """fp16 convolution weights; biases and slopes fp32. A bicubic skip's fixed weights are fp32."""
    data = bytearray()

    def add(values: torch.Tensor, kind: str = "<f4") -> None:
        data.extend(values.detach().numpy().astype(kind).tobytes())
        data.extend(bytes(-len(data) % 4))

    for i, convolution in enumerate(net.convolutions):
        data.extend(HALF.to_bytes(4, "little"))
        add(convolution.weight, "<f2")  # type: ignore[arg-type]
        add(convolution.bias)  # type: ignore[arg-type]
        if i < len(net.slopes):
            add(net.slopes[i].weight)  # type: ignore[arg-type]
    if net.shape.skip == "bicubic":
        data.extend(bytes(4))
        add(net.phases)  # type: ignore[arg-type]
    param.write_text("\n".join(_graph(net)) + "\n", encoding="ascii")
    weights.write_bytes(data)
