"""Pictures whose kind is known: fetched from Debian's and npm's packages by their own tools, or drawn. None of them is ours to ship.

Every source belongs to one side: ``tune``, from which the coefficients of ``looks/kinds.json`` come, or ``held`` or ``fresh``, which only
measure. What was wrong with ``held`` was looked at, one by one; with ``fresh`` nobody did. Run through ``benchmarks/triage.py``.
"""

from __future__ import annotations

import io
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import PIL.ImageDraw
import PIL.ImageFilter

sys.path.insert(0, str(Path(__file__).parent))
from triage_drawn import drawings, inked, manuals, pages, scans

PACKAGES = (
    *("crawl-tiles-data", "fillets-ng-data", "hedgewars-data", "mate-backgrounds", "minetest-data", "openclipart-png"),
    *("supertux-data", "tuxpaint-data", "tuxpaint-stamps-default", "wesnoth-1.16-data"),
)
MODULES = ("@tabler/icons", "lucide-static", "openmoji")

NOT_PHOTOS = frozenset(
    [
        "1129482",
        "1454613116",
        "1476848044",
        "1536017106",
        "2116914418",
        "2291004",
        "2387532",
        "2471234",
        "2610325178",
        "2693208",
        "2693212",
        "3587586984",
        "3DPieChart",
        "962312",
        "Abstract-A",
        "AgilityCou",
        "Beam-Space",
        "Boxplot",
        "EPICA",
        "Delt",
        "Lungs-Cros",
        "No-interfe",
        "Performanc",
        "StockQuote",
        "Temperamen",
        "Verkehrsto",
        "adriankier",
        "akfcrc022",
        "klepas-Gen",
        "newplot",
        "(1",
        "newplot",
        "nicubunu_G",
        "ularapi_Se",
        "2a760bf1",
        "3140d643",
        "4cd6910a",
        "86127fbd",
        "bb7344a2",
        "ebfd571f",
        "ef576c4e",
        "005_HR",
        "005_LR",
        "013_HR",
        "013_LR",
    ]
)
"""First letters of the names of charts, screens and drawings among the photographs of CID22, CLIC 2025 and Set14."""


ANIMALS = frozenset(["bovines", "rodents", "equines", "deer", "cats", "aquatic", "fish", "string", "auto", "nuts", "vehicles"])
"""Folders of Tux Paint's stamps with photographs of animals, guitars, cars and nuts, cut out."""


def fetch(cache: Path) -> None:
    """Download and unpack the packages into ``cache``, unless they are there."""
    for name in PACKAGES:
        if not (cache / "x" / name).is_dir():
            (cache / "deb").mkdir(parents=True, exist_ok=True)
            if not list((cache / "deb").glob(f"{name}_*.deb")):
                subprocess.run(["apt-get", "download", name], cwd=cache / "deb", check=True)
            (cache / "x" / name).mkdir(parents=True)
            subprocess.run(["dpkg-deb", "-x", next((cache / "deb").glob(f"{name}_*.deb")), cache / "x" / name], check=True)
    for name in MODULES:
        home = cache / "n" / name.strip("@").replace("/", "-")
        if not home.is_dir():
            home.mkdir(parents=True)
            packed = subprocess.run(["npm", "pack", "--silent", name], cwd=home, check=True, capture_output=True, text=True).stdout.split()[
                -1
            ]
            subprocess.run(["tar", "xzf", packed], cwd=home, check=True)


# --- sources ----------------------------------------------------------------------------------------------------------


def files(folder: Path, rng: random.Random, count: int, takes: Callable[[Path], bool] = lambda path: True) -> Iterator[PIL.Image.Image]:
    """``count`` pictures below ``folder`` that ``takes`` accepts, drawn by ``rng``."""
    names = (".png", ".jpg", ".jpeg", ".webp")
    paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in names and p.is_file() and not p.is_symlink())
    rng.shuffle(paths)
    for path in paths:
        if count == 0:
            return
        if takes(path):
            with PIL.Image.open(path) as picture:
                yield picture.convert("RGBA" if picture.has_transparency_data else "RGB")
            count -= 1


def sized(least: int, most: int = 10**5) -> Callable[[Path], bool]:
    def takes(path: Path) -> bool:
        with PIL.Image.open(path) as picture:
            return least <= min(picture.size) and max(picture.size) <= most

    return takes


def photographed(path: Path) -> bool:
    return not any(path.name.startswith(name) for name in NOT_PHOTOS)


