"""Flat graphics in photographs, with known truth: how often they are found, and what `--protect graphics` makes of them.

``python benchmarks/triage_graphics.py --photos FOLDER [--photos FOLDER] [--write]``

Graphics are drawn large by Pillow and laid on photographs: logos, charts, panels, illustrations, labels, and bare shapes with nothing
behind them. Half are also compressed or reduced with the photograph. Files of the folders that are charts or drawings themselves are
left out (``NOT_PHOTOS`` of triage_pictures.py). ``--write`` puts the tables into docs/triage.md. About three minutes on two cores.
"""

from __future__ import annotations

import argparse
import io
import math
import random
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parent))
from common import Row, machine, row, save
from triage_pictures import photographed

import enlarger
from enlarger.image import Image
from enlarger.looks import graphics
from enlarger.steps.decode import decode

FONTS = ("DejaVuSans-Bold", "DejaVuSans", "DejaVuSerif", "LiberationSans-Regular", "LiberationSerif-Regular")
WORDS = (
    *("Open", "Fresh", "Nordic", "Market", "Cargo", "Total", "March", "Profit", "Units", "Sale", "Coffee", "Delta"),
    *("Settings", "Save", "Cancel", "Network", "Display", "2024", "38%", "1,204", "North"),
)
OVER = 4
"""Graphics are drawn this many times larger than they are laid down, so that their edges are as smooth as a renderer's."""

Colour = tuple[int, int, int]


@dataclass(frozen=True)
class Composed:
    """``picture`` ``(h, w, 3) uint8`` with a graphic in ``box`` ``(x, y, width, height)`` where ``mask`` ``(h, w)`` is set; its colours."""

    picture: NDArray[np.uint8]
    box: tuple[int, int, int, int]
    mask: NDArray[np.bool_]
    palette: tuple[Colour, ...]
    what: str


def colours(rng: random.Random, count: int) -> list[Colour]:
    """``count`` colours that are well apart, white or black often among them."""
    found: list[Colour] = [rng.choice(((255, 255, 255), (255, 255, 255), (20, 20, 24), (245, 240, 228)))]
    while len(found) < count:
        new = (rng.randrange(256), rng.randrange(256), rng.randrange(256))
        if all(sum(abs(a - b) for a, b in zip(new, old, strict=True)) > 130 for old in found):
            found.append(new)
    return found


class Sheet:
    """A transparent sheet of ``width`` x ``height``, drawn :data:`OVER` times larger; what is drawn is flat, and its colours are kept."""

    def __init__(self, width: int, height: int, rng: random.Random) -> None:
        self.size, self.rng = (width, height), rng
        self.sheet = PIL.Image.new("RGBA", (width * OVER, height * OVER), (0, 0, 0, 0))
        self.draw = PIL.ImageDraw.Draw(self.sheet)
        self.palette: set[Colour] = set()

    def _at(self, points: tuple[float, ...]) -> list[float]:
        return [value * (self.sheet.width, self.sheet.height)[i % 2] for i, value in enumerate(points)]

    def shape(self, what: str, points: tuple[float, ...], fill: Colour, **more: float) -> None:
        """``what`` is a method of ImageDraw; points are shares of the sheet."""
        self.palette.add(fill)
        at = self._at(points)
        if what in ("rectangle", "ellipse", "rounded_rectangle") and (at[2] <= at[0] or at[3] <= at[1]):
            return
        getattr(self.draw, what)(at, fill=fill, **more)

    def line(self, points: tuple[float, ...], fill: Colour, width: float) -> None:
        """``width`` in pixels of the sheet as it is laid down."""
        self.palette.add(fill)
        self.draw.line(self._at(points), fill=fill, width=max(1, round(width * OVER)), joint="curve")

    def word(self, x: float, y: float, text: str, fill: Colour, high: float) -> None:
        """``high`` in shares of the height."""
        self.palette.add(fill)
        font = PIL.ImageFont.truetype(self.rng.choice(FONTS) + ".ttf", max(8, round(high * self.sheet.height)))
        self.draw.text((x * self.sheet.width, y * self.sheet.height), text, fill=fill, font=font)

    def done(self) -> PIL.Image.Image:
        return self.sheet.resize(self.size, PIL.Image.Resampling.BOX)


