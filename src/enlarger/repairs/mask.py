"""Which pixels shall go: from a picture of a mask, or from boxes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from enlarger.errors import InputError, UsageError
from enlarger.image import Box, Samples
from enlarger.regions import boxes

__all__ = ["boxes_of", "mask_of_boxes", "mask_of_picture", "union"]

Mask = NDArray[np.bool_]


def boxes_of(words: str | Iterable[str]) -> tuple[Box, ...]:
    """Boxes in the one grammar of :func:`enlarger.regions.boxes`, from one string or several. Raises :class:`UsageError`."""
    parts = [words] if isinstance(words, str) else list(words)
    if not parts:
        raise UsageError("no box is named", hint="write x,y,width,height in pixels, such as 40,30,200,60")
    return tuple(Box(*numbers) for part in parts for numbers in boxes(part, repr(part)))


def mask_of_boxes(boxes: Sequence[Box], width: int, height: int) -> Mask:
    """``(height, width)``: what lies in any of ``boxes``. Raises :class:`InputError` for boxes outside, for none and for all pixels."""
    mask = np.zeros((height, width), bool)
    for box in boxes:
        if box.x < 0 or box.y < 0 or box.right > width or box.bottom > height or box.width < 1 or box.height < 1:
            message = f"the box {','.join(map(str, box))} reaches outside the picture, which is {width} x {height}"
            raise InputError(message, hint="give x,y,width,height in pixels of the upright source")
        mask[box.slices()] = True
    return _usable(mask, "")


def mask_of_picture(samples: Samples, alpha: bool, width: int, height: int, *, name: str = "") -> Mask:
    """``(height, width)`` from the decoded samples ``(h, w, bands)`` of a mask: what is white, or not transparent, shall go.

    With ``alpha`` of more than one value, alpha decides, else brightness: half or more of the full value is marked. Raises
    :class:`InputError` for another size, for a mask of no and of all pixels; ``name`` is the mask's file.
    """
    if samples.shape[:2] != (height, width):
        size = f"{samples.shape[1]} x {samples.shape[0]}"
        raise InputError(
            f"the mask is {size} pixels, the picture {width} x {height}", hint="give a mask of the picture's size", subject=name
        )
    plane = samples[..., -1] if alpha else samples[..., 0]
    if not alpha or plane.min() == plane.max():
        # Of colours the brightest channel: a mask painted in red is a mask.
        plane = samples[..., : samples.shape[2] - alpha].max(2)
    mask: Mask = plane > np.iinfo(samples.dtype).max // 2
    return _usable(mask, name)


def union(masks: Sequence[Mask], *, name: str = "") -> Mask:
    """What any of the ``masks``, of one size, marks. Raises :class:`InputError` if that is all."""
    mask = masks[0].copy()
    for other in masks[1:]:
        mask |= other
    return _usable(mask, name)


def _usable(mask: Mask, name: str) -> Mask:
    if not mask.any():
        raise InputError("the mask marks nothing", hint="paint white (or opaque) what shall go", subject=name)
    if mask.all():
        raise InputError("the mask covers the whole picture: nothing is left to fill it from", hint="mark only what shall go", subject=name)
    return mask
