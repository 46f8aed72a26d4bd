"""Draws the pictures of docs/nets: what each of our nets does well and where it fails, beside the truth and other nets, at 100 %.

Run `python docs/net_pictures.py [NAME...]` with the extras `test` and `classic`. Sources: scikit-image's chelsea, grass and coffee
(CC0) and astronaut (public domain), made four times smaller, and what is drawn here.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont
from skimage import data

import enlarger

HERE = Path(__file__).parent
SIDE = 256
"""Pixels of each crop."""

X4PLUS = "realesrgan-x4plus"


def png(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def jpeg(picture: Image.Image, quality: int) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def small(truth: Image.Image) -> Image.Image:
    return truth.resize((truth.width // 4, truth.height // 4), Image.Resampling.BICUBIC)


def lettering() -> Image.Image:
    page = Image.new("RGB", (512, 512), (250, 248, 242))
    pen = ImageDraw.Draw(page)
    top = 14.0
    for size in (22, 26, 30, 36, 44, 56, 70):
        pen.text((16, top), "Enlarger 1931 agents", (30, 30, 40), ImageFont.load_default(size))
        top += size * 1.35
    return page


def picture(name: str) -> Image.Image:
    """A truth whose sides divide by 4."""
    whole = lettering() if name == "lettering" else Image.fromarray(getattr(data, name)()).convert("RGB")
    return whole.crop((0, 0, whole.width // 4 * 4, whole.height // 4 * 4))


CAT, FACE, GRASS, LETTERS, CUP = (
    ("chelsea", (140, 40)),
    ("astronaut", (130, 10)),
    ("grass", (100, 100)),
    ("lettering", (0, 0)),
    ("coffee", (200, 60)),
)
"""A truth, and where the crop of it begins."""

Row = tuple[tuple[str, tuple[int, int]], int]

CASES: dict[str, tuple[tuple[str, ...], list[Row]]] = {
    "photo": (("enlarger-photo-x4", X4PLUS), [(CAT, 0), (GRASS, 0), (LETTERS, 0)]),
    "crisp": (("enlarger-photo-x4", "enlarger-crisp-x4", X4PLUS), [(CAT, 0), (FACE, 0), (GRASS, 0)]),
    "restore": (("enlarger-photo-x4", "enlarger-restore-x4", X4PLUS), [(FACE, 40), (CAT, 30), (LETTERS, 40)]),
    "art": (("enlarger-photo-x4", "enlarger-art-x4", X4PLUS), [(LETTERS, 60), (CUP, 0)]),
}
"""The nets in their columns, behind the truth and the source; then the rows, each with the JPEG quality of its source (0: PNG)."""


def crop(image: Image.Image, at: tuple[int, int]) -> Image.Image:
    return image.crop((*at, at[0] + SIDE, at[1] + SIDE))


def draw(name: str) -> None:
    nets, rows = CASES[name]
    titles = ("truth", "source, bicubic", *nets)
    sheet = Image.new("RGB", (len(titles) * (SIDE + 6) - 6, 18 + len(rows) * (SIDE + 6) - 6), (255, 255, 255))
    pen = ImageDraw.Draw(sheet)
    for column, title in enumerate(titles):
        pen.text((column * (SIDE + 6) + 2, 1), title, (60, 60, 60), ImageFont.load_default(13))
    for row, ((source, at), quality) in enumerate(rows):
        truth = picture(source)
        given = jpeg(small(truth), quality) if quality else png(small(truth))
        plain = Image.open(io.BytesIO(given)).convert("RGB").resize(truth.size, Image.Resampling.BICUBIC)
        shown = [truth, plain]
        for net in nets:
            wishes = {"denoise": "auto", "deblock": "auto"} if "restore" in net else {}
            made = enlarger.enlarge(given, 4, model=net, device="cpu", format="png", **wishes).image
            shown.append(Image.open(io.BytesIO(made)).convert("RGB"))
        for column, image in enumerate(shown):
            sheet.paste(crop(image, at), (column * (SIDE + 6), 18 + row * (SIDE + 6)))
    folder = HERE / "nets"
    folder.mkdir(exist_ok=True)
    sheet.save(folder / f"{name}.jpg", quality=90, optimize=True, subsampling=0)


def main() -> None:
    for name in sys.argv[1:] or CASES:
        draw(name)


if __name__ == "__main__":
    main()
