"""The figures: PSNR and SSIM of luma, as the super-resolution literature measures them, on 8-bit pictures with a border cut off."""

import numpy as np
from numpy.typing import NDArray
from skimage.metrics import structural_similarity

from training.resize import Bytes

BORDER = 4


def luma(picture: Bytes) -> NDArray[np.float64]:
    """(h, w, 3) uint8 -> (h, w) on 16-235: Y of ITU-R BT.601 as in MATLAB's `rgb2ycbcr`, not rounded."""
    y: NDArray[np.float64] = 16 + picture.astype(np.float64) @ np.array([65.481, 128.553, 24.966]) / 255
    return y


def psnr(a: NDArray[np.generic], b: NDArray[np.generic]) -> float:
    """In dB, for values on the 0-255 scale; infinite when equal."""
    error = np.mean((a.astype(np.float64) - b.astype(np.float64)) ** 2)
    return float("inf") if error == 0 else float(10 * np.log10(255**2 / error))


def psnr_y(a: Bytes, b: Bytes, border: int = BORDER) -> float:
    inside = (slice(border, -border), slice(border, -border))
    return psnr(luma(a)[inside], luma(b)[inside])


def ssim_y(a: Bytes, b: Bytes, border: int = BORDER, *, gaussian: bool = False) -> float:
    """Z. Wang et al. 2004 with scikit-image's window of 7 x 7, or, on request, with their gaussian one of sigma 1.5. Data range 255."""
    inside = (slice(border, -border), slice(border, -border))
    window = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False} if gaussian else {}
    return float(structural_similarity(luma(a)[inside], luma(b)[inside], data_range=255, **window))  # type: ignore[no-untyped-call]
