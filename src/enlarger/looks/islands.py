"""What hangs together in a mask, corners included: numbered, by runs of rows that touch."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Place = tuple[slice, slice]


def grown(mask: NDArray[np.bool_], by: int) -> NDArray[np.bool_]:
    """``mask`` ``(h, w)`` and all within ``by`` of it along both axes."""
    for axis in (0, 1):
        wide = np.pad(mask, [(by, by) if axis == own else (0, 0) for own in (0, 1)])
        views = np.lib.stride_tricks.sliding_window_view(wide, 2 * by + 1, axis)
        mask = np.asarray(views.any(-1))
    return mask


def labelled(mask: NDArray[np.bool_]) -> tuple[NDArray[np.int64], list[Place]]:
    """``(h, w)`` with 0 outside and 1, 2, ... on each island of ``mask``, and the rows and columns that each lies in."""
    height, width = mask.shape
    edges = np.diff(np.pad(mask, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    rows, starts = np.nonzero(edges == 1)
    ends = np.nonzero(edges == -1)[1]
    first = np.searchsorted(rows, np.arange(height + 1))
    parent = list(range(len(rows)))

    def root(run: int) -> int:
        while parent[run] != run:
            parent[run] = run = parent[parent[run]]
        return run

    for y in range(1, height):
        above, here = int(first[y - 1]), int(first[y])
        while above < first[y] and here < first[y + 1]:
            # Runs end before `ends`: they touch, corners included, if each begins no later than the other ends.
            if starts[above] <= ends[here] and starts[here] <= ends[above]:
                parent[max(root(above), root(here))] = min(root(above), root(here))
            if ends[above] < ends[here]:
                above += 1
            else:
                here += 1
    numbers: dict[int, int] = {}
    labels = np.zeros((height, width), np.int64)
    sides: list[list[int]] = []
    for run, (y, start, end) in enumerate(zip(rows.tolist(), starts.tolist(), ends.tolist(), strict=True)):
        number = numbers.setdefault(root(run), len(numbers) + 1)
        labels[y, start:end] = number
        if number > len(sides):
            sides.append([y, start, y + 1, end])
        side = sides[number - 1]
        side[1], side[2], side[3] = min(side[1], start), max(side[2], y + 1), max(side[3], end)
    return labels, [(slice(top, bottom), slice(left, right)) for top, left, bottom, right in sides]