def logo(s: Sheet) -> None:
    rng = s.rng
    ground, first, second, third = colours(rng, 4)
    if rng.random() < 0.5:
        s.shape("ellipse", (0.02, 0.02, 0.98, 0.98), ground)
    else:
        s.shape("rounded_rectangle", (0.0, 0.0, 1.0, 1.0), ground, radius=round(0.12 * s.sheet.height))
    for _ in range(rng.randint(2, 4)):
        x, y, r = rng.uniform(0.25, 0.75), rng.uniform(0.2, 0.5), rng.uniform(0.08, 0.2)
        corners, turn = rng.randint(3, 8), rng.random()
        around = tuple(
            v
            for k in range(corners)
            for v in (x + r * math.cos(turn + k * math.tau / corners), y + r * math.sin(turn + k * math.tau / corners))
        )
        s.shape("polygon", around, rng.choice((first, second)))
    s.shape("pieslice", (0.3, 0.15, 0.7, 0.6), third, start=rng.randrange(180), end=rng.randrange(200, 360))
    s.word(0.2, 0.65, rng.choice(WORDS), first, 0.18)


def chart(s: Sheet) -> None:
    rng = s.rng
    ground, ink, *bars = colours(rng, 5)
    s.shape("rectangle", (0, 0, 1, 1), ground)
    for k in range(5):
        s.line((0.12, 0.15 + 0.15 * k, 0.95, 0.15 + 0.15 * k), ink, rng.choice((0.5, 1)))
    if rng.random() < 0.5:
        for k in range(count := rng.randint(4, 9)):
            x = 0.14 + 0.8 * k / count
            s.shape("rectangle", (x, rng.uniform(0.2, 0.7), x + 0.5 / count, 0.85), bars[k % 3])
    else:
        for bar in bars:
            points = tuple(v for k in range(9) for v in (0.12 + 0.1 * k, rng.uniform(0.2, 0.8)))
            s.line(points, bar, rng.choice((1.5, 2.5, 4)))
    s.line((0.12, 0.1, 0.12, 0.85, 0.96, 0.85), ink, 2)
    s.word(0.3, 0.02, rng.choice(WORDS) + " " + rng.choice(WORDS), ink, 0.08)
    for k in range(4):
        s.word(0.15 + 0.2 * k, 0.87, rng.choice(WORDS), ink, 0.06)


def panel(s: Sheet) -> None:
    rng = s.rng
    ground, ink, accent, soft = colours(rng, 4)
    s.shape("rounded_rectangle", (0, 0, 1, 1), ground, radius=round(0.04 * s.sheet.height))
    s.shape("rectangle", (0.0, 0.05, 1, 0.17), accent)
    s.word(0.05, 0.06, rng.choice(WORDS), ground, 0.08)
    for k in range(rows := rng.randint(3, 5)):
        y = 0.22 + 0.55 * k / rows
        s.shape("ellipse", (0.06, y, 0.06 + 0.08 * s.size[1] / s.size[0], y + 0.08), rng.choice((accent, soft)))
        s.word(0.2, y, rng.choice(WORDS) + " " + rng.choice(WORDS), ink, 0.065)
        s.shape("rounded_rectangle", (0.78, y, 0.93, y + 0.07), soft, radius=round(0.03 * s.sheet.height))
        s.line((0.05, y + 0.1, 0.95, y + 0.1), soft, 1)
    s.shape("rounded_rectangle", (0.55, 0.83, 0.93, 0.95), accent, radius=round(0.03 * s.sheet.height))
    s.word(0.62, 0.85, rng.choice(WORDS), ground, 0.07)


