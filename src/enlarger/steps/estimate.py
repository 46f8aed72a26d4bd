"""Estimate: what a plan will take of time, memory and disk. Arithmetic, no pixels."""

from __future__ import annotations

import math

from enlarger.canvas import IN_MEMORY, SOURCE_IN_MEMORY
from enlarger.engines.engine import ModelSpec
from enlarger.image import Header
from enlarger.options import Dials
from enlarger.report import Estimate, OutputInfo, Stage

BASE_MEMORY = 110 * 10**6
"""Bytes of interpreter and libraries without any net."""

ENCODE = {"jpeg": (0.012, 0.35), "png": (0.06, 2.2), "webp": (0.35, 0.25), "tiff": (0.06, 2.4), "avif": (1.2, 0.2), "dz": (0.04, 0.5)}
ENCODE["auto"] = (sum(seconds for name, (seconds, _) in ENCODE.items() if name not in ("tiff", "dz")) + 0.5, 2 * 2.2)
"""Seconds per megapixel, and bytes per 8-bit pixel of a photograph, by output format. ``auto`` makes all, and keeps two at a time."""

SEARCH = 4.0
"""Seconds that ``auto`` spends on finding the qualities at which formats are equally good."""

LOCKING = 0.05
"""Seconds per megapixel of the result that the colour lock takes."""

FIELDS_LOCKED, FIELDS_MIXED = 4, 7
"""Pictures of 32-bit floats and the source's size that the lock keeps, alone and with other dials."""

NOT_STREAMED = {"webp": 17, "avif": 20}
"""Bytes of memory per output pixel of formats whose encoders hold the whole picture (measured at 16384 x 16384)."""


def estimate(
    header: Header, stages: tuple[Stage, ...], output: OutputInfo, models: tuple[ModelSpec, ...], dials: Dials, allowed: int
) -> Estimate:
    """Seconds, peak memory and disk. Canvases are 16-bit while anything follows them, and stay until the job is done.

    ``allowed`` is the memory that an encoder which ``auto`` tries may take, in bytes.
    """
    pixels = output.width * output.height
    rate, bytes_per_pixel = ENCODE[output.format]
    depth = 2 if header.bits > 8 else 1
    source = header.width * header.height * header.bands * depth
    canvases: list[int] = []
    nameless: list[int] = []
    for i, stage in enumerate(stages):
        wide, high = (stage.width * stage.scale, stage.height * stage.scale) if stage.scale else (stage.out_width, stage.out_height)
        exact, last = (wide, high) == (stage.out_width, stage.out_height), i + 1 == len(stages)
        canvases.append(wide * high * header.bands * (depth if last and exact and dials.raw else 2))
        if not dials.raw:
            ready = stage.out_width * stage.out_height * header.bands
            # The locked stage, what it was fitted to before, and a mixture that is locked again.
            nameless += [ready * (depth if last else 2), *([] if exact else [2 * ready]), *([4 * ready] if last and dials.mixes else [])]
    if not dials.raw:
        nameless += [4 * header.width * header.height * header.channels] * (FIELDS_MIXED if dials.mixes else FIELDS_LOCKED)
    # Canvases of tiles are files where there will be a file; what else is large is a file without a name.
    on_disk = [n for n in canvases if output.path is not None or n > IN_MEMORY]
    on_disk += [n for n in nameless if n > IN_MEMORY] + [n for n in (source,) if n > SOURCE_IN_MEMORY]
    by_id = {m.id: m for m in models}
    nets = [by_id[s.model].memory_fixed + s.tile_width * s.tile_height * by_id[s.model].memory_per_pixel for s in stages if s.scale]
    locking = 0.0 if dials.raw else LOCKING * (4 if dials.mixes else 1)
    return Estimate(
        seconds=sum(s.seconds for s in stages) + pixels / 1e6 * (rate + locking) + (SEARCH if output.format == "auto" else 0.0) + 0.3,
        memory=max(BASE_MEMORY + header.at_once, *nets, 0)
        + source
        + sum(canvases)
        + sum(nameless)
        - sum(on_disk)
        + encoding(output.format, pixels, allowed),
        disk_temporary=sum(on_disk),
        disk_output=math.ceil(pixels * bytes_per_pixel * output.bits / 8),
    )


def encoding(format: str, pixels: int, allowed: int) -> int:
    """Bytes that the encoder of ``format`` holds of a picture of so many ``pixels``; of ``auto``, the most of what it would try."""
    if format == "auto":
        return max((encoding(name, pixels, 0) for name in NOT_STREAMED if encoding(name, pixels, 0) <= allowed), default=0)
    return pixels * NOT_STREAMED.get(format, 0)
