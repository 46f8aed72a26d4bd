"""Edits: what was corrected by hand between two stages, and the source that the rest of the work is then held to.

Where a picture was corrected it is right, and the source is not: there the source is replaced by the correction, made as small as the
source, with a soft border. Everywhere else the result stays locked to the source as it came.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from enlarger.canvas import SOURCE_IN_MEMORY, Canvas
from enlarger.errors import InputError
from enlarger.image import Box, Image, Samples
from enlarger.pixels.scaling import Sizes, planes_of
from enlarger.steps import lock

LEAST = 1.5 / 255
"""Difference, white being 1, from which a pixel counts as corrected: editors round, and some dither."""

VISIBLE = 4 / 255
"""Opacity from which colour counts."""

GROWN, SOFT = 2, 2
"""Source pixels by which corrections are grown, and over which their border passes."""

STRIP = 2**21
"""Samples that are compared at a time."""


@dataclasses.dataclass(frozen=True, slots=True)
class Corrected:
    """``samples``, ``(h, w, bands) uint16``, the next stage begins from; ``source`` is what is locked to and verified against.

    ``share`` of the pixels were corrected.
    """

    samples: Samples
    source: Image
    share: float


def corrected(source: Image, begun: Image, edited: Image) -> Corrected:
    """What follows from ``edited``, which is ``begun``, the picture at a pause, corrected by hand.

    Raises :class:`InputError` where the two differ in more than pixels.
    """
    _check_alike(begun, edited)
    width, height, bands = begun.width, begun.height, begun.header.bands
    where = np.zeros((source.height, source.width), np.bool_)
    columns = np.arange(width) * source.width // width
    changed = 0
    step = max(1, STRIP // (width * bands))
    with Canvas(width, height, bands, np.uint16) as canvas:
        for y in range(0, height, step):
            own, other = (_as_16_bits(picture.samples[y : y + step]) for picture in (begun, edited))
            touched = (np.abs(own.astype(np.int32) - other) > LEAST * 65535).any(2)
            if source.alpha:
                # Editors forget colour that nobody sees, and decoding puts other colour there.
                touched &= np.maximum(own[..., -1], other[..., -1]) > VISIBLE * 65535
            changed += int(touched.sum())
            for row, line in zip(np.arange(y, y + len(own)) * source.height // height, touched, strict=True):
                where[row, columns[line]] = True
            # What was not corrected stays as exact as it was, whatever depth the corrections come in.
            canvas.write(Box(0, y, width, len(own)), np.where(touched[..., None], other, own))
        samples = canvas.samples()
    held = _held_to(source, samples, _soft(where)) if changed else source
    return Corrected(samples, held, changed / (width * height))


def _held_to(source: Image, samples: Samples, weight: NDArray[np.float32]) -> Image:
    """``source`` with ``samples``, made as small, laid over it by ``weight`` ``(h, w)``; alpha stays."""
    height, width, _ = samples.shape
    low = lock.on(lock.reduce(samples, Sizes(source.width, source.height, width, height), source.channels))
    top = np.iinfo(source.samples.dtype).max
    dtype = np.uint8 if top == 255 else np.uint16
    step = max(1, STRIP // (source.width * source.header.bands))
    with Canvas(source.width, source.height, source.header.bands, dtype, in_memory=SOURCE_IN_MEMORY) as canvas:
        for y in range(0, source.height, step):
            rows = source.samples[y : y + step]
            box = Box(0, y, source.width, len(rows))
            own = planes_of(rows, source.channels)
            mixed = own + weight[y : y + step] * (np.clip(low(box), 0, 1) - own)
            out = rows.copy()
            out[..., : source.channels] = np.rint(mixed.transpose(1, 2, 0) * top).astype(dtype)
            canvas.write(box, out)
        return dataclasses.replace(source, samples=canvas.samples())


def _soft(where: NDArray[np.bool_]) -> NDArray[np.float32]:
    """1 in and near what is set, falling to 0 over :data:`SOFT` pixels on each side of its grown border."""
    for _ in range(GROWN + SOFT):
        wide = np.pad(where, 1)
        where = wide[:-2, 1:-1] | wide[1:-1, 1:-1] | wide[2:, 1:-1] | wide[1:-1, :-2] | wide[1:-1, 2:]
    soft = where.astype(np.float32)
    for axis in (0, 1):
        padded = np.pad(soft, [(SOFT, SOFT) if axis == a else (0, 0) for a in (0, 1)], mode="edge")
        sums = [np.take(padded, range(i, i + soft.shape[axis]), axis) for i in range(2 * SOFT + 1)]
        soft = np.mean(sums, axis=0, dtype=np.float32)
    return soft


def _as_16_bits(samples: Samples) -> NDArray[np.uint16]:
    return np.asarray(samples, np.uint16) * np.uint16(257) if samples.dtype == np.uint8 else np.asarray(samples)


def _check_alike(begun: Image, edited: Image) -> None:
    if (edited.width, edited.height) != (begun.width, begun.height):
        raise InputError(
            f"{edited.width}x{edited.height} instead of {begun.width}x{begun.height}",
            hint="correct it without scaling or cropping",
            subject=edited.header.name,
        )
    if (edited.channels, edited.alpha) != (begun.channels, begun.alpha):
        kinds = [("grey" if p.channels == 1 else "RGB") + (" with alpha" if p.alpha else "") for p in (edited, begun)]
        raise InputError(f"{kinds[0]} instead of {kinds[1]}", hint="save it with the channels that it had", subject=edited.header.name)
