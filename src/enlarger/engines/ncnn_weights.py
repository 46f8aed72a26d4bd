"""Graph and weights into ncnn: a net of the catalogue, or one between two of a family.

Nets trained from the same start can be interpolated: what lies between them is a net as well (X. Wang et al. 2019, Deep Network
Interpolation). It is the native form of the dial ``detail``: 50 is the first net, 100 the second, at the cost of one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from enlarger.engines.engine import ModelSpec
from enlarger.engines.weights import locate
from enlarger.errors import WeightsError

HALF = 0x01306B47
"""What ncnn writes before weights in 16-bit floats; 0 stands before 32-bit ones."""

WEIGHTED = ("Convolution", "ConvolutionDepthWise")


def load(net: Any, model: ModelSpec, other: ModelSpec | None, share: float) -> bytes:
    """``model`` into ``net``, an empty ``ncnn.Net``, ``share`` of the way to ``other``. Keep what is returned: ncnn may borrow it.

    Raises :class:`WeightsError`.
    """
    graph, weights = _files(model)
    if net.load_param(str(graph)) != 0:
        raise WeightsError("ncnn cannot load this file", subject=graph.name)
    if other is None or not share:
        if net.load_model(str(weights)) != 0:
            raise WeightsError("ncnn cannot load this file", subject=weights.name)
        return b""
    mixed = between(graph.read_text(encoding="ascii"), weights.read_bytes(), _files(other)[1].read_bytes(), share)
    net.load_model_mem(mixed)
    return mixed


def _files(model: ModelSpec) -> tuple[Path, Path]:
    """Graph and weights."""
    by_suffix = {path.suffix: path for path in locate(model).values()}
    for suffix in (".param", ".bin"):
        if suffix not in by_suffix:
            raise WeightsError(f"the catalogue names no {suffix} file", subject=model.id)
    return by_suffix[".param"], by_suffix[".bin"]


def between(param: str, first: bytes, second: bytes, share: float) -> bytes:
    """An ncnn ``.bin`` for the graph ``param``: ``1 - share`` of ``first`` and ``share`` of ``second``, stored as they are.

    Raises :class:`WeightsError` when the two are not of that graph.
    """
    if len(first) != len(second):
        raise WeightsError("these nets are not of one family: their weights differ in size")
    result, at = bytearray(first), 0
    for kind, settings in _layers(param):
        blocks: list[tuple[int, str]] = []
        if kind in WEIGHTED:
            flag = first[at : at + 4]
            if flag != second[at : at + 4] or int.from_bytes(flag, "little") not in (0, HALF):
                raise WeightsError("these nets are not of one family: their weights are stored differently")
            at += 4
            blocks.append((settings[6], "<f2" if int.from_bytes(flag, "little") == HALF else "<f4"))
            if settings.get(5):
                blocks.append((settings[0], "<f4"))
        elif kind == "PReLU":
            blocks.append((settings[0], "<f4"))
        for count, dtype in blocks:
            length = count * np.dtype(dtype).itemsize
            if at + length > len(first):
                raise WeightsError("a weights file ends before its graph does")
            a, b = (np.frombuffer(data, dtype, count, at).astype(np.float32) for data in (first, second))
            result[at : at + length] = (a + np.float32(share) * (b - a)).astype(dtype).tobytes()
            at += (length + 3) // 4 * 4
    if at != len(first):
        raise WeightsError("a weights file is longer than its graph")
    return bytes(result)


def _layers(param: str) -> list[tuple[str, dict[int, int]]]:
    """Kind and whole-number settings of each layer of an ncnn ``.param``."""
    layers = []
    for line in param.splitlines()[2:]:
        words = line.split()
        if words:
            pairs = (word.split("=") for word in words if word.count("=") == 1 and "," not in word)
            layers.append((words[0], {int(key): int(value) for key, value in pairs if value.lstrip("-").isdigit()}))
    return layers
