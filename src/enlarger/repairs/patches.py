"""Which known patch is most like each patch that holds unknown pixels, and what all of them together say of a pixel.

The search is PatchMatch (Barnes, Shechtman, Finkelstein and Goldman 2009), over all patches at once: what neighbours found is tried,
then random places around the best. The vote is that of Wexler, Shechtman and Irani (2007): each unknown pixel is the mean of what the
patches over it say, weighted by how well each matches and how near known pixels it stands. A patch may match up to an offset of
brightness and colour (as in Darabi et al. 2012), so that smooth light needs no equal light elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]
Places = NDArray[np.int32]

RADIUS = 3
"""Patches are 7 x 7."""
CHUNK = 2048
"""Patches whose samples are in memory at once."""
VOTE_TILE = 512
SHIFT_LIMIT, SHIFT_PRICE = 24.0, 0.1
"""How far (of 255) a patch may be offset, and what an offset costs as a part of its square."""
FADE = 1.3
"""A patch counts less by this factor for each pixel that its centre lies deeper in the unknown (Wexler et al., equation 5)."""
DOUBT = 2.0
"""What a patch holds of the unknown itself counts less in a comparison, by this factor for each pixel of depth."""
DEEPEST = 24
NEIGHBOURS = ((0, 1), (1, 0), (0, -1), (-1, 0))


def reached(mask: Mask, radius: int) -> Mask:
    """``mask`` grown by ``radius`` pixels in all eight directions."""
    for axis in (0, 1):
        grown, step, left = mask.copy(), 1, radius
        while left > 0:
            # Growing what is grown: by 1, 2, 4 ... pixels.
            step = min(step, left, grown.shape[axis])
            ahead, behind = (slice(step, None), slice(None, -step))
            at = (ahead, behind) if axis == 0 else ((slice(None), ahead), (slice(None), behind))
            before = grown.copy()
            grown[at[0]] |= before[at[1]]
            grown[at[1]] |= before[at[0]]
            left -= step
            step *= 2
        mask = grown
    return mask


def depths(mask: Mask, deepest: int = DEEPEST) -> NDArray[np.uint8]:
    """How many pixels deep each pixel lies in ``mask``, 0 outside, at most ``deepest`` (255 at most); borders count as unknown."""
    depth = mask.astype(np.uint8)
    left = mask
    for _ in range(deepest - 1):
        left = ~reached(~left, 1)
        if not left.any():
            break
        depth += left
    return depth


class Seen(NamedTuple):
    """Patches over the unknown as they are now, ``(n, 49 * bands)``, and how sure each sample is (summing to 1 in each band)."""

    samples: Floats
    sure: Floats


class Field:
    """For each patch over unknown pixels (``target``) of ``picture`` the place of a wholly known patch.

    ``picture`` is ``(h, w, bands)``, channels and then one of texture; ``scale`` makes its values 0..255. The pixels of ``mask`` change
    with each vote; what is ``unknown`` besides is in no patch that is taken. Raises ``ValueError`` if no patch is wholly known.
    """

    def __init__(self, picture: NDArray[Any], mask: Mask, unknown: Mask, rng: np.random.Generator, scale: float = 1.0) -> None:
        # The last channel, which says how much texture there is, is no colour and not offset.
        self.limit = np.where(np.arange(picture.shape[2]) < picture.shape[2] - 1, SHIFT_LIMIT, 0).astype(np.float32)
        self.picture, self.mask, self.rng, self.scale = picture, mask, rng, np.float32(scale)
        height, width, bands = picture.shape
        size = 2 * RADIUS + 1
        row, column, band = picture.strides
        shape = (max(0, height - size + 1), max(0, width - size + 1), size, size * bands)
        # Samples of a line of a patch lie side by side: one index fetches a patch.
        self.patches = np.lib.stride_tricks.as_strided(picture, shape, (row, column, row, band), writeable=False)
        over = reached(mask, RADIUS)
        inside = np.zeros_like(mask)
        inside[RADIUS : height - RADIUS, RADIUS : width - RADIUS] = True
        self.known = inside & ~reached(unknown, RADIUS)
        self.sources = np.flatnonzero(self.known)
        if not len(self.sources):
            raise ValueError("no patch is wholly known")
        rows, columns = np.nonzero(inside & over)
        self.ty, self.tx = rows.astype(np.int32), columns.astype(np.int32)
        self.index = np.full(mask.shape, -1, np.int32)
        self.index[rows, columns] = np.arange(len(rows))
        sure = np.where(mask, np.power(np.float32(DOUBT), -depths(mask).astype(np.float32)), np.float32(1)).astype(np.float32)
        self.by_band = np.tile(np.eye(bands, dtype=np.float32), size * size)
        self.sure = np.lib.stride_tricks.sliding_window_view(sure, (size, size))
        self.trust = np.power(np.float32(FADE), -depths(mask)[rows, columns].astype(np.float32))
        self.sy, self.sx = self._anywhere(len(rows))
        self.cost = np.zeros(len(rows), np.float32)
        self.shift = np.zeros((len(rows), bands), np.float32)

    def __len__(self) -> int:
        return len(self.ty)

    def _anywhere(self, count: int) -> tuple[Places, Places]:
        places = self.sources[self.rng.integers(0, len(self.sources), count)]
        return (places // self.mask.shape[1]).astype(np.int32), (places % self.mask.shape[1]).astype(np.int32)

    def _fetch(self, y: Places, x: Places) -> Floats:
        """``(n, 49 * bands)`` of the patches around these centres, samples of a pixel side by side."""
        got = self.patches[y - RADIUS, x - RADIUS].astype(np.float32)
        if self.scale != 1:
            got *= self.scale
        return got.reshape(len(y), -1)

    def start_from(self, coarser: Field) -> None:
        """Take over what was found at half the size."""
        r, (height, width) = RADIUS, coarser.mask.shape
        cy, cx = np.clip(self.ty // 2, r, height - r - 1), np.clip(self.tx // 2, r, width - r - 1)
        at = coarser.index[cy, cx]
        y, x = coarser.sy[at] * 2 + self.ty - cy * 2, coarser.sx[at] * 2 + self.tx - cx * 2
        y, x = np.clip(y, r, self.mask.shape[0] - r - 1), np.clip(x, r, self.mask.shape[1] - r - 1)
        good = (at >= 0) & self.known[y, x]
        self.sy, self.sx = np.where(good, y, self.sy).astype(np.int32), np.where(good, x, self.sx).astype(np.int32)
        self.shift = coarser.shift[at] * good[:, None]

    def _compare(self, ours: Seen, y: Places, x: Places) -> tuple[Floats, Floats]:
        """Mean squared difference per sample and the offset that was allowed for it, ``(n,)`` and ``(n, bands)``."""
        gap = self._fetch(y, x)
        np.subtract(ours.samples, gap, out=gap)
        weighted = gap * ours.sure
        # Not as a product of matrices: BLAS would start threads for it.
        mean = np.stack([np.einsum("nk,k->n", weighted, band) for band in self.by_band], 1)
        bands = len(self.by_band)
        shift = np.minimum(np.maximum(mean, -self.limit), self.limit)
        squares = np.einsum("nk,nk->n", gap, weighted)
        squares += np.einsum("nb,nb->n", shift, np.float32(1 + SHIFT_PRICE) * shift - np.float32(2) * mean)
        squares *= np.float32(1 / bands)
        return squares, shift

    def search(self, rounds: int, radius: int, *, anywhere: int = 0) -> None:
        """Improve all places: what neighbours found, then ever nearer places around the best, ``anywhere`` tries in the whole picture.

        Costs are those of the picture as it is now.
        """
        for start in range(0, len(self), CHUNK):
            part = slice(start, min(start + CHUNK, len(self)))
            sure = self.sure[self.ty[part] - RADIUS, self.tx[part] - RADIUS].reshape(part.stop - part.start, -1)
            sure = np.repeat(sure / sure.sum(1, keepdims=True), self.picture.shape[2], 1)
            ours = Seen(self._fetch(self.ty[part], self.tx[part]), sure)
            self.cost[part], self.shift[part] = self._compare(ours, self.sy[part], self.sx[part])
            for turn in range(rounds):
                reach = 1 if turn % 2 == 0 else 4
                for dy, dx in NEIGHBOURS:
                    self._try_neighbour(part, ours, dy * reach, dx * reach)
                self._try_around(part, ours, radius)
                for _ in range(anywhere):
                    self._try(part, ours, *self._anywhere(part.stop - part.start))

    def _try_neighbour(self, part: slice, ours: Seen, dy: int, dx: int) -> None:
        y, x = self.ty[part] + dy, self.tx[part] + dx
        height, width = self.mask.shape
        at = self.index[np.clip(y, 0, height - 1), np.clip(x, 0, width - 1)]
        there = (at >= 0) & (y >= 0) & (y < height) & (x >= 0) & (x < width)
        self._try(part, ours, np.where(there, self.sy[at] - dy, self.sy[part]), np.where(there, self.sx[at] - dx, self.sx[part]))

    def _try_around(self, part: slice, ours: Seen, radius: int) -> None:
        while radius >= 1:
            around = self.rng.integers(-radius, radius + 1, (2, part.stop - part.start), np.int32)
            self._try(part, ours, self.sy[part] + around[0], self.sx[part] + around[1])
            radius //= 2

    def _try(self, part: slice, ours: Seen, y: Places, x: Places) -> None:
        height, width = self.mask.shape
        usable = (y >= RADIUS) & (y < height - RADIUS) & (x >= RADIUS) & (x < width - RADIUS)
        usable &= (y != self.sy[part]) | (x != self.sx[part])
        usable[usable] = self.known[y[usable], x[usable]]
        which = np.flatnonzero(usable)
        if not len(which):
            return
        y, x = y[which], x[which]
        cost, shift = self._compare(Seen(ours.samples[which], ours.sure[which]), y, x)
        better = np.flatnonzero(cost < self.cost[part][which])
        at = which[better] + part.start
        self.sy[at], self.sx[at], self.cost[at], self.shift[at] = y[better], x[better], cost[better], shift[better]

    def vote(self, *, sharp: float = 1.0) -> float:
        """Give each unknown pixel what the patches over it say; the mean change, of 255.

        ``sharp`` above 1 lets the best patches say more. Raises nothing: every unknown pixel has a patch over it.
        """
        weight = self._weight(sharp)
        changed, count = 0.0, 0
        for rows, columns in self.tiles():
            said = self._said(rows, columns, weight)
            hole = self.mask[rows, columns]
            old = self.picture[rows, columns][hole]
            new = said[hole] / self.scale
            if self.picture.dtype != np.float32:
                new = np.clip(np.rint(new), 0, np.iinfo(self.picture.dtype).max)
            self.picture[rows, columns][hole] = new
            changed += float(np.abs(new - old).sum()) * float(self.scale)
            count += new.size
        return changed / max(1, count)

    def _weight(self, sharp: float = 1.0) -> Floats:
        usual = float(np.quantile(self.cost, 0.75)) + 1e-3
        return np.asarray(self.trust * np.exp(-self.cost * np.float32(sharp / (2 * usual))) + np.float32(1e-12), np.float32)

    def misfit(self) -> Floats:
        """How far, of 255, what patches say of known pixels beside the mask is from what those are: ``(h, w)``, elsewhere 0."""
        out, weight = np.zeros(self.mask.shape, np.float32), self._weight()
        beside = reached(self.mask, 2) & ~self.mask & (self.index >= 0)
        for rows, columns in self.tiles():
            down = slice(max(0, rows.start - 2), min(rows.stop + 2, len(out)))
            across = slice(max(0, columns.start - 2), min(columns.stop + 2, self.mask.shape[1]))
            said = self._said(down, across, weight)[..., :-1]
            gap = np.abs(said - self.picture[down, across][..., :-1].astype(np.float32) * self.scale).mean(2)
            out[down, across] = np.where(beside[down, across], gap, out[down, across])
        return out

    def tiles(self) -> Iterator[tuple[slice, slice]]:
        """Squares of at most :data:`VOTE_TILE` that hold the mask: rows and columns."""
        rows, columns = (np.flatnonzero(self.mask.any(axis)) for axis in (1, 0))
        for y in range(int(rows[0]), int(rows[-1]) + 1, VOTE_TILE):
            for x in range(int(columns[0]), int(columns[-1]) + 1, VOTE_TILE):
                yield slice(y, min(y + VOTE_TILE, int(rows[-1]) + 1)), slice(x, min(x + VOTE_TILE, int(columns[-1]) + 1))

    def _said(self, rows: slice, columns: slice, weight: Floats) -> Floats:
        """``(h, w, bands)`` of a tile: weighted means of all votes, 0 where there is none."""
        r, bands = RADIUS, self.picture.shape[2]
        top, left = max(0, rows.start - r), max(0, columns.start - r)
        near = self.index[top : rows.stop + r, left : columns.stop + r]
        at = near[near >= 0]
        height, width = rows.stop - rows.start + 4 * r, columns.stop - columns.start + 4 * r
        total = np.zeros((height * width, bands + 1), np.float32)
        place = (self.ty[at] - rows.start + 2 * r) * width + self.tx[at] - columns.start + 2 * r
        w, sy, sx, shift = weight[at][:, None], self.sy[at], self.sx[at], self.shift[at]
        for dy in range(-r, r + 1):
            for dx in range(-r, r + 1):
                # Centres are all different, so no place stands in the list twice.
                said = self.picture[sy + dy, sx + dx].astype(np.float32) * self.scale + shift
                total[place + (dy * width + dx)] += np.concatenate((said * w, w), 1)
        tile = total.reshape(height, width, bands + 1)[2 * r : height - 2 * r, 2 * r : width - 2 * r]
        return np.asarray(tile[..., :bands] / np.maximum(tile[..., bands:], np.float32(1e-20)), np.float32)
