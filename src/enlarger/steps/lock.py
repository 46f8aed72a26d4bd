"""Colour lock: low-resolution back-projection (Irani and Peleg 1991), solved at the size of the source.

Wanted is ``D(y) = x`` as far as ``x`` is signal. With ``y = y0 + U(z)`` that is ``D(y0) + D U z = x'``, where ``x'`` is ``x`` less its
damage: a small system of its own, solved by :data:`ROUNDS` rounds of ``z <- z + (x' - D(y0) - D U z)``. So what is enlarged is read once
to reduce it and once to add ``U(z)``, no tile needs a larger halo, and no seam can come of it.

``x'`` is ``D(y0)`` plus what is worth putting back of the residual ``x - D(y0)``:

- of a clean source all of it;
- of a noisy one the part coarser than 8 pixels, so that tint and brightness are always corrected, and of finer bands what stands
  above the noise (Wiener's gain with local energies);
- of a JPEG what moves coefficients back into the cells that quantisation left, and of the rest the part coarser than 16 pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np

from enlarger.canvas import Canvas
from enlarger.image import Box, Image, Samples
from enlarger.pixels.bands import NOISE_GAIN, bands, window_mean
from enlarger.pixels.jpeg_cells import outside_cells
from enlarger.pixels.scaling import Planes, Scaling, Sizes, planes_of
from enlarger.steps.damage import Damage
from enlarger.threads import in_order

ROUNDS = 5
"""Of back-projection; 3 leave 53 dB between ``D(y)`` and ``x``, 8 gain nothing that 8 bits show."""

REACH = 4
"""Source pixels that one round looks around itself: U and D reach 2 each."""

CORE = 256
"""Side in source pixels of the blocks that are solved at once."""

NOISE_BANDS, JPEG_BANDS = 3, 4
"""Detail bands above the low-pass part that always goes back: to 8, and to 16 pixels."""

NOISE_CONTEXT = 30
JPEG_CONTEXT = 62
"""Source pixels around a block that decide on what goes back in it: what its bands, windows and coefficients reach."""

THRESHOLD = 2.5
"""Local energy, in units of the noise's, from which a band begins to go back."""

KEPT = 64
"""Parts of the matrix of an axis that are remembered."""

STRIP = 2**20
"""Samples of the enlargement, about, that are reduced at once."""


Field = Callable[[Box], Planes]
"""Planes of any box of a picture of the source's size."""


def on(canvas: Canvas) -> Field:
    """What lies on a canvas, as a field."""
    return lambda box: planes_of(canvas.read(box), canvas.bands)


