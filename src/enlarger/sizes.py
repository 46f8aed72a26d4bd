"""The words that sizes are asked in, and what they mean: paper, aspects, padding, colours. Text to numbers, no pixels.

How they become a layout stands in :mod:`enlarger.layout`, with examples in ``docs/sizes.md``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Set
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from enlarger.errors import UsageError

if TYPE_CHECKING:
    from enlarger.options import Options

LONG_EDGES = {"2k": 2048, "4k": 3840, "8k": 7680, "16k": 15360}
"""Long edge in pixels of the sizes that have a name."""

PER_INCH = {"cm": 2.54, "mm": 25.4, "in": 1.0}
PRINT_DPI = 300.0
"""Dots per inch of ``print`` where nothing is said."""

MAX_RATIO = 100.0

IDEOGRAM = {
    (1, 3): (1024, 3072),
    (9, 16): (1440, 2560),
    (10, 16): (1536, 2464),
    (2, 3): (1536, 2304),
    (3, 4): (1536, 2048),
    (1, 1): (2048, 2048),
    (4, 3): (2048, 1536),
    (3, 2): (2304, 1536),
    (16, 10): (2464, 1536),
    (16, 9): (2560, 1440),
    (3, 1): (3072, 1024),
}
"""The aspects of Ideogram's upscaler, and the size that each becomes (docs.ideogram.ai, "Upscale")."""

COLOURS = {"white": "#ffffff", "black": "#000000", "transparent": "transparent"}

SIZES = ("scale", "width", "height", "long_edge", "short_edge", "megapixels", "to", "print")
"""Options that say how large a result is; width and height may stand together, all others alone."""

PLACING = ("aspect", "fit", "crop_on", "padding", "background")
"""Options that say which part is shown, and what is around it."""


class Paper(NamedTuple):
    """Width and height in ``unit``, one of :data:`PER_INCH`."""

    width: float
    height: float
    unit: str

    def pixels(self, dpi: float) -> tuple[float, float]:
        factor = dpi / PER_INCH[self.unit]
        return self.width * factor, self.height * factor


def parse_paper(text: str) -> Paper:
    """``60x40cm``, ``24 x 16 in``, ``600x400mm``. Raises :class:`ValueError`."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*[x×]\s*(\d+(?:\.\d+)?)\s*(cm|mm|in)\s*", text, re.IGNORECASE)
    if match is None or not (paper := Paper(float(match[1]), float(match[2]), match[3].lower())).width or not paper.height:
        raise ValueError(f"{text!r} is no size of paper; write 60x40cm, 24x16in or 600x400mm")
    return paper


def parse_aspect(text: str) -> tuple[float, float]:
    """``3:2``. Raises :class:`ValueError`, also for ``ideogram``, which is no aspect until there is a source."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*[:/]\s*(\d+(?:\.\d+)?)\s*", text)
    if match is None or not float(match[1]) or not float(match[2]):
        raise ValueError(f"{text!r} is no aspect; write 3:2, 16:9, 1:1 or ideogram")
    across, down = float(match[1]), float(match[2])
    if not 1 / MAX_RATIO <= across / down <= MAX_RATIO:
        raise ValueError(f"{text!r} is more than {MAX_RATIO:g}:1")
    return across, down