def illustration(s: Sheet) -> None:
    rng = s.rng
    sky, sun, hill, wall, roof = colours(rng, 5)
    s.shape("rectangle", (0, 0, 1, 1), sky)
    s.shape("ellipse", (0.62, 0.1, 0.62 + 0.25 * s.size[1] / s.size[0], 0.35), sun)
    s.shape("polygon", (0, 1, 0, 0.6, *(v for k in range(1, 10) for v in (k / 10, rng.uniform(0.5, 0.75))), 1, 0.65, 1, 1), hill)
    for _ in range(rng.randint(1, 3)):
        x, y, w = rng.uniform(0.05, 0.7), rng.uniform(0.55, 0.7), rng.uniform(0.12, 0.2)
        s.shape("rectangle", (x, y, x + w, y + 0.22), wall)
        s.shape("polygon", (x - 0.03, y, x + w / 2, y - 0.15, x + w + 0.03, y), roof)
        s.shape("rectangle", (x + 0.3 * w, y + 0.08, x + 0.6 * w, y + 0.22), roof)
        if rng.random() < 0.6:
            s.line((x - 0.03, y, x + w / 2, y - 0.15, x + w + 0.03, y, x - 0.03, y), (20, 20, 24), 1.5)
    for _ in range(3):
        x, y = rng.random(), rng.uniform(0.05, 0.3)
        s.shape("ellipse", (x, y, x + 0.14, y + 0.08), (255, 255, 255))


def label(s: Sheet) -> None:
    rng = s.rng
    ground, ink, accent = colours(rng, 3)
    s.shape("rectangle", (0, 0, 1, 1), ink)
    s.shape("rectangle", (0.02, 0.03, 0.98, 0.97), ground)
    s.shape("rectangle", (0.05, 0.07, 0.95, 0.3), accent)
    s.word(0.1, 0.08, rng.choice(WORDS), ground, 0.17)
    x = 0.08
    while x < 0.6:
        wide = rng.choice((0.008, 0.012, 0.02))
        s.shape("rectangle", (x, 0.65, x + wide, 0.92), ink)
        x += wide + rng.choice((0.008, 0.014))
    s.word(0.08, 0.36, rng.choice(WORDS) + " " + rng.choice(WORDS), ink, 0.12)
    s.shape("polygon", (0.8, 0.6, 0.92, 0.9, 0.68, 0.9), accent)


def bare(s: Sheet) -> None:
    """Flat shapes with nothing behind them but the photograph: a wordmark, or an overlay's arrows and marks."""
    rng = s.rng
    _, first, second = colours(rng, 3)
    s.shape("ellipse", (0.02, 0.05, 0.02 + 0.5 * s.size[1] / s.size[0], 0.55), first)
    s.shape("polygon", (0.1, 0.12, 0.2, 0.45, 0.05, 0.3), second)
    s.word(0.35, 0.1, rng.choice(WORDS).upper(), first, 0.35)
    s.shape("polygon", (0.1, 0.72, 0.8, 0.72, 0.8, 0.62, 0.98, 0.8, 0.8, 0.98, 0.8, 0.88, 0.1, 0.88), second)


KINDS: tuple[Callable[[Sheet], None], ...] = (logo, chart, panel, illustration, label, bare)


def compose(
    photo: NDArray[np.uint8], what: Callable[[Sheet], None], rng: random.Random, share: tuple[float, float] = (0.2, 0.45)
) -> Composed:
    """``photo`` with one graphic, whose longer side is a part in ``share`` of the photograph's, laid anywhere."""
    height, width = photo.shape[:2]
    side = rng.uniform(*share) * max(width, height)
    aspect = rng.choice((1.0, 1.0, 1.4, 1.6)) if what is not bare else 2.4
    wide, high = round(side), round(side / aspect)
    wide, high = min(wide, width - 8), min(high, height - 8)
    sheet = Sheet(wide, high, rng)
    what(sheet)
    drawn = np.asarray(sheet.done(), np.float32)
    x, y = rng.randint(4, width - wide - 4), rng.randint(4, height - high - 4)
    out = photo.astype(np.float32)
    alpha = drawn[..., 3:] / 255
    # Pillow weighs colour by alpha when it reduces: what is half covered has the colour of the whole.
    spot = out[y : y + high, x : x + wide]
    spot += alpha * (drawn[..., :3] - spot)
    mask = np.zeros((height, width), np.bool_)
    mask[y : y + high, x : x + wide] = drawn[..., 3] > 127
    palette = tuple(sorted(sheet.palette))
    return Composed(np.rint(out).astype(np.uint8), (x, y, wide, high), mask, palette, what.__name__)


# --- found? ---------------------------------------------------------------------------------------------------------------


def opened(path: Path) -> NDArray[np.uint8]:
    with PIL.Image.open(path) as picture:
        return np.asarray(picture.convert("RGB")).copy()


