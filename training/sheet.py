"""The paper and the pen of drawings.py: strokes, fills, gradients, tones and hatching, drawn finer than they are delivered.

Positions and lengths are parts of the sheet's side, (x, y) from the top left.
"""

import colorsys
import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageDraw, ImageFont

FINER = 4  # how much finer than the drawing the sheet is
RAMP = 64  # the side of a gradient

Points = NDArray[np.float64]
Colour = tuple[int, int, int]


@lru_cache(maxsize=64)
def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """The face that comes with Pillow, so that drawings are the same everywhere."""
    return ImageFont.load_default(size)


def spline(points: Points, closed: bool, steps: int = 16) -> Points:
    """Catmull-Rom through (n, 2) points, `steps` to a piece."""
    around = np.concatenate([points[-1:], points, points[:2]]) if closed else np.concatenate([points[:1], points, points[-1:]])
    p0, p1, p2, p3 = (around[i : len(around) - 3 + i, None] for i in range(4))
    t = np.linspace(0, 1, steps, endpoint=False)[None, :, None]
    curve: Points = 0.5 * (2 * p1 + (p2 - p0) * t + (2 * p0 - 5 * p1 + 4 * p2 - p3) * t**2 + (3 * p1 - p0 - 3 * p2 + p3) * t**3)
    flat = curve.reshape(-1, 2)
    return flat if closed else np.concatenate([flat, points[-1:]])


def ribbon(line: Points, widths: NDArray[np.float64]) -> Points:
    """The outline of a stroke along (n, 2) points with (n,) full widths."""
    along = np.gradient(line, axis=0)
    across = np.stack([-along[:, 1], along[:, 0]], 1) / np.maximum(np.hypot(*along.T), 1e-6)[:, None]
    side = across * widths[:, None] / 2
    return np.concatenate([line + side, (line - side)[::-1]])