def coloured(path: Path) -> bool:
    """Large enough, in several colours: what is one silhouette or an outline is another kind, or none."""
    with PIL.Image.open(path) as picture:
        if min(picture.size) < 100:
            return False
        pixels = np.asarray(picture.convert("RGBA"), np.int16).reshape(-1, 4)
    seen = pixels[pixels[:, 3] > 127, :3]
    return len(seen) > 0.2 * len(pixels) and float((np.ptp(seen, axis=1) > 40).mean()) > 0.3


def sprite(picture: PIL.Image.Image, rng: random.Random) -> PIL.Image.Image:
    """A sprite as people keep them: as it is, enlarged by whole blocks, or several on a plain ground."""
    side = rng.choice((1, 1, 2, 3, 4, 6, 8))
    while min(picture.size) * side < 32:
        side += 1
    picture = picture.resize((picture.width * side, picture.height * side), PIL.Image.Resampling.NEAREST)
    if picture.mode == "RGBA" and rng.random() < 0.5:
        ground = PIL.Image.new("RGBA", picture.size, rng.choice(("white", "black", "#4060a0", "#70a050")))
        picture = PIL.Image.alpha_composite(ground, picture).convert("RGB")
    return picture


def tilesets(folder: Path, rng: random.Random, count: int) -> Iterator[PIL.Image.Image]:
    """Windows of 3 x 2 to 8 x 6 tiles out of Crawl's sheets, which are 32 pixels a tile or less."""
    sheets = [PIL.Image.open(folder / f"{name}.png").convert("RGBA") for name in ("main", "player", "feat", "floor", "wall", "icons")]
    while count:
        sheet = rng.choice(sheets)
        width, height = 32 * rng.randint(3, 8), 32 * rng.randint(2, 6)
        x, y = rng.randrange(0, max(1, sheet.width - width), 32), rng.randrange(0, max(1, sheet.height - height), 32)
        part = sheet.crop((x, y, min(sheet.width, x + width), min(sheet.height, y + height)))
        if np.asarray(part)[..., 3].mean() > 60:
            yield sprite(part, rng)
            count -= 1


