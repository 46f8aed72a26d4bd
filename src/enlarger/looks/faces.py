"""How many faces there are, where the detector and its model are here; else nobody can tell."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from enlarger.errors import WeightsError
from enlarger.face_finder import SURE, Face, detect, detector, missing, model_path
from enlarger.image import Box, Image

SIDE = 640
"""Pixels of the longer side that faces are looked for at: one window of the detector. Faces of a 50th of the picture still show."""


def count(picture: Image) -> int | None:
    """Faces that are surely some; ``None`` without the detector (extra ``faces``) or its model."""
    # Whether there is anything to look with is known sooner than a picture is made small.
    found = None if missing() else _sure(reduced(picture))
    return None if found is None else len(found)


def boxes(picture: Image) -> list[Box] | None:
    """Where faces surely are, in the picture's pixels; ``None`` without the detector or its model."""
    small = reduced(picture)
    faces = _sure(small)
    if faces is None:
        return None
    across, down = picture.width / small.shape[1], picture.height / small.shape[0]
    found = []
    for face in faces:
        x, y, width, height = face.box
        left, top = max(0, int(x * across)), max(0, int(y * down))
        right, bottom = min(picture.width, round((x + width) * across)), min(picture.height, round((y + height) * down))
        if right > left and bottom > top:
            found.append(Box(left, top, right - left, bottom - top))
    return found


def _sure(small: NDArray[np.uint8]) -> list[Face] | None:
    if missing():
        return None
    try:
        session = _session(model_path())
    except WeightsError:
        return None
    return [face for face in detect(session, small) if face.score >= SURE]


@cache
def _session(path: Path) -> Any:
    return detector(path)


def reduced(picture: Image) -> NDArray[np.uint8]:
    """``(h, w, 3)``, neither side above :data:`SIDE`: means over squares, read strip by strip; small pictures as they are."""
    samples, side = picture.samples, -(-max(picture.width, picture.height) // SIDE)
    height, width = picture.height // side, picture.width // side
    if side == 1 or not height or not width:
        whole = samples[:SIDE, :SIDE, : picture.channels].astype(np.float32)
    else:
        whole = np.empty((height, width, picture.channels), np.float32)
        for y in range(0, height, 32):
            part = samples[y * side : min(y + 32, height) * side, : width * side, : picture.channels]
            # A reduction over axes as short as these is slow; adding up the pixels of all squares at once is not.
            sums = np.zeros((len(part) // side, width, picture.channels), np.uint32)
            for row in range(side):
                for column in range(side):
                    sums += part[row::side, column::side]
            whole[y : y + len(sums)] = sums * np.float32(1 / side**2)
    whole *= np.float32(255 / np.iinfo(samples.dtype).max)
    result: NDArray[np.uint8] = np.broadcast_to(np.rint(whole).astype(np.uint8), (*whole.shape[:2], 3))
    return result