class Sheet:
    """One drawing in the making. Positions and lengths are parts of the side, (x, y) from the top left."""

    def __init__(self, random: np.random.Generator, side: int) -> None:
        self.random, self.side = random, side * FINER
        self.image = Image.new("RGB", (self.side, self.side))
        self.pen = ImageDraw.Draw(self.image)
        hue, self.grey = random.random(), random.random() < 0.2
        self.hues = (hue + np.array([0, 0.08, 0.45, 0.55, random.random()])) % 1
        self.ink: Colour = (0, 0, 0) if random.random() < 0.5 else self.colour(0.1, 0.3)
        self.thin = random.uniform(0.8, 3.0) / side  # the usual line is one to three pixels wide

    def flip(self, chance: float) -> bool:
        return bool(self.random.random() < chance)

    def colour(self, dark: float = 0.15, bright: float = 1.0) -> Colour:
        hue, value = float(self.random.choice(self.hues)), self.random.uniform(dark, bright)
        r, g, b = colorsys.hsv_to_rgb(hue, 0.0 if self.grey else self.random.beta(1.2, 1.5), value)
        return round(r * 255), round(g * 255), round(b * 255)

    def shade(self, colour: Colour, factor: float) -> Colour:
        tint = (1, 1, 1) if self.grey else (1, 0.97, 1.08)  # shadows are a little bluer
        r, g, b = (min(255, round(c * factor * f)) for c, f in zip(colour, tint, strict=True))
        return r, g, b

    def fill(self, outline: Points, colour: Colour) -> None:
        self.pen.polygon([tuple(p) for p in outline * self.side], fill=colour)

    def stroke(self, line: Points, colour: Colour, width: float, swell: float = 0.6, taper: bool = True) -> None:
        """Ink along a line: thicker and thinner on the way, thin at the ends when `taper`."""
        t = np.linspace(0, 1, len(line))
        widths = width * (1 + swell * np.sin(t * self.random.uniform(2, 9) + self.random.uniform(0, 6)))
        if taper:
            widths = widths * np.minimum(1, 4 * np.minimum(t, 1 - t) + 0.08)
        self.fill(ribbon(line, np.maximum(widths, 0.2 * width)), colour)

    def outline(self, shape: Points, width: float | None = None) -> None:
        width = width or self.thin
        self.stroke(np.concatenate([shape, shape[:1]]), self.ink, width, 0.45, taper=False)
        (x, y), reach = shape[0] * self.side, 0.6 * width * self.side
        # a dot where the ends meet, for overlapping parts of a polygon stay empty
        self.pen.ellipse((x - reach, y - reach, x + reach, y + reach), fill=self.ink)

    def blob(self, centre: Points, radius: float, rough: float = 0.35, corners: int | None = None) -> Points:
        """A smooth closed shape around `centre`."""
        n = corners or int(self.random.integers(5, 11))
        angle = np.arange(n) * 2 * np.pi / n + self.random.uniform(0, 6)
        far = radius * (1 + rough * self.random.uniform(-1, 1, n))
        return spline(centre + np.stack([np.cos(angle), np.sin(angle)], 1) * far[:, None], True)

    def anywhere(self, low: float = 0.0, high: float = 1.0) -> Points:
        return self.random.uniform(low, high, 2)

    def mask(self, shape: Points) -> Image.Image:
        image = Image.new("L", self.image.size)
        ImageDraw.Draw(image).polygon([tuple(p) for p in shape * self.side], fill=255)
        return image

    def graded(self, a: Colour, b: Colour) -> Image.Image:
        """From `a` to `b` in some direction, or from the middle outward, RAMP x RAMP; `paste` stretches it over what it fills."""
        y, x = np.mgrid[0:RAMP, 0:RAMP] / (RAMP - 1)
        angle = self.random.uniform(0, 2 * np.pi)
        t = np.hypot(x - 0.5, y - 0.5) * 1.4 if self.flip(0.3) else (x - 0.5) * np.cos(angle) + (y - 0.5) * np.sin(angle) + 0.5
        ramp = np.array(a) + np.clip(t, 0, 1)[..., None] * (np.array(b) - np.array(a))
        return Image.fromarray(ramp.astype(np.uint8))

    def paste(self, what: Image.Image | Colour, *masks: Image.Image) -> None:
        """Where all masks are white."""
        box = masks[0].getbbox()
        if box is None:
            return
        mask = masks[0].crop(box)
        for other in masks[1:]:
            mask = ImageChops.multiply(mask, other.crop(box))
        if isinstance(what, Image.Image):
            what = what.resize(mask.size, Image.Resampling.BILINEAR) if what.size == (RAMP, RAMP) else what.crop(box)
        self.image.paste(what, box, mask)

    def screentone(self, pitch: float, angle: float) -> Image.Image:
        """A mask of dots in a turned grid; they grow along one direction or are all alike."""
        n = self.side // 2
        y, x = np.ogrid[0:n, 0:n]
        y, x = (y / n).astype(np.float32), (x / n).astype(np.float32)
        cos, sin = math.cos(angle), math.sin(angle)
        u, v = x * cos + y * sin, y * cos - x * sin
        size = self.random.uniform(0.1, 0.3) + (self.random.uniform(0, 0.5) * y if self.flip(0.5) else 0)
        wave = (np.cos(2 * np.pi * u / pitch) + np.cos(2 * np.pi * v / pitch)) / 4 + 0.5
        grey = np.clip((wave - 1 + size) * pitch * n / 2.5 + 0.5, 0, 1)
        return Image.fromarray((grey * 255).astype(np.uint8)).resize(self.image.size, Image.Resampling.BILINEAR)

    def hatching(self, shape: Points, gap: float, width: float) -> None:
        """Parallel strokes inside a shape, once or crossed."""
        layer = Image.new("L", self.image.size)
        pen = ImageDraw.Draw(layer)
        first = self.random.uniform(0, np.pi)
        for angle in (first, first + self.random.uniform(0.8, 1.6))[: 1 + self.flip(0.4)]:
            along, across = np.array([np.cos(angle), np.sin(angle)]), np.array([-np.sin(angle), np.cos(angle)])
            for offset in np.arange(-0.75, 0.75, gap):
                middle = 0.5 + across * (offset + self.random.normal(0, gap / 8))
                ends = np.concatenate([middle - along, middle + along]) * self.side
                pen.line([*ends], fill=255, width=max(1, round(width * self.side)))
        self.paste(self.ink, layer, self.mask(shape))
