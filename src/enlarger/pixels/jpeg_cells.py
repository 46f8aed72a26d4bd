"""What a JPEG file says about its pixels: not their values, but the cell of each DCT coefficient that quantisation left.

Any picture whose coefficients lie within half a step of the stored ones is as good an answer as the decoded one, which is just
the middle of all cells. (Zakhor, "Iterative procedures for reduction of blocking effects", 1992.)
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from enlarger.image import Quantisation
from enlarger.pixels.scaling import Planes

FORWARD = np.array([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]], np.float32)
"""JFIF: RGB to Y, Cb, Cr."""

BACKWARD = np.array([[1, 0, 1.402], [1, -0.344136, -0.714136], [1, 1.772, 0]], np.float32)


def _dct() -> NDArray[Any]:
    """The orthonormal DCT-II of 8 samples."""
    k, n = np.arange(8)[:, None], np.arange(8)[None]
    basis = np.cos(np.pi * (2 * n + 1) * k / 16) / 2
    basis[0] /= np.sqrt(2)
    return basis.astype(np.float32)


DCT = _dct()


def outside_cells(source: Planes, other: Planes, quantisation: Quantisation, x: int, y: int) -> Planes:
    """What must be added to ``other`` so that all its coefficients lie in the cells that the decoded JPEG ``source`` names.

    Both are planes of values in [0, 1] of the same part of the picture, which begins at pixel ``(x, y)``; likewise the answer.
    """
    fx, fy = quantisation.subsampling if source.shape[0] == 3 else (1, 1)
    left, top = (x - quantisation.offset[0]) % (8 * fx), (y - quantisation.offset[1]) % (8 * fy)
    height, width = source.shape[1:]
    pad = ((0, 0), (top, -(height + top) % (8 * fy)), (left, -(width + left) % (8 * fx)))
    both: list[Any] = [np.pad(planes, pad, mode="edge") * np.float32(255) for planes in (source, other)]
    if source.shape[0] == 3:
        both = [np.tensordot(FORWARD, planes, 1) for planes in both]
    added: Any = np.empty_like(both[0])
    added[0] = _into_cells(both[0][0] - 128, both[1][0] - 128, quantisation.luma)
    for channel in range(1, source.shape[0]):
        small = [_averaged(planes[channel], fx, fy) for planes in both]
        added[channel] = _spread(_into_cells(small[0], small[1], quantisation.chroma), fx, fy)
    if source.shape[0] == 3:
        added = np.tensordot(BACKWARD, added, 1)
    answer: Planes = added[:, top : top + height, left : left + width] / np.float32(255)
    return answer


def _into_cells(source: NDArray[Any], other: NDArray[Any], steps: tuple[int, ...]) -> NDArray[Any]:
    q = np.array(steps, np.float32).reshape(8, 8)
    stored, ours = _blocks(source), _blocks(other)
    middle = np.rint(stored / q) * q
    return _whole(np.clip(ours, middle - q / 2, middle + q / 2) - ours, source.shape)


def _blocks(plane: NDArray[Any]) -> NDArray[Any]:
    """DCT coefficients ``(rows, columns, 8, 8)`` of a plane whose sides are multiples of 8."""
    height, width = plane.shape
    blocks = plane.reshape(height // 8, 8, width // 8, 8).transpose(0, 2, 1, 3)
    result: NDArray[Any] = DCT @ blocks @ DCT.T
    return result


def _whole(coefficients: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    blocks: NDArray[Any] = DCT.T @ coefficients @ DCT
    return blocks.transpose(0, 2, 1, 3).reshape(shape)


def _averaged(plane: NDArray[Any], fx: int, fy: int) -> NDArray[Any]:
    height, width = plane.shape
    means: NDArray[Any] = plane.reshape(height // fy, fy, width // fx, fx).mean((1, 3))
    return means


def _spread(plane: NDArray[Any], fx: int, fy: int) -> NDArray[Any]:
    return plane.repeat(fy, 0).repeat(fx, 1)
