"""Graph and weights into ncnn: a net of the catalogue, or one between two of a family; as it is, or in 8-bit integers.

Nets trained from the same start can be interpolated: what lies between them is a net as well (X. Wang et al. 2019, Deep Network
Interpolation). It is the native form of the dial ``detail``: 50 is the first net, 100 the second, at the cost of one.

Nets that were trained for it are run in 8-bit integers by CPUs (``docs/decisions/0010-eight-bits.md``). Their files hold 16-bit floats, as
those of all nets: that is what GPUs take, and what can be interpolated.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from enlarger.engines.engine import ModelSpec
from enlarger.engines.weights import locate
from enlarger.errors import WeightsError

HALF = 0x01306B47
"""What ncnn writes before weights in 16-bit floats; 0 stands before 32-bit ones."""

INTEGERS = 0x000D4B38
"""What ncnn expects before weights in 8-bit integers."""

TOP = 127
"""The largest of them; -128 is not used."""

WEIGHTED = ("Convolution", "ConvolutionDepthWise")


def load(net: Any, model: ModelSpec, other: ModelSpec | None, share: float, ranges: Sequence[float] = ()) -> bytes:
    """``model`` into ``net``, an empty ``ncnn.Net``, ``share`` of the way to ``other``; in 8-bit integers when ``ranges`` are given
    (:func:`in_eight_bits`). Keep what is returned: ncnn may borrow it.

    Raises :class:`WeightsError`.
    """
    graph, weights = _files(model)
    mixes = other is not None and share > 0
    if not mixes and not ranges:
        for path, read in ((graph, net.load_param), (weights, net.load_model)):
            if read(str(path)) != 0:
                raise WeightsError("ncnn cannot load this file", subject=path.name)
        return b""
    layers, content = graph.read_text(encoding="ascii"), weights.read_bytes()
    if mixes:
        assert other is not None
        content = between(layers, content, _files(other)[1].read_bytes(), share)
    if ranges:
        layers, content = in_eight_bits(layers, content, ranges)
    if net.load_param_mem(layers) != 0:
        raise WeightsError("ncnn cannot load this file", subject=graph.name)
    net.load_model_mem(content)
    return content


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
    result = bytearray(first)
    for stored in _stored(param, first):
        if stored.flag is not None and first[stored.start : stored.start + 4] != second[stored.start : stored.start + 4]:
            raise WeightsError("these nets are not of one family: their weights are stored differently")
        for at, count, dtype in stored.blocks:
            a, b = (np.frombuffer(data, dtype, count, at).astype(np.float32) for data in (first, second))
            mixed = (a + np.float32(share) * (b - a)).astype(dtype).tobytes()
            result[at : at + len(mixed)] = mixed
    return bytes(result)


def in_eight_bits(param: str, weights: bytes, ranges: Sequence[float]) -> tuple[str, bytes]:
    """The graph and the weights of a chain of convolutions, all but the first of them in 8-bit integers.

    ``ranges`` holds, for each convolution but the first, the largest number that it reads. The weights of an output channel are
    whole numbers times a step of its own, a 127th of the largest. Where one such convolution reads another one's answer it is
    handed over in integers. Raises :class:`WeightsError` when graph, weights and ranges do not belong together.
    """
    head, lines = param.splitlines()[:2], [line for line in param.splitlines()[2:] if line.split()]
    last = [kind for kind, _ in _layers(param)].count("Convolution") - 1
    if last != len(ranges):
        raise WeightsError(f"a net of {last + 1} convolutions has {last} ranges, not {len(ranges)}")
    result, number = bytearray(), -1
    for stored in _stored(param, weights):
        if stored.kind == "PReLU":
            raise WeightsError("a net with slopes of its own for each channel is not run in 8-bit integers")
        number += stored.kind == "Convolution"
        if stored.kind != "Convolution" or number == 0:
            result += weights[stored.start : stored.end]
            continue
        at, count, dtype = stored.blocks[0]
        whole, scales = _integers(np.frombuffer(weights, dtype, count, at).astype(np.float32).reshape(stored.channels, -1))
        handed = number < last
        read = [TOP / largest for largest in ranges[number - 1 : number + handed]]
        result += INTEGERS.to_bytes(4, "little") + whole.tobytes() + bytes(-count % 4)
        for at, count, dtype in stored.blocks[1:]:  # the bias
            result += weights[at : at + count * np.dtype(dtype).itemsize]
        result += scales.astype("<f4").tobytes() + np.asarray(read, "<f4").tobytes()
        lines[stored.line] += f" 8={101 if handed else 1}"
    return "\n".join([*head, *lines, ""]), bytes(result)


def _integers(values: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """``(channels, n)`` as integers, and what each channel was multiplied by."""
    largest = np.abs(values).max(axis=1)
    scales = np.divide(TOP, largest, out=np.ones_like(largest), where=largest > 0)
    return np.rint(values * scales[:, None]).astype(np.int8), scales


@dataclass(frozen=True, slots=True)
class _Stored:
    """Where the weights of one layer lie in a ``.bin``: from ``start`` to ``end``; ``blocks`` of them as (start, count, dtype).

    ``line`` is the layer's number in the graph, ``flag`` what tells how its kernels are stored, if it has some.
    """

    line: int
    kind: str
    channels: int
    flag: int | None
    start: int
    end: int
    blocks: tuple[tuple[int, int, str], ...]


def _stored(param: str, weights: bytes) -> Iterator[_Stored]:
    """The layers of the graph ``param`` that have weights. :class:`WeightsError` when these are not of that graph."""
    end = 0
    for line, (kind, settings) in enumerate(_layers(param)):
        start, flag = end, None
        wanted: list[tuple[int, str]] = []
        if kind in WEIGHTED:
            flag = int.from_bytes(weights[start : start + 4], "little")
            if flag not in (0, HALF):
                raise WeightsError("weights that are stored neither in 16-bit nor in 32-bit floats")
            end += 4
            wanted = [(settings[6], "<f2" if flag == HALF else "<f4"), *([(settings[0], "<f4")] if settings.get(5) else [])]
        elif kind == "PReLU":
            wanted = [(settings[0], "<f4")]
        if not wanted:
            continue
        blocks = []
        for count, dtype in wanted:
            blocks.append((end, count, dtype))
            length = count * np.dtype(dtype).itemsize
            if end + length > len(weights):
                raise WeightsError("a weights file ends before its graph does")
            end += (length + 3) // 4 * 4
        yield _Stored(line, kind, settings[0], flag, start, end, tuple(blocks))
    if end != len(weights):
        raise WeightsError("a weights file is longer than its graph")


def _layers(param: str) -> list[tuple[str, dict[int, int]]]:
    """Kind and whole-number settings of each layer of an ncnn ``.param``."""
    layers = []
    for line in param.splitlines()[2:]:
        words = line.split()
        if words:
            pairs = (word.split("=") for word in words if word.count("=") == 1 and "," not in word)
            layers.append((words[0], {int(key): int(value) for key, value in pairs if value.lstrip("-").isdigit()}))
    return layers
