"""A cut-out laid on new ground: transparency, one colour, or another picture."""

from __future__ import annotations

import numpy as np

from enlarger.codecs.vips import vips_of
from enlarger.errors import InputError
from enlarger.image import Samples
from enlarger.repairs.cutout import STRIP, Foreground, plane, unit
from enlarger.repairs.ground import Floats

__all__ = ["compose", "covering"]


def compose(
    samples: Samples,
    alpha: Samples | Floats,
    background: tuple[int, int, int] | Samples | None = None,
    *,
    shadow: Samples | Floats | None = None,
) -> Samples:
    """The subject of ``(h, w, 1 or 3)`` uint8 or uint16 ``samples`` where ``alpha`` ``(h, w)`` says, on ``background``.

    Alpha and shadow are samples, or floats in [0, 1]; the result lies in a file where it is large. Background ``None``: samples with a
    band of alpha more. A colour (0..255): opaque; grey stays grey on a neutral colour and becomes RGB on others. Samples
    ``(H, W, 1..4)``: a picture, reduced or enlarged to cover and cut to the middle; its own alpha is laid on white. The old ground is
    taken out of soft edges first (:class:`Foreground`). ``shadow`` darkens the new ground. Raises :class:`InputError` for an alpha of
    another size.
    """
    height, width, bands = samples.shape
    for given in (alpha, shadow):
        if given is not None and given.shape != (height, width):
            message = f"alpha is {given.shape[1]} x {given.shape[0]} pixels, the picture {width} x {height}"
            raise InputError(message, hint="give an alpha of the picture's size")
    if bands not in (1, 3):
        raise InputError(f"a subject is grey or RGB, not of {bands} bands", hint="leave alpha out")
    clean = Foreground(samples, alpha)
    if background is None:
        return _transparent(clean, alpha, shadow)
    if isinstance(background, tuple):
        grey = bands == 1 and len(set(background)) == 1
        behind = np.broadcast_to(np.array(background[:1] if grey else background, np.float32) / 255, (height, width, 1 if grey else 3))
    else:
        behind = covering(background, width, height)
    top = np.iinfo(samples.dtype).max
    out = plane(height, width, behind.shape[2], samples.dtype)
    for y in range(0, height, STRIP):
        part = slice(y, min(height, y + STRIP))
        a = unit(alpha[part])[..., None]
        below = unit(behind[part])
        if shadow is not None:
            below = below * (1 - unit(shadow[part])[..., None])
        # Colours are mixed as encoded: so were they, where edges were antialiased, in nearly every picture.
        out[part] = np.rint((clean.rows(part.start, part.stop) * a + below * top * (1 - a)).clip(0, top)).astype(samples.dtype)
    return out


def _transparent(clean: Foreground, alpha: Samples | Floats, shadow: Samples | Floats | None) -> Samples:
    """Shadow is black that lets some of what is behind it through."""
    height, width, bands = clean.samples.shape
    top = np.float32(np.iinfo(clean.samples.dtype).max)
    out = plane(height, width, bands + 1, clean.samples.dtype)
    for y in range(0, height, STRIP):
        part = slice(y, min(height, y + STRIP))
        own, colour = unit(alpha[part]), clean.rows(part.start, part.stop)
        whole = own
        if shadow is not None:
            whole = own + (1 - own) * unit(shadow[part])
            colour = np.rint(colour * (own / np.maximum(whole, 1e-6))[..., None]).astype(colour.dtype)
        out[part, :, :-1] = colour
        out[part, :, -1] = np.rint(whole * top)
    return out


def covering(picture: Samples, width: int, height: int) -> Samples:
    """``picture`` ``(H, W, 1..4)`` as RGB of ``width`` x ``height``: as small as covers that, cut to the middle, alpha laid on white."""
    bands = picture.shape[2]
    kind = "grey16" if picture.dtype == np.uint16 else "b-w"
    shown = vips_of(picture).copy(interpretation=("rgb16" if picture.dtype == np.uint16 else "srgb") if bands >= 3 else kind)
    if bands in (2, 4):
        shown = shown.flatten(background=[int(np.iinfo(picture.dtype).max)], max_alpha=int(np.iinfo(picture.dtype).max))
    shown = shown.cast("uchar" if picture.dtype == np.uint8 else "ushort")
    factor = max(width / shown.width, height / shown.height)
    size = max(width, round(shown.width * factor)), max(height, round(shown.height * factor))
    shown = shown.resize(size[0] / shown.width, vscale=size[1] / shown.height, kernel="lanczos3")
    shown = shown.crop((shown.width - width) // 2, (shown.height - height) // 2, width, height)
    data = np.frombuffer(shown.write_to_memory(), picture.dtype).reshape(height, width, shown.bands)
    return np.ascontiguousarray(np.broadcast_to(data[..., :3] if shown.bands >= 3 else data[..., :1], (height, width, 3)))
