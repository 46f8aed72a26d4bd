"""Cutting a subject out of any ground by one of the nets that rembg made popular, from their ONNX files.

The package rembg itself is not used: it needs numba, scipy, scikit-image and pymatting (300 MB) for what is done here, and fetches its
models by itself on first use. Its files are run as it runs them: the picture squeezed to the side that the net was trained at, less the
mean, by the deviation; the answer stretched to 0..1. That is coarser than the picture: what the net leaves open is decided by the
picture's own colours, by the guided filter of He, Sun and Tang (2013) in its fast form (He and Sun 2015), whose coefficients are found at
the working size and carried out at the full one, strip by strip.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from enlarger.errors import EngineError, WeightsError
from enlarger.image import Samples
from enlarger.onnx_model import Floats, Model
from enlarger.pixels.bands import window_mean
from enlarger.repairs.cutout import (
    STRIP,
    CutOut,
    NoSubjectError,
    at_working_size,
    own_alpha,
    plane,
    resized,
    stored,
)
from enlarger.repairs.ground import Mask, border, rows_enlarged, spread
from enlarger.repairs.patches import reached

__all__ = ["NETS", "cut_out_by_net"]


@dataclass(frozen=True, slots=True)
class Net:
    """How a net sees: ``side`` of the square, ``mean`` and ``deviation`` of its channels; whether it answers logits."""

    side: int
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    deviation: tuple[float, float, float] = (0.229, 0.224, 0.225)
    logits: bool = False


NETS = {
    "u2net": Net(320),
    "u2netp": Net(320),
    "u2net_human_seg": Net(320),
    "silueta": Net(320),
    "isnet-general-use": Net(1024, (0.5, 0.5, 0.5), (1.0, 1.0, 1.0)),
    "birefnet-general": Net(1024, logits=True),
    "birefnet-general-lite": Net(1024, logits=True),
}
"""As in rembg 2.0.86, sessions/*.py."""
SEEN = 0.5
"""A net that is nowhere surer than this sees no subject."""
SURE = 0.96
"""From here on, and from 1 less it down, a net is believed; in between, and close to that, colours decide."""
SMOOTH = 1e-4
"""Variance of colours (of 1) below which they decide nothing."""
LOOSE, FAINT = 12.0, 1e-3
"""How strongly varied colours near by, and subject and ground that are alike, leave alpha to the guided filter: variances (of 1)."""
FAR = 64
"""Working pixels beyond which no colour is near by."""
UNSURE = 0.25
"""Share of the subject that may be half transparent before that is told."""


def cut_out_by_net(samples: Samples, name: str, model: Model, *, alpha: bool = False, source: str = "") -> CutOut:
    """The subject of ``(h, w, bands)`` uint8 or uint16 ``samples`` as the net ``name`` sees it.

    Grey or RGB; with ``alpha`` the last band is alpha, and a picture that is transparent anywhere keeps its own. Raises
    :class:`NoSubjectError` where the net sees none, :class:`WeightsError` for a model of another kind, :class:`EngineError` for answers
    that are none; ``source`` is the picture's file.
    """
    if (own := own_alpha(samples, alpha)) is not None:
        return own
    colours = samples[..., : samples.shape[2] - alpha]
    seen = _seen(colours, NETS[name], model)
    if float(seen.max()) < SEEN:
        raise NoSubjectError(f"{name} sees no subject", hint="is there one in the picture? another --matte may see it", subject=source)
    low, high = float(seen.min()), float(seen.max())
    seen = (seen - low) / max(1e-6, high - low)
    small = at_working_size(colours) / np.float32(255)
    prior = _at(seen, small.shape)
    subject = prior > 0.5
    reasons = []
    half = float(((prior > 0.1) & (prior < 0.9)).sum()) / max(1, int(subject.sum()))
    if half > UNSURE:
        reasons.append(f"{name} is not sure: what it leaves half transparent is {100 * half:.0f} % as large as the subject")
    if float(subject[border(small.shape)].mean()) > 0.02:
        reasons.append("the subject reaches the border of the picture")
    return CutOut(_matte(colours, small, prior, NETS[name].side), round(max(0.0, 1 - half), 3), tuple(reasons))


def _seen(colours: Samples, net: Net, model: Model) -> Floats:
    """What the net answers, ``(side, side)``, 0..1 or somewhere in it."""
    shape = model.inputs[0].shape
    if len(model.inputs) != 1 or len(shape) != 4 or shape[1] not in (3, None) or any(n not in (net.side, None) for n in shape[2:]):
        told = " and ".join("x".join("?" if n is None else str(n) for n in port.shape) for port in model.inputs)
        message = f"this model is another: it wants {told} instead of 1x3x{net.side}x{net.side}"
        raise WeightsError(message, hint="fetch it again", subject=model.subject)
    picture = resized(colours, net.side, net.side, kernel="lanczos3") / np.float32(255)
    # As rembg does: what is dark is made as bright as it can be.
    picture = np.clip(picture, 0, 1) / np.float32(max(1e-6, float(picture.max())))
    fed = (picture - np.array(net.mean, np.float32)) / np.array(net.deviation, np.float32)
    answer = model(np.ascontiguousarray(fed.transpose(2, 0, 1)[None], np.float32))
    if answer.shape[-2:] != (net.side, net.side) or answer.size != net.side**2:
        raise EngineError(f"the model answered {'x'.join(map(str, answer.shape))}", hint="is it the right one?", subject=model.subject)
    answer = answer.reshape(net.side, net.side)
    if net.logits:
        answer = np.asarray(1 / (1 + np.exp(-np.clip(answer, -60, 60))), np.float32)
    if float(answer.min()) < -0.01 or float(answer.max()) > 1.01:
        raise EngineError("the model answered no shares between 0 and 1", hint="is it the right one?", subject=model.subject)
    return np.asarray(np.clip(answer, 0, 1), np.float32)


def _at(share: Floats, shape: tuple[int, ...]) -> Floats:
    """``share`` at the height and width of ``shape``: means over areas where it is reduced, linear where it is enlarged."""
    made = resized(stored(share, np.dtype(np.uint16))[..., None], shape[1], shape[0], kernel="linear")[..., 0] / np.float32(255)
    return np.asarray(np.clip(made, 0, 1), np.float32)


def _matte(colours: Samples, small: Floats, prior: Floats, side: int) -> Samples:
    """Alpha at full size, strip by strip."""
    # A pixel of the net's, in working pixels: what it says of an outline is right to one or two.
    wide = max(1.0, max(small.shape[:2]) / side)
    open_ = _open(prior, int(np.ceil(1.5 * wide)))
    slope, base = _guided(small, prior, max(2, int(np.ceil(2 * wide))))
    near, loose = zip(*(_near(small, ~open_ & chosen) for chosen in (prior > 0.5, prior <= 0.5)), strict=True)
    label = np.where(open_, np.float32(2), np.where(prior > 0.5, np.float32(1), np.float32(0)))
    held = np.float32(LOOSE) * (loose[0] + loose[1]) + np.float32(FAINT)
    planes = np.concatenate((slope, base[..., None], *near, held[..., None]), 2)
    height, width, bands = colours.shape
    out = plane(height, width, 1, colours.dtype)[..., 0]
    scale = np.float32(1 / np.iinfo(colours.dtype).max)
    columns = np.arange(width) * label.shape[1] // width
    for start in range(0, height, STRIP):
        stop = min(height, start + STRIP)
        wide_planes = rows_enlarged(planes, start, stop, height, width)
        shown = np.broadcast_to(colours[start:stop, :, : 3 if bands >= 3 else 1] * scale, (stop - start, width, 3))
        alpha = _alpha(shown, wide_planes)
        nearest = label[(np.arange(start, stop) * len(label) // height)[:, None], columns]
        np.copyto(alpha, nearest, where=nearest < 2)
        out[start:stop] = stored(alpha, out.dtype)
    return out


def _alpha(shown: Floats, planes: Floats) -> Floats:
    """The share of the subject's colour near by in each pixel's, held by what the guided filter says where the two are much alike."""
    guided = np.clip(np.einsum("hwc,hwc->hw", planes[..., :3], shown) + planes[..., 3], 0, 1)
    own, other, held = planes[..., 4:7], planes[..., 7:10], planes[..., 10]
    apart, off = own - other, shown - other
    alpha = np.einsum("hwc,hwc->hw", off, apart) + held * guided
    alpha /= np.einsum("hwc,hwc->hw", apart, apart) + held
    return np.asarray(np.clip((alpha - np.float32(0.03)) / np.float32(0.94), 0, 1), np.float32)


def _near(small: Floats, where: Mask) -> tuple[Floats, Floats]:
    """Mean colour ``(h, w, 3)`` of what is near by of ``where``, and how much it varies there, ``(h, w)``."""
    weight = where.astype(np.float32)
    both = spread(np.concatenate((small, np.einsum("hwc,hwc->hw", small, small)[..., None]), 2), weight, 2, FAR)
    mean = both[..., :3]
    return mean, np.maximum(both[..., 3] - np.einsum("hwc,hwc->hw", mean, mean), 0)


def _open(prior: Floats, radius: int) -> Mask:
    """Where colours decide: what the net leaves open, and what is near its outline."""
    inside = prior > 0.5
    outline = reached(inside, 1) & reached(~inside, 1)
    return reached(((prior > 1 - SURE) & (prior < SURE)) | outline, radius)


def _guided(guide: Floats, share: Floats, radius: int) -> tuple[Floats, Floats]:
    """Slope ``(h, w, 3)`` and base ``(h, w)`` of share = slope . colour + base, in windows (He, Sun and Tang 2013, equation 19)."""
    planes = np.moveaxis(guide, 2, 0)
    mean, level = window_mean(planes, radius), window_mean(share[None], radius)[0]
    pairs = [(i, j) for i in range(3) for j in range(i, 3)]
    second = window_mean(np.stack([planes[i] * planes[j] for i, j in pairs]), radius)
    matrix = np.empty((*share.shape, 3, 3), np.float32)
    for (i, j), product in zip(pairs, second, strict=True):
        matrix[..., i, j] = matrix[..., j, i] = product - mean[i] * mean[j]
    together = np.moveaxis(window_mean(planes * share, radius) - mean * level, 0, 2)
    slope = np.linalg.solve(matrix + np.float32(SMOOTH) * np.eye(3, dtype=np.float32), together[..., None])[..., 0]
    base = level - np.einsum("hwc,chw->hw", slope, mean)
    smooth = window_mean(np.concatenate((np.moveaxis(slope, 2, 0), base[None])).astype(np.float32), radius)
    return np.moveaxis(smooth[:3], 0, 2), smooth[3]
