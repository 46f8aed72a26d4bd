"""Smooth outlines for pixel art, after the rules of xBR (Hyllian 2011, "xBR tutorial"), written from their description.

Each corner of a pixel asks whether an edge cuts it off. With the names of xBR, for the lower right corner of E::

        B  C            An edge from F to H cuts off the corner if what lies along it differs less than what lies across:
     D  E  F  F4        d(E,C) + d(E,G) + d(I,F4) + d(I,H5) + 4 d(F,H)  <  d(H,D) + d(H,I5) + d(F,I4) + d(F,B) + 4 d(E,I)
     G  H  I  I4
        H5 I5

The corner then takes the colour of F or H, whichever is nearer to E: beyond a line at 45 degrees, and beyond one at a slope of 1:2
or 2:1 where the next pixels along say that the edge goes on so. Lines are drawn at any scale, with the share of a pixel of the
result that lies beyond them. Pixels at which no edge cuts a corner stay as they are, exactly.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from enlarger.image import Tile

SAME = np.float32(0.06)
"""Difference up to which two pixels count as the same colour."""

TO_YCC = np.array([[0.299, -0.084, 0.25], [0.587, -0.166, -0.21], [0.114, 0.25, -0.04]], np.float32)
"""RGB to luma and halves of Cb and Cr: where brightness differs is where an outline is seen."""

LINES = ((1.0, 1.0, 1.5), (1.0, 2.0, 2.0), (2.0, 1.0, 2.0))
"""Diagonal, flat and steep: ``a, b, c`` of lines ``a x + b y = c`` in the pixel, x to the right and y down. Beyond them is the corner."""

Plane = NDArray[np.float32]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class _Corner:
    """One corner of every pixel, ``(h, w)`` each: bits of the :data:`LINES` that cut it off, and the number of the pixel it takes after."""

    lines: NDArray[np.uint8]
    takes: NDArray[np.int64]


def drawn(pixels: Tile, x: NDArray[np.float64], y: NDArray[np.float64], factor: float) -> Tile:
    """``pixels`` ``(h, w, c)``, of which the last is alpha with 2 or 4 bands, at the places ``x`` and ``y`` (0.5: middle of the first).

    ``factor`` is how many pixels of the result there are to one, the width of the transition across a line.
    """
    columns, rows = np.floor(x).astype(np.int64), np.floor(y).astype(np.int64)
    right, down = (x - columns).astype(np.float32), (y - rows).astype(np.float32)
    numbers = np.arange(pixels.shape[0] * pixels.shape[1]).reshape(pixels.shape[:2])
    own = numbers[rows[:, None], columns[None, :]]
    share, other = np.zeros(own.shape, np.float32), own.copy()
    for turns in range(4):
        corner = _corner(pixels, numbers, turns)
        lines = corner.lines.reshape(-1)[own]
        at = np.nonzero(lines)
        # The picture is turned by 90 degrees against the clock each time: x is what y was.
        within = (right[at[1]], down[at[0]])
        for _ in range(turns):
            within = within[1], 1 - within[0]
        here = np.zeros(at[0].size, np.float32)
        for bit, (a, b, c) in enumerate(LINES):
            beyond = (np.float32(a) * within[0] + np.float32(b) * within[1] - np.float32(c)) * np.float32(factor / np.hypot(a, b))
            there = np.clip(beyond + np.float32(0.5), 0, 1)
            np.maximum(here, there, out=here, where=(lines[at] >> bit & 1) > 0)
        more = here > share[at]
        at = at[0][more], at[1][more]
        share[at], other[at] = here[more], corner.takes.reshape(-1)[own[at]]
    flat = pixels.reshape(-1, pixels.shape[2])
    answer: Tile = flat[own]
    at = np.nonzero(share)
    answer[at] = _mixed(answer[at], flat[other[at]], share[at][:, None])
    return answer


def _mixed(own: Plane, other: Plane, share: Plane) -> Plane:
    """``own`` ``(n, c)`` with ``share`` of ``other`` in it; with alpha, colours weigh as much as can be seen of them."""
    if own.shape[1] in (1, 3):
        return own + (other - own) * share
    alpha = own[:, -1:] + (other[..., -1:] - own[..., -1:]) * share
    seen = own[..., :-1] * own[..., -1:] * (1 - share) + other[..., :-1] * other[..., -1:] * share
    colour = np.where((share == 0) | (alpha == 0), own[..., :-1], seen / np.maximum(alpha, np.float32(1e-6)))
    return np.concatenate([colour, alpha], axis=1)


def _corner(pixels: Tile, numbers: NDArray[np.int64], turns: int) -> _Corner:
    """The corner that is the lower right one once the picture is turned ``turns`` times by 90 degrees against the clock."""
    turned = np.rot90(pixels, turns)
    bands = turned.shape[2]
    colours = bands - (bands in (2, 4))
    seen = turned[..., :colours] * turned[..., colours:] if colours < bands else turned
    # Planes, as sums along a short last axis are slow.
    planes = np.concatenate([seen @ TO_YCC if colours == 3 else seen, turned[..., colours:]], axis=2).transpose(2, 0, 1)
    around = np.ascontiguousarray(np.pad(planes, ((0, 0), (2, 2), (2, 2)), mode="edge"))

    def pixel(right: int, down: int) -> Plane:
        return around[:, 2 + down : 2 + down + planes.shape[1], 2 + right : 2 + right + planes.shape[2]]

    b, c, d, e, f, f4 = pixel(0, -1), pixel(1, -1), pixel(-1, 0), pixel(0, 0), pixel(1, 0), pixel(2, 0)
    g, h, i, i4, h5, i5 = pixel(-1, 1), pixel(0, 1), pixel(1, 1), pixel(2, 1), pixel(0, 2), pixel(1, 2)
    along = _gap(e, c) + _gap(e, g) + _gap(i, f4) + _gap(i, h5) + 4 * _gap(f, h)
    across = _gap(h, d) + _gap(h, i5) + _gap(f, i4) + _gap(f, b) + 4 * _gap(e, i)
    cut = (along < across) & _may_be_cut(b, c, d, e, f, f4, g, h, i, i4, h5, i5)
    slope_flat, slope_steep = _gap(f, g), _gap(h, c)
    flat = cut & (2 * slope_flat <= slope_steep) & ~_same(e, g) & ~_same(d, g)
    steep = cut & (slope_flat >= 2 * slope_steep) & ~_same(e, c) & ~_same(b, c)
    beside = np.pad(np.rot90(numbers, turns), ((0, 1), (0, 1)), mode="edge")
    takes = np.where(_gap(e, f) <= _gap(e, h), beside[:-1, 1:], beside[1:, :-1])
    lines = (cut + 2 * flat + 4 * steep).astype(np.uint8)
    return _Corner(np.rot90(lines, -turns), np.rot90(takes, -turns))


def _may_be_cut(
    b: Plane, c: Plane, d: Plane, e: Plane, f: Plane, f4: Plane, g: Plane, h: Plane, i: Plane, i4: Plane, h5: Plane, i5: Plane
) -> Mask:
    """Whether E's corner is one of an outline, and not of a right angle that is meant."""
    rounded = (~_same(f, b) & ~_same(f, c)) | (~_same(h, d) & ~_same(h, g))
    line = _same(e, i) & ((~_same(f, f4) & ~_same(f, i4)) | (~_same(h, h5) & ~_same(h, i5)))
    return ~_same(e, f) & ~_same(e, h) & (rounded | line | _same(e, g) | _same(e, c))


def _gap(one: Plane, other: Plane) -> Plane:
    gap: Plane = np.abs(one - other).sum(axis=0)
    return gap


def _same(one: Plane, other: Plane) -> Mask:
    return _gap(one, other) < SAME
