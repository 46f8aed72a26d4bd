"""Training pictures for line art: drawn here, from a seed, so that the truth is exact and no drawing of anybody is needed.

Everything is drawn with Pillow on a sheet four times as large and reduced: flat and graded shapes with ink outlines of swelling width,
hard cel shadows, hair, eyes, hatching, screentone, speed lines, lettering, houses, cloth.
"""

import hashlib
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
from PIL import Image, ImageChops, ImageDraw

from training import sheet as paper
from training.photos import Pictures
from training.resize import Bytes
from training.sheet import FINER, Colour, Points, Sheet, font, ribbon, spline

COUNT = 240
SIDES = (512, 640, 768)  # of the drawings
LETTERS = "ABCDEFGHIKLMNOPRSTUVWXYZ abcdefghiklmnoprstuvwxyz 0123456789 !?&%.,:;()*+-/"
REDUCERS = (Image.Resampling.BOX, Image.Resampling.BOX, Image.Resampling.BICUBIC, Image.Resampling.LANCZOS)


def ground(sheet: Sheet) -> None:
    """What everything lies on: one colour, a gradient, or paper."""
    kind = sheet.random.random()
    if kind < 0.35:
        sheet.image.paste(sheet.colour(0.4), (0, 0, *sheet.image.size))
    elif kind < 0.7:
        sheet.image.paste(sheet.graded(sheet.colour(0.3), sheet.colour(0.5)).resize(sheet.image.size, Image.Resampling.BILINEAR), (0, 0))
    else:
        sheet.image.paste((255, 255, 255), (0, 0, *sheet.image.size))


def cel(sheet: Sheet, shape: Points, colour: Colour) -> None:
    """A shape as cel animation fills it: flat or graded, a hard shadow, a highlight, texture now and then, an outline mostly."""
    if sheet.flip(0.25):
        sheet.paste(sheet.graded(colour, sheet.shade(colour, 0.6)), sheet.mask(shape))
    else:
        sheet.fill(shape, colour)
    centre, size = shape.mean(0), float(np.ptp(shape, axis=0).max())
    if sheet.flip(0.7):
        shadow = sheet.blob(centre + sheet.random.normal(0, 0.3 * size, 2), 0.45 * size)
        sheet.paste(sheet.shade(colour, sheet.random.uniform(0.55, 0.85)), sheet.mask(shape), sheet.mask(shadow))
    if sheet.flip(0.15):
        sheet.hatching(shape, sheet.random.uniform(4, 14) / sheet.side * FINER, sheet.thin * 0.7)
    elif sheet.flip(0.12):
        pitch = sheet.random.uniform(3.5, 10) * FINER / sheet.side
        sheet.paste(sheet.shade(colour, 0.5), sheet.screentone(pitch, sheet.random.uniform(0, 1.5)), sheet.mask(shape))
    if sheet.flip(0.3):
        sheet.fill(sheet.blob(centre + sheet.random.normal(0, 0.15 * size, 2), 0.08 * size), sheet.shade(colour, 1.5))
    if sheet.flip(0.85):
        sheet.outline(shape)


def shapes(sheet: Sheet) -> None:
    ground(sheet)
    for size in np.sort(0.02 + 0.28 * sheet.random.random(int(sheet.random.integers(12, 32))) ** 2)[::-1]:  # large ones behind small ones
        cel(sheet, sheet.blob(sheet.anywhere(), size), sheet.colour())
    curves(sheet, int(sheet.random.integers(8, 40)))


def curves(sheet: Sheet, count: int) -> None:
    """Free strokes of the pen, some very thin."""
    for _ in range(count):
        start, turn = sheet.anywhere(), sheet.random.uniform(0, 2 * np.pi)
        turns = turn + np.cumsum(sheet.random.normal(0, 0.6, 4))
        line = start + np.cumsum(np.stack([np.cos(turns), np.sin(turns)], 1) * sheet.random.uniform(0.03, 0.15), axis=0)
        sheet.stroke(spline(line, False), sheet.ink, sheet.thin * sheet.random.uniform(0.5, 3))


