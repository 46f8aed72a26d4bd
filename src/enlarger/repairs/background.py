"""Cutting a product out of plain ground: a soft alpha, without a net.

The border of the picture says what the ground is (:mod:`enlarger.repairs.ground`). What is like it and hangs together with the border is
ground; what is left is the subject. In a band along its outline alpha is the share of the subject's colour in each pixel's: for a known
ground B and a subject F near by, alpha = <C - B, F - B> / |F - B|^2, held by the label where the two are much alike. Where the ground
is not plain, or nothing stands on it, that is said and nothing is cut.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from enlarger.image import Samples
from enlarger.pixels.bands import window_mean
from enlarger.repairs.cutout import (
    STRIP,
    CutOut,
    NoSubjectError,
    NotPlainError,
    at_working_size,
    enlarged,
    own_alpha,
    plane,
    stored,
)
from enlarger.repairs.ground import (
    Floats,
    Ground,
    Mask,
    border,
    connected,
    difference,
    followed,
    labelled,
    of_border,
    rows_enlarged,
    spread,
)
from enlarger.repairs.patches import reached

__all__ = ["cut_out"]

PLAIN_SHARE, PLAIN_NOISE = 0.6, 9.0
"""Share of the border that must be ground, and its greatest deviation (of 255)."""
NEAR_NOISE, NEAR_LEAST = 2.6, 1.8
"""Colour difference below which a pixel may be ground: times that of the noise, and at least."""
SPECK, LEAST, MOST = 0.0002, 0.003, 0.97
"""Parts of the picture: smaller things are dirt; a subject has at least, and at most."""
HOLE, OUTLINED = 0.0002, 0.6
"""Part of the picture that a hole has at least; share of its rim that must be clearly another colour than the ground."""
RINGING, CLEAR = 4.5, 15.0
"""Colour difference that JPEG makes close to edges, however quiet the ground is elsewhere; and of what is clearly not ground."""
POCKET = 4
"""Working pixels between the ground and a gap in hair or leaves through which it is seen."""
HAIR = 30
"""Working pixels that a hair has at least."""
GAP, HAIRY, ROUNDS = 0.35, 14, 6
"""Share of the subject's difference from the ground below which a gap between hairs is one; how near to hairs, in working pixels; and in
how many steps of :data:`POCKET` they are gone into."""
SHADE = 0.45
"""Ground is seen as ground down to this share of its light."""
HARD = 0.5
"""Share of what is seen of a shadow's rim beside plain ground that may be hard."""
SOFT = 1.4
"""Steepest change inside a shadow, in hundredths of the ground's light per working pixel; noise adds to it."""


def cut_out(samples: Samples, *, alpha: bool = False, keep_shadow: bool = False, holes: bool = True, name: str = "") -> CutOut:
    """The subject of ``(h, w, bands)`` uint8 or uint16 ``samples`` (grey or RGB; with ``alpha`` the last band is alpha).

    A picture that is transparent anywhere is cut out already: its alpha is kept. Without ``holes``, what looks like the ground inside the
    subject (a white label on white ground) stays. Raises :class:`NotPlainError` and :class:`NoSubjectError`; ``name`` is the picture's
    file.
    """
    if (own := own_alpha(samples, alpha)) is not None:
        return own
    if min(samples.shape[:2]) < 16:
        raise NoSubjectError("the picture is too small to find a subject in", hint="give one of 16 pixels or more", subject=name)
    small = at_working_size(samples[..., : samples.shape[2] - alpha])
    ground, subject, reasons = _told_apart(small, holes, name)
    certainty = _contrast(small, ground, subject)
    if certainty < 0.8:
        reasons.append(f"along {100 * (1 - certainty):.0f} % of its outline the subject hardly differs from the ground")
    shadow = enlarged(_shadow(small, subject), samples) if keep_shadow else None
    plain = min(1.0, (1 - (1 - ground.share) / (1 - PLAIN_SHARE) * 0.5) * (1 - 0.4 * ground.noise / PLAIN_NOISE))
    return CutOut(_matte(samples, small, ground, subject), round(plain * certainty, 3), tuple(reasons), shadow)


# --- ground and subject -----------------------------------------------------------------------------------------------