def jpeg(picture: NDArray[np.uint8], quality: int) -> bytes:
    out = io.BytesIO()
    PIL.Image.fromarray(picture).save(out, "JPEG", quality=quality)
    return out.getvalue()


def halved(one: Composed) -> Composed:
    height, width = (n // 2 for n in one.picture.shape[:2])
    small = PIL.Image.fromarray(one.picture[: 2 * height, : 2 * width]).resize((width, height), PIL.Image.Resampling.LANCZOS)
    x, y, wide, high = (n // 2 for n in one.box)
    return Composed(np.asarray(small).copy(), (x, y, wide, high), one.mask[: 2 * height : 2, : 2 * width : 2], one.palette, one.what)


def detection(photos: list[Path]) -> tuple[str, list[Row]]:
    """Sixty composed pictures, and as many plain photographs, each whole and as JPEG 85."""
    rng, rows, inside, precise = random.Random(11), [], [], []
    for i in range(60):
        one = compose(opened(photos[i % len(photos)]), KINDS[i % 6], rng, (0.25, 0.5))
        how = ("as it is", "JPEG 75 to 95", "as it is", "halved")[i // 6 % 4]
        one = halved(one) if how == "halved" else one
        picture: Image = decode(jpeg(one.picture, rng.choice((75, 85, 92, 95))) if how.startswith("JPEG") else one.picture)
        said = np.zeros(one.mask.shape, np.bool_)
        for box in graphics.boxes(picture):
            said[box.slices()] = True
        x, y, wide, high = one.box
        near = np.zeros_like(said)
        near[max(0, y - graphics.CELL) : y + high + graphics.CELL, max(0, x - graphics.CELL) : x + wide + graphics.CELL] = True
        inside.append(float(said[one.mask].mean()))
        rows.append((one.what, how, inside[-1] > 0.5))
        if said.any():
            precise.append(float(near[said].mean()))
    lines = ["| graphic | found (more than half of it) |", "|---|---|"]
    for word in [kind.__name__ for kind in KINDS] + ["as it is", "JPEG 75 to 95", "halved"]:
        own = [found for what, how, found in rows if word in (what, how)]
        lines.append(f"| {word} | {sum(own)} of {len(own)} |")
    plain = [opened(path) for path in photos]
    alarms = [sum(bool(graphics.boxes(decode(worn))) for worn in pictures) for pictures in (plain, [jpeg(one, 85) for one in plain])]
    lines.append(f"| all | {sum(found for *_, found in rows)} of {len(rows)}; {np.mean(inside):.0%} of their pixels |")
    told = f"\n\nOf what is called a graphic {np.mean(precise):.0%} lies in one, or within 16 pixels of one. Alarms on plain photographs: "
    figures = [
        row("graphics found", "of 60", [sum(found for *_, found in rows)], better="higher"),
        row("of their pixels", "%", [100 * float(np.mean(inside))], better="higher"),
        row("of what is called a graphic, in one", "%", [100 * float(np.mean(precise))], better="higher"),
        row("alarms on plain photographs", f"of {len(plain)}", [alarms[0]], better="lower"),
        row("alarms on plain photographs as JPEG 85", f"of {len(plain)}", [alarms[1]], better="lower"),
    ]
    return "\n".join(lines) + told + f"{alarms[0]} of {len(plain)} as they are, {alarms[1]} of {len(plain)} as JPEG 85.", figures


# --- better? --------------------------------------------------------------------------------------------------------------

PATHS: dict[str, dict[str, Any]] = {
    "enlarger-photo-x4": {"model": "enlarger-photo-x4"},
    "the same, `--protect graphics`": {"model": "enlarger-photo-x4"},
    "the same, `--protect BOX` (plain, locked)": {"model": "enlarger-photo-x4"},
    "enlarger-art-x4": {"model": "enlarger-art-x4"},
    "lanczos3": {"engine": "resample", "model": "lanczos3"},
    "bicubic": {"engine": "resample", "model": "bicubic"},
}


def truth(made: NDArray[np.uint8], one: Composed) -> tuple[float, float, float, float]:
    """PSNR on the graphic, of its flat pixels the percentage that is off by more than 12/255, the percentage that lies more than 6/255
    outside of what is within 8 pixels, and PSNR elsewhere."""
    true, own, mask = one.picture.astype(np.int16), made.astype(np.int16), one.mask
    squares = ((own - true).astype(np.float64) ** 2).mean(2)
    flat = mask & np.any([(np.abs(true - np.array(colour)).max(2) == 0) for colour in one.palette], axis=0)
    off = float((np.abs(own - true).max(2)[flat] > 12).mean())
    wide = np.pad(true, ((8, 8), (8, 8), (0, 0)), mode="edge")
    low, high = wide, wide
    for axis in (0, 1):
        low = np.lib.stride_tricks.sliding_window_view(low, 17, axis).min(-1)
        high = np.lib.stride_tricks.sliding_window_view(high, 17, axis).max(-1)
    ringing = float((np.maximum(own - high, low - own).max(2)[mask] > 6).mean())
    inside, outside = (10 * math.log10(255**2 / squares[where].mean()) for where in (mask, ~mask))
    return inside, 100 * off, 100 * ringing, outside


def routing(photos: list[Path]) -> tuple[str, list[Row]]:
    """Eighteen pictures whose graphic is found, enlarged by 4 along every path."""
    rng, found = random.Random(12), {name: [] for name in PATHS}  # type: dict[str, list[tuple[float, ...]]]
    number = 0
    while len(found["lanczos3"]) < 18 and number < 60:
        photo = opened(photos[number % len(photos)])[:800, :1000]
        one = compose(np.ascontiguousarray(photo), KINDS[number % 6], rng, (0.5, 0.7))
        height, width = (n // 4 * 4 for n in photo.shape[:2])
        one = Composed(one.picture[:height, :width], one.box, one.mask[:height, :width], one.palette, one.what)
        kernel = (PIL.Image.Resampling.LANCZOS, PIL.Image.Resampling.BOX)[number % 2]
        small = np.asarray(PIL.Image.fromarray(one.picture).resize((width // 4, height // 4), kernel))
        number += 1
        boxes = graphics.boxes(decode(small))
        if not boxes:
            continue
        words = "; ".join(f"{b.x},{b.y},{b.width},{b.height}" for b in boxes)
        for name, options in PATHS.items():
            protect = "graphics" if "graphics" in name else words if "BOX" in name else None
            made = enlarger.enlarge(small, 4, device="cpu", verify="off", protect=protect, **options).image
            found[name].append(truth(made, one))
    lines = ["| path | PSNR on the graphic, dB | flat pixels off by 12 | ringing | PSNR around it, dB |", "|---|---|---|---|---|"]
    figures = []
    for name, values in found.items():
        for number, (what, unit) in enumerate((("on the graphic", "dB"), ("flat pixels off", "%"), ("ringing", "%"), ("around it", "dB"))):
            better = "higher" if unit == "dB" else "lower"
            figures.append(row(f"{name}: {what}", unit, [one[number] for one in values], better=better, note="median; the table has means"))
        inside, off, ringing, outside = np.mean(values, axis=0)
        lines.append(f"| {name} | {inside:.2f} | {off:.1f}% | {ringing:.1f}% | {outside:.2f} |")
    return "\n".join(lines), figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, action="append", required=True)
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args()
    paths = [path for folder in args.photos for path in sorted(folder.iterdir()) if path.suffix in (".webp", ".png", ".jpg", ".jpeg")]
    paths = [path for path in paths if photographed(path)]
    page, before = Path(__file__).parents[1] / "docs/triage.md", machine()
    found, rows = detection(paths[:: max(1, len(paths) // 80)])
    better, more = routing(paths[:: max(1, len(paths) // 60)])
    for name, table in (("found", found), ("routing", better)):
        print(f"{name}\n{table}\n")
        if args.write:
            text, begin, end = page.read_text("utf-8"), f"<!-- {name} -->\n", f"<!-- /{name} -->"
            page.write_text(text[: text.index(begin) + len(begin)] + table + "\n" + text[text.index(end) :], "utf-8")
    if args.write:
        save("triage-graphics", before, [*rows, *more], ["composed by this script on photographs that no limit was chosen on"])


if __name__ == "__main__":
    main()
