"""Crop: the part of a source that is enlarged, cut off before anything else sees it; and where its subject is."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray

from enlarger.canvas import SOURCE_IN_MEMORY, Canvas
from enlarger.codecs.vips import subject_of
from enlarger.image import Box, Image
from enlarger.report import Geometry

STRIP = 2**22
"""Bytes that are copied at a time."""

SEEN = 512
"""Longer side in pixels of the reduced picture in which the subject is looked for."""


def placed(geometry: Geometry, picture: Image) -> Geometry:
    """``geometry`` with its crop over the subject of ``picture``, if that was asked for."""
    box = Box(*geometry.crop)
    if geometry.crop_on != "subject" or (box.width, box.height) == (picture.width, picture.height):
        return geometry
    x, y = subject(picture)
    left = min(max(0, round(x * picture.width - box.width / 2)), picture.width - box.width)
    top = min(max(0, round(y * picture.height - box.height / 2)), picture.height - box.height)
    return geometry.model_copy(update={"crop": (left, top, box.width, box.height)})


def subject(picture: Image) -> tuple[float, float]:
    """What draws the eye, as shares of width and height: saturated colour, skin and edges, as libvips' ``smartcrop`` weighs them."""
    step = max(1, -(-max(picture.width, picture.height) // SEEN))
    rows, columns = (side // step * step for side in (picture.height, picture.width))
    if rows == 0 or columns == 0:  # a line of pixels, less than a step high
        return 0.5, 0.5
    seen = np.empty((rows // step, columns // step, picture.header.bands), np.float32)
    for y in range(len(seen)):
        band = picture.samples[y * step : (y + 1) * step, :columns]
        seen[y] = band.reshape(step, -1, step, band.shape[2]).mean((0, 2), dtype=np.float32)
    seen *= np.float32(255 / np.iinfo(picture.samples.dtype).max)
    colour: NDArray[Any] = seen[..., : picture.channels]
    if picture.alpha:
        # What is transparent draws nobody: it is seen on grey.
        share = seen[..., -1:] / 255
        colour = colour * share + 128 * (1 - share)
    eight = np.clip(np.rint(np.broadcast_to(colour, (*colour.shape[:2], 3))), 0, 255).astype(np.uint8)
    x, y = subject_of(eight)
    return (x + 0.5) / eight.shape[1], (y + 0.5) / eight.shape[0]


def part(picture: Image, box: Box) -> Image:
    """``box`` of ``picture`` as a picture of its own, which still knows how its JPEG was quantised."""
    if (box.width, box.height) == (picture.width, picture.height):
        return picture
    samples = picture.samples[box.slices()]
    if box.width < picture.width:
        bands = picture.samples.shape[2]
        rows = max(1, STRIP // (box.width * bands * samples.dtype.itemsize))
        dtype = np.uint8 if samples.dtype == np.uint8 else np.uint16
        with Canvas(box.width, box.height, bands, dtype, in_memory=SOURCE_IN_MEMORY) as canvas:
            for y in range(0, box.height, rows):
                strip = samples[y : y + rows]
                canvas.write(Box(0, y, box.width, len(strip)), strip)
            samples = canvas.samples()
    jpeg = picture.jpeg
    if jpeg is not None:
        across, down = jpeg.subsampling
        offset = (jpeg.offset[0] - box.x) % (8 * across), (jpeg.offset[1] - box.y) % (8 * down)
        jpeg = dataclasses.replace(jpeg, offset=offset)
    header = dataclasses.replace(picture.header, width=box.width, height=box.height)
    return dataclasses.replace(picture, samples=samples, header=header, jpeg=jpeg)
