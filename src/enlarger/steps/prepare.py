"""Prepare: what is repaired of a source before it is enlarged. Marks and wires go first, then damage, then what is behind the subject."""

from __future__ import annotations

import dataclasses
import re
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from enlarger.canvas import SOURCE_IN_MEMORY, Canvas
from enlarger.errors import InputError
from enlarger.image import Box, Image, Samples, Sight
from enlarger.model_files import FILES, locate
from enlarger.onnx_model import open_model
from enlarger.repairs.background import cut_out
from enlarger.repairs.clean import cleaned, found
from enlarger.repairs.compose import compose
from enlarger.repairs.deblur import measured
from enlarger.repairs.fill import fill_in_place
from enlarger.repairs.lama import fill_by_lama
from enlarger.repairs.mask import Mask, boxes_of, mask_of_boxes, mask_of_picture
from enlarger.repairs.matting import cut_out_by_net
from enlarger.report import Prepared
from enlarger.steps.damage import Damage
from enlarger.steps.decode import decode

ROWS = 256

SEEN = 224
"""Pixels of a side of what is shown of a repair."""

BOXES = re.compile(r"[\d\s,;]+")


def without_objects(
    picture: Image, words: str, seed: int, *, fill: str = "patches", threads: int | None = None
) -> tuple[Image, Prepared, tuple[str, ...]]:
    """``picture`` with what ``words`` name filled: boxes, or the file of a mask of the picture's size; and what makes that less sure.

    ``fill`` says by whom: ``patches`` of what is around, or the net of that name, run by ``threads`` threads. Raises :class:`InputError`
    and :class:`UsageError` for what is no mask of the picture, :class:`EngineError` where there is no net or it fails.
    """
    start = time.perf_counter()
    mask = _mask(picture, words)
    samples = _own(picture.samples)
    doubts: tuple[str, ...] = ()
    if fill == "patches":
        fill_in_place(samples, mask, seed)
    else:
        doubts = fill_by_lama(samples, mask, open_model(locate(FILES[fill]), fill, threads=threads))
    made = dataclasses.replace(picture, samples=samples)
    said = words if fill == "patches" else f"{words}, by {fill}"
    return made, _told("remove-object", picture.samples, samples, picture.channels, start, said=said), doubts


def _mask(picture: Image, words: str) -> Mask:
    if BOXES.fullmatch(words):
        return mask_of_boxes(boxes_of(words), picture.width, picture.height)
    if not Path(words).is_file():
        raise InputError("there is no such mask", hint="name a file, or boxes as x,y,width,height", subject=words)
    drawn = decode(words)
    return mask_of_picture(drawn.samples, drawn.alpha, picture.width, picture.height, name=words)


def needs(picture: Image, damage: Damage) -> dict[str, int]:
    """How strongly ``picture`` needs each repair, 0 to 100: ``deblock``, ``denoise`` and ``deblur``."""
    blur = measured(picture.samples, picture.channels, float(np.mean(damage.noise)))
    return found(picture.samples, picture.channels, noise=damage.noise, quantisation=damage.jpeg, blur=blur)


def without_damage(picture: Image, damage: Damage, wanted: Mapping[str, str]) -> tuple[Image, list[Prepared]]:
    """``picture`` deblocked, denoised and deblurred as ``wanted`` (names of repairs, and 0 to 100 or ``auto``)."""
    strengths = {name: wanted.get(name, "0") for name in ("deblock", "denoise", "deblur")}
    if not any(value != "0" for value in strengths.values()):
        return picture, []
    needed = needs(picture, damage) if "auto" in strengths.values() else {}
    number = {name: needed[name] if value == "auto" else int(value) for name, value in strengths.items()}
    samples, done = cleaned(picture.samples, picture.channels, **number, noise=damage.noise, quantisation=damage.jpeg)
    told = [Prepared(name=d.name, strength=d.strength, changed=round(255 * d.changed_rms, 3), seconds=d.seconds, said=d.said) for d in done]
    # Whatever was repaired is not rounded as the file said any more.
    return (dataclasses.replace(picture, samples=samples, jpeg=None) if done else picture), told


