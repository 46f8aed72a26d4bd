"""Arrays in: numpy arrays checked and described, as an Image or as its Header. Pillow pictures come through here too."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from enlarger.errors import InputError
from enlarger.image import Header, Image, Metadata, Notice, Samples, Transfer
from enlarger.pixels.transfer import stored

HINT = "give (h, w) or (h, w, 1 to 4) of uint8, uint16, or floats from 0 to 1"
BITS = {"uint8": 8, "uint16": 16, "float32": 32, "float64": 32}


def header_of(array: NDArray[Any]) -> Header:
    """What an array is; raises :class:`InputError` when it is no picture."""
    if array.dtype.name not in BITS:
        raise InputError(f"an array of {array.dtype} is no picture", hint=HINT, subject="<array>")
    shape = array.shape
    if len(shape) not in (2, 3) or 0 in shape or (len(shape) == 3 and shape[2] > 4):
        raise InputError(f"an array of shape {shape} is no picture", hint=HINT, subject="<array>")
    bands = shape[2] if len(shape) == 3 else 1
    bits = BITS[array.dtype.name]
    return Header("<array>", "array", shape[1], shape[0], 3 if bands > 2 else 1, bands in (2, 4), bits, flat=len(shape) == 2)


def image_of(array: NDArray[Any]) -> Image:
    """An array as an Image; integers are shared, not copied. Floats must lie in [0, 1] and become 16-bit."""
    header = header_of(array)
    rows = array.reshape(header.height, header.width, header.bands)
    if header.bits == 32:
        # min and max carry NaN along, so one comparison finds all that is wrong.
        low, high = float(rows.min()), float(rows.max())
        if not (low >= 0 and high <= 1):
            what = "NaN" if np.isnan(low) or np.isnan(high) else f"values from {low:g} to {high:g}"
            raise InputError(f"the array holds {what}", hint="floats must lie between 0 and 1", subject="<array>")
        rows = stored(rows, Transfer(), header.channels)
    return finished(np.ascontiguousarray(rows), header)


def finished(samples: Samples, header: Header, metadata: Metadata | None = None, notices: tuple[Notice, ...] = ()) -> Image:
    """An Image of ``samples``, made read-only, with their digest."""
    samples = samples.view()
    samples.flags.writeable = False
    digest = hashlib.sha256(samples.data).hexdigest()
    return Image(samples, header, metadata or Metadata(), Transfer(), notices, digest)
