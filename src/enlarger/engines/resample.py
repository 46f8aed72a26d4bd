"""Classic kernels through Pillow: exact, always there, the honest baseline.

The result is computed in blocks on a lattice that only depends on the two sizes. Each block is resized from a small crop
of its own, so the coordinates that Pillow takes as float32 stay small (phase right to about 1e-5 source pixels however
wide the picture is), and an answer is the same, bit for bit, however the result is cut into boxes.

Why Pillow and not libvips: ``docs/decisions/0002-resampling-with-pillow.md``.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow
from pydantic import BaseModel

from enlarger.engines.engine import Device, EngineSpec, ModelSpec, NoSettings
from enlarger.engines.weights import catalogue
from enlarger.errors import DeviceError, EngineError, EngineMissingError, OutOfMemoryError
from enlarger.image import Box, Samples, Tile, to_float

KERNELS = {
    "lanczos3": (Pillow.Resampling.LANCZOS, 3),
    "bicubic": (Pillow.Resampling.BICUBIC, 2),  # a = -0.5
    "bilinear": (Pillow.Resampling.BILINEAR, 1),
}
"""Pillow's filter and its support in source pixels when enlarging."""

COLUMNS = 240
"""Width of a block in source pixels, context not counted: coordinates stay below 256, where float32 is exact to 1e-5."""

ROWS = 32
"""Height of a block in rows of the result: strips of a very wide picture are few rows high, and whole blocks are computed."""


class Resample:
    """The engine ``resample``."""

    spec = EngineSpec(name="resample", title="Classic resampling (Pillow)", scope="picture", devices=("cpu",), settings=NoSettings)

    def models(self) -> tuple[ModelSpec, ...]:
        return catalogue("resample")

    def device(self, wanted: str, threads: int | None) -> Device:
        """Always the CPU, on one thread whatever ``threads`` allows; a GPU raises :class:`DeviceError`."""
        if wanted not in ("auto", "cpu"):
            raise DeviceError("the engine resample computes on the CPU only", hint="use --device cpu", subject=wanted)
        return Device("cpu", threads=1)

    def open(self, model: ModelSpec, device: Device, settings: BaseModel) -> Resampler:
        """Raises :class:`EngineMissingError` for a model that is no kernel, :class:`DeviceError` for a GPU."""
        if device.kind != "cpu":
            raise DeviceError("the engine resample computes on the CPU only", hint="use --device cpu", subject=str(device))
        if not isinstance(settings, NoSettings):
            raise EngineError("the engine resample has no settings", subject=type(settings).__name__)
        if model.id not in KERNELS and model.id != "nearest":
            raise EngineMissingError("no such kernel", hint=f"kernels are {', '.join((*KERNELS, 'nearest'))}", subject=model.id)
        return Resampler(model.id)


