"""Product-like pictures with known alpha, and how near a cut-out comes to it; run by ``repairs.py cutout``."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from common import Row, row
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter
from skimage import data

from enlarger.errors import EnlargerError
from enlarger.repairs import cutout
from enlarger.repairs.background import cut_out

Floats = NDArray[np.float64]
Samples = NDArray[np.uint8]

SIDE, FINE = 384, 4
"""Side of a picture, and how much finer objects are drawn before they are reduced: true antialiasing."""
GROUNDS = ("white", "grey", "shaded", "vignette", "tinted", "grainy", "jpeg", "shadow")
SHADOW = 0.35


# --- objects: colour and true alpha -------------------------------------------------------------------------------------


def drawn(draw: Callable[[ImageDraw.ImageDraw, int], None]) -> Floats:
    """Alpha ``(SIDE, SIDE)`` of what ``draw`` paints on a canvas of 1000 units."""
    large = Image.new("L", (SIDE * FINE, SIDE * FINE))
    draw(ImageDraw.Draw(large), SIDE * FINE)
    return np.asarray(large.resize((SIDE, SIDE), Image.Resampling.BOX), float) / 255


def shaded(colour: tuple[int, int, int], grain: float = 0) -> Floats:
    """A body lit from the upper left, with grain."""
    y, x = np.mgrid[:SIDE, :SIDE] / SIDE
    light = 1.15 - 0.5 * x - 0.2 * y
    noise = np.random.default_rng(1).normal(0, grain, (SIDE, SIDE, 1))
    return np.clip(np.array(colour) * light[..., None] + noise, 0, 255)


def photo(name: str) -> Floats:
    picture = Image.fromarray(getattr(data, name)()[..., :3])
    edge = min(picture.size)
    return np.asarray(picture.crop((0, 0, edge, edge)).resize((SIDE, SIDE), Image.Resampling.LANCZOS), float)


def box(n: int, *values: float) -> list[float]:
    return [value * n / 1000 for value in values]


def mug(pen: ImageDraw.ImageDraw, n: int) -> None:
    pen.ellipse(box(n, 560, 330, 850, 650), outline=255, width=n * 60 // 1000)
    pen.rounded_rectangle(box(n, 200, 220, 640, 780), radius=n * 60 // 1000, fill=255)


def gear(pen: ImageDraw.ImageDraw, n: int) -> None:
    for angle in np.arange(0, 2 * np.pi, np.pi / 8):
        x, y = 500 + 330 * np.cos(angle), 500 + 330 * np.sin(angle)
        pen.ellipse(box(n, x - 45, y - 45, x + 45, y + 45), fill=255)
    pen.ellipse(box(n, 180, 180, 820, 820), fill=255)
    for x, y, r in ((500, 500, 110), (340, 350, 50), (660, 640, 60), (650, 340, 34)):
        pen.ellipse(box(n, x - r, y - r, x + r, y + r), fill=0)


def hairy(pen: ImageDraw.ImageDraw, n: int) -> None:
    rng = np.random.default_rng(4)
    pen.ellipse(box(n, 280, 280, 720, 720), fill=255)
    for angle in np.arange(0, 2 * np.pi, 0.035):
        length, bend = rng.uniform(240, 330), rng.normal(0, 0.12)
        points = [
            (500 + r * np.cos(angle + bend * (r - 200) / 100), 500 + r * np.sin(angle + bend * (r - 200) / 100)) for r in (200, 250, length)
        ]
        pen.line([tuple(box(n, *p)) for p in points], fill=255, width=rng.integers(3, 9), joint="curve")


def chain(pen: ImageDraw.ImageDraw, n: int) -> None:
    for i in range(9):
        x, y = 130 + i * 92, 480 + 150 * np.sin(i * 0.7)
        pen.ellipse(box(n, x - 62, y - 44, x + 62, y + 44), outline=255, width=n * 16 // 1000)


def star(pen: ImageDraw.ImageDraw, n: int) -> None:
    corners = [(500 + r * np.sin(a), 500 - r * np.cos(a)) for a, r in zip(np.arange(10) * np.pi / 5, [400, 190] * 5, strict=True)]
    pen.polygon([tuple(box(n, *c)) for c in corners], fill=255)


def ellipse(pen: ImageDraw.ImageDraw, n: int) -> None:
    pen.ellipse(box(n, 220, 130, 780, 880), fill=255)


def bottle(pen: ImageDraw.ImageDraw, n: int) -> None:
    pen.rounded_rectangle(box(n, 380, 330, 620, 900), radius=n * 50 // 1000, fill=255)
    pen.rectangle(box(n, 450, 120, 550, 400), fill=255)


LIGHT = {
    "white mug on white": ((250, 250, 250), mug, "white"),
    "white mug on shaded": ((244, 244, 246), mug, "shaded"),
    "light gear as JPEG": ((243, 243, 243), gear, "jpeg"),
    "light hair on white": ((226, 214, 196), hairy, "white"),
    "light hair as JPEG": ((226, 214, 196), hairy, "jpeg"),
}
"""Light things on light ground: colour, shape, ground. Not in the table: their bodies have the ground's light in places."""


