"""Pages, scans, screens and icons, drawn by Chromium and by Pillow for triage_pictures.py."""

from __future__ import annotations

import html
import random
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import PIL.Image
import PIL.ImageDraw
import PIL.ImageFilter
import PIL.ImageFont

FONTS = ("DejaVuSans", "DejaVuSerif", "DejaVuSansMono", "LiberationSans-Regular", "LiberationSerif-Regular", "LiberationMono-Regular")
CHROMIUM = ("chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--allow-file-access-from-files")
ROOT = Path(__file__).parents[1]


def shot(page: str | Path, target: Path, width: int, height: int, *, factor: float = 1.0) -> PIL.Image.Image:
    """A screenshot by Chromium of HTML or of a file, ``width`` x ``height`` CSS pixels."""
    if not target.exists():
        source = page if isinstance(page, Path) else target.with_suffix(".html")
        if isinstance(page, str):
            source.write_text(page, "utf-8")
        size = [f"--window-size={width},{height}", f"--force-device-scale-factor={factor}", f"--screenshot={target}"]
        subprocess.run([*CHROMIUM, *size, source.resolve().as_uri()], check=True, capture_output=True, timeout=120)
    return PIL.Image.open(target).convert("RGB")


def drawings(svgs: list[Path], cache: Path, name: str, rng: random.Random, count: int, sizes: tuple[int, ...]) -> Iterator[PIL.Image.Image]:
    """SVGs of a set, each at one of ``sizes``, on white or on nothing (ink as alpha)."""
    chosen = rng.sample(svgs, count)
    for i, side in enumerate(sizes):
        part = chosen[i :: len(sizes)]
        images = "".join(
            f'<img src="{p.resolve().as_uri()}" style="width:{side}px;height:{side}px;object-fit:contain;display:block;float:left">'
            for p in part
        )
        page = f'<body style="margin:0;width:{side * 5}px">{images}'
        sheet = shot(page, cache / f"{name}-{side}.png", side * 5, side * -(-len(part) // 5))
        for k in range(len(part)):
            left, top = k % 5 * side, k // 5 * side
            yield sheet.crop((left, top, left + side, top + side))


def inked(picture: PIL.Image.Image) -> PIL.Image.Image:
    """Black ink on white as ink on nothing."""
    grey = picture.convert("L")
    out = PIL.Image.new("RGBA", grey.size, (0, 0, 0, 0))
    out.putalpha(grey.point([255 - v for v in range(256)]))
    return out


WORDS = " ".join((ROOT / name).read_text("utf-8") for name in ("README.md", "CONTRIBUTING.md", "LICENSE")).split()


def prose(rng: random.Random, count: int) -> str:
    start = rng.randrange(max(1, len(WORDS) - count))
    return " ".join(WORDS[start : start + count])


def page_of(rng: random.Random) -> str:
    """A page as HTML: an article, a table, a form, code, slides, or a window with a side bar."""
    ink, paper = rng.choice((("#111", "#fff"), ("#111", "#fff"), ("#222", "#fafaf5"), ("#ddd", "#1e1e1e"), ("#123", "#eef3f8")))
    family = rng.choice(("DejaVu Sans", "DejaVu Serif", "Liberation Sans", "Liberation Serif", "Liberation Sans Narrow"))
    size, accent = rng.choice((9, 11, 12, 13, 14, 16, 18, 22)), rng.choice(("#0645ad", "#a33", "#275", "#555"))
    body = _body(rng.choice(("article", "article", "table", "code", "slide", "window", "letter")), rng, accent)
    style = f"margin:20px;background:{paper};color:{ink};font:{size}px '{family}'"
    return f'<meta charset=utf-8><body style="{style}"><style>a,h1,h2{{color:{accent}}}</style>{body}'


def _body(layout: str, rng: random.Random, accent: str) -> str:
    def words(count: int) -> str:
        return html.escape(prose(rng, count))

    def many(count: int, one: Callable[[], str]) -> str:
        return "".join(one() for _ in range(count))

    if layout == "article":
        return f"<h1>{words(5)}</h1>" + many(6, lambda: f"<h3>{words(3)}</h3><p>{words(rng.randint(40, 120))}</p>")
    if layout == "table":

        def cell() -> str:
            return "<td>" + rng.choice((words(1), words(2), f"{rng.random() * 900:.2f}")) + "</td>"

        rows = many(24, lambda: "<tr>" + many(6, cell) + "</tr>")
        return f"<h2>{words(4)}</h2><table border=1 cellspacing=0 cellpadding=5>{rows}</table>"
    if layout == "code":
        code = Path(__file__).read_text("utf-8")
        return f"<pre style='font-family:DejaVu Sans Mono'>{html.escape(code[rng.randrange(len(code) // 2) :][:4000])}</pre>"
    if layout == "slide":
        points = many(4, lambda: f"<li>{words(7)}</li>")
        return f"<div style='font-size:250%;padding:40px'><h2>{words(4)}</h2><ul>{points}</ul></div>"
    if layout == "letter":
        return f"<div style='padding:60px'><p>{words(6)}</p><br><br><p>{words(60)}</p><p>{words(50)}</p><p>{words(3)}</p></div>"
    bar = f"<div style='float:left;width:24%;background:{accent};color:#fff;height:1500px;padding:9px'>"
    bar += many(14, lambda: f"<p>{words(2)}</p>")
    form = f"<br><button>{words(1)}</button> <input value='{words(1)}'></p>"
    return bar + "</div><div style='margin-left:29%'>" + many(8, lambda: f"<p><b>{words(3)}</b><br>{words(25)}{form}") + "</div>"


def pages(cache: Path, rng: random.Random, count: int) -> Iterator[PIL.Image.Image]:
    for i in range(count):
        width, height = rng.choice(((800, 600), (1000, 1300), (640, 480), (1280, 800)))
        yield shot(page_of(rng), cache / f"page-{i:03}.png", width, height, factor=rng.choice((1, 1, 1, 1.5, 2)))


def manuals(paths: list[Path], cache: Path, rng: random.Random, each: int, *, name: str = "manual") -> Iterator[PIL.Image.Image]:
    """Windows of long manuals, in several languages; only such as hold at least some text."""
    for i, path in enumerate(paths):
        whole = shot(path, cache / f"{name}-{i}.png", 1000, 9000)
        found = 0
        while found < each:
            width, height = rng.choice(((1000, 700), (600, 800), (800, 500)))
            x, y = rng.randint(0, 1000 - width), rng.randrange(0, 9000 - height)
            part = whole.crop((x, y, x + width, y + height))
            grey = np.asarray(part.convert("L"))
            if 0.02 < (grey < 128).mean() < 0.3 and np.ptp(grey, axis=1).astype(bool).mean() > 0.4:
                yield part
                found += 1


def scans(rng: random.Random, count: int, *, poor: bool = False) -> Iterator[PIL.Image.Image]:
    """Pages drawn by Pillow: printed in one colour on paper, a little turned, unevenly lit, soft and noisy as scanners leave them.

    ``poor`` ones are photographed rather than scanned: small, pale, in a shadow.
    """
    for _ in range(count):
        dice = np.random.default_rng(rng.randrange(2**32))
        width, height = rng.choice(((900, 1200), (700, 900), (1240, 1754)))
        page = PIL.Image.new("L", (width, height), 255)
        draw, size = PIL.ImageDraw.Draw(page), rng.randint(14, 34)
        font = PIL.ImageFont.truetype(rng.choice(FONTS) + ".ttf", size)
        y = 60
        while y < height - 60:
            line, words = "", prose(rng, 40).split()
            while words and draw.textlength(line + words[0], font) < width - 140:
                line += words.pop(0) + " "
            draw.text((70, y), line, 20, font)
            y += round(size * rng.choice((1.3, 1.3, 1.3, 2.4)))
        light = 1 - np.linspace(0, rng.uniform(0.1, 0.6) if poor else rng.uniform(0, 0.15), width)[None, :, None]
        if poor:
            small, ink = page.resize((width * 3 // 5, height * 3 // 5), PIL.Image.Resampling.LANCZOS), rng.randint(0, 60)
            page = small.crop((20, 20, 20 + width // 2, height // 3)).point([round(ink + v * (230 - ink) / 255) for v in range(256)])
            light = light[:, : page.width]
        page = page.rotate(rng.uniform(-0.7, 0.7), PIL.Image.Resampling.BICUBIC, fillcolor=255)
        page = page.filter(PIL.ImageFilter.GaussianBlur(rng.uniform(0.3, 1.0)))
        tint = np.array(rng.choice(((255, 255, 255), (250, 244, 228), (236, 236, 230)))) / 255
        values = np.asarray(page, np.float32)[..., None] * light * tint + dice.normal(0, rng.uniform(0, 4), (page.height, page.width, 1))
        yield PIL.Image.fromarray(np.clip(values, 0, 255).astype(np.uint8))
