"""The dials: what is delivered, as a mixture of what the engine answered and what the source vouches for.

With ``y0`` the engine's answer, ``y1 = y0 + U(z)`` the locked one and ``b = U(x_b)`` the base, for which ``D(b) = D(y1)``, the added part
``a = y1 - b`` is what reducing does not see. So any multiple of it may be taken without moving colour or structure:

- resemblance from 0 to 50: ``y0 + t U(z)``, ``t`` from 0 to 1; from 50 to 100: ``b + w a``, where ``w`` falls where more was added than the
  source's spectrum foretells;
- detail: ``b + g w a``, ``g`` from 0 (at 0) over 1 (at 50) to 2 (at 100), unless the engine has a native dial;
- texture above 50: seeded grain where the source is textured and less was added than its spectrum foretells.

What clipping and the unevenness of ``w`` break of ``D(y) = x'`` is locked once more. Where the source is flat, exactly so, the
result is; where it is neutral, the result is.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from enlarger.canvas import Canvas
from enlarger.image import Box, Image, Samples
from enlarger.options import Dials
from enlarger.pixels.bands import window_mean
from enlarger.pixels.grain import grain
from enlarger.pixels.scaling import Planes, Sizes, planes_of
from enlarger.pixels.spectrum import WINDOW, cell_edges, cell_means, foretold, luma, octaves, textured
from enlarger.steps import lock
from enlarger.steps.damage import Damage
from enlarger.steps.enlarge import quantise
from enlarger.threads import in_order, one_blas_thread

STRIP = 2**19
"""Samples of the result, about, that are made at once."""

RELOCKS = 2
"""Rounds of locking after a mixture was clipped."""

BLEND = 16
"""Pixels of the result over which a repaired region passes into what is around it."""

CLIPPED = 0.005
"""Share of clipped samples from which what clipping took away is locked once more."""

EXACT = 2
"""Source pixels around one that must be flat, or neutral, for the result to be exactly so: what U reaches."""

EDGE = 2 * (2**2 - 1) + 4
"""Source pixels around a block that decide on its energies."""


def deliver(enlarged: Samples, picture: Image, dials: Dials, damage: Damage, bits: int) -> Canvas:
    """The result, on a canvas of ``uint8`` (``bits`` 8) or ``uint16``, from what the engine answered for ``picture``.

    ``enlarged`` is ``(h', w', bands)``, stored samples of the final size; alpha passes through.
    """
    with one_blas_thread():
        mix = _Mix(enlarged, picture, dials, damage)
        final = np.uint8 if bits == 8 else np.uint16
        # Below 50 the engine's colours are wanted back in part, so there is nothing to lock again.
        relocks = RELOCKS if dials.mixes and dials.resemblance >= 50 else 0
        canvas = mix.written(mix.mixed, np.uint16 if relocks else final)
        for left in reversed(range(relocks)):
            canvas = mix.written(mix.relocked(canvas.samples()), np.uint16 if left else final)
        if mix.clipped > CLIPPED * enlarged.size and not dials.mixes and dials.resemblance >= 50:
            mix.lock_clipped(canvas.samples())
            canvas = mix.written(mix.mixed, final)
        return canvas


def repaired(delivered: Samples, picture: Image, damage: Damage, boxes: list[Box], bits: int) -> Canvas:
    """``delivered`` with ``boxes`` of it blended into the base, which the source vouches for."""
    with one_blas_thread():
        mix = _Mix(delivered, picture, Dials(resemblance=100), damage)
        return mix.written(mix.blended(boxes), np.uint8 if bits == 8 else np.uint16)


class _Mix:
    """What strips of the result are mixed from: fields of the source's size, and the engine's answer."""

    def __init__(self, enlarged: Samples, picture: Image, dials: Dials, damage: Damage) -> None:
        height, width, _ = enlarged.shape
        self.enlarged, self.picture, self.dials = enlarged, picture, dials
        self.channels = picture.channels
        self.clipped = 0
        self.sizes = Sizes(picture.width, picture.height, width, height)
        reduced = lock.on(lock.reduce(enlarged, self.sizes, self.channels))
        self.wanted = lock.target(picture, reduced, damage)
        self.z = self._solved(lambda box: self.wanted(box) - reduced(box))
        if dials.mixes:
            self.base = self._solved(self.wanted)
            self.weight, self.grain = self._maps(damage)

    def _solved(self, wanted: lock.Field) -> lock.Field:
        return lock.on(lock.solve(wanted, self.sizes, self.channels))

    # --- maps of the source's size ---

    def _maps(self, damage: Damage) -> tuple[lock.Field, lock.Field]:
        """How much of the added part is taken, and the amplitude of the grain, ``(1, h, w)`` each."""
        size = self.sizes.width, self.sizes.height
        added = lock.on(self._added_energy())

        def map_of(core: Box) -> Planes:
            box = core.grown(EDGE, *size)
            source = self.wanted(box)
            first, second = octaves(source, damage.noise)
            due, own = foretold(first, second), window_mean(added(box), WINDOW)
            pull = np.float32(max(0, self.dials.resemblance - 50) / 50)
            kept = 1 - pull * (1 - np.sqrt(np.minimum(1, due / np.maximum(own, np.float32(1e-9)))))
            missing = np.maximum(due - own * kept**2, 0) * textured(source, first)
            strength = np.float32(max(0, self.dials.texture - 50) / 50)
            return lock.cut(np.concatenate((kept, np.sqrt(strength * missing))), box, core)

        both = lock.on(lock.filled(Canvas(*size, 2, np.float32), map_of, lock.cores(*size)))
        return (lambda box: both(box)[:1]), (lambda box: both(box)[1:])

    def _added_energy(self) -> Canvas:
        """Mean square of the added part's luma per source pixel, on a float32 canvas."""
        columns = cell_edges(self.sizes.width, self.sizes.out_width, 0, self.sizes.width)

        def energy(below: Box) -> Planes:
            box = self._over(below)
            own, base = self._locked(box), self.enlarge(self.base, box)
            rows = cell_edges(self.sizes.height, self.sizes.out_height, below.y, below.bottom)
            return cell_means(luma(own - base) ** 2, rows, columns)

        return lock.filled(Canvas(self.sizes.width, self.sizes.height, 1, np.float32), energy, self._strips())

    # --- strips of the result ---

    def _strips(self) -> Iterator[Box]:
        """Rows of the source."""
        sizes = self.sizes
        step = max(1, STRIP * sizes.height // (sizes.out_width * sizes.out_height))
        for first in range(0, sizes.height, step):
            yield Box(0, first, sizes.width, min(step, sizes.height - first))

    def _over(self, strip: Box) -> Box:
        """What lies over source rows in the result."""
        top, bottom = (int(edge) for edge in cell_edges(self.sizes.height, self.sizes.out_height, strip.y, strip.bottom)[[0, -1]])
        return Box(0, top, self.sizes.out_width, bottom - top)

    def enlarge(self, field: lock.Field, box: Box) -> Planes:
        """``box`` of U of a field."""
        below = self.sizes.below(box)
        return self.sizes.enlarged(field(below), (below.x, below.y), box)

    def _locked(self, box: Box, strength: float = 1.0) -> Planes:
        own = planes_of(self.enlarged[box.y : box.bottom], self.channels)
        if strength:
            own += np.float32(strength) * self.enlarge(self.z, box)
        return own

    def mixed(self, box: Box) -> Planes:
        """The mixture, before it is clipped."""
        strength = min(self.dials.resemblance, 50) / 50
        if not self.dials.mixes:
            return self._locked(box, strength)
        base = self.enlarge(self.base, box)
        added = self._locked(box) - base
        added *= np.float32(self.dials.detail / 50) * self.enlarge(self.weight, box)
        if strength < 1:
            added -= np.float32(1 - strength) * self.enlarge(self.z, box)
        if self.dials.texture > 50:
            amplitude = np.maximum(self.enlarge(self.grain, box), 0)
            factor = self.sizes.out_width / self.sizes.width
            added += amplitude * grain(self.dials.seed, box.width, box.y, box.bottom, factor)
        return base + added

    def relocked(self, mixed: Samples) -> lock.Field:
        """What is missing of ``D(y) = x'`` in a clipped mixture, added to it."""
        reduced = lock.on(lock.reduce(mixed, self.sizes, self.channels))
        z = self._solved(lambda box: self.wanted(box) - reduced(box))
        return lambda box: planes_of(mixed[box.y : box.bottom], self.channels) + self.enlarge(z, box)

    def blended(self, boxes: list[Box]) -> lock.Field:
        """What was delivered, and the base in ``boxes``, with a climb of :data:`BLEND` pixels around them."""

        def blend(box: Box) -> Planes:
            own = planes_of(self.enlarged[box.y : box.bottom], self.channels)
            share = np.zeros((box.height, box.width), np.float32)
            y, x = np.arange(box.y, box.bottom), np.arange(box.width)
            for place in boxes:
                far_y = np.maximum(np.maximum(place.y - y, y - place.bottom + 1), 0)
                far_x = np.maximum(np.maximum(place.x - x, x - place.right + 1), 0)
                near = 1 - np.maximum(far_y[:, None], far_x[None]) / np.float32(BLEND)
                np.maximum(share, near, out=share, casting="same_kind")
            if share.any():
                own += share * (self.enlarge(self.base, box) - own)
            return own

        return blend

    def lock_clipped(self, delivered: Samples) -> None:
        """Raise and lower ``z`` by what is missing of ``D(y) = x'`` in what was delivered with it."""
        reduced, z = lock.on(lock.reduce(delivered, self.sizes, self.channels)), self.z
        more = self._solved(lambda box: self.wanted(box) - reduced(box))
        self.z = lambda box: z(box) + more(box)

    def written(self, make: lock.Field, dtype: type[np.uint8] | type[np.uint16]) -> Canvas:
        """What ``make`` answers, on a canvas, with alpha beside it, and exact where it must be."""
        height, width, bands = self.enlarged.shape
        canvas = Canvas(width, height, bands, dtype)

        def strip(box: Box) -> tuple[Samples, int]:
            planes, clipped = make(box), 0
            # Most strips clip nothing, which their extremes tell at a fraction of the cost of counting.
            if planes.max() > 1 + 1 / 255 or planes.min() < -1 / 255:
                clipped = int(np.count_nonzero(planes > 1 + 1 / 255) + np.count_nonzero(planes < -1 / 255))
            tile = self._exact(planes, box).transpose(1, 2, 0)
            if bands > self.channels:
                alpha = planes_of(self.enlarged[box.y : box.bottom, :, -1:], 1)
                tile = np.concatenate((tile, alpha.transpose(1, 2, 0)), axis=2)
            return quantise(tile, canvas.dtype), clipped

        boxes = [self._over(rows) for rows in self._strips()]
        for box, (samples, clipped) in zip(boxes, in_order(strip, boxes), strict=True):
            self.clipped += clipped
            canvas.write(box, samples)
        return canvas

    def _exact(self, planes: Planes, box: Box) -> Planes:
        """Where the source is flat its own value, where it is neutral the mean of all channels."""
        below = self.sizes.below(box)
        y, bottom = max(0, below.y - EXACT), min(self.sizes.height, below.bottom + EXACT)
        source = self.picture.samples[y:bottom, :, : self.channels]
        rows = np.arange(box.y, box.bottom) * self.sizes.height // self.sizes.out_height - y
        columns = np.arange(box.width) * self.sizes.width // self.sizes.out_width
        # Numbers of the pixels that are meant: boolean indices would be gone through once more for every plane.
        pixels = planes.reshape(self.channels, -1)
        if self.channels == 3:
            neutral = _all_around((source[..., 0] == source[..., 1]) & (source[..., 1] == source[..., 2]))
            if neutral.any():
                at = np.flatnonzero(neutral.take(rows, 0).take(columns, 1))
                mean = pixels.take(at, 1).mean(0)
                for plane in pixels:
                    plane[at] = mean
        flat = _all_around(_same_around(source))
        if flat.any():
            at = np.flatnonzero(flat.take(rows, 0).take(columns, 1))
            down, across = np.divmod(at, box.width)
            own = source[rows[down], columns[across]].T / np.float32(np.iinfo(source.dtype).max)
            for plane, value in zip(pixels, own, strict=True):
                plane[at] = value
        return pixels.reshape(planes.shape)


def _same_around(source: Samples) -> NDArray[np.bool_]:
    """Whether a pixel equals its neighbours to the right and below."""
    same: NDArray[np.bool_] = np.ones(source.shape[:2], np.bool_)
    # Band by band: numpy's own reduction over so short an axis takes ten times as long.
    for band in range(source.shape[2]):
        same[:-1] &= source[1:, :, band] == source[:-1, :, band]
        same[:, :-1] &= source[:, 1:, band] == source[:, :-1, band]
    return same


def _all_around(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Where all pixels within :data:`EXACT` are set; beyond the border counts as set."""
    for _ in range(EXACT):
        wide = np.pad(mask, 1, constant_values=True)
        rows = wide[:-2] & wide[1:-1] & wide[2:]
        mask = rows[:, :-2] & rows[:, 1:-1] & rows[:, 2:]
    return mask