def eye(sheet: Sheet, centre: Points, size: float, iris: Colour) -> None:
    """White, iris with a gradient, pupil, two lights, heavy upper lid."""

    def oval(middle: Points, wide: float, tall: float) -> Points:
        t = np.linspace(0, 2 * np.pi, 48, endpoint=False)
        return middle + np.stack([wide * np.cos(t), tall * np.sin(t)], 1)

    white, inner = oval(centre, size, size * 1.1), oval(centre, size * 0.62, size * 0.9)
    sheet.fill(white, (255, 255, 255))
    sheet.paste(sheet.graded(iris, sheet.shade(iris, 0.4)), sheet.mask(inner), sheet.mask(white))
    sheet.outline(inner, sheet.thin * 0.8)
    sheet.fill(oval(centre, size * 0.28, size * 0.42), sheet.ink)
    sheet.fill(oval(centre + np.array([-0.22 * size, -0.4 * size]), 0.2 * size, 0.24 * size), (255, 255, 255))
    sheet.fill(oval(centre + np.array([0.25 * size, 0.4 * size]), 0.1 * size, 0.1 * size), (255, 255, 255))
    lid = centre + np.array([[-1.15, -0.3], [-0.7, -0.95], [0, -1.2], [0.7, -1.0], [1.2, -0.45]]) * size
    sheet.stroke(spline(lid, False), sheet.ink, size * 0.22, 0.2)
    for x in (-0.9, 0.95):
        lash = centre + np.array([[x, -0.6], [x * 1.25, -0.9], [x * 1.45, -1.0]]) * size
        sheet.stroke(spline(lash, False), sheet.ink, size * 0.1)


