"""Samples turned upright."""

from __future__ import annotations

from enlarger.canvas import SOURCE_IN_MEMORY, Canvas
from enlarger.image import Box, Samples


def upright(samples: Samples, orientation: int) -> Samples:
    """Samples turned and mirrored as EXIF ``orientation`` asks; large ones from file to file, a band at a time."""
    turned = samples.transpose(1, 0, 2) if orientation > 4 else samples
    # After transposing: 5 as it is, 6 mirrored left to right, 7 both ways, 8 top to bottom.
    mirror, flip = {2: (1, 0), 3: (1, 1), 4: (0, 1), 6: (1, 0), 7: (1, 1), 8: (0, 1)}.get(orientation, (0, 0))
    turned = turned[:: -1 if flip else 1, :: -1 if mirror else 1]
    if orientation == 1:
        return samples
    height, width, bands = turned.shape
    with Canvas(width, height, bands, samples.dtype.type, in_memory=SOURCE_IN_MEMORY) as canvas:
        for y in range(0, height, 64):
            canvas.write(Box(0, y, width, min(64, height - y)), turned[y : y + 64])
        return canvas.samples()