def _told_apart(small: Floats, with_holes: bool, name: str) -> tuple[Ground, Mask, list[str]]:
    ground = of_border(small)
    hint = "photograph it on plain ground, or cut it out with another tool"
    if ground.share < PLAIN_SHARE:
        message = f"the ground is not plain: only {100 * ground.share:.0f} % of the border is of one colour"
        raise NotPlainError(message, hint=hint, subject=name)
    if ground.noise > PLAIN_NOISE:
        message = f"the ground is not plain: along the border it varies by {ground.noise:.0f} of 255"
        raise NotPlainError(message, hint=hint, subject=name)
    known = border(small.shape)
    for _ in range(3):
        known = _ground_like(small, ground, known)
        if not known.any():
            break
        ground = followed(small, known, ground)
    known |= _shaded(small, ground, known)
    ground = followed(small, known, ground)
    reasons = []
    holes = _holes(small, ground, ~known) if with_holes else np.zeros_like(known)
    if holes.any():
        reasons.append("parts that look like the ground inside the subject are taken for holes")
    subject = _without_specks(~_pockets(small, ground, known | holes))
    share = float(subject.mean())
    if share < LEAST:
        raise NoSubjectError("nothing stands out from the ground", hint="is there a subject in the picture?", subject=name)
    if share > MOST:
        raise NoSubjectError("no ground is to be seen around the subject", hint=hint, subject=name)
    if float(subject[border(small.shape)].mean()) > 0.02:
        reasons.append("the subject reaches the border of the picture")
    return ground, subject, reasons


def _near(ground: Ground) -> float:
    """Colour difference that noise can make: 255 steps of grey are 100 of lightness; three channels add up."""
    return max(NEAR_LEAST, NEAR_NOISE * ground.noise * 100 / 255 * 1.3)


def _ground_like(small: Floats, ground: Ground, seeds: Mask) -> Mask:
    """What differs from the ground by no more than noise, and hangs together with the border by more than a pixel's width."""
    like = difference(np.moveaxis(window_mean(np.moveaxis(small, 2, 0), 1), 0, 2), ground.colour) < 0.7 * _near(ground)
    like |= difference(small, ground.colour) < 0.7 * _near(ground)
    core = ~reached(~like, 1)
    return reached(connected(core, seeds), 1) & like


def _shaded(small: Floats, ground: Ground, known: Mask) -> Mask:
    """Shadows: ground with less light, of the same hue, that sets in softly and hangs together with it."""
    smooth = np.moveaxis(window_mean(np.moveaxis(small, 2, 0), 1), 0, 2)
    light = np.einsum("hwc,hwc->hw", smooth, ground.colour) / np.maximum(1, np.einsum("hwc,hwc->hw", ground.colour, ground.colour))
    tint = np.abs(smooth - light[..., None] * ground.colour).max(2)
    level = np.einsum("hwc,hwc->hw", small, ground.colour) / np.maximum(1, np.einsum("hwc,hwc->hw", ground.colour, ground.colour)) * 100
    steep = np.zeros_like(level)
    steep[1:-1, 1:-1] = np.hypot(level[2:, 1:-1] - level[:-2, 1:-1], level[1:-1, 2:] - level[1:-1, :-2]) / 2
    soft = (light > SHADE) & (light < 1.02) & (tint < 3 + 2 * ground.noise) & (steep < SOFT + 0.6 * ground.noise)
    # A light thing on light ground is no shadow of it, though somewhere its rim may be lost: seen all along, it has a hard one.
    shade = connected(~reached(~(soft | known), 1), known) & ~known
    labels = np.where(shade, labelled(shade) + 1, 0)
    beside = _nearest(labels, 3)
    rim = reached(shade, 3) & ~reached(shade, 2)
    plain = reached(_ground_like(small, ground, known), 2)
    total, hard = (np.bincount(beside[part], minlength=int(labels.max()) + 1) for part in (rim, rim & plain & ~soft))
    open_ = np.bincount(beside[rim & plain & soft], minlength=len(total))
    return shade & (hard <= HARD * (hard + open_))[labels]


def _nearest(labels: NDArray[Any], radius: int) -> NDArray[Any]:
    """``labels`` grown by ``radius`` pixels over what has none; where two meet, the greater."""
    for _ in range(radius):
        wide = np.pad(labels, 1)
        grown = np.max([wide[y : y + len(labels), x : x + labels.shape[1]] for y in range(3) for x in range(3)], 0)
        labels = np.where(labels > 0, labels, grown)
    return labels


