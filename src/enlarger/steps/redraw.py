"""Redraw: flat graphics inside a photograph, brought back to their own colours after the net.

What a net makes of a hard edge between two flat colours is wider than it has to be, and off both of them. The source tells which
colours there are: those that lie flat in it. A pixel of the result that is a mixture of two of them is moved along the line between
them, away from the middle (:data:`GAIN`), and on to the line; what is no such mixture stays as it was made, and so does what lies
farther from a flat colour than an edge is wide: gradients, and the photograph around.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from enlarger.canvas import Canvas
from enlarger.image import Box, Image, Samples
from enlarger.steps.enlarge import quantise

STRIP = 2**18
"""Pixels of the result that are made at once."""

BLEND = 16
"""Pixels of the result over which a redrawn place passes into what is around it."""

MOST = 8
"""Colours that a graphic has at most, and the share of its flat pixels that each must have."""
LEAST = 0.004

ONE = 16 / 255
"""How far apart samples of one colour may lie, of white."""

EXACT = 2.5 / 255
"""Deviation from its mean that a flat colour has at most in the source."""

GAIN = 1.2
"""How much steeper edges become. Chosen on composed truth (docs/triage.md): 1 only takes colours back, from 1.4 on thin lines break."""

OFF = 24 / 255
"""Distance from the line between two colours from which a pixel is no mixture of them; from twice that nothing is done."""

SAME = 8 / 255
"""Distance from a colour within which a pixel is that colour."""

REACH = 2
"""Source pixels around a flat colour in which an edge of it can lie."""

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Graphic:
    """A place in the source, and its flat colours ``(n, channels)``, white being 1."""

    box: Box
    colours: Floats


def graphic(picture: Image, box: Box) -> Graphic | None:
    """``box`` of ``picture`` with its flat colours, the commonest first; ``None`` if there are not at least two."""
    channels, top = picture.channels, np.float32(np.iinfo(picture.samples.dtype).max)
    bits = 5 if channels == 3 else 8
    counts = np.zeros(2 ** (bits * channels), np.int64)
    sums, squares = (np.zeros((channels, counts.size)) for _ in range(2))
    rows = max(4, STRIP // box.width)
    for y in range(box.y, box.bottom, rows):
        part = picture.samples[y : min(box.bottom, y + rows), box.x : box.right, :channels].astype(np.float32) / top
        own = part[_flat(part)]
        codes = np.zeros(len(own), np.int64)
        for band in range(channels):
            codes = codes << bits | np.minimum(own[:, band] * 2**bits, 2**bits - 1).astype(np.int64)
        counts += np.bincount(codes, minlength=counts.size)
        for band in range(channels):
            sums[band] += np.bincount(codes, own[:, band], counts.size)
            squares[band] += np.bincount(codes, own[:, band] ** 2, counts.size)
    used = np.flatnonzero(counts)
    means, spreads, own_counts = (sums[:, used] / counts[used]).T, (squares[:, used] / counts[used]).T, counts[used]
    total = int(own_counts.sum())
    found: list[NDArray[np.float64]] = []
    while len(found) < MOST and own_counts.size and own_counts.max() >= max(8, LEAST * total):
        near = np.abs(means - means[own_counts.argmax()]).max(1) <= ONE
        colour, square = (np.average(of[near], axis=0, weights=own_counts[near]) for of in (means, spreads))
        # What a photograph has of a colour spreads: light changes, and so does what it falls on.
        if np.sqrt(np.maximum(square - colour**2, 0)).max() <= EXACT:
            found.append(colour)
        means, spreads, own_counts = means[~near], spreads[~near], own_counts[~near]
    return Graphic(box, np.array(found, np.float32)) if len(found) >= 2 else None


def _flat(part: Floats) -> NDArray[np.bool_]:
    """Which pixels of ``(h, w, channels)`` differ little from all eight neighbours."""
    flat: NDArray[np.bool_] = np.zeros(part.shape[:2], np.bool_)
    if min(flat.shape) >= 3:
        windows = np.lib.stride_tricks.sliding_window_view(part, (3, 3), (0, 1))
        flat[1:-1, 1:-1] = ((windows.max((3, 4)) - windows.min((3, 4))) <= 6 / 255).all(2)
    return flat


def redrawn(samples: Samples, picture: Image, boxes: list[Box], bits: int) -> Samples:
    """``samples`` of the final size, ``(h, w, bands)``, with the graphics in ``boxes`` of it redrawn in the colours that ``picture`` has
    there; ``uint8`` (``bits`` 8) or ``uint16``. Alpha stays."""
    height, width, bands = samples.shape
    graphics = [found for box in boxes if (found := graphic(picture, _below(box, picture, width, height))) is not None]
    if not graphics:
        return samples
    top = np.float32(np.iinfo(samples.dtype).max)
    canvas = Canvas(width, height, bands, np.uint8 if bits == 8 else np.uint16)
    rows = max(16, STRIP // width)
    for y in range(0, height, rows):
        strip = Box(0, y, width, min(rows, height - y))
        tile = samples[strip.slices()].astype(np.float32) / top
        for one in graphics:
            _draw(tile, strip, one, picture, (width, height))
        canvas.write(strip, quantise(tile, canvas.dtype))
    return canvas.samples()


def _below(box: Box, picture: Image, width: int, height: int) -> Box:
    """The source pixels under ``box`` of a result of ``width`` x ``height``."""
    x, y = box.x * picture.width // width, box.y * picture.height // height
    right, bottom = -(-box.right * picture.width // width), -(-box.bottom * picture.height // height)
    return Box(x, y, min(picture.width, right) - x, min(picture.height, bottom) - y)


def _draw(tile: Floats, strip: Box, one: Graphic, picture: Image, size: tuple[int, int]) -> None:
    """Redraw what of a graphic lies in ``strip`` of the result, in place."""
    across, down = size[0] / picture.width, size[1] / picture.height
    left, right = round(one.box.x * across), round(one.box.right * across)
    top, bottom = round(one.box.y * down), round(one.box.bottom * down)
    x = np.arange(max(0, left - BLEND), min(size[0], right + BLEND))
    y = np.arange(max(strip.y, top - BLEND), min(strip.bottom, bottom + BLEND))
    if not len(y):
        return
    far_x = np.maximum(np.maximum(left - x, x - right + 1), 0)
    far_y = np.maximum(np.maximum(top - y, y - bottom + 1), 0)
    share = 1 - np.maximum(far_y[:, None], far_x[None]) / np.float32(BLEND)
    share = np.where(_edges_of(one, picture, (x / across).astype(np.int64), (y / down).astype(np.int64)), share, 0).astype(np.float32)
    spot = tile[y[0] - strip.y : y[-1] + 1 - strip.y, x[0] : x[-1] + 1, : picture.channels]
    where = share > 0
    own = spot[where]
    spot[where] = own + share[where][:, None] * (mixed(own, one.colours) - own)


def _edges_of(one: Graphic, picture: Image, columns: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[np.bool_]:
    """For pixels of the result that lie in these source columns and rows: whether a flat colour is within :data:`REACH`."""
    x, y = max(0, int(columns[0]) - REACH - 1), max(0, int(rows[0]) - REACH - 1)
    part = picture.samples[y : int(rows[-1]) + REACH + 2, x : int(columns[-1]) + REACH + 2, : picture.channels]
    part = part.astype(np.float32) / np.float32(np.iinfo(picture.samples.dtype).max)
    near = np.zeros(part.shape[:2], np.bool_)
    for colour in one.colours:
        own = np.abs(part - colour).max(2) <= ONE / 2
        # Texture meets a colour by chance, pixel by pixel; a flat one has it four times over.
        four = own[1:, 1:] & own[:-1, 1:] & own[1:, :-1] & own[:-1, :-1]
        for rows_of, columns_of in ((np.s_[1:], np.s_[1:]), (np.s_[:-1], np.s_[1:]), (np.s_[1:], np.s_[:-1]), (np.s_[:-1], np.s_[:-1])):
            near[rows_of, columns_of] |= four
    wide = np.pad(near, REACH)
    near = np.asarray(np.lib.stride_tricks.sliding_window_view(wide, (2 * REACH + 1,) * 2).any((2, 3)))
    result: NDArray[np.bool_] = near[rows - y][:, columns - x]
    return result


def mixed(pixels: Floats, colours: Floats) -> Floats:
    """``pixels`` ``(n, channels)``, each moved on to the nearest line between two of ``colours``, and along it toward the nearer end."""
    moved = pixels.copy()
    rest = np.ones(len(pixels), np.bool_)
    for colour in colours:
        own = ((pixels - colour) ** 2).sum(1) <= np.float32(SAME**2)
        moved[own] = colour
        rest &= ~own
    moved[rest] = _on_lines(pixels[rest], colours)
    return moved


def _on_lines(pixels: Floats, colours: Floats) -> Floats:
    best, moved = np.full(len(pixels), np.inf, np.float32), pixels.copy()
    for i, first in enumerate(colours):
        for second in colours[i + 1 :]:
            way = second - first
            apart = pixels - first
            at = np.clip(apart @ way / (way @ way), 0, 1)
            apart -= at[:, None] * way
            off = np.einsum("ij,ij->i", apart, apart)
            nearer = off < best
            best[nearer] = off[nearer]
            steep = np.clip((at[nearer] - 0.5) * GAIN + 0.5, 0, 1)
            moved[nearer] = first + steep[:, None] * way
    trust = np.clip(2 - np.sqrt(best) / np.float32(OFF), 0, 1)
    result: Floats = pixels + trust[:, None] * (moved - pixels)
    return result