def reduce(enlarged: Samples, sizes: Sizes, channels: int) -> Canvas:
    """D of the first ``channels`` bands of ``enlarged``, on a float32 canvas of the source's size."""
    step = max(1, STRIP * sizes.height // (sizes.out_width * sizes.out_height))

    def rows(box: Box) -> Planes:
        low, high = sizes.down[1].needs(box.y, box.bottom)
        return sizes.reduced_rows(planes_of(enlarged[low:high], channels), low, box.y, box.bottom)

    strips = [Box(0, y, sizes.width, min(step, sizes.height - y)) for y in range(0, sizes.height, step)]
    return filled(Canvas(sizes.width, sizes.height, channels, np.float32), rows, strips)


def filled(canvas: Canvas, make: Field, boxes: Iterable[Box]) -> Canvas:
    """``canvas`` with what ``make`` answers for each of ``boxes``."""
    boxes = list(boxes)
    for box, planes in zip(boxes, in_order(make, boxes), strict=True):
        canvas.write(box, planes.transpose(1, 2, 0))
    return canvas


def target(picture: Image, reduced: Field, damage: Damage) -> Field:
    """``x'``: what the result, made small again, shall be, given the ``reduced`` enlargement that is to be corrected."""
    context = _context(damage)

    def source(box: Box) -> Planes:
        return planes_of(picture.samples[box.slices()], picture.channels)

    if context == 0:
        return source

    def signal(core: Box) -> Planes:
        box = core.grown(context, picture.width, picture.height)
        x, d = source(box), reduced(box)
        return cut(d + _worth_keeping(x, x - d, box, damage), box, core)

    canvas = Canvas(picture.width, picture.height, picture.channels, np.float32)
    return on(filled(canvas, signal, cores(picture.width, picture.height)))


def solve(wanted: Field, sizes: Sizes, channels: int) -> Canvas:
    """``z`` with ``D U z`` near ``wanted``, on a float32 canvas."""
    rounds = tuple(_Rounds(up, down) for up, down in zip(sizes.up, sizes.down, strict=True))

    def solved(core: Box) -> Planes:
        box = core.grown(ROUNDS * REACH, sizes.width, sizes.height)
        return cut(_back_projected(wanted(box), box, rounds), box, core)

    return filled(Canvas(sizes.width, sizes.height, channels, np.float32), solved, cores(sizes.width, sizes.height))


class _Rounds:
    """D after U along one axis: a band matrix of the source's size, made in parts."""

    def __init__(self, up: Scaling, down: Scaling) -> None:
        self.up, self.down = up, down
        self._known: dict[tuple[int, int], Planes] = {}

    def part(self, start: int, stop: int) -> Planes:
        """``(stop - start)`` squared: what source samples outside of the part would add is left out."""
        made = self._known.get((start, stop))
        if made is None:
            low, high = self.down.needs(start, stop)
            first, last = self.up.needs(low, high)
            whole = self.down.matrix(start, stop) @ self.up.matrix(low, high)
            made = np.zeros((stop - start, stop - start), np.float32)
            begin, end = max(first, start), min(last, stop)
            made[:, begin - start : end - start] = whole[:, begin - first : end - first]
            if len(self._known) >= KEPT:
                self._known.clear()
            self._known[start, stop] = made
        return made


def _back_projected(wanted: Planes, box: Box, rounds: tuple[_Rounds, ...]) -> Planes:
    """``z`` with ``D U z`` near ``wanted``, the planes of ``box``."""
    across, down = rounds[0].part(box.x, box.right).T, rounds[1].part(box.y, box.bottom)
    z = wanted.copy()
    for _ in range(ROUNDS - 1):
        z += wanted - down @ (z @ across)
    return z


# --- what is worth putting back -----------------------------------------------------------------------------------------


def _context(damage: Damage) -> int:
    if damage.jpeg is not None:
        return JPEG_CONTEXT
    return NOISE_CONTEXT if any(damage.noise) else 0


def _worth_keeping(source: Planes, residual: Planes, box: Box, damage: Damage) -> Planes:
    if damage.jpeg is not None:
        certain = outside_cells(source, source - residual, damage.jpeg, box.x, box.y)
        rest = bands(residual - certain, JPEG_BANDS)[1]
        return (_above_noise(certain, damage.noise) if any(damage.noise) else certain) + rest
    return _above_noise(residual, damage.noise)


def _above_noise(residual: Planes, noise: tuple[float, ...]) -> Planes:
    details, kept = bands(residual, NOISE_BANDS)
    variance = (np.array(noise, np.float32) ** 2)[:, None, None]
    for level, detail in enumerate(details):
        energy = window_mean(detail**2, 3 * 2**level)
        floor = variance * np.float32(THRESHOLD * NOISE_GAIN[level] ** 2)
        kept = kept + detail * np.clip(1 - floor / np.maximum(energy, np.float32(1e-12)), 0, 1)
    return kept


# --- geometry -----------------------------------------------------------------------------------------------------------


def cores(width: int, height: int) -> Iterator[Box]:
    """Blocks that partition a picture of the source's size."""
    for y in range(0, height, CORE):
        for x in range(0, width, CORE):
            yield Box(x, y, min(CORE, width - x), min(CORE, height - y))


def cut(planes: Planes, box: Box, core: Box) -> Planes:
    """The part of ``planes``, which are those of ``box``, that lies in ``core``."""
    return planes[:, core.y - box.y : core.bottom - box.y, core.x - box.x : core.right - box.x]
