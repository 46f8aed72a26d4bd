"""What a cut-out is, and how the ground that was there leaves the colour of its edges. Alpha is made, kept and read strip by strip."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from enlarger.canvas import SOURCE_IN_MEMORY, Canvas
from enlarger.codecs.vips import vips_of
from enlarger.errors import InputError
from enlarger.image import Samples
from enlarger.repairs.ground import Floats, rows_enlarged, spread

__all__ = ["CutOut", "Foreground", "NoSubjectError", "NotPlainError", "foreground", "own_alpha", "plane", "unit"]

WORKING = 768
"""Longest edge at which ground and subject are told apart."""
STRIP = 64
"""Rows that are in memory at once as floats."""


class NotPlainError(InputError):
    """The ground is not plain enough to be told from the subject without a net."""


class NoSubjectError(InputError):
    """Nothing stands on the ground, or nothing but the subject is seen."""


@dataclass(frozen=True, slots=True)
class CutOut:
    """``alpha`` ``(h, w)`` of the depth of the samples, in a file where it is large; ``shadow`` likewise: by how much the ground is
    darkened, ``None`` if not asked for.

    ``confidence`` is from 0 to 1, and ``reasons`` says in lines for people what lowers it.
    """

    alpha: Samples
    confidence: float
    reasons: tuple[str, ...]
    shadow: Samples | None = None


def plane(height: int, width: int, bands: int, dtype: np.dtype[np.uint8] | np.dtype[np.uint16]) -> Samples:
    """``(height, width, bands)`` to be written to; in a file without a name where it is large."""
    return Canvas(width, height, bands, np.uint8 if dtype == np.uint8 else np.uint16, in_memory=SOURCE_IN_MEMORY).mutable()


def unit(part: Samples | Floats) -> Floats:
    """Samples in [0, 1], by their own depth; floats as they are."""
    scale = 1 / np.iinfo(part.dtype).max if part.dtype.kind == "u" else 1
    return np.asarray(part * np.float32(scale), np.float32)


def stored(part: Floats, dtype: np.dtype[np.uint8] | np.dtype[np.uint16]) -> Samples:
    """Values in [0, 1] as samples of ``dtype``."""
    out: Samples = np.rint(part * np.float32(np.iinfo(dtype).max)).astype(dtype)
    return out


def own_alpha(samples: Samples, alpha: bool) -> CutOut | None:
    """The alpha of a picture that is transparent anywhere: it is cut out already."""
    if not alpha or not bool((samples[..., -1] < np.iinfo(samples.dtype).max).any()):
        return None
    return CutOut(samples[..., -1], 1.0, ("the picture is transparent already: its own alpha is kept",))


def at_working_size(samples: Samples) -> Floats:
    """``(h, w, 3)``, 0..255, the longest edge at most :data:`WORKING`: means over areas."""
    factor = max(1.0, max(samples.shape[:2]) / WORKING)
    height, width = (max(1, round(n / factor)) for n in samples.shape[:2])
    return resized(samples, width, height, kernel="linear")


def resized(samples: Samples, width: int, height: int, *, kernel: str) -> Floats:
    """Grey or RGB ``samples`` as ``(height, width, 3)``, 0..255, by libvips."""
    picture = vips_of(samples)
    if (picture.width, picture.height) != (width, height):
        picture = picture.resize(width / picture.width, vscale=height / picture.height, kernel=kernel)
    small = np.frombuffer(picture.cast("float").write_to_memory(), np.float32).reshape(picture.height, picture.width, picture.bands)
    wide = np.broadcast_to(small[..., :3] if picture.bands >= 3 else small[..., :1], (*small.shape[:2], 3))
    return np.ascontiguousarray(wide * np.float32(255 / np.iinfo(samples.dtype).max))


def enlarged(small: Floats, samples: Samples) -> Samples:
    """A plane ``(h, w)`` of values in [0, 1] at the size and depth of ``samples``."""
    height, width = samples.shape[:2]
    out = plane(height, width, 1, samples.dtype)[..., 0]
    for start in range(0, height, STRIP):
        stop = min(height, start + STRIP)
        out[start:stop] = stored(rows_enlarged(small[..., None], start, stop, height, width)[..., 0], out.dtype)
    return out


class Foreground:
    """``samples`` (grey or RGB) with the old ground taken out of the colour of soft edges: C = alpha F + (1 - alpha) B, solved for F.

    ``alpha`` ``(h, w)``: samples or floats in [0, 1]. B and F near by are means over what is wholly transparent and wholly opaque; where
    alpha is small, F is the latter. Opaque pixels are the same bits.
    """

    def __init__(self, samples: Samples, alpha: Samples | Floats) -> None:
        self.samples, self.alpha = samples, alpha
        height, width, bands = samples.shape
        factor = max(1.0, max(height, width) / WORKING)
        size = tuple(max(1, round(n / factor)) for n in (height, width))
        sums = [np.zeros((*size, bands + 1), np.float32) for _ in range(2)]
        starts = np.flatnonzero(np.diff(np.arange(width) * size[1] // width, prepend=-1))
        for y in range(height):
            row, share = samples[y].astype(np.float32), unit(alpha[y])
            for total, chosen in zip(sums, (share <= 0, share >= 1), strict=True):
                values = np.concatenate((row, np.ones((width, 1), np.float32)), 1) * chosen[:, None]
                total[y * size[0] // height] += np.add.reduceat(values, starts, 0)
        means = [np.asarray(total[..., :-1] / np.maximum(total[..., -1:], 1), np.float32) for total in sums]
        self.planes = np.concatenate([spread(m, np.minimum(t[..., -1], 1), 2) for m, t in zip(means, sums, strict=True)], 2)

    def rows(self, start: int, stop: int) -> Samples:
        """Rows ``start`` to ``stop``, a copy."""
        height, width, bands = self.samples.shape
        out = np.array(self.samples[start:stop])
        part = unit(self.alpha[start:stop])
        soft = part < 1
        if soft.any():
            wide = rows_enlarged(self.planes, start, stop, height, width)[soft]
            a, old, own = part[soft][:, None], wide[:, :bands], wide[:, bands:]
            exact = (out[soft] - (1 - a) * old) / np.maximum(a, 0.05)
            trust = np.clip((a - 0.1) / 0.5, 0, 1)
            out[soft] = np.clip(np.rint(trust * exact + (1 - trust) * own), 0, np.iinfo(out.dtype).max).astype(out.dtype)
        return out


def foreground(samples: Samples, alpha: Samples | Floats) -> Samples:
    """All rows of :class:`Foreground`."""
    return Foreground(samples, alpha).rows(0, samples.shape[0])