def without_background(
    picture: Image, *, backdrop: str | None, keep_shadow: bool, matte: str = "plain", threads: int | None = None
) -> tuple[Image, Prepared, tuple[str, ...]]:
    """The subject of ``picture`` alone: with alpha, or before the picture in the file ``backdrop``; and what makes that less sure.

    ``matte`` says by whom: ``plain``, or the net of that name, run by ``threads`` threads. Raises :class:`InputError` where there is no
    telling the subject from what is behind it, :class:`EngineError` where there is no net or it fails.
    """
    start = time.perf_counter()
    if matte == "plain":
        cut = cut_out(picture.samples, alpha=picture.alpha, keep_shadow=keep_shadow, name=picture.header.name)
    else:
        model = open_model(locate(FILES[matte]), matte, threads=threads)
        cut = cut_out_by_net(picture.samples, matte, model, alpha=picture.alpha, source=picture.header.name)
    behind = decode(backdrop).samples if backdrop is not None else None
    samples = compose(np.ascontiguousarray(picture.samples[..., : picture.channels]), cut.alpha, behind, shadow=cut.shadow)
    channels = 1 if samples.shape[2] <= 2 else 3
    header = dataclasses.replace(picture.header, alpha=behind is None, channels=channels)
    made = dataclasses.replace(picture, samples=samples, header=header, jpeg=None)
    seen = picture.samples if channels == picture.channels else np.broadcast_to(picture.samples[..., :1], (*samples.shape[:2], 3))
    said = f"{cut.confidence:.0%} sure" + (f", by {matte}" if matte != "plain" else "") + (f", before {backdrop}" if backdrop else "")
    return made, _told("remove-background", seen, samples, channels, start, said=said), cut.reasons


def sight(names: tuple[str, ...], before: Image, after: Image) -> Sight:
    """Where repairs changed most, as large as :data:`SEEN`."""
    width, height = (min(SEEN, side) for side in (before.width, before.height))
    best, place = -1.0, (0, 0)
    for y in range(0, max(1, before.height - height // 2), height // 2):
        top = min(y, before.height - height)
        rows = slice(top, top + height)
        # Of colours that are grey before and not after, the grey is the same in each.
        changed = np.abs(after.samples[rows, :, : after.channels].astype(np.float32) - before.samples[rows, :, : before.channels])
        columns = changed.sum((0, 2), dtype=np.float64)
        if after.alpha and not before.alpha:
            columns += after.channels * (np.iinfo(after.samples.dtype).max - after.samples[rows, :, -1].astype(np.float64)).sum(0)
        sums = np.convolve(columns, np.ones(width), "valid")
        left = int(sums.argmax())
        if sums[left] > best:
            best, place = float(sums[left]), (left, top)
    box = Box(*place, width, height)
    return Sight(names, box, *(np.array(picture.samples[box.slices()]) for picture in (before, after)))


def _own(samples: Samples) -> Samples:
    """A copy that may be written to; in a file where it is large."""
    height, width, bands = samples.shape
    canvas = Canvas(width, height, bands, np.uint8 if samples.dtype == np.uint8 else np.uint16, in_memory=SOURCE_IN_MEMORY)
    for y in range(0, height, ROWS):
        rows = np.ascontiguousarray(samples[y : y + ROWS])
        canvas.write(Box(0, y, width, len(rows)), rows)
    return canvas.mutable()


def _told(name: str, before: Samples, after: Samples, channels: int, start: float, *, said: str) -> Prepared:
    """What a repair changed, strip by strip."""
    total = differing = 0.0
    top = float(np.iinfo(before.dtype).max)
    for y in range(0, before.shape[0], ROWS):
        was, now = before[y : y + ROWS, :, :channels], after[y : y + ROWS, :, :channels]
        gap = (now.astype(np.float32) - was) * np.float32(255 / top)
        total += float(np.square(gap).sum(dtype=np.float64))
        other = (gap != 0).any(2)
        if after.shape[2] > before.shape[2]:
            other |= after[y : y + ROWS, :, -1] != top
        differing += float(other.sum())
    pixels = before.shape[0] * before.shape[1]
    return Prepared(
        name=name,
        changed=round(float(np.sqrt(total / (pixels * channels))), 3),
        share=round(differing / pixels, 5),
        seconds=round(time.perf_counter() - start, 3),
        said=said,
    )
