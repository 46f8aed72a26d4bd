"""Layout: which part of a source is shown, how large, and what is around it. Integers from numbers, before any pixel.

Cropping cuts whole pixels off the source before anything is enlarged; padding is added to the finished result. So the picture
itself, between the two, is always a plain enlargement, and is judged as one.
"""

from __future__ import annotations

import math
from typing import Literal

from enlarger.errors import UsageError
from enlarger.image import enlarged_size, round_half_up
from enlarger.options import MAX_SCALE, Options
from enlarger.report import Geometry
from enlarger.sizes import LONG_EDGES, PRINT_DPI, asked_sizes, flag, nearest_of_ideogram, parse_aspect, parse_padding, parse_paper, sized

Size = tuple[int, int]


def lay_out(width: int, height: int, options: Options) -> Geometry:
    """The layout for a source of ``width`` x ``height``. Raises :class:`UsageError` for what cannot be done with it.

    Exact sizes are those of the file, padding included; with ``scale`` padding comes on top. ``background`` is as asked.
    """
    plan = _Layout(width, height, options)
    found = plan.framed() if plan.aspect is not None or plan.frame is not None else plan.proportional()
    plan.check(found)
    return found


class _Layout:
    def __init__(self, width: int, height: int, options: Options) -> None:
        self.source, self.options = (width, height), options
        self.sizes = asked_sizes(options)
        self.by_scale = not sized(options)
        self.fit = options.fit
        self.dpi = options.dpi
        self.aspect: tuple[float, float] | None = None
        self.frame: Size | None = None
        self.amount, self.unit = parse_padding(options.padding or "0")
        if options.aspect == "ideogram":
            self.aspect, self.frame = nearest_of_ideogram(width, height)
            self.fit = self.fit or "crop"
        elif options.aspect is not None:
            self.aspect = parse_aspect(options.aspect)
        elif options.print is not None:
            self.dpi = options.dpi or PRINT_DPI
            across, down = parse_paper(options.print).pixels(self.dpi)
            self.frame = max(1, round_half_up(across)), max(1, round_half_up(down))
        elif options.width is not None and options.height is not None:
            self.frame = options.width, options.height

    # --- the picture keeps its proportions ---

    def proportional(self) -> Geometry:
        """All of the source, at a scale or with one exact side."""
        whole = (0, 0, *self.source)
        if self.by_scale or self.options.megapixels is not None:
            picture = self._by_area(*self.source) if not self.by_scale else enlarged_size(*self.source, self.options.scale)
            return self._geometry(whole, picture, self._with_padding(*picture))
        width, height = self.source
        wide = {"width": True, "height": False, "short_edge": width <= height}.get(self.sizes[0], width >= height)
        side = self._side()
        inner = side - 2 * self._inside(side)
        self._check_room(inner)
        other = max(1, round_half_up((height if wide else width) * inner / (width if wide else height)))
        picture = (inner, other) if wide else (other, inner)
        frame = self._with_padding(*picture)
        return self._geometry(whole, picture, (side, frame[1]) if wide else (frame[0], side))

    def _side(self) -> int:
        """The one side that was given."""
        return LONG_EDGES[self.options.to] if self.options.to is not None else int(getattr(self.options, self.sizes[0]))

    def _by_area(self, width: int, height: int) -> Size:
        area = (self.options.megapixels or 0) * 1e6
        if self.unit == "%":
            return enlarged_size(width, height, math.sqrt(area / (width * height)) * (1 - self.amount / 50))
        # (width s + 2 p) (height s + 2 p) = area
        b, c = 2 * self.amount * (width + height), 4 * self.amount**2 - area
        self._check_room(-c)
        return enlarged_size(width, height, (math.sqrt(b * b - 4 * width * height * c) - b) / (2 * width * height))

    # --- the picture is fitted into a frame ---

    def framed(self) -> Geometry:
        """Into a frame, or by scale to an aspect."""
        if self.fit is None:
            self.fit = self._default_fit()
        if self.aspect is not None and self.by_scale:
            return self._to_aspect(self.aspect[0] / self.aspect[1])
        frame = self.frame or self._frame_of_aspect()
        across, down = self._inside(frame[0]), self._inside(frame[1])
        inner = frame[0] - 2 * across, frame[1] - 2 * down
        self._check_room(min(inner))
        if self.fit == "crop":
            return self._geometry(self._cut(inner[0] / inner[1]), inner, frame)
        picture = self._fitted(inner)
        if self.fit != "pad":
            # Of the side that fits exactly the file is exactly the frame; of the other the padding is the same share.
            around = self._with_padding(*picture)
            frame = (frame[0] if picture[0] == inner[0] else around[0], frame[1] if picture[1] == inner[1] else around[1])
        return self._geometry((0, 0, *self.source), picture, frame)

    def _default_fit(self) -> Literal["crop", "bounds"]:
        """``bounds`` in a frame. To an aspect of another shape there are two ways, of which nobody but the caller knows the right one."""
        if self.aspect is None:
            return "bounds"
        if self._cut(self.aspect[0] / self.aspect[1])[2:] == self.source:
            return "crop"
        (width, height), text = self.source, self.options.aspect
        raise UsageError(
            f"{width}x{height} is not {text}",
            hint="say --fit crop to cut off what is too much, or --fit pad to add to it",
            subject="--aspect",
        )

    def _frame_of_aspect(self) -> Size:
        """The frame of the aspect and of the one size that was given."""
        assert self.aspect is not None
        ratio, name = self.aspect[0] / self.aspect[1], self.sizes[0]
        if name == "megapixels":
            wide = math.sqrt((self.options.megapixels or 0) * 1e6 * ratio)
            return max(1, round_half_up(wide)), max(1, round_half_up(wide / ratio))
        side = self._side()
        across = {"width": True, "height": False, "short_edge": ratio <= 1}.get(name, ratio >= 1)
        return (side, max(1, round_half_up(side / ratio))) if across else (max(1, round_half_up(side * ratio)), side)

    def _to_aspect(self, ratio: float) -> Geometry:
        """By scale: the largest part of that aspect, or the smallest frame around all."""
        if self.fit == "crop":
            box = self._cut(ratio)
            picture = enlarged_size(box[2], box[3], self.options.scale)
            return self._geometry(box, picture, self._with_padding(*picture))
        picture = enlarged_size(*self.source, self.options.scale)
        wide, high = self._with_padding(*picture)
        frame = (max(wide, round_half_up(high * ratio)), high) if wide / high < ratio else (wide, max(high, round_half_up(wide / ratio)))
        return self._geometry((0, 0, *self.source), picture, frame)

    def _cut(self, ratio: float) -> tuple[int, int, int, int]:
        """The largest box of about this ratio in the middle of the source, in whole pixels."""
        width, height = self.source
        wide = min(width, max(1, round_half_up(height * ratio)))
        high = height if wide < width else min(height, max(1, round_half_up(width / ratio)))
        return (width - wide) // 2, (height - high) // 2, wide, high

    def _fitted(self, inner: Size) -> Size:
        """The whole source, as large as fits into ``inner``, or as small as covers it; one side is exactly that of ``inner``."""
        width, height = self.source
        by_width = inner[0] * height <= inner[1] * width if self.fit != "cover" else inner[0] * height >= inner[1] * width
        if by_width:
            return inner[0], max(1, round_half_up(height * inner[0] / width))
        return max(1, round_half_up(width * inner[1] / height)), inner[1]

    # --- padding ---

    def _inside(self, side: int) -> int:
        """Padding on each end of a side of the file."""
        return round_half_up(side * self.amount / 100) if self.unit == "%" else int(self.amount)

    def _with_padding(self, width: int, height: int) -> Size:
        """The file around a picture of this size."""
        if self.unit == "px":
            return width + 2 * int(self.amount), height + 2 * int(self.amount)
        around = [round_half_up(side * self.amount / (100 - 2 * self.amount)) for side in (width, height)]
        return width + 2 * around[0], height + 2 * around[1]

    def _check_room(self, left: float) -> None:
        if left < 1:
            raise UsageError("leaves no room for the picture", hint="choose less, or a larger size", subject="--padding")

    # --- the whole ---

    def _geometry(self, crop: tuple[int, int, int, int], picture: Size, frame: Size) -> Geometry:
        across, down = frame[0] - picture[0], frame[1] - picture[1]
        left, top = across // 2, down // 2
        return Geometry(
            crop=crop,
            crop_on=self.options.crop_on or "centre",
            width=picture[0],
            height=picture[1],
            padding=(left, top, across - left, down - top),
            background=self.options.ground,
            dpi=self.dpi,
        )

    def check(self, found: Geometry) -> None:
        _, _, wide, high = found.crop
        times = max(found.width / wide, found.height / high)
        if found.width > MAX_SCALE * wide + 1 or found.height > MAX_SCALE * high + 1:
            asked = flag(self.sizes[0]) if self.sizes else "--scale"
            raise UsageError(
                f"{found.width}x{found.height} is {times:.3g} times the source's {wide}x{high}; {MAX_SCALE:g} times is the most",
                hint="ask for less, or start from a larger picture",
                subject=asked,
            )