def softened(alpha: Floats, radius: float) -> Floats:
    return np.asarray(Image.fromarray((alpha * 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(radius)), float) / 255


def objects(folder: Path | None) -> dict[str, tuple[Floats, Floats]]:
    """Colour ``(h, w, 3)``, 0..255, and alpha."""
    made = {
        "mug": (shaded((60, 90, 160), 2), drawn(mug)),
        "gear": (shaded((120, 118, 115), 6), drawn(gear)),
        "hairy": (shaded((90, 60, 40), 12), drawn(hairy)),
        "chain": (shaded((200, 160, 60), 4), drawn(chain)),
        "plush": (shaded((190, 80, 90), 10), softened(drawn(ellipse), 3)),
        "light grey": (shaded((205, 205, 208), 1), drawn(bottle)),
        "coffee in an ellipse": (photo("coffee"), drawn(ellipse)),
        "cat in a star": (photo("chelsea"), drawn(star)),
        "portrait in an ellipse": (photo("astronaut"), softened(drawn(ellipse), 1.5)),
        "bottle": (shaded((30, 90, 50), 2), drawn(bottle)),
    }
    for path in sorted(folder.glob("*alpha*.png")) if folder else ():
        import pyvips

        picture = pyvips.Image.new_from_file(str(path)).numpy().astype(float)
        top = 65535 if picture.max() > 255 else 255
        # A margin, so that the ground is seen all around.
        wide = np.pad(picture / top, ((24, 24), (24, 24), (0, 0)))
        made[path.stem] = (wide[..., :3] * 255, wide[..., 3])
    return made


def on_ground(colour: Floats, alpha: Floats, kind: str) -> Samples:
    height, width = alpha.shape
    y, x = np.mgrid[:height, :width] / [[[height]], [[width]]]
    levels = {"white": 255.0, "grey": 228.0, "shaded": 240.0, "vignette": 246.0, "grainy": 226.0, "jpeg": 250.0, "shadow": 247.0}
    ground = np.full((height, width, 3), levels.get(kind, 0))
    if kind == "shaded":
        ground -= (26 * y + 8 * x)[..., None]
    elif kind == "vignette":
        ground -= (60 * ((x - 0.5) ** 2 + (y - 0.5) ** 2))[..., None]
    elif kind == "tinted":
        ground = np.stack([150 + 30 * y, 190 + 20 * y, 215 - 10 * x], -1)
    elif kind == "shadow":
        ground *= (1 - shadow_of(height, width))[..., None]
    mixed = colour * alpha[..., None] + ground * (1 - alpha[..., None])
    if kind in ("grainy", "shaded", "tinted"):
        mixed += np.random.default_rng(2).normal(0, 3 if kind == "grainy" else 1, mixed.shape)
    samples = np.clip(np.rint(mixed), 0, 255).astype(np.uint8)
    if kind in ("jpeg", "shadow"):
        out = io.BytesIO()
        Image.fromarray(samples).save(out, "jpeg", quality=85)
        samples = np.asarray(Image.open(out)).copy()
    return samples


def shadow_of(height: int, width: int) -> Floats:
    """Soft, below the object: by how much of itself the ground is darker."""
    y, x = np.mgrid[:height, :width] / [[[height]], [[width]]]
    return SHADOW * np.exp(-(((x - 0.55) / 0.25) ** 2) - ((y - 0.87) / 0.06) ** 2)


# --- measuring --------------------------------------------------------------------------------------------------------


def by_grabcut(samples: Samples) -> Floats:
    mask = np.zeros(samples.shape[:2], np.uint8)
    cv2.setRNGSeed(0)
    inner = (2, 2, samples.shape[1] - 4, samples.shape[0] - 4)
    cv2.grabCut(np.ascontiguousarray(samples[..., ::-1]), mask, inner, np.zeros((1, 65)), np.zeros((1, 65)), 5, cv2.GC_INIT_WITH_RECT)
    return ((mask == cv2.GC_FGD) | (mask == cv2.GC_PR_FGD)).astype(float)


def measure(folder: Path | None, sheets: Path | None) -> list[Row]:
    seen: dict[tuple[str, str], list[tuple[float, float, float]]] = {}
    halo: list[float] = []
    refused = 0
    for number, (name, (colour, alpha)) in enumerate(objects(folder).items()):
        for kind in (GROUNDS[(number + step) % len(GROUNDS)] for step in (0, 2, 5)):
            samples = on_ground(colour, alpha, kind)
            start = time.perf_counter()
            try:
                made = cutout.unit(cut_out(samples).alpha)
            except EnlargerError as error:
                print(f"{name} on {kind}: refused: {error}")
                refused += 1
                continue
            spent = time.perf_counter() - start
            clean = cutout.foreground(samples, made)
            edge = (alpha > 0.1) & (alpha < 0.9)
            halo.append(float(np.abs(clean.astype(float) - colour)[edge].mean()) if edge.any() else 0)
            start = time.perf_counter()
            peer = by_grabcut(samples)
            for who, got, seconds in (("enlarger", made, spent), ("grabcut", peer, time.perf_counter() - start)):
                figures = (float(np.abs(got - alpha).sum()) / 1000, float(((got - alpha) ** 2).mean()) * 1000, seconds)
                seen.setdefault((name, who), []).append(figures)
            figures = [f"{who} SAD {seen[name, who][-1][0]:.2f} MSE {seen[name, who][-1][1]:.2f}" for who in ("enlarger", "grabcut")]
            print(name, kind, *figures, f"edge colour {halo[-1]:.1f}", f"{spent:.2f} s", flush=True)
            if sheets:
                write_sheet(sheets / f"cutout-{name}-{kind}.png".replace(" ", "-"), samples, clean, alpha, made, peer)
    rows = [row("refused", "pictures", [float(refused)])]
    for name, (tint, draw, kind) in LIGHT.items():
        alpha = drawn(draw)
        made = cutout.unit(cut_out(on_ground(shaded(tint, 1), alpha, kind)).alpha)
        rows.append(row(f"light: {name}, SAD", "1000 px", [float(np.abs(made - alpha).sum()) / 1000], better="lower"))
    for who in ("enlarger", "grabcut"):
        for name in (*dict.fromkeys(key[0] for key in seen), "all"):
            figures = [figure for key, found in seen.items() if key[1] == who and name in (key[0], "all") for figure in found]
            means = [float(np.mean(column)) for column in zip(*figures, strict=True)]
            rows.append(row(f"{who}: SAD, {name}", "1000 px", [means[0]], better="lower", note=f"mean of {len(figures)}"))
            rows.append(row(f"{who}: MSE, {name}", "1/1000", [means[1]], better="lower"))
        for number, (figure, unit) in enumerate((("SAD", "1000 px"), ("MSE", "1/1000"))):
            values = [f[number] for key, found in seen.items() if key[1] == who for f in found]
            rows.append(row(f"{who}: {figure}, middle of all", unit, values, better="lower"))
        rows.append(row(f"{who}: time", "s", [f[2] for key, found in seen.items() if key[1] == who for f in found], better="lower"))
    pairs = [(a, b) for name in {key[0] for key in seen} for a, b in zip(seen[name, "enlarger"], seen[name, "grabcut"], strict=True)]
    rows.append(row("SAD smaller than GrabCut's", "%", [100 * float(np.mean([a[0] < b[0] for a, b in pairs]))], better="higher"))
    rows.append(row("enlarger: colour at the edge, off by", "1/255", halo, better="lower"))
    return rows


def write_sheet(path: Path, samples: Samples, clean: Samples, *alphas: Floats) -> None:
    """The picture, the cut-out on magenta-like and on dark ground, then true, own and GrabCut's alpha."""
    own = alphas[1][..., None]
    on = [clean * own + np.array(ground) * (1 - own) for ground in ((40, 200, 60), (20, 20, 30))]
    greys = [np.broadcast_to(alpha[..., None] * 255, samples.shape) for alpha in alphas]
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [np.concatenate(parts, 1) for parts in ((samples, *on), greys)]
    Image.fromarray(np.concatenate(rows).clip(0, 255).astype(np.uint8)).save(path)
