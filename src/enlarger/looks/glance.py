"""What a small net makes of a picture: the figures that cannot be said in words, beside those of ``features.py`` that can.

The first eleven blocks of EfficientNet-Lite0 (M. Tan and Q. Le 2019), trained on photographs of a thousand things and then, by
``training/glance.py``, on kinds of pictures. It looks twice: at the whole, made small, and at a part of it, pixel for pixel.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import as_file, files
from threading import Lock
from typing import Any, Literal, get_args

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from enlarger.errors import OutOfMemoryError, WeightsError
from enlarger.looks.sample import Bytes, Sample
from enlarger.ncnn_library import library
from enlarger.seen import Kind

SIDE = 192
"""Pixels of each side of what the net sees."""

PART = 3
"""Which crop is seen pixel for pixel. Of a large picture it is the liveliest: those before it are spread evenly."""

MIDDLE, DEVIATION = 127.0, 128.0
"""What is taken off every sample, and what it is divided by, before the net sees it."""

View = Literal["whole", "part"]
VIEWS: tuple[View, ...] = get_args(View)
KINDS: tuple[Kind, ...] = ("photo", "illustration", "pixel-art", "document", "line-art")
"""In the order in which the net answers."""

NAMES = tuple(f"{view}_{kind}" for view in VIEWS for kind in KINDS)
"""``whole_photo`` and so on: how much speaks for a kind, by logarithm, less the mean of all kinds."""


_ONE = Lock()
"""A server looks at several pictures at once; the pools are for one."""


def glance(sample: Sample) -> list[float]:
    """The figures of :data:`NAMES`, in their order.

    Raises :class:`WeightsError` where the net's files are damaged, and :class:`OutOfMemoryError`.
    """
    answers = []
    with _ONE:
        net = _glancing()
        try:
            for view, seen in zip(VIEWS, (whole(sample), part(sample)), strict=True):
                said = net(view, seen)
                answers += (said - said.mean()).tolist()
        finally:
            net.rest()
    return answers


def whole(sample: Sample) -> Bytes:
    """``(SIDE, SIDE, 3)``: all that is looked at of a picture, its longer side made :data:`SIDE`; mirrored to be a square."""
    return squared(sample.crops[0].pixels if len(sample.crops) == 1 else sample.sparse)


def part(sample: Sample) -> Bytes:
    """``(SIDE, SIDE, 3)``: the middle of a crop, pixel for pixel; what is smaller is repeated."""
    pixels = sample.crops[min(PART, len(sample.crops) - 1)].pixels
    return cut(pixels, max(0, pixels.shape[0] - SIDE) // 2, max(0, pixels.shape[1] - SIDE) // 2)


def squared(pixels: Bytes) -> Bytes:
    """``(h, w, 3)`` to ``(SIDE, SIDE, 3)``, without changing its shape."""
    height, width = pixels.shape[:2]
    factor = SIDE / max(height, width)
    how = PIL.Image.Resampling.BICUBIC if factor < 1 else PIL.Image.Resampling.BILINEAR
    small = np.asarray(PIL.Image.fromarray(pixels).resize((max(1, round(width * factor)), max(1, round(height * factor))), how))
    down, across = (SIDE - n for n in small.shape[:2])
    return np.pad(small, ((down // 2, down - down // 2), (across // 2, across - across // 2), (0, 0)), "symmetric")


def cut(pixels: Bytes, y: int, x: int) -> Bytes:
    """``(SIDE, SIDE, 3)`` from ``y``, ``x`` on."""
    seen = pixels[y : y + SIDE, x : x + SIDE]
    return np.pad(seen, ((0, SIDE - seen.shape[0]), (0, SIDE - seen.shape[1]), (0, 0)), "wrap")


class Glancing:
    """The loaded net. What it needs for a look is given back after it: 13 MB."""

    _net: Any = None

    def __init__(self) -> None:
        ncnn = library()
        # The net holds bare pointers to its pools: they go after it.
        self._pools = ncnn.UnlockedPoolAllocator(), ncnn.PoolAllocator()
        self._net = ncnn.Net()
        option = self._net.opt
        option.num_threads = 1  # triage runs beside the work itself
        option.blob_allocator, option.workspace_allocator = self._pools
        option.use_fp16_packed = option.use_fp16_storage = option.use_fp16_arithmetic = False
        option.use_bf16_packed = option.use_bf16_storage = False
        folder = files("enlarger.looks")
        with as_file(folder.joinpath("glance.param")) as graph, as_file(folder.joinpath("glance.bin")) as weights:
            if self._net.load_param(str(graph)) != 0 or self._net.load_model(str(weights)) != 0:
                raise WeightsError(
                    "ncnn cannot load the net that triage glances with", hint="install Enlarger again", subject="looks/glance.bin"
                )

    def __call__(self, view: View, seen: Bytes) -> NDArray[np.float64]:
        """``seen`` is ``(SIDE, SIDE, 3)``."""
        planes = np.ascontiguousarray(seen.transpose(2, 0, 1), np.float32)
        planes -= MIDDLE
        planes /= DEVIATION
        extractor = self._net.create_extractor()
        borrowed = library().Mat(planes)  # borrows the array's memory: `planes` stays until extract() is back
        status = extractor.input("data", borrowed)
        if status == 0:
            status, said = extractor.extract(view)
        if status != 0:
            raise OutOfMemoryError("no memory to look at a picture", subject=f"{SIDE} x {SIDE}, ncnn's status {status}")
        return np.array(said, np.float64)

    def rest(self) -> None:
        for pool in self._pools:
            pool.clear()

    def __del__(self) -> None:
        if self._net is not None:
            self._net.clear()
            self._net = None


@cache
def _glancing() -> Glancing:
    return Glancing()
