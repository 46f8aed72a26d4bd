"""Antialiased bicubic resizing as the super-resolution literature has it: Keys' cubic with a = -0.5, MATLAB's `imresize` convention.

Formula: R. Keys, "Cubic convolution interpolation for digital image processing", IEEE ASSP 29 (1981); antialiasing as in MATLAB's
`imresize`: when reducing, the kernel is stretched by 1/scale. Works on encoded (gamma) values. Pixel i of n covers [i/n, (i+1)/n);
the outermost sample stands for all beyond it. Rows are done before columns and rounded to 8 bit in between: so, and only so, the
small pictures of the published Set5 and Set14 pairs come out the same in every sample.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Bytes = NDArray[np.uint8]


def cubic(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Keys' kernel with a = -0.5 at distances `x` in samples; support [-2, 2]."""
    x = np.abs(x)
    near = 1.5 * x**3 - 2.5 * x**2 + 1
    far = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return np.where(x <= 1, near, np.where(x < 2, far, 0.0))


@lru_cache(maxsize=256)
def matrix(n_in: int, n_out: int) -> Array:
    """(n_out, n_in) float32: row i holds the weights of the input samples for output sample i; rows sum to 1."""
    scale = n_out / n_in
    stretch = min(scale, 1.0)
    reach = int(np.ceil(4 / stretch)) + 2
    centre = (np.arange(n_out) + 0.5) / scale - 0.5
    first = np.floor(centre - 2 / stretch).astype(np.int64)
    index = first[:, None] + np.arange(reach)
    weight = cubic((centre[:, None] - index) * stretch)
    weight /= weight.sum(axis=1, keepdims=True)
    dense = np.zeros((n_out, n_in))
    np.add.at(dense, (np.arange(n_out)[:, None], np.clip(index, 0, n_in - 1)), weight)
    return dense.astype(np.float32)


def rows(picture: NDArray[np.floating] | Bytes, height: int) -> Array:
    """(h, w, c) or (h, w) -> (height, w[, c]) float32 in the same range, neither rounded nor clipped."""
    out: Array = np.tensordot(matrix(picture.shape[0], height), np.asarray(picture, dtype=np.float32), axes=(1, 0))
    return out


def columns(picture: NDArray[np.floating] | Bytes, width: int) -> Array:
    """(h, w, c) or (h, w) -> (h, width[, c]) float32 in the same range, neither rounded nor clipped."""
    out = np.tensordot(matrix(picture.shape[1], width), np.asarray(picture, dtype=np.float32), axes=(1, 1))
    return np.ascontiguousarray(np.moveaxis(out, 0, 1))


def to_bytes(picture: NDArray[np.floating]) -> Bytes:
    """Values on the 0-255 scale -> uint8, rounded half up and clipped."""
    out: Bytes = np.clip(np.floor(picture + np.float32(0.5)), 0, 255).astype(np.uint8)
    return out


def resize(picture: Bytes, height: int, width: int) -> Bytes:
    """(h, w, c) or (h, w) uint8 -> (height, width[, c]) uint8."""
    return to_bytes(columns(to_bytes(rows(picture, height)), width))


def reduce(picture: Bytes, scale: int) -> Bytes:
    """D: (h, w, c) uint8 -> (h // scale, w // scale, c) uint8; a remainder of rows and columns is cut off at the end first."""
    height, width = picture.shape[0] // scale, picture.shape[1] // scale
    return resize(picture[: height * scale, : width * scale], height, width)


def enlarge(picture: Bytes, scale: int) -> Bytes:
    """U: plain bicubic enlargement, (h, w, c) uint8 -> (h * scale, w * scale, c) uint8."""
    return resize(picture, picture.shape[0] * scale, picture.shape[1] * scale)
