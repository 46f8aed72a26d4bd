"""Filling a hole by LaMa, from an ONNX file.

After Suvorov et al., "Resolution-robust Large Mask Inpainting with Fourier Convolutions" (WACV 2022). What such files want: a picture
``[1, 3, H, W]`` in 0..1 and a mask ``[1, 1, H, W]`` that is 1 where something shall go, or both as ``[1, 4, H, W]``; H and W fixed (512) or
free. They answer ``[1, 3, H, W]`` in 0..255 or 0..1. No picture is resampled to fit: the net sees a window around the hole at its own size,
continued by reflection where the picture ends.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from enlarger.errors import EngineError, WeightsError
from enlarger.image import Box, Samples
from enlarger.onnx_model import Floats, Model
from enlarger.repairs.ground import spread
from enlarger.repairs.holes import check, holes, within
from enlarger.repairs.patches import Mask, depths, reached

__all__ = ["fill_by_lama"]

CONTEXT = 64
"""Pixels around what is filled at once that the net sees besides, at least."""
LEAST, MOST, MULTIPLE = 256, 1024, 32
"""Sides of windows where the file leaves them free, and what they are a multiple of: the net halves them, and 1024 takes 3 GB."""
RING, FADE = 4, 12.0
"""Pixels around the hole that the net is asked for too; how deep, in pixels, what it is off by there is still taken away."""
DARK = 4 / 255
"""Mean of known samples from which on it is seen whether answers are 0..255 or 0..1."""


def fill_by_lama(samples: Samples, mask: Mask, model: Model) -> tuple[str, ...]:
    """Fill the pixels of ``mask`` ``(h, w)`` in ``samples`` ``(h, w, bands)``, uint8 or uint16, grey or RGB, with or without alpha.

    In place; other pixels stay the same bits. What makes the filling less sure comes back in lines for people. Raises
    :class:`InputError` for a mask of another size or of all pixels, :class:`WeightsError` for a model of another kind and
    :class:`EngineError` for one that does not answer as LaMa does.
    """
    check(samples, mask)
    net = Lama(model)
    left, doubts = mask.copy(), []
    for box in holes(mask, max(mask.shape)):
        own = np.zeros_like(mask)
        own[box.slices()] = left[box.slices()]
        shape = net.window(box, mask.shape)
        parts = 0
        for window, core in _windows(box, shape, own, left):
            target = own[core.slices()].copy()
            samples[core.slices()][target] = _filled(net, samples, left, window, core)[target]
            left[core.slices()] &= ~target
            own[core.slices()] = False
            parts += 1
        if parts > 1:
            sizes = f"{box.width} x {box.height} pixels is larger than what the net sees at once ({shape[1]} x {shape[0]})"
            doubts.append(f"a hole of {sizes}: it was filled in {parts} parts, from its edge inwards")
    return tuple(doubts)


class Lama:
    """What the file wants, and what its answers mean."""

    def __init__(self, model: Model) -> None:
        self.model = model
        shapes = [port.shape for port in model.inputs]
        channels = [shape[1] if len(shape) == 4 else None for shape in shapes]
        self.joint = channels == [4]
        self.reverse = channels == [1, 3]
        if not self.joint and sorted(n or 0 for n in channels) != [1, 3]:
            raise WeightsError(
                "this model is none that fills holes: it wants "
                + " and ".join("x".join("?" if n is None else str(n) for n in shape) for shape in shapes),
                hint="LaMa wants a picture of 3 channels and a mask of 1",
                subject=model.subject,
            )
        self.fixed = shapes[0][2], shapes[0][3]
        self.scale = 0.0

    def window(self, box: Box, shape: tuple[int, ...]) -> tuple[int, int]:
        """Height and width of the window for a hole in a picture of ``shape``."""
        side = max(box.width, box.height)
        side = min(MOST, max(LEAST, side + 2 * max(CONTEXT, side // 2)))
        free = tuple(-(-min(side, length) // MULTIPLE) * MULTIPLE for length in shape[:2])
        high, wide = self.fixed
        return free[0] if high is None else high, free[1] if wide is None else wide

    def __call__(self, picture: Floats, hole: Mask) -> Floats:
        """``(h, w, 3)`` in 0..1 filled where ``hole`` ``(h, w)`` is."""
        answer = self._asked(picture, hole)
        if not self.scale:
            self.scale = self._told(answer, picture, ~hole)
        return np.asarray(np.clip(answer * np.float32(self.scale), 0, 1), np.float32)

    def _asked(self, picture: Floats, hole: Mask) -> Floats:
        # What is to go must not be looked at.
        image = np.where(hole[..., None], np.float32(0), picture).transpose(2, 0, 1)[None]
        mask = hole[None, None].astype(np.float32)
        fed = (np.concatenate((image, mask), 1),) if self.joint else (mask, image) if self.reverse else (image, mask)
        answer = self.model(*fed)
        if answer.shape != image.shape:
            shapes = ["x".join(map(str, shape)) for shape in (answer.shape, image.shape)]
            raise EngineError(f"the model answered {shapes[0]} instead of {shapes[1]}", hint="is it LaMa?", subject=self.model.subject)
        return np.ascontiguousarray(answer[0].transpose(1, 2, 0))

    def _told(self, answer: Floats, picture: Floats, known: Mask) -> float:
        """What makes answers 0..1: what is known must come back as it was."""
        level = float(picture[known].mean()) if known.any() else 0.0
        if level < DARK:
            # Too dark to tell: asked once more, about a grey picture.
            height, width = picture.shape[:2]
            known = np.ones((height, width), bool)
            known[height * 3 // 8 : height * 5 // 8, width * 3 // 8 : width * 5 // 8] = False
            answer, level = self._asked(np.full_like(picture, 0.5), ~known), 0.5
        ratio = float(answer[known].mean()) / level
        for scale in (1.0, 255.0):
            if scale / 2 < ratio < scale * 2:
                return 1 / scale
        message = f"the model does not give back what is known: {ratio:.2g} times as bright, neither 1 nor 255"
        raise EngineError(message, hint="is it LaMa?", subject=self.model.subject)


def _windows(box: Box, shape: tuple[int, int], own: Mask, left: Mask) -> Iterator[tuple[Box, Box]]:
    """Windows of ``shape`` and the cores of them that are to be filled, as long as anything of ``own`` in ``box`` is unknown.

    One where the hole leaves enough around it, else many, those first that see most that is known. Windows may reach outside.
    """
    high, wide = (side - 2 * _context(side) for side in shape)
    if box.height <= high and box.width <= wide:
        yield _placed(box.y + box.height // 2 - shape[0] // 2, box.x + box.width // 2 - shape[1] // 2, shape, own.shape)[0], box
        return
    tops, starts = (
        range(first - (side - core) // 2, first - (side - core) // 2 + length, core // 2)
        for first, length, core, side in ((box.y, box.height, high, shape[0]), (box.x, box.width, wide, shape[1]))
    )
    places = [_placed(y, x, shape, own.shape) for y in tops for x in starts]
    while own.any():
        wanted = [(window, core) for window, core in places if own[core.slices()].any()]
        yield min(wanted, key=lambda pair: float(left[_inside(pair[0], own.shape).slices()].mean()))


def _context(side: int) -> int:
    return min(CONTEXT, side // 4)


def _placed(y: int, x: int, shape: tuple[int, int], whole: tuple[int, ...]) -> tuple[Box, Box]:
    """The window nearest to ``y``, ``x`` that lies in the picture, or holds it; and what of it is seen from all sides."""
    at, cores = [], []
    for start, side, length in ((y, shape[0], whole[0]), (x, shape[1], whole[1])):
        start = min(max(0, start), length - side) if length >= side else (length - side) // 2
        at.append(start)
        first = 0 if start <= 0 else start + _context(side)
        last = length if start + side >= length else start + side - _context(side)
        cores.append((first, last))
    (top, bottom), (first, last) = cores
    return Box(at[1], at[0], shape[1], shape[0]), Box(first, top, last - first, bottom - top)


def _inside(window: Box, shape: tuple[int, ...]) -> Box:
    x, y = max(0, window.x), max(0, window.y)
    return Box(x, y, min(shape[1], window.right) - x, min(shape[0], window.bottom) - y)


def _filled(net: Lama, samples: Samples, left: Mask, window: Box, core: Box) -> Samples:
    """The samples of ``core`` with what is ``left`` to fill there filled, and nothing else to be used of them."""
    seen = _inside(window, left.shape)
    part, hole = samples[seen.slices()], left[seen.slices()]
    top = np.iinfo(samples.dtype).max
    colours, alpha = part[..., : part.shape[2] - (1 - part.shape[2] % 2)], part.shape[2] % 2 == 0
    opaque = not alpha or bool((part[..., -1][~hole] == top).all())
    planes = colours.astype(np.float32) / np.float32(top)
    share = part[..., -1:].astype(np.float32) / np.float32(top)
    if not opaque:
        # Colour that cannot be seen must not be matched.
        planes *= share
    made = _answered(net, planes, hole, window, seen)
    if alpha:
        if opaque:
            share = np.ones_like(share)
        else:
            share = _answered(net, share, hole, window, seen)
            made = np.asarray(made / np.maximum(share, np.float32(0.5 / top)), np.float32)
        made = np.concatenate((made, share), 2)
    out: Samples = np.clip(np.rint(made[within(core, seen)] * np.float32(top)), 0, top).astype(samples.dtype)
    return out


def _answered(net: Lama, planes: Floats, hole: Mask, window: Box, seen: Box) -> Floats:
    """``planes`` ``(h, w, 1 or 3)`` of what is ``seen`` in the picture, filled; in the rest of the ``window`` they are reflected."""
    asked = reached(hole, RING)
    if asked.all():
        asked = hole
    around = [(seen.y - window.y, window.bottom - seen.bottom), (seen.x - window.x, window.right - seen.right)]
    wide = np.pad(np.broadcast_to(planes, (*hole.shape, 3)), [*around, (0, 0)], mode="symmetric")
    answer = net(wide, np.pad(asked, around, mode="symmetric"))
    (above, _), (before, _) = around
    made = answer[above : above + seen.height, before : before + seen.width]
    if planes.shape[2] == 1:
        made = made.mean(2, keepdims=True)
    return made + _off(planes - made, asked & ~hole, hole)


def _off(gap: Floats, ring: Mask, hole: Mask) -> Floats:
    """What the net is off by in the ``ring``, carried smoothly into the ``hole`` and fading there: no seam is left."""
    if not ring.any():
        return np.zeros_like(gap)
    rows, columns = np.flatnonzero(ring.any(1)), np.flatnonzero(ring.any(0))
    near = slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)
    carried = spread(gap[near], ring[near].astype(np.float32), RING)
    fade = np.exp(-np.maximum(depths(hole[near], 64).astype(np.float32) - 1, 0) / np.float32(FADE)) * hole[near]
    off = np.zeros_like(gap)
    off[near] = carried * fade[..., None]
    return off
