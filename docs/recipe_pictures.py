"""Draws the pictures of docs/recipes: each recipe on a real picture, left the source enlarged by a bicubic kernel, right the result.

Run `python docs/recipe_pictures.py [NAME...]` with the extra `test`. Sources: examples/cat.jpg (CC0), scikit-image's astronaut (public
domain), camera (CC0) and coffee (CC0), and what is drawn here.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from skimage import data

import enlarger

HERE = Path(__file__).parent
SIDE = 360
"""Pixels of each half."""


def jpeg(picture: Image.Image, quality: int) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def png(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def cat() -> bytes:
    return (HERE.parent / "examples" / "cat.jpg").read_bytes()


def old_photograph() -> bytes:
    """The cameraman at a quarter of his size, grainy and saved as JPEG 45."""
    small = np.asarray(Image.fromarray(data.camera()).resize((128, 128), Image.Resampling.BICUBIC), float)
    grainy = small + np.random.default_rng(0).normal(0, 6, small.shape)
    return jpeg(Image.fromarray(np.clip(grainy, 0, 255).round().astype(np.uint8)), 45)


def astronaut() -> bytes:
    return png(Image.fromarray(np.ascontiguousarray(data.astronaut()[:256, 100:356])).resize((128, 128), Image.Resampling.BICUBIC))


def product() -> bytes:
    """A cup of coffee, cut out softly and laid on white."""
    y, x = np.mgrid[:400, :600]
    away = np.hypot((x - 300) / 215, (y - 190) / 165)
    share = np.clip((1 - away) * 40 + 0.5, 0, 1)[..., None]
    laid = data.coffee() * share + 255 * (1 - share)
    return png(Image.fromarray(laid.round().astype(np.uint8)[20:360, 80:520]).resize((220, 170), Image.Resampling.BICUBIC))


def drawing() -> bytes:
    """A fox, drawn here, as JPEG 70."""
    large = Image.new("RGB", (800, 800), (250, 244, 225))
    pen = ImageDraw.Draw(large)
    pen.polygon([(160, 120), (330, 300), (180, 420)], (214, 106, 40), (40, 24, 20), 10)
    pen.polygon([(640, 120), (470, 300), (620, 420)], (214, 106, 40), (40, 24, 20), 10)
    pen.ellipse((170, 230, 630, 690), (230, 122, 48), (40, 24, 20), 10)
    pen.polygon([(230, 480), (400, 680), (570, 480), (400, 540)], (255, 250, 240), (40, 24, 20), 8)
    for left in (280, 450):
        pen.ellipse((left, 390, left + 70, 460), (255, 255, 255), (40, 24, 20), 8)
        pen.ellipse((left + 25, 405, left + 55, 445), (60, 120, 70), (20, 20, 20), 6)
    pen.ellipse((370, 560, 430, 605), (30, 20, 22))
    for side in (-1, 1):
        for lift in (-30, 0, 30):
            pen.line([(400 + side * 60, 600), (400 + side * 240, 590 + lift)], (40, 24, 20), 5)
    return jpeg(large.resize((160, 160), Image.Resampling.LANCZOS), 70)


def sprite() -> bytes:
    """A mushroom of 16 x 16 pixels."""
    rows = (
        "................",
        ".....######.....",
        "...##rrrrww##...",
        "..#rrrrrwwwwr#..",
        "..#rwwrrrwwrr#..",
        ".#rwwwwrrrrrrr#.",
        ".#rwwwwrrrrwwr#.",
        ".#rrwwrrrrwwww#.",
        ".#rrrrrrrrrwwr#.",
        "..##########r#..",
        "...#ssssssss##..",
        "...#s#ss#ss#....",
        "...#s#ss#ss#....",
        "...#sssssss#....",
        "....#######.....",
        "................",
    )
    colours = {".": (120, 190, 230), "#": (40, 24, 30), "r": (208, 40, 48), "w": (250, 246, 240), "s": (244, 210, 170)}
    return png(Image.fromarray(np.array([[colours[c] for c in row] for row in rows], np.uint8)))


def scan() -> bytes:
    page = Image.new("L", (180, 180), 246)
    pen = ImageDraw.Draw(page)
    text = "Received with thanks\nthe sum of 148.50\nfor twelve chairs,\noak, with arms.\n\nPaid 3 May 1931"
    pen.text((12, 14), text, 30, ImageFont.load_default(16), spacing=8)
    return jpeg(page, 80)


CASES: dict[str, tuple[Callable[[], bytes], dict[str, Any], tuple[float, float]]] = {
    "photo": (cat, {"scale": 4}, (0.30, 0.22)),
    "restore": (old_photograph, {"scale": 4}, (0.25, 0.05)),
    "poster": (astronaut, {"scale": 4}, (0.15, 0.05)),
    "catalog": (product, {}, (0.0, 0.05)),
    "art": (drawing, {"scale": 4}, (0.15, 0.35)),
    "pixel-art": (sprite, {"scale": 16}, (0.0, 0.0)),
    "document": (scan, {"scale": 4}, (0.03, 0.03)),
    "web": (cat, {}, (0.42, 0.42)),
}
"""Source, what is said beside the recipe, and where the shown part begins, as shares of the result's sides."""


def draw(name: str) -> None:
    source, options, (left, top) = CASES[name]
    given = source()
    made = enlarger.enlarge(given, recipe=name, device="cpu", **options).image
    result = Image.open(io.BytesIO(made)).convert("RGB")
    plain = Image.open(io.BytesIO(given)).convert("RGB").resize(result.size, Image.Resampling.BICUBIC)
    wide, high = (min(SIDE, side) for side in result.size)
    x, y = (min(round(share * side), side - length) for share, side, length in ((left, result.width, wide), (top, result.height, high)))
    both = Image.new("RGB", (2 * wide + 8, high), (255, 255, 255))
    for at, picture in ((0, plain), (wide + 8, result)):
        both.paste(picture.crop((x, y, x + wide, y + high)), (at, 0))
    both.save(HERE / "recipes" / f"{name}.jpg", quality=88, optimize=True)


def main() -> None:
    for name in sys.argv[1:] or CASES:
        draw(name)
        sys.stdout.write(f"docs/recipes/{name}.jpg\n")


if __name__ == "__main__":
    main()
