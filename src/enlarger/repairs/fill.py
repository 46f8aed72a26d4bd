"""Filling a hole of a picture from its surroundings: patches of what is known, coarse to fine.

After Wexler, Shechtman and Irani, "Space-time completion of video" (2007), with the search of Barnes et al. (2009): at each of several
sizes, patches over the hole look for known patches like them, then all of them vote; places found at one size start the next
(Newson et al. 2014). The coarsest starts from a smooth membrane. Holes that lie apart are filled one by one, each from a part of the
picture around it, so that time and memory follow the hole and not the picture.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from enlarger.image import Box, Samples
from enlarger.repairs.ground import spread
from enlarger.repairs.holes import APART, check, holes, within
from enlarger.repairs.patches import RADIUS, Field, Floats, Mask, depths, reached

__all__ = ["fill", "fill_in_place"]

NEAR, FAR = 64, 320
"""Pixels of the surroundings that are searched, at least and at most (unless half the hole is more)."""
STRIP = 1280
"""Holes longer than this and thin (wires, lines of text) are filled in pieces."""
SHALLOW = 5
"""Depth of a hole at the coarsest size: each patch there should see something known."""
SMALLEST = 4 * (2 * RADIUS + 1)
"""Side of the coarsest piece."""
MANY = 60_000
"""More patches than this are adjusted, not searched for anew."""
FLOAT_SAMPLES = 12_000_000
"""Larger pieces are kept as they are stored."""
ROUNDS, FINE_ROUNDS = 10, 3
TEXTURE = 2.0
"""How much the amount of texture counts beside one channel of colour."""
COARSE = 3
BLENDED = (0.3, 0.3, 0.2)
"""Share of the membrane in pixels 1, 2 and 3 deep; measured against what was there, in benchmarks/repairs.py."""
FIT = 3.0
"""How far, of 255, patches may be from what is known beside the hole before much is blended."""
SETTLED = 0.2
"""Mean change, of 255, at which a size is done."""


def fill(samples: Samples, mask: Mask, seed: int = 0) -> Samples:
    """A copy of ``(h, w, bands)`` uint8 or uint16 ``samples`` in which the pixels of ``mask`` ``(h, w)`` follow from those around.

    Grey or RGB, with or without alpha (which is filled like colour). Pixels outside the mask are the same bits, and the same ``seed``
    gives the same result. Raises :class:`InputError` if the mask has another size or leaves nothing to fill from.
    """
    out = np.array(samples)
    fill_in_place(out, mask, seed)
    return out


def fill_in_place(samples: Samples, mask: Mask, seed: int = 0) -> None:
    """The same, into ``samples`` themselves, which may be mapped from a file: memory follows the largest hole."""
    check(samples, mask)
    left = mask.copy()
    for number, box in enumerate(holes(mask, STRIP)):
        window = _window(box, mask.shape)
        area, own = window.slices(), within(box, window)
        unknown = left[area]
        # What of other holes lies close is filled too, or patches near a cut would see nothing there; it is not written yet.
        hole = np.zeros_like(unknown)
        hole[within(box.grown(APART, *mask.shape[::-1]), window)] = True
        hole &= unknown
        mine = left[box.slices()].copy()
        result = _filled(samples[area], hole, unknown, np.random.default_rng((seed, number)))
        samples[box.slices()][mine] = result[own][mine]
        left[box.slices()] = False


def _window(box: Box, shape: tuple[int, ...]) -> Box:
    side = max(box.width, box.height)
    return box.grown(max(NEAR, min(3 * side // 2, max(FAR, side // 2))), shape[1], shape[0])


# --- one hole ---------------------------------------------------------------------------------------------------------


def _filled(samples: Samples, hole: Mask, unknown: Mask, rng: np.random.Generator) -> Samples:
    """``samples`` with ``hole`` filled; what is ``unknown`` besides is not looked at."""
    top = np.iinfo(samples.dtype).max
    opaque = samples.shape[2] % 2 == 1 or bool((samples[..., -1][~unknown] == top).all())
    if samples.size > FLOAT_SAMPLES and opaque:
        picture, scale = np.array(samples), 255 / top
    else:
        picture, scale = samples.astype(np.float32) * np.float32(255 / top), 1.0
    if not opaque:
        # Colour that cannot be seen must not be matched.
        picture[..., :-1] *= picture[..., -1:] / np.float32(255)
    picture = np.concatenate((picture, texture(picture, unknown)), 2)
    _solve(picture, hole, unknown, rng, scale)
    if picture.dtype == samples.dtype:
        return picture[..., :-1]
    out = np.array(samples)
    new = picture[hole][:, :-1]
    if not opaque:
        new[:, :-1] /= np.maximum(new[:, -1:], 0.5) / np.float32(255)
    out[hole] = np.clip(np.rint(new * np.float32(top / 255)), 0, top).astype(samples.dtype)
    if opaque and samples.shape[2] % 2 == 0:
        out[hole, -1] = top
    return out


def _solve(picture: NDArray[Any], hole: Mask, unknown: Mask, rng: np.random.Generator, scale: float) -> None:
    sizes = [(picture, hole, unknown)]
    while min(sizes[-1][1].shape) >= 2 * SMALLEST and depths(sizes[-1][1], SHALLOW + 1).max() > SHALLOW:
        smaller = _halved(*sizes[-1])
        if not (~reached(smaller[2], RADIUS))[RADIUS:-RADIUS, RADIUS:-RADIUS].any():
            break
        sizes.append(smaller)
    before: Field | None = None
    for level in range(len(sizes) - 1, -1, -1):
        now, target, barred = sizes[level]
        if before is None:
            now[barred] = membrane(now, barred)[barred]
        else:
            now[barred] = _doubled(before.picture, barred.shape)[barred]
        try:
            field = Field(now, target, barred, rng, scale)
        except ValueError:
            return  # no patch is wholly known: the membrane is all that can be said
        if before is not None:
            field.start_from(before)
            field.vote()
        _settle(field, level, first=before is None)
        before = field
    if before is not None:
        _blend(before, hole, unknown)


def _blend(field: Field, hole: Mask, unknown: Mask) -> None:
    """Take off what steps are left at the rim of the ``hole``, where patches do not meet what is known there.

    Close to the rim every pixel becomes half the mean of its neighbours, on both sides of it, and some of the membrane that what is known
    would hold up. A pattern that goes on as it was stays as it is, and so does what lies further in.
    """
    margin = 2 * len(BLENDED)
    deep, misfit = depths(hole, len(BLENDED) + 1), field.misfit()
    shares = np.array([0, *BLENDED, 0], np.float32)
    for rows, columns in field.tiles():
        near = slice(max(0, rows.start - margin), rows.stop + margin), slice(max(0, columns.start - margin), columns.stop + margin)
        rim = np.zeros(deep[near].shape, bool)
        tile = within(_box(rows, columns), _box(*near))
        rim[tile] = (deep[rows, columns] > 0) & (deep[rows, columns] <= len(BLENDED))
        if not rim.any():
            continue
        gap = misfit[near][..., None]
        off = spread(gap, (gap[..., 0] > 0).astype(np.float32), 2, margin)[rim]
        off = np.asarray(off**2 / (off**2 + np.float32(FIT**2)), np.float32)
        part = field.picture[near].astype(np.float32)
        wide = np.pad(part, ((1, 1), (1, 1), (0, 0)), mode="edge")
        mean = (wide[:-2, 1:-1] + wide[2:, 1:-1] + wide[1:-1, :-2] + wide[1:-1, 2:])[rim] * np.float32(0.25)
        share = shares[deep[near][rim]][:, None]
        old = part[rim]
        new = old + off * ((old + mean) / 2 * (1 - share) + membrane(part, unknown[near])[rim] * share - old)
        field.picture[near][rim] = (new if field.picture.dtype == np.float32 else np.rint(new)).astype(field.picture.dtype)


def _box(rows: slice, columns: slice) -> Box:
    return Box(columns.start, rows.start, columns.stop - columns.start, rows.stop - rows.start)


def _settle(field: Field, level: int, *, first: bool) -> None:
    """Search and vote in turn until hardly anything changes."""
    if len(field) > MANY and not first:
        field.search(1, 2)
        field.vote()
        return
    around = max(field.mask.shape) // (2 if first else 8)
    if first:
        field.search(3, around, anywhere=6)
        field.vote()
    for _ in range(ROUNDS if level else FINE_ROUNDS):
        field.search(2, around, anywhere=1)
        if field.vote() < SETTLED:
            break


def _halved(picture: NDArray[Any], hole: Mask, unknown: Mask) -> tuple[NDArray[Any], Mask, Mask]:
    """Half the size: means of what is known of 2 x 2 pixels; unknown is what holds any unknown pixel."""
    odd = [(0, n % 2) for n in hole.shape]
    known = np.pad(~unknown, odd)[..., None]
    padded = np.pad(picture, [*odd, (0, 0)])
    height, width, bands = padded.shape
    total = np.zeros((height // 2, width // 2, bands), np.float32)
    count = np.zeros((height // 2, width // 2, 1), np.float32)
    for dy in (0, 1):
        for dx in (0, 1):
            total += padded[dy::2, dx::2] * known[dy::2, dx::2]
            count += known[dy::2, dx::2]
    small = total / np.maximum(count, 1)
    if picture.dtype != np.float32 and small.size > FLOAT_SAMPLES:
        small = np.rint(small).astype(picture.dtype)
    return small, _any_of_four(np.pad(hole, odd)), _any_of_four(np.pad(unknown, odd))


def texture(picture: NDArray[Any], unknown: Mask) -> NDArray[Any]:
    """``(h, w, 1)``: how strong gradients are around each pixel, over the unknown carried on smoothly from what is around it.

    As a channel it keeps votes from making a hole smooth, after which only smooth patches would match it (Newson et al. 2014, 3.2).
    """
    steep = np.zeros((*unknown.shape, 1), np.float32)
    blind = unknown.copy()
    for axis in (0, 1):
        one, two = (slice(1, None), slice(None, -1)) if axis == 0 else ((slice(None), slice(1, None)), (slice(None), slice(None, -1)))
        steep[two] += np.abs(np.subtract(picture[one], picture[two], dtype=np.float32)).mean(2, keepdims=True)
        blind[two] |= unknown[one]
    shapes = []
    for _ in range(COARSE):
        shapes.append(blind.shape)
        steep, blind, _ = _halved(steep, blind, blind)
    # A cell that has some known pixels knows enough.
    steep = membrane(steep, blind)
    for shape in reversed(shapes):
        steep = _doubled(steep, shape)
    steep *= np.float32(TEXTURE)
    return steep if picture.dtype == np.float32 else np.clip(np.rint(steep), 0, np.iinfo(picture.dtype).max).astype(picture.dtype)


def _any_of_four(mask: Mask) -> Mask:
    some: Mask = mask[::2, ::2] | mask[1::2, ::2] | mask[::2, 1::2] | mask[1::2, 1::2]
    return some


def _doubled(picture: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    return picture.repeat(2, 0).repeat(2, 1)[: shape[0], : shape[1]]


def membrane(picture: NDArray[Any], unknown: Mask) -> Floats:
    """``picture`` with ``unknown`` as smooth as a membrane held by what is known: Laplace's equation, relaxed from coarse to fine.

    Where nothing is known, 0.
    """
    now = picture.astype(np.float32)
    if unknown.all():
        now[:] = 0
        return now
    if max(unknown.shape) > 2:
        coarse = membrane(*_halved(now, unknown, unknown)[::2])
        now[unknown] = _doubled(coarse, unknown.shape)[unknown]
    for _ in range(200 if unknown.size < 20_000 else 24):
        wide = np.pad(now, ((1, 1), (1, 1), (0, 0)), mode="edge")
        mean = (wide[:-2, 1:-1] + wide[2:, 1:-1] + wide[1:-1, :-2] + wide[1:-1, 2:]) * np.float32(0.25)
        now[unknown] = mean[unknown]
    return now