class Resampler:
    """One kernel, as a :class:`enlarger.engines.engine.PictureEngine`."""

    def __init__(self, kernel: str) -> None:
        self.kernel = kernel

    def __call__(self, samples: Samples, size: tuple[int, int], box: Box) -> Tile:
        """``box`` of ``samples`` ``(h, w, c)`` enlarged to ``size``; ``(box.height, box.width, c) float32``.

        With 2 or 4 bands the last is alpha: colour is weighted by it, so that hidden colour does not bleed out. Raises
        :class:`OutOfMemoryError` when the answer does not fit, :class:`EngineError` for a box outside of the result or a
        size below the source's.
        """
        height, width, bands = samples.shape
        if size[0] < width or size[1] < height:
            raise EngineError(f"the engine resample enlarges; {size[0]} x {size[1]} is smaller than {width} x {height}")
        if box.width < 1 or box.height < 1 or box.x < 0 or box.y < 0 or box.right > size[0] or box.bottom > size[1]:
            raise EngineError(f"the box {tuple(box)} is not inside of a result of {size[0]} x {size[1]}")
        try:
            if self.kernel == "nearest":
                rows, columns = _nearest(box.y, box.bottom, height, size[1]), _nearest(box.x, box.right, width, size[0])
                return to_float(samples[rows[:, None], columns[None, :]])
            out = np.empty((box.height, box.width, bands), np.float32)
            margin = KERNELS[self.kernel][1] + 1
            wide: int = COLUMNS * size[0] // int(width)
            for down in _spans(box.y, box.bottom, height, size[1], ROWS, margin):
                for across in _spans(box.x, box.right, width, size[0], wide, margin):
                    block = self._block(to_float(samples[down.crop, across.crop]), across, down)
                    out[down.target, across.target] = block[down.kept, across.kept]
        except MemoryError as error:
            raise OutOfMemoryError("no memory for a tile", subject=f"{box.width} x {box.height}") from error
        return out

    def close(self) -> None:
        """Nothing is held."""

    def _block(self, crop: Tile, across: Span, down: Span) -> Tile:
        """One block of the lattice from its crop of the source."""
        if crop.shape[2] in (1, 3) or bool((crop[..., -1] == 1).all()):
            return self._bands(crop, across, down)
        alpha = crop[..., -1:]
        blurred = self._bands(np.concatenate([crop[..., :-1] * alpha, crop], axis=2), across, down)
        colours = crop.shape[2] - 1
        weighted, plain, opacity = blurred[..., :colours], blurred[..., colours:-1], blurred[..., -1:]
        # Where next to nothing shows, the quotient is noise: there the hidden colour goes on as it was.
        visible = opacity > 1 / 1024
        colour = np.where(visible, weighted / np.where(visible, opacity, 1), plain)
        return np.concatenate([np.clip(colour, 0, 1), np.clip(opacity, 0, 1)], axis=2)

    def _bands(self, crop: Tile, across: Span, down: Span) -> Tile:
        kernel, _ = KERNELS[self.kernel]
        box = (across.start, down.start, across.stop, down.stop)
        size = (across.length, down.length)
        bands = [Pillow.fromarray(np.ascontiguousarray(crop[..., band])).resize(size, kernel, box=box) for band in range(crop.shape[2])]
        return np.stack([np.asarray(band) for band in bands], axis=2)


@dataclass(frozen=True, slots=True)
class Span:
    """One block along one axis.

    ``crop`` indexes the source with all the context that the kernel sees; ``start`` to ``stop`` are the block's edges in
    the crop's pixels; ``length`` is the block's length in the result; ``kept`` of it goes to ``target`` in the answer.
    """

    crop: slice
    start: float
    stop: float
    length: int
    kept: slice
    target: slice


def _spans(begin: int, end: int, source: int, result: int, step: int, margin: int) -> Iterator[Span]:
    """The blocks, ``step`` pixels of the result long, that cover ``[begin, end)`` of an axis; context is ``margin`` source pixels."""
    ratio = Fraction(source, result)
    for first in range(begin // step * step, end, step):
        last = min(first + step, result)
        start, stop = first * ratio, last * ratio
        low, high = max(0, math.floor(start) - margin), min(source, math.ceil(stop) + margin)
        yield Span(
            crop=slice(low, high),
            start=float(start - low),
            stop=float(stop - low),
            length=last - first,
            kept=slice(max(begin, first) - first, min(end, last) - first),
            target=slice(max(begin, first) - begin, min(end, last) - begin),
        )


def _nearest(begin: int, end: int, source: int, result: int) -> NDArray[np.int64]:
    """Source pixel under the centre of each output pixel of ``[begin, end)``, in whole numbers: ``floor((X + 1/2) W / W')``.

    A centre that lies between two pixels takes the one nearer the middle, so that a mirrored source has a mirrored answer.
    """
    centres = 2 * np.arange(begin, end, dtype=np.int64) + 1
    under, rest = np.divmod(centres * source, 2 * result)
    under[(rest == 0) & (centres > result)] -= 1
    return under


engine = Resample()
