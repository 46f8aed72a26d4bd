"""How noisy a source is, from its quietest places. (Immerkaer 1996 for the filter)"""

from __future__ import annotations

import numpy as np

from enlarger.image import Image
from enlarger.measures.pairing import as_255

SIDE = 16
QUIET = 0.05
"""Share of blocks that count as quiet."""
LOW = 0.87
"""The quietest twentieth of blocks of 16 x 16 of white noise has that much of its sigma."""
MOST_ROWS = 2048


def noise_of(source: Image) -> float:
    """Sigma of the source's noise in 1/255; 0 where flat areas are exact or there are too few blocks to tell.

    The Laplacian-like filter 1 -2 1 / -2 4 -2 / 1 -2 1 removes planes; white noise of sigma s leaves it with 6 s. Blocks that
    touch black or white are left out: noise is clipped there.
    """
    if source.width < 4 * SIDE or source.height < 4 * SIDE:
        return 0.0
    step = max(1, source.height // MOST_ROWS)
    found = []
    for y in range(0, source.height - SIDE - 1, SIDE * step):
        # One channel: in luma the noise of three would cancel out in part.
        strip = as_255(source.samples[y : y + SIDE + 2, :, 1 if source.channels == 3 else 0])
        across = strip[:, 2:] - 2 * strip[:, 1:-1] + strip[:, :-2]
        response = (across[2:] - 2 * across[1:-1] + across[:-2]) ** 2
        n = response.shape[1] // SIDE
        inner = strip[1:-1, 1 : 1 + n * SIDE].reshape(-1, n, SIDE)
        clear = (inner.min(axis=(0, 2)) > 4) & (inner.max(axis=(0, 2)) < 251)
        found.append(response[:, : n * SIDE].reshape(-1, n, SIDE).mean(axis=(0, 2))[clear] / 36)
    energies = np.sort(np.concatenate(found))
    if len(energies) < 16:
        return 0.0
    sigma = float(np.sqrt(energies[: max(2, int(QUIET * len(energies)))].mean()))
    return sigma / LOW if sigma > 0.5 else 0.0