def sheet(folder: Path, rng: random.Random) -> PIL.Image.Image:
    """Tiles side by side, as artists keep them and as games show them."""
    columns, rows = rng.randint(3, 10), rng.randint(2, 8)
    tiles = list(files(folder, rng, columns * rows, sized(14, 100)))
    side = max(min(*tile.size, 72) for tile in tiles)
    whole = PIL.Image.new("RGBA", (columns * side, rows * side), rng.choice(((0, 0, 0, 0), (0, 0, 0, 255), (90, 120, 60, 255))))
    for i, tile in enumerate(tiles):
        whole.alpha_composite(tile.convert("RGBA").crop((0, 0, side, side)), (i % columns * side, i // columns * side))
    return sprite(whole, rng)


def small(picture: PIL.Image.Image, rng: random.Random) -> PIL.Image.Image:
    """A photograph as small as thumbnails and old web pages have it; every second one cut out."""
    side = rng.randint(90, 280)
    picture.thumbnail((side, side), PIL.Image.Resampling.LANCZOS)
    return cut_out(picture, rng) if rng.random() < 0.5 else picture


# --- what happens to pictures ------------------------------------------------------------------------------------------


def worn(picture: PIL.Image.Image, rng: random.Random) -> tuple[PIL.Image.Image, dict[str, Any]]:
    """The picture as it may come in: shrunk, compressed, noisy, soft, or as it is; with how to save it."""
    what = rng.choice(("as it is", "as it is", "small", "jpeg", "jpeg", "noise", "soft", "grey"))
    if what == "small" and min(picture.size) > 250:
        return picture.resize((picture.width // 2, picture.height // 2), PIL.Image.Resampling.LANCZOS), {"format": "PNG"}
    if what == "jpeg":
        ground = PIL.Image.new("RGBA", picture.size, "white")
        return PIL.Image.alpha_composite(ground, picture.convert("RGBA")).convert("RGB"), {"format": "JPEG", "quality": rng.randint(40, 95)}
    if what == "noise" and picture.mode == "RGB":
        values = np.asarray(picture, np.float32)
        noise = np.random.default_rng(rng.randrange(2**32)).normal(0, rng.uniform(1, 6), values.shape)
        return PIL.Image.fromarray(np.clip(values + noise, 0, 255).astype(np.uint8)), {"format": "PNG"}
    if what == "soft":
        return picture.filter(PIL.ImageFilter.GaussianBlur(rng.uniform(0.3, 1.5))), {"format": "PNG"}
    if what == "grey" and picture.mode == "RGB":
        return picture.convert("L"), {"format": "PNG"}
    return picture, {"format": "PNG"}


Source = tuple[str, str, str, Callable[[random.Random], Iterator[PIL.Image.Image]], bool]


def catalogue(cache: Path, photos: list[Path], held: list[Path]) -> Iterator[Source]:
    """Side, kind, source, its pictures, and whether they may be worn (sprites not: what is blurred is no sprite any more)."""
    n, shots, share = cache / "n", cache / "shots", "usr/share"
    shots.mkdir(parents=True, exist_ok=True)

    def deb(package: str, folder: str) -> Path:
        return cache / "x" / package / share / folder

    def svgs(module: str, folder: str) -> list[Path]:
        return sorted((n / module / "package" / folder).rglob("*.svg"))

    stamps, clip = deb("tuxpaint-stamps-default", "tuxpaint/stamps"), deb("openclipart-png", "openclipart/png")
    wesnoth = deb("wesnoth-1.16-data", "games/wesnoth/1.16/data/core/images")
    hedge, starters = deb("hedgewars-data", "games/hedgewars/Data/Themes"), deb("tuxpaint-data", "tuxpaint/starters")
    natural = ("flowers", "fruit", "vegetables", "birds")
    told = sorted(deb("wesnoth-1.16-data", "doc/wesnoth-1.16-data").glob("manual.??.html"))
    told += sorted(deb("tuxpaint-data", "doc/tuxpaint-data/en/html").glob("[A-Z]*.html"))
    outline = svgs("tabler-icons", "icons/outline")

    for i, folder in enumerate(photos):
        yield "tune", "photo", f"photos-{i}", lambda rng, at=folder: files(at, rng, 150, photographed), True
        yield "tune", "photo", f"cut-out-{i}", lambda rng, at=folder: (cut_out(p, rng) for p in files(at, rng, 60, photographed)), True
        yield "tune", "photo", f"small-{i}", lambda rng, at=folder: (small(p, rng) for p in files(at, rng, 120, photographed)), True
    for i, folder in enumerate(held):
        yield "held", "photo", f"photos-held-{i}", lambda rng, at=folder: files(at, rng, 60, photographed), True
    yield "held", "photo", "mate", lambda rng: files(deb("mate-backgrounds", "backgrounds/mate/nature"), rng, 12), True

    def cut(path: Path) -> bool:
        return path.parent.name in ANIMALS and "cartoon" not in path.parts and sized(100)(path)

    yield "fresh", "photo", "animals", lambda rng: files(stamps, rng, 75, cut), True
    yield "fresh", "photo", "laid", lambda rng: (on_paper(p, rng) for p in files(stamps, rng, 60, cut)), True
    yield "held", "photo", "stamps", lambda rng: files(stamps, rng, 30, lambda p: p.parent.name in natural and sized(150)(p)), False

    yield "tune", "illustration", "openclipart", lambda rng: files(clip, rng, 90, coloured), True
    yield "tune", "illustration", "portraits", lambda rng: files(wesnoth / "portraits", rng, 40, sized(200)), True
    yield "tune", "illustration", "openmoji", lambda rng: drawings(svgs("openmoji", "color"), shots, "emoji", rng, 40, (72, 160, 400)), True
    yield "held", "illustration", "cartoons", lambda rng: files(stamps, rng, 40, lambda p: "cartoon" in p.parts and sized(100)(p)), True
    fish, penguin = deb("fillets-ng-data", "games/fillets-ng/images"), deb("supertux-data", "games/supertux2/images")
    yield "fresh", "illustration", "fillets", lambda rng: files(fish, rng, 45, coloured), True
    yield "fresh", "illustration", "supertux", lambda rng: files(penguin, rng, 45, coloured), True
    yield "held", "illustration", "hedgewars", lambda rng: files(hedge, rng, 20, coloured), True

    units = wesnoth / "units"
    yield (
        "tune",
        "pixel-art",
        "minetest",
        lambda rng: (sprite(p, rng) for p in files(cache / "x/minetest-data", rng, 60, sized(12, 64))),
        False,
    )
    yield "tune", "pixel-art", "units", lambda rng: (sprite(p, rng) for p in files(units, rng, 90, sized(60, 100))), False
    both = cache / "x/minetest-data", units
    yield "tune", "pixel-art", "sheets", lambda rng: (sheet(both[i % 2], rng) for i in range(80)), False
    yield "held", "pixel-art", "crawl", lambda rng: tilesets(deb("crawl-tiles-data", "crawl/dat/tiles"), rng, 60), False

    yield "tune", "document", "pages", lambda rng: pages(shots, rng, 90), True
    yield "tune", "document", "scans", lambda rng: scans(rng, 30), True
    yield "tune", "document", "poor-scans", lambda rng: scans(rng, 50, poor=True), True
    yield "held", "document", "manuals", lambda rng: manuals(told[::3], shots, rng, 4), True

    yield "tune", "line-art", "tabler", lambda rng: drawings(outline, shots, "tabler", rng, 60, (64, 128, 256, 512)), True
    yield "tune", "line-art", "tabler-ink", lambda rng: map(inked, drawings(outline, shots, "ink", rng, 20, (96, 320))), False
    yield (
        "tune",
        "line-art",
        "openmoji-black",
        lambda rng: drawings(svgs("openmoji", "black"), shots, "black", rng, 60, (128, 300, 600)),
        True,
    )
    yield "tune", "line-art", "openclipart-line", lambda rng: files(clip, rng, 70, outlined), True
    yield "held", "line-art", "lucide", lambda rng: drawings(svgs("lucide-static", "icons"), shots, "lucide", rng, 30, (72, 144, 400)), True
    yield "held", "line-art", "starters", lambda rng: files(starters, rng, 60, outlined), True


def cut_out(picture: PIL.Image.Image, rng: random.Random) -> PIL.Image.Image:
    """A part of a photograph as products are shown: a rounded shape on white, or on nothing."""
    width, height = picture.size
    mask = PIL.Image.new("L", picture.size, 0)
    draw = PIL.ImageDraw.Draw(mask)
    for _ in range(rng.randint(1, 4)):
        x, y = rng.uniform(0.2, 0.5) * width, rng.uniform(0.2, 0.5) * height
        draw.ellipse((x, y, x + rng.uniform(0.2, 0.4) * width, y + rng.uniform(0.2, 0.4) * height), fill=255)
    mask = mask.filter(PIL.ImageFilter.GaussianBlur(rng.choice((0.7, 1, 2))))
    if rng.random() < 0.3:
        mask = mask.point([255 * (v > 127) for v in range(256)])
    picture.putalpha(mask)
    if rng.random() < 0.5:
        return PIL.Image.alpha_composite(PIL.Image.new("RGBA", picture.size, "white"), picture).convert("RGB")
    return picture


def on_paper(picture: PIL.Image.Image, rng: random.Random) -> PIL.Image.Image:
    """What was cut out, laid on paper of one colour, as shops show it."""
    paper = PIL.Image.new("RGBA", picture.size, rng.choice(("white", "white", "#f4f4f4", "#202428", "#d8c8b0")))
    return PIL.Image.alpha_composite(paper, picture.convert("RGBA")).convert("RGB")


def outlined(path: Path) -> bool:
    """Whether a drawing is an outline and nothing else: grey ink, little of it, on white or nothing."""
    with PIL.Image.open(path) as picture:
        if min(picture.size) < 100:
            return False
        rgba = np.asarray(picture.convert("RGBA"), np.int16)
    seen = rgba[..., 3] > 40
    if not seen.any() or float((np.ptp(rgba[seen][:, :3], axis=1) > 30).mean()) > 0.004:
        return False
    dark = seen & (rgba[..., :3].mean(2) < 160)
    grey = seen & (rgba[..., :3].mean(2) < 235) & ~dark
    return 0.01 < float(dark.mean()) < 0.16 and grey.sum() < 0.7 * dark.sum()


def make(cache: Path, photos: list[Path], held: list[Path]) -> list[Path]:
    """All pictures as files ``cache/pictures/SIDE/KIND/SOURCE-NNN``; each source once."""
    fetch(cache)
    for side, kind, source, pictures, wears in catalogue(cache, photos, held):
        folder, rng = cache / "pictures" / side / kind, random.Random(source)
        folder.mkdir(parents=True, exist_ok=True)
        if (folder / f".{source}").exists():
            continue
        for number, picture in enumerate(pictures(rng)):
            picture, how = worn(picture, rng) if wears else (picture, {"format": "PNG"})
            out = io.BytesIO()
            picture.save(out, **how)
            (folder / f"{source}-{number:03}.{how['format'].lower()}").write_bytes(out.getvalue())
        (folder / f".{source}").touch()
    return sorted(p for p in (cache / "pictures").rglob("*.*") if p.suffix in (".png", ".jpeg"))
