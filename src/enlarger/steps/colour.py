"""Colour: from the source's own profile to sRGB, for who wants it; otherwise a picture stays in its profile."""

from __future__ import annotations

import dataclasses

import numpy as np

from enlarger.canvas import SOURCE_IN_MEMORY, Canvas
from enlarger.codecs.vips import pyvips, reason, rows_of, vips_of
from enlarger.errors import InputError
from enlarger.image import Box, Image, Notice


def to_srgb(picture: Image) -> Image:
    """``picture`` in sRGB and without a profile; itself where it has none. Grey stays grey, alpha as it is, depth as it was.

    Relative colorimetric, black point compensated. Colours outside sRGB are clipped. Raises :class:`InputError` for a profile that
    cannot be used.
    """
    profile = picture.metadata.icc
    if profile is None:
        return picture
    samples, channels = picture.samples, picture.channels
    bits = 8 if samples.dtype == np.uint8 else 16
    kind = ("b-w", "srgb") if bits == 8 else ("grey16", "rgb16")
    colour = vips_of(samples)
    colour = colour.extract_band(0, n=channels).copy(interpretation=kind[channels == 3])
    colour.set_type(pyvips.GValue.blob_type, "icc-profile-data", profile)
    try:
        colour = colour.icc_transform("srgb", embedded=True, intent="relative", black_point_compensation=True, depth=bits)
        if channels == 1 and colour.bands > 1:
            colour = colour.extract_band(0)
        # The bands beyond colour are taken from the source, as they lie there.
        canvas = Canvas(picture.width, picture.height, samples.shape[2], samples.dtype.type, in_memory=SOURCE_IN_MEMORY)
        for y, rows in rows_of(colour):
            whole = samples[y : y + len(rows)].copy()
            whole[..., :channels] = rows
            canvas.write(Box(0, y, picture.width, len(rows)), whole)
    except pyvips.Error as error:
        raise InputError(
            f"the colour profile cannot be used ({reason(error)})", hint="leave out --srgb to keep it", subject=picture.header.name
        ) from error
    notice = Notice("converted-to-srgb", "colours were converted from the source's profile to sRGB")
    metadata = dataclasses.replace(picture.metadata, icc=None)
    return dataclasses.replace(picture, samples=canvas.samples(), metadata=metadata, notices=(*picture.notices, notice), jpeg=None)