def _pockets(small: Floats, ground: Ground, known: Mask) -> Mask:
    """What looks like the ground between hairs and leaves: behind the outline by a few hairs' breadths, and on from there."""
    off = difference(small, ground.colour)
    like = (off < max(_near(ground) + 1, RINGING)) & reached(off > max(4 * _near(ground), CLEAR), 3)
    known = _narrow_added(like, known, POCKET)
    # Between hairs that stand out, JPEG and soft optics leave little of the ground's colour: what is nearer to it than to the subject.
    subject = ~known
    core = subject & ~reached(~subject, 3)
    labels = labelled(subject & ~reached(core, 4))
    hairs = subject & ~reached(core, 4) & (np.bincount(labels.ravel())[labels] >= HAIR)
    if not core.any() or not hairs.any():
        return known
    deep = spread(off[..., None], core.astype(np.float32), 2)[..., 0]
    return _narrow_added((off < GAP * deep) & (deep > CLEAR) & reached(hairs, HAIRY), known, POCKET, ROUNDS)


def _narrow_added(like: Mask, known: Mask, reach: int, rounds: int = 3) -> Mask:
    """``known`` with what is ``like`` it, near and narrow: a part of the subject that is much like the ground is wider than gaps are."""
    known = known.copy()
    for _ in range(rounds):
        near = like & ~known & reached(known, reach)
        known |= near & ~reached(~reached(~near, 3), 3)
    return known


def _holes(small: Floats, ground: Ground, subject: Mask) -> Mask:
    # A shadow beside a hole is not in it: the light that the border foretells may be nearer to what is seen there.
    gap = np.minimum(difference(small, ground.colour), difference(small, of_border(small).colour))
    like = subject & (gap < _near(ground))
    labels = labelled(~reached(~like, 1))
    count = np.bincount(labels.ravel())
    off = np.bincount(labels.ravel(), gap.ravel()) / np.maximum(1, count)
    inside = np.bincount(labels.ravel(), like.ravel()) == count
    wanted = inside & (count >= max(4, HOLE * subject.size)) & (off < 0.6 * _near(ground))
    found = reached(wanted[labels], 1) & like
    # A hole has an outline all around; the brightest fold of a white shirt on white ground has none.
    labels = np.where(found, labelled(found) + 1, 0)
    ids = _nearest(labels, 3)
    rim = reached(found, 3) & ~reached(found, 2)
    total = np.bincount(ids[rim], minlength=int(ids.max()) + 1)
    clear = np.bincount(ids[rim & (difference(small, ground.colour) > 4 * _near(ground))], minlength=len(total))
    return found & (clear >= OUTLINED * total)[labels]


def _without_specks(subject: Mask) -> Mask:
    labels = labelled(subject)
    count = np.bincount(labels.ravel())
    lone = np.bincount(labels.ravel(), subject.ravel()) > 0
    least = max(SPECK * subject.size, 0.01 * float(count[lone].max(initial=0)))
    return (lone & (count >= least))[labels]


def _contrast(small: Floats, ground: Ground, subject: Mask) -> float:
    """Share of the outline along which the subject, a little way in, is clearly another colour than the ground."""
    inner = subject & reached(~subject, 3) & ~reached(~subject, 1)
    if not inner.any():
        return 1.0
    return float((difference(small, ground.colour)[inner] > 3 * _near(ground)).mean())


def _shadow(small: Floats, subject: Mask) -> Floats:
    """By how much the ground is darker than the light on the border foretells: ``(h, w)``, 0 under the subject's middle."""
    plain = of_border(small)
    light = np.einsum("hwc,hwc->hw", small, plain.colour) / np.maximum(1, np.einsum("hwc,hwc->hw", plain.colour, plain.colour))
    # Of a dark ground noise is a large part.
    dark = np.clip(1 - light - 2 * plain.noise / np.maximum(8, plain.colour.mean(2)), 0, 1).astype(np.float32)
    dark = window_mean(dark[None], 1)[0]
    outside = (~reached(subject, 2)).astype(np.float32)
    carried = spread(dark[..., None], outside, 2)[..., 0]
    return np.where(outside > 0, dark, carried * reached(subject, 6)).astype(np.float32)


# --- alpha ------------------------------------------------------------------------------------------------------------

BAND = 3
"""Working pixels to each side of the outline in which alpha may lie between 0 and 1."""
WIDE, STEEP, RAMP, SOFT_SHARE = 12, 0.55, 0.9, 0.8
"""An outline is soft where the difference from the ground at its rim is less than ``STEEP`` of that 5 pixels in, and that less than
``RAMP`` of that ``WIDE`` pixels in, along ``SOFT_SHARE`` of some length."""
HELD = 8.0
"""How strongly the label holds alpha where subject and ground are alike: a difference of colours, of 255."""


