"""Samples to and from numbers that are not stored as they come: float light, arrays in [0, 1], other depths.

The curve is that of IEC 61966-2-1 (sRGB).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from enlarger.image import Transfer

FULL = np.float32(65535)


def srgb_curve(linear: NDArray[np.float32]) -> NDArray[np.float32]:
    """Linear light in [0, 1] to sRGB's encoding."""
    curve: NDArray[np.float32] = np.where(linear <= 0.0031308, linear * 12.92, 1.055 * np.power(linear, 1 / 2.4) - 0.055).astype(np.float32)
    return curve


def linear_light(encoded: NDArray[np.float64]) -> NDArray[np.float64]:
    """The inverse of :func:`srgb_curve`."""
    return np.where(encoded <= 0.04045, encoded / 12.92, np.power((encoded + 0.055) / 1.055, 2.4))


def stored(values: NDArray[Any], transfer: Transfer, channels: int) -> NDArray[np.uint16]:
    """Float rows ``(h, w, bands)`` as samples: NaN and below zero become 0, infinity and above the peak the peak.

    Only the first ``channels`` bands go through the curve; alpha is plain.
    """
    rows = np.nan_to_num(values.astype(np.float32), nan=0.0, posinf=transfer.peak, neginf=0.0)
    if transfer.curve == "linear":
        rows[..., :channels] = srgb_curve(np.clip(rows[..., :channels] / np.float32(transfer.peak), 0, 1))
    quantised: NDArray[np.uint16] = (np.clip(rows, 0, 1) * FULL + np.float32(0.5)).astype(np.uint16)
    return quantised


def float_table(transfer: Transfer) -> NDArray[np.float32]:
    """What each of the 65536 stored values stands for in a float file."""
    values = np.arange(65536) / 65535
    return (linear_light(values) * transfer.peak if transfer.curve == "linear" else values).astype(np.float32)


def at_depth(samples: NDArray[Any], bits: int) -> NDArray[Any]:
    """Samples as ``uint8`` or ``uint16``, correctly rounded."""
    if bits == 8 and samples.dtype == np.uint16:
        # round(v / 257) in whole numbers: 65535 = 255 * 257.
        return ((samples.astype(np.uint32) + 128) // 257).astype(np.uint8)
    if bits == 16 and samples.dtype == np.uint8:
        return samples.astype(np.uint16) * np.uint16(257)
    return samples