def nearest_of_ideogram(width: int, height: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """The nearest of :data:`IDEOGRAM`, by the logarithm of the ratio, and its size in pixels."""
    aspect = min(IDEOGRAM, key=lambda a: abs(math.log(width / height * a[1] / a[0])))
    return aspect, IDEOGRAM[aspect]


def parse_padding(text: str) -> tuple[float, str]:
    """``40`` or ``40px`` to ``(40, "px")``, ``5%`` to ``(5, "%")``. Raises :class:`ValueError`."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(px|%)?\s*", text, re.IGNORECASE)
    unit = ((match and match[2]) or "px").lower()
    if match is None or (unit == "px" and "." in match[1]):
        raise ValueError(f"{text!r} is no padding; write 40px or 5%")
    if unit == "%" and float(match[1]) > 45:
        raise ValueError(f"{text} on each side leaves hardly a picture; 45% is the most")
    return float(match[1]), unit


def is_file(background: str) -> bool:
    """Whether a background is the name of a file rather than a colour."""
    return background.strip().lower() not in COLOURS and not background.startswith("#") and Path(background).is_file()


def parse_background(text: str) -> str:
    """``white``, ``black``, ``transparent`` or ``#RRGGBB``, as ``transparent`` or ``#rrggbb``. Raises :class:`ValueError`."""
    low = text.strip().lower()
    if low in COLOURS:
        return COLOURS[low]
    if not re.fullmatch(r"#[0-9a-f]{6}", low):
        raise ValueError(f"{text!r} is no background; write #RRGGBB, white, black, transparent or the name of a picture")
    return low


def rgb(background: str) -> tuple[int, int, int] | None:
    """Red, green and blue of ``#rrggbb``, 0 to 255; ``None`` of ``transparent``."""
    return None if background == "transparent" else (int(background[1:3], 16), int(background[3:5], 16), int(background[5:7], 16))


# --- what goes together -----------------------------------------------------------------------------------------------


def flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def asked_sizes(options: Options) -> list[str]:
    """Names of the sizes that were asked for, the ``scale`` of the defaults not among them; ``aspect`` is, if it is ideogram's."""
    given: Set[str] = options.model_fields_set
    named = [name for name in SIZES[1:] if getattr(options, name) is not None]
    return (["scale"] if "scale" in given else []) + named + (["aspect"] if options.aspect == "ideogram" else [])


def sized(options: Options) -> bool:
    """Whether a size was asked for, rather than a scale."""
    return asked_sizes(options) not in ([], ["scale"])


def check(options: Options) -> None:
    """Raise :class:`UsageError` where sizes contradict each other, or something was asked for that would change nothing."""
    sizes = asked_sizes(options)
    if len(sizes) > 1 and sizes != ["width", "height"]:
        one, other = sizes[:2] if sizes[:2] != ["width", "height"] else sizes[1:3]
        raise UsageError(f"contradicts {flag(one)}", hint="keep one of them: each says how large the result is", subject=flag(other))
    frame = "--width with --height" if len(sizes) == 2 else "--print" if sizes == ["print"] else ""
    if frame and options.aspect is not None:
        raise UsageError(f"contradicts {frame}, which has an aspect of its own", hint="drop one of them", subject="--aspect")
    if options.fit is not None and not frame and options.aspect is None:
        raise UsageError("there is nothing to fit into", hint="give --width and --height, --print or --aspect", subject="--fit")
    if options.aspect is not None and not sized(options) and options.fit in ("bounds", "cover"):
        raise UsageError(f"{options.fit} needs a size beside the aspect", hint="add --width, or say --fit crop or pad", subject="--fit")
    if options.crop_on is not None and (options.fit or ("crop" if options.aspect == "ideogram" else "")) != "crop":
        raise UsageError("nothing is cropped", hint="say --fit crop", subject="--crop-on")


def mark(options: Options) -> str:
    """What is put into the name of a result, such as ``4x``, ``8k``, ``3000x2000``, ``60x40cm`` or ``4x-3to2``."""
    sizes = asked_sizes(options)
    first = "finished" if options.stages == "0" else f"{options.scale:g}x"
    if sizes == ["width", "height"]:
        first = f"{options.width}x{options.height}"
    elif sized(options):
        value = getattr(options, sizes[0])
        kinds = {"width": "w{}", "height": "h{}", "long_edge": "long{}", "short_edge": "short{}", "megapixels": "{:g}mp"}
        first = kinds.get(sizes[0], "{}").format(value)
    if options.aspect is None or options.aspect == "ideogram":
        return first
    return f"{first}-{options.aspect.replace(':', 'to')}"