def lock(sheet: Sheet, root: Points, tip: Points, width: float, colour: Colour) -> None:
    """One pointed lock of hair, with its shadow side, an outline and single hairs."""
    bend = (root + tip) / 2 + sheet.random.normal(0, 0.25, 2) * np.hypot(*(tip - root))
    middle = spline(np.stack([root, bend, tip]), False, 24)
    t = np.linspace(0, 1, len(middle))
    widths = width * np.sin(np.pi * (0.25 + 0.75 * t)) ** 0.8
    shape = ribbon(middle, widths)
    sheet.fill(shape, colour)
    half = len(middle)
    dark = np.concatenate([shape[:half] * 0.35 + middle * 0.65, shape[:half][::-1]])
    sheet.fill(dark, sheet.shade(colour, 0.75))
    for edge in (shape[:half], shape[half:]):
        sheet.stroke(edge, sheet.ink, sheet.thin * 0.9, 0.4)
    for _ in range(int(sheet.random.integers(0, 4))):
        part = slice(int(sheet.random.integers(0, half // 2)), half - 2)
        sheet.stroke(
            (middle + (shape[:half] - middle) * sheet.random.uniform(-0.7, 0.7))[part], sheet.shade(colour, 0.55), sheet.thin * 0.5
        )


def portrait(sheet: Sheet) -> None:
    """A head as anime draws it: hair behind, face, eyes, mouth, fringe in front."""
    ground(sheet)
    centre, size = sheet.anywhere(0.38, 0.62), sheet.random.uniform(0.2, 0.36)
    hair, iris = sheet.colour(0.15, 0.95), sheet.colour(0.4)
    tone = sheet.random.uniform(0.75, 1)
    skin: Colour = (round(255 * tone), round(226 * tone), round(205 * tone)) if not sheet.grey else (238, 238, 238)
    for angle in np.linspace(-0.3, np.pi + 0.3, int(sheet.random.integers(7, 16))):
        tip = centre + np.array([np.cos(angle) * 1.5, np.sin(angle) * 2.1]) * size * sheet.random.uniform(0.8, 1.2)
        lock(sheet, centre + np.array([np.cos(angle) * 0.5 * size, -0.6 * size]), tip, 0.75 * size, sheet.shade(hair, 0.8))
    cel(sheet, sheet.blob(centre + np.array([0, 1.9 * size]), 1.1 * size, 0.15), sheet.colour())
    face = np.array(
        [[-0.85, -0.4], [-0.8, 0.3], [-0.45, 0.8], [0, 1.05], [0.45, 0.8], [0.8, 0.3], [0.85, -0.4], [0.5, -0.95], [-0.5, -0.95]]
    )
    outline = spline(centre + face * size, True)
    sheet.fill(outline, skin)
    fringe = sheet.blob(centre + np.array([0, -0.75 * size]), 0.8 * size, 0.2)
    sheet.paste(sheet.shade(skin, 0.82), sheet.mask(outline), sheet.mask(fringe))
    sheet.outline(outline)
    for x in (-0.4, 0.4):
        eye(sheet, centre + np.array([x * size, 0.15 * size]), 0.24 * size, iris)
        brow = centre + np.array([[x - 0.25, -0.3], [x, -0.38], [x + 0.25, -0.3]]) * size
        sheet.stroke(spline(brow, False), sheet.ink, sheet.thin * 1.5)
    mouth = centre + np.array([[-0.14, 0.68], [0, 0.72 + sheet.random.uniform(-0.05, 0.1)], [0.14, 0.68]]) * size
    sheet.stroke(spline(mouth, False), sheet.ink, sheet.thin)
    for angle in sheet.random.permutation(np.linspace(np.pi * 0.95, np.pi * 2.05, int(sheet.random.integers(8, 18)))):
        tip = centre + np.array([np.cos(angle) * 1.05, 0.1 * sheet.random.uniform(-3, 2.5)]) * size
        lock(sheet, centre + np.array([np.cos(angle) * 0.25, -1.15]) * size, tip, sheet.random.uniform(0.25, 0.5) * size, hair)
    curves(sheet, int(sheet.random.integers(0, 8)))


def words(sheet: Sheet, centre: Points, size: float, colour: Colour, turned: bool = True) -> None:
    """A few letters, upright or turned."""
    text = "".join(sheet.random.choice(list(LETTERS), int(sheet.random.integers(2, 12))))
    face = font(max(8, round(size * sheet.side)))
    left, top, right, bottom = face.getbbox(text)
    layer = Image.new("L", (round(right - left) + 8, round(bottom - top) + 8))
    ImageDraw.Draw(layer).text((4 - left, 4 - top), text, fill=255, font=face)
    if turned and sheet.flip(0.3):
        layer = layer.rotate(sheet.random.uniform(-40, 40), Image.Resampling.BICUBIC, expand=True)
    at = tuple(round(c * sheet.side - s / 2) for c, s in zip(centre, layer.size, strict=True))
    sheet.image.paste(colour, (*at, at[0] + layer.width, at[1] + layer.height), layer)


def manga(sheet: Sheet) -> None:
    """A page in black and white: panels with tone, speed lines, hatching, figures; balloons with lettering."""
    sheet.grey, sheet.ink = True, (0, 0, 0)
    sheet.image.paste((255, 255, 255), (0, 0, *sheet.image.size))
    cuts = np.sort(np.concatenate([[0.02, 0.98], sheet.random.uniform(0.3, 0.7, int(sheet.random.integers(0, 3)))]))
    for top, bottom in pairwise(cuts):
        slant = sheet.random.uniform(-0.08, 0.08)
        split = sheet.random.uniform(0.35, 0.65)
        for left, right in ((0.02, split - 0.01), (split + 0.01, 0.98)):
            panel = np.array([[left, top], [right + slant * (right < 0.9), top], [right, bottom - 0.015], [left, bottom - 0.015]])
            page = sheet.image.copy()
            inside(sheet, panel)
            drawn = sheet.image.copy()
            sheet.image.paste(page, (0, 0))
            sheet.paste(drawn, sheet.mask(panel))
            sheet.stroke(np.concatenate([panel, panel[:1]]).repeat(2, axis=0)[1:-1], (0, 0, 0), sheet.thin * 2, 0.0, taper=False)
    for _ in range(int(sheet.random.integers(1, 5))):
        centre = sheet.anywhere(0.15, 0.85)
        balloon = sheet.blob(centre, sheet.random.uniform(0.08, 0.16), 0.12, 8)
        sheet.fill(balloon, (255, 255, 255))
        sheet.outline(balloon)
        for row in (-1, 0, 1):
            words(sheet, centre + np.array([0, row * 0.035]), sheet.random.uniform(0.02, 0.035), (0, 0, 0), turned=False)


def inside(sheet: Sheet, panel: Points) -> None:
    """What a panel shows."""
    middle = panel.mean(0)
    kind = int(sheet.random.integers(4))
    if kind == 0:
        for angle in np.sort(sheet.random.uniform(0, 2 * np.pi, 120)):  # speed lines: wedges that point at the middle
            far = np.array([np.cos(angle), np.sin(angle)])
            sheet.stroke(
                np.stack([middle + far * sheet.random.uniform(0.1, 0.25), middle + far * 0.5, middle + far]), sheet.ink, 0.006, 0.0
            )
    elif kind == 1:
        sheet.paste(sheet.colour(0, 0.5), sheet.screentone(sheet.random.uniform(3, 9) * FINER / sheet.side, 0.785), sheet.mask(panel))
    elif kind == 2:
        sheet.hatching(panel, sheet.random.uniform(0.008, 0.02), sheet.thin * 0.6)
    for _ in range(int(sheet.random.integers(3, 12))):
        shape = sheet.blob(middle + sheet.random.normal(0, 0.1, 2), sheet.random.uniform(0.04, 0.16))
        cel(sheet, shape, (255, 255, 255) if sheet.flip(0.5) else sheet.colour(0.0))


def signs(sheet: Sheet) -> None:
    """Icons, boxes, bars, stars and lettering, as on screens and labels."""
    ground(sheet)
    for _ in range(int(sheet.random.integers(35, 80))):
        x, y, wide, tall = *sheet.anywhere(), *sheet.random.uniform(0.02, 0.25, 2)
        box = [round(v * sheet.side) for v in (x, y, x + wide, y + tall)]
        line, colour = round(sheet.thin * sheet.side * sheet.random.uniform(0.5, 3)), sheet.colour()
        kind = int(sheet.random.integers(6))
        if kind == 0:
            sheet.pen.rounded_rectangle(
                box, sheet.random.uniform(0, 0.03) * sheet.side, colour, sheet.ink if sheet.flip(0.5) else None, line
            )
        elif kind == 1:
            sheet.pen.ellipse(box, colour if sheet.flip(0.6) else None, sheet.ink, line)
        elif kind == 2:
            points = int(sheet.random.integers(3, 9))
            angle = np.arange(2 * points) * np.pi / points + sheet.random.uniform(0, 6)
            far = np.where(np.arange(2 * points) % 2, 1, sheet.random.uniform(0.4, 1))[:, None] * wide / 2
            sheet.fill(np.array([x, y]) + np.stack([np.cos(angle), np.sin(angle)], 1) * far, colour)
        elif kind == 3:
            sheet.pen.line([*box], colour, line)
        else:
            words(sheet, np.array([x, y]), sheet.random.uniform(0.018, 0.12), colour)


def houses(sheet: Sheet) -> None:
    """Straight lines that run together: walls, windows, wires, in ink over flat colour."""
    ground(sheet)
    vanish = sheet.anywhere(0.3, 0.7)
    for _ in range(int(sheet.random.integers(3, 7))):
        near, top, depth = sheet.random.uniform(-0.1, 1.1), sheet.random.uniform(-0.2, 0.5), sheet.random.uniform(0.3, 0.8)
        wall, pane = sheet.colour(0.3), sheet.colour(0.1, 0.6)

        def at(u: float, v: float, near: float = near, top: float = top, depth: float = depth) -> Points:
            edge = np.array([near, top + v * (1.1 - top)])
            reached: Points = edge + (vanish - edge) * depth * u
            return reached

        face = np.stack([at(0, 0), at(1, 0), at(1, 1), at(0, 1)])
        sheet.fill(face, wall)
        rows, columns = (int(n) for n in sheet.random.integers(3, 10, 2))
        for i in range(columns):
            for j in range(rows):
                u, v = (i + np.array([0.2, 0.8])) / columns, (j + np.array([0.2, 0.75])) / rows
                window = np.stack([at(u[0], v[0]), at(u[1], v[0]), at(u[1], v[1]), at(u[0], v[1])])
                sheet.fill(window, pane)
                sheet.pen.polygon(
                    [tuple(p) for p in window * sheet.side], outline=sheet.ink, width=max(1, round(sheet.thin * sheet.side * 0.5))
                )
        sheet.pen.polygon([tuple(p) for p in face * sheet.side], outline=sheet.ink, width=max(2, round(sheet.thin * sheet.side)))
    curves(sheet, int(sheet.random.integers(1, 8)))


def cloth(sheet: Sheet) -> None:
    """Checks, stripes and dots on large shapes, each pattern turned."""
    ground(sheet)
    for _ in range(int(sheet.random.integers(2, 6))):
        shape, colour = sheet.blob(sheet.anywhere(0.1, 0.9), sheet.random.uniform(0.2, 0.45)), sheet.colour(0.3)
        cel(sheet, shape, colour)
        layer = Image.new("L", (sheet.side, sheet.side))
        pen, gap, width = ImageDraw.Draw(layer), *(sheet.random.uniform(*r) * sheet.side for r in ((0.012, 0.06), (0.003, 0.015)))
        for i in range(int(1 / (gap / sheet.side)) + 1):
            pen.rectangle([0, i * gap, sheet.side, i * gap + width], fill=255)
        if sheet.flip(0.5):
            layer = ImageChops.lighter(layer, layer.transpose(Image.Transpose.ROTATE_90))
        layer = layer.rotate(sheet.random.uniform(0, 180), Image.Resampling.BILINEAR)
        sheet.paste(sheet.shade(colour, sheet.random.choice([0.6, 1.4])), layer, sheet.mask(shape))
        sheet.outline(shape)
    curves(sheet, 10)


SUBJECTS: tuple[Callable[[Sheet], None], ...] = (portrait, shapes, portrait, manga, portrait, signs, houses, cloth)


def drawing(seed: int, side: int | None = None) -> Bytes:
    """Drawing number `seed`, (side, side, 3) uint8; the subjects take turns."""
    random = np.random.default_rng([31, seed])
    sheet = Sheet(random, side or int(random.choice(SIDES)))
    SUBJECTS[seed % len(SUBJECTS)](sheet)
    size = sheet.side // FINER
    return np.asarray(sheet.image.resize((size, size), REDUCERS[int(random.integers(len(REDUCERS)))]))


class Drawings(Pictures):
    """COUNT drawings as a source of crops: `drawings.bin` and `.json`, made when missing or when what draws them changed."""

    def __init__(self, folder: Path, count: int = COUNT) -> None:
        made_by = hashlib.sha256(Path(__file__).read_bytes() + Path(paper.__file__).read_bytes()).hexdigest()
        super().__init__(folder, "drawings", f"{count} {made_by}", lambda: ((picture, 1.0) for picture in map(drawing, range(count))))