def _matte(samples: Samples, small: Floats, ground: Ground, subject: Mask) -> Samples:
    """Alpha at full size, strip by strip."""
    away = max(BAND, max(small.shape) // 200)
    sure = subject & ~reached(~subject, away)
    # Strands are thinner than that: what opening takes away is in doubt as a whole, and so is what lies around it.
    thin = subject & ~reached(sure, away + 1)
    # A finger is no hair: it has a core, of a colour of its own.
    sure |= thin & ~reached(~subject, 2)
    doubt = (reached(subject, away) | reached(thin, 2 * away)) & ~sure
    soft = _soft_edges(difference(small, ground.colour), subject)
    doubt |= soft
    sure &= ~soft
    inner = sure if sure.any() else subject & ~reached(~subject, 1)
    inner = inner if inner.any() else subject
    colour = spread(small, inner.astype(np.float32), 2)
    prior = window_mean(window_mean(subject[None].astype(np.float32), 1), 1)[0]
    label = np.where(doubt, np.float32(2), np.where(sure, np.float32(1), np.float32(0)))
    planes = np.concatenate((ground.colour, colour, prior[..., None], label[..., None]), 2)
    height, width, bands = samples.shape
    out = plane(height, width, 1, samples.dtype)[..., 0]
    scale = np.float32(255 / np.iinfo(samples.dtype).max)
    for start in range(0, height, STRIP):
        stop = min(height, start + STRIP)
        wide = rows_enlarged(planes, start, stop, height, width)
        colours = np.broadcast_to(samples[start:stop, :, : 3 if bands >= 3 else 1] * scale, (stop - start, width, 3))
        alpha = _alpha(colours, wide[..., :3], wide[..., 3:6], wide[..., 6], ground.noise)
        nearest = label[(np.arange(start, stop) * len(label) // height)[:, None], np.arange(width) * label.shape[1] // width]
        np.copyto(alpha, nearest, where=nearest < 2)
        out[start:stop] = stored(alpha, out.dtype)
    return out


def _soft_edges(off: Floats, subject: Mask) -> Mask:
    """Where the outline is no line but a ramp (fur, blur): ``off``, the difference from the ground, grows on for :data:`WIDE` pixels."""
    rings = [subject & reached(~subject, outer) & ~reached(~subject, inner) for inner, outer in ((0, 2), (4, 6), (WIDE - 2, WIDE))]
    planes = window_mean(np.concatenate([np.stack([off * ring, ring]) for ring in rings]).astype(np.float32), WIDE)
    rim, next_to_it, deep = (planes[2 * i] / np.maximum(planes[2 * i + 1], 1e-6) for i in range(3))
    ramp = rings[0] & (rim < STEEP * next_to_it) & (next_to_it < RAMP * deep)
    return reached(ramp, WIDE)


def _alpha(colours: Floats, ground: Floats, subject: Floats, prior: Floats, noise: float) -> Floats:
    """See the head of this file; at least what makes the subject's colour one that exists, 0 where noise explains all."""
    apart, off = subject - ground, colours - ground
    held = np.float32(HELD * max(1.0, noise)) ** 2 * np.float32(0.25)
    alpha = np.einsum("hwc,hwc->hw", off, apart) + held * prior
    alpha /= np.einsum("hwc,hwc->hw", apart, apart) + held
    room = np.where(off > 0, 255 - ground, ground)
    # Where there is little room (light over white ground), rounding and ringing would say anything.
    least = ((np.abs(off) - np.float32(3 * noise + 4)) / np.maximum(room, 64)).max(2)
    # A subject of several colours: what is far from the ground, but not in the direction of the mean colour near by, is subject.
    along = alpha[..., None] * apart
    beside = np.sqrt(np.einsum("hwc,hwc->hw", off - along, off - along)) / np.maximum(1, np.sqrt(np.einsum("hwc,hwc->hw", apart, apart)))
    alpha = np.maximum(alpha, np.clip(beside - np.float32(0.15), 0, 1))
    alpha = np.clip(np.maximum(alpha, least), 0, 1)
    quiet = np.clip(np.abs(off).max(2) / np.float32(1.6 * noise) - 1, 0, 1)
    alpha *= np.maximum(quiet, prior > 0.9)
    return np.asarray(np.clip((alpha - np.float32(0.03)) / np.float32(0.94), 0, 1), np.float32)
